/* imapd/list.c: LIST and LSUB: RFC 3501 6.3.8, 6.3.9, RFC 3348 (CHILDREN), RFC 5258
 * (LIST-EXTENDED), RFC 5819 (LIST-STATUS), RFC 6154 (SPECIAL-USE). */
#include <stdlib.h>

#include "imap/list.h"
#include "imap/write.h"
#include "session.h"

struct entry {
	struct slice name;
	uint64_t mailbox;
	uint8_t attrs, special;
	bool exists, children, subscribed;
	bool child_subscribed; /* something below it is subscribed */
};
struct listing {
	struct imap_list want;
	struct entry *entries;
	size_t n, room;
};

static bool
wanted(const struct listing *l, struct slice name)
{
	for (size_t i = 0; i < l->want.npatterns; i++)
		if (imap_pattern_matches(l->want.patterns[i], name, slice_eq(name, S("INBOX"))))
			return true;
	return false;
}

/* ---- what there is ---------------------------------------------------------------------------- */

static struct entry *
add(struct session *s, struct listing *l, struct slice name)
{
	if (l->n == l->room) {
		size_t room = l->room ? l->room * 2 : 16;
		struct entry *e = arena_array(&s->arena, room, sizeof(*e));

		if (l->n)
			memcpy(e, l->entries, l->n * sizeof(*e));
		l->entries = e;
		l->room = room;
	}
	l->entries[l->n] = (struct entry){ .name = name };
	return &l->entries[l->n++];
}

static int
by_name(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	return slice_cmp(x->name, y->name);
}

static struct entry *
find(struct listing *l, size_t n, struct slice name)
{
	struct entry key = { .name = name };

	return bsearch(&key, l->entries, n, sizeof(key), by_name);
}

/* Folders and subscriptions together, in order of their names. */
static void
collect(struct session *s, struct listing *l)
{
	struct store_folder f = { .account = s->user->id };
	size_t nfolders;

	while (store_next_folder(reader(s), &f)) {
		struct entry *e = add(s, l, f.name);

		e->mailbox = f.mailbox;
		e->attrs = f.attrs;
		e->special = f.special;
		e->children = f.children;
		e->exists = true;
	}
	qsort(l->entries, l->n, sizeof(*l->entries), by_name);
	nfolders = l->n;
	f = (struct store_folder){ .account = s->user->id };
	while (store_next_subscription(reader(s), &f)) {
		struct entry *e = find(l, nfolders, f.name);

		if (!e)
			e = add(s, l, f.name);
		e->subscribed = true;
	}
	qsort(l->entries, l->n, sizeof(*l->entries), by_name);
}

/* Marks the superiors of subscribed names; those that are no folders are added. */
static void
mark_superiors(struct session *s, struct listing *l)
{
	size_t n = l->n;

	for (size_t i = 0; i < n; i++) {
		struct slice name = l->entries[i].name;

		if (!l->entries[i].subscribed)
			continue;
		for (size_t k = slice_find(name, STORE_SEPARATOR); k < name.n;
		     k += 1 + slice_find(slice_from(name, k + 1), STORE_SEPARATOR)) {
			struct entry *e = find(l, n, slice(name.p, k));

			for (size_t x = n; !e && x < l->n; x++)
				if (slice_eq(l->entries[x].name, slice(name.p, k)))
					e = &l->entries[x];
			if (!e)
				e = add(s, l, slice(name.p, k));
			e->child_subscribed = true;
		}
	}
	qsort(l->entries, l->n, sizeof(*l->entries), by_name);
}

/* ---- output -------------------------------------------------------------------------------------- */

static void
attribute(struct buf *b, bool *first, const char *name)
{
	if (!*first)
		buf_char(b, ' ');
	*first = false;
	buf_str(b, name);
}

static void
write_entry(struct session *s, const struct listing *l, const struct entry *e, bool child_info)
{
	struct buf *b = out(s);
	bool first = true;

	buf_lit(b, "* LIST (");
	if (!e->exists)
		attribute(b, &first, "\\NonExistent");
	if (e->attrs & STORE_NOSELECT)
		attribute(b, &first, "\\Noselect");
	if (e->exists)
		attribute(b, &first, e->children ? "\\HasChildren" : "\\HasNoChildren");
	if (e->special)
		attribute(b, &first, store_special_name(e->special));
	if (e->subscribed && l->want.say_subscribed)
		attribute(b, &first, "\\Subscribed");
	buf_lit(b, ") \"/\" ");
	imap_write_mailbox(b, e->name);
	if (child_info)
		buf_lit(b, " (CHILDINFO (\"SUBSCRIBED\"))");
	buf_lit(b, "\r\n");
	if (l->want.say_status && e->exists && !(e->attrs & STORE_NOSELECT))
		status_write(s, e->name, e->mailbox, l->want.status);
}

static void
write_all(struct session *s, const struct listing *l)
{
	for (size_t i = 0; i < l->n; i++) {
		const struct entry *e = &l->entries[i];
		bool child_info = l->want.recursive && l->want.only_subscribed && e->child_subscribed;

		if (l->want.only_subscribed ? !(e->subscribed || child_info) : !e->exists)
			continue;
		if ((l->want.only_special && !e->special) || !wanted(l, e->name))
			continue;
		write_entry(s, l, e, child_info);
	}
}

/* ---- the commands ------------------------------------------------------------------------------ */

enum next
cmd_list(struct session *s, struct imap_in *in)
{
	struct listing *l = arena_new(&s->arena, sizeof(*l));

	if (!imap_list_parse(in, &l->want))
		return bad(s, in);
	if (l->want.status & IMAP_STATUS_HIGHESTMODSEQ)
		s->condstore = true;
	if (l->want.root) {
		untagged(s, "LIST (\\Noselect) \"/\" \"\"");
		return finish(s, "OK", "LIST completed");
	}
	if (store_begin(reader(s)) < 0)
		return finish(s, "NO", "[UNAVAILABLE] The mail store cannot be read");
	collect(s, l);
	if (l->want.recursive)
		mark_superiors(s, l);
	write_all(s, l);
	store_end(reader(s));
	return finish(s, "OK", "LIST completed");
}

/* LSUB reference pattern					RFC 3501 6.3.9 */
enum next
cmd_lsub(struct session *s, struct imap_in *in)
{
	struct listing *l = arena_new(&s->arena, sizeof(*l));
	struct slice pattern = S("");

	if (!imap_lsub_parse(in, &l->want))
		return bad(s, in);
	if (l->want.npatterns > 0)
		pattern = l->want.patterns[0];
	if (store_begin(reader(s)) < 0)
		return finish(s, "NO", "[UNAVAILABLE] The mail store cannot be read");
	collect(s, l);
	/* With "%", a name that is not subscribed stands for the subscribed ones below it. */
	if (pattern.n > 0 && pattern.p[pattern.n - 1] == '%')
		mark_superiors(s, l);
	for (size_t i = 0; i < l->n; i++) {
		const struct entry *e = &l->entries[i];

		if (!(e->subscribed || e->child_subscribed) || !wanted(l, e->name))
			continue;
		buf_str(out(s), !e->subscribed || e->attrs & STORE_NOSELECT ?
			"* LSUB (\\Noselect) \"/\" " :
			"* LSUB () \"/\" ");
		imap_write_mailbox(out(s), e->name);
		buf_lit(out(s), "\r\n");
	}
	store_end(reader(s));
	return finish(s, "OK", "LSUB completed");
}
