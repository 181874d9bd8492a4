/* imap/list.c: LIST, LSUB, STATUS: their grammar and the patterns. */
#include "imap/list.h"

#include "base/buf.h"

const char *const imap_status_names[IMAP_STATUS_ITEMS] = { "MESSAGES", "RECENT", "UIDNEXT",
	"UIDVALIDITY", "UNSEEN", "HIGHESTMODSEQ", "APPENDLIMIT", "SIZE" };

static bool
fail(struct imap_in *in, const char *why)
{
	if (!in->why)
		in->why = why;
	return false;
}

bool
imap_status_parse(struct imap_in *in, unsigned *items)
{
	int more = 1;

	*items = 0;
	if (!imap_open(in))
		return false;
	for (; more > 0; more = imap_more(in)) {
		size_t i = 0;

		while (i < IMAP_STATUS_ITEMS && !imap_word(in, imap_status_names[i]))
			i++;
		if (i == IMAP_STATUS_ITEMS)
			return fail(in, "Unknown STATUS item");
		*items |= 1u << i;
	}
	return more == 0;
}

/* ---- patterns ---------------------------------------------------------------------------- */

/* All positions in the pattern that the name may have reached are followed at once. */
bool
imap_pattern_matches(struct slice pattern, struct slice name, bool fold)
{
	bool now[IMAP_PATTERN_MAX + 1] = { true }, next[IMAP_PATTERN_MAX + 1];

	if (pattern.n > IMAP_PATTERN_MAX)
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
			if (p == '*' || (p == '%' && c != '/'))
				next[i] = true;
			else if (p == c || (fold && ascii_lower(p) == ascii_lower(c)))
				next[i + 1] = true;
		}
		memcpy(now, next, pattern.n + 1);
	}
}

/* Reference and pattern become one pattern; one that cannot be a name matches nothing. */
static void
add_pattern(struct imap_in *in, struct imap_list *l, struct slice reference,
    struct slice pattern)
{
	struct buf b = { 0 };
	struct slice name;

	buf_slice(&b, reference);
	buf_slice(&b, pattern);
	if (!l->patterns)
		l->patterns = arena_array(in->arena, IMAP_PATTERNS_MAX, sizeof(*l->patterns));
	if (imap_mailbox_name(in->arena, buf_get(&b), &name))
		l->patterns[l->npatterns++] = name;
	buf_fini(&b);
}

/* mbox-or-pat							RFC 5258 6 */
static bool
parse_patterns(struct imap_in *in, struct imap_list *l, struct slice reference)
{
	struct slice pattern;
	int more = 1;

	if (!imap_next_is(in, '(')) {
		if (!imap_list_mailbox(in, &pattern))
			return false;
		l->root = pattern.n == 0;
		add_pattern(in, l, reference, pattern);
		return true;
	}
	if (!imap_open(in))
		return false;
	for (int n = 0; more > 0; more = imap_more(in), n++) {
		if (n == IMAP_PATTERNS_MAX)
			return fail(in, "Too many patterns");
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
			return fail(in, "Unknown LIST selection option");
	}
	if (l->recursive && !l->only_subscribed && !l->only_special)
		return fail(in, "RECURSIVEMATCH needs another option");
	return more == 0;
}

/* list-return-opts						RFC 5258 3.2, RFC 5819 2 */
static bool
parse_return(struct imap_in *in, struct imap_list *l)
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
			if (!imap_space(in) || !imap_status_parse(in, &l->status))
				return false;
		} else if (!imap_word(in, "CHILDREN") && !imap_word(in, "SPECIAL-USE")) {
			return fail(in, "Unknown LIST return option");
		}
	}
	return more == 0;
}

bool
imap_list_parse(struct imap_in *in, struct imap_list *l)
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
			return fail(in, "RETURN expected");
		if (!parse_return(in, l))
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
	if (!imap_space(in) || !imap_astring(in, &reference) || !imap_space(in) ||
	    !imap_list_mailbox(in, &pattern) || !imap_end(in))
		return false;
	add_pattern(in, l, reference, pattern);
	return true;
}
