/* Reading messages: index blocks, cache records, tombstones, files. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/must.h"
#include "store/read_private.h"

/* ---- index blocks ------------------------------------------------------------------------- */

static void
block_key(uint8_t key[12], uint64_t mailbox, uint32_t block)
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

const struct store_record *
store_blocks_next(struct store_blocks *b, size_t *n)
{
	struct store_view *v = b->v;
	MDB_cursor *c = store_cursor(v, STORE_T_INDEX);
	uint8_t key[12];
	MDB_val k = { sizeof(key), key }, d;

	while (!b->over && b->from <= b->to) {
		const struct store_record *rec;
		enum MDB_cursor_op op = b->started && v->blocks == b ? MDB_NEXT : MDB_SET_RANGE;
		uint32_t block;

		block_key(key, b->mailbox, b->from / STORE_BLOCK);
		if (mdb_cursor_get(c, &k, &d, op) != 0 || k.mv_size != sizeof(key) ||
		    store_get64(k.mv_data) != b->mailbox)
			break;
		v->blocks = b;
		b->started = true;
		block = store_get32((const char *)k.mv_data + 8);
		if (block > b->to / STORE_BLOCK)
			break;
		rec = store_block_parse(slice(d.mv_data, d.mv_size), n);
		if (!rec)
			log_event(LOG_ERROR, "store_block", "mailbox=%llx block=%u error=damaged",
			    (unsigned long long)b->mailbox, block);
		else
			rec = clip(b, rec, n);
		if (block >= UINT32_MAX / STORE_BLOCK)
			b->over = true;
		else
			b->from = (block + 1) * STORE_BLOCK;
		if (rec && *n)
			return rec;
	}
	b->over = true;
	*n = 0;
	return NULL;
}

const struct store_record *
store_get_record(struct store_view *v, uint64_t mailbox, uint32_t uid)
{
	uint32_t block = uid / STORE_BLOCK;
	size_t lo = 0, hi;

	must(v->begun);
	if (!v->last || v->last_mailbox != mailbox || v->last_block != block) {
		uint8_t key[12];

		block_key(key, mailbox, block);
		v->last = store_block_parse(store_fetch(v, STORE_T_INDEX, key, sizeof(key)),
		    &v->last_n);
		v->last_mailbox = mailbox;
		v->last_block = block;
	}
	hi = v->last ? v->last_n : 0;
	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (v->last[mid].uid == uid)
			return v->last + mid;
		if (v->last[mid].uid < uid)
			lo = mid + 1;
		else
			hi = mid;
	}
	return NULL;
}

/* ---- runs of UIDs --------------------------------------------------------------------------- */

static void
run_add(struct buf *out, size_t start, uint32_t first, uint32_t last)
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

static int64_t
scan_runs(struct store_view *v, uint64_t mailbox, struct buf *out)
{
	struct store_blocks b;
	const struct store_record *rec;
	size_t n, start = out->n;
	int64_t count = 0;

	store_blocks_init(&b, v, mailbox, 1, UINT32_MAX);
	while ((rec = store_blocks_next(&b, &n))) {
		count += (int64_t)n;
		if (rec[n - 1].uid - rec[0].uid == n - 1) {
			run_add(out, start, rec[0].uid, rec[n - 1].uid);
			continue;
		}
		for (size_t i = 0; i < n; i++)
			run_add(out, start, rec[i].uid, rec[i].uid);
	}
	return count;
}

int64_t
store_uid_runs(struct store_view *v, uint64_t mailbox, struct buf *ranges)
{
	struct store_mailbox m;
	int rc = store_get_mailbox(v, mailbox, &m);

	if (rc < 0)
		return rc;
	if (m.nruns == STORE_RUNS_UNKNOWN)
		return scan_runs(v, mailbox, ranges);
	buf_add(ranges, m.runs, m.nruns * sizeof(struct store_range));
	return m.exists;
}

