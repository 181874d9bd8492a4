/* admind/scim-filter.c: a filter of SCIM to one of LDAP (RFC 4515).
 *
 * Called by scim-do.c in its fiber, for it asks who the members are that a filter names.  Owns nothing.  Can fail:
 * what LDAP cannot be asked, or would answer otherwise than RFC 7644 wants, is refused with invalidFilter.  Must
 * stay true: a client's word goes in by dir_filter_value alone, and an attribute is a row of the table. */
#include <stdio.h>

#include "base/civil.h"
#include "directory/filter.h"
#include "scim.h"

#define YES "(objectClass=*)"
#define NO  "(!(objectClass=*))"

struct turn {
	struct scim_run *run;
	const struct scim_schema *schema;
	struct scim_error *e;
	struct buf *out;
	const char *element; /* within brackets: the attribute of LDAP that an element is of */
	bool primary;        /* and is it the primary one? */
	unsigned values;     /* tests of `value` so far in these brackets */
};

/* What has one attribute of LDAP; parts: begins, ends, contains can be asked. */
static const struct {
	const struct scim_schema *schema;
	size_t row;
	const char *attribute;
	bool parts;
} plain[] = {
	{ &scim_user, SCIM_USER_EXTERNAL, "tiermailExternalId", true },
	{ &scim_user, SCIM_USER_FORMATTED, "cn", true },
	{ &scim_user, SCIM_USER_DISPLAY, "cn", true },
	{ &scim_user, SCIM_USER_FAMILY, "sn", true },
	{ &scim_user, SCIM_USER_GIVEN, "givenName", true },
	{ &scim_user, SCIM_USER_LANGUAGE, "preferredLanguage", true },
	{ &scim_user, SCIM_USER_PHONES, "telephoneNumber", true },
	{ &scim_user, SCIM_USER_PACKAGE, "tiermailServicePackage", false },
	{ &scim_user, SCIM_USER_HOST, "mailHost", false },
	{ &scim_group, SCIM_GROUP_EXTERNAL, "tiermailExternalId", true },
	{ &scim_group, SCIM_GROUP_MAIL, "mail", true },
};

static bool turn_node(struct turn *t, const struct scim_filter *f);

static bool
turn_bad(struct turn *t, const struct scim_filter *f, const char *why)
{
	return scim_fail(t->e, 400, "invalidFilter", SFMT "%s" SFMT ": %s", SARG(f->path.attribute),
	    f->path.sub.n ? "." : "", SARG(f->path.sub), why);
}

static bool
turn_const(struct turn *t, bool yes)
{
	buf_str(t->out, yes ? YES : NO);
	return true;
}

/* "eq null" is "not pr" (RFC 7643 2.5), "ne" is "not eq". */
static bool
turn_text(struct turn *t, const struct scim_filter *f, const char *attribute, bool parts)
{
	bool negated = f->op == SCIM_NE || (f->literal == SCIM_NULL && f->op == SCIM_EQ);
	bool present = f->op == SCIM_PR || f->literal == SCIM_NULL;

	if (f->literal == SCIM_NULL && f->op == SCIM_NE)
		negated = false;
	if (!present && f->literal != SCIM_STRING)
		return turn_bad(t, f, "a text is expected");
	if (f->op >= SCIM_GT && f->op <= SCIM_LE)
		return turn_bad(t, f, "the directory has no order of it");
	if (!parts && (f->op == SCIM_CO || f->op == SCIM_SW || f->op == SCIM_EW))
		return turn_bad(t, f, "eq, ne or pr is expected");
	if (!present && !f->value.n)
		return f->op == SCIM_EQ ? turn_const(t, false) : turn_bad(t, f, "an empty text");
	buf_printf(t->out, "%s(%s=", negated ? "(!" : "", attribute);
	if (f->op == SCIM_CO || f->op == SCIM_EW)
		buf_char(t->out, '*');
	if (present)
		buf_char(t->out, '*');
	else
		dir_filter_value(t->out, f->value);
	if (f->op == SCIM_CO || f->op == SCIM_SW)
		buf_char(t->out, '*');
	buf_str(t->out, negated ? "))" : ")");
	return true;
}

/* ---- uid and domain, which are two attributes --------------------------------------------------------------- */

static void
turn_uid(struct turn *t, struct slice uid, bool before, bool behind)
{
	buf_lit(t->out, "(uid=");
	if (before)
		buf_char(t->out, '*');
	dir_filter_value(t->out, uid);
	if (behind && (uid.n || !before))
		buf_char(t->out, '*');
	buf_char(t->out, ')');
}

