/* compile.c: from the tree of a script to steps: calls in a row, each with the step to go on at.
 *
 * Tests are no tree any more when a program runs: `allof`, `anyof` and `not` only say where a test goes on
 * when it is true and when it is not, so that an evaluation is a loop over an array and stops as early
 * as RFC 5228 5.2 and 5.3 allow.  Places that are not known yet are labels, numbers that become steps
 * at the end.  Commands and tests are walked by the tree's own pointers: the nesting of a script is in
 * no stack of ours.  What each word means for this is in its row (open, close); this file knows none
 * of them.
 *
 * A script that includes others compiles them into the same program, one after the other, each once. */
#include "base/mem.h"
#include "sieve/sieve-impl.h"

const struct sieve_limits sieve_limits_default = {
	.script_bytes = 1024 * 1024,
	.scripts = 32,
	.steps = 100000,
	.nesting = 32,
	.string_bytes = 64 * 1024,
	.variables = 256,
	.work = 4 * 1000 * 1000,
	.memory = 64 * 1024 * 1024,
	.header_reads = 100000,
	.header_added = 256 * 1024,
	.cpu_ms = 2000,
	.actions = 32,
	.redirects = 4,
	.includes = 10,
	.regex_matches = 100000,
	.regex_bytes = 4 * 1024 * 1024,
};

static const struct sieve_word *const tables[] = { sieve_words_control, sieve_words_base,
	sieve_words_header, sieve_words_body, sieve_words_date, sieve_words_flags,
	sieve_words_variables, sieve_words_include, sieve_words_vacation, sieve_words_notify,
	sieve_words_edit, sieve_words_mime, sieve_words_world };

/* ---- what is wrong ------------------------------------------------------------------------------- */

void
sieve_errors_fini(struct sieve_errors *e)
{
	arena_reset(&e->arena);
	*e = (struct sieve_errors){ 0 };
}

void
sieve_error_write(struct buf *b, const struct sieve_error *e)
{
	buf_printf(b, "%s:", e->script);
	if (e->line)
		buf_printf(b, "%u:%u:", e->line, e->column);
	buf_printf(b, " %s", e->text);
}

static void
compile_error(struct sieve_compiler *c, unsigned line, unsigned column, struct slice text)
{
	struct sieve_errors *es = c->errors;
	struct sieve_error *e;

	if (es->n++ >= SIEVE_ERRORS_MAX)
		return;
	e = arena_new(&es->arena, sizeof(*e));
	e->script = arena_str(&es->arena, c->unit ? c->unit->name : "script");
	e->line = line;
	e->column = column;
	e->text = arena_cstr(&es->arena, text);
	if (es->last)
		es->last->next = e;
	else
		es->first = e;
	es->last = e;
}

static bool PRINTF(4, 0) compile_wrong(struct sieve_compiler *c, unsigned line, unsigned column,
    const char *fmt, va_list ap)
{
	struct buf text = { .cap = 1024 };

	buf_vprintf(&text, fmt, ap);
	if (c->later) {
		buf_clear(&c->wrong);
		buf_slice(&c->wrong, buf_get(&text));
	} else {
		compile_error(c, line, column, buf_get(&text));
	}
	buf_fini(&text);
	return false;
}

bool
sieve_wrong(struct sieve_compiler *c, unsigned line, unsigned column, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	compile_wrong(c, line, column, fmt, ap);
	va_end(ap);
	return false;
}

bool
sieve_wrong_arg(struct sieve_compiler *c, const struct sieve_arg *a, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	compile_wrong(c, a->line, a->column, fmt, ap);
	va_end(ap);
	return false;
}

/* ---- steps and labels ------------------------------------------------------------------------------ */

struct arena *
sieve_compiler_arena(struct sieve_compiler *c)
{
	return &c->program->arena;
}

uint32_t
sieve_label(struct sieve_compiler *c)
{
	if (c->nlabels == c->labels_room) {
		c->labels_room = c->labels_room ? c->labels_room * 2 : 64;
		c->labels = mem_grow(c->labels, c->labels_room, sizeof(*c->labels));
	}
	return c->nlabels++;
}

void
sieve_label_here(struct sieve_compiler *c, uint32_t label)
{
	c->labels[label] = c->nsteps;
}

/* Most calls have two or three of the arguments that there are slots for. */
static void
args_pack(struct sieve_compiler *c, struct sieve_call *call)
{
	struct sieve_arg *args;
	size_t n = 0;

	for (unsigned i = 0; i < SIEVE_SLOTS; i++)
		if (call->args[i].given)
			call->given |= UINT32_C(1) << i;
	args = arena_array(&c->program->arena, ONES(call->given), sizeof(*args));
	for (unsigned i = 0; i < SIEVE_SLOTS; i++)
		if (call->args[i].given)
			args[n++] = call->args[i];
	call->args = args;
}

