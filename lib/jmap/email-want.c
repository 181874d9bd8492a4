/* email-want.c: the arguments of Email/get and Email/parse.
 *
 * Called once for a call.  A property that is not known is the call's error (RFC 8620 5.1:
 * invalidArguments), as is a form that a field cannot have (RFC 8621 4.1.2).  What must stay true: a
 * property that is listed twice is written once, or the answer would have a name twice; the work here is at
 * most the square of JMAP_PROPERTIES_MAX. */
#include "jmap/email-want.h"

#include <errno.h>
#include <stdlib.h>

#define VALUE_MOST_MAX ((int64_t)1 << 40)

static const char *const email_properties[] = {
	[JMAP_EMAIL_ID] = "id",
	[JMAP_EMAIL_BLOB_ID] = "blobId",
	[JMAP_EMAIL_THREAD_ID] = "threadId",
	[JMAP_EMAIL_MAILBOX_IDS] = "mailboxIds",
	[JMAP_EMAIL_KEYWORDS] = "keywords",
	[JMAP_EMAIL_SIZE] = "size",
	[JMAP_EMAIL_RECEIVED_AT] = "receivedAt",
	[JMAP_EMAIL_HEADERS] = "headers",
	[JMAP_EMAIL_HAS_ATTACHMENT] = "hasAttachment",
	[JMAP_EMAIL_PREVIEW] = "preview",
	[JMAP_EMAIL_BODY_STRUCTURE] = "bodyStructure",
	[JMAP_EMAIL_TEXT_BODY] = "textBody",
	[JMAP_EMAIL_HTML_BODY] = "htmlBody",
	[JMAP_EMAIL_ATTACHMENTS] = "attachments",
	[JMAP_EMAIL_BODY_VALUES] = "bodyValues",
};
static const char *const part_properties[] = {
	[JMAP_PART_PART_ID] = "partId",
	[JMAP_PART_BLOB_ID] = "blobId",
	[JMAP_PART_SIZE] = "size",
	[JMAP_PART_NAME] = "name",
	[JMAP_PART_TYPE] = "type",
	[JMAP_PART_CHARSET] = "charset",
	[JMAP_PART_DISPOSITION] = "disposition",
	[JMAP_PART_CID] = "cid",
	[JMAP_PART_LANGUAGE] = "language",
	[JMAP_PART_LOCATION] = "location",
	[JMAP_PART_HEADERS] = "headers",
	[JMAP_PART_SUB_PARTS] = "subParts",
};

/* 4.2 and 4.9. */
#define DEFAULT_STORE "id", "blobId", "threadId", "mailboxIds", "keywords", "size", "receivedAt"
#define DEFAULT_MESSAGE                                                                            \
	"messageId", "inReplyTo", "references", "sender", "from", "to", "cc", "bcc", "replyTo",    \
	    "subject", "sentAt", "hasAttachment", "preview", "bodyValues", "textBody", "htmlBody", \
	    "attachments"
static const char *const get_default[] = { DEFAULT_STORE, DEFAULT_MESSAGE, NULL };
static const char *const parse_default[] = { DEFAULT_MESSAGE, NULL };
static const char *const part_default[] = { "partId", "blobId", "size", "name", "type", "charset",
	"disposition", "cid", "language", "location", NULL };

/* One of the two lists while it is read. */
struct want_list {
	const char *argument;
	const char *const *known;
	size_t nknown;
	bool part; /* has no convenience properties: 4.1.4 gives it header:* alone */
	uint32_t *bits;
	struct jmap_fields *fields;
	struct arena *a;
	const char **why;
};

static int
want_wrong(const struct want_list *l, struct slice property, const char *what)
{
	if (property.n > 80)
		property.n = 80;
	*l->why = arena_printf(l->a, "%s: \"" SFMT "\": %s", l->argument, SARG(property), what);
	return -EBADMSG;
}

static int
want_property(struct want_list *l, struct slice property)
{
	struct jmap_field field;
	const char *what = "no such property";
	int r;

	for (size_t i = 0; i < l->nknown; i++)
		if (slice_eq(property, slice_str(l->known[i]))) {
			*l->bits |= 1u << i;
			return 0;
		}
	if (property.n > JMAP_PROPERTY_MAX)
		return want_wrong(l, property, "the name is too long");
	r = jmap_field_parse(property, &field, &what);
	if (r < 0 || r == 0 || (l->part && !slice_starts(property, S("header:"))))
		return want_wrong(l, property, what);
	for (size_t i = 0; i < l->fields->n; i++)
		if (slice_eq(l->fields->f[i].property, property))
			return 0;
	l->fields->f[l->fields->n++] = field;
	return 0;
}

/* ---- the names of fields ------------------------------------------------------------------------------ */

