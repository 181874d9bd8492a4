/* store/acl.c: rights as letters, who is meant, and the sum.
 *
 * Called by the writer for each request that names a login, by readers before they show anything of a
 * mailbox to one who is not its owner, and by imapd for what it writes.  Nothing fails but what is no
 * right or identifier.  What must stay true: the owner has all rights always, so that nobody can lock
 * himself out; what is taken away by a negative identifier is taken, whoever else gives it; and a login
 * costs a few look-ups, however many identifiers a mailbox names. */
#include "store/acl.h"

#include <errno.h>

#define OLD_CREATE (STORE_R_CREATE | STORE_R_DROP)    /* c */
#define OLD_DELETE (STORE_R_DELETE | STORE_R_EXPUNGE) /* d */

/* ---- letters ------------------------------------------------------------------------------- */

bool
store_rights_parse(struct slice text, uint32_t *rights)
{
	const struct slice letters = S(STORE_RIGHTS);
	uint32_t r = 0;

	for (size_t i = 0; i < text.n; i++) {
		size_t at = slice_find(letters, text.p[i]);

		if (at < letters.n)
			r |= 1u << at;
		else if (text.p[i] == 'c')
			r |= OLD_CREATE;
		else if (text.p[i] == 'd')
			r |= OLD_DELETE;
		else
			return false;
	}
	*rights = r;
	return true;
}

void
store_rights_write(struct buf *b, uint32_t rights)
{
	for (size_t i = 0; i < sizeof(STORE_RIGHTS) - 1; i++)
		if (rights & 1u << i)
			buf_char(b, STORE_RIGHTS[i]);
	if (rights & OLD_CREATE)
		buf_char(b, 'c');
	if (rights & OLD_DELETE)
		buf_char(b, 'd');
}

uint16_t
store_rights_flags(uint32_t rights)
{
	unsigned flags = 0;

	if (rights & STORE_R_SEEN)
		flags |= STORE_SEEN;
	if (rights & STORE_R_DELETE)
		flags |= STORE_DELETED;
	if (rights & STORE_R_WRITE)
		flags |= STORE_FLAGS_ALL & ~(unsigned)(STORE_SEEN | STORE_DELETED);
	return (uint16_t)flags;
}

/* ---- who ----------------------------------------------------------------------------------- */

static struct slice
positive(struct slice identifier)
{
	return slice_starts(identifier, S("-")) ? slice_from(identifier, 1) : identifier;
}

bool
store_identifier_anyone(struct slice identifier)
{
	struct slice who = positive(identifier);

	return slice_eq(who, S("anyone")) || slice_starts(who, S("anyone@"));
}

int
store_identifier_check(struct slice identifier, char *canonical)
{
	struct slice who;

	if (identifier.n == 0 || identifier.n > STORE_IDENTIFIER_MAX)
		return -EINVAL;
	for (size_t i = 0; i < identifier.n; i++)
		canonical[i] = ascii_lower(identifier.p[i]);
	canonical[identifier.n] = '\0';
	who = positive(slice(canonical, identifier.n));
	if (slice_eq(who, S("anyone")))
		return 0;
	/* A domain is the end of an account's name: what is good there is good here. */
	return slice_find(who, '@') + 1 < who.n && !slice_starts(who, S("-")) ?
	    store_account_check(who) :
	    -EINVAL;
}

size_t
store_identifiers(struct slice login, char anyone[STORE_IDENTIFIER_MAX + 1],
    struct slice names[STORE_NAMES])
{
	const struct slice all = S("anyone");
	struct slice domain = slice_from(login, slice_rfind(login, '@'));
	size_t n = 0;

	names[n++] = all;
	if (domain.n > 1 && all.n + domain.n <= STORE_IDENTIFIER_MAX) {
		memcpy(anyone, all.p, all.n);
		memcpy(anyone + all.n, domain.p, domain.n);
		names[n++] = slice(anyone, all.n + domain.n);
	}
	/* An account whose name begins so cannot be named: its row would be what is taken from another. */
	if (!slice_starts(login, S("-")))
		names[n++] = login;
	return n;
}

uint32_t
store_rights_judge(struct slice owner, struct slice login, store_rights_find *find, void *arg)
{
	char anyone[STORE_IDENTIFIER_MAX + 1], minus[STORE_IDENTIFIER_MAX + 1];
	struct slice names[STORE_NAMES];
	uint32_t given = 0, taken = 0, r;
	size_t n;

	if (login.n == 0 || slice_eq(owner, login))
		return STORE_R_ALL;
	n = store_identifiers(login, anyone, names);
	for (size_t i = 0; i < n; i++) {
		if (find(arg, names[i], &r))
			given |= r;
		if (names[i].n >= STORE_IDENTIFIER_MAX)
			continue;
		minus[0] = '-';
		memcpy(minus + 1, names[i].p, names[i].n);
		if (find(arg, slice(minus, names[i].n + 1), &r))
			taken |= r;
	}
	return given & ~taken & STORE_R_ALL;
}

bool
store_acl_row(struct slice value, struct slice identifier, uint32_t *rights)
{
	struct store_disk_acl d;

	if (!value.p)
		return false;
	if (store_value_read(value, sizeof(d), &d, sizeof(d)) == 0)
		*rights = d.rights;
	else if (slice_starts(identifier, S("-")))
		*rights = STORE_R_ALL;
	else
		return false;
	return true;
}

/* ---- rows ---------------------------------------------------------------------------------- */

size_t
store_acl_key(uint8_t key[STORE_ACL_KEY], uint64_t mailbox, struct slice identifier)
{
	store_be64(key, mailbox);
	memcpy(key + 8, identifier.p, identifier.n);
	return 8 + identifier.n;
}

size_t
store_share_key(uint8_t key[STORE_ACL_KEY], struct slice identifier, uint64_t account,
    uint64_t mailbox)
{
	size_t n = store_acl_key(key, 0, identifier);

	key[n++] = 0;
	store_be64(key + n, account);
	store_be64(key + n + 8, mailbox);
	return n + 16;
}

bool
store_share_indexed(struct slice identifier, uint32_t rights)
{
	return rights & STORE_R_LOOKUP && !slice_starts(identifier, S("-"));
}
