/* storectl: check, list, quota, reconstruct, snapshot, recover. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "store/check.h"
#include "store/config.h"
#include "storectl.h"

static const char *conf_path = "/etc/tiermail/tiermail.conf";
static const char *only = "";   /* account or partition */
static bool brief;

static _Noreturn void
usage(void)
{
	fprintf(stderr, "usage: storectl [-q] [-c tiermail.conf] check [ACCOUNT]\n"
	    "       storectl [-c tiermail.conf] list [ACCOUNT]\n"
	    "       storectl [-c tiermail.conf] quota [-r] [ACCOUNT]\n"
	    "       storectl [-c tiermail.conf] reconstruct ACCOUNT\n"
	    "       storectl [-c tiermail.conf] snapshot [PARTITION]\n"
	    "       storectl [-c tiermail.conf] recover [-f | --force] [PARTITION]\n");
	exit(EX_USAGE);
}

/* ---- asking stored ------------------------------------------------------------------------------ */

void
asking_done(void *arg, const struct store_reply *r)
{
	struct asking *a = arg;

	a->reply = *r;
	if (r->path.n)
		slice_cstr(r->path, a->path, sizeof(a->path));
	a->answered = true;
	loop_stop(&a->loop);
}

void
asking_wait(struct asking *a, const char *what)
{
	while (!a->answered)
		loop_run(&a->loop);
	a->answered = false;
	if (a->reply.verdict.kind == OK)
		return;
	fprintf(stderr, "storectl: %s: %s\n", what, a->reply.verdict.text);
	exit(a->reply.code == STORE_AWAY ? EX_UNAVAILABLE : EX_SOFTWARE);
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
cmd_check(void)
{
	stored_conf_partitions(check_one, NULL);
	if (!brief)
		printf("%llu accounts, %llu mailboxes, %llu messages, %llu bytes, %llu files, "
		    "%llu waiting for the purge: %llu finding%s\n",
		    (unsigned long long)sums.accounts, (unsigned long long)sums.mailboxes,
		    (unsigned long long)sums.messages, (unsigned long long)sums.bytes,
		    (unsigned long long)sums.files, (unsigned long long)sums.waiting,
		    (unsigned long long)sums.findings, sums.findings == 1 ? "" : "s");
	return sums.findings ? 1 : 0;
}

/* ---- list and quota ---------------------------------------------------------------------------------- */

static unsigned shown;

static void
list_folders(struct store_view *v, uint64_t account)
{
	struct store_folder f = { .account = account };

	printf("%-16s %10s %8s %8s %8s %12s  %s\n", "MAILBOX", "VALIDITY", "UIDNEXT", "EXISTS", "UNSEEN",
	    "BYTES", "NAME");
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
cmd_list(bool folders)
{
	stored_conf_partitions(list_one, &folders);
	if (*only && !shown) {
		fprintf(stderr, "storectl: %s: no such account\n", only);
		return EX_NOUSER;
	}
	return 0;
}

static int
cmd_quota(bool recount)
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
	return cmd_list(false);
}

/* ---- start ------------------------------------------------------------------------------------------------ */

/* stored.conf stands beside tiermail.conf; a host without one has the defaults. */
static void
read_conf(void)
{
	const struct conf_schema *schemas[] = { &conf_shared_schema, &stored_conf_schema };
	const char *slash = strrchr(conf_path, '/');
	char *own = mem_printf("%.*sstored.conf", slash ? (int)(slash - conf_path + 1) : 0, conf_path);
	char *why = NULL;

	if (conf_read(schemas, NELEM(schemas), conf_path, access(own, R_OK) == 0 ? own : NULL, false,
	    &why) < 0) {
		fprintf(stderr, "storectl: %s", why ? why : conf_path);
		exit(EX_CONFIG);
	}
	mem_free(&why);
	mem_free(&own);
}

int
main(int argc, char **argv)
{
	const char *verb;
	bool recount = false, force = false;
	int opt;

	while ((opt = getopt(argc, argv, "+c:qV")) != -1)
		switch (opt) {
		case 'c': conf_path = optarg; break;
		case 'q': brief = true; break;
		case 'V': printf("storectl %s\n", TIERMAIL_VERSION); return 0;
		default: usage();
		}
	if (optind == argc)
		usage();
	verb = argv[optind++];
	if (strcmp(verb, "quota") == 0 && optind < argc && strcmp(argv[optind], "-r") == 0) {
		recount = true;
		optind++;
	}
	if (strcmp(verb, "recover") == 0 && optind < argc &&
	    (strcmp(argv[optind], "-f") == 0 || strcmp(argv[optind], "--force") == 0)) {
		force = true;
		optind++;
	}
	if (optind < argc)
		only = argv[optind++];
	if (optind < argc)
		usage();
	log_init("storectl", LOG_TO_STDERR, LOG_WARN);
	read_conf();
	if (strcmp(verb, "check") == 0)
		return cmd_check();
	if (strcmp(verb, "list") == 0)
		return cmd_list(true);
	if (strcmp(verb, "quota") == 0)
		return cmd_quota(recount);
	if (strcmp(verb, "reconstruct") == 0 && *only)
		return reconstruct(only);
	if (strcmp(verb, "snapshot") == 0)
		return take_snapshots(only);
	if (strcmp(verb, "recover") == 0)
		return recover(only, force);
	usage();
}
