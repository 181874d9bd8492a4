/* daemon/parent.c: the process that owns the sockets and looks after the workers.  It speaks to
 * no client: what can be attacked can be restarted.
 *
 * Owns the workers, their channels, and the control lines that they are answering.  A worker can
 * die at any moment: its share of an answer counts as given, and it is started again, after a
 * growing pause when it did not live long; one that never was ready ends the daemon.  One that lives and does
 * not answer, a stopped one, counts as having said so after ANSWER_MS, for the others' answers are somebody's wish.  Workers
 * die with the parent.  A new configuration is checked in a process of its own before any worker
 * hears of it. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/log.h"
#include "base/logfile.h"
#include "base/mem.h"
#include "base/must.h"
#include "daemon/daemon-impl.h"

#define BACKOFF_FIRST 100 /* ms before a worker that died early is started again */
#define BACKOFF_MOST  10000
#define LIVED_MS      10000 /* who lived so long is started again at once */
#define ANSWER_MS     5000  /* for a worker to answer a line: less than tools wait (tmctl) */

/* The parent's end of a worker's channel; outlives the worker by a turn. */
struct link {
	struct ipc ipc;
	struct worker *w;
};

struct worker {
	int index;
	pid_t pid; /* 0 = none */
	bool ready;
	struct link *link;  /* NULL when closed */
	struct timer timer; /* to the next start */
	uint64_t started_ms, backoff;
	uint64_t restarts;
};

/* A control line that workers are answering. */
struct request {
	struct list link;
	uint32_t id;
	struct ctl_conn *conn; /* NULL when the asker has gone */
	struct deadline late;  /* ANSWER_MS: who has not spoken then is stuck, or stopped */
	bool status, watchdog, metrics;
	int left;         /* answers to come */
	bool known;       /* somebody knew the line */
	struct buf *text; /* per worker */
	bool *waiting;    /* per worker */
};

static struct worker *workers;
static struct list requests;
static uint32_t last_id;
static struct timer drain_timer, watchdog;
static bool was_ready;
static int exit_code;
static size_t next_ping;

static void worker_spawn(struct worker *w);

/* ---- requests ---------------------------------------------------------------------------- */

static int
parent_worker_say(struct worker *w, uint32_t id, enum packet_kind kind, struct slice text)
{
	struct packet p = { .id = id, .kind = kind };
	struct buf b = { 0 };
	int rc;

	if (!w->link)
		return -EPIPE;
	buf_add(&b, &p, sizeof(p));
	buf_slice(&b, text);
	rc = ipc_send(&w->link->ipc, buf_get(&b), NULL, 0);
	buf_fini(&b);
	return rc;
}

static void
worker_status(struct buf *out, const struct worker *w, struct slice text)
{
	buf_printf(out, "worker=%d pid=%d state=%s restarts=%llu\n", w->index, (int)w->pid,
	    w->ready   ? "ready" :
		w->pid ? "starting" :
			 "waiting",
	    (unsigned long long)w->restarts);
	admin_of_worker(out, w->index, text);
}

static void
request_free(struct request *q)
{
	for (int64_t i = 0; i < daemon_self.nworkers; i++)
		buf_fini(&q->text[i]);
	list_remove(&q->link);
	deadline_clear(&q->late);
	free(q->text);
	free(q->waiting);
	free(q);
}

static void parent_metrics(struct buf *out);

static void
request_over(struct request *q)
{
	struct buf out = { 0 };

	if (q->watchdog) {
		if (q->known)
			notify_send("WATCHDOG=1\n");
		request_free(q);
		return;
	}
	if (q->status)
		admin_header(&out);
	for (int64_t i = 0; i < daemon_self.nworkers; i++) {
		if (q->status)
			worker_status(&out, &workers[i], buf_get(&q->text[i]));
		else
			buf_slice(&out, buf_get(&q->text[i]));
	}
	if (q->metrics)
		parent_metrics(&out);
	if (!q->known && !q->status && !q->metrics)
		buf_lit(&out, "error: unknown command, or no worker\n");
	if (q->conn)
		control_answer(q->conn, buf_get(&out));
	buf_fini(&out);
	request_free(q);
}

static struct request *
request_new(struct ctl_conn *conn)
{
	struct request *q = mem_new(sizeof(*q));

	q->id = ++last_id;
	q->text = mem_array((size_t)daemon_self.nworkers, sizeof(*q->text));
	q->waiting = mem_array((size_t)daemon_self.nworkers, sizeof(*q->waiting));
	list_init(&q->link);
	deadline_init(&q->late);
	list_push(&requests, &q->link);
	if (conn)
		control_hold(conn, &q->conn);
	return q;
}

