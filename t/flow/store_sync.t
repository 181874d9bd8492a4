#!/usr/bin/env python3
"""A sync or a commit of the store that fails harms nobody else: what was acknowledged before and
beside it is there, by index, file and log, and what was refused is not.  The failures are made by a library
that is loaded in front of libc: the sync of files, that of the log, or the commit of the index fails.
A sync of the index itself that fails ends all changes until stored is started anew."""
import os, shutil, socket, subprocess, time
import tm

tm.need("cc")
DIR = tm.tempdir()
SHIM = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>
static int ends(int fd, const char *end)
{
	char link[64], file[4096];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, file, sizeof(file) - 1);
	file[n < 0 ? 0 : n] = 0;
	return strlen(file) >= strlen(end) && strcmp(file + strlen(file) - strlen(end), end) == 0;
}
/* Each file that appears there lets one call fail that is about a file with such an end. */
static int fails(const char *name, int fd, const char *end)
{
	const char *path = getenv(name);

	if (!path || !ends(fd, end) || unlink(path) != 0)
		return 0;
	errno = EIO;
	return 1;
}
int fdatasync(int fd)
{
	return fails("FAIL_LOG", fd, ".log") || fails("FAIL_INDEX", fd, "data.mdb") ? -1 : (int)syscall(SYS_fdatasync, fd);
}
/* A frame or a large body sets out, and is waited for later; a frame or bodies in their journal are waited for. */
int sync_file_range(int fd, off_t at, off_t n, unsigned flags)
{
	if (flags & SYNC_FILE_RANGE_WAIT_AFTER ? fails("FAIL_LOG", fd, ".log") || fails("FAIL_BODIES", fd, "/bodies")
	                                       : fails("FAIL_START", fd, ".log") || fails("FAIL_LARGE", fd, "(deleted)"))
		return -1;
	return (int)syscall(SYS_sync_file_range, fd, at, n, flags);
}
/* As a kernel before 6.10 answers who may not read everything. */
int linkat(int from, const char *path, int to, const char *name, int flags)
{
	if (getenv("LINK_BY_NAME") && flags & AT_EMPTY_PATH) {
		errno = ENOENT;
		return -1;
	}
	return (int)syscall(SYS_linkat, from, path, to, name, flags);
}
int fsync(int fd)
{
	return fails("FAIL_SYNC", fd, "") ? -1 : (int)syscall(SYS_fsync, fd);
}
/* As the kernel tells of a write that has failed: each open file once. */
static int is_told(int fd)
{
	static char told[1024];
	const char *path = getenv("FAIL_EACH");

	if (!path || fd >= (int)sizeof(told) || told[fd] || access(path, F_OK) != 0)
		return 0;
	errno = EIO;
	return told[fd] = 1;
}
int syncfs(int fd)
{
	if (is_told(fd))
		return -1;
	if (fails("FAIL_FILES", fd, ""))
		return -1;
	return fails("FAIL_SYNC", fd, "") ? -1 : (int)syscall(SYS_syncfs, fd);
}
/* Pages of a commit; its meta page is less than one. */
ssize_t pwrite(int fd, const void *p, size_t n, off_t at)
{
	if (n >= 4096 && fails("FAIL_COMMIT", fd, "data.mdb"))
		return -1;
	if (getenv("NO_ROOM") && n >= 32768 && ends(fd, ".log")) { /* zeros ahead, no frame is so long here */
		errno = ENOSPC;
		return -1;
	}
	return syscall(SYS_pwrite64, fd, p, n, at);
}
ssize_t pwrite64(int fd, const void *p, size_t n, off_t at)
{
	return pwrite(fd, p, n, at);
}
ssize_t writev(int fd, const struct iovec *iov, int n)
{
	return fails("FAIL_COMMIT", fd, "data.mdb") ? -1 : syscall(SYS_writev, fd, iov, n);
}
"""
with open(f"{DIR}/shim.c", "w") as f:
    f.write(SHIM)
subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", f"{DIR}/shim.so", f"{DIR}/shim.c"], check=True)
LOAD = os.path.join(tm.BINDIR, "../t/tools/storeload")
if not os.path.exists(LOAD):
    tm.skip_all("storeload is not built")


class Store:
    def __init__(self, name, conf=""):
        self.dir = f"{DIR}/{name}"
        os.mkdir(self.dir)
        for conf, text in (("tiermail.conf", f"rundir = {self.dir}\nstore = {self.dir}/store\nhostname = store.test\n"),
                           ("stored.conf", "map_size = 1G\nmin_free = 0\ncleanup_age = 0\n" + conf)):
            with open(f"{self.dir}/{conf}", "w") as f:
                f.write(text)
        self.part = f"{self.dir}/store/partition/primary"

    def start(self, **env):
        ready = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        ready.bind(f"{self.dir}/notify")
        ready.settimeout(tm.LONG)
        self.log = open(f"{self.dir}/log", "ab")
        tm.watch_log(f"{self.dir}/log")
        self.p = subprocess.Popen([f"{tm.BINDIR}/stored", "-c", f"{self.dir}/stored.conf"], stdout=self.log, stderr=self.log,
                                  env=dict(os.environ, NOTIFY_SOCKET=f"{self.dir}/notify", **env))
        while b"READY=1" not in ready.recv(65536):
            pass
        os.unlink(f"{self.dir}/notify")

    def stop(self):
        self.p.terminate()
        return self.p.wait(tm.LONG)

    def load(self, trigger, loaders, n, users, inflight, fails, size=300):
        """Loads while calls fail; how many messages were acknowledged and are not there."""
        acks = [open(f"{self.dir}/acks{i}", "w+") for i in range(loaders)]
        if fails:   # not before there is an account; then the first batch of all is one that fails
            subprocess.run([LOAD, "load", f"{self.dir}/stored.sock", "1", "1", "1", "300", "1", "6"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
            open(trigger, "w").close()
        ls = [subprocess.Popen([LOAD, "load", f"{self.dir}/stored.sock", str(n), str(users), str(inflight), str(size), "1", "7"],
                               stdout=a, stderr=subprocess.DEVNULL) for a in acks]
        end = time.monotonic() + tm.LONG
        while any(l.poll() is None for l in ls):
            if time.monotonic() > end:      # it would try for ever
                for l in ls:
                    l.kill()
            if fails > 1 and not os.path.exists(trigger):
                open(trigger, "w").close()
                fails -= 1
            time.sleep(0.02)
        self.acks = acks
        return [l.returncode for l in ls]

    def verify(self):
        out = []
        for a in self.acks:
            a.seek(0)
            r = subprocess.run([LOAD, "verify", self.part], stdin=a, capture_output=True, text=True)
            out.append(r.stdout.strip())
        return out

    def tool(self, *args):
        return subprocess.run([f"{tm.BINDIR}/storectl", "-c", f"{self.dir}/tiermail.conf", *args], capture_output=True, text=True)


for name, key, loaders, fails in (("sync", "FAIL_SYNC", 1, 12), ("log", "FAIL_LOG", 2, 12), ("commit", "FAIL_COMMIT", 2, 12),
                                  ("bodies", "FAIL_BODIES", 2, 12), ("start", "FAIL_START", 2, 12),
                                  ("large", "FAIL_LARGE", 1, 3)):
    if name in ("bodies", "start", "large") and not os.path.exists(f"{s.part}/log/bodies"):
        continue    # this file system has no journal of bodies
    s = Store(name, "log_bodies = 0\n" if name == "sync" else "")
    s.start(LD_PRELOAD=f"{DIR}/shim.so", **{key: f"{s.dir}/fail"})
    tm.is_(s.load(f"{s.dir}/fail", loaders, 300, 20 if loaders == 1 else 3, 9 if loaders == 1 else 12, fails,
                  70000 if name == "large" else 300), [0] * loaders,
           f"{name}: everything is acknowledged in the end")
    tm.is_(s.stop(), 0, f"{name}: stored ends")
    with open(f"{s.dir}/log", errors="replace") as f:
        tm.ok("ev=store_batch" in f.read(), f"{name}: batches have failed")
    tm.is_(s.verify(), ["300 acknowledged, 0 not there"] * loaders, f"{name}: what was acknowledged is in the index")
    r = s.tool("check")
    tm.is_(r.returncode, 0, f"{name}: and has its files") or tm.diag(r.stdout[-800:] + r.stderr)
    shutil.rmtree(f"{s.part}/index")
    shutil.rmtree(f"{s.dir}/store/snapshot", ignore_errors=True)
    r = s.tool("recover")
    tm.is_(r.returncode, 0, f"{name}: recovered from the log alone") or tm.diag(r.stdout[-800:] + r.stderr)
    tm.is_(s.verify(), ["300 acknowledged, 0 not there"] * loaders, f"{name}: the log has it all too")

# ---- the disk has room for frames, and no more; and the kernel links no open file by its descriptor ----
s = Store("room")
s.start(LD_PRELOAD=f"{DIR}/shim.so", NO_ROOM="1", LINK_BY_NAME="1")
tm.is_(s.load(f"{s.dir}/never", 1, 300, 20, 9, 0), [0], "room: everything is acknowledged")
s.stop()
with open(f"{s.dir}/log", errors="replace") as f:
    words = f.read()
tm.ok("ev=store_log" not in words and "ev=store_batch" not in words, "room: and no batch has failed")
r = s.tool("check")
tm.is_(r.returncode, 0, "room: each message has its file, linked by its name in /proc") or tm.diag(r.stdout[-800:] + r.stderr)
shutil.rmtree(f"{s.part}/index")
shutil.rmtree(f"{s.dir}/store/snapshot", ignore_errors=True)
r = s.tool("recover")
tm.is_((r.returncode, s.verify()), (0, ["300 acknowledged, 0 not there"]), "room: the log has it all") or tm.diag(r.stdout[-800:])

# ---- the index cannot be synced --------------------------------------------------------------------------
s = Store("index")
s.start(LD_PRELOAD=f"{DIR}/shim.so", FAIL_INDEX=f"{s.dir}/fail")
tm.is_(s.load(f"{s.dir}/never", 1, 300, 20, 9, 0), [0], "index: everything is acknowledged")
open(f"{s.dir}/fail", "w").close()
l = subprocess.Popen([LOAD, "load", f"{s.dir}/stored.sock", "100000", "20", "9", "300", "1", "8"], stdout=s.acks[0], stderr=subprocess.DEVNULL)


def said():
    with open(f"{s.dir}/log", errors="replace") as f:
        return f.read()


tm.ok(tm.wait_for(lambda: "ev=store_batch" in said()), "index: a sync of it fails, and then every batch")
tm.ok(tm.wait_for(lambda: "ev=store_steady" in said() and "problem=sync" in said()), "index: and the log says so")
l.kill()
l.wait()
s.acks[0].flush()
s.stop()
s.start()
tm.ok(tm.wait_for(lambda: "problem=unclean" in said() and "ev=store_redo" in said()), "index: a new start goes back to what was synced, and does the log again")
s.stop()
tm.ok(s.verify()[0].endswith(" 0 not there"), "index: what was acknowledged is there") or tm.diag(s.verify())
r = s.tool("check")
tm.is_(r.returncode, 0, "index: and nothing is damaged") or tm.diag(r.stdout[-800:] + r.stderr)

# ---- files that are in the journal of bodies cannot be synced ------------------------------------------
s = Store("files", "steady_interval = 1h\n")
s.start(LD_PRELOAD=f"{DIR}/shim.so", FAIL_FILES=f"{s.dir}/fail")
tm.is_(s.load(f"{s.dir}/never", 1, 300, 1, 1, 0), [0], "files: everything is acknowledged")
if os.path.exists(f"{s.part}/log/bodies"):
    open(f"{s.dir}/fail", "w").close()
    s.stop()        # its last sync is that of the files
    tm.ok("ev=store_steady" in said(), "files: a sync of them fails, and the log says so") or tm.diag(said())
    inodes = {e.path: e.inode() for d, _, _ in os.walk(f"{s.part}/=user") for e in os.scandir(d) if e.name.endswith(".msg")}
    s.start()
    now = {e.path: e.inode() for d, _, _ in os.walk(f"{s.part}/=user") for e in os.scandir(d) if e.name.endswith(".msg")}
    tm.ok(sorted(inodes) == sorted(now) and len(now) == 300, "files: a new start has them all")
    tm.ok(sum(inodes[p] != now[p] for p in now) > 290, "files: and has made them again, whatever the kernel shows of those that were")
    s.stop()
    tm.is_(s.verify(), ["300 acknowledged, 0 not there"], "files: what was acknowledged is there")
    r = s.tool("check")
    tm.is_(r.returncode, 0, "files: and nothing is damaged") or tm.diag(r.stdout[-800:] + r.stderr)

    # It may be the sync of another batch that is told of it first.
    s = Store("told", "steady_interval = 1h\n")
    s.start(LD_PRELOAD=f"{DIR}/shim.so", FAIL_EACH=f"{s.dir}/fail")
    tm.is_(s.load(f"{s.dir}/never", 1, 300, 1, 1, 0), [0], "told: everything is acknowledged")
    inodes = {e.path: e.inode() for d, _, _ in os.walk(f"{s.part}/=user") for e in os.scandir(d) if e.name.endswith(".msg")}
    open(f"{s.dir}/fail", "w").close()
    l = subprocess.Popen([LOAD, "load", f"{s.dir}/stored.sock", "100", "20", "1", "300", "1", "8"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    tm.ok(tm.wait_for(lambda: "ev=store_batch" in said()), "told: the sync of a new account fails")
    tm.ok(tm.wait_for(lambda: "ev=store_steady" in said() and "problem=sync" in said()), "told: and so do the files that wait for a point, at once") or tm.diag(said())
    l.kill()
    l.wait()
    s.stop()
    s.start()
    now = {e.path: e.inode() for d, _, _ in os.walk(f"{s.part}/=user") for e in os.scandir(d) if e.name.endswith(".msg")}
    tm.ok(len(inodes) == 300 and sum(inodes[p] != now.get(p, inodes[p]) for p in inodes) > 290, "told: a new start makes them again")
    s.stop()
    tm.is_(s.verify(), ["300 acknowledged, 0 not there"], "told: what was acknowledged is there")
else:
    s.stop()
    tm.diag("files: this file system has no journal of bodies")

# ---- storectl recover in the place of a start: files that stored had not synced --------------------------
s = Store("recover", "steady_interval = 1h\n")
s.start()
tm.is_(s.load(f"{s.dir}/never", 1, 100, 1, 1, 0), [0], "recover: everything is acknowledged")
s.p.kill()
s.p.wait()
open(f"{s.dir}/fail", "w").close()
r = subprocess.run([f"{tm.BINDIR}/storectl", "-c", f"{s.dir}/tiermail.conf", "recover"], capture_output=True, text=True,
                   env=dict(os.environ, LD_PRELOAD=f"{DIR}/shim.so", FAIL_FILES=f"{s.dir}/fail"))
tm.ok(r.returncode != 0 and "nothing was changed: sync" in r.stdout and not os.path.exists(f"{s.part}/index.bad"),
      "recover: they cannot be synced, and the index stays as it is") or tm.diag((r.returncode, r.stdout[-600:], r.stderr[-600:]))
r = s.tool("recover")
tm.is_((r.returncode, s.verify()), (0, ["100 acknowledged, 0 not there"]), "recover: they can") or tm.diag(r.stdout[-800:] + r.stderr)

# An upgrade that was stopped between its two renames, and then the host boots.
os.rename(f"{s.part}/index", f"{s.part}/index.new")
r = subprocess.run([f"{tm.BINDIR}/stored", "-c", f"{s.dir}/stored.conf"], capture_output=True, text=True, timeout=tm.LONG)
tm.ok(r.returncode != 0 and "storectl upgrade" in r.stderr, "an upgrade that was stopped: stored says so") or tm.diag((r.returncode, r.stderr[-600:]))
tm.ok(os.path.exists(f"{s.part}/index.new/data.mdb") and not os.path.exists(f"{s.part}/index"), "and touches nothing")
tm.done()
