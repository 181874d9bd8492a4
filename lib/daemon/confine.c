/* daemon/confine.c: which files a process of this program needs, told to the sandbox.
 *
 * It owns nothing; worker.c and single.c call it when the configuration is in the variables and
 * before the process has a second thread.  What must stay true: everything that a reload reads is
 * within the rules, as long as it stays in the folders where it was (a renewed certificate, another
 * include); what moves elsewhere is named by confine_check, and needs a restart.  Apart from
 * sandbox.c, which knows kernels and no configuration. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>
#include "base/files.h"
#include "base/log.h"
#include "base/logfile.h"
#include "base/mem.h"
#include "daemon/admit-impl.h"
#include "daemon/daemon-impl.h"

/* Paths that are no files to read: folders with rules of their own. */
static bool
is_place(const struct conf_key *k)
{
	static const char *const places[] = { "rundir", "queue", "store", "libexec", "path" };

	for (size_t i = 0; i < NELEM(places); i++)
		if (strcmp(k->name, places[i]) == 0)
			return true;
	return false;
}

/* Calls fn for every path that the configuration names and a reload reads. */
static void
each_path(void (*fn)(void *arg, const char *path), void *arg)
{
	conf_each_file(fn, arg);
	for (size_t i = 0; i < daemon_self.nschemas; i++) {
		const struct conf_schema *s = daemon_self.schemas[i];

		for (size_t k = 0; k < s->nkeys; k++)
			if (s->keys[k].type == CONF_PATH && !is_place(&s->keys[k]))
				fn(arg, *(char **)s->keys[k].field);
	}
	/* These may be URLs. */
	if (shared.login_oauth_metadata && *shared.login_oauth_metadata == '/')
		fn(arg, shared.login_oauth_metadata);
	if (shared.login_oauth_keys && *shared.login_oauth_keys == '/')
		fn(arg, shared.login_oauth_keys);
	for (struct daemon_listen **l = daemon_listeners(); *l; l++) {
		fn(arg, (*l)->cert);
		for (char **c = (*l)->certs; c && *c; c++)
			fn(arg, *c);
		fn(arg, (*l)->key);
	}
}

/* The counts of all daemons of a host are a file of rundir, which no worker may write but for it:
 * it is there before the rules are. */
static void
confine_counts(void)
{
	char *path = mem_printf("%s/admit-%d", shared.rundir, ADMIT_VERSION);
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0660);

	if (fd >= 0)
		(void)close(fd);
	sandbox_change(path);
	mem_free(&path);
}

static void
confine_read(void *arg UNUSED, const char *path)
{
	sandbox_read_beside(path);
}

/* A rule stands on what is there. */
static void
confine_make(const char *path)
{
	if (files_make_dirs(path, *shared.group ? 0770 : 0750) < 0)
		log_event(LOG_WARN, "sandbox", "path=%s error=%s", log_str(path),
		    log_str(strerror(errno)));
}

void
confine_plan(bool alone)
{
	const char *may = daemon_self.d->may ? daemon_self.d->may : "";

	if (strstr(may, "queue"))
		confine_make(shared.queue);
	if (strcmp(may, "store") == 0) /* who only reads leaves it to stored */
		confine_make(shared.store);
	sandbox_init((enum sandbox_mode)daemon_self.sandbox, may, alone);
	if (daemon_self.own_path)
		sandbox_read_beside(daemon_self.own_path);
	if (daemon_self.shared_path)
		sandbox_read_beside(daemon_self.shared_path);
	sandbox_read(daemon_self.dir);
	if (config_log_dir())
		sandbox_write(config_log_dir());
	each_path(confine_read, NULL);
	if (daemon_self.d->listens && strstr(may, "inet"))
		confine_counts();
	if (daemon_self.d->paths)
		daemon_self.d->paths();
}

void
confine_files(bool alone)
{
	confine_plan(alone);
	/* The search for leaks attaches to its own process. */
	if (daemon_self.sandbox != SANDBOX_OFF && !sandbox_watched())
		(void)prctl(PR_SET_DUMPABLE, daemon_self.core);
	sandbox_files();
	logfile_start(); /* a thread is confined as who has begun it */
}

static void
confine_look(void *arg, const char *path)
{
	struct buf *why = arg;

	if (!sandbox_reaches(path))
		buf_printf(why,
		    "%s is outside of what the running process may read: needs a restart\n", path);
}

bool
confine_check(struct buf *why)
{
	size_t before = why->n;

	each_path(confine_look, why);
	return why->n == before;
}
