/* Rows of what readers have seen, bytes <-> structs, and the algebra of runs: tiermail-store(5).
 *
 * Pure; called by the writer, by readers and by check.  A row that is damaged is -EBADMSG, and says of nothing that it has
 * been seen.  Whatever a reader marks, one more mark costs a row of some hundred bytes, and no reader can make more of the
 * index his than that for each STORE_SEEN_CHUNK messages. */
#include "store/seen.h"

#include <errno.h>
#include <stdlib.h>

#include "base/crc.h"
#include "base/must.h"

#define RUN sizeof(struct store_seen_run)

bool
store_login_ok(struct slice login)
{
	for (size_t i = 0; i < login.n; i++)
		if ((unsigned char)login.p[i] < 0x20)
			return false;
	return login.n > 0 && login.n <= STORE_ACCOUNT_MAX;
}

size_t
store_seen_key(uint8_t key[STORE_SEEN_KEY], uint64_t mailbox, struct slice login, uint32_t chunk)
{
	size_t n = 8;

	store_be64(key, mailbox);
	login = slice_sub(login, 0, STORE_ACCOUNT_MAX);
	if (login.n)
		memcpy(key + n, login.p, login.n);
	n += login.n;
	key[n++] = '\0';
	if (chunk == STORE_SEEN_ALL)
		return n;
	store_be32(key + n, chunk);
	return n + 4;
}

bool
store_seen_key_parse(struct slice key, uint64_t *mailbox, struct slice *login, uint32_t *chunk)
{
	struct slice rest;
	size_t n;

	if (key.n < 10 || key.n > STORE_SEEN_KEY)
		return false;
	*mailbox = store_get64(key.p);
	rest = slice_from(key, 8);
	n = slice_find(rest, '\0');
	*login = slice_sub(rest, 0, n);
	if (n == 0 || n == rest.n)
		return false;
	rest = slice_from(rest, n + 1);
	if (rest.n != 0 && rest.n != 4)
		return false;
	*chunk = rest.n ? store_get32(rest.p) : STORE_SEEN_ALL;
	return true;
}

struct store_seen_run
store_seen_at(const struct store_seen *s, size_t i)
{
	struct store_seen_run run;

	must(i < s->n);
	if (s->head.packed)
		return s->made[i];
	memcpy(&run, s->runs + i * s->head.run, sizeof(run));
	return run;
}

/* As the row is, UID by UID. */
struct seen_one {
	uint64_t modseq; /* 0: in no run */
	bool seen;
};

static void
seen_spread(struct seen_one *one, struct slice runs)
{
	for (size_t i = 0; i < runs.n / RUN; i++) {
		struct store_seen_run run;

		memcpy(&run, runs.p + i * RUN, RUN);
		must(run.first <= run.last && run.last < STORE_SEEN_CHUNK);
		for (size_t k = run.first; k <= run.last; k++)
			one[k] = (struct seen_one){ run.modseq, run.seen };
	}
}

/* Those of one modseq that say the same, in one. */
static size_t
seen_gather(const struct seen_one *one, struct store_seen_run *runs)
{
	size_t n = 0;

	for (size_t i = 0, k; i < STORE_SEEN_CHUNK; i = k) {
		for (k = i + 1; k < STORE_SEEN_CHUNK && one[k].modseq == one[i].modseq &&
		     one[k].seen == one[i].seen;
		     k++)
			;
		if (one[i].modseq)
			runs[n++] = (struct store_seen_run){ .modseq = one[i].modseq,
				.first = (uint16_t)i,
				.last = (uint16_t)(k - 1),
				.seen = one[i].seen };
	}
	return n;
}

/* The runs have been looked at; `bits` stand in front of them. */
static int
seen_unpack(struct store_seen *s, const char *bits)
{
	struct seen_one one[STORE_SEEN_CHUNK] = { 0 };
	struct store_seen_bits b;

	memcpy(&b, bits, sizeof(b));
	if (b.modseq == 0)
		return -EBADMSG;
	for (size_t i = 0; i < STORE_SEEN_CHUNK; i++)
		if (b.marked[i / 8] & 1u << i % 8)
			one[i] = (struct seen_one){ b.modseq, b.seen[i / 8] & 1u << i % 8 };
	for (size_t i = 0; i < s->n; i++) {
		struct store_seen_run run;

		memcpy(&run, s->runs + i * s->head.run, RUN);
		seen_spread(one, slice((const char *)&run, RUN));
	}
	s->n = seen_gather(one, s->made);
	s->head.packed = 1;
	return 0;
}

