/* message/parse.h: the one hand-over of a message to the work pool.
 *
 * Whoever has a large message in hand (just written, or about to be shown or searched) gives it
 * here and gets back what he asked for; small ones are done at once by message_parse_now.  The
 * object owns all that the thread touches, so that its session may go at any time: the work is
 * then told to stop, and frees itself. */
#ifndef MESSAGE_PARSE_H
#define MESSAGE_PARSE_H
#include "message/match.h"
#include "message/message.h"
#include "net/work.h"
#include "store/client.h"

/* What to make of the message. */
enum {
	MESSAGE_WANT_DIGEST = 1,    /* `digest`, for the store */
	MESSAGE_WANT_TREE = 2,      /* message.mime */
	MESSAGE_WANT_ENVELOPE = 4,  /* message.digest.envelope and its bit, from the tree */
	MESSAGE_WANT_STRUCTURE = 8, /* the same of BODYSTRUCTURE */
	MESSAGE_WANT_MATCH = 16,    /* `match` runs to its end, or `matched` says it may stop */
	MESSAGE_WANT_PREVIEW = 64,  /* message.preview */
	MESSAGE_WANT_BYTES = 32     /* bytes from..to of the file are in memory */
};

struct message_parse {
	/* set by the caller, after message_parse_new */
	struct message message; /* with its file open; comes back so */
	unsigned want;
	struct message_query *query;             /* MESSAGE_WANT_MATCH; must live as long as this */
	bool (*matched)(struct message_parse *); /* on any thread: is the answer known? */
	void (*free)(struct message_parse *);    /* may be NULL: gives `owned` back */
	void *owned;                             /* the caller's */
	uint64_t from, to;
	/* what was made */
	int error; /* the file cannot be mapped, or read: -errno */
	struct buf digest;
	struct message_match match;
	bool over; /* of the match: nothing more will be known */
	/* kept */
	bool borrows; /* the file is the writer's body */
	struct store_client *store;
	struct store_body body; /* left here by a writer that went first */
	struct loop *loop;
	struct op *op;
	uint64_t user;
	void (*done)(void *arg);
	void *arg;
};

struct message_parse *message_parse_new(unsigned want);
/* One that makes the digest of a body of stored's that has just been written.  The file stays the
 * writer's; a writer that goes before the work is over leaves it here (message_parse_leave), and
 * it goes back to stored when nobody reads it any more: giving it back cuts it off. */
struct message_parse *
message_parse_body(struct store_client *c, const struct store_body *body, uint64_t size);
void message_parse_leave(struct message_parse *p, struct store_body *body);
/* On this thread, at once. */
void message_parse_now(struct message_parse *p);
/* On the pool, as work of `user` (net/work.h); then done(arg) on the loop.  After op_cancel the
 * work stops soon and `p` frees itself.  A match gives its slot back between slices of time. */
void message_parse_start(struct message_parse *p, struct loop *l, struct op *op, uint64_t user,
    void (*done)(void *arg), void *arg);
void message_parse_free(struct message_parse **p);
#endif
