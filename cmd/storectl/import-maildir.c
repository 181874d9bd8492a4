/* storectl import: Maildir, in two shapes.
 *
 * maildir++ has folders beside each other, called .A.B; maildir has them below each other, A/B, each with
 * cur and new.  Names are modified UTF-7, or UTF-8 where they cannot be.  A server may be at work on the
 * source: files are renamed under us when flags change, so a file that has gone is looked for once more
 * under the name that its base has now. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/map.h"
#include "base/mapped.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "imap/mutf7.h"
#include "import.h"

#define KEYWORDS_FILE "dovecot-keywords"
#define UIDLIST_FILE  "dovecot-uidlist"

struct maildir_file {
	char *name; /* "cur/..." */
	struct maildir_name m;
	uint32_t uid; /* of dovecot-uidlist; UINT32_MAX = none */
};
struct maildir_folder {
	const char *path;
	struct buf files;                 /* struct maildir_file */
	char *keywords[MAILDIR_KEYWORDS]; /* NULL = none */
};

/* ---- what a folder has ------------------------------------------------------------------------ */

/* Calls fn for each line of a file of the folder; it may not be there. */
static void
folder_lines(struct maildir_folder *f, const char *name,
    void (*fn)(struct maildir_folder *f, struct slice line, void *arg), void *arg)
{
	char *path = mem_printf("%s/%s", f->path, name), *line = NULL;
	FILE *in = fopen(path, "re");
	size_t room = 0;
	ssize_t n;

	while (in && (n = getline(&line, &room, in)) >= 0)
		fn(f, slice(line, (size_t)n), arg);
	if (in)
		fclose(in);
	free(line);
	mem_free(&path);
}

static void
folder_keyword(struct maildir_folder *f, struct slice line, void *arg)
{
	struct slice name;
	unsigned k;

	(void)arg;
	if (!maildir_keyword_parse(line, &k, &name))
		return;
	mem_free(&f->keywords[k]);
	f->keywords[k] = mem_strn(name.p, name.n);
}

static void
folder_uid(struct maildir_folder *f, struct slice line, void *arg)
{
	struct maildir_file *file;
	struct slice base;
	uint32_t uid;

	(void)f;
	if (maildir_uid_parse(line, &uid, &base) && (file = map_get(arg, base)))
		file->uid = uid;
}

static int
file_cmp(const void *a, const void *b)
{
	const struct maildir_file *x = a, *y = b;

	return x->uid != y->uid ? (x->uid < y->uid ? -1 : 1) :
	    x->m.at != y->m.at  ? (x->m.at < y->m.at ? -1 : 1) :
				  strcmp(x->name, y->name);
}

static void
folder_list(struct importing *i, struct maildir_folder *f, const char *sub)
{
	char *path = mem_printf("%s/%s", f->path, sub);
	DIR *d = opendir(path);
	struct dirent *e;

	for (errno = 0; d && (e = readdir(d)); errno = 0) {
		struct maildir_file file = { .uid = UINT32_MAX };

		if (e->d_name[0] == '.')
			continue;
		file.name = mem_printf("%s/%s", sub, e->d_name);
		maildir_name_parse(slice_str(file.name + strlen(sub) + 1), &file.m);
		buf_add(&f->files, &file, sizeof(file));
	}
	if (errno && errno != ENOENT)
		import_bad(i, path, strerror(errno));
	if (d)
		closedir(d);
	mem_free(&path);
}

/* In the order of the UIDs that Dovecot has given; without them of the times in their names. */
static void
folder_sort(struct maildir_folder *f)
{
	struct maildir_file *files = (void *)f->files.p;
	size_t n = f->files.n / sizeof(*files);
	struct map by_base = { 0 };

	for (size_t k = 0; k < n; k++)
		map_put(&by_base, files[k].m.base, &files[k]);
	folder_lines(f, UIDLIST_FILE, folder_uid, &by_base);
	map_fini(&by_base);
	if (n)
		qsort(files, n, sizeof(*files), file_cmp);
}

/* ---- messages ----------------------------------------------------------------------------------------- */

