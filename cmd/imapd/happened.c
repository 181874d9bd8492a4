/* imapd/happened.c: see happened.h.
 *
 * Owns HANDS hands with a message each, a connection of its own to stored (whose actor is the mailbox's owner, as his scripts
 * act), and those to lmtpd.  Called when stored tells of something, and when it is back.  So many messages are under way at a
 * time, each of another account, and a turn ends when lmtpd has answered and the flags are changed: so a flood of events is a
 * queue and never a load; and the accounts that have events take turns (happened-lanes.c), so that nobody's flood is another's
 * wait.  One hand at most waits for the filter, so that scripts have the others, however long that is silent; and a script
 * whose program is silent has one.
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
#include "submit/submit.h"

#define TRIES      6           /* of a message that lmtpd puts off for reasons of its own */
#define PAUSE_MS   1000        /* before the second, and twice as long before each next one, */
#define PAUSE_MOST 60000       /* up to this */
#define HANDS      4           /* messages that are under way */
#define LMTP_MS    (6 * 60000) /* lmtpd sends on what goes on before it answers */

static struct happening {
	struct store_client *store;
	struct submit *lmtpd;
	struct later later;
	struct deadline pause;
	bool stopped;
	bool paused; /* lmtpd or stored is away: nobody's can be done */
	bool waits;  /* every account that has a lane does */
	struct lanes lanes;
	struct hand hands[HANDS];
	unsigned tries;        /* while lmtpd or stored is away */
	bool filter_asked;     /* a hand waits for it */
	unsigned filter_tries; /* while it is away, */
	uint64_t filter_due;   /* and until when nobody asks it: loop ms */
} it;

static void happened_step(struct later *l);

static void
happened_go_on(void)
{
	later_run(&it.later, imapd.loop, happened_step);
}

/* Who acts: the owner of the message in whose hand the operation is. */
static struct store_person
happened_actor(struct op *op)
{
	for (size_t i = 0; i < HANDS; i++)
		if (op == &it.hands[i].op)
			return store_person(buf_get(&it.hands[i].owner));
	return store_person(S(""));
}

static void
hand_free(struct hand *h)
{
	h->lane->busy = false;
	h->lane = NULL;
	happened_go_on();
}

/* ---- again ---------------------------------------------------------------------------------- */

