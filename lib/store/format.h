/* store/format.h: what the message store looks like on disk (tiermail-store(5) to the byte),
 * and the words that readers, the writer and the protocol share.
 *
 * One partition is one LMDB environment in PATH/index/ and a tree of message files.  All
 * numbers in values are little-endian and unaligned (packed structs); numbers in keys are
 * big-endian so that they sort.  Every value begins with a version byte.
 *
 * Two versions of the suite may meet over a store.  Values are read by their length: what is
 * behind the end that a reader knows is a newer writer's and skipped, what is missing is an
 * older one's and 0.  A field may therefore only be added at an end, with 0 as "not known", and a
 * table only with its line in store_tables.  Anything else is a new major version: see
 * store_format_check, upgrade.h. */
#ifndef STORE_FORMAT_H
#define STORE_FORMAT_H
#include <stddef.h>
#include "base/buf.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the store's records are little-endian and read in place"
#endif

#define STORE_MAJOR       2   /* of the format: an older program must not read it */
#define STORE_MINOR       0   /* an older program may */
#define STORE_VERSION     1   /* first byte of every value but those of blocks */
#define STORE_BLOCK_V2    2   /* first byte of an index block; 1 before */
#define STORE_SEPARATOR   '/' /* between the components of a folder name */
#define STORE_NAME_MAX    440 /* bytes of a folder name, UTF-8 */
#define STORE_PART_MAX    200 /* bytes of one component as a directory name */
#define STORE_DEPTH_MAX   32
#define STORE_ACCOUNT_MAX 240 /* bytes of an account name */
#define STORE_KEYWORDS    64  /* distinct keywords in a mailbox */
#define STORE_KEYWORD_MAX 100 /* bytes of one */
#define STORE_BLOCK       32  /* UIDs in an index block: block = uid / 32 */
#define STORE_RUNS        64  /* runs of UIDs that a mailbox record remembers */
#define STORE_ARRIVALS    8   /* messages that a mailbox record has before they go into blocks */
#define STORE_NEWS        8   /* changes that an account record has before they go into the log */
#define STORE_ROOM                                                                                 \
	4                /* arrivals and news have room by so many, so that most rows that are
			       * put again are as long as they were: that costs half */
#define STORE_PLACES 100 /* places that a row of `cache` has; others have rows of `email` */

/* System flags, as bits of store_record.flags.  \Recent is not stored: see recent_from. */
enum store_flag {
	STORE_SEEN = 1,
	STORE_ANSWERED = 2,
	STORE_FLAGGED = 4,
	STORE_DELETED = 8,
	STORE_DRAFT = 16,
};
#define STORE_FLAGS_ALL 31

/* Use of a folder, RFC 6154. */
/* clang-format off */
enum store_special {
	STORE_USE_NONE, STORE_USE_DRAFTS, STORE_USE_SENT, STORE_USE_JUNK, STORE_USE_TRASH,
	STORE_USE_ARCHIVE, STORE_USE_ALL, STORE_USE_FLAGGED,
};
/* clang-format on */
#define STORE_USE_MAX STORE_USE_FLAGGED
/* "\\Sent" and so on; NULL for STORE_USE_NONE. */
const char *store_special_name(enum store_special use);
/* The use that a folder of this name is made with ("Drafts"), or STORE_USE_NONE. */
enum store_special store_special_of(struct slice name);

/* Attributes of a mailbox. */
enum store_attr { STORE_NOSELECT = 1 /* a bare name: deleted while it had children */ };

/* One message, as it is read and handed about.  It lies in two rows: what may change (modseq,
 * keywords, flags) in `state`, and from `size` on, byte by byte, what never does in `index`: so a
 * STORE over a mailbox does not write again what it cannot have changed.  block.h puts the two
 * together and takes them apart. */
