/* imapd/search.c: which messages a search finds, RFC 3501 6.4.4: for SEARCH, SORT and THREAD.
 *
 * A cursor in slices of time, called by the session until it is done.  Most keys are answered from
 * the index and the digest inside one snapshot; a message whose file must be read leaves the
 * snapshot and is walked step by step, a large or cold one on the work pool.  Cost: messages times
 * keys for what the index and digests answer, and for files the bytes of the messages plus the
 * bytes of the keys; it yields after 5 ms wherever it is.  A message that cannot be read for
 * reasons of ours fails the command: an answer without it would be a lie.
 * What must stay true: everything that a pool thread reads belongs to `struct searching`, which
 * outlives the session when it must. */
#include "limit.h"
#include "search.h"

#include <errno.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "message/parse.h"

void
search_release(struct searching *q)
{
	if (--q->refs > 0)
		return;
	if (q->further_free)
		q->further_free(q->further);
	arena_reset(&q->arena);
	mem_release(q);
}

static void
search_close(struct searching *q)
{
	message_match_end(&q->match);
	message_close(&q->message);
	q->open = false;
}

static void
search_undo(struct imap_server *imap)
{
	struct session *s = session_of(imap);
	struct searching *q = s->imap.data;

	if (q->open)
		search_close(q);
	search_release(q);
}

static void
search_found(struct searching *q, const struct store_record *r, uint32_t seq)
{
	uint32_t n = q->by_uid ? r->uid : seq;

	if (q->found.n == 0)
		q->first_modseq = r->modseq;
	q->last_modseq = r->modseq;
	if (r->modseq > q->modseq)
		q->modseq = r->modseq;
	imap_set_add(&q->found, &q->arena, n, n);
}

/* ---- in a file ----------------------------------------------------------------------------------- */

/* Is it decided, from what has been seen of the message?  The tree is only asked when the walk has
 * news: keys times steps would be a product. */
static bool
search_decided(struct searching *q, const struct message_match *m)
{
	if (m->news == q->news && q->answer == IMAP_MATCH_UNKNOWN)
		return false;
	q->news = m->news;
	q->c.match = m;
	q->answer = match_key(q->key, &q->c);
	return q->answer != IMAP_MATCH_UNKNOWN;
}

/* On a pool thread. */
static bool
search_parse_matched(struct message_parse *p)
{
	return search_decided(p->owned, &p->match);
}

static void
search_parse_free(struct message_parse *p)
{
	search_release(p->owned);
}

static void
search_parse_done(void *arg)
{
	struct session *s = arg;
	struct searching *q = s->imap.data;
	struct message_parse *p = q->parse;

	log_context(s->sid);
	q->parse = NULL;
	q->error = p->error;
	(void)search_decided(q, &p->match);
	if (q->error == 0 && q->answer == IMAP_MATCH_YES)
		search_found(q, q->c.rec, view_seq(q->view, q->c.rec->uid));
	message_parse_free(&p);
	imap_server_resume(&s->imap, IMAP_PULL);
}

static void
search_parse_start(struct session *s, struct searching *q)
{
	struct message_parse *p = message_parse_new(MESSAGE_WANT_MATCH);

	p->message = q->message;
	q->message = (struct message){ .fd = -1 };
	p->query = &q->query;
	p->matched = search_parse_matched;
	p->free = search_parse_free;
	p->owned = q;
	q->refs++;
	q->parse = p;
	message_parse_start(p, imapd.loop, &s->imap.op, s->user->id, search_parse_done, s);
}

/* The message of q->c must be read.  Ends the snapshot. */
static void
search_open(struct session *s, struct searching *q)
{
	int rc;

	q->c.record = slice(NULL, 0);
	q->news = 0;
	q->answer = IMAP_MATCH_UNKNOWN;
	message_init(&q->message, slice(NULL, 0));
	rc = message_open(&q->message, session_reader(s), q->view->mailbox, q->c.rec->uid);
	if (rc < 0) {
		q->error = rc == -ENOENT ? 0 : rc; /* expunged meanwhile: not found */
		return;
	}
	if (q->message.size > MESSAGE_LARGE ||
	    !message_in_memory(&q->message, 0, q->message.size)) {
		search_parse_start(s, q);
		return;
	}
	q->error = message_map(&q->message);
	if (q->error < 0) {
		message_close(&q->message);
		return;
	}
	message_match_start(&q->match, &q->query, message_bytes(&q->message));
	q->open = true;
}

