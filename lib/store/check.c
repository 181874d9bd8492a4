/* The records of a partition: do they agree with each other?  Files are in check-files.c.
 *
 * Called by storectl check and reconstruct, beside a running stored, in one snapshot of the
 * index; it changes nothing.  It fails only when the partition cannot be opened or read; what is
 * wrong there is a finding and the walk goes on.  Counts are made here from the rows and never
 * with the code that keeps them, else both would be wrong together. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "store/check-impl.h"

void
store_check_finding(struct checker *k, const char *fmt, ...)
{
	struct buf line = { 0 };
	va_list ap;

	va_start(ap, fmt);
	buf_vprintf(&line, fmt, ap);
	va_end(ap);
	if (k->held) {
		buf_slice(k->held, buf_get(&line));
		buf_char(k->held, '\n');
	} else {
		k->c->findings++;
		k->c->found(k->c->arg, buf_cstr(&line));
	}
	buf_fini(&line);
}

static int
cmp_u64(const void *a, const void *b)
{
	uint64_t x, y;

	memcpy(&x, a, 8);
	memcpy(&y, b, 8);
	return x < y ? -1 : x > y;
}

static int
cmp_waiting(const void *a, const void *b)
{
	const struct waiting *x = a, *y = b;

	if (x->mailbox != y->mailbox)
		return x->mailbox < y->mailbox ? -1 : 1;
	return x->uid < y->uid ? -1 : x->uid > y->uid;
}

void
store_check_sort(struct buf *b)
{
	if (b->n)
		qsort(b->p, b->n / 8, 8, cmp_u64);
}

bool
store_check_has(const struct buf *b, uint64_t v)
{
	return b->n && bsearch(&v, b->p, b->n / 8, 8, cmp_u64);
}

/* ---- deleted mailboxes that stored still empties ------------------------------------------------ */

static void
deleted_each(struct checker *k, void (*fn)(struct checker *k, uint64_t mailbox))
{
	MDB_cursor *c = store_cursor(k->v, STORE_T_INTENT);
	MDB_val key, d;

	for (int rc = mdb_cursor_get(c, &key, &d, MDB_FIRST); rc == 0;
	     rc = mdb_cursor_get(c, &key, &d, MDB_NEXT)) {
		struct slice account;
		uint64_t id = store_intent_empties(slice(d.mv_data, d.mv_size), &account);

		if (id)
			fn(k, id);
	}
}

/* Its directory will be the purge's. */
static void
deleted_waits(struct checker *k, uint64_t mailbox)
{
	struct waiting w = { .mailbox = mailbox };

	buf_add(&k->waiting, &w, sizeof(w));
}

/* Its blocks are no strays, nor what its messages have. */
static void
deleted_known(struct checker *k, uint64_t mailbox)
{
	const struct store_record *rec;
	struct store_blocks b;
	size_t n;

	buf_add(&k->boxes, &mailbox, 8);
	store_blocks_init(&b, k->v, mailbox, 0, UINT32_MAX);
	while ((rec = store_blocks_next(&b, &n)))
		for (size_t i = 0; i < n; i++) {
			uint64_t email = rec[i].emailid;

			buf_add(&k->emails, &email, 8);
		}
}

/* ---- what waits for the purge ---------------------------------------------------------------- */

void
store_check_waiting_load(struct checker *k)
{
	MDB_cursor *c = store_cursor(k->v, STORE_T_PURGE);
	MDB_val key, d;

	buf_clear(&k->waiting);
	for (int rc = mdb_cursor_get(c, &key, &d, MDB_FIRST); rc == 0;
	     rc = mdb_cursor_get(c, &key, &d, MDB_NEXT)) {
		struct store_disk_purge head;

		if (d.mv_size < sizeof(head))
			continue;
		memcpy(&head, d.mv_data, sizeof(head));
		for (size_t i = 0; i < head.count &&
		     sizeof(head) + (i + 1) * sizeof(struct store_purge_item) <= d.mv_size;
		     i++) {
			struct store_purge_item item;
			struct waiting w = { .mailbox = head.mailbox };
			uint64_t email;

			memcpy(&item, (char *)d.mv_data + sizeof(head) + i * sizeof(item),
			    sizeof(item));
			w.uid = item.uid;
			email = item.emailid;
			buf_add(&k->waiting, &w, sizeof(w));
			if (!k->again)
				buf_add(&k->emails, &email, 8);
		}
	}
	deleted_each(k, deleted_waits);
	if (k->waiting.n)
		qsort(k->waiting.p, k->waiting.n / sizeof(struct waiting), sizeof(struct waiting),
		    cmp_waiting);
}

