/* pop3d/quit.c: QUIT after login: RFC 1939 6, the UPDATE state.
 *
 * Called by pop3/server; the one place of pop3d that changes a mailbox: \Seen of what was retrieved, when
 * the site wants it, then one request that removes what is marked.  Can fail: stored, and then the client
 * is told that messages may still be there.  Must stay true: +OK is said when it is on disk. */
#include "base/log.h"
#include "pop3d.h"

/* RFC 1939 6: "if there is an error ... some or none of the messages marked as deleted" are removed. */
static enum pop3_next
quit_failed(struct pop3d_session *s, const struct store_reply *r)
{
	struct verdict v = verdict(OUT_DROP_LEFT, r->verdict.text);

	s->pop3.line.why = "quit";
	s->pop3.doomed = true;
	return pop3_server_err(&s->pop3, POP3_SYS_TEMP, &v);
}

static void
quit_expunged(void *arg, const struct store_reply *r)
{
	struct pop3d_session *s = arg;
	enum pop3_next next;
	uint64_t n = 0;

	log_context(s->sid);
	for (size_t i = 0; i < r->nuids; i++)
		n += (uint64_t)(r->uids[i].last - r->uids[i].first) + 1;
	metric_add(M_DELETED, (int64_t)n);
	if (n > 0)
		log_event(LOG_INFO, "expunge",
		    "sid=%s user=%s mailbox=INBOX how=quit to= messages=%llu", s->sid,
		    log_str(s->account), (unsigned long long)n);
	/* No mailbox, no messages: what was asked for. */
	next = r->verdict.kind != OK && r->code != STORE_NOMAILBOX ?
	    quit_failed(s, r) :
	    pop3_server_bye(&s->pop3, "Bye, what was marked is deleted");
	pop3_server_resume(&s->pop3, next);
}

static enum pop3_next
quit_remove(struct pop3d_session *s)
{
	struct drop *d = s->drop;
	struct buf ranges = { 0 };

	if (d->deleted.n == 0)
		return pop3_server_bye(&s->pop3, "Bye");
	drop_ranges(d, &d->deleted, &ranges);
	store_expunge_start(pop3d.store, d->mailbox, (const struct store_range *)(void *)ranges.p,
	    ranges.n / sizeof(struct store_range), true, &s->pop3.op, quit_expunged, s);
	buf_fini(&ranges);
	return POP3_WAIT;
}

/* That a flag could not be set is no reason to keep what the client has. */
static void
quit_seen(void *arg, const struct store_reply *r)
{
	struct pop3d_session *s = arg;

	log_context(s->sid);
	if (r->verdict.kind != OK)
		log_event(LOG_WARN, "mark_seen", "sid=%s user=%s error=%s", s->sid,
		    log_str(s->account), log_str(r->verdict.text));
	pop3_server_resume(&s->pop3, quit_remove(s));
}

enum pop3_next
pop3d_quit(struct pop3_server *pop3)
{
	static const struct store_change seen = { .how = STORE_ADD, .flags = STORE_SEEN };
	struct pop3d_session *s = pop3d_session_of(pop3);
	struct drop *d = s->drop;
	struct buf ranges = { 0 };

	if (d->retrieved.n == 0)
		return quit_remove(s);
	drop_ranges(d, &d->retrieved, &ranges);
	store_flags_start(pop3d.store, d->mailbox, (const struct store_range *)(void *)ranges.p,
	    ranges.n / sizeof(struct store_range), &seen, &pop3->op, quit_seen, s);
	buf_fini(&ranges);
	return POP3_WAIT;
}
