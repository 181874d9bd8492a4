/* scan.c: against the plain loops, with what is looked for at every place. */
#include "base/scan.h"
#include "../tap.h"

#define LEN 300

static char text[LEN + 1];

static void
fill(char c)
{
	memset(text, c, LEN);
}

/* No line end behind which `mark` stands may be in what was answered for, and each must be counted. */
static bool
lines_right(size_t n, char mark)
{
	size_t lines = 0, want = 0, took = scan_lines(slice(text, n), mark, &lines);

	for (size_t i = 0; i < took; i++) {
		want += text[i] == '\n';
		if (mark && text[i] == '\n' && text[i + 1] == mark)
			return false;
	}
	return took < n + (n == 0) && want == lines;
}

static bool
crlf_right(size_t n)
{
	size_t took = scan_crlf(slice(text, n));

	for (size_t i = 0; i < took; i++)
		if ((text[i] == '\r') != (i + 1 < n && text[i + 1] == '\n') ||
		    (text[i] == '\n' && (i == 0 || text[i + 1] == '.')))
			return false;
	return took == 0 || text[took - 1] != '\r';
}

static void
test_lines(void)
{
	size_t lines = 0;
	bool good = true;

	fill('x');
	for (size_t at = 0; at < LEN; at++) {
		fill('x');
		text[at] = '\n';
		good = good && lines_right(LEN, '\0') && lines_right(LEN, '-');
		text[at + 1] = '-';
		good = good && lines_right(LEN, '-') && lines_right(at + 1, '-');
	}
	ok(good, "one line end at every place, with and without a mark behind it");
	fill('\n');
	good = true;
	for (size_t n = 0; n <= LEN; n++)
		good = good && lines_right(n, '\0') && lines_right(n, '-');
	ok(good, "nothing but line ends, of every length");
	fill('\n');
	(void)scan_lines(slice(text, LEN), '-', &lines);
	ok(lines >= LEN - 64, "hardly anything is left to the caller: %zu of %d", lines, LEN);
}

static void
test_many(void)
{
	static char big[100000];
	size_t lines = 0, took;

	memset(big, '\n', sizeof(big));
	took = scan_lines(slice(big, sizeof(big)), '\0', &lines);
	eq(lines, took, "no count overflows");
	ok(took + 64 >= sizeof(big), "and all are taken");
}

static void
test_crlf(void)
{
	static const char *const odd[] = { "\r", "\n", "\n.", "\r\n.", "\r\r\n", "\n\r", "." };
	bool good = true;

	for (size_t k = 0; k < NELEM(odd); k++)
		for (size_t at = 0; at + 3 < LEN; at++) {
			fill('x');
			for (size_t i = 20; i + 1 < LEN; i += 37)
				memcpy(text + i, "\r\n", 2);
			memcpy(text + at, odd[k], strlen(odd[k]));
			for (size_t n = LEN - 70; n <= LEN; n++)
				good = good && crlf_right(n);
		}
	ok(good, "what is odd at every place");
	fill('x');
	for (size_t i = 20; i + 1 < LEN; i += 37)
		memcpy(text + i, "\r\n", 2);
	ok(scan_crlf(slice(text, LEN)) >= LEN - 65, "clean lines are taken");
	eq(scan_crlf(slice(text, 0)), 0, "of nothing, nothing");
}

static void
test_plain(void)
{
	bool good = true;

	for (size_t n = 1; n < 40; n++)
		for (size_t at = 0; at < n; at++)
			for (int c = 0; c < 256; c++) {
				bool want = c >= ' ' && c <= '~' && c != '"' && c != '\\';

				fill('~');
				text[at] = (char)c;
				good = good && scan_plain(slice(text, n), "\"\\") == want;
			}
	ok(good, "every character at every place");
	ok(scan_plain(slice(NULL, 0), "\"\\"), "nothing is plain");
}

int
main(void)
{
	test_lines();
	test_many();
	test_crlf();
	test_plain();
	return done();
}
