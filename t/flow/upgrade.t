#!/usr/bin/env python3
"""What an older build has left (t/fixtures/v1, made by t/fixtures/make) under the build of today:
its store is read as it was, its queue is shown and delivered, its programs are answered.

TM_OLD=.../bin of an older build: programs of both are also mixed in one sandbox."""
import array, json, os, re, select, shutil, socket, struct, subprocess, threading, time
import tm, transcript
from crc32c import crc32c
from imapraw import Raw

V1 = os.path.join(tm.TOP, "t/fixtures/v1")

# What an administrator runs, with the daemons of the store down, before the new build opens a
# store of format 1: arguments of storectl, one list for each call.
UPGRADE = [["upgrade"]]


def content(path):
    with open(path, "rb") as f:
        return f.read()


def upgrade(sb):
    for args in UPGRADE:
        r = sb.tool("storectl", *args)
        tm.is_(r.returncode, 0, f"storectl {' '.join(args)}") or tm.diag(r.stdout + r.stderr)


def unpack(where):
    subprocess.run(["tar", "-xzf", f"{V1}/store.tar.gz", "-C", where, "--no-same-owner"], check=True)


# ---- the store ----------------------------------------------------------------------------------
# UIDVALIDITY, modseqs and dates are in the store and have to stay; what a build can do may grow.
EXACT = [(rb"\[CAPABILITY [^]]*\]", b"[CAPABILITY]", "grows"), (rb"\[MAILBOXID [^]]*\]", b"[MAILBOXID]", "given by the upgrade")]


def as_now(conn, line):
    yield conn, re.sub(r"\[CAPABILITY [^]]*\]", "[CAPABILITY]", line)
    if re.match(r"\* OK \[HIGHESTMODSEQ \d+\] Highest", line):
        yield conn, "* OK [MAILBOXID] Its id"        # RFC 8474


def reads_the_same(sb, what):
    masks, transcript.MASKS = transcript.MASKS, EXACT
    for user in (1, 2):
        text, stale = transcript.load(f"v1/store.read{user}", transcript.intended())
        steps = transcript.parse(text)
        for s in steps:
            s.want = [w for conn, line in s.want for w in as_now(conn, line)]
        why = transcript.play(sb, steps)
        tm.is_(stale, [], f"{what}: every intended difference of user {user} is one")
        tm.ok(not why, f"{what}: user {user} reads what the old build has shown") or tm.diag(why)
    transcript.MASKS = masks


STORE = ("stored", "imapd", "lmtpd")
sb = tm.Sandbox("--users", "5", "--set", "stored.cleanup_age=365d", *[x for d in STORE for x in ("--without", d)], prepare=unpack)
upgrade(sb)
for d in STORE:
    tm.ok(sb.restart(d), f"{d} starts over the old store")
reads_the_same(sb, "the old store")
links = [os.stat(os.path.join(r, n)).st_nlink for r, _, names in os.walk(sb.env["STORE"]) for n in names if n.endswith(".msg")]
tm.ok(max(links) >= 3, "a message of two people and a copy is one file")
c = Raw(sb, login=1)
before = re.search(rb"UIDNEXT (\d+).*HIGHESTMODSEQ (\d+)", b"".join(c.ok("STATUS INBOX (UIDNEXT HIGHESTMODSEQ)")))
sb.send([1, 2], subject="after the upgrade")
tm.ok(tm.wait_for(lambda: b"UIDNEXT %d" % (int(before[1]) + 1) in b"".join(c.ok("STATUS INBOX (UIDNEXT)"))), "new mail takes the next UID")
c.ok("SELECT INBOX")
after = int(re.search(rb"MODSEQ \((\d+)\)", b"".join(c.ok("UID FETCH %d (MODSEQ)" % int(before[1]))))[1])
tm.ok(after > int(before[2]), "and a modseq above the old ones")
c.ok("STORE 1 +FLAGS (\\Deleted Fresh)")
c.ok("EXPUNGE")
c.ok('COPY 1:* "Work/2026/M&APw-ller"')
c.ok("SELECT Work/2026")
c.ok("STORE 1:* +FLAGS (\\Answered)")
c.ok("MOVE 5:60 &ZeVnLIqe-")
c.ok("RENAME Work Job")
c.ok('DELETE "Job/Renamed &- moved"')
c.ok("LOGOUT")
r = sb.tool("storectl", "check")
tm.is_(r.returncode, 0, "old records and new ones beside each other: storectl check") or tm.diag(r.stdout[-2000:] + r.stderr)
r = sb.tool("storectl", "reconstruct", f"{sb.user(2)}@{sb.domain}")
tm.is_(r.returncode, 0, "storectl reconstruct") or tm.diag(r.stdout[-2000:] + r.stderr)
sb.close()

