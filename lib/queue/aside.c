/* aside.c: reports that are set aside until the message that they are about says so; see aside.h.
 *
 * A report has a file for each channel and destination, with copy numbers from 00 on.  They are
 * shown and removed from the last one down, so that whoever goes on after a kill finds those that are
 * left by counting up: nobody else may take one away, or those behind it would be hidden
 * (queue_release, queue_delete).  A file that is held for another reason too (its recipient's mail is)
 * stays held, and its journal says when it is shown.  Showing runs on the committer's thread: it syncs, because the message may leave the queue
 * as soon as it is done. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/log.h"
#include "base/mem.h"
#include "queue/aside.h"
#include "queue/queue-impl.h"
#include "queue/read.h"
#include "queue/scan.h"

struct aside_file {
	char *channel;
	char id[QUEUE_FILE_ID_LEN + 1];
	char *dest; /* of one that is shown; NULL: it stays held */
	struct qfile f;
};

struct aside {
	struct qjob job;
	char id[QUEUE_ID_LEN + 1];
	struct aside_file *files;
	size_t n;
};

void
queue_aside_id(char id[QUEUE_ID_LEN + 1], const char *file_id, enum queue_aside kind,
    uint32_t reports)
{
	static const char *const words[QUEUE_ASIDE_KINDS] = { "report", "copy", "piece",
		"members" };
	char text[64];

	(void)snprintf(text, sizeof(text), "%.15s %s %u", file_id, words[kind], reports);
	queue_id_of(id, text);
}

/* ---- finding ----------------------------------------------------------------------------- */

static void
aside_path(char path[QUEUE_PATH_MAX], const struct aside_file *f, bool held)
{
	char name[QUEUE_NAME_LEN + 4];

	queue_file_path(path, f->channel, queue_name(name, f->id, 0, held));
}

/* `shown`: also one that is shown already, and of which jobctl may not have heard. */
static bool
aside_find_copy(struct queue *q, char **channels, struct aside_file *f, bool shown)
{
	char path[QUEUE_PATH_MAX];
	struct stat st;

	for (char **c = channels; *c; c++)
		for (int held = 1; held >= !shown; held--) {
			f->channel = *c;
			aside_path(path, f, held);
			if (fstatat(q->root, path, &st, AT_SYMLINK_NOFOLLOW) == 0) {
				f->channel = mem_str(*c);
				return true;
			}
		}
	return false;
}

static void
aside_find(struct queue *q, const char *id, bool shown, struct aside_file **files, size_t *n)
{
	char **channels = queue_channels(q);
	struct aside_file f = { 0 };
	size_t room = 0;

	*files = NULL;
	for (*n = 0; *n < QUEUE_MESSAGE_RCPTS; ++*n) {
		queue_copy_id(f.id, *n ? f.id : id, *n);
		if (!aside_find_copy(q, channels, &f, shown))
			break;
		if (*n == room)
			*files = mem_grow(*files, room = room ? room * 2 : 4, sizeof(**files));
		(*files)[*n] = f;
	}
	queue_channels_free(&channels);
}

static void
aside_files_free(struct aside_file **files, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		mem_free(&(*files)[i].channel);
		mem_free(&(*files)[i].dest);
	}
	mem_free(files);
}

void
queue_aside_remove(struct queue *q, const char *id, void (*gone)(const char *file_id))
{
	struct aside_file *files;
	char path[QUEUE_PATH_MAX];
	size_t n;

	aside_find(q, id, false, &files, &n);
	for (size_t i = n; i-- > 0;) {
		aside_path(path, &files[i], true);
		if (unlinkat(q->root, path, 0) < 0)
			continue;
		log_event(LOG_INFO, "report_redone", "qid=%s file=%s", id, log_str(path));
		gone(files[i].id);
	}
	aside_files_free(&files, n);
}

/* ---- showing ----------------------------------------------------------------------------- */

/* What jobctl is to be told of it, kept without the file: there may be more of them than descriptors. */
static void
aside_note(struct aside_file *f, const struct qread *r)
{
	f->dest = mem_str(r->env.dest);
	f->f = (struct qfile){ .channel = f->channel,
		.dest = f->dest,
		.size = r->env.body_len,
		.nrcpt = (uint32_t)r->env.nrcpt,
		.prio = r->env.prio,
		.arrival_at = r->env.arrival_ms / 1000,
		.release_at = r->env.release_at,
		.by_at = r->env.by_at };
	queue_name(f->f.name, r->id, 0, false);
}

/* One file gets the name that masters see.  0, or -errno. */
static int
aside_show_one(struct queue *q, struct aside_file *f)
{
	char from[QUEUE_PATH_MAX], to[QUEUE_PATH_MAX], name[QUEUE_NAME_LEN + 4];
	struct qread *r;
	const char *why;
	int e = qread_open(q, f->channel, queue_name(name, f->id, 0, true), QREAD_LOOK, &r, &why);

	if (e == -ENOENT) { /* shown by a master that has died since: it is told of once more */
		e = qread_open(q, f->channel, queue_name(name, f->id, 0, false), QREAD_LOOK, &r,
		    &why);
		if (e == 0)
			aside_note(f, r);
		qread_close(&r);
		return e == -ENOENT ? 0 : e; /* delivered meanwhile */
	}
	if (e < 0)
		return e;
	aside_path(from, f, true);
	if (r->env.aside)
		e = queue_journal_held(q, from, slice_str(r->env.kept ? r->env.kept : ""));
	if (e == 0 && !r->env.kept && (r->env.aside || !r->env.held)) { /* else it stays held */
		aside_note(f, r);
		aside_path(to, f, false);
		e = renameat(q->root, from, q->root, to) < 0 ? -errno : 0;
	}
	qread_close(&r);
	return e;
}

static int
aside_prepare(struct qjob *j)
{
	struct aside *a = CONTAINER(j, struct aside, job);
	int e = 0;

	aside_find(j->q, a->id, true, &a->files, &a->n);
	for (size_t i = a->n; e == 0 && i-- > 0;)
		e = aside_show_one(j->q, &a->files[i]);
	return e;
}

/* Its weight lets the committer sync the whole file system instead. */
static int
aside_sync(struct qjob *j)
{
	return syncfs(j->q->root) < 0 ? -errno : 0;
}

static void
aside_settle(struct qjob *j)
{
	(void)j;
}

static void
aside_answer(struct qjob *j)
{
	struct aside *a = CONTAINER(j, struct aside, job);
	struct verdict v = queue_commit_verdict(j->error);
	void (*done)(void *, const struct verdict *) = j->done;
	void *arg = j->arg;

	for (size_t i = 0; i < a->n && j->error == 0 && j->q->announce; i++)
		if (a->files[i].dest)
			j->q->announce(j->q->announce_arg, &a->files[i].f);
	aside_files_free(&a->files, a->n);
	mem_free(&a);
	if (done)
		done(arg, &v);
}

void
queue_aside_show_start(struct queue *q, const char *id, struct op *op,
    void (*done)(void *arg, const struct verdict *v), void *arg)
{
	struct aside *a = mem_new(sizeof(*a));

	memcpy(a->id, id, sizeof(a->id));
	a->job = (struct qjob){ .q = q,
		.weight = 2,
		.prepare = aside_prepare,
		.sync = aside_sync,
		.settle = aside_settle,
		.answer = aside_answer };
	list_init(&a->job.link);
	queue_commit_start(&a->job, op, done, arg);
}
