#!/usr/bin/env python3
"""imapd: searches whose results are followed (CONTEXT=SEARCH, RFC 5267 4.3; with data items, RFC 5465 7): what a client
makes of ADDTO and REMOVEFROM is what a new search finds, whatever others do; bounds; and what a change costs.  The exchanges
themselves are in t/fixtures/transcripts/imap-context."""
import random, re, socket
import tm
from imapraw import Raw

ok, is_ = tm.ok, tm.is_
sb = tm.Sandbox("--users", "3", "--without", "lmtpd", "--without", "jobctl", "--without", "smtp-relay", "--set", "imapd.workers=1")
worker = sb.pids_of("imapd")[-1]


def members(text):
    out = []
    for part in text.split(",") if text else []:
        lo, _, hi = part.partition(":")
        out += range(min(int(lo), int(hi or lo)), max(int(lo), int(hi or lo)) + 1)
    return out


def idling():
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(f"{sb.env['RUNDIR']}/imapd.ctl")
        s.sendall(b"metrics\n")
        text = b"".join(iter(lambda: s.recv(65536), b"")).decode()
    return int(re.search(r"(?m)^\S*imap_idling\S* (\d+)", text)[1])


class Follower:
    """A session that keeps the results of its searches as it is told: by UIDs, or by numbers."""

    def __init__(self, user):
        self.c, self.results, self.exists = Raw(sb, login=user), {}, 0
        self.hear(self.c.ok("SELECT INBOX"))

    def hear(self, lines):
        for l in lines:
            if m := re.match(rb"\* (\d+) EXISTS", l):
                self.exists = int(m[1])
            if m := re.match(rb"\* (\d+) EXPUNGE", l):
                gone = int(m[1])
                self.exists -= 1
                for tag, (uid, keys, found) in self.results.items():
                    if not uid:
                        self.results[tag] = (uid, keys, {n - (n > gone) for n in found if n != gone})
            if m := re.match(rb'\* ESEARCH \(TAG "(\w+)"\)( UID)? (ADDTO|REMOVEFROM) \(0 ([\d:,]+)\)', l):
                uid, keys, found = self.results[m[1]]
                now = set(members(m[4].decode()))
                ok_ = not now & found if m[3] == b"ADDTO" else now <= found
                if not ok_ or uid != bool(m[2]):
                    ok(False, f"{l!r} of {keys}: {sorted(found)}")
                self.results[m[1]] = (uid, keys, found | now if m[3] == b"ADDTO" else found - now)
            if b"NOUPDATE" in l:
                ok(False, f"{l!r}")

    def follow(self, uid, keys):
        lines = self.c.ok(f"{'UID ' if uid else ''}SEARCH RETURN (UPDATE ALL) {keys}")
        told = next(l for l in lines if l.startswith(b"* ESEARCH"))
        m = re.search(rb" ALL ([\d:,]+)", told)
        self.results[self.c.tag] = (uid, keys, set(members(m[1].decode() if m else "")))
        self.hear(l for l in lines if l != told)

    def check(self, what):
        self.hear(self.c.ok("NOOP"))
        for tag, (uid, keys, found) in list(self.results.items()):
            lines = self.c.ok(f"{'UID ' if uid else ''}SEARCH RETURN (ALL) {keys}")
            m = re.search(rb" ALL ([\d:,]+)", next(l for l in lines if b"ESEARCH (TAG \"%s\"" % self.c.tag in l))
            if found != set(members(m[1].decode() if m else "")):
                return ok(False, f"{what}: {keys}, {'UIDs' if uid else 'numbers'}") or tm.diag((sorted(found), m and m[1]))
        return ok(True, what)


# ---- a model -------------------------------------------------------------------------------------------------------
KEYS = ("UNSEEN", "FLAGGED", "OR FLAGGED KEYWORD tag", "BODY needle", "SUBJECT odd UNSEEN", "NOT (SEEN SUBJECT even)", "DELETED", "ALL", "LARGER 60", "NOT BODY needle UNFLAGGED",
        "UNKEYWORD tag SINCE 1-Jan-2000")
