/* rcpt.c: RCPT: may this client send there, and who gets it?
 *
 * lib/expand makes of the address its legs: a mailbox, the addresses that a user forwards to, the members
 * of a list.  They become recipients of the message, each with its channel and destination; those of one
 * file are put together by the queue.  Called by lib/smtp/server for each RCPT, one at a time.  Who is
 * forwarded keeps the address of RCPT for reports, and as ORCPT for the next host (RFC 3461 5.2.7.1);
 * who is member of a list with mgrpErrorsTo begins a new life (5.2.7.3): errors go to the list's address,
 * and what the sender asked of reports ends here.  Must stay true: all legs of an address are taken, or
 * it is refused as a whole. */
#include "base/log.h"
#include "base/must.h"
#include "base/utf8.h"
#include "access.h"
#include "filters.h"
#include "rcpt-body.h"

#define HELD_MAX        500000 /* recipients of all transactions, above which lists wait; 300 bytes each */
#define HELD_CLIENT_MAX 150000 /* the same of one client's */
#define LIST_MIN        100    /* legs of what counts as a list for that */

struct rcpt_wait {
	const struct smtp_rcpt *rcpt;
	struct address to;          /* with a domain */
	bool back;                  /* it was one of SRS */
	bool judged;                /* policy services have agreed, */
	bool filtered;              /* and filters */
	struct access_rcpt *access; /* what tables have said; or NULL */
	struct verdict answer;      /* while it waits */
	void (*added)(struct session *, const struct verdict *); /* a filter adds it; else NULL */
};

static bool
may_relay(const struct session *s, const struct address *to)
{
	if (s->role != ROLE_MX || s->trusted)
		return true;
	/* The next host might trust us, and follow it. */
	if (address_leads_on(to->local))
		return false;
	for (char **d = config.relay_domains; d && *d; d++)
		if (domain_eq(slice_str(*d), to->domain))
			return true;
	return false;
}

static const char *
address_text(struct arena *a, const struct address *addr)
{
	struct buf b = { 0 };
	const char *text;

	address_write(&b, addr);
	text = arena_cstr(a, buf_get(&b));
	buf_fini(&b);
	return text;
}

/* ---- recipients of the message -------------------------------------------------------------- */

/* ORCPT as the queue keeps it: "type;address", decoded.  Who is forwarded gets one. */
static const char *
orcpt_text(struct session *s, const char *as_given, bool onward)
{
	const struct smtp_rcpt *r = s->rcpt->rcpt;
	struct arena *a = &s->smtp.arena;

	if (r->orcpt_type.p)
		return arena_printf(a, SFMT ";" SFMT, SARG(r->orcpt_type), SARG(r->orcpt));
	if (!onward)
		return NULL;
	return arena_printf(a, "%s;%s", utf8_ascii(slice_str(as_given)) ? "rfc822" : "utf-8",
	    as_given);
}

static void
rcpt_room(struct session *s, size_t more)
{
	size_t want = s->nrcpts + more, room = s->rcpts_room ? s->rcpts_room : 4;
	struct qrcpt *bigger;
	struct rcpt_more *more_of;

	if (want <= s->rcpts_room)
		return;
	while (room < want)
		room *= 2;
	bigger = arena_array(&s->smtp.arena, room, sizeof(*bigger));
	more_of = arena_array(&s->smtp.arena, room, sizeof(*more_of));
	if (s->nrcpts) {
		memcpy(bigger, s->rcpts, s->nrcpts * sizeof(*bigger));
		memcpy(more_of, s->more, s->nrcpts * sizeof(*more_of));
	}
	s->more = more_of;
	s->rcpts = bigger;
	s->rcpts_room = room;
}

/* The same string as that of the recipient before, mostly: members of a list share their host. */
static const char *
rcpt_share(struct session *s, const char *before, const char *text)
{
	if (!text || (before && strcmp(before, text) == 0))
		return text ? before : NULL;
	return arena_str(&s->smtp.arena, text);
}

/* What goes with a recipient: of its list, or what the sender has asked for. */
static void
rcpt_terms(struct session *s, struct qrcpt *q, const struct expand_leg *leg, const char *as_given,
    const char *orcpt)
{
	if (leg->sender)
		return;
	q->notify = (int)s->rcpt->rcpt->notify;
	q->orcpt = orcpt;
	if (strcmp(as_given, leg->address) != 0)
		q->final = as_given;
}

/* ---- recipients ------------------------------------------------------------------------------ */

