/* judge.c: rules and messages brought together: see judge.h.
 *
 * Called by storectl expire, for the dry run and the real one alike, so that they agree.  Nothing fails
 * here.  Two walks for each rule: one counts what there is, one asks each message, oldest first; what
 * messagecount and foldersize leave is then known from the sums alone. */
#include "aging/judge.h"

#define DAY 86400

bool
aging_flags_meet(const struct aging_rule *r, uint16_t flags)
{
	if (r->by & AGING_BY_SEEN && r->seen != !!(flags & STORE_SEEN))
		return false;
	return !(r->by & AGING_BY_DELETED) || r->deleted == !!(flags & STORE_DELETED);
}

static bool
judge_older(int64_t at, uint32_t days, int64_t now)
{
	return at <= now && now - at >= (int64_t)days * DAY;
}

/* All that the message's record tells. */
static bool
judge_record(const struct aging_rule *r, const struct aging_message *m, int64_t now)
{
	if (r->by & AGING_BY_DAYS && !judge_older(m->internaldate, r->messagedays, now))
		return false;
	if (r->by & AGING_BY_SAVED && !judge_older(m->savedate, r->savedays, now))
		return false;
	if (r->by & AGING_BY_SIZE && m->size <= r->messagesize)
		return false;
	if (r->by & AGING_BY_GRACE && !judge_older(m->savedate, r->messagesizedays, now))
		return false;
	return aging_flags_meet(r, m->flags);
}

static void
judge_rule(struct aging_message *m, size_t n, const struct aging_rule *r, uint16_t number,
    int64_t now, aging_header_fn *header, void *arg)
{
	uint64_t count = 0, bytes = 0; /* of this message and all that are newer */

	for (size_t i = 0; i < n; i++)
		if (!m[i].taken) {
			count++;
			bytes += m[i].size;
		}
	for (size_t i = 0; i < n; i++) {
		bool takes = !(r->by & AGING_BY_COUNT) || count > r->messagecount;

		if (m[i].taken)
			continue;
		takes &= !(r->by & AGING_BY_FOLDER) || bytes > r->foldersize;
		count--;
		bytes -= m[i].size;
		if (!takes || !judge_record(r, &m[i], now) ||
		    (r->by & AGING_BY_HEADER && !header(arg, r, &m[i])))
			continue;
		if (r->action != AGING_REPORT)
			m[i].taken = number;
		else if (!m[i].reported)
			m[i].reported = number;
	}
}

void
aging_judge(struct aging_message *m, size_t n, const struct aging_rule *const *rules, size_t nrules,
    int64_t now, aging_header_fn *header, void *arg)
{
	for (size_t i = 0; i < nrules && i < UINT16_MAX; i++)
		judge_rule(m, n, rules[i], (uint16_t)(i + 1), now, header, arg);
}
