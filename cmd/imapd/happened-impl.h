/* imapd/happened-impl.h: between happened.c (messages, to their scripts), happened-message.c (what is said of them) and
 * happened-lanes.c (whose turn it is). */
#ifndef IMAPD_HAPPENED_IMPL_H
#define IMAPD_HAPPENED_IMPL_H
#include "happened.h"
#include "learn.h"
#include "net/op.h"
#include "rules/event.h"
#include "store/home.h"

/* What a message may meet, one behind the other: scripts, which wait for nobody's filter, and the filter. */
enum lane_stage { LANE_JUNK, LANE_MAILBOX, LANE_FILTER, LANE_STAGES };

/* An account with events, and how far its first row is. */
struct lane {
	struct store_home *home;  /* NULL: there is none here */
	bool busy;                /* a hand has its message */
	bool behind;              /* another's is with the filter */
	uint64_t account, number; /* of the row */
	size_t range;             /* of the row's, */
	uint32_t uid;             /* and the next message in it; 0: its first one */
	enum lane_stage stage;
	unsigned tries; /* of the message at hand */
	uint64_t due;   /* loop ms: not before */
	uint64_t turn;  /* when it was its turn last */
};
#define LANES_MOST                                                                                 \
	64 /* accounts that take turns; others follow when one of these has had a row done */
struct lanes {
	struct lane list[LANES_MOST];
	size_t n;
	uint64_t turns;
	bool stale; /* there may be others */
};
/* Accounts that have rows and no lane get one, while there are some. */
void lanes_fill(struct lanes *ls, struct store_homes *homes);
/* Whose turn it is; NULL: nobody's before *due (UINT64_MAX: there is nobody). */
struct lane *lanes_next(struct lanes *ls, uint64_t now, uint64_t *due);
/* The message at hand, or a script of it, is over. */
void lanes_step(struct lane *l);
/* Nobody's is with the filter any more. */
void lanes_ahead(struct lanes *ls);
/* Its row is: the account gets another lane if it has another row. */
void lanes_free(struct lanes *ls, struct lane *l);
/* One message on its way. */
struct hand {
	struct op op;
	struct lane *lane;         /* whose it is; NULL: none */
	struct store_happened row; /* without its slices */
	uint32_t uid;
	struct buf owner, login, event, words, line;
	char qid[64];
	int fd;
	enum learn_kind kind; /* at LANE_FILTER */
	uint64_t size;
	struct rules_event_outcome outcome;
};
/* Inside a snapshot: the next message of the lane's row that is there and has a script, or something for the filter.  False:
 * there is none, of so many that were looked at. */
bool hand_message(struct hand *h, struct store_view *v, const struct store_happened *row);
#endif
