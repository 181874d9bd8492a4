/* imap/search.c: the grammar of SEARCH, RFC 3501 6.4.4 and 9, RFC 4731 3.1, RFC 7162 3.1.5. */
#include "imap/search.h"

#include "base/utf8.h"
#include "imap/cache.h"

#define KEYS_MAX 2000 /* in one command */

enum charset { ASCII, UTF8, LATIN1 };

struct parse {
	struct imap_in *in;
	struct imap_search *s;
	enum charset charset;
	unsigned nkeys;
};

enum arg { NONE, TEXT, DAY, NUMBER, KEYWORD, HEADER, SET, MODSEQ };

static const struct word {
	const char *name;
	enum imap_key_op op;
	enum arg arg;
	unsigned bits; /* flags, or the field of IMAP_KEY_FIELD */
} words[] = {
	{ "ALL", IMAP_KEY_ALL, NONE, 0 },
	{ "ANSWERED", IMAP_KEY_FLAGS, NONE, IMAP_ANSWERED },
	{ "BCC", IMAP_KEY_FIELD, TEXT, IMAP_BCC },
	{ "BEFORE", IMAP_KEY_BEFORE, DAY, 0 },
	{ "BODY", IMAP_KEY_BODY, TEXT, 0 },
	{ "CC", IMAP_KEY_FIELD, TEXT, IMAP_CC },
	{ "DELETED", IMAP_KEY_FLAGS, NONE, IMAP_DELETED },
	{ "DRAFT", IMAP_KEY_FLAGS, NONE, IMAP_DRAFT },
	{ "FLAGGED", IMAP_KEY_FLAGS, NONE, IMAP_FLAGGED },
	{ "FROM", IMAP_KEY_FIELD, TEXT, IMAP_FROM },
	{ "HEADER", IMAP_KEY_HEADER, HEADER, 0 },
	{ "KEYWORD", IMAP_KEY_KEYWORD, KEYWORD, 0 },
	{ "LARGER", IMAP_KEY_LARGER, NUMBER, 0 },
	{ "MODSEQ", IMAP_KEY_MODSEQ, MODSEQ, 0 },
	{ "NEW", IMAP_KEY_NEW, NONE, 0 },
	{ "OLD", IMAP_KEY_OLD, NONE, 0 },
	{ "ON", IMAP_KEY_ON, DAY, 0 },
	{ "RECENT", IMAP_KEY_RECENT, NONE, 0 },
	{ "SEEN", IMAP_KEY_FLAGS, NONE, IMAP_SEEN },
	{ "SENTBEFORE", IMAP_KEY_SENTBEFORE, DAY, 0 },
	{ "SENTON", IMAP_KEY_SENTON, DAY, 0 },
	{ "SENTSINCE", IMAP_KEY_SENTSINCE, DAY, 0 },
	{ "SINCE", IMAP_KEY_SINCE, DAY, 0 },
	{ "SMALLER", IMAP_KEY_SMALLER, NUMBER, 0 },
	{ "SUBJECT", IMAP_KEY_FIELD, TEXT, IMAP_SUBJECT },
	{ "TEXT", IMAP_KEY_TEXT, TEXT, 0 },
	{ "TO", IMAP_KEY_FIELD, TEXT, IMAP_TO },
	{ "UID", IMAP_KEY_UID, SET, 0 },
	{ "UNANSWERED", IMAP_KEY_NOFLAGS, NONE, IMAP_ANSWERED },
	{ "UNDELETED", IMAP_KEY_NOFLAGS, NONE, IMAP_DELETED },
	{ "UNDRAFT", IMAP_KEY_NOFLAGS, NONE, IMAP_DRAFT },
	{ "UNFLAGGED", IMAP_KEY_NOFLAGS, NONE, IMAP_FLAGGED },
	{ "UNKEYWORD", IMAP_KEY_UNKEYWORD, KEYWORD, 0 },
	{ "UNSEEN", IMAP_KEY_NOFLAGS, NONE, IMAP_SEEN },
};

static bool
fail(struct imap_in *in, const char *why)
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

	if (++p->nkeys > KEYS_MAX) {
		fail(p->in, "Too many search keys");
		return NULL;
	}
	k = arena_new(p->in->arena, sizeof(*k));
	k->op = op;
	k->cost = op >= IMAP_KEY_AND ? 0 : op >= IMAP_KEY_HEADER ? 2 : op >= IMAP_KEY_SENTBEFORE;
	return k;
}

/* Puts `k` into the children of `of`, behind those that cost no more. */
static void
adopt(struct imap_key *of, struct imap_key *k)
{
	struct imap_key **at = &of->first;

	while (*at && (*at)->cost <= k->cost)
		at = &(*at)->next;
	k->next = *at;
	*at = k;
	if (k->cost > of->cost)
		of->cost = k->cost;
}

/* A string in the command's charset as folded UTF-8. */
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
	utf8_fold_to(&folded, buf_get(&utf8));
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
			return fail(p->in, "Bad MODSEQ entry type");
		if (!imap_space(p->in))
			return false;
	}
	return imap_modseq(p->in, &k->number);
}

