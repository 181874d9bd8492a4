/* channels.c: channels.conf and mta.cnf read, checked and written: see channels.h.
 *
 * Called by jobctl, channel-master and smtp-relay, at start and at each reload.  The file goes
 * through conf.c into raw structs, and from there, checked, into structs of their own, so that a
 * daemon can keep an old set while a new one is being read; the caller owns a set and frees it.
 * Mistakes come in words with file and line, and there is no set then.  Must stay true: whatever
 * the file says, there are tcp_lmtp and tcp_local, the two ways that lib/route knows by itself. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/mem.h"
#include "conf/form.h"
#include "conf/value.h"
#include "mta/channels-impl.h"

/* A [channel] as it stands in the file. */
struct raw_channel {
	struct channel c;
	int protocol; /* with `auto` before the others */
	char **backoff, **urgent, **normal, **nonurgent, **notices;
	char **window[3];
	char *rate, *rate_total;
};

static struct raw_channel **raw_channels;
static struct channel_host **raw_hosts;
static struct channel_route **raw_routes;

#define AT(type, member) ((void *)offsetof(type, member))

/* clang-format off */
static const struct conf_key channel_keys[] = {
	{ "protocol", CONF_ENUM, AT(struct raw_channel, protocol), "auto", 0, 0, RELOAD,
	    "auto|lmtp|smtp|reprocess|process|hold|bitbucket|defragment|conversion|pipe",
	    "What becomes of its mail; auto is LMTP for tcp_lmtp, the name where that is one, else SMTP." },
	{ "tls", CONF_ENUM, AT(struct raw_channel, c.tls), "may", 0, 0, RELOAD, "off|may|must",
	    "Whether STARTTLS is used: never, when offered, or demanded." },
	{ "xforward", CONF_BOOL, AT(struct raw_channel, c.xforward), "no", 0, 0, RELOAD, NULL,
	    "Whether servers that offer XFORWARD, content filters, are told who gave us the message." },
	{ "pool", CONF_STR, AT(struct raw_channel, c.pool), "", 0, 0, RELOAD, NULL,
	    "Pool of jobctl.conf that its processes count in; empty is DEFAULT." },
	{ "maxjobs", CONF_INT, AT(struct raw_channel, c.maxjobs), "2", 1, 1000, RELOAD, NULL,
	    "Most channel-master processes at a time." },
	{ "minjobs", CONF_INT, AT(struct raw_channel, c.minjobs), "0", 0, 1000, RELOAD, NULL,
	    "channel-master processes that are kept running without work." },
	{ "idle_exit", CONF_TIME, AT(struct raw_channel, c.idle_exit), "0", 0, 86400000, RELOAD,
	    NULL, "How long a process stays without work; 0 is idle_exit of channel-master.conf." },
	{ "slots", CONF_INT, AT(struct raw_channel, c.slots), "16", 1, 1000, RELOAD, NULL,
	    "Messages that one process works on at a time." },
	{ "threaddepth", CONF_INT, AT(struct raw_channel, c.threaddepth), "128", 1, 1000000,
	    RELOAD, NULL, "Ready messages per process before another process is started." },
	{ "concurrency_start", CONF_INT, AT(struct raw_channel, c.dest_start), "0", 0, 10000,
	    RELOAD, NULL, "Messages at a time to a destination at first; 0 is 5, or for LMTP 16." },
	{ "concurrency", CONF_INT, AT(struct raw_channel, c.dest_max), "0", 0, 10000, RELOAD,
	    NULL, "Most messages at a time to one destination; 0 is 20, or for LMTP 64." },
	{ "rate", CONF_STR, AT(struct raw_channel, rate), "", 0, 0, RELOAD, NULL,
	    "N/TIME: most messages to one destination in that time; empty is any number." },
	{ "rate_total", CONF_STR, AT(struct raw_channel, rate_total), "", 0, 0, RELOAD, NULL,
	    "N/TIME: most messages of the channel in that time; empty is any number." },
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
	{ "urgentwindow", CONF_LIST, AT(struct raw_channel, window[0]), "", 0, 0, RELOAD, NULL,
	    "HH:MM-HH:MM: times of the day at which urgent messages are delivered; none: any." },
	{ "normalwindow", CONF_LIST, AT(struct raw_channel, window[1]), "", 0, 0, RELOAD, NULL,
	    "Times of the day at which normal messages are delivered." },
	{ "nonurgentwindow", CONF_LIST, AT(struct raw_channel, window[2]), "", 0, 0, RELOAD, NULL,
	    "Times of the day at which non-urgent messages are delivered." },
	{ "notices", CONF_LIST, AT(struct raw_channel, notices), "3d 6d 9d 12d", 0, 0, RELOAD, NULL,
	    "Ages at which a delay warning is sent; at the last the message is returned." },
	{ "relay", CONF_STR, AT(struct raw_channel, c.relay), "", 0, 0, RELOAD, "server",
	    "HOST:PORT to which everything of the channel goes; empty is none." },
	{ "port", CONF_INT, AT(struct raw_channel, c.port), "0", 0, 65535, RELOAD, NULL,
	    "Port to connect to; 0 is 25, or for LMTP 24." },
	{ "source", CONF_STR, AT(struct raw_channel, c.source), "", 0, 0, RELOAD, "ip",
	    "Local address to connect from; empty is any." },
	{ "helo", CONF_STR, AT(struct raw_channel, c.helo), "", 0, 0, RELOAD, "domain",
	    "Name given in EHLO and LHLO; empty is hostname." },
	{ "auth_user", CONF_STR, AT(struct raw_channel, c.auth_user), "", 0, 0, RELOAD, NULL,
	    "User name for AUTH at the relay; empty is no AUTH." },
	{ "auth_password", CONF_SECRET, AT(struct raw_channel, c.auth_password), "", 0, 0, RELOAD, NULL,
	    "Its password: the text, file:PATH or credential:NAME." },
	{ "cut_through", CONF_BOOL, AT(struct raw_channel, c.cut_through), "yes", 0, 0, RELOAD, NULL,
	    "Whether LMTP may deliver a message before the client is answered, past the queue." },
	{ "defragment", CONF_BOOL, AT(struct raw_channel, c.defragment), "no", 0, 0, RELOAD, NULL,
	    "Whether messages in pieces are put together before they go here." },
	{ "convert", CONF_BOOL, AT(struct raw_channel, c.convert), "no", 0, 0, RELOAD, NULL,
	    "Whether what goes here goes through the channel conversion first." },
	{ "users", CONF_LIST, AT(struct raw_channel, c.users), "", 0, 0, RELOAD, "domain",
	    "Domains whose users get programs and mailbox files by this channel; none: all." },
	{ "stopped", CONF_BOOL, AT(struct raw_channel, c.stopped), "no", 0, 0, RELOAD, NULL,
	    "Whether jobctl starts with this channel stopped." },
};
/* clang-format on */

