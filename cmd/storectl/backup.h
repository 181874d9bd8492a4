/* backup.h: what a run of storectl backup has in hand. */
#ifndef STORECTL_BACKUP_H
#define STORECTL_BACKUP_H
#include "backup/stream.h"
#include "base/kv.h"
#include "idmap.h"
#include "storectl.h"

struct backup_run {
	const char *partition, *account, *state; /* "" = all; none */
	bool json, quiet;
	bool always; /* an account is in the stream also when nothing has changed */
};
struct backup_folder {
	uint64_t mailbox;
	uint32_t uidvalidity, uidnext;
	uint8_t attrs, special;
	bool subscribed;
	char name[STORE_NAME_MAX + 1];
};
/* What the change log says of a mailbox since the last time. */
struct backup_change {
	uint64_t mailbox;
	struct store_range range; /* of messages that came; {0, 0}: the folder itself */
};
struct backing { /* a stream */
	const struct backup_run *run;
	const char *to;
	int fd;
	int (*write)(void *arg, struct slice bytes); /* instead of fd: 0 or -errno; NULL = fd */
	/* Told of an account's folders, as the stream will have them; NULL = nobody is. */
	void (*listed)(void *arg, const struct backup_folder *f, size_t n);
	void *write_arg; /* of both */
	struct backup_writer writer;
	struct buf out, line;
	bool looking; /* a snapshot is open: nothing is written meanwhile */
	int rc;       /* not 0: it is over */
	/* of the partition in hand */
	struct store_view *view;
	struct idmap seen;          /* contents that are in the stream */
	struct idmap before, after; /* by account: `at` is its modseq, the last time and now,
				     * `mailbox` when it was made */
	/* of the account and folder in hand */
	const char *account, *folder;
	struct buf changes; /* struct backup_change, sorted */
	struct buf records; /* struct store_record */
	char *keywords[STORE_KEYWORDS];
	uint64_t partitions, accounts, folders, messages, octets, states, written, failed;
	uint64_t left_out; /* of those, what is not in the stream though it should */
};

/* Keys of an account's frame: its last login by each protocol. */
extern const char *const backup_logins[STORE_LOGINS];
/* backup.c: the frames before and behind all accounts; what has been made goes. */
void backup_begin(struct backing *b);
void backup_end(struct backing *b);
void backup_fini(struct backing *b);
/* backup-account.c: b->line becomes a frame; what is gathered is written; an account, whole or what has
 * changed in it. */
void backup_frame(struct backing *b, char kind);
/* backup-seen.c: what readers of the folder, those who have marked something since this modseq, have seen of it. */
void backup_readers(struct backing *b, uint64_t mailbox, uint64_t since);
void backup_flush(struct backing *b);
void backup_seen(struct idmap *m, uint64_t account, uint64_t modseq, uint64_t made);
void backup_account(struct backing *b, const char *name);
#endif
