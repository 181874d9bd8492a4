/* Envelopes of messages that people send (RFC 8621 7). */
#include "../tap.h"
#include "jmap/envelope.h"

#include <errno.h>

static struct buf out;
static struct arena arena;
static const struct json_bounds bounds = { 1 << 20, 16, 10000 };

static const char *
tell(int r, const struct jmap_envelope *e, const char *property, const char *why)
{
	buf_clear(&out);
	if (r == -E2BIG)
		return "too many";
	if (r < 0) {
		buf_printf(&out, "%s: %s", property, why);
		return buf_cstr(&out);
	}
	buf_printf(&out, "<" SFMT ">", SARG(e->from));
	if (e->hold != JMAP_SEND_NOW)
		buf_printf(&out, " %s %lld", e->hold == JMAP_HOLD_FOR ? "for" : "until",
		    (long long)e->hold_at);
	for (size_t i = 0; i < e->nrcpt; i++)
		buf_printf(&out, " " SFMT, SARG(e->rcpt[i]));
	for (size_t i = 0; i < e->ninvalid; i++)
		buf_printf(&out, " !" SFMT, SARG(e->invalid[i]));
	return buf_cstr(&out);
}

static const char *
said(const char *text)
{
	struct jmap_envelope e;
	struct json_t *v = NULL;
	struct buf b = { 0 };
	const char *property = "?", *why = "?";
	int r;

	for (; *text; text++)
		buf_char(&b, *text == '\'' ? '"' : *text);
	if (json_read(buf_get(&b), &bounds, &v, &why) < 0)
		printf("# the test's own JSON: %s\n", why);
	r = jmap_envelope_read(v, 4, &arena, &e, &property, &why);
	(void)tell(r, &e, property, why);
	json_free(&v);
	buf_fini(&b);
	return r == -E2BIG ? "too many" : buf_cstr(&out);
}

static const char *
made(const char *header)
{
	struct jmap_envelope e;
	int r = jmap_envelope_make(slice_str(header), 4, &arena, &e);

	return tell(r, &e, "", "");
}

