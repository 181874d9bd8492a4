/* field-value.c: a value of people as the attribute has it, or why it makes no sense.
 *
 * Called by field.c for each setting.  Owns nothing.  Can fail with a sentence about the value; an
 * address that is somebody's, or a name that is nobody's, is found by asking the directory.  Must stay
 * true: what passes here is what the daemons understand (tiermail-directory(7)), for they look at it when
 * mail comes, and nobody is there to tell. */
#include <stdio.h>

#include "admin/admin-impl.h"
#include "base/civil.h"
#include "directory/search.h"

static bool
value_bad(struct admin *a, const struct admin_field *f, struct slice in, const char *why)
{
	return admin_fail(a, ADMIN_BAD, "value", "%s=" SFMT ": %s", f->name, SARG(in), why);
}

/* 10, 4K, 25M, 1G, 2T. */
static bool
field_size(struct slice in, uint64_t *n)
{
	static const char units[] = "KMGT";
	const char *u = in.n ? strchr(units, ascii_upper(in.p[in.n - 1])) : NULL;
	unsigned shift = u && *u ? 10 * (unsigned)(u - units + 1) : 0;

	if (shift)
		in.n--;
	if (slice_u64(in, (uint64_t)INT64_MAX >> shift, n) < 0)
		return false;
	*n <<= shift;
	return true;
}

static bool
value_number(struct admin *a, const struct admin_field *f, struct slice in, struct slice *out)
{
	bool bytes = f->kind == KIND_BYTES || f->kind == KIND_OCTETS || f->kind == KIND_BLOCKS;
	uint64_t n;

	if (f->kind == KIND_BYTES || f->kind == KIND_COUNT) {
		if (slice_ieq(in, S("none")) || slice_ieq(in, S("default"))) {
			*out = slice_ieq(in, S("none")) ? S("-1") : S("-2");
			return true;
		}
	}
	if (bytes ? !field_size(in, &n) : slice_u64(in, INT64_MAX, &n) < 0)
		return value_bad(a, f, in,
		    bytes ? "a size is 10, 4K, 25M or 1G" : "a number is expected");
	if (f->kind == KIND_BLOCKS)
		n = (n + 1023) / 1024;
	if (f->kind == KIND_BLOCKS && (n == 0 || n > INT32_MAX))
		return value_bad(a, f, in, "from 1K to 2047G");
	*out = slice_str(arena_printf(&a->memory, "%llu", (unsigned long long)n));
	return true;
}

static bool
value_choice(struct admin *a, const struct admin_field *f, struct slice in, struct slice *out)
{
	struct slice rest = slice_str(f->choices), word;

	while (slice_cut(&rest, '|', &word))
		if (slice_ieq(word, in)) {
			*out = word;
			return true;
		}
	return admin_fail(a, ADMIN_BAD, "value", "%s=" SFMT ": one of %s is expected", f->name,
	    SARG(in), f->choices);
}

static bool
value_address(struct admin *a, const struct admin_field *f, struct slice in, struct slice *out)
{
	struct address addr;
	struct buf b = { 0 };
	const char *why;

	if (address_parse(in, ADDRESS_UTF8, &a->memory, &addr, &why) < 0)
		return value_bad(a, f, in, why);
	address_write(&b, &addr);
	*out = slice_str(arena_cstr(&a->memory, buf_get(&b)));
	buf_fini(&b);
	return true;
}

/* The organisation may have a domain less in this very call, or more; that is looked at when it is there. */
static bool
value_own(struct admin *a, const struct admin_field *f, const struct admin_org *org,
    const struct dir_entry *e, struct slice in, struct slice *out)
{
	struct slice local, domain;

	/* "@domain" and "name+*@domain" are addresses here: tiermail-directory(7), Users */
	if (in.n && in.p[0] == '@' && strcmp(f->attribute, "mailAlternateAddress") == 0) {
		*out = in;
		domain = slice_from(in, 1);
	} else if (!value_address(a, f, in, out) || !admin_split(a, *out, &local, &domain)) {
		return false;
	}
	if (!admin_org_has(org, domain))
		return admin_fail(a, ADMIN_BAD, "foreign-domain",
		    "%s=" SFMT ": " SFMT " is no domain of this organisation", f->name, SARG(in),
		    SARG(domain));
	return admin_address_free(a, org, *out, e ? e->dn.p : NULL);
}

