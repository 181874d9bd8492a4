/* filter.c: a transaction with scripts, from the complete message to the answers.
 *
 *	filter_start -> the scripts of each person -> the copies, a request for all that are as the message
 *	came, then one for each other header -> what goes on, one by one -> the answers
 *
 * The order is what makes a repetition harmless: nothing goes on before the store has what stays, and when the
 * relay does not take it now the answer is 4xx for the whole person, whose copies are known when the message comes
 * again by the name that its sender gave it.  Without such a name they would be stored twice: then what goes on
 * goes first.  Either way it is marked in the account, so that it does not go again.  One operation is under way at a
 * time, the session's. */
#include <errno.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/crc.h"
#include "base/files.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/must.h"
#include "filter.h"
#include "mail/header.h"

static void filter_next_person(struct filter *f);

/* ---- recipients ---------------------------------------------------------------------------- */

static void
person_add_scripts(struct person *p, const char *name, const struct dir_values *texts,
    const struct dir_values *library)
{
	for (size_t i = 0; i < texts->n; i++)
		p->scripts[p->n++] = script_get(name, texts->v[i], library);
}

static struct slice
person_address(struct arena *a, const struct address *to, struct slice domain)
{
	struct buf b = { 0 };
	struct slice s;

	address_write_parts(&b, to->local, domain);
	s = arena_slice(a, buf_get(&b));
	buf_fini(&b);
	return s;
}

/* What is not from the directory must outlive the session's arena too: it is copied. */
static void
person_init(struct filter *f, struct person *p, const struct smtp_rcpt *asked,
    const struct dir_answer *a)
{
	const struct lrcpt *r = &f->session->rcpts[p->rcpt];
	size_t n = a->user->scripts.n + a->domain->scripts.n + 1 + SCRIPT_LEVELS;

	p->to = person_address(&f->arena, &asked->to,
	    asked->to.domain.n ? asked->to.domain : slice_str(shared.default_domain));
	p->account = arena_slice(&f->arena, r->account);
	p->dn = arena_slice(&f->arena, a->user->dn);
	p->uuid = arena_slice(&f->arena, a->user->uuid);
	p->partition = arena_slice(&f->arena, r->partition);
	p->folder = arena_slice(&f->arena, r->folder);
	if (asked->orcpt_type.p)
		p->orcpt = slice_str(arena_printf(&f->arena, SFMT ";" SFMT, SARG(asked->orcpt_type),
		    SARG(asked->orcpt)));
	p->notify = asked->notify;
	p->scripts = arena_array(&f->arena, n, sizeof(struct script *));
	p->programs = arena_array(&f->arena, n, sizeof(struct sieve_program *));
	p->errors = arena_array(&f->arena, n, sizeof(char *));
	p->ours = arena_array(&f->arena, n, sizeof(bool));
	p->results = arena_array(&f->arena, n, sizeof(struct sieve_result));
	p->addresses = arena_array(&f->arena, a->user->naddresses, sizeof(struct slice));
	for (; p->naddresses < a->user->naddresses; p->naddresses++)
		p->addresses[p->naddresses] =
		    arena_slice(&f->arena, a->user->addresses[p->naddresses]);
	p->echo = a->user->vacation.echo;
}

/* Those for mail that comes, in their order. */
static void
person_scripts(struct person *p, const struct dir_answer *a, const struct buf *vacation)
{
	if (vacation->n)
		p->scripts[p->n++] = script_get(SCRIPT_VACATION, buf_get(vacation), NULL);
	person_add_scripts(p, "user", &a->user->scripts, &a->user->library);
	person_add_scripts(p, "domain", &a->domain->scripts, NULL);
	for (enum script_level i = 0; i < SCRIPT_LEVELS; i++)
		if (script_host(i))
			p->scripts[p->n++] = script_ref(script_host(i));
}

static struct filter *
filter_new(struct lsession *s)
{
	struct filter *f = mem_new(sizeof(*f));

	f->magic = FILTER_MAGIC;
	f->session = s;
	f->body.fd = f->scratch.fd = -1;
	f->last = &f->sends;
	f->last_letter = &f->letters;
	return f;
}

