/* conf/file.c: see file.h: lines, quotes, sections, includes.
 *
 * Called by texts.c and conf_peek.  What is wrong is told with file and line, and reading goes on,
 * so that one run shows all mistakes; only the outermost file that cannot be read is an error by
 * itself.  Size and depth are bounded, and no file includes itself.  It also remembers which files
 * were read, for those who shut a process in (daemon/confine.c). */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/mem.h"
#include "conf/file.h"

#define DEPTH     8                 /* of includes */
#define SIZE      (4 * 1024 * 1024) /* of one file */

#define PEEK_NAME 128 /* octets of a section's name that conf_peek hands out */

struct reader {
	void (*line)(void *, const struct conf_line *);
	void *arg;
	struct buf *why;
	struct conf_line at;
	struct buf section, value; /* at.section and at.arg; at.value */
	const char *open[DEPTH];   /* the files that are being read, the outermost first */
	int depth;
};

static int read_one(struct reader *r, const char *path);

static void
conf_file_complain(struct reader *r, const char *text)
{
	buf_printf(r->why, "%s:%d: %s\n", r->at.file, r->at.line, text);
}

static int
slurp(const char *path, struct buf *b)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC), rc = 0;
	ssize_t n;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode))
		rc = -EISDIR;
	while (rc == 0 && b->n < SIZE) {
		n = read(fd, buf_reserve(b, 65536), 65536);
		if (n <= 0) {
			rc = n < 0 ? -errno : 1;
			break;
		}
		b->n += (size_t)n;
	}
	close(fd);
	return rc == 0 ? -EFBIG : rc < 0 ? rc : 0;
}

static bool
conf_file_is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* Takes the value out of `s` into r->value: quotes, backslashes, comment.  False when a quote
 * is not closed. */
static bool
conf_file_unquote(struct reader *r, struct slice s)
{
	struct buf *v = &r->value;
	size_t keep = 0; /* trailing white space after this does not count */
	bool quoted = false;

	buf_clear(v);
	s = slice_trim(s);
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (!quoted && c == '#' && (i == 0 || conf_file_is_space(s.p[i - 1])))
			break;
		if (c == '"') {
			quoted = !quoted;
			keep = v->n;
			continue;
		}
		if (quoted && c == '\\' && i + 1 < s.n)
			c = s.p[++i];
		buf_char(v, c);
		if (quoted || !conf_file_is_space(c))
			keep = v->n;
	}
	v->n = keep;
	return !quoted;
}

static void
section_line(struct reader *r, struct slice s)
{
	size_t end = slice_find(s, ']');
	struct slice rest = slice_trim(slice_from(s, end + 1)), word, arg;

	if (end == s.n || (rest.n && rest.p[0] != '#')) {
		conf_file_complain(r, "a section line is [name] or [name argument]");
		return;
	}
	s = slice_trim(slice_sub(s, 1, end - 1));
	buf_clear(&r->section);
	buf_slice(&r->section, s);
	s = buf_get(&r->section);
	if (!slice_word(&s, &word)) {
		conf_file_complain(r, "a section needs a name");
		return;
	}
	arg = slice_trim(s);
	r->at.section = word;
	r->at.arg = arg;
	r->at.key = r->at.value = slice(NULL, 0);
	r->line(r->arg, &r->at);
}

static bool
conf_file_is_open(const struct reader *r, const char *path)
{
	struct stat this, other;

	for (int i = 0; i <= r->depth; i++)
		if (stat(path, &this) == 0 && stat(r->open[i], &other) == 0 &&
		    this.st_dev == other.st_dev && this.st_ino == other.st_ino)
			return true;
	return false;
}

static void
include_line(struct reader *r, struct slice name)
{
	struct conf_line outer = r->at;
	struct buf section = r->section;
	struct slice dir =
	    slice_sub(slice_str(outer.file), 0, slice_rfind(slice_str(outer.file), '/'));
	char *path;
	int rc;

	if (!conf_file_unquote(r, name) || r->value.n == 0) {
		conf_file_complain(r, "include needs a file name");
		return;
	}
	name = buf_get(&r->value);
	path = name.p[0] == '/' || dir.n == strlen(outer.file) ?
	    mem_strn(name.p, name.n) :
	    mem_printf(SFMT "/" SFMT, SARG(dir), SARG(name));
	if (conf_file_is_open(r, path)) {
		conf_file_complain(r, "include: this file is being read already");
	} else if (r->depth + 1 >= DEPTH) {
		conf_file_complain(r, "too many includes inside each other");
	} else {
		r->depth++;
		r->section = (struct buf){ 0 };
		rc = read_one(r, path);
		buf_fini(&r->section);
		r->section = section;
		r->at = outer; /* a section of the included file ends with it */
		r->depth--;
		if (rc < 0)
			buf_printf(r->why, "%s:%d: cannot read %s: %s\n", outer.file, outer.line,
			    path, strerror(-rc));
	}
	free(path);
}

