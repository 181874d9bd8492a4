/* Annotations: who may set which, how many there may be, and the rows.
 *
 * Called by the writer's thread within its batches.  A request is done whole or refused whole, before
 * anything is changed.  What must stay true: nobody makes another's account grow without bound (bounds of
 * the entries of a person in a mailbox, of an account, of its guests, and of bytes together: annot.h), a mailbox's rows go with it, and
 * who may not know that it is there hears what he would hear if it were not.  The counts of an account are
 * made once, by going through its rows, and kept; an older program may have left rows of mailboxes that are
 * gone, which go then. */
#include <errno.h>

#include "base/log.h"
#include "store/acl.h"
#include "store/quota.h"
#include "store/writer/writer-impl.h"

/* Rights that let one use annotations at all, one of them beside l: RFC 5464 3.3. */
#define ANNOT_ANY (STORE_R_READ | STORE_R_SEEN | STORE_R_WRITE | STORE_R_INSERT | STORE_R_POST)

/* ---- rows ---------------------------------------------------------------------------------- */

enum annot_next { ANNOT_KEEP, ANNOT_DROP };
typedef enum annot_next annot_fn(struct writer *w, void *arg, struct slice key, struct slice value);

/* Rows whose keys begin so, each once; fn says whether it stays, and writes nothing. */
static void
annot_each(struct writer *w, const uint8_t *prefix, size_t n, annot_fn *fn, void *arg)
{
	MDB_val k = { n, UNCONST(prefix) }, d;
	MDB_cursor *c;
	int rc;

	if (w->error || (w->error = mdb_cursor_open(w->txn, w->env->dbi[STORE_T_ANNOT], &c)))
		return;
	rc = mdb_cursor_get(c, &k, &d, MDB_SET_RANGE);
	for (; rc == 0 && !w->error && k.mv_size >= n && memcmp(k.mv_data, prefix, n) == 0;
	     rc = mdb_cursor_get(c, &k, &d, MDB_NEXT))
		if (fn(w, arg, slice(k.mv_data, k.mv_size), slice(d.mv_data, d.mv_size)) ==
		    ANNOT_DROP)
			writer_row_del_here(w, STORE_T_ANNOT, c, &k);
	mdb_cursor_close(c);
}

/* What a row adds to the account's counts. */
static void
annot_count(struct wacct *a, const struct store_annot *row, size_t bytes, int by)
{
	struct wannots *n = &a->annots;

	n->rows += (uint32_t)by;
	n->bytes += (uint64_t)by * bytes;
	if (row->gone)
		n->gone += (uint32_t)by;
	if (row->guest || (row->login.n && !slice_eq(row->login, slice_str(a->name)))) {
		n->guests += (uint32_t)by;
		n->guest_bytes += (uint64_t)by * bytes;
	}
}

static enum annot_next
annot_counted(struct writer *w, void *arg, struct slice key, struct slice value)
{
	struct wacct *a = arg;
	struct store_annot row;
	struct wbox *b;

	if (store_annot_parse(key, value, &row) < 0)
		return ANNOT_KEEP; /* check tells of it */
	if (row.mailbox && writer_box_find(w, row.mailbox, &b) == -ENOENT)
		return ANNOT_DROP;
	annot_count(a, &row, key.n + value.n, 1);
	return ANNOT_KEEP;
}

static void
annot_count_all(struct writer *w, struct wacct *a)
{
	uint8_t key[8];

	if (a->annots.counted)
		return;
	a->annots = (struct wannots){ .counted = true };
	store_be64(key, a->d.id);
	annot_each(w, key, sizeof(key), annot_counted, a);
}

static enum annot_next
annot_swept(struct writer *w, void *arg, struct slice key, struct slice value)
{
	struct wacct *a = arg;
	struct store_annot row;

	(void)w;
	/* Below the modseq of a word that was taken back no reader's goes. */
	if (store_annot_parse(key, value, &row) < 0 || !row.gone ||
	    slice_eq(row.name, S(STORE_ANNOT_SHAREDSEEN)))
		return ANNOT_KEEP;
	annot_count(a, &row, key.n + value.n, -1);
	return ANNOT_DROP;
}

