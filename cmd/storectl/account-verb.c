/* storectl account: whose mail is here, and what becomes of an account as a whole.
 *
 * Reads the partitions, which know all accounts; what deletes or renames is a request to stored, which judges by
 * name and id, so that an account that has changed hands meanwhile is left alone.  Sessions of whom it was end
 * afterwards, as far as the daemons of this host tell.  account-rename.c has the other name, account-orphans.c
 * those whose entry is gone. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <time.h>

#include "account.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "daemon/ask.h"
#include "daemon/program.h"
#include "store/config.h"

static const char *const login_names[STORE_LOGINS] = { "imap", "pop3", "web" };

/* ---- sessions ---------------------------------------------------------------------------------- */

void
account_forget(const char *account)
{
	static const char *const daemons[] = { "imapd", "pop3d", "jmapd", "lmtpd", "mmpd",
		"sieved" };
	char *line = mem_printf("forget %s", account), *why = NULL;
	struct buf answer = { 0 };

	for (size_t i = 0; i < NELEM(daemons); i++) {
		int rc =
		    daemon_ask(NULL, daemons[i], slice_str(line), DAEMON_ASK_MS, &answer, &why);

		if (rc < 0 && rc != -ENOENT &&
		    rc != -ECONNREFUSED) /* who does not run knows nothing */
			fprintf(stderr, "storectl: %s: %s may still know it as it was: %s\n",
			    account, daemons[i], strerror(-rc));
		mem_free(&why);
	}
	buf_fini(&answer);
	mem_free(&line);
}

/* ---- showing ----------------------------------------------------------------------------------- */

static void
account_time(struct buf *b, int64_t at)
{
	time_t t = (time_t)at;
	char text[32];
	struct tm tm;

	if (at && gmtime_r(&t, &tm) && strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm))
		buf_str(b, text);
	else
		buf_char(b, '-');
}

static uint32_t
account_last_login(const struct store_account *a)
{
	uint32_t last = 0;

	for (size_t i = 0; i < STORE_LOGINS; i++)
		if (a->logins[i] > last)
			last = a->logins[i];
	return last;
}

static void
account_json_time(struct buf *b, const char *key, int64_t at)
{
	struct buf text = { 0 };

	account_time(&text, at);
	if (at)
		json_put_str(b, key, buf_get(&text));
	else {
		json_key(b, key);
		buf_lit(b, "null");
	}
	buf_fini(&text);
}

static void
account_json(struct buf *b, const char *partition, struct slice name, const struct store_account *a)
{
	json_put_str(b, "account", name);
	json_put_cstr(b, "partition", partition);
	json_put_i64(b, "folders", a->mailboxes);
	json_put_i64(b, "messages", (int64_t)a->messages);
	json_put_i64(b, "bytes", (int64_t)a->bytes);
	account_json_time(b, "created", a->created_at);
	for (size_t i = 0; i < STORE_LOGINS; i++) {
		char *key = mem_printf("login_%s", login_names[i]);

		account_json_time(b, key, a->logins[i]);
		mem_free(&key);
	}
	account_json_time(b, "orphan_since", a->orphan_since);
	account_json_time(b, "moved_at", a->moved_at);
	account_json_time(b, "coming_at", a->coming_at);
}

static void
account_line(struct buf *b, const char *partition, struct slice name, const struct store_account *a)
{
	buf_printf(b, "%-32.*s %-12s %8u %10llu %14llu  ", SARG(name), partition, a->mailboxes,
	    (unsigned long long)a->messages, (unsigned long long)a->bytes);
	account_time(b, account_last_login(a));
	if (a->orphan_since)
		buf_lit(b, " orphan");
	if (a->moved_at)
		buf_lit(b, " moved");
	if (a->coming_at)
		buf_lit(b, " coming");
}

void
account_say(bool json, const char *partition, struct slice name, const struct store_account *a)
{
	struct buf b = { 0 };

	if (json) {
		buf_char(&b, '{');
		account_json(&b, partition, name, a);
		buf_char(&b, '}');
	} else
		account_line(&b, partition, name, a);
	buf_char(&b, '\n');
	storectl_say(&b);
	buf_fini(&b);
}

/* ---- walking ----------------------------------------------------------------------------------- */

struct account_walk {
	account_each *each;
	void *arg;
};

