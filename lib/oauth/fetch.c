/* oauth/fetch.c: see fetch.h.
 *
 *	(file) read -> over			(URL) certificates -> address -> connection -> TLS -> answer -> over
 *
 * Owns a struct oauth_fetch from its start until it is told or cancelled; while a thread works for it, until that is
 * over.  Can fail: everything, and each failure is told as status 0 with words.  Must stay true: `done` is called
 * once, from the loop; secrets that were sent are wiped. */
#include "oauth/fetch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/base64.h"
#include "base/mem.h"
#include "base/must.h"
#include "base/secret.h"
#include "conf/shared.h"
#include "http/client.h"
#include "net/connect.h"
#include "net/dns.h"
#include "net/tls.h"
#include "net/work.h"

#define FETCH_MAGIC     0x4f464554u
#define FETCH_ADDRESSES 8
#define FETCH_KEPT      16
#define FETCH_REST_MS   20000
#define FETCH_CTX_MS    300000 /* certificates are read again after so long */

struct oauth_web {
	struct loop *loop;
	struct dns *dns;                                /* NULL: there was no question yet */
	const char *resolvers, *hosts, *stubs, *anchor; /* that it was made of */
	struct http_pool pool;
	struct tls_ctx *ctx;
	char *ca; /* that ctx was made of */
	uint64_t ctx_ms;
};

struct oauth_fetch {
	uint32_t magic;
	struct oauth_web *web;
	struct op *op, wait;
	void (*done)(void *arg, const struct oauth_reply *r);
	void *arg;
	struct deadline late;
	bool working, post, rested;
	char *source, *ca, *credentials;
	struct buf form, body;
	/* of the thread */
	int error;
	struct tls_ctx *made;
	char *why;
	/* of the way there */
	struct oauth_url url;
	struct addr addrs[FETCH_ADDRESSES];
	size_t naddrs, at;
	struct http_client *client;
	unsigned status;
};

/* ---- texts ---------------------------------------------------------------------------------------------- */

bool
oauth_url_parse(struct slice text, struct oauth_url *u)
{
	struct slice rest, authority, host, port = S("");
	uint64_t n = 443;
	size_t end;

	*u = (struct oauth_url){ .port = 443 };
	for (size_t i = 0; i < text.n; i++)
		if (text.p[i] <= 0x20 || text.p[i] >= 0x7f || strchr("\"<>\\^`{|}#@", text.p[i]))
			return false;
	if (!slice_istarts(text, S("https://")))
		return false;
	rest = slice_from(text, 8);
	for (end = 0; end < rest.n && !strchr("/?", rest.p[end]);)
		end++;
	authority = host = slice_sub(rest, 0, end);
	u->target = slice_from(rest, end);
	if (slice_starts(host, S("["))) {
		end = slice_find(host, ']');
		port = slice_from(host, end + 1);
		host = slice_sub(host, 1, end > 0 ? end - 1 : 0);
		if (end == authority.n || (port.n && port.p[0] != ':'))
			return false;
	} else {
		end = slice_find(host, ':');
		port = slice_from(host, end);
		host = slice_sub(host, 0, end);
	}
	if (host.n == 0 || host.n >= sizeof(u->host) || authority.n >= sizeof(u->authority) ||
	    (port.n && (slice_u64(slice_from(port, 1), 65535, &n) < 0 || n == 0)) ||
	    slice_starts(u->target, S("?")))
		return false;
	u->port = (int)n;
	slice_cstr(host, u->host, sizeof(u->host));
	slice_cstr(authority, u->authority, sizeof(u->authority));
	return true;
}

bool
oauth_source_good(struct slice text)
{
	struct oauth_url u;

	return slice_starts(text, S("/")) ? !memchr(text.p, '\0', text.n) :
					    oauth_url_parse(text, &u);
}

/* Percent-encoded as in a form (RFC 3986 2.3 stays). */
static void
https_escape(struct buf *b, struct slice value)
{
	for (size_t i = 0; i < value.n; i++) {
		char c = value.p[i];

		if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		    (c && strchr("-._~", c)))
			buf_char(b, c);
		else
			buf_printf(b, "%%%02X", (unsigned char)c);
	}
}

