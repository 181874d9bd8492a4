/* pop3d/list.c: the commands that look at numbers: STAT, LIST, UIDL, DELE, RSET; and the table of all.
 * RFC 1939 5 and 7.
 *
 * Called by the command table.  Can fail: the index, which is [SYS/TEMP].  Whole listings are cursors of
 * DROP_SIZES messages a step.  What must stay true: LIST says of a message what RETR sends of it, and
 * STAT the sum of LIST. */
#include "base/log.h"
#include "pop3d.h"

static enum pop3_next
pop3d_takes_none(struct pop3_server *pop3)
{
	struct verdict v = verdict(OUT_VERB_TAKES_NONE, pop3->cmd->name);

	return pop3_server_bad(pop3, &v);
}

bool
pop3d_message(struct pop3_server *pop3, struct slice *arg, bool more, uint32_t *n,
    enum pop3_next *answer)
{
	const struct drop *d = pop3d_session_of(pop3)->drop;
	struct verdict v;

	if (!arg->p || !pop3_number(arg, n) || (arg->n > 0) != more) {
		v = verdict(OUT_VERB_NEEDS, pop3->cmd->name,
		    more ? "the number of a message and one of lines" : "the number of a message");
		*answer = pop3_server_bad(pop3, &v);
		return false;
	}
	if (*n == 0 || *n > d->count) {
		v = verdict(OUT_DROP_NO_MESSAGE);
		*answer = pop3_server_err(pop3, POP3_PLAIN, &v);
		return false;
	}
	if (drop_marked(&d->deleted, *n)) {
		v = verdict(OUT_DROP_MARKED);
		*answer = pop3_server_err(pop3, POP3_PLAIN, &v);
		return false;
	}
	return true;
}

static enum pop3_next
pop3d_unreadable(struct pop3d_session *s, int rc)
{
	struct verdict v = verdict(OUT_DROP_UNREADABLE);

	log_event(LOG_ERROR, "maildrop", "sid=%s user=%s error=%s", s->sid, log_str(s->account),
	    log_str(strerror(-rc)));
	return pop3d_session_no(s, &v);
}

/* STAT								RFC 1939 5 */
static enum pop3_next
pop3d_cmd_stat(struct pop3_server *pop3, struct slice arg)
{
	const struct drop *d = pop3d_session_of(pop3)->drop;

	if (arg.p)
		return pop3d_takes_none(pop3);
	return pop3_server_ok(pop3, "%u %llu", d->count - d->deleted.n,
	    (unsigned long long)(d->bytes - d->deleted_bytes));
}

/* ---- listings ------------------------------------------------------------------------------- */

struct listing {
	uint32_t next; /* message */
};

static void
listing_line(struct buf *b, uint32_t n)
{
	buf_u64(b, n);
	buf_char(b, ' ');
}

static enum pop3_next
listing_begin(struct pop3_server *pop3, enum pop3_next (*more)(struct pop3_server *))
{
	const struct drop *d = pop3d_session_of(pop3)->drop;
	struct listing *l = arena_new(&pop3->arena, sizeof(*l));

	l->next = 1;
	pop3->data = l;
	pop3_server_ok(pop3, "%u messages", d->count - d->deleted.n);
	return pop3_server_pull(pop3, more);
}

/* How many are next: 0, and the end is written, when there are no more. */
static uint32_t
listing_step(struct pop3_server *pop3, const struct drop *d)
{
	const struct listing *l = pop3->data;

	if (l->next > d->count) {
		buf_lit(pop3_server_out(pop3), ".\r\n");
		return 0;
	}
	return d->count - l->next < DROP_SIZES ? d->count - l->next + 1 : DROP_SIZES;
}

static enum pop3_next
list_more(struct pop3_server *pop3)
{
	struct pop3d_session *s = pop3d_session_of(pop3);
	const struct drop *d = s->drop;
	struct buf *b = pop3_server_out(pop3);
	struct listing *l = pop3->data;
	uint64_t sizes[DROP_SIZES];
	uint32_t n = listing_step(pop3, d);
	int rc;

	if (n == 0)
		return POP3_NEXT;
	rc = drop_sizes(d, s->home->view, l->next, n, sizes);
	if (rc < 0) { /* +OK is said: an end that does not come is the only honest one */
		(void)pop3d_unreadable(s, rc);
		pop3->line.why = "store";
		return POP3_CLOSE;
	}
	for (uint32_t i = 0; i < n; i++) {
		if (drop_marked(&d->deleted, l->next + i) || sizes[i] == DROP_UNKNOWN)
			continue;
		listing_line(b, l->next + i);
		buf_u64(b, sizes[i]);
		buf_lit(b, "\r\n");
	}
	l->next += n;
	return POP3_PULL;
}

