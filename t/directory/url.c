/* t/directory/url.c: the LDAP URLs of lists, taken apart. */
#include "directory/search.h"
#include "../tap.h"

static struct buf parts;

static const char *
taken(const char *url)
{
	static char text[300];
	const char *base, *filter, *why;
	int scope;

	if (dir_url_parse(slice_str(url), &parts, &base, &scope, &filter, &why) < 0)
		return "refused";
	snprintf(text, sizeof(text), "%s|%d|%s", base, scope, filter);
	return text;
}

int
main(void)
{
	is(taken("ldap:///o=x??sub?(uid=a*)"), "o=x|2|(uid=a*)", "a subtree");
	is(taken("ldap:///o=x?mail,cn?one?(a=b)"), "o=x|1|(a=b)", "attributes are ours to choose");
	is(taken("LDAP:///o=x"), "o=x|0|(objectClass=*)", "the entry itself when nothing is said");
	is(taken("ldap:///o=x?"
		 "?"
		 "?(a=b)"),
	    "o=x|0|(a=b)", "base is the scope when none is said");
	is(taken("ldap:///o=a%20b%2Cc??SUB"), "o=a b,c|2|(objectClass=*)", "decoded");
	is(taken("ldap:///o=x??sub?(a=%3f)"), "o=x|2|(a=?)", "a question mark within");
	is(taken("ldap:///"), "|0|(objectClass=*)", "the root");
	is(taken("ldap://other.test/o=x??sub"), "refused", "another server");
	is(taken("ldaps:///o=x"), "refused", "another way to it");
	is(taken("ldapi:///o=x"), "refused", "and another");
	is(taken("http:///o=x"), "refused", "no LDAP at all");
	is(taken("ldap:///o=x??below"), "refused", "an unknown scope");
	is(taken("ldap:///o=x??sub?(a=b)?!bindname=cn=x"), "refused", "an extension");
	is(taken("ldap:///o=x??sub?(a=b)?x?y"), "refused", "too many parts");
	is(taken("ldap:///o=%zz"), "refused", "bad hex");
	is(taken("ldap:///o=%00"), "refused", "a NUL");
	is(taken("ldap:///o=%4"), "refused", "half a byte");
	is(taken(""), "refused", "nothing");
	buf_fini(&parts);
	return done();
}
