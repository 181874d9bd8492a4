/* refuse.c: do all recipients' scripts reject the message?  See refuse.h.
 *
 *	DATA: whose scripts could -> octets are kept -> the end: the scripts, on a thread -> as they are now? -> 550
 *
 * The directory is asked from the cache at first, and past it before a message is refused: a script that was made
 * inactive must refuse nothing.  What this host cannot know (folders, what was seen before, lists, who includes what)
 * is asked of nobody: such a script refuses nothing here.  Can fail: everything, and then the message goes on.  Must
 * stay true: refused is what lmtpd would refuse, for each recipient.  Bounds: REFUSE_MOST recipients, and REFUSE_CPU
 * of each one's scripts, which is compiled for each message; few have one that rejects. */
#include "refuse.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mapped.h"
#include "base/mem.h"
#include "base/must.h"
#include "held.h"
#include "mail/date.h"
#include "mail/header.h"
#include "net/work.h"
#include "rules/rules.h"
#include "stage.h"

#define REFUSE_MAGIC 0x72656675u
#define REFUSE_MOST  8   /* recipients */
#define REFUSE_CPU   500 /* ms of a run */

struct refuse_person {
	struct slice account, to;
	struct slice *scripts; /* the user's, then the domain's */
	size_t n;
};

struct refuse {
	uint32_t magic;
	struct session *session; /* NULL: it has gone, and the thread is still at work */
	struct arena arena;
	struct refuse_person people[REFUSE_MOST];
	size_t n, at;
	struct slice sender;
	struct held bytes;
	bool failed;  /* not all octets are there */
	bool running; /* a thread has it */
	struct mapped map;
	struct slice message;
	int64_t now;
	struct slice reason; /* of the first recipient; p NULL: not all refuse it */
	void (*over)(struct session *s, const struct verdict *no);
};

static void
refuse_free(struct refuse *r)
{
	must(!r->running);
	mapped_close(&r->map);
	held_fini(&r->bytes);
	arena_wipe(&r->arena);
	r->magic = 0;
	mem_release(r);
}

void
refuse_stop(struct refuse **rp)
{
	struct refuse *r = *rp;

	*rp = NULL;
	if (r && r->running)
		r->session = NULL; /* refuse_drop frees it */
	else if (r)
		refuse_free(r);
}

/* ---- whose scripts could ---------------------------------------------------------------------------------- */

/* How many texts an answer has; more are nobody's. */
static size_t
refuse_count(const struct dir_answer *a)
{
	return a->user->scripts.n + (a->domain ? a->domain->scripts.n : 0);
}

static struct slice
refuse_text(const struct dir_answer *a, size_t i)
{
	size_t n = a->user->scripts.n;

	return i < n ? a->user->scripts.v[i] : a->domain->scripts.v[i - n];
}

/* Who is away is answered for by lmtpd, whatever his scripts say then.  Whoever rejects must require it. */
static bool
refuse_could(const struct dir_answer *a)
{
	if (a->v.kind != OK || !a->user || a->user->delivery != DIR_MAILBOX)
		return false;
	for (size_t i = 0; i < refuse_count(a); i++)
		if (slice_find_str(refuse_text(a, i), S("reject")) < refuse_text(a, i).n)
			return true;
	return false;
}

static bool refuse_next(struct refuse *r);

static void
refuse_known(void *arg, const struct dir_answer *a)
{
	struct refuse *r = CAST(arg, struct refuse, REFUSE_MAGIC);
	struct session *s = r->session;
	struct refuse_person *p = &r->people[r->at];

	if (!refuse_could(a)) {
		refuse_stop(&s->message->refuse);
		r = NULL;
	} else {
		p->n = refuse_count(a);
		p->scripts = arena_array(&r->arena, p->n, sizeof(*p->scripts));
		for (size_t i = 0; i < p->n; i++)
			p->scripts[i] = arena_slice(&r->arena, refuse_text(a, i));
		r->at++;
	}
	if (!r || !refuse_next(r))
		s->message->refuse_asked(s);
}

/* The next one's entry; false: all are known. */
static bool
refuse_next(struct refuse *r)
{
	if (r->at == r->n)
		return false;
	dir_login_start(relay.dir, r->people[r->at].account, &r->session->op, refuse_known, r);
	return true;
}

/* One message of one body, for mailboxes here and nobody else. */
static bool
refuse_fits(const struct session *s)
{
	const struct channel *c;

	if (!config.sieve || s->role == ROLE_LOCAL || s->nrcpts == 0 || s->nrcpts > REFUSE_MOST)
		return false;
	for (size_t i = 0; i < s->nrcpts; i++) {
		const struct qrcpt *q = &s->rcpts[i];

		c = channels_find(relay.channels, slice_str(q->channel));
		if (!s->more[i].who || q->hold || q->again || q->body || q->sender || !c ||
		    c->protocol != CHANNEL_LMTP)
			return false;
	}
	return true;
}

