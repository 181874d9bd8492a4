/* What mailboxes give to whom, for readers.
 *
 * Called inside a snapshot by whoever shows a mailbox to one who is not its owner.  A row that is no good
 * gives nothing, and takes all that it could.  Costs a few look-ups for a mailbox, and one for each group that it names;
 * and for the list of those who share something three for each of them, and one for each group of who asks. */
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

static bool
rights_next(void *arg, struct slice *identifier, uint32_t *rights)
{
	const struct rights_of *of = arg;
	uint8_t key[STORE_ACL_KEY];
	MDB_val k = { store_acl_key(key, of->mailbox, *identifier), key }, d;
	size_t n = k.mv_size;
	MDB_cursor *c;
	int rc;

	if (!store_has(of->v, STORE_T_ACL))
		return false;
	c = store_cursor(of->v, STORE_T_ACL);
	rc = mdb_cursor_get(c, &k, &d, MDB_SET_RANGE);
	if (rc == 0 && k.mv_size == n && memcmp(k.mv_data, key, n) == 0)
		rc = mdb_cursor_get(c, &k, &d, MDB_NEXT);
	if (rc != 0 || k.mv_size <= 8 || k.mv_size > 8 + STORE_IDENTIFIER_MAX ||
	    memcmp(k.mv_data, key, 8) != 0)
		return false;
	*identifier = slice((const char *)k.mv_data + 8, k.mv_size - 8);
	*rights = store_acl_row_or(slice(d.mv_data, d.mv_size), *identifier);
	return true;
}

uint32_t
store_rights(struct store_view *v, const struct store_mailbox *m, struct store_person who)
{
	struct rights_of of = { v, m->id };
	const struct store_rights_rows rows = { rights_row, rights_next, &of };

	return store_rights_judge(m->account_name, &who, &rows);
}

/* ---- who shares ------------------------------------------------------------------------------ */

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

/* The first mailbox behind that one that the index has for any of a person's identifiers. */
struct share_first {
	struct store_view *v;
	uint64_t from_account, from_mailbox;
	uint64_t account, mailbox;
};

static void
share_first(struct share_first *f, struct slice identifier)
{
	uint64_t at = f->from_account, box = f->from_mailbox;

	if (!share_seek(f->v, identifier, &at, &box) ||
	    (at > f->account || (at == f->account && box >= f->mailbox)))
		return;
	f->account = at;
	f->mailbox = box;
}

static bool
share_any(struct share_first *f, const struct store_person *who)
{
	char anyone[STORE_IDENTIFIER_MAX + 1], name[STORE_IDENTIFIER_MAX + 1] = STORE_GROUP;
	struct slice names[STORE_NAMES], rest = who->groups, group;
	size_t n = store_identifiers(who->login, anyone, names), prefix = sizeof(STORE_GROUP) - 1;

	f->account = f->mailbox = UINT64_MAX;
	for (size_t i = 0; i < n; i++)
		share_first(f, names[i]);
	while (rest.n) { /* STORE_GROUPS_MOST */
		(void)slice_cut(&rest, ' ', &group);
		if (group.n > STORE_IDENTIFIER_MAX - prefix)
			continue;
		memcpy(name + prefix, group.p, group.n);
		share_first(f, slice(name, prefix + group.n));
	}
	return f->account != UINT64_MAX;
}

bool
store_next_sharer(struct store_view *v, struct store_person who, uint64_t *account,
    struct slice *owner)
{
	struct share_first f = { .v = v, .from_account = *account + 1 };
	struct store_mailbox m;

	if (!store_has(v, STORE_T_ACL))
		return false;
	while (share_any(&f, &who)) {
		f.from_account = f.account;
		f.from_mailbox = f.mailbox + 1;
		/* The row says no name; its mailbox does, unless it is damaged. */
		if (store_get_mailbox(v, f.mailbox, &m) < 0)
			continue;
		if (!slice_eq(m.account_name, who.login)) {
			*account = f.account;
			*owner = m.account_name;
			return true;
		}
		f.from_account = f.account + 1; /* one's own: all of them at once */
		f.from_mailbox = 0;
	}
	return false;
}

static bool
groups_indexed(struct store_view *v, struct slice prefix)
{
	uint8_t key[STORE_ACL_KEY];
	MDB_val k = { store_acl_key(key, 0, prefix), key }, d;

	return mdb_cursor_get(store_cursor(v, STORE_T_ACL), &k, &d, MDB_SET_RANGE) == 0 &&
	    k.mv_size > 8 + prefix.n && memcmp(k.mv_data, key, 8 + prefix.n) == 0;
}

bool
store_names_groups(struct store_view *v)
{
	return store_has(v, STORE_T_ACL) &&
	    (groups_indexed(v, S(STORE_GROUP)) || groups_indexed(v, S("-" STORE_GROUP)));
}
