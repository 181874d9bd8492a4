/* imapd/view.h: a session's own picture of the selected mailbox.
 *
 * What the client has been told: which UIDs have which sequence numbers (as runs, so an
 * untouched mailbox of any size is one run), and up to which modification counter it knows
 * flags.  The store goes on; view_sync tells the client the difference where the protocol
 * allows it. */
#ifndef IMAPD_VIEW_H
#define IMAPD_VIEW_H
#include "base/arena.h"
#include "base/buf.h"
#include "base/list.h"
#include "imap/server.h"
#include "imap/set.h"
#include "net/op.h"
#include "store/view.h"

struct session;
struct store_home;

struct run {
	uint32_t first, last; /* UIDs */
	uint32_t seq;         /* sequence number of `first` */
};
struct view {
	uint64_t mailbox;
	uint32_t uidvalidity;
	uint32_t uidnext; /* every smaller UID that exists is in the view, or was */
	uint32_t exists;
	struct store_range *recents; /* UIDs that are \Recent here, ascending; heap */
	size_t nrecents;
	uint64_t modseq;         /* flags are known up to here, */
	uint64_t synced;         /* and what was expunged too: not above modseq */
	uint32_t arrived;        /* first UID that came in since then and was told; 0 = none */
	uint64_t arrived_modseq; /* the mailbox's counter when that was */
	struct run *runs;
	size_t nruns;
	struct list contexts; /* searches that are followed (context.h) */
	uint32_t
	    untold; /* NOTIFY: the first new message whose data items are to be told; 0 = none */
	struct store_range brought[4]; /* UIDs that came from this session, some of the latest */
	unsigned nbrought;
	uint32_t keywords_id;     /* of those that were last told */
	struct imap_range *saved; /* UIDs of "$" (RFC 5182); heap */
	size_t nsaved;
	bool readonly;
	/* Of a mailbox of somebody else: */
	struct store_home *home; /* NULL = one's own */
	char *owner;             /* the account, heap; NULL = one's own */
	uint64_t account;        /* its id */
	uint32_t rights;         /* what this user may (store/acl.h) */
	bool look;               /* ... is to be looked for again */
};

/* As of the open snapshot, which `m` is from. */
void
view_open(struct store_view *sv, const struct store_mailbox *m, bool readonly, struct view **v);
void view_free(struct view **v);

/* Exactly these UIDs, with numbers of their own / those of `now` from v->uidnext on in addition. */
void view_set_runs(struct view *v, const struct store_range *r, size_t n);
void view_add_runs(struct view *v, const struct store_range *now, size_t n);
/* Index of the first run whose last UID is not below `uid` (nruns: none). */
size_t view_find(const struct view *v, uint32_t uid);
/* Sequence number of a uid, 0 when it is not in the view. */
uint32_t view_seq(const struct view *v, uint32_t uid);
uint32_t view_last_uid(const struct view *v);
/* Turns a set as the client wrote it (sequence numbers or UIDs) into a resolved set of UIDs;
 * for UIDs, holes stay in.  False: a sequence number that does not exist. */
bool view_uids(const struct view *v, struct imap_set *set, bool uid, struct arena *a);
/* Of UIDs as view_uids() leaves them, those that are in the view. */
void view_present(const struct view *v, struct imap_set *uids, struct arena *a);
/* Keeps a resolved set of UIDs as "$"; NULL: none.  False: it has too many ranges to be kept, and
 * nothing is. */
bool view_save(struct view *v, const struct imap_set *uids);
/* The other way: the sequence numbers of these UIDs, as far as they are in the view, at the end of
 * the set. */
void view_add_seqs(const struct view *v, const struct store_range *r, struct imap_set *set,
    struct arena *a);
bool view_is_recent(const struct view *v, uint32_t uid);
/* These too from now on; `first` is above all that are. */
void view_recent_add(struct view *v, uint32_t first, uint32_t last);
/* This session has brought them.  And what has come from `from` on without them, added to a set. */
void view_brought(struct view *v, const struct store_range *r, size_t n);
void view_not_brought(const struct view *v, uint32_t from, struct imap_set *set, struct arena *a);
/* No message is any more. */
void view_recent_none(struct view *v);
uint32_t view_count_recent(const struct view *v);

/* What one update may and should say; in the memory of the command.  Zeroed but for what its maker
 * wants. */
struct sync {
	bool expunge;               /* EXPUNGE may be sent */
	bool uid;                   /* FETCH responses carry the UID */
	bool arrivals;              /* flags are left to another time */
	const struct imap_set *own; /* UIDs whose change up to own_modseq the client made itself */
	uint64_t own_first, own_modseq;
	bool only_own;      /* nothing but that change has happened since the view's modseq */
	bool silent;        /* ... and only changes from own_first on are its own */
	bool silent_modseq; /* of its own changes it wants the MODSEQ alone */
	/* the state of the cursor */
	enum { SYNC_BEGIN, SYNC_EXPUNGE, SYNC_ARRIVE, SYNC_FLAGS, SYNC_OVER } stage;
	struct store_range *gone, *left; /* in the arena */
	size_t ngone, nleft;
	uint32_t told;     /* of the last of `gone`: so many EXPUNGEs are written */
	size_t vanished;   /* instead: so many ranges of them */
	uint64_t found;    /* the mailbox's counter when they were looked for */
	bool contexts;     /* numbers have left the results of searches */
	bool reserved;     /* stored has been asked for the \Recent ones */
	uint32_t from;     /* the first UID that was not known */
	uint32_t at, last; /* flags are told in this range */
	uint64_t until;    /* and then known up to here */
	bool behind;       /* what had been expunged by then is not all told */
};
/* Writes EXPUNGE, EXISTS, RECENT, FLAGS and FETCH responses: a cursor.  IMAP_NEXT: all is told;
 * IMAP_WAIT: an operation is pending and resumes the session; IMAP_CLOSE: the mailbox is gone or
 * another one, which has been said. */
enum imap_next view_sync(struct session *s, struct sync *y);
/* Writes "* VANISHED [(EARLIER)] 1:3,7" for r[*told] and so on, in lines of bounded length, and moves
 * *told.  False: the output is full, *told is where it goes on.			RFC 7162 3.2.10 */
bool
view_vanished(struct session *s, bool earlier, const struct store_range *r, size_t n, size_t *told);
/* New keywords are told before flags that use them (RFC 3501 7.2.6). */
void view_keywords(struct session *s);

/* Only tells of new messages, which may be done at any time: a command that names UIDs sees
 * what has come in by now. */
void view_arrivals(struct session *s);

/* The flags of a record with the mailbox's keywords: "(\Seen foo)".  `m` was read with
 * keywords when the record has any. */
void view_flags_write(struct buf *b, const struct view *v, const struct store_record *r,
    const struct store_mailbox *m);
/* "FLAGS" and "PERMANENTFLAGS" lines. */
void view_flags_announce(struct session *s, const struct store_mailbox *m, bool readonly);
#endif
