/* domain.c: names of hosts, address literals, and IDNA 2008 by libidn2.
 *
 * Called by address.c, by route and by whoever compares domains.  Converting fails on what is no
 * legal name.  What must stay true: domains are compared and looked up as lower-case A-labels, so
 * a U-label and its A-label are one domain; plain ASCII, which nearly all are, does not go
 * through libidn2.  A name is checked by its A-labels, since limits of length are the DNS's. */
#include <arpa/inet.h>
#include <errno.h>
#include <idn2.h>
#include "base/utf8.h"
#include "mail/address.h"

#define LABEL_MAX  63
#define NATIVE_MAX 1020 /* octets of a name in U-labels: no legal one is longer */

static inline bool
is_let_dig(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* sub-domain *("." sub-domain), RFC 5321 4.1.2, with RFC 1034's limit on labels. */
static bool
ldh_valid(struct slice s)
{
	struct slice label;

	if (s.n == 0 || s.n > ADDRESS_DOMAIN_MAX || s.p[s.n - 1] == '.')
		return false;
	while (slice_cut(&s, '.', &label)) {
		if (label.n == 0 || label.n > LABEL_MAX || label.p[0] == '-' ||
		    label.p[label.n - 1] == '-')
			return false;
		for (size_t i = 0; i < label.n; i++)
			if (!is_let_dig(label.p[i]) && label.p[i] != '-')
				return false;
	}
	return true;
}

static bool
ipv4_valid(struct slice s)
{
	struct slice part;
	uint64_t v;
	int n = 0;

	if (s.n == 0 || s.p[s.n - 1] == '.')
		return false;
	for (; slice_cut(&s, '.', &part); n++)
		if (part.n > 3 || slice_u64(part, 255, &v) < 0)
			return false;
	return n == 4;
}

/* "[...]", RFC 5321 4.1.3. */
static bool
literal_valid(struct slice s)
{
	struct in6_addr in6;
	char text[INET6_ADDRSTRLEN];
	struct slice tag;

	if (s.n < 3 || s.n > ADDRESS_DOMAIN_MAX || s.p[0] != '[' || s.p[s.n - 1] != ']')
		return false;
	s = slice(s.p + 1, s.n - 2);
	if (slice_istarts(s, S("IPv6:"))) {
		s = slice_from(s, 5);
		return s.n < sizeof(text) &&
		    inet_pton(AF_INET6, slice_cstr(s, text, sizeof(text)), &in6) == 1;
	}
	if (slice_find(s, ':') == s.n)
		return ipv4_valid(s);
	/* General-address-literal: Ldh-str ":" 1*dcontent */
	if (!slice_cut(&s, ':', &tag) || tag.n == 0 || s.n == 0 || tag.p[tag.n - 1] == '-')
		return false;
	for (size_t i = 0; i < tag.n; i++)
		if (!is_let_dig(tag.p[i]) && tag.p[i] != '-')
			return false;
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] <= ' ' || s.p[i] > '~' || (s.p[i] >= '[' && s.p[i] <= ']'))
			return false;
	return true;
}

bool
domain_valid(struct slice s, unsigned allow)
{
	struct buf b = { 0 };
	bool good;

	if (s.n && s.p[0] == '[')
		return (allow & ADDRESS_LITERAL) && literal_valid(s);
	if (utf8_ascii(s))
		return ldh_valid(s);
	if (!(allow & ADDRESS_UTF8))
		return false;
	good = domain_write_ascii(&b, s) == 0 && ldh_valid(buf_get(&b));
	buf_fini(&b);
	return good;
}

static void
write_lower(struct buf *b, struct slice s)
{
	char *dst = buf_reserve(b, s.n);

	if (!dst)
		return;
	for (size_t i = 0; i < s.n; i++)
		dst[i] = ascii_lower(s.p[i]);
	b->n += s.n;
}

int
domain_write_ascii(struct buf *b, struct slice domain)
{
	char text[NATIVE_MAX + 1];
	uint8_t *out;

	if (utf8_ascii(domain)) {
		write_lower(b, domain);
		return 0;
	}
	if (domain.n > NATIVE_MAX || !utf8_valid(domain) || memchr(domain.p, '\0', domain.n))
		return -EBADMSG;
	slice_cstr(domain, text, sizeof(text));
	if (idn2_lookup_u8((const uint8_t *)text, &out, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL) !=
	    IDN2_OK)
		return -EBADMSG;
	write_lower(b, slice_str((const char *)out));
	idn2_free(out);
	return 0;
}

int
domain_write_utf8(struct buf *b, struct slice domain)
{
	char text[NATIVE_MAX + 1];
	char *out;

	if (slice_ifind_str(domain, S("xn--")) == domain.n) {
		if (!utf8_valid(domain))
			return -EBADMSG;
		utf8_fold_to(b, domain);
		return 0;
	}
	if (domain.n > NATIVE_MAX || !utf8_valid(domain) || memchr(domain.p, '\0', domain.n))
		return -EBADMSG;
	slice_cstr(domain, text, sizeof(text));
	if (idn2_to_unicode_8z8z(text, &out, 0) != IDN2_OK)
		return -EBADMSG;
	utf8_fold_to(b, slice_str(out));
	idn2_free(out);
	return 0;
}

bool
domain_eq(struct slice a, struct slice b)
{
	struct buf x = { 0 }, y = { 0 };
	bool same;

	if (slice_ieq(a, b))
		return true;
	if (utf8_ascii(a) && utf8_ascii(b))
		return false;
	same = domain_write_ascii(&x, a) == 0 && domain_write_ascii(&y, b) == 0 &&
	    slice_eq(buf_get(&x), buf_get(&y));
	buf_fini(&x);
	buf_fini(&y);
	return same;
}
