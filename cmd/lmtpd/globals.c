/* lmtpd/globals.c: see lmtpd/globals.h.
 *
 * Owns the set at hand.  Called by main.c at the start and at reloads, and by script.c, which gives it to scripts that
 * include others.  Can fail: the folder, and a script in it with errors, which is told and keeps the old set.  Must stay
 * true: a set is whole or not there, and never changes. */
#include "globals.h"

#include <dirent.h>
#include <errno.h>

#include "base/mem.h"
#include "lmtpd.h"
#include "script.h"

#define GLOBALS_MAX    1000          /* scripts in the folder */
#define GLOBALS_OCTETS (4096 * 1024) /* of all of them */
#define SUFFIX         ".sieve"

struct global {
	char *name;
	struct buf text;
};
struct globals {
	unsigned refs;
	uint64_t number;
	struct global *v;
	size_t n, octets;
};

static struct globals *current;
static uint64_t counter;

struct globals *
globals_ref(struct globals *g)
{
	if (g)
		g->refs++;
	return g;
}

struct globals *
globals_get(void)
{
	return globals_ref(current);
}

void
globals_unref(struct globals **gp)
{
	struct globals *g = *gp;

	*gp = NULL;
	if (!g || --g->refs)
		return;
	for (size_t i = 0; i < g->n; i++) {
		mem_free(&g->v[i].name);
		buf_fini(&g->v[i].text);
	}
	mem_free(&g->v);
	mem_release(g);
}

bool
globals_find(const struct globals *g, struct slice name, struct slice *text)
{
	for (size_t i = 0; g && i < g->n; i++)
		if (slice_eq(slice_str(g->v[i].name), name)) {
			*text = buf_get(&g->v[i].text);
			return true;
		}
	return false;
}

uint64_t
globals_number(const struct globals *g)
{
	return g ? g->number : 0;
}

/* ---- reading ------------------------------------------------------------------------------------ */

/* One file of the folder, if its name is one of a script; false with *why. */
static bool
globals_add(struct globals *g, const char *name, struct buf *why)
{
	struct slice base = slice_str(name);
	char *path;
	bool good;

	if (!slice_ends(base, S(SUFFIX)) || *name == '.')
		return true;
	if (g->n == GLOBALS_MAX) {
		buf_printf(why, "sieve.global: %s: more than %d scripts\n", lconf.sieve_global,
		    GLOBALS_MAX);
		return false;
	}
	g->v = mem_grow(g->v, g->n + 1, sizeof(*g->v));
	g->v[g->n] = (struct global){ .name = mem_strn(base.p, base.n - sizeof(SUFFIX) + 1) };
	path = mem_printf("%s/%s", lconf.sieve_global, name);
	good = script_file("sieve.global", path, &g->v[g->n].text, why);
	mem_free(&path);
	g->octets += g->v[g->n++].text.n;
	if (good && g->octets > GLOBALS_OCTETS) {
		buf_printf(why, "sieve.global: %s: more than %d octets\n", lconf.sieve_global,
		    GLOBALS_OCTETS);
		good = false;
	}
	return good;
}

/* Each is one by itself too: what is wrong with it is better told now than with somebody's mail. */
static bool
globals_compile(struct globals *g, struct buf *why)
{
	size_t n = why->n;

	for (size_t i = 0; i < g->n; i++) {
		struct script s = { .text = buf_get(&g->v[i].text),
			.globals = g,
			.may_include = true };
		char *error = NULL;
		struct sieve_program *p = script_program(&s, &error);

		if (!p)
			buf_printf(why, "sieve.global: %s/%s" SUFFIX ": %s\n", lconf.sieve_global,
			    g->v[i].name, error);
		mem_free(&error);
		sieve_program_free(&p);
	}
	return why->n == n;
}

/* The set as the folder has it now; NULL with *why, or without: there is to be none. */
static struct globals *
globals_new(struct buf *why)
{
	struct globals *g;
	struct dirent *e;
	bool good = true;
	DIR *d;

	if (!*lconf.sieve_global)
		return NULL;
	d = opendir(lconf.sieve_global);
	if (!d) {
		buf_printf(why, "sieve.global: %s: %s\n", lconf.sieve_global, strerror(errno));
		return NULL;
	}
	g = mem_new(sizeof(*g));
	g->refs = 1;
	g->number = ++counter;
	while (good && (e = readdir(d)))
		good = globals_add(g, e->d_name, why);
	closedir(d);
	if (!good || !globals_compile(g, why))
		globals_unref(&g);
	return g;
}

bool
globals_check(struct buf *why)
{
	size_t n = why->n;
	struct globals *g;

	scripts_init();
	g = globals_new(why);
	globals_unref(&g);
	return why->n == n;
}

bool
globals_read(struct buf *why)
{
	size_t n = why->n;
	struct globals *g = globals_new(why);

	if (why->n > n)
		return false;
	globals_unref(&current);
	current = g;
	return true;
}
