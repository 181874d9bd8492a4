/* address.c: the addresses of the envelope.  Domains are domain.c, header fields are
 * address-list.c.
 *
 * Called for MAIL and RCPT (smtp/command), by route, by the configuration and by sendmail.
 * Parsing fails with a reason fit for a 501.  What must stay true: an address is its meaning,
 * without quotes and backslashes, and address_write quotes again what needs it, so that what was
 * parsed and written is the same mailbox to every later reader; nothing that could end a command
 * or a header line gets through. */
#include <errno.h>
#include "base/utf8.h"
#include "mail/address.h"

/* atext of RFC 5322 3.2.3; bytes above 0x7f are the caller's to judge. */
static inline bool
is_atext(char c)
{
	static const uint32_t set[4] = { 0, 0xa3ffacfa, 0xc7fffffe, 0x7fffffff };
	unsigned char u = (unsigned char)c;

	return u < 0x80 && (set[u >> 5] >> (u & 31) & 1);
}

static bool
is_dot_string(struct slice s)
{
	char last = '.';

	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '.' ? last == '.' : !is_atext(s.p[i]) && !(s.p[i] & 0x80))
			return false;
		last = s.p[i];
	}
	return s.n > 0 && last != '.';
}

static int
bad(const char **why, const char *text)
{
	*why = text;
	return -EBADMSG;
}

/* "..." with its quotes; qcontentSMTP of RFC 5321 4.1.2.  Moves *at behind it. */
static int
parse_quoted(struct slice *at, struct arena *a, struct slice *local, const char **why)
{
	size_t i = 1, escapes = 0, n = 0;
	char *dst;

	for (; i < at->n && at->p[i] != '"'; i++) {
		unsigned char c = (unsigned char)at->p[i];

		if (c == '\\') {
			escapes++;
			if (++i == at->n)
				break;
			c = (unsigned char)at->p[i];
			if (c > 0x7e)
				return bad(why, "bad character behind a backslash");
		}
		if (c < ' ' || c == 0x7f)
			return bad(why, "control character in the local part");
	}
	if (i >= at->n)
		return bad(why, "a quotation mark is missing");
	*local = slice(at->p + 1, i - 1);
	*at = slice_from(*at, i + 1);
	if (escapes == 0)
		return 0;
	dst = arena_new(a, local->n);
	for (size_t k = 0; k < local->n; k++) {
		if (local->p[k] == '\\')
			k++;
		dst[n++] = local->p[k];
	}
	*local = slice(dst, n);
	return 0;
}

/* Local part; moves *at to what follows it. */
static int
parse_local(struct slice *at, unsigned allow, struct arena *a, struct address *addr,
    const char **why)
{
	size_t i = 0;

	if (at->n && at->p[0] == '"') {
		if (parse_quoted(at, a, &addr->local, why) < 0)
			return -EBADMSG;
		if (!is_dot_string(addr->local))
			addr->flags |= ADDRESS_QUOTED;
	} else {
		while (i < at->n && (is_atext(at->p[i]) || at->p[i] == '.' || at->p[i] & 0x80))
			i++;
		addr->local = slice(at->p, i);
		*at = slice_from(*at, i);
		if (i == 0)
			return bad(why, "the local part is missing");
		if (!is_dot_string(addr->local))
			return bad(why, "bad dot in the local part");
	}
	if (addr->local.n > ADDRESS_LOCAL_MAX)
		return bad(why, "the local part is longer than 64 octets");
	if (!utf8_ascii(addr->local)) {
		if (!(allow & ADDRESS_UTF8))
			return bad(why, "8-bit character without SMTPUTF8");
		if (!utf8_valid(addr->local))
			return bad(why, "the address is not UTF-8");
		addr->flags |= ADDRESS_UTF8;
	}
	return 0;
}

/* Domain or address literal, as far as it can reach; moves *at behind it. */
static int
parse_domain(struct slice *at, unsigned allow, struct address *addr, const char **why)
{
	size_t i = 0;

	if (at->n && at->p[0] == '[') {
		i = slice_find(*at, ']');
		if (i == at->n)
			return bad(why, "a closing bracket is missing");
		addr->domain = slice(at->p, i + 1);
		addr->flags |= ADDRESS_LITERAL;
		*at = slice_from(*at, i + 1);
	} else {
		while (i < at->n && at->p[i] != '>' && at->p[i] != ' ' && at->p[i] != '\t' &&
		    at->p[i] != ',' && at->p[i] != ':')
			i++;
		addr->domain = slice(at->p, i);
		*at = slice_from(*at, i);
	}
	if (addr->domain.n == 0)
		return bad(why, "the domain is missing");
	if (!utf8_ascii(addr->domain)) {
		if (!(allow & ADDRESS_UTF8))
			return bad(why, "8-bit character without SMTPUTF8");
		addr->flags |= ADDRESS_UTF8;
	}
	if (!domain_valid(addr->domain, allow | (addr->flags & ADDRESS_LITERAL)))
		return bad(why,
		    addr->flags & ADDRESS_LITERAL ? "bad address literal" : "bad domain");
	return 0;
}

