/* param.c: parameter lists, and the three ways of RFC 2231 to say something longer. */
#include "mail/charset.h"
#include "mail/encoded_word.h"
#include "mail/param.h"
#include "mail/token.h"

/* A value without quotes: more than a token, as people write it ("----=_Part", "a/b"). */
static struct slice
take_value(struct slice *s, struct arena *a)
{
	size_t n = 0;
	struct slice v;

	token_skip(s);
	if (s->n && s->p[0] == '"')
		return token_quoted(s, a);
	while (n < s->n && s->p[n] != ';' && s->p[n] != '"' && s->p[n] != '(' &&
	    (s->p[n] & 0x80 || s->p[n] > ' '))
		n++;
	v = slice_sub(*s, 0, n);
	*s = slice_from(*s, n);
	return v;
}

/* Over rubbish to behind the next ";" that is not in quotes or comments. */
static void
skip_to_next(struct slice *s, struct arena *a)
{
	for (;;) {
		token_skip(s);
		if (s->n == 0 || token_char(s, ';'))
			return;
		if (s->p[0] == '"')
			(void)token_quoted(s, a);
		else
			*s = slice_from(*s, 1);
	}
}

void
param_list_parse(struct slice s, struct arena *a, struct param_list *list)
{
	struct param *grown;
	size_t room = 0;

	*list = (struct param_list){ 0 };
	(void)token_char(&s, ';');
	while (s.n > 0 && list->n < PARAM_MAX) {
		struct slice name = token_take(&s);

		if (name.n > 0 && token_char(&s, '=')) {
			if (list->n == room) {
				room = room ? room * 2 : 4;
				grown = arena_array(a, room, sizeof(*grown));
				if (list->n)
					memcpy(grown, list->p, list->n * sizeof(*grown));
				list->p = grown;
			}
			list->p[list->n++] = (struct param){ name, take_value(&s, a) };
		}
		skip_to_next(&s, a);
	}
}

bool
param_find(const struct param_list *list, struct slice name, struct slice *value)
{
	for (size_t i = 0; i < list->n; i++) {
		if (slice_ieq(list->p[i].name, name)) {
			*value = list->p[i].value;
			return true;
		}
	}
	return false;
}

static void
add_percent(struct buf *b, struct slice s)
{
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (c == '%' && i + 2 < s.n && ascii_hex(s.p[i + 1]) >= 0 && ascii_hex(s.p[i + 2]) >= 0) {
			c = (char)(ascii_hex(s.p[i + 1]) << 4 | ascii_hex(s.p[i + 2]));
			i += 2;
		}
		buf_char(b, c);
	}
}

/* charset'language'text: takes the first two off. */
static struct slice
take_charset(struct slice *v)
{
	size_t one = slice_find(*v, '\''), two;
	struct slice charset;

	two = slice_find(slice_from(*v, one + 1), '\'');
	if (one == v->n || one + 1 + two >= v->n)
		return slice(v->p, 0);
	charset = slice(v->p, one);
	*v = slice_from(*v, one + two + 2);
	return charset;
}

/* The piece number `i` of a continued value: "name*0" or "name*0*". */
static bool
find_piece(const struct param_list *list, struct slice name, unsigned i, struct slice *value,
    bool *extended)
{
	for (size_t k = 0; k < list->n; k++) {
		struct slice n = list->p[k].name, number;
		uint64_t v;

		if (n.n <= name.n + 1 || !slice_istarts(n, name) || n.p[name.n] != '*')
			continue;
		number = slice_from(n, name.n + 1);
		*extended = number.p[number.n - 1] == '*';
		number.n -= *extended;
		if (slice_u64(number, PARAM_MAX, &v) < 0 || v != i ||
		    (number.n > 1 && number.p[0] == '0'))
			continue;
		*value = list->p[k].value;
		return true;
	}
	return false;
}

/* Joined raw bytes and their charset; false when there is no extended or continued form. */
static bool
get_extended(const struct param_list *list, struct slice name, struct buf *raw,
    struct slice *charset)
{
	struct slice v;
	bool ext;

	*charset = slice(NULL, 0);
	for (size_t k = 0; k < list->n; k++) {
		struct slice n = list->p[k].name;

		if (n.n == name.n + 1 && n.p[name.n] == '*' && slice_istarts(n, name)) {
			v = list->p[k].value;
			*charset = take_charset(&v);
			add_percent(raw, v);
			return true;
		}
	}
	if (!find_piece(list, name, 0, &v, &ext))
		return false;
	if (ext)
		*charset = take_charset(&v);
	for (unsigned i = 1;; i++) {
		if (ext)
			add_percent(raw, v);
		else
			buf_slice(raw, v);
		if (!find_piece(list, name, i, &v, &ext))
			return true;
	}
}

bool
param_get(const struct param_list *list, struct slice name, struct arena *a, struct slice *value)
{
	struct buf raw = { 0 }, text = { 0 };
	struct slice charset, v;
	bool found = true;

	if (get_extended(list, name, &raw, &charset)) {
		if (charset_to_utf8(&text, charset, buf_get(&raw)) < 0)
			charset_guess(&text, buf_get(&raw));
	} else if (param_find(list, name, &v)) {
		encoded_word_parse(&text, v);
	} else {
		found = false;
	}
	if (found)
		*value = arena_slice(a, buf_get(&text));
	buf_fini(&raw);
	buf_fini(&text);
	return found;
}

/* ---- writing ------------------------------------------------------------------------------ */

#define PIECE_MAX 60 /* characters of one "name*0*=" piece */

static inline bool
is_attr_char(char c) /* RFC 2231 7 */
{
	return c > ' ' && c < 0x7f && !strchr("*'%()<>@,;:\\\"/[]?=", c);
}

static void
write_extended(struct buf *b, const char *name, struct slice s)
{
	static const char hex[] = "0123456789ABCDEF";
	size_t len = 0, col = 0;
	unsigned piece = 0;
	bool split;

	for (size_t i = 0; i < s.n; i++)
		len += is_attr_char(s.p[i]) ? 1 : 3;
	split = len > PIECE_MAX;
	buf_printf(b, split ? "; %s*0*=utf-8''" : "; %s*=utf-8''", name);
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (split && col >= PIECE_MAX - 12 && (c & 0xc0) != 0x80) {
			buf_printf(b, "; %s*%u*=", name, ++piece);
			col = 0;
		}
		if (is_attr_char((char)c)) {
			buf_char(b, (char)c);
			col++;
		} else {
			buf_char(b, '%');
			buf_char(b, hex[c >> 4]);
			buf_char(b, hex[c & 15]);
			col += 3;
		}
	}
}

void
param_write(struct buf *b, const char *name, struct slice utf8)
{
	bool token = utf8.n > 0, ascii = true;

	for (size_t i = 0; i < utf8.n; i++) {
		char c = utf8.p[i];

		token &= is_attr_char(c) || c == '*' || c == '\'' || c == '%';
		ascii &= !(c & 0x80) && c >= ' ' && c != 0x7f;
	}
	if (!ascii) {
		write_extended(b, name, utf8);
		return;
	}
	buf_printf(b, "; %s=", name);
	if (token) {
		buf_slice(b, utf8);
		return;
	}
	buf_char(b, '"');
	for (size_t i = 0; i < utf8.n; i++) {
		if (utf8.p[i] == '"' || utf8.p[i] == '\\')
			buf_char(b, '\\');
		buf_char(b, utf8.p[i]);
	}
	buf_char(b, '"');
}
