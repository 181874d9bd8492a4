/* slice.c: comparing, searching and cutting borrowed bytes.
 *
 * Called everywhere.  Only numbers can fail.  What must stay true: any slice may be {NULL, 0}, no
 * function reads behind n or wants a NUL there, positions out of range mean the end, and "not
 * found" is the length.  ASCII case alone is folded here, by no locale; other alphabets are
 * utf8.c's.  The hashes differ from process to process and are not for keeping. */
#include <errno.h>
#include <stdatomic.h>
#include "base/random.h"
#include "base/slice.h"

/* memcmp with lengths that are equal and may be 0 with a NULL pointer. */
static inline bool
same(const char *a, const char *b, size_t n)
{
	return n == 0 || memcmp(a, b, n) == 0;
}

static inline bool
isame(const char *a, const char *b, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (a[i] != b[i] && ascii_lower(a[i]) != ascii_lower(b[i]))
			return false;
	return true;
}

bool
slice_eq(struct slice a, struct slice b)
{
	return a.n == b.n && same(a.p, b.p, a.n);
}

bool
slice_ieq(struct slice a, struct slice b)
{
	return a.n == b.n && isame(a.p, b.p, a.n);
}

int
slice_cmp(struct slice a, struct slice b)
{
	size_t n = a.n < b.n ? a.n : b.n;
	int r = n ? memcmp(a.p, b.p, n) : 0;

	return r ? r : (a.n > b.n) - (a.n < b.n);
}

bool
slice_starts(struct slice s, struct slice prefix)
{
	return s.n >= prefix.n && same(s.p, prefix.p, prefix.n);
}

bool
slice_istarts(struct slice s, struct slice prefix)
{
	return s.n >= prefix.n && isame(s.p, prefix.p, prefix.n);
}

bool
slice_ends(struct slice s, struct slice suffix)
{
	return s.n >= suffix.n &&
	    (suffix.n == 0 || same(s.p + (s.n - suffix.n), suffix.p, suffix.n));
}

size_t
slice_find(struct slice s, char c)
{
	const char *p = s.n ? memchr(s.p, c, s.n) : NULL;

	return p ? (size_t)(p - s.p) : s.n;
}

size_t
slice_rfind(struct slice s, char c)
{
	const char *p = s.n ? memrchr(s.p, c, s.n) : NULL;

	return p ? (size_t)(p - s.p) : s.n;
}

size_t
slice_find_str(struct slice s, struct slice needle)
{
	const char *p;

	if (needle.n == 0)
		return 0;
	p = s.n < needle.n ? NULL : memmem(s.p, s.n, needle.p, needle.n);
	return p ? (size_t)(p - s.p) : s.n;
}

size_t
slice_ifind_str(struct slice s, struct slice needle)
{
	size_t last;
	char lo, up;

	if (needle.n == 0)
		return 0;
	if (s.n < needle.n)
		return s.n;
	last = s.n - needle.n;
	lo = ascii_lower(needle.p[0]);
	up = ascii_upper(needle.p[0]);
	for (size_t i = 0; i <= last; i++) {
		if (lo == up) {
			const char *p = memchr(s.p + i, lo, last - i + 1);

			if (!p)
				return s.n;
			i = (size_t)(p - s.p);
		} else if (s.p[i] != lo && s.p[i] != up) {
			continue;
		}
		if (isame(s.p + i + 1, needle.p + 1, needle.n - 1))
			return i;
	}
	return s.n;
}

struct slice
slice_from(struct slice s, size_t at)
{
	if (s.n == 0)
		return s;
	if (at > s.n)
		at = s.n;
	return slice(s.p + at, s.n - at);
}

struct slice
slice_sub(struct slice s, size_t at, size_t n)
{
	s = slice_from(s, at);
	if (s.n > n)
		s.n = n;
	return s;
}

static inline bool
slice_is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct slice
slice_trim(struct slice s)
{
	while (s.n && slice_is_space(s.p[s.n - 1]))
		s.n--;
	while (s.n && slice_is_space(s.p[0])) {
		s.p++;
		s.n--;
	}
	return s;
}

