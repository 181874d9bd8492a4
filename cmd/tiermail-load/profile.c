/* tiermail-load/profile.c: what each kind of client says, step by step.
 *
 * Pure but for what it appends.  Called by run.c: a step that is not for this client says nothing and returns false.
 * A message of ours has X-Tiermail-Load with the run's name, by which mailboxes.c finds it again. */
#include <stdio.h>
#include <string.h>

#include "base/base64.h"
#include "base/clock.h"
#include "load.h"

static struct buf *
client_out(struct client *c)
{
	return talk_out(&c->talk);
}

/* NUL user NUL password (RFC 4616), in base64. */
static void
client_plain(struct client *c)
{
	struct buf plain = { 0 };

	buf_char(&plain, '\0');
	load_user(&plain, c->login);
	buf_char(&plain, '\0');
	buf_str(&plain, load.password);
	base64_write(client_out(c), buf_get(&plain));
	buf_lit(client_out(c), "\r\n");
	buf_fini(&plain);
}

/* ---- SMTP and LMTP --------------------------------------------------------------------------------------------- */

static bool
smtp_hello(struct client *c)
{
	buf_printf(client_out(c), "%s tiermail-load.invalid\r\n",
	    strcmp(c->profile->name, "lmtp") == 0 ? "LHLO" : "EHLO");
	return true;
}

static bool
smtp_starttls(struct client *c)
{
	if (c->tls != LOAD_STARTTLS || c->secure)
		return false;
	buf_lit(client_out(c), "STARTTLS\r\n");
	return true;
}

/* Behind the handshake all is said anew (RFC 3207 4.2). */
static bool
smtp_hello_again(struct client *c)
{
	return c->secure && smtp_hello(c);
}

static bool
smtp_login(struct client *c)
{
	if (!c->profile->logs_in)
		return false;
	buf_lit(client_out(c), "AUTH PLAIN ");
	client_plain(c);
	return true;
}

static void
smtp_say_mail(struct client *c)
{
	buf_printf(client_out(c), "MAIL FROM:<");
	if (*load.sender || strcmp(c->profile->name, "submission") != 0)
		buf_str(client_out(c), load.sender);
	else
		load_user(client_out(c), c->login);
	buf_lit(client_out(c), ">\r\n");
}

static void
smtp_say_rcpt(struct client *c)
{
	buf_lit(client_out(c), "RCPT TO:<");
	load_user(client_out(c), c->user);
	buf_lit(client_out(c), ">\r\n");
}

static bool
smtp_envelope(struct client *c)
{
	if (!c->talk.pipelining)
		return false;
	smtp_say_mail(c);
	smtp_say_rcpt(c);
	buf_lit(client_out(c), "DATA\r\n");
	return true;
}

static bool
smtp_mail(struct client *c)
{
	if (!c->talk.pipelining)
		smtp_say_mail(c);
	return !c->talk.pipelining;
}

static bool
smtp_rcpt(struct client *c)
{
	if (!c->talk.pipelining)
		smtp_say_rcpt(c);
	return !c->talk.pipelining;
}

static bool
smtp_data(struct client *c)
{
	if (!c->talk.pipelining)
		buf_lit(client_out(c), "DATA\r\n");
	return !c->talk.pipelining;
}

/* So large as was asked for, in lines of 72 octets that differ from message to message. */
static bool
smtp_body(struct client *c)
{
	struct buf *out = client_out(c);
	size_t began = out->n;
	uint64_t x = c->unit * 0x9e3779b97f4a7c15u + 1;

	buf_printf(out, "From: <load@tiermail-load.invalid>\r\nTo: <");
	load_user(out, c->user);
	buf_printf(out,
	    ">\r\nSubject: load %llu\r\nMessage-ID: <%s.%llu@tiermail-load.invalid>\r\n"
	    "X-Tiermail-Load: %s\r\nMIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\n",
	    (unsigned long long)c->unit, load.run, (unsigned long long)c->unit, load.run);
	while (out->n - began + 2 < load.size) {
		for (int i = 0; i < 9; i++) {
			x ^= x << 13;
			x ^= x >> 7;
			x ^= x << 17;
			buf_printf(out, "%08x", (unsigned)x);
		}
		buf_lit(out, "\r\n");
	}
	buf_lit(out, ".\r\n");
	return true;
}

/* ---- IMAP ------------------------------------------------------------------------------------------------------- */

static struct buf *
imap_say_tag(struct client *c)
{
	buf_printf(client_out(c), "a%u ", ++c->talk.tag);
	return client_out(c);
}

static bool
imap_starttls(struct client *c)
{
	if (c->tls != LOAD_STARTTLS || c->secure)
		return false;
	buf_lit(imap_say_tag(c), "STARTTLS\r\n");
	return true;
}

static bool
imap_login(struct client *c)
{
	buf_lit(imap_say_tag(c), "AUTHENTICATE PLAIN ");
	client_plain(c);
	return true;
}

static bool
imap_select(struct client *c)
{
	buf_lit(imap_say_tag(c), "SELECT INBOX\r\n");
	return true;
}

/* What a client shows first: the last screen of the list. */
static bool
imap_list(struct client *c)
{
	uint64_t n = c->talk.exists;

	if (n == 0)
		return false;
	buf_printf(imap_say_tag(c),
	    "FETCH %llu:%llu (UID FLAGS RFC822.SIZE ENVELOPE BODYSTRUCTURE)\r\n",
	    (unsigned long long)(n > 50 ? n - 49 : 1), (unsigned long long)n);
	return true;
}

