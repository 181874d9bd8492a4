/* store/acl.c: rights as letters, who is meant, and the sum.
 *
 * Called by the writer for each request that names a login, by readers before they show anything of a
 * mailbox to one who is not its owner, and by imapd for what it writes.  Nothing fails but what is no
 * right or identifier.  What must stay true: the owner has all rights always, so that nobody can lock
 * himself out; what is taken away by a negative identifier is taken, whoever else gives it; a login
 * costs a few look-ups, however many identifiers a mailbox names, and its groups as many steps as the mailbox names
 * groups, however many there are; and what is not known of groups takes and never gives. */
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
store_identifier_group(struct slice identifier)
{
	return slice_starts(positive(identifier), S(STORE_GROUP));
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
	if (slice_starts(who, S("group=")))
		canonical[who.p - canonical + 5] = ':';
	if (slice_starts(who, S(STORE_GROUP))) {
		who = slice_from(who, sizeof(STORE_GROUP) - 1);
		if (slice_starts(who, S("@")))
			return -EINVAL;
	}
	/* A domain is the end of an account's name: what is good there is good here. */
	return slice_find(who, '@') + 1 < who.n && !slice_starts(who, S("-")) ?
	    store_account_check(who) :
	    -EINVAL;
}

bool
store_identifier_login(struct slice login)
{
	char canonical[STORE_IDENTIFIER_MAX + 1];

	return !slice_starts(login, S("-")) && !store_identifier_anyone(login) &&
	    store_identifier_check(login, canonical) == 0 &&
	    !store_identifier_group(slice_str(canonical));
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
	/* An account whose name begins so cannot be named: its row would be what is taken from another, or is a
	 * group's. */
	if (!slice_starts(login, S("-")) && !slice_starts(login, S(STORE_GROUP)))
		names[n++] = login;
	return n;
}

static int
bytes_order(struct slice a, struct slice b)
{
	int order = memcmp(a.p, b.p, a.n < b.n ? a.n : b.n);

	return order ? order : (a.n > b.n) - (a.n < b.n);
}

bool
store_person_is_in(const struct store_person *p, struct slice group)
{
	struct slice rest = p->groups, word;

	while (rest.n) {
		size_t from = slice_rfind(slice_sub(rest, 0, rest.n / 2), ' ');
		int order;

		/* The word around the middle; from: behind the SP in front of it. */
		from = from < rest.n / 2 ? from + 1 : 0;
		word = slice_from(rest, from);
		word.n = slice_find(word, ' ');
		order = bytes_order(group, word);
		if (order == 0)
			return true;
		rest = order < 0 ? slice_sub(rest, 0, from ? from - 1 : 0) :
				   slice_from(rest, from + word.n + 1);
	}
	return false;
}

/* What is said of the groups whose identifiers begin so, of this person's or of all. */
static uint32_t
judge_groups(const struct store_person *who, const struct store_rights_rows *rows,
    struct slice prefix, bool all)
{
	struct slice at = prefix;
	uint32_t sum = 0, r;

	while (rows->next(rows->arg, &at, &r) && slice_starts(at, prefix)) /* STORE_ACL_MOST */
		if (all || store_person_is_in(who, slice_from(at, prefix.n)))
			sum |= r;
	return sum;
}

uint32_t
store_rights_judge(struct slice owner, const struct store_person *who,
    const struct store_rights_rows *rows)
{
	struct slice login = who->login;
	char anyone[STORE_IDENTIFIER_MAX + 1], minus[STORE_IDENTIFIER_MAX + 1];
	struct slice names[STORE_NAMES];
	uint32_t given = 0, taken = 0, r;
	size_t n;

	if (login.n == 0 || slice_eq(owner, login))
		return STORE_R_ALL;
	n = store_identifiers(login, anyone, names);
	for (size_t i = 0; i < n; i++) {
		if (rows->find(rows->arg, names[i], &r))
			given |= r;
		if (names[i].n >= STORE_IDENTIFIER_MAX)
			continue;
		minus[0] = '-';
		memcpy(minus + 1, names[i].p, names[i].n);
		if (rows->find(rows->arg, slice(minus, names[i].n + 1), &r))
			taken |= r;
	}
	if (who->groups.n)
		given |= judge_groups(who, rows, S(STORE_GROUP), false);
	if (given && (who->groups.n || who->unsure))
		taken |= judge_groups(who, rows, S("-" STORE_GROUP), who->unsure);
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

uint32_t
store_acl_row_or(struct slice value, struct slice identifier)
{
	uint32_t rights;

	return store_acl_row(value, identifier, &rights) ? rights : 0;
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
	if (store_identifier_group(identifier))
		return rights != 0;
	return rights & STORE_R_LOOKUP && !slice_starts(identifier, S("-"));
}