static void
request_send(struct request *q, struct worker *w, struct slice line)
{
	if (w->ready && parent_worker_say(w, q->id, PACKET_LINE, line) == 0) {
		q->waiting[w->index] = true;
		q->left++;
	}
}

/* Worker w has said its last word for q. */
static void
request_answered(struct request *q, struct worker *w)
{
	q->waiting[w->index] = false;
	if (--q->left == 0)
		request_over(q);
}

/* It will not say it any more.  What there is of an answer is no answer, and the others' alone would look like all. */
static void
request_broken(struct request *q, struct worker *w, const char *what)
{
	buf_clear(&q->text[w->index]);
	if (!q->watchdog) {
		q->known = true;
		buf_printf(&q->text[w->index], "error: worker %d %s\n", w->index, what);
	}
	request_answered(q, w);
}

static void
request_on_late(struct deadline *d)
{
	struct request *q = CONTAINER(d, struct request, late);

	for (int64_t i = 0, left = q->left; left > 0; i++) /* after the last one q is gone */
		if (q->waiting[i]) {
			left--;
			request_broken(q, &workers[i], "does not answer");
		}
}

static void
request_sent(struct request *q)
{
	if (q->left == 0)
		request_over(q);
	else
		deadline_set(&q->late, &daemon_self.loop, ANSWER_MS, request_on_late);
}

static void
ask_all(struct request *q, struct slice line)
{
	for (int64_t i = 0; i < daemon_self.nworkers; i++)
		request_send(q, &workers[i], line);
	request_sent(q);
}

/* `pong` means that a loop which serves clients is turning. */
static void
ask_one(struct request *q)
{
	for (int64_t i = 0; i < daemon_self.nworkers && q->left == 0; i++)
		request_send(q, &workers[next_ping++ % (size_t)daemon_self.nworkers], S("ping"));
	request_sent(q);
}

/* ---- reload and drain -------------------------------------------------------------------- */

/* What the workers could not read, confined as they are, they keep as it was. */
static void
parent_reload(struct buf *out)
{
	bool good = config_reload(NULL, confine_check, out);

	for (int64_t i = 0; good && i < daemon_self.nworkers; i++) {
		int rc = parent_worker_say(&workers[i], 0, PACKET_RELOAD, S(""));

		(void)rc; /* one that starts now reads the new files anyway */
	}
}

static void
kill_workers(void)
{
	for (int64_t i = 0; i < daemon_self.nworkers; i++)
		if (workers[i].pid > 0)
			kill(workers[i].pid, SIGKILL);
}

void
parent_leave(void)
{
	if (upgrade_awaits() && !daemon_self.draining)
		return;
	for (int64_t i = 0; i < daemon_self.nworkers; i++)
		if (workers[i].pid > 0)
			return;
	loop_stop(&daemon_self.loop);
}

/* Tells the workers so; those that cannot hear it end now. */
static void
parent_end(enum packet_kind how)
{
	for (struct worker *w = workers; w < workers + daemon_self.nworkers; w++) {
		timer_stop(&w->timer);
		if (w->pid > 0 && parent_worker_say(w, 0, how, S("")) < 0)
			kill(w->pid, SIGKILL);
	}
	parent_leave();
}

static void parent_drain(void);

static void
parent_on_drain_over(struct timer *t UNUSED)
{
	if (!daemon_self.draining) { /* retired, and somebody stays on */
		parent_drain();
		return;
	}
	log_event(LOG_WARN, "drain_timeout", "limit_ms=%lld", (long long)daemon_self.drain_timeout);
	kill_workers();
}

static void
parent_drain(void)
{
	if (daemon_self.draining) { /* asked twice: now */
		kill_workers();
		return;
	}
	daemon_self.draining = true;
	upgrade_tell(S("drain"));
	upgrade_abandon();
	log_event(LOG_INFO, "drain", "limit_ms=%lld", (long long)daemon_self.drain_timeout);
	if (!upgrade_retired())
		notify_send("STOPPING=1\n");
	setup_close_listeners();
	remote_stop();
	timer_start(&drain_timer, (uint64_t)daemon_self.drain_timeout, 0);
	parent_end(PACKET_DRAIN);
}

