/* patch.c: PatchObjects, RFC 8620 5.3.
 *
 * Called for each object that /set updates.  Paths are sorted by their tokens, so that those below one member
 * stand together: one that another begins with then stands right before it, and an object is walked once,
 * each of its members looked up among the paths.  What must stay true: an error leaves no half of a patch
 * behind; recursion goes as deep as paths do, JMAP_PATCH_DEPTH_MAX. */
#include "jmap/patch.h"

#include <errno.h>
#include <stdlib.h>

static int
patch_refuse(const char **why, const char *what)
{
	*why = what;
	return -EBADMSG;
}

/* ---- reading ---------------------------------------------------------------------------------------------- */

/* "a~1b/c" to its tokens; every path has an implicit slash before it. */
static int
patch_path(struct jmap_patch_path *path, struct arena *a, const char **why)
{
	char *whole = arena_new(a, path->key.n + 1), *token;
	struct slice rest = slice(whole, path->key.n + 1);
	size_t n, tokens = 0;
	int r;

	whole[0] = '/';
	if (path->key.n > 0)
		memcpy(whole + 1, path->key.p, path->key.n);
	for (n = 0; n < rest.n; n++)
		tokens += whole[n] == '/';
	if (tokens > JMAP_PATCH_DEPTH_MAX)
		return patch_refuse(why, "a path is too deep");
	path->token = arena_array(a, tokens, sizeof(*path->token));
	token = arena_new(a, rest.n);
	while ((r = json_pointer_next(&rest, token, &n)) > 0) {
		path->token[path->n++] = slice(token, n);
		token += n; /* tokens together are no longer than the path */
	}
	return r < 0 ? patch_refuse(why, "a path is no JSON pointer") : 0;
}

static int
path_cmp(const void *x, const void *y)
{
	const struct jmap_patch_path *a = x, *b = y;
	int c = 0;

	for (size_t i = 0; i < a->n && i < b->n && c == 0; i++)
		c = slice_cmp(a->token[i], b->token[i]);
	return c ? c : (a->n > b->n) - (a->n < b->n);
}

static bool
path_begins(const struct jmap_patch_path *a, const struct jmap_patch_path *b)
{
	for (size_t i = 0; i < a->n; i++)
		if (i >= b->n || !slice_eq(a->token[i], b->token[i]))
			return false;
	return true;
}

int
jmap_patch_read(struct jmap_patch *p, const struct json_t *v, struct arena *a, const char **why)
{
	struct json_walk w = { 0 };

	*p = (struct jmap_patch){ 0 };
	if (!json_is(v, JSON_KIND_OBJECT))
		return patch_refuse(why, "a patch is an object");
	p->path = arena_array(a, json_count(v), sizeof(*p->path));
	while (json_next(v, &w)) {
		struct jmap_patch_path *path = &p->path[p->n++];

		path->key = w.name;
		path->value = w.value;
		if (patch_path(path, a, why) < 0)
			return -EBADMSG;
	}
	if (p->n > 0)
		qsort(p->path, p->n, sizeof(*p->path), path_cmp);
	for (size_t i = 1; i < p->n; i++)
		if (path_begins(&p->path[i - 1], &p->path[i]))
			return patch_refuse(why, "a path begins with another");
	return 0;
}

const struct json_t *
jmap_patch_find(const struct jmap_patch *p, struct slice name)
{
	for (size_t i = 0; i < p->n; i++)
		if (p->path[i].n == 1 && slice_eq(p->path[i].token[0], name))
			return p->path[i].value;
	return NULL;
}

/* ---- applying -------------------------------------------------------------------------------------------------- */

/* The paths that share their first `depth` tokens, in an object. */
struct patch_range {
	const struct jmap_patch_path *path;
	size_t n, depth;
};

/* Those of them whose next token is `name`. */
static struct patch_range
range_of(const struct patch_range *r, struct slice name)
{
	struct patch_range found = { r->path, 0, r->depth + 1 };
	size_t lo = 0, hi = r->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (slice_cmp(r->path[mid].token[r->depth], name) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	found.path = r->path + lo;
	while (lo + found.n < r->n && slice_eq(found.path[found.n].token[r->depth], name))
		found.n++;
	return found;
}

static int patch_object(const struct patch_range *r, const struct json_t *object, struct buf *out,
    const char **why);

/* A member that the object has. */
static int
patch_member(const struct patch_range *r, const struct json_walk *w, struct buf *out,
    const char **why)
{
	struct patch_range below = range_of(r, w->name);
	const struct json_t *value = w->value;
	bool leaf = below.n == 1 && below.path->n == below.depth;

	if (leaf && json_none(below.path->value))
		return 0;
	json_member(out, w->name);
	if (leaf)
		value = below.path->value;
	else if (below.n > 0 && json_is(value, JSON_KIND_ARRAY))
		return patch_refuse(why, "a path leads into an array");
	else if (below.n > 0 && !json_is(value, JSON_KIND_OBJECT))
		return patch_refuse(why, "a path leads through what is not there");
	else if (below.n > 0)
		return patch_object(&below, value, out, why);
	json_write(out, value);
	return 0;
}

static int
patch_object(const struct patch_range *r, const struct json_t *object, struct buf *out,
    const char **why)
{
	struct json_walk w = { 0 };

	buf_char(out, '{');
	while (json_next(object, &w))
		if (patch_member(r, &w, out, why) < 0)
			return -EBADMSG;
	for (size_t i = 0; i < r->n; i++) {
		const struct jmap_patch_path *path = &r->path[i];

		if (json_find(object, path->token[r->depth]))
			continue;
		if (path->n > r->depth + 1)
			return patch_refuse(why, "a path leads through what is not there");
		if (json_none(path->value))
			continue;
		json_member(out, path->token[r->depth]);
		json_write(out, path->value);
	}
	buf_char(out, '}');
	return 0;
}

int
jmap_patch_apply(const struct jmap_patch *p, const struct json_t *object, struct buf *out,
    const char **why)
{
	struct patch_range all = { p->path, p->n, 0 };
	size_t at = out->n;
	int r;

	if (!json_is(object, JSON_KIND_OBJECT))
		return patch_refuse(why, "what is patched is no object");
	r = patch_object(&all, object, out, why);
	if (r < 0)
		out->n = at;
	return r;
}
