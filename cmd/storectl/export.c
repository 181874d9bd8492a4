/* storectl export: an account as files that other programs read.
 *
 * Without stored: reads the index and the files.  maildir is Maildir++ as Dovecot keeps it, with UIDs in
 * dovecot-uidlist and keywords in dovecot-keywords; mbox is a file for each folder, folders below it in
 * NAME.sbd.  The directory must be new or empty, so that nothing is ever mixed or overwritten, and all of
 * it is synced before the command ends.  A message that cannot be read is told and left out, and the exit
 * code says so. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/files.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "daemon/program.h"
#include "imap/mutf7.h"
#include "mail/mbox.h"
#include "message/message.h"
#include "storectl.h"

#define EXPORT_PIECE (1024 * 1024) /* bytes of an mbox that are gathered */

struct export_folder {
	uint64_t mailbox;
	uint32_t uidvalidity, uidnext;
	bool noselect;
	char name[STORE_NAME_MAX + 1];
};
struct exporting {
	struct store_reader *reader;
	struct store_view *view;
	const char *account;
	uint64_t id;
	bool json, quiet;
	int dir; /* the directory */
	int (*folder)(struct exporting *x, const struct export_folder *f);
	/* of the folder in hand */
	struct buf records;             /* struct store_record */
	char *keywords[STORE_KEYWORDS]; /* NULL = the place is free */
	uint64_t folders, messages, bytes, failed;
};

static int
export_error(const char *what, int error)
{
	fprintf(stderr, "storectl: %s: %s\n", what, strerror(error));
	return EX_CANTCREAT;
}

/* A new file.  fd or -errno. */
static int
export_create(const struct exporting *x, const char *path)
{
	int fd = openat(x->dir, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);

	return fd < 0 ? -errno : fd;
}

/* Writes a whole file.  0 or -errno. */
static int
export_file(const struct exporting *x, const char *path, struct slice text, int64_t at)
{
	const struct timespec times[2] = { { at, 0 }, { at, 0 } };
	int fd = export_create(x, path), rc;

	if (fd < 0)
		return fd;
	rc = files_write(fd, text.p, text.n);
	if (rc == 0 && at && futimens(fd, times) < 0)
		rc = -errno;
	if (close(fd) < 0 && rc == 0)
		rc = -errno;
	return rc;
}

/* ---- what there is ------------------------------------------------------------------------------- */

static void
export_load(struct exporting *x, const struct export_folder *f)
{
	const struct store_record *rec;
	struct store_mailbox m;
	struct store_blocks b;
	size_t n;

	buf_clear(&x->records);
	for (size_t k = 0; k < STORE_KEYWORDS; k++)
		mem_free(&x->keywords[k]);
	if (store_begin(x->view) < 0)
		exit(EX_OSERR);
	if (store_get_mailbox(x->view, f->mailbox, &m) == 0)
		for (size_t k = 0; k < m.nkeywords; k++)
			if (m.keywords[k].n)
				x->keywords[k] = mem_strn(m.keywords[k].p, m.keywords[k].n);
	store_blocks_init(&b, x->view, f->mailbox, 1, UINT32_MAX);
	while ((rec = store_blocks_next(&b, &n)))
		buf_add(&x->records, rec, n * sizeof(*rec));
	store_end(x->view);
}

/* A message, mapped.  False: it is told, or has been expunged since. */
static bool
export_read(struct exporting *x, const struct export_folder *f, const struct store_record *r,
    struct message *m)
{
	int rc;

	message_init(m, slice(NULL, 0));
	rc = message_open(m, x->view, f->mailbox, r->uid);
	if (rc == 0)
		rc = message_map(m);
	if (rc == 0)
		return true;
	message_close(m);
	if (rc != -ENOENT) {
		fprintf(stderr, "storectl: %s: %s: UID %u: %s\n", x->account, f->name, r->uid,
		    strerror(-rc));
		x->failed++;
	}
	return false;
}

static void
export_done(struct exporting *x, const struct export_folder *f, const struct store_record *r,
    struct message *m)
{
	if (message_is_cut(m)) {
		fprintf(stderr, "storectl: %s: %s: UID %u: its file is cut\n", x->account, f->name,
		    r->uid);
		x->failed++;
	}
	x->messages++;
	x->bytes += r->size;
	message_close(m);
}

