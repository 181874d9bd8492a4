/* queue/queue.h: the queue directory: opening, the committer thread, the recycle pool, and
 * what is done to whole files.
 *
 *	QUEUE/CHANNEL/HH/NAME   messages     QUEUE/tmp/   being written    QUEUE/pool/   for reuse
 *
 * Everything that makes something durable goes through the committer: one thread per process
 * that takes all that is waiting, does it, syncs once, and answers all (tiermail(7), what
 * holds everywhere).  Programs that only look (mailq) open the queue without starting it.
 *
 * A process that works on a file holds an exclusive flock(2) on it: that is what keeps two
 * masters apart when jobctl was restarted, and what makes recycling safe. */
#ifndef QUEUE_QUEUE_H
#define QUEUE_QUEUE_H
#include "net/loop.h"
#include "net/op.h"
#include "queue/env.h"

struct queue;

/* Opens (and makes, when `make`) the directories.  0, or -errno. */
int queue_open(const char *path, bool make, struct queue **q) MUSTCHECK;
/* Starts the committer thread; its answers come on loop l. */
void queue_start(struct queue *q, struct loop *l);
/* Waits for the committer and frees.  Operations that are pending are cancelled. */
void queue_close(struct queue **q);
const char *queue_path(const struct queue *q);

/* A committed file, as `new` tells it to jobctl (the name may end in .HELD).  Borrowed during
 * the call. */
struct qfile {
	const char *channel, *dest;
	char name[QUEUE_NAME_LEN + 4];
	uint64_t size; /* of the message */
	uint32_t nrcpt;
	enum qprio prio;
	int64_t arrival_at; /* unix seconds */
	int64_t release_at; /* kept until then, 0 = goes at once */
	int64_t by_at;      /* to be delivered by then (RFC 2852), 0 = any time */
};
/* Is told on the loop of every committed file, also when the session that wrote it has gone:
 * smtp-relay and channel-master pass it on to jobctl (job/feed.h). */
void queue_announce(struct queue *q, void (*fn)(void *arg, const struct qfile *f), void *arg);

/* Removes files in tmp/ that a dead process left behind (older than this process).  For
 * smtp-relay's start.  Returns how many. */
size_t queue_sweep(struct queue *q);

/* "CHANNEL/HH/NAME", relative to the queue directory. */
#define QUEUE_PATH_MAX 160
void queue_file_path(char dst[QUEUE_PATH_MAX], const char *channel, const char *name);

/* Looks for a file under any name: a master that dies between counting an attempt in the name
 * and telling of it leaves one that nobody expects.  0 with *attempts and *held set; -ENOENT. */
int queue_find(struct queue *q, const char *channel, const char *id, uint32_t *attempts,
    bool *held) MUSTCHECK;

/* What operators and jobctl do to files by name; rename or unlink, no sync.  Each returns 0 or
 * -errno; -ENOENT when the file has gone, -EBUSY (delete) while a master works on it, -EAGAIN (release,
 * delete) while it is aside: its master shows or removes it (queue/aside.h).  Such a one is read first. */
int queue_hold(struct queue *q, const char *channel, const char *id, uint32_t attempts,
    struct slice why) MUSTCHECK; /* -> .HELD, with a journal line that says why */
int
queue_release(struct queue *q, const char *channel, const char *id, uint32_t attempts) MUSTCHECK;
int queue_delete(struct queue *q, const char *channel, const char *name) MUSTCHECK;

/* All files of a message that waits for its release (RFC 4865) are removed, and do not come back behind a power
 * cut.  The first one is held before anything else, with QUEUE_CANCELLED as the reason: whoever is killed in
 * between has cancelled nothing or can do it again, and sees by it that what is missing has not gone out.  Blocks
 * on the disk.  0 or -errno: -EBUSY while somebody works on one of them; then the first one's `held` says whether
 * that has begun. */
struct queue_cancel {
	const char *channel;
	char id[QUEUE_FILE_ID_LEN + 1];
	bool held;
};
#define QUEUE_CANCELLED "cancelled by its sender"
int queue_cancel(struct queue *q, struct queue_cancel *files, size_t n) MUSTCHECK;

/* Why a file is held that waits to be shown: queue/aside.h. */
#define QUEUE_ASIDE "a report about a message that is not settled yet"

/* Counters since the start, for metrics. */
struct queue_stats {
	uint64_t commits, batches, syncfs, fdatasync, errors;
	uint64_t created, recycled; /* files made for messages; used again */
};
void queue_get_stats(const struct queue *q, struct queue_stats *st);
#endif
