/* Message files: links, directories, syncs, and the note that finds the files of a batch
 * that was cut off by a crash. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "store/write_private.h"

/* ---- directories ----------------------------------------------------------------------------- */

/* mkdir -p below the partition. */
static int
make_dirs(struct store_part *p, const char *path)
{
	char *copy;
	int rc = 0;

	p->dirs_made = true;
	if (mkdirat(p->dirfd, path, 0750) == 0 || errno == EEXIST)
		return 0;
	if (errno != ENOENT)
		return -errno;
	copy = mem_str(path);
	for (char *s = copy; rc == 0 && (s = strchr(s, '/')); *s++ = '/') {
		*s = 0;
		if (mkdirat(p->dirfd, copy, 0750) < 0 && errno != EEXIST)
			rc = -errno;
	}
	if (rc == 0 && mkdirat(p->dirfd, path, 0750) < 0 && errno != EEXIST)
		rc = -errno;
	mem_free(&copy);
	return rc;
}

int
make_box_dir(struct store_part *p, struct wbox *b)
{
	return make_dirs(p, b->dir);
}

static void
message_path(struct buf *path, const struct wbox *b, uint32_t uid)
{
	buf_clear(path);
	buf_str(path, b->dir);
	store_message_name(path, uid);
}

/* Makes the directory for uid's file, once. */
static int
make_hh(struct store_part *p, struct wbox *b, uint32_t uid, bool again)
{
	uint32_t hh = uid >> 8 & 0xff;
	char *dir;
	int rc;

	if (!again && b->hh[hh / 32] & 1u << hh % 32)
		return 0;
	dir = mem_printf("%s/%02x", b->dir, hh);
	rc = make_dirs(p, dir);
	mem_free(&dir);
	if (rc == 0)
		b->hh[hh / 32] |= 1u << hh % 32;
	return rc;
}

/* ---- links -------------------------------------------------------------------------------------- */

static void
links_add(struct store_part *p, struct wbox *b, uint32_t uid)
{
	if (p->nlinks == p->links_room) {
		p->links_room = p->links_room ? p->links_room * 2 : 256;
		p->links = mem_grow(p->links, p->links_room, sizeof(*p->links));
	}
	p->links[p->nlinks++] = (struct wlink){ b, uid };
}

void
links_undo(struct store_part *p, size_t keep)
{
	struct buf path = { 0 };

	while (p->nlinks > keep) {
		struct wlink *l = &p->links[--p->nlinks];

		message_path(&path, l->box, l->uid);
		unlinkat(p->dirfd, buf_cstr(&path), 0);
	}
	buf_fini(&path);
}

/* A file stands where a new message goes.  It belongs to no message: its batch was never
 * committed, or the index has been lost or is older than the files.  It is kept, out of the way. */
static int
set_aside(struct store_part *p, const struct wbox *b, uint32_t uid, const char *path)
{
	char *to = mem_printf("=aside/%016llx-%u-%llu.msg", (unsigned long long)b->id, uid,
	    (unsigned long long)p->now);
	int rc = make_dirs(p, "=aside");

	if (rc == 0 && renameat(p->dirfd, path, p->dirfd, to) < 0)
		rc = -errno;
	log_event(LOG_WARN, "store_aside", "path=%s to=%s error=%s", log_str(path), log_str(to),
	    log_str(rc < 0 ? strerror(-rc) : ""));
	mem_free(&to);
	return rc;
}

/* One linkat, with what can be helped: a file in the way, a missing directory. */
static int
link_at(struct store_part *p, int from_fd, const char *from, int flags, struct wbox *b, uint32_t uid)
{
	struct buf *path = &p->scratch;
	int rc = make_hh(p, b, uid, false);

	if (rc < 0)
		return rc;
	note_add(p, b);
	message_path(path, b, uid);
	for (int i = 0; i < 3; i++) {
		if (linkat(from_fd, from, p->dirfd, buf_cstr(path), flags) == 0) {
			links_add(p, b, uid);
			return 0;
		}
		rc = -errno;
		if (rc == -EEXIST)
			rc = set_aside(p, b, uid, buf_cstr(path));
		else if (rc != -ENOENT || i > 0 || make_hh(p, b, uid, true) < 0)
			break;
	}
	return rc;
}

