/* admin/job.h: what is many changes, kept in the directory, so that whoever goes on with it knows where it stopped.
 *
 *	waiting -> running -> done | failed | paused | cancelled;  paused, failed -> waiting (job resume)
 *
 * A job is an entry below ou=Jobs, written as the person who asks; its creatorsName, which nobody can write, is as whom
 * it is done.  Who does it holds it for a time (jobs.lease), which he renews: one that has died is followed by
 * anybody who looks.  Every step can be done twice.  Used by cmd/admind; layout: tiermail-directory(7), Jobs. */
#ifndef ADMIN_JOB_H
#define ADMIN_JOB_H
#include "admin/admin.h"

struct admin_job_told { /* for the log */
	char id[32], verb[64], who[256], state[16];
	uint64_t done;
	bool again; /* somebody had begun it */
};
/* In a fiber: takes a job that waits for somebody, and does it, on an agent that may act for its person.  `holder`: who
 * we are, of all that look; *stop: we are to end, and it waits for somebody else.  False: there was none; *problem: why nobody could look. */
bool admin_job_next(struct loop *l, struct dir_agent *agent, const char *holder, const bool *stop,
    struct admin_job_told *told, struct admin_problem *problem);
#endif
