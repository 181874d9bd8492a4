/* smtp/client.h: one connection to an SMTP or LMTP server, and any number of transactions on it.
 *
 * RFC 5321 (SMTP), 2033 (LMTP), 2920 (PIPELINING), 4954 (AUTH), 3030 (CHUNKING), 3207 (STARTTLS), 1870
 * (SIZE), 6152 (8BITMIME), 6531 (SMTPUTF8), 3461 (DSN), 9422 (LIMITS).  The owner connects (net/connect.h),
 * chooses hosts and decides about retries; this file speaks.
 *
 *	smtp_client_open -> `ready` -> smtp_client_send -> done -> smtp_client_send -> ...
 *	                                                        -> smtp_client_quit | _close
 *
 * Every transaction ends with a verdict for every recipient, whatever happens: that is the
 * contract.  TEMP is given wherever it is not certain that the server has taken the message. */
#ifndef SMTP_CLIENT_H
#define SMTP_CLIENT_H
#include "net/stream.h"
#include "smtp/answer.h"
#include "smtp/command.h"

enum smtp_tls { SMTP_TLS_OFF, SMTP_TLS_MAY, SMTP_TLS_MUST };

/* Milliseconds to wait for the reply to each command (RFC 5321 4.5.3.2); `block` is for
 * each 64 KiB of the body.  A limit runs from the moment that the reply is owed until it is
 * whole: bytes do not renew it, so a server that dribbles gains nothing.  `whole` is for the
 * hello and for each transaction in all (with a second for each KiB of its body), whatever its
 * steps take: recipients times `rcpt` has no bound that anybody could wait for. */
struct smtp_client_limits {
	uint32_t greeting, hello, mail, rcpt, data, block, dot, quit, whole;
};
extern const struct smtp_client_limits smtp_client_limits_rfc; /* the minimums of RFC 5321 */
#define SMTP_CLIENT_SILENT_MS 2000                             /* see smtp_client_leave */

/* Who we are to the server, by AUTH (RFC 4954): PLAIN, or LOGIN where that is offered and PLAIN is not. */
struct smtp_client_login {
	const char *user, *password;
};

/* What all connections of one kind share; borrowed for the life of the connection. */
struct smtp_client_params {
	bool lmtp;
	enum smtp_tls tls;
	struct tls_ctx *tls_ctx; /* needed unless tls is off */
	const struct tls_dane
	    *dane; /* TLS: what is asked of the server instead of tls_name, or NULL */
	bool
	    tls_lenient; /* tls_ctx verifies, and the server is used whoever it is: stream_tls_doubt */
	const char *helo; /* our name, or an address literal */
	const struct smtp_client_login *
	    login; /* or NULL.  Needs SMTP_TLS_MUST and a tls_ctx that verifies; nothing is sent without it */
	struct smtp_client_limits limits;
	uint32_t eager; /* bodies up to this size follow RCPT in the same packet when
	                             the server takes BDAT; costs the body when all are refused */
	bool send_8bit; /* 8-bit bodies to servers without 8BITMIME: send as it is */
};

/* One recipient of a transaction. */
struct smtp_client_rcpt {
	struct slice address;    /* local@domain as it goes between < >, quoted where needed */
	struct slice orcpt_type; /* "rfc822", "utf-8", or empty: no ORCPT */
	struct slice orcpt;      /* decoded */
	unsigned notify;         /* SMTP_NOTIFY_*, 0 = no NOTIFY */
	bool sent;               /* with XSENT; only where the server offers it */
	struct slice run;        /* for XRUN, or empty; only where the server offers it */
	struct slice event; /* for XEVENT, or empty: then the message goes to no other server */
	void *data;         /* the owner's */

	struct verdict v; /* out: the outcome */
	bool remote;      /* out: v is what the server said, not our own finding */
	bool again;       /* out: refused only because the transaction had too many
	                           recipients (RFC 5321 4.5.3.1.10): send it in another one */
	uint8_t state;    /* client.c's */
};

/* Who gave us the message. */
#define SMTP_FORWARD_MAX                                                                           \
	128 /* octets of a value: all of them in xtext are a line (RFC 5321 4.5.3.1.4) */
struct smtp_client_forward {
	struct slice addr, helo; /* "192.0.2.7", "2001:db8::7"; empty: not known */
	bool local;              /* our own users, programs and hosts */
};

