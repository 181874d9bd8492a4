/* imapd/place.h: a mailbox by the name that a user has for it, and what he may do there.
 *
 * One's own folders are called as they are.  Those of others are "Shared Folders/User/OWNER/FOLDER", and those
 * of the account public_account "Shared Folders/FOLDER". */
#ifndef IMAPD_PLACE_H
#define IMAPD_PLACE_H
#include "session.h"
#include "store/acl.h"

#define PLACE_USERS  "Shared Folders/User/"
#define PLACE_PUBLIC "Shared Folders/"

/* Slices are in the command's arena. */
struct place {
	struct session *s;
	struct slice name;       /* as the user calls it, canonical */
	struct slice owner;      /* the account */
	struct slice folder;     /* its name there, canonical; empty: no folder at all */
	bool own;                /* it is the user's own */
	struct store_home *home; /* NULL: there is no such account here */
	uint64_t account;        /* id */
	uint64_t mailbox;        /* from place_open on */
	uint32_t rights;         /* the same */
	bool limited;            /* the limits are known: */
	struct store_limits limits;
	const char *unlimited; /* why they cannot be */
};

/* What a name means.  0, -EINVAL, -ENAMETOOLONG: no name of a mailbox.  That it means something does not
 * say that it is there. */
int place_parse(struct session *s, struct slice name, struct place *p) MUSTCHECK;
/* Begins a snapshot in p->home, for store_end(p->home->view), and finds the mailbox.  One who has not all of
 * `needs` (with `any`, none of them) gets -EACCES, or -ENOENT as of what is not there when he may not look.
 * 0, or an -errno, and no snapshot is open. */
int place_open(struct place *p, uint32_t needs, bool any, struct store_mailbox *m) MUSTCHECK;
/* May he make a folder of this name? */
bool place_may_create(struct place *p);
/* The answer to who may not. */
enum imap_next place_no_right(struct imap_server *imap);
/* The limits of the owner, from the directory.  False: they have been asked for, and the command's cursor
 * goes on when they are here. */
bool place_limits(struct place *p);

/* How this user calls the folders of another account: "Shared Folders/User/joe/". */
void place_prefix(const struct session *s, struct slice owner, struct buf *out);
bool place_is_public(struct slice owner);
/* Does the name belong to others' folders? */
bool place_is_shared(struct slice name);

/* Has this folder of somebody else others below it that this user may look at?  Inside its snapshot.  PLACE_UNKNOWN: so
 * many that he may not come first that it is not said. */
enum place_children { PLACE_NO_CHILDREN, PLACE_CHILDREN, PLACE_UNKNOWN };
enum place_children place_guest_children(struct session *s, struct store_view *v, uint64_t account,
    struct slice folder);

/* The rights of all who have others' mailboxes selected may have changed: of this account, or 0.  They are
 * looked for at the end of the turn and of those after it, some in each. */
void place_look(uint64_t account);

/* The reader of one's own account, whatever is selected. */
static inline struct store_view *
session_own(struct session *s)
{
	return s->user->part->view;
}
#endif
