#!/usr/bin/env python3
"""A large mailbox is deleted and emptied in slices, and the disk is full in the middle of that: nothing turns for ever,
nothing is lost of what is still to be done, and it goes on by itself when there is room."""
import os, shutil, signal, subprocess, tempfile
import tm
import storewire as w
from barestore import Store

tm.need("cc")
DIR = tempfile.mkdtemp(prefix="tm-")
ANN = b"ann@store.test"
MANY = 2000
# While there is a file `full`, the log takes a few frames more behind that of a DELETE, and no others.
FULL = r"""
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>
static int left = -1;
static int full(int fd, const void *p, size_t n)
{
	char link[64], file[4096];
	ssize_t len;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	len = readlink(link, file, sizeof(file) - 8);
	file[len < 0 ? 0 : len] = 0;
	if (len < 4 || strcmp(file + len - 4, ".log"))
		return 0;
	strcpy(strrchr(file, '/'), "/../full");
	if (faccessat(-1, file, F_OK, 0) < 0)
		left = -1;
	else if (memmem(p, n, "=deleted/", 9))
		left = 3;
	else if (left > 0)
		left--;
	else if (left == 0) {
		errno = ENOSPC;
		return 1;
	}
	return 0;
}
ssize_t pwrite(int fd, const void *p, size_t n, off_t at)
{
	return full(fd, p, n) ? -1 : syscall(SYS_pwrite64, fd, p, n, at);
}
ssize_t pwrite64(int fd, const void *p, size_t n, off_t at)
{
	return pwrite(fd, p, n, at);
}
ssize_t writev(int fd, const struct iovec *iov, int n)
{
	static char all[1 << 20];
	size_t len = 0;

	for (int i = 0; i < n && len + iov[i].iov_len <= sizeof(all); len += iov[i++].iov_len)
		memcpy(all + len, iov[i].iov_base, iov[i].iov_len);
	return full(fd, all, len) ? -1 : syscall(SYS_writev, fd, iov, n);
}
"""
with open(f"{DIR}/full.c", "w") as f:
    f.write(FULL)
subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", f"{DIR}/full.so", f"{DIR}/full.c"], check=True)
s = Store(f"{DIR}/store", "snapshot_interval = 0\nslice = 0\n")


def up():
    global sock, account, inbox
    ok = s.start(preload=f"{DIR}/full.so")
    if ok:
        sock = w.connect(f"{s.dir}/stored.sock")
        r = w.ask(sock, w.ACCOUNT, w.body(name=ANN))
        account, inbox = r.get(w.R_ACCOUNT), r.get(w.R_MAILBOX)
    return ok


def append(box, n=20):
    tokens = []
    for _ in range(n):
        b = w.ask(sock, w.BODIES, w.body(count=1))
        os.write(b.fds[0], b"Subject: x\r\n\r\n")
        os.close(b.fds[0])
        tokens.append(b.get(w.R_TOKEN))
    return w.ask(sock, w.APPEND, w.body(mailbox=box, messages=[w.message(t, 14) for t in tokens]))


def filled():
    box = w.ask(sock, w.CREATE, w.body(account=account, name=b"Big")).get(w.R_MAILBOX)
    a = append(box)
    n = 20
    while a.kind == 2 and n < MANY:
        some = min(n, MANY - n)
        a = w.ask(sock, w.COPY, w.body(mailbox=box, mailbox2=box, ranges=[(1, some)]))
        n += some
    tm.ok(a.kind == 2, f"a folder of {MANY}") or tm.diag(a.text)
    return box


def full(yes):
    if yes:
        open(f"{s.part}/full", "w").close()
    else:
        os.unlink(f"{s.part}/full")


def delete_on_full_disk(what):
    filled()
    tm.ok(tm.wait_for(lambda: s.metric("stored_unlinked") == 0), "all files are there")
    before = s.metric("stored_failed_batches")
    full(True)
    tm.is_(w.ask(sock, w.DELETE, w.body(account=account, name=b"Big")).kind, 2, f"{what}: it is deleted, and the disk is full soon after")
    tm.ok(tm.wait_for(lambda: s.metric("stored_failed_batches") > before), f"{what}: a slice fails")
    return before


def emptied(what):
    def clean():
        r = s.run(f"{tm.BINDIR}/storectl", "-c", f"{s.dir}/tiermail.conf", "check")
        return r.returncode == 0 and " 0 waiting" in r.stdout and not os.listdir(f"{s.part}/=deleted") and r
    tm.ok(tm.wait_for(clean), what) or tm.diag(s.run(f"{tm.BINDIR}/storectl", "-c", f"{s.dir}/tiermail.conf", "check").stdout[-800:])
    files = subprocess.run(["find", s.part, "-name", "*.msg"], capture_output=True, text=True).stdout.splitlines()
    tm.is_(len(files), len(s.dump()[0]["ann@store.test", "INBOX"][1]), "and of its files nothing is left")


tm.ok(up(), "stored starts") or tm.diag(s.said())
tm.is_(append(inbox, 1).kind, 2, "a message")

# ---- it goes on with the next batch that somebody asks for -------------------------------------------------------------
before = delete_on_full_disk("asked")
asked = 10
kinds = [w.ask(sock, w.FLAGS, w.body(mailbox=inbox, ranges=[(1, 1)], how=0, flags=1 + i % 2)).kind for i in range(asked)]
tm.is_(kinds, [4] * asked, "changes are refused for the time being")
failed = s.metric("stored_failed_batches")
tm.ok(failed - before > asked, "one batch for each of these has failed")
for _ in range(300):        # as long as hundreds of batches take
    now = s.metric("stored_failed_batches")
tm.ok(now - failed < 50, f"and not one after the other for ever: {now - failed} more")
tm.ok(os.listdir(f"{s.part}/=deleted"), "the messages are still to go")
full(False)
tm.is_(append(inbox, 1).kind, 2, "there is room again: a message")
emptied("with it the emptying goes on, to its end")

# ---- or after a restart ------------------------------------------------------------------------------------------------
delete_on_full_disk("killed")
s.stop(signal.SIGKILL)
full(False)
sock.close()
tm.ok(up(), "killed then, it starts again")
emptied("and goes on by itself")
tm.is_(len(s.dump()[0]["ann@store.test", "INBOX"][1]), 2, "other mail is as it was")
s.stop()
shutil.rmtree(DIR)
tm.done()
