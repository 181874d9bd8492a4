/* The journal of bodies: small messages a second time, beside the log, so that their files need no sync.
 *
 * A new file costs the disk a commit of the file system's journal, and that is most of what an answer waits
 * for.  So the bytes of a batch's bodies go to log/bodies, which overwrites blocks that it has, and one
 * flush of the disk has them and the frame that says where they are.  The files follow with everything
 * else at the next steady point (steady.c); after a power cut before that, replay.c makes those again that are not
 * whole.  There are two areas, and one is written anew when a steady point has every batch in it; where
 * there is no room, and for large bodies, the batch is synced file by file as if there were no journal.
 *
 * Called by the writer's thread.  Nothing here fails a batch but a sync: what cannot be written is not in
 * the journal.  It is for file systems that overwrite in place (part.c), and where points are taken. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/crc.h"
#include "base/files.h"
#include "store/writer/writer-impl.h"

#define BODIES_AREA  ((uint64_t)16 * 1024 * 1024) /* twice what has a steady point taken: queue.c */
#define BODIES_AHEAD ((uint64_t)1024 * 1024)      /* bytes of zeros that the file grows by */
#define BODIES_PAGE  4096          /* a batch begins at one: no write tears another's */
#define BODIES_KEEP  (1024 * 1024) /* of the buffer */

/* ---- life --------------------------------------------------------------------------------------- */

int
writer_bodies_open(struct part_files *f, int log_dirfd, uint32_t most)
{
	struct part_bodies *b = &f->bodies;
	struct stat st;

	b->most = most < OPLOG_BODY_MOST ? most : OPLOG_BODY_MOST;
	if (!f->sync || !f->in_place || most == 0)
		return 0;
	b->fd = openat(log_dirfd, OPLOG_BODIES_FILE, O_WRONLY | O_CREAT | O_CLOEXEC, 0640);
	if (b->fd < 0 || fstat(b->fd, &st) < 0 || fsync(b->fd) < 0 || fsync(log_dirfd) < 0)
		return -errno;
	b->size = b->stable = (uint64_t)st.st_size / BODIES_PAGE * BODIES_PAGE;
	return 0;
}

void
writer_bodies_close(struct part_files *f)
{
	struct part_bodies *b = &f->bodies;

	if (b->fd >= 0)
		close(b->fd);
	if (b->syncfd >= 0)
		close(b->syncfd);
	b->fd = b->syncfd = -1;
	buf_fini(&b->list);
	buf_fini(&b->bytes);
}

/* ---- a batch ------------------------------------------------------------------------------------ */

uint32_t
writer_bodies_add(struct part_files *f, int fd)
{
	struct part_bodies *b = &f->bodies;
	struct wbody body = { .fd = fd, .size = f->seen.size, .date = f->seen_date }, last;
	size_t n = b->list.n / sizeof(body);

	if (n) {
		memcpy(&last, b->list.p + b->list.n - sizeof(last), sizeof(last));
		if (last.fd == fd)
			return (uint32_t)n;
	}
	b->large |= f->seen_of != fd + 1 || f->seen.size > b->most;
	buf_add(&b->list, &body, sizeof(body));
	return (uint32_t)n + 1;
}

/* Where n bytes can go; UINT64_MAX: nowhere. */
static uint64_t
bodies_room(struct part_bodies *b, uint64_t n, uint64_t steady)
{
	for (unsigned i = 0; i < 2; i++)
		if (b->areas[i].used && steady >= b->areas[i].batch)
			b->areas[i].used = 0;
	if (n > BODIES_AREA)
		return UINT64_MAX;
	if (b->areas[b->in].used + n > BODIES_AREA && b->areas[!b->in].used == 0)
		b->in = !b->in;
	if (b->areas[b->in].used + n > BODIES_AREA)
		return UINT64_MAX;
	return b->in * BODIES_AREA + b->areas[b->in].used;
}

/* Blocks up to `end`, and some ahead. */
static int
bodies_grow(struct part_bodies *b, uint64_t end)
{
	static const char zeros[65536];
	int rc = 0;

	if (end <= b->size)
		return 0;
	for (uint64_t to = (end + BODIES_AHEAD) / BODIES_AHEAD * BODIES_AHEAD;
	     rc == 0 && b->size < to;) {
		rc = files_write_at(b->fd, zeros, sizeof(zeros), b->size);
		if (rc == 0)
			b->size += sizeof(zeros);
	}
	return rc;
}

