/* json.c: writing JSON.  See json.h. */
#include "base/json.h"
#include "base/civil.h"
#include "base/utf8.h"

static void
put_char(struct buf *b, int32_t cp)
{
	switch (cp) {
	case '"': buf_lit(b, "\\\""); break;
	case '\\': buf_lit(b, "\\\\"); break;
	case '\n': buf_lit(b, "\\n"); break;
	case '\r': buf_lit(b, "\\r"); break;
	case '\t': buf_lit(b, "\\t"); break;
	default:
		if (cp < 0)
			utf8_put(b, 0xfffd);
		else if (cp < 0x20 || cp == 0x7f)
			buf_printf(b, "\\u%04x", (unsigned)cp);
		else
			utf8_put(b, (uint32_t)cp);
	}
}

/* Octets at the front that stand for themselves. */
static size_t
json_plain(struct slice s)
{
	size_t n = 0;

	while (n < s.n && s.p[n] >= ' ' && s.p[n] < 0x7f && s.p[n] != '"' && s.p[n] != '\\')
		n++;
	return n;
}

void
json_chars(struct buf *b, struct slice s)
{
	while (s.n) {
		size_t n = json_plain(s);

		buf_add(b, s.p, n);
		s = slice_from(s, n);
		if (s.n)
			put_char(b, utf8_next(&s));
	}
}

void
json_str(struct buf *b, struct slice s)
{
	buf_char(b, '"');
	json_chars(b, s);
	buf_char(b, '"');
}

void
json_element(struct buf *b)
{
	char last = b->n ? b->p[b->n - 1] : '{';

	if (last != '{' && last != '[' && last != ':')
		buf_char(b, ',');
}

void
json_member(struct buf *b, struct slice key)
{
	json_element(b);
	json_str(b, key);
	buf_char(b, ':');
}

void
json_key(struct buf *b, const char *key)
{
	json_member(b, slice_str(key));
}

void
json_put_str(struct buf *b, const char *key, struct slice value)
{
	json_key(b, key);
	json_str(b, value);
}

void
json_put_cstr(struct buf *b, const char *key, const char *value)
{
	if (value)
		json_put_str(b, key, slice_str(value));
}

void
json_put_i64(struct buf *b, const char *key, int64_t value)
{
	json_key(b, key);
	buf_i64(b, value);
}

void
json_put_bool(struct buf *b, const char *key, bool value)
{
	json_key(b, key);
	buf_str(b, value ? "true" : "false");
}

void
json_put_null(struct buf *b, const char *key)
{
	json_key(b, key);
	buf_lit(b, "null");
}

void
json_put_object(struct buf *b, const char *key)
{
	json_key(b, key);
	buf_char(b, '{');
}

void
json_put_array(struct buf *b, const char *key)
{
	json_key(b, key);
	buf_char(b, '[');
}

void
json_utc(struct buf *b, int64_t at)
{
	struct civil c = civil_from_unix(at);

	buf_printf(b, "\"%04lld-%02d-%02dT%02d:%02d:%02dZ\"", (long long)c.year, c.month, c.day,
	    c.hour, c.minute, c.second);
}

void
json_put_utc(struct buf *b, const char *key, int64_t at)
{
	json_key(b, key);
	json_utc(b, at);
}
