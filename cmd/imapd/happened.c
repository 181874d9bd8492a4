/* imapd/happened.c: see happened.h.
 *
 * Owns the message at hand, a connection of its own to stored (whose actor is the mailbox's owner, as his scripts act), and
 * one to lmtpd.  Called when stored tells of something, and when it is back.  One message is under way at a time, and
 * its turn ends when lmtpd has answered and the flags are changed: so a flood of events is a queue and never a load; and
 * the accounts that have events take turns (happened-lanes.c), so that nobody's flood is another's wait.
 * Can fail: lmtpd or stored is away, which is waited for, however long; a script whose mail cannot be taken now, which is
 * tried TRIES times while others go on.  Must stay true: a row is handled when all of it has been dealt with,
 * and not before; what is done twice, because this process or lmtpd was killed in between, does no harm: lmtpd knows the
 * event by its name (XQID), and flags are set to the same again. */
#include "happened-impl.h"

#include <errno.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "daemon/daemon.h"
#include "imapd.h"
#include "learn.h"
#include "rules/event.h"
#include "smtp/params.h"
#include "submit/submit.h"

#define TRIES      6           /* of a message that lmtpd puts off for reasons of its own */
#define PAUSE_MS   1000        /* before the second, and twice as long before each next one, */
#define PAUSE_MOST 60000       /* up to this */
#define LOOKS      64          /* messages that are passed over in a turn */
#define LMTP_MS    (6 * 60000) /* lmtpd sends on what goes on before it answers */

static struct happening {
	struct store_client *store;
	struct submit *lmtpd;
	struct op op;
	struct later later;
	struct deadline pause;
	bool busy, stopped;
	bool waits; /* every account that has a lane does, and nothing else is under way */
	struct lanes lanes;
	struct lane *lane;     /* whose message is at hand */
	unsigned tries;        /* while lmtpd or stored is away */
	unsigned filter_tries; /* while the filter is, */
	uint64_t filter_due;   /* and until when nobody asks it: loop ms */
	/* The message at hand. */
	struct store_happened row; /* without its slices */
	uint32_t uid;
	struct buf owner, login, event, words, line;
	char qid[64];
	int fd;
	enum learn_kind kind; /* at LANE_FILTER */
	uint64_t size;
	struct rules_event_outcome outcome;
} it = { .fd = -1 };

static void happened_step(struct later *l);

static void
happened_go_on(void)
{
	later_run(&it.later, imapd.loop, happened_step);
}

static struct store_person
happened_actor(struct op *op)
{
	(void)op;
	return store_person(buf_get(&it.owner));
}

/* ---- again ---------------------------------------------------------------------------------- */

static void
happened_again(struct deadline *d)
{
	(void)d;
	it.waits = false;
	happened_go_on();
}

static uint64_t
happened_pause(unsigned tries)
{
	uint64_t ms = PAUSE_MS << (tries < 6 ? tries : 6);

	return ms < PAUSE_MOST ? ms : PAUSE_MOST;
}

/* Nobody's can be done now. */
static void
happened_wait(void)
{
	it.lane = NULL;
	deadline_set(&it.pause, imapd.loop, happened_pause(it.tries++), happened_again);
}

/* ---- the end of a message, of a row -------------------------------------------------------------- */

static void
happened_message_over(void)
{
	it.tries = 0;
	lanes_step(it.lane);
	it.lane = NULL;
	happened_go_on();
}

static void
happened_told(void *arg, const struct store_reply *r)
{
	(void)arg;
	if (r->verdict.kind == OK) {
		it.tries = 0;
		lanes_free(&it.lanes, it.lane);
		it.lane = NULL;
		happened_go_on();
	} else {
		happened_wait(); /* the lane is at its end, and says so again */
	}
}

static void
happened_row_over(void)
{
	store_handled_start(it.store, slice_str(it.lane->home->name), it.lane->number, &it.op,
	    happened_told, NULL);
}

/* ---- what the script wants ---------------------------------------------------------------------- */