/* How many they are. */
static uint64_t
bodies_bytes(const struct part_bodies *b)
{
	uint64_t bytes = 0;

	for (size_t at = 0; at < b->list.n; at += sizeof(struct wbody)) {
		struct wbody body;

		memcpy(&body, b->list.p + at, sizeof(body));
		bytes += body.size;
	}
	return bytes;
}

/* Their bytes, one behind the other, to `bytes`.  One byte more is asked for: a file that has it is not what its
 * request said. */
static int
bodies_read(struct part_bodies *b)
{
	buf_clear(&b->bytes);
	for (size_t at = 0; at < b->list.n; at += sizeof(struct wbody)) {
		struct wbody body;
		char *p;

		memcpy(&body, b->list.p + at, sizeof(body));
		p = buf_reserve(&b->bytes, body.size + (size_t)1);
		if (!p || pread(body.fd, p, body.size + (size_t)1, 0) != (ssize_t)body.size)
			return -EIO;
		body.crc = crc32c(0, p, body.size);
		body.at = b->bytes.n;
		b->bytes.n += body.size;
		memcpy(b->list.p + at, &body, sizeof(body));
	}
	return 0;
}

void
writer_bodies_write(struct part_files *f, uint64_t steady)
{
	struct part_bodies *b = &f->bodies;

	b->written = false;
	if (b->fd < 0 || b->large || b->list.n == 0 || f->sync_more || f->dirs_made ||
	    steady == UINT64_MAX)
		return;
	b->at = bodies_room(b, bodies_bytes(b), steady); /* before they are in memory */
	if (b->at == UINT64_MAX || bodies_read(b) < 0 || bodies_grow(b, b->at + b->bytes.n) < 0 ||
	    files_write_at(b->fd, b->bytes.p, b->bytes.n, b->at) < 0)
		return;
	for (size_t at = 0; at < b->list.n; at += sizeof(struct wbody)) {
		struct wbody *body = (struct wbody *)(void *)(b->list.p + at);

		body->at += b->at;
	}
	b->written = true;
}

/* The disk has them, in its cache at least: the flush of the frame's sync is behind this. */
int
writer_bodies_sync(struct part_files *f, const struct wlog *l)
{
	const unsigned all =
	    SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER;
	struct part_bodies *b = &f->bodies;
	uint64_t size = b->size;
	int rc = 0;

	if (b->at + b->bytes.n > b->stable) {
		if (fdatasync(b->fd) < 0)
			return -errno;
		b->stable = size;
	} else {
		/* The disk gets both before one is waited for. */
		if (l->at <= l->stable)
			rc = files_set_out(l->fd, l->before, l->at - l->before);
		if (rc < 0)
			return rc;
		if (sync_file_range(b->fd, (off_t)b->at, (off_t)b->bytes.n, all) < 0)
			return -errno;
	}
	/* The batch shows only after this: a steady point that has it syncs its files. */
	writer_bodies_doubt(f);
	return 0;
}

void
writer_bodies_settled(struct part_files *f, uint64_t batch, bool good)
{
	struct part_bodies *b = &f->bodies;
	uint64_t end = b->at + b->bytes.n;

	if (good && b->written) {
		b->areas[b->in].used =
		    (end + BODIES_PAGE - 1) / BODIES_PAGE * BODIES_PAGE - b->in * BODIES_AREA;
		b->areas[b->in].batch = batch;
	}
	if (b->bytes.room > BODIES_KEEP)
		buf_fini(&b->bytes);
}

/* ---- the steadier --------------------------------------------------------------------------------- */

void
writer_bodies_doubt(struct part_files *f)
{
	__atomic_store_n(&f->bodies.unsynced, true, __ATOMIC_RELEASE);
}

int
writer_bodies_steady(struct part_files *f)
{
	if (!__atomic_exchange_n(&f->bodies.unsynced, false, __ATOMIC_ACQUIRE))
		return 0;
	return syncfs(f->bodies.syncfd) < 0 ? -errno : 0;
}
