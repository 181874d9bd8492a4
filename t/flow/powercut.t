#!/usr/bin/env python3
"""The power is cut under load, at many moments: what was answered is there.

stored runs behind a library that writes down what it does to its files (t/tools/powercut.c);
clients deliver, append, flag, mark for a reader, expunge, copy, move, make, rename and delete, each in accounts of its own
and one request after the other, so that after a cut each account must be as its last answer left
it, or as the request that was under way would have.  For each moment the partition is made as
the cut can have left it, stored is started on it as after a boot, and everything is looked at: octets,
flags, UIDs, numbers that may not go back, and storectl check.  Two findings of it are harmless: a
file that no message has, of a request that was never answered, and a deleted folder's directory, when the cut
came between the purge and its sync."""
import concurrent.futures, fcntl, os, random, shutil, signal, sys, threading, time
import tm
import storewire as w
from crc32c import crc32c
sys.path.insert(0, os.path.join(tm.TOP, "t/tools"))
import powercut
from barestore import Store

CUTS = int(os.environ.get("TM_CUTS", "36"))
OPS = int(os.environ.get("TM_OPS", "130"))     # of each client
CLIENTS = 6
seed = int(os.environ.get("TM_SEED", time.time_ns() % 1000000))
tm.diag(f"TM_SEED={seed}")
rnd = random.Random(seed)
READER, READER_SEEN = b"reader@store.test", 0x4000      # t/tools/storeload.c
FOLDERS = ("INBOX", "Sent", "Drafts", "Junk", "Trash", "Archive")