void
oauth_form(struct buf *b, const char *name, struct slice value)
{
	if (b->n)
		buf_char(b, '&');
	buf_printf(b, "%s=", name);
	https_escape(b, value);
}

/* ---- the end --------------------------------------------------------------------------------------------- */

static void
https_free(struct oauth_fetch *f)
{
	f->magic = 0;
	tls_unref(&f->made);
	free(f->why);
	if (f->form.p)
		secret_clear(f->form.p, f->form.n);
	if (f->body.p)
		secret_clear(f->body.p, f->body.n);
	if (f->credentials)
		secret_clear(f->credentials, strlen(f->credentials));
	buf_fini(&f->form);
	buf_fini(&f->body);
	mem_free(&f->credentials);
	mem_free(&f->source);
	mem_free(&f->ca);
	mem_free(&f);
}

/* Nothing is told any more; a thread that has it gives it back to https_drop. */
static void
https_leave(struct oauth_fetch *f)
{
	bool working = f->working;

	deadline_clear(&f->late);
	http_client_drop(&f->client);
	op_cancel(&f->wait);
	if (!working)
		https_free(f);
}

static void
https_drop(void *arg)
{
	https_free(CAST(arg, struct oauth_fetch, FETCH_MAGIC));
}

static void
https_cancel(struct op *op)
{
	https_leave(CAST(op->impl, struct oauth_fetch, FETCH_MAGIC));
}

static void
https_over(struct oauth_fetch *f, unsigned status, const char *why)
{
	struct oauth_reply r = { status, buf_get(&f->body), why };

	deadline_clear(&f->late);
	op_done(f->op);
	f->done(f->arg, &r);
	https_leave(f);
}

static void
https_late(struct deadline *d)
{
	https_over(CONTAINER(d, struct oauth_fetch, late), 0, "it takes too long");
}

/* ---- the answer ------------------------------------------------------------------------------------------- */

static void
https_on_head(void *arg, const struct http_head *h)
{
	struct oauth_fetch *f = CAST(arg, struct oauth_fetch, FETCH_MAGIC);

	f->status = h->code;
}

static void
https_on_bytes(void *arg, struct slice piece)
{
	struct oauth_fetch *f = CAST(arg, struct oauth_fetch, FETCH_MAGIC);

	if (f->body.n + piece.n > OAUTH_FETCH_MOST)
		https_over(f, 0, "its answer is too long");
	else
		buf_slice(&f->body, piece);
}

static void
https_on_end(void *arg)
{
	struct oauth_fetch *f = CAST(arg, struct oauth_fetch, FETCH_MAGIC);

	f->client = NULL;
	https_over(f, f->status, NULL);
}

static void https_fresh(struct oauth_fetch *f);

static void
https_on_failed(void *arg, const char *why, bool untouched)
{
	struct oauth_fetch *f = CAST(arg, struct oauth_fetch, FETCH_MAGIC);

	f->client = NULL;
	if (untouched && f->rested) { /* too long */
		f->rested = false;
		https_fresh(f);
		return;
	}
	https_over(f, 0, why);
}

static const struct http_asker asker = { .head = https_on_head,
	.bytes = https_on_bytes,
	.end = https_on_end,
	.failed = https_on_failed };

static void
https_say(struct oauth_fetch *f)
{
	struct slice target = f->url.target.n ? f->url.target : S("/");

	f->status = 0;
	buf_clear(&f->body);
	http_client_ask(f->client, &asker, f, f->post ? S("POST") : S("GET"), target,
	    slice_str(f->url.authority));
	http_client_field(f->client, "Accept", S("application/json"));
	if (f->credentials)
		http_client_field(f->client, "Authorization", slice_str(f->credentials));
	if (f->post)
		http_client_field(f->client, "Content-Type",
		    S("application/x-www-form-urlencoded"));
	http_client_body(f->client, f->form.n, !f->post, OAUTH_FETCH_MS);
	if (!f->post)
		return;
	http_client_piece(f->client, buf_get(&f->form));
	http_client_done(f->client);
}

