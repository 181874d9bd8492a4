/* store/client.h: asking stored for changes, asynchronously.
 *
 * One client (one connection) serves a whole worker process; any number of requests are in
 * flight.  Every x_start follows net/op.h: `done` is called once, from the loop, never from
 * inside x_start, never after op_cancel (the request itself still happens then).  Slices and
 * arrays in arguments are only read inside x_start.  While stored is away the answer is a
 * TEMP verdict with code STORE_AWAY at once, and nothing has happened; the client connects again by
 * itself.  When the connection breaks with changes in flight, those end with STORE_UNSURE: whether
 * they happened is not known (deliveries are safe to repeat with the same dup key). */
#ifndef STORE_CLIENT_H
#define STORE_CLIENT_H
#include "mail/verdict.h"
#include "net/loop.h"
#include "net/op.h"
#include "store/acl.h"

struct store_client;

/* Connects in the background.  `socket` is RUNDIR/stored.sock; `who` names us in stored's log. */
struct store_client *
store_client_new(struct loop *l, const char *socket, const char *who) MUSTCHECK;
/* Pending operations are dropped without `done`.  `closed` (or NULL) follows when the handles
 * are closed. */
void store_client_free(struct store_client **c, void (*closed)(void *arg), void *arg);
/* Appends "store=ready pending=3 ...". */
void store_client_status(const struct store_client *c, struct buf *out);

/* What protocols want to know beyond the verdict. */
enum store_code {
	STORE_DONE = 0,
	STORE_AWAY,        /* stored does not answer: 451 4.3.0 */
	STORE_NOMAILBOX,   /* NONEXISTENT / TRYCREATE */
	STORE_EXISTS,      /* ALREADYEXISTS */
	STORE_OVERQUOTA,   /* OVERQUOTA; 452 4.2.2 or 552 5.2.2 */
	STORE_FULL,        /* the partition is: 452 4.3.1 */
	STORE_BADNAME,     /* CANNOT: not a name for a folder */
	STORE_CANNOT,      /* CANNOT: INBOX, into itself, ... */
	STORE_LIMIT,       /* LIMIT: keywords, depth, number of folders, requests at once */
	STORE_FAILED,      /* an I/O error, logged by stored: 451 4.3.0 */
	STORE_REFUSED,     /* a bad request: a bug of the client */
	STORE_UNSUPPORTED, /* one of the two is of an older version: 451 4.3.5 */
	STORE_FORBIDDEN,   /* not for this program, or not for this actor: 451 4.7.1 */
	STORE_DAMAGED,     /* CORRUPTION: it is there, its record is no good: 451 4.3.0 */
	STORE_UNSURE,      /* stored died with it in hand; never on the wire: 451 4.3.0 */
};
#define STORE_CODE_LAST STORE_DAMAGED

struct store_result { /* of one target of a delivery */
	struct verdict verdict;
	enum store_code code;
	uint64_t mailbox;
	uint32_t uid;
	bool duplicate; /* OK, because it had been delivered before */
};
/* All that an answer can hold; fields not meant by the request are 0.  Borrowed until `done`
 * returns. */
struct store_reply {
	struct verdict verdict;
	enum store_code code;
	uint64_t account; /* id */
	uint64_t mailbox; /* id */
	uint64_t modseq;
	uint64_t bytes, messages; /* usage after it */
	uint32_t uidvalidity;     /* of the destination */
	uint32_t uid;
	uint64_t token;    /* internal: the first of the bodies that came along */
	uint32_t failed;   /* settle: messages that could not be looked at */
	uint64_t known;    /* know: bit n: yes to the n-th question */
	uint16_t level;    /* internal, hello: the level of the protocol that both speak */
	uint64_t features; /* internal, hello */
	struct slice partition, path;
	const struct store_range *uids;
	size_t nuids; /* see each request */
	const struct store_range *to;
	size_t nto;
	const struct store_result *results;
	size_t nresults;
};
typedef void store_done(void *arg, const struct store_reply *r);

