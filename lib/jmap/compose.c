/* compose.c: the Email object of Email/set's create, RFC 8621 4.6.
 *
 * Called once for each Email that is created, on the loop: it costs the object, which the request's bounds
 * hold small.  Here are the rules about the whole: which properties there may be, none of which stands for
 * a field twice, and how the lists become a tree when the client gives no bodyStructure.  All that is wrong
 * is told together.  What must stay true: the message has a Date and a Message-ID; the fields come as the
 * client has put them, Bcc among them (who sends takes that out); nothing here reads a blob. */
#include "jmap/compose-impl.h"

#include <errno.h>

#include "mail/date.h"
#include "mail/header.h"

struct compose_read {
	struct jmap_compose *c;
	const struct json_t *email, *values;
	struct jmap_given given;
	struct buf header;
};

void
jmap_compose_wrong(struct jmap_compose *c, const char *path, const char *name, const char *why)
{
	if (c->nwrong == JMAP_WRONG_MAX)
		return;
	c->wrong[c->nwrong++] = (struct jmap_wrong){
		slice_str(arena_printf(c->a, "%s%s%s", path, *path ? "/" : "", name)), why
	};
}

static void
create_wrong(struct compose_read *r, const char *name, const char *why)
{
	jmap_compose_wrong(r->c, "", name, why);
}

static const struct json_t *
create_find(const struct compose_read *r, const char *name)
{
	const struct json_t *v = json_find(r->email, slice_str(name));

	return json_none(v) ? NULL : v;
}

/* ---- properties ------------------------------------------------------------------------------------------- */

static void
create_field(struct compose_read *r, const struct json_walk *w, const struct jmap_field *f)
{
	char *name = arena_cstr(r->c->a, w->name);
	const char *why = "";

	if (slice_istarts(f->name, S("Content-")))
		create_wrong(r, name, "the fields of a content belong to its part");
	else if (json_none(w->value))
		return;
	else if (!jmap_given_add(&r->given, f->name))
		create_wrong(r, name, "the field is given twice");
	else if (jmap_field_write(&r->header, f, w->value, &why) < 0)
		create_wrong(r, name, why);
}

static void
create_properties(struct compose_read *r)
{
	/* What is read elsewhere: by the caller, or for the body. */
	static const char *const others[] = { "mailboxIds", "keywords", "receivedAt",
		"bodyStructure", "bodyValues", "textBody", "htmlBody", "attachments" };
	static const char *const server[] = { "id", "blobId", "threadId", "size", "hasAttachment",
		"preview" };
	struct json_walk w = { 0 };
	struct jmap_field f;

	while (json_next(r->email, &w)) {
		const char *why = "no such property";
		bool other = false;
		int known = 0;

		for (size_t i = 0; i < NELEM(others); i++)
			other = other || slice_eq(w.name, slice_str(others[i]));
		for (size_t i = 0; i < NELEM(server); i++)
			if (slice_eq(w.name, slice_str(server[i])))
				why = "the server sets it";
		if (slice_eq(w.name, S("headers")))
			why = "each field is a property of its own";
		if (!other && w.name.n <= JMAP_PROPERTY_MAX)
			known = jmap_field_parse(w.name, &f, &why);
		if (known > 0)
			create_field(r, &w, &f);
		else if (!other)
			create_wrong(r,
			    arena_cstr(r->c->a, slice_sub(w.name, 0, JMAP_PROPERTY_MAX)), why);
	}
}

/* What the client does not say and the message must: 4.6. */
static void
create_defaults(struct compose_read *r)
{
	const struct jmap_compose_facts *facts = r->c->facts;
	struct buf value = { 0 };

	if (jmap_given_add(&r->given, S("Date"))) {
		date_write(&value, facts->now, facts->zone);
		header_write(&r->header, "Date", buf_get(&value));
	}
	if (jmap_given_add(&r->given, S("Message-ID"))) {
		buf_clear(&value);
		buf_printf(&value, "<" SFMT "@" SFMT ">", SARG(facts->unique), SARG(facts->domain));
		header_write(&r->header, "Message-ID", buf_get(&value));
	}
	if (jmap_given_add(&r->given, S("MIME-Version")))
		header_write(&r->header, "MIME-Version", S("1.0"));
	buf_fini(&value);
}

/* ---- the body ------------------------------------------------------------------------------------------------ */

