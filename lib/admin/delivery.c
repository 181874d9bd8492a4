/* delivery.c: `delivery list`: what became of messages, by the logs of all daemons (follow/follow.h).
 *
 * Called by the table of verbs.  Owns the question, which a thread of the pool has while it reads.  Can fail: no logs
 * here.  Must stay true: who administers everything sees all; anybody else names an organisation that he administers,
 * and sees messages that one of its users has sent, being logged in, or that came for one of its addresses: of the
 * latter its own recipients, of the former those that the sender has named, too, but not who is behind another's list
 * or forwarding; and of no message anything but what a table of fields lets out.  Who the sender of an envelope claims
 * to be shows nobody anything. */
#include <string.h>

#include "admin/admin-impl.h"
#include "admin/config.h"
#include "base/clock.h"
#include "base/mem.h"
#include "conf/shared.h"
#include "follow/follow.h"
#include "net/work.h"

#define DELIVERY_MOST  50 /* messages, without a limit */
#define DELIVERY_US    ((uint64_t)20 * 1000000)
#define DELIVERY_WORDS 8

struct delivery {
	struct admin *a;
	struct follow *follow;
	uint64_t until_us;
	int rc;
	struct op op;
	const struct admin_org *org; /* NULL: of everything */
	struct buf value;

	/* of the message that is told */
	struct follow_outcomes outcomes;
	bool sent; /* by one of the organisation's users */
};

/* ---- the thread ------------------------------------------------------------------------------------- */

static bool
delivery_late(void *arg)
{
	const struct delivery *d = arg;

	return work_stopped() || clock_mono_us() > d->until_us;
}

static void
delivery_run(void *arg)
{
	struct delivery *d = arg;

	d->rc = follow_run(d->follow);
}

static void
delivery_over(void *arg)
{
	struct delivery *d = arg;

	fiber_wake(d->a->fiber);
}

/* ---- for whom --------------------------------------------------------------------------------------- */

static bool
delivery_own(const struct delivery *d, struct slice address)
{
	size_t at = slice_rfind(address, '@');

	return !d->org || (at < address.n && admin_org_has(d->org, slice_from(address, at + 1)));
}

static const struct logline *
delivery_queued(const struct follow_story *s)
{
	struct follow_event *e;

	list_each(e, &s->events, struct follow_event,
	    link) if (slice_eq(e->line.event, S("queued")) &&
	    slice_eq(e->line.who, S("smtp-relay"))) return &e->line;
	return NULL;
}

/* One of its users has sent it, and had proved who he is. */
static bool
delivery_sent(struct delivery *d, const struct follow_story *s)
{
	const struct logline *l = delivery_queued(s);

	return !d->org ||
	    (l && logline_get(l, "user", &d->value) && delivery_own(d, buf_get(&d->value)));
}

/* A member of a list, or where somebody's mail goes on to, is known to those that it is of. */
static bool
delivery_shows(const struct delivery *d, struct slice to)
{
	const struct follow_outcome *x;

	if (delivery_own(d, to))
		return true;
	x = d->sent ? follow_outcome_find(&d->outcomes, to) : NULL;
	return x && x->named;
}

/* Of a message nobody of whose is the organisation's, nothing. */
static bool
delivery_concerns(const struct delivery *d)
{
	struct follow_outcome *x;
	bool own = d->sent;

	list_each(x, &d->outcomes.list, struct follow_outcome, link) own |=
	    delivery_own(d, slice_str(x->to));
	return own;
}

/* ---- telling ------------------------------------------------------------------------------------------ */

static void
delivery_field(struct admin_telling *t, struct delivery *d, const struct logline *l,
    const char *field, const char *name)
{
	if (logline_get(l, field, &d->value) && d->value.n)
		admin_tell_add(t, name, slice_str(arena_cstr(&t->a->telling, buf_get(&d->value))));
}

