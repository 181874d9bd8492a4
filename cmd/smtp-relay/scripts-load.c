/* scripts-load.c: the scripts that channels name, compiled: see scripts.h.
 *
 * One table for the worker, made anew at a reload; a run that is under way keeps the program that it has.  Can fail: a
 * file, or what is in it; then mail of the channel goes on without a script, and the log says so. */
#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "daemon/sandbox.h"
#include "rules/rules.h"
#include "scripts-impl.h"

#define SCRIPT_CPU    500 /* ms of a run */
#define SCRIPT_OCTETS (256 * 1024)

/* What no relay has: folders, what was seen before, who somebody is, and answers in somebody's name. */
static const char without[] =
    "duplicate enotify envelope-dsn environment extlists fcc imap4flags imapsieve include "
    "mailbox mailboxid redirect-dsn special-use vacation vacation-seconds "
    "vnd.dovecot.environment";

static struct {
	struct channel_script **v;
	size_t n;
} scripts;

void
scripts_unref(struct channel_script **cp)
{
	struct channel_script *c = *cp;

	*cp = NULL;
	if (!c || --c->refs)
		return;
	sieve_program_free(&c->program);
	mem_free(&c->channel);
	mem_release(c);
}

/* "file:/path", "file:///path" (RFC 8089) or the path; NULL: it is none. */
static const char *
scripts_path(const char *url)
{
	if (strncmp(url, "file:", 5) == 0)
		url += strncmp(url, "file:///", 8) == 0 ? 7 : 5;
	return *url == '/' ? url : NULL;
}

/* The program, or NULL with *why. */
static struct sieve_program *
scripts_compile(const char *url, struct buf *why)
{
	static struct sieve_limits limits;
	struct sieve_options o = rules_options;
	struct sieve_program *p = NULL;
	const char *path = scripts_path(url);
	struct buf text = { 0 };

	limits = sieve_limits_default;
	limits.cpu_ms = SCRIPT_CPU;
	o.limits = &limits;
	o.without = without;
	o.name = path;
	if (!path)
		buf_printf(why, "%s: neither file:/PATH nor /PATH", url);
	else if (rules_file_read(path, SCRIPT_OCTETS, &text, why))
		p = rules_compile(buf_get(&text), &o, why);
	buf_fini(&text);
	return p;
}

/* fn(arg, channel, which, its program or NULL, why not) for each that a channel names. */
static void
scripts_each(const struct channels *channels,
    void (*fn)(void *, const struct mta_channel *, enum script_side, struct sieve_program *,
	struct slice),
    void *arg)
{
	const struct mta_channel *c;

	for (size_t i = 0; channels->rules && (c = mta_channel_at(channels->rules, i)); i++) {
		const char *urls[] = { [SCRIPT_SOURCE] = c->sourcefilter,
			[SCRIPT_GOES] = c->destinationfilter };

		for (unsigned side = 0; side < NELEM(urls); side++) {
			struct buf why = { 0 };
			struct sieve_program *p =
			    urls[side] ? scripts_compile(urls[side], &why) : NULL;

			if (urls[side])
				fn(arg, c, (enum script_side)side, p, buf_get(&why));
			buf_fini(&why);
		}
	}
}

static void
scripts_take(void *arg UNUSED, const struct mta_channel *c, enum script_side side,
    struct sieve_program *p, struct slice why)
{
	struct channel_script *new;

	if (!p) {
		log_event(LOG_ERROR, "channel_script_error", "channel=%s script=%s text=%s",
		    c->name, script_sides[side], log_value(why));
		return;
	}
	new = mem_new(sizeof(*new));
	*new = (struct channel_script){ 1, mem_str(c->name), side, p };
	scripts.v = mem_grow(scripts.v, scripts.n + 1, sizeof(*scripts.v));
	scripts.v[scripts.n++] = new;
}

void
scripts_unload(void)
{
	for (size_t i = 0; i < scripts.n; i++)
		scripts_unref(&scripts.v[i]);
	scripts.n = 0;
	mem_free(&scripts.v);
}

void
scripts_load(void)
{
	scripts_unload();
	scripts_each(relay.channels, scripts_take, NULL);
}

static void
scripts_warn(void *arg, const struct mta_channel *c, enum script_side side, struct sieve_program *p,
    struct slice why)
{
	if (!p)
		buf_printf(arg, "warning: %s:%d: channel %s has no %s: " SFMT "\n", c->file,
		    c->line, c->name, script_sides[side], SARG(why));
	sieve_program_free(&p);
}

static void
scripts_reach(void *arg UNUSED, const struct mta_channel *c, enum script_side side,
    struct sieve_program *p, struct slice why UNUSED)
{
	const char *path =
	    scripts_path(side == SCRIPT_SOURCE ? c->sourcefilter : c->destinationfilter);

	if (path)
		sandbox_read_beside(path);
	sieve_program_free(&p);
}

void
scripts_paths(void)
{
	char *path = daemon_conf_path("channels.conf"), *why = NULL;
	struct channels *c = NULL;

	if (channels_read(path, &c, &why) == 0)
		scripts_each(c, scripts_reach, NULL);
	channels_free(&c);
	free(why);
	free(path);
}

void
scripts_check(const struct channels *c, struct buf *why)
{
	scripts_each(c, scripts_warn, why);
}

struct channel_script *
scripts_of(enum script_side side, const char *channel)
{
	for (size_t i = 0; i < scripts.n; i++)
		if (scripts.v[i]->side == side && strcmp(scripts.v[i]->channel, channel) == 0)
			return scripts.v[i];
	return NULL;
}
