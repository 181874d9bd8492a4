/* Mailboxes in the writer's memory, and the rows of what has changed.
 *
 * A record is read once, changed in memory by any number of jobs of a batch, and put once when the
 * batch ends: that makes a delivery cost O(1) rows however large the mailbox is.  Called by the
 * writer's thread.  A record that is there but damaged is -EBADMSG, never -ENOENT: who took it for
 * absent would make a new mailbox over it.  What is in memory must be what the last commit wrote,
 * and is forgotten after a batch that failed. */
#include <errno.h>
#include <stddef.h>
#include "base/crc.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/must.h"
#include "store/writer/writer-impl.h"

size_t
writer_name_key(uint8_t key[8 + STORE_NAME_MAX + 1], uint64_t account, struct slice name)
{
	must(name.n <= STORE_NAME_MAX);
	store_be64(key, account);
	if (name.n)
		memcpy(key + 8, name.p, name.n);
	return 8 + name.n;
}

/* ---- mailboxes ------------------------------------------------------------------------------- */

static void
writer_box_free(struct writer *w, struct wbox *b)
{
	for (size_t i = 0; i < b->nkeywords; i++)
		mem_free(&b->keywords[i]);
	mem_free(&b->keywords);
	mem_free(&b->runs);
	mem_free(&b->arrivals);
	writer_box_forget_tail(w, b);
	mem_free(&b->dir);
	mem_free(&b->name);
	mem_free(&b);
}

void
writer_box_set_name(struct wbox *b, const char *name)
{
	struct buf dir = { 0 };

	store_folder_dir(&dir, slice_str(b->acct->name), slice_str(name));
	mem_free(&b->dir);
	mem_free(&b->name);
	b->name = mem_str(name);
	b->dir = buf_take(&dir);
	memset(b->hh, 0, sizeof(b->hh));
}

struct wbox *
writer_box_remember(struct writer *w, struct wacct *a, uint64_t id, const char *name)
{
	struct wbox *b = mem_new(sizeof(*b));

	b->id = id;
	b->acct = a;
	b->may_flags = STORE_FLAGS_ALL;
	b->may_keywords = true;
	map_key_set(b->key, id);
	writer_box_set_name(b, name);
	map_put(&w->boxes, map_key(b->key), b);
	return b;
}

/* `be` is the row's key. */
static int
box_load(struct writer *w, uint64_t id, const uint8_t be[8], struct slice v, struct wbox **out)
{
	struct store_disk_mailbox head;
	struct store_mailbox m;
	struct wacct *a;
	struct wbox *b;
	char name[STORE_NAME_MAX + 1];

	if (!store_mailbox_crc_ok(v) || store_mailbox_head(v, &head) < 0 ||
	    store_mailbox_parse(v, id, true, &m) < 0 || m.name.n > STORE_NAME_MAX ||
	    m.narrivals > STORE_ARRIVALS)
		return writer_damage_note(w, STORE_T_MAILBOX, be, 8, "its record is damaged");
	slice_cstr(m.name, name, sizeof(name));
	switch (writer_account_find(w, m.account_name, &a)) {
	case 0: break;
	case -ENOENT:
		return writer_damage_note(w, STORE_T_MAILBOX, be, 8, "its account has no record");
	default: return -EBADMSG;
	}
	b = *out = writer_box_remember(w, a, id, name);
	b->d = head;
	b->nruns = m.nruns;
	if (m.nruns != STORE_RUNS_UNKNOWN && m.nruns) {
		b->runs_room = m.nruns;
		b->runs = mem_array(m.nruns, sizeof(*b->runs));
		memcpy(b->runs, m.runs, m.nruns * sizeof(*b->runs));
	}
	for (size_t i = 0; i < m.narrivals; i++)
		*writer_box_arrival_new(b) = store_mailbox_arrival(&m, i);
	b->nkeywords = m.nkeywords;
	b->keywords = m.nkeywords ? mem_array(m.nkeywords, sizeof(*b->keywords)) : NULL;
	for (size_t i = 0; i < m.nkeywords; i++)
		b->keywords[i] = mem_strn(m.keywords[i].p, m.keywords[i].n);
	return 0;
}

int
writer_box_find(struct writer *w, uint64_t id, struct wbox **b)
{
	uint8_t key[8], be[8];
	struct slice v;

	map_key_set(key, id);
	*b = map_get(&w->boxes, map_key(key));
	if (*b && !(*b)->gone)
		return 0;
	if (*b) {
		*b = NULL;
		return -ENOENT;
	}
	store_be64(be, id);
	v = writer_row_get(w, STORE_T_MAILBOX, be, 8);
	return v.p ? box_load(w, id, be, v, b) : w->error ? -EIO : -ENOENT;
}

/* A name that leads to no mailbox, or to one that is called otherwise, is damaged, or its mailbox's
 * record is: in either case the name is taken. */
