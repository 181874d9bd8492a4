/* smtp-relay: what its files share.
 *
 *	main.c     tables of configuration, metrics and the daemon; start, reload, drain
 *	session.c  a session's life and its commands: policy on lib/smtp/server
 *	auth.c     AUTH
 *	xclient.c  XCLIENT: a proxy says whose session it is
 *	xforward.c XFORWARD: whose mail a content filter sends
 *	sender.c   MAIL of strangers: may this sender be?
 *	srs.c      senders of others that go on, and their way back
 *	stress.c   strangers who hold places without using them
 *	brake.c    how much users send in an hour
 *	burst.c    users who write to many whom they do not know
 *	warn.c     the postmaster hears of users whom the brake stops
 *	names.c    names of clients
 *	policy.c   policy services, about each recipient
 *	access.h   the access tables of mappings
 *	channel.c  the channel that a session is of
 *	terms.c    what the keywords of channels want of its messages
 *	missing.c  messages that name no recipient
 *	rcpt.c     RCPT: who may have it, and who gets it; rcpt-body.h: which body of it, and rcpt-log.c
 *	release.c  mail that is kept for later, and cancelled
 *	sent.c     a copy for the sender's Sent folder
 *	archive.c  copies for archives
 *	detour.c   channels that a message goes through on its way to the one that it is for
 *	message.c  the message: through its stages (stage.h) into the queue
 *	claims.c   what strangers claim in our name
 *	over.c     all of it is here: what it is answered
 *	trace.c    its trace, and what must not be missing
 *	password.c the passwords of lists
 *	addresses.c  its addresses, for channels that want them rewritten
 *	guard.h    strangers, before there is a session
 *	filters.h  mail filters: milters
 *	held.h     the body of a message that they are asked about
 *	cut.h      past the queue, for a store that answers at once
 *	refuse.h   messages that all recipients' scripts reject
 *	scripts.h  scripts of channels
 *	space.c    whether the queue has room
 *	forward.c  spam that would be forwarded elsewhere
 *	lists.c    what lists make of it, by expand/text.h
 */
#ifndef SMTP_RELAY_H
#define SMTP_RELAY_H
#include "base/map.h"
#include "mta/channels.h"
#include "daemon/admit.h"
#include "daemon/daemon.h"
#include "directory/directory.h"
#include "expand/expand.h"
#include "job/cut.h"
#include "job/feed.h"
#include "login/login.h"
#include "login/watch.h"
#include "login/proxy.h"
#include "mail/header.h"
#include "mail/outcome.h"
#include "queue/write.h"
#include "route/route.h"
#include "smtp/server.h"

enum role { ROLE_MX, ROLE_SUBMISSION, ROLE_LOCAL };

struct config {
	int64_t workers;
	int line_ends; /* refuse | normalise */
	int helo;      /* any | strict */
	int64_t clients, per_client,
	    per_user; /* sessions at once: all, of one address, of a user */
	int64_t rcpts, list, size, line, header, received, errors, unknown, transactions;
	int64_t user_messages, user_rcpts, user_failures; /* an hour */
	int64_t domain_messages, domain_rcpts;
	int64_t user_new_rcpts, new_share; /* burst.c; per cent */
	int excess;                        /* enum brake: of these six */
	bool warn;                         /* the postmaster hears of it */
	int64_t command_ms, data_ms, data_rate, stressed_ms;
	int64_t min_memory; /* of the host, octets */
	int64_t min_free;   /* of the queue's file system, octets */
	int64_t auth_delay, auth_failures;
	int64_t release_most; /* ms that a message may be kept, 0 = none is */
	struct archive_conf **archives;
	char **sent_users;     /* accounts whose Sent folder gets a copy; "*" = all */
	int64_t sent_delay;    /* ms until then: clients store theirs meanwhile */
	bool by_offer;         /* DELIVERBY */
	int64_t by_least;      /* ms: less is not promised */
	bool priority_offer;   /* MT-PRIORITY */
	bool priority_header;  /* the field Priority counts */
	char **priority_users; /* accounts that may ask to go before others; "*" = all */
	char **release_users;  /* accounts that may have one kept; "*" = all */
	char **any_sender;     /* accounts; "*" = all */
	char **proxies;        /* auth.proxies: names of those that act for users */
	char **relay_networks, **relay_domains;
	char **xclient;       /* networks that may say XCLIENT at mx listeners */
	char **xforward;      /* networks that may say XFORWARD */
	char **auth_names;    /* of our filters, besides hostname */
	char **spam_fields;   /* in which they say what they make of it: claims.c */
	char *forward_refuse; /* forward.c: "Field: word"; empty: nothing */
	char *srs_domain;     /* srs.c; empty: senders stay as they are */
	char *srs_secret, *srs_old_secret;
	char **srs_except;
	struct milter_conf **milters; /* filters.h */
	/* guard.h: strangers at mx listeners */
	char **guard_allow, **guard_deny;       /* networks */
	int64_t guard_rate, guard_rate_network; /* connections a minute, 0 = no limit */
	int64_t guard_greet_ms, guard_list_ms;  /* how long it is waited for */
	int64_t guard_threshold, guard_welcome; /* scores; welcome: 0 = nobody is */
	int64_t guard_remember_ms, guard_block_ms, guard_tarpit_ms;
	bool guard_errors;     /* too many of them are remembered */
	int64_t guard_waiting; /* most that wait in a worker */
	struct guard_list **dnslists;
	bool client_names;          /* are looked up */
	bool sender_domain;         /* must be there */
	int sender_own;             /* enum sender_own */
	char **sender_own_networks; /* for whom that does not hold */
	struct policy_conf **policies;
	bool sieve; /* refuse.h */
};
extern struct config config;

