/* daemon/check.c: what can be wrong with a configuration whose every value is good by itself: users
 * that do not exist, files that they may not read, listeners that exclude each other, certificates.
 *
 * It owns nothing; program.c calls it before a start and for -n, a reload through -n.  What it finds
 * is appended as lines "file:line: text"; those that begin with "warning: " do not stop anything.
 * What must stay true: it changes nothing, and it looks at files as the user whom the daemon
 * becomes, in a child, since root may read everything. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/mem.h"
#include "conf/paths.h"
#include "daemon/daemon-impl.h"
#include "daemon/remote.h"
#include "net/tls-check.h"
#include "net/trace.h"

#define DAY_S        86400
#define EXPIRES_SOON DAY_S /* a certificate that nobody has renewed in good time */
/* RUNDIR/channel-master.XXX and the like must fit into a socket address of 107 octets. */
#define RUNDIR_MAX 80

/* ---- who to be --------------------------------------------------------------------------- */

static bool
check_user(struct buf *why)
{
	bool good = true;

	if (*shared.user && !getpwnam(shared.user)) {
		buf_printf(why, "%s: user = %s: there is no such user\n", conf_where(&shared.user),
		    shared.user);
		good = false;
	}
	if (*shared.group && !getgrnam(shared.group)) {
		buf_printf(why, "%s: group = %s: there is no such group\n",
		    conf_where(&shared.group), shared.group);
		good = false;
	}
	return good;
}

/* ---- listeners ----------------------------------------------------------------------------- */

/* What its keys say together. */
static bool
check_listener(struct buf *why, const struct daemon_listen *l)
{
	const char *wrong = NULL;
	const void *key = &l->proxy;

	if (l->proxy && strncmp(l->address, "unix:", 5) == 0)
		wrong = "proxy: a Unix socket has no proxy in front of it";
	else if (l->proxy && (!daemon_self.proxy_networks || !*daemon_self.proxy_networks))
		wrong = "proxy: needs proxy.networks";
	else if (l->peer_cert == PEER_CERT_DEMAND && (l->tls == TLS_OFF || !*shared.tls_ca)) {
		wrong = "peer_certificate = demand: needs tls and tls.ca";
		key = &l->peer_cert;
	} else if (l->tls != TLS_OFF && health_role(l) != HEALTH_NONE) {
		wrong = "tls: listeners of the roles health and agent have none";
		key = &l->tls;
	}
	if (wrong)
		buf_printf(why, "%s: [listen %s] %s\n", conf_where(key), l->name, wrong);
	return !wrong;
}

static bool
check_listeners(struct buf *why)
{
	struct daemon_listen **all = daemon_listeners();
	bool good = true;

	if (daemon_self.d->listens && !*all && !getenv("LISTEN_FDS")) {
		buf_printf(why, "%s: there is no [listen NAME] section: nobody could connect\n",
		    daemon_self.own_path ? daemon_self.own_path : daemon_self.d->file);
		return false;
	}
	for (struct daemon_listen **l = all; *l; l++) {
		good &= check_listener(why, *l);
		for (struct daemon_listen **k = all; k < l; k++) {
			if (strcmp((*k)->address, (*l)->address) != 0)
				continue;
			buf_printf(why,
			    "%s: [listen %s] address = %s: [listen %s] has it already\n",
			    conf_where(&(*l)->address), (*l)->name, (*l)->address, (*k)->name);
			good = false;
		}
	}
	return good;
}

static bool
check_remote(struct buf *why)
{
	char *text = daemon_remote_address((int)shared.control_port);
	const char *wrong = NULL;
	struct addr a;

	if (*shared.control_address && addr_parse(slice_str(text), &a) < 0)
		wrong = "neither an address nor *";
	else if (*shared.control_address &&
	    (!*shared.tls_cert || !*shared.tls_key || !*shared.tls_ca))
		wrong = "needs tls.certificate, tls.key and tls.ca";
	if (wrong)
		buf_printf(why, "%s: control.address: %s\n", conf_where(&shared.control_address),
		    wrong);
	mem_free(&text);
	return !wrong;
}

