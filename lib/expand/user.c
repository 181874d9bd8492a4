/* user.c: what a user's entry means for mail.
 *
 * In the order of the documentation: status (of the domain, then of the user), mailRoutingAddress, which
 * ends it, then mailDeliveryOption.  A user is entered once in a run, so circles within the directory end
 * where they close; circles by way of other hosts end by limit.received.  Called by address.c; nothing
 * waits here.  Must stay true: what only an administrator can have got wrong is never PERM. */
#include "conf/shared.h"
#include "expand/expand-impl.h"
#include "login/rules.h"

const struct verdict *
expand_size(const struct run *x, int64_t max, const struct verdict *v)
{
	return max && x->size > (uint64_t)max ? v : NULL;
}

/* Where the mailbox is.  Who has no mailHost is at the domain's smart host, if it has one, else here. */
static void
user_mailbox(struct task *t, const struct dir_answer *a, const char *hold)
{
	struct arena *m = &t->run->arena;
	struct slice host = a->user->mailhost, smarthost = a->domain->smarthost;
	struct slice address = t->instead.n ? t->instead : t->text;
	struct node *first = t->node->id.n ? map_get(&t->run->seen, t->node->id) : NULL;

	/* By another of his addresses he gets no copy more. */
	if (first && first->mailbox.n)
		address = first->mailbox;
	else if (first)
		first->mailbox = arena_slice(m, address);
	if (host.n == 0 && smarthost.n)
		expand_leg_add(t->run, t->node, ROUTE_SMTP, route_domain_key(m, smarthost), address,
		    hold, a->user->max_message);
	else
		expand_leg_add(t->run, t->node, ROUTE_LMTP,
		    host.n ? route_domain_key(m, host) : shared.hostname, address, hold,
		    a->user->max_message);
}

/* False: past the number of addresses that one recipient may bring. */
static bool
user_forward(struct task *t, struct slice to, const char *hold, bool by_admin)
{
	struct node *n, *origin = t->node->origin;

	if (origin->forwards == EXPAND_FORWARDS) {
		expand_fail(t->run, t->node, verdict(OUT_FORWARD_MANY));
		return false;
	}
	origin->forwards++;
	if (by_admin)
		t->node->address = t->instead.n ? t->instead : t->text;
	n = expand_node(t->run, t->node, NODE_ADDRESS, to);
	if (n) {
		n->hold = hold;
		n->by_admin = by_admin;
	}
	return true;
}

/* He cannot get it.  A list's others still do, a sender hears of it, and a postmaster is somebody else. */
static void
user_refused(struct task *t, const struct dir_answer *a, struct verdict v)
{
	v = expand_blame(t->run, t->node, v);
	if (t->role) {
		expand_keep_role(t);
	} else if (v.kind == PERM) {
		expand_fail(t->run, t->node, v);
		expand_task_end(t);
	} else if (t->node->list && !t->node->by_admin) {
		expand_fail(t->run, t->node, v);
		user_mailbox(t, a, EXPAND_HELD);
		expand_task_end(t);
	} else {
		expand_temporary(t, &v);
	}
}

/* The programs of his entry, and his mailbox file: "native" is piped's name for it.  How many legs that are. */
static size_t
user_programs(struct task *t, const struct dir_user *u, const char *hold)
{
	struct slice address = t->instead.n ? t->instead : t->text;
	struct slice name = slice_sub(u->account, 0, slice_rfind(u->account, '@'));
	size_t n = 0;

	/* The name becomes one of this host, and two organisations may each have a "jane". */
	if (!channels_pipes_users(t->run->e->p.channels, ROUTE_PIPE, u->domain))
		return 0;
	for (size_t i = 0; (u->delivery & DIR_PROGRAM) && i < u->programs.n; i++)
		n += name.n &&
		    expand_leg_program(t->run, t->node, name, slice_trim(u->programs.v[i]), address,
			hold, u->max_message);
	if ((u->delivery & DIR_NATIVE) && name.n)
		n += expand_leg_program(t->run, t->node, name, S("native"), address, hold,
		    u->max_message);
	return n;
}

static void
user_deliver(struct task *t, const struct dir_answer *a, const char *hold)
{
	const struct dir_user *u = a->user;
	unsigned how = u->delivery;
	bool forward = (how & DIR_FORWARD) && u->nforward;

	if (how & DIR_KEEP) {
		user_mailbox(t, a, "mailDeliveryOption is hold");
		expand_task_end(t);
		return;
	}
	if (user_programs(t, u, hold) == 0 && !(how & DIR_MAILBOX) && !forward) {
		user_refused(t, a,
		    how & DIR_FORWARD                               ? verdict(OUT_FORWARD_NONE) :
			how & (DIR_PROGRAM | DIR_NATIVE | DIR_FILE) ? verdict(OUT_USER_DELIVERY) :
								      verdict(OUT_USER_NO_MAILBOX));
		return;
	}
	if (how & DIR_MAILBOX)
		user_mailbox(t, a, hold);
	for (size_t i = 0; forward && i < u->nforward; i++)
		if (!user_forward(t, u->forward[i], hold, false))
			break;
	expand_task_end(t);
}

/* Looking for somebody: is it this one? */
static void
user_look(struct task *t, const struct dir_user *u)
{
	struct run *x = t->run;
	struct verdict v = verdict(OUT_RCPT_OK);

	if (slice_ieq(u->account, x->wanted_account)) {
		x->result.hit = true;
		expand_decide(x, &v);
		return;
	}
	expand_task_end(t);
}

void
expand_user(struct task *t, const struct dir_answer *a)
{
	const struct dir_user *u = a->user;
	enum login_rule rule = login_rule(u->status, LOGIN_DELIVER);
	const struct verdict large = verdict(OUT_USER_SIZE), deep = verdict(OUT_EXPAND_DEEP);
	const char *hold = t->node->hold;
	bool circle;

	if (t->run->looking) {
		user_look(t, u);
		return;
	}
	if (rule == LOGIN_RULE_NO || rule == LOGIN_RULE_GONE ||
	    ((rule == LOGIN_RULE_WAIT || rule == LOGIN_RULE_FULL) && !t->node->list)) {
		user_refused(t, a, login_rule_verdict(rule, false));
		return;
	}
	if (expand_size(t->run, u->max_message, &large)) {
		user_refused(t, a, large);
		return;
	}
	if (!expand_enter(t->run, t->node, 'u', u->account, &circle)) {
		if (circle && t->node->by_admin) {
			expand_temporary(t, &deep);
			return;
		}
		if (circle)
			expand_fail(t->run, t->node, verdict(OUT_FORWARD_CIRCLE));
		expand_task_end(t);
		return;
	}
	if (rule == LOGIN_RULE_HOLD)
		hold = "mailUserStatus is hold";
	if (u->routing.n) {
		(void)user_forward(t, u->routing, hold, true);
		expand_task_end(t);
	} else if (rule == LOGIN_RULE_YES || rule == LOGIN_RULE_HOLD) {
		user_deliver(t, a, hold);
	} else {
		/* The queue tries until the status changes: "defer", or one of many members. */
		user_mailbox(t, a, hold);
		expand_task_end(t);
	}
}
