/* Access tables: the probes as documented, and what an answer's flags and arguments mean. */
#include "mta/access.h"
#include "../tap.h"

static const char *
probe(enum mta_access_table t, const struct mta_access_probe *p)
{
	static struct buf b;

	buf_clear(&b);
	mta_access_probe_write(&b, t, p);
	return buf_cstr(&b);
}

static struct mta_access_probe
some(void)
{
	return (struct mta_access_probe){ .port = S("TCP|192.0.2.1|25|198.51.100.7|4711"),
		.helo = S("client.test"),
		.source = S("tcp_local"),
		.from = S("a@b.test"),
		.dest = S("tcp_lmtp"),
		.to = S("c@d.test"),
		.auth = S("u@d.test"),
		.header_sender = S("s@d.test"),
		.header_from = S("f@d.test"),
		.file = S("/q/ZZ1.00"),
		.parameter = S("x"),
		.priority = S("normal"),
		.domain = S("d.test"),
		.queued_at = 1234 };
}

static void
probes(void)
{
	struct mta_access_probe p = some();

	is(probe(MTA_ACCESS_FROM, &p),
	    "TCP|192.0.2.1|25|198.51.100.7|4711|SMTP/client.test|MAIL|tcp_local|a@b.test|u@d.test",
	    "FROM_ACCESS");
	is(probe(MTA_ACCESS_SEND, &p), "tcp_local|a@b.test|tcp_lmtp|c@d.test", "SEND_ACCESS");
	is(probe(MTA_ACCESS_ORIG_SEND, &p), "tcp_local|a@b.test|tcp_lmtp|c@d.test",
	    "ORIG_SEND_ACCESS");
	is(probe(MTA_ACCESS_ORIG_MAIL, &p), probe(MTA_ACCESS_MAIL, &p), "ORIG_MAIL_ACCESS");
	is(probe(MTA_ACCESS_MAIL, &p),
	    "TCP|192.0.2.1|25|198.51.100.7|4711|SMTP/"
	    "client.test|MAIL|tcp_local|a@b.test|tcp_lmtp|c@d.test",
	    "MAIL_ACCESS");
	is(probe(MTA_ACCESS_AUTH, &p), "a@b.test|s@d.test|f@d.test|u@d.test", "AUTH_REWRITE");
	is(probe(MTA_ACCESS_DEQUEUE, &p),
	    "tcp_local|/q/ZZ1.00|1234|a@b.test|x|u@d.test|normal|d.test", "DEQUEUE_ACCESS");
	p.port = S("");
	is(probe(MTA_ACCESS_MAIL, &p), "|||||||tcp_local|a@b.test|tcp_lmtp|c@d.test",
	    "not by TCP: seven fields are empty, and the bars stay");
	p.from = S("");
	is(probe(MTA_ACCESS_SEND, &p), "tcp_local||tcp_lmtp|c@d.test", "the null sender");
	p.from = S("x|tcp_y@b.test");
	is(probe(MTA_ACCESS_SEND, &p), "tcp_local|x%7Ctcp_y@b.test|tcp_lmtp|c@d.test",
	    "a bar in an address makes no field");
	is(probe(MTA_ACCESS_AUTH, &p), "x%7Ctcp_y@b.test|s@d.test|f@d.test|u@d.test",
	    "nor in the first field");
	p.port = some().port;
	p.helo = S("h|MAIL|tcp_submit");
	is(probe(MTA_ACCESS_FROM, &p),
	    "TCP|192.0.2.1|25|198.51.100.7|4711|SMTP/h%7CMAIL%7Ctcp_submit|MAIL|tcp_local|"
	    "x%7Ctcp_y@b.test|u@d.test",
	    "nor in the name of EHLO");
	p.helo = S("");
	is(probe(MTA_ACCESS_FROM, &p),
	    "TCP|192.0.2.1|25|198.51.100.7|4711|SMTP|MAIL|tcp_local|x%7Ctcp_y@b.test|u@d.test",
	    "no EHLO");
}

/* An answer with these flags and this text, decoded. */
static struct mta_access
decoded(const char *table, const char *flags, const char *text)
{
	static struct mta_mapped m;
	struct mta_access a;

	buf_fini(&m.text);
	m = (struct mta_mapped){ 0 };
	buf_str(&m.text, text);
	for (; *flags; flags++)
		mta_flags_add(&m.flags, *flags);
	mta_access_decode(slice_str(table), &m, &a);
	return a;
}

