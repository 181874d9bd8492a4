/* text.c: the strings of a script: encoded characters and variables (RFC 5228 2.4.2.4, RFC 5229 3).
 *
 * When a script is compiled a string is cut into pieces once: text, variables by their numbers, values
 * of the last match.  A run puts them together, and most strings have one piece of text, which is
 * borrowed.  What a run makes is counted against its memory, and a string that has variables in it is cut
 * where it becomes too long, which must be no error (RFC 5229 6): so is one that is nothing but
 * "${1}", for a message may be as long as it likes. */
#include "base/utf8.h"
#include "sieve/sieve-impl.h"

/* ---- encoded characters -------------------------------------------------------------------------- */

/* The digits of one number in ${hex:} or ${unicode:}; false when it is none. */
static bool
encoded_number(struct slice word, size_t digits, uint32_t *v)
{
	*v = 0;
	while (digits > 2 && word.n > digits && word.p[0] == '0')
		word = slice_from(word, 1);
	if (word.n == 0 || word.n > digits)
		return false;
	for (size_t i = 0; i < word.n; i++) {
		int d = ascii_hex(word.p[i]);

		if (d < 0)
			return false;
		*v = *v << 4 | (uint32_t)d;
	}
	return true;
}

/* Appends what the numbers say; false when the text between the braces is none of that.  A number that is
 * no character is an error of the script: *wrong. */
static bool
encoded_numbers(struct slice s, bool unicode, struct buf *out, bool *wrong)
{
	size_t start = out->n, words = 0;
	struct slice word;
	uint32_t v;

	for (size_t i = 0; i < s.n;) {
		size_t n = 0;

		while (i + n < s.n && !strchr(" \t\r\n", s.p[i + n]))
			n++;
		word = slice_sub(s, i, n);
		i += n ? n : 1;
		if (n == 0)
			continue;
		words++;
		if (!encoded_number(word, unicode ? 8 : 2, &v)) {
			*wrong = *wrong || unicode; /* which may have any number of digits */
			out->n = start;
			return false;
		}
		*wrong = *wrong || (unicode && (v > 0x10ffff || (v >= 0xd800 && v < 0xe000)));
		if (unicode)
			utf8_put(out, v);
		else
			buf_char(out, (char)v);
	}
	return words;
}

