/* storectl expire: one folder, judged and carried out.
 *
 * Called by expire.c for each folder that has rules, in the process of its partition.  A folder is read in
 * one snapshot and judged without one; then what is to go is asked of stored, some hundred messages at a
 * time, so that nobody waits for it.  Flags may have changed meanwhile, so those that a rule asks for are
 * looked at again before each request.  What must stay true: a dry run judges by the same code on the same
 * messages and differs in the requests alone. */
#include <errno.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/files.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "expire.h"
#include "message/message.h"

/* A folder at work. */
struct expiring {
	struct expire_work *w;
	const struct expire_folder *f;
	const struct aging_rule *const *rules;
	size_t nrules;
	struct aging_message *m;
	size_t n;
	uint64_t to; /* the mailbox that messages are moved to */
	/* of the request in hand */
	const struct aging_message *first;
	size_t count;
	uint64_t done, bytes;
};

static const char *const action_names[] = { "discard", "fileinto", "report" };

/* ---- what is there ----------------------------------------------------------------------------- */

/* Up to the UIDs that were there when the account was begun: what rules move here is not judged again. */
static int
folder_read(struct expiring *e)
{
	struct buf all = { 0 };
	const struct store_record *rec;
	struct store_blocks b;
	size_t n;

	if (e->f->uidnext <= 1)
		return 0;
	if (store_begin(e->w->view) < 0)
		return -EIO;
	store_blocks_init(&b, e->w->view, e->f->mailbox, 1, e->f->uidnext - 1);
	while ((rec = store_blocks_next(&b, &n)))
		for (size_t i = 0; i < n; i++) {
			const struct aging_message m = { .emailid = rec[i].emailid,
				.internaldate = rec[i].internaldate,
				.uid = rec[i].uid,
				.size = rec[i].size,
				.savedate = rec[i].savedate,
				.flags = rec[i].flags };

			buf_add(&all, &m, sizeof(m));
		}
	store_end(e->w->view);
	e->n = all.n / sizeof(*e->m);
	e->m = (void *)all.p;
	return 0;
}

/* The digest knows most fields; only the header of the file is read for others. */
static enum message_answer
header_in_file(struct expiring *e, const struct aging_rule *r, const struct aging_message *m)
{
	enum message_answer all = MESSAGE_YES;
	struct message_match match = { 0 };
	struct message msg;

	message_init(&msg, slice(NULL, 0));
	if (message_open(&msg, e->w->view, e->f->mailbox, m->uid) < 0 || message_map(&msg) < 0) {
		message_close(&msg);
		return MESSAGE_UNKNOWN;
	}
	message_match_start(&match, &r->headers, message_bytes(&msg));
	while (match.stage == MATCH_HEADER && message_match_step(&match))
		;
	for (uint32_t k = 0; k < r->headers.n; k++)
		if (message_match_get(&match, k) != MESSAGE_YES)
			all = MESSAGE_NO;
	if (message_is_cut(&msg))
		all = MESSAGE_UNKNOWN;
	message_match_end(&match);
	message_close(&msg);
	return all;
}

static bool
header_meets(void *arg, const struct aging_rule *r, const struct aging_message *m)
{
	struct expiring *e = arg;
	enum message_answer all = MESSAGE_YES;
	struct slice record;

	if (store_begin(e->w->view) < 0)
		all = MESSAGE_UNKNOWN;
	else {
		record = store_get_cache(e->w->view, m->emailid);
		for (uint32_t k = 0; k < r->headers.n && all != MESSAGE_NO; k++) {
			enum message_answer one = record.n ?
			    message_query_digest(&r->headers, k, record) :
			    MESSAGE_UNKNOWN;

			all = one == MESSAGE_YES ? all : one;
		}
		store_end(e->w->view);
	}
	if (all == MESSAGE_UNKNOWN)
		all = header_in_file(e, r, m);
	e->w->totals.unread += all == MESSAGE_UNKNOWN;
	return all == MESSAGE_YES;
}

/* ---- what is said --------------------------------------------------------------------------------- */

