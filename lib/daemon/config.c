/* daemon/config.c: which files, the keys of the skeleton itself, TLS contexts.
 *
 * Owns daemon_self's schemas and contexts.  Called by program.c at the start and by parent.c,
 * single.c and worker.c at a reload.  Whatever fails is told in lines with file and place.  A
 * new configuration is first checked by this program run with -n, because keys are stored before
 * contexts are made; all new contexts are made before an old one goes. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/log.h"
#include "base/logfile.h"
#include "base/mem.h"
#include "conf/paths.h"
#include "daemon/daemon-impl.h"
#include "net/trace.h"

#define VERIFY_MS 10000

struct self daemon_self = { .worker = -1,
	.ctl_fd = -1,
	.metrics_fd = -1,
	.news_fd = -1,
	.remote_fd = -1 };

#define AT(m) (void *)offsetof(struct daemon_listen, m)
/* The first key says it: listeners come and go only by a restart. */
static struct conf_key listen_keys[] = {
	{ "address", CONF_STR, AT(address), NULL, 0, 0, RESTART, "listen",
	    "Where to listen: host:port, [v6]:port, *:port or unix:/path." },
	{ "tls", CONF_ENUM, AT(tls), "off", 0, 0, RELOAD, "off|starttls|implicit",
	    "No TLS, TLS on demand, or TLS from the first byte." },
	{ "mode", CONF_MODE, AT(mode), "0660", 0, 0, RESTART, NULL, "The mode of a Unix socket." },
	{ "certificate", CONF_PATH, AT(cert), "", 0, 0, RELOAD, NULL,
	    "PEM file of the certificate; empty means tls.certificate." },
	{ "key", CONF_PATH, AT(key), "", 0, 0, RELOAD, NULL,
	    "PEM file of the private key; empty means tls.key." },
	{ "certificates", CONF_LIST, AT(certs), "", 0, 0, RELOAD, NULL,
	    "More PEM files, each a certificate and its key, for the names that they have." },
	{ "peer_certificate", CONF_ENUM, AT(peer_cert), "off", 0, 0, RELOAD, "off|ask|demand",
	    "Whether TLS clients are asked for a certificate of tls.ca, or must show one." },
	{ "proxy", CONF_BOOL, AT(proxy), "no", 0, 0, RELOAD, NULL,
	    "Connections begin with a PROXY header, and come from proxy.networks alone." },
	{ "role", CONF_ENUM, AT(role), NULL, 0, 0, RESTART, NULL, "What is spoken here." },
};
#undef AT

static struct conf_key own_keys[] = {
	{ "drain_timeout", CONF_TIME, &daemon_self.drain_timeout, "30s", 0, 86400000, RELOAD, NULL,
	    "How long sessions may take to end when the daemon is stopped." },
	{ "upgrade_timeout", CONF_TIME, &daemon_self.upgrade_timeout, "1d", 0, 30 * 86400000LL,
	    RELOAD, NULL,
	    "How long sessions may stay with a process that another has taken over from." },
	{ "core", CONF_BOOL, &daemon_self.core, "no", 0, 0, RESTART, NULL,
	    "Write core files; they hold mail and passwords." },
	{ "proxy.networks", CONF_LIST, &daemon_self.proxy_networks, "", 0, 0, RELOAD, "network",
	    "Networks of the proxies that listeners with proxy = yes hear." },
	{ "sandbox", CONF_ENUM, &daemon_self.sandbox, "enforce", 0, 0, RESTART, "enforce|log|off",
	    "Whether a process is confined to the files and system calls that it needs." },
};

static struct conf_section listen_section = {
	.name = "listen",
	.size = sizeof(struct daemon_listen),
	.keys = listen_keys,
	.nkeys = NELEM(listen_keys) - 1,
	.items = (void ***)&daemon_self.listens,
	.arg_at = offsetof(struct daemon_listen, name),
	.help = "A socket to listen on.",
};
static struct conf_schema own_schema = { own_keys, NELEM(own_keys), &listen_section, 0 };