uint32_t
store_first_unseen(struct store_view *v, const struct store_mailbox *m)
{
	struct store_blocks b;
	const struct store_record *rec;
	size_t n;

	if (m->unseen == 0)
		return 0;
	store_blocks_init(&b, v, m->id, m->first_unseen ? m->first_unseen : 1, UINT32_MAX);
	while ((rec = store_blocks_next(&b, &n)))
		for (size_t i = 0; i < n; i++)
			if (!(rec[i].flags & STORE_SEEN))
				return rec[i].uid;
	return 0;
}

/* ---- cache ---------------------------------------------------------------------------------- */

struct slice
store_get_cache(struct store_view *v, uint64_t emailid)
{
	bool bound = v->bound & 1u << STORE_T_CACHE;
	MDB_cursor *c = store_cursor(v, STORE_T_CACHE);
	uint8_t key[8];
	MDB_val k, d;

	/* Most walks are ascending and most mailboxes grow in runs: look at the neighbour, as
	 * long as that pays. */
	if (bound && emailid > v->cache_at && (v->cache_near || emailid - v->cache_at < 3)) {
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

/* ---- tombstones ------------------------------------------------------------------------------- */

int
store_vanished(struct store_view *v, uint64_t mailbox, uint64_t since, struct buf *ranges)
{
	MDB_cursor *c = store_cursor(v, STORE_T_TOMB);
	uint8_t key[20];
	MDB_val k = { sizeof(key), key }, d;
	struct store_mailbox m;
	int rc = store_get_mailbox(v, mailbox, &m);

	if (rc < 0)
		return rc;
	if (since < m.vanished_from)
		return -ENOENT;
	if (since == UINT64_MAX)
		return 0;
	store_be64(key, mailbox);
	store_be64(key + 8, since + 1);
	store_be32(key + 16, 0);
	for (rc = mdb_cursor_get(c, &k, &d, MDB_SET_RANGE); rc == 0;
	     rc = mdb_cursor_get(c, &k, &d, MDB_NEXT)) {
		if (k.mv_size != sizeof(key) || store_get64(k.mv_data) != mailbox)
			break;
		if (d.mv_size > sizeof(struct store_disk_tomb))
			buf_add(ranges, (const char *)d.mv_data + sizeof(struct store_disk_tomb),
			    (d.mv_size - sizeof(struct store_disk_tomb)) / 8 * 8);
	}
	return 0;
}

/* ---- files ------------------------------------------------------------------------------------- */

/* Where the file is now; *live says whether the index still has the message. */
static int
message_path(struct store_view *v, uint64_t mailbox, uint32_t uid, struct buf *path, bool *live)
{
	struct store_mailbox m;
	int rc = store_refresh(v);

	if (rc < 0)
		return rc;
	rc = store_get_mailbox(v, mailbox, &m);
	if (rc == 0)
		store_folder_dir(path, m.account_name, m.name);
	else if (rc == -ENOENT)
		store_deleted_dir(path, mailbox);
	*live = rc == 0 && store_get_record(v, mailbox, uid) != NULL;
	store_end(v);
	if (rc < 0 && rc != -ENOENT)
		return rc;
	store_message_name(path, uid);
	return 0;
}

int
store_open_message(struct store_view *v, uint64_t mailbox, uint32_t uid)
{
	struct buf path = { 0 };
	struct stat st;
	int rc = -ENOENT;

	/* stored renames a directory right after the commit that says so: between the two the
	 * file is still at the old place.  Wait for it, a short while. */
	for (int i = 0; i < 50; i++) {
		const struct timespec pause = { 0, 1000000 };
		bool live;

		buf_clear(&path);
		rc = message_path(v, mailbox, uid, &path, &live);
		if (rc < 0)
			break;
		rc = openat(v->r->dirfd, buf_cstr(&path), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
		if (rc >= 0)
			break;
		rc = -errno;
		if (rc != -ENOENT || (i > 0 && !live))
			break;
		if (i > 0)
			nanosleep(&pause, NULL);
	}
	buf_fini(&path);
	if (rc >= 0 && (fstat(rc, &st) < 0 || !S_ISREG(st.st_mode))) {
		close(rc);
		rc = -ENOENT; /* whatever stands there is no message */
	}
	return rc;
}
