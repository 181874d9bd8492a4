/* channel-master/sts-cache.h: QUEUE/.sts: what sts.c keeps between processes: see sts.h.
 *
 *	tiermail-sts 1 id=ID fetched=TIME failed=TIME until=TIME
 *	the policy as it was fetched, or nothing
 */
#ifndef STS_CACHE_H
#define STS_CACHE_H
#include "smtp/sts.h"

struct sts_entry {
	char
	    id[SMTP_STS_ID_MAX + 1]; /* of the record when it was fetched; "": there is no policy */
	int64_t fetched,
	    failed; /* unix seconds; failed: the last time that it could not be fetched, 0 = since then it could */
	struct smtp_sts policy;
};
/* All zero where there is none, or nothing that can be understood. */
void sts_cache_read(const char *domain, struct sts_entry *e);
/* A failure is logged, and the old one stays. */
void sts_cache_write(const char *domain, const struct sts_entry *e);
void sts_entry_fini(struct sts_entry *e);
/* May the policy be used at this time? */
bool sts_entry_good(const struct sts_entry *e, int64_t now);
#endif
