/* channel-master/dial.c: a new session for a site: names, addresses, connect, hello, next.
 *
 * RFC 5321 5.1: MX hosts in order of preference (equal ones shuffled by net/dns), all their
 * addresses; a domain without MX is its own host; our own name in the list cuts it there; a
 * null MX (RFC 7505) takes no mail.  A host that refuses the session, even for good, is
 * passed over while there are others. */
#include <errno.h>
#include <stdio.h>
#include "base/log.h"
#include "base/mem.h"
#include "base/must.h"
#include "master.h"

#define DIAL_MAGIC 0x6469616c
#define MX_MAX     50
#define ADDR_MAX   32

struct dial {
	uint32_t magic;
	const struct site *site;
	void (*done)(void *, struct session *, const struct verdict *, enum job_site);
	void *arg;
	struct op op;
	struct later later;
	struct session *session;  /* in its hello */
	char *mx[MX_MAX];
	size_t nmx, mx_at;
	char host[256];           /* whose addresses these are */
	struct addr addrs[ADDR_MAX];
	size_t naddrs, at;
	int64_t tries;
	bool no_names;            /* so far every host's name was found not to exist */
	enum smtp_tls tls;        /* for the address in hand */
	char peer[400];
	struct verdict last;
	enum job_site last_site;
};

static void next_address(struct dial *d);
static void next_host(struct dial *d);

static void
dial_free(struct dial *d)
{
	op_cancel(&d->op);
	later_cancel(&d->later);
	for (size_t i = 0; i < d->nmx; i++)
		mem_free(&d->mx[i]);
	d->magic = 0;
	mem_free(&d);
}

void
dial_cancel(struct dial **dp)
{
	struct dial *d = *dp;

	*dp = NULL;
	if (!d)
		return;
	if (d->session)
		session_close(d->session);
	dial_free(d);
}

static void
finish(struct dial *d, struct session *s, const struct verdict *v, enum job_site site)
{
	void (*done)(void *, struct session *, const struct verdict *, enum job_site) = d->done;
	struct verdict copy = *v;
	void *arg = d->arg;

	dial_free(d);
	done(arg, s, &copy, site);
}

static void
fail(struct dial *d)
{
	finish(d, NULL, &d->last, d->last_site);
}

static void
fail_later(struct later *l)
{
	fail(CONTAINER(l, struct dial, later));
}

/* ---- connect and hello ---------------------------------------------------------------- */

static void
note_failure(struct dial *d, const struct verdict *v)
{
	d->last = *v;
	d->last_site = JOB_SITE_FAIL;
	d->no_names = false;
	log_event(LOG_INFO, "connect", "channel=%s dest=%s peer=%s error=%s", master.channel->name,
	    log_str(d->site->key), log_str(d->peer), log_str(v->text));
}

static void
greeted(void *arg, struct session *s, const struct verdict *v)
{
	struct dial *d = CAST(arg, struct dial, DIAL_MAGIC);
	struct verdict why = *v;

	d->session = NULL;
	if (v->kind == OK) {
		log_event(LOG_DEBUG, "connect", "channel=%s dest=%s peer=%s tls=%s", master.channel->name,
		    log_str(d->site->key), log_str(d->peer),
		    stream_secure(&s->client.io) ? stream_tls_version(&s->client.io) : "no");
		finish(d, s, v, JOB_SITE_OK);
		return;
	}
	if (s->client.tls_failed && d->tls == SMTP_TLS_MAY) {
		d->tls = SMTP_TLS_OFF;	/* opportunistic: RFC 3207 4.1 leaves it to us */
		d->at--;
	} else {
		d->tls = d->site->tls;
	}
	/* RFC 7504: 521 and 556 say that no mail is taken there at all; another refusal at the
	 * greeting may be this hour's, and is. */
	if (!s->client.greeted && v->kind == PERM && v->reply != 521 && v->reply != 556)
		why.kind = TEMP, why.reply = 451;
	session_close(s);
	note_failure(d, &why);
	next_address(d);
}