/* A batch of names for each snapshot: who is told may take its time. */
static int
account_walk_partition(void *arg, const char *partition, const char *path)
{
	const struct account_walk *walk = arg;
	char name[STORE_ACCOUNT_MAX + 1] = "", *why = NULL;
	struct store_account a;
	struct store_reader *r;
	struct store_view *v;
	bool more = true;
	int rc = 0;

	if (store_reader_open(path, &r, &why) < 0) {
		fprintf(stderr, "storectl: partition %s: %s\n", partition, why);
		exit(EX_NOINPUT);
	}
	v = store_view_new(r);
	while (rc == 0 && more) {
		struct slice at = slice_str(name);

		if (store_begin(v) < 0)
			exit(EX_OSERR);
		more = store_next_account(v, &at, &a);
		if (more)
			slice_cstr(at, name, sizeof(name));
		store_end(v);
		if (more)
			rc = walk->each(walk->arg, partition, slice_str(name), &a);
	}
	store_view_free(&v);
	store_reader_close(&r);
	return rc;
}

int
account_walk(account_each *each, void *arg)
{
	struct account_walk walk = { each, arg };

	return store_conf_partitions(account_walk_partition, &walk);
}

/* ---- list, show -------------------------------------------------------------------------------- */

static int
account_list_one(void *arg, const char *partition, struct slice name, const struct store_account *a)
{
	const struct account_run *run = arg;

	account_say(run->json, partition, name, a);
	return 0;
}

static int
account_list(struct account_run *run)
{
	if (!run->json && !run->quiet)
		printf("%-32s %-12s %8s %10s %14s  %s\n", "ACCOUNT", "PARTITION", "FOLDERS",
		    "MESSAGES", "BYTES", "LAST LOGIN");
	fflush(stdout);
	return account_walk(account_list_one, run) < 0 ? EX_SOFTWARE : 0;
}

static void
account_show_folders(struct store_view *v, uint64_t id, bool json, struct buf *b)
{
	struct store_folder f = { .account = id };
	const char *comma = "";

	while (store_next_folder(v, &f)) {
		struct store_mailbox m;

		if (store_get_mailbox(v, f.mailbox, &m) < 0)
			continue;
		if (json) {
			buf_printf(b, "%s{", comma);
			comma = ",";
			json_put_str(b, "name", f.name);
			json_put_i64(b, "uidvalidity", m.uidvalidity);
			json_put_i64(b, "messages", m.exists);
			json_put_i64(b, "unseen", m.unseen);
			json_put_i64(b, "bytes", (int64_t)m.bytes);
			buf_char(b, '}');
		} else
			buf_printf(b, "folder " SFMT ": %u messages, %u unseen, %llu bytes\n",
			    SARG(f.name), m.exists, m.unseen, (unsigned long long)m.bytes);
	}
}

static int
account_show(struct account_run *run)
{
	char partition[PARTITION_ROOM];
	struct store_reader *r;
	struct store_account a;
	struct store_view *v;
	struct buf b = { 0 };
	uint64_t id;
	int rc = storectl_account_find(run->account, &r, &v, &id, partition);

	if (rc)
		return rc;
	if (store_begin(v) < 0 || store_find_account(v, slice_str(run->account), &a) < 0)
		exit(EX_OSERR);
	if (run->json) {
		buf_char(&b, '{');
		account_json(&b, partition, slice_str(run->account), &a);
		buf_lit(&b, ",\"list\":[");
		account_show_folders(v, id, true, &b);
		buf_lit(&b, "]}\n");
	} else {
		buf_printf(&b,
		    "account %s\npartition %s\nfolders %u\nmessages %llu\nbytes %llu\ncreated ",
		    run->account, partition, a.mailboxes, (unsigned long long)a.messages,
		    (unsigned long long)a.bytes);
		account_time(&b, a.created_at);
		for (size_t i = 0; i < STORE_LOGINS; i++) {
			buf_printf(&b, "\nlogin %s ", login_names[i]);
			account_time(&b, a.logins[i]);
		}
		buf_printf(&b, "\nquota %s\norphan since ",
		    a.refused    ? "refused" :
			a.warned ? "warned" :
				   "ok");
		account_time(&b, a.orphan_since);
		buf_lit(&b, "\nmoved ");
		account_time(&b, a.moved_at);
		buf_lit(&b, "\ncoming ");
		account_time(&b, a.coming_at);
		buf_char(&b, '\n');
		account_show_folders(v, id, false, &b);
	}
	store_end(v);
	store_view_free(&v);
	store_reader_close(&r);
	storectl_say(&b);
	buf_fini(&b);
	return 0;
}

