#!/usr/bin/env python3
"""Several sessions change one mailbox at random; each keeps its own account of sequence numbers
and flags from what imapd says, and the account must always be right."""
import os, random, re, sys
import tm
from imapraw import Raw

sb = tm.Sandbox("--users", "3", "--without", "lmtpd", "--without", "jobctl", "--without", "smtp-relay")
ROUNDS = int(os.environ.get("ROUNDS", "1500"))
seed = int(os.environ.get("SEED", "1"))
rnd = random.Random(seed)
FLAGS = ["\\Seen", "\\Flagged", "\\Answered", "\\Draft", "kw1", "kw2"]
errors = []


class Model(Raw):
    """A session with its own view: uids by position, flags by uid as far as known."""

    def __init__(self, condstore=False):
        super().__init__(sb, login=1)
        self.condstore = condstore
        if condstore:
            self.ok("ENABLE CONDSTORE")
        self.idle = False
        self.select()

    def select(self):
        self.uids, self.flags, self.modseq = [], {}, 0
        self.run("SELECT INBOX")
        self.learn()

    def wrong(self, what):
        errors.append(what)

    def handle(self, line, seqs):
        m = re.match(rb"\* (\d+) EXPUNGE", line)
        if m:
            n = int(m.group(1))
            if seqs:
                self.wrong(f"EXPUNGE during {self.last}")
            if not 1 <= n <= len(self.uids):
                return self.wrong(f"EXPUNGE {n} of {len(self.uids)}")
            del self.uids[n - 1]
        m = re.match(rb"\* (\d+) EXISTS", line)
        if m:
            n = int(m.group(1))
            if n < len(self.uids):
                self.wrong(f"EXISTS {n} with {len(self.uids)} known")
            self.uids += [None] * (n - len(self.uids))
        m = re.match(rb"\* (\d+) FETCH \((.*)\)$", line, re.S)
        if m:
            n = int(m.group(1))
            if not 1 <= n <= len(self.uids):
                return self.wrong(f"FETCH {n} of {len(self.uids)}")
            u = re.search(rb"UID (\d+)", m.group(2))
            if u:
                if self.uids[n - 1] not in (None, int(u.group(1))):
                    self.wrong(f"message {n} is UID {u.group(1)}, was {self.uids[n - 1]} ({self.last})")
                self.uids[n - 1] = int(u.group(1))
            f = re.search(rb"FLAGS \(([^)]*)\)", m.group(2))
            if f and self.uids[n - 1]:
                self.flags[self.uids[n - 1]] = set(f.group(1).decode().split()) - {"\\Recent"}
            q = re.search(rb"MODSEQ \((\d+)\)", m.group(2))
            if self.condstore and f and not q:
                self.wrong("FLAGS without MODSEQ")

    def run(self, cmd, seqs=False):
        self.last = cmd
        lines, t = self.cmd(cmd)
        for l in lines:
            self.handle(l, seqs)
        return t

    def learn(self):
        """Asks for what the untagged responses did not say."""
        while None in self.uids:
            first = self.uids.index(None) + 1
            self.run(f"FETCH {first}:{len(self.uids)} (UID FLAGS)", True)
            self.run("NOOP")

    def set(self, uid):
        if not self.uids:
            return None
        a, b = sorted((rnd.randrange(len(self.uids)), min(len(self.uids) - 1, rnd.randrange(len(self.uids)))))
        b = min(b, a + rnd.randrange(8))
        return f"{self.uids[a]}:{self.uids[b]}" if uid else f"{a + 1}:{b + 1}"

    def act(self):
        what = rnd.choice(["store", "store", "store", "silent", "delete", "expunge", "append", "append", "copy", "move", "fetch", "search", "noop",
                           "uidexpunge", "conditional", "select", "body"])
        uid = rnd.random() < 0.5
        p = "UID " if uid else ""
        s = self.set(uid)
        if what == "append":
            for i in range(rnd.randrange(4)):
                l, t = self.append("INBOX", f"Subject: {rnd.random()}\r\n\r\nx\r\n", rnd.choice(["", "(\\Seen)", "(kw1)"]))
                self.last = "APPEND"
                for x in l:
                    self.handle(x, False)
        elif what == "noop":
            self.run("NOOP")
        elif what == "expunge":
            self.run("EXPUNGE")
        elif what == "select" and rnd.random() < 0.1:
            self.select()
        elif s is None:
            return
        elif what in ("store", "silent"):
            sign, flags = rnd.choice(["", "+", "-"]), rnd.sample(FLAGS, rnd.randrange(1, 3))
            before = {u: set(f) for u, f in self.flags.items()}
            uids = self.range(s, uid)
            t = self.run(f"{p}STORE {s} {sign}FLAGS{'.SILENT' if what == 'silent' else ''} ({' '.join(flags)})", not uid)
            if what == "silent" and t.startswith(b"OK"):  # one's own change is not told
                for u in uids:
                    if self.flags.get(u) == before.get(u) and u in self.flags:
                        f = set(self.flags[u])
                        self.flags[u] = set(flags) if sign == "" else f | set(flags) if sign == "+" else f - set(flags)
        elif what == "delete":
            self.run(f"{p}STORE {s} +FLAGS (\\Deleted)", not uid)
        elif what == "uidexpunge":
            self.run(f"UID EXPUNGE {self.set(True)}")
        elif what == "conditional" and self.condstore:
            self.run(f"{p}STORE {s} (UNCHANGEDSINCE {rnd.randrange(1, 400)}) +FLAGS (kw2)", not uid)
        elif what == "copy" and len(self.uids) < 150:
            self.run(f"{p}COPY {s} {rnd.choice(['INBOX', 'Trash'])}", not uid)
        elif what == "move":
            self.run(f"{p}MOVE {s} {rnd.choice(['INBOX', 'Archive'])}")
        elif what == "fetch":
            self.run(f"{p}FETCH {s} (UID FLAGS)", not uid)
        elif what == "body":
            self.run(f"{p}FETCH {s} (UID BODY[])", not uid)
        elif what == "search":
            self.run(f"{p}SEARCH {rnd.choice(['ALL', 'SEEN', 'DELETED', 'KEYWORD kw1'])}", not uid)
        self.learn()

    def range(self, s, uid):
        a, b = map(int, s.split(":"))
        return [u for u in self.uids if u and a <= u <= b] if uid else [u for u in self.uids[a - 1:b] if u]

    def check(self, truth):
        """After a NOOP the account is the mailbox."""
        self.run("NOOP")
        self.learn()
        uids, flags = truth
        if self.uids != uids:
            self.wrong(f"view {self.uids} is not {uids}")
        for u in uids:
            if self.flags.get(u) != flags[u]:
                self.wrong(f"flags of {u}: {self.flags.get(u)} are not {flags[u]} (condstore {self.condstore})")

    def idle_for_a_while(self, others):
        self.start("IDLE")
        self.response()
        tag = self.tag
        for o in others:
            o.act()
        self.send("DONE\r\n")
        self.last = "IDLE"
        lines, t = self.finish(tag)
        for l in lines:
            self.handle(l, False)
        self.learn()


sessions = [Model(), Model(), Model(condstore=True)]
for i in range(ROUNDS):
    s = rnd.choice(sessions)
    if rnd.random() < 0.05:
        s.idle_for_a_while([x for x in sessions if x is not s])
    else:
        s.act()
    if i % 50 == 49:
        fresh = Model()
        truth = fresh.uids, fresh.flags
        fresh.close()
        for s in sessions:
            s.check(truth)
    if errors:
        break
tm.ok(not errors, f"{ROUNDS} random steps of three sessions (seed {seed})") or tm.diag("\n".join(errors[:10]))
tm.done()
