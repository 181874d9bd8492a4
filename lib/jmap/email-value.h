/* jmap/email-value.h: the text of a body part as an EmailBodyValue has it (RFC 8621 4.1.4).
 *
 * UTF-8 with LF line ends, cut where a client wants no more: between characters, and in HTML outside of a
 * tag, a comment and a character reference.  A pull reader of pieces; memory does not grow with the body.
 * Pure, for email-write.c and whoever shows one part. */
#ifndef JMAP_EMAIL_VALUE_H
#define JMAP_EMAIL_VALUE_H
#include "jmap/email-structure.h"
#include "mail/text.h"

/* Where in HTML a text stands. */
struct jmap_markup {
	enum { JMAP_MARKUP_TEXT, JMAP_MARKUP_OPEN, JMAP_MARKUP_TAG, JMAP_MARKUP_COMMENT } state;
	char quote;            /* of an attribute's value that is open, or 0 */
	char last[2];          /* the octets before, newest first */
	uint64_t opened_at;    /* of the tag or comment that is open */
	uint64_t reference_at; /* 1 + where a "&" stands that no ";" has followed yet; 0: none */
};

struct jmap_value {
	bool problem;   /* isEncodingProblem; right when all has been read */
	bool truncated; /* isTruncated; the same */
	/* kept */
	const struct mime *mime;
	const struct jmap_part *part;
	struct text_reader reader;
	struct buf raw;
	bool cr;          /* a CR was the last octet of a piece */
	bool measuring;   /* looks where to cut; nothing is given out */
	uint64_t most, n; /* octets: to give at most, that have passed */
	uint64_t char_at; /* measuring: of the last character */
	struct jmap_markup markup;
};

/* `most`: octets; 0: all.  The part and its message must live as long. */
void jmap_value_start(struct jmap_value *v, const struct mime *m, const struct jmap_part *p,
    uint64_t most);
/* Appends the next piece, of whole characters: at most some 200 KB, perhaps nothing.  False at the end. */
bool jmap_value_next(struct jmap_value *v, struct buf *out);
void jmap_value_end(struct jmap_value *v);
#endif
