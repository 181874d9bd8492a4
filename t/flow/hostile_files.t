#!/usr/bin/env python3
"""Damaged files: in the queue, in the configuration, in the store.  Nothing falls, what is good is
delivered and read, what is bad is set aside or named."""
import glob, os, random, re, shutil, signal, socket, subprocess
import hostile, tm
from hostile import rnd

sb = tm.Sandbox("--users", "6", "--set", "channels.channel tcp_lmtp.backoff=1s", "--set", "tiermail.log_level=info",
                "--set", "stored.cleanup_age=0")
QUEUE = os.path.join(sb.env["QUEUE"], "tcp_lmtp")
sb.send(1, subject="first")
tm.ok(tm.wait_for(lambda: sb.count(1) == 1), "mail arrives")


def log(daemon="jobctl"):
    with open(os.path.join(sb.dir, "run", daemon + ".log"), errors="replace") as f:
        return f.read()


# ---- the queue ------------------------------------------------------------------------------------
tm.is_(sb.tool("jobctl-ctl", "stop", "tcp_lmtp").returncode, 0, "the channel is stopped")
GOOD, BAD = 12, 40
for i in range(GOOD + BAD):
    sb.send(1, subject=f"queue-{i}", body=f"intact-{i}\r\n" * 30)
files = sorted(sb.queue_files())
tm.is_(len(files), GOOD + BAD, "the messages are in the queue")
masters = sb.pids_of("channel-master")
sb.kill("jobctl")
for p in set(masters) & set(sb.pids_of("channel-master")):
    os.kill(p, signal.SIGKILL)
tm.wait_for(lambda: not sb.pids_of("channel-master"), what="the end of its masters")


def content(path):
    with open(path, "rb") as f:
        return f.read()


def put(path, data):
    """In place, so that the file stays the same inode."""
    with open(path, "r+b") as f:
        f.truncate(0)
        f.write(data)


