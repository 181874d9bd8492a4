/* match.c: comparators and match types as rows, and comparing a value with the keys of a call
 * (RFC 5228 2.7, RFC 5231, RFC 4790, RFC 5051, RFC 6134 2.2).
 *
 * A comparator is a form of the text that is compared octet by octet; only numbers are compared otherwise.
 * The form of a constant key is made when the script is compiled, that of a field's value when it is
 * compared first, and both are kept: a rule costs a comparison.  Tests give their values one after the
 * other and need not know what is done with them. */
#include "base/casemap.h"
#include "sieve/match.h"

#define FOLD_PIECE 16384 /* of a long text that is searched without a copy of all of it */

/* ---- comparators ------------------------------------------------------------------------------------- */

static void
fold_ascii(struct buf *b, struct slice s)
{
	char *to = buf_reserve(b, s.n);

	if (!to)
		return;
	for (size_t i = 0; i < s.n; i++)
		to[i] = ascii_lower(s.p[i]);
	b->n += s.n;
}

/* The digits at the front, without leading zeros (RFC 4790 9.1.1). */
static struct slice
number_digits(struct slice s)
{
	size_t n = 0;

	while (n < s.n && s.p[n] >= '0' && s.p[n] <= '9')
		n++;
	s.n = n;
	while (s.n > 1 && s.p[0] == '0')
		s = slice_from(s, 1);
	return s;
}

/* What is no number is larger than all numbers, and as large as the other one that is none. */
static int
compare_numbers(struct slice a, struct slice b)
{
	a = number_digits(a);
	b = number_digits(b);
	if (a.n == 0 || b.n == 0)
		return (a.n == 0) - (b.n == 0);
	return a.n != b.n ? (a.n > b.n) - (a.n < b.n) : slice_cmp(a, b);
}

static const struct sieve_comparator comparators[] = {
	{ "i;ascii-casemap", NULL, fold_ascii, slice_cmp, .pieces = true },
	{ "i;octet", NULL, NULL, slice_cmp, .pieces = true, .octets = true },
	{ "i;ascii-numeric", "comparator-i;ascii-numeric", .compare = compare_numbers },
	{ "i;unicode-casemap", "comparator-i;unicode-casemap", casemap_to, slice_cmp,
	    .pieces = true, .resized = true },
};

/* ---- match types -------------------------------------------------------------------------------------- */

/* One value and one key. */
struct compared {
	struct sieve_run *run;
	const struct sieve_call *call;
	const struct sieve_text *key;
	struct sieve_value *value;
	struct slice wanted; /* the key, variables put in */
	bool kept;           /* the value lasts, and its form with it */
};

struct sieve_match_type {
	const char *extension;
	bool (*run)(struct compared *);
	bool pieces; /* needs a comparator with substrings */
	bool counts; /* compares how many values there are */
};

/* The form of a text in a buffer, until that has the next one. */
static struct slice
form_of(struct compared *x, struct buf *b, struct slice s)
{
	const struct sieve_comparator *m = x->call->match.comparator;

	if (!m->fold)
		return s;
	buf_clear(b);
	m->fold(b, s);
	if (b->full)
		sieve_exceed(x->run, x->call, "memory");
	sieve_spend(x->run, x->call, s.n / 64);
	return b->n ? buf_get(b) : S("");
}

static struct slice
value_form(struct compared *x)
{
	struct slice form;

	if (x->value->folded.p)
		return x->value->folded;
	form = form_of(x, &x->run->value_form, x->value->text);
	return x->value->folded = x->kept && form.n ? arena_slice(x->run->arena, form) : form;
}

static struct slice
key_form(struct compared *x)
{
	return x->key->folded.p ? x->key->folded : form_of(x, &x->run->key_form, x->wanted);
}

/* The order of value and key; what is looked at is counted. */
static int
forms_compare(struct compared *x)
{
	const struct sieve_comparator *m = x->call->match.comparator;
	struct slice value = value_form(x), key = key_form(x);
	size_t shorter = value.n < key.n ? value.n : key.n;

	sieve_spend(x->run, x->call, (m->pieces ? shorter : value.n + key.n) / 64);
	return m->compare(value, key);
}

static bool
is_match(struct compared *x)
{
	const struct sieve_comparator *m = x->call->match.comparator;

	if (!m->resized && m->pieces && x->wanted.n != x->value->text.n)
		return false;
	return forms_compare(x) == 0;
}

