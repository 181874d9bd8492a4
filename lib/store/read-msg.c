/* Reading messages: index blocks, runs of UIDs, cache records, files.
 *
 * Called by imapd, lib/message and the checks with a view that has a snapshot.  Slices and
 * records lie in the map or in the view and are valid until the snapshot ends; opening a file
 * ends it, for no snapshot is held over file I/O.  A damaged block is an error of ours or passed
 * over, and is never told as "expunged".  A file that a rename is moving is waited for, 50 ms at
 * most. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/must.h"
#include "store/pending.h"
#include "store/read-impl.h"

/* ---- index blocks ------------------------------------------------------------------------- */

static void
store_block_key(uint8_t key[12], uint64_t mailbox, uint32_t block)
{
	store_be64(key, mailbox);
	store_be32(key + 8, block);
}

void
store_blocks_init(struct store_blocks *b, struct store_view *v, uint64_t mailbox, uint32_t from,
    uint32_t to)
{
	*b = (struct store_blocks){ .v = v, .mailbox = mailbox, .from = from, .to = to };
}

/* The part of a block that lies in from..to. */
static const struct store_record *
clip(const struct store_blocks *b, const struct store_record *rec, size_t *n)
{
	while (*n && rec->uid < b->from) {
		rec++;
		--*n;
	}
	while (*n && rec[*n - 1].uid > b->to)
		--*n;
	return rec;
}

static struct slice
row_bytes(const MDB_val *d)
{
	return slice(d->mv_data, d->mv_size);
}

/* The row of `index` that belongs to a row of `state`: nearly always the cursor's next one. */
static struct slice
block_index(struct store_view *v, uint8_t key[12], bool near)
{
	MDB_cursor *c = store_cursor(v, STORE_T_INDEX);
	MDB_val k = { 12, key }, d;

	if (near && mdb_cursor_get(c, &k, &d, MDB_NEXT) == 0 && k.mv_size == 12 &&
	    memcmp(k.mv_data, key, 12) == 0)
		return row_bytes(&d);
	k = (MDB_val){ 12, key };
	return mdb_cursor_get(c, &k, &d, MDB_SET) == 0 ? row_bytes(&d) : slice(NULL, 0);
}

/* The mailbox's arrivals into the view, once for a snapshot.  A mailbox whose record cannot be read has
 * none that can be shown: who asks for it is told so elsewhere. */
static void
arrivals_load(struct store_view *v, uint64_t mailbox)
{
	struct store_mailbox m;
	uint8_t key[8];

	if (v->arrivals.known && v->arrivals.mailbox == mailbox)
		return;
	v->arrivals.known = true;
	v->arrivals.mailbox = mailbox;
	v->arrivals.n = 0;
	store_be64(key, mailbox);
	if (store_mailbox_parse(store_fetch(v, STORE_T_MAILBOX, key, sizeof(key)), mailbox, false,
		&m) < 0)
		return;
	for (size_t i = 0; i < m.narrivals; i++)
		v->arrivals.rec[v->arrivals.n++] = store_mailbox_arrival(&m, i);
}

/* The block of the first arrival that the walk has still to come to; UINT32_MAX: there is none. */
static uint32_t
arrivals_next(const struct store_blocks *b)
{
	const struct store_view *v = b->v;

	for (size_t i = 0; i < v->arrivals.n; i++)
		if (v->arrivals.rec[i].uid >= b->from)
			return v->arrivals.rec[i].uid / STORE_BLOCK;
	return UINT32_MAX;
}

static void
arrivals_add(struct store_view *v, struct store_block_room *room)
{
	room->n = store_block_add(room->rec, room->n, room->block, v->arrivals.rec, v->arrivals.n);
}

/* Is one of the block newer? */
static bool
arrivals_newer(const struct store_view *v, uint32_t block, uint64_t since)
{
	for (size_t i = 0; i < v->arrivals.n; i++)
		if (v->arrivals.rec[i].uid / STORE_BLOCK == block &&
		    v->arrivals.rec[i].modseq > since)
			return true;
	return false;
}

/* ... or for who reads it? */
static bool
block_newer(const struct store_blocks *b, uint32_t block)
{
	return arrivals_newer(b->v, block, b->since) ||
	    (b->v->as.n && store_seen_newer(b->v, b->mailbox, block, b->since));
}

