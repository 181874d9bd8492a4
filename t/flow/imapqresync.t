#!/usr/bin/env python3
"""QRESYNC (RFC 7162 3.2): a client that comes back with what it knew is told what it needs to know what
there is: checked against a model while others change the mailbox, with its connection cut at any point;
and when what has gone is in too many pieces to be remembered."""
import os, random, re, socket, time
import tm
from imapraw import Raw

sb = tm.Sandbox("--users", "5", "--without", "lmtpd", "--without", "jobctl", "--without", "smtp-relay",
                "--set", "imapd.limit.line=1M")
ROUNDS = int(os.environ.get("ROUNDS", "120"))
seed = int(os.environ.get("SEED", "1"))
rnd = random.Random(seed)
FLAGS = ["\\Seen", "\\Flagged", "\\Answered", "kw1"]
MESSAGE = "Subject: x\r\n\r\nhello\r\n"


def numbers(text):
    for part in text.split(","):
        a, _, b = part.partition(":")
        yield from range(int(a), int(b or a) + 1)


def compact(uids):
    out, uids = [], sorted(uids)
    for u in uids:
        if out and out[-1][1] == u - 1:
            out[-1][1] = u
        else:
            out.append([u, u])
    return ",".join(f"{a}:{b}" if a < b else f"{a}" for a, b in out)


class Client:
    """What a client keeps on its disk, and its connection when it has one."""

    def __init__(self):
        self.flags, self.modseq, self.uidvalidity, self.c, self.wrong = {}, 0, 0, None, []

    def take(self, line):
        """An untagged response"""
        m = re.match(rb"\* VANISHED (\(EARLIER\) )?([0-9,:]+)$", line)
        if m:
            for uid in numbers(m[2].decode()):
                self.flags.pop(uid, None)
                if uid in self.seqs:
                    if m[1]:
                        self.wrong.append(f"{uid} vanished earlier, and is in the mailbox")
                    self.seqs.remove(uid)
        elif re.match(rb"\* \d+ EXPUNGE", line):
            self.wrong.append("EXPUNGE, not VANISHED")
        m = re.match(rb"\* (\d+) FETCH \(", line)
        if m:
            uid = int(re.search(rb"UID (\d+)", line)[1])
            self.heard = max(self.heard, int(re.search(rb"MODSEQ \((\d+)\)", line)[1]))
            self.flags[uid] = set(re.search(rb"FLAGS \(([^)]*)\)", line)[1].decode().split()) - {"\\Recent"}
        m = re.search(rb"\[HIGHESTMODSEQ (\d+)\]", line)
        if m:                                       # it says how far all is told
            self.modseq = self.heard = int(m[1])
        m = re.search(rb"\[UIDVALIDITY (\d+)\]", line)
        if m:
            self.uidvalidity = int(m[1])

    def run(self, command):
        lines, tagged = self.c.cmd(command)
        for line in lines + [tagged]:
            self.take(line)
        if not tagged.startswith(b"OK") and b"EXPUNGEISSUED" not in tagged:
            self.wrong.append(f"{command}: {tagged}")
        self.modseq = max(self.modseq, self.heard)

    def come(self):
        self.c, self.seqs, self.heard = Raw(sb, login=1), set(), 0
        self.c.ok("ENABLE QRESYNC")
        if not self.uidvalidity:
            self.run("SELECT INBOX")
            return self.run("UID FETCH 1:* (FLAGS MODSEQ)")
        extra, known = "", sorted(self.flags)
        if rnd.random() < 0.5 and known:
            extra = " " + compact(known)
        if rnd.random() < 0.5 and known:            # every so many of them
            some = [(n + 1, u) for n, u in enumerate(known) if n % rnd.choice((1, 2, 5)) == 0]
            extra += f" ({','.join(str(n) for n, _ in some)} {','.join(str(u) for _, u in some)})"
        verb = rnd.choice(("SELECT", "EXAMINE"))
        self.run(f"{verb} INBOX (QRESYNC ({self.uidvalidity} {self.modseq}{extra}))")
        self.arrivals()

    def arrivals(self):
        """Of what has come a client is told the number only, or nothing when it named what it knew."""
        self.run(f"UID FETCH {max(self.flags, default=0) + 1}:* (FLAGS MODSEQ)")

    def stay(self):
        """Something that may tell of others' changes, or must not"""
        self.run(rnd.choice(("NOOP", "FETCH 1:* (UID FLAGS)", "UID FETCH 1:* (FLAGS)", "SEARCH ALL",
                             f"UID FETCH 1:* (FLAGS) (CHANGEDSINCE {self.modseq} VANISHED)")) if self.flags else "NOOP")
        self.arrivals()

    def go(self):
        self.c.close()
        self.c = None


