/* pool.c: files for new messages, and finished files kept for them.
 *
 * On ext4 creating and unlinking a file costs several times what renaming one does, and creating
 * after a mass delete is worse still (architecture.md 4).  So a finished file is renamed into
 * pool/NN, NN being a free one of POOL_SLOTS slots, and a writer renames one into tmp/ and
 * overwrites it.  Slots are shared between processes by nothing but rename(2): RENAME_NOREPLACE
 * says whether a slot was free, ENOENT whether it was full.
 *
 * The old bytes in a recycled file are no danger: it is only ever renamed into the queue after
 * it was overwritten and cut to length, and what a power cut leaves is recognised by the ids and
 * checksums in header and journal (env.c). */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/must.h"
#include "base/random.h"
#include "queue/impl.h"

#define GIVE_TRIES 4   /* full slots met before the pool counts as full */
#define LOOK_EVERY 8  /* takes between two looks into an empty pool */
#define LOOK_KEEPS 16 /* slots remembered from a look: others take them too */

static void
slot_name(char dst[8], unsigned slot)
{
	(void)snprintf(dst, 8, "%02x", slot & 0xff);
}

/* Sees which slots are full, and remembers a few of them, from anywhere, so that two processes
 * seldom want the same one.  With pool_lock held. */
static void
pool_look(struct queue *q)
{
	uint8_t full[POOL_SLOTS];
	size_t n = 0, from;
	int fd = openat(q->pool, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	if (d == NULL) {
		if (fd >= 0)
			(void)close(fd);
		return;
	}
	while (n < POOL_SLOTS && (e = readdir(d)) != NULL) {
		char *end;
		unsigned long slot = strtoul(e->d_name, &end, 16);

		if (*end == '\0' && end == e->d_name + 2 && slot < POOL_SLOTS)
			full[n++] = (uint8_t)slot;
	}
	(void)closedir(d);
	from = n ? random_below(n) : 0;
	for (size_t i = 0; i < n && i < LOOK_KEEPS; i++)
		q->slots[q->nslots++] = full[(from + i) % n];
}

/* Renames a pooled file to tmp/`name`; false when there is none. */
static bool
pool_take(struct queue *q, const char *name)
{
	char slot[8];
	bool got = false;

	must(pthread_mutex_lock(&q->pool_lock) == 0);
	q->takes++;
	if (q->nslots == 0 && q->takes >= q->next_look) {
		pool_look(q);
		q->next_look = q->takes + (q->nslots == 0 ? LOOK_EVERY : 0);
	}
	while (!got && q->nslots > 0) {
		slot_name(slot, q->slots[--q->nslots]);
		got = renameat(q->pool, slot, q->tmp, name) == 0;
	}
	must(pthread_mutex_unlock(&q->pool_lock) == 0);
	return got;
}

int
pool_give(struct queue *q, const char *path, uint64_t size)
{
	char slot[8];

	for (int i = 0; size <= POOL_FILE_MAX && q->pool >= 0 && i < GIVE_TRIES; i++) {
		uint32_t at;

		must(pthread_mutex_lock(&q->pool_lock) == 0);
		at = q->give++ % POOL_SLOTS;
		must(pthread_mutex_unlock(&q->pool_lock) == 0);
		slot_name(slot, at);
		if (renameat2(q->root, path, q->pool, slot, RENAME_NOREPLACE) == 0) {
			q->st.recycled_in++;
			return 0;
		}
		if (errno != EEXIST)
			break;
	}
	if (unlinkat(q->root, path, 0) < 0)
		return -errno;
	q->st.unlinked++;
	return 0;
}

/* Locks a file in tmp/ as ours.  False when a sweep was quicker. */
static bool
own(int fd, struct stat *st)
{
	return flock(fd, LOCK_EX | LOCK_NB) == 0 && fstat(fd, st) == 0 && st->st_nlink > 0;
}

int
tmp_open(struct queue *q, char name[TMP_NAME_LEN], uint64_t *old_size)
{
	for (int tries = 0; tries < 8; tries++) {
		struct stat st;
		bool recycled;
		int fd;

		(void)snprintf(name, TMP_NAME_LEN, "%s.%x", q->run, q->seq++);
		recycled = pool_take(q, name);
		fd = openat(q->tmp, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW | (recycled ? 0 : O_CREAT),
		    0640);
		if (fd < 0 && errno == ENOENT && recycled)
			continue;
		if (fd < 0)
			return -errno;
		if (own(fd, &st)) {
			*old_size = (uint64_t)st.st_size;
			*(recycled ? &q->st.recycled_out : &q->st.created) += 1;
			return fd;
		}
		(void)close(fd);
	}
	return -EAGAIN;
}
