/* queue/scan.h: walking the spool: blocking, for tools and for worker threads.
 *
 * queue_dirs lists the directories; qscan_dir reads the names of one; qscan_file looks into one
 * file.  The three are apart so that jobctl can skip what it knows and begin delivering before
 * the walk is over. */
#ifndef QUEUE_SCAN_H
#define QUEUE_SCAN_H
#include "queue/read.h"

#define QUEUE_SPREAD 32 /* HH is 00 .. 1f */

/* The channels that have a directory: heap, NULL-terminated, free with queue_channels_free. */
char **queue_channels(struct queue *q);
void queue_channels_free(char ***channels);

struct qname {
	char id[QUEUE_FILE_ID_LEN + 1];
	uint32_t attempts;
	bool held;
};
/* Appends the names in QUEUE/channel/HH (hh = 0 .. QUEUE_SPREAD-1) as structs qname to `out`.
 * Foreign names are logged once each and left alone.  0 or -errno. */
int qscan_dir(struct queue *q, const char *channel, unsigned hh, struct buf *out) MUSTCHECK;

/* Looks into one file.  0: *r has the envelope (QREAD_LOOK; close it).  -ENOENT: gone.
 * -EBADMSG: it was torn and is removed, or damaged and is set aside; both are logged. */
int
qscan_file(struct queue *q, const char *channel, const struct qname *n, struct qread **r) MUSTCHECK;
#endif
