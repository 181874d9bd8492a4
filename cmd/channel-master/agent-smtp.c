/* channel-master/agent-smtp.c: the recipients of one lease by SMTP or LMTP, over one connection after the
 * other.
 *
 *	(session -> batch of recipients)* -> job_settle
 *
 * Owns a lease between its opening and the moment when each pending recipient has a verdict.
 * Anything may fail: what nobody has answered is TEMP.  What must stay true: no recipient is given
 * to two transactions in one attempt, unless the first was not answered at all.  A message whose
 * recipients are elsewhere now goes to smtp-relay, as any other to its host; but it must not be in
 * the queue twice, so its copy is handed over as reports are (handover.c). */
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "job-impl.h"
#include "route/route.h"

#define OUR_BATCH 1000 /* recipients in one transaction to our own lmtpd: one copy of the body */

/* What a lease has while this agent works on it. */
struct smtp_work {
	struct site site;
	struct dial *dial;
	struct session *session;
	struct smtp_client_rcpt *rcpts; /* of the batch */
	struct smtp_client_tx tx;
	struct smtp_client_forward forward; /* of tx */
	struct handover handover;           /* of the copy, when it is queued anew */
	struct later later;
	struct job *job;
	bool fresh; /* a session of the pool was found closed: dial */
};

static void next_batch(struct job *j);

/* Is it piped that delivers for this channel? */
static bool
is_pipe(void)
{
	return master.channel->protocol == CHANNEL_PIPE;
}

static struct smtp_work *
smtp_work(const struct job *j)
{
	return j->work;
}

static void
deliver_dialled(void *arg, struct session *s, const struct verdict *v, enum job_site site)
{
	struct job *j = CAST(arg, struct job, JOB_MAGIC);
	struct smtp_work *w = smtp_work(j);

	w->dial = NULL;
	w->session = s;
	j->result.site = site;
	j->result.mx = slice_str(w->site.mx_set);
	if (s) {
		next_batch(j);
		return;
	}
	job_outcome_rest(j, v);
	job_settle(j);
}

static void
get_session(struct job *j)
{
	struct smtp_work *w = smtp_work(j);

	if (master.draining && !job_begun(j)) {
		job_drop(j, 1); /* nobody looks for a host any more */
		return;
	}
	w->session = w->fresh ? NULL : master_session_take(w->site.key);
	if (w->session) {
		j->result.site = JOB_SITE_OK;
		next_batch(j);
	} else {
		w->dial = dial_start(&w->site, deliver_dialled, j);
	}
}

/* To a host that promises nothing goes what its sender only wants to hear of, and he hears that it left; with T he
 * hears of each relay. */
static bool
by_relayed(const struct job *j)
{
	const struct qenv *e = &j->r->env;
	bool knows = smtp_work(j)->session->client.offer.has & OFFERS_BY;

	return e->by_at && !j->moved && master.channel->protocol == CHANNEL_SMTP &&
	    (e->by_trace || (e->by_notify && !knows));
}

static const char *
by_mode(const struct qenv *e)
{
	static const char *const modes[2][2] = { { "R", "RT" }, { "N", "NT" } };

	return e->by_at ? modes[e->by_notify][e->by_trace] : NULL;
}

static void
take_outcome(struct job *j, const struct smtp_client_rcpt *c, const char *mta)
{
	struct smtp_work *w = smtp_work(j);
	struct outcome *o = &j->outcomes[(struct outcome *)c->data - j->outcomes];

	if (c->again)
		return; /* in the next batch */
	o->v = c->v;
	o->tried = true;
	o->remote = c->remote;
	/* "STARTTLS first", "certificate required", "authentication required": between our tiers, and
	 * at our smart host, that is a mistake in the configuration, and no mail is returned for those. */
	if (o->v.reply == 530 && (master.channel->protocol == CHANNEL_LMTP || w->site.smart))
		o->v = verdict(OUT_PEER_WANTS_TLS, c->v.text);
	o->dsn_passed_on = (w->session->client.offer.has & OFFERS_DSN) != 0;
	o->mta = mta;
	o->tls = w->session->tls;
	o->policy = policy_word(&w->session->policy);
	o->relayed = by_relayed(j);
	if (!c->remote && c->v.kind == TEMP)
		j->result.site = JOB_SITE_FAIL; /* the connection broke */
}

/* The body is not what was queued: set aside, unless somebody has had it already, whom the journal
 * must know of first; the next attempt sets it aside then. */
static bool
deliver_hold(struct job *j)
{
	struct smtp_work *w = smtp_work(j);

	if (j->cut || job_begun(j))
		return false;
	if (queue_set_aside(master.queue, master.channel->name, j->r->name, "damaged") < 0)
		return false;
	master_session_close(w->session);
	w->session = NULL;
	job_end(j, JOB_HELD);
	return true;
}

