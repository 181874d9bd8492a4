/* conf/edit.c: see edit.h.
 *
 * Owns nothing.  Nothing can fail: text that conf/file.c would complain of is passed on as it is.  Must stay true: what
 * comes out differs from what went in by the lines of one key alone.  It reads lines as conf/file.c does: those that end
 * in a backslash go on, `#` after a blank begins a comment outside of quotes, a section lasts to the next one. */
#include "conf/edit.h"

#include <errno.h>

#include "base/mem.h"
#include "conf/value.h"

#define EDIT_NONE SIZE_MAX

/* What a walk over the text has found; offsets into it. */
struct edit {
	const struct conf_name *want;
	struct slice section, arg; /* where we are */
	size_t key_at, key_n;      /* the line that sets it */
	size_t own_end;            /* behind the last line of the section that the key belongs to */
	size_t top_end;            /* behind the last line above all sections */
	size_t head_end;           /* behind the comment that the file begins with */
	bool sections;
};

static bool
edit_is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

int
conf_name_parse(struct slice name, struct conf_name *n)
{
	struct slice inside, word;
	size_t end;

	*n = (struct conf_name){ .section = S(""), .arg = S(""), .key = name };
	if (slice_starts(name, S("["))) {
		end = slice_find(name, ']');
		inside = slice_trim(slice_sub(name, 1, end ? end - 1 : 0));
		if (end == name.n || !slice_starts(slice_from(name, end), S("].")) ||
		    !slice_word(&inside, &word))
			return -EINVAL;
		n->section = word;
		n->arg = slice_trim(inside);
		n->key = slice_from(name, end + 2);
		if (n->arg.n == 0 || slice_find(n->arg, '\n') < n->arg.n)
			return -EINVAL;
	}
	for (size_t i = 0; i < n->key.n; i++) {
		char c = ascii_lower(n->key.p[i]);

		if ((c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '.' && c != '_' &&
		    c != '-')
			return -EINVAL;
	}
	return n->key.n ? 0 : -EINVAL;
}

/* Is it, in this section, the key that is wanted? */
static bool
edit_is_it(const struct edit *e, struct slice key)
{
	struct slice want = e->want->key;

	if (e->want->arg.n || e->arg.n)
		return slice_eq(e->section, e->want->section) && slice_eq(e->arg, e->want->arg) &&
		    slice_eq(key, want);
	if (e->section.n == 0)
		return slice_eq(key, want);
	return slice_starts(want, e->section) && want.n > e->section.n + 1 &&
	    want.p[e->section.n] == '.' && slice_eq(slice_from(want, e->section.n + 1), key);
}

/* The logical line at the head of `rest`, with its line ends; false at the end. */
static bool
edit_next(struct slice rest, struct slice *line)
{
	size_t at = 0;

	while (at < rest.n) {
		size_t end = at + slice_find(slice_from(rest, at), '\n');
		struct slice one = slice_trim(slice_sub(rest, at, end - at));
		bool on = one.n && one.p[one.n - 1] == '\\' && (at > 0 || one.p[0] != '#');

		at = end < rest.n ? end + 1 : end;
		if (!on)
			break;
	}
	*line = slice_sub(rest, 0, at);
	return at > 0;
}

/* Where the comment behind the value begins, with the blanks before it, or where the line ends. */
static size_t
edit_tail(struct slice line)
{
	size_t at = slice_find(line, '=') + 1, keep;
	bool quoted = false;

	for (; at < line.n; at++) {
		char c = line.p[at];

		if (!quoted && c == '#' && (edit_is_blank(line.p[at - 1]) || line.p[at - 1] == '='))
			break;
		if (c == '"')
			quoted = !quoted;
		else if (quoted && c == '\\')
			at++;
	}
	if (at > line.n)
		at = line.n;
	for (keep = at; keep > 0 && (edit_is_blank(line.p[keep - 1]) || line.p[keep - 1] == '\n');)
		keep--;
	return keep;
}

static bool
edit_is_here(const struct edit *e)
{
	struct slice want = e->want->key;

	if (e->want->arg.n || e->arg.n)
		return slice_eq(e->section, e->want->section) && slice_eq(e->arg, e->want->arg);
	return e->section.n && slice_starts(want, e->section) && want.n > e->section.n + 1 &&
	    want.p[e->section.n] == '.';
}

static void
edit_section(struct edit *e, struct slice line)
{
	struct slice s = slice_trim(slice_sub(line, 1, slice_find(line, ']') - 1));

	e->section = S("");
	(void)slice_word(&s, &e->section);
	e->arg = slice_trim(s);
	e->sections = true;
}

static void
edit_walk(struct edit *e, struct slice text)
{
	struct slice line;
	bool head = true;

	for (size_t at = 0; edit_next(slice_from(text, at), &line); at += line.n) {
		struct slice s = slice_trim(line);

		if (at == 0 && slice_starts(s, S("\xef\xbb\xbf"))) /* as conf/file.c */
			s = slice_trim(slice_from(s, 3));
		head &= s.n && s.p[0] == '#';
		if (head)
			e->head_end = at + line.n;
		if (s.n == 0 || s.p[0] == '#')
			continue;
		if (s.p[0] == '[')
			edit_section(e, s);
		else if (e->key_at == EDIT_NONE && slice_find(s, '=') < s.n &&
		    edit_is_it(e, slice_trim(slice_sub(s, 0, slice_find(s, '='))))) {
			e->key_at = at;
			e->key_n = line.n;
		}
		if (!e->sections)
			e->top_end = at + line.n;
		else if (edit_is_here(e))
			e->own_end = at + line.n;
	}
}

static void
edit_value(struct slice value, struct buf *out)
{
	char *text = mem_strn(value.p, value.n);

	conf_value_write_text(out, text);
	mem_free(&text);
}

static void
edit_replace(struct slice line, struct slice value, struct buf *out)
{
	size_t at = slice_find(line, '=') + 1;

	while (at < line.n && (line.p[at] == ' ' || line.p[at] == '\t'))
		at++;
	if (at > edit_tail(line)) { /* there is no value */
		buf_slice(out, slice_sub(line, 0, edit_tail(line)));
		buf_char(out, ' ');
	} else {
		buf_slice(out, slice_sub(line, 0, at));
	}
	edit_value(value, out);
	if (slice_starts(slice_from(line, edit_tail(line)), S("#"))) /* "key =# why" */
		buf_char(out, ' ');
	buf_slice(out, slice_from(line, edit_tail(line)));
}

/* Where a new line goes; *key is what it says there. */
static size_t
edit_place(const struct edit *e, struct slice text, struct slice *key)
{
	if (e->own_end != EDIT_NONE) {
		if (e->want->arg.n == 0) /* in a plain section the rest of the name */
			*key = slice_from(*key, slice_find(*key, '.') + 1);
		return e->own_end;
	}
	if (e->want->arg.n || !e->sections)
		return text.n;
	return e->top_end ? e->top_end : e->head_end;
}

static size_t
edit_insert(const struct edit *e, struct slice text, struct slice value, struct buf *out)
{
	struct slice key = e->want->key;
	size_t at = edit_place(e, text, &key), line;

	buf_slice(out, slice_sub(text, 0, at));
	if (at > 0 && text.p[at - 1] != '\n')
		buf_char(out, '\n');
	if (e->want->arg.n && e->own_end == EDIT_NONE)
		buf_printf(out, "%s[" SFMT " " SFMT "]\n", at ? "\n" : "", SARG(e->want->section),
		    SARG(e->want->arg));
	line = out->n;
	buf_printf(out, SFMT " = ", SARG(key));
	edit_value(value, out);
	buf_char(out, '\n');
	buf_slice(out, slice_from(text, at));
	return line;
}

int
conf_edit(struct slice text, const struct conf_name *n, struct slice value, struct buf *out)
{
	struct edit e = { .want = n, .key_at = EDIT_NONE, .own_end = EDIT_NONE };
	size_t from = out->n, at = from;
	int line = 1;

	e.section = e.arg = S("");
	edit_walk(&e, text);
	if (e.key_at == EDIT_NONE && value.p) {
		at = edit_insert(&e, text, value, out);
	} else if (e.key_at == EDIT_NONE) {
		buf_slice(out, text);
	} else {
		buf_slice(out, slice_sub(text, 0, e.key_at));
		at = out->n;
		if (value.p)
			edit_replace(slice_sub(text, e.key_at, e.key_n), value, out);
		buf_slice(out, slice_from(text, e.key_at + e.key_n));
	}
	for (size_t i = from; i < at; i++)
		line += out->p[i] == '\n';
	return value.p ? line : 0;
}
