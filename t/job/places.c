/* What is written down of destinations: lines that read, files that were torn, and what is left of long ones. */
#include "../tap.h"
#include "job/places.h"

#define NOW 1763800000

static void
put(struct buf *b, const char *dest, const char *mx, int64_t until)
{
	struct job_place p = { .channel = S("tcp_local"),
		.dest = slice_str(dest),
		.mx = slice_str(mx),
		.until = until };

	job_place_write(b, &p);
}

static void
lines(void)
{
	struct buf b = { 0 };
	struct job_place p;
	struct slice line;
	size_t good = 0, n;

	put(&b, "a%20b.example", "mx.example/2/ab", NOW);
	line = slice(b.p, b.n - 1);
	ok(job_place_parse(line, &p), "reads");
	ok(slice_eq(p.channel, S("tcp_local")) && slice_eq(p.dest, S("a%20b.example")) &&
		slice_eq(p.mx, S("mx.example/2/ab")) && p.until == NOW,
	    "every field, as it was escaped");
	for (n = 0; n < line.n; n++)
		good += job_place_parse(slice(line.p, n), &p);
	eq(good, 0, "no part of it does");
	for (n = 0; n < line.n; n++) {
		b.p[n] ^= 1;
		good += job_place_parse(line, &p);
		b.p[n] ^= 1;
	}
	eq(good, 0, "nor with one bit that is another");
	buf_clear(&b);
	put(&b, "", "mx.example/2/ab", 0);
	ok(job_place_parse(slice(b.p, b.n - 1), &p) && p.dest.n == 0 && p.until == 0, "of hosts");
	buf_fini(&b);
}

static void
compacting(void)
{
	struct buf b = { 0 }, out = { 0 }, want = { 0 };

	put(&b, "a", "mx1", 0);
	put(&b, "b", "", NOW + 10);
	put(&b, "c", "", NOW + 10);
	put(&b, "", "mx1", NOW + 10);
	put(&b, "a", "mx2", 0); /* moved */
	put(&b, "b", "", 0);    /* an operator */
	put(&b, "d", "", NOW);  /* over */
	put(&b, "", "mx2", NOW + 20);
	put(&b, "", "mx1", 0);
	buf_lit(&b, "place channel=tcp_local dest=e crc=00000000\n\nplace chan");
	put(&want, "c", "", NOW + 10);
	put(&want, "a", "mx2", 0);
	put(&want, "", "mx2", NOW + 20);
	eq(job_places_compact(buf_get(&b), NOW, &out), 3, "three lines cannot be read");
	ok(slice_eq(buf_get(&out), buf_get(&want)),
	    "what still says something is left, in its order");
	buf_clear(&b);
	eq(job_places_compact(buf_get(&out), NOW, &b), 0, "again");
	ok(slice_eq(buf_get(&out), buf_get(&b)), "nothing changes");
	buf_fini(&want);

	buf_clear(&b);
	buf_clear(&out);
	for (int i = 0; i < JOB_PLACES_MOST + 5; i++) {
		char name[16];

		(void)snprintf(name, sizeof(name), "d%d", i);
		put(&b, name, "mx", 0);
	}
	eq(job_places_compact(buf_get(&b), NOW, &out), 0, "a file of many");
	ok(slice_find_str(buf_get(&out), S(" dest=d4 ")) == out.n &&
		slice_starts(buf_get(&out), S("place channel=tcp_local dest=d5 ")),
	    "loses the oldest beyond the bound");
	buf_fini(&b);
	buf_fini(&out);
}

int
main(void)
{
	lines();
	compacting();
	return done();
}
