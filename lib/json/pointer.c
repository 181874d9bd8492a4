/* pointer.c: JSON pointers (RFC 6901).  See json.h. */
#include <errno.h>
#include "json/json.h"

int
json_pointer_next(struct slice *pointer, char *token, size_t *n)
{
	size_t at = 1;

	*n = 0;
	if (pointer->n == 0)
		return 0;
	if (pointer->p[0] != '/')
		return -EBADMSG;
	for (; at < pointer->n && pointer->p[at] != '/'; at++) {
		char c = pointer->p[at];

		if (c == '~') {
			if (++at == pointer->n || (pointer->p[at] != '0' && pointer->p[at] != '1'))
				return -EBADMSG;
			c = pointer->p[at] == '0' ? '~' : '/';
		}
		token[(*n)++] = c;
	}
	*pointer = slice_from(*pointer, at);
	return 1;
}

bool
json_pointer_index(struct slice token, size_t *i)
{
	uint64_t v;

	if ((token.n > 1 && token.p[0] == '0') || slice_u64(token, INT32_MAX, &v) < 0)
		return false;
	*i = (size_t)v;
	return true;
}

#define POINTER_MOST 1024 /* octets that are followed */

const struct json_t *
json_point(const struct json_t *v, struct slice pointer)
{
	char token[POINTER_MOST];
	size_t n, i;
	int rc = 0;

	if (pointer.n > POINTER_MOST)
		return NULL;
	while (v && (rc = json_pointer_next(&pointer, token, &n)) > 0) {
		if (json_is(v, JSON_KIND_ARRAY))
			v = json_pointer_index(slice(token, n), &i) ? json_at(v, i) : NULL;
		else
			v = json_find(v, slice(token, n));
	}
	return rc < 0 ? NULL : v;
}
