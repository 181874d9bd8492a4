/* jmapd/submission-kept.c: submissions that are to be sent later, in the store and out of it.
 *
 * Called by EmailSubmission's methods and by push.  Each row is written by itself, so that two clients at once lose
 * nothing of each other's.  Can fail: a row that cannot be read, which counts as none and is logged.  Must stay true:
 * an account has KEPT_ROWS rows at most; of what was forgotten to keep to that the state is known (`floor`), so that
 * /changes tells all or says that it cannot.  Cost: all rows of an account at each look. */
#include "submission-kept.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/kv.h"
#include "base/log.h"

#define KEPT_ENTRY STORE_ANNOT_SECRET "submission/"

static const char *const kept_states[] = { [KEPT_WAITS] = "waits",
	[KEPT_CANCELLING] = "cancelling",
	[KEPT_CANCELED] = "canceled",
	[KEPT_SENT] = "sent",
	[KEPT_GONE] = "gone" };

/* ---- rows ---------------------------------------------------------------------------------------------- */

static bool
kept_u64(struct slice line, const char *key, uint64_t *n)
{
	struct slice v = kv_find(line, key);

	return v.p && slice_u64(v, UINT64_MAX, n) == 0;
}

static bool
kept_parse(const struct store_annot *row, struct kept *k)
{
	struct slice rest = row->value, line, state,
		     name = slice_from(row->name, strlen(KEPT_ENTRY));
	uint64_t at;

	*k = (struct kept){ .modseq = row->modseq };
	if (name.n == 0 || name.n + 2 > sizeof(k->id) || !slice_cut(&rest, '\n', &line))
		return false;
	(void)snprintf(k->id, sizeof(k->id), "S" SFMT, SARG(name));
	state = kv_find(line, "state");
	while (k->state < KEPT_GONE && !slice_eq(state, slice_str(kept_states[k->state])))
		k->state++;
	if (!kept_u64(line, "at", &at) || at > INT64_MAX || !kept_u64(line, "since", &k->created) ||
	    !kept_u64(line, "floor", &k->floor) || !kept_u64(line, "email", &k->email) ||
	    !kept_u64(line, "thread", &k->thread) ||
	    kv_cstr(kv_find(line, "qid"), k->qid, sizeof(k->qid)) < 0 ||
	    kv_cstr(kv_find(line, "identity"), k->identity, sizeof(k->identity)) < 0)
		return false;
	k->send_at = (int64_t)at;
	if (k->created == 0)
		k->created = k->modseq;
	return slice_cut(&rest, '\n', &k->envelope) && slice_cut(&rest, '\n', &k->delivery);
}

/* A row of a state that this version does not know is one that is gone: another version's business. */
static struct slice
kept_value(struct arena *a, const struct kept *k)
{
	struct buf b = { 0 };
	struct slice s;

	buf_lit(&b, "v=1");
	kv_put(&b, "state", slice_str(kept_states[k->state]));
	kv_put_u64(&b, "at", (uint64_t)k->send_at);
	kv_put(&b, "qid", slice_str(k->qid));
	kv_put_u64(&b, "since", k->created);
	kv_put_u64(&b, "floor", k->floor);
	kv_put(&b, "identity", slice_str(k->identity));
	kv_put_u64(&b, "email", k->email);
	kv_put_u64(&b, "thread", k->thread);
	if (k->state == KEPT_CANCELLING) /* so that each mark is another one */
		kv_put_u64(&b, "mark", k->modseq);
	buf_char(&b, '\n');
	if (k->state != KEPT_GONE)
		buf_printf(&b, SFMT "\n" SFMT, SARG(k->envelope), SARG(k->delivery));
	else
		buf_char(&b, '\n');
	buf_char(&b, '\n');
	s = arena_slice(a, buf_get(&b));
	buf_fini(&b);
	return s;
}

void
kept_read(struct store_view *v, uint64_t account, struct slice login, bool texts, struct arena *a,
    struct kept_list *l)
{
	struct store_annot_walk w;
	struct store_annot row;

	*l = (struct kept_list){ .now = clock_now() };
	l->list = arena_array(a, KEPT_READ, sizeof(*l->list));
	store_annot_walk_login(&w, account, 0, login, S(KEPT_ENTRY));
	while (l->n < KEPT_READ && store_annot_next(v, &w, &row) &&
	    slice_starts(row.name, S(KEPT_ENTRY))) {
		struct kept *k = &l->list[l->n];

		if (row.gone)
			continue;
		if (!kept_parse(&row, k)) {
			log_event(LOG_ERROR, "jmap_submission_bad", "user=%s entry=%s",
			    log_value(login), log_value(row.name));
			continue;
		}
		k->envelope = texts ? arena_slice(a, k->envelope) : S("");
		k->delivery = texts ? arena_slice(a, k->delivery) : S("");
		l->n++;
		if (k->floor > l->floor)
			l->floor = k->floor;
		if (k->state <= KEPT_CANCELLING && k->send_at <= l->now && k->send_at > l->final_at)
			l->final_at = k->send_at;
	}
}

