/* cut.c: smtp-relay's questions to masters that wait: job/cut.h.
 *
 * Owns a connection for each channel that is asked for, made when it is needed and made again after a while.  Called
 * from the relay's loop.  Everything may fail, which costs a message nothing but the time: it goes through the queue.
 * What must stay true: `done` once for each question that was begun, unless it is cancelled; and an answer that
 * comes too late is nobody's. */
#include <stdio.h>
#include <unistd.h>
#include "base/kv.h"
#include "base/mem.h"
#include "base/siphash.h"
#include "base/slice.h"
#include "job/cut.h"
#include "job/line.h"

#define AGAIN_MS      500               /* between two tries to find a master */
#define BACKLOG       (4 * 1024 * 1024) /* that it has not read */
#define RESTS_SLOTS   256
#define REST_FIRST_MS 1000

struct job_cut_line {
	struct list link;
	struct job_cut *c;
	struct ipc ipc;
	struct list asked; /* of job_cut_ask.link */
	size_t nasked;
	uint64_t again_at;
	bool open;
	char channel[64];
};

/* Destinations that rest, or have answered, by a hash: two that share a slot put up with each other's luck. */
struct rest {
	uint64_t hash, until, ms;
	uint64_t answered; /* loop ms of the last answer */
};

struct job_cut {
	struct loop *loop;
	char *queue;
	struct list lines;
	uint32_t next;
	bool closing;
	struct rest rests[RESTS_SLOTS];
};

static void
rest_longer(struct rest *r, uint64_t hash, uint64_t now)
{
	if (r->hash != hash || r->ms == 0)
		*r = (struct rest){ .hash = hash,
			.ms = REST_FIRST_MS,
			.answered = r->hash == hash ? r->answered : 0 };
	else if (now >= r->until) /* not by those that were under way together */
		r->ms = r->ms * 2 > JOB_CUT_REST_MS ? JOB_CUT_REST_MS : r->ms * 2;
	r->until = now + r->ms;
}

/* It lives; who rests in its slot goes on resting. */
static void
rest_answered(struct rest *r, uint64_t hash, uint64_t now)
{
	if (r->hash != hash && r->until > now)
		return;
	if (r->hash != hash)
		*r = (struct rest){ .hash = hash };
	r->ms = 0;
	r->answered = now;
}

static void
cut_over(struct job_cut_ask *a, struct slice done, bool failed)
{
	struct job_cut_line *line = a->line;
	struct job_cut *c = line->c;
	struct rest *r = &c->rests[a->rests % RESTS_SLOTS];

	deadline_clear(&a->late);
	list_remove(&a->link);
	line->nasked--;
	a->line = NULL;
	if (failed)
		rest_longer(r, a->rests, loop_now(c->loop));
	else if (done.n)
		rest_answered(r, a->rests, loop_now(c->loop));
	a->done(a, done);
}

void
job_cut_cancel(struct job_cut_ask *a)
{
	if (!a->line)
		return;
	deadline_clear(&a->late);
	list_remove(&a->link);
	a->line->nasked--;
	a->line = NULL;
}

static void
cut_on_late(struct deadline *d)
{
	struct job_cut_ask *a = CONTAINER(d, struct job_cut_ask, late);
	const struct rest *r = &a->line->c->rests[a->rests % RESTS_SLOTS];

	/* One whose recipient's script is slow says nothing about a store that answers others. */
	cut_over(a, S(""), r->hash != a->rests || r->answered <= a->began);
}

/* ---- the connection --------------------------------------------------------------------------- */

static void
cut_on_packet(struct ipc *ipc, struct slice packet, int *fds, size_t nfds)
{
	struct job_cut_line *line = ipc->data;
	struct slice text, rest, verb;
	struct job_cut_ask *a;
	uint64_t id;

	while (nfds)
		(void)close(fds[--nfds]);
	if (!slice_cut(&packet, '\n', &text))
		return;
	verb = job_verb(text, &rest);
	if (!slice_eq(verb, S("cut")) || slice_u64(kv_find(rest, "id"), UINT32_MAX, &id) < 0)
		return;
	list_each(a, &line->asked, struct job_cut_ask, link)
	{
		if (a->id != id)
			continue;
		cut_over(a, kv_find(rest, "done"), slice_eq(kv_find(rest, "site"), S("fail")));
		return;
	}
}

static void
cut_line_free(struct job_cut_line *line)
{
	struct job_cut *c = line->c;

	list_remove(&line->link);
	mem_free(&line);
	if (c->closing && list_empty(&c->lines)) {
		mem_free(&c->queue);
		mem_free(&c);
	}
}

