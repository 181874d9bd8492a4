/* kv.c: `key=value` words with percent-escaped values.  See kv.h.
 *
 * Called for the records of queue files and the lines to jobctl.  Parsing a line cannot fail;
 * decoding a value can.  What must stay true: an escaped value holds no blank, line end or `=`,
 * whatever its bytes, so a record is always one line and cannot grow another key; an unknown key
 * is for the caller to pass over, which is how versions meet. */
#include <errno.h>
#include "base/kv.h"
#include "base/must.h"

static bool
plain_byte(unsigned char c)
{
	return c > ' ' && c < 0x7f && c != '%' && c != '=';
}

bool
kv_next(struct slice *rest, struct slice *key, struct slice *value)
{
	struct slice word;
	size_t eq;

	while (rest->n > 0 && rest->p[0] == ' ')
		*rest = slice_from(*rest, 1);
	if (!slice_cut(rest, ' ', &word))
		return false;
	eq = slice_find(word, '=');
	*key = slice(word.p, eq);
	*value = eq == word.n ? slice(NULL, 0) : slice(word.p + eq + 1, word.n - eq - 1);
	return true;
}

struct slice
kv_find(struct slice rest, const char *key)
{
	struct slice want = slice_str(key), k, v;

	while (kv_next(&rest, &k, &v))
		if (slice_eq(k, want))
			return v;
	return slice(NULL, 0);
}

static void
put_key(struct buf *b, const char *key)
{
	buf_char(b, ' ');
	buf_str(b, key);
	buf_char(b, '=');
}

void
kv_put(struct buf *b, const char *key, struct slice value)
{
	static const char digit[] = "0123456789ABCDEF";
	size_t from = 0;

	put_key(b, key);
	for (size_t i = 0; i < value.n; i++) {
		unsigned char c = (unsigned char)value.p[i];

		if (LIKELY(plain_byte(c)))
			continue;
		buf_add(b, value.p + from, i - from);
		buf_char(b, '%');
		buf_char(b, digit[c >> 4]);
		buf_char(b, digit[c & 15]);
		from = i + 1;
	}
	if (from < value.n)
		buf_add(b, value.p + from, value.n - from);
}

void
kv_put_raw(struct buf *b, const char *key, struct slice escaped)
{
	put_key(b, key);
	buf_slice(b, escaped);
}

void
kv_put_u64(struct buf *b, const char *key, uint64_t v)
{
	put_key(b, key);
	buf_u64(b, v);
}

void
kv_put_i64(struct buf *b, const char *key, int64_t v)
{
	put_key(b, key);
	buf_i64(b, v);
}

/* The byte that starts at value.p[*i]; *i moves past it.  -1 when it is badly escaped. */
static int
decode_byte(struct slice value, size_t *i)
{
	int high, low;

	if (value.p[*i] != '%')
		return (unsigned char)value.p[(*i)++];
	if (value.n - *i < 3 || (high = ascii_hex(value.p[*i + 1])) < 0 ||
	    (low = ascii_hex(value.p[*i + 2])) < 0)
		return -1;
	*i += 3;
	return high << 4 | low;
}

int
kv_decode(struct buf *b, struct slice value)
{
	if (kv_is_plain(value)) {
		buf_slice(b, value);
		return 0;
	}
	for (size_t i = 0; i < value.n;) {
		int c = decode_byte(value, &i);

		if (c < 0)
			return -EBADMSG;
		buf_char(b, (char)c);
	}
	return 0;
}

int
kv_cstr(struct slice value, char *dst, size_t cap)
{
	size_t n = 0;

	must(cap > 0);
	dst[0] = '\0';
	for (size_t i = 0; i < value.n;) {
		int c = decode_byte(value, &i);

		if (c <= 0)
			return -EBADMSG;
		if (n + 1 >= cap)
			return -ERANGE;
		dst[n++] = (char)c;
		dst[n] = '\0';
	}
	return 0;
}

bool
kv_is_plain(struct slice value)
{
	return value.n == 0 || !memchr(value.p, '%', value.n);
}
