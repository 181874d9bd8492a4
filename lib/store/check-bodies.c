/* The content of message files: is it what was stored?
 *
 * Whoever wrote a message has its CRC-32C in the record; here each file is read once, however many
 * names it has, and compared.  Called by storectl check for those who ask, beside a running stored:
 * not faster than a given rate, because users wait for the same disk.  What can no longer be found was
 * expunged or moved since, or is a finding of check-files.c; a file that can be found never changes,
 * so what differs needs no second look.  A file that cannot be read is a finding too. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/crc.h"
#include "base/map.h"
#include "base/mem.h"
#include "store/check-impl.h"

#define PIECE (256u * 1024) /* bytes of one read */

struct claim { /* of a record */
	uint32_t uid, crc;
};

/* A file that has more names than one, and what was in it. */
struct content {
	uint64_t ino;
	uint32_t crc;
};

struct reading {
	struct checker *k;
	uint64_t began_us, bytes;
	char *piece;
	struct map contents; /* ino -> struct content */
};

/* Sleeps until so many bytes may have been read. */
static void
keep_rate(struct reading *r)
{
	uint64_t rate = r->k->c->rate, due, took;
	struct timespec pause;

	if (!rate)
		return;
	due = (uint64_t)((double)r->bytes * 1e6 / (double)rate);
	took = clock_mono_us() - r->began_us;
	if (due <= took)
		return;
	pause = (struct timespec){ (time_t)((due - took) / 1000000),
		(long)((due - took) % 1000000) * 1000 };
	nanosleep(&pause, NULL);
}

/* 0 or -errno. */
static int
read_content(struct reading *r, int fd, uint32_t *crc)
{
	ssize_t n;

	*crc = 0;
	(void)posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	while ((n = read(fd, r->piece, PIECE)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		*crc = crc32c(*crc, r->piece, (size_t)n);
		r->bytes += (uint64_t)n;
		keep_rate(r);
	}
	return 0;
}

/* `want`: what it should be.  Only a file that is remembered to be just that is not read: its inode may
 * be another file's by now. */
static int
content_of(struct reading *r, int fd, uint32_t want, uint32_t *crc)
{
	struct content *c;
	struct stat st;
	uint64_t ino;
	int rc;

	if (fstat(fd, &st) < 0)
		return -errno;
	ino = st.st_ino;
	c = map_get(&r->contents, slice((const char *)&ino, sizeof(ino)));
	if (c && c->crc == want) {
		*crc = want;
		return 0;
	}
	rc = read_content(r, fd, crc);
	r->k->c->read++;
	if (!c && rc == 0 && st.st_nlink > 1) {
		c = mem_new(sizeof(*c));
		*c = (struct content){ ino, *crc };
		map_put(&r->contents, slice((const char *)&c->ino, sizeof(c->ino)), c);
	}
	return rc;
}

static void
check_content(struct reading *r, uint64_t mailbox, const struct claim *m)
{
	int fd = store_open_message(r->k->v, mailbox, m->uid), rc;
	uint32_t crc = 0;

	if (fd < 0)
		return;
	rc = content_of(r, fd, m->crc, &crc);
	close(fd);
	if (rc < 0)
		store_check_finding(r->k, "mailbox %llx: the file of uid %u cannot be read: %s",
		    (unsigned long long)mailbox, m->uid, strerror(-rc));
	else if (!m->crc)
		r->k->c->unknown++;
	else if (crc != m->crc)
		store_check_finding(r->k,
		    "mailbox %llx: the file of uid %u is not what was stored: its CRC-32C is %08x, "
		    "not %08x",
		    (unsigned long long)mailbox, m->uid, crc, m->crc);
}

static void
check_box_bodies(struct reading *r, uint64_t mailbox)
{
	struct checker *k = r->k;
	struct buf claims = { 0 };
	struct store_blocks b;
	const struct store_record *rec;
	size_t n;

	if (store_refresh(k->v) < 0)
		return;
	store_blocks_init(&b, k->v, mailbox, 1, UINT32_MAX);
	while ((rec = store_blocks_next(&b, &n)))
		for (size_t i = 0; i < n; i++) {
			struct claim m = { rec[i].uid, rec[i].digest };

			buf_add(&claims, &m, sizeof(m));
		}
	store_end(k->v);
	for (size_t at = 0; at < claims.n; at += sizeof(struct claim)) {
		struct claim m;

		memcpy(&m, claims.p + at, sizeof(m));
		check_content(r, mailbox, &m);
	}
	buf_fini(&claims);
}

void
store_check_bodies(struct checker *k)
{
	struct reading r = { .k = k, .began_us = clock_mono_us(), .piece = mem_new(PIECE) };
	struct content *c;
	size_t at = 0;

	for (size_t i = 0; i + 8 <= k->boxes.n; i += 8) {
		uint64_t id;

		memcpy(&id, k->boxes.p + i, 8);
		check_box_bodies(&r, id);
	}
	while ((c = map_next(&r.contents, &at)))
		mem_free(&c);
	map_fini(&r.contents);
	mem_free(&r.piece);
}
