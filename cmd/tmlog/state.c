/* tmlog/state.c: what became of each recipient of a message, as its lines say, in their order.
 *
 * Pure.  The last word counts: a message that was put off and then delivered is delivered.  An address that stands
 * for others, a list or a forwarding, is split: its members have lines of their own. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "tmlog.h"

static const char *const names[] = {
	[STATE_QUEUED] = "in the queue",
	[STATE_DELIVERED] = "delivered",
	[STATE_WAITING] = "waiting",
	[STATE_FAILED] = "failed",
	[STATE_REFUSED] = "refused",
	[STATE_HELD] = "held",
	[STATE_DELETED] = "deleted",
	[STATE_SPLIT] = "expanded",
};

const char *
state_name(enum state s)
{
	return names[s];
}

static struct outcome *
outcome_get(struct outcomes *o, struct slice to)
{
	char *key = mem_strn(to.p, to.n);
	struct outcome *x;

	for (char *c = key; *c; c++)
		*c = ascii_lower(*c);
	if ((x = map_get(&o->by_key, slice_str(key)))) {
		mem_free(&key);
		return x;
	}
	x = mem_new(sizeof(*x));
	x->to = mem_strn(to.p, to.n);
	x->key = key;
	x->text = mem_str("");
	list_push(&o->list, &x->link);
	(void)map_put(&o->by_key, slice_str(key), x);
	o->n++;
	return x;
}

static void
outcome_set(struct outcome *x, enum state s, const struct logline *l, struct buf *b)
{
	x->state = s;
	mem_free(&x->text);
	(void)logline_get(l, "text", b);
	x->text = mem_strn(b->p ? b->p : "", b->n);
}

/* A recipient that is not settled. */
static void
outcome_all(struct outcomes *o, enum state to)
{
	struct outcome *x;

	list_each(x, &o->list, struct outcome, link) if (x->state == STATE_QUEUED ||
	    x->state == STATE_WAITING || x->state == STATE_HELD) x->state = to;
}

static enum state
outcome_tried(const struct logline *l, struct buf *b)
{
	(void)logline_get(l, "state", b);
	return slice_eq(buf_get(b), S("delivered")) ? STATE_DELIVERED :
	    slice_eq(buf_get(b), S("failed"))       ? STATE_FAILED :
	    slice_eq(buf_get(b), S("deferred"))     ? STATE_WAITING :
						      STATE_QUEUED;
}

static void
outcome_line(struct outcomes *o, const struct logline *l, struct buf *b)
{
	bool to = logline_get(l, "to", b) && b->n;
	struct outcome *x = NULL;

	if (to &&
	    (slice_eq(l->event, S("rcpt")) || slice_eq(l->event, S("deliver")) ||
		slice_eq(l->event, S("expanded")) || slice_eq(l->event, S("reject"))))
		x = outcome_get(o, buf_get(b));
	if (x && slice_eq(l->event, S("reject")))
		outcome_set(x, STATE_REFUSED, l, b);
	else if (x && slice_eq(l->event, S("expanded")))
		outcome_set(x, STATE_SPLIT, l, b);
	else if (x && slice_eq(l->event, S("deliver")) && slice_eq(l->who, S("channel-master")))
		outcome_set(x, outcome_tried(l, b), l, b);
	else if (slice_eq(l->event, S("hold")))
		outcome_all(o, STATE_HELD);
	else if (slice_eq(l->event, S("release")))
		outcome_all(o, STATE_QUEUED);
	else if (slice_eq(l->event, S("delete")))
		outcome_all(o, STATE_DELETED);
}

void
outcomes_of(const struct story *s, struct outcomes *o)
{
	struct buf b = { 0 };
	struct event *e;

	*o = (struct outcomes){ .n = 0 };
	list_init(&o->list);
	list_each(e, &s->events, struct event, link) outcome_line(o, &e->line, &b);
	buf_fini(&b);
}

void
outcomes_fini(struct outcomes *o)
{
	struct outcome *x;

	while ((x = list_first(&o->list, struct outcome, link))) {
		list_remove(&x->link);
		mem_free(&x->to);
		mem_free(&x->key);
		mem_free(&x->text);
		mem_free(&x);
	}
	map_fini(&o->by_key);
}
