/* edit.c: what a list makes of a message on its way to the members.
 *
 *	mgrpRemoveHeader, mgrpAddHeader         fields that go, and fields that come
 *	mgrpMsgPrefixText, mgrpMsgSuffixText    text in front and behind
 *	mgrpAuthPassword                        a word that the message must bring
 *
 * Called by group.c for each list that is entered; smtp-relay does it to the message.  What lists in lists
 * say is put together here, so that whoever changes the message goes through it once, however deep they are.
 * Must stay true: a list cannot touch what tells where a message comes from, where it has been and how its
 * body is to be read; what one question costs is bounded, whatever entries hold. */
#include "base/log.h"
#include "expand/expand-impl.h"

#define NAME_MAX_LEN 64 /* of a field */

/* Fields of which a message has at most one (RFC 5322 3.6, RFC 2369 3): a list's takes its place. */
static const char *const once[] = { "sender", "reply-to", "to", "cc", "subject", "in-reply-to",
	"references" };
/* Not a list's business. */
static const char *const kept[] = { "from", "date", "message-id", "received", "return-path",
	"mime-version", "bcc", "resent-bcc", "approved" };

static bool
name_among(struct slice name, const char *const *names, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (slice_ieq(name, slice_str(names[i])))
			return true;
	return false;
}

/* Why a field of this name is not taken; or NULL. */
static const char *
name_fault(struct slice name)
{
	if (name.n == 0 || name.n > NAME_MAX_LEN)
		return "no name of a field";
	for (size_t i = 0; i < name.n; i++)
		if (name.p[i] <= ' ' || name.p[i] > '~' || name.p[i] == ':')
			return "no name of a field";
	if (slice_istarts(name, S("content-")) || name_among(name, kept, NELEM(kept)))
		return "a list does not change this field";
	return NULL;
}

/* The name in front of the colon. */
static struct slice
edit_name(struct slice field)
{
	return slice_trim(slice_sub(field, 0, slice_find(field, ':')));
}

static bool
field_good(const struct expand_edit *e, const char *attribute, struct slice value,
    struct slice name, bool whole)
{
	const char *why = name_fault(name);

	if (!why && whole && slice_trim(slice_from(value, slice_find(value, ':') + 1)).n == 0)
		why = "no text behind a colon";
	if (why)
		log_event(LOG_WARN, "list_field", "list=%s attribute=%s value=%s why=%s", e->list,
		    attribute, log_value(value), log_str(why));
	return !why;
}

static struct slice
name_lower(struct arena *m, struct slice name)
{
	char *p = arena_cstr(m, name);

	for (char *c = p; *c; c++)
		*c = ascii_lower(*c);
	return slice(p, name.n);
}

/* What the edit has so far, with room for more. */
static struct slice *
values_grow(struct arena *m, struct dir_values *l, size_t more)
{
	struct slice *v = arena_array(m, l->n + more + 1, sizeof(*v));

	for (size_t i = 0; i < l->n; i++)
		v[i] = l->v[i];
	l->v = v;
	return v;
}

/* The fields that lists above have added and this one removes. */
static void
edit_unadd(struct expand_edit *e, struct slice *added, struct slice name)
{
	size_t n = 0;

	for (size_t i = 0; i < e->add.n; i++)
		if (!slice_ieq(edit_name(added[i]), name))
			added[n++] = added[i];
	e->add.n = n;
}

static void
edit_fields(struct arena *m, struct expand_edit *e, const struct dir_group *g)
{
	struct slice *added = values_grow(m, &e->add, g->add_fields.n);
	struct slice *removed = values_grow(m, &e->remove, g->remove_fields.n + g->add_fields.n);

	for (size_t i = 0; i < g->remove_fields.n; i++) {
		struct slice name = edit_name(g->remove_fields.v[i]);

		if (!field_good(e, "mgrpRemoveHeader", g->remove_fields.v[i], name, false))
			continue;
		edit_unadd(e, added, name);
		removed[e->remove.n++] = name_lower(m, name);
	}
	for (size_t i = 0; i < g->add_fields.n; i++) {
		struct slice value = g->add_fields.v[i], name = edit_name(value);

		if (!field_good(e, "mgrpAddHeader", value, name, true))
			continue;
		if (name_among(name, once, NELEM(once)) || slice_istarts(name, S("list-"))) {
			edit_unadd(e, added, name);
			removed[e->remove.n++] = name_lower(m, name);
		}
		added[e->add.n++] = arena_slice(m, value);
	}
}

