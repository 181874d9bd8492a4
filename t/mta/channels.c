/* channels.conf and mta.cnf: defaults, Sun's periods, routes from special to general, errors. */
#include "../tap.h"
#include "base/mem.h"
#include <unistd.h>
#include "mta/channels.h"

static char dir[] = "/tmp/tmt-channels-XXXXXX";

static void
put_file(const char *name, const char *text)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	if (!text) {
		unlink(path);
		return;
	}
	if (!(f = fopen(path, "w")))
		abort();
	fputs(text, f);
	fclose(f);
}

static int
read_text(const char *text, struct channels **c, char **why)
{
	char path[128];

	put_file("channels.conf", text);
	snprintf(path, sizeof(path), "%s/channels.conf", dir);
	return channels_read(path, c, why);
}

static enum mta_answer
local_domain(void *arg, struct slice domain)
{
	(void)arg;
	return slice_eq(domain, S("ours.test")) ? MTA_YES : MTA_NO;
}

/* "channel relay address" by the rules; "-" for no relay. */
static const char *
routed(const struct channels *c, const char *address)
{
	const struct mta_calls calls = { .local_domain = local_domain };
	const struct mta_query q = { .address = slice_str(address) };
	static struct buf got;
	struct mta_rewritten r;
	const struct mta_channel_host *h;

	mta_rewrite(c->rules, c->mappings, &calls, &q, &r);
	h = mta_host_find(c->rules, buf_get(&r.host));
	buf_clear(&got);
	buf_printf(&got, "%s %s " SFMT, r.channel ? r.channel->name : r.v.text,
	    h && h->via ? h->via : "-", SARG(buf_get(&r.address)));
	mta_rewritten_fini(&r);
	return buf_cstr(&got);
}

static void
defaults(void)
{
	const struct channel *l, *s;
	struct channels *c;
	char *why;

	eq(channels_read("/nonexistent/channels.conf", &c, &why), 0, "a missing file is fine");
	l = channels_find(c, S("tcp_lmtp"));
	s = channels_find(c, S("tcp_local"));
	ok(l && l->protocol == CHANNEL_LMTP && l->dest_max == 64 && l->port == 24, "tcp_lmtp");
	ok(s && s->protocol == CHANNEL_SMTP && s->dest_max == 20 && s->port == 25, "tcp_local");
	for (size_t i = CHANNEL_REPROCESS; i <= CHANNEL_DEFRAGMENT; i++) {
		const char *word = channels_protocol_word((int)i);
		const struct channel *k = channels_find(c, slice_str(word));

		ok(k && k->protocol == (int)i && k->backoff[1].s[0] == 5, "%s", word);
		eq(k && channel_detours(k), i == CHANNEL_DEFRAGMENT, "leads on to others, or not");
		eq(k && channel_expands(k), i < CHANNEL_BITBUCKET,
		    "expands its recipients, or not");
	}
	ok(!channels_find(c, S("pipe")) && !channels_pipes(c, "pipe"),
	    "no pipe unless it is named");
	ok(!channel_expands(l) && !channel_expands(s), "nor do those that deliver");
	ok(s->backoff[0].n == 7 && s->backoff[0].s[0] == 1800 && s->backoff[1].s[6] == 8 * 3600,
	    "Sun's backoff");
	eq(channels_periods_get(&s->backoff[2], 100), 16 * 3600, "the last repeats");
	eq(channels_periods_get(&s->notices, 3), 12 * 86400, "returned after 12 days");
	is(routed(c, "u@example.org"), "tcp_local - u@example.org", "no routes: the Internet");
	is(routed(c, "u@ours.test"), "directory - u@ours.test", "or the directory");
	is(routed(c, "u@[192.0.2.1]"), "tcp_local - u@[192.0.2.1]", "a literal");
	is(routed(c, "u%a@ours.test"), "directory - u%a@ours.test", "nothing is taken apart");
	is(routed(c, "\"a b\"@example.org"), "tcp_local - \"a b\"@example.org",
	    "a local part in quotes");
	channels_free(&c);
	ok(!c, "freed");
}