static void
schemas_init(void)
{
	static char first[64], roles[128];

	if (daemon_self.d->client_certs)
		for (size_t i = 0; i < NELEM(listen_keys); i++)
			if (strcmp(listen_keys[i].name, "peer_certificate") == 0)
				listen_keys[i].dflt = "ask";
	if (daemon_self.d->roles) { /* the first role is the default */
		struct conf_key *role = &listen_keys[NELEM(listen_keys) - 1];

		(void)snprintf(roles, sizeof(roles), "%s|" HEALTH_ROLES, daemon_self.d->roles);
		role->choices = roles;
		role->dflt = slice_cstr(slice_sub(slice_str(daemon_self.d->roles), 0,
					    slice_find(slice_str(daemon_self.d->roles), '|')),
		    first, sizeof(first));
		listen_section.nkeys = NELEM(listen_keys);
	}
	if (daemon_self.d->drain_timeout)
		own_keys[0].dflt = daemon_self.d->drain_timeout;
	own_schema.nsections = daemon_self.d->listens;
	daemon_self.schemas[daemon_self.nschemas++] = &conf_shared_schema;
	if (daemon_self.d->file) /* also of a tool that reads a daemon's file */
		daemon_self.schemas[daemon_self.nschemas++] = &own_schema;
	if (daemon_self.d->schema)
		daemon_self.schemas[daemon_self.nschemas++] = daemon_self.d->schema;
}

static void
keep_if_there(char **path)
{
	if (*path && access(*path, F_OK) < 0 && errno == ENOENT)
		mem_free(path);
}

/* `file` is a program's own file when it is no tool and the name does not say otherwise. */
static bool
is_own(const char *file, const char *name)
{
	return file && daemon_self.d->kind != PROGRAM_TOOL && strcmp(name, "tiermail.conf") != 0;
}

bool
config_paths(const char *file)
{
	const char *name, *own = daemon_self.d->file;
	bool from_env = !file && (file = getenv("TIERMAIL_CONF")) && *file;
	char *dir;

	schemas_init();
	if (file && !*file)
		file = NULL;
	daemon_self.file = file ? mem_str(file) : NULL;
	if (file && access(file, F_OK) < 0)
		return false;
	name = file ? strrchr(file, '/') : NULL;
	name = name ? name + 1 : file;
	dir = !file     ? mem_str(conf_path_conf) :
	    name > file ? mem_strn(file, (size_t)(name - file - 1)) :
			  mem_str(".");
	if (!from_env && is_own(file, name)) {
		daemon_self.own_path = mem_str(file);
		daemon_self.shared_path = mem_printf("%s/tiermail.conf", dir);
	} else {
		daemon_self.own_path = own ? mem_printf("%s/%s", dir, own) : NULL;
		daemon_self.shared_path =
		    file ? mem_str(file) : mem_printf("%s/tiermail.conf", dir);
	}
	keep_if_there(&daemon_self.shared_path);
	keep_if_there(&daemon_self.own_path);
	daemon_self.dir = dir;
	return true;
}

char *
daemon_conf_path(const char *file)
{
	return mem_printf("%s/%s", daemon_self.dir, file);
}

/* ---- TLS --------------------------------------------------------------------------------- */

static void
shared_params(struct tls_params *p)
{
	*p = (struct tls_params){
		.cert = shared.tls_cert,
		.key = shared.tls_key,
		.ca = shared.tls_ca,
		.protocols = shared.tls_protocols == 0 ? "tlsv1.3" : "tlsv1.2,tlsv1.3",
		.ciphers = shared.tls_ciphers,
		.lifetime = (unsigned)(shared.tls_resume / 1000),
	};
}

static struct tls_ctx *
client_new(bool verify, struct buf *why)
{
	char *reason = NULL;
	struct tls_params p;
	struct tls_ctx *c;

	shared_params(&p);
	p.verify = verify;
	if (!*shared.tls_ca)
		p.ca = NULL;
	/* A key that only the start could read is no mistake: we show no certificate then. */
	if (!*shared.tls_cert || !*shared.tls_key || access(shared.tls_key, R_OK) < 0)
		p.cert = p.key = NULL;
	c = tls_client_new(&p, &reason);
	if (!c)
		buf_printf(why, "%s: %s\n", conf_where(p.ca ? &shared.tls_ca : &shared.tls_cert),
		    reason);
	free(reason);
	return c;
}

static struct tls_ctx *
server_new(const struct daemon_listen *l, struct buf *why)
{
	struct tls_params p;
	struct tls_ctx *c;
	char *reason = NULL;

	shared_params(&p);
	if (*l->cert)
		p.cert = l->cert;
	if (*l->key)
		p.key = l->key;
	p.more = l->certs;
	p.alpn = daemon_self.d->alpn;
	/* Without a CA of the site's own, nobody could show a certificate that means anything. */
	p.verify_optional = l->peer_cert == PEER_CERT_ASK && *shared.tls_ca;
	p.verify = l->peer_cert == PEER_CERT_DEMAND;
	c = tls_server_new(&p, &reason);
	if (!c) {
		buf_printf(why, "%s: [listen %s]: %s\n", conf_where(&l->tls), l->name, reason);
		free(reason);
	}
	return c;
}

