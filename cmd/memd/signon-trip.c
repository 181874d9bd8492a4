/* memd/signon-trip.c: who is on the way to the provider and back: a cookie of each browser, and nothing here.
 *
 *	text = *( time SP seed SP path LF )	the last first, time in seconds since 1970
 *
 * Owns nothing.  Called by signon.c.  Cannot fail: a cookie that is not ours, or is over, has no trips.  Must stay true: a trip
 * is of SIGNON_TRIP_S at most and used once; a browser has SIGNON_TRIPS at most, so that one that begins ever more has
 * no longer a cookie. */
#include "base/clock.h"
#include "base/mem.h"
#include "memd.h"
#include "web/cookie.h"

#define SIGNON_COOKIE "__Host-tiermail-signon"
#define SIGNON_LABEL  "tiermail signon"
#define SIGNON_TRIPS  4
#define SIGNON_TRIP_S                                                                              \
	900 /* for a password, a second factor, and a telephone that has to be looked for */

static bool
signon_trip_next(struct slice *rest, struct slice *line, struct slice *seed, struct slice *to)
{
	struct slice word;
	uint64_t at;

	while (slice_cut(rest, '\n', line)) {
		*to = *line;
		if (!slice_word(to, &word) || slice_u64(word, INT64_MAX, &at) < 0 ||
		    !slice_word(to, seed) || (int64_t)at + SIGNON_TRIP_S <= clock_now())
			continue;
		*to = slice_trim(*to);
		return true;
	}
	return false;
}

/* What the browser has of them; empty when nothing is good. */
static void
signon_trips(struct memd_session *s, struct buf *text)
{
	struct slice token = web_cookie_find(http_server_head(&s->http), S(SIGNON_COOKIE));
	bool old;

	if (!token.p || !web_open(memd.keys, SIGNON_LABEL, token, text, &old))
		buf_clear(text);
}

void
memd_signon_trips(struct memd_session *s, struct slice first, struct slice but)
{
	struct buf text = { 0 }, now = { 0 }, token = { 0 }, b = { 0 };
	struct slice rest, line, seed, to;
	struct web_cookie c = { .name = S(SIGNON_COOKIE), .age_s = SIGNON_TRIP_S, .lax = true };
	size_t n = 0;

	if (first.n) {
		buf_slice(&now, first);
		n++;
	}
	signon_trips(s, &text);
	rest = buf_get(&text);
	while (n < SIGNON_TRIPS && signon_trip_next(&rest, &line, &seed, &to))
		if (!slice_eq(seed, but)) {
			buf_slice(&now, line);
			buf_char(&now, '\n');
			n++;
		}
	if (n)
		web_seal(memd.keys, SIGNON_LABEL, buf_get(&now), &token);
	else
		c.age_s = 0;
	c.value = buf_get(&token);
	web_cookie_put(&b, &c);
	http_server_field(&s->http, "Set-Cookie", buf_get(&b));
	buf_fini(&text);
	buf_fini(&now);
	buf_fini(&token);
	buf_fini(&b);
}

bool
memd_signon_trip(struct memd_session *s, struct slice state, struct oauth_trip *trip, char **to)
{
	struct buf text = { 0 };
	struct slice rest, line, seed, path;
	bool found = false;

	signon_trips(s, &text);
	rest = buf_get(&text);
	while (!found && state.n && signon_trip_next(&rest, &line, &seed, &path)) {
		found = oauth_trip_make(trip, seed) && slice_eq(state, slice_str(trip->state));
		if (found)
			*to = mem_strn(path.p, path.n);
	}
	buf_fini(&text);
	return found;
}