/* Room is wanted: what is only there to be told of goes. */
static void
annot_sweep(struct writer *w, struct wacct *a)
{
	uint8_t key[8];

	if (a->annots.gone == 0)
		return;
	store_be64(key, a->d.id);
	annot_each(w, key, sizeof(key), annot_swept, a);
}

static enum annot_next
annot_forgotten(struct writer *w, void *arg, struct slice key, struct slice value)
{
	(void)w, (void)arg, (void)key, (void)value;
	return ANNOT_DROP;
}

void
writer_annot_forget(struct writer *w, const struct wbox *b)
{
	uint8_t key[16];

	store_be64(key, b->acct->d.id);
	store_be64(key + 8, b->id);
	b->acct->annots.counted = false;
	annot_each(w, key, sizeof(key), annot_forgotten, NULL);
}

/* A row that gets another key. */
struct annot_renamed {
	uint64_t account;
	struct slice from, to;
	struct buf rows; /* key, then value, each behind its length: uint32_t */
};

static enum annot_next
annot_renamed(struct writer *w, void *arg, struct slice key, struct slice value)
{
	struct annot_renamed *r = arg;
	uint8_t room[STORE_ANNOT_KEY];
	struct store_annot row;
	uint32_t n, size = (uint32_t)value.n;

	(void)w;
	if (store_annot_parse(key, value, &row) < 0 || !slice_eq(row.login, r->from))
		return ANNOT_KEEP;
	n = (uint32_t)store_annot_key(room, r->account, row.mailbox, r->to, row.name);
	buf_add(&r->rows, &n, sizeof(n));
	buf_add(&r->rows, room, n);
	buf_add(&r->rows, &size, sizeof(size));
	buf_slice(&r->rows, value);
	return ANNOT_DROP;
}

/* The next piece of r.rows. */
static struct slice
annot_renamed_next(struct slice *rest)
{
	struct slice piece;
	uint32_t n;

	memcpy(&n, rest->p, sizeof(n));
	piece = slice_sub(*rest, sizeof(n), n);
	*rest = slice_from(*rest, sizeof(n) + n);
	return piece;
}

/* Of the account, or of one of its mailboxes; to "": they go. */
static void
annot_pass(struct writer *w, struct wacct *a, uint64_t mailbox, struct slice from, struct slice to)
{
	struct annot_renamed r = { .account = a->d.id, .from = from, .to = to };
	uint8_t key[16];

	store_be64(key, a->d.id);
	store_be64(key + 8, mailbox);
	annot_each(w, key, mailbox ? 16 : 8, annot_renamed, &r);
	for (struct slice rest = buf_get(&r.rows); rest.n && to.n;) {
		struct slice k = annot_renamed_next(&rest), value = annot_renamed_next(&rest);

		writer_row_put(w, STORE_T_ANNOT, k.p, k.n, value.p, value.n, 0);
	}
	a->annots.counted = false;
	buf_fini(&r.rows);
}

void
writer_annot_rename(struct writer *w, struct wacct *a, struct slice from, struct slice to)
{
	annot_pass(w, a, 0, from, to);
}

void
writer_annot_leave(struct writer *w, struct wbox *b, struct slice from, struct slice to)
{
	annot_pass(w, b->acct, b->id, from, to);
}

/* ---- may it be? ---------------------------------------------------------------------------- */

/* A request in hand. */
struct annots {
	struct writer *w;
	struct store_job *j;
	struct wacct *a;
	struct wbox *b;                     /* NULL = the server */
	struct slice me;                    /* whose private entries are meant, */
	bool guest;                         /* who is not the owner */
	const struct store_annotation *use; /* of those the special use; NULL = none */
	enum store_special special;
};

static size_t
annot_key_of(const struct annots *t, const struct store_annotation *e, uint8_t key[STORE_ANNOT_KEY])
{
	return store_annot_key(key, t->a->d.id, t->b ? t->b->id : 0, e->shared ? S("") : t->me,
	    e->name);
}

/* The row that is there: false, there is none, or a damaged one, which is as good. */
static bool
annot_row(const struct annots *t, const uint8_t *key, size_t n, struct store_annot *row,
    size_t *bytes)
{
	struct slice value = writer_row_get(t->w, STORE_T_ANNOT, key, n);

	*bytes = n + value.n;
	return value.p && store_annot_parse(slice((const char *)key, n), value, row) == 0;
}

