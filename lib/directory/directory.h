/* directory/directory.h: users, domains and passwords from LDAP.
 *
 * Asynchronous over libldap (which lives only here): one search connection per worker with up
 * to 64 searches outstanding, a pool of connections for binds, a list of replicas with
 * failover, and a cache of answers (positive and negative) with size and age.
 * Attributes and layout: tiermail-directory(7).  An outage is never "no such user": it is a
 * TEMP verdict (4.3.0), and so is a directory that shows nothing (4.3.5): absence is believed
 * only when something else was to be seen in the last minute. */
#ifndef DIRECTORY_DIRECTORY_H
#define DIRECTORY_DIRECTORY_H
#include "mail/verdict.h"
#include "net/addr.h"
#include "net/loop.h"
#include "net/op.h"

struct dir;
struct dir *dir_new(struct loop *l); /* from conf/shared.h; connects, and looks for a domain */
void dir_reload(struct dir *d);      /* settings changed: new connections, empty cache */
/* What is remembered of this account goes: entry, status, password. */
void dir_forget(struct dir *d, struct slice account);
void dir_free(struct dir **d);
void dir_forget_all(struct dir *d);
/* key=value: server, outstanding, hits, misses; then "error: why" on a line of its own while the
 * directory shows nothing below ldap.base. */
void dir_status(struct dir *d, struct buf *out);
/* The daemon's gauge that is 1 meanwhile (DIR_METRIC_HELP). */
void dir_metric(struct dir *d, size_t id);
#define DIR_METRIC_HELP "Workers that see no domain below ldap.base."
/* For daemon.check: what is wrong with the ldap.* settings, a line each; false when something is. */
bool dir_check(struct buf *out);
/* Before the first question: this program carries out Sieve scripts, and the answers have them.  Others
 * neither ask for them nor keep them in memory. */
void dir_want_scripts(struct dir *d);
/* The same: this program lets people in, and the answers have what login.scram needs. */
void dir_want_verifiers(struct dir *d);
#define DIR_SCRIPTS_MAX                                                                            \
	(256 * 1024) /* octets of all scripts of an entry; more are none, and logged */

/* A script that begins so has its name in this first line, which is not part of it (rules/rules.h). */
#define DIR_SCRIPT_LABEL "# tiermail-script: "

enum dir_status {
	DIR_ACTIVE,
	DIR_INACTIVE,
	DIR_DISABLED,
	DIR_DELETED,
	DIR_HOLD,
	DIR_OVERQUOTA,
	DIR_DEFER /* mail waits in the queue, and is tried there */
};

/* mailDeliveryOption */
enum {
	DIR_MAILBOX = 1,
	DIR_FORWARD = 2,
	DIR_AUTOREPLY = 4,
	DIR_PROGRAM = 8,
	DIR_NATIVE = 16,
	DIR_FILE = 32,
	DIR_KEEP = 64 /* the word is "hold" */
};

/* mailAntiUBEService of an entry: "none" among its values, or others. */
enum dir_spam { DIR_SPAM_UNSAID, DIR_SPAM_IN, DIR_SPAM_OUT };

/* The values of an attribute, in the directory's order. */
struct dir_values {
	const struct slice *v;
	size_t n;
};

/* A domain of ours.  Borrowed: valid while `done` runs. */
struct dir_domain {
	struct slice name;      /* canonical (sunPreferredDomain), lower case */
	struct slice base;      /* the DN below which its entries are */
	enum dir_status status; /* inetDomainStatus and mailDomainStatus combined */
	struct slice catchall;  /* mailDomainCatchallAddress or empty */
	struct slice smarthost; /* mailRoutingSmartHost or empty */
	struct slice services;  /* mailDomainAllowedServiceAccess or empty */
	char separator;         /* domainUidSeparator, '@' */
	/* mailRoutingHosts, lower case: with one that is not us it is they who route its mail. */
	struct dir_values routing_hosts;
	struct dir_values scripts; /* mailDomainSieveRuleSource, as in dir_user */
	int64_t
	    quota_bytes; /* mailDomainDiskQuota, of all accounts together; -1 and -2 = no limit */
	int64_t quota_msgs; /* mailDomainMsgQuota */
	enum dir_spam spam; /* for users who say nothing */
};
/* What vacationStartDate, mailAutoReplyText and so on say; only after dir_want_scripts. */
struct dir_vacation {
	struct slice subject, text, text_internal; /* UTF-8, empty when absent */
	int64_t start_at, end_at;                  /* unix seconds; 0 and INT64_MAX when absent */
	int64_t hours;                             /* before the same sender is answered again */
	bool echo;                                 /* the message goes back with the answer */
};
/* A value of vacationStartDate, vacationEndDate: "YYYYMMDDhhmmssZ", with the end of it or a fraction missing or
 * not.  False: it is none, and counts as absent. */
