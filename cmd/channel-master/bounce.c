/* channel-master/bounce.c: reports to senders (RFC 3461, 3464) through smtp-relay.
 *
 * A report is mail from the null sender, handed to smtp-relay's local submission, which routes
 * and queues it: its 250 means that it is durable, and only then may the failed recipients
 * leave the queue.  It is set aside until the message's journal says so, so that a kill in between
 * makes no second one (queue/aside.h).  A message from the null sender is never reported (RFC 5321 6.1): it is
 * dropped on record, or its report goes to a postmaster if the site wants that. */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>
#include "agent.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/must.h"
#include "base/random.h"
#include "base/utf8.h"
#include "mail/dsn.h"
#include "mail/header.h"
#include "master.h"

#define BOUNCE_MAGIC 0x626f756e
#define HEADER_MAX   (256 * 1024) /* of a returned header */

struct bounce {
	uint32_t magic;
	void (*settle)(void *);
	void (*done)(void *, const struct verdict *);
	void *arg;
	char qid[QUEUE_ID_LEN + 1]; /* of the message it is about */
	struct handover handover;
	char *to;
	struct buf text;
	struct site site;
	struct dial *dial;
	struct session *session;
	struct smtp_client_rcpt rcpt;
	struct smtp_client_tx tx;
	struct later later;
	struct verdict v;
	bool aside; /* the relay sets it aside */
	bool again; /* a pooled session was found closed once */
};

/* ---- who is told ---------------------------------------------------------------------- */

/* What the sender hears about this recipient; false: nothing. */
static bool
reportable(const struct qrcpt *q, const struct outcome *o, enum bounce_kind kind,
    enum dsn_action *action)
{
	if (q->state != QSTATE_PENDING || (q->notify & QNOTIFY_NEVER))
		return false;
	if (kind == BOUNCE_DELAY) {
		*action = DSN_DELAYED;
		return q->notify == 0 || (q->notify & QNOTIFY_DELAY);
	}
	if (!o->tried)
		return false;
	if (o->v.kind == PERM) {
		*action = DSN_FAILED;
		return q->notify == 0 || (q->notify & QNOTIFY_FAILURE);
	}
	/* RFC 3461 5.2.2: a peer that takes DSN reports the success itself. */
	*action = master.agent->action;
	if (o->v.kind == OK && o->relayed) /* RFC 2852 4.1.4, where NEVER was not said */
		return true;
	return o->v.kind == OK && (q->notify & QNOTIFY_SUCCESS) && !o->dsn_passed_on;
}

/* ---- the text ------------------------------------------------------------------------- */

/* The first `n` bytes of the message; false when they cannot be read. */
static bool
read_message(const struct qread *r, uint64_t n, struct buf *b)
{
	while (b->n < n) {
		char *room = buf_reserve(b, (size_t)n - b->n);
		ssize_t got = pread(r->fd, room, (size_t)n - b->n, (off_t)(r->body_at + b->n));

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return false;
		b->n += (size_t)got;
	}
	return true;
}

/* What goes back: all of it, or the header. */
static bool
read_returned(const struct qread *r, bool failed, struct buf *b, bool *full)
{
	uint64_t most = r->env.tls == QTLS_REQUIRED ? 0 /* RFC 8689 5 */ :
	    r->env.ret == QRET_FULL                 ? (uint64_t)mconf.return_max :
	    r->env.ret == QRET_NONE                 ? (uint64_t)mconf.return_size :
						      0;
	uint64_t size = r->env.body_len;

	/* RFC 3461 4.3: RET is about failures; other reports return the header. */
	*full = failed && size <= most;
	if (!*full && size > HEADER_MAX)
		size = HEADER_MAX;
	if (!read_message(r, size, b))
		return false;
	if (!*full) {
		b->n = header_len(buf_get(b));
		if (b->n >= 4 && memcmp(b->p + b->n - 4, "\r\n\r\n", 4) == 0)
			b->n -= 2;
	}
	if (b->n < 2 || memcmp(b->p + b->n - 2, "\r\n", 2) != 0)
		buf_lit(b, "\r\n");
	return true;
}

/* The Message-ID of the message, for In-Reply-To, or NULL. */
static const char *
message_id(struct slice text, char dst[256])
{
	struct header_field f;
	struct slice id;

	if (!header_find(text, S("Message-ID"), &f))
		return NULL;
	id = slice_trim(f.value);
	if (id.n < 3 || id.n > 200 || id.p[0] != '<' || id.p[id.n - 1] != '>')
		return NULL;
	return slice_cstr(id, dst, 256);
}

