/* Records that are there and no good: told once, and made again when storectl asks for it (MEND).
 *
 * Called by the writer's thread within its batch.  Accounts, names and mailboxes lead to everything
 * else; one that is damaged must not be taken for absent, or the next CREATE or delivery makes a new
 * one over messages that are still there.  So all who look for one get -EBADMSG from here.
 *
 * A mailbox is made again under its old id, so that its index, places and files stay its own, in slices
 * (long.c): its record comes with the last one, so that a kill before it leaves it damaged, to be mended
 * when that is asked again.  What only its record knew is gone: it gets a new UIDVALIDITY, because a next
 * UID that can only be guessed may have been given out before.  An account is made again with the id that its mailboxes name;
 * storectl has looked for those, for the writer cannot walk all mailboxes while others wait. */
#include <errno.h>

#include "base/log.h"
#include "base/mem.h"
#include "store/writer/writer-impl.h"

/* ---- telling ------------------------------------------------------------------------------------ */

struct damage {
	size_t n;
	char key[]; /* table, key of the row */
};

static struct slice
damage_key(struct buf *b, enum store_table t, const void *key, size_t n)
{
	buf_clear(b);
	buf_char(b, (char)t);
	buf_add(b, key, n);
	return buf_get(b);
}

int
writer_damage_note(struct writer *w, enum store_table t, const void *key, size_t n, const char *why)
{
	struct slice id = damage_key(&w->scratch, t, key, n);
	struct damage *d;
	struct buf what = { 0 };

	if (map_get(&w->damaged, id))
		return -EBADMSG;
	d = mem_new(sizeof(*d) + id.n);
	d->n = id.n;
	memcpy(d->key, id.p, id.n);
	map_put(&w->damaged, slice(d->key, d->n), d);
	w->stats.damaged = w->damaged.n;
	if (t == STORE_T_ACCOUNT)
		buf_printf(&what, "account=%s", log_value(slice(key, n)));
	else if (t == STORE_T_NAME)
		buf_printf(&what, "account=%llx folder=%s", (unsigned long long)store_get64(key),
		    log_value(slice((const char *)key + 8, n - 8)));
	else
		buf_printf(&what, "mailbox=%llx", (unsigned long long)store_get64(key));
	log_event(LOG_ERROR, "store_bad_record", "partition=%s %s error=%s",
	    log_str(w->config->name), buf_cstr(&what), log_str(why));
	buf_fini(&what);
	return -EBADMSG;
}

static void
damage_clear(struct writer *w, enum store_table t, const void *key, size_t n)
{
	struct damage *d = map_take(&w->damaged, damage_key(&w->scratch, t, key, n));

	mem_free(&d);
	w->stats.damaged = w->damaged.n;
}

void
writer_damage_fini(struct writer *w)
{
	struct damage *d;
	size_t at = 0;

	while ((d = map_next(&w->damaged, &at)))
		mem_free(&d);
	map_fini(&w->damaged);
}

/* ---- an account --------------------------------------------------------------------------------- */

/* Its counter must be above all that it ever gave out: what the change log has, and what storectl has
 * found in the mailboxes. */
static uint64_t
last_modseq(struct writer *w, uint64_t account, uint64_t least)
{
	uint8_t key[8];
	MDB_cursor *c;
	MDB_val k = { sizeof(key), key }, d;
	int rc;

	store_be64(key, account + 1);
	if (w->error || (w->error = mdb_cursor_open(w->txn, w->env->dbi[STORE_T_CHANGE], &c)))
		return least;
	rc = mdb_cursor_get(c, &k, &d, MDB_SET_RANGE);
	rc = mdb_cursor_get(c, &k, &d, rc == 0 ? MDB_PREV : MDB_LAST);
	if (rc == 0 && k.mv_size >= 16 && store_get64(k.mv_data) == account &&
	    store_get64((char *)k.mv_data + 8) > least)
		least = store_get64((char *)k.mv_data + 8);
	mdb_cursor_close(c);
	return least;
}

