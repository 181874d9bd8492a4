/* daemon/link.h: a tool's connection to another host, by TLS with our certificate (tls.certificate), for tools, which
 * may block: 10 s for the connection, 60 s without an octet, and never beyond the limit that was given. */
#ifndef DAEMON_LINK_H
#define DAEMON_LINK_H
#include <stdint.h>
#include <sys/types.h>
#include "base/slice.h"

struct daemon_link;
/* Its certificate must be of `host`, `address` is where it is: a name, or an address.  Nothing on it blocks any more
 * after `until` of clock_mono_ms, 0 = for ever (finding the address of a name can: that is the system's).  0, or -errno; -EPROTO with *why (heap, of which the caller has set NULL before)
 * when TLS does not come about; so for all.  -EHOSTDOWN, perhaps with *why, when there is no way to the host, so that no
 * other port of it need be tried. */
int daemon_link_open(const char *host, const char *address, int port, uint64_t until,
    struct daemon_link **l, char **why) MUSTCHECK;
void daemon_link_close(struct daemon_link **l);
int daemon_link_write(struct daemon_link *l, struct slice bytes, char **why) MUSTCHECK;
/* Octets, at least one; 0 at the end. */
ssize_t daemon_link_read(struct daemon_link *l, char *to, size_t room, char **why) MUSTCHECK;
/* Until the descriptor is ready for `what` of poll(2), for `ms` and not beyond `until` (as above): 0, -ETIMEDOUT, or
 * another -errno. */
int daemon_link_wait(int fd, short what, int ms, uint64_t until) MUSTCHECK;
#endif
