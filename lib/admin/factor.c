/* factor.c: the second factor of a user, and application passwords.
 *
 * Called by the table of verbs.  Owns nothing; lib/login makes what is random and knows how codes are checked.  Can
 * fail as changes do.  Must stay true: what is secret is told once, when it is made, to who has made it; only the
 * person makes any of it (slapd's rules), others take it away; a factor is on only after a code of it has been
 * given, so that nobody is locked out by an authenticator that never had it. */
#include "admin/admin-impl.h"
#include "base/base64.h"
#include "base/clock.h"
#include "base/secret.h"
#include "login/code.h"

#define RECOVERY_CODES 10
#define APPS_MOST      20 /* of a user */
#define FACTOR_TOTP    "totp"
#define FACTOR_CLASS   "tiermailTotp" /* which services read that may read nothing else of it */

/* ---- the second factor ---------------------------------------------------------------------------- */

static bool
factor_user(struct admin *a, bool wanted, const struct dir_entry **e, struct admin_org *org)
{
	bool has;

	if (!admin_find_person(a, admin_name(a, 0), org, e))
		return false;
	has = admin_value(*e, "tiermailSecondFactor").n;
	if (has == wanted)
		return true;
	return has ? admin_fail(a, ADMIN_EXISTS, "has-factor",
			 SFMT ": has a second factor already; factor reset takes it away",
			 SARG(admin_name(a, 0))) :
		     admin_fail(a, ADMIN_BAD, "no-factor", SFMT ": has no second factor",
			 SARG(admin_name(a, 0)));
}

/* RFC 3986 2.3 */
static void
factor_put_uri(struct buf *b, struct slice s)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		char lower = ascii_lower(s.p[i]);

		if ((lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9') ||
		    (c && strchr("-._~", c)))
			buf_char(b, s.p[i]);
		else
			buf_printf(b, "%%%02X", c);
	}
}

/* What authenticators read as a picture: otpauth://totp/ISSUER:ACCOUNT?secret=... */
static struct slice
factor_uri(struct admin *a, const struct admin_org *org, const char *account, const char *secret)
{
	struct buf b = { 0 };
	struct slice s;

	buf_lit(&b, "otpauth://totp/");
	factor_put_uri(&b, org->domain);
	buf_char(&b, ':');
	factor_put_uri(&b, slice_str(account));
	buf_printf(&b, "?secret=%s&issuer=", secret);
	factor_put_uri(&b, org->domain);
	buf_printf(&b, "&algorithm=SHA1&digits=%d&period=%d", LOGIN_TOTP_DIGITS,
	    LOGIN_TOTP_SECONDS);
	s = slice_str(arena_cstr(&a->memory, buf_get(&b)));
	secret_clear(b.p, b.n);
	buf_fini(&b);
	return s;
}

bool
admin_factor_create(struct admin *a)
{
	struct admin_changes c = { 0 };
	struct admin_telling t = { .a = a };
	char secret[LOGIN_TOTP_TEXT + 1];
	const struct dir_entry *e;
	struct admin_org org;
	const char *account;
	bool good;

	if (!factor_user(a, false, &e, &org))
		return false;
	account = arena_cstr(&a->memory, admin_dn_name(&a->memory, e->dn));
	login_totp_make(secret);
	admin_set(a, &c, DIR_REPLACE, "tiermailTotpSecret", slice_str(secret));
	good = admin_modify(a, e->dn.p, e, &c, account);
	if (good && !a->call->dry_run) {
		admin_tell_add(&t, "factor", slice_str(account));
		admin_tell_add(&t, "secret", slice_str(secret));
		admin_tell_add(&t, "uri", factor_uri(a, &org, account, secret));
		admin_tell_end(&t, "factor");
	}
	secret_clear(secret, sizeof(secret));
	return good;
}

/* The attribute as the agent's own account sees it; of what only this one may read. */
static bool
factor_read(struct admin *a, const struct dir_entry *e, const char *attribute,
    const struct dir_attribute **at)
{
	const char *attrs[] = { attribute, NULL };
	bool good;

	a->own = true;
	good = admin_search(a, e->dn.p, DIR_SCOPE_BASE, NULL, attrs);
	a->own = false;
	*at = good && a->out.n ? admin_attr(admin_entry_copy(a, &a->out.entries[0]), attribute) :
				 NULL;
	return good;
}