rng = random.Random(5267)
writer = Raw(sb, login=1)


def message(n):
    body = b"a needle\r\n" if n % 3 == 0 else b"hay\r\n"
    return b"Subject: %s %d\r\n\r\n" % (b"odd" if n % 2 else b"even", n) + body


count = 0
for count in range(30):
    writer.append("INBOX", message(count))
writer.ok("SELECT INBOX")
f, g = Follower(1), Follower(1)
g.c.ok("ENABLE QRESYNC")
for n, keys in enumerate(KEYS):
    f.follow(n % 2, keys)
    g.follow(True, keys)
# VANISHED is by UIDs: g has those alone
for step in range(150):
    what = rng.choice(("append", "flag", "flag", "flag", "expunge", "own", "move"))
    exists = len(writer.ok("UID SEARCH ALL")[-1].split()) - 2
    if what == "append" or exists < 5:
        for _ in range(rng.randrange(1, 4)):
            count += 1
            writer.append("INBOX", message(count), rng.choice(("", "(\\Seen)", "(\\Flagged tag)")))
    elif what in ("flag", "own"):
        who = writer if what == "flag" else f.c
        lo = rng.randrange(1, exists + 1)
        flag, silent = rng.choice(("\\Seen", "\\Flagged", "tag", "\\Deleted", "\\Draft")), rng.choice(("", ".SILENT"))
        line = f"{lo}:{min(exists, lo + rng.randrange(4))} {rng.choice('+-')}FLAGS{silent} ({flag})"
        if who is f.c:
            f.hear(f.c.ok("NOOP"))
            if f.exists != exists:
                continue
        lines = who.ok("STORE " + line)
        if who is f.c:
            f.hear(lines)
    elif what == "expunge":
        writer.ok("EXPUNGE")
    else:
        writer.ok(f"MOVE {rng.randrange(1, exists + 1)} Trash")
    if step % 10 == 9 and not (f.check(f"after {step + 1} steps") and g.check(f"with QRESYNC, after {step + 1}")):
        break
f.c.close()
g.c.close()

# ---- bounds --------------------------------------------------------------------------------------------------------
c = Raw(sb, login=1)
c.ok("SELECT INBOX")
tags = []
for n in range(16):
    is_([l for l in c.ok("SEARCH RETURN (UPDATE COUNT) ALL") if b"NOUPDATE" in l], [], f"search {n + 1} is followed") if n in (0, 15) else c.ok("SEARCH RETURN (UPDATE COUNT) ALL")
    tags.append(c.tag)
lines, tagged = c.cmd("SEARCH RETURN (UPDATE COUNT) ALL")
is_(([l for l in lines if b"NOUPDATE" in l], tagged[:2]), ([b'* NO [NOUPDATE "%s"] Too many searches are followed' % c.tag], b"OK"), "and 17 are not; the answer is good")
c.ok('CANCELUPDATE "%s"' % tags[0].decode())
is_([l for l in c.ok("SEARCH RETURN (UPDATE COUNT) ALL") if b"NOUPDATE" in l], [], "one that is given up makes room")
c.ok("SELECT INBOX")
is_([l for l in c.ok("SEARCH RETURN (UPDATE COUNT) ALL") if b"NOUPDATE" in l], [], "and all go with the mailbox")
writer.ok("STORE 1 +FLAGS.SILENT (\\Answered)")
is_([l for l in c.ok("NOOP") if b"ESEARCH" in l], [], "a change that changes no result is not told of")
long = " ".join(["UNSEEN"] * 990)
ok(any(b"NOUPDATE" in l for l in c.ok(f"SEARCH RETURN (UPDATE COUNT) {long} SUBJECT {'x' * 2000}")), "a search that is too long")
for bad in ("SEARCH RETURN (UPDATE UPDATE) ALL", "SEARCH RETURN (UPDATE (NOTHING)) ALL", "SEARCH RETURN (UPDATE () COUNT) ALL", "SEARCH RETURN (UPDATE (UID) ALL", "CANCELUPDATE", "CANCELUPDATE x",
            "ESEARCH IN (personal) RETURN (UPDATE ALL) UNSEEN"):
    ok(c.tagged(bad).startswith(b"BAD"), f"BAD: {bad}")
