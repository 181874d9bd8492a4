/* store/annot.h: annotations of mailboxes and of the server (RFC 5464) in the store: tiermail-store(5).
 *
 * An annotation is {mailbox, login, entry} -> value.  A private one has the login whose it is, a shared one
 * none; the entry is its name without "/private" or "/shared".  Those of mailbox 0 are the server's, and a
 * person's own.  One that is removed stays as a row that says so, until room is wanted: so a session can be
 * told which one it was.  Nothing here does I/O. */
#ifndef STORE_ANNOT_H
#define STORE_ANNOT_H
#include "store/format.h"

#define STORE_ANNOT_NAME_MAX  200         /* bytes of an entry */
#define STORE_ANNOT_VALUE_MAX (1u << 20)  /* bytes of a value */
#define STORE_ANNOT_REQUEST   100         /* entries that one request sets */
#define STORE_ANNOT_SET       100         /* entries of a mailbox: of each login, and shared */
#define STORE_ANNOT_ACCOUNT   2000        /* of all mailboxes of an account, */
#define STORE_ANNOT_GUESTS    1000        /* of them those that others than the owner have set, */
#define STORE_ANNOT_BYTES     (16u << 20) /* and bytes of keys and values of all, */
#define STORE_ANNOT_GUEST     (8u << 20)  /* of them those that others than the owner have set */

/* What a client may be told and asked of a special use, RFC 6154 5.4: never a row, it is the mailbox's. */
#define STORE_ANNOT_USE "/specialuse"

/* Whether one \Seen is for all who read the mailbox, "true" or "false", under the name that Cyrus has for it; store/seen.h.
 * Set by who may give rights. */
#define STORE_ANNOT_SHAREDSEEN "/vendor/cmu/cyrus-imapd/sharedseen"

/* What a program keeps for a mailbox, which clients neither see nor set: the key of its URLs (RFC 4467), private to its
 * owner. */
#define STORE_ANNOT_SECRET  "/tiermail/"
#define STORE_ANNOT_URLAUTH STORE_ANNOT_SECRET "urlauth"
/* ... and who is logged in by the web (web/records.h).  Nobody else decides how much that is, so that it takes no part in
 * the bounds above, and is taken when the partition is full: who could not log in could not delete anything either.  Nor
 * is it news of the account: its row counts its own changes, whose state the account's does not follow. */
#define STORE_ANNOT_SESSIONS STORE_ANNOT_SECRET "sessions"
/* ... and limits (store/quota.h), which are taken always too: an owner cannot fill the room for them. */
static inline bool
store_annot_is_secret(struct slice name)
{
	return slice_starts(name, S(STORE_ANNOT_SECRET));
}

/* One to be set, in a request. */
struct store_annotation {
	struct slice name; /* the entry: store_annot_name_ok */
	struct slice value;
	bool shared;
	bool gone; /* is to be removed */
};

/* "/comment", "/vendor/x/y": in lower case, printable ASCII without "*" and "%", no component empty. */
bool store_annot_name_ok(struct slice name) MUSTCHECK;

/* One row. */
struct store_annot {
	uint64_t account, mailbox;
	struct slice login, name; /* of the key */
	struct slice value;
	uint64_t modseq;
	bool gone;
	bool
	    guest; /* of all, and set by another than the owner: it counts in the share of guests */
};
#define STORE_ANNOT_KEY (16 + STORE_ACCOUNT_MAX + 1 + STORE_ANNOT_NAME_MAX)
/* Returns the length.  Without a name it is what the keys of all of this login begin with. */
size_t store_annot_key(uint8_t key[STORE_ANNOT_KEY], uint64_t account, uint64_t mailbox,
    struct slice login, struct slice name);
/* Slices borrow from key and value.  0 or -EBADMSG: damaged.  When the key alone is good a->account is
 * set. */
int store_annot_parse(struct slice key, struct slice value, struct store_annot *a) MUSTCHECK;
/* The same without the value, which is not read: that it is damaged is not seen. */
int store_annot_head(struct slice key, struct slice value, struct store_annot *a) MUSTCHECK;
/* Appends the row's value: the value of a->value, or that it is gone. */
void store_annot_write(struct buf *b, const struct store_annot *a);
#endif
