/* channel-master/agent-bitbucket.c: mail that is wanted nowhere: dropped, with a line of the log for each
 * recipient and nobody told.  Nothing can fail. */
#include "job-impl.h"

static void
bitbucket_start(struct job *j)
{
	struct verdict v = verdict(OUT_BITBUCKET);

	job_outcome_rest(j, &v);
	for (size_t i = 0; i < j->r->env.nrcpt; i++)
		j->outcomes[i].dsn_passed_on = true; /* there is nothing to be told */
	job_settle(j);
}

const struct agent agent_bitbucket = { .name = "bitbucket",
	.word = "discarded",
	.action = DSN_DELIVERED,
	.start = bitbucket_start };
