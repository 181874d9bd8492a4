/* net/tls_ctx.h: what tls.c and stream_tls.c share.  Nobody else may include it. */
#ifndef NET_TLS_CTX_H
#define NET_TLS_CTX_H
#include <tls.h>
#include "net/tls.h"

struct tls_ctx {
	int refs;
	bool server;
	bool verify;               /* the peer's certificate is checked */
	struct tls *accept;        /* server: makes the sessions */
	struct tls_config *config; /* client: each session is configured with it */
};
#endif