def truth():
    w.ok("NOOP")
    return {int(re.search(rb"UID (\d+)", l)[1]): set(re.search(rb"FLAGS \(([^)]*)\)", l)[1].decode().split()) - {"\\Recent"}
            for l in w.ok("UID FETCH 1:* (FLAGS)") if b"FETCH" in l}


def change():
    n = len(truth())
    what = rnd.choice(("append", "append", "flag", "flag", "expunge", "move", "copy"))
    if what == "append" or n < 4:
        for _ in range(rnd.randrange(1, 4)):
            w.append("INBOX", MESSAGE)
    else:
        some = ",".join(str(x) for x in sorted(rnd.sample(range(1, n + 1), rnd.randrange(1, min(n, 5)))))
        if what == "flag":
            w.cmd(f"STORE {some} {rnd.choice('+-')}FLAGS ({rnd.choice(FLAGS)})")
        elif what == "expunge":
            w.cmd(f"STORE {some} +FLAGS.SILENT (\\Deleted)")
            w.cmd("EXPUNGE")
        else:
            w.cmd(f"{what.upper()} {some} {'Trash' if what == 'move' else 'INBOX'}")


w = Raw(sb, login=1)
w.ok("SELECT INBOX")
q, bad = Client(), []
for n in range(ROUNDS):
    for _ in range(rnd.randrange(4)):
        change()
    q.come()
    have = truth()
    if q.flags != have:
        bad.append(f"round {n}: {[(u, q.flags.get(u), have.get(u)) for u in sorted(q.flags.keys() | have.keys()) if q.flags.get(u) != have.get(u)][:4]}")
        break
    q.seqs = set(q.flags)
    for _ in range(rnd.randrange(4)):
        change()
        q.stay()
    q.go()
    if q.wrong:
        break
tm.is_(bad, [], f"{ROUNDS} times a client comes back and knows what there is (SEED={seed})")
tm.is_(q.wrong[:3], [], "and is never told what it must not be")

# ---- others' expunges that had to wait are told again -------------------------------------------------
a, b = Raw(sb, login=2), Raw(sb, login=2)
for n in range(3):
    b.append("INBOX", MESSAGE)
a.ok("ENABLE QRESYNC")
state = max(int(x) for l in a.ok("SELECT INBOX") for x in re.findall(rb"HIGHESTMODSEQ (\d+)", l))
validity = re.search(rb"UIDVALIDITY (\d+)", b"".join(Raw(sb, login=2).ok("EXAMINE INBOX")))[1].decode()
b.ok("SELECT INBOX")
b.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
b.ok("EXPUNGE")
b.ok("STORE 1 +FLAGS (\\Seen)")
lines = a.ok("FETCH 2:3 (MODSEQ)")
told = [int(x) for l in lines for x in re.findall(rb"\[HIGHESTMODSEQ (\d+)\]", l)]
tm.is_(told, [state], "while a VANISHED must wait, HIGHESTMODSEQ stays behind it")
a.close()
a = Raw(sb, login=2)
a.ok("ENABLE QRESYNC")
tm.ok(b"* VANISHED (EARLIER) 1" in a.ok(f"SELECT INBOX (QRESYNC ({validity} {state}))"), "so the client hears of it when it comes back")

# ---- CLOSE ---------------------------------------------------------------------------------------------
def closes(meanwhile):
    c = Raw(sb, login=2)
    c.ok("ENABLE QRESYNC")
    c.ok("SELECT INBOX")
    c.append("INBOX", MESSAGE)
    c.ok("STORE * +FLAGS.SILENT (\\Deleted)")
    before = int(re.search(rb"HIGHESTMODSEQ (\d+)", c.ok("STATUS INBOX (HIGHESTMODSEQ)")[0])[1])
    if meanwhile:
        b.ok("STORE 1 -FLAGS (\\Seen)")
        b.ok("STORE 1 +FLAGS (\\Seen)")
    return before, int(re.search(rb"HIGHESTMODSEQ (\d+)", c.tagged("CLOSE"))[1])


before, after = closes(False)
tm.ok(after > before, "CLOSE tells HIGHESTMODSEQ")
before, after = closes(True)
tm.ok(after == before, "and when others were there too, the one up to which all has been told")

# ---- no HIGHESTMODSEQ beyond an expunge that was not told ------------------------------------------------
def modseqs(lines):
    return [int(n) for l in lines for n in re.findall(rb"HIGHESTMODSEQ (\d+)", l)]


def vanished(user, validity, modseq):
    c = Raw(sb, login=user)
    c.ok("ENABLE QRESYNC")
    return [l for l in c.ok(f"SELECT INBOX (QRESYNC ({validity} {modseq}))") if b"VANISHED" in l]


b = Raw(sb, login=4)
for _ in range(3):
    b.append("INBOX", MESSAGE)