static void
connected(void *arg, int fd)
{
	struct dial *d = CAST(arg, struct dial, DIAL_MAGIC);
	struct verdict v;

	if (fd >= 0) {
		d->session = session_open(fd, d->site, d->tls, d->site->name ? d->site->name : d->host,
		    d->peer, greeted, d);
		if (d->session)
			return;
		v = verdict(TEMP, 451, "4.3.0", "cannot open a session to %.150s", d->peer);
	} else {
		v = verdict(TEMP, 451, "4.4.1", "cannot connect to %.120s: %.60s", d->peer, strerror(-fd));
	}
	note_failure(d, &v);
	next_address(d);
}

/* "mx.example [192.0.2.1]", as reports want it. */
static void
set_peer(struct dial *d, const struct addr *a)
{
	char text[ADDR_TEXT];

	addr_host(a, text);
	if (a->sa.sa_family == AF_UNIX)
		(void)snprintf(d->peer, sizeof(d->peer), "%s [local]", shared.hostname);
	else if (strcmp(d->host, text) == 0)
		(void)snprintf(d->peer, sizeof(d->peer), "[%s]", text);
	else
		(void)snprintf(d->peer, sizeof(d->peer), "%s [%s]", d->host, text);
}

static void
next_address(struct dial *d)
{
	const struct addr *from = NULL;
	struct addr source;
	struct addr *a;

	if (d->at == d->naddrs || d->tries >= mconf.max_hosts) {
		next_host(d);
		return;
	}
	a = &d->addrs[d->at++];
	d->tries++;
	set_peer(d, a);
	if (*master.channel->source && addr_parse(slice_str(master.channel->source), &source) == 0 &&
	    source.sa.sa_family == a->sa.sa_family)
		from = &source;
	connect_start(&master.loop, a, from, (uint32_t)mconf.t_connect, &d->op, connected, d);
}

/* ---- names ---------------------------------------------------------------------------- */

static struct verdict
name_verdict(const char *name, int status, bool mail_domain)
{
	switch (status) {
	case -ENOENT:
		return verdict(PERM, 550, mail_domain ? "5.1.2" : "5.4.4", "no such %s: %.150s",
		    mail_domain ? "domain" : "host", name);
	case -ENODATA:
		return verdict(PERM, 550, mail_domain ? "5.1.2" : "5.4.4",
		    "%.150s has no address for mail", name);
	default:
		return verdict(TEMP, 451, "4.4.3", "DNS does not answer for %.150s", name);
	}
}

static void
resolved(void *arg, const struct dns_answer *a)
{
	struct dial *d = CAST(arg, struct dial, DIAL_MAGIC);
	struct verdict v;

	d->naddrs = d->at = 0;
	if (a->status < 0 || a->naddrs == 0) {
		v = name_verdict(d->host, a->status ? a->status : -ENODATA, d->site->mx && d->nmx == 0);
		/* One name that may exist keeps hope for the whole. */
		if (v.kind == TEMP || d->no_names) {
			d->last = v;
			d->last_site = v.kind == TEMP ? JOB_SITE_FAIL : JOB_SITE_NONE;
			d->no_names = v.kind == PERM;
		}
		next_host(d);
		return;
	}
	for (size_t i = 0; i < a->naddrs && d->naddrs < ADDR_MAX; i++) {
		d->addrs[d->naddrs] = a->addrs[i];
		addr_set_port(&d->addrs[d->naddrs++], d->site->port);
	}
	next_address(d);
}

static bool
have_dns(struct dial *d)
{
	struct dns_params p = {
		.resolvers = *mconf.resolvers ? mconf.resolvers : NULL,
		.hosts = *mconf.hosts ? mconf.hosts : NULL,
		.stubs = *mconf.dns_stubs ? mconf.dns_stubs : NULL,
		.anchor = *mconf.trust_anchor ? mconf.trust_anchor : NULL,
		.timeout_ms = (uint32_t)mconf.dns_timeout,
	};
	char *why = NULL;

	if (master.dns)
		return true;
	master.dns = dns_new(&master.loop, &p, &why);
	if (master.dns)
		return true;
	log_event(LOG_ERROR, "dns", "error=%s", log_str(why));
	mem_free(&why);
	d->last = verdict(TEMP, 451, "4.3.5", "the resolver cannot be started");
	d->last_site = JOB_SITE_NONE;
	later_run(&d->later, &master.loop, fail_later);
	return false;
}

