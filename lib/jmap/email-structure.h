/* jmap/email-structure.h: the body parts of a message as JMAP shows them (RFC 8621 4.1.4).
 *
 * Made from a tree of mail/mime.h: each part with its partId, and the three lists textBody, htmlBody and
 * attachments.  Messages within the message are parts without parts: a client looks into them by
 * Email/parse.  Pure; everything lies in the caller's arena, beside the tree, and lives no longer than it.
 * Costs the parts, of which mime.h allows MIME_PARTS_MAX, and their parameters. */
#ifndef JMAP_EMAIL_STRUCTURE_H
#define JMAP_EMAIL_STRUCTURE_H
#include "mail/mime.h"

struct jmap_part {
	const struct mime_part *mime; /* NULL of jmap_structure_read */
	bool multipart;
	struct jmap_part *parent, *child, *next;
	uint32_t id; /* partId: from 1, in the message's order; 0: multipart, which has none */
	struct slice type;        /* "text/plain", in lower case */
	struct slice name;        /* UTF-8; p NULL: none */
	bool attachment, inlined; /* the disposition says so; neither: another, or none */
	bool in_text, in_html;    /* one of textBody, of htmlBody */
	uint64_t size;            /* octets without the transfer encoding, when `sized` */
	bool sized;
};

struct jmap_parts {
	struct jmap_part **p;
	size_t n;
};

struct jmap_structure {
	const struct mime *mime;
	struct jmap_part *root;
	struct jmap_parts all; /* those with an id: all.p[id - 1] */
	struct jmap_parts text, html, attachments;
};

void jmap_structure_make(const struct mime *m, struct arena *a, struct jmap_structure *s);
/* The same from a BODYSTRUCTURE (RFC 3501 7.4.2), for questions of many messages: types, dispositions, whether there
 * are names, and the lists; no ids.  0, or -EBADMSG: it is none. */
int jmap_structure_read(struct slice bodystructure, struct arena *a,
    struct jmap_structure *s) MUSTCHECK;
/* hasAttachment: is anything among the attachments that a person would fetch?  Not so what is shown inline,
 * and signatures. */
bool jmap_structure_has_attachment(const struct jmap_structure *s);
/* The part of a partId as a client says it; NULL: the message has none of that id. */
struct jmap_part *jmap_structure_find(const struct jmap_structure *s, struct slice id);
/* Is the part's value one of bodyValues: text of any kind? */
bool jmap_part_is_text(const struct jmap_part *p);
/* The charset of a text (4.1.4): us-ascii when none is said; p NULL: the part is no text and says none. */
struct slice jmap_part_charset(const struct jmap_part *p);
#endif
