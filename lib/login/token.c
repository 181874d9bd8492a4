/* login/token.c: who brings an access token of an authorization server (RFC 6750): by SASL (RFC 7628) or HTTP.
 *
 *	his turn (delay.c) -> is it good, whose, and what for (lib/oauth) -> the entry -> the rules, as behind any password
 *
 * Called by login.c.  Owns, of each door, the authorization server as it is known.  Can fail: that server, which counts
 * against nobody and is never told as a token that is wrong.  Must stay true: the name that a client says is only
 * whom his failures count against; who he is, the token says alone, and he may act in no other name.  Where a client
 * names nobody, each token has a turn of its own: one that is wrong makes no neighbour behind the same
 * address wait, and none is guessed. */
#include <openssl/evp.h>
#include <stdio.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/must.h"
#include "conf/shared.h"
#include "login/login-impl.h"
#include "oauth/oauth.h"

#define TOKEN_SHOWN 6 /* octets of its hash that stand for it */

bool
login_offers_oauth(void)
{
	return oauth_wanted();
}

static void
token_checked(void *arg, const struct oauth_grant *g)
{
	struct login *l = CAST(arg, struct login, LOGIN_MAGIC);
	struct slice missing = S("");

	if (g->outcome == OAUTH_AWAY) {
		log_event(LOG_WARN, "login_away", "name=%s error=%s", log_value(slice_str(l->name)),
		    log_str(g->why));
		login_settle(l, LOGIN_AWAY, NULL);
		return;
	}
	if (g->outcome != OAUTH_GOOD || !oauth_scope_has(g, l->request.service, &missing)) {
		log_event(LOG_INFO, "token_refused", "name=%s scope=%s why=%s",
		    log_value(slice_str(l->name)), log_value(missing),
		    log_str(g->why ? g->why : "it lacks a scope"));
		login_settle(l, g->outcome == OAUTH_GOOD ? LOGIN_SCOPE : LOGIN_TOKEN, NULL);
		return;
	}
	mem_free(&l->name);
	l->name = mem_str(g->user);
	l->by_token = true;
	l->token_until = g->expires;
	login_judge_again(l);
}

void
login_token_ask(struct login *l)
{
	if (!l->door->oauth)
		l->door->oauth = oauth_new(l->door->loop);
	oauth_check_start(l->door->oauth, secret_get(&l->password), &l->op, token_checked, l);
	secret_wipe(&l->password);
}

void
login_token_take(struct login *l, struct slice authzid, struct slice token)
{
	unsigned char sum[32];
	struct buf name = { 0 };
	struct slice who = authzid;
	unsigned n = 0;

	l->mechanism = l->sasl.mech ? sasl_mechanism(&l->sasl) : "Bearer";
	l->token = LOGIN_TOKEN_GIVEN;
	secret_set(&l->password, token);
	if (who.n == 0) {
		must(EVP_Digest(token.p, token.n, sum, &n, EVP_sha256(), NULL) == 1 && n == 32);
		buf_lit(&name, "token:");
		buf_hex(&name, sum, TOKEN_SHOWN);
		who = buf_get(&name);
	}
	login_wait(l, &who);
	buf_fini(&name);
	login_take_turn(l);
}

void
login_token(struct login *l, struct slice token)
{
	must(l->state == LOGIN_TALKING);
	login_token_take(l, S(""), token);
}

/* ---- why not						RFC 7628 3.2.2, 3.2.3 -------------------------------- */

bool
login_token_tell(struct login *l)
{
	bool scope = l->outcome == LOGIN_SCOPE;
	struct buf scopes = { 0 };
	struct slice text;

	/* Another token would not help who is refused for anything else. */
	if (!l->sasl.mech || l->token != LOGIN_TOKEN_GIVEN || (l->outcome != LOGIN_TOKEN && !scope))
		return false;
	oauth_scope_write(l->request.service, &scopes);
	sasl_token_refused(&l->sasl, &l->exchange, scope ? "insufficient_scope" : "invalid_token",
	    buf_get(&scopes), &text);
	buf_fini(&scopes);
	login_challenge(l, text);
	return true;
}

void
login_token_heard(struct login *l)
{
	l->token = LOGIN_TOKEN_HEARD;
	login_wait(l, NULL);
	login_move(l, LOGIN_DELAYED);
	login_pause(l, 0);
}
