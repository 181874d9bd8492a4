/* jmapd/events.c: push by EventSource (RFC 8620 7.3): an answer that goes on as long as the client reads it.
 *
 * Owns the listeners, of which a connection is one while its answer lasts.  stored's events come for the whole
 * store, once for a worker; a listener whose account is meant is woken behind the turn, so that many changes
 * are one line.  The state of every type is the account's counter.
 * A client that does not read is not waited for: what is due to it is a flag, never a queue. */
#include "base/clock.h"
#include "base/json.h"
#include "submission-kept.h"
#include "store/watch.h"

#define PING_LEAST 5 /* seconds */
#define PING_MOST  3600

struct listener_types {
	bool email, mailbox, thread, delivery, submission;
};
struct events {
	struct list link;       /* jmapd.listeners */
	struct list of_account; /* jmapd.listening, by a hash of the account */
	struct list due_link;   /* jmapd.due, while it is to be woken */
	struct session *s;
	uint64_t account;
	struct listener_types types;
	bool close_after;        /* the first state ends it */
	uint64_t ping_ms;        /* 0: none */
	struct jmapd_state told; /* that the client knows */
	bool due, ping_due, over;
	struct deadline ping;
};

static size_t
events_slot(uint64_t account)
{
	return (size_t)((account * UINT64_C(0x9e3779b97f4a7c15)) >> 40) & (LISTENING - 1);
}

static void
events_wake(struct events *e)
{
	struct session *s = e->s;

	if (!op_pending(&s->http.op))
		return; /* it is under way, or the client reads */
	op_done(&s->http.op);
	http_server_resume(&s->http, HTTP_PULL);
}

static void
events_later(struct later *l UNUSED)
{
	struct events *e;

	while ((e = list_first(&jmapd.due, struct events, due_link))) {
		list_remove(&e->due_link);
		events_wake(e);
	}
}

static void
events_due(struct events *e)
{
	e->due = true;
	if (list_empty(&e->due_link))
		list_push(&jmapd.due, &e->due_link);
	later_run(&jmapd.wakes, jmapd.loop, events_later);
}

void
events_store(const struct store_event *ev, size_t n)
{
	struct events *e;

	if (list_empty(&jmapd.listeners))
		return;
	for (size_t i = 0; i < n; i++) {
		struct list *of = &jmapd.listening[events_slot(ev[i].account)];

		if (ev[i].kind == STORE_EV_RESYNC)
			list_each(e, &jmapd.listeners, struct events, link) events_due(e);
		else if (ev[i].kind != STORE_EV_AWAY)
			list_each(e, of, struct events, of_account) if (e->account == ev[i].account)
			    events_due(e);
	}
}

void
events_drain(void)
{
	struct events *e;

	list_each(e, &jmapd.listeners, struct events, link)
	{
		e->over = true;
		events_wake(e);
	}
}

static void
events_on_ping(struct deadline *d)
{
	struct events *e = CONTAINER(d, struct events, ping);

	e->ping_due = true;
	events_wake(e);
}

/* ---- what is said -------------------------------------------------------------------------------- */

static struct jmapd_state
events_state(struct events *e)
{
	struct store_view *v = e->s->user->home->view;
	struct store_account a;
	struct jmapd_state state = e->told;

	if (store_begin(v) < 0)
		return state;
	if (store_find_account(v, slice_str(e->s->user->account), &a) == 0)
		state = state_of(&a);
	store_end(v);
	return state;
}

static void
events_put(struct buf *b, const char *type, bool wanted, struct jmapd_state state)
{
	if (!wanted)
		return;
	json_key(b, type);
	buf_char(b, '"');
	state_write(b, state);
	buf_char(b, '"');
}

/* Of those that are sent later, the state is more than the counter. */
static void
events_put_submission(struct buf *b, struct events *e, struct jmapd_state state)
{
	struct store_view *v = e->s->user->home->view;
	struct arena a = { 0 };
	struct kept_list l;

	if (store_begin(v) < 0)
		return;
	kept_read(v, e->account, slice_str(e->s->user->account), false, &a, &l);
	store_end(v);
	json_key(b, "EmailSubmission");
	buf_char(b, '"');
	kept_state_write(b, state, l.final_at);
	buf_char(b, '"');
	arena_reset(&a);
}

