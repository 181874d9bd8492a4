/* storectl: the operator's tool for the message store, see storectl(8).
 *
 * Reads the command line and does what only looks; reconstruct.c, recover.c and upgrade.c do the
 * rest.  Changes are requests to stored; recover and upgrade alone work without it.  What can
 * fail is said in words, with an exit code of sysexits; a request that stored refuses ends the
 * run.  One loop for one request at a time is enough for a tool. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "daemon/program.h"
#include "store/check.h"
#include "store/config.h"
#include "account.h"
#include "move.h"
#include "serve.h"
#include "storectl.h"

static const char *only = ""; /* account or partition */
static bool brief;
static const char *host; /* -H */
static uint64_t port = MOVE_PORT;

static NORETURN void
usage(void)
{
	exit(program_usage());
}

/* ---- asking stored ------------------------------------------------------------------------------ */

void
asking_done(void *arg, const struct store_reply *r)
{
	struct asking *a = arg;

	a->reply = *r;
	a->nuids = a->nto = 0;
	for (size_t i = 0; i < r->nuids; i++)
		a->nuids += r->uids[i].last - r->uids[i].first + 1;
	for (size_t i = 0; i < r->nto; i++)
		a->nto += r->to[i].last - r->to[i].first + 1;
	slice_cstr(r->partition, a->partition, sizeof(a->partition));
	if (r->path.n)
		slice_cstr(r->path, a->path, sizeof(a->path));
	a->answered = true;
	loop_stop(&a->loop);
}

bool
asking_try(struct asking *a)
{
	while (!a->answered)
		loop_run(&a->loop);
	a->answered = false;
	return a->reply.verdict.kind == OK;
}

int
asking_code(const struct asking *a)
{
	return a->reply.code == STORE_AWAY || a->reply.code == STORE_UNSURE ? EX_UNAVAILABLE :
									      EX_SOFTWARE;
}

void
asking_wait(struct asking *a, const char *what)
{
	if (asking_try(a))
		return;
	fprintf(stderr, "storectl: %s: %s\n", what, a->reply.verdict.text);
	exit(asking_code(a));
}

void
asking_open(struct asking *a)
{
	char *socket = mem_printf("%s/stored.sock", shared.rundir);

	memset(a, 0, sizeof(*a));
	loop_init(&a->loop);
	a->client = store_client_new(&a->loop, socket, "storectl");
	mem_free(&socket);
}

void
asking_close(struct asking *a)
{
	store_client_free(&a->client, NULL, NULL);
	loop_fini(&a->loop);
}

/* ---- check ---------------------------------------------------------------------------------------- */

static void
on_finding(void *arg, const char *text)
{
	(void)arg;
	printf("%s\n", text);
}

static struct store_check sums = { .found = on_finding };

static int
check_one(void *arg, const char *name, const char *path)
{
	char *why = NULL;

	(void)arg;
	if (store_check_partition(path, slice_str(only), &sums, &why) < 0) {
		fprintf(stderr, "storectl: partition %s: %s\n", name, why ? why : "not readable");
		exit(EX_NOINPUT);
	}
	return 0;
}

static int
storectl_check(void)
{
	sums.rate = (uint64_t)stored_conf.check_rate;
	store_conf_partitions(check_one, NULL);
	if (!brief)
		printf("%llu accounts, %llu mailboxes, %llu messages, %llu bytes, %llu files, "
		       "%llu waiting for the purge: %llu finding%s\n",
		    (unsigned long long)sums.accounts, (unsigned long long)sums.mailboxes,
		    (unsigned long long)sums.messages, (unsigned long long)sums.bytes,
		    (unsigned long long)sums.files, (unsigned long long)sums.waiting,
		    (unsigned long long)sums.findings, sums.findings == 1 ? "" : "s");
	if (!brief && sums.bodies)
		printf("%llu files read, %llu messages without a checksum\n",
		    (unsigned long long)sums.read, (unsigned long long)sums.unknown);
	return sums.findings ? 1 : 0;
}

/* ---- list and quota ---------------------------------------------------------------------------------- */

static unsigned shown;

static void
list_folders(struct store_view *v, uint64_t account)
{
	struct store_folder f = { .account = account };

	printf("%-16s %10s %8s %8s %8s %12s  %s\n", "MAILBOX", "VALIDITY", "UIDNEXT", "EXISTS",
	    "UNSEEN", "BYTES", "NAME");
	while (store_next_folder(v, &f)) {
		struct store_mailbox m;

		if (store_get_mailbox(v, f.mailbox, &m) < 0)
			continue;
		printf("%016llx %10u %8u %8u %8u %12llu  " SFMT "%s%s%s\n",
		    (unsigned long long)f.mailbox, m.uidvalidity, m.uidnext, m.exists, m.unseen,
		    (unsigned long long)m.bytes, SARG(f.name), m.special ? " " : "",
		    m.special ? store_special_name(m.special) : "",
		    m.attrs & STORE_NOSELECT ? " \\Noselect" : "");
	}
}

