/* An index of format 1 is read row by row and written in the format of today.
 *
 * Called by storectl, blocking.  The new index grows in index.new without syncs and is nothing until
 * it is whole, synced and has a snapshot; then two renames put it in place.  A stop before the first
 * of them leaves the old index, one between the two leaves none but index.v1 and a whole index.new:
 * the next call begins anew, or makes the second rename.  Damaged rows are told and left out: they
 * could not be read before, and the old index keeps them. */
#include <errno.h>

#include "base/clock.h"
#include "base/crc.h"
#include "base/mem.h"
#include "store/block.h"
#include "store/env.h"
#include "store/remake.h"
#include "store/upgrade.h"

#define TXN_ROWS  50000 /* rows in one transaction of the new index: bounds its dirty pages */
#define GONE_MOST 118   /* entries of a tombstone row: below half a page */

struct upgrading {
	struct store_upgrade *u;
	struct store_remake new;
	MDB_dbi new_dbi[STORE_TABLES];
	struct {
		MDB_env *env;
		MDB_txn *txn;
		MDB_dbi dbi[STORE_TABLES];
	} old;
	size_t rows; /* in the running transaction */
	struct store_disk_ids ids;
	uint64_t epoch; /* upper half of the ids of contents */
	struct buf value;
};

/* ---- rows ---------------------------------------------------------------------------------- */

static int
new_put(struct upgrading *g, enum store_table t, struct slice key, struct slice value)
{
	MDB_val k = { key.n, (void *)(uintptr_t)key.p },
		d = { value.n, (void *)(uintptr_t)value.p };
	int rc = mdb_put(g->new.txn, g->new_dbi[t], &k, &d, 0);

	if (rc == 0 && ++g->rows >= TXN_ROWS) {
		g->rows = 0;
		rc = mdb_txn_commit(g->new.txn);
		g->new.txn = NULL;
		if (rc == 0)
			rc = mdb_txn_begin(g->new.env, NULL, 0, &g->new.txn);
	}
	return rc;
}

static struct slice
old_get(struct upgrading *g, enum store_table t, const void *key, size_t n)
{
	MDB_val k = { n, (void *)(uintptr_t)key }, d;

	if (mdb_get(g->old.txn, g->old.dbi[t], &k, &d) != 0)
		return slice(NULL, 0);
	return slice(d.mv_data, d.mv_size);
}

/* The id of a content, made unique over hosts.  The old counters are far below 32 bits. */
static uint64_t
id_map(const struct upgrading *g, uint64_t id)
{
	uint64_t counter = id & 0xffffffffffff;

	return id && (id ^ g->ids.tag) >> 48 == 0 && counter <= UINT32_MAX ? g->epoch | counter :
									     id;
}

typedef int row_fn(struct upgrading *g, struct slice key, struct slice value);

static int
each_row(struct upgrading *g, enum store_table t, row_fn *fn)
{
	MDB_cursor *c;
	MDB_val k, d;
	int rc = mdb_cursor_open(g->old.txn, g->old.dbi[t], &c);

	if (rc)
		return rc;
	while (rc == 0 && (rc = mdb_cursor_get(c, &k, &d, MDB_NEXT)) == 0)
		rc = fn(g, slice(k.mv_data, k.mv_size), slice(d.mv_data, d.mv_size));
	mdb_cursor_close(c);
	return rc == MDB_NOTFOUND ? 0 : rc;
}

/* ---- the tables ---------------------------------------------------------------------------- */

static int
copy_name(struct upgrading *g, struct slice key, struct slice value)
{
	return new_put(g, STORE_T_NAME, key, value);
}

static int
copy_sub(struct upgrading *g, struct slice key, struct slice value)
{
	return new_put(g, STORE_T_SUB, key, value);
}

static int
copy_dupe(struct upgrading *g, struct slice key, struct slice value)
{
	return new_put(g, STORE_T_DUPE, key, value);
}

static int
copy_intent(struct upgrading *g, struct slice key, struct slice value)
{
	return new_put(g, STORE_T_INTENT, key, value);
}

