/* storectl expire: where the rules are.
 *
 * Called once before the processes of the partitions begin, and for each account whose owner may have
 * rules of his own.  The site's files are read whole and first: a mistake in any of them ends the run
 * before anything is expired.  A mistake of a person must not: it would keep all others' mail from
 * expiring, so it counts for his account alone.  Such a file is in the hands of somebody else, who may
 * have made a link or a pipe of it, or a large one. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "conf/paths.h"
#include "daemon/program.h"
#include "expire.h"
#include "store/config.h"

/* store.expirerule beside tiermail.conf, or what the configuration says. */
static char *
rules_path(void)
{
	const char *conf = program_conf_file();
	char *copy, *path;

	if (*stored_conf.expire_rules)
		return mem_str(stored_conf.expire_rules);
	if (!conf)
		return mem_printf("%s/store.expirerule", conf_path_conf);
	copy = mem_str(conf);
	path = mem_printf("%s/store.expirerule", dirname(copy));
	mem_free(&copy);
	return path;
}

/* A regular file of at most so many bytes.  0 or -errno. */
static int
rules_read_file(const char *path, int flags, size_t most, struct buf *out)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | flags), rc = 0;
	struct stat st;
	ssize_t n = 1;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0)
		rc = -errno;
	else if (!S_ISREG(st.st_mode))
		rc = -EINVAL;
	while (rc == 0 && n > 0) {
		char *p = buf_reserve(out, 65536);

		n = read(fd, p, 65536);
		out->n += n > 0 ? (size_t)n : 0;
		rc = n < 0 ? -errno : out->n > most ? -EFBIG : 0;
	}
	close(fd);
	return rc;
}

static void
rules_tell(struct mta_notes *notes)
{
	fprintf(stderr, SFMT, SARG(buf_get(&notes->errors)));
	mta_notes_fini(notes);
}

/* One file of the site's into *r; none at all is no mistake. */
static void
rules_file(struct aging_rules *r, const char *path, enum aging_level level, const char *scope,
    struct mta_notes *notes)
{
	const struct mta_line at = { 0 };
	struct buf text = { 0 };
	int rc = rules_read_file(path, 0, AGING_TEXT_MAX, &text);

	if (rc < 0 && rc != -ENOENT)
		mta_error(notes, &at, "%s: %s", path, strerror(-rc));
	else if (rc == 0)
		(void)!aging_rules_parse(r, path, buf_get(&text), level, slice_str(scope), notes);
	buf_fini(&text);
}

static int
rules_is_partition(void *arg, const char *name, const char *path)
{
	(void)path;
	return strcmp(arg, name) == 0;
}

/* All files of PATH.d/partition or PATH.d/user; each is called as what it is for. */
static void
rules_folder(struct map *to, const char *path, enum aging_level level, struct mta_notes *notes)
{
	const struct mta_line at = { 0 };
	DIR *d = opendir(path);
	struct dirent *e;

	if (!d && errno != ENOENT)
		mta_error(notes, &at, "%s: %s", path, strerror(errno));
	for (errno = 0; d && (e = readdir(d)); errno = 0) {
		struct expire_file *f;
		char *file;

		if (e->d_name[0] == '.' || slice_ends(slice_str(e->d_name), S("~")))
			continue;
		file = mem_printf("%s/%s", path, e->d_name);
		f = mem_new(sizeof(*f));
		f->name = mem_str(e->d_name);
		if (level == AGING_PARTITION && !store_conf_partitions(rules_is_partition, f->name))
			mta_error(notes, &at, "%s: there is no such partition", file);
		else if (level == AGING_USER && store_account_check(slice_str(f->name)) < 0)
			mta_error(notes, &at, "%s: not the name of an account", file);
		else
			rules_file(&f->rules, file, level, f->name, notes);
		map_put(to, slice_str(f->name), f);
		mem_free(&file);
	}
	if (d && errno)
		mta_error(notes, &at, "%s: %s", path, strerror(errno));
	if (d)
		closedir(d);
}

bool
expire_rules_load(struct expire_rules *r)
{
	char *path = rules_path(), *below = mem_printf("%s.d/partition", path);
	struct mta_notes notes = { 0 };
	bool good;

	rules_file(&r->global, path, AGING_GLOBAL, "", &notes);
	rules_folder(&r->partitions, below, AGING_PARTITION, &notes);
	mem_free(&below);
	below = mem_printf("%s.d/user", path);
	rules_folder(&r->users, below, AGING_USER, &notes);
	good = notes.nerrors == 0;
	rules_tell(&notes);
	mem_free(&below);
	mem_free(&path);
	return good;
}

static void
rules_map_fini(struct map *m)
{
	struct expire_file *f;

	for (size_t at = 0; (f = map_next(m, &at));) {
		aging_rules_fini(&f->rules);
		map_take(m, slice_str(f->name));
		mem_free(&f->name);
		mem_free(&f);
	}
	map_fini(m);
}

void
expire_rules_fini(struct expire_rules *r)
{
	aging_rules_fini(&r->global);
	rules_map_fini(&r->partitions);
	rules_map_fini(&r->users);
}

bool
expire_rules_own(const char *account, struct aging_rules *own)
{
	struct mta_notes notes = { 0 };
	struct buf text = { 0 };
	bool good = true;
	char *path;
	int rc;

	if (!*stored_conf.expire_users || account[0] == '.')
		return true;
	path = mem_printf("%s/%s", stored_conf.expire_users, account);
	rc = rules_read_file(path, O_NOFOLLOW, AGING_OWN_MAX, &text);
	if (rc < 0 && rc != -ENOENT) {
		fprintf(stderr, "%s: %s\n", path, strerror(-rc));
		good = false;
	} else if (rc == 0)
		good = aging_rules_parse(own, path, buf_get(&text), AGING_OWN, slice_str(account),
		    &notes);
	rules_tell(&notes);
	buf_fini(&text);
	mem_free(&path);
	return good;
}
