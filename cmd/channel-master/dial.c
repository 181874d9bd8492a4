/* channel-master/dial.c: a new session for a site: names, addresses, connect, hello, next.
 *
 * RFC 5321 5.1: MX hosts in order of preference (equal ones shuffled by net/dns), all their
 * addresses; a domain without MX is its own host; our own name in the list cuts it there; a
 * null MX (RFC 7505) takes no mail.  A host that refuses the session, even for good, is
 * passed over while there are others; what the last of them leaves us with is dial_remember's. */
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include "base/log.h"
#include "base/mem.h"
#include "base/must.h"
#include "job/hosts.h"
#include "dial-impl.h"
#include "tls-record.h"

static void try_address(struct dial *d, bool plain);

static void
dial_free(struct dial *d)
{
	op_cancel(&d->op);
	later_cancel(&d->later);
	for (size_t i = 0; i < d->nmx; i++)
		mem_free(&d->mx[i]);
	policy_fini(&d->policy);
	smtp_sts_fini(&d->sts);
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
		master_session_close(d->session);
	dial_free(d);
}

static void
dial_finish(struct dial *d, struct session *s, const struct verdict *v, enum job_site site)
{
	void (*done)(void *, struct session *, const struct verdict *, enum job_site) = d->done;
	struct verdict copy = *v;
	void *arg = d->arg;

	dial_free(d);
	done(arg, s, &copy, site);
}

static void
dial_fail(struct dial *d)
{
	dial_finish(d, NULL, &d->last, d->last_site);
}

static void
dial_fail_later(struct later *l)
{
	dial_fail(CONTAINER(l, struct dial, later));
}

/* ---- connect and hello ---------------------------------------------------------------- */

/* What is said when no host gives a session: that the mail may come again, once one of them has said so; for good
 * only when all that were asked have refused it so (RFC 5321 5.1, RFC 7504 4).  A backup's refusal says nothing
 * about the host before it, which is there again tomorrow, or had only no proof of who it is (RFC 7672 2.1). */
static void
dial_remember(struct dial *d, const struct verdict *v, enum job_site site)
{
	if (!d->no_names && d->last.kind == TEMP && v->kind == PERM)
		return;
	d->last = *v;
	d->last_site = site;
}

void
dial_note(struct dial *d, const struct verdict *v, const char *result)
{
	dial_remember(d, v, JOB_SITE_FAIL);
	d->no_names = false;
	count_add(JOB_COUNT_NO_SESSION, 1);
	if (result)
		count_add(JOB_COUNT_TLS_FAILED, 1);
	log_event(LOG_INFO, "connect", "channel=%s dest=%s peer=%s policy=%s result=%s error=%s",
	    master.channel->name, log_str(d->site->key), log_str(d->peer), policy_word(&d->policy),
	    result ? result : "none", log_str(v->text));
}

/* What became of TLS with the host in hand. */
static void
record_host(const struct dial *d, const struct policy *policy, const char *result, const char *why)
{
	tls_record(&(struct tls_try){ .site = d->site,
	    .policy = policy,
	    .sts = &d->sts,
	    .host = d->host,
	    .to = d->at > 0 ? &d->addrs[d->at - 1] : NULL,
	    .by = d->ours.len ? &d->ours : NULL,
	    .result = result,
	    .why = why });
}

/* The hello is over, well or with a `result` of RFC 8460 4.3.  A try that does without TLS has been told of before. */
static void
record_hello(const struct dial *d, const struct session *s, const struct verdict *v,
    const char *result)
{
	if (d->plain || s->policy.level == POLICY_NONE)
		return;
	if (v->kind == OK && !result && !stream_secure(&s->client.io))
		result = "starttls-not-supported";
	if (v->kind == OK || result)
		record_host(d, &s->policy, d->unlisted ? "validation-failure" : result,
		    v->kind == OK ? NULL : v->text);
}

