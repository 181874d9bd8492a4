/* channel-master/letter.c: a queued message written into the queue again: see letter.h.
 *
 * The header is kept; the body goes from file to file beside the loop, once for each body that the legs of a
 * piece get.  What is done to it is what smtp-relay's stages do at once: words of lists go, addresses are
 * rewritten for channels that want it, the list's own changes come last.  What can fail is reading and
 * writing: TEMP, and the piece comes again.  Must stay true: nothing of the message changes that no list and
 * no channel asked for. */
#include <errno.h>
#include <unistd.h>
#include "base/log.h"
#include "base/mem.h"
#include "base/must.h"
#include "base/utf8.h"
#include "expand/text.h"
#include "letter.h"
#include "mail/header.h"
#include "mail/partial.h"
#include "master.h"
#include "mta/detour.h"
#include "mta/header.h"
#include "net/work.h"
#include "queue/write.h"

#define HEAD_READ (64 * 1024)  /* at first */
#define BODY_READ (256 * 1024) /* at a time */

struct body {
	const struct expand_edit *edit; /* NULL: none */
	const char *channel;            /* for which addresses are rewritten; NULL: for none */
	struct buf head, tail;
	bool eightbit;
};

struct letter {
	struct arena a;
	struct qread *r;
	struct buf head; /* the header with its empty line */
	struct slice fields;
	bool empty_line;
	struct expand_content content;
	struct slice words[EXPAND_WORDS];
	size_t nwords;
	bool piece;   /* of a message in pieces */
	char last[4]; /* octets of the body; zeros where there are fewer */
	int error;
	void (*opened)(void *, struct letter *);
	void *open_arg;
	/* The piece. */
	struct arena pa;
	struct body bodies[QUEUE_BODIES];
	size_t nbodies;
	struct qwriter *w;
	struct op op;
	void (*done)(void *, const struct verdict *);
	void *arg;
};

/* ---- the message as it lies there ----------------------------------------------------------- */

/* 0 when all n octets could be read. */
static int
letter_read(const struct qread *r, uint64_t at, char *to, size_t n)
{
	while (n > 0) {
		ssize_t got = pread(r->fd, to, n, (off_t)(r->body_at + at));

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got < 0 ? -errno : -EIO;
		to += got;
		at += (uint64_t)got;
		n -= (size_t)got;
	}
	return 0;
}

/* On a work thread: as much as holds the header. */
static void
letter_run(void *arg)
{
	struct letter *l = arg;
	uint64_t all = l->r->env.body_len;
	size_t want = HEAD_READ, n;

	for (;; want *= 2) {
		want = want < all ? want : (size_t)all;
		l->error = letter_read(l->r, l->head.n, buf_reserve(&l->head, want - l->head.n),
		    want - l->head.n);
		if (l->error)
			return;
		l->head.n = want;
		n = header_len(buf_get(&l->head));
		if (n < want || want == all)
			break;
	}
	l->head.n = n;
	l->empty_line = slice_ends(buf_get(&l->head), S("\r\n\r\n"));
	l->fields = slice_sub(buf_get(&l->head), 0, l->empty_line ? n - 2 : n);
	n = all - n < sizeof(l->last) ? (size_t)(all - n) : sizeof(l->last);
	l->error = letter_read(l->r, all - n, l->last + sizeof(l->last) - n, n);
}

static void
letter_drop(void *arg)
{
	struct letter *l = arg;

	letter_free(&l);
}

static void
letter_opened(void *arg)
{
	struct letter *l = arg;
	void (*done)(void *, struct letter *) = l->opened;
	void *done_arg = l->open_arg;

	if (l->error) {
		log_event(LOG_ERROR, "expand_read", "qid=%s error=%s", l->r->env.qid,
		    log_str(strerror(-l->error)));
		letter_free(&l);
	} else {
		l->nwords = expand_words_take(l->fields, &l->a, l->words);
		l->content = expand_content_look(l->fields, &l->a);
		l->piece = partial_parse(l->fields, &l->a, &(struct partial){ 0 });
	}
	done(done_arg, l);
}

