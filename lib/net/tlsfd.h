/* net/tlsfd.h: a TLS client on a connected, non-blocking descriptor, for libraries that read
 * and write by themselves (libldap).  Sessions of our own protocols use stream.h. */
#ifndef NET_TLSFD_H
#define NET_TLSFD_H
#include <sys/types.h>
#include "net/tls.h"

struct tlsfd;

/* `name` is checked against the certificate.  The descriptor stays the caller's; close it
 * after tlsfd_free.  NULL with *why (heap, caller frees). */
struct tlsfd *tlsfd_new(struct tls_ctx *ctx, int fd, const char *name, char **why) MUSTCHECK;
void tlsfd_free(struct tlsfd **t); /* says good-bye if the socket takes it at once */

/* Call again when the socket is ready for what it wants. */
enum tlsfd_want { TLSFD_DONE, TLSFD_READ, TLSFD_WRITE, TLSFD_FAILED };
enum tlsfd_want tlsfd_handshake(struct tlsfd *t) MUSTCHECK;
const char *tlsfd_error(const struct tlsfd *t); /* after TLSFD_FAILED or -EIO; borrowed */

/* Bytes, 0 at the end, -EAGAIN, or -EIO. */
ssize_t tlsfd_read(struct tlsfd *t, void *to, size_t n) MUSTCHECK;
ssize_t tlsfd_write(struct tlsfd *t, const void *from, size_t n) MUSTCHECK;
/* Are there decrypted bytes that no readiness of the socket will announce? */
bool tlsfd_ready(const struct tlsfd *t);
#endif