/* Nobody sets limits in his own name, whoever he is: a program does that knows who may. */
static bool
annot_is_quota(const struct annots *t)
{
	for (size_t i = 0; i < t->j->req.nannotations; i++)
		if (slice_eq(t->j->req.annotations[i].name, S(STORE_ANNOT_QUOTA)))
			return true;
	return false;
}

/* Whose \Seen there is: a word for all. */
static const struct store_annotation *
annot_sharedseen(const struct annots *t)
{
	for (size_t i = 0; t->b && i < t->j->req.nannotations; i++)
		if (t->j->req.annotations[i].shared &&
		    slice_eq(t->j->req.annotations[i].name, S(STORE_ANNOT_SHAREDSEEN)))
			return &t->j->req.annotations[i];
	return NULL;
}

static bool
annot_bad_sharedseen(const struct annots *t)
{
	const struct store_annotation *e = annot_sharedseen(t);

	if (!e || e->gone || slice_ieq(e->value, S("true")) || slice_ieq(e->value, S("false")))
		return false;
	writer_reply_fail(t->j, STORE_CANNOT, verdict(OUT_STORE_SHAREDSEEN));
	return true;
}

static bool
annot_forbidden(const struct annots *t)
{
	uint32_t rights;

	if (t->j->req.actor.n && annot_is_quota(t)) {
		writer_reply_forbid(t->j, t->a, 0);
		return true;
	}
	if (!t->b)
		return writer_reply_unless_owner(t->j, t->a);
	rights = writer_box_rights(t->w, t->j, t->b);
	if (rights & STORE_R_LOOKUP && rights & ANNOT_ANY) {
		bool shared = false;

		for (size_t i = 0; i < t->j->req.nannotations; i++)
			shared |= t->j->req.annotations[i].shared;
		if ((!shared || rights & STORE_R_WRITE) &&
		    (!annot_sharedseen(t) || rights & STORE_R_ADMIN))
			return false;
	}
	writer_reply_forbid(t->j, t->a, rights & STORE_R_LOOKUP ? rights : 0);
	return true;
}

/* Has another of the account's mailboxes this use?  Looks at all names: a client seldom asks. */
static bool
annot_use_taken(const struct annots *t, enum store_special use)
{
	struct writer *w = t->w;
	uint8_t key[8];
	MDB_val k = { sizeof(key), key }, d;
	MDB_cursor *c;
	bool taken = false;

	store_be64(key, t->a->d.id);
	if (w->error || (w->error = mdb_cursor_open(w->txn, w->env->dbi[STORE_T_NAME], &c)))
		return true;
	for (int rc = mdb_cursor_get(c, &k, &d, MDB_SET_RANGE);
	     rc == 0 && k.mv_size > 8 && memcmp(k.mv_data, key, 8) == 0 && !taken;
	     rc = mdb_cursor_get(c, &k, &d, MDB_NEXT)) {
		struct store_disk_name row;

		taken = store_value_read(slice(d.mv_data, d.mv_size), sizeof(row), &row,
			    sizeof(row)) == 0 &&
		    row.special == use && row.mailbox != t->b->id;
	}
	mdb_cursor_close(c);
	return taken;
}

/* The special use among the entries, if it is there: only the owner's, one at most, and one that a folder of
 * its own is for (RFC 6154 5.4). */
static bool
annot_bad_use(struct annots *t)
{
	enum store_special use = STORE_USE_NONE;

	for (size_t i = 0; t->b && i < t->j->req.nannotations; i++) {
		const struct store_annotation *e = &t->j->req.annotations[i];

		if (!e->shared && slice_eq(e->name, S(STORE_ANNOT_USE)))
			t->use = e;
	}
	if (!t->use)
		return false;
	for (unsigned u = STORE_USE_NONE + 1; u <= STORE_USE_ARCHIVE && !t->use->gone; u++)
		if (slice_ieq(t->use->value, slice_str(store_special_name((enum store_special)u))))
			use = (enum store_special)u;
	t->special = use;
	if (slice_eq(t->me, slice_str(t->a->name)) && !(t->b->d.attrs & STORE_NOSELECT) &&
	    (t->use->gone || (use && !annot_use_taken(t, use))))
		return false;
	writer_reply_fail(t->j, STORE_CANNOT, verdict(OUT_STORE_USE));
	return true;
}

