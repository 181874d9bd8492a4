/* sasl/sasl.h: the server side of SASL mechanisms (RFC 4422).  Pure: strings in, strings out;
 * SMTP and IMAP carry the base64.  PLAIN (RFC 4616) and LOGIN (draft-murchison-sasl-login). */
#ifndef SASL_SASL_H
#define SASL_SASL_H
#include "base/arena.h"

struct sasl {
	const struct sasl_mech *mech;
	int step;
	struct slice authzid, authcid, password; /* in the arena, when finished */
};
enum sasl_result {
	SASL_CHALLENGE, /* send *challenge (decoded bytes), wait for the next response */
	SASL_CHECK,     /* the identities and password are there: ask the directory */
	SASL_BAD,       /* malformed response: 501 / BAD, *why says it */
};
/* Finds the mechanism; false when unknown.  The names, space separated: sasl_names(). */
bool sasl_start(struct sasl *s, struct slice mech);
const char *sasl_names(void);
/* One response, already base64-decoded; `response` NULL when there is no initial response. */
enum sasl_result sasl_step(struct sasl *s, struct arena *a, const struct slice *response,
    struct slice *challenge, const char **why);
#endif
