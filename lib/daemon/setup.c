/* daemon/setup.c: what happens once, before the loop: limits, sockets, privileges, files.
 *
 * Called by program.c, in the order in which root is needed: sockets before privileges go.
 * Whatever fails is logged with what it was and ends the start.  Sockets that a supervisor gave
 * are used and never removed; our own belong to the user that the daemon becomes.  A port that a
 * killed predecessor still has is waited for, a second. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <malloc.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "base/files.h"
#include "base/log.h"
#include "base/logfile.h"
#include "base/mem.h"
#include "daemon/daemon-impl.h"
#include "daemon/remote.h"

static int
setup_failed(const char *what, const char *name, int rc)
{
	log_event(LOG_ERROR, "start_failed", "what=%s name=%s error=%s", what, log_str(name),
	    log_str(strerror(-rc)));
	return rc;
}

void
setup_limits(void)
{
	struct rlimit r;

	umask(*shared.group ? 007 : 027); /* a common group shares the queue: it must write there */
	if (getrlimit(RLIMIT_NOFILE, &r) == 0) {
		r.rlim_cur = r.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &r);
	}
	if (getrlimit(RLIMIT_CORE, &r) == 0) {
		r.rlim_cur = daemon_self.core ? r.rlim_max : 0;
		(void)setrlimit(RLIMIT_CORE, &r);
	}
	setenv("UV_THREADPOOL_SIZE", "16", 0);
	mallopt(M_ARENA_MAX, 2); /* the pool's threads wait for disks, not for malloc */
}

/* ---- who to be --------------------------------------------------------------------------- */

/* The configured ids; -1 for "stay". */
static int
ids(uid_t *uid, gid_t *gid)
{
	struct passwd *pw;
	struct group *gr;

	*uid = (uid_t)-1;
	*gid = (gid_t)-1;
	if (*shared.user) {
		errno = 0;
		if (!(pw = getpwnam(shared.user)))
			return setup_failed("user", shared.user, errno ? -errno : -ENOENT);
		*uid = pw->pw_uid;
		*gid = pw->pw_gid;
	}
	if (*shared.group) {
		errno = 0;
		if (!(gr = getgrnam(shared.group)))
			return setup_failed("group", shared.group, errno ? -errno : -ENOENT);
		*gid = gr->gr_gid;
	}
	return 0;
}

int
setup_rundir(void)
{
	uid_t uid;
	gid_t gid;
	int rc;
	bool there = access(shared.rundir, F_OK) == 0;

	if ((rc = files_make_dirs(shared.rundir, 0755)) < 0)
		return setup_failed("rundir", shared.rundir, rc);
	if (there || geteuid() != 0)
		return 0;
	if ((rc = ids(&uid, &gid)) < 0)
		return rc;
	/* Users of their own make their sockets side by side, and remove only their own. */
	if (*shared.group)
		rc = chown(shared.rundir, 0, gid) < 0 || chmod(shared.rundir, 01775) < 0 ? -errno :
											   0;
	else
		rc = chown(shared.rundir, uid, gid) < 0 ? -errno : 0;
	return rc < 0 ? setup_failed("rundir", shared.rundir, rc) : 0;
}

int
setup_privileges(void)
{
	uid_t uid;
	gid_t gid;
	int rc;

	if (geteuid() != 0)
		return 0;
	if ((rc = ids(&uid, &gid)) < 0)
		return rc;
	/* Who turns it over and opens the next one is not root any more. */
	if ((rc = logfile_give(uid, gid)) < 0)
		return setup_failed("log", shared.log_to, rc);
	if (gid != (gid_t)-1) {
		rc = uid != (uid_t)-1 ? initgroups(shared.user, gid) : setgroups(0, NULL);
		if (rc < 0 || setresgid(gid, gid, gid) < 0)
			return setup_failed("group", shared.group, -errno);
	}
	if (uid != (uid_t)-1 && setresuid(uid, uid, uid) < 0)
		return setup_failed("user", shared.user, -errno);
	return 0;
}

/* ---- listeners --------------------------------------------------------------------------- */

static bool *inherited; /* per listener: came from systemd, its path is not ours */

bool
setup_inherited(size_t listener)
{
	return inherited[listener];
}

