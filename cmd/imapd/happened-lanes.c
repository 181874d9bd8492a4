/* imapd/happened-lanes.c: whose turn it is: of the accounts with events, whoever has waited longest.
 *
 * Called by happened.c.  Nothing can fail but reading, and then there is nobody new.  Must stay true: an account's own rows
 * are taken in their order, one lane each; what is looked at in a turn is bounded by LOOK rows of each partition, so that
 * behind a longer flood of one account others wait until it is shorter. */
#include "happened-impl.h"

#define LOOK 10000 /* rows: some milliseconds */

static struct lane *
lanes_lane(struct lanes *ls, const struct store_home *home, uint64_t account)
{
	for (size_t i = 0; i < LANES_MOST; i++)
		if (ls->list[i].home == home && ls->list[i].account == account)
			return &ls->list[i];
	return NULL;
}

/* There is one: ls->n < LANES_MOST. */
static struct lane *
lanes_empty(struct lanes *ls)
{
	size_t i = 0;

	while (ls->list[i].home)
		i++;
	ls->n++;
	return &ls->list[i];
}

/* Inside a snapshot. */
static void
lanes_fill_home(struct lanes *ls, struct store_home *home)
{
	struct store_happened row = { 0 };

	for (int looked = 0; looked < LOOK && ls->n < LANES_MOST &&
	     store_happened_next(home->view, row.number, &row);
	     looked++)
		if (!lanes_lane(ls, home, row.account))
			*lanes_empty(ls) = (struct lane){ .home = home,
				.account = row.account,
				.number = row.number };
}

void
lanes_fill(struct lanes *ls, struct store_homes *homes)
{
	struct store_home *home;
	size_t at = 0;

	if (!ls->stale || ls->n == LANES_MOST)
		return;
	ls->stale = false;
	while ((home = map_next(&homes->parts, &at))) {
		if (store_begin(home->view) < 0)
			continue;
		lanes_fill_home(ls, home);
		store_end(home->view);
	}
}

struct lane *
lanes_next(struct lanes *ls, uint64_t now, uint64_t *due)
{
	struct lane *next = NULL;

	*due = UINT64_MAX;
	for (size_t i = 0; i < LANES_MOST; i++) {
		struct lane *l = &ls->list[i];

		if (!l->home || l->busy || l->behind)
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

/* Others stay where they are: hands have them. */
void
lanes_free(struct lanes *ls, struct lane *l)
{
	*l = (struct lane){ .home = NULL };
	ls->n--;
	ls->stale = true;
}