void
sieve_emit(struct sieve_compiler *c, const struct sieve_call *call, uint32_t yes, uint32_t no)
{
	struct sieve_call *step;

	if (c->nsteps == c->room) {
		c->room = c->room ? c->room * 2 : 64;
		c->steps = mem_grow(c->steps, c->room, sizeof(*c->steps));
	}
	step = &c->steps[c->nsteps++];
	*step = *call;
	step->yes = yes;
	step->no = no;
	if (step->args)
		args_pack(c, step);
	c->program->store |= call->word->store;
}

struct sieve_call
sieve_call_of(struct sieve_compiler *c, const struct sieve_node *n, const struct sieve_word *w)
{
	return (struct sieve_call){ .word = w,
		.script = c->unit->name,
		.line = n->line,
		.column = n->column };
}

static void
labels_resolve(struct sieve_compiler *c)
{
	for (uint32_t i = 0; i < c->nsteps; i++) {
		struct sieve_call *s = &c->steps[i];

		s->yes = s->yes == SIEVE_NEXT ? i + 1 : c->labels[s->yes];
		s->no = s->no == SIEVE_NEXT ? i + 1 : c->labels[s->no];
	}
}

/* ---- words ------------------------------------------------------------------------------------------- */

static const struct sieve_word *
word_in(const struct sieve_word *w, enum sieve_kind kind, struct slice name)
{
	for (; w->name; w++)
		if (w->kind == kind && slice_ieq(name, slice_str(w->name)))
			return w;
	return NULL;
}

const struct sieve_word *
sieve_word_find(const struct sieve_compiler *c, enum sieve_kind kind, struct slice name)
{
	const struct sieve_word *w = NULL;

	for (size_t i = 0; !w && i < NELEM(tables); i++)
		w = word_in(tables[i], kind, name);
	for (size_t i = 0; !w && c->options->words && c->options->words[i]; i++)
		w = word_in(c->options->words[i], kind, name);
	return w;
}

/* The row of a node, its capability required and its arguments bound; NULL after an error. */
static const struct sieve_word *
node_bind(struct sieve_compiler *c, struct sieve_node *n, struct sieve_call *call)
{
	const struct sieve_word *w =
	    sieve_word_find(c, n->test ? SIEVE_TEST : SIEVE_COMMAND, n->name);

	c->later = c->lenient && !(w && w->open); /* what holds a script together is always right */
	if (c->nsteps >= c->limits->steps) {
		c->later = false;
		sieve_wrong(c, n->line, n->column, "the script has too many commands and tests");
		return NULL;
	}
	if (!w || !sieve_extension_any(c, w->extension)) {
		sieve_wrong(c, n->line, n->column,
		    w ? "%s " SFMT " needs require \"%s\"" : "there is no %s " SFMT,
		    n->test ? "test" : "command", SARG(n->name), w ? w->extension : "");
		return NULL;
	}
	*call = sieve_call_of(c, n, w);
	call->args = memset(c->args, 0, sizeof(c->args));
	return sieve_bind(c, n, w, call) ? w : NULL;
}

static bool
unknown_run(struct sieve_run *r, const struct sieve_call *call)
{
	return sieve_fail(r, call, "%s", (const char *)call->data);
}

/* What stands for a command or test that is not known here: wrong when it is reached (RFC 5463 4). */
static bool
unknown_emit(struct sieve_compiler *c, const struct sieve_node *n)
{
	static const struct sieve_word later = { .name = "unknown", .run = unknown_run };
	struct sieve_call call;

	if (!c->later)
		return false;
	call = sieve_call_of(c, n, &later);
	call.data = arena_cstr(&c->program->arena, buf_get(&c->wrong));
	sieve_emit(c, &call, SIEVE_NEXT, SIEVE_NEXT);
	return true;
}

/* ---- tests --------------------------------------------------------------------------------------------- */

/* Where the tests below n go on, by what n is: a row without `run` has its tests' labels by `open`. */
static bool
test_compile(struct sieve_compiler *c, struct sieve_node *n)
{
	struct sieve_call call;
	const struct sieve_word *w;

	sieve_label_here(c, n->entry);
	w = node_bind(c, n, &call);
	if (!w) {
		n->tests = NULL;
		return unknown_emit(c, n);
	}
	if (w->open)
		return w->open(c, n, &call);
	sieve_emit(c, &call, n->yes, n->no);
	return true;
}

bool
sieve_compile_tests(struct sieve_compiler *c, struct sieve_node *top)
{
	struct sieve_node *n = top->tests;
	bool good = true;

	while (n) {
		good = test_compile(c, n) && good;
		if (n->tests) {
			n = n->tests;
			continue;
		}
		while (n != top && !n->next)
			n = n->parent;
		n = n == top ? NULL : n->next;
	}
	return good;
}

/* ---- commands ------------------------------------------------------------------------------------------- */

