/* storectl backup: accounts as a stream, tiermail-backup(5).
 *
 * Reads the index and the files, without stored, and while everything is in use: an account is as it was
 * when its turn came, or newer.  Each content is in the stream once.  With -s DIRECTORY it writes down how
 * far it has seen each account, and the next time, by the change logs, only what has come, changed or gone
 * since.  That file is replaced when all of the stream is on disk and not before, so that what a run
 * that failed has not said will be said.  Partitions go into files of their own at the same time (-d), or
 * one behind the other into one stream. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "backup.h"
#include "base/clock.h"
#include "base/files.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "daemon/program.h"
#include "store/config.h"

/* ---- how far the last time --------------------------------------------------------------------------------- */

/* A line for each account: its id and modseq, and when it was made: another store counts its ids from the
 * beginning again.  The last line says that all are there. */
static void
before_read(struct backing *b, const char *path)
{
	FILE *in = fopen(path, "re");
	uint64_t id, modseq, made;
	bool whole = false;
	char line[64];

	while (in && fgets(line, sizeof(line), in))
		if (sscanf(line, "%" SCNx64 " %" SCNu64 " %" SCNu64, &id, &modseq, &made) == 3 &&
		    id)
			backup_seen(&b->before, id, modseq, made);
		else
			whole = strcmp(line, "end\n") == 0;
	if (in)
		fclose(in);
	if (!whole)
		idmap_fini(&b->before);
}

static int
after_write(struct backing *b, const char *path)
{
	char *new = mem_printf("%s.new", path);
	FILE *out = fopen(new, "we");
	int rc = 0;

	for (uint64_t k = 0; out && k < b->after.room; k++)
		if (b->after.slots[k].id)
			fprintf(out, "%" PRIx64 " %" PRIu64 " %" PRIu64 "\n", b->after.slots[k].id,
			    b->after.slots[k].at, b->after.slots[k].mailbox);
	if (!out || fputs("end\n", out) < 0 || fflush(out) != 0 || fsync(fileno(out)) < 0)
		rc = EX_IOERR;
	if (out && fclose(out) != 0)
		rc = EX_IOERR;
	if (rc == 0 && rename(new, path) < 0)
		rc = EX_IOERR;
	if (rc)
		fprintf(stderr, "storectl: %s: %s\n", path, strerror(errno));
	mem_free(&new);
	return rc;
}

/* ---- a partition -------------------------------------------------------------------------------------------- */

static void
backup_walk(struct backing *b)
{
	char name[STORE_ACCOUNT_MAX + 1] = "";
	bool more = true;

	while (more && !b->rc) {
		struct slice at = slice_str(name);
		struct store_account a;

		if (store_begin(b->view) < 0)
			exit(EX_OSERR);
		more = store_next_account(b->view, &at, &a);
		if (more)
			slice_cstr(at, name, sizeof(name));
		store_end(b->view);
		if (more)
			backup_account(b, name);
	}
}

static int
backup_partition(void *arg, const char *name, const char *path)
{
	struct backing *b = arg;
	struct store_reader *reader;
	char *state = *b->run->state ? mem_printf("%s/%s", b->run->state, name) : NULL;
	char *why = NULL;

	if (*b->run->partition && strcmp(b->run->partition, name) != 0)
		return 0;
	if (store_reader_open(path, &reader, &why) < 0) {
		fprintf(stderr, "storectl: partition %s: %s\n", name, why);
		b->rc = EX_NOINPUT;
		return b->rc;
	}
	b->partitions++;
	b->view = store_view_new(reader);
	if (state)
		before_read(b, state);
	if (*b->run->account)
		backup_account(b, b->run->account);
	else
		backup_walk(b);
	backup_flush(b);
	if (!b->rc && b->fd != STDOUT_FILENO && fsync(b->fd) < 0)
		b->rc = EX_IOERR;
	if (!b->rc && state)
		b->rc = after_write(b, state);
	idmap_fini(&b->before);
	idmap_fini(&b->after);
	idmap_fini(&b->seen); /* a file has names in one partition alone */
	store_view_free(&b->view);
	store_reader_close(&reader);
	mem_free(&state);
	return b->rc;
}

const char *const backup_logins[STORE_LOGINS] = { "imap", "pop3", "web" };

void
backup_begin(struct backing *b)
{
	buf_lit(&b->line, "tiermail-backup");
	kv_put_u64(&b->line, "version", BACKUP_VERSION);
	kv_put(&b->line, "host", slice_str(shared.hostname));
	kv_put_i64(&b->line, "at", clock_now());
	backup_frame(b, BACKUP_BEGIN);
}

void
backup_end(struct backing *b)
{
	buf_lit(&b->line, "end");
	kv_put_u64(&b->line, "accounts", b->accounts);
	kv_put_u64(&b->line, "messages", b->messages);
	backup_frame(b, BACKUP_END);
	backup_flush(b);
}

void
backup_fini(struct backing *b)
{
	for (size_t k = 0; k < STORE_KEYWORDS; k++)
		mem_free(&b->keywords[k]);
	buf_fini(&b->out);
	buf_fini(&b->line);
	buf_fini(&b->changes);
	buf_fini(&b->records);
}