/* The server takes no more messages on this connection, as it said (RFC 9422 4.1): another one for the rest. */
static bool
batch_again(struct job *j)
{
	struct smtp_work *w = smtp_work(j);
	struct session *s = w->session;

	if (!s || !s->client.offer.mail_max || s->client.used < s->client.offer.mail_max)
		return false;
	w->session = NULL;
	w->fresh = true;
	master_session_release(s);
	get_session(j);
	return true;
}

/* Goes on with the recipients that are left, or ends. */
static void
batch_over(struct job *j)
{
	struct smtp_work *w = smtp_work(j);
	struct session *s = w->session;
	struct verdict v;

	for (size_t i = 0; i < j->r->env.nrcpt; i++) {
		if (j->r->env.rcpts[i].state != QSTATE_PENDING || j->outcomes[i].tried)
			continue;
		if (!s || smtp_client_usable(&s->client)) {
			s ? next_batch(j) : get_session(j);
			return;
		}
		if (batch_again(j))
			return;
		v = verdict(OUT_PEER_GONE_SOON);
		job_outcome_rest(j, &v);
		break;
	}
	w->session = NULL;
	if (s)
		master_session_release(s);
	job_settle(j);
}

/* The copy for those recipients whom smtp-relay has taken is in the queue, or not. */
static void
copy_queued(void *arg, const struct verdict *v)
{
	struct job *j = CAST(arg, struct job, JOB_MAGIC);

	if (j->r->env.report == QREPORT_QUEUED) {
		job_drop(j, 60); /* as `reported` */
		return;
	}
	for (size_t i = 0; i < j->r->env.nrcpt; i++) {
		struct outcome *o = &j->outcomes[i];

		if (!o->tried || o->v.kind != OK || o->recorded)
			continue;
		if (v->kind == OK)
			job_log_outcome(j, i);
		else
			o->v = *v;
		o->recorded = v->kind == OK;
	}
	batch_over(j);
}

/* Queued anew: smtp-relay has set the copy aside, which is shown when the journal says who has left
 * this file for it.  False: nobody has. */
static bool
copy_taken(struct job *j)
{
	struct smtp_work *w = smtp_work(j);
	bool taken = false, maybe = false;

	if (!(w->session->client.offer.has & OFFERS_XASIDE))
		return false;
	for (size_t i = 0; i < w->tx.nrcpt; i++) {
		const struct outcome *o = w->tx.rcpts[i].data;

		taken = taken || (o->tried && o->v.kind == OK);
		maybe = maybe || (o->tried && o->v.kind == TEMP);
	}
	if (!taken && maybe)
		handover_undo(&w->handover);
	if (!taken)
		return false;
	for (size_t i = 0; i < j->r->env.nrcpt; i++) {
		const struct outcome *o = &j->outcomes[i];

		if (o->tried && o->v.kind == OK && !o->recorded)
			qread_result(j->r, i, QSTATE_DELIVERED, &o->v, o->remote ? o->mta : NULL);
	}
	master_session_release(w->session); /* it may be lost while we wait */
	w->session = NULL;
	handover_show(&w->handover, copy_queued, j);
	return true;
}

static void
batch_done(struct smtp_client_tx *tx)
{
	struct job *j = CAST(tx->data, struct job, JOB_MAGIC);
	struct smtp_work *w = smtp_work(j);
	struct session *s = w->session;
	const char *mta;

	if (tx->unanswered && s->client.used > 1 && !w->fresh) {
		/* Idle for too long, the server had closed it: nobody's fault. */
		w->fresh = true;
		w->session = NULL;
		master_session_close(s);
		get_session(j);
		return;
	}
	if (tx->damaged && deliver_hold(j))
		return;
	mta = arena_str(&j->r->arena, s->peer);
	for (size_t i = 0; i < tx->nrcpt; i++)
		take_outcome(j, &tx->rcpts[i], mta);
	if (!j->moved || !copy_taken(j))
		batch_over(j);
}

/* Sets up one recipient of the batch. */
static void
fill_rcpt(struct smtp_client_rcpt *c, const struct qrcpt *q, struct outcome *o, const char *dest)
{
	const char *semi = q->orcpt ? strchr(q->orcpt, ';') : NULL;

	*c = (struct smtp_client_rcpt){
		.address = slice_str(q->addr),
		.notify = (unsigned)q->notify,
		.sent = q->sent,
		.data = o,
	};
	if (is_pipe())
		c->run = slice_str(dest);
	if (semi && semi > q->orcpt) {
		c->orcpt_type = slice(q->orcpt, (size_t)(semi - q->orcpt));
		c->orcpt = slice_str(semi + 1);
	}
}