static void
command_open(struct sieve_compiler *c, struct sieve_node *n)
{
	struct sieve_call call;
	const struct sieve_word *w = node_bind(c, n, &call);

	if (!w) {
		n->block = NULL;
		unknown_emit(c, n);
	} else if (!w->open) {
		sieve_emit(c, &call, SIEVE_NEXT, SIEVE_NEXT);
	} else if (!w->open(c, n, &call)) {
		w = NULL;
	}
	n->word = w;
	c->began = c->began || w != sieve_words_control;
}

/* Ends n, and the blocks that it is the last command of; the command behind them, or NULL. */
static struct sieve_node *
command_behind(struct sieve_compiler *c, struct sieve_node *n)
{
	for (; n; n = n->parent) {
		if (n->word && n->word->close)
			n->word->close(c, n);
		if (n->next)
			return n->next;
	}
	return NULL;
}

static void
commands_compile(struct sieve_compiler *c, struct sieve_node *n)
{
	while (n && c->errors->n < SIEVE_ERRORS_MAX) {
		command_open(c, n);
		n = n->block ? n->block : command_behind(c, n);
	}
}

/* ---- scripts ---------------------------------------------------------------------------------------------- */

static bool
end_run(struct sieve_run *r, const struct sieve_call *call)
{
	(void)call;
	return sieve_return(r);
}

static void
unit_compile(struct sieve_compiler *c, struct sieve_unit *u)
{
	static const struct sieve_word end = { .name = "end", .run = end_run };
	static const struct sieve_node nowhere;
	struct sieve_node *first;
	struct sieve_call call;
	struct sieve_token at;
	const char *why;

	c->unit = u;
	c->required = sieve_extension_bit(c, S("comparator-i;octet")) |
	    sieve_extension_bit(c, S("comparator-i;ascii-casemap"));
	c->began = c->later = c->lenient = false;
	u->entry = c->nsteps;
	u->first_variable = c->program->nvariables;
	first = sieve_parse(u->text, c->limits, &c->tree, &c->program->arena, &why, &at);
	if (why)
		compile_error(c, at.line, at.column, slice_str(why));
	commands_compile(c, first);
	call = sieve_call_of(c, &nowhere, &end);
	sieve_emit(c, &call, SIEVE_NEXT, SIEVE_NEXT);
	u->nvariables = c->program->nvariables - u->first_variable;
	arena_reset(&c->tree);
	map_fini(&c->names);
}

struct sieve_unit *
sieve_unit_new(struct sieve_compiler *c, const char *name, struct slice text)
{
	struct sieve_program *p = c->program;
	struct sieve_unit *u = arena_new(&p->arena, sizeof(*u));

	c->bytes += text.n;
	u->name = arena_str(&p->arena, name);
	u->text = arena_slice(&p->arena, text);
	u->number = p->nunits++;
	*c->last_unit = u;
	c->last_unit = &u->next;
	return u;
}

static void
compile_all(struct sieve_compiler *c)
{
	struct sieve_program *p = c->program;

	for (struct sieve_unit *u = p->units; u && !c->errors->n; u = u->next)
		if (!u->missing)
			unit_compile(c, u);
	if (c->errors->n || !c->steps)
		return;
	labels_resolve(c);
	p->nsteps = c->nsteps;
	p->steps = arena_array(&p->arena, c->nsteps, sizeof(*p->steps));
	memcpy(p->steps, c->steps, c->nsteps * sizeof(*p->steps));
}

struct sieve_program *
sieve_compile(struct slice script, const struct sieve_options *options, struct sieve_errors *errors)
{
	struct sieve_program *p = mem_new(sizeof(*p));
	struct sieve_compiler c = { .program = p, .options = options, .errors = errors };
	struct slice rest = slice_str(options->without), name;

	p->limits = c.limits = options->limits ? options->limits : &sieve_limits_default;
	p->nvariables = SIEVE_GLOBALS;
	c.last_unit = &p->units;
	while (slice_word(&rest, &name))
		c.without |= sieve_extension_bit(&c, name);
	if (script.n > c.limits->script_bytes)
		compile_error(&c, 0, 0, S("the script is too long"));
	else
		sieve_unit_new(&c, options->name ? options->name : "script", script);
	compile_all(&c);
	mem_free(&c.steps);
	mem_free(&c.labels);
	map_fini(&c.globals);
	buf_fini(&c.wrong);
	if (errors->n)
		sieve_program_free(&p);
	return p;
}

void
sieve_program_free(struct sieve_program **pp)
{
	struct sieve_program *p = *pp;

	if (!p)
		return;
	sieve_regex_free(p->regexes);
	arena_reset(&p->arena);
	mem_free(pp);
}

size_t
sieve_program_octets(const struct sieve_program *p)
{
	return sizeof(*p) + p->arena.total + p->regex_bytes;
}

bool
sieve_program_needs_store(const struct sieve_program *p)
{
	return p->store;
}
