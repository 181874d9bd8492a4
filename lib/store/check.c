/* The records of a partition: do they agree with each other?  Files are in check_files.c. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "store/check_private.h"

void
finding(struct checker *k, const char *fmt, ...)
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

static void
sort_u64(struct buf *b)
{
	if (b->n)
		qsort(b->p, b->n / 8, 8, cmp_u64);
}

static bool
has_u64(const struct buf *b, uint64_t v)
{
	return b->n && bsearch(&v, b->p, b->n / 8, 8, cmp_u64);
}

/* ---- what waits for the purge ---------------------------------------------------------------- */

void
waiting_load(struct checker *k)
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
		    sizeof(head) + (i + 1) * sizeof(struct store_purge_item) <= d.mv_size; i++) {
			struct store_purge_item item;
			struct waiting w = { .mailbox = head.mailbox };
			uint64_t email;

			memcpy(&item, (char *)d.mv_data + sizeof(head) + i * sizeof(item), sizeof(item));
			w.uid = item.uid;
			email = item.emailid;
			buf_add(&k->waiting, &w, sizeof(w));
			if (!k->again)
				buf_add(&k->emails, &email, 8);
		}
	}
	if (k->waiting.n)
		qsort(k->waiting.p, k->waiting.n / sizeof(struct waiting), sizeof(struct waiting),
		    cmp_waiting);
}

bool
waiting_has(const struct checker *k, uint64_t mailbox, uint32_t uid)
{
	struct waiting w = { .mailbox = mailbox, .uid = uid };

	return k->waiting.n && bsearch(&w, k->waiting.p, k->waiting.n / sizeof(w), sizeof(w), cmp_waiting);
}

bool
waiting_any(const struct checker *k, uint64_t mailbox)
{
	return waiting_has(k, mailbox, 0);
}

/* ---- a mailbox ---------------------------------------------------------------------------------- */

struct counts {
	uint32_t exists, unseen, deleted, recent, first_unseen, last;
	uint64_t bytes, modseq, keywords;
	bool ordered;
};

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

	snprintf(who, sizeof(who), "mailbox %llx", (unsigned long long)m->id);
#define SAME(what)                                                                       \
	if (n.what != m->what)                                                           \
		finding(k, "%s (%.*s %.*s): %s is %llu, not %llu", who,                  \
		    SARG(m->account_name), SARG(m->name), #what,                         \
		    (unsigned long long)n.what, (unsigned long long)m->what)
	SAME(exists);
	SAME(unseen);
	SAME(deleted);
	SAME(recent);
	SAME(bytes);
#undef SAME
	if (n.unseen && m->first_unseen > n.first_unseen)
		finding(k, "%s: first unseen is %u, not %u", who, n.first_unseen, m->first_unseen);
	if (!n.ordered)
		finding(k, "%s: UIDs are not in order", who);
	if (n.last >= m->uidnext)
		finding(k, "%s: uid %u is not below uidnext %u", who, n.last, m->uidnext);
	if (n.modseq > m->highestmodseq)
		finding(k, "%s: a message's modseq %llu is above highestmodseq %llu", who,
		    (unsigned long long)n.modseq, (unsigned long long)m->highestmodseq);
	if (m->nkeywords < STORE_KEYWORDS && n.keywords >> m->nkeywords)
		finding(k, "%s: messages have keywords without a name", who);
	if (!runs_agree(k, m))
		finding(k, "%s: the runs of UIDs are not those of the index", who);
	if (m->attrs & STORE_NOSELECT && n.exists)
		finding(k, "%s: a bare name has messages", who);
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
			finding(k, "account %.*s: folder %.*s has no mailbox record or a damaged one",
			    SARG(name), SARG(f.name));
			continue;
		}
		if (m.account != a->id || !slice_eq(m.account_name, name) || !slice_eq(m.name, f.name))
			finding(k, "mailbox %llx: its record says %.*s %.*s, its name %.*s %.*s",
			    (unsigned long long)id, SARG(m.account_name), SARG(m.name), SARG(name),
			    SARG(f.name));
		if (m.highestmodseq > a->modseq)
			finding(k, "mailbox %llx: highestmodseq is above the account's",
			    (unsigned long long)id);
		check_box(k, &m);
		k->c->mailboxes++;
		bytes += m.bytes;
		messages += m.exists;
		buf_add(&k->boxes, &id, 8);
	}
	if (!inbox)
		finding(k, "account %.*s: no INBOX", SARG(name));
	if (folders != a->mailboxes)
		finding(k, "account %.*s: %u mailboxes, not %u", SARG(name), folders, a->mailboxes);
	if (bytes != a->bytes || messages != a->messages)
		finding(k, "account %.*s: usage is %llu bytes in %llu messages, not %llu in %llu",
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
		if (d.mv_size != sizeof(a)) {
			finding(k, "account %.*s: damaged record", SARG(name));
			continue;
		}
		memcpy(&a, d.mv_data, sizeof(a));
		check_account(k, name, &a);
	}
}

/* ---- rows that nothing leads to ----------------------------------------------------------------------- */

static void
check_strays(struct checker *k)
{
	MDB_cursor *c = store_cursor(k->v, STORE_T_MAILBOX);
	uint8_t next[12];
	MDB_val key, d;
	int rc;

	for (rc = mdb_cursor_get(c, &key, &d, MDB_FIRST); rc == 0;
	     rc = mdb_cursor_get(c, &key, &d, MDB_NEXT))
		if (!has_u64(&k->boxes, store_get64(key.mv_data)))
			finding(k, "mailbox %llx: no name leads to it",
			    (unsigned long long)store_get64(key.mv_data));
	c = store_cursor(k->v, STORE_T_INDEX);
	for (rc = mdb_cursor_get(c, &key, &d, MDB_FIRST); rc == 0;) {
		uint64_t id = store_get64(key.mv_data);

		if (!has_u64(&k->boxes, id))
			finding(k, "mailbox %llx: index without a mailbox", (unsigned long long)id);
		store_be64(next, id);
		store_be32(next + 8, UINT32_MAX);
		key = (MDB_val){ sizeof(next), next };
		rc = mdb_cursor_get(c, &key, &d, MDB_SET_RANGE);
	}
	c = store_cursor(k->v, STORE_T_CACHE);
	for (rc = mdb_cursor_get(c, &key, &d, MDB_FIRST); rc == 0;
	     rc = mdb_cursor_get(c, &key, &d, MDB_NEXT))
		if (!has_u64(&k->emails, store_get64(key.mv_data)))
			finding(k, "cache %llx: no message has this content",
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
		waiting_load(&k);
		check_accounts(&k);
		sort_u64(&k.boxes);
		sort_u64(&k.emails);
		if (!account.n)
			check_strays(&k);
		store_end(k.v);
		check_files(&k);
		c->waiting += k.waiting.n / sizeof(struct waiting);
	} else
		*why = mem_printf("%s: no snapshot", path);
	buf_fini(&k.boxes);
	buf_fini(&k.emails);
	buf_fini(&k.waiting);
	store_view_free(&k.v);
	store_reader_close(&r);
	return rc;
}
