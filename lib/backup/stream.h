/* backup/stream.h: the stream of storectl backup: tiermail-backup(5) has it to the byte.
 *
 * A stream is frames, each with a kind, its number, its length and a checksum over all of it, so that a
 * reader acts on nothing that has been cut or changed, and can say how far it came.  What a frame says is a
 * line of key=value (base/kv.h), but the octets of messages, which are as they are.  A frame of a kind that
 * is not known, and keys that are not known, are passed over when their mark says that they may be.  Pure:
 * octets in, frames out, and back. */
#ifndef BACKUP_STREAM_H
#define BACKUP_STREAM_H
#include "base/buf.h"

#define BACKUP_VERSION 1
#define BACKUP_HEAD    24            /* octets in front of what a frame says */
#define BACKUP_PIECE   (1024 * 1024) /* most octets of one frame */

/* Lower-case kinds may be passed over by who does not know them. */
enum backup_kind {
	BACKUP_BEGIN = 'B',   /* of a stream: version, host, at */
	BACKUP_ACCOUNT = 'A', /* name, modseq, since; what follows is its */
	BACKUP_FOLDER = 'F',  /* name, uidvalidity, uidnext ...; what follows is its */
	BACKUP_RIGHTS = 'R',  /* identifier, may: of the folder */
	BACKUP_ANNOTATION =
	    'n', /* login, name, value, gone: of the folder, or (server=1) of the account */
	BACKUP_MARK = 'm',         /* key, until: what deliveries remember of the account */
	BACKUP_SUBSCRIPTION = 'u', /* name: subscribed, and no folder */
	BACKUP_MESSAGE =
	    'M',             /* uid, size, flags ...; octets follow, or it is one that was before */
	BACKUP_OCTETS = 'O', /* the next ones of the message */
	BACKUP_STATE = 'S',  /* uid, flags, keywords of a message that was backed up earlier */
	BACKUP_SEEN = 's',   /* login, uids, whole: what a reader has seen of the folder */
	BACKUP_GONE = 'G',   /* first, last: UIDs of the folder that are no more */
	BACKUP_DONE = 'D',   /* of an account: messages, octets */
	BACKUP_END = 'E',    /* of the stream: accounts, messages, octets */
};

struct backup_frame {
	char kind;         /* enum backup_kind, or another */
	uint32_t number;   /* from 0 */
	uint64_t at;       /* where it begins in the stream */
	struct slice text; /* borrows from what was read */
};

struct backup_writer {
	uint32_t number;
};
/* Appends a frame; text.n <= BACKUP_PIECE. */
void backup_write(struct backup_writer *w, struct buf *out, char kind, struct slice text);

struct backup_reader {
	uint64_t at; /* octets of the stream that are good: up to the end of the last frame */
	uint32_t number;
};
/* Takes a frame off the front of `in`, the stream from r->at on.  Returns its octets; 0: more are needed;
 * -EBADMSG: this is no frame, *why says in what.  Never more than BACKUP_HEAD + BACKUP_PIECE are needed. */
int backup_read(struct backup_reader *r, struct slice in, struct backup_frame *f,
    const char **why) MUSTCHECK;
#endif