static void
happened_again(struct deadline *d)
{
	(void)d;
	it.paused = it.waits = false;
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
hand_wait(struct hand *h)
{
	hand_free(h);
	if (it.paused) /* another has found that, too */
		return;
	it.paused = true;
	it.waits = false;
	deadline_set(&it.pause, imapd.loop, happened_pause(it.tries++), happened_again);
}

/* ---- the end of a message, of a row -------------------------------------------------------------- */

static void
hand_message_over(struct hand *h)
{
	it.tries = 0;
	lanes_step(h->lane);
	hand_free(h);
}

static void
hand_told(void *arg, const struct store_reply *r)
{
	struct hand *h = arg;

	if (r->verdict.kind == OK) {
		it.tries = 0;
		lanes_row_over(&it.lanes, h->lane);
		h->lane = NULL;
		happened_go_on();
	} else {
		hand_wait(h); /* the lane is at its end, and says so again */
	}
}

static void
hand_row_over(struct hand *h)
{
	store_handled_start(it.store, slice_str(h->lane->home->name), h->lane->number, &h->op,
	    hand_told, h);
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

static void hand_changed(void *arg, const struct store_reply *r);

static void
hand_change(struct hand *h, enum store_how how, struct slice words)
{
	struct store_range one = { h->uid, h->uid };
	struct store_change c = { .how = how, .quiet = true };

	c.flags = happened_flags(words, &h->line);
	if (how == STORE_ADD && !h->outcome.keep)
		c.flags |= STORE_DELETED; /* RFC 6785 2.2.4; no script hears of it */
	c.keywords = buf_get(&h->line);
	store_flags_start(it.store, h->row.mailbox, &one, 1, &c, &h->op, hand_changed, h);
}

/* First what is added, then what is removed. */
static void
hand_outcome(struct hand *h)
{
	struct rules_event_outcome *o = &h->outcome;
	struct slice words;

	if (o->add.n || !o->keep) {
		words = o->add;
		hand_change(h, STORE_ADD, words);
		o->add = S("");
		o->keep = true;
	} else if (o->remove.n) {
		words = o->remove;
		o->remove = S("");
		hand_change(h, STORE_REMOVE, words);
	} else {
		hand_message_over(h);
	}
}

static void
hand_changed(void *arg, const struct store_reply *r)
{
	struct hand *h = arg;

	if (r->code == STORE_AWAY || r->code == STORE_UNSURE) {
		hand_wait(h); /* and the script is asked again: lmtpd knows the event */
		return;
	}
	if (r->verdict.kind != OK)
		log_event(LOG_WARN, "event", "user=%s qid=%s error=%s",
		    log_value(buf_get(&h->owner)), h->qid, log_str(r->verdict.text));
	hand_outcome(h);
}

/* Something that will pass, and not for this message alone: it is waited for. */
static bool
happened_is_away(const struct verdict *v)
{
	bool full = v->subject == 3 && v->detail == 1; /* its domain is, or its partition */

	return v->kind == TEMP && !full && (v->subject == 3 || (v->subject == 4 && v->detail <= 3));
}

/* The filter is away, or another asks it: who has something for it waits, and scripts run. */
static void
hand_unasked(struct hand *h)
{
	if (it.filter_asked)
		h->lane->behind = true;
	else
		h->lane->due = it.filter_due;
	hand_free(h);
}

/* It is asked again: all of them wait, those who wait for the filter, or this account alone. */
static void
hand_later(struct hand *h, const struct verdict *v)
{
	if ((h->lane->stage == LANE_FILTER ? it.filter_tries : it.tries) == 0 &&
	    h->lane->tries == 0)
		log_event(LOG_INFO, "event", "user=%s qid=%s wait=1 verdict=%d.%u.%u text=%s",
		    log_value(buf_get(&h->owner)), h->qid, (int)v->kind, v->subject, v->detail,
		    log_str(v->text));
	if (happened_is_away(v) && h->lane->stage == LANE_FILTER) {
		it.filter_due = loop_now(imapd.loop) + happened_pause(it.filter_tries++);
		hand_unasked(h);
		return;
	}
	if (happened_is_away(v)) {
		hand_wait(h);
		return;
	}
	h->lane->due = loop_now(imapd.loop) + happened_pause(h->lane->tries++);
	hand_free(h);
}

static void
hand_ran(void *arg, const struct verdict *v)
{
	struct hand *h = arg;

	if (h->fd >= 0)
		close(h->fd);
	h->fd = -1;
	if (h->lane->stage == LANE_FILTER) {
		it.filter_asked = false;
		lanes_ahead(&it.lanes);
	}
	if (happened_is_away(v) || (v->kind == TEMP && h->lane->tries < TRIES)) {
		hand_later(h, v);
		return;
	}
	if (h->lane->stage == LANE_FILTER)
		it.filter_tries = 0;
	log_event(v->kind == OK ? LOG_INFO : LOG_WARN, "event",
	    "user=%s qid=%s mailbox=%llx uid=%u verdict=%d.%u.%u text=%s",
	    log_value(buf_get(&h->owner)), h->qid, (unsigned long long)h->row.mailbox, h->uid,
	    (int)v->kind, v->subject, v->detail, log_str(v->text));
	metric_add(v->kind == OK ? M_EVENTS : M_EVENTS_FAILED, 1);
	if (v->kind == OK && rules_event_outcome_parse(slice_str(v->text), &h->words, &h->outcome))
		hand_outcome(h);
	else
		hand_message_over(h);
}

static void
hand_run(struct hand *h)
{
	struct submit_mail m;

	if (h->lane->stage == LANE_FILTER) {
		it.filter_asked = true;
		learn_start(h->fd, h->size, h->kind, buf_get(&h->login), &h->op, hand_ran, h);
		return;
	}
	m = (struct submit_mail){ .sender = buf_get(&h->owner),
		.to = buf_get(&h->owner),
		.fd = h->fd,
		.size = h->size,
		.event = buf_get(&h->event),
		.qid = slice_str(h->qid) };

	submit_start(it.lmtpd, &m, &h->op, hand_ran, h);
}

/* ---- turns ------------------------------------------------------------------------------------ */

/* The turn of the account at hand. */
static void
hand_turn(struct hand *h)
{
	struct store_view *v = h->lane->home->view;
	struct store_happened row;
	bool there, found = false, over = true;

	if (store_begin(v) < 0) {
		hand_wait(h);
		return;
	}
	there = store_happened_next(v, h->lane->number - 1, &row) && row.number == h->lane->number;
	if (there) {
		h->row = row;
		buf_clear(&h->login);
		buf_slice(&h->login, row.login);
		found = hand_message(h, v, &row);
		over = h->lane->range >= row.ranges.n / sizeof(struct store_range);
	}
	store_end(v);
	if (found && h->lane->stage == LANE_FILTER &&
	    (it.filter_asked || it.filter_due > loop_now(imapd.loop))) {
		close(h->fd);
		h->fd = -1;
		hand_unasked(h);
	} else if (found) {
		hand_run(h);
	} else if (over) {
		hand_row_over(h);
	} else {
		hand_free(h);
	}
}

static struct hand *
happened_free_hand(void)
{
	for (size_t i = 0; i < HANDS; i++)
		if (!it.hands[i].lane)
			return &it.hands[i];
	return NULL;
}

/* Whose turn is it?  One in a turn of the loop, for it reads. */
static void
happened_step(struct later *l)
{
	uint64_t now = loop_now(imapd.loop), due;
	struct hand *h = happened_free_hand();

	(void)l;
	if (it.stopped || it.paused || !h)
		return;
	if (lanes_fill(&it.lanes, &imapd.homes))
		happened_go_on();
	h->lane = lanes_next(&it.lanes, now, &due);
	if (h->lane) {
		h->lane->busy = true;
		hand_turn(h);
		happened_go_on();
	} else if ((it.waits = due != UINT64_MAX)) {
		deadline_set(&it.pause, imapd.loop, due - now, happened_again);
	}
}

void
happened_look(void)
{
	if (it.stopped || !it.store)
		return;
	it.lanes.stale = true;
	if (it.paused || !happened_free_hand())
		return;
	it.waits = false; /* for those who have lanes; another may have none yet */
	deadline_clear(&it.pause);
	imapd.homes.opened = false; /* one may have come */
	store_homes_open(&imapd.homes);
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
		for (size_t i = 0; i < HANDS; i++)
			it.hands[i].fd = -1;
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
	for (size_t i = 0; i < HANDS; i++)
		op_cancel(&it.hands[i].op);
	later_cancel(&it.later);
	deadline_clear(&it.pause);
	submit_leave(it.lmtpd);
}

void
happened_status(struct buf *b)
{
	if (!it.store)
		return;
	buf_printf(b, "events busy=%d accounts=%zu tries=%u\n",
	    it.paused || it.waits || it.lanes.n > 0 || it.lanes.stale, it.lanes.n, it.tries);
}
