/* Rows of what readers have seen, bytes <-> structs, and the algebra of runs: tiermail-store(5).
 *
 * Pure; called by the writer, by readers and by check.  A row that is damaged is -EBADMSG, and says of nothing that it has
 * been seen.  A row has STORE_SEEN_CHUNK runs at most, so that whatever a reader marks, one more mark costs a row of
 * 14 KiB at the worst and of some hundred bytes as people read. */
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
	memcpy(&run, s->runs + i * s->head.run, sizeof(run));
	return run;
}

/* Runs of a later version may be longer: what is behind is skipped. */
int
store_seen_parse(struct slice row, struct store_seen *s)
{
	struct store_disk_seen d;
	uint32_t crc, next = 0;

	if (row.n < sizeof(d))
		return -EBADMSG;
	memcpy(&d, row.p, sizeof(d));
	crc = d.crc;
	s->head = d;
	d.crc = 0;
	if (d.version != STORE_VERSION || d.run < RUN || (row.n - sizeof(d)) % d.run != 0 ||
	    crc32c(crc32c(0, &d, sizeof(d)), row.p + sizeof(d), row.n - sizeof(d)) != crc)
		return -EBADMSG;
	s->runs = row.p + sizeof(d);
	s->n = (row.n - sizeof(d)) / d.run;
	for (size_t i = 0; i < s->n; i++) {
		struct store_seen_run run = store_seen_at(s, i);

		if (run.first < next || run.last < run.first || run.last >= STORE_SEEN_CHUNK)
			return -EBADMSG;
		next = run.last + 1u;
	}
	return 0;
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

void
store_seen_write(struct buf *row, struct store_disk_seen head, struct slice runs)
{
	struct store_seen_run run;

	head.version = STORE_VERSION;
	head.run = (uint16_t)RUN;
	head.crc = 0;
	for (size_t i = 0; i < runs.n / RUN; i++) {
		memcpy(&run, runs.p + i * RUN, RUN);
		if (run.modseq > head.modseq)
			head.modseq = run.modseq;
	}
	head.crc = crc32c(crc32c(0, &head, sizeof(head)), runs.p, runs.n);
	buf_add(row, &head, sizeof(head));
	buf_slice(row, runs);
}

/* ---- marking ------------------------------------------------------------------------------- */

static int
seen_newest(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x > y ? -1 : x < y;
}

/* Joins those that touch and say the same, the newest apart: as many modseqs as are wanted soon stay as they are. */
static void
seen_join(struct buf *runs)
{
	struct store_seen_run *r = (void *)runs->p;
	size_t n = runs->n / RUN, kept = 0;
	uint64_t modseqs[STORE_SEEN_CHUNK], fresh;

	must(n <= STORE_SEEN_CHUNK);
	for (size_t i = 0; i < n; i++)
		modseqs[i] = r[i].modseq;
	qsort(modseqs, n, sizeof(modseqs[0]), seen_newest);
	fresh = modseqs[STORE_SEEN_FRESH];
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

void
store_seen_put(struct buf *runs, struct slice marks)
{
	struct seen_one one[STORE_SEEN_CHUNK] = { 0 };

	seen_spread(one, buf_get(runs));
	seen_spread(one, marks);
	buf_clear(runs);
	for (size_t i = 0, k; i < STORE_SEEN_CHUNK; i = k) {
		struct store_seen_run run = { .modseq = one[i].modseq,
			.first = (uint16_t)i,
			.seen = one[i].seen };

		for (k = i + 1; k < STORE_SEEN_CHUNK && one[k].modseq == one[i].modseq &&
		     one[k].seen == one[i].seen;
		     k++)
			;
		run.last = (uint16_t)(k - 1);
		if (run.modseq)
			buf_add(runs, &run, RUN);
	}
	if (runs->n > STORE_SEEN_FEW * RUN)
		seen_join(runs);
}
