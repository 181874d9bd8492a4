/* jmapd/websession.c: who is logged in by the web (memd), kept with the account: jmapd(8), Sessions of the web.
 *
 * memd's cookie says which session it is; here stands whether that lives, so that it ends on all hosts at once.  One
 * annotation of the account that IMAP does not show has them all (web/records.h), so they move, and are backed up, with
 * it.  route.c asks for each request that names a session; events.c for each piece of a stream.  Only a proxy names one.
 * Can fail: the store, which is 503 and ends no session.  Must stay true: of two changes at once none is lost, so each is
 * made of what was read, and refused by stored when that is not there any more (then once more, TRIES times). */
#include <errno.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "session.h"
#include "store/annot.h"
#include "web/records.h"

#define FIELD "Tiermail-Web-Session"
#define TRIES 10

enum websession_change { SESSION_BEGINS, SESSION_SEEN, SESSION_ENDS, SESSIONS_OTHERS_END };

/* A change that is under way; the request's. */
struct websession {
	struct session *s;
	enum websession_change change;
	struct slice id; /* which it is about */
	int64_t until;   /* BEGINS, SEEN: when it is over */
	bool alone;      /* BEGINS: the others end */
	unsigned tries;
	struct buf text; /* as it is written */
};

static struct slice
websession_named(const struct session *s)
{
	return s->proxy ? http_head_value(http_server_head(&s->http), S(FIELD)) : slice(NULL, 0);
}

/* What is kept, in the snapshot that is open, and what it counts (store/annot.h).  0, or -errno; empty when there is
 * nothing. */
static int
websession_find(struct session *s, struct slice *text, uint64_t *modseq)
{
	struct store_view *v = s->user->home->view;
	struct store_account account;
	struct store_annot a;
	int rc = store_find_account(v, slice_str(s->user->account), &account);

	*text = S("");
	if (rc < 0)
		return rc;
	*modseq = 0;
	rc = store_annot_find(v, account.id, 0, slice_str(s->user->account),
	    S(STORE_ANNOT_SESSIONS), &a);
	if (rc == 0)
		*modseq = a.modseq;
	if (rc == 0 && !a.gone)
		*text = a.value;
	return rc == -ENOENT ? 0 : rc;
}

enum websession_state
websession_state(struct session *s)
{
	struct slice id = websession_named(s), text;
	struct web_record r;
	uint64_t modseq;
	bool lives;
	int rc;

	if (!id.p)
		return WEBSESSION_NONE;
	rc = store_begin(s->user->home->view);
	if (rc < 0)
		return WEBSESSION_AWAY;
	rc = websession_find(s, &text, &modseq);
	lives = rc == 0 && web_records_find(text, id, clock_now(), &r);
	store_end(s->user->home->view);
	return lives ? WEBSESSION_LIVES : rc < 0 ? WEBSESSION_AWAY : WEBSESSION_OVER;
}

/* The proxy tells the person, and takes the cookie away. */
enum http_next
websession_over(struct session *s)
{
	http_server_answer(&s->http, 401);
	http_server_field(&s->http, FIELD, S("over"));
	return http_server_content(&s->http, "text/plain; charset=utf-8",
	    S("This session is over\n"));
}

enum http_next
websession_away(struct session *s)
{
	return route_problem(s, 503, "about:blank", "the store cannot be read now");
}

static enum http_next
websession_done(struct session *s)
{
	http_server_answer(&s->http, 204);
	return http_server_empty(&s->http);
}

/* ---- changes ------------------------------------------------------------------------------------------- */

static void
websession_undo(struct http_server *http)
{
	struct websession *w = http->data;

	buf_fini(&w->text);
}

/* What is to be written; false: there is no such session. */
static bool
websession_edit(struct websession *w, struct slice text)
{
	const struct http_head *h = http_server_head(&w->s->http);
	struct slice address = http_head_value(h, S("Tiermail-Client"));
	int64_t now = clock_now();
	struct web_record r = { .id = w->id,
		.began = now,
		.seen = now,
		.until = w->until,
		.address = address.n && slice_find(address, ' ') == address.n ? address : S("-"),
		.client = http_head_value(h, S("User-Agent")) };

	buf_clear(&w->text);
	switch (w->change) {
	case SESSION_BEGINS: web_records_begin(text, &r, w->alone, now, &w->text); return true;
	case SESSION_SEEN: return web_records_seen(text, w->id, w->until, now, &w->text);
	case SESSION_ENDS: return web_records_end(text, w->id, now, &w->text);
	case SESSIONS_OTHERS_END: return web_records_end_others(text, w->id, now, &w->text);
	}
	return false;
}

static enum http_next websession_change(struct websession *w);

static void
websession_changed(void *arg, const struct store_reply *r)
{
	struct websession *w = arg;
	struct session *s = w->s;

	log_context(s->sid);
	if (r->code == STORE_CANNOT && ++w->tries < TRIES)
		http_server_resume(&s->http, websession_change(w));
	else if (r->code == STORE_DONE)
		http_server_resume(&s->http, websession_done(s));
	else
		http_server_resume(&s->http, route_problem(s, 503, "about:blank", r->verdict.text));
}