/* textBody, htmlBody: one part, or NULL. */
static struct jmap_compose_part *
create_body(struct compose_read *r, const char *name, enum jmap_part_place place)
{
	const struct json_t *list = create_find(r, name);

	if (!list)
		return NULL;
	if (!json_is(list, JSON_KIND_ARRAY) || json_count(list) != 1) {
		create_wrong(r, name, "exactly one part can be");
		return NULL;
	}
	return jmap_compose_part_read(r->c, json_at(list, 0), r->values,
	    arena_printf(r->c->a, "%s/0", name), place, NULL, NULL);
}

/* Two parts in a multipart, or the one that there is. */
static struct jmap_compose_part *
create_both(struct compose_read *r, const char *subtype, struct jmap_compose_part *a,
    struct jmap_compose_part *b)
{
	struct jmap_compose_part *multi;

	if (!a || !b)
		return a ? a : b;
	multi = jmap_compose_multipart(r->c, subtype);
	jmap_compose_append(multi, a);
	jmap_compose_append(multi, b);
	return multi;
}

/* The lists as a tree.  `text` and `html` are read before the attachments, so that blobs are wanted in the
 * order in which a person thinks of them; the tree puts them in the message's. */
static struct jmap_compose_part *
create_lists(struct compose_read *r)
{
	struct jmap_compose_part *text = create_body(r, "textBody", JMAP_PLACE_TEXT_BODY);
	struct jmap_compose_part *html = create_body(r, "htmlBody", JMAP_PLACE_HTML_BODY);
	struct jmap_compose_part *related = NULL, *mixed = NULL, *body, *next;
	struct jmap_compose_part all = { 0 };
	const struct json_t *list = create_find(r, "attachments");

	if (list && !json_is(list, JSON_KIND_ARRAY))
		create_wrong(r, "attachments", "no list");
	for (size_t i = 0; i < json_count(list); i++)
		(void)jmap_compose_part_read(r->c, json_at(list, i), r->values,
		    arena_printf(r->c->a, "attachments/%zu", i), JMAP_PLACE_ATTACHMENT, &all, NULL);
	for (struct jmap_compose_part *p = all.child; p; p = p->next) {
		if (html && p->cid && !p->attachment && !related)
			related = jmap_compose_multipart(r->c, "related");
		else if (!(html && p->cid && !p->attachment) && !mixed)
			mixed = jmap_compose_multipart(r->c, "mixed");
	}
	if (related) {
		jmap_compose_append(related, html);
		html = NULL;
	}
	body = create_both(r, "alternative", text, related ? related : html);
	if (mixed && body)
		jmap_compose_append(mixed, body);
	for (struct jmap_compose_part *p = all.child; p; p = next) {
		next = p->next;
		p->next = NULL;
		jmap_compose_append(related && p->cid && !p->attachment ? related : mixed, p);
	}
	if (mixed)
		return mixed;
	return body ? body : jmap_compose_text(r->c, S(""));
}

static struct jmap_compose_part *
create_tree(struct compose_read *r)
{
	static const char *const lists[] = { "textBody", "htmlBody", "attachments" };

	if (!create_find(r, "bodyStructure"))
		return create_lists(r);
	for (size_t i = 0; i < NELEM(lists); i++)
		if (create_find(r, lists[i]))
			create_wrong(r, lists[i], "bodyStructure says the same");
	return jmap_compose_part_read(r->c, create_find(r, "bodyStructure"), r->values,
	    "bodyStructure", JMAP_PLACE_STRUCTURE, NULL, &r->given);
}

int
jmap_compose_read(struct jmap_compose *c, const struct json_t *email,
    const struct jmap_compose_facts *facts, struct arena *a)
{
	struct compose_read r = { .c = c, .email = email };

	*c = (struct jmap_compose){ .facts = facts, .a = a };
	if (!json_is(email, JSON_KIND_OBJECT)) {
		jmap_compose_wrong(c, "", "", "no Email");
		return -EBADMSG;
	}
	r.values = create_find(&r, "bodyValues");
	if (r.values && !json_is(r.values, JSON_KIND_OBJECT))
		create_wrong(&r, "bodyValues", "no object");
	create_properties(&r);
	c->root = c->part = create_tree(&r);
	create_defaults(&r);
	c->header = arena_slice(a, buf_get(&r.header));
	buf_fini(&r.header);
	return c->nwrong > 0 ? -EBADMSG : 0;
}