struct store_record {
	uint64_t modseq;   /* RFC 7162; the account's counter at the last change */
	uint64_t keywords; /* bits: index in the mailbox's keyword names */
	uint16_t flags;    /* enum store_flag */
	uint16_t check;    /* of an arrival, see store_arrival_check; else nothing */
	uint32_t uid;
	uint32_t size;        /* RFC822.SIZE: the file's bytes */
	uint32_t savedate;    /* RFC 8514, unix seconds */
	int64_t internaldate; /* unix seconds */
	uint64_t emailid;     /* the content: equal for copies; key of `cache` */
	uint64_t threadid;
	int16_t zone;     /* of internaldate, minutes east */
	uint16_t sentday; /* of the Date field, days since 1969-12-31; 0 = not known */
	uint32_t digest;  /* CRC-32C of the file; 0 = not known */
};
#define STORE_RECORD_AT offsetof(struct store_record, size)
#define STORE_RECORD    (sizeof(struct store_record) - STORE_RECORD_AT) /* bytes of it in `index` */
_Static_assert(STORE_RECORD == 40, "a record is 40 bytes on disk");
_Static_assert(sizeof(struct store_record) == 64, "an arrival is 64 bytes on disk");

/* `index`: {mailbox BE64, block BE32} -> this, then a record for each UID, ascending. */
struct store_block_head {
	uint8_t version;
	uint8_t zero;
	uint16_t record; /* bytes of each */
	uint32_t crc;    /* CRC-32C of the whole value with this field 0 */
	uint32_t uids;   /* bit n: UID block * 32 + n is there */
} PACKED;

/* `state`: {mailbox BE64, block BE32} -> this, then the groups.  It has the same UIDs. */
struct store_state_head {
	uint8_t version;
	uint8_t count;   /* 1..32 groups follow */
	uint16_t group;  /* bytes of each */
	uint32_t crc;    /* CRC-32C of the whole value with this field 0 */
	uint64_t modseq; /* the largest of them */
} PACKED;
/* Messages of a block that are equal in all that may change. */
struct store_group {
	uint32_t uids; /* as in store_block_head; no UID is in two groups */
	uint16_t flags;
	uint64_t keywords, modseq;
} PACKED;

/* Format 1 had all in `index`: this, then records of struct store_record_v1. */
struct store_block_head_v1 {
	uint8_t version, count;
	uint16_t zero;
} PACKED;
struct store_record_v1 {
	uint32_t uid, size;
	uint64_t modseq, keywords;
	int64_t internaldate;
	uint32_t savedate;
	uint16_t flags;
	int16_t zone;
	uint64_t emailid, threadid;
} PACKED;

/* A run of UIDs, first <= last. */
struct store_range {
	uint32_t first, last;
};

/* Limits of an account, from the directory, with each request; 0 = no limit.  Who asks for none, whatever the account
 * has, says STORE_UNASKED: that its mail is taken says nothing about the account. */
struct store_limits {
	uint64_t bytes, messages;
	uint64_t domain_bytes,
	    domain_messages; /* of all accounts of its domain in this store together */
};
#define STORE_UNASKED ((struct store_limits){ UINT64_MAX, UINT64_MAX, 0, 0 })

/* Is so much of the account's used, in percent?  0 = never. */
bool store_limits_near(const struct store_limits *l, uint64_t bytes, uint64_t messages,
    uint32_t percent);

/* `mailbox`: {mailbox BE64} -> this, then nruns runs (8 bytes each), the account's name, the
 * folder's name, the keywords (a length byte each), the arrivals.
 *
 * Arrivals are the newest messages, whole, as struct store_record, in the order of their UIDs; `index`
 * and `state` have nothing of them, nor of any message behind the first of them.  So mail that comes
 * writes one row in place of three, and the block's two when there are STORE_ARRIVALS, or when
 * something is done with the mailbox's messages. */
