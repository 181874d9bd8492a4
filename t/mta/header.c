/* Addresses of a header, rewritten: each case is a field as it came and as it leaves, compared octet by octet. */
#include "mta/header.h"
#include "../tap.h"
#include "files.h"

#define CONF                                                                                       \
	"old.com $U%new.com\n"                                                                     \
	".hidden.com $U%hidden.com\n"                                                              \
	"env.com $E$U%wrong.com\n"                                                                 \
	"hdr.com $B$U%header.com\n"                                                                \
	"fwd.com $F$U%forward.com\n"                                                               \
	"back.com $R$U%backward.com\n"                                                             \
	"dest.com $Qtcp_out$U%to-out.com\n"                                                        \
	"src.com $Mtcp_submit$U%from-us.com\n"                                                     \
	"notsrc.com $Ntcp_submit$U%wrong.com\n"                                                    \
	"closed.com $U%$D@nowhere$?closed\n"                                                       \
	"routed.com $U@via.com@tcp_out-daemon\n"                                                   \
	"loop.com $U%loop.com\n"                                                                   \
	". $U%$H@tcp_out-daemon\n"                                                                 \
	"\nl\nlocal.com\n\ntcp_submit smtp\ntcp_submit-daemon\n\n"                                 \
	"tcp_out smtp reverse\ntcp_out-daemon\n\ntcp_other smtp\ntcp_other-daemon\n"
#define MAPPINGS                                                                                   \
	"REVERSE\n\n  joe@real.com  $YJoe.Smith@public.com\n  *@strip.com  $Y$0@stripped.com\n"    \
	"  no@real.com  $Nx@wrong.com\n  mute@real.com  x@wrong.com\n"                             \
	"  again@real.com  $Y$Dx@old.com\n  once@real.com  $Yx@old.com\n"                          \
	"  bad@real.com  $Ynot$ an$ address\n  empty@real.com  $Y\n  *@new.com  "                  \
	"$Y$0@newer.com\n\n"

