/* The trace field, and that nothing foreign breaks out of it. */
#include "../tap.h"
#include "mail/header.h"
#include "mail/received.h"

static const char *
written(const struct received *r)
{
	static struct buf b;

	buf_clear(&b);
	received_write(&b, r);
	return buf_cstr(&b);
}

int
main(void)
{
	struct received r = {
		.helo = S("client.example"),
		.rdns = S("host.example"),
		.addr = S("192.0.2.1"),
		.by = S("mx.example.org"),
		.with = S("ESMTPSA"),
		.id = S("abc123"),
		.tls = S("TLSv1.3 TLS_AES_256_GCM_SHA384"),
		.rcpt = S("a@b.c"),
		.at = 0,
	};
	struct header_field f;
	struct slice at;

	is(written(&r),
	    "Received: from client.example (host.example [192.0.2.1])\r\n"
	    "\tby mx.example.org with ESMTPSA\r\n\t(TLSv1.3 TLS_AES_256_GCM_SHA384) id abc123\r\n"
	    "\tfor <a@b.c>;\r\n\tThu, 1 Jan 1970 00:00:00 +0000\r\n",
	    "everything");
	r = (struct received){ .helo = S("[IPv6:2001:db8::1]"),
		.addr = S("2001:db8::1"),
		.by = S("mx"),
		.with = S("SMTP"),
		.id = S("q") };
	is(written(&r),
	    "Received: from [IPv6:2001:db8::1] ([IPv6:2001:db8::1])\r\n"
	    "\tby mx with SMTP id q;\r\n\tThu, 1 Jan 1970 00:00:00 +0000\r\n",
	    "little");
	r = (struct received){ .by = S("mx"),
		.with = S("ESMTP"),
		.id = S("q"),
		.auth = S("joe@x") };
	is(written(&r),
	    "Received: by mx with ESMTP\r\n\t(authenticated as joe@x) id q;\r\n"
	    "\tThu, 1 Jan 1970 00:00:00 +0000\r\n",
	    "local submission");
	r = (struct received){ .helo = S("a)\r\nX: (\"\\;\x80"),
		.rdns = S("(;)"),
		.addr = S("1)2"),
		.by = S("mx"),
		.tls = S(")\r\n\r\n("),
		.rcpt = S("a\r\n@b"),
		.id = S("q;") };
	at = slice_str(written(&r));
	ok(header_next(&at, &f) && at.n == 0, "hostile text stays in one field");
	eq(slice_find(f.value, '"'), f.value.n, "without quotes");
	is(received_with(false, false, false, false, false), "SMTP", "HELO");
	is(received_with(false, true, true, true, false), "ESMTPSA", "ESMTPSA");
	is(received_with(false, true, true, false, true), "UTF8SMTPS", "UTF8SMTPS");
	is(received_with(true, true, false, false, false), "LMTP", "LMTP");
	return done();
}