static enum http_next
websession_change(struct websession *w)
{
	struct session *s = w->s;
	struct store_annotation a = { .name = S(STORE_ANNOT_SESSIONS) };
	struct slice text;
	uint64_t modseq = 0;
	bool changes = false;
	int rc = store_begin(s->user->home->view);

	if (rc == 0) {
		rc = websession_find(s, &text, &modseq);
		changes = rc == 0 && websession_edit(w, text);
		store_end(s->user->home->view);
	}
	if (rc < 0)
		return websession_away(s);
	if (!changes)
		return w->change == SESSION_SEEN ? websession_over(s) : websession_done(s);
	a.value = buf_get(&w->text);
	store_annotate_unless_start(jmapd.store, s->user->id, 0, &a, 1, modseq, &s->http.op,
	    websession_changed, w);
	return HTTP_WAIT;
}

static enum http_next
websession_ask(struct session *s, enum websession_change change, struct slice id)
{
	struct websession *w = arena_new(&s->http.arena, sizeof(*w));
	uint64_t until = 0;
	bool lasts = change == SESSION_BEGINS || change == SESSION_SEEN;

	if ((change != SESSIONS_OTHERS_END || id.n) && !web_record_id(id))
		return http_server_error(&s->http, 400, FIELD);
	if (lasts && slice_u64(route_query(s, S("until")), INT64_MAX, &until) < 0)
		return http_server_error(&s->http, 400, "until");
	*w = (struct websession){ .s = s,
		.change = change,
		.id = id,
		.until = (int64_t)until,
		.alone = slice_eq(route_query(s, S("alone")), S("yes")) };
	s->http.data = w;
	s->http.undo = websession_undo;
	return websession_change(w);
}

/* ---- what is asked for ----------------------------------------------------------------------------------- */

static void
websession_write(struct buf *b, struct slice text, struct slice mine)
{
	struct slice rest = web_records_start(text);
	struct web_record r;

	buf_char(b, '{');
	json_put_array(b, "sessions");
	while (web_records_next(&rest, &r)) {
		if (r.until <= clock_now())
			continue;
		json_element(b);
		buf_char(b, '{');
		json_put_str(b, "id", r.id);
		json_put_bool(b, "current", slice_eq(r.id, mine));
		json_put_utc(b, "began", r.began);
		json_put_utc(b, "seen", r.seen);
		json_put_utc(b, "expires", r.until);
		json_put_str(b, "address", r.address);
		json_put_str(b, "client", r.client);
		buf_char(b, '}');
	}
	buf_lit(b, "]}\n");
}

/* These are a proxy's alone, and have nothing below them. */
static bool
websession_for(const struct session *s, struct slice rest)
{
	return s->proxy && rest.n == 0;
}

enum http_next
websession_list(struct session *s, struct slice rest)
{
	struct buf b = { 0 };
	struct slice text;
	uint64_t modseq;
	enum http_next next;
	int rc;

	if (!websession_for(s, rest))
		return http_server_error(&s->http, 404, NULL);
	rc = store_begin(s->user->home->view);
	if (rc < 0)
		return websession_away(s);
	rc = websession_find(s, &text, &modseq);
	if (rc == 0)
		websession_write(&b, text, websession_named(s));
	store_end(s->user->home->view);
	if (rc < 0)
		return websession_away(s);
	http_server_answer(&s->http, 200);
	http_server_field(&s->http, "Cache-Control", S("no-store"));
	next = http_server_content(&s->http, "application/json", buf_get(&b));
	buf_fini(&b);
	return next;
}

static enum http_next
websession_start(struct session *s, struct slice rest, enum websession_change change,
    struct slice id)
{
	return websession_for(s, rest) ? websession_ask(s, change, id) :
					 http_server_error(&s->http, 404, NULL);
}

enum http_next
websession_begin(struct session *s, struct slice rest)
{
	return websession_start(s, rest, SESSION_BEGINS, websession_named(s));
}

enum http_next
websession_seen(struct session *s, struct slice rest)
{
	return websession_start(s, rest, SESSION_SEEN, websession_named(s));
}

/* Of an id, or "others". */
enum http_next
websession_end(struct session *s, struct slice rest)
{
	struct slice which = route_query(s, S("which")), mine = websession_named(s);

	if (slice_eq(which, S("others")))
		return websession_start(s, rest, SESSIONS_OTHERS_END, mine.p ? mine : S(""));
	return websession_start(s, rest, SESSION_ENDS, which);
}

/* It lives, or route.c had said so. */
enum http_next
websession_check(struct session *s, struct slice rest)
{
	return websession_for(s, rest) ? websession_done(s) :
					 http_server_error(&s->http, 404, NULL);
}
