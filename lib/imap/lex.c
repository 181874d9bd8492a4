/* imap/lex.c: one command from a stream, RFC 3501 2.2.1 and 4.3, RFC 7888.
 *
 * Owns the text that is gathered.  Called by server-line.c with whatever bytes have come, cut
 * anywhere.  It cannot fail; a command that is too long is refused and its rest read over, up to
 * FLOOD, so that its bytes are never taken for the next command: that is what must stay true,
 * also of literals that a client sends without waiting.  Only line ends and literals are known
 * here; what the words mean is args.c's, but for APPEND and REPLACE, whose message must not be
 * gathered. */
#include "imap/lex.h"

/* A client that ignores refusals may send this much before it is cut off. */
#define FLOOD (8u * 1024 * 1024)

void
imap_lex_reset(struct imap_lex *l)
{
	const struct imap_lex kept = { .cap = l->cap, .unwaited = l->unwaited };

	buf_fini(&l->text);
	*l = kept;
}

/* A literal's announcement at the end of `line`: "{123}" or "{123+}".  Returns false when there
 * is none; a number that is too large gives UINT64_MAX. */
static bool
announces(struct slice line, uint64_t *n, bool *sync)
{
	size_t at;

	if (line.n < 3 || line.p[line.n - 1] != '}')
		return false;
	line.n--;
	*sync = line.p[line.n - 1] != '+';
	if (!*sync)
		line.n--;
	for (at = line.n; at > 0 && line.p[at - 1] >= '0' && line.p[at - 1] <= '9'; at--)
		;
	if (at == line.n || at == 0 || line.p[at - 1] != '{')
		return false;
	if (slice_u64(slice_from(line, at), UINT32_MAX, n) < 0)
		*n = UINT64_MAX;
	return true;
}

/* Takes "APPEND ", or "[UID ]REPLACE n ", off the front: what stands before a mailbox's name. */
static bool
message_verb(struct slice *s)
{
	struct slice number;

	if (slice_istarts(*s, S("APPEND "))) {
		*s = slice_from(*s, 7);
		return true;
	}
	if (slice_istarts(*s, S("UID ")))
		*s = slice_from(*s, 4);
	if (!slice_istarts(*s, S("REPLACE ")))
		return false;
	*s = slice_from(*s, 8);
	return slice_cut(s, ' ', &number);
}

/* Is the literal announced at the end of the text the message of an APPEND or REPLACE (RFC 8508), or a
 * further one (RFC 3502), and not the mailbox name?  The name is a literal when nothing stands between
 * what comes before it and its "{". */
static bool
is_message(const struct imap_lex *l)
{
	struct slice s = buf_get(&l->text), tag;
	bool name;

	if (!slice_cut(&s, ' ', &tag) || tag.n == 0 || !message_verb(&s))
		return false;
	name = s.n > 0 && s.p[0] == '{';
	return l->nliterals >= (name ? 1 : 0);
}

static enum imap_lexed
imap_lex_line_end(struct imap_lex *l)
{
	struct slice line = slice_from(buf_get(&l->text), l->line_at);
	uint64_t n;
	bool sync;

	if (l->discard || l->text.n > l->cap) {
		/* The tail of a refused line still says whether a literal follows at once. */
		bool more = announces(line, &n, &sync) && !sync;

		l->discard = true;
		if (l->text.n > l->cap)
			l->text.n = l->cap; /* the next line is judged by itself */
		l->line_at = l->text.n;
		if (more) {
			if (n > FLOOD)
				return IMAP_LEX_FLOOD;
			l->literal = n;
			return IMAP_LEX_MORE;
		}
		return IMAP_LEX_TOO_LONG;
	}
	if (!announces(line, &n, &sync))
		return IMAP_LEX_DONE;
	l->hasty = !sync && l->unwaited && n > l->unwaited;
	if (is_message(l)) {
		l->literal = n;
		l->sync = sync;
		return IMAP_LEX_MESSAGE;
	}
	if (l->hasty || n > l->cap || l->text.n + n > l->cap) {
		if (sync)
			return IMAP_LEX_TOO_LONG;
		if (n > FLOOD)
			return IMAP_LEX_FLOOD;
		l->discard = true;
	}
	buf_lit(&l->text, "\r\n");
	l->nliterals++;
	l->literal = n;
	l->line_at = l->text.n;
	return sync ? IMAP_LEX_CONTINUE : IMAP_LEX_MORE;
}

#define TAIL 16 /* an announcement fits: "{4294967295+}" CR */

/* Keeps bytes of a line.  Of a refused one the beginning, which has the tag for the answer, and
 * behind `cap` the last few, enough to see an announcement. */
static void
keep(struct imap_lex *l, struct slice s)
{
	size_t head = l->text.n < l->cap ? l->cap - l->text.n : 0;

	if (l->text.n + s.n <= l->cap + TAIL) {
		buf_slice(&l->text, s);
		return;
	}
	l->discard = true;
	l->skipped += s.n;
	if (head > s.n)
		head = s.n;
	buf_add(&l->text, s.p, head);
	s = slice_from(s, head);
	buf_slice(&l->text, s.n > TAIL ? slice_from(s, s.n - TAIL) : s);
	if (l->text.n > l->cap + TAIL) {
		memmove(l->text.p + l->cap, l->text.p + l->text.n - TAIL, TAIL);
		l->text.n = l->cap + TAIL;
	}
	if (l->line_at > l->cap)
		l->line_at = l->cap;
}

enum imap_lexed
imap_lex_feed(struct imap_lex *l, struct slice in, size_t *used)
{
	size_t all = in.n;
	enum imap_lexed r = IMAP_LEX_MORE;

	while (r == IMAP_LEX_MORE && in.n > 0) {
		size_t n;

		if (l->literal > 0) {
			n = l->literal < in.n ? (size_t)l->literal : in.n;
			if (!l->discard)
				buf_add(&l->text, in.p, n);
			l->literal -= n;
			in = slice_from(in, n);
			if (l->literal == 0)
				l->line_at = l->text.n;
			continue;
		}
		n = slice_find(in, '\n');
		keep(l, slice(in.p, n));
		if (l->skipped > FLOOD) {
			*used = all - slice_from(in, n).n;
			return IMAP_LEX_FLOOD;
		}
		if (n == in.n) {
			in.n = 0;
			break;
		}
		in = slice_from(in, n + 1);
		if (l->text.n > l->line_at && l->text.p[l->text.n - 1] == '\r')
			l->text.n--;
		r = imap_lex_line_end(l);
	}
	*used = all - in.n;
	return r;
}

void
imap_lex_message_taken(struct imap_lex *l)
{
	l->nliterals++;
	l->literal = 0;
	buf_lit(&l->text, "\r\n");
	l->line_at = l->text.n;
}
