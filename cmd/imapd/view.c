/* imapd/view.c: sequence numbers and \Recent of a selected mailbox, RFC 3501 2.3.1.2, 2.3.2.
 *
 * Owns: the runs of UIDs that the client knows.  Called by the commands and by news.c, which moves the
 * view on.  Can fail: opening.  Must stay true: runs are ascending and numbered; a view of any size that
 * nobody punched holes into is one run. */
#include "view.h"

#include <errno.h>

#include "base/mem.h"
#include "imap/write.h"
#include "context.h"
#include "store/acl.h"

/* ---- runs ------------------------------------------------------------------------------ */

static void
view_number(struct view *v)
{
	uint32_t seq = 1;

	for (size_t i = 0; i < v->nruns; i++) {
		v->runs[i].seq = seq;
		seq += v->runs[i].last - v->runs[i].first + 1;
	}
	v->exists = seq - 1;
}

void
view_open(struct store_view *sv, const struct store_mailbox *m, bool readonly, struct view **out)
{
	struct buf runs = { 0 };
	struct view *v;
	store_uid_runs(sv, m, &runs);
	v = mem_new(sizeof(*v));
	list_init(&v->contexts);
	v->mailbox = m->id;
	v->uidvalidity = m->uidvalidity;
	v->uidnext = m->uidnext;
	v->modseq = v->synced = m->highestmodseq;
	v->keywords_id = m->keywords_id;
	v->readonly = readonly;
	v->rights = STORE_R_ALL;
	v->nruns = runs.n / sizeof(struct store_range);
	v->runs = mem_array(v->nruns + 1, sizeof(*v->runs));
	for (size_t i = 0; i < v->nruns; i++) {
		struct store_range range;

		memcpy(&range, runs.p + i * sizeof(range), sizeof(range));
		v->runs[i] = (struct run){ range.first, range.last, 0 };
	}
	buf_fini(&runs);
	view_number(v);
	*out = v;
}

void
view_set_runs(struct view *v, const struct store_range *r, size_t n)
{
	v->runs = mem_grow(v->runs, n + 1, sizeof(*v->runs));
	v->nruns = n;
	for (size_t i = 0; i < n; i++)
		v->runs[i] = (struct run){ r[i].first, r[i].last, 0 };
	view_number(v);
}

void
view_add_runs(struct view *v, const struct store_range *now, size_t n)
{
	size_t k = 0;

	while (k < n && now[k].last < v->uidnext)
		k++;
	v->runs = mem_grow(v->runs, v->nruns + (n - k) + 1, sizeof(*v->runs));
	for (; k < n; k++) {
		uint32_t first = now[k].first < v->uidnext ? v->uidnext : now[k].first;
		struct run *end = v->nruns ? &v->runs[v->nruns - 1] : NULL;

		if (end && end->last + 1 == first)
			end->last = now[k].last;
		else
			v->runs[v->nruns++] = (struct run){ first, now[k].last, 0 };
	}
	view_number(v);
}

void
view_free(struct view **v)
{
	if (!*v)
		return;
	contexts_free(*v);
	mem_release((*v)->recents);
	mem_release((*v)->runs);
	mem_release((*v)->saved);
	imapd.guests -= !!(*v)->owner;
	mem_release((*v)->owner);
	mem_free(v);
}

