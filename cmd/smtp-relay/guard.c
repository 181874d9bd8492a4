/* guard.c: who comes to an mx listener, and whether a session begins for him; tiermail-guard(7).
 *
 * Owns the two tables: what is known of addresses (queue/.guard-1, which outlives a boot) and the buckets of rates
 * (rundir).  session.c asks for each connection.  Can fail: the files, then this worker remembers for itself; and
 * lists.  Must stay true: what costs nothing is asked first, so that a refused address costs a look into a mapped
 * table and one reply, no session; and who is known waits for nothing. */
#include "guard.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/must.h"
#include "daemon/sandbox.h"
#include "guard/policy.h"
#include "mta/access.h"

#define FRESH_MS 3600000 /* how long an answer of lists holds for one who is known */
#define DRAIN                                                                                      \
	4096 /* octets that are read before a close, or it would be a reset that takes our reply along */

struct guard guard;

/* ---- the tables -------------------------------------------------------------------------- */

static char *
guard_rates_path(void)
{
	return mem_printf("%s/guard-rates", shared.rundir);
}

void
guard_paths(void)
{
	char *path = guard_rates_path();
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd >= 0)
		(void)close(fd);
	sandbox_change(path);
	mem_free(&path);
}

static struct guard_table *
guard_table_get_one(char *path)
{
	struct guard_table *t = NULL;
	int r = guard_table_open(path, &t);

	if (r < 0) {
		log_event(LOG_WARN, "guard_private", "path=%s error=%s", log_str(path),
		    strerror(-r));
		t = guard_table_private();
	}
	mem_free(&path);
	return t;
}

static void
guard_resolver(void)
{
	struct dns_params p = dns_params_shared();
	char *why = NULL;
	int r = 0;

	if ((!config.dnslists || !*config.dnslists) && !config.sender_domain &&
	    !config.client_names && !channel_dns_any(relay.channels))
		return;
	if (guard.dns)
		r = dns_change(guard.dns, &p, &why);
	else if (!(guard.dns = dns_new(daemon_loop(), &p, &why)))
		r = -EINVAL;
	if (r < 0)
		log_event(LOG_ERROR, "dns", "error=%s", log_str(why));
	mem_free(&why);
}

void
guard_start(struct loop *l)
{
	list_init(&guard.waits);
	guard.known = guard_table_get_one(mem_printf("%s/.guard-1", shared.queue));
	guard.rates = guard_table_get_one(guard_rates_path());
	guard.policy = guard_policy_new(l);
	guard_resolver();
}

void
guard_end(void)
{
	guard_policy_free(&guard.policy);
	dns_free(&guard.dns);
	guard_table_close(&guard.known);
	guard_table_close(&guard.rates);
}

void
guard_reload(void)
{
	guard_lists_reload();
	guard_resolver();
}

bool
guard_check(struct buf *why)
{
	bool good = true, client = false;

	for (struct guard_list **l = config.dnslists; l && *l; l++) {
		client |= (*l)->asks == GUARD_OF_CLIENT && (*l)->weight > 0;
		for (char **c = (*l)->codes; c && *c; c++)
			if (!guard_code_valid(slice_str(*c))) {
				buf_printf(why,
				    "%s: [dnslist %s] codes = %s: " GUARD_CODE_FORM "\n",
				    conf_where(&(*l)->codes), (*l)->name, *c);
				good = false;
			}
	}
	if (client)
		for (char **n = config.guard_allow; n && *n; n++)
			if (slice_ends(slice_str(*n), S("/0")))
				buf_printf(why,
				    "warning: %s: guard.allow = %s: no list is asked about "
				    "anybody\n",
				    conf_where(&config.guard_allow), *n);
	return good;
}

/* ---- refusing ---------------------------------------------------------------------------- */

static struct verdict
guard_verdict(const struct addr *peer, enum guard_why why, const struct guard_list *list)
{
	char host[ADDR_TEXT];

	switch (why) {
	case GUARD_RATE: return verdict(OUT_GUARD_RATE, shared.hostname);
	case GUARD_BUSY: return verdict(OUT_GUARD_BUSY, shared.hostname);
	case GUARD_ERRORS: return verdict(OUT_GUARD_ERRORS, shared.hostname);
	case GUARD_EARLY: return verdict(OUT_GUARD_EARLY, shared.hostname);
	case GUARD_LISTED:
		return verdict(OUT_GUARD_LISTED, shared.hostname, addr_host(peer, host),
		    list ? list->zone : "a list");
	case GUARD_DENIED:
	case GUARD_MAPPED:
	default: return verdict(OUT_GUARD_DENIED, shared.hostname, addr_host(peer, host));
	}
}

