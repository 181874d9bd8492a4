/* directory/search.h: the addresses of all entries that an LDAP URL finds (memberURL of a list).
 *
 * RFC 4516 URLs without a host: base, scope and filter; the attributes are ours to choose.  The result is
 * paged (RFC 2696) over a connection of its own, and the next page is asked for only when the caller
 * wants it.  What ends early is a temporary failure: half a list is no list. */
#ifndef DIRECTORY_SEARCH_H
#define DIRECTORY_SEARCH_H
#include "directory/directory.h"

#define DIR_PAGE 500 /* entries of a page */

/* Borrowed while `done` runs. */
struct dir_page {
	struct verdict v; /* OK; TEMP: cannot be told now, or the URL cannot be used (4.3.5) */
	const struct slice *addresses;
	size_t n;
	bool more; /* there is another page: dir_search_more, or op_cancel */
};
typedef void (*dir_search_done)(void *arg, const struct dir_page *);

/* Like net/op.h, but `done` is called for each page; the op is over with the one that has no `more`. */
void
dir_search_start(struct dir *d, struct slice url, struct op *op, dir_search_done done, void *arg);
void dir_search_more(struct op *op);

/* "ldap:///base?attributes?scope?filter" into its parts, decoded, in the buffer (with NULs between).
 * Scope: LDAP's number, base when it is not said (RFC 4516 3).  0, or -EINVAL with *why.  Pure. */
int dir_url_parse(struct slice url, struct buf *b, const char **base, int *scope,
    const char **filter, const char **why) MUSTCHECK;
#endif
