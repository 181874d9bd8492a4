/* imap/search.c: the grammar of SEARCH, RFC 3501 6.4.4 and 9, RFC 4731 3.1, RFC 5182,
 * RFC 9394, RFC 7162 3.1.5.
 *
 * Pure; called by imapd with its table of keys.  What fails is the client's text; an unknown
 * charset is no error of grammar and is told apart.  Keys and their nesting are bounded, as the
 * parser calls itself.  Texts are folded here, once, and cheap keys are put first, because each
 * message meets them all. */
#include "imap/search.h"

#include "base/casemap.h"
#include "base/utf8.h"

#define KEYS_MAX 2000 /* in one command */

enum charset { ASCII, UTF8, LATIN1 };

struct parse {
	struct imap_in *in;
	struct imap_search *s;
	const struct imap_key_word *words;
	size_t nwords;
	enum charset charset;
};

static bool
imap_search_fail(struct imap_in *in, const char *why)
{
	if (!in->why)
		in->why = why;
	return false;
}

static struct imap_key *parse_key(struct parse *p);

static struct imap_key *
new_key(struct parse *p, enum imap_key_op op)
{
	struct imap_key *k;

	if (++p->s->nkeys > KEYS_MAX) {
		imap_search_fail(p->in, "Too many search keys");
		return NULL;
	}
	k = arena_new(p->in->arena, sizeof(*k));
	k->op = op;
	return k;
}

/* Puts `k` at the end of the children of `of`, whose last one `*last` is. */
static void
search_adopt(struct imap_key *of, struct imap_key **last, struct imap_key *k)
{
	if (*last)
		(*last)->next = k;
	else
		of->first = k;
	*last = k;
}

/* A string in the command's charset, as it is compared. */
static bool
parse_text(struct parse *p, struct slice *text)
{
	struct buf utf8 = { 0 }, folded = { 0 };
	struct slice s;

	if (!imap_space(p->in) || !imap_astring(p->in, &s))
		return false;
	if (p->charset == LATIN1)
		utf8_from_latin1(&utf8, s);
	else
		buf_slice(&utf8, s);
	casemap_search_to(&folded, buf_get(&utf8));
	*text = arena_slice(p->in->arena, buf_get(&folded));
	buf_fini(&utf8);
	buf_fini(&folded);
	return true;
}

/* [SP entry-name SP entry-type-req] SP mod-sequence-valzer			RFC 7162 3.1.5 */
static bool
parse_modseq(struct parse *p, struct imap_key *k)
{
	struct slice entry;

	p->s->modseq = true;
	if (!imap_space(p->in))
		return false;
	if (imap_next_is(p->in, '"')) {
		if (!imap_string(p->in, &entry) || !imap_space(p->in))
			return false;
		if (!imap_word(p->in, "ALL") && !imap_word(p->in, "SHARED") &&
		    !imap_word(p->in, "PRIV"))
			return imap_search_fail(p->in, "Bad MODSEQ entry type");
		if (!imap_space(p->in))
			return false;
	}
	return imap_modseq(p->in, &k->number);
}

static bool
parse_arg(struct parse *p, struct imap_key *k)
{
	uint32_t n;

	switch (k->word->arg) {
	case IMAP_ARG_NONE: return true;
	case IMAP_ARG_TEXT: return parse_text(p, &k->text);
	case IMAP_ARG_DAY: return imap_space(p->in) && imap_date(p->in, &k->day);
	case IMAP_ARG_NUMBER:
		if (!imap_space(p->in) || !imap_number(p->in, &n))
			return false;
		k->number = n;
		return true;
	case IMAP_ARG_SECONDS:
	case IMAP_ARG_UID:
		if (!imap_space(p->in) || !imap_nz_number(p->in, &n))
			return false;
		k->number = n;
		return true;
	case IMAP_ARG_KEYWORD: return imap_space(p->in) && imap_atom(p->in, &k->name);
	case IMAP_ARG_HEADER:
		return imap_space(p->in) && imap_astring(p->in, &k->name) &&
		    parse_text(p, &k->text);
	case IMAP_ARG_SET:
		if (!imap_space(p->in) || !imap_sequence(p->in, &k->set))
			return false;
		p->s->saved |= k->set.saved;
		return true;
	case IMAP_ARG_MODSEQ: return parse_modseq(p, k);
	case IMAP_ARG_OBJECTID: return imap_space(p->in) && imap_objectid(p->in, &k->name);
	}
	return false;
}

