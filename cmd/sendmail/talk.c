/* talk.c: SMTP to smtp-relay over its Unix socket: one command at a time, the body in chunks (BDAT),
 * so that nothing needs stuffing; and with -bs a pipe between the caller and smtp-relay.
 *
 * Owns the connection.  Blocking and without lib/smtp's client, which needs a loop: a program that
 * sends one message and ends has nothing else to do meanwhile.  Any refusal or loss ends it by
 * sendmail_die, with the exit code that fits the enhanced status; a hang-up is temporary.  Must
 * stay true: exit code 0 only after smtp-relay's 250 for the last chunk. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>
#include "base/utf8.h"
#include "net/connect-unix.h"
#include "sendmail.h"
#include "smtp/answer.h"
#include "smtp/params.h"

static int sock = -1;
static struct buf in;

static int
dial(const char *path)
{
	int fd = connect_unix(path, SOCK_STREAM);

	if (fd == -ENAMETOOLONG)
		sendmail_die(EX_CONFIG, "%s: path is too long", path);
	if (fd < 0)
		sendmail_die(EX_TEMPFAIL, "%s: %s", path, strerror(-fd));
	return fd;
}

static void
talk_put(struct slice s)
{
	while (s.n) {
		ssize_t n = send(sock, s.p, s.n, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			sendmail_die(EX_TEMPFAIL, "smtp-relay hung up: %s", strerror(errno));
		s = slice_from(s, (size_t)n);
	}
}

/* The next line of the server's, without its end; valid until the next call. */
static struct slice
get_line(void)
{
	static size_t taken;
	char piece[4096];
	size_t lf;
	ssize_t n;

	buf_cut(&in, taken);
	while ((lf = slice_find(buf_get(&in), '\n')) == in.n) {
		n = read(sock, piece, sizeof(piece));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			sendmail_die(EX_TEMPFAIL, "smtp-relay hung up");
		buf_add(&in, piece, (size_t)n);
	}
	taken = lf + 1;
	return slice_trim(slice_sub(buf_get(&in), 0, lf));
}

static void
get_answer(struct smtp_answer *a)
{
	int r;

	smtp_answer_clear(a);
	while ((r = smtp_answer_line(a, get_line())) == 0)
		;
	if (r < 0)
		sendmail_die(EX_PROTOCOL, "smtp-relay gave no SMTP answer");
}

static int
exit_code(const struct verdict *v)
{
	if (v->kind != PERM)
		return EX_TEMPFAIL;
	switch (v->subject) {
	case 1: return v->detail == 2 ? EX_NOHOST : EX_NOUSER;
	case 7: return EX_NOPERM;
	case 6: return EX_DATAERR;
	default: return EX_UNAVAILABLE;
	}
}

/* Sends a command; exits unless the answer is 2xx.  `what` is for the message. */
static void
command(struct buf *line, const char *what)
{
	struct smtp_answer a = { 0 };
	struct verdict v;

	buf_lit(line, "\r\n");
	talk_put(buf_get(line));
	buf_fini(line);
	get_answer(&a);
	v = smtp_answer_verdict(&a);
	if (v.kind != OK)
		sendmail_die(exit_code(&v), "%s: %d %s", what, a.code, v.text);
	smtp_answer_fini(&a);
}

void
talk_open(const char *path)
{
	struct smtp_answer a = { 0 };
	struct buf line = { 0 };

	sock = dial(path);
	get_answer(&a);
	if (a.code / 100 != 2)
		sendmail_die(EX_TEMPFAIL, "smtp-relay: %d %s", a.code, buf_cstr(&a.text));
	smtp_answer_fini(&a);
	buf_lit(&line, "EHLO localhost");
	command(&line, "EHLO");
}

void
talk_envelope(const struct options *o, const struct address *from, const struct rcpts *r)
{
	struct buf line = { 0 }, text = { 0 };
	bool utf8 = from->flags & ADDRESS_UTF8;

	for (size_t i = 0; i < r->n; i++)
		utf8 |= (r->a[i].flags & ADDRESS_UTF8) != 0;
	buf_lit(&line, "MAIL FROM:<");
	address_write(&line, from);
	buf_printf(&line, "> BODY=%s%s", o->body ? o->body : "8BITMIME", utf8 ? " SMTPUTF8" : "");
	if (o->ret)
		buf_printf(&line, " RET=%s", o->ret);
	if (o->envid) {
		buf_lit(&line, " ENVID=");
		smtp_xtext_write(&line, slice_str(o->envid));
	}
	command(&line, "sender");
	for (size_t i = 0; i < r->n; i++) {
		buf_lit(&line, "RCPT TO:<");
		address_write(&line, &r->a[i]);
		buf_char(&line, '>');
		if (o->notify)
			buf_printf(&line, " NOTIFY=%s", o->notify);
		buf_clear(&text);
		address_write(&text, &r->a[i]);
		command(&line, buf_cstr(&text));
	}
	buf_fini(&text);
}

void
talk_chunk(struct slice bytes, bool last)
{
	struct smtp_answer a = { 0 };
	struct buf line = { 0 };
	struct verdict v;

	buf_printf(&line, "BDAT %zu%s\r\n", bytes.n, last ? " LAST" : "");
	talk_put(buf_get(&line));
	talk_put(bytes);
	buf_fini(&line);
	get_answer(&a);
	v = smtp_answer_verdict(&a);
	if (v.kind != OK)
		sendmail_die(v.kind == PERM && v.subject != 7 ? EX_DATAERR : exit_code(&v),
		    "message: %d %s", a.code, v.text);
	smtp_answer_fini(&a);
}

void
talk_quit(void)
{
	talk_put(S("QUIT\r\n"));
	(void)close(sock);
}

/* Copies what can be read; false at the end. */
static bool
talk_copy(int from, int to)
{
	char piece[16384];
	ssize_t n = read(from, piece, sizeof(piece));

	if (n < 0 && errno == EINTR)
		return true;
	for (ssize_t at = 0, w; at < n; at += w) {
		w = write(to, piece + at, (size_t)(n - at));
		if (w < 0 && errno == EINTR)
			w = 0;
		else if (w < 0)
			return false;
	}
	return n > 0;
}

int
talk_through(const char *path)
{
	struct pollfd p[2] = { { .fd = STDIN_FILENO, .events = POLLIN }, { .events = POLLIN } };

	sock = p[1].fd = dial(path);
	for (;;) {
		if (poll(p, 2, -1) < 0 && errno != EINTR)
			sendmail_die(EX_OSERR, "poll: %s", strerror(errno));
		if (p[1].revents && !talk_copy(sock, STDOUT_FILENO))
			return EX_OK;
		if (p[0].revents && !talk_copy(STDIN_FILENO, sock)) {
			(void)shutdown(sock, SHUT_WR);
			p[0].fd = -1;
		}
	}
}