/* One transaction; the caller's, and everything it points to, until `done`. */
struct smtp_client_tx {
	struct slice sender; /* empty for <> */
	struct slice envid;  /* decoded, or empty */
	enum smtp_ret ret;
	const struct smtp_client_forward
	    *forward;       /* for XFORWARD when the server offers that, or NULL; and `qid` then */
	struct slice aside; /* for XASIDE when the server offers that, or empty */
	struct slice qid;   /* for XQID when the server offers XTIERMAIL, or empty */
	struct slice auth;  /* for AUTH= when the server is our relay (XCANCEL, XASIDE), or empty */
	/* For BY when the server offers DELIVERBY: NULL, or "R", "NT" ...; and the seconds that are left. */
	const char *by_mode;
	int64_t by;
	int priority;       /* for MT-PRIORITY when the server offers it, or 0 */
	int64_t release_at; /* for HOLDUNTIL when the server offers FUTURERELEASE, or 0 */
	bool must_release;  /* and to no server that does not, for it would be sent at once */
	struct slice
	    cancel; /* no message: XCANCEL of this queue id of `auth`; one recipient, without an
	                        address, has the outcome */
	bool
	    require_tls; /* REQUIRETLS, where the server offers it: whoever has to have it looks there */
	bool eightbit; /* the body has bytes above 0x7f */
	bool smtputf8; /* an address or the header needs RFC 6531 */
	int fd;        /* the body: `size` bytes from `at`, with CRLF line ends */
	int64_t at;
	uint64_t size;
	const char *bytes;      /* or the body in memory; then fd is not looked at */
	const uint32_t *crc32c; /* what the CRC of the body must be, or NULL; checked as it is
	                           read, and the last piece of another body never leaves */
	bool damaged;           /* out: it was another; the recipients have a TEMP */
	struct smtp_client_rcpt *rcpts;
	size_t nrcpt;    /* at least 1 */
	bool unanswered; /* out: the connection broke before the server answered to any of
	                           this: it may have been closed for being idle */

	/* Called once, from the loop; the connection may be used for the next transaction (look
	 * at smtp_client_usable), and may be closed. */
	void (*done)(struct smtp_client_tx *);
	void *data; /* the owner's */
};

struct smtp_client;
struct smtp_client_events {
	/* The hello is over.  OK: transactions may start.  TEMP or PERM: why not; the
	 * connection is to be closed (see tls_failed, greeted). */
	void (*ready)(struct smtp_client *, const struct verdict *);
	/* The server has closed (or broken) the connection while it was idle: close it. */
	void (*lost)(struct smtp_client *);
	/* Last event: memory may go. */
	void (*closed)(struct smtp_client *);
};

/* The two cursors of the script; see client.c. */
struct smtp_cursor {
	uint8_t step;
	size_t rcpt;
};

struct smtp_client {
	uint32_t magic;
	struct stream io;
	const struct smtp_client_params *p;
	const struct smtp_client_events *ev;
	void *data; /* the owner's */
	struct smtp_offer offer;
	struct smtp_answer answer;
	struct smtp_client_tx *tx; /* in flight, or NULL */
	struct smtp_cursor send, recv;
	size_t waiting;  /* replies that are owed to us */
	size_t accepted; /* recipients that the server took */
	struct deadline late;
	uint64_t step_until, whole_until; /* loop ms: see smtp_client_limits; 0 = not running */
	uint64_t body_mark;               /* body taken when step_until was last renewed */
	uint64_t moved, moved_ms;         /* leaving: as in struct line_session */
	struct later start;
	const char *tls_name;   /* borrowed */
	uint64_t body_at;       /* bytes of the body sent */
	uint32_t body_crc;      /* of those */
	struct verdict hello;   /* outcome of the hello */
	const char *tls_result; /* of a hello that failed for TLS: why, by RFC 8460 4.3; or NULL */
	char last[2];           /* last bytes of the body sent, for dots and the end */
	unsigned barrier : 1;   /* the sender waits for all replies */
	unsigned chunking : 1;  /* this transaction uses BDAT */
	unsigned body_left : 1; /* the body is being sent */
	unsigned dirty : 1;     /* the server may have a transaction open: RSET first */
	unsigned dead : 1;      /* no more transactions */
	unsigned finished : 1;  /* `ready` was called */
	unsigned quitting : 1, closing : 1, busy : 1;
	unsigned leaving : 1;     /* smtp_client_leave was called */
	unsigned greeted : 1;     /* the server's greeting was 2xx */
	unsigned tls_failed : 1;  /* the handshake broke: another try without TLS may work */
	unsigned login_wrong : 1; /* the hello failed for the login, by the configuration's fault */
	uint8_t login_next;       /* client-auth.c's */
	unsigned used;            /* transactions so far */
};

/* Takes over a connected socket.  `params` and `tls_name` (for SNI and verification) stay the
 * caller's until `closed`.  0, or -errno and the fd stays the caller's. */
int smtp_client_open(struct smtp_client *c, struct loop *l, int fd,
    const struct smtp_client_params *params, const char *tls_name,
    const struct smtp_client_events *ev, void *data) MUSTCHECK;
/* Starts a transaction on a connection that is ready and not dead. */
void smtp_client_send(struct smtp_client *c, struct smtp_client_tx *tx);
/* No transaction is in flight, and one can start: the server has not broken off, nor had as many as it
 * takes on one connection (RFC 9422 4.1). */
bool smtp_client_usable(const struct smtp_client *c);
/* QUIT, its reply at most `limits.quit`, then `closed`. */
void smtp_client_quit(struct smtp_client *c);
/* The process wants to end: from now on a peer with which no byte moves for SMTP_CLIENT_SILENT_MS is
 * given up, with TEMP for the transaction, and QUIT gets no longer.  Not so while a whole message awaits
 * its answer: the server may have taken it, and who does not hear that sends it twice. */
void smtp_client_leave(struct smtp_client *c);
/* At once; a transaction in flight ends without `done`. */
void smtp_client_close(struct smtp_client *c);
#endif
