/* submit.c: messages on their way to the one relay, and the connections that they share.
 *
 * Owns every connection (struct link) and every message that is not over (struct mail).  A message has
 * one link from when there is a slot for it; links that are free wait a while for the next one.  What can
 * fail is the relay: then the message ends with TEMP.  What must stay true: `done` comes once, from the
 * loop; a cancelled message's bytes are not looked at again, so that its link is closed at once; a link
 * that was found closed when it was used again is no failure, and the message is sent once more. */
#include "submit/submit.h"

#include <errno.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/must.h"
#include "base/utf8.h"
#include "daemon/daemon.h"
#include "mail/outcome.h"
#include "net/connect.h"
#include "net/dns.h"

#define LINKS_MAX  16 /* connections of a process; further messages wait */
#define ADDRS_MAX  8  /* of the relay's that are tried */
#define IDLE_MS    10000
#define CONNECT_MS 10000
#define HOST_MAX   255
#define SMTP_PORT  25

#define MAIL_MAGIC 0x73756d61
#define LINK_MAGIC 0x73756c6b

struct link;
struct submit {
	struct loop *loop;
	char *relay; /* heap; "unix:..." or a host with its port or without */
	enum smtp_tls tls;
	uint64_t time_ms;
	struct dns *dns;     /* made when a name is to be looked up */
	struct list waiting; /* mails without a link, the first goes next */
	struct list links;   /* all */
	struct list idle;    /* those that are free, the youngest first */
	size_t nmails, nlinks;
	bool leaving;
};

struct mail {
	uint32_t magic;
	struct submit *submit;
	struct list link;
	struct link *by; /* NULL while it waits */
	struct op *op;
	void (*done)(void *arg, const struct verdict *);
	void *arg;
	struct smtp_client_tx tx;
	struct smtp_client_rcpt *rcpts; /* tx.nrcpt of them, behind this */
	struct submit_rcpt *told;       /* the caller's, or NULL */
	struct deadline late;
	bool again;    /* a used connection was found closed once */
	bool answered; /* each recipient has its outcome */
};

struct link {
	uint32_t magic;
	struct submit *submit;
	struct list all, idle;
	struct mail *mail;
	char *relay; /* as it was configured when this began */
	char host[HOST_MAX + 1];
	struct addr addrs[ADDRS_MAX];
	size_t naddrs, at;
	struct op op; /* name, connect */
	struct later later;
	struct smtp_client_params params;
	struct smtp_client client;
	struct deadline unused;
	struct verdict why; /* the last address was no good */
	bool open, ready;
};

static void submit_go_on(struct submit *s);
static void link_next_address(struct link *l);

/* ---- where the relay is ------------------------------------------------------------------ */

/* "host", "host:port", "[v6]:port".  False: it is none of them. */
static bool
relay_parse(struct slice t, char host[HOST_MAX + 1], int *port)
{
	struct slice name = t, digits = { 0 };
	uint64_t n = SMTP_PORT;
	size_t colon;

	if (slice_starts(t, S("["))) {
		size_t end = slice_find(t, ']');

		name = slice_sub(t, 1, end - 1);
		t = slice_from(t, end + 1);
		if (t.n && t.p[0] != ':')
			return false;
		digits = slice_from(t, 1);
	} else if ((colon = slice_rfind(t, ':')) < t.n) {
		name = slice_sub(t, 0, colon);
		digits = slice_from(t, colon + 1);
	}
	if (name.n == 0 || name.n > HOST_MAX ||
	    (t.n && digits.n && slice_u64(digits, 65535, &n) < 0) || n == 0)
		return false;
	slice_cstr(name, host, HOST_MAX + 1);
	*port = (int)n;
	return true;
}

bool
submit_check(const char *relay, struct buf *why)
{
	char host[HOST_MAX + 1];
	struct addr a;
	int port;

	if (!relay || !*relay ||
	    (slice_starts(slice_str(relay), S("unix:")) ?
		    addr_parse(slice_str(relay), &a) == 0 :
		    relay_parse(slice_str(relay), host, &port)))
		return true;
	buf_printf(why, "%s is neither unix:/path nor host:port\n", relay);
	return false;
}

/* ---- the end of a message ---------------------------------------------------------------- */

static void
mail_free(struct mail *m)
{
	deadline_clear(&m->late);
	list_remove(&m->link);
	m->submit->nmails--;
	m->magic = 0;
	mem_release(m);
}