void
letter_open(struct qread *r, struct op *op, void (*done)(void *arg, struct letter *), void *arg)
{
	struct letter *l = mem_new(sizeof(*l));

	l->r = r;
	l->opened = done;
	l->open_arg = arg;
	work_start(master.loop, op, letter_run, letter_opened, letter_drop, l);
}

void
letter_free(struct letter **lp)
{
	struct letter *l = *lp;

	*lp = NULL;
	if (!l)
		return;
	buf_fini(&l->head);
	arena_reset(&l->pa);
	arena_reset(&l->a);
	mem_free(&l);
}

size_t
letter_words(const struct letter *l, const struct slice **words)
{
	*words = l->words;
	return l->nwords;
}

/* ---- what each body is ------------------------------------------------------------------------ */

/* The number of the leg's body, made when it is new; QUEUE_BODIES when there is no room. */
static size_t
body_of(struct letter *l, const struct expand_leg *leg)
{
	const char *channel = l->r->env.inside && channels_reverse(master.channels, leg->channel) ?
	    leg->channel :
	    NULL;
	size_t at = 0;

	while (at < l->nbodies &&
	    (l->bodies[at].edit != leg->edit || !channel != !l->bodies[at].channel ||
		(channel && strcmp(channel, l->bodies[at].channel) != 0)))
		at++;
	if (at == l->nbodies && at < QUEUE_BODIES)
		l->bodies[l->nbodies++] = (struct body){ .edit = leg->edit, .channel = channel };
	return at;
}

static enum mta_answer
letter_general(void *arg, struct slice key, struct buf *value)
{
	(void)arg;
	return mta_general_find(master.channels->general, key, value);
}

static void
body_addresses(struct letter *l, const struct body *b, struct slice fields, struct buf *out)
{
	struct mta_calls calls = { .general = letter_general };
	struct mta_header h = { .conf = master.channels->rules,
		.mappings = master.channels->mappings,
		.calls = &calls,
		.source = slice_str(l->r->env.source ? l->r->env.source : ""),
		.a = &l->pa };

	mta_header_rewrite(&h, slice_str(b->channel), fields, out);
	mta_header_fini(&h);
}

static void
body_make(struct letter *l, struct body *b)
{
	struct buf plain = { 0 }, rewritten = { 0 };
	struct expand_text *t = NULL;
	struct slice fields;
	const char *why;

	expand_words_strip(l->fields, &plain);
	fields = buf_get(&plain);
	if (b->channel) {
		body_addresses(l, b, fields, &rewritten);
		fields = buf_get(&rewritten);
	}
	if (b->edit) {
		t = expand_text_new(&l->pa, b->edit, &l->content, &why);
		if (why)
			log_event(LOG_INFO, "list_text", "qid=%s list=%s why=%s", l->r->env.qid,
			    log_str(b->edit->list), log_str(why));
		expand_text_fields(b->edit, t, fields, &l->pa, &b->head);
	} else {
		buf_slice(&b->head, fields);
	}
	if (l->empty_line || t)
		buf_lit(&b->head, "\r\n");
	expand_text_begin(t, &b->head);
	expand_text_end(t, l->last, &b->tail);
	b->eightbit = expand_text_eightbit(t);
	buf_fini(&plain);
	buf_fini(&rewritten);
}

/* ---- into the queue ---------------------------------------------------------------------------- */

