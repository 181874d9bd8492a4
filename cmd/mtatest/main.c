/* mtatest: what the MTA would do: addresses through rewrite rules, probes through mapping tables, files
 * checked.
 *
 *	mtatest [-j] [-c FILE] rewrite ADDRESS ... | mapping TABLE PROBE ... | expand ADDRESS ... | conf
 *
 * Nothing is sent or changed: the files are compiled as the daemons compile them.  But for `expand`
 * nobody is asked: what a daemon would ask of the directory is said by options (--local-domain,
 * --directory-away). */
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>
#include "base/json.h"
#include "base/mem.h"
#include "conf/paths.h"
#include "conf/shared.h"
#include "daemon/program.h"
#include "mtatest.h"

struct mtatest mtatest;

/* ---- what the rules ask ------------------------------------------------------------------- */

static enum mta_answer
mtatest_general(void *arg, struct slice key, struct buf *value)
{
	(void)arg;
	return mta_general_find(mtatest.generals, key, value);
}

static enum mta_answer
mtatest_local_domain(void *arg, struct slice domain)
{
	(void)arg;
	if (mtatest.away)
		return MTA_TEMP;
	for (size_t i = 0; i < mtatest.nlocal; i++)
		if (slice_ieq(domain, slice_str(mtatest.local[i])))
			return MTA_YES;
	return MTA_NO;
}

/* ---- files ------------------------------------------------------------------------------- */

char *
mtatest_path(const char *given, const char *name)
{
	const char *conf = program_conf_file(), *slash = conf ? strrchr(conf, '/') : NULL;

	if (given)
		return mem_str(given);
	if (slash)
		return mem_printf("%.*s/%s", (int)(slash - conf), conf, name);
	return conf ? mem_str(name) : mem_printf("%s/%s", conf_path_conf, name);
}

void
mtatest_notes(struct mta_notes *n)
{
	for (struct slice rest = buf_get(&n->warnings), line; slice_cut(&rest, '\n', &line);)
		fprintf(stderr, "warning: " SFMT "\n", SARG(line));
	if (n->errors.n)
		fwrite(n->errors.p, 1, n->errors.n, stderr);
	mta_notes_fini(n);
}

static const struct mta_conf *
load_made(const char *path)
{
	char *why = NULL;
	int e = channels_read(path, &mtatest.channels, &why);

	if (e < 0)
		fputs(why ? why : "channels.conf cannot be read\n", stderr);
	free(why);
	return e < 0 ? NULL : mtatest.channels->rules;
}

const struct mta_conf *
mtatest_load_conf(void)
{
	char *path = mtatest_path(mtatest.conf, "mta.cnf");
	char *channels = mtatest_path(NULL, "channels.conf");
	struct mta_notes notes = { 0 };
	const struct mta_conf *c;

	if (!mtatest.conf && access(path, F_OK) < 0 && access(channels, F_OK) == 0) {
		c = load_made(channels);
	} else {
		c = mtatest.rules =
		    mta_conf_compile(path, shared.hostname, mta_read_file, NULL, &notes);
		mtatest_notes(&notes);
	}
	mem_free(&path);
	mem_free(&channels);
	return c;
}

int
mtatest_load_mappings(struct mta_mappings **m)
{
	char *path = mtatest_path(mtatest.mappings, "mappings");
	struct mta_notes notes = { 0 };
	bool wanted = mtatest.mappings || access(path, F_OK) == 0;

	*m = wanted ? mta_mappings_compile(path, mta_read_file, NULL, &notes) : NULL;
	mtatest_notes(&notes);
	mem_free(&path);
	return wanted && !*m ? EX_CONFIG : 0;
}

int
mtatest_load_general(void)
{
	char *path = mtatest_path(mtatest.general, "general");
	struct mta_notes notes = { 0 };
	bool wanted = mtatest.general || access(path, F_OK) == 0;

	if (wanted)
		mtatest.generals = mta_general_compile(path, mta_read_file, NULL, &notes);
	mtatest_notes(&notes);
	mem_free(&path);
	return wanted && !mtatest.generals ? EX_CONFIG : 0;
}

bool
mtatest_load_channels(void)
{
	char *path = mtatest_path(NULL, "channels.conf"), *why = NULL;

	if (!mtatest.channels && channels_read(path, &mtatest.channels, &why) < 0)
		fputs(why ? why : "channels.conf cannot be read\n", stderr);
	free(why);
	mem_free(&path);
	return mtatest.channels;
}

/* ---- steps ------------------------------------------------------------------------------- */

void
mtatest_step(void *arg, const struct mta_step *s)
{
	struct buf *b = &mtatest.steps;

	(void)arg;
	if (mtatest.json) {
		buf_str(b, b->n ? ",{" : "{");
		json_put_cstr(b, "step", s->what);
		json_put_cstr(b, "file", s->file);
		if (s->file)
			json_put_i64(b, "line", s->line);
		json_put_str(b, "subject", s->subject);
		json_put_str(b, "input", s->input);
		json_put_str(b, "output", s->output);
		json_put_cstr(b, "why", s->why);
		buf_char(b, '}');
		return;
	}
	if (s->file)
		buf_printf(b, "%s:%d: ", s->file, s->line);
	buf_printf(b, "%s " SFMT ": %s", s->what, SARG(s->subject), s->why);
	if (s->output.n)
		buf_printf(b, " -> " SFMT, SARG(s->output));
	buf_char(b, '\n');
}

