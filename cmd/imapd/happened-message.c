/* imapd/happened-message.c: what lmtpd, or the filter, is to know of a message to which something has happened.
 *
 * Called by happened.c with a hand and its lane, inside a snapshot.  Can fail: a message that has gone, a mailbox without a
 * script, which is nothing to do; and names that are too long together, which the log tells.  Must stay true: all is copied,
 * for the snapshot ends behind this; and a turn looks at LOOKS messages at most. */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "daemon/daemon.h"
#include "happened-impl.h"
#include "imapd.h"
#include "smtp/params.h"

#define LOOKS 64 /* messages that are passed over in a turn */

static void
words_add(struct buf *b, struct slice word)
{
	if (b->n)
		buf_char(b, ' ');
	buf_slice(b, word);
}

static void
words_flags(struct buf *b, const struct store_mailbox *m, uint16_t flags, uint64_t keywords)
{
	static const struct {
		enum store_flag flag;
		const char *name;
	} names[] = { { STORE_SEEN, "\\Seen" }, { STORE_ANSWERED, "\\Answered" },
		{ STORE_FLAGGED, "\\Flagged" }, { STORE_DELETED, "\\Deleted" },
		{ STORE_DRAFT, "\\Draft" } };

	buf_clear(b);
	for (size_t i = 0; i < NELEM(names); i++)
		if (flags & names[i].flag)
			words_add(b, slice_str(names[i].name));
	for (size_t i = 0; i < m->nkeywords; i++)
		if (keywords & 1ull << i && m->keywords[i].n)
			words_add(b, m->keywords[i]);
}

/* Is the filter to be told of it, and what?  What goes from Junk to Trash is no ham: there, too, it is got rid of. */
static bool
hand_lesson(struct hand *h, struct store_view *v, const struct store_mailbox *m)
{
	struct store_mailbox from;

	if (!learn_wanted() || h->row.cause != STORE_CAUSE_COPY)
		return false;
	h->kind = m->special == STORE_USE_JUNK ? LEARN_SPAM : LEARN_HAM;
	if (h->kind == LEARN_HAM &&
	    (m->special == STORE_USE_TRASH || store_get_mailbox(v, h->row.from, &from) < 0 ||
		from.special != STORE_USE_JUNK))
		return false;
	return learn_may(buf_get(&h->login));
}

/* RFC 6785 2.3.1; the administrator's for Junk, and that of mailboxes without one, are ours.  False: none is to run. */
static bool
hand_script(struct hand *h, struct store_view *v, const struct store_mailbox *m,
    struct rules_event *e)
{
	struct store_mailbox from;

	if (h->lane->stage == LANE_FILTER)
		return hand_lesson(h, v, m);
	if (h->lane->stage == LANE_JUNK) {
		e->script = slice_str(conf.sieve_junk);
		e->global = S("yes");
		return e->script.n && h->row.cause == STORE_CAUSE_COPY &&
		    (m->special == STORE_USE_JUNK ||
			(store_get_mailbox(v, h->row.from, &from) == 0 &&
			    from.special == STORE_USE_JUNK));
	}
	if (store_script_name(v, h->row.account, h->row.mailbox, &e->script))
		return true;
	e->script = slice_str(e->script.p ? "" : conf.sieve_script);
	e->global = S("yes");
	return e->script.n;
}

/* So long is it in a line of SMTP. */
static size_t
hand_octets(struct hand *h, struct slice event)
{
	size_t n;

	buf_clear(&h->line);
	smtp_xtext_write(&h->line, event);
	n = h->line.n;
	return n;
}

/* Inside a snapshot: what lmtpd is to know.  False: there is nothing for it. */
static bool
hand_read(struct hand *h, struct store_view *v)
{
	static const char *const causes[] = { [STORE_CAUSE_APPEND] = "APPEND",
		[STORE_CAUSE_COPY] = "COPY",
		[STORE_CAUSE_FLAG] = "FLAG" };
	struct rules_event e = { .cause = slice_str(causes[h->row.cause]),
		.user = buf_get(&h->login) };
	const struct store_record *rec;
	struct store_mailbox m;

	if (store_get_mailbox(v, h->row.mailbox, &m) < 0)
		return false;
	rec = store_get_record(v, h->row.mailbox, h->uid);
	if (!rec || !hand_script(h, v, &m, &e))
		return false;
	h->size = rec->size;
	buf_clear(&h->owner);
	buf_slice(&h->owner, m.account_name);
	words_flags(&h->words, &m, rec->flags, rec->keywords);
	words_flags(&h->line, &m, h->row.flags, h->row.keywords);
	e.mailbox = m.name;
	e.flags = buf_get(&h->words);
	e.changed = buf_get(&h->line);
	buf_clear(&h->event);
	snprintf(h->qid, sizeof(h->qid), "E%llx-%llx-%u-%u", (unsigned long long)h->row.number,
	    (unsigned long long)h->row.mailbox, h->uid, (unsigned)h->lane->stage);
	if (!rules_event_write(&h->event, &e) ||
	    hand_octets(h, buf_get(&h->event)) > RULES_EVENT_MAX) {
		log_event(LOG_WARN, "event", "user=%s qid=%s error=%s", log_value(m.account_name),
		    h->qid, log_str("the names of its script, folder and flags are too long"));
		metric_add(M_EVENTS_FAILED, 1);
		return false;
	}
	h->fd = store_open_message(v, h->row.mailbox, h->uid);
	return h->fd >= 0;
}

/* The next message of the lane's row that is there and has a script.  False: there is none, of so many that were looked
 * at. */
bool
hand_message(struct hand *h, struct store_view *v, const struct store_happened *row)
{
	size_t n = row->ranges.n / sizeof(struct store_range);
	struct lane *l = h->lane;
	struct store_range r;

	for (int looks = 0; looks < LOOKS && l->range < n; looks++) {
		memcpy(&r, row->ranges.p + l->range * sizeof(r), sizeof(r));
		if (l->uid < r.first)
			l->uid = r.first;
		if (l->uid > r.last) {
			l->range++;
			l->uid = 0;
			continue;
		}
		h->uid = l->uid;
		if (hand_read(h, v))
			return true;
		lanes_step(l);
	}
	return false;
}