static void
delivery_message(struct delivery *d, const struct follow_story *s)
{
	struct admin_telling t = { .a = d->a };
	const struct logline *l = delivery_queued(s);
	struct follow_event *first = list_first(&s->events, struct follow_event, link);

	admin_tell_add(&t, "id", slice_str(s->id));
	if (first)
		admin_tell_add(&t, "at", slice_str(first->ts));
	if (s->parent)
		admin_tell_add(&t, "of", slice_str(s->parent));
	if (l) {
		delivery_field(&t, d, l, "from", "from");
		delivery_field(&t, d, l, "msgid", "message-id");
		delivery_field(&t, d, l, "size", "size");
		if (d->sent) {
			delivery_field(&t, d, l, "user", "user");
			delivery_field(&t, d, l, "peer", "peer");
		}
	}
	admin_tell_end(&t, "message");
}

static void
delivery_recipient(struct delivery *d, const char *id, const char *to, enum follow_state state,
    const char *text)
{
	struct admin_telling t = { .a = d->a };

	admin_tell_add(&t, "id", slice_str(id));
	admin_tell_add(&t, "to", slice_str(to));
	admin_tell_add(&t, "state", slice_str(follow_state_name(state)));
	admin_tell_add(&t, "text", slice_str(text));
	admin_tell_end(&t, "recipient");
	admin_breathe(d->a);
}

/* In the place of those who are behind an address that the sender has named, this address, once. */
static void
delivery_recipients(struct delivery *d, const struct follow_story *s)
{
	struct map told = { 0 };
	struct follow_outcome *x;

	list_each(x, &d->outcomes.list, struct follow_outcome, link)
	{
		if (delivery_shows(d, slice_str(x->to))) {
			delivery_recipient(d, s->id, x->to, x->state, x->text);
		} else if (d->sent && x->behind && !map_get(&told, slice_str(x->behind)) &&
		    !follow_outcome_find(&d->outcomes, slice_str(x->behind))) {
			(void)map_put(&told, slice_str(x->behind), x);
			delivery_recipient(d, s->id, x->behind, FOLLOW_SPLIT, "");
		}
	}
	map_fini(&told);
}

/* Events that are told, and whom `to` of them names. */
static const struct {
	const char *event;
	enum { TO_NOBODY, TO_RECIPIENT, TO_SENDER } to;
} delivery_events[] = {
	{ "queued", TO_NOBODY },
	{ "requeue", TO_NOBODY },
	{ "hold", TO_NOBODY },
	{ "release", TO_NOBODY },
	{ "delete", TO_NOBODY },
	{ "rcpt", TO_RECIPIENT },
	{ "deliver", TO_RECIPIENT },
	{ "reject", TO_RECIPIENT },
	{ "expanded", TO_RECIPIENT },
	{ "report", TO_SENDER },
};
/* Their fields; whole: for who administers everything. */
static const struct {
	const char *field;
	bool whole;
} delivery_fields[] = {
	{ "to", false },
	{ "state", false },
	{ "verdict", false },
	{ "reply", false },
	{ "text", false },
	{ "attempt", false },
	{ "channel", true },
	{ "host", true },
	{ "dest", true },
	{ "peer", true },
};

static bool
delivery_told(struct delivery *d, const struct logline *l)
{
	for (size_t i = 0; i < NELEM(delivery_events); i++)
		if (slice_eq(l->event, slice_str(delivery_events[i].event)))
			return delivery_events[i].to == TO_NOBODY ||
			    (logline_get(l, "to", &d->value) &&
				(delivery_shows(d, buf_get(&d->value)) ||
				    (d->sent && delivery_events[i].to == TO_SENDER)));
	return false;
}

static void
delivery_steps(struct delivery *d, const struct follow_story *s)
{
	struct follow_event *e;

	list_each(e, &s->events, struct follow_event, link)
	{
		struct admin_telling t = { .a = d->a };

		admin_breathe(d->a);
		if (!delivery_told(d, &e->line))
			continue;
		admin_tell_add(&t, "id", slice_str(s->id));
		admin_tell_add(&t, "at", slice_str(e->ts));
		admin_tell_add(&t, "daemon", e->line.who);
		admin_tell_add(&t, "event", e->line.event);
		if (!d->org && *e->host)
			admin_tell_add(&t, "log", slice_str(e->host));
		for (size_t i = 0; i < NELEM(delivery_fields); i++)
			if (!d->org || !delivery_fields[i].whole)
				delivery_field(&t, d, &e->line, delivery_fields[i].field,
				    delivery_fields[i].field);
		admin_tell_end(&t, "step");
	}
}

