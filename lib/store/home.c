/* store/home.c: open partitions, accounts in them, and the wait for stored.
 *
 * Owns the readers and views of a process.  Called by the daemons that let people read (imapd, pop3d), from
 * their loop, after the password.  Can fail: stored, which is asked for AWAY_MOST_MS, and a partition that
 * cannot be read, which is the store's trouble and never "no such user".  Must stay true: a try that is
 * cancelled leaves neither a timer nor a request behind.  Apart from read.c, which knows no loop. */
#include "store/home.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "conf/conf.h"
#include "conf/shared.h"
#include "daemon/daemon.h"
#include "daemon/sandbox.h"
#include "mail/outcome.h"
#include "store/read-impl.h"

/* For how long stored is asked again: as long as it takes to stop, to start, and to play back what its
 * index has not got yet; and less than what mmpd gives a store for its answer to a login (20 s), so that
 * what a person reads is our reason. */
#define AWAY_MOST_MS  10000
#define AWAY_MS       100 /* between two tries, and twice as long after each: ... */
#define AWAY_PAUSE_MS 400 /* thousands may wait, and each try is work */

/* A question to stored. */
struct home_try {
	struct store_homes *homes;
	struct timer pause;
	struct op inner, *outer; /* of the request; of who waits for us */
	store_home_done *done;
	void *arg;
	char *account, *partition;
	uint64_t began, pause_ms; /* by clock_mono_ms; to the next try */
};

/* ---- partitions -------------------------------------------------------------------------------- */

void
store_homes_init(struct store_homes *h, struct loop *l, struct store_client *c)
{
	*h = (struct store_homes){ .loop = l, .client = c, .patience_ms = AWAY_MOST_MS };
}

struct reach {
	char *first; /* the default partition */
	bool placed; /* the file gives it a path */
};

static void
reach_default(void *arg, const char *name UNUSED, const char *value)
{
	struct reach *r = arg;

	if (!*value)
		return;
	mem_free(&r->first);
	r->first = mem_str(value);
}

/* Those that were reached: names and directories. */
static struct reached {
	char *name, *dir;
} * reached;
static size_t nreached;

static void
reach_part(void *arg, const char *name, const char *path)
{
	struct reach *r = arg;
	char *dir = *path ? mem_str(path) : mem_printf("%s/partition/%s", shared.store, name);
	char *lock = mem_printf("%s/index/lock.mdb", dir);

	reached = mem_grow(reached, nreached + 1, sizeof(*reached));
	reached[nreached++] = (struct reached){ mem_str(name), mem_str(dir) };

	r->placed |= *path && strcmp(name, r->first) == 0;
	sandbox_read(dir);
	sandbox_change(lock);
	mem_free(&lock);
	mem_free(&dir);
}

/* Where partitions are stands in stored's file, whose keys are none of ours; default_partition is
 * in the store like any that the file does not give a path.  stored may be making its folders just
 * now: what it will make is reached before it is there. */
void
store_homes_reach(void)
{
	char *file = daemon_conf_path("stored.conf"),
	     *all = mem_printf("%s/partition", shared.store);
	struct reach r = { .first = mem_str("primary") };
	struct dirent *e;
	DIR *d;

	if (access(file, F_OK) == 0 &&
	    (conf_peek(file, "", "default_partition", reach_default, &r) < 0 ||
		conf_peek(file, "partition", "path", reach_part, &r) < 0))
		log_event(LOG_WARN, "sandbox", "path=%s error=%s", log_str(file),
		    log_str("partitions outside of the store stay closed"));
	d = opendir(all);
	while (d && (e = readdir(d)))
		if (e->d_name[0] != '.')
			reach_part(&r, e->d_name, "");
	if (d)
		(void)closedir(d);
	if (!r.placed)
		reach_part(&r, r.first, "");
	mem_free(&r.first);
	mem_free(&all);
	mem_free(&file);
}

void
store_homes_look(const struct store_homes *h)
{
	const struct store_home *home;
	size_t at = 0;

	while ((home = map_next(&h->parts, &at)))
		if (!store_reader_current(home->reader)) {
			log_event(LOG_ERROR, "store_replaced", "partition=%s", log_str(home->name));
			log_flush();
			_exit(EX_TEMPFAIL);
		}
}

static struct store_home *
home_open(struct store_homes *h, struct slice name, struct slice path)
{
	struct store_home *home = map_get(&h->parts, name);
	char *dir, *why = NULL;

	if (home)
		return home;
	home = mem_new(sizeof(*home));
	dir = mem_strn(path.p, path.n);
	if (store_reader_open(dir, &home->reader, &why) < 0) {
		log_event(LOG_ERROR, "store_open", "path=%s error=%s", log_str(dir), log_str(why));
		mem_free(&why);
		mem_free(&dir);
		mem_free(&home);
		return NULL;
	}
	mem_free(&dir);
	home->view = store_view_new(home->reader);
	home->name = mem_strn(name.p, name.n);
	map_put(&h->parts, slice_str(home->name), home);
	return home;
}

