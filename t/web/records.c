/* web/records: sessions as the store keeps them. */
#include "web/records.h"

#include "../tap.h"

#define A "aaaaaaaaaaaaa"
#define B "bbbbbbbbbbbbb"
#define C "ccccccccccccc"

static struct buf text, out;

/* The text is now what was written. */
static void
turn(void)
{
	buf_clear(&text);
	buf_slice(&text, buf_get(&out));
	buf_clear(&out);
}

static void
begin(const char *id, int64_t now, int64_t until, const char *client, bool alone)
{
	struct web_record r = { slice_str(id), now, now, until, S("192.0.2.1"), slice_str(client) };

	web_records_begin(buf_get(&text), &r, alone, now, &out);
	turn();
}

static bool
lives(const char *id, int64_t now)
{
	struct web_record r;

	return web_records_find(buf_get(&text), slice_str(id), now, &r);
}

static void
test_life(void)
{
	struct web_record r;
	char got[80];

	ok(!lives(A, 1), "nobody is there at first");
	begin(A, 100, 200, "Browser 1.0 (an \xc3\xa9\n" B " 1 1 999 x y", false);
	begin(B, 110, 210, "", false);
	ok(lives(A, 199) && lives(B, 199), "two are");
	ok(!lives(A, 200) && lives(B, 200), "each until its end");
	ok(web_records_find(buf_get(&text), S(A), 100, &r) && r.began == 100 && r.seen == 100,
	    "with its times");
	is(slice_cstr(r.address, got, sizeof(got)), "192.0.2.1", "its address");
	is(slice_cstr(r.client, got, sizeof(got)),
	    "Browser 1.0 (an ??"
	    "?" B " 1 1 999 x y",
	    "and what the client says, within its line");
	ok(web_records_seen(buf_get(&text), S(A), 300, 150, &out), "one is used");
	turn();
	ok(lives(A, 299) && !lives(B, 299), "and lasts longer, it alone");
	ok(web_records_find(buf_get(&text), S(A), 150, &r) && r.began == 100 && r.seen == 150,
	    "it began when it did");
	ok(!web_records_seen(buf_get(&text), S(C), 300, 150, &out) && out.n == 0,
	    "one that is not there does not come by being used");
	ok(!web_records_seen(buf_get(&text), S(B), 500, 250, &out), "nor one that is over");
	ok(web_records_end(buf_get(&text), S(A), 150, &out), "one ends");
	turn();
	ok(!lives(A, 150) && lives(B, 150), "it alone");
	ok(!web_records_end(buf_get(&text), S(A), 150, &out) && out.n == 0, "once");
	begin(C, 220, 400, "c", false);
	is(buf_cstr(&text), "1\n" C " 220 220 400 192.0.2.1 c\n", "what is over goes");
}

static void
test_others(void)
{
	buf_clear(&text);
	begin(A, 100, 200, "", false);
	ok(!web_records_end_others(buf_get(&text), S(A), 100, &out) && out.n == 0,
	    "there are no others");
	begin(B, 100, 200, "", false);
	begin(C, 100, 200, "", false);
	ok(web_records_end_others(buf_get(&text), S(B), 100, &out), "two others end");
	turn();
	ok(!lives(A, 100) && lives(B, 100) && !lives(C, 100), "one stays");
	ok(web_records_end_others(buf_get(&text), S(""), 100, &out), "all are others of none");
	turn();
	is(buf_cstr(&text), "1\n", "and end");
	begin(A, 100, 200, "", false);
	begin(B, 100, 200, "", true);
	ok(!lives(A, 100) && lives(B, 100), "one begins alone");
}

static void
test_bounds(void)
{
	char id[] = "0000000000000", longest[400];

	buf_clear(&text);
	for (int i = 0; i < WEB_RECORDS_MOST; i++) {
		(void)snprintf(id, sizeof(id), "%013d", i);
		begin(id, 100 + i, 1000, "", false);
	}
	ok(web_records_seen(buf_get(&text), S("0000000000000"), 1000, 500, &out), "the first");
	turn();
	begin(A, 501, 1000, "", false);
	ok(lives("0000000000000", 600) && !lives("0000000000001", 600) &&
		lives("0000000000002", 600) && lives(A, 600),
	    "of too many the one longest unused goes");
	memset(longest, 'x', sizeof(longest));
	longest[sizeof(longest) - 1] = 0;
	buf_clear(&text);
	begin(A, 1, 100, longest, false);
	eq((int)text.n, (int)(strlen("1\n" A " 1 1 100 192.0.2.1 \n") + WEB_RECORDS_CLIENT),
	    "a client says no more than it may");
}

static void
test_damaged(void)
{
	static const char *const bad[] = { "", "2\n" A " 1 1 100 x y\n", "1\n" A " 1 1 x y\n",
		"1\n" A " 1 1 -100 x y\n", "1\naaa 1 1 100 x y\n", "1\n" A " 1 1 100\n",
		"1\n" A "  1 1 100 x\n" };

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		buf_clear(&text);
		buf_str(&text, bad[i]);
		ok(!lives(A, 10), "no session in %zu", i);
		begin(B, 1, 100, "", false);
		ok(lives(B, 10), "the next one begins");
	}
	ok(web_record_id(S("0aA-_00000000")) && !web_record_id(S("0aA-_0000000")) &&
		!web_record_id(S("0aA-_0000000 ")) && !web_record_id(S("")),
	    "what an id is");
}

int
main(void)
{
	test_life();
	test_others();
	test_bounds();
	test_damaged();
	buf_fini(&text);
	buf_fini(&out);
	return done();
}
