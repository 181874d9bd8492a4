/* plan.c: from the actions of a person's scripts to copies in folders, copies that go on, and an answer.
 *
 * Nothing is carried out here.  Of several scripts the actions of each count, but for the implicit keep,
 * which only the last one that ran can still have.  What a script asks for in a form that the store does
 * not take (names of folders, flags) is left out or becomes INBOX: mail is not lost for it. */
#include "base/log.h"
#include "base/mem.h"
#include "filter.h"
#include "imap/args.h"
#include "mail/header.h"
#include "rules/rules.h"
#include "spam.h"
#include "store/request.h"

/* ---- copies into folders ------------------------------------------------------------------ */

static uint16_t
plan_flag(struct slice name)
{
	static const struct {
		const char *name;
		enum store_flag flag;
	} flags[] = { { "\\Seen", STORE_SEEN }, { "\\Answered", STORE_ANSWERED },
		{ "\\Flagged", STORE_FLAGGED }, { "\\Deleted", STORE_DELETED },
		{ "\\Draft", STORE_DRAFT } };

	for (size_t i = 0; i < NELEM(flags); i++)
		if (slice_ieq(name, slice_str(flags[i].name)))
			return flags[i].flag;
	return 0;
}

/* Flags and keywords; what IMAP could not set (\Recent, junk) is left out. */
static void
plan_flags(struct arena *arena, struct put *put, const struct sieve_action *a)
{
	struct buf words = { 0 };

	for (size_t i = 0; i < a->nflags; i++) {
		put->flags |= plan_flag(a->flags[i]);
		if (!store_keyword_ok(a->flags[i]))
			continue;
		if (words.n)
			buf_char(&words, ' ');
		buf_slice(&words, a->flags[i]);
	}
	if (words.n)
		put->keywords = arena_slice(arena, buf_get(&words));
	buf_fini(&words);
}

static struct put *
plan_put(struct filter *f, struct person *p, struct slice folder, const struct sieve_action *a)
{
	struct put *put = arena_new(&f->arena, sizeof(*put));

	put->of = p;
	put->folder = folder;
	if (a && a->kind == SIEVE_FILEINTO) {
		put->create = a->create;
		put->use = (uint8_t)ask_use(a->use);
		put->objectid = imap_objectid_number(a->id, IMAP_MAILBOXID);
	}
	if (a) {
		plan_flags(&f->arena, put, a);
		put->header = a->header;
		put->body = a->body;
	}
	return put;
}

/* Into the same folder goes one copy (RFC 5228 2.10.3), also when its header was edited since (RFC 5293 7); of
 * its flags the last count. */
static bool
plan_again(struct filter *f, struct person *p, struct slice folder, uint64_t objectid,
    const struct sieve_action *a)
{
	struct put *put = p->puts;

	while (put && !(slice_eq(put->folder, folder) && put->objectid == objectid))
		put = put->next;
	if (!put || !a)
		return put;
	put->create |= a->create;
	put->flags = 0;
	put->keywords = S("");
	plan_flags(&f->arena, put, a);
	return true;
}

void
filter_keep(struct filter *f, struct person *p, const struct sieve_action *a)
{
	const struct lrcpt *r = &f->session->rcpts[p->rcpt];
	bool spam = spam_filed(f->session, r) && (!a || a->implicit);
	struct slice folder = spam ? slice_str(arena_str(&f->arena, lconf.spam_folder)) : p->folder;
	struct put *put;

	if (p->event) { /* it is there */
		p->kept = true;
		p->keep = a;
		return;
	}
	if (plan_again(f, p, folder, 0, a))
		return;
	put = plan_put(f, p, folder, a);
	if (spam) {
		put->use = STORE_USE_JUNK;
		put->create = true;
		metric_add(M_SPAM, 1);
	}
	/* First, so that a folder that is not there, which is INBOX then, finds this one. */
	put->next = p->puts;
	p->puts = put;
	if (p->last == &p->puts)
		p->last = &put->next;
}

struct put *
filter_copy(struct filter *f, struct person *p, const struct sieve_action *a)
{
	char name[STORE_NAME_MAX + 1];

	if (store_name_check(a->where, name) < 0 || strcmp(name, "INBOX") == 0)
		return plan_put(f, p, S(""), a);
	return plan_put(f, p, slice_str(arena_str(&f->arena, name)), a);
}

static void
plan_fileinto(struct filter *f, struct person *p, const struct sieve_action *a)
{
	struct put *put = filter_copy(f, p, a);

	if (plan_again(f, p, put->folder, put->objectid, a))
		return;
	*p->last = put;
	p->last = &put->next;
}

/* ---- copies that go on ---------------------------------------------------------------------- */

/* Has it come back from where this person's script has sent it, to whatever address of the account, or gone
 * round by many others? */
static bool
plan_loops(const struct filter *f, const struct person *p)
{
	struct slice rest = f->header;
	struct header_field field;
	unsigned marks = 0;

	while (header_next(&rest, &field))
		if (slice_ieq(field.name, S(SEND_FIELD)) &&
		    (++marks >= SEND_MARKS_MAX || slice_ieq(slice_trim(field.value), p->account)))
			return true;
	return false;
}

