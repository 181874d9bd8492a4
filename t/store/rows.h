/* t/store/rows.h: rows of the index, changed behind stored's back while it is stopped. */
#ifndef T_ROWS_H
#define T_ROWS_H
#include <lmdb.h>

#include "service.h"
#include "store/check.h"

/* A snapshot, for a moment: an index must not be open twice in one process. */
static inline struct store_view *
look(struct store_reader **r)
{
	char path[200], *why = NULL;
	struct store_view *v;

	snprintf(path, sizeof(path), "%s/store/partition/primary", dir);
	if (store_reader_open(path, r, &why) < 0 || !(v = store_view_new(*r)) || store_begin(v) < 0)
		abort();
	return v;
}

static inline void
close_look(struct store_reader **r, struct store_view *v)
{
	store_view_free(&v);
	store_reader_close(r);
}

/* All 0: it is not there, or damaged. */
static inline struct store_mailbox
mailbox(uint64_t id)
{
	struct store_reader *r;
	struct store_view *v = look(&r);
	struct store_mailbox m;

	if (store_get_mailbox(v, id, &m) < 0)
		m = (struct store_mailbox){ 0 };
	m.nkeywords = 0;
	close_look(&r, v);
	return m;
}

/* ---- behind its back: stored is stopped, and started again at the end ---------------------------- */

struct rows {
	MDB_env *env;
	MDB_txn *txn;
	MDB_dbi dbi;
};

static inline void
rows_open(struct rows *r, const char *table)
{
	char path[200];

	service_stop(SIGTERM);
	snprintf(path, sizeof(path), "%s/store/partition/primary/index", dir);
	if (mdb_env_create(&r->env) || mdb_env_set_maxdbs(r->env, 20) ||
	    mdb_env_open(r->env, path, 0, 0640) || mdb_txn_begin(r->env, NULL, 0, &r->txn) ||
	    mdb_dbi_open(r->txn, table, 0, &r->dbi))
		abort();
}

static inline void
rows_put(struct rows *r, const void *key, size_t nkey, const void *value, size_t n)
{
	MDB_val k = { nkey, (void *)(uintptr_t)key }, d = { n, (void *)(uintptr_t)value };

	if (mdb_put(r->txn, r->dbi, &k, &d, 0))
		abort();
}

static inline void
rows_close(struct rows *r)
{
	if (mdb_txn_commit(r->txn))
		abort();
	mdb_env_close(r->env);
	service_start();
	service_again();
}

enum how { FLIP, SHORTEN, REMOVE, RENAME };

/* Changes one row.  FLIP: a bit of its byte `at`; SHORTEN: to `at` bytes; RENAME: "Work" in it becomes
 * "Wor+". */
static inline void
damage(const char *table, const void *key, size_t n, enum how how, size_t at)
{
	struct rows r;
	MDB_val k = { n, (void *)(uintptr_t)key }, d;
	char copy[4096];

	rows_open(&r, table);
	if (mdb_get(r.txn, r.dbi, &k, &d) || d.mv_size > sizeof(copy))
		abort();
	memcpy(copy, d.mv_data, d.mv_size);
	if (how == RENAME)
		at = (size_t)((char *)memmem(copy, d.mv_size, "Work", 4) - copy) + 3;
	if (how == FLIP || how == RENAME)
		copy[at] ^= 0x40;
	if (how == REMOVE && mdb_del(r.txn, r.dbi, &k, NULL))
		abort();
	if (how != REMOVE)
		rows_put(&r, key, n, copy, how == SHORTEN ? at : d.mv_size);
	rows_close(&r);
}

static inline void
damage_mailbox(uint64_t id, enum how how, size_t at)
{
	uint8_t be[8];

	store_be64(be, id);
	damage("mailbox", be, 8, how, at);
}

static inline void
finding_tell(void *arg, const char *text)
{
	(void)arg;
	printf("# %s\n", text);
}

/* What storectl check finds; 999 findings: it could not look. */
static inline struct store_check
check(void)
{
	struct store_check c = { .found = finding_tell };
	char path[200], *why = NULL;

	snprintf(path, sizeof(path), "%s/store/partition/primary", dir);
	if (store_check_partition(path, slice(NULL, 0), &c, &why) < 0) {
		printf("# %s\n", why);
		mem_free(&why);
		c.findings = 999;
	}
	return c;
}
#endif
