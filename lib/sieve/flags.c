/* flags.c: IMAP flags and keywords (RFC 5232).
 *
 * A list of flags is a set without regard to case; in a variable it is their names with blanks between
 * (2).  The variable that has no name is kept as the set itself, and is what an action without
 * :flags gives its message (4). */
#include "sieve/sieve-impl.h"

struct flag_set {
	struct slice *flags;
	size_t n, room;
};

static size_t
flag_find(const struct flag_set *s, struct slice flag)
{
	size_t i = 0;

	while (i < s->n && !slice_ieq(s->flags[i], flag))
		i++;
	return i;
}

/* IMAP's own flags, as far as somebody can set them. */
static bool
flag_of_system(struct slice flag)
{
	static const char *const names[] = { "\\Answered", "\\Flagged", "\\Deleted", "\\Seen",
		"\\Draft" };

	for (size_t i = 0; i < NELEM(names); i++)
		if (slice_ieq(flag, slice_str(names[i])))
			return true;
	return false;
}

/* A name of a flag: one of the system's, or an atom of ASCII (RFC 5232 2, RFC 3501 9). */
static bool
flag_valid(struct slice flag)
{
	if (flag.n && flag.p[0] == '\\')
		return flag_of_system(flag);
	for (size_t k = 0; k < flag.n; k++)
		if ((unsigned char)flag.p[k] <= 0x20 || (unsigned char)flag.p[k] >= 0x7f ||
		    strchr("(){%*\"\\]", flag.p[k]))
			return false;
	return flag.n;
}

static void
flag_add(struct sieve_run *r, struct flag_set *s, struct slice flag)
{
	if (!flag_valid(flag) || !sieve_spend(r, NULL, 1 + s->n / 8) || flag_find(s, flag) < s->n)
		return;
	if (s->n == s->room) {
		struct slice *more =
		    arena_array(r->arena, s->room = s->room ? s->room * 2 : 8, sizeof(*more));

		if (s->n)
			memcpy(more, s->flags, s->n * sizeof(*more));
		s->flags = more;
	}
	s->flags[s->n++] = flag;
}

static void
flag_remove(struct sieve_run *r, struct flag_set *s, struct slice flag)
{
	size_t at = flag_find(s, flag);

	if (!sieve_spend(r, NULL, 1 + s->n / 8) || at == s->n)
		return;
	memmove(&s->flags[at], &s->flags[at + 1], (s->n - at - 1) * sizeof(*s->flags));
	s->n--;
}

/* Each flag of a text to a function. */
static void
flag_words(struct sieve_run *r, struct flag_set *s, struct slice text,
    void (*each)(struct sieve_run *, struct flag_set *, struct slice))
{
	for (struct slice word; slice_word(&text, &word);)
		each(r, s, word);
}

static void
flag_lists(struct sieve_run *r, struct flag_set *s, const struct sieve_arg *list,
    void (*each)(struct sieve_run *, struct flag_set *, struct slice))
{
	for (size_t i = 0; i < list->n; i++)
		flag_words(r, s, sieve_expand(r, &list->items[i]), each);
}

/* As many of them as a variable can have. */
static struct slice
flag_text(struct sieve_run *r, const struct flag_set *s)
{
	struct buf b = { 0 };
	struct slice text;

	for (size_t i = 0; i < s->n && b.n + 1 + s->flags[i].n <= r->limits->string_bytes; i++) {
		if (i)
			buf_char(&b, ' ');
		buf_slice(&b, s->flags[i]);
	}
	text = b.n ? arena_slice(r->arena, buf_get(&b)) : S("");
	buf_fini(&b);
	return text;
}

/* ---- the variable: the one that is named, or the internal one ------------------------------------------------ */

/* A copy: actions keep what they have been given. */
static struct flag_set
flags_load(struct sieve_run *r, const struct sieve_call *c)
{
	struct flag_set s = { 0 };

	if (sieve_arg(c, 0))
		flag_words(r, &s, sieve_variable_get(r, c->number), flag_add);
	else
		for (size_t i = 0; i < r->nflags; i++)
			flag_add(r, &s, r->flags[i]);
	return s;
}

static bool
flags_store(struct sieve_run *r, const struct sieve_call *c, const struct flag_set *s)
{
	struct slice text = flag_text(r, s);

	sieve_note(r, text);
	if (sieve_arg(c, 0)) {
		sieve_variable_set(r, c->number, text);
		return true;
	}
	r->flags = s->flags;
	r->nflags = s->n;
	r->flags_set = true;
	return true;
}

void
sieve_flags_internal(struct sieve_run *r, struct sieve_action *a)
{
	a->flagged = r->flags_set;
	a->flags = r->flags;
	a->nflags = r->nflags;
}

void
sieve_flags_given(struct sieve_run *r, const struct sieve_call *c, struct sieve_action *a)
{
	struct flag_set s = { 0 };

	flag_lists(r, &s, sieve_arg(c, SIEVE_SLOT_FLAGS), flag_add);
	a->flagged = true;
	a->flags = s.flags;
	a->nflags = s.n;
}

