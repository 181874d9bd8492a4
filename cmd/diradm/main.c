/* diradm: administers the directory; see diradm(8).
 *
 *	diradm [-jn] [-D WHO -y FILE] [-a WHO] [-i VERSION] [-w FILE] OBJECT VERB NAME ... [SETTING=VALUE ...]
 *
 * Reads the command line, runs one verb of lib/admin in a fiber on a loop of its own, and prints what it
 * tells.  Who asks is who binds: root on the directory's own host by ldapi:// (SASL EXTERNAL), or a person by
 * password; with -a an account that may do so acts for a person.  What is allowed is slapd's to say. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#include "admin/config.h"
#include "base/secret.h"
#include "base/log.h"
#include "base/mem.h"
#include "conf/shared.h"
#include "daemon/program.h"
#include "diradm.h"

#define WORDS_MAX  2000 /* names and settings of a command line */
#define SECRET_MAX 1024

struct diradm diradm;
static const char *bind_as, *bind_file, *act_for, *version, *secret_file;
static unsigned limit;

struct work {
	struct loop loop;
	struct dir *dir;
	struct dir_agent *agent;
	const struct admin_verb *verb;
	char **bulk; /* "import" or "export" and its words; NULL: one verb */
	struct slice names[WORDS_MAX];
	struct admin_setting settings[WORDS_MAX];
	struct admin_call call;
	struct secret password; /* of who binds */
	struct secret secret;   /* of whom is changed */
	struct admin_problem problem;
	char *dn, *as;
};

/* ---- passwords ------------------------------------------------------------------------------------------- */

/* The first line of a file, or of standard input ("-"); false after saying why. */
static bool
diradm_secret(const char *path, struct secret *s)
{
	char line[SECRET_MAX + 2];
	FILE *f = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
	bool good = f && fgets(line, sizeof(line), f);

	if (!f)
		fprintf(stderr, "diradm: %s: %s\n", path, strerror(errno));
	else if (!good || line[strcspn(line, "\n")] != '\n')
		good = good && strlen(line) <= SECRET_MAX; /* a file may end without a line's end */
	if (f && !good)
		fprintf(stderr, "diradm: %s: no password in its first line\n", path);
	if (good) {
		line[strcspn(line, "\r\n")] = '\0';
		secret_set(s, slice_str(line));
	}
	secret_clear(line, sizeof(line));
	if (f && f != stdin)
		fclose(f);
	return good;
}

int
diradm_read(const char *path, size_t most, char **text, size_t *n)
{
	FILE *f = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
	struct buf b = { 0 };
	char *room;
	int e = 0;

	if (!f)
		return -errno;
	buf_init(&b, most);
	while ((room = buf_reserve(&b, 65536))) {
		size_t got = fread(room, 1, 65536, f);

		b.n += got;
		if (got < 65536)
			break;
	}
	e = !room ? -EFBIG : ferror(f) ? -EIO : 0;
	if (f != stdin)
		fclose(f);
	*n = b.n;
	*text = buf_take(&b);
	return e;
}

/* ---- who asks ---------------------------------------------------------------------------------------------- */

/* A DN is one; an address is looked up, as the daemons' account or whoever binds. */
static char *
diradm_dn(struct work *w, const char *who, struct dir_agent *agent)
{
	if (strchr(who, '='))
		return mem_str(who);
	return admin_person(&w->loop, agent, slice_str(who), &w->problem);
}

static bool
diradm_binds(struct work *w)
{
	struct dir_agent *service;

	if (!bind_as) {
		w->agent = dir_agent_new(w->dir, NULL, NULL);
		return true;
	}
	service = dir_agent_new(w->dir, shared.ldap_bind_dn,
	    shared.ldap_bind ? NULL : shared.ldap_password);
	w->dn = diradm_dn(w, bind_as, service);
	dir_agent_free(&service);
	if (w->dn)
		w->agent = dir_agent_new(w->dir, w->dn, w->password.p ? w->password.p : "");
	return w->dn;
}

static bool
diradm_acts(struct work *w)
{
	char *dn;

	if (!act_for)
		return true;
	dn = diradm_dn(w, act_for, w->agent);
	if (!dn)
		return false;
	w->as = mem_printf("dn:%s", dn);
	w->call.as = w->as;
	mem_free(&dn);
	return true;
}

/* export OBJECT [NAME] [ldif] */
static bool
diradm_bulk_ldif(char **words)
{
	size_t n = 2;

	while (words[n])
		n++;
	return n > 2 && strcmp(words[n - 1], "ldif") == 0;
}

static const char *
diradm_bulk_name(char **words)
{
	return words[2] && (words[3] || !diradm_bulk_ldif(words)) ? words[2] : NULL;
}

static void
diradm_bulk(struct work *w)
{
	struct bulk_work work = { &w->loop, w->agent, &w->call, w->bulk[1] && w->bulk[2] };

	if (strcmp(w->bulk[0], "import") == 0)
		diradm_import(&work, w->bulk[1], &w->problem);
	else
		diradm_export(&work, w->bulk[1],
		    slice_str(diradm_bulk_name(w->bulk) ? diradm_bulk_name(w->bulk) : ""),
		    diradm_bulk_ldif(w->bulk), &w->problem);
}

