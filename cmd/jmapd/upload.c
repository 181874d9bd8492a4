/* jmapd/upload.c: what users have uploaded (RFC 8620 6.1), as files in rundir.
 *
 * All workers serve all uploads, so they are files: RUNDIR/jmapd/HASH/ID, where HASH is that of the account and
 * ID cannot be guessed.  They are kept for a day (KEEP): an upload looks through its user's own folder, and
 * now and then has the pool look through all.  A user has limit.uploads octets at most, of which a file takes
 * LEAST, so that empty ones are no way to fill a folder; one that grows has its whole length from the first
 * octet, so that many at once are no way around the count.  rundir is memory on most hosts, and others need it: a
 * quarter of it stays free.  A file gets its name when it is whole.  Must stay true: the name that is opened is made of
 * the asking user's account, so another's id leads nowhere. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/crc.h"
#include "base/files.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/random.h"
#include "blob.h"
#include "daemon/sandbox.h"
#include "jmap/id.h"
#include "jmap/request.h"
#include "net/work.h"

#define KEEP  (24 * 3600)      /* seconds */
#define LEAST (128 * 1024)     /* octets that a file counts for */
#define SWEEP (10 * 60 * 1000) /* ms between two looks at all folders */
#define KNOWN 2000             /* ms that a count of one's own is good for */
#define SPARE 4                /* one part in so many of rundir's file system stays free */

struct upload {
	int fd;
	uint64_t size;
	uint64_t counts; /* of the user's, until it is known how long it is */
	char id[40];
	char *path; /* of the file while it grows */
	int error;
};

static char *
upload_dir(void)
{
	return mem_printf("%s/jmapd", shared.rundir);
}

void
upload_reach(void)
{
	char *dir = upload_dir();

	if (mkdir(dir, 0700) < 0 && errno != EEXIST)
		log_event(LOG_WARN, "upload_failed", "path=%s error=%s", log_str(dir),
		    log_str(strerror(errno)));
	sandbox_write(dir);
	mem_free(&dir);
}

/* The user's folder.  Two checksums: files of two accounts that had one by chance are still told apart by their
 * ids. */
static char *
upload_folder(const struct session *s)
{
	const char *account = s->user->account;

	return mem_printf("%s/jmapd/%08x%016llx", shared.rundir,
	    crc32c(0, account, strlen(account)), (unsigned long long)s->user->id);
}

static char *
upload_path(const struct session *s, const char *id, const char *end)
{
	char *folder = upload_folder(s), *path = mem_printf("%s/%s%s", folder, id, end);

	mem_free(&folder);
	return path;
}

