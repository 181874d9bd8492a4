/* access.c: the access tables of the site, asked at MAIL and at each RCPT, and what comes of their answers;
 * tiermail-mappings(5).
 *
 * Owns struct access, which lives in the arena of a transaction about which a table has said something.  session.c asks
 * about the sender when nothing else is against him, rcpt.c about a recipient when it is known who gets it.  Can fail: a
 * table, by a bound, which is 4xx.  Must stay true: a table that is not there costs a look at a bit; the tables of one
 * RCPT have one budget of steps together in a turn of the loop, and a bound on turns, however many legs there are; and a delay waits for a timer, never the loop. */
#include "access.h"

#include "base/log.h"
#include "base/must.h"
#include "mta/glob.h"

#define DELAY_STEP   100 /* ms: there are few lengths of timers then */
#define ACCESS_TURNS 50  /* of the loop for all members of a list: each some 50 ms at most */

_Static_assert(M_ACCESS_END - M_ACCESS == MTA_ACCESS_DEQUEUE * ACCESS_RESULTS,
    "the metrics of the relay's tables");

unsigned
access_tables(const struct channels *c)
{
	unsigned bits = 0;

	for (int t = 0; c->mappings && t < MTA_ACCESS_TABLES; t++)
		if (mta_mappings_has(c->mappings,
			slice_str(mta_access_table((enum mta_access_table)t))))
			bits |= 1U << t;
	return bits;
}

struct access *
access_of(struct session *s)
{
	if (!s->access)
		s->access = arena_new(&s->smtp.arena, sizeof(*s->access));
	return s->access;
}

static void
access_count(enum mta_access_table t, enum access_result result)
{
	metric_add(M_ACCESS + (size_t)t * ACCESS_RESULTS + result, 1);
}

/* ---- probes ------------------------------------------------------------------------------ */

static enum mta_answer
access_general(void *arg, struct slice key, struct buf *value)
{
	(void)arg;
	return mta_general_find(relay.channels->general, key, value);
}

/* TCP|srv-addr|srv-port|cli-addr|cli-port */
static void
access_port(const struct session *s, struct buf *b)
{
	char here[ADDR_TEXT], there[ADDR_TEXT];
	struct addr local;

	if (s->peer.sa.sa_family == AF_UNIX)
		return;
	stream_local(&s->smtp.line.io, &local);
	addr_unmap(&local);
	buf_printf(b, "TCP|%s|%d|%s|%d", addr_host(&local, here), addr_port(&local),
	    addr_host(&s->peer, there), addr_port(&s->peer));
}

static void
access_probe(struct session *s, struct mta_access_probe *p)
{
	struct buf b = { 0 };

	*p = (struct mta_access_probe){ .helo = slice_str(s->smtp.helo ? s->smtp.helo : ""),
		.source = slice_str(relay_message_source(s)),
		.auth = slice_str(s->account ? s->account : "") };
	access_port(s, &b);
	p->port = arena_slice(&s->smtp.arena, buf_get(&b));
	buf_clear(&b);
	if (!(s->from.flags & ADDRESS_NULL))
		address_write(&b, &s->from);
	p->from = arena_slice(&s->smtp.arena, buf_get(&b));
	buf_fini(&b);
}

/* What $:x and $;x test. */
static struct mta_flags
access_flags(const struct session *s, const struct smtp_rcpt *rcpt)
{
	struct mta_flags f = { 0 };

	if (s->account)
		mta_flags_add(&f, 'A');
	if (stream_secure(&s->smtp.line.io))
		mta_flags_add(&f, 'T');
	if (s->smtp.esmtp)
		mta_flags_add(&f, 'E');
	if (rcpt && rcpt->notify & SMTP_NOTIFY_DELAY)
		mta_flags_add(&f, 'D');
	if (rcpt && rcpt->notify & SMTP_NOTIFY_FAILURE)
		mta_flags_add(&f, 'F');
	if (rcpt && rcpt->notify & SMTP_NOTIFY_SUCCESS)
		mta_flags_add(&f, 'S');
	return f;
}

