/* channels-rules.c: the rules of a set of channels, from mta.cnf or made of [route] sections: see
 * channels.h.
 *
 * Called by channels.c at start and at each reload.  What is made keeps the order that a file without
 * rules has always had: a static route of the domain or a parent, then the directory, then the route "*"
 * or the Internet; the directory stands behind `.`, where every domain without a route comes by.  No
 * local part is taken apart by them, as there is no channel l in them.  What fails is a file of the
 * administrator's, told with its places. */
#include <stdio.h>
#include <unistd.h>
#include "base/log.h"
#include "base/mem.h"
#include "conf/file.h"
#include "conf/shared.h"
#include "mta/channels-impl.h"

/* Host names of rules that are made: names that no address can have. */
#define HOST_DIRECTORY "_directory" /* the directory says where it goes */
#define HOST_WORLD     "_world"     /* everything else */

/* From the disk; the sandbox keeps what was read readable. */
static int
rules_read(void *arg, const char *path, struct buf *out)
{
	int e = mta_read_file(arg, path, out);

	if (e == 0)
		conf_file_note(path);
	return e;
}

/* The file NAME beside channels.conf, or NULL when it is not there; free it. */
static char *
rules_beside(const char *path, const char *name)
{
	const char *slash = path ? strrchr(path, '/') : NULL;
	char *file;

	if (!path)
		return NULL;
	file = slash ? mem_printf("%.*s/%s", (int)(slash - path), path, name) : mem_str(name);
	if (access(file, F_OK) < 0)
		mem_free(&file);
	return file;
}

static void
rules_notes(struct mta_notes *notes, struct buf *why)
{
	for (struct slice rest = buf_get(&notes->warnings), line; slice_cut(&rest, '\n', &line);)
		log_event(LOG_WARN, "config_warning", "text=%s", log_value(line));
	buf_slice(why, buf_get(&notes->errors));
	mta_notes_fini(notes);
}

void
channels_rules_read(struct channels *cs, const char *path, struct buf *why)
{
	char *rules = rules_beside(path, "mta.cnf"), *maps = rules_beside(path, "mappings");
	char *general = rules_beside(path, "general"), *aliases = rules_beside(path, "aliases");
	char *conversions = rules_beside(path, "conversions");
	struct mta_notes notes = { 0 };

	if (rules) {
		cs->rules = mta_conf_compile(rules, shared.hostname, rules_read, NULL, &notes);
		rules_notes(&notes, why);
	}
	/* Access tables are asked whoever has made the rules. */
	if (maps)
		cs->mappings = mta_mappings_compile(maps, rules_read, NULL, &notes);
	if (general)
		cs->general = mta_general_compile(general, rules_read, NULL, &notes);
	rules_notes(&notes, why);
	if (aliases) {
		cs->aliases = mta_aliases_compile(aliases, rules_read, NULL, &notes);
		rules_notes(&notes, why);
	}
	if (conversions) {
		cs->conversions = mta_conversions_compile(conversions, rules_read, NULL, &notes);
		rules_notes(&notes, why);
	}
	mem_free(&conversions);
	mem_free(&aliases);
	mem_free(&rules);
	mem_free(&maps);
	mem_free(&general);
}

/* ---- made of sections -------------------------------------------------------------------- */

static bool
is_world(const struct channel_route *r)
{
	return strcmp(r->domain, "*") == 0;
}

/* A rule for each static route: `_route-N` is its tag. */
static void
put_rules(const struct channels *cs, struct buf *b)
{
	for (size_t i = 0; i < cs->nroute; i++) {
		const struct channel_route *r = &cs->route[i];
		bool tail = strncmp(r->domain, "*.", 2) == 0;

		if (!is_world(r))
			buf_printf(b, "%s $U%%%s@_route-%zu\n", r->domain + tail,
			    tail ? "$H$D" : "$D", i);
	}
	buf_str(b,
	    "[] $U%[$L]@" HOST_WORLD "\n"
	    ". $U%$H$V$H@" HOST_DIRECTORY "\n"
	    ". $U%$H@" HOST_WORLD "\n\n"
	    "directory aliaslocal\n" HOST_DIRECTORY "\n");
}

static void
put_host(struct buf *b, const char *name, const char *relay)
{
	buf_printf(b, "%s %s%s%s\n", name, name, *relay ? " " : "", relay);
}

static void
put_blocks(const struct channels *cs, struct buf *b)
{
	const struct channel_route *world = NULL;

	for (size_t i = 0; i < cs->nroute && !world; i++)
		world = is_world(&cs->route[i]) ? &cs->route[i] : NULL;
	for (size_t i = 0; i < cs->nchannel; i++) {
		const char *name = cs->channel[i].name;

		buf_printf(b, "\n%s\n_channel_%s\n", name, name);
		for (size_t k = 0; k < cs->nroute; k++) {
			char tag[32];

			if (is_world(&cs->route[k]) || strcmp(cs->route[k].channel, name) != 0)
				continue;
			(void)snprintf(tag, sizeof(tag), "_route-%zu", k);
			put_host(b, tag, cs->route[k].relay);
		}
		if (strcmp(world ? world->channel : "tcp_local", name) == 0)
			put_host(b, HOST_WORLD, world ? world->relay : "");
	}
}

static int
rules_made(void *arg, const char *path, struct buf *out)
{
	(void)path;
	buf_slice(out, buf_get(arg));
	return 0;
}

void
channels_rules_make(struct channels *cs, struct buf *why)
{
	struct mta_notes notes = { 0 };
	struct buf text = { 0 };

	put_rules(cs, &text);
	put_blocks(cs, &text);
	cs->made = true;
	cs->rules = mta_conf_compile("channels.conf", NULL, rules_made, &text, &notes);
	buf_slice(why, buf_get(&notes.errors));
	mta_notes_fini(&notes);
	buf_fini(&text);
}
