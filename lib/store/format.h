/* store/format.h: what the message store looks like on disk (tiermail-store(5) to the byte),
 * and the words that readers, the writer and the protocol share.
 *
 * One partition is one LMDB environment in PATH/index/ and a tree of message files.  All
 * numbers in values are little-endian and unaligned (packed structs); numbers in keys are
 * big-endian so that they sort.  Every value begins with a version byte. */
#ifndef STORE_FORMAT_H
#define STORE_FORMAT_H
#include "base/buf.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the store's records are little-endian and read in place"
#endif

#define STORE_VERSION     1   /* of every record */
#define STORE_SEPARATOR   '/' /* between the components of a folder name */
#define STORE_NAME_MAX    440 /* bytes of a folder name, UTF-8 */
#define STORE_PART_MAX    200 /* bytes of one component as a directory name */
#define STORE_DEPTH_MAX   32
#define STORE_ACCOUNT_MAX 240 /* bytes of an account name */
#define STORE_KEYWORDS    64  /* distinct keywords in a mailbox */
#define STORE_KEYWORD_MAX 100 /* bytes of one */
#define STORE_BLOCK       32  /* UIDs in an index block: block = uid / 32 */
#define STORE_RUNS        64  /* runs of UIDs that a mailbox record remembers */

/* System flags, as bits of store_record.flags.  \Recent is not stored: see recent_from. */
enum store_flag {
	STORE_SEEN = 1, STORE_ANSWERED = 2, STORE_FLAGGED = 4, STORE_DELETED = 8, STORE_DRAFT = 16,
};
#define STORE_FLAGS_ALL 31

/* Use of a folder, RFC 6154. */
enum store_special {
	STORE_USE_NONE, STORE_USE_DRAFTS, STORE_USE_SENT, STORE_USE_JUNK, STORE_USE_TRASH,
	STORE_USE_ARCHIVE, STORE_USE_ALL, STORE_USE_FLAGGED,
};
#define STORE_USE_MAX STORE_USE_FLAGGED
/* "\\Sent" and so on; NULL for STORE_USE_NONE. */
const char *store_special_name(enum store_special use);

/* Attributes of a mailbox. */
enum store_attr { STORE_NOSELECT = 1 /* a bare name: deleted while it had children */ };

/* One message in an index block; `index`: {mailbox BE64, block BE32} -> header, records by uid. */
struct store_record {
	uint32_t uid;
	uint32_t size;         /* RFC822.SIZE: the file's bytes */
	uint64_t modseq;       /* RFC 7162; the account's counter at the last change */
	uint64_t keywords;     /* bits: index in the mailbox's keyword names */
	int64_t internaldate;  /* unix seconds */
	uint32_t savedate;     /* RFC 8514, unix seconds */
	uint16_t flags;        /* enum store_flag */
	int16_t zone;          /* of internaldate, minutes east */
	uint64_t emailid;      /* the content: equal for copies; key of `cache` */
	uint64_t threadid;
} PACKED;
_Static_assert(sizeof(struct store_record) == 56, "store_record is 56 bytes on disk");

struct store_block_head {
	uint8_t version;
	uint8_t count;         /* 1..32 records follow */
	uint16_t zero;
} PACKED;

/* A run of UIDs, first <= last. */
struct store_range {
	uint32_t first, last;
};

/* Limits of an account, from the directory, with each request; 0 = no limit. */
struct store_limits {
	uint64_t bytes, messages;
};

/* `mailbox`: {mailbox BE64} -> this, then nruns runs (8 bytes each), the account's name, the
 * folder's name, the keywords (a length byte each). */