static bool
is_name(struct slice s)
{
	for (size_t i = 0; i < s.n; i++) {
		char c = ascii_lower(s.p[i]);

		if ((c < 'a' || c > 'z') && (c < '0' || c > '9') && !strchr("._-", c))
			return false;
	}
	return s.n > 0;
}

static void
one_line(struct reader *r, struct slice s)
{
	size_t eq = slice_find(s, '=');
	struct slice rest = s, word;

	if (s.n == 0 || s.p[0] == '#')
		return;
	if (s.p[0] == '[') {
		section_line(r, s);
		return;
	}
	if (slice_word(&rest, &word) && slice_eq(word, S("include")) &&
	    !slice_starts(slice_trim(rest), S("="))) {
		include_line(r, rest);
		return;
	}
	r->at.key = slice_trim(slice_sub(s, 0, eq));
	if (eq == s.n || !is_name(r->at.key)) {
		conf_file_complain(r, "not a line of the form key = value");
		return;
	}
	if (!conf_file_unquote(r, slice_from(s, eq + 1))) {
		conf_file_complain(r, "a quote is not closed");
		return;
	}
	if (r->value.n && memchr(r->value.p, 0, r->value.n)) {
		conf_file_complain(r, "a NUL byte");
		return;
	}
	r->at.value = r->value.n ? buf_get(&r->value) : S("");
	r->line(r->arg, &r->at);
}

static int
read_one(struct reader *r, const char *path)
{
	struct buf text = { 0 }, joined = { 0 };
	struct slice rest, line;
	int rc = slurp(path, &text), n = 0;

	rest = buf_get(&text);
	if (slice_starts(rest, S("\xef\xbb\xbf"))) /* what some editors put before UTF-8 */
		rest = slice_from(rest, 3);
	r->at = (struct conf_line){ .file = path };
	r->open[r->depth] = path;
	conf_file_note(path);
	while (rc == 0 && slice_cut(&rest, '\n', &line)) {
		if (joined.n == 0)
			r->at.line = n + 1;
		n++;
		line = slice_trim(line);
		if (line.n && line.p[line.n - 1] == '\\' && (joined.n || line.p[0] != '#')) {
			buf_add(&joined, line.p, line.n - 1);
			buf_char(&joined, ' ');
			continue;
		}
		buf_slice(&joined, line);
		one_line(r, slice_trim(buf_get(&joined)));
		buf_clear(&joined);
	}
	if (joined.n)
		conf_file_complain(r, "the file ends in a line that goes on");
	buf_fini(&text);
	buf_fini(&joined);
	return rc;
}

int
conf_file_read(const char *path, void (*line)(void *arg, const struct conf_line *), void *arg,
    struct buf *why)
{
	struct reader r = { .line = line, .arg = arg, .why = why };
	int rc = read_one(&r, path);

	buf_fini(&r.section);
	buf_fini(&r.value);
	return rc;
}

/* ---- which were read --------------------------------------------------------------------- */

static char **files_read;
static size_t nfiles_read;

void
conf_file_note(const char *path)
{
	for (size_t i = 0; i < nfiles_read; i++)
		if (strcmp(files_read[i], path) == 0)
			return;
	files_read = mem_grow(files_read, nfiles_read + 1, sizeof(*files_read));
	files_read[nfiles_read++] = mem_str(path);
}

void
conf_file_forget(void)
{
	for (; nfiles_read; nfiles_read--)
		mem_free(&files_read[nfiles_read - 1]);
	mem_free(&files_read);
}

void
conf_each_file(void (*fn)(void *arg, const char *path), void *arg)
{
	for (size_t i = 0; i < nfiles_read; i++)
		fn(arg, files_read[i]);
}

struct peek {
	const char *section, *key;
	void (*fn)(void *arg, const char *name, const char *value);
	void *arg;
};

static void
conf_peek_line(void *arg, const struct conf_line *l)
{
	struct peek *p = arg;
	char name[PEEK_NAME], *value;

	if (!slice_eq(l->section, slice_str(p->section)) || (l->arg.n == 0 && *p->section) ||
	    l->arg.n >= sizeof(name))
		return;
	if (l->key.n && !slice_eq(l->key, slice_str(p->key)))
		return;
	slice_cstr(l->arg, name, sizeof(name));
	value = mem_strn(l->value.p, l->value.n);
	p->fn(p->arg, name, value);
	mem_free(&value);
}

int
conf_peek(const char *path, const char *section, const char *key,
    void (*fn)(void *arg, const char *name, const char *value), void *arg)
{
	struct peek p = { section, key, fn, arg };
	struct buf why = { 0 };
	int rc = conf_file_read(path, conf_peek_line, &p, &why);

	buf_fini(&why);
	return rc;
}