bool
store_check_waiting_has(const struct checker *k, uint64_t mailbox, uint32_t uid)
{
	struct waiting w = { .mailbox = mailbox, .uid = uid };

	return k->waiting.n &&
	    bsearch(&w, k->waiting.p, k->waiting.n / sizeof(w), sizeof(w), cmp_waiting);
}

bool
store_check_waiting_any(const struct checker *k, uint64_t mailbox)
{
	return store_check_waiting_has(k, mailbox, 0);
}

/* ---- a mailbox ---------------------------------------------------------------------------------- */

struct counts {
	uint32_t exists, unseen, deleted, recent, first_unseen, last;
	uint64_t bytes, modseq, keywords;
	uint32_t placeless;  /* messages that `email` does not know */
	uint32_t threadless; /* messages that `thread` does not know, though they are in one */
	bool ordered;
};

/* Has the content's row in `cache` the place? */
static bool
came_first(struct checker *k, uint64_t mailbox, const struct store_record *rec)
{
	const char *places;
	size_t n = store_cache_places(store_get_cache(k->v, rec->emailid), &places);

	for (size_t i = 0; i < n; i++) {
		struct store_place_entry e = store_place_at(places, i);

		if (e.mailbox == mailbox && e.uid == rec->uid)
			return true;
	}
	return false;
}

static bool
has_place(struct checker *k, uint64_t mailbox, const struct store_record *rec)
{
	uint8_t key[20];

	if (!store_has(k->v, STORE_T_EMAIL))
		return true;
	store_be64(key, rec->emailid);
	store_be64(key + 8, mailbox);
	store_be32(key + 16, rec->uid);
	return store_fetch(k->v, STORE_T_EMAIL, key, sizeof(key)).p || came_first(k, mailbox, rec);
}

static bool
has_thread(struct checker *k, uint64_t account, const struct store_record *rec)
{
	uint8_t key[24];

	if (!store_has(k->v, STORE_T_THREAD) || rec->threadid == rec->emailid || !rec->threadid)
		return true;
	store_be64(key, account);
	store_be64(key + 8, rec->threadid);
	store_be64(key + 16, rec->emailid);
	return store_fetch(k->v, STORE_T_THREAD, key, sizeof(key)).p;
}

static void
damaged_block(struct checker *k, uint64_t mailbox, uint32_t block, const char *what)
{
	store_check_finding(k, "mailbox %llx: the %s of UIDs %u to %u is damaged",
	    (unsigned long long)mailbox, what, block * STORE_BLOCK,
	    block * STORE_BLOCK + (STORE_BLOCK - 1));
}

static void
check_missing(struct checker *k, uint64_t mailbox, uint32_t block, uint32_t uids, const char *what)
{
	for (; uids; uids &= uids - 1)
		store_check_finding(k, "mailbox %llx: uid %u has no %s",
		    (unsigned long long)mailbox,
		    block * STORE_BLOCK + (uint32_t)__builtin_ctz(uids), what);
}

/* Does the head name the largest? */
static bool
modseq_agrees(struct slice value, uint32_t block)
{
	struct store_record room[STORE_BLOCK];
	size_t n = store_states_read(value, block, room);
	uint64_t modseq = 0;

	for (size_t i = 0; i < n; i++)
		if (room[i].modseq > modseq)
			modseq = room[i].modseq;
	return modseq == store_states_modseq(value);
}

/* The two rows of a block; one of them may be missing. */
static void
check_rows(struct checker *k, uint64_t mailbox, uint32_t block, struct slice index,
    struct slice states)
{
	uint32_t records = store_block_uids(index), stated = store_states_uids(states);

	if (index.p && (!records || !store_block_crc_ok(index)))
		damaged_block(k, mailbox, block, "index");
	if (states.p && (!stated || !store_states_crc_ok(states) || !modseq_agrees(states, block)))
		damaged_block(k, mailbox, block, "state");
	if (records || !index.p)
		check_missing(k, mailbox, block, stated & ~records, "record");
	if (stated || !states.p)
		check_missing(k, mailbox, block, records & ~stated, "state");
}