static void
show_account(const char *partition, struct slice name, const struct store_account *a)
{
	if (shown++ == 0)
		printf("%-32s %-12s %8s %10s %14s\n", "ACCOUNT", "PARTITION", "FOLDERS", "MESSAGES",
		    "BYTES");
	printf("%-32.*s %-12s %8u %10llu %14llu\n", SARG(name), partition, a->mailboxes,
	    (unsigned long long)a->messages, (unsigned long long)a->bytes);
}

static int
list_one(void *arg, const char *name, const char *path)
{
	const bool *folders = arg;
	struct store_reader *r;
	struct store_view *v;
	struct store_account a;
	struct slice account = slice(NULL, 0);
	char *why = NULL;

	if (store_reader_open(path, &r, &why) < 0) {
		fprintf(stderr, "storectl: partition %s: %s\n", name, why);
		exit(EX_NOINPUT);
	}
	v = store_view_new(r);
	if (store_begin(v) < 0)
		exit(EX_OSERR);
	if (*only && store_find_account(v, slice_str(only), &a) == 0) {
		show_account(name, slice_str(only), &a);
		if (*folders)
			list_folders(v, a.id);
	}
	while (!*only && store_next_account(v, &account, &a))
		show_account(name, account, &a);
	store_view_free(&v);
	store_reader_close(&r);
	return 0;
}

static int
storectl_list(bool folders)
{
	store_conf_partitions(list_one, &folders);
	if (*only && !shown) {
		fprintf(stderr, "storectl: %s: no such account\n", only);
		return EX_NOUSER;
	}
	return 0;
}

static int
storectl_quota(bool recount)
{
	if (recount) {
		struct asking a;

		if (!*only)
			usage();
		asking_open(&a);
		store_account_start(a.client, slice_str(only), S(""), &a.op, asking_done, &a);
		asking_wait(&a, only);
		store_recount_start(a.client, a.reply.account, &a.op, asking_done, &a);
		asking_wait(&a, only);
		asking_close(&a);
	}
	return storectl_list(false);
}

/* ---- start ------------------------------------------------------------------------------------------------ */

static bool
storectl_option(int c, const char *value)
{
	brief |= c == 'q';
	if (c == 'H')
		host = value;
	if (c != 'P' || (slice_u64(slice_str(value), 65535, &port) == 0 && port))
		return true;
	fprintf(stderr, "storectl: %s: no port\n", value);
	return false;
}

/* "-r" or the like between a command and its account. */
static bool
storectl_flag(int *argc, char ***argv, const char *brief_word, const char *word)
{
	if (*argc == 0 || (strcmp((*argv)[0], brief_word) != 0 && strcmp((*argv)[0], word) != 0))
		return false;
	--*argc;
	++*argv;
	return true;
}

/* Commands with options of their own.  They get themselves as argv[0]. */
static const struct {
	const char *name;
	int (*run)(int argc, char **argv, bool quiet);
} commands[] = {
	{ "account", storectl_account_verb },
	{ "backup", storectl_backup },
	{ "expire", storectl_expire },
	{ "export", storectl_export },
	{ "import", storectl_import },
	{ "move", storectl_move },
	{ "readership", storectl_readership },
	{ "receive", storectl_receive },
	{ "restore", storectl_restore },
	{ "rethread", storectl_rethread },
	{ "stats", storectl_stats },
	{ "undelete", storectl_undelete },
};

