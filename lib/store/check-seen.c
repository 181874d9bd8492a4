/* What readers have seen: does each row belong to a mailbox, is each what it says?
 *
 * Called by check.c in its snapshot, when the mailboxes are known.  Changes nothing; costs one walk. */
#include "store/check-impl.h"
#include "store/seen.h"

static void
check_seen(struct checker *k, struct slice key, struct slice value)
{
	struct store_seen row;
	struct slice login;
	uint64_t mailbox;
	uint32_t chunk;

	if (!store_seen_key_parse(key, &mailbox, &login, &chunk)) {
		store_check_finding(k,
		    "what a reader has seen, with a key of %zu bytes, is damaged", key.n);
		return;
	}
	if (store_seen_parse(value, &row) < 0)
		store_check_finding(k, "mailbox %llx: what %.*s has seen of it is damaged",
		    (unsigned long long)mailbox, SARG(login));
	if (!store_check_has(&k->boxes, mailbox))
		store_check_finding(k, "mailbox %llx: what %.*s has seen of it without a mailbox",
		    (unsigned long long)mailbox, SARG(login));
}

void
store_check_seen(struct checker *k)
{
	MDB_cursor *c;
	MDB_val key, d;

	if (!store_has(k->v, STORE_T_SEEN))
		return;
	c = store_cursor(k->v, STORE_T_SEEN);
	for (int rc = mdb_cursor_get(c, &key, &d, MDB_FIRST); rc == 0;
	     rc = mdb_cursor_get(c, &key, &d, MDB_NEXT))
		check_seen(k, slice(key.mv_data, key.mv_size), slice(d.mv_data, d.mv_size));
}
