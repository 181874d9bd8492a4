/* storectl reconstruct: what the files say becomes the index.
 *
 * For every directory of the account there is a folder afterwards, for every message file in it a
 * message, and no message without a file; counts and usage are summed up anew.  Called by main with
 * stored at work and the account in use, so three things must stay true: what arrives while we
 * look is not taken for lost (only UIDs below the uidnext of before the listing are judged, and
 * stored looks again), what users have expunged or moved away does not come back (tombstones), and
 * a directory that cannot be read is an error, never an empty one.  It is cut in two walks: the
 * directories first, which may bring folders, then the folders that the index has. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "base/crc.h"
#include "base/mapped.h"
#include "base/mem.h"
#include "message/digest.h"
#include "store/check.h"
#include "storectl.h"

#define RELINK_MOST 64   /* messages in one request */
#define SETTLE_MOST 500  /* and in one of those that have stored look at files */
#define FORGET_MOST 4096 /* cache records */
#define LOOKS       4    /* at a directory without a folder, before one is made for it */

struct job {
	struct asking ask;
	struct store_reader *reader;
	struct store_view *view;
	uint64_t account;
	const char *name; /* of the account */
	int dirfd;        /* of the partition */
	unsigned folders, made, relinked, lost, aside;
	unsigned failed; /* files that cannot be read */
	unsigned broken; /* directories */
	unsigned mended; /* records of the account and its mailboxes */
};

/* A folder and what there is in it, each ascending. */
struct folder {
	uint64_t id;
	uint32_t uidnext;    /* before the listing */
	const char *dir;     /* in the partition */
	struct buf files;    /* uint32_t */
	struct buf expunged; /* struct store_range: never to come back */
	struct buf suspects; /* struct store_range, of one UID each: for stored to look at */
};

static void
broken(struct job *j, const char *dir, const char *below, int error)
{
	fprintf(stderr, "storectl: %s%s%s: %s\n", dir, *below ? "/" : "", below, strerror(error));
	j->broken++;
}

static void
suspect(struct folder *f, uint32_t uid)
{
	const struct store_range r = { uid, uid };

	buf_add(&f->suspects, &r, sizeof(r));
}

static void
look(struct job *j)
{
	if (store_refresh(j->view) < 0)
		exit(EX_OSERR);
}

/* ---- what there is ------------------------------------------------------------------------------ */