static const struct {
	const char *field, *want, *what;
} cases[] = {
	{ "From: a@old.com\r\n", "From: a@newer.com\r\n", "the rules, and then REVERSE" },
	/* what an address stands in */
	{ "To: a@old.com\r\n", "To: a@new.com\r\n", "alone" },
	{ "To:a@old.com\r\n", "To:a@new.com\r\n", "without a blank" },
	{ "To : \t a@old.com \t\r\n", "To : \t a@new.com \t\r\n", "blanks stay" },
	{ "to: <a@old.com>\r\n", "to: <a@new.com>\r\n", "in brackets, name of the field as it is" },
	{ "To: A  B <a@old.com>\r\n", "To: A  B <a@new.com>\r\n", "with a name" },
	{ "To: \"B, A\" <a@old.com>\r\n", "To: \"B, A\" <a@new.com>\r\n", "a comma in quotes" },
	{ "To: \"a@old.com\" <x@y.com>\r\n", "To: \"a@old.com\" <x@y.com>\r\n",
	    "an address as a name" },
	{ "To: \"\\\"<a@old.com>\" <x@y.com>\r\n", "To: \"\\\"<a@old.com>\" <x@y.com>\r\n",
	    "escapes" },
	{ "To: (a@old.com) a@old.com (b@old.com)\r\n", "To: (a@old.com) a@new.com (b@old.com)\r\n",
	    "comments" },
	{ "To: (x (a@old.com) \\) b@old.com) c@old.com\r\n",
	    "To: (x (a@old.com) \\) b@old.com) c@new.com\r\n", "comments in comments" },
	{ "To: =?utf-8?q?a=40old.com?= <a@old.com>\r\n",
	    "To: =?utf-8?q?a=40old.com?= <a@new.com>\r\n", "encoded words" },
	{ "To: < a@old.com >\r\n", "To: < a@new.com >\r\n", "blanks in brackets" },
	{ "To: A <a@old.com> (c)\r\n", "To: A <a@new.com> (c)\r\n", "a comment behind" },
	{ "To: a@old.com,b@old.com\r\n", "To: a@new.com,b@new.com\r\n", "two" },
	{ "To: a@old.com,\r\n\tB <b@old.com>,\r\n c@x.com\r\n",
	    "To: a@new.com,\r\n\tB <b@new.com>,\r\n c@x.com\r\n", "folds" },
	{ "To:\r\n a@old.com\r\n", "To:\r\n a@new.com\r\n", "a fold in front" },
	{ "To: a@old.com\n", "To: a@new.com\n", "a line feed alone" },
	{ "To: a@old.com", "To: a@new.com", "no line end" },
	{ "To: ,, a@old.com ,,\r\n", "To: ,, a@new.com ,,\r\n", "empty elements" },
	{ "To: us: a@old.com, B <b@old.com>;\r\n", "To: us: a@new.com, B <b@new.com>;\r\n",
	    "a group" },
	{ "To: \"a@old.com\": ;, c@old.com\r\n", "To: \"a@old.com\": ;, c@new.com\r\n",
	    "an empty one" },
	{ "To: \"A B\"@old.com\r\n", "To: \"A B\"@new.com\r\n", "a local part in quotes" },
	{ "To: \"a\"@old.com\r\n", "To: a@new.com\r\n", "quotes that nobody needs" },
	{ "To: \"a\"@x.com\r\n", "To: \"a\"@x.com\r\n", "... stay where nothing changes" },
	{ "To: A@OLD.com\r\n", "To: A@new.com\r\n", "any case" },
	{ "To: a@X.Com\r\n", "To: a@X.Com\r\n", "which stays" },
	{ "To: a@b.hidden.com, c@hidden.com\r\n", "To: a@hidden.com, c@hidden.com\r\n",
	    "subdomains" },
	/* what is none */
	{ "To: a\r\n", "To: a\r\n", "a name without a domain" },
	{ "To: a @ old.com\r\n", "To: a @ old.com\r\n", "blanks within" },
	{ "To: a(c)@old.com\r\n", "To: a(c)@old.com\r\n", "a comment within" },
	{ "To: x a@old.com\r\n", "To: x a@old.com\r\n", "words in front" },
	{ "To: <a@old.com\r\n", "To: <a@old.com\r\n", "an open bracket" },
	{ "To: \"a@old.com\r\n", "To: \"a@old.com\r\n", "an open quote" },
	{ "To: (a@old.com\r\n", "To: (a@old.com\r\n", "an open comment" },
	{ "To: <@x.com:a@old.com>\r\n", "To: <@x.com:a@old.com>\r\n", "a route in front" },
	{ "To: a@[192.0.2.1]\r\n", "To: a@[192.0.2.1]\r\n", "a literal" },
	{ "To: a@@old.com, b@old.com\r\n", "To: a@@old.com, b@new.com\r\n", "nonsense beside one" },
	{ "To:\r\n", "To:\r\n", "nothing" },
	{ "To: <>\r\n", "To: <>\r\n", "the null address" },
	/* which fields, and which way */
	{ "Subject: a@old.com\r\n", "Subject: a@old.com\r\n", "another field" },
	{ "X-To: a@old.com\r\n", "X-To: a@old.com\r\n", "one of a like name" },
	{ "Message-ID: <a@old.com>\r\n", "Message-ID: <a@old.com>\r\n", "no address" },
	{ "To: a@env.com\r\n", "To: a@env.com\r\n", "$E: of the envelope alone" },
	{ "To: a@hdr.com\r\n", "To: a@header.com\r\n", "$B: of the header" },
	{ "Cc: a@fwd.com, b@back.com\r\n", "Cc: a@forward.com, b@back.com\r\n", "$F" },
	{ "Bcc: a@fwd.com\r\n", "Bcc: a@forward.com\r\n", "Bcc" },
	{ "Resent-To: a@fwd.com\r\nResent-Cc: a@fwd.com\r\nResent-Bcc: a@fwd.com\r\n",
	    "Resent-To: a@forward.com\r\nResent-Cc: a@forward.com\r\nResent-Bcc: a@forward.com\r\n",
	    "Resent-" },
	{ "From: a@fwd.com, b@back.com\r\n", "From: a@fwd.com, b@backward.com\r\n", "$R" },
	{ "Sender: a@back.com\r\nReply-To: a@back.com\r\nResent-From: a@back.com\r\nResent-Sender: "
	  "a@back.com\r\nRESENT-REPLY-TO: a@back.com\r\n",
	    "Sender: a@backward.com\r\nReply-To: a@backward.com\r\nResent-From: a@backward.com\r\n"
	    "Resent-Sender: a@backward.com\r\nRESENT-REPLY-TO: a@backward.com\r\n",
	    "senders" },
	{ "To: a@dest.com\r\n", "To: a@to-out.com\r\n", "$Q: where it goes" },
	{ "To: a@src.com, a@notsrc.com\r\n", "To: a@from-us.com, a@notsrc.com\r\n",
	    "$M, $N: where it comes from" },
	{ "To: a@closed.com\r\n", "To: a@closed.com\r\n", "no channel" },
	{ "To: a@loop.com\r\n", "To: a@loop.com\r\n", "a circle" },
	{ "To: a@routed.com\r\n", "To: a@via.com\r\n", "a route that comes out is cut" },
	/* REVERSE */
	{ "From: joe@real.com\r\n", "From: Joe.Smith@public.com\r\n", "$Y" },
	{ "From: J <joe@real.com> (joe@real.com)\r\n",
	    "From: J <Joe.Smith@public.com> (joe@real.com)\r\n", "$Y in place" },
	{ "To: joe@real.com\r\n", "To: joe@real.com\r\n", "senders alone" },
	{ "Reply-To: a@strip.com, b@strip.com\r\n", "Reply-To: a@stripped.com, b@stripped.com\r\n",
	    "a pattern" },
	{ "From: no@real.com, mute@real.com\r\n", "From: no@real.com, mute@real.com\r\n",
	    "$N, or no flag" },
	{ "From: once@real.com\r\n", "From: x@old.com\r\n", "the rules are over" },
	{ "From: again@real.com\r\n", "From: x@new.com\r\n", "$D: once more" },
	{ "From: bad@real.com, empty@real.com\r\n", "From: bad@real.com, empty@real.com\r\n",
	    "what is no address" },
	/* several */
	{ "Received: a@old.com\r\nTo: a@old.com\r\n b: c\r\nX: a@old.com\r\nCc: d@old.com\r\n",
	    "Received: a@old.com\r\nTo: a@old.com\r\n b: c\r\nX: a@old.com\r\nCc: d@new.com\r\n",
	    "fields in order" },
};

