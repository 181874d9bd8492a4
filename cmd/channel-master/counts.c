/* channel-master/counts.c: what this process counts for jobctl's metrics (job/count.h).
 *
 * Owns the counts since the last line; the loop's turn ends with one line for all of them.  Called where something has
 * come to its end.  Nothing fails: what a kill takes is one turn's counts. */
#include "job/count.h"
#include "master.h"

static uint64_t counts[JOB_COUNTS];
static struct later flush;
static bool ready;

static void
counts_flush(struct later *l UNUSED)
{
	if (master.job)
		job_master_count(master.job, counts);
	memset(counts, 0, sizeof(counts));
}

void
count_add(enum job_count c, uint64_t n)
{
	if (!ready)
		later_init(&flush);
	ready = true;
	counts[c] += n;
	later_run(&flush, master.loop, counts_flush);
}

void
count_outcome(const struct verdict *v)
{
	if (v->kind == OK) {
		count_add(JOB_COUNT_DELIVERED, 1);
		return;
	}
	count_add(v->kind == TEMP ? JOB_COUNT_DEFERRED : JOB_COUNT_FAILED, 1);
	count_add(JOB_COUNT_REASON + (v->subject < 8 ? v->subject : 0), 1);
}

void
count_session(const struct session *s)
{
	const char *tls = stream_tls_version(&s->client.io);

	count_add(!tls                      ? JOB_COUNT_PLAIN :
		strcmp(tls, "TLSv1.2") == 0 ? JOB_COUNT_TLS12 :
					      JOB_COUNT_TLS13,
	    1);
	count_add(s->policy.source == POLICY_OF_DANE ? JOB_COUNT_DANE :
		s->policy.source != POLICY_OF_STS    ? JOB_COUNT_LOCAL :
		s->policy.level == POLICY_VERIFY     ? JOB_COUNT_STS :
						       JOB_COUNT_STS_TESTING,
	    1);
}

void
count_dns(const struct dns_answer *a)
{
	count_add(JOB_COUNT_DNS, 1);
	count_add(JOB_COUNT_DNS_US, a->us);
}
