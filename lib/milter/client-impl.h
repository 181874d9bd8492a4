/* milter/client-impl.h: what the files of a filter's connection share; nobody else includes it.
 *
 *	client.c          the connection, questions, answers
 *	client-content.c  a message: header, body, end */
#ifndef MILTER_CLIENT_IMPL_H
#define MILTER_CLIENT_IMPL_H
#include "milter/client.h"
#include "net/op.h"
#include "net/stream.h"

enum milter_state {
	MILTER_CLOSED,
	MILTER_OPENING, /* connecting, then terms */
	MILTER_IDLE,
	MILTER_ASKING,  /* a command's answer */
	MILTER_TELLING, /* a command has no answer, but much waits to be read by the filter */
	MILTER_CONTENT, /* header and body are on their way */
	MILTER_ENDING,  /* the filter's last word */
};
enum milter_phase { PHASE_HEADER, PHASE_HEADER_END, PHASE_BODY, PHASE_END };

struct milter_link {
	struct stream io;
	struct milter_client *client; /* NULL: nobody's any more */
};

struct milter_client {
	struct loop *loop;
	struct milter_params p;
	const struct milter_calls *calls;
	void *arg;
	struct milter_link *link;
	struct op op; /* connecting */
	struct deadline late;
	struct later later; /* more answers, or a failure that is to be told */
	uint64_t patience;  /* loop_now, when even PROGRESS is over */
	enum milter_state state;
	enum milter_stage at;
	struct milter_terms terms; /* lists in the arena */
	struct arena arena;
	struct buf first; /* CONNECT, until terms are agreed on */
	bool in_message;
	/* the message */
	enum milter_phase phase;
	const struct milter_field *field;
	uint64_t body_at;
	unsigned due;     /* answers to what was sent of it, but for its end */
	bool piece, last; /* the last of them is to a piece of the body; which was all */
	bool skip;        /* no more body is wanted */
	bool broken;      /* the body cannot be read, which is told from the loop */
	struct buf changes;
	size_t changes_at;
	unsigned nchanges;
};

/* client.c */
void milter_client_fail(struct milter_client *c, const char *why);
void milter_client_macros(struct milter_client *c, enum milter_stage at);
/* A sign of life is waited for, by what the client is doing; `begin`: patience is new. */
void milter_client_wait(struct milter_client *c, bool begin);
void milter_client_more(struct later *t); /* reads what has come, or tells that the link has gone */

/* client-content.c.  Sends until an answer is due, or until so much waits to be taken that `drained` goes on. */
void milter_content_go_on(struct milter_client *c);
/* An answer to what was sent ahead; false: it is the last word. */
bool milter_content_due(struct milter_client *c, enum milter_answer answer);
#endif
