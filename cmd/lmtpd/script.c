/* script.c: the table of scripts that this worker has met.
 *
 * A script is known by its whole text, with the texts of all that it might include, so that one that was changed is
 * another one, and what many people have in common is compiled once.  The table is bounded by the octets of texts and programs, for
 * a short text can be a long program; who was not used for longest goes, and stays as long as a recipient
 * holds it.  A script with errors is remembered
 * too: it is not compiled again for every message. */
#include <errno.h>

#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/must.h"
#include "globals.h"
#include "lmtpd.h"
#include "script.h"

#define OCTETS_MAX  (64 * 1024 * 1024) /* of texts and programs */
#define SCRIPTS_MAX 10000

static struct map scripts;
static struct list used = { &used, &used }; /* the next to go is first */
static size_t octets;
static uint64_t hits, misses;
static struct script *of_host[SCRIPT_LEVELS];

static struct sieve_limits script_limits;

void
scripts_init(void)
{
	rules_programs(lconf.programs && *lconf.programs);
	script_limits = sieve_limits_default;
	script_limits.redirects = (unsigned)lconf.redirects;
	script_limits.cpu_ms = (unsigned)lconf.sieve_cpu;
}

struct script *
script_ref(struct script *s)
{
	s->refs++;
	return s;
}

void
script_unref(struct script **sp)
{
	struct script *s = *sp;

	*sp = NULL;
	if (!s || --s->refs)
		return;
	sieve_program_free(&s->program);
	mem_free(&s->error);
	globals_unref(&s->globals);
	mem_release(s);
}

static void
script_drop(struct script *s)
{
	must(map_take(&scripts, s->key) == s);
	list_remove(&s->used);
	octets -= s->octets;
	script_unref(&s);
}

/* So many octets more are in the table, of the one that was used last. */
static void
script_grow(struct script *s, size_t n)
{
	s->octets += n;
	octets += n;
	while ((octets > OCTETS_MAX || scripts.n > SCRIPTS_MAX) &&
	    list_first(&used, struct script, used) != s)
		script_drop(list_first(&used, struct script, used));
}

/* What is compiled: the text alone, or with all that it may include: NUL, the number of the set of global scripts, and
 * each value of the library behind its length. */
static void
script_key(struct buf *b, struct slice text, const struct globals *g,
    const struct dir_values *library)
{
	uint64_t number = globals_number(g);

	buf_slice(b, text);
	buf_char(b, '\0');
	buf_add(b, &number, sizeof(number));
	for (size_t i = 0; library && i < library->n; i++) {
		buf_add(b, &library->v[i].n, sizeof(library->v[i].n));
		buf_slice(b, library->v[i]);
	}
}

static struct script *
script_new(const char *name, struct slice text, struct slice key)
{
	struct script *s = mem_new(sizeof(*s) + key.n);

	s->refs = 1;
	s->name = name;
	memcpy(s + 1, key.p, key.n);
	s->key = slice((const char *)(s + 1), key.n);
	s->text = slice_sub(s->key, 0, text.n);
	list_push(&used, &s->used);
	map_put(&scripts, s->key, s);
	script_grow(s, sizeof(*s) + key.n);
	return s;
}

/* One that runs for what people do is another one: it may do less. */
static struct script *
script_find(const char *name, struct slice text, const struct dir_values *library, bool event)
{
	bool may_include = slice_find_str(text, S("include")) < text.n;
	struct globals *g = may_include ? globals_get() : NULL;
	struct buf key = { 0 };
	struct script *s;

	if (may_include)
		script_key(&key, text, g, library);
	else if (event)
		buf_slice(&key, text);
	if (event)
		buf_char(&key, '\0');
	s = map_get(&scripts, key.n ? buf_get(&key) : text);
	if (s) {
		hits++;
		list_remove(&s->used);
		list_push(&used, &s->used);
	} else {
		misses++;
		s = script_new(name, text, key.n ? buf_get(&key) : text);
		s->event = event;
		s->may_include = may_include;
		s->globals = globals_ref(g);
		if (may_include)
			s->library = slice_sub(s->key, text.n + 1 + sizeof(uint64_t),
			    s->key.n - text.n - 1 - sizeof(uint64_t) - event);
	}
	globals_unref(&g);
	buf_fini(&key);
	return script_ref(s);
}

