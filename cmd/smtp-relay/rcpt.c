/* rcpt.c: RCPT: may this client send there, and where is it?
 *
 * A user whose mailDeliveryOption says forward is replaced by the mailForwardingAddress values
 * (and stays beside them when it says mailbox too).  Each is routed like a recipient of its
 * own, except that relaying is no question: the owner of the mailbox wants it.  They keep the
 * address of RCPT for reports, and as ORCPT for the next host (RFC 3461 5.2.7.1).
 *
 *	RCPT -> route -> (a forwarding address -> route)* -> one answer
 *
 * An account is entered once for each RCPT, so circles within the directory end; circles by
 * way of other hosts end by limit.received. */
#include "base/log.h"
#include "base/must.h"
#include "base/utf8.h"
#include "relay.h"

#define TARGETS_MAX 100 /* forwarding addresses behind one RCPT, directly or not */

struct rcpt_wait {
	const struct smtp_rcpt *rcpt;
	struct address to;	 /* with a domain */
	struct forward *forward; /* NULL: it is not */
};

struct forward {
	/* Addresses, found so far; the first `done` of them are routed. */
	struct {
		const char *text;
		const char *hold; /* because a user on the way is on hold */
	} targets[TARGETS_MAX];
	const char *accounts[TARGETS_MAX + 1]; /* that were entered */
	size_t ntargets, done, naccounts;
	size_t before;	       /* s->nrcpts when it began */
	int64_t max_before;    /* and s->max_message */
	size_t placed;	       /* recipients it has brought */
	struct address target; /* in flight */
	struct verdict *bad;   /* why the first address that was refused was */
};

static void target_next(struct session *s);

/* ---- the list of recipients ---------------------------------------------------------------- */

