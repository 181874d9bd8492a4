/* storectl account orphans: accounts whose entry the directory has not any more.
 *
 * Asks the directory for each account by its name, one after the other.  Since when an entry is missing stays with
 * the account, in the store, so that a run that is repeated each day can delete what has been missing for so many
 * days; an entry that is back takes the mark away.  Must stay true: nothing is deleted because a directory is away,
 * shows nothing, or is not the one that has these people: then the run ends before it deletes anything.  One whose
 * entry has the account's name as an address only has got another login: its mail is somebody's, and stays. */
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

#include "account.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "conf/shared.h"
#include "directory/directory.h"

#define DAY 86400

enum orphan_state {
	ORPHAN_NOT,
	ORPHAN_GONE,     /* no entry */
	ORPHAN_DELETED,  /* its status, or its domain's, is deleted */
	ORPHAN_RENAMED,  /* the entry is of another login */
	ORPHAN_ELSEWHERE /* mailHost is another host's name */
};
static const char *const state_names[] = { "ok", "gone", "deleted", "renamed", "elsewhere" };

struct orphan {
	char *name, *partition, *to;
	enum orphan_state state;
	bool due; /* it is to be deleted */
	uint64_t id, messages, bytes;
	uint32_t since;    /* unix seconds */
	uint32_t moved_at; /* the same: storectl move has moved it */
};
struct orphan_run {
	struct account_run *run;
	struct asking ask;
	struct dir *dir;
	struct buf list; /* struct orphan */
	struct buf left; /* const char *: who is to be deleted, and is nowhere else */
	uint64_t accounts, known, purged;
	/* of the one that is asked for */
	struct orphan now;
	bool temporary;
	struct verdict v;
};

/* ---- the directory ----------------------------------------------------------------------------- */

static enum orphan_state
orphan_judge(struct orphan *o, const struct dir_user *u)
{
	if (!slice_eq(u->account, slice_str(o->name))) {
		o->to = mem_strn(u->account.p, u->account.n);
		return ORPHAN_RENAMED;
	}
	if (u->status == DIR_DELETED)
		return ORPHAN_DELETED;
	if (u->mailhost.n && !slice_ieq(u->mailhost, slice_str(shared.hostname))) {
		o->to = mem_strn(u->mailhost.p, u->mailhost.n);
		return ORPHAN_ELSEWHERE;
	}
	return ORPHAN_NOT;
}

static void
orphan_answered(void *arg, const struct dir_answer *a)
{
	struct orphan_run *r = arg;

	r->temporary = a->v.kind == TEMP;
	r->v = a->v;
	r->now.state = a->v.kind == OK && a->user ? orphan_judge(&r->now, a->user) : ORPHAN_GONE;
	loop_stop(&r->ask.loop);
}

/* Looks each up.  Not 0: the directory does not say. */
static int
orphan_look(void *arg, const char *partition, struct slice name, const struct store_account *a)
{
	struct orphan_run *r = arg;
	struct op op = { 0 };

	r->now = (struct orphan){ .name = mem_strn(name.p, name.n),
		.partition = mem_str(partition),
		.id = a->id,
		.messages = a->messages,
		.bytes = a->bytes,
		.since = a->orphan_since,
		.moved_at = a->moved_at };
	r->temporary = true;
	r->accounts++;
	dir_login_start(r->dir, name, &op, orphan_answered, r);
	loop_run(&r->ask.loop);
	if (r->temporary)
		fprintf(stderr, "storectl: " SFMT ": %s\n", SARG(name), r->v.text);
	r->known += !r->temporary && r->now.state != ORPHAN_GONE;
	if (!r->temporary && (r->now.state != ORPHAN_NOT || r->now.since))
		buf_add(&r->list, &r->now, sizeof(r->now));
	else {
		mem_free(&r->now.name);
		mem_free(&r->now.partition);
	}
	return r->temporary ? EX_TEMPFAIL : 0;
}

/* ---- what becomes of them ---------------------------------------------------------------------- */

static bool
orphan_is(const struct orphan *o)
{
	return o->state == ORPHAN_GONE || o->state == ORPHAN_DELETED;
}

static int
orphan_mark(struct orphan_run *r, struct orphan *o)
{
	bool yes = orphan_is(o);

	if (!o->since == !yes || r->run->dry)
		return 0;
	store_orphan_start(r->ask.client, o->id, yes, &r->ask.op, asking_done, &r->ask);
	if (!asking_try(&r->ask)) {
		fprintf(stderr, "storectl: %s: %s\n", o->name, r->ask.reply.verdict.text);
		return asking_code(&r->ask);
	}
	o->since = yes ? (uint32_t)clock_now() : 0;
	return 0;
}

