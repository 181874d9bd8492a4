#!/usr/bin/env python3
"""A batch of stored that fails takes back nothing that is in memory alone: an account that a connection was to hold, and was told
that it could not, is nobody's when the connection ends."""
import os, subprocess
import tm
import storewire as w
from barestore import Store

tm.need("cc")
ok, is_ = tm.ok, tm.is_
DIR = tm.tempdir()
SHIM = r"""
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
/* While the file is there each sync of the log fails. */
int fdatasync(int fd)
{
	const char *path = getenv("FAIL_LOG");
	char link[64], file[4096];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, file, sizeof(file) - 1);
	file[n < 0 ? 0 : n] = 0;
	if (path && strlen(file) > 4 && strcmp(file + strlen(file) - 4, ".log") == 0 && access(path, F_OK) == 0) {
		errno = EIO;
		return -1;
	}
	return (int)syscall(SYS_fdatasync, fd);
}
"""
with open(f"{DIR}/fail.c", "w") as f:
    f.write(SHIM)
subprocess.run(["cc", "-shared", "-fPIC", "-o", f"{DIR}/fail.so", f"{DIR}/fail.c"], check=True)
FAIL, HELD = f"{DIR}/fail", 3
s = Store(f"{DIR}/s")
ok(s.start(preload=f"{DIR}/fail.so", FAIL_LOG=FAIL), "stored starts") or tm.diag(s.said())
with w.connect(f"{s.dir}/stored.sock") as a:
    id = w.ask(a, w.ACCOUNT, w.body(name=b"ann@store.test")).get(w.R_ACCOUNT)


def hold():
    """True when the batch in which it was has failed."""
    with w.connect(f"{s.dir}/stored.sock") as a:
        open(FAIL, "w").close()
        for n in range(8):      # some of them in one batch with the other
            if n == 4:
                a.send(w.head(w.FREEZE, 100) + w.body(account=id, use=HELD))
            a.send(w.head(w.SUBSCRIBE, n + 1) + w.body(account=id, name=b"name%d" % n, yes=1))
        code = None
        for _ in range(9):
            data, _ = w.receive(a)
            if int.from_bytes(data[4:8], "little") == 100:
                code = w.Reply(data[16:]).code
        return code == w.FAILED


ok(tm.wait_for(hold), "a batch fails in which an account was to be held")
os.unlink(FAIL)


def free():
    with w.connect(f"{s.dir}/stored.sock") as a:
        return w.ask(a, w.FREEZE, w.body(account=id, use=HELD)).code == w.DONE


ok(tm.wait_for(free, tm.SHORT), "it is nobody's when that connection has ended")
s.stop()
tm.done()