/* The block from what the cursor found.  Format 1 has but one row. */
static void
room_fill(struct store_blocks *b, struct store_block_room *room, uint32_t block,
    const MDB_val *found, bool near)
{
	uint8_t key[12];

	room->mailbox = b->mailbox;
	room->block = block;
	room->parts = b->parts;
	if (!store_has(b->v, STORE_T_STATE)) {
		room->parts = STORE_WHOLE;
		room->n = store_block_read_v1(row_bytes(found), block, room->rec);
	} else if (b->parts == STORE_STATES) {
		room->n = store_states_read(row_bytes(found), block, room->rec);
	} else if (b->parts == STORE_RECORDS) {
		room->n = store_block_records(row_bytes(found), block, room->rec);
	} else {
		store_block_key(key, b->mailbox, block);
		room->n = store_block_read(block_index(b->v, key, near), row_bytes(found), block,
		    room->rec);
	}
	if (room->n == 0)
		log_event(LOG_ERROR, "store_block", "mailbox=%llx block=%u error=damaged",
		    (unsigned long long)b->mailbox, block);
	arrivals_add(b->v, room);
	if (b->v->as.n && b->parts != STORE_RECORDS)
		store_seen_lay(b->v, b->mailbox, room->rec, room->n);
}

/* A block of arrivals alone. */
static void
room_arrived(struct store_blocks *b, struct store_block_room *room, uint32_t block)
{
	room->mailbox = b->mailbox;
	room->block = block;
	room->parts = STORE_WHOLE;
	arrivals_add(b->v, room);
	if (b->v->as.n)
		store_seen_lay(b->v, b->mailbox, room->rec, room->n);
}

/* Is the block where the walk begins still in the room?  A set of single UIDs is many walks. */
static bool
block_kept(const struct store_blocks *b, const struct store_block_room *room)
{
	return !b->started && room->n && room->mailbox == b->mailbox &&
	    room->block == b->from / STORE_BLOCK &&
	    (room->parts == STORE_WHOLE || room->parts == b->parts);
}

/* Finds the next block.  False: there is none. */
static bool
block_find(struct store_blocks *b, struct store_block_room *room, uint32_t *block)
{
	struct store_view *v = b->v;
	bool states = store_has(v, STORE_T_STATE) && b->parts != STORE_RECORDS;
	MDB_cursor *c = store_cursor(v, states ? STORE_T_STATE : STORE_T_INDEX);
	bool here = b->started && v->blocks == b;
	uint32_t arrived;
	uint8_t key[12];
	MDB_val k = { sizeof(key), key }, d;

	arrivals_load(v, b->mailbox);
	arrived = arrivals_next(b);
	store_block_key(key, b->mailbox, b->from / STORE_BLOCK);
	if (b->behind || mdb_cursor_get(c, &k, &d, here ? MDB_NEXT : MDB_SET_RANGE) != 0 ||
	    k.mv_size != sizeof(key) || store_get64(k.mv_data) != b->mailbox)
		b->behind = true; /* rows: arrivals are left */
	v->blocks = b;
	b->started = true;
	*block = b->behind ? arrived : store_get32((const char *)k.mv_data + 8);
	if (*block > b->to / STORE_BLOCK)
		return false;
	room->n = 0;
	if (!b->behind &&
	    (!b->since || !states || store_states_modseq(row_bytes(&d)) > b->since ||
		block_newer(b, *block)))
		room_fill(b, room, *block, &d, here);
	else if (b->behind && (!b->since || block_newer(b, *block)))
		room_arrived(b, room, *block);
	return true;
}

const struct store_record *
store_blocks_next(struct store_blocks *b, size_t *n)
{
	struct store_block_room *room = &b->v->walk;

	while (!b->over && b->from <= b->to) {
		const struct store_record *rec;
		uint32_t block = b->from / STORE_BLOCK;

		if (!block_kept(b, room) && !block_find(b, room, &block))
			break;
		*n = room->n;
		rec = clip(b, room->rec, n);
		if (block >= UINT32_MAX / STORE_BLOCK)
			b->over = true;
		else
			b->from = (block + 1) * STORE_BLOCK;
		if (*n)
			return rec;
	}
	b->over = true;
	*n = 0;
	return NULL;
}

