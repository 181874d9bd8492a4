/* alias.c: a name of the alias file to those who get its mail (tiermail-aliases(5)).
 *
 * Called by address.c where the directory has nobody of that name.  An alias is a list whose entry is a
 * line: one bad target stops nobody, circles end, and where there is an owner-NAME, errors go there.
 * Must stay true: the file is the administrator's, so nothing in it is a reason to refuse for good. */
#include "expand/expand-impl.h"

/* "|NAME": a program of piped's list, as the user whom that names. */
static bool
alias_program(struct task *t, const struct mta_target *to)
{
	return to->kind == MTA_TARGET_PROGRAM &&
	    expand_leg_program(t->run, t->node, S(""), slice_trim(slice_from(to->text, 1)),
		t->instead.n ? t->instead : t->text, t->node->hold, 0);
}

static bool
alias_good(const struct task *t, const struct mta_target *to)
{
	return to->kind == MTA_TARGET_ADDRESS ||
	    (to->kind == MTA_TARGET_PROGRAM && channels_pipes(t->run->e->p.channels, ROUTE_PIPE));
}

/* A local part alone is a name of the same domain. */
static struct slice
target_text(struct task *t, struct slice text)
{
	if (slice_rfind(text, '@') < text.n)
		return text;
	return slice_str(
	    arena_printf(&t->run->arena, SFMT "@" SFMT, SARG(text), SARG(t->asked.domain)));
}

static const char *
alias_owner(struct task *t)
{
	struct arena *a = expand_keep(t->run);
	char *owner = arena_printf(a, "owner-" SFMT, SARG(t->asked.local));

	if (!mta_aliases_find(t->run->e->p.channels->aliases, slice_str(owner), t->asked.domain))
		return NULL;
	return arena_printf(a, "%s@" SFMT, owner, SARG(t->asked.domain));
}

void
expand_alias(struct task *t, const struct mta_alias *alias)
{
	struct run *x = t->run;
	struct expand_list *list = arena_new(expand_keep(x), sizeof(*list));
	size_t good = 0;
	bool circle;

	if (!expand_enter(x, t->node, 'l', alias->name, &circle)) {
		if (circle)
			expand_fail(x, t->node, verdict(OUT_GROUP_CIRCLE));
		expand_task_end(t);
		return;
	}
	for (size_t i = 0; i < alias->n; i++)
		good += alias_good(t, &alias->targets[i]);
	if (good == 0) {
		expand_list_refused(t, verdict(OUT_USER_DELIVERY));
		return;
	}
	list->name = arena_cstr(expand_keep(x), t->text);
	list->sender = alias_owner(t);
	if (expand_asked(x, t->node))
		x->result.errors_to = list->sender;
	if (!list->sender && t->node->list)
		list->sender = t->node->list->sender;
	t->node->list = list;
	for (size_t i = 0; i < alias->n && !x->decided; i++) {
		const struct mta_target *to = &alias->targets[i];

		if (to->kind == MTA_TARGET_ADDRESS) {
			expand_member(t, NODE_ADDRESS, target_text(t, to->text), NULL);
		} else if (!alias_program(t, to)) {
			struct node none = { .parent = t->node, .text = to->text };

			expand_fail(x, &none, verdict(OUT_USER_DELIVERY));
		}
	}
	expand_task_end(t);
}
