/* storectl quota warn: users whose mailbox is almost full are told, whatever came in or not.
 *
 * stored warns by itself when something comes in; here it is for limits that have become less, or for another
 * quota_warn.  Asks the directory for the limits of each account, and stored, which keeps whom it has warned, for
 * those who are near: a crossing is told once, by whom it may be.  An account without an entry is passed over, and
 * one that has been moved: it is warned where it is. */
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

#include "account.h"
#include "base/json.h"
#include "base/mem.h"
#include "conf/shared.h"
#include "directory/directory.h"
#include "login/rules.h"
#include "store/config.h"
#include "store/quota.h"

struct warn_run {
	const char *account; /* "" = all */
	bool json, dry;
	struct asking ask;
	struct dir *dir;
	uint64_t met;
	bool failed; /* somebody was not told, which has been said */
	/* of the one that is asked for */
	struct store_limits limits;
	struct verdict v;
	bool there;
};

static void
warn_answered(void *arg, const struct dir_answer *a)
{
	struct warn_run *r = arg;

	r->v = a->v;
	r->there = a->v.kind == OK && a->user;
	if (r->there)
		r->limits = login_limits(a->user, a->domain);
	loop_stop(&r->ask.loop);
}

static void
warn_say(const struct warn_run *r, struct slice name, const struct store_account *a,
    const char *what)
{
	struct buf b = { 0 };

	if (r->json) {
		buf_char(&b, '{');
		json_put_str(&b, "account", name);
		json_put_i64(&b, "bytes", (int64_t)a->bytes);
		json_put_i64(&b, "limit", (int64_t)r->limits.bytes);
		json_put_i64(&b, "messages", (int64_t)a->messages);
		json_put_i64(&b, "message_limit", (int64_t)r->limits.messages);
		json_put_cstr(&b, "state", what);
		buf_lit(&b, "}\n");
	} else
		buf_printf(&b, SFMT ": %llu of %llu bytes, %llu of %llu messages: %s\n", SARG(name),
		    (unsigned long long)a->bytes, (unsigned long long)r->limits.bytes,
		    (unsigned long long)a->messages, (unsigned long long)r->limits.messages, what);
	storectl_say(&b);
	buf_fini(&b);
}

/* Limits that the store has in the place of the directory's. */
static int
warn_own(struct warn_run *r, struct slice name)
{
	char account[STORE_ACCOUNT_MAX + 1], partition[PARTITION_ROOM];
	struct store_reader *reader;
	struct store_view *v;
	uint64_t id;
	int rc = storectl_account_find(slice_cstr(name, account, sizeof(account)), &reader, &v, &id,
	    partition);

	if (rc)
		return rc;
	if (store_begin(v) == 0)
		r->limits = store_limits_find(v, id, r->limits);
	store_end(v);
	store_view_free(&v);
	store_reader_close(&reader);
	return 0;
}

/* Those who are near, and those who were: they may be warned again. */
static int
warn_treat(struct warn_run *r, struct slice name, const struct store_account *a)
{
	const struct store_limits of_directory = r->limits;
	int rc = warn_own(r, name);
	bool near;

	if (rc)
		return rc;
	near =
	    store_limits_near(&r->limits, a->bytes, a->messages, (uint32_t)stored_conf.quota_warn);
	if (r->dry && near)
		warn_say(r, name, a, a->warned ? "warned" : "to be warned");
	if (r->dry || (!near && !a->warned))
		return 0;
	store_warn_start(r->ask.client, a->id, of_directory, &r->ask.op, asking_done, &r->ask);
	if (!asking_try(&r->ask)) {
		fprintf(stderr, "storectl: " SFMT ": %s\n", SARG(name), r->ask.reply.verdict.text);
		r->failed = true; /* the others all the same */
		return r->ask.reply.code == STORE_AWAY || r->ask.reply.code == STORE_UNSURE ?
		    EX_UNAVAILABLE :
		    0;
	}
	if (near)
		warn_say(r, name, a, r->ask.reply.uid ? "warned now" : "warned");
	return 0;
}

static int
warn_one(void *arg, const char *partition UNUSED, struct slice name, const struct store_account *a)
{
	struct warn_run *r = arg;
	struct op op = { 0 };

	if (*r->account && !slice_eq(name, slice_str(r->account)))
		return 0;
	r->met++;
	dir_login_start(r->dir, name, &op, warn_answered, r);
	loop_run(&r->ask.loop);
	if (r->v.kind == TEMP) {
		fprintf(stderr, "storectl: " SFMT ": %s\n", SARG(name), r->v.text);
		return EX_TEMPFAIL;
	}
	return r->there && !a->moved_at ? warn_treat(r, name, a) : 0;
}

int
storectl_quota_warn(const char *account, bool json, bool dry)
{
	struct warn_run r = { .account = account, .json = json, .dry = dry };
	int rc;

	if (!stored_conf.quota_warn) {
		fprintf(stderr, "storectl: quota_warn of stored.conf is 0: nobody is warned\n");
		return EX_CONFIG;
	}
	asking_open(&r.ask);
	r.dir = dir_new(&r.ask.loop);
	rc = account_walk(warn_one, &r);
	dir_free(&r.dir);
	asking_close(&r.ask);
	if (rc == 0 && *account && !r.met) {
		fprintf(stderr, "storectl: %s: no such account\n", account);
		rc = EX_NOUSER;
	}
	return rc == 0 && r.failed ? EX_SOFTWARE : rc;
}