static bool
compose(struct bounce *b, const struct qread *r, const struct dsn_rcpt *rcpts, size_t nrcpt)
{
	struct dsn d = { .rcpts = rcpts, .nrcpt = nrcpt };
	struct buf returned = { 0 };
	char boundary[64], id[14], id2[14], about[256];
	bool failed = false;

	for (size_t i = 0; i < d.nrcpt; i++)
		failed = failed || d.rcpts[i].action == DSN_FAILED;
	if (!read_returned(r, failed, &returned, &d.full)) {
		buf_fini(&returned);
		return false;
	}
	(void)snprintf(boundary, sizeof(boundary), "=_%s_%016llx", random_id(id),
	    (unsigned long long)random_u64());
	d.boundary = boundary;
	d.message_id = random_id(id2);
	d.host = shared.hostname;
	d.to = b->to;
	d.envid = r->env.envid;
	d.received_from = r->env.helo;
	d.qid = r->env.qid;
	d.about = message_id(buf_get(&returned), about);
	d.now = clock_now();
	d.arrival_at = r->env.arrival_ms / 1000;
	d.release_asked = r->env.release_asked;
	d.retry_until_at = (r->env.release_at > d.arrival_at ? r->env.release_at : d.arrival_at) +
	    channels_periods_get(&master.channel->notices, master.channel->notices.n - 1);
	/* What the message asks for is its sender's wish: the postmaster reads the site's language. */
	d.words = *r->env.sender ? notices_words(r->env.language, buf_get(&returned)) :
				   notices_words(NULL, S(""));
	d.utf8 = r->env.utf8;
	d.eightbit = !utf8_ascii(buf_get(&returned));
	dsn_write_head(&b->text, &d);
	buf_slice(&b->text, buf_get(&returned));
	dsn_write_tail(&b->text, &d);
	buf_fini(&returned);
	b->tx = (struct smtp_client_tx){
		.aside = slice_str(b->handover.id),
		.require_tls = r->env.tls == QTLS_REQUIRED,
		.eightbit = d.utf8 || d.eightbit,
		.smtputf8 = d.utf8,
		.fd = -1,
		.size = b->text.n,
		.bytes = b->text.p,
		.rcpts = &b->rcpt,
		.nrcpt = 1,
	};
	return true;
}

/* ---- the way out ---------------------------------------------------------------------- */

static void bounce_free(struct bounce *b);
static void send_it(struct bounce *b);

static void
bounce_finish(struct bounce *b, const struct verdict *v)
{
	void (*done)(void *, const struct verdict *) = b->done;
	struct verdict copy = *v;
	void *arg = b->arg;

	if (v->kind == PERM) {
		/* Nobody can be told; keeping the message would not change that. */
		log_event(LOG_WARN, "report_lost", "qid=%s to=%s verdict=%d.%u.%u text=%s", b->qid,
		    log_str(b->to), (int)v->kind, v->subject, v->detail, log_str(v->text));
		copy = verdict(OUT_REPORT_REFUSED);
	} else {
		log_event(v->kind == OK ? LOG_INFO : LOG_WARN, "report",
		    "qid=%s to=%s verdict=%d.%u.%u text=%s", b->qid, log_str(b->to), (int)v->kind,
		    v->subject, v->detail, log_str(v->text));
	}
	bounce_free(b);
	done(arg, &copy);
}

static void
finish_later(struct later *l)
{
	struct bounce *b = CONTAINER(l, struct bounce, later);

	bounce_finish(b, &b->v);
}

static void
bounce_queued(void *arg, const struct verdict *v)
{
	struct bounce *b = CAST(arg, struct bounce, BOUNCE_MAGIC);

	bounce_finish(b, v->kind == OK ? &b->rcpt.v : v);
}

static void
bounce_sent(struct smtp_client_tx *tx)
{
	struct bounce *b = CAST(tx->data, struct bounce, BOUNCE_MAGIC);
	struct session *s = b->session;

	b->session = NULL;
	b->aside = (s->client.offer.has & OFFERS_XASIDE) != 0;
	master_session_release(s);
	if (tx->unanswered && !b->again) {
		b->again = true;
		send_it(b);
		return;
	}
	if (b->aside && b->rcpt.v.kind == OK) {
		b->settle(b->arg);
		handover_show(&b->handover, bounce_queued, b);
		return;
	}
	if (b->aside && b->rcpt.v.kind == TEMP)
		handover_undo(&b->handover);
	bounce_finish(b, &b->rcpt.v);
}

static void
bounce_submit(struct bounce *b, struct session *s)
{
	b->session = s;
	b->tx.done = bounce_sent;
	b->tx.data = b;
	smtp_client_send(&s->client, &b->tx);
}

static void
bounce_dialled(void *arg, struct session *s, const struct verdict *v, enum job_site site)
{
	struct bounce *b = CAST(arg, struct bounce, BOUNCE_MAGIC);
	struct verdict why = *v;

	(void)site;
	b->dial = NULL;
	if (s) {
		bounce_submit(b, s);
		return;
	}
	why.kind = TEMP; /* our own relay: whatever it says now, it will take it some day */
	bounce_finish(b, &why);
}