static void
full(void)
{
	struct channels *c;
	struct buf b = { 0 };
	char *why = NULL;
	int e =
	    read_text("[channel tcp_lmtp]\nmaxjobs = 3\n"
		      "[channel out-slow]\nprotocol = smtp\ntls = must\nbackoff = PT10M "
		      "\"PT1H30M\" 2d\n"
		      "urgentbackoff = 1m\nnotices = P1D, P2DT12H\n"
		      "[host store1.example.org]\nlmtp = unix:/run/lmtpd.sock\n"
		      "[channel dump]\nprotocol = bitbucket\n[channel hold]\nprotocol = smtp\n"
		      "[route example.com]\nchannel = out-slow\nrelay = 127.0.0.1:2525\n"
		      "[route *.example.com]\nchannel = tcp_local\n[route *]\nchannel = out-slow\n"
		      "relay = smart:25\n",
		&c, &why);
	const struct channel *o;

	if (!ok(e == 0, "reads: %s", why ? why : ""))
		return;
	o = channels_find(c, S("out-slow"));
	ok(channels_find(c, S("tcp_lmtp"))->maxjobs == 3, "own values over defaults");
	eq(channels_find(c, S("tcp_lmtp"))->protocol, CHANNEL_LMTP, "still LMTP");
	eq(channels_find(c, S("dump"))->protocol, CHANNEL_BITBUCKET, "by another name");
	eq(channels_find(c, S("hold"))->protocol, CHANNEL_SMTP, "a name that is none");
	ok(o && o->tls == CHANNEL_TLS_MUST, "tls");
	ok(o->backoff[1].n == 3 && o->backoff[1].s[0] == 600 && o->backoff[1].s[1] == 5400 &&
		o->backoff[1].s[2] == 172800,
	    "periods of both kinds");
	ok(o->backoff[0].n == 1 && o->backoff[0].s[0] == 60, "one priority's own");
	eq(o->notices.s[1], 2 * 86400 + 12 * 3600, "notices");
	is(channels_host(c, S("STORE1.example.org"))->lmtp, "unix:/run/lmtpd.sock", "host");
	is(routed(c, "u@Example.COM"), "out-slow 127.0.0.1:2525 u@Example.COM",
	    "the domain itself");
	is(routed(c, "u@a.b.example.com"), "tcp_local - u@a.b.example.com", "a subdomain");
	is(routed(c, "u@ours.test"), "directory - u@ours.test", "the directory before *");
	is(routed(c, "u@example.net"), "out-slow smart:25 u@example.net", "everything else");
	is(routed(c, "u@[192.0.2.1]"), "out-slow smart:25 u@[192.0.2.1]", "literals too");
	channels_print(c, &b);
	ok(slice_find_str(buf_get(&b), S("normalbackoff = 600s 5400s 172800s")) < b.n, "prints");
	buf_fini(&b);
	channels_free(&c);
}

static void
errors(void)
{
	/* clang-format off */
	static const char *const bad[] = {
		"[channel x]\nmaxjob = 1\n", "[channel x]\nbackoff = soon\n",
		"[channel x]\nnotices = 3d 2d\n", "[channel tmp]\nmaxjobs = 1\n",
		"[route example.org]\nchannel = nowhere\n", "[channel Bad!]\nmaxjobs = 1\n",
		"[host x]\ntls = may\n", "[channel x]\nbackoff = 1m 1m 1m 1m 1m 1m 1m 1m 1m\n",
	};
	/* clang-format on */

	for (size_t i = 0; i < NELEM(bad); i++) {
		struct channels *c = NULL;
		char *why = NULL;

		int e = read_text(bad[i], &c, &why);

		ok(e < 0 && !c && why && *why, "error %zu is refused", i);
		printf("# %s", why ? why : "(nothing said)\n");
		free(why);
	}
}

static void
periods(void)
{
	static const struct {
		const char *text;
		uint32_t s;
	} t[] = { { "PT30M", 1800 }, { "P3D", 259200 }, { "pt1h30m", 5400 }, { "P1W", 604800 },
		{ "P1DT1S", 86401 }, { "90s", 90 }, { "2h", 7200 }, { "P", 0 }, { "PT", 0 },
		{ "P1M", 0 }, { "PT1D", 0 }, { "PT1M1H", 0 }, { "PT99999999999999H", 0 }, { "", 0 },
		{ "0s", 0 }, { "5", 0 } };

	for (size_t i = 0; i < NELEM(t); i++) {
		uint32_t s = 0;
		int e = mta_period_parse(slice_str(t[i].text), &s);

		ok(t[i].s ? e == 0 && s == t[i].s : e < 0, "period \"%s\" is %u", t[i].text,
		    t[i].s);
	}
}

/* Words of a channel block, without mta.cnf around them. */
static bool
keywords_said(struct mta_channel *c, const char *words)
{
	struct slice rest = slice_str(words), word;
	struct arena a = { 0 };
	const char *why;
	bool good = true;

	mta_channel_init(c);
	while (good && slice_word(&rest, &word)) {
		const struct mta_keyword *k = mta_keyword_find(word);

		good = k && mta_keyword_apply(c, k, &rest, &a, &why) == 0;
	}
	arena_reset(&a);
	return good;
}

