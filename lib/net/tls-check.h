/* net/tls-check.h: a look at a certificate and its key before they are used: in words that say which
 * of the two is wrong. */
#ifndef NET_TLS_CHECK_H
#define NET_TLS_CHECK_H
#include <stdint.h>
#include "base/attr.h"

/* Until when the certificate of the PEM file is good (unix seconds).  NULL, or what is wrong:
 * heap, the caller frees: the file cannot be read, holds no certificate, or is not valid yet (then
 * *until is set too, and the rest is up to the caller). */
char *tls_check_cert(const char *cert, int64_t *until) MUSTCHECK;
/* Does the key of one PEM file belong to the certificate of the other?  NULL, or heap text. */
char *tls_check_pair(const char *cert, const char *key) MUSTCHECK;
#endif
