/* Cache records that no message has: what a repair finds to be thrown away.
 *
 * Called by storectl reconstruct, through check.h, beside a running stored; in one snapshot, which it
 * begins and ends.  A content is in use when a message has it, in a block or among the arrivals of a
 * mailbox, or a file that waits for the purge. */
#include <errno.h>

#include "store/check-impl.h"

static void
collect_emails(struct checker *k)
{
	MDB_cursor *c = store_cursor(k->v, STORE_T_INDEX);
	MDB_val key, d;

	for (int rc = mdb_cursor_get(c, &key, &d, MDB_FIRST); rc == 0;
	     rc = mdb_cursor_get(c, &key, &d, MDB_NEXT)) {
		struct store_record room[STORE_BLOCK];
		size_t n;

		if (key.mv_size != 12)
			continue;
		n = store_block_records(slice(d.mv_data, d.mv_size),
		    store_get32((char *)key.mv_data + 8), room);
		for (size_t i = 0; i < n; i++) {
			uint64_t email = room[i].emailid;

			buf_add(&k->emails, &email, sizeof(email));
		}
	}
}

/* The same of mailboxes' arrivals. */
static void
collect_arrivals(struct checker *k)
{
	MDB_cursor *c = store_cursor(k->v, STORE_T_MAILBOX);
	MDB_val key, d;

	for (int rc = mdb_cursor_get(c, &key, &d, MDB_FIRST); rc == 0;
	     rc = mdb_cursor_get(c, &key, &d, MDB_NEXT)) {
		struct store_mailbox m;

		if (store_mailbox_parse(slice(d.mv_data, d.mv_size), 0, false, &m) < 0)
			continue;
		for (size_t i = 0; i < m.narrivals; i++) {
			uint64_t email = store_mailbox_arrival(&m, i).emailid;

			buf_add(&k->emails, &email, sizeof(email));
		}
	}
}

int
store_check_orphans(struct store_view *v, struct buf *emails)
{
	struct checker k = { .v = v };
	int rc = store_refresh(v);
	MDB_cursor *c;
	MDB_val key, d;

	if (rc < 0)
		return rc;
	store_check_waiting_load(&k);
	collect_emails(&k);
	collect_arrivals(&k);
	store_check_sort(&k.emails);
	c = store_cursor(v, STORE_T_CACHE);
	for (rc = mdb_cursor_get(c, &key, &d, MDB_FIRST); rc == 0;
	     rc = mdb_cursor_get(c, &key, &d, MDB_NEXT)) {
		uint64_t email = store_get64(key.mv_data);

		if (!store_check_has(&k.emails, email))
			buf_add(emails, &email, sizeof(email));
	}
	store_end(v);
	buf_fini(&k.emails);
	buf_fini(&k.waiting);
	return rc == MDB_NOTFOUND ? 0 : -EIO;
}