static bool
imap_read(struct client *c)
{
	uint64_t n = c->talk.exists, most = load.reads < n ? load.reads : n;

	if (most == 0)
		return false;
	buf_printf(imap_say_tag(c), "FETCH %llu:%llu BODY.PEEK[]\r\n",
	    (unsigned long long)(n - most + 1), (unsigned long long)n);
	return true;
}

static bool
imap_find(struct client *c)
{
	mailboxes_forget(c->user);
	buf_printf(imap_say_tag(c), "SEARCH HEADER X-Tiermail-Load %s\r\n", load.run);
	return true;
}

static void
imap_marked(struct talk *t, uint64_t number)
{
	struct client *c = t->data;

	mailboxes_found(c->user, number);
}

/* Which they are; others' messages between them have no mark. */
static bool
imap_name(struct client *c)
{
	static char mark[32];

	if (c->talk.first == 0)
		return false;
	(void)snprintf(mark, sizeof(mark), "<%s.", load.run);
	c->talk.mark = mark;
	c->talk.marked = imap_marked;
	buf_printf(imap_say_tag(c), "FETCH %llu:%llu BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)]\r\n",
	    (unsigned long long)c->talk.first, (unsigned long long)c->talk.last);
	return true;
}

/* ---- POP3 ------------------------------------------------------------------------------------------------------- */

static bool
pop3_starttls(struct client *c)
{
	if (c->tls != LOAD_STARTTLS || c->secure)
		return false;
	buf_lit(client_out(c), "STLS\r\n");
	return true;
}

static bool
pop3_user(struct client *c)
{
	buf_lit(client_out(c), "USER ");
	load_user(client_out(c), c->user);
	buf_lit(client_out(c), "\r\n");
	return true;
}

static bool
pop3_pass(struct client *c)
{
	buf_printf(client_out(c), "PASS %s\r\n", load.password);
	return true;
}

static bool
pop3_stat(struct client *c)
{
	buf_lit(client_out(c), "STAT\r\n");
	return true;
}

static bool
pop3_uidl(struct client *c)
{
	uint64_t n;
	struct slice line = slice_str(c->talk.line), word = S("");

	/* of STAT: "+OK 12 3456" */
	if (slice_word(&line, &word) && slice_word(&line, &word) &&
	    slice_u64(word, UINT32_MAX, &n) == 0)
		c->talk.exists = n;
	buf_lit(client_out(c), "UIDL\r\n");
	return true;
}

static bool
pop3_retr(struct client *c)
{
	if (c->talk.exists == 0 || load.reads == 0)
		return false;
	buf_printf(client_out(c), "RETR %llu\r\n", (unsigned long long)c->talk.exists);
	return true;
}

/* The mailbox is free for the next session when this is answered, not before. */
static bool
pop3_quit(struct client *c)
{
	buf_lit(client_out(c), "QUIT\r\n");
	return true;
}

/* ---- tables ------------------------------------------------------------------------------------------------------- */

/* clang-format off */
static const struct step smtp_steps[] = {
	{ "hello", smtp_hello, "2", false, false },
	{ "starttls", smtp_starttls, "2", false, false },
	{ "hello", smtp_hello_again, "2", false, false },
	{ "login", smtp_login, "2", false, false },
	{ "envelope", smtp_envelope, "223", false, true },
	{ "mail", smtp_mail, "2", false, false },
	{ "rcpt", smtp_rcpt, "2", false, false },
	{ "data", smtp_data, "3", false, false },
	{ "body", smtp_body, "2", false, false },
	{ NULL, NULL, NULL, false, false },
};
static const struct step imap_steps[] = {
	{ "starttls", imap_starttls, "t", false, false },
	{ "login", imap_login, "t", false, false },
	{ "select", imap_select, "t", false, false },
	{ "list", imap_list, "t", false, false },
	{ "read", imap_read, "t", false, false },
	{ NULL, NULL, NULL, false, false },
};
static const struct step count_steps[] = {
	{ "starttls", imap_starttls, "t", false, false },
	{ "login", imap_login, "t", false, false },
	{ "select", imap_select, "t", false, false },
	{ "find", imap_find, "t", false, false },
	{ "name", imap_name, "t", false, false },
	{ NULL, NULL, NULL, false, false },
};
static const struct step pop3_steps[] = {
	{ "starttls", pop3_starttls, "+", false, false },
	{ "user", pop3_user, "+", false, false },
	{ "login", pop3_pass, "+", false, false },
	{ "stat", pop3_stat, "+", false, false },
	{ "uidl", pop3_uidl, "+", true, false },
	{ "read", pop3_retr, "+", true, false },
	{ "quit", pop3_quit, "+", false, false },
	{ NULL, NULL, NULL, false, false },
};
const struct profile profiles[] = {
	{ "smtp", "message", TALK_SMTP, 25, 465, true, false, smtp_steps, "QUIT\r\n" },
	{ "submission", "message", TALK_SMTP, 587, 465, true, true, smtp_steps, "QUIT\r\n" },
	{ "lmtp", "message", TALK_SMTP, 24, 24, true, false, smtp_steps, "QUIT\r\n" },
	{ "imap", "session", TALK_IMAP, 143, 993, false, true, imap_steps, "z LOGOUT\r\n" },
	{ "pop3", "session", TALK_POP3, 110, 995, false, true, pop3_steps, "" },
	{ NULL, NULL, TALK_SMTP, 0, 0, false, false, NULL, NULL },
};
const struct profile profile_count = { "count", "mailbox", TALK_IMAP, 143, 993, false, true, count_steps, "z LOGOUT\r\n" };
/* clang-format on */