static void
delivery_story(struct delivery *d, const struct follow_story *s)
{
	delivery_message(d, s);
	delivery_recipients(d, s);
	delivery_steps(d, s);
}

static void
delivery_tell(struct delivery *d, size_t limit)
{
	struct admin_telling t = { .a = d->a };
	struct follow_story *s;
	bool more = false;
	size_t n = 0;

	list_each(s, follow_stories(d->follow), struct follow_story, link)
	{
		if (more || s->session || s->nevents == 0)
			continue;
		follow_outcomes_of(s, &d->outcomes);
		d->sent = delivery_sent(d, s);
		if (delivery_concerns(d) && !(more = n++ == limit))
			delivery_story(d, s);
		follow_outcomes_fini(&d->outcomes);
		admin_breathe(d->a); /* those of others, too, take their time */
	}
	if (!more && !follow_missing(d->follow))
		return;
	admin_tell_add(&t, "text",
	    slice_str(more ? "there are more than these" : follow_missing(d->follow)));
	admin_tell_end(&t, "more");
}

/* ---- the question ------------------------------------------------------------------------------------- */

/* Where logs are: `logs`, or the folder of this host. */
static bool
delivery_logs(struct admin *a, struct follow *f)
{
	const char *dir =
	    shared.log_to && strncmp(shared.log_to, "dir:", 4) == 0 ? shared.log_to + 4 : NULL;
	bool any = admin_conf.logs && *admin_conf.logs;

	for (char **l = admin_conf.logs; l && *l; l++)
		if (strcmp(*l, "-") != 0)
			(void)!follow_join(f, *l); /* told, if none is there */
	if (!any && dir)
		(void)!follow_join(f, dir);
	return follow_joined(f) ||
	    admin_fail(a, ADMIN_FAILED, "no-logs",
		"there are no logs here: logs of admind.conf names none that can be read");
}

static bool
delivery_words(struct admin *a, struct follow *f)
{
	struct slice rest = admin_name(a, 1), word;
	size_t n = 0;

	while (slice_word(&rest, &word)) {
		if (n++ == DELIVERY_WORDS)
			return admin_fail(a, ADMIN_BAD, "words", "no more than %d words",
			    DELIVERY_WORDS);
		if (!follow_condition(f, arena_cstr(&a->memory, word)))
			return admin_fail(a, ADMIN_BAD, "words", SFMT,
			    SARG(slice_trim(follow_why(f))));
	}
	if (!n)
		return admin_fail(a, ADMIN_BAD, "words",
		    "an address, a Message-ID or the id of a message is expected");
	if (admin_name(a, 2).n)
		follow_since(f, arena_cstr(&a->memory, admin_name(a, 2)));
	return true;
}

static uint64_t
delivery_user(const char *who)
{
	uint64_t h = 14695981039346656037ULL;

	for (; *who; who++)
		h = (h ^ (unsigned char)*who) * 1099511628211ULL;
	return h ? h : 1;
}

bool
admin_delivery_list(struct admin *a)
{
	struct admin_org org = { .dn = NULL };
	struct delivery d = { .a = a, .org = &org };
	bool good = true;

	if (admin_name(a, 0).n)
		good = admin_find_org(a, admin_name(a, 0), &org) && admin_over(a, org.dn);
	else if ((good = admin_whole(a)))
		d.org = NULL;
	if (!good)
		return false;
	d.follow = follow_new();
	follow_most(d.follow, a->call->limit && !d.org ? a->call->limit + 1 : 1000);
	good = delivery_words(a, d.follow) && delivery_logs(a, d.follow);
	if (good) {
		d.until_us = clock_mono_us() + DELIVERY_US;
		follow_stop(d.follow, delivery_late, &d);
		work_start_for(a->loop, &d.op, delivery_user(a->call->who), delivery_run,
		    delivery_over, NULL, &d);
		fiber_wait();
		a->turn_us = clock_mono_us();
		if (d.rc < 0 && list_empty(follow_stories(d.follow)))
			good = admin_fail(a, ADMIN_FAILED, "no-logs", "a log cannot be read: " SFMT,
			    SARG(slice_trim(follow_why(d.follow))));
		else
			delivery_tell(&d, a->call->limit ? a->call->limit : DELIVERY_MOST);
	}
	buf_fini(&d.value);
	follow_free(&d.follow);
	return good;
}
