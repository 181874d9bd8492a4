/* net/trace-want.c: see trace-want.h.
 *
 * Owns what was wanted and the lines that nobody has fetched yet, of this process.  Called by daemon/wire.c, by streams
 * when they are opened, and by trace.c with each line.  Nothing can fail.  Must stay true: it holds no more than
 * TRACE_WANTS times TRACE_KEEP octets; lines come masked (trace.c). */
#include "net/trace-want.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/civil.h"
#include "base/kv.h"
#include "base/log.h"

static struct trace_want wants[TRACE_WANTS];
static size_t nwants;

struct trace_want *
trace_want_at(size_t i)
{
	return i < TRACE_WANTS ? &wants[i] : NULL;
}

struct trace_want *
trace_want_find(struct slice id)
{
	for (size_t i = 0; i < TRACE_WANTS; i++)
		if (*wants[i].id && slice_eq(id, slice_str(wants[i].id)))
			return &wants[i];
	return NULL;
}

struct trace_want *
trace_want_new(struct slice id)
{
	for (size_t i = 0; i < TRACE_WANTS; i++) {
		if (*wants[i].id)
			continue;
		memset(&wants[i], 0, sizeof(wants[i]));
		slice_cstr(id, wants[i].id, sizeof(wants[i].id));
		nwants++;
		return &wants[i];
	}
	return NULL;
}

bool
trace_want_add(struct trace_want *w, const char *sid)
{
	for (size_t i = 0; i < w->nsids; i++)
		if (strcmp(w->sids[i], sid) == 0)
			return false;
	if (w->nsids == TRACE_SIDS)
		return false;
	slice_cstr(slice_str(sid), w->sids[w->nsids++], sizeof(w->sids[0]));
	return true;
}

void
trace_want_free(struct trace_want *w)
{
	buf_fini(&w->lines);
	w->id[0] = '\0';
	nwants--;
}

bool
trace_wanted(void)
{
	return nwants > 0;
}

static bool
want_fits(const struct trace_want *w, const char *sid, const struct addr *peer)
{
	for (size_t i = 0; i < w->nsids; i++)
		if (strcmp(w->sids[i], sid) == 0)
			return true;
	if (!*w->id || w->named)
		return false;
	return (!*w->sid || strcmp(w->sid, sid) == 0) &&
	    (!*w->peer || addr_in(peer, slice_str(w->peer)) > 0);
}

unsigned
trace_want_fits(const char *sid, const struct addr *peer)
{
	unsigned bits = 0;

	for (unsigned i = 0; i < TRACE_WANTS; i++)
		if (*wants[i].id && want_fits(&wants[i], sid, peer))
			bits |= 1u << i;
	return bits;
}

/* Now, as the log writes it. */
static void
want_time(struct buf *b)
{
	struct timespec now;
	struct civil c;

	clock_gettime(CLOCK_REALTIME, &now);
	c = civil_from_unix(now.tv_sec);
	buf_printf(b, "%04d-%02d-%02dT%02d:%02d:%02d.%03ldZ", (int)c.year, c.month, c.day, c.hour,
	    c.minute, c.second, now.tv_nsec / 1000000);
}

void
trace_want_put(unsigned bits, const char *sid, const char *proto, const char *dir,
    struct slice line)
{
	struct buf b = { 0 };

	buf_lit(&b, "wire at=");
	want_time(&b);
	kv_put(&b, "sid", slice_str(sid));
	kv_put(&b, "proto", slice_str(proto));
	kv_put(&b, "dir", slice_str(dir));
	kv_put(&b, "line", line);
	buf_char(&b, '\n');
	for (unsigned i = 0; i < TRACE_WANTS; i++) {
		if (!(bits & 1u << i) || !*wants[i].id)
			continue;
		wants[i].shown++;
		if (wants[i].lines.n + b.n <= TRACE_KEEP)
			buf_slice(&wants[i].lines, buf_get(&b));
		else
			wants[i].lost++;
	}
	buf_fini(&b);
}
