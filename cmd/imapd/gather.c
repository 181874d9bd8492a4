/* imapd/gather.c: what SORT and THREAD need of the messages that a search has found.
 *
 * A cursor over q->found, called by sort.c and thread.c slice by slice.  The index gives sizes and
 * arrivals, the digests dates and header fields; a message whose digest does not know them is opened,
 * its header read in memory, after the pool has fetched it when it is cold.  Cost: the messages, and
 * of files at most MESSAGE_ORDER_HEADER octets each; it yields after 5 ms wherever it is.  A message
 * that went meanwhile is left out; one that is damaged for good comes without fields, and the answer
 * says NO behind all. */
#include "search.h"

#include <errno.h>

#include "base/clock.h"
#include "base/log.h"
#include "message/parse.h"

/* Bytes of a digest that are asked for ahead: its head, and with it the fields. */
#define AHEAD_HEAD   128
#define AHEAD_FIELDS 512

/* Messages between two looks at the clock. */
#define GATHER_STEP 256

void
gather_init(struct gather *g)
{
	message_init(&g->message, slice(NULL, 0));
}

void
gather_fini(struct gather *g)
{
	message_close(&g->message);
}

/* ---- from the file -------------------------------------------------------------------------------- */

static void
gather_parse_done(void *arg)
{
	struct session *s = arg;
	struct searching *q = s->imap.data;
	struct gather *g = q->gather;
	struct message_parse *p = g->parse;

	log_context(s->sid);
	g->parse = NULL;
	q->error = p->error;
	if (p->error == 0) {
		g->message = p->message;
		p->message = (struct message){ .fd = -1 };
		g->warm = true;
	}
	message_parse_free(&p);
	imap_server_resume(&s->imap, IMAP_PULL);
}

/* The header of g->rec must be read.  Ends the snapshot. */
static void
gather_open(struct session *s, struct searching *q, struct gather *g)
{
	uint64_t len;
	struct message_parse *p;
	int rc;

	message_init(&g->message, slice(NULL, 0));
	rc = message_open(&g->message, session_reader(s), s->view->mailbox, g->rec.uid);
	if (rc < 0) {
		q->error = rc == -ENOENT ? 0 : rc; /* expunged meanwhile: not there */
		return;
	}
	len = g->message.size < MESSAGE_ORDER_HEADER ? g->message.size : MESSAGE_ORDER_HEADER;
	if (len == 0 || message_in_memory(&g->message, 0, len)) {
		g->warm = true;
		return;
	}
	p = message_parse_new(MESSAGE_WANT_BYTES);
	p->message = g->message;
	g->message = (struct message){ .fd = -1 };
	p->to = len;
	g->parse = p;
	message_parse_start(p, imapd.loop, &s->imap.op, s->user->id, gather_parse_done, s);
}

static void
gather_file(struct searching *q, struct gather *g)
{
	struct message_order o;

	g->warm = false;
	q->error = message_map(&g->message);
	if (q->error == 0) {
		message_order_header(slice_sub(message_bytes(&g->message), 0, MESSAGE_ORDER_HEADER),
		    g->fields, &o);
		if (message_is_cut(&g->message))
			q->error = -EIO;
		else
			g->take(g->arg, &g->rec, &o);
	}
	message_close(&g->message);
}

/* ---- from index and digest ------------------------------------------------------------------------ */

/* False: the file of one that is now g->rec must tell. */
static bool
gather_block(struct session *s, struct gather *g, const struct store_record *r, size_t n)
{
	uint64_t ids[STORE_BLOCK] = { 0 };
	struct slice records[STORE_BLOCK];

	for (size_t i = 0; i < n; i++)
		ids[i] = r[i].emailid;
	store_get_caches(session_reader(s), ids, n, g->fields ? AHEAD_FIELDS : AHEAD_HEAD, records);
	for (size_t i = 0; i < n; i++) {
		struct message_order o;

		g->at = r[i].uid + 1;
		if (message_order_digest(records[i], g->fields, &o) < 0) {
			g->rec = r[i];
			return false;
		}
		g->take(g->arg, &r[i], &o);
	}
	return true;
}

enum gather_walk { GATHER_OVER, GATHER_TIME_IS_OUT, GATHER_NEEDS_FILE };

static enum gather_walk
gather_walk(struct session *s, struct searching *q, struct gather *g)
{
	size_t done = 0;

	for (; g->range < q->found.n; g->range++, g->at = 0) {
		const struct imap_range *range = &q->found.r[g->range];
		struct store_blocks blocks;
		const struct store_record *r;
		size_t n;

		if (g->at > range->hi)
			continue;
		store_blocks_init(&blocks, session_reader(s), s->view->mailbox,
		    g->at > range->lo ? g->at : range->lo, range->hi);
		blocks.parts = STORE_RECORDS;
		while ((r = store_blocks_next(&blocks, &n))) {
			if (g->fields || g->date) {
				if (!gather_block(s, g, r, n))
					return GATHER_NEEDS_FILE;
			} else {
				for (size_t i = 0; i < n; i++)
					g->take(g->arg, &r[i], NULL);
			}
			g->at = r[n - 1].uid + 1;
			done += n;
			if (done < GATHER_STEP)
				continue;
			done = 0;
			if (clock_mono_us() > q->ends_at)
				return GATHER_TIME_IS_OUT;
		}
	}
	return GATHER_OVER;
}

enum search_went
gather_go(struct session *s, struct searching *q, struct gather *g)
{
	static const struct message_order nothing;

	q->ends_at = clock_mono_us() + SEARCH_SLICE_US;
	q->gather = g;
	for (;;) {
		enum gather_walk w;

		if (g->parse)
			return SEARCH_WAITS;
		if (g->warm)
			gather_file(q, g);
		if (q->error < 0 && message_error_passes(q->error)) {
			q->refused = "A message cannot be opened now";
			return SEARCH_FAILED;
		}
		if (q->error < 0) {
			q->unreadable = true;
			g->take(g->arg, &g->rec, &nothing);
		}
		q->error = 0;
		if (clock_mono_us() > q->ends_at)
			return SEARCH_YIELDS;
		if (session_snapshot(s) < 0) {
			q->refused = "The mail store cannot be read";
			return SEARCH_FAILED;
		}
		w = gather_walk(s, q, g);
		if (w == GATHER_NEEDS_FILE)
			gather_open(s, q, g);
		store_end(session_reader(s));
		if (w == GATHER_TIME_IS_OUT)
			return SEARCH_YIELDS;
		if (w == GATHER_OVER)
			return SEARCH_DONE;
	}
}
