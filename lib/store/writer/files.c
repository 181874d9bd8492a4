/* Message files: links, directories, syncs.
 *
 * Owns struct part_files.  Called by the writer's thread; the purger borrows its descriptors and the
 * lock `names`.  Everything can fail as disks do: -errno, logged here where a message is concerned.
 * A link must be in the in-flight journal before it is made, and synced before its row is committed.
 * Links are made one by one under the name that the index will give, so that no rename follows. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/files.h"
#include "base/log.h"
#include "base/mem.h"
#include "store/writer/writer-impl.h"

/* ---- directories ----------------------------------------------------------------------------- */

/* Below the partition; what is new is synced with the batch. */
static int
writer_file_make_dirs(struct part_files *f, const char *path)
{
	f->dirs_made = true;
	return files_make_dirs_at(f->dirfd, path, 0750);
}

int
writer_make_box_dir(struct part_files *f, struct wbox *b)
{
	return writer_path_unmoved(f, b->dir) ? -EBUSY : writer_file_make_dirs(f, b->dir);
}

void
writer_file_message_path(struct buf *path, const struct wbox *b, uint32_t uid)
{
	buf_clear(path);
	buf_str(path, b->dir);
	store_message_name(path, uid);
}

/* Makes the directory for uid's file, once. */
static int
make_hh(struct part_files *f, struct wbox *b, uint32_t uid, bool again)
{
	uint32_t hh = uid >> 8 & 0xff;
	char *dir;
	int rc;

	if (!again && b->hh[hh / 32] & 1u << hh % 32)
		return 0;
	if (writer_path_unmoved(f, b->dir))
		return -EBUSY;
	dir = mem_printf("%s/%02x", b->dir, hh);
	f->hh_made = true;
	rc = files_make_dirs_at(f->dirfd, dir, 0750);
	mem_free(&dir);
	if (rc == 0)
		b->hh[hh / 32] |= 1u << hh % 32;
	return rc;
}

/* ---- links -------------------------------------------------------------------------------------- */

static void
links_add(struct part_files *f, struct wbox *b, uint32_t uid, struct oplog_file file)
{
	if (f->nlinks == f->links_room) {
		f->links_room = f->links_room ? f->links_room * 2 : 256;
		f->links = mem_grow(f->links, f->links_room, sizeof(*f->links));
	}
	file.uid = uid;
	f->links[f->nlinks++] = (struct wlink){ b, uid, file, 0 };
}

void
writer_unlink(struct part_files *f, const struct wbox *b, uint32_t uid)
{
	struct buf path = { 0 };

	writer_file_message_path(&path, b, uid);
	unlinkat(f->dirfd, buf_cstr(&path), 0);
	buf_fini(&path);
}

void
writer_links_undo(struct part_files *f, size_t keep)
{
	while (f->nlinks > keep) {
		struct wlink *l = &f->links[--f->nlinks];

		if (l->uid)
			writer_unlink(f, l->box, l->uid);
	}
}

int
writer_file_set_aside(struct part_files *f, const struct wbox *b, uint32_t uid, const char *path)
{
	char *to = NULL;
	int rc = writer_file_make_dirs(f, "=aside");

	/* A name that nothing has: what is there stays. */
	for (unsigned n = 0; !to || faccessat(f->dirfd, to, F_OK, AT_SYMLINK_NOFOLLOW) == 0; n++) {
		mem_free(&to);
		to = mem_printf("=aside/%016llx-%u-%llu%s%.0u.msg", (unsigned long long)b->id, uid,
		    (unsigned long long)f->now, n ? "-" : "", n);
	}
	if (rc == 0 && renameat(f->dirfd, path, f->dirfd, to) < 0)
		rc = -errno;
	log_event(LOG_WARN, "store_aside", "path=%s to=%s error=%s", log_str(path), log_str(to),
	    log_str(rc < 0 ? strerror(-rc) : ""));
	mem_free(&to);
	f->sync_more = true;
	return rc;
}

/* Without a name the open file itself: by its descriptor, where the kernel lets those do that who have
 * opened it (Linux 6.10), which spares the walk to its name in /proc. */