void
refuse_ask(struct session *s, void (*done)(struct session *s))
{
	struct refuse *r;

	if (!refuse_fits(s)) {
		done(s);
		return;
	}
	r = mem_new(sizeof(*r));
	r->magic = REFUSE_MAGIC;
	r->session = s;
	s->message->refuse = r;
	s->message->refuse_asked = done;
	held_init(&r->bytes);
	for (; r->n < s->nrcpts; r->n++)
		r->people[r->n] = (struct refuse_person){
			.account = arena_slice(&r->arena, slice_str(s->more[r->n].who)),
			.to = arena_slice(&r->arena, slice_str(s->rcpts[r->n].addr)),
		};
	(void)refuse_next(r);
}

void
refuse_add(struct refuse *r, struct slice bytes)
{
	if (r && !r->failed)
		r->failed = held_add(&r->bytes, bytes) < 0;
}

static void
refuse_sender(const struct refuse *r, struct buf *b)
{
	address_write(b, &r->session->from);
}

void
refuse_head(struct refuse *r, struct slice above, struct slice received, struct slice fields,
    bool empty_line, struct slice front)
{
	struct buf from = { 0 };

	if (r) { /* of final delivery (RFC 5321 4.4), which is what scripts see */
		refuse_sender(r, &from);
		r->sender = arena_slice(&r->arena, buf_get(&from));
		refuse_add(r, S("Return-Path: <"));
		refuse_add(r, r->sender);
		refuse_add(r, S(">\r\n"));
	}
	buf_fini(&from);
	refuse_add(r, above);
	refuse_add(r, received);
	refuse_add(r, fields);
	refuse_add(r, empty_line ? S("\r\n") : S(""));
	refuse_add(r, front);
}

/* ---- the scripts, on a thread -------------------------------------------------------------------------------- */

struct refuse_run {
	const struct refuse *r;
	const struct refuse_person *p;
};

static int
refuse_whole(void *arg, struct slice *all)
{
	const struct refuse_run *run = arg;

	*all = run->r->message;
	return 0;
}

static bool
refuse_envelope(void *arg, enum sieve_envelope part, size_t i, struct slice *value)
{
	const struct refuse_run *run = arg;

	*value = part == SIEVE_FROM ? run->r->sender : run->p->to;
	return i == 0 && (part == SIEVE_FROM || part == SIEVE_TO);
}

/* What a script has come to: on to the next one, refused, or not to be refused here. */
enum refuse_outcome { REFUSE_ON, REFUSE_YES, REFUSE_NO };

static enum refuse_outcome
refuse_result(const struct sieve_result *result, struct arena *arena, struct slice *reason)
{
	enum refuse_outcome outcome = REFUSE_ON;

	for (const struct sieve_action *a = result->actions; a; a = a->next) {
		if (a->kind == SIEVE_REJECT || a->kind == SIEVE_EREJECT) {
			outcome = REFUSE_YES;
			*reason = arena_slice(arena, a->text);
		} else if (!a->implicit || a->header.n) {
			return REFUSE_NO; /* it does something besides */
		}
	}
	return outcome;
}

/* Without what is the directory's, or another thing at another place than this; tests that are the store's are found
 * when it is compiled. */
static enum refuse_outcome
refuse_script(struct refuse_run *run, struct slice text, struct arena *arena, struct slice *reason)
{
	static const char without[] = "envelope-dsn environment extlists ihave include "
				      "vnd.dovecot.environment";
	struct sieve_limits limits = sieve_limits_default;
	struct sieve_options o = rules_options;
	struct buf why = { 0 }; /* lmtpd tells of it */
	struct sieve_result result = { 0 };
	struct sieve_host host = { .message = refuse_whole,
		.envelope = refuse_envelope,
		.size = run->r->message.n,
		.spam = -1,
		.now = run->r->now,
		.arg = run };
	enum refuse_outcome outcome = REFUSE_NO;
	struct sieve_program *p;

	limits.cpu_ms = REFUSE_CPU;
	o.limits = &limits;
	o.without = without;
	p = rules_compile(text, &o, &why);
	if (p && !sieve_program_needs_store(p)) {
		host.header = slice_sub(run->r->message, 0, header_len(run->r->message));
		host.zone = date_local_zone(run->r->now);
		sieve_run(p, &host, &result);
		outcome = result.error ? REFUSE_NO : refuse_result(&result, arena, reason);
	}
	sieve_result_fini(&result);
	sieve_program_free(&p);
	buf_fini(&why);
	return outcome;
}

