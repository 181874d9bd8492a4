/* storectl expire: old mail goes by the site's rules: tiermail-expire(5).
 *
 * Reads all rules, then has one process for each partition, each with a connection to stored and a view of
 * its own, which goes through the accounts in the order of their names.  No snapshot is kept while stored
 * is asked.  The first process only waits, and adds up what the others have done.  What fails: a mistake in
 * the rules, before anything has happened; stored, which ends the process of that partition with what it
 * has done told and logged. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/files.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "daemon/program.h"
#include "expire.h"
#include "store/config.h"

/* ---- an account -------------------------------------------------------------------------------- */

/* The folders that there are, and how far they reach: in one snapshot. */
static int
expire_folders(struct expire_work *w, struct slice name, struct buf *folders)
{
	struct store_account a;
	struct store_folder f;
	int rc = store_find_account(w->view, name, &a);

	if (rc < 0)
		return rc;
	w->account = a.id;
	f = (struct store_folder){ .account = a.id };
	while (store_next_folder(w->view, &f)) {
		struct expire_folder e = { .mailbox = f.mailbox };
		struct store_mailbox m;

		if (f.attrs & STORE_NOSELECT || store_get_mailbox(w->view, f.mailbox, &m) < 0)
			continue;
		e.uidnext = m.uidnext;
		e.uidvalidity = m.uidvalidity;
		slice_cstr(f.name, e.name, sizeof(e.name));
		buf_add(folders, &e, sizeof(e));
	}
	return 0;
}

static void
expire_set(struct expire_work *w, const struct aging_rules *r)
{
	if (r && r->n)
		buf_add(&w->sets, &r, sizeof(r));
}

/* False: the run is over. */
static bool
expire_account(struct expire_work *w, const char *name)
{
	const struct expire_rules *rules = &w->run->rules;
	struct expire_file *part = map_get(&rules->partitions, slice_str(w->partition));
	struct expire_file *user = map_get(&rules->users, slice_str(name));
	struct aging_rules own = { 0 };
	struct buf folders = { 0 };
	bool good = true;

	buf_clear(&w->sets);
	w->account_name = name;
	if (!expire_rules_own(name, &own)) {
		w->totals.wrong++;
		goto out;
	}
	expire_set(w, &rules->global);
	expire_set(w, part ? &part->rules : NULL);
	expire_set(w, user ? &user->rules : NULL);
	expire_set(w, &own);
	if (w->sets.n == 0)
		goto out;
	if (store_begin(w->view) < 0)
		exit(EX_OSERR);
	good = expire_folders(w, slice_str(name), &folders) == 0;
	store_end(w->view);
	if (!good) { /* its record is damaged, or it has just gone */
		fprintf(stderr, "storectl: %s: cannot be read\n", name);
		w->totals.unread++;
		good = true;
	}
	w->totals.accounts++;
	for (size_t i = 0; i < folders.n / sizeof(struct expire_folder) && good; i++)
		good = expire_folder(w, (const struct expire_folder *)(const void *)folders.p + i);
out:
	aging_rules_fini(&own);
	buf_fini(&folders);
	return good;
}

/* ---- a partition ----------------------------------------------------------------------------------- */

/* The next account behind *name.  What it is called is kept, the snapshot is not. */
static bool
expire_next(struct expire_work *w, char *name, size_t room)
{
	struct slice at = slice_str(name);
	struct store_account a;
	bool more;

	if (store_begin(w->view) < 0)
		exit(EX_OSERR);
	more = store_next_account(w->view, &at, &a);
	if (more)
		slice_cstr(at, name, room);
	store_end(w->view);
	return more;
}

static bool
expire_has(struct expire_work *w, struct slice name)
{
	struct store_account a;
	int rc;

	if (store_begin(w->view) < 0)
		exit(EX_OSERR);
	rc = store_find_account(w->view, name, &a);
	store_end(w->view);
	return rc != -ENOENT;
}

/* Writes what it has done to `to`, and ends. */
static NORETURN void
expire_partition(const struct expire *run, const char *partition, const char *path, int to)
{
	struct expire_work w = { .run = run, .partition = partition };
	char name[STORE_ACCOUNT_MAX + 1] = "";
	struct store_reader *reader;
	uint64_t began = clock_mono_ms();
	bool good = true;
	char *why = NULL;

	if (store_reader_open(path, &reader, &why) < 0) {
		fprintf(stderr, "storectl: partition %s: %s\n", partition, why);
		exit(EX_NOINPUT);
	}
	w.view = store_view_new(reader);
	if (!run->dry)
		asking_open(&w.ask);
	if (*run->account && expire_has(&w, slice_str(run->account)))
		good = expire_account(&w, run->account);
	while (!*run->account && good && expire_next(&w, name, sizeof(name)))
		good = expire_account(&w, name);
	w.totals.failed = !good;
	if (!run->dry) {
		log_event(LOG_INFO, "expire_done",
		    "partition=%s accounts=%llu folders=%llu looked=%llu discarded=%llu "
		    "moved=%llu bytes=%llu unread=%llu wrong=%llu ms=%llu",
		    log_str(partition), (unsigned long long)w.totals.accounts,
		    (unsigned long long)w.totals.folders, (unsigned long long)w.totals.looked,
		    (unsigned long long)w.totals.discarded, (unsigned long long)w.totals.moved,
		    (unsigned long long)w.totals.bytes, (unsigned long long)w.totals.unread,
		    (unsigned long long)w.totals.wrong,
		    (unsigned long long)(clock_mono_ms() - began));
		asking_close(&w.ask);
	}
	buf_fini(&w.sets);
	store_view_free(&w.view);
	store_reader_close(&reader);
	if (files_write(to, &w.totals, sizeof(w.totals)) < 0)
		exit(EX_OSERR);
	exit(good ? 0 : EX_UNAVAILABLE);
}