static void
mail_over(struct mail *m, const struct verdict *v)
{
	void (*done)(void *, const struct verdict *) = m->done;
	struct verdict copy = *v;
	void *arg = m->arg;

	for (size_t i = 0; m->told && i < m->tx.nrcpt; i++)
		m->told[i].v = m->answered ? m->rcpts[i].v : copy;
	if (m->by)
		m->by->mail = NULL;
	op_done(m->op);
	mail_free(m);
	done(arg, &copy);
}

/* ---- connections ------------------------------------------------------------------------- */

static void
link_free(struct link *l)
{
	struct submit *s = l->submit;

	op_cancel(&l->op);
	later_cancel(&l->later);
	deadline_clear(&l->unused);
	list_remove(&l->all);
	list_remove(&l->idle);
	mem_free(&l->relay);
	s->nlinks--;
	l->magic = 0;
	mem_release(l);
	submit_go_on(s);
}

/* No more use for it; it is gone when the handle is. */
static void
link_close(struct link *l)
{
	list_remove(&l->idle);
	if (l->open)
		smtp_client_close(&l->client);
	else
		link_free(l);
}

/* The relay cannot be reached, or wants no session. */
static void
link_fail(struct link *l, const struct verdict *v)
{
	struct mail *m = l->mail;
	struct verdict why = *v;

	why.kind = TEMP; /* our own relay: it will take it some day */
	why.reply = 0;
	l->mail = NULL;
	if (m)
		m->by = NULL;
	link_close(l);
	if (m)
		mail_over(m, &why);
}

static void
link_fail_later(struct later *later)
{
	struct link *l = CONTAINER(later, struct link, later);

	link_fail(l, &l->why);
}

static void
link_on_unused(struct deadline *d)
{
	struct link *l = CONTAINER(d, struct link, unused);

	list_remove(&l->idle);
	deadline_clear(&l->unused);
	smtp_client_quit(&l->client);
}

/* A free link: the next message, or a while to wait for one. */
static void
link_release(struct link *l)
{
	struct submit *s = l->submit;

	if (!smtp_client_usable(&l->client) || strcmp(l->relay, s->relay) != 0) {
		link_close(l);
		return;
	}
	if (s->leaving) {
		smtp_client_quit(&l->client);
		return;
	}
	list_push_front(&s->idle, &l->idle);
	deadline_set(&l->unused, s->loop, IDLE_MS, link_on_unused);
	submit_go_on(s);
}

static void link_send(struct link *l);

static void
link_sent(struct smtp_client_tx *tx)
{
	struct mail *m = CAST(tx->data, struct mail, MAIL_MAGIC);
	struct link *l = m->by;
	struct submit *s = m->submit;
	bool again = tx->unanswered && !m->again;

	l->mail = NULL;
	m->by = NULL;
	if (again) {
		m->again = true;
		list_push_front(&s->waiting, &m->link);
		link_close(l);
		submit_go_on(s);
		return;
	}
	m->answered = true;
	link_release(l);
	mail_over(m, &m->rcpts[0].v);
}

static void
link_send(struct link *l)
{
	struct mail *m = l->mail;

	m->tx.done = link_sent;
	m->tx.data = m;
	smtp_client_send(&l->client, &m->tx);
}

static void
link_on_ready(struct smtp_client *c, const struct verdict *v)
{
	struct link *l = CAST(c->data, struct link, LINK_MAGIC);

	if (v->kind != OK) {
		link_fail(l, v);
		return;
	}
	l->ready = true;
	if (l->mail)
		link_send(l);
	else
		link_release(l);
}

static void
link_on_lost(struct smtp_client *c)
{
	link_close(CAST(c->data, struct link, LINK_MAGIC));
}

static void
link_on_closed(struct smtp_client *c)
{
	struct link *l = CAST(c->data, struct link, LINK_MAGIC);
	struct mail *m = l->mail;

	l->mail = NULL;
	l->open = false;
	if (m) /* cannot be: a transaction and a hello end before this */
		m->by = NULL;
	link_free(l);
}

static const struct smtp_client_events link_events = {
	.ready = link_on_ready,
	.lost = link_on_lost,
	.closed = link_on_closed,
};