/* The recipient that was accepted last is one of the filter's. */
static struct person *
person_new(struct lsession *s, const struct smtp_rcpt *asked, const struct dir_answer *a)
{
	struct filter *f = s->filter;

	s->rcpts[s->nrcpt - 1].scripted = true;
	if (!f)
		f = s->filter = filter_new(s);
	if (f->n == f->room) {
		f->room = f->room ? f->room * 2 : 2;
		f->people = mem_grow(f->people, f->room, sizeof(*f->people));
	}
	f->people[f->n] = (struct person){ .rcpt = s->nrcpt - 1 };
	person_init(f, &f->people[f->n], asked, a);
	return &f->people[f->n++];
}

void
filter_rcpt(struct lsession *s, const struct smtp_rcpt *asked, const struct dir_answer *a)
{
	struct buf vacation = { 0 };
	bool away = a->user->delivery & DIR_AUTOREPLY;

	if (!lconf.sieve || s->rcpts[s->nrcpt - 1].again)
		return;
	if (!(away && vacation_script(a->user, clock_now(), &vacation)) &&
	    a->user->scripts.n == 0 && (!a->domain || a->domain->scripts.n == 0) &&
	    !script_host_any())
		return;
	person_scripts(person_new(s, asked, a), a, &vacation);
	buf_fini(&vacation);
}

/* RFC 6785 2.3.1: "Only one Sieve script may currently be defined per mailbox". */
void
filter_event(struct lsession *s, const struct smtp_rcpt *asked, const struct dir_answer *a,
    const struct rules_event *e)
{
	struct person *p = person_new(s, asked, a);
	struct script *script = lconf.sieve ? event_script(e, a->user) : NULL;

	p->event = event_new(&s->filter->arena, e, a->user);
	if (script)
		p->scripts[p->n++] = script;
}

/* ---- the scripts --------------------------------------------------------------------------- */

/* The whole message in memory or mapped; 0 or -errno. */
static int
filter_take_message(struct filter *f)
{
	struct lsession *s = f->session;
	int rc = 0;

	if (s->bytes.n) {
		f->bytes = s->bytes;
		s->bytes = (struct buf){ 0 };
		f->message = buf_get(&f->bytes);
	} else {
		rc = mapped_open(&f->map, s->body.fd, (size_t)s->size);
		f->message = slice(f->map.p, f->map.n);
	}
	f->header = slice_sub(f->message, 0, header_len(f->message));
	return rc;
}

void
filter_start(struct lsession *s, struct slice cache)
{
	const struct smtp_mail *m = &s->srv.mail;
	struct filter *f = s->filter;
	int rc = filter_take_message(f);
	struct verdict v;

	if (rc < 0) {
		v = deliver_unwritten(s, rc);
		deliver_fail(s, &v);
		return;
	}
	buf_slice(&f->cache, cache);
	f->sender = m->from.domain.n ? person_address(&f->arena, &m->from, m->from.domain) : S("");
	f->envid = m->envid.p ? arena_slice(&f->arena, m->envid) : m->envid;
	f->ret = m->ret;
	for (size_t i = 0; i < f->n; i++)
		f->people[i].last = &f->people[i].puts;
	f->began_ms = loop_now(lmtpd.loop);
	f->at = 0;
	filter_next_person(f);
}

static void
filter_answered(struct filter *f, const struct verdict *v)
{
	if (v->kind == OK) {
		filter_next_person(f); /* this one, again */
		return;
	}
	f->session->rcpts[f->people[f->at++].rcpt].v = *v;
	filter_next_person(f);
}

static void
filter_ran(struct filter *f)
{
	if (f->people[f->at].wants) {
		ask_start(f, filter_answered);
		return;
	}
	filter_plan(f, &f->people[f->at]);
	f->at++;
	filter_next_person(f);
}

/* Too large for this user: no script is asked about it. */
static bool
person_too_large(struct filter *f, const struct person *p)
{
	struct lrcpt *r = &f->session->rcpts[p->rcpt];

	if (r->max_message == 0 || f->session->size <= (uint64_t)r->max_message)
		return false;
	r->v = verdict(OUT_USER_SIZE);
	return true;
}

/* The scripts of others have used the time that there is: the next delivery is theirs. */
static bool
person_too_late(struct filter *f, const struct person *p)
{
	uint64_t ms = loop_now(lmtpd.loop) - f->began_ms;

	if (p->ran || f->at == 0 || ms <= (uint64_t)lconf.sieve_time)
		return false;
	f->session->rcpts[p->rcpt].v = verdict(OUT_SIEVE_SLOW);
	return true;
}