/* What may stand between the braces: nothing is looked at twice, however many of them are open. */
static bool
encoded_char(char c)
{
	return ascii_hex(c) >= 0 || c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Text with "${hex: 24 24}" and "${unicode: 40}" decoded; what is not well formed stays as it is. */
static struct slice
encoded_decode(struct sieve_compiler *c, struct slice s, bool *wrong)
{
	struct buf out = { 0 };
	struct slice result;

	while (s.n) {
		size_t at = slice_find_str(s, S("${")), from, end;
		bool hex, unicode;

		buf_slice(&out, slice_sub(s, 0, at));
		s = slice_from(s, at);
		hex = slice_istarts(s, S("${hex:"));
		unicode = slice_istarts(s, S("${unicode:"));
		end = from = hex ? 6 : unicode ? 10 : 2;
		while ((hex || unicode) && end < s.n && encoded_char(s.p[end]))
			end++;
		if (from > 2)
			hex = end < s.n && s.p[end] == '}' &&
			    encoded_numbers(slice_sub(s, from, end - from), unicode, &out, wrong);
		if (s.n && !hex)
			buf_slice(&out, slice_sub(s, 0, 2));
		s = slice_from(s, hex ? end + 1 : 2);
	}
	result = arena_slice(&c->program->arena, buf_get(&out));
	buf_fini(&out);
	return result;
}

/* ---- variables: where they stand -------------------------------------------------------------------- */

/* identifier *("." identifier), or digits (RFC 5229 3). */
static bool
reference_valid(struct slice name)
{
	bool number = true, first = true;

	for (size_t i = 0; i < name.n; i++) {
		char ch = name.p[i];
		bool digit = ch >= '0' && ch <= '9';
		bool letter = (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') || ch == '_';

		number = number && digit;
		if (!digit && !letter && (ch != '.' || first))
			return false;
		if (digit && first && !number)
			return false;
		first = ch == '.';
	}
	return name.n && (number || (!first && !(name.p[0] >= '0' && name.p[0] <= '9')));
}

/* What "${name}" means here; false after an error. */
static bool
reference_piece(struct sieve_compiler *c, const struct sieve_value_node *v, struct slice name,
    struct sieve_piece *p)
{
	uint64_t n;

	if (name.p[0] >= '0' && name.p[0] <= '9') {
		if (slice_u64(name, SIEVE_MATCH_VALUES - 1, &n) < 0)
			return sieve_wrong(c, v->line, v->column,
			    "${" SFMT "}: only ${0} to ${%d} have values (RFC 5229 6)", SARG(name),
			    SIEVE_MATCH_VALUES - 1);
		*p = (struct sieve_piece){ .kind = SIEVE_PIECE_MATCH, .index = (uint32_t)n };
		return true;
	}
	if (slice_istarts(name, S("env.")) && sieve_required(c, "vnd.dovecot.environment")) {
		*p = (struct sieve_piece){ .kind = SIEVE_PIECE_ENVIRONMENT,
			.text = slice_from(name, 4) };
		return true;
	}
	p->kind = SIEVE_PIECE_VARIABLE;
	if (sieve_variable_find(c, name, &p->index))
		return true;
	return sieve_wrong(c, v->line, v->column,
	    "${" SFMT "}: there is no such name space, or it has too many names", SARG(name));
}

/* The first "${name}" of s: where it begins and ends; false: there is none. */
static bool
reference_next(struct slice s, size_t *at, size_t *end)
{
	size_t from = 0;

	while ((*at = from + slice_find_str(slice_from(s, from), S("${"))) < s.n) {
		struct slice inner = slice_from(s, *at + 2);
		size_t n = 0;

		while (n < inner.n &&
		    (inner.p[n] == '.' || inner.p[n] == '_' ||
			(inner.p[n] >= '0' && inner.p[n] <= '9') ||
			(ascii_lower(inner.p[n]) >= 'a' && ascii_lower(inner.p[n]) <= 'z')))
			n++;
		*end = *at + 2 + n;
		if (n < inner.n && inner.p[n] == '}' && reference_valid(slice_sub(inner, 0, n)))
			return true;
		from = *at + 2;
	}
	return false;
}

static bool
text_pieces(struct sieve_compiler *c, const struct sieve_value_node *v, struct sieve_text *t)
{
	struct slice rest = t->text;
	struct sieve_piece *pieces;
	uint32_t n = 0, room = 1;
	size_t at, end;

	for (size_t i = 0; i + 1 < rest.n; i++)
		room += rest.p[i] == '$' && rest.p[i + 1] == '{' ? 2 : 0;
	if (room == 1 || !reference_next(rest, &at, &end))
		return true;
	pieces = arena_array(&c->program->arena, room, sizeof(*pieces));
	while (reference_next(rest, &at, &end)) {
		if (at)
			pieces[n++].text = slice_sub(rest, 0, at);
		if (!reference_piece(c, v, slice_sub(rest, at + 2, end - at - 2), &pieces[n++]))
			return false;
		rest = slice_from(rest, end + 1);
	}
	if (rest.n)
		pieces[n++].text = rest;
	t->pieces = pieces;
	t->npieces = n;
	return true;
}

bool
sieve_text_compile(struct sieve_compiler *c, const struct sieve_value_node *v, struct slice s,
    struct sieve_text *t)
{
	*t = (struct sieve_text){ .text = s };
	if (slice_find_str(s, S("${")) < s.n) {
		bool wrong = false;

		if (sieve_required(c, "encoded-character"))
			t->text = encoded_decode(c, s, &wrong);
		if (wrong)
			return sieve_wrong(c, v->line, v->column,
			    "${unicode:} has a number that is no character (RFC 5228 2.4.2.4)");
		if (sieve_required(c, "variables") && !text_pieces(c, v, t))
			return false;
	}
	if (!t->npieces)
		t->hash = sieve_name_hash(t->text);
	return true;
}

/* ---- variables: what they are ------------------------------------------------------------------------ */

struct slice
sieve_variable_get(const struct sieve_run *r, uint32_t index)
{
	return r->variables[index];
}

struct slice
sieve_text_cut(const struct sieve_run *r, struct slice s)
{
	size_t n = r->limits->string_bytes, least = n > 3 ? n - 3 : 0;

	if (s.n <= n)
		return s;
	while (n > least && ((unsigned char)s.p[n] & 0xc0) == 0x80)
		n--;
	return slice_sub(s, 0, n);
}

void
sieve_variable_set(struct sieve_run *r, uint32_t index, struct slice value)
{
	r->variables[index] = sieve_text_cut(r, value);
}

#define ITEM_MAX 128 /* octets of an item's name */

/* "${env.NAME}": items that no host knows are empty.  A variable's name has no dash: an underscore stands for one
 * where there is no item with it. */
static struct slice
piece_environment(const struct sieve_run *r, struct slice name)
{
	char dashed[ITEM_MAX];
	struct slice value;

	if (sieve_environment(r, name, &value))
		return value;
	if (name.n > sizeof(dashed))
		return S("");
	for (size_t i = 0; i < name.n; i++)
		dashed[i] = name.p[i] == '_' ? '-' : name.p[i];
	return sieve_environment(r, slice(dashed, name.n), &value) ? value : S("");
}

static struct slice
piece_value(const struct sieve_run *r, const struct sieve_piece *p)
{
	if (p->kind == SIEVE_PIECE_ENVIRONMENT)
		return piece_environment(r, p->text);
	if (p->kind == SIEVE_PIECE_VARIABLE)
		return r->variables[p->index];
	if (p->kind == SIEVE_PIECE_MATCH)
		return p->index < r->nmatches ? r->matches[p->index] : S("");
	return p->text;
}

struct slice
sieve_expand(struct sieve_run *r, const struct sieve_text *t)
{
	size_t n = 0, most = r->limits->string_bytes + 1; /* which sieve_text_cut() sees */
	char *to;

	if (!t->npieces)
		return t->text;
	if (t->npieces == 1)
		return sieve_text_cut(r, piece_value(r, &t->pieces[0]));
	for (uint32_t i = 0; i < t->npieces && n < most; i++)
		n += piece_value(r, &t->pieces[i]).n;
	n = n < most ? n : most;
	if (!sieve_spend(r, NULL, n / 64 + t->npieces / 4))
		return S("");
	to = arena_new(r->arena, n + 1);
	for (size_t i = 0, at = 0; at < n; i++) {
		struct slice s = slice_sub(piece_value(r, &t->pieces[i]), 0, n - at);

		if (s.n)
			memcpy(to + at, s.p, s.n);
		at += s.n;
	}
	return sieve_text_cut(r, slice(to, n));
}

struct slice
sieve_string(struct sieve_run *r, const struct sieve_call *c, unsigned slot)
{
	const struct sieve_arg *a = sieve_arg(c, slot);

	return a && a->n ? sieve_expand(r, &a->items[0]) : S("");
}

bool
sieve_constant(const struct sieve_arg *a)
{
	for (size_t i = 0; i < a->n; i++)
		if (a->items[i].npieces)
			return false;
	return true;
}
