#!/usr/bin/env python3
"""A folder's directory cannot be moved (the disk is full, or fails): nothing is taken for moved, nothing comes in
between, no message loses its file, and all is well when the disk is.  And what a move finds in its way."""
import ctypes, os, signal, struct, subprocess
import tm
import storewire as w
from barestore import Store

tm.need("cc")
DIR = tm.tempdir()
ANN = "ann@store.test"
STUCK = r"""
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
/* Directories of users stay where they are while there is a file `stuck`. */
int renameat(int a, const char *from, int b, const char *to)
{
	if (strncmp(from, "=user/", 6) == 0 && faccessat(a, "stuck", F_OK, 0) == 0) {
		errno = ENOSPC;
		return -1;
	}
	return (int)syscall(SYS_renameat, a, from, b, to);
}
"""
with open(f"{DIR}/stuck.c", "w") as f:
    f.write(STUCK)
subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", f"{DIR}/stuck.so", f"{DIR}/stuck.c"], check=True)


class Bare(Store):
    def up(self):
        """Also of one that is to fail; True when it is ready."""
        ok = self.start(preload=f"{DIR}/stuck.so")
        if ok:
            self.sock = w.connect(f"{self.dir}/stored.sock")
            self.account = self.ask(w.ACCOUNT, name=ANN.encode()).get(w.R_ACCOUNT)
        return ok

    def down(self, sig=signal.SIGTERM):
        self.sock.close()
        self.stop(sig)

    def stick(self, yes=True):
        if yes:
            open(f"{self.part}/stuck", "w").close()
        else:
            os.unlink(f"{self.part}/stuck")

    def ask(self, verb, **fields):
        return w.ask(self.sock, verb, w.body(**fields))

    def create(self, name):
        return self.ask(w.CREATE, account=self.account, name=name.encode())

    def rename(self, name, to):
        return self.ask(w.RENAME, account=self.account, name=name.encode(), name2=to.encode()).kind == 2

    def delete(self, name):
        return self.ask(w.DELETE, account=self.account, name=name.encode()).kind == 2

    def append(self, box, text):
        b = w.ask(self.sock, w.BODIES, w.body(count=1))
        os.write(b.fds[0], text)
        os.close(b.fds[0])
        return self.ask(w.APPEND, mailbox=box, messages=[w.message(b.get(w.R_TOKEN), len(text))]).kind == 2

    def filled(self, name, n=3):
        box = self.create(name).get(w.R_MAILBOX)
        for i in range(n):
            if not self.append(box, f"Subject: {name} {i}\r\n\r\n".encode() + os.urandom(300)):
                tm.ok(False, f"{name}: a message")
        return box

    def folder(self, name):
        """{uid: (flags, crc)}"""
        return self.dump()[0].get((ANN, name), (0, None))[1]

    def path(self, name):
        top = subprocess.run(["find", f"{self.part}/=user", "-name", "=" + ANN], capture_output=True, text=True).stdout.split()[0]
        return os.path.join(top, *("=" + c for c in name.split("/")))

    def settled(self):
        """The disk is well again."""
        self.stick(False)
        return tm.wait_for(lambda: self.metric("stored_unmoved") == 0)

    def clean(self, what):
        def good():
            self.last = self.run(f"{tm.BINDIR}/storectl", "-c", f"{self.dir}/tiermail.conf", "check")
            return self.last.returncode == 0
        tm.ok(tm.wait_for(good), what) or tm.diag(self.last.stdout + self.last.stderr)

    def aside(self):
        return sorted(os.listdir(f"{self.part}/=aside")) if os.path.isdir(f"{self.part}/=aside") else []


s = Bare(f"{DIR}/store", "snapshot_interval = 0\nslice = 0\n")
tm.ok(s.up(), "stored starts") or tm.diag(s.said())

