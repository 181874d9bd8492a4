"""What a directory can look like after a power cut, from a trace that t/tools/powercut.c has written.

    t = powercut.Trace(file, root)
    for at in sorted(moments):          # numbers of records
        tree = t.cut(at, random)        # {path below root: bytes, or None for a directory}
        powercut.write(tree, directory)

What a cut leaves, worse than most file systems do it and never better than they promise:
everything that a finished sync covers is there; of data written after that, any version of each
page of 4 KiB by itself; of names and sizes changed after that, a beginning of their list, as a
journal has it.  A sync covers what was done before it began: syncfs everything, fsync the file, its
size and its names, fdatasync the file and its size, fsync of a directory the names in it, and with
a name or a size whatever came before it in the list.  sync_file_range with WAIT_AFTER on bytes that
the file has already brings them to the disk's cache, which the next sync of any kind empties."""
import mmap, os, struct
from collections import namedtuple

(CREATE, UNNAMED, WRITE, SIZE, LINK, RENAME, UNLINK, MKDIR, RMDIR, BEGIN, END, ALLOC) = range(1, 13)
FSYNC, FDATASYNC, FS, RANGE, DIR = range(1, 6)
WAIT_AFTER = 4
HEAD = struct.Struct("<II6QII")
PAGE = 4096
Record = namedtuple("Record", "op flags stamp ino off n frm len path path2 data")


class Content(bytes):
    """The bytes of one file; files that have the same ones are not the same file."""


class File:
    def __init__(self, data=b""):
        self.data = bytearray(data)     # on the disk
        self.size = len(data)           # on the disk
        self.now = len(data)            # in memory
        self.pending = []               # (number, offset, bytes) not on the disk


class Trace:
    def __init__(self, path, root, tree=None):
        """`tree` is the directory as it was when the trace began, by inode: see load()."""
        self.root = os.path.realpath(root)
        with open(path, "rb") as f:
            self.map = mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ) if os.path.getsize(path) else b""
        self.records = list(self._read())
        self.at = 0
        self.tree = {"": None}          # path -> File or None, on the disk
        self.live = {}                  # ino -> File
        if tree:
            self.tree, self.live = tree
        self.names = []                 # changes of names and sizes not on the disk: (number, what, ...)
        self.syncs = {}                 # number of a sync -> (record's number, kind, File or path, ...)
        self.cached = []                # in the disk's own cache: (number, File, before, from, to)

    def _read(self):
        view, at = memoryview(self.map), 0
        while at < len(view):
            op, flags, stamp, ino, off, n, frm, length, npath, npath2 = HEAD.unpack_from(view, at)
            at += HEAD.size
            path = bytes(view[at:at + npath]).decode(errors="surrogateescape")
            path2 = bytes(view[at + npath:at + npath + npath2]).decode(errors="surrogateescape")
            at += npath + npath2
            size = n if op == WRITE else 0
            yield Record(op, flags, stamp, ino, off, n, frm, length, path, path2, view[at:at + size])
            at += size

    def _below(self, path):
        path = os.path.normpath(path)
        return "" if path == self.root else path[len(self.root) + 1:] if path.startswith(self.root + "/") else None

    # ---- what happened ------------------------------------------------------------------------------

    def _change(self, k, r):
        f = self.live.get(r.ino)
        if r.op in (CREATE, UNNAMED):
            f = self.live[r.ino] = File()
            if r.op == CREATE:
                self.names.append((k, "name", self._below(r.path), f))
        elif r.op == WRITE:
            if f is None:
                return                  # a log file or another of no interest
            f.pending.append((k, r.off, r.data))
            if r.off + len(r.data) > f.now:
                f.now = r.off + len(r.data)
                self.names.append((k, "size", f, f.now))
            if r.flags & 1:             # O_DSYNC
                self._journal(self._last(k + 1, lambda n: n[1] == "size" and n[2] is f))
                self._flush(f, k + 1, r.off, r.off + len(r.data))
        elif r.op in (SIZE, ALLOC) and f is not None:
            if r.op == ALLOC and r.off <= f.now:
                return
            if r.off < f.now:
                f.pending = [(i, o, d[:max(0, r.off - o)]) for i, o, d in f.pending if o < r.off]
            f.now = r.off
            self.names.append((k, "size", f, f.now))
        elif r.op == LINK:
            self.names.append((k, "name", self._below(r.path), f))
        elif r.op == MKDIR:
            self.names.append((k, "name", self._below(r.path), None))
        elif r.op in (UNLINK, RMDIR):
            self.names.append((k, "gone", self._below(r.path)))
        elif r.op == RENAME:
            self.names.append((k, "moved", self._below(r.path), self._below(r.path2)))
        elif r.op == BEGIN:
            what = self._below(r.path) if r.n == DIR else f
            self.syncs[r.off] = (k, r.n, what, r.frm, r.len, r.flags)
        elif r.op == END:
            self._synced(k, self.syncs.pop(r.off), r.n == 0)

    def _synced(self, k, sync, good):
        begun, kind, what, frm, length, flags = sync
        if not good:
            return
        if kind == RANGE:
            if what is not None and flags & WAIT_AFTER and frm + length <= what.size:
                self.cached.append((k, what, begun, frm, frm + length))
            return
        for c in [c for c in self.cached if c[0] < begun]:
            self.cached.remove(c)
            self._flush(c[1], c[2], c[3], c[4])
        if kind == FS:
            self._journal(sum(1 for n in self.names if n[0] < begun))
            for f in set(self.live.values()):
                self._flush(f, begun)
        elif kind == DIR:
            self._journal(self._last(begun, lambda n: n[1] != "size" and any(
                isinstance(p, str) and os.path.dirname(p) == what for p in n[2:4])))
        elif what is not None:
            self._cover_file(what, begun, True, kind == FSYNC)

    def _last(self, before, which):
        return max((i + 1 for i, n in enumerate(self.names) if n[0] < before and which(n)), default=0)

    def _cover_file(self, f, before, size, names):
        self._journal(self._last(before, lambda n: (size and n[1] == "size" and n[2] is f) or
                                 (names and n[1] == "name" and n[3] is f)))
        self._flush(f, before)

    def _flush(self, f, before, frm=0, to=1 << 62):
        """Data written before that record goes to the disk."""
        rest = []
        for i, off, data in f.pending:
            if i < before and off >= frm and off + len(data) <= to:
                _put(f.data, off, data)
            else:
                rest.append((i, off, data))
        f.pending = rest

    def _journal(self, n):
        for change in self.names[:n]:
            _apply(self.tree, change)
        del self.names[:n]

    # ---- what is left ---------------------------------------------------------------------------------

    def go(self, at):
        """As far as the record with this number, without it."""
        while self.at < at:
            self._change(self.at, self.records[self.at])
            self.at += 1

    def cut(self, at, rnd):
        self.go(at)
        tree = dict(self.tree)
        sizes = {}
        keep = rnd.choice((0, len(self.names), rnd.randint(0, len(self.names))))
        for change in self.names[:keep]:
            if change[1] == "size":
                f, n = change[2:4]
                sizes[f] = n
            else:
                _apply(tree, change)
        how = rnd.choice(("none", "all", "some", "some", "some"))
        done = {}
        out = {}
        for path, f in tree.items():
            if f is None:
                out[path] = None
                continue
            if f not in done:
                done[f] = _left(f, sizes.get(f, f.size), how, rnd)
            out[path] = done[f]
        return out


