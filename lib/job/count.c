/* job/count.c: see count.h.  No I/O. */
#include "job/count.h"

#include "base/kv.h"

/* Of one line: more than a master can have done in a turn is a mistake, and must not run a counter over. */
#define COUNT_MOST (UINT64_C(1) << 40)

const char *const job_count_names[JOB_COUNTS] = {
	[JOB_COUNT_DELIVERED] = "delivered",
	[JOB_COUNT_DEFERRED] = "deferred",
	[JOB_COUNT_FAILED] = "failed",
	[JOB_COUNT_REASON] = "reason_other",
	[JOB_COUNT_REASON + 1] = "reason_address",
	[JOB_COUNT_REASON + 2] = "reason_mailbox",
	[JOB_COUNT_REASON + 3] = "reason_system",
	[JOB_COUNT_REASON + 4] = "reason_network",
	[JOB_COUNT_REASON + 5] = "reason_protocol",
	[JOB_COUNT_REASON + 6] = "reason_content",
	[JOB_COUNT_REASON + 7] = "reason_policy",
	[JOB_COUNT_TLS13] = "sessions_tls13",
	[JOB_COUNT_TLS12] = "sessions_tls12",
	[JOB_COUNT_PLAIN] = "sessions_plain",
	[JOB_COUNT_DANE] = "policy_dane",
	[JOB_COUNT_STS] = "policy_sts",
	[JOB_COUNT_STS_TESTING] = "policy_sts_testing",
	[JOB_COUNT_LOCAL] = "policy_local",
	[JOB_COUNT_NO_SESSION] = "sessions_failed",
	[JOB_COUNT_TLS_FAILED] = "tls_failed",
	[JOB_COUNT_LOGIN_FAILED] = "login_failed",
	[JOB_COUNT_DNS] = "dns",
	[JOB_COUNT_DNS_US] = "dns_us",
};

void
job_count_write(struct buf *b, const uint64_t n[JOB_COUNTS])
{
	buf_lit(b, "count");
	for (size_t i = 0; i < JOB_COUNTS; i++)
		if (n[i])
			kv_put_u64(b, job_count_names[i], n[i]);
	buf_char(b, '\n');
}

void
job_count_parse(struct slice rest, uint64_t n[JOB_COUNTS])
{
	for (size_t i = 0; i < JOB_COUNTS; i++)
		if (slice_u64(kv_find(rest, job_count_names[i]), COUNT_MOST, &n[i]) < 0)
			n[i] = 0;
}
