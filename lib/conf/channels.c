/* conf/channels.c: reading channels.conf.  The file goes through conf.c into raw structs, and
 * from there, checked, into structs of their own, so that a daemon can keep an old set while a
 * new one is being read. */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/mem.h"
#include "conf/channels.h"
#include "conf/value.h"

/* A [channel] as it stands in the file. */
struct raw_channel {
	struct channel c;
	int protocol; /* with `auto` before the others */
	char **backoff, **urgent, **normal, **nonurgent, **notices;
};

static struct raw_channel **raw_channels;
static struct channel_host **raw_hosts;
static struct channel_route **raw_routes;

#define AT(type, member) ((void *)offsetof(type, member))

static const struct conf_key channel_keys[] = {
	{ "protocol", CONF_ENUM, AT(struct raw_channel, protocol), "auto", 0, 0, RELOAD,
	    "auto|lmtp|smtp", "What the channel speaks; auto is LMTP for tcp_lmtp, else SMTP." },
	{ "tls", CONF_ENUM, AT(struct raw_channel, c.tls), "may", 0, 0, RELOAD, "off|may|must",
	    "Whether STARTTLS is used: never, when offered, or demanded." },
	{ "maxjobs", CONF_INT, AT(struct raw_channel, c.maxjobs), "2", 1, 1000, RELOAD, NULL,
	    "Most channel-master processes at a time." },
	{ "slots", CONF_INT, AT(struct raw_channel, c.slots), "16", 1, 1000, RELOAD, NULL,
	    "Messages that one process works on at a time." },
	{ "threaddepth", CONF_INT, AT(struct raw_channel, c.threaddepth), "128", 1, 1000000,
	    RELOAD, NULL, "Ready messages per process before another process is started." },
	{ "concurrency_start", CONF_INT, AT(struct raw_channel, c.dest_start), "0", 0, 10000,
	    RELOAD, NULL, "Messages at a time to a destination at first; 0 is 5, or for LMTP 16." },
	{ "concurrency", CONF_INT, AT(struct raw_channel, c.dest_max), "0", 0, 10000, RELOAD,
	    NULL, "Most messages at a time to one destination; 0 is 20, or for LMTP 64." },
	{ "big", CONF_SIZE, AT(struct raw_channel, c.big), "4M", 0, INT64_MAX, RELOAD, NULL,
	    "Larger messages queue one priority lower; 0 is never." },
	{ "backoff", CONF_LIST, AT(struct raw_channel, backoff), "", 0, 0, RELOAD, NULL,
	    "Times between attempts, for all priorities; the last repeats." },
	{ "urgentbackoff", CONF_LIST, AT(struct raw_channel, urgent), "", 0, 0, RELOAD, NULL,
	    "Times between attempts for urgent messages." },
	{ "normalbackoff", CONF_LIST, AT(struct raw_channel, normal), "", 0, 0, RELOAD, NULL,
	    "Times between attempts for normal messages." },
	{ "nonurgentbackoff", CONF_LIST, AT(struct raw_channel, nonurgent), "", 0, 0, RELOAD, NULL,
	    "Times between attempts for non-urgent messages." },
	{ "notices", CONF_LIST, AT(struct raw_channel, notices), "3d 6d 9d 12d", 0, 0, RELOAD, NULL,
	    "Ages at which a delay warning is sent; at the last the message is returned." },
	{ "relay", CONF_STR, AT(struct raw_channel, c.relay), "", 0, 0, RELOAD, NULL,
	    "HOST:PORT to which everything of the channel goes; empty is none." },
	{ "port", CONF_INT, AT(struct raw_channel, c.port), "0", 0, 65535, RELOAD, NULL,
	    "Port to connect to; 0 is 25, or for LMTP 24." },
	{ "source", CONF_STR, AT(struct raw_channel, c.source), "", 0, 0, RELOAD, NULL,
	    "Local address to connect from; empty is any." },
	{ "helo", CONF_STR, AT(struct raw_channel, c.helo), "", 0, 0, RELOAD, NULL,
	    "Name given in EHLO and LHLO; empty is hostname." },
	{ "stopped", CONF_BOOL, AT(struct raw_channel, c.stopped), "no", 0, 0, RELOAD, NULL,
	    "Whether jobctl starts with this channel stopped." },
};