b.ok("SELECT INBOX")
a = Raw(sb, login=4)
validity = re.search(rb"UIDVALIDITY (\d+)", b"".join(a.ok("SELECT INBOX")))[1].decode()
b.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
b.ok("EXPUNGE")
b.ok("STORE 1 +FLAGS.SILENT (\\Seen)")
a.ok("FETCH 2 (FLAGS)")
told = a.ok("FETCH 2 (MODSEQ)")
tm.ok(len(modseqs(told)) == 1 and not [l for l in told if b"EXPUNGE" in l], "asked for MODSEQ while an EXPUNGE has to wait")
tm.is_(vanished(4, validity, modseqs(told)[0]), [b"* VANISHED (EARLIER) 1"], "what is told then does not pass over it")

a.ok("ENABLE QRESYNC")
b.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
b.ok("EXPUNGE")
lines = a.append("INBOX", MESSAGE)[0]
first = [l for l in lines if b"HIGHESTMODSEQ" in l or b"VANISHED" in l]
tm.ok(first and b"VANISHED" in first[0], "APPEND tells no HIGHESTMODSEQ before the news that are below it")


class Reluctant(Raw):
    """Takes little before it is asked to read."""

    def __init__(self, sb, login):
        real = socket.create_connection

        def small(address, timeout=None):
            s = socket.socket()
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            s.settimeout(timeout)
            s.connect(address)
            return s
        socket.create_connection = small
        try:
            super().__init__(sb, login=login)
        finally:
            socket.create_connection = real


MANY = 60000
b = Raw(sb, login=5)
b.append("INBOX", MESSAGE)
b.ok("SELECT INBOX")
have = 1
while have < MANY:
    more = min(have, MANY - have)
    b.ok(f"UID COPY 1:{more} INBOX")
    have += more
b.ok("NOOP")
a = Reluctant(sb, login=5)
a.ok("ENABLE QRESYNC")
lines = a.ok("SELECT INBOX")
validity = re.search(rb"UIDVALIDITY (\d+)", b"".join(lines))[1].decode()
b.ok("UID STORE 1 +FLAGS.SILENT (\\Deleted)")
b.ok("UID EXPUNGE 1")
b.ok("UID STORE 2:* +FLAGS.SILENT (%s)" % " ".join(f"k{i}{'x' * 55}" for i in range(3)))
a.start("FETCH 1 (MODSEQ)")
head = b""
while head.count(b"FETCH") < 3:  # its own answer, and then the news of others' flags: arrivals are over
    head += a.sock.recv(4096)
a.buf = head
b.append("INBOX", MESSAGE)
a.finish()
told = a.cmd("FETCH 1 (MODSEQ)")[0]  # which says that it is gone
tm.ok(modseqs(told), "HIGHESTMODSEQ is told while an EXPUNGE waits")
for modseq in modseqs(told):
    tm.is_([l[:24] for l in vanished(5, validity, modseq)], [b"* VANISHED (EARLIER) 1"], "nor is it when a message came in while the news were told")

# ---- too many pieces -----------------------------------------------------------------------------------
c = Raw(sb, login=3)
c.append("INBOX", MESSAGE)
c.ok("ENABLE QRESYNC")
c.ok("SELECT INBOX")
COUNT = 67000
have = 1
while have < COUNT:
    more = min(have, COUNT - have)
    c.ok(f"UID COPY 1:{more} INBOX")
    have += more
state = int(re.search(rb"HIGHESTMODSEQ (\d+)", c.ok("STATUS INBOX (HIGHESTMODSEQ)")[0])[1])
gone = ",".join(str(u) for u in range(2, COUNT, 2))
c.ok(f"UID STORE {gone} +FLAGS.SILENT (\\Deleted)")
told = c.ok("EXPUNGE")
tm.is_(sum(1 for l in told for _ in numbers(l[11:].decode()) if l.startswith(b"* VANISHED ")), (COUNT - 1) // 2, "a VANISHED of many pieces")
tm.ok(max(len(l) for l in told) < 8192, "in lines of at most 8,192 octets (RFC 7162 4)")
tm.ok(not [l for l in told if b"EXPUNGE" in l], "and no EXPUNGE")
seqs = f"{COUNT // 2 - 100} {2 * (COUNT // 2 - 100) - 1}"
for what, first in ((f"", 2), (f" 5:{COUNT}", 6), (f" ({seqs})", int(seqs.split()[1]) + 1)):
    c.ok("UNSELECT")
    told = c.ok(f"SELECT INBOX (QRESYNC ({re.search(rb'UIDVALIDITY ([0-9]+)', c.ok('STATUS INBOX (UIDVALIDITY)')[0])[1].decode()} {state}{what}))")
    uids = [u for l in told if l.startswith(b"* VANISHED (EARLIER) ") for u in numbers(l[21:].decode())]
    tm.is_(uids, [u for u in range(2, COUNT, 2) if u >= first], f"QRESYNC (n n{what[:20]}) names all that are not there")
tm.done()
