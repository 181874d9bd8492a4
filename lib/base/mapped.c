/* base/mapped.c: see mapped.h.
 *
 * The handler may run in any thread at any moment, so that it takes no lock: the maps stand in a table of
 * atomics.  Who takes a place owns it until he gives it back, and reads his map only in between; so the one
 * whose read fails finds its map there.  When the table is full maps are made all the same, and
 * kill as maps do: nobody who opens many can keep others from reading. */
#include "base/mapped.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/mem.h"

#define PLACES 2048
#define LOOKS  64      /* places that are tried for a map */
#define SMALL  0x4000u /* bytes of a file that is read; thousands of sessions may hold one */

static struct {
	_Atomic uintptr_t from, to; /* 0, 0: free; 1, 0: being filled */
	_Atomic bool cut;
} places[PLACES];
static _Atomic unsigned next_place;
static void (*_Atomic others)(int sig, siginfo_t *info, void *context);
static size_t page;

/* Zeros from the page at `at` to the end of the map: behind the end of a file nothing comes. */
static bool
mapped_mend(uintptr_t at)
{
	for (size_t i = 0; i < PLACES; i++) {
		uintptr_t from = atomic_load(&places[i].from), to = atomic_load(&places[i].to);
		char *p;

		/* Between the two loads the place may have become somebody else's. */
		if (at < from || at >= to || atomic_load(&places[i].from) != from)
			continue;
		p = (char *)from + (at - from) / page * page;
		atomic_store(&places[i].cut, true);
		return mmap(p, to - (uintptr_t)p, PROT_READ,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED;
	}
	return false;
}

static void
mapped_on_bus_error(int sig, siginfo_t *info, void *context)
{
	void (*fn)(int, siginfo_t *, void *) = atomic_load(&others);
	int error = errno;

	if (info->si_code > 0 && mapped_mend((uintptr_t)info->si_addr)) {
		errno = error;
		return;
	}
	if (fn)
		fn(sig, info, context);
	signal(SIGBUS, SIG_DFL); /* the read is tried again, and ends the process */
	if (info->si_code <= 0)
		raise(SIGBUS);
}

static void
mapped_install(void)
{
	struct sigaction sa = { .sa_sigaction = mapped_on_bus_error,
		.sa_flags = SA_SIGINFO | SA_NODEFER };

	page = (size_t)sysconf(_SC_PAGESIZE);
	sigemptyset(&sa.sa_mask);
	sigaction(SIGBUS, &sa, NULL);
}

static void
mapped_ready(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, mapped_install);
}

void
mapped_others(void (*fn)(int sig, siginfo_t *info, void *context))
{
	atomic_store(&others, fn);
	mapped_ready();
}

/* A free place, now taken; its number + 1, or 0. */
static unsigned
place_take(void)
{
	unsigned at = atomic_fetch_add(&next_place, 1);

	for (unsigned i = 0; i < LOOKS; i++) {
		unsigned place = (at + i) % PLACES;
		uintptr_t is_free = 0;

		if (atomic_compare_exchange_strong(&places[place].from, &is_free, 1))
			return place + 1;
	}
	return 0;
}

/* A file that ends early is filled up with zero bytes. */
static int
mapped_read(struct mapped *m, int fd, size_t n)
{
	char *p = mem_grow(NULL, n, 1);
	size_t at = 0;

	while (at < n) {
		ssize_t got = pread(fd, p + at, n - at, (off_t)at);

		if (got < 0) {
			int rc = -errno;

			mem_release(p);
			return rc;
		}
		if (got == 0)
			break;
		at += (size_t)got;
	}
	memset(p + at, 0, n - at);
	*m = (struct mapped){ .p = p, .n = n, .read = true, .cut = at < n };
	return 0;
}

int
mapped_open(struct mapped *m, int fd, size_t n)
{
	void *p;

	if (n <= SMALL)
		return mapped_read(m, fd, n);
	p = mmap(NULL, n, PROT_READ, MAP_PRIVATE, fd, 0);
	if (p == MAP_FAILED)
		return -errno;
	mapped_ready();
	*m = (struct mapped){ .p = p, .n = n, .place = place_take() };
	if (m->place) {
		unsigned i = m->place - 1;

		atomic_store(&places[i].cut, false);
		atomic_store(&places[i].from, (uintptr_t)p);
		atomic_store(&places[i].to, (uintptr_t)p + n);
	}
	return 0;
}

bool
mapped_cut(const struct mapped *m)
{
	return m->cut || (m->place && atomic_load(&places[m->place - 1].cut));
}

void
mapped_close(struct mapped *m)
{
	if (!m->p)
		return;
	if (m->read) {
		mem_release(m->p);
	} else if (m->place) {
		/* Before the addresses can be somebody else's. */
		atomic_store(&places[m->place - 1].to, 0);
		munmap(m->p, m->n);
		atomic_store(&places[m->place - 1].from, 0);
	} else {
		munmap(m->p, m->n);
	}
	*m = (struct mapped){ 0 };
}
