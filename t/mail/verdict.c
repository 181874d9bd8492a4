/* Outcomes: made, printed, read from replies. */
#include <errno.h>
#include "../tap.h"
#include "mail/verdict.h"

static const char *
esc(const struct verdict *v)
{
	static struct buf b;

	buf_clear(&b);
	verdict_esc_write(&b, v);
	return buf_cstr(&b);
}

static const struct {
	int code;
	const char *text, *esc, *rest;
	int kind, reply;
} replies[] = {
	{ 250, "2.1.5 Ok", "2.1.5", "Ok", OK, 250 },
	{ 250, "Ok", "2.0.0", "Ok", OK, 250 },
	{ 550, "5.1.1 <a@b>: no such user", "5.1.1", "<a@b>: no such user", PERM, 550 },
	{ 450, "4.7.100 wait", "4.7.100", "wait", TEMP, 450 },
	{ 550, "4.1.1 other class", "5.1.1", "other class", PERM, 550 },
	{ 550, "5.1 half", "5.0.0", "5.1 half", PERM, 550 },
	{ 550, "5.1.1", "5.1.1", "", PERM, 550 },
	{ 550, "", "5.0.0", "", PERM, 550 },
	{ 354, "go on", "4.5.0", "go on", TEMP, 451 },
	{ 0, "junk\r\n", "4.5.0", "junk", TEMP, 451 },
	{ 999, "junk", "4.5.0", "junk", TEMP, 451 },
};

static const struct {
	int code;
	const char *text;
	enum verdict_kind as;
	const char *quoted, *status;
} quotes[] = {
	{ 550, "5.1.1 no such user", PERM, "550 5.1.1 no such user", "5.1.1" },
	{ 550, "4.2.2 mailbox full", PERM, "550 4.2.2 mailbox full", "5.2.2" },
	{ 450, "5.7.1 greylisted", TEMP, "450 5.7.1 greylisted", "4.7.1" },
	{ 554, "5.3.2 not here", TEMP, "554 5.3.2 not here", "4.3.2" },
	{ 554, "go away", PERM, "554 go away", "5.0.0" },
	{ 354, "surprise", TEMP, "354 surprise", "4.5.0" },
};

static const char *const bad[] = { "", "5", "5.1", "5.1.", "5.1.1.1", "3.1.1", "5.1.1000", "5..1",
	"a.b.c", "55.1.1", "5.1.1 ", "-5.1.1", "5.256.1" };

int
main(void)
{
	struct verdict v = verdict(PERM, 0, "5.1.1", "no such user %s", "a@b.c");
	char big[400];

	ok(v.kind == PERM && verdict_reply(&v) == 550, "the reply that fits");
	is(esc(&v), "5.1.1", "its code");
	is(v.text, "no such user a@b.c", "its words");
	v = verdict(TEMP, 452, "4.2.2", "x");
	eq(verdict_reply(&v), 452, "a given reply");
	v = verdict(OK, 0, "2.0.0", "ok");
	eq(verdict_reply(&v), 250, "OK is 250");
	v = verdict(TEMP, 0, "4.0.0", "%s", "two\r\nlines\x7f");
	is(v.text, "two  lines ", "one line, always");
	for (size_t i = 0; i < 398; i += 2)
		memcpy(big + i, "\xc3\xa4", 3);
	v = verdict(PERM, 0, "5.0.0", "x%s", big);
	eq(strlen(v.text), 199, "cut");
	v = verdict(PERM, 0, "5.0.0", "%s", big);
	eq(strlen(v.text), 198, "between characters");
	for (size_t i = 0; i < NELEM(replies); i++) {
		v = verdict_parse_reply(replies[i].code, slice_str(replies[i].text));
		is(esc(&v), replies[i].esc, "reply %zu: code", i);
		is(v.text, replies[i].rest, "reply %zu: text", i);
		ok((int)v.kind == replies[i].kind && verdict_reply(&v) == replies[i].reply, "kind");
	}
	for (size_t i = 0; i < NELEM(quotes); i++) {
		struct buf b = { 0 };

		v = verdict_parse_reply(quotes[i].code, slice_str(quotes[i].text));
		v.kind = quotes[i].as; /* what we make of it does not change what was said */
		v.reply = 0;
		verdict_quote_write(&b, &v);
		buf_str(&b, v.text);
		is(buf_cstr(&b), quotes[i].quoted, "quoted as it came: %s", quotes[i].quoted);
		is(esc(&v), quotes[i].status, "with the status that it means to us");
		buf_fini(&b);
	}
	v = verdict(TEMP, 0, "4.3.2", "own words");
	{
		struct buf b = { 0 };

		verdict_quote_write(&b, &v);
		is(buf_cstr(&b), "451 4.3.2 ", "our own, quoted");
		buf_fini(&b);
	}
	for (size_t i = 0; i < NELEM(bad); i++)
		eq(verdict_parse_esc(slice_str(bad[i]), &v), -EBADMSG, "bad: \"%s\"", bad[i]);
	return done();
}
