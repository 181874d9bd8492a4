/* store/request.h: requests to stored and its replies, bytes <-> structs: tiermail-store(7).
 *
 * A packet on the SEQPACKET socket is a struct store_head and a piece of a body; a body that
 * does not fit in one packet goes on in the next (STORE_MORE), pieces of different bodies are
 * never mixed.  Bodies are packed little-endian structs with counted tails.  Nothing here
 * does I/O. */
#ifndef STORE_REQUEST_H
#define STORE_REQUEST_H
#include "base/arena.h"
#include "store/client.h"

#define STORE_PROTOCOL   1
#define STORE_PIECE      (96 * 1024)       /* bytes of a body in one packet */
#define STORE_BODY_MAX   (16 * 1024 * 1024) /* longest body */
#define STORE_BODIES_MAX 16                /* files in one reply */

enum store_verb {
	STORE_V_PING = 1,
	STORE_V_HELLO,       /* name = who */
	STORE_V_BODIES,      /* name = partition, count */
	STORE_V_RELEASE,     /* modseq = token */
	STORE_V_WATCH,       /* how = 1 or 0 */
	STORE_V_DELIVER,     /* messages[0], targets */
	STORE_V_APPEND,      /* mailbox, messages, limits */
	STORE_V_ACCOUNT,     /* name = account, name2 = partition */
	STORE_V_CREATE,      /* account, name, how = use */
	STORE_V_DELETE,      /* account, name */
	STORE_V_RENAME,      /* account, name, name2 */
	STORE_V_SUBSCRIBE,   /* account, name, how = 1 or 0 */
	STORE_V_FLAGS,       /* mailbox, ranges, how, flags, keywords, STORE_CONDITIONAL + modseq */
	STORE_V_EXPUNGE,     /* mailbox, ranges, STORE_ANY */
	STORE_V_COPY,        /* mailbox, ranges, mailbox2, limits */
	STORE_V_MOVE,        /* mailbox, ranges, mailbox2 */
	STORE_V_CLAIM,       /* mailbox */
	STORE_V_ADOPT,       /* reconstruct: mailbox, messages with uid whose files are there */
	STORE_V_RECOUNT,     /* reconstruct: account; counts and usage anew from the index */
	STORE_V_SNAPSHOT,    /* name = partition: a copy of its index */
	STORE_V_PURGED,      /* internal of stored, never on the socket */
	STORE_V_REPLY = 64,
	STORE_V_EVENT,       /* struct store_event, any number */
};
#define STORE_V_LAST STORE_V_SNAPSHOT

struct store_head {
	uint8_t protocol;
	uint8_t verb;
	uint16_t flags;      /* STORE_MORE */
	uint32_t id;         /* chosen by the client, unique among its pending requests */
} PACKED;
#define STORE_MORE 1

#define STORE_CONDITIONAL 1  /* options of FLAGS */
#define STORE_ANY         2  /* options of EXPUNGE: whether \Deleted or not */

struct store_request {
	enum store_verb verb;
	uint32_t id;
	uint64_t account, mailbox, mailbox2, modseq;
	struct store_limits limits;
	uint32_t count;
	uint16_t flags;
	uint8_t how, options;
	struct slice name, name2, keywords;
	const struct store_range *ranges; size_t nranges;
	struct store_message *messages;   size_t nmessages;
	struct store_target *targets;     size_t ntargets;
};

/* The body.  Appends. */
void store_request_write(struct buf *b, const struct store_request *r);
/* Checks every length, every count, ranges for order; what needs memory is made in `a`,
 * slices borrow from `body`.  verb and id come from the head and are left alone.
 * 0 or -EBADMSG. */
int store_request_parse(struct slice body, struct arena *a, struct store_request *r) MUSTCHECK;

void store_reply_write(struct buf *b, const struct store_reply *r);
int store_reply_parse(struct slice body, struct arena *a, struct store_reply *r) MUSTCHECK;

/* Keywords in a string, separated by SP: the next one off the front. */
bool store_keyword_next(struct slice *rest, struct slice *word);
bool store_keyword_ok(struct slice word); /* an IMAP atom, not too long */

/* ---- pieces ------------------------------------------------------------------------------- */
struct ipc;
/* Sends head and body in as many packets as it takes; descriptors go with the first.
 * 0 or -errno. */
int store_send(struct ipc *c, enum store_verb verb, uint32_t id, struct slice body, const int *fds,
    size_t nfds) MUSTCHECK;
/* Puts pieces together.  Returns 1 when a body is complete (*body borrows from `packet` or
 * from b until the next call), 0 when more follows, -EBADMSG. */
struct store_joiner {
	struct buf b;
	struct store_head head;
	bool joining;
};
int store_join(struct store_joiner *j, struct slice packet, struct store_head *head,
    struct slice *body) MUSTCHECK;
#endif
