#!/usr/bin/env python3
"""A report about a message, a message whose recipients are elsewhere now, and the members of a list that is
expanded, are queued once, whenever their channel-master is killed.  A library in front of
libc kills it before its first, second, third ... call that changes something, until it gets through, and once
more within each step of its journal, whose last line is missing then; what
of the report can be seen then is delivered, and another master takes the message.  jobctl is played by the
test; smtp-relay and the queue are real."""
import glob, os, select, subprocess, sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../cmd")]
import tm
from mta import Jobctl, Mail

tm.need("cc")
QPUT = os.path.join(os.path.dirname(tm.BINDIR), "t/tools/qput")
if not os.path.exists(QPUT):
    tm.skip_all(f"{QPUT} is not built")
if "address" in tm.BINDIR:
    tm.skip_all("a sanitizer's runtime must come first, before the library that kills")
SHIM = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>
#include <string.h>
static int now(const char *name)
{
	static int n;
	const char *at = getenv(name);

	return at && __atomic_add_fetch(&n, 1, __ATOMIC_SEQ_CST) == atoi(at);
}
static void step(void)
{
	if (now("KILL_AT"))
		kill(getpid(), SIGKILL);
}
/* All but the last line of a step of the journal. */
static ssize_t torn(int fd, const void *p, size_t n, off_t at)
{
	static ssize_t (*real)(int, const void *, size_t, off_t);
	const char *end = n ? memrchr(p, '\n', n - 1) : NULL;

	if (!real)
		real = (ssize_t (*)(int, const void *, size_t, off_t))dlsym(RTLD_NEXT, "pwrite");
	if (end && n > 5 && memcmp(p, "step ", 5) == 0 && now("TEAR_AT")) {
		real(fd, p, (size_t)(end + 1 - (const char *)p), at);
		kill(getpid(), SIGKILL);
	}
	step();
	return real(fd, p, n, at);
}
ssize_t pwrite(int fd, const void *p, size_t n, off_t at)
{
	return torn(fd, p, n, at);
}
ssize_t pwrite64(int fd, const void *p, size_t n, off_t at)
{
	return torn(fd, p, n, at);
}
#define FRONT(type, name, params, args) \
	type name params \
	{ \
		static type (*real) params; \
		if (!real) \
			real = (type (*) params)dlsym(RTLD_NEXT, #name); \
		step(); \
		return real args; \
	}
FRONT(ssize_t, writev, (int fd, const struct iovec *v, int n), (fd, v, n))
FRONT(ssize_t, sendmsg, (int fd, const struct msghdr *m, int f), (fd, m, f))
FRONT(int, fdatasync, (int fd), (fd))
FRONT(int, syncfs, (int fd), (fd))
FRONT(int, renameat, (int a, const char *p, int b, const char *q), (a, p, b, q))
FRONT(int, unlinkat, (int fd, const char *p, int f), (fd, p, f))
/* Of what goes to descriptors, the log does not count. */
ssize_t write(int fd, const void *p, size_t n)
{
	static ssize_t (*real)(int, const void *, size_t);

	if (!real)
		real = (ssize_t (*)(int, const void *, size_t))dlsym(RTLD_NEXT, "write");
	if (fd > 2)
		step();
	return real(fd, p, n);
}
"""
DIR = tm.tempdir()
with open(f"{DIR}/shim.c", "w") as f:
    f.write(SHIM)
subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", f"{DIR}/shim.so", f"{DIR}/shim.c", "-ldl"], check=True)
sb = tm.Sandbox("--users", "2", "--without", "imapd", "--without", "jobctl", "--without", "stored", "--without", "lmtpd",
                "--route", "moved.test=lmtp:127.0.0.1:1", "--set", "channel-master.sandbox=off")
QUEUE, RUN = sb.env["QUEUE"], sb.env["RUNDIR"]
me = f"{sb.user(1)}@{sb.domain}"
server = Mail(("127.0.0.1", 0), say={"RCPT TO:<no": "550 5.1.1 no such user", "RCPT TO:<later": "450 4.2.1 busy"})
dest = f"127.0.0.1:{server.port}"


class Controller(Jobctl):
    """Remembers what masters say of files; smtp-relay's workers come, too, and stay."""
    feeders = []

    def await_master(self, p):
        """False when it has died before it said hello."""
        self.said = []
        while True:
            if not select.select([self.sock], [], [], 0.02)[0]:
                if p.poll() is not None:
                    return False
                continue
            self.accept()
            if "channel=" in self.hello:
                return True
            self.feeders.append(self.conn)

    def lease(self, *args, **more):
        """The result, or "" when the master has died."""
        try:
            self.work(*args, **more)
        except OSError:
            return ""
        while True:
            verb, rest = self.result()
            if verb not in ("new", "gone"):
                return verb
            self.said.append((verb, rest.get("file", rest.get("id"))))


jobctl = Controller(f"{RUN}/jobctl.sock")


def master(channel="tcp_local", **env):
    log = open(f"{DIR}/log", "ab")
    tm.watch_log(f"{DIR}/log")
    p = subprocess.Popen([f"{tm.BINDIR}/channel-master", "-c", sb.conf("channel-master.conf"), channel],
                         stdout=log, stderr=log, env={**os.environ, **env})
    return p, jobctl.await_master(p)


def original(file, channel):
    """Its name now, if it is there; the attempts in front of the id change."""
    found = glob.glob(f"{QUEUE}/{channel}/*/*{file[2:]}")
    return os.path.basename(found[0]) if found else None


def deliver():
    """The reports that can be seen leave the queue; how many."""
    seen = glob.glob(f"{QUEUE}/tcp_lmtp/*/*.00")
    for f in seen:
        os.unlink(f)
    return len(seen)


def told():
    """The files that may be delivered now, as the master has said."""
    return [s for s in jobctl.said if s[0] == "new" and not s[1].endswith(".HELD")]


def play(at, rcpts, channel="tcp_local", how="KILL_AT", **lease):
    """One message; its master is killed before call `at`, or within write `at`.  Was it, and what has become of everything?"""
    file = subprocess.run([QPUT, "-c", channel, "-d", dest, "-f", me, QUEUE, *rcpts], input=b"Subject: x\r\n\r\nx\r\n",
                          capture_output=True, check=True).stdout.decode().split()[1]
    p, alive = master(channel, LD_PRELOAD=f"{DIR}/shim.so", **{how: str(at)})
    verb = jobctl.lease(file, dest, backoff=60, **lease) if alive else ""
    if verb:
        p.terminate()
    killed = p.wait(tm.LONG) != 0
    reports, shown = deliver(), told()
    p, alive = master(channel)
    name = original(file, channel)
    if name and not verb:
        verb = jobctl.lease(name, dest, backoff=60, check=1, **lease)
        name = original(file, channel)
        reports += deliver()
        shown += told()
    p.terminate()
    p.wait()
    aside = len(glob.glob(f"{QUEUE}/tcp_lmtp/*/*.HELD"))
    if name:
        os.unlink(glob.glob(f"{QUEUE}/{channel}/*/{name}")[0])
    return killed, reports, aside, bool(name), len(shown)


def group(name, *lines):
    """A list in the directory."""
    text = "\n".join([f"dn: cn={name},ou=Groups,o={sb.domain},{sb.env['LDAP_BASE']}", *(f"objectClass: {c}" for c in (
        "groupOfURLs", "inetMailGroup", "inetMailGroupManagement", "inetLocalMailRecipient")),
        f"cn: {name}", f"mail: {name}@{sb.domain}", *lines, ""])
    subprocess.run(["ldapadd", "-x", "-H", sb.env["LDAP_URL"], "-D", sb.env["LDAP_ADMIN_DN"], "-w", sb.env["LDAP_ADMIN_PASSWORD"]],
                   input=text.encode(), capture_output=True, check=True)


# Each list makes another body, so that the members come in two pieces; each body is a file.
LISTS, MEMBER = 20, f"uniqueMember: cn=%s,ou=Groups,o={sb.domain},{sb.env['LDAP_BASE']}"
for i in range(LISTS):
    group(f"in{i}", f"mgrpRFC822MailMember: m{i}@moved.test", f"mgrpMsgSuffixText: {i}")
group("all", *(MEMBER % f"in{i}" for i in range(LISTS)), f"mgrpRFC822MailMember: nobody@{sb.domain}", f"mgrpErrorsTo: {me}")
MOVED = {"attempt": 1}
for what, rcpts, queued, stays, lease in (
        ("a report about all recipients", ["no@x.test"], 1, False, {}),
        ("a report about one of two", ["no@x.test", "later@x.test"], 1, True, {}),
        ("a warning", ["later@x.test"], 1, True, {"action": "notice", "notice": 1}),
        ("a message that is too old", ["later@x.test"], 1, False, {"action": "expire"}),
        ("a message whose route has changed", ["a@moved.test", "b@moved.test"], 1, False, MOVED),
        ("one of which a recipient is gone", ["a@moved.test", f"nobody@{sb.domain}"], 2, False, MOVED),
        ("the members of a list, and a report to its owner", [f"all@{sb.domain}"], LISTS + 1, False, {"channel": "reprocess"})):
    wrong, at, killed = [], 0, True
    while killed and at < 600:
        at += 9 if "channel" in lease else 1
        killed, seen, aside, there, shown = play(at, rcpts, **lease)
        if (seen, aside, there) != (queued, 0, stays) or shown < queued and not killed:
            wrong.append(f"killed before call {at}: {seen} queued, {aside} aside, original {'there' if there else 'gone'}")
    tm.ok(at > 5 and not killed, f"{what}: killed at {at - 1} places")
    at, killed = 0, True
    while killed and at < 200:
        at += 1
        killed, seen, aside, there, shown = play(at, rcpts, how="TEAR_AT", **lease)
        if (seen, aside, there) != (queued, 0, stays):
            wrong.append(f"killed within step {at}: {seen} queued, {aside} aside, original {'there' if there else 'gone'}")
    tm.ok(at > 1 and not killed, f"{what}: {at - 1} steps are torn")
    tm.is_(wrong, [], f"{what}: queued once, and nothing is left behind")
sb.call("restart", sb.dir, "smtp-relay")

# ---- the local socket is everybody's, the names of reports are not
if tm.nobody_can():
    ask = ("import socket; s = socket.socket(socket.AF_UNIX); s.connect('%s/submit.sock'); f = s.makefile('rw'); f.readline(); "
           "f.write('EHLO x\\r\\nMAIL FROM:<> XASIDE=0123456789abc\\r\\nQUIT\\r\\n'); f.flush(); print(f.read())" % RUN)
    out = subprocess.run([*tm.NOBODY, sys.executable, "-c", ask], capture_output=True, text=True).stdout
    tm.ok("555 5.5.4" in out and "XASIDE" not in out, "other users cannot set messages aside") or tm.diag(out)
else:
    tm.skip("other users cannot set messages aside", "needs root and a source that others can read")
tm.done()
