/* tmctl/config-set.c: `tmctl config set`: a file changed, when the daemons whose it is accept that, and they reload it.
 *
 * Owns a folder beside the configuration while the change is tried: links to all files that there are and the changed one,
 * so that programs read with -n what they would find.  Only then the file is replaced, by another of the same mode and
 * owner, in one step.  Must stay true: a file that somebody else has changed meanwhile is left alone; a change that a
 * running daemon refuses after all is taken back, and nobody who is impatient can keep that from happening; whatever else
 * stands in the file stays as it is (conf/edit.h). */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/files.h"
#include "base/mem.h"
#include "conf/edit.h"
#include "conf/shared.h"
#include "daemon/ask.h"
#include "daemon/remote.h"
#include "tmctl.h"

#define FILE_MOST (4 * 1024 * 1024) /* what conf/file.c reads */
#define TRIAL     ".tmctl-XXXXXX"

struct set {
	bool unset;
	int n;
	char **args;
	char *dir;   /* of the configuration */
	char *file;  /* name in it: "imapd.conf" */
	char *path;  /* what that is, links followed */
	char *trial; /* the folder of the trial, or NULL */
	int lock;    /* dir */
	struct stat st;
	struct buf before, after;
	int *line; /* where each key stands now; 0 = gone */
};

static volatile sig_atomic_t confset_signal;
static sigset_t confset_signals; /* those that people and terminals send */

static void
confset_on_signal(int sig)
{
	confset_signal = sig;
}

static void
confset_hold_signals(void)
{
	static const int all[] = { SIGINT, SIGTERM, SIGHUP };
	struct sigaction act = { .sa_handler = confset_on_signal };

	sigemptyset(&confset_signals);
	for (size_t i = 0; i < NELEM(all); i++) {
		(void)sigaddset(&confset_signals, all[i]);
		(void)sigaction(all[i], &act, NULL);
	}
	(void)signal(SIGPIPE, SIG_IGN); /* who reads our words may have gone */
}

static bool
confset_changes(const struct set *s)
{
	return !slice_eq(buf_get(&s->before), buf_get(&s->after));
}

static int
confset_failed(const char *what, int rc)
{
	fprintf(stderr, "tmctl: %s: %s\n", what, strerror(-rc));
	return EX_NOPERM;
}

/* KEY=VALUE, or KEY alone; the section in a name may have a "=" itself. */
static struct slice
confset_name(const struct set *s, int i, struct slice *value)
{
	struct slice arg = slice_str(s->args[i]);
	size_t from = slice_starts(arg, S("[")) ? slice_find(arg, ']') : 0;
	size_t eq = from + slice_find(slice_from(arg, from), '=');

	*value = s->unset || eq == arg.n ? slice(NULL, 0) : slice_from(arg, eq + 1);
	return slice_trim(s->unset ? arg : slice_sub(arg, 0, eq));
}

/* ---- the file ---------------------------------------------------------------------------------- */

static int
confset_slurp(const char *path, struct buf *text, struct stat *st)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), rc = fd < 0 ? -errno : 0;
	ssize_t n = 1;

	if (fd < 0)
		return rc;
	if (fstat(fd, st) < 0)
		rc = -errno;
	while (rc == 0 && n > 0 && text->n <= FILE_MOST) {
		n = read(fd, buf_reserve(text, 65536), 65536);
		if (n < 0 && errno != EINTR)
			rc = -errno;
		text->n += n > 0 ? (size_t)n : 0;
	}
	(void)close(fd);
	return rc == 0 && text->n > FILE_MOST ? -EFBIG : rc;
}

/* A new file of the old one's mode and owner. */
static int
confset_write(const struct set *s, const char *path, struct slice text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600), rc;

	if (fd < 0)
		return -errno;
	rc = files_write(fd, text.p, text.n);
	/* Who may write here and is not root can give it to nobody else: it was his before, too. */
	if (rc == 0 && fchown(fd, s->st.st_uid, s->st.st_gid) < 0 && geteuid() == 0)
		rc = -errno;
	if (rc == 0 && (fchmod(fd, s->st.st_mode & 07777) < 0 || fsync(fd) < 0))
		rc = -errno;
	(void)close(fd);
	if (rc < 0)
		(void)unlink(path);
	return rc;
}

