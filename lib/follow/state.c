/* follow/state.c: what became of each recipient of a message, as its lines say, in their order.
 *
 * Pure.  The last word counts: a message that was put off and then delivered is delivered.  An address that stands
 * for others, a list or a forwarding, is split: its members have lines of their own. */
#include <string.h>

#include "base/mem.h"
#include "follow/follow.h"

static const char *const names[] = {
	[FOLLOW_QUEUED] = "in the queue",
	[FOLLOW_DELIVERED] = "delivered",
	[FOLLOW_WAITING] = "waiting",
	[FOLLOW_FAILED] = "failed",
	[FOLLOW_REFUSED] = "refused",
	[FOLLOW_HELD] = "held",
	[FOLLOW_DELETED] = "deleted",
	[FOLLOW_SPLIT] = "expanded",
};

const char *
follow_state_name(enum follow_state s)
{
	return names[s];
}

static char *
outcome_key(struct slice to)
{
	char *key = mem_strn(to.p, to.n);

	for (char *c = key; *c; c++)
		*c = ascii_lower(*c);
	return key;
}

static struct follow_outcome *
outcome_get(struct follow_outcomes *o, struct slice to)
{
	char *key = outcome_key(to);
	struct follow_outcome *x;

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
outcome_set(struct follow_outcome *x, enum follow_state s, const struct logline *l, struct buf *b)
{
	x->state = s;
	mem_free(&x->text);
	(void)logline_get(l, "text", b);
	x->text = mem_strn(b->p ? b->p : "", b->n);
}

/* A recipient that is not settled. */
static void
outcome_all(struct follow_outcomes *o, enum follow_state to)
{
	struct follow_outcome *x;

	list_each(x, &o->list, struct follow_outcome, link) if (x->state == FOLLOW_QUEUED ||
	    x->state == FOLLOW_WAITING || x->state == FOLLOW_HELD) x->state = to;
}

static enum follow_state
outcome_tried(const struct logline *l, struct buf *b)
{
	(void)logline_get(l, "state", b);
	return slice_eq(buf_get(b), S("delivered")) ? FOLLOW_DELIVERED :
	    slice_eq(buf_get(b), S("failed"))       ? FOLLOW_FAILED :
	    slice_eq(buf_get(b), S("deferred"))     ? FOLLOW_WAITING :
						      FOLLOW_QUEUED;
}

/* As RCPT named it, or by an address that stands for it. */
static void
outcome_named(struct follow_outcome *x, const struct logline *l, struct buf *b)
{
	if (slice_eq(l->event, S("deliver")) || !slice_eq(l->who, S("smtp-relay")))
		return;
	if (!logline_get(l, "forwarded", b) || !b->n)
		x->named = true;
	else if (!x->behind)
		x->behind = mem_strn(b->p, b->n);
}

static void
outcome_line(struct follow_outcomes *o, const struct logline *l, struct buf *b)
{
	bool to = logline_get(l, "to", b) && b->n;
	struct follow_outcome *x = NULL;

	if (to &&
	    (slice_eq(l->event, S("rcpt")) || slice_eq(l->event, S("deliver")) ||
		slice_eq(l->event, S("expanded")) || slice_eq(l->event, S("reject"))))
		x = outcome_get(o, buf_get(b));
	if (x)
		outcome_named(x, l, b);
	if (x && slice_eq(l->event, S("reject")))
		outcome_set(x, FOLLOW_REFUSED, l, b);
	else if (x && slice_eq(l->event, S("expanded")))
		outcome_set(x, FOLLOW_SPLIT, l, b);
	else if (x && slice_eq(l->event, S("deliver")) && slice_eq(l->who, S("channel-master")))
		outcome_set(x, outcome_tried(l, b), l, b);
	else if (slice_eq(l->event, S("hold")))
		outcome_all(o, FOLLOW_HELD);
	else if (slice_eq(l->event, S("release")))
		outcome_all(o, FOLLOW_QUEUED);
	else if (slice_eq(l->event, S("delete")))
		outcome_all(o, FOLLOW_DELETED);
}

void
follow_outcomes_of(const struct follow_story *s, struct follow_outcomes *o)
{
	struct buf b = { 0 };
	struct follow_event *e;

	*o = (struct follow_outcomes){ .n = 0 };
	list_init(&o->list);
	list_each(e, &s->events, struct follow_event, link) outcome_line(o, &e->line, &b);
	buf_fini(&b);
}

struct follow_outcome *
follow_outcome_find(const struct follow_outcomes *o, struct slice to)
{
	char *key = outcome_key(to);
	struct follow_outcome *x = map_get(&o->by_key, slice_str(key));

	mem_free(&key);
	return x;
}

void
follow_outcomes_fini(struct follow_outcomes *o)
{
	struct follow_outcome *x;

	while ((x = list_first(&o->list, struct follow_outcome, link))) {
		list_remove(&x->link);
		mem_free(&x->to);
		mem_free(&x->key);
		mem_free(&x->text);
		mem_free(&x->behind);
		mem_free(&x);
	}
	map_fini(&o->by_key);
}