static void
events_say_state(struct http_server *http, struct events *e, struct jmapd_state state)
{
	struct buf b = { 0 };

	buf_lit(&b, "event: state\nid: ");
	state_write(&b, state);
	buf_lit(&b, "\ndata: {");
	json_put_cstr(&b, "@type", "StateChange");
	json_put_object(&b, "changed");
	json_put_object(&b, e->s->user->account_id);
	events_put(&b, "Mailbox", e->types.mailbox, state);
	events_put(&b, "Email", e->types.email, state);
	events_put(&b, "EmailDelivery", e->types.delivery, state);
	events_put(&b, "Thread", e->types.thread, state);
	if (e->types.submission)
		events_put_submission(&b, e, state);
	buf_lit(&b, "}}}\n\n");
	http_server_piece(http, buf_get(&b));
	buf_fini(&b);
	e->told = state;
	e->over = e->over || e->close_after;
}

static void
events_cancel(struct op *op UNUSED)
{
}

static enum http_next
events_more(struct http_server *http)
{
	struct events *e = http->data;
	char text[64];

	if (websession_state(e->s) == WEBSESSION_OVER)
		return HTTP_NEXT; /* who asks again hears why */
	if (e->due) {
		struct jmapd_state state = events_state(e);

		e->due = false;
		if (!state_eq(state, e->told))
			events_say_state(http, e, state);
	}
	if (e->ping_due) {
		(void)snprintf(text, sizeof(text), "event: ping\ndata: {\"interval\":%llu}\n\n",
		    (unsigned long long)(e->ping_ms / 1000));
		http_server_piece(http, slice_str(text));
		e->ping_due = false;
	}
	if (e->over || daemon_draining())
		return HTTP_NEXT;
	if (e->ping_ms)
		deadline_set(&e->ping, jmapd.loop, e->ping_ms, events_on_ping);
	http->op = (struct op){ .cancel = events_cancel, .impl = e };
	return HTTP_WAIT;
}

static void
events_undo(struct http_server *http)
{
	struct events *e = http->data;

	deadline_clear(&e->ping);
	list_remove(&e->link);
	list_remove(&e->of_account);
	list_remove(&e->due_link);
	metric_add(M_LISTENERS, -1);
}

/* ---- the request ---------------------------------------------------------------------------------- */

/* "*", or names with commas; names that are not known are passed over. */
static bool
events_types(struct slice text, struct listener_types *t)
{
	struct slice name;

	if (text.n == 0)
		return false;
	if (slice_eq(text, S("*"))) {
		*t = (struct listener_types){ true, true, true, true, true };
		return true;
	}
	while (slice_cut(&text, ',', &name)) {
		t->email = t->email || slice_eq(name, S("Email"));
		t->mailbox = t->mailbox || slice_eq(name, S("Mailbox"));
		t->thread = t->thread || slice_eq(name, S("Thread"));
		t->submission = t->submission || slice_eq(name, S("EmailSubmission"));
		t->delivery = t->delivery || slice_eq(name, S("EmailDelivery"));
	}
	return true;
}

enum http_next
events_get(struct session *s, struct slice rest)
{
	struct slice close_after = route_query(s, S("closeafter")), known;
	struct events *e;
	uint64_t ping = 0;

	if (rest.n)
		return http_server_error(&s->http, 404, NULL);
	e = arena_new(&s->http.arena, sizeof(*e));
	if (!events_types(route_query(s, S("types")), &e->types) ||
	    (!slice_eq(close_after, S("no")) && !slice_eq(close_after, S("state"))) ||
	    slice_u64(route_query(s, S("ping")), UINT32_MAX, &ping) < 0)
		return http_server_error(&s->http, 400, "types, closeafter=no|state, ping=SECONDS");
	if (ping)
		ping = ping < PING_LEAST ? PING_LEAST : ping > PING_MOST ? PING_MOST : ping;
	e->s = s;
	e->account = s->user->id;
	e->close_after = slice_eq(close_after, S("state"));
	e->ping_ms = ping * 1000;
	deadline_init(&e->ping);
	e->told = events_state(e);
	known = http_head_value(http_server_head(&s->http), S("Last-Event-ID"));
	if (known.p) {
		(void)state_parse(slice_trim(known), &e->told);
		e->due = true; /* what it has missed, if it has */
	}
	list_init(&e->due_link);
	list_push(&jmapd.listeners, &e->link);
	list_push(&jmapd.listening[events_slot(e->account)], &e->of_account);
	metric_add(M_LISTENERS, 1);
	s->http.data = e;
	s->http.undo = events_undo;
	s->http.endless = true;
	http_server_answer(&s->http, 200);
	http_server_field(&s->http, "Cache-Control", S("no-store"));
	http_server_field(&s->http, "X-Accel-Buffering", S("no"));
	return http_server_stream(&s->http, "text/event-stream", HTTP_LENGTH_UNKNOWN, events_more);
}
