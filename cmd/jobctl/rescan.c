/* rescan.c: the spool into the schedule.  At the start, whenever a feeder (re)connects, and when a master
 * dies with work in hand: what they committed or showed while nobody listened is found here.
 *
 * The blocking parts (names of a directory; a few hundred headers) run on a work thread, one
 * step at a time; between the steps the loop takes what was found, so that delivering begins
 * before the walk is over.  What the schedule knows already is not read. */
#include <errno.h>
#include <stdlib.h>
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "jobctl.h"
#include "net/work.h"
#include "queue/scan.h"

#define CHUNK 256

struct found {
	struct sched_msg m;
	char id[QUEUE_FILE_ID_LEN + 1];
	size_t dest_at, dest_len; /* in scan.dests */
};

/* One walk; touched by one side at a time. */
struct scan {
	struct op op;
	struct queue *queue;
	char **channels;
	size_t channel;
	unsigned hh;
	struct buf names; /* of qname: all of a directory, then the unknown ones */
	size_t at;        /* next of them */
	struct found found[CHUNK];
	size_t nfound;
	struct buf dests;
	size_t total, held, bad;
	uint64_t started;
};

static struct scan *scan;
static bool again;
static const char *reason = "start";

bool
rescan_running(void)
{
	return scan;
}

static void
scan_free(void *arg)
{
	struct scan *s = arg;

	queue_channels_free(&s->channels);
	buf_fini(&s->names);
	buf_fini(&s->dests);
	mem_free(&s);
}

/* ---- on the work thread ------------------------------------------------------------------------- */

static void
run_channels(void *arg)
{
	struct scan *s = arg;

	s->channels = queue_channels(s->queue);
}

static void
run_names(void *arg)
{
	struct scan *s = arg;
	int e;

	buf_clear(&s->names);
	s->at = 0;
	e = qscan_dir(s->queue, s->channels[s->channel], s->hh, &s->names);
	if (e < 0)
		log_event(LOG_ERROR, "scan_dir", "channel=%s dir=%02x error=%s",
		    s->channels[s->channel], s->hh, log_str(strerror(-e)));
}

static void
note(struct scan *s, const struct qname *n, const struct qread *r)
{
	struct found *f = &s->found[s->nfound++];
	size_t start = s->dests.n;

	memcpy(f->id, n->id, sizeof(f->id));
	kv_put(&s->dests, "", slice_str(r->env.dest)); /* " =" and the value, escaped */
	f->dest_at = start + 2;
	f->dest_len = s->dests.n - f->dest_at;
	f->m = (struct sched_msg){
		.size = r->env.body_len,
		.nrcpt = (uint32_t)r->env.nrcpt,
		.attempts = n->attempts,
		.notices = r->env.notices,
		.prio = (int)r->env.prio,
		.at = r->env.arrival_ms / 1000,
		.next = r->env.next_at,
		.release = r->env.release_at,
		.by = r->env.by_at,
		.held = n->held,
		.check = true,
	};
}

static void
run_files(void *arg)
{
	struct scan *s = arg;
	const struct qname *n = (const struct qname *)(const void *)s->names.p;
	size_t count = s->names.n / sizeof(*n);

	buf_clear(&s->dests);
	for (s->nfound = 0; s->at < count && s->nfound < CHUNK; s->at++) {
		struct qread *r;
		int e = qscan_file(s->queue, s->channels[s->channel], &n[s->at], &r);

		if (e == 0)
			note(s, &n[s->at], r);
		else if (e != -ENOENT)
			s->bad++;
		qread_close(&r);
	}
}

/* ---- on the loop --------------------------------------------------------------------------------- */

static void next_dir(struct scan *s);
static void next_files(struct scan *s);

static void
over(struct scan *s)
{
	log_event(LOG_INFO, "scan", "why=%s found=%zu held=%zu bad=%zu ms=%llu", reason, s->total,
	    s->held, s->bad, (unsigned long long)(clock_mono_ms() - s->started));
	metric_add(M_FOUND, (int64_t)s->total);
	metric_add(M_SCANS, 1);
	scan_free(s);
	scan = NULL;
	sched_places_keep(jobctl.sched, false);
	if (again) {
		again = false;
		rescan("again");
	}
}

static void
got_files(void *arg)
{
	struct scan *s = arg;
	int64_t now = clock_now();

	for (size_t i = 0; i < s->nfound; i++) {
		struct found *f = &s->found[i];

		f->m.channel = slice_str(s->channels[s->channel]);
		f->m.dest = slice(s->dests.p + f->dest_at, f->dest_len);
		f->m.id = f->id;
		if (!sched_add(jobctl.sched, &f->m, now))
			continue;
		s->total++;
		s->held += f->m.held;
	}
	table_changed();
	table_due();
	next_files(s);
}

static void
next_files(struct scan *s)
{
	if (s->at < s->names.n / sizeof(struct qname)) {
		work_start(jobctl.loop, &s->op, run_files, got_files, scan_free, s);
		return;
	}
	s->hh++;
	next_dir(s);
}

/* A file that is held for us, and not by its name: a master has shown a report that was set aside, and
 * could not tell us.  The name counts; it is looked at again, because operators hold and release
 * meanwhile. */
static void
rescan_known(const struct scan *s, struct sched_entry *e, const struct qname *n)
{
	uint32_t attempts;
	bool held;

	if (e->state != SCHED_HELD || n->held ||
	    queue_find(s->queue, s->channels[s->channel], n->id, &attempts, &held) < 0 || held)
		return;
	e->attempts = (uint16_t)attempts;
	sched_release(jobctl.sched, e, clock_now());
	table_changed();
}

static void
got_names(void *arg)
{
	struct scan *s = arg;
	struct qname *n = (struct qname *)(void *)s->names.p;
	size_t count = s->names.n / sizeof(*n), kept = 0;

	for (size_t i = 0; i < count; i++) {
		struct sched_entry *e = sched_find(jobctl.sched, n[i].id);

		if (e)
			rescan_known(s, e, &n[i]);
		else
			n[kept++] = n[i];
	}
	s->names.n = kept * sizeof(*n);
	next_files(s);
}

static void
next_dir(struct scan *s)
{
	if (s->hh == QUEUE_SPREAD) {
		s->hh = 0;
		s->channel++;
	}
	if (!s->channels[s->channel])
		over(s);
	else
		work_start(jobctl.loop, &s->op, run_names, got_names, scan_free, s);
}

static void
got_channels(void *arg)
{
	next_dir(arg);
}

void
rescan(const char *why)
{
	if (scan) {
		again = true;
		return;
	}
	reason = why;
	scan = mem_new(sizeof(*scan));
	scan->queue = jobctl.queue;
	scan->started = clock_mono_ms();
	work_start(jobctl.loop, &scan->op, run_channels, got_channels, scan_free, scan);
}

void
rescan_close(void)
{
	if (scan)
		op_cancel(&scan->op);
	scan = NULL;
	again = false;
}