static struct slice
texts_join(struct arena *m, struct slice first, struct slice second)
{
	if (first.n == 0 || second.n == 0)
		return first.n ? first : arena_slice(m, second);
	return slice_str(arena_printf(m, SFMT "\n" SFMT, SARG(first), SARG(second)));
}

static void
edit_password(struct task *t, struct expand_edit *e, struct slice word)
{
	struct arena *m = expand_keep(t->run);
	struct expand_password *all = arena_array(m, e->npasswords + 1, sizeof(*all));

	for (size_t i = 0; i < e->npasswords; i++)
		all[i] = e->passwords[i];
	all[e->npasswords++] = (struct expand_password){ .list = e->list,
		.word = arena_slice(m, word),
		.needed = t->password,
		.asked = expand_asked(t->run, t->node) };
	e->passwords = all;
	e->closed = e->closed || t->password;
}

static size_t
edit_bytes(const struct dir_group *g)
{
	size_t n = g->prefix.n + g->suffix.n + g->password.n;

	for (size_t i = 0; i < g->add_fields.n; i++)
		n += g->add_fields.v[i].n;
	for (size_t i = 0; i < g->remove_fields.n; i++)
		n += g->remove_fields.v[i].n;
	return n;
}

static struct dir_values
values_copy(struct arena *m, const struct dir_values *from)
{
	struct dir_values l = *from;
	struct slice *v = values_grow(m, &l, 0);

	for (size_t i = 0; i < l.n; i++)
		v[i] = arena_slice(m, v[i]);
	return l;
}

const struct expand_edit *
expand_edit_copy(struct arena *m, const struct expand_edit *from)
{
	struct expand_password *words = arena_array(m, from->npasswords + 1, sizeof(*words));
	struct expand_edit *e = arena_new(m, sizeof(*e));

	*e = *from;
	e->list = arena_str(m, from->list);
	e->add = values_copy(m, &from->add);
	e->remove = values_copy(m, &from->remove);
	e->prefix = arena_slice(m, from->prefix);
	e->suffix = arena_slice(m, from->suffix);
	for (size_t i = 0; i < from->npasswords; i++) {
		words[i] = from->passwords[i];
		words[i].list = arena_str(m, words[i].list);
		words[i].word = arena_slice(m, words[i].word);
	}
	e->passwords = words;
	return e;
}

bool
expand_edit_take(struct task *t, const struct dir_group *g, const struct expand_edit **edit)
{
	const struct expand_edit *above = t->node->list ? t->node->list->edit : NULL;
	struct arena *m = expand_keep(t->run);
	size_t bytes = edit_bytes(g);
	struct expand_edit *e;

	*edit = above;
	if (t->password && g->password.n == 0) {
		expand_list_refused(t, verdict(OUT_GROUP_BROKEN)); /* or hidden from us */
		return false;
	}
	if (t->run->walk && t->password && !expand_walk_word(t->run, g->password)) {
		expand_list_refused(t,
		    verdict(OUT_GROUP_PASSWORD,
			arena_cstr(&t->run->arena, g->mail.n ? g->mail : t->text)));
		return false;
	}
	if (bytes == 0)
		return true;
	if (t->run->result.nedits == EXPAND_EDITS) {
		expand_large(t->run);
		return false;
	}
	e = arena_new(m, sizeof(*e));
	if (above)
		*e = *above;
	e->list = arena_cstr(m, g->mail.n ? g->mail : t->text);
	e->bytes += bytes;
	if (e->bytes > EXPAND_EDIT_MAX || e->add.n + g->add_fields.n > EXPAND_EDIT_N ||
	    e->remove.n + g->remove_fields.n + g->add_fields.n > EXPAND_EDIT_N) {
		expand_list_refused(t, verdict(OUT_GROUP_BROKEN));
		return false;
	}
	edit_fields(m, e, g);
	e->prefix = texts_join(m, arena_slice(m, g->prefix), e->prefix);
	e->suffix = texts_join(m, e->suffix, g->suffix);
	if (g->password.n)
		edit_password(t, e, g->password);
	*edit = e;
	if (t->run->walk)
		return true;
	e->no = (unsigned)t->run->result.nedits;
	t->run->result.edits[t->run->result.nedits++] = e;
	return true;
}
