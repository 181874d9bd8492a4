/* jmapd/contact-card.c: AddressBook and ContactCard as clients see them, and what they may make of them.
 *
 * What is kept of a contact is its Card (RFC 9553) without id and addressBookIds, which the entry has; of a book
 * its name, description, sortOrder, isSubscribed and isDefault.  A change is the object as it is, written, patched, read,
 * and checked as a whole: an object that was good becomes a good one or stays.  Must stay true: a contact is in
 * one book at least, and all of them are there. */
#include "contact.h"

#include <errno.h>

#include "base/log.h"

#define BOOK_NAME 255  /* octets (RFC 9610 2) */
#define BOOK_TEXT 4096 /* of its description */

/* ---- as clients see them ----------------------------------------------------------------------------- */

void
contact_write(struct buf *b, const struct pab_entry *e)
{
	buf_char(b, '{');
	json_put_str(b, "id", e->id);
	json_put_object(b, "addressBookIds");
	for (size_t i = 0; i < e->nbooks; i++) {
		json_member(b, e->books[i]);
		buf_lit(b, "true");
	}
	buf_char(b, '}');
	if (e->content.n > 2) {
		buf_char(b, ',');
		buf_slice(b, slice_from(e->content, 1));
	} else {
		buf_char(b, '}');
	}
}

static const char *const book_kept[] = { "name", "description", "sortOrder", "isSubscribed" };

void
addressbook_write(struct buf *b, const struct pab_entry *e, const struct json_t *content,
    bool first)
{
	static const char *const absent[] = { "\"\"", "null", "0", "true" };

	buf_char(b, '{');
	json_put_str(b, "id", e->id);
	for (size_t i = 0; i < NELEM(book_kept); i++) {
		const struct json_t *v = json_find(content, slice_str(book_kept[i]));

		json_key(b, book_kept[i]);
		if (json_none(v))
			buf_str(b, absent[i]);
		else
			json_write(b, v);
	}
	json_put_bool(b, "isDefault", first);
	json_put_null(b, "shareWith");
	buf_lit(b,
	    ",\"myRights\":{\"mayRead\":true,\"mayWrite\":true,\"mayShare\":false,"
	    "\"mayDelete\":true}}");
}

struct json_t *
contact_content(const struct pab_entry *e)
{
	struct json_t *v = NULL;
	const char *why;

	if (json_read(e->content, &pab_card_bounds, &v, &why) < 0)
		log_event(LOG_WARN, "jmap_pab", "entry=%s why=%s", log_value(e->id), log_str(why));
	return v;
}

static bool
book_says_default(const struct pab_entry *e)
{
	struct json_t *v = contact_content(e);
	bool is = false;

	if (!json_get_bool(json_find(v, S("isDefault")), &is))
		is = false;
	json_free(&v);
	return is;
}

const struct pab_entry *
addressbook_default(const struct pab_listed *l)
{
	const struct pab_entry *first = NULL;

	for (size_t i = 0; i < l->n && l->entries[i].kind == PAB_BOOK; i++) {
		if (book_says_default(&l->entries[i]))
			return &l->entries[i];
		if (!first || slice_eq(l->entries[i].id, S(PAB_DEFAULT)))
			first = &l->entries[i];
	}
	return first;
}

/* ---- what they want ----------------------------------------------------------------------------------- */

void
contact_wish_free(struct contact_wish *w)
{
	json_free(&w->content);
	json_free(&w->wish);
}

static bool
wish_refuse(struct contact_wish *w, const char *type, const char *property, const char *why)
{
	w->type = type;
	w->property = property;
	w->why = why;
	return false;
}

static bool
wish_invalid(struct contact_wish *w, const char *property, const char *why)
{
	return wish_refuse(w, "invalidProperties", property, why);
}

/* `text` is the object as it is. */
static bool
wish_patched(struct contact_wish *w, struct slice text, const struct json_t *patch, struct arena *a)
{
	struct buf patched = { 0 };
	struct json_t *object = NULL;
	struct jmap_patch p;
	const char *why = "";
	int rc = json_read(text, &pab_card_bounds, &object, &why);

	if (rc == 0)
		rc = jmap_patch_read(&p, patch, a, &why);
	if (rc == 0)
		rc = jmap_patch_apply(&p, object, &patched, &why);
	if (rc == 0)
		rc = json_read(buf_get(&patched), &pab_card_bounds, &w->wish, &why);
	json_free(&object);
	buf_fini(&patched);
	if (rc == 0)
		return true;
	return rc == -E2BIG ? wish_refuse(w, "tooLarge", NULL, "a contact has bounds") :
			      wish_refuse(w, "invalidPatch", NULL, arena_str(a, why));
}