/* A long text is folded and searched piece by piece, so that no second copy of it is made. */
static bool
contains_long(struct compared *x, struct slice key)
{
	struct slice s = x->value->text;
	size_t piece = key.n > FOLD_PIECE ? key.n : FOLD_PIECE; /* no octet is folded three times */

	for (size_t at = 0; at < s.n; at += piece) {
		struct slice form;

		buf_clear(&x->run->piece);
		fold_ascii(&x->run->piece, slice_sub(s, at, piece + key.n));
		form = buf_get(&x->run->piece);
		if (slice_find_str(form, key) < form.n)
			return true;
	}
	return key.n == 0;
}

static bool
contains_match(struct compared *x)
{
	const struct sieve_comparator *m = x->call->match.comparator;
	struct slice key = key_form(x), value;

	if (!sieve_spend(x->run, x->call, x->value->text.n / 64))
		return false;
	if (!x->value->folded.p && m->fold == fold_ascii && x->value->text.n > FOLD_PIECE)
		return contains_long(x, key);
	value = value_form(x);
	return key.n == 0 || slice_find_str(value, key) < value.n;
}

/* For each octet of the form, the octet of the text that it comes from. */
static struct slice
form_origins(struct compared *x, uint32_t **origins)
{
	const struct sieve_comparator *m = x->call->match.comparator;
	struct slice s = x->value->text, form = value_form(x);
	uint32_t *o;
	size_t n = 0;

	if (form.n > x->run->limits->memory / sizeof(*o)) {
		sieve_exceed(x->run, x->call, "memory");
		return S("");
	}
	o = arena_array(x->run->arena, form.n + 1, sizeof(*o));
	for (size_t i = 0, end; i < s.n; i = end) {
		end = i + 1;
		while (end < s.n && ((unsigned char)s.p[end] & 0xc0) == 0x80)
			end++;
		buf_clear(&x->run->piece);
		m->fold(&x->run->piece, slice_sub(s, i, end - i));
		for (size_t k = 0; k < x->run->piece.n && n < form.n; k++)
			o[n++] = (uint32_t)i;
	}
	while (n <= form.n)
		o[n++] = (uint32_t)s.n;
	*origins = o;
	return form;
}

/* What the wildcards have met becomes ${1} and so on (RFC 5229 3.2). */
static void
spans_take(struct compared *x, const struct sieve_glob *g)
{
	struct sieve_run *r = x->run;

	r->matches[0] = x->value->text;
	for (unsigned i = 1; i <= g->n; i++) {
		size_t at = g->origin ? g->origin[g->spans[i].at] : g->spans[i].at;
		size_t end = g->origin ? g->origin[g->spans[i].end] : g->spans[i].end;

		r->matches[i] = slice_sub(x->value->text, at, end - at);
	}
	r->nmatches = g->n + 1;
}

static bool
matches_match(struct compared *x)
{
	const struct sieve_comparator *m = x->call->match.comparator;
	struct sieve_glob g = { .octets = m->octets };
	uint32_t *origins = NULL;

	g.text = m->resized ? form_origins(x, &origins) : value_form(x);
	g.pattern = key_form(x);
	g.origin = origins;
	if (!sieve_spend(x->run, x->call, g.text.n / 64) || !sieve_glob(x->run, x->call, &g))
		return false;
	if (x->call->match.capture)
		spans_take(x, &g);
	return true;
}

/* :value and :count by a relation (RFC 5231 4). */
static bool
relation_holds(enum sieve_relation relation, int order)
{
	static const bool holds[][3] = { [SIEVE_GT] = { false, false, true },
		[SIEVE_GE] = { false, true, true },
		[SIEVE_LT] = { true, false, false },
		[SIEVE_LE] = { true, true, false },
		[SIEVE_EQ] = { false, true, false },
		[SIEVE_NE] = { true, false, true } };

	return holds[relation][1 + (order > 0) - (order < 0)];
}

static bool
value_match(struct compared *x)
{
	return relation_holds(x->call->match.relation, forms_compare(x));
}

static bool
regex_match(struct compared *x)
{
	bool caseless = x->call->match.comparator->fold, hit;
	struct sieve_regex *mine = NULL;
	const struct sieve_regex *code = x->key->regex;
	char why[128];

	if (!code)
		code = sieve_regex_new(&mine, x->wanted, caseless, why, sizeof(why));
	if (!code)
		return sieve_fail(x->run, x->call, "regular expression: %s", why);
	hit = sieve_regex_match(x->run, x->call, code, x->value->text, x->call->match.capture);
	sieve_regex_free(mine);
	return hit;
}

