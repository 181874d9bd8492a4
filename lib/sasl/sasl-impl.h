/* sasl/sasl-impl.h: what sasl.c and scram.c share.  Not for anybody else. */
#ifndef SASL_IMPL_H
#define SASL_IMPL_H
#include "sasl/sasl.h"

#define SASL_NAME_MAX 255 /* octets of an identity (RFC 4616 2) */

struct sasl_mech {
	struct slice name;
	enum sasl_result (*step)(struct sasl *, struct arena *, const struct slice *,
	    struct slice *, const char **);
};

enum sasl_result sasl_scram_step(struct sasl *s, struct arena *a, const struct slice *response,
    struct slice *challenge, const char **why);
#endif