struct store_disk_mailbox {
	uint8_t version;
	uint8_t attrs;   /* enum store_attr */
	uint8_t special; /* enum store_special */
	uint8_t nkeywords;
	uint32_t crc;     /* CRC-32C of the whole value with this field 0 */
	uint64_t account; /* id */
	uint32_t uidvalidity;
	uint32_t uidnext;
	uint32_t exists;
	uint32_t unseen;
	uint32_t deleted; /* messages with \Deleted */
	uint32_t recent;  /* messages with uid >= recent_from */
	uint32_t recent_from;
	uint32_t first_unseen; /* no unseen message has a smaller uid; 0 = none is unseen */
	uint64_t highestmodseq;
	uint64_t bytes;
	int64_t created_at;
	uint64_t vanished_from; /* tombstones up to this modseq have been dropped */
	uint16_t nruns;         /* runs of UIDs; STORE_RUNS_UNKNOWN = too many, scan the index */
	uint16_t account_len;
	uint16_t name_len;
	uint16_t head;        /* bytes before the runs; 0 = STORE_MAILBOX_V1 */
	uint64_t objectid;    /* what the world sees (RFC 8474); kept when the user moves */
	uint16_t arrivals_at; /* from the value's beginning */
	uint16_t arrival;     /* bytes of each */
	uint8_t narrivals;
	uint8_t zero[3];
} PACKED;
#define STORE_RUNS_UNKNOWN 0xffff
#define STORE_MAILBOX_V1   offsetof(struct store_disk_mailbox, objectid)

/* Protocols whose last login an account remembers. */
enum store_login { STORE_LOGIN_IMAP, STORE_LOGIN_POP3, STORE_LOGIN_WEB, STORE_LOGINS };
#define STORE_LOGIN_EVERY 3600 /* seconds: one that is not older is not written again */

/* `account`: {name} -> this, then nnews of struct store_news: the newest entries of the account's
 * change log, in the order of their modseqs.  `change` has nothing as new as the first of them. */
struct store_disk_account {
	uint8_t version;
	uint8_t zero[3];
	uint32_t
	    crc; /* CRC-32C of the whole value with this field 0; 0 = none: an older writer's */
	uint64_t id;
	uint64_t modseq; /* the account's modification counter */
	uint64_t bytes;  /* usage */
	uint64_t messages;
	uint32_t uidvalidity; /* the last one given out */
	uint32_t mailboxes;
	int64_t created_at;
	uint64_t changes_from;  /* `change` is complete behind this modseq */
	uint64_t vanished_from; /* and what was expunged behind this one is there */
	uint16_t head;          /* bytes before the news; 0 = there are none: an older writer's */
	uint16_t news;          /* bytes of each */
	uint8_t nnews;
	uint8_t warned; /* 1: the user has been told that little room is left */
	uint16_t
	    over_since; /* mail is refused since this hour (of 1970, low 16 bits); 0 = it is not */
	uint32_t logins
	    [STORE_LOGINS]; /* unix seconds of the last one, within STORE_LOGIN_EVERY; 0 = none */
	uint32_t orphan_since; /* unix seconds: the directory had no entry then; 0 = it had */
	uint32_t
	    moved_at; /* unix seconds: all of it is on another host since, nothing is changed here; 0 = it is not */
	uint32_t
	    coming_at; /* unix seconds: since then it is a copy that comes from another host; 0 = it is not */
	uint32_t
	    threads_at; /* unix seconds: all of its messages are in threads since; 0 = not those from before */
} PACKED;
#define STORE_ACCOUNT_V1 offsetof(struct store_disk_account, changes_from)
#define STORE_ACCOUNT_V2 offsetof(struct store_disk_account, logins)
/* Messages came into a mailbox. */
struct store_news {
	uint64_t modseq, mailbox;
	uint32_t first, last; /* UIDs; where a struct store_range is expected, this is one */
	uint32_t at;          /* unix seconds */
} PACKED;
/* Those of a row of `account` or `change`; borrows. */
struct store_news_list {
	const char *p;
	size_t n, size; /* bytes of each */
};

/* `name`: {account BE64, folder name} -> this. */
struct store_disk_name {
	uint8_t version;
	uint8_t attrs;
	uint8_t special;
	uint8_t zero;
	uint64_t mailbox;
} PACKED;

/* `meta`: "ids" -> this. */
struct store_disk_ids {
	uint8_t version;
	uint8_t zero[7];
	/* The next ones.  Accounts and mailboxes: `tag` and a counter, known in this store alone.
	 * Emails, threads and objectids, all from `email`: 31 random bits (an epoch) and a
	 * counter of 32, so that no other partition or host ever makes the same. */
	uint64_t account, mailbox, email, thread;
	uint64_t tag;   /* top 16 bits of every account and mailbox id of this partition */
	uint64_t batch; /* number of the last committed batch */
	uint64_t log;   /* epoch of the operation log: one more with each recovery */
} PACKED;
#define STORE_IDS_V1 offsetof(struct store_disk_ids, log)

