/* store/client.h: asking stored for changes, asynchronously.
 *
 * One client (one connection) serves a whole worker process; any number of requests are in
 * flight.  Every x_start follows net/op.h: `done` is called once, from the loop, never from
 * inside x_start, never after op_cancel (the request itself still happens then).  Slices and
 * arrays in arguments are only read inside x_start.  While stored is away the answer is a
 * TEMP verdict with code STORE_AWAY at once; the client connects again by itself.  When the
 * connection breaks with requests in flight, those end with STORE_AWAY too, and whether they
 * happened is not known (deliveries are safe to repeat with the same dup key). */
#ifndef STORE_CLIENT_H
#define STORE_CLIENT_H
#include "mail/verdict.h"
#include "net/loop.h"
#include "net/op.h"
#include "store/format.h"

struct store_client;

/* Connects in the background.  `socket` is RUNDIR/stored.sock; `who` names us in stored's log. */
struct store_client *store_client_new(struct loop *l, const char *socket, const char *who) MUSTCHECK;
/* Pending operations are dropped without `done`.  `closed` (or NULL) follows when the handles
 * are closed. */
void store_client_free(struct store_client **c, void (*closed)(void *arg), void *arg);
bool store_client_ready(const struct store_client *c);
/* Appends "store=ready pending=3 ...". */
void store_client_status(const struct store_client *c, struct buf *out);

/* What protocols want to know beyond the verdict. */
enum store_code {
	STORE_DONE = 0,
	STORE_AWAY,       /* stored does not answer: 451 4.3.0 */
	STORE_NOMAILBOX,  /* NONEXISTENT / TRYCREATE */
	STORE_EXISTS,     /* ALREADYEXISTS */
	STORE_OVERQUOTA,  /* OVERQUOTA; 452 4.2.2 or 552 5.2.2 */
	STORE_FULL,       /* the partition is: 452 4.3.1 */
	STORE_BADNAME,    /* CANNOT: not a name for a folder */
	STORE_CANNOT,     /* CANNOT: INBOX, into itself, ... */
	STORE_LIMIT,      /* LIMIT: keywords, depth, number of folders */
	STORE_FAILED,     /* an I/O error, logged by stored: 451 4.3.0 */
	STORE_REFUSED,    /* a bad request: a bug of the client */
};

struct store_result {          /* of one target of a delivery */
	struct verdict verdict;
	enum store_code code;
	uint64_t mailbox;
	uint32_t uid;
	bool duplicate;        /* OK, because it had been delivered before */
};
/* All that an answer can hold; fields not meant by the request are 0.  Borrowed until `done`
 * returns. */
struct store_reply {
	struct verdict verdict;
	enum store_code code;
	uint64_t account;      /* id */
	uint64_t mailbox;      /* id */
	uint64_t modseq;
	uint64_t bytes, messages; /* usage after it */
	uint32_t uidvalidity;  /* of the destination */
	uint32_t uid;
	uint64_t token;        /* internal: the first of the bodies that came along */
	struct slice partition, path;
	const struct store_range *uids; size_t nuids; /* see each request */
	const struct store_range *to;   size_t nto;
	const struct store_result *results; size_t nresults;
};
typedef void store_done(void *arg, const struct store_reply *r);

void store_ping_start(struct store_client *c, struct op *op, store_done *done, void *arg);

/* ---- bodies --------------------------------------------------------------------------------
 * Files without a name, made by stored in a partition, to write a message into (CRLF line
 * ends, exactly as IMAP will send it).  A few are kept ready for each partition in use. */
struct store_body {
	int fd;                /* read and write, at offset 0, empty; -1 = none */
	uint32_t generation;   /* of the connection */
	uint64_t token;
	uint32_t partition;    /* index, internal */
};
/* Takes one that is ready: 0, or -EAGAIN: use store_body_start.  partition "" is the default
 * one; any partition will do for a message with recipients in several. */
int store_body_take(struct store_client *c, struct slice partition, struct store_body *b) MUSTCHECK;
/* *b is filled when the verdict is OK. */
void store_body_start(struct store_client *c, struct slice partition, struct store_body *b,
    struct op *op, store_done *done, void *arg);
/* Gives it back unused (whatever was written is cut off); b->fd is -1 then. */
void store_body_put(struct store_client *c, struct store_body *b);

/* ---- delivery and append --------------------------------------------------------------------- */
struct store_message {
	struct store_body *body; /* taken over by deliver and append: fd is -1 after x_start */
	uint32_t size;           /* of the file */
	uint16_t flags;          /* enum store_flag */
	int16_t zone;            /* of internaldate, minutes east */
	int64_t internaldate;    /* unix seconds; 0 = now */
	struct slice keywords;   /* names, separated by one SP */
	struct slice cache;      /* opaque to the store (imap/cache.h); may be empty */
	uint64_t token;          /* internal */
	uint32_t uid;            /* internal: of a file that is in its place (reconstruct) */
};
struct store_target {
	struct slice account;    /* uid@domain, lower case */
	struct slice partition;  /* for a new account; "" = the default */
	struct slice folder;     /* "" = INBOX; a folder that does not exist is INBOX too */
	struct slice keywords;   /* added to the message's */
	uint16_t flags;          /* added to the message's */
	struct store_limits limits;
	uint8_t dup[16];         /* store_dup_key, or all 0: do not look for duplicates */
};
/* The same message for the same recipient gives the same key, in every process and always. */
void store_dup_key(struct slice queue_id, struct slice recipient, uint8_t key[16]);
/* r->results has one entry per target, in order; r->verdict is OK when the request was
 * carried out at all, else every result has that verdict. */
