/* scim/filter.h: filters and paths of SCIM (RFC 7644 3.4.2.2 and 3.5.2).  Pure.
 *
 * A text becomes a tree of tests, within bounds: SCIM_FILTER_TESTS tests, SCIM_FILTER_DEPTH brackets in each
 * other, so that what a client writes costs no more than that.  Which attributes there are is not known here;
 * who walks the tree says so, and cannot be led out of what the grammar has. */
#ifndef SCIM_FILTER_H
#define SCIM_FILTER_H
#include "base/arena.h"
#include "base/buf.h"

#define SCIM_FILTER_TESTS 64
#define SCIM_FILTER_DEPTH 16

/* "urn:...:User:name.givenName"; parts that are not there are empty. */
struct scim_path {
	struct slice urn, attribute, sub;
};
enum scim_op {
	SCIM_EQ,
	SCIM_NE,
	SCIM_CO,
	SCIM_SW,
	SCIM_EW,
	SCIM_GT,
	SCIM_GE,
	SCIM_LT,
	SCIM_LE,
	SCIM_PR /* is present: has no value */
};
enum scim_node {
	SCIM_TEST,
	SCIM_AND,
	SCIM_OR,
	SCIM_NOT,   /* `left` */
	SCIM_VALUES /* path[left]: an element that fits */
};
enum scim_literal { SCIM_STRING, SCIM_NUMBER, SCIM_TRUE, SCIM_FALSE, SCIM_NULL };
struct scim_filter {
	enum scim_node node;
	struct scim_path path;
	enum scim_op op;
	enum scim_literal literal;
	struct slice value; /* of a string without its escapes, of a number as it was written */
	const struct scim_filter *left, *right;
};

/* 0, or -EBADMSG with *why.  The tree is in `a`, its slices borrow from `text` or are there too. */
int scim_filter_parse(struct slice text, struct arena *a, const struct scim_filter **f,
    const char **why) MUSTCHECK;
/* A path alone: as of `attributes` and `sortBy`. */
int scim_path_parse(struct slice text, struct scim_path *path, const char **why) MUSTCHECK;
/* What a PATCH is for: path, path[filter] or path[filter].sub; *f is NULL without a filter. */
int scim_target_parse(struct slice text, struct arena *a, struct scim_path *path,
    const struct scim_filter **f, const char **why) MUSTCHECK;
/* Appends it as a text that is read as the same tree. */
void scim_filter_write(struct buf *b, const struct scim_filter *f);
#endif