/* As it was sent, or else by a list that wants no password, which may be missing. */
static bool
rcpt_body_better(const struct session *s, unsigned body, const struct expand_leg *leg)
{
	const struct expand_edit *edit = body ? s->bodies[body - 1].edit : NULL;

	return edit && !leg->later && (!leg->edit || (edit->closed && !leg->edit->closed));
}

static bool
rcpt_body_closed(const struct session *s, unsigned body)
{
	const struct expand_edit *edit = body ? s->bodies[body - 1].edit : NULL;

	return edit && edit->closed;
}

/* Filters remove recipients by the address of RCPT. */
static void
rcpt_given(struct session *s, struct rcpt_more *more)
{
	struct rcpt_given *g;

	if (!s->filters)
		return;
	g = arena_new(&s->smtp.arena, sizeof(*g));
	g->to = &s->rcpt->to;
	g->next = more->given;
	more->given = g;
	more->gone = false;
}

/* One that is there already is accepted and kept once (RFC 5321 lets us).  Whom a list has brought and the
 * sender names, too, is not bound to what the list says. */
static void
rcpt_again(struct session *s, struct qrcpt *q, const struct expand_leg *leg, const char *as_given,
    const char *orcpt, struct rcpt_bodies *seen)
{
	if (!leg->hold)
		q->hold = NULL;
	rcpt_given(s, &s->more[q - s->rcpts]);
	if (rcpt_body_better(s, q->body, leg)) {
		q->body = rcpt_body(s, leg->edit, leg->channel, seen);
		s->more[q - s->rcpts].roads = 0;
	} else if (rcpt_body_closed(s, q->body) && leg->edit && leg->edit->closed) {
		s->more[q - s->rcpts].roads |= rcpt_roads(s, leg, seen);
		s->more[q - s->rcpts].roads |= 1U << rcpt_body(s, leg->edit, leg->channel, seen);
	}
	if (q->sender && !leg->sender) {
		q->sender = NULL;
		rcpt_terms(s, q, leg, as_given, orcpt);
	}
}

/* The key of an account; no address begins so. */
static struct slice
rcpt_account(struct session *s, const char *who)
{
	return who ? slice_str(arena_printf(&s->smtp.arena, "\t%s", who)) : S("");
}

static void
rcpt_add(struct session *s, const struct expand_leg *leg, const char *as_given, const char *orcpt,
    struct rcpt_bodies *seen)
{
	static const struct qrcpt nobody;
	const struct qrcpt *last = s->nrcpts ? &s->rcpts[s->nrcpts - 1] : &nobody;
	struct slice who = rcpt_account(s, leg->who);
	/* Beside a program of somebody's there may be the mailbox of the same address. */
	uintptr_t known =
	    leg->program ? 0 : (uintptr_t)map_get(&s->rcpts_known, slice_str(leg->address));
	struct qrcpt *q;

	/* By another of his addresses he gets no copy more. */
	if (!known && who.n)
		known = (uintptr_t)map_get(&s->rcpts_known, who);
	if (known) {
		rcpt_again(s, &s->rcpts[known - 1], leg, as_given, orcpt, seen);
		return;
	}
	q = &s->rcpts[s->nrcpts];
	*q = (struct qrcpt){ .addr = arena_str(&s->smtp.arena, leg->address) };
	q->dest = rcpt_share(s, last->dest, leg->host);
	q->channel = rcpt_share(s, last->channel, leg->channel);
	q->hold = rcpt_share(s, last->hold, leg->hold);
	q->sender = rcpt_share(s, last->sender, leg->sender);
	q->body = rcpt_body(s, rcpt_edit(leg), leg->channel, seen);
	q->again = (leg->later || !leg->edit) && rcpt_expands(leg->channel);
	s->more[s->nrcpts] = (struct rcpt_more){ .roads = rcpt_roads(s, leg, seen),
		.max_message = leg->max_message,
		.who = leg->who ? arena_str(&s->smtp.arena, leg->who) : NULL };
	rcpt_given(s, &s->more[s->nrcpts]);
	rcpt_terms(s, q, leg, as_given, orcpt);
	if (!q->sender)
		q->sender = rcpt_share(s, last->sender, srs_sender(s, leg));
	s->nrcpts++;
	relay.nrcpts++;
	if (!leg->program)
		map_put(&s->rcpts_known, slice_str(q->addr),
		    (void *)(uintptr_t)s->nrcpts); /* they move */
	if (who.n)
		map_put(&s->rcpts_known, who, (void *)(uintptr_t)s->nrcpts);
	metric_add(M_FORWARDED, leg->onward);
}

/* The key of an address as RCPT gave it; no address begins so. */
static struct slice
rcpt_said(struct session *s, const char *as_given)
{
	return slice_str(arena_printf(&s->smtp.arena, " %s", as_given));
}

