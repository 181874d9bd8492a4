/* imapd/thread.c: THREAD: RFC 5256 3 (ORDEREDSUBJECT, REFERENCES), draft-ietf-morg-inthread 4 (REFS).
 *
 *	searching -> gathering -> making trees -> telling
 *
 * As in sort.c: cursors on the loop, and many messages on the work pool.  Message IDs, references and
 * base subjects are hashed as they are met (imap/thread.h says what that means), so that memory does
 * not depend on their lengths; how many references and unknown IDs there may be is bounded by the
 * number of messages, and beyond it the answer is NO [LIMIT].  What must stay true: IDs are compared
 * octet by octet, subjects by i;unicode-casemap. */
#include "search.h"

#include "base/log.h"
#include "base/mem.h"
#include "base/random.h"
#include "imap/thread.h"
#include "message/refs.h"
#include "net/work.h"

struct threaded {
	struct gather gather;
	struct siphash_key key;
	struct imap_threads threads;
	size_t max_refs;
	uint32_t *uids; /* of the messages */
	bool kept;      /* REFS: the account's threads are those of its records */
	size_t room;
	enum { THREAD_SEARCHES, THREAD_GATHERS, THREAD_MAKES, THREAD_BEGINS, THREAD_TELLS } stage;
	enum imap_threads_made made;
	struct message_refs_room scratch;
};

static void
threaded_free(void *arg)
{
	struct threaded *w = arg;

	gather_fini(&w->gather);
	imap_threads_fini(&w->threads);
	mem_free(&w->uids);
	message_refs_fini(&w->scratch);
	mem_release(w);
}

/* ---- gathering ------------------------------------------------------------------------------------ */

/* Never 0, which stands for none. */
static uint64_t
thread_hash(const struct threaded *w, struct slice s)
{
	uint64_t h = siphash(&w->key, s);

	return h ? h : 1;
}

static void
thread_take_refs(struct threaded *w, const struct message_order *o)
{
	struct slice at = o->value[MESSAGE_REFERENCES], id;
	bool any = false;

	while (w->threads.nrefs <= w->max_refs &&
	    message_ref_next(&w->scratch, &at, o->value[MESSAGE_IN_REPLY_TO], &any, &id))
		imap_threads_add_ref(&w->threads, thread_hash(w, id));
}

static void
thread_take(void *arg, const struct store_record *r, const struct message_order *o)
{
	struct threaded *w = arg;
	struct imap_thread_message m = { .arrived = r->internaldate,
		.sent_at = o->dated ? o->sent_at : r->internaldate, /* RFC 5256 2.2 */
		.thread = w->kept ? (r->threadid ? r->threadid : r->emailid) : 0 };
	struct slice at = o->value[MESSAGE_MESSAGE_ID], id;

	if (w->threads.n == w->room) {
		w->room = w->room ? w->room * 2 : 256;
		w->uids = mem_grow(w->uids, w->room, sizeof(*w->uids));
	}
	w->uids[w->threads.n] = r->uid;
	if (o->value[MESSAGE_SUBJECT].p) {
		id = message_base_subject(&w->scratch, o->value[MESSAGE_SUBJECT], &m.reply);
		m.subject = id.n ? thread_hash(w, id) : 0;
	}
	if (imap_thread_id_next(&at, &w->scratch.form, &id))
		m.id = thread_hash(w, id);
	imap_threads_add(&w->threads, &m);
	thread_take_refs(w, o);
}

/* Are all messages of the mailbox's account in threads?  Else those of before are one each, and their references say
 * more. */
static bool
thread_is_kept(struct session *s)
{
	struct store_account a = { 0 };

	if (session_snapshot(s) < 0)
		return false;
	(void)!store_find_account(session_reader(s), slice_str(session_owner(s)), &a);
	store_end(session_reader(s));
	return a.threads_at;
}

