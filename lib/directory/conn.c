/* conn.c: a connection to an LDAP server (conn.h).
 *
 *	resolve (names only, net/dns.h) -> connect (net/) -> ldap_init_fd
 *	  -> StartTLS -> handshake (when TLS is wanted) -> bind -> up
 *
 * Once up, the descriptor is watched for reading, and every message that has arrived is
 * handed over before we return to the loop: what libldap holds in its buffer would not wake
 * us again.  Most requests fit into the socket's buffer; of one that does not (a list of thousands,
 * scripts) libldap keeps the rest, and writes it when it is asked for results: so writing is watched
 * too, from a write that was refused to the next that was not. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <lber.h>
#include <openldap.h>

#include "base/mem.h"
#include "base/must.h"
#include "conf/shared.h"
#include "directory/conn.h"
#include "net/connect.h"
#include "net/tlsfd.h"

#define CONN_MAGIC 0x636f6e6eU
#define ADDRS_MAX  8

enum { CONN_SIMPLE, CONN_EXTERNAL }; /* ldap.bind */

struct conn {
	uint32_t magic;
	struct loop *loop;
	const struct server *server;
	const struct conn_events *ev;
	void *data;
	char *dn, *password;
	LDAP *ld;
	struct op op; /* resolving or connecting */
	struct later later;
	struct watch watch;
	struct timer timer; /* until it is up */
	uint64_t timeout_ms, heard;
	struct addr addrs[ADDRS_MAX];
	size_t naddrs, tried;
	struct tlsfd *tls; /* during the handshake; then it belongs to the Sockbuf */
	int fd;            /* libldap's */
	int starttls_id, bind_id;
	int handles; /* open watch and timer */
	bool watching, shaking, up, closed;
	bool blocked; /* a write was refused: the socket is full */
};

/* ---- replicas -------------------------------------------------------------------------- */

#define BACKOFF_FIRST 20   /* ms; doubles with each failure */
#define BACKOFF_QUICK 160  /* most, of a server that refuses at once: asking costs little */
#define BACKOFF_MOST  2500 /* of one that lets us wait */

void
dir_server_failed(struct server *s, uint64_t now, uint64_t began)
{
	uint64_t most = now - began < BACKOFF_QUICK ? BACKOFF_QUICK : BACKOFF_MOST;
	uint64_t wait = s->failures < 8 ? (uint64_t)BACKOFF_FIRST << s->failures : most;

	if (s->failures++ == 0)
		s->failing_at = now;
	s->not_before = now + (wait < most ? wait : most);
}

void
dir_server_good(struct server *s)
{
	s->failures = 0;
	s->not_before = 0;
}

/* ---- the end --------------------------------------------------------------------------- */

static void
handle_closed(struct conn *c)
{
	if (--c->handles > 0)
		return;
	c->magic = 0;
	mem_free(&c->dn);
	mem_free(&c->password);
	mem_release(c);
}

static void
watch_gone(struct watch *w)
{
	handle_closed(CONTAINER(w, struct conn, watch));
}

static void
dir_conn_timer_gone(struct timer *t)
{
	handle_closed(CONTAINER(t, struct conn, timer));
}

static void
conn_end(struct conn *c)
{
	if (c->closed)
		return;
	c->closed = true;
	c->up = false;
	op_cancel(&c->op);
	later_cancel(&c->later);
	if (c->password)
		explicit_bzero(c->password, strlen(c->password));
	if (c->watching)
		watch_close(&c->watch, watch_gone);
	timer_close(&c->timer, dir_conn_timer_gone);
	tlsfd_free(&c->tls);
	if (c->ld)
		ldap_unbind_ext(c->ld, NULL, NULL); /* closes the descriptor */
	c->ld = NULL;
}

void
dir_conn_close(struct conn **c)
{
	if (*c)
		conn_end(*c);
	*c = NULL;
}

static void
conn_down(struct conn *c, const char *why)
{
	void *data = c->data;

	if (c->closed)
		return;
	conn_end(c);
	c->ev->down(c, data, why);
}

/* ---- TLS below libldap ----------------------------------------------------------------- */

static int
layer_setup(Sockbuf_IO_Desc *d, void *arg)
{
	d->sbiod_pvt = arg;
	return 0;
}