rnd.shuffle(files)
bad, good = files[:BAD], files[BAD:]
subject = {p: int(re.search(rb"Subject: queue-(\d+)", content(p)).group(1)) for p in files}
kept = set()                                                # of the damaged ones: may be delivered nevertheless
for i, path in enumerate(bad):
    data, n = content(path), i // 8
    body = data.index(b"END\n") + 4
    kind = i % 8
    if kind == 0:                                           # cut at each record of the header
        cuts = [m.end() for m in re.finditer(rb"\n", data[:body])]
        put(path, data[:cuts[n % len(cuts)]])
    elif kind == 1:
        put(path, data[:body + (len(data) - body) * n // 5])
    elif kind == 2:                                         # a bit of the header
        at = rnd.randrange(body)
        put(path, data[:at] + bytes([data[at] ^ 1 << rnd.randrange(8)]) + data[at + 1:])
    elif kind == 3:                                         # a bit of the message
        at = rnd.randrange(body, len(data))
        put(path, data[:at] + bytes([data[at] ^ 1 << rnd.randrange(8)]) + data[at + 1:])
    elif kind == 4:
        put(path, [b"", rnd.randbytes(5000), bytes(4000), b"tiermail-queue 2" + data[16:], data[:79] * 3][n])
    elif kind == 5:                                         # lines that nobody wrote behind the message
        put(path, data + [b"rcpt=0 sta", b"rcpt=0 state=delivered crc=00000000\n", rnd.randbytes(300), b"\0" * 4096, b"\n" * 100][n])
        kept.add(path)
    elif kind == 6:                                         # not a file
        os.unlink(path)
        if n == 0:
            os.mkdir(path)
        elif n == 1:
            os.symlink("/etc/passwd", path)
        elif n == 2:
            os.symlink("/nonexistent", path)
        elif n == 3:
            os.mkfifo(path)
        else:
            s = socket.socket(socket.AF_UNIX)
            here = os.open(os.path.dirname(path), os.O_PATH)
            s.bind(f"/proc/self/fd/{here}/{os.path.basename(path)}")
            s.close()
    else:                                                   # huge numbers in the first line, with and without a right CRC
        put(path, re.sub([rb"head=\w+", rb"body=\w+", rb"head=\w+", rb"rcpts=\d+", rb"at=\d+"][n], [b"head=ffffffff", b"body=ffffffffffffffff", b"head=0000004f",
            b"rcpts=4294967295", b"at=99999999999999999999"][n], data, count=1))
home = os.path.dirname(good[0])
for name in ("README", ".hidden", "ZZ", "ZZshort.00", "core.1234", "ZZ" + "x" * 200, "a b\nc", "\udcff\udcfe", "ZZ0000000000000AA.HELD"):
    with open(os.path.join(home, name), "w") as f:
        f.write("x")
os.mkdir(os.path.join(home, "directory"))
for place in ("ff", "000", "lost+found"):
    os.mkdir(os.path.join(QUEUE, place))
os.symlink(QUEUE, os.path.join(QUEUE, "loop"))
with open(os.path.join(sb.env["QUEUE"], "file-not-channel"), "w") as f:
    f.write("x")
os.mkdir(os.path.join(sb.env["QUEUE"], "UPPER channel"))
os.symlink("/nonexistent", os.path.join(sb.env["QUEUE"], "dangling"))
with open(os.path.join(sb.env["QUEUE"], "tmp", "garbage"), "wb") as f:
    f.write(rnd.randbytes(100))

tm.ok(sb.restart("jobctl"), "jobctl starts on a damaged queue")
tm.is_(sb.tool("jobctl-ctl", "start", "tcp_lmtp").returncode, 0, "the channel goes on")
pid = sb.pid("jobctl")


def arrived():
    return sorted(int(m) for m in re.findall(rb"Subject: queue-(\d+)\r\n", b"".join(sb.messages(1))))


tm.ok(tm.wait_for(lambda: set(arrived()) >= {subject[p] for p in good}), "what is good is delivered")


def pending():
    """What would still be tried: regular files that are not set aside."""
    return [p for p in sb.queue_files() if not p.endswith(".HELD") and os.path.isfile(p) and not os.path.islink(p) and os.path.basename(p) != "ZZshort.00"]


tm.ok(tm.wait_for(lambda: not pending()), "nothing is tried again and again") or tm.diag("\n".join(pending()))
tm.is_(sb.pid("jobctl"), pid, "jobctl is the same")
tm.ok(os.path.exists(f"/proc/{pid}"), "and runs")
text = b"".join(sb.messages(1))
damaged = [m for m in sb.messages(1) if b"Subject: queue-" in m and m.count(b"intact-") != 30]
tm.is_(damaged, [], "no damaged message was delivered")
got = arrived()
tm.is_(sorted(set(got)), got, "none twice")
for path in bad:
    held = path[:-3] + ".HELD"
    if subject[path] in got or os.path.exists(held):
        continue
    fid = os.path.basename(path)[2:17]
    if not tm.wait_for(lambda: fid in log() + log("smtp-relay")):
        tm.ok(False, f"{os.path.basename(path)} has gone, or stays, with a word in the log")
missing = {subject[p] for p in kept} - set(got)
tm.is_(missing, set(), "garbage behind a message does not keep it back")
held = [p for p in sb.queue_files() if p.endswith(".HELD") and "AA.HELD" not in p]
tm.ok(len(held) >= 8, f"damaged ones are set aside ({len(held)})")


def unexplained():
    said = log()
    return [os.path.basename(p) for p in held if not re.search(rf"{os.path.basename(p)[2:17]}.*(why|error|reason)=", said)]


tm.ok(tm.wait_for(lambda: not unexplained()), "each with a reason in the log") or tm.diag(unexplained())
r = sb.tool("mailq")
tm.is_(r.returncode, 0, "mailq lists it") or tm.diag(r.stderr)
r = sb.tool("mailq", "--json")
tm.is_(r.returncode, 0, "mailq --json too") or tm.diag(r.stderr)
sb.kill("jobctl")
tm.ok(sb.tool("mailq").returncode in (0, 75), "mailq reads the damaged spool itself")
tm.ok(sb.restart("jobctl"), "jobctl starts again")
sb.send(1, subject="after")
tm.ok(tm.wait_for(lambda: any(b"Subject: after" in m for m in sb.messages(1))), "mail flows")
tm.is_(hostile.reports(sb), [], "no report in a log")

# ---- the configuration ---------------------------------------------------------------------------------
ETC = os.path.join(sb.dir, "etc")
FILES = {d: [d + ".conf", "tiermail.conf"] for d in hostile.DAEMONS}
FILES["jobctl"].append("channels.conf")
FILES["smtp-relay"].append("channels.conf")


def verify(daemon, name, data):
    """`daemon -n` on a copy of the configuration in which one file has these bytes."""
    copy = os.path.join(sb.dir, "etc2")
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(ETC, copy)
    if data is not None:
        with open(os.path.join(copy, name), "wb") as f:
            f.write(data)
    try:
        r = subprocess.run([sb.bin(daemon), "-c", os.path.join(copy, daemon + ".conf"), "-n"], capture_output=True, timeout=tm.LONG)
    except subprocess.TimeoutExpired:
        return None, "no answer"
    return r.returncode, (r.stdout + r.stderr).decode(errors="replace")


WRONG = [b"no-such-key = 1\n", b"hostname\n", b"[unclosed\nx = 1\n", b"[listen a]\naddress = nowhere:99999999\n", b"\x00\x01\x02\xff = \xfe\n",
         b"workers = 99999999999999999999\n", b"= = =\n", b"[]\n", b"x" * 200000 + b" = 1\n", b'hostname = "unclosed\n']
for daemon, names in FILES.items():
    code, text = verify(daemon, names[0], None)
    tm.is_(code, 0, f"{daemon} -n: the configuration is good") or tm.diag(text[-500:])
    for name in names:
        data = content(os.path.join(ETC, name))
        lines = data.count(b"\n") + 1
        for wrong in WRONG:
            code, text = verify(daemon, name, data.rstrip(b"\n") + b"\n" + wrong)
            named = re.search(rf"{re.escape(name)}:(\d+)", text)
            if not (code == 78 and named and int(named.group(1)) >= lines):
                tm.ok(False, f"{daemon} -n names file and line of {wrong[:30]!r} in {name}") or tm.diag(f"exit {code}: {text[-300:]}")
        crashed = []
        for i in range(6 if tm.SANITIZED else 15):
            code, text = verify(daemon, name, hostile.mutate(data, 6))
            if code not in (0, 78) or hostile.REPORT.search(text):
                crashed.append((code, text[-1000:]))
        tm.is_(crashed, [], f"{daemon} -n survives mutations of {name}")
    os.unlink(os.path.join(sb.dir, "etc2", names[0]))
    os.mkdir(os.path.join(sb.dir, "etc2", names[0]))
    r = subprocess.run([sb.bin(daemon), "-c", os.path.join(sb.dir, "etc2", names[0]), "-n"], capture_output=True, text=True, errors="replace", timeout=tm.LONG)
    tm.ok(r.returncode > 0 and names[0] in r.stderr, f"{daemon} -n: a directory is no configuration") or tm.diag((r.returncode, r.stderr))

def checked():
    """What check finds, but for the cache records of messages whose only file was taken away: they stay."""
    return [line for line in sb.tool("storectl", "check").stdout.splitlines()[:-1] if not line.startswith("cache ")]


# ---- the store ----------------------------------------------------------------------------------------------
for i in range(10):
    sb.send(2, subject=f"store-{i}", body=f"stored text {i}\r\n" * 50)
tm.ok(tm.wait_for(lambda: sb.count(2) == 10), "ten messages in the store")
tm.is_(sb.tool("storectl", "check").returncode, 0, "storectl check: all is well")
paths = {}
for root, _, names in os.walk(sb.env["STORE"]):
    for name in names:
        p = os.path.join(root, name)
        if ".mdb" not in name:
            m = re.search(rb"Subject: store-(\d)\r\n", content(p))
            if m:
                paths[int(m.group(1))] = p
tm.is_(len(paths), 10, "their files")
order = [int(m) for m in re.findall(rb"Subject: store-(\d)", b"".join(sb.messages(2)))]


def replace(path, make):
    os.unlink(path)
    make(path)


def write(path, data):
    with open(path, "wb") as f:
        f.write(data)


whole = {i: content(p) for i, p in paths.items()}
c = hostile.Raw(sb, login=2)
c.ok("SELECT INBOX")                                       # a session that has it open while it happens
os.unlink(paths[0])
put(paths[1], whole[1][:100])
put(paths[2], b"")
replace(paths[3], lambda p: write(p, whole[3] + b"more than there was\r\n" * 100))
replace(paths[4], os.mkdir)
replace(paths[5], lambda p: os.symlink("/etc/hostname", p))
replace(paths[6], os.mkfifo)
replace(paths[7], lambda p: write(p, rnd.randbytes(len(whole[7]))))
with open(os.path.join(os.path.dirname(paths[8]), "unknown"), "w") as f:
    f.write("nobody knows me")
os.mkdir(os.path.join(os.path.dirname(paths[8]), "odd directory"))


def look(c, what):
    answers = {}
    for item in ("(FLAGS ENVELOPE BODYSTRUCTURE RFC822.SIZE)", "BODY.PEEK[]", "BODY.PEEK[TEXT]<10.1000000>", "BODY.PEEK[1]", "RFC822.HEADER", "BODY.PEEK[HEADER.FIELDS (SUBJECT X-NO)]"):
        for at, i in enumerate(order, 1):
            lines, tagged = c.cmd(f"FETCH {at} {item}")
            answers[item, i] = lines, tagged
            if not tagged.startswith((b"OK", b"NO")):
                tm.ok(False, f"{what}: FETCH {item} of store-{i}") or tm.diag(tagged)
    for i in (8, 9):
        tm.ok(any(whole[i] in l for l in answers["BODY.PEEK[]", i][0]), f"{what}: store-{i} is whole")
    leaked = [k for k, (lines, _) in answers.items() if any(socket.gethostname().encode() + b"\n" in l for l in lines) and k[1] == 5]
    tm.is_(leaked, [], f"{what}: a link leads nowhere")
    for cmd in ("SEARCH BODY \"stored text 9\"", "SEARCH HEADER X-No \"\"", "SEARCH TEXT nothing", "COPY 1:* Archive", "STORE 1:* +FLAGS (\\Seen)", "FETCH 1:* (UID BODY.PEEK[])", "NOOP"):
        lines, tagged = c.cmd(cmd)
        if not tagged.startswith((b"OK", b"NO")):
            tm.ok(False, f"{what}: {cmd}") or tm.diag(tagged)
        if "text 9" in cmd:
            tm.ok(any(str(order.index(9) + 1).encode() in l.split() for l in lines), f"{what}: SEARCH finds what is there") or tm.diag((lines, tagged))


look(c, "an open session")
look2 = hostile.Raw(sb, login=2)
look2.ok("SELECT INBOX")
look(look2, "a new session")
tm.is_(hostile.reports(sb), [], "no report in a log")
r = sb.tool("storectl", "check")
tm.is_(r.returncode, 1, "storectl check finds it")
for i in range(7):
    name, uid = os.path.basename(paths[i]), order.index(i) + 1
    tm.ok(name in r.stdout or f"uid {uid} has no file" in r.stdout, f"it names store-{i}") or tm.diag(r.stdout[-2500:])
tm.ok("unknown" in r.stdout and "odd directory" in r.stdout, "and what nobody knows") or tm.diag(r.stdout[-2500:])

for path in (paths[4], paths[6], paths[5], os.path.join(os.path.dirname(paths[8]), "odd directory")):
    os.rmdir(path) if os.path.isdir(path) and not os.path.islink(path) else os.unlink(path)
os.unlink(os.path.join(os.path.dirname(paths[8]), "unknown"))
r = sb.tool("storectl", "reconstruct", f"{sb.user(2)}@{sb.domain}")
tm.ok(r.returncode in (0, 1), "storectl reconstruct") or tm.diag((r.returncode, r.stdout, r.stderr))
tm.is_(checked(), [], "after it all agrees")
aside = {}
for d, _, names in os.walk(os.path.join(sb.env["STORE"], "partition/primary/=aside")):
    aside.update({n: content(os.path.join(d, n)) for n in names})
for i, want in ((1, whole[1][:100]), (2, b""), (3, whole[3] + b"more than there was\r\n" * 100)):
    tm.ok(want in aside.values(), f"store-{i}, which is not what was delivered, is set aside as it is")
    tm.ok(not os.path.exists(paths[i]), "and out of the mailbox")
left = b"".join(sb.messages(2))
tm.ok(whole[8] in left and whole[9] in left, "and what was good is there")

# stored is stopped by force and its lock file lost; then the index is no index.
sb.kill("stored")
locks = glob.glob(sb.env["STORE"] + "/**/lock.mdb", recursive=True)
tm.ok(locks, "there is a lock file")
for p in locks:
    os.unlink(p)
tm.ok(sb.restart("stored"), "stored starts without its lock.mdb")
tm.ok(sb.restart("imapd") and sb.restart("lmtpd"), "so do its readers")
sb.send(2, subject="afterwards")
tm.ok(tm.wait_for(lambda: any(b"Subject: afterwards" in m for m in sb.messages(2))), "mail flows")
tm.is_(checked(), [], "storectl check: all is well")
sb.kill("stored")
data = [p for p in glob.glob(sb.env["STORE"] + "/**/data.mdb", recursive=True)][0]
intact = content(data)
for what, bytes_ in (("garbage", rnd.randbytes(20000)), ("a few bytes", intact[:100]), ("zeros", bytes(65536))):
    put(data, bytes_)
    r = subprocess.run([sb.bin("stored"), "-c", sb.conf("stored.conf")], capture_output=True, text=True, errors="replace", timeout=tm.LONG)
    tm.ok(r.returncode > 0 and "partition" in r.stderr, f"an index that is {what}: stored says so and ends") or \
        tm.diag((r.returncode, r.stderr[-500:]))
    tm.ok(not hostile.REPORT.search(r.stderr), "without a fall") or tm.diag(r.stderr[-2000:])
    tm.ok(sb.tool("storectl", "check").returncode > 0, "storectl too")
put(data, intact)
tm.ok(sb.restart("stored"), "the right index again")
tm.ok(tm.wait_for(lambda: sb.count(2) >= 3), "and mail is read")
hostile.down(sb)
tm.done()