/* Its file under another name, when there is one now. */
static int
file_again(const struct maildir_folder *f, const struct maildir_file *file)
{
	char *dir = mem_printf("%s/cur", f->path);
	DIR *d = opendir(dir);
	struct dirent *e;
	int fd = -1;

	while (d && fd < 0 && (e = readdir(d))) {
		struct maildir_name m;

		maildir_name_parse(slice_str(e->d_name), &m);
		if (slice_eq(m.base, file->m.base))
			fd = openat(dirfd(d), e->d_name,
			    O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	}
	if (d)
		closedir(d);
	mem_free(&dir);
	return fd;
}

static void
file_keywords(const struct maildir_folder *f, uint32_t bits, struct buf *out)
{
	for (unsigned k = 0; k < MAILDIR_KEYWORDS; k++)
		if (bits & UINT32_C(1) << k && f->keywords[k]) {
			buf_str(out, f->keywords[k]);
			buf_char(out, ' ');
		}
}

/* False: the run is over. */
static bool
file_import(struct importing *i, const struct maildir_folder *f, const struct maildir_file *file)
{
	char *path = mem_printf("%s/%s", f->path, file->name);
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct buf text = { 0 }, keywords = { 0 };
	struct put_meta meta = { .flags = file->m.flags };
	struct mapped map;
	struct stat st;
	bool good = true;

	if (fd < 0 && errno == ENOENT)
		fd = file_again(f, file);
	if (fd < 0 || fstat(fd, &st) < 0)
		import_bad(i, path, strerror(errno));
	else if (!S_ISREG(st.st_mode) || st.st_size == 0)
		import_bad(i, path, S_ISREG(st.st_mode) ? "empty" : "not a file");
	else if (mapped_open(&map, fd, (size_t)st.st_size) < 0)
		import_bad(i, path, "cannot be read");
	else {
		maildir_to_crlf(&text, slice(map.p, map.n));
		file_keywords(f, file->m.keywords, &keywords);
		meta.internaldate = st.st_mtime;
		meta.keywords = buf_get(&keywords);
		if (mapped_cut(&map))
			import_bad(i, path, "cannot be read to its end");
		else
			good = import_message(i, buf_get(&text), &meta, path);
		mapped_close(&map);
	}
	if (fd >= 0)
		close(fd);
	buf_fini(&keywords);
	buf_fini(&text);
	mem_free(&path);
	return good;
}

static void
maildir_import(struct importing *i, const char *path, struct slice name)
{
	struct maildir_folder f = { .path = path };
	struct maildir_file *files;
	bool good;

	if (!import_folder(i, name.n || *i->below ? name : S("INBOX")))
		return;
	folder_lines(&f, KEYWORDS_FILE, folder_keyword, NULL);
	folder_list(i, &f, "cur");
	folder_list(i, &f, "new");
	folder_sort(&f);
	files = (void *)f.files.p;
	good = true;
	for (size_t k = 0; k < f.files.n / sizeof(*files); k++) {
		good = good && file_import(i, &f, &files[k]);
		mem_free(&files[k].name);
	}
	for (unsigned k = 0; k < MAILDIR_KEYWORDS; k++)
		mem_free(&f.keywords[k]);
	buf_fini(&f.files);
}

/* ---- folders ----------------------------------------------------------------------------------------------- */

/* One component of a name, as UTF-8. */
static void
component_read(struct buf *out, struct slice name)
{
	static const char dot[] = "&AC4-"; /* as export writes a dot that divides nothing */
	size_t keep = out->n;
	struct slice rest = name;

	while (rest.n) {
		size_t at = slice_find_str(rest, slice_str(dot));

		if (imap_mutf7_parse(out, slice_sub(rest, 0, at)) < 0) {
			out->n = keep;
			buf_slice(out, name);
			return;
		}
		if (at < rest.n)
			buf_char(out, '.');
		rest = slice_from(rest, at < rest.n ? at + sizeof(dot) - 1 : at);
	}
}

static bool
is_maildir(const char *path)
{
	char *cur = mem_printf("%s/cur", path);
	struct stat st;
	bool is = stat(cur, &st) == 0 && S_ISDIR(st.st_mode);

	mem_free(&cur);
	return is;
}

static int
maildir_name_cmp(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The names in a directory, in their order; strings and list are the caller's. */
static size_t
names_in(struct importing *i, const char *path, struct buf *list)
{
	DIR *d = opendir(path);
	struct dirent *e;

	if (!d)
		import_bad(i, path, strerror(errno));
	for (errno = 0; d && (e = readdir(d)); errno = 0) {
		char *name = mem_str(e->d_name);

		buf_add(list, &name, sizeof(name));
	}
	if (d && errno)
		import_bad(i, path, strerror(errno));
	if (d)
		closedir(d);
	if (list->n)
		qsort(list->p, list->n / sizeof(char *), sizeof(char *), maildir_name_cmp);
	return list->n / sizeof(char *);
}

void
import_maildirpp(struct importing *i, const char *path)
{
	struct buf list = { 0 };
	size_t n;
	char **names;

	if (!is_maildir(path)) {
		import_bad(i, path, "is no Maildir: it has no cur");
		return;
	}
	maildir_import(i, path, S(""));
	n = names_in(i, path, &list);
	names = (void *)list.p;
	for (size_t k = 0; k < n; k++) {
		struct slice rest = slice_str(names[k]), part;
		char *below = mem_printf("%s/%s", path, names[k]);
		struct buf name = { 0 };

		if (rest.n > 1 && rest.p[0] == '.' && strcmp(names[k], "..") != 0 &&
		    is_maildir(below)) {
			rest = slice_from(rest, 1);
			while (slice_cut(&rest, '.', &part)) {
				if (name.n)
					buf_char(&name, STORE_SEPARATOR);
				component_read(&name, part);
			}
			maildir_import(i, below, buf_get(&name));
		}
		buf_fini(&name);
		mem_free(&below);
		mem_free(&names[k]);
	}
	buf_fini(&list);
}

static void
maildir_tree(struct importing *i, const char *path, struct slice above, unsigned depth)
{
	struct buf list = { 0 };
	size_t n;
	char **names;

	if (depth > STORE_DEPTH_MAX) {
		import_bad(i, path, "deeper than folders can be");
		return;
	}
	if (is_maildir(path))
		maildir_import(i, path, above);
	n = names_in(i, path, &list);
	names = (void *)list.p;
	for (size_t k = 0; k < n; k++) {
		char *below = mem_printf("%s/%s", path, names[k]);
		struct buf name = { 0 };
		struct stat st;

		if (names[k][0] != '.' && strcmp(names[k], "cur") != 0 &&
		    strcmp(names[k], "new") != 0 && strcmp(names[k], "tmp") != 0 &&
		    lstat(below, &st) == 0 && S_ISDIR(st.st_mode)) {
			buf_slice(&name, above);
			if (above.n)
				buf_char(&name, STORE_SEPARATOR);
			component_read(&name, slice_str(names[k]));
			maildir_tree(i, below, buf_get(&name), depth + 1);
		}
		buf_fini(&name);
		mem_free(&below);
		mem_free(&names[k]);
	}
	buf_fini(&list);
}

void
import_maildir(struct importing *i, const char *path)
{
	uint64_t before = i->failed;

	maildir_tree(i, path, S(""), 0);
	if (!i->rc && !i->folders && i->failed == before)
		import_bad(i, path, "there is no Maildir in it");
}
