/* Annotations: does each belong to a mailbox, is each what it says?
 *
 * Called by check.c in its snapshot, when the mailboxes are known.  Changes nothing; costs one walk. */
#include "store/annot.h"
#include "store/check-impl.h"
#include "store/quota.h"

static void
check_annot(struct checker *k, struct slice key, struct slice value)
{
	struct store_annot a;
	struct store_quota q;
	int rc = store_annot_parse(key, value, &a);

	if (rc < 0 && !a.account) {
		store_check_finding(k, "an annotation with a key of %zu bytes is damaged", key.n);
		return;
	}
	if (rc < 0)
		store_check_finding(k, "mailbox %llx: annotation %.*s is damaged",
		    (unsigned long long)a.mailbox, SARG(a.name));
	if (rc == 0 && !a.gone && slice_eq(a.name, S(STORE_ANNOT_QUOTA)) &&
	    store_quota_parse(a.value, &q) < 0)
		store_check_finding(k, "account %llx, mailbox %llx: its limits are no limits",
		    (unsigned long long)a.account, (unsigned long long)a.mailbox);
	if (a.mailbox && !store_check_has(&k->boxes, a.mailbox))
		store_check_finding(k, "mailbox %llx: annotation %.*s without a mailbox",
		    (unsigned long long)a.mailbox, SARG(a.name));
	if (!a.mailbox && !store_check_has(&k->accounts, a.account))
		store_check_finding(k, "account %llx: annotation %.*s without an account",
		    (unsigned long long)a.account, SARG(a.name));
}

void
store_check_annots(struct checker *k)
{
	MDB_cursor *c;
	MDB_val key, d;

	if (!store_has(k->v, STORE_T_ANNOT))
		return;
	c = store_cursor(k->v, STORE_T_ANNOT);
	for (int rc = mdb_cursor_get(c, &key, &d, MDB_FIRST); rc == 0;
	     rc = mdb_cursor_get(c, &key, &d, MDB_NEXT))
		check_annot(k, slice(key.mv_data, key.mv_size), slice(d.mv_data, d.mv_size));
}
