/* message/match.h: which of many texts a message has: SEARCH, JMAP's filters, Sieve.
 *
 * A query is a list of keys, made ready once.  The digest answers for one key at a time, without
 * reading a file.  The file is walked by a cursor that decodes each field and part once and asks
 * all keys of it; it can be left at any step.  How keys are joined (and, or, not) is the caller's.
 * Text is compared by i;unicode-casemap: keys come as casemap_search_to() makes them.
 *
 * Cost of a query: its bytes.  Of the cursor: the bytes of the message plus the bytes of the
 * keys, never their product (message/needles.h). */
#ifndef MESSAGE_MATCH_H
#define MESSAGE_MATCH_H
#include "message/digest.h"
#include "message/needles.h"
#include "message/text.h"

enum message_place {
	MESSAGE_IN_FIELD, /* a header field of the message itself */
	MESSAGE_IN_BODY,  /* text of the parts, and headers of messages inside */
	MESSAGE_IN_TEXT   /* header, headers of parts, names of attachments, and the body */
};
struct message_key {
	enum message_place place;
	struct slice name;        /* MESSAGE_IN_FIELD: of the field, any case */
	struct slice text;        /* see above; empty: the field is there; of the others: always */
	int field;                /* set by message_query_add: enum message_field or -1 */
	bool kept;                /* the same: the digest may know */
	struct message_word word; /* the same: of the text */
};

struct message_names;
struct message_query {
	struct message_key *keys;
	uint32_t n, room;
	struct message_names *names; /* the distinct field names, hashed */
	uint32_t nnames, mask;
	uint32_t *slots;
	struct message_needles text, body; /* of TEXT; of TEXT and BODY */
	uint32_t nfields, nbody, ntext;    /* keys by place, those with an empty text apart */
};

/* Adds a key and returns its number; slices must live as long as the query.  When the last is
 * added, message_query_ready. */
uint32_t message_query_add(struct message_query *q, enum message_place place, struct slice name,
    struct slice text, struct arena *a);
void message_query_ready(struct message_query *q, struct arena *a);

enum message_answer { MESSAGE_NO, MESSAGE_YES, MESSAGE_UNKNOWN };

/* What the message's digest says of one key; UNKNOWN: only the file can tell.  `record` is the
 * record as it lies in the store, read in place. */
enum message_answer
message_query_digest(const struct message_query *q, uint32_t key, struct slice record);

/* ---- the file ----------------------------------------------------------------------------------- */

enum message_stage { MATCH_HEADER, MATCH_PARTS, MATCH_OVER };
struct message_match {
	const struct message_query *q;
	struct slice msg;
	enum message_stage stage;
	bool *found;                 /* of each key */
	uint32_t fields, body, text; /* keys of each kind not found yet */
	uint32_t news;               /* goes up whenever an answer may be another */
	struct arena arena;          /* all of this message */
	struct arena scratch;        /* of a step */
	struct slice header;         /* what is left of the header that is read */
	bool inner;                  /* it is a part's, or of a message inside */
	struct mime mime;
	struct mime_part *part;
	enum message_pass { PASS_HEADER, PASS_PARAMS, PASS_BODY } pass;
	struct message_text reader;
	bool reading;
	struct buf folded, form;
	struct message_scan text_scan, body_scan, *name_scans;
};

/* `msg` (the whole message, mapped) and `q` must live as long as the cursor. */
void message_match_start(struct message_match *m, const struct message_query *q, struct slice msg);
/* One step: a field, or a piece of at most some 200 KB.  False: all that can be known is. */
bool message_match_step(struct message_match *m);
/* NO only when the whole message, or the part of it that counts, has been seen. */
enum message_answer message_match_get(const struct message_match *m, uint32_t key);
void message_match_end(struct message_match *m);
#endif
