/* Cache records that no message has: what a repair finds to be thrown away.
 *
 * Called by storectl reconstruct, through check.h, beside a running stored; in one snapshot, which it
 * begins and ends.  A content is in use when a message has it, in a block or among the arrivals of a
 * mailbox, or a file that waits for the purge: one that is there, since the purge lets a content go with
 * its last name and finds none for what was set aside or lost. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "store/check-impl.h"
#include "store/read-impl.h"

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

static bool
file_is_there(struct checker *k, struct slice dir, uint32_t uid)
{
	struct buf path = { 0 };
	bool there;

	buf_slice(&path, dir);
	store_message_name(&path, uid);
	there = faccessat(k->v->r->dirfd, buf_cstr(&path), F_OK, AT_SYMLINK_NOFOLLOW) == 0 ||
	    errno != ENOENT;
	buf_fini(&path);
	return there;
}

/* What waits for the purge in one mailbox. */
static void
collect_row(struct checker *k, struct slice row)
{
	struct store_disk_purge head;
	struct store_purge_item item;
	struct store_mailbox m;
	struct buf dir = { 0 };
	int rc;

	if (row.n < sizeof(head))
		return;
	memcpy(&head, row.p, sizeof(head));
	rc = store_get_mailbox(k->v, head.mailbox, &m);
	if (rc == 0)
		store_folder_dir(&dir, m.account_name, m.name);
	else if (rc == -ENOENT)
		store_deleted_dir(&dir, head.mailbox);
	for (size_t i = 0; i < head.count && sizeof(head) + (i + 1) * sizeof(item) <= row.n; i++) {
		uint64_t email;

		memcpy(&item, row.p + sizeof(head) + i * sizeof(item), sizeof(item));
		email = item.emailid;
		if (dir.n == 0 || file_is_there(k, buf_get(&dir), item.uid))
			buf_add(&k->emails, &email, sizeof(email));
	}
	buf_fini(&dir);
}

static void
collect_waiting(struct checker *k)
{
	MDB_cursor *c = store_cursor(k->v, STORE_T_PURGE);
	MDB_val key, d;

	for (int rc = mdb_cursor_get(c, &key, &d, MDB_FIRST); rc == 0;
	     rc = mdb_cursor_get(c, &key, &d, MDB_NEXT))
		collect_row(k, slice(d.mv_data, d.mv_size));
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
	collect_waiting(&k);
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
	return rc == MDB_NOTFOUND ? 0 : -EIO;
}