/* A copy for a Sent folder is for a server that knows what that is: to others it would be mail that has come. */
static bool
deliver_no_sent(struct job *j, size_t i)
{
	if (!j->r->env.rcpts[i].sent || (smtp_work(j)->session->client.offer.has & OFFERS_XSENT))
		return false;
	j->outcomes[i].v = verdict(OUT_SENT_NOWHERE);
	j->outcomes[i].tried = true;
	return true;
}

/* A server that does not know what XRUN is would take the message for its own user of that address. */
static bool
deliver_no_run(struct job *j, size_t i)
{
	if (!is_pipe() || (smtp_work(j)->session->client.offer.has & OFFERS_XRUN))
		return false;
	j->outcomes[i].v = verdict(OUT_PIPE_OTHER);
	j->outcomes[i].tried = true;
	return true;
}

static bool
deliver_no_by(struct job *j, size_t i)
{
	const struct qenv *e = &j->r->env;

	if (!e->by_at || e->by_notify || j->moved || master.channel->protocol != CHANNEL_SMTP ||
	    (smtp_work(j)->session->client.offer.has & OFFERS_BY))
		return false;
	j->outcomes[i].v = verdict(OUT_BY_UNABLE);
	j->outcomes[i].tried = true;
	return true;
}

static void
deliver_none_later(struct later *l)
{
	batch_over(CONTAINER(l, struct smtp_work, later)->job);
}

/* A server that does not know our names for messages would take one twice: it has to wait for the queue. */
static bool
deliver_no_cut(struct job *j)
{
	struct verdict v = verdict(OUT_NEVER_TRIED);

	if (!j->cut || (smtp_work(j)->session->client.offer.has & OFFERS_XTIERMAIL))
		return false;
	job_outcome_rest(j, &v);
	return true;
}

/* How many recipients the server takes in one transaction, by its word (RFC 9422 4.2) and ours. */
static size_t
batch_most(const struct smtp_offer *o)
{
	size_t most = (size_t)mconf.max_recipients;

	if ((o->has & OFFERS_XTIERMAIL) && most < OUR_BATCH)
		most = OUR_BATCH;
	return o->rcpt_max && o->rcpt_max < most ? o->rcpt_max : most;
}

/* Would this recipient's domain be one more than the server takes in one transaction (RFC 9422 4.3)?  Of n that are in
 * it; looked at only where there is such a limit, n x n at most batch_most squared. */
static bool
batch_domains_full(const struct smtp_work *w, size_t n, struct slice addr)
{
	uint32_t most = w->session->client.offer.domain_max, seen = 0;
	struct slice mine = slice_from(addr, slice_rfind(addr, '@'));

	for (size_t i = 0; most && i < n; i++) {
		struct slice a = w->rcpts[i].address, d = slice_from(a, slice_rfind(a, '@'));
		size_t k = 0;

		if (slice_ieq(d, mine))
			return false;
		while (k < i &&
		    !slice_ieq(d,
			slice_from(w->rcpts[k].address, slice_rfind(w->rcpts[k].address, '@'))))
			k++;
		seen += k == i;
	}
	return most && seen >= most;
}

/* What must not be read on the way goes back as its header alone (RFC 8689 5). */
static enum smtp_ret
agent_ret(const struct qenv *e)
{
	if (e->ret == QRET_NONE)
		return SMTP_RET_NONE;
	return e->ret == QRET_FULL && e->tls != QTLS_REQUIRED ? SMTP_RET_FULL : SMTP_RET_HDRS;
}

