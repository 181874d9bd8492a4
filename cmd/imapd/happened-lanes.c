/* imapd/happened-lanes.c: whose turn it is: of the accounts with events, whoever has waited longest.
 *
 * Called by happened.c.  Nothing can fail but reading, and then there is nobody new.  Must stay true: an account's own rows
 * are taken in their order, one lane each; what is looked at in a turn is bounded by LOOK rows of each partition, and the next
 * turn goes on behind them, so that nobody's flood hides others, not even one that waits for a filter.  Who has had a row
 * done during such a look through all has no other lane until it is over: it may have passed an earlier row of his. */
#include "happened-impl.h"

#define LOOK 10000 /* rows: some milliseconds */
#define NEAR 100   /* rows */

static struct lane **
lanes_head(struct lanes *ls, const struct store_home *home, uint64_t account)
{
	return &ls->heads[(account ^ (uintptr_t)home >> 4) % NELEM(ls->heads)];
}

static struct lane *
lanes_lane(struct lanes *ls, const struct store_home *home, uint64_t account)
{
	struct lane *l = *lanes_head(ls, home, account);

	while (l && (l->home != home || l->account != account))
		l = l->next;
	return l;
}

/* There is room: ls->n < LANES_MOST. */
static void
lanes_new(struct lanes *ls, struct store_home *home, const struct store_happened *row)
{
	struct lane **head = lanes_head(ls, home, row->account);

	while (ls->list[ls->at].home)
		ls->at = (ls->at + 1) % LANES_MOST;
	ls->list[ls->at] = (struct lane){ .home = home,
		.account = row->account,
		.number = row->number,
		.next = *head };
	*head = &ls->list[ls->at];
	ls->n++;
}

static void
lanes_drop(struct lanes *ls, struct lane *l)
{
	struct lane **at = lanes_head(ls, l->home, l->account);

	while (*at != l)
		at = &(*at)->next;
	*at = l->next;
	*l = (struct lane){ .home = NULL };
	ls->n--;
	ls->stale = true;
}

/* Inside a snapshot.  False: it is not at the end. */
static bool
lanes_fill_home(struct lanes *ls, struct store_home *home)
{
	struct store_happened row = { .number = ls->after };

	ls->after = 0;
	for (int looked = 0; ls->n < LANES_MOST; looked++) {
		if (looked == LOOK) {
			ls->after = row.number;
			return false;
		}
		if (!store_happened_next(home->view, row.number, &row))
			break;
		if (!lanes_lane(ls, home, row.account))
			lanes_new(ls, home, &row);
	}
	return true;
}

/* All have been looked through. */
static void
lanes_filled(struct lanes *ls)
{
	ls->home = NULL;
	for (size_t i = 0; ls->spent && i < LANES_MOST; i++)
		if (ls->list[i].spent) {
			lanes_drop(ls, &ls->list[i]);
			ls->spent--;
		}
}

bool
lanes_fill(struct lanes *ls, struct store_homes *homes)
{
	struct store_home *home, *from = ls->home;
	size_t at = 0;

	if (!from) {
		if (!ls->stale || ls->n == LANES_MOST)
			return false;
		ls->stale = false;
	}
	while ((home = map_next(&homes->parts, &at))) {
		bool end = true;

		if (from && from != home)
			continue; /* one that has come since is looked at the next time */
		from = NULL;
		if (store_begin(home->view) < 0) {
			ls->after = 0;
			continue;
		}
		end = lanes_fill_home(ls, home);
		store_end(home->view);
		if (!end) {
			ls->home = home;
			return true;
		}
	}
	lanes_filled(ls);
	return ls->stale && ls->n < LANES_MOST;
}

struct lane *
lanes_next(struct lanes *ls, uint64_t now, uint64_t *due)
{
	struct lane *next = NULL;

	*due = UINT64_MAX;
	for (size_t i = 0; i < LANES_MOST; i++) {
		struct lane *l = &ls->list[i];

		if (!l->home || l->busy || l->behind || l->spent)
			continue;
		if (l->due > now)
			*due = l->due < *due ? l->due : *due;
		else if (!next || l->turn < next->turn)
			next = l;
	}
	if (next)
		next->turn = ++ls->turns;
	return next;
}

void
lanes_step(struct lane *l)
{
	l->tries = 0;
	l->due = 0;
	if (++l->stage < LANE_STAGES)
		return;
	l->stage = LANE_JUNK;
	l->uid++;
}

void
lanes_ahead(struct lanes *ls)
{
	for (size_t i = 0; i < LANES_MOST; i++)
		ls->list[i].behind = false;
}

/* The account's next row, when it is near: a flood is one row behind the other. */
static bool
lanes_follow(struct lane *l)
{
	struct store_happened row = { .number = l->number };
	bool found = false;

	if (store_begin(l->home->view) < 0)
		return false;
	for (int looked = 0; looked < NEAR && !found; looked++) {
		if (!store_happened_next(l->home->view, row.number, &row))
			break;
		found = row.account == l->account;
	}
	store_end(l->home->view);
	if (!found)
		return false;
	l->number = row.number;
	l->busy = l->behind = false;
	l->range = 0;
	l->uid = 0;
	l->stage = LANE_JUNK;
	l->tries = 0;
	l->due = 0;
	return true;
}

/* Others stay where they are: hands have them. */
void
lanes_row_over(struct lanes *ls, struct lane *l)
{
	if (ls->n < LANES_MOST && lanes_follow(l))
		return;
	if (ls->home) {
		l->spent = true;
		ls->spent++;
	} else {
		lanes_drop(ls, l);
	}
}
