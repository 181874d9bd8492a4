/* jmapd/upload.c: what users have uploaded (RFC 8620 6.1), as files in rundir.
 *
 * All workers serve all uploads, so they are files: RUNDIR/jmapd/HASH-ID, where HASH is that of the account and
 * ID cannot be guessed.  They are kept for a day (KEEP), and go when the next upload looks; a user has
 * limit.uploads octets at most.  A file gets its name when it is whole.  Must stay true: the name that is
 * opened is made of the asking user's account, so another's id leads nowhere. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
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

#define KEEP (24 * 3600) /* seconds */

struct upload {
	int fd;
	uint64_t size;
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

/* Two checksums: files of two accounts that had one by chance are still told apart by their ids. */
static char *
upload_path(const struct session *s, const char *id, const char *end)
{
	const char *account = s->user->account;
	size_t n = strlen(account);

	return mem_printf("%s/jmapd/%08x%016llx-%s%s", shared.rundir, crc32c(0, account, n),
	    (unsigned long long)s->user->id, id, end);
}

/* Old files go; *held is what this user has. */
static void
upload_look(const struct session *s, uint64_t *held)
{
	char *dir = upload_dir(), *mine = upload_path(s, "", ""), *name = strrchr(mine, '/') + 1;
	DIR *d = opendir(dir);
	struct dirent *e;
	struct stat st;

	*held = 0;
	while (d && (e = readdir(d))) {
		if (e->d_name[0] == '.' ||
		    fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		if (st.st_mtime + KEEP < clock_now())
			(void)unlinkat(dirfd(d), e->d_name, 0);
		else if (strncmp(e->d_name, name, strlen(name)) == 0)
			*held += (uint64_t)st.st_size;
	}
	if (d)
		(void)closedir(d);
	mem_free(&dir);
	mem_free(&mine);
}

/* A file for `size` octets; 0 or -errno. */
static int
upload_begin(struct session *s, struct upload *u, uint64_t size)
{
	uint64_t held;
	char time[14];

	*u = (struct upload){ .fd = -1 };
	upload_look(s, &held);
	if (held + size > (uint64_t)config.uploads)
		return -EDQUOT;
	(void)snprintf(u->id, sizeof(u->id), "U%s%016llx", random_id(time),
	    (unsigned long long)random_u64());
	u->path = upload_path(s, u->id, ".new");
	u->fd = open(u->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	return u->fd < 0 ? -errno : 0;
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

	if (u->error == 0 && rename(u->path, path) < 0)
		u->error = -errno;
	if (u->error)
		(void)unlink(u->path);
	(void)close(u->fd);
	u->fd = -1;
	mem_free(&u->path);
	mem_free(&path);
	return u->error;
}

static void
upload_drop(struct upload *u)
{
	if (u->fd >= 0) {
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
		upload_drop(&u);
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
	upload_drop(http->data);
}

static enum http_next
upload_refuse(struct session *s, int error)
{
	if (error == -EDQUOT)
		return route_problem(s, 400, "urn:ietf:params:jmap:error:limit",
		    "too much is uploaded, and not used yet (limit.uploads)");
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
		return route_problem(s, 413, "urn:ietf:params:jmap:error:limit",
		    "more than maxSizeUpload");
	u = arena_new(&s->http.arena, sizeof(*u));
	rc = upload_begin(s, u, size);
	s->http.data = u;
	s->http.undo = upload_undo;
	return rc < 0 ? upload_refuse(s, rc) :
			http_server_take(&s->http, &upload_taker, (uint64_t)config.upload);
}
