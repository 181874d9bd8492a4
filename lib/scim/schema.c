/* schema.c: the two tables, and the same in the words of /Schemas and /ResourceTypes.
 *
 * Called by resource.c, patch.c and whoever answers.  Owns the tables.  Nothing can fail.  Must stay true: rows of
 * one name stand together, those of the extension last. */
#include "base/json.h"
#include "scim/schema.h"

#define URN_EXTENSION "urn:ietf:params:scim:schemas:extension:tiermail:2.0:"

/* clang-format off */
static const struct scim_attribute user_rows[] = {
	[SCIM_USER_ID] = { .name = "id", .exact = true, .unique = true, .access = SCIM_READ_ONLY, .returned = SCIM_ALWAYS,
	    .about = "Never changes, whatever the user is called." },
	[SCIM_USER_EXTERNAL] = { .name = "externalId", .exact = true, .about = "What the client calls it." },
	[SCIM_USER_NAME] = { .name = "userName", .required = true, .unique = true,
	    .about = "The name of the mailbox, with the organisation's domain." },
	[SCIM_USER_FORMATTED] = { .name = "name", .part = "formatted", .about = "The same as displayName." },
	[SCIM_USER_FAMILY] = { .name = "name", .part = "familyName", .about = "The family name." },
	[SCIM_USER_GIVEN] = { .name = "name", .part = "givenName", .about = "The given name." },
	[SCIM_USER_DISPLAY] = { .name = "displayName", .about = "The name for people." },
	[SCIM_USER_LANGUAGE] = { .name = "preferredLanguage", .about = "Of reports and pages." },
	[SCIM_USER_ACTIVE] = { .name = "active", .boolean = true, .about = "May come in." },
	[SCIM_USER_PASSWORD] = { .name = "password", .exact = true, .access = SCIM_WRITE_ONLY, .returned = SCIM_NEVER,
	    .about = "Becomes the password; hashed by the directory." },
	[SCIM_USER_EMAILS] = { .name = "emails", .subs = SCIM_VALUE | SCIM_TYPE | SCIM_PRIMARY,
	    .about = "Addresses in domains of the organisation; the primary one is what mail is sent from." },
	[SCIM_USER_PHONES] = { .name = "phoneNumbers", .subs = SCIM_VALUE | SCIM_TYPE, .about = "Telephone numbers." },
	[SCIM_USER_GROUPS] = { .name = "groups", .subs = SCIM_VALUE | SCIM_DISPLAY | SCIM_REF, .access = SCIM_READ_ONLY,
	    .returned = SCIM_REQUEST, .about = "Groups that name this user as a member." },
	[SCIM_USER_QUOTA] = { .name = "quota", .extension = true, .about = "Octets of the mailbox; none, default, 2G." },
	[SCIM_USER_PACKAGE] = { .name = "package", .extension = true, .about = "The service package." },
	[SCIM_USER_HOST] = { .name = "host", .extension = true, .access = SCIM_READ_ONLY, .about = "The store of the mailbox." },
};
static const struct scim_attribute group_rows[] = {
	[SCIM_GROUP_ID] = { .name = "id", .exact = true, .unique = true, .access = SCIM_READ_ONLY, .returned = SCIM_ALWAYS,
	    .about = "Never changes, whatever the group is called." },
	[SCIM_GROUP_EXTERNAL] = { .name = "externalId", .exact = true, .about = "What the client calls it." },
	[SCIM_GROUP_DISPLAY] = { .name = "displayName", .required = true, .about = "The name for people." },
	[SCIM_GROUP_MEMBERS] = { .name = "members", .subs = SCIM_VALUE | SCIM_TYPE | SCIM_DISPLAY | SCIM_REF,
	    .about = "Users and groups of the organisation." },
	[SCIM_GROUP_MAIL] = { .name = "mail", .unique = true, .extension = true, .access = SCIM_IMMUTABLE,
	    .about = "The list's address; made from displayName where it is not given." },
};
/* clang-format on */

const struct scim_schema scim_user = { "User", "Users", SCIM_URN_SCHEMA "User",
	URN_EXTENSION "User", "A user", "What the mail system adds to a user", user_rows,
	NELEM(user_rows) };
const struct scim_schema scim_group = { "Group", "Groups", SCIM_URN_SCHEMA "Group",
	URN_EXTENSION "Group", "A mailing list", "What the mail system adds to a group", group_rows,
	NELEM(group_rows) };

static const struct {
	const char *name;
	enum scim_sub sub;
	const char *about;
} subs_of[] = {
	{ "value", SCIM_VALUE, "The value itself." },
	{ "type", SCIM_TYPE, "What kind it is." },
	{ "primary", SCIM_PRIMARY, "Is it the one that counts?" },
	{ "display", SCIM_DISPLAY, "A name for people." },
	{ "$ref", SCIM_REF, "Where it is." },
};

uint32_t
scim_rows(const struct scim_schema *s, const struct scim_path *path, unsigned *subs)
{
	bool core = !path->urn.n || slice_ieq(path->urn, slice_str(s->urn));
	bool extension = slice_ieq(path->urn, slice_str(s->extension));
	uint32_t rows = 0;

	*subs = ~0u;
	for (size_t i = 0; i < s->n; i++) {
		const struct scim_attribute *a = &s->rows[i];

		if ((a->extension ? extension : core) &&
		    slice_ieq(path->attribute, slice_str(a->name)) &&
		    (!path->sub.n || a->subs ||
			(a->part && slice_ieq(path->sub, slice_str(a->part)))))
			rows |= 1u << i;
		if (!(rows & 1u << i) || !a->subs || !path->sub.n)
			continue;
		*subs = 0;
		for (size_t k = 0; k < NELEM(subs_of); k++)
			if (slice_ieq(path->sub, slice_str(subs_of[k].name)))
				*subs = subs_of[k].sub & a->subs;
		if (!*subs)
			return 0;
	}
	return rows;
}

