#!/usr/bin/env python3
"""stored starts on what a crash, a disk or somebody's hand has left: it loses nothing that it was not told to do
without, and says in words that help what it found and what it will not do."""
import ctypes, fcntl, os, re, shutil, signal, struct, subprocess
import tm
import storewire as w
from crc32c import crc32c
from barestore import Store

tm.need("cc")
DIR = tm.tempdir()
SELDOM = "steady_interval = 1h\nsnapshot_interval = 0\n"


def append(s, n, wrong=0):
    """n messages, each in a batch of its own; all that has happened.  With `wrong` they come with checksums, which
    behind the first, the one that stored holds against the bytes, are wrong by it."""
    sock = w.connect(f"{s.dir}/stored.sock")
    r = w.ask(sock, w.ACCOUNT, w.body(name=b"ann@store.test"))
    for i in range(n):
        b = w.ask(sock, w.BODIES, w.body(count=1))
        text = f"Subject: {i}\r\n\r\n".encode() + os.urandom(500)
        os.write(b.fds[0], text)
        os.close(b.fds[0])
        digest = crc32c(text) ^ (wrong if i else 0) if wrong else 0
        a = w.ask(sock, w.APPEND, w.body(mailbox=r.get(w.R_MAILBOX), messages=[w.message(b.get(w.R_TOKEN), len(text), b"cache " * 20, digest=digest)]))
        if a.kind != 2:
            tm.ok(False, f"{s.dir}: {a.kind} {a.code} {a.text}")
            break
    sock.close()
    return s.dump()


def said(s):
    """What it has said since the last time."""
    text = s.said()[s.__dict__.get("heard", 0):]
    s.heard = s.__dict__.get("heard", 0) + len(text)
    return text


def storectl(s, *args):
    return s.run(f"{tm.BINDIR}/storectl", "-c", f"{s.dir}/tiermail.conf", *args)


def new(name, conf=SELDOM):
    s = Store(f"{DIR}/{name}", conf)
    tm.ok(s.start(), f"{name}: stored starts") or tm.diag(s.said())
    return s


def starts(s, before, what, word, **more):
    """It does, everything is there, and it says so."""
    said(s)
    ok, text = tm.ok(s.start(**more), what), ""

    def heard():
        nonlocal text
        text += said(s)
        return word in text
    tm.ok(tm.wait_for(heard), f"and says {word}") or tm.diag(text[-800:])
    if ok and before:
        tm.is_(s.dump()[0], before[0], "and everything that was answered is there")


def refuses(s, what, *words):
    said(s)
    good = tm.ok(not s.start(), what)
    if not good:
        s.stop()
    text = said(s)
    tm.ok(all(word in text for word in words), "and says why: " + ", ".join(words)) or tm.diag(text[-800:])


# ---- killed: back to the point, unless somebody has the index open -------------------------------------------------
s = new("killed")
before = append(s, 30)
s.stop(signal.SIGKILL)
starts(s, before, "killed: it starts again", "problem=unclean")
before = append(s, 10)
s.stop(signal.SIGKILL)
with open(f"{s.part}/index/lock.mdb", "r+b") as lock:
    fcntl.lockf(lock, fcntl.LOCK_SH, 1, 0)      # as every program that has the index open
    starts(s, before, "with the index open elsewhere it starts too", "problem=in_use")
before = append(s, 2, wrong=12345)
s.stop(signal.SIGKILL)
starts(s, before, "killed: what a client says wrongly of its message voids no answer", "problem=unclean")
before = append(s, 10)

# ---- one of the two points is damaged ------------------------------------------------------------------------------
s.stop(signal.SIGKILL)
with open(f"{s.part}/index/steady", "r+b") as f:
    data = f.read()
    seqs = [struct.unpack_from("<Q", data, at + 16)[0] for at in (0, 4096)]
    f.seek(4096 * (seqs[1] < seqs[0]) + 60)     # the older one: the other is as good as ever
    f.write(b"damaged")
starts(s, before, "one point of two is damaged: it starts", "problem=slot")
s.stop()

