/* imap/url.c: RFC 5092 7 and 11, as far as a message of the own account is named.
 *
 * Called by commands that take such URLs.  Fails on what is none, without a reason: a client is told the
 * URL that was wrong.  Cost: the text, once for each component.  What must stay true: a component is taken
 * off by its delimiters first and decoded then, so that an encoded delimiter is part of a name. */
#include "imap/url.h"

#include <string.h>

#include "mail/date.h"

static int
url_hex(char c)
{
	return c >= '0' && c <= '9'                        ? c - '0' :
	    ascii_lower(c) >= 'a' && ascii_lower(c) <= 'f' ? ascii_lower(c) - 'a' + 10 :
							     -1;
}

/* %-encoding undone.  False: a bad one, or NUL. */
static bool
url_unescape(struct slice s, struct buf *b)
{
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (c == '%') {
			int hi = i + 2 < s.n ? url_hex(s.p[i + 1]) : -1;
			int lo = i + 2 < s.n ? url_hex(s.p[i + 2]) : -1;

			if (hi < 0 || lo < 0)
				return false;
			c = (char)(hi * 16 + lo);
			i += 2;
		}
		if (c == '\0')
			return false;
		buf_char(b, c);
	}
	return true;
}

static bool
url_mailbox(struct slice s, struct arena *a, struct imap_url *u)
{
	const struct imap_in in = { .arena = a, .utf8 = true };
	struct buf b = { 0 };
	bool good =
	    s.n > 0 && url_unescape(s, &b) && imap_mailbox_name(&in, buf_get(&b), &u->mailbox);

	buf_fini(&b);
	return good;
}

/* FETCH's own grammar, up to the bracket that is put behind it. */
static bool
url_section(struct slice s, struct arena *a, struct imap_url *u)
{
	static const struct imap_fetch_item item = { .name = "BODY[" };
	struct imap_in in = { .arena = a };
	struct imap_fetch f = { 0 };
	struct buf b = { 0 };
	bool good = s.n > 0 && url_unescape(s, &b);

	if (good) {
		buf_char(&b, ']');
		in.s = arena_slice(a, buf_get(&b));
		good = imap_fetch_section(&in, &f, &item) && in.s.n == 0;
	}
	if (good)
		u->section = f.sections[0];
	buf_fini(&b);
	return good;
}

/* offset ["." length] */
static bool
url_partial(struct slice s, struct imap_url *u)
{
	struct slice offset;

	u->partial = true;
	u->to_end = slice_find(s, '.') == s.n;
	return slice_cut(&s, '.', &offset) && slice_u64(offset, UINT32_MAX, &u->offset) == 0 &&
	    (u->to_end || (slice_u64(s, UINT32_MAX, &u->length) == 0 && u->length > 0));
}

static bool
url_number(struct slice s, uint32_t *n)
{
	uint64_t v;

	if (slice_u64(s, UINT32_MAX, &v) < 0 || v == 0)
		return false;
	*n = (uint32_t)v;
	return true;
}

/* Takes "name" and what follows it up to the next ";" or "/;" off the front; false: it is not there. */
static bool
url_param(struct slice *s, const char *name, struct slice *value)
{
	struct slice n = slice_str(name), rest;

	if (!slice_istarts(*s, n))
		return false;
	rest = slice_from(*s, n.n);
	*value = slice(rest.p, slice_find(rest, ';'));
	*s = slice_from(rest, value->n);
	if (s->n > 0 && value->n > 0 && value->p[value->n - 1] == '/') {
		value->n--;
		*s = slice(s->p - 1, s->n + 1);
	}
	return true;
}

bool
imap_url_parse(struct slice text, struct arena *a, struct imap_url *u)
{
	struct slice value, name;

	*u = (struct imap_url){ .section = { .kind = IMAP_SECTION_ALL } };
	if (slice_starts(text, S("/"))) {
		name = slice(text.p + 1, slice_find(slice_from(text, 1), ';'));
		text = slice_from(text, 1 + name.n);
		if (name.n > 0 && name.p[name.n - 1] == '/') { /* "/;UID" belongs together */
			name.n--;
			text = slice(text.p - 1, text.n + 1);
		}
		if (!url_mailbox(name, a, u))
			return false;
		if (url_param(&text, ";UIDVALIDITY=", &value) &&
		    !url_number(value, &u->uidvalidity))
			return false;
		if (!slice_starts(text, S("/")))
			return false;
		text = slice_from(text, 1);
	}
	if (!url_param(&text, ";UID=", &value) || !url_number(value, &u->uid))
		return false;
	if (url_param(&text, "/;SECTION=", &value) && !url_section(value, a, u))
		return false;
	if (url_param(&text, "/;PARTIAL=", &value) && !url_partial(value, u))
		return false;
	return text.n == 0;
}

