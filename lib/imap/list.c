/* imap/list.c: LIST, LSUB, STATUS, CREATE: their grammar.
 *
 * Called by imapd's list.c and status.c with the arguments of a command; the STATUS items are the
 * program's table.  Fails with a reason fit for BAD; a pattern that cannot be a name is no error,
 * it matches nothing.  What must stay true: at most IMAP_PATTERNS_MAX patterns, because each is
 * asked of each folder.  Patterns themselves are pattern.c's. */
#include "imap/list.h"

#include "base/buf.h"

static bool
imap_list_fail(struct imap_in *in, const char *why)
{
	if (!in->why)
		in->why = why;
	return false;
}

bool
imap_status_parse(struct imap_in *in, const struct imap_status_item *table, size_t n,
    unsigned *items)
{
	int more = 1;

	*items = 0;
	if (!imap_open(in))
		return false;
	for (; more > 0; more = imap_more(in)) {
		size_t i = 0;

		while (i < n && !imap_word(in, table[i].name))
			i++;
		if (i == n)
			return imap_list_fail(in, "Unknown STATUS item");
		*items |= IMAP_STATUS_BIT(i);
	}
	return more == 0;
}

/* "(" [use-attr *(SP use-attr)] ")" */
static bool
parse_uses(struct imap_in *in, struct imap_create *c)
{
	int more = 1;

	if (c->said)
		return imap_list_fail(in, "USE came twice");
	c->said = true;
	if (!imap_space(in) || !imap_open(in))
		return false;
	if (imap_next_is(in, ')'))
		more = imap_more(in);
	for (; more > 0; more = imap_more(in), c->nuses++)
		if (!imap_char(in, '\\'))
			return imap_list_fail(in, "Special use expected");
		else if (!imap_atom(in, &c->use))
			return false;
	return more == 0;
}

bool
imap_create_parse(struct imap_in *in, struct imap_create *c)
{
	int more = 1;

	*c = (struct imap_create){ 0 };
	if (in->s.n > 1 && slice_starts(in->s, S(" ("))) {
		if (!imap_space(in) || !imap_open(in))
			return false;
		for (; more > 0; more = imap_more(in)) {
			if (!imap_word(in, "USE"))
				return imap_list_fail(in, "Unknown CREATE parameter");
			if (!parse_uses(in, c))
				return false;
		}
		if (more < 0)
			return false;
	}
	return imap_end(in);
}

/* Reference and pattern become one pattern; one that cannot be a name matches nothing. */
static void
add_pattern(struct imap_in *in, struct imap_list *l, struct slice reference, struct slice pattern)
{
	struct buf b = { 0 };
	struct slice name;

	buf_slice(&b, reference);
	buf_slice(&b, pattern);
	if (imap_mailbox_name(in, buf_get(&b), &name))
		imap_pattern_compile(&l->patterns[l->npatterns++], in->arena, name);
	buf_fini(&b);
}

/* mbox-or-pat							RFC 5258 6 */
static bool
parse_patterns(struct imap_in *in, struct imap_list *l, struct slice reference)
{
	struct slice pattern;
	int more = 1;

	if (!imap_next_is(in, '(')) {
		l->patterns = arena_new(in->arena, sizeof(*l->patterns));
		if (!imap_list_mailbox(in, &pattern))
			return false;
		l->root = pattern.n == 0;
		add_pattern(in, l, reference, pattern);
		return true;
	}
	if (!imap_open(in))
		return false;
	l->patterns = arena_array(in->arena, IMAP_PATTERNS_MAX, sizeof(*l->patterns));
	for (int n = 0; more > 0; more = imap_more(in), n++) {
		if (n == IMAP_PATTERNS_MAX)
			return imap_list_fail(in, "Too many patterns");
		if (!imap_list_mailbox(in, &pattern))
			return false;
		add_pattern(in, l, reference, pattern);
	}
	return more == 0;
}

/* ---- options ------------------------------------------------------------------------------- */

/* list-select-opts						RFC 5258 3.1 */
static bool
parse_select(struct imap_in *in, struct imap_list *l)
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
		else if (!imap_word(in, "REMOTE"))
			return imap_list_fail(in, "Unknown LIST selection option");
	}
	if (l->recursive && !l->only_subscribed && !l->only_special)
		return imap_list_fail(in, "RECURSIVEMATCH needs another option");
	return more == 0;
}

/* list-return-opts						RFC 5258 3.2, RFC 5819 2 */
static bool
imap_list_parse_return(struct imap_in *in, const struct imap_status_item *table, size_t n,
    struct imap_list *l)
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
			if (!imap_space(in) || !imap_status_parse(in, table, n, &l->status))
				return false;
		} else if (imap_word(in, "MYRIGHTS")) { /* RFC 8440 */
			l->say_myrights = true;
		} else if (imap_word(in, "METADATA")) { /* RFC 9590 */
			if (l->metadata.n)              /* its entries would not be bounded */
				return imap_list_fail(in, "METADATA is there twice");
			if (!imap_space(in) || !imap_entries_parse(in, &l->metadata))
				return false;
		} else if (!imap_word(in, "CHILDREN") && !imap_word(in, "SPECIAL-USE")) {
			return imap_list_fail(in, "Unknown LIST return option");
		}
	}
	return more == 0;
}

bool
imap_list_parse(struct imap_in *in, const struct imap_status_item *table, size_t n,
    struct imap_list *l)
{
	struct slice reference;
	bool extended;

	*l = (struct imap_list){ 0 };
	if (!imap_space(in))
		return false;
	extended = imap_next_is(in, '(');
	if ((extended && (!parse_select(in, l) || !imap_space(in))) ||
	    !imap_astring(in, &reference) || !imap_space(in) || !parse_patterns(in, l, reference))
		return false;
	if (imap_char(in, ' ')) {
		extended = true;
		if (!imap_word(in, "RETURN"))
			return imap_list_fail(in, "RETURN expected");
		if (!imap_list_parse_return(in, table, n, l))
			return false;
	}
	/* Only the plain form asks for the root with an empty name (RFC 5258 3). */
	l->root = l->root && !extended;
	return imap_end(in);
}

bool
imap_lsub_parse(struct imap_in *in, struct imap_list *l)
{
	struct slice reference, pattern;

	*l = (struct imap_list){ 0 };
	l->patterns = arena_new(in->arena, sizeof(*l->patterns));
	if (!imap_space(in) || !imap_astring(in, &reference) || !imap_space(in) ||
	    !imap_list_mailbox(in, &pattern) || !imap_end(in))
		return false;
	add_pattern(in, l, reference, pattern);
	return true;
}