static void
keywords(void)
{
	struct mta_channel c;

	ok(keywords_said(&c,
	       "sourcefilter /a nosourcefilter destinationfilter /b nochannelfilter "
	       "linelimit 5 nolinelimit") &&
		!c.sourcefilter && !c.destinationfilter && c.linelimit == -1,
	    "what defaults say is taken back");
	ok(keywords_said(&c,
	       "urgentnotices 1 2 3 ipbackoff \"PT5M\" 1h destinationspamfilter1 "
	       "nonurgentnotices 5 maxjobs 4") &&
		c.maxjobs == 4,
	    "what has no effect takes its own arguments, and no more");
}

/* mta.cnf beside it: its channels and its rules. */
static void
rules(void)
{
	struct channels *c = NULL;
	char *why = NULL;
	const struct channel *p;
	int e;

	put_file("mta.cnf",
	    "partner.test $U%$D@p-daemon\nvia.test $U@$D@hub.test@p-daemon\n"
	    "map.test $U%${MAP,$D}@p-daemon\nkey.test $U%$(key)@p-daemon\n"
	    ". $U%$H$V$H@l.test\n. $U%$H@world.test\n\n"
	    "l\nl.test\n\n"
	    "tcp_partner smtp daemon relay.test port 2525 maxjobs 3 musttlsclient notices 1 2 "
	    "backoff 1m 2m urgentbackoff 30s interfaceaddress 192.0.2.9 "
	    "pool SMALL rate 600/1h ratetotal 5/10s\np-daemon\n\n"
	    "tcp_local smtp maxjobs 9\nworld.test\nby.test by.test [192.0.2.3]:26\n\n"
	    "hold\nhold-daemon\n");
	put_file("mappings", "MAP\n\n  map.*  $Ymapped.$0\n");
	put_file("general", "key  found.test\n");
	e = read_text("[channel tcp_local]\nmaxjobs = 5\n", &c, &why);
	if (!ok(e == 0, "reads: %s", why ? why : ""))
		return;
	p = channels_find(c, S("tcp_partner"));
	ok(p && p->protocol == CHANNEL_SMTP && p->maxjobs == 3 && p->port == 2525,
	    "a channel of mta.cnf");
	is(p->relay, "relay.test:2525", "daemon and port are its relay");
	is(p->source, "192.0.2.9", "interfaceaddress");
	eq(p->tls, CHANNEL_TLS_MUST, "musttlsclient");
	ok(p->backoff[0].s[0] == 30 && p->backoff[1].s[1] == 120 && p->notices.n == 2, "times");
	is(p->pool, "SMALL", "pool");
	ok(p->rate.n == 600 && p->rate.per == 3600 && p->rate_total.n == 5 &&
		p->rate_total.per == 10,
	    "rates");
	eq(p->slots, 16, "the rest is default");
	eq(channels_find(c, S("tcp_local"))->maxjobs, 5, "a section of that name wins");
	eq(channels_find(c, S("hold"))->protocol, CHANNEL_HOLD, "a name that says it all");
	ok(!channels_find(c, S("l")), "who speaks nothing is no way out");
	ok(channels_find(c, S("tcp_lmtp")), "tcp_lmtp is there all the same");
	is(routed(c, "u@partner.test"), "tcp_partner - u@partner.test", "a rule");
	is(routed(c, "u@via.test"), "tcp_partner - @hub.test:u@via.test", "a route");
	is(routed(c, "u@map.test"), "tcp_partner - u@mapped.test", "a mapping");
	is(routed(c, "u@ours.test"), "l - u@ours.test", "this host");
	is(routed(c, "u@by.test"), "tcp_local [192.0.2.3]:26 u@by.test", "a host name with a way");
	channels_free(&c);
	e = read_text("[route x.test]\nchannel = tcp_local\n", &c, &why);
	ok(e < 0 && strstr(why, "[route x.test]: mta.cnf says where mail goes"),
	    "a route beside it: %s", why);
	free(why);
	put_file("mta.cnf", ". $U%$H@x\n\nl\nx\n\nout smtp ratetotal fast\nout-daemon\n");
	e = read_text("", &c, &why);
	ok(e < 0 && strstr(why, "/mta.cnf:6: ratetotal = fast: is no rate"), "no rate: %s", why);
	free(why);
	put_file("mta.cnf", "a $Y@x\n\nl\nx\n");
	e = read_text("", &c, &why);
	ok(e < 0 && strstr(why, "/mta.cnf:1: template"), "a mistake in it: %s", why);
	free(why);
	put_file("mta.cnf", ". $U%$H@x\n\nl\nx\n");
	put_file("mappings", "MAP\n  x y\n");
	e = read_text("", &c, &why);
	ok(e < 0 && strstr(why, "/mappings:2: "), "a mistake in mappings: %s", why);
	free(why);
	put_file("mta.cnf", NULL);
	put_file("mappings", NULL);
	put_file("general", NULL);
}