static enum annot_next
annot_one(struct writer *w, void *arg, struct slice key, struct slice value)
{
	size_t *n = arg;

	(void)w, (void)key, (void)value;
	++*n;
	return ANNOT_KEEP;
}

/* Rows of this login in the mailbox: STORE_ANNOT_SET of them at most. */
static size_t
annot_set(const struct annots *t, struct slice login)
{
	uint8_t key[STORE_ANNOT_KEY];
	size_t rows = 0;

	annot_each(t->w, key, store_annot_key(key, t->a->d.id, t->b ? t->b->id : 0, login, S("")),
	    annot_one, &rows);
	return rows;
}

/* Is it one that is always taken (annot.h)? */
static bool
annot_free(const struct annots *t, const struct store_annotation *e)
{
	return e->gone || slice_eq(e->name, S(STORE_ANNOT_QUOTA)) ||
	    (!t->b && !t->guest && slice_eq(e->name, S(STORE_ANNOT_SESSIONS)));
}

/* Who is logged in is no news of the account: such a row counts its own changes (annot.h). */
static bool
annot_apart(const struct annots *t, const struct store_annotation *e)
{
	return !t->b && !e->shared && slice_eq(e->name, S(STORE_ANNOT_SESSIONS));
}

/* Would they be too many?  What a guest sets is in the share of guests, whoever may see it: one who takes over what the
 * owner has set for all takes it in there. */
static bool
annot_over(const struct annots *t)
{
	const struct wannots *n = &t->a->annots;
	size_t mine = 0, shared = 0, guests = 0;
	uint64_t more = 0, less = 0, guest_less = 0;

	for (size_t i = 0; i < t->j->req.nannotations; i++) {
		const struct store_annotation *e = &t->j->req.annotations[i];
		uint8_t key[STORE_ANNOT_KEY];
		size_t nkey = annot_key_of(t, e, key), bytes, size;
		struct store_annot row;
		bool theirs; /* it is in the share of guests already */

		if (e == t->use || annot_free(t, e))
			continue;
		size = nkey + sizeof(struct store_disk_annot) + e->value.n;
		more += size + (e->shared && t->guest);
		theirs = false;
		if (annot_row(t, key, nkey, &row, &bytes)) {
			less += bytes;
			theirs = t->guest && (!e->shared || row.guest);
			guest_less += theirs ? bytes : 0;
		} else if (e->shared)
			shared++;
		else
			mine++;
		guests += t->guest && !theirs;
	}
	return (mine && mine + annot_set(t, t->me) > STORE_ANNOT_SET) ||
	    (shared && shared + annot_set(t, S("")) > STORE_ANNOT_SET) ||
	    (mine + shared && n->rows + mine + shared > STORE_ANNOT_ACCOUNT) ||
	    (guests && n->guests + guests > STORE_ANNOT_GUESTS) ||
	    (more > less && n->bytes + more > STORE_ANNOT_BYTES + less) ||
	    (t->guest && more > guest_less &&
		n->guest_bytes + more > STORE_ANNOT_GUEST + guest_less);
}

static bool
annot_too_many(const struct annots *t)
{
	annot_count_all(t->w, t->a);
	if (!annot_over(t))
		return false;
	annot_sweep(t->w, t->a);
	if (!annot_over(t))
		return false;
	writer_reply_fail(t->j, STORE_LIMIT, verdict(OUT_STORE_ANNOTS_MANY));
	return true;
}

/* Removing takes no room. */
static bool
annot_full(const struct annots *t)
{
	for (size_t i = 0; i < t->j->req.nannotations; i++)
		if (!annot_free(t, &t->j->req.annotations[i]))
			return writer_reply_if_full(t->w, t->j);
	return false;
}