static bool
list_match(struct compared *x)
{
	const struct sieve_host *h = x->run->host;
	enum sieve_yes yes = h->list ? h->list(h->arg, x->wanted, x->value->text) : SIEVE_NO;

	if (yes == SIEVE_UNKNOWN)
		return sieve_fail(x->run, x->call, "the list " SFMT " cannot be read now",
		    SARG(x->wanted));
	if (yes == SIEVE_YES && x->call->match.capture) {
		x->run->matches[0] = x->value->text;
		x->run->nmatches = 1;
	}
	return yes == SIEVE_YES;
}

enum { TYPE_IS, TYPE_CONTAINS, TYPE_MATCHES, TYPE_COUNT, TYPE_VALUE, TYPE_REGEX, TYPE_LIST };

static const struct sieve_match_type types[] = {
	[TYPE_IS] = { .run = is_match },
	[TYPE_CONTAINS] = { NULL, contains_match, .pieces = true },
	[TYPE_MATCHES] = { NULL, matches_match, .pieces = true },
	[TYPE_COUNT] = { "relational", value_match, .counts = true },
	[TYPE_VALUE] = { "relational", .run = value_match },
	[TYPE_REGEX] = { "regex", regex_match, .pieces = true },
	[TYPE_LIST] = { "extlists", .run = list_match },
};

/* ---- tags ---------------------------------------------------------------------------------------------- */

static const char *
type_apply(struct sieve_call *call, const struct sieve_tag *t, const struct sieve_arg *a)
{
	static const char *const relations[] = { [SIEVE_GT] = "gt",
		[SIEVE_GE] = "ge",
		[SIEVE_LT] = "lt",
		[SIEVE_LE] = "le",
		[SIEVE_EQ] = "eq",
		[SIEVE_NE] = "ne" };

	call->match.type = &types[t->value];
	if (t->type == SIEVE_NONE)
		return NULL;
	for (size_t i = 0; i < NELEM(relations); i++)
		if (slice_ieq(a->items[0].text, slice_str(relations[i]))) {
			call->match.relation = (enum sieve_relation)i;
			return NULL;
		}
	return "a relation is gt, ge, lt, le, eq or ne";
}

static const char *
comparator_apply(struct sieve_call *call, const struct sieve_tag *t, const struct sieve_arg *a)
{
	(void)t;
	for (size_t i = 0; i < NELEM(comparators); i++)
		if (slice_eq(a->items[0].text, slice_str(comparators[i].name))) {
			call->match.comparator = &comparators[i];
			return NULL;
		}
	return "there is no such comparator";
}

static const char *
part_apply(struct sieve_call *call, const struct sieve_tag *t, const struct sieve_arg *a)
{
	(void)a;
	call->match.part = (enum sieve_part)t->value;
	return NULL;
}

const struct sieve_tag sieve_tags_match[] = {
	{ ":is", .group = SIEVE_GROUP_MATCH, .value = TYPE_IS, .apply = type_apply },
	{ ":contains", .group = SIEVE_GROUP_MATCH, .value = TYPE_CONTAINS, .apply = type_apply },
	{ ":matches", .group = SIEVE_GROUP_MATCH, .value = TYPE_MATCHES, .apply = type_apply },
	{ ":count", "relational", SIEVE_STRING, SIEVE_GROUP_MATCH, .value = TYPE_COUNT,
	    .constant = true, .apply = type_apply },
	{ ":value", "relational", SIEVE_STRING, SIEVE_GROUP_MATCH, .value = TYPE_VALUE,
	    .constant = true, .apply = type_apply },
	{ ":regex", "regex", .group = SIEVE_GROUP_MATCH, .value = TYPE_REGEX, .apply = type_apply },
	{ ":list", "extlists", .group = SIEVE_GROUP_MATCH, .value = TYPE_LIST,
	    .apply = type_apply },
	{ ":comparator", NULL, SIEVE_STRING, SIEVE_GROUP_COMPARATOR, .constant = true,
	    .apply = comparator_apply },
	{ .name = NULL },
};

