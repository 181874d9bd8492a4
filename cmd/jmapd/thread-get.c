/* jmapd/thread-get.c: Thread/get (RFC 8621 3.1).
 *
 * stored keeps which emails are of one thread, and the store reads them in the order of receivedAt.  A walk over the
 * ids, each thread whole within one piece: it has at most STORE_THREAD_MOST emails. */
#include "email.h"

struct thread_get {
	struct call_ids ids;
	bool *missing;
	uint64_t want;
	bool begun;
	size_t at;
};

static enum call_next
thread_get_start(struct call *c)
{
	static const char *const properties[] = { "id", "emailIds", NULL };
	struct thread_get *g = c->data;
	enum call_next next;

	if (!call_account_shared(c, &next) || !call_ids(c, &g->ids, &next) ||
	    !call_properties(c, properties, &g->want, &next))
		return next;
	if (!g->ids.list)
		return call_error(c, "requestTooLarge", "ids: null would be all threads");
	g->missing = arena_array(&c->arena, g->ids.n + 1, sizeof(*g->missing));
	return CALL_AGAIN;
}

static void
thread_get_write(struct call *c, const struct thread_get *g, uint64_t thread,
    const struct buf *emails)
{
	struct buf *b = call_out(c);
	struct store_thread_email e;

	json_element(b);
	buf_char(b, '{');
	json_key(b, "id");
	jmap_id_json(b, JMAP_THREAD, thread);
	if (g->want & 2) {
		json_put_array(b, "emailIds");
		for (size_t at = 0; at < emails->n; at += sizeof(e)) {
			memcpy(&e, emails->p + at, sizeof(e));
			json_element(b);
			jmap_id_json(b, JMAP_EMAIL, e.emailid);
		}
		buf_char(b, ']');
	}
	buf_char(b, '}');
}

/* Without the emails all of whose messages are marked as deleted: they are not there. */
static void
thread_get_visible(struct call *c, const struct buf *all, struct buf *out)
{
	struct arena scratch = { 0 };
	struct store_thread_email t;
	struct email e;

	for (size_t at = 0; at < all->n; at += sizeof(t)) {
		memcpy(&t, all->p + at, sizeof(t));
		if (email_load(c, t.emailid, &scratch, &e) == 0)
			buf_add(out, &t, sizeof(t));
		arena_reset(&scratch);
	}
}

static void
thread_get_one(struct call *c, struct thread_get *g)
{
	uint64_t thread = jmap_id_parse(g->ids.list[g->at], JMAP_THREAD);
	struct buf all = { 0 }, emails = { 0 };

	if (thread)
		store_thread_emails(call_view(c), &call_folders(c)->boxes, thread, &all);
	thread_get_visible(c, &all, &emails);
	if (emails.n)
		thread_get_write(c, g, thread, &emails);
	else
		g->missing[g->at] = true;
	g->at++;
	buf_fini(&all);
	buf_fini(&emails);
}

static enum call_next
thread_get_go(struct call *c)
{
	struct thread_get *g = c->data;
	struct store_account a;
	int rc;
	enum call_next next = folders_begin(c, &a, &rc);

	if (rc < 0)
		return call_failed(c, rc);
	if (next == CALL_AGAIN)
		return next;
	if (!g->begun) {
		g->begun = true;
		call_answer(c);
		call_put_account(c);
		call_put_state(c, "state", a.modseq);
		json_put_array(call_out(c), "list");
	}
	while (g->at < g->ids.n && !call_spent(c))
		thread_get_one(c, g);
	store_end(call_view(c));
	if (g->at < g->ids.n)
		return CALL_AGAIN;
	buf_char(call_out(c), ']');
	call_put_not_found(c, &g->ids, g->missing);
	return call_end(c);
}

const struct jmapd_method thread_get = { "Thread/get", JMAP_MAIL, sizeof(struct thread_get),
	thread_get_start, thread_get_go, NULL };