/* ---- Maildir++ --------------------------------------------------------------------------------------- */

/* ".A.B" of "A/B"; dots of names are written so that they divide nothing. */
static void
maildirpp_dir(struct buf *b, struct slice name)
{
	struct slice part;

	if (slice_eq(name, S("INBOX"))) {
		buf_char(b, '.');
		return;
	}
	while (slice_cut(&name, STORE_SEPARATOR, &part)) {
		size_t at;

		buf_char(b, '.');
		for (; (at = slice_find(part, '.')) < part.n; part = slice_from(part, at + 1)) {
			imap_mutf7_write(b, slice_sub(part, 0, at));
			buf_lit(b, "&AC4-");
		}
		imap_mutf7_write(b, part);
	}
}

/* The letters of a folder's keywords: 26 have one. */
static void
maildirpp_letters(struct exporting *x, const char *dir, uint8_t letters[STORE_KEYWORDS])
{
	const struct store_record *r = (const void *)x->records.p;
	struct buf text = { 0 }, path = { 0 };
	uint64_t used = 0;
	unsigned n = 0;
	int rc;

	for (size_t i = 0; i < x->records.n / sizeof(*r); i++)
		used |= r[i].keywords;
	for (unsigned k = 0; k < STORE_KEYWORDS; k++) {
		letters[k] = UINT8_MAX;
		if (!(used >> k & 1) || !x->keywords[k])
			continue;
		if (n == MAILDIR_KEYWORDS) {
			fprintf(stderr,
			    "storectl: %s: the keyword %s is left out: a Maildir has 26\n", dir,
			    x->keywords[k]);
			x->failed++;
			continue;
		}
		buf_printf(&text, "%u %s\n", n, x->keywords[k]);
		letters[k] = (uint8_t)n++;
	}
	buf_printf(&path, "%s/dovecot-keywords", dir);
	if (text.n && (rc = export_file(x, buf_cstr(&path), buf_get(&text), 0)) < 0)
		exit(export_error(buf_cstr(&path), -rc));
	buf_fini(&text);
	buf_fini(&path);
}

static uint32_t
letters_of(uint64_t keywords, const uint8_t letters[STORE_KEYWORDS])
{
	uint32_t bits = 0;

	for (unsigned k = 0; k < STORE_KEYWORDS; k++)
		if (keywords >> k & 1 && letters[k] != UINT8_MAX)
			bits |= UINT32_C(1) << letters[k];
	return bits;
}

static int
maildirpp_message(struct exporting *x, const struct export_folder *f, const char *dir,
    const struct store_record *r, uint32_t keywords, struct buf *list)
{
	struct buf text = { 0 }, name = { 0 }, path = { 0 };
	struct message m;
	int rc = 0;

	if (!export_read(x, f, r, &m))
		return 0;
	maildir_to_lf(&text, message_bytes(&m));
	buf_printf(&name, "%lld.V%uU%u.storectl,S=%zu", (long long)r->internaldate, f->uidvalidity,
	    r->uid, text.n);
	buf_printf(list, "%u :%s\n", r->uid, buf_cstr(&name));
	maildir_name_write(&name, r->flags, keywords);
	buf_printf(&path, "%s/cur/%s", dir, buf_cstr(&name));
	rc = export_file(x, buf_cstr(&path), buf_get(&text), r->internaldate);
	if (rc < 0)
		rc = export_error(buf_cstr(&path), -rc);
	export_done(x, f, r, &m);
	buf_fini(&text);
	buf_fini(&name);
	buf_fini(&path);
	return rc;
}

