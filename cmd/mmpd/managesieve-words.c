/* mmpd/managesieve-words.c: see managesieve-words.h.
 *
 * Owns nothing.  Called by managesieve.c with what a stranger has sent.  Nothing can fail but what he says.
 * Must stay true: what has not come is not looked at; a length that he announces is compared before it is
 * added to anything; the input is changed only when the command is complete, so that it can be read again. */
#include "managesieve-words.h"

#include <string.h>

#include "base/buf.h"

struct reader {
	char *in;
	size_t len, at;
};

/* Behind the opening quote, to behind the closing one. */
static enum managesieve_read
words_quoted(struct reader *r, struct slice *word)
{
	size_t begin = r->at;

	for (; r->at < r->len; r->at++) {
		char c = r->in[r->at];

		if (c == '"') {
			*word = (struct slice){ r->in + begin, r->at++ - begin };
			return MANAGESIEVE_COMPLETE;
		}
		if (c == '\\' && ++r->at == r->len)
			return MANAGESIEVE_PART;
		if (c == '\0' || c == '\r' || c == '\n' ||
		    (c == '\\' && r->at < r->len && r->in[r->at] != '"' && r->in[r->at] != '\\'))
			return MANAGESIEVE_WRONG;
	}
	return MANAGESIEVE_PART;
}

/* "{n+}" CRLF and n octets; without the plus as well, as some say it. */
static enum managesieve_read
words_literal(struct reader *r, struct slice *word)
{
	size_t end = r->at + slice_find((struct slice){ r->in + r->at, r->len - r->at }, '\n');
	struct slice count = { r->in + r->at, end - r->at };
	uint64_t n;

	if (end == r->len)
		return MANAGESIEVE_PART;
	count = slice_sub(count, 0, slice_find(count, '}'));
	if (r->at + count.n == end || end - r->at - count.n > 2 ||
	    (r->in[end - 1] != '}' && r->in[end - 1] != '\r'))
		return MANAGESIEVE_WRONG;
	if (count.n > 0 && count.p[count.n - 1] == '+')
		count.n--;
	if (slice_u64(count, MANAGESIEVE_COMMAND, &n) < 0)
		return MANAGESIEVE_TOO_LONG;
	r->at = end + 1;
	if (r->len - r->at < n)
		return MANAGESIEVE_PART;
	*word = (struct slice){ r->in + r->at, n };
	r->at += n;
	return MANAGESIEVE_COMPLETE;
}

static enum managesieve_read
words_atom(struct reader *r, struct slice *word)
{
	size_t begin = r->at;

	while (r->at < r->len && !strchr(" \t\r\n\"{", r->in[r->at]))
		r->at++;
	*word = (struct slice){ r->in + begin, r->at - begin };
	if (r->at == r->len)
		return MANAGESIEVE_PART;
	return word->n > 0 && !memchr(word->p, '\0', word->n) ? MANAGESIEVE_COMPLETE :
								MANAGESIEVE_WRONG;
}

static enum managesieve_read
words_one(struct reader *r, struct managesieve_words *w)
{
	struct slice word = S("");
	enum managesieve_read how;
	char c = r->in[r->at];
	bool string = c == '"' || c == '{';

	r->at += string;
	how = c == '"' ? words_quoted(r, &word) :
	    c == '{'   ? words_literal(r, &word) :
			 words_atom(r, &word);
	if (how != MANAGESIEVE_COMPLETE)
		return how;
	if (w->n == MANAGESIEVE_WORDS)
		return MANAGESIEVE_WRONG;
	w->string[w->n] = string;
	w->word[w->n++] = word;
	return MANAGESIEVE_COMPLETE;
}

static enum managesieve_read
words_all(struct reader *r, struct managesieve_words *w)
{
	enum managesieve_read how;

	for (;;) {
		while (r->at < r->len && (r->in[r->at] == ' ' || r->in[r->at] == '\t'))
			r->at++;
		if (r->at < r->len && r->in[r->at] == '\n') {
			r->at++;
			return MANAGESIEVE_COMPLETE;
		}
		if (r->at + 1 < r->len && r->in[r->at] == '\r' && r->in[r->at + 1] == '\n') {
			r->at += 2;
			return MANAGESIEVE_COMPLETE;
		}
		if (r->at == r->len || (r->at + 1 == r->len && r->in[r->at] == '\r'))
			return MANAGESIEVE_PART;
		if ((how = words_one(r, w)) != MANAGESIEVE_COMPLETE)
			return how;
	}
}

/* Takes the backslashes of quoted pairs out, in place. */
static void
words_unquote(char *in, struct slice *word)
{
	char *p = in + (word->p - in), *to = p;

	for (size_t i = 0; i < word->n; i++) {
		i += p[i] == '\\' && i + 1 < word->n;
		*to++ = p[i];
	}
	word->n = (size_t)(to - p);
}

enum managesieve_read
managesieve_words_read(char *in, size_t len, struct managesieve_words *w, size_t *used)
{
	struct reader r = { in, len, 0 };
	enum managesieve_read how;
	size_t line = slice_find((struct slice){ in, len }, '\n');

	*w = (struct managesieve_words){ 0 };
	how = words_all(&r, w);
	*used = r.at;
	if (how == MANAGESIEVE_PART && len > MANAGESIEVE_COMMAND)
		return MANAGESIEVE_TOO_LONG;
	if (how == MANAGESIEVE_WRONG && line == len) /* to its end, when that is there */
		return len > MANAGESIEVE_COMMAND ? MANAGESIEVE_TOO_LONG : MANAGESIEVE_PART;
	if (how == MANAGESIEVE_WRONG)
		*used = line + 1;
	if (how == MANAGESIEVE_WRONG && r.at > *used) /* in or behind a literal */
		return MANAGESIEVE_TOO_LONG;
	for (size_t i = 0; how == MANAGESIEVE_COMPLETE && i < w->n; i++)
		if (w->string[i] && w->word[i].p > in && w->word[i].p[-1] == '"')
			words_unquote(in, &w->word[i]);
	return how;
}

void
managesieve_write_string(struct buf *b, struct slice text)
{
	bool quoted = text.n <= MANAGESIEVE_QUOTED;

	for (size_t i = 0; i < text.n; i++)
		quoted &= text.p[i] != '\0' && text.p[i] != '\r' && text.p[i] != '\n';
	if (!quoted) {
		buf_printf(b, "{%zu}\r\n", text.n);
		buf_slice(b, text);
		return;
	}
	buf_char(b, '"');
	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] == '"' || text.p[i] == '\\')
			buf_char(b, '\\');
		buf_char(b, text.p[i]);
	}
	buf_char(b, '"');
}