static void
check_rows_v1(struct checker *k, uint64_t mailbox, uint32_t block, struct slice index)
{
	struct store_record room[STORE_BLOCK];

	if (!store_block_read_v1(index, block, room))
		damaged_block(k, mailbox, block, "index");
}

/* The mailbox's row of the table where the cursor is; its block, or UINT32_MAX. */
static uint32_t
row_here(int rc, uint64_t mailbox, const MDB_val *key)
{
	return rc == 0 && key->mv_size == 12 && store_get64(key->mv_data) == mailbox ?
	    store_get32((char *)key->mv_data + 8) :
	    UINT32_MAX;
}

/* Blocks as they lie there, in step through both tables: readers pass over damaged ones, and nobody
 * but us and the writer has the time for their checksums. */
static void
check_blocks(struct checker *k, uint64_t mailbox)
{
	bool both = store_has(k->v, STORE_T_STATE);
	MDB_cursor *c[2] = { store_cursor(k->v, STORE_T_INDEX),
		both ? store_cursor(k->v, STORE_T_STATE) : NULL };
	uint32_t at[2] = { UINT32_MAX, UINT32_MAX }, block;
	MDB_val d[2];
	uint8_t key[12];

	store_be64(key, mailbox);
	store_be32(key + 8, 0);
	for (size_t i = 0; i < (both ? 2 : 1); i++) {
		MDB_val from = { sizeof(key), key };

		at[i] = row_here(mdb_cursor_get(c[i], &from, &d[i], MDB_SET_RANGE), mailbox, &from);
	}
	while ((block = at[0] < at[1] ? at[0] : at[1]) != UINT32_MAX) {
		struct slice rows[2] = { { 0 }, { 0 } };

		for (size_t i = 0; i < 2; i++) {
			MDB_val next;

			if (at[i] != block)
				continue;
			rows[i] = slice(d[i].mv_data, d[i].mv_size);
			at[i] =
			    row_here(mdb_cursor_get(c[i], &next, &d[i], MDB_NEXT), mailbox, &next);
		}
		if (both)
			check_rows(k, mailbox, block, rows[0], rows[1]);
		else
			check_rows_v1(k, mailbox, block, rows[0]);
	}
}

static struct counts
count_box(struct checker *k, const struct store_mailbox *m)
{
	struct counts n = { .ordered = true };
	struct store_blocks b;
	const struct store_record *rec;
	size_t count;

	store_blocks_init(&b, k->v, m->id, 0, UINT32_MAX);
	while ((rec = store_blocks_next(&b, &count)))
		for (size_t i = 0; i < count; i++) {
			uint64_t email = rec[i].emailid;

			n.exists++;
			n.bytes += rec[i].size;
			n.deleted += !!(rec[i].flags & STORE_DELETED);
			n.recent += rec[i].uid >= m->recent_from;
			if (!(rec[i].flags & STORE_SEEN) && n.unseen++ == 0)
				n.first_unseen = rec[i].uid;
			n.ordered &= rec[i].uid > n.last &&
			    rec[i].uid / STORE_BLOCK == rec[0].uid / STORE_BLOCK;
			n.last = rec[i].uid;
			if (rec[i].modseq > n.modseq)
				n.modseq = rec[i].modseq;
			n.keywords |= rec[i].keywords;
			n.placeless += !has_place(k, m->id, &rec[i]);
			n.threadless += !has_thread(k, m->account, &rec[i]);
			buf_add(&k->emails, &email, 8);
		}
	return n;
}

/* Runs and index must name the same UIDs. */
static bool
runs_agree(struct checker *k, const struct store_mailbox *m)
{
	struct store_blocks b;
	const struct store_record *rec;
	struct store_range run = { 1, 0 };
	size_t count, at = 0;

	if (m->nruns == STORE_RUNS_UNKNOWN)
		return true;
	store_blocks_init(&b, k->v, m->id, 0, UINT32_MAX);
	while ((rec = store_blocks_next(&b, &count)))
		for (size_t i = 0; i < count; i++) {
			if (run.first > run.last) {
				if (at == m->nruns)
					return false;
				run = store_mailbox_run(m, at++);
			}
			if (rec[i].uid != run.first++)
				return false;
		}
	return at == m->nruns && run.first > run.last;
}