/* False: time is out. */
static bool
search_file(struct searching *q)
{
	while (!search_decided(q, &q->match)) {
		if (clock_mono_us() > q->ends_at)
			return false;
		if (!message_match_step(&q->match)) {
			(void)search_decided(q, &q->match);
			break;
		}
	}
	if (message_is_cut(&q->message))
		q->unreadable = true;
	else if (q->answer == IMAP_MATCH_YES)
		search_found(q, q->c.rec, view_seq(q->view, q->c.rec->uid));
	search_close(q);
	return true;
}

/* ---- in the index -------------------------------------------------------------------------------- */

enum search_walk { SEARCH_OVER, SEARCH_TIME_IS_OUT, SEARCH_NEEDS_FILE };

/* Bytes of a digest that are asked for ahead: its head and the fields behind it, wherever they lie. */
#define AHEAD 512

/* Keys that are looked at between two looks at the clock. */
#define KEYS_STEP 512

/* The messages of a block of the index, in two passes: what the index decides, then the others with
 * their digests, which are fetched together. */
struct search_block {
	struct imap_candidate c[STORE_BLOCK];
	enum imap_match answer[STORE_BLOCK];
	size_t n;
};

/* The sequence number of a message that the walk has come to; 0: the client does not know it yet. */
static uint32_t
block_seq(const struct view *v, struct searching *q, uint32_t uid)
{
	while (q->run < v->nruns && v->runs[q->run].last < uid)
		q->run++;
	if (q->run == v->nruns || v->runs[q->run].first > uid)
		return 0;
	return v->runs[q->run].seq + (uid - v->runs[q->run].first);
}

static void
search_needs_file(struct searching *q, const struct imap_candidate *c)
{
	q->rec = *c->rec;
	q->c = *c;
	q->c.rec = &q->rec;
}

/* Where no key is the digests' each message is over with at once.  False: the file of one that is now
 * q->c must decide. */
static bool
block_one_pass(struct searching *q, const struct store_record *r, size_t n)
{
	struct imap_candidate c = { .query = &q->query };

	for (const struct store_record *end = r + n; r < end; r++) {
		uint32_t seq = block_seq(q->view, q, r->uid);

		q->at = r->uid + 1;
		if (seq == 0)
			continue;
		c.rec = r;
		c.recent = q->needs.recent && view_is_recent(q->view, r->uid);
		switch (match_key(q->key, &c)) {
		case IMAP_MATCH_NO: break;
		case IMAP_MATCH_YES: search_found(q, r, seq); break;
		case IMAP_MATCH_UNKNOWN: search_needs_file(q, &c); return false;
		}
	}
	return true;
}

static void
block_take(struct searching *q, struct search_block *b, const struct store_record *r, size_t n)
{
	b->n = 0;
	for (size_t i = 0; i < n; i++) {
		struct imap_candidate *c = &b->c[b->n];

		if (block_seq(q->view, q, r[i].uid) == 0)
			continue;
		*c = (struct imap_candidate){ .query = &q->query,
			.rec = &r[i],
			.recent = q->needs.recent && view_is_recent(q->view, r[i].uid) };
		/* Where each key is the digests' there is nothing to ask yet. */
		b->answer[b->n++] = q->needs.others ? match_key(q->key, c) : IMAP_MATCH_UNKNOWN;
	}
}

static void
block_digests(struct session *s, struct searching *q, struct search_block *b)
{
	uint64_t ids[STORE_BLOCK];
	struct slice records[STORE_BLOCK];
	uint8_t which[STORE_BLOCK];
	size_t n = 0;

	for (size_t i = 0; i < b->n; i++)
		if (b->answer[i] == IMAP_MATCH_UNKNOWN) {
			ids[n] = b->c[i].rec->emailid;
			which[n++] = (uint8_t)i;
		}
	store_get_caches(session_reader(s), ids, n, AHEAD, records);
	for (size_t k = 0; k < n; k++) {
		struct imap_candidate *c = &b->c[which[k]];

		c->record = records[k];
		b->answer[which[k]] = match_key(q->key, c);
	}
}

/* Takes the answers in; false as block_one_pass. */
static bool
block_answers(struct searching *q, const struct search_block *b)
{
	for (size_t i = 0; i < b->n; i++) {
		const struct store_record *r = b->c[i].rec;

		q->at = r->uid + 1;
		if (b->answer[i] == IMAP_MATCH_YES) {
			search_found(q, r, view_seq(q->view, r->uid));
		} else if (b->answer[i] == IMAP_MATCH_UNKNOWN) {
			search_needs_file(q, &b->c[i]);
			return false;
		}
	}
	return true;
}

