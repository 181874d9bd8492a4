/* jmapd/contact-get.c: AddressBook/get and ContactCard/get (RFC 9610 2.1, 3.1).
 *
 * The list that was read holds everything; what is asked for is written of it, a slice of the loop's time after the
 * other.  An entry whose content cannot be read is none. */
#include "contact.h"

#define PROPERTIES_MAX 200

struct objects_get {
	struct contacts k;
	struct call_ids ids;
	const struct json_t *properties; /* NULL: all */
	const struct pab_entry *first;   /* the default book */
	bool *missing, begun;
	size_t at;
};

static enum call_next
get_start(struct call *c)
{
	struct objects_get *g = c->data;
	enum call_next next;

	if (!contacts_served(c, &next) || !call_ids(c, &g->ids, &next))
		return next;
	g->properties = json_find(c->args, S("properties"));
	if (json_none(g->properties))
		g->properties = NULL;
	if (g->properties &&
	    (!json_is(g->properties, JSON_KIND_ARRAY) ||
		json_count(g->properties) > PROPERTIES_MAX))
		return call_invalid(c, "properties: an array of at most 200 strings, or null");
	for (size_t i = 0; i < json_count(g->properties); i++)
		if (!json_text(json_at(g->properties, i)).p)
			return call_invalid(c, "properties: an array of strings, or null");
	g->missing = arena_array(&c->arena, g->ids.n + 1, sizeof(*g->missing));
	return contacts_read(c, true);
}

static bool
get_wants(const struct objects_get *g, struct slice name)
{
	if (slice_eq(name, S("id")))
		return true;
	for (size_t i = 0; i < json_count(g->properties); i++)
		if (slice_eq(json_text(json_at(g->properties, i)), name))
			return true;
	return false;
}

/* The complete object, or of it what is wanted. */
static void
get_put_object(struct call *c, const struct objects_get *g, struct slice text)
{
	struct json_t *v = NULL;
	struct json_walk w = { 0 };
	const char *why;

	json_element(call_out(c));
	if (!g->properties) {
		buf_slice(call_out(c), text);
		return;
	}
	buf_char(call_out(c), '{');
	if (json_read(text, &pab_card_bounds, &v, &why) < 0)
		v = NULL;
	while (json_next(v, &w))
		if (get_wants(g, w.name)) {
			json_member(call_out(c), w.name);
			json_write(call_out(c), w.value);
		}
	buf_char(call_out(c), '}');
	json_free(&v);
}

static bool
get_write(struct call *c, const struct objects_get *g, const struct pab_entry *e)
{
	struct json_t *content = contact_content(e);
	struct buf text = { 0 };
	bool good = content;

	if (good && e->kind == PAB_BOOK)
		addressbook_write(&text, e, content, e == g->first);
	else if (good)
		contact_write(&text, e);
	if (good)
		get_put_object(c, g, buf_get(&text));
	json_free(&content);
	buf_fini(&text);
	return good;
}

/* The at-th of what is asked for; false: there is no more. */
static bool
get_next(struct call *c, struct objects_get *g, enum pab_kind kind)
{
	const struct pab_listed *l = g->k.listed;
	const struct pab_entry *e;

	if (g->at == (g->ids.list ? g->ids.n : l->n))
		return false;
	if (g->ids.list) {
		e = pab_listed_find(l, kind, g->ids.list[g->at]);
		g->missing[g->at] = !e || !get_write(c, g, e);
	} else if (l->entries[g->at].kind == kind) {
		(void)get_write(c, g, &l->entries[g->at]);
	}
	g->at++;
	return true;
}

static size_t
get_all(const struct pab_listed *l, enum pab_kind kind)
{
	size_t n = 0;

	for (size_t i = 0; i < l->n; i++)
		n += l->entries[i].kind == kind;
	return n;
}

static enum call_next
get_go(struct call *c, enum pab_kind kind)
{
	struct objects_get *g = c->data;
	enum call_next next;

	if (contacts_failed(c, &next))
		return next;
	if (!g->begun && !g->ids.list && get_all(g->k.listed, kind) > (size_t)config.get)
		return call_error(c, "requestTooLarge", "more objects than maxObjectsInGet");
	if (!g->begun) {
		call_answer(c);
		call_put_account(c);
		contacts_put_state(c, "state", kind);
		json_put_array(call_out(c), "list");
	}
	if (!g->begun && kind == PAB_BOOK)
		g->first = addressbook_default(g->k.listed);
	g->begun = true;
	while (get_next(c, g, kind)) {
		if (call_full(c))
			return call_error(c, "requestTooLarge", "the answer would be too long");
		if (call_spent(c))
			return CALL_AGAIN;
	}
	buf_char(call_out(c), ']');
	call_put_not_found(c, &g->ids, g->missing);
	return call_end(c);
}

static enum call_next
addressbook_get_go(struct call *c)
{
	return get_go(c, PAB_BOOK);
}

static enum call_next
contact_get_go(struct call *c)
{
	return get_go(c, PAB_CARD);
}

const struct jmapd_method addressbook_get = { "AddressBook/get", JMAP_CONTACTS,
	sizeof(struct objects_get), get_start, addressbook_get_go, NULL };
const struct jmapd_method contact_get = { "ContactCard/get", JMAP_CONTACTS,
	sizeof(struct objects_get), get_start, contact_get_go, NULL };