static void
guard_log(const struct addr *peer, enum guard_why why, const struct guard_list *list)
{
	static const struct {
		const char *name;
		enum metric_id metric;
	} words[] = { [GUARD_DENIED] = { "denied", M_GUARD_DENIED },
		[GUARD_MAPPED] = { "mapped", M_GUARD_DENIED },
		[GUARD_RATE] = { "rate", M_GUARD_RATE },
		[GUARD_BUSY] = { "busy", M_GUARD_BUSY },
		[GUARD_EARLY] = { "early", M_GUARD_EARLY },
		[GUARD_ERRORS] = { "errors", M_GUARD_ERRORS },
		[GUARD_LISTED] = { "listed", M_GUARD_LISTED } };
	char text[ADDR_TEXT];

	metric_add(words[why].metric, 1);
	log_event(LOG_INFO, "guard", "peer=%s result=%s list=%s", log_str(addr_write(peer, text)),
	    words[why].name, log_str(list ? list->name : ""));
}

/* What has come is read, a little of it: a socket with unread octets is reset when it is closed, and the reply
 * with it. */
static void
guard_close(int fd)
{
	char drained[DRAIN];

	(void)!recv(fd, drained, sizeof(drained), MSG_DONTWAIT);
	(void)close(fd);
}

void
guard_refuse(int fd, const struct addr *peer, enum guard_why why, const struct guard_list *list,
    struct slice text)
{
	struct verdict v = guard_verdict(peer, why, list);
	struct buf reply = { 0 };

	guard_log(peer, why, list);
	if (text.n)
		smtp_reply_words(&reply, &v, text);
	else
		smtp_reply_verdict(&reply, &v);
	(void)!send(fd, reply.p, reply.n, MSG_DONTWAIT | MSG_NOSIGNAL);
	buf_fini(&reply);
	guard_close(fd);
}

/* ---- remembering ------------------------------------------------------------------------- */

#define MARK_BITS                                                                                  \
	16 /* behind a time: which list has blocked it, or one of these; by which lists it has passed */

enum { MARK_EARLY, MARK_ERRORS };

void
guard_block(int fd, const struct addr *peer, enum guard_why why, const struct guard_list *list)
{
	uint64_t until = (uint64_t)(clock_now() + config.guard_block_ms / 1000);
	uint16_t mark = list    ? guard_list_mark(list) :
	    why == GUARD_ERRORS ? MARK_ERRORS :
				  MARK_EARLY;

	guard_table_put(guard.known, guard_key(guard.known, GUARD_BLOCKED, peer),
	    until << MARK_BITS | mark);
	guard_table_forget(guard.known, guard_key(guard.known, GUARD_KNOWN, peer));
	guard_table_forget(guard.known, guard_key(guard.known, GUARD_FRESH, peer));
	if (fd >= 0)
		guard_refuse(fd, peer, why, list, S(""));
	else
		guard_log(peer, why, list);
}

void
guard_pass(const struct addr *peer, bool sure)
{
	uint64_t now = (uint64_t)clock_now();

	/* In the form of all others, so that of a full set they go first who hold for the shortest time: those who
	 * were refused, of whom a flood has any number. */
	guard_table_put(guard.known, guard_key(guard.known, GUARD_KNOWN, peer),
	    (now + (uint64_t)config.guard_remember_ms / 1000) << MARK_BITS);
	if (sure)
		guard_table_put(guard.known, guard_key(guard.known, GUARD_FRESH, peer),
		    (now + FRESH_MS / 1000) << MARK_BITS | guard_lists_mark());
}

/* A time that no setting makes is none of ours. */
static bool
guard_until(uint64_t until, int64_t most_ms)
{
	uint64_t now = (uint64_t)clock_now();

	return until > now && until <= now + (uint64_t)most_ms / 1000 + 1;
}

