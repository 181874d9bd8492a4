/* reference.c: result references (RFC 8620 3.7).  See request.h.
 *
 * An answer is kept as the text that goes out, because most are never referred to; one that is, is read
 * for it, once for all references of a call.  What a path with `*` leads to is written as it is met, a flat
 * array; so work and memory are those of the answers that are referred to, and of JMAP_REFERENCES times
 * what they hold, never of as many references as a request has room for. */
#include <errno.h>
#include "base/mem.h"
#include "jmap/request.h"

#define PATH_MOST 1024 /* octets of a path */

bool
jmap_has_references(const struct json_t *args)
{
	struct json_walk w = { 0 };

	while (json_next(args, &w))
		if (w.name.n > 0 && w.name.p[0] == '#')
			return true;
	return false;
}

/* Each item's result; an array among them is taken apart. */
static bool reference_follow(const struct json_t *v, struct slice path, struct buf *out);

static bool
reference_each(const struct json_t *v, struct slice path, struct buf *out)
{
	buf_char(out, '[');
	for (size_t i = 0; i < json_count(v); i++) {
		struct buf one = { 0 };
		struct slice inner;
		bool good = reference_follow(json_at(v, i), path, &one);

		inner = buf_get(&one);
		if (good && inner.n > 0 && inner.p[0] == '[')
			inner = slice_sub(inner, 1, inner.n - 2);
		if (inner.n > 0) {
			json_element(out);
			buf_slice(out, inner);
		}
		buf_fini(&one);
		if (!good)
			return false;
	}
	buf_char(out, ']');
	return true;
}

static bool
reference_follow(const struct json_t *v, struct slice path, struct buf *out)
{
	char token[PATH_MOST];
	size_t n, i;
	int rc;

	while (v && (rc = json_pointer_next(&path, token, &n)) > 0) {
		if (!json_is(v, JSON_KIND_ARRAY))
			v = json_find(v, slice(token, n));
		else if (n == 1 && token[0] == '*')
			return reference_each(v, path, out);
		else
			v = json_pointer_index(slice(token, n), &i) ? json_at(v, i) : NULL;
	}
	if (!v || rc < 0)
		return false;
	json_write(out, v);
	return true;
}

/* The answers of a call's references, read: NULL where none has asked yet. */
struct reference_answers {
	const struct jmap_result *results;
	size_t n;
	const struct json_bounds *bounds;
	struct json_t **trees;
};

static int
reference_resolve(struct reference_answers *of, const struct json_t *ref, struct buf *out,
    const char **why)
{
	struct slice id = json_text(json_find(ref, S("resultOf")));
	struct slice name = json_text(json_find(ref, S("name")));
	struct slice path = json_text(json_find(ref, S("path")));
	size_t i = 0;

	*why = "a reference has the strings resultOf, name and path";
	if (!id.p || !name.p || !path.p || path.n > PATH_MOST)
		return -EBADMSG;
	/* The first answer with that id (3.7). */
	while (i < of->n && !slice_eq(of->results[i].id, id))
		i++;
	*why = "there is no such answer before this call";
	if (i == of->n || !slice_eq(of->results[i].name, name))
		return -EBADMSG;
	if (!of->trees[i] && json_read(of->results[i].args, of->bounds, &of->trees[i], why) < 0)
		return -EBADMSG;
	*why = "the path leads to nothing in that answer";
	if (!reference_follow(of->trees[i], path, out))
		return -EBADMSG;
	*why = "what the references lead to is too long";
	return out->n > of->bounds->octets ? -EBADMSG : 0;
}

/* The members one after the other. */
static int
reference_members(struct reference_answers *of, const struct json_t *args, struct buf *out,
    const char **why)
{
	struct json_walk w = { 0 };
	unsigned refs = 0;

	while (json_next(args, &w)) {
		bool refers = w.name.n > 0 && w.name.p[0] == '#';
		struct slice name = slice_from(w.name, refers);
		int rc;

		if (refers && json_find(args, name)) {
			*why = "an argument is given with and without #";
			return -EINVAL;
		}
		if (refers && ++refs > JMAP_REFERENCES) {
			*why = "too many references in one call";
			return -EINVAL;
		}
		json_member(out, name);
		if (!refers) {
			json_write(out, w.value);
			continue;
		}
		rc = reference_resolve(of, w.value, out, why);
		if (rc < 0)
			return rc;
	}
	return 0;
}

int
jmap_resolve(const struct json_t *args, const struct jmap_result *results, size_t n,
    const struct json_bounds *bounds, struct buf *out, const char **why)
{
	struct reference_answers of = { results, n, bounds,
		mem_array(n + 1, sizeof(struct json_t *)) };
	int rc;

	buf_char(out, '{');
	rc = reference_members(&of, args, out, why);
	buf_char(out, '}');
	for (size_t i = 0; i < n; i++)
		json_free(&of.trees[i]);
	mem_release(of.trees);
	return rc;
}
