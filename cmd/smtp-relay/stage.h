/* smtp-relay/stage.h: what the stages of a message share; for message.c and the stages.
 *
 *	bytes --> (claims --> held --> filters -->) claims --> trace --> missing --> access --> password --> address --> list --> queue
 *
 * The header is kept until its end is known (limit.header bounds it); then each stage looks at it once and
 * may refuse the message, and those that want to make a new one of it, for each body that recipients get:
 * the members of a list get another than those beside it, and a channel may want other addresses.  The body itself passes through; a stage can only
 * put something in front of it and behind.  Where no stage wants a message, that is a straight copy.
 *
 * With filters (filters.h) header and body are held until all of it is here and they have agreed; then it takes
 * the same way, in slices. */
#ifndef SMTP_RELAY_STAGE_H
#define SMTP_RELAY_STAGE_H
#include "archive.h"
#include "filters.h"
#include "refuse.h"
#include "scripts.h"

struct message {
	struct qwriter *w; /* from the end of the header on */
	struct header_scan scan;
	struct buf head; /* the header so far, until in_body */
	bool in_body;
	uint64_t lines; /* where a limit wants them counted */
	bool eightbit;  /* a byte above 0x7f has passed */
	bool claims;    /* fields claim to be of our filters: claims.c */
	char end[4];    /* the last octets of the body */
	size_t nbodies;
	bool *gone;                  /* bodies that nobody gets after all; by number */
	struct approved *words;      /* password.c */
	const char *refused;         /* by this list, whose password is missing; or NULL */
	bool wrong;                  /* a word was brought that is no list's */
	uint64_t late_ms;            /* how late the message is answered */
	struct addresses *addresses; /* addresses.c */
	struct expand_text **text;   /* lists.c: by body */
	uint64_t at_us;
	bool archived;                             /* archive.c: some archive gets a copy */
	struct archive_copy archive[ARCHIVE_MOST]; /* those that are wrapped */
	size_t narchive;
	const struct qrcpt *env_rcpts; /* who gets it, but for them */
	size_t env_nrcpt;
	struct cut *cut;         /* cut.c: under way; or NULL */
	size_t cut_had;          /* recipients whose store had it before the answer */
	struct scripts *scripts; /* scripts.h, while they run */
	struct refuse *refuse;   /* refuse.h; NULL: nobody's scripts could */
	void (*refuse_asked)(struct session *s);
	/* With filters. */
	bool filtered;    /* it is held for them, or for scripts of channels */
	bool as_came;     /* they were shown the header that `scan` has seen */
	struct buf above; /* fields that stand above our Received field */
	bool empty_line;  /* header and body are parted by one */
	uint64_t passed;  /* octets of the body that are on their way into the queue */
	struct later later;
	struct session *session;
};

struct stage {
	/* The header is here: its fields, without the empty line.  False: the message is refused, and
	 * smtp_server_fail knows why.  The next three are not called then. */
	bool (*look)(struct session *s, struct slice fields);
	bool (*wants)(const struct session *s, unsigned body);
	/* Appends the fields as they are to be. */
	void (*fields)(struct session *s, unsigned body, struct slice fields, struct buf *out);
	/* Appends what stands in front of the body, and behind it; for all bodies, or NULL. */
	void (*begin)(struct session *s, unsigned body, struct buf *out);
	void (*end)(struct session *s, unsigned body, struct buf *out);
};

extern const struct stage claims_stage, trace_stage, missing_stage, access_stage, password_stage,
    address_stage, list_stage;
/* claims.c: are there fields that claim to be of our filters, so that claims_stage.fields is due? */
bool claims_found(struct session *s, struct slice fields);
/* message.c: what stages put behind the body, into the queue's file. */
void relay_message_tail(struct session *s);
/* over.c: the message has gone through the stages; it is answered, now or later. */
void relay_message_over(struct session *s);

/* addresses.c: the message has gone. */
void addresses_forget(struct message *m);
/* trace.c: our Received field. */
void trace_received(struct session *s, struct buf *out);

/* What the lists on the way to those who get this body make of the message; or NULL. */
static inline const struct expand_edit *
stage_edit(const struct session *s, unsigned body)
{
	return body ? s->bodies[body - 1].edit : NULL;
}

/* It is for a channel that does itself what stages do. */
static inline bool
stage_whole(const struct session *s, unsigned body)
{
	return body && s->bodies[body - 1].whole;
}
#endif
