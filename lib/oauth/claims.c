/* oauth/claims.c: from the claims of a token, or of an introspection, to who that is and what he may; the settings of
 * tiermail.conf(5) that say how.
 *
 * Owns nothing.  Must stay true: an address that its provider has not verified names nobody, for whoever may write any
 * address into his profile there would be anybody here; a name in a domain that is not listed is nobody's. */
#include "base/clock.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "conf/shared.h"
#include "oauth/oauth-impl.h"

#define USER_MOST 255 /* octets, as of a SASL identity */

bool
oauth_wanted(void)
{
	return shared.login_oauth != CONF_OAUTH_NO;
}

void
oauth_settings_use(struct oauth *o)
{
	struct oauth_settings s = { .issuer = shared.login_oauth_issuer,
		.metadata = shared.login_oauth_metadata,
		.keys = shared.login_oauth_keys,
		.ca = shared.login_oauth_ca };

	oauth_provider_set(o->provider, &s);
}

/* ---- grants ----------------------------------------------------------------------------------------------- */

void
oauth_grant_fini(struct oauth_grant *g)
{
	mem_free(&g->user);
	mem_free(&g->scope);
	*g = (struct oauth_grant){ .outcome = OAUTH_BAD };
}

void
oauth_grant_copy(struct oauth_grant *to, const struct oauth_grant *from)
{
	*to = *from;
	to->user = from->user ? mem_str(from->user) : NULL;
	to->scope = from->scope ? mem_str(from->scope) : NULL;
}

/* ---- who ---------------------------------------------------------------------------------------------------- */

static bool
user_printable(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f)
			return false;
	return s.n > 0 && s.n <= USER_MOST && utf8_valid(s);
}

static bool
user_domain_good(char *const *d, struct slice domain)
{

	if (!d || !*d)
		return true;
	for (; *d; d++)
		if (slice_ieq(domain, slice_str(*d)))
			return true;
	return false;
}

char *
oauth_user_name(const struct json_t *claims, const struct oauth_naming *n, const char **why)
{
	struct slice claim = slice_str(n->claim), name;
	bool verified = false;
	size_t at;

	*why = "it does not say who that is";
	if (!json_get_str(json_find(claims, claim), &name) || !user_printable(name))
		return NULL;
	*why = "its provider has not verified the address";
	if (slice_eq(claim, S("email")) &&
	    (!json_get_bool(json_find(claims, S("email_verified")), &verified) || !verified))
		return NULL;
	at = slice_rfind(name, '@');
	*why = "its user is of a domain that is not taken";
	if (at < name.n)
		return user_domain_good(n->domains, slice_from(name, at + 1)) ?
		    mem_strn(name.p, name.n) :
		    NULL;
	return n->domains && *n->domains ? mem_printf(SFMT "@%s", SARG(name), *n->domains) :
					   mem_strn(name.p, name.n);
}

/* ---- what ----------------------------------------------------------------------------------------------------- */

/* `scope` is a list with blanks, or an array where servers write `scp`. */
static char *
grant_scope(const struct json_t *claims)
{
	const struct json_t *v = json_find(claims, S("scope"));
	struct buf b = { 0 };
	char *text;

	if (!v)
		v = json_find(claims, S("scp"));
	if (json_text(v).p)
		buf_slice(&b, json_text(v));
	for (size_t i = 0; json_is(v, JSON_KIND_ARRAY) && i < json_count(v); i++) {
		buf_char(&b, ' ');
		buf_slice(&b, json_text(json_at(v, i)));
	}
	text = mem_strn(b.p ? b.p : "", b.n);
	buf_fini(&b);
	return text;
}

/* An ID token is for its client alone, and opens nothing (RFC 8725 3.12): only those have these. */
static bool
grant_of_id_token(const struct json_t *claims)
{
	return json_find(claims, S("nonce")) || json_find(claims, S("at_hash")) ||
	    json_find(claims, S("c_hash"));
}

