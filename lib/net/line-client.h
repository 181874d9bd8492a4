/* net/line-client.h: a client's conversation of lines with a server, up to its login: IMAP's and POP3's
 * halves share it (imap/client.h, pop3/client.h).
 *
 * It has the stream's events, its time and TLS while it lasts, then gives the stream back as it is:
 * what the server has sent behind its last line is unread input of the next owner. */
#ifndef NET_LINE_CLIENT_H
#define NET_LINE_CLIENT_H
#include "net/op.h"
#include "net/stream.h"

#define LINE_CLIENT_LINE  8192 /* octets of a line of a server */
#define LINE_CLIENT_LINES 200  /* lines until the login */

enum line_client_tls { LINE_CLIENT_PLAIN, LINE_CLIENT_STARTTLS, LINE_CLIENT_IMPLICIT };

/* How to log in to a server in somebody's name.  Strings are borrowed while it lasts. */
struct line_client_login {
	enum line_client_tls tls;
	struct tls_ctx *ctx;   /* NULL only for PLAIN */
	const char *name;      /* of the server, as its certificate has it */
	uint32_t timeout_ms;   /* for all of it */
	bool ahead;            /* the server is known: nothing waits for its greeting */
	const char *mechanism; /* "EXTERNAL", "PLAIN" */
	struct slice response; /* its initial response, not yet base64 */
	/* For whom we speak; forward false: nothing is said of him. */
	bool forward;
	struct addr client; /* where he comes from */
	const char *sid;    /* of his session here */
	const char *app;    /* the application password that he has shown, or NULL */
	bool utf8;          /* POP3: he has said UTF8 (RFC 6856 2.1) */
	const char *helo;   /* SMTP: his name in EHLO */
	const char *self;   /* SMTP: ours */
};

enum line_client_outcome {
	LINE_CLIENT_IN,    /* logged in; text: what the server says to it */
	LINE_CLIENT_NO,    /* it refuses the login; text: its words with their code */
	LINE_CLIENT_BYE,   /* it refuses the connection, in order; text likewise */
	LINE_CLIENT_BROKEN /* it cannot be reached or understood; text: why, for the log */
};
struct line_client_result {
	enum line_client_outcome outcome;
	struct slice text; /* one line of at most LINE_CLIENT_LINE octets; borrowed */
};
typedef void (*line_client_done)(void *arg, const struct line_client_result *);

/* ---- for the halves of the languages ---- */

struct line_client;
struct line_client_script {
	const char *proto; /* "imap", for traces */
	/* The connection may be used, and is as secure as it will be: says what goes without an answer,
	 * or, unless login->ahead, waits for the greeting. */
	void (*ready)(struct line_client *c);
	/* A line came, without its end.  Ends in line_client_finish, line_client_starttls, or goes on. */
	void (*line)(struct line_client *c, struct slice line);
};
struct line_client {
	struct stream *io;
	const struct line_client_script *script;
	const struct line_client_login *login;
	struct op *op;
	line_client_done done;
	void *arg;
	struct later later;
	unsigned lines;
	bool secured;    /* the handshake is over */
	bool greeted;    /* the script's: the server has said its first line */
	bool said;       /* ... the login is on its way */
	bool apps;       /* ... the server wants to know of application passwords */
	uint8_t awaited; /* ... answers until that to the login, or where the script stands */
	struct buf kept; /* ... what it wants to remember; freed with the conversation */
	bool over;
};

/* `io` is open, and nobody's.  `op` is pending; after done, or op_cancel, the stream is the caller's again
 * and needs stream_hand_over.  `login` is borrowed until then. */
void line_client_start(struct stream *io, const struct line_client_script *script,
    const struct line_client_login *login, struct op *op, line_client_done done, void *arg);
/* Inside script.line: it is over. */
void line_client_finish(struct line_client *c, enum line_client_outcome outcome, struct slice text);
/* Inside script.line: the server is ready for the handshake; `ready` follows. */
void line_client_starttls(struct line_client *c);
static inline struct buf *
line_client_out(struct line_client *c)
{
	return stream_out(c->io);
}
#endif
