/* jmap/patch.h: PatchObject, what /set changes of an object (RFC 8620 5.3).
 *
 * Read once, with the rules that it can break by itself; then either looked at, path by path (who changes
 * keywords needs no more), or applied to an object as it is, which gives the object as it shall be.  Pure.
 * Breaking a rule is the error invalidPatch.  Costs the patch and the object, times a logarithm. */
#ifndef JMAP_PATCH_H
#define JMAP_PATCH_H
#include "base/arena.h"
#include "json/json.h"

#define JMAP_PATCH_DEPTH_MAX 32 /* tokens of a path */

struct jmap_patch_path {
	struct slice key;           /* as the client says it, without the first slash */
	struct slice *token;        /* unescaped (RFC 6901) */
	size_t n;                   /* of them, at least one */
	const struct json_t *value; /* null: the default, or nothing */
};
struct jmap_patch {
	struct jmap_patch_path *path; /* sorted by their tokens */
	size_t n;
};

/* 0; -EBADMSG with *why: no object, a path that is no pointer or too deep, one that another begins with.
 * Slices borrow from `v` or lie in `a`. */
int jmap_patch_read(struct jmap_patch *p, const struct json_t *v, struct arena *a,
    const char **why) MUSTCHECK;
/* The value that the patch sets at a path of one token ("subject"), or NULL. */
const struct json_t *jmap_patch_find(const struct jmap_patch *p, struct slice name);
/* Appends the patched `object` as JSON.  0; -EBADMSG with *why: a path leads into an array, or through what the
 * object has not; then nothing is appended. */
int jmap_patch_apply(const struct jmap_patch *p, const struct json_t *object, struct buf *out,
    const char **why) MUSTCHECK;
#endif
