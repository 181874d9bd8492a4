/* The languages of reports: files, and which somebody likes best. */
#include "../tap.h"
#include <stdlib.h>
#include "base/must.h"
#include "mail/dsn.h"
#include "base/utf8.h"

static const struct dsn_words swiss = { .language = "de-ch" }, portuguese = { .language = "pt-br" };
static const struct dsn_words *const known[] = { &dsn_words_english, &dsn_words_german, &swiss,
	&portuguese };

static const char *
choose(const char *list)
{
	const struct dsn_words *w = dsn_words_choose(known, NELEM(known), slice_str(list));

	return w ? w->language : "none";
}

static void
choosing(void)
{
	static const char *const cases[][2] = { { "de", "de" }, { "DE", "de" }, { "de-AT", "de" },
		{ "de-CH", "de-ch" }, { "de-CH-1996", "de-ch" }, { "pt", "pt-br" },
		{ "fr", "none" }, { "", "none" }, { "fr, en", "en" }, { "en, de", "en" },
		{ "en;q=0.5, de;q=0.8", "de" }, { "en; q=0.501, de ;q=0.5", "en" },
		{ "de;q=0, en;q=0.1", "en" }, { "de;q=0", "none" }, { "*", "none" },
		{ "d", "none" }, { "den", "none" }, { ",,de", "de" },
		{ "fr;q=1.0,de;q=1.000", "de" }, { " de-AT , en", "de" } };
	struct buf b = { 0 };

	for (size_t i = 0; i < NELEM(cases); i++)
		is(choose(cases[i][0]), cases[i][1], "%s", cases[i][0]);
	for (int i = 0; i < 40; i++)
		buf_lit(&b, "fr,");
	buf_lit(&b, "de");
	is(choose(buf_cstr(&b)), "none", "what stands behind many others is not looked at");
	buf_fini(&b);
}

/* The file conf/notices/fr with one thing replaced; what is said of it, or "good". */
static const char *
file(const char *what, const char *by)
{
	static char said[300];
	struct arena a = { 0 };
	struct dsn_words w;
	const char *why;
	char text[8192];
	struct buf b = { 0 };
	unsigned line;
	FILE *f = fopen("conf/notices/fr", "r");
	size_t n, at;

	must(f);
	n = fread(text, 1, sizeof(text), f);
	(void)fclose(f);
	at = slice_find_str(slice(text, n), slice_str(what));
	must(at < n || *what == '\0');
	buf_add(&b, text, at);
	buf_str(&b, by);
	buf_add(&b, text + at + strlen(what), n - at - strlen(what));
	if (dsn_words_parse(buf_get(&b), "fr", &a, &w, &line, &why) < 0)
		(void)snprintf(said, sizeof(said), "%u: %s", line, why);
	else
		(void)snprintf(said, sizeof(said), "good");
	arena_reset(&a);
	buf_fini(&b);
	return said;
}

static void
files(void)
{
	is(file("", ""), "good", "the sample");
	is(file("jusqu'au %{time}", "jusqu'au %{date}"),
	    "29: unknown placeholder %{date} (known: %{time})", "an unknown placeholder");
	is(file("retard\303\251 (", "%{host} ("),
	    "7: unknown placeholder %{host} (none is known here)", "one that is of another text");
	is(file("%{host}.", "%{host"), "13: %{ without }", "one that does not end");
	is(file("silent = ", "quiet = "), "26: unknown text quiet", "an unknown text");
	is(file("silent = (sans raison donn\303\251e)\n", ""), "30: the text silent is missing",
	    "one that is missing");
	is(file("silent = ", "said = "), "26: this text is there already", "twice");
	is(file("(sans raison donn\303\251e)", ""), "26: a text is missing", "nothing");
	is(file("(sans", "(\351"), "26: a text is not UTF-8, or has control characters", "Latin-1");
	is(file("silent = ", "silent "), "26: not a line `name = text`", "no text");
	is(file("jusqu'au %{time}.", "demain."), "good", "a text may do without");
	ok(dsn_words_tag_ok(S("de")) && dsn_words_tag_ok(S("pt-br")) &&
		!dsn_words_tag_ok(S("DE")) && !dsn_words_tag_ok(S("d")) &&
		!dsn_words_tag_ok(S("de-")) && !dsn_words_tag_ok(S("x/y")),
	    "names of files");
}

/* What is built in is as whole as a file must be. */
static void
built_in(void)
{
	for (int i = 0; i < DSN_WORDS; i++)
		ok(utf8_ascii(slice_str(dsn_words_english.text[i])) &&
			utf8_valid(slice_str(dsn_words_german.text[i])) &&
			*dsn_words_german.text[i],
		    "%s", dsn_words_english.text[i]);
}

/* A report in German is ASCII on the wire, and its machine part the same. */
static void
german(void)
{
	struct verdict no = verdict(PERM, 550, "5.1.1", "no such user");
	struct dsn_rcpt rcpt = { .action = DSN_FAILED,
		.address = "bob@b.example",
		.v = &no,
		.remote = true,
		.mta = "mx.b.example" };
	struct dsn d = { .host = "mx.example",
		.boundary = "=_b",
		.message_id = "id1",
		.to = "ann@a.example",
		.now = 1795335601,
		.words = &dsn_words_german,
		.rcpts = &rcpt,
		.nrcpt = 1 };
	struct buf b = { 0 }, e = { 0 };
	const char *s;

	dsn_write_head(&b, &d);
	s = buf_cstr(&b);
	ok(utf8_ascii(buf_get(&b)), "ASCII");
	ok(strstr(s,
	       "Content-Type: text/plain; charset=utf-8\r\n"
	       "Content-Transfer-Encoding: quoted-printable\r\nContent-Language: de\r\n"),
	    "UTF-8 underneath");
	ok(strstr(s, "Empf=C3=A4ngern"), "quoted-printable");
	ok(strstr(s, "    mx.b.example antwortete:\r\n    no such user\r\n"), "who said what");
	ok(strstr(s, "From: Mailzustellung <MAILER-DAEMON@mx.example>\r\n"), "its sender");
	d.words = NULL;
	dsn_write_head(&e, &d);
	is(strstr(s, "Content-Type: message/delivery-status"),
	    strstr(buf_cstr(&e), "Content-Type: message/delivery-status"),
	    "for programs it is the same");
	d.words = &dsn_words_german;
	rcpt.action = DSN_DELAYED;
	d.retry_until_at = 1795508301;
	buf_clear(&b);
	dsn_write_head(&b, &d);
	s = buf_cstr(&b);
	ok(strstr(s, "Subject: =?utf-8?q?") || strstr(s, "Subject: Nachricht =?utf-8?"),
	    "an encoded subject");
	ok(strstr(s, "Versucht wird es bis Tue, 24 Nov 2026 08:18:21 +0000.\r\n"), "until when");
	buf_clear(&b);
	d.utf8 = true;
	dsn_write_head(&b, &d);
	ok(strstr(buf_cstr(&b),
	       "charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n"
	       "Content-Language: de\r\n") &&
		strstr(buf_cstr(&b), "Empf\303\244ngern"),
	    "as it is where the message was");
	buf_fini(&b);
	buf_fini(&e);
}

int
main(void)
{
	choosing();
	files();
	built_in();
	german();
	return done();
}
