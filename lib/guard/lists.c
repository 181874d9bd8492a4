/* guard/lists.c: see lists.h.  Nothing here fails but what a configuration or a stranger has written. */
#include "guard/lists.h"

#define NAME_MAX_DNS 253

/* One number of a pattern, "7", "2-11" or "*"; and whether n is within. */
static bool
guard_part(struct slice part, uint64_t n, bool *within)
{
	size_t dash = slice_find(part, '-');
	uint64_t low = 0, high = 255;

	if (!slice_eq(part, S("*"))) {
		if (slice_u64(slice_sub(part, 0, dash), 255, &low) < 0)
			return false;
		high = low;
		if (dash < part.n && slice_u64(slice_from(part, dash + 1), 255, &high) < 0)
			return false;
	}
	*within = *within && n >= low && n <= high;
	return low <= high;
}

static bool
guard_code(struct slice word, const uint8_t code[4], bool *matches)
{
	struct slice part;
	size_t n = 0;

	*matches = true;
	while (n < 4 && slice_cut(&word, '.', &part))
		if (!guard_part(part, code[n++], matches))
			return false;
	return n == 4 && word.n == 0;
}

bool
guard_code_valid(struct slice word)
{
	static const uint8_t any[4];
	bool matches;

	return guard_code(word, any, &matches);
}

bool
guard_listed(char *const *codes, const struct addr *addrs, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint8_t code[4];
		bool matches;

		if (addrs[i].sa.sa_family != AF_INET)
			continue;
		memcpy(code, &addrs[i].in.sin_addr, sizeof(code));
		if (code[0] != 127)
			continue; /* a resolver that answers for names that there are not */
		if (!codes || !*codes) {
			if (code[1] != 255 || code[2] != 255)
				return true;
			continue;
		}
		for (char *const *c = codes; *c; c++)
			if (guard_code(slice_str(*c), code, &matches) && matches)
				return true;
	}
	return false;
}

bool
guard_list_name_addr(struct buf *b, const struct addr *a, struct slice zone)
{
	static const char hex[] = "0123456789abcdef";
	const uint8_t *p = a->sa.sa_family == AF_INET ? (const uint8_t *)&a->in.sin_addr :
							a->in6.sin6_addr.s6_addr;

	if (a->sa.sa_family == AF_INET) {
		buf_printf(b, "%u.%u.%u.%u." SFMT, p[3], p[2], p[1], p[0], SARG(zone));
		return true;
	}
	if (a->sa.sa_family != AF_INET6)
		return false;
	for (int i = 15; i >= 0; i--)
		buf_printf(b, "%c.%c.", hex[p[i] & 15], hex[p[i] >> 4]);
	buf_slice(b, zone);
	return true;
}

bool
guard_list_name_domain(struct buf *b, struct slice domain, struct slice zone)
{
	/* A literal or a name without a point is on no list. */
	if (domain.n == 0 || domain.p[0] == '[' || slice_find(domain, '.') == domain.n)
		return false;
	if (slice_ends(domain, S(".")))
		domain.n--;
	if (domain.n + 1 + zone.n > NAME_MAX_DNS)
		return false;
	buf_printf(b, SFMT "." SFMT, SARG(domain), SARG(zone));
	return true;
}

void
guard_list_name_probe(struct buf *b, bool domains, struct slice zone)
{
	buf_printf(b, "%s." SFMT, domains ? "invalid" : "1.0.0.127", SARG(zone));
}