/* `purge`: {due BE64 seconds, number BE64} -> this and `count` pairs {uid u32, emailid u64}.
 * uid 0 stands for the directory of a deleted mailbox itself. */
struct store_disk_purge {
	uint8_t version;
	uint8_t zero;
	uint16_t count;
	uint32_t zero2;
	uint64_t mailbox;
} PACKED;
struct store_purge_item {
	uint32_t uid;
	uint64_t emailid;
} PACKED;

/* `change`: {account BE64, modseq BE64, kind << 24 | number BE32} -> this, then `count` entries: the
 * account's change log.  Rows go when they are old: see changes_from of the account. */
struct store_disk_change {
	uint8_t version;
	uint8_t kind; /* enum store_change_kind */
	uint16_t count;
	uint32_t at; /* unix seconds */
	uint64_t mailbox;
} PACKED;
enum store_change_kind {
	STORE_CHANGE_NEW = 1, /* messages came: struct store_range */
	STORE_CHANGE_FLAGS,   /* flags or keywords changed: struct store_range */
	STORE_CHANGE_GONE,    /* expunged, the tombstones: struct store_gone */
	STORE_CHANGE_FOLDER,  /* renamed, attributes: no entries; made: its objectid */
	STORE_CHANGE_DELETED, /* the mailbox is deleted: its objectid; of an older writer no entries */
	STORE_CHANGE_NEWS, /* messages came, more than once: struct store_news.  The row's modseq is
			      that of the last, and its mailbox is 0 */
	STORE_CHANGE_THREADS, /* expunged at this modseq, whose thread is not called by their
			      emailid: struct store_gone_thread */
	STORE_CHANGE_SEEN, /* a reader's own \Seen changed: struct store_range, then his login; "": of all
			      readers.  To him, and to nobody else, it comes as FLAGS */
};
struct store_gone {
	uint32_t first, last; /* UIDs */
	uint64_t emailid;     /* of the first; each next one has the next id; 0 = not known */
} PACKED;
struct store_gone_thread {
	uint64_t emailid, threadid;
} PACKED;

/* `email`: {emailid BE64, mailbox BE64, uid BE32} -> version byte.  Where a content is, or was: a
 * row goes with the file, so ask the index (store_email_next does).  The places where it came first
 * are at the end of its row in `cache`, when it has one. */

/* `cache`: {emailid BE64} -> the content's digest (message/digest.h), then as many struct
 * store_place_entry as struct store_places_end, the last bytes of the value, says.  Without it there
 * are none.  The places go with the row; in the operation log they are rows of `email`. */
struct store_place_entry {
	uint64_t mailbox;
	uint32_t uid;
} PACKED;
struct store_places_end {
	uint16_t count;
	uint16_t zero;
	uint32_t magic;
} PACKED;
#define STORE_PLACES_MAGIC 0x31434c50u /* "PLC1" */
/* `ref` and `thread`: store/thread.h. */
/* `acl`: {mailbox BE64, identifier} -> this. */
struct store_disk_acl {
	uint8_t version;
	uint8_t zero[3];
	uint32_t rights; /* bit n: the n-th of STORE_RIGHTS */
} PACKED;
#define STORE_RIGHTS         "lrswipkxtea" /* RFC 4314 2.1 */
#define STORE_IDENTIFIER_MAX 255           /* bytes */

/* `annot`: {account BE64, mailbox BE64, login, NUL, entry} -> this, then the value: an annotation (RFC 5464),
 * store/annot.h.  Mailbox 0 is the server; login "" is what all share. */
struct store_disk_annot {
	uint8_t version;
	uint8_t gone;    /* 1: there is none any more, which others are still to be told */
	uint16_t head;   /* bytes before the value */
	uint32_t crc;    /* CRC-32C of the whole value with this field 0 */
	uint64_t modseq; /* the account's counter when it was set */
} PACKED;
/* A byte behind it, which may be left out, has bits: */
#define STORE_ANNOT_BY_GUEST 1 /* of all, set by another than the owner */

