/* jmapd/blob.h: what a blobId stands for: a message ("B..."), a part of one, decoded ("B...-2"), or what the user has
 * uploaded ("U..."), as octets to be read. */
#ifndef JMAPD_BLOB_H
#define JMAPD_BLOB_H
#include <sys/types.h>
#include "session.h"

struct blob {
	int fd; /* of a message or an upload; -1: the octets are in `bytes` */
	uint64_t size;
	struct buf bytes; /* of a part */
};
/* 0; -ENOENT: there is none, or not this user's; else an error of ours.  Reads the whole message when a part is
 * meant, which blob_part_most bounds.  Ends the view's snapshot. */
int blob_open(struct session *s, struct slice id, struct blob *b) MUSTCHECK;
/* Octets from `at` on, 64 KiB at most, appended; how many, 0 at the end, or -errno. */
ssize_t blob_read(const struct blob *b, uint64_t at, struct buf *out);
void blob_close(struct blob *b);

/* ---- uploads: files in rundir, for a day ------------------------------------------------------------------ */

/* Before the process confines itself: makes the folder. */
void upload_reach(void);
/* POST of a blob (RFC 8620 6.1). */
enum http_next upload_post(struct session *s, struct slice rest);
/* Keeps these octets as a blob of the user; the id is in the arena.  0 or -errno (-EDQUOT: he has too many). */
int
upload_keep(struct session *s, struct slice octets, struct arena *a, struct slice *id) MUSTCHECK;
/* The file of an upload; -ENOENT. */
int upload_open(struct session *s, struct slice id) MUSTCHECK;
#endif
