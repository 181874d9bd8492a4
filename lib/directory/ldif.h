/* directory/ldif.h: lines of LDIF (RFC 2849), and entries of them.  Pure.
 *
 * A reader borrows the file, and gives an entry at a time: its DN and its values, decoded.  Costs the file.  Values
 * that are read from elsewhere (":<") are errors, and so are records that change something. */
#ifndef DIRECTORY_LDIF_H
#define DIRECTORY_LDIF_H
#include "base/arena.h"
#include "base/buf.h"

#define DIR_LDIF_VALUES 30000 /* of an entry, at most */

/* Does a file begin like LDIF? */
bool dir_ldif_is(struct slice file);
/* Takes a line without its folds off the front of *file, and without comments.  False at the end.  *n, if any, counts
 * lines of the file, and *at is where this one begins. */
bool dir_ldif_line(struct slice *file, struct buf *line, unsigned *n, unsigned *at);

struct dir_ldif_value {
	struct slice name, value; /* name without its options */
};
struct dir_ldif {
	struct slice rest;
	struct arena memory; /* of the entry */
	struct buf text;
	unsigned line, next; /* where the entry began, from 1; where the next line is */
	struct slice dn;
	struct dir_ldif_value *values;
	size_t n, room;
};
void dir_ldif_init(struct dir_ldif *l, struct slice file);
void dir_ldif_fini(struct dir_ldif *l);
/* 1: an entry, until the next call.  0: the end.  -EBADMSG with *why: this entry is none, and the next call goes on
 * behind it. */
int dir_ldif_next(struct dir_ldif *l, const char **why) MUSTCHECK;
/* The first value of a name, or empty; has it the value (ASCII case ignored)? */
struct slice dir_ldif_get(const struct dir_ldif *l, const char *name);
bool dir_ldif_has(const struct dir_ldif *l, const char *name, const char *value);
/* Appends "name: value" and a line end, as base64 where it needs that. */
void dir_ldif_write(struct buf *b, const char *name, struct slice value);
#endif
