/* Which thread a message joins when it comes into an account: store/thread.h has the rule and its bounds.
 *
 * Called by the writer's thread within its batch, for DELIVER, APPEND, REPLACE, RESTORE and RELINK, and for
 * COPY from another account; a copy within the account has the thread of its source.  Rows of `ref` lead from
 * a Message-ID to a thread, also for IDs that nothing has brought yet, so that it does not matter in which
 * order messages come; rows of `thread` from a thread to its messages.  A message of no conversation costs one
 * row.  Flags and EXPUNGE write nothing here: what the purge has made meaningless goes a few rows
 * at a time, when mail comes.  A message that is gone keeps its row for REF_DAYS, so that answers to each other
 * find together when what they answer is not kept. */
#include "base/random.h"
#include "store/thread.h"
#include "store/writer/writer-impl.h"

#define REF_DAYS   90
#define HOPS       4  /* threads that are full, one behind the other, that are looked through */
#define TRIM_EVERY 32 /* modseqs between two looks for old rows */
#define TRIM_MOST  64 /* rows of each table that one look sees */

struct joining {
	struct writer *w;
	struct wacct *a;
	uint64_t emailid;
	struct store_refs refs;
	/* What rows say of the message itself, which is 0, and its references; version 0: there is none. */
	struct store_disk_ref rows[1 + STORE_REFS];
	struct store_disk_ref thread; /* the one that it joins or begins */
	uint16_t number;              /* in it, */
	uint64_t last;                /* whose last row was this content's */
	MDB_cursor *members;          /* on `thread`; NULL = not yet needed */
};

/* ---- rows ------------------------------------------------------------------------------------ */

static void
ref_key(uint8_t key[16], const struct wacct *a, uint64_t hash)
{
	store_be64(key, a->d.id);
	store_be64(key + 8, hash);
}

static void
ref_get(struct joining *j, uint64_t hash, struct store_disk_ref *row)
{
	uint8_t key[16];
	struct slice v;

	ref_key(key, j->a, hash);
	v = writer_row_get(j->w, STORE_T_REF, key, sizeof(key));
	if (!v.p || store_value_read(v, sizeof(*row), row, sizeof(*row)) < 0)
		row->version = 0;
}

static struct store_disk_ref
ref_row(const struct joining *j, enum store_ref_kind kind)
{
	struct store_disk_ref row = j->thread;

	row.version = STORE_VERSION;
	row.kind = (uint8_t)kind;
	row.day = (uint16_t)(j->w->now / 86400);
	row.emailid = j->emailid;
	row.subject = j->refs.subject;
	return row;
}

/* The hash leads to the thread. */
static void
ref_put(struct joining *j, uint64_t hash, enum store_ref_kind kind)
{
	struct store_disk_ref row = ref_row(j, kind);
	uint8_t key[16];

	ref_key(key, j->a, hash);
	writer_row_put(j->w, STORE_T_REF, key, sizeof(key), &row, sizeof(row), 0);
}

/* The same of the message's own id, if nothing is known of it: by one way down the tree.  False: *row is what is
 * known. */
static bool
ref_put_new(struct joining *j, uint64_t hash, struct store_disk_ref *row)
{
	struct store_disk_ref own = ref_row(j, STORE_REF_OWN);
	uint8_t key[16];
	MDB_val k = { sizeof(key), key }, d = { sizeof(own), &own };
	int rc;

	ref_key(key, j->a, hash);
	if (j->w->error)
		return true;
	rc = mdb_put(j->w->txn, j->w->env->dbi[STORE_T_REF], &k, &d, MDB_NOOVERWRITE);
	if (rc == MDB_KEYEXIST) {
		if (store_value_read(slice(d.mv_data, d.mv_size), sizeof(*row), row, sizeof(*row)) <
		    0)
			row->version = 0;
		return false;
	}
	j->w->error = rc;
	writer_oplog_op(j->w, OPLOG_PUT, STORE_T_REF, slice((char *)key, sizeof(key)),
	    slice((char *)&own, sizeof(own)));
	return true;
}

static void
thread_member_key(uint8_t key[24], const struct wacct *a, uint64_t threadid, uint64_t emailid)
{
	store_be64(key, a->d.id);
	store_be64(key + 8, threadid);
	store_be64(key + 16, emailid);
}