static void
thread_gather(struct session *s, struct searching *q, struct threaded *w)
{
	static const unsigned subject = 1u << MESSAGE_SUBJECT;
	static const unsigned refs =
	    1u << MESSAGE_MESSAGE_ID | 1u << MESSAGE_REFERENCES | 1u << MESSAGE_IN_REPLY_TO;

	w->gather.take = thread_take;
	w->gather.arg = w;
	w->gather.date = true;
	switch (w->threads.by) {
	case IMAP_THREAD_ORDEREDSUBJECT: w->gather.fields = subject; break;
	case IMAP_THREAD_REFERENCES: w->gather.fields = subject | refs; break;
	case IMAP_THREAD_REFS:
		w->gather.fields = refs;
		w->kept = thread_is_kept(s);
		break;
	}
	w->max_refs = IMAP_THREAD_MAX_REFS(imap_set_count(&q->found));
}

/* ---- making trees ---------------------------------------------------------------------------------- */

/* On a pool thread, or at once. */
static void
thread_run(void *arg)
{
	struct searching *q = arg;
	struct threaded *w = q->further;

	w->made = imap_threads_make(&w->threads, work_stopped);
}

static void
thread_drop(void *arg)
{
	search_release(arg);
}

static void
thread_done(void *arg)
{
	struct searching *q = arg;
	struct session *s = q->session;
	struct threaded *w = q->further;

	log_context(s->sid);
	w->stage = THREAD_BEGINS;
	search_release(q);
	imap_server_resume(&s->imap, IMAP_PULL);
}

/* ---- the command ----------------------------------------------------------------------------------- */

static uint32_t
thread_number(const void *arg, uint32_t i)
{
	const struct session *s = arg;
	const struct searching *q = s->imap.data;
	const struct threaded *w = q->further;

	return s->imap.uid ? w->uids[i] : view_seq(s->view, w->uids[i]);
}

/* "* THREAD (2)(3 6 (4 23)(44 7 96))".  False: the output is full. */
static bool
thread_tell(struct session *s, struct threaded *w)
{
	struct buf *b = session_out(s);

	if (w->stage == THREAD_BEGINS)
		buf_str(b, w->threads.n > 0 ? "* THREAD " : "* THREAD");
	w->stage = THREAD_TELLS;
	if (!imap_threads_write(&w->threads, b, STREAM_HIGH, thread_number, s))
		return false;
	buf_lit(b, "\r\n");
	return true;
}

static enum imap_next
thread_more(struct imap_server *imap)
{
	struct session *s = session_of(imap);
	struct searching *q = s->imap.data;
	struct threaded *w = q->further;

	if (w->stage == THREAD_MAKES)
		return IMAP_WAIT;
	while (w->stage < THREAD_MAKES) {
		switch (
		    w->stage == THREAD_SEARCHES ? search_go(s, q) : gather_go(s, q, &w->gather)) {
		case SEARCH_WAITS: return IMAP_WAIT;
		case SEARCH_YIELDS: return IMAP_YIELD;
		case SEARCH_FAILED: return search_refuse(s, q);
		case SEARCH_DONE: break;
		}
		if (w->stage++ == THREAD_SEARCHES) {
			thread_gather(s, q, w);
			continue;
		}
		if (w->threads.n + w->threads.nrefs >= GATHER_MANY) {
			q->refs++;
			work_start_for(imapd.loop, &s->imap.op, s->user->id, thread_run,
			    thread_done, thread_drop, q);
			return IMAP_WAIT;
		}
		thread_run(q);
		w->stage = THREAD_BEGINS;
	}
	if (w->made == IMAP_THREADS_TOO_MANY)
		return imap_server_no(&s->imap, "LIMIT", "Too many references");
	if (!thread_tell(s, w))
		return IMAP_FULL;
	return search_finish(s, q, "THREAD");
}

enum imap_next
cmd_thread(struct imap_server *imap, struct imap_in *in)
{
	struct session *s = session_of(imap);
	struct imap_in own;
	struct searching *q = search_new(s, in, &own);
	struct threaded *w = mem_new(sizeof(*w));

	gather_init(&w->gather);
	random_bytes(&w->key, sizeof(w->key));
	q->by_uid = q->whole = true;
	q->further = w;
	q->further_free = threaded_free;
	if (!imap_thread_parse(&own, &w->threads.by) ||
	    !imap_search_parse_program(&own, match_words, match_nwords, &q->q))
		return imap_server_syntax(&s->imap, &own);
	return search_begin(s, q, thread_more);
}