static int
want_cmp(const void *x, const void *y)
{
	const struct slice *a = x, *b = y;

	return slice_cmp(*a, *b);
}

size_t
jmap_fields_place(const struct jmap_fields *f, struct slice name)
{
	char lower[JMAP_PROPERTY_MAX];
	size_t lo = 0, hi = f->nnames;

	if (name.n > sizeof(lower))
		return f->nnames;
	for (size_t i = 0; i < name.n; i++)
		lower[i] = ascii_lower(name.p[i]);
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		int c = slice_cmp(slice(lower, name.n), f->names[mid]);

		if (c == 0)
			return mid;
		if (c < 0)
			hi = mid;
		else
			lo = mid + 1;
	}
	return f->nnames;
}

static void
want_names(struct jmap_fields *f, struct arena *a)
{
	f->names = arena_array(a, f->n, sizeof(*f->names));
	f->name_of = arena_array(a, f->n, sizeof(*f->name_of));
	for (size_t i = 0; i < f->n; i++) {
		char *p = arena_new(a, f->f[i].name.n);

		for (size_t k = 0; k < f->f[i].name.n; k++)
			p[k] = ascii_lower(f->f[i].name.p[k]);
		f->names[i] = slice(p, f->f[i].name.n);
	}
	if (f->n > 0)
		qsort(f->names, f->n, sizeof(*f->names), want_cmp);
	for (size_t i = 0; i < f->n; i++)
		if (i == 0 || !slice_eq(f->names[i], f->names[f->nnames - 1]))
			f->names[f->nnames++] = f->names[i];
	for (size_t i = 0; i < f->n; i++)
		f->name_of[i] = (uint32_t)jmap_fields_place(f, f->f[i].name);
}

/* ---- the arguments ---------------------------------------------------------------------------------------- */

static int
want_list(struct want_list *l, const struct json_t *list, const char *const *otherwise)
{
	size_t n = json_count(list);
	struct slice property;
	int r = 0;

	if (!json_none(list) && !json_is(list, JSON_KIND_ARRAY))
		return want_wrong(l, S(""), "no list of properties");
	if (n > JMAP_PROPERTIES_MAX)
		return want_wrong(l, S(""), "too many properties");
	if (json_none(list))
		for (n = 0; otherwise[n]; n++)
			;
	l->fields->f = arena_array(l->a, n, sizeof(*l->fields->f));
	for (size_t i = 0; i < n && r == 0; i++) {
		if (json_none(list))
			property = slice_str(otherwise[i]);
		else if (!json_get_str(json_at(list, i), &property))
			return want_wrong(l, S(""), "a property is no string");
		r = want_property(l, property);
	}
	want_names(l->fields, l->a);
	return r;
}

static int
want_bool(const struct json_t *args, const char *name, bool *b, struct arena *a, const char **why)
{
	const struct json_t *v = json_find(args, slice_str(name));

	if (json_none(v) || json_get_bool(v, b))
		return 0;
	*why = arena_printf(a, "%s: neither true nor false", name);
	return -EBADMSG;
}

static int
want_most(const struct json_t *args, struct jmap_email_want *w, const char **why)
{
	const struct json_t *v = json_find(args, S("maxBodyValueBytes"));
	int64_t n = 0;

	if (!json_none(v) && !json_get_int(v, 0, JSON_INT_MOST, &n)) {
		*why = "maxBodyValueBytes: no whole number from 0";
		return -EBADMSG;
	}
	w->value_most = (uint64_t)(n < VALUE_MOST_MAX ? n : VALUE_MOST_MAX);
	return 0;
}

int
jmap_email_want_read(const struct json_t *args, bool parse, struct arena *a,
    struct jmap_email_want *w, const char **why)
{
	struct want_list email = { "properties", email_properties, NELEM(email_properties), false,
		&w->properties, &w->fields, a, why };
	struct want_list part = { "bodyProperties", part_properties, NELEM(part_properties), true,
		&w->part_properties, &w->part_fields, a, why };

	*w = (struct jmap_email_want){ 0 };
	if (want_list(&email, json_find(args, S("properties")),
		parse ? parse_default : get_default) < 0 ||
	    want_list(&part, json_find(args, S("bodyProperties")), part_default) < 0 ||
	    want_bool(args, "fetchTextBodyValues", &w->fetch_text, a, why) < 0 ||
	    want_bool(args, "fetchHTMLBodyValues", &w->fetch_html, a, why) < 0 ||
	    want_bool(args, "fetchAllBodyValues", &w->fetch_all, a, why) < 0 ||
	    want_most(args, w, why) < 0)
		return -EBADMSG;
	return 0;
}

bool
jmap_email_wants_body(const struct jmap_email_want *w)
{
	return w->properties >> JMAP_EMAIL_HAS_ATTACHMENT != 0;
}
