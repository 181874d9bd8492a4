/* include.c: scripts within scripts: include, return and global (RFC 6609).
 *
 * A script that is included is loaded and compiled with the one that names it, once, however often it is
 * named; including it is a jump with a way back.  It may not be there yet when the other is
 * checked (3.2), so that is an error only when it is reached.  A script within itself is an error of the run;
 * scripts that include each other wide and deep are bounded by the work of the run. */
#include <errno.h>
#include "sieve/sieve-impl.h"

enum { SLOT_ONCE = 1, SLOT_OPTIONAL, SLOT_WHERE };
enum { WHERE_PERSONAL, WHERE_GLOBAL };

/* A name that no loader can take for a way to somewhere else. */
static bool
script_name_valid(struct slice name)
{
	for (size_t i = 0; i < name.n; i++)
		if ((unsigned char)name.p[i] < 0x20 || name.p[i] == '/' || name.p[i] == 0x7f)
			return false;
	return name.n && name.n <= 512 && name.p[0] != '.';
}

static struct sieve_unit *
unit_find(const struct sieve_compiler *c, struct slice name, bool global)
{
	struct sieve_unit *u = c->program->units->next;

	while (u && (u->global != global || !slice_eq(slice_str(u->name), name)))
		u = u->next;
	return u;
}

/* The script of that name, loaded when it is new; NULL after an error. */
static struct sieve_unit *
unit_load(struct sieve_compiler *c, const struct sieve_arg *a, struct slice name, bool global)
{
	struct sieve_unit *u = unit_find(c, name, global);
	struct buf text = { .cap = c->limits->script_bytes };
	int e;

	if (u)
		return u;
	if (c->program->nunits >= c->limits->scripts || c->program->nunits >= SIEVE_UNITS_MAX) {
		sieve_wrong_arg(c, a, "too many scripts are included");
		return NULL;
	}
	e = c->options->load ? c->options->load(c->options->arg, global, name, &text) : -ENOENT;
	if (e < 0 && e != -ENOENT)
		sieve_wrong_arg(c, a, "the script \"" SFMT "\" cannot be read now", SARG(name));
	else if (text.full || c->bytes + text.n > c->limits->script_bytes)
		sieve_wrong_arg(c, a, "the scripts that are included are too long");
	else
		u = sieve_unit_new(c, arena_cstr(&c->program->arena, name), buf_get(&text));
	if (u) {
		u->global = global;
		u->missing = e < 0;
	}
	buf_fini(&text);
	return u;
}

static bool
include_check(struct sieve_compiler *c, struct sieve_call *call)
{
	struct slice name = call->args[0].items[0].text;

	if (!script_name_valid(name))
		return sieve_wrong_arg(c, &call->args[0], "\"" SFMT "\" is no name of a script",
		    SARG(name));
	call->data =
	    unit_load(c, &call->args[0], name, call->args[SLOT_WHERE].number == WHERE_GLOBAL);
	return call->data;
}

/* Is it at work already, here or in one that has included this one? */
static bool
unit_active(const struct sieve_run *r, const struct sieve_unit *u)
{
	for (unsigned i = 0; i < r->nframes; i++)
		if (r->frames[i].unit == u)
			return true;
	return false;
}

static void
unit_enter(struct sieve_run *r, const struct sieve_unit *u)
{
	struct sieve_frame *f = &r->frames[r->nframes++];

	*f = (struct sieve_frame){ .unit = u,
		.back = r->pc,
		.loops = r->nloops,
		.nmatches = r->nmatches };
	if (r->nmatches) {
		f->matches = arena_array(r->arena, r->nmatches, sizeof(*f->matches));
		memcpy(f->matches, r->matches, r->nmatches * sizeof(*f->matches));
	}
	if (u->nvariables)
		memset(&r->variables[u->first_variable], 0, u->nvariables * sizeof(*r->variables));
	r->nmatches = 0;
	r->included |= 1ull << u->number;
	r->pc = u->entry;
}

static bool
include_run(struct sieve_run *r, const struct sieve_call *c)
{
	const struct sieve_unit *u = c->data;

	if (sieve_arg(c, SLOT_ONCE) && r->included >> u->number & 1)
		return true;
	sieve_note(r, slice_str(u->name));
	if (u->missing)
		return sieve_arg(c, SLOT_OPTIONAL) ||
		    sieve_fail(r, c, "there is no script \"%s\" to include", u->name);
	if (unit_active(r, u))
		return sieve_fail(r, c, "the script \"%s\" includes itself", u->name);
	if (r->nframes >= r->limits->includes || r->nframes >= SIEVE_INCLUDES_MAX)
		return sieve_exceed(r, c, "scripts included in one another");
	if (!sieve_spend(r, c, u->nvariables / 4 + 4))
		return false;
	unit_enter(r, u);
	return true;
}

static bool
return_run(struct sieve_run *r, const struct sieve_call *c)
{
	(void)c;
	return sieve_return(r);
}

/* global [names]: they are the global variables of that name from here on (3.4.1). */
static bool
global_check(struct sieve_compiler *c, struct sieve_call *call)
{
	const struct sieve_arg *names = &call->args[0];

	if (!sieve_required(c, "variables"))
		return sieve_wrong(c, call->line, call->column,
		    "global needs require \"variables\"");
	for (size_t i = 0; i < names->n; i++)
		if (!sieve_global_import(c, names, names->items[i].text))
			return false;
	return true;
}

static bool
global_run(struct sieve_run *r, const struct sieve_call *c)
{
	(void)r;
	(void)c;
	return true;
}

static const struct sieve_tag tags_include[] = {
	{ ":once", .slot = SLOT_ONCE },
	{ ":optional", .slot = SLOT_OPTIONAL },
	{ ":personal", .group = SIEVE_GROUP_1, .slot = SLOT_WHERE, .value = WHERE_PERSONAL },
	{ ":global", .group = SIEVE_GROUP_1, .slot = SLOT_WHERE, .value = WHERE_GLOBAL },
	{ .name = NULL },
};
static const struct sieve_tag *const include_tags[] = { tags_include, NULL };

const struct sieve_word sieve_words_include[] = {
	{ "include", SIEVE_COMMAND, "include", "S", include_tags, -1, .check = include_check,
	    .run = include_run },
	{ "return", SIEVE_COMMAND, "include", "", NULL, -1, .run = return_run },
	{ "global", SIEVE_COMMAND, "include", "L", NULL, -1, .check = global_check,
	    .run = global_run },
	{ .name = NULL },
};
