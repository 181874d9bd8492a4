/* What people write becomes what the directory has: settings, values of DNs, names; and JSON. */
#include "admin/admin-impl.h"
#include "../tap.h"

static void
setting(const char *text, const char *name, enum admin_how how, const char *value)
{
	struct admin_setting s;

	if (!ok(admin_setting_parse(slice_str(text), &s), "a setting: %s", text))
		return;
	ok(slice_eq(s.name, slice_str(name)) && s.how == how && slice_eq(s.value, slice_str(value)),
	    "its name, what becomes of the value, and that");
}

static const char *
dn_value(const char *s)
{
	static struct buf b;

	buf_clear(&b);
	admin_dn_value(&b, slice_str(s));
	return buf_cstr(&b);
}

static const char *
dn_name(const char *dn)
{
	static struct arena m;

	return arena_cstr(&m, admin_dn_name(&m, slice_str(dn)));
}

static void
json(void)
{
	const struct admin_pair pairs[] = {
		{ .name = "user", .value = S("a\"b") },
		{ .name = "alias", .value = S("x@y"), .list = true },
		{ .name = "alias", .value = S("z@y"), .list = true },
		{ .name = "delivery", .value = S("mailbox"), .list = true },
		{ .name = "quota", .value = S("12"), .number = true },
		{ .name = "phone", .value = S("12") },
	};
	const struct admin_record r = { "user", pairs, NELEM(pairs) };
	struct buf b = { 0 };

	admin_record_json(&r, &b);
	is(buf_cstr(&b),
	    "{\"kind\":\"user\",\"user\":\"a\\\"b\",\"alias\":[\"x@y\",\"z@y\"],\"delivery\":["
	    "\"mailbox\"],"
	    "\"quota\":12,\"phone\":\"12\"}",
	    "JSON: lists are arrays with one value too, sizes are numbers, digits of a text are "
	    "not");
	ok(slice_eq(admin_record_get(&r, "alias"), S("x@y")) && !admin_record_get(&r, "none").n,
	    "its values by name");
	buf_fini(&b);
}

static void
table(void)
{
	struct buf b = { 0 };

	for (size_t i = 0; i < admin_nverbs; i++) {
		const struct admin_verb *v = &admin_verbs[i];
		const struct admin_verb *found =
		    admin_verb_find(slice_str(v->object), slice_str(v->verb));

		if (found != v || v->min > v->max || !v->help)
			ok(false, "%s %s stands once, with its help", v->object, v->verb);
		buf_clear(&b);
		admin_settings_list(v->object, &b);
		if (v->settings && !b.n)
			ok(false, "%s %s: what it takes can be listed", v->object, v->verb);
	}
	ok(!admin_verb_find(S("user"), S("creat")) && !admin_verb_find(S("users"), S("create")),
	    "no verb by half");
	ok(admin_field_find(ADMIN_USER, S("quota")) && !admin_field_find(ADMIN_USER, S("member")) &&
		!admin_field_find(ADMIN_USER, S("userPassword")) &&
		!admin_field_find(ADMIN_USER, S("mailQuota")),
	    "settings are of an object, and no attributes");
	buf_fini(&b);
}

int
main(void)
{
	struct admin_setting s;

	setting("quota=1G", "quota", ADMIN_SET, "1G");
	setting("alias+=a@b.c", "alias", ADMIN_ADD, "a@b.c");
	setting("alias-=a@b.c", "alias", ADMIN_TAKE, "a@b.c");
	setting("add-field=X: a=b", "add-field", ADMIN_SET, "X: a=b");
	setting("vacation=", "vacation", ADMIN_SET, "");
	ok(!admin_setting_parse(S("=x"), &s) && !admin_setting_parse(S("quota"), &s) &&
		!admin_setting_parse(S("+=x"), &s),
	    "none without a name, or a sign");

	is(dn_value("plain.name"), "plain.name", "a value of a DN");
	is(dn_value("a,b+c=\"d\\e"), "a\\2cb\\2bc\\3d\\22d\\5ce",
	    "what has a meaning in a DN has none in a value");
	is(dn_value(" a b "), "\\20a b\\20", "blanks at its edges");
	is(dn_value("#1"), "\\231", "a sharp at its beginning");

	is(dn_name("uid=jane,ou=People,o=example.org,dc=x"), "jane@example.org",
	    "a user's DN as people write it");
	is(dn_name("cn=staff,ou=Groups,o=example.org,o=P,dc=x"), "staff@example.org",
	    "a list's, below a provider");
	is(dn_name("cn=a\\2cb,ou=Groups,o=d,dc=x"), "cn=a\\2cb,ou=Groups,o=d,dc=x",
	    "one that is none of these stays");
	is(dn_name("ou=People,o=d"), "ou=People,o=d", "so does a folder's");
	is(dn_name("uid=jane"), "uid=jane", "and what ends early");
	json();
	table();
	return done();
}
