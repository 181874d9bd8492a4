/* jmapd/submission-impl.h: between the files of EmailSubmission/set: submission.c (the call), submission-send.c (what is
 * created) and submission-undo.c (what is taken back, or forgotten).
 *
 * One submission after the other is in hand; a step of it ends in AGAIN or WAIT, and in submission_over when it is
 * over, whatever has come of it. */
#ifndef JMAPD_SUBMISSION_IMPL_H
#define JMAPD_SUBMISSION_IMPL_H
#include "jmap/envelope.h"
#include "message/parse.h"
#include "set.h"
#include "submission-kept.h"
#include "submission.h"

enum submission_kind { SUBMISSION_CREATE, SUBMISSION_UPDATE, SUBMISSION_DESTROY };
enum submission_phase {
	SUBMISSION_BEGIN,
	SUBMISSION_READY,  /* its file is there */
	SUBMISSION_SENT,   /* the relay has answered */
	SUBMISSION_KEPT,   /* stored has: to the row, */
	SUBMISSION_MARKED, /* to the mark that it is being taken back, */
	SUBMISSION_BACK,   /* the relay has answered to that */
	SUBMISSION_TOLD,   /* and stored to the row that says so */
};
struct submission {
	enum submission_kind kind;
	struct slice creation; /* or the id, as the client has it */
	const struct json_t *v;
	char id[16]; /* "S" and random_id */
	uint64_t email;
	bool done; /* it was created, updated, destroyed */
};

struct submission_set {
	struct identities identities;
	struct set_args args;
	struct set_answer answer;
	uint64_t old_modseq;
	int64_t old_final;
	bool begun; /* ifInState holds */
	struct submission *list;
	size_t n, at;
	/* the one in hand */
	enum submission_phase phase;
	struct message message;
	struct message_parse *parse;
	bool open;
	uint64_t thread;
	int error; /* of its file: -errno */
	struct slice identity;
	struct jmap_envelope envelope;
	struct submit_rcpt *rcpts;
	int64_t release_at; /* unix seconds; 0: at once */
	struct kept kept;
	bool marked_before; /* somebody has begun to take it back */
	unsigned tries;     /* to do so, when others do it at the same time */
	enum store_code code;
	struct verdict back; /* what the relay says to taking it back */
	struct buf bytes;    /* the message without Bcc, when it had one */
	struct arena arena;  /* of the one in hand */
};

/* submission.c */
void submission_close(struct submission_set *q);
enum call_next submission_over(struct submission_set *q);
/* A SetError; `property` and `why` may be NULL.  The other: with a member of its own for what the type tells (RFC
 * 8621 7.5). */
enum call_next submission_refuse(struct submission_set *q, const char *type, const char *property,
    const char *why);
enum call_next
submission_refuse_more(struct submission_set *q, const char *type, struct slice member);
/* WAIT: stored's answer is q->code, the relay's q->back, and the phase the next one.  What has been written has the
 * modseq q->kept.modseq.  The other: unless the row has been set since it had that modseq (STORE_CANNOT). */
enum call_next submission_write(struct call *c, struct submission_set *q, struct kept_change *ch,
    enum submission_phase then);
enum call_next submission_write_unless(struct call *c, struct submission_set *q,
    struct kept_change *ch, enum submission_phase then);
enum call_next
submission_take_back(struct call *c, struct submission_set *q, enum submission_phase then);
/* submission-send.c, submission-undo.c: the next step of the one in hand. */
enum call_next submission_create_go(struct call *c, struct submission_set *q);
enum call_next submission_undo_go(struct call *c, struct submission_set *q);
#endif
