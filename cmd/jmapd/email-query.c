/* jmapd/email-query.c: Email/query (RFC 8621 4.4).
 *
 * A cursor over the records of one mailbox, when all results must be in it, else of all.  Most conditions are
 * answered by records and digests inside a snapshot; an email whose file must be read leaves the snapshot and is
 * walked step by step, a large or cold one on the work pool.  What was found is put in order there too when it
 * is much.
 * Cost: emails times conditions, of which one that asks for mailboxes or keywords looks at all places of an
 * email in more than one, and one that asks for threads at each thread once; of files their octets plus the
 * texts'.  Memory: a row for each email found, limit.found of them, and 16 octets for each that was asked about.  Mail that comes meanwhile may be found or not: the state that is told is that of the
 * beginning, so that a client learns of it by the next change. */
#include <errno.h>
#include "base/log.h"
#include "base/mem.h"
#include "email-query.h"
#include "multi.h"

#define SORT_INLINE 20000 /* rows that are put in order on the loop: some ms */

static void
query_rows_drop(struct query_rows *r)
{
	if (!r || --r->refs > 0)
		return;
	query_sort_fini(&r->sort);
	mem_release(r);
}

enum call_next
email_query_start(struct call *c)
{
	struct email_query *q = c->data;
	enum call_next next;

	q->message.fd = -1;
	q->rows = mem_new(sizeof(*q->rows));
	q->rows->refs = 1;
	if (!call_account_shared(c, &next) || !window_read(c, &q->window, &next) ||
	    !query_sort_read(c, &q->rows->sort, &next) ||
	    !filters_read(c, json_find(c->args, S("filter")), &q->filters, &next))
		return next;
	if (!call_bool(c, "collapseThreads", &q->collapse))
		return call_invalid(c, "collapseThreads: a boolean");
	q->known = arena_array(&c->arena, q->filters.n + 1, 1);
	return CALL_AGAIN;
}

/* ---- a file --------------------------------------------------------------------------------------------- */

static struct filter_candidate
query_candidate(struct call *c, struct email_query *q, const struct store_record *r,
    struct folder *folder)
{
	return (struct filter_candidate){ .c = c,
		.r = r,
		.folder = folder,
		.known = q->known,
		.arena = &q->scratch,
		.query = &q->filters.texts->query };
}

static void
query_close(struct email_query *q)
{
	message_match_end(&q->match);
	message_close(&q->message);
	q->message.fd = -1;
	q->open = false;
}

/* 1: it is found, 0: not, -EAGAIN: more of the file must be seen. */
static int
query_decided(struct call *c, struct email_query *q, const struct message_match *m, bool over)
{
	struct filter_candidate x = query_candidate(c, q, &q->r, q->folder);
	enum message_answer a;

	x.match = m;
	a = filters_match(&q->filters, &x);
	if (a == MESSAGE_UNKNOWN)
		return over ? 0 : -EAGAIN;
	return a == MESSAGE_YES;
}

static void
query_parse_free(struct message_parse *p)
{
	filter_texts_drop(p->owned);
}

static void
query_parsed(void *arg)
{
	struct call *c = arg;
	struct email_query *q = c->data;
	struct message_parse *p = q->parse;

	q->parse = NULL;
	q->error = p->error;
	if (p->error == 0 && query_decided(c, q, &p->match, true) > 0)
		query_sort_add(&q->rows->sort, &q->row);
	message_parse_free(&p);
	call_resume(c, CALL_AGAIN);
}

/* The file of q->r decides.  Ends the snapshot. */
static enum call_next
query_open(struct call *c, struct email_query *q)
{
	struct message_parse *p;
	int rc;

	message_init(&q->message, slice(NULL, 0));
	rc = message_open(&q->message, call_view(c), q->folder->mailbox, q->r.uid);
	if (rc < 0) {
		q->error = rc == -ENOENT ? 0 : rc; /* expunged meanwhile: not found */
		return CALL_AGAIN;
	}
	if (q->message.size <= MESSAGE_LARGE &&
	    message_in_memory(&q->message, 0, q->message.size)) {
		q->error = message_map(&q->message);
		if (q->error < 0) {
			message_close(&q->message);
			return CALL_AGAIN;
		}
		message_match_start(&q->match, &q->filters.texts->query,
		    message_bytes(&q->message));
		q->open = true;
		return CALL_AGAIN;
	}
	p = message_parse_new(MESSAGE_WANT_MATCH);
	p->message = q->message;
	q->message = (struct message){ .fd = -1 };
	p->query = &q->filters.texts->query;
	p->free = query_parse_free;
	p->owned = q->filters.texts;
	q->filters.texts->refs++;
	q->parse = p;
	message_parse_start(p, jmapd.loop, call_op(c), call_user(c)->id, query_parsed, c);
	return CALL_WAIT;
}