/* ---- the way there ------------------------------------------------------------------------------------------ */

static void
https_dialled(void *arg, struct http_client *c, const char *why)
{
	struct oauth_fetch *f = CAST(arg, struct oauth_fetch, FETCH_MAGIC);

	f->client = c;
	if (c)
		https_say(f);
	else
		https_over(f, 0, why);
}

static void https_connect(struct oauth_fetch *f);

static void
https_connected(void *arg, int fd)
{
	struct oauth_fetch *f = CAST(arg, struct oauth_fetch, FETCH_MAGIC);
	struct oauth_web *w = f->web;
	int rc = fd;

	if (fd < 0 && ++f->at < f->naddrs) {
		https_connect(f);
		return;
	}
	if (fd >= 0) {
		rc = http_dial_start(&w->pool, slice_str(f->url.authority), w->pool.epoch, fd,
		    w->ctx, f->url.host, OAUTH_FETCH_MS, &f->wait, https_dialled, f);
		if (rc == 0)
			return;
		(void)close(fd);
	}
	https_over(f, 0, strerror(-rc));
}

static void
https_connect(struct oauth_fetch *f)
{
	connect_start(f->web->loop, &f->addrs[f->at], NULL, OAUTH_FETCH_MS / 2, &f->wait,
	    https_connected, f);
}

static void
https_found(void *arg, const struct dns_answer *a)
{
	struct oauth_fetch *f = CAST(arg, struct oauth_fetch, FETCH_MAGIC);

	for (size_t i = 0; a->status == 0 && i < a->naddrs && f->naddrs < FETCH_ADDRESSES; i++) {
		f->addrs[f->naddrs] = a->addrs[i];
		addr_set_port(&f->addrs[f->naddrs++], f->url.port);
	}
	if (f->naddrs)
		https_connect(f);
	else
		https_over(f, 0, "its name has no address, or DNS does not answer");
}

/* The resolver of the settings of now; false: it cannot be made. */
static bool
web_resolver(struct oauth_web *w)
{
	struct dns_params p = dns_params_shared();
	char *why = NULL;

	if (w->dns && w->resolvers == shared.dns_resolvers && w->hosts == shared.dns_hosts &&
	    w->stubs == shared.dns_stubs && w->anchor == shared.dns_anchor)
		return true;
	if (w->dns)
		(void)!dns_change(w->dns, &p, &why); /* else it stays as it was */
	else
		w->dns = dns_new(w->loop, &p, &why);
	free(why);
	w->resolvers = shared.dns_resolvers;
	w->hosts = shared.dns_hosts;
	w->stubs = shared.dns_stubs;
	w->anchor = shared.dns_anchor;
	return w->dns;
}

static void
https_fresh(struct oauth_fetch *f)
{
	if (web_resolver(f->web))
		dns_addr_start(f->web->dns, f->url.host, &f->wait, https_found, f);
	else
		https_over(f, 0, "there is no resolver");
}

static void
https_go(struct oauth_fetch *f)
{
	f->client = http_pool_take(&f->web->pool, slice_str(f->url.authority));
	f->rested = f->client;
	if (f->client)
		https_say(f);
	else
		https_fresh(f);
}

/* ---- what a thread does --------------------------------------------------------------------------------------- */