/* New recovery codes: their digests into the change, themselves into what is told. */
static void
factor_recovery(struct admin *a, struct admin_changes *c, struct admin_telling *t)
{
	char text[LOGIN_WORD_TEXT];
	struct login_word w;

	for (int i = 0; i < RECOVERY_CODES; i++) {
		login_word_make(LOGIN_WORD_RECOVERY, text, &w);
		admin_set(a, c, DIR_REPLACE, "tiermailRecoveryCode", slice_str(w.digest));
		admin_tell_list(t, "recovery", slice_str(arena_cstr(&a->telling, slice_str(text))));
	}
	secret_clear(text, sizeof(text));
}

bool
admin_factor_confirm(struct admin *a)
{
	const char *what = arena_cstr(&a->memory, admin_name(a, 0));
	struct admin_changes c = { 0 };
	struct admin_telling t = { .a = a };
	const struct dir_attribute *secret;
	const struct dir_entry *e;
	uint64_t step;

	if (!factor_user(a, false, &e, NULL) || !factor_read(a, e, "tiermailTotpSecret", &secret))
		return false;
	if (!secret)
		return admin_fail(a, ADMIN_BAD, "no-factor",
		    "%s: no second factor is waiting; factor create makes one", what);
	if (!login_totp_check(secret->values[0], admin_name(a, 1), clock_now(), 0, &step))
		return admin_fail(a, ADMIN_BAD, "code",
		    "%s: that is not the code of now; is the clock of the authenticator right?",
		    what);
	admin_tell_add(&t, "factor", slice_str(what));
	admin_class_put(a, &c, e, FACTOR_CLASS);
	admin_set(a, &c, DIR_REPLACE, "tiermailSecondFactor", S(FACTOR_TOTP));
	admin_set(a, &c, DIR_REPLACE, "tiermailTotpStep",
	    slice_str(arena_printf(&a->memory, "%llu", (unsigned long long)step)));
	factor_recovery(a, &c, &t);
	if (!admin_modify(a, e->dn.p, e, &c, what))
		return false;
	if (!a->call->dry_run)
		admin_tell_end(&t, "factor");
	return true;
}

bool
admin_factor_recovery(struct admin *a)
{
	const char *what = arena_cstr(&a->memory, admin_name(a, 0));
	struct admin_changes c = { 0 };
	struct admin_telling t = { .a = a };
	const struct dir_entry *e;

	if (!factor_user(a, true, &e, NULL))
		return false;
	admin_tell_add(&t, "factor", slice_str(what));
	admin_class_put(a, &c, e, FACTOR_CLASS);
	factor_recovery(a, &c, &t);
	if (!admin_modify(a, e->dn.p, e, &c, what))
		return false;
	if (!a->call->dry_run)
		admin_tell_end(&t, "factor");
	return true;
}

bool
admin_factor_reset(struct admin *a)
{
	static const char *const all[] = { "tiermailSecondFactor", "tiermailTotpSecret",
		"tiermailTotpStep", "tiermailRecoveryCode" };
	const char *what = arena_cstr(&a->memory, admin_name(a, 0));
	struct admin_changes c = { 0 };
	const struct dir_entry *e;

	/* Also one that was never confirmed, which nobody sees. */
	if (!admin_find_person(a, admin_name(a, 0), NULL, &e))
		return false;
	for (size_t i = 0; i < NELEM(all); i++)
		admin_set_none(a, &c, all[i]);
	if (admin_has(e, "objectClass", S(FACTOR_CLASS)))
		admin_set(a, &c, DIR_DELETE, "objectClass", S(FACTOR_CLASS));
	return admin_modify(a, e->dn.p, e, &c, what);
}

bool
admin_factor_show(struct admin *a)
{
	struct admin_telling t = { .a = a };
	const struct dir_attribute *codes = NULL;
	const struct dir_entry *e;
	struct slice factor;

	if (!admin_find_person(a, admin_name(a, 0), NULL, &e) ||
	    !factor_read(a, e, "tiermailRecoveryCode", &codes))
		return false;
	factor = admin_value(e, "tiermailSecondFactor");
	admin_tell_add(&t, "factor", admin_dn_name(&a->telling, e->dn));
	admin_tell_add(&t, "kind", factor.n ? factor : S("none"));
	if (factor.n)
		admin_tell_number(&t, "codes", codes ? codes->n : 0);
	admin_tell_end(&t, "factor");
	return true;
}

/* ---- application passwords --------------------------------------------------------------------------- */

#define APP_FILTER "(objectClass=tiermailAppPassword)"

static bool
app_count(struct admin *a, const struct dir_entry *e, size_t *n)
{
	return admin_count(a, e->dn.p, APP_FILTER, n);
}

