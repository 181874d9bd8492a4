/* A partition from outside: opening, jobs in, results out. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/must.h"
#include "store/write_private.h"

struct store_job *
store_job_new(void)
{
	struct store_job *j = mem_new(sizeof(*j));

	list_init(&j->link);
	return j;
}

void
store_job_free(struct store_job **jp)
{
	struct store_job *j = *jp;

	*jp = NULL;
	if (!j)
		return;
	for (size_t i = 0; j->fds && i < j->req.nmessages; i++)
		if (j->fds[i] >= 0)
			close(j->fds[i]);
	arena_reset(&j->arena);
	mem_free(&j);
}

/* ---- opening ---------------------------------------------------------------------------------- */

/* What a crash may have left: files of a batch that never was, directories still to move. */
static void
mend(struct store_part *p)
{
	if (mdb_txn_begin(p->env, NULL, 0, &p->txn) != 0)
		return;
	p->error = 0;
	note_mend(p);
	mdb_txn_abort(p->txn);
	forget_all(p);
	intents_run(p);
}

/* One writer, and no recovery beside it: the lock goes with the process. */
static int
lock_partition(struct store_part *p, char **why)
{
	int rc = 0;

	(void)!mkdir(p->path, 0750);
	p->dirfd = open(p->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (p->dirfd < 0 || flock(p->dirfd, LOCK_EX | LOCK_NB) < 0) {
		rc = -errno;
		*why = mem_printf("%s: %s", p->path, errno == EWOULDBLOCK ?
		    "another stored or storectl recover is at work here" : strerror(errno));
	}
	return rc;
}

int
store_part_open(const struct store_part_config *c, struct store_part **out, char **why)
{
	struct store_part *p = mem_new(sizeof(*p));
	int rc;

	*out = NULL;
	p->c = *c;
	p->name = mem_str(c->name);
	p->path = mem_str(c->path);
	p->c.snapshots = p->snapshots = c->snapshots ? mem_str(c->snapshots) : NULL;
	p->dirfd = p->syncfd = p->log.dirfd = p->log.fd = -1;
	p->dups = dup_new();
	list_init(&p->jobs);
	list_init(&p->snap_jobs);
	list_init(&p->out.jobs);
	pthread_mutex_init(&p->lock, NULL);
	pthread_mutex_init(&p->names, NULL);
	pthread_cond_init(&p->work, NULL);
	pthread_cond_init(&p->purge_wake, NULL);
	pthread_cond_init(&p->snap_wake, NULL);
	rc = lock_partition(p, why);
	if (rc == 0)
		rc = env_open(p, why);
	if (rc == 0)
		rc = log_open(p, why);
	if (rc == 0) {
		p->syncfd = open(p->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		rc = p->syncfd < 0 ? -errno : note_open(p);
		if (rc < 0)
			*why = mem_printf("%s: %s", p->path, strerror(-rc));
	}
	if (rc < 0) {
		store_part_close(&p);
		return rc;
	}
	mend(p);
	*out = p;
	return 0;
}

void
store_part_accounts(struct store_part *p, void (*fn)(void *arg, const struct store_known *k), void *arg)
{
	MDB_txn *txn;
	MDB_cursor *c;
	MDB_val k, d;

	if (mdb_txn_begin(p->env, NULL, MDB_RDONLY, &txn) != 0)
		return;
	if (mdb_cursor_open(txn, p->dbi[STORE_T_ACCOUNT], &c) == 0) {
		while (mdb_cursor_get(c, &k, &d, MDB_NEXT) == 0) {
			uint8_t key[8 + STORE_NAME_MAX + 1];
			struct store_disk_account a;
			struct store_disk_name inbox;
			struct store_known known;
			MDB_val nk, nd;

			if (d.mv_size != sizeof(a))
				continue;
			memcpy(&a, d.mv_data, sizeof(a));
			nk = (MDB_val){ name_key(key, a.id, S("INBOX")), key };
			if (mdb_get(txn, p->dbi[STORE_T_NAME], &nk, &nd) != 0 ||
			    nd.mv_size != sizeof(inbox))
				continue;
			memcpy(&inbox, nd.mv_data, sizeof(inbox));
			known = (struct store_known){ .id = a.id, .inbox = inbox.mailbox,
				.name = slice(k.mv_data, k.mv_size) };
			fn(arg, &known);
		}
		mdb_cursor_close(c);
	}
	mdb_txn_abort(txn);
}

void
store_part_start(struct store_part *p)
{
	must(!p->started);
	must(pthread_create(&p->writer, NULL, writer_main, p) == 0);
	must(pthread_create(&p->purger, NULL, purge_main, p) == 0);
	must(pthread_create(&p->snapper, NULL, snapshot_main, p) == 0);
	p->started = true;
}

static void
stop_threads(struct store_part *p)
{
	/* The purge first: it hands work to the writer. */
	pthread_mutex_lock(&p->lock);
	p->stop_purge = true;
	p->stop_snap = true;
	pthread_cond_broadcast(&p->purge_wake);
	pthread_cond_broadcast(&p->snap_wake);
	pthread_mutex_unlock(&p->lock);
	pthread_join(p->purger, NULL);
	pthread_join(p->snapper, NULL);
	pthread_mutex_lock(&p->lock);
	p->stop = true;
	pthread_cond_broadcast(&p->work);
	pthread_mutex_unlock(&p->lock);
	pthread_join(p->writer, NULL);
}

static void
finished_free(struct store_finished *f)
{
	struct store_job *j;

	list_each(j, &f->jobs, struct store_job, link) {
		list_remove(&j->link);
		store_job_free(&j);
	}
	for (size_t at = 0; at < f->accounts.n; at += sizeof(struct store_known)) {
		struct store_known k;

		memcpy(&k, f->accounts.p + at, sizeof(k));
		free((void *)(uintptr_t)k.name.p);
	}
	buf_fini(&f->accounts);
	buf_fini(&f->events);
}

void
store_part_close(struct store_part **pp)
{
	struct store_part *p = *pp;

	*pp = NULL;
	if (!p)
		return;
	if (p->started)
		stop_threads(p);
	forget_all(p);
	for (struct wtail *t = p->free_tails, *next; t; t = next) {
		next = t->next;
		mem_free(&t);
	}
	finished_free(&p->out);
	note_close(p);
	log_close(p);
	env_close(p);
	dup_free(&p->dups);
	if (p->dirfd >= 0)
		close(p->dirfd);
	if (p->syncfd >= 0)
		close(p->syncfd);
	buf_fini(&p->scratch);
	buf_fini(&p->events);
	buf_fini(&p->new_accounts);
	buf_fini(&p->done_intents);
	buf_fini(&p->gone);
	mem_free(&p->links);
	mem_free(&p->path);
	mem_free(&p->snapshots);
	mem_free(&p->name);
	pthread_mutex_destroy(&p->lock);
	pthread_mutex_destroy(&p->names);
	pthread_cond_destroy(&p->work);
	pthread_cond_destroy(&p->purge_wake);
	pthread_cond_destroy(&p->snap_wake);
	mem_free(&p);
}

/* ---- jobs --------------------------------------------------------------------------------------- */

void
store_part_submit(struct store_part *p, struct store_job *j)
{
	pthread_mutex_lock(&p->lock);
	if (j->req.verb == STORE_V_SNAPSHOT) {
		list_push(&p->snap_jobs, &j->link);
		pthread_cond_signal(&p->snap_wake);
	} else {
		list_push(&p->jobs, &j->link);
		if (p->njobs++ == 0)
			pthread_cond_signal(&p->work);
	}
	pthread_mutex_unlock(&p->lock);
}

void
store_part_take(struct store_part *p, struct store_finished *f)
{
	pthread_mutex_lock(&p->lock);
	list_splice(&f->jobs, &p->out.jobs);
	buf_slice(&f->events, buf_get(&p->out.events));
	buf_slice(&f->accounts, buf_get(&p->out.accounts));
	buf_clear(&p->out.events);
	buf_clear(&p->out.accounts);
	pthread_mutex_unlock(&p->lock);
}

void
store_part_reader_check(struct store_part *p)
{
	int dead = 0;

	if (mdb_reader_check(p->env, &dead) == 0 && dead)
		log_event(LOG_INFO, "store_readers", "partition=%s dead=%d", log_str(p->name), dead);
}

const char *
store_part_name(const struct store_part *p)
{
	return p->name;
}

const char *
store_part_path(const struct store_part *p)
{
	return p->path;
}

uint64_t
store_part_tag(const struct store_part *p)
{
	return p->ids.tag;
}

/* As they were after the last batch. */
void
store_part_stats(struct store_part *p, struct store_part_stats *s)
{
	pthread_mutex_lock(&p->lock);
	*s = p->shown;
	s->queued = p->njobs;
	pthread_mutex_unlock(&p->lock);
}
