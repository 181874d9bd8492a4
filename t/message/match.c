/* Searching a message: many strings at once, each part of a message, and what it costs. */
#include <time.h>

#include "../tap.h"
#include "base/casemap.h"
#include "message/match.h"

/* ---- needles -------------------------------------------------------------------------------- */

/* All strings over a small alphabet against all of a random text, whole and in pieces, compared
 * with a plain search. */
static void
needles(unsigned seed, uint32_t n)
{
	struct message_needles s = { 0 };
	struct arena a = { 0 };
	struct message_scan at = { 0 };
	char text[3000], *t[300];
	bool found[300] = { 0 }, want[300], same = true;
	uint32_t sum = 0, fresh = 0;

	srand(seed);
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (char)('a' + rand() % 3);
	for (uint32_t i = 0; i < n; i++) {
		size_t len = 1 + (size_t)rand() % 9;

		t[i] = arena_new(&a, len);
		for (size_t k = 0; k < len; k++)
			t[i][k] = (char)('a' + rand() % 3);
		message_needles_add(&s, slice(t[i], len), i, &a);
	}
	message_needles_ready(&s, &a);
	for (size_t i = 0; i < sizeof(text);) {
		size_t len = 1 + (size_t)rand() % 40;

		len = len < sizeof(text) - i ? len : sizeof(text) - i;
		fresh += message_needles_feed(&s, &at, slice(text + i, len), found);
		i += len;
	}
	for (uint32_t i = 0; i < n; i++) {
		want[i] = slice_find_str(slice(text, sizeof(text)), s.text[i]) < sizeof(text);
		same = same && want[i] == found[i];
		sum += want[i];
	}
	ok(same && fresh == sum, "%u strings, seed %u: %u found", n, seed, sum);
	message_scan_fini(&at);
	arena_reset(&a);
}

/* ---- messages ------------------------------------------------------------------------------- */

static struct message_query query;
static struct arena arena;

/* One key of a message: 1, 0, or -1 when the walk could not tell. */
static int
has(const char *msg, enum message_place place, const char *name, const char *text)
{
	struct message_query q = { 0 };
	struct message_match m;
	struct arena a = { 0 };
	struct buf folded = { 0 };
	enum message_answer answer;

	casemap_search_to(&folded, slice_str(text));
	message_query_add(&q, place, slice_str(name), buf_get(&folded), &a);
	message_query_ready(&q, &a);
	message_match_start(&m, &q, slice_str(msg));
	while (message_match_step(&m))
		;
	answer = message_match_get(&m, 0);
	message_match_end(&m);
	arena_reset(&a);
	buf_fini(&folded);
	return answer == MESSAGE_YES ? 1 : answer == MESSAGE_NO ? 0 : -1;
}

#define REPORT                                                                                     \
	"MIME-Version: 1.0\r\nSubject: =?utf-8?q?=C3=84rger?= mit\r\n\tTab\r\n"                    \
	"From: user (x)@ (y) example.org\r\nContent-Type: multipart/report; boundary=q\r\n\r\n"    \
	"preamble\r\n--q\r\n\r\nsee below\r\n--q\r\n"                                              \
	"Content-Type: application/pdf; name=\"=?utf-8?q?Gr=C3=BC=C3=9Fe=2Epdf?=\"\r\n"            \
	"Content-Description: the figures of\r\n\tautumn\r\n"                                      \
	"Content-Disposition: attachment; filename*0*=utf-8''%C3%9Cber;\r\n"                       \
	" filename*1=\"sicht.pdf\"\r\nContent-Transfer-Encoding: base64\r\n\r\nJVBERi0=\r\n"       \
	"--q\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; "                 \
	"mx.example\r\n\r\n"                                                                       \
	"Final-Recipient: rfc822; gone@example.test\r\n--q\r\n"                                    \
	"Content-Type: message/rfc822\r\n\r\nSubject: inner subject\r\n\r\ninner body\r\n"         \
	"--q\r\nContent-Type: text/html; charset=iso-8859-1\r\n"                                   \
	"Content-Transfer-Encoding: quoted-printable\r\n\r\n<p>Stra=DFe ge=\r\nteilt\r\n--q--\r\n"

