/* web/records.c: the sessions of one account as a text: see records.h.
 *
 * Owns nothing: texts in, texts out; the store's servers keep them (jmapd), and say for whom.  Nothing can fail: a
 * text that is damaged has fewer sessions.  Must stay true: no session that is over comes back by a change of
 * another, and what a client says of itself stays within its line. */
#include "web/records.h"

#define RECORDS_FIRST "1\n"

bool
web_record_id(struct slice id)
{
	for (size_t i = 0; i < id.n; i++) {
		char c = ascii_lower(id.p[i]);

		if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '-' && c != '_')
			return false;
	}
	return id.n == WEB_SESSION_ID;
}

/* ---- reading ----------------------------------------------------------------------------------------- */

static bool
records_word(struct slice *line, struct slice *word)
{
	return slice_cut(line, ' ', word) && word->n;
}

static bool
records_time(struct slice *line, int64_t *at)
{
	struct slice word;
	uint64_t v;

	if (!records_word(line, &word) || slice_u64(word, INT64_MAX, &v) < 0)
		return false;
	*at = (int64_t)v;
	return true;
}

static bool
records_parse(struct slice line, struct web_record *r)
{
	if (!records_word(&line, &r->id) || !web_record_id(r->id) ||
	    !records_time(&line, &r->began) || !records_time(&line, &r->seen) ||
	    !records_time(&line, &r->until) || !records_word(&line, &r->address))
		return false;
	r->client = line;
	return true;
}

struct slice
web_records_start(struct slice text)
{
	return slice_starts(text, S(RECORDS_FIRST)) ? slice_from(text, strlen(RECORDS_FIRST)) :
						      S("");
}

bool
web_records_next(struct slice *rest, struct web_record *r)
{
	struct slice line;

	while (rest->n && slice_cut(rest, '\n', &line))
		if (records_parse(line, r))
			return true;
	return false;
}

bool
web_records_find(struct slice text, struct slice id, int64_t now, struct web_record *r)
{
	struct slice rest = web_records_start(text);

	while (web_records_next(&rest, r))
		if (slice_eq(r->id, id))
			return r->until > now;
	return false;
}

/* ---- changing ---------------------------------------------------------------------------------------- */

static void
records_write(struct buf *out, const struct web_record *r)
{
	struct slice client = slice_sub(r->client, 0, WEB_RECORDS_CLIENT);

	if (out->n == 0)
		buf_lit(out, RECORDS_FIRST);
	buf_printf(out, SFMT " %lld %lld %lld " SFMT " ", SARG(r->id), (long long)r->began,
	    (long long)r->seen, (long long)r->until, SARG(r->address));
	for (size_t i = 0; i < client.n; i++)
		buf_char(out, client.p[i] < ' ' || client.p[i] > '~' ? '?' : client.p[i]);
	buf_char(out, '\n');
}

/* Which of them is the longest unused, when they are as many as may be; empty: they are fewer. */
static struct slice
records_oldest(struct slice text, int64_t now)
{
	struct slice rest = web_records_start(text), id = S("");
	struct web_record r;
	int64_t seen = INT64_MAX;
	size_t n = 0;

	while (web_records_next(&rest, &r)) {
		if (r.until <= now)
			continue;
		n++;
		if (r.seen < seen) {
			seen = r.seen;
			id = r.id;
		}
	}
	return n < WEB_RECORDS_MOST ? S("") : id;
}

/* All that are not over, but for two. */
static void
records_keep(struct slice text, struct slice but, struct slice too, int64_t now, struct buf *out)
{
	struct slice rest = web_records_start(text);
	struct web_record r;

	buf_lit(out, RECORDS_FIRST);
	while (web_records_next(&rest, &r))
		if (r.until > now && !slice_eq(r.id, but) && !slice_eq(r.id, too))
			records_write(out, &r);
}

void
web_records_begin(struct slice text, const struct web_record *r, bool alone, int64_t now,
    struct buf *out)
{
	if (!alone)
		records_keep(text, records_oldest(text, now), r->id, now, out);
	records_write(out, r);
}

bool
web_records_seen(struct slice text, struct slice id, int64_t until, int64_t now, struct buf *out)
{
	struct web_record r;

	if (!web_records_find(text, id, now, &r))
		return false;
	records_keep(text, id, id, now, out);
	r.seen = now;
	r.until = until;
	records_write(out, &r);
	return true;
}

bool
web_records_end(struct slice text, struct slice id, int64_t now, struct buf *out)
{
	struct web_record r;

	if (!web_records_find(text, id, now, &r))
		return false;
	records_keep(text, id, id, now, out);
	return true;
}

bool
web_records_end_others(struct slice text, struct slice id, int64_t now, struct buf *out)
{
	struct slice rest = web_records_start(text);
	struct web_record r;
	bool others = false;

	buf_lit(out, RECORDS_FIRST);
	while (web_records_next(&rest, &r)) {
		if (slice_eq(r.id, id) && r.until > now)
			records_write(out, &r);
		else
			others = true;
	}
	if (!others)
		buf_clear(out);
	return others;
}