static int
link_once(struct part_files *f, int from_fd, const char *from, const char *to)
{
	if (from)
		return linkat(from_fd, from, f->dirfd, to, 0);
	if (!f->link_by_name && linkat(from_fd, "", f->dirfd, to, AT_EMPTY_PATH) == 0)
		return 0;
	if (!f->link_by_name && errno != ENOENT)
		return -1;
	buf_clear(&f->from);
	buf_lit(&f->from, "/proc/self/fd/");
	buf_u64(&f->from, (unsigned)from_fd);
	if (linkat(AT_FDCWD, buf_cstr(&f->from), f->dirfd, to, AT_SYMLINK_FOLLOW) < 0)
		return -1;
	f->link_by_name = true; /* it was not a missing directory */
	return 0;
}

/* One link, with what can be helped: a file in the way, a missing directory. */
static int
link_at(struct part_files *f, int from_fd, const char *from, struct wbox *b, uint32_t uid,
    struct oplog_file file)
{
	struct buf *path = &f->scratch;
	int rc = make_hh(f, b, uid, false);

	if (rc < 0)
		return rc;
	writer_inflight_add(f, b, uid);
	writer_file_message_path(path, b, uid);
	for (int i = 0; i < 3; i++) {
		if (link_once(f, from_fd, from, buf_cstr(path)) == 0) {
			links_add(f, b, uid, file);
			return 0;
		}
		rc = -errno;
		/* What stands where a new message goes belongs to none: its batch was never
		 * committed, or the index has been lost or is older than the files. */
		if (rc == -EEXIST)
			rc = writer_file_set_aside(f, b, uid, buf_cstr(path));
		else if (rc != -ENOENT || i > 0 || make_hh(f, b, uid, true) < 0)
			break;
	}
	return rc;
}

/* With what the log says of it. */
static int
link_fd(struct part_files *f, int fd, struct wbox *b, uint32_t uid)
{
	int rc = writer_body_look(f, fd);

	if (rc < 0)
		return rc;
	return link_at(f, fd, NULL, b, uid, f->seen);
}

static void
writer_clone_forget(struct part_files *f)
{
	if (f->clone.fd)
		close(f->clone.fd);
	f->clone.fd = 0;
	f->seen_of = 0; /* its number is another's soon */
}

/* A file can have 65,000 names (ext4): then a copy begins a new life. */
static int
link_copy(struct part_files *f, int fd, struct wbox *b, uint32_t uid)
{
	int copy = writer_clone_body(f, fd), rc;

	if (copy < 0)
		return copy;
	rc = link_fd(f, copy, b, uid);
	close(copy);
	f->seen_of = 0;
	f->sync_more = true;
	return rc;
}

/* The disk may have the body while the rows are made, so that the sync behind them has less to wait for; that fails
 * with what this was told. */
static void
body_start(struct part_files *f, int fd)
{
	if (f->sync && f->in_place && f->started == 0)
		f->started = files_set_out(fd, 0, 0);
}

int
writer_link_body(struct part_files *f, struct wbox *b, uint32_t uid, int fd)
{
	int rc = link_fd(f, fd, b, uid);
	uint32_t n;

	if (rc == -EMLINK)
		rc = link_copy(f, fd, b, uid);
	if (rc < 0) {
		log_event(LOG_ERROR, "store_link", "account=%s mailbox=%llx uid=%u error=%s",
		    log_str(b->acct->name), (unsigned long long)b->id, uid, log_str(strerror(-rc)));
		return rc;
	}
	f->links[f->nlinks - 1].body = n = writer_bodies_add(f, fd);
	if (f->bodies.large && n <= SYNC_FEW)
		body_start(f, fd);
	return 0;
}

/* Of a copy's file: as of its source, which may have come in with this batch and go with it. */
static struct oplog_file
copy_look(const struct part_files *f, const struct wbox *from, uint32_t uid)
{
	for (size_t i = 0; i < f->nlinks; i++)
		if (f->links[i].box == from && f->links[i].uid == uid)
			return f->links[i].file;
	return (struct oplog_file){ .checked = 0 };
}

/* Two directories of messages that a run of copies goes between: names are then short, which
 * halves the cost of a link. */
struct pair {
	int from, to; /* descriptors, -1 = not open */
	uint32_t from_hh, to_hh;
};