/* Of format 1. `tomb`: {mailbox BE64, modseq BE64, number BE32} -> this, then struct store_range. */
struct store_disk_tombstone {
	uint8_t version;
	uint8_t zero[3];
	uint32_t at; /* unix seconds of the expunge */
} PACKED;

/* `seen`: store/seen.h. */

/* `dupe`: {number BE64} -> this, then count keys of 16 bytes.  One row for a batch. */
struct store_disk_dupe {
	uint8_t version;
	uint8_t zero[3];
	uint32_t at;
} PACKED;

/* `mark`: {account BE64, key of 16 bytes} -> this: what deliveries are to remember for a time. */
struct store_disk_mark {
	uint8_t version;
	uint8_t zero[3];
	uint32_t until; /* unix seconds */
} PACKED;
/* And {account BE64} -> this: how many there are. */
struct store_disk_marks {
	uint8_t version;
	uint8_t zero[3];
	uint32_t count;
} PACKED;

/* `event`: {number BE64} -> this, then `count` ranges of UIDs (struct store_range) and the login of who did it: what
 * somebody has done to messages for which a script waits (RFC 6785), until that has run.  Numbers ascend. */
enum store_cause {
	STORE_CAUSE_APPEND = 1, /* they came */
	STORE_CAUSE_COPY,       /* they were copied or moved here */
	STORE_CAUSE_FLAG        /* flags or keywords of them changed */
};
struct store_disk_event {
	uint8_t version;
	uint8_t cause; /* enum store_cause */
	uint16_t count;
	uint16_t login_len;
	uint16_t flags;    /* FLAG: those that changed, */
	uint64_t keywords; /* and which keywords of the mailbox's */
	uint64_t account, mailbox;
	uint64_t from; /* COPY: the mailbox where they were */
	uint32_t at;   /* unix seconds */
} PACKED;
/* For whom there are rows: where a script is named, and besides for what goes to Junk and comes from there, or all. */
enum store_events { STORE_EVENTS_SCRIPTS, STORE_EVENTS_JUNK, STORE_EVENTS_ALL };
#define STORE_EVENTS_MOST 100000 /* rows: no more are kept */

/* `intent`: {number BE64} -> this, then the old and the new path: a rename of a directory that
 * is done after the commit, and at start when it was not.  Of STORE_INTENT_EMPTY the mailbox's id in
 * hexadecimal digits, and the account's name. */
struct store_disk_intent {
	uint8_t version;
	uint8_t kind; /* enum store_intent_kind */
	uint16_t from_len, to_len;
} PACKED;
/* Who does not know a kind must not write the store: with a new one the table gets a new version. */
enum store_intent_kind {
	STORE_INTENT_TREE = 1,     /* the directory with all in it */
	STORE_INTENT_MESSAGES = 2, /* only its messages' directories: children stay */
	STORE_INTENT_EMPTY = 3, /* no rename: a mailbox is deleted, its messages' rows are to go */
};
struct store_intent {
	enum store_intent_kind kind;
	struct slice from, to; /* borrow from the row */
};
/* 0; -EBADMSG: damaged; -EPROTO: of a version or kind that is not known, and two bytes long at least. */
int store_intent_parse(struct slice row, struct store_intent *i) MUSTCHECK;
/* The mailbox of such a row; 0: it is of another kind, or damaged.  *account borrows from it. */
uint64_t store_intent_empties(struct slice row, struct slice *account);

/* `pending`: {mailbox BE64, UID BE32} -> this, then count struct store_gone: messages from this UID on
 * are copies, and have no file of their own yet; the runs are their sources, in step. */
struct store_disk_pending {
	uint8_t version;
	uint8_t shown; /* 0: their COPY is not committed yet, or never was */
	uint16_t count;
	uint32_t messages;
	uint64_t source; /* mailbox */
} PACKED;

