/* piped/run.c: which program runs when.
 *
 *	run_add -> waits in its program's line -> an order to the helper -> its result -> run_ask.over
 *
 * Owns the runs and the socket to the helper.  Bounded are those that run, by limit.programs in all, by
 * `parallel` of each program and by limit.per_user of each recipient, so that nobody's program that
 * hangs keeps others' from running; programs take turns for what is free.  Who waits longer than
 * limit.wait is told to come again, so that a client's time is never used up by others' programs.
 * Those that wait are at most limit.clients times message.recipients.  A result is the supervisor's last
 * word; when its socket closes without one nobody knows, and the answer is a temporary one. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/log.h"
#include "base/mem.h"
#include "base/must.h"
#include "piped.h"

#define RUN_MAGIC 0x72756e21
/* Beyond its program's time: a helper or a supervisor that says nothing is not waited for longer. */
#define SILENT_MS 40000
#define TIME_MOST 300000 /* of programs: conf.c */

struct run {
	uint32_t magic;
	struct list link;          /* of a line's `waiting`, or of all that run */
	struct line *line;         /* of its program */
	const struct run_ask *ask; /* NULL: nobody waits for the outcome */
	struct ipc result;         /* while it runs */
	bool running, ended;       /* ended: its result has come */
	struct deadline late;
	uint64_t began_ms;
	char user[65], sid[14];
};
/* A program that something was to be run of; as many as the configuration has ever had. */
struct line {
	struct list link, waiting;
	size_t running;
	char name[65];
};

static int helper_fd = -1;
static struct ipc helper;
static bool helper_lost;
static struct list lines, running;
static size_t nrunning, nwaiting;

/* ---- the helper ---------------------------------------------------------------------------- */