static bool
may_relay(const struct session *s, struct slice domain)
{
	if (s->role != ROLE_MX || s->trusted)
		return true;
	for (char **d = config.relay_domains; d && *d; d++)
		if (domain_eq(slice_str(*d), domain))
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

/* ORCPT as the queue keeps it: "type;address", decoded.  Who is forwarded gets one. */
static const char *
orcpt_text(struct session *s, bool forwarded)
{
	const struct smtp_rcpt *r = s->rcpt->rcpt;
	struct arena *a = &s->smtp.arena;
	const char *text;

	if (r->orcpt_type.p)
		return arena_printf(a, SFMT ";" SFMT, SARG(r->orcpt_type), SARG(r->orcpt));
	if (!forwarded)
		return NULL;
	text = address_text(a, &s->rcpt->to);
	return arena_printf(a, "%s;%s", utf8_ascii(slice_str(text)) ? "rfc822" : "utf-8", text);
}

static struct qrcpt *
rcpt_room(struct session *s)
{
	struct qrcpt *more;

	if (s->nrcpts == s->rcpts_room) {
		s->rcpts_room = s->rcpts_room ? s->rcpts_room * 2 : 4;
		more = arena_array(&s->smtp.arena, s->rcpts_room, sizeof(*more));
		if (s->nrcpts)
			memcpy(more, s->rcpts, s->nrcpts * sizeof(*more));
		s->rcpts = more;
	}
	return &s->rcpts[s->nrcpts];
}

/* A recipient that is there already is accepted and kept once (RFC 5321 lets us). */
static bool
rcpt_known(const struct session *s, struct slice addr)
{
	for (size_t i = 0; i < s->nrcpts; i++)
		if (slice_eq(slice_str(s->rcpts[i].addr), addr))
			return true;
	return false;
}

static void
rcpt_add(struct session *s, const struct route_decision *d)
{
	struct forward *f = s->rcpt->forward;
	bool forwarded = f && f->done > 0;
	struct arena *a = &s->smtp.arena;
	const char *as_given = address_text(a, &s->rcpt->to);
	struct qrcpt *q;

	if (f)
		f->placed++;
	if (rcpt_known(s, d->address))
		return;
	q = rcpt_room(s);
	*q = (struct qrcpt){ .notify = (int)s->rcpt->rcpt->notify };
	q->orcpt = orcpt_text(s, forwarded);
	q->addr = arena_cstr(a, d->address);
	q->dest = arena_str(a, d->host);
	q->channel = arena_str(a, d->channel);
	q->hold = forwarded && !d->hold ? f->targets[f->done - 1].hold : d->hold;
	s->max_message = d->max_message;
	if (!slice_eq(slice_str(as_given), d->address))
		q->final = as_given;
	s->nrcpts++;
	metric_add(M_FORWARDED, forwarded);
	log_event(LOG_INFO, "rcpt", "sid=%s qid=%s to=%s channel=%s host=%s%s%s", s->sid, s->qid,
	    log_value(d->address), d->channel, log_str(d->host), forwarded ? " forwarded=" : "",
	    forwarded ? log_str(as_given) : "");
}

static void
rcpt_accepted(struct session *s)
{
	s->rcpt = NULL; /* before the answer: behind it the next RCPT may be under way */
	session_answer(s, OK, 250, "2.1.5", "recipient ok");
}

/* ---- forwarding ---------------------------------------------------------------------------- */

/* False: this user was entered before. */
static bool
account_enter(struct session *s, struct slice account)
{
	struct forward *f = s->rcpt->forward;

	for (size_t i = 0; i < f->naccounts; i++)
		if (slice_eq(slice_str(f->accounts[i]), account))
			return false;
	if (f->naccounts == TARGETS_MAX + 1)
		return false;
	f->accounts[f->naccounts++] = arena_cstr(&s->smtp.arena, account);
	return true;
}

/* The first one is what the client hears if no other address takes the message. */
static void
target_refused(struct session *s, struct slice target, const struct verdict *v)
{
	struct forward *f = s->rcpt->forward;
	struct buf to = { 0 };

	address_write(&to, &s->rcpt->to);
	log_event(LOG_WARN, "forward_failed",
	    "sid=%s qid=%s to=%s forward=%s verdict=%d.%d.%d text=%s", s->sid, s->qid,
	    log_value(buf_get(&to)), log_value(target), v->kind, v->subject, v->detail,
	    log_str(v->text));
	buf_fini(&to);
	if (f->bad)
		return;
	f->bad = arena_new(&s->smtp.arena, sizeof(*f->bad));
	*f->bad = *v;
	(void)snprintf(f->bad->text, sizeof(f->bad->text), "cannot be forwarded: %.150s", v->text);
}

/* A user's addresses; they are looked at one after the other. */
static void
targets_add(struct session *s, const struct route_decision *d)
{
	struct forward *f = s->rcpt->forward;
	const char *hold = d->hold || !f->done ? d->hold : f->targets[f->done - 1].hold;
	struct verdict many;

	for (size_t i = 0; i < d->nforward; i++) {
		if (f->ntargets == TARGETS_MAX) {
			many = verdict(PERM, 550, "5.4.6", "too many forwarding addresses");
			target_refused(s, d->forward[i], &many);
			return;
		}
		f->targets[f->ntargets].hold = hold;
		f->targets[f->ntargets++].text = arena_cstr(&s->smtp.arena, d->forward[i]);
	}
}

static struct verdict
target_judge(const struct session *s, const struct route_decision *d)
{
	if (d->v.kind == OK && d->max_message && s->smtp.mail.size > (uint64_t)d->max_message)
		return verdict(PERM, 552, "5.2.3", "message is larger than this mailbox takes");
	if (d->v.kind == OK && s->nrcpts >= QUEUE_RCPT_MAX)
		return verdict(TEMP, 452, "4.5.3", "too many recipients");
	return d->v;
}

static void
target_routed(void *arg, const struct route_decision *d)
{
	struct session *s = CAST(arg, struct session, SESSION_MAGIC);
	struct forward *f = s->rcpt->forward;
	struct verdict v = target_judge(s, d);

	if (v.kind == TEMP) {
		/* All or nothing: the client comes back with it. */
		s->nrcpts = f->before;
		s->max_message = f->max_before;
		smtp_server_answer(&s->smtp, &v);
		return;
	}
	if (v.kind == PERM) {
		target_refused(s, slice_str(f->targets[f->done - 1].text), &v);
	} else if (d->account.n == 0 || account_enter(s, d->account)) {
		if (!d->nforward || d->keep)
			rcpt_add(s, d);
		targets_add(s, d);
	}
	target_next(s);
}

static void
target_next(struct session *s)
{
	struct forward *f = s->rcpt->forward;
	struct verdict v;
	const char *why;

	while (f->done < f->ntargets) {
		struct slice text = slice_str(f->targets[f->done++].text);

		if (address_parse(text, ADDRESS_UTF8, &s->smtp.arena, &f->target, &why) < 0) {
			v = verdict(PERM, 550, "5.3.5", "the forwarding address is malformed");
			target_refused(s, text, &v);
			continue;
		}
		route_start(relay.route, &f->target, &s->op, target_routed, s);
		return;
	}
	if (f->placed) {
		rcpt_accepted(s);
		return;
	}
	v = verdict(PERM, 550, "5.4.6", "this user's forwarding goes in a circle");
	smtp_server_answer(&s->smtp, f->bad ? f->bad : &v);
}

static void
forward_start(struct session *s, const struct route_decision *d)
{
	struct forward *f = arena_new(&s->smtp.arena, sizeof(*f));

	s->rcpt->forward = f;
	f->before = s->nrcpts;
	f->max_before = s->max_message;
	(void)account_enter(s, d->account);
	if (d->keep)
		rcpt_add(s, d);
	targets_add(s, d);
	target_next(s);
}

/* ---- the command -------------------------------------------------------------------------------- */

static void
rcpt_routed(void *arg, const struct route_decision *d)
{
	struct session *s = CAST(arg, struct session, SESSION_MAGIC);

	if (d->v.kind != OK) {
		smtp_server_answer(&s->smtp, &d->v);
	} else if (!d->local && !may_relay(s, s->rcpt->to.domain)) {
		session_answer(s, PERM, 550, "5.7.1", "relaying denied");
	} else if (d->max_message && s->smtp.mail.size > (uint64_t)d->max_message) {
		session_answer(s, PERM, 552, "5.2.3", "message is larger than this mailbox takes");
	} else if (s->nrcpts >= QUEUE_RCPT_MAX) {
		session_answer(s, TEMP, 452, "4.5.3", "too many recipients");
	} else if (s->account && !clients_user(slice_str(s->account), 0, 1, 0, config.user_rcpts)) {
		session_answer(s, TEMP, 450, "4.7.1", "too many recipients this hour");
	} else if (d->nforward) {
		forward_start(s, d);
	} else {
		rcpt_add(s, d);
		rcpt_accepted(s);
	}
}

void
rcpt_ask(struct smtp_server *smtp, const struct smtp_rcpt *rcpt)
{
	struct session *s = session_of(smtp);

	s->rcpt = arena_new(&smtp->arena, sizeof(*s->rcpt));
	s->rcpt->rcpt = rcpt;
	s->rcpt->to = rcpt->to;
	/* RFC 5321 4.1.1.3: in any case, without a domain. */
	if (rcpt->to.flags & ADDRESS_POSTMASTER) {
		s->rcpt->to.flags &= ~(unsigned)ADDRESS_POSTMASTER;
		/* A copy: a reload may come before the directory's answer. */
		s->rcpt->to.domain = arena_slice(&smtp->arena, slice_str(shared.default_domain));
	}
	route_start(relay.route, &s->rcpt->to, &s->op, rcpt_routed, s);
}

void
rcpt_write(const struct session *s, struct buf *b)
{
	if (s->rcpt)
		address_write(b, &s->rcpt->to);
}
