/* Lines of the log read back: whoever has carried them, whatever was in a value. */
#include "../tap.h"
#include "base/log.h"
#include "base/logline.h"

static struct buf b;

static const char *
get(const struct logline *l, const char *key)
{
	return logline_get(l, key, &b) ? buf_cstr(&b) : NULL;
}

static void
back(const char *text, size_t n)
{
	struct slice s = slice(text, n);

	buf_clear(&b);
	logline_value(&b, slice_str(log_value(s)));
	ok(slice_eq(buf_get(&b), s), "a value of %zu octets comes back", n);
}

static void
carried(const char *line, const char *ts, const char *host, const char *who)
{
	struct logline l;

	ok(logline_parse(slice_str(line), &l), "%s", line);
	ok(slice_eq(l.ts, slice_str(ts)) && slice_eq(l.host, slice_str(host)) &&
		slice_eq(l.who, slice_str(who)) && slice_eq(l.event, S("queued")),
	    "when, where, who and what");
	is(get(&l, "qid"), "abc", "and its fields");
}

int
main(void)
{
	static const char *const none[] = { "", "ts=1", "hello", "ts=1 lvl=info who=x", "ev=", "=",
		"ev", "x: y=1", "ts=1 EV=x", "ts=\"1 ev=x" };
	struct logline l;
	struct slice rest, k, v;
	char all[256];

	ok(logline_parse(S("ts=2026-11-22T08:20:01.123Z lvl=info who=smtp-relay[123] ev=rcpt sid=s "
			   "qid=q "
			   "to=\"a \\\"b\\\\\\x0d\\n ev=x\" empty= quoted=\"\" last=1"),
	       &l),
	    "a line");
	ok(slice_eq(l.ts, S("2026-11-22T08:20:01.123Z")) && slice_eq(l.level, S("info")) &&
		slice_eq(l.who, S("smtp-relay")) && slice_eq(l.event, S("rcpt")),
	    "its head");
	is(get(&l, "to"), "a \"b\\\r\n ev=x", "a quoted value");
	is(get(&l, "empty"), "", "an empty one");
	is(get(&l, "quoted"), "", "also in quotes");
	is(get(&l, "last"), "1", "the last one");
	ok(!get(&l, "ev") && !get(&l, "id") && b.n == 0, "what is not there");
	carried("ts=1 lvl=info who=mta[1] ev=queued qid=abc", "1", "", "mta");
	carried("Nov 30 08:20:01 mail mta[12]: ev=queued qid=abc", "Nov 30 08:20:01", "mail",
	    "mta");
	carried("2026-11-30T08:20:01.5+01:00 mail mta[12]: ev=queued qid=abc",
	    "2026-11-30T08:20:01.5+01:00", "mail", "mta");
	carried("Nov 30 08:20:01 mail mta[12]: ts=7 lvl=warn who=other[3] ev=queued qid=abc", "7",
	    "mail", "other");
	carried("ev=queued qid=abc", "", "", "");
	for (size_t i = 0; i < NELEM(none); i++)
		ok(!logline_parse(slice_str(none[i]), &l), "none: %s", none[i]);
	rest = S("a=1 b=\"open");
	ok(logline_next(&rest, &k, &v) && logline_next(&rest, &k, &v) && slice_eq(v, S("\"open")) &&
		!logline_next(&rest, &k, &v),
	    "a quote that is not closed ends with the line");
	buf_clear(&b);
	logline_value(&b, S("\"a\\x4"));
	is(buf_cstr(&b), "a\\x4", "half an escape stays");
	for (int i = 0; i < 256; i++)
		all[i] = (char)i;
	for (size_t n = 0; n <= 100; n += 20)
		for (size_t at = 0; at + n <= 256; at += 64)
			back(all + at, n);
	buf_fini(&b);
	return done();
}