/* Its change log begins now; what was expunged is known from before. */
static int
copy_account(struct upgrading *g, struct slice key, struct slice value)
{
	struct store_disk_account a;

	if (store_value_read(value, STORE_ACCOUNT_V1, &a, sizeof(a)) < 0) {
		store_remake_tell(&g->new, "account " SFMT ": the record is damaged", SARG(key));
		return new_put(g, STORE_T_ACCOUNT, key, value);
	}
	a.changes_from = a.modseq;
	a.vanished_from = 0;
	g->u->accounts++;
	return new_put(g, STORE_T_ACCOUNT, key, slice((char *)&a, sizeof(a)));
}

static int
copy_mailbox(struct upgrading *g, struct slice key, struct slice value)
{
	struct store_disk_mailbox d;
	uint32_t crc;

	if (!store_mailbox_crc_ok(value) || store_mailbox_head(value, &d) < 0) {
		store_remake_tell(&g->new, "mailbox %llx: the record is damaged",
		    key.n == 8 ? (unsigned long long)store_get64(key.p) : 0);
		return new_put(g, STORE_T_MAILBOX, key, value);
	}
	value = slice_from(value, d.head);
	d.head = sizeof(d);
	d.objectid = g->ids.email++;
	d.crc = 0;
	crc = crc32c(crc32c(0, &d, sizeof(d)), value.p, value.n);
	d.crc = crc;
	buf_clear(&g->value);
	buf_add(&g->value, &d, sizeof(d));
	buf_slice(&g->value, value);
	g->u->mailboxes++;
	return new_put(g, STORE_T_MAILBOX, key, buf_get(&g->value));
}

static int
place_put(struct upgrading *g, uint64_t mailbox, const struct store_record *rec)
{
	const char value = STORE_VERSION;
	uint8_t key[20];

	store_be64(key, rec->emailid);
	store_be64(key + 8, mailbox);
	store_be32(key + 16, rec->uid);
	return new_put(g, STORE_T_EMAIL, slice((char *)key, sizeof(key)), slice(&value, 1));
}

static int
copy_block(struct upgrading *g, struct slice key, struct slice value)
{
	struct store_record rec[STORE_BLOCK];
	struct store_block index = { .head = { 0 } };
	struct store_states states = { .head = { 0 } };
	uint64_t mailbox = 0;
	int rc = 0;
	size_t n = 0;

	if (key.n == 12) {
		mailbox = store_get64(key.p);
		n = store_block_read_v1(value, store_get32(key.p + 8), rec);
	}
	if (n == 0) {
		store_remake_tell(&g->new,
		    "mailbox %llx: a block of its index is damaged and left out",
		    (unsigned long long)mailbox);
		return 0;
	}
	for (size_t i = 0; i < n && rc == 0; i++) {
		struct store_group group = store_group_of(&rec[i]);
		uint8_t id[8];

		store_be64(id, rec[i].emailid);
		rec[i].sentday = g->u->sentday(old_get(g, STORE_T_CACHE, id, sizeof(id)));
		rec[i].emailid = id_map(g, rec[i].emailid);
		rec[i].threadid = id_map(g, rec[i].threadid);
		store_block_put(&index, &rec[i]);
		store_states_set(&states, &group);
		rc = place_put(g, mailbox, &rec[i]);
	}
	g->u->messages += n;
	if (rc == 0)
		rc = new_put(g, STORE_T_INDEX, key, store_block_seal(&index));
	if (rc == 0)
		rc = new_put(g, STORE_T_STATE, key, store_states_seal(&states));
	return rc;
}

static int
copy_cache(struct upgrading *g, struct slice key, struct slice value)
{
	uint8_t id[8];

	if (key.n != sizeof(id))
		return 0;
	store_be64(id, id_map(g, store_get64(key.p)));
	return new_put(g, STORE_T_CACHE, slice((char *)id, sizeof(id)), value);
}

