/* field.c: settings of people and attributes of the directory, in one table.
 *
 * Called by the verbs that create, change and show.  Owns nothing.  Can fail: a name that no object has
 * (with the nearest that it has), and a value that makes no sense, which field-value.c says.  Must stay
 * true: what is shown can be given again, so a field's two directions are of one row; an attribute that
 * is in no row cannot be set from outside, whatever the access rules would let happen. */
#include "admin/admin-impl.h"
#include "base/mem.h"

#define UG (ADMIN_USER | ADMIN_GROUP)

/* clang-format off */
static const struct admin_field fields[] = {
	{ ADMIN_USER,    "name",		"cn",			KIND_TEXT,	false, NULL },
	{ ADMIN_USER,    "given",		"givenName",		KIND_TEXT,	false, NULL },
	{ ADMIN_USER,    "surname",		"sn",			KIND_TEXT,	false, NULL },
	{ UG,            "mail",		"mail",			KIND_OWN,	false, NULL },
	{ UG,            "alias",		"mailAlternateAddress",	KIND_OWN,	true,  NULL },
	{ UG,            "equivalent",		"mailEquivalentAddress", KIND_OWN,	true,  NULL },
	{ ADMIN_USER,    "host",		"mailHost",		KIND_HOST,	false, NULL },
	{ ADMIN_USER,    "partition",		"mailMessageStore",	KIND_WORD,	false, NULL },
	{ ADMIN_USER,    "routing",		"mailRoutingAddress",	KIND_ADDRESS,	false, NULL },
	{ ADMIN_USER,    "login",		"inetUserStatus",	KIND_CHOICE,	false, "active|inactive|deleted" },
	{ ADMIN_USER,    "status",		"mailUserStatus",	KIND_CHOICE,	false,
	    "active|inactive|deleted|hold|overquota|disabled|defer" },
	{ ADMIN_USER,    "package",		"tiermailServicePackage", KIND_PACKAGE,	false, NULL },
	{ ADMIN_USER | ADMIN_PACKAGE, "quota",	"mailQuota",		KIND_BYTES,	false, NULL },
	{ ADMIN_USER | ADMIN_PACKAGE, "messages", "mailMsgQuota",	KIND_COUNT,	false, NULL },
	{ ADMIN_USER | ADMIN_PACKAGE | ADMIN_ORG, "maxsize", "mailMsgMaxBlocks", KIND_BLOCKS, false, NULL },
	{ ADMIN_USER | ADMIN_PACKAGE, "services", "mailAllowedServiceAccess", KIND_ACCESS, true, NULL },
	{ ADMIN_USER,    "delivery",		"mailDeliveryOption",	KIND_CHOICE,	true,
	    "mailbox|forward|autoreply|hold|program|native|file" },
	{ ADMIN_USER,    "forward",		"mailForwardingAddress", KIND_ADDRESS,	true,  NULL },
	{ ADMIN_USER,    "vacation",		"mailAutoReplyText",	KIND_TEXT,	false, NULL },
	{ ADMIN_USER,    "vacation-internal",	"mailAutoReplyTextInternal", KIND_TEXT,	false, NULL },
	{ ADMIN_USER,    "vacation-subject",	"mailAutoReplySubject",	KIND_TEXT,	false, NULL },
	{ ADMIN_USER,    "vacation-start",	"vacationStartDate",	KIND_TIME,	false, NULL },
	{ ADMIN_USER,    "vacation-end",	"vacationEndDate",	KIND_TIME,	false, NULL },
	{ ADMIN_USER,    "vacation-hours",	"mailAutoReplyTimeOut",	KIND_NUMBER,	false, NULL },
	{ ADMIN_USER,    "vacation-mode",	"mailAutoReplyMode",	KIND_CHOICE,	false, "reply|echo" },
	{ ADMIN_USER,    "hash",		"userPassword",		KIND_HASH,	false, NULL },
	{ ADMIN_USER,    "language",		"preferredLanguage",	KIND_WORD,	false, NULL },
	{ ADMIN_USER,    "phone",		"telephoneNumber",	KIND_TEXT,	true,  NULL },
	{ UG,            "external-id",		"tiermailExternalId",	KIND_TEXT,	false, NULL },
	{ ADMIN_GROUP,   "display",		"displayName",		KIND_TEXT,	false, NULL },
	{ ADMIN_GROUP,   "status",		"inetMailGroupStatus",	KIND_CHOICE,	false, "active|inactive|deleted|disabled|hold" },
	{ ADMIN_GROUP,   "owner",		"owner",		KIND_DN,	true,  NULL },
	{ ADMIN_GROUP,   "member",		"uniqueMember",		KIND_DN,	true,  NULL },
	{ ADMIN_GROUP,   "external",		"mgrpRFC822MailMember",	KIND_ADDRESS,	true,  NULL },
	{ ADMIN_GROUP,   "dynamic",		"memberURL",		KIND_QUERY,	true,  NULL },
	{ ADMIN_GROUP,   "policy",		"mgrpBroadcasterPolicy", KIND_CHOICE,	true,
	    "SMTP_AUTH_REQUIRED|SMTP_AUTH_USED|PASSWORD_REQUIRED|NO_REQUIREMENTS|OR" },
	{ ADMIN_GROUP,   "allow",		"mgrpAllowedBroadcaster", KIND_SENDER,	true,  NULL },
	{ ADMIN_GROUP,   "deny",		"mgrpDisallowedBroadcaster", KIND_SENDER, true, NULL },
	{ ADMIN_GROUP,   "allow-domain",	"mgrpAllowedDomain",	KIND_PATTERN,	true,  NULL },
	{ ADMIN_GROUP,   "deny-domain",		"mgrpDisallowedDomain",	KIND_PATTERN,	true,  NULL },
	{ ADMIN_GROUP,   "moderator",		"mgrpModerator",	KIND_SENDER,	true,  NULL },
	{ ADMIN_GROUP,   "reject-action",	"mgrpMsgRejectAction",	KIND_CHOICE,	false, "toModerator|reply" },
	{ ADMIN_GROUP,   "reject-text",		"mgrpMsgRejectText",	KIND_TEXT,	false, NULL },
	{ ADMIN_GROUP,   "errors",		"mgrpErrorsTo",		KIND_ADDRESS,	false, NULL },
	{ ADMIN_GROUP,   "maxsize",		"mgrpMsgMaxSize",	KIND_OCTETS,	false, NULL },
	{ ADMIN_GROUP,   "add-field",		"mgrpAddHeader",	KIND_FIELD,	true,  NULL },
	{ ADMIN_GROUP,   "remove-field",	"mgrpRemoveHeader",	KIND_WORD,	true,  NULL },
	{ ADMIN_GROUP,   "prefix",		"mgrpMsgPrefixText",	KIND_TEXT,	false, NULL },
	{ ADMIN_GROUP,   "suffix",		"mgrpMsgSuffixText",	KIND_TEXT,	false, NULL },
	{ ADMIN_ORG,     "alias",		"associatedDomain",	KIND_DOMAIN,	true,  NULL },
	{ ADMIN_ORG,     "login",		"inetDomainStatus",	KIND_CHOICE,	false, "active|inactive|deleted" },
	{ ADMIN_ORG,     "status",		"mailDomainStatus",	KIND_CHOICE,	false,
	    "active|inactive|deleted|hold|overquota|disabled|defer" },
	{ ADMIN_ORG,     "quota",		"mailDomainDiskQuota",	KIND_BYTES,	false, NULL },
	{ ADMIN_ORG,     "messages",		"mailDomainMsgQuota",	KIND_COUNT,	false, NULL },
	{ ADMIN_ORG,     "services",		"mailDomainAllowedServiceAccess", KIND_ACCESS, true, NULL },
	{ ADMIN_ORG,     "catchall",		"mailDomainCatchallAddress", KIND_ADDRESS, false, NULL },
	{ ADMIN_ORG,     "smarthost",		"mailRoutingSmartHost",	KIND_HOST,	false, NULL },
	{ ADMIN_ORG,     "routing-host",	"mailRoutingHosts",	KIND_HOST,	true,  NULL },
	{ ADMIN_ORG | ADMIN_PACKAGE, "host",	"tiermailMailHost",	KIND_HOST,	true,  NULL },
	{ ADMIN_ORG,     "users",		"tiermailUserMax",	KIND_NUMBER,	false, NULL },
	{ ADMIN_ORG,     "default-package",	"tiermailDefaultPackage", KIND_PACKAGE, false, NULL },
	{ ADMIN_ORG | ADMIN_PROVIDER, "package", "tiermailAllocation",	KIND_SHARE,	true,  NULL },
	{ ADMIN_APP,     "service",		"tiermailAppService",	KIND_CHOICE,	true,  "imap|pop|smtp|sieve|http|admin" },
	{ ADMIN_USER | ADMIN_GROUP | ADMIN_ORG | ADMIN_PACKAGE | ADMIN_PROVIDER | ADMIN_APP, "description", "description",
	    KIND_TEXT, false, NULL },
};
/* clang-format on */

