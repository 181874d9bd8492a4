/* Rights as letters, identifiers, and what they add up to. */
#include <errno.h>
#include <stdlib.h>

#include "../tap.h"
#include "store/acl.h"

static const char *
written(uint32_t rights)
{
	static struct buf b;

	buf_clear(&b);
	store_rights_write(&b, rights);
	return buf_cstr(&b);
}

static uint32_t
parsed(const char *text)
{
	uint32_t r = 0;

	return store_rights_parse(slice_str(text), &r) ? r : UINT32_MAX;
}

static void
test_letters(void)
{
	is(written(STORE_R_ALL), "lrswipkxteacd", "all rights, with the old ones");
	is(written(0), "", "none");
	is(written(parsed("rl")), "lr", "in one order");
	is(written(parsed("c")), "kxc", "the old c is k and x");
	is(written(parsed("d")), "ted", "the old d is t and e");
	is(written(parsed("e")), "ed", "a part of d says d (RFC 4314 2.1.1)");
	is(written(parsed("k")), "kc", "a part of c says c");
	eq(parsed("lrlr"), STORE_R_LOOKUP | STORE_R_READ, "twice is once");
	eq(parsed(""), 0, "no letter is no right");
	eq(parsed("lq"), UINT32_MAX, "another letter is refused");
	eq(parsed("L"), UINT32_MAX, "and so is an upper one");
	for (uint32_t r = 0; r <= STORE_R_ALL; r++)
		if (parsed(written(r)) != (r | (r & 192 ? 192u : 0) | (r & 768 ? 768u : 0))) {
			ok(false, "written and read: %u", r);
			return;
		}
	ok(true, "what is written is read, with what the old letters add");
	eq(store_rights_flags(STORE_R_SEEN), STORE_SEEN, "s is for \\Seen");
	eq(store_rights_flags(STORE_R_DELETE), STORE_DELETED, "t for \\Deleted");
	eq(store_rights_flags(STORE_R_WRITE), STORE_ANSWERED | STORE_FLAGGED | STORE_DRAFT,
	    "w for the others");
	eq(store_rights_flags(STORE_R_ALL), STORE_FLAGS_ALL, "all for all");
}

static const char *
identifier(const char *text)
{
	static char out[STORE_IDENTIFIER_MAX + 1];

	return store_identifier_check(slice_str(text), out) == 0 ? out : "none";
}

static void
test_identifiers(void)
{
	char longer[400];

	is(identifier("anyone"), "anyone", "anyone");
	is(identifier("-Anyone"), "-anyone", "a negative one, in lower case");
	is(identifier("Joe@Example.Test"), "joe@example.test", "a login");
	is(identifier("-joe@example.test"), "-joe@example.test", "and without");
	is(identifier("anyone@example.test"), "anyone@example.test", "a domain's people");
	is(identifier("joe"), "none", "a login has a domain");
	is(identifier("joe@"), "none", "which has a name");
	is(identifier(""), "none", "nothing is none");
	is(identifier("-"), "none", "nor is a sign");
	is(identifier("--joe@example.test"), "none", "nor two");
	is(identifier("a/b@example.test"), "none", "what no account can be called");
	is(identifier("joe\n@example.test"), "none", "nor with controls");
	memset(longer, 'x', sizeof(longer));
	memcpy(longer + 300, "@example.test", 14);
	is(identifier(longer), "none", "nor longer than an account");
	ok(store_identifier_anyone(S("anyone")) && store_identifier_anyone(S("-anyone@x")) &&
		!store_identifier_anyone(S("anyonex@x")) && !store_identifier_anyone(S("joe@x")),
	    "who is anyone");
	ok(store_share_indexed(S("joe@x"), STORE_R_LOOKUP) && !store_share_indexed(S("joe@x"), 2) &&
		!store_share_indexed(S("-joe@x"), STORE_R_LOOKUP),
	    "in the index is who may look");
}

/* "identifier rights identifier rights ..." */
static bool
find(void *arg, struct slice who, uint32_t *rights)
{
	struct slice rest = slice_str(arg), id, letters;

	while (slice_word(&rest, &id) && slice_word(&rest, &letters))
		if (slice_eq(id, who))
			return store_rights_parse(letters, rights);
	return false;
}

static int
order(struct slice a, struct slice b)
{
	int o = memcmp(a.p, b.p, a.n < b.n ? a.n : b.n);

	return o ? o : (a.n > b.n) - (a.n < b.n);
}

static bool
next(void *arg, struct slice *at, uint32_t *rights)
{
	struct slice rest = slice_str(arg), id, letters, first = slice(NULL, 0);

	while (slice_word(&rest, &id) && slice_word(&rest, &letters))
		if (order(id, *at) > 0 && (!first.p || order(id, first) < 0)) {
			first = id;
			if (!store_rights_parse(letters, rights))
				abort();
		}
	*at = first;
	return first.p;
}

static const char *
judged_in(const char *login, const char *groups, bool unsure, const char *list)
{
	const struct store_rights_rows rows = { find, next, (void *)(uintptr_t)list };
	const struct store_person who = { slice_str(login), slice_str(groups), unsure };

	return written(store_rights_judge(S("joe@x.test"), &who, &rows));
}

static const char *
judged(const char *login, const char *list)
{
	return judged_in(login, "", false, list);
}