/* The passwords that the message must bring, whoever gets it: legs that were there already have kept what
 * they came by. */
static void
rcpt_asked(struct session *s, const struct expand_edit *e)
{
	for (size_t i = 0; e && i < e->npasswords; i++) {
		const struct expand_password *p = &e->passwords[i];
		size_t at = 0;

		while (at < s->nasked && strcmp(s->asked[at].list, p->list) != 0)
			at++;
		if (!p->needed || !p->asked || at < s->nasked)
			continue;
		if (s->nasked == s->asked_room) {
			struct expand_password *more =
			    arena_array(&s->smtp.arena, 2 * at + 4, sizeof(*more));

			for (size_t k = 0; k < at; k++)
				more[k] = s->asked[k];
			s->asked = more;
			s->asked_room = 2 * at + 4;
		}
		s->asked[s->nasked++] =
		    (struct expand_password){ .list = arena_str(&s->smtp.arena, p->list),
			    .word = arena_slice(&s->smtp.arena, p->word) };
	}
}

static void
rcpt_waited(struct session *s)
{
	struct verdict v = s->rcpt->answer;

	if (v.kind == OK)
		s->rcpt = NULL;
	smtp_server_answer(&s->smtp, &v);
}

/* The answer; behind it the next RCPT may be under way.  What is refused tells the log to whom. */
static void
rcpt_say_now(struct session *s, struct verdict v)
{
	void (*added)(struct session *, const struct verdict *) = s->rcpt->added;

	s->rcpt->answer = v;
	if (added) {
		s->rcpt = NULL;
		added(s, &v);
	} else {
		access_wait(s, rcpt_waited);
	}
}

static void
rcpt_refusal_told(struct session *s, const struct verdict *no UNUSED)
{
	struct verdict v = s->rcpt->answer;

	s->filters->rcpt = NULL;
	s->filters->rcpt_no = NULL;
	rcpt_say_now(s, v);
}

/* Filters that want to hear of refused recipients do so first (SMFIP_RCPT_REJ). */
static void
rcpt_say(struct session *s, struct verdict v)
{
	if (v.kind == OK || s->rcpt->added || !s->filters) {
		rcpt_say_now(s, v);
		return;
	}
	s->rcpt->answer = v;
	s->filters->rcpt = &s->rcpt->to;
	filters_refused(s, &s->rcpt->answer, rcpt_refusal_told);
}

static void
rcpt_accept(struct session *s, const struct expand_result *r)
{
	const char *as_given = address_text(&s->smtp.arena, &s->rcpt->to);
	const char *orcpt = NULL, *onward = NULL;
	struct rcpt_bodies seen = { .n = 0, .edits = r->edits };

	rcpt_room(s, r->nlegs);
	for (size_t i = 0; i < r->nlegs; i++) {
		struct expand_leg leg = r->legs[i];
		const char **of = leg.onward ? &onward : &orcpt;

		if (s->rcpt->access && !access_leg(s, &s->rcpt->access->legs[i], &leg))
			continue;
		if (!*of)
			*of = orcpt_text(s, as_given, leg.onward);
		if (i == 0 || r->legs[i].edit != r->legs[i - 1].edit)
			rcpt_asked(s, r->legs[i].edit);
		rcpt_add(s, &leg, as_given, *of, &seen);
	}
	if (r->max_list && (!s->max_list || r->max_list < s->max_list))
		s->max_list = r->max_list;
	s->forwards = s->forwards || forward_leads_out(s, r);
	rcpt_log(s, r, as_given);
	map_put(&s->rcpts_known, rcpt_said(s, as_given), s);
	s->nrcpts_asked++;
	rcpt_say(s, verdict(OUT_RCPT_TAKEN));
}

/* ---- the command -------------------------------------------------------------------------------- */

/* Recipients of all transactions of this client. */
static size_t
rcpt_held_of(const struct session *s)
{
	const struct session *other;
	uint8_t client[16], key[16];
	size_t n = 0;

	addr_client_key(&s->peer, client);
	list_each(other, &relay.sessions, struct session, link)
	{
		if (other->nrcpts == 0 || other->role != s->role)
			continue;
		addr_client_key(&other->peer, key);
		if (memcmp(client, key, sizeof(key)) == 0)
			n += other->nrcpts;
	}
	return n;
}

/* A list that takes no large messages, and nobody knows how large this one is: what would be too much can
 * be refused only when it is the list's alone. */
static bool
rcpt_wants_alone(const struct session *s, int64_t max)
{
	return s->smtp.mail.size == 0 && s->nrcpts_asked && max;
}

