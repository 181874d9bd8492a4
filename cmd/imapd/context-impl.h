/* imapd/context-impl.h: what context.c and context-update.c share: a search that is followed. */
#ifndef IMAPD_CONTEXT_IMPL_H
#define IMAPD_CONTEXT_IMPL_H
#include "context.h"

#define CONTEXT_TOO_MANY "The result is in too many pieces to be followed"
#define CONTEXT_TOO_LONG "Sorted results are too long to be followed"

struct context {
	struct list link;
	char *tag, *text, *atts;
	bool uid;
	struct store_range *r; /* what is found: UIDs */
	size_t n;
	struct context_order *order; /* of SORT; NULL: the mailbox's */
	uint64_t modseq;             /* of the mailbox, as of this */
	uint32_t uidnext;            /* messages from here on have not been looked at */
};

/* Ends one that cannot be followed any more, which is told. */
void context_end(struct session *s, struct context *c, const char *why);
/* Its UIDs; these ranges; in the command's arena. */
struct imap_set context_set(struct session *s, const struct context *c);
struct imap_set context_set_of(struct session *s, const struct store_range *r, size_t n);
/* `a` in two: what is not in `b`, and what is. */
void context_set_split(struct session *s, const struct imap_set *a, const struct imap_set *b,
    struct imap_set *without, struct imap_set *with);
/* They are its UIDs from now on.  False: there are too many ranges to be kept. */
bool context_keep(struct session *s, struct context *c, const struct imap_set *uids);
/* Messages in all orders of the session. */
size_t contexts_sorted(const struct view *v);
/* "* ESEARCH (TAG "a") UID ADDTO (0 7:9)": position 0 is the order of the mailbox (RFC 5267 4.3.3). */
void context_tell(struct session *s, const struct context *c, const char *what,
    const struct imap_set *uids);
/* REMOVEFROM, with positions in an order, from which they go. */
void context_removed(struct session *s, const struct context *c, const struct imap_set *uids);
#endif