# Recovered from the old snapshot and the old operation log.
sb = tm.Sandbox("--users", "5", "--set", "stored.cleanup_age=365d", *[x for d in STORE for x in ("--without", d)], prepare=unpack)
os.unlink(os.path.join(sb.env["STORE"], "partition/primary/index/data.mdb"))
r = sb.tool("storectl", "recover")
tm.is_(r.returncode, 0, "storectl recover from the old snapshot and log") or tm.diag(r.stdout[-2000:] + r.stderr)
upgrade(sb)
for d in STORE:
    sb.restart(d)
reads_the_same(sb, "recovered")
sb.close()


# ---- the queue -------------------------------------------------------------------------------------
def fill_queue(where):
    """The old files, as young as they were then: only `at` of the header changes, and its CRC."""
    shutil.copytree(f"{V1}/queue", f"{where}/queue")
    now = int(time.time() * 1000)
    for root, _, names in os.walk(f"{where}/queue"):
        for n in names:
            path = os.path.join(root, n)
            data = content(path)
            at = re.search(rb" at=(\d{13}) ", data[:1000])
            if data.startswith(b"tiermail-queue 1") and at:
                data = data.replace(at[0], b" at=%d " % (now - 20000), 1)
                end = data.index(b"END\n") + 4
                crc = crc32c(data[:65], crc32c(data[79:end]))
                data = data[:70] + b"%08x" % crc + data[78:]
                with open(path, "wb") as f:
                    f.write(data)
    os.chmod(f"{where}/queue", 0o755)


def index():
    with open(f"{V1}/queue.index") as f:
        return dict(line.strip().split(": ") for line in f if not line.startswith("#"))


def quick(*more):
    return tm.Sandbox("--users", "5", "--set", "channels.channel tcp_lmtp.backoff=1s", "--set", "channels.channel tcp_lmtp.notices=100d",
                      "--set", "channels.channel tcp_local.notices=100d", "--route", "remote.test=smtp:127.0.0.1:9", "--without", "jobctl", *more, prepare=fill_queue)


names = index()
sb = quick()
shown = {os.path.basename(m["file"]): m for m in map(json.loads, sb.tool("mailq", "--json").stdout.splitlines()) if "file" in m}
missing = [s for s, n in names.items() if os.path.basename(n) not in shown]
tm.is_(missing, [], "mailq shows every file of the old queue") or tm.diag(list(shown))
of = lambda subject: shown.get(os.path.basename(names[subject]), {})
states = lambda subject: sorted(r.get("state", "waiting") for r in of(subject).get("recipients", []))
tm.is_(states("partly"), ["deferred", "delivered"], "who has the message and who waits for it")
tm.ok(of("retried").get("attempts", 0) >= 2 and states("retried") == ["deferred"], "how often it was tried") or tm.diag(of("retried"))
tm.ok(states("torn") == ["deferred"], "a torn last line is passed over") or tm.diag(of("torn"))
tm.ok("operator" in of("by hand").get("held", ""), "why it is held") or tm.diag(of("by hand"))
tm.is_((of("ready").get("envid"), [r.get("orcpt") for r in of("ready").get("recipients", [])]), ("v1+id", ["rfc822;user0001@old.test", "rfc822;user0004@old.test"]),
       "DSN parameters") or tm.diag(of("ready"))
sb.restart("jobctl")


def has(user, subject):
    return sum(f"Subject: {subject}\r\n".encode() in m for m in sb.messages(user))


for subject, users in (("ready", [1, 4]), ("ready too", [2]), ("retried", [1]), ("torn", [1])):
    tm.ok(tm.wait_for(lambda: [has(u, subject) for u in users] == [1] * len(users)), f"delivered: {subject}") or tm.diag(sb.tool("mailq").stdout)
tm.is_(has(1, "by hand"), 0, "held stays held")
tm.is_(sb.tool("jobctl-ctl", "release", "qid=" + os.path.basename(names["by hand"])[2:15]).returncode, 0, "until it is released")
tm.ok(tm.wait_for(lambda: [has(u, "by hand") for u in (1, 2, 3)] == [1, 1, 1]), "then it is delivered")
tm.is_(has(2, "partly"), 0, "who had it has it not again")
bad = [n for n in sb.queue_files() if "begun" in n or "empty" in n]
tm.ok(tm.wait_for(lambda: not [n for n in sb.queue_files() if n.endswith(".00") and ("begun" in n or "empty" in n)]), "files that were never finished are not tried") or tm.diag(bad)
sb.close()

