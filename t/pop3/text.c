/* The bytes of POP3: command lines, stuffing however a message is cut, the lines of TOP, unique-ids. */
#include "pop3/text.h"
#include "../tap.h"

static void
test_lines(void)
{
	static const struct {
		const char *line, *verb, *arg;
	} table[] = {
		{ "STAT", "STAT", NULL },
		{ "STAT ", "STAT", "" },
		{ "PASS  two blanks ", "PASS", " two blanks " },
		{ "", "", NULL },
		{ " X", "", "X" },
	};
	struct slice verb, arg;

	for (size_t i = 0; i < NELEM(table); i++) {
		pop3_line_parse(slice_str(table[i].line), &verb, &arg);
		ok(slice_eq(verb, slice_str(table[i].verb)) && !arg.p == !table[i].arg &&
			(!arg.p || slice_eq(arg, slice_str(table[i].arg))),
		    "the line '%s'", table[i].line);
	}
}

static void
test_numbers(void)
{
	static const struct {
		const char *text;
		bool good;
		uint32_t n;
		const char *rest;
	} table[] = {
		{ "1", true, 1, "" },
		{ "4294967295 7", true, 4294967295u, "7" },
		{ "4294967296", false, 0, "" },
		{ "99999999999999999999", false, 0, "" },
		{ "-1", false, 0, "" },
		{ "+1", false, 0, "" },
		{ "1x", false, 0, "" },
		{ "", false, 0, "" },
		{ " 1", false, 0, "" },
		{ "2  3", true, 2, " 3" },
	};

	for (size_t i = 0; i < NELEM(table); i++) {
		struct slice s = slice_str(table[i].text);
		uint32_t n = 0;
		bool good = pop3_number(&s, &n);

		ok(good == table[i].good &&
			(!good || (n == table[i].n && slice_eq(s, slice_str(table[i].rest)))),
		    "the number '%s'", table[i].text);
	}
}

/* A message in pieces of `step` bytes, as RETR sends it. */
static void
stuff(struct buf *out, const char *msg, size_t step)
{
	struct pop3_stuff st = { 0 };
	struct slice rest = slice_str(msg);

	buf_clear(out);
	while (rest.n > 0) {
		pop3_stuff_write(&st, slice_sub(rest, 0, step), out);
		rest = slice_from(rest, step);
	}
	pop3_stuff_end(&st, out);
}

static void
test_stuffing(void)
{
	static const struct {
		const char *what, *msg, *want;
	} table[] = {
		{ "nothing", "", ".\r\n" },
		{ "a line", "a\r\n", "a\r\n.\r\n" },
		{ "dots", ".\r\n..\r\n.a\r\na.\r\n", "..\r\n...\r\n..a\r\na.\r\n.\r\n" },
		{ "dots after dots", "\r\n.\r\n.\r\n", "\r\n..\r\n..\r\n.\r\n" },
		{ "no end of line", "a", "a\r\n.\r\n" },
		{ "a dot without one", "a\r\n.", "a\r\n..\r\n.\r\n" },
		{ "a bare LF, and what looks like an end behind it", "a\n.\nb\r\n",
		    "a\n..\nb\r\n.\r\n" },
		{ "a bare LF at the end", "a\n", "a\n\r\n.\r\n" },
		{ "a bare CR at the end", "a\r", "a\r\r\n.\r\n" },
		{ "a CR in front of a dot", "a\r.\r\n", "a\r.\r\n.\r\n" },
	};
	struct buf out = { 0 };

	for (size_t i = 0; i < NELEM(table); i++)
		for (size_t step = 1; step <= 8; step++) {
			stuff(&out, table[i].msg, step);
			is(buf_cstr(&out), table[i].want, "%s, in pieces of %zu", table[i].what,
			    step);
		}
	buf_fini(&out);
}

static void
test_top(void)
{
	static const char msg[] = "A: b\r\nC: d\r\n\r\none\r\ntwo\r\n\r\nfour";
	static const struct {
		const char *msg;
		uint32_t lines;
		const char *want;
	} table[] = {
		{ msg, 0, "A: b\r\nC: d\r\n\r\n" },
		{ msg, 1, "A: b\r\nC: d\r\n\r\none\r\n" },
		{ msg, 3, "A: b\r\nC: d\r\n\r\none\r\ntwo\r\n\r\n" },
		{ msg, 4, msg },
		{ msg, UINT32_MAX, msg },
		{ "A: b\r\n\rx\r\n\r\none\r\n", 0, "A: b\r\n\rx\r\n\r\n" },
		{ "A: b\n\none\ntwo\n", 1, "A: b\n\none\n" },
		{ "\r\none\r\n", 0, "\r\n" },
		{ "A: no body", 5, "A: no body" },
		{ "", 0, "" },
	};

	for (size_t i = 0; i < NELEM(table); i++)
		for (size_t step = 1; step <= 7; step++) {
			struct pop3_cut cut = { .lines = table[i].lines };
			struct slice rest = slice_str(table[i].msg);
			size_t took = 0;

			while (rest.n > 0 && !cut.over) {
				took += pop3_cut_take(&cut, slice_sub(rest, 0, step));
				rest = slice_from(rest, step);
			}
			eq(took, strlen(table[i].want), "TOP %u of message %zu, in pieces of %zu",
			    table[i].lines, i, step);
		}
}

static void
test_uidl(void)
{
	static const struct {
		const char *format, *want;
	} table[] = {
		{ "%v.%u", "1795970626.17" },
		{ "%08Xu%08Xv", "000000116B0C5642" },
		{ "%xv-%0u", "6b0c5642-17" },
		{ "UID%u-%v", "UID17-1795970626" },
		{ "%%%u%%", "%17%" },
		{ "%020u", "00000000000000000017" },
	};
	static const char *const bad[] = { "", "%v", "%", "a%", "%u%", "%z%u", "%u b", "%0",
		"%080u", "%0999999999999u", "%X%%u", "%u\x80",
		"%u%09xu%09xu%09xu%09xu%09xu%09xu%09xu",
		"0123456789012345678901234567890123456789012345678901234567890%u" };
	struct buf b = { 0 };

	for (size_t i = 0; i < NELEM(table); i++) {
		ok(!pop3_uidl_check(table[i].format), "%s is a format", table[i].format);
		buf_clear(&b);
		pop3_uidl_write(&b, table[i].format, 1795970626, 17);
		is(buf_cstr(&b), table[i].want, "%s", table[i].format);
	}
	for (size_t i = 0; i < NELEM(bad); i++)
		ok(pop3_uidl_check(bad[i]), "'%s' is none", bad[i]);
	buf_clear(&b);
	pop3_uidl_write(&b, "%v.%u", UINT32_MAX, UINT32_MAX);
	is(buf_cstr(&b), "4294967295.4294967295", "the largest numbers");
	buf_fini(&b);
}

int
main(void)
{
	test_lines();
	test_numbers();
	test_stuffing();
	test_top();
	test_uidl();
	return done();
}
