/* imap/subject.c: RFC 5256 2.1, steps 1 to 6, over the ABNF of its section 5.
 *
 * What must stay true: the cost is linear, although the steps are told as loops within loops.  A run
 * of blobs is looked at once: when no "re:" follows it, none follows after its first blobs are gone
 * either.  Each round of step 6 takes seven octets for good. */
#include "imap/subject.h"

static bool
subject_is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Step 1 but for the encoded words. */
static struct slice
subject_single_blanks(struct slice text, struct buf *scratch)
{
	char *out, last = 0;
	size_t n = 0;

	while (n < text.n && (text.p[n] == ' ' ? last != ' ' : !subject_is_blank(text.p[n])))
		last = text.p[n++];
	if (n == text.n)
		return text;
	n = 0;
	buf_clear(scratch);
	out = buf_reserve(scratch, text.n + 1);
	if (!out)
		return slice(NULL, 0);
	for (size_t i = 0; i < text.n; i++) {
		if (!subject_is_blank(text.p[i]))
			out[n++] = text.p[i];
		else if (n == 0 || out[n - 1] != ' ')
			out[n++] = ' ';
	}
	scratch->n = n;
	return buf_get(scratch);
}

static struct slice
subject_skip_blanks(struct slice s)
{
	while (s.n > 0 && s.p[0] == ' ')
		s = slice_from(s, 1);
	return s;
}

/* subj-blob = "[" *BLOBCHAR "]" *WSP */
static bool
subject_take_blob(struct slice *s)
{
	size_t i = 1;

	if (s->n == 0 || s->p[0] != '[')
		return false;
	while (i < s->n && s->p[i] != '[' && s->p[i] != ']' && s->p[i] != '\0')
		i++;
	if (i == s->n || s->p[i] != ']')
		return false;
	*s = subject_skip_blanks(slice_from(*s, i + 1));
	return true;
}

/* subj-refwd = ("re" / ("fw" ["d"])) *WSP [subj-blob] ":" */
static bool
subject_take_refwd(struct slice *s)
{
	struct slice at = *s;

	if (slice_istarts(at, S("re")))
		at = slice_from(at, 2);
	else if (slice_istarts(at, S("fwd")))
		at = slice_from(at, 3);
	else if (slice_istarts(at, S("fw")))
		at = slice_from(at, 2);
	else
		return false;
	at = subject_skip_blanks(at);
	(void)subject_take_blob(&at);
	if (at.n == 0 || at.p[0] != ':')
		return false;
	*s = slice_from(at, 1);
	return true;
}

/* Step 2: subj-trailer = "(fwd)" / WSP */
static struct slice
subject_without_trailers(struct slice s, bool *reply)
{
	for (;;) {
		if (s.n > 0 && s.p[s.n - 1] == ' ') {
			s.n--;
		} else if (s.n >= 5 && slice_ieq(slice_from(s, s.n - 5), S("(fwd)"))) {
			s.n -= 5;
			*reply = true;
		} else {
			return s;
		}
	}
}

/* Steps 3 to 5: subj-leader = (*subj-blob subj-refwd) / WSP, and blobs that leave something. */
static struct slice
subject_without_leaders(struct slice s, bool *reply)
{
	for (;;) {
		struct slice at = s = subject_skip_blanks(s), last = s, before;

		for (before = at; subject_take_blob(&at); before = at)
			last = before;
		if (subject_take_refwd(&at)) {
			*reply = true;
			s = at;
			continue;
		}
		return at.n > 0 ? at : last;
	}
}

struct slice
imap_base_subject(struct slice text, struct buf *scratch, bool *reply)
{
	struct slice s = subject_single_blanks(text, scratch);

	*reply = false;
	for (;;) {
		s = subject_without_trailers(s, reply);
		s = subject_without_leaders(s, reply);
		if (!slice_istarts(s, S("[fwd:")) || !slice_ends(s, S("]")))
			return s;
		*reply = true;
		s = slice_sub(s, 5, s.n - 6);
	}
}
