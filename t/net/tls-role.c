/* t/net/tls-role.c: words and bits of roles; what no certificate of ours says gives nothing. */
#include "net/tls-role.h"
#include "../tap.h"

int
main(void)
{
	char uri[64];

	for (unsigned r = 0; r < TLS_ROLES; r++) {
		(void)snprintf(uri, sizeof(uri), "tiermail:role:%s", tls_role_word(r));
		ok(tls_role_of(slice_str(uri)) == (TLS_ROLES_NAMED | TLS_ROLE_BIT(r)),
		    "%s is its bit", uri);
		ok(tls_role_of(slice_sub(slice_str(uri), 0, strlen(uri) - 1)) == TLS_ROLES_NAMED,
		    "%s without its end is a role, and none that we know", uri);
	}
	ok(tls_role_of(S("tiermail:role:")) == TLS_ROLES_NAMED, "no word: a role that is none");
	ok(tls_role_of(S("tiermail:role:Proxy")) == TLS_ROLES_NAMED, "words are written small");
	ok(tls_role_of((struct slice){ "tiermail:role:proxy\0x", 21 }) == TLS_ROLES_NAMED,
	    "a NUL ends no word");
	ok(tls_role_of(S("")) == 0 && tls_role_of(S("https://tiermail:role:proxy")) == 0 &&
		tls_role_of(S("tiermail:roles:proxy")) == 0,
	    "other names are no roles");
	return done();
}
