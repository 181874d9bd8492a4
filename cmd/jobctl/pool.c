/* pool.c: channel-master processes: started when there is work and nobody to do it, reaped
 * through pidfds, started again with a growing pause when they fail.
 *
 * Stands between a channel, which has work, and the processes that do it; what changes is told to the
 * table, and serve.c asks here when somebody is needed.  They end by themselves when they have been idle
 * for a while; nobody is killed here. */
#include <errno.h>
#include <signal.h>
#include <fcntl.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/must.h"
#include "jobctl.h"

#define PAUSE_FIRST 200 /* ms after the first failure, doubling */
#define PAUSE_MOST  60000
#define LIVED_WELL  10000 /* ms: a master that dies after that is no failure to start */

extern char **environ;

static struct timer again; /* somebody may be started who was not, after a failure */
static uint64_t again_at;

static void
pool_again(struct timer *t)
{
	(void)t;
	again_at = 0;
	table_changed();
}

void
pool_start(void)
{
	timer_init(&again, jobctl.loop, pool_again);
}

void
pool_look_again(uint64_t at)
{
	uint64_t now = loop_now(jobctl.loop);

	if (again_at && again_at <= at)
		return;
	again_at = at;
	timer_start(&again, at > now ? at - now : 1, 0);
}

int
pool_process(const char *path, const char *word, const char *more, pid_t *pid)
{
	char *argv[] = { mem_str("channel-master"), mem_str("-c"), jobctl.master_conf,
		mem_str(word), more ? mem_str(more) : NULL, NULL };
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	sigset_t none, all;
	int e;

	(void)sigemptyset(&none);
	(void)sigfillset(&all);
	must(posix_spawn_file_actions_init(&files) == 0 && posix_spawnattr_init(&attr) == 0);
	must(posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0) == 0);
	must(posix_spawnattr_setsigmask(&attr, &none) == 0);
	must(posix_spawnattr_setsigdefault(&attr, &all) == 0);
	must(posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF) == 0);
	e = posix_spawn(pid, path, &files, &attr, argv, environ);
	(void)posix_spawn_file_actions_destroy(&files);
	(void)posix_spawnattr_destroy(&attr);
	mem_free(&argv[0]);
	mem_free(&argv[1]);
	mem_free(&argv[3]);
	mem_free(&argv[4]);
	return -e;
}

/* ---- the end of a process ---------------------------------------------------------------------- */

static void
proc_closed(struct watch *w)
{
	struct proc *p = CONTAINER(w, struct proc, watch);

	(void)close(p->pidfd);
	mem_free(&p);
}

static void
pool_failed(struct chan *ch)
{
	uint32_t shift = ch->failures < 10 ? ch->failures : 10;
	uint64_t pause = (uint64_t)PAUSE_FIRST << shift;

	if (pause > PAUSE_MOST)
		pause = PAUSE_MOST;
	ch->failures++;
	ch->spawn_at = loop_now(jobctl.loop) + pause;
	pool_look_again(ch->spawn_at);
	metric_add(M_CRASHED, 1);
}

static void
ended(struct proc *p, const siginfo_t *si)
{
	struct chan *ch = p->chan;
	bool good = si->si_code == CLD_EXITED && si->si_status == 0;

	if (!p->connected)
		ch->nstarting--;
	ch->nprocs--;
	list_remove(&p->link);
	log_event(good ? LOG_INFO : LOG_WARN, "master_end", "channel=%s pid=%u how=%s code=%d",
	    ch->sc->name, p->pid, si->si_code == CLD_EXITED ? "exit" : "signal", si->si_status);
	if (good && p->connected)
		ch->failures = 0;
	else if (p->connected && loop_now(jobctl.loop) - p->started > LIVED_WELL)
		ch->failures = 0;
	else
		pool_failed(ch);
	table_changed();
}

static void
on_end(struct watch *w, bool readable, bool writable, int error)
{
	struct proc *p = CONTAINER(w, struct proc, watch);
	siginfo_t si = { 0 };

	(void)readable;
	(void)writable;
	(void)error;
	if (waitid(P_PIDFD, (id_t)p->pidfd, &si, WEXITED | WNOHANG) < 0 || si.si_pid == 0)
		return;
	ended(p, &si);
	watch_close(w, proc_closed);
}

/* ---- the start ------------------------------------------------------------------------------------- */

static void
spawn(struct chan *ch)
{
	char *path = mem_printf("%s/channel-master", shared.libexec);
	struct proc *p;
	pid_t pid = 0;
	int e = pool_process(path, ch->sc->name, NULL, &pid), fd = -1;

	if (e == 0 && (fd = (int)syscall(SYS_pidfd_open, pid, 0)) < 0)
		e = -errno;
	if (e < 0) {
		log_event(LOG_ERROR, "master_start", "channel=%s path=%s error=%s", ch->sc->name,
		    log_str(path), log_str(strerror(-e)));
		mem_free(&path);
		pool_failed(ch);
		return;
	}
	mem_free(&path);
	p = mem_new(sizeof(*p));
	p->chan = ch;
	p->pid = (uint32_t)pid;
	p->pidfd = fd;
	p->started = loop_now(jobctl.loop);
	must(watch_init(&p->watch, jobctl.loop, fd, on_end) == 0);
	watch_want(&p->watch, true, false);
	list_push(&ch->procs, &p->link);
	ch->nprocs++;
	ch->nstarting++;
	metric_add(M_SPAWNED, 1);
	log_event(LOG_INFO, "master_start", "channel=%s pid=%u ready=%zu", ch->sc->name, p->pid,
	    ch->sc->ready);
}

/* As many as are to be there always; one when there is none and work; further ones while each has plenty to
 * do. */
void
pool_need(struct chan *ch)
{
	const struct channel *conf = ch->sc->conf;
	size_t have = ch->masters + ch->nstarting;

	/* Not for one that channels.conf does not have any more: what it says is another's. */
	bool few = have < (size_t)conf->minjobs && !ch->sc->stopped &&
	    strcmp(conf->name, ch->sc->name) == 0;

	if (jobctl.draining || ch->nstarting || have >= (size_t)conf->maxjobs ||
	    !(few || sched_has_work(ch->sc, clock_now())))
		return;
	if (loop_now(jobctl.loop) < ch->spawn_at) {
		pool_look_again(ch->spawn_at);
		return;
	}
	if ((few || have == 0 || ch->sc->ready > have * (size_t)conf->threaddepth) &&
	    pools_room(ch))
		spawn(ch);
}

void
pool_connected(struct chan *ch, uint32_t pid)
{
	struct proc *p;

	list_each(p, &ch->procs, struct proc, link)
	{
		if (p->pid != pid || p->connected)
			continue;
		p->connected = true;
		ch->nstarting--;
	}
}