/* False: the slice is over. */
static bool
query_file(struct call *c, struct email_query *q)
{
	int found;

	while ((found = query_decided(c, q, &q->match, false)) == -EAGAIN) {
		if (call_spent(c))
			return false;
		if (!message_match_step(&q->match)) {
			found = query_decided(c, q, &q->match, true);
			break;
		}
	}
	if (message_is_cut(&q->message))
		q->error = -EIO;
	else if (found > 0)
		query_sort_add(&q->rows->sort, &q->row);
	query_close(q);
	return true;
}

/* ---- the index ------------------------------------------------------------------------------------------- */

/* AGAIN: the record has been dealt with; WAIT or DONE: a file is being read (q->open says how). */
static bool
query_record(struct call *c, struct email_query *q, const struct store_record *r,
    struct folder *folder)
{
	struct filter_candidate x = query_candidate(c, q, r, folder);
	enum message_answer a = MESSAGE_YES;

	/* What is asked is of the email: its other places would say the same, each at the cost of all of them. */
	if (q->asks && !idset_add(&q->seen, r->emailid))
		return false;
	if (q->filters.root) {
		x.snapshot = true;
		memset(q->known, MESSAGE_UNKNOWN, q->filters.n);
		a = filters_match(&q->filters, &x);
		if (a == MESSAGE_UNKNOWN) {
			struct store_record copy = *r;

			x.digest = store_get_cache(call_view(c), copy.emailid);
			a = filters_match(&q->filters, &x);
		}
	}
	if (a != MESSAGE_NO) {
		x.snapshot = true;
		query_sort_row(&q->rows->sort, &x, &q->row);
	}
	if (a == MESSAGE_YES)
		query_sort_add(&q->rows->sort, &q->row);
	if (a == MESSAGE_UNKNOWN) {
		q->r = *r;
		q->folder = folder;
	}
	if (q->scratch.total)
		arena_reset(&q->scratch);
	return a == MESSAGE_UNKNOWN;
}

/* One mailbox on, as far as the slice goes.  1: it is over, 0: it is not, or -EAGAIN: a file is needed. */
static int
query_mailbox(struct call *c, struct email_query *q, struct folder *folder)
{
	struct store_record block[STORE_BLOCK];
	struct store_blocks b;
	const struct store_record *r;
	size_t n;

	store_blocks_init(&b, call_view(c), folder->mailbox, q->at, UINT32_MAX);
	while ((r = store_blocks_next(&b, &n))) {
		/* Conditions ask the view for other records, which take the room of these. */
		memcpy(block, r, n * sizeof(*block));
		for (size_t i = 0; i < n; i++) {
			q->at = block[i].uid + 1;
			if (block[i].flags & STORE_DELETED)
				continue;
			if (query_record(c, q, &block[i], folder))
				return -EAGAIN;
			/* A block's threads and places together can be thousands of looks. */
			if (q->looks_far && call_spent(c))
				return 0;
		}
		if (call_spent(c) || q->rows->sort.nrows > (size_t)config.found)
			return 0;
	}
	return 1;
}

static void
query_begin(struct call *c, struct email_query *q, const struct store_account *a)
{
	const struct folders *f = call_folders(c);
	size_t n = 0;

	q->stage = QUERY_WALK;
	for (size_t i = 0; i < q->rows->sort.n; i++)
		q->looks_far = q->looks_far || q->rows->sort.keys[i].by >= SORT_HAS;
	q->looks_far = q->looks_far || q->filters.has_places;
	q->asks = q->looks_far || q->filters.root;
	q->modseq = a->modseq;
	q->at = 1;
	q->mailboxes = arena_array(&c->arena, f->n + 1u, sizeof(*q->mailboxes));
	for (uint32_t i = 0; i < f->n; i++)
		if (folder_readable(&f->list[i]) &&
		    (!q->filters.mailbox || f->list[i].objectid == q->filters.mailbox)) {
			q->mailboxes[q->nmailboxes++] = f->list[i].mailbox;
			n += f->list[i].exists;
		}
	if (!q->filters.root) /* all of it is found */
		query_sort_reserve(&q->rows->sort,
		    n < (size_t)config.found ? n : (size_t)config.found);
}

static enum call_next
query_walk(struct call *c, struct email_query *q)
{
	struct store_account a;
	int rc, went = 1;
	enum call_next next = folders_begin(c, &a, &rc);

	if (rc < 0)
		return call_failed(c, rc);
	if (next == CALL_AGAIN)
		return next;
	if (q->filters.has_places && multi_go(c, &a) == CALL_AGAIN)
		return CALL_AGAIN;
	if (q->stage == QUERY_BEGIN)
		query_begin(c, q, &a);
	while (q->mailbox < q->nmailboxes && went > 0) {
		struct folder *f = folders_find_mailbox(call_folders(c), q->mailboxes[q->mailbox]);

		went = f ? query_mailbox(c, q, f) : 1;
		if (went > 0) {
			q->mailbox++;
			q->at = 1;
		}
	}
	if (went == -EAGAIN)
		return query_open(c, q);
	store_end(call_view(c));
	if (q->rows->sort.nrows > (size_t)config.found)
		return call_error(c, "requestTooLarge", "the query finds too much (limit.found)");
	if (q->mailbox == q->nmailboxes)
		q->stage = QUERY_SORT;
	return CALL_AGAIN;
}