int
runs_open(void)
{
	int pair[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		goto failed;
	log_flush();
	pid = fork();
	if (pid == 0) {
		(void)close(pair[0]);
		helper_serve(pair[1]);
	}
	(void)close(pair[1]);
	helper_fd = pair[0];
	if (pid < 0)
		goto failed;
	/* Started as root it becomes its own user by them, which ends them. */
	if (geteuid() != 0 && privileges_drop() < 0)
		goto failed;
	return 0;
failed:
	log_event(LOG_ERROR, "start_failed", "what=helper error=%s", log_str(strerror(errno)));
	return -errno;
}

static void
helper_on_packet(struct ipc *c UNUSED, struct slice packet UNUSED, int *fds, size_t nfds)
{
	while (nfds) /* it never says anything here */
		(void)close(fds[--nfds]);
}

/* Without it nothing can be run, and there is no way to have another. */
static void
helper_on_closed(struct ipc *c UNUSED, int error)
{
	helper_lost = true;
	log_event(LOG_ERROR, "helper_lost", "error=%s", log_str(strerror(-error)));
	daemon_drain();
}

int
runs_start(struct loop *l)
{
	static const struct ipc_events events = { helper_on_packet, helper_on_closed };

	list_init(&lines);
	list_init(&running);
	return ipc_open(&helper, l, helper_fd, &events, NULL);
}

/* The helper reads the file itself: what this process could tell it of programs is worth nothing. */
void
runs_reload(void)
{
	static const char word[] = "reload";

	if (!helper_lost && ipc_send(&helper, slice(word, sizeof(word)), NULL, 0) < 0)
		log_event(LOG_ERROR, "reload_failed", "text=%s",
		    log_str("the helper cannot be told"));
}

/* ---- the end of a run ---------------------------------------------------------------------- */

static void runs_go_on(void);

static struct line *
line_of(struct slice name)
{
	struct line *l;

	list_each(l, &lines, struct line, link) if (slice_eq(slice_str(l->name), name)) return l;
	l = mem_new(sizeof(*l));
	(void)slice_cstr(name, l->name, sizeof(l->name));
	list_init(&l->waiting);
	list_push(&lines, &l->link);
	return l;
}

static void
run_log(const struct run *r, const struct verdict *v)
{
	const struct order *o = r->ask ? r->ask->order : NULL;

	log_event(LOG_INFO, "deliver",
	    "sid=%s qid=%s to=%s user=%s program=%s verdict=%d.%u.%u reply=%d size=%llu text=%s "
	    "ms=%llu",
	    r->sid, o ? log_value(o->qid) : "", o ? log_value(o->recipient) : "", log_str(r->user),
	    r->line->name, (int)v->kind, v->subject, v->detail, verdict_reply(v),
	    r->ask ? (unsigned long long)r->ask->size : 0, log_str(v->text),
	    (unsigned long long)(loop_now(piped.loop) - r->began_ms));
}

/* The outcome is known: told, and nothing more of it but memory that the loop may still need. */
static void
run_settle(struct run *r, const struct order_result *how, const struct verdict *v)
{
	const struct run_ask *ask = r->ask;

	must(!r->ended);
	r->ended = true;
	deadline_clear(&r->late);
	run_log(r, v);
	metric_add(v->kind == OK ? M_DELIVERED : v->kind == TEMP ? M_DEFERRED : M_FAILED, 1);
	r->ask = NULL;
	if (ask)
		ask->over(ask->arg, ask->at, how, v);
}

/* One that has not begun. */
static void
run_give_up(struct run *r, const struct verdict *v)
{
	list_remove(&r->link);
	metric_set(M_WAITING, (int64_t)--nwaiting);
	run_settle(r, NULL, v);
	mem_free(&r);
}

static void
run_on_late(struct deadline *d)
{
	struct verdict v = verdict(OUT_PIPE_BUSY);

	run_give_up(CONTAINER(d, struct run, late), &v);
}

static void
run_on_result(struct ipc *c, struct slice packet, int *fds, size_t nfds)
{
	struct run *r = CAST(c->data, struct run, RUN_MAGIC);
	struct order_result result;
	struct verdict v;

	while (nfds)
		(void)close(fds[--nfds]);
	if (r->ended)
		return;
	if (packet.n == sizeof(result)) {
		memcpy(&result, packet.p, sizeof(result));
		if (result.nsaid > ORDER_SAID)
			result.nsaid = ORDER_SAID;
		v = exits_verdict(&result, r->line->name);
		metric_add(M_ENDED, result.how == ORDER_TIME || result.how == ORDER_OUTPUT);
		run_settle(r, &result, &v);
	} else {
		v = verdict(OUT_PIPE_LOST);
		run_settle(r, NULL, &v);
	}
}

/* Its supervisor has gone, and with it all that the program had started. */
static void
run_on_closed(struct ipc *c, int error UNUSED)
{
	struct run *r = CAST(c->data, struct run, RUN_MAGIC);
	struct verdict v = verdict(OUT_PIPE_LOST);

	if (!r->ended)
		run_settle(r, NULL, &v);
	metric_add(M_SECONDS, (int64_t)(loop_now(piped.loop) - r->began_ms));
	list_remove(&r->link);
	r->line->running--;
	metric_set(M_RUNNING, (int64_t)--nrunning);
	r->magic = 0;
	mem_free(&r);
	runs_go_on();
	piped_idle();
}

void
run_leave(struct run *r)
{
	struct verdict v = verdict(OUT_PIPE_LOST);

	if (r->running) {
		log_event(LOG_WARN, "unheard", "sid=%s user=%s program=%s", r->sid,
		    log_str(r->user), r->line->name);
		r->ask = NULL;
		return;
	}
	r->ask = NULL;
	run_give_up(r, &v);
}

/* Its supervisor sees that nobody hears it. */
void
run_stop(struct run *r)
{
	bool runs = r->running;

	run_leave(r);
	if (runs)
		ipc_close(&r->result);
}

/* ---- the beginning of one ---------------------------------------------------------------------- */

/* 0 or -errno. */
static int
run_order(struct run *r)
{
	static const struct ipc_events events = { run_on_result, run_on_closed };
	struct buf packet = { 0 };
	int pair[2], fds[3], rc;

	if (!order_write(&packet, r->ask->order)) {
		buf_fini(&packet);
		return -EINVAL;
	}
	rc = helper_lost ? -EPIPE :
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0 ?
			   -errno :
			   0;
	if (rc == 0) {
		fds[0] = r->ask->body;
		fds[1] = pair[1];
		fds[2] = r->ask->to;
		rc = ipc_send(&helper, buf_get(&packet), fds, r->ask->to >= 0 ? 3 : 2);
		(void)close(pair[1]);
		if (rc == 0)
			rc = ipc_open(&r->result, piped.loop, pair[0], &events, r);
		if (rc < 0)
			(void)close(pair[0]); /* whoever runs for it sees that, and ends */
	}
	buf_fini(&packet);
	return rc;
}

/* `closed` follows, with a verdict; and whoever runs for it sees that nobody hears it. */
static void
run_on_silent(struct deadline *d)
{
	struct run *r = CONTAINER(d, struct run, late);

	log_event(LOG_ERROR, "helper_silent", "sid=%s user=%s program=%s", r->sid, log_str(r->user),
	    r->line->name);
	ipc_close(&r->result);
}

static void
run_begin(struct run *r)
{
	const struct piped_program *p = piped_program_find(slice_str(r->line->name));
	struct verdict v;
	int rc = run_order(r);

	if (rc < 0) {
		v = verdict(OUT_PIPE_SYSTEM, strerror(-rc));
		run_give_up(r, &v);
		return;
	}
	list_remove(&r->link);
	list_push(&running, &r->link);
	deadline_set(&r->late, piped.loop, (uint64_t)(p ? p->time : TIME_MOST) + SILENT_MS,
	    run_on_silent);
	r->running = true;
	r->began_ms = loop_now(piped.loop);
	r->line->running++;
	metric_set(M_WAITING, (int64_t)--nwaiting);
	metric_set(M_RUNNING, (int64_t)++nrunning);
}

/* Has this recipient's mail as many programs as it may? */
static bool
user_busy(const struct run *of)
{
	struct run *r;
	int64_t n = 0;

	list_each(r, &running, struct run, link) n += strcmp(r->user, of->user) == 0;
	return n >= pconf.per_user;
}

static struct run *
line_next(struct line *l)
{
	const struct piped_program *p = piped_program_find(slice_str(l->name));
	struct run *r;

	/* One that the list has lost meanwhile is the helper's to refuse. */
	if (p && l->running >= (size_t)p->parallel)
		return NULL;
	list_each(r, &l->waiting, struct run, link) if (!user_busy(r)) return r;
	return NULL;
}

/* A program that has begun a run is the last to be asked for the next one. */
static void
runs_go_on(void)
{
	bool more = true;

	while (more && nrunning < (size_t)pconf.running) {
		struct line *l;

		more = false;
		list_each(l, &lines, struct line, link)
		{
			struct run *r = line_next(l);

			if (!r)
				continue;
			list_remove(&l->link);
			list_push(&lines, &l->link);
			run_begin(r);
			more = true;
			break;
		}
	}
}

static void
run_on_turn(struct later *l UNUSED)
{
	runs_go_on();
}

struct run *
run_add(const struct run_ask *ask)
{
	static struct later turn;
	struct run *r = mem_new(sizeof(*r));
	const struct order *o = ask->order;

	if (!turn.fn)
		later_init(&turn);
	r->magic = RUN_MAGIC;
	r->ask = ask;
	r->line = line_of(o->program);
	r->began_ms = ask->began_ms;
	/* An alias counts by its name. */
	(void)slice_cstr(o->user.n ? o->user : o->local, r->user, sizeof(r->user));
	(void)snprintf(r->sid, sizeof(r->sid), "%s", ask->sid);
	list_push(&r->line->waiting, &r->link);
	metric_set(M_WAITING, (int64_t)++nwaiting);
	deadline_init(&r->late);
	deadline_set(&r->late, piped.loop, (uint64_t)pconf.t_wait, run_on_late);
	later_run(&turn, piped.loop, run_on_turn); /* no verdict from inside this call */
	return r;
}

/* ---- all of them ------------------------------------------------------------------------------ */

void
runs_drain(void)
{
	struct verdict v = verdict(OUT_PIPE_BUSY);
	struct line *l;
	struct run *r;

	/* Each verdict may end a session, and with it others of these lines: the first until there is none. */
	list_each(l, &lines, struct line, link) while (
	    (r = list_first(&l->waiting, struct run, link))) run_give_up(r, &v);
}

bool
runs_idle(void)
{
	return nrunning == 0 && nwaiting == 0;
}

void
runs_status(struct buf *out)
{
	struct line *l;
	struct run *r;

	buf_printf(out, "running=%zu waiting=%zu helper=%s\n", nrunning, nwaiting,
	    helper_lost ? "lost" : "ok");
	list_each(l, &lines, struct line, link)
	{
		size_t n = 0;

		list_each(r, &l->waiting, struct run, link) n++;
		buf_printf(out, "program=%s running=%zu waiting=%zu\n", l->name, l->running, n);
	}
	list_each(r, &running, struct run, link)
	    buf_printf(out, "run sid=%s program=%s user=%s ms=%llu\n", r->sid, r->line->name,
		log_str(r->user), (unsigned long long)(loop_now(piped.loop) - r->began_ms));
}