static void
cut_on_closed(struct ipc *ipc, int error)
{
	struct job_cut_line *line = ipc->data;
	struct job_cut_ask *a;

	(void)error;
	line->open = false;
	line->again_at = loop_now(line->c->loop) + AGAIN_MS;
	while ((a = list_first(&line->asked, struct job_cut_ask, link)))
		cut_over(a, S(""), false);
	if (line->c->closing)
		cut_line_free(line);
}

static const struct ipc_events cut_events = { cut_on_packet, cut_on_closed };

static void
cut_line_connect(struct job_cut_line *line)
{
	char *path = mem_printf("%s/%s.cut", line->c->queue, line->channel);
	int fd = ipc_connect(path);

	mem_free(&path);
	line->again_at = loop_now(line->c->loop) + AGAIN_MS;
	if (fd < 0)
		return;
	line->open = ipc_open(&line->ipc, line->c->loop, fd, &cut_events, line) == 0;
	if (!line->open)
		(void)close(fd);
}

static struct job_cut_line *
line_find(struct job_cut *c, const char *channel)
{
	struct job_cut_line *line;

	list_each(line, &c->lines, struct job_cut_line,
	    link) if (strcmp(line->channel, channel) == 0) return line;
	line = mem_new(sizeof(*line));
	line->c = c;
	list_init(&line->asked);
	(void)snprintf(line->channel, sizeof(line->channel), "%s", channel);
	list_push(&c->lines, &line->link);
	return line;
}

/* ---- questions ---------------------------------------------------------------------------------- */

static uint64_t
cut_rest_hash(const char *channel, const char *dest)
{
	static const struct siphash_key key = { { UINT64_C(0x6375742d7468726f),
	    UINT64_C(0x7567682072657374) } };
	struct buf b = { 0 };
	uint64_t h;

	buf_printf(&b, "%s %s", channel, dest);
	h = siphash(&key, buf_get(&b));
	buf_fini(&b);
	return h;
}

bool
job_cut_start(struct job_cut *c, struct job_cut_ask *a, const char *channel, const char *dest,
    const char *file, struct slice image, void (*done)(struct job_cut_ask *, struct slice done))
{
	struct job_cut_line *line = line_find(c, channel);
	uint64_t now = loop_now(c->loop);
	struct buf text = { 0 };
	struct slice parts[2];
	const struct rest *r;
	int e;

	*a = (struct job_cut_ask){ .rests = cut_rest_hash(channel, dest),
		.began = now,
		.done = done };
	deadline_init(&a->late);
	r = &c->rests[a->rests % RESTS_SLOTS];
	if (r->hash == a->rests && r->until > now)
		return false;
	if (!line->open && now >= line->again_at)
		cut_line_connect(line);
	if (!line->open || line->ipc.closing || line->nasked >= JOB_CUT_MOST ||
	    line->ipc.queued > BACKLOG)
		return false;
	a->id = c->next++;
	buf_lit(&text, "cut");
	kv_put_u64(&text, "id", a->id);
	kv_put(&text, "file", slice_str(file));
	kv_put(&text, "dest", slice_str(dest));
	buf_char(&text, '\n');
	parts[0] = buf_get(&text);
	parts[1] = image;
	e = ipc_send_parts(&line->ipc, parts, 2, NULL, 0);
	buf_fini(&text);
	if (e < 0)
		return false;
	a->line = line;
	list_push(&line->asked, &a->link);
	line->nasked++;
	deadline_set(&a->late, c->loop, JOB_CUT_MS, cut_on_late);
	return true;
}

struct job_cut *
job_cut_new(struct loop *l, const char *queue)
{
	struct job_cut *c = mem_new(sizeof(*c));

	c->loop = l;
	c->queue = mem_str(queue);
	list_init(&c->lines);
	return c;
}

void
job_cut_free(struct job_cut **cp)
{
	struct job_cut *c = *cp;
	struct job_cut_line *line;

	*cp = NULL;
	if (!c)
		return;
	c->closing = true;
	if (list_empty(&c->lines)) {
		mem_free(&c->queue);
		mem_free(&c);
		return;
	}
	list_each(line, &c->lines, struct job_cut_line, link)
	{
		bool last = line->link.next == &c->lines;

		if (line->open)
			ipc_close(&line->ipc);
		else
			cut_line_free(line); /* with the last one c goes */
		if (last)
			break;
	}
}
