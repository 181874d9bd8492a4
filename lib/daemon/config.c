/* daemon/config.c: which files, the keys of the skeleton itself, TLS contexts. */
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
#include "base/mem.h"
#include "daemon/self.h"

#define CONFIG_DIR "/etc/tiermail"
#define VERIFY_MS  10000

struct self self = { .worker = -1, .ctl_fd = -1 };

#define AT(m) (void *)offsetof(struct daemon_listen, m)
/* The first key says it: listeners come and go only by a restart. */
static struct conf_key listen_keys[] = {
	{ "address", CONF_STR, AT(address), NULL, 0, 0, RESTART, NULL,
	    "Where to listen: host:port, [v6]:port, *:port or unix:/path." },
	{ "tls", CONF_ENUM, AT(tls), "off", 0, 0, RELOAD, "off|starttls|implicit",
	    "No TLS, TLS on demand, or TLS from the first byte." },
	{ "mode", CONF_MODE, AT(mode), "0660", 0, 0, RESTART, NULL, "The mode of a Unix socket." },
	{ "certificate", CONF_PATH, AT(cert), "", 0, 0, RELOAD, NULL,
	    "PEM file of the certificate; empty means tls.certificate." },
	{ "key", CONF_PATH, AT(key), "", 0, 0, RELOAD, NULL,
	    "PEM file of the private key; empty means tls.key." },
	{ "role", CONF_ENUM, AT(role), NULL, 0, 0, RESTART, NULL, "What is spoken here." },
};
#undef AT

static const struct conf_key own_keys[] = {
	{ "drain_timeout", CONF_TIME, &self.drain_timeout, "30s", 0, 86400000, RELOAD, NULL,
	    "How long sessions may take to end when the daemon is stopped." },
	{ "core", CONF_BOOL, &self.core, "no", 0, 0, RESTART, NULL,
	    "Write core files; they hold mail and passwords." },
};

static struct conf_section listen_section = {
	.name = "listen", .size = sizeof(struct daemon_listen), .keys = listen_keys,
	.nkeys = NELEM(listen_keys) - 1, .items = (void ***)&self.listens,
	.arg_at = offsetof(struct daemon_listen, name), .help = "A socket to listen on.",
};
static struct conf_schema own_schema = { own_keys, NELEM(own_keys), &listen_section, 0 };

static void
schemas_init(void)
{
	static char first[64];

	if (self.d->roles) { /* the first role is the default */
		struct conf_key *role = &listen_keys[NELEM(listen_keys) - 1];

		role->choices = self.d->roles;
		role->dflt = slice_cstr(slice_sub(slice_str(self.d->roles), 0,
		    slice_find(slice_str(self.d->roles), '|')), first, sizeof(first));
		listen_section.nkeys = NELEM(listen_keys);
	}
	own_schema.nsections = self.d->listens;
	self.schemas[0] = &conf_shared_schema;
	self.schemas[1] = &own_schema;
	self.schemas[2] = self.d->schema;
	self.nschemas = self.d->schema ? 3 : 2;
}

static void
keep_if_there(char **path)
{
	if (access(*path, F_OK) < 0 && errno == ENOENT)
		mem_free(path);
}

bool
config_paths(const char *file)
{
	const char *name = file ? strrchr(file, '/') : NULL;
	char *dir;

	schemas_init();
	if (file && access(file, F_OK) < 0)
		return false;
	self.file = file ? mem_str(file) : NULL;
	name = name ? name + 1 : file;
	dir = !file ? mem_str(CONFIG_DIR) : name > file ? mem_strn(file, (size_t)(name - file - 1))
	                                                : mem_str(".");
	self.shared_path = mem_printf("%s/tiermail.conf", dir);
	if (file && strcmp(name, "tiermail.conf") != 0)
		self.own_path = mem_str(file);
	else
		self.own_path = mem_printf("%s/%s", dir, self.d->file);
	keep_if_there(&self.shared_path);
	keep_if_there(&self.own_path);
	self.dir = dir;
	return true;
}