int
writer_box_named(struct writer *w, struct wacct *a, struct slice name, struct wbox **b)
{
	uint8_t key[8 + STORE_NAME_MAX + 1];
	size_t nkey;
	struct store_disk_name row;
	struct slice v;
	int rc;

	*b = NULL;
	if (name.n > STORE_NAME_MAX)
		return -ENOENT;
	nkey = writer_name_key(key, a->d.id, name);
	v = writer_row_get(w, STORE_T_NAME, key, nkey);
	if (!v.p)
		return w->error ? -EIO : -ENOENT;
	if (store_value_read(v, sizeof(row), &row, sizeof(row)) < 0 || row.version != STORE_VERSION)
		return writer_damage_note(w, STORE_T_NAME, key, nkey, "its name is damaged");
	rc = writer_box_find(w, row.mailbox, b);
	if (rc == -ENOENT ||
	    (rc == 0 && ((*b)->acct != a || !slice_eq(slice_str((*b)->name), name)))) {
		*b = NULL;
		return writer_damage_note(w, STORE_T_NAME, key, nkey,
		    "its name leads to no mailbox of this name");
	}
	return rc;
}

int
writer_box_inbox(struct writer *w, struct wacct *a, struct wbox **b)
{
	int rc = a->inbox ? 0 : writer_box_named(w, a, S("INBOX"), &a->inbox);

	*b = a->inbox;
	return rc == -ENOENT ?
	    writer_damage_note(w, STORE_T_ACCOUNT, a->name, strlen(a->name), "it has no INBOX") :
	    rc;
}

struct wbox *
writer_box_selectable(struct writer *w, struct store_job *j, uint64_t id)
{
	struct wbox *b;
	int rc = writer_box_find(w, id, &b);

	if (rc == 0 && b->d.attrs & STORE_NOSELECT)
		rc = -ENOENT;
	if (rc < 0) {
		writer_reply_no_box(j, rc);
		return NULL;
	}
	return writer_reply_unless_may(w, j, b) ? NULL : b;
}

void
writer_box_dirty(struct writer *w, struct wbox *b)
{
	if (b->dirty || b->gone)
		return;
	b->dirty = true;
	b->next_dirty = w->dirty_boxes;
	w->dirty_boxes = b;
}

/* A change in the mailbox: the account's counter moves on, and the subscribers will hear. */
uint64_t
writer_box_touch(struct writer *w, struct wbox *b)
{
	b->d.highestmodseq = ++b->acct->d.modseq;
	writer_account_dirty(w, b->acct);
	writer_box_dirty(w, b);
	return b->d.highestmodseq;
}

static void
event_push(struct writer *w, enum store_event_kind kind, uint64_t account, uint64_t mailbox,
    uint64_t modseq)
{
	struct store_event e = { .kind = (uint8_t)kind,
		.account = account,
		.mailbox = mailbox,
		.modseq = modseq };

	buf_add(&w->events, &e, sizeof(e));
}

/* A mailbox is made or deleted.  The log has what others call it: of one that is gone nobody could find that
 * out, and one that is made is told by it from one that has changed. */
static void
box_event(struct writer *w, enum store_event_kind kind, const struct wbox *b, uint64_t modseq)
{
	event_push(w, kind, b->acct->d.id, b->id, modseq);
	writer_change_put(w, b->acct->d.id, modseq,
	    kind == STORE_EV_LIST ? STORE_CHANGE_FOLDER : STORE_CHANGE_DELETED, b->id,
	    slice((const char *)&b->d.objectid, sizeof(b->d.objectid)));
}

/* The record, its name row and its account's count.  Names must have been checked. */
struct wbox *
writer_box_new(struct writer *w, struct wacct *a, const char *name, enum store_special use)
{
	struct wbox *b = writer_box_remember(w, a, NEW_ID(w, mailbox), name);

	b->d = (struct store_disk_mailbox){ .version = STORE_VERSION,
		.special = (uint8_t)use,
		.account = a->d.id,
		.uidvalidity = writer_next_uidvalidity(w, a),
		.uidnext = 1,
		.recent_from = 1,
		.created_at = w->now,
		.objectid = NEW_ID(w, email) };
	a->d.mailboxes++;
	writer_box_touch(w, b);
	writer_name_put(w, b);
	box_event(w, STORE_EV_LIST, b, b->d.highestmodseq);
	return b;
}

void
writer_box_forget(struct writer *w, struct wbox *b)
{
	uint8_t be[8];

	writer_box_flush_tail(w, b); /* what its record has of messages would go with it */
	writer_acl_forget(w, b);
	writer_annot_forget(w, b);
	writer_seen_forget(w, b);
	store_be64(be, b->id);
	writer_row_del(w, STORE_T_MAILBOX, be, 8);
	writer_name_del(w, b->acct, b->name);
	b->acct->d.mailboxes--;
	writer_account_dirty(w, b->acct);
	if (b->acct->inbox == b)
		b->acct->inbox = NULL;
	b->gone = true; /* stays in the map until the batch is over */
	buf_add(&w->gone, &b, sizeof(struct wbox *));
	box_event(w, STORE_EV_DELETED, b, ++b->acct->d.modseq);
	writer_event_add(w, STORE_EV_LIST, b->acct->d.id, b->id, b->acct->d.modseq);
}