static bool
refuse_person_run(struct refuse *r, const struct refuse_person *p, struct slice *reason)
{
	struct refuse_run run = { r, p };
	enum refuse_outcome outcome = REFUSE_ON;

	for (size_t i = 0; i < p->n && outcome == REFUSE_ON && !work_stopped(); i++)
		outcome = refuse_script(&run, p->scripts[i], &r->arena, reason);
	return outcome == REFUSE_YES;
}

static void
refuse_on_thread(void *arg)
{
	struct refuse *r = arg;
	struct slice reason = { NULL, 0 }, ignored;

	for (size_t i = 0; i < r->n; i++)
		if (!refuse_person_run(r, &r->people[i], i ? &ignored : &reason))
			return;
	if (!mapped_cut(&r->map))
		r->reason = reason.p ? reason : S("");
}

static void
refuse_drop(void *arg)
{
	struct refuse *r = CAST(arg, struct refuse, REFUSE_MAGIC);

	r->running = false;
	refuse_free(r);
}

/* ---- refused? ----------------------------------------------------------------------------------------------------- */

static void
refuse_yes(struct refuse *r)
{
	struct session *s = r->session;
	struct buf lines = { 0 }, one = { 0 };
	struct verdict v;

	rules_reason(r->reason, s->smtp.mail.smtputf8, &lines, &one);
	v = verdict(OUT_SIEVE_REJECT, buf_cstr(&one));
	metric_add(M_SIEVE_REFUSED, 1);
	log_event(LOG_INFO, "sieve_refused", "sid=%s qid=%s from=%s to=%s nrcpt=%zu reason=%s",
	    s->sid, s->qid, log_value(r->sender), log_value(r->people[0].to), r->n,
	    log_str(v.text));
	buf_fini(&lines);
	buf_fini(&one);
	r->over(s, &v);
}

static void refuse_confirm(struct refuse *r);

/* Are they still the scripts that have said so? */
static void
refuse_read(void *arg, const struct dir_answer *a)
{
	struct refuse *r = CAST(arg, struct refuse, REFUSE_MAGIC);
	const struct refuse_person *p = &r->people[r->at];
	bool same = refuse_could(a) && refuse_count(a) == p->n;

	for (size_t i = 0; same && i < p->n; i++)
		same = slice_eq(refuse_text(a, i), p->scripts[i]);
	if (same) {
		r->at++;
		refuse_confirm(r);
	} else {
		r->over(r->session, NULL);
	}
}

static void
refuse_confirm(struct refuse *r)
{
	const struct refuse_person *p = &r->people[r->at];

	if (r->at == r->n) {
		refuse_yes(r);
		return;
	}
	dir_forget(relay.dir, p->account);
	dir_login_start(relay.dir, p->account, &r->session->op, refuse_read, r);
}

static void
refuse_ran(void *arg)
{
	struct refuse *r = CAST(arg, struct refuse, REFUSE_MAGIC);

	r->running = false;
	r->at = 0;
	if (r->reason.p)
		refuse_confirm(r);
	else
		r->over(r->session, NULL);
}

/* Filters may have added recipients, taken some away, or put others in their place. */
static bool
refuse_same(const struct refuse *r)
{
	const struct session *s = r->session;
	bool same = s->nrcpts == r->n && !s->sent && refuse_fits(s);
	struct buf from = { 0 };

	refuse_sender(r, &from);
	same = same && slice_eq(buf_get(&from), r->sender);
	buf_fini(&from);
	for (size_t i = 0; same && i < r->n; i++)
		same = slice_eq(r->people[i].to, slice_str(s->rcpts[i].addr)) &&
		    slice_eq(r->people[i].account, slice_str(s->more[i].who));
	return same;
}

void
refuse_start(struct refuse *r, void (*done)(struct session *s, const struct verdict *no))
{
	struct session *s = r->session;

	r->over = done;
	r->now = clock_now();
	r->message = buf_get(&r->bytes.memory);
	if (!r->failed && r->bytes.fd >= 0) {
		r->failed = mapped_open(&r->map, r->bytes.fd, (size_t)r->bytes.size) < 0;
		r->message = slice(r->map.p, r->map.n);
	}
	if (r->failed || !refuse_same(r)) {
		done(s, NULL);
		return;
	}
	r->running = true;
	work_start_for(daemon_loop(), &s->op, slice_hash(r->people[0].account) | 1,
	    refuse_on_thread, refuse_ran, refuse_drop, r);
}
