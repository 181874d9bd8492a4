/* jmapd/contact.h: address books and contacts (RFC 9610): what their methods share.
 *
 * They are in the directory (pab/pab.h), and read and written as the person: no part of the store, and with states
 * of their own (pab/changes.h).  A method reads the person's tree whole when it begins; a /set again when
 * it has changed something.  EventSources do not tell of them.  contact-card.c knows what an object is,
 * the others are methods. */
#ifndef JMAPD_CONTACT_H
#define JMAPD_CONTACT_H
#include "call.h"
#include "jmap/patch.h"
#include "pab/card.h"
#include "pab/changes.h"
#include "set.h"

extern const struct jmapd_method addressbook_get, addressbook_changes, addressbook_set;
extern const struct jmapd_method contact_get, contact_changes, contact_query, contact_query_changes,
    contact_set, contact_copy;

#define CONTACT_BOOKS_MAX 10 /* maxAddressBooksPerCard */
#define CONTACT_TEXTS_MAX 64 /* conditions of a filter */

/* The first member of a method's data. */
struct contacts {
	struct slice dn, life;     /* whose: pab_list_start */
	struct pab_listed *listed; /* in the call's arena; of the last reading */
	const char *error, *why;   /* of the call; NULL: none */
	bool contents;
};
/* Are there address books here, and is the account the user's?  False: *next is the answer. */
bool contacts_served(struct call *c, enum call_next *next);
/* WAIT: then `go` is called, with the list or an error. */
enum call_next contacts_read(struct call *c, bool contents);
/* Has the reading failed?  Then *next is the answer. */
bool contacts_failed(struct call *c, enum call_next *next);
void contacts_put_state(struct call *c, const char *name, enum pab_kind kind);
/* ifInState of a /set, against what was read.  False: *next is the answer. */
bool contacts_if_in_state(struct call *c, enum pab_kind kind, enum call_next *next);
/* The whole of Foo/changes behind contacts_read. */
enum call_next contacts_changes(struct call *c, enum pab_kind kind);

/* ---- objects (contact-card.c) ------------------------------------------------------------------------ */

/* Appends the object as clients know it, complete. */
void contact_write(struct buf *b, const struct pab_entry *e);
/* The same of a book; `first`: it is the default. */
void addressbook_write(struct buf *b, const struct pab_entry *e, const struct json_t *content,
    bool first);
/* Which book is the default: the first that says so, or the first of all.  NULL: there is none. */
const struct pab_entry *addressbook_default(const struct pab_listed *l);
/* The content, read; NULL when it cannot be.  json_free. */
struct json_t *contact_content(const struct pab_entry *e);

/* What a client wants an object to be, or why not. */
struct contact_wish {
	struct json_t *content; /* without what is not kept there; json_free */
	struct slice *books;    /* of a contact */
	size_t nbooks;
	struct slice uid;                  /* made here, p NULL: it was given */
	struct json_t *wish;               /* the object itself; json_free */
	const char *type, *property, *why; /* of a refusal (RFC 8620 5.3) */
};
void contact_wish_free(struct contact_wish *w);
/* `was` NULL: it is new, and `v` the object; else `v` patches what it was.  Memory is of `a`.  False: refused. */
bool contact_wish_read(struct call *c, struct contact_wish *w, const struct pab_entry *was,
    const struct json_t *v, struct arena *a) MUSTCHECK;
bool addressbook_wish_read(struct call *c, struct contact_wish *w, const struct pab_entry *was,
    const struct json_t *v, struct arena *a) MUSTCHECK;
/* As the type of a SetError, what the directory says. */
const char *contact_error_of(enum dir_result r);
#endif