/* "(" search-key *(SP search-key) ")" */
static struct imap_key *
parse_group(struct parse *p)
{
	struct imap_key *and = new_key(p, IMAP_KEY_AND), *last = NULL;
	int more = 1;

	if (!and || !imap_open(p->in))
		return NULL;
	for (; more > 0; more = imap_more(p->in)) {
		struct imap_key *k = parse_key(p);

		if (!k)
			return NULL;
		search_adopt(and, &last, k);
	}
	return more == 0 ? and : NULL;
}

/* NOT and OR with their operands; both count as nesting. */
static struct imap_key *
parse_operator(struct parse *p, enum imap_key_op op)
{
	struct imap_key *k = new_key(p, op), *last = NULL;

	if (!k || ++p->in->depth > IMAP_DEPTH_MAX) {
		imap_search_fail(p->in, "Too deeply nested");
		return NULL;
	}
	for (int n = op == IMAP_KEY_OR ? 2 : 1; n > 0; n--) {
		struct imap_key *child = imap_space(p->in) ? parse_key(p) : NULL;

		if (!child)
			return NULL;
		search_adopt(k, &last, child);
	}
	p->in->depth--;
	return k;
}

static struct imap_key *
parse_key(struct parse *p)
{
	bool set = imap_next_is(p->in, '*') || imap_next_is(p->in, '$') ||
	    (p->in->s.n > 0 && p->in->s.p[0] >= '0' && p->in->s.p[0] <= '9');

	if (imap_next_is(p->in, '('))
		return parse_group(p);
	if (imap_word(p->in, "NOT"))
		return parse_operator(p, IMAP_KEY_NOT);
	if (imap_word(p->in, "OR"))
		return parse_operator(p, IMAP_KEY_OR);
	for (size_t i = 0; i < p->nwords; i++) {
		const struct imap_key_word *w = &p->words[i];
		struct imap_key *k;

		if (w->name ? !imap_word(p->in, w->name) : !set)
			continue;
		k = new_key(p, IMAP_KEY_WORD);
		if (!k)
			return NULL;
		k->word = w;
		k->cost = w->cost;
		if (w->name)
			return parse_arg(p, k) ? k : NULL;
		if (!imap_sequence(p->in, &k->set))
			return NULL;
		p->s->seqs = p->s->seqs || !k->set.saved;
		p->s->saved |= k->set.saved;
		return k;
	}
	imap_search_fail(p->in, "Unknown search key");
	return NULL;
}

/* "(" fetch-att *(SP fetch-att) ")", which the program will look at: up to the parenthesis that ends it. */
static bool
imap_search_take_atts(struct imap_in *in, struct slice *atts)
{
	bool quoted = false;
	size_t depth = 0, i = 0;

	do {
		char c = i < in->s.n ? in->s.p[i] : '\0';

		if (c == '\0' || c == '{' || c == '\r')
			return imap_search_fail(in, "Data items expected");
		quoted ^= c == '"';
		i += quoted && c == '\\';
		depth += !quoted && c == '(';
		depth -= !quoted && c == ')';
		i++;
	} while (depth > 0);
	*atts = slice_sub(in->s, 0, i);
	in->s = slice_from(in->s, i);
	return true;
}

/* "UPDATE" has been taken.						RFC 5267 4.3, RFC 5465 7 */
static bool
imap_search_parse_update(struct imap_in *in, struct imap_search *s)
{
	if (s->update)
		return imap_search_fail(in, "UPDATE once");
	s->update = true;
	if (slice_starts(in->s, S(" (")))
		(void)imap_char(in, ' ');
	return !imap_next_is(in, '(') || imap_search_take_atts(in, &s->update_atts);
}

