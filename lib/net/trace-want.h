/* net/trace-want.h: traces that somebody asks for while a daemon runs, of sessions by their id or address, also of those
 * that are open already; for daemon/wire.c, which says for whom.  Lines are kept for who asks and do not go to the log:
 * TRACE_KEEP octets, and what does not fit is counted. */
#ifndef NET_TRACE_WANT_H
#define NET_TRACE_WANT_H
#include "net/addr.h"
#include "net/loop.h"

#define TRACE_WANTS 4 /* at once */
#define TRACE_KEEP  (256 * 1024)
#define TRACE_SIDS  64 /* sessions that are named one by one */

struct trace_want {
	char id[16];   /* "" = the place is free */
	char sid[32];  /* "" = any */
	char peer[64]; /* an address or a network; "" = any */
	bool named;    /* neither counts, but these alone: */
	size_t nsids;
	char sids[TRACE_SIDS][32];
	struct buf lines;   /* "wire at=... sid=..." */
	size_t shown, lost; /* lines since the beginning */
};

/* A free place, or NULL when all are taken; trace_want_find: NULL when there is none of that id. */
struct trace_want *trace_want_new(struct slice id);
struct trace_want *trace_want_find(struct slice id);
/* The i-th place, free or not; NULL behind the last. */
struct trace_want *trace_want_at(size_t i);
/* One more session by name; false when that are TRACE_SIDS already, or it is one. */
bool trace_want_add(struct trace_want *w, const char *sid);
void trace_want_free(
    struct trace_want *w); /* the place is free; its streams are told by stream_trace_again */

/* ---- for net/stream.c and net/trace.c ---- */
bool trace_wanted(void); /* is there anything at all? */
/* A bit for each place that wants this session. */
unsigned trace_want_fits(const char *sid, const struct addr *peer);
void trace_want_put(unsigned wants, const char *sid, const char *proto, const char *dir,
    struct slice line);
#endif
