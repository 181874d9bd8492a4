/* group.c: what a list's entry means for mail.
 *
 * In the order of the documentation: status, size, who may send (access.c), moderators, then the members:
 * by DN, by URL, by address; mgrpErrorsTo goes with each of them.  A list is entered once in a run, so a
 * list in itself counts once.  Called by address.c.  Must stay true: the members of a list are no business
 * of who sends to it, so what goes wrong with one is told to the log and never at RCPT; and a list that
 * shows no member is a fault of its entry or of our rights, hence temporary. */
#include "base/must.h"
#include "expand/expand-impl.h"
#include "login/rules.h"

void
expand_list_refused(struct task *t, struct verdict v)
{
	const struct verdict blame = expand_blame(t->run, t->node, v);
	bool looking = t->run->looking;

	if (t->role && !looking) {
		expand_keep_role(t);
	} else if (v.kind != TEMP && blame.kind == TEMP) {
		expand_temporary(t, &blame);
	} else if (v.kind == TEMP && !looking) {
		expand_decide(t->run, &v);
	} else {
		expand_fail(t->run, t->node, v);
		expand_task_end(t);
	}
}

/* ---- who gets it ---------------------------------------------------------------------------- */

/* The address that errors are to go to, or NULL. */
static const char *
group_errors_to(struct run *x, const struct dir_group *g)
{
	struct slice plain = expand_plain(g->errors_to);
	struct address addr;
	const char *why;

	if (plain.n == 0 || address_parse(plain, ADDRESS_UTF8, &x->arena, &addr, &why) < 0)
		return NULL;
	return arena_cstr(expand_keep(x), plain);
}

/* From here on the node is a list, and so is the way to all that it names.  What goes to its moderators is
 * what was sent. */
static void
group_list(struct task *t, const struct dir_group *g, bool members, const struct expand_edit *edit)
{
	struct run *x = t->run;
	struct expand_list *list = arena_new(expand_keep(x), sizeof(*list));

	list->name = arena_cstr(expand_keep(x), g->mail.n ? g->mail : t->text);
	list->sender = members ? group_errors_to(x, g) : NULL;
	list->edit = members || !t->node->list ? edit : t->node->list->edit;
	if (expand_asked(x, t->node))
		x->result.errors_to = list->sender;
	if (!list->sender && t->node->list)
		list->sender = t->node->list->sender;
	t->node->list = list;
	if (g->max_message && (!x->result.max_list || g->max_message < x->result.max_list))
		x->result.max_list = g->max_message;
}

/* One with '=' in its local part (RFC 5322 3.2.3) is none the less; no DN with a comma is. */
static bool
value_is_address(struct slice value)
{
	struct arena m = { 0 };
	struct address addr;
	const char *why;
	bool is;

	is = slice_find(value, '@') < value.n &&
	    address_parse(expand_plain(value), ADDRESS_UTF8, &m, &addr, &why) == 0;
	arena_reset(&m);
	return is;
}

enum node_kind
expand_value_kind(struct slice value)
{
	if (slice_istarts(value, S("ldap:")) || slice_istarts(value, S("ldaps:")))
		return NODE_URL;
	if (slice_find(value, '=') >= slice_find(value, '@') || value_is_address(value))
		return NODE_ADDRESS;
	return NODE_DN;
}

static void
group_members(struct task *t, const struct dir_group *g)
{
	const char *hold = g->status == DIR_HOLD ? "inetMailGroupStatus is hold" : NULL;
	size_t most = t->run->most;
	const struct expand_edit *edit = NULL;

	if (!t->run->looking && !expand_edit_take(t, g, &edit))
		return;
	group_list(t, g, true, edit);
	/* Values of one attribute are different, so these would be too many legs. */
	if (!t->run->looking && !t->run->walk && (g->members.n > most || g->rfc822.n > most)) {
		expand_large(t->run);
		return;
	}
	for (size_t i = 0; i < g->members.n && !t->run->decided; i++)
		expand_member(t, NODE_DN, g->members.v[i], hold);
	for (size_t i = 0; i < g->urls.n && !t->run->decided; i++)
		expand_member(t, NODE_URL, g->urls.v[i], hold);
	for (size_t i = 0; i < g->rfc822.n && !t->run->decided; i++)
		expand_member(t, NODE_ADDRESS, g->rfc822.v[i], hold);
	if (g->members.n + g->urls.n + g->rfc822.n == 0 && !t->run->decided) {
		expand_list_refused(t, verdict(OUT_GROUP_EMPTY));
		return;
	}
	expand_task_end(t);
}

