/* sendmail: what its files share.
 *
 *	main.c     options, configuration, exit codes
 *	message.c  standard input: header for -t, line ends, where the message ends
 *	talk.c     SMTP to smtp-relay's local socket
 */
#ifndef SENDMAIL_SENDMAIL_H
#define SENDMAIL_SENDMAIL_H
#include "base/arena.h"
#include "base/buf.h"
#include "mail/address.h"

struct options {
	bool from_header;   /* -t */
	bool ignore_dots;   /* -i, -oi */
	const char *sender; /* -f; NULL = the user who runs this; "" = <> */
	const char *name;   /* -F */
	const char *body;   /* -B: "7BIT", "8BITMIME", or NULL */
	const char *notify; /* -N */
	const char *ret;    /* -R */
	const char *envid;  /* -V */
};

struct rcpts {
	struct address *a;
	size_t n, room;
};

/* main.c: says it on standard error and exits. */
NORETURN void sendmail_die(int code, const char *fmt, ...) PRINTF(2, 3);
/* Adds the addresses in `text` ("a@b, C D <e@f>"); false when there is none or junk. */
bool sendmail_rcpts_add(struct rcpts *r, struct slice text);

/* message.c: reads the header from standard input, takes recipients from it with -t, takes Bcc
 * out, adds From with -F.  What is ready to be sent is in *out. */
void sendmail_message_header(const struct options *o, const char *from, struct rcpts *r,
    struct buf *out);
/* Appends the next piece of the body; false at the end of the message. */
bool sendmail_message_body(struct buf *out);

/* talk.c */
void talk_open(const char *path); /* connects and says EHLO; exits when nobody is there */
void talk_envelope(const struct options *o, const struct address *from, const struct rcpts *r);
void talk_chunk(struct slice bytes, bool last);
void talk_quit(void);
/* -bs: standard input and output are the client. Returns the exit code. */
int talk_through(const char *path);
#endif