void
oauth_grant_make(struct oauth_grant *g, const struct json_t *claims, bool strict)
{
	struct jwt_rules rules = { .now = clock_now(),
		.skew_s = shared.login_oauth_skew / 1000,
		.expires = strict };
	struct oauth_naming naming = { .claim = shared.login_oauth_claim,
		.domains = shared.login_oauth_domains };

	/* What the server itself says is of whom it says; where it says that, it must be right. */
	if (strict || json_find(claims, S("iss")))
		rules.issuer = slice_str(shared.login_oauth_issuer);
	if (strict || json_find(claims, S("aud")))
		rules.audiences = shared.login_oauth_audience;
	*g = (struct oauth_grant){ .outcome = OAUTH_BAD };
	g->why = jwt_judge(claims, &rules, &g->expires);
	if (!g->why && strict && grant_of_id_token(claims))
		g->why = "it is an ID token, and no access token";
	if (!g->why)
		g->user = oauth_user_name(claims, &naming, &g->why);
	if (!g->user)
		return;
	g->why = NULL;
	g->scope = grant_scope(claims);
	g->outcome = OAUTH_GOOD;
}

/* "service=scope" is wanted for that service, "scope" for all. */
static bool
scope_of(const char *text, const char *service, struct slice *scope)
{
	struct slice rest = slice_str(text), left;
	size_t eq = slice_find(rest, '=');

	*scope = rest;
	if (eq == rest.n)
		return true;
	(void)slice_cut(&rest, '=', &left);
	*scope = rest;
	return slice_eq(left, slice_str(service));
}

static bool
scope_in(const char *scopes, struct slice word)
{
	struct slice rest = slice_str(scopes), one;

	while (slice_word(&rest, &one))
		if (slice_eq(one, word))
			return true;
	return false;
}

bool
oauth_scope_has(const struct oauth_grant *g, const char *service, struct slice *missing)
{
	for (char **s = shared.login_oauth_scope; s && *s; s++)
		if (scope_of(*s, service, missing) && !scope_in(g->scope, *missing))
			return false;
	*missing = S("");
	return true;
}

void
oauth_scope_write(const char *service, struct buf *b)
{
	struct slice word;

	for (char **s = shared.login_oauth_scope; s && *s; s++)
		if (scope_of(*s, service, &word))
			buf_printf(b, "%s" SFMT, b->n ? " " : "", SARG(word));
}

/* ---- settings --------------------------------------------------------------------------------------------------- */

static bool
settings_source(struct buf *out, char *const *field, const char *key)
{
	if (!**field || oauth_source_good(slice_str(*field)))
		return true;
	buf_printf(out, "%s: %s: %s: neither https://HOST/... nor the whole path of a file\n",
	    conf_where(field), key, *field);
	return false;
}

static const char *
settings_lack(void)
{
	bool jwt = shared.login_oauth == CONF_OAUTH_JWT;
	struct oauth_url u;

	if (!*shared.login_oauth_issuer)
		return "login.oauth_issuer: is needed";
	if (jwt && (!shared.login_oauth_audience || !*shared.login_oauth_audience))
		return "login.oauth_audience: is needed: tokens for others are none for us";
	if (!*shared.login_oauth_metadata &&
	    !(jwt ? *shared.login_oauth_keys : *shared.login_oauth_introspection) &&
	    !oauth_url_parse(slice_str(shared.login_oauth_issuer), &u))
		return "login.oauth_issuer: is no https:// URL: say where its metadata are";
	if (!jwt && *shared.login_oauth_introspection &&
	    !oauth_url_parse(slice_str(shared.login_oauth_introspection), &u))
		return "login.oauth_introspection: is no https:// URL";
	if (!jwt && !*shared.login_oauth_client)
		return "login.oauth_client: is needed: who asks must say who it is";
	return NULL;
}

bool
oauth_settings_check(struct buf *out)
{
	const char *lack = NULL;
	bool good = true;

	good = settings_source(out, &shared.login_oauth_metadata, "login.oauth_metadata") && good;
	good = settings_source(out, &shared.login_oauth_keys, "login.oauth_keys") && good;
	if (oauth_wanted())
		lack = settings_lack();
	if (lack)
		buf_printf(out, "%s: %s\n", conf_where(&shared.login_oauth), lack);
	return good && !lack;
}
