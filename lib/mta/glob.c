/* glob.c: a pattern into elements: see glob.h; glob-match.c holds texts against them.
 *
 * Called for each entry when mappings are loaded.  Literal text is kept in lower case, runs of it as one
 * element, and a class as a set of 256 bits shared by all that use it.  What fails is the pattern: told
 * in words that say what was expected.  Must stay true: an element is either of fixed effect at a
 * position, or a `many` of one class, since the matcher knows only these two. */
#include <arpa/inet.h>
#include <errno.h>
#include "mta/glob-impl.h"

/* Classes with a letter.  Symbols are those of names on VMS, where the language comes from. */
static const struct {
	char letter;
	const char *chars; /* of upper and lower case, as ranges of two */
} classes[] = {
	{ 'A', "azAZ" }, { 'B', "01" }, { 'D', "09" }, { 'H', "09afAF" }, { 'X', "09afAF" },
	{ 'O', "07" }, { 'S', "09azAZ__$$" }, { 'T', "\t\t\v\v  " }, /* blanks */
};

struct parser {
	struct arena *a;
	struct slice rest;
	struct buf elems; /* struct mta_elem */
	size_t n;
	unsigned fields;
	bool lazy, unsaved, refs;
	struct buf lit;
	const char **why;
};

static int
glob_fail(struct parser *p, const char *why)
{
	*p->why = why;
	return -EINVAL;
}

static int
elem_add(struct parser *p, struct mta_elem e)
{
	if (p->n == MTA_GLOB_MAX)
		return glob_fail(p, "a pattern has 512 elements at most");
	buf_add(&p->elems, &e, sizeof(e));
	p->n++;
	return 0;
}

/* The literal text so far becomes an element. */
static int
glob_lit_end(struct parser *p)
{
	struct mta_elem e = { .kind = MTA_ELEM_LIT, .field = -1 };

	if (p->lit.n == 0)
		return 0;
	e.lit = arena_slice(p->a, buf_get(&p->lit));
	buf_clear(&p->lit);
	return elem_add(p, e);
}

static int
wild_add(struct parser *p, struct mta_elem e)
{
	if (glob_lit_end(p) < 0)
		return -EINVAL;
	e.lazy = p->lazy;
	e.field = p->unsaved ? -1 : (int)p->fields;
	p->fields += !p->unsaved;
	p->lazy = p->unsaved = false;
	return elem_add(p, e);
}

/* What stands behind a class: % one, * any number. */
static int
class_add(struct parser *p, const uint32_t *set)
{
	struct mta_elem e = { .kind = MTA_ELEM_CLASS, .set = set };

	if (p->rest.n == 0 || (p->rest.p[0] != '%' && p->rest.p[0] != '*'))
		return glob_fail(p, "expected % or * behind a class of characters");
	e.many = p->rest.p[0] == '*';
	p->rest = slice_from(p->rest, 1);
	return wild_add(p, e);
}

static void
set_range(uint32_t *set, unsigned from, unsigned to)
{
	for (unsigned c = from; c <= to; c++)
		set[c / 32] |= 1u << c % 32;
}

/* Both cases of each letter, since texts are compared so. */
static void
set_fold(uint32_t *set)
{
	for (unsigned c = 'a'; c <= 'z'; c++) {
		unsigned up = c - 32;

		if ((set[c / 32] >> c % 32 | set[up / 32] >> up % 32) & 1) {
			set_range(set, c, c);
			set_range(set, up, up);
		}
	}
}

static int
letter_class(struct parser *p, char letter)
{
	uint32_t *set;

	for (size_t i = 0; i < NELEM(classes); i++) {
		if (classes[i].letter != ascii_upper(letter))
			continue;
		set = arena_new(p->a, 32);
		for (const char *c = classes[i].chars; *c; c += 2)
			set_range(set, (unsigned char)c[0], (unsigned char)c[1]);
		return class_add(p, set);
	}
	return glob_fail(p, "expected a wildcard, a class or a quoted character behind `$'");
}

/* $[abc]% $[a-z0]*: a `]` that is meant stands first, a `-` first or last. */
static int
bracket_class(struct parser *p)
{
	size_t end = p->rest.n > 1 ? 1 + slice_find(slice_from(p->rest, 1), ']') : p->rest.n;
	struct slice in = slice_sub(p->rest, 0, end);
	uint32_t *set = arena_new(p->a, 32);

	if (end >= p->rest.n)
		return glob_fail(p, "expected `]' behind `$['");
	p->rest = slice_from(p->rest, end + 1);
	for (size_t i = 0; i < in.n; i++) {
		unsigned char from = (unsigned char)in.p[i], to = from;

		if (i + 2 < in.n && in.p[i + 1] == '-') {
			to = (unsigned char)in.p[i + 2];
			i += 2;
		}
		if (to < from)
			return glob_fail(p, "a range of characters runs backwards");
		set_range(set, from, to);
	}
	set_fold(set);
	return class_add(p, set);
}

unsigned
mta_glob_address(struct slice text, unsigned char bytes[16])
{
	char copy[INET6_ADDRSTRLEN];

	if (text.n == 0 || text.n >= sizeof(copy))
		return 0;
	slice_cstr(text, copy, sizeof(copy));
	if (inet_pton(AF_INET, copy, bytes) == 1)
		return 4;
	return inet_pton(AF_INET6, copy, bytes) == 1 ? 16 : 0;
}

static void
glob_mask(unsigned char *bytes, unsigned n, unsigned bits)
{
	for (unsigned i = 0; i < n; i++) {
		unsigned keep = bits >= (i + 1) * 8 ? 8 : bits > i * 8 ? bits - i * 8 : 0;

		bytes[i] &= (unsigned char)(0xff00u >> keep);
	}
}