/* Of other hosts' operators: nobody gets further without a certificate. */
static struct tls_ctx *
remote_new(struct buf *why)
{
	struct tls_params p;
	struct tls_ctx *c;
	char *reason = NULL;

	shared_params(&p);
	p.verify = true;
	c = tls_server_new(&p, &reason);
	if (!c)
		buf_printf(why, "%s: control.address: %s\n", conf_where(&shared.control_address),
		    reason);
	free(reason);
	return c;
}

/* All new contexts are made before any old one is replaced. */
static int
tls_load(struct buf *why)
{
	struct tls_ctx *client[2] = { NULL, NULL }, *remote = NULL, **servers;
	size_t n = 0;
	int rc = -EINVAL;

	if (!check_certificates(why))
		return rc;
	while (daemon_self.listens && daemon_self.listens[n])
		n++;
	servers = mem_array(n + 1, sizeof(struct tls_ctx *));
	for (size_t i = 0; i < n; i++)
		if (daemon_self.listens[i]->tls != TLS_OFF &&
		    !(servers[i] = server_new(daemon_self.listens[i], why)))
			goto out;
	/* Without its own CA the client is made when it is asked for: most never ask. */
	for (int verify = 0; verify < 2; verify++) {
		bool want = daemon_self.client[verify] || (verify && *shared.tls_ca);

		if (want && !(client[verify] = client_new(verify, why)))
			goto out;
	}
	if (daemon_self.d->kind == PROGRAM_DAEMON && *shared.control_address &&
	    !(remote = remote_new(why)))
		goto out;
	tls_unref(&daemon_self.remote_ctx);
	daemon_self.remote_ctx = remote;
	for (size_t i = 0; i < n; i++) {
		tls_unref(&daemon_self.listens[i]->tls_ctx);
		daemon_self.listens[i]->tls_ctx = servers[i];
		servers[i] = NULL;
	}
	for (int verify = 0; verify < 2; verify++) {
		if (!client[verify])
			continue;
		tls_unref(&daemon_self.client[verify]);
		daemon_self.client[verify] = client[verify];
		client[verify] = NULL;
	}
	rc = 0;
out:
	for (size_t i = 0; i < n; i++)
		tls_unref(&servers[i]);
	tls_unref(&client[0]);
	tls_unref(&client[1]);
	free(servers);
	return rc;
}

struct tls_ctx *
daemon_tls_client(bool verify)
{
	struct tls_ctx **c = &daemon_self.client[verify];
	struct buf why = { 0 };

	if (!*c && !(*c = client_new(verify, &why)))
		config_log(LOG_ERROR, "tls", buf_take(&why));
	return *c;
}

/* ---- the log ----------------------------------------------------------------------------- */

const char *
config_log_dir(void)
{
	return strncmp(shared.log_to, "dir:", 4) == 0 ? shared.log_to + 4 : NULL;
}

static struct logfile_rules
log_rules(void)
{
	return (struct logfile_rules){ .size = shared.log_size,
		.age_ms = shared.log_age,
		.keep = (int)shared.log_keep };
}

int
config_log_open(void)
{
	const char *dir = daemon_self.debug ? NULL : config_log_dir(), *name = daemon_self.d->name;
	struct logfile_rules rules = log_rules();
	int rc = dir ? logfile_open(dir, name, &rules) : 0;

	if (rc < 0) {
		fprintf(stderr, "%s: log_to: %s/%s.log: %s\n", conf_where(&shared.log_to), dir,
		    name, strerror(-rc));
		return rc;
	}
	log_init(name,
	    dir                                                            ? LOG_TO_FILE :
		!daemon_self.debug && strcmp(shared.log_to, "syslog") == 0 ? LOG_TO_SYSLOG :
									     LOG_TO_STDERR,
	    daemon_self.debug ? LOG_DEBUG : (enum log_level)shared.log_level);
	return 0;
}

/* ---- reading ----------------------------------------------------------------------------- */

/* What the child says on its standard error until it ends, for VERIFY_MS at most, and no longer than
 * this process is to live: a file that hangs must not keep it. */
