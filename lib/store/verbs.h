/* store/verbs.h: what stored can be asked, in one table: tiermail-store(7).
 *
 * The table is what requests are written, read, checked, sent to their partition and allowed by;
 * a new verb is a line in verbs.c and, when it is for the writer, its function in
 * writer/verbs.c. */
#ifndef STORE_VERBS_H
#define STORE_VERBS_H
#include "base/slice.h"

/* Numbers are never used again for anything else. */
enum store_verb {
	STORE_V_PING = 1,
	STORE_V_HELLO = 2,
	STORE_V_BODIES = 3,
	STORE_V_RELEASE = 4,
	STORE_V_WATCH = 5,
	STORE_V_DELIVER = 6,
	STORE_V_APPEND = 7,
	STORE_V_ACCOUNT = 8,
	STORE_V_CREATE = 9,
	STORE_V_DELETE = 10,
	STORE_V_RENAME = 11,
	STORE_V_SUBSCRIBE = 12,
	STORE_V_FLAGS = 13,
	STORE_V_EXPUNGE = 14,
	STORE_V_COPY = 15,
	STORE_V_MOVE = 16,
	STORE_V_RESERVE = 17,
	STORE_V_RELINK = 18,
	STORE_V_RECOUNT = 19,
	STORE_V_SNAPSHOT = 20,
	/* 21 was internal to the first version. */
	STORE_V_SETTLE = 22,
	STORE_V_FORGET = 23,
	STORE_V_MEND = 24,
	STORE_V_REPLACE = 25,
	STORE_V_ACL = 26,
	STORE_V_ANNOTATE = 27,
	STORE_V_RESTORE = 29,
	STORE_V_ERASE = 32,
	STORE_V_RENAME_ACCOUNT = 33,
	STORE_V_LOGIN = 34,
	STORE_V_ORPHAN = 35,
	STORE_V_FREEZE = 36,
	STORE_V_WARN = 37,
	STORE_V_KNOW = 40,
	STORE_V_RETHREAD = 41,
	STORE_V_DOMAIN = 42,
	STORE_V_HANDLED = 43,
	STORE_V_LEAVE = 44,
	STORE_V_REPLY = 64,
	STORE_V_EVENT = 65,
};
#define STORE_V_LAST STORE_V_LEAVE

/* Tags of the fields of a request. */
enum store_request_field {
	STORE_F_ACCOUNT = 1,
	STORE_F_MAILBOX,
	STORE_F_MAILBOX2,
	STORE_F_SINCE,
	STORE_F_TOKEN,
	STORE_F_LIMIT_BYTES,
	STORE_F_LIMIT_MESSAGES,
	STORE_F_COUNT,
	STORE_F_FLAGS,
	STORE_F_HOW,
	STORE_F_USE,
	STORE_F_YES,
	STORE_F_OPTIONS,
	STORE_F_NAME,
	STORE_F_NAME2,
	STORE_F_PARTITION,
	STORE_F_KEYWORDS,
	STORE_F_RANGES,
	STORE_F_MESSAGES,
	STORE_F_TARGETS,
	STORE_F_EMAILS,
	STORE_F_MIN,
	STORE_F_MAX,
	STORE_F_FEATURES,
	STORE_F_PID,
	STORE_F_ANNOTATIONS,
	STORE_F_QUESTIONS = 40,
	STORE_F_DOMAIN_BYTES = 41,
	STORE_F_DOMAIN_MESSAGES = 42,
	STORE_F_GROUPS = 43,
	STORE_F_UNSURE = 44,
};

/* Who asks: which of our programs, told by the user that it runs as. */
enum store_role {
	STORE_ROLE_LMTPD = 1,
	STORE_ROLE_IMAPD = 2,
	STORE_ROLE_POP3D = 4,
	STORE_ROLE_JMAPD = 8,
	STORE_ROLE_STORECTL = 16,
};
#define STORE_ROLES_ALL 31

/* Where a request is carried out. */
enum store_home {
	STORE_AT_SOCKET,    /* by stored's loop, at once */
	STORE_AT_ACCOUNT,   /* in the partition of the account's id */
	STORE_AT_MAILBOX,   /* in that of the mailbox's */
	STORE_AT_PARTITION, /* in the one that is named */
	STORE_AT_NAME,      /* where the account of that name lives */
	STORE_AT_TARGETS,   /* where each target lives */
};

enum store_verb_flag {
	STORE_VF_ALONE = 1,  /* the only one in its batch: directories move after the commit */
	STORE_VF_SPACE = 2,  /* takes space: refused while the partition is full */
	STORE_VF_BODIES = 4, /* its messages are bodies that the client holds */
	STORE_VF_CHANGE = 8, /* changes what users see; the others may be asked twice */
	STORE_VF_ASIDE = 16, /* not for the writer's thread: the snapshot thread has it */
};

struct store_request;
struct store_verb_info {
	enum store_verb verb;
	const char *name; /* for logs and tiermail-store(7) */
	enum store_home home;
	unsigned flags; /* enum store_verb_flag */
	unsigned who;   /* enum store_role bits */
	uint8_t since;  /* level of the protocol, see STORE_LEVEL */
	const char *(*check)(const struct store_request *r); /* why not, or NULL; may be NULL */
	uint64_t needs; /* STORE_BIT()s of fields that must be there */
	uint64_t may;   /* and of those that may be there besides */
};
/* NULL for a number that is no request. */
const struct store_verb_info *store_verb_find(unsigned verb);
/* "flags", "reply", or "unknown". */
const char *store_verb_name(unsigned verb);
/* "imapd,storectl"; static, until the next call. */
const char *store_roles_name(unsigned roles);
#endif
