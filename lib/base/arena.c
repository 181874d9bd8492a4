/* arena.c: blocks that double from 1 KiB to 64 KiB; what is larger gets a block of its own behind
 * the current one, so that the rest of the current block is not lost.
 *
 * Called wherever a command or a transaction needs memory.  Out of memory aborts.  What must stay
 * true: what was given out never moves; arena_reset frees all of it, an arena at rest holds
 * nothing; arena_wipe clears before it frees, for passwords.  How much a peer can make it take is
 * the caller's to bound. */
#include <stdarg.h>
#include "base/arena.h"
#include "base/mem.h"
#include "base/must.h"
#include "base/print.h"

#define BLOCK_LEAST 1024
#define BLOCK_MOST  65536
#define ALIGN       16

struct arena_block {
	struct arena_block *next;
	size_t size; /* of the bytes that follow the header */
};

_Static_assert(sizeof(struct arena_block) == ALIGN, "blocks begin aligned");

static struct arena_block *
block_new(size_t size)
{
	struct arena_block *k = mem_grow(NULL, sizeof(*k) + size, 1);

	k->size = size;
	return k;
}

static void *
arena_more(struct arena *a, size_t n)
{
	struct arena_block *k;
	size_t size = a->blocks ? a->blocks->size * 2 : BLOCK_LEAST - sizeof(*k);

	if (size > BLOCK_MOST)
		size = BLOCK_MOST;
	if (n > size / 4 && a->blocks && n > (size_t)(a->end - a->at)) {
		k = block_new(n);
		k->next = a->blocks->next;
		a->blocks->next = k;
		return k + 1;
	}
	if (size < n)
		size = n;
	k = block_new(size);
	k->next = a->blocks;
	a->blocks = k;
	a->at = (char *)(k + 1) + n;
	a->end = (char *)(k + 1) + size;
	return k + 1;
}

/* Begins anew in a block, the only one. */
static void
arena_begin(struct arena *a, struct arena_block *k)
{
	k->next = NULL;
	*a = (struct arena){ .blocks = k, .at = (char *)(k + 1), .end = (char *)(k + 1) + k->size };
}

void
arena_expect(struct arena *a, size_t n)
{
	if (a->total || n > BLOCK_MOST || (a->blocks && n <= a->blocks->size))
		return;
	arena_reset(a);
	arena_begin(a, block_new(n < BLOCK_LEAST ? BLOCK_LEAST : n));
}

/* Not zeroed: for strings that are written at once. */
static void *
arena_raw(struct arena *a, size_t n)
{
	void *p;

	must(n < PTRDIFF_MAX - 2 * ALIGN);
	n = (n + ALIGN - 1) & ~(size_t)(ALIGN - 1);
	a->total += n;
	if (UNLIKELY(n > (size_t)(a->end - a->at) || !a->at))
		return arena_more(a, n);
	p = a->at;
	a->at += n;
	return p;
}

void *
arena_new(struct arena *a, size_t n)
{
	void *p = arena_raw(a, n);

	return memset(p, 0, n);
}

void *
arena_array(struct arena *a, size_t n, size_t size)
{
	size_t total;

	must(!__builtin_mul_overflow(n, size, &total));
	return arena_new(a, total);
}

char *
arena_str(struct arena *a, const char *s)
{
	return arena_cstr(a, slice_str(s));
}

char *
arena_cstr(struct arena *a, struct slice s)
{
	char *p = arena_raw(a, s.n + 1);

	if (s.n)
		memcpy(p, s.p, s.n);
	p[s.n] = '\0';
	return p;
}

struct slice
arena_slice(struct arena *a, struct slice s)
{
	return slice(arena_cstr(a, s), s.n);
}

char *
arena_printf(struct arena *a, const char *fmt, ...)
{
	va_list ap;
	char *p;
	int n;

	va_start(ap, fmt);
	n = print_va(NULL, 0, fmt, ap);
	va_end(ap);
	must(n >= 0);
	p = arena_raw(a, (size_t)n + 1);
	va_start(ap, fmt);
	(void)print_va(p, (size_t)n + 1, fmt, ap);
	va_end(ap);
	return p;
}

void
arena_wipe(struct arena *a)
{
	for (struct arena_block *k = a->blocks; k; k = k->next)
		explicit_bzero(k + 1, k->size);
	arena_reset(a);
}

void
arena_rewind(struct arena *a, size_t most)
{
	struct arena_block *k = a->blocks;

	if (!k || k->next || k->size > most)
		arena_reset(a);
	else
		arena_begin(a, k);
}

void
arena_reset(struct arena *a)
{
	struct arena_block *k = a->blocks, *next;

	for (; k; k = next) {
		next = k->next;
		mem_release(k);
	}
	*a = (struct arena){ 0 };
}