/* A cursor that stays: what is put is mostly behind the row that was looked at. */
static bool
thread_members(struct joining *j)
{
	if (!j->w->error && !j->members)
		j->w->error =
		    mdb_cursor_open(j->w->txn, j->w->env->dbi[STORE_T_THREAD], &j->members);
	return !j->w->error;
}

static void
thread_member_put(struct joining *j, uint64_t emailid, uint16_t number)
{
	struct store_disk_member row = { .version = STORE_VERSION, .number = number };
	uint8_t key[24];
	MDB_val k = { sizeof(key), key }, d = { sizeof(row), &row };

	thread_member_key(key, j->a, j->thread.threadid, emailid);
	writer_oplog_op(j->w, OPLOG_PUT, STORE_T_THREAD, slice((char *)key, sizeof(key)),
	    slice((char *)&row, sizeof(row)));
	if (thread_members(j))
		j->w->error = mdb_cursor_put(j->members, &k, &d, 0);
}

/* The number of the last row of the thread, whose content is *emailid; both 0: it has no rows. */
static uint16_t
thread_member_last(struct joining *j, uint64_t threadid, uint64_t *emailid)
{
	struct store_disk_member row;
	uint8_t key[24];
	MDB_val k = { sizeof(key), key }, d;
	int rc;

	*emailid = 0;
	if (!thread_members(j))
		return 0;
	thread_member_key(key, j->a, threadid, UINT64_MAX);
	rc = mdb_cursor_get(j->members, &k, &d, MDB_SET_RANGE);
	rc = mdb_cursor_get(j->members, &k, &d, rc == 0 ? MDB_PREV : MDB_LAST);
	if (rc || k.mv_size != sizeof(key) || memcmp(k.mv_data, key, 16) != 0 ||
	    store_value_read(slice(d.mv_data, d.mv_size), sizeof(row), &row, sizeof(row)) < 0)
		return 0;
	*emailid = store_get64((char *)k.mv_data + 16);
	return row.number;
}

/* ---- which one ------------------------------------------------------------------------------- */

static bool
ref_older(const struct store_disk_ref *x, const struct store_disk_ref *y)
{
	return x->born != y->born ? x->born < y->born : x->threadid < y->threadid;
}

/* Has the thread of the row, or one that follows it when it is full, room?  Then it is j->thread. */
static bool
join_try(struct joining *j, const struct store_disk_ref *row)
{
	struct store_disk_ref at = *row;

	for (int i = 0; i < HOPS && at.version; i++) {
		uint16_t n = thread_member_last(j, at.threadid, &j->last);

		if (n < STORE_THREAD_MOST - 1) {
			j->thread = at;
			j->number = n + 1;
			return true;
		}
		ref_get(j, at.threadid, &at);
		if (at.kind != STORE_REF_NEXT)
			break;
	}
	return false;
}

static bool
thread_has(struct joining *j, uint64_t threadid)
{
	uint8_t key[24];

	thread_member_key(key, j->a, threadid, j->emailid);
	return writer_row_get(j->w, STORE_T_THREAD, key, sizeof(key)).n > 0;
}

/* Has the account had it before?  Its id says so, or, if that is also another's, who came first, a row of its
 * thread: else each copy would count there anew, until it is full and the next copy goes elsewhere. */
static bool
join_again(struct joining *j)
{
	const struct store_disk_ref *own = &j->rows[0];

	if (!own->version || own->kind != STORE_REF_OWN)
		return false;
	if (own->emailid == j->emailid) {
		j->thread.threadid = own->threadid;
		return true;
	}
	for (size_t i = 0; i <= j->refs.n; i++) {
		struct store_disk_ref at = j->rows[i];

		if (i && at.threadid == j->rows[i - 1].threadid)
			continue;
		for (int hop = 0; hop < HOPS && at.version && at.subject == j->refs.subject;
		     hop++) {
			if (thread_has(j, at.threadid)) {
				j->thread.threadid = at.threadid;
				return true;
			}
			ref_get(j, at.threadid, &at);
			if (at.kind != STORE_REF_NEXT)
				break;
		}
	}
	return false;
}