# ---- the log is moved away -----------------------------------------------------------------------------------------
s = new("moved")
before = append(s, 20)
s.stop(signal.SIGKILL)
os.rename(f"{s.part}/log", f"{s.part}/elsewhere")
starts(s, before, "killed, and the log moved away: nothing is rewound", "problem=log")
s.stop()
s = new("cut")
first = append(s, 5)
s.stop(signal.SIGKILL)
tm.ok(s.start(), "killed, and started: a point has these")
before = append(s, 15)
s.stop(signal.SIGKILL)
s.reboot()
os.rename(f"{s.part}/log", f"{s.part}/elsewhere")
refuses(s, "a power cut, and the log moved away: no start", "put back", "/log", "storectl recover --force")
os.mkdir(f"{s.part}/log")
refuses(s, "nor with an empty one", "put back")
r = storectl(s, "recover")
tm.ok(r.returncode == 1 and "put back" in r.stdout and "--force" in r.stdout, "nor does recover go by an older copy") or tm.diag(r.stdout + r.stderr)
os.rmdir(f"{s.part}/log")
shutil.copytree(s.part, f"{s.dir}/copy", symlinks=True)
os.rename(f"{s.part}/elsewhere", f"{s.part}/log")
starts(s, before, "put back, it starts", "ev=store_redo")
s.stop()
shutil.rmtree(s.part)
os.rename(f"{s.dir}/copy", s.part)
r = storectl(s, "recover", "--force")
tm.ok(r.returncode == 0 and "what came behind is lost" in r.stdout, "recover --force does without it") or tm.diag(r.stdout + r.stderr)
tm.ok(s.start(), "it starts") or tm.diag(said(s))
tm.is_(s.dump()[0], first[0], "with what was there at the last point")
after = append(s, 3)
s.stop(signal.SIGKILL)
os.rename(f"{s.part}/log", f"{s.part}/later")
os.rename(f"{s.part}/elsewhere", f"{s.part}/log")
for name in os.listdir(f"{s.part}/later"):
    os.rename(f"{s.part}/later/{name}", f"{s.part}/log/0000100{name[-5:]}")
starts(s, after, "what it had is void, should it come back", "ev=store_open")
s.stop()

# ---- recover, where the index has more than the log -----------------------------------------------------------------
s = new("unlogged")
append(s, 5)
s.stop()
s.configure(SELDOM + "log = no\n")
tm.ok(s.start(), "without a log")
before = append(s, 20)
s.stop()
r = storectl(s, "recover")
tm.ok(r.returncode == 1 and "20 batches" in r.stdout and "--force" in r.stdout, "recover replaces no index that has more by one that has less") or tm.diag(r.stdout + r.stderr)
starts(s, before, "and it is as it was", "ev=store_open")
s.stop()
r = storectl(s, "recover", "--force")
tm.is_(r.returncode, 0, "unless it is told to") or tm.diag(r.stdout + r.stderr)
with open(f"{s.part}/index/data.mdb", "r+b") as f:
    f.seek(8192)
    f.write(os.urandom(os.path.getsize(f"{s.part}/index/data.mdb") - 8192))
r = storectl(s, "recover")
tm.is_(r.returncode, 0, "and one that is damaged") or tm.diag(r.stdout + r.stderr)

# ---- all places of readers are taken ----------------------------------------------------------------------------------
s = new("readers", "steady_interval = 20ms\nmax_readers = 16\n")
begun = s.metric("stored_steady_points")
append(s, 5)
tm.ok(tm.wait_for(lambda: s.metric("stored_steady_points") > begun), "a point behind the last change is counted, though nothing comes behind it")
r, wr = os.pipe()
holder = os.fork()
if holder == 0:
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)      # PR_SET_PDEATHSIG
    lmdb, env = ctypes.CDLL("liblmdb.so.0"), ctypes.c_void_p()
    lmdb.mdb_env_create(ctypes.byref(env))
    lmdb.mdb_env_open(env, f"{s.part}/index".encode(), 0x20000 | 0x200000, 0o640)     # MDB_RDONLY | MDB_NOTLS
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
    n = 0
    while True:
        lmdb.mdb_reader_check(env, None)        # places of who has died
        while lmdb.mdb_txn_begin(env, None, 0x20000, ctypes.byref(ctypes.c_void_p())) == 0:
            n += 1
        os.write(wr, struct.pack("<I", n))
        signal.sigwait([signal.SIGUSR1])
