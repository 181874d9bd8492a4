/* jmapd/submission-kept.h: EmailSubmissions that are to be sent later, as the store keeps them.
 *
 * Each is a private annotation of the account (store/annot.h), which clients of IMAP neither see nor set: a line of
 * key=value, the envelope, and deliveryStatus, both as they go into an answer.  One that is destroyed stays for a
 * while as a row without these, so that /changes can tell; "gone" here is that.
 *
 *	state  "LIFE-MODSEQ-FINAL": the account's, and when the last one became final by the clock alone */
#ifndef JMAPD_SUBMISSION_KEPT_H
#define JMAPD_SUBMISSION_KEPT_H
#include "call.h"
#include "store/annot.h"

#define KEPT_LIVE 40           /* of an account: submissions, */
#define KEPT_ROWS 64           /* with those that are gone; */
#define KEPT_READ 80           /* for requests at once may come to a few more */
#define KEPT_TIME (7 * 86400)  /* for which one that is over stays, when no room is wanted */
#define KEPT_MOST (512 * 1024) /* octets of one */

enum kept_state { KEPT_WAITS, KEPT_CANCELLING, KEPT_CANCELED, KEPT_SENT, KEPT_GONE };
struct kept {
	char id[16]; /* "S" and random_id */
	enum kept_state state;
	int64_t send_at;          /* unix seconds */
	char qid[SUBMIT_QID + 1]; /* in the relay's queue; "": it cannot be taken back */
	uint64_t created, modseq; /* since when it is there, and as it is; of a new one 0 */
	uint64_t
	    floor; /* before this modseq others were there, of which nothing is known any more */
	char identity[20];
	uint64_t email, thread;
	struct slice envelope, delivery; /* JSON */
};
struct kept_list {
	struct kept *list; /* in the order of their ids, which is that of their making */
	size_t n;
	uint64_t floor; /* the greatest of all */
	int64_t now,
	    final_at; /* the latest send_at that is over, of those that wait; 0: there is none */
};
/* Those of an account, in a snapshot that is open; `texts`: with envelope and delivery.  All in the arena. */
void kept_read(struct store_view *v, uint64_t account, struct slice login, bool texts,
    struct arena *a, struct kept_list *l);
/* The same of a call, which begins and ends the snapshot.  0 and the account's row, or -errno. */
int kept_load(struct call *c, bool texts, struct arena *a, struct kept_list *l,
    struct store_account *account) MUSTCHECK;
/* The one of this id that is not gone, or NULL. */
struct kept *kept_find(const struct kept_list *l, struct slice id);
/* "pending", "final", "canceled", as of l->now. */
const char *kept_undo_status(const struct kept_list *l, const struct kept *k);

/* What makes room for one more, and changes of rows: a request to stored. */
struct kept_change {
	struct store_annotation rows[KEPT_READ + 2];
	size_t n;
	struct arena *arena; /* all that rows point to */
};
/* Is there room for one more, or can it be made? */
bool kept_has_room(const struct kept_list *l);
/* Makes it: old ones that are over go, and `k`, the new one, knows what is forgotten. */
void kept_make_room(const struct kept_list *l, struct kept_change *ch, struct kept *k);
void kept_put(struct kept_change *ch, const struct kept *k);

struct kept_point {
	struct jmapd_state state;
	int64_t final_at;
};
void kept_state_write(struct buf *b, struct jmapd_state s, int64_t final_at);
bool kept_state_parse(struct slice s, struct kept_point *p);
/* "name":"..." of the account that call_begin has found. */
void kept_put_state(struct call *c, const char *name, uint64_t modseq, int64_t final_at);
#endif
