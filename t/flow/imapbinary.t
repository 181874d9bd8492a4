#!/usr/bin/env python3
"""FETCH BINARY of parts made to cost, and a URL of a header that is: who else is on the worker is served meanwhile, a part is decoded once
however many ranges of it are asked for, and what the disk does not give is neither made up nor the end
of the worker.  The disk is a library in front of libc, which also looks at how long the loop works between
two waits.  Costs are processor time of the loop, in proportion."""
import base64, mmap, os, random, re, struct, subprocess, tempfile
import tm
from imapraw import Raw

tm.need("cc")
# To imapd, messages of sizes in these ranges are not in memory, and the pool fails to read them: from its
# first read on, or behind so many reads.
COLD, LATER, READS = 1_000_000, 2_000_000, 40
SHIM = r"""
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>
static int reads;
static volatile uint64_t *longest; /* turn of a loop, in ns of processor time */
static __thread uint64_t began;

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}
__attribute__((constructor)) static void turns(void)
{
	int fd = strcmp(program_invocation_short_name, "imapd") == 0 ? open(getenv("TURNS"), O_RDWR) : -1;

	if (fd >= 0)
		longest = mmap(NULL, sizeof(*longest), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
}
int epoll_pwait(int fd, struct epoll_event *e, int n, int ms, const sigset_t *set)
{
	int rc;

	if (longest && gettid() == getpid() && began && now() - began > *longest)
		*longest = now() - began;
	rc = (int)syscall(SYS_epoll_pwait, fd, e, (long)n, (long)ms, set, 8L);
	began = now();
	return rc;
}
int epoll_wait(int fd, struct epoll_event *e, int n, int ms)
{
	return epoll_pwait(fd, e, n, ms, NULL);
}
static int within(int fd, off_t from)
{
	struct stat st;

	return strcmp(program_invocation_short_name, "imapd") == 0 && fstat(fd, &st) == 0 && st.st_size >= from &&
	    st.st_size < from + 100000;
}
ssize_t preadv2(int fd, const struct iovec *v, int n, off_t at, int flags)
{
	if (flags & RWF_NOWAIT && (within(fd, COLD) || within(fd, LATER))) {
		errno = EAGAIN;
		return -1;
	}
	return syscall(SYS_preadv2, fd, v, (long)n, (long)at, 0L, flags);
}
ssize_t pread(int fd, void *p, size_t n, off_t at)
{
	if (within(fd, COLD) || (within(fd, LATER) && ++reads > READS)) {
		errno = EIO;
		return -1;
	}
	return syscall(SYS_pread64, fd, p, n, at);
}
ssize_t pread64(int fd, void *p, size_t n, off_t at) __attribute__((alias("pread")));
"""
with tempfile.TemporaryDirectory(prefix="tm-") as d:
    with open(f"{d}/shim.c", "w") as f:
        f.write(SHIM)
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", f"-DCOLD={COLD}", f"-DLATER={LATER}", f"-DREADS={READS}", "-o", f"{d}/shim.so", f"{d}/shim.c"], check=True)

    def plant(sandbox):
        os.rename(f"{d}/shim.so", f"{sandbox}/shim.so")
        os.environ["LD_PRELOAD"] = f"{sandbox}/shim.so"
        os.environ["TURNS"] = f"{sandbox}/turns"
        with open(f"{sandbox}/turns", "wb") as f:
            f.write(bytes(8))
        os.environ["ASAN_OPTIONS"] = os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"

    sb = tm.Sandbox("--users", "2", "--set", "imapd.workers=1", "--without", "lmtpd", "--without", "jobctl", "--without", "smtp-relay",
                    prepare=plant)
del os.environ["LD_PRELOAD"]


def loop():
    """Seconds that imapd's loops have had a processor; what the pool reads is not of them."""
    return sum(int(open(f"/proc/{p}/task/{p}/schedstat").read().split()[0]) for p in sb.pids_of("imapd")) / 1e9


def message(*parts):
    """A message of such parts: (encoding, encoded body)"""
    return b"X-Own: x\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" + \
        b"".join(b"--b\r\nContent-Transfer-Encoding: %s\r\n\r\n%s\r\n" % p for p in parts) + b"--b--\r\n"


def box(*messages):
    """A session in a mailbox that has them."""
    c = Raw(sb, login=1)
    name = f"m{box.n}"
    box.n += 1
    c.ok(f"CREATE {name}")
    for m in messages:
        c.append(name, m)
    c.ok(f"SELECT {name}")
    return c


box.n = 0
rnd = random.Random(7)

# ---- one who asks, and one who waits --------------------------------------------------------------------
b = Raw(sb, login=2)


with open(f"{sb.dir}/turns", "r+b") as f:
    turns = mmap.mmap(f.fileno(), 8)


def stall(c, command="FETCH 1 (BINARY.SIZE[1] BINARY.PEEK[1])"):
    """The largest part of a command that the loop did without a look at others."""
    began = loop()
    turns[:] = bytes(8)
    c.start(command)
    b.ok("NOOP")
    stall.said, tagged = c.finish()
    tm.ok(tagged.startswith(b"OK"), command[:30]) or tm.diag(tagged)
    return struct.unpack("Q", turns[:])[0] / 1e9 / (loop() - began)


for encoding, body in ((b"base64", b"!" * 24_000_000), (b"base64", b"\r\n" * 12_000_000), (b"quoted-printable", b"=\r\n" * 8_000_000)):
    c = box(message((encoding, body)))
    part = stall(c)
    tm.is_(stall.said, [b"* 1 FETCH (BINARY.SIZE[1] 0 BINARY[1] {0}\r\n)"], "nothing is in it")
    tm.ok(0 < part < 0.2, f"while 24 MB of {body[:3]!r} are decoded others are served") 
    tm.diag(f"{part:.4f} of it at a time")
    c.close()

