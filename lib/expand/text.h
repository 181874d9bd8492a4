/* expand/text.h: what a list makes of a message (struct expand_edit), done to the message.
 *
 *	c = expand_content_look(fields, a)         once for a message
 *	t = expand_text_new(a, edit, &c, &why)     for each list that has a text
 *	expand_text_fields, expand_text_begin, the body as it is, expand_text_end
 *
 * Pure.  `fields` is the header without its empty line.  Where t is NULL fields alone are changed. */
#ifndef EXPAND_TEXT_H
#define EXPAND_TEXT_H
#include "base/buf.h"
#include "expand/expand.h"

/* What the fields say of the body. */
struct expand_content {
	struct slice type, subtype, charset, encoding;
	unsigned ntypes, nencodings;
	bool attachment, flowed;
	bool odd; /* there is an encoding, and it is none that we know */
};
struct expand_content expand_content_look(struct slice fields, struct arena *a);

struct expand_text;
/* In the arena.  NULL: there is none, or *why says why the message gets none. */
struct expand_text *expand_text_new(struct arena *a, const struct expand_edit *e,
    const struct expand_content *c, const char **why);
bool expand_text_eightbit(const struct expand_text *t); /* it puts such octets into the body */
/* Appends the fields as the list has them. */
void expand_text_fields(const struct expand_edit *e, struct expand_text *t, struct slice fields,
    struct arena *a, struct buf *out);
/* What stands in front of the body; behind expand_text_fields. */
void expand_text_begin(const struct expand_text *t, struct buf *out);
/* And behind it, whose last octets these are; zeros where there are fewer. */
void expand_text_end(const struct expand_text *t, const char last[4], struct buf *out);
#endif
