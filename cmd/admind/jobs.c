/* admind/jobs.c: jobs that wait in the directory are done here, a few at a time; see admin/job.h.
 *
 * Looks at start, every job.look, and when somebody has made or resumed one here.  Owns the timer, and a connection to
 * the directory for each job that runs.  Can fail as the directory does: it is looked again.  Must stay true: a job is
 * one worker's of all hosts, which its entry says; when this one is to end, its jobs stop behind their step and wait
 * for the next. */
#include <stdio.h>
#include <unistd.h>

#include "admin/job.h"
#include "base/log.h"
#include "base/random.h"
#include "admind.h"

#define JOBS_MOST 4 /* at once, of a worker */

static struct {
	struct timer timer;
	char holder[160];
	size_t running;
	bool begun, stop;
} jobs;

static void
admind_jobs_log(const struct admin_job_told *told)
{
	metric_add(M_JOBS, 1);
	metric_add(M_JOBS_FAILED, strcmp(told->state, "failed") == 0);
	log_event(LOG_INFO, "admin_job", "job=%s user=%s what=%s result=%s done=%llu again=%s",
	    told->id, log_str(told->who), log_str(told->verb), told->state,
	    (unsigned long long)told->done, told->again ? "yes" : "no");
}

static void
admind_jobs_run(void *arg)
{
	struct admind_agent *agent = arg;
	struct admin_job_told told;
	struct admin_problem problem;

	while (!jobs.stop &&
	    admin_job_next(admind.loop, agent->agent, jobs.holder, &jobs.stop, &told, &problem))
		admind_jobs_log(&told);
	admind_agent_give(&agent);
	jobs.running--;
	metric_set(M_JOBS_RUNNING, (int64_t)jobs.running);
	admind.working--;
	admind_drained();
}

static void
admind_jobs_begin(void)
{
	struct admind_agent *agent;

	if (jobs.stop || jobs.running >= JOBS_MOST || !(agent = admind_agent_take()))
		return;
	jobs.running++;
	metric_set(M_JOBS_RUNNING, (int64_t)jobs.running);
	admind.working++;
	fiber_start(admind.loop, admind_jobs_run, agent);
}

static void
admind_jobs_due(struct timer *t)
{
	admind_jobs_begin();
	timer_start(t, (uint64_t)admin_conf.job_look, 0);
}

void
admind_jobs_soon(void)
{
	if (jobs.begun)
		timer_start(&jobs.timer, 0, 0);
}

void
admind_jobs_start(void)
{
	char id[14];

	snprintf(jobs.holder, sizeof(jobs.holder), "%.100s %d %s",
	    shared.hostname ? shared.hostname : "", (int)getpid(), random_id(id));
	timer_init(&jobs.timer, admind.loop, admind_jobs_due);
	timer_start(&jobs.timer, 0, 0);
	jobs.begun = true;
}

void
admind_jobs_stop(void)
{
	jobs.stop = true;
	if (jobs.begun)
		timer_close(&jobs.timer, NULL);
	jobs.begun = false;
}