static int
layer_remove(Sockbuf_IO_Desc *d)
{
	struct tlsfd *t = d->sbiod_pvt;

	tlsfd_free(&t);
	d->sbiod_pvt = NULL;
	return 0;
}

static int
layer_ctrl(Sockbuf_IO_Desc *d, int opt, void *arg)
{
	if (opt == LBER_SB_OPT_DATA_READY && tlsfd_ready(d->sbiod_pvt))
		return 1;
	return LBER_SBIOD_CTRL_NEXT(d, opt, arg);
}

static ber_slen_t
layer_result(ssize_t n)
{
	if (n < 0)
		errno = n == -EAGAIN ? EAGAIN : EIO;
	return n < 0 ? -1 : n;
}

static ber_slen_t
layer_read(Sockbuf_IO_Desc *d, void *to, ber_len_t n)
{
	return layer_result(tlsfd_read(d->sbiod_pvt, to, n));
}

static ber_slen_t
layer_write(Sockbuf_IO_Desc *d, void *from, ber_len_t n)
{
	return layer_result(tlsfd_write(d->sbiod_pvt, from, n));
}

static int
layer_close(Sockbuf_IO_Desc *d UNUSED)
{
	return 0;
}

/* On top of all others, to see whether libldap could write. */
static int
top_setup(Sockbuf_IO_Desc *d, void *arg)
{
	d->sbiod_pvt = arg;
	return 0;
}

static int
top_remove(Sockbuf_IO_Desc *d)
{
	d->sbiod_pvt = NULL;
	return 0;
}

static int
top_ctrl(Sockbuf_IO_Desc *d, int opt, void *arg)
{
	return LBER_SBIOD_CTRL_NEXT(d, opt, arg);
}

static ber_slen_t
top_read(Sockbuf_IO_Desc *d, void *to, ber_len_t n)
{
	return LBER_SBIOD_READ_NEXT(d, to, n);
}

static ber_slen_t
top_write(Sockbuf_IO_Desc *d, void *from, ber_len_t n)
{
	struct conn *c = CAST(d->sbiod_pvt, struct conn, CONN_MAGIC);
	ber_slen_t done = LBER_SBIOD_WRITE_NEXT(d, from, n);
	int why = errno;
	bool blocked = done < 0 && (why == EAGAIN || why == EWOULDBLOCK);

	if (blocked != c->blocked && !c->closed) {
		c->blocked = blocked;
		watch_want(&c->watch, true, blocked);
	}
	errno = why;
	return done;
}

static Sockbuf_IO top_layer = { top_setup, top_remove, top_ctrl, top_read, top_write, layer_close };

static Sockbuf_IO tls_layer = { layer_setup, layer_remove, layer_ctrl, layer_read, layer_write,
	layer_close };

/* ---- messages -------------------------------------------------------------------------- */

static void
conn_is_up(struct conn *c)
{
	c->up = true;
	timer_stop(&c->timer);
	c->ev->up(c, c->data);
}

static int
send_bind(struct conn *c)
{
	static char empty[] = "";
	struct berval cred = { 0, empty };

	if (!c->password) /* RFC 4513 5.2.3: an empty response: as whom TLS says that we are */
		return ldap_sasl_bind(c->ld, NULL, "EXTERNAL", &cred, NULL, NULL, &c->bind_id);
	cred.bv_val = c->password;
	cred.bv_len = strlen(c->password);
	return ldap_sasl_bind(c->ld, c->dn, LDAP_SASL_SIMPLE, &cred, NULL, NULL, &c->bind_id);
}

/* The transport is as it should be. */
static void
conn_speak(struct conn *c)
{
	if (!c->dn)
		conn_is_up(c);
	else if (send_bind(c) != LDAP_SUCCESS)
		conn_down(c, "cannot send the bind");
}

static void
handshake_go_on(struct conn *c)
{
	Sockbuf *sb = NULL;
	char why[200];

	switch (tlsfd_handshake(c->tls)) {
	case TLSFD_READ: watch_want(&c->watch, true, false); return;
	case TLSFD_WRITE: watch_want(&c->watch, false, true); return;
	case TLSFD_FAILED:
		snprintf(why, sizeof(why), "TLS: %s", tlsfd_error(c->tls));
		conn_down(c, why);
		return;
	case TLSFD_DONE: break;
	}
	watch_want(&c->watch, true, false);
	c->shaking = false;
	if (ldap_get_option(c->ld, LDAP_OPT_SOCKBUF, &sb) != LDAP_SUCCESS ||
	    ber_sockbuf_add_io(sb, &tls_layer, LBER_SBIOD_LEVEL_TRANSPORT, c->tls) < 0) {
		conn_down(c, "cannot put TLS below LDAP");
		return;
	}
	c->tls = NULL; /* the layer's from now on */
	conn_speak(c);
}

