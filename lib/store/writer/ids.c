/* Numbers that are never used again: ids of accounts, mailboxes and contents, and the numbers of rows
 * in the tables that are queues.
 *
 * Called by the writer's thread.  The ids are a row of `meta`, read at start and put with every batch
 * that changes something, so that they and what they name are one transaction; the queues go on
 * behind their last row.  A damaged row refuses the start. */
#include "base/crc.h"
#include "store/writer/writer-impl.h"

/* 16 bits of the partition's name, so that the ids of a store's partitions differ. */
static uint64_t
tag_of(const char *name)
{
	uint32_t crc = crc32c(0, name, strlen(name));

	return (uint64_t)((crc ^ crc >> 16) & 0x7fff) << 48;
}

/* The number behind the last row of a queue table. */
static uint64_t
next_number(struct writer *w, enum store_table t, size_t at)
{
	MDB_cursor *c;
	MDB_val k, d;
	uint64_t n = 1;

	if (mdb_cursor_open(w->txn, w->env->dbi[t], &c) != 0)
		return 1;
	/* In `purge` the number is the second half of the key: the largest is not at the end. */
	for (int rc = mdb_cursor_get(c, &k, &d, at ? MDB_FIRST : MDB_LAST); rc == 0;
	     rc = at ? mdb_cursor_get(c, &k, &d, MDB_NEXT) : MDB_NOTFOUND)
		if (k.mv_size == at + 8 && store_get64((char *)k.mv_data + at) >= n)
			n = store_get64((char *)k.mv_data + at) + 1;
	mdb_cursor_close(c);
	return n;
}

int
writer_ids_load(struct writer *w)
{
	struct slice v = writer_row_get(w, STORE_T_META, "ids", 3);
	uint64_t tag = tag_of(w->config->name);

	if (v.p && store_value_read(v, STORE_IDS_V1, &w->ids, sizeof(w->ids)) < 0)
		return MDB_INVALID;
	w->next_purge = next_number(w, STORE_T_PURGE, 8);
	w->next_dupe = next_number(w, STORE_T_DUPE, 0);
	w->next_intent = next_number(w, STORE_T_INTENT, 0);
	if (v.p)
		return w->ids.version == STORE_VERSION ? 0 : MDB_VERSION_MISMATCH;
	w->ids = (struct store_disk_ids){ .version = STORE_VERSION,
		.account = tag | 1,
		.mailbox = tag | 1,
		.email = store_epoch_new(),
		.tag = tag,
		.log = 1 };
	w->ids.thread = w->ids.email;
	w->ids_dirty = w->fresh = true;
	return 0;
}

void
writer_ids_put(struct writer *w)
{
	writer_row_put(w, STORE_T_META, "ids", 3, &w->ids, sizeof(w->ids), 0);
}

uint64_t
writer_new_id(struct writer *w, size_t counter_at)
{
	uint64_t id, next;

	memcpy(&id, (char *)&w->ids + counter_at, sizeof(id));
	next = id + 1;
	if (counter_at == offsetof(struct store_disk_ids, email) && (uint32_t)next == 0)
		next = store_epoch_new(); /* the epoch's four thousand million are used up */
	memcpy((char *)&w->ids + counter_at, &next, sizeof(next));
	w->ids_dirty = true;
	return id;
}