static bool
turn_user_name(struct turn *t, const struct scim_filter *f)
{
	struct slice d = t->run->tenant, v = f->value, local, rest;
	size_t at = slice_rfind(v, '@');
	bool whole = at < v.n;

	if (f->op == SCIM_PR || f->literal == SCIM_NULL)
		return turn_const(t, f->op == SCIM_PR || f->op == SCIM_NE);
	if (f->literal != SCIM_STRING)
		return turn_bad(t, f, "a text is expected");
	local = slice_sub(v, 0, at);
	rest = slice_from(v, at + 1);
	switch (f->op) {
	case SCIM_EQ:
	case SCIM_NE:
		if (!whole || !slice_ieq(rest, d) || !local.n)
			return turn_const(t, f->op == SCIM_NE);
		buf_str(t->out, f->op == SCIM_NE ? "(!" : "");
		turn_uid(t, local, false, false);
		buf_str(t->out, f->op == SCIM_NE ? ")" : "");
		return true;
	case SCIM_CO:
		if (!whole && slice_ifind_str(d, v) < d.n)
			return turn_const(t, true);
		if (whole && !slice_istarts(d, rest))
			return turn_const(t, false);
		turn_uid(t, local, true, !whole);
		return true;
	case SCIM_SW:
		if (whole && (!slice_istarts(d, rest) || !local.n))
			return turn_const(t, false);
		turn_uid(t, local, false, !whole);
		return true;
	case SCIM_EW:
		if (!whole)
			return turn_const(t, d.n >= v.n && slice_ieq(slice_from(d, d.n - v.n), v));
		if (!slice_ieq(rest, d))
			return turn_const(t, false);
		turn_uid(t, local, true, false);
		return true;
	case SCIM_GT:
	case SCIM_GE:
	case SCIM_LT:
	case SCIM_LE:
	case SCIM_PR: break;
	}
	return turn_bad(t, f, "the directory has no order of it");
}

/* ---- dates ------------------------------------------------------------------------------------------------------ */

/* xsd:dateTime (RFC 7643 2.3.5); *part: there is a fraction of a second. */
static bool
turn_date(struct slice s, int64_t *at, bool *part)
{
	char text[48], sign = 'Z';
	int y, mo, d, h, mi, sec, n = 0, oh = 0, om = 0, end = 0;
	struct civil t;

	*part = false;
	if (s.n >= sizeof(text))
		return false;
	slice_cstr(s, text, sizeof(text));
	if (sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2d%n", &y, &mo, &d, &h, &mi, &sec, &n) != 6 ||
	    n != 19)
		return false;
	if (text[n] == '.')
		for (n++; text[n] >= '0' && text[n] <= '9'; n++)
			*part = *part || text[n] != '0';
	if (text[n] && text[n] != 'Z' &&
	    (sscanf(text + n, "%c%2d:%2d%n", &sign, &oh, &om, &end) != 3 || end != 6 ||
		(sign != '+' && sign != '-')))
		return false;
	if ((text[n] == 'Z' && text[n + 1]) || (end && text[n + end]))
		return false;
	if (y < 1970 || mo < 1 || mo > 12 || d < 1 || d > civil_month_days(y, mo) || h < 0 ||
	    h > 23 || mi < 0 || mi > 59 || sec < 0 || sec > 60)
		return false;
	t = (struct civil){ .year = y,
		.month = mo,
		.day = d,
		.hour = h,
		.minute = mi,
		.second = sec };
	*at = civil_to_unix(&t) - (sign == '-' ? -1 : 1) * (oh * 3600 + om * 60);
	return true;
}

/* The directory has whole seconds. */
static bool
turn_time(struct turn *t, const struct scim_filter *f, const char *attribute)
{
	char text[32];
	struct civil c;
	int64_t at;
	bool part;

	if (f->op == SCIM_PR)
		return turn_const(t, true);
	if (f->literal != SCIM_STRING || !turn_date(f->value, &at, &part))
		return turn_bad(t, f, "a time is 2026-12-24T18:00:00Z");
	if (part && (f->op == SCIM_EQ || f->op == SCIM_NE))
		return turn_const(t, f->op == SCIM_NE);
	if ((part && (f->op == SCIM_GT || f->op == SCIM_GE)) || (!part && f->op == SCIM_GT))
		at++;
	if (!part && f->op == SCIM_LT)
		at--;
	c = civil_from_unix(at);
	snprintf(text, sizeof(text), "%04d%02d%02d%02d%02d%02dZ", (int)c.year, c.month, c.day,
	    c.hour, c.minute, c.second);
	switch (f->op) {
	case SCIM_EQ: buf_printf(t->out, "(%s=%s)", attribute, text); return true;
	case SCIM_NE: buf_printf(t->out, "(!(%s=%s))", attribute, text); return true;
	case SCIM_GT:
	case SCIM_GE: buf_printf(t->out, "(%s>=%s)", attribute, text); return true;
	case SCIM_LT:
	case SCIM_LE: buf_printf(t->out, "(%s<=%s)", attribute, text); return true;
	case SCIM_CO:
	case SCIM_SW:
	case SCIM_EW:
	case SCIM_PR: break;
	}
	return turn_bad(t, f, "a time is compared by eq, ne, gt, ge, lt or le");
}

