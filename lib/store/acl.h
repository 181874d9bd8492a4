/* store/acl.h: the algebra of rights, RFC 4314 2: letters, identifiers, and what they add up to.
 *
 * Pure: the rows come through a callback, so that the writer judges by what it is about to commit and
 * a reader by its snapshot, both by the same rule. */
#ifndef STORE_ACL_H
#define STORE_ACL_H
#include "store/format.h"

/* Bit n is the n-th letter of STORE_RIGHTS. */
enum store_right {
	STORE_R_LOOKUP = 1,    /* l: see that it is there */
	STORE_R_READ = 2,      /* r: select it, fetch, search, copy from it */
	STORE_R_SEEN = 4,      /* s: set and clear \Seen */
	STORE_R_WRITE = 8,     /* w: other flags, and keywords */
	STORE_R_INSERT = 16,   /* i: put messages into it */
	STORE_R_POST = 32,     /* p: kept, and means nothing here */
	STORE_R_CREATE = 64,   /* k: make folders below it */
	STORE_R_DROP = 128,    /* x: delete or rename it */
	STORE_R_DELETE = 256,  /* t: set and clear \Deleted */
	STORE_R_EXPUNGE = 512, /* e */
	STORE_R_ADMIN = 1024,  /* a: give rights */
};
#define STORE_R_ALL    2047u
#define STORE_R_FLAGS  (STORE_R_SEEN | STORE_R_WRITE | STORE_R_DELETE)

#define STORE_ACL_MOST 64 /* identifiers of a mailbox */

/* Letters, in any order and more than once, also the old c (k and x) and d (t and e).  False: another
 * one. */
bool store_rights_parse(struct slice text, uint32_t *rights) MUSTCHECK;
/* Appends them, with c and d where a part of them is there (RFC 4314 2.1.1). */
void store_rights_write(struct buf *b, uint32_t rights);

/* An identifier: "anyone", "anyone@domain", an account's name, or "group:" (also "group=") and the name of a group of
 * the directory; "-" in front of one that takes rights away.  On success *canonical (size STORE_IDENTIFIER_MAX + 1) is
 * it in lower case, of a group with "group:".  0 or -EINVAL. */
#define STORE_GROUP "group:"
int store_identifier_check(struct slice identifier, char *canonical) MUSTCHECK;
bool
store_identifier_anyone(struct slice identifier); /* means it all people, or those of a domain? */
bool store_identifier_group(struct slice identifier);
/* Can a login be named by an identifier, and is that nobody else's?  One that begins with "-" cannot, and what is written
 * as a group is, or as all people. */
bool store_identifier_login(struct slice login);

/* Who wants to do something.  Borrowed by all who take one. */
struct store_person {
	struct slice login; /* uid@domain; empty: it is one of our programs for itself */
	struct slice
	    groups; /* he is in: names in lower case, by the order of their bytes, one SP between two */
	bool unsure; /* he may be in others too: none of these gives him anything, and what is taken
	                        from any group is taken from him */
};
#define STORE_GROUPS_MOST  256         /* of one person; who has more is unsure */
#define STORE_GROUPS_BYTES (16 * 1024) /* of their names; the same */
bool store_person_is_in(const struct store_person *p, struct slice group);
/* One that is in no group. */
static inline struct store_person
store_person(struct slice login)
{
	return (struct store_person){ .login = login };
}

/* The identifiers that mean a login whatever groups it is in, but for the negative ones: writes up to STORE_NAMES of
 * them, which borrow from it. */
#define STORE_NAMES 3
size_t store_identifiers(struct slice login, char anyone[STORE_IDENTIFIER_MAX + 1],
    struct slice names[STORE_NAMES]);

/* What a mailbox gives. */
struct store_rights_rows {
	/* To one identifier: false when nothing is said of it. */
	bool (*find)(void *arg, struct slice identifier, uint32_t *rights);
	/* To the one behind *identifier in the order of their bytes, which borrows until the next call.  False: there
	 * is none. */
	bool (*next)(void *arg, struct slice *identifier, uint32_t *rights);
	void *arg;
};
/* What this person may do with a mailbox of `owner`: all, when they are the same, or nobody's login is named; else what
 * is given to any of the person's identifiers and taken from none. */
uint32_t store_rights_judge(struct slice owner, const struct store_person *who,
    const struct store_rights_rows *rows);

/* Of flags, as enum store_flag: those that these rights let change.  Keywords go with w. */
uint16_t store_rights_flags(uint32_t rights);

/* ---- rows: tiermail-store(5) ---------------------------------------------------------------- */

/* The key of what a mailbox gives to an identifier, and that of the index of who may look at what:
 * which are rows of mailbox 0, of {identifier, NUL, account, mailbox}.  Return the length. */
#define STORE_ACL_KEY (8 + STORE_IDENTIFIER_MAX + 1 + 16)
size_t store_acl_key(uint8_t key[STORE_ACL_KEY], uint64_t mailbox, struct slice identifier);
size_t store_share_key(uint8_t key[STORE_ACL_KEY], struct slice identifier, uint64_t account,
    uint64_t mailbox);
/* What the row of a mailbox gives to this identifier.  False: there is none, or one that is damaged; but a
 * negative one that is damaged takes all rights. */
bool store_acl_row(struct slice value, struct slice identifier, uint32_t *rights) MUSTCHECK;
/* The same as a step of `next` in store_rights_rows, which goes on behind it: one that is damaged gives nothing, or
 * takes all. */
uint32_t store_acl_row_or(struct slice value, struct slice identifier);
/* Is a row of this identifier and with these rights in that index?  Those that let look, and all of groups: so it is
 * known whether anybody's groups matter. */
bool store_share_indexed(struct slice identifier, uint32_t rights);
#endif
