/* lmtpd/sent.c: a copy for the Sent folder of him who has sent the message (RCPT ... XSENT, of our relays).
 *
 * Called by deliver.c when the message is complete and its digest is made.  A client that has stored its own copy has
 * left a mark in the account, by the Message-ID (imapd; message/sent.h): then this one is left out.  It is only looked
 * at, since what was claimed and could not be stored would be missing for good.  Can fail: stored is away, and the
 * recipient is put off.  Must stay true: a message without a Message-ID is stored, rather twice than never. */
#include "base/must.h"
#include "lmtpd.h"
#include "message/sent.h"

/* The next one of whom it is not known; s->nrcpt: there is none. */
static size_t
sent_next(const struct lsession *s)
{
	size_t i = 0;

	while (i < s->nrcpt && (!s->rcpts[i].sent || s->rcpts[i].looked || s->rcpts[i].again))
		i++;
	return i;
}

static void
sent_known(void *arg, const struct store_reply *r)
{
	struct lsession *s = CAST(arg, struct lsession, LSESSION_MAGIC);
	struct lrcpt *one = &s->rcpts[sent_next(s)];

	one->looked = true;
	if (r->verdict.kind != OK)
		one->v = r->verdict;
	else if (r->known & 1)
		one->v = verdict(OUT_SENT_THERE);
	if (!sent_look(s, s->cache))
		deliver_go_on(s, s->cache);
}

bool
sent_look(struct lsession *s, struct slice cache)
{
	struct store_question q = { .what = STORE_KNOW_SEEN };
	size_t i = sent_next(s);

	if (i == s->nrcpt || !message_sent_key(cache, q.key))
		return false;
	if (s->cache.p != cache.p) /* who has called gives his away */
		s->cache = arena_slice(&s->srv.arena, cache);
	store_know_start(lmtpd.store, s->rcpts[i].account, s->rcpts[i].partition, &q, 1, &s->op,
	    sent_known, s);
	return true;
}
