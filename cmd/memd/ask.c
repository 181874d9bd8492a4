/* memd/ask.c: what memd itself asks of a person's store: short questions, each of which may be asked twice.
 *
 * Owns a struct memd_ask, the session's, until it is told or the request is over.  Called by record.c for all that
 * concerns the records of sessions.  Can fail: the store, which is told as status 0 and logged as proxy.c does.
 * Must stay true: a store that says that the mailbox is elsewhere is believed once, as in proxy.c; nothing of the client
 * goes there but who it says it is. */
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "memd.h"

#define ASK_MOST 65536 /* octets of an answer */

struct memd_ask {
	struct memd_session *s;
	struct memd_reach reach;
	struct http_client *client; /* lent; NULL: not yet, or not any more */
	char *host, *target;
	bool post;
	memd_told told;
	unsigned status; /* of the answer, as it is told */
	struct buf body;
	uint64_t began_us;
	bool followed; /* another store was named once */
	bool again;    /* a kept connection had been closed, once */
};

void
memd_ask_free(struct memd_ask **ap)
{
	struct memd_ask *a = *ap;

	*ap = NULL;
	if (!a)
		return;
	http_client_drop(&a->client);
	memd_reach_fini(&a->reach);
	buf_fini(&a->body);
	mem_free(&a->host);
	mem_free(&a->target);
	mem_free(&a);
}

/* Tells it; `told` may ask the next. */
static enum http_next
question_over(struct memd_ask *a)
{
	struct memd_session *s = a->s;
	enum http_next next;

	s->ask = NULL;
	if (a->status == 0)
		log_event(LOG_INFO, "store_away", "sid=%s user=%s store=%s", s->sid,
		    log_str(s->account), log_str(a->host));
	next = a->told(s, a->status, buf_get(&a->body));
	memd_ask_free(&a);
	return next;
}

static void
question_end(struct memd_ask *a)
{
	struct memd_session *s = a->s;

	log_context(s->sid);
	http_server_resume(&s->http, question_over(a));
}

static bool question_reach(struct memd_ask *a, struct slice host, bool fresh);

/* ---- what the store says --------------------------------------------------------------------------------- */

static void
question_follow(struct memd_ask *a, struct slice host)
{
	char *to = mem_strn(host.p, host.n);

	log_event(LOG_INFO, "referral", "sid=%s user=%s store=%s to=%s", a->s->sid,
	    log_str(a->s->account), log_str(a->host), log_value(host));
	metric_add(M_REFERRALS, 1);
	dir_forget(memd.dir, slice_str(a->s->account));
	http_client_drop(&a->client);
	a->followed = true;
	if (!question_reach(a, slice_str(to), false))
		question_end(a);
	mem_free(&to);
}

/* 401 is about the session only when it says so: else the store does not believe us. */
static unsigned
question_status(const struct memd_ask *a, const struct http_head *h)
{
	bool over = h->code == 401 && http_head_find(h, S(MEMD_WEB_SESSION));

	if (h->code < 300 || over || h->code == 429)
		return h->code;
	log_event(LOG_ERROR, "store_refused", "sid=%s user=%s store=%s status=%u", a->s->sid,
	    log_str(a->s->account), log_str(a->host), h->code);
	return 0;
}

static void
question_on_head(void *arg, const struct http_head *h)
{
	struct memd_ask *a = arg;
	struct slice host = http_head_value(h, S("Tiermail-Mailhost"));

	memd_reach_tried(&a->reach, BACKEND_GOOD, S(""));
	metric_add(M_STORE_ANSWERED, 1);
	metric_add(M_STORE_US, (int64_t)(clock_mono_us() - a->began_us));
	if (h->code == 421 && host.n && !a->followed)
		question_follow(a, host);
	else
		a->status = question_status(a, h);
}

static void
question_on_bytes(void *arg, struct slice piece)
{
	struct memd_ask *a = arg;

	if (a->body.n + piece.n <= ASK_MOST)
		buf_slice(&a->body, piece);
	else
		a->status = 0;
}

static void
question_on_end(void *arg)
{
	struct memd_ask *a = arg;

	a->client = NULL;
	question_end(a);
}

static void
question_on_failed(void *arg, const char *why, bool untouched)
{
	struct memd_ask *a = arg;

	a->client = NULL;
	a->status = 0;
	log_event(LOG_INFO, "store_lost", "sid=%s store=%s error=%s", a->s->sid, log_str(a->host),
	    log_str(why));
	if (untouched)
		memd_reach_tried(&a->reach, BACKEND_GIVEN_UP, S(""));
	else
		memd_reach_tried(&a->reach,
		    strcmp(why, "says nothing") == 0 ? BACKEND_SILENT : BACKEND_BAD,
		    slice_str(why));
	if (untouched && !a->again) {
		a->again = true;
		if (question_reach(a, slice_str(a->host), true))
			return;
	}
	question_end(a);
}

static const struct http_asker asker = {
	.head = question_on_head,
	.bytes = question_on_bytes,
	.end = question_on_end,
	.failed = question_on_failed,
};

/* ---- the question ------------------------------------------------------------------------------------------ */

static void
question_say(struct memd_ask *a)
{
	struct memd_session *s = a->s;
	struct slice agent = http_head_value(http_server_head(&s->http), S("User-Agent"));
	struct http_client *c = a->client;

	a->began_us = clock_mono_us();
	a->status = 0;
	buf_clear(&a->body);
	http_client_ask(c, &asker, a, a->post ? S("POST") : S("GET"), slice_str(a->target),
	    S("localhost"));
	http_client_field(c, "Tiermail-Account", slice_str(s->account));
	http_client_field(c, "Tiermail-Client", slice_str(s->peer));
	http_client_field(c, "Tiermail-Session", slice_str(s->sid));
	if (s->web.id[0])
		http_client_field(c, MEMD_WEB_SESSION, slice_str(s->web.id));
	if (agent.p)
		http_client_field(c, "User-Agent", agent);
	http_client_body(c, 0, !a->post, (uint32_t)config.answer_time);
	if (a->post)
		http_client_done(c);
}

static void
question_reached(void *arg, struct http_client *c)
{
	struct memd_ask *a = arg;

	a->client = c;
	if (c)
		question_say(a);
	else
		question_end(a);
}

/* False: it cannot be. */
static bool
question_reach(struct memd_ask *a, struct slice host, bool fresh)
{
	char *name = mem_strn(host.p, host.n);
	bool away;

	mem_free(&a->host);
	a->host = name;
	memd_reach_fini(&a->reach);
	a->reach = (struct memd_reach){ .done = question_reached, .arg = a };
	a->client = memd_reach_start(&a->reach, slice_str(a->host), fresh, &away);
	if (a->client)
		question_say(a);
	return !away;
}

enum http_next
memd_ask(struct memd_session *s, bool post, const char *target, memd_told told)
{
	struct memd_ask *a = mem_new(sizeof(*a));

	must(!s->ask && s->account && s->mailhost);
	s->ask = a;
	a->s = s;
	a->post = post;
	a->target = mem_str(target);
	a->told = told;
	return question_reach(a, slice_str(s->mailhost), false) ? HTTP_WAIT : question_over(a);
}