static void
actions(void)
{
	static const struct {
		const char *table, *flags, *what;
	} rows[] = { { "SEND_ACCESS", "Y", "allow" }, { "SEND_ACCESS", "N", "reject" },
		{ "MAIL_ACCESS", "F", "reject" }, { "SEND_ACCESS", "H", "hold" },
		{ "SEND_ACCESS", "B", "bitbucket" }, { "SEND_ACCESS", "V", "discard" },
		{ "FROM_ACCESS", "Z", "jettison" }, { "FROM_ACCESS", "NH", "reject" },
		{ "FROM_ACCESS", "", "none" }, { "PORT_ACCESS", "N", "close" },
		{ "PORT_ACCESS", "Y", "accept" }, { "AUTH_REWRITE", "N", "reject" },
		{ "auth_rewrite", "YZ", "none" }, { "DEQUEUE_ACCESS", "N", "later" },
		{ "DEQUEUE_ACCESS", "S", "none" } };

	for (size_t i = 0; i < NELEM(rows); i++)
		is(mta_access_name(decoded(rows[i].table, rows[i].flags, "").action), rows[i].what,
		    "%s $%s", rows[i].table, rows[i].flags);
}

static void
arguments(void)
{
	struct mta_access a = decoded("SEND_ACCESS", "ND", "30|Relaying not allowed");

	ok(slice_eq(a.delay, S("30")) && slice_eq(a.text, S("Relaying not allowed")),
	    "a delay, then the text");
	a = decoded("FROM_ACCESS", "XTKJ", "j@x|k@x|tag|5.7.8");
	ok(slice_eq(a.env_from, S("j@x")) && slice_eq(a.sender, S("k@x")) &&
		slice_eq(a.tag, S("tag")) && slice_eq(a.code, S("5.7.8")),
	    "in the order of the table, not of the flags");
	a = decoded("SEND_ACCESS", "N", "delay=30|code=5.7.1|no|bars");
	ok(slice_eq(a.delay, S("30")) && slice_eq(a.code, S("5.7.1")) &&
		slice_eq(a.text, S("no|bars")),
	    "by their names");
	a = decoded("AUTH_REWRITE", "ZTJ", "j@x|s@x|f@x");
	ok(slice_eq(a.env_from, S("j@x")) && slice_eq(a.sender, S("s@x")) &&
		slice_eq(a.from, S("f@x")),
	    "AUTH_REWRITE: envelope, Sender, From");
	a = decoded("AUTH_REWRITE", "KY", "k@x|s@x");
	ok(slice_eq(a.env_from, S("k@x")) && slice_eq(a.sender, S("s@x")),
	    "$K and $Y are the same as $J and $T");
	a = decoded("DEQUEUE_ACCESS", "NS", "600|busy");
	ok(mta_access_backoff(&a) == 600 && slice_eq(a.text, S("busy")), "DEQUEUE_ACCESS: seconds");
	a = decoded("DEQUEUE_ACCESS", "S", "99999999");
	eq(mta_access_backoff(&a), 0, "no number of seconds that can be meant");
}

static void
values(void)
{
	const struct verdict dflt = verdict(PERM, 550, "5.7.1", "the tables refuse it");
	int64_t limits[3] = { -1, -1, -1 };
	struct mta_access a;
	struct verdict v;
	bool once;

	a = decoded("SEND_ACCESS", "D", "250");
	eq(mta_access_delay(&a, &once), 2500, "hundredths of a second");
	ok(!once, "for all commands");
	a = decoded("SEND_ACCESS", "D", "-250");
	eq(mta_access_delay(&a, &once), 2500, "a negative delay");
	ok(once, "for this command");
	a = decoded("SEND_ACCESS", "D", "999999999");
	eq(mta_access_delay(&a, &once), MTA_ACCESS_DELAY_MAX, "nobody waits for ever");
	a = decoded("SEND_ACCESS", "D", "soon");
	eq(mta_access_delay(&a, &once), 0, "what is no number is none");
	a = decoded("SEND_ACCESS", "N", "");
	v = mta_access_verdict(&a, &dflt);
	ok(verdict_reply(&v) == 550 && v.detail == 1, "our own words and status");
	is(v.text, "the tables refuse it", "when the site has none");
	a = decoded("SEND_ACCESS", "NX", "4.7.1|Come\tlater");
	v = mta_access_verdict(&a, &dflt);
	ok(v.kind == TEMP && verdict_reply(&v) == 451 && v.subject == 7, "class 4 is for now");
	is(v.text, "Come later", "the site's words");
	a = decoded("SEND_ACCESS", "NX", "2.0.0|no");
	v = mta_access_verdict(&a, &dflt);
	ok(v.kind == PERM && v.subject == 7, "a refusal is never of class 2");
	a = decoded("SEND_ACCESS", "NX", "rubbish|no");
	v = mta_access_verdict(&a, &dflt);
	ok(v.kind == PERM && v.subject == 7 && v.detail == 1, "a status that is none");
	a = decoded("SEND_ACCESS", "S", "100,,5");
	mta_access_limits(&a, limits);
	ok(limits[0] == 100 && limits[1] == -1 && limits[2] == 5, "limits, some of them");
}

int
main(void)
{
	probes();
	actions();
	arguments();
	values();
	return done();
}
