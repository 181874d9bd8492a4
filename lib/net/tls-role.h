/* net/tls-role.h: for what a certificate of the site's own authority is meant: its roles, which it carries as
 * names of the kind URI (RFC 5280 4.2.1.6), "tiermail:role:proxy".  Made by tiermail-ca(8), asked for by
 * daemon/role.h.  A word that is none of these is a later version's: it gives nothing, and is a role all
 * the same. */
#ifndef NET_TLS_ROLE_H
#define NET_TLS_ROLE_H
#include "base/slice.h"

enum tls_role {
	TLS_ROLE_PROXY,     /* has checked passwords, and acts for users */
	TLS_ROLE_RELAY,     /* delivers */
	TLS_ROLE_STORE,     /* keeps mailboxes, and sends on what their users want */
	TLS_ROLE_DIRECTORY, /* slapd */
	TLS_ROLE_OPERATOR,  /* looks, and ends what comes again */
	TLS_ROLE_ADMIN,     /* changes what stays */
	TLS_ROLE_MOVE,      /* moves mailboxes between stores */
	TLS_ROLES
};
#define TLS_ROLE_BIT(role) (1u << (role))
/* In what tls_session_peer_roles returns: it names roles at all. */
#define TLS_ROLES_NAMED (1u << TLS_ROLES)

const char *tls_role_word(enum tls_role role);
/* "tiermail:role:WORD": its bits; 0: it is no role. */
unsigned tls_role_of(struct slice uri);
#endif
