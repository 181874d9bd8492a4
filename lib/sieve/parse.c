/* parse.c: the grammar of RFC 5228 8.2, which knows no command.
 *
 *	command   = name *argument [test / "(" test *("," test) ")"] (";" / "{" *command "}")
 *	test      = name *argument [test / "(" test *("," test) ")"]
 *	argument  = number / tag / string / "[" string *("," string) "]"
 *
 * A node is filled while it is `now`; what nests goes up and down by the nodes' own pointers, so that
 * no stack grows with the script.  One token is taken at a time, by a table of what each may mean.
 * Stops at the first mistake: what stands behind it could only be guessed. */
#include "sieve/parse.h"

struct sieve_parser {
	struct sieve_lex lex;
	struct sieve_token t;
	struct arena *tree;
	unsigned nesting;
	const char *why;

	struct sieve_node *first;
	struct sieve_node *owner;      /* whose block the commands are in; NULL: of the script */
	struct sieve_node *last;       /* the command in front, in this block */
	struct sieve_node *now;        /* takes arguments; NULL between commands */
	struct sieve_value_node **arg; /* where its next one goes */
	unsigned blocks, tests;        /* open ones */
	bool closed;                   /* `now` has its tests: nothing but its end follows */
};

static bool
parse_wrong(struct sieve_parser *p, const char *why)
{
	p->why = p->t.kind == SIEVE_T_WRONG ? p->lex.why : why;
	return false;
}

static bool
parse_is(const struct sieve_parser *p, char c)
{
	return p->t.kind == SIEVE_T_CHAR && p->t.text.p[0] == c;
}

static void
parse_next(struct sieve_parser *p)
{
	p->t = sieve_lex_next(&p->lex);
}

static struct sieve_node *
parse_node(struct sieve_parser *p, struct sieve_node *parent, struct sieve_node *prev)
{
	struct sieve_node *n = arena_new(p->tree, sizeof(*n));

	n->parent = parent;
	n->prev = prev;
	n->name = p->t.text;
	n->line = p->t.line;
	n->column = p->t.column;
	if (prev)
		prev->next = n;
	p->now = n;
	p->arg = &n->args;
	p->closed = false;
	return n;
}

/* ---- arguments ------------------------------------------------------------------------------- */

static struct sieve_value_node *
parse_value(struct sieve_parser *p)
{
	struct sieve_value_node *v = arena_new(p->tree, sizeof(*v));

	v->kind = p->t.kind;
	v->line = p->t.line;
	v->column = p->t.column;
	v->number = p->t.number;
	*p->arg = v;
	p->arg = &v->next;
	return v;
}

/* [ "a", "b" ]; an empty list is no list of the grammar, and what Pigeonhole and Cyrus take. */
static bool
parse_strings(struct sieve_parser *p)
{
	struct sieve_value_node *v = parse_value(p);
	size_t room = 0;

	v->kind = SIEVE_T_STRING;
	v->list = true;
	do {
		parse_next(p);
		if (p->t.kind != SIEVE_T_STRING)
			return parse_wrong(p, "a string is expected in this list");
		if (v->n == room) {
			struct slice *more =
			    arena_array(p->tree, room = room ? room * 2 : 4, sizeof(*more));

			if (v->n)
				memcpy(more, v->strings, v->n * sizeof(*more));
			v->strings = more;
		}
		v->strings[v->n++] = p->t.text;
		parse_next(p);
	} while (parse_is(p, ','));
	return parse_is(p, ']') || parse_wrong(p, "a comma or ] is expected in this list");
}

static bool
parse_argument(struct sieve_parser *p)
{
	struct sieve_value_node *v;

	if (parse_is(p, '['))
		return parse_strings(p);
	v = parse_value(p);
	if (p->t.kind == SIEVE_T_TAG)
		v->tag = p->t.text;
	if (p->t.kind == SIEVE_T_STRING) {
		v->strings = arena_new(p->tree, sizeof(*v->strings));
		v->strings[v->n++] = p->t.text;
	}
	return true;
}

/* ---- tests ----------------------------------------------------------------------------------- */

/* A test below `now`, or behind the last one of `parent`. */
static bool
parse_test(struct sieve_parser *p, struct sieve_node *parent, struct sieve_node *prev)
{
	struct sieve_node *n;

	if (p->t.kind != SIEVE_T_NAME)
		return parse_wrong(p, "the name of a test is expected");
	if (!prev && ++p->tests > p->nesting)
		return parse_wrong(p, "tests are nested too deep");
	n = parse_node(p, parent, prev);
	n->test = true;
	if (!prev)
		parent->tests = n;
	return true;
}