bool
slice_cut(struct slice *s, char sep, struct slice *head)
{
	size_t at;

	if (s->n == 0)
		return false;
	at = slice_find(*s, sep);
	*head = slice(s->p, at);
	*s = slice_from(*s, at + 1);
	return true;
}

bool
slice_word(struct slice *s, struct slice *word)
{
	size_t i = 0, j;

	while (i < s->n && (s->p[i] == ' ' || s->p[i] == '\t'))
		i++;
	for (j = i; j < s->n && s->p[j] != ' ' && s->p[j] != '\t'; j++)
		;
	*word = slice_sub(*s, i, j - i);
	*s = slice_from(*s, j);
	return word->n != 0;
}

int
slice_u64(struct slice s, uint64_t max, uint64_t *v)
{
	uint64_t x = 0;
	bool over = false;

	if (s.n == 0)
		return -EINVAL;
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] < '0' || s.p[i] > '9')
			return -EINVAL;
		over |= __builtin_mul_overflow(x, 10, &x);
		over |= __builtin_add_overflow(x, (uint64_t)(s.p[i] - '0'), &x);
	}
	if (over || x > max)
		return -ERANGE;
	*v = x;
	return 0;
}

char *
slice_cstr(struct slice s, char *dst, size_t cap)
{
	size_t n = s.n < cap ? s.n : cap - 1;

	if (cap == 0)
		return dst;
	for (size_t i = 0; i < n; i++)
		dst[i] = s.p[i] ? s.p[i] : '?';
	dst[n] = '\0';
	return dst;
}

/* The seed is made once per process (and survives fork, so that shared tables agree). */
static uint64_t
hash_seed(void)
{
	static _Atomic uint64_t seed;
	uint64_t s = atomic_load_explicit(&seed, memory_order_relaxed), none = 0;

	if (UNLIKELY(s == 0)) {
		s = random_u64() | 1;
		if (!atomic_compare_exchange_strong(&seed, &none, s))
			s = none;
	}
	return s;
}

#define FNV_PRIME 0x100000001b3ULL

/* FNV leaves the low bits weak for short keys; tables take the low bits. */
static inline uint64_t
hash_end(uint64_t h)
{
	h ^= h >> 32;
	h *= 0x9e3779b97f4a7c15ULL;
	return h ^ h >> 29;
}

#ifdef MIX_WORDS
#define HASH_ODD 0x9e3779b97f4a7c15ULL

/* Eight bytes at a time: whoever does not know the seed does not know what a word is multiplied
 * with, nor to where its difference to another goes. */
uint64_t
slice_hash(struct slice s)
{
	uint64_t seed = hash_seed(), h = MIX_WORDS(seed ^ s.n, HASH_ODD), word = 0;
	const char *p = s.p;
	size_t n = s.n;

	for (; n >= sizeof(word); n -= sizeof(word), p += sizeof(word)) {
		memcpy(&word, p, sizeof(word));
		h = MIX_WORDS(h ^ word, seed);
	}
	word = 0;
	for (size_t i = 0; i < n; i++)
		word = word << 8 | (unsigned char)p[i];
	return MIX_WORDS(h ^ word, seed ^ HASH_ODD);
}
#else
uint64_t
slice_hash(struct slice s)
{
	uint64_t h = 0xcbf29ce484222325ULL ^ hash_seed();

	for (size_t i = 0; i < s.n; i++)
		h = (h ^ (unsigned char)s.p[i]) * FNV_PRIME;
	return hash_end(h);
}
#endif

uint64_t
slice_ihash(struct slice s)
{
	uint64_t h = 0xcbf29ce484222325ULL ^ hash_seed();

	for (size_t i = 0; i < s.n; i++)
		h = (h ^ (unsigned char)ascii_lower(s.p[i])) * FNV_PRIME;
	return hash_end(h);
}
