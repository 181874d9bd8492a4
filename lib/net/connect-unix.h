/* net/connect-unix.h: a connection to a Unix socket of this host: for tools that block, and for
 * daemons, which add SOCK_NONBLOCK: a peer that listens and accepts nobody must not hold a loop.  TCP is
 * net/connect.h. */
#ifndef NET_CONNECT_UNIX_H
#define NET_CONNECT_UNIX_H
#include "base/attr.h"

/* Connects to the socket `path` of `type` (SOCK_STREAM or SOCK_SEQPACKET, with SOCK_NONBLOCK or without).
 * Returns a descriptor, closed on exec, that is the caller's and blocks unless SOCK_NONBLOCK was asked for; or
 * -ENAMETOOLONG when no socket address holds the path (107 octets), or -errno: -ENOENT and -ECONNREFUSED when
 * nobody listens, -EACCES when this user may not, -EAGAIN when the queue of those who wait to be accepted is
 * full; without SOCK_NONBLOCK it is waited for instead. */
int connect_unix(const char *path, int type) MUSTCHECK;
#endif
