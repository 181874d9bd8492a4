/* imapd/reply.c: answers: tagged lines with the mailbox's news in front (RFC 3501 7.1),
 * response codes (RFC 5530), and the capabilities. */
#include <errno.h>

#include "session.h"

void
untagged(struct session *s, const char *fmt, ...)
{
	va_list ap;

	buf_lit(out(s), "* ");
	va_start(ap, fmt);
	buf_vprintf(out(s), fmt, ap);
	va_end(ap);
	buf_lit(out(s), "\r\n");
}

static enum next
write_final(struct session *s)
{
	struct buf *b = out(s);

	buf_slice(b, s->tag);
	buf_char(b, ' ');
	buf_str(b, s->final);
	buf_lit(b, "\r\n");
	s->final = NULL;
	return s->doomed ? CLOSE : NEXT;
}

static enum next
finish_more(struct session *s)
{
	int r = view_sync(s, s->data);

	if (r > 0)
		return FULL;
	if (r < 0) {
		untagged(s, "BYE The mailbox has been deleted");
		s->doomed = true;
	}
	return write_final(s);
}

enum next
finish(struct session *s, const char *status, const char *fmt, ...)
{
	struct buf text = { 0 };
	const struct command *c = s->cmd;
	struct sync *y;
	va_list ap;

	buf_str(&text, status);
	buf_char(&text, ' ');
	va_start(ap, fmt);
	buf_vprintf(&text, fmt, ap);
	va_end(ap);
	s->final = arena_cstr(&s->arena, buf_get(&text));
	buf_fini(&text);
	s->bad = 0;
	if (!s->view || !c || c->flags & QUIET)
		return write_final(s);
	/* STORE leaves what it changed itself in s->sync. */
	y = s->sync ? s->sync : arena_new(&s->arena, sizeof(*y));
	y->expunge = s->uid || !(c->flags & SEQS);
	y->uid = s->uid;
	s->sync = NULL;
	if (s->undo)
		s->undo(s);
	s->undo = NULL;
	s->data = y;
	s->more = finish_more;
	return session_pull(s);
}

enum next
bad_text(struct session *s, const char *why)
{
	metric_add(M_BAD, 1);
	if (s->bad < 255)
		s->bad++;
	if (s->state == NOTAUTH && s->bad >= conf.bad_commands) {
		untagged(s, "BYE Too many bad commands");
		s->doomed = true;
	}
	s->final = arena_printf(&s->arena, "BAD %s", why);
	return write_final(s);
}

enum next
bad(struct session *s, const struct imap_in *in)
{
	return bad_text(s, in->why ? in->why : "Syntax error");
}

enum next
no_store(struct session *s, const struct store_reply *r, const char *missing)
{
	static const char *const codes[] = {
		[STORE_AWAY] = "UNAVAILABLE",      [STORE_EXISTS] = "ALREADYEXISTS",
		[STORE_OVERQUOTA] = "OVERQUOTA",   [STORE_FULL] = "UNAVAILABLE",
		[STORE_BADNAME] = "CANNOT",        [STORE_CANNOT] = "CANNOT",
		[STORE_LIMIT] = "LIMIT",           [STORE_FAILED] = "UNAVAILABLE",
		[STORE_REFUSED] = "SERVERBUG",
	};
	const char *code = r->code == STORE_NOMAILBOX ? missing :
	    (size_t)r->code < NELEM(codes)	      ? codes[r->code] :
							NULL;

	return finish(s, "NO", "[%s] %s", code ? code : "SERVERBUG", r->verdict.text);
}

void
capability_write(struct session *s, struct buf *b)
{
	buf_lit(b, "CAPABILITY IMAP4rev1 LITERAL+ SASL-IR ID ENABLE");
	if (s->state == NOTAUTH) {
		if (s->listen->tls == TLS_STARTTLS && !stream_secure(&s->io))
			buf_lit(b, " STARTTLS");
		buf_str(b, session_password_ok(s) ? " AUTH=PLAIN AUTH=LOGIN" : " LOGINDISABLED");
		return;
	}
	buf_lit(b, " IDLE NAMESPACE UIDPLUS MOVE UNSELECT CHILDREN SPECIAL-USE LIST-EXTENDED "
		   "LIST-STATUS STATUS=SIZE ESEARCH CONDSTORE APPENDLIMIT=");
	buf_i64(b, conf.append);
}