static int
open_hh(struct part_files *f, const struct wbox *b, uint32_t uid)
{
	char *dir = mem_printf("%s/%02x", b->dir, uid >> 8 & 0xff);
	int fd = openat(f->dirfd, dir, O_PATH | O_DIRECTORY | O_CLOEXEC);

	mem_free(&dir);
	return fd;
}

static void
pair_close(struct pair *d)
{
	if (d->from >= 0)
		close(d->from);
	if (d->to >= 0)
		close(d->to);
	d->from = d->to = -1;
}

/* Makes d the directories of these two UIDs; false when one cannot be opened. */
static bool
pair_open(struct part_files *f, struct pair *d, struct wbox *from, uint32_t uid, struct wbox *to,
    uint32_t to_uid)
{
	if (d->from >= 0 && d->to >= 0 && d->from_hh == uid >> 8 && d->to_hh == to_uid >> 8)
		return true;
	pair_close(d);
	if (make_hh(f, to, to_uid, false) < 0)
		return false;
	d->from_hh = uid >> 8;
	d->to_hh = to_uid >> 8;
	d->from = open_hh(f, from, uid);
	d->to = open_hh(f, to, to_uid);
	return d->from >= 0 && d->to >= 0;
}

static bool
link_quick(struct part_files *f, struct pair *d, struct wbox *from, uint32_t uid, struct wbox *to,
    uint32_t to_uid)
{
	char a[24], b[24];

	if (!pair_open(f, d, from, uid, to, to_uid))
		return false;
	snprintf(a, sizeof(a), "%u.msg", uid);
	snprintf(b, sizeof(b), "%u.msg", to_uid);
	writer_inflight_add(f, to, to_uid);
	if (linkat(d->from, a, d->to, b, 0) < 0)
		return false;
	links_add(f, to, to_uid, copy_look(f, from, uid));
	return true;
}

/* The link is there already: the linker comes by again after a crash. */
static bool
is_linked(struct part_files *f, const char *from, const struct wbox *to, uint32_t to_uid)
{
	struct stat a, b;

	writer_file_message_path(&f->scratch, to, to_uid);
	return fstatat(f->dirfd, from, &a, AT_SYMLINK_NOFOLLOW) == 0 &&
	    fstatat(f->dirfd, buf_cstr(&f->scratch), &b, AT_SYMLINK_NOFOLLOW) == 0 &&
	    a.st_ino == b.st_ino && a.st_dev == b.st_dev;
}

/* The file has as many names as it can.  What is copied from it in this batch shares one new life,
 * as long as that has room. */
static int
link_full(struct part_files *f, const char *from, struct wbox *to, uint32_t to_uid)
{
	int fd = openat(f->dirfd, from, O_RDONLY | O_CLOEXEC | O_NOFOLLOW), rc = -EMLINK;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		rc = -errno;
	else if (f->clone.fd && f->clone.of == st.st_ino)
		rc = link_fd(f, f->clone.fd, to, to_uid);
	if (rc == -EMLINK) {
		writer_clone_forget(f);
		rc = writer_clone_body(f, fd);
		if (rc >= 0) {
			f->clone.fd = rc;
			f->clone.of = st.st_ino;
			f->sync_more = true;
			rc = link_fd(f, f->clone.fd, to, to_uid);
		}
	}
	if (fd >= 0)
		close(fd);
	return rc;
}

/* The long way, for everything that is not plain. */
static int
link_message(struct part_files *f, struct wbox *from, uint32_t uid, struct wbox *to,
    uint32_t to_uid)
{
	struct buf path = { 0 };
	int rc = 0;

	writer_file_message_path(&path, from, uid);
	if (is_linked(f, buf_cstr(&path), to, to_uid))
		links_add(f, to, to_uid, copy_look(f, from, uid));
	else
		rc = link_at(f, f->dirfd, buf_cstr(&path), to, to_uid, copy_look(f, from, uid));
	if (rc == -EMLINK)
		rc = link_full(f, buf_cstr(&path), to, to_uid);
	if (rc < 0)
		log_event(LOG_ERROR, "store_link", "account=%s mailbox=%llx uid=%u error=%s",
		    log_str(from->acct->name), (unsigned long long)from->id, uid,
		    log_str(strerror(-rc)));
	buf_fini(&path);
	return rc;
}

int
writer_link_messages(struct part_files *f, struct wbox *from, const uint32_t *uids, size_t n,
    struct wbox *to, uint32_t first_uid)
{
	struct pair d = { -1, -1, 0, 0 };
	int rc = 0;