/* ---- all of them ----------------------------------------------------------------------------------- */

struct expire_child {
	pid_t pid;
	int from;
};
struct expire_start {
	struct expire *run;
	struct buf children; /* struct expire_child */
};

static int
expire_fork(void *arg, const char *name, const char *path)
{
	struct expire_start *s = arg;
	struct expire_child c;
	int fds[2];

	if (*s->run->partition && strcmp(s->run->partition, name) != 0)
		return 0;
	fflush(NULL);
	if (pipe(fds) < 0 || (c.pid = fork()) < 0) {
		fprintf(stderr, "storectl: %s\n", strerror(errno));
		exit(EX_OSERR);
	}
	if (c.pid == 0) {
		close(fds[0]);
		expire_partition(s->run, name, path, fds[1]);
	}
	close(fds[1]);
	c.from = fds[0];
	buf_add(&s->children, &c, sizeof(c));
	return 0;
}

/* Adds up what the processes say.  The first exit code that is not 0. */
static int
expire_gather(const struct buf *children, struct expire_totals *sum)
{
	const struct expire_child *c = (const void *)children->p;
	int rc = 0;

	for (size_t i = 0; i < children->n / sizeof(*c); i++) {
		struct expire_totals t = { 0 };
		uint64_t *to = (void *)sum;
		const uint64_t *one = (const void *)&t;
		int status = 0;

		if (read(c[i].from, &t, sizeof(t)) == (ssize_t)sizeof(t))
			for (size_t k = 0; k < sizeof(t) / sizeof(*to); k++)
				to[k] += one[k];
		else
			sum->failed++;
		close(c[i].from);
		while (waitpid(c[i].pid, &status, 0) < 0 && errno == EINTR)
			;
		if (rc == 0)
			rc = WIFEXITED(status) ? WEXITSTATUS(status) : EX_SOFTWARE;
	}
	return rc;
}

static void
expire_summary(const struct expire *run, const struct expire_totals *t)
{
	static const char *const names[] = { "accounts", "folders", "looked", "discarded", "moved",
		"reported", "bytes", "unread", "wrong", "failed" };
	const uint64_t *v = (const void *)t;
	struct buf b = { 0 };

	_Static_assert(sizeof(*t) == NELEM(names) * sizeof(uint64_t), "a name for each");
	if (run->json) {
		buf_str(&b, "{\"summary\":true");
		for (size_t i = 0; i < NELEM(names); i++)
			json_put_i64(&b, names[i], (int64_t)v[i]);
		buf_lit(&b, "}\n");
	} else if (!run->quiet)
		buf_printf(&b,
		    "%llu accounts, %llu folders, %llu messages: %s%llu discarded, %llu moved, "
		    "%llu bytes; %llu reported, %llu unreadable\n",
		    (unsigned long long)t->accounts, (unsigned long long)t->folders,
		    (unsigned long long)t->looked, run->dry ? "to be " : "",
		    (unsigned long long)t->discarded, (unsigned long long)t->moved,
		    (unsigned long long)t->bytes, (unsigned long long)t->reported,
		    (unsigned long long)t->unread);
	storectl_say(&b);
	buf_fini(&b);
}

static int
expire_run(struct expire *run)
{
	struct expire_start s = { .run = run };
	struct expire_totals sum = { 0 };
	int rc;

	if (!expire_rules_load(&run->rules)) {
		fprintf(stderr, "storectl: nothing is expired\n");
		expire_rules_fini(&run->rules);
		return EX_CONFIG;
	}
	log_level(LOG_INFO);
	store_conf_partitions(expire_fork, &s);
	if (s.children.n == 0) {
		fprintf(stderr, "storectl: %s: no such partition\n", run->partition);
		expire_rules_fini(&run->rules);
		return EX_USAGE;
	}
	rc = expire_gather(&s.children, &sum);
	expire_summary(run, &sum);
	buf_fini(&s.children);
	expire_rules_fini(&run->rules);
	return rc ? rc : sum.unread || sum.wrong ? 1 : 0;
}

int
storectl_expire(int argc, char **argv, bool quiet)
{
	static const struct option longs[] = { { "dry-run", no_argument, NULL, 'n' },
		{ "json", no_argument, NULL, 'j' }, { "partition", required_argument, NULL, 'p' },
		{ "rate", required_argument, NULL, 'r' }, { 0 } };
	struct expire run = { .partition = "",
		.account = "",
		.quiet = quiet,
		.rate = (uint64_t)stored_conf.expire_rate,
		.now = clock_now() };

	optind = 0;
	for (int c; (c = getopt_long(argc, argv, "njp:r:", longs, NULL)) >= 0;)
		if (c == 'n')
			run.dry = true;
		else if (c == 'j')
			run.json = true;
		else if (c == 'p')
			run.partition = optarg;
		else if (c != 'r' || slice_u64(slice_str(optarg), UINT32_MAX, &run.rate) < 0)
			return program_usage();
	if (argc - optind > 1)
		return program_usage();
	if (argc > optind)
		run.account = argv[optind];
	return expire_run(&run);
}
