/* directory/filter.h: LDAP search filters (RFC 4515) from hostile words.  Pure. */
#ifndef DIRECTORY_FILTER_H
#define DIRECTORY_FILTER_H
#include "base/buf.h"

/* Appends `value` as an assertion value: everything that is not a letter, a digit or one of
 * a few harmless signs goes in as \XX, so no value can end or widen a filter (RFC 4515 3). */
void dir_filter_value(struct buf *b, struct slice value);
/* Appends "(attribute=value)" with value = local, or local@domain when domain is not empty. */
void
dir_filter_equal(struct buf *b, const char *attribute, struct slice local, struct slice domain);

/* Where to find an LDAP server: "ldapi://%2Fpath", "ldap://host[:port]", "ldaps://...". */
struct ldap_where {
	bool local; /* ldapi: `host` is the path of a Unix socket */
	bool tls;   /* ldaps */
	int port;
	char host[256];
};
/* 0, or -EINVAL with *why. */
int dir_where_parse(struct slice url, struct ldap_where *w, const char **why) MUSTCHECK;
#endif