/* Runs of a later version may be longer: what is behind is skipped. */
int
store_seen_parse(struct slice row, struct store_seen *s)
{
	struct store_disk_seen d;
	uint32_t crc, next = 0;
	size_t front = sizeof(d);

	if (row.n < sizeof(d))
		return -EBADMSG;
	memcpy(&d, row.p, sizeof(d));
	crc = d.crc;
	s->head = d;
	s->head.packed = 0; /* not yet */
	d.crc = 0;
	if (d.packed == 1)
		front += sizeof(struct store_seen_bits);
	if (d.version != STORE_VERSION || d.packed > 1 || d.run < RUN || row.n < front ||
	    (row.n - front) % d.run != 0 ||
	    crc32c(crc32c(0, &d, sizeof(d)), row.p + sizeof(d), row.n - sizeof(d)) != crc)
		return -EBADMSG;
	s->runs = row.p + front;
	s->n = (row.n - front) / d.run;
	for (size_t i = 0; i < s->n; i++) {
		struct store_seen_run run = store_seen_at(s, i);

		if (run.first < next || run.last < run.first || run.last >= STORE_SEEN_CHUNK)
			return -EBADMSG;
		next = run.last + 1u;
	}
	return d.packed ? seen_unpack(s, row.p + sizeof(d)) : 0;
}

bool
store_seen_find(const struct store_seen *s, uint16_t offset, struct store_seen_run *run)
{
	size_t lo = 0, hi = s->n;

	while (lo < hi) { /* the first one that ends at it or behind it */
		size_t mid = (lo + hi) / 2;

		if (store_seen_at(s, mid).last < offset)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (lo == s->n)
		return false;
	*run = store_seen_at(s, lo);
	return run->first <= offset;
}

/* ---- marking ------------------------------------------------------------------------------- */

static int
seen_newest(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x > y ? -1 : x < y;
}

/* Of many runs the modseq above which the newest are. */
static uint64_t
seen_fresh(const struct store_seen_run *r, size_t n)
{
	uint64_t modseqs[STORE_SEEN_CHUNK];

	must(n > STORE_SEEN_FRESH && n <= STORE_SEEN_CHUNK);
	for (size_t i = 0; i < n; i++)
		modseqs[i] = r[i].modseq;
	qsort(modseqs, n, sizeof(modseqs[0]), seen_newest);
	return modseqs[STORE_SEEN_FRESH];
}

/* Joins those that touch and say the same, the newest apart: as many modseqs as are wanted soon stay as they are. */
static void
seen_join(struct buf *runs)
{
	struct store_seen_run *r = (void *)runs->p;
	size_t n = runs->n / RUN, kept = 0;
	uint64_t fresh = seen_fresh(r, n);

	for (size_t i = 0; i < n; i++) {
		struct store_seen_run *last = &r[kept ? kept - 1 : 0];

		if (kept && last->seen == r[i].seen && last->last + 1 == r[i].first &&
		    last->modseq <= fresh && r[i].modseq <= fresh) {
			last->last = r[i].last;
			if (r[i].modseq > last->modseq)
				last->modseq = r[i].modseq;
		} else
			r[kept++] = r[i];
	}
	runs->n = kept * RUN;
}

void
store_seen_put(struct buf *runs, struct slice marks)
{
	struct seen_one one[STORE_SEEN_CHUNK] = { 0 };
	struct store_seen_run all[STORE_SEEN_CHUNK];

	seen_spread(one, buf_get(runs));
	seen_spread(one, marks);
	buf_clear(runs);
	buf_add(runs, all, seen_gather(one, all) * RUN);
	if (runs->n > STORE_SEEN_FEW * RUN)
		seen_join(runs);
}

/* All but the newest become bits: their runs are taken out. */
static void
seen_pack(struct buf *runs, struct store_seen_bits *b)
{
	struct store_seen_run *r = (void *)runs->p;
	size_t n = runs->n / RUN, kept = 0;

	*b = (struct store_seen_bits){ .modseq = seen_fresh(r, n) };
	for (size_t i = 0; i < n; i++) {
		if (r[i].modseq > b->modseq) {
			r[kept++] = r[i];
			continue;
		}
		for (size_t k = r[i].first; k <= r[i].last; k++) {
			b->marked[k / 8] |= (uint8_t)(1u << k % 8);
			b->seen[k / 8] |= (uint8_t)(r[i].seen ? 1u << k % 8 : 0);
		}
	}
	runs->n = kept * RUN;
}

void
store_seen_write(struct buf *row, struct store_disk_seen head, struct slice runs)
{
	struct store_seen_bits bits;
	struct buf few = { 0 };
	struct store_seen_run run;

	head.version = STORE_VERSION;
	head.run = (uint16_t)RUN;
	head.packed = runs.n > STORE_SEEN_FEW * RUN;
	head.crc = 0;
	for (size_t i = 0; i < runs.n / RUN; i++) {
		memcpy(&run, runs.p + i * RUN, RUN);
		if (run.modseq > head.modseq)
			head.modseq = run.modseq;
	}
	if (head.packed) {
		buf_slice(&few, runs);
		seen_pack(&few, &bits);
		runs = buf_get(&few);
	}
	head.crc = crc32c(0, &head, sizeof(head));
	if (head.packed)
		head.crc = crc32c(head.crc, &bits, sizeof(bits));
	head.crc = crc32c(head.crc, runs.p, runs.n);
	buf_add(row, &head, sizeof(head));
	if (head.packed)
		buf_add(row, &bits, sizeof(bits));
	buf_slice(row, runs);
	buf_fini(&few);
}