static void
diradm_work(void *arg)
{
	struct work *w = arg;

	if (!diradm_binds(w) || !diradm_acts(w))
		;
	else if (w->bulk)
		diradm_bulk(w);
	else
		admin_run(&w->loop, w->agent, w->verb, &w->call, &w->problem);
	loop_stop(&w->loop);
}

/* ---- the command line ---------------------------------------------------------------------------------------- */

static const char *
diradm_who(void)
{
	static char name[64];

	snprintf(name, sizeof(name), "uid %d", (int)getuid());
	return act_for ? act_for : bind_as ? bind_as : name;
}

/* Names first, then settings; "--" is not needed, for a setting's name has no @. */
static bool
diradm_words(struct work *w, int argc, char **argv)
{
	size_t names = 0, settings = 0;

	for (int i = 0; i < argc; i++) {
		struct slice word = slice_str(argv[i]);

		if (names + settings == WORDS_MAX) {
			fprintf(stderr, "diradm: more than %d words\n", WORDS_MAX);
			return false;
		}
		if (names >= w->verb->min && w->verb->settings &&
		    admin_setting_parse(word, &w->settings[settings]))
			settings++;
		else if (settings == 0)
			w->names[names++] = word;
		else {
			fprintf(stderr, "diradm: %s: NAME=VALUE is expected\n", argv[i]);
			return false;
		}
	}
	w->call.names = w->names;
	w->call.nnames = names;
	w->call.settings = w->settings;
	w->call.nsettings = settings;
	return true;
}

static void
diradm_fini(struct work *w)
{
	dir_agent_free(&w->agent);
	admin_hosts_fini();
	dir_free(&w->dir);
	mem_free(&w->dn);
	mem_free(&w->as);
	secret_wipe(&w->password);
	secret_wipe(&w->secret);
	loop_fini(&w->loop);
}

static int
diradm_do(struct work *w)
{
	struct buf why = { 0 };
	int code;

	if (!dir_check(&why)) {
		fprintf(stderr, "diradm: " SFMT, SARG(buf_get(&why)));
		buf_fini(&why);
		return EX_CONFIG;
	}
	buf_fini(&why);
	loop_init(&w->loop);
	w->dir = dir_new_idle(&w->loop);
	fiber_start(&w->loop, diradm_work, w);
	loop_run(&w->loop);
	code = admin_status_exit(w->problem.status);
	if (code)
		fprintf(stderr, "diradm: %s\n", w->problem.text);
	diradm_fini(w);
	return fflush(stdout) != 0 && !code ? EX_IOERR : code;
}

static const struct admin_verb *
diradm_verb(int *argc, char ***argv)
{
	const struct admin_verb *v;

	if (*argc == 0)
		return NULL;
	v = admin_verb_find(slice_str((*argv)[0]), *argc > 1 ? slice_str((*argv)[1]) : S(""));
	if (v) {
		*argc -= *v->verb ? 2 : 1;
		*argv += *v->verb ? 2 : 1;
	}
	return v;
}

static int
diradm_help_settings(const char *object)
{
	struct buf b = { 0 };

	admin_settings_list(object, &b);
	if (!b.n)
		return program_usage();
	printf(SFMT "\n", SARG(buf_get(&b)));
	buf_fini(&b);
	return 0;
}

/* import FILE [update]; export user|group|org [NAME] [ldif] */
static bool
diradm_is_bulk(int argc, char **argv)
{
	if (argc < 2 || argc > 4)
		return false;
	if (strcmp(argv[0], "import") == 0)
		return argc == 2 || (argc == 3 && strcmp(argv[2], "update") == 0);
	if (argc == 4 && strcmp(argv[3], "ldif") != 0)
		return false;
	return strcmp(argv[0], "export") == 0 &&
	    (strcmp(argv[1], "org") == 0 ||
		(argc >= 3 && diradm_bulk_name(argv) &&
		    (strcmp(argv[1], "user") == 0 || strcmp(argv[1], "group") == 0)));
}

static int
diradm_run(int argc, char **argv)
{
	static struct work w;

	log_level(LOG_ERROR);
	if (argc == 2 && strcmp(argv[0], "settings") == 0)
		return diradm_help_settings(argv[1]);
	if (diradm_is_bulk(argc, argv))
		w.bulk = argv; /* which ends with a NULL */
	else if (!(w.verb = diradm_verb(&argc, &argv)) || !diradm_words(&w, argc, argv))
		return program_usage();
	if (bind_as && !bind_file)
		return program_usage();
	if ((bind_file && !diradm_secret(bind_file, &w.password)) ||
	    (secret_file && !diradm_secret(secret_file, &w.secret)))
		return EX_NOINPUT;
	diradm.lines = w.verb && strcmp(w.verb->verb, "list") == 0;
	w.call.secret = secret_get(&w.secret);
	w.call.dry_run = diradm.dry_run;
	w.call.version = version;
	w.call.limit = limit;
	w.call.who = diradm_who();
	w.call.from = "local";
	w.call.record = diradm_print;
	return diradm_do(&w);
}

