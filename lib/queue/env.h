/* queue/env.h: the envelope of a queued message, its text form in a queue file, and the
 * journal behind the body.  Pure: bytes in, structs out.  Format to the byte: tiermail-queue(5).
 *
 * A parsed envelope's strings live in the arena that was given to the parser.  For writing,
 * strings are borrowed until the call returns. */
#ifndef QUEUE_ENV_H
#define QUEUE_ENV_H
#include "base/arena.h"
#include "base/buf.h"
#include "mail/verdict.h"

#define QUEUE_ID_LEN        13 /* random_id: the message, the same in all its files and log lines */
#define QUEUE_NAME_LEN      20 /* ZZ + id + copy number (2, base 36) + ".00" */
#define QUEUE_ATTEMPTS      1295 /* what the countdown in the name can say */
#define QUEUE_RCPT_MAX      10000
#define QUEUE_FILE_RCPTS    1000 /* of one file that we write: one transaction of LMTP */
#define QUEUE_MESSAGE_RCPTS 30000
#define QUEUE_BODIES        18 /* that recipients of a message can get: each is written as a whole */
#define QUEUE_ARCHIVES      4  /* bodies besides, for archives */
#define QUEUE_HEADER_MAX    (8 * 1024 * 1024)

enum qprio { QPRIO_URGENT, QPRIO_NORMAL, QPRIO_NONURGENT, QPRIO_N };
enum qbody { QBODY_7BIT, QBODY_8BIT, QBODY_BINARY };
enum qret { QRET_NONE, QRET_FULL, QRET_HDRS }; /* RFC 3461 4.3; NONE = not given */
enum qnotify {                                 /* RFC 3461 4.1; 0 = not given */
	QNOTIFY_NEVER = 1,
	QNOTIFY_SUCCESS = 2,
	QNOTIFY_FAILURE = 4,
	QNOTIFY_DELAY = 8
};
/* What its sender wants of TLS on the way (RFC 8689): more than others, or nothing. */
enum qtls { QTLS_NONE, QTLS_REQUIRED, QTLS_OPTIONAL };
/* A report about this message, or a copy of it, on its way: see queue/aside.h. */
enum qreport { QREPORT_NONE, QREPORT_TRIED, QREPORT_QUEUED };
enum qstate { QSTATE_PENDING, QSTATE_DELIVERED, QSTATE_FAILED, QSTATE_DISCARDED };

struct qrcpt {
	/* From the writer. */
	const char *addr;   /* active address: where it is sent to */
	const char *orcpt;  /* ORCPT as given, decoded: "rfc822;user@x"; NULL when absent */
	const char *final;  /* address as it stood in RCPT TO, when it differs from addr; or NULL */
	int notify;         /* QNOTIFY_ bits */
	bool archive;       /* writer only: a copy that nobody has asked for: in no time */
	bool sent;          /* the copy for the Sent folder of him who has sent it */
	int64_t release_at; /* writer only: his file's, later than the message's; 0 = as that */
	const char *channel; /* writer only: which channel ... */
	const char *dest;    /* ... and destination: one file for each distinct pair */
	const char *hold;    /* writer only: why this recipient's file begins as .HELD, or NULL */
	/* Writer only: envelope sender of this recipient's file, a list's, for errors; NULL: the
	 * message's.  Such a file has neither ENVID nor RET: they are the other sender's. */
	const char *sender;
	bool
	    again; /* writer only: the channel expands it once more, and who has it is told (env.known) */
	unsigned part; /* writer only: those of another number do not share a file with it */
	unsigned body; /* writer only: which of the message's bodies this recipient gets, from 0 */
	/* From the journal. */
	enum qstate state;
	bool deferred;        /* `last` is a temporary failure of a pending recipient */
	bool changed;         /* set by qread_result since the last journal write */
	int64_t at;           /* when `state` or `last` was recorded; 0 = never tried */
	struct verdict *last; /* the latest verdict; NULL = never tried */
	const char *mta;      /* the host that gave it ("mx1.example [192.0.2.1]"); or NULL */
};

/* Members of lists that have the message, a piece of them after the other. */
struct qmembers {
	struct qmembers *next;
	struct slice sums; /* of their names, 16 octets each (expand/sums.h) */
};
/* Who was told that members of his list cannot be reached. */
struct qtold {
	struct qtold *next;
	const char *to;
};

struct qenv {
	char qid[QUEUE_ID_LEN + 1]; /* message id, made by random_id at MAIL */
	const char *source; /* source channel or listener role: "tcp_local", "submit", "notice" */
	const char *sender; /* without <>; "" is the null sender */
	const char *envid;  /* ENVID decoded, NULL when absent */
	enum qret ret;
	enum qprio prio;
	/* DELIVERBY (RFC 2852): unix seconds, 0 = nothing was asked; past it the message is returned, or its sender
	 * told (by_notify) while it goes on; by_trace: he is told of each relay. */
	int64_t by_at;
	bool by_notify, by_trace;
	int priority; /* MT-PRIORITY (RFC 6710), -9 .. 9, told the next host; 0 when there was none */
	enum qtls tls;
	enum qbody body;
	bool utf8;          /* SMTPUTF8 was given */
	const char *auth;   /* authenticated account, or NULL */
	const char *client; /* who gave it: "192.0.2.7", "local", or NULL */
	const char *helo;   /* its EHLO name, or NULL */
	const char
	    *language; /* that its sender prefers (preferredLanguage of the directory), or NULL */
	bool inside; /* from our users, programs or hosts: addresses of its header are rewritten */
	int64_t arrival_ms; /* unix ms */
	struct qrcpt *rcpts;
	size_t nrcpt;
	bool
	    aside; /* all of it is queued aside, to be shown later: queue/aside.h; of a file: it is not shown yet */
	/* Kept until then, as the sender wants it (RFC 4865): unix seconds, 0 = goes at once; and what was asked:
	 * "for;3600", "until;2026-11-22T08:20:01Z".  Of all files of the message, of which there are `files`. */
	int64_t release_at;
	const char *release_asked;
	uint32_t files;     /* the writer counts them; 0 = it was not written down */
	struct slice known; /* who gets the message beside the recipients that are expanded: sums */

