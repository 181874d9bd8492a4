/* directory/agent.h: everything that LDAP can do, done as a person.
 *
 * An agent is one connection with one job at a time, bound as somebody: a person by name and
 * password, whoever the socket or the certificate says (SASL EXTERNAL), or an account that acts for
 * others, which each job names (proxied authorisation, RFC 4370): slapd's access rules of that person
 * decide, and its log has the name.  For lib/admin, the only one that changes what others own; daemons
 * that change an attribute of their own use directory/modify.h.
 * A change that was sent and not answered may have happened: that is DIR_R_UNKNOWN, and nothing is
 * sent twice. */
#ifndef DIRECTORY_AGENT_H
#define DIRECTORY_AGENT_H
#include "directory/modify.h"

struct dir_agent;
/* Servers alone, of conf/shared.h: for tools, which read nothing as the service. */
struct dir *dir_new_idle(struct loop *l);
/* The same of other servers than ldap.url's: *urls is read now and at a reload. */
struct dir *dir_new_at(struct loop *l, char ***urls);
/* At the servers of ldap.provider, or those of d.  dn and password are copied; a NULL password: SASL EXTERNAL.  Connects with the first job. */
struct dir_agent *dir_agent_new(struct dir *d, const char *dn, const char *password);
/* The same at those of d: for who changes nothing. */
struct dir_agent *dir_agent_reader(struct dir *d, const char *dn, const char *password);
/* Another one, of the same servers. */
struct dir_agent *dir_agent_other(struct dir_agent *a, const char *dn, const char *password);
/* Before d.  A job that is on its way is dropped: its `done` is not called. */
void dir_agent_free(struct dir_agent **a);

enum dir_task {
	DIR_SEARCH,
	DIR_CREATE, /* RFC 4511 4.7, with `changes` as its attributes */
	DIR_MODIFY,
	DIR_REMOVE,
	DIR_RENAME,
	DIR_PASSWORD, /* RFC 3062: the server hashes */
	DIR_WHOAMI    /* RFC 4532 */
};
enum dir_scope { DIR_SCOPE_BASE, DIR_SCOPE_ONE, DIR_SCOPE_SUB };

/* RFC 4511 appendix A, as far as somebody acts on the difference. */
enum dir_result {
	DIR_R_OK,
	DIR_R_DENIED, /* insufficient access, or an entry that is not disclosed */
	DIR_R_NO_ENTRY,
	DIR_R_EXISTS,
	DIR_R_CHANGED,   /* the assertion failed */
	DIR_R_CHILDREN,  /* not allowed on an entry that has some */
	DIR_R_SCHEMA,    /* object class or naming violation, undefined attribute */
	DIR_R_VALUE,     /* invalid syntax, constraint violation */
	DIR_R_NO_VALUE,  /* what is to go is not there */
	DIR_R_HAS_VALUE, /* what is to come is there */
	DIR_R_LIMIT,     /* more entries, or more time, than the server gives */
	DIR_R_LOGIN,     /* the bind was refused */
	DIR_R_PROXY,     /* one may not act for that person */
	DIR_R_READ_ONLY, /* a replica */
	DIR_R_AWAY,      /* nothing was done: ask again later */
	DIR_R_UNKNOWN,   /* it was sent, and no answer came */
	DIR_R_OTHER
};

/* What is to be done.  All of it is copied, and may not be of the answer before. */
struct dir_job {
	enum dir_task task;
	const char *dn; /* of the entry; the base of a search */
	const char *as; /* "dn:..." (RFC 4513 5.2.1.8) of the person acted for, NULL: as bound */
	const char *assertion; /* a filter that the entry must fit (RFC 4528), or NULL */
	/* DIR_SEARCH */
	enum dir_scope scope;
	const char *filter;       /* NULL: any entry */
	const char *const *attrs; /* NULL-terminated; NULL: all of users */
	unsigned page;            /* entries of a page (RFC 2696), 0: all at once */
	struct slice cookie;      /* of the page before, on this agent */
	const char *sort; /* "uid:caseIgnoreOrderingMatch" (RFC 2891), "-" in front: descending */
	unsigned limit;   /* entries, 0: the server's */
	/* DIR_CREATE, DIR_MODIFY */
	const struct dir_change *changes;
	size_t nchanges;
	const char *const *before; /* to be told of (RFC 4527), or NULL */
	/* DIR_RENAME */
	const char *rdn, *superior; /* superior NULL: stays where it is */
	/* DIR_PASSWORD; empty: the server makes one */
	struct slice password;
};

struct dir_attribute {
	struct slice name; /* as the server writes it */
	const struct slice *values;
	size_t n;
};
struct dir_entry {
	struct slice dn;
	const struct dir_attribute *attrs;
	size_t n;
};
/* The answer; what it points to stays until the agent's next job, or its end. */
struct dir_outcome {
	enum dir_result result;
	const char *why;                 /* the server's words, never NULL */
	const struct dir_entry *entries; /* found; or the one before the change */
	size_t n;
	struct slice cookie; /* of the next page; empty: that was the last */
	struct slice text;   /* the password that was made; who we are */
};
typedef void (*dir_agent_done)(void *arg, const struct dir_outcome *);

#define DIR_ENTRIES_BYTES (64 * 1024 * 1024) /* of one answer; more is DIR_R_LIMIT */

/* One at a time.  op_cancel forgets the answer, not the change. */
void dir_agent_start(struct dir_agent *a, const struct dir_job *j, struct op *op,
    dir_agent_done done, void *arg);
/* Is a connection there that works? */
bool dir_agent_up(const struct dir_agent *a);
#endif