class Client(threading.Thread):
    """Requests about two accounts, one at a time.  `states[n]` is what n answers have left."""

    def __init__(self, store, number, appends=0):
        super().__init__()
        self.appends = appends      # at the end
        self.rnd = random.Random(seed * 100 + number)
        self.path = store.dir + "/stored.sock"
        self.accounts = [f"{x}{number}@store.test" for x in "ab"]
        self.states, self.sent, self.answered, self.modseqs = [{}], [], [], []
        self.ids, self.account_ids, self.made, self.verbs = {}, {}, 0, []
        self.wrong = None

    def ask(self, verb, payload, after, seen=None):
        """One request; `after` is the state that it leaves when it is carried out."""
        self.sent.append(time.monotonic_ns())
        self.verbs.append(verb)
        self.states.append(after)
        r = w.ask(self.sock, verb, payload)
        self.answered.append(time.monotonic_ns())
        self.modseqs.append((seen, r.get(w.R_MODSEQ)) if seen and r.get(w.R_MODSEQ) else None)
        if r.kind != 2 and not self.wrong:
            self.wrong = f"{w.NAMES[verb]}: {r.kind} {r.code} {r.text}"
        return r

    def body(self):
        """(token, size, crc)"""
        self.made += 1
        text = f"Subject: {self.accounts[0]} {self.made}\r\n\r\n".encode() + self.rnd.randbytes(self.rnd.choice((0, 100, 3000, 4096, 9000)))
        r = w.ask(self.sock, w.BODIES, w.body(count=1))
        fd = r.fds[0]
        os.write(fd, text)
        os.close(fd)
        return r.get(w.R_TOKEN), len(text), crc32c(text)

    def with_message(self, state, box, flags, crc):
        uidnext, messages = state[box]
        return {**state, box: (uidnext + 1, {**messages, uidnext: (flags, crc)})}

    def deliver(self, state, box):
        token, size, crc = self.body()
        to = self.rnd.choice((self.accounts[:1], self.accounts))
        for a in to:
            state = self.with_message(state, (a, "INBOX"), 0, crc)
        self.ask(w.DELIVER, w.body(messages=[w.message(token, size, b"cache " * 20)], targets=[w.target(a.encode()) for a in to]), state)

    def append(self, state, box):
        token, size, crc = self.body()
        self.ask(w.APPEND, w.body(mailbox=self.ids[box], messages=[w.message(token, size)]), self.with_message(state, box, 0, crc), self.ids[box])

    def some(self, state, box, least=1):
        uids = sorted(state[box][1])
        return sorted(self.rnd.sample(uids, min(len(uids), self.rnd.randint(least, 8))))

    def flags(self, state, box):
        uids, how, bits = self.some(state, box), self.rnd.randrange(3), self.rnd.choice((1, 2, 4, 8, 5))
        messages = dict(state[box][1])
        for u in uids:
            f, crc = messages[u]
            messages[u] = (((bits, f | bits, f & ~bits)[how] & ~READER_SEEN) | f & READER_SEEN, crc)
        if uids:
            self.ask(w.FLAGS, w.body(mailbox=self.ids[box], ranges=[(u, u) for u in uids], how=how, flags=bits), {**state, box: (state[box][0], messages)},
                     self.ids[box])

    def see(self, state, box):
        """A reader who has a \\Seen of his own."""
        uids, how = self.some(state, box), self.rnd.choice((1, 1, 2))
        messages = dict(state[box][1])
        for u in uids:
            f, crc = messages[u]
            messages[u] = (f | READER_SEEN if how == 1 else f & ~READER_SEEN, crc)
        if uids:
            self.ask(w.FLAGS, w.body(mailbox=self.ids[box], ranges=[(u, u) for u in uids], how=how, flags=1, name=READER),
                     {**state, box: (state[box][0], messages)}, self.ids[box])

    def expunge(self, state, box):
        uids = self.some(state, box)
        if uids:
            self.ask(w.EXPUNGE, w.body(mailbox=self.ids[box], ranges=[(u, u) for u in uids], options=2),
                     {**state, box: (state[box][0], {u: m for u, m in state[box][1].items() if u not in uids})}, self.ids[box])

    def copy(self, state, box, move=False):
        uids = self.some(state, box)
        others = [b for b in state if b[0] == box[0] and b != box and b in self.ids]
        if not uids or not others:
            return
        to = self.rnd.choice(others)
        uidnext, messages = state[to]
        after = {**state, to: (uidnext + len(uids), {**messages, **{uidnext + i: (f & ~READER_SEEN, crc) for i, (f, crc) in enumerate(state[box][1][u] for u in uids)}})}
        if move:
            after[box] = (state[box][0], {u: m for u, m in state[box][1].items() if u not in uids})
        self.ask(w.MOVE if move else w.COPY, w.body(mailbox=self.ids[box], mailbox2=self.ids[to], ranges=[(u, u) for u in uids]), after)

    def move(self, state, box):
        self.copy(state, box, move=True)

    def create(self, state, box):
        name = (box[0], f"F{self.rnd.randrange(10 ** 6)}")
        r = self.ask(w.CREATE, w.body(account=self.account_ids[box[0]], name=name[1].encode()), {**state, name: (1, {})})
        self.ids[name] = r.get(w.R_MAILBOX)

    def ours(self, state):
        return [b for b in state if b[1].startswith("F")]

    def rename(self, state, box):
        if self.ours(state):
            frm = self.rnd.choice(self.ours(state))
            to = (frm[0], f"F{self.rnd.randrange(10 ** 6)}")
            self.ids[to] = self.ids.pop(frm)
            self.ask(w.RENAME, w.body(account=self.account_ids[frm[0]], name=frm[1].encode(), name2=to[1].encode()),
                     {(to if k == frm else k): v for k, v in state.items()})

    def delete(self, state, box):
        if len(self.ours(state)) > 3:
            gone = self.rnd.choice(self.ours(state))
            del self.ids[gone]
            self.ask(w.DELETE, w.body(account=self.account_ids[gone[0]], name=gone[1].encode()), {k: v for k, v in state.items() if k != gone})

    def open(self):
        for a in self.accounts:
            state = {**self.states[-1], **{(a, f): (1, {}) for f in FOLDERS}}
            r = self.ask(w.ACCOUNT, w.body(name=a.encode()), state)
            self.ids[a, "INBOX"], self.account_ids[a] = r.get(w.R_MAILBOX), r.get(w.R_ACCOUNT)
            self.create(self.states[-1], (a, ""))

    def run(self):
        try:
            self.sock = w.connect(self.path)
            self.open()
            kinds = [self.deliver] * 6 + [self.append] * 4 + [self.flags] * 6 + [self.see] * 4 + [self.expunge] * 2 + [self.copy] * 2 + [self.move, self.create, self.rename, self.delete]
            for _ in range(OPS):
                state = self.states[-1]
                self.rnd.choice(kinds)(state, self.rnd.choice([b for b in state if b in self.ids]))
            for _ in range(self.appends):
                self.append(self.states[-1], (self.accounts[0], "INBOX"))
            self.sock.close()
        except Exception as e:  # told by the main thread
            self.wrong = self.wrong or repr(e)

    def at(self, stamp):
        """What may be there when the power is cut at this time, the numbers that were seen, and whether the
        request that was not answered is carried out and shown in slices."""
        n = sum(t < stamp for t in self.answered)
        may = [self.states[n]] + ([self.states[n + 1]] if n < len(self.sent) and self.sent[n] < stamp else [])
        seen = {}
        for m in filter(None, self.modseqs[:n]):
            seen[m[0]] = max(m[1], seen.get(m[0], 0))
        return may, seen, len(may) > 1 and self.verbs[n] in (w.FLAGS, w.EXPUNGE, w.MOVE)