const struct store_record *
store_get_record(struct store_view *v, uint64_t mailbox, uint32_t uid)
{
	struct store_block_room *room = &v->last;
	uint32_t block = uid / STORE_BLOCK;
	size_t lo = 0, hi;

	must(v->begun);
	if (!room->n || room->mailbox != mailbox || room->block != block) {
		struct slice index;
		uint8_t key[12];

		store_block_key(key, mailbox, block);
		index = store_fetch(v, STORE_T_INDEX, key, sizeof(key));
		room->n = !store_has(v, STORE_T_STATE) ?
		    store_block_read_v1(index, block, room->rec) :
		    store_block_read(index, store_fetch(v, STORE_T_STATE, key, sizeof(key)), block,
			room->rec);
		room->mailbox = mailbox;
		room->block = block;
		arrivals_load(v, mailbox);
		arrivals_add(v, room);
		if (v->as.n)
			store_seen_lay(v, mailbox, room->rec, room->n);
	}
	hi = room->n;
	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (room->rec[mid].uid == uid)
			return &room->rec[mid];
		if (room->rec[mid].uid < uid)
			lo = mid + 1;
		else
			hi = mid;
	}
	return NULL;
}

/* ---- runs of UIDs --------------------------------------------------------------------------- */

static void
store_run_add(struct buf *out, size_t start, uint32_t first, uint32_t last)
{
	struct store_range r;

	if (out->n > start) {
		memcpy(&r, out->p + out->n - sizeof(r), sizeof(r));
		if (r.last + 1 == first) {
			r.last = last;
			memcpy(out->p + out->n - sizeof(r), &r, sizeof(r));
			return;
		}
	}
	r = (struct store_range){ first, last };
	buf_add(out, &r, sizeof(r));
}

static void
scan_runs(struct store_view *v, uint64_t mailbox, struct buf *out)
{
	struct store_blocks b;
	const struct store_record *rec;
	size_t n, start = out->n;

	store_blocks_init(&b, v, mailbox, 1, UINT32_MAX);
	b.parts = STORE_STATES;
	while ((rec = store_blocks_next(&b, &n))) {
		if (rec[n - 1].uid - rec[0].uid == n - 1) {
			store_run_add(out, start, rec[0].uid, rec[n - 1].uid);
			continue;
		}
		for (size_t i = 0; i < n; i++)
			store_run_add(out, start, rec[i].uid, rec[i].uid);
	}
}

void
store_uid_runs(struct store_view *v, const struct store_mailbox *m, struct buf *ranges)
{
	if (m->nruns == STORE_RUNS_UNKNOWN)
		scan_runs(v, m->id, ranges);
	else
		buf_add(ranges, m->runs, m->nruns * sizeof(struct store_range));
}

uint32_t
store_first_unseen(struct store_view *v, const struct store_mailbox *m)
{
	struct store_blocks b;
	const struct store_record *rec;
	size_t n;

	if (store_seen_apart(v, m->id))
		return store_seen_first_not(v, m);
	if (m->unseen == 0)
		return 0;
	store_blocks_init(&b, v, m->id, m->first_unseen ? m->first_unseen : 1, UINT32_MAX);
	b.parts = STORE_STATES;
	while ((rec = store_blocks_next(&b, &n)))
		for (size_t i = 0; i < n; i++)
			if (!(rec[i].flags & STORE_SEEN))
				return rec[i].uid;
	return 0;
}

/* ---- cache ---------------------------------------------------------------------------------- */

/* The cursor, which stands on cache_at or nowhere. */
static MDB_cursor *
store_cache_cursor(struct store_view *v)
{
	if (!(v->bound & 1u << STORE_T_CACHE))
		v->cache_at = UINT64_MAX;
	return store_cursor(v, STORE_T_CACHE);
}

static struct slice
store_cache_find(struct store_view *v, MDB_cursor *c, uint64_t emailid)
{
	uint8_t key[8];
	MDB_val k, d;

	/* Most walks are ascending and most mailboxes grow in runs: look at the neighbour, as
	 * long as that pays. */
	if (emailid > v->cache_at && (v->cache_near || emailid - v->cache_at < 3)) {
		v->cache_near = mdb_cursor_get(c, &k, &d, MDB_NEXT) == 0 && k.mv_size == 8 &&
		    store_get64(k.mv_data) == emailid;
		if (v->cache_near) {
			v->cache_at = emailid;
			return slice(d.mv_data, d.mv_size);
		}
	}
	store_be64(key, emailid);
	k = (MDB_val){ sizeof(key), key };
	v->cache_at = UINT64_MAX; /* until the cursor stands on it */
	if (mdb_cursor_get(c, &k, &d, MDB_SET) != 0)
		return slice(NULL, 0);
	v->cache_at = emailid;
	return slice(d.mv_data, d.mv_size);
}

struct slice
store_get_cache(struct store_view *v, uint64_t emailid)
{
	if (!store_has(v, STORE_T_CACHE))
		return slice(NULL, 0);
	return store_cache_find(v, store_cache_cursor(v), emailid);
}

