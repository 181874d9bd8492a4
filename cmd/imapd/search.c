/* imapd/search.c: SEARCH, RFC 3501 6.4.4; ESEARCH, RFC 4731; MODSEQ, RFC 7162 3.1.5.
 *
 * A cursor in slices of time.  Most keys are answered from the index and the cache record
 * inside one snapshot; a message whose file must be read leaves the snapshot. */
#include "search.h"

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "imap/write.h"
#include "net/work.h"

#define SLICE_US 5000
#define LARGE    (512 * 1024) /* messages above are searched beside the loop */

struct searching {
	struct imap_search q;
	struct imap_set all;    /* UIDs to look at: the first set of the query, or everything */
	size_t range;
	uint32_t at;
	uint64_t ends_at;       /* of this slice, monotonic us */
	struct imap_set found;  /* UIDs or sequence numbers, as the answer counts */
	uint64_t modseq;        /* highest of those found */
	uint64_t first_modseq, last_modseq;
	struct reading *reading; /* a large message on the work pool */
};

/* A large message is searched on the work pool.  The keys lie in the session's arena and in
 * the command's text: when the session goes first, it leaves both here. */
struct reading {
	struct session *s;
	struct imap_key *key;
	struct candidate c;
	void *map;
	size_t size;
	bool yes;
	struct arena arena;
	struct buf text;
};

static void
found(struct session *s, struct searching *q, const struct store_record *r)
{
	uint32_t n = s->uid ? r->uid : view_seq(s->view, r->uid);

	if (q->found.n == 0)
		q->first_modseq = r->modseq;
	q->last_modseq = r->modseq;
	if (r->modseq > q->modseq)
		q->modseq = r->modseq;
	imap_set_add(&q->found, &s->arena, n, n);
}

static void
reading_run(void *arg)
{
	struct reading *g = arg;

	g->yes = match_key(NULL, g->key, &g->c) == MATCH_YES;
}

static void
reading_drop(void *arg)
{
	struct reading *g = arg;

	munmap(g->map, g->size);
	arena_reset(&g->arena);
	buf_fini(&g->text);
	mem_release(g);
}

static void
reading_done(void *arg)
{
	struct reading *g = arg;
	struct session *s = g->s;
	struct searching *q = s->data;

	log_context(s->sid);
	q->reading = NULL;
	if (g->yes)
		found(s, q, &g->c.rec);
	reading_drop(g);
	session_resume(s, session_pull(s));
}

static void
undo(struct session *s)
{
	struct searching *q = s->data;

	if (!q->reading)
		return;
	q->reading->arena = s->arena;
	q->reading->text = s->lex.text;
	s->arena = (struct arena){ 0 };
	s->lex.text = (struct buf){ 0 };
}

/* Decides with the message itself.  Ends the snapshot.  A large one is only begun. */
static bool
match_file(struct session *s, struct searching *q, struct candidate *c)
{
	int fd = store_open_message(reader(s), s->view->mailbox, c->rec.uid);
	struct stat st;
	void *map = MAP_FAILED;
	bool yes;

	if (fd >= 0 && fstat(fd, &st) == 0 && st.st_size > 0)
		map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (fd >= 0)
		close(fd);
	if (map == MAP_FAILED)
		return false; /* expunged and purged meanwhile */
	c->file = slice(map, (size_t)st.st_size);
	c->opened = true;
	if (st.st_size > LARGE) {
		struct reading *g = mem_new(sizeof(*g));

		*g = (struct reading){ .s = s, .key = q->q.key, .c = *c, .map = map,
			.size = (size_t)st.st_size };
		q->reading = g;
		work_start(imapd.loop, &s->op, reading_run, reading_done, reading_drop, g);
		return false;
	}
	yes = match_key(reader(s), q->q.key, c) == MATCH_YES;
	munmap(map, (size_t)st.st_size);
	return yes;
}

enum walk { OVER, TIME_IS_OUT, AGAIN };

static enum walk
walk(struct session *s, struct searching *q)
{
	const struct view *v = s->view;
	struct store_mailbox m;

	if (store_get_mailbox(reader(s), v->mailbox, &m) < 0)
		return OVER;
	match_resolve_keywords(q->q.key, &m);
	for (; q->range < q->all.n; q->range++, q->at = 0) {
		const struct imap_range *range = &q->all.r[q->range];
		struct store_blocks blocks;
		const struct store_record *r;
		size_t n;

		store_blocks_init(&blocks, reader(s), v->mailbox,
		    q->at > range->lo ? q->at : range->lo, range->hi);
		while ((r = store_blocks_next(&blocks, &n))) {
			for (size_t i = 0; i < n; i++) {
				struct candidate c;
				enum match m1;

				if (!view_seq(v, r[i].uid))
					continue;
				c.rec = r[i];
				c.recent = view_is_recent(v, r[i].uid);
				c.cached = c.opened = false;
				m1 = match_key(reader(s), q->q.key, &c);
				if (m1 == MATCH_YES)
					found(s, q, &c.rec);
				if (m1 != MATCH_NEEDS_FILE)
					continue;
				q->at = c.rec.uid + 1;
				if (match_file(s, q, &c))
					found(s, q, &c.rec);
				return AGAIN;
			}
			q->at = r[n - 1].uid + 1;
			if (clock_mono_us() > q->ends_at)
				return TIME_IS_OUT;
		}
	}
	return OVER;
}

