/* The file `steady`, and what has to be known of LMDB's file for it.
 *
 * Called by the writer's opening and by its thread that syncs the index; store_steady_trust by all
 * readers.  LMDB never writes to a page that a snapshot sees which somebody holds: a stored that
 * holds the transaction of the last point keeps every page of it as it was, so that its meta page
 * is all that is needed to come back to it.  That page is the one thing taken from behind LMDB's back;
 * its place and shape have been the same since 0.9, and store_steady_take compares them with what
 * LMDB says of itself.  Two slots are written in turns: one is always whole. */
#include "store/steady.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/crc.h"
#include "base/files.h"
#include "base/mem.h"
#include "store/damage.h"

#define STEADY_MAGIC   0x59445453u /* "STDY" */
#define STEADY_VERSION 1
#define SLOT           4096 /* bytes from one to the next: no disk tears both */
#define CLEAN          1
#define SUSPECT        2
#define LOGGED         4

struct disk_steady {
	uint32_t magic;
	uint16_t version;
	uint16_t flags;
	uint32_t crc; /* CRC-32C of this with 0 here */
	uint32_t page;
	uint64_t seq, txn, batch;
	uint8_t boot[16];
	uint8_t meta[STEADY_META];
} PACKED;

/* ---- the file ---------------------------------------------------------------------------------- */

static uint32_t
slot_crc(struct disk_steady d)
{
	d.crc = 0;
	return crc32c(0, &d, sizeof(d));
}

int
store_steady_open(const char *path, int flags)
{
	const off_t whole = SLOT + (off_t)sizeof(struct disk_steady);
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | flags, 0640);
	struct stat st;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) == 0 && (st.st_size >= whole || ftruncate(fd, whole) == 0))
		return fd;
	close(fd);
	return -EIO;
}

int
store_steady_read(const char *index, struct store_steady *s)
{
	char *path = mem_printf("%s/steady", index);
	int fd = open(path, O_RDONLY | O_CLOEXEC), rc = fd < 0 ? -errno : -ENOENT;
	bool damaged = false;

	mem_free(&path);
	*s = (struct store_steady){ 0 };
	for (int i = 0; fd >= 0 && i < 2; i++) {
		struct disk_steady d = { 0 };
		ssize_t n = pread(fd, &d, sizeof(d), i * SLOT);

		if (n < 0) { /* the newer one may be in there: pages of the older are used again */
			rc = -errno;
			break;
		}
		if (n != (ssize_t)sizeof(d) || d.magic != STEADY_MAGIC)
			continue; /* not written yet */
		if (d.version != STEADY_VERSION || slot_crc(d) != d.crc) {
			rc = rc == 0 ? 0 : -EBADMSG;
			damaged = true;
			continue;
		}
		if (rc == 0 && d.seq < s->seq)
			continue;
		rc = 0;
		*s = (struct store_steady){ .seq = d.seq,
			.txn = d.txn,
			.batch = d.batch,
			.clean = d.flags & CLEAN,
			.suspect = d.flags & SUSPECT,
			.logged = d.flags & LOGGED,
			.page = d.page };
		memcpy(s->boot, d.boot, sizeof(s->boot));
		memcpy(s->meta, d.meta, sizeof(s->meta));
	}
	s->damaged = damaged;
	if (fd >= 0)
		close(fd);
	return rc;
}

int
store_steady_write(int fd, struct store_steady *s)
{
	struct disk_steady d = { .magic = STEADY_MAGIC,
		.version = STEADY_VERSION,
		.flags = (uint16_t)((s->clean ? CLEAN : 0) | (s->suspect ? SUSPECT : 0) |
		    (s->logged ? LOGGED : 0)),
		.page = s->page,
		.seq = s->seq + 1,
		.txn = s->txn,
		.batch = s->batch };
	int rc;

	memcpy(d.boot, s->boot, sizeof(d.boot));
	memcpy(d.meta, s->meta, sizeof(d.meta));
	d.crc = slot_crc(d);
	rc = files_write_at(fd, &d, sizeof(d), d.seq % 2 * SLOT);
	if (rc == 0 && fdatasync(fd) < 0)
		rc = -errno;
	if (rc == 0)
		s->seq = d.seq;
	return rc;
}

/* ---- whose index it is ----------------------------------------------------------------------------- */

int
store_steady_boot(uint8_t boot[16])
{
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	char text[64];
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	size_t digits = 0;

	if (fd >= 0)
		close(fd);
	memset(boot, 0, 16);
	for (ssize_t i = 0; i < n && digits < 32; i++) {
		char c = text[i];
		uint8_t v = (uint8_t)(c >= '0' && c <= '9' ? c - '0' :
			c >= 'a' && c <= 'f'               ? c - 'a' + 10 :
							     255);

		if (v == 255)
			continue;
		boot[digits / 2] = (uint8_t)(boot[digits / 2] << 4 | v);
		digits++;
	}
	if (digits == 32)
		return 0;
	memset(boot, 0, 16);
	return -ENOENT;
}

bool
store_steady_same_boot(const struct store_steady *s)
{
	uint8_t boot[16];

	return store_steady_boot(boot) == 0 && memcmp(boot, s->boot, sizeof(boot)) == 0;
}

int
store_steady_trust(const char *index)
{
	struct store_steady s;
	int rc = store_steady_read(index, &s);

	if (rc == -ENOENT || (rc == 0 && s.clean))
		return 0;
	if (rc == 0 && s.suspect)
		return STORE_SUSPECT;
	if (rc == 0 && store_steady_same_boot(&s))
		return 0;
	return rc == 0 || rc == -EBADMSG ? STORE_TORN : -rc;
}