/* RETURN "(" [option *(SP option)] ")" */
static bool
imap_search_parse_return(struct imap_in *in, struct imap_search *s)
{
	static const struct {
		const char *name;
		unsigned bit;
		/* clang-format off */
	} options[] = {
		{ "MIN", IMAP_RETURN_MIN }, { "MAX", IMAP_RETURN_MAX }, { "ALL", IMAP_RETURN_ALL },
		{ "COUNT", IMAP_RETURN_COUNT }, { "PARTIAL", IMAP_RETURN_PARTIAL },
		{ "SAVE", IMAP_RETURN_SAVE },
	};
	/* clang-format on */
	int more = 1;

	s->esearch = true;
	if (!imap_space(in) || !imap_open(in))
		return false;
	if (imap_next_is(in, ')'))
		more = imap_more(in);
	for (; more > 0; more = imap_more(in)) {
		size_t i = 0;

		if (imap_word(in, "CONTEXT")) /* RFC 5267 4.2: a hint */
			continue;
		if (imap_word(in, "UPDATE")) {
			if (!imap_search_parse_update(in, s))
				return false;
			continue;
		}
		while (i < NELEM(options) && !imap_word(in, options[i].name))
			i++;
		if (i == NELEM(options))
			return imap_search_fail(in, "Unknown RETURN option");
		/* RFC 9394 3.1: "MUST NOT contain more than one PARTIAL or ALL" */
		if (options[i].bit & (IMAP_RETURN_PARTIAL | IMAP_RETURN_ALL) &&
		    s->ret & (IMAP_RETURN_PARTIAL | IMAP_RETURN_ALL))
			return imap_search_fail(in, "PARTIAL or ALL, and once");
		if (options[i].bit == IMAP_RETURN_PARTIAL &&
		    (!imap_space(in) || !imap_partial_range(in, &s->partial)))
			return false;
		s->ret |= options[i].bit;
	}
	if (s->ret == 0)
		s->ret = IMAP_RETURN_ALL;
	return more == 0;
}

static bool
parse_charset(struct parse *p)
{
	static const struct {
		const char *name;
		enum charset charset;
		/* clang-format off */
	} charsets[] = {
		{ "US-ASCII", ASCII }, { "UTF-8", UTF8 }, { "ISO-8859-1", LATIN1 }, { "ASCII", ASCII },
		{ "UTF8", UTF8 }, { "LATIN1", LATIN1 },
	};
	/* clang-format on */
	struct slice name;

	if (!imap_space(p->in) || !imap_astring(p->in, &name))
		return false;
	for (size_t i = 0; i < NELEM(charsets); i++)
		if (slice_ieq(name, slice_str(charsets[i].name))) {
			p->charset = charsets[i].charset;
			return true;
		}
	p->s->bad_charset = true;
	return true;
}

static bool
parse_keys(struct parse *p)
{
	struct imap_key *last = NULL;

	p->s->key = new_key(p, IMAP_KEY_AND);
	do {
		struct imap_key *k = parse_key(p);

		if (!k)
			return false;
		search_adopt(p->s->key, &last, k);
	} while (imap_char(p->in, ' '));
	return imap_end(p->in);
}

bool
imap_search_parse_options(struct imap_in *in, struct imap_search *s)
{
	struct slice before = in->s;

	*s = (struct imap_search){ 0 };
	if (!imap_space(in))
		return false;
	if (imap_word(in, "RETURN"))
		return imap_search_parse_return(in, s);
	in->s = before;
	return true;
}

bool
imap_search_parse_program(struct imap_in *in, const struct imap_key_word *words, size_t nwords,
    struct imap_search *s)
{
	struct parse p = { .in = in, .s = s, .words = words, .nwords = nwords };

	return parse_charset(&p) && (s->bad_charset || (imap_space(in) && parse_keys(&p)));
}

bool
imap_search_parse(struct imap_in *in, const struct imap_key_word *words, size_t nwords,
    struct imap_search *s)
{
	struct parse p = { .in = in, .s = s, .words = words, .nwords = nwords };

	if (!imap_search_parse_options(in, s) || !imap_space(in))
		return false;
	s->charset = imap_word(in, "CHARSET");
	if (s->charset)
		return imap_search_parse_program(in, words, nwords, s);
	return parse_keys(&p);
}

void
imap_search_order(struct imap_key *k)
{
	struct imap_key *next, *i = k->first;

	if (k->op == IMAP_KEY_WORD)
		return;
	k->first = NULL;
	k->cost = 0;
	for (; i; i = next) {
		struct imap_key **at = &k->first;

		next = i->next;
		imap_search_order(i);
		while (*at && (*at)->cost <= i->cost)
			at = &(*at)->next;
		i->next = *at;
		*at = i;
		if (i->cost > k->cost)
			k->cost = i->cost;
	}
}