static void
backup_summary(struct backing *b)
{
	struct buf text = { 0 };

	if (b->run->json) {
		buf_char(&text, '{');
		json_put_cstr(&text, "to", b->to);
		json_put_i64(&text, "accounts", (int64_t)b->accounts);
		json_put_i64(&text, "messages", (int64_t)b->messages);
		json_put_i64(&text, "octets", (int64_t)b->octets);
		json_put_i64(&text, "states", (int64_t)b->states);
		json_put_i64(&text, "written", (int64_t)b->written);
		json_put_i64(&text, "failed", (int64_t)b->failed);
		buf_lit(&text, "}\n");
	} else if (!b->run->quiet)
		buf_printf(&text,
		    "%s: %llu accounts, %llu messages, %llu bytes of them, %llu changed; %llu "
		    "bytes "
		    "written; %llu mistakes\n",
		    b->to, (unsigned long long)b->accounts, (unsigned long long)b->messages,
		    (unsigned long long)b->octets, (unsigned long long)b->states,
		    (unsigned long long)b->written, (unsigned long long)b->failed);
	/* The stream may be what standard output has. */
	if (text.n)
		(void)!files_write(b->fd == STDOUT_FILENO ? STDERR_FILENO : STDOUT_FILENO, text.p,
		    text.n);
	buf_fini(&text);
	log_event(LOG_INFO, "backup",
	    "to=%s accounts=%llu count=%llu bytes=%llu states=%llu written=%llu failed=%llu",
	    log_str(b->to), (unsigned long long)b->accounts, (unsigned long long)b->messages,
	    (unsigned long long)b->octets, (unsigned long long)b->states,
	    (unsigned long long)b->written, (unsigned long long)b->failed);
}

/* One stream; `partition` alone, or all ("" ). */
static int
backup_stream(struct backup_run *run, const char *partition, const char *to)
{
	struct backing b = { .run = run, .to = to, .fd = STDOUT_FILENO };
	const char *wanted = run->partition;

	if (strcmp(to, "-") != 0)
		b.fd = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (b.fd < 0) {
		fprintf(stderr, "storectl: %s: %s\n", to, strerror(errno));
		return EX_CANTCREAT;
	}
	run->partition = *partition ? partition : wanted;
	backup_begin(&b);
	(void)store_conf_partitions(backup_partition, &b);
	run->partition = wanted;
	if (!b.rc && !b.partitions) {
		fprintf(stderr, "storectl: %s: no such partition\n", wanted);
		b.rc = EX_USAGE;
	} else if (!b.rc && *run->account && !b.accounts && !*run->state && !*partition) {
		fprintf(stderr, "storectl: %s: no such account\n", run->account);
		b.rc = EX_NOUSER;
	}
	if (!b.rc)
		backup_end(&b);
	if (b.fd != STDOUT_FILENO && ((!b.rc && fsync(b.fd) < 0) || close(b.fd) < 0) && !b.rc) {
		fprintf(stderr, "storectl: %s: %s\n", to, strerror(errno));
		b.rc = EX_IOERR;
	}
	backup_summary(&b);
	backup_fini(&b);
	return b.rc ? b.rc : b.failed ? 1 : 0;
}

/* ---- all at a time ------------------------------------------------------------------------------------------- */

struct backup_fork {
	struct backup_run *run;
	const char *dir;
	struct buf pids; /* pid_t */
};

static int
backup_fork(void *arg, const char *name, const char *path)
{
	struct backup_fork *f = arg;
	pid_t pid;

	(void)path;
	if (*f->run->partition && strcmp(f->run->partition, name) != 0)
		return 0;
	fflush(NULL);
	pid = fork();
	if (pid < 0) {
		fprintf(stderr, "storectl: %s\n", strerror(errno));
		exit(EX_OSERR);
	}
	if (pid == 0) {
		char *to = mem_printf("%s/%s.tmb", f->dir, name);

		exit(backup_stream(f->run, name, to));
	}
	buf_add(&f->pids, &pid, sizeof(pid));
	return 0;
}

static int
backup_all(struct backup_run *run, const char *dir)
{
	struct backup_fork f = { .run = run, .dir = dir };
	int rc = 0;

	if (mkdir(dir, 0700) < 0 && errno != EEXIST) {
		fprintf(stderr, "storectl: %s: %s\n", dir, strerror(errno));
		return EX_CANTCREAT;
	}
	(void)store_conf_partitions(backup_fork, &f);
	for (size_t i = 0; i < f.pids.n / sizeof(pid_t); i++) {
		int status = 0;

		while (waitpid(((const pid_t *)(const void *)f.pids.p)[i], &status, 0) < 0 &&
		    errno == EINTR)
			;
		if (rc == 0)
			rc = WIFEXITED(status) ? WEXITSTATUS(status) : EX_SOFTWARE;
	}
	buf_fini(&f.pids);
	return rc;
}

int
storectl_backup(int argc, char **argv, bool quiet)
{
	static const struct option longs[] = { { "account", required_argument, NULL, 'a' },
		{ "directory", no_argument, NULL, 'd' }, { "json", no_argument, NULL, 'j' },
		{ "partition", required_argument, NULL, 'p' },
		{ "since", required_argument, NULL, 's' }, { 0 } };
	struct backup_run run = { .quiet = quiet, .partition = "", .account = "", .state = "" };
	bool directory = false;

	optind = 0;
	for (int c; (c = getopt_long(argc, argv, "a:djp:s:", longs, NULL)) >= 0;)
		if (c == 'a')
			run.account = optarg;
		else if (c == 'd')
			directory = true;
		else if (c == 'j')
			run.json = true;
		else if (c == 'p')
			run.partition = optarg;
		else if (c == 's')
			run.state = optarg;
		else
			return program_usage();
	if (argc - optind != 1 || (*run.account && *run.state))
		return program_usage();
	log_level(LOG_INFO);
	return directory ? backup_all(&run, argv[optind]) : backup_stream(&run, "", argv[optind]);
}