static uint16_t
happened_flags(struct slice words, struct buf *keywords)
{
	static const struct {
		const char *name;
		enum store_flag flag;
	} flags[] = { { "\\Seen", STORE_SEEN }, { "\\Answered", STORE_ANSWERED },
		{ "\\Flagged", STORE_FLAGGED }, { "\\Deleted", STORE_DELETED },
		{ "\\Draft", STORE_DRAFT } };
	uint16_t set = 0;

	buf_clear(keywords);
	for (struct slice word; slice_word(&words, &word);) {
		size_t i = 0;

		while (i < NELEM(flags) && !slice_ieq(word, slice_str(flags[i].name)))
			i++;
		if (i < NELEM(flags))
			set |= flags[i].flag;
		else if (word.p[0] != '\\') {
			if (keywords->n)
				buf_char(keywords, ' ');
			buf_slice(keywords, word);
		}
	}
	return set;
}

static void happened_changed(void *arg, const struct store_reply *r);

static void
happened_change(enum store_how how, struct slice words)
{
	struct store_range one = { it.uid, it.uid };
	struct store_change c = { .how = how, .quiet = true };

	c.flags = happened_flags(words, &it.line);
	if (how == STORE_ADD && !it.outcome.keep)
		c.flags |= STORE_DELETED; /* RFC 6785 2.2.4; no script hears of it */
	c.keywords = buf_get(&it.line);
	store_flags_start(it.store, it.row.mailbox, &one, 1, &c, &it.op, happened_changed, NULL);
}

/* First what is added, then what is removed. */
static void
happened_outcome(void)
{
	struct rules_event_outcome *o = &it.outcome;
	struct slice words;

	if (o->add.n || !o->keep) {
		words = o->add;
		happened_change(STORE_ADD, words);
		o->add = S("");
		o->keep = true;
	} else if (o->remove.n) {
		words = o->remove;
		o->remove = S("");
		happened_change(STORE_REMOVE, words);
	} else {
		happened_message_over();
	}
}

static void
happened_changed(void *arg, const struct store_reply *r)
{
	(void)arg;
	if (r->code == STORE_AWAY || r->code == STORE_UNSURE) {
		happened_wait(); /* and the script is asked again: lmtpd knows the event */
		return;
	}
	if (r->verdict.kind != OK)
		log_event(LOG_WARN, "event", "user=%s qid=%s error=%s",
		    log_value(buf_get(&it.owner)), it.qid, log_str(r->verdict.text));
	happened_outcome();
}

/* Something that will pass, and not for this message alone: it is waited for. */
static bool
happened_is_away(const struct verdict *v)
{
	bool full = v->subject == 3 && v->detail == 1; /* its domain is, or its partition */

	return v->kind == TEMP && !full && (v->subject == 3 || (v->subject == 4 && v->detail <= 3));
}

/* The filter is away: who has something for it waits, and scripts run. */
static void
happened_unasked(void)
{
	it.lane->due = it.filter_due;
	it.lane = NULL;
	happened_go_on();
}

/* It is asked again: all of them wait, those who wait for the filter, or this account alone. */
static void
happened_later(const struct verdict *v)
{
	if ((it.lane->stage == LANE_FILTER ? it.filter_tries : it.tries) == 0 &&
	    it.lane->tries == 0)
		log_event(LOG_INFO, "event", "user=%s qid=%s wait=1 verdict=%d.%u.%u text=%s",
		    log_value(buf_get(&it.owner)), it.qid, (int)v->kind, v->subject, v->detail,
		    log_str(v->text));
	if (happened_is_away(v) && it.lane->stage == LANE_FILTER) {
		it.filter_due = loop_now(imapd.loop) + happened_pause(it.filter_tries++);
		happened_unasked();
		return;
	}
	if (happened_is_away(v)) {
		happened_wait();
		return;
	}
	it.lane->due = loop_now(imapd.loop) + happened_pause(it.lane->tries++);
	it.lane = NULL;
	happened_go_on();
}