static struct daemon_listen *
listener_named(struct slice name, size_t *at)
{
	for (*at = 0; daemon_self.listens && daemon_self.listens[*at]; ++*at)
		if (slice_eq(name, slice_str(daemon_self.listens[*at]->name)))
			return daemon_self.listens[*at];
	return NULL;
}

/* unix:name without a slash at its front is a socket in rundir. */
static int
listen_addr(const char *text, struct addr *a)
{
	char *full;
	int rc;

	if (strncmp(text, "unix:", 5) != 0 || text[5] == '/')
		return addr_parse(slice_str(text), a);
	full = mem_printf("unix:%s/%s", shared.rundir, text + 5);
	rc = addr_parse(slice_str(full), a);
	free(full);
	return rc;
}

/* A predecessor's socket: is it where the configuration has it now? */
static bool
listens_at(int fd, const char *text)
{
	struct addr is = { .len = sizeof(is.ss) }, wanted;
	char a[ADDR_TEXT], b[ADDR_TEXT];

	if (listen_addr(text, &wanted) < 0 || getsockname(fd, &is.sa, &is.len) < 0)
		return false;
	if (addr_port(&wanted) == 0) /* the kernel has chosen it */
		addr_set_port(&is, 0);
	return strcmp(addr_write(&is, a), addr_write(&wanted, b)) == 0;
}

/* sd_listen_fds_with_names(3): descriptors from 3 on, names in LISTEN_FDNAMES. */
static void
take_inherited(void)
{
	const char *pid = getenv("LISTEN_PID"), *fds = getenv("LISTEN_FDS");
	struct slice names = slice_str(getenv("LISTEN_FDNAMES")), name;
	uint64_t n = 0;
	size_t at;

	if (pid && fds && strtol(pid, NULL, 10) == (long)getpid() &&
	    slice_u64(slice_str(fds), 1000, &n) == 0) {
		for (int fd = SETUP_FIRST_FD; fd < SETUP_FIRST_FD + (int)n; fd++) {
			struct daemon_listen *l;
			bool ours;

			if (!slice_cut(&names, ':', &name))
				name = S("unknown");
			(void)fcntl(fd, F_SETFD, FD_CLOEXEC);
			if (upgrade_inherit(name, fd))
				continue;
			/* Of a predecessor (upgrade.c): a socket that we would have made. */
			if ((ours = slice_starts(name, S("="))))
				name = slice_from(name, 1);
			l = listener_named(name, &at);
			if (l && l->fd < 0 && (!ours || listens_at(fd, l->address))) {
				l->fd = fd;
				inherited[at] = !ours;
				continue;
			}
			log_event(LOG_WARN, "socket_unused", "name=%s", log_value(name));
			close(fd);
		}
	}
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
}

/* A predecessor that was killed a moment ago may still be letting go of the port. */
static int
open_patiently(const struct addr *a, int mode)
{
	const struct timespec moment = { .tv_nsec = 50 * 1000000 };
	int fd = listen_open(a, mode);

	for (int tries = 0; fd == -EADDRINUSE && tries < 20; tries++) {
		nanosleep(&moment, NULL);
		fd = listen_open(a, mode);
	}
	return fd;
}

/* A socket made by root belongs to whom the daemon becomes: the others run as the same. */
static int
give_socket(const struct addr *a)
{
	uid_t uid;
	gid_t gid;
	int rc;

	if (geteuid() != 0)
		return 0;
	if ((rc = ids(&uid, &gid)) < 0)
		return rc;
	return chown(a->un.sun_path, uid, gid) < 0 ?
	    setup_failed("listen", a->un.sun_path, -errno) :
	    0;
}

/* The control socket's counterpart for other hosts. */
static int
listen_remotely(void)
{
	int port = daemon_remote_port(daemon_self.d->name), rc, fd = upgrade_socket(UPGRADE_REMOTE);
	bool wanted = *shared.control_address && port;
	char *text = wanted ? daemon_remote_address(port) : NULL;
	struct addr a;

	if (fd >= 0 && !(wanted && listens_at(fd, text))) {
		close(fd);
		fd = -1;
	}
	if (!wanted)
		return 0;
	rc = addr_parse(slice_str(text), &a);
	daemon_self.remote_fd = fd;
	if (daemon_self.remote_fd < 0)
		daemon_self.remote_fd = rc < 0 ? rc : open_patiently(&a, 0);
	if (daemon_self.remote_fd < 0)
		rc = setup_failed("control", text, daemon_self.remote_fd);
	mem_free(&text);
	return rc < 0 ? rc : 0;
}