static bool
value_dn(struct admin *a, const struct admin_field *f, struct slice in, struct slice *out)
{
	const struct dir_entry *e;

	if (!admin_find_user(a, in, NULL, &e)) {
		if (a->problem->status != ADMIN_NOT_FOUND)
			return false;
		a->problem->status = ADMIN_OK;
		if (!admin_find_group(a, in, NULL, &e))
			return a->problem->status == ADMIN_NOT_FOUND ?
			    value_bad(a, f, in,
				"no user or list that you may see has this address") :
			    false;
	}
	*out = e->dn;
	return true;
}

/* The daemons follow it with eyes of their own, so it leads to nothing but what this person may see. */
static bool
value_url(struct admin *a, const struct admin_field *f, struct slice in)
{
	static const char *const none[] = { "1.1", NULL };
	const char *base, *filter, *why;
	struct buf b = { 0 };
	bool good;
	int scope;

	if (dir_url_parse(in, &b, &base, &scope, &filter, &why) < 0) {
		buf_fini(&b);
		return value_bad(a, f, in, why);
	}
	good = admin_search(a, base, DIR_SCOPE_BASE, NULL, none);
	good = good &&
	    ((*base && a->out.n) ||
		value_bad(a, f, in,
		    "it begins at an entry that is not there, or that you may not see"));
	buf_fini(&b);
	return good;
}

static bool
value_sender(struct admin *a, const struct admin_field *f, struct slice in, struct slice *out)
{
	struct slice address = slice_istarts(in, S("mailto:")) ? slice_from(in, 7) : in, got;

	*out = in;
	if (slice_istarts(in, S("ldap:///")))
		return value_url(a, f, in);
	if (slice_find(address, '*') < address.n || slice_find(address, '?') < address.n)
		return true;
	return value_address(a, f, address, &got);
}

static bool
value_query(struct admin *a, const struct admin_field *f, const struct admin_org *org,
    struct slice in, struct slice *out)
{
	struct buf b = { 0 };

	*out = in;
	if (slice_istarts(in, S("ldap:///")))
		return value_url(a, f, in);
	if (!in.n || in.p[0] != '(' || in.p[in.n - 1] != ')')
		return value_bad(a, f, in, "an LDAP URL, or a filter in brackets, is expected");
	buf_printf(&b, "ldap:///ou=People,%s??one?", org->dn);
	for (size_t i = 0; i < in.n; i++)
		if (strchr("%?# <>", in.p[i]) || (unsigned char)in.p[i] < ' ' || in.p[i] & 0x80) {
			buf_char(&b, '%');
			buf_hex(&b, in.p + i, 1);
		} else {
			buf_char(&b, in.p[i]);
		}
	*out = slice_str(arena_cstr(&a->memory, buf_get(&b)));
	buf_fini(&b);
	return true;
}

/* 2026-12-24, 2026-12-24T18:00 (UTC), or as it is kept. */
static bool
value_time(struct admin *a, const struct admin_field *f, struct slice in, struct slice *out)
{
	int y, mo, d, h = 0, mi = 0, n = 0;
	char text[32];

	slice_cstr(in, text, sizeof(text));
	if (in.n == 15 && sscanf(text, "%4d%2d%2d%2d%2d%*2dZ%n", &y, &mo, &d, &h, &mi, &n) == 5 &&
	    n == 15) {
		*out = in;
	} else if ((sscanf(text, "%4d-%2d-%2d%n", &y, &mo, &d, &n) == 3 && (size_t)n == in.n) ||
	    (sscanf(text, "%4d-%2d-%2dT%2d:%2d%n", &y, &mo, &d, &h, &mi, &n) == 5 &&
		(size_t)n == in.n)) {
		*out =
		    slice_str(arena_printf(&a->memory, "%04d%02d%02d%02d%02d00Z", y, mo, d, h, mi));
	} else {
		return value_bad(a, f, in, "a time is 2026-12-24 or 2026-12-24T18:00");
	}
	if (y < 1970 || mo < 1 || mo > 12 || d < 1 || d > civil_month_days(y, mo) || h < 0 ||
	    h > 23 || mi < 0 || mi > 59)
		return value_bad(a, f, in, "there is no such day or time");
	return true;
}

/* RFC 5322 2.2: a name of printable characters without a colon, and a text. */
static bool
value_field(struct admin *a, const struct admin_field *f, struct slice in)
{
	size_t colon = slice_find(in, ':');

	for (size_t i = 0; i < colon && i < in.n; i++)
		if (in.p[i] <= ' ' || in.p[i] > '~')
			colon = 0;
	return (colon && colon < in.n && slice_find(in, '\n') == in.n &&
		   slice_find(in, '\r') == in.n) ||
	    value_bad(a, f, in, "a field is Name: text");
}

