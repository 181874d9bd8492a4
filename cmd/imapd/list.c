/* imapd/list.c: LIST and LSUB: RFC 3501 6.3.8, 6.3.9, RFC 3348 (CHILDREN), RFC 5258
 * (LIST-EXTENDED), RFC 5819 (LIST-STATUS), RFC 6154 (SPECIAL-USE). */
#include <stdlib.h>

#include "imap/write.h"
#include "session.h"

#define PATTERN_MAX 1000 /* bytes of one pattern */

struct entry {
	struct slice name;
	uint64_t mailbox;
	uint8_t attrs, special;
	bool exists, children, subscribed;
	bool child_subscribed; /* something below it is subscribed */
};
struct listing {
	struct slice *patterns; /* UTF-8, the reference in front */
	size_t npatterns;
	bool only_subscribed, only_special, recursive; /* selection */
	bool say_subscribed, say_status;               /* return */
	unsigned status;
	struct entry *entries;
	size_t n, room;
};

/* ---- patterns ------------------------------------------------------------------------------ */

/* `*` matches anything, `%` anything without a separator.  All positions in the pattern that
 * the name may have reached are followed at once: no pattern can make this slow. */
static bool
matches(struct slice pattern, struct slice name, bool fold)
{
	bool now[PATTERN_MAX + 1] = { true }, next[PATTERN_MAX + 1];

	if (pattern.n > PATTERN_MAX)
		return false;
	for (size_t k = 0;; k++) {
		/* A wildcard may also match nothing. */
		for (size_t i = 0; i < pattern.n; i++)
			if (now[i] && (pattern.p[i] == '*' || pattern.p[i] == '%'))
				now[i + 1] = true;
		if (k == name.n)
			return now[pattern.n];
		memset(next, 0, pattern.n + 1);
		for (size_t i = 0; i < pattern.n; i++) {
			char p = pattern.p[i], c = name.p[k];

			if (!now[i])
				continue;
			if (p == '*' || (p == '%' && c != STORE_SEPARATOR))
				next[i] = true;
			else if (p == c || (fold && ascii_lower(p) == ascii_lower(c)))
				next[i + 1] = true;
		}
		memcpy(now, next, pattern.n + 1);
	}
}

static bool
wanted(const struct listing *l, struct slice name)
{
	for (size_t i = 0; i < l->npatterns; i++)
		if (matches(l->patterns[i], name, slice_eq(name, S("INBOX"))))
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
	if (e->subscribed && l->say_subscribed)
		attribute(b, &first, "\\Subscribed");
	buf_lit(b, ") \"/\" ");
	imap_write_mailbox(b, e->name);
	if (child_info)
		buf_lit(b, " (CHILDINFO (\"SUBSCRIBED\"))");
	buf_lit(b, "\r\n");
	if (l->say_status && e->exists && !(e->attrs & STORE_NOSELECT))
		status_write(s, e->name, e->mailbox, l->status);
}

static void
write_all(struct session *s, const struct listing *l)
{
	for (size_t i = 0; i < l->n; i++) {
		const struct entry *e = &l->entries[i];
		bool child_info = l->recursive && l->only_subscribed && e->child_subscribed;

		if (l->only_subscribed ? !(e->subscribed || child_info) : !e->exists)
			continue;
		if ((l->only_special && !e->special) || !wanted(l, e->name))
			continue;
		write_entry(s, l, e, child_info);
	}
}

/* ---- the grammar of LIST ----------------------------------------------------------------------- */

/* Reference and pattern become one pattern; a pattern that cannot be a name matches nothing. */
static void
add_pattern(struct session *s, struct listing *l, struct slice reference, struct slice pattern)
{
	struct buf b = { 0 };
	struct slice *p = arena_array(&s->arena, l->npatterns + 1, sizeof(*p)), name;

	buf_slice(&b, reference);
	buf_slice(&b, pattern);
	if (imap_mailbox_name(&s->arena, buf_get(&b), &name)) {
		if (l->npatterns)
			memcpy(p, l->patterns, l->npatterns * sizeof(*p));
		p[l->npatterns++] = name;
		l->patterns = p;
	}
	buf_fini(&b);
}