static void
greeted(void *arg, struct session *s, const struct verdict *v)
{
	struct dial *d = CAST(arg, struct dial, DIAL_MAGIC);
	struct verdict why = *v;
	const char *result = NULL;
	bool again;

	d->session = NULL;
	if (v->kind == OK && d->site->tls_required && !d->site->lmtp &&
	    !(s->client.offer.has & OFFERS_REQUIRETLS)) {
		why = verdict(OUT_REQUIRETLS_NOT, d->host);
		record_hello(d, s, v, NULL);
		smtp_client_quit(&s->client);
		dial_note(d, &why, NULL);
		dial_next_host(d);
		return;
	}
	if (v->kind == OK) {
		if (s->params.tls_lenient)
			result = stream_secure(&s->client.io) ? stream_tls_doubt(&s->client.io) :
								"starttls-not-supported";
		log_event(d->policy.source != POLICY_OF_CHANNEL ? LOG_INFO : LOG_DEBUG, "connect",
		    "channel=%s dest=%s peer=%s policy=%s tls=%s result=%s", master.channel->name,
		    log_str(d->site->key), log_str(d->peer), policy_word(&s->policy),
		    stream_secure(&s->client.io) ? stream_tls_version(&s->client.io) : "no",
		    result ? result : "none");
		record_hello(d, s, v, result);
		count_session(s);
		dial_finish(d, s, v, JOB_SITE_OK);
		return;
	}
	again = s->client.tls_failed && s->policy.level == POLICY_MAY;
	result = s->client.tls_result;
	if (s->client.login_wrong)
		login_wrong(d->peer, v);
	record_hello(d, s, v, result);
	/* RFC 7504: 521 and 556 say that no mail is taken there at all; another refusal at the
	 * greeting may be this hour's, and is. */
	if (!s->client.greeted && v->kind == PERM && v->reply != 521 && v->reply != 556)
		why.kind = TEMP, why.reply = 451;
	master_session_close(s);
	dial_note(d, &why, result);
	if (again && d->tries < mconf.max_hosts)
		try_address(d, true); /* opportunistic: RFC 3207 4.1 leaves it to us */
	else
		dial_next_address(d);
}

