/* channel-master/access.c: access tables that are asked behind the answer: see access.h.
 *
 * Called by job.c before a delivery, of a lease or past the queue, and by agent-reprocess.c for each member of a list.  A
 * table that cannot be asked is no answer: the message waits.  Must stay true: who is told to wait has no attempt
 * counted, and gets old all the same; a member is asked about as smtp-relay does it of those that it finds itself. */
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "mta/access.h"
#include "access.h"

#define AWAY_S 60 /* the table cannot be asked */

static enum mta_answer
behind_general(void *arg, struct slice key, struct buf *value)
{
	(void)arg;
	return mta_general_find(master.channels->general, key, value);
}

/* What it says borrows from *r, which is to be ended. */
static enum mta_answer
behind_ask(enum mta_access_table t, const struct buf *probe, const struct mta_flags *flags,
    struct mta_mapped *r, struct mta_access *a)
{
	static const struct mta_calls calls = { .general = behind_general };
	struct slice table = slice_str(mta_access_table(t));
	enum mta_answer answer =
	    mta_mappings_ask(master.channels->mappings, &calls, table, buf_get(probe), flags, r);

	*a = (struct mta_access){ .action = MTA_ACCESS_NONE };
	if (answer == MTA_YES)
		mta_access_decode(table, r, a);
	return answer;
}

/* ---- before a delivery ---------------------------------------------------------------------- */

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
access_dequeue(struct job *j)
{
	const struct mta_flags none = { { 0 } };
	struct mta_access a;
	struct buf probe = { 0 };
	struct mta_mapped r;
	enum mta_answer answer;
	bool away, waits;
	uint32_t seconds;

	dequeue_probe(j, &probe);
	answer = behind_ask(MTA_ACCESS_DEQUEUE, &probe, &none, &r, &a);
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

/* ---- members that were found behind the answer --------------------------------------------------- */

static void
member_do(const struct mta_access *a, const char *table, struct expand_leg *leg, struct arena *m)
{
	if (a->action == MTA_ACCESS_HOLD && !leg->hold)
		leg->hold = arena_printf(m, "%s says hold", table);
	/* Of one member, as what is there is there. */
	if (a->action == MTA_ACCESS_BITBUCKET || a->action == MTA_ACCESS_DISCARD ||
	    a->action == MTA_ACCESS_JETTISON) {
		leg->channel = channels_protocol_word(CHANNEL_BITBUCKET);
		leg->host = shared.hostname;
		leg->edit = NULL;
	}
}

static bool
member_ask(const struct qenv *e, enum mta_access_table t, const struct mta_access_probe *p,
    struct expand_leg *leg, struct arena *m, struct verdict *no)
{
	const char *table = mta_access_table(t);
	struct verdict dflt = verdict(OUT_ACCESS_DENIED);
	struct mta_flags flags = { { 0 } };
	struct buf probe = { 0 };
	struct mta_access a;
	struct mta_mapped r;
	enum mta_answer answer;
	bool may = true;

	if (e->auth)
		mta_flags_add(&flags, 'A');
	mta_access_probe_write(&probe, t, p);
	answer = behind_ask(t, &probe, &flags, &r, &a);
	if (answer != MTA_YES && answer != MTA_NO) {
		*no = verdict(OUT_ACCESS_AWAY);
		may = false;
	} else if (a.action == MTA_ACCESS_REJECT) {
		*no = mta_access_verdict(&a, &dflt);
		may = false;
	} else {
		member_do(&a, table, leg, m);
	}
	if (!may || a.action != MTA_ACCESS_NONE)
		log_event(may || no->kind == PERM ? LOG_INFO : LOG_WARN, "access",
		    "qid=%s table=%s probe=%s do=%s text=%s", e->qid, table,
		    log_value(buf_get(&probe)),
		    may                  ? "taken" :
			no->kind == PERM ? "refused" :
					   "temporary",
		    log_str(may ? "" : no->text));
	mta_mapped_fini(&r);
	buf_fini(&probe);
	return may;
}

bool
access_member(const struct qenv *e, const char *source, struct expand_leg *leg, struct arena *m,
    struct verdict *no)
{
	const struct mta_access_probe p = { .source = slice_str(source),
		.from = slice_str(e->sender),
		.auth = text_or_none(e->auth),
		.dest = slice_str(leg->channel),
		.to = slice_str(leg->address) };

	return member_ask(e, MTA_ACCESS_SEND, &p, leg, m, no) &&
	    member_ask(e, MTA_ACCESS_MAIL, &p, leg, m, no);
}
