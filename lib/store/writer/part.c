/* A partition from outside: opening, closing, jobs in, results out.
 *
 * Owns struct store_part and is the only file that knows it as a whole: it connects the rooms and
 * begins and ends their threads.  Called by stored.  The opening can fail as LMDB, the log or the disk
 * do, and says why; then nothing is left open.  The partition's lock is held as long as it is open. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>
#include "base/log.h"
#include "base/mem.h"
#include "base/must.h"
#include "store/holder.h"
#include "store/writer/writer-impl.h"

#define EXT4_MAGIC 0xef53u /* linux/magic.h: ext2 to ext4 */

/* ---- opening ---------------------------------------------------------------------------------- */

/* What a crash may have left: files of a batch that never was, directories still to move. */
static void
store_part_mend(struct writer *w)
{
	if (mdb_txn_begin(w->env->lmdb, NULL, 0, &w->txn) == 0) {
		w->error = 0;
		writer_inflight_mend(w, w->files);
		mdb_txn_abort(w->txn);
		writer_forget_all(w);
	}
	writer_intents_run(w);
}

/* One writer, and no recovery beside it: the lock goes with the process. */
static int
lock_partition(struct store_part *p, char **why)
{
	char *who = NULL;
	int rc;

	(void)!mkdir(p->path, 0750);
	p->files.dirfd = open(p->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	rc = p->files.dirfd < 0 ? -errno : store_holder_lock(p->files.dirfd, "stored", &who);
	if (rc == -EWOULDBLOCK)
		*why = mem_printf("%s: %s", p->path, who);
	else if (rc < 0)
		*why = mem_printf("%s: %s", p->path, strerror(-rc));
	mem_free(&who);
	return rc;
}

/* Who may reach what: the rooms get no more of each other than this. */
static void
part_connect(struct store_part *p, const struct store_part_config *c)
{
	p->config = *c;
	p->config.name = p->name = mem_str(c->name);
	p->config.path = p->path = mem_str(c->path);
	p->config.snapshots = p->snapshots = c->snapshots ? mem_str(c->snapshots) : NULL;
	p->files.sync = c->sync;
	p->files.dirfd = p->files.syncfd = -1;
	pthread_mutex_init(&p->files.names, NULL);
	pthread_mutex_init(&p->files.names_turn, NULL);
	p->files.bodies.fd = p->files.bodies.syncfd = p->linker.files.syncfd = -1;
	writer_bodies_doubt(&p->files);
	writer_queue_init(&p->queue, c->notify, c->arg);
	p->writer.config = &p->config;
	p->writer.env = &p->env;
	p->writer.files = &p->files;
	p->writer.queue = &p->queue;
	p->writer.oplog.dirfd = p->writer.oplog.fd = -1;
	p->writer.dups = writer_dup_new();
	list_init(&p->writer.longs);
	list_init(&p->writer.kept_tails);
	p->purger.config = p->snapper.config = &p->config;
	p->purger.env = p->snapper.env = p->linker.env = &p->env;
	p->purger.queue = p->snapper.queue = p->linker.queue = &p->queue;
	p->purger.files = &p->files;
	p->snapper.interval = c->snapshots ? c->snapshot_interval : 0;
	p->steadier = (struct steadier){ .config = &p->config,
		.env = &p->env,
		.queue = &p->queue,
		.files = &p->files,
		.on = c->sync,
		.fd = -1 };
}

/* The index of an older program gets its mark here.  Readers that run on from before it must not see what
 * follows: a new inode of `steady` sends them away, and those that open it again read the mark.  The first
 * change of it is for a crash between the two, after which the index would look marked. */
static int
load_index(struct store_part *p, char **why)
{
	bool older = p->writer.older;
	int rc = older ? writer_steady_renew(&p->steadier) : 0;

	if (rc == 0)
		rc = writer_env_load(&p->writer, why);
	if (rc == 0 && older)
		rc = writer_steady_point(&p->steadier);
	if (rc == 0 && older)
		rc = writer_steady_renew(&p->steadier);
	return rc;
}

/* The index, and what the log has behind it.
 *
 * A crash at any moment of this must find a point that is whole and a log that leads on from it: so a
 * point is taken before the first commit, another one before commits are not synced any more, and a last
 * one behind what the log did.  The first one syncs the files that the life before the crash has linked:
 * where others have the index open nothing of it is done again.  The last one syncs those that the log has
 * made again.  A partition that keeps no log from now on does what it has all the same. */
static int
open_index(struct store_part *p, char **why)
{
	int rc = writer_env_open(&p->writer, why);

	if (rc == 0)
		rc = writer_steady_open(&p->steadier);
	if (rc == 0)
		rc = writer_env_ready(&p->writer, why);
	if (rc == 0)
		rc = writer_steady_begin(&p->steadier);
	if (rc == 0)
		rc = writer_oplog_open(&p->writer, why);
	if (rc == 0) {
		writer_bodies_doubt(&p->files);
		writer_steady_log(&p->steadier, p->writer.oplog.unlogged);
		rc = writer_steady_point(&p->steadier);
	}
	if (rc == 0)
		rc = load_index(p, why);
	if (rc == 0 && p->config.sync && !p->steadier.on) /* no point has done it */
		rc = writer_bodies_steady(&p->files);
	if (rc == 0 && !p->config.log)
		rc = writer_steady_end(&p->steadier);
	if (rc == -EUSERS && !*why)
		*why = writer_steady_full(&p->steadier);
	if (rc < 0 && !*why)
		*why = mem_printf("%s: %s", p->path, strerror(-rc));
	return rc;
}

/* Does it overwrite a file's blocks where they are, always?  XFS does not when somebody has cloned the
 * segment (cp --reflink): the new blocks' place is then in its journal only, later. */
static bool
is_in_place(int fd)
{
	struct statfs st;

	return fstatfs(fd, &st) == 0 && (unsigned long)st.f_type == EXT4_MAGIC;
}

int
store_part_open(const struct store_part_config *c, struct store_part **out, char **why)
{
	struct store_part *p = mem_new(sizeof(*p));
	int rc;

	*out = NULL;
	part_connect(p, c);
	rc = lock_partition(p, why);
	if (rc == 0) {
		p->files.syncfd = open(p->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		p->files.in_place = is_in_place(p->files.dirfd);
		p->files.bodies.syncfd = open(p->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		rc =
		    p->files.syncfd < 0 || p->files.bodies.syncfd < 0 ? -errno : open_index(p, why);
	}
	if (rc == 0) {
		rc = writer_inflight_open(&p->files);
		if (rc == 0)
			rc = writer_linker_open(&p->linker, &p->files);
		if (rc < 0)
			*why = mem_printf("%s: %s", p->path, strerror(-rc));
	}
	if (rc < 0) {
		if (!*why)
			*why = mem_printf("%s: %s", p->path, strerror(-rc));
		store_part_close(&p);
		return rc;
	}
	p->snapper.log_dirfd = p->writer.oplog.dirfd;
	p->snapper.fresh = p->writer.fresh;
	p->queue.shown = p->writer.stats;
	p->queue.shown.batch = p->writer.ids.batch;
	store_part_mend(&p->writer);
	*out = p;
	return 0;
}

int
store_part_accounts(struct store_part *p, void (*fn)(void *arg, const struct store_known *k),
    void *arg)
{
	MDB_txn *txn;
	MDB_cursor *c;
	MDB_val k, d;
	/* The writer's own, which nobody needs yet: it takes no place of a reader. */
	int rc = mdb_txn_begin(p->env.lmdb, NULL, 0, &txn);

	if (rc)
		return rc > 0 ? -rc : -EIO;
	rc = mdb_cursor_open(txn, p->env.dbi[STORE_T_ACCOUNT], &c);
	if (rc == 0) {
		while ((rc = mdb_cursor_get(c, &k, &d, MDB_NEXT)) == 0) {
			uint8_t key[8 + STORE_NAME_MAX + 1];
			struct slice value = slice(d.mv_data, d.mv_size);
			/* One that is damaged lives here as well, under no id. */
			struct store_known known = { .name = slice(k.mv_data, k.mv_size) };
			struct store_disk_account a;
			struct store_disk_name inbox;
			MDB_val nk, nd;

			if (store_account_crc_ok(value) &&
			    store_value_read(value, STORE_ACCOUNT_V1, &a, sizeof(a)) == 0) {
				writer_domain_known(&p->writer, known.name, a.bytes, a.messages);
				nk = (MDB_val){ writer_name_key(key, a.id, S("INBOX")), key };
				if (mdb_get(txn, p->env.dbi[STORE_T_NAME], &nk, &nd) == 0 &&
				    nd.mv_size == sizeof(inbox)) {
					memcpy(&inbox, nd.mv_data, sizeof(inbox));
					known.id = a.id;
					known.inbox = inbox.mailbox;
				}
			}
			fn(arg, &known);
		}
		mdb_cursor_close(c);
	}
	mdb_txn_abort(txn);
	return rc == MDB_NOTFOUND ? 0 : rc > 0 ? -rc : -EIO;
}

void
store_part_start(struct store_part *p)
{
	must(!p->started);
	p->queue.shown = p->writer.stats; /* there are no threads yet */
	must(pthread_create(&p->writer_thread, NULL, writer_main, &p->writer) == 0);
	must(pthread_create(&p->purger_thread, NULL, writer_purge_main, &p->purger) == 0);
	must(pthread_create(&p->snapper_thread, NULL, writer_snapshot_main, &p->snapper) == 0);
	must(pthread_create(&p->linker_thread, NULL, writer_linker_main, &p->linker) == 0);
	if (p->writer.pending.n)
		writer_queue_link_want(&p->queue);
	must(pthread_create(&p->steadier_thread, NULL, writer_steady_main, &p->steadier) == 0);
	p->started = true;
}

static void
writer_fini(struct writer *w)
{
	writer_long_fini(w);
	writer_forget_all(w);
	writer_damage_fini(w);
	for (struct wtail *t = w->free_tails, *next; t; t = next) {
		next = t->next;
		mem_free(&t);
	}
	writer_oplog_close(w);
	writer_dup_free(&w->dups);
	buf_fini(&w->scratch);
	buf_fini(&w->pending);
	buf_fini(&w->linked);
	buf_fini(&w->events);
	buf_fini(&w->new_accounts);
	buf_fini(&w->gone_accounts);
	buf_fini(&w->held);
	buf_fini(&w->warning_fds);
	buf_fini(&w->domain_changes);
	buf_fini(&w->done_intents);
	buf_fini(&w->gone);
}

void
store_part_close(struct store_part **pp)
{
	struct store_part *p = *pp;

	*pp = NULL;
	if (!p)
		return;
	if (p->started) {
		/* The purger and the linker first: they hand work to the writer. */
		writer_queue_stop_helpers(&p->queue);
		pthread_join(p->purger_thread, NULL);
		pthread_join(p->snapper_thread, NULL);
		pthread_join(p->linker_thread, NULL);
		writer_queue_stop_writer(&p->queue);
		pthread_join(p->writer_thread, NULL);
		writer_queue_stop_steadier(&p->queue);
		pthread_join(p->steadier_thread, NULL);
	}
	writer_steady_close(&p->steadier, p->started);
	writer_fini(&p->writer);
	writer_queue_fini(&p->queue);
	writer_env_close(&p->env);
	writer_linker_close(&p->linker);
	writer_files_close(&p->files);
	mem_free(&p->path);
	mem_free(&p->snapshots);
	mem_free(&p->name);
	mem_free(&p);
}

/* ---- jobs --------------------------------------------------------------------------------------- */

bool
store_part_submit(struct store_part *p, struct store_job *j)
{
	return writer_queue_submit(&p->queue, j);
}

void
store_part_take(struct store_part *p, struct store_finished *f)
{
	writer_queue_results(&p->queue, f);
}

int
store_part_body(struct store_part *p)
{
	return writer_body_new(&p->files);
}

void
store_part_reader_check(struct store_part *p)
{
	int dead = 0;

	if (mdb_reader_check(p->env.lmdb, &dead) == 0 && dead)
		log_event(LOG_INFO, "store_readers", "partition=%s dead=%d", log_str(p->name),
		    dead);
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
	return p->writer.ids.tag;
}

void
store_part_stats(struct store_part *p, struct store_part_stats *s)
{
	writer_queue_stats(&p->queue, s);
}
