/* tmctl/collect.c: one look at all daemons of this host, for all who ask at that time.
 *
 * Owns the connections of the look that is under way, the daemons that are known, and the last text.
 * Called by serve.c.  Can fail: each daemon, which is a figure (`tiermail_up`) and a line of the log when
 * it changes.  Must stay true: nobody waits longer than timeout.answer, whatever a daemon does; each is
 * asked once at a time, however many clients there are; a daemon that was there and is gone is still told
 * of, with 0, until this process ends. */
#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "conf/shared.h"
#include "daemon/daemon.h"
#include "net/connect.h"
#include "net/stream.h"
#include "serve.h"

struct known {
	char *name;
	bool up, told; /* as the last look has found; that was said in the log */
	uint64_t took_us;
	/* of the look that is under way */
	bool asking, open;
	uint64_t began_us;
	struct op op;
	struct stream io;
	struct buf answer;
};

static struct loop *loop;
static struct known known[SERVE_DAEMONS];
static size_t nknown, nasking;
static struct list waiters;
static bool looking;
static struct timer limit;
static struct buf text; /* of the last look */
static uint64_t text_ms;
static struct families found;

/* ---- the end of a look ------------------------------------------------------------------------------ */

static void
collect_tell(void)
{
	struct list now;
	struct collect_waiter *w;

	list_init(&now);
	list_splice(&now, &waiters);
	while ((w = list_first(&now, struct collect_waiter, link))) {
		list_remove(&w->link);
		w->done(w, buf_get(&text));
	}
}

static void
collect_over(void)
{
	timer_stop(&limit);
	looking = false;
	for (size_t i = 0; i < nknown; i++) {
		struct slice name = slice_str(known[i].name);

		families_gauge(&found, "tiermail_up", "Whether the daemon has answered.", name,
		    known[i].up);
		families_gauge(&found, "tiermail_answer_seconds",
		    "How long its answer took, or was waited for.", name,
		    (double)known[i].took_us / 1000000);
	}
	buf_clear(&text);
	families_write(&found, &text);
	families_fini(&found);
	text_ms = loop_now(loop);
	collect_tell();
}

/* How it went; the log has it when it has changed. */
static void
collect_judge(struct known *k, const char *why)
{
	if (why && (k->up || !k->told))
		log_event(LOG_WARN, "metrics_away", "daemon=%s why=%s", log_str(k->name),
		    log_str(why));
	else if (!why && !k->up && k->told)
		log_event(LOG_INFO, "metrics_back", "daemon=%s", log_str(k->name));
	k->told = true;
	k->up = !why;
}

/* A daemon is done with: `why` NULL when it has said what it had to say. */
static void
collect_done(struct known *k, const char *why)
{
	bool whole = false;

	if (!k->asking)
		return;
	k->asking = false;
	k->took_us = clock_mono_us() - k->began_us;
	if (!why) {
		size_t bad = families_add(&found, slice_str(k->name), buf_get(&k->answer), &whole);

		metric_add(M_LINES, (int64_t)bad);
		why = whole ? NULL : "it has not said all";
	}
	collect_judge(k, why);
	buf_fini(&k->answer);
	nasking--;
	if (nasking == 0 && looking)
		collect_over();
}

static void
collect_on_limit(struct timer *t UNUSED)
{
	for (size_t i = 0; i < nknown; i++) {
		struct known *k = &known[i];

		if (!k->asking)
			continue;
		op_cancel(&k->op);
		if (k->open)
			stream_close(&k->io);
		collect_done(k, "it does not answer");
	}
}

/* ---- one daemon -------------------------------------------------------------------------------------- */

static void
collect_on_input(struct stream *io)
{
	struct known *k = io->data;
	struct slice in = stream_peek(io);

	buf_slice(&k->answer, in);
	stream_take(io, in.n);
	if (k->answer.n > SERVE_ANSWER) {
		stream_close(io);
		collect_done(k, "it says too much");
	} else if (stream_eof(io)) {
		const char *why = io->error ? strerror(-io->error) : NULL;

		stream_close(io);
		collect_done(k, why);
	}
}

static void
collect_on_closed(struct stream *io)
{
	struct known *k = io->data;

	k->open = false;
}

static const struct stream_events collect_events = { .input = collect_on_input,
	.closed = collect_on_closed };

static void
collect_on_connected(void *arg, int fd)
{
	struct known *k = arg;

	if (fd < 0) {
		collect_done(k, strerror(-fd));
		return;
	}
	stream_init(&k->io, loop, &collect_events, k);
	if (stream_open(&k->io, fd) < 0) {
		(void)close(fd);
		collect_done(k, "it has no stream");
		return;
	}
	k->open = true;
	stream_start(&k->io);
}

static void
collect_begin(struct known *k)
{
	char *path = mem_printf("unix:%s/%s.metrics", shared.rundir, k->name);
	struct addr a;
	int rc = addr_parse(slice_str(path), &a);

	mem_free(&path);
	k->took_us = 0;
	/* The end of the last look's connection may not have been heard yet. */
	if (rc < 0 || k->open) {
		collect_judge(k, "its socket cannot be used");
		return;
	}
	k->asking = true;
	k->began_us = clock_mono_us();
	nasking++;
	connect_start(loop, &a, NULL, (uint32_t)serve_conf.answer_ms, &k->op, collect_on_connected,
	    k);
}

/* ---- whom --------------------------------------------------------------------------------------------- */

static void
collect_know(struct slice name)
{
	for (size_t i = 0; i < name.n; i++)
		if (!((name.p[i] >= 'a' && name.p[i] <= 'z') ||
			memchr("-.0123456789", name.p[i], 12)))
			return;
	for (size_t i = 0; i < nknown; i++)
		if (slice_eq(name, slice_str(known[i].name)))
			return;
	if (name.n > 0 && nknown < SERVE_DAEMONS)
		known[nknown++] = (struct known){ .name = mem_strn(name.p, name.n) };
}

static void
collect_find(void)
{
	DIR *d = opendir(shared.rundir);
	struct dirent *e;

	for (char **name = serve_conf.daemons; name && *name; name++)
		collect_know(slice_str(*name));
	while (d && (e = readdir(d))) {
		struct slice name = slice_str(e->d_name), end = S(".metrics");

		if (name.n > end.n && slice_ends(name, end))
			collect_know(slice_sub(name, 0, name.n - end.n));
	}
	if (d)
		(void)closedir(d);
}

static void
collect_look(void)
{
	looking = true;
	families_init(&found);
	metric_add(M_LOOKS, 1);
	collect_find();
	timer_start(&limit, (uint64_t)serve_conf.answer_ms, 0);
	for (size_t i = 0; i < nknown; i++)
		collect_begin(&known[i]);
	if (nasking == 0)
		collect_over();
}

void
collect_ask(struct collect_waiter *w)
{
	if (text.n && loop_now(loop) - text_ms < SERVE_FRESH && !looking) {
		w->done(w, buf_get(&text));
		return;
	}
	list_push(&waiters, &w->link);
	if (!looking)
		collect_look();
}

void
collect_start(struct loop *l)
{
	loop = l;
	list_init(&waiters);
	timer_init(&limit, l, collect_on_limit);
}

void
collect_stop(void)
{
	looking = false;
	timer_stop(&limit);
	for (size_t i = 0; i < nknown; i++) {
		op_cancel(&known[i].op);
		if (known[i].open)
			stream_close(&known[i].io);
	}
}
