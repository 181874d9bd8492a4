/* guard/table.c: see table.h.
 *
 * Owns the mapping and nothing else; workers of one daemon share the file.  What can fail is opening it.  What
 * must stay true: no number of one key is read for another, whoever writes meanwhile, and no value of the file
 * leads anywhere but into comparisons.  A slot may be given to another key between any two steps of who works on
 * it, and after a power cut its two words may be of two times: what is read is therefore checked by its tag, and
 * never by the order of writes.  A bucket is one number, the time at which it will be empty again (the
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

#define GUARD_MAGIC 0x32647261756774ULL /* "tguard2": another layout, another number */
#define GUARD_WAYS  16
#define MINUTE_US   60000000ULL
#define TAG_SHIFT                                                                                  \
	48 /* above a number: the same bits of its key, by which it is known to be that key's */

struct guard_slot {
	_Atomic uint64_t key, value; /* key 0: free; value: a number under its key's tag */
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
 * they would die of it; a file of another size is none of ours.  A new one is on disk before it is used; what is
 * put into it later is written by the kernel when it likes, and a power cut takes the last half minute of it. */
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
	if ((*f)->magic != GUARD_MAGIC) {
		if (st.st_size)
			memset((*f)->slots, 0, sizeof((*f)->slots));
		guard_prepare(*f);
		(void)fsync(fd);
	}
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

uint64_t
guard_key_text(const struct guard_table *t, enum guard_about about, struct slice text)
{
	uint64_t sum = siphash(&t->file->seed, text);
	uint8_t bytes[16] = { 0 };

	memcpy(bytes, &sum, sizeof(sum));
	return guard_hash(t, about, bytes);
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

static uint64_t
guard_tagged(uint64_t key, uint64_t number)
{
	return key >> TAG_SHIFT << TAG_SHIFT | number;
}

static uint64_t
guard_number(uint64_t value)
{
	return value & (((uint64_t)1 << TAG_SHIFT) - 1);
}

/* What `value` says of key; 0 when it is another's. */
static uint64_t
guard_of(uint64_t key, uint64_t value)
{
	return value >> TAG_SHIFT == key >> TAG_SHIFT ? guard_number(value) : 0;
}

/* 0 as well of a slot that is free, or of which only one word is what was written. */
static uint64_t
guard_slot_number(const struct guard_slot *s)
{
	uint64_t key = atomic_load(&s->key);

	return key ? guard_of(key, atomic_load(&s->value)) : 0;
}

/* A free one of the set, or the one with the least number. */
static struct guard_slot *
guard_victim(struct guard_slot *set)
{
	struct guard_slot *s = set;

	for (size_t i = 0; i < GUARD_WAYS && atomic_load(&s->key); i++)
		if (guard_slot_number(&set[i]) < guard_slot_number(s))
			s = &set[i];
	return s;
}

/* The slot of key; it is made if there is none.  Of two who want one slot for two keys one gets it, and the other
 * looks for another; two who want it for one key share it. */
static struct guard_slot *
guard_make(struct guard_table *t, uint64_t key)
{
	struct guard_slot *s;
	uint64_t old, value;

	while (!(s = guard_find(t, key))) {
		s = guard_victim(guard_set(t, key));
		value = atomic_load(&s->value);
		old = atomic_load(&s->key);
		if (!atomic_compare_exchange_strong(&s->key, &old, key))
			continue;
		/* Unless somebody has already put something there for key. */
		(void)atomic_compare_exchange_strong(&s->value, &value, 0);
		break;
	}
	return s;
}

uint64_t
guard_table_get(const struct guard_table *t, uint64_t key)
{
	const struct guard_slot *s = guard_find(t, key);

	return s ? guard_of(key, atomic_load(&s->value)) : 0;
}

void
guard_table_put(struct guard_table *t, uint64_t key, uint64_t number)
{
	atomic_store(&guard_make(t, key)->value, guard_tagged(key, guard_number(number)));
}

void
guard_table_forget(struct guard_table *t, uint64_t key)
{
	struct guard_slot *s = guard_set(t, key);
	uint64_t is;

	/* All that say so: two who made it at once may have made two. */
	for (size_t i = 0; i < GUARD_WAYS; i++) {
		is = key;
		if (atomic_load(&s[i].key) != key)
			continue;
		atomic_store(&s[i].value, 0);
		(void)atomic_compare_exchange_strong(&s[i].key, &is, 0);
	}
}

/* ---- buckets ----------------------------------------------------------------------------- */

bool
guard_bucket_take(struct guard_table *t, uint64_t key, uint64_t rate, uint64_t now_us)
{
	uint64_t each = MINUTE_US / (rate ? rate : 1), value, empty, next;
	struct guard_slot *s = guard_make(t, key);

	value = atomic_load(&s->value);
	do {
		empty = guard_of(key, value);
		/* Later than any bucket can be: of another boot, or of a larger rate before. */
		next = empty > now_us + MINUTE_US || empty < now_us ? now_us : empty;
		if (next + each > now_us + MINUTE_US)
			return false;
	} while (!atomic_compare_exchange_weak(&s->value, &value, guard_tagged(key, next + each)));
	return true;
}
