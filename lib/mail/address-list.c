/* address-list.c: address lists of header fields, RFC 5322 3.4 and 4.4, leniently.
 *
 * One pass of tokens finds where an element ends and what it is; its pieces are then read
 * again by piece_text, which undoes quoting.  Each byte is looked at a bounded number of
 * times.  Nothing recurses: nested comments are a counter. */
#include "mail/address.h"

enum token { T_END, T_WORD, T_QUOTED, T_SPECIAL };

struct lexer {
	const char *at, *end;
	const char *token;    /* where the last token begins */
	struct slice text;    /* its text: a quoted string without its quotes */
	struct slice comment; /* the last comment met, without its parentheses */
	bool blank;           /* blanks or comments stood before the token */
};

/* What a character is where a word may stand; 0: part of one. */
enum { BLANK = 1, SPECIAL = 2, MARK = 4, BRACKET = 8 /* begins a literal, else part of a word */ };
static const unsigned char classes[256] = {
	[' '] = BLANK,
	['\t'] = BLANK,
	['\r'] = BLANK,
	['\n'] = BLANK,
	[','] = SPECIAL,
	[';'] = SPECIAL,
	[':'] = SPECIAL,
	['<'] = SPECIAL,
	['>'] = SPECIAL,
	['@'] = SPECIAL,
	['.'] = SPECIAL,
	['"'] = MARK,
	['('] = MARK,
	[')'] = MARK,
	['['] = BRACKET,
};

static inline unsigned
class_of(char c)
{
	return classes[(unsigned char)c];
}

/* lx->at is behind the "(". */
static void
skip_comment(struct lexer *lx)
{
	const char *from = lx->at;
	size_t depth = 1;

	for (; lx->at < lx->end; lx->at++) {
		if (*lx->at == '\\') {
			if (lx->at + 1 < lx->end)
				lx->at++;
		} else if (*lx->at == '(') {
			depth++;
		} else if (*lx->at == ')' && --depth == 0) {
			break;
		}
	}
	lx->comment = slice(from, (size_t)(lx->at - from));
	if (lx->at < lx->end)
		lx->at++;
}

static void
skip_blanks(struct lexer *lx)
{
	lx->blank = false;
	while (lx->at < lx->end) {
		if (*lx->at == '(') {
			lx->at++;
			skip_comment(lx);
		} else if (class_of(*lx->at) == BLANK || *lx->at == ')') {
			lx->at++;
		} else {
			return;
		}
		lx->blank = true;
	}
}

static enum token
address_list_next_token(struct lexer *lx)
{
	bool literal;

	skip_blanks(lx);
	lx->token = lx->at;
	if (lx->at == lx->end)
		return T_END;
	if (*lx->at == '"') {
		for (lx->at++; lx->at < lx->end && *lx->at != '"'; lx->at++)
			if (*lx->at == '\\' && lx->at + 1 < lx->end)
				lx->at++;
		lx->text = slice(lx->token + 1, (size_t)(lx->at - lx->token - 1));
		lx->at += lx->at < lx->end;
		return T_QUOTED;
	}
	if (class_of(*lx->at) == SPECIAL) {
		lx->text = slice(lx->at++, 1);
		return T_SPECIAL;
	}
	literal = *lx->at++ == '[';
	if (literal) {
		lx->at += slice_find(slice(lx->at, (size_t)(lx->end - lx->at)), ']');
		lx->at += lx->at < lx->end;
	} else {
		while (lx->at < lx->end && !(class_of(*lx->at) & (BLANK | SPECIAL | MARK)))
			lx->at++;
	}
	lx->text = slice(lx->token, (size_t)(lx->at - lx->token));
	return T_WORD;
}

/* Text of a quoted string or comment: backslashes and line ends go. */
static size_t
address_list_unquote(char *dst, struct slice s)
{
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '\\' && i + 1 < s.n)
			i++;
		if (s.p[i] != '\r' && s.p[i] != '\n')
			dst[n++] = s.p[i];
	}
	return n;
}

static bool
needs_unquote(struct slice s)
{
	return slice_find(s, '\\') < s.n || slice_find(s, '\r') < s.n || slice_find(s, '\n') < s.n;
}

static struct slice
quoted_text(struct slice s, struct arena *a)
{
	char *dst;

	if (!needs_unquote(s))
		return s;
	dst = arena_new(a, s.n);
	return slice(dst, address_list_unquote(dst, s));
}

/* The text that stands there as it shall be read, as most do: no quotes, comments and literals, in a
 * phrase single blanks, else none.  p NULL: it is not so. */
static struct slice
plain_piece(const char *from, const char *to, bool phrase)
{
	while (from < to && class_of(*from) == BLANK)
		from++;
	while (from < to && class_of(to[-1]) == BLANK)
		to--;
	for (const char *p = from; p < to; p++) {
		unsigned class = class_of(*p);

		if (class & (MARK | BRACKET) ||
		    (class == BLANK && !(phrase && *p == ' ' && class_of(p[1]) != BLANK)))
			return slice(NULL, 0);
	}
	return slice(from, (size_t)(to - from));
}

/* The text between two positions: of a phrase, where blanks count as one, or of a part of an
 * address, where they do not count.  Not longer than the source: borrowed when it is one
 * token. */
