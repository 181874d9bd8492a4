/* The tables of an index, and the row that says which they are. */
#include <errno.h>

#include "store/env.h"

int
store_env_format(MDB_txn *txn, struct store_format *f, char **why)
{
	MDB_val k = { 6, (void *)(uintptr_t) "format" }, d;
	struct slice row = { 0 };
	MDB_dbi meta;
	int rc = mdb_dbi_open(txn, store_tables[STORE_T_META].name, 0, &meta);

	*f = (struct store_format){ 0 };
	if (rc == MDB_NOTFOUND)
		return 0;
	if (rc == 0 && (rc = mdb_get(txn, meta, &k, &d)) == 0)
		row = slice(d.mv_data, d.mv_size);
	if (rc && rc != MDB_NOTFOUND)
		return rc;
	return store_format_check(row, f, why) < 0 ? EPROTO : 0;
}

int
store_env_tables(MDB_txn *txn, unsigned major, MDB_dbi dbi[STORE_TABLES])
{
	int rc = 0;

	for (enum store_table t = 0; t < STORE_TABLES && rc == 0; t++)
		if (store_table_in(t, major))
			rc = mdb_dbi_open(txn, store_tables[t].name, MDB_CREATE, &dbi[t]);
	return rc;
}

int
store_env_mark(MDB_txn *txn, MDB_dbi meta, int64_t created_at, int64_t upgraded_at)
{
	MDB_val k = { strlen(store_tables[STORE_T_TOMBSTONE].name),
		(void *)(uintptr_t)store_tables[STORE_T_TOMBSTONE].name };
	MDB_val d = { strlen(STORE_REFUSE_V1), (void *)(uintptr_t)STORE_REFUSE_V1 };
	struct buf row = { 0 };
	MDB_dbi main;
	int rc = mdb_dbi_open(txn, NULL, 0, &main);

	if (rc == 0)
		rc = mdb_put(txn, main, &k, &d, 0);
	store_format_write(&row, created_at, upgraded_at);
	k = (MDB_val){ 6, (void *)(uintptr_t) "format" };
	d = (MDB_val){ row.n, row.p };
	if (rc == 0)
		rc = mdb_put(txn, meta, &k, &d, 0);
	buf_fini(&row);
	return rc;
}
