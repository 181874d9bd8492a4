/* Where the directory has an account's mailbox: asked anew each time, so that nothing of it is a memory. */
#include <stdio.h>

#include "account.h"
#include "base/mem.h"
#include "directory/directory.h"

struct entry_look {
	struct loop *loop;
	const char *account;
	struct account_entry *entry;
	struct verdict v;
};

static void
entry_answered(void *arg, const struct dir_answer *a)
{
	struct entry_look *l = arg;
	const struct dir_user *u = a->user;

	l->v = a->v;
	if (a->v.kind == OK && u && slice_eq(u->account, slice_str(l->account))) {
		l->entry->there = true;
		l->entry->dn = mem_strn(u->dn.p, u->dn.n);
		l->entry->mailhost = u->mailhost.n ? mem_strn(u->mailhost.p, u->mailhost.n) : NULL;
	}
	loop_stop(l->loop);
}

bool
account_entry_get(struct loop *loop, const char *account, struct account_entry *e)
{
	struct entry_look l = { .loop = loop, .account = account, .entry = e };
	struct dir *dir = dir_new(loop);
	struct op op = { 0 };

	*e = (struct account_entry){ .there = false };
	l.v.kind = TEMP;
	dir_login_start(dir, slice_str(account), &op, entry_answered, &l);
	loop_run(loop);
	dir_free(&dir);
	if (l.v.kind == TEMP)
		fprintf(stderr, "storectl: %s: %s\n", account, l.v.text);
	return l.v.kind != TEMP;
}

void
account_entry_fini(struct account_entry *e)
{
	mem_free(&e->dn);
	mem_free(&e->mailhost);
}
