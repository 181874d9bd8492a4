/* channels-limits.c: how much of a channel's mail goes out, and how fast: see channels.h.
 *
 * Called by channels.c while it reads, and by jobctl and its masters afterwards; no state, nothing fails but
 * a text that says nothing. */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/mem.h"
#include "mta/channels-impl.h"
#include "mta/keywords.h"

struct channel_reply **channels_raw_replies;

#define AT(type, member) ((void *)offsetof(type, member))
/* clang-format off */
const struct conf_key channels_reply_keys[CHANNELS_REPLY_KEYS] = {
	{ "channel", CONF_STR, AT(struct channel_reply, channel), "*", 0, 0, RELOAD, NULL,
	    "The channel whose mail was refused; * is any characters." },
	{ "code", CONF_STR, AT(struct channel_reply, code), "", 0, 0, RELOAD, NULL,
	    "The reply code, or how it begins; empty is any." },
	{ "text", CONF_STR, AT(struct channel_reply, text), "*", 0, 0, RELOAD, NULL,
	    "What the server said, in any case; * is any characters." },
	{ "suspend", CONF_TIME, AT(struct channel_reply, suspend), NULL, 1000, 604800000, RELOAD,
	    NULL, "How long the destination gets nothing." },
};
/* clang-format on */

/* ---- rates ---------------------------------------------------------------------- */

int
channels_rate_parse(struct slice s, struct channel_rate *r)
{
	size_t slash = slice_find(s, '/');
	uint64_t n;
	uint32_t per;

	if (slash == s.n || slice_u64(slice(s.p, slash), 1000000000, &n) < 0 || n == 0 ||
	    mta_period_parse(slice_from(s, slash + 1), &per) < 0 || per == 0)
		return -EINVAL;
	*r = (struct channel_rate){ (uint32_t)n, per };
	return 0;
}

void
channels_rate_set(struct channel_rate *r, const char *text, const char *where, const char *key,
    struct buf *why)
{
	if (*text && channels_rate_parse(slice_str(text), r) < 0)
		buf_printf(why, "%s: %s = %s: is no rate (100/1m, 5000/1h)\n", where, key, text);
}

void
channels_rate_print(struct buf *out, const char *key, const struct channel_rate *r)
{
	if (r->n)
		buf_printf(out, "%s = %u/%us\n", key, r->n, r->per);
	else
		buf_printf(out, "%s = \"\"\n", key);
}

/* ---- windows -------------------------------------------------------------------- */

static const char *const window_keys[] = { "urgentwindow", "normalwindow", "nonurgentwindow" };

void
channels_window_set(struct mta_windows *ws, char *const *words, int prio, const char *where,
    struct buf *why)
{
	*ws = (struct mta_windows){ 0 };
	for (; words && *words; words++)
		if (ws->n == MTA_WINDOWS_MAX) {
			buf_printf(why, "%s: %s: at most %d times\n", where, window_keys[prio],
			    MTA_WINDOWS_MAX);
			return;
		} else if (mta_window_parse(slice_str(*words), &ws->w[ws->n]) < 0) {
			buf_printf(why,
			    "%s: %s: %s: is no time of the day (08:00-18:00, 22:00-06:00)\n", where,
			    window_keys[prio], *words);
		} else {
			ws->n++;
		}
}

static void
print_time(struct buf *out, uint32_t second)
{
	buf_printf(out, "%02u:%02u", second / 3600, second / 60 % 60);
	if (second % 60)
		buf_printf(out, ":%02u", second % 60);
}

void
channels_window_print(struct buf *out, int prio, const struct mta_windows *ws)
{
	buf_printf(out, "%s =%s", window_keys[prio], ws->n ? "" : " \"\"");
	for (uint32_t i = 0; i < ws->n; i++) {
		buf_char(out, ' ');
		print_time(out, ws->w[i].from);
		buf_char(out, '-');
		print_time(out, ws->w[i].to);
	}
	buf_char(out, '\n');
}

/* ---- replies -------------------------------------------------------------------- */

void
channels_replies_add(struct channels *cs, struct buf *why)
{
	for (struct channel_reply **r = channels_raw_replies; r && *r; r++) {
		struct slice code = slice_str((*r)->code);
		bool fits = code.n <= 3 && (code.n == 0 || code.p[0] == '4' || code.p[0] == '5');

		for (size_t i = 0; i < code.n; i++)
			fits = fits && code.p[i] >= '0' && code.p[i] <= '9';
		if (!fits)
			buf_printf(why, "%s: [reply %s] code = %s: is no code of a refusal\n",
			    conf_where(&(*r)->code), (*r)->name, (*r)->code);
		if (!channels_name_ok(slice_str((*r)->name)))
			buf_printf(why, "%s: [reply %s]: a name is 1 to %d of a-z 0-9 _ -\n",
			    conf_where(&(*r)->text), (*r)->name, CHANNEL_NAME_MAX);
		cs->reply[cs->nreply++] =
		    (struct channel_reply){ mem_str((*r)->name), mem_str((*r)->channel),
			    mem_str((*r)->code), mem_str((*r)->text), (*r)->suspend };
	}
}

void
channels_replies_free(struct channels *c)
{
	for (size_t i = 0; i < c->nreply; i++) {
		free(c->reply[i].name);
		free(c->reply[i].channel);
		free(c->reply[i].code);
		free(c->reply[i].text);
	}
	free(c->reply);
}

void
channels_replies_print(const struct channels *cs, struct buf *out)
{
	for (size_t i = 0; i < cs->nreply; i++)
		buf_printf(out,
		    "\n[reply %s]\nchannel = \"%s\"\ncode = \"%s\"\ntext = \"%s\"\n"
		    "suspend = %lldms\n",
		    cs->reply[i].name, cs->reply[i].channel, cs->reply[i].code, cs->reply[i].text,
		    (long long)cs->reply[i].suspend);
}

/* Does the whole text fit the pattern?  A `*` is tried from left to right, the one before it never again:
 * pattern x text steps at most. */
static bool
limits_fits(struct slice pattern, struct slice text)
{
	size_t p = 0, t = 0, star = SIZE_MAX, from = 0;

	while (t < text.n) {
		if (p < pattern.n && pattern.p[p] == '*') {
			star = p++;
			from = t;
		} else if (p < pattern.n && ascii_lower(pattern.p[p]) == ascii_lower(text.p[t])) {
			p++;
			t++;
		} else if (star < pattern.n) {
			p = star + 1;
			t = ++from;
		} else {
			return false;
		}
	}
	while (p < pattern.n && pattern.p[p] == '*')
		p++;
	return p == pattern.n;
}

const struct channel_reply *
channels_reply(const struct channels *c, const char *channel, unsigned code, struct slice text)
{
	char digits[8];

	(void)snprintf(digits, sizeof(digits), "%u", code);
	for (size_t i = 0; i < c->nreply; i++) {
		const struct channel_reply *r = &c->reply[i];

		if (limits_fits(slice_str(r->channel), slice_str(channel)) &&
		    slice_starts(slice_str(digits), slice_str(r->code)) &&
		    limits_fits(slice_str(r->text), text))
			return r;
	}
	return NULL;
}
