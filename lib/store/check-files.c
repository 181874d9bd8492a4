/* The files of a partition: does each message have one, and each file a message?
 *
 * Called by check.c for storectl check, after the records; it changes nothing.  stored may be at work:
 * what looks wrong is looked at again in a new snapshot, a few times, and told only when it stays.  What
 * must stay true: no snapshot is held while a directory is read (that of all folders apart, whose names
 * must not change meanwhile), or stored could not use freed pages again. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "store/check-impl.h"
#include "store/pending.h"
#include "store/read-impl.h"

#define LOOKS 5

/* A message as the index has it. */
struct seen {
	uint32_t uid, size;
	bool found;
};

static DIR *
store_check_files_open_dir(int at, const char *path)
{
	int fd = openat(at, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);

	if (!d && fd >= 0)
		close(fd);
	return d;
}

static bool
file_uid(const char *name, uint32_t *uid)
{
	struct slice s = slice_str(name);
	uint64_t v;

	if (!slice_ends(s, S(".msg")) || slice_u64(slice(s.p, s.n - 4), UINT32_MAX, &v) < 0)
		return false;
	*uid = (uint32_t)v;
	return true;
}

/* ---- a mailbox ---------------------------------------------------------------------------------- */

static struct seen *
find_seen(struct buf *list, uint32_t uid)
{
	struct seen *s = (void *)list->p;
	size_t lo = 0, hi = list->n / sizeof(*s);

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (s[mid].uid == uid)
			return &s[mid];
		if (s[mid].uid < uid)
			lo = mid + 1;
		else
			hi = mid;
	}
	return NULL;
}

static void
check_hh(struct checker *k, const struct store_mailbox *m, const char *dir, struct buf *list)
{
	DIR *d = store_check_files_open_dir(k->v->r->dirfd, dir);

	for (struct dirent *e; d && (e = readdir(d));) {
		struct seen *s;
		struct stat st;
		uint32_t uid;

		if (e->d_name[0] == '.')
			continue;
		k->c->files++;
		if (!file_uid(e->d_name, &uid)) {
			store_check_finding(k, "file %s/%s: not a message", dir, e->d_name);
			continue;
		}
		s = find_seen(list, uid);
		if (!s && !store_check_waiting_has(k, m->id, uid))
			store_check_finding(k, "file %s/%s: no message has it", dir, e->d_name);
		if (!s)
			continue;
		s->found = true;
		if (fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
		    st.st_size != s->size)
			store_check_finding(k, "file %s/%s: size is %lld, not %u", dir, e->d_name,
			    (long long)st.st_size, s->size);
	}
	if (d)
		closedir(d);
}

/* A copy whose file is still to be made. */
static bool
is_pending(struct store_view *v, uint64_t mailbox, uint32_t uid)
{
	return store_has(v, STORE_T_PENDING) &&
	    store_pending_find(store_cursor(v, STORE_T_PENDING), mailbox, uid, &(uint64_t){ 0 },
		&(uint32_t){ 0 });
}

/* One look; findings are held. */
static void
look_at_box(struct checker *k, uint64_t id)
{
	struct buf list = { 0 }, dir = { 0 };
	struct store_mailbox m;
	struct store_blocks b;
	const struct store_record *rec;
	size_t n;

	if (store_refresh(k->v) < 0)
		return;
	if (store_get_mailbox(k->v, id, &m) < 0) { /* deleted since */
		store_end(k->v);
		return;
	}
	if (k->again)
		store_check_waiting_load(k);
	store_blocks_init(&b, k->v, id, 1, UINT32_MAX);
	while ((rec = store_blocks_next(&b, &n)))
		for (size_t i = 0; i < n; i++) {
			struct seen s = { rec[i].uid, rec[i].size,
				is_pending(k->v, id, rec[i].uid) };

			buf_add(&list, &s, sizeof(s));
		}
	store_folder_dir(&dir, m.account_name, m.name);
	store_end(k->v);
	for (unsigned hh = 0; hh < 256; hh++) {
		char *path = mem_printf("%s/%02x", buf_cstr(&dir), hh);

		check_hh(k, &m, path, &list);
		mem_free(&path);
	}
	for (size_t i = 0; i < list.n / sizeof(struct seen); i++) {
		const struct seen *s = (const struct seen *)(void *)list.p + i;

		if (!s->found)
			store_check_finding(k, "mailbox %llx: uid %u has no file in %s",
			    (unsigned long long)id, s->uid, buf_cstr(&dir));
	}
	buf_fini(&list);
	buf_fini(&dir);
}

/* ---- directories ---------------------------------------------------------------------------------- */

/* Is there a message file anywhere below?  Empty directories may be left by a crash and are
 * used again; they are no findings. */