def _put(to, off, data):
    if len(to) < off:
        to.extend(bytes(off - len(to)))
    to[off:off + len(data)] = data


def _apply(tree, change):
    """A change of names or of a size, done to what is on the disk."""
    kind = change[1]
    if kind == "size":
        f, n = change[2:4]
        if n < len(f.data):
            del f.data[n:]
        f.size = n
    elif kind == "name":
        tree[change[2]] = change[3]
    elif kind == "gone":
        tree.pop(change[2], None)
    else:
        frm, to = change[2:4]
        for p in [p for p in tree if p == to or p.startswith(to + "/")]:
            del tree[p]
        for p in [p for p in tree if p == frm or p.startswith(frm + "/")]:
            tree[to + p[len(frm):]] = tree.pop(p)


def _left(f, size, how, rnd):
    """The bytes of a file."""
    data = bytearray(f.data)
    versions = {}
    for _, off, bytes_ in f.pending:
        for page in range(off // PAGE, (off + len(bytes_) - 1) // PAGE + 1):
            versions.setdefault(page, []).append((off, bytes_))
    for page, writes in versions.items():
        n = 0 if how == "none" else len(writes) if how == "all" else rnd.randint(0, len(writes))
        for off, bytes_ in writes[:n]:
            a, b = max(off, page * PAGE), min(off + len(bytes_), (page + 1) * PAGE)
            _put(data, a, bytes_[a - off:b - off])
    if len(data) < size:
        data.extend(bytes(size - len(data)))
    return Content(memoryview(data)[:size])


def write(tree, directory):
    """Makes the directory; names of one file stay names of one file."""
    made = {}
    for path in sorted(tree):
        to, data = os.path.join(directory, path), tree[path]
        if data is None:
            os.makedirs(to, exist_ok=True)
            continue
        os.makedirs(os.path.dirname(to), exist_ok=True)
        if id(data) in made:
            os.link(made[id(data)], to)
            continue
        made[id(data)] = to
        with open(to, "wb") as f:
            end = data.rstrip(b"\0")    # long rows of zeros are holes
            f.write(end)
            f.truncate(len(data))
        os.chmod(to, 0o660 if path.endswith("lock.mdb") else 0o640)


def load(directory):
    """A directory as a trace can begin with it."""
    tree, live = {"": None}, {}
    for at, dirs, files in os.walk(directory):
        for name in dirs:
            tree[os.path.relpath(os.path.join(at, name), directory)] = None
        for name in files:
            path = os.path.join(at, name)
            ino = os.stat(path).st_ino
            if ino not in live:
                with open(path, "rb") as f:
                    live[ino] = File(f.read())
            tree[os.path.relpath(path, directory)] = live[ino]
    return tree, live
