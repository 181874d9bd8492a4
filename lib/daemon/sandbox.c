/* daemon/sandbox.c: words to rules, and the rules for files (Landlock, landlock(7)).
 *
 * It owns the list of paths of this process; worker.c and single.c call it in the order of the
 * header.  Nothing fails here but by a kernel that does not know it, which is logged.  What must
 * stay true: no rule for writing stands above a folder of another program; a path that is
 * missing is no reason not to start.  The kernel's interface is written out here (it has no
 * wrapper in the C library, and headers of Debian 12 know only its first versions); what it
 * offers is asked at run time. */
#include "daemon/sandbox-impl.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/must.h"
#include "base/slice.h"
#include "conf/shared.h"

/* ---- the kernel's interface ---------------------------------------------------------------- */

#define LANDLOCK_CREATE 444
#define LANDLOCK_ADD    445
#define LANDLOCK_ENTER  446

#define FS_EXECUTE      (1ULL << 0)
#define FS_WRITE_FILE   (1ULL << 1)
#define FS_READ_FILE    (1ULL << 2)
#define FS_READ_DIR     (1ULL << 3)
#define FS_REMOVE_DIR   (1ULL << 4)
#define FS_REMOVE_FILE  (1ULL << 5)
#define FS_MAKE_DIR     (1ULL << 7)
#define FS_MAKE_REG     (1ULL << 8)
#define FS_MAKE_SOCK    (1ULL << 9)
#define FS_MAKE_FIFO    (1ULL << 10)
#define FS_MAKE_SYM     (1ULL << 12)
#define FS_REFER        (1ULL << 13) /* from version 2: links and renames between folders */
#define FS_TRUNCATE     (1ULL << 14) /* from version 3 */
#define FS_FIRST        ((1ULL << 13) - 1)

#define FS_OF_FILES     (FS_EXECUTE | FS_WRITE_FILE | FS_READ_FILE | FS_TRUNCATE)
#define FS_READS        (FS_READ_FILE | FS_READ_DIR)
#define FS_WRITES                                                                                  \
	(FS_WRITE_FILE | FS_REMOVE_DIR | FS_REMOVE_FILE | FS_MAKE_DIR | FS_MAKE_REG |              \
	    FS_MAKE_SOCK | FS_MAKE_FIFO | FS_MAKE_SYM | FS_REFER | FS_TRUNCATE)

#define NET_BIND_TCP (1ULL << 0) /* from version 4 */
#define SCOPE_SIGNAL (1ULL << 1) /* from version 6: no signals to others */

struct landlock_rules {
	uint64_t fs, net, scoped;
};
struct landlock_path {
	uint64_t allowed;
	int32_t fd;
} PACKED;
struct landlock_port {
	uint64_t allowed, port;
};
enum { RULE_PATH = 1, RULE_PORT = 2 };

/* ---- what this process says of itself ------------------------------------------------------ */

#define PATHS_MAX 256 /* certificates of listeners, partitions: what does not fit is not allowed */

struct path {
	char *name; /* without links */
	uint64_t allowed;
};
static struct path paths[PATHS_MAX];
static size_t npaths;
static unsigned may;
static enum sandbox_mode mode;

static const struct {
	const char *word;
	unsigned bit;
} words[] = {
	{ "inet", WORD_INET },
	{ "queue", WORD_QUEUE },
	{ "store", WORD_STORE },
	{ "store:read", WORD_STORE_READ },
	{ "spawn", WORD_SPAWN },
	{ "memory", WORD_MEMORY },
};

static unsigned
word_bit(struct slice w)
{
	for (size_t i = 0; i < NELEM(words); i++)
		if (slice_eq(w, slice_str(words[i].word)))
			return words[i].bit;
	must(!"a word of the sandbox's list");
	return 0;
}

static void
path_add(const char *name, uint64_t allowed)
{
	char real[PATH_MAX];
	struct stat st;

	if (!*name || !realpath(name, real) || stat(real, &st) < 0)
		return;
	if (!S_ISDIR(st.st_mode))
		allowed &= FS_OF_FILES;
	for (size_t i = 0; i < npaths; i++)
		if (strcmp(paths[i].name, real) == 0) {
			paths[i].allowed |= allowed;
			return;
		}
	if (npaths < PATHS_MAX)
		paths[npaths++] = (struct path){ mem_str(real), allowed };
}

/* Everybody's: what the C library, the resolver and iconv's modules (below /usr) read. */
static void
paths_of_all(void)
{
	static const char *const read[] = { "/etc", "/usr", "/lib", "/lib64", "/proc",
		"/dev/urandom", "/sys/devices/system/cpu" };

	for (size_t i = 0; i < NELEM(read); i++)
		path_add(read[i], FS_READS);
	path_add("/dev/null", FS_READ_FILE | FS_WRITE_FILE);
	sandbox_read_beside("/etc/resolv.conf");
	sandbox_read_beside("/etc/localtime");
}