static void
replies(void)
{
	struct channels *c;
	char *why;
	static const struct {
		const char *channel, *text, *name;
		unsigned code;
	} said[] = {
		{ "tcp_local", "[TSS04] messages deferred", "busy", 421 },
		{ "tcp_local", "[TSS04] messages deferred", "any", 451 },
		{ "tcp_lmtp", "[TSS04] messages deferred", NULL, 451 },
		{ "tcp_lmtp", "[TSS04] messages deferred", "busy", 421 },
		{ "tcp_local", "", "any", 450 },
		{ "tcp_local", "aXbYab", "ends", 554 },
		{ "tcp_local", "aXbYa", NULL, 554 },
	};

	eq(read_text("[reply busy]\ncode = 421\ntext = *tss04*\nsuspend = 2h\n"
		     "[reply any]\nchannel = tcp_lo*\ncode = 45\nsuspend = 30s\n"
		     "[reply ends]\ntext = a*b*ab\nsuspend = 1m\n",
	       &c, &why),
	    0, "rules for replies");
	for (size_t i = 0; i < NELEM(said); i++) {
		const struct channel_reply *r =
		    channels_reply(c, said[i].channel, said[i].code, slice_str(said[i].text));

		is(r ? r->name : "none", said[i].name ? said[i].name : "none", "%u %s",
		    said[i].code, said[i].text);
	}
	eq(c->reply[0].suspend, 7200000, "for two hours");
	channels_free(&c);
	ok(read_text("[reply x]\ncode = 250\nsuspend = 1h\n", &c, &why) < 0 &&
		strstr(why, "is no code of a refusal"),
	    "a good answer has no rule");
	mem_free(&why);
	ok(read_text("[reply x]\ntext = y\n", &c, &why) < 0 && strstr(why, "suspend"),
	    "a rule says for how long");
	mem_free(&why);
	ok(read_text("[channel tcp_local]\nrate = 5\nrate_total = 0/1h\n", &c, &why) < 0 &&
		strstr(why, "rate = 5: is no rate") && strstr(why, "rate_total = 0/1h: is no rate"),
	    "rates are numbers in a time");
	mem_free(&why);
}

/* A login is for one relay that is named, under TLS; its password stays what stands in the file. */
static void
logins(void)
{
#define LOGIN "[channel tcp_x]\nauth_user = u\n"
	static const struct {
		const char *text, *lack;
	} wrong[] = {
		{ LOGIN "auth_password = p\ntls = must\n", "it needs relay" },
		{ LOGIN "auth_password = p\nrelay = h:587\n", "it needs tls = must" },
		{ LOGIN "auth_password = p\nrelay = h:587\ntls = may\n", "it needs tls = must" },
		{ LOGIN "relay = h:587\ntls = must\n", "it needs auth_password" },
		{ LOGIN "auth_password = p\nrelay = h:24\ntls = must\nprotocol = lmtp\n",
		    "a channel of SMTP" },
		{ "[channel tcp_x]\nauth_password = p\n", "there is no auth_user" },
	};
	struct channels *c;
	const struct channel *x;
	struct buf out = { 0 };
	char *why;

	for (size_t i = 0; i < NELEM(wrong); i++) {
		ok(read_text(wrong[i].text, &c, &why) < 0 && strstr(why, wrong[i].lack), "%s",
		    wrong[i].lack);
		ok(why && !strstr(why, "= p"), "the password is not said");
		mem_free(&why);
	}
	if (!ok(read_text(LOGIN "auth_password = file:/nonexistent/p\nrelay = h:587\ntls = must\n",
		    &c, &why) == 0,
		"a login, whose password others than channel-master do not read"))
		return;
	x = channels_find(c, S("tcp_x"));
	is(x->auth_user, "u", "its user");
	is(x->auth_password, "file:/nonexistent/p", "its file");
	is(channels_find(c, S("tcp_local"))->auth_user, "", "and nobody else's");
	channels_print(c, &out);
	ok(strstr(buf_cstr(&out), "auth_user = \"u\"\nauth_password = (secret)\n"), "is hidden");
	ok(!strstr(buf_cstr(&out), "nonexistent"), "its file, too");
	buf_fini(&out);
	channels_free(&c);
}

int
main(void)
{
	if (!mkdtemp(dir))
		return 1;
	defaults();
	full();
	errors();
	periods();
	keywords();
	replies();
	logins();
	rules();
	put_file("channels.conf", NULL);
	rmdir(dir);
	return done();
}
