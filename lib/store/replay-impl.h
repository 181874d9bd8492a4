/* store/replay-impl.h: between replay.c and replay-files.c, which knows the message files. */
#ifndef STORE_REPLAY_IMPL_H
#define STORE_REPLAY_IMPL_H
#include "store/replay.h"

void store_replay_tell(struct store_replay *r, const char *fmt, ...) PRINTF(2, 3);
/* Of LMDB or errno, to -errno; the first reason stays. */
int store_replay_fail(struct store_replay *r, int rc, const char *what);

/* The last frame, just done: is a file that was synced with it not as it says? */
bool store_replay_files_torn(struct store_replay *r, const struct oplog_frame *f);
/* It is void: what is of no message and not whole must not be taken for one later. */
void store_replay_files_aside(struct store_replay *r, const struct oplog_frame *f);
/* Takes down which of the frame's files may have to be made again. */
void store_replay_bodies_note(struct store_replay *r, const struct oplog_frame *f);
/* Makes those that have to, and syncs none.  0, or -errno with *why: they are still in the journal. */
int store_replay_bodies_restore(struct store_replay *r) MUSTCHECK;
#endif