static void
group_moderators(struct task *t, const struct dir_group *g)
{
	group_list(t, g, false, NULL);
	t->run->result.moderator = t->node->list->name;
	for (size_t i = 0; i < g->moderators.n && !t->run->decided; i++) {
		struct slice to = expand_plain(g->moderators.v[i]);

		expand_member(t, expand_value_kind(to), to, NULL);
	}
	expand_task_end(t);
}

/* ---- may it? -------------------------------------------------------------------------------- */

/* The entry once more, from the cache: what was borrowed is gone since the question began. */
static void
group_again(void *arg, const struct dir_answer *a)
{
	struct task *t = CAST(arg, struct task, TASK_MAGIC);

	if (a->v.kind == TEMP)
		expand_decide(t->run, &a->v);
	else if (!a->group)
		expand_list_refused(t, verdict(OUT_USER_UNKNOWN)); /* deleted meanwhile */
	else if (t->moderated)
		group_moderators(t, a->group);
	else
		group_members(t, a->group);
}

static struct verdict
group_denied(struct slice text)
{
	char clean[190];
	size_t n = 0;

	for (; n < text.n && n + 1 < sizeof(clean); n++)
		clean[n] = text.p[n];
	for (size_t i = 0; i < n; i++)
		if (clean[i] < ' ' || clean[i] > '~')
			clean[i] = text.p[i] == '\n' || text.p[i] == '\r' ? ' ' : '?';
	clean[n] = '\0';
	return n ? verdict(OUT_GROUP_DENIED_TEXT, clean) : verdict(OUT_GROUP_DENIED);
}

void
expand_group_judged(struct task *t, enum access_answer answer, struct slice text)
{
	const struct expand_directory *d = &t->run->e->p.directory;
	struct slice whole = t->instead.n ? t->instead : slice(NULL, 0);
	struct slice local = t->asked.local, domain = t->asked.domain;

	if (whole.n) {
		local = slice_sub(whole, 0, slice_rfind(whole, '@'));
		domain = slice_from(whole, local.n + 1);
	}
	switch (answer) {
	case ACCESS_NO: expand_list_refused(t, group_denied(text)); return;
	case ACCESS_BROKEN: expand_list_refused(t, verdict(OUT_GROUP_BROKEN)); return;
	case ACCESS_MODERATORS: t->moderated = true; break;
	case ACCESS_YES: break;
	}
	d->entry(d->arg, local, domain, &t->op, group_again, t);
}

void
expand_group(struct task *t, const struct dir_answer *a)
{
	const struct dir_group *g = a->group;
	enum login_rule rule = login_rule(g->status, LOGIN_DELIVER);
	const struct verdict large = verdict(OUT_GROUP_SIZE), alone = verdict(OUT_GROUP_ALONE);
	struct run *x = t->run;
	bool circle;

	x->result.password = x->result.password || g->password.n;
	if (!x->looking && rule != LOGIN_RULE_YES && rule != LOGIN_RULE_HOLD &&
	    rule != LOGIN_RULE_DEFER) {
		expand_list_refused(t, login_rule_verdict(rule, false));
		return;
	}
	if (!expand_enter(x, t->node, 'g', g->dn, &circle)) {
		if (circle)
			expand_fail(x, t->node, verdict(OUT_GROUP_CIRCLE));
		expand_task_end(t);
		return;
	}
	t->password = g->password.n && !t->role;
	if (x->looking || t->role)
		group_members(t, g);
	else if (expand_size(x, g->max_message, &large))
		expand_list_refused(t, large);
	else if (g->max_message && x->size == 0 && x->others)
		expand_decide(x, &alone);
	else if (g->policy.n || g->allowed.n || g->disallowed.n || g->allowed_domains.n ||
	    g->disallowed_domains.n || g->moderators.n)
		expand_access(t, g);
	else
		group_members(t, g);
}