struct store_disk_mailbox {
	uint8_t version;
	uint8_t attrs;         /* enum store_attr */
	uint8_t special;       /* enum store_special */
	uint8_t nkeywords;
	uint32_t crc;          /* CRC-32C of the whole value with this field 0 */
	uint64_t account;      /* id */
	uint32_t uidvalidity;
	uint32_t uidnext;
	uint32_t exists;
	uint32_t unseen;
	uint32_t deleted;      /* messages with \Deleted */
	uint32_t recent;       /* messages with uid >= recent_from */
	uint32_t recent_from;
	uint32_t first_unseen; /* no unseen message has a smaller uid; 0 = none is unseen */
	uint64_t highestmodseq;
	uint64_t bytes;
	int64_t created_at;
	uint64_t vanished_from; /* tombstones up to this modseq have been dropped */
	uint16_t nruns;        /* runs of UIDs; STORE_RUNS_UNKNOWN = too many, scan the index */
	uint16_t account_len;
	uint16_t name_len;
	uint16_t zero;
} PACKED;
#define STORE_RUNS_UNKNOWN 0xffff

/* `account`: {name} -> this. */
struct store_disk_account {
	uint8_t version;
	uint8_t zero[3];
	uint32_t crc;
	uint64_t id;
	uint64_t modseq;       /* the account's modification counter */
	uint64_t bytes;        /* usage */
	uint64_t messages;
	uint32_t uidvalidity;  /* the last one given out */
	uint32_t mailboxes;
	int64_t created_at;
} PACKED;

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
	uint64_t account, mailbox, email, thread; /* the next ones */
	uint64_t tag;          /* top 16 bits of every id of this partition */
	uint64_t batch;        /* number of the last committed batch */
} PACKED;

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

/* `tomb`: {mailbox BE64, modseq BE64, number BE32} -> this, then struct store_range. */
struct store_disk_tomb {
	uint8_t version;
	uint8_t zero[3];
	uint32_t at;           /* unix seconds of the expunge */
} PACKED;

/* `dupe`: {number BE64} -> this, then count keys of 16 bytes.  One row for a batch. */
struct store_disk_dupe {
	uint8_t version;
	uint8_t zero[3];
	uint32_t at;
} PACKED;

/* `intent`: {number BE64} -> this, then the old and the new path: a rename of a directory that
 * is done after the commit, and at start when it was not. */
struct store_disk_intent {
	uint8_t version;
	uint8_t kind;          /* enum store_intent */
	uint16_t from_len, to_len;
} PACKED;
enum store_intent {
	STORE_INTENT_TREE = 1,     /* the directory with all in it */
	STORE_INTENT_MESSAGES = 2, /* only its messages' directories: children stay */
};

/* The tables, in the order of opening. */
enum store_table {
	STORE_T_META, STORE_T_ACCOUNT, STORE_T_MAILBOX, STORE_T_NAME, STORE_T_INDEX, STORE_T_CACHE,
	STORE_T_TOMB, STORE_T_PURGE, STORE_T_DUPE, STORE_T_SUB, STORE_T_INTENT,
};
#define STORE_TABLES (STORE_T_INTENT + 1)
extern const char *const store_table_names[STORE_TABLES];

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
 * in any case made "INBOX".  0 or -EINVAL. */
int store_name_check(struct slice name, char *canonical) MUSTCHECK;
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
	uint32_t first_unseen;  /* lower bound; 0 = none */
	uint64_t highestmodseq;
	uint64_t bytes;
	int64_t created_at;
	uint64_t vanished_from;
	uint8_t attrs, special;
	uint8_t nkeywords;
	uint16_t nruns;         /* or STORE_RUNS_UNKNOWN */
	const char *runs;       /* unaligned; see store_mailbox_run */
	struct slice account_name;
	struct slice name;
	struct slice keywords[STORE_KEYWORDS];
};
/* Keywords are sliced only when asked for: they cost.  0 or -EBADMSG. */
int store_mailbox_parse(struct slice value, uint64_t id, bool keywords, struct store_mailbox *m)
    MUSTCHECK;
bool store_mailbox_crc_ok(struct slice value);
struct store_range store_mailbox_run(const struct store_mailbox *m, size_t i);
/* The records of an index value, or NULL when it is damaged. */
const struct store_record *store_block_parse(struct slice value, size_t *n);
#endif
