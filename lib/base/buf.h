/* base/buf.h: owned, growing bytes.
 *
 * A zeroed struct is a valid empty buffer without a cap.  Growth goes through one function
 * that checks overflow and the cap; over the cap nothing is added and `full` is set, which
 * the owner looks at where it answers.  The bytes may move on every call that adds. */
#ifndef BASE_BUF_H
#define BASE_BUF_H
#include <stdarg.h>
#include "base/slice.h"

struct buf {
	char *p;
	size_t n;    /* bytes in use */
	size_t room; /* bytes allocated */
	size_t cap;  /* most bytes ever, 0 = no cap */
	bool full;   /* something did not fit */
};

void buf_init(struct buf *b, size_t cap);
void buf_fini(struct buf *b);              /* frees; the buffer is empty and usable again */
void buf_clear(struct buf *b);             /* keeps the memory, forgets the bytes and `full` */
void buf_grow(struct buf *b, size_t more); /* room for `more` further bytes (or full) */
/* Room for n bytes at the end for the caller to write, NULL when over the cap; the caller
 * adds what it wrote to b->n. */
char *buf_reserve(struct buf *b, size_t n);
void buf_add(struct buf *b, const void *p, size_t n);
void buf_slice(struct buf *b, struct slice s);
void buf_str(struct buf *b, const char *s);
void buf_char(struct buf *b, char c);
void buf_u64(struct buf *b, uint64_t v); /* decimal */
void buf_i64(struct buf *b, int64_t v);
void buf_hex(struct buf *b, const void *p, size_t n); /* lower case */
void buf_printf(struct buf *b, const char *fmt, ...) PRINTF(2, 3);
void buf_vprintf(struct buf *b, const char *fmt, va_list ap) PRINTF(2, 0);
void buf_cut(struct buf *b, size_t n);     /* drops n bytes from the front (memmove) */
const char *buf_cstr(struct buf *b);       /* a NUL behind the bytes; valid until the next add */
struct slice buf_get(const struct buf *b); /* borrowed, until the next add */
char *buf_take(struct buf *b);             /* the bytes with a NUL, to free(); b is empty */

/* A literal without strlen. */
#define buf_lit(b, lit) buf_add((b), "" lit, sizeof(lit) - 1)
#endif
