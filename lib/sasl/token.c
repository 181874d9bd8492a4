/* sasl/token.c: OAUTHBEARER (RFC 7628) and XOAUTH2, the server's side; sasl.h has the steps.
 *
 *	OAUTHBEARER	"n,a=user@example.com," ^A "host=..." ^A "port=..." ^A "auth=Bearer TOKEN" ^A ^A
 *	XOAUTH2		"user=user@example.com" ^A "auth=Bearer TOKEN" ^A ^A
 *
 * Owns nothing: what is kept lies in the caller's arena.  Can fail: what a client sends.  Must stay true: the token is
 * what RFC 6750 2.1 lets one be, so nothing of it can be taken for anything else where it goes on; of two, none is
 * taken. */
#include "base/json.h"
#include "base/utf8.h"
#include "sasl/sasl-impl.h"

#define TOKEN_TEXT_MAX 8192 /* octets of a message */

enum { TOKEN_NOTHING, TOKEN_GIVEN, TOKEN_HEARD }; /* sasl.step */

/* b64token: 1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"="		RFC 6750 2.1 */
static bool
token_good(struct slice s)
{
	size_t n = s.n;

	while (n > 0 && s.p[n - 1] == '=')
		n--;
	for (size_t i = 0; i < n; i++) {
		char c = s.p[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
			(c && strchr("-._~+/", c))))
			return false;
	}
	return n > 0;
}

/* *( key "=" value ^A ) ^A: the value of `auth`, and of `user` where it is asked for. */
static bool
token_pairs(struct slice rest, struct slice *auth, struct slice *user)
{
	struct slice pair, key;

	*auth = *user = (struct slice){ 0 };
	while (slice_find(rest, 1) < rest.n && slice_cut(&rest, 1, &pair)) {
		if (pair.n == 0)
			return rest.n == 0;
		if (!slice_cut(&pair, '=', &key) || key.n == 0)
			return false;
		if (slice_eq(key, S("auth"))) {
			if (auth->p)
				return false;
			*auth = pair;
		} else if (slice_eq(key, S("user"))) {
			if (user->p)
				return false;
			*user = pair;
		}
	}
	return false;
}

static enum sasl_result
token_accept(struct sasl *s, struct slice auth, const char **why)
{
	*why = "expected auth=Bearer TOKEN";
	if (!slice_istarts(auth, S("Bearer ")))
		return SASL_BAD;
	s->password = slice_trim(slice_from(auth, 7));
	if (!token_good(s->password))
		return SASL_BAD;
	*why = "the user's name is too long or not UTF-8";
	if (s->authzid.n > SASL_NAME_MAX || !utf8_valid(s->authzid) ||
	    memchr(s->authzid.p ? s->authzid.p : "", '\0', s->authzid.n))
		return SASL_BAD;
	s->step = TOKEN_GIVEN;
	return SASL_TOKEN;
}

/* gs2-header kvsep *kvpair kvsep							RFC 7628 3.1 */
static enum sasl_result
token_bearer(struct sasl *s, struct arena *a, struct slice in, const char **why)
{
	struct slice rest = arena_slice(a, in), part, auth, user;

	*why = "channels cannot be bound here";
	if (in.n > TOKEN_TEXT_MAX || slice_starts(rest, S("p=")))
		return SASL_BAD;
	*why = "expected n,a=user,^Aauth=Bearer TOKEN^A^A";
	if (!slice_cut(&rest, ',', &part) || (!slice_eq(part, S("n")) && !slice_eq(part, S("y"))) ||
	    slice_find(rest, ',') == rest.n || !slice_cut(&rest, ',', &part))
		return SASL_BAD;
	if (part.n > 0 &&
	    (!slice_starts(part, S("a=")) || !sasl_scram_name(a, slice_from(part, 2), &s->authzid)))
		return SASL_BAD;
	if (rest.n == 0 || rest.p[0] != 1 || !token_pairs(slice_from(rest, 1), &auth, &user))
		return SASL_BAD;
	return token_accept(s, auth, why);
}

static enum sasl_result
token_step(struct sasl *s, const struct slice *response, const char **why)
{
	if (s->step == TOKEN_NOTHING)
		return response ? SASL_BAD : SASL_CHALLENGE;
	*why = "unexpected response";
	/* RFC 7628 3.2.3 has ^A here, clients of XOAUTH2 send nothing: that he has answered is enough. */
	if (s->step == TOKEN_HEARD && response)
		return SASL_REFUSED;
	return SASL_BAD;
}

enum sasl_result
sasl_bearer_step(struct sasl *s, struct arena *a, const struct slice *response,
    struct slice *challenge, const char **why)
{
	*challenge = S("");
	if (s->step == TOKEN_NOTHING && response)
		return token_bearer(s, a, *response, why);
	return token_step(s, response, why);
}

enum sasl_result
sasl_xoauth2_step(struct sasl *s, struct arena *a, const struct slice *response,
    struct slice *challenge, const char **why)
{
	struct slice auth;

	*challenge = S("");
	if (s->step != TOKEN_NOTHING || !response)
		return token_step(s, response, why);
	*why = "expected user=NAME^Aauth=Bearer TOKEN^A^A";
	if (response->n > TOKEN_TEXT_MAX ||
	    !token_pairs(arena_slice(a, *response), &auth, &s->authzid) || s->authzid.n == 0)
		return SASL_BAD;
	return token_accept(s, auth, why);
}

void
sasl_token_refused(struct sasl *s, struct arena *a, const char *status, struct slice scope,
    struct slice *challenge)
{
	struct buf b = { 0 };

	buf_char(&b, '{');
	json_put_cstr(&b, "status", status);
	if (scope.n)
		json_put_str(&b, "scope", scope);
	buf_char(&b, '}');
	*challenge = arena_slice(a, buf_get(&b));
	buf_fini(&b);
	s->step = TOKEN_HEARD;
}
