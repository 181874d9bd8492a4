/* storectl restore: what is an account's and no folder's: its last logins, the marks of deliveries, subscriptions of
 * names that are no folders.
 *
 * Called by restore.c for each frame, with the account open, or not at all when it is not wanted.  None of it is worth
 * more than the mail: what stored refuses is told, and the stream goes on. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "backup.h"
#include "base/clock.h"
#include "restore.h"

static void
account_told(struct restoring *r)
{
	if (!asking_try(&r->ask))
		restore_bad(r, r->ask.reply.verdict.text);
}

void
restore_logins(struct restoring *r, struct slice line)
{
	for (size_t i = 0; i < STORE_LOGINS; i++) {
		uint32_t at = restore_number32(line, backup_logins[i]);

		if (!at)
			continue;
		store_login_at_start(r->ask.client, r->id, (enum store_login)i, at, &r->ask.op,
		    asking_done, &r->ask);
		account_told(r);
	}
}

/* ---- marks ------------------------------------------------------------------------------------ */

void
restore_marks_flush(struct restoring *r)
{
	if (r->nmarks && !r->rc) {
		store_know_start(r->ask.client, slice_str(r->account), slice_str(r->run->partition),
		    r->marks, r->nmarks, &r->ask.op, asking_done, &r->ask);
		account_told(r);
	}
	r->nmarks = 0;
}

void
restore_mark(struct restoring *r, struct slice line)
{
	struct store_question *q = &r->marks[r->nmarks];
	uint32_t until = restore_number32(line, "until");
	struct buf key = { 0 };
	int64_t now = clock_now();

	if (!r->opened || r->rc)
		return;
	if (kv_decode(&key, kv_find(line, "key")) < 0 || key.n != sizeof(q->key))
		restore_bad(r, "a mark that cannot be read");
	else if (until > now) {
		*q = (struct store_question){ .what = STORE_KNOW_MARK,
			.seconds = (uint32_t)(until - now) };
		memcpy(q->key, key.p, key.n);
		r->nmarks++;
	}
	buf_fini(&key);
	if (r->nmarks == STORE_QUESTIONS_MAX)
		restore_marks_flush(r);
}

/* ---- subscriptions ---------------------------------------------------------------------------- */

static void
account_subscribe(struct restoring *r, const char *name, bool yes)
{
	store_subscribe_start(r->ask.client, r->id, slice_str(name), yes, &r->ask.op, asking_done,
	    &r->ask);
	account_told(r);
}

void
restore_subscription(struct restoring *r, struct slice line)
{
	char name[STORE_NAME_MAX + 1] = "", clean[STORE_NAME_MAX + 1];

	if (!r->opened || r->rc)
		return;
	if (kv_cstr(kv_find(line, "name"), name, sizeof(name)) < 0 ||
	    store_name_check(slice_str(name), clean) < 0) {
		restore_bad(r, "a subscription without a name");
		return;
	}
	if (r->run->exact) {
		buf_str(&r->subscribed, clean);
		buf_char(&r->subscribed, '\0');
	}
	account_subscribe(r, clean, true);
}

bool
restore_is_named(const struct buf *names, const char *name)
{
	for (size_t at = 0; at < names->n; at += strlen(names->p + at) + 1)
		if (strcmp(names->p + at, name) == 0)
			return true;
	return false;
}

/* Those of folders have been set with these. */
void
restore_only_subscribed(struct restoring *r)
{
	struct store_folder f = { .account = r->id };
	struct buf others = { 0 };

	if (store_begin(r->view) < 0)
		exit(EX_OSERR);
	while (store_next_subscription(r->view, &f)) {
		char name[STORE_NAME_MAX + 1];

		slice_cstr(f.name, name, sizeof(name));
		if (!restore_is_named(&r->named, name) && !restore_is_named(&r->subscribed, name))
			buf_add(&others, name, strlen(name) + 1);
	}
	store_end(r->view);
	for (size_t at = 0; at < others.n; at += strlen(others.p + at) + 1)
		account_subscribe(r, others.p + at, false);
	buf_fini(&others);
}
