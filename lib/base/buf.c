/* buf.c: the one place where owned bytes grow.
 *
 * Called everywhere.  Out of memory aborts; the cap that an owner has given does not: nothing is
 * added, `full` says so, and the owner looks there where it answers.  What must stay true: no
 * other code computes room, so overflow is checked once, and a buffer over its cap holds whole
 * additions only. */
#include <stdlib.h>
#include "base/buf.h"
#include "base/mem.h"
#include "base/must.h"
#include "base/print.h"

#define BUF_LEAST 64

void
buf_init(struct buf *b, size_t cap)
{
	*b = (struct buf){ .cap = cap };
}

void
buf_fini(struct buf *b)
{
	mem_free(&b->p);
	b->n = b->room = 0;
	b->full = false;
}

void
buf_clear(struct buf *b)
{
	b->n = 0;
	b->full = false;
}

/* Room for `want` bytes in all.  Doubling keeps appends linear. */
static void
buf_room(struct buf *b, size_t want)
{
	size_t room = b->room < BUF_LEAST ? BUF_LEAST : b->room;

	while (room < want)
		room = room > SIZE_MAX / 2 ? want : room * 2;
	b->p = mem_grow(b->p, room, 1);
	b->room = room;
}

static bool
buf_fits_more(struct buf *b, size_t more)
{
	size_t want;

	if (UNLIKELY(__builtin_add_overflow(b->n, more, &want) || (b->cap && want > b->cap))) {
		b->full = true;
		return false;
	}
	if (UNLIKELY(want > b->room || !b->p))
		buf_room(b, want);
	return true;
}

/* Mostly there is room. */
static inline bool
buf_fits(struct buf *b, size_t more)
{
	return (more <= b->room - b->n && b->p && !b->cap) || buf_fits_more(b, more);
}

void
buf_grow(struct buf *b, size_t more)
{
	(void)buf_fits(b, more);
}

char *
buf_reserve(struct buf *b, size_t n)
{
	return buf_fits(b, n) ? b->p + b->n : NULL;
}

void
buf_add(struct buf *b, const void *p, size_t n)
{
	if (n == 0 || !buf_fits(b, n))
		return;
	memcpy(b->p + b->n, p, n);
	b->n += n;
}

void
buf_slice(struct buf *b, struct slice s)
{
	buf_add(b, s.p, s.n);
}

void
buf_str(struct buf *b, const char *s)
{
	buf_add(b, s, strlen(s));
}

void
buf_char(struct buf *b, char c)
{
	if (LIKELY(buf_fits(b, 1)))
		b->p[b->n++] = c;
}

void
buf_u64(struct buf *b, uint64_t v)
{
	static const char pairs[] = "00010203040506070809101112131415161718192021222324"
				    "25262728293031323334353637383940414243444546474849"
				    "50515253545556575859606162636465666768697071727374"
				    "75767778798081828384858687888990919293949596979899";
	char tmp[20], *p = tmp + sizeof(tmp);

	while (v >= 100) {
		p -= 2;
		memcpy(p, pairs + v % 100 * 2, 2);
		v /= 100;
	}
	if (v >= 10) {
		p -= 2;
		memcpy(p, pairs + v * 2, 2);
	} else {
		*--p = (char)('0' + v);
	}
	buf_add(b, p, (size_t)(tmp + sizeof(tmp) - p));
}

void
buf_i64(struct buf *b, int64_t v)
{
	if (v < 0)
		buf_char(b, '-');
	buf_u64(b, v < 0 ? 0 - (uint64_t)v : (uint64_t)v);
}

void
buf_hex(struct buf *b, const void *p, size_t n)
{
	static const char digits[] = "0123456789abcdef";
	const unsigned char *in = p;
	char *out = n > SIZE_MAX / 2 ? NULL : buf_reserve(b, n * 2);

	if (!out)
		return;
	for (size_t i = 0; i < n; i++) {
		*out++ = digits[in[i] >> 4];
		*out++ = digits[in[i] & 15];
	}
	b->n += n * 2;
}

void
buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	buf_vprintf(b, fmt, ap);
	va_end(ap);
}

void
buf_vprintf(struct buf *b, const char *fmt, va_list ap)
{
	va_list again;
	size_t room = b->room - b->n;
	int n;

	va_copy(again, ap);
	n = print_va(room ? b->p + b->n : NULL, room, fmt, ap);
	must(n >= 0);
	if (b->cap && (size_t)n > b->cap - b->n) {
		b->full = true;
	} else {
		if ((size_t)n >= room) {
			buf_room(b, b->n + (size_t)n + 1);
			(void)print_va(b->p + b->n, (size_t)n + 1, fmt, again);
		}
		b->n += (size_t)n;
	}
	va_end(again);
}

void
buf_cut(struct buf *b, size_t n)
{
	if (n >= b->n) {
		b->n = 0;
		return;
	}
	if (n == 0)
		return;
	memmove(b->p, b->p + n, b->n - n);
	b->n -= n;
}

/* The NUL is not counted by the cap. */
const char *
buf_cstr(struct buf *b)
{
	if (b->n == b->room)
		buf_room(b, b->n + 1);
	b->p[b->n] = '\0';
	return b->p;
}

struct slice
buf_get(const struct buf *b)
{
	return slice(b->p, b->n);
}

char *
buf_take(struct buf *b)
{
	char *p;

	(void)buf_cstr(b);
	p = b->p;
	*b = (struct buf){ .cap = b->cap };
	return p;
}
