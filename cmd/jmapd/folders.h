/* jmapd/folders.h: the folders of an account as a request sees them, and the numbers in them.
 *
 * One table serves all calls of a request; it is good for one value of the account's counter and is read
 * again, a slice at a time, when that has moved on.  Of another's account it has what the user may see (STORE_R_LOOKUP);
 * emails are those of what he may read.  Names and keywords are copies. */
#ifndef JMAPD_FOLDERS_H
#define JMAPD_FOLDERS_H
#include "call.h"
#include "store/acl.h"
#include "store/read-thread.h"

#define FOLDER_NONE UINT32_MAX

struct folder {
	uint64_t mailbox, objectid;
	struct slice name, leaf; /* the whole name, and what follows the last separator */
	uint32_t parent;         /* index, FOLDER_NONE = on top */
	uint8_t attrs, special;
	uint32_t rights; /* of the user, enum store_right */
	bool subscribed;
	uint32_t exists, unseen, deleted;
	uint64_t highestmodseq;
	uint8_t nkeywords;
	struct slice *keywords;
};
struct folders {
	struct folder *list; /* in the order of their names' bytes */
	uint32_t n, room;
	uint32_t *by_mailbox, *by_objectid; /* indexes, by these ids */
	uint64_t account;                   /* whose they are, */
	struct store_view *view;            /* in which partition */
	uint64_t seen;                      /* a hash of what a guest may see and do */
	uint64_t modseq;                    /* of the account; the table is complete */
	uint64_t reading;                   /* the same, while it is read; 0: it is not */
	struct slice last;                  /* then the folder that was looked at last */
	bool good;
	struct store_boxes boxes; /* those that may be read, for store/read-thread.h */
	struct arena arena;
};
void folders_fini(struct folders *f);
/* DONE: the table is that of the account's counter `modseq`, which the snapshot that is open has.  AGAIN:
 * the snapshot has been ended, and all begins anew in another turn. */
enum call_next folders_go(struct call *c, const struct store_account *a);
/* A snapshot with the table that fits it: DONE, and *a is the account; AGAIN; or *error is -errno. */
enum call_next folders_begin(struct call *c, struct store_account *a, int *error);
/* May its emails be seen? */
static inline bool
folder_readable(const struct folder *f)
{
	return (f->rights & STORE_R_READ) != 0;
}
struct folder *folders_find_mailbox(const struct folders *f, uint64_t mailbox);
struct folder *folders_find_objectid(const struct folders *f, uint64_t objectid);
/* Of an id as clients write it, or a creation id. */
struct folder *folders_find_id(const struct call *c, struct slice id);
/* "inbox" and so on; NULL: it has no role (RFC 8621 2). */
const char *folder_role(const struct folder *f);

/* counts.c: messages and threads of a folder; \Deleted ones are none (RFC 8621 4.1.1). */
struct folder_counts {
	uint32_t emails, unread, threads, unread_threads;
};
struct counting;
/* Counts the folder, a slice at a time: 1 with *out, 0 when the slice is over (call again, in another
 * snapshot if need be), or -errno.  *state is NULL at first and lies in c->arena. */
int counts_go(struct call *c, const struct folder *f, struct counting **state,
    struct folder_counts *out) MUSTCHECK;
void counts_drop(struct counting *state); /* of a walk that is given up; NULL: nothing */
#endif
