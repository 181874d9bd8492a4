/* pabctl: people's address books, for operators; see pabctl(8).
 *
 *	pabctl [-j] [-f FORM] list|export|remove ADDRESS
 *	pabctl import ADDRESS FILE
 *
 * Reads the command line and goes: who is it -> the tree -> the verb (verbs.c), all on a loop of its own, as jmapd does
 * it: by the account of pab.dn in the person's name.  Fails with what the directory says; what was done until then
 * stays, and import can be said again. */
#include <stdio.h>
#include <sysexits.h>
#include "base/log.h"
#include "base/mem.h"
#include "conf/shared.h"
#include "daemon/program.h"
#include "pab/conf.h"
#include "pabctl.h"

struct pabctl pabctl;

static const struct pabctl_verb {
	const char *name;
	int operands;
	bool contents; /* of the tree */
	void (*run)(const struct pab_listed *);
} verbs[] = {
	{ "list", 1, true, pabctl_list },
	{ "export", 1, true, pabctl_export },
	{ "import", 2, true, pabctl_import },
	{ "remove", 1, false, pabctl_remove },
};

void
pabctl_end(int code, const char *why)
{
	if (code)
		fprintf(stderr, "pabctl: %s\n", why);
	pabctl.code = code;
	loop_stop(&pabctl.loop);
}

void
pabctl_refused(enum dir_result r, const char *why)
{
	char text[300];
	bool away = r == DIR_R_AWAY || r == DIR_R_UNKNOWN;

	(void)snprintf(text, sizeof(text), "the address books: %s", why);
	pabctl_end(away ? EX_TEMPFAIL : r == DIR_R_DENIED ? EX_NOPERM : EX_UNAVAILABLE, text);
}

static void
pabctl_listed(void *arg UNUSED, const struct pab_listed *l)
{
	if (l->result == DIR_R_OK)
		pabctl.verb->run(pab_listed_copy(l, &pabctl.arena));
	else
		pabctl_refused(l->result, l->why);
}

static void
pabctl_ask(void)
{
	pab_list_start(pabctl.pab, pabctl.person, S(""), pabctl.verb->contents, &pabctl.op,
	    pabctl_listed, NULL);
}

static void
pabctl_known(void *arg UNUSED, const struct dir_answer *a)
{
	if (a->v.kind == OK && a->user) {
		pabctl.person = arena_slice(&pabctl.arena, a->user->dn);
		pabctl_ask();
		return;
	}
	pabctl_end(a->v.kind == TEMP ? EX_TEMPFAIL : EX_NOUSER, a->v.text);
}

/* A DN is one: also of somebody whose entry is gone. */
static void
pabctl_begin(const char *who)
{
	if (strchr(who, '=')) {
		pabctl.person = slice_str(who);
		pabctl_ask();
	} else {
		dir_login_start(pabctl.dir, slice_str(who), &pabctl.op, pabctl_known, NULL);
	}
}

static int
pabctl_do(const char *who)
{
	struct buf why = { 0 };

	if (!dir_check(&why) || !pab_check(&why)) {
		fprintf(stderr, "pabctl: " SFMT, SARG(buf_get(&why)));
		buf_fini(&why);
		return EX_CONFIG;
	}
	buf_fini(&why);
	loop_init(&pabctl.loop);
	pabctl.dir = dir_new(&pabctl.loop);
	pabctl.pab = pab_new(&pabctl.loop, pabctl.dir);
	if (pabctl.pab) {
		pabctl_begin(who);
		loop_run(&pabctl.loop);
	} else {
		pabctl_end(EX_CONFIG, "pab.password is not set: there are no address books here");
	}
	pab_free(&pabctl.pab);
	dir_free(&pabctl.dir);
	loop_fini(&pabctl.loop);
	json_free(&pabctl.content);
	arena_reset(&pabctl.arena);
	return fflush(stdout) != 0 && !pabctl.code ? EX_IOERR : pabctl.code;
}

static int
pabctl_run(int argc, char **argv)
{
	log_level(LOG_ERROR);
	for (size_t i = 0; argc > 0 && i < NELEM(verbs); i++)
		if (strcmp(argv[0], verbs[i].name) == 0 && argc == 1 + verbs[i].operands) {
			pabctl.verb = &verbs[i];
			pabctl.file = argv[verbs[i].operands];
			return pabctl_do(argv[1]);
		}
	return program_usage();
}

static bool
pabctl_option(int letter, const char *value)
{
	static const char *const forms
	    [] = { [PABCTL_JSON] = "json", [PABCTL_VCARD] = "vcard", [PABCTL_VCARD_3] = "vcard3" };

	if (letter == 'j') {
		pabctl.json = true;
		return true;
	}
	for (size_t i = 0; i < NELEM(forms); i++)
		if (strcmp(value, forms[i]) == 0) {
			pabctl.form = (enum pabctl_form)i;
			return true;
		}
	fprintf(stderr, "pabctl: -f: json, vcard or vcard3\n");
	return false;
}

static const struct option longs[] = { { "json", no_argument, NULL, 'j' },
	{ "form", required_argument, NULL, 'f' }, { 0 } };
static const struct conf_key keys[] = { PAB_KEYS };
static const struct conf_schema schema = { .keys = keys, .nkeys = NELEM(keys) };

static const struct program pabctl_program = {
	.name = "pabctl",
	.kind = PROGRAM_TOOL,
	.about = "people's address books",
	.operands = "command ADDRESS [FILE]",
	.file = "pabctl.conf",
	.schema = &schema,
	.letters = "+jf:",
	.longs = longs,
	.help =
	    "  -f, --form=FORM           of an export: json, vcard (4), vcard3\n"
	    "  -j, --json                one JSON object a line\n"
	    "commands:\n"
	    "  list ADDRESS              who is in it\n"
	    "  export ADDRESS            all books and contacts, as JSON; or contacts as vCards\n"
	    "  import ADDRESS FILE       either, read; - is standard input\n"
	    "  remove ADDRESS            everything\n"
	    "an ADDRESS may be a DN\n"
	    "options:\n",
	.option = pabctl_option,
	.run = pabctl_run,
};

int
main(int argc, char **argv)
{
	return program_run(&pabctl_program, argc, argv);
}
