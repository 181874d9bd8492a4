/* What a delivery asks before it decides, and what it lets the account remember: marks.
 *
 * Called by the writer's thread within its batches, so that of two who claim the same mark one is first,
 * and who has got it may act when the answer comes: it is committed then.  What must stay true: strangers
 * set marks, by the mail that they send, so an account has STORE_MARKS_MAX at most, and each that is
 * set pays for its keeping: it looks at MARKS_LOOK others, and those that have ended go.  When all are wanted
 * the first of them to end makes room. */
#include <errno.h>

#include "store/writer/writer-impl.h"

#define MARKS_LOOK 16 /* rows behind a new one: random ones, for keys are */
#define MARK_KEY   24

/* ---- marks --------------------------------------------------------------------------------- */

static void
mark_key(uint8_t key[MARK_KEY], const struct wacct *a, const uint8_t mark[16])
{
	store_be64(key, a->d.id);
	memcpy(key + 8, mark, 16);
}

/* When it ends; 0: there is none. */
static uint32_t
mark_until(struct slice row)
{
	struct store_disk_mark d;

	return row.p && store_value_read(row, sizeof(d), &d, sizeof(d)) == 0 ? d.until : 0;
}

static uint32_t
marks_count(struct writer *w, const struct wacct *a)
{
	struct store_disk_marks d = { 0 };
	uint8_t key[8];
	struct slice row;

	store_be64(key, a->d.id);
	row = writer_row_get(w, STORE_T_MARK, key, sizeof(key));
	return row.p && store_value_read(row, sizeof(d), &d, sizeof(d)) == 0 ? d.count : 0;
}

static void
marks_count_set(struct writer *w, const struct wacct *a, uint32_t n)
{
	const struct store_disk_marks d = { .version = STORE_VERSION, .count = n };
	uint8_t key[8];

	store_be64(key, a->d.id);
	writer_row_put(w, STORE_T_MARK, key, sizeof(key), &d, sizeof(d), 0);
}

/* Marks of the account from `key` on, round to its first one: those that have ended go.  Returns how many went; with
 * `full` one at least, if there is one. */
static uint32_t
marks_sweep(struct writer *w, const uint8_t key[MARK_KEY], bool full)
{
	uint8_t first[MARK_KEY] = { 0 }, soonest[MARK_KEY] = { 0 };
	MDB_val k = { MARK_KEY, UNCONST(key) }, d;
	uint32_t gone = 0, end = UINT32_MAX;
	bool round = false;
	MDB_cursor *c;
	int rc;

	if (w->error || (w->error = mdb_cursor_open(w->txn, w->env->dbi[STORE_T_MARK], &c)))
		return 0;
	memcpy(first, key, 8);
	rc = mdb_cursor_get(c, &k, &d, MDB_SET_RANGE);
	for (int n = 0; n < MARKS_LOOK && !w->error; n++) {
		uint32_t until;

		if (rc || k.mv_size != MARK_KEY || memcmp(k.mv_data, key, 8) != 0) {
			if (round || (rc && rc != MDB_NOTFOUND))
				break;
			round = true;
			k = (MDB_val){ MARK_KEY, first };
			rc = mdb_cursor_get(c, &k, &d, MDB_SET_RANGE);
			continue;
		}
		until = mark_until(slice(d.mv_data, d.mv_size));
		if (until <= (uint32_t)w->now) {
			writer_row_del_here(w, STORE_T_MARK, c, &k);
			gone++;
		} else if (until < end) {
			end = until;
			memcpy(soonest, k.mv_data, MARK_KEY);
		}
		rc = mdb_cursor_get(c, &k, &d, MDB_NEXT);
	}
	mdb_cursor_close(c);
	if (full && gone == 0 && end != UINT32_MAX) {
		writer_row_del(w, STORE_T_MARK, soonest, MARK_KEY);
		gone = 1;
	}
	return gone;
}

/* Sets it; true when it stood. */
static bool
mark_set(struct writer *w, struct wacct *a, const struct store_question *q)
{
	bool over = q->seconds == 0 && q->what == STORE_KNOW_MARK;
	uint64_t end = (uint64_t)w->now + (q->seconds || over ? q->seconds : 1);
	struct store_disk_mark d = { .version = STORE_VERSION,
		.until = end < UINT32_MAX ? (uint32_t)end : UINT32_MAX };
	uint8_t key[MARK_KEY];
	struct slice row;
	bool there, stood;
	uint32_t n;

	mark_key(key, a, q->key);
	row = writer_row_get(w, STORE_T_MARK, key, sizeof(key));
	there = row.p;
	stood = mark_until(row) > (uint32_t)w->now;
	if (stood && q->what == STORE_KNOW_CLAIM)
		return true;
	if (!there) {
		uint32_t gone;

		n = marks_count(w, a);
		gone = marks_sweep(w, key, n >= STORE_MARKS_MAX);
		marks_count_set(w, a, n + 1 > gone ? n + 1 - gone : 1);
	}
	writer_row_put(w, STORE_T_MARK, key, sizeof(key), &d, sizeof(d), 0);
	return stood;
}