static const struct conf_key host_keys[] = {
	{ "lmtp", CONF_STR, AT(struct channel_host, lmtp), NULL, 0, 0, RELOAD, NULL,
	    "Where its LMTP server listens: unix:/PATH or HOST:PORT." },
	{ "tls", CONF_ENUM, AT(struct channel_host, tls), "may", 0, 0, RELOAD, "off|may|must",
	    "Whether STARTTLS is used there." },
};

static const struct conf_key route_keys[] = {
	{ "channel", CONF_STR, AT(struct channel_route, channel), "tcp_local", 0, 0, RELOAD, NULL,
	    "The channel that mail for the domain goes through." },
	{ "relay", CONF_STR, AT(struct channel_route, relay), "", 0, 0, RELOAD, NULL,
	    "HOST:PORT that it goes to; empty is the domain itself." },
};

static const struct conf_section sections[] = {
	{ "channel", sizeof(struct raw_channel), channel_keys, NELEM(channel_keys),
	    (void ***)&raw_channels, offsetof(struct raw_channel, c.name),
	    "A channel: protocol, limits and schedule." },
	{ "host", sizeof(struct channel_host), host_keys, NELEM(host_keys), (void ***)&raw_hosts,
	    offsetof(struct channel_host, name), "The LMTP server of a mailHost." },
	{ "route", sizeof(struct channel_route), route_keys, NELEM(route_keys),
	    (void ***)&raw_routes, offsetof(struct channel_route, domain),
	    "A static route of a domain." },
};

const struct conf_schema channels_schema = { NULL, 0, sections, NELEM(sections) };

/* ---- periods --------------------------------------------------------------------------- */

/* ISO 8601 4.4.3.2 without years and months: P[n]W, P[n]DT[n]H[n]M[n]S. */
static int
parse_iso(struct slice s, uint64_t *seconds)
{
	static const struct {
		char unit;
		bool time;
		uint32_t s;
	} units[] = { { 'W', false, 604800 }, { 'D', false, 86400 }, { 'H', true, 3600 },
		{ 'M', true, 60 }, { 'S', true, 1 } };
	bool time = false;
	size_t next = 0, seen = 0;

	s = slice_from(s, 1);
	while (s.n) {
		size_t digits = 0;
		uint64_t n;

		if (ascii_upper(s.p[0]) == 'T' && !time) {
			time = true;
			s = slice_from(s, 1);
			continue;
		}
		while (digits < s.n && s.p[digits] >= '0' && s.p[digits] <= '9')
			digits++;
		if (digits == s.n || slice_u64(slice_sub(s, 0, digits), 1000000, &n) < 0)
			return -EINVAL;
		while (next < NELEM(units) &&
		    (units[next].unit != ascii_upper(s.p[digits]) || units[next].time != time))
			next++;
		if (next == NELEM(units))
			return -EINVAL;
		*seconds += n * units[next++].s;
		seen++;
		s = slice_from(s, digits + 1);
	}
	return seen ? 0 : -EINVAL;
}

int
periods_parse_one(struct slice s, uint32_t *seconds)
{
	uint64_t total = 0;
	int64_t ms;
	int e;

	if (s.n && ascii_upper(s.p[0]) == 'P') {
		e = parse_iso(s, &total);
	} else {
		e = conf_parse_time(s, &ms);
		total = e == 0 ? (uint64_t)(ms / 1000) : 0;
	}
	if (e < 0 || total == 0 || total > 366 * 86400)
		return -EINVAL;
	*seconds = (uint32_t)total;
	return 0;
}

uint32_t
periods_get(const struct periods *p, uint32_t n)
{
	return p->s[n < p->n ? n : p->n - 1];
}

