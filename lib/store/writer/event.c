/* What people do to messages for which a script waits: rows of `event` (RFC 6785).
 *
 * Called by the writer's thread within its batch, by what brings messages into a mailbox or changes flags: so the row is
 * committed with what it tells of, or neither is.  Nothing is run here; imapd reads the rows, sees to it that the scripts
 * run, and says how far it has come.  What must stay true: a request for a mailbox without a script costs two looks
 * and writes nothing; what a script does makes no event (STORE_QUIET), nor does mail that comes, so that none goes round;
 * and while nobody takes the rows, they are no more than STORE_EVENTS_MOST. */
#include "base/log.h"
#include "store/annot.h"
#include "store/writer/writer-impl.h"

#define RANGES_MOST 150 /* of a row: it stays below half a page */

/* ---- is it wanted? ------------------------------------------------------------------------ */

static bool
event_annotated(struct writer *w, const struct wacct *a, uint64_t mailbox, bool *runs)
{
	uint8_t key[STORE_ANNOT_KEY];
	size_t n = store_annot_key(key, a->d.id, mailbox, S(""), S(STORE_ANNOT_SCRIPT));
	struct slice row = writer_row_get(w, STORE_T_ANNOT, key, n);
	struct store_annot annot;

	if (!row.p || store_annot_parse(slice((const char *)key, n), row, &annot) < 0 || annot.gone)
		return false;
	*runs = annot.value.n > 0;
	return true;
}

/* Where none is named the administrator's may be for all. */
static bool
event_scripted(struct writer *w, const struct wbox *b)
{
	bool runs = w->config->events == STORE_EVENTS_ALL;

	if (!event_annotated(w, b->acct, b->id, &runs))
		(void)event_annotated(w, b->acct, 0, &runs);
	return runs;
}

void
writer_event_begin(struct wevent *e, struct writer *w, const struct store_job *j,
    const struct wbox *b, enum store_cause cause, const struct wbox *from)
{
	bool junk = w->config->events != STORE_EVENTS_SCRIPTS && cause == STORE_CAUSE_COPY &&
	    (b->d.special == STORE_USE_JUNK || from->d.special == STORE_USE_JUNK);

	*e = (struct wevent){ .w = w, .login = j->req.actor, .b = b, .cause = cause };
	if (from)
		e->from = from->id;
	e->wanted = j->req.actor.n && j->req.verb != STORE_V_RENAME &&
	    !(j->req.verb == STORE_V_FLAGS && j->req.options & STORE_QUIET) &&
	    (junk || event_scripted(w, b));
}

/* ---- rows --------------------------------------------------------------------------------- */

/* The number of the next row: behind all that are there, and behind all that were, for a batch has no number twice. */
static uint64_t
event_number(struct writer *w)
{
	uint64_t number = w->files->number << 12;
	MDB_cursor *c;
	MDB_val k, d;

	if (w->error || (w->error = mdb_cursor_open(w->txn, w->env->dbi[STORE_T_EVENT], &c)))
		return 0;
	if (mdb_cursor_get(c, &k, &d, MDB_LAST) == 0 && k.mv_size == 8 &&
	    store_get64(k.mv_data) >= number)
		number = store_get64(k.mv_data) + 1;
	mdb_cursor_close(c);
	return number;
}

static bool
event_has_room(struct writer *w)
{
	MDB_stat st;

	if (w->error || mdb_stat(w->txn, w->env->dbi[STORE_T_EVENT], &st) != 0)
		return false;
	if (st.ms_entries < STORE_EVENTS_MOST)
		return true;
	w->stats.events_lost++;
	return false;
}

static void
event_put(struct wevent *e)
{
	struct writer *w = e->w;
	struct store_disk_event d = { .version = STORE_VERSION,
		.cause = (uint8_t)e->cause,
		.count = (uint16_t)(e->ranges.n / sizeof(struct store_range)),
		.login_len = (uint16_t)e->login.n,
		.flags = e->flags,
		.keywords = e->keywords,
		.account = e->b->acct->d.id,
		.mailbox = e->b->id,
		.from = e->from,
		.at = (uint32_t)w->now };
	uint8_t key[8];

	if (e->ranges.n == 0 || !event_has_room(w)) {
		buf_clear(&e->ranges);
		return;
	}
	store_be64(key, event_number(w));
	buf_clear(&w->scratch);
	buf_add(&w->scratch, &d, sizeof(d));
	buf_slice(&w->scratch, buf_get(&e->ranges));
	buf_slice(&w->scratch, e->login);
	writer_row_put(w, STORE_T_EVENT, key, sizeof(key), w->scratch.p, w->scratch.n, 0);
	buf_clear(&e->ranges);
	w->stats.events++;
	e->told = true;
}

void
writer_event_flags(struct wevent *e, uint32_t uid, uint16_t flags, uint64_t keywords)
{
	if (!e->wanted)
		return;
	if (flags != e->flags || keywords != e->keywords)
		event_put(e);
	e->flags = flags;
	e->keywords = keywords;
	writer_range_add(&e->ranges, uid);
	if (e->ranges.n > RANGES_MOST * sizeof(struct store_range)) {
		struct store_range last;

		e->ranges.n -= sizeof(last);
		memcpy(&last, e->ranges.p + e->ranges.n, sizeof(last));
		event_put(e);
		buf_add(&e->ranges, &last, sizeof(last));
	}
}

void
writer_event_came(struct wevent *e, struct slice ranges)
{
	for (; e->wanted && ranges.n;
	     ranges = slice_from(ranges, RANGES_MOST * sizeof(struct store_range))) {
		buf_slice(&e->ranges,
		    slice_sub(ranges, 0, RANGES_MOST * sizeof(struct store_range)));
		event_put(e);
	}
}

void
writer_event_end(struct wevent *e)
{
	event_put(e);
	if (e->told)
		writer_event_add(e->w, STORE_EV_HAPPENED, e->b->acct->d.id, e->b->id,
		    e->b->d.highestmodseq);
	buf_fini(&e->ranges);
}

/* ---- HANDLED ------------------------------------------------------------------------------- */

void
writer_run_handled(struct writer *w, struct store_job *j)
{
	uint8_t key[8];

	store_be64(key, j->req.since);
	writer_row_del(w, STORE_T_EVENT, key, sizeof(key));
	writer_reply_ok(j);
}