static int
copy_purge(struct upgrading *g, struct slice key, struct slice value)
{
	const size_t head = sizeof(struct store_disk_purge);

	buf_clear(&g->value);
	buf_slice(&g->value, value);
	for (size_t at = head; at + sizeof(struct store_purge_item) <= value.n;
	     at += sizeof(struct store_purge_item)) {
		struct store_purge_item item;

		memcpy(&item, g->value.p + at, sizeof(item));
		item.emailid = id_map(g, item.emailid);
		memcpy(g->value.p + at, &item, sizeof(item));
	}
	return new_put(g, STORE_T_PURGE, key, buf_get(&g->value));
}

/* Tombstones of a mailbox become rows of its account's change log; of a deleted one they go. */
static int
copy_tombstone(struct upgrading *g, struct slice key, struct slice value)
{
	struct store_disk_tombstone head;
	struct store_disk_mailbox m;
	uint32_t number;
	int rc = 0;

	if (key.n != 20 || store_value_read(value, sizeof(head), &head, sizeof(head)) < 0 ||
	    store_mailbox_head(old_get(g, STORE_T_MAILBOX, key.p, 8), &m) < 0)
		return 0;
	value = slice_from(value, sizeof(head));
	number = (uint32_t)STORE_CHANGE_GONE << 24 | store_get32(key.p + 16) << 4;
	while (value.n >= sizeof(struct store_range) && rc == 0) {
		struct store_disk_change row = { .version = STORE_VERSION,
			.kind = STORE_CHANGE_GONE,
			.at = head.at,
			.mailbox = store_get64(key.p) };
		uint8_t to[20];

		buf_clear(&g->value);
		buf_add(&g->value, &row, sizeof(row));
		for (; value.n >= sizeof(struct store_range) && row.count < GONE_MOST;
		     row.count++) {
			struct store_range r;
			struct store_gone gone = { 0 };

			memcpy(&r, value.p, sizeof(r));
			gone.first = r.first;
			gone.last = r.last;
			buf_add(&g->value, &gone, sizeof(gone));
			value = slice_from(value, sizeof(r));
		}
		memcpy(g->value.p, &row, sizeof(row));
		store_be64(to, m.account);
		memcpy(to + 8, key.p + 8, 8);
		store_be32(to + 16, number++);
		rc = new_put(g, STORE_T_CHANGE, slice((char *)to, sizeof(to)), buf_get(&g->value));
	}
	return rc;
}

/* Numbers that were given out are not given out again; the batch is a new one, so that no snapshot
 * of the old format takes its place.  Nor does a frame of the old log that was written and not
 * committed: it has the number between. */
static int
meta_write(struct upgrading *g)
{
	int rc;

	g->ids.batch += 2;
	g->ids.log = 1;
	g->ids.thread = g->ids.email;
	rc = new_put(g, STORE_T_META, S("ids"), slice((char *)&g->ids, sizeof(g->ids)));
	return rc ? rc :
		    store_env_mark(g->new.txn, g->new_dbi[STORE_T_META], clock_now(), clock_now());
}

static int
meta_read(struct upgrading *g)
{
	struct slice v = old_get(g, STORE_T_META, "ids", 3);
	uint64_t counter;

	if (store_value_read(v, STORE_IDS_V1, &g->ids, sizeof(g->ids)) < 0 ||
	    g->ids.version != STORE_VERSION)
		return MDB_INVALID;
	g->epoch = store_epoch_new() & ~(uint64_t)UINT32_MAX;
	counter = g->ids.email & 0xffffffffffff;
	g->ids.email = counter < UINT32_MAX / 2 ? g->epoch | counter : store_epoch_new();
	return 0;
}

static int
upgrade_convert(struct upgrading *g)
{
	static const struct {
		enum store_table t;
		row_fn *fn;
	} steps[] = {
		{ STORE_T_ACCOUNT, copy_account },
		{ STORE_T_MAILBOX, copy_mailbox },
		{ STORE_T_NAME, copy_name },
		{ STORE_T_INDEX, copy_block },
		{ STORE_T_CACHE, copy_cache },
		{ STORE_T_TOMBSTONE, copy_tombstone },
		{ STORE_T_PURGE, copy_purge },
		{ STORE_T_DUPE, copy_dupe },
		{ STORE_T_SUB, copy_sub },
		{ STORE_T_INTENT, copy_intent },
	};
	int rc = meta_read(g);

	for (size_t i = 0; i < NELEM(steps) && rc == 0; i++)
		rc = each_row(g, steps[i].t, steps[i].fn);
	return rc ? rc : meta_write(g);
}

