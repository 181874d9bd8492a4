/* jmap/envelope.h: from whom and to whom a message is sent (RFC 8621 7, 7.5).
 *
 * What an EmailSubmission says, or else what the message's header does; and the header as it is sent, without
 * Bcc.  Pure; everything lies in the caller's arena or in the header.  Costs the header and the recipients,
 * times a logarithm. */
#ifndef JMAP_ENVELOPE_H
#define JMAP_ENVELOPE_H
#include "base/arena.h"
#include "base/buf.h"
#include "json/json.h"

struct jmap_envelope {
	struct slice from; /* local@domain as it goes between < >; empty: <> */
	enum { JMAP_SEND_NOW, JMAP_HOLD_FOR, JMAP_HOLD_UNTIL } hold; /* FUTURERELEASE, RFC 4865 4 */
	int64_t hold_at;    /* seconds from now, or unix seconds */
	struct slice *rcpt; /* as `from`, each once */
	size_t nrcpt;
	struct slice *invalid; /* recipients that are no addresses, as the client has them */
	size_t ninvalid;
};

/* The property `envelope`.  0; -EBADMSG with *property ("envelope/mailFrom") and *why; -E2BIG: more recipients
 * than `most`. */
int jmap_envelope_read(const struct json_t *v, size_t most, struct arena *a,
    struct jmap_envelope *e, const char **property, const char **why) MUSTCHECK;
/* What a header says: Sender, or From's first address; To, Cc and Bcc.  0 or -E2BIG. */
int jmap_envelope_make(struct slice header, size_t most, struct arena *a,
    struct jmap_envelope *e) MUSTCHECK;
/* The addresses of the last From field.  *n is how many; none: there is no such field. */
struct slice *jmap_header_from(struct slice header, struct arena *a, size_t *n);
/* Appends the header with its empty line, but for Bcc and Resent-Bcc.  False, and nothing is appended: there
 * are none. */
bool jmap_header_without_bcc(struct slice header, struct buf *out);
#endif