static bool
check_rundir(struct buf *why)
{
	if (strlen(shared.rundir) <= RUNDIR_MAX)
		return true;
	buf_printf(why, "%s: rundir: longer than %d octets: its sockets would have no address\n",
	    conf_where(&shared.rundir), RUNDIR_MAX);
	return false;
}

/* What the system is called may have no domain, and be in mail for ever after. */
static void
check_hostname(struct buf *why)
{
	if (strcmp(conf_where(&shared.hostname), "default") == 0 && !strchr(shared.hostname, '.'))
		buf_printf(why,
		    "warning: default: hostname = %s: this system's name has no domain: say one\n",
		    shared.hostname);
}

/* A word that no stream has would show nothing, and nobody would know why. */
static void
check_trace(struct buf *why)
{
	struct slice rest = slice_str(shared.log_trace), word;

	while (slice_word(&rest, &word))
		if (!trace_known(word))
			buf_printf(why,
			    "warning: %s: log_trace: " SFMT
			    " is none of smtp, lmtp, imap, pop3, sieve\n",
			    conf_where(&shared.log_trace), SARG(word));
}

/* The folder is the administrator's to make: a file in the wrong place is worse than none. */
static bool
check_log(struct buf *why)
{
	const char *dir = config_log_dir();

	if (!dir || access(dir, W_OK | X_OK) == 0)
		return true;
	buf_printf(why, "%s: log_to = %s: %s\n", conf_where(&shared.log_to), shared.log_to,
	    strerror(errno));
	return false;
}

/* ---- certificates -------------------------------------------------------------------------- */

static bool
check_pair(struct buf *why, const char *where, const char *cert, const char *key)
{
	int64_t until = 0, now = clock_now();
	char *bad = tls_check_cert(cert, &until);
	bool fatal = bad && until == 0;

	if (until && (!daemon_self.cert_until || until < daemon_self.cert_until))
		daemon_self.cert_until = until;
	if (!bad && until < now)
		bad = mem_printf("%s: the certificate has expired %lld days ago", cert,
		    (long long)((now - until) / DAY_S));
	else if (!bad && until < now + EXPIRES_SOON)
		bad = mem_printf("%s: the certificate expires in %lld days", cert,
		    (long long)((until - now) / DAY_S));
	if (bad)
		buf_printf(why, "%s%s: %s\n", fatal ? "" : "warning: ", where, bad);
	mem_free(&bad);
	if (fatal || !(bad = tls_check_pair(cert, key)))
		return !fatal;
	buf_printf(why, "%s: %s\n", where, bad);
	mem_free(&bad);
	return false;
}

/* Words of a list are not resolved against the prefix as a path is. */
static bool
check_more(struct buf *why, const struct daemon_listen *l)
{
	bool good = true;

	for (char **c = l->certs; c && *c; c++) {
		if (**c == '/') {
			good &= check_pair(why, conf_where(&l->certs), *c, *c);
			continue;
		}
		buf_printf(why, "%s: [listen %s] certificates: %s: not an absolute path\n",
		    conf_where(&l->certs), l->name, *c);
		good = false;
	}
	return good;
}

/* Before the contexts are made: their library's words for these mistakes mislead. */
bool
check_certificates(struct buf *why)
{
	bool good = true, seen = false;

	daemon_self.cert_until = 0;
	for (struct daemon_listen **l = daemon_listeners(); *l; l++) {
		const char *cert = *(*l)->cert ? (*l)->cert : shared.tls_cert;
		const char *key = *(*l)->key ? (*l)->key : shared.tls_key;
		const void *field = *(*l)->cert ? (const void *)&(*l)->cert : &shared.tls_cert;

		if ((*l)->tls == TLS_OFF)
			continue;
		if (!*cert || !*key) {
			buf_printf(why, "%s: [listen %s] tls: needs tls.certificate and tls.key\n",
			    conf_where(&(*l)->tls), (*l)->name);
			good = false;
		} else if (field != &shared.tls_cert || !seen) {
			seen |= field == &shared.tls_cert;
			good &= check_pair(why, conf_where(field), cert, key);
		}
		good &= check_more(why, *l);
	}
	return good;
}

