/* imapd/listing.h: what the two files of LIST share: list.c with the names of one's own account,
 * list-guest.c with the folders of others. */
#ifndef IMAPD_LISTING_H
#define IMAPD_LISTING_H
#include "imap/list.h"
#include "metadata.h"

/* A name to be told of. */
struct entry {
	struct slice name;
	uint64_t account, mailbox;
	uint8_t attrs, special;
	bool exists, children, subscribed;
	bool child_subscribed; /* something below it is subscribed */
	/* Of a folder of somebody else: */
	struct store_view *reader; /* NULL = it is one's own */
	uint32_t rights;
	bool bare;    /* a name above some of them, and no folder */
	bool unknown; /* whether it has children */
};

/* One of the two tables that are merged.  The name is the map's within a slice of time, and a copy
 * between two. */
struct walk {
	struct store_folder at;
	bool here; /* `at` is the next row, not yet told */
	bool over;
	char name[STORE_NAME_MAX];
};

/* Others' folders: partition by partition, the accounts that the index of who may look at what has, and the
 * folders of each in the order of their names.  Between two slices of time stay numbers and names. */
struct guest {
	bool on;                 /* there is something to be told */
	size_t depth;            /* no pattern means a name with more separators */
	bool began, users;       /* "Shared Folders" has been told, and "Shared Folders/User" */
	size_t at;               /* of the next partition */
	struct store_home *home; /* NULL = the next one is due */
	uint64_t account;        /* 0 = its first is due */
	bool inside;             /* its folders are being gone through */
	bool any;                /* it has shown one */
	size_t told;             /* of its folders */
	struct walk folders;
	size_t nprefix, nlast;
	char prefix[sizeof(PLACE_USERS) + STORE_ACCOUNT_MAX + 1]; /* "Shared Folders/User/joe/" */
	char last[STORE_NAME_MAX]; /* the last one that could be looked at */
	char full[sizeof(PLACE_USERS) + STORE_ACCOUNT_MAX + 1 + STORE_NAME_MAX];
};

struct listing {
	struct imap_list want;
	struct walk folders, subscriptions;
	struct guest guest;
	struct metadata_line metadata; /* of the name that was told last */
	bool lsub;
	bool failed;    /* a snapshot could not be begun again */
	bool superiors; /* names above subscribed ones count too */
	size_t above;   /* of the subscription at hand: so much of its name has been looked at */
};

/* The next row of a table, unless one is here already. */
void listing_walk_next(struct walk *w, struct store_view *v,
    bool (*next)(struct store_view *, struct store_folder *));
/* The snapshot ends: the name stays. */
void listing_walk_hold(struct walk *w);
/* Is the name one that is asked for?  Untagged LIST, and what else is wanted of it. */
bool listing_wants(const struct listing *l, const struct entry *e, bool child_info);
void listing_write(struct session *s, struct listing *l, const struct entry *e, bool child_info);

/* list-guest.c: can a pattern mean others' folders, and how deep?  Then the walk over them: a cursor that ends the
 * command. */
void listing_guest_look(struct listing *l);
enum imap_next listing_guest_more(struct imap_server *imap);
#endif
