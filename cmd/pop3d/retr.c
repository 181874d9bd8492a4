/* pop3d/retr.c: messages on their way out: RETR and TOP: RFC 1939 5, 7, RFC 6856.
 *
 * Called by the command table.  A cursor: it reads a piece of the file, stuffs it into the output, and is
 * called again when the client has read; what must come from the disk is the work pool's.  Can fail:
 * opening and the first piece, which have an answer; after +OK a file that cannot be read ends the
 * connection, since a message that is cut would be told as the message.  What must stay true: memory does
 * not grow with the message; the octets between +OK and the last line are those of LIST, but for the
 * stuffing. */
#include <errno.h>

#include "base/log.h"
#include "message/feed.h"
#include "pop3d.h"

#define PIECE (64 * 1024)

/* One at a time in the process: it is filled and used within a step. */
static char piece[PIECE];

struct retrieval { /* in the arena */
	struct message_feed feed;
	struct pop3_stuff stuff;
	struct pop3_cut cut;
	uint32_t n;
	uint64_t left;
	bool top, begun;
};

static void
retrieval_undo(struct pop3_server *pop3)
{
	struct retrieval *r = pop3->data;

	message_feed_close(&r->feed);
}

/* It cannot be read. */
static enum pop3_next
retrieval_fail(struct pop3_server *pop3, const struct retrieval *r, int error)
{
	struct pop3d_session *s = pop3d_session_of(pop3);
	struct verdict v;

	if (error != -ENOENT)
		log_event(LOG_ERROR, "message_short", "sid=%s uid=%u missing=%llu", s->sid,
		    drop_uid(s->drop, r->n), (unsigned long long)r->left);
	if (r->begun) {
		pop3->line.why = "store";
		return POP3_CLOSE;
	}
	if (error == -ENOENT) {
		v = verdict(OUT_DROP_GONE);
		return pop3_server_err(pop3, POP3_PLAIN, &v);
	}
	v = message_error_passes(error) ? verdict(OUT_DROP_MESSAGE_NOW) : verdict(OUT_DROP_MESSAGE);
	return pop3d_session_no(s, &v);
}

/* Is there UTF-8 in the header, as far as it lies in the first piece? */
static bool
retrieval_needs_utf8(struct slice bytes)
{
	size_t n = slice_find_str(bytes, S("\r\n\r\n"));

	for (size_t i = 0; i < n && i < bytes.n; i++)
		if ((unsigned char)bytes.p[i] >= 0x80)
			return true;
	return false;
}

static void
retrieval_begin(struct pop3_server *pop3, struct retrieval *r)
{
	r->begun = true;
	if (r->top)
		pop3_server_ok(pop3, "Top of message follows");
	else
		pop3_server_ok(pop3, "%llu octets", (unsigned long long)r->feed.message.size);
}

static enum pop3_next
retrieval_end(struct pop3_server *pop3, const struct retrieval *r)
{
	struct pop3d_session *s = pop3d_session_of(pop3);

	pop3_stuff_end(&r->stuff, pop3_server_out(pop3));
	if (!r->top) {
		s->retrieved++;
		metric_add(M_RETRIEVED, 1);
		metric_add(M_BYTES, (int64_t)r->feed.message.size);
		if (config.mark_seen)
			(void)drop_mark(s->drop, &s->drop->retrieved, r->n);
	}
	return POP3_NEXT;
}

static enum pop3_next retrieval_more(struct pop3_server *pop3);

static void
retrieval_warm(void *arg)
{
	struct pop3d_session *s = arg;
	struct retrieval *r = s->pop3.data;

	log_context(s->sid);
	message_feed_back(&r->feed);
	pop3_server_resume(&s->pop3, pop3_server_pull(&s->pop3, retrieval_more));
}

/* A piece more. */
static enum pop3_next
retrieval_more(struct pop3_server *pop3)
{
	struct pop3d_session *s = pop3d_session_of(pop3);
	struct retrieval *r = pop3->data;
	struct slice bytes = { piece, 0 };
	ssize_t got;

	if (r->left > 0) {
		got = message_feed_read(&r->feed, piece, r->left < PIECE ? r->left : PIECE);
		if (got == -EAGAIN) {
			message_feed_warm(&r->feed, pop3d.loop, &pop3->op, s->drop->account,
			    retrieval_warm, s);
			return POP3_WAIT;
		}
		if (got <= 0)
			return retrieval_fail(pop3, r, got < 0 ? (int)got : -EIO);
		bytes.n = (size_t)got;
	}
	if (!r->begun && config.utf8_refuse && !pop3->utf8 && retrieval_needs_utf8(bytes)) {
		struct verdict v = verdict(OUT_DROP_UTF8);

		return pop3_server_err(pop3, POP3_UTF8, &v);
	}
	if (!r->begun)
		retrieval_begin(pop3, r);
	pop3->more = retrieval_more;
	r->left -= bytes.n;
	if (r->top) {
		bytes.n = pop3_cut_take(&r->cut, bytes);
		r->left = r->cut.over ? 0 : r->left;
	}
	pop3_stuff_write(&r->stuff, bytes, pop3_server_out(pop3));
	return r->left > 0 ? POP3_PULL : retrieval_end(pop3, r);
}

static enum pop3_next
retrieval_start(struct pop3_server *pop3, uint32_t n, bool top, uint32_t lines)
{
	struct pop3d_session *s = pop3d_session_of(pop3);
	struct retrieval *r = arena_new(&pop3->arena, sizeof(*r));
	int rc = message_feed_open(&r->feed, s->home->view, s->drop->mailbox, drop_uid(s->drop, n));

	r->n = n;
	r->top = top;
	r->cut.lines = lines;
	if (rc < 0)
		return retrieval_fail(pop3, r, rc);
	r->left = r->feed.message.size;
	pop3->data = r;
	pop3->undo = retrieval_undo;
	return pop3_server_pull(pop3, retrieval_more);
}

/* RETR msg							RFC 1939 5 */
enum pop3_next
pop3d_cmd_retr(struct pop3_server *pop3, struct slice arg)
{
	enum pop3_next answer;
	uint32_t n;

	if (!pop3d_message(pop3, &arg, false, &n, &answer))
		return answer;
	return retrieval_start(pop3, n, false, 0);
}

/* TOP msg n							RFC 1939 7 */
enum pop3_next
pop3d_cmd_top(struct pop3_server *pop3, struct slice arg)
{
	struct verdict v = verdict(OUT_VERB_NEEDS, "TOP", "a number of lines");
	enum pop3_next answer;
	uint32_t n, lines;

	if (!pop3d_message(pop3, &arg, true, &n, &answer))
		return answer;
	if (!pop3_number(&arg, &lines) || arg.n > 0)
		return pop3_server_bad(pop3, &v);
	return retrieval_start(pop3, n, true, lines);
}
