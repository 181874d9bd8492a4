/* storectl reconstruct: what the files say becomes the index.
 *
 * For every directory of the account there is a folder afterwards, for every message file in it
 * a message, and no message without a file; counts and usage are summed up anew.  Messages
 * that the index knows keep their flags. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/mem.h"
#include "imap/cache.h"
#include "storectl.h"

#define ADOPT_MOST 64 /* messages in one request */

struct job {
	struct asking ask;
	struct store_reader *reader;
	struct store_view *view;
	uint64_t account;
	const char *name;           /* of the account */
	int dirfd;                  /* of the partition */
	unsigned folders, made, adopted, lost, failed;
};

/* ---- one folder ------------------------------------------------------------------------------- */

static int
cmp_uid(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static void
collect_uids(int at, const char *hh, struct buf *uids)
{
	int fd = openat(at, hh, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);

	for (struct dirent *e; d && (e = readdir(d));) {
		struct slice s = slice_str(e->d_name);
		uint64_t v;
		uint32_t uid;

		if (!slice_ends(s, S(".msg")) || slice_u64(slice(s.p, s.n - 4), UINT32_MAX - 1, &v) < 0)
			continue;
		uid = (uint32_t)v;
		buf_add(uids, &uid, sizeof(uid));
	}
	if (d)
		closedir(d);
	else if (fd >= 0)
		close(fd);
}

/* The message of a file; false when it cannot be read. */
static bool
message_of(struct job *j, const char *dir, uint32_t uid, struct store_message *m, struct buf *cache)
{
	struct buf path = { 0 };
	struct stat st = { 0 };
	void *map = MAP_FAILED;
	int fd;

	buf_str(&path, dir);
	store_message_name(&path, uid);
	fd = openat(j->dirfd, buf_cstr(&path), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	buf_fini(&path);
	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size > UINT32_MAX) {
		if (fd >= 0)
			close(fd);
		return false;
	}
	if (st.st_size > 0)
		map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	close(fd);
	if (map != MAP_FAILED) {
		imap_cache_build(slice(map, (size_t)st.st_size), cache);
		munmap(map, (size_t)st.st_size);
	}
	*m = (struct store_message){ .uid = uid, .size = (uint32_t)st.st_size,
		.internaldate = st.st_mtime };
	return st.st_size == 0 || map != MAP_FAILED;
}

static void
adopt(struct job *j, uint64_t mailbox, const char *dir, const uint32_t *uids, size_t n)
{
	struct store_message m[ADOPT_MOST];
	struct buf cache[ADOPT_MOST] = { { 0 } };
	size_t count = 0;

	for (size_t i = 0; i < n; i++) {
		if (message_of(j, dir, uids[i], &m[count], &cache[count])) {
			m[count].cache = buf_get(&cache[count]);
			count++;
		} else {
			fprintf(stderr, "storectl: %s: uid %u cannot be read\n", dir, uids[i]);
			j->failed++;
		}
	}
	if (count) {
		store_adopt_start(j->ask.client, mailbox, m, count, &j->ask.op, asking_done, &j->ask);
		asking_wait(&j->ask, dir);
		j->adopted += j->ask.reply.uid;
	}
	for (size_t i = 0; i < ADOPT_MOST; i++)
		buf_fini(&cache[i]);
}

/* Adopts files that the index does not know, ascending. */
static void
adopt_all(struct job *j, uint64_t mailbox, const char *dir, const struct buf *files)
{
	const uint32_t *uids = (const void *)files->p;
	uint32_t some[ADOPT_MOST];
	size_t n = 0;

	for (size_t i = 0; i < files->n / sizeof(*uids); i++) {
		bool known;

		if (store_refresh(j->view) < 0)
			exit(EX_OSERR);
		known = store_get_record(j->view, mailbox, uids[i]) != NULL;
		store_end(j->view);
		if (!known)
			some[n++] = uids[i];
		if (n == ADOPT_MOST) {
			adopt(j, mailbox, dir, some, n);
			n = 0;
		}
	}
	if (n)
		adopt(j, mailbox, dir, some, n);
}

/* Messages that have lost their file go. */
static void
expunge_lost(struct job *j, uint64_t mailbox, const char *dir, const struct buf *files)
{
	struct store_blocks b;
	const struct store_record *rec;
	struct buf lost = { 0 };
	size_t n;

	if (store_refresh(j->view) < 0)
		exit(EX_OSERR);
	store_blocks_init(&b, j->view, mailbox, 1, UINT32_MAX);
	while ((rec = store_blocks_next(&b, &n)))
		for (size_t i = 0; i < n; i++) {
			uint32_t uid = rec[i].uid;
			struct store_range r = { uid, uid };

			if (!files->n || !bsearch(&uid, files->p, files->n / 4, 4, cmp_uid))
				buf_add(&lost, &r, sizeof(r));
		}
	store_end(j->view);
	if (lost.n) {
		store_expunge_start(j->ask.client, mailbox, (const void *)lost.p,
		    lost.n / sizeof(struct store_range), true, &j->ask.op, asking_done, &j->ask);
		asking_wait(&j->ask, dir);
		j->lost += (unsigned)(lost.n / sizeof(struct store_range));
	}
	buf_fini(&lost);
}

/* ---- the account -------------------------------------------------------------------------------------- */

static uint64_t
folder_id(struct job *j, struct slice name)
{
	uint64_t id = 0;
	int rc;

	if (store_refresh(j->view) < 0)
		exit(EX_OSERR);
	rc = store_find_mailbox(j->view, j->account, name, &id);
	store_end(j->view);
	if (rc == 0)
		return id;
	store_create_start(j->ask.client, j->account, name, STORE_USE_NONE, &j->ask.op, asking_done,
	    &j->ask);
	asking_wait(&j->ask, "create");
	j->made++;
	return j->ask.reply.mailbox;
}

static void
folder(struct job *j, struct slice name)
{
	struct buf dir = { 0 }, files = { 0 };
	uint64_t id = folder_id(j, name);
	int fd;

	j->folders++;
	store_folder_dir(&dir, slice_str(j->name), name);
	fd = openat(j->dirfd, buf_cstr(&dir), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (unsigned i = 0; fd >= 0 && i < 256; i++) {
		char hh[4];

		snprintf(hh, sizeof(hh), "%02x", i);
		collect_uids(fd, hh, &files);
	}
	if (fd >= 0)
		close(fd);
	if (files.n)
		qsort(files.p, files.n / sizeof(uint32_t), sizeof(uint32_t), cmp_uid);
	adopt_all(j, id, buf_cstr(&dir), &files);
	expunge_lost(j, id, buf_cstr(&dir), &files);
	buf_fini(&dir);
	buf_fini(&files);
}

/* Every folder that has a directory. */
static void
walk(struct job *j, const char *path, struct slice above)
{
	int fd = openat(j->dirfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);

	for (struct dirent *e; d && (e = readdir(d));) {
		char canonical[STORE_NAME_MAX + 1], *below;
		struct buf name = { 0 };

		if (e->d_name[0] != '=')
			continue;
		buf_slice(&name, above);
		if (above.n)
			buf_char(&name, STORE_SEPARATOR);
		below = mem_printf("%s/%s", path, e->d_name);
		if (store_component_parse(slice_str(e->d_name), &name) == 0 &&
		    store_name_check(buf_get(&name), canonical) == 0 &&
		    slice_eq(buf_get(&name), slice_str(canonical))) {
			folder(j, buf_get(&name));
			walk(j, below, buf_get(&name));
		} else
			fprintf(stderr, "storectl: %s: not a folder\n", below);
		mem_free(&below);
		buf_fini(&name);
	}
	if (d)
		closedir(d);
	else if (fd >= 0)
		close(fd);
}

/* Folders whose directory is gone have lost all their messages. */
static void
rest(struct job *j)
{
	struct store_folder f = { .account = j->account };
	char name[STORE_NAME_MAX + 1] = "";

	for (;;) {
		bool more;

		f.name = slice_str(name);
		if (store_refresh(j->view) < 0)
			exit(EX_OSERR);
		more = store_next_folder(j->view, &f);
		if (more)
			slice_cstr(f.name, name, sizeof(name));
		store_end(j->view);
		if (!more)
			return;
		if (!(f.attrs & STORE_NOSELECT))
			folder(j, slice_str(name));
	}
}

int
reconstruct(const char *account)
{
	struct job j = { .name = account };
	struct buf dir = { 0 };
	char *why = NULL;

	asking_open(&j.ask);
	store_account_start(j.ask.client, slice_str(account), S(""), &j.ask.op, asking_done, &j.ask);
	asking_wait(&j.ask, account);
	j.account = j.ask.reply.account;
	if (store_reader_open(j.ask.path, &j.reader, &why) < 0) {
		fprintf(stderr, "storectl: %s\n", why);
		return EX_NOINPUT;
	}
	j.view = store_view_new(j.reader);
	j.dirfd = open(j.ask.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	store_account_dir(&dir, slice_str(account));
	walk(&j, buf_cstr(&dir), slice(NULL, 0));
	j.folders = 0;
	rest(&j);
	store_recount_start(j.ask.client, j.account, &j.ask.op, asking_done, &j.ask);
	asking_wait(&j.ask, account);
	printf("%s: %u folders (%u new), %u messages found, %u lost, %u unreadable; now %llu messages, "
	    "%llu bytes\n", account, j.folders, j.made, j.adopted, j.lost, j.failed,
	    (unsigned long long)j.ask.reply.messages, (unsigned long long)j.ask.reply.bytes);
	buf_fini(&dir);
	if (j.dirfd >= 0)
		close(j.dirfd);
	store_view_free(&j.view);
	store_reader_close(&j.reader);
	asking_close(&j.ask);
	return j.failed ? 1 : 0;
}