static void
listen_to(int fd, struct buf *out)
{
	struct pollfd p[] = { { .fd = fd, .events = POLLIN },
		{ .fd = signals_end_fd(), .events = POLLIN } };
	uint64_t until = clock_mono_ms() + VERIFY_MS, now;
	ssize_t n;

	while ((now = clock_mono_ms()) < until && poll(p, 2, (int)(until - now)) > 0) {
		if (p[1].revents) {
			buf_lit(out, "the check of the configuration was given up at the end\n");
			return;
		}
		n = read(fd, buf_reserve(out, 4096), 4096);
		if (n == 0 || (n < 0 && errno != EINTR))
			return;
		out->n += n > 0 ? (size_t)n : 0;
	}
	buf_lit(out, "the check of the configuration takes too long\n");
}

/* Runs this program with -n. */
static int
spawn_check(int out, pid_t *pid)
{
	static char name[] = "check", n[] = "-n", c[] = "-c";
	char *verb = daemon_self.d->verb ? mem_str(daemon_self.d->verb) : NULL;
	char *argv[6] = { name };
	char exe[PATH_MAX];
	ssize_t len = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	sigset_t none;
	size_t at = 1;
	int rc;

	if (verb)
		argv[at++] = verb;
	argv[at++] = n;
	argv[at++] = daemon_self.file ? c : NULL;
	argv[at++] = daemon_self.file;
	/* The link itself is no use under a debugger that runs the program inside itself, its text
	 * is none when the file has been replaced. */
	exe[len > 0 ? len : 0] = '\0';
	if (access(exe, X_OK) < 0)
		strcpy(exe, "/proc/self/exe");
	sigemptyset(&none);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK);
	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_addopen(&files, 1, "/dev/null", O_WRONLY, 0);
	posix_spawn_file_actions_adddup2(&files, out, 2);
	rc = posix_spawn(pid, exe, &files, &attr, argv, environ);
	posix_spawn_file_actions_destroy(&files);
	posix_spawnattr_destroy(&attr);
	mem_free(&verb);
	return -rc;
}

bool
config_verify(char **why)
{
	struct buf out = { 0 };
	int fds[2], status = 0;
	pid_t pid;

	*why = NULL;
	if (pipe2(fds, O_CLOEXEC) < 0)
		return true; /* nothing is known against it */
	if (spawn_check(fds[1], &pid) < 0) {
		close(fds[0]);
		close(fds[1]);
		return true;
	}
	close(fds[1]);
	listen_to(fds[0], &out);
	close(fds[0]);
	kill(pid, SIGKILL); /* it has ended, or never will */
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
		buf_fini(&out);
		return true;
	}
	*why = buf_take(&out);
	return false;
}

int
config_load(bool reload, char **why)
{
	bool tool = daemon_self.d->kind == PROGRAM_TOOL;
	struct buf said = { 0 };
	int rc;

	if (tool)
		conf_leave_secrets();
	rc = conf_read(daemon_self.schemas, daemon_self.nschemas, daemon_self.shared_path,
	    daemon_self.own_path, reload, why);
	if (rc < 0 || tool)
		return rc;
	log_level(daemon_self.debug ? LOG_DEBUG : (enum log_level)shared.log_level);
	trace_set(shared.log_trace);
	if (reload) {
		struct logfile_rules rules = log_rules();

		logfile_rules(&rules);
	}
	buf_str(&said, *why ? *why : "");
	mem_free(why);
	rc = tls_load(&said);
	if (said.n)
		*why = buf_take(&said);
	return rc;
}

bool
config_reload(bool (*load)(char **why), bool (*check)(struct buf *why), struct buf *out)
{
	char *why = NULL;
	bool good;

	notify_reloading();
	good = config_verify(&why) && (load ? load(&why) : config_load(true, &why) == 0);
	buf_str(out, why ? why : "");
	good = good && (!check || check(out));
	config_log(good ? LOG_WARN : LOG_ERROR, good ? "reload_partial" : "reload_failed", why);
	if (good)
		log_event(LOG_INFO, "reload", "pid=%d", (int)getpid());
	buf_str(out, good ? "ok\n" : "error: the old configuration stays\n");
	notify_send("READY=1\n");
	return good;
}

bool
daemon_conf_again(char **why)
{
	return conf_read(daemon_self.schemas, daemon_self.nschemas, daemon_self.shared_path,
		   daemon_self.own_path, true, why) == 0;
}

void
config_log(enum log_level level, const char *event, char *why)
{
	struct slice rest = slice_str(why), line;

	while (slice_cut(&rest, '\n', &line))
		if (line.n)
			log_event(level, event, "text=%s", log_value(line));
	free(why);
}
