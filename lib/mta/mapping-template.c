/* mapping-template.c: the template of a mapping entry into steps: see mapping-impl.h.
 *
 * Called by mapping.c for each entry when a file is loaded.  Most characters stand for themselves; `$`
 * begins everything else, and a sequence that holds text ($|...|, ${...}, $]...[) ends at the first such
 * character without a `$` in front, which within it stands for the character itself.  What fails is told
 * in words.  Must stay true: the steps are in the order of the text, as the control sequences act from
 * the left to the first call that fails. */
#include <errno.h>
#include "base/mem.h"
#include "mta/mapping-impl.h"

struct compiler {
	struct arena *a;
	struct slice rest;
	char end; /* of the sequence that the text stands in: `$` and this is the character */
	struct buf ops, lit;
	const char *why;
};

static int map_compile(struct arena *a, struct slice text, char end, struct mta_map_op **ops,
    size_t *n, const char **why);

static int
map_bad(struct compiler *c, const char *why)
{
	c->why = why;
	return -EINVAL;
}

static void
map_lit_end(struct compiler *c)
{
	struct mta_map_op op = { .code = MTA_MAP_TEXT };

	if (c->lit.n == 0)
		return;
	op.text = arena_slice(c->a, buf_get(&c->lit));
	buf_clear(&c->lit);
	buf_add(&c->ops, &op, sizeof(op));
}

static int
map_op_add(struct compiler *c, struct mta_map_op op)
{
	map_lit_end(c);
	buf_add(&c->ops, &op, sizeof(op));
	return 0;
}

static int
map_call(struct compiler *c, struct mta_map_op op, struct slice inner, char close)
{
	return map_compile(c->a, inner, close, &op.inner, &op.ninner, &c->why) < 0 ?
	    -EINVAL :
	    map_op_add(c, op);
}

/* $|table;probe|		a comma is not enough here: that is the form of rewrite rules */
static int
map_table(struct compiler *c)
{
	struct mta_map_op op = { .code = MTA_MAP_TABLE };
	struct slice text;

	if (!mta_take_sequence(&c->rest, '|', &text))
		return map_bad(c, "expected `|' at the end of $|table;probe|");
	if (slice_find(text, ';') == text.n)
		return map_bad(c, "expected `;' between table and probe: $|table;probe|");
	slice_cut(&text, ';', &op.text);
	return map_call(c, op, text, '|');
}

static int
map_attribute(struct compiler *c)
{
	struct mta_map_op op = { .code = MTA_MAP_ATTRIBUTE };
	struct slice text;
	size_t comma;

	if (!mta_take_sequence(&c->rest, '{', &text))
		return map_bad(c, "expected `{' at the end of $}domain,attribute{");
	comma = slice_rfind(text, ',');
	if (comma == text.n)
		return map_bad(c, "expected `,' between domain and attribute: $}domain,attribute{");
	op.text = slice_from(text, comma + 1);
	return map_call(c, op, slice_sub(text, 0, comma), '{');
}

static int
map_inner(struct compiler *c, enum mta_map_op_code code, char close, const char *why)
{
	struct slice text;

	if (!mta_take_sequence(&c->rest, close, &text))
		return map_bad(c, why);
	return map_call(c, (struct mta_map_op){ .code = code }, text, close);
}

/* $#file|radix|width|modulus#, all but the file optional. */
static int
map_sequence(struct compiler *c)
{
	struct mta_map_op op = { .code = MTA_MAP_SEQUENCE, .radix = 10 };
	struct slice text, part;
	uint64_t v;

	if (!mta_take_sequence(&c->rest, '#', &text))
		return map_bad(c, "expected `#' at the end of $#file|radix|width|modulus#");
	if (!slice_cut(&text, '|', &op.text) || op.text.n == 0)
		return map_bad(c, "expected a file in $#file#");
	if (slice_cut(&text, '|', &part) && part.n) {
		bool minus = part.p[0] == '-';

		if (slice_u64(slice_from(part, minus), 36, &v) < 0 || v < 2)
			return map_bad(c,
			    "expected a radix, 2 to 36 or -36 to -2, in $#file|radix#");
		op.radix = minus ? -(int)v : (int)v;
	}
	if (slice_cut(&text, '|', &part) && part.n) {
		if (slice_u64(part, 64, &v) < 0)
			return map_bad(c, "expected a width, 0 to 64, in $#file|radix|width#");
		op.width = (unsigned)v;
	}
	if (text.n && (slice_u64(text, INT64_MAX, &op.number) < 0 || op.number == 0))
		return map_bad(c, "expected a modulus above 0 in $#file|radix|width|modulus#");
	return map_op_add(c, op);
}