static void
link_connected(void *arg, int fd)
{
	struct link *l = CAST(arg, struct link, LINK_MAGIC);

	if (fd < 0) {
		l->why = verdict(OUT_CONNECT_FAILED, l->host, strerror(-fd));
		link_next_address(l);
		return;
	}
	if (l->params.tls != SMTP_TLS_OFF)
		l->params.tls_ctx = daemon_tls_client(l->params.tls == SMTP_TLS_MUST);
	if ((l->params.tls != SMTP_TLS_OFF && !l->params.tls_ctx) ||
	    smtp_client_open(&l->client, l->submit->loop, fd, &l->params, l->host, &link_events,
		l) < 0) {
		(void)close(fd);
		l->why = verdict(OUT_CONNECT_UNUSED, l->host);
		link_fail(l, &l->why);
		return;
	}
	l->open = true;
	if (l->submit->leaving)
		smtp_client_leave(&l->client);
}

static void
link_next_address(struct link *l)
{
	if (l->at == l->naddrs)
		link_fail(l, &l->why);
	else
		connect_start(l->submit->loop, &l->addrs[l->at++], NULL, CONNECT_MS, &l->op,
		    link_connected, l);
}

static void
link_resolved(void *arg, const struct dns_answer *a)
{
	struct link *l = CAST(arg, struct link, LINK_MAGIC);
	int port = 0;

	if (a->status < 0 || a->naddrs == 0) {
		l->why = a->status == -ENOENT || a->status == -ENODATA ?
		    verdict(OUT_HOST_UNKNOWN, l->host) :
		    verdict(OUT_DNS_AWAY, l->host);
		link_fail(l, &l->why);
		return;
	}
	(void)relay_parse(slice_str(l->relay), l->host, &port);
	for (; l->naddrs < a->naddrs && l->naddrs < ADDRS_MAX; l->naddrs++) {
		l->addrs[l->naddrs] = a->addrs[l->naddrs];
		addr_set_port(&l->addrs[l->naddrs], port);
	}
	link_next_address(l);
}

static bool
submit_names(struct submit *s)
{
	struct dns_params p = dns_params_shared();
	char *why = NULL;

	if (s->dns || (s->dns = dns_new(s->loop, &p, &why)))
		return true;
	log_event(LOG_ERROR, "dns", "error=%s", log_str(why));
	mem_free(&why);
	return false;
}

/* From configuration to the first step on the way there. */
static void
link_begin(struct link *l)
{
	struct slice relay = slice_str(l->relay);
	int port;

	l->why = verdict(OUT_SITE_BAD, l->relay);
	if (slice_starts(relay, S("unix:")) && addr_parse(relay, &l->addrs[0]) == 0) {
		l->params.tls = SMTP_TLS_OFF; /* the kernel knows who is at the other end */
		slice_cstr(slice_from(relay, 5), l->host, sizeof(l->host));
		l->naddrs = 1;
		link_next_address(l);
		return;
	}
	if (!slice_starts(relay, S("unix:")) && relay_parse(relay, l->host, &port)) {
		if (submit_names(l->submit)) {
			dns_addr_start(l->submit->dns, l->host, &l->op, link_resolved, l);
			return;
		}
		l->why = verdict(OUT_DNS_BROKEN);
	}
	later_run(&l->later, l->submit->loop, link_fail_later);
}

static struct link *
link_new(struct submit *s)
{
	struct link *l = mem_new(sizeof(*l));
	uint32_t ms = s->time_ms < UINT32_MAX ? (uint32_t)s->time_ms : UINT32_MAX;

	l->magic = LINK_MAGIC;
	l->submit = s;
	l->relay = mem_str(s->relay);
	list_init(&l->idle);
	later_init(&l->later);
	deadline_init(&l->unused);
	list_push(&s->links, &l->all);
	s->nlinks++;
	l->params = (struct smtp_client_params){ .tls = s->tls,
		.helo = shared.hostname,
		.limits = { ms, ms, ms, ms, ms, ms, ms, smtp_client_limits_rfc.quit, ms },
		.send_8bit = true };
	return l;
}

/* ---- messages ---------------------------------------------------------------------------- */

/* Gives the messages that wait the links that are free, or new ones. */
static void
submit_go_on(struct submit *s)
{
	while (!list_empty(&s->waiting)) {
		struct link *l = list_first(&s->idle, struct link, idle);
		struct mail *m;

		if (!l && s->nlinks >= LINKS_MAX)
			return;
		m = list_first(&s->waiting, struct mail, link);
		list_remove(&m->link);
		if (l) {
			list_remove(&l->idle);
			deadline_clear(&l->unused);
		}
		if (l && (m->again || strcmp(l->relay, s->relay) != 0)) {
			list_push_front(&s->waiting, &m->link); /* it wants a new one */
			link_close(l);
			if (s->nlinks >= LINKS_MAX)
				return;
			continue;
		}
		if (!l)
			l = link_new(s);
		m->by = l;
		l->mail = m;
		if (l->ready)
			link_send(l);
		else
			link_begin(l);
	}
}

