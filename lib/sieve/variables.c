/* variables.c: set with its modifiers, and the test string (RFC 5229 4 and 5; RFC 5435 6 for
 * :encodeurl, draft-ietf-sieve-regex 5 for :quoteregex).
 *
 * A modifier is a function and a precedence; the precedence is the slot that its tag fills, so that two of
 * one precedence exclude each other by that, and a run applies them slot by slot, the highest first.
 * Names become numbers when the script is compiled. */
#include "base/utf8.h"
#include "sieve/sieve-impl.h"

/* ---- names ------------------------------------------------------------------------------------------- */

static struct slice
variable_lower(struct sieve_compiler *c, struct slice name)
{
	char *p = arena_new(&c->program->arena, name.n + 1);

	for (size_t i = 0; i < name.n; i++)
		p[i] = ascii_lower(name.p[i]);
	return slice(p, name.n);
}

/* The name of that scope, made when it is new; NULL when there are too many. */
static struct sieve_name *
name_of(struct sieve_compiler *c, struct map *scope, struct slice name, uint32_t *count,
    uint32_t max)
{
	struct sieve_name *v = map_get(scope, name);

	if (v || *count >= max)
		return v;
	v = arena_new(&c->program->arena, sizeof(*v));
	v->name = name;
	v->index = (*count)++;
	map_put(scope, name, v);
	return v;
}

static struct sieve_name *
name_global(struct sieve_compiler *c, struct slice name)
{
	c->program->globals = true;
	return name_of(c, &c->globals, name, &c->nglobals, SIEVE_GLOBALS);
}

bool
sieve_variable_find(struct sieve_compiler *c, struct slice name, uint32_t *index)
{
	struct slice lower = variable_lower(c, name);
	size_t dot = slice_find(lower, '.');
	struct sieve_name *v;

	if (dot == lower.n)
		v = name_of(c, &c->names, lower, &c->program->nvariables,
		    c->unit->first_variable + c->limits->variables);
	else if (slice_eq(slice_sub(lower, 0, dot), S("global")) && sieve_required(c, "include"))
		v = name_global(c, slice_from(lower, dot + 1));
	else
		return false;
	if (v)
		*index = v->index;
	return v;
}

/* identifier ["." identifier] */
static bool
name_valid(struct slice name)
{
	bool first = true, dots = false;

	for (size_t i = 0; i < name.n; i++) {
		char ch = ascii_lower(name.p[i]);
		bool letter = (ch >= 'a' && ch <= 'z') || ch == '_';

		if (!letter && (first || !((ch >= '0' && ch <= '9') || (ch == '.' && !dots))))
			return false;
		first = ch == '.';
		dots = dots || first;
	}
	return !first;
}

int
sieve_variable(struct sieve_compiler *c, const struct sieve_arg *a, struct slice name)
{
	uint32_t index;

	if (!name_valid(name)) {
		sieve_wrong_arg(c, a, "\"" SFMT "\" is no name of a variable", SARG(name));
		return -1;
	}
	if (!sieve_variable_find(c, name, &index)) {
		sieve_wrong_arg(c, a,
		    "\"" SFMT "\": there is no such name space, or it has too many names",
		    SARG(name));
		return -1;
	}
	return (int)index;
}

bool
sieve_global_import(struct sieve_compiler *c, const struct sieve_arg *a, struct slice name)
{
	struct slice lower = variable_lower(c, name);
	struct sieve_name *v, *mine;

	if (!name_valid(name) || slice_find(name, '.') < name.n)
		return sieve_wrong_arg(c, a, "\"" SFMT "\" is no name of a variable", SARG(name));
	v = name_global(c, lower);
	mine = v ? map_put(&c->names, lower, v) : NULL;
	if (v && (!mine || mine == v))
		return true;
	return sieve_wrong_arg(c, a,
	    v ? "\"" SFMT "\" has been used as the script's own" :
		"\"" SFMT "\": there are too many global variables",
	    SARG(name));
}

/* ---- modifiers: 4.1 ------------------------------------------------------------------------------------ */

static void
modify_lower(struct buf *b, struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		buf_char(b, ascii_lower(s.p[i]));
}

static void
modify_upper(struct buf *b, struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		buf_char(b, ascii_upper(s.p[i]));
}

static void
modify_lowerfirst(struct buf *b, struct slice s)
{
	modify_lower(b, slice_sub(s, 0, 1));
	buf_slice(b, slice_from(s, 1));
}

static void
modify_upperfirst(struct buf *b, struct slice s)
{
	modify_upper(b, slice_sub(s, 0, 1));
	buf_slice(b, slice_from(s, 1));
}

static void
quote_any(struct buf *b, struct slice s, const char *these)
{
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] && strchr(these, s.p[i]))
			buf_char(b, '\\');
		buf_char(b, s.p[i]);
	}
}

