/* net/tls-impl.h: what tls.c, tls-session.c and tls-resume.c share.  Nobody else may include it. */
#ifndef NET_TLS_IMPL_H
#define NET_TLS_IMPL_H
#include <openssl/ssl.h>
#include <tls.h>
#include "net/tls.h"

#define TLS_KEPT 64 /* servers whose sessions a client keeps */

/* Which server: the name that it was verified by, and its port; 0: no session with it is kept. */
struct tls_peer {
	char *name; /* heap */
	unsigned port;
};
struct tls_kept {
	struct tls_peer peer; /* name NULL: free */
	SSL_SESSION *session;
};

struct tls_ctx {
	int refs;
	bool server;
	bool verify;        /* the peer's certificate is checked */
	bool dns_id;        /* tls_params.dns_id */
	struct tls *accept; /* server: makes the sessions */
	struct tls *model;  /* client: a session that is never used; owns what `shared` refers to */
	SSL_CTX *shared;    /* client: the model's, and all its sessions' */
	unsigned lifetime;  /* seconds in which a session can be taken up again; 0: never */
	/* server */
	uint64_t epoch; /* half lifetimes: of its newest key */
	uint8_t id[32]; /* of what a session has to have begun under */
	/* client */
	struct tls_kept kept[TLS_KEPT];
	size_t next_kept;
};

/* ---- tls-resume.c ---- */
/* 0, or -ENOMEM. */
int tls_resume_server(struct tls_ctx *c, const struct tls_params *p) MUSTCHECK;
void tls_resume_accept(struct tls_ctx *c, SSL *ssl); /* a session of a server, before it begins */
/* The sessions of the client are told to `fresh` (SSL_CTX_sess_set_new_cb(3)). */
void tls_resume_client(struct tls_ctx *c, int (*fresh)(SSL *, SSL_SESSION *));
SSL_SESSION *tls_resume_find(const struct tls_ctx *c, const struct tls_peer *peer); /* borrowed */
void tls_resume_keep(struct tls_ctx *c, const struct tls_peer *peer,
    SSL_SESSION *session); /* takes it */
void tls_resume_forget(struct tls_ctx *c, const struct tls_peer *peer);
void tls_resume_fini(struct tls_ctx *c);

/* ---- tls-session.c ---- */
int tls_session_fresh(SSL *ssl, SSL_SESSION *session);
#endif
