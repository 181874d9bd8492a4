/* daemon/role.h: what the other side may do by its certificate (architecture.md 3, rule 9).
 *
 * One authority signs for all hosts of a deployment, so that a certificate is valid says only who somebody is.
 * What he may do is his role: the certificate names it (net/tls-role.h), or, where it names none, a table of
 * host names does: roles.* of tiermail.conf(5), and the daemon's own list. */
#ifndef DAEMON_ROLE_H
#define DAEMON_ROLE_H
#include "net/stream.h"
#include "net/tls-role.h"

/* May the other side act as `role`?  `names`: the daemon's own list, NULL or NULL-terminated.  One that has a
 * verified certificate and may not is logged, with `sid`. */
bool
daemon_peer_is(const struct stream *io, enum tls_role role, char *const *names, const char *sid);
/* What it may, as bits; and who it is, for logs. */
unsigned daemon_peer_roles(const struct stream *io);
#define DAEMON_PEER_NAME 256
const char *daemon_peer_name(const struct stream *io, char to[DAEMON_PEER_NAME]);
#endif
