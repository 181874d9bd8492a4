/* sasl/sasl.h: the server side of SASL mechanisms (RFC 4422).  Pure: strings in, strings out;
 * SMTP and IMAP carry the base64.  PLAIN (RFC 4616), LOGIN (draft-murchison-sasl-login) and EXTERNAL
 * (RFC 4422 appendix A), which is for peers alone that have proved who they are. */
#ifndef SASL_SASL_H
#define SASL_SASL_H
#include "base/arena.h"
#include "base/buf.h"

struct sasl {
	const struct sasl_mech *mech;
	int step;
	struct slice authzid, authcid, password; /* in the arena, when finished */
};
enum sasl_result {
	SASL_CHALLENGE, /* send *challenge (decoded bytes), wait for the next response */
	SASL_CHECK,     /* the identities and password are there: ask the directory */
	SASL_TRUST,     /* EXTERNAL: authzid is there, and nothing that proves it */
	SASL_BAD,       /* malformed response: 501 / BAD, *why says it */
};
/* Finds the mechanism; false when unknown.  EXTERNAL is known only to `external`.  The names of the
 * others, space separated: sasl_names(). */
bool sasl_start(struct sasl *s, struct slice mech, bool external);
const char *sasl_names(void);
/* One response as SMTP carries it (RFC 4954 4): base64, and "=" for an empty one.  False: it is neither.
 * Appends to *b, which is the caller's to wipe: it may be a password. */
bool sasl_decode(struct buf *b, struct slice text);
/* One response, already base64-decoded; `response` NULL when there is no initial response. */
enum sasl_result sasl_step(struct sasl *s, struct arena *a, const struct slice *response,
    struct slice *challenge, const char **why);
#endif
