/* smtp-relay: what its files share.
 *
 *	main.c     tables of configuration, metrics and the daemon; start, reload, drain
 *	session.c  a session's life and its commands: policy on lib/smtp/server
 *	auth.c     AUTH
 *	rcpt.c     RCPT: who may have it, and where it goes; forwarding
 *	message.c  the body: trace, header check, queue
 *	lookup.c   what the directory says of a recipient
 *	clients.c  how many sessions and messages each client and user has, over all workers
 */
#ifndef SMTP_RELAY_H
#define SMTP_RELAY_H
#include "conf/channels.h"
#include "daemon/daemon.h"
#include "directory/directory.h"
#include "job/feed.h"
#include "mail/header.h"
#include "queue/write.h"
#include "route/route.h"
#include "sasl/sasl.h"
#include "smtp/server.h"

enum role { ROLE_MX, ROLE_SUBMISSION, ROLE_LOCAL };

struct config {
	int64_t workers;
	int line_ends;           /* refuse | normalise */
	int helo;                /* any | strict */
	int64_t clients, per_client; /* sessions at once: all, and of one address */
	int64_t rcpts, size, line, header, received, errors, unknown, transactions;
	int64_t user_messages, user_rcpts; /* an hour */
	int64_t command_ms, data_ms, data_rate;
	int64_t auth_delay, auth_failures;
	char **any_sender;       /* accounts; "*" = all */
	char **relay_networks, **relay_domains;
};
extern struct config config;

enum metric_id {
	M_CONNECTIONS, M_SESSIONS, M_REFUSED_CONNECTIONS, M_ACCEPTED, M_ACCEPTED_BYTES, M_RECIPIENTS,
	M_FORWARDED, M_REJECTED, M_DEFERRED, M_TLS, M_AUTH_OK, M_AUTH_FAILED, M_COMMIT_MS
};

/* One per worker. */
struct relay {
	struct dir *dir;
	struct queue *queue;
	struct job_feed *feed;
	struct route *route;
	struct channels *channels, *old_channels; /* the old ones may still be pointed at */
	struct smtp_limits limits, local_limits;
	struct list sessions;
	size_t nsessions;
};
extern struct relay relay;

#define SESSION_MAGIC 0x72736d74U

struct session {
	uint32_t magic;
	struct smtp_server smtp;
	struct list link;
	struct daemon_listen *listen;
	enum role role;
	struct op op;              /* of the command in flight */
	int slot;                  /* in the table of clients; -1 = not counted */
	uint64_t since_ms;
	uint32_t messages;         /* accepted in this session */
	char sid[14];
	char client[ADDR_TEXT];    /* address without port, or "local" */
	bool loopback, trusted;    /* trusted: relay.networks */
	uid_t uid;                 /* ROLE_LOCAL */
	char *account;             /* authenticated: uid@domain; heap */
	/* AUTH */
	struct sasl sasl;
	uint32_t auth_failed;
	struct deadline delay;
	/* The transaction; in the server's arena. */
	char qid[14];
	struct address from;
	int64_t max_message;       /* of the last recipient, 0 = no limit of its own */
	struct qrcpt *rcpts;
	size_t nrcpts, rcpts_room;
	struct rcpt_wait *rcpt;    /* being looked up */
	struct message *message;
};

struct session *session_of(struct smtp_server *s);
void session_accept(struct daemon_listen *l, int fd);
void relay_idle(void); /* main.c: a session has gone; when draining, are we done? */
void session_answer(struct session *s, enum verdict_kind kind, int code, const char *esc,
    const char *text);

/* rcpt.c */
void rcpt_ask(struct smtp_server *s, const struct smtp_rcpt *rcpt);
void rcpt_write(const struct session *s, struct buf *b); /* the one being looked up, if any */

/* auth.c */
enum smtp_next cmd_auth(struct smtp_server *s, struct slice arg);
bool auth_offered(const struct session *s);

/* message.c */
void message_begin(struct smtp_server *s);
void message_bytes(struct smtp_server *s, struct slice bytes);
void message_end(struct smtp_server *s);
void message_forget(struct session *s);

/* lookup.c: the directory, for lib/route. */
void lookup_recipient(void *arg, struct slice local, struct slice domain, struct op *op,
    void (*found)(void *, const struct route_found *), void *arg2);

/* clients.c: shared memory, made by clients_init before the workers are forked. */
enum clients_answer { CLIENT_OK, CLIENT_ALL_FULL, CLIENT_FULL };
void clients_init(void);
void clients_worker(int worker); /* what a dead predecessor of this worker counted is forgotten */
enum clients_answer clients_enter(const uint8_t key[16], int worker, int64_t all, int64_t each,
    int *slot);
void clients_leave(int slot, int worker);
/* Counts messages and recipients of a user in the current hour; false when above. */
bool clients_user(struct slice account, int64_t messages, int64_t rcpts, int64_t max_messages,
    int64_t max_rcpts);
size_t clients_now(void);
#endif
