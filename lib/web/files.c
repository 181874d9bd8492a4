/* web/files.c: see files.h.
 *
 * Owns the table of what was read, counted: an answer that a slow reader has not taken to its end holds it.
 * Called at start, at a reload, and for each request.  Reading can fail by the folder; answering cannot.  Must
 * stay true: a path is looked up as it stands, so escapes and dots find nothing, and what is sent was hashed in
 * the same reading. */
#include "web/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/map.h"
#include "base/mem.h"
#include "base/must.h"
#include "web/gzip.h"
#include "web/seal.h"

#define FILES_DEPTH 16    /* folders in each other */
#define FILES_PIECE 32768 /* octets written at a time */

struct web_file {
	char *path; /* "/style/app.css" */
	struct slice bytes;
	char etag[2 + 32 + 1]; /* with its quotes */
	const char *type;
	bool forever;
	struct web_file *gz, *br; /* the same, compressed; NULL: not there */
};

struct web_files {
	struct map all;
	size_t octets;
	unsigned refs;
};

/* ---- types ------------------------------------------------------------------------------------------- */

static const struct {
	const char *ending, *type;
} types[] = {
	{ ".html", "text/html; charset=utf-8" },
	{ ".js", "text/javascript; charset=utf-8" },
	{ ".mjs", "text/javascript; charset=utf-8" },
	{ ".css", "text/css; charset=utf-8" },
	{ ".json", "application/json" },
	{ ".webmanifest", "application/manifest+json" },
	{ ".svg", "image/svg+xml" },
	{ ".png", "image/png" },
	{ ".ico", "image/x-icon" },
	{ ".webp", "image/webp" },
	{ ".woff2", "font/woff2" },
	{ ".txt", "text/plain; charset=utf-8" },
	{ ".map", "application/json" },
};

static const char *
files_type(struct slice path)
{
	for (size_t i = 0; i < NELEM(types); i++)
		if (slice_ends(path, slice_str(types[i].ending)))
			return types[i].type;
	return "application/octet-stream";
}

/* Is there a run of hexadecimal digits, between "-" or "." and "/" or "."? */
static bool
files_hashed(struct slice path)
{
	for (size_t i = 0; i < path.n; i++) {
		size_t n = 0;

		if (path.p[i] != '-' && path.p[i] != '.')
			continue;
		while (i + 1 + n < path.n && ascii_hex(path.p[i + 1 + n]) >= 0)
			n++;
		if (n >= 8 && i + 1 + n < path.n && strchr("/.", path.p[i + 1 + n]))
			return true;
	}
	return false;
}

/* ---- reading ------------------------------------------------------------------------------------------- */

static int
files_load(int fd, size_t size, char **bytes)
{
	size_t at = 0;

	*bytes = mem_new(size + 1);
	while (at < size) {
		ssize_t n = read(fd, *bytes + at, size - at);

		if (n > 0)
			at += (size_t)n;
		else if (n == 0 || errno != EINTR)
			break;
	}
	if (at == size)
		return 0;
	mem_free(bytes);
	return -EIO; /* it is being written */
}

static void
files_add(struct web_files *f, const char *path, struct slice bytes)
{
	struct web_file *file = mem_new(sizeof(*file));
	struct buf tag = { 0 };

	file->path = mem_str(path);
	file->bytes = bytes;
	file->type = files_type(slice_str(path));
	file->forever = files_hashed(slice_str(path));
	buf_char(&tag, '"');
	web_digest(bytes, 16, &tag);
	buf_char(&tag, '"');
	slice_cstr(buf_get(&tag), file->etag, sizeof(file->etag));
	buf_fini(&tag);
	f->octets += bytes.n;
	map_put(&f->all, slice_str(file->path), file);
}

static int files_walk(struct web_files *f, int at, const char *path, unsigned depth, char **why);

/* One entry of a folder. */
static int
files_entry(struct web_files *f, int at, const char *name, const char *path, unsigned depth,
    char **why)
{
	int fd = openat(at, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK), r = 0;
	struct stat st;
	char *bytes;

	if (fd < 0 && errno == ELOOP)
		return 0;
	if (fd < 0 || fstat(fd, &st) < 0) {
		r = -errno;
	} else if (S_ISDIR(st.st_mode)) {
		return files_walk(f, fd, path, depth + 1, why); /* has the descriptor */
	} else if (S_ISREG(st.st_mode)) {
		r = f->octets + (size_t)st.st_size > WEB_FILES_MOST ?
		    -EFBIG :
		    files_load(fd, (size_t)st.st_size, &bytes);
		if (r == 0)
			files_add(f, path, slice(bytes, (size_t)st.st_size));
	}
	if (fd >= 0)
		(void)close(fd);
	if (r < 0 && !*why)
		*why = mem_printf("%s: %s", path,
		    r == -EFBIG ? "more than 64 MiB in all" : strerror(-r));
	return r;
}