static void
places(void)
{
	eq(has(REPORT, MESSAGE_IN_FIELD, "subject", "\xc3\xa4rger mit tab"), 1, "a field");
	eq(has(REPORT, MESSAGE_IN_FIELD, "subject", "A\xcc\x88RGER"), 1, "decomposed");
	eq(has(REPORT, MESSAGE_IN_FIELD, "subject", "arger"), 0, "a mark stands between");
	eq(has(REPORT, MESSAGE_IN_BODY, "",
	       "STRA\xc3\x9f"
	       "E"),
	    1, "in a body");
	eq(has(REPORT, MESSAGE_IN_FIELD, "FROM", "user@example.org"), 1, "an address in pieces");
	eq(has(REPORT, MESSAGE_IN_FIELD, "to", ""), 0, "a field that is not there");
	eq(has(REPORT, MESSAGE_IN_FIELD, "mime-version", ""), 1, "one that is");
	eq(has(REPORT, MESSAGE_IN_FIELD, "subject", "inner"), 0, "not that of a message inside");
	eq(has(REPORT, MESSAGE_IN_TEXT, "", "subject: \xc3\xa4rger"), 1,
	    "TEXT: a field with its name");
	eq(has(REPORT, MESSAGE_IN_TEXT, "", "see below"), 1, "the body");
	eq(has(REPORT, MESSAGE_IN_TEXT, "",
	       "gr\xc3\xbc\xc3\x9f"
	       "e.pdf"),
	    1, "an encoded file name");
	eq(has(REPORT, MESSAGE_IN_TEXT, "",
	       "\xc3\xbc"
	       "bersicht.pdf"),
	    1, "one in pieces");
	eq(has(REPORT, MESSAGE_IN_TEXT, "", "figures of autumn"), 1, "a part's description");
	eq(has(REPORT, MESSAGE_IN_TEXT, "", "application/pdf"), 1, "a part's type");
	eq(has(REPORT, MESSAGE_IN_TEXT, "", "gone@example.test"), 1, "a delivery status");
	eq(has(REPORT, MESSAGE_IN_BODY, "", "gone@example.test"), 1, "BODY: the same");
	eq(has(REPORT, MESSAGE_IN_BODY, "", "inner subject"), 1, "the header of a message inside");
	eq(has(REPORT, MESSAGE_IN_BODY, "", "inner body"), 1, "its body");
	eq(has(REPORT, MESSAGE_IN_BODY, "",
	       "stra\xc3\x9f"
	       "e geteilt"),
	    1, "decoded text");
	eq(has(REPORT, MESSAGE_IN_BODY, "", "tab"), 0, "not the header");
	eq(has(REPORT, MESSAGE_IN_BODY, "", "application/pdf"), 0, "not a part's header");
	eq(has(REPORT, MESSAGE_IN_BODY, "", "jvberi"), 0, "nor what is no text");
	eq(has(REPORT, MESSAGE_IN_BODY, "", ""), 1, "an empty string is in all");
	eq(has("Subject: x\r\n", MESSAGE_IN_TEXT, "", "x"), 1, "a header alone");
	eq(has("", MESSAGE_IN_TEXT, "", "x"), 0, "an empty message");
}

static double
cpu(void)
{
	return (double)clock() / CLOCKS_PER_SEC;
}

/* 990 keys over half a megabyte: the bytes of both, not their product. */
static void
many(void)
{
	struct buf msg = { 0 };
	struct message_match m;
	uint32_t yes = 0;
	double began;

	buf_lit(&msg, "Subject: many\r\n\r\n");
	for (int i = 0; msg.n < 512 * 1024; i++)
		buf_printf(&msg, "line %d aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n", i);
	for (int i = 0; i < 990; i++)
		message_query_add(&query, i % 3 ? MESSAGE_IN_TEXT : MESSAGE_IN_BODY, S(""),
		    slice_str(arena_printf(&arena, "%saaaaaaaaaaaaaab%d", i % 2 ? "a" : "", i)),
		    &arena);
	message_query_add(&query, MESSAGE_IN_TEXT, S(""), S("line 5000 aaa"), &arena);
	message_query_add(&query, MESSAGE_IN_BODY, S(""), S("line 5000 aa"), &arena);
	message_query_add(&query, MESSAGE_IN_BODY, S(""), S("aaa\r\nline 77 "), &arena);
	message_query_ready(&query, &arena);
	began = cpu();
	message_match_start(&m, &query, buf_get(&msg));
	while (message_match_step(&m))
		;
	for (uint32_t i = 0; i < query.n; i++)
		yes += message_match_get(&m, i) == MESSAGE_YES;
	eq(yes, 3, "three of 993 keys are found");
	ok(cpu() - began < 0.5, "in %.0f ms of CPU", (cpu() - began) * 1000);
	message_match_end(&m);
	buf_fini(&msg);
}

int
main(void)
{
	for (unsigned seed = 1; seed <= 20; seed++) {
		needles(seed, 3);
		needles(seed, 5 + seed * 14);
	}
	places();
	many();
	arena_reset(&arena);
	return done();
}