# ---- job lines -----------------------------------------------------------------------------------------
sb = quick("--set", "tiermail.libexec=/nonexistent")        # the master is this test
sb.restart("jobctl")


def words(line):
    verb, *rest = line.split()
    return verb, {w.split("=")[0] for w in rest}


def recorded(name):
    with open(f"{V1}/job/{name}") as f:
        return [(line[0], line[2:].rstrip("\n")) for line in f]


def ask(lines, until, s=None, seconds=60):
    """Says the lines; the answers up to one that `until` likes."""
    s = s or socket.socket(socket.AF_UNIX)
    if s.fileno() >= 0 and not lines_of.get(s):
        s.settimeout(seconds * tm.SLOW)
        s.connect(os.path.join(sb.env["RUNDIR"], "jobctl.sock"))
        lines_of[s] = s.makefile("rwb")
    f, out = lines_of[s], []
    f.write("".join(x + "\n" for x in lines).encode())
    f.flush()
    while True:
        try:
            line = f.readline().decode().strip()
        except TimeoutError:
            return out + ["silence"], s
        out.append(line or "closed")
        if not line or until(out):
            return out, s


lines_of = {}
kinds = sorted(os.listdir(f"{V1}/job"))
old_work = [words(x) for k in kinds if k.endswith("-master") for way, x in recorded(k) if way == "<" and x.startswith("work ")]
# An old master takes what it is given: the first lease ends as done, the others go back untried, so
# that the slots are free for the next.
hello = next(x for k in kinds if k.endswith("-master") for way, x in recorded(k) if "channel=tcp_lmtp" in x)
got, job, say, master = [], {}, [hello], None
while len(job) < 5:
    lines, master = ask(say, lambda out: True, master)
    got += lines
    if words(lines[0])[0] != "work":
        break
    lease = dict(w.split("=") for w in lines[0].split()[1:])
    job[lease["file"]] = lease
    say = [f"drop id={lease['id']} after=3600"]
    if lease["file"] == os.path.basename(names["ready too"]):
        os.unlink(os.path.join(sb.env["QUEUE"], names["ready too"]))
        say = [f"done id={lease['id']}"]
master.sendall(say[0].encode() + b"\n")
tm.is_(sorted(job), sorted(os.path.basename(names[s]) for s in ("partly", "retried", "torn", "ready", "ready too")), "an old master gets all messages that can be delivered") or tm.diag(got)
need = set.intersection(*[keys for _, keys in old_work])
tm.ok(all(need <= words(x)[1] for x in got if x.startswith("work ")), f"with the words that it knows: {' '.join(sorted(need))}") or tm.diag(got)
retried, gone = os.path.basename(names["retried"]), os.path.basename(names["ready too"])
tm.ok(int(job.get(retried, {}).get("attempt", 0)) >= 2, "and the attempts of its file") or tm.diag(job)
end = lambda out: out[-1].split()[0] in ("ok", "error")
tm.wait_for(lambda: not any("state=leased" in x for x in ask(["list"], end)[0]))
listed = ask(["list"], end)[0]
tm.ok(not any(gone in x for x in listed) and any(retried in x for x in listed), "done is done, a drop is kept") or tm.diag("\n".join(listed))
for k in kinds:
    if "operator" not in k:
        continue
    said = [x for way, x in recorded(k) if way == ">"]
    want = [words(x) for way, x in recorded(k) if way == "<"]
    got = [words(x) for x in ask(said, lambda out: out[-1].split()[0] in ("ok", "error"))[0]]
    keys = {}
    for verb, w in got:
        keys[verb] = keys.get(verb, w) & w
    bad = [(v, w) for v, w in want if v not in ("ok", "error") and not w <= keys.get(v, w)]
    tm.ok(got[-1][0] == want[-1][0] and want[-1][1] <= got[-1][1] and not bad, f"an old operator: {said[0]}") or tm.diag(f"was: {want}\nnow: {got}")
    if want[0][0] not in ("ok", "error") and "state=" not in said[0]:
        tm.ok(want[0][0] in keys, f"and gets lines `{want[0][0]}`") or tm.diag(got)
feeder = [x for k in kinds if k.endswith("smtp-relay") for way, x in recorded(k) if way == ">"]
got = ask(feeder + ["status"], lambda out: out[-1].split()[0] in ("ok", "error"))[0]
tm.ok(tm.wait_for(lambda: "ok" in ask(["status"], lambda out: out[-1].split()[0] in ("ok", "error"))[0]), "an old feeder does no harm") or tm.diag(got)
sb.close()


