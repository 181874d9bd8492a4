/* directory/conn.h: one connection to an LDAP server, never blocking.
 *
 * libldap gets a descriptor that is connected already (ldap_init_fd) and is only asked for
 * messages that have arrived, so none of its own waiting, TLS or reconnecting is ever used;
 * TLS is a layer of ours (libtls) below its reads and writes.
 * A connection ends once: `down` is its last event, and it frees itself. */
#ifndef DIRECTORY_CONN_H
#define DIRECTORY_CONN_H
#include <ldap.h>

#include "directory/filter.h"
#include "net/addr.h"
#include "net/dns.h"
#include "net/loop.h"
#include "net/op.h"
#include "net/tls.h"

/* A replica, and how it has been lately. */
struct server {
	char *url;
	struct ldap_where where;
	bool starttls;       /* ask for TLS before anything else (RFC 4511 4.14) */
	struct tls_ctx *tls; /* for ldaps and starttls; a reference */
	unsigned failures;   /* in a row */
	uint64_t failing_at; /* monotonic ms: since when */
	uint64_t not_before; /* leave it alone until then */
};
/* `began`: when what has failed now was begun. */
void dir_server_failed(struct server *s, uint64_t now, uint64_t began);
void dir_server_good(struct server *s);

struct conn;
struct conn_events {
	void (*up)(struct conn *, void *data);
	/* A message; it is freed after the call.  dir_conn_close is allowed. */
	void (*message)(struct conn *, void *data, LDAPMessage *);
	/* Could not connect or bind, or the connection is lost.  Not after dir_conn_close. */
	void (*down)(struct conn *, void *data, const char *why);
};

/* Has it a name that must be looked up first? */
bool dir_server_named(const struct server *s);
/* Begins to connect and, with dn, to bind; `up` or `down` follows, not from inside.  `names` outlives
 * the connection; it may be NULL for a server that is not named.  Without a password: SASL EXTERNAL. */
struct conn *dir_conn_new(struct loop *l, struct dns *names, const struct server *s, const char *dn,
    const char *password, uint64_t timeout_ms, const struct conn_events *ev, void *data);
/* Likewise, as the service that this daemon is (ldap.bind, bind_dn, password). */
struct conn *dir_conn_service(struct loop *l, struct dns *names, const struct server *s,
    uint64_t timeout_ms, const struct conn_events *ev, void *data);
/* At once and silently; *c is NULL then. */
void dir_conn_close(struct conn **c);
bool dir_conn_up(const struct conn *c); /* c may be NULL */
LDAP *dir_conn_ldap(struct conn *c);
uint64_t dir_conn_heard(const struct conn *c); /* monotonic ms of the last message */
#endif
