/* net/connect-unix.h: a connection to a Unix socket of this host: for tools that block, and for
 * daemons, whose peer is on this host and either listens or does not.  TCP is net/connect.h. */
#ifndef NET_CONNECT_UNIX_H
#define NET_CONNECT_UNIX_H
#include "base/attr.h"

/* Connects to the socket `path` of `type` (SOCK_STREAM or SOCK_SEQPACKET).  Returns a blocking
 * descriptor, closed on exec, that is the caller's; or -ENAMETOOLONG when no socket address
 * holds the path (107 octets), or -errno: -ENOENT and -ECONNREFUSED when nobody listens,
 * -EACCES when this user may not. */
int connect_unix(const char *path, int type) MUSTCHECK;
#endif