/* False as block_one_pass. */
static bool
block_two_passes(struct session *s, struct searching *q, const struct store_record *r, size_t n)
{
	struct search_block b;

	block_take(q, &b, r, n);
	block_digests(s, q, &b);
	return block_answers(q, &b);
}

static enum search_walk
search_walk(struct session *s, struct searching *q)
{
	const struct view *v = q->view;
	struct store_mailbox m;
	size_t asked = 0;
	int rc = store_get_mailbox(session_reader(s), v->mailbox, &m);

	if (rc < 0) {
		q->unreadable |= rc != -ENOENT; /* deleted meanwhile: nothing is found */
		return SEARCH_OVER;
	}
	match_resolve_keywords(q->q.key, &m);
	q->run = 0;
	if (q->range < q->all.n)
		q->run =
		    view_find(v, q->at > q->all.r[q->range].lo ? q->at : q->all.r[q->range].lo);
	for (; q->range < q->all.n; q->range++, q->at = 0) {
		const struct imap_range *range = &q->all.r[q->range];
		struct store_blocks blocks;
		const struct store_record *r;
		size_t n;

		store_blocks_init(&blocks, session_reader(s), v->mailbox,
		    q->at > range->lo ? q->at : range->lo, range->hi);
		blocks.parts = q->parts;
		while ((r = store_blocks_next(&blocks, &n))) {
			if (!(q->needs.digests ? block_two_passes(s, q, r, n) :
						 block_one_pass(q, r, n)))
				return SEARCH_NEEDS_FILE;
			q->at = r[n - 1].uid + 1;
			q->looked += n;
			asked += n * q->q.nkeys;
			if (asked < KEYS_STEP)
				continue;
			asked = 0;
			if (clock_mono_us() > q->ends_at)
				return SEARCH_TIME_IS_OUT;
		}
	}
	return SEARCH_OVER;
}

/* ---- for the commands ------------------------------------------------------------------------------ */

enum imap_next
search_refuse(struct session *s, const struct searching *q)
{
	return imap_server_no(&s->imap, "UNAVAILABLE", q->refused);
}

/* One slice. */
static enum search_went
search_slice(struct session *s, struct searching *q)
{
	q->ends_at = clock_mono_us() + SEARCH_SLICE_US;
	for (;;) {
		enum search_walk w;

		if (q->parse)
			return SEARCH_WAITS;
		/* What passes ends the search: the client asks again, and an answer without the
		 * message would be a lie.  What is damaged for good must not hide the others. */
		if (q->error < 0 && message_error_passes(q->error)) {
			q->refused = "A message cannot be opened now";
			return SEARCH_FAILED;
		}
		q->unreadable |= q->error < 0;
		q->error = 0;
		if ((q->open && !search_file(q)) || clock_mono_us() > q->ends_at)
			return SEARCH_YIELDS;
		if (session_snapshot(s) < 0) {
			q->refused = "The mail store cannot be read";
			return SEARCH_FAILED;
		}
		w = search_walk(s, q);
		if (w == SEARCH_NEEDS_FILE)
			search_open(s, q);
		store_end(session_reader(s));
		if (w == SEARCH_TIME_IS_OUT)
			return SEARCH_YIELDS;
		if (w == SEARCH_OVER)
			return SEARCH_DONE;
	}
}

/* Nothing of the answer is written yet, so a line may stand here.			RFC 9585 4 */
static void
search_progress(struct session *s, struct searching *q)
{
	uint64_t now = clock_mono_ms();
	struct buf *b = session_out(s);

	/* Of how many messages all mailboxes have is not known. */
	if (q->multi || q->quiet || now - q->heard_ms < (uint64_t)conf.progress)
		return;
	q->heard_ms = now;
	buf_lit(b, "* OK [INPROGRESS (");
	imap_write_string(b, s->imap.tag);
	buf_char(b, ' ');
	buf_u64(b, q->looked < q->goal ? q->looked : q->goal);
	buf_char(b, ' ');
	buf_u64(b, q->goal);
	buf_lit(b, ")] Still searching\r\n");
}

enum search_went
search_go(struct session *s, struct searching *q)
{
	enum search_went went = search_slice(s, q);

	if (went == SEARCH_YIELDS || went == SEARCH_WAITS)
		search_progress(s, q);
	return went;
}

