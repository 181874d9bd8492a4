/* channels.conf: defaults, Sun's periods, routes from special to general, errors. */
#include "../tap.h"
#include <unistd.h>
#include "conf/channels.h"

static char path[] = "/tmp/tmt-channels-XXXXXX";

static int
read_text(const char *text, struct channels **c, char **why)
{
	FILE *f = fopen(path, "w");

	fputs(text, f);
	fclose(f);
	return channels_read(path, c, why);
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
	ok(s->backoff[0].n == 7 && s->backoff[0].s[0] == 1800 && s->backoff[1].s[6] == 8 * 3600,
	    "Sun's backoff");
	eq(periods_get(&s->backoff[2], 100), 16 * 3600, "the last repeats");
	eq(periods_get(&s->notices, 3), 12 * 86400, "returned after 12 days");
	ok(channels_route(c, S("example.org")) == NULL, "no routes");
	channels_free(&c);
	ok(c == NULL, "freed");
}

static void
full(void)
{
	struct channels *c;
	struct buf b = { 0 };
	char *why = NULL;
	int e = read_text("[channel tcp_lmtp]\nmaxjobs = 3\n"
			  "[channel out-slow]\nprotocol = smtp\ntls = must\nbackoff = PT10M \"PT1H30M\" 2d\n"
			  "urgentbackoff = 1m\nnotices = P1D, P2DT12H\n"
			  "[host store1.example.org]\nlmtp = unix:/run/lmtpd.sock\n"
			  "[route example.com]\nchannel = out-slow\nrelay = 127.0.0.1:2525\n"
			  "[route *.example.com]\nchannel = tcp_local\n[route *]\nchannel = out-slow\n",
	    &c, &why);
	const struct channel *o;

	if (!ok(e == 0, "reads: %s", why ? why : ""))
		return;
	o = channels_find(c, S("out-slow"));
	ok(channels_find(c, S("tcp_lmtp"))->maxjobs == 3, "own values over defaults");
	eq(channels_find(c, S("tcp_lmtp"))->protocol, CHANNEL_LMTP, "still LMTP");
	ok(o && o->tls == CHANNEL_TLS_MUST, "tls");
	ok(o->backoff[1].n == 3 && o->backoff[1].s[0] == 600 && o->backoff[1].s[1] == 5400 &&
	    o->backoff[1].s[2] == 172800, "periods of both kinds");
	ok(o->backoff[0].n == 1 && o->backoff[0].s[0] == 60, "one priority's own");
	eq(o->notices.s[1], 2 * 86400 + 12 * 3600, "notices");
	is(channels_host(c, S("STORE1.example.org"))->lmtp, "unix:/run/lmtpd.sock", "host");
	is(channels_route(c, S("Example.COM"))->relay, "127.0.0.1:2525", "the domain itself");
	is(channels_route(c, S("a.b.example.com"))->channel, "tcp_local", "a subdomain");
	is(channels_route(c, S("example.net"))->domain, "*", "everything else");
	channels_print(c, &b);
	ok(slice_find_str(buf_get(&b), S("normalbackoff = 600s 5400s 172800s")) < b.n, "prints");
	buf_fini(&b);
	channels_free(&c);
}

static void
errors(void)
{
	static const char *const bad[] = {
		"[channel x]\nmaxjob = 1\n", "[channel x]\nbackoff = soon\n",
		"[channel x]\nnotices = 3d 2d\n", "[channel tmp]\nmaxjobs = 1\n",
		"[route example.org]\nchannel = nowhere\n", "[channel Bad!]\nmaxjobs = 1\n",
		"[host x]\ntls = may\n", "[channel x]\nbackoff = 1m 1m 1m 1m 1m 1m 1m 1m 1m\n",
	};

	for (size_t i = 0; i < NELEM(bad); i++) {
		struct channels *c = NULL;
		char *why = NULL;

		int e = read_text(bad[i], &c, &why);

		ok(e < 0 && c == NULL && why && *why, "error %zu is refused", i);
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
		int e = periods_parse_one(slice_str(t[i].text), &s);

		ok(t[i].s ? e == 0 && s == t[i].s : e < 0, "period \"%s\" is %u", t[i].text, t[i].s);
	}
}

int
main(void)
{
	int fd = mkstemp(path);

	if (fd < 0)
		return 1;
	close(fd);
	defaults();
	full();
	errors();
	periods();
	unlink(path);
	return done();
}