/* The threads of the references, the oldest first, until one has room. */
static bool
join_oldest(struct joining *j)
{
	bool tried[1 + STORE_REFS] = { false };

	for (;;) {
		size_t best = 1 + STORE_REFS;

		for (size_t i = 0; i <= j->refs.n; i++)
			if (!tried[i] && j->rows[i].version &&
			    j->rows[i].subject == j->refs.subject &&
			    (best > STORE_REFS || ref_older(&j->rows[i], &j->rows[best])))
				best = i;
		if (best > STORE_REFS)
			return false;
		if (join_try(j, &j->rows[best]))
			return true;
		for (size_t i = 0; i <= j->refs.n; i++)
			tried[i] |= j->rows[i].threadid == j->rows[best].threadid;
	}
}

/* It begins a thread, which those that were full for it are continued by. */
static void
join_none(struct joining *j)
{
	j->thread = (struct store_disk_ref){ .threadid = j->emailid, .born = (uint32_t)j->w->now };
	for (size_t i = 0; i <= j->refs.n; i++) {
		struct store_disk_ref *row = &j->rows[i], at = *row;

		if (row->subject != j->refs.subject)
			continue;
		for (int hop = 0; hop < HOPS && at.version && at.threadid != j->emailid; hop++) {
			uint64_t full = at.threadid;

			ref_get(j, full, &at);
			ref_put(j, full, STORE_REF_NEXT);
		}
	}
}

/* What leads here from now on; its own id does already if it was `new`. */
static void
join_refs(struct joining *j, bool new)
{
	bool joined = j->thread.threadid != j->emailid;

	if (!new && j->refs.id && (!j->rows[0].version || j->rows[0].kind == STORE_REF_WANTED))
		ref_put(j, j->refs.id, STORE_REF_OWN);
	else if (!j->refs.id && joined)
		ref_put(j, j->emailid, STORE_REF_OWN);
	for (size_t i = 1; i <= j->refs.n; i++)
		if (!j->rows[i].version && (i == 1 || i + STORE_WANTED - 1 > j->refs.n))
			ref_put(j, j->refs.ref[i - 1], STORE_REF_WANTED);
}

/* The last row has the largest number, also when an id of an older epoch comes before it. */
static void
join_member(struct joining *j)
{
	if (j->thread.threadid == j->emailid)
		return;
	j->w->stats.joined++;
	thread_member_put(j, j->emailid, j->number);
	if (j->last > j->emailid)
		thread_member_put(j, j->last, j->number);
}

/* None of its references is known to be about what it is about. */
static bool
join_alone(struct joining *j)
{
	for (size_t i = 1; i <= j->refs.n; i++)
		if (j->rows[i].version && j->rows[i].subject == j->refs.subject)
			return false;
	j->thread = (struct store_disk_ref){ .threadid = j->emailid, .born = (uint32_t)j->w->now };
	return true;
}

/* Nobody has spoken of it before, which is so of most mail: then its references alone say where it goes, and its id
 * is looked for where it is put.  False: somebody has, or all that it refers to is full. */
static bool
join_new(struct joining *j)
{
	return j->refs.id && (join_oldest(j) || join_alone(j)) &&
	    ref_put_new(j, j->refs.id, &j->rows[0]);
}

static void
join_any(struct joining *j)
{
	bool new;

	for (size_t i = 0; i < j->refs.n; i++)
		ref_get(j, j->refs.ref[i], &j->rows[1 + i]);
	new = join_new(j);
	if (!new) {
		ref_get(j, j->refs.id ? j->refs.id : j->emailid, &j->rows[0]);
		if (join_again(j))
			return;
		/* Of a message without an id, by which a thread is called. */
		if (j->rows[0].kind == STORE_REF_NEXT)
			j->rows[0].version = 0;
		if (!join_oldest(j))
			join_none(j);
	}
	join_refs(j, new);
	join_member(j);
}

uint64_t
writer_thread_join(struct writer *w, struct wacct *a, uint64_t emailid, struct slice cache)
{
	struct joining j = { .w = w, .a = a, .emailid = emailid };

	if (!store_refs_read(cache, &j.refs) || (!j.refs.id && !j.refs.n))
		return emailid;
	join_any(&j);
	if (j.members)
		mdb_cursor_close(j.members);
	return j.thread.threadid;
}

