/* What mailboxes give to whom, for readers.
 *
 * Called inside a snapshot by whoever shows a mailbox to one who is not its owner.  A row that is no good
 * gives nothing, and takes all that it could.  Costs a few look-ups for a mailbox, and for the list of those who share something
 * three for each of them. */
#include <errno.h>

#include "store/acl.h"
#include "store/read-impl.h"

int
store_acl_find(struct store_view *v, uint64_t mailbox, struct slice identifier, uint32_t *rights)
{
	uint8_t key[8 + STORE_IDENTIFIER_MAX];

	if (!store_has(v, STORE_T_ACL) || identifier.n == 0 || identifier.n > STORE_IDENTIFIER_MAX)
		return -ENOENT;
	store_be64(key, mailbox);
	memcpy(key + 8, identifier.p, identifier.n);
	return store_acl_row(store_fetch(v, STORE_T_ACL, key, 8 + identifier.n), identifier,
		   rights) ?
	    0 :
	    -ENOENT;
}

bool
store_acl_next(struct store_view *v, uint64_t mailbox, struct slice *identifier, uint32_t *rights)
{
	uint8_t key[8 + STORE_IDENTIFIER_MAX];
	MDB_val k = { 8 + identifier->n, key }, d;
	struct store_disk_acl row;
	MDB_cursor *c;
	int rc;

	if (!store_has(v, STORE_T_ACL) || identifier->n > STORE_IDENTIFIER_MAX)
		return false;
	c = store_cursor(v, STORE_T_ACL);
	store_be64(key, mailbox);
	if (identifier->n)
		memcpy(key + 8, identifier->p, identifier->n);
	rc = mdb_cursor_get(c, &k, &d, MDB_SET_RANGE);
	if (rc == 0 && identifier->n && k.mv_size == 8 + identifier->n &&
	    memcmp(k.mv_data, key, k.mv_size) == 0)
		rc = mdb_cursor_get(c, &k, &d, MDB_NEXT);
	if (rc != 0 || k.mv_size <= 8 || memcmp(k.mv_data, key, 8) != 0 ||
	    store_value_read(slice(d.mv_data, d.mv_size), sizeof(row), &row, sizeof(row)) < 0)
		return false;
	*identifier = slice((const char *)k.mv_data + 8, k.mv_size - 8);
	*rights = row.rights;
	return true;
}

/* ---- a login's rights ---------------------------------------------------------------------- */

struct rights_of {
	struct store_view *v;
	uint64_t mailbox;
};

static bool
rights_row(void *arg, struct slice identifier, uint32_t *rights)
{
	const struct rights_of *of = arg;

	return store_acl_find(of->v, of->mailbox, identifier, rights) == 0;
}

uint32_t
store_rights(struct store_view *v, const struct store_mailbox *m, struct slice login)
{
	struct rights_of of = { v, m->id };

	return store_rights_judge(m->account_name, login, rights_row, &of);
}

/* The first row of the index for this identifier from {account, mailbox} on. */
static bool
share_seek(struct store_view *v, struct slice identifier, uint64_t *account, uint64_t *mailbox)
{
	uint8_t key[STORE_ACL_KEY];
	size_t n = store_share_key(key, identifier, *account, *mailbox);
	MDB_val k = { n, key }, d;

	if (mdb_cursor_get(store_cursor(v, STORE_T_ACL), &k, &d, MDB_SET_RANGE) != 0 ||
	    k.mv_size != n || memcmp(k.mv_data, key, n - 16) != 0)
		return false;
	*account = store_get64((const char *)k.mv_data + n - 16);
	*mailbox = store_get64((const char *)k.mv_data + n - 8);
	return true;
}

bool
store_next_sharer(struct store_view *v, struct slice login, uint64_t *account, struct slice *owner)
{
	char anyone[STORE_IDENTIFIER_MAX + 1];
	struct slice names[STORE_NAMES];
	size_t n = store_identifiers(login, anyone, names);
	uint64_t from_account = *account + 1, from_mailbox = 0;
	struct store_mailbox m;

	if (!store_has(v, STORE_T_ACL))
		return false;
	for (;;) {
		uint64_t a = UINT64_MAX, b = UINT64_MAX;

		for (size_t i = 0; i < n; i++) {
			uint64_t at = from_account, box = from_mailbox;

			if (share_seek(v, names[i], &at, &box) &&
			    (at < a || (at == a && box < b))) {
				a = at;
				b = box;
			}
		}
		if (a == UINT64_MAX)
			return false;
		from_account = a;
		from_mailbox = b + 1;
		/* The row says no name; its mailbox does, unless it is damaged. */
		if (store_get_mailbox(v, b, &m) < 0)
			continue;
		if (!slice_eq(m.account_name, login)) {
			*account = a;
			*owner = m.account_name;
			return true;
		}
		from_account = a + 1; /* one's own: all of them at once */
		from_mailbox = 0;
	}
}