/* ---- environments -------------------------------------------------------------------------- */

/* 0 with g->u->nothing when there is nothing to do; -errno. */
static int
old_open(struct upgrading *g)
{
	char *index = mem_printf("%s/index", g->u->path);
	struct store_format f = { 0 };
	int rc = mdb_env_create(&g->old.env);

	if (rc == 0)
		rc = mdb_env_set_maxdbs(g->old.env, STORE_TABLES + 4);
	if (rc == 0)
		rc = mdb_env_open(g->old.env, index, MDB_RDONLY | MDB_NOLOCK | MDB_NORDAHEAD, 0640);
	if (rc == 0)
		rc = mdb_txn_begin(g->old.env, NULL, MDB_RDONLY, &g->old.txn);
	if (rc == 0)
		rc = store_env_format(g->old.txn, &f, g->new.why);
	g->u->nothing = f.major == 0 || f.major == STORE_MAJOR;
	for (enum store_table t = 0; t < STORE_TABLES && rc == 0 && !g->u->nothing; t++)
		if (store_table_in(t, f.major))
			rc = mdb_dbi_open(g->old.txn, store_tables[t].name, 0, &g->old.dbi[t]);
	rc = rc ? store_remake_fail(&g->new, rc, index) : 0;
	mem_free(&index);
	return rc;
}

static int
new_open(struct upgrading *g)
{
	MDB_envinfo info;
	uint64_t size = g->u->map_size;
	int rc = mdb_env_info(g->old.env, &info);

	if (rc)
		return store_remake_fail(&g->new, rc, "index");
	/* A map that was large enough must not be too small for the longer records. */
	if (size < info.me_mapsize * 2)
		size = info.me_mapsize * 2;
	rc = store_remake_dir(&g->new);
	if (rc == 0)
		rc = store_remake_open(&g->new, size);
	if (rc == 0) {
		rc = store_env_tables(g->new.txn, STORE_MAJOR, g->new_dbi);
		rc = rc ? store_remake_fail(&g->new, rc, "index.new") : 0;
	}
	return rc;
}

static void
old_close(struct upgrading *g)
{
	if (g->old.txn)
		mdb_txn_abort(g->old.txn);
	if (g->old.env)
		mdb_env_close(g->old.env);
}

static int
upgrade_run(struct upgrading *g)
{
	int rc;

	/* The former run was stopped between the renames. */
	if (!store_remake_there(&g->new, "index") && store_remake_there(&g->new, "index.v1") &&
	    store_remake_there(&g->new, "index.new")) {
		store_remake_tell(&g->new, "an upgrade that was stopped goes on");
		return store_remake_install(&g->new, "index.v1");
	}
	rc = old_open(g);
	if (rc == 0 && !g->u->nothing)
		rc = new_open(g);
	if (rc == 0 && !g->u->nothing) {
		rc = upgrade_convert(g);
		rc = rc ? store_remake_fail(&g->new, rc, "index.new") : 0;
	}
	if (rc == 0 && !g->u->nothing)
		rc = store_remake_finish(&g->new);
	old_close(g);
	if (rc == 0 && !g->u->nothing)
		rc = store_remake_install(&g->new, "index.v1");
	return rc;
}

int
store_upgrade(struct store_upgrade *u, char **why)
{
	struct upgrading g = { .u = u,
		.new = { .path = u->path,
		    .snapshots = u->snapshots,
		    .tell = u->tell,
		    .arg = u->arg,
		    .why = why } };
	int rc = store_remake_begin(&g.new);

	if (rc == 0)
		rc = upgrade_run(&g);
	store_remake_end(&g.new);
	buf_fini(&g.value);
	return rc;
}