void
store_homes_open(struct store_homes *h)
{
	char *data;

	for (size_t i = 0; !h->opened && i < nreached; i++) {
		data = mem_printf("%s/index/data.mdb", reached[i].dir);
		if (access(data, F_OK) == 0)
			(void)home_open(h, slice_str(reached[i].name), slice_str(reached[i].dir));
		mem_free(&data);
	}
	h->opened = true;
}

/* ---- accounts ---------------------------------------------------------------------------------- */

static bool
home_knows(struct store_home *home, struct slice account, uint64_t *id)
{
	struct store_account a;
	int rc = store_begin(home->view);

	if (rc < 0)
		return false;
	rc = store_find_account(home->view, account, &a);
	store_end(home->view);
	*id = rc < 0 ? 0 : a.id;
	return rc == 0;
}

bool
store_homes_name_groups(const struct store_homes *h)
{
	struct store_home *home;
	bool names = false;
	size_t at = 0;

	while (!names && (home = map_next(&h->parts, &at))) {
		if (store_begin(home->view) < 0)
			continue;
		names = store_names_groups(home->view);
		store_end(home->view);
	}
	return names;
}

struct store_home *
store_home_find(struct store_homes *h, struct slice account, struct slice partition, uint64_t *id)
{
	struct store_home *home;
	size_t at = 0;

	if (partition.n > 0) {
		home = map_get(&h->parts, partition);
		return home && home_knows(home, account, id) ? home : NULL;
	}
	while ((home = map_next(&h->parts, &at))) /* there are few */
		if (home_knows(home, account, id))
			return home;
	return NULL;
}

static void
home_try_freed(struct timer *t)
{
	struct home_try *try = CONTAINER(t, struct home_try, pause);

	mem_free(&try->account);
	mem_free(&try->partition);
	mem_free(&try);
}

static void
home_try_cancelled(struct op *op)
{
	struct home_try *try = op->impl;

	op_done(op);
	op_cancel(&try->inner);
	timer_close(&try->pause, home_try_freed);
}

static void
home_try_over(struct home_try *try, const struct verdict *v, struct store_home *home, uint64_t id)
{
	op_done(try->outer);
	timer_close(&try->pause, home_try_freed);
	try->done(try->arg, v, home, id);
}

static void
home_try_answered(void *arg, const struct store_reply *r)
{
	struct home_try *try = arg;
	struct verdict v = r->verdict;
	struct store_home *home = NULL;

	if ((r->code == STORE_AWAY || r->code == STORE_UNSURE) &&
	    clock_mono_ms() - try->began < try->homes->patience_ms) {
		timer_start(&try->pause, try->pause_ms, 0);
		if (try->pause_ms < AWAY_PAUSE_MS)
			try->pause_ms *= 2;
		return;
	}
	if (v.kind == OK && !(home = home_open(try->homes, r->partition, r->path)))
		v = verdict(OUT_DROP_UNREADABLE);
	home_try_over(try, &v, home, r->account);
}

static void
home_try_ask(struct timer *t)
{
	struct home_try *try = CONTAINER(t, struct home_try, pause);

	store_account_start(try->homes->client, slice_str(try->account), slice_str(try->partition),
	    &try->inner, home_try_answered, try);
}

void
store_home_start(struct store_homes *h, struct slice account, struct slice partition, struct op *op,
    store_home_done *done, void *arg)
{
	struct home_try *try = mem_new(sizeof(*try));

	try->homes = h;
	try->outer = op;
	try->done = done;
	try->arg = arg;
	try->began = clock_mono_ms();
	try->pause_ms = AWAY_MS;
	try->account = mem_strn(account.p, account.n);
	try->partition = mem_strn(partition.p, partition.n);
	op->impl = try;
	op->cancel = home_try_cancelled;
	timer_init(&try->pause, h->loop, home_try_ask);
	home_try_ask(&try->pause);
}

void
store_home_login(struct store_homes *h, struct store_home *home, struct slice account,
    enum store_login how)
{
	int64_t now = clock_now();
	struct store_account a;
	int rc = store_begin(home->view);

	if (rc < 0)
		return;
	rc = store_find_account(home->view, account, &a);
	store_end(home->view);
	if (rc == 0 && (a.logins[how] > now || now - a.logins[how] >= STORE_LOGIN_EVERY))
		store_login_note(h->client, a.id, account, how);
}

/* ---- the lock ------------------------------------------------------------------------------------ */

int
store_home_lock(const struct store_home *home, struct slice account)
{
	struct buf path = { 0 };
	int fd, rc;

	store_account_dir(&path, account);
	fd = openat(home->reader->dirfd, buf_cstr(&path),
	    O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	buf_fini(&path);
	if (fd < 0)
		return -errno;
	if (flock(fd, LOCK_EX | LOCK_NB) == 0)
		return fd;
	rc = errno == EWOULDBLOCK ? -EAGAIN : -errno;
	(void)close(fd);
	return rc;
}
