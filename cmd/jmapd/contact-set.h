/* jmapd/contact-set.h: what contact-set.c and contact-destroy.c share: a /set of books or contacts in hand. */
#ifndef JMAPD_CONTACT_SET_H
#define JMAPD_CONTACT_SET_H
#include "contact.h"

enum set_step {
	SET_FIRST,
	SET_CREATE,
	SET_UPDATE,
	SET_EMPTY,
	SET_NOTE,
	SET_DESTROY,
	SET_DEFAULT,
	SET_ANSWER
};

struct contacts_set {
	struct contacts k;
	enum pab_kind kind;
	enum set_step step;
	struct set_args args;
	struct set_answer answer;
	struct buf old_state;
	struct json_walk walk;
	size_t at;           /* of `destroy`; of the entries while books are emptied */
	bool contents;       /* onDestroyRemoveContents */
	struct slice *dying; /* books to destroy */
	size_t ndying;
	struct slice first; /* onSuccessSetIsDefault; p NULL: not given */
	bool changed, again, reread;
	unsigned tries;
	const struct pab_entry **goes; /* what is removed, found when it is noted */
	size_t ngoes;
	uint64_t octets;      /* of all contents, as it would be */
	size_t there;         /* entries of all kinds */
	struct arena scratch; /* of the object in hand */
	struct contact_wish wish;
	struct pab_write write;
	void (*told)(struct call *, enum dir_result, const char *why);
};

/* WAIT: q->write is done; then `told` is called, and `go` again.  When somebody else was faster everything is read anew
 * and `again` is set: the step in hand decides once more. */
enum call_next
contacts_set_write(struct call *c, void (*told)(struct call *, enum dir_result, const char *why));
void contacts_set_step(struct contacts_set *q, enum set_step step);
/* For a SetError. */
const char *contacts_set_why(enum dir_result r);
/* Books stand first in a list: so many. */
size_t contacts_set_books(const struct pab_listed *l);

/* contact-destroy.c: which books are to go, once; and the steps. */
void contacts_set_dying(struct call *c, struct contacts_set *q);
enum call_next contacts_set_empty(struct call *c);
enum call_next contacts_set_note(struct call *c);
enum call_next contacts_set_destroy(struct call *c);
#endif