/* ---- with an authorization ------------------------------------------------------------------- */

static bool
url_decoded(struct slice s, struct arena *a, struct slice *out)
{
	struct buf b = { 0 };
	bool good = s.n > 0 && url_unescape(s, &b) && b.n > 0;

	if (good)
		*out = arena_slice(a, buf_get(&b));
	buf_fini(&b);
	return good;
}

/* iserver, in which iuserauth is mandatory: user[;AUTH=x]@host[:port]			RFC 4467 3 */
static bool
urlauth_server(struct slice s, struct arena *a, struct imap_urlauth *u)
{
	size_t at = slice_rfind(s, '@'), colon;
	struct slice user = slice(s.p, at);

	if (at == s.n)
		return false;
	user.n = slice_find(user, ';');
	u->server = slice_from(s, at + 1);
	colon = slice_rfind(u->server, ':');
	if (slice_find(slice_from(u->server, colon), ']') == u->server.n - colon)
		u->server.n = colon; /* else it is one of an address in brackets */
	return u->server.n > 0 && url_decoded(user, a, &u->user);
}

/* Where the last `name` begins, whatever the case; s.n: nowhere. */
static size_t
url_last(struct slice s, struct slice name)
{
	for (size_t i = s.n < name.n ? 0 : s.n - name.n + 1; i-- > 0;)
		if (slice_istarts(slice_from(s, i), name))
			return i;
	return s.n;
}

static bool
urlauth_access(struct slice s, struct arena *a, struct imap_urlauth *u)
{
	static const struct {
		const char *name;
		bool who;
	} kinds[] = { [IMAP_URL_SUBMIT] = { "submit+", true },
		[IMAP_URL_USER] = { "user+", true },
		[IMAP_URL_AUTHUSER] = { "authuser", false },
		[IMAP_URL_ANONYMOUS] = { "anonymous", false } };

	for (size_t i = 0; i < NELEM(kinds); i++) {
		struct slice name = slice_str(kinds[i].name);

		u->access = (enum imap_url_access)i;
		if (kinds[i].who && slice_istarts(s, name))
			return url_decoded(slice_from(s, name.n), a, &u->who);
		if (!kinds[i].who && slice_ieq(s, name))
			return true;
	}
	return false;
}

bool
imap_urlauth_parse(struct slice text, struct arena *a, struct imap_urlauth *u)
{
	const struct slice scheme = S("imap://"), auth = S(";URLAUTH="), expire = S(";EXPIRE=");
	struct slice rest = slice_from(text, scheme.n), access, when;
	size_t slash = slice_find(rest, '/'), at = url_last(rest, auth);
	struct date date;

	*u = (struct imap_urlauth){ 0 };
	if (!slice_istarts(text, scheme) || at == rest.n || slash >= at ||
	    !urlauth_server(slice(rest.p, slash), a, u))
		return false;
	access = slice_from(rest, at + auth.n);
	rest = slice(rest.p + slash, at - slash);
	at = slice_find(access, ':');
	if (at < access.n) {
		u->token = slice_from(access, at + 1);
		access.n = at;
		at = slice_find(u->token, ':');
		u->mechanism = slice(u->token.p, at);
		u->token = slice_from(u->token, at + 1);
		if (u->mechanism.n == 0 || u->token.n == 0)
			return false;
	}
	u->rump = slice(text.p, (size_t)(access.p + access.n - text.p));
	at = url_last(rest, expire);
	u->expires = at < rest.n;
	when = slice_from(rest, at + expire.n);
	rest.n = at;
	if (u->expires && date_iso_parse(when, &date) < 0)
		return false;
	if (u->expires)
		u->expire = date.at;
	return urlauth_access(access, a, u) && imap_url_parse(rest, a, &u->url) && u->url.mailbox.p;
}