def difference(got, may):
    """Why it is none of these, in few words."""
    for k in sorted(got.keys() | may.keys()):
        if got.get(k) != may.get(k):
            a, b = got.get(k, (0, {})), may.get(k, (0, {}))
            lost = [u for u in b[1] if u not in a[1]]
            more = [u for u in a[1] if u not in b[1]]
            other = [(u, a[1][u], b[1][u]) for u in a[1] if u in b[1] and a[1][u] != b[1][u]]
            return f"{k}: there={k in got} should={k in may} uidnext={a[0]} should={b[0]} lost={lost[:5]} more={more[:5]} other={other[:3]}"


def half_done(got, may):
    """Are these folders on the way from the first to the second, as slices of a request that was not answered leave
    them?  Each message is as before or as behind; none is lost that both have, wherever, and none is there twice."""
    before, after = may[0], may[-1]
    for k in got.keys() | before.keys() | after.keys():
        if (k in got) not in (k in before, k in after):
            return False
        a, b, g = before.get(k, (0, {})), after.get(k, (0, {})), got.get(k, (0, {}))
        if k in got and not a[0] <= g[0] <= b[0] or any(g[1].get(u) not in (a[1].get(u), b[1].get(u)) for u in g[1].keys() | a[1].keys() | b[1].keys()):
            return False
    there = [sorted(crc for f in x.values() for _, crc in f[1].values()) for x in (before, after, got)]
    return set(there[0]) & set(there[1]) <= set(there[2]) and (there[0] != there[1] or there[2] == there[0])


def look(store, clients, stamp):
    """Everything that is wrong after the cut, as lines."""
    wrong = []
    folders, modseqs = store.dump()
    for c in clients:
        got = {k: v for k, v in folders.items() if k[0] in c.accounts}
        may, seen, sliced = c.at(stamp)
        if got not in may and not (SLICE and sliced and half_done(got, may)):
            wrong.append(f"{c.accounts[0]}: " + " | ".join(difference(got, m) for m in may))
        wrong += [f"{c.accounts[0]}: mailbox {i:x} was seen at modseq {m}, is at {modseqs[i]}" for i, m in seen.items() if i in modseqs and modseqs[i] < m]
    r = store.run(f"{tm.BINDIR}/storectl", "-c", f"{store.dir}/tiermail.conf", "check")
    wrong += [line for line in (r.stdout + r.stderr).splitlines() if "nothing waits for it" not in line and (" file =" in line and "no message has it" not in line or
              any(x in line for x in ("mailbox ", "directory ", "account ", "block ", "cannot", "lock")) and "mailboxes," not in line and "no message has it" not in line)]
    return wrong


