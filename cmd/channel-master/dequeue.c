/* channel-master/dequeue.c: the table DEQUEUE_ACCESS: whether a message is tried now (tiermail-mappings(5)).
 *
 * Called by job.c before a delivery, of a lease or past the queue.  A table that cannot be asked is no answer: the
 * message waits.  Must stay true: who is told to wait has no attempt counted, and gets old all the same. */
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "dequeue.h"
#include "mta/access.h"

#define AWAY_S 60 /* the table cannot be asked */

static enum mta_answer
dequeue_general(void *arg, struct slice key, struct buf *value)
{
	(void)arg;
	return mta_general_find(master.channels->general, key, value);
}

static struct slice
text_or_none(const char *s)
{
	return slice_str(s ? s : "");
}

static void
dequeue_probe(const struct job *j, struct buf *probe)
{
	const struct qenv *e = &j->r->env;
	struct slice to = slice_str(e->nrcpt ? e->rcpts[0].addr : "");
	size_t at = slice_rfind(to, '@');
	char *file =
	    mem_printf("%s/%s/%s", queue_path(master.queue), master.channel->name, j->r->name);
	struct mta_access_probe p = { .source = slice_str(master.channel->name),
		.queued_at = e->arrival_ms / 1000,
		.from = slice_str(e->sender),
		.auth = text_or_none(e->auth),
		.priority = slice_str(qprio_word(e->prio)),
		.domain = slice_from(to, at < to.n ? at + 1 : to.n),
		.file = slice_str(file) };

	mta_access_probe_write(probe, MTA_ACCESS_DEQUEUE, &p);
	mem_free(&file);
}

bool
dequeue_may(struct job *j)
{
	static const struct mta_calls calls = { .general = dequeue_general };
	const struct mta_flags none = { { 0 } };
	struct slice table = slice_str(mta_access_table(MTA_ACCESS_DEQUEUE));
	struct mta_access a = { .action = MTA_ACCESS_NONE };
	struct buf probe = { 0 };
	struct mta_mapped r;
	enum mta_answer answer;
	bool away, waits;
	uint32_t seconds;

	dequeue_probe(j, &probe);
	answer =
	    mta_mappings_ask(master.channels->mappings, &calls, table, buf_get(&probe), &none, &r);
	if (answer == MTA_YES)
		mta_access_decode(table, &r, &a);
	away = answer != MTA_YES && answer != MTA_NO;
	waits = away || a.action == MTA_ACCESS_LATER;
	seconds = away ? AWAY_S : mta_access_backoff(&a);
	if (seconds)
		j->backoff = seconds;
	if (waits)
		log_event(away ? LOG_WARN : LOG_INFO, "dequeue",
		    "qid=%s channel=%s to=%s seconds=%u text=%s", j->r->env.qid,
		    master.channel->name, log_str(j->r->env.nrcpt ? j->r->env.rcpts[0].addr : ""),
		    j->backoff, away ? log_str(r.error) : log_value(a.text));
	j->result.judged = waits;
	mta_mapped_fini(&r);
	buf_fini(&probe);
	return !waits;
}