static void
add_period(struct periods *p, struct slice word, const char *channel, const char *key,
    struct buf *why)
{
	if (p->n == PERIODS_MAX)
		buf_printf(why, "[channel %s] %s: at most %d times\n", channel, key, PERIODS_MAX);
	else if (periods_parse_one(word, &p->s[p->n]) < 0)
		buf_printf(why, "[channel %s] %s: " SFMT " is no time (30m, 4h, 3d, PT30M)\n",
		    channel, key, SARG(word));
	else
		p->n++;
}

/* From the words of the file or, when there are none, of `dflt`. */
static void
parse_periods(struct periods *p, char *const *words, const char *dflt, const char *channel,
    const char *key, struct buf *why)
{
	struct slice rest = slice_str(words && *words ? "" : dflt), word;

	p->n = 0;
	for (; words && *words; words++)
		add_period(p, slice_str(*words), channel, key, why);
	while (slice_word(&rest, &word))
		add_period(p, word, channel, key, why);
}

/* ---- from raw to checked ----------------------------------------------------------------- */

static const char *
backoff_default(const struct channel *c, int prio)
{
	/* Sun's, in minutes 30,60,60,120,120,120,240 and its doubles.  A host of our own data tier
	 * comes back after a restart, not after a day: LMTP is quick at first. */
	static const char *const smtp[] = { "30m 1h 1h 2h 2h 2h 4h", "1h 2h 2h 4h 4h 4h 8h",
		"2h 4h 4h 8h 8h 8h 16h" };

	return c->protocol == CHANNEL_LMTP ? "5s 10s 30s 1m 5m 15m 30m 1h" : smtp[prio];
}

static void
set_periods(struct channel *c, const struct raw_channel *r, struct buf *why)
{
	static const char *const keys[] = { "urgentbackoff", "normalbackoff", "nonurgentbackoff" };
	char **const lists[] = { r->urgent, r->normal, r->nonurgent };

	for (int i = 0; i < 3; i++) {
		bool own = lists[i] && lists[i][0];

		parse_periods(&c->backoff[i], own ? lists[i] : r->backoff, backoff_default(c, i),
		    c->name, own ? keys[i] : "backoff", why);
	}
	parse_periods(&c->notices, r->notices, "3d 6d 9d 12d", c->name, "notices", why);
	for (uint32_t i = 1; i < c->notices.n; i++)
		if (c->notices.s[i] <= c->notices.s[i - 1]) {
			buf_printf(why, "[channel %s] notices: must grow\n", c->name);
			return;
		}
}

bool
channel_name_ok(struct slice name)
{
	size_t n = 0;

	while (n < name.n && name.p[n] && strchr("abcdefghijklmnopqrstuvwxyz0123456789_-", name.p[n]))
		n++;
	return n > 0 && n == name.n && n <= CHANNEL_NAME_MAX && !slice_eq(name, S("tmp")) &&
	    !slice_eq(name, S("pool"));
}

static void
add_channel(struct channels *cs, const struct raw_channel *r, struct buf *why)
{
	struct channel *c = &cs->channel[cs->nchannel++];
	bool lmtp;

	*c = r->c;
	c->name = mem_str(r->c.name);
	c->relay = mem_str(r->c.relay);
	c->source = mem_str(r->c.source);
	c->helo = mem_str(r->c.helo);
	if (!channel_name_ok(slice_str(c->name)))
		buf_printf(why, "[channel %s]: a name is 1 to %d of a-z 0-9 _ -, not tmp or pool\n",
		    c->name, CHANNEL_NAME_MAX);
	lmtp = r->protocol == 1 || (r->protocol == 0 && strcmp(c->name, "tcp_lmtp") == 0);
	c->protocol = lmtp ? CHANNEL_LMTP : CHANNEL_SMTP;
	if (c->dest_max == 0)
		c->dest_max = lmtp ? 64 : 20;
	if (c->dest_start == 0)
		c->dest_start = lmtp ? 16 : 5;
	if (c->dest_start > c->dest_max)
		c->dest_start = c->dest_max;
	if (c->port == 0)
		c->port = lmtp ? 24 : 25;
	set_periods(c, r, why);
}