static struct mta_conf *conf;
static struct mta_mappings *mappings;
static const struct mta_calls calls = { .arg = NULL };
static struct arena arena;

static const char *
rewrite(const char *field, const char *dest, struct mta_header *kept)
{
	static struct buf out;
	struct mta_header h = { .conf = conf,
		.mappings = mappings,
		.calls = &calls,
		.source = S("tcp_submit"),
		.a = &arena };

	buf_clear(&out);
	mta_header_rewrite(kept ? kept : &h, slice_str(dest), slice_str(field), &out);
	mta_header_fini(&h);
	return buf_cstr(&out);
}

/* A line that gets too long by an address is folded, in front of any. */
static void
folds(void)
{
	struct slice all, line;
	struct buf b = { 0 };
	size_t most = 0, n = 0, gone = 0;
	const char *got;

	buf_lit(&b, "To: A <a@dest.com>");
	for (int i = 0; i < 50; i++)
		buf_printf(&b, ", %s%d@dest.com", i % 2 ? "\"x, y\" " : "", i);
	buf_lit(&b, ",");
	while (b.n < 998)
		buf_lit(&b, "z@y.com,");
	buf_lit(&b, "\r\n z@y.com\r\nSubject: x\r\n");
	got = rewrite(buf_cstr(&b), "tcp_out", NULL);
	for (all = slice_str(got); slice_cut(&all, '\n', &line); n++) {
		most = line.n - 1 > most ? line.n - 1 : most;
		gone += slice_trim(line).n == 0;
	}
	ok(most <= 998 && n > 3 && gone == 0, "%zu lines, of %zu octets at most", n, most);
	ok(strstr(got, ",\r\n z@y.com\r\nSubject: x\r\n"), "the rest as it was");
	buf_fini(&b);
}