/* The tables.  The order is that of the numbers in the operation log. */
/* clang-format off */
enum store_table {
	STORE_T_META, STORE_T_ACCOUNT, STORE_T_MAILBOX, STORE_T_NAME, STORE_T_INDEX, STORE_T_CACHE,
	STORE_T_TOMBSTONE, STORE_T_PURGE, STORE_T_DUPE, STORE_T_SUB, STORE_T_INTENT,
	STORE_T_CHANGE, STORE_T_EMAIL, STORE_T_THREAD, STORE_T_ACL, STORE_T_STATE,
	STORE_T_PENDING, STORE_T_ANNOT, STORE_T_MARK, STORE_T_REF, STORE_T_EVENT, STORE_T_SEEN,
};
/* clang-format on */
#define STORE_TABLES (STORE_T_SEEN + 1)
struct store_table_info {
	const char *name;
	uint8_t version;  /* of its keys and values */
	uint8_t since;    /* major format that it came with */
	uint8_t until;    /* last major format that has it; 0 = it is there */
	uint8_t optional; /* who does not know it, or this version, may do without */
};
extern const struct store_table_info store_tables[STORE_TABLES];
/* Is it a table of this major format? */
bool store_table_in(enum store_table t, unsigned major);

/* ---- which format ------------------------------------------------------------------ */

/* `meta`: "format" -> this, then for each table struct store_disk_table and its name.  Format 1
 * has no such row. */
struct store_disk_format {
	uint8_t version;
	uint8_t zero;
	uint16_t major, minor;
	uint16_t ntables;
	int64_t created_at;  /* unix seconds */
	int64_t upgraded_at; /* 0 = it never was */
} PACKED;
struct store_disk_table {
	uint8_t version, since, optional, name_len;
} PACKED;
/* Where a program of format 1 looks for a table there is an item of this text instead: LMDB tells
 * it "MDB_INCOMPATIBLE", and it goes no further. */
#define STORE_REFUSE_V1 "this store has format 2: it needs tiermail of this format or later"

/* Days since 1970-01-01 as a record's sentday; 0 for what it cannot hold. */
static inline uint16_t
store_sentday(int64_t day)
{
	return (uint16_t)(day >= 0 && day < UINT16_MAX ? day + 1 : 0);
}

/* The first id of a new epoch: see store_disk_ids. */
uint64_t store_epoch_new(void);

/* What a store says of itself, as far as this program knows its tables. */
struct store_format {
	unsigned major, minor;
	uint32_t tables; /* bit per enum store_table that is there and can be read */
	bool older; /* a table has an older version than this program writes, or is not there */
	int64_t created_at, upgraded_at;
};
/* `row` is the value of "format"; empty = format 1.  0, or -EPROTO and *why (heap, caller frees)
 * when this program must not touch the store. */
int store_format_check(struct slice row, struct store_format *f, char **why) MUSTCHECK;
void store_format_write(struct buf *b, int64_t created_at, int64_t upgraded_at);

/* ---- names of files --------------------------------------------------------------- */

/* A component of an account or folder name as a directory name: "=" and the bytes, with
 * controls, "/", "%" and 0x7f written %XX.  Folders can thus never collide with the
 * directories of messages (two hex digits). */
void store_component_write(struct buf *b, struct slice component);
int store_component_parse(struct slice name, struct buf *b) MUSTCHECK; /* 0 or -EBADMSG */

/* The directory of an account / of a folder, relative to the partition's path. */
void store_account_dir(struct buf *b, struct slice account);
void store_folder_dir(struct buf *b, struct slice account, struct slice folder);
/* Where the files of a deleted mailbox wait for the purge. */
void store_deleted_dir(struct buf *b, uint64_t mailbox);
/* "/hh/UID.msg", to append to a folder's directory. */
void store_message_name(struct buf *b, uint32_t uid);

/* Is `name` fit to be a folder: valid UTF-8 without controls, components neither empty nor too
 * long?  On success *canonical (size STORE_NAME_MAX + 1) has the name with a leading "inbox"
 * in any case made "INBOX".  0; -ENAMETOOLONG: too long or too deep; -EINVAL. */
