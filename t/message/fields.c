/* Selections of header fields: against a plain reading, and what many of them cost. */
#include <time.h>

#include "../tap.h"
#include "message/fields.h"

/* The plain way: each line against each name. */
static void
plain(struct buf *b, struct slice header, const struct slice *names, size_t n, bool not )
{
	struct slice name, whole;

	while (message_field_next(&header, &name, &whole)) {
		bool named = false;

		for (size_t i = 0; i < n; i++)
			named = named || (name.p && slice_ieq(name, names[i]));
		if (named != not )
			buf_slice(b, whole);
	}
	buf_lit(b, "\r\n");
}

#define HEADER                                                                                     \
	" a fold without a field\r\nFrom: a\r\nTo : b\r\nno colon\r\nX-A: 1\r\n "                  \
	"2\r\n\t3\r\nfrom: c\r\n"                                                                  \
	"Sub ject: odd\r\nSubject:\r\nX-A: 4\r\nTO: d\r\n\r\nFrom: body\r\n"

static void
same(void)
{
	static const struct slice names[] = { { "FROM", 4 }, { "x-a", 3 }, { "to", 2 },
		{ "nobody", 6 }, { "Subject", 7 }, { "sub ject", 8 }, { "from", 4 } };
	struct message_fields f = { 0 };
	struct message_picked w = { 0 };
	struct arena a = { 0 };
	struct buf want = { 0 }, got = { 0 };
	bool all = true;

	for (size_t from = 0; from < 7; from++)
		for (size_t to = from; to <= 7; to++)
			for (int not = 0; not < 2; not ++)
				message_fields_add(&f, names + from, to - from, not, &a);
	for (int again = 0; again < 2; again++) { /* the memory is used for the next header */
		uint32_t k = 0;

		message_pick_start(&w, &f, S(HEADER));
		while (message_pick_scan(&w))
			;
		for (size_t from = 0; from < 7; from++)
			for (size_t to = from; to <= 7; to++)
				for (int not = 0; not < 2; not ++, k++) {
					buf_clear(&want);
					buf_clear(&got);
					plain(&want, S(HEADER), names + from, to - from, not );
					all = all && message_pick_open(&w, k) == want.n;
					while (message_pick_read(&w, &got, 1 + k % 5) > 0)
						;
					all = all && slice_eq(buf_get(&want), buf_get(&got));
					(void)message_pick_open(&w, k);
					message_pick_skip(&w, 7);
					buf_clear(&got);
					while (message_pick_read(&w, &got, 100) > 0)
						;
					all = all &&
					    slice_eq(slice_from(buf_get(&want), 7), buf_get(&got));
				}
	}
	ok(all, "%u selections are what reading line by line gives", f.n);
	buf_fini(&want);
	buf_fini(&got);
	message_picked_fini(&w);
	arena_reset(&a);
}

/* 250 selections of 40 names each over 400,000 fields. */
static void
many(void)
{
	struct message_fields f = { 0 };
	struct message_picked w = { 0 };
	struct arena a = { 0 };
	struct buf header = { 0 }, out = { 0 };
	uint64_t sum = 0;
	double began;

	for (int i = 0; i < 400000; i++)
		buf_printf(&header, "X-%d: %d\r\n", i % 20000, i);
	for (int i = 0; i < 250; i++) {
		struct slice names[40];

		for (int k = 0; k < 40; k++)
			names[k] = slice_str(arena_printf(&a, "x-%d", i * 40 + k));
		message_fields_add(&f, names, 40, i % 10 == 0, &a);
	}
	began = (double)clock() / CLOCKS_PER_SEC;
	message_pick_start(&w, &f, buf_get(&header));
	while (message_pick_scan(&w))
		;
	for (uint32_t i = 0; i < 250; i++) {
		sum += message_pick_open(&w, i);
		buf_clear(&out);
		(void)message_pick_read(&w, &out, 64 * 1024);
	}
	began = (double)clock() / CLOCKS_PER_SEC - began;
	ok(sum > 25 * header.n - header.n && began < 1.5,
	    "250 selections of a header of %zu MB: %llu MB promised, %.0f ms", header.n >> 20,
	    (unsigned long long)sum >> 20, began * 1000);
	buf_fini(&header);
	buf_fini(&out);
	message_picked_fini(&w);
	arena_reset(&a);
}

int
main(void)
{
	same();
	many();
	return done();
}
