/* args.c: the arguments of a call, from the tree into slots, by the rows of its word (RFC 5228 2.6).
 *
 * Tags may stand in any order and in front of positional arguments only (2.6.2); each fills the slot
 * of its row, and what several tags of a group would say together is refused here, so that `run`
 * sees only what can be.  Costs a look through the word's tags for each tag. */
#include "sieve/sieve-impl.h"

#define POSITIONAL_MAX 4

static const struct sieve_tag *
tag_find(const struct sieve_word *w, struct slice name)
{
	for (size_t i = 0; w->tags && w->tags[i]; i++)
		for (const struct sieve_tag *t = w->tags[i]; t->name; t++)
			if (slice_ieq(name, slice_str(t->name)))
				return t;
	return NULL;
}

static const char *
type_words(enum sieve_type type)
{
	static const char *const words[] = { [SIEVE_NONE] = "nothing",
		[SIEVE_NUMBER] = "a number",
		[SIEVE_STRING] = "a string",
		[SIEVE_LIST] = "strings" };

	return words[type];
}

/* A value into an argument; false after an error. */
static bool
arg_fill(struct sieve_compiler *c, struct sieve_arg *a, const struct sieve_value_node *v,
    enum sieve_type type, bool constant, const char *of)
{
	bool right = v->kind == (type == SIEVE_NUMBER ? SIEVE_T_NUMBER : SIEVE_T_STRING) &&
	    (!v->list || type == SIEVE_LIST);

	if (!right)
		return sieve_wrong(c, v->line, v->column, "%s takes %s here", of, type_words(type));
	a->given = true;
	a->line = v->line;
	a->column = v->column;
	a->number = v->number;
	a->n = v->n;
	a->items = arena_array(&c->program->arena, v->n ? v->n : 1, sizeof(*a->items));
	for (size_t i = 0; i < v->n; i++)
		if (!sieve_text_compile(c, v, v->strings[i], &a->items[i]))
			return false;
	return !constant || sieve_constant(a) ||
	    sieve_wrong(c, v->line, v->column, "%s may have no variables here", of);
}

/* Takes a tag and what follows it; *next is the value behind both. */
static bool
tag_bind(struct sieve_compiler *c, const struct sieve_word *w, const struct sieve_value_node *v,
    struct sieve_call *call, const struct sieve_value_node **next)
{
	const struct sieve_tag *t = tag_find(w, v->tag), *other;
	struct sieve_arg *a, said = { .given = true, .line = v->line, .column = v->column };
	const char *why;

	*next = v->next;
	if (!t || (t->extension && !sieve_extension_any(c, t->extension)))
		return sieve_wrong(c, v->line, v->column,
		    t ? "%s: " SFMT " needs require \"%s\"" : "%s has no tag " SFMT, w->name,
		    SARG(v->tag), t ? t->extension : "");
	other = t->group ? c->tags[t->group] : NULL;
	a = t->apply ? &said : &call->args[t->slot];
	if (other || (!t->apply && a->given))
		return sieve_wrong(c, v->line, v->column, "%s: " SFMT " stands beside %s", w->name,
		    SARG(v->tag), other ? other->name : "another of its kind");
	if (t->group)
		c->tags[t->group] = t;
	if (t->type != SIEVE_NONE) {
		if (!v->next)
			return sieve_wrong(c, v->line, v->column, "%s takes %s behind it", t->name,
			    type_words(t->type));
		if (!arg_fill(c, a, v->next, t->type, t->constant, t->name))
			return false;
		*next = v->next->next;
	} else {
		*a = said;
		a->number = t->value;
	}
	why = t->apply ? t->apply(call, t, a) : NULL;
	return !why || sieve_wrong(c, v->line, v->column, "%s: %s", t->name, why);
}

/* Positional arguments into the first slots: one letter each. */
static bool
positional_bind(struct sieve_compiler *c, struct sieve_node *n, const struct sieve_word *w,
    struct sieve_call *call, const struct sieve_value_node **v, size_t nv)
{
	size_t wanted = 0, optional = 0, at = 0, slot = 0, missing;

	for (const char *p = w->args; *p; p++)
		*p == '?' ? optional++ : wanted++;
	if (nv > wanted || nv + optional < wanted)
		return sieve_wrong(c, n->line, n->column,
		    "%s takes %zu argument%s, and here are %zu", w->name, wanted,
		    wanted == 1 ? "" : "s", nv);
	missing = wanted - nv;
	for (const char *p = w->args; *p; p++, slot++) {
		char letter = *p == '?' ? *++p : *p;
		bool may_miss = p > w->args && p[-1] == '?';
		enum sieve_type type = ascii_lower(letter) == 'n' ? SIEVE_NUMBER :
		    ascii_lower(letter) == 's'                    ? SIEVE_STRING :
								    SIEVE_LIST;

		if (may_miss && missing) {
			missing--;
			continue;
		}
		if (!arg_fill(c, &call->args[slot], v[at++], type, letter < 'a', w->name))
			return false;
	}
	return true;
}

static bool
tests_right(struct sieve_compiler *c, const struct sieve_node *n, const struct sieve_word *w)
{
	static const char *const words[] = { [SIEVE_TESTS_NONE] = "takes no test",
		[SIEVE_TESTS_ONE] = "takes one test",
		[SIEVE_TESTS_LIST] = "takes tests in parentheses" };
	enum sieve_tests is = n->test_list ? SIEVE_TESTS_LIST :
	    n->tests                       ? SIEVE_TESTS_ONE :
					     SIEVE_TESTS_NONE;

	return is == w->tests ||
	    sieve_wrong(c, n->line, n->column, "%s %s", w->name, words[w->tests]);
}

bool
sieve_bind(struct sieve_compiler *c, struct sieve_node *n, const struct sieve_word *w,
    struct sieve_call *call)
{
	const struct sieve_value_node *positional[POSITIONAL_MAX + 1], *next;
	size_t np = 0;

	memset(c->tags, 0, sizeof(c->tags));
	if (!tests_right(c, n, w))
		return false;
	if (!n->test && n->has_block != w->block)
		return sieve_wrong(c, n->line, n->column, "%s %s", w->name,
		    w->block ? "needs a block" : "takes no block, a semicolon is missing");
	for (const struct sieve_value_node *v = n->args; v; v = next) {
		next = v->next;
		if (v->kind != SIEVE_T_TAG) {
			if (np <= POSITIONAL_MAX)
				positional[np++] = v;
		} else if (np) {
			return sieve_wrong(c, v->line, v->column,
			    "%s: tags stand in front of the other arguments", w->name);
		} else if (!tag_bind(c, w, v, call, &next)) {
			return false;
		}
	}
	return positional_bind(c, n, w, call, positional, np) && sieve_match_prepare(c, call) &&
	    (!w->check || w->check(c, call));
}