/* ---- setflag, addflag, removeflag: 3 ---------------------------------------------------------------------------- */

static bool
flag_check(struct sieve_compiler *c, struct sieve_call *call)
{
	int index;

	if (!call->args[0].given)
		return true;
	if (!sieve_required(c, "variables"))
		return sieve_wrong_arg(c, &call->args[0],
		    "%s: a variable needs require \"variables\"", call->word->name);
	index = sieve_variable(c, &call->args[0], call->args[0].items[0].text);
	call->number = (uint32_t)index;
	return index >= 0;
}

static bool
setflag_run(struct sieve_run *r, const struct sieve_call *c)
{
	struct flag_set s = { 0 };

	flag_lists(r, &s, sieve_arg(c, 1), flag_add);
	return flags_store(r, c, &s);
}

static bool
addflag_run(struct sieve_run *r, const struct sieve_call *c)
{
	struct flag_set s = flags_load(r, c);

	flag_lists(r, &s, sieve_arg(c, 1), flag_add);
	return flags_store(r, c, &s);
}

static bool
removeflag_run(struct sieve_run *r, const struct sieve_call *c)
{
	struct flag_set s = flags_load(r, c);

	flag_lists(r, &s, sieve_arg(c, 1), flag_remove);
	return flags_store(r, c, &s);
}

/* ---- hasflag: 4 ------------------------------------------------------------------------------------------------- */

/* The variables that are looked at, in a call's data. */
struct flag_names {
	size_t n;
	uint32_t index[];
};

static bool
hasflag_check(struct sieve_compiler *c, struct sieve_call *call)
{
	const struct sieve_arg *names = &call->args[0];
	struct flag_names *f;

	if (!names->given)
		return true;
	if (!sieve_required(c, "variables"))
		return sieve_wrong_arg(c, names, "hasflag: variables need require \"variables\"");
	f = arena_new(sieve_compiler_arena(c), sizeof(*f) + names->n * sizeof(f->index[0]));
	for (f->n = 0; f->n < names->n; f->n++) {
		int index = sieve_variable(c, names, names->items[f->n].text);

		if (index < 0)
			return false;
		f->index[f->n] = (uint32_t)index;
	}
	call->data = f;
	return true;
}

/* A key with blanks is a list of flags too (2): each word becomes a key. */
static struct sieve_arg
hasflag_keys(struct sieve_run *r, const struct sieve_arg *keys)
{
	struct sieve_arg split = *keys;
	size_t words = 0;

	for (size_t i = 0; i < keys->n; i++)
		for (struct slice rest = sieve_expand(r, &keys->items[i]), w;
		     slice_word(&rest, &w);)
			words++;
	if (words <= keys->n)
		return split;
	split.items = arena_array(r->arena, words, sizeof(*split.items));
	split.n = 0;
	for (size_t i = 0; i < keys->n; i++)
		for (struct slice rest = sieve_expand(r, &keys->items[i]), w;
		     slice_word(&rest, &w);)
			split.items[split.n++].text = w;
	return split;
}

/* True: one has matched. */
static bool
hasflag_set(struct sieve_matching *m, const struct slice *flags, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (sieve_match_text(m, flags[i]))
			return true;
	return false;
}

/* Each variable is a set of its own: what several have is counted several times (4). */
static bool
hasflag_run(struct sieve_run *r, const struct sieve_call *c)
{
	const struct flag_names *f = c->data;
	struct sieve_arg keys = hasflag_keys(r, sieve_arg(c, 1));
	struct sieve_matching m;

	sieve_match_begin(&m, r, c);
	m.keys = &keys;
	if (!f)
		hasflag_set(&m, r->flags, r->nflags);
	for (size_t i = 0; f && i < f->n; i++) {
		struct flag_set s = { 0 };

		flag_words(r, &s, sieve_variable_get(r, f->index[i]), flag_add);
		if (hasflag_set(&m, s.flags, s.n))
			break;
	}
	return sieve_match_end(&m);
}

static const struct sieve_tag *const hasflag_tags[] = { sieve_tags_match, NULL };

const struct sieve_word sieve_words_flags[] = {
	{ "setflag", SIEVE_COMMAND, "imap4flags", "?Sl", NULL, -1, .check = flag_check,
	    .run = setflag_run },
	{ "addflag", SIEVE_COMMAND, "imap4flags", "?Sl", NULL, -1, .check = flag_check,
	    .run = addflag_run },
	{ "removeflag", SIEVE_COMMAND, "imap4flags", "?Sl", NULL, -1, .check = flag_check,
	    .run = removeflag_run },
	{ "hasflag", SIEVE_TEST, "imap4flags", "?Ll", hasflag_tags, 1, .check = hasflag_check,
	    .run = hasflag_run },
	{ .name = NULL },
};