static int
export_maildirpp(struct exporting *x, const struct export_folder *f)
{
	static const char *const subs[] = { "cur", "new", "tmp" };
	const struct store_record *r = (const void *)x->records.p;
	struct buf dir = { 0 }, path = { 0 }, list = { 0 };
	uint8_t letters[STORE_KEYWORDS];
	int rc = 0;

	maildirpp_dir(&dir, slice_str(f->name));
	for (size_t k = 0; k < NELEM(subs) && rc == 0; k++) {
		buf_clear(&path);
		buf_printf(&path, "%s/%s", buf_cstr(&dir), subs[k]);
		rc = files_make_dirs_at(x->dir, buf_cstr(&path), 0700);
	}
	if (rc == 0 && dir.n > 1) {
		buf_clear(&path);
		buf_printf(&path, "%s/maildirfolder", buf_cstr(&dir));
		rc = export_file(x, buf_cstr(&path), S(""), 0);
	}
	if (rc < 0)
		return export_error(buf_cstr(&path), -rc);
	maildirpp_letters(x, buf_cstr(&dir), letters);
	buf_printf(&list, "3 V%u N%u\n", f->uidvalidity, f->uidnext);
	for (size_t i = 0; i < x->records.n / sizeof(*r) && rc == 0; i++)
		rc = maildirpp_message(x, f, buf_cstr(&dir), &r[i],
		    letters_of(r[i].keywords, letters), &list);
	buf_clear(&path);
	buf_printf(&path, "%s/dovecot-uidlist", buf_cstr(&dir));
	if (rc == 0 && (rc = export_file(x, buf_cstr(&path), buf_get(&list), 0)) < 0)
		rc = export_error(buf_cstr(&path), -rc);
	buf_fini(&dir);
	buf_fini(&path);
	buf_fini(&list);
	return rc;
}

/* ---- mbox ------------------------------------------------------------------------------------------------ */

/* A component as a file's name: "=" and it, as the store writes it, without the "=". */
static void
mbox_path_part(struct buf *b, struct slice part)
{
	struct buf written = { 0 };

	store_component_write(&written, part);
	if (part.n && part.p[0] == '.') { /* no hidden file */
		buf_lit(b, "%2E");
		buf_slice(b, slice_from(buf_get(&written), 2));
	} else
		buf_slice(b, slice_from(buf_get(&written), 1));
	buf_fini(&written);
}

static int
mbox_open(struct exporting *x, const char *name, struct buf *path)
{
	struct slice rest = slice_str(name), part;
	int rc = 0;

	while (slice_cut(&rest, STORE_SEPARATOR, &part)) {
		mbox_path_part(path, part);
		if (rest.n == 0)
			break;
		buf_lit(path, ".sbd");
		rc = files_make_dirs_at(x->dir, buf_cstr(path), 0700);
		if (rc < 0)
			return rc;
		buf_char(path, '/');
	}
	return export_create(x, buf_cstr(path));
}

static void
mbox_words(const struct exporting *x, uint64_t keywords, struct buf *words)
{
	for (unsigned k = 0; k < STORE_KEYWORDS; k++)
		if (keywords >> k & 1 && x->keywords[k]) {
			buf_str(words, x->keywords[k]);
			buf_char(words, ' ');
		}
}

static int
export_mbox(struct exporting *x, const struct export_folder *f)
{
	const struct store_record *r = (const void *)x->records.p;
	struct buf path = { 0 }, out = { 0 }, words = { 0 };
	size_t n = x->records.n / sizeof(*r);
	int fd = mbox_open(x, f->name, &path), rc = fd < 0 ? fd : 0;

	for (size_t i = 0; i < n && rc == 0; i++) {
		struct message m;

		if (!export_read(x, f, &r[i], &m))
			continue;
		buf_clear(&words);
		mbox_words(x, r[i].keywords, &words);
		mbox_pack(&out, message_bytes(&m), r[i].internaldate, r[i].flags, buf_get(&words));
		export_done(x, f, &r[i], &m);
		if (out.n < EXPORT_PIECE)
			continue;
		rc = files_write(fd, out.p, out.n);
		buf_clear(&out);
	}
	if (rc == 0 && out.n)
		rc = files_write(fd, out.p, out.n);
	if (fd >= 0 && close(fd) < 0 && rc == 0)
		rc = -errno;
	if (rc < 0)
		rc = export_error(buf_cstr(&path), -rc);
	buf_fini(&path);
	buf_fini(&out);
	buf_fini(&words);
	return rc;
}

/* ---- the account ------------------------------------------------------------------------------------------- */

