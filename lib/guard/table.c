/* guard/table.c: see table.h.
 *
 * Owns the mapping and nothing else; workers of one daemon share the file.  What can fail is opening it.  What
 * must stay true: no number of one key is read for another, whoever writes meanwhile, and no value of the file
 * leads anywhere but into comparisons.  A bucket is one number, the time at which it will be empty again (the
 * generic cell rate algorithm), so that a compare and exchange is all that two workers need. */
#include "guard/table.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/random.h"
#include "base/siphash.h"

#define GUARD_MAGIC 0x31647261756774ULL /* "tguard1": another layout, another number */
#define GUARD_WAYS  16
#define MINUTE_US   60000000ULL

struct guard_slot {
	_Atomic uint64_t key, value; /* key 0: free */
};
struct guard_file {
	uint64_t magic; /* written last */
	struct siphash_key seed;
	uint64_t unused;
	struct guard_slot slots[GUARD_SLOTS];
};
struct guard_table {
	struct guard_file *file;
};

/* ---- the file ---------------------------------------------------------------------------- */

static struct guard_file *
guard_map(int fd)
{
	int how = fd < 0 ? MAP_SHARED | MAP_ANONYMOUS : MAP_SHARED;
	void *p = mmap(NULL, sizeof(struct guard_file), PROT_READ | PROT_WRITE, how, fd, 0);

	return p == MAP_FAILED ? NULL : p;
}

static void
guard_prepare(struct guard_file *f)
{
	random_bytes(&f->seed, sizeof(f->seed));
	f->magic = GUARD_MAGIC;
}

/* Locked by flock: made anew unless it is whole.  It is never made shorter while others may have it mapped, or
 * they would die of it; a file of another size is none of ours. */
static int
guard_settle(int fd, struct guard_file **f)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || (st.st_size && st.st_size != sizeof(**f)))
		return -EINVAL;
	/* Holes are filled as they are used; a full disk must refuse here, not kill there. */
	if (posix_fallocate(fd, 0, sizeof(**f)) != 0)
		return -ENOSPC;
	if (!(*f = guard_map(fd)))
		return -errno;
	if ((*f)->magic != GUARD_MAGIC)
		guard_prepare(*f);
	return 0;
}

static int
guard_open_file(const char *path, struct guard_file **f)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	int r = fd < 0 ? -errno : 0;

	if (r == 0 && flock(fd, LOCK_EX) < 0)
		r = -errno;
	if (r == 0)
		r = guard_settle(fd, f);
	if (fd >= 0) {
		(void)flock(fd, LOCK_UN);
		(void)close(fd);
	}
	return r;
}

int
guard_table_open(const char *path, struct guard_table **t)
{
	struct guard_file *f = NULL;
	int r = guard_open_file(path, &f);

	/* Another version's, or cut off: what was known is lost, which costs strangers one more wait. */
	if (r == -EINVAL && unlink(path) == 0)
		r = guard_open_file(path, &f);
	if (r < 0)
		return r;
	*t = mem_new(sizeof(**t));
	(*t)->file = f;
	return 0;
}

struct guard_table *
guard_table_private(void)
{
	struct guard_file *f = guard_map(-1);
	struct guard_table *t;

	if (!f)
		return NULL;
	guard_prepare(f);
	t = mem_new(sizeof(*t));
	t->file = f;
	return t;
}

void
guard_table_close(struct guard_table **t)
{
	if (!*t)
		return;
	(void)munmap((*t)->file, sizeof(*(*t)->file));
	mem_free(t);
}

/* ---- keys -------------------------------------------------------------------------------- */

static uint64_t
guard_hash(const struct guard_table *t, enum guard_about about, const uint8_t bytes[16])
{
	uint8_t text[17];
	uint64_t h;

	text[0] = (uint8_t)about;
	memcpy(text + 1, bytes, 16);
	h = siphash(&t->file->seed, slice((const char *)text, sizeof(text)));
	return h ? h : 1;
}

uint64_t
guard_key(const struct guard_table *t, enum guard_about about, const struct addr *a)
{
	uint8_t bytes[16];

	addr_client_key(a, bytes);
	return guard_hash(t, about, bytes);
}

uint64_t
guard_key_network(const struct guard_table *t, const struct addr *a)
{
	uint8_t bytes[16];

	addr_client_key(a, bytes);
	if (a->sa.sa_family == AF_INET6)
		memset(bytes + 6, 0, 10);
	else
		bytes[15] = 0;
	return guard_hash(t, GUARD_NETWORK, bytes);
}

/* ---- slots ------------------------------------------------------------------------------- */

static struct guard_slot *
guard_set(const struct guard_table *t, uint64_t key)
{
	return &t->file->slots[key % (GUARD_SLOTS / GUARD_WAYS) * GUARD_WAYS];
}

static struct guard_slot *
guard_find(const struct guard_table *t, uint64_t key)
{
	struct guard_slot *s = guard_set(t, key);

	for (size_t i = 0; i < GUARD_WAYS; i++)
		if (atomic_load(&s[i].key) == key)
			return &s[i];
	return NULL;
}

/* The slot of key, emptied for it if it had none. */
static struct guard_slot *
guard_make(struct guard_table *t, uint64_t key)
{
	struct guard_slot *s = guard_find(t, key), *set = guard_set(t, key);

	if (s)
		return s;
	s = set;
	for (size_t i = 0; i < GUARD_WAYS && atomic_load(&s->key); i++)
		if (!atomic_load(&set[i].key) ||
		    atomic_load(&set[i].value) < atomic_load(&s->value))
			s = &set[i];
	atomic_store(&s->value, 0);
	atomic_store(&s->key, key);
	return s;
}

uint64_t
guard_table_get(const struct guard_table *t, uint64_t key)
{
	const struct guard_slot *s = guard_find(t, key);
	uint64_t value = s ? atomic_load(&s->value) : 0;

	/* Somebody may have given the slot away between the two words. */
	return s && atomic_load(&s->key) == key ? value : 0;
}

void
guard_table_put(struct guard_table *t, uint64_t key, uint64_t value)
{
	atomic_store(&guard_make(t, key)->value, value);
}

void
guard_table_forget(struct guard_table *t, uint64_t key)
{
	struct guard_slot *s = guard_find(t, key);

	if (!s)
		return;
	atomic_store(&s->value, 0);
	atomic_store(&s->key, 0);
}

/* ---- buckets ----------------------------------------------------------------------------- */

bool
guard_bucket_take(struct guard_table *t, uint64_t key, uint64_t rate, uint64_t now_us)
{
	uint64_t each = MINUTE_US / (rate ? rate : 1), empty, next;
	struct guard_slot *s = guard_make(t, key);

	empty = atomic_load(&s->value);
	do {
		/* Later than any bucket can be: of another boot, or of a larger rate before. */
		next = empty > now_us + MINUTE_US || empty < now_us ? now_us : empty;
		if (next + each > now_us + MINUTE_US)
			return false;
	} while (!atomic_compare_exchange_weak(&s->value, &empty, next + each));
	return true;
}