/* ---- files, as the user -------------------------------------------------------------------- */

static void
check_read(struct buf *why, const char *where, const char *path, bool needed)
{
	if (!path || !*path || access(path, R_OK) == 0)
		return;
	buf_printf(why, "%s%s: %s: %s%s\n", needed ? "" : "warning: ", where, path, strerror(errno),
	    needed ? "" : ": a reload could not read it");
}

/* A folder that the daemon writes: it is there and lets us, or can be made. */
static void
check_folder(struct buf *why, const char *where, const char *path)
{
	char *at = mem_str(path);
	char *slash;

	while (access(at, F_OK) < 0 && errno == ENOENT && (slash = strrchr(at, '/')) && slash > at)
		*slash = '\0';
	if (access(at, R_OK | W_OK | X_OK) < 0)
		buf_printf(why, "%s: %s: %s: %s must be able to write there\n", where, at,
		    strerror(errno), *shared.user ? shared.user : "this user");
	mem_free(&at);
}

static void
check_files(struct buf *why)
{
	const char *may = daemon_self.d->may ? daemon_self.d->may : "";
	char *channels = daemon_conf_path("channels.conf");

	check_read(why, "configuration", daemon_self.shared_path, false);
	check_read(why, "configuration", daemon_self.own_path, false);
	if (strstr(may, "queue")) { /* read again by who has given up privileges */
		if (access(channels, F_OK) == 0)
			check_read(why, "configuration", channels, true);
		check_folder(why, conf_where(&shared.queue), shared.queue);
	}
	mem_free(&channels);
	if (strstr(may, "store") && !strstr(may, "store:read"))
		check_folder(why, conf_where(&shared.store), shared.store);
	if (daemon_self.d->listens) {
		check_read(why, conf_where(&shared.tls_cert), shared.tls_cert, false);
		check_read(why, conf_where(&shared.tls_key), shared.tls_key, false);
	}
	check_read(why, conf_where(&shared.tls_ca), shared.tls_ca, false);
}

/* In the child: becomes the user, looks, writes what it found. */
NORETURN static void
check_as_user(int out)
{
	struct passwd *pw = getpwnam(shared.user);
	struct group *gr = *shared.group ? getgrnam(shared.group) : NULL;
	struct buf why = { 0 };
	gid_t gid = gr ? gr->gr_gid : pw ? pw->pw_gid : 0;

	if (pw && initgroups(shared.user, gid) == 0 && setresgid(gid, gid, gid) == 0 &&
	    setresuid(pw->pw_uid, pw->pw_uid, pw->pw_uid) == 0)
		check_files(&why);
	for (size_t at = 0; at < why.n;) {
		ssize_t n = write(out, why.p + at, why.n - at);

		if (n < 0 && errno != EINTR)
			break;
		at += n > 0 ? (size_t)n : 0;
	}
	_exit(0);
}

static void
check_in_child(struct buf *why)
{
	char piece[4096];
	int fds[2];
	ssize_t n;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return;
	pid = fork();
	if (pid == 0) {
		close(fds[0]);
		check_as_user(fds[1]);
	}
	close(fds[1]);
	while (
	    pid > 0 && ((n = read(fds[0], piece, sizeof(piece))) > 0 || (n < 0 && errno == EINTR)))
		if (n > 0)
			buf_add(why, piece, (size_t)n);
	close(fds[0]);
	while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

/* Does every line begin with "warning: "? */
static bool
only_warnings(struct slice text)
{
	struct slice line;

	while (slice_cut(&text, '\n', &line))
		if (line.n && !slice_starts(line, S("warning: ")))
			return false;
	return true;
}

bool
check_config(struct buf *why)
{
	size_t before = why->n;
	bool good = check_user(why);

	good &= check_listeners(why);
	good &= check_rundir(why);
	check_trace(why);
	check_hostname(why);
	good &= check_remote(why);
	good &= check_log(why);
	if (!good)
		return false;
	if (geteuid() == 0 && *shared.user)
		check_in_child(why);
	else
		check_files(why);
	return only_warnings(slice_from(buf_get(why), before));
}