int
kept_load(struct call *c, bool texts, struct arena *a, struct kept_list *l,
    struct store_account *account)
{
	int rc = call_begin(c, account);

	if (rc < 0)
		return rc;
	kept_read(call_view(c), account->id, slice_str(call_user(c)->account), texts, a, l);
	store_end(call_view(c));
	return 0;
}

struct kept *
kept_find(const struct kept_list *l, struct slice id)
{
	for (size_t i = 0; i < l->n; i++)
		if (l->list[i].state != KEPT_GONE && slice_eq(id, slice_str(l->list[i].id)))
			return &l->list[i];
	return NULL;
}

const char *
kept_undo_status(const struct kept_list *l, const struct kept *k)
{
	if (k->state == KEPT_CANCELED)
		return "canceled";
	return k->state <= KEPT_CANCELLING && k->qid[0] && k->send_at > l->now ? "pending" :
										 "final";
}

/* ---- changes -------------------------------------------------------------------------------------------- */

static void
kept_row(struct kept_change *ch, const struct kept *k, bool gone)
{
	struct buf name = { 0 };

	buf_printf(&name, KEPT_ENTRY "%s", k->id + 1);
	ch->rows[ch->n++] =
	    (struct store_annotation){ .name = arena_slice(ch->arena, buf_get(&name)),
		    .value = gone ? S("") : kept_value(ch->arena, k),
		    .gone = gone };
	buf_fini(&name);
}

void
kept_put(struct kept_change *ch, const struct kept *k)
{
	kept_row(ch, k, false);
}

static bool
kept_over(const struct kept_list *l, const struct kept *k)
{
	return k->state != KEPT_GONE && strcmp(kept_undo_status(l, k), "pending") != 0;
}

static size_t
kept_live(const struct kept_list *l)
{
	size_t n = 0;

	for (size_t i = 0; i < l->n; i++)
		n += l->list[i].state != KEPT_GONE;
	return n;
}

bool
kept_has_room(const struct kept_list *l)
{
	size_t over = 0;

	for (size_t i = 0; i < l->n; i++)
		over += kept_over(l, &l->list[i]);
	return kept_live(l) - over < KEPT_LIVE;
}

/* The oldest that is gone, of those that are not marked; NULL: there is none. */
static struct kept *
kept_oldest_gone(const struct kept_list *l, const bool *taken)
{
	struct kept *oldest = NULL;

	for (size_t i = 0; i < l->n; i++) {
		struct kept *k = &l->list[i];

		if (k->state == KEPT_GONE && !taken[i] && (!oldest || k->modseq < oldest->modseq))
			oldest = k;
	}
	return oldest;
}

void
kept_make_room(const struct kept_list *l, struct kept_change *ch, struct kept *new)
{
	size_t live = kept_live(l), rows = l->n;
	bool taken[KEPT_READ] = { false };
	struct kept *k;

	while (rows >= KEPT_ROWS && (k = kept_oldest_gone(l, taken))) {
		taken[k - l->list] = true;
		rows--;
		kept_row(ch, k, true);
		new->floor = k->floor > new->floor ? k->floor : new->floor;
		new->floor = k->modseq > new->floor ? k->modseq : new->floor;
	}
	for (size_t i = 0; i < l->n; i++) {
		struct kept gone = l->list[i];

		if (!kept_over(l, &gone) || (live < KEPT_LIVE && gone.send_at + KEPT_TIME > l->now))
			continue;
		gone.state = KEPT_GONE;
		live--;
		kept_row(ch, &gone, false);
	}
}

/* ---- states ----------------------------------------------------------------------------------------------- */

void
kept_state_write(struct buf *b, struct jmapd_state s, int64_t final_at)
{
	state_write(b, s);
	buf_printf(b, "-%lld", (long long)final_at);
}

bool
kept_state_parse(struct slice s, struct kept_point *p)
{
	size_t dash = slice_rfind(s, '-');
	uint64_t at;

	*p = (struct kept_point){ 0 };
	if (dash == s.n || slice_u64(slice_from(s, dash + 1), INT64_MAX, &at) < 0 ||
	    !state_parse(slice_sub(s, 0, dash), &p->state))
		return false;
	p->final_at = (int64_t)at;
	return true;
}

void
kept_put_state(struct call *c, const char *name, uint64_t modseq, int64_t final_at)
{
	struct buf *b = call_out(c);

	json_key(b, name);
	buf_char(b, '"');
	kept_state_write(b, (struct jmapd_state){ c->life, modseq }, final_at);
	buf_char(b, '"');
}