static void
filter_next_person(struct filter *f)
{
	while (f->at < f->n &&
	    (person_too_large(f, &f->people[f->at]) || person_too_late(f, &f->people[f->at])))
		f->at++;
	if (f->at < f->n)
		filter_run_start(f, filter_ran);
	else if (f->session->srv.mail.xqid.n)
		filter_next_group(f);
	else
		send_next(f);
}

/* ---- copies -------------------------------------------------------------------------------- */

static bool
put_waits(const struct filter *f, const struct put *put)
{
	return !put->asked && f->session->rcpts[put->of->rcpt].v.kind == VERDICT_NONE;
}

/* Recipients without scripts get it as it came. */
static bool
filter_has_plain(const struct filter *f)
{
	const struct lsession *s = f->session;
	size_t scripted = 0;

	for (size_t i = 0; i < s->nrcpt; i++)
		scripted += s->rcpts[i].again;
	return scripted + f->n < s->nrcpt;
}

/* The first copy that is still to be stored: as it came, or edited. */
static const struct put *
filter_find_put(const struct filter *f, bool edited)
{
	for (size_t i = 0; i < f->n; i++)
		for (const struct put *put = f->people[i].puts; put; put = put->next)
			if (put_waits(f, put) && (put->header.n > 0) == edited)
				return put;
	return NULL;
}

static void filter_next_mark(struct filter *f);

/* All is done but what is to be remembered: that this fails is no reason to do it again. */
static void
filter_marked(void *arg, const struct store_reply *reply)
{
	struct filter *f = CAST(arg, struct filter, FILTER_MAGIC);

	if (reply->verdict.kind != OK)
		log_event(LOG_WARN, "sieve_mark", "sid=%s user=%s error=%s", f->session->sid,
		    log_value(f->people[f->at].account), log_str(reply->verdict.text));
	f->at++;
	filter_next_mark(f);
}

static void
filter_next_mark(struct filter *f)
{
	const struct person *p;

	for (; f->at < f->n; f->at++) {
		p = &f->people[f->at];
		if (p->nmarks && f->session->rcpts[p->rcpt].v.kind == OK) {
			store_know_start(lmtpd.store, p->account, p->partition, p->marks, p->nmarks,
			    &f->session->op, filter_marked, f);
			return;
		}
	}
	reply_start(f);
}

/* What a script has decided without a copy is decided too. */
static void
filter_finish(struct filter *f)
{
	for (size_t i = 0; i < f->n; i++) {
		struct lrcpt *r = &f->session->rcpts[f->people[i].rcpt];

		if (r->v.kind != VERDICT_NONE)
			continue;
		r->v = f->people[i].stored.kind ? f->people[i].stored : verdict(OUT_SIEVE_DONE);
		if (f->people[i].event && r->v.kind == OK)
			r->v = event_outcome(f, &f->people[i]);
	}
	f->at = 0;
	filter_next_mark(f);
}

/* What was to be stored is: now copies may go on, which leaves nothing to be taken back. */
static void
filter_committed(struct filter *f)
{
	if (f->sends)
		send_next(f);
	else
		filter_finish(f);
}

static void
group_failed(struct filter *f, const struct verdict *v)
{
	for (size_t i = 0; i < f->n; i++)
		for (const struct put *put = f->people[i].puts; put; put = put->next)
			if (put_waits(f, put))
				f->session->rcpts[put->of->rcpt].v = *v;
	filter_committed(f);
}

/* The file of an edited message, or of one as it came that was not to be stored at first. */
static void
group_lent(void *arg, const struct store_reply *reply)
{
	struct filter *f = CAST(arg, struct filter, FILTER_MAGIC);
	struct lsession *s = f->session;
	struct verdict v = reply->verdict;
	int rc;

	if (v.kind == OK) {
		s->size = 0;
		s->crc = 0;
		rc = deliver_write(s, f->group.n ? f->group : f->header);
		if (rc == 0)
			rc = deliver_write(s,
			    f->group_body.p ? f->group_body : slice_from(f->message, f->header.n));
		if (rc == 0) {
			deliver_parse(s, deliver_commit);
			return;
		}
		v = deliver_unwritten(s, rc);
	}
	group_failed(f, &v);
}