static void
orphan_say(const struct orphan_run *r, const struct orphan *o)
{
	struct buf b = { 0 };

	if (r->run->json) {
		buf_char(&b, '{');
		json_put_cstr(&b, "account", o->name);
		json_put_cstr(&b, "partition", o->partition);
		json_put_cstr(&b, "state", state_names[o->state]);
		json_put_cstr(&b, "to", o->to);
		json_put_i64(&b, "days", o->since ? (clock_now() - o->since) / DAY : 0);
		json_put_i64(&b, "messages", (int64_t)o->messages);
		json_put_i64(&b, "bytes", (int64_t)o->bytes);
		buf_lit(&b, "}\n");
	} else if (!r->run->quiet) {
		buf_printf(&b, "%-32s %-12s %-10s", o->name, o->partition, state_names[o->state]);
		if (o->since)
			buf_printf(&b, " %lld days", (long long)(clock_now() - o->since) / DAY);
		buf_printf(&b, " %llu messages, %llu bytes%s%s\n", (unsigned long long)o->messages,
		    (unsigned long long)o->bytes, o->to ? ", now " : "", o->to ? o->to : "");
	}
	storectl_say(&b);
	buf_fini(&b);
}

/* Since when it is nobody's here, or 0. */
static uint32_t
orphan_since(const struct orphan *o)
{
	if (o->state == ORPHAN_ELSEWHERE)
		return o->moved_at;
	return orphan_is(o) ? o->since : 0;
}

static int
orphan_treat(struct orphan_run *r, struct orphan *o)
{
	const struct account_run *run = r->run;
	int rc = orphan_mark(r, o);
	uint32_t since = orphan_since(o);

	if (rc == 0 && o->state != ORPHAN_NOT)
		orphan_say(r, o);
	o->due = rc == 0 && since && run->purge_days >= 0 && !run->dry &&
	    clock_now() - since >= (int64_t)run->purge_days * DAY;
	if (o->due && o->state != ORPHAN_ELSEWHERE)
		buf_add(&r->left, &o->name, sizeof(o->name));
	return rc;
}

static int
orphan_purge(struct orphan_run *r, const struct orphan *o)
{
	int rc = account_erase(r->run, &r->ask, o->name, o->id);

	if (rc == 0) {
		r->purged++;
		log_event(LOG_INFO, "account_purged", "account=%s state=%s since=%u",
		    log_str(o->name), state_names[o->state], orphan_since(o));
	}
	return rc;
}

/* First what they have in mailboxes of others: a run that is cut off behind that finds them again, and the next one does
 * the rest.  One that cannot be treated keeps no other from it, unless stored is away. */
static int
orphans_treat(struct orphan_run *r)
{
	struct orphan *o = (void *)r->list.p;
	size_t n = r->list.n / sizeof(*o);
	int rc = 0, one;

	if (r->accounts && !r->known) {
		fprintf(stderr,
		    "storectl: the directory has an entry for none of the accounts: nothing is "
		    "done\n");
		return EX_CONFIG;
	}
	for (size_t i = 0; i < n && rc != EX_UNAVAILABLE; i++)
		rc = (one = orphan_treat(r, &o[i])) ? one : rc;
	if (r->left.n && rc != EX_UNAVAILABLE) {
		one =
		    account_leave(&r->ask, (const void *)r->left.p, r->left.n / sizeof(char *), "");
		rc = one ? one : rc;
	}
	for (size_t i = 0; i < n && rc != EX_UNAVAILABLE; i++)
		if (o[i].due)
			rc = (one = orphan_purge(r, &o[i])) ? one : rc;
	return rc;
}

int
account_orphans(struct account_run *run)
{
	struct orphan_run r = { .run = run };
	struct orphan *o;
	int rc;

	asking_open(&r.ask);
	r.dir = dir_new(&r.ask.loop);
	rc = account_walk(orphan_look, &r);
	if (rc == 0)
		rc = orphans_treat(&r);
	o = (void *)r.list.p;
	for (size_t i = 0; i < r.list.n / sizeof(*o); i++) {
		mem_free(&o[i].name);
		mem_free(&o[i].partition);
		mem_free(&o[i].to);
	}
	buf_fini(&r.list);
	buf_fini(&r.left);
	dir_free(&r.dir);
	asking_close(&r.ask);
	return rc;
}