static unsigned
plan_notify(struct slice words)
{
	static const struct {
		const char *word;
		unsigned bit;
	} names[] = { { "NEVER", SMTP_NOTIFY_NEVER }, { "SUCCESS", SMTP_NOTIFY_SUCCESS },
		{ "FAILURE", SMTP_NOTIFY_FAILURE }, { "DELAY", SMTP_NOTIFY_DELAY } };
	unsigned notify = 0;

	for (struct slice word; slice_cut(&words, ',', &word);)
		for (size_t i = 0; i < NELEM(names); i++)
			if (slice_ieq(word, slice_str(names[i].word)))
				notify |= names[i].bit;
	return notify;
}

static void
plan_redirect(struct filter *f, struct person *p, const struct sieve_action *a)
{
	struct slice to = a->where;
	struct send *send;

	/* The relay knows who is in a list of the directory. */
	if (a->list && !lists_name(a->where, &to)) {
		log_event(LOG_INFO, "redirect", "sid=%s user=%s to=%s error=list", f->session->sid,
		    log_value(p->account), log_value(a->where));
		filter_keep(f, p, NULL);
		return;
	}
	if (plan_loops(f, p)) {
		log_event(LOG_INFO, "redirect", "sid=%s user=%s to=%s error=loop", f->session->sid,
		    log_value(p->account), log_value(a->where));
		filter_keep(f, p, NULL);
		return;
	}
	send = arena_new(&f->arena, sizeof(*send));
	send->of = p;
	p->sends++;
	send->to = to;
	send->header = a->header;
	send->body = a->body;
	send->notify = plan_notify(a->notify);
	send->ret = slice_ieq(a->ret, S("FULL")) ? SMTP_RET_FULL :
	    slice_ieq(a->ret, S("HDRS"))         ? SMTP_RET_HDRS :
						   SMTP_RET_NONE;
	*f->last = send;
	f->last = &send->next;
}

/* To piped, which knows it by name: "%program", and "%" before each argument. */
static void
plan_pipe(struct filter *f, struct person *p, const struct sieve_action *a)
{
	struct send *send = arena_new(&f->arena, sizeof(*send));
	struct buf run = { 0 };

	buf_printf(&run, "%%" SFMT, SARG(a->where));
	for (size_t i = 0; i < a->naddresses; i++)
		buf_printf(&run, "%%" SFMT, SARG(a->addresses[i]));
	send->of = p;
	send->to = a->where;
	send->run = arena_slice(&f->arena, buf_get(&run));
	send->tries = a->tries;
	send->header = a->header;
	send->body = a->body;
	p->sends++;
	*f->last = send;
	f->last = &send->next;
	buf_fini(&run);
}

/* ---- refusing -------------------------------------------------------------------------------- */

static void
plan_reject(struct filter *f, struct person *p, const struct sieve_action *a)
{
	struct lrcpt *r = &f->session->rcpts[p->rcpt];
	struct buf lines = { 0 }, one = { 0 };

	rules_reason(a->text, f->session->srv.mail.smtputf8, &lines, &one);
	if (lines.n)
		r->reason = arena_slice(&f->session->srv.arena, buf_get(&lines));
	r->v = verdict(OUT_SIEVE_REJECT, buf_cstr(&one));
	metric_add(M_REJECTED, 1);
	buf_fini(&lines);
	buf_fini(&one);
}

/* ---- */

static void
plan_action(struct filter *f, struct person *p, const struct sieve_action *a, bool directory)
{
	switch (a->kind) {
	case SIEVE_KEEP: filter_keep(f, p, a); break;
	case SIEVE_FILEINTO: plan_fileinto(f, p, a); break;
	case SIEVE_REDIRECT: plan_redirect(f, p, a); break;
	case SIEVE_PIPE: plan_pipe(f, p, a); break;
	case SIEVE_REJECT:
	case SIEVE_EREJECT: plan_reject(f, p, a); break;
	case SIEVE_DUPLICATE: ask_mark(f, p, a); break;
	case SIEVE_VACATION: reply_plan(f, p, a, p->echo && directory); break;
	case SIEVE_NOTIFY: reply_notice(f, p, a); break;
	case SIEVE_DISCARD:
	case SIEVE_ACTS: break;
	}
}

/* An action of a later script, on the message as the implicit keep of the one before has left it, whose
 * flags count until somebody gives others. */
static const struct sieve_action *
plan_merge(struct filter *f, const struct sieve_action *a, const struct sieve_action *before)
{
	struct sieve_action *both;

	if (!before)
		return a;
	both = arena_new(&f->arena, sizeof(*both));
	*both = *a;
	if (a->implicit && !a->flagged) {
		both->flagged = before->flagged;
		both->flags = before->flags;
		both->nflags = before->nflags;
	}
	if (!a->header.n)
		both->header = before->header;
	if (!a->body.p)
		both->body = before->body;
	return both;
}

void
filter_plan(struct filter *f, struct person *p)
{
	const struct sieve_action *before = NULL; /* implicit keep of an earlier script */
	bool kept = true;

	for (size_t i = 0; i < p->ran; i++) {
		const struct sieve_action *a = p->results[i].actions, *keep = before;

		if (!p->programs[i])
			continue;
		kept = false;
		for (; a; a = a->next) {
			if (a->implicit)
				before = plan_merge(f, a, keep);
			else
				plan_action(f, p, plan_merge(f, a, keep),
				    strcmp(p->scripts[i]->name, SCRIPT_VACATION) == 0);
			kept |= a->implicit;
		}
	}
	if (kept)
		filter_keep(f, p, before);
	if (!p->event && !p->puts && !p->sends && !f->session->rcpts[p->rcpt].v.kind)
		metric_add(M_DISCARDED, 1);
}