static void
happened_ran(void *arg, const struct verdict *v)
{
	(void)arg;
	if (it.fd >= 0)
		close(it.fd);
	it.fd = -1;
	if (happened_is_away(v) || (v->kind == TEMP && it.lane->tries < TRIES)) {
		happened_later(v);
		return;
	}
	if (it.lane->stage == LANE_FILTER)
		it.filter_tries = 0;
	log_event(v->kind == OK ? LOG_INFO : LOG_WARN, "event",
	    "user=%s qid=%s mailbox=%llx uid=%u verdict=%d.%u.%u text=%s",
	    log_value(buf_get(&it.owner)), it.qid, (unsigned long long)it.row.mailbox, it.uid,
	    (int)v->kind, v->subject, v->detail, log_str(v->text));
	metric_add(v->kind == OK ? M_EVENTS : M_EVENTS_FAILED, 1);
	if (v->kind == OK && rules_event_outcome_parse(slice_str(v->text), &it.words, &it.outcome))
		happened_outcome();
	else
		happened_message_over();
}

static void
happened_run(void)
{
	struct submit_mail m;

	if (it.lane->stage == LANE_FILTER) {
		learn_start(it.fd, it.size, it.kind, &it.op, happened_ran, NULL);
		return;
	}
	m = (struct submit_mail){ .sender = buf_get(&it.owner),
		.to = buf_get(&it.owner),
		.fd = it.fd,
		.size = it.size,
		.event = buf_get(&it.event),
		.qid = slice_str(it.qid) };

	submit_start(it.lmtpd, &m, &it.op, happened_ran, NULL);
}

/* ---- a message -------------------------------------------------------------------------------- */

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
happened_lesson(struct store_view *v, const struct store_mailbox *m)
{
	struct store_mailbox from;

	if (!learn_wanted() || it.row.cause != STORE_CAUSE_COPY)
		return false;
	it.kind = m->special == STORE_USE_JUNK ? LEARN_SPAM : LEARN_HAM;
	if (it.kind == LEARN_SPAM)
		return true;
	return m->special != STORE_USE_TRASH && store_get_mailbox(v, it.row.from, &from) == 0 &&
	    from.special == STORE_USE_JUNK;
}

/* RFC 6785 2.3.1; the administrator's for Junk, and that of mailboxes without one, are ours.  False: none is to run. */
static bool
happened_script(struct store_view *v, const struct store_mailbox *m, struct rules_event *e)
{
	struct store_mailbox from;

	if (it.lane->stage == LANE_FILTER)
		return happened_lesson(v, m);
	if (it.lane->stage == LANE_JUNK) {
		e->script = slice_str(conf.sieve_junk);
		e->global = S("yes");
		return e->script.n && it.row.cause == STORE_CAUSE_COPY &&
		    (m->special == STORE_USE_JUNK ||
			(store_get_mailbox(v, it.row.from, &from) == 0 &&
			    from.special == STORE_USE_JUNK));
	}
	if (store_script_name(v, it.row.account, it.row.mailbox, &e->script))
		return true;
	e->script = slice_str(e->script.p ? "" : conf.sieve_script);
	e->global = S("yes");
	return e->script.n;
}

/* So long is it in a line of SMTP. */
static size_t
happened_octets(struct slice event)
{
	size_t n;

	buf_clear(&it.line);
	smtp_xtext_write(&it.line, event);
	n = it.line.n;
	return n;
}

/* Inside a snapshot: what lmtpd is to know.  False: there is nothing for it. */
static bool
happened_read(struct store_view *v)
{
	static const char *const causes[] = { [STORE_CAUSE_APPEND] = "APPEND",
		[STORE_CAUSE_COPY] = "COPY",
		[STORE_CAUSE_FLAG] = "FLAG" };
	struct rules_event e = { .cause = slice_str(causes[it.row.cause]),
		.user = buf_get(&it.login) };
	const struct store_record *rec;
	struct store_mailbox m;

	if (store_get_mailbox(v, it.row.mailbox, &m) < 0)
		return false;
	rec = store_get_record(v, it.row.mailbox, it.uid);
	if (!rec || !happened_script(v, &m, &e))
		return false;
	it.size = rec->size;
	buf_clear(&it.owner);
	buf_slice(&it.owner, m.account_name);
	words_flags(&it.words, &m, rec->flags, rec->keywords);
	words_flags(&it.line, &m, it.row.flags, it.row.keywords);
	e.mailbox = m.name;
	e.flags = buf_get(&it.words);
	e.changed = buf_get(&it.line);
	buf_clear(&it.event);
	snprintf(it.qid, sizeof(it.qid), "E%llx-%llx-%u-%u", (unsigned long long)it.row.number,
	    (unsigned long long)it.row.mailbox, it.uid, (unsigned)it.lane->stage);
	if (!rules_event_write(&it.event, &e) ||
	    happened_octets(buf_get(&it.event)) > RULES_EVENT_MAX) {
		log_event(LOG_WARN, "event", "user=%s qid=%s error=%s", log_value(m.account_name),
		    it.qid, log_str("the names of its script, folder and flags are too long"));
		metric_add(M_EVENTS_FAILED, 1);
		return false;
	}
	it.fd = store_open_message(v, it.row.mailbox, it.uid);
	return it.fd >= 0;
}