/* ---- delete ------------------------------------------------------------------------------------ */

void
account_done(const struct account_run *run, const char *what, const char *account, const char *to,
    const struct store_reply *r)
{
	struct buf b = { 0 };

	if (run->json) {
		buf_char(&b, '{');
		json_put_cstr(&b, "account", account);
		json_put_cstr(&b, "done", what);
		if (to)
			json_put_cstr(&b, "to", to);
		json_put_i64(&b, "messages", (int64_t)r->messages);
		json_put_i64(&b, "bytes", (int64_t)r->bytes);
		buf_lit(&b, "}\n");
	} else if (!run->quiet)
		buf_printf(&b, "%s: %s%s%s, %llu messages, %llu bytes\n", account, what,
		    to ? " to " : "", to ? to : "", (unsigned long long)r->messages,
		    (unsigned long long)r->bytes);
	storectl_say(&b);
	buf_fini(&b);
}

int
account_erase(const struct account_run *run, struct asking *ask, const char *account, uint64_t id)
{
	store_erase_start(ask->client, id, slice_str(account), false, &ask->op, asking_done, ask);
	if (!asking_try(ask)) {
		fprintf(stderr, "storectl: %s: %s\n", account, ask->reply.verdict.text);
		return asking_code(ask);
	}
	account_forget(account);
	account_done(run, "deleted", account, NULL, &ask->reply);
	return 0;
}

uint64_t
account_id(const char *account, bool say, int *rc)
{
	char partition[PARTITION_ROOM];
	struct store_reader *r;
	struct store_view *v;
	uint64_t id = 0;

	*rc = 0;
	if (!say && !storectl_account_is(account))
		return 0;
	*rc = storectl_account_find(account, &r, &v, &id, partition);
	if (*rc)
		return 0;
	store_view_free(&v);
	store_reader_close(&r);
	return id;
}

static int
account_delete(struct account_run *run)
{
	struct asking ask;
	uint64_t id;
	int rc, left;

	id = account_id(run->account, true, &rc);
	if (!id && rc != EX_NOUSER)
		return rc;
	asking_open(&ask);
	if (id)
		rc = account_erase(run, &ask, run->account, id);
	if (rc == 0 || !id) /* none: it has been, and something may be left */
		rc = (left = account_leave(&ask, &run->account, 1, "")) ? left : rc;
	asking_close(&ask);
	return rc;
}

/* ---- the command line -------------------------------------------------------------------------- */

static const struct {
	const char *name;
	int operands;
	int (*run)(struct account_run *run);
} verbs[] = {
	{ "list", 0, account_list },
	{ "show", 1, account_show },
	{ "delete", 1, account_delete },
	{ "rename", 2, account_rename },
	{ "orphans", 0, account_orphans },
};

int
storectl_account_verb(int argc, char **argv, bool quiet)
{
	static const struct option longs[] = { { "json", no_argument, NULL, 'j' },
		{ "purge-after", required_argument, NULL, 'p' },
		{ "dry-run", no_argument, NULL, 'n' }, { 0 } };
	struct account_run run = { .quiet = quiet, .purge_days = -1 };
	uint64_t days;
	size_t i = 0;

	while (argc > 1 && i < NELEM(verbs) && strcmp(argv[1], verbs[i].name) != 0)
		i++;
	if (argc < 2 || i == NELEM(verbs))
		return program_usage();
	optind = 0;
	argc--;
	argv++;
	for (int c; (c = getopt_long(argc, argv, "jn", longs, NULL)) >= 0;)
		if (c == 'j')
			run.json = true;
		else if (c == 'n' && verbs[i].run == account_orphans)
			run.dry = true;
		else if (c == 'p' && verbs[i].run == account_orphans &&
		    slice_u64(slice_str(optarg), 36500, &days) == 0)
			run.purge_days = (int)days;
		else
			return program_usage();
	if (argc - optind != verbs[i].operands)
		return program_usage();
	log_level(LOG_INFO);
	run.account = verbs[i].operands > 0 ? argv[optind] : "";
	run.to = verbs[i].operands > 1 ? argv[optind + 1] : "";
	return verbs[i].run(&run);
}
