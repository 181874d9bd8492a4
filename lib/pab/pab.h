/* pab/pab.h: the personal address book of a person: books and contacts in LDAP.
 *
 * One tree below pab.base for each person, named as the person is (pab_root); in it an entry for each book and
 * each contact, flat, a contact naming the books that it is in.  A contact is an inetOrgPerson, which any address
 * book client can read, and has the complete JSContact Card (RFC 9553) as one attribute, which is the truth; a
 * book likewise.  All is read and written as the person, by proxied authorisation (RFC 4370): slapd's rules
 * let nobody else, tiermail-directory(7).  What no person has yet is made when it is asked for first.
 *
 * For jmapd, lmtpd and pabctl; each has one struct pab for its loop.  A book is read whole: at most
 * PAB_ENTRIES_MAX entries are made.  Does not know JMAP, and never looks into the people's directory. */
#ifndef PAB_PAB_H
#define PAB_PAB_H
#include "base/arena.h"
#include "directory/agent.h"
#include "json/json.h"

struct pab;
/* From pab/conf.h; d is asked for where pab.url is empty, and outlives it.  NULL: pab.password is
 * empty, there are no address books here. */
struct pab *pab_new(struct loop *l, struct dir *d);
/* What waits or is on its way is dropped: its `done` is not called. */
void pab_free(struct pab **p);
/* key=value: connections, waiting. */
void pab_status(const struct pab *p, struct buf *out);
/* For daemon.check: false with a line of text for what is wrong. */
bool pab_check(struct buf *out);

/* Appends the DN of the person's tree: `dn` with pab.base in the place of ldap.base.  0, or -EINVAL: the person is
 * not below ldap.base. */
int pab_root(struct slice dn, struct buf *out) MUSTCHECK;

/* ---- reading ---------------------------------------------------------------------------------------- */

enum pab_kind { PAB_BOOK, PAB_CARD };
struct pab_entry {
	enum pab_kind kind;
	struct slice id;      /* its uid: pab_id_ok, pab_id_kind */
	struct slice csn;     /* entryCSN */
	struct slice content; /* JSON; empty when it was not asked for */
	const struct slice *books;
	size_t nbooks; /* of a contact */
	int64_t created_us,
	    changed_us; /* createTimestamp, whole seconds; entryCSN; of the server's clock */
};
/* Something that was removed; the newest PAB_GONE_MAX are remembered, the number grows. */
struct pab_gone {
	uint64_t number;
	struct slice id;
	int64_t created_us;
};
/* Books first, each kind by id.  Borrowed: valid while `done` runs, or as long as the arena it is copied to. */
struct pab_listed {
	enum dir_result result;
	const char *why;
	const struct pab_entry *entries;
	size_t n;
	const struct pab_gone *gone;
	size_t ngone;
	struct slice csn; /* of the root */
};
typedef void (*pab_listed_done)(void *arg, const struct pab_listed *);
#define PAB_ENTRIES_MAX 10000
#define PAB_GONE_MAX    1000

/* Everything of `person` (a DN), with the contents or without; `person` stays until then.  There is one book
 * at least: the first that asks makes it, PAB_DEFAULT.
 * `life` is the entryUUID of the person's entry: a tree that is another life's, who had this name before, is
 * DIR_R_CHANGED, and nothing of it is read; one that is nobody's is this one's from then on.  Empty: whosever it is, for
 * operators, and where a directory does not show it. */
void pab_list_start(struct pab *p, struct slice person, struct slice life, bool contents,
    struct op *op, pab_listed_done done, void *arg);
#define PAB_DEFAULT "default"
/* The same as it stands in the arena. */
struct pab_listed *pab_listed_copy(const struct pab_listed *l, struct arena *a);
const struct pab_entry *
pab_listed_find(const struct pab_listed *l, enum pab_kind kind, struct slice id);

/* Is a contact with this address (ASCII case ignored) in the person's book of that name or id, or with an empty
 * `book` in any?  With an empty address: is there such a book?  DIR_R_OK: it is; DIR_R_NO_ENTRY: it is not, or there is no
 * such book, or all of it is another life's; others: nobody knows. */
typedef void (*pab_has_done)(void *arg, enum dir_result r, const char *why);
void pab_has_start(struct pab *p, struct slice person, struct slice life, struct slice book,
    struct slice address, struct op *op, pab_has_done done, void *arg);

/* ---- writing ---------------------------------------------------------------------------------------- */

enum pab_how {
	PAB_CREATE,
	PAB_CHANGE, /* content and books are replaced */
	PAB_REMOVE,
	PAB_GONE /* first, for what is to be removed: that it is gone (changes.h) */
};
struct pab_write {
	enum pab_how how;
	enum pab_kind kind;
	struct slice id;
	struct slice
	    csn; /* nothing happens if the entry has changed since (DIR_R_CHANGED); of PAB_GONE: the root */
	const struct json_t *content; /* of a Card, or {"name", "description", ...} of a book */
	const struct slice *books;
	size_t nbooks;
	const struct pab_gone
	    *gone; /* all that the root shall have; the last PAB_GONE_MAX are taken */
	size_t ngone;
	bool nobody; /* of PAB_GONE: the tree is nobody's any more */
};
typedef void (*pab_written)(void *arg, enum dir_result r, const char *why);
/* One entry.  All of *w stays until then. */
void pab_write_start(struct pab *p, struct slice person, const struct pab_write *w, struct op *op,
    pab_written done, void *arg);
/* A new id, 27 characters, in the arena. */
struct slice pab_id_new(enum pab_kind kind, struct arena *a);
/* A new uid of a Card (RFC 9553 2.1.9), "urn:uuid:..." (RFC 9562 5.4), in the arena. */
struct slice pab_uid_new(struct arena *a);
/* May an id look so?  Then it needs no quoting in a DN. */
bool pab_id_ok(struct slice s);
/* Ids of contacts begin with 'c', those of books do not. */
enum pab_kind pab_id_kind(struct slice id);
#endif