void store_deliver_start(struct store_client *c, struct store_message *m,
    const struct store_target *targets, size_t n, struct op *op, store_done *done, void *arg);
#define STORE_TARGETS_MAX 1000

/* All messages or none (MULTIAPPEND).  The bodies must be of the account's partition.
 * r: uidvalidity, uids = the new UIDs in order (one run), modseq. */
void store_append_start(struct store_client *c, uint64_t mailbox, struct store_message *m, size_t n,
    struct store_limits limits, struct op *op, store_done *done, void *arg);

/* ---- accounts and folders ------------------------------------------------------------------- */

/* Makes the account ready: at first use INBOX, Sent, Drafts, Junk, Trash and Archive are made
 * (and subscribed).  r: account, mailbox (INBOX), partition, path (for store_reader_open). */
void store_account_start(struct store_client *c, struct slice account, struct slice partition,
    struct op *op, store_done *done, void *arg);
/* r: mailbox, uidvalidity.  Superior folders are made when missing. */
void store_create_start(struct store_client *c, uint64_t account, struct slice name,
    enum store_special use, struct op *op, store_done *done, void *arg);
/* A folder with children stays as a \Noselect name.  INBOX cannot be deleted. */
void store_delete_start(struct store_client *c, uint64_t account, struct slice name, struct op *op,
    store_done *done, void *arg);
/* With everything below it.  Renaming INBOX moves its messages into a new folder. */
void store_rename_start(struct store_client *c, uint64_t account, struct slice from, struct slice to,
    struct op *op, store_done *done, void *arg);
void store_subscribe_start(struct store_client *c, uint64_t account, struct slice name, bool yes,
    struct op *op, store_done *done, void *arg);

/* ---- messages ---------------------------------------------------------------------------------
 * UIDs are given as ascending ranges; UIDs that do not exist are passed over. */

enum store_how { STORE_SET, STORE_ADD, STORE_REMOVE };
struct store_change {
	enum store_how how;
	uint16_t flags;
	struct slice keywords;    /* names, separated by one SP; made known when new (not for REMOVE) */
	bool conditional;         /* UNCHANGEDSINCE was given */
	uint64_t unchangedsince;
};
/* r: modseq of the mailbox after it (every message that changed has it; unchanged ones keep
 * theirs), uids = those that UNCHANGEDSINCE spared (MODIFIED). */
void store_flags_start(struct store_client *c, uint64_t mailbox, const struct store_range *uids,
    size_t n, const struct store_change *change, struct op *op, store_done *done, void *arg);
/* Expunges messages with \Deleted: those in `uids` (UID EXPUNGE), or all when n is 0.  With
 * `any` the flag does not matter.  r: modseq, uids = what was expunged. */
void store_expunge_start(struct store_client *c, uint64_t mailbox, const struct store_range *uids,
    size_t n, bool any, struct op *op, store_done *done, void *arg);
/* All or nothing.  Flags and dates are kept.  r: uidvalidity of the destination, uids = the
 * sources and to = the new UIDs (COPYUID: same count, same order; both empty when no source
 * exists any more), mailbox = destination, modseq = for move, that of the source. */
void store_copy_start(struct store_client *c, uint64_t from, const struct store_range *uids,
    size_t n, uint64_t to, struct store_limits limits, struct op *op, store_done *done, void *arg);
void store_move_start(struct store_client *c, uint64_t from, const struct store_range *uids,
    size_t n, uint64_t to, struct op *op, store_done *done, void *arg);
/* This session is the first to be told of the recent messages (RFC 3501 2.3.2): r: uids = one
 * run (or none), uid = the first UID not claimed by anyone. */
void store_claim_start(struct store_client *c, uint64_t mailbox, struct op *op, store_done *done,
    void *arg);

/* ---- repair: storectl ---------------------------------------------------------------------- */

/* Files that are in place become messages: m->uid, size, dates, cache; body is not used.
 * r: uid = how many. */
void store_adopt_start(struct store_client *c, uint64_t mailbox, struct store_message *m, size_t n,
    struct op *op, store_done *done, void *arg);
/* Counts and usage of an account are summed up anew.  r: bytes, messages. */
void store_recount_start(struct store_client *c, uint64_t account, struct op *op, store_done *done,
    void *arg);
/* A copy of a partition's index is made and synced.  r: path, of the file. */
void store_snapshot_start(struct store_client *c, struct slice partition, struct op *op,
    store_done *done, void *arg);
#endif
