/* mime-find.c: moving about in a tree: walks and IMAP's section numbers. */
#include <errno.h>
#include "mail/mime.h"
#include "mail/token.h"

bool
mime_type_is(const struct mime_part *p, struct slice type, struct slice subtype)
{
	return slice_ieq(p->type, type) && slice_ieq(p->subtype, subtype);
}

struct mime_part *
mime_next(const struct mime *m, const struct mime_part *p)
{
	if (p->child)
		return p->child;
	while (p != m->root && !p->next)
		p = p->parent;
	return p == m->root ? NULL : p->next;
}

/* Each number is asked of a container: a multipart, or a message that is none and has
 * itself as its part 1 (RFC 3501 6.4.5). */
/* The part of IMAP's section path "1.2.3" (RFC 3501 6.4.5): path[0..n-1] from 1; n = 0 gives
 * the root.  "1" of a message that is no multipart is its body: `*self` is then true and the
 * part is the message (root or inner).  NULL: there is none. */
static struct mime_part *
mime_find(const struct mime *m, const uint32_t *path, size_t n, bool *self)
{
	struct mime_part *in = m->root, *p = m->root;

	*self = false;
	for (size_t i = 0; i < n; i++) {
		if (i > 0) {
			if (p->kind == MIME_MESSAGE)
				in = p->child;
			else if (p->kind == MIME_MULTIPART && !*self)
				in = p;
			else
				return NULL;
		}
		*self = in->kind != MIME_MULTIPART;
		if (*self) {
			p = path[i] == 1 ? in : NULL;
		} else {
			p = path[i] > 0 && path[i] <= in->nchild ? in->child : NULL;
			for (uint32_t k = 1; p && k < path[i]; k++)
				p = p->next;
		}
		if (!p)
			return NULL;
	}
	return p;
}

const struct mime_part *
mime_part_at(const struct mime *m, const uint32_t *path, size_t n)
{
	bool self;

	return mime_find(m, path, n, &self);
}

int
mime_section(const struct mime *m, const uint32_t *path, size_t n, enum mime_section which,
    struct slice *bytes)
{
	bool self;
	struct mime_part *p = mime_find(m, path, n, &self);

	if (!p)
		return -ENOENT;
	switch (which) {
	case MIME_BODY: *bytes = n ? mime_body(m, p) : m->msg; return 0;
	case MIME_MIME:
		if (n == 0)
			return -ENOENT;
		*bytes = mime_header(m, p);
		return 0;
	case MIME_HEADER:
	case MIME_TEXT:
		if (n > 0) {
			if (p->kind != MIME_MESSAGE)
				return -ENOENT;
			p = p->child;
		}
		*bytes = which == MIME_HEADER ? mime_header(m, p) : mime_body(m, p);
		return 0;
	}
	return -ENOENT;
}

bool
mime_languages(struct slice *at, struct slice *tag)
{
	while (at->n > 0) {
		*tag = token_take(at);
		if (tag->n > 0)
			return true;
		*at = slice_from(*at, 1);
	}
	return false;
}
