/* directory/modify.h: changes to entries, by an account of its own.
 *
 * A writer is one connection, bound as an account that slapd lets change what its daemon is for and
 * nothing else (never as ldap.bind_dn, which only reads).  A change may carry an assertion (RFC
 * 4528: nothing happens unless the entry still fits) and ask what stood there before it (pre-read,
 * RFC 4527), so that read, decide, change is one step however many daemons do it.
 * It may be done as somebody else (proxied authorisation, RFC 4370): slapd decides by that person's rights,
 * and lets only those accounts do so whose entries say for whom (authzTo, tiermail-directory(7)).
 * A change that was sent and not answered may have happened: that is DIR_UNKNOWN, nothing is
 * sent twice, and an assertion makes asking again safe.  RFC 4511 4.6. */
#ifndef DIRECTORY_MODIFY_H
#define DIRECTORY_MODIFY_H
#include "directory/directory.h"

struct dir_writer;
/* Uses the servers of ldap.provider, or those of d, whose first should be the provider then; dn and
 * password are copied.
 * Connects with the first change. */
struct dir_writer *dir_writer_new(struct dir *d, const char *dn, const char *password);
/* Before d.  Changes that wait are dropped, their `done` is not called. */
void dir_writer_free(struct dir_writer **w);

enum dir_how { DIR_ADD, DIR_DELETE, DIR_REPLACE };
struct dir_change {
	enum dir_how how;
	const char *attribute;
	const struct slice *values; /* none with DIR_DELETE or DIR_REPLACE: the whole attribute */
	size_t nvalues;
};
struct dir_modify {
	struct slice dn;
	const struct dir_change *changes;
	size_t nchanges;
	const char *assertion;     /* a filter (directory/filter.h), or NULL */
	const char *const *before; /* attributes to be told of, NULL-terminated, or NULL */
	struct slice as;           /* the DN in whose name; empty: the writer's own */
};

enum dir_modify_result {
	DIR_MODIFIED,
	DIR_ASSERTION_FAILED, /* the entry is not as it was thought to be; nothing happened */
	DIR_NO_ENTRY,
	DIR_DENIED,      /* this account may not; or the server does not take the change */
	DIR_MODIFY_AWAY, /* nothing was sent: ask again later */
	DIR_UNKNOWN      /* it was sent, and no answer came */
};
/* A value that stood there before.  Borrowed: valid while `done` runs. */
struct dir_before {
	struct slice attribute, value;
};
struct dir_modified {
	enum dir_modify_result result;
	const char *why; /* the server's words, for logs; never NULL */
	const struct dir_before *before;
	size_t nbefore;
};
typedef void (*dir_modify_done)(void *arg, const struct dir_modified *);

/* Everything in *m is copied.  op_cancel forgets the answer, not the change. */
void dir_modify_start(struct dir_writer *w, const struct dir_modify *m, struct op *op,
    dir_modify_done done, void *arg);
/* The entry as the writer's server has it now, past every cache: what a change begins with.  `attributes`
 * (NULL-terminated, copied) come as `before`, DIR_MODIFIED says that the entry is there, and the entry of a
 * DN that `as` may not see is none.  The same limits hold. */
void dir_read_start(struct dir_writer *w, struct slice dn, struct slice as,
    const char *const *attributes, struct op *op, dir_modify_done done, void *arg);
/* Values of an answer that are told; of an entry with more, none are, and the result is DIR_DENIED. */
#define DIR_BEFORE_MAX 256
#endif