/* ---- an answer --------------------------------------------------------------------------- */

static void
access_log(const struct session *s, enum mta_access_table t, struct slice probe, const char *action,
    const struct mta_access *a, const char *text)
{
	bool refused = a && a->action == MTA_ACCESS_REJECT;
	struct slice note = !a ? S("") : refused && a->log_reject.p ? a->log_reject : a->log_match;

	log_event(a ? LOG_INFO : LOG_WARN, "access",
	    "sid=%s qid=%s table=%s probe=%s do=%s tag=%s note=%s text=%s", s->sid, s->qid,
	    mta_access_table(t), log_value(probe), action, log_value(a ? a->tag : S("")),
	    log_value(note), log_str(text));
}

/* Arguments that concern the whole message, whatever is done. */
static void
access_arguments(struct session *s, const struct mta_access *a)
{
	bool once;
	uint32_t ms = mta_access_delay(a, &once);
	int64_t limits[3] = { s->terms.blocks, s->terms.rcpts, s->terms.cutoff };

	if (ms && once)
		access_of(s)->once_ms = ms;
	else if (ms)
		access_of(s)->delay_ms = ms;
	if (a->limits.n) {
		mta_access_limits(a, limits);
		s->terms.blocks = limits[0];
		s->terms.rcpts = limits[1];
		s->terms.cutoff = limits[2];
	}
	if (a->header.n && a->action != MTA_ACCESS_REJECT && !policy_prepend(s, a->header))
		log_event(LOG_WARN, "access_field", "sid=%s qid=%s text=%s", s->sid, s->qid,
		    log_value(a->header));
}

static void
access_counted(enum mta_access_table t, const struct access_said *said)
{
	switch (said->action) {
	case MTA_ACCESS_REJECT:
		access_count(t, said->v.kind == TEMP ? ACCESS_DEFERRED : ACCESS_REFUSED);
		break;
	case MTA_ACCESS_HOLD: access_count(t, ACCESS_HELD); break;
	case MTA_ACCESS_BITBUCKET:
	case MTA_ACCESS_DISCARD:
	case MTA_ACCESS_JETTISON: access_count(t, ACCESS_DROPPED); break;
	case MTA_ACCESS_NONE:
	case MTA_ACCESS_ALLOW:
	case MTA_ACCESS_ACCEPT:
	case MTA_ACCESS_CLOSE:
	case MTA_ACCESS_LATER: break;
	}
}

/* What was said, into the arena, for it must outlive the answer. */
static void
access_take(struct session *s, enum mta_access_table t, struct slice probe,
    const struct mta_mapped *r, struct access_said *said)
{
	struct verdict no = verdict(OUT_ACCESS_DENIED);
	struct mta_access *a = &said->said;
	struct mta_mapped kept = { .flags = r->flags };
	struct slice text = arena_slice(&s->smtp.arena, buf_get(&r->text));

	kept.text = (struct buf){ .p = (char *)(uintptr_t)text.p, .n = text.n };
	mta_access_decode(slice_str(mta_access_table(t)), &kept, a);
	said->action = a->action;
	if (a->action == MTA_ACCESS_REJECT)
		said->v = mta_access_verdict(a, &no);
	access_arguments(s, a);
	access_counted(t, said);
	if ((a->action != MTA_ACCESS_NONE && a->action != MTA_ACCESS_ALLOW) || a->tag.p ||
	    a->log_match.p)
		access_log(s, t, probe, mta_access_name(a->action), a,
		    a->action == MTA_ACCESS_REJECT ? said->v.text : "");
}

