/* net/trace.c: see trace.h.
 *
 * Called by the stream with the bytes that it gives to or gets from its owner; nobody else needs
 * to know that there is a trace.  It must never let a secret out, so a line is shown only when it
 * is whole (or too long to be a command), and a doubt is decided for hiding: an unknown answer to
 * a password ends the hiding, a challenge never does. */
#include <stdio.h>
#include <string.h>
#include "base/log.h"
#include "base/mem.h"
#include "net/trace-want.h"
#include "net/trace.h"

static char *traced; /* " smtp imap ", or NULL */

bool
trace_known(struct slice proto)
{
	static const char *const known[] = { "smtp", "lmtp", "imap", "pop3", "sieve" };

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (slice_eq(proto, slice_str(known[i])))
			return true;
	return false;
}

void
trace_set(const char *protocols)
{
	mem_free(&traced);
	if (*protocols)
		traced = mem_printf(" %s ", protocols);
}

static bool
trace_logged(const char *proto)
{
	char word[20];

	(void)snprintf(word, sizeof(word), " %.16s ", proto);
	return traced && strstr(traced, word);
}

struct trace *
trace_new(const char *proto, const char *sid, bool client, unsigned wants, bool torn)
{
	bool log = !torn && trace_logged(proto);
	struct trace *t;

	if (!log && !wants)
		return NULL;
	t = mem_new(sizeof(*t));
	t->proto = proto;
	t->client = client;
	t->log = log;
	t->wants = (uint8_t)wants;
	t->secret = t->torn = torn;
	slice_cstr(slice_str(sid ? sid : ""), t->sid, sizeof(t->sid));
	return t;
}

void
trace_free(struct trace **t)
{
	mem_free(t);
}

/* The command word of a client's line; IMAP has its tag before it.  *rest is what follows. */
static struct slice
trace_verb(const struct trace *t, struct slice line, struct slice *rest)
{
	struct slice word = { 0 };

	*rest = line;
	if (strcmp(t->proto, "imap") == 0)
		(void)slice_word(rest, &word);
	if (!slice_word(rest, &word))
		word = slice(line.p, 0);
	return word;
}

/* Is it the tagged answer to the command with the secret?  Those to commands before it may come later. */
static bool
trace_tagged(const struct trace *t, struct slice line)
{
	struct slice tag = slice(t->tag, t->tag_len);

	if (t->tag_len == 0)
		return !slice_starts(line, S("+")) && !slice_starts(line, S("*"));
	return slice_starts(line, tag) &&
	    (tag.n == sizeof(t->tag) || slice_starts(slice_from(line, tag.n), S(" ")));
}

/* Does the server ask for a secret?  In SMTP, POP3 that is shown by itself, whatever came before. */
static bool
trace_asks(const struct trace *t, struct slice line)
{
	if (strcmp(t->proto, "pop3") == 0)
		return slice_starts(line, S("+ ")) || slice_eq(line, S("+"));
	return (strcmp(t->proto, "smtp") == 0 || strcmp(t->proto, "lmtp") == 0) &&
	    slice_starts(line, S("334"));
}

/* Is it done with the secret? */
static bool
trace_over(const struct trace *t, struct slice line)
{
	if (strcmp(t->proto, "imap") == 0)
		return trace_tagged(t, line);
	if (strcmp(t->proto, "sieve") == 0)
		return slice_istarts(line, S("OK")) || slice_istarts(line, S("NO")) ||
		    slice_istarts(line, S("BYE"));
	return !trace_asks(t, line);
}

static void
trace_server(struct trace *t, struct slice line)
{
	if (t->secret && t->more && trace_over(t, line))
		t->more--;
	else
		t->secret = (t->secret && !trace_over(t, line)) || trace_asks(t, line);
}