/* The next recipients that are pending and not yet tried: there are some. */
static void
next_batch(struct job *j)
{
	struct smtp_work *w = smtp_work(j);
	const struct qenv *e = &j->r->env;
	size_t n = 0, most = batch_most(&w->session->client.offer);

	if (deliver_no_cut(j)) {
		later_run(&w->later, master.loop, deliver_none_later);
		return;
	}
	mem_free(&w->rcpts); /* another session may take more of them */
	w->rcpts = mem_array(e->nrcpt < most ? e->nrcpt : most, sizeof(*w->rcpts));
	for (size_t i = 0; i < e->nrcpt && n < most; i++)
		if (e->rcpts[i].state == QSTATE_PENDING && !j->outcomes[i].tried &&
		    !deliver_no_sent(j, i) && !deliver_no_run(j, i) && !deliver_no_by(j, i) &&
		    !batch_domains_full(w, n, slice_str(e->rcpts[i].addr)))
			fill_rcpt(&w->rcpts[n++], &e->rcpts[i], &j->outcomes[i], j->dest);
	if (n == 0) { /* as if it had been answered */
		later_run(&w->later, master.loop, deliver_none_later);
		return;
	}
	if (j->moved)
		handover_init(&w->handover, j->r, QUEUE_ASIDE_COPY);
	w->forward = (struct smtp_client_forward){ .helo = slice_str(e->helo), .local = e->inside };
	if (e->client && strcmp(e->client, "local") != 0)
		w->forward.addr = slice_str(e->client);
	w->tx = (struct smtp_client_tx){
		.forward = master.channel->xforward ? &w->forward : NULL,
		.aside = slice_str(w->handover.id), /* "" */
		.sender = slice_str(e->sender),
		.envid = slice_str(e->envid),
		.ret = agent_ret(e),
		.qid = slice_str(e->qid),
		.by_mode = by_mode(e),
		.by = e->by_at - clock_now(),
		.priority = e->priority,
		.require_tls = e->tls == QTLS_REQUIRED,
		.release_at = j->moved && e->release_at > clock_now() ? e->release_at : 0,
		.eightbit = e->body != QBODY_7BIT,
		.smtputf8 = e->utf8,
		.fd = j->r->fd,
		.at = (int64_t)j->r->body_at,
		.size = e->body_len,
		.bytes = j->r->body,
		.crc32c = &e->body_crc,
		.rcpts = w->rcpts,
		.nrcpt = n,
		.done = batch_done,
		.data = j,
	};
	smtp_client_send(&w->session->client, &w->tx);
}

static void
settle_later(struct later *l)
{
	job_settle(CONTAINER(l, struct smtp_work, later)->job);
}

/* Has the route changed since the message was queued?  Its file says where everybody went then.  A
 * store that does not have the mailbox says so (4.1.6, lmtpd), and the static routes are known
 * here.  Not at the first attempt: who was queued just now was routed just now, and a message
 * that two hosts disagree about must go no faster than its backoff (in the end limit.received
 * stops it). */
static bool
deliver_moved(struct job *j)
{
	const char *channel, *host;

	/* Programs are the directory's and the alias file's alone to name: who is expanded anew would get the
	 * message into his mailbox, too, once more. */
	if (is_pipe())
		return false;
	for (size_t i = 0; j->attempt > 0 && i < j->r->env.nrcpt; i++) {
		const struct qrcpt *q = &j->r->env.rcpts[i];
		struct slice addr = slice_str(q->addr);

		if (q->state != QSTATE_PENDING)
			continue;
		if (q->deferred && q->last && q->last->subject == 1 && q->last->detail == 6)
			return true;
		if (route_fixed(master.channels, slice_from(addr, slice_rfind(addr, '@') + 1),
			&j->r->arena, &channel, &host) &&
		    (strcmp(channel, master.channel->name) != 0 || strcmp(host, j->dest) != 0))
			return true;
	}
	return false;
}

static void
smtp_start(struct job *j)
{
	struct smtp_work *w = mem_new(sizeof(*w));
	struct verdict v;

	j->work = w;
	w->job = j;
	later_init(&w->later);
	if ((j->moved = (j->action == JOB_REROUTE && !is_pipe()) || deliver_moved(j))) {
		log_event(LOG_INFO, "requeue", "qid=%s channel=%s dest=%s attempt=%u",
		    j->r->env.qid, master.channel->name, log_str(j->dest), j->attempt + 1);
		site_submit(&w->site);
	} else if (site_find(j->dest, &w->site, &v) < 0) {
		j->result.site = JOB_SITE_NONE;
		job_outcome_rest(j, &v);
		later_run(&w->later, master.loop, settle_later);
		return;
	} else {
		site_wish(&w->site, j->r->env.tls);
	}
	get_session(j);
}

static bool
smtp_give_back(struct job *j)
{
	struct smtp_work *w = smtp_work(j);

	if (!w->dial || job_begun(j))
		return false;
	dial_cancel(&w->dial);
	return true;
}

static void
smtp_end(struct job *j)
{
	struct smtp_work *w = smtp_work(j);

	later_cancel(&w->later);
	site_fini(&w->site);
	mem_free(&w->rcpts);
	mem_free(&w);
}

const struct agent agent_smtp = { .name = "smtp",
	.word = "delivered",
	.action = DSN_RELAYED,
	.start = smtp_start,
	.give_back = smtp_give_back,
	.end = smtp_end };
const struct agent agent_lmtp = { .name = "lmtp",
	.word = "delivered",
	.action = DSN_DELIVERED,
	.start = smtp_start,
	.give_back = smtp_give_back,
	.end = smtp_end };
const struct agent agent_pipe = { .name = "pipe",
	.word = "delivered",
	.action = DSN_DELIVERED,
	.start = smtp_start,
	.give_back = smtp_give_back,
	.end = smtp_end };