# ---- stored's wire ----------------------------------------------------------------------------------------
def packets(name):
    with open(f"{V1}/wire/{name}") as f:
        return [(way, int(fds), bytes.fromhex(data)) for way, fds, data in map(str.split, f)]


REPLY, EVENT, ACCOUNT = 64, 65, 8
sb = tm.Sandbox("--users", "5", *[x for d in STORE for x in ("--without", d)], prepare=unpack)
upgrade(sb)
sb.restart("stored")


def reply(s, id, seconds=60):
    """The reply to a request, with events passed over: its bytes, b"" when it closes, None."""
    end = time.monotonic() + seconds * tm.SLOW
    while time.monotonic() < end:
        if not select.select([s], [], [], end - time.monotonic())[0]:
            return None
        data, control, _, _ = s.recvmsg(1 << 20, socket.CMSG_SPACE(64 * 4))
        for level, kind, x in control:
            fds = array.array("i")
            fds.frombytes(x[:len(x) - len(x) % 4])
            for fd in fds:
                os.close(fd)
        if not data:
            return b""
        if data[1] == REPLY and struct.unpack_from("<I", data, 4)[0] == id:
            return data
    return None


for name in sorted(os.listdir(f"{V1}/wire")):
    old = packets(name)
    who = old[0][2][80:].decode()
    answered = {struct.unpack_from("<I", d, 4)[0]: d for way, _, d in old if way == "<" and d[1] == REPLY}
    s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    s.connect(os.path.join(sb.env["RUNDIR"], "stored.sock"))
    silent, verbs, wrong = [], set(), []
    for way, _, data in old:
        if way != ">":
            continue
        try:
            s.send(data)
        except OSError as e:
            silent.append((data[1], str(e)))
            break
        id = struct.unpack_from("<I", data, 4)[0]
        if data[2] & 1 or id not in answered:       # more of it follows, or nothing came then
            continue
        got = reply(s, id)
        verbs.add(data[1])
        if not got:
            silent.append((data[1], "closed" if got == b"" else "silence"))
            break
        # Done as then, or refused in the old form and in words.
        if data[1] == ACCOUNT and got[8:24] != answered[id][8:24] and not (got[8:24] == bytes(16) and b"version" in got):
            wrong.append((got[8:].hex(), answered[id][8:24].hex()))
    tm.is_(silent, [], f"connection {name}, an old {who}: stored answers its {len(verbs)} verbs")
    tm.is_(wrong, [], f"connection {name}: accounts have the ids that they had, or it says that it is too new") if ACCOUNT in verbs else None
    s.close()
r = sb.tool("storectl", "check")
tm.is_(r.returncode, 0, "and the store is whole") or tm.diag(r.stdout[-2000:] + r.stderr)
sb.call("down", sb.dir)


# An old stored, as it was heard, before the imapd of today: it is a stored that does not know the
# newest.  The client gets answers of ours and nobody falls.
class OldStored(threading.Thread):
    def __init__(self, path):
        super().__init__(daemon=True)
        self.replies, self.asked = {}, []
        for name in sorted(os.listdir(f"{V1}/wire")):
            old = packets(name)
            answers = {struct.unpack_from("<I", d, 4)[0]: d for way, fds, d in old if way == "<" and d[1] == REPLY and not fds}
            for way, _, d in old:
                id = struct.unpack_from("<I", d, 4)[0]
                if way == ">" and id in answers:
                    self.replies.setdefault(d[1], answers[id])
        self.l = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.l.bind(path)
        self.l.listen(16)
        os.chmod(path, 0o666)

    def run(self):
        poll = [self.l]
        while True:
            for s in select.select(poll, [], [])[0]:
                if s is self.l:
                    poll.append(self.l.accept()[0])
                    continue
                try:
                    d = s.recv(1 << 20)
                except OSError:
                    d = b""
                if not d or d[0] != 1:              # an old stored hangs up on what it cannot read
                    poll.remove(s)
                    s.close()
                    continue
                self.asked.append(d[1])
                if d[1] in self.replies and not d[2] & 1:
                    a = self.replies[d[1]]
                    s.send(a[:4] + d[4:8] + a[8:])


path = os.path.join(sb.env["RUNDIR"], "stored.sock")
if os.path.exists(path):
    os.unlink(path)
