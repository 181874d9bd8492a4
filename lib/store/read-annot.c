/* Annotations, for readers.
 *
 * Called inside a snapshot by imapd.  The rows of one login in one mailbox lie together, in the order of
 * their entries; who looks for what has changed goes through those of a mailbox, or of an account, which
 * are bounded (annot.h).  A store that has no such table has no annotations.  A damaged row is passed over,
 * and check tells of it. */
#include <errno.h>

#include "store/annot.h"
#include "store/read-impl.h"

int
store_annot_find(struct store_view *v, uint64_t account, uint64_t mailbox, struct slice login,
    struct slice name, struct store_annot *a)
{
	uint8_t key[STORE_ANNOT_KEY];
	size_t n = store_annot_key(key, account, mailbox, login, name);
	struct slice row;

	/* A key would cut what is too long, and be another's. */
	if (name.n > STORE_ANNOT_NAME_MAX || login.n > STORE_ACCOUNT_MAX ||
	    !store_has(v, STORE_T_ANNOT))
		return -ENOENT;
	row = store_fetch(v, STORE_T_ANNOT, key, n);
	if (!row.p)
		return -ENOENT;
	if (store_annot_parse(slice((char *)key, n), row, a) < 0)
		return -EBADMSG;
	a->login = login; /* not the key, which is ours */
	a->name = name;
	return a->gone ? -ENOENT : 0;
}

void
store_annot_walk(struct store_annot_walk *w, uint64_t account, uint64_t mailbox)
{
	*w = (struct store_annot_walk){ .nprefix = 16, .n = 16 };
	store_be64(w->key, account);
	store_be64(w->key + 8, mailbox);
}

void
store_annot_walk_login(struct store_annot_walk *w, uint64_t account, uint64_t mailbox,
    struct slice login, struct slice name)
{
	*w = (struct store_annot_walk){ 0 };
	w->n = store_annot_key(w->key, account, mailbox, login, name);
	w->nprefix = w->n - slice_sub(name, 0, STORE_ANNOT_NAME_MAX).n;
}

void
store_annot_walk_account(struct store_annot_walk *w, uint64_t account, uint64_t from)
{
	store_annot_walk(w, account, from);
	w->nprefix = 8;
}

bool
store_annot_next(struct store_view *v, struct store_annot_walk *w, struct store_annot *a)
{
	int (*parse)(struct slice, struct slice, struct store_annot *) =
	    w->heads ? store_annot_head : store_annot_parse;
	MDB_val k = { w->n, w->key }, d;
	MDB_cursor *c;
	int rc;

	if (!store_has(v, STORE_T_ANNOT))
		return false;
	c = store_cursor(v, STORE_T_ANNOT);
	rc = mdb_cursor_get(c, &k, &d, MDB_SET_RANGE);
	if (rc == 0 && w->began && k.mv_size == w->n && memcmp(k.mv_data, w->key, w->n) == 0)
		rc = mdb_cursor_get(c, &k, &d, MDB_NEXT);
	w->began = true;
	for (; rc == 0 && k.mv_size >= w->nprefix && k.mv_size <= sizeof(w->key) &&
	     memcmp(k.mv_data, w->key, w->nprefix) == 0;
	     rc = mdb_cursor_get(c, &k, &d, MDB_NEXT)) {
		if (parse(slice(k.mv_data, k.mv_size), slice(d.mv_data, d.mv_size), a) < 0)
			continue;
		w->n = k.mv_size;
		memcpy(w->key, k.mv_data, k.mv_size);
		return true;
	}
	return false;
}