size_t
view_find(const struct view *v, uint32_t uid)
{
	size_t lo = 0, hi = v->nruns;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (v->runs[mid].last < uid)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

uint32_t
view_seq(const struct view *v, uint32_t uid)
{
	size_t i = view_find(v, uid);

	if (i == v->nruns || v->runs[i].first > uid)
		return 0;
	return v->runs[i].seq + (uid - v->runs[i].first);
}

static size_t
find_seq(const struct view *v, uint32_t seq)
{
	size_t lo = 0, hi = v->nruns;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (v->runs[mid].seq + (v->runs[mid].last - v->runs[mid].first) < seq)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

uint32_t
view_last_uid(const struct view *v)
{
	return v->nruns ? v->runs[v->nruns - 1].last : 0;
}

bool
view_uids(const struct view *v, struct imap_set *set, bool uid, struct arena *a)
{
	struct imap_set uids = { 0 };

	if (set->saved) {
		*set = (struct imap_set){ .r = v->saved, .n = v->nsaved };
		view_present(v, set, a);
		return true;
	}
	if (uid) {
		imap_set_resolve(set, view_last_uid(v));
		return true;
	}
	if (imap_set_resolve(set, v->exists) > v->exists)
		return false;
	for (size_t k = 0; k < set->n; k++) {
		struct imap_range r = set->r[k];

		for (size_t i = find_seq(v, r.lo); i < v->nruns && v->runs[i].seq <= r.hi; i++) {
			const struct run *run = &v->runs[i];
			uint32_t lo = r.lo > run->seq ? run->first + (r.lo - run->seq) : run->first;
			uint32_t end = run->seq + (run->last - run->first);
			uint32_t hi = r.hi < end ? run->first + (r.hi - run->seq) : run->last;

			imap_set_add(&uids, a, lo, hi);
		}
	}
	*set = uids;
	return true;
}

void
view_present(const struct view *v, struct imap_set *uids, struct arena *a)
{
	struct imap_set there = { 0 };
	size_t i = uids->n > 0 ? view_find(v, uids->r[0].lo) : 0;

	for (size_t k = 0; k < uids->n; k++) {
		const struct imap_range *r = &uids->r[k];

		while (i < v->nruns && v->runs[i].last < r->lo)
			i++;
		for (size_t j = i; j < v->nruns && v->runs[j].first <= r->hi; j++) {
			uint32_t lo = r->lo > v->runs[j].first ? r->lo : v->runs[j].first;
			uint32_t hi = r->hi < v->runs[j].last ? r->hi : v->runs[j].last;

			imap_set_add(&there, a, lo, hi);
			i = j;
		}
	}
	*uids = there;
}

/* Of "$", which lives as long as the mailbox is selected: half a MiB. */
#define SAVED_MAX 65536

bool
view_save(struct view *v, const struct imap_set *uids)
{
	mem_free(&v->saved);
	v->nsaved = 0;
	if (!uids)
		return true;
	if (uids->n > SAVED_MAX)
		return false;
	v->saved = mem_array(uids->n + 1, sizeof(*v->saved));
	if (uids->n > 0)
		memcpy(v->saved, uids->r, uids->n * sizeof(*v->saved));
	v->nsaved = uids->n;
	return true;
}

void
view_add_seqs(const struct view *v, const struct store_range *r, struct imap_set *set,
    struct arena *a)
{
	for (size_t i = view_find(v, r->first); i < v->nruns && v->runs[i].first <= r->last; i++) {
		const struct run *run = &v->runs[i];
		uint32_t lo = r->first > run->first ? r->first : run->first;
		uint32_t hi = r->last < run->last ? r->last : run->last;

		imap_set_add(set, a, run->seq + (lo - run->first), run->seq + (hi - run->first));
	}
}

/* ---- whose messages ------------------------------------------------------------------------ */

void
view_brought(struct view *v, const struct store_range *r, size_t n)
{
	for (size_t i = 0; i < n; i++)
		v->brought[v->nbrought++ % NELEM(v->brought)] = r[i];
}

void
view_not_brought(const struct view *v, uint32_t from, struct imap_set *set, struct arena *a)
{
	while (from < v->uidnext) {
		uint32_t end = v->uidnext - 1, past = 0;

		for (size_t i = 0; i < NELEM(v->brought); i++) {
			const struct store_range *r = &v->brought[i];

			if (r->first <= from && from <= r->last)
				past = r->last;
			else if (r->first > from && r->first <= end)
				end = r->first - 1;
		}
		if (!past)
			imap_set_add(set, a, from, end);
		from = (past ? past : end) + 1;
	}
}

/* ---- \Recent ------------------------------------------------------------------------------ */

void
view_recent_add(struct view *v, uint32_t first, uint32_t last)
{
	struct store_range *end = v->nrecents ? &v->recents[v->nrecents - 1] : NULL;

	if (end && first <= end->last)
		first = end->last + 1;
	if (first > last)
		return;
	if (end && end->last + 1 == first) {
		end->last = last;
		return;
	}
	v->recents = mem_grow(v->recents, v->nrecents + 1, sizeof(*v->recents));
	v->recents[v->nrecents++] = (struct store_range){ first, last };
}

void
view_recent_none(struct view *v)
{
	mem_free(&v->recents);
	v->nrecents = 0;
}

bool
view_is_recent(const struct view *v, uint32_t uid)
{
	size_t lo = 0, hi = v->nrecents;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (v->recents[mid].last < uid)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < v->nrecents && v->recents[lo].first <= uid;
}

uint32_t
view_count_recent(const struct view *v)
{
	uint32_t n = 0;

	for (size_t k = 0; k < v->nrecents; k++) {
		const struct store_range *r = &v->recents[k];

		for (size_t i = view_find(v, r->first); i < v->nruns && v->runs[i].first <= r->last;
		     i++) {
			uint32_t lo = v->runs[i].first > r->first ? v->runs[i].first : r->first;
			uint32_t hi = v->runs[i].last < r->last ? v->runs[i].last : r->last;

			n += hi - lo + 1;
		}
	}
	return n;
}
