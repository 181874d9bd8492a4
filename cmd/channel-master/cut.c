/* channel-master/cut.c: a message that smtp-relay has in its hands, and not yet in the queue.
 *
 *	relay --image--> cut_take -> the agent -> job.c -> cut_end --who has it--> relay
 *
 * Such a job has no lease and no file: what was not delivered is the relay's to queue, and every failure,
 * retry, report and rule about what servers say is a matter of that file.  Only servers that know our names for messages
 * get any, so that a second try of what may have arrived gives nobody two copies.  What must stay true: a
 * recipient is told as having it only if the server has said so. */
#include <errno.h>
#include "base/log.h"
#include "base/mem.h"
#include "cut.h"
#include "job/cut.h"
#include "queue/cut.h"

static struct job_cuts *cuts;
static size_t ncut;

void
cut_end(struct job *j)
{
	struct buf done = { 0 };

	for (size_t i = 0; j->r && i < j->r->env.nrcpt; i++) {
		const struct outcome *o = &j->outcomes[i];
		bool has = o->tried && o->v.kind == OK;

		if (has)
			job_log_outcome(j, i);
		buf_char(&done, has ? '1' : '0');
	}
	job_cut_answer(&j->cut, buf_get(&done), j->result.site == JOB_SITE_FAIL);
	buf_fini(&done);
	ncut--;
}

static void
cut_take(void *arg, struct job_cut_token *t, const char *file, const char *dest, struct slice image)
{
	const char *why = "";
	struct qread *r;
	int e;

	(void)arg;
	if (master.draining || ncut >= (size_t)master.channel->dest_max) {
		job_cut_answer(&t, S(""), false);
		return;
	}
	e = qread_open_image(master.queue, master.channel->name, file, image, &r, &why);
	if (e < 0) {
		log_event(LOG_ERROR, "cut", "channel=%s file=%s error=%s", master.channel->name,
		    log_str(file), log_str(why));
		job_cut_answer(&t, S(""), false);
		return;
	}
	ncut++;
	job_start_cut(t, r, dest);
}

void
cut_open(void)
{
	if (master.channel->protocol == CHANNEL_LMTP && master.channel->cut_through)
		cuts =
		    job_cuts_new(master.loop, shared.queue, master.channel->name, cut_take, NULL);
}

void
cut_halt(bool halt)
{
	if (cuts && halt)
		job_cuts_stop(cuts);
	else if (cuts && !master.draining)
		job_cuts_go(cuts);
}

void
cut_drain(void)
{
	if (cuts)
		job_cuts_stop(cuts);
}
