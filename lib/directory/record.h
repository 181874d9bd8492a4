/* directory/record.h: an entry of the directory as we keep it: immutable, reference counted,
 * one allocation.  Made from an LDAP message, held by the cache and by whoever is answering. */
#ifndef DIRECTORY_RECORD_H
#define DIRECTORY_RECORD_H
#include <ldap.h>

#include "directory/directory.h"

/* Bits, so that an attribute can be several kinds'. */
enum record_kind {
	RECORD_DOMAIN = 1,
	RECORD_USER = 2,
	RECORD_GROUP = 4,
	RECORD_MEMBER = 8, /* of any class: what is wanted is its address */
	/* Not kinds, but what is wanted of them besides: scripts. */
	RECORD_USER_SCRIPTS = 16,
	RECORD_DOMAIN_SCRIPTS = 32,
	RECORD_USER_VERIFIER = 64, /* what SCRAM is checked against */
	RECORD_ALL = 127
};

struct record {
	unsigned refs;
	size_t size;           /* bytes of all of it */
	enum record_kind kind; /* one of them */
	struct slice base;     /* domain: below which its users are */
	struct dir_domain domain;
	struct dir_user user;
	struct dir_group group;
	struct slice mail; /* member: its address, or empty */
	uint64_t shown_at; /* domain: monotonic ms when a user was last seen below it; 0 = never */
};

/* A domain entry.  NULL with *why when it cannot be used, NULL and *why NULL when `asked` is none
 * of its names but for LDAP's way to compare.  The reference is the caller's. */
struct record *
dir_record_domain(LDAP *ld, LDAPMessage *m, unsigned kinds, struct slice asked, const char **why);
/* A user or group entry of `domain`, as `kinds` allow; NULL with *why when it cannot be used, NULL and
 * *why NULL when it is of neither kind. */
struct record *dir_record_entry(LDAP *ld, LDAPMessage *m, unsigned kinds,
    const struct dir_domain *domain, const char **why);
struct record *dir_record_member(LDAP *ld, LDAPMessage *m, const char **why);
/* The addresses that a user or group is found by. */
struct dir_values dir_record_addresses(const struct record *r);
struct record *dir_record_ref(struct record *r);
void dir_record_unref(struct record **r);

/* What to ask slapd for; NULL-terminated. */
const char *const *dir_record_attrs(unsigned kinds);
#endif