static const struct conf_key host_keys[] = {
	{ "lmtp", CONF_STR, AT(struct channel_host, lmtp), NULL, 0, 0, RELOAD, "socket",
	    "Where its LMTP server listens: unix:/PATH or HOST:PORT." },
	{ "tls", CONF_ENUM, AT(struct channel_host, tls), "may", 0, 0, RELOAD, "off|may|must",
	    "Whether STARTTLS is used there." },
};

static const struct conf_key route_keys[] = {
	{ "channel", CONF_STR, AT(struct channel_route, channel), "tcp_local", 0, 0, RELOAD, NULL,
	    "The channel that mail for the domain goes through." },
	{ "relay", CONF_STR, AT(struct channel_route, relay), "", 0, 0, RELOAD, "server",
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
	{ "reply", sizeof(struct channel_reply), channels_reply_keys, CHANNELS_REPLY_KEYS,
	    (void ***)&channels_raw_replies, offsetof(struct channel_reply, name),
	    "What is done when a server says that." },
};

const struct conf_schema channels_schema = { NULL, 0, sections, NELEM(sections) };

/* ---- protocols ---------------------------------------------------------------------------- */

static const char *const protocols[CHANNEL_PROTOCOLS] = { [CHANNEL_LMTP] = "lmtp",
	[CHANNEL_SMTP] = "smtp",
	[CHANNEL_REPROCESS] = "reprocess",
	[CHANNEL_PROCESS] = "process",
	[CHANNEL_HOLD] = "hold",
	[CHANNEL_BITBUCKET] = "bitbucket",
	[CHANNEL_DEFRAGMENT] = "defragment",
	[CHANNEL_CONVERSION] = "conversion",
	[CHANNEL_PIPE] = "pipe" };

const char *
channels_protocol_word(int protocol)
{
	return protocols[protocol];
}

/* The number of a key's word, with `auto` in front. */
static int
protocol_of(int word, const char *name)
{
	if (word > 0)
		return word - 1;
	for (int i = CHANNEL_REPROCESS; i < CHANNEL_PROTOCOLS; i++)
		if (strcmp(name, protocols[i]) == 0)
			return i;
	return strcmp(name, "tcp_lmtp") == 0 ? CHANNEL_LMTP : CHANNEL_SMTP;
}

/* ---- periods --------------------------------------------------------------------------- */

uint32_t
channels_periods_get(const struct mta_times *p, uint32_t n)
{
	return p->s[n < p->n ? n : p->n - 1];
}

static void
add_period(struct mta_times *p, struct slice word, const char *where, const char *key,
    struct buf *why)
{
	if (p->n == MTA_TIMES_MAX)
		buf_printf(why, "%s: %s: at most %d times\n", where, key, MTA_TIMES_MAX);
	else if (mta_period_parse(word, &p->s[p->n]) < 0)
		buf_printf(why, "%s: %s: " SFMT " is no time (30m, 4h, 3d, PT30M)\n", where, key,
		    SARG(word));
	else
		p->n++;
}

/* From the words of the file or, when there are none, of `dflt`. */
static void
parse_periods(struct mta_times *p, char *const *words, const char *dflt, const char *where,
    const char *key, struct buf *why)
{
	struct slice rest = slice_str(words && *words ? "" : dflt), word;

	p->n = 0;
	for (; words && *words; words++)
		add_period(p, slice_str(*words), where, key, why);
	while (slice_word(&rest, &word))
		add_period(p, word, where, key, why);
}

/* ---- from raw to checked ----------------------------------------------------------------- */

static const char *
backoff_default(const struct channel *c, int prio)
{
	/* Sun's, in minutes 30,60,60,120,120,120,240 and its doubles.  A host of our own data tier
	 * comes back after a restart, not after a day: LMTP is quick at first. */
	static const char *const smtp[] = { "30m 1h 1h 2h 2h 2h 4h", "1h 2h 2h 4h 4h 4h 8h",
		"2h 4h 4h 8h 8h 8h 16h" };

	return c->protocol != CHANNEL_SMTP ? "5s 10s 30s 1m 5m 15m 30m 1h" : smtp[prio];
}

static void
set_periods(struct channel *c, const struct raw_channel *r, struct buf *why)
{
	static const char *const keys[] = { "urgentbackoff", "normalbackoff", "nonurgentbackoff" };
	char **const *const lists[] = { &r->urgent, &r->normal, &r->nonurgent };
	struct buf again = { 0 }; /* what is wrong with `backoff` is said once */
	bool said = false;

	for (int i = 0; i < 3; i++) {
		bool own = *lists[i] && **lists[i];

		parse_periods(&c->backoff[i], own ? *lists[i] : r->backoff, backoff_default(c, i),
		    conf_where(own ? (const void *)lists[i] : &r->backoff),
		    own ? keys[i] : "backoff", own || !said ? why : &again);
		said |= !own;
	}
	buf_fini(&again);
	parse_periods(&c->notices, r->notices, "3d 6d 9d 12d", conf_where(&r->notices), "notices",
	    why);
	for (uint32_t i = 1; i < c->notices.n; i++)
		if (c->notices.s[i] <= c->notices.s[i - 1]) {
			buf_printf(why, "%s: notices: each must be later than the one before\n",
			    conf_where(&r->notices));
			return;
		}
}

bool
channels_name_ok(struct slice name)
{
	size_t n = 0;

	while (
	    n < name.n && name.p[n] && strchr("abcdefghijklmnopqrstuvwxyz0123456789_-", name.p[n]))
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
	c->pool = mem_str(r->c.pool);
	c->relay = mem_str(r->c.relay);
	c->source = mem_str(r->c.source);
	c->helo = mem_str(r->c.helo);
	c->users = channels_users_copy(r->c.users);
	if (!channels_name_ok(slice_str(c->name)))
		buf_printf(why,
		    "%s: [channel %s]: a name is 1 to %d of a-z 0-9 _ -, not tmp or pool\n",
		    conf_where(&r->c.maxjobs), c->name, CHANNEL_NAME_MAX);
	c->protocol = protocol_of(r->protocol, c->name);
	channels_auth_set(c, &r->c, why);
	lmtp = c->protocol == CHANNEL_LMTP;
	if (c->protocol == CHANNEL_DEFRAGMENT) { /* one process knows all pieces */
		c->maxjobs = 1;
		c->minjobs = c->minjobs > 1 ? 1 : c->minjobs;
	}
	if (c->minjobs > c->maxjobs)
		buf_printf(why, "%s: minjobs = %lld: more than maxjobs, which is %lld\n",
		    conf_where(&r->c.minjobs), (long long)c->minjobs, (long long)c->maxjobs);
	if (c->dest_max == 0)
		c->dest_max = lmtp ? 64 : 20;
	if (c->dest_start == 0)
		c->dest_start = lmtp ? 16 : 5;
	if (r->c.dest_start > c->dest_max)
		buf_printf(why,
		    "%s: concurrency_start = %lld: more than concurrency, which is %lld\n",
		    conf_where(&r->c.dest_start), (long long)r->c.dest_start,
		    (long long)c->dest_max);
	if (c->dest_start > c->dest_max)
		c->dest_start = c->dest_max;
	if (c->port == 0)
		c->port = lmtp ? 24 : 25;
	set_periods(c, r, why);
	for (int i = 0; i < 3; i++)
		channels_window_set(&c->window[i], r->window[i], i, conf_where(&r->window[i]), why);
	channels_rate_set(&c->rate, r->rate, conf_where(&r->rate), "rate", why);
	channels_rate_set(&c->rate_total, r->rate_total, conf_where(&r->rate_total), "rate_total",
	    why);
}

/* A channel that the file does not mention: every key at its default. */
static void
add_default(struct channels *cs, const char *name, int protocol, struct buf *why)
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
	r.protocol = protocol + 1;
	add_channel(cs, &r, why);
	for (size_t i = 0; i < NELEM(channel_keys); i++) {
		conf_value_store(&channel_keys[i], (char *)&r + (uintptr_t)channel_keys[i].field,
		    (struct conf_value){ 0 }, &old);
		conf_value_free(&old);
	}
	mem_free(&r.c.name);
}

