/* sasl.c: PLAIN, LOGIN and EXTERNAL, server side; scram.c has SCRAM, token.c the two that carry tokens. */
#include "base/base64.h"
#include "base/utf8.h"
#include "sasl/sasl.h"
#include "sasl/sasl-impl.h"

/* RFC 4616 2: a password may well be longer in practice. */
#define PASSWORD_MAX_ 1024

static enum sasl_result
sasl_check(struct sasl *s, const char **why)
{
	*why = "user name or password is empty, too long or not UTF-8";
	if (s->authcid.n == 0 || s->authcid.n > SASL_NAME_MAX || s->authzid.n > SASL_NAME_MAX ||
	    s->password.n == 0 || s->password.n > PASSWORD_MAX_ || !utf8_valid(s->authcid) ||
	    !utf8_valid(s->authzid) || memchr(s->authcid.p, '\0', s->authcid.n) ||
	    memchr(s->password.p, '\0', s->password.n))
		return SASL_BAD;
	return SASL_CHECK;
}

/* message = [authzid] NUL authcid NUL passwd */
static enum sasl_result
plain(struct sasl *s, struct arena *a, const struct slice *response, struct slice *challenge,
    const char **why)
{
	struct slice rest;

	*challenge = S("");
	if (!response)
		return s->step++ == 0 ? SASL_CHALLENGE : SASL_BAD;
	*why = "expected [authzid] NUL authcid NUL password";
	rest = arena_slice(a, *response);
	s->authzid = slice_sub(rest, 0, slice_find(rest, '\0'));
	if (s->authzid.n == rest.n)
		return SASL_BAD;
	rest = slice_from(rest, s->authzid.n + 1);
	s->authcid = slice_sub(rest, 0, slice_find(rest, '\0'));
	if (s->authcid.n == rest.n)
		return SASL_BAD;
	s->password = slice_from(rest, s->authcid.n + 1);
	return sasl_check(s, why);
}

/* Two questions; what they are called differs among clients, which do not look. */
static enum sasl_result
login(struct sasl *s, struct arena *a, const struct slice *response, struct slice *challenge,
    const char **why)
{
	*why = "expected a user name, then a password";
	if (!response) {
		*challenge = S("Username:");
		return s->step++ == 0 ? SASL_CHALLENGE : SASL_BAD;
	}
	if (!s->authcid.p) {
		s->step = 1;
		s->authcid = arena_slice(a, *response);
		*challenge = S("Password:");
		return s->authcid.n ? SASL_CHALLENGE : SASL_BAD;
	}
	s->password = arena_slice(a, *response);
	s->authzid = S("");
	return sasl_check(s, why);
}

/* One response, the authorisation identity.  Empty would be the proxy's own, and it has no mail. */
static enum sasl_result
external(struct sasl *s, struct arena *a, const struct slice *response, struct slice *challenge,
    const char **why)
{
	*challenge = S("");
	if (!response)
		return s->step++ == 0 ? SASL_CHALLENGE : SASL_BAD;
	*why = "expected an authorization identity";
	s->authzid = arena_slice(a, *response);
	if (s->authzid.n == 0 || s->authzid.n > SASL_NAME_MAX || !utf8_valid(s->authzid) ||
	    memchr(s->authzid.p, '\0', s->authzid.n))
		return SASL_BAD;
	return SASL_TRUST;
}

static const struct sasl_mech mechs[] = {
	{ { "PLAIN", 5 }, plain }, /* RFC 4616 */
	{ { "LOGIN", 5 }, login }, /* draft-murchison-sasl-login-00 */
};
static const struct sasl_mech external_mech = { { "EXTERNAL", 8 }, external };
static const struct sasl_mech scram_mech = { { "SCRAM-SHA-256", 13 }, sasl_scram_step };
static const struct sasl_mech token_mechs[] = {
	{ { "OAUTHBEARER", 11 }, sasl_bearer_step }, /* RFC 7628 */
	{ { "XOAUTH2", 7 }, sasl_xoauth2_step },
};

bool
sasl_start(struct sasl *s, struct slice mech, unsigned which)
{
	*s = (struct sasl){ 0 };
	if (which & SASL_EXTERNAL && slice_ieq(mech, external_mech.name))
		s->mech = &external_mech;
	if (which & SASL_SCRAM && slice_ieq(mech, scram_mech.name))
		s->mech = &scram_mech;
	for (size_t i = 0; which & SASL_OAUTH && i < NELEM(token_mechs); i++)
		if (slice_ieq(mech, token_mechs[i].name))
			s->mech = &token_mechs[i];
	for (size_t i = 0; i < NELEM(mechs); i++)
		if (slice_ieq(mech, mechs[i].name))
			s->mech = &mechs[i];
	return s->mech;
}

const char *
sasl_mechanism(const struct sasl *s)
{
	return s->mech->name.p;
}

const char *
sasl_names(unsigned which)
{
	static const char *const names[] = { "PLAIN LOGIN", "SCRAM-SHA-256 PLAIN LOGIN",
		"PLAIN LOGIN OAUTHBEARER XOAUTH2",
		"SCRAM-SHA-256 PLAIN LOGIN OAUTHBEARER XOAUTH2" };

	return names[(which & SASL_SCRAM ? 1 : 0) + (which & SASL_OAUTH ? 2 : 0)];
}

enum sasl_result
sasl_step(struct sasl *s, struct arena *a, const struct slice *response, struct slice *challenge,
    const char **why)
{
	*why = "unexpected response";
	return s->mech->step(s, a, response, challenge, why);
}

bool
sasl_decode(struct buf *b, struct slice text)
{
	if (slice_eq(text, S("=")))
		text = S("");
	buf_grow(b, text.n + 1); /* no move may leave a copy behind */
	return base64_parse(b, text) == 0;
}
