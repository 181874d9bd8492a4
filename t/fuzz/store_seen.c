/* Fuzz target: a row of what a reader has seen, its key, and marks over its runs.  What is a row is written and read again as
 * the same; a mark is found, and what it does not touch stays. */
#include "base/crc.h"
#include "base/must.h"
#include "store/seen.h"

#define HEAD sizeof(struct store_disk_seen)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void
key(struct slice in)
{
	uint8_t again[STORE_SEEN_KEY];
	uint64_t mailbox;
	struct slice login;
	uint32_t chunk;

	if (!store_seen_key_parse(in, &mailbox, &login, &chunk))
		return;
	must(login.n > 0 && login.p > in.p && login.p + login.n < in.p + in.n);
	if (login.n <= STORE_ACCOUNT_MAX && (chunk != STORE_SEEN_ALL || in.n == 8 + login.n + 1))
		must(slice_eq(slice((const char *)again,
				  store_seen_key(again, mailbox, login, chunk)),
		    in));
}

/* The row with a CRC that fits, else hardly any would be one. */
static struct slice
row_of(struct slice in, struct buf *b)
{
	struct store_disk_seen head;

	buf_slice(b, in);
	if (b->n < HEAD)
		return buf_get(b);
	memcpy(&head, b->p, HEAD);
	head.crc = 0;
	head.crc = crc32c(crc32c(0, &head, HEAD), b->p + HEAD, b->n - HEAD);
	memcpy(b->p, &head, HEAD);
	return buf_get(b);
}

/* In modseq order a mark is newer than all that is there, as the writer makes them. */
static void
mark(const struct store_seen *s, struct buf *runs, struct store_seen_run m)
{
	struct store_seen after;
	struct buf row = { 0 };

	store_seen_put(runs, slice((const char *)&m, sizeof(m)));
	store_seen_write(&row, (struct store_disk_seen){ .at = 7 }, buf_get(runs));
	must(store_seen_parse(buf_get(&row), &after) == 0 && after.n <= STORE_SEEN_CHUNK);
	must(after.head.modseq >= m.modseq);
	for (uint16_t i = 0; i < STORE_SEEN_CHUNK; i++) {
		struct store_seen_run was, is;
		bool old = store_seen_find(s, i, &was) && was.modseq,
		     in = i >= m.first && i <= m.last;

		must(store_seen_find(&after, i, &is) == (old || in));
		if (in)
			must(!is.seen == !m.seen && is.modseq >= m.modseq);
		else if (old)
			must(!is.seen == !was.seen && is.modseq >= was.modseq);
	}
	buf_fini(&row);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct slice in = slice((const char *)data, n);
	struct buf b = { 0 }, runs = { 0 };
	struct store_seen s;

	key(in);
	(void)!store_seen_parse(in, &s);
	if (store_seen_parse(row_of(in, &b), &s) == 0) {
		struct store_seen_run m = { .modseq = UINT64_MAX, .seen = n & 1 };

		for (size_t i = 0; i < s.n; i++) {
			struct store_seen_run run = store_seen_at(&s, i);

			buf_add(&runs, &run, sizeof(run));
		}
		m.first = (uint16_t)(s.head.at % STORE_SEEN_CHUNK);
		m.last = (uint16_t)(m.first + s.head.from % (STORE_SEEN_CHUNK - m.first));
		mark(&s, &runs, m);
	}
	buf_fini(&b);
	buf_fini(&runs);
	return 0;
}
