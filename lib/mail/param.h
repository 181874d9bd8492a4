/* mail/param.h: "; name=value" parameters of MIME fields (RFC 2045 5.1, RFC 2231). */
#ifndef MAIL_PARAM_H
#define MAIL_PARAM_H
#include "base/arena.h"
#include "base/buf.h"

#define PARAM_MAX 64 /* parameters of one field; the rest is left out */

/* One parameter.  RFC 2231's continuations are put together and its percent signs undone when
 * the list is read, so that nobody who looks for a name (a charset, a boundary, a file name)
 * needs to know how it was said. */
struct param {
	struct slice name;  /* as written, but without RFC 2231's "*", "*0" and "*0*" */
	struct slice value; /* bytes, quoting undone */
	bool
	    extended; /* said in RFC 2231's form: the value is in `charset`, and no encoded words */
	struct slice charset;  /* may be empty */
	struct slice language; /* the same */
};
struct param_list {
	struct param *p;
	size_t n;
};

/* Reads a list that begins at its first ";" or behind it; comments are skipped, rubbish up to
 * the next ";" too.  Pieces are joined in the order of their numbers, up to the first that is
 * missing; pieces without a number 0 are left out.  Slices borrow from `s` or `a`.  Never fails;
 * costs are linear, joining is bounded by PARAM_MAX. */
void param_list_parse(struct slice s, struct arena *a, struct param_list *list);
/* The bytes of the first parameter of that name (case ignored); false when absent. */
bool param_find(const struct param_list *list, struct slice name, struct slice *value);
/* The value as text in UTF-8: the charset decoded, encoded words in plain values decoded as
 * everybody does.  In `a`. */
struct slice param_text(const struct param *p, struct arena *a);
/* The text of the parameter of that name, the extended form preferred to the plain one (RFC
 * 6266's advice).  False when absent. */
bool
param_get(const struct param_list *list, struct slice name, struct arena *a, struct slice *value);
/* Appends what stands behind "name*=": charset'language'value with percent signs (RFC 2231 4).
 * A plain value, or one whose charset is not said, becomes utf-8. */
void param_extended_write(struct buf *b, const struct param *p);
#endif