/* Legs that are too many beside what there is, or that need too many bodies: all of it is expanded later. */
static bool
rcpt_later(const struct session *s, const struct expand_result *r, const struct rcpt_bodies *bodies)
{
	if (r->v.kind != OK || (r->nlegs == 1 && r->legs[0].later))
		return false;
	return (r->nlegs > 1 && s->nrcpts + r->nlegs > QUEUE_MESSAGE_RCPTS) ||
	    (r->nlegs >= LIST_MIN &&
		(relay.nrcpts + r->nlegs > HELD_MAX ||
		    rcpt_held_of(s) + r->nlegs > HELD_CLIENT_MAX)) ||
	    bodies->n > RCPT_BODIES_ALONE || rcpt_bodies_many(s, bodies);
}

/* Is there anything against it, but for what filters say and what is counted?  What a filter adds is not
 * the client's, and may go anywhere. */
static bool
rcpt_refused(struct session *s, const struct expand_result *r, const struct rcpt_bodies *bodies,
    struct verdict *v)
{
	const struct verdict *no;
	bool added = s->rcpt->added;

	if (r->v.kind != OK)
		*v = r->v;
	else if (!r->ours && !added && !s->rcpt->back && !may_relay(s, &s->rcpt->to))
		*v = verdict(OUT_RELAY_DENIED);
	else if (!added && (no = terms_legs(s, r)))
		*v = *no;
	else if (s->nrcpts + r->nlegs > QUEUE_MESSAGE_RCPTS)
		*v = verdict(OUT_RCPTS_MANY);
	else if (rcpt_bodies_many(s, bodies))
		*v = verdict(OUT_GROUP_EDITS);
	else if (!added && rcpt_wants_alone(s, r->max_list))
		*v = verdict(OUT_GROUP_ALONE);
	else if (!added && s->nrcpts_asked && (s->forwards || forward_leads_out(s, r)))
		*v = verdict(OUT_FORWARD_ALONE);
	else
		return false;
	return true;
}

static void rcpt_expand(struct session *s);

static void
rcpt_policied(struct session *s, const struct verdict *no)
{
	if (no) {
		rcpt_say(s, *no);
		return;
	}
	s->rcpt->judged = true;
	rcpt_expand(s); /* as with filters, the legs were not kept */
}

static void
rcpt_filtered(struct session *s, const struct verdict *no)
{
	s->filters->rcpt = NULL;
	s->filters->rcpt_channel = s->filters->rcpt_host = NULL;
	if (no) {
		rcpt_say_now(s, *no);
		return;
	}
	s->rcpt->filtered = true;
	if (s->filters->rcpt_asking)
		s->filters->rcpt_agreed = true;
	else
		rcpt_expand(s);
}

/* True: they have agreed at once.  Else the legs are not kept while filters think: of a list they are many,
 * and a reload may come; they are asked for again. */
static bool
rcpt_filter(struct session *s, const struct expand_result *r)
{
	struct filters *f = s->filters;

	f->rcpt = &s->rcpt->to;
	f->rcpt_channel = arena_str(&s->smtp.arena, r->nlegs ? r->legs[0].channel : "");
	f->rcpt_host = arena_str(&s->smtp.arena, r->nlegs ? r->legs[0].host : "");
	f->rcpt_spam = filters_spam_legs(r);
	f->rcpt_asking = true;
	f->rcpt_agreed = false;
	filters_ask(s, MILTER_AT_RCPT, rcpt_filtered); /* a refusal may begin the next command */
	f->rcpt_asking = false;
	return f->rcpt_agreed;
}

static void
rcpt_take(struct session *s, const struct expand_result *r)
{
	rcpt_log_failed(s, r);
	if (!s->rcpt->added && !brake_lets(s, &s->rcpt->to))
		rcpt_say(s, verdict(OUT_HOUR_RCPTS));
	else
		rcpt_accept(s, r);
}

