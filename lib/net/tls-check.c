/* net/tls-check.c: see tls-check.h.  libcrypto, and not libtls, which says of a key that belongs to
 * another certificate only that it "failed to load". */
#include "net/tls-check.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/mem.h"

static X509 *
cert_read(const char *path, char **why)
{
	FILE *f = fopen(path, "re");
	X509 *x = NULL;

	if (!f) {
		*why = mem_printf("%s: %s", path, strerror(errno));
		return NULL;
	}
	if (!(x = PEM_read_X509(f, NULL, NULL, NULL)))
		*why = mem_printf("%s: no certificate in PEM form", path);
	(void)fclose(f);
	ERR_clear_error();
	return x;
}

/* Nobody is there to be asked for a password. */
static int
no_password(char *buf UNUSED, int size UNUSED, int rw UNUSED, void *arg)
{
	*(bool *)arg = true;
	return -1;
}

static EVP_PKEY *
key_read(const char *path, char **why)
{
	FILE *f = fopen(path, "re");
	bool locked = false;
	EVP_PKEY *k = NULL;

	if (!f) {
		*why = mem_printf("%s: %s", path, strerror(errno));
		return NULL;
	}
	if (!(k = PEM_read_PrivateKey(f, NULL, no_password, &locked)))
		*why = mem_printf("%s: %s", path,
		    locked ? "the key is locked with a password" : "no private key in PEM form");
	(void)fclose(f);
	ERR_clear_error();
	return k;
}

static int64_t
unix_time(const ASN1_TIME *t)
{
	struct tm tm;

	return ASN1_TIME_to_tm(t, &tm) == 1 ? (int64_t)timegm(&tm) : 0;
}

char *
tls_check_cert(const char *cert, int64_t *until)
{
	char *why = NULL;
	X509 *x = cert_read(cert, &why);

	*until = 0;
	if (!x)
		return why;
	*until = unix_time(X509_get0_notAfter(x));
	if (unix_time(X509_get0_notBefore(x)) > clock_now())
		why = mem_printf("%s: the certificate is not valid yet", cert);
	X509_free(x);
	return why;
}

char *
tls_check_pair(const char *cert, const char *key)
{
	char *why = NULL;
	X509 *x = cert_read(cert, &why);
	EVP_PKEY *k = x ? key_read(key, &why) : NULL;

	if (x && k && X509_check_private_key(x, k) != 1)
		why = mem_printf("the key %s does not belong to the certificate %s", key, cert);
	ERR_clear_error();
	EVP_PKEY_free(k);
	X509_free(x);
	return why;
}
