/* pab/find.c: is this address in that person's book?  What a Sieve script asks (RFC 6134), one search at a time.
 *
 *	BOOK (a name that is no id: which is it?) -> CARD
 *
 * The searches are as the person, limited to one entry; a person without a tree has no contacts, and one whose name
 * has the tree of another life neither. */
#include "directory/filter.h"
#include "pab/pab-impl.h"

enum { BOOK, CARD };

static void
find_end(struct pab_ask *k, const struct dir_outcome *o)
{
	pab_ask_done(k);
	k->written(k->arg, o->result, o->why);
	pab_ask_free(k);
}

static void
find_send(struct pab_ask *k, unsigned step, const char *filter)
{
	static const char *const attrs[] = { "uid", NULL };

	k->step = step;
	pab_ask_job(k,
	    &(struct dir_job){ .task = DIR_SEARCH,
		.dn = k->root,
		.as = k->as,
		.scope = DIR_SCOPE_ONE,
		.filter = filter,
		.assertion = pab_ask_theirs(k),
		.attrs = attrs,
		.limit = 1 });
}

static void
find_card(struct pab_ask *k)
{
	struct buf b = { 0 };

	buf_lit(&b, "(&(objectClass=tiermailContact)");
	dir_filter_equal(&b, "mail", k->address, S(""));
	if (k->book.n)
		dir_filter_equal(&b, "tiermailBook", k->book, S(""));
	buf_char(&b, ')');
	find_send(k, CARD, buf_cstr(&b));
	buf_fini(&b);
}

static void
find_begin(struct pab_ask *k)
{
	struct buf b = { 0 };

	if (k->book.n == 0) {
		find_card(k);
		return;
	}
	buf_lit(&b, "(&(objectClass=tiermailAddressBook)(|");
	dir_filter_equal(&b, "cn", k->book, S(""));
	dir_filter_equal(&b, "uid", k->book, S(""));
	buf_lit(&b, "))");
	find_send(k, BOOK, buf_cstr(&b));
	buf_fini(&b);
}

static void
find_answer(struct pab_ask *k, const struct dir_outcome *o)
{
	struct dir_outcome said = *o;

	/* One is enough; that there are more is no fault. */
	if ((o->result == DIR_R_OK || o->result == DIR_R_LIMIT) && o->n && k->step == BOOK &&
	    o->entries[0].n && o->entries[0].attrs[0].n) {
		k->book = arena_slice(&k->arena, o->entries[0].attrs[0].values[0]);
		if (k->address.n) {
			find_card(k);
			return;
		}
	}
	if (o->result == DIR_R_CHANGED)
		said.result = DIR_R_NO_ENTRY;
	if (o->result == DIR_R_OK || (o->result == DIR_R_LIMIT && o->n))
		said.result = o->n ? DIR_R_OK : DIR_R_NO_ENTRY;
	find_end(k, &said);
}

void
pab_has_start(struct pab *p, struct slice person, struct slice life, struct slice book,
    struct slice address, struct op *op, pab_has_done done, void *arg)
{
	struct pab_ask *k = pab_ask_new(p, person, op, arg);

	k->person = arena_slice(&k->arena, person);
	k->life = arena_slice(&k->arena, life);
	k->book = arena_slice(&k->arena, book);
	k->address = arena_slice(&k->arena, address);
	k->written = done;
	k->begin = find_begin;
	k->answer = find_answer;
	k->fail = find_end;
	pab_ask_start(k);
}
