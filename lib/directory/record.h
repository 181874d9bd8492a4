/* directory/record.h: an entry of the directory as we keep it: immutable, reference counted,
 * one allocation.  Made from an LDAP message, held by the cache and by whoever is answering. */
#ifndef DIRECTORY_RECORD_H
#define DIRECTORY_RECORD_H
#include <ldap.h>

#include "directory/directory.h"

struct record {
	unsigned refs;
	struct slice base;          /* domain: below which its users are */
	struct dir_domain domain;
	struct dir_user user;
};

/* A domain entry.  NULL with *why when it cannot be used.  The reference is the caller's. */
struct record *record_domain(LDAP *ld, LDAPMessage *m, const char **why);
/* A user entry of `domain`; NULL with *why when it cannot be used, NULL and *why NULL when
 * it is no user at all (a group, say). */
struct record *record_user(LDAP *ld, LDAPMessage *m, const struct dir_domain *domain,
    const char **why);
struct record *record_ref(struct record *r);
void record_unref(struct record **r);

/* What to ask slapd for. */
extern const char *const record_domain_attrs[];
extern const char *const record_user_attrs[];
#endif
