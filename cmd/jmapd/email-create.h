/* jmapd/email-create.h: emails that clients make: composed from an Email object (RFC 8621 4.6), or imported from a blob
 * (4.8); one after the other, each into its mailboxes. */
#ifndef JMAPD_EMAIL_CREATE_H
#define JMAPD_EMAIL_CREATE_H
#include "blob.h"
#include "email.h"
#include "jmap/compose.h"
#include "bring.h"

struct email_creates {
	/* set by the owner */
	const struct json_t *objects; /* by creation id; NULL: none */
	bool import;
	struct buf *created, *not_created; /* the insides of objects (set.h) */
	/* kept */
	struct json_walk walk;
	enum {
		CREATE_NEXT,
		CREATE_CHECKS,
		CREATE_OPENS,
		CREATE_WRITES,
		CREATE_PUTS,
		CREATE_OVER
	} stage;
	struct jmap_compose compose;
	struct jmap_compose_facts facts;
	bool composing;
	/* one is open at a time, however many the email is made of */
	struct blob blob;
	bool blob_open;
	size_t nblobs, blob_at, looked;
	uint64_t at; /* of an import */
	struct bring bring;
	struct buf piece, keywords;
	struct arena arena; /* of the email in hand */
};
/* DONE: all of them are made, or refused; AGAIN; WAIT. */
enum call_next email_create_go(struct call *c, struct email_creates *k);
void email_create_fini(struct email_creates *k);
#endif