/* Shown, and set by verbs of their own alone. */
static const struct {
	const char *attribute, *name;
} shown[] = {
	{ "tiermailDeletedAt", "deleted" },
	{ "createTimestamp", "created" },
	{ "modifyTimestamp", "modified" },
	{ "entryCSN", "version" },
	{ "entryUUID", "id" },
};

const struct admin_field *
admin_field_next(const struct admin_field *f, unsigned object)
{
	for (f = f ? f + 1 : fields; f < fields + NELEM(fields); f++)
		if (f->objects & object)
			return f;
	return NULL;
}

const struct admin_field *
admin_field_find(unsigned object, struct slice name)
{
	const struct admin_field *f = NULL;

	while ((f = admin_field_next(f, object)) && !slice_eq(name, slice_str(f->name)))
		;
	return f;
}

static const struct {
	const char *word;
	unsigned object;
} objects[] = { { "user", ADMIN_USER }, { "group", ADMIN_GROUP }, { "org", ADMIN_ORG },
	{ "package", ADMIN_PACKAGE }, { "provider", ADMIN_PROVIDER }, { "app", ADMIN_APP } };

void
admin_settings_list(const char *object, struct buf *out)
{
	const struct admin_field *f = NULL;

	if (strcmp(object, "job") == 0)
		buf_lit(out, "text update"); /* of an import (job-make.c); no attributes */
	for (size_t i = 0; i < NELEM(objects); i++)
		while (strcmp(objects[i].word, object) == 0 &&
		    (f = admin_field_next(f, objects[i].object)))
			buf_printf(out, "%s%s", out->n ? " " : "", f->name);
}