static void
connected(void *arg, int fd)
{
	struct dial *d = CAST(arg, struct dial, DIAL_MAGIC);
	struct policy plain = d->policy;
	struct verdict v;

	if (fd >= 0) {
		d->ours.len = sizeof(d->ours.ss);
		if (getsockname(fd, &d->ours.sa, &d->ours.len) < 0)
			d->ours.len = 0;
		if (d->plain)
			plain.level = POLICY_NONE;
		d->session = master_session_open(fd, d->site, &plain, d->peer, greeted, d);
		if (d->session)
			return;
		v = verdict(OUT_CONNECT_UNUSED, d->peer);
	} else {
		v = verdict(OUT_CONNECT_FAILED, d->peer, strerror(-fd));
	}
	dial_note(d, &v, NULL);
	dial_next_address(d);
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

/* The address in hand (the one before d->at), for this try alone in plain text: what a host's
 * broken STARTTLS made us leave off must not be left off at the next host. */
static void
try_address(struct dial *d, bool plain)
{
	const struct addr *a = &d->addrs[d->at - 1];
	const struct addr *from = NULL;
	struct addr source;

	d->plain = plain;
	d->tries++;
	set_peer(d, a);
	if (*master.channel->source &&
	    addr_parse(slice_str(master.channel->source), &source) == 0 &&
	    source.sa.sa_family == a->sa.sa_family)
		from = &source;
	connect_start(master.loop, a, from, (uint32_t)mconf.t_connect, &d->op, connected, d);
}

void
dial_next_address(struct dial *d)
{
	if (d->at == d->naddrs || d->tries >= mconf.max_hosts) {
		dial_next_host(d);
		return;
	}
	d->at++;
	try_address(d, false);
}

/* ---- names ---------------------------------------------------------------------------- */

static struct verdict
name_verdict(const char *name, int status, bool mail_domain)
{
	switch (status) {
	case -ENOENT:
		return mail_domain ? verdict(OUT_DOMAIN_UNKNOWN, name) :
				     verdict(OUT_HOST_UNKNOWN, name);
	case -ENODATA:
		return mail_domain ? verdict(OUT_DOMAIN_NO_HOST, name) :
				     verdict(OUT_HOST_NO_ADDRESS, name);
	default: return verdict(OUT_DNS_AWAY, name);
	}
}

static void
resolved(void *arg, const struct dns_answer *a)
{
	struct dial *d = CAST(arg, struct dial, DIAL_MAGIC);
	struct verdict v;

	count_dns(a);
	d->naddrs = d->at = 0;
	if (a->status < 0 || a->naddrs == 0) {
		v = name_verdict(d->host, a->status ? a->status : -ENODATA,
		    d->site->mx && d->nmx == 0);
		/* One name that may exist keeps hope for the whole. */
		if (v.kind == TEMP || d->no_names) {
			dial_remember(d, &v, v.kind == TEMP ? JOB_SITE_FAIL : JOB_SITE_NONE);
			d->no_names = v.kind == PERM;
		}
		dial_next_host(d);
		return;
	}
	for (size_t i = 0; i < a->naddrs && d->naddrs < ADDR_MAX; i++) {
		/* A stranger's domain must not lead back into this host, past its front door. */
		if (d->site->mx && !mconf.mx_loopback && addr_here(&a->addrs[i]))
			continue;
		d->addrs[d->naddrs] = a->addrs[i];
		addr_set_port(&d->addrs[d->naddrs++], d->site->port);
	}
	if (d->naddrs == 0) {
		if (d->no_names) {
			d->last = verdict(OUT_HOST_LOOP, d->host);
			d->last_site = JOB_SITE_NONE;
		}
		dial_next_host(d);
		return;
	}
	dial_policy_begin(d, a);
}

static bool
have_dns(struct dial *d)
{
	struct dns_params p = dns_params_shared();
	char *why = NULL;

	if (master.dns)
		return true;
	master.dns = dns_new(master.loop, &p, &why);
	if (master.dns)
		return true;
	log_event(LOG_ERROR, "dns", "error=%s", log_str(why));
	mem_free(&why);
	d->last = verdict(OUT_DNS_BROKEN);
	d->last_site = JOB_SITE_NONE;
	later_run(&d->later, master.loop, dial_fail_later);
	return false;
}

static void
dial_look_up(struct dial *d, const char *host)
{
	slice_cstr(slice_str(host), d->host, sizeof(d->host));
	dns_addr_start(master.dns, d->host, &d->op, resolved, d);
}

void
dial_next_host(struct dial *d)
{
	if (d->mx_at == d->nmx || d->tries >= mconf.max_hosts)
		dial_fail(d);
	else
		dial_look_up(d, d->mx[d->mx_at++]);
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

	count_dns(a);
	d->secure = a->security == DNS_SECURE;
	if (a->status == 0 && a->nmx == 1 &&
	    (*a->mx[0].host == '\0' || strcmp(a->mx[0].host, ".") == 0)) {
		v = verdict(OUT_DOMAIN_NULL_MX, domain);
		dial_finish(d, NULL, &v, JOB_SITE_NONE);
	} else if (a->status == 0 && a->nmx > 0) {
		if (use_mx(d, a)) {
			job_hosts_name(d->site->mx_set, d->mx, d->nmx);
			dial_next_host(d);
			return;
		}
		v = verdict(OUT_DOMAIN_LOOP, domain);
		dial_finish(d, NULL, &v, JOB_SITE_NONE);
	} else if (a->status == 0 || a->status == -ENODATA) {
		dial_look_up(d, domain); /* the implicit MX */
	} else {
		v = a->security == DNS_BOGUS ? verdict(OUT_DANE_DNS, domain) :
					       name_verdict(domain, a->status, true);
		if (a->security == DNS_BOGUS)
			dial_policy_record(d, POLICY_OF_DANE, NULL, "dnssec-invalid", v.text);
		dial_finish(d, NULL, &v, v.kind == TEMP ? JOB_SITE_FAIL : JOB_SITE_NONE);
	}
}

/* ---- */

struct dial *
dial_start(struct site *site,
    void (*done)(void *arg, struct session *, const struct verdict *, enum job_site), void *arg)
{
	struct dial *d = mem_new(sizeof(*d));
	char text[120];

	d->magic = DIAL_MAGIC;
	d->site = site;
	d->done = done;
	d->arg = arg;
	d->no_names = true;
	d->secure = !site->mx; /* or the configuration names the host */
	d->last = verdict(OUT_SITE_NO_HOST);
	d->last_site = JOB_SITE_FAIL;
	later_init(&d->later);
	slice_cstr(slice_str(site->host ? site->host : shared.hostname), d->host, sizeof(d->host));
	if (site->path) {
		(void)snprintf(text, sizeof(text), "unix:%s", site->path);
		if (addr_parse(slice_str(text), &d->addrs[0]) < 0) {
			d->last = verdict(OUT_SITE_NO_SOCKET, site->path);
			later_run(&d->later, master.loop, dial_fail_later);
			return d;
		}
		d->naddrs = 1;
		policy_of_site(&d->policy, site, d->host);
		dial_next_address(d);
	} else if (have_dns(d)) {
		if (site->mx)
			dns_mx_start(master.dns, site->host, &d->op, mx_found, d);
		else
			dial_look_up(d, site->host);
	}
	return d;
}