/* A channel that the file does not mention: every key at its default. */
static void
add_default(struct channels *cs, const char *name, struct buf *why)
{
	struct raw_channel r = { .c.name = mem_str(name) };
	struct conf_value v, old;
	char *reason;

	for (size_t i = 0; i < NELEM(channel_keys); i++) {
		const struct conf_key *k = &channel_keys[i];

		v = (struct conf_value){ 0 };
		if (conf_value_parse(k, slice_str(k->dflt), "", &v, &reason) < 0)
			buf_printf(why, "%s: %s\n", k->name, reason);
		mem_free(&reason);
		conf_value_store(k, (char *)&r + (uintptr_t)k->field, v, &old);
	}
	add_channel(cs, &r, why);
	for (size_t i = 0; i < NELEM(channel_keys); i++) {
		conf_value_store(&channel_keys[i], (char *)&r + (uintptr_t)channel_keys[i].field,
		    (struct conf_value){ 0 }, &old);
		conf_value_free(&old);
	}
	mem_free(&r.c.name);
}

static void
add_hosts(struct channels *cs)
{
	for (struct channel_host **h = raw_hosts; h && *h; h++)
		cs->host[cs->nhost++] = (struct channel_host){ mem_str((*h)->name),
			mem_str((*h)->lmtp), (*h)->tls };
}

static void
add_routes(struct channels *cs, struct buf *why)
{
	for (struct channel_route **r = raw_routes; r && *r; r++) {
		cs->route[cs->nroute++] = (struct channel_route){ mem_str((*r)->domain),
			mem_str((*r)->channel), mem_str((*r)->relay) };
		if (channels_find(cs, slice_str((*r)->channel)) == NULL)
			buf_printf(why, "[route %s] channel: there is no channel %s\n", (*r)->domain,
			    (*r)->channel);
	}
}

static size_t
count(void *const *list)
{
	size_t n = 0;

	while (list && list[n])
		n++;
	return n;
}

static struct channels *
build(struct buf *why)
{
	struct channels *cs = mem_new(sizeof(*cs));

	cs->channel = mem_array(count((void **)raw_channels) + 2, sizeof(*cs->channel));
	cs->host = mem_array(count((void **)raw_hosts) + 1, sizeof(*cs->host));
	cs->route = mem_array(count((void **)raw_routes) + 1, sizeof(*cs->route));
	for (struct raw_channel **r = raw_channels; r && *r; r++)
		add_channel(cs, *r, why);
	if (channels_find(cs, S("tcp_lmtp")) == NULL)
		add_default(cs, "tcp_lmtp", why);
	if (channels_find(cs, S("tcp_local")) == NULL)
		add_default(cs, "tcp_local", why);
	add_hosts(cs);
	add_routes(cs, why);
	return cs;
}

/* ---- life ------------------------------------------------------------------------------- */

int
channels_read(const char *path, struct channels **out, char **why)
{
	const struct conf_schema *schema = &channels_schema;
	struct buf errors = { 0 };
	int e;

	*out = NULL;
	*why = NULL;
	if (path && access(path, F_OK) < 0 && errno == ENOENT)
		path = NULL;
	if ((e = conf_read(&schema, 1, NULL, path, false, why)) < 0)
		return e;
	mem_free(why);
	*out = build(&errors);
	conf_free(&schema, 1);
	if (errors.n == 0)
		return 0;
	*why = buf_take(&errors);
	channels_free(out);
	return -EINVAL;
}

void
channels_free(struct channels **cp)
{
	struct channels *c = *cp;

	if (c == NULL)
		return;
	for (size_t i = 0; i < c->nchannel; i++) {
		free(c->channel[i].name);
		free(c->channel[i].relay);
		free(c->channel[i].source);
		free(c->channel[i].helo);
	}
	for (size_t i = 0; i < c->nhost; i++) {
		free(c->host[i].name);
		free(c->host[i].lmtp);
	}
	for (size_t i = 0; i < c->nroute; i++) {
		free(c->route[i].domain);
		free(c->route[i].channel);
		free(c->route[i].relay);
	}
	free(c->channel);
	free(c->host);
	free(c->route);
	mem_free(cp);
}

