/* jmap/email-write.h: the properties of one Email as JSON, a piece at a time (RFC 8621 4.1, 4.2).
 *
 * For Email/get and Email/parse.  Writes what a message itself says; ids, keywords, size and the like are the
 * store's, and the caller writes them.  A cursor, because an answer can be many times the message: each step
 * costs at most one header field, one piece of a body, or a header of JMAP_HEADER_MAX.  Pure; nothing can
 * fail.  What differs from the RFC: a header is looked at up to JMAP_HEADER_MAX octets, more is an attack. */
#ifndef JMAP_EMAIL_WRITE_H
#define JMAP_EMAIL_WRITE_H
#include "jmap/email-fields.h"
#include "jmap/email-structure.h"
#include "jmap/email-value.h"

#define JMAP_HEADER_MAX (1024 * 1024)

struct jmap_email {
	const struct jmap_email_want *want;
	struct jmap_structure *structure;
	struct slice header, blob;
	/* kept */
	enum jmap_email_stage {
		JMAP_STAGE_FIELDS,
		JMAP_STAGE_HEADERS,
		JMAP_STAGE_SUMMARY,
		JMAP_STAGE_STRUCTURE,
		JMAP_STAGE_TEXT,
		JMAP_STAGE_HTML,
		JMAP_STAGE_ATTACHMENTS,
		JMAP_STAGE_VALUES,
		JMAP_STAGE_OVER
	} stage;
	enum { JMAP_BEGIN, JMAP_MEASURE, JMAP_SOLID, JMAP_FIELDS, JMAP_LIST, JMAP_LIST_MORE } step;
	bool first;             /* no comma before the next member or element */
	bool begun;             /* of a stage: its property has been named */
	size_t at;              /* in a list of parts, or of values */
	struct jmap_part *part; /* that is written */
	struct jmap_found_fields found;
	struct slice list;            /* what is left of a header that is listed */
	struct text_reader measuring; /* the body of a part whose size is wanted */
	struct jmap_value value;
	bool reading;         /* `value` */
	struct arena arena;   /* of the header that is written */
	struct arena scratch; /* of a step */
	struct buf piece;
};

/* `header` is the message's, with or without its empty line; it may be a part of it that has all fields that
 * are wanted.  `structure` is needed when jmap_email_wants_body() says so; `blob` is the message's blobId: a
 * part's is "BLOB-PARTID".  `first`: nothing stands behind the opening brace yet.  All must live until
 * jmap_email_end. */
void jmap_email_start(struct jmap_email *e, const struct jmap_email_want *want, struct slice header,
    struct jmap_structure *structure, struct slice blob, bool first);
/* Appends `"subject":"Hello",...` without braces; perhaps nothing.  False: that was all. */
bool jmap_email_next(struct jmap_email *e, struct buf *out);
/* Also before it is through. */
void jmap_email_end(struct jmap_email *e);

/* What an Id of a part stands for: takes the last "-PARTID" off *blob.  False: there is none. */
bool jmap_blob_cut(struct slice *blob, struct slice *part);
#endif