static void
paths_of_words(void)
{
	char exe[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);

	exe[n > 0 ? n : 0] = '\0';
	path_add(exe, FS_READ_FILE);
	if (may & WORD_QUEUE)
		path_add(shared.queue, FS_READS | FS_WRITES);
	if (may & WORD_STORE)
		path_add(shared.store, FS_READS | FS_WRITES);
	if (may & WORD_STORE_READ)
		path_add(shared.store, FS_READS);
	if (may & WORD_EXEC) {
		path_add(shared.rundir, FS_READS | FS_WRITES);
		path_add(exe, FS_EXECUTE);
		path_add("/lib", FS_EXECUTE); /* ld.so */
		path_add("/lib64", FS_EXECUTE);
	}
}

void
sandbox_init(enum sandbox_mode m, const char *line, bool alone)
{
	struct slice rest = slice_str(line ? line : ""), w;

	mode = m;
	may = alone ? WORD_EXEC : 0;
	while (slice_word(&rest, &w))
		may |= word_bit(w);
	for (; npaths; npaths--)
		mem_free(&paths[npaths - 1].name);
	paths_of_all();
	paths_of_words();
}

void
sandbox_read(const char *path)
{
	path_add(path, FS_READS);
}

void
sandbox_write(const char *path)
{
	path_add(path, FS_READS | FS_WRITES);
}

static char *
folder_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash == path ? mem_str("/") :
	    slash            ? mem_strn(path, (size_t)(slash - path)) :
			       mem_str(".");
}

void
sandbox_read_beside(const char *path)
{
	char real[PATH_MAX];
	char *dir;

	if (!*path)
		return;
	dir = folder_of(path);
	path_add(dir, FS_READS);
	mem_free(&dir);
	if (!realpath(path, real))
		return;
	dir = folder_of(real);
	path_add(dir, FS_READS);
	mem_free(&dir);
}

void
sandbox_change(const char *path)
{
	char *at = mem_str(path);

	while (access(at, F_OK) < 0 && strcmp(at, "/") != 0) {
		char *up = folder_of(at);

		mem_free(&at);
		at = up;
	}
	if (strcmp(at, "/") != 0)
		path_add(at, FS_READS | FS_WRITE_FILE | FS_TRUNCATE);
	mem_free(&at);
}

bool
sandbox_reaches(const char *path)
{
	char real[PATH_MAX];

	if (mode != SANDBOX_ENFORCE || (may & WORD_SPAWN) || !*path || !realpath(path, real))
		return true; /* what is missing is somebody else's to say */
	for (size_t i = 0; i < npaths; i++) {
		size_t n = strlen(paths[i].name);

		if (strncmp(real, paths[i].name, n) == 0 && (!real[n] || real[n] == '/') &&
		    (paths[i].allowed & FS_READ_FILE))
			return true;
	}
	return false;
}

/* ---- entering ------------------------------------------------------------------------------ */

static void
rules_fill(int rules, uint64_t known)
{
	for (size_t i = 0; i < npaths; i++) {
		struct landlock_path p = { .allowed = paths[i].allowed & known };

		p.fd = open(paths[i].name, O_PATH | O_CLOEXEC);
		if (p.fd < 0)
			continue;
		if (syscall(LANDLOCK_ADD, rules, RULE_PATH, &p, 0) < 0)
			log_event(LOG_WARN, "sandbox", "path=%s error=%s", log_str(paths[i].name),
			    log_str(strerror(errno)));
		(void)close(p.fd);
	}
}

/* 0 or -errno; *version is what the kernel offers. */
static int
landlock_enter(int *version)
{
	struct landlock_rules r = { .fs = FS_FIRST };
	struct landlock_port any = { .allowed = NET_BIND_TCP, .port = 0 };
	size_t size = sizeof(r.fs);
	int rules, rc = 0;

	*version = (int)syscall(LANDLOCK_CREATE, NULL, 0, 1);
	if (*version < 0)
		return -errno;
	if (*version < 2) /* its first version forbids every link between folders */
		return -ENOSYS;
	r.fs |= FS_REFER | (*version >= 3 ? FS_TRUNCATE : 0);
	if (*version >= 4) {
		r.net = NET_BIND_TCP;
		size = offsetof(struct landlock_rules, scoped);
	}
	if (*version >= 6) {
		r.scoped = SCOPE_SIGNAL;
		size = sizeof(r);
	}
	rules = (int)syscall(LANDLOCK_CREATE, &r, size, 0);
	if (rules < 0)
		return -errno;
	rules_fill(rules, r.fs);
	if (r.net && (may & WORD_INET) && syscall(LANDLOCK_ADD, rules, RULE_PORT, &any, 0) < 0)
		rc = -errno; /* port 0: the kernel's choice, for connections out */
	if (rc == 0 && syscall(LANDLOCK_ENTER, rules, 0) < 0)
		rc = -errno;
	(void)close(rules);
	return rc;
}