/* ---- the answer -------------------------------------------------------------------------------- */

static void
write_search(struct session *s, struct searching *q)
{
	struct buf *b = out(s);

	buf_lit(b, "* SEARCH");
	for (size_t i = 0; i < q->found.n; i++)
		for (uint64_t n = q->found.r[i].lo; n <= q->found.r[i].hi; n++) {
			char *p = buf_reserve(b, 1 + IMAP_U64_MAX);

			if (!p)
				return;
			*p = ' ';
			b->n += (size_t)(imap_u32_at(p + 1, (uint32_t)n) - p);
		}
	if (q->q.modseq && q->found.n > 0) {
		buf_lit(b, " (MODSEQ ");
		buf_u64(b, q->modseq);
		buf_char(b, ')');
	}
	buf_lit(b, "\r\n");
}

static void
write_item(struct buf *b, const char *name, uint64_t v)
{
	buf_char(b, ' ');
	buf_str(b, name);
	buf_char(b, ' ');
	buf_u64(b, v);
}

static void
write_esearch(struct session *s, struct searching *q)
{
	struct buf *b = out(s);
	unsigned ret = q->q.ret;

	buf_lit(b, "* ESEARCH (TAG ");
	imap_write_string(b, s->tag);
	buf_char(b, ')');
	if (s->uid)
		buf_lit(b, " UID");
	if (q->found.n > 0) {
		if (ret & IMAP_RETURN_MIN)
			write_item(b, "MIN", q->found.r[0].lo);
		if (ret & IMAP_RETURN_MAX)
			write_item(b, "MAX", q->found.r[q->found.n - 1].hi);
		if (ret & IMAP_RETURN_ALL) {
			buf_lit(b, " ALL ");
			imap_set_write(b, &q->found);
		}
	}
	if (ret & IMAP_RETURN_COUNT)
		write_item(b, "COUNT", imap_set_count(&q->found));
	/* RFC 7162 3.1.5 with 4731 3.2: of the messages that are named. */
	if (q->q.modseq && q->found.n > 0) {
		uint64_t modseq = q->modseq;

		if (!(ret & (IMAP_RETURN_ALL | IMAP_RETURN_COUNT))) {
			modseq = 0;
			if (ret & IMAP_RETURN_MIN)
				modseq = q->first_modseq;
			if (ret & IMAP_RETURN_MAX && q->last_modseq > modseq)
				modseq = q->last_modseq;
		}
		write_item(b, "MODSEQ", modseq);
	}
	buf_lit(b, "\r\n");
}

static enum next
search_more(struct session *s)
{
	struct searching *q = s->data;
	enum walk w = AGAIN;

	q->ends_at = clock_mono_us() + SLICE_US;
	while (w == AGAIN && !q->reading && clock_mono_us() <= q->ends_at) {
		if (store_begin(reader(s)) < 0)
			return finish(s, "NO", "[UNAVAILABLE] The mail store cannot be read");
		w = walk(s, q);
		store_end(reader(s));
	}
	if (q->reading)
		return WAIT;
	if (w != OVER)
		return YIELD;
	if (q->q.esearch)
		write_esearch(s, q);
	else
		write_search(s, q);
	return finish(s, "OK", "%sSEARCH completed", s->uid ? "UID " : "");
}

enum next
cmd_search(struct session *s, struct imap_in *in)
{
	struct searching *q = arena_new(&s->arena, sizeof(*q));
	const struct imap_key *k;

	if (!imap_search_parse(in, &q->q))
		return bad(s, in);
	if (q->q.bad_charset)
		return finish(s, "NO",
		    "[BADCHARSET (US-ASCII UTF-8 ISO-8859-1)] Unknown character set");
	if (s->uid)
		view_arrivals(s);
	if (!match_resolve_sets(q->q.key, s->view, &s->arena))
		return bad_text(s, "No such message");
	s->condstore = s->condstore || q->q.modseq;
	for (k = q->q.key->first; k && k->op != IMAP_KEY_SEQ && k->op != IMAP_KEY_UID; k = k->next)
		;
	if (k)
		q->all = k->set;
	else if (s->view->exists > 0)
		imap_set_add(&q->all, &s->arena, 1, view_last_uid(s->view));
	s->data = q;
	s->undo = undo;
	s->more = search_more;
	return session_pull(s);
}