/* A new one in a tree of its own, so that all the rest is as with a change. */
static bool
wish_new(struct contact_wish *w, const struct json_t *v, struct arena *a)
{
	struct buf text = { 0 };
	const char *why = "";
	int rc;

	json_write(&text, v);
	rc = json_read(buf_get(&text), &pab_card_bounds, &w->wish, &why);
	buf_fini(&text);
	if (rc == 0 && json_is(w->wish, JSON_KIND_OBJECT))
		return true;
	return rc == -E2BIG ?
	    wish_refuse(w, "tooLarge", NULL, "a contact has bounds") :
	    wish_invalid(w, NULL, rc < 0 ? arena_str(a, why) : "an object is needed");
}

/* What is kept of a Card, read again. */
static bool
card_keep(struct contact_wish *w, struct arena *a)
{
	struct json_walk walk = { 0 };
	struct buf b = { 0 };
	const char *why;
	int rc;

	buf_char(&b, '{');
	if (!json_find(w->wish, S("@type")))
		json_put_cstr(&b, "@type", "Card");
	if (!json_find(w->wish, S("version")))
		json_put_cstr(&b, "version", "1.0");
	if (!json_find(w->wish, S("uid"))) {
		w->uid = pab_uid_new(a);
		json_put_str(&b, "uid", w->uid);
	}
	while (json_next(w->wish, &walk))
		if (!slice_eq(walk.name, S("id")) && !slice_eq(walk.name, S("addressBookIds"))) {
			json_member(&b, walk.name);
			json_write(&b, walk.value);
		}
	buf_char(&b, '}');
	rc = json_read(buf_get(&b), &pab_card_bounds, &w->content, &why);
	buf_fini(&b);
	return rc == 0 || wish_refuse(w, "tooLarge", NULL, "a contact has bounds");
}

static bool
card_books(struct call *c, struct contact_wish *w, struct arena *a)
{
	const struct contacts *k = c->data;
	const struct json_t *v = json_find(w->wish, S("addressBookIds"));
	struct json_walk walk = { 0 };
	bool in;

	if (!json_is(v, JSON_KIND_OBJECT) || json_count(v) == 0)
		return wish_invalid(w, "addressBookIds", "a contact is in one book at least");
	if (json_count(v) > CONTACT_BOOKS_MAX)
		return wish_invalid(w, "addressBookIds", "these are too many books");
	w->books = arena_array(a, json_count(v), sizeof(*w->books));
	while (json_next(v, &walk)) {
		struct slice id = call_created(c, walk.name);

		if (!json_get_bool(walk.value, &in) || !in)
			return wish_invalid(w, "addressBookIds", "each of its values is true");
		if (!id.p || !pab_listed_find(k->listed, PAB_BOOK, id))
			return wish_invalid(w, "addressBookIds", "there is no such book");
		w->books[w->nbooks++] = arena_slice(a, id);
	}
	return true;
}

/* RFC 9610 3: a photograph by its blob would have to be kept elsewhere; data: is in the Card. */
static bool
card_blobs(struct contact_wish *w)
{
	struct json_walk walk = { 0 };

	while (json_next(json_find(w->content, S("media")), &walk))
		if (json_find(walk.value, S("blobId")))
			return wish_invalid(w, "media", "blobId is not taken: use a data: URI");
	return true;
}

bool
contact_wish_read(struct call *c, struct contact_wish *w, const struct pab_entry *was,
    const struct json_t *v, struct arena *a)
{
	struct buf text = { 0 };
	const struct json_t *id;
	bool good;

	*w = (struct contact_wish){ 0 };
	if (was)
		contact_write(&text, was);
	good = was ? wish_patched(w, buf_get(&text), v, a) : wish_new(w, v, a);
	buf_fini(&text);
	if (!good)
		return false;
	id = json_find(w->wish, S("id"));
	if (was ? !slice_eq(json_text(id), was->id) : !!id)
		return wish_invalid(w, "id", "the server makes it");
	if (!card_books(c, w, a) || !card_keep(w, a) || !card_blobs(w))
		return false;
	return pab_card_check(w->content, a, &w->property, &w->why) ||
	    wish_invalid(w, w->property, w->why);
}

