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
#include "imap/set.h"
#include "net/op.h"
#include "store/read.h"

struct session;

struct run {
	uint32_t first, last; /* UIDs */
	uint32_t seq;         /* sequence number of `first` */
};
struct view {
	uint64_t mailbox;
	uint32_t uidvalidity;
	uint32_t uidnext;      /* every smaller UID that exists is in the view, or was */
	uint32_t exists;
	uint32_t recent_lo, recent_hi; /* UIDs that are \Recent here; hi < lo: none */
	uint32_t recent;       /* as last told */
	uint64_t modseq;       /* flags are known up to here */
	uint32_t arrived;      /* first UID that came in since then and was told; 0 = none */
	uint64_t arrived_modseq; /* the mailbox's counter when that was */
	struct run *runs;
	size_t nruns;
	uint8_t nkeywords;     /* as last told */
	bool readonly;
	struct op claim;
};

/* From the newest snapshot, which must be open.  0 or -errno. */
int view_open(struct store_view *sv, uint64_t mailbox, bool readonly, struct view **v) MUSTCHECK;
void view_free(struct view **v);

/* Index of the first run whose last UID is not below `uid` (nruns: none). */
size_t view_find(const struct view *v, uint32_t uid);
/* Sequence number of a uid, 0 when it is not in the view. */
uint32_t view_seq(const struct view *v, uint32_t uid);
uint32_t view_uid(const struct view *v, uint32_t seq); /* 0: none */
uint32_t view_last_uid(const struct view *v);
/* Turns a set as the client wrote it (sequence numbers or UIDs) into a resolved set of UIDs;
 * for UIDs, holes stay in.  False: a sequence number that does not exist. */
bool view_uids(const struct view *v, struct imap_set *set, bool uid, struct arena *a);
static inline bool
view_is_recent(const struct view *v, uint32_t uid)
{
	return uid >= v->recent_lo && uid <= v->recent_hi;
}

/* What one update may and should say. */
struct sync {
	bool expunge;              /* EXPUNGE may be sent */
	bool uid;                  /* FETCH responses carry the UID */
	const struct imap_set *own; /* UIDs whose change up to own_modseq the client made itself */
	uint64_t own_modseq;
	bool silent;               /* ... and only changes with exactly own_modseq are its own */
	bool silent_modseq;        /* of its own changes it wants the MODSEQ alone */
	/* kept */
	bool begun, over;
	uint32_t at, last;
	uint64_t until;
};
/* Writes EXPUNGE, EXISTS, RECENT, FLAGS and FETCH responses.  1: there is more, call again
 * when the output has room; 0: done; -ESTALE: the mailbox is gone or another one. */
int view_sync(struct session *s, struct sync *y);

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
