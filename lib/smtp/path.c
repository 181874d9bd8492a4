/* path.c: envelope addresses, RFC 5321 4.1.2 and 4.1.3, RFC 6531 3.3. */
#include <arpa/inet.h>
#include <errno.h>
#include "base/utf8.h"
#include "smtp/path.h"

/* atext of RFC 5322 3.2.3; bytes above 0x7f are UTF8-non-ascii, checked as a whole later. */
static bool
is_atext(unsigned char c)
{
	return c >= 0x80 || (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
	    (c && strchr("!#$%&'*+-/=?^_`{|}~", c) != NULL);
}

static bool
is_let_dig(unsigned char c, bool utf8)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
	    (utf8 && c >= 0x80);
}

/* Dot-string = Atom *("." Atom): its length at the front of s, 0 = none. */
static size_t
dot_string(struct slice s)
{
	size_t n = 0;

	for (;;) {
		size_t atom = n;

		while (n < s.n && is_atext((unsigned char)s.p[n]))
			n++;
		if (n == atom)
			return 0;
		if (n == s.n || s.p[n] != '.')
			return n;
		n++;
	}
}

/* address-literal without the brackets: RFC 5321 4.1.3.  General-address-literal has no
 * registered tag but IPv6, so nothing else is taken. */
static bool
literal_valid(struct slice s)
{
	char text[INET6_ADDRSTRLEN];
	struct in6_addr a;
	bool six = slice_istarts(s, S("IPv6:"));

	if (six)
		s = slice_from(s, 5);
	if (s.n == 0 || s.n >= sizeof(text))
		return false;
	slice_cstr(s, text, sizeof(text));
	return strlen(text) == s.n && inet_pton(six ? AF_INET6 : AF_INET, text, &a) == 1;
}

bool
smtp_domain_valid(struct slice s, bool utf8)
{
	struct slice label;

	if (s.n == 0 || s.n > SMTP_DOMAIN_MAX)
		return false;
	if (s.p[0] == '[')
		return s.n > 2 && s.p[s.n - 1] == ']' && literal_valid(slice_sub(s, 1, s.n - 2));
	if (s.p[s.n - 1] == '.' || (utf8 && !utf8_valid(s)))
		return false;
	while (slice_cut(&s, '.', &label)) {
		if (label.n == 0 || label.n > 63 || !is_let_dig((unsigned char)label.p[label.n - 1], utf8))
			return false;
		for (size_t i = 0; i < label.n; i++) {
			unsigned char c = (unsigned char)label.p[i];

			/* The underscore is no host name's, yet many a domain's in use. */
			if (!is_let_dig(c, utf8) && c != '_' && (c != '-' || i == 0))
				return false;
		}
	}
	return true;
}

/* Quoted-string at the front of *at into p->local, quotes and backslashes undone. */
static int
quoted_parse(struct slice *at, struct arena *a, struct smtp_path *p, const char **why)
{
	char *out = NULL;
	size_t n = 0, i;

	*why = "bad quoted string in the address";
	for (i = 1; i < at->n && at->p[i] != '"'; i++) {
		unsigned char c = (unsigned char)at->p[i];

		/* qtextSMTP and quoted-pairSMTP: printable ASCII and space, or UTF-8. */
		if (c == '\\' && ++i == at->n)
			return -EBADMSG;
		c = (unsigned char)at->p[i];
		if (c < 0x20 || c == 0x7f)
			return -EBADMSG;
		if (out == NULL)
			out = arena_new(a, at->n);
		out[n++] = (char)c;
	}
	if (i >= at->n)
		return -EBADMSG;
	p->local = slice(out, n);
	*at = slice_from(*at, i + 1);
	return 0;
}

static int
local_parse(struct slice *at, struct arena *a, struct smtp_path *p, const char **why)
{
	size_t n;

	if (at->n && at->p[0] == '"') {
		if (quoted_parse(at, a, p, why) < 0)
			return -EBADMSG;
	} else {
		*why = "bad local part in the address";
		n = dot_string(*at);
		if (n == 0)
			return -EBADMSG;
		p->local = slice_sub(*at, 0, n);
		*at = slice_from(*at, n);
	}
	*why = "local part too long";
	return p->local.n > SMTP_LOCAL_MAX ? -EBADMSG : 0;
}

