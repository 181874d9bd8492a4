/* directory/directory.h: users, domains and passwords from LDAP.
 *
 * Asynchronous over libldap (which lives only here): one search connection per worker with up
 * to 64 searches outstanding, a pool of connections for binds, a list of replicas with
 * failover, and a cache of answers (positive and negative) with size and age.
 * Attributes and layout: tiermail-directory(7).  An outage is never "no such user": it is a
 * TEMP verdict (4.3.0). */
#ifndef DIRECTORY_DIRECTORY_H
#define DIRECTORY_DIRECTORY_H
#include "mail/verdict.h"
#include "net/loop.h"
#include "net/op.h"

struct dir;
struct dir *dir_new(struct loop *l);   /* from conf/shared.h; connects on first use */
void dir_reload(struct dir *d);        /* settings changed: new connections, empty cache */
void dir_free(struct dir **d);
void dir_status(struct dir *d, struct buf *out); /* key=value: server, outstanding, hits, misses */
/* For daemon.check: what is wrong with the ldap.* settings, a line each; false when something is. */
bool dir_check(struct buf *out);

enum dir_status { DIR_ACTIVE, DIR_INACTIVE, DIR_DISABLED, DIR_DELETED, DIR_HOLD, DIR_OVERQUOTA };

/* mailDeliveryOption */
enum { DIR_MAILBOX = 1, DIR_FORWARD = 2, DIR_AUTOREPLY = 4, DIR_PROGRAM = 8, DIR_NATIVE = 16 };

/* A domain of ours.  Borrowed: valid while `done` runs. */
struct dir_domain {
	struct slice name;        /* canonical (sunPreferredDomain), lower case */
	enum dir_status status;   /* inetDomainStatus and mailDomainStatus combined */
	struct slice catchall;    /* mailDomainCatchallAddress or empty */
	struct slice smarthost;   /* mailRoutingSmartHost or empty */
	char separator;           /* domainUidSeparator, '@' */
};
/* A user of ours.  Borrowed: valid while `done` runs; copy what is kept. */
struct dir_user {
	struct slice dn;
	struct slice uid;         /* as in the entry */
	struct slice domain;      /* canonical domain */
	struct slice account;     /* "uid@domain", lower case: the name in the store and in logs */
	struct slice mail;        /* primary address */
	struct slice *addresses; size_t naddresses; /* mail, mailAlternateAddress, mailEquivalentAddress */
	struct slice mailhost;    /* lower case; empty when absent */
	struct slice partition;   /* mailMessageStore or empty */
	enum dir_status status;   /* user and domain statuses combined: first that is not active */
	unsigned delivery;        /* DIR_MAILBOX | ... ; DIR_MAILBOX when absent */
	struct slice *forward; size_t nforward;
	int64_t quota_bytes;      /* -1 = unlimited, -2 = default of the store */
	int64_t quota_msgs;
	int64_t max_message;      /* bytes (mailMsgMaxBlocks), 0 = no limit of its own */
	struct slice services;    /* mailAllowedServiceAccess or empty */
};

/* The answer to every question.  v.kind: OK; PERM 5.1.1 no such user / 5.1.2 no such domain;
 * TEMP 4.3.0 directory away. */
struct dir_answer {
	struct verdict v;
	const struct dir_domain *domain; /* NULL: the domain is not ours */
	const struct dir_user *user;     /* NULL: no such user (domain may be set) */
	bool alias;                      /* found by another address than `mail` */
};
typedef void (*dir_done)(void *arg, const struct dir_answer *);

/* Is `name` (a domain, any case) ours? */
void dir_domain_start(struct dir *d, struct slice name, struct op *op, dir_done done, void *arg);
/* Who gets mail for local@domain?  Tries mail, mailAlternateAddress, mailEquivalentAddress,
 * then without a subaddress (local part cut at the first '+'), then the catchall. */
void dir_rcpt_start(struct dir *d, struct slice local, struct slice domain, struct op *op,
    dir_done done, void *arg);
/* Is this the password of this login (uid, uid@domain or an address of the user; a bare uid
 * gets the default domain)?  Checked by binding.  OK with user; PERM 5.7.8 wrong or unknown
 * (alike, in like time); PERM 5.7.13 account not active; TEMP 4.7.0 directory away.
 * `password` is copied and wiped. */
void dir_auth_start(struct dir *d, struct slice login, struct slice password, struct op *op,
    dir_done done, void *arg);
/* The user of a login without a password (proxies, EXTERNAL).  Answers like dir_rcpt_start. */
void dir_login_start(struct dir *d, struct slice login, struct op *op, dir_done done, void *arg);
#endif
