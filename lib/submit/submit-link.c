/* submit-link.c: connections to the one relay, and where that is.
 *
 * Called by submit.c, which gives each a message at a time.  A link connects when it gets its first one; when it is
 * free it waits a while for the next one, and says QUIT then.  Can fail: the relay, which is TEMP for the message in
 * hand.  Must stay true: a link that goes has no message any more, and the next one that waits is begun; one that was
 * found closed when it was used again is no failure, and the message is sent once more. */
#include <errno.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/must.h"
#include "daemon/daemon.h"
#include "mail/outcome.h"
#include "net/connect.h"
#include "net/dns.h"
#include "submit/submit-impl.h"

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
void
submit_link_close(struct link *l)
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
	submit_link_close(l);
	if (m)
		submit_mail_over(m, &why);
}

static void
link_fail_later(struct later *later)
{
	struct link *l = CONTAINER(later, struct link, later);

	link_fail(l, &l->why);
}

void
submit_link_on_unused(struct deadline *d)
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

	if (strcmp(l->relay, s->relay) != 0) {
		submit_link_close(l);
		return;
	}
	if (s->leaving || !smtp_client_usable(&l->client)) { /* which closes what is broken */
		smtp_client_quit(&l->client);
		return;
	}
	list_push_front(&s->idle, &l->idle);
	deadline_set(&l->unused, s->loop, IDLE_MS, submit_link_on_unused);
	submit_go_on(s);
}

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
		submit_link_close(l);
		submit_go_on(s);
		return;
	}
	m->answered = true;
	m->cancels = (l->client.offer.has & OFFERS_XCANCEL) != 0;
	link_release(l);
	submit_mail_over(m, &m->rcpts[0].v);
}

void
submit_link_send(struct link *l)
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
		submit_link_send(l);
	else
		link_release(l);
}

static void
link_on_lost(struct smtp_client *c)
{
	submit_link_close(CAST(c->data, struct link, LINK_MAGIC));
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
void
submit_link_begin(struct link *l)
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

struct link *
submit_link_new(struct submit *s)
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
	l->params = (struct smtp_client_params){ .lmtp = s->lmtp,
		.tls = s->tls,
		.helo = shared.hostname,
		.limits = { ms, ms, ms, ms, ms, ms, ms, smtp_client_limits_rfc.quit, ms },
		.send_8bit = true };
	return l;
}
