/* jmap/compose-impl.h: the plan of a message, shared by compose.c (the object), compose-part.c (its parts)
 * and compose-write.c (the message). */
#ifndef JMAP_COMPOSE_IMPL_H
#define JMAP_COMPOSE_IMPL_H
#include "jmap/compose.h"
#include "jmap/compose-field.h"
#include "jmap/email-want.h"

enum jmap_compose_encoding {
	JMAP_ENCODING_PLAIN, /* text as it stands, its line ends CRLF */
	JMAP_ENCODING_QP,
	JMAP_ENCODING_BASE64,
	JMAP_ENCODING_AS_IS /* a message within */
};

struct jmap_compose_part {
	struct jmap_compose_part *parent, *child, *last, *next;
	struct slice header;   /* fields, whole lines */
	struct slice type;     /* "text/plain", in lower case */
	struct slice boundary; /* of a multipart; p NULL: it is none */
	bool blob;             /* its content is one; else `text` */
	size_t blob_at;        /* of the blob's id in c->blobs */
	struct slice text;
	enum jmap_compose_encoding encoding;
	bool cid, attachment, inlined, disposed; /* Content-ID; dispositions: disposed: any */
};

/* Fields that have been given, so that none is given twice. */
struct jmap_given {
	struct slice name[JMAP_PROPERTIES_MAX];
	size_t n;
};

/* What a part is in: it says what the RFC asks of it. */
enum jmap_part_place {
	JMAP_PLACE_STRUCTURE,
	JMAP_PLACE_TEXT_BODY,
	JMAP_PLACE_HTML_BODY,
	JMAP_PLACE_ATTACHMENT
};

void
jmap_compose_wrong(struct jmap_compose *c, const char *path, const char *name, const char *why);
/* Notes the field; false: it has been given before, or there are too many. */
bool jmap_given_add(struct jmap_given *g, struct slice name);
/* Reads an EmailBodyPart; `path` is its own, `values` are bodyValues.  It becomes the last part of `parent`,
 * which may be NULL.  `top`: the fields of the message, when the part is its root; else NULL.  Never NULL;
 * what is wrong is noted. */
struct jmap_compose_part *jmap_compose_part_read(struct jmap_compose *c, const struct json_t *v,
    const struct json_t *values, const char *path, enum jmap_part_place place,
    struct jmap_compose_part *parent, const struct jmap_given *top);
/* A multipart of our own. */
struct jmap_compose_part *jmap_compose_multipart(struct jmap_compose *c, const char *subtype);
void jmap_compose_append(struct jmap_compose_part *multi, struct jmap_compose_part *part);
/* Text of our own: the empty body of a message without one. */
struct jmap_compose_part *jmap_compose_text(struct jmap_compose *c, struct slice text);
#endif