/* ---- folders ------------------------------------------------------------------------------- */

/* Goes through the names once, and keeps what it has found until a name or use changes. */
uint64_t
writer_use_find(struct writer *w, struct wacct *a, enum store_special use)
{
	uint8_t key[8];
	MDB_val k = { sizeof(key), key }, d;
	MDB_cursor *c;

	if (a->uses_known || use == STORE_USE_NONE)
		return use == STORE_USE_NONE ? 0 : a->uses[use];
	store_be64(key, a->d.id);
	if (w->error || (w->error = mdb_cursor_open(w->txn, w->env->dbi[STORE_T_NAME], &c)))
		return 0;
	memset(a->uses, 0, sizeof(a->uses));
	for (int rc = mdb_cursor_get(c, &k, &d, MDB_SET_RANGE);
	     rc == 0 && k.mv_size > 8 && memcmp(k.mv_data, key, 8) == 0;
	     rc = mdb_cursor_get(c, &k, &d, MDB_NEXT)) {
		struct store_disk_name row;

		if (store_value_read(slice(d.mv_data, d.mv_size), sizeof(row), &row, sizeof(row)) ==
			0 &&
		    row.special <= STORE_USE_MAX && !(row.attrs & STORE_NOSELECT) &&
		    !a->uses[row.special])
			a->uses[row.special] = row.mailbox;
	}
	mdb_cursor_close(c);
	a->uses_known = true;
	return a->uses[use];
}

/* Goes through all names: who files by such an id does so for want of one. */
uint64_t
writer_object_find(struct writer *w, struct wacct *a, uint64_t objectid)
{
	struct store_disk_name row;
	uint64_t found = 0;
	uint8_t key[8];
	MDB_val k = { sizeof(key), key }, d;
	MDB_cursor *c;
	struct wbox *b;

	store_be64(key, a->d.id);
	if (!objectid || w->error ||
	    (w->error = mdb_cursor_open(w->txn, w->env->dbi[STORE_T_NAME], &c)))
		return 0;
	for (int rc = mdb_cursor_get(c, &k, &d, MDB_SET_RANGE);
	     rc == 0 && !found && k.mv_size > 8 && memcmp(k.mv_data, key, 8) == 0;
	     rc = mdb_cursor_get(c, &k, &d, MDB_NEXT)) {
		if (store_value_read(slice(d.mv_data, d.mv_size), sizeof(row), &row, sizeof(row)) <
			0 ||
		    row.attrs & STORE_NOSELECT || writer_box_find(w, row.mailbox, &b) < 0)
			continue;
		if ((b->d.objectid ? b->d.objectid : b->id) == objectid)
			found = b->id;
	}
	mdb_cursor_close(c);
	return found;
}

static bool
folder_there(struct writer *w, struct wacct *a, struct slice folder, uint64_t *id)
{
	char name[STORE_NAME_MAX + 1];
	struct wbox *b;

	if (store_name_check(folder, name) < 0 || writer_box_named(w, a, slice_str(name), &b) < 0 ||
	    b->d.attrs & STORE_NOSELECT)
		return false;
	*id = b->id;
	return true;
}

static bool
use_there(struct writer *w, struct wacct *a, const struct store_question *q)
{
	uint64_t has = writer_use_find(w, a, (enum store_special)q->use), id = 0;

	return has && (q->folder.n == 0 || (folder_there(w, a, q->folder, &id) && id == has));
}

/* ---- the request --------------------------------------------------------------------------- */

static bool
know_one(struct writer *w, struct wacct *a, const struct store_question *q)
{
	uint8_t key[MARK_KEY];
	uint64_t id;

	switch ((enum store_know)q->what) {
	case STORE_KNOW_SEEN:
		mark_key(key, a, q->key);
		return mark_until(writer_row_get(w, STORE_T_MARK, key, sizeof(key))) >
		    (uint32_t)w->now;
	case STORE_KNOW_CLAIM:
	case STORE_KNOW_MARK: return mark_set(w, a, q);
	case STORE_KNOW_FOLDER: return folder_there(w, a, q->folder, &id);
	case STORE_KNOW_USE: return use_there(w, a, q);
	case STORE_KNOW_OBJECT: return writer_object_find(w, a, q->objectid);
	}
	return false;
}

void
writer_run_know(struct writer *w, struct store_job *j)
{
	struct wacct *a;
	int rc = writer_account_prepare(w, j->req.name, &a);

	if (rc < 0) {
		writer_reply_no_box(j, rc);
		return;
	}
	for (size_t i = 0; i < j->req.nquestions; i++)
		if (know_one(w, a, &j->req.questions[i]))
			j->reply.known |= 1ull << i;
	writer_reply_ok(j);
}
