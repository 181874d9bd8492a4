/* admin/bulk.h: files of many users, lists or organisations, row by row: a table (RFC 4180) or LDIF (RFC 2849).
 *
 * Reading is pure and gives each row as settings; `admin_bulk_put` makes or changes what a row says.  Used by
 * cmd/diradm, which does a row as it is read, and by jobs (job.h), which keep the rows first. */
#ifndef ADMIN_BULK_H
#define ADMIN_BULK_H
#include "admin/admin.h"

#define ADMIN_BULK_SETTINGS 30000 /* of a row, at most */

/* Borrowed while `fn` runs. */
struct admin_row {
	unsigned line;      /* where it begins, from 1 */
	const char *object; /* "user", "group" or "org" */
	struct slice name;
	const struct admin_setting *settings;
	size_t n;
	struct slice secret; /* a password that nobody has hashed, or empty */
	const char *note;    /* what is to be said beside, or empty */
	const char *why;     /* why it is no row, or NULL */
};
typedef void (*admin_row_fn)(void *arg, const struct admin_row *);

/* Each row of the file; of LDIF the organisations first, then users, then lists.  False with *problem: it is no such
 * file, or no more from a place on. */
bool admin_bulk_read(struct slice text, admin_row_fn fn, void *arg, struct admin_problem *problem);

enum admin_put { ADMIN_PUT_FAILED, ADMIN_PUT_MADE, ADMIN_PUT_CHANGED, ADMIN_PUT_THERE };
/* In a fiber: makes it; what is there already is changed with `update`, else left alone.  *problem says why not. */
enum admin_put
admin_bulk_put(struct loop *l, struct dir_agent *agent, const struct admin_call *call,
    const struct admin_row *row, bool update, struct admin_problem *problem);
const char *admin_put_word(enum admin_put p); /* "failed", "made", "changed", "there" */
#endif
