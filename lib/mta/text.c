/* text.c: files into lines: see text.h.
 *
 * Called by the three compilers (rules with channels, mappings, general database).  Owns nothing but
 * the arena of the lines.  What fails: a file that cannot be read, a line or a whole that is too long,
 * an include that is relative, of a file that is being read or nested too deep; each is told with its place, and reading goes on, so
 * that one run shows everything.  Must stay true: comments vanish before anybody sees a blank line,
 * since a blank line ends the rewrite rules. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/mem.h"
#include "mta/text.h"

struct reader {
	struct mta_text *t;
	mta_read_fn *read;
	void *arg;
	struct mta_notes *notes;
	const char *open[MTA_NEST_MAX + 1]; /* the files being read, outermost first */
};

static void text_read(struct reader *r, const char *path, int depth, const struct mta_line *from);

/* ---- mistakes ---------------------------------------------------------------------------- */

static void note_add(struct buf *b, unsigned *n, const struct mta_line *at, const char *fmt,
    va_list ap) PRINTF(4, 0);

static void
note_add(struct buf *b, unsigned *n, const struct mta_line *at, const char *fmt, va_list ap)
{
	if (++*n > MTA_NOTES_MAX) {
		if (*n == MTA_NOTES_MAX + 1)
			buf_str(b, "more than this is not told\n");
		return;
	}
	if (at && at->file)
		buf_printf(b, "%s:%d: ", at->file, at->line);
	buf_vprintf(b, fmt, ap);
	buf_char(b, '\n');
}

bool
mta_errors_full(const struct mta_notes *n)
{
	return n->nerrors >= MTA_NOTES_MAX;
}

void
mta_error(struct mta_notes *n, const struct mta_line *at, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	note_add(&n->errors, &n->nerrors, at, fmt, ap);
	va_end(ap);
}

void
mta_warn(struct mta_notes *n, const struct mta_line *at, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	note_add(&n->warnings, &n->nwarnings, at, fmt, ap);
	va_end(ap);
}

void
mta_notes_fini(struct mta_notes *n)
{
	buf_fini(&n->errors);
	buf_fini(&n->warnings);
	n->nerrors = n->nwarnings = 0;
}

/* ---- reading ----------------------------------------------------------------------------- */

int
mta_read_file(void *arg, const char *path, struct buf *out)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), e = 0;
	struct stat st;
	ssize_t n = 1;

	(void)arg;
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0)
		e = -errno;
	else if (!S_ISREG(st.st_mode))
		e = S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;
	while (e == 0 && n > 0) {
		char *p = buf_reserve(out, 65536);

		if (!p || out->n > MTA_TEXT_MAX) {
			e = -EFBIG;
			break;
		}
		n = read(fd, p, 65536);
		if (n > 0)
			out->n += (size_t)n;
		else if (n < 0 && errno != EINTR)
			e = -errno;
		else if (n < 0)
			n = 1;
	}
	close(fd);
	return e;
}

static struct slice
text_trim_right(struct slice s)
{
	while (s.n && strchr(" \t\r\n", s.p[s.n - 1]) && s.p[s.n - 1])
		s.n--;
	return s;
}

static struct slice
text_trim_left(struct slice s)
{
	while (s.n && (s.p[0] == ' ' || s.p[0] == '\t'))
		s = slice_from(s, 1);
	return s;
}

static void
text_push(struct mta_text *t, struct slice text, const char *file, int line)
{
	if (t->n == t->room) {
		t->room = t->room ? t->room * 2 : 64;
		t->lines = mem_grow(t->lines, t->room, sizeof(*t->lines));
	}
	t->lines[t->n++] = (struct mta_line){ text, file, line };
}