/* For whom a request is: called for each, with the op that its x_start was given, gives the person (store/acl.h;
 * borrowed until it is sent), or one without a login when the program asks for itself.  stored refuses
 * what is not that person's.  Without this function a program always asks for itself. */
typedef struct store_person store_actor(struct op *op);
void store_client_actors(struct store_client *c, store_actor *actor);

void store_ping_start(struct store_client *c, struct op *op, store_done *done, void *arg);

/* ---- bodies --------------------------------------------------------------------------------
 * Files without a name, made by stored in a partition, to write a message into (CRLF line
 * ends, exactly as IMAP will send it).  A few are kept ready for each partition in use. */
struct store_body {
	int fd;              /* read and write, at offset 0, empty; -1 = none */
	uint32_t generation; /* of the connection */
	uint64_t token;
	uint32_t partition; /* index, internal */
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
#define STORE_DATE_MOST INT64_C(253402300799) /* unix seconds: the end of the year 9999 */
struct store_message {
	struct store_body *body; /* taken over by deliver and append: fd is -1 after x_start */
	uint32_t size;           /* of the file */
	uint16_t flags;          /* enum store_flag */
	int16_t zone;            /* of internaldate, minutes east */
	int64_t internaldate;    /* unix seconds, STORE_DATE_MOST to either side; 0 = now, */
	bool dated;              /* ... but where this says that 1970 is meant */
	struct slice keywords;   /* names, separated by one SP */
	uint16_t sentday;        /* of the Date field: struct store_record; 0 = not known */
	uint32_t digest;         /* CRC-32C of the body; 0 = not known */
	struct slice cache;      /* opaque to the store (message/digest.h); may be empty */
	uint64_t token;          /* internal */
	uint32_t uid; /* restore; internal: of a file that is in its place (reconstruct) */
	/* restore: a message of the partition that has the octets; no body then */
	uint64_t from;
	uint32_t from_uid;
	uint32_t savedate; /* restore; 0 = now */
};
struct store_target {
	struct slice account;   /* uid@domain, lower case */
	struct slice partition; /* for a new account; "" = the default */
	struct slice folder;    /* "" = INBOX; a folder that does not exist is INBOX too, */
	bool create;            /* ... unless it is to be made, and can be */
	uint8_t use;            /* enum store_special: rather the folder that has this use; and one
	                           that is made gets it */
	uint64_t
	    objectid; /* 0, or rather than all of these: the folder that the world knows by it (RFC 8474) */
	struct slice keywords; /* added to the message's */
	uint16_t flags;        /* added to the message's */
	struct store_limits limits;
	uint8_t dup[16]; /* store_dup_key, or all 0: do not look for duplicates */
};
/* The same message for the same recipient gives the same key, in every process and always. */
void store_dup_key(struct slice queue_id, struct slice recipient, uint8_t key[16]);
/* r->results has one entry per target, in order; r->verdict is OK when the request was
 * carried out at all, else every result has that verdict. */
void store_deliver_start(struct store_client *c, struct store_message *m,
    const struct store_target *targets, size_t n, struct op *op, store_done *done, void *arg);
#define STORE_TARGETS_MAX 1000

/* What a delivery wants to know of an account (which is made when it is not there) and lets it
 * remember.  A mark is a key that stands for a time: that this message was seen, that this sender was
 * answered.  An account has STORE_MARKS_MAX at most, those that end first go. */
enum store_know {
	STORE_KNOW_SEEN, /* does the mark stand? */
	STORE_KNOW_CLAIM, /* the same, and if not it is set for `seconds`: of several who claim one gets
	                      "no", and may do what nobody is to do twice */
	STORE_KNOW_MARK, /* the same, and it is set whatever stood there; of 0 seconds: it is over */
	STORE_KNOW_FOLDER, /* is there such a folder, that mail can go into? */
	STORE_KNOW_USE,    /* is there one with this use; is it `folder`, when that is not empty? */
	STORE_KNOW_OBJECT, /* is there one with this objectid? */
};
struct store_question {
	uint8_t what; /* enum store_know */
	uint8_t use;  /* enum store_special */
	uint32_t seconds;
	uint8_t key[16]; /* store_dup_key */
	struct slice folder;
	uint64_t objectid;
};
#define STORE_QUESTIONS_MAX 64
#define STORE_MARKS_MAX     10000
/* r->known has a bit for each question.  What is set is committed. */
void store_know_start(struct store_client *c, struct slice account, struct slice partition,
    const struct store_question *list, size_t n, struct op *op, store_done *done, void *arg);

/* All messages or none (MULTIAPPEND).  The bodies must be of the account's partition.
 * r: uidvalidity, uids = the new UIDs in order (one run), modseq. */
void store_append_start(struct store_client *c, uint64_t mailbox, struct store_message *m, size_t n,
    struct store_limits limits, struct op *op, store_done *done, void *arg);

/* A message comes into `to` and the message `uid` of `from` goes, both or neither.  Not found: done, with
 * nuids = 0.  r: uidvalidity of `to`, uids = the new UID, modseq of `from`. */
void store_replace_start(struct store_client *c, uint64_t from, uint32_t uid, uint64_t to,
    struct store_message *m, struct store_limits limits, struct op *op, store_done *done,
    void *arg);

/* Messages come back under the UIDs that they have, which are ascending and behind all that the mailbox has
 * given out; all or none.  r: uid = the next UID, uidvalidity. */
struct store_restoring {
	uint64_t mailbox;
	uint32_t uidvalidity; /* 0 = as it is; another only of a mailbox that never had a message */
	uint32_t last;        /* the last UID that it had given out, 0 = that of the messages */
	uint64_t modseq;      /* what is changed now is newer than this */
};
void store_restore_start(struct store_client *c, const struct store_restoring *r,
    struct store_message *m, size_t n, struct op *op, store_done *done, void *arg);

/* ---- accounts and folders ------------------------------------------------------------------- */

/* Makes the account ready: at first use INBOX, Sent, Drafts, Junk, Trash and Archive are made
 * (and subscribed).  r: account, mailbox (INBOX), partition, path (for store_reader_open). */
void store_account_start(struct store_client *c, struct slice account, struct slice partition,
    struct op *op, store_done *done, void *arg);
/* The login has come to its account, by this protocol.  Nobody waits for it: while stored is away it is lost, and
 * the next login is noted. */
void store_login_note(struct store_client *c, uint64_t account, struct slice login,
    enum store_login how);
/* storectl: it came there at this time (unix seconds), if none is known to have come later. */
void store_login_at_start(struct store_client *c, uint64_t account, enum store_login how,
    uint32_t at, struct op *op, store_done *done, void *arg);
/* r: mailbox, uidvalidity.  Superior folders are made when missing. */
void store_create_start(struct store_client *c, uint64_t account, struct slice name,
    enum store_special use, struct op *op, store_done *done, void *arg);
/* A folder with children stays as a \Noselect name.  INBOX cannot be deleted. */
void store_delete_start(struct store_client *c, uint64_t account, struct slice name, struct op *op,
    store_done *done, void *arg);
/* Of this mailbox alone: STORE_NOMAILBOX when another has the name now.  STORE_CANNOT when it has folders below it,
 * or, with `empty`, messages that are not marked as deleted. */
void store_delete_this_start(struct store_client *c, uint64_t account, struct slice name,
    uint64_t mailbox, bool empty, struct op *op, store_done *done, void *arg);
/* With everything below it.  Renaming INBOX moves its messages into a new folder. */
void store_rename_start(struct store_client *c, uint64_t account, struct slice from,
    struct slice to, struct op *op, store_done *done, void *arg);
void store_subscribe_start(struct store_client *c, uint64_t account, struct slice name, bool yes,
    struct op *op, store_done *done, void *arg);

/* ---- messages ---------------------------------------------------------------------------------
 * UIDs are given as ascending ranges; UIDs that do not exist are passed over. */

enum store_how { STORE_SET, STORE_ADD, STORE_REMOVE };
struct store_change {
	enum store_how how;
	uint16_t flags;
	struct slice
	    keywords;     /* names, separated by one SP; made known when new (not for REMOVE) */
	bool quiet;       /* a script does it: no script hears of it */
	bool conditional; /* UNCHANGEDSINCE was given */
	uint64_t unchangedsince;
};
/* Many messages are changed a part at a time, each with a modseq of its own; messages that are as
 * wanted keep theirs.  r: modseq of the mailbox after it, uid = how many it took (0 = one): when others
 * change nothing meanwhile, the last so many; uids = those that UNCHANGEDSINCE spared (MODIFIED). */
void store_flags_start(struct store_client *c, uint64_t mailbox, const struct store_range *uids,
    size_t n, const struct store_change *change, struct op *op, store_done *done, void *arg);
/* The same of storectl, for a login that has a \Seen of its own there. */
void store_flags_as_start(struct store_client *c, struct slice login, uint64_t mailbox,
    const struct store_range *uids, size_t n, const struct store_change *change, struct op *op,
    store_done *done, void *arg);
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
/* Into a mailbox of another account, whose limits these are. */
void store_move_away_start(struct store_client *c, uint64_t from, const struct store_range *uids,
    size_t n, uint64_t to, struct store_limits limits, struct op *op, store_done *done, void *arg);
/* This session is the first to be told of the recent messages (RFC 3501 2.3.2): r: uids = one
 * run (or none), uid = the first UID not reserved by anyone. */
void store_reserve_start(struct store_client *c, uint64_t mailbox, struct op *op, store_done *done,
    void *arg);

/* What the mailbox gives to an identifier (store/acl.h): `how` with these rights; none: it goes. */
void store_acl_start(struct store_client *c, uint64_t mailbox, struct slice identifier,
    enum store_how how, uint32_t rights, struct op *op, store_done *done, void *arg);

/* Annotations of a mailbox of the account, or (0) of the server, are set or removed: all or none.  Private
 * ones are the actor's.  STORE_LIMIT: there are too many; STORE_CANNOT: not a use that this mailbox can have
 * (RFC 6154 5.4).  r: modseq of the account. */
struct store_annotation;
void store_annotate_start(struct store_client *c, uint64_t account, uint64_t mailbox,
    const struct store_annotation *list, size_t n, struct op *op, store_done *done, void *arg);

/* The same, unless one of them has been set since the account's modseq was `since`; of STORE_ANNOT_SESSIONS, since its row's
 * was: STORE_CANNOT. */
void store_annotate_unless_start(struct store_client *c, uint64_t account, uint64_t mailbox,
    const struct store_annotation *list, size_t n, uint64_t since, struct op *op, store_done *done,
    void *arg);

/* The same of storectl: private ones are of this login, "" = the owner. */
void store_annotate_as_start(struct store_client *c, struct slice login, uint64_t account,
    uint64_t mailbox, const struct store_annotation *list, size_t n, struct op *op,
    store_done *done, void *arg);

/* ---- repair: storectl ---------------------------------------------------------------------- */

/* Files that are in place become messages: m->uid, size, dates, cache; body is not used.
 * r: uid = how many. */
void store_relink_start(struct store_client *c, uint64_t mailbox, struct store_message *m, size_t n,
    struct op *op, store_done *done, void *arg);
/* Messages that came before there were threads join them: m->uid, and in m->cache what they refer to, as at the end
 * of a digest (store/thread.h).  With none, all of the mailbox's account have joined: whoever knows an older state of
 * its emails begins anew.  r: uid = how many are in another thread than before. */
void store_rethread_start(struct store_client *c, uint64_t mailbox, struct store_message *m,
    size_t n, struct op *op, store_done *done, void *arg);
/* Somebody's login is no more, or is `to`: what he has in this mailbox of somebody else goes, or goes over to that. */
void store_leave_start(struct store_client *c, uint64_t mailbox, struct slice login,
    struct slice to, struct op *op, store_done *done, void *arg);
/* Of these messages, below the uidnext of before the files were listed, stored looks at the files:
 * those whose file is missing are dropped, those whose file is not what the record says (cut,
 * grown, emptied, not a file) are moved to =aside and dropped; a UID alone that no message has and
 * whose file is no message file is moved too.  r: uids = dropped for want of a file, to = set
 * aside, failed = could not be looked at and are as they were. */
void store_settle_start(struct store_client *c, uint64_t mailbox, const struct store_range *uids,
    size_t n, struct op *op, store_done *done, void *arg);
/* Cache records that no message and no file that waits for the purge has (store_check_orphans). */
void store_forget_start(struct store_client *c, struct slice partition, const uint64_t *emails,
    size_t n, struct op *op, store_done *done, void *arg);
/* The record of an account, or of one of its folders, is made again when it is damaged; when it is good
 * nothing happens.  r: account, uid = how many were. */
struct store_mending {
	struct slice partition, account;
	struct slice folder; /* "" = the account's own */
	/* What good records of its mailboxes say (store_mend_walk): */
	uint64_t id;          /* of the account; 0 = none says it */
	uint64_t mailbox;     /* that is called `folder`; 0 = none is */
	uint64_t modseq;      /* the largest */
	uint32_t uidvalidity; /* the same */
};
void store_mend_start(struct store_client *c, const struct store_mending *m, struct op *op,
    store_done *done, void *arg);
/* Counts and usage of an account are summed up anew.  r: bytes, messages. */
void store_recount_start(struct store_client *c, uint64_t account, struct op *op, store_done *done,
    void *arg);
/* The account of this name and id goes, with its folders and messages; with `unused`, not if it has messages:
 * STORE_CANNOT.  r: bytes, messages that it had. */
void store_erase_start(struct store_client *c, uint64_t account, struct slice name, bool unused,
    struct op *op, store_done *done, void *arg);
/* The account of this name and id is called `to`, which no account of any partition is (STORE_EXISTS).  r: bytes,
 * messages that it has. */
void store_rename_account_start(struct store_client *c, uint64_t account, struct slice name,
    struct slice to, struct op *op, store_done *done, void *arg);
/* The directory has no entry for the account, or has one again: since when it has none stays with it. */
void store_orphan_start(struct store_client *c, uint64_t account, bool yes, struct op *op,
    store_done *done, void *arg);
/* The user is warned of these limits, if that is due and has not been done.  r: uid = 1 when it has been now, bytes,
 * messages. */
void store_warn_start(struct store_client *c, uint64_t account, struct store_limits limits,
    struct op *op, store_done *done, void *arg);
/* Scripts have run for what happened in the partition with this number (store_happened_next): the row goes.  One that is
 * gone is no error. */
void store_handled_start(struct store_client *c, struct slice partition, uint64_t number,
    struct op *op, store_done *done, void *arg);
/* What the accounts of this domain, in lower case, use together in this store; for one of its own logins.  r: bytes,
 * messages. */
void store_domain_start(struct store_client *c, struct slice domain, struct op *op,
    store_done *done, void *arg);
/* Nobody changes the account: requests that would are refused for the time being (STORE_FAILED).  STORE_FROZEN ends
 * with the connection, and one who has it is not frozen again (STORE_CANNOT); STORE_MOVED stays, until STORE_THAWED, and
 * needs that it was frozen (STORE_CANNOT).  Each of these, and STORE_HELD, which leaves the account in use, makes it
 * this connection's to move until it ends: all of another's are STORE_CANNOT, and it is not erased or renamed.
 * STORE_COMING: the account is a copy that comes from another host; it has no messages, or is that already
 * (STORE_CANNOT).  STORE_COME, and the first login or mail: it is at home here.
 * Answered when all that had begun is over.  r: modseq, bytes, messages. */
enum store_freeze { STORE_THAWED, STORE_FROZEN, STORE_MOVED, STORE_HELD, STORE_COMING, STORE_COME };
void store_freeze_start(struct store_client *c, uint64_t account, enum store_freeze how,
    struct op *op, store_done *done, void *arg);
/* A copy of a partition's index is made and synced.  r: path, of the file. */
void store_snapshot_start(struct store_client *c, struct slice partition, struct op *op,
    store_done *done, void *arg);
#endif
