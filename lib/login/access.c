/* login/access.c: the access filters of users and domains (access.h).
 *
 * Owns nothing and keeps nothing: a value of the directory and a client in, an answer out;
 * login.c calls it after the password.  What can fail is the value: a rule without sign or
 * colon is malformed as a whole, because half a filter may grant what the other half denies.
 * What must stay true: a word that we do not understand matches nobody.  The recursion of EXCEPT
 * is bounded by LISTS_MAX; the cost is words of the value x 2 service names. */
#include "login/access.h"

#include <stdio.h>

#define LISTS_MAX 8 /* "a EXCEPT b EXCEPT c ...": more is malformed */

/* Who asks. */
struct asker {
	struct slice service; /* "imap" */
	bool tls;
	const struct addr *from;
};
typedef bool (*access_match)(const struct asker *, struct slice word);

/* ---- words ------------------------------------------------------------------------------- */

static bool
access_is_blank(char c)
{
	return c == ' ' || c == '\t' || c == ',' || c == '\r' || c == '\n';
}

/* The next word of a list off the front of *s; false at its end. */
static bool
access_word(struct slice *s, struct slice *word)
{
	size_t n = 0;

	while (s->n && access_is_blank(s->p[0]))
		*s = slice_from(*s, 1);
	while (n < s->n && !access_is_blank(s->p[n]))
		n++;
	*word = slice_sub(*s, 0, n);
	*s = slice_from(*s, n);
	return n > 0;
}

static bool
access_is_all(struct slice word)
{
	return slice_eq(word, S("*")) || slice_ieq(word, S("ALL"));
}

/* POP3 has two names: Sun's words are pop and pops, many write pop3 and pop3s. */
static bool
access_match_service(const struct asker *a, struct slice word)
{
	if (slice_ieq(word, S("pop3")))
		word = S("pop");
	else if (slice_ieq(word, S("pop3s")))
		word = S("pops");
	if (access_is_all(word) || slice_ieq(word, a->service))
		return true;
	return a->tls && word.n == a->service.n + 1 && slice_istarts(word, a->service) &&
	    ascii_lower(word.p[word.n - 1]) == 's';
}

/* "255.255.254.0" as a prefix length, or -1. */
static int
access_mask(struct slice text)
{
	struct slice part;
	uint32_t mask = 0;
	uint64_t v;
	int parts = 0, bits = 0;

	while (parts < 4 && slice_cut(&text, '.', &part)) {
		if (part.n == 0 || slice_u64(part, 255, &v) < 0)
			return -1;
		mask = mask << 8 | (uint32_t)v;
		parts++;
	}
	if (parts != 4 || text.n)
		return -1;
	while (bits < 32 && mask & 1u << (31 - bits))
		bits++;
	return bits == 32 || mask << bits == 0 ? bits : -1;
}

/* "192.0.2.0/255.255.255.0". */
static bool
access_match_masked(const struct addr *from, struct slice net, struct slice mask)
{
	char text[ADDR_TEXT];
	int bits = access_mask(mask);

	if (bits < 0 || net.n > INET_ADDRSTRLEN)
		return false;
	(void)snprintf(text, sizeof(text), SFMT "/%d", SARG(net), bits);
	return addr_in(from, slice_str(text)) > 0;
}

static bool
access_match_client(const struct asker *a, struct slice word)
{
	size_t slash = slice_find(word, '/');
	char host[ADDR_TEXT];

	if (access_is_all(word))
		return true;
	/* A program on this host over a Unix socket has no address that a filter could name. */
	if (a->from->sa.sa_family == AF_UNIX)
		return false;
	if (slice_ieq(word, S("UNKNOWN")))
		return true;
	/* "192.0.2.": the beginning of an address, in whole numbers. */
	if (word.n && word.p[word.n - 1] == '.' && word.p[0] >= '0' && word.p[0] <= '9')
		return slice_starts(slice_str(addr_host(a->from, host)), word);
	if (slash < word.n && slice_find(slice_from(word, slash), '.') < word.n - slash)
		return access_match_masked(a->from, slice_sub(word, 0, slash),
		    slice_from(word, slash + 1));
	return addr_in(a->from, word) > 0; /* a name is no network: nobody */
}

/* ---- lists ------------------------------------------------------------------------------- */

/* "one two EXCEPT three": 1 or 0, -1 when malformed. */
static int
access_list(struct slice s, const struct asker *a, access_match match, unsigned depth)
{
	struct slice word;
	bool found = false, any = false;

	if (depth == LISTS_MAX)
		return -1;
	while (access_word(&s, &word)) {
		if (slice_ieq(word, S("EXCEPT"))) {
			int not_these = any ? access_list(s, a, match, depth + 1) : -1;

			return not_these < 0 ? -1 : found && !not_these;
		}
		any = true;
		found |= match(a, word);
	}
	return any ? found : -1;
}

/* Does the rule speak of this client?  1 or 0, -1 when malformed; *allow says how. */
static int
access_rule(struct slice rule, const struct asker *a, bool *allow)
{
	size_t colon = slice_find(rule, ':');
	int service, client;

	if (colon == rule.n || (rule.p[0] != '+' && rule.p[0] != '-'))
		return -1;
	*allow = rule.p[0] == '+';
	service = access_list(slice_sub(rule, 1, colon - 1), a, access_match_service, 0);
	client = access_list(slice_from(rule, colon + 1), a, access_match_client, 0);
	return service < 0 || client < 0 ? -1 : service && client;
}

enum login_access
login_access_check(struct slice value, const char *service, bool tls, const struct addr *from)
{
	struct addr plain = *from; /* a dual listener shows IPv4 as ::ffff:192.0.2.1 */
	const struct asker a = { slice_str(service), tls, &plain };
	bool allows = false, denies = false, allowed = false, denied = false, allow;
	struct slice rule;

	addr_unmap(&plain);
	while (slice_cut(&value, '$', &rule)) {
		int match;

		rule = slice_trim(rule);
		if (rule.n == 0)
			continue;
		match = access_rule(rule, &a, &allow);
		if (match < 0)
			return LOGIN_ACCESS_MALFORMED;
		*(allow ? &allows : &denies) = true;
		if (match)
			*(allow ? &allowed : &denied) = true;
	}
	if (allowed)
		return LOGIN_ACCESS_GRANTED;
	if (denied || (allows && !denies))
		return LOGIN_ACCESS_DENIED;
	return LOGIN_ACCESS_GRANTED;
}