/* ---- the answer -------------------------------------------------------------------------------------------- */

static void
query_sort_work(void *arg)
{
	struct query_rows *r = arg;

	query_sort_run(&r->sort);
}

static void
query_sort_drop(void *arg)
{
	query_rows_drop(arg);
}

static void
query_sorted(void *arg)
{
	struct query_rows *r = arg;
	struct call *c = r->sort.owner;
	struct email_query *q = c->data;

	query_rows_drop(r);
	q->stage = QUERY_SORTED;
	call_resume(c, CALL_AGAIN);
}

static enum call_next
query_sort_start(struct call *c, struct email_query *q)
{
	if (q->rows->sort.nrows <= SORT_INLINE) {
		query_sort_run(&q->rows->sort);
		q->stage = QUERY_SORTED;
		return CALL_AGAIN;
	}
	q->rows->refs++;
	q->rows->sort.owner = c;
	work_start_for(jmapd.loop, call_op(c), call_user(c)->id, query_sort_work, query_sorted,
	    query_sort_drop, q->rows);
	return CALL_WAIT;
}

/* Of each thread the first email (4.4.3). */
static void
query_collapse(struct query_sort *s)
{
	struct idset threads = { 0 };
	size_t n = 0;

	for (size_t i = 0; i < s->nrows; i++)
		if (idset_add(&threads, query_sort_at(s, i)->thread))
			query_sort_move(s, n++, i);
	s->nrows = n;
	idset_fini(&threads);
}

static void
query_write(struct buf *b, const void *list, size_t i)
{
	jmap_id_json(b, JMAP_EMAIL, query_sort_at(list, i)->id);
}

static void
query_write_id(struct buf *b, const void *list, size_t i)
{
	const uint64_t *ids = list;

	jmap_id_json(b, JMAP_EMAIL, ids[i]);
}

enum call_next
email_query_window(struct call *c, struct email_query *q, uint64_t modseq,
    const struct query_sort *rows, const uint64_t *ids, size_t n)
{
	uint64_t anchor =
	    q->window.anchor.p ? jmap_id_parse(call_created(c, q->window.anchor), JMAP_EMAIL) : 0;
	size_t at = anchor ? 0 : n;

	while (at < n && (rows ? query_sort_at(rows, at)->id : ids[at]) != anchor)
		at++;
	if (q->window.limit < 0 || q->window.limit > config.found)
		q->window.limit = config.found;
	return window_answer(c, &q->window, modseq, !c->of.guest, n, at,
	    rows ? query_write : query_write_id, rows ? (const void *)rows : ids);
}

enum call_next
email_query_run(struct call *c)
{
	struct email_query *q = c->data;
	enum call_next next = CALL_AGAIN;

	while (next == CALL_AGAIN && q->stage != QUERY_READY) {
		if (q->error)
			return call_failed(c, q->error);
		if (q->open) {
			if (!query_file(c, q))
				return CALL_AGAIN;
		} else if (q->stage <= QUERY_WALK) {
			next = query_walk(c, q);
		} else if (q->stage == QUERY_SORT) {
			next = query_sort_start(c, q);
		} else {
			if (q->collapse)
				query_collapse(&q->rows->sort);
			q->stage = QUERY_READY;
		}
		if (call_spent(c))
			break;
	}
	return q->stage == QUERY_READY && next == CALL_AGAIN ? CALL_DONE : next;
}

static enum call_next
email_query_go(struct call *c)
{
	struct email_query *q = c->data;
	enum call_next next;

	if (!q->looked && query_kept_answer(c, q, &next))
		return next;
	next = email_query_run(c);
	if (next != CALL_DONE || q->stage != QUERY_READY)
		return next;
	query_kept_put(c, q);
	return email_query_window(c, q, q->modseq, &q->rows->sort, NULL, q->rows->sort.nrows);
}

void
email_query_undo(struct call *c)
{
	struct email_query *q = c->data;

	if (q->open)
		query_close(q);
	arena_reset(&q->scratch);
	filters_fini(&q->filters);
	idset_fini(&q->seen);
	query_rows_drop(q->rows);
}

const struct jmapd_method email_query = { "Email/query", JMAP_MAIL, sizeof(struct email_query),
	email_query_start, email_query_go, email_query_undo };