static const struct {
	const char *json, *want;
} envelopes[] = {
	{ "{'mailFrom':{'email':'a@b.example'},'rcptTo':[{'email':'c@d.example'}]}",
	    "<a@b.example> c@d.example" },
	{ "{'mailFrom':{'email':'','parameters':null},'rcptTo':[{'email':'c@d.example','parameters'"
	  ":{}}]}",
	    "<> c@d.example" },
	{ "{'mailFrom':{'email':'a@b.example'},'rcptTo':[{'email':'z@d.example'},{'email':'c@d."
	  "example'},{'email':'z@d.example'}]}",
	    "<a@b.example> c@d.example z@d.example" },
	{ "{'mailFrom':{'email':'a@b.example'},'rcptTo':[{'email':'nobody'},{'email':'p\xc3\xb6@"
	  "\xc3\xa4.example'}]}",
	    "<a@b.example> p\xc3\xb6@\xc3\xa4.example !nobody" },
	{ "{'mailFrom':{'email':'a@b.example'},'rcptTo':[]}", "<a@b.example>" },
	{ "{'mailFrom':{'email':'a@b>\\r\\nRCPT TO:<x@y'},'rcptTo':[]}",
	    "envelope/mailFrom: no address" },
	{ "{'mailFrom':{'email':'a@b.example'},'rcptTo':[{'email':'a@b>\\r\\nX'}]}",
	    "<a@b.example> !a@b>\r\nX" },
	{ "{'rcptTo':[]}", "envelope/mailFrom: an address has an email" },
	{ "{'mailFrom':{'email':'a@b.example'}}", "envelope/rcptTo: no list" },
	{ "{'mailFrom':{'email':'a@b.example'},'rcptTo':['x@y']}",
	    "envelope/rcptTo: an address has an email" },
	{ "{'mailFrom':{'email':'a@b.example','parameters':{'HOLDFOR':'9'}},'rcptTo':[]}",
	    "<a@b.example> for 9" },
	{ "{'mailFrom':{'email':'a@b.example','parameters':{'holduntil':'2026-11-22T10:20:01+02:00'"
	  "}},'rcptTo':[]}",
	    "<a@b.example> until 1795335601" },
	{ "{'mailFrom':{'email':'a@b.example','parameters':{'HOLDFOR':'1','HOLDUNTIL':'2026-11-22T"
	  "10:20:01Z'}},'rcptTo':[]}",
	    "envelope/mailFrom: HOLDFOR and HOLDUNTIL exclude each other" },
	{ "{'mailFrom':{'email':'a@b.example','parameters':{'HOLDFOR':9}},'rcptTo':[]}",
	    "envelope/mailFrom: HOLDFOR: seconds, a string of nine digits at most" },
	{ "{'mailFrom':{'email':'a@b.example','parameters':{'HOLDFOR':'1000000000'}},'rcptTo':[]}",
	    "envelope/mailFrom: HOLDFOR: seconds, a string of nine digits at most" },
	{ "{'mailFrom':{'email':'a@b.example','parameters':{'HOLDFOR':null}},'rcptTo':[]}",
	    "envelope/mailFrom: HOLDFOR: seconds, a string of nine digits at most" },
	{ "{'mailFrom':{'email':'a@b.example','parameters':{'HOLDUNTIL':'tomorrow'}},'rcptTo':[]}",
	    "envelope/mailFrom: HOLDUNTIL: a date and time as in 2026-11-22T08:20:01Z" },
	{ "{'mailFrom':{'email':'a@b.example','parameters':{'SIZE':'9'}},'rcptTo':[]}",
	    "envelope/mailFrom: HOLDFOR and HOLDUNTIL are the only parameters "
	    "(submissionExtensions)" },
	{ "{'mailFrom':{'email':'a@b.example'},'rcptTo':[{'email':'c@d.example','parameters':{"
	  "'NOTIFY':'NEVER'}}]}",
	    "envelope/rcptTo: a recipient has no parameters (submissionExtensions)" },
	{ "{'mailFrom':{'email':'a@b'},'rcptTo':[{'email':'1@x'},{'email':'2@x'},{'email':'3@x'},{'"
	  "email':'4@x'},{'email':'5@x'}]}",
	    "too many" },
	{ "[]", "envelope/mailFrom: an address has an email" },
};
static const struct {
	const char *header, *want;
} headers[] = {
	{ "From: A <a@b.example>\r\nTo: c@d.example, G: e@f.example;\r\nCc: c@d.example\r\nBcc: "
	  "h@i.example\r\n\r\n",
	    "<a@b.example> c@d.example e@f.example h@i.example" },
	{ "From: a@b.example, x@y.example\r\nSender: s@b.example\r\n\r\n", "<s@b.example>" },
	{ "From: a@b.example\r\nTo: half, \"odd one\"@x.example\r\n\r\n",
	    "<a@b.example> \"odd one\"@x.example !half" },
	{ "To: 1@x, 2@x, 3@x, 4@x, 5@x\r\n\r\n", "too many" },
	{ "To: undisclosed-recipients:;\r\n\r\n", "<>" },
	{ "\r\n", "<>" },
};

static const char *
without(const char *header)
{
	buf_clear(&out);
	return jmap_header_without_bcc(slice_str(header), &out) ? buf_cstr(&out) :
	    out.n == 0                                          ? "none" :
								  "SOMETHING";
}

int
main(void)
{
	struct slice *from;
	size_t n;

	for (size_t i = 0; i < NELEM(envelopes); i++)
		is(said(envelopes[i].json), envelopes[i].want, "%s", envelopes[i].json);
	for (size_t i = 0; i < NELEM(headers); i++)
		is(made(headers[i].header), headers[i].want, "%s", headers[i].want);
	is(without("A: b\r\nBCC: x@y,\r\n z@y\r\nC: d\r\nResent-Bcc: q\r\n\r\n"),
	    "A: b\r\nC: d\r\n\r\n", "without Bcc");
	is(without("A: b\r\nX-Bcc: x\r\n\r\n"), "none", "there is no Bcc");
	from =
	    jmap_header_from(S("From: x@y\r\nTo: z@y\r\nFrom: A <a@b>, c@d\r\n\r\n"), &arena, &n);
	ok(n == 2 && slice_eq(from[0], S("a@b")) && slice_eq(from[1], S("c@d")),
	    "the last From counts");
	(void)jmap_header_from(S("To: z@y\r\n\r\n"), &arena, &n);
	eq(n, 0, "no From");
	buf_fini(&out);
	arena_reset(&arena);
	return done();
}
