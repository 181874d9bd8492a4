/* daemon/remote.h: the control sockets of a host from other hosts: by TLS, to whoever shows a certificate of the
 * role operator, admin or move (net/tls-role.h), each verb to its roles.  tmctl(8) -H is the other side.
 *
 * Where control.address is set, each daemon listens at control.port and its place in this table. */
#ifndef DAEMON_REMOTE_H
#define DAEMON_REMOTE_H

/* NULL-terminated; a place is for good. */
extern const char *const daemon_remote_names[];
/* control.port and its place; 0: it has none. */
int daemon_remote_port(const char *daemon);
/* control.address and that port, for addr_parse; heap. */
char *daemon_remote_address(int port);
#endif
