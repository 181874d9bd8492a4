/* param.c: parameter lists, and the three ways of RFC 2231 to say something longer.
 *
 * Called by mime.c for each part's Content-Type and Content-Disposition; all who use parameters
 * (BODYSTRUCTURE, boundaries, charsets, SEARCH) get the joined list.  Nothing can fail.  What must
 * stay true: the list is bounded by PARAM_MAX, since joining looks at all of it for each piece. */
#include "mail/param.h"

#include "mail/charset.h"
#include "mail/encoded-word.h"
#include "mail/token.h"

/* A value without quotes: more than a token, as people write it ("----=_Part", "a/b"). */
static struct slice
param_take_value(struct slice *s, struct arena *a)
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

/* ---- RFC 2231 ------------------------------------------------------------------------------ */

/* What the end of a name says. */
struct param_form {
	struct slice base;
	bool piece, extended;
	unsigned number; /* of a piece */
};

static struct param_form
param_form_of(struct slice name)
{
	struct param_form f = { .base = name };
	struct slice number;
	uint64_t v;

	f.base.n = slice_find(name, '*');
	if (f.base.n == 0 || f.base.n == name.n)
		return (struct param_form){ .base = name };
	number = slice_from(name, f.base.n + 1);
	f.extended = number.n == 0 || number.p[number.n - 1] == '*';
	number.n -= number.n > 0 && f.extended;
	if (number.n == 0 && name.n == f.base.n + 1)
		return f; /* "name*" */
	f.piece = slice_u64(number, PARAM_MAX, &v) == 0 && (number.n == 1 || number.p[0] != '0');
	if (!f.piece)
		return (struct param_form){ .base = name }; /* a name with a star in it */
	f.number = (unsigned)v;
	return f;
}

static void
param_add_percent(struct buf *b, struct slice s)
{
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (c == '%' && i + 2 < s.n && ascii_hex(s.p[i + 1]) >= 0 &&
		    ascii_hex(s.p[i + 2]) >= 0) {
			c = (char)(ascii_hex(s.p[i + 1]) << 4 | ascii_hex(s.p[i + 2]));
			i += 2;
		}
		buf_char(b, c);
	}
}

/* charset'language'text: takes the first two off. */
static void
param_take_charset(struct slice *v, struct param *p)
{
	size_t one = slice_find(*v, '\''), two;

	two = slice_find(slice_from(*v, one + 1), '\'');
	if (one == v->n || one + 1 + two >= v->n)
		return;
	p->charset = slice(v->p, one);
	p->language = slice_sub(*v, one + 1, two);
	*v = slice_from(*v, one + two + 2);
}

/* Piece number `i` of a name; NULL: it is missing. */
static const struct param *
param_piece(const struct param_list *raw, const struct param_form *forms, struct slice base,
    unsigned i)
{
	for (size_t k = 0; k < raw->n; k++)
		if (forms[k].piece && forms[k].number == i && slice_ieq(forms[k].base, base))
			return &raw->p[k];
	return NULL;
}

/* The parameter that begins with raw->p[k], which is extended or piece number 0. */
static struct param
param_join(const struct param_list *raw, const struct param_form *forms, size_t k, struct arena *a)
{
	struct param p = { .name = forms[k].base };
	const struct param *at = &raw->p[k];
	struct buf b = { 0 };

	for (unsigned i = 0; at; at = param_piece(raw, forms, p.name, ++i)) {
		const struct param_form *f = &forms[at - raw->p];
		struct slice v = at->value;

		p.extended = p.extended || f->extended;
		if (i == 0 && f->extended)
			param_take_charset(&v, &p);
		if (f->extended)
			param_add_percent(&b, v);
		else
			buf_slice(&b, v);
		if (!f->piece)
			break;
	}
	p.value = arena_slice(a, buf_get(&b));
	buf_fini(&b);
	return p;
}

static void
param_list_join(struct param_list *list, struct arena *a)
{
	struct param_form forms[PARAM_MAX];
	struct param_list raw = *list;
	bool any = false;

	for (size_t i = 0; i < raw.n; i++) {
		forms[i] = param_form_of(raw.p[i].name);
		any = any || forms[i].piece || forms[i].extended;
	}
	if (!any)
		return;
	*list = (struct param_list){ .p = arena_array(a, raw.n, sizeof(*list->p)) };
	for (size_t i = 0; i < raw.n; i++) {
		if (!forms[i].piece && !forms[i].extended)
			list->p[list->n++] = raw.p[i];
		else if (!forms[i].piece || param_piece(&raw, forms, forms[i].base, 0) == &raw.p[i])
			list->p[list->n++] = param_join(&raw, forms, i, a);
	}
}

/* ---- lists ---------------------------------------------------------------------------------- */

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
			list->p[list->n++] =
			    (struct param){ .name = name, .value = param_take_value(&s, a) };
		}
		skip_to_next(&s, a);
	}
	param_list_join(list, a);
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

struct slice
param_text(const struct param *p, struct arena *a)
{
	struct buf text = { 0 };
	struct slice s;

	if (!p->extended)
		encoded_word_parse(&text, p->value);
	else if (charset_to_utf8(&text, p->charset, p->value) < 0)
		charset_guess(&text, p->value);
	s = arena_slice(a, buf_get(&text));
	buf_fini(&text);
	return s;
}

bool
param_get(const struct param_list *list, struct slice name, struct arena *a, struct slice *value)
{
	const struct param *found = NULL;

	for (size_t i = 0; i < list->n; i++)
		if (slice_ieq(list->p[i].name, name) &&
		    (!found || (list->p[i].extended && !found->extended)))
			found = &list->p[i];
	if (found)
		*value = param_text(found, a);
	return found;
}

/* ---- writing ------------------------------------------------------------------------------ */

static inline bool
is_attr_char(char c) /* RFC 2231 7 */
{
	return c > ' ' && c < 0x7f && !strchr("*'%()<>@,;:\\\"/[]?=", c);
}

static bool
is_attr(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!is_attr_char(s.p[i]))
			return false;
	return true;
}

void
param_extended_write(struct buf *b, const struct param *p)
{
	struct buf utf8 = { 0 };
	struct slice v = p->value;

	if (p->charset.n > 0 && is_attr(p->charset) && is_attr(p->language)) {
		buf_slice(b, p->charset);
		buf_char(b, '\'');
		buf_slice(b, p->language);
		buf_char(b, '\'');
	} else {
		buf_lit(b, "utf-8''");
		charset_guess(&utf8, v);
		v = buf_get(&utf8);
	}
	for (size_t i = 0; i < v.n; i++) {
		if (is_attr_char(v.p[i]))
			buf_char(b, v.p[i]);
		else
			buf_printf(b, "%%%02X", (unsigned)(unsigned char)v.p[i]);
	}
	buf_fini(&utf8);
}
