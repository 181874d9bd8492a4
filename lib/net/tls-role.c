/* tls-role.c: the table of tls-role.h. */
#include "net/tls-role.h"

static const char *const words[TLS_ROLES] = {
	[TLS_ROLE_PROXY] = "proxy",
	[TLS_ROLE_RELAY] = "relay",
	[TLS_ROLE_STORE] = "store",
	[TLS_ROLE_DIRECTORY] = "directory",
	[TLS_ROLE_OPERATOR] = "operator",
	[TLS_ROLE_ADMIN] = "admin",
	[TLS_ROLE_MOVE] = "move",
};

const char *
tls_role_word(enum tls_role role)
{
	return words[role];
}

unsigned
tls_role_of(struct slice uri)
{
	const struct slice scheme = S("tiermail:role:");

	if (!slice_starts(uri, scheme))
		return 0;
	uri = slice_from(uri, scheme.n);
	for (unsigned role = 0; role < TLS_ROLES; role++)
		if (slice_eq(uri, slice_str(words[role])))
			return TLS_ROLES_NAMED | TLS_ROLE_BIT(role);
	return TLS_ROLES_NAMED;
}