/* clang-format off */
enum metric_id {
	M_CONNECTIONS, M_SESSIONS, M_REFUSED_CONNECTIONS, M_ACCEPTED, M_ACCEPTED_BYTES, M_RECIPIENTS,
	M_SIEVE_REFUSED,
	M_FORWARDED, M_REJECTED, M_DEFERRED, M_TLS, M_AUTH_OK, M_AUTH_FAILED, M_COMMIT_MS, M_QUEUE_FREE, M_DIRECTORY,
	M_FILTERED, M_FILTER_REFUSED, M_FILTER_DISCARDED, M_FILTER_HELD, M_FILTER_FAILED, M_KEPT, M_ARCHIVED,
	M_GUARD_KNOWN, M_GUARD_PASSED, M_GUARD_DENIED, M_GUARD_RATE, M_GUARD_BUSY, M_GUARD_EARLY, M_GUARD_LISTED,
	M_GUARD_ERRORS, M_GUARD_WAITING, M_GUARD_LIST_FAILED, M_POLICY_ASKED, M_POLICY_REFUSED, M_POLICY_FAILED,
	M_CUT, M_CHANNEL_SCRIPTS, M_BRAKED, M_STRESS_ENDED,
	M_ACCESS, /* of enum access_result for each table of smtp-relay, which are six */
	M_ACCESS_END = M_ACCESS + 6 * 4
};
/* clang-format on */

/* One per worker. */
struct relay {
	struct dir *dir;
	struct login_door *door;
	struct queue *queue;
	struct job_feed *feed;
	struct job_cut *cut;
	struct expand *expand;
	struct channels *channels, *old_channels; /* the old ones may still be pointed at */
	unsigned tables; /* access tables that are there: access_tables() */
	struct smtp_limits limits, local_limits;
	struct list sessions;
	size_t nsessions;
	size_t nrcpts; /* recipients that transactions hold, all together */
};
extern struct relay relay;

#define SESSION_MAGIC 0x72736d74U