/* The writer's mark comes into the page cache even when the disk takes nothing any more, and so
 * to who has mapped the file.  It never gets shorter. */
const void *
store_steady_watch(const char *index, uint64_t *ino)
{
	char *path = mem_printf("%s/steady", index);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	void *map = MAP_FAILED;

	mem_free(&path);
	*ino = 0;
	if (fd >= 0 && fstat(fd, &st) == 0 && st.st_size > SLOT)
		map = mmap(NULL, SLOT + sizeof(struct disk_steady), PROT_READ, MAP_SHARED, fd, 0);
	if (fd >= 0)
		close(fd);
	if (map == MAP_FAILED)
		return NULL;
	*ino = st.st_ino;
	return map;
}

bool
store_steady_is_suspect(const void *points)
{
	struct disk_steady a, b;

	memcpy(&a, points, sizeof(a));
	memcpy(&b, (const char *)points + SLOT, sizeof(b));
	return (a.seq > b.seq ? a.flags : b.flags) & SUSPECT;
}

void
store_steady_unwatch(const void *points)
{
	if (points)
		munmap((void *)(uintptr_t)points, SLOT + sizeof(struct disk_steady));
}

/* ---- LMDB's meta pages --------------------------------------------------------------------------- */

/* As LMDB 0.9 has them on machines of 64 bits, with the head of the page. */
struct lmdb_meta {
	uint64_t pgno;
	uint16_t pad, flags;
	uint32_t lower_upper;
	uint32_t magic, version;
	uint64_t address, mapsize;
	uint8_t roots[2][48];
	uint64_t last_page, txn;
} PACKED;
_Static_assert(sizeof(struct lmdb_meta) == STEADY_META, "the saved bytes are a whole meta page");
#define LMDB_MAGIC   0xbeefc0deu
#define LMDB_VERSION 1
#define LMDB_P_META  8

static int
steady_meta_read(int fd, uint32_t page, unsigned slot, struct lmdb_meta *m)
{
	ssize_t n = pread(fd, m, sizeof(*m), (off_t)slot * page);

	if (n < 0)
		return -errno;
	return n == (ssize_t)sizeof(*m) && m->magic == LMDB_MAGIC && m->version == LMDB_VERSION &&
		m->flags & LMDB_P_META && m->pgno == slot ?
	    0 :
	    -EBADMSG;
}

int
store_steady_take(MDB_env *env, MDB_txn *txn, struct store_steady *s)
{
	uint64_t id = mdb_txn_id(txn);
	struct lmdb_meta m = { 0 };
	MDB_envinfo info;
	MDB_stat st;
	int fd, rc;

	if (sizeof(size_t) != 8 || mdb_env_get_fd(env, &fd) != 0 || mdb_env_stat(env, &st) != 0)
		return -ENOTSUP;
	rc = steady_meta_read(fd, st.ms_psize, id & 1, &m);
	/* The slot is written again by the commit after the next, which begins when the next is over. */
	if (mdb_env_info(env, &info) != 0)
		return -ENOTSUP;
	if (info.me_last_txnid != id)
		return -EAGAIN;
	if (rc < 0 || id == 0 || m.txn != id || m.last_page != info.me_last_pgno)
		return -ENOTSUP;
	s->txn = id;
	s->page = st.ms_psize;
	memcpy(s->meta, &m, sizeof(m));
	return 0;
}

/* Nobody else has the environment open, and nobody opens it while fd stays so: LMDB's readers and
 * writers hold a lock on the first byte as long as they live, and wait for it when they begin. */
static int
lock_alone(const char *index)
{
	struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 1 };
	char *path = mem_printf("%s/lock.mdb", index);
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0660);

	mem_free(&path);
	if (fd < 0)
		return -errno;
	if (fcntl(fd, F_SETLK, &l) == 0)
		return fd;
	close(fd);
	return -EBUSY;
}

/* The file has gone on from this point: a commit turns over one meta page, the other one is of the
 * commit before. */
static int
steady_meta_follows(int fd, const struct store_steady *s)
{
	struct lmdb_meta m;

	for (unsigned i = 0; i < 2; i++) {
		int rc = steady_meta_read(fd, s->page, i, &m);

		if (rc < 0)
			return rc;
		if (m.txn + 1 < s->txn || (m.txn & 1) != i)
			return -ENOENT;
	}
	return 0;
}

int
store_steady_rewind(const char *index, const struct store_steady *s)
{
	char *path = mem_printf("%s/data.mdb", index);
	int lock = lock_alone(index), fd = -1, rc = lock < 0 ? lock : 0;
	struct lmdb_meta m;

	memcpy(&m, s->meta, sizeof(m));
	if (rc == 0 && (s->txn == 0 || m.txn != s->txn))
		rc = -EBADMSG;
	if (rc == 0 && (fd = open(path, O_RDWR | O_CLOEXEC)) < 0)
		rc = -errno;
	if (rc == 0)
		rc = steady_meta_follows(fd, s);
	if (rc == 0)
		rc = files_write_at(fd, &m, sizeof(m), (s->txn & 1) * s->page);
	if (rc == 0) { /* the other one: no newer than this */
		m.txn--;
		m.pgno = m.txn & 1;
		rc = files_write_at(fd, &m, sizeof(m), m.pgno * s->page);
	}
	if (rc == 0 && fdatasync(fd) < 0)
		rc = -errno;
	if (fd >= 0)
		close(fd);
	if (lock >= 0)
		close(lock);
	mem_free(&path);
	return rc;
}