static int
cmp_uid(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static int
cmp_range(const void *a, const void *b)
{
	const struct store_range *x = a, *y = b;

	return x->first != y->first ? (x->first < y->first ? -1 : 1) :
	    x->last != y->last      ? (x->last < y->last ? -1 : 1) :
				      0;
}

/* Opens a directory: NULL with *error 0 when there is none. */
static DIR *
dir_open(int at, const char *path, int *error)
{
	int fd = openat(at, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);

	*error = d || errno == ENOENT ? 0 : errno;
	if (!d && fd >= 0)
		close(fd);
	return d;
}

/* The next entry, or NULL: at the end *error is 0. */
static struct dirent *
dir_next(DIR *d, int *error)
{
	struct dirent *e;

	errno = 0;
	e = readdir(d);
	*error = e ? 0 : errno;
	return e;
}

/* The UIDs in the directory `hh`.  0 or an errno. */
static int
list_hh(int at, unsigned hh, struct buf *uids)
{
	char name[4];
	struct dirent *e;
	int error;
	DIR *d;

	snprintf(name, sizeof(name), "%02x", hh & 0xff);
	d = dir_open(at, name, &error);
	while (d && (e = dir_next(d, &error))) {
		struct slice s = slice_str(e->d_name);
		uint64_t v;
		uint32_t uid;

		if (!slice_ends(s, S(".msg")) ||
		    slice_u64(slice(s.p, s.n - 4), UINT32_MAX - 1, &v) < 0)
			continue;
		uid = (uint32_t)v;
		if ((uid >> 8 & 0xff) == hh) /* nobody would look for it elsewhere */
			buf_add(uids, &uid, sizeof(uid));
	}
	if (d)
		closedir(d);
	return error;
}

/* All files of a folder.  False: they are not known, and nothing must follow from that. */
static bool
list_files(struct job *j, struct folder *f)
{
	int fd = openat(j->dirfd, f->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	unsigned before = j->broken;

	if (fd < 0 && errno != ENOENT)
		broken(j, f->dir, "", errno);
	for (unsigned hh = 0; fd >= 0 && hh < 256; hh++) {
		int error = list_hh(fd, hh, &f->files);
		char name[4];

		snprintf(name, sizeof(name), "%02x", hh);
		if (error)
			broken(j, f->dir, name, error);
	}
	if (fd >= 0)
		close(fd);
	if (f->files.n)
		qsort(f->files.p, f->files.n / sizeof(uint32_t), sizeof(uint32_t), cmp_uid);
	return j->broken == before;
}

/* What users have expunged, in order and without overlaps.  The look is newer than the listing:
 * a file that was listed and has been expunged since is in it. */
static void
list_expunged(struct job *j, struct folder *f)
{
	struct store_mailbox m;
	struct store_range *r;
	size_t n, kept = 0;

	look(j);
	if (store_get_mailbox(j->view, f->id, &m) == 0)
		(void)!store_vanished(j->view, f->id, m.vanished_from, &f->expunged);
	store_end(j->view);
	r = (void *)f->expunged.p;
	n = f->expunged.n / sizeof(*r);
	if (n)
		qsort(r, n, sizeof(*r), cmp_range);
	for (size_t i = 0; i < n; i++)
		if (kept && r[i].first <= r[kept - 1].last) {
			if (r[i].last > r[kept - 1].last)
				r[kept - 1].last = r[i].last;
		} else
			r[kept++] = r[i];
	f->expunged.n = kept * sizeof(*r);
}

static int
cmp_in(const void *uid, const void *range)
{
	const struct store_range *r = range;
	uint32_t u = *(const uint32_t *)uid;

	return u < r->first ? -1 : u > r->last;
}

static bool
is_expunged(const struct folder *f, uint32_t uid)
{
	return f->expunged.n &&
	    bsearch(&uid, f->expunged.p, f->expunged.n / sizeof(struct store_range),
		sizeof(struct store_range), cmp_in);
}

/* ---- one folder ------------------------------------------------------------------------------- */

/* The message of a file.  0; -ENOENT: it has been purged since, which is no news; -EBADMSG: it is
 * none; else it cannot be read. */
static int
message_of(struct job *j, const char *dir, uint32_t uid, struct store_message *m, struct buf *cache)
{
	struct buf path = { 0 };
	struct stat st = { 0 };
	struct mapped map;
	int fd, rc;

	buf_str(&path, dir);
	store_message_name(&path, uid);
	fd = openat(j->dirfd, buf_cstr(&path), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	buf_fini(&path);
	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size == 0 ||
	    st.st_size > UINT32_MAX) {
		rc = fd < 0 && errno != ELOOP ? -errno : -EBADMSG;
		if (fd >= 0)
			close(fd);
		return rc;
	}
	rc = mapped_open(&map, fd, (size_t)st.st_size);
	close(fd);
	*m = (struct store_message){ .uid = uid,
		.size = (uint32_t)st.st_size,
		.internaldate = st.st_mtime,
		.dated = true };
	if (rc == 0) {
		message_digest_build(slice(map.p, map.n), cache);
		m->digest = crc32c(0, map.p, map.n);
		rc = mapped_cut(&map) ? -EIO : 0;
		mapped_close(&map);
	}
	return rc;
}

static void
reconstruct_relink(struct job *j, struct folder *f, const uint32_t *uids, size_t n)
{
	struct store_message m[RELINK_MOST];
	struct buf cache[RELINK_MOST] = { { 0 } };
	size_t count = 0;

	for (size_t i = 0; i < n; i++) {
		int rc = message_of(j, f->dir, uids[i], &m[count], &cache[count]);

		if (rc == 0) {
			m[count].cache = buf_get(&cache[count]);
			m[count].sentday = message_digest_sentday(m[count].cache);
			count++;
		} else if (rc == -EBADMSG)
			suspect(f, uids[i]);
		else if (rc != -ENOENT) {
			fprintf(stderr, "storectl: %s: uid %u cannot be read: %s\n", f->dir,
			    uids[i], strerror(-rc));
			j->failed++;
		}
	}
	if (count) {
		store_relink_start(j->ask.client, f->id, m, count, &j->ask.op, asking_done,
		    &j->ask);
		asking_wait(&j->ask, f->dir);
		j->relinked += j->ask.reply.uid;
	}
	for (size_t i = 0; i < RELINK_MOST; i++)
		buf_fini(&cache[i]);
}

/* Files that the index does not know become messages, ascending. */
static void
relink_all(struct job *j, struct folder *f)
{
	const uint32_t *uids = (const void *)f->files.p;
	uint32_t some[RELINK_MOST];
	size_t n = 0;

	for (size_t i = 0; i < f->files.n / sizeof(*uids); i++) {
		bool known;

		look(j);
		known = !!store_get_record(j->view, f->id, uids[i]);
		store_end(j->view);
		if (known || is_expunged(f, uids[i]))
			continue;
		some[n++] = uids[i];
		if (n == RELINK_MOST) {
			reconstruct_relink(j, f, some, n);
			n = 0;
		}
	}
	if (n)
		reconstruct_relink(j, f, some, n);
}

/* A message as the index has it. */
struct claim {
	uint32_t uid, size;
};

/* Is the message's file what the record says?  What cannot be looked at is an error, not a no. */
static bool
is_good(struct job *j, const struct folder *f, const struct claim *c)
{
	struct buf path = { 0 };
	struct stat st;
	bool good;

	buf_str(&path, f->dir);
	store_message_name(&path, c->uid);
	if (fstatat(j->dirfd, buf_cstr(&path), &st, AT_SYMLINK_NOFOLLOW) == 0)
		good = S_ISREG(st.st_mode) && st.st_size == c->size;
	else {
		good = errno != ENOENT;
		if (good)
			broken(j, buf_cstr(&path), "", errno);
	}
	buf_fini(&path);
	return good;
}

/* Messages without a good file.  One from uidnext on has come since. */
static void
find_suspects(struct job *j, struct folder *f)
{
	struct store_blocks b;
	const struct store_record *rec;
	struct buf claims = { 0 };
	size_t n;

	look(j);
	store_blocks_init(&b, j->view, f->id, 1, f->uidnext - 1);
	while (f->uidnext > 1 && (rec = store_blocks_next(&b, &n)))
		for (size_t i = 0; i < n; i++) {
			struct claim c = { rec[i].uid, rec[i].size };

			buf_add(&claims, &c, sizeof(c));
		}
	store_end(j->view);
	for (size_t at = 0; at < claims.n; at += sizeof(struct claim)) {
		struct claim c;

		memcpy(&c, claims.p + at, sizeof(c));
		if (!is_good(j, f, &c))
			suspect(f, c.uid);
	}
	buf_fini(&claims);
}

/* Has stored look at them once more, and do what is to be done. */
static void
settle_suspects(struct job *j, const struct folder *f)
{
	struct store_range *r = (void *)f->suspects.p;
	size_t left = f->suspects.n / sizeof(*r);

	if (left)
		qsort(r, left, sizeof(*r), cmp_range);
	while (left) {
		size_t n = left < SETTLE_MOST ? left : SETTLE_MOST;

		store_settle_start(j->ask.client, f->id, r, n, &j->ask.op, asking_done, &j->ask);
		asking_wait(&j->ask, f->dir);
		j->lost += (unsigned)j->ask.nuids;
		j->aside += (unsigned)j->ask.nto;
		if (j->ask.reply.failed)
			broken(j, f->dir, "", EIO);
		r += n;
		left -= n;
	}
}

static void
settle_folder(struct job *j, uint64_t id, struct slice name)
{
	struct folder f = { .id = id };
	struct buf dir = { 0 };
	struct store_mailbox m;
	int rc;

	store_folder_dir(&dir, slice_str(j->name), name);
	f.dir = buf_cstr(&dir);
	look(j);
	rc = store_get_mailbox(j->view, id, &m);
	f.uidnext = rc == 0 ? m.uidnext : 0;
	store_end(j->view);
	if (rc == 0 && list_files(j, &f)) {
		list_expunged(j, &f);
		relink_all(j, &f);
		find_suspects(j, &f);
		settle_suspects(j, &f);
	} else if (rc < 0 && rc != -ENOENT)
		broken(j, f.dir, "", -rc);
	j->folders++;
	buf_fini(&f.files);
	buf_fini(&f.expunged);
	buf_fini(&f.suspects);
	buf_fini(&dir);
}

/* ---- the account -------------------------------------------------------------------------------------- */

static bool
has_folder(struct job *j, struct slice name)
{
	uint64_t id;
	int rc;

	look(j);
	rc = store_find_mailbox(j->view, j->account, name, &id);
	store_end(j->view);
	return rc == 0;
}

/* A directory without a folder.  When one is deleted or renamed its directory moves a moment
 * after the name is gone: what is still there after a while has lost its folder. */
static void
make_folder(struct job *j, const char *dir, struct slice name)
{
	for (int i = 0; i < LOOKS; i++) {
		const struct timespec pause = { 0, 50000000L << i };

		nanosleep(&pause, NULL);
		if (has_folder(j, name) || faccessat(j->dirfd, dir, F_OK, 0) < 0)
			return;
	}
	store_create_start(j->ask.client, j->account, name, STORE_USE_NONE, &j->ask.op, asking_done,
	    &j->ask);
	asking_wait(&j->ask, "create");
	j->made++;
}

/* Every directory gets its folder. */
static void
make_folders(struct job *j, const char *path, struct slice above)
{
	int error;
	DIR *d = dir_open(j->dirfd, path, &error);

	for (struct dirent *e; d && (e = dir_next(d, &error));) {
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
			if (!has_folder(j, buf_get(&name)))
				make_folder(j, below, buf_get(&name));
			make_folders(j, below, buf_get(&name));
		} else
			fprintf(stderr, "storectl: %s: not a folder\n", below);
		mem_free(&below);
		buf_fini(&name);
	}
	if (error)
		broken(j, path, "", error);
	if (d)
		closedir(d);
}

static void
settle_folders(struct job *j)
{
	struct store_folder f = { .account = j->account };
	char name[STORE_NAME_MAX + 1] = "";

	for (;;) {
		bool more;

		f.name = slice_str(name);
		look(j);
		more = store_next_folder(j->view, &f);
		if (more)
			slice_cstr(f.name, name, sizeof(name));
		store_end(j->view);
		if (!more)
			return;
		if (!(f.attrs & STORE_NOSELECT))
			settle_folder(j, f.mailbox, slice_str(name));
	}
}

/* Cache records whose message is gone, in the whole partition of the account. */
static void
forget_orphans(struct job *j, const char *partition)
{
	struct buf emails = { 0 };
	const uint64_t *e;
	size_t left;

	if (store_check_orphans(j->view, &emails) < 0)
		broken(j, "index", "", EIO);
	e = (const void *)emails.p;
	left = emails.n / sizeof(*e);
	while (left) {
		size_t n = left < FORGET_MOST ? left : FORGET_MOST;

		store_forget_start(j->ask.client, slice_str(partition), e, n, &j->ask.op,
		    asking_done, &j->ask);
		asking_wait(&j->ask, "cache records");
		e += n;
		left -= n;
	}
	buf_fini(&emails);
}

int
reconstruct(const char *account)
{
	struct job j = { .name = account };
	char partition[sizeof(j.ask.partition)];
	struct buf dir = { 0 };
	char *why = NULL;

	asking_open(&j.ask);
	j.mended = mend(&j.ask, account);
	store_account_start(j.ask.client, slice_str(account), S(""), &j.ask.op, asking_done,
	    &j.ask);
	asking_wait(&j.ask, account);
	j.account = j.ask.reply.account;
	slice_cstr(slice_str(j.ask.partition), partition, sizeof(partition));
	if (store_reader_open(j.ask.path, &j.reader, &why) < 0) {
		fprintf(stderr, "storectl: %s\n", why);
		return EX_NOINPUT;
	}
	j.view = store_view_new(j.reader);
	j.dirfd = open(j.ask.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (j.dirfd < 0) {
		fprintf(stderr, "storectl: %s: %s\n", j.ask.path, strerror(errno));
		return EX_NOINPUT;
	}
	store_account_dir(&dir, slice_str(account));
	make_folders(&j, buf_cstr(&dir), slice(NULL, 0));
	settle_folders(&j);
	forget_orphans(&j, partition);
	store_recount_start(j.ask.client, j.account, &j.ask.op, asking_done, &j.ask);
	asking_wait(&j.ask, account);
	printf("%s: %u folders (%u new), %u messages found, %u lost, "
	       "%u set aside, %u unreadable, %u records mended; "
	       "now %llu messages, %llu bytes\n",
	    account, j.folders, j.made, j.relinked, j.lost, j.aside, j.failed, j.mended,
	    (unsigned long long)j.ask.reply.messages, (unsigned long long)j.ask.reply.bytes);
	buf_fini(&dir);
	if (j.dirfd >= 0)
		close(j.dirfd);
	store_view_free(&j.view);
	store_reader_close(&j.reader);
	asking_close(&j.ask);
	if (j.broken)
		fprintf(stderr, "storectl: %s: what could not be read is as it was\n", account);
	return j.broken ? EX_IOERR : j.failed ? 1 : 0;
}