static void
modify_quotewildcard(struct buf *b, struct slice s)
{
	quote_any(b, s, "*?\\");
}

static void
modify_quoteregex(struct buf *b, struct slice s)
{
	quote_any(b, s, "^$.*+?()[]{}|\\");
}

/* RFC 3986 2.1: what is not unreserved (2.3) goes in percent signs. */
static void
modify_encodeurl(struct buf *b, struct slice s)
{
	for (size_t i = 0; i < s.n; i++) {
		char ch = s.p[i], low = ascii_lower(ch);

		if ((low >= 'a' && low <= 'z') || (ch >= '0' && ch <= '9') ||
		    (ch && strchr("-._~", ch)))
			buf_char(b, ch);
		else
			buf_printf(b, "%%%02X", (unsigned char)ch);
	}
}

/* In characters (4.1.5). */
static void
modify_length(struct buf *b, struct slice s)
{
	uint64_t n = 0;

	for (size_t i = 0; i < s.n; i++)
		n += ((unsigned char)s.p[i] & 0xc0) != 0x80;
	buf_u64(b, n);
}

enum { LOWER, UPPER, LOWERFIRST, UPPERFIRST, QUOTEWILDCARD, QUOTEREGEX, ENCODEURL, LENGTH };
static void (*const modifiers[])(struct buf *, struct slice) = { [LOWER] = modify_lower,
	[UPPER] = modify_upper,
	[LOWERFIRST] = modify_lowerfirst,
	[UPPERFIRST] = modify_upperfirst,
	[QUOTEWILDCARD] = modify_quotewildcard,
	[QUOTEREGEX] = modify_quoteregex,
	[ENCODEURL] = modify_encodeurl,
	[LENGTH] = modify_length };

/* A slot for each precedence: 40, 30, 20, 15, 10. */
enum { SLOT_40 = 2, SLOT_30, SLOT_20, SLOT_15, SLOT_10 };

const struct sieve_tag sieve_tags_modifier[] = {
	{ ":lower", "variables", .slot = SLOT_40, .value = LOWER },
	{ ":upper", "variables", .slot = SLOT_40, .value = UPPER },
	{ ":lowerfirst", "variables", .slot = SLOT_30, .value = LOWERFIRST },
	{ ":upperfirst", "variables", .slot = SLOT_30, .value = UPPERFIRST },
	{ ":quotewildcard", "variables", .slot = SLOT_20, .value = QUOTEWILDCARD },
	{ ":quoteregex", "regex", .slot = SLOT_20, .value = QUOTEREGEX },
	{ ":encodeurl", "enotify", .slot = SLOT_15, .value = ENCODEURL },
	{ ":length", "variables", .slot = SLOT_10, .value = LENGTH },
	{ .name = NULL },
};

struct slice
sieve_modify(struct sieve_run *r, const struct sieve_call *c, struct slice s)
{
	s = sieve_text_cut(r, s);
	for (unsigned slot = SLOT_40; slot <= SLOT_10; slot++) {
		const struct sieve_arg *a = sieve_arg(c, slot);
		struct buf b = { 0 };

		if (!a || !sieve_spend(r, c, 1 + s.n / 64))
			continue;
		modifiers[a->number](&b, s);
		s = b.n ? arena_slice(r->arena, buf_get(&b)) : S("");
		buf_fini(&b);
	}
	return s;
}

/* ---- set, string --------------------------------------------------------------------------------------------- */

static bool
set_check(struct sieve_compiler *c, struct sieve_call *call)
{
	int index = sieve_variable(c, &call->args[0], call->args[0].items[0].text);

	call->number = (uint32_t)index;
	return index >= 0;
}

static bool
set_run(struct sieve_run *r, const struct sieve_call *c)
{
	struct slice value = sieve_modify(r, c, sieve_string(r, c, 1));

	sieve_note(r, value);
	sieve_variable_set(r, c->number, value);
	return true;
}

/* Of :count only strings that are not empty (5). */
static bool
string_run(struct sieve_run *r, const struct sieve_call *c)
{
	const struct sieve_arg *source = sieve_arg(c, 0);
	struct sieve_matching m;

	sieve_match_begin(&m, r, c);
	for (size_t i = 0; i < source->n; i++) {
		struct slice s = sieve_expand(r, &source->items[i]);

		if ((s.n || !sieve_match_counts(c)) && sieve_match_text(&m, s))
			break;
	}
	return sieve_match_end(&m);
}

static const struct sieve_tag *const set_tags[] = { sieve_tags_modifier, NULL };
static const struct sieve_tag *const string_tags[] = { sieve_tags_match, NULL };

const struct sieve_word sieve_words_variables[] = {
	{ "set", SIEVE_COMMAND, "variables", "Ss", set_tags, -1, .check = set_check,
	    .run = set_run },
	{ "string", SIEVE_TEST, "variables", "ll", string_tags, 1, .run = string_run },
	{ .name = NULL },
};