n, = struct.unpack("<I", os.read(r, 4))
was = s.metric("stored_steady_points")
append(s, 5)
tm.ok(n > 8 and tm.wait_for(lambda: s.metric("stored_steady_points") > was), f"all places for readers are taken, {n} by one: points are taken all the same")
s.stop(signal.SIGKILL)
os.kill(holder, signal.SIGUSR1)
n, = struct.unpack("<I", os.read(r, 4))
refuses(s, "but a start needs one", "all places for snapshots of the index are taken", f"process {holder} has {n}")
os.kill(holder, signal.SIGKILL)
os.waitpid(holder, 0)
starts(s, None, "who had them has died: they are free again", "ev=store_open")
tm.is_(len(s.dump()[0]["ann@store.test", "INBOX"][1]), 10, "and everything that was answered is there")
s.stop()

# ---- a COPY was cut off, and the disk is full ------------------------------------------------------------------------
NO_ROOM = r"""
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>
/* Log and index cannot get longer.  With STOP_AT the process stops instead, at its third write to the log since
 * that file is there. */
static int no_room(int fd, off_t end)
{
	static int writes;
	const char *stop_at = getenv("STOP_AT");
	char link[64], file[4096];
	struct stat st;
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, file, sizeof(file) - 1);
	file[n < 0 ? 0 : n] = 0;
	if (n < 4 || (strcmp(file + n - 4, ".log") && strcmp(file + n - 4, ".mdb")) || fstat(fd, &st) < 0)
		return 0;
	if (stop_at && file[n - 1] == 'g' && access(stop_at, F_OK) == 0 && ++writes == 3)
		raise(SIGSTOP);
	if (stop_at || end <= st.st_size)
		return 0;
	errno = ENOSPC;
	return 1;
}
ssize_t pwrite(int fd, const void *p, size_t n, off_t at)
{
	return no_room(fd, at + (off_t)n) ? -1 : syscall(SYS_pwrite64, fd, p, n, at);
}
ssize_t pwrite64(int fd, const void *p, size_t n, off_t at)
{
	return pwrite(fd, p, n, at);
}
ssize_t writev(int fd, const struct iovec *iov, int n)
{
	off_t end = lseek(fd, 0, SEEK_CUR);

	for (int i = 0; i < n; i++)
		end += (off_t)iov[i].iov_len;
	return no_room(fd, end) ? -1 : syscall(SYS_writev, fd, iov, n);
}
"""
with open(f"{DIR}/noroom.c", "w") as f:
    f.write(NO_ROOM)
subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", f"{DIR}/noroom.so", f"{DIR}/noroom.c"], check=True)
s = Store(f"{DIR}/full", SELDOM + "slice = 0\n")
tm.ok(s.start(preload=f"{DIR}/noroom.so", STOP_AT=f"{DIR}/stop"), "full: stored starts") or tm.diag(s.said())
before = append(s, 600)
sock = w.connect(f"{s.dir}/stored.sock")
r = w.ask(sock, w.ACCOUNT, w.body(name=b"ann@store.test"))
to = w.ask(sock, w.CREATE, w.body(account=r.get(w.R_ACCOUNT), name=b"Copies")).get(w.R_MAILBOX)
before = s.dump()
open(f"{DIR}/stop", "w").close()
sock.send(w.head(w.COPY) + w.body(mailbox=r.get(w.R_MAILBOX), mailbox2=to, ranges=[(1, 0xffffffff)]))
begun = tm.stopped(s.p.pid)
s.stop(signal.SIGKILL)
try:
    over = w.receive(sock)[0][1] == w.REPLY
except (OSError, EOFError):
    over = False
