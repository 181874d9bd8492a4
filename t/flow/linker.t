#!/usr/bin/env python3
"""Files of copies that are made after the answer, when the disk or the index fails them: a link whose sync has failed is
made again, and none is made where a damaged name leads to."""
import ctypes, os, subprocess
import tm
import storewire as w
from barestore import Store

tm.need("cc")
DIR = tm.tempdir()
SHIM = r"""
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>
static int there(const char *name)
{
	const char *path = getenv(name);

	return path && access(path, F_OK) == 0;
}
/* One sync of all fails when FAIL is there, and takes it away. */
int syncfs(int fd)
{
	if (there("FAIL") && unlink(getenv("FAIL")) == 0) {
		errno = EIO;
		return -1;
	}
	return (int)syscall(SYS_syncfs, fd);
}
/* Links take their time, a thousand of them longer than the linker links without a sync; none is made while HOLD is there. */
int linkat(int from, const char *a, int to, const char *b, int flags)
{
	do
		usleep(30);
	while (there("HOLD"));
	return (int)syscall(SYS_linkat, from, a, to, b, flags);
}
"""
with open(f"{DIR}/shim.c", "w") as f:
    f.write(SHIM)
subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", f"{DIR}/shim.so", f"{DIR}/shim.c"], check=True)
s = Store(f"{DIR}/store")
FAIL, HOLD = f"{s.dir}/fail", f"{s.dir}/hold"
ALL = [(1, 0xffffffff)]


def start(what):
    tm.ok(s.start(preload=f"{DIR}/shim.so", FAIL=FAIL, HOLD=HOLD), what) or tm.diag(s.said()[-800:])
    sock = w.connect(f"{s.dir}/stored.sock")
    r = w.ask(sock, w.ACCOUNT, w.body(name=b"ann@store.test"))
    return sock, r.get(w.R_ACCOUNT), r.get(w.R_MAILBOX)


def create(name):
    return w.ask(sock, w.CREATE, w.body(account=account, name=name)).get(w.R_MAILBOX)


def copy(to):
    r = w.ask(sock, w.COPY, w.body(mailbox=inbox, mailbox2=to, ranges=ALL))
    tm.is_((r.kind, r.text), (2, r.text), "a COPY is answered")


def files(folder):
    r = subprocess.run(["find", s.part, "-path", f"*{folder}*", "-name", "*.msg"], capture_output=True, text=True)
    return sorted(r.stdout.split())


def whole(what):
    r = s.run(f"{tm.BINDIR}/storectl", "-c", f"{s.dir}/tiermail.conf", "check")
    tm.is_(r.returncode, 0, what) or tm.diag(r.stdout[-800:] + r.stderr)


sock, account, inbox = start("stored starts")
for i in range(64):
    b = w.ask(sock, w.BODIES, w.body(count=1))
    os.write(b.fds[0], b"Subject: %4d\r\n\r\n" % i)
    os.close(b.fds[0])
    w.ask(sock, w.APPEND, w.body(mailbox=inbox, messages=[w.message(b.get(w.R_TOKEN), 17)]))
for i in range(6):
    w.ask(sock, w.COPY, w.body(mailbox=inbox, mailbox2=inbox, ranges=ALL))
tm.ok(tm.wait_for(lambda: s.metric("stored_unlinked") == 0 and len(files("INBOX")) == 4096), "4,096 messages, with their files") or tm.diag(len(files("INBOX")))

# ---- a sync fails, and the next one says nothing of it --------------------------------------------------------------
to = create(b"Copies")
open(FAIL, "w").close()
copy(to)
tm.ok(tm.wait_for(lambda: not os.path.exists(FAIL)), "the sync of the first links fails")
lost = next(f for f in files("Copies") if f.endswith("/01/300.msg"))
os.unlink(lost)     # it was not on disk
tm.ok(tm.wait_for(lambda: s.metric("stored_unlinked") == 0), "all are made in the end")
tm.ok(os.path.exists(lost), "also what the failed sync had not brought to the disk")
whole("and nothing is missing")

# ---- the record of a mailbox is damaged ------------------------------------------------------------------------------
to, later = create(b"Damaged"), create(b"Later")
open(HOLD, "w").close()
copy(to)
copy(later)
rows = s.metric("stored_unlinked")      # of both folders; one of the first may be in hand
s.p.terminate()
os.unlink(HOLD)
tm.is_(s.p.wait(tm.LONG), 0, "stored ends before they are made")


class Val(ctypes.Structure):
    _fields_ = [("n", ctypes.c_size_t), ("p", ctypes.c_void_p)]


def rename(old, new):
    """In the mailbox's record, without its checksum."""
    lmdb = ctypes.CDLL("liblmdb.so.0")
    env, txn, dbi, key, value = ctypes.c_void_p(), ctypes.c_void_p(), ctypes.c_uint(), Val(8, 0), Val()
    number = ctypes.create_string_buffer(to.to_bytes(8, "big"), 8)
    key.p = ctypes.addressof(number)
    lmdb.mdb_env_create(ctypes.byref(env))
    lmdb.mdb_env_set_maxdbs(env, 40)
    lmdb.mdb_env_set_mapsize(env, ctypes.c_size_t(256 << 20))
    rc = [lmdb.mdb_env_open(env, f"{s.part}/index".encode(), 0, 0o640), lmdb.mdb_txn_begin(env, None, 0, ctypes.byref(txn)),
          lmdb.mdb_dbi_open(txn, b"mailbox", 0, ctypes.byref(dbi)), lmdb.mdb_get(txn, dbi, ctypes.byref(key), ctypes.byref(value))]
    row = ctypes.string_at(value.p, value.n)
    changed = ctypes.create_string_buffer(row.replace(old, new), len(row))
    value.p = ctypes.addressof(changed)
    rc += [lmdb.mdb_put(txn, dbi, ctypes.byref(key), ctypes.byref(value), 0), lmdb.mdb_txn_commit(txn)]
    lmdb.mdb_env_close(env)
    tm.ok(rc == [0] * 6 and changed.raw != row, f"its name was {old.decode()}, is {new.decode()}") or tm.diag(rc)


made = len(files("Damaged"))
rename(b"Damaged", b"Damages")
sock, account, inbox = start("stored starts on a damaged record")
tm.ok(tm.wait_for(lambda: len(files("Later")) == 4096 and s.metric("stored_unlinked") <= (rows + 1) // 2), "the files of the other folder are made") or tm.diag((rows, s.metric("stored_unlinked")))
tm.is_((len(files("Damages")), len(files("Damaged"))), (0, made), "none where the damaged name leads to")
s.stop()
rename(b"Damages", b"Damaged")
sock, account, inbox = start("the record is as it was")
tm.ok(tm.wait_for(lambda: len(files("Damaged")) == 4096 and s.metric("stored_unlinked") == 0), "all are made")
whole("and nothing is missing")
s.stop()
tm.done()
