/* Cookies, seals and sessions: what was sealed opens, with the keys that it was sealed with and no others; what
 * anybody has changed does not; and a session is over when its time is. */
#include "web/seal.h"

#include <unistd.h>

#include "base/mem.h"
#include "web/cookie.h"
#include "web/session.h"
#include "../tap.h"

#define KEY_A "0123456789abcdef0123456789abcdef0123456789abcdef0123456789ABCDEF\n"
#define KEY_B "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff\n"

static struct web_keys *
keys_of(const char *text, char **why)
{
	char path[] = "/tmp/tm-keys.XXXXXX";
	int fd = mkstemp(path);
	struct web_keys *k;

	ok(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text), "a file of keys");
	(void)close(fd);
	*why = NULL;
	k = web_keys_read(path, why);
	(void)unlink(path);
	return k;
}

static bool
opens(const struct web_keys *k, const char *label, struct slice token, const char *want, bool *old)
{
	struct buf b = { 0 };
	bool good = web_open(k, label, token, &b, old);

	good = good && slice_eq(buf_get(&b), slice_str(want));
	buf_fini(&b);
	return good;
}

static void
test_seal(void)
{
	char *why;
	struct web_keys *a = keys_of(KEY_A, &why),
			*b = keys_of("# the new one\n\n" KEY_B KEY_A, &why),
			*c = keys_of(KEY_B, &why);
	struct buf one = { 0 }, two = { 0 };
	bool old = true, good = true;

	eq(web_keys_count(b), 2, "two keys");
	web_seal(a, "label", S("some text"), &one);
	web_seal(a, "label", S("some text"), &two);
	ok(!slice_eq(buf_get(&one), buf_get(&two)), "no seal is like another");
	ok(opens(a, "label", buf_get(&one), "some text", &old) && !old, "it opens");
	ok(opens(b, "label", buf_get(&one), "some text", &old) && old,
	    "with an older key too, which is said");
	ok(!opens(c, "label", buf_get(&one), "some text", &old), "not with another");
	ok(!opens(a, "other", buf_get(&one), "some text", &old), "nor in another's place");
	for (size_t i = 0; i < one.n && good; i++) {
		char was = one.p[i];

		one.p[i] = was == 'A' ? 'B' : 'A';
		good = !opens(a, "label", buf_get(&one), "some text", &old);
		/* The last character has bits that are nobody's: base64 is strict about them, or they change nothing. */
		one.p[i] = was;
	}
	ok(good, "nor with any character changed");
	for (size_t n = 0; n < one.n; n++)
		good =
		    good && !opens(a, "label", slice_sub(buf_get(&one), 0, n), "some text", &old);
	ok(good, "nor cut off anywhere");
	buf_clear(&two);
	web_seal(a, "label", S(""), &two);
	ok(opens(a, "label", buf_get(&two), "", &old), "nothing can be sealed too");
	web_keys_free(&a);
	web_keys_free(&b);
	web_keys_free(&c);
	buf_fini(&one);
	buf_fini(&two);
}

static void
test_keys(void)
{
	static const char *const bad[] = { "", "# none\n", "0123\n",
		"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdeg\n", KEY_A "x\n",
		KEY_A KEY_A KEY_A KEY_A KEY_A KEY_A KEY_A KEY_A KEY_A };
	char *why;

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct web_keys *k = keys_of(bad[i], &why);

		ok(!k && why, "no file of keys: %s", why ? why : "");
		free(why);
	}
	ok(!web_keys_read("/nonexistent/keys", &why), "nor one that is not there");
	free(why);
}

