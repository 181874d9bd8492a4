/* lookup.c: what the directory says of a recipient, in the words of lib/route.
 *
 * The status of user and domain decides whether mail is taken (Sun's semantics, reference in
 * tiermail-directory(7)): inactive waits at the sender, disabled and deleted are refused, hold
 * is taken and kept in the queue, over quota waits at the sender. */
#include "base/mem.h"
#include "base/must.h"
#include "relay.h"

#define LOOKUP_MAGIC 0x6c6f6f6bU

struct lookup {
	uint32_t magic;
	struct op op;
	struct op *outer;
	bool postmaster;  /* asking for the postmaster of tiermail.conf in a domain without one */
	bool asked_again;
	void (*found)(void *, const struct route_found *);
	void *arg;
};

static void on_answer(void *arg, const struct dir_answer *a);

static void
lookup_cancel(struct op *op)
{
	struct lookup *l = CAST(op->impl, struct lookup, LOOKUP_MAGIC);

	op_cancel(&l->op);
	mem_free(&l);
}

static void
say(struct lookup *l, const struct route_found *f)
{
	op_done(l->outer);
	l->found(l->arg, f);
	mem_free(&l);
}

static void
by_status(struct route_found *f, const struct dir_user *u)
{
	switch (u->status) {
	case DIR_ACTIVE:
		break;
	case DIR_INACTIVE:
		f->v = verdict(TEMP, 450, "4.2.1", "mailbox is not active at present");
		break;
	case DIR_DISABLED:
		f->v = verdict(PERM, 550, "5.2.1", "mailbox is disabled");
		break;
	case DIR_DELETED:
		f->v = verdict(PERM, 550, "5.1.6", "mailbox is gone");
		break;
	case DIR_HOLD:
		f->hold = "mailUserStatus is hold";
		break;
	case DIR_OVERQUOTA:
		f->v = verdict(TEMP, 452, "4.2.2", "mailbox is full");
		break;
	}
}

/* mailDeliveryOption: into the mailbox, on to other addresses, or both. */
static void
by_delivery(struct route_found *f, const struct dir_user *u)
{
	f->account = u->account;
	f->keep = u->delivery & DIR_MAILBOX;
	if ((u->delivery & DIR_FORWARD) && u->nforward) {
		f->forward = u->forward;
		f->nforward = u->nforward;
	} else if (!f->keep) {
		f->v = verdict(PERM, 550, "5.2.1", "this user has no mailbox");
	}
}

/* RFC 5321 4.5.1: every domain that we take mail for has a postmaster. */
static bool
postmaster_instead(struct lookup *l)
{
	struct slice all = slice_str(shared.postmaster);
	size_t at = slice_rfind(all, '@');

	if (!l->postmaster || l->asked_again || at == all.n)
		return false;
	l->asked_again = true;
	dir_rcpt_start(
	    relay.dir, slice_sub(all, 0, at), slice_from(all, at + 1), &l->op, on_answer, l);
	return true;
}

static void
on_answer(void *arg, const struct dir_answer *a)
{
	struct lookup *l = CAST(arg, struct lookup, LOOKUP_MAGIC);
	struct route_found f = { .v = a->v, .ours = a->domain != NULL || l->asked_again };

	if (a->v.kind == PERM && a->domain && a->user == NULL && postmaster_instead(l))
		return;
	if (a->domain)
		f.smarthost = a->domain->smarthost;
	if (a->user) {
		f.v = verdict(OK, 250, "2.1.5", "ok");
		f.mailhost = a->user->mailhost;
		f.max_message = a->user->max_message;
		by_status(&f, a->user);
		if (f.v.kind == OK)
			by_delivery(&f, a->user);
		if (l->asked_again)
			f.address = slice_str(shared.postmaster);
	} else if (a->v.kind == PERM && a->domain) {
		f.v = verdict(PERM, 550, "5.1.1", "no such user here");
	}
	say(l, &f);
}

void
lookup_recipient(void *arg, struct slice local, struct slice domain, struct op *op,
    void (*found)(void *, const struct route_found *), void *arg2)
{
	struct lookup *l = mem_new(sizeof(*l));

	(void)arg;
	l->magic = LOOKUP_MAGIC;
	l->outer = op;
	l->found = found;
	l->arg = arg2;
	l->postmaster = slice_ieq(local, S("postmaster"));
	op->impl = l;
	op->cancel = lookup_cancel;
	dir_rcpt_start(relay.dir, local, domain, &l->op, on_answer, l);
}