args = [x for d in ("stored", "lmtpd", "jobctl", "smtp-relay") for x in ("--without", d)]
os.unlink(os.path.join(sb.dir, "store/partition/primary/index/lock.mdb"))
old = OldStored(path)
old.start()
tm.is_(sb.call("up", sb.dir, *args).returncode, 0, "imapd starts before an old stored")
sb.env = sb.read_env()
worked, said = False, b""
try:
    c = Raw(sb)
    c.sock.settimeout(tm.LONG)
    said = c.cmd(f"LOGIN {sb.user(1)} {sb.password}")[1]
    worked = re.match(rb"(OK|NO \[(UNAVAILABLE|SERVERBUG|INUSE)\])", said) is not None
    if said.startswith(b"OK"):
        said = c.cmd("SELECT INBOX")[1] + b" / " + c.cmd("STORE 1 +FLAGS (\\Seen)")[1]
        worked = re.match(rb"(OK|NO).* / (OK|NO)", said) is not None
except (OSError, EOFError) as e:
    said = str(e).encode()
tm.ok(worked, "and tells its clients what it can, or that it cannot") or tm.diag(f"{said!r}, stored was asked {sorted(set(old.asked))}")
sb.close()

# ---- programs of both builds in one sandbox ---------------------------------------------------------------
OLD = os.environ.get("TM_OLD")
# A program of format 1 does not touch a store of today.
if OLD:
    sb = tm.Sandbox("--users", "2")
    sb.send(1, subject="new")
    tm.ok(tm.wait_for(lambda: sb.count(1) == 1), "a store of today")
    for pid in sb.pids_of("stored"):
        os.kill(pid, 15)
    tm.wait_for(lambda: not sb.pids_of("stored"))
    for name, args in (("storectl", ["-c", sb.conf("tiermail.conf"), "check"]), ("stored", ["-c", sb.conf("stored.conf")])):
        r = subprocess.run(["timeout", "10", os.path.join(OLD, name), *args], capture_output=True, text=True)
        tm.ok(r.returncode not in (0, 124) and "MDB_INCOMPATIBLE: Operation and DB incompatible" in r.stdout + r.stderr, f"an old {name} says that it is not for it") or tm.diag(r.stdout + r.stderr)
    r = sb.tool("storectl", "check")
    tm.is_(r.returncode, 0, "and leaves it as it is") or tm.diag(r.stdout + r.stderr)
    sb.close()

for names in (["lmtpd"], ["jobctl"], ["channel-master"], ["smtp-relay"], ["jobctl-ctl", "mailq"]) if OLD else []:
    def mixed(where):
        os.mkdir(where + "/bin")
        for p in os.listdir(tm.BINDIR):
            os.symlink(os.path.join(OLD if p in names else tm.BINDIR, p), f"{where}/bin/{p}")
        os.environ["BINDIR"] = where + "/bin"
    sb = tm.Sandbox("--users", "3", prepare=mixed)
    sb.send([1, 2], subject="mixed")
    arrived = lambda: sum(n.endswith(".msg") for _, _, ns in os.walk(sb.env["STORE"]) for n in ns) >= 2

    def refusal():
        """What is of another version and says so: mail waits."""
        logs = [content(os.path.join(sb.env["RUNDIR"], d + ".log")) for d in ("stored", "lmtpd", "imapd", "jobctl")]
        return any(b"version" in x for x in logs)
    tm.ok(tm.wait_for(lambda: arrived() or refusal() and sb.queue_files()), f"mail travels with an old {names[0]}, or waits and the log says for what")
    c = Raw(sb)
    said = c.cmd(f"LOGIN {sb.user(1)} {sb.password}")[1]
    if said.startswith(b"OK"):
        c.ok("SELECT INBOX")
        tm.ok(c.append("INBOX", "Subject: x\r\n\r\nx\r\n")[1].startswith(b"OK") and c.tagged("STORE 1 +FLAGS (\\Seen k)").startswith(b"OK")
              and c.tagged("MOVE 1 Trash").startswith(b"OK"), f"and is changed with an old {names[0]}")
    else:
        tm.ok(re.match(rb"NO \[UNAVAILABLE\].*version", said), f"an old {names[0]} is refused in words") or tm.diag(said)
    c.close()
    r = subprocess.run([os.path.join(sb.dir, "bin/storectl"), "-c", sb.conf("tiermail.conf"), "check"], capture_output=True, text=True)
    tm.ok(r.returncode == 0 or "version" in r.stderr, "storectl check, or it says why not") or tm.diag(r.stdout + r.stderr)
    sb.close()
    os.environ["BINDIR"] = tm.BINDIR
tm.done()