static void
export_folders(struct exporting *x, struct buf *folders)
{
	struct store_folder f = { .account = x->id };

	if (store_begin(x->view) < 0)
		exit(EX_OSERR);
	while (store_next_folder(x->view, &f)) {
		struct export_folder e = { .mailbox = f.mailbox };
		struct store_mailbox m;

		slice_cstr(f.name, e.name, sizeof(e.name));
		if (f.attrs & STORE_NOSELECT)
			continue;
		if (store_get_mailbox(x->view, f.mailbox, &m) < 0) {
			fprintf(stderr, "storectl: %s: %s: cannot be read\n", x->account, e.name);
			x->failed++;
			continue;
		}
		e.uidvalidity = m.uidvalidity;
		e.uidnext = m.uidnext;
		buf_add(folders, &e, sizeof(e));
	}
	store_end(x->view);
}

/* A new directory, or one with nothing in it. */
static int
export_dir(const char *path)
{
	int fd, rc = 0;
	struct dirent *e;
	DIR *d;

	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return -errno;
	d = opendir(path);
	if (!d)
		return -errno;
	while (rc == 0 && (e = readdir(d)))
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			rc = -ENOTEMPTY;
	fd = rc < 0 ? rc : fcntl(dirfd(d), F_DUPFD_CLOEXEC, 0);
	closedir(d);
	return fd;
}

static void
export_summary(const struct exporting *x)
{
	struct buf b = { 0 };

	if (x->json) {
		buf_char(&b, '{');
		json_put_cstr(&b, "account", x->account);
		json_put_i64(&b, "folders", (int64_t)x->folders);
		json_put_i64(&b, "messages", (int64_t)x->messages);
		json_put_i64(&b, "bytes", (int64_t)x->bytes);
		json_put_i64(&b, "failed", (int64_t)x->failed);
		buf_lit(&b, "}\n");
	} else if (!x->quiet)
		buf_printf(&b, "%s: %llu messages in %llu folders, %llu bytes; %llu left out\n",
		    x->account, (unsigned long long)x->messages, (unsigned long long)x->folders,
		    (unsigned long long)x->bytes, (unsigned long long)x->failed);
	storectl_say(&b);
	buf_fini(&b);
	log_event(LOG_INFO, "exported", "account=%s folders=%llu count=%llu bytes=%llu failed=%llu",
	    log_str(x->account), (unsigned long long)x->folders, (unsigned long long)x->messages,
	    (unsigned long long)x->bytes, (unsigned long long)x->failed);
}

static int
export_run(struct exporting *x, const char *path)
{
	char partition[PARTITION_ROOM];
	const struct export_folder *f;
	struct buf folders = { 0 };
	int rc = storectl_account_find(x->account, &x->reader, &x->view, &x->id, partition);

	if (rc)
		return rc;
	x->dir = export_dir(path);
	if (x->dir < 0)
		return export_error(path, -x->dir);
	log_level(LOG_INFO);
	export_folders(x, &folders);
	f = (const void *)folders.p;
	for (size_t i = 0; i < folders.n / sizeof(*f) && rc == 0; i++) {
		export_load(x, &f[i]);
		rc = x->folder(x, &f[i]);
		x->folders++;
	}
	if (rc == 0 && syncfs(x->dir) < 0)
		rc = export_error(path, errno);
	export_summary(x);
	for (size_t k = 0; k < STORE_KEYWORDS; k++)
		mem_free(&x->keywords[k]);
	buf_fini(&x->records);
	buf_fini(&folders);
	close(x->dir);
	store_view_free(&x->view);
	store_reader_close(&x->reader);
	return rc ? rc : x->failed ? EX_DATAERR : 0;
}

int
storectl_export(int argc, char **argv, bool quiet)
{
	static const struct option longs[] = { { "json", no_argument, NULL, 'j' },
		{ "to", required_argument, NULL, 'T' }, { 0 } };
	struct exporting x = { .quiet = quiet };

	optind = 0;
	for (int c; (c = getopt_long(argc, argv, "j", longs, NULL)) >= 0;)
		if (c == 'j')
			x.json = true;
		else if (c == 'T' && strcmp(optarg, "maildir") == 0)
			x.folder = export_maildirpp;
		else if (c == 'T' && strcmp(optarg, "mbox") == 0)
			x.folder = export_mbox;
		else
			return program_usage();
	if (argc - optind != 2 || !x.folder)
		return program_usage();
	x.account = argv[optind];
	return export_run(&x, argv[optind + 1]);
}