# ---- RENAME -----------------------------------------------------------------------------------------------------------
box = s.filled("A")
before = s.folder("A")
s.stick()
tm.ok(s.rename("A", "B"), "a folder is renamed, and its directory cannot be moved")
tm.is_(s.metric("stored_unmoved"), 1, "which is counted")
tm.ok(s.said().count("ev=store_move ") == 1 and "No space left" in s.said(), "and told") or tm.diag(s.said()[-500:])
tm.ok(not s.append(box, b"x: y\r\n\r\n"), "mail for it waits")
tm.ok(not os.path.exists(s.path("B")), "nothing is made where it is to go")
a = s.create("A")
tm.ok(a.kind == 4 and "moved" in a.text, "nor where it still is") or tm.diag((a.kind, a.text))
a = s.ask(w.SETTLE, mailbox=box, ranges=[(1, 0xffffffff)])
tm.ok(a.kind == 4 and "moved" in a.text, "its messages are not taken for lost") or tm.diag((a.kind, a.text))
r = s.run(f"{tm.BINDIR}/storectl", "-c", f"{s.dir}/tiermail.conf", "reconstruct", ANN)
tm.ok(r.returncode != 0, "nor by storectl reconstruct") or tm.diag(r.stdout + r.stderr)
other = s.filled("Other")
tm.ok(len(s.folder("Other")) == 3, "other folders go on")
tm.is_(sorted(s.folder("B")), sorted(before), "it has all its messages")
s.down()
tm.ok(s.up() and tm.wait_for(lambda: s.metric("stored_unmoved") == 1), "started anew it is as it was")
tm.ok(not s.append(box, b"x: y\r\n\r\n"), "mail for it still waits")
tm.ok(s.rename("B", "C"), "it can be renamed once more")
tm.ok(s.rename("C", "A"), "and again, to what it was called")
copies = s.create("Copies").get(w.R_MAILBOX)
tm.is_(s.ask(w.COPY, mailbox=box, mailbox2=copies, ranges=[(1, 0xffffffff)]).kind, 2, "many of it are copied, whose files come later")
tm.ok(s.ask(w.EXPUNGE, mailbox=box, ranges=[(1, 1)], options=2).kind == 2, "and one expunged")
del before[1]
tm.ok(s.settled(), "the disk is well again: all moves are made") or tm.diag(s.said()[-500:])
tm.is_(s.folder("A"), before, "every message is there")
tm.ok(s.append(box, b"x: y\r\n\r\n"), "and mail comes in")
tm.ok(tm.wait_for(lambda: s.metric("stored_unlinked") == 0), "the copies get their files")
tm.is_([crc for _, crc in s.folder("Copies").values()][1:], [crc for _, crc in before.values()], "which are what they were made of")
tm.ok(tm.wait_for(lambda: not os.path.exists(s.path("A") + "/00/1.msg")), "the file of what was expunged goes")
s.clean("storectl check finds nothing")

# ---- DELETE -----------------------------------------------------------------------------------------------------------
s.filled("D")
s.stick()
tm.ok(s.delete("D"), "a folder is deleted, and its directory cannot be moved")
a = s.create("D")
tm.ok(a.kind == 4 and "moved" in a.text, "a new one of its name would go with it") or tm.diag((a.kind, a.text))
s.ask(w.EXPUNGE, mailbox=other, ranges=[(1, 1)], options=2)
tm.ok(tm.wait_for(lambda: not os.path.exists(s.path("Other") + "/00/1.msg")), "the purge has come by")
tm.ok(os.path.exists(s.path("D") + "/00/1.msg"), "its files have not been overlooked")
tm.ok(s.settled(), "the disk is well again")
new = s.filled("D", 2)
now = s.folder("D")
tm.ok(len(now) == 2 and -1 not in [crc for _, crc in now.values()], "the new one has its messages")
s.clean("and the old one's are purged")
tm.is_(s.folder("D"), now, "which leaves the new ones alone")

# ---- something stands at the new path ---------------------------------------------------------------------------------
box = s.filled("E")
before = s.folder("E")
os.makedirs(s.path("F") + "/00")
os.makedirs(s.path("F") + "/07")
for name in ("00/1.msg", "00/9.msg", "07/1800.msg"):
    with open(f"{s.path('F')}/{name}", "w") as f:
        f.write("stranger")
