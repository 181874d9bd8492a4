/* channel-master/handover.c: mail about a message, or a copy of it, on its way to smtp-relay's
 * submission: queued once, whoever is killed meanwhile (queue/aside.h).
 *
 * bounce.c and job.c hand the mail over; when the relay has it aside, this file writes the
 * message's journal with their results, and shows it.  Everything can fail with TEMP; then either
 * nothing is in the queue as far as we know, or the journal says that something is to be shown
 * (env.report is QREPORT_QUEUED), which the next attempt does.  What must stay true: the journal
 * comes between the relay's 250 and the showing, and whoever takes the message next begins with
 * handover_recover. */
#include "master.h"

void
handover_init(struct handover *h, struct qread *r, enum queue_aside kind)
{
	*h = (struct handover){ .r = r };
	queue_aside_id(h->id, r->id, kind, r->env.reports);
}

static void
handover_gone(const char *file_id)
{
	if (master.job)
		job_master_gone(master.job, file_id);
}

void
handover_undo(struct handover *h)
{
	queue_aside_remove(master.queue, h->id, handover_gone);
	qread_report(h->r, QREPORT_TRIED, h->id);
}

static void
handover_shown(void *arg, const struct verdict *v)
{
	struct handover *h = arg;

	if (v->kind == OK)
		qread_report(h->r, QREPORT_NONE, h->id);
	h->done(h->arg, v);
}

static void
handover_marked(void *arg, const struct verdict *v)
{
	struct handover *h = arg;

	if (v->kind == OK) {
		queue_aside_show_start(master.queue, h->id, &h->op, handover_shown, h);
		return;
	}
	h->r->env.reports--; /* it was not written */
	if (!h->keep)
		handover_undo(h);
	h->done(h->arg, v);
}

void
handover_show(struct handover *h, void (*done)(void *arg, const struct verdict *v), void *arg)
{
	h->done = done;
	h->arg = arg;
	qread_report(h->r, QREPORT_QUEUED, h->id);
	qread_mark_start(h->r, &h->op, handover_marked, h);
}

bool
handover_recover(struct qread *r, bool check, struct op *op,
    void (*done)(void *arg, const struct verdict *), void *arg)
{
	char id[QUEUE_ID_LEN + 1];

	for (int kind = 0; (check || r->env.report == QREPORT_TRIED) && kind < QUEUE_ASIDE_KINDS;
	     kind++) {
		queue_aside_id(id, r->id, (enum queue_aside)kind, r->env.reports);
		queue_aside_remove(master.queue, id, handover_gone);
	}
	if (r->env.report != QREPORT_QUEUED)
		return false;
	memcpy(id, r->env.report_id, sizeof(id));
	qread_report(r, QREPORT_NONE, id);
	queue_aside_show_start(master.queue, id, op, done, arg);
	return true;
}