#define CACHE_LINE 64

void
store_get_caches(struct store_view *v, const uint64_t *ids, size_t n, size_t ahead,
    struct slice *out)
{
	uint8_t order[STORE_BLOCK];
	MDB_cursor *c;

	must(n <= STORE_BLOCK);
	if (!store_has(v, STORE_T_CACHE)) {
		memset(out, 0, n * sizeof(*out));
		return;
	}
	c = store_cache_cursor(v);
	for (size_t i = 0; i < n; i++) { /* nearly always in order as they come */
		size_t k = i;

		for (; k > 0 && ids[order[k - 1]] > ids[i]; k--)
			order[k] = order[k - 1];
		order[k] = (uint8_t)i;
	}
	for (size_t i = 0; i < n; i++) {
		struct slice *s = &out[order[i]];

		*s = store_cache_find(v, c, ids[order[i]]);
		for (size_t at = 0; at < ahead && at < s->n; at += CACHE_LINE)
			__builtin_prefetch(s->p + at);
	}
}

/* ---- files ------------------------------------------------------------------------------------- */

static int
store_open_file(struct store_view *v, struct buf *path)
{
	int fd =
	    openat(v->r->dirfd, buf_cstr(path), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	return fd < 0 ? -errno : fd;
}

/* Where the file is now; *live says whether the index still has the message. */
static int
store_message_path(struct store_view *v, uint64_t mailbox, uint32_t uid, struct buf *path,
    uint32_t *size)
{
	const struct store_record *rec;
	struct store_mailbox m;
	int rc = store_refresh(v);

	if (rc < 0)
		return rc;
	rc = store_get_mailbox(v, mailbox, &m);
	if (rc == 0)
		store_folder_dir(path, m.account_name, m.name);
	else if (rc == -ENOENT)
		store_deleted_dir(path, mailbox);
	rec = rc == 0 ? store_get_record(v, mailbox, uid) : NULL;
	*size = rec ? rec->size : 0;
	store_end(v);
	if (rc < 0 && rc != -ENOENT)
		return rc;
	store_message_name(path, uid);
	return 0;
}

/* The file of a copy that has none of its own yet is that of its source. */
static int
open_source(struct store_view *v, uint64_t mailbox, uint32_t uid)
{
	struct buf path = { 0 };
	struct store_mailbox m;
	uint64_t source;
	int rc = store_begin(v);

	if (rc < 0)
		return rc;
	rc = store_has(v, STORE_T_PENDING) &&
		store_pending_find(store_cursor(v, STORE_T_PENDING), mailbox, uid, &source, &uid) ?
	    store_get_mailbox(v, source, &m) :
	    -ESRCH;
	if (rc == 0)
		store_folder_dir(&path, m.account_name, m.name);
	else if (rc == -ENOENT)
		store_deleted_dir(&path, source);
	store_end(v);
	if (path.n) {
		store_message_name(&path, uid);
		rc = store_open_file(v, &path);
	} else
		rc = -ENOENT;
	buf_fini(&path);
	return rc;
}

int
store_open_message(struct store_view *v, uint64_t mailbox, uint32_t uid)
{
	struct buf path = { 0 };
	uint32_t size = 0;
	struct stat st;
	int rc = -ENOENT;

	/* stored renames a directory right after the commit that says so: between the two the
	 * file is still at the old place.  Wait for it, a short while. */
	for (int i = 0; i < 50; i++) {
		const struct timespec pause = { 0, 1000000 };

		buf_clear(&path);
		rc = store_message_path(v, mailbox, uid, &path, &size);
		if (rc < 0)
			break;
		rc = store_open_file(v, &path);
		if (rc == -ENOENT)
			rc = open_source(v, mailbox, uid);
		if (rc >= 0)
			break;
		if (rc != -ENOENT || (i > 0 && !size))
			break;
		if (i > 0)
			nanosleep(&pause, NULL);
	}
	/* What is not as the record says is damaged, and is not told as if it were the message. */
	if (rc >= 0 &&
	    (fstat(rc, &st) < 0 || !S_ISREG(st.st_mode) || (size && st.st_size != size))) {
		close(rc);
		rc = -EBADMSG;
	}
	if (rc == -EBADMSG || rc == -ELOOP)
		log_event(LOG_ERROR, "store_damaged", "path=%s size=%lld record=%u",
		    log_str(buf_cstr(&path)), rc == -EBADMSG ? (long long)st.st_size : 0ll, size);
	buf_fini(&path);
	return rc;
}
