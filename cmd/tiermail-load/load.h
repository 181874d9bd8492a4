/* tiermail-load/load.h: what the files of tiermail-load share.
 *
 *	main.c       options, the whole of a run
 *	run.c        clients: who is due, a connection from its beginning to its end
 *	profile.c    what a client says, step by step
 *	talk.c       a connection, and when an answer is whole
 *	mailboxes.c  what has arrived
 *	figures.c    times in buckets, and their table
 *	size.c       how many hosts, from such runs */
#ifndef LOAD_H
#define LOAD_H
#include "base/buf.h"
#include "net/connect.h"
#include "net/stream.h"

/* `tiermail-load size`. */
struct program;
extern const struct program load_size_program;

#define LOAD_LINE (1024 * 1024) /* octets of a server's line: SEARCH names messages in one */

enum load_tls { LOAD_PLAIN, LOAD_STARTTLS, LOAD_IMPLICIT };
struct load_server {
	char *name; /* as the certificate has it */
	struct addr *addrs;
	size_t naddrs;
};
struct load_conf {
	const struct profile *profile;
	struct load_server server,
	    imap; /* imap: where it is looked what has arrived; no addrs: nowhere */
	enum load_tls tls, imap_tls;
	struct tls_ctx *ctx;
	uint32_t timeout_ms; /* to connect, and for each answer */
	uint64_t count;      /* of messages or sessions, 0 = as many as go into seconds */
	uint64_t seconds;    /* 0 = until count */
	double rate;         /* a second; 0 = each as soon as the one before is over */
	size_t clients, size, messages; /* messages: on one connection */
	size_t reads;                   /* messages that a session fetches */
	uint64_t users;
	const char *user, *sender;
	char *password;   /* NULL: nobody logs in */
	uint64_t wait_ms; /* until what was accepted has to be in its mailbox */
	bool json;
	char run[17]; /* in each message, and looked for */
};
extern struct load_conf load;

/* Appends the name of a user: the pattern with %d, or %04d, replaced. */
void load_user(struct buf *to, uint64_t n);
bool load_user_good(const char *pattern);

/* ---- talk.c -------------------------------------------------------------------------------------------- */

enum talk_lang { TALK_SMTP, TALK_IMAP, TALK_POP3 };
struct talk;
struct talk_events {
	/* It is connected, and as secure as it will be. */
	void (*opened)(struct talk *);
	/* All that was asked for is there; good: as it was wanted. */
	void (*answered)(struct talk *, bool good);
	/* It does not come about, or breaks. */
	void (*broken)(struct talk *, const char *why);
	void (*closed)(struct talk *); /* last event, also when it was never open */
};
struct talk {
	struct stream io;
	struct op connecting;
	struct loop *loop;
	const struct talk_events *ev;
	void *data;
	enum talk_lang lang;
	const char *name; /* of the server */
	bool open, handshake, asked, good;
	bool inside; /* POP3: of an answer of several lines */
	bool multi;
	char wants[8];  /* SMTP: classes of the replies that are owed; others: a character each */
	unsigned tag;   /* IMAP */
	uint64_t skip;  /* octets of a literal */
	char line[200]; /* the last one of the answer, or the first that was not good */
	/* What answers have told. */
	bool pipelining;
	uint64_t exists;      /* IMAP: messages */
	uint64_t first, last; /* of SEARCH: between which they are; 0 = there is none */
	/* IMAP: this and a number behind it are looked for in all lines, also of literals. */
	const char *mark;
	void (*marked)(struct talk *, uint64_t number);
};
void talk_start(struct talk *t, struct loop *l, enum talk_lang lang, const struct addr *a,
    const char *name, struct tls_ctx *implicit, const struct talk_events *ev, void *data);
static inline struct buf *
talk_out(struct talk *t)
{
	return stream_out(&t->io);
}
/* Sends what was appended; `answered` follows. */
void talk_ask(struct talk *t, const char *wants, bool multi);
/* Behind the answer to STARTTLS; `opened` follows. */
void talk_starttls(struct talk *t, struct tls_ctx *ctx);
/* Last words are written, if there are any; `closed` follows. */
void talk_close(struct talk *t);

/* ---- profile.c ----------------------------------------------------------------------------------------- */

struct client;
struct step {
	const char *name;             /* of its figures */
	bool (*say)(struct client *); /* false: not for this client */
	const char *wants;
	bool multi;
	bool begins; /* a message: of several on a connection each begins here */
};
struct profile {
	const char *name, *unit; /* "message" */
	enum talk_lang lang;
	int port, tls_port;
	bool delivers; /* what it sends arrives in mailboxes */
	bool logs_in;
	const struct step *steps; /* terminated by a NULL name */
	const char *bye;
};
extern const struct profile profiles[], profile_count;

/* ---- run.c --------------------------------------------------------------------------------------------- */

/* Some work for some clients at once. */
struct run {
	const struct profile *profile;
	const struct load_server *server;
	enum load_tls tls;
	uint64_t count, seconds; /* 0 = no end by this; not both */
	double rate;
	size_t clients, messages;
	uint64_t (*user_of)(uint64_t unit);
	/* A message or session is over; good: as it should be.  May be NULL. */
	void (*over)(const struct client *, bool good);
	bool quiet; /* its times are no figures */

	/* out */
	uint64_t begun, good, refused, broken;
	uint64_t began_us, ended_us;
	char first[240]; /* what went wrong first, or "" */

	struct loop loop;
	size_t running; /* clients */
};
void run_clients(struct run *r);

struct client {
	struct talk talk;
	struct timer timer;
	struct run *run;
	const struct profile *profile;
	enum load_tls tls;
	size_t step;
	bool connected, secure; /* greeted; behind STARTTLS */
	bool working;           /* on a unit */
	bool again;             /* the same one, on a new connection */
	size_t done;            /* units on this connection */
	uint64_t unit;          /* the message's or session's number */
	uint64_t user, login;   /* whose mailbox; who is logged in */
	uint64_t due_us, step_us, open_us;
};

/* ---- mailboxes.c --------------------------------------------------------------------------------------- */

/* Messages: found, in their mailboxes; accepted and not there; there more than once; in somebody else's mailbox.
 * Mailboxes that could not be looked into; how long it took until nothing was missing. */
struct arrivals {
	uint64_t found, lost, twice, astray, unseen, after_ms;
};
void mailboxes_accepted(uint64_t unit);
/* Looks until nothing is missing, or load.wait_ms are over. */
void mailboxes_look(struct arrivals *a);
/* For profile_count: the mailbox of `user` is looked into, and has that message. */
void mailboxes_forget(uint64_t user);
void mailboxes_found(uint64_t user, uint64_t unit);

/* ---- figures.c ----------------------------------------------------------------------------------------- */

#define FIGURES_BUCKETS (60 * 32) /* of microseconds: 3 % wide */
struct figures {
	const char *name;
	uint64_t n, failed, max;
	uint32_t bucket[FIGURES_BUCKETS];
};
void figures_add(const char *name, uint64_t us);
void figures_fail(const char *name);
/* In microseconds; per_mille 500, 990, 999. */
uint64_t figures_at(const struct figures *f, unsigned per_mille);
void figures_print(struct buf *out);
void figures_json(struct buf *out);
#endif