/* A file can have 65,000 names (ext4): then a copy begins a new life. */
static int
link_copy(struct store_part *p, int fd, struct wbox *b, uint32_t uid)
{
	char from[64];
	int copy = clone_body(p, fd), rc;

	if (copy < 0)
		return copy;
	snprintf(from, sizeof(from), "/proc/self/fd/%d", copy);
	rc = link_at(p, AT_FDCWD, from, AT_SYMLINK_FOLLOW, b, uid);
	close(copy);
	p->bulk = true;
	return rc;
}

int
link_body(struct store_part *p, struct wbox *b, uint32_t uid, int fd)
{
	char from[64];
	int rc;

	snprintf(from, sizeof(from), "/proc/self/fd/%d", fd);
	rc = link_at(p, AT_FDCWD, from, AT_SYMLINK_FOLLOW, b, uid);
	if (rc == -EMLINK)
		rc = link_copy(p, fd, b, uid);
	if (rc < 0) {
		log_event(LOG_ERROR, "store_link", "account=%s mailbox=%llx uid=%u error=%s",
		    log_str(b->acct->name), (unsigned long long)b->id, uid, log_str(strerror(-rc)));
		return rc;
	}
	if (p->nsync < SYNC_FEW && (p->nsync == 0 || p->sync_fds[p->nsync - 1] != fd))
		p->sync_fds[p->nsync++] = fd;
	else if (p->nsync == SYNC_FEW)
		p->bulk = true;
	return 0;
}

/* Two directories of messages that a run of copies goes between: names are then short, which
 * halves the cost of a link. */
struct pair {
	int from, to;            /* descriptors, -1 = not open */
	uint32_t from_hh, to_hh;
};