static struct slice
piece_text(const char *from, const char *to, bool phrase, struct arena *a)
{
	struct lexer lx = { .at = from, .end = to };
	struct slice first = plain_piece(from, to, phrase);
	enum token t;
	bool quoted;
	char *dst;
	size_t n = 0;

	if (first.n > 0)
		return first;
	t = address_list_next_token(&lx);
	first = lx.text;
	quoted = t == T_QUOTED;
	if (t == T_END)
		return slice(from, 0);
	if (address_list_next_token(&lx) == T_END)
		return quoted ? quoted_text(first, a) : first;
	dst = arena_new(a, (size_t)(to - from));
	lx = (struct lexer){ .at = from, .end = to };
	while ((t = address_list_next_token(&lx)) != T_END) {
		if (phrase && lx.blank && n > 0)
			dst[n++] = ' ';
		if (t == T_QUOTED) {
			n += address_list_unquote(dst + n, lx.text);
		} else {
			memcpy(dst + n, lx.text.p, lx.text.n);
			n += lx.text.n;
		}
	}
	return slice(dst, n);
}

struct list_build {
	struct address_list *list;
	struct arena *a;
	size_t room;
};

static struct address_item *
add_item(struct list_build *lb, enum address_kind kind)
{
	struct address_list *l = lb->list;
	struct address_item *it;

	if (l->n == lb->room) {
		size_t room = lb->room ? lb->room * 2 : 4;

		it = arena_array(lb->a, room, sizeof(*it));
		if (l->n)
			memcpy(it, l->items, l->n * sizeof(*it));
		l->items = it;
		lb->room = room;
	}
	it = &l->items[l->n++];
	*it = (struct address_item){ .kind = kind };
	return it;
}

/* local@domain between two positions; `sign` is the last "@" or NULL. */
static void
set_mailbox(struct address_item *it, const char *from, const char *sign, const char *to,
    struct arena *a)
{
	if (!sign) {
		it->mailbox = piece_text(from, to, true, a);
		return;
	}
	it->mailbox = piece_text(from, sign, false, a);
	it->host = piece_text(sign + 1, to, false, a);
}

/* Behind "<".  Stops behind ">", or in front of what can only be the next element. */
static void
parse_angle(struct lexer *lx, struct address_item *it, struct arena *a)
{
	const char *from = lx->at, *sign = NULL, *to = lx->end;
	bool first = true, route = false;

	while (address_list_next_token(lx) != T_END) {
		char c = *lx->token;

		if (c == '>' || ((c == ',' || c == ';') && !route)) {
			to = lx->token;
			if (c != '>')
				lx->at = lx->token;
			break;
		}
		if (c == '<') { /* "<<a@b>>" */
			from = lx->at;
			sign = NULL;
			route = false;
			first = true;
			continue;
		}
		if (c == '@') {
			sign = lx->token;
			route |= first;
		} else if (c == ':' && route) {
			it->route = piece_text(from, lx->token, false, a);
			from = lx->at;
			sign = NULL;
			route = false;
		}
		first = false;
	}
	set_mailbox(it, from, sign, to, a);
}

/* One element of the list from lx->at on; returns the character that ended it, or NUL. */
static char
parse_element(struct lexer *lx, struct list_build *lb, bool group)
{
	const char *from = lx->at, *sign = NULL;
	struct address_item *it = NULL;
	bool any = false;
	enum token t;
	char c = '\0';

	lx->comment = slice(NULL, 0);
	while ((t = address_list_next_token(lx)) != T_END) {
		c = t == T_SPECIAL ? *lx->token : 'x';
		if (c == ',' || c == ';')
			break;
		if (it)
			continue; /* rubbish behind "<...>" */
		if (c == '<') {
			it = add_item(lb, ADDRESS_MAILBOX);
			it->name = piece_text(from, lx->token, true, lb->a);
			parse_angle(lx, it, lb->a);
			continue;
		}
		if (c == ':' && !group && any && !sign) {
			it = add_item(lb, ADDRESS_GROUP_START);
			it->mailbox = piece_text(from, lx->token, true, lb->a);
			return ':';
		}
		if (c == '@')
			sign = lx->token;
		any |= c != '>';
	}
	if (!it && any) {
		it = add_item(lb, ADDRESS_MAILBOX);
		set_mailbox(it, from, sign, lx->token, lb->a);
	}
	if (it && it->name.n == 0 && lx->comment.n > 0)
		it->name = quoted_text(slice_trim(lx->comment), lb->a);
	return t == T_END ? '\0' : c;
}

void
address_list_parse(struct slice value, size_t max, struct arena *a, struct address_list *list)
{
	struct lexer lx = { .at = value.p, .end = value.p + value.n };
	struct list_build lb = { .list = list, .a = a };
	bool group = false;
	char c;

	*list = (struct address_list){ 0 };
	if (value.n == 0)
		return;
	do {
		if (list->n >= max) {
			skip_blanks(&lx);
			list->cut = lx.at < lx.end;
			break;
		}
		c = parse_element(&lx, &lb, group);
		if (c == ':') {
			group = true;
		} else if (c == ';' && group) {
			(void)add_item(&lb, ADDRESS_GROUP_END);
			group = false;
		}
	} while (c != '\0');
	if (group)
		(void)add_item(&lb, ADDRESS_GROUP_END); /* IMAP wants pairs, whatever happened */
}
