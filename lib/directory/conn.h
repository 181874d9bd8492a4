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
	uint64_t not_before; /* monotonic ms: leave it alone until then */
};
/* `began`: when what has failed now was begun. */
void server_failed(struct server *s, uint64_t now, uint64_t began);
void server_good(struct server *s);

struct conn;
struct conn_events {
	void (*up)(struct conn *, void *data);
	/* A message; it is freed after the call.  conn_close is allowed. */
	void (*message)(struct conn *, void *data, LDAPMessage *);
	/* Could not connect or bind, or the connection is lost.  Not after conn_close. */
	void (*down)(struct conn *, void *data, const char *why);
};

/* Begins to connect and, with dn, to bind; `up` or `down` follows, not from inside. */
struct conn *conn_new(struct loop *l, const struct server *s, const char *dn,
    const char *password, uint64_t timeout_ms, const struct conn_events *ev, void *data);
/* At once and silently; *c is NULL then. */
void conn_close(struct conn **c);
bool conn_up(const struct conn *c); /* c may be NULL */
LDAP *conn_ldap(struct conn *c);
uint64_t conn_heard(const struct conn *c); /* monotonic ms of the last message */
#endif