/* Sums are made by RECOUNT, which follows.  The change log may lack what the old record promised, so
 * it counts as complete from here on. */
static struct wacct *
account_mend(struct writer *w, const struct store_request *r)
{
	struct store_disk_account d = { .version = STORE_VERSION,
		.id = r->account,
		.created_at = w->now };
	struct wacct *a;

	d.modseq = last_modseq(w, r->account, r->since) + 1;
	d.changes_from = d.vanished_from = d.modseq;
	d.uidvalidity = r->count > (uint32_t)w->now ? r->count : (uint32_t)w->now;
	a = writer_account_remember(w, r->name, &d);
	writer_account_dirty(w, a);
	w->empty_due = true; /* what its deleted mailboxes have left may have waited for it */
	damage_clear(w, STORE_T_ACCOUNT, r->name.p, r->name.n);
	log_event(LOG_WARN, "store_mended", "partition=%s account=%s id=%llx",
	    log_str(w->config->name), log_value(r->name), (unsigned long long)d.id);
	return a;
}

/* ---- a mailbox ---------------------------------------------------------------------------------- */

/* The names of its keywords as far as the old record has them in a readable form: the messages' bits
 * mean nothing without.  Returns the bits that have one. */
static uint64_t
keywords_left(struct wbox *b, struct slice old)
{
	struct store_mailbox m;
	uint64_t named = 0;

	if (!old.p || store_mailbox_parse(old, b->id, true, &m) < 0)
		m.nkeywords = 0;
	for (size_t i = 0; i < m.nkeywords; i++)
		if (m.keywords[i].n && !store_keyword_ok(m.keywords[i]))
			m.nkeywords = 0;
	b->keywords = m.nkeywords ? mem_array(m.nkeywords, sizeof(*b->keywords)) : NULL;
	b->nkeywords = m.nkeywords;
	for (size_t i = 0; i < m.nkeywords; i++) {
		b->keywords[i] = mem_strn(m.keywords[i].p, m.keywords[i].n);
		named |= m.keywords[i].n ? 1ull << i : 0;
	}
	return named;
}

/* What is in its blocks, and which UIDs it had: in slices, before there is a record again.  The arrivals
 * that are good in the old one go into blocks first, where a kill leaves them to be met again.  Those that
 * went with it have files, which reconstruct finds by their UIDs: the change log says how far those go. */
static bool
box_count(struct writer *w, struct wcount *c, struct wacct *a, uint64_t id, struct slice old)
{
	/* Like one that is gone: no record of it is written. */
	struct wbox b = { .id = id, .acct = a, .gone = true };
	uint64_t named = keywords_left(&b, old);
	uint32_t last = 0;
	bool whole;

	if (!c->begun) {
		b.d.uidnext = b.d.recent_from = 1;
		writer_count_begin(c, &b);
		writer_box_salvage(&b, old);
		writer_box_flush_tail(w, &b);
	}
	whole = writer_count(w, c, &b, named) && writer_change_last(w, &b, c->change, &last);
	if (last >= c->d.uidnext)
		c->d.uidnext = last + 1;
	for (size_t i = 0; i < b.nkeywords; i++)
		mem_free(&b.keywords[i]);
	mem_free(&b.keywords);
	mem_free(&b.arrivals);
	return whole;
}

