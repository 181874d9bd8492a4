/* managesieve/reader.c: see managesieve/reader.h.
 *
 * Owns the words of one command.  Called by servers with what a stranger has sent, so each octet costs the same
 * and is looked at once.  Nothing can fail but what he says.  Must stay true: a length that he announces is
 * compared before it is added to anything; and a command that is wrong is passed over with its literals, which
 * would else be taken for commands. */
#include "managesieve/reader.h"

#include "base/secret.h"

enum msieve_state {
	MSIEVE_BETWEEN, /* words */
	MSIEVE_ATOM,
	MSIEVE_QUOTED,
	MSIEVE_PAIR, /* behind a backslash */
	MSIEVE_COUNT,
	MSIEVE_PLUS,   /* behind the count's plus */
	MSIEVE_CLOSED, /* behind the closing brace */
	MSIEVE_CR,     /* behind that one's CR */
	MSIEVE_LITERAL,
	MSIEVE_END_CR /* behind a CR between words */
};

/* A word begins, if there is room for one more. */
static void
msieve_begin(struct managesieve_reader *r, bool string)
{
	if (r->n == MANAGESIEVE_WORDS) {
		r->wrong = true;
		return;
	}
	r->string[r->n] = string;
	r->begin[r->n] = r->end[r->n] = r->b.n;
	r->n++;
}

/* Octets of the word that is being read. */
static void
msieve_add(struct managesieve_reader *r, const char *p, size_t n)
{
	size_t *end = &r->end[r->n - 1];

	if (r->wrong || r->large)
		return;
	if (n > r->most - r->b.n) {
		r->large = true;
		r->b.n = *end = r->begin[r->n - 1];
		return;
	}
	buf_add(&r->b, p, n);
	*end = r->b.n;
}

/* Digits, then a plus or not, then the brace; true when it is a line's end instead. */
static bool
msieve_count(struct managesieve_reader *r, char c)
{
	if (c >= '0' && c <= '9') {
		r->counted = true;
		if (r->left <= MANAGESIEVE_SKIP)
			r->left = r->left * 10 + (uint64_t)(c - '0');
	} else if (r->counted && (c == '+' || c == '}')) {
		r->state = c == '+' ? MSIEVE_PLUS : MSIEVE_CLOSED;
	} else {
		r->wrong = true; /* no literal follows */
		r->state = MSIEVE_BETWEEN;
	}
	return c == '\n';
}

/* One octet outside of literals; true when it has ended the command. */
static bool
msieve_octet(struct managesieve_reader *r, char c)
{
	bool end = false;

	if (r->state == MSIEVE_ATOM) {
		if (c != ' ' && c != '\t' && c != '\r' && c != '\n' && c != '"' && c != '{') {
			r->wrong |= c == '\0';
			msieve_add(r, &c, 1);
			return false;
		}
		r->state = MSIEVE_BETWEEN;
	}
	switch ((enum msieve_state)r->state) {
	case MSIEVE_ATOM: break;
	case MSIEVE_BETWEEN:
		if (c == '\n') {
			end = true;
		} else if (c == '\r') {
			r->state = MSIEVE_END_CR;
		} else if (c == '"' || c == '{') {
			msieve_begin(r, true);
			r->left = 0;
			r->counted = false;
			r->state = c == '"' ? MSIEVE_QUOTED : MSIEVE_COUNT;
		} else if (c != ' ' && c != '\t') {
			msieve_begin(r, false);
			r->state = MSIEVE_ATOM;
			r->wrong |= c == '\0';
			msieve_add(r, &c, 1);
		}
		break;
	case MSIEVE_END_CR:
		r->wrong |= c != '\n';
		r->state = MSIEVE_BETWEEN;
		end = c == '\n';
		break;
	case MSIEVE_QUOTED:
		if (c == '"') {
			r->state = MSIEVE_BETWEEN;
		} else if (c == '\\') {
			r->state = MSIEVE_PAIR;
		} else if (c == '\r' || c == '\n' || c == '\0') {
			r->wrong = true;
			end = c == '\n';
		} else {
			msieve_add(r, &c, 1);
		}
		break;
	case MSIEVE_PAIR:
		r->wrong |= c != '"' && c != '\\';
		r->state = MSIEVE_QUOTED;
		msieve_add(r, &c, 1);
		end = c == '\n';
		break;
	case MSIEVE_COUNT: end = msieve_count(r, c); break;
	case MSIEVE_PLUS:
		r->wrong |= c != '}';
		r->state = c == '}' ? MSIEVE_CLOSED : MSIEVE_BETWEEN;
		end = c == '\n';
		break;
	case MSIEVE_CLOSED:
	case MSIEVE_CR:
		if (c == '\n') {
			r->state = MSIEVE_LITERAL;
		} else if (c == '\r' && r->state == MSIEVE_CLOSED) {
			r->state = MSIEVE_CR;
		} else {
			r->wrong = true; /* no literal, then */
			r->state = MSIEVE_BETWEEN;
		}
		break;
	case MSIEVE_LITERAL: break;
	}
	return end;
}

/* A piece of a literal; the octets taken. */
static size_t
msieve_literal(struct managesieve_reader *r, struct slice in)
{
	size_t n = in.n < r->left ? in.n : (size_t)r->left;

	/* A part of one that is too large need not be kept to know it. */
	if (!r->wrong && !r->large && r->left > r->most - r->b.n) {
		r->large = true;
		r->b.n = r->end[r->n - 1] = r->begin[r->n - 1];
	}
	if (r->wrong || r->large)
		r->skipped += n;
	else
		msieve_add(r, in.p, n);
	r->left -= n;
	if (r->left == 0)
		r->state = MSIEVE_BETWEEN;
	return n;
}

static enum managesieve_read
msieve_outcome(const struct managesieve_reader *r)
{
	return r->wrong ? MANAGESIEVE_WRONG : r->large ? MANAGESIEVE_LARGE : MANAGESIEVE_COMPLETE;
}

size_t
managesieve_reader_feed(struct managesieve_reader *r, struct slice in, enum managesieve_read *how)
{
	size_t at = 0;

	*how = MANAGESIEVE_PART;
	while (at < in.n || (r->state == MSIEVE_LITERAL && r->left == 0)) {
		if (r->state == MSIEVE_LITERAL) {
			at += msieve_literal(r, slice_from(in, at));
		} else if (msieve_octet(r, in.p[at++])) {
			*how = msieve_outcome(r);
			break;
		} else {
			r->line++;
		}
		if (r->line > MANAGESIEVE_LINE || r->left > MANAGESIEVE_SKIP ||
		    r->skipped > MANAGESIEVE_SKIP) {
			*how = MANAGESIEVE_FLOOD;
			break;
		}
	}
	return at;
}

struct slice
managesieve_reader_word(const struct managesieve_reader *r, size_t i)
{
	if (i >= r->n || r->end[i] == r->begin[i])
		return S("");
	return slice(r->b.p + r->begin[i], r->end[i] - r->begin[i]);
}

void
managesieve_reader_reset(struct managesieve_reader *r)
{
	size_t most = r->most;

	secret_clear(r->b.p, r->b.room);
	buf_fini(&r->b);
	*r = (struct managesieve_reader){ .most = most };
}