/* Old files of the folder go; what the others count for. */
static uint64_t
upload_look(const char *path)
{
	DIR *d = opendir(path);
	struct dirent *e;
	struct stat st;
	uint64_t held = 0;

	while (d && (e = readdir(d))) {
		if (e->d_name[0] == '.' ||
		    fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		if (st.st_mtime + KEEP < clock_now())
			(void)unlinkat(dirfd(d), e->d_name, 0);
		else
			held += st.st_size > LEAST ? (uint64_t)st.st_size : LEAST;
	}
	if (d)
		(void)closedir(d);
	return held;
}

/* ---- folders of those that come no more ------------------------------------------------------------------- */

static struct op sweeping;

/* On a thread of the pool.  A folder in which there is nothing goes, and is made again by the next upload. */
static void
upload_sweep(void *arg)
{
	char *dir = arg, *folder;
	DIR *d = opendir(dir);
	struct dirent *e;

	while (d && (e = readdir(d)) && !work_stopped()) {
		if (e->d_name[0] == '.')
			continue;
		folder = mem_printf("%s/%s", dir, e->d_name);
		if (upload_look(folder) == 0)
			(void)rmdir(folder);
		mem_free(&folder);
	}
	if (d)
		(void)closedir(d);
}

static void
upload_swept(void *arg)
{
	mem_release(arg);
}

static void
upload_sweep_now_and_then(void)
{
	static uint64_t swept_ms;
	uint64_t now = clock_mono_ms();

	if (op_pending(&sweeping) || (swept_ms && now - swept_ms < SWEEP))
		return;
	swept_ms = now;
	work_start(jmapd.loop, &sweeping, upload_sweep, upload_swept, upload_swept, upload_dir());
}

/* ---- files ---------------------------------------------------------------------------------------------- */

static bool
upload_room(int fd, uint64_t size)
{
	struct statvfs st;

	return fstatvfs(fd, &st) < 0 ||
	    (uint64_t)st.f_bavail * st.f_frsize >=
	    size + (uint64_t)st.f_blocks * st.f_frsize / SPARE;
}

static int
upload_create(struct session *s, struct upload *u)
{
	char *folder = upload_folder(s);
	int flags = O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, tries = 0;

	u->path = upload_path(s, u->id, ".new");
	/* Another worker may be sweeping an empty folder away. */
	do {
		u->fd =
		    mkdir(folder, 0700) < 0 && errno != EEXIST ? -1 : open(u->path, flags, 0600);
	} while (u->fd < 0 && errno == ENOENT && ++tries < 3);
	mem_free(&folder);
	return u->fd < 0 ? -errno : 0;
}

/* What the user's files count for: seen a moment ago, or now.  Other workers' are seen so late. */
static uint64_t
upload_held(struct session *s)
{
	struct jmapd_user *user = s->user;
	uint64_t now = clock_mono_ms();
	char *folder;

	if (user->looked_ms && now - user->looked_ms < KNOWN)
		return user->uploaded;
	folder = upload_folder(s);
	user->uploaded = upload_look(folder);
	user->looked_ms = now;
	mem_free(&folder);
	return user->uploaded;
}

/* The upload counts for so much now. */
static void
upload_count(struct session *s, struct upload *u, uint64_t size)
{
	uint64_t *all = &s->user->uploaded;

	*all = *all > u->counts ? *all - u->counts + size : size;
	u->counts = size;
}

/* A file for `size` octets; 0 or -errno. */
static int
upload_begin(struct session *s, struct upload *u, uint64_t size)
{
	uint64_t counts = size > LEAST ? size : LEAST;
	char time[14];
	int rc;

	*u = (struct upload){ .fd = -1 };
	upload_sweep_now_and_then();
	if (upload_held(s) + counts > (uint64_t)config.uploads)
		return -EDQUOT;
	upload_count(s, u, counts);
	(void)snprintf(u->id, sizeof(u->id), "U%s%016llx", random_id(time),
	    (unsigned long long)random_u64());
	rc = upload_create(s, u);
	if (rc == 0 && !upload_room(u->fd, size))
		rc = -ENOSPC;
	if (rc == 0 && ftruncate(u->fd, (off_t)size) < 0)
		rc = -errno;
	return rc;
}

static void
upload_add(struct upload *u, struct slice bytes)
{
	if (u->error == 0)
		u->error = files_write(u->fd, bytes.p, bytes.n);
	u->size += bytes.n;
}

/* The file gets its name. */
static int
upload_end(struct session *s, struct upload *u)
{
	char *path = upload_path(s, u->id, "");

	if (u->error == 0 && ftruncate(u->fd, (off_t)u->size) < 0)
		u->error = -errno; /* it was shorter than it might have been */
	if (u->error == 0 && rename(u->path, path) < 0)
		u->error = -errno;
	if (u->error)
		(void)unlink(u->path);
	upload_count(s, u, u->error ? 0 : u->size > LEAST ? u->size : LEAST);
	(void)close(u->fd);
	u->fd = -1;
	mem_free(&u->path);
	mem_free(&path);
	return u->error;
}

static void
upload_drop(struct session *s, struct upload *u)
{
	if (u->fd >= 0) {
		upload_count(s, u, 0);
		(void)unlink(u->path);
		(void)close(u->fd);
	}
	mem_free(&u->path);
	u->fd = -1;
}

int
upload_open(struct session *s, struct slice id)
{
	char text[40], *path;
	int fd;

	if (id.n >= sizeof(text) || !jmap_id_ok(id))
		return -ENOENT;
	path = upload_path(s, slice_cstr(id, text, sizeof(text)), "");
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	mem_free(&path);
	return fd < 0 ? -errno : fd;
}

int
upload_keep(struct session *s, struct slice octets, struct arena *a, struct slice *id)
{
	struct upload u;
	int rc = upload_begin(s, &u, octets.n);

	if (rc < 0) {
		upload_drop(s, &u);
		return rc;
	}
	upload_add(&u, octets);
	*id = slice_str(arena_str(a, u.id));
	return upload_end(s, &u);
}

/* ---- POST ---------------------------------------------------------------------------------------- */

static void
upload_undo(struct http_server *http)
{
	upload_drop(jmapd_session_of(http), http->data);
}

/* Over a limit, which is named (RFC 8620 3.6.1). */
static enum http_next
upload_limit(struct session *s, unsigned status, const char *limit, const char *detail)
{
	struct jmap_problem p = { .type = "urn:ietf:params:jmap:error:limit", .limit = limit };
	struct buf b = { 0 };
	enum http_next next;

	(void)snprintf(p.detail, sizeof(p.detail), "%s", detail);
	jmap_problem_write(&b, &p, status);
	http_server_answer(&s->http, status);
	next = http_server_content(&s->http, "application/problem+json", buf_get(&b));
	buf_fini(&b);
	return next;
}

static enum http_next
upload_refuse(struct session *s, int error)
{
	if (error == -EDQUOT)
		return upload_limit(s, 400, "limit.uploads", "too much is uploaded within a day");
	log_event(LOG_ERROR, "upload_failed", "sid=%s error=%s", s->sid, log_str(strerror(-error)));
	return route_problem(s, 503, "about:blank", "the upload cannot be kept now");
}

static enum http_next
upload_bytes(struct http_server *http, struct slice bytes)
{
	upload_add(http->data, bytes);
	return HTTP_NEXT;
}

static enum http_next
upload_done(struct http_server *http)
{
	struct session *s = jmapd_session_of(http);
	struct upload *u = http->data;
	struct slice type = http_head_value(http_server_head(http), S("Content-Type"));
	struct buf b = { 0 };
	enum http_next next;
	int rc = upload_end(s, u);

	if (rc < 0)
		return upload_refuse(s, rc);
	metric_add(M_UPLOADS, 1);
	buf_char(&b, '{');
	json_put_cstr(&b, "accountId", s->user->account_id);
	json_put_cstr(&b, "blobId", u->id);
	json_put_str(&b, "type", type.p ? type : S("application/octet-stream"));
	json_put_i64(&b, "size", (int64_t)u->size);
	buf_char(&b, '}');
	http_server_answer(http, 201);
	next = http_server_content(http, "application/json", buf_get(&b));
	buf_fini(&b);
	return next;
}

static const struct http_taker upload_taker = { "upload", upload_bytes, upload_done, NULL };

enum http_next
upload_post(struct session *s, struct slice rest)
{
	const struct http_head *h = http_server_head(&s->http);
	uint64_t size = h->length == HTTP_LENGTH_UNKNOWN ? (uint64_t)config.upload : h->length;
	struct slice account = slice_sub(rest, 0, slice_find(rest, '/'));
	struct upload *u;
	int rc;

	if (!slice_eq(account, slice_str(s->user->account_id)) ||
	    slice_from(rest, account.n + 1).n > 0)
		return http_server_error(&s->http, 404, NULL);
	if (size > (uint64_t)config.upload)
		return upload_limit(s, 413, "maxSizeUpload", "more than maxSizeUpload");
	u = arena_new(&s->http.arena, sizeof(*u));
	rc = upload_begin(s, u, size);
	s->http.data = u;
	s->http.undo = upload_undo;
	return rc < 0 ? upload_refuse(s, rc) :
			http_server_take(&s->http, &upload_taker, (uint64_t)config.upload);
}