void
mtatest_steps_put(void)
{
	if (!mtatest.explain)
		return;
	if (mtatest.json) {
		json_key(&mtatest.out, "steps");
		buf_printf(&mtatest.out, "[" SFMT "]", SARG(buf_get(&mtatest.steps)));
	} else {
		buf_slice(&mtatest.out, buf_get(&mtatest.steps));
	}
	buf_clear(&mtatest.steps);
}

/* ---- main -------------------------------------------------------------------------------- */

static bool
mtatest_option(int c, const char *value)
{
	switch (c) {
	case 'A': mtatest.away = true; break;
	case 'a': mtatest.as = value; break;
	case 'd': mtatest.dest = value; break;
	case 'e': mtatest.explain = true; break;
	case 'F': mtatest.flags = value; break;
	case 'f': mtatest.conf = value; break;
	case 'g': mtatest.general = value; break;
	case 'j': mtatest.json = true; break;
	case 'k': mtatest.keywords = true; break;
	case 'l':
		mtatest.local = mem_grow(mtatest.local, mtatest.nlocal + 1, sizeof(*mtatest.local));
		mtatest.local[mtatest.nlocal++] = value;
		break;
	case 'm': mtatest.mappings = value; break;
	case 'r': mtatest.from = value; break;
	case 's': mtatest.source = value; break;
	case 'u': mtatest.auth = value; break;
	case 'z': mtatest.size = value; break;
	default: break;
	}
	return true;
}

static int
mtatest_run(int argc, char **argv)
{
	static const struct {
		const char *name;
		int (*run)(int argc, char **argv);
	} verbs[] = { { "rewrite", mtatest_rewrite }, { "mapping", mtatest_mapping },
		{ "expand", mtatest_expand }, { "conf", mtatest_conf } };
	int code = -1;

	mtatest.calls =
	    (struct mta_calls){ .general = mtatest_general, .local_domain = mtatest_local_domain };
	if (mtatest.explain)
		mtatest.calls.step = mtatest_step;
	for (size_t i = 0; argc && i < NELEM(verbs); i++)
		if (strcmp(argv[0], verbs[i].name) == 0)
			code = verbs[i].run(argc - 1, argv + 1);
	if (code < 0)
		code = program_usage();
	if (mtatest.out.n)
		fwrite(mtatest.out.p, 1, mtatest.out.n, stdout);
	buf_fini(&mtatest.out);
	buf_fini(&mtatest.steps);
	mta_general_free(&mtatest.generals);
	mta_conf_free(&mtatest.rules);
	channels_free(&mtatest.channels);
	mem_free(&mtatest.local);
	return ferror(stdout) || fflush(stdout) ? EX_IOERR : code;
}

static const struct option mtatest_longs[] = {
	{ "as", required_argument, NULL, 'a' },
	{ "auth", required_argument, NULL, 'u' },
	{ "conf", required_argument, NULL, 'f' },
	{ "dest-channel", required_argument, NULL, 'd' },
	{ "directory-away", no_argument, NULL, 'A' },
	{ "explain", no_argument, NULL, 'e' },
	{ "flags", required_argument, NULL, 'F' },
	{ "from", required_argument, NULL, 'r' },
	{ "general", required_argument, NULL, 'g' },
	{ "json", no_argument, NULL, 'j' },
	{ "keywords", no_argument, NULL, 'k' },
	{ "local-domain", required_argument, NULL, 'l' },
	{ "mappings", required_argument, NULL, 'm' },
	{ "size", required_argument, NULL, 'z' },
	{ "source-channel", required_argument, NULL, 's' },
	{ NULL, 0, NULL, 0 },
};

static const struct program mtatest_program = {
	.name = "mtatest",
	.kind = PROGRAM_TOOL,
	.about = "try rewrite rules, mapping tables and lists",
	.operands = "rewrite ADDRESS | mapping TABLE PROBE | expand ADDRESS | conf",
	.letters = "Aa:d:eF:f:g:jkl:m:r:s:u:z:",
	.longs = mtatest_longs,
	.help = "  -a, --as KIND            env-to, env-from, hdr-to or hdr-from (env-to)\n"
		"  -A, --directory-away     $V and $Z cannot be told for now\n"
		"  -d, --dest-channel NAME  where the mail goes, for $Q and $C\n"
		"  -e, --explain            show each rule or entry that was tried\n"
		"  -F, --flags LETTERS      input flags of a mapping\n"
		"  -f, --conf FILE          rules and channels (mta.cnf)\n"
		"  -g, --general FILE       general database (general)\n"
		"  -j, --json               one JSON object\n"
		"  -k, --keywords           conf: list the keywords of channels\n"
		"  -l, --local-domain NAME  a domain that the directory calls ours, for $V and $Z\n"
		"  -m, --mappings FILE      mapping tables (mappings)\n"
		"  -r, --from ADDRESS       expand: the envelope sender\n"
		"  -s, --source-channel NAME  the channel that rewrites, for $M and $N\n"
		"  -u, --auth ACCOUNT       expand: who has logged in\n"
		"  -z, --size OCTETS        expand: the size that is declared\n",
	.option = mtatest_option,
	.run = mtatest_run,
};

int
main(int argc, char **argv)
{
	return program_run(&mtatest_program, argc, argv);
}
