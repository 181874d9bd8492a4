/* maildir.c: see maildir.h.
 *
 * Called by storectl's import and export.  Names come from other programs and other hosts: what is not
 * understood in one is passed over, the message is still mail. */
#include "mail/maildir.h"

static const struct {
	char letter;
	uint16_t flag;
} letters[] = { { 'D', MAILDIR_DRAFT }, { 'F', MAILDIR_FLAGGED }, { 'R', MAILDIR_ANSWERED },
	{ 'S', MAILDIR_SEEN }, { 'T', MAILDIR_DELETED } };

void
maildir_name_parse(struct slice name, struct maildir_name *m)
{
	struct slice info = slice(NULL, 0);
	uint64_t at;
	size_t k;

	*m = (struct maildir_name){ .base = name };
	/* ":2,"; on file systems that have no ":" there is another mark in its place. */
	for (k = name.n; k >= 3; k--)
		if (name.p[k - 1] == ',' && name.p[k - 2] == '2' &&
		    (name.p[k - 3] == ':' || name.p[k - 3] == '!' || name.p[k - 3] == ';')) {
			m->base = slice_sub(name, 0, k - 3);
			info = slice_from(name, k);
			break;
		}
	for (size_t i = 0; i < info.n; i++) {
		for (size_t l = 0; l < NELEM(letters); l++)
			if (info.p[i] == letters[l].letter)
				m->flags |= letters[l].flag;
		if (info.p[i] >= 'a' && info.p[i] <= 'z')
			m->keywords |= UINT32_C(1) << (info.p[i] - 'a');
	}
	if (slice_u64(slice_sub(m->base, 0, slice_find(m->base, '.')), INT64_MAX, &at) == 0)
		m->at = (int64_t)at;
}

void
maildir_name_write(struct buf *b, uint16_t flags, uint32_t keywords)
{
	buf_lit(b, ":2,");
	for (size_t l = 0; l < NELEM(letters); l++)
		if (flags & letters[l].flag)
			buf_char(b, letters[l].letter);
	for (unsigned k = 0; k < MAILDIR_KEYWORDS; k++)
		if (keywords & UINT32_C(1) << k)
			buf_char(b, (char)('a' + k));
}

bool
maildir_keyword_parse(struct slice line, unsigned *number, struct slice *name)
{
	struct slice word;
	uint64_t v;

	if (!slice_word(&line, &word) || slice_u64(word, MAILDIR_KEYWORDS - 1, &v) < 0)
		return false;
	*number = (unsigned)v;
	*name = slice_trim(line);
	return name->n > 0;
}

/* Version 3: "UID [Kvalue ...] :name"; version 1: "UID name". */
bool
maildir_uid_parse(struct slice line, uint32_t *uid, struct slice *base)
{
	struct maildir_name m;
	struct slice word;
	uint64_t v;
	size_t colon;

	if (!slice_word(&line, &word) || slice_u64(word, UINT32_MAX, &v) < 0 || !v)
		return false;
	line = slice_trim(line);
	colon = line.n && line.p[0] == ':' ? 0 : slice_find_str(line, S(" :")) + 1;
	if (colon < line.n)
		line = slice_from(line, colon + 1);
	else if (slice_find(line, ' ') < line.n)
		return false;
	maildir_name_parse(line, &m);
	*uid = (uint32_t)v;
	*base = m.base;
	return m.base.n > 0;
}

void
maildir_to_crlf(struct buf *b, struct slice text)
{
	size_t from = 0;

	buf_grow(b, text.n + text.n / 32 + 2);
	for (;;) {
		const char *p = from < text.n ? memchr(text.p + from, '\n', text.n - from) : NULL;
		size_t at = p ? (size_t)(p - text.p) : text.n;

		buf_add(b, text.p + from, at - from);
		if (!p)
			return;
		if (at == 0 || text.p[at - 1] != '\r')
			buf_char(b, '\r');
		buf_char(b, '\n');
		from = at + 1;
	}
}

void
maildir_to_lf(struct buf *b, struct slice text)
{
	size_t keep = b->n, from = 0;

	buf_grow(b, text.n);
	for (;;) {
		const char *p = from < text.n ? memchr(text.p + from, '\n', text.n - from) : NULL;
		size_t at = p ? (size_t)(p - text.p) : text.n;

		if (!p) {
			buf_add(b, text.p + from, at - from);
			return;
		}
		if (at == from || text.p[at - 1] != '\r') {
			b->n = keep;
			buf_slice(b, text);
			return;
		}
		buf_add(b, text.p + from, at - 1 - from);
		buf_char(b, '\n');
		from = at + 1;
	}
}