static bool
turn_meta(struct turn *t, const struct scim_filter *f)
{
	if (slice_ieq(f->path.sub, S("created")))
		return turn_time(t, f, "createTimestamp");
	if (slice_ieq(f->path.sub, S("lastModified")))
		return turn_time(t, f, "modifyTimestamp");
	if (slice_ieq(f->path.sub, S("resourceType")) && (f->op == SCIM_EQ || f->op == SCIM_NE))
		return turn_const(t,
		    slice_eq(f->value, slice_str(t->schema->name)) == (f->op == SCIM_EQ));
	return turn_bad(t, f, "this is not searched for");
}

/* ---- others that are not one attribute ---------------------------------------------------------------------------- */

static bool
turn_active(struct turn *t, const struct scim_filter *f)
{
	bool want = f->literal == SCIM_TRUE;

	if (f->op == SCIM_PR)
		return turn_const(t, true);
	if ((f->op != SCIM_EQ && f->op != SCIM_NE) ||
	    (f->literal != SCIM_TRUE && f->literal != SCIM_FALSE))
		return turn_bad(t, f, "it is eq or ne, true or false");
	want = want == (f->op == SCIM_EQ);
	buf_printf(t->out, "%s(|(!(inetUserStatus=*))(inetUserStatus=active))%s", want ? "" : "(!",
	    want ? "" : ")");
	return true;
}

static bool
turn_id(struct turn *t, const struct scim_filter *f)
{
	if (f->op == SCIM_PR)
		return turn_const(t, true);
	if ((f->op != SCIM_EQ && f->op != SCIM_NE) || f->literal != SCIM_STRING)
		return turn_bad(t, f, "an id is eq or ne");
	if (f->value.n != 36) /* slapd takes no value that is no UUID, and that is none */
		return turn_const(t, f->op == SCIM_NE);
	return turn_text(t, f, "entryUUID", false);
}

/* A list without a name for people is called by its own. */
static bool
turn_display(struct turn *t, const struct scim_filter *f)
{
	struct scim_filter positive = *f;
	bool negated = f->op == SCIM_NE;

	if (f->op == SCIM_PR)
		return turn_const(t, true);
	positive.op = negated ? SCIM_EQ : f->op;
	buf_str(t->out, negated ? "(!(|" : "(|");
	if (!turn_text(t, &positive, "displayName", true))
		return false;
	buf_lit(t->out, "(&(!(displayName=*))");
	if (!turn_text(t, &positive, "cn", true))
		return false;
	buf_str(t->out, negated ? ")))" : "))");
	return true;
}

static bool
turn_member(struct turn *t, const struct scim_filter *f)
{
	const char *dn;

	if (f->op == SCIM_PR)
		buf_lit(t->out, "(uniqueMember=*)");
	if (f->op == SCIM_PR)
		return true;
	if (f->op != SCIM_EQ || f->literal != SCIM_STRING ||
	    (f->path.sub.n && !slice_ieq(f->path.sub, S("value"))))
		return turn_bad(t, f, "members are eq an id");
	dn = admind_scim_dn(t->run, f->value);
	if (!dn)
		return turn_const(t, false);
	dir_filter_equal(t->out, "uniqueMember", slice_str(dn), S(""));
	return true;
}

/* ---- lists -------------------------------------------------------------------------------------------------------- */

static bool
turn_flag(struct turn *t, const struct scim_filter *f, bool have, enum scim_literal want)
{
	if (f->op == SCIM_PR)
		return turn_const(t, have);
	if (f->op != SCIM_EQ && f->op != SCIM_NE)
		return turn_bad(t, f, "eq or ne is expected");
	return turn_const(t, (have == (want == SCIM_TRUE)) == (f->op == SCIM_EQ));
}

/* One test of an element: its value is asked, the rest is known. */
static bool
turn_part(struct turn *t, const struct scim_filter *f, struct slice part)
{
	bool same = slice_ieq(f->value, S("work"));

	if (!part.n || slice_ieq(part, S("value"))) {
		/* Of several values of one attribute LDAP does not say that two tests are of the same one. */
		if (t->element && (t->values++ || f->op == SCIM_NE))
			return turn_bad(t, f, "one test of value is what can be asked here");
		return turn_text(t, f, t->element ? t->element : "mail", true);
	}
	if (slice_ieq(part, S("type")) && (f->op == SCIM_EQ || f->op == SCIM_NE))
		return turn_const(t, same == (f->op == SCIM_EQ));
	if (slice_ieq(part, S("primary")))
		return turn_flag(t, f, t->primary, f->literal);
	return turn_bad(t, f, "this is not searched for");
}