/* $(net/bits), ${net/bits}; $<net/ignored> counts the bits from the other end. */
static int
glob_network(struct parser *p, char close)
{
	size_t end = slice_find(p->rest, close);
	struct slice in = slice_sub(p->rest, 0, end), host = S("");
	struct mta_elem e = { .kind = MTA_ELEM_NET, .field = -1 };
	uint64_t bits;
	bool given;

	if (end == p->rest.n)
		return glob_fail(p, "expected the end of an address: `)', `>' or `}'");
	p->rest = slice_from(p->rest, end + 1);
	given = slice_find(in, '/') < in.n;
	(void)slice_cut(&in, '/', &host);
	e.bytes = arena_new(p->a, 16);
	e.nbytes = mta_glob_address(host, e.bytes);
	if (e.nbytes == 0 || (e.nbytes == 4) == (close == '}'))
		return glob_fail(p,
		    "expected a numeric address: $(a.b.c.d/bits), $<a.b.c.d/ignored> or "
		    "${v6/bits}");
	bits = e.nbytes * 8;
	if (given && slice_u64(in, e.nbytes * 8, &bits) < 0)
		return glob_fail(p, "expected a number of bits, 0 to 32 (IPv6: 128), behind `/'");
	e.bits = close == '>' && given ? e.nbytes * 8 - (unsigned)bits : (unsigned)bits;
	glob_mask(e.bytes, e.nbytes, e.bits);
	return glob_lit_end(p) < 0 ? -EINVAL : elem_add(p, e);
}

/* $n*: the field must be complete by then. */
static int
back_match(struct parser *p, char digit)
{
	struct mta_elem e = { .kind = MTA_ELEM_REF, .field = -1, .ref = (unsigned)(digit - '0') };

	if (p->rest.n == 0 || p->rest.p[0] != '*')
		return glob_fail(p, "expected * behind `$' and the number of a wildcard");
	if (e.ref >= p->fields)
		return glob_fail(p, "`$n*' stands in front of the wildcard that it repeats");
	p->rest = slice_from(p->rest, 1);
	p->refs = true;
	return glob_lit_end(p) < 0 ? -EINVAL : elem_add(p, e);
}

static int
glob_dollar(struct parser *p)
{
	char c;

	if (p->rest.n == 0)
		return glob_fail(p, "a `$' at the end of the pattern quotes nothing");
	c = p->rest.p[0];
	p->rest = slice_from(p->rest, 1);
	if (c >= '0' && c <= '9')
		return back_match(p, c);
	switch (c) {
	case '_': p->lazy = true; return 0;
	case '@': p->unsaved = true; return 0;
	case '^': p->unsaved = false; return 0;
	case '[': return bracket_class(p);
	case '(': return glob_network(p, ')');
	case '<': return glob_network(p, '>');
	case '{': return glob_network(p, '}');
	default: break;
	}
	if (ascii_lower(c) < 'a' || ascii_lower(c) > 'z') {
		buf_char(&p->lit, c);
		return 0;
	}
	return letter_class(p, c);
}

int
mta_glob_compile(struct arena *a, struct slice pattern, struct mta_glob **out, const char **why)
{
	struct parser p = { .a = a, .rest = pattern, .why = why };
	struct mta_glob *g;
	int e = 0;

	while (e == 0 && p.rest.n) {
		char c = p.rest.p[0];

		p.rest = slice_from(p.rest, 1);
		if (c == '$')
			e = glob_dollar(&p);
		else if (c == '*' || c == '%')
			e = wild_add(&p,
			    (struct mta_elem){ .kind = MTA_ELEM_ANY, .many = c == '*' });
		else
			buf_char(&p.lit, ascii_lower(c));
	}
	if (e == 0)
		e = glob_lit_end(&p);
	buf_fini(&p.lit);
	if (e == 0) {
		g = arena_new(a, sizeof(*g));
		g->n = p.n;
		g->elems = arena_array(a, p.n ? p.n : 1, sizeof(*g->elems));
		if (p.n)
			memcpy(g->elems, p.elems.p, p.elems.n);
		g->fields = p.fields;
		g->refs = p.refs;
		for (size_t i = 0; i < p.n; i++)
			g->manys += g->elems[i].many;
		*out = g;
	}
	buf_fini(&p.elems);
	return e;
}

unsigned
mta_glob_fields(const struct mta_glob *g)
{
	return g->fields;
}

struct mta_glob_key
mta_glob_key(const struct mta_glob *g)
{
	const struct mta_elem *first = g->elems, *last = g->n ? &g->elems[g->n - 1] : NULL;
	struct mta_glob_key k = { MTA_KEY_NONE, S(""), 0 };
	size_t head = g->n && first->kind == MTA_ELEM_LIT ? first->lit.n : 0;
	size_t tail = g->n && last->kind == MTA_ELEM_LIT ? last->lit.n : 0;

	if (g->n == 0 || (g->n == 1 && first->kind == MTA_ELEM_LIT)) {
		k.kind = MTA_KEY_WHOLE;
		k.text = g->n ? first->lit : S("");
	} else if (g->n == 1 && first->kind == MTA_ELEM_NET) {
		k.kind = first->nbytes == 4 ? MTA_KEY_NET4 : MTA_KEY_NET6;
		k.text = slice((const char *)first->bytes, first->nbytes);
		k.bits = first->bits;
	} else if (head && head >= tail) {
		k.kind = MTA_KEY_HEAD;
		k.text = first->lit;
	} else if (tail) {
		k.kind = MTA_KEY_TAIL;
		k.text = last->lit;
	}
	return k;
}