void
access_ask(struct session *s, enum mta_access_table t, const struct mta_access_probe *p,
    const struct smtp_rcpt *rcpt, struct mta_work *w, struct access_said *said)
{
	static const struct mta_calls calls = { .general = access_general };
	struct mta_flags flags = access_flags(s, rcpt);
	struct slice table = slice_str(mta_access_table(t));
	struct buf probe = { 0 };
	struct mta_mapped r;
	enum mta_answer answer;

	*said = (struct access_said){ .action = MTA_ACCESS_NONE };
	mta_access_probe_write(&probe, t, p);
	answer = mta_mappings_ask_within(relay.channels->mappings, &calls, table, buf_get(&probe),
	    &flags, &r, w);
	if (answer == MTA_YES) {
		access_take(s, t, buf_get(&probe), &r, said);
	} else if (answer != MTA_NO) {
		said->action = MTA_ACCESS_REJECT;
		said->v = verdict(OUT_ACCESS_AWAY);
		access_count(t, ACCESS_DEFERRED);
		access_log(s, t, buf_get(&probe), "temporary", NULL, r.error);
	} else if (r.failed) {
		access_log(s, t, buf_get(&probe), "none", NULL, "a call in the entry has failed");
	}
	mta_mapped_fini(&r);
	buf_fini(&probe);
}

/* ---- waiting ----------------------------------------------------------------------------- */

static void
access_on_late(struct deadline *d)
{
	struct session *s = CAST(CONTAINER(d, struct session, late), struct session, SESSION_MAGIC);

	s->access->then(s);
}

void
access_wait(struct session *s, void (*then)(struct session *))
{
	uint32_t ms = 0;

	if (s->access) {
		ms = s->access->once_ms > s->access->delay_ms ? s->access->once_ms :
								s->access->delay_ms;
		s->access->once_ms = 0;
		s->access->then = then;
	}
	if (ms)
		deadline_set(&s->late, daemon_loop(),
		    (ms + DELAY_STEP - 1) / DELAY_STEP * DELAY_STEP, access_on_late);
	else
		then(s);
}

/* ---- MAIL -------------------------------------------------------------------------------- */

static void
access_mail_waited(struct session *s)
{
	s->access->mail_then(s, s->access->refused ? &s->access->no : NULL);
}

void
access_sender(struct session *s, struct slice text)
{
	struct address from;
	const char *why;

	if (!text.n)
		s->from = (struct address){ .flags = ADDRESS_NULL };
	else if (address_parse(text, ADDRESS_UTF8, &s->smtp.arena, &from, &why) == 0)
		s->from = from;
	else
		log_event(LOG_WARN, "access_field", "sid=%s qid=%s text=%s", s->sid, s->qid,
		    log_value(text));
}

static void
access_sender_taken(struct session *s, const struct access_said *said)
{
	const char *table = mta_access_table(MTA_ACCESS_FROM);

	switch (said->action) {
	case MTA_ACCESS_REJECT:
		access_of(s)->refused = true;
		access_of(s)->no = said->v;
		break;
	case MTA_ACCESS_HOLD:
		s->asked_for.hold = arena_printf(&s->smtp.arena, "%s says hold", table);
		break;
	case MTA_ACCESS_BITBUCKET:
	case MTA_ACCESS_DISCARD:
	case MTA_ACCESS_JETTISON: s->asked_for.discard = true; break;
	case MTA_ACCESS_NONE:
	case MTA_ACCESS_ALLOW:
	case MTA_ACCESS_ACCEPT:
	case MTA_ACCESS_CLOSE:
	case MTA_ACCESS_LATER: break;
	}
	if (said->said.env_from.p)
		access_sender(s, said->said.env_from);
	if (said->said.sender.n)
		access_of(s)->sender = said->said.sender;
}

void
access_mail(struct session *s, void (*then)(struct session *, const struct verdict *))
{
	struct mta_access_probe p;
	struct access_said said;
	struct mta_work w;

	if (!(relay.tables & 1U << MTA_ACCESS_FROM)) {
		then(s, NULL);
		return;
	}
	access_probe(s, &p);
	mta_work_init(&w);
	access_ask(s, MTA_ACCESS_FROM, &p, NULL, &w, &said);
	mta_work_fini(&w);
	access_sender_taken(s, &said);
	access_of(s)->mail_then = then;
	access_wait(s, access_mail_waited);
}

/* ---- RCPT -------------------------------------------------------------------------------- */

