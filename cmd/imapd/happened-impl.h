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
	bool spent;               /* its row is over */
	uint64_t account, number; /* of the row */
	size_t range;             /* of the row's, */
	uint32_t uid;             /* and the next message in it; 0: its first one */
	enum lane_stage stage;
	unsigned tries; /* of the message at hand */
	uint64_t due;   /* loop ms: not before */
	uint64_t turn;  /* when it was its turn last */
	struct lane *next;
};
#define LANES_MOST                                                                                 \
	4096 /* accounts that take turns, those that wait for a filter among them; others follow when one has had a row done */
struct lanes {
	struct lane list[LANES_MOST];
	struct lane *heads[1024]; /* of chains: to find an account's */
	size_t n, at;             /* at: where an empty one is looked for */
	uint64_t turns;
	bool stale;              /* there may be others */
	struct store_home *home; /* of a look through all rows: where it goes on, or NULL; */
	uint64_t after;          /* behind this row */
	size_t spent;            /* lanes that go when it is over */
};
/* Accounts that have rows and no lane get one, while there are some.  True: there are more, in another turn. */
bool lanes_fill(struct lanes *ls, struct store_homes *homes);
/* Whose turn it is; NULL: nobody's before *due (UINT64_MAX: there is nobody). */
struct lane *lanes_next(struct lanes *ls, uint64_t now, uint64_t *due);
/* The message at hand, or a script of it, is over. */
void lanes_step(struct lane *l);
/* Nobody's is with the filter any more. */
void lanes_ahead(struct lanes *ls);
/* Its row is: the lane is for the account's next one, or goes. */
void lanes_row_over(struct lanes *ls, struct lane *l);
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