const struct sieve_tag sieve_tags_part[] = {
	{ ":all", .group = SIEVE_GROUP_PART, .value = SIEVE_ALL, .apply = part_apply },
	{ ":localpart", .group = SIEVE_GROUP_PART, .value = SIEVE_LOCALPART, .apply = part_apply },
	{ ":domain", .group = SIEVE_GROUP_PART, .value = SIEVE_DOMAIN, .apply = part_apply },
	{ ":user", "subaddress", .group = SIEVE_GROUP_PART, .value = SIEVE_USER,
	    .apply = part_apply },
	{ ":detail", "subaddress", .group = SIEVE_GROUP_PART, .value = SIEVE_DETAIL,
	    .apply = part_apply },
	{ .name = NULL },
};

/* A key that has no variables: its form, or its expression. */
static bool
key_prepare(struct sieve_compiler *c, struct sieve_call *call, struct sieve_arg *keys,
    struct sieve_text *key)
{
	const struct sieve_comparator *m = call->match.comparator;
	struct buf form = { 0 };
	char why[128];

	if (call->match.type == &types[TYPE_REGEX]) {
		key->regex =
		    sieve_regex_new(&c->program->regexes, key->text, m->fold, why, sizeof(why));
		if (!key->regex)
			return sieve_wrong_arg(c, keys, "regular expression: %s", why);
		c->program->regex_bytes += sieve_regex_octets(key->regex);
		return c->program->regex_bytes <= c->limits->regex_bytes ||
		    sieve_wrong_arg(c, keys, "the script's regular expressions are too large");
	}
	if (!m->fold)
		return true;
	m->fold(&form, key->text);
	key->folded = form.n ? arena_slice(&c->program->arena, buf_get(&form)) : S("");
	buf_fini(&form);
	return true;
}

bool
sieve_match_prepare(struct sieve_compiler *c, struct sieve_call *call)
{
	struct sieve_match *m = &call->match;
	struct sieve_arg *keys;

	if (call->word->keys < 0)
		return true;
	keys = &call->args[call->word->keys];
	if (!m->type)
		m->type = &types[TYPE_IS];
	if (!m->comparator)
		m->comparator = &comparators[0];
	if (m->comparator->extension && !sieve_required(c, m->comparator->extension))
		return sieve_wrong(c, call->line, call->column, "%s needs require \"%s\"",
		    m->comparator->name, m->comparator->extension);
	if (m->type->pieces && !m->comparator->pieces)
		return sieve_wrong(c, call->line, call->column, "%s compares whole values only",
		    m->comparator->name);
	m->capture = sieve_required(c, "variables");
	for (size_t i = 0; i < keys->n; i++)
		if (!keys->items[i].npieces && !key_prepare(c, call, keys, &keys->items[i]))
			return false;
	return true;
}

bool
sieve_match_counts(const struct sieve_call *c)
{
	return c->match.type->counts;
}

/* ---- comparing ------------------------------------------------------------------------------------------ */

void
sieve_match_begin(struct sieve_matching *m, struct sieve_run *r, const struct sieve_call *c)
{
	*m = (struct sieve_matching){ .run = r,
		.call = c,
		.keys = sieve_arg(c, (unsigned)c->word->keys) };
}

static bool
match_keys(struct sieve_matching *m, struct sieve_value *v)
{
	struct compared x = { .run = m->run, .call = m->call, .value = v, .kept = m->kept };

	for (size_t i = 0; i < m->keys->n && !m->hit; i++) {
		x.key = &m->keys->items[i];
		x.wanted = sieve_expand(m->run, x.key);
		if (!sieve_spend(m->run, m->call, 1))
			return true;
		m->hit = m->call->match.type->run(&x);
	}
	return m->hit || sieve_failed(m->run);
}

bool
sieve_match_value(struct sieve_matching *m, struct sieve_value *v)
{
	struct sieve_value other = { .text = v->text };

	if (m->call->match.type->counts) {
		m->count++;
		return false;
	}
	/* What is kept with a value is the form of the usual comparator. */
	m->kept = m->call->match.comparator == &comparators[0];
	return match_keys(m, m->kept ? v : &other);
}

bool
sieve_match_text(struct sieve_matching *m, struct slice text)
{
	struct sieve_value v = { .text = text.p ? text : S("") };

	if (m->call->match.type->counts) {
		m->count++;
		return false;
	}
	m->kept = false;
	return match_keys(m, &v);
}

bool
sieve_match_end(struct sieve_matching *m)
{
	struct sieve_value count;

	if (m->call->match.type->counts) {
		count = (struct sieve_value){ .text = slice_str(arena_printf(m->run->arena, "%llu",
						  (unsigned long long)m->count)) };
		m->kept = false;
		match_keys(m, &count);
	}
	return m->hit && !sieve_failed(m->run);
}
