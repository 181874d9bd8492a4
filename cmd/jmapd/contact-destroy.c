/* jmapd/contact-destroy.c: books and contacts removed, a step of their /set.
 *
 *	EMPTY (onDestroyRemoveContents) -> NOTE -> DESTROY, one after the other
 *
 * Contacts of a book that goes are taken out of it when they are in another one too, and else go with it.  What goes is
 * noted in the person's root before it is removed, so that others can be told of it; a note of what stays after all does
 * no harm.  Must stay true: the last book stays, and no contact is left in no book. */
#include "contact-set.h"

/* ---- destroy -------------------------------------------------------------------------------------------- */

static bool
set_goes(const struct contacts_set *q, struct slice book)
{
	for (size_t i = 0; i < q->ndying; i++)
		if (slice_eq(q->dying[i], book))
			return true;
	return false;
}

/* The books that shall go: as many as there are at most, which bounds what is asked of each contact. */
void
contacts_set_dying(struct call *c, struct contacts_set *q)
{
	const struct pab_listed *l = q->k.listed;
	size_t n = q->kind == PAB_BOOK ? json_count(q->args.destroy) : 0;

	q->dying = arena_array(&c->arena, contacts_set_books(l) + 1, sizeof(*q->dying));
	for (size_t i = 0; i < n; i++) {
		struct slice id = json_text(json_at(q->args.destroy, i));

		if (pab_listed_find(l, PAB_BOOK, id) && !set_goes(q, id))
			q->dying[q->ndying++] = arena_slice(&c->arena, id);
	}
}

static bool
books_all_go(const struct contacts_set *q)
{
	const struct pab_listed *l = q->k.listed;

	for (size_t i = 0; i < l->n && l->entries[i].kind == PAB_BOOK; i++)
		if (!set_goes(q, l->entries[i].id))
			return false;
	return true;
}

/* In how many books a contact stays; *out: it loses one. */
static size_t
card_stays(const struct contacts_set *q, const struct pab_entry *e, struct slice *left, bool *out)
{
	size_t n = 0;

	*out = false;
	for (size_t i = 0; i < e->nbooks; i++)
		if (set_goes(q, e->books[i]))
			*out = true;
		else if (left)
			left[n++] = e->books[i];
		else
			n++;
	return n;
}

static void
empty_told(struct call *c UNUSED, enum dir_result r UNUSED, const char *why UNUSED)
{
	/* What did not leave its book keeps it there: books_full. */
}

/* Contacts of books that go, but stay in others, are taken out of them. */
enum call_next
contacts_set_empty(struct call *c)
{
	struct contacts_set *q = c->data;
	const struct pab_listed *l = q->k.listed;
	const struct pab_entry *e;
	bool out, all = books_all_go(q);

	if (q->again)
		q->at = 0; /* who has left is not asked again */
	q->again = false;
	for (; q->at < l->n && !all; q->at++) {
		e = &l->entries[q->at];
		if (e->kind == PAB_CARD && card_stays(q, e, NULL, &out) && out)
			break;
	}
	if (q->at >= l->n || all) {
		contacts_set_step(q, SET_NOTE);
		return contacts_read(c, true);
	}
	arena_reset(&q->scratch);
	contact_wish_free(&q->wish);
	e = &l->entries[q->at++];
	q->wish.content = contact_content(e);
	q->wish.books = arena_array(&q->scratch, e->nbooks + 1, sizeof(*q->wish.books));
	q->wish.nbooks = card_stays(q, e, q->wish.books, &out);
	if (!q->wish.content)
		return CALL_AGAIN;
	q->write = (struct pab_write){ .how = PAB_CHANGE,
		.kind = PAB_CARD,
		.id = e->id,
		.csn = e->csn,
		.content = q->wish.content,
		.books = q->wish.books,
		.nbooks = q->wish.nbooks };
	return contacts_set_write(c, empty_told);
}

/* Contacts that keep a book from going: those in it, but with onDestroyRemoveContents such that stay in another. */
static bool *
note_stuck(struct call *c, const struct contacts_set *q)
{
	const struct pab_listed *l = q->k.listed;
	bool *stuck = arena_array(&c->arena, l->n + 1, sizeof(*stuck)), out;

	for (size_t i = 0; i < l->n; i++)
		if (l->entries[i].kind == PAB_CARD) {
			size_t stays = card_stays(q, &l->entries[i], NULL, &out);

			stuck[i] = out && (!q->contents || stays);
		}
	return stuck;
}

static bool
card_in(const struct pab_entry *e, struct slice book)
{
	for (size_t i = 0; e->kind == PAB_CARD && i < e->nbooks; i++)
		if (slice_eq(e->books[i], book))
			return true;
	return false;
}