static int
open_hh(struct store_part *p, const struct wbox *b, uint32_t uid)
{
	char *dir = mem_printf("%s/%02x", b->dir, uid >> 8 & 0xff);
	int fd = openat(p->dirfd, dir, O_PATH | O_DIRECTORY | O_CLOEXEC);

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
pair_open(struct store_part *p, struct pair *d, struct wbox *from, uint32_t uid, struct wbox *to,
    uint32_t to_uid)
{
	if (d->from >= 0 && d->to >= 0 && d->from_hh == uid >> 8 && d->to_hh == to_uid >> 8)
		return true;
	pair_close(d);
	if (make_hh(p, to, to_uid, false) < 0)
		return false;
	d->from_hh = uid >> 8;
	d->to_hh = to_uid >> 8;
	d->from = open_hh(p, from, uid);
	d->to = open_hh(p, to, to_uid);
	return d->from >= 0 && d->to >= 0;
}

static bool
link_quick(struct store_part *p, struct pair *d, struct wbox *from, uint32_t uid, struct wbox *to,
    uint32_t to_uid)
{
	char a[24], b[24];

	if (!pair_open(p, d, from, uid, to, to_uid))
		return false;
	snprintf(a, sizeof(a), "%u.msg", uid);
	snprintf(b, sizeof(b), "%u.msg", to_uid);
	note_add(p, to);
	if (linkat(d->from, a, d->to, b, 0) < 0)
		return false;
	links_add(p, to, to_uid);
	return true;
}

/* The long way, for everything that is not plain. */
static int
link_message(struct store_part *p, struct wbox *from, uint32_t uid, struct wbox *to, uint32_t to_uid)
{
	struct buf path = { 0 };
	int rc, fd;

	message_path(&path, from, uid);
	rc = link_at(p, p->dirfd, buf_cstr(&path), 0, to, to_uid);
	if (rc == -EMLINK) {
		fd = openat(p->dirfd, buf_cstr(&path), O_RDONLY | O_CLOEXEC);
		rc = fd < 0 ? -errno : link_copy(p, fd, to, to_uid);
		if (fd >= 0)
			close(fd);
	}
	if (rc < 0)
		log_event(LOG_ERROR, "store_link", "account=%s mailbox=%llx uid=%u error=%s",
		    log_str(from->acct->name), (unsigned long long)from->id, uid,
		    log_str(strerror(-rc)));
	buf_fini(&path);
	return rc;
}

int
link_messages(struct store_part *p, struct wbox *from, const struct store_record *rec, size_t n,
    struct wbox *to, uint32_t first_uid)
{
	struct pair d = { -1, -1, 0, 0 };
	int rc = 0;

	p->bulk = true;
	for (size_t i = 0; i < n && rc == 0; i++) {
		uint32_t uid = rec[i].uid, to_uid = first_uid + (uint32_t)i;

		if (!link_quick(p, &d, from, uid, to, to_uid))
			rc = link_message(p, from, uid, to, to_uid);
	}
	pair_close(&d);
	return rc;
}

int
store_part_body(struct store_part *p)
{
	int fd = open(p->path, O_TMPFILE | O_RDWR | O_CLOEXEC, 0640);

	return fd < 0 ? -errno : fd;
}

int
clone_body(struct store_part *p, int fd)
{
	int to = store_part_body(p);
	off_t at = 0;
	struct stat st;

	if (to < 0)
		return to;
	if (fstat(fd, &st) < 0)
		goto fail;
	while (at < st.st_size) {
		char bytes[65536];
		ssize_t n = pread(fd, bytes, sizeof(bytes), at);

		if (n <= 0 || pwrite(to, bytes, (size_t)n, at) != n) {
			errno = n == 0 ? EIO : errno ? errno : EIO;
			goto fail;
		}
		at += n;
	}
	return to;
fail:
	at = -errno;
	close(to);
	return (int)at;
}

/* After the links, before the commit.  fsync of a file carries its new name with it (the name
 * is in the same or an earlier journal transaction); fdatasync would not. */
int
sync_files(struct store_part *p)
{
	if (!p->c.sync)
		return 0;
	if (p->bulk || p->dirs_made)
		return syncfs(p->syncfd) < 0 ? -errno : 0;
	for (size_t i = 0; i < p->nsync; i++)
		if (fsync(p->sync_fds[i]) < 0)
			return -errno;
	return 0;
}

/* ---- moving and removing directories --------------------------------------------------------------- */

static void
parent_of(char *path)
{
	char *slash = strrchr(path, '/');

	if (slash)
		*slash = 0;
}

static int
move_one(struct store_part *p, const char *from, const char *to)
{
	if (renameat(p->dirfd, from, p->dirfd, to) == 0)
		return 0;
	return -errno;
}

int
move_dir(struct store_part *p, enum store_intent kind, const char *from, const char *to)
{
	char *parent = mem_str(to);
	int rc;

	if (kind == STORE_INTENT_TREE)
		parent_of(parent);
	rc = make_dirs(p, parent);
	mem_free(&parent);
	if (rc == 0 && kind == STORE_INTENT_TREE) {
		rc = move_one(p, from, to);
		return rc == -ENOENT ? 0 : rc;
	}
	for (unsigned hh = 0; hh < 256 && rc == 0; hh++) {
		char *a = mem_printf("%s/%02x", from, hh), *b = mem_printf("%s/%02x", to, hh);

		rc = move_one(p, a, b);
		if (rc == -ENOENT)
			rc = 0;
		mem_free(&a);
		mem_free(&b);
	}
	return rc;
}

void
remove_tree(int dirfd, const char *path)
{
	int fd = openat(dirfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);

	for (struct dirent *e; d && (e = readdir(d));) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		if (unlinkat(fd, e->d_name, 0) < 0 && (errno == EISDIR || errno == EPERM))
			remove_tree(fd, e->d_name);
	}
	if (d)
		closedir(d);
	else if (fd >= 0)
		close(fd);
	unlinkat(dirfd, path, AT_REMOVEDIR);
}

/* ---- the note ------------------------------------------------------------------------------------------
 * `note` is a small mapped file that says which mailboxes the running batch links files into.
 * It is written before the first link, without a sync: it is for the death of the process.
 * After a power cut it may be old; what is left over then is found by `storectl check`, and
 * set aside when the UID is given out. */

#define NOTE_SIZE (1024 * 1024)
#define NOTE_HEAD 14u

struct note {
	uint32_t used;          /* bytes behind this header */
	uint32_t more;          /* some mailboxes did not fit */
	char entries[NOTE_SIZE - 8]; /* {id u64, first uid u32, length u16, directory} */
};

