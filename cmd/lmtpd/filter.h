/* lmtpd/filter.h: recipients' Sieve scripts on a message that has come, and what becomes of it.
 *
 *	run.c      scripts on the message, on a thread of the pool
 *	ask.c      what they ask of the store
 *	lists.c    ... and of the directory: who is in a list
 *	plan.c     from what they say to folders, messages that go on, and answers
 *	vacation.c attributes of an absence as a script
 *	send.c     copies that go on
 *	reply.c    answers to senders
 *	execute.c  programs that they wait for
 *	event.c    scripts for what people do to messages that are there
 *	filter.c   the plan carried out: the store, what goes on, the answers
 *
 * A filter belongs to a transaction with at least one recipient who has a script.  It owns the
 * message meanwhile, because a thread may still read it when the session has gone. */
#ifndef LMTPD_FILTER_H
#define LMTPD_FILTER_H
#include "base/mapped.h"
#include "lmtpd.h"
#include "rules/event.h"
#include "script.h"

/* A copy that goes into a folder. */
struct put {
	struct put *next;
	struct person *of;
	struct slice folder; /* "" = INBOX */
	bool create;         /* ... unless it is to be made */
	uint8_t use;         /* enum store_special */
	uint64_t objectid;   /* of the folder, rather than its name; 0: none was said */
	uint16_t flags;      /* enum store_flag */
	struct slice keywords;
	struct slice header; /* empty: as it came; else with the empty line */
	struct slice body;   /* p NULL: the message's own */
	bool asked;          /* it is in a request, or was */
	bool now;            /* ... in the one that is under way, as this target of it: */
	size_t target;
};

/* Tells whose script has sent a message on. */
#define SEND_FIELD     "X-Sieve-Redirected-From"
#define SEND_MARKS_MAX 5 /* that a message has: four copies each time are a thousand then */

/* A copy that goes on to another address. */
struct send {
	struct send *next;
	struct person *of;
	struct slice to, header, body; /* body.p NULL: the message's own */
	unsigned notify;
	enum smtp_ret ret;
	struct slice
	    run;    /* not to an address but to the program `to`: for XRUN, with its arguments */
	bool tries; /* ... whose failure is none */
	bool known; /* it has not been sent before, and nobody else is sending it */
	struct store_question marks[2]; /* that it has gone, and that it is on its way */
};

/* An answer to the sender, or a notification, when the message is where it belongs. */
struct letter {
	struct letter *next;
	struct person *of;
	struct slice to, from;
	const struct sieve_action *action; /* SIEVE_VACATION or SIEVE_NOTIFY */
	bool echo;                         /* the message goes back with it */
	bool claims;                       /* `mark` says who may send it */
	struct store_question mark;
	struct slice subject, text; /* of a notification */
	const struct put *copy;     /* RFC 8580; NULL: none */
};

/* What a script has asked of the store, and the answer.  Who runs it cannot wait: the run ends, stored is
 * asked, and it begins anew (nothing was done yet). */
#define FILTER_MARKS_MAX 32 /* of a person: more are not remembered */
#define FILTER_ASKED_MAX 32 /* of a person; more cannot be answered, and the script fails */
struct asked {
	struct store_question q;
	struct slice list,
	    value; /* of the directory instead: is there such a list (value.p NULL), is that in it? */
	bool yes;
};

/* A program that a script has waited for (execute.c). */
#define FILTER_EXECUTED_MAX 32 /* of a person's scripts together */
struct executed {
	int end; /* 0: well */
	struct slice out;
};

/* A recipient with scripts. */
struct person {
	size_t rcpt;     /* in the session */
	struct slice to; /* the address, as the envelope has it */
	struct slice account, folder;
	struct slice dn, uuid; /* of the entry */
	struct slice orcpt;
	unsigned notify;
	size_t n; /* scripts, in their order */
	struct script **scripts;
	struct sieve_program **programs; /* NULL: it has errors */
	char **errors;
	bool *ours; /* this run has compiled it: the table has not got it yet */
	struct sieve_result *results;
	size_t ran; /* of them: the last one had the say */
	struct asked *asked;
	size_t nasked;                /* those that are answered; */
	bool wants;                   /* ... and the one behind them, which is not */
	uint64_t cpu_us;              /* of all runs */
	struct store_question *marks; /* to be set when all is done */
	size_t nmarks;
	struct slice partition;
	struct put *puts, **last;
	size_t sends;
	struct slice *addresses; /* of the entry */
	size_t naddresses;
	const struct event *event;       /* NULL: it is mail that comes */
	bool kept;                       /* of an event: the message stays; */
	const struct sieve_action *keep; /* ... as this says, if anything does */
	bool echo;                       /* of the entry's vacation */
	bool answers;                    /* one vacation was met */
	size_t notices;
	struct verdict
	    stored; /* the worst that stored has said of them; VERDICT_NONE: nothing yet */
	struct executed *executed; /* what programs have come to, in their order */
	size_t nexecuted, executing;
	struct slice whole_header; /* what `whole` is made of */
	struct buf whole;          /* the message with the header that a script before has edited */
};

#define FILTER_MAGIC 0x73697665
struct filter {
	uint32_t magic;
	struct lsession *session; /* NULL: it has gone, and the thread is still at work */
	struct arena arena;
	struct buf bytes;  /* the message, when it is small */
	struct mapped map; /* else */
	struct store_body
	    body; /* and its file, which the session has left here; fd -1: it has not */
	struct slice message, header;
	struct slice sender, envid;
	enum smtp_ret ret;
	struct buf cache;      /* the message's record, as it came */
	struct person *people; /* heap */
	size_t n, room, at;
	bool running;                  /* a thread has it */
	void (*over)(struct filter *); /* ... and then */
	void (*asking)(struct filter *, const struct verdict *);
	struct sieve_host host;
	uint64_t began_ms;
	int64_t executed_ms; /* that programs have been waited for, of all people */
	struct send *sends, **last;
	struct letter *letters, **last_letter;
	struct store_body scratch; /* a message on its way out that is too large for memory */
	struct buf out;            /* or it */
	struct slice group_body;   /* ... and the body; p NULL: the message's own */
	struct slice group; /* the header of the copies that are stored now; empty: as it came */
	bool came;          /* those that are as it came have been stored */
};

