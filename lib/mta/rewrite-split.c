/* rewrite-split.c: the next host of an address: see rules-impl.h.
 *
 * Called by rewrite.c at the beginning of each pass.  Hosts count in this order: of a source route the
 * left-most; right of the last `@`; right of the last `%`; left of the first `!` (bangoverpercent on the
 * channel swaps the last two).  What stands in quotes or brackets is text.  What fails is an address that
 * is none.  Nothing is copied: host and rest borrow from the address. */
#include <errno.h>
#include "mta/rules-impl.h"

#define HOST_MAX 255 /* octets, RFC 1035 3.1 */

/* Where c stands outside quotes and brackets, first or last; s.n when nowhere. */
static size_t
outside(struct slice s, char c, bool last)
{
	bool quoted = false, bracket = false;
	size_t found = s.n;

	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '\\' && i + 1 < s.n) {
			i++;
		} else if (s.p[i] == '"') {
			quoted = !quoted;
		} else if (!quoted && s.p[i] == c && !bracket) {
			found = i;
			if (!last)
				return i;
		} else if (!quoted && (s.p[i] == '[' || s.p[i] == ']')) {
			bracket = s.p[i] == '[';
		}
	}
	return found;
}

/* May it be a host?  What no host can be is not looked up: a pattern may hold signs that tags are made of. */
static bool
host_ok(struct slice h)
{
	if (h.n == 0 || h.n > HOST_MAX)
		return false;
	if (h.p[0] == '[')
		return h.n > 2 && h.p[h.n - 1] == ']';
	for (size_t i = 0; i < h.n; i++) {
		char c = ascii_lower(h.p[i]);

		if (c == '.' && (i == 0 || i + 1 == h.n || h.p[i - 1] == '.'))
			return false;
		if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
			c == '.' || (unsigned char)c >= 0x80))
			return false;
	}
	return true;
}

/* @host:rest, @host,@more:rest */
static int
split_route(struct slice a, struct mta_split *out)
{
	size_t comma = outside(a, ',', false), colon = outside(a, ':', false);
	size_t end = comma < colon ? comma : colon;

	if (end == a.n)
		return -EBADMSG;
	out->place = MTA_PLACE_ROUTE;
	out->host = slice_sub(a, 1, end - 1);
	out->user = slice_from(a, end + 1);
	if (comma < colon && (out->user.n == 0 || out->user.p[0] != '@'))
		return -EBADMSG;
	return host_ok(out->host) && out->user.n ? 0 : -EBADMSG;
}

static bool
split_percent(struct slice a, struct mta_split *out)
{
	size_t at = outside(a, '%', true);

	if (at == a.n || at == 0 || !host_ok(slice_from(a, at + 1)))
		return false;
	*out = (struct mta_split){ MTA_PLACE_PERCENT, slice_sub(a, 0, at), slice_from(a, at + 1) };
	return true;
}

static bool
split_bang(struct slice a, struct mta_split *out)
{
	size_t at = outside(a, '!', false);

	if (at == a.n || at + 1 == a.n || !host_ok(slice_sub(a, 0, at)))
		return false;
	*out = (struct mta_split){ MTA_PLACE_BANG, slice_from(a, at + 1), slice_sub(a, 0, at) };
	return true;
}

int
mta_split_address(struct slice a, bool bang_first, struct mta_split *out)
{
	size_t at;

	*out = (struct mta_split){ 0 };
	if (a.n == 0 || a.n > MTA_STRING_MAX)
		return -EBADMSG;
	if (a.p[0] == '@')
		return split_route(a, out);
	at = outside(a, '@', true);
	if (at < a.n) {
		if (at == 0 || !host_ok(slice_from(a, at + 1)))
			return -EBADMSG;
		*out =
		    (struct mta_split){ MTA_PLACE_AT, slice_sub(a, 0, at), slice_from(a, at + 1) };
		return 0;
	}
	if (bang_first ? split_bang(a, out) || split_percent(a, out) :
			 split_percent(a, out) || split_bang(a, out))
		return 0;
	return -ENOENT;
}
