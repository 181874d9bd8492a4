/* store/env.h: the tables of an index and the row that says which they are, for those who make one:
 * the writer, recovery, upgrade.  Nobody outside of lib/store includes it. */
#ifndef STORE_ENV_H
#define STORE_ENV_H
#include <lmdb.h>
#include "store/format.h"

/* What the index says of itself; major 0 = it is empty.  0, an LMDB code, or EPROTO and *why (heap,
 * caller frees). */
int store_env_format(MDB_txn *txn, struct store_format *f, char **why) MUSTCHECK;
/* Opens the tables of a major format, made when they are missing; others are not touched.  An LMDB
 * code. */
int store_env_tables(MDB_txn *txn, unsigned major, MDB_dbi dbi[STORE_TABLES]) MUSTCHECK;
/* Makes an index of our format say so: to us, and to programs of format 1.  An LMDB code. */
int store_env_mark(MDB_txn *txn, MDB_dbi meta, int64_t created_at, int64_t upgraded_at) MUSTCHECK;
#endif
