/* Cards: whether they are some, what they are called, what LDAP clients are shown of them, and what finds them. */
#include "../tap.h"
#include "base/mem.h"
#include "pab/card.h"
#include "pab/pab-impl.h"

static struct arena arena;

static struct json_t *
read_card(const char *text)
{
	struct json_t *v = NULL;
	struct buf b = { 0 };
	const char *why;

	for (; *text; text++)
		buf_char(&b, *text == '\'' ? '"' : *text);
	if (json_read(buf_get(&b), &pab_card_bounds, &v, &why) < 0)
		printf("# the test's own JSON: %s\n", why);
	buf_fini(&b);
	return v;
}

/* "" or the property that is wrong. */
static const char *
wrong(const char *text)
{
	struct json_t *v = read_card(text);
	const char *property = NULL, *why;
	bool good = pab_card_check(v, &arena, &property, &why);

	json_free(&v);
	return good ? "" : property ? property : "all";
}

static const char *
name_of(const char *text)
{
	struct json_t *v = read_card(text);
	const char *name = arena_cstr(&arena, pab_card_name(v, &arena));

	json_free(&v);
	return name;
}

/* "attribute=value|value;..." of a new entry. */
static const char *
shown(const char *text)
{
	struct json_t *v = read_card(text);
	struct dir_change c[PAB_ATTRIBUTES];
	size_t n = pab_card_attributes(v, &arena, DIR_ADD, c);
	struct buf b = { 0 };
	const char *s;

	for (size_t i = 0; i < n; i++) {
		buf_printf(&b, "%s%s=", i ? ";" : "", c[i].attribute);
		for (size_t k = 0; k < c[i].nvalues; k++)
			buf_printf(&b, "%s" SFMT, k ? "|" : "", SARG(c[i].values[k]));
	}
	s = arena_str(&arena, buf_cstr(&b));
	buf_fini(&b);
	json_free(&v);
	return s;
}

static bool
fits(const char *text, const char *condition, const char *wanted)
{
	struct json_t *v = read_card(text);
	bool is = pab_card_fits(v, slice_str(condition), slice_str(wanted));

	json_free(&v);
	return is;
}

#define ANNA                                                                                       \
	"{'@type':'Card','uid':'u1','name':{'components':[{'kind':'given','value':'\u00c4nne'},"   \
	"{'kind':'separator','value':' '},{'kind':'surname','value':'M\u00fcller'}]},"             \
	"'emails':{'a':{'address':'a@b.c'},'b':{'address':'A@B.C'},'c':{'address':'\u00e4@b.c'}}," \
	"'phones':{'p':{'number':'+49 1-2'},'q':{'number':'+4912'},'m':{'number':'5','features':"  \
	"{'mobile':true}},'f':{'number':'6','features':{'fax':true}},'x':{'number':'ask me!'}},"   \
	"'addresses':{'a':{'components':[{'kind':'name','value':'Allee'},{'kind':'number',"        \
	"'value':'5'},{'kind':'locality','value':'Ulm'}]}},'notes':{'n':{'note':'in Paris'}}}"

static void
test_check(void)
{
	is(wrong(ANNA), "", "a Card");
	is(wrong("{'example.com:x':[1],'name':{'full':'x'}}"), "", "with properties of others");
	is(wrong("[]"), "all", "no object");
	is(wrong("{'@type':'Group'}"), "@type", "another type");
	is(wrong("{'kind':1}"), "kind", "a text that is none");
	is(wrong("{'emails':[]}"), "emails", "a map that is none");
	is(wrong("{'emails':{'e':1}}"), "emails", "a map of no objects");
	is(wrong("{'emails':{'e':{}}}"), "emails", "an address without one");
	is(wrong("{'members':{'m':false}}"), "members", "a set with false");
	is(wrong("{'name':{'full':1}}"), "name", "a name that is none");
	is(wrong("{'name':{'components':{}}}"), "name", "parts that are no list");
	is(wrong("{'name':{'components':[{'kind':'given'}]}}"), "name", "a part without a value");
}

