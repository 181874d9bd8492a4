/* sasl/sasl-impl.h: what sasl.c, scram.c and token.c share.  Not for anybody else. */
#ifndef SASL_IMPL_H
#define SASL_IMPL_H
#include "sasl/sasl.h"

#define SASL_NAME_MAX 255 /* octets of an identity (RFC 4616 2) */

struct sasl_mech {
	struct slice name;
	enum sasl_result (*step)(struct sasl *, struct arena *, const struct slice *,
	    struct slice *, const char **);
};

/* token.c */
enum sasl_result sasl_bearer_step(struct sasl *s, struct arena *a, const struct slice *response,
    struct slice *challenge, const char **why);
enum sasl_result sasl_xoauth2_step(struct sasl *s, struct arena *a, const struct slice *response,
    struct slice *challenge, const char **why);
/* scram.c.  saslname: "=2C" is a comma, "=3D" an equals sign (RFC 5802 5.1). */
bool sasl_scram_name(struct arena *a, struct slice text, struct slice *name);
enum sasl_result sasl_scram_step(struct sasl *s, struct arena *a, const struct slice *response,
    struct slice *challenge, const char **why);
#endif
