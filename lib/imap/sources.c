/* imap/sources.c: filters of mailboxes, RFC 5465 6 and 8, RFC 7377 5.  Pure; fails on syntax. */
#include "imap/sources.h"

#include <string.h>

static bool
sources_fail(struct imap_in *in, const char *why)
{
	if (!in->why)
		in->why = why;
	return false;
}

static bool
sources_add(struct imap_in *in, struct imap_sources *s, enum imap_source_kind kind)
{
	struct slice name;
	bool bad = false;

	if (!imap_mailbox(in, &name, &bad))
		return false;
	if (bad)
		return true;
	if (s->n == IMAP_ITEMS_MAX)
		return sources_fail(in, "Too many mailboxes");
	if ((s->n & (s->n - 1)) == 0) { /* room doubles at powers of two */
		size_t room = s->n ? s->n * 2 : 1;
		struct imap_source *list = arena_array(in->arena, room, sizeof(*list));

		if (s->n)
			memcpy(list, s->list, s->n * sizeof(*list));
		s->list = list;
	}
	s->list[s->n++] = (struct imap_source){ kind, name };
	return true;
}

/* one-or-more-mailbox = mailbox / "(" mailbox *(SP mailbox) ")" */
static bool
sources_names(struct imap_in *in, struct imap_sources *s, enum imap_source_kind kind)
{
	int more = 1;

	if (!imap_space(in))
		return false;
	if (!imap_next_is(in, '('))
		return sources_add(in, s, kind);
	if (!imap_open(in))
		return false;
	for (; more > 0; more = imap_more(in))
		if (!sources_add(in, s, kind))
			return false;
	return more == 0;
}

bool
imap_source_parse(struct imap_in *in, struct imap_sources *s)
{
	if (imap_word(in, "SELECTED"))
		return s->selected = true;
	if (imap_word(in, "INBOXES"))
		return s->inboxes = true;
	if (imap_word(in, "PERSONAL"))
		return s->personal = true;
	if (imap_word(in, "SUBSCRIBED"))
		return s->subscribed = true;
	if (imap_word(in, "SUBTREE"))
		return sources_names(in, s, IMAP_SOURCE_SUBTREE);
	if (imap_word(in, "SUBTREE-ONE"))
		return sources_names(in, s, IMAP_SOURCE_SUBTREE_ONE);
	if (imap_word(in, "MAILBOXES"))
		return sources_names(in, s, IMAP_SOURCE_MAILBOX);
	return sources_fail(in, "Unknown source of mailboxes");
}

bool
imap_sources_parse(struct imap_in *in, struct imap_sources *s)
{
	int more = 1;

	*s = (struct imap_sources){ 0 };
	if (!imap_open(in))
		return false;
	for (; more > 0; more = imap_more(in))
		if (!imap_source_parse(in, s))
			return false;
	return more == 0;
}

static bool
source_has(const struct imap_source *f, struct slice name)
{
	struct slice below = name;

	if (f->name.n > 0 || f->kind == IMAP_SOURCE_MAILBOX) {
		if (slice_eq(name, f->name))
			return true;
		if (f->kind == IMAP_SOURCE_MAILBOX || !slice_starts(name, f->name) ||
		    name.p[f->name.n] != '/')
			return false;
		below = slice_from(name, f->name.n + 1);
	}
	return f->kind == IMAP_SOURCE_SUBTREE || slice_find(below, '/') == below.n;
}

bool
imap_sources_named(const struct imap_sources *s, struct slice name)
{
	for (size_t i = 0; i < s->n; i++)
		if (source_has(&s->list[i], name))
			return true;
	return false;
}

bool
imap_sources_selected_alone(const struct imap_sources *s)
{
	return s->selected && !s->inboxes && !s->personal && !s->subscribed && s->n == 0;
}