/* Another process has the listeners and the sockets in rundir. */
void
parent_retire(pid_t heir)
{
	char text[40];

	(void)snprintf(text, sizeof(text), "MAINPID=%d\n", (int)heir);
	notify_send(text);
	setup_close_listeners();
	remote_stop();
	control_stop();
	timer_stop(&watchdog);
	timer_start(&drain_timer, (uint64_t)daemon_self.upgrade_timeout, 0);
	parent_end(PACKET_RETIRE);
}

/* ---- workers ----------------------------------------------------------------------------- */

static void
parent_on_packet(struct ipc *c, struct slice text, int *fds UNUSED, size_t nfds UNUSED)
{
	struct link *link = c->data;
	struct worker *w = link->w;
	struct request *q;
	struct packet p;
	bool all = true;

	if (!w || text.n < sizeof(p))
		return;
	memcpy(&p, text.p, sizeof(p));
	if (p.kind == PACKET_READY) {
		w->ready = true;
		for (int64_t i = 0; i < daemon_self.nworkers; i++)
			all &= workers[i].ready;
		if (all && !was_ready) {
			was_ready = true;
			log_event(LOG_INFO, "ready", "version=%s workers=%lld", TIERMAIL_VERSION,
			    (long long)daemon_self.nworkers);
			notify_send("READY=1\nSTATUS=running\n");
			upgrade_ready();
		}
		return;
	}
	list_each(q, &requests, struct request, link)
	{
		if (q->id != p.id || !q->waiting[w->index])
			continue;
		buf_slice(&q->text[w->index], slice_from(text, sizeof(p)));
		q->known |= !(p.flags & PACKET_UNKNOWN);
		if (!(p.flags & PACKET_MORE))
			request_answered(q, w);
		return;
	}
}

static void
on_link_closed(struct ipc *c, int error UNUSED)
{
	struct link *link = c->data;

	if (link->w)
		link->w->link = NULL;
	free(link);
}

static const struct ipc_events events = { .packet = parent_on_packet, .closed = on_link_closed };

static void
on_restart(struct timer *t)
{
	worker_spawn(CONTAINER(t, struct worker, timer));
}

static void
worker_died(struct worker *w, int status)
{
	bool early = clock_mono_ms() - w->started_ms < LIVED_MS;
	struct request *q;

	w->pid = 0;
	w->ready = false;
	if (w->link) {
		w->link->w = NULL;
		ipc_close(&w->link->ipc);
		w->link = NULL;
	}
	counters_restarted((size_t)w->index);
	list_each(q, &requests, struct request, link) if (q->waiting[w->index])
	    request_broken(q, w, "has died");
	if (!(daemon_self.draining || upgrade_retired()) || !WIFEXITED(status) ||
	    WEXITSTATUS(status) != 0)
		log_event(LOG_ERROR, "worker_died", "worker=%d signal=%d status=%d", w->index,
		    WIFSIGNALED(status) ? WTERMSIG(status) : 0,
		    WIFEXITED(status) ? WEXITSTATUS(status) : 0);
	if (daemon_self.draining || upgrade_retired()) {
		parent_leave();
		return;
	}
	if (!was_ready) { /* it never worked: say so instead of trying for ever */
		exit_code =
		    WIFEXITED(status) && WEXITSTATUS(status) ? WEXITSTATUS(status) : EX_SOFTWARE;
		daemon_self.draining = true;
		kill_workers();
		parent_leave();
		return;
	}
	w->restarts++;
	w->backoff = !early || !w->backoff ? BACKOFF_FIRST : w->backoff * 2;
	if (w->backoff > BACKOFF_MOST)
		w->backoff = BACKOFF_MOST;
	timer_start(&w->timer, early ? w->backoff : 0, 0);
}

/* In the child: what belongs to the parent alone is closed. */
NORETURN static void
child(struct worker *w, int channel, pid_t parent)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL); /* kill -9 of the parent takes us along */
	if (getppid() != parent)
		_exit(EX_OSERR);
	signals_forked();
	control_close_fds();
	upgrade_close_fds();
	close(uv_backend_fd(&daemon_self.loop.uv));
	for (int64_t i = 0; i < daemon_self.nworkers; i++)
		if (workers[i].link)
			close(workers[i].link->ipc.fd);
	worker_main(w->index, channel);
}