static void
test_session(void)
{
	static const struct web_session_rules rules = { .idle_s = 1000, .life_s = 5000 };
	char *why;
	struct web_keys *k = keys_of(KEY_A, &why);
	struct web_session s, got;
	struct buf b = { 0 };
	bool due = true;

	ok(web_session_begin(&s, S("user@example.test"), 10000), "a session begins");
	web_session_seal(k, &s, &b);
	ok(web_session_open(k, &rules, buf_get(&b), 10020, &got, &due) && !due, "it is known");
	is(got.account, "user@example.test", "with its account");
	is(got.id, s.id, "and its id");
	ok(web_session_open(k, &rules, buf_get(&b), 10100, &got, &due) && due,
	    "later it is to be sealed anew");
	ok(web_session_open(k, &rules, buf_get(&b), 10999, &got, &due),
	    "a second before its idle time is over");
	ok(!web_session_open(k, &rules, buf_get(&b), 11000, &got, &due), "and not when it is");
	s.seen = 14900;
	buf_clear(&b);
	web_session_seal(k, &s, &b);
	eq(web_session_left(&s, &rules, 14900), 100, "near its end less is left");
	ok(!web_session_open(k, &rules, buf_get(&b), 15000, &got, &due),
	    "its life ends, however busy it was");
	ok(!web_session_open(k, &rules, buf_get(&b), 9000, &got, &due),
	    "one of the future is none");
	buf_clear(&b);
	s = (struct web_session){ .began = 10000, .seen = 10000, .coded = true };
	slice_cstr(S("0123456789abc"), s.id, sizeof(s.id));
	slice_cstr(S("a b@example.test"), s.account, sizeof(s.account));
	buf_clear(&b);
	web_session_seal(k, &s, &b);
	ok(web_session_open(k, &rules, buf_get(&b), 10001, &got, &due) && got.coded &&
		!got.signed_on,
	    "with a code");
	buf_clear(&b);
	s.signed_on = true;
	web_session_seal(k, &s, &b);
	ok(web_session_open(k, &rules, buf_get(&b), 10001, &got, &due) && got.coded &&
		got.signed_on,
	    "at the provider");
	is(got.account, "a b@example.test", "of whomever");
	buf_clear(&b);
	ok(web_session_begin(&s, S("a b@example.test"), 10000), "an account with a blank in it");
	web_session_seal(k, &s, &b);
	ok(web_session_open(k, &rules, buf_get(&b), 10001, &got, &due) &&
		strcmp(got.account, "a b@example.test") == 0,
	    "is not that of its first word");
	buf_clear(&b);
	ok(!web_session_begin(&s, S(" a@b"), 1) && !web_session_begin(&s, S("a\nb@c"), 1),
	    "what a field cannot say is none");
	web_seal(k, "tiermail session", S("5 10000 10000 0123456789abc a@b"), &b);
	ok(!web_session_open(k, &rules, buf_get(&b), 10001, &got, &due),
	    "another layout is no session");
	buf_clear(&b);
	for (int i = 0; i < WEB_SESSION_ACCOUNT + 1; i++)
		buf_char(&b, 'a');
	ok(!web_session_begin(&s, buf_get(&b), 1), "a name too long for one is refused");
	web_keys_free(&k);
	buf_fini(&b);
}

static void
test_cookie(void)
{
	struct http_field fields[] = { { S("Accept"), S("x") },
		{ S("cookie"), S("a=1; __Host-x=one ;b; __Host-x=two") },
		{ S("Cookie"), S("c = 3") } };
	struct http_head h = { .fields = fields, .nfields = 3 };
	struct buf b = { 0 };
	char text[32];

	is(slice_cstr(web_cookie_find(&h, S("__Host-x")), text, sizeof(text)), "one",
	    "the first of a name");
	is(slice_cstr(web_cookie_find(&h, S("c")), text, sizeof(text)), "3", "in any field");
	ok(!web_cookie_find(&h, S("b")).p && !web_cookie_find(&h, S("Host-x")).p, "and no other");
	web_cookie_write(&b, S("__Host-x"), S("v"), 60);
	is(buf_cstr(&b), "__Host-x=v; Path=/; Max-Age=60; Secure; HttpOnly; SameSite=Strict",
	    "as it is set");
	buf_fini(&b);
}

int
main(void)
{
	test_seal();
	test_keys();
	test_session();
	test_cookie();
	return done();
}
