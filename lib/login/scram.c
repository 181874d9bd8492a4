/* login/scram.c: who proves a password without saying it: SCRAM-SHA-256 (RFC 5802, 7677); sasl/scram.c has the bytes.
 *
 *	name:   the entry -> salt and rounds of its verifier, or of none -> the client
 *	proof:  his turn (delay.c) -> the entry again -> right: the server's signature -> the client
 *	empty:  his turn -> the entry again -> the rules, as behind any password (login.c)
 *
 * Called by login.c.  Owns nothing.  Can fail: the directory, which counts against nobody.  Must stay true: who has no
 * verifier is told a salt all the same, always the same one for a name and on all hosts, and his proof is as wrong, and
 * as late, as another's (RFC 5802 9: names must not be found out); a verifier is used only for the password that
 * was in force when it was made, to the second that pwdChangedTime says, and where that is not kept none is; nobody
 * holds the turn of a name while he may be silent. */
#include "base/log.h"
#include "base/must.h"
#include "conf/shared.h"
#include "login/login-impl.h"
#include "oauth/oauth.h"

/* A name is answered at the end of such a step of time, so that how long the directory looks for it is not seen. */
#define SCRAM_STEP_MS 20

struct slice
login_scram_key(void)
{
	struct slice key = slice_str(shared.login_scram_key);

	return key.n ? key : slice_str(shared.ldap_password);
}

bool
login_offers_scram(void)
{
	return shared.login_scram == CONF_SCRAM_OFFER && login_scram_key().n > 0;
}

bool
login_door_check(struct buf *out)
{
	bool good = dir_check(out);

	good = oauth_settings_check(out) && good;
	if (shared.login_scram == CONF_SCRAM_NO || login_scram_key().n > 0)
		return good;
	buf_printf(out, "%s: login.scram_key: needed where ldap.password is empty\n",
	    conf_where(&shared.login_scram_key));
	return false;
}

bool
login_verifier_parse(const struct dir_user *u, struct sasl_verifier *v)
{
	struct slice text = u->verifier, at;
	int64_t made;

	return u->password_at != 0 && slice_word(&text, &at) && dir_time_parse(at, &made) &&
	    made == u->password_at && sasl_verifier_parse(slice_trim(text), v) == 0;
}

/* The verifier of who has said his name, or one that nothing fits. */
static bool
scram_verifier(const struct login *l, const struct dir_answer *a, struct sasl_verifier *v)
{
	struct buf name = { 0 };
	struct slice local = slice_str(l->name), domain;

	if (a->v.kind == OK && a->user && login_verifier_parse(a->user, v))
		return true;
	/* As the directory completes it, and under the first name of its domain, as an account's is; of somebody who is
	 * there, the account that his own would be of. */
	domain = slice_from(local, slice_rfind(local, '@') + 1);
	if (slice_rfind(local, '@') == local.n)
		domain = slice_str(shared.default_domain);
	local = slice_sub(local, 0, slice_rfind(local, '@'));
	if (a->domain)
		domain = a->domain->name;
	buf_slice(&name, local);
	if (domain.n)
		buf_printf(&name, "@" SFMT, SARG(domain));
	sasl_verifier_salt(v, login_scram_key(),
	    a->v.kind == OK && a->user ? a->user->account : buf_get(&name),
	    (uint32_t)shared.login_scram_rounds);
	buf_fini(&name);
	return false;
}

static bool
scram_away(struct login *l, const struct dir_answer *a)
{
	if (a->v.kind != TEMP)
		return false;
	log_event(LOG_WARN, "login_away", "name=%s error=%s", log_value(slice_str(l->name)),
	    log_str(a->v.text));
	login_settle(l, LOGIN_AWAY, NULL);
	return true;
}

static void
scram_named(void *arg, const struct dir_answer *a)
{
	struct login *l = CAST(arg, struct login, LOGIN_MAGIC);
	struct sasl_verifier v;
	struct slice text;
	uint64_t spent;

	if (scram_away(l, a))
		return;
	(void)scram_verifier(l, a, &v);
	sasl_scram_first(&l->sasl, &l->exchange, &v, &text);
	secret_clear(&v, sizeof(v));
	spent = loop_now(l->door->loop) - l->looked_ms;
	login_pause(l, (spent / SCRAM_STEP_MS + 1) * SCRAM_STEP_MS - spent);
}

void
login_scram_looked(struct login *l)
{
	login_challenge(l, l->sasl.scram.server_first);
}

void
login_scram_name(struct login *l)
{
	l->mechanism = "SCRAM-SHA-256";
	l->looked_ms = loop_now(l->door->loop);
	login_wait(l, &l->sasl.authcid);
	login_move(l, LOGIN_LOOKING);
	dir_login_now_start(l->door->dir, slice_str(l->name), LOGIN_FRESH_MS, &l->op, scram_named,
	    l);
}

static void
scram_proved(void *arg, const struct dir_answer *a)
{
	struct login *l = CAST(arg, struct login, LOGIN_MAGIC);
	struct sasl_verifier v;
	struct slice text;
	bool known, good;

	if (scram_away(l, a))
		return;
	known = scram_verifier(l, a, &v);
	good = sasl_scram_check(&l->sasl, &l->exchange, &v, &text) && known;
	secret_clear(&v, sizeof(v));
	if (!good) {
		login_settle(l, LOGIN_WRONG, NULL);
		return;
	}
	l->proved_at = a->user->password_at;
	login_challenge(l, text);
}

void
login_scram_ask(struct login *l)
{
	if (l->scram == LOGIN_SCRAM_PROVED)
		login_judge_again(l);
	else
		dir_login_now_start(l->door->dir, slice_str(l->name), LOGIN_FRESH_MS, &l->op,
		    scram_proved, l);
}

bool
login_scram_holds(const struct login *l, const struct dir_user *u)
{
	return l->scram == LOGIN_SCRAM_NONE || l->proved_at == u->password_at;
}