void
writer_name_put(struct writer *w, struct wbox *b)
{
	uint8_t key[8 + STORE_NAME_MAX + 1];
	struct store_disk_name row = { .version = STORE_VERSION,
		.attrs = b->d.attrs,
		.special = b->d.special,
		.mailbox = b->id };

	b->acct->uses_known = false;
	writer_row_put(w, STORE_T_NAME, key,
	    writer_name_key(key, b->acct->d.id, slice_str(b->name)), &row, sizeof(row), 0);
}

void
writer_name_del(struct writer *w, struct wacct *a, const char *name)
{
	uint8_t key[8 + STORE_NAME_MAX + 1];

	a->uses_known = false;
	writer_row_del(w, STORE_T_NAME, key, writer_name_key(key, a->d.id, slice_str(name)));
}

/* ---- rows ----------------------------------------------------------------------------------------- */

static void
box_put(struct writer *w, struct wbox *b)
{
	size_t nruns = b->nruns == STORE_RUNS_UNKNOWN ? 0 : b->nruns;
	struct store_disk_mailbox d = b->d;
	struct buf *v = &w->scratch;
	size_t room;
	uint32_t crc;
	uint8_t be[8];

	d.version = STORE_VERSION;
	d.crc = 0;
	d.head = sizeof(d);
	d.nkeywords = b->nkeywords;
	d.nruns = b->nruns;
	d.arrival = sizeof(*b->arrivals);
	d.narrivals = b->narrivals;
	d.account_len = (uint16_t)strlen(b->acct->name);
	d.name_len = (uint16_t)strlen(b->name);
	buf_clear(v);
	buf_add(v, &d, sizeof(d));
	if (nruns)
		buf_add(v, b->runs, nruns * sizeof(*b->runs));
	buf_add(v, b->acct->name, d.account_len);
	buf_add(v, b->name, d.name_len);
	for (size_t i = 0; i < b->nkeywords; i++) {
		size_t n = strlen(b->keywords[i]);

		buf_char(v, (char)n);
		buf_add(v, b->keywords[i], n);
	}
	d.arrivals_at = (uint16_t)v->n;
	memcpy(v->p + offsetof(struct store_disk_mailbox, arrivals_at), &d.arrivals_at,
	    sizeof(d.arrivals_at));
	if (b->narrivals)
		buf_add(v, b->arrivals, b->narrivals * sizeof(*b->arrivals));
	room = (store_row_room(b->narrivals) - b->narrivals) * sizeof(*b->arrivals);
	crc = crc32c(0, v->p, v->n);
	memcpy(v->p + offsetof(struct store_disk_mailbox, crc), &crc, sizeof(crc));
	store_be64(be, b->id);
	if (room)
		memset(buf_reserve(v, room), 0, room);
	writer_row_put_roomy(w, STORE_T_MAILBOX, slice((char *)be, 8), buf_get(v), v->n + room);
}

void
writer_flush_dirty(struct writer *w)
{
	struct wbox *b;
	struct wacct *a;

	while ((b = w->dirty_boxes)) {
		w->dirty_boxes = b->next_dirty;
		b->dirty = false;
		if (b->gone)
			continue;
		writer_box_keep_tail(w, b);
		box_put(w, b);
		writer_event_add(w, STORE_EV_MAILBOX, b->acct->d.id, b->id, b->d.highestmodseq);
	}
	while ((a = w->dirty_accounts)) {
		w->dirty_accounts = a->next_dirty;
		a->dirty = false;
		if (a->gone)
			continue;
		writer_change_trim(w, a);
		writer_thread_trim(w, a);
		writer_account_put(w, a);
	}
	writer_dup_flush(w);
	if (w->ids_dirty || w->oplog.changed)
		writer_batch_number(w);
}

void
writer_forget_all(struct writer *w)
{
	struct wbox *b;
	struct wacct *a;
	size_t at = 0;

	while ((b = map_next(&w->boxes, &at)))
		writer_box_free(w, b);
	map_fini(&w->boxes);
	w->boxes = (struct map){ 0 };
	at = 0;
	while ((a = map_next(&w->accounts, &at))) {
		mem_free(&a->name);
		mem_free(&a);
	}
	map_fini(&w->accounts);
	map_fini(&w->accounts_by_id);
	w->accounts = w->accounts_by_id = (struct map){ 0 };
	w->dirty_boxes = NULL;
	w->dirty_accounts = NULL;
	buf_clear(&w->gone);
}

void
writer_forget_gone(struct writer *w)
{
	for (size_t at = 0; at < w->gone.n; at += sizeof(struct wbox *)) {
		struct wbox *b;

		memcpy(&b, w->gone.p + at, sizeof(struct wbox *));
		map_take(&w->boxes, map_key(b->key));
		writer_box_free(w, b);
	}
	buf_clear(&w->gone);
}

void
writer_event_add(struct writer *w, enum store_event_kind kind, uint64_t account, uint64_t mailbox,
    uint64_t modseq)
{
	event_push(w, kind, account, mailbox, modseq);
	if (kind == STORE_EV_LIST)
		writer_change_put(w, account, modseq, STORE_CHANGE_FOLDER, mailbox, slice(NULL, 0));
}
