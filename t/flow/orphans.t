#!/usr/bin/env python3
"""Message files that the index does not know: a batch that a kill cut off leaves none behind, and no start removes
any other, for they may be mail that a lost index has forgotten, which reconstruct brings back."""
import os, shutil, signal, struct, subprocess, uuid
import tm
import storewire as w
from barestore import Store

tm.need("cc")
DIR = tm.tempdir()
ANN = "ann@store.test"
# Ends between the links of a batch and its frame in the log, while there is a file `die`.
DIES = r"""
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>
static void look(int fd)
{
	char link[64], file[4096];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, file, sizeof(file) - 8);
	file[n < 0 ? 0 : n] = 0;
	if (n < 4 || strcmp(file + n - 4, ".log"))
		return;
	strcpy(strrchr(file, '/'), "/../die");
	if (faccessat(-1, file, F_OK, 0) == 0)
		kill(getpid(), SIGKILL);
}
ssize_t pwrite(int fd, const void *p, size_t n, off_t at)
{
	look(fd);
	return syscall(SYS_pwrite64, fd, p, n, at);
}
ssize_t pwrite64(int fd, const void *p, size_t n, off_t at)
{
	return pwrite(fd, p, n, at);
}
ssize_t writev(int fd, const struct iovec *iov, int n)
{
	look(fd);
	return syscall(SYS_writev, fd, iov, n);
}
"""
with open(f"{DIR}/dies.c", "w") as f:
    f.write(DIES)
subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", f"{DIR}/dies.so", f"{DIR}/dies.c"], check=True)


class Bare(Store):
    def up(self):
        ok = self.start(preload=f"{DIR}/dies.so")
        if ok:
            self.sock = w.connect(f"{self.dir}/stored.sock")
            self.box = w.ask(self.sock, w.ACCOUNT, w.body(name=ANN.encode())).get(w.R_MAILBOX)
        return ok

    def down(self, sig=signal.SIGTERM):
        self.sock.close()
        self.stop(sig)

    def append(self, n=1):
        for i in range(n):
            b = w.ask(self.sock, w.BODIES, w.body(count=1))
            text = b"Subject: mail\r\n\r\n" + os.urandom(400)
            os.write(b.fds[0], text)
            os.close(b.fds[0])
            a = w.ask(self.sock, w.APPEND, w.body(mailbox=self.box, messages=[w.message(b.get(w.R_TOKEN), len(text))]))
            if a.kind != 2:
                return False
        return True

    def storectl(self, *args):
        return self.run(f"{tm.BINDIR}/storectl", "-c", f"{self.dir}/tiermail.conf", *args)

    def inbox(self):
        return self.dump()[0].get((ANN, "INBOX"), (0, {}))[1]

    def files(self):
        """The UIDs of all files of INBOX."""
        names = subprocess.run(["find", f"{self.part}/=user", "-path", "*=INBOX/*", "-name", "*.msg"], capture_output=True, text=True).stdout.splitlines()
        return sorted(int(os.path.basename(n)[:-4]) for n in names)

    def dies(self):
        """A message is under way, linked, and its batch never was."""
        open(f"{self.part}/die", "w").close()
        try:
            self.append()
            died = False
        except (OSError, EOFError):
            died = True
        self.p.wait(tm.LONG)
        self.sock.close()
        os.unlink(f"{self.part}/die")
        return died

    def aside(self):
        return os.listdir(f"{self.part}/=aside") if os.path.isdir(f"{self.part}/=aside") else []


def new(name):
    s = Bare(f"{DIR}/{name}", "steady_interval = 1h\nsnapshot_interval = 0\n")
    tm.ok(s.up(), f"{name}: stored starts") or tm.diag(s.said())
    return s


# ---- killed in a batch -----------------------------------------------------------------------------------------------
s = new("killed")
s.append(4)
tm.ok(s.dies(), "stored dies when the links are made and nothing else")
tm.is_(s.files(), [1, 2, 3, 4, 5], "there is a file that no message has")
inbox = os.path.dirname(subprocess.run(["find", f"{s.part}/=user", "-name", "5.msg"], capture_output=True, text=True).stdout.strip())
for n in (6, 300):
    shutil.copy(f"{inbox}/5.msg", f"{inbox}/{n}.msg")