/* Has one of them been set since the state that whoever asks has seen? */
static bool
annot_changed(const struct annots *t)
{
	for (size_t i = 0; t->j->req.options & STORE_CONDITIONAL && i < t->j->req.nannotations;
	     i++) {
		uint8_t key[STORE_ANNOT_KEY];
		size_t n = annot_key_of(t, &t->j->req.annotations[i], key), bytes;
		struct store_annot row;

		if (!annot_row(t, key, n, &row, &bytes) || row.modseq <= t->j->req.since)
			continue;
		writer_reply_fail(t->j, STORE_CANNOT, verdict(OUT_STORE_THAWED));
		return true;
	}
	return false;
}

/* ---- SETMETADATA --------------------------------------------------------------------------- */

/* False: it is as it was. */
static bool
annot_put(const struct annots *t, const struct store_annotation *e, uint64_t modseq)
{
	uint8_t key[STORE_ANNOT_KEY];
	size_t n = annot_key_of(t, e, key), bytes;
	struct store_annot row, new = { .value = e->value, .modseq = modseq, .gone = e->gone };
	struct buf *value = &t->w->scratch;
	bool there = annot_row(t, key, n, &row, &bytes);

	if (annot_apart(t, e))
		new.modseq = (there ? row.modseq : 0) + 1;
	if (e->gone ? !there || row.gone : there && !row.gone && slice_eq(row.value, e->value))
		return false;
	if (there)
		annot_count(t->a, &row, bytes, -1);
	new.login = e->shared ? S("") : t->me;
	new.guest = e->shared && t->guest;
	buf_clear(value);
	store_annot_write(value, &new);
	annot_count(t->a, &new, n + value->n, 1);
	writer_row_put(t->w, STORE_T_ANNOT, key, n, value->p, value->n, 0);
	return true;
}

static void
annot_put_use(const struct annots *t)
{
	struct wbox *b = t->b;

	if (b->d.special == t->special)
		return;
	b->d.special = (uint8_t)t->special;
	writer_name_put(t->w, b);
	writer_event_add(t->w, STORE_EV_LIST, t->a->d.id, b->id, writer_box_touch(t->w, b));
}

static void
annot_put_all(const struct annots *t)
{
	uint64_t modseq = t->a->d.modseq + 1;
	const struct store_annotation *seen = annot_sharedseen(t);
	bool changed = false, switched = false, put_any = false;

	for (size_t i = 0; i < t->j->req.nannotations; i++) {
		const struct store_annotation *e = &t->j->req.annotations[i];
		bool put = e != t->use && annot_put(t, e, modseq);

		changed |= put && !annot_apart(t, e);
		put_any |= put;
		switched |= put && e == seen;
	}
	if (switched)
		writer_seen_switched(t->w, t->b, modseq);
	if (changed) {
		t->a->d.modseq = modseq;
		writer_account_dirty(t->w, t->a);
	}
	if (put_any)
		writer_event_add(t->w, STORE_EV_ANNOT, t->a->d.id, t->b ? t->b->id : 0,
		    t->a->d.modseq);
	if (t->use)
		annot_put_use(t);
	writer_reply_ok(t->j);
	t->j->reply.account = t->a->d.id;
	t->j->reply.mailbox = t->b ? t->b->id : 0;
	t->j->reply.modseq = changed ? modseq : 0;
	if (annot_is_quota(t))
		*(t->b ? &t->b->quota : &t->a->quota) = (struct wquota){ 0 };
}

void
writer_run_annotate(struct writer *w, struct store_job *j)
{
	struct annots t = { .w = w, .j = j };
	int rc = writer_account_by_id(w, j->req.account, &t.a);

	if (rc == 0 && j->req.mailbox) {
		rc = writer_box_find(w, j->req.mailbox, &t.b);
		if (rc == 0 && t.b->acct != t.a)
			rc = -ENOENT;
	}
	if (rc < 0) {
		writer_reply_no_box(j, rc);
		return;
	}
	/* Who asks for nobody may say whose private ones are meant. */
	t.me = j->req.actor.n ? j->req.actor : j->req.name.n ? j->req.name : slice_str(t.a->name);
	t.guest = !slice_eq(t.me, slice_str(t.a->name));
	if (!annot_forbidden(&t) && !annot_changed(&t) && !annot_full(&t) && !annot_bad_use(&t) &&
	    !annot_bad_sharedseen(&t) && !annot_too_many(&t))
		annot_put_all(&t);
}
