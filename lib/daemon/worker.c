/* daemon/worker.c: the process that does the work, be it a forked worker or the only one. */
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sysexits.h>
#include <unistd.h>
#include "base/log.h"
#include "base/mem.h"
#include "daemon/self.h"

void (*worker_drained)(void);

static struct loop loop; /* of a forked worker */
static struct ipc parent;
static bool listening, ended;

/* ---- for the daemons --------------------------------------------------------------------- */

struct loop *
daemon_loop(void)
{
	return self.current;
}

int
daemon_worker(void)
{
	return self.worker < 0 ? 0 : self.worker;
}

bool
daemon_draining(void)
{
	return self.draining;
}

void
daemon_drained(void)
{
	if (ended)
		return;
	ended = true;
	if (worker_drained)
		worker_drained();
}

struct daemon_listen **
daemon_listeners(void)
{
	static struct daemon_listen *none;

	return self.listens ? self.listens : &none;
}

/* ---- the work ---------------------------------------------------------------------------- */

static void
on_accept(struct listener *l, int fd)
{
	counters_accepted();
	self.d->accept(l->data, fd);
}

int
worker_start(struct loop *l, int worker)
{
	int rc;

	self.current = l;
	self.worker = worker;
	counters_use(worker < 0 ? 0 : (size_t)worker);
	if (self.d->start && (rc = self.d->start(l)) < 0)
		return rc;
	for (size_t i = 0; self.listens && self.listens[i]; i++) {
		struct daemon_listen *dl = self.listens[i];

		if ((rc = listener_start(&dl->listener, l, dl->fd, on_accept, dl)) < 0)
			return rc;
	}
	listening = true;
	return 0;
}

void
worker_drain(void)
{
	if (self.draining)
		return;
	self.draining = true;
	for (size_t i = 0; listening && self.listens && self.listens[i]; i++)
		listener_stop(&self.listens[i]->listener, NULL);
	setup_close_listeners();
	if (self.d->drain)
		self.d->drain();
	else
		daemon_drained();
}

bool
worker_reload(char **why)
{
	if (config_load(true, why) < 0)
		return false;
	if (self.d->reload)
		self.d->reload();
	return true;
}

bool
worker_answer(struct slice line, struct buf *out)
{
	if (slice_eq(line, S("ping"))) {
		buf_lit(out, "pong\n");
		return true;
	}
	if (slice_eq(line, S("status"))) {
		if (self.d->status)
			self.d->status(out);
		return true;
	}
	return self.d->control && self.d->control(line, out);
}

/* ---- a forked worker --------------------------------------------------------------------- */

static void
say(uint32_t id, enum packet_kind kind, int flags, struct slice text)
{
	struct packet p = { .id = id, .kind = kind, .flags = (uint16_t)flags };
	struct buf b = { 0 };
	int rc;

	buf_add(&b, &p, sizeof(p));
	buf_slice(&b, text);
	rc = ipc_send(&parent, buf_get(&b), NULL, 0);
	(void)rc; /* without a parent this process is about to be killed */
	buf_fini(&b);
}

/* Text of any length, in packets. */
static void
say_text(uint32_t id, int flags, struct slice text)
{
	const size_t most = IPC_PACKET - sizeof(struct packet);

	while (text.n > most) {
		say(id, PACKET_TEXT, flags | PACKET_MORE, slice_sub(text, 0, most));
		text = slice_from(text, most);
	}
	say(id, PACKET_TEXT, flags, text);
}

static void
answer(uint32_t id, struct slice line)
{
	struct buf out = { 0 };
	bool known = worker_answer(line, &out);

	say_text(id, known ? 0 : PACKET_UNKNOWN, buf_get(&out));
	buf_fini(&out);
}

static void
on_packet(struct ipc *c UNUSED, struct slice text, int *fds UNUSED, size_t nfds UNUSED)
{
	struct packet p;
	char *why = NULL;

	if (text.n < sizeof(p))
		return;
	memcpy(&p, text.p, sizeof(p));
	if (p.kind == PACKET_LINE)
		answer(p.id, slice_from(text, sizeof(p)));
	else if (p.kind == PACKET_DRAIN)
		worker_drain();
	else if (p.kind == PACKET_RELOAD && !worker_reload(&why))
		config_log(LOG_ERROR, "reload_failed", why); /* changed since the parent looked */
	else
		free(why); /* the parent has logged the warnings */
}

static void
on_parent_gone(struct ipc *c UNUSED, int error UNUSED)
{
	exit(0);
}

static const struct ipc_events events = { .packet = on_packet, .closed = on_parent_gone };

static void
leave(void)
{
	loop_stop(&loop);
}

void
worker_main(int worker, int channel)
{
	int rc;

	loop_init(&loop);
	worker_drained = leave;
	self.current = &loop;
	if (ipc_open(&parent, &loop, channel, &events, NULL) < 0)
		exit(EX_OSERR);
	if ((rc = worker_start(&loop, worker)) < 0) {
		log_event(LOG_ERROR, "start_failed", "worker=%d error=%s", worker,
		    log_str(strerror(-rc)));
		exit(EX_OSERR);
	}
	say(0, PACKET_READY, 0, S(""));
	loop_run(&loop);
	exit(0);
}
