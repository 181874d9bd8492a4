/* imapd/context.c: searches that are kept up to date: CONTEXT=SEARCH, CONTEXT=SORT, RFC 5267 4.3.
 *
 * Owns: view.contexts, each a search as the client wrote it and the UIDs that it has found, in the order of the mailbox
 * and, of SORT, in its own (context-sort.c).  Called when such a search is over, and by what brings it up to date
 * (context-update.c).  Can fail: bounds; then the result is not followed, which is told.  Must stay true: a result is
 * that of the search over the messages that the client knows, as of the context's counter; the numbers that EXPUNGE
 * takes away leave it before. */
#include "context-impl.h"

#include "base/mem.h"
#include "notify.h"

static void
context_free(struct context *c)
{
	list_remove(&c->link);
	metric_add(M_CONTEXTS, -1);
	mem_release(c->tag);
	mem_release(c->text);
	mem_release(c->atts);
	mem_release(c->r);
	context_order_free(&c->order);
	mem_release(c);
}

void
contexts_free(struct view *v)
{
	struct context *c;

	list_each(c, &v->contexts, struct context, link) context_free(c);
}

static struct context *
context_find(const struct session *s, struct slice tag)
{
	struct context *c;

	list_each(c, &s->view->contexts, struct context, link)
	{
		if (slice_eq(slice_str(c->tag), tag))
			return c;
	}
	return NULL;
}

bool
context_has(const struct session *s, struct slice tag)
{
	return context_find(s, tag);
}

static void
context_refuse(struct session *s, struct slice tag, const char *why)
{
	struct buf *b = session_out(s);

	buf_lit(b, "* NO [NOUPDATE ");
	imap_write_string(b, tag);
	buf_printf(b, "] %s\r\n", why);
}

/* Ends one that cannot be followed any more. */
void
context_end(struct session *s, struct context *c, const char *why)
{
	context_refuse(s, slice_str(c->tag), why);
	context_free(c);
}

/* ---- sets ----------------------------------------------------------------------------------------- */

struct imap_set
context_set_of(struct session *s, const struct store_range *r, size_t n)
{
	struct imap_set set = { 0 };

	for (size_t i = 0; i < n; i++)
		imap_set_add(&set, &s->imap.arena, r[i].first, r[i].last);
	return set;
}

/* `a` in two: what is not in `b`, and what is. */
void
context_set_split(struct session *s, const struct imap_set *a, const struct imap_set *b,
    struct imap_set *without, struct imap_set *with)
{
	struct buf out = { 0 }, in = { 0 };

	store_uids_split((const void *)a->r, a->n, (const void *)b->r, b->n, &out, &in);
	*without = context_set_of(s, (const void *)out.p, out.n / sizeof(struct store_range));
	*with = context_set_of(s, (const void *)in.p, in.n / sizeof(struct store_range));
	buf_fini(&out);
	buf_fini(&in);
}

struct imap_set
context_set(struct session *s, const struct context *c)
{
	return context_set_of(s, c->r, c->n);
}

static size_t
contexts_ranges(const struct view *v, const struct context *but)
{
	struct context *c;
	size_t n = 0;

	list_each(c, &v->contexts, struct context, link) n += c != but ? c->n : 0;
	return n;
}

size_t
contexts_sorted(const struct view *v)
{
	struct context *c;
	size_t n = 0;

	list_each(c, &v->contexts, struct context, link) n += context_order_length(c->order);
	return n;
}

/* False: there are too many ranges to be kept. */
bool
context_keep(struct session *s, struct context *c, const struct imap_set *uids)
{
	if (uids->n > CONTEXT_RANGES || contexts_ranges(s->view, c) + uids->n > CONTEXT_ALL)
		return false;
	c->r = mem_grow(c->r, uids->n + 1, sizeof(*c->r));
	c->n = uids->n;
	for (size_t i = 0; i < uids->n; i++)
		c->r[i] = (struct store_range){ uids->r[i].lo, uids->r[i].hi };
	return true;
}

/* ---- begin ---------------------------------------------------------------------------------------- */

static const char *
context_cannot(const struct session *s, const struct searching *q, const struct context_order *o)
{
	size_t n = 0;

	for (const struct list *l = s->view->contexts.next; l != &s->view->contexts; l = l->next)
		n++;
	return n == CONTEXT_MOST             ? "Too many searches are followed" :
	    q->q.seqs || q->q.saved          ? "A set that changes its meaning cannot be followed" :
	    q->text.n > CONTEXT_TEXT         ? "The search is too long to be followed" :
	    q->q.update_atts.n > NOTIFY_ATTS ? "There are too many data items" :
	    s->limited                       ? "Not all messages have been looked at" :
	    q->unreadable                    ? "Some messages cannot be read" :
	    contexts_sorted(s->view) + context_order_length(o) > CONTEXT_SORTED ? CONTEXT_TOO_LONG :
										  NULL;
}