#define ACCESS_ORIG (1U << MTA_ACCESS_ORIG_SEND | 1U << MTA_ACCESS_ORIG_MAIL)
#define ACCESS_LEGS (1U << MTA_ACCESS_SEND | 1U << MTA_ACCESS_MAIL)

/* What is done to a leg when two tables say something: the heavier one. */
static bool
access_heavier(enum mta_access_action a, enum mta_access_action b)
{
	static const int weight[] = { [MTA_ACCESS_HOLD] = 1,
		[MTA_ACCESS_BITBUCKET] = 2,
		[MTA_ACCESS_DISCARD] = 2,
		[MTA_ACCESS_JETTISON] = 3,
		[MTA_ACCESS_REJECT] = 4,
		[MTA_ACCESS_LATER] = 0 };

	return weight[a] > weight[b];
}

static void
access_ask_two(struct session *s, enum mta_access_table one, enum mta_access_table two,
    const struct mta_access_probe *p, const struct smtp_rcpt *rcpt, struct mta_work *w,
    struct access_leg *leg, struct verdict *no)
{
	const enum mta_access_table both[] = { one, two };
	struct access_said said;

	for (size_t i = 0; i < NELEM(both) && leg->action != MTA_ACCESS_REJECT; i++) {
		if (!(relay.tables & 1U << both[i]))
			continue;
		access_ask(s, both[i], p, rcpt, w, &said);
		if (!access_heavier(said.action, leg->action))
			continue;
		leg->action = said.action;
		leg->table = mta_access_table(both[i]);
		if (said.action == MTA_ACCESS_REJECT)
			*no = said.v;
	}
}

/* The answers of before, when the legs are those of before. */
static bool
access_known(const struct access_rcpt *a, const struct expand_result *r)
{
	if (!a || a->n != r->nlegs)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (strcmp(a->legs[i].address, r->legs[i].address) != 0 ||
		    strcmp(a->legs[i].channel, r->legs[i].channel) != 0)
			return false;
	return true;
}

/* A leg is refused.  What is temporary is so for all: nobody could say later whose copies are missing. */
static void
access_refuse(struct access_rcpt *a, const struct verdict *no)
{
	if (!a->refused++ || no->kind == TEMP)
		a->no = *no;
	if (no->kind == TEMP)
		a->asked = a->n;
}

static struct access_rcpt *
access_rcpt_begin(struct session *s, const struct smtp_rcpt *rcpt, const struct expand_result *r,
    struct mta_work *w)
{
	struct access_rcpt *a = arena_new(&s->smtp.arena, sizeof(*a));
	struct access_leg first = { .action = MTA_ACCESS_NONE }, *leg;
	struct mta_access_probe p;
	struct verdict no = verdict(OUT_ACCESS_AWAY);

	if (relay.tables & ACCESS_ORIG && r->decided) {
		access_probe(s, &p);
		p.dest = slice_str(r->decided);
		p.to = slice_str(r->rewritten);
		access_ask_two(s, MTA_ACCESS_ORIG_SEND, MTA_ACCESS_ORIG_MAIL, &p, rcpt, w, &first,
		    &no);
	}
	a->n = r->nlegs;
	a->legs = arena_array(&s->smtp.arena, a->n, sizeof(*a->legs));
	for (size_t i = 0; i < a->n; i++) {
		leg = &a->legs[i];
		*leg = first;
		leg->address = arena_str(&s->smtp.arena, r->legs[i].address);
		leg->channel = i && strcmp(leg[-1].channel, r->legs[i].channel) == 0 ?
		    leg[-1].channel :
		    arena_str(&s->smtp.arena, r->legs[i].channel);
	}
	if (first.action == MTA_ACCESS_REJECT) {
		access_refuse(a, &no);
		a->asked = a->n;
		a->refused = a->n ? a->n : 1;
	} else if (!(relay.tables & ACCESS_LEGS)) {
		a->asked = a->n;
	}
	return a;
}