int store_name_check(struct slice name, char *canonical) MUSTCHECK;
/* May a folder be given this name?  `.` and `..` as a component may be there from before, but what
 * keeps mail in directories takes them for something else. */
bool store_name_new_ok(struct slice name);
/* Lower-case account name, 1..STORE_ACCOUNT_MAX printable bytes without "/".  0 or -EINVAL. */
int store_account_check(struct slice account) MUSTCHECK;

/* ---- keys ---------------------------------------------------------------------------- */
static inline void
store_be64(uint8_t *p, uint64_t v)
{
	v = __builtin_bswap64(v);
	memcpy(p, &v, 8);
}
static inline void
store_be32(uint8_t *p, uint32_t v)
{
	v = __builtin_bswap32(v);
	memcpy(p, &v, 4);
}
static inline uint64_t
store_get64(const void *p)
{
	uint64_t v;

	memcpy(&v, p, 8);
	return __builtin_bswap64(v);
}
static inline uint32_t
store_get32(const void *p)
{
	uint32_t v;

	memcpy(&v, p, 4);
	return __builtin_bswap32(v);
}

/* ---- decoding, used by readers and the writer ------------------------------------------ */

/* A mailbox record; the slices and arrays borrow from the value that was parsed. */
struct store_mailbox {
	uint64_t id, account;
	uint32_t uidvalidity, uidnext;
	uint32_t exists, unseen, deleted;
	uint32_t recent, recent_from;
	uint32_t first_unseen; /* lower bound; 0 = none */
	uint64_t highestmodseq;
	uint64_t bytes;
	int64_t created_at;
	uint64_t vanished_from;
	uint8_t attrs, special;
	uint8_t nkeywords;
	uint16_t nruns;       /* or STORE_RUNS_UNKNOWN */
	uint64_t objectid;    /* 0 = the store is of format 1 */
	const char *runs;     /* unaligned; see store_mailbox_run */
	const char *arrivals; /* unaligned; see store_mailbox_arrival */
	uint16_t arrival;     /* bytes of each */
	uint8_t narrivals;
	struct slice account_name;
	struct slice name;
	struct slice keywords[STORE_KEYWORDS]; /* an empty one: the place is free */
	uint32_t keywords_id;                  /* of all of them: equal when they are */
};
/* Keywords are sliced only when asked for: they cost.  0 or -EBADMSG. */
int store_mailbox_parse(struct slice value, uint64_t id, bool keywords,
    struct store_mailbox *m) MUSTCHECK;
bool store_mailbox_crc_ok(struct slice value);
bool store_account_crc_ok(struct slice value); /* true too where there is none */
/* The fixed part, with 0 for what an older one had not, and the news.  0 or -EBADMSG.  The checksum is
 * not looked at. */
int store_account_parse(struct slice value, struct store_disk_account *d,
    struct store_news_list *news) MUSTCHECK;
/* The room in entries of a row that has n of them: arrivals, news.  What is behind them is 0. */
size_t store_row_room(size_t n);
struct store_news store_news_at(const struct store_news_list *list, size_t i);
/* The places at the end of a row of `cache`: how many; *p is the first, unaligned. */
size_t store_cache_places(struct slice value, const char **p);
struct store_place_entry store_place_at(const char *p, size_t i);
/* The fixed part, with 0 for what an older one had not.  0 or -EBADMSG. */
int store_mailbox_head(struct slice value, struct store_disk_mailbox *d) MUSTCHECK;
struct store_range store_mailbox_run(const struct store_mailbox *m, size_t i);
struct store_record store_mailbox_arrival(const struct store_mailbox *m, size_t i);
/* Of all other bytes: when the mailbox's record is damaged, its arrivals may still be good. */
uint16_t store_arrival_check(const struct store_record *rec);
/* Is the message with this UID an arrival of the mailbox with this row?  False too when the row is
 * damaged. */
bool store_mailbox_arrived(struct slice row, uint32_t uid);
/* A value into the `size` bytes of *to, by its length: a tail is skipped, what is missing is 0.
 * -EBADMSG when it is shorter than `least`, its size in the oldest format. */
int store_value_read(struct slice value, size_t least, void *to, size_t size) MUSTCHECK;
#endif