struct session {
	uint32_t magic;
	struct smtp_server smtp;
	struct list link;
	struct daemon_listen *listen;
	enum role role;
	struct op op; /* of the command in flight */
	struct admit admit;
	uint64_t since_ms;
	uint32_t messages; /* accepted in this session */
	char sid[14];
	struct addr peer;
	char client[ADDR_TEXT];    /* address without port, or "local" */
	bool loopback, trusted;    /* trusted: relay.networks, or a store's certificate */
	bool ours;                 /* a program of the suite, by its uid, group or certificate */
	bool demand;               /* ROLE_MX: nobody but who is trusted, and with TLS */
	bool proxy;                /* the peer may say XCLIENT: until it has; */
	bool xclient;              /* the same at mx, for whoever it is; */
	bool forwarded;            /* it has */
	bool nobody;               /* a proxy has not said who it is: peer is the proxy */
	uid_t uid;                 /* ROLE_LOCAL */
	char *account;             /* authenticated: uid@domain; heap */
	char *language;            /* ... and what it prefers (preferredLanguage); heap, or NULL */
	char mechanism[16];        /* how; "" for whom a proxy has said who he is */
	struct filters *filters;   /* filters.h; NULL: none */
	struct xforward *xforward; /* xforward.c; heap; NULL: nothing was told */
	/* names.c: what DNS calls the client, and whether that leads back; heap */
	char *name;
	bool name_good;
	struct op name_op;
	struct deadline name_late;
	void (*name_then)(struct session *);
	/* AUTH */
	struct login *login;      /* while it lasts */
	struct login_watch watch; /* from then on */
	uint32_t auth_failed;     /* passwords of lists, too */
	struct deadline late;     /* an answer that waits: message.c */
	struct later turn;        /* access.c: further legs of a list */
	/* The transaction; in the server's arena. */
	char qid[14];
	struct address from;
	int64_t release_at;        /* unix seconds, 0 = at once */
	int64_t by_at;             /* to be delivered until then; 0: nothing was asked */
	int priority;              /* -9 .. 9, as it is here ... */
	bool priority_lowered;     /* ... and not as it was asked for */
	struct burst_key *written; /* burst.c: his recipients */
	struct sent_wait *sent_wait;
	struct qrcpt *sent; /* he who gets a copy in his Sent folder, or NULL */
	int64_t max_list;   /* least of all lists, 0 = none */
	bool forwards;      /* its recipient's mail goes on elsewhere: forward.c */
	struct qrcpt *rcpts;
	size_t nrcpts, rcpts_room;
	struct rcpt_more {
		uint32_t roads; /* bodies that it gets where a password of its own is missing */
		int64_t max_message; /* 0 = no limit of its own */
		const char *who;     /* the account whose mailbox it is, or NULL */
		/* With filters: the addresses of RCPT that it comes by; and a filter has removed it. */
		struct rcpt_given {
			struct rcpt_given *next;
			const struct address *to;
		} * given;
		bool gone;
	} * more;               /* of each */
	size_t nrcpts_asked;    /* RCPT commands that were accepted */
	size_t nrcpts_said;     /* RCPT commands at all */
	struct map rcpts_known; /* by address: which of rcpts, from 1 */
	/* What becomes of it for some recipients, by body from 1: what lists make of it, and the channel
	 * for which its addresses are rewritten; one of the two may be NULL.  Whole: nothing, not even a
	 * list's password goes, because the channel expands the recipient once more. */
	struct relay_body {
		const struct expand_edit *edit;
		const char *channel;
		bool whole;
		/* A script's (scripts.h), beside what `like` is: its own header; p NULL: none. */
		struct slice header;
		unsigned like;
	} bodies[QUEUE_BODIES - 1];
	size_t nbodies;
	/* Passwords of the lists that were asked for, whoever was there already; and whether Approved
	 * fields go, for one of them may be a password: rcpt.c, for password.c. */
	struct expand_password *asked;
	size_t nasked, asked_room;
	bool approved_goes;
	struct rcpt_wait *rcpt; /* being looked up */
	/* sender.c, while it is judged. */
	void (*sender_then)(struct session *, const struct verdict *);
	struct guard_asked *sender_asked;
	int64_t sender_score;
	/* policy.c, while services are asked; and what they want of the message. */
	void (*policy_then)(struct session *, const struct verdict *);
	const struct address *policy_rcpt;
	enum dir_spam policy_say; /* what he, or his domain, says of services */
	size_t policy_at;         /* the service that is asked */
	struct access *access;    /* access.h; NULL: no table has said anything */
	struct terms {
		int64_t blocks; /* most KiB, -1 = no limit, as all of these */
		int64_t rcpts;  /* recipients that are taken */
		int64_t cutoff; /* recipients above which all of it is refused */
		int64_t lines;
		int64_t dest_blocks; /* the same as blocks, of the channels that it goes by */
	} terms;                     /* of channels and of tables, for this transaction */
	char channel[MTA_CHANNEL_NAME_MAX + 1]; /* channel.c; "": that of the role */
	struct relay_own *own;                  /* channel.c; heap; NULL: limits are those of all */
	struct {
		struct slice prepend; /* fields */
		const char *hold;     /* a reason, or NULL */
		bool discard;
	} asked_for;
	struct message *message;
};

/* Who has connected: what is known of a connection before there is a session. */
struct relay_peer {
	struct addr addr;
	bool announced, nobody; /* by a proxy; which has said of nobody who he is */
	bool trusted;           /* of relay.networks */
};

