/* settle.c: what is left of a run when it is over: its actions, and nothing that they were made from.
 *
 * A run decodes the message into its arena as far as the script looks at it, and that is as much as strangers
 * send; results wait until a delivery is over, one for each recipient.  So the actions are copied
 * out, with every octet that they name, and the rest goes. */
#include "sieve/sieve-impl.h"

struct settling {
	struct arena *to;
	struct slice from_header, header; /* the last one: actions in a row have it in common */
	struct slice from_body, body;
};

static struct slice
settle_slice(struct settling *s, struct slice text)
{
	return text.n ? arena_slice(s->to, text) : text.p ? S("") : text;
}

static struct slice
settle_header(struct settling *s, struct slice header)
{
	if (header.n && header.p == s->from_header.p && header.n == s->from_header.n)
		return s->header;
	s->from_header = header;
	return s->header = settle_slice(s, header);
}

static struct slice
settle_body(struct settling *s, struct slice body)
{
	if (body.p && (body.p != s->from_body.p || body.n != s->from_body.n)) {
		s->from_body = body;
		s->body = settle_slice(s, body);
	}
	return body.p ? s->body : body;
}

static const struct slice *
settle_list(struct settling *s, const struct slice *list, size_t n)
{
	struct slice *to = n ? arena_array(s->to, n, sizeof(*to)) : NULL;

	for (size_t i = 0; i < n; i++)
		to[i] = settle_slice(s, list[i]);
	return to;
}

static struct sieve_action *
settle_action(struct settling *s, const struct sieve_action *a)
{
	struct sieve_action *to = arena_new(s->to, sizeof(*to));

	*to = *a;
	to->next = NULL;
	to->script = arena_str(s->to, a->script);
	to->header = settle_header(s, a->header);
	to->body = settle_body(s, a->body);
	to->where = settle_slice(s, a->where);
	to->text = settle_slice(s, a->text);
	to->use = settle_slice(s, a->use);
	to->id = settle_slice(s, a->id);
	to->notify = settle_slice(s, a->notify);
	to->ret = settle_slice(s, a->ret);
	to->subject = settle_slice(s, a->subject);
	to->from = settle_slice(s, a->from);
	to->handle = settle_slice(s, a->handle);
	to->flags = settle_list(s, a->flags, a->nflags);
	to->addresses = settle_list(s, a->addresses, a->naddresses);
	return to;
}

void
sieve_result_settle(struct sieve_result *r)
{
	struct sieve_action **last = &r->actions;
	const struct sieve_action *a = r->actions;
	struct arena to = { 0 };
	struct settling s = { .to = &to };

	for (; a; a = a->next) {
		*last = settle_action(&s, a);
		if (a->fcc)
			(*last)->fcc = settle_action(&s, a->fcc);
		last = &(*last)->next;
	}
	*last = NULL;
	if (r->error) {
		struct sieve_error *e = arena_new(&to, sizeof(*e));

		*e = *r->error;
		e->next = NULL;
		e->script = arena_str(&to, e->script);
		e->text = arena_str(&to, e->text);
		r->error = e;
	}
	arena_reset(&r->arena);
	r->arena = to;
}