char *
daemon_conf_path(const char *file)
{
	return mem_printf("%s/%s", self.dir, file);
}

/* ---- TLS --------------------------------------------------------------------------------- */

static void
shared_params(struct tls_params *p)
{
	*p = (struct tls_params){
		.cert = shared.tls_cert, .key = shared.tls_key, .ca = shared.tls_ca,
		.protocols = shared.tls_protocols == 0 ? "tlsv1.3" : "tlsv1.2,tlsv1.3",
		.ciphers = shared.tls_ciphers,
	};
}

static struct tls_ctx *
client_new(char **why)
{
	struct tls_params p;

	shared_params(&p);
	p.verify = true;
	if (!*shared.tls_cert || !*shared.tls_key)
		p.cert = p.key = NULL;
	return tls_client_new(&p, why);
}

static struct tls_ctx *
server_new(const struct daemon_listen *l, char **why)
{
	struct tls_params p;
	struct tls_ctx *c;
	char *reason = NULL;

	shared_params(&p);
	if (*l->cert)
		p.cert = l->cert;
	if (*l->key)
		p.key = l->key;
	/* Without a CA of the site's own, nobody could show a certificate that means anything. */
	p.verify_optional = self.d->client_certs && *shared.tls_ca;
	c = tls_server_new(&p, &reason);
	if (!c) {
		*why = mem_printf("[listen %s]: %s\n", l->name, reason);
		free(reason);
	}
	return c;
}

/* All new contexts are made before any old one is replaced. */
static int
tls_load(char **why)
{
	struct tls_ctx *client = NULL, **servers;
	size_t n = 0;
	int rc = -EINVAL;

	while (self.listens && self.listens[n])
		n++;
	servers = mem_array(n + 1, sizeof(struct tls_ctx *));
	for (size_t i = 0; i < n; i++)
		if (self.listens[i]->tls != TLS_OFF &&
		    !(servers[i] = server_new(self.listens[i], why)))
			goto out;
	/* Without its own CA the client is made when it is asked for: most never ask. */
	if ((*shared.tls_ca || self.client) && !(client = client_new(why)))
		goto out;
	for (size_t i = 0; i < n; i++) {
		tls_unref(&self.listens[i]->tls_ctx);
		self.listens[i]->tls_ctx = servers[i];
		servers[i] = NULL;
	}
	if (client) {
		tls_unref(&self.client);
		self.client = client;
	}
	rc = 0;
out:
	for (size_t i = 0; i < n; i++)
		tls_unref(&servers[i]);
	free(servers);
	return rc;
}

struct tls_ctx *
daemon_tls_client(void)
{
	char *why = NULL;

	if (!self.client && !(self.client = client_new(&why)))
		config_log(LOG_ERROR, "tls", why);
	return self.client;
}

/* ---- reading ----------------------------------------------------------------------------- */

/* What the child says on its standard error until it ends, for VERIFY_MS at most. */
static void
listen_to(int fd, struct buf *out)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	uint64_t until = clock_mono_ms() + VERIFY_MS, now;
	ssize_t n;

	while ((now = clock_mono_ms()) < until && poll(&p, 1, (int)(until - now)) > 0) {
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
	char *argv[] = { name, n, self.file ? c : NULL, self.file, NULL };
	char exe[PATH_MAX];
	ssize_t len = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	sigset_t none;
	int rc;

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
	char *more = NULL;
	int rc = conf_read(self.schemas, self.nschemas, self.shared_path, self.own_path, reload, why);

	if (rc < 0)
		return rc;
	log_level(self.debug ? LOG_DEBUG : (enum log_level)shared.log_level);
	rc = tls_load(&more);
	if (more) {
		char *both = mem_printf("%s%s", *why ? *why : "", more);

		free(*why);
		free(more);
		*why = both;
	}
	return rc;
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
