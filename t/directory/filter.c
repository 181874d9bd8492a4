/* t/directory/filter.c: filters from hostile words, LDAP URLs. */
#include "directory/filter.h"
#include "../tap.h"

static const char *
value(const char *s, size_t n)
{
	static struct buf b;

	buf_clear(&b);
	dir_filter_value(&b, slice(s, n));
	return buf_cstr(&b);
}

static void
good(const char *url, bool local, bool tls, int port, const char *host)
{
	struct ldap_where w;
	const char *why;

	if (!ok(dir_where_parse(slice_str(url), &w, &why) == 0, "%s", url))
		return;
	is(w.host, host, "its host");
	ok(w.local == local && w.tls == tls && w.port == port, "its kind and port");
}

static void
bad(const char *url)
{
	struct ldap_where w;
	const char *why;

	ok(dir_where_parse(slice_str(url), &w, &why) < 0 && *why, "refused: %s", url);
}

int
main(void)
{
	struct buf b = { 0 };
	char longest[400] = "ldap://";

	is(value("jane.doe", 8), "jane.doe", "a plain word");
	is(value("*)(uid=*", 8), "\\2a\\29\\28uid=\\2a", "a filter in a word");
	is(value("a\0b\\", 4), "a\\00b\\5c", "NUL and backslash");
	is(value("\xc3\xa9", 2), "\\c3\\a9", "UTF-8");
	is(value("", 0), "", "nothing");
	dir_filter_equal(&b, "mail", S("a b"), S("x.test"));
	is(buf_cstr(&b), "(mail=a\\20b@x.test)", "an address");
	buf_clear(&b);
	dir_filter_equal(&b, "uid", S("jane"), S(""));
	is(buf_cstr(&b), "(uid=jane)", "a uid");
	buf_fini(&b);

	good("ldap://ldap.example.net", false, false, 389, "ldap.example.net");
	good("LDAP://127.0.0.1:3890/", false, false, 3890, "127.0.0.1");
	good("ldap://[::1]:3890", false, false, 3890, "::1");
	good("ldap://[::1]", false, false, 389, "::1");
	good("ldaps://ldap.example.net", false, true, 636, "ldap.example.net");
	good("ldapi://%2Frun%2fslapd%2Fldapi", true, false, 0, "/run/slapd/ldapi");
	good("ldapi://%2Fa%25b", true, false, 0, "/a%b");
	good("ldapi:///", true, false, 0, "/run/slapd/ldapi");
	bad("http://x");
	bad("ldap://");
	bad("ldapi://relative");
	bad("ldapi://%2");
	bad("ldapi://%2Fa%00b");
	bad("ldap://host:0");
	bad("ldap://host:99999");
	bad("ldap://host:x");
	bad("ldap://[::1");
	bad("ldap://[::1]x");
	bad("ldap://host/dc=example");
	bad("ldap://host?uid");
	memset(longest + 7, 'x', sizeof(longest) - 8);
	bad(longest);
	return done();
}