	/* Of one file (readers; the writer fills them in). */
	const char *channel, *dest;
	uint64_t header_len, body_len; /* the body starts at header_len */
	uint32_t body_crc;
	/* From the journal. */
	uint32_t attempts;   /* failed attempts so far */
	uint32_t notices;    /* delay warnings sent */
	int64_t next_at;     /* when to try next, 0 = at once; of a new message release_at */
	const char *held;    /* why it was held, or NULL */
	const char *kept;    /* of one that is aside: why it stays held when it is shown, or NULL */
	enum qreport report; /* the one that is on its way, ... */
	char report_id[QUEUE_ID_LEN + 1]; /* ... its id */
	uint32_t reports;                 /* reports, copies and pieces queued so far */
	struct qmembers *members; /* those of lists that are in the queue, the last piece first */
	struct qtold *told;
};

/* Until when he is to have it, 0 = any time: copies that nobody has asked for, in a Sent folder or an archive, are in no
 * hurry. */
int64_t qenv_by_at(const struct qenv *env, const struct qrcpt *r);
/* Appends the header of one file (for env->rcpts[i] with i in pick[0..npick)), END included.
 * `name` is the file's id part (15 characters).  Its length depends only on the envelope, not
 * on the numbers, which are written in fixed width. */
void qenv_write(struct buf *b, const struct qenv *env, const char *id, const uint32_t *pick,
    size_t npick);
/* The same number of bytes, recognisable as unfinished. */
void qenv_write_blank(struct buf *b, size_t len);

/* What is wrong with a file's header. */
enum qbad {
	QBAD_NONE,
	QBAD_TORN,    /* no whole header: never acknowledged, may be removed */
	QBAD_DAMAGED, /* finished once, damaged since: to be held */
};
/* `head` is the beginning of the file (whole header), `size` the file's size, `id` the id part
 * of the file's name ("" = do not compare).  Fills env from the arena. */
enum qbad qenv_parse(struct slice head, uint64_t size, const char *id, struct arena *a,
    struct qenv *env, const char **why) MUSTCHECK;
/* How many bytes of header a file has, from its first QENV_FIRST bytes; 0 when they are not
 * the beginning of a finished header. */
#define QENV_FIRST 79 /* the first line has this length exactly */
uint64_t qenv_header_len(struct slice first);

/* Journal: lines appended behind the body.  qjournal_parse applies every good line to env and
 * stops at the first torn or damaged one; returns the number of bytes that were good.  `id` (the
 * file's, 15 characters) is part of each line's CRC. */
size_t qjournal_parse(struct slice journal, const char *id, struct arena *a, struct qenv *env);
/* Appends a line for each recipient with `changed` (and clears it). */
void qjournal_rcpts(struct buf *b, const char *id, struct qenv *env);
/* The lines in b, if there are several, are one step: a reader takes all of them or none, so that no process
 * that is killed, and no power cut, leaves recipients who have failed and no word of the report about it. */
void qjournal_step(struct buf *b, const char *id);
void qjournal_attempt(struct buf *b, const char *id, uint32_t attempts, int64_t next_at);
void qjournal_notice(struct buf *b, const char *id, uint32_t notices, int64_t at);
void qjournal_report(struct buf *b, const char *id, const char *report, const char *state);
void qjournal_members(struct buf *b, const char *id, struct slice sums);
void qjournal_told(struct buf *b, const char *id, const char *to, int64_t at);
void qjournal_held(struct buf *b, const char *id, struct slice why, int64_t at);
void qjournal_released(struct buf *b, const char *id, int64_t at);

size_t qenv_pending(const struct qenv *env); /* recipients still to be delivered */

/* Names.  id: QUEUE_ID_LEN characters and the copy number. */
#define QUEUE_FILE_ID_LEN (QUEUE_ID_LEN + 2)
/* The id of the n-th file of a message (from 0), which follows that of the file before it (of the first: the
 * message's id). */
void queue_copy_id(char id[QUEUE_FILE_ID_LEN + 1], const char *before, size_t n);
/* Writes "ZZ<id>.00" for `attempts`; held: ".HELD". */
char *queue_name(char dst[QUEUE_NAME_LEN + 4], const char *id, uint32_t attempts, bool held);
/* Takes a file name apart; false when it is not one of ours. */
bool
queue_name_parse(struct slice name, char id[QUEUE_FILE_ID_LEN + 1], uint32_t *attempts, bool *held);

const char *qprio_word(enum qprio p); /* "urgent" "normal" "nonurgent" */
int qprio_parse(struct slice s);      /* -1 when unknown */
const char *qstate_word(enum qstate s);
const char *qenv_tls_word(enum qtls t); /* "required" "optional", or NULL */
#endif