static void
send_it(struct bounce *b)
{
	struct session *s = b->again ? NULL : master_session_take(b->site.key);

	if (s)
		bounce_submit(b, s);
	else
		b->dial = dial_start(&b->site, bounce_dialled, b);
}

/* Reports about messages without a sender go to the postmaster if the site wants that, but not
 * about mail to the postmaster itself: that would never end. */
static bool
postmaster_hears(const struct dsn_rcpt *rcpts, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (slice_ieq(slice_str(rcpts[i].address), slice_str(mconf.double_bounce)))
			return false;
	return *mconf.double_bounce != '\0';
}

static struct bounce *
bounce_new(struct qread *r, enum queue_aside kind, const char *to, void (*settle)(void *arg),
    void (*done)(void *arg, const struct verdict *), void *arg)
{
	struct bounce *b = mem_new(sizeof(*b));

	b->magic = BOUNCE_MAGIC;
	b->settle = settle;
	b->done = done;
	b->arg = arg;
	handover_init(&b->handover, r, kind);
	memcpy(b->qid, r->env.qid, sizeof(b->qid));
	b->to = mem_str(to);
	later_init(&b->later);
	site_submit(&b->site);
	b->rcpt =
	    (struct smtp_client_rcpt){ .address = slice_str(b->to), .notify = SMTP_NOTIFY_NEVER };
	return b;
}

static void
bounce_write(struct bounce *b, const struct qread *r, const struct dsn_rcpt *rcpts, size_t n)
{
	if (compose(b, r, rcpts, n)) {
		send_it(b);
		return;
	}
	b->v = verdict(OUT_REPORT_UNREAD);
	later_run(&b->later, master.loop, finish_later);
}

struct bounce *
bounce_start(struct qread *r, const struct outcome *o, enum bounce_kind kind,
    void (*settle)(void *arg), void (*done)(void *arg, const struct verdict *), void *arg)
{
	struct dsn_rcpt *rcpts = mem_array(r->env.nrcpt, sizeof(*rcpts));
	struct bounce *b;
	size_t nrcpt = 0;

	for (size_t i = 0; i < r->env.nrcpt; i++) {
		const struct qrcpt *q = &r->env.rcpts[i];
		struct dsn_rcpt *n = &rcpts[nrcpt];

		if (!reportable(q, &o[i], kind, &n->action))
			continue;
		n->address = q->final ? q->final : q->addr;
		n->orcpt = q->orcpt;
		n->v = &o[i].v;
		n->remote = o[i].remote;
		n->mta = o[i].mta;
		n->at = o[i].tried ? clock_now() : q->at;
		nrcpt++;
	}
	if (nrcpt && *r->env.sender == '\0' && !postmaster_hears(rcpts, nrcpt)) {
		if (kind == BOUNCE_RESULT)
			log_event(LOG_WARN, "report_dropped",
			    "qid=%s rcpts=%zu why=\"null sender\"", r->env.qid, nrcpt);
		nrcpt = 0;
	}
	if (nrcpt == 0) {
		mem_free(&rcpts);
		return NULL;
	}
	b = bounce_new(r, QUEUE_ASIDE_REPORT, *r->env.sender ? r->env.sender : mconf.double_bounce,
	    settle, done, arg);
	bounce_write(b, r, rcpts, nrcpt);
	mem_free(&rcpts);
	return b;
}

struct bounce *
bounce_members_start(struct qread *r, const char *to, const struct bounce_member *members, size_t n,
    void (*settle)(void *arg), void (*done)(void *arg, const struct verdict *), void *arg)
{
	struct bounce *b = bounce_new(r, QUEUE_ASIDE_MEMBERS, to, settle, done, arg);
	struct dsn_rcpt *rcpts = mem_array(n, sizeof(*rcpts));
	size_t nrcpt = 0;

	for (size_t i = 0; i < n; i++)
		if (!members[i].told && strcmp(members[i].to, to) == 0)
			rcpts[nrcpt++] =
			    (struct dsn_rcpt){ .action = members[i].v.kind == PERM ? DSN_FAILED :
										     DSN_DELAYED,
				    .address = members[i].address,
				    .v = &members[i].v,
				    .at = clock_now() };
	must(nrcpt > 0);
	bounce_write(b, r, rcpts, nrcpt);
	mem_free(&rcpts);
	return b;
}

static void
bounce_free(struct bounce *b)
{
	later_cancel(&b->later);
	buf_fini(&b->text);
	site_fini(&b->site);
	mem_free(&b->to);
	b->magic = 0;
	mem_free(&b);
}