bool
admin_setting_many(const char *object, struct slice name)
{
	for (size_t i = 0; i < NELEM(objects); i++) {
		const struct admin_field *f = admin_field_find(objects[i].object, name);

		if (strcmp(objects[i].word, object) == 0)
			return f && f->many;
	}
	return false;
}

bool
admin_setting_parse(struct slice text, struct admin_setting *s)
{
	size_t at = slice_find(text, '=');

	if (at == 0 || at == text.n)
		return false;
	s->value = slice_from(text, at + 1);
	s->how = text.p[at - 1] == '+' ? ADMIN_ADD : text.p[at - 1] == '-' ? ADMIN_TAKE : ADMIN_SET;
	s->name = slice_sub(text, 0, s->how == ADMIN_SET ? at : at - 1);
	return s->name.n > 0;
}

bool
admin_setting(const struct admin *a, const char *name, struct slice *value)
{
	for (size_t i = 0; i < a->call->nsettings; i++)
		if (slice_eq(a->call->settings[i].name, slice_str(name)) &&
		    a->call->settings[i].how == ADMIN_SET) {
			*value = a->call->settings[i].value;
			return true;
		}
	*value = S("");
	return false;
}

/* ---- settings to changes ------------------------------------------------------------------------------ */

static bool
field_unknown(struct admin *a, unsigned object, struct slice name)
{
	const char *words[NELEM(fields)], *near;
	const struct admin_field *f = NULL;
	size_t n = 0;

	while ((f = admin_field_next(f, object)))
		words[n++] = f->name;
	near = conf_nearest(name, words, n);
	return admin_fail(a, ADMIN_BAD, "setting", SFMT ": there is no such setting%s%s%s",
	    SARG(name), near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
}

/* One setting; those before it of the same name have been put. */
static bool
field_to_change(struct admin *a, const struct admin_field *f, const struct admin_setting *s,
    bool again, const struct admin_org *org, const struct dir_entry *e, struct admin_changes *c)
{
	static const enum dir_how hows
	    [] = { [ADMIN_SET] = DIR_REPLACE, [ADMIN_ADD] = DIR_ADD, [ADMIN_TAKE] = DIR_DELETE };
	struct slice value;

	if (!s->value.n && s->how == ADMIN_SET) {
		if (e)
			admin_set_none(a, c, f->attribute);
		return true;
	}
	if (!f->many && (again || s->how == ADMIN_ADD))
		return admin_fail(a, ADMIN_BAD, "setting", "%s: has one value only", f->name);
	if (s->how == ADMIN_TAKE && e && admin_has(e, f->attribute, s->value))
		value = s->value; /* also one that would not be taken today */
	else if (!admin_field_value(a, f, org, e, s->value, &value))
		return false;
	if (f->kind == KIND_PACKAGE && f->objects == ADMIN_USER)
		return admin_package_put(a, org, value, e, c);
	admin_set(a, c, hows[s->how], f->attribute, value);
	return true;
}

bool
admin_fields_provisioned(const struct admin *a)
{
	struct slice given;

	return (admin_setting(a, "external-id", &given) && given.n) ||
	    (admin_setting(a, "display", &given) && given.n);
}

bool
admin_fields_put(struct admin *a, unsigned object, const struct admin_org *org,
    const struct dir_entry *e, struct admin_changes *c)
{
	/* Equal names together, in the order of the table: the values of a replacement are one change. */
	for (size_t i = 0; i < a->call->nsettings; i++)
		if (!admin_field_find(object, a->call->settings[i].name))
			return field_unknown(a, object, a->call->settings[i].name);
	for (const struct admin_field *f = NULL; (f = admin_field_next(f, object));) {
		bool again = false;

		for (size_t i = 0; i < a->call->nsettings; i++) {
			const struct admin_setting *s = &a->call->settings[i];

			admin_breathe(a); /* settings by values of the entry */
			if (!slice_eq(s->name, slice_str(f->name)))
				continue;
			if (!field_to_change(a, f, s, again, org, e, c))
				return false;
			again = true;
		}
	}
	if (e && admin_fields_provisioned(a))
		admin_class_put(a, c, e, "tiermailProvisioned");
	return true;
}

/* ---- attributes to what is shown ------------------------------------------------------------------------ */

const char *const *
admin_field_attrs(struct admin *a, unsigned object)
{
	const char **v = arena_array(&a->memory, NELEM(fields) + NELEM(shown) + 8, sizeof(*v));
	const struct admin_field *f = NULL;
	size_t n = 0;

	while ((f = admin_field_next(f, object)))
		if (f->kind != KIND_HASH)
			v[n++] = f->attribute;
	for (size_t i = 0; i < NELEM(shown); i++)
		v[n++] = shown[i].attribute;
	if (a->call->raw)
		v[n++] = "objectClass";
	v[n++] = "uid";
	v[n++] = "cn";
	v[n++] = "o";
	v[n++] = "sunPreferredDomain";
	return v;
}

static bool
field_is_number(const struct admin_field *f, struct slice v)
{
	uint64_t n;

	return (f->kind == KIND_BYTES || f->kind == KIND_COUNT || f->kind == KIND_OCTETS ||
		   f->kind == KIND_BLOCKS || f->kind == KIND_NUMBER) &&
	    slice_u64(v, INT64_MAX, &n) == 0;
}

/* As people give it: blocks as bytes, -1 as none, DNs as addresses. */
static struct slice
field_shown(struct arena *m, const struct admin_field *f, struct slice v)
{
	uint64_t n;

	switch (f->kind) {
	case KIND_BYTES:
	case KIND_COUNT:
		return slice_eq(v, S("-1")) ? S("none") : slice_eq(v, S("-2")) ? S("default") : v;
	case KIND_BLOCKS:
		return slice_u64(v, INT64_MAX / 1024, &n) == 0 ?
		    slice_str(arena_printf(m, "%llu", (unsigned long long)n * 1024)) :
		    v;
	case KIND_DN: return admin_dn_name(m, v);
	case KIND_TEXT:
	case KIND_WORD:
	case KIND_OWN:
	case KIND_ADDRESS:
	case KIND_SENDER:
	case KIND_DOMAIN:
	case KIND_PATTERN:
	case KIND_HOST:
	case KIND_OCTETS:
	case KIND_NUMBER:
	case KIND_CHOICE:
	case KIND_ACCESS:
	case KIND_TIME:
	case KIND_QUERY:
	case KIND_FIELD:
	case KIND_PACKAGE:
	case KIND_HASH:
	case KIND_SHARE: return v;
	}
	return v;
}

bool
admin_setting_attribute(const char *object, struct slice attribute, struct slice value,
    struct arena *m, struct admin_setting *s)
{
	const struct admin_field *f = NULL;
	unsigned of = 0;

	for (size_t i = 0; i < NELEM(objects); i++)
		of |= strcmp(objects[i].word, object) == 0 ? objects[i].object : 0;
	while ((f = admin_field_next(f, of)) && !slice_ieq(attribute, slice_str(f->attribute)))
		;
	if (!f)
		return false;
	*s = (struct admin_setting){ slice_str(f->name), field_shown(m, f, value), ADMIN_SET };
	if (f->kind == KIND_QUERY) /* of the people of the organisation it is made again */
		s->value = value;
	return true;
}

/* What somebody could give again: all but what the directory sets itself. */
static void
field_tell_raw(struct admin *a, const char *kind, const struct dir_entry *e)
{
	static const char *const own[] = { "createTimestamp", "modifyTimestamp", "entryCSN",
		"entryUUID" };
	struct admin_telling t = { .a = a };

	admin_tell_add(&t, "dn", e->dn);
	for (size_t i = 0; i < e->n; i++) {
		bool set = false;

		for (size_t k = 0; k < NELEM(own); k++)
			set = set || slice_ieq(e->attrs[i].name, slice_str(own[k]));
		for (size_t k = 0; !set && k < e->attrs[i].n; k++)
			admin_tell_add(&t, arena_cstr(&a->telling, e->attrs[i].name),
			    e->attrs[i].values[k]);
	}
	admin_tell_end(&t, kind);
}

void
admin_tell(struct admin *a, unsigned object, const char *name, const struct dir_entry *e)
{
	struct admin_telling t = { .a = a };
	const char *kind = "entry";

	for (size_t i = 0; i < NELEM(objects); i++)
		if (objects[i].object == object)
			kind = objects[i].word;
	if (a->call->raw) {
		field_tell_raw(a, kind, e);
		return;
	}
	admin_tell_add(&t, kind, slice_str(name));
	for (const struct admin_field *f = NULL; (f = admin_field_next(f, object));) {
		const struct dir_attribute *at =
		    f->kind == KIND_HASH ? NULL : admin_attr(e, f->attribute);

		for (size_t i = 0; at && i < at->n; i++) {
			struct slice v = field_shown(&a->telling, f, at->values[i]);

			admin_tell_add(&t, f->name, v);
			t.pairs[t.n - 1].list = f->many;
			t.pairs[t.n - 1].number = field_is_number(f, v);
			if (!f->many)
				break;
		}
	}
	for (size_t i = 0; i < NELEM(shown); i++)
		if (admin_attr(e, shown[i].attribute))
			admin_tell_add(&t, shown[i].name, admin_value(e, shown[i].attribute));
	admin_tell_add(&t, "dn", e->dn);
	admin_tell_end(&t, kind);
}