/* What a rule has done in this folder; `uid` of a message that is reported, else 0. */
static void
expire_told(const struct expiring *e, const struct aging_rule *r, uint64_t count, uint64_t bytes,
    uint32_t uid)
{
	const struct expire *run = e->w->run;
	const char *action = action_names[r->action];
	struct buf b = { 0 };

	if (run->json) {
		buf_char(&b, '{');
		json_put_cstr(&b, "partition", e->w->partition);
		json_put_cstr(&b, "account", e->w->account_name);
		json_put_cstr(&b, "folder", e->f->name);
		json_put_str(&b, "rule", r->name);
		json_put_cstr(&b, "action", action);
		if (r->to.n)
			json_put_str(&b, "to", r->to);
		if (uid) {
			json_put_i64(&b, "uidvalidity", e->f->uidvalidity);
			json_put_i64(&b, "uid", uid);
		}
		json_put_i64(&b, "messages", (int64_t)count);
		json_put_i64(&b, "bytes", (int64_t)bytes);
		buf_lit(&b, "}\n");
	} else if (!run->quiet && uid)
		buf_printf(&b, "%s\t%s\t" SFMT "\t%s\t%u\t%u\n", e->w->account_name, e->f->name,
		    SARG(r->name), action, e->f->uidvalidity, uid);
	else if (!run->quiet)
		buf_printf(&b, "%s\t%s\t" SFMT "\t%s\t%llu\t%llu\n", e->w->account_name, e->f->name,
		    SARG(r->name), action, (unsigned long long)count, (unsigned long long)bytes);
	storectl_say(&b);
	buf_fini(&b);
	if (!run->dry && !uid)
		log_event(LOG_INFO, "expired",
		    "account=%s folder=%s rule=%s action=%s count=%llu bytes=%llu",
		    log_str(e->w->account_name), log_str(e->f->name), log_value(r->name), action,
		    (unsigned long long)count, (unsigned long long)bytes);
}

/* ---- what is done ------------------------------------------------------------------------------------ */

/* Of those that were asked for, what has gone: somebody else may have been first. */
static void
expire_gone(void *arg, const struct store_reply *r)
{
	struct expiring *e = arg;
	size_t k = 0;

	for (size_t i = 0; i < e->count && r->verdict.kind == OK; i++) {
		while (k < r->nuids && r->uids[k].last < e->first[i].uid)
			k++;
		if (k < r->nuids && r->uids[k].first <= e->first[i].uid) {
			e->done++;
			e->bytes += e->first[i].size;
		}
	}
	asking_done(&e->w->ask, r);
}

/* False: the run is over. */
static bool
expire_answered(struct expiring *e)
{
	const struct store_reply *r = &e->w->ask.reply;

	if (!asking_try(&e->w->ask) && r->code != STORE_NOMAILBOX) {
		fprintf(stderr, "storectl: %s: %s: %s\n", e->w->account_name, e->f->name,
		    r->verdict.text);
		return false;
	}
	return true;
}

/* The folder that messages go to, made when it is not there. */
static bool
expire_target(struct expiring *e, struct slice name)
{
	int rc = store_begin(e->w->view);

	if (rc == 0)
		rc = store_find_mailbox(e->w->view, e->w->account, name, &e->to);
	store_end(e->w->view);
	if (rc == 0)
		return true;
	store_create_start(e->w->ask.client, e->w->account, name, store_special_of(name),
	    &e->w->ask.op, asking_done, &e->w->ask);
	if (!expire_answered(e))
		return false;
	e->to = e->w->ask.reply.mailbox;
	return true;
}

/* Leaves those of `some` whose flags are what the rule asks for, now. */
static size_t
expire_look_again(struct expiring *e, const struct aging_rule *r, struct aging_message *some,
    size_t n)
{
	size_t kept = 0;

	if (!(r->by & (AGING_BY_SEEN | AGING_BY_DELETED)))
		return n;
	if (store_begin(e->w->view) < 0)
		return 0;
	for (size_t i = 0; i < n; i++) {
		const struct store_record *rec =
		    store_get_record(e->w->view, e->f->mailbox, some[i].uid);

		if (rec && aging_flags_meet(r, rec->flags))
			some[kept++] = some[i];
	}
	store_end(e->w->view);
	return kept;
}