struct searching *
search_new(struct session *s, struct imap_in *in, struct imap_in *own)
{
	struct searching *q = mem_new(sizeof(*q));

	q->refs = 1;
	q->message.fd = -1;
	q->session = s;
	q->by_uid = s->imap.uid;
	s->imap.data = q;
	s->imap.undo = search_undo;
	q->text = arena_slice(&q->arena, in->s);
	*own = (struct imap_in){ .arena = &q->arena, .s = q->text };
	return q;
}

bool
search_refused(struct session *s, const struct searching *q, enum imap_next *answer)
{
	bool numbers = q->q.seqs && s->imap.uidonly;

	if (numbers)
		*answer = imap_server_bad(&s->imap, "[UIDREQUIRED] Messages have UIDs only");
	if (numbers || !q->q.bad_charset)
		return numbers;
	if (q->q.ret & IMAP_RETURN_SAVE)
		(void)view_save(s->view, NULL);
	*answer = imap_server_no(&s->imap, "BADCHARSET (US-ASCII UTF-8 ISO-8859-1)",
	    "Unknown character set");
	return true;
}

void
search_ready(struct session *s, struct searching *q)
{
	if (!q->view)
		q->view = s->view;
	q->needs = match_prepare(q->q.key, &q->query, q->view, &q->arena);
	for (q->key = q->q.key;
	     q->key->op == IMAP_KEY_AND && q->key->first && !q->key->first->next;)
		q->key = q->key->first;
	q->parts = match_parts(q->key);
}

/* What has changed behind this has not been looked at. */
static void
search_mark(struct session *s, struct searching *q)
{
	struct store_mailbox m;

	q->uidnext = q->view->uidnext;
	if (session_snapshot(s) < 0)
		return;
	if (store_get_mailbox(session_reader(s), q->view->mailbox, &m) == 0)
		q->since = m.highestmodseq;
	store_end(session_reader(s));
}

/* All messages between those that the keys at the top leave: the first set among them, and what is above and below UIDs. */
static void
search_all(struct searching *q)
{
	uint32_t lo = 1, hi = view_last_uid(q->view);
	const struct imap_set *set = NULL;
	struct imap_set all = { 0 };

	for (const struct imap_key *k = q->q.key->first; k; k = k->next) {
		if (k->op != IMAP_KEY_WORD)
			continue;
		if (k->word->arg == IMAP_ARG_SET && !set)
			set = &k->set;
		if (k->word->arg == IMAP_ARG_UID && k->word->bits == MATCH_ABOVE && k->number >= lo)
			lo = k->number < UINT32_MAX ? (uint32_t)k->number + 1 : UINT32_MAX;
		if (k->word->arg == IMAP_ARG_UID && k->word->bits == MATCH_BELOW && k->number <= hi)
			hi = (uint32_t)k->number - 1;
	}
	if (q->view->exists > 0 && lo <= hi)
		imap_set_add(&all, &q->arena, lo, hi);
	q->all = all;
	if (set)
		q->all = *set;
	if (!set || (lo == 1 && hi >= view_last_uid(q->view)))
		return;
	q->all = (struct imap_set){ 0 };
	for (size_t i = 0; i < set->n && all.n > 0; i++)
		if (set->r[i].hi >= lo && set->r[i].lo <= hi)
			imap_set_add(&q->all, &q->arena, set->r[i].lo > lo ? set->r[i].lo : lo,
			    set->r[i].hi < hi ? set->r[i].hi : hi);
}

enum imap_next
search_begin(struct session *s, struct searching *q, enum imap_next (*more)(struct imap_server *))
{
	enum imap_next answer = IMAP_NEXT;

	if (search_refused(s, q, &answer))
		return answer;
	if (s->imap.uid)
		view_arrivals(s);
	search_ready(s, q);
	if (q->q.update)
		search_mark(s, q);
	/* The keys have what they need of it; and when the search fails it is empty (RFC 5182 2.1). */
	if (q->q.ret & IMAP_RETURN_SAVE)
		(void)view_save(s->view, NULL);
	if (q->q.modseq)
		session_condstore(s);
	search_all(q);
	if (q->whole && limit_exceeded(s, &q->all))
		return limit_refuse(s, "Too many messages to be put in order");
	if (!q->multi)
		limit_cut(s, &q->all);
	q->goal = imap_set_count(&q->all);
	if (q->goal > q->view->exists)
		q->goal = q->view->exists;
	q->heard_ms = clock_mono_ms();
	return imap_server_pull(&s->imap, more);
}