/* Local-part "@" ( Domain / address-literal ), up to the end or `stop`. */
static int
mailbox_parse(struct slice *at, char stop, struct arena *a, struct smtp_path *p, const char **why)
{
	size_t end;

	if (local_parse(at, a, p, why) < 0)
		return -EBADMSG;
	*why = "address needs a domain";
	if (at->n == 0 || at->p[0] != '@')
		return -EBADMSG;
	*at = slice_from(*at, 1);
	end = stop ? slice_find(*at, stop) : at->n;
	p->domain = slice_sub(*at, 0, end);
	*at = slice_from(*at, end);
	*why = "bad domain in the address";
	if (!smtp_domain_valid(p->domain, true))
		return -EBADMSG;
	p->utf8 = !utf8_ascii(p->local) || !utf8_ascii(p->domain);
	*why = "address is not UTF-8";
	return p->utf8 && !utf8_valid(p->local) ? -EBADMSG : 0;
}

/* A-d-l ":" is accepted and ignored (RFC 5321 4.1.1.3, appendix C). */
static int
source_route_skip(struct slice *at, const char **why)
{
	size_t colon = slice_find(*at, ':');
	struct slice route = slice_sub(*at, 0, colon), hop;

	*why = "bad source route";
	if (colon == at->n)
		return -EBADMSG;
	while (slice_cut(&route, ',', &hop))
		if (hop.n < 2 || hop.p[0] != '@' || !smtp_domain_valid(slice_from(hop, 1), true))
			return -EBADMSG;
	*at = slice_from(*at, colon + 1);
	return 0;
}

int
smtp_path_parse(struct slice *at, unsigned allow, struct arena *a, struct smtp_path *p,
    const char **why)
{
	size_t whole = at->n;

	*p = (struct smtp_path){ 0 };
	*why = "address needs angle brackets";
	if (at->n == 0 || at->p[0] != '<')
		return -EBADMSG;
	*at = slice_from(*at, 1);
	if ((allow & SMTP_PATH_NULL) && at->n && at->p[0] == '>') {
		p->null = true;
	} else if ((allow & SMTP_PATH_POSTMASTER) && slice_istarts(*at, S("postmaster>"))) {
		p->local = slice_sub(*at, 0, 10);
		*at = slice_from(*at, 10);
	} else {
		if (at->n && at->p[0] == '@' && source_route_skip(at, why) < 0)
			return -EBADMSG;
		if (mailbox_parse(at, '>', a, p, why) < 0)
			return -EBADMSG;
	}
	*why = "address needs angle brackets";
	if (at->n == 0 || at->p[0] != '>')
		return -EBADMSG;
	*at = slice_from(*at, 1);
	*why = "address too long";
	/* The limit is the path's, without what the source route took. */
	if (p->local.n + p->domain.n + 3 > SMTP_PATH_MAX || whole - at->n > 2 * SMTP_PATH_MAX)
		return -EBADMSG;
	if (at->n == 0 || at->p[0] == ' ')
		return 0;
	*why = "white space expected behind the address";
	return -EBADMSG;
}

int
smtp_mailbox_parse(struct slice s, struct arena *a, struct smtp_path *p, const char **why)
{
	*p = (struct smtp_path){ 0 };
	return mailbox_parse(&s, '\0', a, p, why);
}

void
smtp_address_write(struct buf *b, struct slice local, struct slice domain)
{
	if (local.n == 0 && domain.n == 0)
		return;
	if (local.n && dot_string(local) == local.n) {
		buf_slice(b, local);
	} else {
		buf_char(b, '"');
		for (size_t i = 0; i < local.n; i++) {
			if (local.p[i] == '"' || local.p[i] == '\\')
				buf_char(b, '\\');
			buf_char(b, local.p[i]);
		}
		buf_char(b, '"');
	}
	if (domain.n) {
		buf_char(b, '@');
		buf_slice(b, domain);
	}
}

void
smtp_path_write(struct buf *b, const struct smtp_path *p)
{
	if (!p->null)
		smtp_address_write(b, p->local, p->domain);
}
