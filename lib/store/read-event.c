/* Reading what waits for scripts: the rows of `event`, and which script a mailbox has.
 *
 * Called by imapd, which sees that they run.  A row that is damaged is passed over: it is one event that no script
 * hears of, and must not keep those behind it waiting. */
#include "store/annot.h"
#include "store/read-impl.h"

static bool
happened_parse(struct slice key, struct slice row, struct store_happened *e)
{
	struct store_disk_event d;
	size_t ranges;

	if (key.n != 8 || store_value_read(row, sizeof(d), &d, sizeof(d)) < 0)
		return false;
	ranges = d.count * sizeof(struct store_range);
	if (row.n < sizeof(d) + ranges + d.login_len || d.cause < STORE_CAUSE_APPEND ||
	    d.cause > STORE_CAUSE_FLAG)
		return false;
	*e = (struct store_happened){ .number = store_get64(key.p),
		.cause = (enum store_cause)d.cause,
		.flags = d.flags,
		.keywords = d.keywords,
		.account = d.account,
		.mailbox = d.mailbox,
		.from = d.from,
		.at = d.at,
		.ranges = slice_sub(row, sizeof(d), ranges),
		.login = slice_sub(row, sizeof(d) + ranges, d.login_len) };
	return true;
}

bool
store_happened_next(struct store_view *v, uint64_t after, struct store_happened *e)
{
	uint8_t key[8];
	MDB_val k = { sizeof(key), key }, d;
	MDB_cursor *c;

	if (!store_has(v, STORE_T_EVENT) || after == UINT64_MAX)
		return false;
	c = store_cursor(v, STORE_T_EVENT);
	store_be64(key, after + 1);
	for (int rc = mdb_cursor_get(c, &k, &d, MDB_SET_RANGE); rc == 0;
	     rc = mdb_cursor_get(c, &k, &d, MDB_NEXT))
		if (happened_parse(slice(k.mv_data, k.mv_size), slice(d.mv_data, d.mv_size), e))
			return true;
	return false;
}

/* RFC 6785 2.3.1: the entry is chosen before anybody looks at its value, and one that is empty runs nothing. */
bool
store_script_name(struct store_view *v, uint64_t account, uint64_t mailbox, struct slice *name)
{
	struct store_annot a;

	if (store_annot_find(v, account, mailbox, S(""), S(STORE_ANNOT_SCRIPT), &a) < 0 &&
	    store_annot_find(v, account, 0, S(""), S(STORE_ANNOT_SCRIPT), &a) < 0)
		return false;
	*name = a.value;
	return a.value.n > 0;
}