struct script *
script_get(const char *name, struct slice text, const struct dir_values *library)
{
	return script_find(name, text, library, false);
}

struct script *
script_get_event(struct slice text, const struct dir_values *library)
{
	return script_find("event", text, library, true);
}

/* RFC 6609 3.2: on any thread, for a script does not change. */
static int
script_load(void *arg, bool global, struct slice name, struct buf *text)
{
	const struct script *s = arg;
	struct slice rest = s->library, found, its;
	size_t n;

	if (global) {
		if (!globals_find(s->globals, name, &found))
			return -ENOENT;
		buf_slice(text, found);
		return 0;
	}
	while (rest.n > sizeof(n)) {
		memcpy(&n, rest.p, sizeof(n));
		if (rules_named(slice_sub(rest, sizeof(n), n), &its, &found) &&
		    slice_eq(its, name)) {
			buf_slice(text, found);
			return 0;
		}
		rest = slice_from(rest, sizeof(n) + n);
	}
	return -ENOENT;
}

struct sieve_program *
script_program(const struct script *s, char **error)
{
	struct sieve_options o =
	    rules_options_now(s->event ? &rules_options_event : &rules_options);
	struct sieve_program *p;
	struct buf b = { 0 };

	o.name = s->name;
	o.limits = &script_limits;
	if (s->may_include) {
		o.load = script_load;
		o.arg = (void *)(uintptr_t)s;
	}
	p = rules_compile(s->text, &o, &b);
	*error = p ? NULL : buf_take(&b);
	return p;
}

bool
script_made(struct script *s, struct sieve_program *program, char *error)
{
	if (s->program || s->error)
		return false;
	s->program = program;
	s->error = error;
	if (program && map_get(&scripts, s->key) == s)
		script_grow(s, sieve_program_octets(program));
	return true;
}

void
scripts_status(struct buf *out)
{
	buf_printf(out, "sieve scripts=%zu octets=%zu hits=%llu misses=%llu\n", scripts.n, octets,
	    (unsigned long long)hits, (unsigned long long)misses);
}

/* ---- the administrator's scripts ----------------------------------------------------------- */

struct script *
script_host(enum script_level level)
{
	return of_host[level];
}

bool
script_host_any(void)
{
	return of_host[SCRIPT_DESTINATION] || of_host[SCRIPT_SYSTEM];
}

bool
script_file(const char *key, const char *path, struct buf *text, struct buf *why)
{
	struct buf line = { 0 };
	bool good = rules_file_read(path, DIR_SCRIPTS_MAX, text, &line);

	if (!good)
		buf_printf(why, "%s: %s\n", key, buf_cstr(&line));
	buf_fini(&line);
	return good;
}

static const struct host_script {
	const char *name, *key;
	char **path;
} host_scripts[] = {
	[SCRIPT_DESTINATION] = { "destination", "sieve.destination", &lconf.sieve_destination },
	[SCRIPT_SYSTEM] = { "system", "sieve.system", &lconf.sieve_system },
};

/* Compiles it on the spot: it is the administrator's own.  NULL with *why, or without: there is none. */
static struct script *
host_script(const struct host_script *h, struct buf *why)
{
	struct sieve_program *p;
	struct script *s = NULL;
	struct buf text = { 0 };
	char *error = NULL;

	if (!**h->path)
		return NULL;
	if (script_file(h->key, *h->path, &text, why)) {
		s = script_get(h->name, buf_get(&text), NULL);
		p = script_program(s, &error);
		if (!p) {
			buf_printf(why, "%s: %s\n", *h->path, error);
			script_unref(&s);
		} else if (!script_made(s, p, NULL)) {
			sieve_program_free(&p);
		}
	}
	mem_free(&error);
	buf_fini(&text);
	return s;
}

bool
script_host_check(struct buf *why)
{
	size_t n = why->n;

	scripts_init();
	for (size_t i = 0; i < SCRIPT_LEVELS; i++) {
		struct script *s = host_script(&host_scripts[i], why);

		script_unref(&s);
	}
	return why->n == n;
}

bool
script_host_read(struct buf *why)
{
	size_t before = why->n;

	for (size_t i = 0; i < SCRIPT_LEVELS; i++) {
		size_t n = why->n;
		struct script *s = host_script(&host_scripts[i], why);

		if (why->n > n)
			continue;
		script_unref(&of_host[i]);
		of_host[i] = s;
	}
	return why->n == before;
}