	f->sync_more = true;
	for (size_t i = 0; i < n && rc == 0; i++) {
		uint32_t to_uid = first_uid + (uint32_t)i;

		if (!link_quick(f, &d, from, uids[i], to, to_uid))
			rc = link_message(f, from, uids[i], to, to_uid);
	}
	pair_close(&d);
	return rc;
}

/* With one flush of the disk, where that can be.
 *
 * Bodies that are in their journal (bodies.c): that and the log.  Else many files, or new directories: syncfs, which writes what else there is, the index's pages too,
 * but knows one journal commit for all.  A few: fsync of each, which carries its new name with it (that
 * is in the same or an earlier journal transaction; fdatasync would not), and flushes the disk's cache; the
 * frame is brought there before.  That is what sync_file_range does where it overwrites blocks that the
 * file has already (sync_file_range(2)), on a file system that overwrites, with data and journal on one
 * disk or flushing both.  Else, and without files: fdatasync of the log by itself. */
int
writer_sync_batch(struct part_files *f, struct wlog *l)
{
	const unsigned all =
	    SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER;
	const struct wbody *bodies = (const void *)f->bodies.list.p;
	size_t nsync = f->bodies.list.n / sizeof(*bodies);
	bool frame = l->at > l->before;
	uint64_t size = l->size;

	if (!f->sync || f->started < 0)
		return f->started;
	if (f->bodies.written && frame) {
		int rc = writer_bodies_sync(f, l);

		if (rc < 0)
			return rc;
		if (fdatasync(l->fd) < 0)
			return -errno;
	} else if (f->sync_more || f->dirs_made || f->hh_made || nsync > SYNC_FEW) {
		if (syncfs(f->syncfd) < 0)
			return -errno;
	} else {
		bool along = frame && nsync && f->in_place && l->at <= l->stable;

		if (along &&
		    sync_file_range(l->fd, (off_t)l->before, (off_t)(l->at - l->before), all) < 0)
			return -errno;
		for (size_t i = 0; i < nsync; i++)
			if (fsync(bodies[i].fd) < 0)
				return -errno;
		if (frame && !along && fdatasync(l->fd) < 0)
			return -errno;
		if (along || !frame)
			return 0;
	}
	l->stable = size;
	return 0;
}

/* ---- the lock of names --------------------------------------------------------------------------- */

/* In the order in which they ask: who takes it again and again would keep it otherwise. */
void
writer_names_lock(struct part_files *f)
{
	pthread_mutex_lock(&f->names_turn);
	pthread_mutex_lock(&f->names);
	pthread_mutex_unlock(&f->names_turn);
}

void
writer_names_unlock(struct part_files *f)
{
	pthread_mutex_unlock(&f->names);
}

/* ---- removing directories ------------------------------------------------------------------------ */

void
writer_remove_tree(int dirfd, const char *path)
{
	int fd = openat(dirfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);

	for (struct dirent *e; d && (e = readdir(d));) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		if (unlinkat(fd, e->d_name, 0) < 0 && (errno == EISDIR || errno == EPERM))
			writer_remove_tree(fd, e->d_name);
	}
	if (d)
		closedir(d);
	else if (fd >= 0)
		close(fd);
	unlinkat(dirfd, path, AT_REMOVEDIR);
}

/* ---- life --------------------------------------------------------------------------------------- */

void
writer_files_begin(struct part_files *f, int64_t now)
{
	f->now = now;
	f->batch++;
	f->nlinks = 0;
	f->started = 0;
	writer_clone_forget(f);
	buf_clear(&f->bodies.list);
	f->bodies.large = f->bodies.written = false;
	f->sync_more = f->dirs_made = f->hh_made = false;
}

void
writer_files_close(struct part_files *f)
{
	writer_inflight_close(f);
	writer_unmoved_fini(f);
	writer_clone_forget(f);
	writer_bodies_close(f);
	if (f->dirfd >= 0)
		close(f->dirfd);
	if (f->syncfd >= 0)
		close(f->syncfd);
	buf_fini(&f->scratch);
	buf_fini(&f->from);
	mem_free(&f->links);
	pthread_mutex_destroy(&f->names);
	pthread_mutex_destroy(&f->names_turn);
}
