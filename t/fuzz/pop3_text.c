/* Fuzz: what POP3 is as text.  However a message is cut: stuffed, it holds no line that is a dot alone
 * for a client of either kind, and unstuffed it is the message; TOP is a beginning of it; a unique-id's
 * format that is taken writes 1 to 70 printable characters. */
#include "base/must.h"
#include "pop3/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void
check_line(struct slice s)
{
	struct slice line = slice_sub(s, 0, slice_find(s, '\n')), verb, arg;
	uint32_t number;

	pop3_line_parse(line, &verb, &arg);
	must(verb.n + (arg.p ? 1 + arg.n : 0) == line.n && slice_find(verb, ' ') == verb.n);
	while (arg.n > 0 && pop3_number(&arg, &number))
		must(arg.n < line.n);
}

/* Undoes the stuffing as a client does that ends lines at LF. */
static void
unstuff(struct slice s, struct buf *out)
{
	bool begins = true, ended = false;

	for (size_t i = 0; i < s.n; i++) {
		must(!ended);
		if (begins && s.p[i] == '.') {
			if (slice_eq(slice_from(s, i), S(".\r\n"))) {
				ended = true;
				break;
			}
			/* Not the end: it was doubled. */
			must(i + 1 < s.n && s.p[i + 1] == '.');
			begins = false;
			continue;
		}
		buf_char(out, s.p[i]);
		begins = s.p[i] == '\n';
	}
	must(ended);
}

static void
check_stuffing(struct slice msg, size_t step)
{
	struct pop3_stuff st = { 0 };
	struct buf out = { 0 }, back = { 0 };
	struct slice rest = msg;

	while (rest.n > 0) {
		pop3_stuff_write(&st, slice_sub(rest, 0, step), &out);
		rest = slice_from(rest, step);
	}
	pop3_stuff_end(&st, &out);
	must(slice_ends(buf_get(&out), S(".\r\n")) &&
	    (msg.n == 0 || slice_ends(buf_get(&out), S("\r\n.\r\n"))));
	must(slice_find_str(buf_get(&out), S("\r\n.\r\n")) + 5 >= out.n);
	unstuff(buf_get(&out), &back);
	must(slice_starts(buf_get(&back), msg) && back.n - msg.n <= 2);
	must(back.n == msg.n || slice_eq(slice_from(buf_get(&back), msg.n), S("\r\n")));
	buf_fini(&out);
	buf_fini(&back);
}

static size_t
top(struct slice msg, uint32_t lines, size_t step)
{
	struct pop3_cut cut = { .lines = lines };
	struct slice rest = msg;
	size_t took = 0;

	while (rest.n > 0 && !cut.over) {
		struct slice piece = slice_sub(rest, 0, step);
		size_t n = pop3_cut_take(&cut, piece);

		must(n <= piece.n && (n == piece.n || cut.over));
		took += n;
		rest = slice_from(rest, step);
	}
	must(took == msg.n || (took > 0 && msg.p[took - 1] == '\n'));
	return took;
}

static void
check_uidl(struct slice s)
{
	char format[128];
	struct buf id = { 0 };

	slice_cstr(s, format, sizeof(format));
	if (pop3_uidl_check(format))
		return;
	pop3_uidl_write(&id, format, UINT32_MAX, UINT32_MAX);
	must(id.n >= 1 && id.n <= POP3_UIDL_MAX);
	for (size_t i = 0; i < id.n; i++)
		must(id.p[i] >= 0x21 && id.p[i] <= 0x7e);
	buf_fini(&id);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct slice s = slice((const char *)data, n);
	/* The first byte says how the message is cut, and how much of it TOP gives. */
	size_t step = n > 0 && data[0] % 4 ? data[0] % 16 + 1u : n + 1;
	uint32_t lines = n > 0 ? data[0] / 16 : 0;

	check_line(s);
	check_stuffing(s, step);
	must(top(s, lines, step) == top(s, lines, n + 1));
	must(top(s, lines, step) <= top(s, lines + 1, step));
	check_uidl(s);
	return 0;
}
