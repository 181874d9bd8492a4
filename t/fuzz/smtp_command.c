/* Fuzz: command lines and their parameters.  What is decoded fits one line; xtext and
 * utf-8-addr-xtext come back as they went. */
#include "base/must.h"
#include "base/utf8.h"
#include "smtp/command.h"
#include "smtp/params.h"
#include "smtp/reply.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void
one_line(struct slice s)
{
	must(
	    slice_find(s, '\n') == s.n && slice_find(s, '\r') == s.n && slice_find(s, '\0') == s.n);
}

static void
check_mail(struct slice arg, struct arena *a)
{
	struct smtp_mail m;
	const char *why = NULL;
	bool path_bad;

	if (smtp_mail_parse(arg, a, &m, &path_bad, &why) < 0) {
		must(why);
		return;
	}
	one_line(m.envid);
	one_line(m.auth);
	one_line(m.xqid);
	must(m.size <= INT64_MAX);
}

static void
check_rcpt(struct slice arg, struct arena *a)
{
	struct smtp_rcpt r;
	const char *why = NULL;
	bool path_bad;

	if (smtp_rcpt_parse(arg, true, a, &r, &path_bad, &why) < 0) {
		must(why);
		return;
	}
	one_line(r.orcpt);
	one_line(r.orcpt_type);
	must(!(r.notify & SMTP_NOTIFY_NEVER) || r.notify == SMTP_NOTIFY_NEVER);
}

static void
check_codes(struct slice s)
{
	struct buf text = { 0 }, back = { 0 };
	int r;

	smtp_xtext_write(&text, s);
	r = smtp_xtext_parse(&back, buf_get(&text));
	must(r == 0 && slice_eq(buf_get(&back), s));
	if (utf8_valid(s)) {
		for (int unitext = 0; unitext < 2; unitext++) {
			buf_clear(&text);
			buf_clear(&back);
			smtp_utf8_addr_write(&text, s, unitext);
			r = smtp_utf8_addr_parse(&back, buf_get(&text));
			must(r < 0 || slice_eq(buf_get(&back), s));
		}
	}
	buf_clear(&text);
	smtp_reply_write(&text, 550, "5.0.0", s);
	must(text.n >= 12 && slice_ends(buf_get(&text), S("\r\n")));
	buf_fini(&text);
	buf_fini(&back);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct slice s = slice((const char *)data, n), verb, arg;
	struct arena a = { 0 };
	const char *why;
	uint64_t size;
	bool last;

	if (smtp_command_split(s, &verb, &arg)) {
		check_mail(arg, &a);
		check_rcpt(arg, &a);
		if (smtp_bdat_parse(arg, &size, &last, &why) == 0)
			must(size <= INT64_MAX);
		if (smtp_helo_valid(arg, false))
			one_line(arg);
	}
	check_codes(s);
	arena_reset(&a);
	return 0;
}