static void
look_up(struct dial *d, const char *host)
{
	slice_cstr(slice_str(host), d->host, sizeof(d->host));
	dns_addr_start(master.dns, d->host, &d->op, resolved, d);
}

static void
next_host(struct dial *d)
{
	if (d->mx_at == d->nmx || d->tries >= mconf.max_hosts)
		fail(d);
	else
		look_up(d, d->mx[d->mx_at++]);
}

static bool
our_name(const char *host)
{
	struct slice h = slice_str(host);

	if (slice_ends(h, S(".")))
		h.n--;
	return slice_ieq(h, slice_str(shared.hostname)) ||
	    (*master.channel->helo && slice_ieq(h, slice_str(master.channel->helo)));
}

/* Copies the list as far as RFC 5321 5.1 lets us use it.  False when it ends with us. */
static bool
use_mx(struct dial *d, const struct dns_answer *a)
{
	size_t n = a->nmx;

	for (size_t i = 0; i < a->nmx; i++) {
		if (our_name(a->mx[i].host)) {
			/* "all MX records with lower preference (or the same) MUST be discarded" */
			for (n = i; n > 0 && a->mx[n - 1].preference == a->mx[i].preference; n--)
				;
			break;
		}
	}
	for (size_t i = 0; i < n && d->nmx < MX_MAX; i++)
		d->mx[d->nmx++] = mem_str(a->mx[i].host);
	return n > 0;
}

static void
mx_found(void *arg, const struct dns_answer *a)
{
	struct dial *d = CAST(arg, struct dial, DIAL_MAGIC);
	const char *domain = d->site->host;
	struct verdict v;

	if (a->status == 0 && a->nmx == 1 && (*a->mx[0].host == '\0' || strcmp(a->mx[0].host, ".") == 0)) {
		v = verdict(PERM, 556, "5.1.10", "%.150s does not take mail (null MX)", domain);
		finish(d, NULL, &v, JOB_SITE_NONE);
	} else if (a->status == 0 && a->nmx > 0) {
		if (use_mx(d, a)) {
			next_host(d);
			return;
		}
		v = verdict(PERM, 554, "5.4.6", "mail for %.120s loops back to this host", domain);
		finish(d, NULL, &v, JOB_SITE_NONE);
	} else if (a->status == 0 || a->status == -ENODATA) {
		look_up(d, domain);	/* the implicit MX */
	} else {
		v = name_verdict(domain, a->status, true);
		finish(d, NULL, &v, v.kind == TEMP ? JOB_SITE_FAIL : JOB_SITE_NONE);
	}
}

/* ---- */

struct dial *
dial_start(const struct site *site, void (*done)(void *arg, struct session *,
    const struct verdict *, enum job_site), void *arg)
{
	struct dial *d = mem_new(sizeof(*d));
	char text[120];

	d->magic = DIAL_MAGIC;
	d->site = site;
	d->done = done;
	d->arg = arg;
	d->tls = site->tls;
	d->no_names = true;
	d->last = verdict(TEMP, 451, "4.4.4", "no host to connect to");
	d->last_site = JOB_SITE_FAIL;
	later_init(&d->later);
	slice_cstr(slice_str(site->host ? site->host : shared.hostname), d->host, sizeof(d->host));
	if (site->path) {
		(void)snprintf(text, sizeof(text), "unix:%s", site->path);
		if (addr_parse(slice_str(text), &d->addrs[0]) < 0) {
			d->last = verdict(TEMP, 451, "4.3.5", "no socket: %.150s", site->path);
			later_run(&d->later, &master.loop, fail_later);
			return d;
		}
		d->naddrs = 1;
		next_address(d);
	} else if (have_dns(d)) {
		if (site->mx)
			dns_mx_start(master.dns, site->host, &d->op, mx_found, d);
		else
			look_up(d, site->host);
	}
	return d;
}