uint64_t
writer_thread_of(struct writer *w, struct wacct *a, const struct store_record *rec)
{
	uint8_t key[8];
	struct slice row;
	struct store_refs refs;
	struct buf copy = { 0 };
	uint64_t threadid = rec->emailid;

	store_be64(key, rec->emailid);
	row = writer_row_get(w, STORE_T_CACHE, key, sizeof(key));
	if (row.p && store_refs_read(row, &refs)) { /* a row does not outlive the next change */
		store_refs_write(&copy, &refs);
		threadid = writer_thread_join(w, a, rec->emailid, buf_get(&copy));
		buf_fini(&copy);
	}
	return threadid;
}

/* ---- what is old ----------------------------------------------------------------------------- */

static bool
content_is_there(struct writer *w, uint64_t emailid)
{
	uint8_t key[20] = { 0 };
	MDB_val k = { sizeof(key), key }, d;
	MDB_cursor *c;
	bool there;

	store_be64(key, emailid);
	if (writer_row_get(w, STORE_T_CACHE, key, 8).p)
		return true;
	if (w->error || (w->error = mdb_cursor_open(w->txn, w->env->dbi[STORE_T_EMAIL], &c)))
		return true;
	there = mdb_cursor_get(c, &k, &d, MDB_SET_RANGE) == 0 && k.mv_size == sizeof(key) &&
	    store_get64(k.mv_data) == emailid;
	mdb_cursor_close(c);
	return there;
}

static bool
ref_is_old(struct writer *w, const MDB_val *k, const MDB_val *d)
{
	struct store_disk_ref row;

	(void)k;
	return store_value_read(slice(d->mv_data, d->mv_size), sizeof(row), &row, sizeof(row)) <
	    0 ||
	    (w->now / 86400 - row.day > REF_DAYS && !content_is_there(w, row.emailid));
}

static bool
member_is_old(struct writer *w, const MDB_val *k, const MDB_val *d)
{
	(void)d;
	return k->mv_size != 24 || !content_is_there(w, store_get64((char *)k->mv_data + 16));
}

/* Looks at the next rows of the account, behind *at, which is what follows the account's id in the key; at the end it
 * begins anew. */
static void
trim_some(struct writer *w, struct wacct *a, enum store_table t, uint64_t at[2],
    bool (*old)(struct writer *, const MDB_val *, const MDB_val *))
{
	uint8_t key[24];
	MDB_val k = { sizeof(key), key }, d;
	MDB_cursor *c;
	int rc;

	if (w->error || (w->error = mdb_cursor_open(w->txn, w->env->dbi[t], &c)))
		return;
	thread_member_key(key, a, at[0], at[1]);
	rc = mdb_cursor_get(c, &k, &d, MDB_SET_RANGE);
	for (int i = 0; i < TRIM_MOST && !w->error; i++) {
		if (rc || k.mv_size < 16 || store_get64(k.mv_data) != a->d.id) {
			at[0] = at[1] = 0;
			break;
		}
		at[0] = store_get64((char *)k.mv_data + 8);
		at[1] = k.mv_size == 24 ? store_get64((char *)k.mv_data + 16) : 0;
		if (old(w, &k, &d))
			writer_row_del_here(w, t, c, &k);
		rc = mdb_cursor_get(c, &k, &d, MDB_NEXT);
	}
	mdb_cursor_close(c);
}

void
writer_thread_trim(struct writer *w, struct wacct *a)
{
	if (!a->threads_trimmed) { /* read anew: anywhere */
		a->threads_trimmed = a->d.modseq;
		a->ref_at[0] = random_u64();
		a->member_at[0] = random_u64() >> 1;
	}
	if (a->d.modseq - a->threads_trimmed < TRIM_EVERY)
		return;
	a->threads_trimmed = a->d.modseq;
	trim_some(w, a, STORE_T_REF, a->ref_at, ref_is_old);
	trim_some(w, a, STORE_T_THREAD, a->member_at, member_is_old);
}