static bool
diradm_option(int letter, const char *value)
{
	uint64_t n;

	switch (letter) {
	case 'j': diradm.json = true; break;
	case 'n': diradm.dry_run = true; break;
	case 'D': bind_as = value; break;
	case 'y': bind_file = value; break;
	case 'a': act_for = value; break;
	case 'i': version = value; break;
	case 'w': secret_file = value; break;
	case 'l':
		if (slice_u64(slice_str(value), 1000000, &n) < 0) {
			fprintf(stderr, "diradm: -l: a number is expected\n");
			return false;
		}
		limit = (unsigned)n;
		break;
	default: return false;
	}
	return true;
}

static const struct option longs[] = {
	{ "json", no_argument, NULL, 'j' },
	{ "dry-run", no_argument, NULL, 'n' },
	{ "bind", required_argument, NULL, 'D' },
	{ "bind-file", required_argument, NULL, 'y' },
	{ "as", required_argument, NULL, 'a' },
	{ "if-version", required_argument, NULL, 'i' },
	{ "password-file", required_argument, NULL, 'w' },
	{ "limit", required_argument, NULL, 'l' },
	{ 0 },
};

static const struct program diradm_program = {
	.name = "diradm",
	.kind = PROGRAM_TOOL,
	.about = "administers organisations, users and lists in the directory",
	.operands = "command [verb] [name ...] [SETTING=VALUE ...]",
	.file = "admind.conf",
	.schema = &admin_conf_schema,
	.listens = true, /* admind's, in the same file */
	.letters = "+jnD:y:a:i:w:l:",
	.longs = longs,
	.help =
	    "  -D, --bind=WHO            as this person, an address or a DN (root, by ldapi://)\n"
	    "  -y, --bind-file=FILE      whose first line is that person's password; - is standard "
	    "input\n"
	    "  -a, --as=WHO              act for this person\n"
	    "  -i, --if-version=VERSION  only if the entry still is of this version\n"
	    "  -j, --json                one JSON object a line\n"
	    "  -l, --limit=N             no more than N records of a list\n"
	    "  -n, --dry-run             say what would be changed\n"
	    "  -w, --password-file=FILE  whose first line is the password of the user; - is "
	    "standard input\n"
	    "commands:\n"
	    "  provider create|modify|delete NAME\n"
	    "  provider list\n"
	    "  org create DOMAIN [PROVIDER]\n"
	    "  org show|modify|suspend|hold|resume|delete|undelete|purge DOMAIN\n"
	    "  org readdress DOMAIN NEW\n"
	    "  org list [PROVIDER]\n"
	    "  user create|show|modify|suspend|hold|resume|delete|undelete|password|place|export "
	    "ADDRESS\n"
	    "  user list DOMAIN [WORD]\n"
	    "  user rename ADDRESS NAME\n"
	    "  user move ADDRESS DOMAIN\n"
	    "  user purge ADDRESS|DOMAIN\n"
	    "  group create|show|modify|delete ADDRESS\n"
	    "  group list DOMAIN [WORD]\n"
	    "  group rename ADDRESS NAME\n"
	    "  package create|modify|delete NAME\n"
	    "  package apply NAME [DOMAIN]\n"
	    "  package list\n"
	    "  role grant|revoke ROLE ADDRESS [DOMAIN|PROVIDER]\n"
	    "  role list [DOMAIN]\n"
	    "  factor show|create|recovery|reset ADDRESS\n"
	    "  factor confirm ADDRESS CODE\n"
	    "  app create|list ADDRESS\n"
	    "  app revoke ADDRESS [ID]\n"
	    "  job create OBJECT [VERB] NAME ...\n"
	    "  job list [DOMAIN]\n"
	    "  job show|pause|resume|cancel|run|delete ID\n"
	    "  job report ID [RESULT]\n"
	    "  host list\n"
	    "  queue list [HOST]\n"
	    "  queue top HOST [CHANNEL]\n"
	    "  queue messages HOST [FILTER ...]\n"
	    "  queue hold|release|retry|return|delete HOST FILTER ...\n"
	    "  delivery list DOMAIN WORD [SINCE]\n"
	    "  audit list [DOMAIN [WORD [BEFORE]]]\n"
	    "  check [DOMAIN]\n"
	    "  init\n"
	    "  import FILE [update]\n"
	    "  export user|group DOMAIN [ldif]\n"
	    "  export org [PROVIDER] [ldif]\n"
	    "  settings OBJECT\n"
	    "create and modify take SETTING=VALUE, SETTING+=VALUE and SETTING-=VALUE; an empty "
	    "VALUE removes\n"
	    "options:\n",
	.option = diradm_option,
	.run = diradm_run,
};

int
main(int argc, char **argv)
{
	return program_run(&diradm_program, argc, argv);
}