static bool
guard_known(const struct addr *peer)
{
	uint64_t until = guard_table_get(guard.known, guard_key(guard.known, GUARD_KNOWN, peer));

	if (!guard_until(until >> MARK_BITS, config.guard_remember_ms))
		return false;
	until = guard_table_get(guard.known, guard_key(guard.known, GUARD_FRESH, peer));
	if (guard_lists_any(GUARD_OF_CLIENT) &&
	    (!guard_until(until >> MARK_BITS, FRESH_MS) || (uint16_t)until != guard_lists_mark()))
		guard_look_again(peer);
	return true;
}

/* Why somebody is refused, without asking anybody. */
struct guard_no {
	enum guard_why why;
	const struct guard_list *list;
	bool slow;       /* he may hear so late */
	struct buf text; /* a mapping's words; or empty */
};

static bool
guard_blocked(const struct addr *peer, struct guard_no *no)
{
	uint64_t value = guard_table_get(guard.known, guard_key(guard.known, GUARD_BLOCKED, peer));
	uint16_t mark = (uint16_t)value;

	no->why = mark >= GUARD_MARKS ? GUARD_LISTED :
	    mark == MARK_ERRORS       ? GUARD_ERRORS :
					GUARD_EARLY;
	no->list = guard_list_find(mark);
	no->slow = true;
	return guard_until(value >> MARK_BITS, config.guard_block_ms) &&
	    (mark < GUARD_MARKS || no->list);
}

/* ---- tables of the site ------------------------------------------------------------------ */

static bool
guard_among(char *const *networks, const struct addr *peer)
{
	for (char *const *n = networks; n && *n; n++)
		if (addr_in(peer, slice_str(*n)) > 0)
			return true;
	return false;
}

bool
guard_allows(const struct addr *peer)
{
	return guard_among(config.guard_allow, peer);
}

static struct addr
guard_here(int fd)
{
	struct addr here = { .len = sizeof(here.ss) };

	if (getsockname(fd, &here.sa, &here.len) < 0)
		here.sa.sa_family = AF_UNIX;
	return here;
}

/* PORT_ACCESS, TCP|server|port|client|port; tiermail-mappings(5).  Nothing that would have to be asked. */
static bool
guard_mapped(int fd, const struct addr *local, const struct addr *peer, struct buf *text)
{
	const struct mta_mappings *m = relay.channels->mappings;
	static const struct mta_calls calls;
	static const struct mta_flags none;
	struct addr here;
	char from[ADDR_TEXT], to[ADDR_TEXT];
	struct mta_mapped r;
	struct mta_access a;
	struct buf probe = { 0 };
	bool refused = false;

	if (!m || !mta_mappings_has(m, S("PORT_ACCESS")))
		return false;
	here = local ? *local : guard_here(fd);
	addr_unmap(&here);
	buf_printf(&probe, "TCP|%s|%d|%s|%d", addr_host(&here, to), addr_port(&here),
	    addr_host(peer, from), addr_port(peer));
	if (mta_mappings_ask(m, &calls, S("PORT_ACCESS"), buf_get(&probe), &none, &r) == MTA_YES) {
		mta_access_decode(S("PORT_ACCESS"), &r, &a);
		refused = a.action == MTA_ACCESS_CLOSE;
		if (refused)
			buf_slice(text, a.text);
	}
	mta_mapped_fini(&r);
	buf_fini(&probe);
	return refused;
}

static bool
guard_fast(const struct addr *peer)
{
	uint64_t now = clock_mono_us();

	return (config.guard_rate &&
		   !guard_bucket_take(guard.rates, guard_key(guard.rates, GUARD_CLIENT, peer),
		       (uint64_t)config.guard_rate, now)) ||
	    (config.guard_rate_network &&
		!guard_bucket_take(guard.rates, guard_key_network(guard.rates, peer),
		    (uint64_t)config.guard_rate_network, now));
}

void
guard_erred(const struct session *s)
{
	if (!config.guard_errors || s->role != ROLE_MX || s->trusted || s->loopback ||
	    s->peer.sa.sa_family == AF_UNIX || guard_allows(&s->peer))
		return;
	guard_block(-1, &s->peer, GUARD_ERRORS, NULL);
}