static int
confset_replace(const struct set *s, struct slice text)
{
	char *new = mem_printf("%s.tmctl-new", s->path);
	int rc;

	(void)unlink(new); /* of one that was killed: the lock is ours */
	rc = confset_write(s, new, text);
	if (rc == 0 && rename(new, s->path) < 0) {
		rc = -errno;
		(void)unlink(new);
	}
	if (rc == 0 && fsync(s->lock) < 0)
		rc = -errno;
	mem_free(&new);
	return rc;
}

/* ---- the trial --------------------------------------------------------------------------------- */

static int
confset_link(const struct set *s, const char *name)
{
	char *from = mem_printf("%s/%s", s->dir, name), *to = mem_printf("%s/%s", s->trial, name);
	int rc = symlink(from, to) < 0 ? -errno : 0;

	mem_free(&from);
	mem_free(&to);
	return rc;
}

static void
confset_clear(int dir, const char *name)
{
	int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	while (d && (e = readdir(d)))
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			(void)unlinkat(fd, e->d_name, 0);
	if (d)
		(void)closedir(d);
	else if (fd >= 0)
		(void)close(fd);
	(void)unlinkat(dir, name, AT_REMOVEDIR);
}

static bool
confset_is_trial(const char *name)
{
	return strncmp(name, TRIAL, strlen(TRIAL) - 6) == 0 && strlen(name) == strlen(TRIAL);
}

static int
confset_try(struct set *s)
{
	char *path, *full = realpath(s->dir, NULL);
	struct dirent *e;
	DIR *d;
	int rc = 0;

	if (!full || !(d = opendir(full)))
		return -errno;
	mem_free(&s->dir);
	s->dir = mem_str(full);
	free(full);
	while ((e = readdir(d)))
		if (confset_is_trial(e->d_name)) /* of one that was killed: the lock is ours */
			confset_clear(s->lock, e->d_name);
	rewinddir(d);
	s->trial = mem_printf("%s/" TRIAL, s->dir);
	if (!mkdtemp(s->trial)) {
		rc = -errno;
		mem_free(&s->trial);
	} else if (chmod(s->trial, 0755) < 0) { /* a daemon's user reads there, too */
		rc = -errno;
	}
	while (rc == 0 && (e = readdir(d)))
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 &&
		    !confset_is_trial(e->d_name) && strcmp(e->d_name, s->file) != 0)
			rc = confset_link(s, e->d_name);
	(void)closedir(d);
	if (rc < 0)
		return rc;
	path = mem_printf("%s/%s", s->trial, s->file);
	rc = confset_write(s, path, buf_get(&s->after));
	mem_free(&path);
	return rc;
}

static void
confset_untry(struct set *s)
{
	if (s->trial)
		confset_clear(s->lock, s->trial + strlen(s->dir) + 1);
	mem_free(&s->trial);
}

/* Complaints name the files that people know. */
static void
confset_complain(const struct set *s, const char *daemon, struct slice text)
{
	struct slice line;

	while (slice_cut(&text, '\n', &line)) {
		struct slice trial = slice_str(s->trial);
		size_t at;

		if (line.n == 0)
			continue;
		fprintf(stderr, "%s: ", daemon);
		while ((at = slice_find_str(line, trial)) < line.n) {
			fprintf(stderr, SFMT "%s", SARG(slice_sub(line, 0, at)), s->dir);
			line = slice_from(line, at + trial.n);
		}
		fprintf(stderr, SFMT "\n", SARG(line));
	}
}

/* ---- does it take effect? ---------------------------------------------------------------------- */

struct confset_look {
	const struct set *s;
	const char *daemon;
	bool *elsewhere; /* per key: that a line of another file is what counts */
	bool *seen;
};

static void
confset_look(void *arg, const struct config_line *l)
{
	struct confset_look *k = arg;

	for (int i = 0; i < k->s->n; i++) {
		struct slice value;
		char *where;

		if (!slice_eq(confset_name(k->s, i, &value), l->name))
			continue;
		k->seen[i] = true;
		if (k->s->line[i] == 0)
			continue;
		where = mem_printf("/%s:%d", k->s->file, k->s->line[i]);
		if (!slice_ends(l->where, slice_str(where))) {
			fprintf(stderr, "tmctl: " SFMT ": of %s, " SFMT " says so, and wins\n",
			    SARG(l->name), k->daemon, SARG(l->where));
			k->elsewhere[i] = true;
		}
		mem_free(&where);
	}
}