/* The next message of the lane's row that is there and has a script.  False: there is none, of so many that were looked
 * at. */
static bool
happened_message(struct store_view *v, const struct store_happened *row)
{
	size_t n = row->ranges.n / sizeof(struct store_range);
	struct lane *l = it.lane;
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
		it.uid = l->uid;
		if (happened_read(v))
			return true;
		lanes_step(l);
	}
	return false;
}

/* The turn of the account at hand. */
static void
happened_turn(void)
{
	struct store_view *v = it.lane->home->view;
	struct store_happened row;
	bool there, found = false, over = true;

	if (store_begin(v) < 0) {
		happened_wait();
		return;
	}
	there = store_happened_next(v, it.lane->number - 1, &row) && row.number == it.lane->number;
	if (there) {
		it.row = row;
		buf_clear(&it.login);
		buf_slice(&it.login, row.login);
		found = happened_message(v, &row);
		over = it.lane->range >= row.ranges.n / sizeof(struct store_range);
	}
	store_end(v);
	if (found && it.lane->stage == LANE_FILTER && it.filter_due > loop_now(imapd.loop)) {
		close(it.fd);
		it.fd = -1;
		happened_unasked();
	} else if (found) {
		happened_run();
	} else if (over) {
		happened_row_over();
	} else {
		it.lane = NULL;
		happened_go_on();
	}
}

/* Whose turn is it? */
static void
happened_step(struct later *l)
{
	uint64_t now = loop_now(imapd.loop), due;

	(void)l;
	if (it.stopped)
		return;
	lanes_fill(&it.lanes, &imapd.homes);
	it.lane = lanes_next(&it.lanes, now, &due);
	if (it.lane)
		happened_turn();
	else if ((it.waits = due != UINT64_MAX))
		deadline_set(&it.pause, imapd.loop, due - now, happened_again);
	else
		it.busy = false;
}

void
happened_look(void)
{
	if (it.stopped || !it.store)
		return;
	it.lanes.stale = true;
	if (it.busy && !it.waits)
		return;
	it.waits = false; /* for those who have lanes; another may have none yet */
	deadline_clear(&it.pause);
	imapd.homes.opened = false; /* one may have come */
	store_homes_open(&imapd.homes);
	it.busy = true;
	happened_go_on();
}

/* ---- life ------------------------------------------------------------------------------------------ */

/* What the last process has left. */
static void
happened_begin(struct later *l)
{
	(void)l;
	happened_look();
}

void
happened_init(const char *stored_socket)
{
	struct submit_params p = { .tls = SMTP_TLS_OFF, .time_ms = LMTP_MS, .lmtp = true };
	char *own = *conf.sieve_lmtpd ? mem_str(conf.sieve_lmtpd) :
					mem_printf("unix:%s/lmtpd.sock", shared.rundir);

	p.relay = own;
	if (daemon_worker() == 0) {
		later_init(&it.later);
		deadline_init(&it.pause);
		it.store = store_client_new(imapd.loop, stored_socket, "imapd-events");
		store_client_actors(it.store, happened_actor);
		it.lmtpd = submit_new(imapd.loop, &p);
		later_run(&it.later, imapd.loop, happened_begin);
	}
	mem_free(&own);
}

void
happened_stop(void)
{
	if (!it.store || it.stopped)
		return;
	it.stopped = true;
	op_cancel(&it.op);
	later_cancel(&it.later);
	deadline_clear(&it.pause);
	submit_leave(it.lmtpd);
}

void
happened_status(struct buf *b)
{
	if (!it.store)
		return;
	buf_printf(b, "events busy=%d accounts=%zu tries=%u\n", it.busy, it.lanes.n, it.tries);
}
