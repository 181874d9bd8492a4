/* job/count.h: what masters count, for the metrics of jobctl, which outlives them:
 *
 *	count delivered=3 sessions_tls13=1 dns=4 dns_us=5120
 *
 * as tiermail-job(7) has it.  The names are those of the metrics, behind "delivery_". */
#ifndef JOB_COUNT_H
#define JOB_COUNT_H
#include "base/buf.h"

enum job_count {
	JOB_COUNT_DELIVERED, /* recipients, by what an attempt came to */
	JOB_COUNT_DEFERRED,
	JOB_COUNT_FAILED,
	JOB_COUNT_REASON, /* ... and not delivered for this: the class is the subject of RFC 3463, 0 .. 7 */
	JOB_COUNT_TLS13 = JOB_COUNT_REASON + 8, /* sessions that were made, by their TLS */
	JOB_COUNT_TLS12,
	JOB_COUNT_PLAIN,
	JOB_COUNT_DANE, /* ... and by the policy that they kept */
	JOB_COUNT_STS,
	JOB_COUNT_STS_TESTING,
	JOB_COUNT_LOCAL,      /* ... the channel's own word */
	JOB_COUNT_NO_SESSION, /* tries that gave none */
	JOB_COUNT_TLS_FAILED, /* ... or had one in plain text after all, for TLS */
	JOB_COUNT_LOGIN_FAILED, /* ... or because the host did not let us log in, by the configuration's fault */
	JOB_COUNT_DNS,    /* questions that were answered */
	JOB_COUNT_DNS_US, /* ... after so many microseconds in all */
	JOB_COUNTS
};
extern const char *const job_count_names[JOB_COUNTS];
/* The line, of those that are not 0. */
void job_count_write(struct buf *b, const uint64_t n[JOB_COUNTS]);
/* What stands behind the verb; a name that is not known, and a value that is no number, count nothing. */
void job_count_parse(struct slice rest, uint64_t n[JOB_COUNTS]);
#endif