/* A recipient that was just accepted, the last one: has he a script? */
void filter_rcpt(struct lsession *s, const struct smtp_rcpt *asked, const struct dir_answer *a);
/* The same of what has been done to a message, whether he has one or not. */
void filter_event(struct lsession *s, const struct smtp_rcpt *asked, const struct dir_answer *a,
    const struct rules_event *e);
/* Of deliver.c's steps: the message is complete, its record is made. */
void filter_start(struct lsession *s, struct slice cache);
/* Adds the targets of the request at hand to the n that there are; STORE_TARGETS_MAX in all.  Returns how
 * many there are then. */
size_t filter_targets(struct lsession *s, struct store_target *targets, size_t n);
/* No more than so many targets can be asked for in one request, recipients without scripts included. */
size_t filter_targets_most(const struct lsession *s);
/* There was nothing to ask stored. */
void filter_go_on(struct lsession *s);
/* What stored says to it. */
void filter_stored(struct lsession *s, const struct store_reply *reply);
/* The transaction is over, or given up. */
void filter_stop(struct lsession *s);

/* run.c: runs the scripts of the person at hand, then done(f) on the loop, or never after op_cancel. */
void filter_run_start(struct filter *f, void (*done)(struct filter *f));
void filter_free(struct filter **f);

/* send.c: what goes on; then filter_next_group. */
void send_next(struct filter *f);
void filter_next_group(struct filter *f);
/* Is there time to send anything?  The client waits for its answers. */
bool filter_has_time(const struct filter *f);

/* vacation.c: the script of a user who is away by the attributes of the entry; false: none is. */
bool vacation_script(const struct dir_user *u, int64_t now, struct buf *script);

/* reply.c: an answer, if one may be sent; then all of them, and the replies to the client. */
void reply_plan(struct filter *f, struct person *p, const struct sieve_action *a, bool echo);
void reply_notice(struct filter *f, struct person *p, const struct sieve_action *a);
void reply_start(struct filter *f);

/* ask.c: what a script asks; on a thread.  The store answers, and the person at hand runs again, or has the
 * store's verdict and does not. */
enum sieve_yes ask_mailbox(struct filter *f, struct person *p, enum sieve_mailbox_by by,
    struct slice what, struct slice in);
enum sieve_yes
ask_duplicate(struct filter *f, struct person *p, struct slice handle, struct slice id);
enum sieve_yes ask_list(struct filter *f, struct person *p, struct slice list, struct slice value);
void ask_start(struct filter *f, void (*done)(struct filter *f, const struct verdict *v));
/* What is to be remembered of a message that has been dealt with. */
void ask_mark(struct filter *f, struct person *p, const struct sieve_action *a);
enum store_special ask_use(struct slice name);

/* event.c: what somebody has done, and to what. */
struct event {
	struct rules_event said;
	struct slice email; /* of who did it */
	struct slice *flags;
	size_t nflags;
};
struct event *event_new(struct arena *a, const struct rules_event *e, const struct dir_user *u);
/* The script that is to run; NULL: there is none of that name. */
struct script *event_script(const struct rules_event *e, const struct dir_user *u);
/* An item of RFC 6785 4; of mail that comes (NULL) it is empty. */
bool event_environment(const struct event *e, struct slice name, struct slice *value);
/* What is to become of the message. */
struct verdict event_outcome(struct filter *f, const struct person *p);

/* lists.c: the address of a list by its name "mailto:ADDRESS"; false: it is none. */
bool lists_name(struct slice list, struct slice *address);
/* Can there be a list of that name at all? */
bool lists_may_be(struct slice list);
/* Asks the directory; `asked` stays. */
void lists_ask(struct filter *f, const struct asked *asked,
    void (*done)(struct filter *f, const struct verdict *v, bool yes));

/* plan.c: what the scripts of this person come to. */
void filter_plan(struct filter *f, struct person *p);
/* The copy that a fileinto means, in none of the person's lists. */
struct put *filter_copy(struct filter *f, struct person *p, const struct sieve_action *a);
/* filter.c: as stored is asked for it. */
void filter_target(struct lsession *s, const struct put *put, struct store_target *t);
/* Into the folder that the address means, as it came; spam into its own, unless a script has said `keep`. */
void filter_keep(struct filter *f, struct person *p, const struct sieve_action *a);

/* deliver.c */
void deliver_verdict(const struct store_result *t, struct verdict *v);
int deliver_write(struct lsession *s, struct slice b);
void deliver_parse(struct lsession *s, void (*done)(struct lsession *, struct slice cache));
void deliver_commit(struct lsession *s, struct slice cache);
void deliver_answer_all(struct lsession *s);
void deliver_fail(struct lsession *s, const struct verdict *v);
struct verdict deliver_unwritten(const struct lsession *s, int error);
void
deliver_dup_key(struct lsession *s, struct slice account, struct slice folder, uint8_t key[16]);
void deliver_log(const struct lsession *s, const struct lrcpt *r, struct slice folder,
    const struct verdict *v, const struct store_result *t);
/* On the thread: as sieve_host.execute. */
int
filter_execute(struct filter *f, struct person *p, const struct sieve_execute *x, struct buf *out);
#endif