/* $?x?: percent, with a fraction if need be. */
static int
map_chance(struct compiler *c)
{
	struct mta_map_op op = { .code = MTA_MAP_CHANCE };
	struct slice text, whole;
	uint64_t v = 0, scale = 10000;

	if (!mta_take_sequence(&c->rest, '?', &text))
		return map_bad(c, "expected `?' at the end of $?percent?");
	if (!slice_cut(&text, '.', &whole) || slice_u64(whole, 100, &v) < 0)
		return map_bad(c, "expected a percentage, 0 to 100, in $?percent?");
	op.number = v * 10000;
	for (; text.n; text = slice_from(text, 1)) {
		if (text.p[0] < '0' || text.p[0] > '9')
			return map_bad(c, "expected a percentage, 0 to 100, in $?percent?");
		scale /= 10;
		op.number += scale * (uint64_t)(text.p[0] - '0');
	}
	return map_op_add(c, op);
}

static int
map_if(struct compiler *c, enum mta_map_op_code code)
{
	char flag;

	if (c->rest.n == 0)
		return map_bad(c, "expected a flag behind `$:' or `$;'");
	flag = c->rest.p[0];
	c->rest = slice_from(c->rest, 1);
	return map_op_add(c, (struct mta_map_op){ .code = code, .c = flag });
}

static int
map_letter(struct compiler *c, char letter)
{
	char up = ascii_upper(letter);

	return map_op_add(c,
	    (struct mta_map_op){ .code = strchr("CELR", up) ? MTA_MAP_FLOW : MTA_MAP_FLAG,
		.c = up });
}

static int
map_dollar(struct compiler *c)
{
	char k;

	if (c->rest.n == 0)
		return map_bad(c, "a `$' at the end of the template quotes nothing");
	k = c->rest.p[0];
	c->rest = slice_from(c->rest, 1);
	if (k == c->end) {
		buf_char(&c->lit, k);
		return 0;
	}
	if (k >= '0' && k <= '9')
		return map_op_add(c,
		    (struct mta_map_op){ .code = MTA_MAP_FIELD, .c = (char)(k - '0') });
	if (ascii_lower(k) >= 'a' && ascii_lower(k) <= 'z')
		return map_letter(c, k);
	switch (k) {
	case '\\':
	case '^':
	case '_': return map_op_add(c, (struct mta_map_op){ .code = MTA_MAP_CASE, .c = k });
	case '=': return map_op_add(c, (struct mta_map_op){ .code = MTA_MAP_QUOTE });
	case ':': return map_if(c, MTA_MAP_IF);
	case ';': return map_if(c, MTA_MAP_UNLESS);
	case '<':
	case '>':
	case ',':
	case '!':
	case '+': return map_op_add(c, (struct mta_map_op){ .code = MTA_MAP_FLAG, .c = k });
	case '?': return map_chance(c);
	case '#': return map_sequence(c);
	case '|': return map_table(c);
	case '}': return map_attribute(c);
	case '{': return map_inner(c, MTA_MAP_GENERAL, '}', "expected `}' at the end of ${key}");
	case ']': return map_inner(c, MTA_MAP_URL, '[', "expected `[' at the end of $]url[");
	case '[':
		return map_bad(c,
		    "$[image,routine,argument] calls code of a site, which tiermail does not: "
		    "use $]url[ or the general database");
	default: buf_char(&c->lit, k); return 0;
	}
}

static int
map_compile(struct arena *a, struct slice text, char end, struct mta_map_op **ops, size_t *n,
    const char **why)
{
	struct compiler c = { .a = a, .rest = text, .end = end };
	int e = 0;

	while (e == 0 && c.rest.n) {
		char k = c.rest.p[0];

		c.rest = slice_from(c.rest, 1);
		if (k == '$')
			e = map_dollar(&c);
		else
			buf_char(&c.lit, k);
	}
	map_lit_end(&c);
	*n = c.ops.n / sizeof(**ops);
	*ops = arena_array(a, *n ? *n : 1, sizeof(**ops));
	if (*n)
		memcpy(*ops, c.ops.p, c.ops.n);
	*why = c.why;
	buf_fini(&c.ops);
	buf_fini(&c.lit);
	return e;
}

int
mta_map_template(struct arena *a, struct slice text, struct mta_map_op **ops, size_t *n,
    const char **why)
{
	return map_compile(a, text, '\0', ops, n, why);
}