static void
bounds(void)
{
	struct arena own = { 0 };
	struct mta_header h = { .conf = conf,
		.mappings = mappings,
		.calls = &calls,
		.source = S("tcp_submit"),
		.a = &own };
	struct buf b = { 0 };
	size_t before;

	buf_lit(&b, "To: a@b.com");
	(void)rewrite(buf_cstr(&b), "tcp_out", &h);
	before = own.total;
	for (int i = 0; i < 100000; i++)
		buf_lit(&b, ",a@b.com");
	(void)rewrite(buf_cstr(&b), "tcp_out", &h);
	eq(own.total, before, "what is known takes no memory");
	mta_header_fini(&h);
	arena_reset(&own);
	buf_fini(&b);
}

int
main(void)
{
	struct file files[] = { { "/c", CONF }, { "/m", MAPPINGS }, { NULL, NULL } };
	struct mta_header h = { .calls = &calls, .source = S("tcp_submit"), .a = &arena };
	struct mta_notes notes = { 0 };
	struct buf many = { 0 };

	conf = mta_conf_compile("/c", "local.com", files_read, files, &notes);
	mappings = mta_mappings_compile("/m", files_read, files, &notes);
	ok(conf && mappings, "the files: " SFMT, SARG(buf_get(&notes.errors)));
	for (size_t i = 0; i < NELEM(cases); i++)
		is(rewrite(cases[i].field, "tcp_out", NULL), cases[i].want, "%s", cases[i].what);
	is(rewrite("To: a@dest.com\r\n", "tcp_other", NULL), "To: a@dest.com\r\n", "$Q: elsewhere");

	/* Each address once; past the bound they stay. */
	h.conf = conf;
	h.mappings = mappings;
	buf_lit(&many, "To: x@old.com");
	for (int i = 0; i < 100000; i++)
		buf_lit(&many, ",x@old.com");
	ok(slice_ends(slice_str(rewrite(buf_cstr(&many), "tcp_out", &h)), S(",x@new.com")) &&
		h.n == 1,
	    "an address is looked at once");
	(void)rewrite("From: x@old.com\r\n", "tcp_out", &h);
	(void)rewrite("From: x@old.com\r\n", "tcp_other", &h);
	eq(h.n, 3, "for each channel and direction");
	buf_clear(&many);
	buf_lit(&many, "To: y@old.com");
	for (int i = 0; i < 2000; i++)
		buf_printf(&many, ", y%d@old.com", i);
	ok(slice_ends(slice_str(rewrite(buf_cstr(&many), "tcp_out", &h)), S(" y1999@old.com")),
	    "the rest stay");
	eq(h.n, MTA_HEADER_ADDRESSES, "past so many");
	eq(h.left, 2001 - (MTA_HEADER_ADDRESSES - 3), "which are counted");
	folds();
	bounds();
	mta_header_fini(&h);
	buf_fini(&many);
	mta_conf_free(&conf);
	mta_mappings_free(&mappings);
	arena_reset(&arena);
	return done();
}