static bool
has_messages(int at, const char *path)
{
	DIR *d = store_check_files_open_dir(at, path);
	bool found = false;

	for (struct dirent *e; d && !found && (e = readdir(d));) {
		uint32_t uid;

		if (e->d_name[0] == '.')
			continue;
		found = file_uid(e->d_name, &uid) || has_messages(dirfd(d), e->d_name);
	}
	if (d)
		closedir(d);
	return found;
}

/* Folder directories of an account that no name leads to. */
static void
look_at_dirs(struct checker *k, int at, const char *path, uint64_t account, struct slice above)
{
	DIR *d = store_check_files_open_dir(at, path);

	for (struct dirent *e; d && (e = readdir(d));) {
		struct buf name = { 0 };
		uint64_t id;

		if (e->d_name[0] != '=')
			continue;
		buf_slice(&name, above);
		if (above.n)
			buf_char(&name, STORE_SEPARATOR);
		if (store_component_parse(slice_str(e->d_name), &name) < 0 ||
		    store_find_mailbox(k->v, account, buf_get(&name), &id) < 0) {
			if (has_messages(dirfd(d), e->d_name))
				store_check_finding(k, "directory %s/%s: no folder has it", path,
				    e->d_name);
		} else
			look_at_dirs(k, dirfd(d), e->d_name, account, buf_get(&name));
		buf_fini(&name);
	}
	if (d)
		closedir(d);
}

static void
look_at_account(struct checker *k, const char *hh, struct slice dirname)
{
	struct buf name = { 0 };
	char *path = mem_printf("%s/" SFMT, hh, SARG(dirname));
	struct store_account a;

	if (store_component_parse(dirname, &name) < 0 ||
	    store_find_account(k->v, buf_get(&name), &a) < 0) {
		if (has_messages(k->v->r->dirfd, path))
			store_check_finding(k, "directory %s: no account has it", path);
	} else if (!k->only.n || slice_eq(k->only, buf_get(&name)))
		look_at_dirs(k, k->v->r->dirfd, path, a.id, slice(NULL, 0));
	mem_free(&path);
	buf_fini(&name);
}

static void
look_at_tree(struct checker *k)
{
	DIR *d;

	if (store_refresh(k->v) < 0)
		return;
	if (k->again)
		store_check_waiting_load(k);
	for (unsigned i = 0; i < 65536; i++) {
		char hh[32];

		snprintf(hh, sizeof(hh), "=user/%02x", i >> 8);
		if ((i & 0xff) == 0 && faccessat(k->v->r->dirfd, hh, F_OK, 0) < 0) {
			i |= 0xff;
			continue;
		}
		snprintf(hh, sizeof(hh), "=user/%02x/%02x", i >> 8, i & 0xff);
		d = store_check_files_open_dir(k->v->r->dirfd, hh);
		for (struct dirent *e; d && (e = readdir(d));)
			if (e->d_name[0] == '=')
				look_at_account(k, hh, slice_str(e->d_name));
		if (d)
			closedir(d);
	}
	d = k->only.n ? NULL : store_check_files_open_dir(k->v->r->dirfd, "=deleted");
	for (struct dirent *e; d && (e = readdir(d));) {
		uint64_t id = strtoull(e->d_name, NULL, 16);

		if (e->d_name[0] != '.' && !store_check_waiting_any(k, id) &&
		    has_messages(dirfd(d), e->d_name))
			store_check_finding(k, "directory =deleted/%s: nothing waits for it",
			    e->d_name);
	}
	if (d)
		closedir(d);
	store_end(k->v);
}

/* ---- looking twice ------------------------------------------------------------------------------------ */

static void
look_again(struct checker *k, void (*look)(struct checker *, uint64_t), uint64_t id)
{
	struct buf held = { 0 };
	struct slice rest, line;

	for (int i = 0; i < LOOKS; i++) {
		const struct timespec pause = { 0, 50000000L << i };
		uint64_t files = k->c->files;

		if (i > 0)
			nanosleep(&pause, NULL);
		buf_clear(&held);
		k->again = i > 0;
		k->held = &held;
		look(k, id);
		k->held = NULL;
		if (held.n == 0)
			break;
		if (i < LOOKS - 1)
			k->c->files = files;
	}
	rest = buf_get(&held);
	while (slice_cut(&rest, '\n', &line))
		store_check_finding(k, SFMT, SARG(line));
	buf_fini(&held);
}

static void
look_tree(struct checker *k, uint64_t unused)
{
	(void)unused;
	look_at_tree(k);
}

void
store_check_files(struct checker *k)
{
	for (size_t at = 0; at + 8 <= k->boxes.n; at += 8) {
		uint64_t id;

		memcpy(&id, k->boxes.p + at, 8);
		look_again(k, look_at_box, id);
	}
	look_again(k, look_tree, 0);
}
