/* message/message.h: a stored message, opened to be read.
 *
 * One way for all who read messages (imapd, later pop3d, jmapd, memd): the file, its digest, and
 * where sections lie in it.  Files are read from the page cache; what may wait for the disk or
 * take long goes through message/parse.h.  Errors of ours are told apart from "expunged": a
 * caller must never give the one for the other. */
#ifndef MESSAGE_MESSAGE_H
#define MESSAGE_MESSAGE_H
#include "base/mapped.h"
#include "mail/mime.h"
#include "message/digest.h"
#include "store/read.h"

/* Messages above are worked on beside the loop: parsing or searching one takes a few ms. */
#define MESSAGE_LARGE (256 * 1024)

struct message {
	int fd; /* -1: not open */
	uint64_t size;
	struct buf record; /* bytes behind `digest`, a copy */
	struct message_digest digest;
	struct mapped map;    /* the file, or none */
	struct arena arena;   /* of this message: its tree and what is made from it */
	struct mime *mime;    /* NULL: not parsed */
	struct slice preview; /* in the arena; p NULL: not made */
};

/* A message without a file.  `record` may be empty. */
void message_init(struct message *m, struct slice record);
/* Opens the file of a message of message_init.  Ends the view's snapshot.  0; -ENOENT: it is
 * expunged; else an error of ours (logged as message_missing): -EMFILE, -EIO, -ENODATA when the
 * index has the message and the file is not there. */
int message_open(struct message *m, struct store_view *v, uint64_t mailbox, uint32_t uid) MUSTCHECK;
/* Will trying again help (no descriptors, no memory), or is something damaged? */
bool message_error_passes(int error);
/* Are the first and the last of these bytes in memory, so that reading them will hardly wait? */
bool message_in_memory(const struct message *m, uint64_t at, uint64_t len);
/* Maps the file.  0 or -errno; an empty file has no map. */
int message_map(struct message *m) MUSTCHECK;
/* Was there less in the file, when the map was read, than when it was opened?  Then what has been read is
 * partly zero bytes, and no answer to anybody: -EIO is. */
static inline bool
message_is_cut(const struct message *m)
{
	return mapped_cut(&m->map);
}
static inline struct slice
message_bytes(const struct message *m)
{
	return slice(m->map.p, m->map.n);
}
/* Makes the tree; the file must be mapped. */
void message_tree(struct message *m);
/* Forgets the map and what was made from it, and the file without closing it. */
void message_unmap(struct message *m);
void message_close(struct message *m);

/* Where the bytes of a section lie: from the tree or the digest.  0; -ENOENT: the message has no
 * such section; -ENODATA: only the tree would know. */
int message_section(const struct message *m, const uint32_t *path, size_t n,
    enum mime_section which, struct message_extent *e) MUSTCHECK;
#endif
