/* base/arena.h: a bump allocator whose allocations are all freed at once: per SMTP
 * transaction, per IMAP command.  A zeroed struct is a valid empty arena; it holds no memory
 * until the first allocation. */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H
#include "base/slice.h"

struct arena_block;
struct arena {
	struct arena_block *blocks;
	char *at, *end;
	size_t total; /* bytes handed out since the last reset */
};

/* An arena that has given out nothing will give out about so many bytes: they come in one block. */
void arena_expect(struct arena *a, size_t n);
void *arena_new(struct arena *a, size_t n); /* zeroed, aligned to 16 */
void *arena_array(struct arena *a, size_t n, size_t size);
char *arena_str(struct arena *a, const char *s);
char *arena_cstr(struct arena *a, struct slice s); /* with a NUL */
struct slice arena_slice(struct arena *a, struct slice s);
char *arena_printf(struct arena *a, const char *fmt, ...) PRINTF(2, 3);
void arena_wipe(struct arena *a);  /* overwrites everything, then arena_reset */
void arena_reset(struct arena *a); /* frees everything, all blocks */
/* The same, but keeps the block if there is just one, and of `most` bytes at most: for an owner that is
 * about to be used again. */
void arena_rewind(struct arena *a, size_t most);
#endif