/* ---- books ------------------------------------------------------------------------------------------------- */

static bool
book_fits(struct contact_wish *w)
{
	struct slice name = { NULL, 0 }, text = S("");
	const struct json_t *description = json_find(w->wish, S("description"));
	const struct json_t *order = json_find(w->wish, S("sortOrder"));
	const struct json_t *subscribed = json_find(w->wish, S("isSubscribed"));
	int64_t n;
	bool yes;

	if (!json_get_str(json_find(w->wish, S("name")), &name) || slice_trim(name).n == 0 ||
	    name.n > BOOK_NAME || slice_find(name, '\0') < name.n)
		return wish_invalid(w, "name", "a name of 1 to 255 octets is needed");
	if (!json_none(description) &&
	    (!json_get_str(description, &text) || text.n > BOOK_TEXT ||
		slice_find(text, '\0') < text.n))
		return wish_invalid(w, "description", "a text of at most 4096 octets, or null");
	if (order && !json_get_int(order, 0, JSON_INT_MOST, &n))
		return wish_invalid(w, "sortOrder", "a whole number that is not negative");
	if (subscribed && !json_get_bool(subscribed, &yes))
		return wish_invalid(w, "isSubscribed", "a boolean");
	return true;
}

/* The server's own may be there as they are, and nothing else may. */
static bool
book_names(struct contact_wish *w, struct slice was, struct arena *a)
{
	struct json_t *is = NULL;
	struct json_walk walk = { 0 };
	const char *why;
	bool good = true;

	if (was.n && json_read(was, &pab_card_bounds, &is, &why) < 0)
		is = NULL;
	while (good && json_next(w->wish, &walk)) {
		const struct json_t *before = json_find(is, walk.name);
		bool kept = false;

		for (size_t i = 0; i < NELEM(book_kept); i++)
			kept = kept || slice_eq(walk.name, slice_str(book_kept[i]));
		if (!kept && !(before && json_same(before, walk.value)))
			good = wish_invalid(w, arena_cstr(a, walk.name),
			    "it is the server's, or there is no such property");
	}
	json_free(&is);
	return good;
}

static bool
book_keep(struct contact_wish *w, bool first)
{
	struct buf b = { 0 };
	const char *why;
	int rc;

	buf_char(&b, '{');
	for (size_t i = 0; i < NELEM(book_kept); i++) {
		const struct json_t *v = json_find(w->wish, slice_str(book_kept[i]));

		if (json_none(v))
			continue;
		json_key(&b, book_kept[i]);
		json_write(&b, v);
	}
	if (first)
		json_put_bool(&b, "isDefault", true);
	buf_char(&b, '}');
	rc = json_read(buf_get(&b), &pab_card_bounds, &w->content, &why);
	buf_fini(&b);
	return rc == 0 || wish_invalid(w, NULL, "a book has bounds");
}

bool
addressbook_wish_read(struct call *c, struct contact_wish *w, const struct pab_entry *was,
    const struct json_t *v, struct arena *a)
{
	const struct contacts *k = c->data;
	struct json_t *content = was ? contact_content(was) : NULL;
	struct buf text = { 0 };
	bool good;

	*w = (struct contact_wish){ 0 };
	if (was)
		addressbook_write(&text, was, content, was == addressbook_default(k->listed));
	good = (was ? wish_patched(w, buf_get(&text), v, a) : wish_new(w, v, a)) &&
	    book_names(w, buf_get(&text), a) && book_fits(w) &&
	    book_keep(w, was && book_says_default(was));
	buf_fini(&text);
	json_free(&content);
	return good;
}

const char *
contact_error_of(enum dir_result r)
{
	switch (r) {
	case DIR_R_NO_ENTRY: return "notFound";
	case DIR_R_DENIED:
	case DIR_R_PROXY:
	case DIR_R_READ_ONLY: return "forbidden";
	case DIR_R_VALUE:
	case DIR_R_SCHEMA: return "invalidProperties";
	case DIR_R_LIMIT: return "overQuota";
	case DIR_R_OK:
	case DIR_R_EXISTS:
	case DIR_R_CHANGED:
	case DIR_R_CHILDREN:
	case DIR_R_NO_VALUE:
	case DIR_R_HAS_VALUE:
	case DIR_R_LOGIN:
	case DIR_R_AWAY:
	case DIR_R_UNKNOWN:
	case DIR_R_OTHER: break;
	}
	return "serverFail";
}