/* 0, or an exit code after saying what is wrong. */
static int
confset_check(const struct set *s, const char *daemon, bool *seen)
{
	bool elsewhere[TMCTL_KEYS] = { false };
	struct confset_look look = { s, daemon, elsewhere, seen };
	struct buf out = { 0 }, why = { 0 };
	int rc = config_check(daemon, s->trial, &out, &why);

	confset_complain(s, daemon, buf_get(&why));
	if (rc == 0)
		config_each(buf_get(&out), confset_look, &look);
	buf_fini(&out);
	buf_fini(&why);
	for (int i = 0; i < s->n; i++)
		/* That one daemon has its own value is no reason against one for all. */
		if (elsewhere[i] && tmctl_options.only)
			rc = EX_DATAERR;
	return rc ? EX_CONFIG : 0;
}

/* Every daemon that it concerns must accept it. */
static int
confset_check_all(const struct set *s)
{
	bool seen[TMCTL_KEYS] = { false };
	struct slice value;
	int code = 0;

	for (size_t i = 0; i < tmctl_nnames && !confset_signal; i++)
		if (confset_check(s, tmctl_names[i], seen) != 0)
			code = EX_CONFIG;
	if (confset_signal) {
		fprintf(stderr, "tmctl: %s: it is as it was before\n", s->path);
		return EX_TEMPFAIL;
	}
	/* What nobody knows may still go. */
	for (int i = 0; code == 0 && i < s->n && !(s->unset && confset_changes(s)); i++)
		if (!seen[i]) {
			fprintf(stderr, "tmctl: " SFMT ": no such key\n",
			    SARG(confset_name(s, i, &value)));
			code = EX_DATAERR;
		}
	return code;
}

/* ---- whom it concerns -------------------------------------------------------------------------- */

/* What a file of all means to daemons that are not running is their business when they start: those that run, or that
 * have a file here when none does. */
static void
confset_whom(const struct set *s)
{
	struct dirent *e;
	DIR *d;

	tmctl_whom(NULL);
	if (tmctl_nnames > 0 || !(d = opendir(s->dir)))
		return;
	while ((e = readdir(d))) {
		struct slice name = slice_str(e->d_name);

		name = slice_sub(name, 0, slice_rfind(name, '.'));
		for (size_t i = 0;
		     slice_ends(slice_str(e->d_name), S(".conf")) && daemon_remote_names[i]; i++)
			if (slice_eq(name, slice_str(daemon_remote_names[i])))
				tmctl_add(name);
	}
	(void)closedir(d);
}

/* What comes of it: a daemon that runs has refused it, or has not said anything. */
static void
confset_reload(bool tell, struct tmctl_tally *all)
{
	struct buf answer = { 0 };

	for (size_t i = 0; i < tmctl_nnames; i++) {
		struct tmctl_tally t = { 0 };
		struct slice rest, line;
		int rc;

		buf_clear(&answer);
		rc = tmctl_ask(NULL, tmctl_names[i], S("reload"), TMCTL_RELOAD_MS, &answer, &t);
		/* Who does not run reads it when it starts; said, if it was named. */
		all->away += rc < 0 && rc != -ENOENT && rc != -ECONNREFUSED;
		if (rc < 0)
			continue;
		rest = buf_get(&answer);
		while (slice_cut(&rest, '\n', &line)) {
			all->refused += tmctl_is_error(line);
			if (line.n && tell)
				tmctl_put(NULL, tmctl_names[i], false, line);
		}
	}
	buf_fini(&answer);
}

/* ---- all of it --------------------------------------------------------------------------------- */

static void
confset_argument(const struct set *s, int i, struct conf_name *name, struct slice *value)
{
	struct slice text = confset_name(s, i, value);

	if (!s->unset && !value->p)
		tmctl_usage("config set KEY=VALUE ...");
	for (size_t k = 0; k < value->n; k++)
		if ((unsigned char)value->p[k] < ' ' || value->p[k] == 0x7f)
			tmctl_usage("a value has no control characters");
	if (conf_name_parse(text, name) < 0)
		tmctl_usage(mem_printf("no name of a key: %s", s->args[i]));
}

/* The new text.  Later keys move earlier ones: setting one again changes nothing and says where it is. */
static void
confset_edit(struct set *s)
{
	struct buf text = { 0 };
	struct conf_name name;
	struct slice value;

	buf_slice(&s->after, buf_get(&s->before));
	for (int round = 0; round < 2; round++)
		for (int i = 0; i < s->n; i++) {
			confset_argument(s, i, &name, &value);
			buf_clear(&text);
			s->line[i] = conf_edit(buf_get(&s->after), &name, value, &text);
			buf_clear(&s->after);
			buf_slice(&s->after, buf_get(&text));
		}
	buf_fini(&text);
}

