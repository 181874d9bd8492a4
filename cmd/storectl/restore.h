/* restore.h: what a run of storectl restore has in hand. */
#ifndef STORECTL_RESTORE_H
#define STORECTL_RESTORE_H
#include "backup/stream.h"
#include "base/kv.h"
#include "idmap.h"
#include "put.h"

struct restore_run {
	const char *partition;    /* of accounts that are new; "" = the default */
	const char *account, *to; /* the one that is wanted, "" = all; and under which name */
	bool dry, json, quiet;
	bool
	    exact; /* folders that the stream does not have go, and subscriptions are those of the stream */
};
/* A message in hand, while its octets come. */
struct restore_message {
	uint32_t uid, size;
	uint32_t crc; /* 0 = not known */
	uint64_t email;
	struct put_meta meta;
	struct buf keywords, octets;
	bool same; /* its octets were in the stream before */
	bool open; /* they are to come */
};
struct restoring { /* a stream */
	const struct restore_run *run;
	const char *from;
	int fd;
	struct backup_reader frames;
	struct buf in;       /* octets of the stream, from frames.at on */
	struct idmap emails; /* where each content is */
	int rc;              /* not 0: it is over */
	uint64_t made_at;    /* unix seconds */
	/* of the account in hand; not `wanted`: its frames are only counted */
	bool wanted, opened;
	char account[STORE_ACCOUNT_MAX + 1];
	struct asking ask;
	struct store_reader *reader;
	struct store_view *view;
	uint64_t id, modseq;
	struct put put;
	/* of the folder in hand */
	char folder[STORE_NAME_MAX + 1];
	uint64_t mailbox;              /* 0 = it has no messages */
	uint32_t uidvalidity, uidnext; /* as in the stream */
	uint32_t now_next;             /* the next UID that it has now, */
	uint32_t now_validity;         /* and its UIDVALIDITY */
	bool keeps;                    /* UIDs */
	struct have have;
	struct restore_message m;
	bool done;             /* all of the account in hand has come */
	struct buf annotation; /* pieces of a value, so far */
	struct store_question marks[STORE_QUESTIONS_MAX];
	size_t nmarks;         /* in hand */
	struct buf named;      /* exact: folders of the account in hand, each with a NUL */
	struct buf subscribed; /* exact: names that are no folders, the same */
	bool began, ended;
	uint64_t accounts, folders, messages, merged, there, states, gone, failed;
};

/* restore-message.c: waits; false: it has been told, and the stream is over. */
bool restore_asked(struct restoring *r, const char *what);
/* restore-folder.c, restore-message.c: the account is open, and the folder. */
void restore_folder(struct restoring *r, struct slice line);
void restore_only(struct restoring *r); /* exact: all others go */
void restore_rights(struct restoring *r, struct slice line);
void restore_annotation(struct restoring *r, struct slice line);
/* restore-account.c: what is the account's and no folder's. */
void restore_logins(struct restoring *r, struct slice line);
void restore_mark(struct restoring *r, struct slice line);
void restore_marks_flush(struct restoring *r);
void restore_subscription(struct restoring *r, struct slice line);
/* Is the name among these, each with a NUL? */
bool restore_is_named(const struct buf *names, const char *name);
void restore_only_subscribed(struct restoring *r); /* exact: all other subscriptions end */
void restore_message(struct restoring *r, struct slice line);
void restore_octets(struct restoring *r, struct slice text);
void restore_state(struct restoring *r, struct slice line);
void restore_gone(struct restoring *r, struct slice line);
void restore_seen(struct restoring *r, struct slice line); /* restore-seen.c */
/* What is gathered is on disk. */
void restore_flush(struct restoring *r);
/* restore.c: a stream; its counts are printed.  An exit code. */
int restore_stream(const struct restore_run *run, const char *from);
void restore_bad(struct restoring *r, const char *why);
void restore_placed(void *arg, uint64_t email, uint64_t mailbox, uint32_t uid);
uint64_t restore_number(struct slice line, const char *key);
uint32_t restore_number32(struct slice line, const char *key); /* 0 also if it is larger */
#endif