tm.ok(s.rename("E", "F"), "a folder is renamed to where files lie about")
tm.is_(s.folder("F"), before, "its messages are there, and no others")
tm.is_(len(s.aside()), 1, "what had the name of one is set aside") or tm.diag(s.aside())
tm.ok(os.path.exists(s.path("F") + "/07/1800.msg") and not os.path.exists(s.path("E")), "the rest is left")
for name in ("00/9.msg", "07/1800.msg"):
    os.unlink(f"{s.path('F')}/{name}")
s.clean("storectl check finds nothing else")

# ---- cut off: made in part, and the old path used again ----------------------------------------------------------------
s.stick()
tm.ok(s.rename("F", "G"), "a folder is renamed, and its directory cannot be moved")
s.down(signal.SIGKILL)
s.stick(False)
os.rename(s.path("F"), s.path("G"))
os.makedirs(s.path("F") + "/00")
for i in (1, 2):
    with open(f"{s.path('F')}/00/{i}.msg", "w") as f:
        f.write("of a batch that never was")
tm.ok(s.up(), "the move had been made when stored died, and files were left at the old path: it starts") or tm.diag(s.said())
tm.is_(s.folder("G"), before, "no message has given way to them")
tm.is_(len(s.aside()), 3, "they are set aside, each under a name of its own") or tm.diag(s.aside())
tm.ok(not os.path.exists(s.path("F")), "and the old path is free")
s.clean("storectl check finds nothing")

# ---- rows that are not known ---------------------------------------------------------------------------------------------
class Val(ctypes.Structure):
    _fields_ = [("n", ctypes.c_size_t), ("p", ctypes.c_char_p)]


def put(number, row):
    """A row of `intent`, None: none, behind stored's back."""
    lmdb, env, txn, dbi = ctypes.CDLL("liblmdb.so.0"), ctypes.c_void_p(), ctypes.c_void_p(), ctypes.c_uint()
    key = Val(8, struct.pack(">Q", number))
    good = lmdb.mdb_env_create(ctypes.byref(env)) == 0 and lmdb.mdb_env_set_maxdbs(env, 24) == 0 and \
        lmdb.mdb_env_open(env, f"{s.part}/index".encode(), 0, 0o640) == 0 and lmdb.mdb_txn_begin(env, None, 0, ctypes.byref(txn)) == 0 and \
        lmdb.mdb_dbi_open(txn, b"intent", 0, ctypes.byref(dbi)) == 0
    if good and row is None:
        good = lmdb.mdb_del(txn, dbi, ctypes.byref(key), None) == 0
    elif good:
        good = lmdb.mdb_put(txn, dbi, ctypes.byref(key), ctypes.byref(Val(len(row), row)), 0) == 0
    good = good and lmdb.mdb_txn_commit(txn) == 0
    lmdb.mdb_env_close(env)
    os.unlink(f"{s.part}/index/steady")     # its point is older than this
    return good


now = s.dump()[0]
s.down()
for version, kind in ((1, 4), (2, 1)):
    was = len(s.said())
    tm.ok(put(900, bytes((version, kind, 1, 0, 1, 0)) + b"xy"), f"a move of version {version} and kind {kind}, as a newer stored may promise")
    tm.ok(not s.up(), "stored does not start")
    tm.ok(f"of version {version} and kind {kind}, which this program does not know: it needs a newer one" in s.said()[was:], "and says why") or tm.diag(s.said()[was:])
tm.ok(put(900, bytes((1, 1, 200, 0, 200, 0)) + b"xy"), "one that is damaged")
was = len(s.said())
tm.ok(s.up(), "is no reason not to start") or tm.diag(s.said()[was:])
tm.ok("ev=store_intent partition=primary number=900" in s.said()[was:], "it is told") or tm.diag(s.said()[was:])
tm.is_(s.dump()[0], now, "and all is as it was")
s.down()
tm.ok(put(900, None), "it had not been dropped")
s.stop() if s.p.poll() is None else None
tm.done()