static int
confset_apply(struct set *s)
{
	struct tmctl_tally t = { 0 };
	struct buf now = { 0 };
	struct stat st;
	int rc = confset_slurp(s->path, &now, &st);
	bool same = rc == 0 && slice_eq(buf_get(&now), buf_get(&s->before));

	buf_fini(&now);
	if (!same) {
		fprintf(stderr, "tmctl: %s: somebody else has changed it meanwhile\n", s->path);
		return EX_TEMPFAIL;
	}
	if (confset_changes(s) && (rc = confset_replace(s, buf_get(&s->after))) < 0)
		return confset_failed(s->path, rc);
	confset_reload(true, &t);
	if (t.refused == 0 || !confset_changes(s))
		return t.refused ? EX_DATAERR : t.away ? EX_UNAVAILABLE : 0;
	rc = confset_replace(s, buf_get(&s->before));
	if (rc < 0)
		return confset_failed(s->path, rc);
	confset_reload(false, &t);
	fprintf(stderr, "tmctl: %s: it is as it was before\n", s->path);
	return EX_DATAERR;
}

static int
confset_run(struct set *s)
{
	int rc;

	if (flock(s->lock, LOCK_EX | LOCK_NB) < 0) {
		fprintf(stderr, "tmctl: %s: somebody else is changing it\n", s->dir);
		return EX_TEMPFAIL;
	}
	if ((rc = confset_slurp(s->path, &s->before, &s->st)) < 0)
		return confset_failed(s->path, rc);
	confset_edit(s);
	confset_whom(s);
	if ((rc = confset_try(s)) < 0)
		rc = confset_failed(s->dir, rc);
	else
		rc = confset_check_all(s);
	confset_untry(s);
	if (rc)
		return rc;
	(void)sigprocmask(SIG_BLOCK, &confset_signals, NULL);
	rc = confset_apply(s);
	(void)sigprocmask(SIG_UNBLOCK, &confset_signals, NULL);
	return rc;
}

/* Which file: with one daemon named its own, otherwise that of all. */
static bool
confset_paths(struct set *s)
{
	const char *shared_path = program_conf_file();
	struct slice all = slice_str(shared_path ? shared_path : ""), dir = S(".");
	char *path, *real;

	if (!shared_path) {
		fprintf(stderr, "tmctl: there is no tiermail.conf\n");
		return false;
	}
	if (slice_rfind(all, '/') < all.n)
		dir = slice_sub(all, 0, slice_rfind(all, '/'));
	if (!slice_ends(all, S("tiermail.conf")))
		tmctl_usage("config set: -c names the tiermail.conf beside the daemons' files");
	s->dir = mem_strn(dir.p, dir.n);
	s->file = tmctl_options.only ? mem_printf("%s.conf", tmctl_options.only) :
				       mem_str("tiermail.conf");
	path = mem_printf("%s/%s", s->dir, s->file);
	if (!(real = realpath(path, NULL)))
		(void)confset_failed(path, -errno);
	else
		s->path = mem_str(real);
	free(real);
	mem_free(&path);
	s->lock = open(s->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return s->path && s->lock >= 0;
}

int
config_set(bool unset, int argc, char **argv)
{
	struct set s = { .unset = unset, .n = argc, .args = argv, .lock = -1 };
	int line[TMCTL_KEYS] = { 0 }, code = EX_NOINPUT;

	if (argc < 1 || argc > TMCTL_KEYS)
		tmctl_usage(unset ? "config unset KEY ..." : "config set KEY=VALUE ...");
	if (tmctl_nhosts > 0)
		tmctl_usage("config set: on that host itself");
	if (tmctl_options.only && strpbrk(tmctl_options.only, ",/"))
		tmctl_usage("config set: one daemon with -d, or none");
	s.line = line;
	confset_hold_signals();
	if (confset_paths(&s))
		code = confset_run(&s);
	if (s.lock >= 0)
		(void)close(s.lock);
	mem_free(&s.dir);
	mem_free(&s.file);
	mem_free(&s.path);
	buf_fini(&s.before);
	buf_fini(&s.after);
	tmctl_whom_free();
	return code;
}