bool dir_time_parse(struct slice s, int64_t *at);
/* A user of ours.  Borrowed: valid while `done` runs; copy what is kept. */
struct dir_user {
	struct slice dn;
	struct slice uid;     /* as in the entry */
	struct slice domain;  /* canonical domain */
	struct slice account; /* "uid@domain", lower case: the name in the store and in logs */
	struct slice mail;    /* primary address */
	struct slice *addresses;
	size_t naddresses;      /* mail, mailAlternateAddress, mailEquivalentAddress */
	struct slice mailhost;  /* lower case; empty when absent */
	struct slice partition; /* mailMessageStore or empty */
	enum dir_status status; /* user and domain statuses combined: first that is not active */
	unsigned delivery;      /* DIR_MAILBOX | ... ; DIR_MAILBOX when absent */
	struct slice routing;   /* mailRoutingAddress or empty */
	struct slice *forward;
	size_t nforward;
	struct dir_values programs; /* mailProgramDeliveryInfo: names of piped's list */
	int64_t quota_bytes;        /* -1 = unlimited, -2 = default of the store */
	int64_t quota_msgs;
	int64_t max_message; /* bytes (mailMsgMaxBlocks), 0 = no limit of its own */
	struct slice
	    uuid; /* entryUUID: another one when an entry of this name is made anew; empty: not to be seen */
	int64_t password_at; /* pwdChangedTime, unix seconds; 0 when absent: slapd has no policy */
	struct slice services; /* mailAllowedServiceAccess or empty */
	/* tiermailScram, only after dir_want_verifiers: what the password is proved against, and when that was changed;
	 * empty: there is none, or our account may not read it. */
	struct slice verifier;
	bool second_factor; /* tiermailSecondFactor: the password alone is not enough */
	bool factor_hidden; /* the entry's class says so, and our account may not read it */
	/* mailSieveRuleSource: those that begin with {n} by their numbers and without these, then the
	 * others; without the labels.  Only after dir_want_scripts. */
	struct dir_values scripts;
	/* tiermailSieveScript as it stands there, if one of the scripts looks as if it included others, or one as if it ran
	 * for what people do (imapsieve): then also the one of mailSieveRuleSource that does, without its label. */
	struct dir_values library;
	struct dir_vacation vacation;
	enum dir_spam spam;
	struct slice language; /* preferredLanguage (RFC 2798), a list of tags; or empty */
};

/* A mailing list of ours.  Borrowed like a user. */
struct dir_group {
	struct slice dn;
	struct slice domain; /* canonical domain */
	struct slice mail;   /* primary address */
	struct dir_values addresses;
	enum dir_status status; /* domain and group (inetMailGroupStatus) combined */
	/* Who is in it: DNs (uniqueMember), LDAP URLs (memberURL, mgrpDeliverTo), addresses
	 * (mgrpRFC822MailMember). */
	struct dir_values members, urls, rfc822;
	/* Who may send to it: mgrpAllowedBroadcaster and so on, as they stand there. */
	struct dir_values allowed, disallowed, allowed_domains, disallowed_domains;
	struct dir_values policy, moderators, reject_action;
	struct slice errors_to, reject_text; /* empty when absent */
	/* What its members get is not what was sent: fields that are added ("Name: text") and removed
	 * (names), text in front and behind; and a password that the message must bring. */
	struct dir_values add_fields, remove_fields;
	struct slice prefix, suffix, password; /* empty when absent */
	int64_t max_message;                   /* bytes (mgrpMsgMaxSize), 0 = no limit of its own */
};

/* The answer to every question.  v.kind: OK; PERM 5.1.1 no such user / 5.1.2 no such domain;
 * TEMP 4.3.0 directory away. */
struct dir_answer {
	struct verdict v;
	const struct dir_domain *domain; /* NULL: the domain is not ours */
	const struct dir_user *user;     /* NULL: no such user (domain may be set) */
	const struct dir_group *group;   /* dir_entry_start: it is a list; `user` is NULL then */
	struct slice member;             /* dir_member_start: the entry's address; empty: none */
	bool alias;                      /* found by another address than `mail` */
};
typedef void (*dir_done)(void *arg, const struct dir_answer *);

/* Is `name` (a domain, any case) ours? */
void dir_domain_start(struct dir *d, struct slice name, struct op *op, dir_done done, void *arg);
/* Who gets mail for local@domain?  Tries mail, mailAlternateAddress, mailEquivalentAddress: of the
 * whole local part, of name+* for one with a subaddress (cut at the first '+'), of name alone, of
 * @domain; then mailDomainCatchallAddress.  The first that fits counts. */
void dir_rcpt_start(struct dir *d, struct slice local, struct slice domain, struct op *op,
    dir_done done, void *arg);
/* The same, and mailing lists count: user or group is set when v is OK. */
void dir_entry_start(struct dir *d, struct slice local, struct slice domain, struct op *op,
    dir_done done, void *arg);
/* The address (mail) of the entry with this DN.  PERM 5.1.1: the server says that there is no such entry, or it
 * is not below ldap.base; TEMP 4.3.5: it may be there, and is not for us to see. */
void dir_member_start(struct dir *d, struct slice dn, struct op *op, dir_done done, void *arg);
/* Is this the password of this login (uid, uid@domain or an address of the user; a bare uid
 * gets the default domain)?  Checked by binding.  OK with user, whatever his status (login/rules.h
 * says what that means); PERM 5.7.8 wrong or unknown (alike, in like time); TEMP 4.7.0 directory
 * away.  What is remembered of the user is 5 s old at most, but while no directory answers; a password
 * that was changed since (pwdChangedTime) is not remembered.  `password` is copied and wiped.  Clients take turns for the connections that bind: one
 * with many wrong passwords and a slow hash lets others wait for one bind, not for all of his. */
void dir_auth_start(struct dir *d, struct slice login, struct slice password,
    const struct addr *client, struct op *op, dir_done done, void *arg);
/* The same, but what is remembered of the user is `age_ms` old at most (not 0): for what outlasts a changed password. */
void dir_auth_now_start(struct dir *d, struct slice login, struct slice password,
    const struct addr *client, uint64_t age_ms, struct op *op, dir_done done, void *arg);
/* The user of a login without a password (proxies, EXTERNAL).  Answers like dir_rcpt_start. */
void dir_login_start(struct dir *d, struct slice login, struct op *op, dir_done done, void *arg);
/* The same as it stands there now, or stood `age_ms` ago (not 0).  While no directory answers, what is remembered is
 * good for ldap.cache_age, as everywhere. */
void dir_login_now_start(struct dir *d, struct slice login, uint64_t age_ms, struct op *op,
    dir_done done, void *arg);
#endif
