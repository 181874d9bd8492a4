/* queue/write-impl.h: a message that is being written: for write.c, and for cut.c, which hands it over before that. */
#ifndef QUEUE_WRITE_IMPL_H
#define QUEUE_WRITE_IMPL_H
#include "base/map.h"
#include "queue/queue-impl.h"
#include "queue/write.h"

/* One file: a channel, a destination, a sender, a body, and some of the recipients. */
struct target {
	const char *channel, *dest;
	const char *sender; /* a list's; NULL: the message's */
	const char *hold;   /* why it is kept, or NULL */
	bool held;          /* it is made as .HELD: for that, or aside */
	int64_t release_at; /* kept until then, or 0 */
	int64_t by_at;      /* to be delivered by then, or 0 */
	unsigned body;
	struct slice key; /* all of these */
	uint32_t *pick;
	size_t npick, room;
	char id[QUEUE_FILE_ID_LEN + 1];
	char path[QUEUE_PATH_MAX]; /* its place */
	int fd;
	bool placed;
};

/* What the recipients of one kind get. */
struct wbody {
	struct buf bytes;       /* not yet written */
	uint64_t size, written; /* all; what is in the file */
	uint64_t flushed;       /* handed to write-back */
	uint32_t crc;
	size_t first; /* target with this body, whose file a large one is */
	int fd;       /* of that file, until it is filled */
	size_t head_len;
	uint64_t old_size;
	char tmp[TMP_NAME_LEN];
};

struct qwriter {
	struct qjob job;
	struct arena arena;
	struct qenv env;
	struct target *target;
	size_t ntarget, room;
	struct map by_key; /* the target of a key that takes recipients now */
	struct wbody *bodies;
	unsigned nbodies;
	int error;
};
#endif