int
setup_listeners(void)
{
	size_t n = 0;
	int rc;

	for (; daemon_self.listens && daemon_self.listens[n]; n++)
		daemon_self.listens[n]->fd = -1;
	inherited = mem_array(n + 1, sizeof(*inherited));
	take_inherited();
	for (size_t i = 0; i < n; i++) {
		struct daemon_listen *l = daemon_self.listens[i];
		struct addr a;

		if (l->fd >= 0)
			continue;
		if (listen_addr(l->address, &a) < 0)
			return setup_failed("listen", l->address, -EINVAL);
		l->fd = open_patiently(&a, (int)l->mode);
		if (l->fd < 0)
			return setup_failed("listen", l->address, l->fd);
		if (a.sa.sa_family == AF_UNIX && (rc = give_socket(&a)) < 0)
			return rc;
	}
	return listen_remotely();
}

void
setup_close_listeners(void)
{
	for (size_t i = 0; daemon_self.listens && daemon_self.listens[i]; i++) {
		if (daemon_self.listens[i]->fd >= 0)
			close(daemon_self.listens[i]->fd);
		daemon_self.listens[i]->fd = -1;
	}
}

/* ---- files in rundir --------------------------------------------------------------------- */

int
setup_pid(void)
{
	char *temp = mem_printf("%s.%d", daemon_self.pid_path, (int)getpid());
	FILE *f = fopen(temp, "we");
	int rc = f ? 0 : -errno;

	if (f) {
		(void)fchmod(fileno(f), 0644);
		fprintf(f, "%d\n", (int)getpid());
		if (fclose(f) != 0 || rename(temp, daemon_self.pid_path) < 0)
			rc = -errno;
	}
	if (rc < 0)
		unlink(temp);
	free(temp);
	return rc;
}

/* A socket of ours in rundir: its descriptor, or -errno. */
static int
run_socket(enum upgrade_socket which, const char *path, int mode)
{
	char *text;
	struct addr a;
	int rc = upgrade_socket(which);

	if (rc >= 0)
		return rc;
	text = mem_printf("unix:%s", path);
	rc = addr_parse(slice_str(text), &a);
	free(text);
	rc = rc < 0 ? rc : open_patiently(&a, mode);
	return rc < 0 ? setup_failed("control", path, rc) : rc;
}

int
setup_run_files(void)
{
	const char *name = daemon_self.d->name;
	int rc;

	daemon_self.pid_path = mem_printf("%s/%s.pid", shared.rundir, name);
	daemon_self.ctl_path = mem_printf("%s/%s.ctl", shared.rundir, name);
	daemon_self.metrics_path = mem_printf("%s/%s.metrics", shared.rundir, name);
	daemon_self.news_path = mem_printf("%s/%s.news", shared.rundir, name);
	daemon_self.ctl_fd =
	    run_socket(UPGRADE_CTL, daemon_self.ctl_path, *shared.group ? 0600 : 0660);
	if (daemon_self.ctl_fd < 0)
		return daemon_self.ctl_fd;
	daemon_self.metrics_fd = run_socket(UPGRADE_METRICS, daemon_self.metrics_path, 0660);
	if (daemon_self.metrics_fd < 0)
		return daemon_self.metrics_fd;
	daemon_self.news_fd = run_socket(UPGRADE_NEWS, daemon_self.news_path, 0660);
	if (daemon_self.news_fd < 0)
		return daemon_self.news_fd;
	rc = upgrade_pending() ? 0 : setup_pid();
	return rc < 0 ? setup_failed("pidfile", daemon_self.pid_path, rc) : 0;
}

void
setup_remove(void)
{
	struct addr a;

	/* A master has none of this; or it is another process's. */
	if (!daemon_self.ctl_path || upgrade_retired() || upgrade_pending())
		return;
	unlink(daemon_self.ctl_path);
	unlink(daemon_self.metrics_path);
	unlink(daemon_self.news_path);
	unlink(daemon_self.pid_path);
	for (size_t i = 0; daemon_self.listens && daemon_self.listens[i]; i++)
		if (!inherited[i] && listen_addr(daemon_self.listens[i]->address, &a) == 0 &&
		    a.sa.sa_family == AF_UNIX)
			unlink(a.un.sun_path);
}
