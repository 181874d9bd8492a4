/* directory/filter.c: escaping for filters and the reading of LDAP URLs (RFC 4515 3, RFC 4516 2).
 *
 * Owns nothing; fetch.c writes filters with it, directory.c reads the words of ldap.url, once each
 * reload.  Only a URL can be wrong, and is told with why.  Must stay true: whatever a stranger puts
 * into an address comes out as a value and never as a part of the filter, so all that is not known
 * to be harmless is escaped, and not what is known to be special. */
#include "directory/filter.h"

#include <errno.h>

static bool
harmless(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	    c == '.' || c == '-' || c == '_' || c == '@' || c == '+' || c == '=';
}

void
dir_filter_value(struct buf *b, struct slice value)
{
	for (size_t i = 0; i < value.n; i++) {
		if (harmless(value.p[i])) {
			buf_char(b, value.p[i]);
		} else {
			buf_char(b, '\\');
			buf_hex(b, value.p + i, 1);
		}
	}
}

void
dir_filter_equal(struct buf *b, const char *attribute, struct slice local, struct slice domain)
{
	buf_char(b, '(');
	buf_str(b, attribute);
	buf_char(b, '=');
	dir_filter_value(b, local);
	if (domain.n) {
		buf_char(b, '@');
		dir_filter_value(b, domain);
	}
	buf_char(b, ')');
}

/* Percent-decodes into w->host. */
static int
read_host(struct slice s, struct ldap_where *w)
{
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (c == '%') {
			int hi = i + 2 < s.n ? ascii_hex(s.p[i + 1]) : -1;
			int lo = i + 2 < s.n ? ascii_hex(s.p[i + 2]) : -1;

			if (hi < 0 || lo < 0 || (hi == 0 && lo == 0))
				return -EINVAL;
			c = (char)(hi << 4 | lo);
			i += 2;
		}
		if (n + 1 >= sizeof(w->host))
			return -EINVAL;
		w->host[n++] = c;
	}
	w->host[n] = '\0';
	return 0;
}

int
dir_where_parse(struct slice url, struct ldap_where *w, const char **why)
{
	struct slice s = url;
	size_t colon;
	uint64_t port;

	*w = (struct ldap_where){ 0 };
	*why = "an LDAP URL is ldap://host[:port] or ldapi://%2Fpath";
	if (slice_istarts(s, S("ldapi://"))) {
		w->local = true;
		s = slice_from(s, 8);
	} else if (slice_istarts(s, S("ldaps://"))) {
		w->tls = true;
		w->port = 636;
		s = slice_from(s, 8);
	} else if (slice_istarts(s, S("ldap://"))) {
		w->port = 389;
		s = slice_from(s, 7);
	} else {
		return -EINVAL;
	}
	if (slice_ends(s, S("/")))
		s.n--; /* ldap://host/ */
	if (slice_find(s, '/') < s.n || slice_find(s, '?') < s.n) {
		*why = "an LDAP URL here has no DN, attributes or filter: see ldap.base";
		return -EINVAL;
	}
	if (w->local) {
		if (s.n == 0)
			s = S("%2Frun%2Fslapd%2Fldapi"); /* where slapd has it by default */
		if (read_host(s, w) < 0 || w->host[0] != '/') {
			*why = "ldapi:// needs the absolute path of a socket, / written as %2F";
			return -EINVAL;
		}
		return 0;
	}
	if (s.n && s.p[0] == '[') {
		size_t end = slice_find(s, ']');

		if (read_host(slice_sub(s, 1, end - 1), w) < 0 || end == s.n)
			return -EINVAL;
		s = slice_from(s, end + 1);
		colon = 0;
	} else {
		colon = slice_find(s, ':');
		if (read_host(slice_sub(s, 0, colon), w) < 0)
			return -EINVAL;
	}
	if (!w->host[0])
		return -EINVAL;
	s = slice_from(s, colon);
	if (s.n == 0)
		return 0;
	if (s.p[0] != ':' || slice_u64(slice_from(s, 1), 65535, &port) < 0 || port == 0) {
		*why = "bad port in an LDAP URL";
		return -EINVAL;
	}
	w->port = (int)port;
	return 0;
}