int
note_open(struct store_part *p)
{
	int fd = openat(p->dirfd, "note", O_RDWR | O_CREAT | O_CLOEXEC, 0640);
	void *map = MAP_FAILED;
	int rc;

	if (fd < 0)
		return -errno;
	rc = -posix_fallocate(fd, 0, NOTE_SIZE);
	if (rc == 0) {
		map = mmap(NULL, NOTE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		rc = map == MAP_FAILED ? -errno : 0;
	}
	close(fd);
	if (rc == 0)
		p->note = map;
	return rc;
}

void
note_close(struct store_part *p)
{
	if (p->note)
		munmap(p->note, NOTE_SIZE);
	p->note = NULL;
}

void
note_add(struct store_part *p, struct wbox *b)
{
	struct note *n = p->note;
	uint16_t len = (uint16_t)strlen(b->dir);

	if (b->noted == p->batch)
		return;
	b->noted = p->batch;
	if (n->used + NOTE_HEAD + len > sizeof(n->entries)) {
		n->more = 1;
		return;
	}
	memcpy(n->entries + n->used, &b->id, 8);
	memcpy(n->entries + n->used + 8, &b->d.uidnext, 4);
	memcpy(n->entries + n->used + 12, &len, 2);
	memcpy(n->entries + n->used + NOTE_HEAD, b->dir, len);
	/* The length last: a torn entry is not there. */
	__atomic_store_n(&n->used, n->used + NOTE_HEAD + len, __ATOMIC_RELEASE);
}

void
note_clear(struct store_part *p)
{
	if (p->note->used)
		__atomic_store_n(&p->note->used, 0, __ATOMIC_RELEASE);
	p->note->more = 0;
}

/* Removes the files of uids from `uidnext` on in one directory; returns how many. */
static unsigned
sweep(struct store_part *p, const char *dir, uint32_t uidnext)
{
	int fd = openat(p->dirfd, dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	unsigned n = 0;

	for (struct dirent *e; d && (e = readdir(d));) {
		uint64_t uid;
		struct slice name = slice_str(e->d_name);

		if (!slice_ends(name, S(".msg")) ||
		    slice_u64(slice(name.p, name.n - 4), UINT32_MAX, &uid) < 0 || uid < uidnext)
			continue;
		if (unlinkat(fd, e->d_name, 0) == 0)
			n++;
	}
	if (d)
		closedir(d);
	else if (fd >= 0)
		close(fd);
	return n;
}

static void
mend_box(struct store_part *p, uint64_t id, uint32_t first, const char *dir)
{
	struct wbox *b = box_find(p, id);
	/* Never below what the batch began with, whatever has become of the index. */
	uint32_t uidnext = b && b->d.uidnext > first ? b->d.uidnext : first;
	unsigned n = 0;

	/* UIDs of one batch are neighbours: up to 256 directories, mostly one. */
	for (unsigned i = 0; i < 256; i++) {
		char *hh = mem_printf("%s/%02x", b ? b->dir : dir, ((uidnext >> 8) + i) & 0xff);
		unsigned found = sweep(p, hh, uidnext);

		mem_free(&hh);
		n += found;
		if (!found && i > 0)
			break;
	}
	if (n)
		log_event(LOG_INFO, "store_mend", "mailbox=%llx dir=%s files=%u",
		    (unsigned long long)id, log_str(dir), n);
}

void
note_mend(struct store_part *p)
{
	struct note *n = p->note;
	uint32_t at = 0;

	if (n->used > sizeof(n->entries))
		n->used = 0;
	while (at + NOTE_HEAD <= n->used) {
		uint64_t id;
		uint32_t first;
		uint16_t len;
		char *dir;

		memcpy(&id, n->entries + at, 8);
		memcpy(&first, n->entries + at + 8, 4);
		memcpy(&len, n->entries + at + 12, 2);
		if (at + NOTE_HEAD + len > n->used)
			break;
		dir = mem_strn(n->entries + at + NOTE_HEAD, len);
		mend_box(p, id, first, dir);
		mem_free(&dir);
		at += NOTE_HEAD + len;
	}
	if (n->more)
		log_event(LOG_WARN, "store_mend", "more=1");
	note_clear(p);
}
