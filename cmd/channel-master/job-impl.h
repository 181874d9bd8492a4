/* channel-master/job-impl.h: one lease; what job.c, which begins and ends it, and the agents share. */
#ifndef JOB_IMPL_H
#define JOB_IMPL_H
#include "agent.h"
#include "base/must.h"
#include "master.h"

#define JOB_MAGIC 0x6a6f6221
struct job {
	uint32_t magic;
	struct list link;
	struct job_result result;
	struct qread *r;
	enum job_action action;
	uint32_t attempt, backoff, notice;
	char dest[JOB_DEST_MAX + 1];
	struct bounce *bounce;
	struct op op;
	struct outcome *outcomes; /* one per recipient of the file */
	void *work;               /* the agent's */
	uint64_t began_ms;
	struct job_cut_token *cut; /* cut.h: it has no lease and no file; or NULL */
	bool decided;              /* the outcomes are in r */
	bool moved; /* who is delivered has got a place in the queue anew, and nothing else */
};

/* job.c */
void job_end(struct job *j, enum job_end end);  /* the result, and j is freed */
void job_drop(struct job *j, uint32_t after_s); /* nothing happened: try again then */
void job_settle(struct job *j);                 /* all is decided: reports, journal, end */
/* A message without a file, which is the job's from then on. */
void job_start_cut(struct job_cut_token *t, struct qread *r, const char *dest);
void job_decide(void *j); /* what its outcomes are, into r: the journal's next writing has it */
void job_log_outcome(const struct job *j, size_t i);

/* For agents: somebody has given an answer about a recipient. */
bool job_begun(const struct job *j);
/* All pending recipients that nobody has spoken about get this verdict. */
void job_outcome_rest(struct job *j, const struct verdict *v);

#endif