static void
test_judge(void)
{
	is(judged("joe@x.test", "-joe@x.test lr -anyone lr"), "lrswipkxteacd",
	    "nobody takes anything from the owner");
	is(judged("", ""), "lrswipkxteacd", "a program for itself may all");
	is(judged("ann@x.test", ""), "", "others have what is given alone");
	is(judged("ann@x.test", "ann@x.test lr"), "lr", "to themselves,");
	is(judged("ann@x.test", "anyone l ann@x.test r"), "lr", "to all,");
	is(judged("ann@x.test", "anyone@x.test l anyone@y.test r"), "l", "to their domain");
	is(judged("ann@x.test", "anyone lrs -ann@x.test s"), "lr", "but for what is taken");
	is(judged("ann@x.test", "ann@x.test lrs -anyone r"), "ls", "by all that mean them");
	is(judged("ann@x.test", "ann@x.test lrs -anyone@x.test l -anyone@y.test r"), "rs",
	    "and by none that does not");
	is(judged("ann", "anyone@ lr anyone l"), "l", "a login without a domain is in none");
	is(judged("-ann@x.test", "-ann@x.test lr anyone s"), "s",
	    "what is taken from one gives another nothing");
	is(judged("ann@x.test", "an@x.test lr nn@x.test lr ann@x.tes lr"), "", "names are whole");
}

#define ANN "ann@x.test"

static void
test_groups(void)
{
	const char *list = "group:b@x l -group:c@x r group:c@x lrs anyone i";
	char one[16];
	struct store_person p = { .login = S(ANN) };
	struct buf b = { 0 };
	int good = 0;

	is(judged_in(ANN, "", false, list), "i", "who is in no group has what others have");
	is(judged_in(ANN, "b@x", false, list), "li", "one group gives");
	is(judged_in(ANN, "a@x b@x c@x d@x", false, list), "lsi",
	    "two give, and what one takes is gone");
	is(judged_in(ANN, "c@x", false, list), "lsi", "also from what it gives itself");
	is(judged_in(ANN, "b@", false, list), "i", "the beginning of a name is none");
	is(judged_in(ANN, "bb@x xb@x b@xx", false, list), "i", "nor is a part of one");
	is(judged_in(ANN, "b@x", true, "group:b@x lrs -group:z@x r"), "ls",
	    "of who may be in others what is taken from any is taken");
	is(judged_in(ANN, "", true, "anyone lrs group:b@x w -group:z@x r"), "ls",
	    "and what is not known gives nothing");
	is(judged_in("joe@x.test", "b@x", true, "-group:b@x lr"), "lrswipkxteacd",
	    "nothing is taken from the owner");
	is(judged("group:b@x", "group:b@x lr anyone s"), "s",
	    "an account that is called like one is none of it");
	for (int i = 0; i < 256; i++)
		buf_printf(&b, "%sg%03d@x", i ? " " : "", i * 2);
	p.groups = buf_get(&b);
	for (int i = -1; i < 513; i++) {
		snprintf(one, sizeof(one), "g%03d@x", i);
		good += store_person_is_in(&p, slice_str(one)) == (i >= 0 && i < 512 && i % 2 == 0);
	}
	eq(good, 514, "each of many is found, and no other");
	buf_fini(&b);
	is(identifier("Group:Staff@Example.Test"), "group:staff@example.test", "a group");
	is(identifier("-group=staff@example.test"), "-group:staff@example.test",
	    "as others write it, taken from");
	is(identifier("group:staff"), "none", "has a domain");
	is(identifier("group:@x.test"), "none", "and a name in it");
	is(identifier("group:"), "none", "nothing is none");
	ok(store_identifier_group(S("-group:a@x")) && !store_identifier_group(S("groups:a@x")),
	    "which are groups");
	ok(store_share_indexed(S("group:a@x"), STORE_R_POST) &&
		store_share_indexed(S("-group:a@x"), STORE_R_READ) &&
		!store_share_indexed(S("group:a@x"), 0),
	    "each that is named is in the index");
}

static void
test_keys(void)
{
	uint8_t a[STORE_ACL_KEY], b[STORE_ACL_KEY];
	size_t n = store_share_key(a, S("anyone"), 7, 9);

	ok(n == 8 + 6 + 1 + 16 && store_get64(a) == 0 && a[14] == 0 && store_get64(a + 15) == 7 &&
		store_get64(a + 23) == 9,
	    "a row of the index");
	n = store_share_key(b, S("anyone@x.test"), 0, 0);
	ok(n > 31 && memcmp(a, b, 15) < 0, "one identifier is not the beginning of another");
	{
		struct store_disk_acl d = { .version = STORE_VERSION, .rights = 3 };
		struct slice good = slice((const char *)&d, sizeof(d)), bad = S("x");
		uint32_t r = 0;

		ok(store_acl_row(good, S("a@x"), &r) && r == 3, "what a row gives");
		ok(!store_acl_row(bad, S("a@x"), &r), "a damaged one gives nothing");
		ok(store_acl_row(bad, S("-a@x"), &r) && r == STORE_R_ALL, "and takes everything");
		ok(!store_acl_row(slice(NULL, 0), S("-a@x"), &r),
		    "one that is not there takes nothing");
	}
	ok(store_acl_key(b, 5, S("anyone")) == 14 && store_get64(b) == 5, "a row of a mailbox");
}

int
main(void)
{
	test_letters();
	test_identifiers();
	test_judge();
	test_groups();
	test_keys();
	return done();
}