/* False: there is more to do. */
static bool
box_mend(struct writer *w, struct wlong *l, struct wacct *a, const char *name,
    const struct store_disk_name *row)
{
	struct buf old = { 0 };
	struct wbox *b;
	uint8_t be[8];

	store_be64(be, row->mailbox);
	buf_slice(&old, writer_row_get(w, STORE_T_MAILBOX, be, 8));
	if (!box_count(w, &l->count, a, row->mailbox, buf_get(&old))) {
		buf_fini(&old);
		return false;
	}
	b = writer_box_remember(w, a, row->mailbox, name);
	b->d = (struct store_disk_mailbox){ .version = STORE_VERSION,
		.attrs = row->attrs & STORE_NOSELECT,
		.special = row->special <= STORE_USE_MAX ? row->special : STORE_USE_NONE,
		.account = a->d.id,
		.uidvalidity = writer_next_uidvalidity(w, a),
		.uidnext = 1,
		.recent_from = 1,
		.created_at = w->now,
		.objectid = NEW_ID(w, email) };
	(void)keywords_left(b, buf_get(&old));
	writer_count_take(w, &l->count, b);
	writer_name_put(w, b);
	writer_event_add(w, STORE_EV_LIST, a->d.id, b->id, b->d.highestmodseq);
	damage_clear(w, STORE_T_MAILBOX, be, 8);
	log_event(LOG_WARN, "store_mended", "partition=%s account=%s folder=%s mailbox=%llx",
	    log_str(w->config->name), log_str(a->name), log_str(name), (unsigned long long)b->id);
	buf_fini(&old);
	return true;
}

/* The name leads to the mailbox that says that it is called so (storectl has found it); where there
 * is none, to the one that it leads to now, made again; and when that belongs to another name the
 * name goes, and comes back with its directory. */
static bool
name_mend(struct writer *w, struct wlong *l, struct wacct *a, const char *name, uint64_t found)
{
	uint8_t key[8 + STORE_NAME_MAX + 1];
	size_t nkey = writer_name_key(key, a->d.id, slice_str(name));
	struct slice v = writer_row_get(w, STORE_T_NAME, key, nkey);
	struct store_disk_name row;
	bool readable = store_value_read(v, sizeof(row), &row, sizeof(row)) == 0 &&
	    row.version == STORE_VERSION;
	struct wbox *b;

	if (found && writer_box_find(w, found, &b) == 0 && b->acct == a &&
	    strcmp(b->name, name) == 0)
		writer_name_put(w, b);
	else if (!readable || row.mailbox >> 48 != w->ids.tag >> 48 ||
	    writer_box_find(w, row.mailbox, &b) == 0)
		writer_row_del(w, STORE_T_NAME, key, nkey);
	else if (!box_mend(w, l, a, name, &row))
		return false;
	damage_clear(w, STORE_T_NAME, key, nkey);
	a->acl_counted = false; /* a name that was damaged led to no rows */
	a->inbox = NULL;
	writer_account_dirty(w, a);
	return true;
}

/* ---- MEND --------------------------------------------------------------------------------------- */

/* With a folder that one, else the account itself.  What is good stays as it is. */
static bool
mend_slice(struct writer *w, struct wlong *l)
{
	const struct store_request *r = &l->job->req;
	char name[STORE_NAME_MAX + 1];
	struct wacct *a;
	struct wbox *b;
	int rc = writer_account_find(w, r->name, &a);

	if (rc == -EBADMSG && r->account) {
		a = account_mend(w, r);
		l->changes++;
		rc = 0;
	}
	if (rc == 0) {
		l->account = a->d.id;
		l->alone = true;
	}
	if (rc == 0 && r->name2.n) {
		rc = store_name_check(r->name2, name) == 0 ?
		    writer_box_named(w, a, slice_str(name), &b) :
		    -ENOENT;
		if (rc == -EBADMSG) {
			if (!name_mend(w, l, a, name, r->mailbox))
				return false;
			l->changes++;
			rc = 0;
		}
	}
	if (rc < 0) {
		writer_reply_no_box(l->job, rc);
		return true;
	}
	writer_reply_ok(l->job);
	l->job->reply.account = a->d.id;
	l->job->reply.uid = l->changes;
	return true;
}

void
writer_run_mend(struct writer *w, struct store_job *j)
{
	writer_long_run(w, j, mend_slice, 0, 0);
}