/* What goes with a recipient: of its list, or what the sender has asked for. */
static void
rcpt_fill(struct letter *l, struct qrcpt *q, const struct letter_piece *p,
    const struct expand_leg *leg, size_t body)
{
	const struct qrcpt *of = p->of;
	const char *given = of->final ? of->final : of->addr;
	const char *by = mta_detour(master.channels, p->source, leg->channel, l->piece);

	*q = (struct qrcpt){ .addr = leg->address,
		.channel = by ? by : leg->channel,
		.dest = by ? mta_detour_write(&l->pa, leg->channel, leg->host) : leg->host,
		.hold = leg->hold,
		.sender = leg->sender,
		.body = (unsigned)body };
	if (leg->sender)
		return;
	q->notify = of->notify;
	q->orcpt = of->orcpt;
	if (leg->onward && !q->orcpt)
		q->orcpt = arena_printf(&l->pa, "%s;%s",
		    utf8_ascii(slice_str(given)) ? "rfc822" : "utf-8", given);
	if (strcmp(given, leg->address) != 0)
		q->final = given;
}

static void
piece_clear(struct letter *l)
{
	for (size_t i = 0; i < l->nbodies; i++) {
		buf_fini(&l->bodies[i].head);
		buf_fini(&l->bodies[i].tail);
	}
	l->nbodies = 0;
	arena_reset(&l->pa);
}

static void
piece_committed(void *arg, const struct verdict *v)
{
	struct letter *l = arg;

	piece_clear(l);
	l->done(l->arg, v);
}

/* Nobody cancels it: the writer is this thread's while it runs. */
static void
piece_run(void *arg)
{
	struct letter *l = arg;
	uint64_t at = l->head.n, all = l->r->env.body_len;
	char *room = mem_array(1, BODY_READ);

	for (unsigned i = 0; i < l->nbodies; i++)
		(void)qwrite_body_of(l->w, i, l->bodies[i].head.p, l->bodies[i].head.n);
	while (l->error == 0 && at < all) {
		size_t n = all - at < BODY_READ ? (size_t)(all - at) : BODY_READ;

		l->error = letter_read(l->r, at, room, n);
		if (l->error == 0)
			l->error = qwrite_body(l->w, room, n);
		at += n;
	}
	for (unsigned i = 0; i < l->nbodies; i++)
		(void)qwrite_body_of(l->w, i, l->bodies[i].tail.p, l->bodies[i].tail.n);
	mem_free(&room);
}

static void
piece_written(void *arg)
{
	struct letter *l = arg;
	bool eightbit = l->r->env.body != QBODY_7BIT;

	for (size_t i = 0; i < l->nbodies; i++)
		eightbit = eightbit || l->bodies[i].eightbit;
	if (l->error) {
		struct verdict v = verdict(OUT_QUEUE_BROKEN);

		log_event(LOG_ERROR, "expand_write", "qid=%s error=%s", l->r->env.qid,
		    log_str(strerror(-l->error)));
		qwrite_abort(&l->w);
		l->error = 0;
		piece_committed(l, &v);
		return;
	}
	qwrite_eightbit(l->w, eightbit);
	qwrite_commit_start(&l->w, &l->op, piece_committed, l);
}

size_t
letter_piece_start(struct letter *l, const struct letter_piece *p,
    void (*done)(void *arg, const struct verdict *v), void *arg)
{
	struct qenv env = l->r->env;
	size_t n = 0;

	l->done = done;
	l->arg = arg;
	env.rcpts = arena_array(&l->pa, p->nlegs, sizeof(*env.rcpts));
	for (; n < p->nlegs; n++) {
		size_t body = body_of(l, &p->legs[n]);

		if (body == QUEUE_BODIES)
			break;
		rcpt_fill(l, &env.rcpts[n], p, &p->legs[n], body);
	}
	must(n > 0);
	for (size_t i = 0; i < l->nbodies; i++)
		body_make(l, &l->bodies[i]);
	env.nrcpt = n;
	(void)snprintf(env.qid, sizeof(env.qid), "%s", p->id);
	env.source = p->source;
	env.known = (struct slice){ 0 };
	env.aside = true;
	if (!p->kept)
		env.release_at = 0;
	l->w = qwrite_begin(master.queue, &env);
	work_start(master.loop, &l->op, piece_run, piece_written, piece_written, l);
	return n;
}