/* Of what costs nothing.  `local`: our address, or NULL, that of fd; `tested`: he would have to be silent, or lists be asked.  The text is the caller's. */
static bool
guard_no(int fd, const struct addr *local, const struct addr *peer, bool tested,
    struct guard_no *no)
{
	*no = (struct guard_no){ 0 };
	if (guard_among(config.guard_deny, peer)) {
		no->why = GUARD_DENIED;
		no->slow = true;
		return true;
	}
	if (guard_fast(peer)) {
		no->why = GUARD_RATE;
		return true;
	}
	if (guard_mapped(fd, local, peer, &no->text)) {
		no->why = GUARD_MAPPED;
		return true;
	}
	return (config.guard_errors || tested) && guard_blocked(peer, no);
}

bool
guard_takes(struct daemon_listen *l, int fd, const struct relay_peer *who)
{
	const struct addr *peer = &who->addr;
	/* Where the client speaks first, as in TLS from the beginning, nothing it says is too early. */
	bool tested =
	    (config.guard_greet_ms && l->tls != TLS_IMPLICIT) || guard_lists_any(GUARD_OF_CLIENT);
	struct guard_no no;

	if (l->role != ROLE_MX || l->peer_cert == PEER_CERT_DEMAND || who->trusted || who->nobody ||
	    peer->sa.sa_family == AF_UNIX || (addr_loopback(peer) && !who->announced) ||
	    guard_allows(peer) || guard_among(config.xclient, peer)) /* he tells of whom it is */
		return false;
	if (guard_no(fd, NULL, peer, tested, &no)) {
		if (!no.slow || !guard_tarpit(fd, peer, no.why, no.list))
			guard_refuse(fd, peer, no.why, no.list, buf_get(&no.text));
		buf_fini(&no.text);
		return true;
	}
	if (!tested)
		return false;
	if (guard_known(peer)) {
		metric_add(M_GUARD_KNOWN, 1);
		return false;
	}
	if (!guard_wait_start(l, fd, who))
		guard_refuse(fd, peer, GUARD_BUSY, NULL, S(""));
	return true;
}

/* ---- clients whom a proxy has told of ----------------------------------------------------- */

static void
guard_told_lists(void *arg, const struct guard_lists_answer *a)
{
	struct session *s = CAST(arg, struct session, SESSION_MAGIC);
	void (*then)(struct session *, const struct verdict *) = s->sender_then;
	struct verdict v;

	s->sender_asked = NULL;
	s->sender_then = NULL;
	if (a->score < config.guard_threshold) {
		guard_pass(&s->peer, a->all);
		then(s, NULL);
		return;
	}
	guard_block(-1, &s->peer, GUARD_LISTED, a->worst);
	v = guard_verdict(&s->peer, GUARD_LISTED, a->worst);
	then(s, &v);
}

enum guard_told
guard_told(struct session *s, struct verdict *v,
    void (*then)(struct session *, const struct verdict *))
{
	bool lists = guard_lists_any(GUARD_OF_CLIENT);
	struct guard_no no;
	struct addr here;

	if (s->trusted || guard_allows(&s->peer))
		return GUARD_TOLD_YES;
	stream_local(&s->smtp.line.io, &here);
	if (guard_no(-1, &here, &s->peer, lists, &no)) {
		*v = guard_verdict(&s->peer, no.why, no.list);
		if (no.text.n) {
			struct verdict words =
			    verdict_parse_reply(verdict_reply(v), buf_get(&no.text));

			memcpy(v->text, words.text, sizeof(v->text));
		}
		guard_log(&s->peer, no.why, no.list);
		buf_fini(&no.text);
		return GUARD_TOLD_NO;
	}
	if (!lists)
		return GUARD_TOLD_YES;
	if (guard_known(&s->peer)) {
		metric_add(M_GUARD_KNOWN, 1);
		return GUARD_TOLD_YES;
	}
	s->smtp.told = 1; /* who goes meanwhile is asked about no more: sender_forget */
	s->sender_then = then;
	s->sender_asked = guard_lists_ask(GUARD_OF_CLIENT, &s->peer, S(""), guard_told_lists, s);
	return s->sender_asked ? GUARD_TOLD_WAIT : GUARD_TOLD_YES;
}
