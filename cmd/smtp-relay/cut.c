/* cut.c: cut-through: a message that its store has before we answer, and that needs no queue file then.
 *
 * Called by message.c when all of a message is here, in place of the commit.  Each of the files that it would be is
 * given to a master that waits (job/cut.h); what nobody has taken within a second is committed as always, under the
 * same name.  Owned by the message: who goes meanwhile cancels.  What must stay true: 250 only when each recipient
 * was answered by his store or is in the queue. */
#include "cut.h"
#include "queue/cut.h"

struct cut {
	struct session *s;
	void (*over)(struct session *, size_t had);
	size_t waiting, had;
	struct cut_leg {
		struct job_cut_ask ask;
		struct cut *cut;
		size_t file; /* its number */
	} leg[QUEUE_CUT_MOST];
};

static void
cut_leg_done(struct job_cut_ask *a, struct slice done)
{
	struct cut_leg *leg = CONTAINER(a, struct cut_leg, ask);
	struct cut *cut = leg->cut;

	qwrite_cut_took(cut->s->message->w, leg->file, done);
	for (size_t i = 0; i < done.n; i++)
		cut->had += done.p[i] == '1';
	if (--cut->waiting == 0)
		cut->over(cut->s, cut->had);
}

static bool
cut_may(const struct session *s)
{
	const struct qwriter *w = s->message->w;

	if (s->message->archived || !qwrite_cut_may(w))
		return false;
	for (size_t i = 0; i < qwrite_cut_files(w); i++) {
		const struct channel *c =
		    channels_find(relay.channels, slice_str(qwrite_cut_channel(w, i)));

		if (!c || c->protocol != CHANNEL_LMTP || !c->cut_through || c->rate.n ||
		    c->rate_total.n)
			return false;
	}
	return true;
}

bool
cut_start(struct session *s, void (*over)(struct session *, size_t had))
{
	struct qwriter *w = s->message->w;
	char name[QUEUE_NAME_LEN + 4];
	struct buf image = { 0 };
	struct cut *cut;

	if (!cut_may(s))
		return false;
	cut = arena_new(&s->smtp.arena, sizeof(*cut));
	cut->s = s;
	cut->over = over;
	for (size_t i = 0; i < qwrite_cut_files(w); i++) {
		struct cut_leg *leg = &cut->leg[i];

		leg->cut = cut;
		leg->file = i;
		buf_clear(&image);
		if (qwrite_cut_image(w, i, name, &image) &&
		    job_cut_start(relay.cut, &leg->ask, qwrite_cut_channel(w, i),
			qwrite_cut_dest(w, i), name, buf_get(&image), cut_leg_done))
			cut->waiting++;
	}
	buf_fini(&image);
	if (cut->waiting)
		s->message->cut = cut;
	return cut->waiting > 0;
}

void
cut_forget(struct message *m)
{
	for (size_t i = 0; m->cut && i < NELEM(m->cut->leg); i++)
		job_cut_cancel(&m->cut->leg[i].ask);
	m->cut = NULL;
}
