/* Which records of an account are no good: see mend.h. */
#include "store/mend.h"

#include <errno.h>

#include "store/read-impl.h"

int
store_mend_look(struct store_view *v, uint64_t account, struct slice account_name,
    struct slice folder)
{
	struct store_mailbox m;
	uint8_t key[8];
	uint64_t id;
	int rc = store_find_mailbox(v, account, folder, &id);

	if (rc < 0)
		return rc;
	rc = store_get_mailbox(v, id, &m);
	if (rc < 0)
		return rc == -ENOENT ? -EBADMSG : rc;
	store_be64(key, id);
	return store_mailbox_crc_ok(store_fetch(v, STORE_T_MAILBOX, key, sizeof(key))) &&
		m.account == account && slice_eq(m.account_name, account_name) &&
		slice_eq(m.name, folder) ?
	    0 :
	    -EBADMSG;
}

void
store_mend_walk(struct store_view *v, struct slice account_name,
    void (*fn)(void *arg, const struct store_mailbox *m), void *arg)
{
	MDB_cursor *c = store_cursor(v, STORE_T_MAILBOX);
	MDB_val k, d;

	for (int rc = mdb_cursor_get(c, &k, &d, MDB_FIRST); rc == 0;
	     rc = mdb_cursor_get(c, &k, &d, MDB_NEXT)) {
		struct slice value = slice(d.mv_data, d.mv_size);
		struct store_mailbox m;

		if (k.mv_size == 8 && store_mailbox_crc_ok(value) &&
		    store_mailbox_parse(value, store_get64(k.mv_data), false, &m) == 0 &&
		    slice_eq(m.account_name, account_name))
			fn(arg, &m);
	}
}