void
filter_next_group(struct filter *f)
{
	struct lsession *s = f->session;
	const struct put *put;

	if (!f->came) {
		f->came = true;
		f->group = S("");
		f->group_body = (struct slice){ 0 };
		if (filter_has_plain(f) || filter_find_put(f, false)) {
			deliver_commit(s, buf_get(&f->cache));
			return;
		}
	}
	put = filter_find_put(f, true);
	if (!put) /* of a copy that the relay has refused for good, when all else was stored */
		put = filter_find_put(f, false);
	if (!put) {
		filter_committed(f);
		return;
	}
	f->group = put->header;
	f->group_body = put->body;
	if (s->body.fd >= 0 && f->body.fd < 0) {
		f->body = s->body; /* of the message as it came: giving it back would cut it off */
		s->body.fd = -1;
	}
	if (s->body.fd >= 0)
		store_body_put(lmtpd.store, &s->body);
	store_body_start(lmtpd.store, s->rcpts[0].partition, &s->body, &s->op, group_lent, f);
}

void
filter_target(struct lsession *s, const struct put *put, struct store_target *t)
{
	struct lrcpt *r = &s->rcpts[put->of->rcpt];

	*t = (struct store_target){ .account = r->account,
		.partition = r->partition,
		.folder = put->folder,
		.create = put->create,
		.use = put->use,
		.objectid = put->objectid,
		.keywords = put->keywords,
		.flags = put->flags,
		.limits = r->limits };
}

size_t
filter_targets_most(const struct lsession *s)
{
	const struct filter *f = s->filter;
	size_t n = s->nrcpt;

	for (size_t i = 0; i < f->n; i++)
		for (const struct put *put = f->people[i].puts; put; put = put->next)
			n++;
	return n < STORE_TARGETS_MAX ? n : STORE_TARGETS_MAX;
}

/* Of a folder that is meant by its id, the name may be anything. */
static void
put_dup_key(struct lsession *s, const struct put *put, uint8_t key[16])
{
	struct slice account = s->rcpts[put->of->rcpt].account;
	char id[32];

	(void)snprintf(id, sizeof(id), "\n%llx", (unsigned long long)put->objectid);
	deliver_dup_key(s, account, put->objectid ? slice_str(id) : put->folder, key);
}

size_t
filter_targets(struct lsession *s, struct store_target *targets, size_t n)
{
	struct filter *f = s->filter;

	for (size_t i = 0; i < f->n; i++)
		for (struct put *put = f->people[i].puts; put; put = put->next) {
			if (!put_waits(f, put) || !slice_eq(put->header, f->group) ||
			    put->body.p != f->group_body.p)
				continue;
			if (n ==
			    STORE_TARGETS_MAX) { /* they are asked for again, without the others */
				s->rcpts[put->of->rcpt].v = verdict(OUT_RCPTS_MANY);
				continue;
			}
			put->asked = put->now = true;
			filter_target(s, put, &targets[n]);
			put_dup_key(s, put, targets[n].dup);
			put->target = n++;
		}
	return n;
}

/* The worst of what a person's copies came to. */
static void
person_stored(struct person *p, const struct verdict *v)
{
	if (!p->stored.kind || v->kind == TEMP || (v->kind == PERM && p->stored.kind == OK))
		p->stored = *v;
}

void
filter_go_on(struct lsession *s)
{
	filter_next_group(s->filter);
}

void
filter_stored(struct lsession *s, const struct store_reply *reply)
{
	struct filter *f = s->filter;

	for (size_t i = 0; i < f->n; i++)
		for (struct put *put = f->people[i].puts; put; put = put->next) {
			struct lrcpt *r = &s->rcpts[put->of->rcpt];
			const struct store_result *t = NULL;
			struct verdict v = reply->verdict;

			if (!put->now)
				continue;
			put->now = false;
			if (v.kind == OK) {
				t = &reply->results[put->target];
				deliver_verdict(t, &v);
			}
			person_stored(&f->people[i], &v);
			r->logged = true;
			deliver_log(s, r, put->folder, &v, t);
		}
	filter_next_group(f);
}

void
filter_stop(struct lsession *s)
{
	struct filter *f = s->filter;

	s->filter = NULL;
	if (!f)
		return;
	if (!f->running) {
		filter_free(&f);
		return;
	}
	f->session = NULL;
	if (f->map.p && s->body.fd >= 0 && f->body.fd < 0) { /* giving it back would cut it off */
		f->body = s->body;
		s->body.fd = -1;
	}
}