/* `now` ends; so do the tests that it is the only test of, up to one in parentheses or the command. */
static struct sieve_node *
parse_climb(struct sieve_parser *p)
{
	while (p->now->test && !p->now->parent->test_list) {
		p->now = p->now->parent;
		p->tests--;
	}
	return p->now;
}

static bool
parse_open_list(struct sieve_parser *p)
{
	p->now->test_list = true;
	parse_next(p);
	return parse_test(p, p->now, NULL);
}

static bool
parse_comma(struct sieve_parser *p)
{
	struct sieve_node *n = parse_climb(p);

	if (!n->test)
		return parse_wrong(p, "a comma has no meaning here");
	parse_next(p);
	return parse_test(p, n->parent, n);
}

static bool
parse_close_list(struct sieve_parser *p)
{
	struct sieve_node *n = parse_climb(p);

	if (!n->test)
		return parse_wrong(p, "this ) closes nothing");
	p->now = n->parent;
	p->tests--;
	p->closed = true;
	return true;
}

/* ---- commands -------------------------------------------------------------------------------- */

static bool
parse_command(struct sieve_parser *p)
{
	struct sieve_node *n;

	if (p->t.kind != SIEVE_T_NAME)
		return parse_wrong(p, "the name of a command is expected");
	n = parse_node(p, p->owner, p->last);
	if (!p->last && p->owner)
		p->owner->block = n;
	else if (!p->last)
		p->first = n;
	p->last = n;
	return true;
}

static bool
parse_end_command(struct sieve_parser *p)
{
	if (parse_climb(p)->test)
		return parse_wrong(p, "a ) is missing in front");
	p->now = NULL;
	return true;
}

static bool
parse_open_block(struct sieve_parser *p)
{
	if (!parse_end_command(p))
		return false;
	if (++p->blocks > p->nesting)
		return parse_wrong(p, "blocks are nested too deep");
	p->last->has_block = true;
	p->owner = p->last;
	p->last = NULL;
	return true;
}

static bool
parse_close_block(struct sieve_parser *p)
{
	if (!p->owner)
		return parse_wrong(p, "this } closes nothing");
	p->blocks--;
	p->last = p->owner;
	p->owner = p->owner->parent;
	return true;
}

/* ---- one token after the other ----------------------------------------------------------------- */

/* Between commands. */
static bool
parse_outside(struct sieve_parser *p)
{
	return parse_is(p, '}') ? parse_close_block(p) : parse_command(p);
}

/* Behind a name: its arguments, its tests, its end. */
static bool
parse_inside(struct sieve_parser *p)
{
	static const struct {
		char c;
		bool (*take)(struct sieve_parser *);
	} ends[] = { { ',', parse_comma }, { ')', parse_close_list }, { ';', parse_end_command },
		{ '{', parse_open_block } };

	for (size_t i = 0; i < NELEM(ends); i++)
		if (parse_is(p, ends[i].c))
			return ends[i].take(p);
	if (p->closed)
		return parse_wrong(p, "a semicolon or a block is expected behind the tests");
	switch (p->t.kind) {
	case SIEVE_T_NUMBER:
	case SIEVE_T_TAG:
	case SIEVE_T_STRING: return parse_argument(p);
	case SIEVE_T_NAME: return parse_test(p, p->now, NULL);
	case SIEVE_T_CHAR:
		if (parse_is(p, '['))
			return parse_argument(p);
		if (parse_is(p, '('))
			return parse_open_list(p);
		break;
	case SIEVE_T_END:
	case SIEVE_T_WRONG:
	default: break;
	}
	return parse_wrong(p, "an argument, a test, a semicolon or a block is expected");
}

struct sieve_node *
sieve_parse(struct slice script, const struct sieve_limits *limits, struct arena *tree,
    struct arena *strings, const char **why, struct sieve_token *at)
{
	struct sieve_parser p = { .tree = tree, .nesting = limits->nesting };
	bool good = true;

	sieve_lex_init(&p.lex, script, strings, limits->string_bytes);
	for (parse_next(&p); good && p.t.kind != SIEVE_T_END;) {
		good = p.now ? parse_inside(&p) : parse_outside(&p);
		if (good)
			parse_next(&p);
	}
	if (good && p.now)
		good = parse_wrong(&p, "the script ends within a command: a semicolon is missing");
	if (good && p.owner)
		good = parse_wrong(&p, "the script ends within a block: a } is missing");
	*why = good ? NULL : p.why;
	*at = p.t;
	return good ? p.first : NULL;
}
