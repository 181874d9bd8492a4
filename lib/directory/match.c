/* match.c: which entry is meant: the filters of searches, and how well an entry fits.
 *
 * Pure, over what fetch.c has of a search; nothing fails.  A filter asks for all the ways to write an
 * address at once, because one search costs less than three; of what comes back the best counts.  Must
 * stay true: LDAP matches more than we do (blanks, wide and accented letters, further values of uid),
 * and what only it takes for the same name is a name that nobody has. */
#include "conf/shared.h"
#include "directory/directory-impl.h"

/* The two ways in which domains lie in a directory (tiermail-directory(7), Layout). */
static const struct dir_schema schemas[] = {
	{ false, { "sunPreferredDomain", "associatedDomain", NULL },
	    "(&(|(objectClass=sunManagedOrganization)(objectClass=inetDomain))"
	    "(|(sunPreferredDomain=*)(associatedDomain=*)))" },
	{ true, { "inetCanonicalDomainName", NULL, NULL }, "(objectClass=inetDomain)" },
};

const struct dir_schema *
dir_schema(void)
{
	return &schemas[shared.ldap_schema == 1];
}

/* "a.b" -> "dc=a,dc=b,BASE" (RFC 2247); every byte that a DN could take for its own is escaped. */
static void
put_domain_dn(struct buf *b, struct slice name)
{
	struct slice label;

	while (slice_cut(&name, '.', &label)) {
		buf_lit(b, "dc=");
		for (size_t i = 0; i < label.n; i++) {
			char c = label.p[i];

			if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
			    c == '_') {
				buf_char(b, c);
			} else {
				buf_char(b, '\\');
				buf_hex(b, &c, 1);
			}
		}
		buf_char(b, ',');
	}
	buf_str(b, shared.ldap_base);
}

bool
dir_match_possible(struct slice name)
{
	struct slice rest = name, label;

	if (!dir_schema()->by_dn)
		return true;
	if (name.n == 0 || name.p[name.n - 1] == '.')
		return false;
	while (slice_cut(&rest, '.', &label))
		if (label.n == 0)
			return false;
	return true;
}

const char *
dir_match_where(const struct fetch *f, struct buf *b, int *scope)
{
	buf_clear(b);
	*scope = LDAP_SCOPE_SUBTREE;
	if (f->domain) {
		buf_str(b, f->domain->base.p);
	} else if (f->key.p[0] == 'm') {
		*scope = LDAP_SCOPE_BASE;
		buf_slice(b, f->local);
	} else if (f->key.p[0] == 'd' && dir_schema()->by_dn) {
		*scope = LDAP_SCOPE_BASE;
		put_domain_dn(b, f->name);
	} else {
		buf_str(b, shared.ldap_base);
	}
	return buf_cstr(b);
}

/* The local part without what follows the first '+'. */
static struct slice
without_tag(struct slice local)
{
	size_t plus = slice_find(local, '+');

	return plus > 0 ? slice_sub(local, 0, plus) : local;
}

unsigned
dir_match_kinds(const struct dir *d, const struct fetch *f)
{
	unsigned of_domain = d->scripts ? RECORD_DOMAIN_SCRIPTS : 0;
	unsigned of_user = (d->scripts ? RECORD_USER_SCRIPTS : 0) |
	    (d->verifiers && shared.login_scram ? RECORD_USER_VERIFIER : 0);

	switch (f->key.p[0]) {
	case 'd': return RECORD_DOMAIN | of_domain;
	case 'm': return RECORD_MEMBER;
	case 'l': return RECORD_USER | of_user;
	default: return RECORD_USER | RECORD_GROUP | of_user;
	}
}

/* How well an address fits: 4 as it is asked for, 3 name+* for any subaddress of name, 2 name, 1 @domain
 * for everybody, 0 not. */
static int
address_rank(const struct fetch *f, struct slice address)
{
	size_t at = slice_rfind(address, '@');
	struct slice local = slice_sub(address, 0, at), name = slice_from(address, at + 1);
	struct slice tagless = without_tag(f->local);

	if (!slice_ieq(name, f->name) && !slice_ieq(name, f->domain->domain.name))
		return 0;
	if (slice_ieq(local, f->local) && local.n)
		return 4;
	if (f->key.p[0] != 'r')
		return 0;
	if (tagless.n < f->local.n && slice_ends(local, S("+*")) &&
	    slice_ieq(slice_sub(local, 0, local.n - 2), tagless))
		return 3;
	if (slice_ieq(local, tagless) && local.n)
		return 2;
	return local.n == 0;
}

int
dir_match_rank(const struct fetch *f, const struct record *r)
{
	struct dir_values addresses = dir_record_addresses(r);
	int best = 0;

	if (f->key.p[0] == 'l' && slice_ieq(r->user.uid, f->local))
		return 5;
	for (size_t i = 0; i < addresses.n; i++) {
		int rank = address_rank(f, addresses.v[i]);

		if (rank > best)
			best = rank;
	}
	return best;
}

static void
put_addresses(struct buf *b, const struct fetch *f, struct slice local, const char *star)
{
	static const char *const attrs[] = { "mail", "mailAlternateAddress",
		"mailEquivalentAddress" };
	struct slice names[2] = { f->name, f->domain->domain.name };
	size_t n = slice_eq(names[0], names[1]) ? 1 : 2;
	char text[LOCAL_MAX + 3];

	if (*star) {
		(void)snprintf(text, sizeof(text), SFMT "%s", SARG(local), star);
		local = slice_str(text);
	}
	for (size_t k = 0; k < n; k++)
		for (size_t i = 0; i < NELEM(attrs); i++)
			dir_filter_equal(b, attrs[i], local, names[k]);
}

/* All the ways to write the address of a user or group, in one search. */
static void
entry_filter(struct buf *b, const struct fetch *f)
{
	struct slice tagless = without_tag(f->local);

	buf_lit(b, "(|");
	if (f->key.p[0] == 'l')
		dir_filter_equal(b, "uid", f->local, S(""));
	put_addresses(b, f, f->local, "");
	if (f->key.p[0] == 'r') {
		if (tagless.n < f->local.n) {
			put_addresses(b, f, tagless, "+*");
			put_addresses(b, f, tagless, "");
		}
		dir_filter_equal(b, "mailAlternateAddress", S(""), f->name);
		if (!slice_eq(f->name, f->domain->domain.name))
			dir_filter_equal(b, "mailAlternateAddress", S(""), f->domain->domain.name);
	}
	buf_char(b, ')');
}

void
dir_match_filter(struct buf *b, const struct fetch *f)
{
	switch (f->key.p[0]) {
	case 'm': buf_lit(b, "(objectClass=*)"); break;
	case 'd':
		if (dir_schema()->by_dn) {
			buf_str(b, dir_schema()->proof);
			break;
		}
		buf_lit(b, "(|");
		for (const char *const *name = dir_schema()->names; *name; name++)
			dir_filter_equal(b, *name, f->name, S(""));
		buf_char(b, ')');
		break;
	default: entry_filter(b, f); break;
	}
}