static void
check_box(struct checker *k, const struct store_mailbox *m)
{
	struct counts n = count_box(k, m);
	char who[64];

	check_blocks(k, m->id);

	snprintf(who, sizeof(who), "mailbox %llx", (unsigned long long)m->id);
#define SAME(what)                                                                                 \
	if (n.what != m->what)                                                                     \
	store_check_finding(k, "%s (%.*s %.*s): %s is %llu, not %llu", who, SARG(m->account_name), \
	    SARG(m->name), #what, (unsigned long long)n.what, (unsigned long long)m->what)
	SAME(exists);
	SAME(unseen);
	SAME(deleted);
	SAME(recent);
	SAME(bytes);
#undef SAME
	if (n.unseen && m->first_unseen > n.first_unseen)
		store_check_finding(k, "%s: first unseen is %u, not %u", who, n.first_unseen,
		    m->first_unseen);
	if (!n.ordered)
		store_check_finding(k, "%s: UIDs are not in order", who);
	if (n.last >= m->uidnext)
		store_check_finding(k, "%s: uid %u is not below uidnext %u", who, n.last,
		    m->uidnext);
	if (n.modseq > m->highestmodseq)
		store_check_finding(k, "%s: a message's modseq %llu is above highestmodseq %llu",
		    who, (unsigned long long)n.modseq, (unsigned long long)m->highestmodseq);
	if (m->nkeywords < STORE_KEYWORDS && n.keywords >> m->nkeywords)
		store_check_finding(k, "%s: messages have keywords without a name", who);
	if (n.placeless)
		store_check_finding(k, "%s: %u messages are not found by their ids", who,
		    n.placeless);
	if (n.threadless)
		store_check_finding(k, "%s: %u messages are not found by their threads", who,
		    n.threadless);
	if (!runs_agree(k, m))
		store_check_finding(k, "%s: the runs of UIDs are not those of the index", who);
	if (m->attrs & STORE_NOSELECT && n.exists)
		store_check_finding(k, "%s: a bare name has messages", who);
	k->c->messages += n.exists;
	k->c->bytes += n.bytes;
}

/* ---- an account ------------------------------------------------------------------------------------ */

static void
check_account(struct checker *k, struct slice name, const struct store_disk_account *a)
{
	struct store_folder f = { .account = a->id };
	uint64_t bytes = 0, messages = 0;
	uint32_t folders = 0;
	bool inbox = false;

	k->c->accounts++;
	while (store_next_folder(k->v, &f)) {
		struct store_mailbox m;
		uint64_t id = f.mailbox;
		uint8_t key[8];

		folders++;
		inbox |= slice_eq(f.name, S("INBOX"));
		store_be64(key, id);
		if (store_get_mailbox(k->v, id, &m) < 0 ||
		    !store_mailbox_crc_ok(store_fetch(k->v, STORE_T_MAILBOX, key, 8))) {
			store_check_finding(k,
			    "account %.*s: folder %.*s has no mailbox record or a damaged one",
			    SARG(name), SARG(f.name));
			continue;
		}
		if (m.account != a->id || !slice_eq(m.account_name, name) ||
		    !slice_eq(m.name, f.name))
			store_check_finding(k,
			    "mailbox %llx: its record says %.*s %.*s, its name %.*s %.*s",
			    (unsigned long long)id, SARG(m.account_name), SARG(m.name), SARG(name),
			    SARG(f.name));
		if (m.highestmodseq > a->modseq)
			store_check_finding(k, "mailbox %llx: highestmodseq is above the account's",
			    (unsigned long long)id);
		check_box(k, &m);
		k->c->mailboxes++;
		bytes += m.bytes;
		messages += m.exists;
		buf_add(&k->boxes, &id, 8);
	}
	if (!inbox)
		store_check_finding(k, "account %.*s: no INBOX", SARG(name));
	if (folders != a->mailboxes)
		store_check_finding(k, "account %.*s: %u mailboxes, not %u", SARG(name), folders,
		    a->mailboxes);
	if (bytes != a->bytes || messages != a->messages)
		store_check_finding(k,
		    "account %.*s: usage is %llu bytes in %llu messages, not %llu in %llu",
		    SARG(name), (unsigned long long)bytes, (unsigned long long)messages,
		    (unsigned long long)a->bytes, (unsigned long long)a->messages);
}

static void
check_accounts(struct checker *k)
{
	MDB_cursor *c = store_cursor(k->v, STORE_T_ACCOUNT);
	MDB_val key, d;

	for (int rc = mdb_cursor_get(c, &key, &d, MDB_FIRST); rc == 0;
	     rc = mdb_cursor_get(c, &key, &d, MDB_NEXT)) {
		struct slice name = slice(key.mv_data, key.mv_size);
		struct store_disk_account a;

		if (k->only.n && !slice_eq(k->only, name))
			continue;
		struct slice value = slice(d.mv_data, d.mv_size);

		if (!store_account_crc_ok(value) ||
		    store_value_read(value, STORE_ACCOUNT_V1, &a, sizeof(a)) < 0) {
			store_check_finding(k, "account %.*s: damaged record", SARG(name));
			continue;
		}
		check_account(k, name, &a);
		buf_add(&k->accounts, (uint64_t[]){ a.id }, 8);
	}
}

/* ---- rows that nothing leads to ----------------------------------------------------------------------- */

/* Blocks of mailboxes that are not there. */
static void
check_stray_blocks(struct checker *k, enum store_table t)
{
	MDB_cursor *c = store_cursor(k->v, t);
	uint8_t next[12];
	MDB_val key, d;

	for (int rc = mdb_cursor_get(c, &key, &d, MDB_FIRST); rc == 0;) {
		uint64_t id = store_get64(key.mv_data);

		if (!store_check_has(&k->boxes, id))
			store_check_finding(k, "mailbox %llx: %s without a mailbox",
			    (unsigned long long)id, store_tables[t].name);
		store_be64(next, id);
		store_be32(next + 8, UINT32_MAX);
		key = (MDB_val){ sizeof(next), next };
		rc = mdb_cursor_get(c, &key, &d, MDB_SET_RANGE);
	}
}

static void
check_strays(struct checker *k)
{
	MDB_cursor *c = store_cursor(k->v, STORE_T_MAILBOX);
	MDB_val key, d;
	int rc;

	for (rc = mdb_cursor_get(c, &key, &d, MDB_FIRST); rc == 0;
	     rc = mdb_cursor_get(c, &key, &d, MDB_NEXT))
		if (!store_check_has(&k->boxes, store_get64(key.mv_data)))
			store_check_finding(k, "mailbox %llx: no name leads to it",
			    (unsigned long long)store_get64(key.mv_data));
	check_stray_blocks(k, STORE_T_INDEX);
	if (store_has(k->v, STORE_T_STATE))
		check_stray_blocks(k, STORE_T_STATE);
	c = store_cursor(k->v, STORE_T_CACHE);
	for (rc = mdb_cursor_get(c, &key, &d, MDB_FIRST); rc == 0;
	     rc = mdb_cursor_get(c, &key, &d, MDB_NEXT))
		if (!store_check_has(&k->emails, store_get64(key.mv_data)))
			store_check_finding(k, "cache %llx: no message has this content",
			    (unsigned long long)store_get64(key.mv_data));
}

int
store_check_partition(const char *path, struct slice account, struct store_check *c, char **why)
{
	struct checker k = { .c = c, .only = account };
	struct store_reader *r;
	int rc = store_reader_open(path, &r, why);

	if (rc < 0)
		return rc;
	k.v = store_view_new(r);
	rc = store_begin(k.v);
	if (rc == 0) {
		store_check_waiting_load(&k);
		check_accounts(&k);
		deleted_each(&k, deleted_known);
		store_check_sort(&k.boxes);
		store_check_sort(&k.accounts);
		store_check_sort(&k.emails);
		if (!account.n) {
			check_strays(&k);
			store_check_annots(&k);
			store_check_seen(&k);
		}
		store_end(k.v);
		store_check_files(&k);
		if (c->bodies)
			store_check_bodies(&k);
		c->waiting += k.waiting.n / sizeof(struct waiting);
	} else
		*why = mem_printf("%s: no snapshot", path);
	buf_fini(&k.boxes);
	buf_fini(&k.accounts);
	buf_fini(&k.emails);
	buf_fini(&k.waiting);
	store_view_free(&k.v);
	store_reader_close(&r);
	return rc;
}