/* ---- /Schemas ------------------------------------------------------------------------------------ */

static const char *const accesses[] = { "readWrite", "readOnly", "immutable", "writeOnly" };
static const char *const returns[] = { "default", "always", "never", "request" };

static void
schema_attribute(struct buf *b, const char *name, const char *type, bool many,
    const struct scim_attribute *a, const char *about)
{
	json_element(b);
	buf_char(b, '{');
	json_put_cstr(b, "name", name);
	json_put_cstr(b, "type", type);
	json_put_bool(b, "multiValued", many);
	json_put_cstr(b, "description", about);
	json_put_bool(b, "required", a->required);
	json_put_cstr(b, "mutability", accesses[a->access]);
	json_put_cstr(b, "returned", returns[a->returned]);
	if (strcmp(type, "boolean") != 0 && strcmp(type, "complex") != 0)
		json_put_bool(b, "caseExact", a->exact || strcmp(type, "reference") == 0);
	json_put_cstr(b, "uniqueness", a->unique ? "server" : "none");
}

/* Of a list: what an element has.  A reference says to what (RFC 7643 7). */
static void
schema_subs(struct buf *b, const struct scim_attribute *a)
{
	struct scim_attribute plain = { .access = a->access, .returned = SCIM_DEFAULT };

	json_put_array(b, "subAttributes");
	for (size_t i = 0; i < NELEM(subs_of); i++) {
		const char *type = subs_of[i].sub == SCIM_REF ? "reference" :
		    subs_of[i].sub == SCIM_PRIMARY            ? "boolean" :
								"string";

		if (!(a->subs & subs_of[i].sub))
			continue;
		plain.access =
		    subs_of[i].sub & (SCIM_DISPLAY | SCIM_REF) ? SCIM_READ_ONLY : a->access;
		schema_attribute(b, subs_of[i].name, type, false, &plain, subs_of[i].about);
		if (subs_of[i].sub == SCIM_REF)
			buf_lit(b, ",\"referenceTypes\":[\"User\",\"Group\"]");
		buf_char(b, '}');
	}
	buf_lit(b, "]}");
}

static void
schema_row(struct buf *b, const struct scim_schema *s, size_t *i)
{
	const struct scim_attribute *a = &s->rows[*i], *part;
	struct scim_attribute whole = { .access = SCIM_READ_WRITE };

	if (a->subs) {
		schema_attribute(b, a->name, "complex", true, a, a->about);
		schema_subs(b, a);
	} else if (a->part) {
		schema_attribute(b, a->name, "complex", false, &whole, "The parts of the name.");
		json_put_array(b, "subAttributes");
		for (; *i < s->n && strcmp(s->rows[*i].name, a->name) == 0; ++*i) {
			part = &s->rows[*i];
			schema_attribute(b, part->part, "string", false, part, part->about);
			buf_char(b, '}');
		}
		--*i;
		buf_lit(b, "]}");
	} else {
		schema_attribute(b, a->name, a->boolean ? "boolean" : "string", false, a, a->about);
		buf_char(b, '}');
	}
}

static void
schema_meta(struct buf *b, const char *type, struct slice base, const char *path, const char *id)
{
	struct buf where = { 0 };

	buf_printf(&where, SFMT "/%s/%s", SARG(base), path, id);
	json_put_object(b, "meta");
	json_put_cstr(b, "resourceType", type);
	json_put_str(b, "location", buf_get(&where));
	buf_lit(b, "}}");
	buf_fini(&where);
}

void
scim_schema_write(struct buf *b, const struct scim_schema *s, bool extension, struct slice base)
{
	const char *urn = extension ? s->extension : s->urn;

	buf_lit(b, "{\"schemas\":[\"" SCIM_URN_SCHEMA "Schema\"]");
	json_put_cstr(b, "id", urn);
	json_put_cstr(b, "name", s->name);
	json_put_cstr(b, "description", extension ? s->about_extension : s->about);
	json_put_array(b, "attributes");
	for (size_t i = 0; i < s->n; i++) /* id, externalId and meta are of all (RFC 7643 3.1) */
		if (s->rows[i].extension == extension && strcmp(s->rows[i].name, "id") != 0 &&
		    strcmp(s->rows[i].name, "externalId") != 0)
			schema_row(b, s, &i);
	buf_char(b, ']');
	schema_meta(b, "Schema", base, "Schemas", urn);
}

void
scim_type_write(struct buf *b, const struct scim_schema *s, struct slice base)
{
	struct buf path = { 0 };

	buf_printf(&path, "/%s", s->path);
	buf_lit(b, "{\"schemas\":[\"" SCIM_URN_SCHEMA "ResourceType\"]");
	json_put_cstr(b, "id", s->name);
	json_put_cstr(b, "name", s->name);
	json_put_str(b, "endpoint", buf_get(&path));
	json_put_cstr(b, "description", s->about);
	json_put_cstr(b, "schema", s->urn);
	buf_lit(b, ",\"schemaExtensions\":[{");
	json_put_cstr(b, "schema", s->extension);
	json_put_bool(b, "required", false);
	buf_lit(b, "}]");
	schema_meta(b, "ResourceType", base, "ResourceTypes", s->name);
	buf_fini(&path);
}