void
context_open(struct session *s, struct searching *q, struct context_order *order)
{
	const char *why = context_cannot(s, q, order);
	struct imap_set uids = q->found;
	struct context *c;

	if (why) {
		context_refuse(s, s->imap.tag, why);
		context_order_free(&order);
		return;
	}
	if (!q->by_uid)
		(void)view_uids(s->view, &uids, false, &q->arena);
	c = mem_new(sizeof(*c));
	list_push(&s->view->contexts, &c->link);
	metric_add(M_CONTEXTS, 1);
	c->tag = mem_strn(s->imap.tag.p, s->imap.tag.n);
	c->text = mem_strn(q->text.p, q->text.n);
	c->uid = s->imap.uid;
	c->order = order;
	c->modseq = q->since;
	c->uidnext = q->uidnext;
	if (q->q.update_atts.p)
		c->atts = mem_strn(q->q.update_atts.p, q->q.update_atts.n);
	if (!context_keep(s, c, &uids))
		context_end(s, c, CONTEXT_TOO_MANY);
}

/* CANCELUPDATE "tag" ...							RFC 5267 4.3.5 */
enum imap_next
cmd_cancelupdate(struct imap_server *imap, struct imap_in *in)
{
	struct session *s = session_of(imap);
	struct slice *tags = arena_array(&imap->arena, CONTEXT_MOST, sizeof(*tags));
	size_t n = 0;

	do {
		if (n == CONTEXT_MOST)
			return imap_server_bad(imap, "Too many tags");
		if (!imap_space(in) || !imap_string(in, &tags[n++]))
			return imap_server_syntax(imap, in);
	} while (imap_next_is(in, ' '));
	if (!imap_end(in))
		return imap_server_syntax(imap, in);
	for (size_t i = 0; i < n; i++)
		if (!context_has(s, tags[i]))
			return imap_server_no(imap, NULL, "No search with this tag is followed");
	for (size_t i = 0; i < n; i++) {
		struct context *c = context_find(s, tags[i]);

		if (c) /* a tag may stand there twice */
			context_free(c);
	}
	return imap_server_finish(imap, "OK", "CANCELUPDATE completed");
}

/* ---- telling -------------------------------------------------------------------------------------- */

void
context_head(struct session *s, const char *tag, bool uid)
{
	buf_lit(session_out(s), "* ESEARCH (TAG ");
	imap_write_string(session_out(s), slice_str(tag));
	buf_str(session_out(s), uid ? ") UID" : ")");
}

/* "* ESEARCH (TAG "a") UID ADDTO (0 7:9)": position 0 is the order of the mailbox (RFC 5267 4.3.3).  A set of as
 * many ranges as a context has at most, so that the line is bounded. */
void
context_tell(struct session *s, const struct context *c, const char *what,
    const struct imap_set *uids)
{
	struct buf *b = session_out(s);
	struct imap_set set = *uids;

	if (set.n == 0)
		return;
	if (!c->uid) {
		set = (struct imap_set){ 0 };
		for (size_t i = 0; i < uids->n; i++) {
			struct store_range r = { uids->r[i].lo, uids->r[i].hi };

			view_add_seqs(s->view, &r, &set, &s->imap.arena);
		}
	}
	context_head(s, c->tag, c->uid);
	buf_printf(b, " %s (0 ", what);
	imap_set_write(b, &set);
	buf_lit(b, ")\r\n");
}

void
context_removed(struct session *s, const struct context *c, const struct imap_set *uids)
{
	if (!c->order)
		context_tell(s, c, "REMOVEFROM", uids);
	else if (uids->n > 0)
		context_order_remove(s, c->order, c->tag, c->uid, uids);
}

/* What is gone leaves the result. */
static void
context_leaves(struct session *s, struct context *c, const struct imap_set *gone)
{
	struct imap_set all = context_set(s, c), left, went;

	context_set_split(s, &all, gone, &left, &went);
	if (went.n == 0)
		return;
	context_removed(s, c, &went);
	if (!context_keep(s, c, &left))
		context_end(s, c, CONTEXT_TOO_MANY);
}

void
contexts_expunge(struct session *s, const struct store_range *gone, size_t n)
{
	struct imap_set set = { 0 };
	struct context *c;

	if (list_empty(&s->view->contexts))
		return;
	set = context_set_of(s, gone, n);
	list_each(c, &s->view->contexts, struct context, link)
	{
		if (!c->uid)
			context_leaves(s, c, &set);
	}
}
