/* sent.c: a copy of what a user sends for his own Sent folder (submission.sent_copy).
 *
 * Called by message.c at DATA, and by rcpt.c for a copy that another host had and that has to go elsewhere.  It is a
 * recipient of its own kind, with a file of its own that waits for submission.sent_delay: by then a client that stores
 * its copies itself has done so, and lmtpd leaves this one out.  Can fail: the directory is away, and DATA is put off.
 * Must stay true: nobody but the account that has logged in gets one, and none where its mailbox is not reached by
 * LMTP, since elsewhere it would be mail that has come. */
#include <string.h>
#include "base/clock.h"
#include "base/must.h"
#include "relay.h"

struct sent_wait {
	void (*done)(struct session *s, const struct verdict *no);
	bool anybody; /* a program of ours names him */
};

bool
sent_wanted(const struct session *s)
{
	if (s->role != ROLE_SUBMISSION || !s->account || (s->smtp.mail.from.flags & ADDRESS_NULL))
		return false;
	for (char **u = config.sent_users; u && *u; u++)
		if (strcmp(*u, "*") == 0 || slice_ieq(slice_str(*u), slice_str(s->account)))
			return true;
	return false;
}

/* The leg that is his mailbox in a store of ours, or NULL. */
static const struct expand_leg *
sent_leg(const struct session *s, const struct expand_result *r, bool anybody)
{
	for (size_t i = 0; r->v.kind == OK && i < r->nlegs; i++) {
		const struct expand_leg *leg = &r->legs[i];
		const struct channel *c;

		if (!leg->who || leg->onward ||
		    (!anybody && !slice_ieq(slice_str(leg->who), slice_str(s->account))))
			continue;
		c = channels_find(relay.channels, slice_str(leg->channel));
		if (c && c->protocol == CHANNEL_LMTP)
			return leg;
	}
	return NULL;
}

static void
sent_found(void *arg, const struct expand_result *r)
{
	struct session *s = CAST(arg, struct session, SESSION_MAGIC);
	struct sent_wait *w = s->sent_wait;
	const struct expand_leg *leg = sent_leg(s, r, w->anybody);
	struct arena *a = &s->smtp.arena;

	s->sent_wait = NULL;
	if (r->v.kind == TEMP) {
		w->done(s, &r->v);
		return;
	}
	if (leg) {
		s->sent = arena_new(a, sizeof(*s->sent));
		*s->sent = (struct qrcpt){ .addr = arena_str(a, leg->address),
			.channel = arena_str(a, leg->channel),
			.dest = arena_str(a, leg->host),
			.hold = leg->hold ? arena_str(a, leg->hold) : NULL,
			.notify = QNOTIFY_NEVER,
			.sent = true };
	}
	w->done(s, NULL);
}

void
sent_start(struct session *s, const struct address *whose,
    void (*done)(struct session *s, const struct verdict *no))
{
	struct expand_query q = { .source = relay_message_source(s),
		.address = whose,
		.auth = slice_str(s->account ? s->account : "") };

	s->sent_wait = arena_new(&s->smtp.arena, sizeof(*s->sent_wait));
	s->sent_wait->done = done;
	s->sent_wait->anybody = s->ours;
	expand_start(relay.expand, &q, &s->op, sent_found, s);
}

void
sent_add(struct session *s, struct qenv *env)
{
	struct qrcpt *all;

	if (!s->sent)
		return;
	all = arena_array(&s->smtp.arena, env->nrcpt + 1, sizeof(*all));
	if (env->nrcpt)
		memcpy(all, env->rcpts, env->nrcpt * sizeof(*all));
	all[env->nrcpt] = *s->sent;
	if (s->role == ROLE_SUBMISSION && config.sent_delay)
		all[env->nrcpt].release_at =
		    (env->release_at ? env->release_at : env->arrival_ms / 1000) +
		    config.sent_delay / 1000;
	env->rcpts = all;
	env->nrcpt++;
}

/* It is for his Sent folder: a copy that was on its way elsewhere when he moved. */
void
sent_asked(struct session *s, const struct verdict *no)
{
	if (no)
		smtp_server_answer(&s->smtp, no);
	else if (s->sent)
		relay_session_answer(s, OUT_RCPT_TAKEN);
	else
		relay_session_answer(s, OUT_USER_NO_MAILBOX);
}