/* "Authorization: Bearer" for programs that know no names: an identity system has one text (RFC 6750). */
static void
app_tell_token(struct admin_telling *t, const struct dir_entry *e, const char *password)
{
	struct admin *a = t->a;
	struct slice name = admin_dn_name(&a->memory, e->dn);
	struct buf plain = { 0 }, token = { 0 };
	bool given = false;

	for (size_t i = 0; i < a->call->nsettings; i++)
		given = given ||
		    (slice_eq(a->call->settings[i].name, S("service")) &&
			slice_ieq(a->call->settings[i].value, S("admin")));
	if (!given)
		return;
	buf_printf(&plain, SFMT ":%s", SARG(name), password);
	base64_write(&token, buf_get(&plain));
	admin_tell_add(t, "token", arena_slice(&a->telling, buf_get(&token)));
	secret_clear(plain.p, plain.n);
	secret_clear(token.p, token.n);
	buf_fini(&plain);
	buf_fini(&token);
}

bool
admin_app_create(struct admin *a)
{
	const char *what = arena_cstr(&a->memory, admin_name(a, 0));
	struct admin_changes c = { 0 };
	struct admin_telling t = { .a = a };
	char text[LOGIN_WORD_TEXT];
	const struct dir_entry *e;
	struct login_word w;
	size_t n;
	bool good;

	if (!admin_find_person(a, admin_name(a, 0), NULL, &e) || !app_count(a, e, &n))
		return false;
	if (n >= APPS_MOST)
		return admin_fail(a, ADMIN_EXISTS, "apps-used-up",
		    "%s: has %d application passwords already", what, APPS_MOST);
	login_word_make(LOGIN_WORD_APP, text, &w);
	admin_set(a, &c, DIR_ADD, "objectClass", S("account"));
	admin_set(a, &c, DIR_ADD, "objectClass", S("tiermailAppPassword"));
	admin_set(a, &c, DIR_ADD, "uid", slice_str(w.id));
	admin_set(a, &c, DIR_ADD, "tiermailAppSecret", slice_str(w.digest));
	good = admin_fields_put(a, ADMIN_APP, NULL, NULL, &c) &&
	    admin_create(a, arena_printf(&a->memory, "uid=%s," SFMT, w.id, SARG(e->dn)), &c, what);
	if (good && !a->call->dry_run) {
		admin_tell_add(&t, "app", slice_str(w.id));
		admin_tell_add(&t, "user", slice_str(what));
		admin_tell_add(&t, "password", slice_str(text));
		app_tell_token(&t, e, text);
		admin_tell_end(&t, "app");
	}
	secret_clear(text, sizeof(text));
	return good;
}

static bool
app_list_one(struct admin *a, const struct dir_entry *e, void *arg UNUSED)
{
	admin_tell(a, ADMIN_APP, arena_cstr(&a->telling, admin_value(e, "uid")), e);
	return true;
}

bool
admin_app_list(struct admin *a)
{
	const struct dir_entry *e;

	return admin_find_person(a, admin_name(a, 0), NULL, &e) &&
	    admin_list(a, ADMIN_APP, e->dn.p, DIR_SCOPE_ONE, APP_FILTER, app_list_one);
}

bool
admin_app_revoke(struct admin *a)
{
	static const char *const attrs[] = { "entryCSN", NULL };
	const char *what = arena_cstr(&a->memory, admin_name(a, 0));
	const struct dir_entry *e, *apps[APPS_MOST * 2];
	struct buf filter = { 0 };
	size_t n = 0;
	bool good;

	if (!admin_find_person(a, admin_name(a, 0), NULL, &e))
		return false;
	buf_lit(&filter, "(&" APP_FILTER);
	if (admin_name(a, 1).n)
		dir_filter_equal(&filter, "uid", admin_name(a, 1), S(""));
	buf_char(&filter, ')');
	good = admin_search(a, e->dn.p, DIR_SCOPE_ONE, buf_cstr(&filter), attrs);
	buf_fini(&filter);
	for (; good && n < a->out.n && n < NELEM(apps); n++)
		apps[n] = admin_entry_copy(a, &a->out.entries[n]);
	if (good && n == 0 && admin_name(a, 1).n)
		return admin_fail(a, ADMIN_NOT_FOUND, "not-found",
		    "%s: has no application password " SFMT, what, SARG(admin_name(a, 1)));
	for (size_t i = 0; good && i < n; i++)
		good = admin_remove(a, apps[i]->dn.p, apps[i], what);
	return good;
}