/* `<path`: its lines take the place of this one. */
static void
text_include(struct reader *r, const struct mta_line *at, int depth)
{
	struct slice path = slice_trim(slice_from(at->text, 1));

	for (int i = 0; i <= depth; i++)
		if (slice_eq(path, slice_str(r->open[i]))) {
			mta_error(r->notes, at, SFMT " includes itself", SARG(path));
			return;
		}
	if (path.n == 0 || path.p[0] != '/')
		mta_error(r->notes, at, "expected an absolute path behind `<', not `" SFMT "'",
		    SARG(path));
	else if (depth == MTA_NEST_MAX)
		mta_error(r->notes, at, "files are included %d levels deep at most", MTA_NEST_MAX);
	else
		text_read(r, arena_cstr(&r->t->arena, path), depth + 1, at);
}

/* A line with those that continue it; `line` counts on. */
static struct slice
text_join(struct reader *r, struct slice first, struct slice *rest, int *line)
{
	struct buf b = { 0 };
	struct slice part = first, all;

	while (part.n && part.p[part.n - 1] == '\\') {
		buf_add(&b, part.p, part.n - 1);
		part.n = 0;
		if (!slice_cut(rest, '\n', &part))
			break;
		++*line;
		part = text_trim_left(text_trim_right(part));
		if (b.n > MTA_LINE_MAX)
			break; /* told by the caller */
	}
	if (b.n == 0)
		return first;
	buf_slice(&b, part);
	all = arena_slice(&r->t->arena, text_trim_right(buf_get(&b)));
	buf_fini(&b);
	return all;
}

static void
text_read_lines(struct reader *r, struct slice rest, const char *file, int depth)
{
	struct slice text;
	int line = 0;

	while (slice_cut(&rest, '\n', &text)) {
		struct mta_line at = { .file = file };

		at.line = ++line;
		if (text.n && text.p[0] == '!')
			continue;
		at.text = text_join(r, text_trim_right(text), &rest, &line);
		if (at.text.n > MTA_LINE_MAX)
			mta_error(r->notes, &at, "a line has %d octets at most", MTA_LINE_MAX);
		else if (memchr(at.text.p ? at.text.p : "", '\0', at.text.n))
			mta_error(r->notes, &at, "a NUL in the line");
		else if (at.text.n && at.text.p[0] == '<')
			text_include(r, &at, depth);
		else
			text_push(r->t, at.text, file, at.line);
	}
}

static void
text_read(struct reader *r, const char *path, int depth, const struct mta_line *from)
{
	struct buf b = { 0 };
	int e = r->read(r->arg, path, &b);

	r->open[depth] = path;
	if (e < 0)
		mta_error(r->notes, from, "%s: %s", path, strerror(-e));
	else if ((r->t->octets += b.n) > MTA_TEXT_MAX)
		mta_error(r->notes, from, "%s: more than %u MiB of text", path, MTA_TEXT_MAX >> 20);
	else
		text_read_lines(r, arena_slice(&r->t->arena, buf_get(&b)),
		    arena_str(&r->t->arena, path), depth);
	buf_fini(&b);
}

void
mta_text_load(struct mta_text *t, const char *path, mta_read_fn *read, void *arg,
    struct mta_notes *notes)
{
	struct reader r = { .t = t, .read = read, .arg = arg, .notes = notes };

	text_read(&r, path, 0, NULL);
}

void
mta_text_fini(struct mta_text *t)
{
	arena_reset(&t->arena);
	mem_release(t->lines);
	*t = (struct mta_text){ 0 };
}

struct slice
mta_lower(struct arena *a, struct slice s)
{
	char *p = arena_cstr(a, s);

	for (size_t i = 0; i < s.n; i++)
		p[i] = ascii_lower(p[i]);
	return slice(p, s.n);
}

bool
mta_take_sequence(struct slice *rest, char close, struct slice *text)
{
	size_t n = 0;

	while (n < rest->n && rest->p[n] != close)
		n += rest->p[n] == '$' && n + 1 < rest->n ? 2 : 1;
	if (n >= rest->n)
		return false;
	*text = slice_sub(*rest, 0, n);
	*rest = slice_from(*rest, n + 1);
	return true;
}