static int
storectl_run(int argc, char **argv)
{
	bool recount = false, force = false;
	const char *verb;

	log_level(LOG_WARN);
	if (argc == 0)
		usage();
	if (host)
		return storectl_host(host, (int)port, brief, argc, argv);
	verb = argv[0];
	for (size_t i = 0; i < NELEM(commands); i++)
		if (strcmp(verb, commands[i].name) == 0)
			return commands[i].run(argc, argv, brief);
	argc--;
	argv++;
	if (strcmp(verb, "quota") == 0 && argc &&
	    (strcmp(argv[0], "report") == 0 || strcmp(argv[0], "recount") == 0 ||
		strcmp(argv[0], "warn") == 0 || strcmp(argv[0], "set") == 0 ||
		strcmp(argv[0], "reset") == 0))
		return storectl_quota_verb(argc, argv);
	if (strcmp(verb, "quota") == 0)
		recount = storectl_flag(&argc, &argv, "-r", "--recount");
	if (strcmp(verb, "check") == 0)
		sums.bodies = storectl_flag(&argc, &argv, "-b", "--bodies");
	if (strcmp(verb, "recover") == 0)
		force = storectl_flag(&argc, &argv, "-f", "--force");
	if (strcmp(verb, "acl") == 0 && (argc == 2 || argc == 4))
		return storectl_acl(argv[0], argv[1], argc == 4 ? argv[2] : NULL,
		    argc == 4 ? argv[3] : NULL);
	if (argc > 1)
		usage();
	if (argc == 1)
		only = argv[0];
	if (strcmp(verb, "check") == 0)
		return storectl_check();
	if (strcmp(verb, "list") == 0)
		return storectl_list(true);
	if (strcmp(verb, "quota") == 0)
		return storectl_quota(recount);
	if (strcmp(verb, "reconstruct") == 0 && *only)
		return reconstruct(only);
	if (strcmp(verb, "snapshot") == 0)
		return take_snapshots(only);
	if (strcmp(verb, "recover") == 0)
		return recover(only, force);
	if (strcmp(verb, "upgrade") == 0)
		return upgrade(only);
	usage();
}

/* stored.conf stands beside tiermail.conf; a host without one has the defaults. */
static const struct program storectl_program = {
	.name = "storectl",
	.kind = PROGRAM_TOOL,
	.about = "look after the message store",
	.operands = "[-q] [-H host [-P port]] command [argument]",
	.file = "stored.conf",
	.schema = &store_conf_schema,
	.letters = "+qH:P:",
	.help =
	    "  -H HOST         the store of that host, by TLS with tls.certificate\n"
	    "  -P PORT         of its storectl serve\n"
	    "  -q              no summary\n"
	    "commands:\n"
	    "  account list [-j | --json]\n"
	    "  account show|delete [-j | --json] ACCOUNT\n"
	    "  account rename [-j | --json] ACCOUNT TO\n"
	    "  account orphans [-n | --dry-run] [-j | --json] [--purge-after DAYS]\n"
	    "  acl ACCOUNT FOLDER [IDENTIFIER RIGHTS]\n"
	    "  backup [-j | --json] [-d | --directory] [-a ACCOUNT] [-p PARTITION] [-s DIRECTORY] "
	    "TO\n"
	    "  check [-b | --bodies] [ACCOUNT]\n"
	    "  expire [-n | --dry-run] [-j | --json] [-p PARTITION] [-r RATE] [ACCOUNT]\n"
	    "  export [-j | --json] --to maildir|mbox ACCOUNT DIRECTORY\n"
	    "  import [-n | --dry-run] [-j | --json] [-f FOLDER] --from maildir|maildir++|mbox\n"
	    "         ACCOUNT PATH\n"
	    "  list [ACCOUNT]\n"
	    "  move [-j | --json] [-A ADDRESS] [-P PORT] [-p PARTITION] -D DN -y FILE ACCOUNT "
	    "HOST\n"
	    "  move -b | --back [-A ADDRESS] [-P PORT] [-D DN -y FILE] ACCOUNT HOST\n"
	    "  quota [-r] [ACCOUNT]\n"
	    "  quota report|recount [-j | --json] [ACCOUNT]\n"
	    "  quota warn [-n | --dry-run] [-j | --json] [ACCOUNT]\n"
	    "  quota set [-b | --bytes SIZE] [-m | --messages NUMBER] ACCOUNT [FOLDER]\n"
	    "  quota reset ACCOUNT [FOLDER]\n"
	    "  reconstruct ACCOUNT\n"
	    "  snapshot [PARTITION]\n"
	    "  recover [-f | --force] [PARTITION]\n"
	    "  restore [-n | --dry-run] [-j | --json] [-a ACCOUNT [-t ACCOUNT]] FROM\n"
	    "  readership [-j | --json] [-d DAYS | --days DAYS] ACCOUNT [FOLDER]\n"
	    "  rethread [-n | --dry-run] [-j | --json] [ACCOUNT]\n"
	    "  stats [-C | --cache] [-j | --json] [PARTITION]\n"
	    "  undelete [-n | --dry-run] [-j | --json] [-a | --all] [-f FOLDER] [-t FOLDER]\n"
	    "           [-w TIME] ACCOUNT\n"
	    "  upgrade [PARTITION]\n"
	    "storectl serve is a daemon, see storectl-serve(8)\n"
	    "options:\n",
	.option = storectl_option,
	.run = storectl_run,
};

int
main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "serve") == 0)
		return program_run(&storectl_serve_program, argc - 1, argv + 1);
	return program_run(&storectl_program, argc, argv);
}
