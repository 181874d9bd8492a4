/* random.c: getrandom without a pool of our own, so that fork needs no thought. */
#include <errno.h>
#include <stdatomic.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>
#include "base/must.h"
#include "base/random.h"

#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
/* In a fuzz target an input does the same each time (SplitMix64). */
void
random_bytes(void *p, size_t n)
{
	static uint64_t state;

	for (size_t i = 0; i < n; i++) {
		uint64_t z = state += 0x9e3779b97f4a7c15u;

		z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
		((char *)p)[i] = (char)(z ^ z >> 27);
	}
}
#else
void
random_bytes(void *p, size_t n)
{
	char *at = p;

	while (n > 0) {
		ssize_t got = getrandom(at, n, 0);

		if (got < 0 && errno == EINTR)
			continue;
		must(got > 0);
		at += got;
		n -= (size_t)got;
	}
}
#endif

uint64_t
random_u64(void)
{
	uint64_t v;

	random_bytes(&v, sizeof(v));
	return v;
}

uint64_t
random_below(uint64_t n)
{
	uint64_t v, least;

	must(n > 0);
	least = (0 - n) % n; /* 2^64 mod n: values below it would favour small results */
	do {
		v = random_u64();
	} while (v < least);
	return v % n;
}

#define ID_TIME  10 /* digits: 36^10 microseconds reach to the year 2085 */
#define ID_PLACE 3  /* digits: 36^3 process numbers */

static uint32_t
host_number(void)
{
	char name[256] = "";
	uint32_t h = 2166136261u;

	(void)gethostname(name, sizeof(name) - 1);
	for (const char *c = name; *c; c++)
		h = (h ^ (unsigned char)*c) * 16777619u;
	return h % 46656;
}

/* Unique by construction, not by luck: no microsecond is used twice in a process, and the
 * last digits tell processes of one host apart (shifted by a number made from its name). */
char *
random_id(char dst[14])
{
	static const char digits[] = "0123456789abcdefghijklmnopqrstuvwxyz";
	static _Atomic uint64_t last;
	static _Atomic uint32_t host;
	struct timespec ts;
	uint64_t at, was = atomic_load(&last), place;

	if (atomic_load(&host) == 0)
		atomic_store(&host, host_number() + 1);
	(void)clock_gettime(CLOCK_REALTIME, &ts);
	do {
		at = (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
		if (at <= was)
			at = was + 1;
	} while (!atomic_compare_exchange_weak(&last, &was, at));
	place = (atomic_load(&host) + (uint64_t)getpid()) % 46656;
	dst[ID_TIME + ID_PLACE] = '\0';
	for (int i = ID_TIME + ID_PLACE - 1; i >= ID_TIME; i--, place /= 36)
		dst[i] = digits[place % 36];
	for (int i = ID_TIME - 1; i >= 0; i--, at /= 36)
		dst[i] = digits[at % 36];
	return dst;
}