/* "PACKAGE COUNT" or PACKAGE:COUNT. */
static bool
value_share(struct admin *a, const struct admin_field *f, struct slice in, struct slice *out)
{
	size_t at = slice_rfind(in, ':') < in.n ? slice_rfind(in, ':') : slice_rfind(in, ' ');
	struct slice name = slice_sub(in, 0, at), count = slice_from(in, at + 1);
	const struct dir_entry *p;
	uint64_t n;

	if (!name.n || at == in.n || slice_u64(count, INT32_MAX, &n) < 0)
		return value_bad(a, f, in, "PACKAGE:COUNT is expected");
	if (!admin_find_package(a, name, &p))
		return false;
	*out = slice_str(arena_printf(&a->memory, SFMT " %llu", SARG(admin_value(p, "cn")),
	    (unsigned long long)n));
	return true;
}

static bool
value_word(struct admin *a, const struct admin_field *f, struct slice in)
{
	for (size_t i = 0; i < in.n; i++)
		if ((unsigned char)in.p[i] <= ' ' || in.p[i] == '/' || in.p[i] == 0x7f)
			return value_bad(a, f, in, "one word is expected");
	return true;
}

static bool
value_text(struct admin *a, const struct admin_field *f, struct slice in)
{
	for (size_t i = 0; i < in.n; i++)
		if (((unsigned char)in.p[i] < ' ' && in.p[i] != '\n' && in.p[i] != '\t' &&
			in.p[i] != '\r') ||
		    in.p[i] == 0x7f)
			return value_bad(a, f, in, "control characters are no text");
	return true;
}

static bool
value_domain(struct admin *a, const struct admin_field *f, struct slice in, struct slice *out)
{
	struct buf b = { 0 };

	if (!domain_valid(in, ADDRESS_UTF8) || domain_write_ascii(&b, in) < 0) {
		buf_fini(&b);
		return value_bad(a, f, in, "no domain name");
	}
	*out = slice_str(arena_cstr(&a->memory, buf_get(&b)));
	buf_fini(&b);
	return true;
}

/* "+imaps,pops:*": tiermail-directory(7), Access filters; the clients are login/'s to read. */
static bool
value_access(struct admin *a, const struct admin_field *f, struct slice in)
{
	struct slice rest = in, rule;

	while (slice_cut(&rest, '$', &rule)) {
		struct slice r = slice_trim(rule);

		if (r.n < 3 || (r.p[0] != '+' && r.p[0] != '-') || slice_find(r, ':') >= r.n - 1 ||
		    slice_find(r, ':') == 1)
			return value_bad(a, f, in,
			    "a rule is +SERVICES:CLIENTS or -SERVICES:CLIENTS");
	}
	return true;
}

/* Not told again: what a mistake is of may be most of a secret. */
static bool
value_hash(struct admin *a, const struct admin_field *f, struct slice in, struct slice *out)
{
	const char *why = admin_hash_value(&a->memory, in, out);

	return !why || admin_fail(a, ADMIN_BAD, "value", "%s: %s", f->name, why);
}

bool
admin_field_value(struct admin *a, const struct admin_field *f, const struct admin_org *org,
    const struct dir_entry *e, struct slice in, struct slice *out)
{
	const struct dir_entry *p;

	*out = in;
	switch (f->kind) {
	case KIND_TEXT: return value_text(a, f, in);
	case KIND_WORD: return value_word(a, f, in);
	case KIND_OWN: return value_own(a, f, org, e, in, out);
	case KIND_ADDRESS: return value_address(a, f, in, out);
	case KIND_SENDER: return value_sender(a, f, in, out);
	case KIND_DOMAIN:
	case KIND_HOST: return value_domain(a, f, in, out);
	case KIND_PATTERN: return value_word(a, f, in);
	case KIND_BYTES:
	case KIND_COUNT:
	case KIND_OCTETS:
	case KIND_BLOCKS:
	case KIND_NUMBER: return value_number(a, f, in, out);
	case KIND_CHOICE: return value_choice(a, f, in, out);
	case KIND_ACCESS: return value_access(a, f, in);
	case KIND_TIME: return value_time(a, f, in, out);
	case KIND_DN: return value_dn(a, f, in, out);
	case KIND_QUERY: return value_query(a, f, org, in, out);
	case KIND_FIELD: return value_field(a, f, in);
	case KIND_PACKAGE:
		return admin_find_package(a, in, &p) && (*out = admin_value(p, "cn"), true);
	case KIND_SHARE: return value_share(a, f, in, out);
	case KIND_HASH: return value_hash(a, f, in, out);
	}
	return false;
}