/* A secret begins with this line, whose tag, in IMAP, is that of the answer that will end it. */
static void
trace_hide(struct trace *t, struct slice line)
{
	struct slice tag = { 0 };

	t->more += t->secret && t->more < UINT8_MAX && strcmp(t->proto, "sieve") == 0;
	t->secret = true;
	if (strcmp(t->proto, "imap") == 0)
		(void)slice_word(&line, &tag);
	t->tag_len = (uint8_t)(tag.n < sizeof(t->tag) ? tag.n : sizeof(t->tag));
	if (t->tag_len)
		memcpy(t->tag, tag.p, t->tag_len);
}

static bool
trace_begins(struct slice verb)
{
	static const char *const secret[] = { "LOGIN", "AUTHENTICATE", "AUTH", "PASS", "APOP" };

	for (size_t i = 0; i < NELEM(secret); i++)
		if (slice_ieq(verb, slice_str(secret[i])))
			return true;
	return false;
}

void
trace_line_write(struct trace *t, enum trace_from from, struct slice line, struct buf *b)
{
	struct slice rest, verb;

	while (line.n && (line.p[line.n - 1] == '\r' || line.p[line.n - 1] == '\n'))
		line.n--;
	if (from == TRACE_SERVER) {
		trace_server(t, line);
		buf_slice(b, line);
		return;
	}
	verb = trace_verb(t, line, &rest);
	if (t->secret || t->torn) {
		/* A secret behind another, or what may go on behind a line whose beginning we have missed: the answer to
		 * what was before does not end it. */
		if (trace_begins(verb))
			trace_hide(t, line);
		else if (t->torn && (line.n >= TRACE_LINE || slice_ends(line, S("}"))))
			trace_hide(t, S(""));
		t->torn = false;
		buf_lit(b, "(hidden)");
	} else if (verb.n == 0 &&
	    line.n >= TRACE_LINE) { /* a tag without end: who knows what follows */
		buf_lit(b, "(hidden)");
		trace_hide(t, S(""));
	} else if (trace_begins(verb)) {
		buf_slice(b, slice(line.p, (size_t)(verb.p + verb.n - line.p)));
		buf_lit(b, " (hidden)");
		trace_hide(t, line);
	} else {
		buf_slice(b, line);
	}
}

static void
trace_show(struct trace *t, enum trace_from from, struct slice line, bool cut)
{
	const char *dir = (from == TRACE_CLIENT) == t->client ? ">>>" : "<<<";
	struct buf b = { 0 };

	trace_line_write(t, from, line, &b);
	if (cut)
		buf_lit(&b, "...");
	if (t->log)
		log_event(LOG_INFO, "wire", "sid=%s proto=%s dir=%s line=%s", t->sid, t->proto, dir,
		    log_value(buf_get(&b)));
	if (t->wants)
		trace_want_put(t->wants, t->sid, t->proto, dir, buf_get(&b));
	buf_fini(&b);
}

void
trace_bytes(struct trace *t, enum trace_from from, struct slice bytes)
{
	struct trace_line *l = &t->line[from];
	size_t lines = 0;

	while (bytes.n) {
		size_t n = slice_find(bytes, '\n'), keep = n;
		bool whole = n < bytes.n;

		if (l->n < TRACE_LINE) {
			keep = n < TRACE_LINE - l->n ? n : TRACE_LINE - l->n;
			memcpy(l->text + l->n, bytes.p, keep);
		}
		l->n = (uint32_t)(n < UINT32_MAX / 2 - l->n ? l->n + n : UINT32_MAX / 2);
		bytes = slice_from(bytes, whole ? n + 1 : n);
		if (!whole)
			return;
		/* Lines that are not shown are looked at all the same: one may begin a secret. */
		if (lines++ < TRACE_LINES) {
			trace_show(t, from, slice(l->text, l->n < TRACE_LINE ? l->n : TRACE_LINE),
			    l->n > TRACE_LINE);
		} else {
			struct buf b = { 0 };

			trace_line_write(t, from,
			    slice(l->text, l->n < TRACE_LINE ? l->n : TRACE_LINE), &b);
			buf_fini(&b);
		}
		l->n = 0;
	}
	if (lines > TRACE_LINES && t->log)
		log_event(LOG_INFO, "wire", "sid=%s proto=%s more=%zu", t->sid, t->proto,
		    lines - TRACE_LINES);
}