ok(c.tagged('CANCELUPDATE "x"').startswith(b"NO"), "a tag that is none")
c.send(b"same SEARCH RETURN (UPDATE COUNT) SEEN\r\nsame SEARCH RETURN (UPDATE COUNT) SEEN\r\n")
is_([c.finish(b"same")[1][:3] for _ in range(2)], [b"OK ", b"BAD"], "a tag is that of one")
c.close()

# ---- with NOTIFY and in IDLE --------------------------------------------------------------------------------------------
n = Raw(sb, login=1)
n.ok("SELECT INBOX")
n.ok("NOTIFY SET (selected (MessageNew (UID) MessageExpunge FlagChange))")
n.ok("UID SEARCH RETURN (UPDATE (UID BODY.PEEK[TEXT])) BODY needle")
tag = n.tag
writer.append("INBOX", message(3))
lines = [n.response() for _ in range(5)]
is_([re.sub(rb"\d+ (FETCH|EXISTS|RECENT)|UID \d+|0 \d+", rb"\1", l) for l in lines], [b"* EXISTS", b"* RECENT", b"* FETCH ()", b"* FETCH ( BODY[TEXT] {10}\r\na needle\r\n)", b'* ESEARCH (TAG "%s") UID ADDTO ()' % tag],
    "EXISTS, data items of both, then ADDTO") or tm.diag(lines)
n.close()

i = Raw(sb, login=1)
i.ok("SELECT INBOX")
i.ok("UID SEARCH RETURN (UPDATE) BODY needle")
for _ in range(2):      # what is told in IDLE must not take the end of IDLE with it
    i.start("IDLE")
    i.response()
    writer.append("INBOX", message(3))
    while b"ADDTO" not in i.response():
        pass
    i.send("DONE\r\n")
    i.finish()
i.send("x APPEND Drafts {5}\r\n")
i.response()
at = writer.ok("STATUS INBOX (MESSAGES)")
writer.append("INBOX", message(3))
writer.ok("NOOP")
i.send("a\r\n\r\n\r\n")
lines, said = i.finish(b"x")
is_((said[:2], [l for l in lines if b"EXPUNGE" in l]), (b"OK", []), "an APPEND behind IDLE is one, whatever happens in its literal")
is_(idling(), 0, "and nobody idles any more")
i.close()

# ---- what a change costs ----------------------------------------------------------------------------------------------------
def mailbox(user, size):
    w, r = Raw(sb, login=user), Raw(sb, login=user)
    w.append("INBOX", message(1))
    w.ok("SELECT INBOX")
    have = 1
    while have < size:
        w.ok(f"COPY 1:{min(have, size - have)} INBOX")
        have = min(size, have * 2)
    r.ok("SELECT INBOX")
    r.ok("UID SEARCH RETURN (UPDATE COUNT) UNSEEN SUBJECT odd")
    return w, r


def cost(w, r):
    at = tm.cpu(worker)
    for k in range(100):
        w.ok(f"STORE 7 {'+-'[k % 2]}FLAGS.SILENT (\\Seen)")
        r.ok("NOOP")
    return tm.cpu(worker) - at


small, large = mailbox(2, 100), mailbox(3, 20000)
little = tm.least(lambda: cost(*small), 0.0, 3)
much = tm.least(lambda: cost(*large), little * 2, 6)
ok(much < little * 2, "a change costs what has changed, not what is there") or tm.diag((little, much))
tm.diag(f"100 changes: {little:.3f} s of the worker with 100 messages, {much:.3f} s with 20,000")
tm.done()