static void
add_hosts(struct channels *cs, struct buf *why)
{
	for (struct channel_host **h = raw_hosts; h && *h; h++) {
		const char *like = conf_form_check("domain", slice_str((*h)->name));

		if (like)
			buf_printf(why, "%s: [host %s]: %s\n", conf_where(&(*h)->lmtp), (*h)->name,
			    like);
		cs->host[cs->nhost++] =
		    (struct channel_host){ mem_str((*h)->name), mem_str((*h)->lmtp), (*h)->tls };
	}
}

static bool
route_detours(const struct channels *cs, const char *name)
{
	const struct channel *c = channels_find(cs, slice_str(name));

	return c && channel_detours(c);
}

static void
add_routes(struct channels *cs, struct buf *why)
{
	const char *like;

	for (struct channel_route **r = raw_routes; r && *r; r++) {
		if (cs->rules)
			buf_printf(why,
			    "%s: [route %s]: mta.cnf says where mail goes: say it there\n",
			    conf_where(&(*r)->channel), (*r)->domain);
		cs->route[cs->nroute++] = (struct channel_route){ mem_str((*r)->domain),
			mem_str((*r)->channel), mem_str((*r)->relay) };
		if (!channels_find(cs, slice_str((*r)->channel)))
			buf_printf(why, "%s: [route %s] channel: there is no channel %s\n",
			    conf_where(&(*r)->channel), (*r)->domain, (*r)->channel);
		if (channels_pipes(cs, (*r)->channel))
			buf_printf(why,
			    "%s: [route %s] channel: the directory and the alias file alone lead "
			    "to %s\n",
			    conf_where(&(*r)->channel), (*r)->domain, (*r)->channel);
		if (route_detours(cs, (*r)->channel))
			buf_printf(why,
			    "%s: [route %s] channel: mail comes to %s on its way to others alone\n",
			    conf_where(&(*r)->channel), (*r)->domain, (*r)->channel);
		like = conf_form_check("pattern", slice_str((*r)->domain));
		if (like)
			buf_printf(why, "%s: [route %s]: %s\n", conf_where(&(*r)->channel),
			    (*r)->domain, like);
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

/* What a channel of mta.cnf says of itself, in the place of defaults. */
static void
apply_keywords(struct channel *c, const struct mta_channel *m, struct buf *why)
{
	char where[300];

	if (m->maxjobs > 0)
		c->maxjobs = m->maxjobs;
	if (m->pool) {
		free(c->pool);
		c->pool = mem_str(m->pool);
	}
	if (m->threaddepth > 0 || m->filesperjob > 0)
		c->threaddepth = m->threaddepth > 0 ? m->threaddepth : m->filesperjob;
	if (m->tls_client >= 0)
		c->tls = m->tls_client; /* MTA_NEED_ and CHANNEL_TLS_ are in one order */
	if (m->port > 0)
		c->port = m->port;
	c->defragment = m->defragment > 0;
	if (m->daemon) {
		free(c->relay);
		c->relay = mem_printf("%s:%lld", m->daemon, (long long)c->port);
	}
	if (m->interface) {
		free(c->source);
		c->source = mem_str(m->interface);
	}
	for (int i = 0; i < 3; i++)
		if (m->backoff[i].n || m->backoff[3].n)
			c->backoff[i] = m->backoff[i].n ? m->backoff[i] : m->backoff[3];
	if (m->notices.n)
		c->notices = m->notices;
	(void)snprintf(where, sizeof(where), "%s:%d", m->file, m->line);
	channels_rate_set(&c->rate, m->rate ? m->rate : "", where, "rate", why);
	channels_rate_set(&c->rate_total, m->rate_total ? m->rate_total : "", where, "ratetotal",
	    why);
}

/* Channels of mta.cnf that have a protocol, and no section of their own. */
static void
add_blocks(struct channels *cs, struct buf *why)
{
	const struct mta_channel *m;

	for (size_t i = 0; cs->rules && (m = mta_channel_at(cs->rules, i)); i++) {
		if (m->protocol <= MTA_PROTOCOL_NONE || m->ways == 2 ||
		    channels_find(cs, slice_str(m->name)))
			continue;
		cs->channel = mem_grow(cs->channel, cs->nchannel + 1 + CHANNEL_PROTOCOLS,
		    sizeof(*cs->channel));
		add_default(cs, m->name,
		    m->protocol == MTA_PROTOCOL_LMTP ? CHANNEL_LMTP : CHANNEL_SMTP, why);
		apply_keywords(&cs->channel[cs->nchannel - 1], m, why);
	}
}

static struct channels *
channels_build(const char *path, struct buf *why)
{
	struct channels *cs = mem_new(sizeof(*cs));

	channels_rules_read(cs, path, why);
	cs->channel =
	    mem_array(count((void **)raw_channels) + CHANNEL_PROTOCOLS, sizeof(*cs->channel));
	cs->host = mem_array(count((void **)raw_hosts) + 1, sizeof(*cs->host));
	cs->route = mem_array(count((void **)raw_routes) + 1, sizeof(*cs->route));
	cs->reply = mem_array(count((void **)channels_raw_replies) + 1, sizeof(*cs->reply));
	for (struct raw_channel **r = raw_channels; r && *r; r++)
		add_channel(cs, *r, why);
	add_blocks(cs, why);
	if (!channels_find(cs, S("tcp_lmtp")))
		add_default(cs, "tcp_lmtp", CHANNEL_LMTP, why);
	if (!channels_find(cs, S("tcp_local")))
		add_default(cs, "tcp_local", CHANNEL_SMTP, why);
	for (int i = CHANNEL_REPROCESS; i <= CHANNEL_DEFRAGMENT; i++)
		if (!channels_find(cs, slice_str(protocols[i])))
			add_default(cs, protocols[i], i, why);
	if (cs->conversions && !channels_find(cs, S("conversion")))
		add_default(cs, "conversion", CHANNEL_CONVERSION, why);
	add_hosts(cs, why);
	add_routes(cs, why);
	channels_replies_add(cs, why);
	if (!cs->rules && why->n == 0)
		channels_rules_make(cs, why);
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
	conf_unread_secrets(true);
	e = conf_read(&schema, 1, NULL,
	    path && access(path, F_OK) < 0 && errno == ENOENT ? NULL : path, false, why);
	conf_unread_secrets(false);
	if (e < 0)
		return e;
	mem_free(why);
	*out = channels_build(path, &errors);
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

	if (!c)
		return;
	for (size_t i = 0; i < c->nchannel; i++) {
		free(c->channel[i].name);
		free(c->channel[i].pool);
		free(c->channel[i].relay);
		free(c->channel[i].source);
		free(c->channel[i].helo);
		channels_auth_free(&c->channel[i]);
		channels_users_free(c->channel[i].users);
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
	channels_replies_free(c);
	free(c->channel);
	free(c->host);
	free(c->route);
	mta_conf_free(&c->rules);
	mta_mappings_free(&c->mappings);
	mta_general_free(&c->general);
	mta_aliases_free(&c->aliases);
	mta_conversions_free(&c->conversions);
	mem_free(cp);
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

bool
channels_reverse(const struct channels *c, const char *channel)
{
	const struct mta_channel *named =
	    c->made ? NULL : mta_channel_named(c->rules, slice_str(channel));

	return named && named->reverse > 0;
}