void
sandbox_files(void)
{
	int version = 0, rc;

	if (mode != SANDBOX_OFF)
		(void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (mode != SANDBOX_ENFORCE || (may & WORD_SPAWN))
		return;
	rc = landlock_enter(&version);
	if (rc < 0)
		log_event(LOG_WARN, "sandbox", "files=no version=%d error=%s", version,
		    log_str(strerror(-rc)));
	else
		log_event(LOG_DEBUG, "sandbox", "files=yes version=%d rules=%zu", version, npaths);
}

/* Sanitizers make calls of their own, in threads of their own. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define WATCHED true
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) ||                         \
    __has_feature(memory_sanitizer)
#define WATCHED true
#endif
#endif
#ifndef WATCHED
#define WATCHED false
#endif

bool
sandbox_watched(void)
{
	return WATCHED;
}

void
sandbox_calls(void)
{
	bool logs = mode == SANDBOX_LOG || WATCHED;
	int rc;

	if (mode == SANDBOX_OFF)
		return;
	if (WATCHED && may & WORD_SPAWN) { /* this list refuses by errno and cannot only log */
		log_event(LOG_DEBUG, "sandbox", "calls=no");
		return;
	}
	rc = sandbox_calls_install(may, logs);
	if (rc < 0)
		log_event(LOG_WARN, "sandbox", "calls=no error=%s", log_str(strerror(-rc)));
	else
		log_event(LOG_DEBUG, "sandbox", "calls=%s",
		    logs                 ? "log" :
			may & WORD_SPAWN ? "wide" :
					   "yes");
}

/* ---- trying it ----------------------------------------------------------------------------- */

static int
try_open(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return errno;
	(void)close(fd);
	return 0;
}

static int
try_exec(void)
{
	static char name[] = "true";
	static char *argv[] = { name, NULL }, *env[] = { NULL };
	pid_t pid = fork();

	if (pid == 0) {
		(void)execve("/bin/true", argv, env);
		_exit(errno);
	}
	if (pid > 0) {
		int status = 0;

		(void)waitpid(pid, &status, 0);
		return WIFEXITED(status) ? WEXITSTATUS(status) : EPERM;
	}
	return errno;
}

static int
try_socket(int family, int type)
{
	int fd = socket(family, type | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return errno;
	(void)close(fd);
	return 0;
}

static int
try_memory(void)
{
	int fd = memfd_create("probe", MFD_CLOEXEC);

	if (fd < 0)
		return errno;
	(void)close(fd);
	return 0;
}

static int
try_path(const char *dir, const char *name, int flags)
{
	char *path = mem_printf("%s/%s.%d", dir, name, (int)getpid()); /* workers try at once */
	int rc = try_open(path, flags);

	if (rc == 0 && (flags & O_CREAT))
		(void)unlink(path);
	mem_free(&path);
	return rc;
}

int
sandbox_probe(const char *what)
{
	struct slice w = slice_str(what);

	if (slice_eq(w, S("tmp")))
		return try_path("/tmp", "tiermail-probe", O_WRONLY | O_CREAT | O_EXCL);
	if (slice_eq(w, S("home")))
		return try_open("/var", O_RDONLY | O_DIRECTORY);
	if (slice_eq(w, S("queue")))
		return try_path(shared.queue, ".probe", O_WRONLY | O_CREAT | O_EXCL);
	if (slice_eq(w, S("store")))
		return try_path(shared.store, ".probe", O_WRONLY | O_CREAT | O_EXCL);
	if (slice_eq(w, S("readstore")))
		return try_open(shared.store, O_RDONLY | O_DIRECTORY);
	if (slice_eq(w, S("readqueue")))
		return try_open(shared.queue, O_RDONLY | O_DIRECTORY);
	if (slice_eq(w, S("rundir")))
		return try_path(shared.rundir, "probe", O_WRONLY | O_CREAT | O_EXCL);
	if (slice_eq(w, S("exec")))
		return try_exec();
	if (slice_eq(w, S("memory")))
		return try_memory();
	if (slice_eq(w, S("inet")))
		return try_socket(AF_INET, SOCK_STREAM);
	if (slice_eq(w, S("packet")))
		return try_socket(AF_PACKET, SOCK_RAW);
	if (slice_eq(w, S("ptrace")))
		return ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0 ? errno : 0;
	if (slice_eq(w, S("kill")))
		return kill(getppid(), 0) < 0 ? errno : 0;
	return -1;
}