static void
handshake_begin(struct conn *c)
{
	char *why = NULL;

	c->tls = tlsfd_new(c->server->tls, c->fd, c->server->where.host, &why);
	if (!c->tls) {
		conn_down(c, why);
		mem_free(&why);
		return;
	}
	c->shaking = true;
	handshake_go_on(c);
}

static const char *
result_fault(struct conn *c, LDAPMessage *m)
{
	int code = LDAP_OTHER;

	if (ldap_parse_result(c->ld, m, &code, NULL, NULL, NULL, NULL, 0) != LDAP_SUCCESS)
		return "malformed answer";
	return code == LDAP_SUCCESS ? NULL : ldap_err2string(code);
}

/* The answer to StartTLS or to our bind, while it is not up. */
static void
conn_answered(struct conn *c, LDAPMessage *m)
{
	const char *why = result_fault(c, m);

	if (why)
		conn_down(c, why);
	else if (ldap_msgid(m) == c->starttls_id)
		handshake_begin(c);
	else
		conn_is_up(c);
}

static void
on_readable(struct watch *w, bool readable UNUSED, bool writable UNUSED, int error UNUSED)
{
	struct conn *c = CAST(CONTAINER(w, struct conn, watch), struct conn, CONN_MAGIC);
	struct timeval none = { 0, 0 };
	LDAPMessage *m;
	int rc = 1;

	c->heard = loop_now(c->loop);
	if (c->shaking) {
		handshake_go_on(c);
		return;
	}
	while (!c->closed && !c->shaking &&
	    (rc = ldap_result(c->ld, LDAP_RES_ANY, LDAP_MSG_ONE, &none, &m)) > 0) {
		int id = ldap_msgid(m);

		/* Message 0 is unsolicited: the server says good-bye (RFC 4511 4.4.1). */
		if (id == 0)
			conn_down(c, "disconnected by the server");
		else if (!c->up && (id == c->bind_id || id == c->starttls_id))
			conn_answered(c, m);
		else
			c->ev->message(c, c->data, m);
		ldap_msgfree(m);
	}
	if (!c->closed && rc < 0)
		conn_down(c, "connection lost");
}

/* ---- the beginning --------------------------------------------------------------------- */

static void
dir_conn_on_timeout(struct timer *t)
{
	conn_down(CONTAINER(t, struct conn, timer), "timed out while connecting");
}

/* A descriptor becomes a handle.  Referrals are not chased: they would connect, and block. */
static const char *
conn_adopt(struct conn *c, int fd)
{
	int version = LDAP_VERSION3, finding = LDAP_DEREF_FINDING;
	int proto = c->server->where.local ? LDAP_PROTO_IPC : LDAP_PROTO_TCP;
	Sockbuf *sb = NULL;

	if (ldap_init_fd(fd, proto, NULL, &c->ld) != LDAP_SUCCESS) {
		close(fd);
		c->ld = NULL;
		return "cannot set up LDAP";
	}
	ldap_set_option(c->ld, LDAP_OPT_PROTOCOL_VERSION, &version);
	ldap_set_option(c->ld, LDAP_OPT_REFERRALS, LDAP_OPT_OFF);
	ldap_set_option(c->ld, LDAP_OPT_RESTART, LDAP_OPT_OFF);
	/* In a DC tree a name can be an alias of another (RFC 4512 2.6); members are not searched so. */
	if (shared.ldap_schema == 1)
		ldap_set_option(c->ld, LDAP_OPT_DEREF, &finding);
	if (watch_init(&c->watch, c->loop, fd, on_readable) < 0)
		return "cannot watch the socket";
	c->watching = true;
	c->handles++;
	c->fd = fd;
	watch_want(&c->watch, true, false);
	if (ldap_get_option(c->ld, LDAP_OPT_SOCKBUF, &sb) != LDAP_SUCCESS ||
	    ber_sockbuf_add_io(sb, &top_layer, LBER_SBIOD_LEVEL_APPLICATION, c) < 0)
		return "cannot watch what LDAP writes";
	return NULL;
}

