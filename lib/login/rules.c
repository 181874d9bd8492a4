/* login/rules.c: the tables of rules.h.
 *
 * Owns nothing; called by login.c and by whoever takes mail for users.  Nothing here can fail.
 * What must stay true: a status that a table does not know would be a permanent refusal by
 * accident, so both tables are indexed by their enums and the asserts below count them.  In
 * one file because one look at it must tell all that a status does. */
#include "login/rules.h"

#include "conf/shared.h"
#include "mail/outcome.h"

/* clang-format off */
static const uint8_t rules[][LOGIN_PURPOSES] = {
	/*                    READ             SUBMIT           DELIVER */
	[DIR_ACTIVE]    = { LOGIN_RULE_YES, LOGIN_RULE_YES, LOGIN_RULE_YES },
	[DIR_OVERQUOTA] = { LOGIN_RULE_YES, LOGIN_RULE_YES, LOGIN_RULE_FULL },
	[DIR_INACTIVE]  = { LOGIN_RULE_NO,  LOGIN_RULE_NO,  LOGIN_RULE_WAIT },
	[DIR_HOLD]      = { LOGIN_RULE_NO,  LOGIN_RULE_NO,  LOGIN_RULE_HOLD },
	[DIR_DISABLED]  = { LOGIN_RULE_NO,  LOGIN_RULE_NO,  LOGIN_RULE_NO },
	[DIR_DELETED]   = { LOGIN_RULE_NO,  LOGIN_RULE_NO,  LOGIN_RULE_GONE },
	[DIR_DEFER]     = { LOGIN_RULE_YES, LOGIN_RULE_YES, LOGIN_RULE_DEFER },
};

static const struct login_answer answers[LOGIN_OUTCOMES] = {
	[LOGIN_OK]        = { OUT_LOGIN_OK, "", "ok", false },
	[LOGIN_WRONG]     = { OUT_LOGIN_WRONG,
	    "[AUTHENTICATIONFAILED] Wrong name or password", "failed", true },
	[LOGIN_INACTIVE]  = { OUT_LOGIN_INACTIVE,
	    "[CONTACTADMIN] This account is not active", "inactive", true },
	[LOGIN_FORBIDDEN] = { OUT_LOGIN_FORBIDDEN,
	    "[NOPERM] This service is not for you from here", "forbidden", true },
	[LOGIN_NOT_YOURS] = { OUT_LOGIN_WRONG,
	    "[AUTHORIZATIONFAILED] No proxy authorisation", "refused", true },
	[LOGIN_ELSEWHERE] = { OUT_LOGIN_ELSEWHERE,
	    "[CONTACTADMIN] This mailbox is on another host", "elsewhere", false },
	[LOGIN_AWAY]      = { OUT_LOGIN_AWAY,
	    "[UNAVAILABLE] Cannot check passwords now", "error", false },
	[LOGIN_APP]       = { OUT_LOGIN_APP,
	    "[AUTHENTICATIONFAILED] An application password is needed here", "app", true },
	[LOGIN_CODE]      = { OUT_LOGIN_APP, /* SMTP asks for none */
	    "[AUTHENTICATIONFAILED] A code is needed", "code_missing", false },
	[LOGIN_CODE_WRONG] = { OUT_LOGIN_WRONG,
	    "[AUTHENTICATIONFAILED] Wrong code", "code_wrong", true },
	[LOGIN_TOKEN]     = { OUT_LOGIN_WRONG,
	    "[AUTHENTICATIONFAILED] The token is not valid", "token", true },
	[LOGIN_SCOPE]     = { OUT_LOGIN_FORBIDDEN,
	    "[NOPERM] The token is not for this service", "scope", true },
};
/* clang-format on */

_Static_assert(NELEM(rules) == DIR_DEFER + 1, "every status has its row");

enum login_rule
login_rule(enum dir_status status, enum login_purpose purpose)
{
	return (enum login_rule)rules[status][purpose];
}

struct verdict
login_rule_verdict(enum login_rule rule, bool permanent)
{
	switch (rule) {
	case LOGIN_RULE_YES: break;
	case LOGIN_RULE_FULL:
		return permanent ? verdict(OUT_QUOTA_FULL) : verdict(OUT_QUOTA_FULL_NOW);
	case LOGIN_RULE_HOLD:
	case LOGIN_RULE_DEFER:
	case LOGIN_RULE_WAIT: return verdict(OUT_USER_INACTIVE);
	case LOGIN_RULE_NO: return verdict(OUT_USER_DISABLED);
	case LOGIN_RULE_GONE: /* not told apart from a name that nobody ever had */
		return verdict(OUT_USER_UNKNOWN);
	}
	return verdict(OUT_RCPT_OK);
}

bool
login_may_act(const struct dir_user *user, struct slice authcid, struct slice authzid)
{
	return authzid.n == 0 || slice_ieq(authzid, authcid) || slice_ieq(authzid, user->account);
}

bool
login_is_here(struct slice mailhost, char *const *hosts, bool any)
{
	if (any || mailhost.n == 0 || slice_ieq(mailhost, slice_str(shared.hostname)))
		return true;
	for (; hosts && *hosts; hosts++)
		if (slice_ieq(mailhost, slice_str(*hosts)))
			return true;
	return false;
}

uint64_t
login_quota(int64_t of_user, int64_t dflt)
{
	if (of_user == -2)
		of_user = dflt > 0 ? dflt : -1;
	return of_user < 0 ? 0 : of_user == 0 ? 1 : (uint64_t)of_user;
}

struct store_limits
login_limits(const struct dir_user *u, const struct dir_domain *d)
{
	return (struct store_limits){
		.bytes = login_quota(u ? u->quota_bytes : -2, shared.quota_bytes),
		.messages = login_quota(u ? u->quota_msgs : -2, shared.quota_messages),
		.domain_bytes = login_quota(d ? d->quota_bytes : -1, 0),
		.domain_messages = login_quota(d ? d->quota_msgs : -1, 0),
	};
}

const struct login_answer *
login_answer(enum login_outcome outcome)
{
	return &answers[outcome];
}