tm.ok(s.up(), "it starts again")
tm.is_(s.files(), [1, 2, 3, 4, 6, 300], "that file is gone, and no other")
tm.ok(s.append() and 5 in s.inbox() and not s.aside(), "the next message takes its UID")
s.down()

# ---- the same, but the index that is there then is another one ------------------------------------------------------
def forgotten(name, how):
    """30 messages, of which a snapshot has 10; then the index and the log are gone."""
    s = new(name)
    s.append(10)
    tm.is_(s.storectl("snapshot").returncode, 0, f"{name}: a snapshot")
    s.append(20)
    before = s.inbox()
    how(s)
    shutil.rmtree(f"{s.part}/log")
    shutil.rmtree(f"{s.part}/index")
    r = s.storectl("recover", "--force")
    tm.is_(r.returncode, 0, f"{name}: the index is lost, and recovered from the snapshot") or tm.diag(r.stdout + r.stderr)
    tm.ok(s.up(), f"{name}: stored starts") or tm.diag(s.said()[-800:])
    tm.is_(len(s.inbox()), 10, f"{name}: twenty messages are not known any more")
    tm.ok(set(s.files()) >= set(before), f"{name}: but their files are all there") or tm.diag(s.files())
    r = s.storectl("reconstruct", ANN)
    tm.is_(r.returncode, 0, f"{name}: reconstruct") or tm.diag(r.stdout + r.stderr)
    now = s.inbox()
    tm.is_({u: now[u][1] for u in now if u in before}, {u: before[u][1] for u in before}, f"{name}: brings every one back, as it was")
    s.down()


forgotten("cut off", lambda s: s.dies())


def inflight(s, batch, boot, first, last):
    """What a batch had in flight, as tiermail-store(5) has it."""
    dir = os.path.relpath(os.path.dirname(os.path.dirname(subprocess.run(["find", f"{s.part}/=user", "-name", "1.msg"], capture_output=True, text=True).stdout.strip())), s.part).encode()
    entry = struct.pack("<QIIH", s.box, first, last, len(dir)) + dir
    with open(f"{s.part}/inflight", "r+b") as f:
        f.write(struct.pack("<IIIIQ16s", 0x4c464e49, len(entry), 0, 0, batch, boot) + entry)
    # And as an older version wrote it: everything from the first on.
    with open(f"{s.part}/note", "wb") as f:
        f.write((struct.pack("<II", len(dir) + 14, 0) + struct.pack("<QIH", s.box, first, len(dir)) + dir).ljust(1 << 20, b"\0"))


def last_batch(s):
    return max(int(n.split("-")[1].split(".")[0]) for n in os.listdir(f"{s.dir}/store/snapshot/primary") if n.endswith(".mdb"))


def stale(boot, of):
    def how(s):
        s.down(signal.SIGKILL)
        inflight(s, last_batch(s) + of, boot(s), 11, 25)
    return how


here, other = (lambda s: uuid.UUID(s.boot).bytes), (lambda s: uuid.uuid4().bytes)
forgotten("after a power cut", stale(other, 1))
forgotten("an old list", stale(here, -3))
forgotten("a newer list", stale(here, 9))
forgotten("no kernel's", stale(lambda s: bytes(16), 1))

# One that is right, by hand: what the tests above would see if it were believed.
s = new("right")
s.append(10)
tm.is_(s.storectl("snapshot").returncode, 0, "right: a snapshot")
s.down()
inbox = os.path.dirname(subprocess.run(["find", f"{s.part}/=user", "-name", "5.msg"], capture_output=True, text=True).stdout.strip())
for n in (8, 11, 12, 13, 14):
    if not os.path.exists(f"{inbox}/{n}.msg"):
        shutil.copy(f"{inbox}/5.msg", f"{inbox}/{n}.msg")
inflight(s, last_batch(s) + 1, here(s), 3, 13)
tm.ok(s.up(), "right: stored starts")
tm.is_(s.files(), [*range(1, 11), 14], "right: what the batch after the last one had in flight goes, no message's file does")
tm.ok(not os.path.exists(f"{s.part}/note"), "right: an older list is not kept")
s.down()
tm.done()
