/* net/tls-impl.h: what tls.c and tls-session.c share.  Nobody else may include it. */
#ifndef NET_TLS_IMPL_H
#define NET_TLS_IMPL_H
#include <openssl/types.h>
#include <tls.h>
#include "net/tls.h"

struct tls_ctx {
	int refs;
	bool server;
	bool verify;        /* the peer's certificate is checked */
	struct tls *accept; /* server: makes the sessions */
	struct tls *model;  /* client: a session that is never used; owns what `shared` refers to */
	SSL_CTX *shared;    /* client: the model's, and all its sessions' */
};
#endif