/* Asks about legs while half of the steps are there, which each of them may need. */
static void
access_rcpt_turn(struct session *s, const struct smtp_rcpt *rcpt, struct access_rcpt *a,
    struct mta_work *w)
{
	struct mta_access_probe p;
	struct verdict no = verdict(OUT_ACCESS_AWAY);

	if (a->asked < a->n)
		access_probe(s, &p);
	while (a->asked < a->n && w->steps >= MTA_STEPS_MAX / 2) {
		struct access_leg *leg = &a->legs[a->asked++];

		p.dest = slice_str(leg->channel);
		p.to = slice_str(leg->address);
		access_ask_two(s, MTA_ACCESS_SEND, MTA_ACCESS_MAIL, &p, rcpt, w, leg, &no);
		if (leg->action == MTA_ACCESS_REJECT)
			access_refuse(a, &no);
	}
	if (a->asked < a->n && ++a->turns == ACCESS_TURNS) {
		no = verdict(OUT_ACCESS_AWAY);
		access_count(MTA_ACCESS_SEND, ACCESS_DEFERRED);
		log_event(LOG_WARN, "access",
		    "sid=%s qid=%s table=%s probe=\"\" do=temporary tag=\"\" note=\"\" text=%s",
		    s->sid, s->qid, mta_access_table(MTA_ACCESS_SEND),
		    log_str("so many members take too many steps"));
		access_refuse(a, &no);
	}
}

static void
access_rcpt_more(struct later *t)
{
	struct session *s = CAST(CONTAINER(t, struct session, turn), struct session, SESSION_MAGIC);
	struct access *of = s->access;
	struct mta_work w;

	mta_work_init(&w);
	access_rcpt_turn(s, of->legs_rcpt, of->legs, &w);
	mta_work_fini(&w);
	if (of->legs->asked < of->legs->n)
		later_run(&s->turn, daemon_loop(), access_rcpt_more);
	else
		of->then(s);
}

enum access_now
access_rcpt(struct session *s, const struct smtp_rcpt *rcpt, const struct expand_result *r,
    struct access_rcpt **before, void (*then)(struct session *))
{
	struct access_rcpt *a = *before;
	struct mta_work w;

	if (!(relay.tables & (ACCESS_ORIG | ACCESS_LEGS))) {
		*before = NULL; /* a reload has taken them away, and the legs may be others now */
		return ACCESS_GO;
	}
	if (!access_known(a, r)) {
		mta_work_init(&w);
		*before = a = access_rcpt_begin(s, rcpt, r, &w);
		access_rcpt_turn(s, rcpt, a, &w);
		mta_work_fini(&w);
	}
	if (a->asked < a->n) {
		access_of(s)->legs = a;
		s->access->legs_rcpt = rcpt;
		s->access->then = then;
		later_run(&s->turn, daemon_loop(), access_rcpt_more);
		return ACCESS_WAIT;
	}
	return a->refused && (a->refused >= a->n || a->no.kind == TEMP) ? ACCESS_NO : ACCESS_GO;
}

bool
access_leg(struct session *s, const struct access_leg *said, struct expand_leg *leg)
{
	switch (said->action) {
	case MTA_ACCESS_REJECT: return false;
	case MTA_ACCESS_HOLD:
		if (!leg->hold)
			leg->hold = arena_printf(&s->smtp.arena, "%s says hold", said->table);
		break;
	case MTA_ACCESS_BITBUCKET:
	case MTA_ACCESS_DISCARD:
		leg->channel = ACCESS_BITBUCKET;
		leg->host = shared.hostname;
		leg->edit = NULL;
		leg->others = 0;
		leg->who = NULL;
		leg->program = true; /* beside it the address may get a copy all the same */
		break;
	case MTA_ACCESS_JETTISON: s->asked_for.discard = true; break;
	case MTA_ACCESS_NONE:
	case MTA_ACCESS_ALLOW:
	case MTA_ACCESS_ACCEPT:
	case MTA_ACCESS_CLOSE:
	case MTA_ACCESS_LATER: break;
	}
	return true;
}