/* LIST [msg]							RFC 1939 5 */
static enum pop3_next
pop3d_cmd_list(struct pop3_server *pop3, struct slice arg)
{
	struct pop3d_session *s = pop3d_session_of(pop3);
	struct verdict v = verdict(OUT_DROP_GONE);
	enum pop3_next answer;
	uint64_t size;
	uint32_t n;
	int rc;

	if (!arg.p)
		return listing_begin(pop3, list_more);
	if (!pop3d_message(pop3, &arg, false, &n, &answer))
		return answer;
	rc = drop_sizes(s->drop, s->home->view, n, 1, &size);
	if (rc < 0)
		return pop3d_unreadable(s, rc);
	if (size == DROP_UNKNOWN)
		return pop3_server_err(pop3, POP3_PLAIN, &v);
	return pop3_server_ok(pop3, "%u %llu", n, (unsigned long long)size);
}

static enum pop3_next
uidl_more(struct pop3_server *pop3)
{
	const struct drop *d = pop3d_session_of(pop3)->drop;
	struct buf *b = pop3_server_out(pop3);
	struct listing *l = pop3->data;
	uint32_t n = listing_step(pop3, d);

	if (n == 0)
		return POP3_NEXT;
	for (; n > 0; n--, l->next++) {
		if (drop_marked(&d->deleted, l->next))
			continue;
		listing_line(b, l->next);
		pop3_uidl_write(b, config.uidl, d->uidvalidity, drop_uid(d, l->next));
		buf_lit(b, "\r\n");
	}
	return POP3_PULL;
}

/* UIDL [msg]							RFC 1939 7 */
static enum pop3_next
pop3d_cmd_uidl(struct pop3_server *pop3, struct slice arg)
{
	const struct drop *d = pop3d_session_of(pop3)->drop;
	struct buf id = { 0 };
	enum pop3_next answer;
	uint32_t n;

	if (!arg.p)
		return listing_begin(pop3, uidl_more);
	if (!pop3d_message(pop3, &arg, false, &n, &answer))
		return answer;
	pop3_uidl_write(&id, config.uidl, d->uidvalidity, drop_uid(d, n));
	answer = pop3_server_ok(pop3, "%u %s", n, buf_cstr(&id));
	buf_fini(&id);
	return answer;
}

/* ---- marks ---------------------------------------------------------------------------------- */

/* DELE msg: only marks it.					RFC 1939 5 */
static enum pop3_next
pop3d_cmd_dele(struct pop3_server *pop3, struct slice arg)
{
	struct pop3d_session *s = pop3d_session_of(pop3);
	struct drop *d = s->drop;
	enum pop3_next answer;
	uint64_t size;
	uint32_t n;
	int rc;

	if (!pop3d_message(pop3, &arg, false, &n, &answer))
		return answer;
	rc = drop_sizes(d, s->home->view, n, 1, &size);
	if (rc < 0)
		return pop3d_unreadable(s, rc);
	(void)drop_mark(d, &d->deleted, n);
	d->deleted_bytes += size == DROP_UNKNOWN ? 0 : size;
	return pop3_server_ok(pop3, "Message %u marked as deleted", n);
}

/* RSET								RFC 1939 5 */
static enum pop3_next
pop3d_cmd_rset(struct pop3_server *pop3, struct slice arg)
{
	struct drop *d = pop3d_session_of(pop3)->drop;

	if (arg.p)
		return pop3d_takes_none(pop3);
	drop_unmark_all(&d->deleted);
	d->deleted_bytes = 0;
	return pop3_server_ok(pop3, "%u messages (%llu octets)", d->count,
	    (unsigned long long)d->bytes);
}

const struct pop3_command pop3d_commands[] = {
	{ "STAT", pop3d_cmd_stat, POP3_TRANSACTION, "RFC 1939 5" },
	{ "LIST", pop3d_cmd_list, POP3_TRANSACTION, "RFC 1939 5" },
	{ "RETR", pop3d_cmd_retr, POP3_TRANSACTION, "RFC 1939 5" },
	{ "DELE", pop3d_cmd_dele, POP3_TRANSACTION, "RFC 1939 5" },
	{ "RSET", pop3d_cmd_rset, POP3_TRANSACTION, "RFC 1939 5" },
	{ "TOP", pop3d_cmd_top, POP3_TRANSACTION, "RFC 1939 7" },
	{ "UIDL", pop3d_cmd_uidl, POP3_TRANSACTION, "RFC 1939 7" },
	{ "XCLIENT", pop3d_cmd_xclient, POP3_AUTHORIZATION, "Dovecot" },
	{ NULL, NULL, 0, NULL },
};
