/* places.c: the lines of what jobctl has learned of destinations: see places.h.
 *
 * Pure; called by jobctl, compacting on a work thread.  What cannot be read is passed over: all of it can be learned
 * again, at the price of an attempt.  Must stay true: a line that reads is one that was written whole. */
#include "base/crc.h"
#include "base/map.h"
#include "base/mem.h"
#include "job/places.h"

#define SUM_LEN 13 /* " crc=" and eight digits */

void
job_place_write(struct buf *b, const struct job_place *p)
{
	size_t start = b->n;

	buf_str(b, p->dest.n ? "place" : "hosts");
	kv_put_raw(b, "channel", p->channel);
	if (p->dest.n)
		kv_put_raw(b, "dest", p->dest);
	if (p->mx.n)
		kv_put_raw(b, "mx", p->mx);
	if (p->until)
		kv_put_i64(b, "until", p->until);
	buf_printf(b, " crc=%08x\n", crc32c(0, b->p + start, b->n - start));
}

bool
job_place_parse(struct slice line, struct job_place *p)
{
	struct slice text = slice_sub(line, 0, line.n < SUM_LEN ? 0 : line.n - SUM_LEN), until;
	struct buf sum = { 0 };
	uint64_t at = 0;
	bool whole;

	*p = (struct job_place){ 0 };
	buf_printf(&sum, " crc=%08x", crc32c(0, text.p, text.n));
	whole = text.n && slice_eq(slice_from(line, text.n), buf_get(&sum));
	buf_fini(&sum);
	if (!whole)
		return false;
	p->channel = kv_find(text, "channel");
	p->mx = kv_find(text, "mx");
	until = kv_find(text, "until");
	if (until.p && slice_u64(until, UINT32_MAX, &at) < 0)
		return false;
	p->until = (int64_t)at;
	if (slice_starts(text, S("place ")))
		p->dest = kv_find(text, "dest");
	else if (!slice_starts(text, S("hosts ")))
		return false;
	return p->channel.n && (slice_starts(text, S("hosts ")) ? p->mx.n > 0 : p->dest.n > 0);
}

/* ---- compacting -------------------------------------------------------------------------------- */

struct places_line {
	struct slice key, text; /* key: the line up to what may change */
	bool keep;
};

/* "place channel=C dest=D" or "hosts channel=C mx=M": values are escaped, so it is unambiguous. */
static struct slice
places_key(struct slice line, const struct job_place *p)
{
	struct slice last = p->dest.n ? p->dest : p->mx;

	return slice(line.p, (size_t)(last.p + last.n - line.p));
}

static size_t
places_lines(struct slice text, int64_t now, struct places_line *lines, size_t *bad)
{
	struct map known = { 0 };
	struct slice line;
	size_t n = 0;

	*bad = 0;
	while (slice_cut(&text, '\n', &line)) {
		struct places_line *l = &lines[n], *before;
		struct job_place p;

		if (!job_place_parse(line, &p)) {
			++*bad;
			continue;
		}
		*l = (struct places_line){ .key = places_key(line, &p), .text = line };
		l->keep = p.until > now || (p.dest.n && p.mx.n);
		if ((before = map_put(&known, l->key, l)))
			before->keep = false;
		n++;
	}
	map_fini(&known);
	return n;
}

size_t
job_places_compact(struct slice text, int64_t now, struct buf *out)
{
	size_t room = 1, n, bad, left = 0;
	struct places_line *lines;

	for (size_t i = 0; i < text.n; i++)
		room += text.p[i] == '\n';
	lines = mem_array(room, sizeof(*lines));
	n = places_lines(text, now, lines, &bad);
	for (size_t i = 0; i < n; i++)
		left += lines[i].keep;
	for (size_t i = 0; i < n; i++) {
		if (!lines[i].keep || left-- > JOB_PLACES_MOST)
			continue;
		buf_slice(out, lines[i].text);
		buf_char(out, '\n');
	}
	mem_free(&lines);
	return bad;
}