/* list-select-opts						RFC 5258 3.1 */
static bool
parse_select(struct imap_in *in, struct listing *l)
{
	int more = 1;

	if (!imap_open(in))
		return false;
	if (imap_next_is(in, ')'))
		more = imap_more(in);
	for (; more > 0; more = imap_more(in)) {
		if (imap_word(in, "SUBSCRIBED"))
			l->only_subscribed = l->say_subscribed = true;
		else if (imap_word(in, "SPECIAL-USE"))
			l->only_special = true;
		else if (imap_word(in, "RECURSIVEMATCH"))
			l->recursive = true;
		else if (!imap_word(in, "REMOTE")) {
			in->why = "Unknown LIST selection option";
			return false;
		}
	}
	if (l->recursive && !l->only_subscribed && !l->only_special) {
		in->why = "RECURSIVEMATCH needs another option";
		return false;
	}
	return more == 0;
}

/* list-return-opts						RFC 5258 3.2, RFC 5819 2 */
static bool
parse_return(struct imap_in *in, struct listing *l)
{
	int more = 1;

	if (!imap_space(in) || !imap_open(in))
		return false;
	if (imap_next_is(in, ')'))
		more = imap_more(in);
	for (; more > 0; more = imap_more(in)) {
		if (imap_word(in, "SUBSCRIBED")) {
			l->say_subscribed = true;
		} else if (imap_word(in, "STATUS")) {
			l->say_status = true;
			if (!imap_space(in) || !status_items_parse(in, &l->status))
				return false;
		} else if (!imap_word(in, "CHILDREN") && !imap_word(in, "SPECIAL-USE")) {
			in->why = "Unknown LIST return option";
			return false;
		}
	}
	return more == 0;
}

static bool
parse_patterns(struct session *s, struct imap_in *in, struct listing *l, struct slice reference,
    bool *just_root)
{
	struct slice pattern;
	int more = 1;

	if (!imap_next_is(in, '(')) {
		if (!imap_list_mailbox(in, &pattern))
			return false;
		*just_root = pattern.n == 0;
		add_pattern(s, l, reference, pattern);
		return true;
	}
	if (!imap_open(in))
		return false;
	for (int n = 0; more > 0; more = imap_more(in), n++) {
		if (n == 100) {
			in->why = "Too many patterns";
			return false;
		}
		if (!imap_list_mailbox(in, &pattern))
			return false;
		add_pattern(s, l, reference, pattern);
	}
	return more == 0;
}

enum next
cmd_list(struct session *s, struct imap_in *in)
{
	struct listing *l = arena_new(&s->arena, sizeof(*l));
	struct slice reference;
	bool just_root = false, extended;

	if (!imap_space(in))
		return bad(s, in);
	extended = imap_next_is(in, '(');
	if ((extended && (!parse_select(in, l) || !imap_space(in))) ||
	    !imap_astring(in, &reference) || !imap_space(in) ||
	    !parse_patterns(s, in, l, reference, &just_root))
		return bad(s, in);
	if (imap_char(in, ' ')) {
		extended = true;
		if (!imap_word(in, "RETURN") || !parse_return(in, l)) {
			in->why = in->why ? in->why : "RETURN expected";
			return bad(s, in);
		}
	}
	if (!imap_end(in))
		return bad(s, in);
	if (l->status & STATUS_HIGHESTMODSEQ)
		s->condstore = true;
	/* An empty name asks for the separator and the root.	RFC 3501 6.3.8 */
	if (just_root && !extended) {
		untagged(s, "LIST (\\Noselect) \"/\" \"\"");
		return finish(s, "OK", "LIST completed");
	}
	if (store_begin(reader(s)) < 0)
		return finish(s, "NO", "[UNAVAILABLE] The mail store cannot be read");
	collect(s, l);
	if (l->recursive)
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
	struct slice reference, pattern;

	if (!imap_space(in) || !imap_astring(in, &reference) || !imap_space(in) ||
	    !imap_list_mailbox(in, &pattern) || !imap_end(in))
		return bad(s, in);
	add_pattern(s, l, reference, pattern);
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