struct session *relay_session_of(struct smtp_server *s);
const struct smtp_policy *relay_session_policy(const struct session *s); /* of its role */
extern const struct admit_service relay_admit;                           /* session.c */
size_t relay_session_end_user(struct slice account);                     /* how many sessions end */
void relay_session_accept(struct daemon_listen *l, int fd);
/* The session of one whom the guard lets in; fd is its own. */
void relay_session_begin(struct daemon_listen *l, int fd, const struct relay_peer *who);
void relay_idle(void); /* main.c: a session has gone; when draining, are we done? */
/* Answers the command under way with a row of mail/outcome.h. */
void relay_session_answer(struct session *s, enum verdict_kind kind, int code, const char *esc,
    const char *fmt, ...) PRINTF(5, 6);

/* space.c: may a message of `size` octets (0: nobody knows) be begun by this session? */
bool space_left(const struct session *s, uint64_t size);
/* Has the host memory for it?  Asked of mail from elsewhere alone. */
bool space_memory(const struct session *s);

/* rcpt.c */
void rcpt_ask(struct smtp_server *s, const struct smtp_rcpt *rcpt);
/* The same for a recipient that a filter adds, answered by `added`. */
void rcpt_start(struct session *s, const struct smtp_rcpt *rcpt,
    void (*added)(struct session *, const struct verdict *));
void rcpt_write(const struct session *s, struct buf *b); /* the one being looked up, if any */

/* addresses.c: the channel, if addresses of the header are rewritten in mail of this session that goes there;
 * or NULL. */
const char *addresses_channel(const struct session *s, const char *channel);
/* Is the mail of our own users, programs and hosts? */
bool addresses_inside(const struct session *s);

/* sender.c.  Is the sender of this MAIL good?  then(s, NULL), or why not, from inside or later. */
enum sender_own { SENDER_OWN_ANY, SENDER_OWN_KNOWN, SENDER_OWN_REFUSE };
void sender_judge(struct session *s, void (*then)(struct session *, const struct verdict *));
void sender_forget(struct session *s);

/* srs.c.  The sender that goes on with this leg of a stranger's mail, in the arena; NULL: the message's own. */
const char *srs_sender(struct session *s, const struct expand_leg *leg);
/* Is it an address that we have made of another's?  Then *to becomes that one; false in *good: it is a forged one. */
bool srs_back(struct session *s, struct address *to, bool *good);
bool srs_check(struct buf *why);

/* stress.c.  A stranger has come: are places short? */
void stress_come(void);
void stress_stop(void); /* the worker ends */

/* forward.c.  Has a recipient mail forwarded, so that he wants a message of his own?  Is this message one that is then
 * refused, by its fields behind filters? */
bool forward_leads_out(const struct session *s, const struct expand_result *r);
bool forward_refuses(const struct session *s, struct slice above, struct slice fields);
bool forward_check(struct buf *why);

/* brake.c.  May this user send one more message, or recipient?  With limit.excess = hold the answer is always yes, and
 * the message will be held. */
enum brake { BRAKE_REFUSE, BRAKE_HOLD };
bool brake_lets(struct session *s, const struct address *rcpt); /* NULL: a message */
void brake_refused(struct session *s); /* a recipient of this user's, for good */

/* burst.c.  One more recipient of the user's: does he write to too many whom he does not know?  And the message has gone
 * its way. */
bool burst_passed(struct session *s, const char *user, const struct address *to);
void burst_sent(struct session *s);
void burst_end(void);

/* warn.c: the user has passed a limit. */
void warn_postmaster(const char *user, const char *limit, bool hold);
void warn_stop(void); /* the worker drains, */
void warn_end(void);  /* and it ends */

/* policy.c.  Is there a service for this session; is the recipient good?  then() as above. */
struct policy_conf { /* [policy NAME] */
	char *name, *address, *context;
	int on_failure; /* enum filter_failure */
	int64_t timeout_ms;
	char **listeners; /* names or roles; empty: all */
	int users;        /* enum policy_users: about whom it is asked */
};
/* By mailAntiUBEService: everybody; all but who has opted out; who has opted in. */
enum policy_users { POLICY_ALL, POLICY_OPTOUT, POLICY_OPTIN };
bool policy_wanted(const struct session *s);
/* `rcpt` is whom it is told; `as`, in the arena, what the rules have made of him, or NULL. */
void policy_ask(struct session *s, const struct address *rcpt, const char *as,
    void (*then)(struct session *, const struct verdict *));
bool policy_check(struct buf *why);
/* One more field above the message; false: it is no field, or they are too many. */
bool policy_prepend(struct session *s, struct slice field);