sock.close()
tm.ok(begun and not over, "full: killed while a COPY is made")
starts(s, before, "the disk is full: it starts all the same", "ev=store_hidden", preload=f"{DIR}/noroom.so")
sock = w.connect(f"{s.dir}/stored.sock")
a = w.ask(sock, w.EXPUNGE, w.body(mailbox=r.get(w.R_MAILBOX), ranges=[(1, 1)], options=2))
tm.ok(a.kind == 4 and a.code == w.FULL, "and takes no change") or tm.diag((a.kind, a.code, a.text))
s.stop()
starts(s, before, "there is room again: it starts", "ev=store_open")
check = storectl(s, "check")
tm.is_(check.returncode, 0, "and nothing of the COPY is left") or tm.diag(check.stdout + check.stderr)
sock = w.connect(f"{s.dir}/stored.sock")
a = w.ask(sock, w.COPY, w.body(mailbox=r.get(w.R_MAILBOX), mailbox2=to, ranges=[(1, 0xffffffff)]))
tm.ok(a.kind == 2 and len(s.dump()[0]["ann@store.test", "Copies"][1]) == 600, "once more it is made")
s.stop()

# ---- the same with an index of an older program, which must be marked before rows of today's versions are in it -------
NEWER = b"account", b"mailbox", b"cache", b"change", b"email"


class Value(ctypes.Structure):
    _fields_ = [("n", ctypes.c_size_t), ("p", ctypes.c_void_p)]


def tables(s, version=None):
    """The versions of those tables by the index that nobody has open; with `version` they are made that first."""
    lmdb, env, txn, dbi = ctypes.CDLL("liblmdb.so.0"), ctypes.c_void_p(), ctypes.c_void_p(), ctypes.c_uint()
    key, data = Value(6, ctypes.cast(ctypes.c_char_p(b"format"), ctypes.c_void_p)), Value()
    lmdb.mdb_env_create(ctypes.byref(env))
    lmdb.mdb_env_set_maxdbs(env, 40)
    lmdb.mdb_env_set_mapsize(env, ctypes.c_size_t(1 << 30))
    rcs = [lmdb.mdb_env_open(env, f"{s.part}/index".encode(), 0, 0o640), lmdb.mdb_txn_begin(env, None, 0, ctypes.byref(txn)),
           lmdb.mdb_dbi_open(txn, b"meta", 0, ctypes.byref(dbi)), lmdb.mdb_get(txn, dbi, ctypes.byref(key), ctypes.byref(data))]
    row, at, found = bytearray(ctypes.string_at(data.p, data.n)), 24, set()
    while at < len(row):
        n = row[at + 3]
        if bytes(row[at + 4:at + 4 + n]) in NEWER:
            row[at] = version or row[at]
            found.add(row[at])
        at += 4 + n
    changed = ctypes.create_string_buffer(bytes(row), len(row))
    data = Value(len(row), ctypes.cast(changed, ctypes.c_void_p))
    if version:
        rcs.append(lmdb.mdb_put(txn, dbi, ctypes.byref(key), ctypes.byref(data), 0))
    rcs.append(lmdb.mdb_txn_commit(txn))
    lmdb.mdb_env_close(env)
    if any(rcs):
        tm.diag(rcs)
    return found


s = new("old")
before = append(s, 600)
s.stop()
tables(s, 1)
tm.is_(tables(s), {1}, "old: an index of an older program")
starts(s, before, "the disk is full: it starts all the same", "ev=store_hidden", preload=f"{DIR}/noroom.so")
sock = w.connect(f"{s.dir}/stored.sock")
r = w.ask(sock, w.ACCOUNT, w.body(name=b"ann@store.test"))
tm.is_(r.kind, 2, "and says where an account is, for those who read")
a = w.ask(sock, w.EXPUNGE, w.body(mailbox=r.get(w.R_MAILBOX), ranges=[(1, 1)], options=2))
tm.ok(a.kind == 4 and a.code == w.FULL, "and takes no change") or tm.diag((a.kind, a.code, a.text))
sock.close()
s.stop()
tm.is_(tables(s), {1}, "nothing of today's is in it")
starts(s, before, "there is room again: it starts", "ev=store_open")
append(s, 1)
s.stop()
tm.ok(1 not in tables(s), "and says whose it is")