static void
mail_cancel(struct op *op)
{
	struct mail *m = CAST(op->impl, struct mail, MAIL_MAGIC);
	struct link *l = m->by;

	op->impl = NULL;
	if (l) {
		l->mail = NULL;
		m->by = NULL;
	}
	mail_free(m);
	if (l)
		link_close(l);
}

/* Its time is over: whatever it waits for. */
static void
mail_on_late(struct deadline *d)
{
	struct mail *m = CONTAINER(d, struct mail, late);
	struct link *l = m->by;
	struct verdict v = verdict(OUT_CONNECT_FAILED, m->submit->relay, strerror(ETIMEDOUT));

	if (l) {
		l->mail = NULL;
		m->by = NULL;
		link_close(l);
	}
	mail_over(m, &v);
}

void
submit_start(struct submit *s, const struct submit_mail *what, struct op *op,
    void (*done)(void *arg, const struct verdict *), void *arg)
{
	size_t n = what->to.n > 0 ? 1 : what->nrcpts;
	struct mail *m = mem_new(sizeof(*m) + n * sizeof(*m->rcpts));
	bool utf8 = !utf8_ascii(what->sender);

	must(n > 0);
	m->magic = MAIL_MAGIC;
	m->submit = s;
	m->op = op;
	m->done = done;
	m->arg = arg;
	list_init(&m->link);
	deadline_init(&m->late);
	op->cancel = mail_cancel;
	op->impl = m;
	m->rcpts = (struct smtp_client_rcpt *)(m + 1);
	m->told = what->to.n > 0 ? NULL : what->rcpts;
	for (size_t i = 0; i < n; i++) {
		m->rcpts[i] =
		    (struct smtp_client_rcpt){ .address = m->told ? m->told[i].to : what->to,
			    .notify = what->notify };
		utf8 = utf8 || !utf8_ascii(m->rcpts[i].address);
	}
	m->tx = (struct smtp_client_tx){ .sender = what->sender,
		.envid = what->envid,
		.ret = what->ret,
		.eightbit = !what->bytes.p || !utf8_ascii(what->bytes),
		.smtputf8 = what->smtputf8 || utf8,
		.fd = what->bytes.p ? -1 : what->fd,
		.bytes = what->bytes.p,
		.size = what->bytes.p ? what->bytes.n : what->size,
		.rcpts = m->rcpts,
		.nrcpt = n };
	s->nmails++;
	deadline_set(&m->late, s->loop, s->time_ms, mail_on_late);
	list_push(&s->waiting, &m->link);
	submit_go_on(s);
}

/* ---- life -------------------------------------------------------------------------------- */

void
submit_change(struct submit *s, const struct submit_params *p)
{
	struct link *l;

	list_each(l, &s->idle, struct link, idle) link_on_unused(&l->unused);
	mem_free(&s->relay);
	s->relay = p->relay && *p->relay ? mem_str(p->relay) :
					   mem_printf("unix:%s/submit.sock", shared.rundir);
	s->tls = p->tls;
	s->time_ms = p->time_ms;
}

struct submit *
submit_new(struct loop *loop, const struct submit_params *p)
{
	struct submit *s = mem_new(sizeof(*s));

	s->loop = loop;
	list_init(&s->waiting);
	list_init(&s->links);
	list_init(&s->idle);
	submit_change(s, p);
	return s;
}

size_t
submit_pending(const struct submit *s)
{
	return s->nmails;
}

void
submit_leave(struct submit *s)
{
	struct link *l;

	s->leaving = true;
	list_each(l, &s->links, struct link, all)
	{
		if (!l->open)
			continue;
		if (l->ready && !l->mail && !list_empty(&l->idle))
			link_on_unused(&l->unused);
		smtp_client_leave(&l->client);
	}
}

void
submit_status(const struct submit *s, struct buf *out)
{
	buf_printf(out, "submit relay=%s messages=%zu connections=%zu\n", s->relay, s->nmails,
	    s->nlinks);
}
