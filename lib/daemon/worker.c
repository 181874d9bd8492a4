/* daemon/worker.c: the process that does the work, be it a forked worker or the only one.
 *
 * Owns what daemon.h shows to a daemon: its loop, its number, whether it drains.  Called by
 * parent.c in the child and by single.c.  A start that fails ends the process.  A forked worker
 * answers the parent's lines, and leaves when the parent has gone.  It reads the new
 * configuration for itself and keeps the old one when that fails. */
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sysexits.h>
#include <unistd.h>
#include "base/log.h"
#include "base/mem.h"
#include "daemon/daemon-impl.h"

#define RETIRE_LOOK_MS 500

void (*worker_drained)(void);

static struct loop loop; /* of a forked worker */
static struct ipc parent;
static bool listening, ended;

/* ---- for the daemons --------------------------------------------------------------------- */

struct loop *
daemon_loop(void)
{
	return daemon_self.current;
}

int
daemon_worker(void)
{
	return daemon_self.worker < 0 ? 0 : daemon_self.worker;
}

bool
daemon_draining(void)
{
	return daemon_self.draining;
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

	return daemon_self.listens ? daemon_self.listens : &none;
}

/* ---- the work ---------------------------------------------------------------------------- */

static void
worker_on_accept(struct listener *l, int fd)
{
	counters_accepted();
	announce_accept(l->data, fd);
}

int
worker_start(struct loop *l, int worker)
{
	int rc;

	daemon_self.current = l;
	daemon_self.worker = worker;
	counters_use(worker < 0 ? 0 : (size_t)worker);
	if (daemon_self.d->start && (rc = daemon_self.d->start(l)) < 0)
		return rc;
	for (size_t i = 0; daemon_self.listens && daemon_self.listens[i]; i++) {
		struct daemon_listen *dl = daemon_self.listens[i];

		if ((rc = listener_start(&dl->listener, l, dl->fd, worker_on_accept, dl)) < 0)
			return rc;
	}
	if (worker <= 0 && (rc = remote_start(l)) < 0)
		return rc;
	listening = true;
	return 0;
}

static void
worker_close_listeners(void)
{
	for (size_t i = 0; listening && daemon_self.listens && daemon_self.listens[i]; i++)
		listener_stop(&daemon_self.listens[i]->listener, NULL);
	listening = false;
	setup_close_listeners();
	remote_stop();
}

static bool
one_is_there(void *arg, const struct daemon_session *s UNUSED)
{
	bool *any = arg;

	*any = true;
	return false;
}

static void
worker_look_for_sessions(struct timer *t)
{
	bool any = false;

	daemon_self.d->sessions->walk(one_is_there, &any);
	if (any || announce_waits())
		return;
	timer_stop(t);
	worker_drain();
}

void
worker_retire(void)
{
	static struct timer look;

	if (daemon_self.draining || !listening)
		return;
	worker_close_listeners();
	if (!daemon_self.d->sessions) {
		worker_drain();
		return;
	}
	timer_init(&look, daemon_self.current, worker_look_for_sessions);
	timer_start(&look, RETIRE_LOOK_MS, RETIRE_LOOK_MS);
}

void
worker_drain(void)
{
	if (daemon_self.draining)
		return;
	daemon_self.draining = true;
	worker_close_listeners();
	announce_drain();
	if (daemon_self.d->drain)
		daemon_self.d->drain();
	else
		daemon_drained();
}

bool
worker_reload(char **why)
{
	if (config_load(true, why) < 0)
		return false;
	if (daemon_self.d->reload)
		daemon_self.d->reload();
	return true;
}

/* For tests: does what no confined process may do, see sandbox_probe. */
static bool
worker_probe(struct slice what, struct buf *out)
{
	char word[16];
	int rc = what.n < sizeof(word) ? sandbox_probe(slice_cstr(what, word, sizeof(word))) : -1;

	if (rc < 0)
		return false;
	buf_printf(out, "probe=%s errno=%d\n", word, rc);
	return true;
}

bool
worker_answer(struct slice line, struct buf *out)
{
	if (slice_starts(line, S("probe ")))
		return worker_probe(slice_from(line, strlen("probe ")), out);
	if (slice_eq(line, S("metrics"))) {
		counters_refresh();
		return true;
	}
	if (slice_eq(line, S("ping"))) {
		buf_lit(out, "pong\n");
		return true;
	}
	if (slice_eq(line, S("status"))) {
		if (daemon_self.d->status)
			daemon_self.d->status(out);
		return true;
	}
	if (admin_answer(line, out))
		return true;
	return daemon_self.d->control && daemon_self.d->control(line, out);
}

/* ---- a forked worker --------------------------------------------------------------------- */

static void
worker_say(uint32_t id, enum packet_kind kind, int flags, struct slice text)
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
		worker_say(id, PACKET_TEXT, flags | PACKET_MORE, slice_sub(text, 0, most));
		text = slice_from(text, most);
	}
	worker_say(id, PACKET_TEXT, flags, text);
}

static void
worker_answer_request(uint32_t id, struct slice line)
{
	struct buf out = { 0 };
	bool known = worker_answer(line, &out);

	say_text(id, known ? 0 : PACKET_UNKNOWN, buf_get(&out));
	buf_fini(&out);
}

static void
worker_on_packet(struct ipc *c UNUSED, struct slice text, int *fds UNUSED, size_t nfds UNUSED)
{
	struct packet p;
	char *why = NULL;

	if (text.n < sizeof(p))
		return;
	memcpy(&p, text.p, sizeof(p));
	if (p.kind == PACKET_LINE)
		worker_answer_request(p.id, slice_from(text, sizeof(p)));
	else if (p.kind == PACKET_DRAIN)
		worker_drain();
	else if (p.kind == PACKET_RETIRE)
		worker_retire();
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

static const struct ipc_events events = { .packet = worker_on_packet, .closed = on_parent_gone };

static void
worker_leave(void)
{
	loop_stop(&loop);
}

void
worker_main(int worker, int channel)
{
	int rc;

	loop_init(&loop);
	worker_drained = worker_leave;
	daemon_self.current = &loop;
	confine_files(false);
	if (ipc_open(&parent, &loop, channel, &events, NULL) < 0)
		exit(EX_OSERR);
	if ((rc = worker_start(&loop, worker)) < 0) {
		log_event(LOG_ERROR, "start_failed", "worker=%d error=%s", worker,
		    log_str(strerror(-rc)));
		exit(EX_OSERR);
	}
	sandbox_calls();
	worker_say(0, PACKET_READY, 0, S(""));
	loop_run(&loop);
	exit(0);
}
