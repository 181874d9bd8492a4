/* mail/param.h: "; name=value" parameters of MIME fields (RFC 2045 5.1, RFC 2231). */
#ifndef MAIL_PARAM_H
#define MAIL_PARAM_H
#include "base/arena.h"
#include "base/buf.h"

#define PARAM_MAX 64 /* parameters of one field; the rest is left out */

struct param {
	struct slice name;  /* as written, "filename*0*" too */
	struct slice value; /* quoting undone, percent signs not */
};
struct param_list {
	struct param *p;
	size_t n;
};

/* Reads a list that begins at its first ";" or behind it; comments are skipped, rubbish up to
 * the next ";" too.  Slices borrow from `s` or `a`.  Never fails. */
void param_list_parse(struct slice s, struct arena *a, struct param_list *list);
/* The raw value of exactly that name (case ignored); false when absent. */
bool param_find(const struct param_list *list, struct slice name, struct slice *value);
/* The value in UTF-8: continuations joined in order, percent signs and charset decoded, the
 * extended form preferred to the plain one (RFC 2231 3, 4; RFC 6266's advice), encoded words
 * in plain values decoded as everybody does.  False when absent. */
bool param_get(const struct param_list *list, struct slice name, struct arena *a,
    struct slice *value);
/* Appends "; name=value": as a token, quoted, or in RFC 2231 form for UTF-8. */
void param_write(struct buf *b, const char *name, struct slice utf8);
#endif