/* May this book go?  Else it is refused. */
static bool
book_may_go(struct contacts_set *q, const struct pab_entry *book, const bool *stuck)
{
	const struct pab_listed *l = q->k.listed;

	if (books_all_go(q)) {
		set_refuse(&q->answer.not_destroyed, book->id, "forbidden", NULL,
		    "there is one book at least");
		return false;
	}
	for (size_t i = 0; i < l->n; i++)
		if (stuck[i] && card_in(&l->entries[i], book->id)) {
			set_refuse(&q->answer.not_destroyed, book->id, "addressBookHasContents",
			    NULL, NULL);
			return false;
		}
	return true;
}

static void
destroy_note(struct contacts_set *q, const struct pab_entry *e, bool *noted)
{
	bool *there = &noted[e - q->k.listed->entries];

	if (!*there)
		q->goes[q->ngoes++] = e;
	*there = true;
}

/* Contacts first, so that no book goes before them. */
static void
note_contents(struct contacts_set *q, const struct pab_entry *book, bool *noted)
{
	const struct pab_listed *l = q->k.listed;

	for (size_t i = 0; i < l->n; i++)
		if (card_in(&l->entries[i], book->id))
			destroy_note(q, &l->entries[i], noted);
}

static void
note_find(struct call *c, struct contacts_set *q)
{
	const struct pab_listed *l = q->k.listed;
	bool *noted = arena_array(&c->arena, l->n + 1, sizeof(*noted));
	bool *stuck = note_stuck(c, q);

	q->goes = arena_array(&c->arena, l->n + json_count(q->args.destroy) + 1, sizeof(*q->goes));
	q->ngoes = 0;
	buf_clear(&q->answer.not_destroyed);
	for (size_t i = 0; i < json_count(q->args.destroy); i++) {
		struct slice id = json_text(json_at(q->args.destroy, i));
		const struct pab_entry *e = pab_listed_find(l, q->kind, id);

		if (!e)
			set_refuse(&q->answer.not_destroyed, id, "notFound", NULL, NULL);
		else if (noted[e - l->entries]) /* it was named before: all of it is noted */
			continue;
		else if (q->kind == PAB_CARD)
			destroy_note(q, e, noted);
		else if (book_may_go(q, e, stuck)) {
			note_contents(q, e, noted);
			destroy_note(q, e, noted);
		}
	}
}

static void
destroy_noted(struct call *c, enum dir_result r, const char *why UNUSED)
{
	struct contacts_set *q = c->data;

	if (r != DIR_R_OK)
		for (size_t i = 0; i < q->ngoes; i++)
			if (q->goes[i]->kind == q->kind)
				set_refuse(&q->answer.not_destroyed, q->goes[i]->id,
				    contact_error_of(r), NULL, contacts_set_why(r));
	contacts_set_step(q, r == DIR_R_OK ? SET_DESTROY : SET_ANSWER);
}

enum call_next
contacts_set_note(struct call *c)
{
	struct contacts_set *q = c->data;
	struct pab_gone *gone;
	size_t n;

	q->again = false;
	note_find(c, q);
	if (q->ngoes == 0) {
		contacts_set_step(q, SET_DEFAULT);
		return CALL_AGAIN;
	}
	gone = pab_gone_more(q->k.listed, q->goes, q->ngoes, &c->arena, &n);
	q->write = (struct pab_write){ .how = PAB_GONE,
		.csn = q->k.listed->csn,
		.gone = gone,
		.ngone = n };
	return contacts_set_write(c, destroy_noted);
}

static void
destroy_told(struct call *c, enum dir_result r, const char *why UNUSED)
{
	struct contacts_set *q = c->data;
	const struct pab_entry *e = q->goes[q->at++];

	if (e->kind != q->kind)
		return;
	if (r == DIR_R_OK || r == DIR_R_NO_ENTRY) {
		json_element(&q->answer.destroyed);
		json_str(&q->answer.destroyed, e->id);
		return;
	}
	set_refuse(&q->answer.not_destroyed, e->id, contact_error_of(r), NULL, contacts_set_why(r));
}

/* Without an assertion: that it was changed meanwhile is no reason to keep it. */
enum call_next
contacts_set_destroy(struct call *c)
{
	struct contacts_set *q = c->data;

	if (q->at == q->ngoes) {
		contacts_set_step(q, SET_DEFAULT);
		return CALL_AGAIN;
	}
	q->write = (struct pab_write){ .how = PAB_REMOVE,
		.kind = q->goes[q->at]->kind,
		.id = q->goes[q->at]->id };
	return contacts_set_write(c, destroy_told);
}