static void
rcpt_expanded(void *arg, const struct expand_result *r)
{
	struct session *s = CAST(arg, struct session, SESSION_MAGIC);
	struct rcpt_bodies bodies;
	struct expand_result whole;
	struct expand_leg leg;
	enum access_now now = ACCESS_GO;
	struct verdict v;

	rcpt_bodies_look(s, r, &bodies);
	if (rcpt_later(s, r, &bodies)) {
		leg = (struct expand_leg){ .channel = EXPAND_LATER,
			.host = shared.hostname,
			.address = address_text(&s->smtp.arena, &s->rcpt->to),
			.edit = r->edit,
			.later = true };
		whole = *r;
		whole.legs = &leg;
		whole.nlegs = 1;
		r = &whole;
		rcpt_bodies_look(s, r, &bodies);
	}
	/* Where nobody knows it may be one that has a password. */
	s->approved_goes = s->approved_goes || r->password || r->v.kind == TEMP;
	if (rcpt_refused(s, r, &bodies, &v)) {
		rcpt_log_failed(s, r);
		rcpt_say(s, v);
		return;
	}
	if (!s->rcpt->added)
		now = access_rcpt(s, s->rcpt->rcpt, r, &s->rcpt->access, rcpt_expand);
	if (now == ACCESS_WAIT)
		return;
	if (now == ACCESS_NO) {
		rcpt_say(s, s->rcpt->access->no);
	} else if (!s->rcpt->judged && !s->rcpt->added && policy_wanted(s)) {
		policy_ask(s, &s->rcpt->to,
		    r->rewritten ? arena_str(&s->smtp.arena, r->rewritten) : NULL, rcpt_policied);
	} else if (!s->filters || s->rcpt->filtered || s->rcpt->added || rcpt_filter(s, r)) {
		rcpt_take(s, r);
	}
}

static void
rcpt_expand(struct session *s)
{
	struct expand_query q = { .source = relay_message_source(s),
		.address = &s->rcpt->to,
		.sender = slice_str(address_text(&s->smtp.arena, &s->from)),
		.auth = slice_str(s->account),
		.size = s->smtp.mail.size,
		.others = s->nrcpts_asked,
		.most = (size_t)config.list,
		.later = true };
	const struct mta_channel *c = relay_channel(s);
	uint8_t client[16];

	if (c && c->expandlimit > 0 && (size_t)c->expandlimit < q.most)
		q.most = (size_t)c->expandlimit;
	if (s->role == ROLE_MX) {
		addr_client_key(&s->peer, client);
		q.client = slice((const char *)client, sizeof(client));
	}
	expand_start(relay.expand, &q, &s->op, rcpt_expanded, s);
}

void
rcpt_start(struct session *s, const struct smtp_rcpt *rcpt,
    void (*added)(struct session *, const struct verdict *))
{
	const struct verdict *no;
	bool good;

	s->rcpt = arena_new(&s->smtp.arena, sizeof(*s->rcpt));
	s->rcpt->rcpt = rcpt;
	s->rcpt->to = rcpt->to;
	s->rcpt->added = added;
	/* RFC 5321 4.1.1.3: in any case, without a domain. */
	if (rcpt->to.flags & ADDRESS_POSTMASTER) {
		s->rcpt->to.flags &= ~(unsigned)ADDRESS_POSTMASTER;
		/* A copy: a reload may come before the directory's answer. */
		s->rcpt->to.domain = arena_slice(&s->smtp.arena, slice_str(shared.default_domain));
	} else if (rcpt->to.flags &
	    ADDRESS_BARE) { /* of a program of this host, as sendmail(1) does it */
		s->rcpt->to.flags &= ~(unsigned)ADDRESS_BARE;
		s->rcpt->to.domain = arena_slice(&s->smtp.arena,
		    slice_str(*shared.default_domain ? shared.default_domain : shared.hostname));
	}
	s->rcpt->back = !added && srs_back(s, &s->rcpt->to, &good);
	if (s->rcpt->back && !good) {
		rcpt_say(s, verdict(OUT_SRS_BAD));
		return;
	}
	/* Said twice: a list of thousands is looked at once. */
	if (!added &&
	    map_get(&s->rcpts_known, rcpt_said(s, address_text(&s->smtp.arena, &s->rcpt->to)))) {
		rcpt_say(s, verdict(OUT_RCPT_TAKEN));
		return;
	}
	/* What comes behind a list with a limit, too; nobody is asked for what is put off anyway. */
	if (!added && rcpt_wants_alone(s, s->max_list)) {
		s->approved_goes = true; /* it may be a list with a password */
		rcpt_say(s, verdict(OUT_GROUP_ALONE));
		return;
	}
	if (!added && (no = terms_rcpt(s)))
		rcpt_say(s, *no);
	else
		rcpt_expand(s);
}

void
rcpt_ask(struct smtp_server *smtp, const struct smtp_rcpt *rcpt)
{
	struct session *s = relay_session_of(smtp);

	if (rcpt->sent && s->sent) /* one of a kind in a message, else in another one */
		relay_session_answer(s, OUT_RCPTS_MANY);
	else if (rcpt->sent)
		sent_start(s, &rcpt->to, sent_asked);
	else
		rcpt_start(s, rcpt, NULL);
}

void
rcpt_write(const struct session *s, struct buf *b)
{
	if (s->rcpt)
		address_write(b, &s->rcpt->to);
}