static void
print_periods(struct buf *out, const char *key, const struct periods *p)
{
	buf_printf(out, "%s =", key);
	for (uint32_t i = 0; i < p->n; i++)
		buf_printf(out, " %us", p->s[i]);
	buf_char(out, '\n');
}

void
channels_print(const struct channels *cs, struct buf *out)
{
	static const char *const tls[] = { "off", "may", "must" };

	for (size_t i = 0; i < cs->nchannel; i++) {
		const struct channel *c = &cs->channel[i];

		buf_printf(out, "\n[channel %s]\nprotocol = %s\ntls = %s\nmaxjobs = %lld\n", c->name,
		    c->protocol == CHANNEL_LMTP ? "lmtp" : "smtp", tls[c->tls], (long long)c->maxjobs);
		buf_printf(out, "slots = %lld\nthreaddepth = %lld\nconcurrency_start = %lld\n",
		    (long long)c->slots, (long long)c->threaddepth, (long long)c->dest_start);
		buf_printf(out, "concurrency = %lld\nbig = %lld\n", (long long)c->dest_max,
		    (long long)c->big);
		print_periods(out, "urgentbackoff", &c->backoff[0]);
		print_periods(out, "normalbackoff", &c->backoff[1]);
		print_periods(out, "nonurgentbackoff", &c->backoff[2]);
		print_periods(out, "notices", &c->notices);
		buf_printf(out, "relay = \"%s\"\nport = %lld\nsource = \"%s\"\nhelo = \"%s\"\nstopped = %s\n",
		    c->relay, (long long)c->port, c->source, c->helo, c->stopped ? "yes" : "no");
	}
	for (size_t i = 0; i < cs->nhost; i++)
		buf_printf(out, "\n[host %s]\nlmtp = %s\ntls = %s\n", cs->host[i].name,
		    cs->host[i].lmtp, tls[cs->host[i].tls]);
	for (size_t i = 0; i < cs->nroute; i++)
		buf_printf(out, "\n[route %s]\nchannel = %s\nrelay = \"%s\"\n", cs->route[i].domain,
		    cs->route[i].channel, cs->route[i].relay);
}

/* ---- lookups ----------------------------------------------------------------------------- */

const struct channel *
channels_find(const struct channels *c, struct slice name)
{
	for (size_t i = 0; i < c->nchannel; i++)
		if (slice_eq(name, slice_str(c->channel[i].name)))
			return &c->channel[i];
	return NULL;
}

const struct channel_host *
channels_host(const struct channels *c, struct slice name)
{
	for (size_t i = 0; i < c->nhost; i++)
		if (slice_ieq(name, slice_str(c->host[i].name)))
			return &c->host[i];
	return NULL;
}

static const struct channel_route *
route_is(const struct channels *c, struct slice domain)
{
	for (size_t i = 0; i < c->nroute; i++)
		if (slice_ieq(domain, slice_str(c->route[i].domain)))
			return &c->route[i];
	return NULL;
}

/* "*.x.example" names the subdomains of `domain`'s tail x.example. */
static const struct channel_route *
route_star(const struct channels *c, struct slice tail)
{
	for (size_t i = 0; i < c->nroute; i++) {
		struct slice d = slice_str(c->route[i].domain);

		if (slice_starts(d, S("*.")) && slice_ieq(slice_from(d, 2), tail))
			return &c->route[i];
	}
	return NULL;
}

const struct channel_route *
channels_route(const struct channels *c, struct slice domain)
{
	const struct channel_route *r = route_is(c, domain);
	struct slice tail = domain, label;

	while (r == NULL && slice_cut(&tail, '.', &label) && tail.n)
		r = route_star(c, tail);
	return r ? r : route_is(c, S("*"));
}