# ---- a few bytes of a header ---------------------------------------------------------------------------
names = [f"N{n}" for n in range(100, 900)]
rnd.shuffle(names)
fields = [f"{n}:\r\n".encode() for n in names] * 1200
c = box(b"".join(fields) + b"\r\nText\r\n")
part = stall(c, f'APPEND Drafts CATENATE (URL "/m{box.n - 1}/;UID=1/;SECTION=HEADER.FIELDS%20({"%20".join(names)})/;PARTIAL={7 * len(fields) - 7}.7")')
c.ok("EXAMINE Drafts")
tm.is_(c.ok("FETCH * BODY.PEEK[]"), [b"* 1 FETCH (BODY[] {7}\r\n%s)" % fields[-1]], f"CATENATE takes the last of {len(fields)} fields")
tm.ok(0 < part < 0.2, "while it comes to it others are served")
tm.diag(f"{part:.4f} of it at a time")
c.close()

# ---- many ranges ----------------------------------------------------------------------------------------
raw = rnd.randbytes(4_000_000)
c = box(message((b"base64", base64.encodebytes(raw))))


def cost(ranges):
    began = loop()
    c.ok("FETCH 1 (" + " ".join(f"BINARY.PEEK[1]<{at}.1>" for at in ranges) + ")")
    return loop() - began


many = list(range(0, len(raw), len(raw) // 100))
rnd.shuffle(many)
times = tm.least(lambda: cost(many) / cost([len(raw) - 1]), 6)
tm.ok(times < 6, "a hundred octets cost about what the last one does") or tm.diag(f"{times:.1f} times")
c.close()

gap = b"!" * 200_000
text = [bytes(rnd.choice(b"abcdefgh =\0") for _ in range(n)) for n in (150_000, 300_000, 5_000)]
quoted = b"".join(b"=%02X" % x if x in b" =\0" or i % 9 == 0 else bytes([x]) for i, x in enumerate(text[0]))
sparse = base64.b64encode(text[2])
sparse = gap + sparse[:1000] + gap + sparse[1000:3002] + gap + gap + sparse[3002:] + gap + b"QUJD"
parts = (b"quoted-printable", quoted), (b"base64", base64.encodebytes(text[1])), (b"base64", sparse)
c = box(message(*parts), message(*reversed(parts)))
asked = [(p, rnd.randrange(len(text[p - 1]) + 100), rnd.choice((1, 50, 1000, 60_000, 400_000))) for p in (1, 2, 3) for _ in range(40)]
asked += [(p, at, n) for p, at, n in asked[::10]] + [(p, None, 1 << 32) for p in (1, 2, 3, 1)]
rnd.shuffle(asked)
items = [f"BINARY.PEEK[{p}]" + (f"<{at}.{n}>" if at is not None else "") for p, at, n in asked]
items[10:10] = ["BINARY.SIZE[2]", "BINARY.SIZE[1]", "BINARY.SIZE[2]", "BINARY.SIZE[3]"]
for line, bodies in zip(c.ok(f"FETCH 1:2 ({' '.join(items)})"), (text, text[::-1])):
    got, at = [], 0
    while m := re.compile(rb"BINARY\[(\d)\](?:<(\d+)>)? ~?\{(\d+)\}\r\n").search(line, at):
        at = m.end() + int(m[3])
        got.append((int(m[1]), int(m[2] or -1), line[m.end():at]))
    want = [(p, -1 if at is None else at, bodies[p - 1][at or 0:(at or 0) + n]) for p, at, n in asked]
    tm.ok(sorted(got) == sorted(want), "ranges of three parts, in any order, as Python cuts them")
    tm.is_(sorted(re.findall(rb"SIZE\[\d\] \d+", line)), [b"SIZE[%d] %d" % (i, len(x)) for i, x in enumerate(bodies, 1)], "each size is told once")
c.close()

c = box(message((b"x-own", b"abc"), (b"", b"plain")))
lines, tagged = c.cmd("FETCH 1 (BINARY.SIZE[1] BINARY.PEEK[1] BINARY.PEEK[2])")
tm.is_((lines, tagged.split()[1]), ([b"* 1 FETCH (BINARY[2] {5}\r\nplain)"], b"[UNKNOWN-CTE]"), "what cannot be decoded is left out, the others are not")
c.close()

# ---- a disk that fails ----------------------------------------------------------------------------------
body = base64.encodebytes(rnd.randbytes(750_000))
c = box(message((b"base64", body)))
for item in ("BINARY.SIZE[1]", "BINARY.PEEK[1]", "BINARY.PEEK[1]<0.10>"):
    lines, tagged = c.cmd(f"FETCH 1 {item}")
    tm.ok(lines == [b"* 1 FETCH (UID 1)"] and tagged.startswith(b"NO [SERVERBUG]"), f"{item}: left out, and NO") or tm.diag(f"{lines} {tagged}"[:300])
lines, tagged = c.cmd("FETCH 1 (BINARY.SIZE[1] BODY.PEEK[HEADER.FIELDS (X-Own)])")
tm.ok(tagged.startswith(b"NO [SERVERBUG]") and b"X-Own: x" not in b"".join(lines), "and a header beside it") or tm.diag(f"{lines} {tagged}"[:300])
c.close()
c = box(message((b"base64", base64.encodebytes(rnd.randbytes(1_500_000)))))
try:
    tm.diag(repr(c.cmd("FETCH 1 BINARY.PEEK[1]")[1]))
    ended = False
except (EOFError, ConnectionResetError):
    ended = True
tm.ok(ended, "within a literal the connection ends")
tm.is_(b.ok("NOOP"), [], "and nobody else's")
tm.done()