DIR = tm.tempdir()
began = time.monotonic()
# In slices of one block, every second time: then DELETE leaves what it deletes to a job that goes on after a start.
SLICE = rnd.choice(("", "slice = 0\n"))
store = Store(f"{DIR}/load", "steady_interval = 100ms\n" + SLICE)
os.environ.pop("LD_PRELOAD", None)
tm.ok(store.start(f"{DIR}/trace"), "stored starts") or tm.diag(store.said())
clients = [Client(store, i) for i in range(CLIENTS)]
for c in clients:
    c.start()
for c in clients:
    c.join()
store.stop()
tm.is_([c.wrong for c in clients if c.wrong], [], "every request is carried out")
trace = powercut.Trace(f"{DIR}/trace", store.part)
folders, _ = store.dump()
tm.is_([d for d in (difference({k: v for k, v in folders.items() if k[0] in c.accounts}, c.states[-1]) for c in clients) if d], [],
       "without a cut everything is as it was answered")
tm.diag(f"{sum(len(c.answered) for c in clients)} answers, {len(trace.records)} records, {os.path.getsize(f'{DIR}/trace') >> 20} MB, "
        f"{sum(r.op == powercut.END for r in trace.records)} syncs, {time.monotonic() - began:.1f} s")

# Cuts anywhere, and some right before and behind the end of a sync.
first = next(i for i, r in enumerate(trace.records) if r.stamp > clients[0].answered[1])
ends = [i for i, r in enumerate(trace.records) if r.op in (powercut.BEGIN, powercut.END) and i > first]
moments = sorted([rnd.randrange(first, len(trace.records)) for _ in range(CUTS // 2)] + [i + rnd.randint(-1, 2) for i in rnd.sample(ends, CUTS - CUTS // 2)])


def one(directory, trace, clients, at, conf, boot=None):
    """A cut, as its tree has been written to the directory: what is wrong, and what stored said."""
    s = Store(directory, conf)
    s.boot = boot or s.boot
    if s.start():
        wrong = look(s, clients, trace.records[at].stamp)
        # Killed, without a point since the start, and the power is cut: no less is there.
        s.stop(signal.SIGKILL)
        s.reboot()
        if not s.start():
            wrong.append("stored does not start a second time")
        elif not wrong:
            wrong = look(s, clients, trace.records[at].stamp)
        if s.stop() != 0:
            wrong.append("stored does not end well")
    else:
        wrong = ["stored does not start"]
        s.stop(signal.SIGKILL)
    said = s.said()
    if not (wrong and os.environ.get("TM_KEEP")):
        shutil.rmtree(s.dir)
    return wrong, said


def play(what, trace, clients, moments, confs, boot=None):
    """Cuts at these records; each start has one of the configurations, and is under a new kernel or this one."""
    bad, waiting = 0, []
    # storectl check looks again, with pauses, before it tells anything: several at a time.
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        for n, at in enumerate(moments):
            at, directory = min(at, len(trace.records) - 1), f"{DIR}/{what}{n}"
            powercut.write(trace.cut(at, rnd), f"{directory}/store/partition/primary")
            waiting.append((n, at, pool.submit(one, directory, trace, clients, at, rnd.choice(confs), boot)))
    for n, at, result in waiting:
        wrong, said = result.result()
        bad += bool(wrong)
        if wrong and bad < 4:
            tm.diag(f"{what} {n} before record {at} of {len(trace.records)}:\n" + "\n".join(wrong[:6]) + "\n" + said[-1500:])
    return bad


tm.is_(play("cut", trace, clients, moments, ["steady_interval = 100ms\n" + SLICE]), 0, f"{len(moments)} cuts: what was answered is there, and nothing is damaged")

# Lives that end by SIGKILL, with no steady point but that of the start, with and without a log: the power is cut
# in the next start, or behind it.
SELDOM = "steady_interval = 1h\n"
LIVES = (SELDOM, SELDOM, "log = no\n", SELDOM, SELDOM)
store = Store(f"{DIR}/lives")
clients = []
for n, conf in enumerate(LIVES):
    store.configure(conf)
    tm.ok(store.start(f"{DIR}/trace2"), f"life {n}: {conf.strip()}") or tm.diag(store.said()[-800:])
    OPS = 25
    born = [Client(store, 100 + 10 * n + i) for i in range(2)]
    for c in born:
        c.start()
    for c in born:
        c.join()
    clients += born
    store.stop(signal.SIGKILL)
tm.is_([c.wrong for c in clients if c.wrong], [], "every request of them is carried out")
trace = powercut.Trace(f"{DIR}/trace2", store.part)
first = next(i for i, r in enumerate(trace.records) if r.stamp > clients[1].answered[-1])
starts = [i for i, r in enumerate(trace.records) if i > first and r.op in (powercut.SIZE, powercut.END) and not any(
    c.sent[0] < r.stamp < c.answered[-1] for c in clients)]   # while nobody asks for anything
moments = sorted(rnd.sample(starts, min(len(starts), CUTS // 2)) + [rnd.randrange(first, len(trace.records)) for _ in range(CUTS // 3)])
tm.is_(play("life", trace, clients, moments, [SELDOM, "log = no\n"]), 0, f"{len(moments)} cuts in and behind starts after a crash: the same")

# The disk was away and has come back without what was not synced, under the same kernel: long after the last point.
trace = powercut.Trace(f"{DIR}/trace2", store.part)
without = next(i for i, r in enumerate(trace.records) if r.stamp > clients[4].sent[0])     # of the life that keeps no log
moments = sorted(rnd.randrange(first, without) for _ in range(CUTS // 4))
tm.is_(play("away", trace, clients, moments, [SELDOM], store.boot), 0, f"{len(moments)} times the disk was away under the same kernel: the same")

# Killed while another program has the index open, which then stays as it is: that life has synced no file of the last
# messages, and the points of the next one have them.
store = Store(f"{DIR}/held", SELDOM)
tm.ok(store.start(f"{DIR}/trace3"), "a life beside a reader") or tm.diag(store.said()[-800:])
OPS = 25
clients = [Client(store, 200 + i, appends=8) for i in range(2)]
for c in clients:
    c.start()
for c in clients:
    c.join()
store.stop(signal.SIGKILL)
with open(f"{store.part}/index/lock.mdb", "rb") as held:
    fcntl.lockf(held, fcntl.LOCK_SH, 1)      # as imapd has it
    tm.ok(store.start(f"{DIR}/trace3"), "the next one") or tm.diag(store.said()[-800:])
    ready = time.monotonic_ns()
    time.sleep(0.2)
    store.stop(signal.SIGKILL)
tm.ok("problem=in_use" in store.said(), "leaves the index as it is")
tm.is_([c.wrong for c in clients if c.wrong], [], "every request is carried out")
trace = powercut.Trace(f"{DIR}/trace3", store.part)
first = next((i for i, r in enumerate(trace.records) if r.stamp > ready), len(trace.records) - 1)
moments = sorted(rnd.randrange(first, len(trace.records)) for _ in range(CUTS // 4))
tm.is_(play("held", trace, clients, moments, [SELDOM, "log = no\n"]), 0, f"{len(moments)} cuts behind its start: the same")
tm.diag(f"{time.monotonic() - began:.1f} s")
tm.done()
