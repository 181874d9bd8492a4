/* login/rules.h: what the directory's words mean for somebody at the door: the status of user and
 * domain by purpose, whose name one may act in, which host keeps a mailbox, which quota holds,
 * and what each outcome is called in SMTP, IMAP and the log.  Pure; tiermail-directory(7).
 *
 * Every daemon asks here, so that the same user is never told two things by two of them. */
#ifndef LOGIN_RULES_H
#define LOGIN_RULES_H
#include "directory/directory.h"
#include "store/format.h"

/* What somebody wants. */
enum login_purpose {
	LOGIN_READ,    /* to log in and read mail */
	LOGIN_SUBMIT,  /* to authenticate and send mail */
	LOGIN_DELIVER, /* that mail is taken for this user */
	LOGIN_PURPOSES
};

/* What is said to it. */
enum login_rule {
	LOGIN_RULE_YES,
	LOGIN_RULE_HOLD,  /* DELIVER: take it and keep it in the queue; who has none lets it wait */
	LOGIN_RULE_DEFER, /* DELIVER: take it and let the queue try; who has none lets it wait */
	LOGIN_RULE_WAIT,  /* DELIVER: not now, and nobody is to blame */
	LOGIN_RULE_FULL,  /* DELIVER: not while the mailbox is over its quota */
	LOGIN_RULE_NO,    /* the account is disabled */
	LOGIN_RULE_GONE,  /* DELIVER: as if it had never been */
};

/* The one table. */
enum login_rule login_rule(enum dir_status status, enum login_purpose purpose);
/* The verdict of a rule for DELIVER, in the same words everywhere.  `permanent`: a full mailbox is
 * refused for good instead of waiting.  HOLD and DEFER are the verdict of WAIT here. */
struct verdict login_rule_verdict(enum login_rule rule, bool permanent);

/* May who has proved to be `user`, and called himself `authcid`, act in the name `authzid`
 * (RFC 4422 2)?  In one's own only: an empty one, authcid repeated, or the account. */
bool login_may_act(const struct dir_user *user, struct slice authcid, struct slice authzid);

/* Does a mailbox with this mailHost live on this host: no mailHost at all, shared.hostname or
 * one of `hosts` (NULL-terminated, may be NULL)?  `any` makes it so. */
bool login_is_here(struct slice mailhost, char *const *hosts, bool any);

/* The store's limit from a quota of the directory (-1 none, -2 the default): bytes or messages,
 * 0 = no limit.  A quota of 0 is 1: nothing more fits. */
uint64_t login_quota(int64_t of_user, int64_t dflt);

/* The store's limits of this user, of a domain of ours; either may be NULL, and then says nothing. */
struct store_limits login_limits(const struct dir_user *u, const struct dir_domain *d);

/* How a login ends. */
enum login_outcome {
	LOGIN_OK,
	LOGIN_WRONG,     /* name or password, never which; also what is no name at all */
	LOGIN_INACTIVE,  /* right, but the status says no */
	LOGIN_FORBIDDEN, /* right, but mailAllowedServiceAccess says not from here */
	LOGIN_NOT_YOURS, /* right, but the authorisation identity is somebody else */
	LOGIN_ELSEWHERE, /* right, but the mailbox is on another host */
	LOGIN_AWAY,      /* we cannot tell now */
	LOGIN_APP,  /* right, but with a second factor only application passwords are taken here */
	LOGIN_CODE, /* right, and a code of the second factor is wanted */
	LOGIN_CODE_WRONG, /* right, but the code is not, or too many were wrong lately */
	LOGIN_TOKEN,      /* the token is not good */
	LOGIN_SCOPE,      /* it is, but lacks a scope of this service */
	LOGIN_OUTCOMES
};
struct login_answer {
	enum verdict_kind kind; /* for SMTP (RFC 4954 6, RFC 5248): a row of mail/outcome.h */
	int reply;
	const char *esc, *text;
	const char *imap; /* response code (RFC 5530) and text */
	const char *log;  /* of `result=` */
	bool counts;      /* as a failure: delayed, and too many end the connection */
};
const struct login_answer *login_answer(enum login_outcome outcome);
#endif