static bool
turn_element(struct turn *t, const struct scim_filter *f, const char *attribute, bool primary)
{
	bool good;

	t->element = attribute;
	t->primary = primary;
	t->values = 0;
	buf_printf(t->out, "(&(%s=*)", attribute); /* there is an element */
	good = f->node == SCIM_VALUES ? turn_node(t, f->left) : turn_part(t, f, f->path.sub);
	buf_char(t->out, ')');
	t->element = NULL;
	return good;
}

/* emails.value eq: of any; ne: of none. */
static bool
turn_emails(struct turn *t, const struct scim_filter *f)
{
	struct scim_filter positive = *f;
	bool negated = f->node == SCIM_TEST && f->op == SCIM_NE;

	positive.op = negated ? SCIM_EQ : f->op;
	buf_str(t->out, negated ? "(!(|" : "(|");
	if (!turn_element(t, &positive, "mail", true) ||
	    !turn_element(t, &positive, "mailAlternateAddress", false))
		return false;
	buf_str(t->out, negated ? "))" : ")");
	return true;
}

/* ---- the tree ------------------------------------------------------------------------------------------------------- */

static bool
turn_row(struct turn *t, const struct scim_filter *f, size_t row)
{
	const struct scim_attribute *a = &t->schema->rows[row];
	bool user = t->schema == &scim_user;

	if (f->node == SCIM_VALUES && !(user && row == SCIM_USER_EMAILS))
		return turn_bad(t, f, "brackets are not searched by");
	if (row == (user ? (size_t)SCIM_USER_ID : (size_t)SCIM_GROUP_ID))
		return turn_id(t, f);
	if (user && row == SCIM_USER_NAME)
		return turn_user_name(t, f);
	if (user && row == SCIM_USER_ACTIVE)
		return turn_active(t, f);
	if (user && row == SCIM_USER_EMAILS)
		return turn_emails(t, f);
	if (!user && row == SCIM_GROUP_DISPLAY)
		return turn_display(t, f);
	if (!user && row == SCIM_GROUP_MEMBERS)
		return turn_member(t, f);
	if (a->subs && f->path.sub.n && !slice_ieq(f->path.sub, S("value")))
		return turn_bad(t, f, "this is not searched for");
	for (size_t i = 0; i < NELEM(plain); i++)
		if (plain[i].schema == t->schema && plain[i].row == row)
			return turn_text(t, f, plain[i].attribute, plain[i].parts);
	return turn_bad(t, f, "this is not searched for");
}

static bool
turn_test(struct turn *t, const struct scim_filter *f)
{
	unsigned subs;
	uint32_t rows;

	if (t->element)
		return f->path.sub.n ? turn_bad(t, f, "there is no such attribute") :
				       turn_part(t, f, f->path.attribute);
	if (!f->path.urn.n && slice_ieq(f->path.attribute, S("meta")))
		return turn_meta(t, f);
	rows = scim_rows(t->schema, &f->path, &subs);
	for (size_t i = 0; i < t->schema->n; i++)
		if (rows == 1u << i)
			return turn_row(t, f, i);
	return turn_bad(t, f, rows ? "a part of it is expected" : "there is no such attribute");
}

static bool
turn_node(struct turn *t, const struct scim_filter *f)
{
	bool good = false;

	switch (f->node) {
	case SCIM_TEST:
	case SCIM_VALUES: return turn_test(t, f);
	case SCIM_NOT:
		if (t->element) /* "not" of one value is not "not" of all */
			return turn_bad(t, f->left, "not is not asked of an element");
		buf_lit(t->out, "(!");
		good = turn_node(t, f->left);
		break;
	case SCIM_AND:
	case SCIM_OR:
		buf_str(t->out, f->node == SCIM_AND ? "(&" : "(|");
		good = turn_node(t, f->left) && turn_node(t, f->right);
		break;
	}
	buf_char(t->out, ')');
	return good;
}

bool
admind_scim_filter(struct scim_run *r, const struct scim_schema *s, struct slice text,
    const char **filter, struct scim_error *e)
{
	const struct scim_filter *f = NULL;
	struct buf b = { 0 };
	struct turn t = { .run = r, .schema = s, .e = e, .out = &b };
	const char *why;
	bool good;

	if (s == &scim_user) /* who is deleted is not there (RFC 7644 3.6) */
		buf_lit(&b, "(!(inetUserStatus=deleted))");
	if (text.n && scim_filter_parse(text, &r->memory, &f, &why) < 0) {
		buf_fini(&b);
		return scim_fail(e, 400, "invalidFilter", "filter: %s", why);
	}
	good = !f || turn_node(&t, f);
	*filter = arena_cstr(&r->memory, buf_get(&b));
	buf_fini(&b);
	return good;
}
