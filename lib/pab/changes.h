/* pab/changes.h: the state of a person's books or contacts, and what has changed since one.  Pure.
 *
 * Nobody keeps former states: a state says enough of itself to be gone back to.  It is the newest CSN, a
 * sum over the ids, one over ids and CSNs, and the number of the last removal.  What was made or changed later is
 * seen by its times, what was removed by the list of removals; whether that is all, the sum over the ids
 * proves: what another client removed without a note makes it false, and then nothing is told but that
 * everything must be read anew.  Something more than what has changed may be told, never less. */
#ifndef PAB_CHANGES_H
#define PAB_CHANGES_H
#include "pab/pab.h"

struct pab_state {
	int64_t at_us; /* the newest change, of the server's clock */
	uint64_t ids, all, gone;
};
void pab_state_of(const struct pab_listed *l, enum pab_kind kind, struct pab_state *s);
/* Appends 4 numbers in hexadecimal, with '-' between them. */
void pab_state_write(struct buf *b, const struct pab_state *s);
/* 0 or -EBADMSG. */
int pab_state_parse(struct slice text, struct pab_state *s) MUSTCHECK;
bool pab_state_eq(const struct pab_state *a, const struct pab_state *b);

struct pab_changes {
	const struct slice *created, *updated, *destroyed; /* ids, of *l */
	size_t ncreated, nupdated, ndestroyed;
};
/* False: nobody knows any more.  Lists are in the arena. */
bool pab_changes_since(const struct pab_listed *l, enum pab_kind kind,
    const struct pab_state *since, struct arena *a, struct pab_changes *c) MUSTCHECK;
/* The removals with these behind them, numbered: what PAB_GONE writes.  *n is their number. */
struct pab_gone *pab_gone_more(const struct pab_listed *l, const struct pab_entry *const *removed,
    size_t nremoved, struct arena *a, size_t *n);
#endif