static void conn_try(struct conn *c);

static void
dir_conn_on_connected(void *arg, int fd)
{
	struct conn *c = CAST(arg, struct conn, CONN_MAGIC);
	const char *why;

	if (fd < 0 && c->tried < c->naddrs) {
		conn_try(c);
		return;
	}
	why = fd < 0 ? strerror(-fd) : conn_adopt(c, fd);
	if (why)
		conn_down(c, why);
	else if (c->server->where.tls)
		handshake_begin(c);
	else if (!c->server->starttls)
		conn_speak(c);
	else if (ldap_start_tls(c->ld, NULL, NULL, &c->starttls_id) != LDAP_SUCCESS)
		conn_down(c, "cannot ask for TLS");
}

static void
conn_try(struct conn *c)
{
	connect_start(c->loop, &c->addrs[c->tried++], NULL, (uint32_t)c->timeout_ms, &c->op,
	    dir_conn_on_connected, c);
}

static void
conn_on_resolved(void *arg, const struct dns_answer *a)
{
	struct conn *c = CAST(arg, struct conn, CONN_MAGIC);

	for (size_t i = 0; i < a->naddrs && c->naddrs < ADDRS_MAX; i++) {
		c->addrs[c->naddrs] = a->addrs[i];
		addr_set_port(&c->addrs[c->naddrs++], c->server->where.port);
	}
	if (c->naddrs)
		conn_try(c);
	else
		conn_down(c,
		    a->status == -EAGAIN ? "DNS does not answer for the host name" :
					   "the host name does not resolve");
}

static void
conn_on_no_resolver(struct later *l)
{
	conn_down(CONTAINER(l, struct conn, later), "the resolver cannot be started");
}

/* False when the server has a name, and no address. */
static bool
server_addr(const struct server *s, struct addr *a)
{
	const struct ldap_where *w = &s->where;
	char text[300];

	if (w->local)
		snprintf(text, sizeof(text), "unix:%s", w->host);
	else
		snprintf(text, sizeof(text), strchr(w->host, ':') ? "[%s]:%d" : "%s:%d", w->host,
		    w->port);
	return addr_parse(slice_str(text), a) == 0;
}

bool
dir_server_named(const struct server *s)
{
	struct addr a;

	return !server_addr(s, &a);
}

struct conn *
dir_conn_new(struct loop *l, struct dns *names, const struct server *s, const char *dn,
    const char *password, uint64_t timeout_ms, const struct conn_events *ev, void *data)
{
	struct conn *c = mem_new(sizeof(*c));

	c->magic = CONN_MAGIC;
	c->loop = l;
	c->server = s;
	c->ev = ev;
	c->data = data;
	c->dn = dn ? mem_str(dn) : NULL;
	c->password = dn && password ? mem_str(password) : NULL;
	c->timeout_ms = timeout_ms;
	c->handles = 1;
	later_init(&c->later);
	timer_init(&c->timer, l, dir_conn_on_timeout);
	timer_start(&c->timer, timeout_ms, 0);
	if (server_addr(s, &c->addrs[0])) {
		c->naddrs = 1;
		conn_try(c);
	} else if (names) {
		dns_addr_start(names, s->where.host, &c->op, conn_on_resolved, c);
	} else {
		later_run(&c->later, l, conn_on_no_resolver);
	}
	return c;
}

struct conn *
dir_conn_service(struct loop *l, struct dns *names, const struct server *s, uint64_t timeout_ms,
    const struct conn_events *ev, void *data)
{
	bool named = shared.ldap_bind_dn && shared.ldap_bind_dn[0];

	if (shared.ldap_bind == CONN_EXTERNAL)
		return dir_conn_new(l, names, s, "", NULL, timeout_ms, ev, data);
	return dir_conn_new(l, names, s, named ? shared.ldap_bind_dn : NULL, shared.ldap_password,
	    timeout_ms, ev, data);
}

bool
dir_conn_up(const struct conn *c)
{
	return c && c->up;
}

LDAP *
dir_conn_ldap(struct conn *c)
{
	return c->ld;
}

uint64_t
dir_conn_heard(const struct conn *c)
{
	return c->heard;
}
