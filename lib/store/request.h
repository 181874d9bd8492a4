/* store/request.h: requests to stored and its replies, bytes <-> structs: tiermail-store(7).
 *
 * A packet on the SEQPACKET socket is a struct store_head, in the first packet of a body the
 * actor's and the trace's bytes, and a piece of the body; a body that does not fit in one packet
 * goes on in the next (STORE_MORE), pieces of different bodies are never mixed.  Bodies are
 * fields (fields.h); which ones a request has is in its verb's line (verbs.h). */
#ifndef STORE_REQUEST_H
#define STORE_REQUEST_H
#include "base/arena.h"
#include "store/annot.h"
#include "store/client.h"
#include "store/verbs.h"

#define STORE_PROTOCOL     2                  /* of the packets: this layout, for good */
#define STORE_LEVEL_MIN    2                  /* of the verbs and fields: what we can speak, */
#define STORE_LEVEL        2                  /* and like best; agreed in HELLO */
#define STORE_PIECE        (96 * 1024)        /* bytes of a body in one packet */
#define STORE_BODY_MAX     (16 * 1024 * 1024) /* longest body */
#define STORE_BODIES_MAX   16                 /* files in one reply */
#define STORE_MESSAGES_MAX 4096               /* in one request */
#define STORE_ACTOR_MAX    STORE_ACCOUNT_MAX
#define STORE_TRACE_MAX    64

struct store_head {
	uint8_t protocol;
	uint8_t verb;
	uint16_t flags; /* STORE_MORE */
	uint32_t id;    /* chosen by the client, unique among its pending requests; 0 = no reply */
	uint8_t actor_len; /* both 0 but in the first packet of a body */
	uint8_t trace_len;
	uint16_t zero;
	uint32_t zero2;
} PACKED;
_Static_assert(sizeof(struct store_head) == 16, "store_head is 16 bytes on the wire");
#define STORE_MORE 1

/* What a packet's head says, with the two texts behind it. */
struct store_label {
	unsigned verb;
	uint32_t id;
	struct slice actor; /* the login for which this is asked; "" = for the program itself */
	struct slice trace; /* the session's id in logs, "" = none */
};

#define STORE_CONDITIONAL 1 /* options of FLAGS and ANNOTATE */
#define STORE_ANY         2 /* options of EXPUNGE: whether \Deleted or not */
#define STORE_UNUSED      4 /* options of ERASE: not if it has messages */
#define STORE_EMPTY                                                                                \
	8 /* options of DELETE: not if it has messages that are not marked as deleted, */
#define STORE_LEAF  16 /* nor if it has folders below it */
#define STORE_QUIET 32 /* options of FLAGS: it is a script's, and no event for one */

struct store_request {
	enum store_verb verb;
	uint32_t id;
	struct slice actor, trace;
	struct slice groups; /* the actor's: struct store_person */
	bool unsure;
	/* The fields.  Which of them a verb has: verbs.c. */
	uint64_t account, mailbox, mailbox2;
	uint64_t
	    since; /* FLAGS and ANNOTATE with STORE_CONDITIONAL: only what has not changed after it; MEND: a modseq */
	uint64_t token; /* RELEASE */
	struct store_limits limits;
	uint32_t count; /* BODIES: files; MEND: a UIDVALIDITY; ACL: rights */
	uint16_t flags; /* enum store_flag */
	uint8_t how;    /* enum store_how */
	uint8_t use;    /* enum store_special; LOGIN: enum store_login; FREEZE: enum store_freeze */
	bool yes;       /* WATCH, SUBSCRIBE: on or off */
	uint8_t options;
	struct slice name, name2, partition, keywords;
	const struct store_range *ranges;
	size_t nranges;
	struct store_message *messages;
	size_t nmessages;
	struct store_target *targets;
	size_t ntargets;
	const uint64_t *emails;
	size_t nemails;
	struct store_annotation *annotations;
	size_t nannotations;
	struct store_question *questions;
	size_t nquestions;
	/* HELLO */
	uint16_t min, max; /* levels that the client speaks */
	uint64_t features; /* none yet */
	uint32_t pid;
};

static inline void
store_request_by(struct store_request *r, struct store_person who)
{
	r->actor = who.login;
	r->groups = who.groups;
	r->unsure = who.unsure;
}
static inline struct store_person
store_request_person(const struct store_request *r)
{
	return (struct store_person){ r->actor, r->groups, r->unsure };
}

/* The body of r->verb.  Appends. */
void store_request_write(struct buf *b, const struct store_request *r);
/* Checks every length and count, ranges for order, that what the verb needs is there, and what
 * the verb's own check says; what needs memory is made in `a`, slices borrow from `body`.  *r has
 * verb and label already and is else zeroed.  0; -EBADMSG; -EOPNOTSUPP: a verb or a critical field
 * that we do not know.  *why says which, static until the next call. */
int store_request_parse(struct slice body, struct arena *a, struct store_request *r,
    const char **why) MUSTCHECK;

void store_reply_write(struct buf *b, const struct store_reply *r);
int store_reply_parse(struct slice body, struct arena *a, struct store_reply *r) MUSTCHECK;

/* Keywords in a string, separated by SP: the next one off the front. */
bool store_keyword_next(struct slice *rest, struct slice *word);
bool store_keyword_ok(struct slice word); /* an IMAP atom, not too long */

/* ---- pieces ------------------------------------------------------------------------------- */
struct ipc;
/* Sends label and body in as many packets as it takes; descriptors go with the first.
 * 0 or -errno. */
int store_send(struct ipc *c, const struct store_label *l, struct slice body, const int *fds,
    size_t nfds) MUSTCHECK;
/* A refusal that a peer of protocol 1 understands, to its request `id`. */
int store_refuse_old(struct ipc *c, uint32_t id, const struct verdict *v) MUSTCHECK;
/* Puts pieces together.  Returns 1 when a body is complete (*body and the label's texts borrow
 * from `packet` or from b until the next call), 0 when more follows, -EBADMSG, or
 * -EPROTONOSUPPORT: a packet of another protocol, l->verb is its number and l->id the id, if it is
 * protocol 1. */
struct store_joiner {
	struct buf b; /* actor, trace, the pieces so far */
	struct store_head head;
	bool joining;
};
int store_join(struct store_joiner *j, struct slice packet, struct store_label *l,
    struct slice *body) MUSTCHECK;
#endif