# ---- a file system that does not always write over a file where it is --------------------------------------------------
XFS = r"""
#define _GNU_SOURCE
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>
int fstatfs(int fd, struct statfs *st)
{
	int rc = (int)syscall(SYS_fstatfs, fd, st);

	st->f_type = 0x58465342;
	return rc;
}
int fstatfs64(int fd, struct statfs64 *st)
{
	return fstatfs(fd, (struct statfs *)st);
}
int sync_file_range(int fd, off_t at, off_t n, unsigned flags)
{
	if (write(2, "relies on blocks\n", 17) < 0)
		return -1;
	return (int)syscall(SYS_sync_file_range, fd, at, n, flags);
}
"""
with open(f"{DIR}/xfs.c", "w") as f:
    f.write(XFS)
subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", f"{DIR}/xfs.so", f"{DIR}/xfs.c"], check=True)
s = Store(f"{DIR}/xfs", SELDOM)
tm.ok(s.start(preload=f"{DIR}/xfs.so"), "on XFS, whose files can be cloned")
append(s, 20)
tm.ok("relies on blocks" not in s.said(), "no frame is taken for synced because its blocks are")
s.stop()

# ---- a message comes in and is moved in one batch, and the power is cut before its bytes are on disk -----------------
s = new("together")
append(s, 1)
sock = w.connect(f"{s.dir}/stored.sock")
r = w.ask(sock, w.ACCOUNT, w.body(name=b"ann@store.test"))
to = w.ask(sock, w.CREATE, w.body(account=r.get(w.R_ACCOUNT), name=b"There")).get(w.R_MAILBOX)


def frame_has(mailbox):
    """Does the last frame of the log name files of it (tiermail-store(5), kind 6)?"""
    log = sorted(f for f in os.listdir(f"{s.part}/log") if f.endswith(".log"))[-1]
    with open(f"{s.part}/log/{log}", "rb") as f:
        data = f.read().rstrip(b"\0")
    return re.search(rb"\x06.\x08\0...." + re.escape(mailbox.to_bytes(8, "big")), data[data.rfind(b"TLOG"):], re.S)


for n in range(2, 200):
    b = w.ask(sock, w.BODIES, w.body(count=1))
    os.write(b.fds[0], b"Subject: both\r\n\r\n" + os.urandom(3000))
    os.close(b.fds[0])
    # The first keeps the writer at work until the others are there; all come at one time.
    tm.freeze(s.p.pid)
    sock.send(w.head(w.CREATE, 1) + w.body(account=r.get(w.R_ACCOUNT), name=b"F%d" % n))
    sock.send(w.head(w.APPEND, 2) + w.body(mailbox=r.get(w.R_MAILBOX), messages=[w.message(b.get(w.R_TOKEN), 3017)]))
    sock.send(w.head(w.MOVE, 3) + w.body(mailbox=r.get(w.R_MAILBOX), mailbox2=to, ranges=[(n, n)]))
    s.p.send_signal(signal.SIGCONT)
    got = 0
    while got < 3:
        got += w.receive(sock)[0][1] == w.REPLY
    now = s.dump()[0]["ann@store.test", "There"][1]
    together = frame_has(r.get(w.R_MAILBOX)) and frame_has(to) and n - 1 == len(now)
    if not together:
        continue
    # A batch of the purge's may follow; then this one is no longer the one whose sync a cut can undo.
    s.stop(signal.SIGKILL)
    together = frame_has(r.get(w.R_MAILBOX)) and frame_has(to)
    if together or not s.start():
        break
    sock = w.connect(f"{s.dir}/stored.sock")
tm.ok(together, f"a message comes in and is moved in one batch, at try {n - 1}")
s.reboot()
name = subprocess.run(["find", s.part, "-path", "*There*", "-name", f"{n - 1}.msg"], capture_output=True, text=True).stdout.split()[0]
os.truncate(name, 0)        # one file, whichever names it has
tm.ok(s.start(), "the power is cut before its bytes are on disk: it starts") or tm.diag(said(s))
tm.is_(sorted(s.dump()[0]["ann@store.test", "There"][1]), list(range(1, n - 1)), "the batch was never answered: there is no copy without content")
tm.is_(subprocess.run(["find", s.part, "-path", "*/=user/*", "-name", "*.msg", "-size", "0"], capture_output=True, text=True).stdout, "", "nor a file that one could be made of")
s.stop()
tm.done()