/* channel.c.  What mta.cnf says of the session's channel; NULL: nothing. */
const struct mta_channel *relay_channel(const struct session *s);
void channel_begin(struct session *s);                  /* of a client of this address */
void channel_switch(struct session *s, const char *to); /* NULL: nothing is said */
void channel_end(struct session *s);
/* Are clients' names looked up? */
bool channel_names(const struct session *s);
bool channel_dns_any(const struct channels *c); /* does any of them want DNS asked? */
void channel_vrfy(struct smtp_server *smtp, struct slice arg);

/* terms.c. */
/* MAIL: the limits of this transaction; false: it is answered. */
bool terms_begin(struct session *s, const struct smtp_mail *mail);
/* One more recipient: NULL, or why not. */
const struct verdict *terms_rcpt(struct session *s);
/* DATA: NULL, or why not; and all of it is here. */
const struct verdict *terms_body(struct session *s);
const struct verdict *terms_over(struct session *s);
/* What the channels of these legs take. */
const struct verdict *terms_legs(struct session *s, const struct expand_result *r);
/* The envelope is complete: who goes another way, is held, or gets a file of his own. */
void terms_envelope(struct session *s);

/* names.c: the client's name, asked for when the session begins (relay.client_names). */
void names_begin(struct session *s);
void names_end(struct session *s);
/* A proxy has told; NULL: there is none. */
void names_told(struct session *s, const char *name, bool good);
void names_wait(struct session *s,
    void (*then)(struct session *));                /* until it is known, or will not be */
const char *names_client(const struct session *s);  /* one that leads back to him, or NULL */
const char *names_reverse(const struct session *s); /* whether or not it does */

/* auth.c */
enum smtp_next relay_cmd_auth(struct smtp_server *s, struct slice arg);
bool relay_auth_offered(const struct session *s);
enum smtp_next relay_cmd_xclient(struct smtp_server *s, struct slice arg); /* xclient.c */
bool xclient_may(const struct session *s); /* one at mx, by who has connected */
bool relay_auth_enter(struct session *s, const struct login_user *u);
/* The client is another one than has connected: as he is counted for, and believed. */
enum admit_answer relay_session_forwarded(struct session *s, const struct addr *peer);

/* xforward.c.  The client and the EHLO name of the beginning: as told, or those of the session; does it come from elsewhere,
 * as told? */
void xforward_keywords(const struct session *s, struct buf *text);
enum smtp_next relay_cmd_xforward(struct smtp_server *s, struct slice arg);
void xforward_forget(struct session *s);
const char *xforward_client(const struct session *s);
const char *xforward_helo(const struct session *s);
bool xforward_remote(const struct session *s);

/* release.c.  The lines of EHLO; may MAIL have its HOLDFOR or HOLDUNTIL?  False: it is answered. */
/* deliver-by.c */
void deliver_by_keywords(struct session *s, struct buf *text);
bool deliver_by_judge(struct session *s, const struct smtp_mail *mail); /* false: answered */
void deliver_by_write(const struct session *s, struct qenv *env);
/* priority.c */
void priority_keywords(struct session *s, struct buf *text);
void priority_judge(struct session *s, const struct smtp_mail *mail);
/* `fields`: the message's header. */
enum qprio priority_queue(struct session *s, struct slice fields);
/* tls-wish.c */
void tls_wish_keywords(struct session *s, struct buf *text);
enum qtls
tls_wish(const struct session *s, struct slice fields); /* of the message with this header */
void release_keywords(const struct session *s, struct buf *text);
bool release_judge(struct session *s, const struct smtp_mail *mail);
/* Whose the message is: the user who has logged in, or whom a program of ours names; or NULL. */
const char *release_account(struct session *s);
enum smtp_next relay_cmd_xcancel(struct smtp_server *s, struct slice arg);

/* sent.c.  Does the sender's Sent folder get a copy?  Then finds out where that is: done(s, no) as filters say it. */
bool sent_wanted(const struct session *s);
void sent_start(struct session *s, const struct address *whose,
    void (*done)(struct session *s, const struct verdict *no));
/* The same as the answer of a RCPT. */
void sent_asked(struct session *s, const struct verdict *no);
/* Adds him behind the recipients. */
void sent_add(struct session *s, struct qenv *env);

/* detour.c */
void detour_take(struct session *s, struct slice fields);

/* message.c */
void relay_message_begin(struct smtp_server *s);
void relay_message_bytes(struct smtp_server *s, struct slice bytes);
void relay_message_end(struct smtp_server *s);
void relay_message_forget(struct session *s);
/* The channel that the session is of, for rewrite rules and records. */
const char *relay_message_source(const struct session *s);
#endif