/* HEADER SP field SP string; the common fields are in the cache. */
static bool
parse_header(struct parse *p, struct imap_key *k)
{
	static const char *const cached[IMAP_FIELDS] = {
		[IMAP_SUBJECT] = "subject", [IMAP_FROM] = "from", [IMAP_TO] = "to",
		[IMAP_CC] = "cc", [IMAP_BCC] = "bcc",
	};

	if (!imap_space(p->in) || !imap_astring(p->in, &k->name) || !parse_text(p, &k->text))
		return false;
	if (k->text.n == 0) /* asks whether the field is there at all: the file knows */
		return true;
	for (size_t i = 0; i < NELEM(cached); i++)
		if (cached[i] && slice_ieq(k->name, slice_str(cached[i]))) {
			k->op = IMAP_KEY_FIELD;
			k->field = (int)i;
			k->cost = 1;
		}
	return true;
}

static bool
parse_arg(struct parse *p, struct imap_key *k, const struct word *w)
{
	uint32_t n;

	switch (w->arg) {
	case NONE:
		k->bits = w->bits;
		return true;
	case TEXT:
		k->field = (int)w->bits;
		return parse_text(p, &k->text);
	case DAY:
		return imap_space(p->in) && imap_date(p->in, &k->day);
	case NUMBER:
		if (!imap_space(p->in) || !imap_number(p->in, &n))
			return false;
		k->number = n;
		return true;
	case KEYWORD:
		return imap_space(p->in) && imap_atom(p->in, &k->name);
	case HEADER:
		return parse_header(p, k);
	case SET:
		return imap_space(p->in) && imap_sequence(p->in, &k->set);
	case MODSEQ:
		return parse_modseq(p, k);
	}
	return false;
}

/* "(" search-key *(SP search-key) ")" */
static struct imap_key *
parse_group(struct parse *p)
{
	struct imap_key *and = new_key(p, IMAP_KEY_AND);
	int more = 1;

	if (!and || !imap_open(p->in))
		return NULL;
	for (; more > 0; more = imap_more(p->in)) {
		struct imap_key *k = parse_key(p);

		if (!k)
			return NULL;
		adopt(and, k);
	}
	return more == 0 ? and : NULL;
}

/* NOT and OR with their operands; both count as nesting. */
static struct imap_key *
parse_operator(struct parse *p, enum imap_key_op op)
{
	struct imap_key *k = new_key(p, op);

	if (!k || ++p->in->depth > IMAP_DEPTH_MAX) {
		fail(p->in, "Too deeply nested");
		return NULL;
	}
	for (int n = op == IMAP_KEY_OR ? 2 : 1; n > 0; n--) {
		struct imap_key *child = imap_space(p->in) ? parse_key(p) : NULL;

		if (!child)
			return NULL;
		adopt(k, child);
	}
	p->in->depth--;
	return k;
}

static struct imap_key *
parse_key(struct parse *p)
{
	struct imap_key *k;

	if (imap_next_is(p->in, '('))
		return parse_group(p);
	if (imap_next_is(p->in, '*') ||
	    (p->in->s.n > 0 && p->in->s.p[0] >= '0' && p->in->s.p[0] <= '9')) {
		k = new_key(p, IMAP_KEY_SEQ);
		return k && imap_sequence(p->in, &k->set) ? k : NULL;
	}
	if (imap_word(p->in, "NOT"))
		return parse_operator(p, IMAP_KEY_NOT);
	if (imap_word(p->in, "OR"))
		return parse_operator(p, IMAP_KEY_OR);
	for (size_t i = 0; i < NELEM(words); i++)
		if (imap_word(p->in, words[i].name)) {
			k = new_key(p, words[i].op);
			return k && parse_arg(p, k, &words[i]) ? k : NULL;
		}
	fail(p->in, "Unknown search key");
	return NULL;
}

/* RETURN "(" [option *(SP option)] ")" */
static bool
parse_return(struct imap_in *in, struct imap_search *s)
{
	static const struct {
		const char *name;
		unsigned bit;
	} options[] = {
		{ "MIN", IMAP_RETURN_MIN }, { "MAX", IMAP_RETURN_MAX }, { "ALL", IMAP_RETURN_ALL },
		{ "COUNT", IMAP_RETURN_COUNT },
	};
	int more = 1;

	s->esearch = true;
	if (!imap_space(in) || !imap_open(in))
		return false;
	if (imap_next_is(in, ')'))
		more = imap_more(in);
	for (; more > 0; more = imap_more(in)) {
		size_t i = 0;

		while (i < NELEM(options) && !imap_word(in, options[i].name))
			i++;
		if (i == NELEM(options))
			return fail(in, "Unknown RETURN option");
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
	} charsets[] = {
		{ "US-ASCII", ASCII }, { "UTF-8", UTF8 }, { "ISO-8859-1", LATIN1 }, { "ASCII", ASCII },
		{ "UTF8", UTF8 }, { "LATIN1", LATIN1 },
	};
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

bool
imap_search_parse(struct imap_in *in, struct imap_search *s)
{
	struct parse p = { .in = in, .s = s };

	*s = (struct imap_search){ 0 };
	s->key = new_key(&p, IMAP_KEY_AND);
	if (!imap_space(in))
		return false;
	if (imap_word(in, "RETURN") && (!parse_return(in, s) || !imap_space(in)))
		return false;
	if (imap_word(in, "CHARSET")) {
		if (!parse_charset(&p))
			return false;
		if (s->bad_charset)
			return true;
		if (!imap_space(in))
			return false;
	}
	do {
		struct imap_key *k = parse_key(&p);

		if (!k)
			return false;
		adopt(s->key, k);
	} while (imap_char(in, ' '));
	return imap_end(in);
}
