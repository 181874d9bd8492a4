/* submit/submit.h: mail that a program of ours makes, on its way out.
 *
 * The one way for what is forwarded, answered and announced by a program that has no queue: it is
 * handed to an SMTP server that has one, smtp-relay's local socket on this host or a relay
 * elsewhere, and an OK means that the server has it safe.  Nothing is kept here: a TEMP or PERM
 * verdict is the caller's to act upon, and a process that ends has sent what was OK and nothing
 * else.  Connections are few, and are used again. */
#ifndef SUBMIT_SUBMIT_H
#define SUBMIT_SUBMIT_H
#include "net/op.h"
#include "smtp/client.h"

/* Where to, and how; borrowed strings, as the configuration has them. */
struct submit_params {
	const char *relay; /* "unix:/path", "host", "host:port", "[v6]:port" (port 25);
	                           "" = submit.sock in the directory of sockets */
	enum smtp_tls tls; /* of a relay that is no Unix socket; MUST checks its certificate */
	uint64_t time_ms;  /* that a message may take in all, waiting included */
	bool lmtp;         /* it is lmtpd, not a relay */
};
/* Appends what is wrong with `relay`, a line; false when something is. */
bool submit_check(const char *relay, struct buf *why);

struct submit;
struct submit *submit_new(struct loop *l, const struct submit_params *p);
/* From now on otherwise; what is under way is not touched. */
void submit_change(struct submit *s, const struct submit_params *p);
/* Messages that have not had their `done`; idle connections are not counted. */
size_t submit_pending(const struct submit *s);
/* The process wants to end: idle connections go, silent servers are given up soon. */
void submit_leave(struct submit *s);
/* key=value: messages under way, connections. */
void submit_status(const struct submit *s, struct buf *out);

#define SUBMIT_QID 13 /* octets of a queue id */
/* One of several recipients. */
struct submit_rcpt {
	struct slice to;  /* local@domain as it goes between < > */
	struct verdict v; /* out: the outcome */
	char qid[SUBMIT_QID +
	    1]; /* out: of one that is kept: what submit_cancel_start wants; empty: it
	                             cannot be taken back */
};
/* One message to one recipient, or to several in one transaction.  All slices are the caller's until
 * `done`, and so are the recipients. */
struct submit_mail {
	struct slice sender; /* empty for <> */
	struct slice to;     /* the recipient; or, when it is empty, */
	struct submit_rcpt *rcpts;
	size_t nrcpts;
	struct slice bytes; /* the message, with CRLF line ends; or, when p is NULL, */
	int fd;             /* ... a file of `size` bytes, likewise; the caller's */
	uint64_t size;
	unsigned notify; /* SMTP_NOTIFY_*, 0 = nothing is said */
	bool smtputf8;   /* its header may need RFC 6531 */
	enum smtp_ret ret;
	struct slice envid; /* decoded, or empty */
	int64_t
	    release_at; /* unix seconds: the relay keeps it until then (RFC 4865), or refuses it; 0 = it
	                       goes at once */
	struct slice
	    account; /* whose it is, who has limits there and may take it back: uid@domain, or empty */
	struct slice event; /* LMTP: for XEVENT, or empty */
	struct slice run;   /* LMTP: for XRUN, or empty */
	struct slice qid;   /* LMTP: what the message is called, or empty */
};
/* done(arg, v): OK, or why not: TEMP also when the relay cannot be reached; of several recipients the first
 * one's.  After op_cancel
 * the message may have been taken all the same. */
void submit_start(struct submit *s, const struct submit_mail *m, struct op *op,
    void (*done)(void *arg, const struct verdict *), void *arg);

/* A message of the account's that is kept is not to be sent.  OK: nobody has had it, and nobody will; PERM: no
 * such message waits there; TEMP: it is not known.  Slices as above. */
void submit_cancel_start(struct submit *s, struct slice account, struct slice qid, struct op *op,
    void (*done)(void *arg, const struct verdict *), void *arg);
#endif