/* local@domain, or postmaster; moves *at behind it. */
static int
parse_mailbox(struct slice *at, unsigned allow, struct arena *a, struct address *addr,
    const char **why)
{
	if (parse_local(at, allow, a, addr, why) < 0)
		return -EBADMSG;
	if (at->n == 0 || at->p[0] != '@') {
		if (allow & ADDRESS_POSTMASTER && slice_ieq(addr->local, S("postmaster"))) {
			addr->flags |= ADDRESS_POSTMASTER;
			return 0;
		}
		if (allow & ADDRESS_BARE && (at->n == 0 || at->p[0] == '>')) {
			addr->flags |= ADDRESS_BARE;
			return 0;
		}
		return bad(why,
		    at->n && at->p[0] != '>' ? "bad character in the local part" :
					       "the domain is missing");
	}
	*at = slice_from(*at, 1);
	if (parse_domain(at, allow, addr, why) < 0)
		return -EBADMSG;
	if (addr->local.n + addr->domain.n + 3 > ADDRESS_PATH_MAX)
		return bad(why, "the address is longer than 256 octets");
	return 0;
}

/* "@a,@b:" is read over: RFC 5321 appendix C wants it accepted and ignored. */
static int
skip_route(struct slice *at, unsigned allow, const char **why)
{
	struct address hop;

	if (at->n == 0 || at->p[0] != '@')
		return 0;
	for (;;) {
		char c;

		hop = (struct address){ 0 };
		*at = slice_from(*at, 1);
		if (parse_domain(at, allow, &hop, why) < 0)
			return -EBADMSG;
		c = at->n ? at->p[0] : '\0';
		*at = slice_from(*at, 1);
		if (c == ':')
			return 0;
		if (c != ',' || at->n == 0 || at->p[0] != '@')
			return bad(why, "bad source route");
	}
}

int
address_parse_path(struct slice *at, unsigned allow, struct arena *a, struct address *addr,
    const char **why)
{
	struct slice s = *at;

	*addr = (struct address){ 0 };
	if (s.n == 0 || s.p[0] != '<')
		return bad(why, "the address must be in angle brackets");
	s = slice_from(s, 1);
	if (s.n && s.p[0] == '>') {
		if (!(allow & ADDRESS_NULL))
			return bad(why, "the empty path is not allowed here");
		addr->flags = ADDRESS_NULL;
	} else if (skip_route(&s, allow, why) < 0 || parse_mailbox(&s, allow, a, addr, why) < 0) {
		return -EBADMSG;
	}
	if (s.n == 0 || s.p[0] != '>')
		return bad(why, "a closing angle bracket is missing");
	*at = slice_from(s, 1);
	return 0;
}

int
address_parse(struct slice s, unsigned allow, struct arena *a, struct address *addr,
    const char **why)
{
	*addr = (struct address){ 0 };
	if (s.n == 0 && allow & ADDRESS_NULL) {
		addr->flags = ADDRESS_NULL;
		return 0;
	}
	if (parse_mailbox(&s, allow, a, addr, why) < 0)
		return -EBADMSG;
	return s.n == 0 ? 0 : bad(why, "bad character behind the address");
}

bool
address_leads_on(struct slice local)
{
	return slice_find(local, '%') < local.n || slice_find(local, '!') < local.n ||
	    slice_find(local, '@') < local.n;
}

void
address_write_parts(struct buf *b, struct slice local, struct slice domain)
{
	if (is_dot_string(local)) {
		buf_slice(b, local);
	} else if (local.n || domain.n) {
		buf_char(b, '"');
		for (size_t i = 0; i < local.n; i++) {
			if ((unsigned char)local.p[i] < ' ' || local.p[i] == 0x7f)
				continue; /* no spelling in an envelope */
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
address_write(struct buf *b, const struct address *addr)
{
	if (!(addr->flags & ADDRESS_NULL))
		address_write_parts(b, addr->local, addr->domain);
}

bool
address_eq(const struct address *a, const struct address *b)
{
	return (a->flags & ADDRESS_NULL) == (b->flags & ADDRESS_NULL) &&
	    slice_eq(a->local, b->local) && domain_eq(a->domain, b->domain);
}
