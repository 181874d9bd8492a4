/* brake.c: how much users and their domains may send in an hour, and what becomes of the rest: a stolen password sends
 * to thousands in minutes, and most of them do not exist.
 *
 * Owns nothing: the counts are those of daemon/admit.h, of all workers and daemons.  session.c asks at MAIL, rcpt.c for each
 * recipient and tells of those that were refused.  Whoever sends by a program of ours, as people do in the web client, is
 * the user that it names (release_account).  Nothing can fail.  Must stay true: with limit.excess = hold a
 * user hears no difference, and nothing of what was sent is lost: it stays in the queue, with the reason, until
 * somebody has looked at it. */
#include "base/log.h"
#include "base/mem.h"
#include "relay.h"

static struct slice
brake_domain(const char *user)
{
	struct slice account = slice_str(user);

	return slice_from(account,
	    slice_rfind(account, '@')); /* with the @: no account is named so */
}

/* Counts `n` refused recipients, under a name that no account has; false: more than `most` (0: no limit) are there, and
 * nothing was counted. */
static bool
brake_failures(const char *user, int64_t n, int64_t most)
{
	char *name = mem_printf(" %s", user);
	bool within = admit_hourly(slice_str(name), 0, n, 0, most);

	mem_free(&name);
	return within;
}

/* The limit that one more would pass, or NULL; counted where none is.  `rcpt`: one recipient, else one message. */
static const char *
brake_passed(struct session *s, const char *user, const struct address *to)
{
	bool rcpt = to;
	int64_t of_user = rcpt ? config.user_rcpts : config.user_messages;
	int64_t of_domain = rcpt ? config.domain_rcpts : config.domain_messages;
	int64_t messages = !rcpt, rcpts = rcpt;

	if (!admit_hourly(slice_str(user), messages, rcpts, rcpt ? 0 : of_user, rcpt ? of_user : 0))
		return rcpt ? "limit.user_rcpts" : "limit.user_messages";
	if (!admit_hourly(brake_domain(user), messages, rcpts, rcpt ? 0 : of_domain,
		rcpt ? of_domain : 0))
		return rcpt ? "limit.domain_rcpts" : "limit.domain_messages";
	if (!rcpt && config.user_failures && !brake_failures(user, 0, config.user_failures))
		return "limit.user_failures";
	if (rcpt && burst_passed(s, user, to))
		return "limit.user_new_rcpts";
	return NULL;
}

bool
brake_lets(struct session *s, const struct address *rcpt)
{
	const char *user = release_account(s), *passed = user ? brake_passed(s, user, rcpt) : NULL;
	bool hold = config.excess == BRAKE_HOLD;

	if (!passed)
		return true;
	if (!hold || !s->asked_for.hold) {
		metric_add(M_BRAKED, 1);
		log_event(LOG_WARN, "brake", "sid=%s qid=%s user=%s limit=%s excess=%s", s->sid,
		    s->qid, log_str(user), passed, hold ? "hold" : "refuse");
		warn_postmaster(user, passed, hold);
	}
	if (hold && !s->asked_for.hold)
		s->asked_for.hold =
		    arena_printf(&s->smtp.arena, "%s: %s has sent more in an hour", passed, user);
	return hold;
}

void
brake_refused(struct session *s)
{
	const char *user = config.user_failures ? release_account(s) : NULL;

	if (user)
		(void)brake_failures(user, 1, 0);
}