static int
files_walk(struct web_files *f, int at, const char *path, unsigned depth, char **why)
{
	DIR *d = fdopendir(at);
	struct dirent *e;
	int r = 0;

	if (!d || depth > FILES_DEPTH) {
		if (d)
			(void)closedir(d);
		else
			(void)close(at);
		*why = mem_printf("%s: %s", path, d ? "too deep" : strerror(errno));
		return -EINVAL;
	}
	while (r == 0 && (e = readdir(d))) {
		char *sub;

		if (e->d_name[0] == '.')
			continue;
		sub = mem_printf("%s/%s", path, e->d_name);
		r = files_entry(f, dirfd(d), e->d_name, sub, depth, why);
		mem_free(&sub);
	}
	(void)closedir(d);
	return r;
}

static struct web_file *
files_beside(const struct web_files *f, const struct web_file *file, const char *ending)
{
	char *path = mem_printf("%s%s", file->path, ending);
	struct web_file *found = map_get(&f->all, slice_str(path));

	mem_free(&path);
	return found;
}

struct web_files *
web_files_read(const char *folder, char **why)
{
	struct web_files *f = mem_new(sizeof(*f));
	struct web_file *file;
	size_t at = 0;
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC), r;

	f->refs = 1;
	*why = NULL;
	r = fd < 0 ? -errno : files_walk(f, fd, "", 0, why);
	if (r < 0) {
		char *text = mem_printf("%s: %s", folder, *why ? *why : strerror(-r));

		mem_release(*why);
		*why = text;
		web_files_unref(&f);
		return NULL;
	}
	while ((file = map_next(&f->all, &at))) {
		file->gz = files_beside(f, file, ".gz");
		file->br = files_beside(f, file, ".br");
	}
	return f;
}

void
web_files_unref(struct web_files **fp)
{
	struct web_files *f = *fp;
	struct web_file *file;
	size_t at = 0;

	*fp = NULL;
	if (!f || --f->refs > 0)
		return;
	while ((file = map_next(&f->all, &at))) {
		char *bytes = (char *)(uintptr_t)file->bytes.p;

		mem_free(&bytes);
		mem_free(&file->path);
		mem_free(&file);
	}
	map_fini(&f->all);
	mem_free(&f);
}

size_t
web_files_count(const struct web_files *f)
{
	return f->all.n;
}

bool
web_files_have(const struct web_files *f, struct slice path)
{
	return map_get(&f->all, path);
}

/* ---- answering --------------------------------------------------------------------------------------------- */

struct files_answer {
	struct web_files *files;
	struct slice rest;
};

static void
files_undo(struct http_server *s)
{
	struct files_answer *a = s->data;

	web_files_unref(&a->files);
}

static enum http_next
files_more(struct http_server *s)
{
	struct files_answer *a = s->data;
	struct slice piece = slice_sub(a->rest, 0, FILES_PIECE);

	http_server_piece(s, piece);
	a->rest = slice_from(a->rest, piece.n);
	return a->rest.n ? HTTP_PULL : HTTP_NEXT;
}

/* Of its forms the one that the client takes, smallest first. */
static const struct web_file *
files_form(const struct web_file *file, const struct http_server *s, const char **coding)
{
	*coding = NULL;
	if (file->br && web_accepts(http_server_head(s), S("br")))
		*coding = "br";
	else if (file->gz && web_accepts(http_server_head(s), S("gzip")))
		*coding = "gzip";
	return !*coding ? file : **coding == 'b' ? file->br : file->gz;
}

static void
files_fields(struct http_server *s, const struct web_file *file, const struct web_file *form)
{
	http_server_field(s, "ETag", slice_str(form->etag));
	http_server_field(s, "Cache-Control",
	    file->forever ? S("public, max-age=31536000, immutable") : S("no-cache"));
	if (file->br || file->gz)
		http_server_field(s, "Vary", S("Accept-Encoding"));
}

/* RFC 9110 13.1.2; our own, for 304 has the other fields too (15.4.5). */
static bool
files_unchanged(const struct http_server *s, const struct web_file *form)
{
	struct slice known = http_head_value(http_server_head(s), S("If-None-Match"));

	return known.p && http_etag_in(known, slice_str(form->etag), true);
}

/* `status` 0: it is looked at whether the client has it. */
static enum http_next
files_answer(struct web_files *f, struct http_server *s, unsigned status, struct slice path,
    void (*fields)(struct http_server *, struct slice path))
{
	const struct web_file *file = map_get(&f->all, path), *form;
	struct files_answer *a;
	const char *coding;

	if (!file)
		return http_server_error(s, 404, NULL);
	form = files_form(file, s, &coding);
	http_server_answer(s, status ? status : files_unchanged(s, form) ? 304 : 200);
	files_fields(s, file, form);
	if (fields)
		fields(s, path);
	if (s->status == 304)
		return http_server_empty(s);
	if (coding)
		http_server_field(s, "Content-Encoding", slice_str(coding));
	a = arena_new(&s->arena, sizeof(*a));
	a->files = f;
	a->rest = form->bytes;
	f->refs++;
	s->data = a;
	s->undo = files_undo;
	return http_server_stream(s, file->type, form->bytes.n, files_more);
}

enum http_next
web_files_answer(struct web_files *f, struct http_server *s, struct slice path,
    void (*fields)(struct http_server *, struct slice path))
{
	return files_answer(f, s, 0, path, fields);
}

enum http_next
web_files_answer_failed(struct web_files *f, struct http_server *s, unsigned status,
    struct slice path, void (*fields)(struct http_server *, struct slice path))
{
	return files_answer(f, s, status, path, fields);
}