static bool
expire_ask(struct expiring *e, const struct aging_rule *r, struct aging_message *some, size_t n)
{
	struct store_range ranges[EXPIRE_SLICE];
	struct asking *a = &e->w->ask;
	size_t nranges = 0;
	uint64_t began = clock_mono_ms(), took;

	n = expire_look_again(e, r, some, n);
	for (size_t i = 0; i < n; i++)
		if (nranges && ranges[nranges - 1].last + 1 == some[i].uid)
			ranges[nranges - 1].last++;
		else
			ranges[nranges++] = (struct store_range){ some[i].uid, some[i].uid };
	if (n == 0)
		return true;
	e->first = some;
	e->count = n;
	if (r->action == AGING_MOVE)
		store_move_start(a->client, e->f->mailbox, ranges, nranges, e->to, &a->op,
		    expire_gone, e);
	else
		store_expunge_start(a->client, e->f->mailbox, ranges, nranges, true, &a->op,
		    expire_gone, e);
	if (!expire_answered(e))
		return false;
	took = clock_mono_ms() - began;
	if (e->w->run->rate && n * 1000 / e->w->run->rate > took) {
		uint64_t ms = n * 1000 / e->w->run->rate - took;
		const struct timespec pause = { (time_t)(ms / 1000), (long)(ms % 1000) * 1000000 };

		nanosleep(&pause, NULL);
	}
	return true;
}

/* All that one rule takes.  It counts what has gone also when stored leaves in between. */
static bool
expire_rule(struct expiring *e, uint16_t number)
{
	const struct aging_rule *r = e->rules[number - 1];
	size_t most =
	    e->w->run->rate && e->w->run->rate < EXPIRE_SLICE ? e->w->run->rate : EXPIRE_SLICE;
	struct aging_message some[EXPIRE_SLICE];
	size_t n = 0;
	bool good = true, ready = e->w->run->dry || r->action != AGING_MOVE;

	e->done = e->bytes = 0;
	for (size_t i = 0; i < e->n && good; i++) {
		if (e->m[i].taken != number)
			continue;
		if (e->w->run->dry) {
			e->done++;
			e->bytes += e->m[i].size;
			continue;
		}
		if (!ready)
			good = ready = expire_target(e, r->to);
		some[n++] = e->m[i];
		if (good && n == most) {
			good = expire_ask(e, r, some, n);
			n = 0;
		}
	}
	if (good && n)
		good = expire_ask(e, r, some, n);
	if (e->done)
		expire_told(e, r, e->done, e->bytes, 0);
	*(r->action == AGING_MOVE ? &e->w->totals.moved : &e->w->totals.discarded) += e->done;
	e->w->totals.bytes += e->bytes;
	return good;
}

bool
expire_folder(struct expire_work *w, const struct expire_folder *f)
{
	const struct aging_place place = { slice_str(w->partition), slice_str(w->account_name),
		slice_str(f->name) };
	struct expiring e = { .w = w, .f = f };
	struct buf rules = { 0 };
	bool good = true;

	aging_rules_select((const void *)w->sets.p, w->sets.n / sizeof(struct aging_rules *),
	    &place, &rules);
	e.rules = (const void *)rules.p;
	e.nrules = rules.n / sizeof(*e.rules);
	if (e.nrules && folder_read(&e) < 0) {
		fprintf(stderr, "storectl: %s: %s: cannot be read\n", w->account_name, f->name);
		good = false;
	} else if (e.nrules) {
		w->totals.folders++;
		w->totals.looked += e.n;
		aging_judge(e.m, e.n, e.rules, e.nrules, w->run->now, header_meets, &e);
		for (size_t i = 0; i < e.n; i++)
			if (e.m[i].reported) {
				w->totals.reported++;
				expire_told(&e, e.rules[e.m[i].reported - 1], 1, e.m[i].size,
				    e.m[i].uid);
			}
		for (size_t i = 0; i < e.nrules && good; i++)
			good = expire_rule(&e, (uint16_t)(i + 1));
	}
	mem_free(&e.m);
	buf_fini(&rules);
	return good;
}