static void
worker_spawn(struct worker *w)
{
	pid_t parent = getpid();
	struct link *link;
	int fds[2], rc;

	if (daemon_self.draining || upgrade_retired())
		return;
	must(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) == 0);
	fflush(NULL);
	w->pid = fork();
	if (w->pid == 0) {
		close(fds[0]);
		child(w, fds[1], parent);
	}
	close(fds[1]);
	w->started_ms = clock_mono_ms();
	if (w->pid < 0) {
		log_event(LOG_ERROR, "fork", "error=%s", log_str(strerror(errno)));
		close(fds[0]);
		w->pid = 0;
		timer_start(&w->timer, BACKOFF_MOST, 0);
		return;
	}
	link = mem_new(sizeof(*link));
	link->w = w;
	rc = ipc_open(&link->ipc, &daemon_self.loop, fds[0], &events, link);
	must(rc == 0);
	w->link = link;
	if (was_ready)
		log_event(LOG_INFO, "worker_start", "worker=%d pid=%d", w->index, (int)w->pid);
}

static void
on_children(void)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (upgrade_died(pid, status))
			continue;
		for (int64_t i = 0; i < daemon_self.nworkers; i++)
			if (workers[i].pid == pid)
				worker_died(&workers[i], status);
	}
}

/* ---- events ------------------------------------------------------------------------------ */

static void
parent_on_signal(int sig)
{
	struct buf out = { 0 };

	if (sig == SIGCHLD)
		on_children();
	else if (sig == SIGHUP)
		parent_reload(&out);
	else if (sig == SIGUSR2)
		upgrade_start();
	else
		parent_drain();
	buf_fini(&out);
}

static void
parent_metrics(struct buf *out)
{
	pid_t *pids = mem_array((size_t)daemon_self.nworkers, sizeof(*pids));
	uint64_t restarts = 0;

	for (int64_t i = 0; i < daemon_self.nworkers; i++) {
		pids[i] = workers[i].pid;
		restarts += workers[i].restarts;
	}
	counters_write(out, pids, (size_t)daemon_self.nworkers, restarts);
	free(pids);
}

static void
parent_on_ask(struct ctl_conn *c, struct slice line)
{
	struct buf out = { 0 };
	struct request *q;
	int rc;

	if (upgrade_concerns(line))
		upgrade_tell(line);
	if (slice_eq(line, S("reload"))) {
		parent_reload(&out);
	} else if (slice_eq(line, S("drain"))) {
		buf_lit(&out, "ok\n");
	} else if ((rc = admin_spread(line, parent_drain, &out)) != 0) {
		if (rc > 0)
			ask_all(request_new(NULL), line);
	} else if (slice_eq(line, S("ping"))) {
		ask_one(request_new(c));
		return;
	} else if (!admin_own(line, &out)) {
		q = request_new(c);
		q->status = slice_eq(line, S("status"));
		q->metrics = slice_eq(line, S("metrics")); /* they tell us by their slots */
		ask_all(q, line);
		return;
	}
	control_answer(c, buf_get(&out));
	buf_fini(&out);
	if (slice_eq(line, S("drain")) && !daemon_self.draining)
		parent_drain();
}

/* Of our successor: about sessions, which we have, too. */
void
parent_hear(struct slice line)
{
	struct buf out = { 0 };

	if (!upgrade_concerns(line))
		return;
	upgrade_tell(line);
	if (slice_eq(line, S("drain")))
		parent_drain();
	else if (admin_spread(line, parent_drain, &out) >= 0)
		ask_all(request_new(NULL), line);
	buf_fini(&out);
}

static void
parent_on_watchdog(struct timer *t UNUSED)
{
	struct request *q = request_new(NULL);

	q->watchdog = true;
	ask_one(q);
}

int
parent_run(void)
{
	counters_open((size_t)daemon_self.nworkers);
	loop_init(&daemon_self.loop);
	daemon_self.current = &daemon_self.loop;
	list_init(&requests);
	signals_start(&daemon_self.loop, true, parent_on_signal);
	timer_init(&drain_timer, &daemon_self.loop, parent_on_drain_over);
	timer_init(&watchdog, &daemon_self.loop, parent_on_watchdog);
	confine_plan(false);
	logfile_start();
	control_start(&daemon_self.loop, parent_on_ask);
	workers = mem_array((size_t)daemon_self.nworkers, sizeof(*workers));
	for (int64_t i = 0; i < daemon_self.nworkers; i++) {
		workers[i].index = (int)i;
		timer_init(&workers[i].timer, &daemon_self.loop, on_restart);
	}
	for (int64_t i = 0; i < daemon_self.nworkers; i++)
		worker_spawn(&workers[i]);
	if (notify_watchdog_ms())
		timer_start(&watchdog, notify_watchdog_ms(), notify_watchdog_ms());
	loop_run(&daemon_self.loop);
	if (exit_code == 0)
		log_event(LOG_INFO, "stop", "pid=%d", (int)getpid());
	setup_remove();
	return exit_code;
}