static void
test_names(void)
{
	is(name_of(ANNA), "\u00c4nne M\u00fcller", "of parts");
	is(name_of("{'name':{'full':' Jo ','components':[{'kind':'given','value':'X'}]}}"), "Jo",
	    "in full");
	is(name_of("{'organizations':{'o':{'units':[]},'p':{'name':'Bank'}}}"), "Bank",
	    "of an organisation");
	is(name_of("{'emails':{'e':{'address':'a@b.c'}}}"), "a@b.c", "of an address");
	is(name_of("{'name':{'full':' '}}"), "?", "nothing at all");
}

static void
test_shown(void)
{
	is(shown(ANNA),
	    "cn=\u00c4nne M\u00fcller;displayName=\u00c4nne M\u00fcller;sn=M\u00fcller;"
	    "givenName=\u00c4nne;mail=a@b.c;telephoneNumber=+49 1-2;mobile=5;street=Allee 5;l=Ulm;"
	    "description=in Paris",
	    "attributes: what LDAP allows, and once");
	is(shown("{}"), "cn=?;displayName=?;sn=?", "those that must be there");
	is(shown("{'name':{'full':'a\\u0000b'},'emails':{'e':{'address':' - '}}}"),
	    "cn=a;displayName=a;sn=a", "no NUL, and nothing but blanks");
}

static void
test_long(void)
{
	struct buf b = { 0 };
	struct json_t *v;
	struct dir_change c[PAB_ATTRIBUTES];

	buf_lit(&b, "{'name':{'full':'x");
	for (size_t i = 0; i < 1000; i++)
		buf_lit(&b, "\u00e4");
	buf_lit(&b, "'}}");
	v = read_card(buf_cstr(&b));
	(void)pab_card_attributes(v, &arena, DIR_ADD, c);
	ok(c[0].values[0].n == 1023, "a long name is cut behind a whole character (%zu)",
	    c[0].values[0].n);
	ok(pab_card_attributes(v, &arena, DIR_REPLACE, c) <= PAB_ATTRIBUTES - 2,
	    "there is room for all of them");
	json_free(&v);
	buf_fini(&b);
}

static void
test_fits(void)
{
	static const struct {
		const char *condition, *text;
		bool is;
	} cases[] = {
		{ "name", "m\u00dcLL", true },
		{ "name/given", "\u00e4nn", true },
		{ "name/surname", "\u00e4nn", false },
		{ "email", "B.C", true },
		{ "email", "Paris", false },
		{ "phone", "+49", true },
		{ "note", "paris", true },
		{ "text", "ulm", true },
		{ "text", "locality", false },
		{ "uid", "u1", true },
		{ "uid", "u", false },
		{ "kind", "individual", true },
		{ "kind", "group", false },
		{ "hasMember", "u1", false },
		{ "address", "allee", true },
	};

	for (size_t i = 0; i < NELEM(cases); i++)
		ok(pab_card_condition(slice_str(cases[i].condition)) &&
			fits(ANNA, cases[i].condition, cases[i].text) == cases[i].is,
		    "%s %s", cases[i].condition, cases[i].text);
	ok(fits("{'members':{'u1':true}}", "hasMember", "u1"), "a member");
	ok(!pab_card_condition(S("colour")), "no condition");
}

static void
test_root(void)
{
	struct buf b = { 0 };

	shared.ldap_base = mem_str("dc=x");
	pab_conf.base = mem_str("o=pab");
	ok(pab_root(S("uid=jo,ou=People,o=a.b,DC=X"), &b) == 0 &&
		slice_eq(buf_get(&b), S("uid=jo,ou=People,o=a.b,o=pab")),
	    "whose tree it is");
	ok(pab_root(S("dc=x"), &b) < 0 && pab_root(S("uid=jo,dc=y"), &b) < 0 &&
		pab_root(S("uid=jo,xdc=x"), &b) < 0,
	    "nobody's");
	buf_fini(&b);
	mem_free(&shared.ldap_base);
	mem_free(&pab_conf.base);
}

int
main(void)
{
	test_check();
	test_names();
	test_shown();
	test_long();
	test_fits();
	test_root();
	arena_reset(&arena);
	return done();
}