static void
https_read_file(struct oauth_fetch *f)
{
	int fd = open(f->source, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	ssize_t n = fd < 0 ? -1 : 1;

	while (n > 0 && f->body.n <= OAUTH_FETCH_MOST) {
		char *p = buf_reserve(&f->body, 4096);

		n = read(fd, p, 4096);
		if (n > 0)
			f->body.n += (size_t)n;
	}
	if (n < 0)
		f->error = errno;
	else if (f->body.n > OAUTH_FETCH_MOST)
		f->error = EFBIG;
	if (fd >= 0)
		(void)close(fd);
}

static void
https_work(void *arg)
{
	struct oauth_fetch *f = arg;
	struct tls_params p = { .ca = *f->ca ? f->ca : NULL, .verify = true };

	if (*f->source == '/')
		https_read_file(f);
	else
		f->made = tls_client_new(&p, &f->why);
}

static void
https_worked(void *arg)
{
	struct oauth_fetch *f = CAST(arg, struct oauth_fetch, FETCH_MAGIC);
	struct oauth_web *w = f->web;

	f->working = false;
	if (*f->source == '/') {
		https_over(f, f->error ? 0 : 200, f->error ? strerror(f->error) : NULL);
		return;
	}
	if (!f->made) {
		https_over(f, 0, f->why);
		return;
	}
	tls_unref(&w->ctx);
	w->ctx = f->made;
	f->made = NULL;
	mem_free(&w->ca);
	w->ca = mem_str(f->ca);
	w->ctx_ms = loop_now(w->loop);
	http_pool_clear(&w->pool); /* they were believed by other certificates */
	https_go(f);
}

static void
https_ready(void *arg)
{
	struct oauth_fetch *f = CAST(arg, struct oauth_fetch, FETCH_MAGIC);

	f->working = false;
	if (*f->source != '/' && !f->url.port)
		https_over(f, 0, "that is no URL of HTTPS");
	else
		https_go(f);
}

static void
https_nothing(void *arg UNUSED)
{
}

/* ---- what others call ------------------------------------------------------------------------------------------- */

struct oauth_web *
oauth_web_new(struct loop *l)
{
	struct oauth_web *w = mem_new(sizeof(*w));

	w->loop = l;
	http_pool_init(&w->pool, l, FETCH_KEPT, FETCH_REST_MS);
	return w;
}

struct loop *
oauth_web_loop(const struct oauth_web *w)
{
	return w->loop;
}

/* Each half as in a form, then as RFC 7617 has them.					RFC 6749 2.3.1 */
static char *
https_basic(const char *client, const char *secret)
{
	struct buf plain = { 0 }, b = { 0 };
	char *text;

	https_escape(&plain, slice_str(client));
	buf_char(&plain, ':');
	https_escape(&plain, slice_str(secret));
	buf_lit(&b, "Basic ");
	base64_write(&b, buf_get(&plain));
	text = mem_strn(b.p, b.n);
	secret_clear(plain.p, plain.n);
	secret_clear(b.p, b.n);
	buf_fini(&plain);
	buf_fini(&b);
	return text;
}

void
oauth_fetch_start(struct oauth_web *w, const struct oauth_question *q, struct op *op,
    void (*done)(void *arg, const struct oauth_reply *r), void *arg)
{
	struct oauth_fetch *f = mem_new(sizeof(*f));
	bool known;

	f->magic = FETCH_MAGIC;
	f->web = w;
	f->op = op;
	f->done = done;
	f->arg = arg;
	f->post = q->post;
	f->source = mem_str(q->source);
	f->ca = mem_str(q->ca ? q->ca : "");
	if (q->client)
		f->credentials = https_basic(q->client, q->secret ? q->secret : "");
	else if (q->bearer.n)
		f->credentials = mem_printf("Bearer " SFMT, SARG(q->bearer));
	buf_slice(&f->form, q->form);
	op->cancel = https_cancel;
	op->impl = f;
	deadline_init(&f->late);
	deadline_set(&f->late, w->loop, OAUTH_FETCH_MS, https_late);
	if (*f->source != '/' && !oauth_url_parse(slice_str(f->source), &f->url))
		f->url.port = 0;
	known = *f->source != '/' &&
	    (!f->url.port ||
		(w->ctx && strcmp(w->ca, f->ca) == 0 &&
		    loop_now(w->loop) - w->ctx_ms < FETCH_CTX_MS));
	f->working = true;
	work_start(w->loop, &f->wait, known ? https_nothing : https_work,
	    known ? https_ready : https_worked, https_drop, f);
}
