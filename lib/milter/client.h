/* milter/client.h: one filter's connection, for one session of SMTP.
 *
 *	milter_client_ask(c, MILTER_AT_CONNECT, packet)      opens, agrees on terms, asks
 *	milter_client_ask(c, MILTER_AT_HELO, packet)
 *	  milter_client_ask(c, MILTER_AT_MAIL ... AT_RCPT ... AT_DATA, packet)
 *	  milter_client_message(c, &header)                  header, body, end; then milter_client_change
 *	  or milter_client_abort(c)                          the message is over in another way
 *	milter_client_ask(c, MILTER_AT_UNKNOWN, packet)      at any time but within a message's content
 *	milter_client_free(&c)                               says QUIT
 *
 * One question at a time.  What a filter does not want to hear, or gives no answer to, costs no wait.  Its
 * changes are kept until its last word: of a filter that fails in the middle nothing is changed.  Whatever
 * it sends is bounded in octets, number and time. */
#ifndef MILTER_CLIENT_H
#define MILTER_CLIENT_H
#include "milter/header.h"
#include "net/addr.h"
#include "net/loop.h"

#define MILTER_CHANGES  4096 /* of one message by one filter, beside pieces of a body */
#define MILTER_CHANGED  (2 * 1024 * 1024) /* octets of them */
#define MILTER_PATIENCE 20                /* times its time that PROGRESS can make a filter last */

struct milter_params {
	struct addr to;
	uint32_t connect_ms; /* to connect and agree on terms */
	uint32_t command_ms; /* for an answer to anything before the end of a message */
	uint32_t content_ms; /* for each sign of life behind it */
};

/* How a stage has ended. */
struct milter_outcome {
	bool failed; /* why: for the log; the connection is gone */
	const char *why;
	enum milter_answer
	    answer;        /* CONTINUE, ACCEPT, REJECT, TEMPFAIL, DISCARD, REPLY_CODE, SHUTDOWN */
	int code;          /* of REPLY_CODE */
	struct slice text; /* ... and its text; borrowed during `done` */
};

struct milter_calls {
	/* The value of a macro, as milter_macros_write wants it. */
	bool (*macro)(void *arg, struct slice name, struct buf *out);
	/* Appends the octets of the body from `at` on, `most` of them; nothing: that was all.  0 or -errno. */
	int (*body)(void *arg, uint64_t at, size_t most, struct buf *out);
	/* The next piece of another body.  0 or -errno. */
	int (*replace)(void *arg, struct slice piece);
	/* The answer to the question under way; from the loop. */
	void (*done)(void *arg, const struct milter_outcome *);
};

struct milter_client;
/* `p` is copied, `calls` lives longer. */
struct milter_client *milter_client_new(struct loop *l, const struct milter_params *p,
    const struct milter_calls *calls, void *arg);
void milter_client_free(struct milter_client **c); /* no `done` after it; NULL is fine */
/* Is there a connection?  None: AT_CONNECT must come next. */
bool milter_client_open(const struct milter_client *c);
/* True: there is nothing to wait for, go on; else `done` follows.  `packet` is copied. */
bool milter_client_ask(struct milter_client *c, enum milter_stage at, struct slice packet);
/* `h` is borrowed until `done`, which follows. */
void milter_client_message(struct milter_client *c, const struct milter_header *h);
/* After milter_client_message has ended in CONTINUE or ACCEPT: the next change that it wants, in its
 * order; false when there is none more.  Borrowed until the next question. */
bool milter_client_change(struct milter_client *c, struct milter_reply *r);
bool milter_client_spaces(const struct milter_client *c); /* MILTER_LEADING_SPACE is agreed */
bool milter_client_hears_refused(const struct milter_client *c); /* ... MILTER_REFUSED_RCPT */
/* The question under way, if any, is given up, and the message is over. */
void milter_client_abort(struct milter_client *c);
#endif
