#!/usr/bin/env python3
"""imapd: sorted results that are followed (CONTEXT=SORT, RFC 5267 4.3): what a client makes of positions is what a new SORT
finds, by UIDs and by numbers, whatever others do; bounds; and what a change costs.  The exchanges themselves are in
t/fixtures/transcripts/imap-context-sort."""
import random, re
import tm
from imapraw import Raw

ok, is_ = tm.ok, tm.is_
sb = tm.Sandbox("--users", "4", "--without", "lmtpd", "--without", "jobctl", "--without", "smtp-relay", "--set", "imapd.workers=1")
worker = sb.pids_of("imapd")[-1]
PAIR = re.compile(r"(\d+) ([\d:,]+)")


def numbers(text):
    """In the order of the set."""
    out = []
    for part in text.split(",") if text else []:
        lo, _, hi = part.partition(":")
        out += range(int(lo), int(hi or lo) + 1)
    return out


class Follower:
    """A session that keeps the orders of its searches as it is told: by UIDs, or by numbers."""

    def __init__(self, user):
        self.c, self.results, self.exists = Raw(sb, login=user), {}, 0
        self.hear(self.c.ok("SELECT INBOX"))

    def told(self, tag, what, text, uid):
        has_uid, program, found = self.results[tag]
        good = has_uid == uid
        for position, part in PAIR.findall(text):
            at, some = int(position) - 1, numbers(part)
            if what == "ADDTO":
                good &= 0 <= at <= len(found) and not set(some) & set(found)
                found[at:at] = some
            else:
                good &= found[at:at + len(some)] == some
                del found[at:at + len(some)]
        return good or ok(False, f"{what} {text} of {program}") or tm.diag(found)

    def hear(self, lines):
        for l in lines:
            if m := re.match(rb"\* (\d+) EXISTS", l):
                self.exists = int(m[1])
            if m := re.match(rb"\* (\d+) EXPUNGE", l):
                gone = int(m[1])
                self.exists -= 1
                for uid, program, found in self.results.values():
                    if not uid:
                        if gone in found:
                            ok(False, f"EXPUNGE {gone} before REMOVEFROM of {program}")
                        found[:] = [n - (n > gone) for n in found]
            if m := re.match(rb'\* ESEARCH \(TAG "(\w+)"\)( UID)? (ADDTO|REMOVEFROM) \(([\d:, ]+)\)$', l):
                self.told(m[1], m[3].decode(), m[4].decode(), bool(m[2]))
            if b"NOUPDATE" in l:
                ok(False, f"{l!r}")

    def sort(self, uid, program, options):
        lines = self.c.ok(f"{'UID ' if uid else ''}SORT RETURN ({options}) {program}")
        answer = next(l for l in lines if b'ESEARCH (TAG "%s")' % self.c.tag in l)
        m = re.search(rb" ALL ([\d:,]+)", answer)
        return numbers(m[1].decode() if m else ""), [l for l in lines if l is not answer]

    def follow(self, uid, program):
        found, lines = self.sort(uid, program, "UPDATE ALL")
        self.results[self.c.tag] = (uid, program, found)
        self.hear(lines)

    def check(self, what):
        self.hear(self.c.ok("NOOP"))
        for uid, program, found in list(self.results.values()):
            now, lines = self.sort(uid, program, "ALL")
            if found != now:
                return ok(False, f"{what}: {program}, {'UIDs' if uid else 'numbers'}") or tm.diag((found, now))
        return ok(True, what)


# ---- a model -------------------------------------------------------------------------------------------------------
PROGRAMS = ("(SUBJECT) UTF-8 ALL", "(REVERSE DATE) UTF-8 UNSEEN", "(SIZE FROM) UTF-8 FLAGGED", "(REVERSE ARRIVAL) UTF-8 BODY needle", "(FROM REVERSE SUBJECT) UTF-8 UNDELETED",
            "(REVERSE SIZE) UTF-8 NOT SUBJECT b", "(DISPLAYFROM DATE) UTF-8 ALL", "(SUBJECT DATE) UTF-8 KEYWORD tag")
rng = random.Random(5267)
writer = Raw(sb, login=1)


def message(n):
    body = b"a needle\r\n" if n % 3 == 0 else b"hay\r\n" * (n % 5)
    subject = rng.choice((b"a", b"Re: a", b"b", b"=?utf-8?q?=C3=A4?=", b"c" * rng.randrange(1, 90), b""))
    return (b"Subject: %s\r\nFrom: %s <%s@example.test>\r\nDate: %d May 2020 10:00:00 +0000\r\n\r\n"
            % (subject, rng.choice((b"Zoe", b"adam", b"")), rng.choice((b"one", b"Two", b"three")), rng.randrange(1, 28))) + body


count = 0
for count in range(30):
    writer.append("INBOX", message(count))
writer.ok("SELECT INBOX")
f, g = Follower(1), Follower(1)
g.c.ok("ENABLE QRESYNC")
for n, program in enumerate(PROGRAMS):
    f.follow(n % 2, program)
    g.follow(True, program)      # VANISHED is by UIDs
for step in range(150):
    what = rng.choice(("append", "many", "flag", "flag", "flag", "expunge", "own", "move"))
    exists = len(writer.ok("UID SEARCH ALL")[-1].split()) - 2
    if what in ("append", "many") or exists < 5:
        for _ in range(12 if what == "many" and exists < 150 else rng.randrange(1, 4)):
            count += 1
            writer.append("INBOX", message(count), rng.choice(("", "(\\Seen)", "(\\Flagged tag)")))
    elif what in ("flag", "own"):
        who = writer if what == "flag" else f.c
        lo = rng.randrange(1, exists + 1)
        flag, silent = rng.choice(("\\Seen", "\\Flagged", "tag", "\\Deleted", "\\Draft")), rng.choice(("", ".SILENT"))
        line = f"{lo}:{min(exists, lo + rng.randrange(8))} {rng.choice('+-')}FLAGS{silent} ({flag})"
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
# What has gone and is not told yet is still in its place when others come.
f.hear(f.c.ok("NOOP"))
writer.ok("STORE 1:8 +FLAGS.SILENT (\\Deleted)")
writer.ok("EXPUNGE")
for n in range(6):
    writer.append("INBOX", message(n))
f.hear(f.c.ok("FETCH 12 (UID)"))
f.check("new ones beside those whose end is not told yet")
f.c.close()
g.c.close()

# ---- bounds --------------------------------------------------------------------------------------------------------
c = Raw(sb, login=1)
c.ok("SELECT INBOX")
for bad in ("SORT RETURN (UPDATE UPDATE) (SIZE) UTF-8 ALL", "SORT RETURN (UPDATE (NOTHING)) (SIZE) UTF-8 ALL", "SORT RETURN (UPDATE (UID) (SIZE) UTF-8 ALL"):
    ok(c.tagged(bad).startswith(b"BAD"), f"BAD: {bad}")
c.send(b"same SORT RETURN (UPDATE COUNT) (SIZE) UTF-8 SEEN\r\nsame SORT RETURN (UPDATE COUNT) (SIZE) UTF-8 SEEN\r\n")
is_([c.finish(b"same")[1][:3] for _ in range(2)], [b"OK ", b"BAD"], "a tag is that of one")
ok(any(b"NOUPDATE" in l for l in c.ok("SORT RETURN (UPDATE COUNT) (SIZE) UTF-8 1:3")), "numbers that change their meaning are not followed")
c.close()


def mailbox(user, size):
    w, r = Raw(sb, login=user), Raw(sb, login=user)
    w.append("INBOX", b"Subject: first\r\n\r\nx\r\n")
    w.ok("SELECT INBOX")
    have = 1
    while have < size:
        w.ok(f"COPY 1:{min(have, size - have)} INBOX")
        have = min(size, have * 2)
    r.ok("SELECT INBOX")
    return w, r


w, r = mailbox(4, 40000)
is_([l for l in r.ok("UID SORT RETURN (UPDATE COUNT) (SUBJECT) UTF-8 ALL") if b"NOUPDATE" in l], [], "40,000 messages are followed")
ok(any(b"NOUPDATE" in l for l in r.ok("UID SORT RETURN (UPDATE COUNT) (SIZE) UTF-8 ALL")), "but not 40,000 twice")
w.ok("STORE 1:5000 +FLAGS.SILENT (\\Flagged)")
is_([l for l in r.ok("UID SORT RETURN (UPDATE COUNT) (SIZE) UTF-8 UNFLAGGED SMALLER 2") if b"NOUPDATE" in l], [], "an empty one can be")
w.ok("COPY 1:3000 INBOX")
lines = r.ok("NOOP") + r.ok("NOOP")
ok(any(re.match(rb'\* NO \[NOUPDATE "\w+"\] Sorted results are too long', l) for l in lines), "3,000 that come at once end it") or tm.diag([l[:80] for l in lines])


# ---- what a change costs ----------------------------------------------------------------------------------------------
def cost(w, r):
    at = tm.cpu(worker)
    for k in range(40):
        w.append("INBOX", b"Subject: %d\r\n\r\nx\r\n" % k)
        if not any(b"ADDTO" in l for l in r.ok("NOOP")):
            ok(False, "it is told")
    return tm.cpu(worker) - at


small, large = mailbox(2, 300), mailbox(3, 30000)
for _, r in (small, large):
    r.ok("UID SORT RETURN (UPDATE COUNT) (SUBJECT DATE) UTF-8 ALL")


def sorted_all(r):
    at = tm.cpu(worker)
    r.ok("UID SORT RETURN (COUNT) (SUBJECT DATE) UTF-8 ALL")
    return tm.cpu(worker) - at


little, much = cost(*small), tm.least(lambda: cost(*large), 0.0, 3)
whole = sorted_all(large[1])
ok(much / 40 < whole / 3, "a new message costs its place, not the order") or tm.diag((little, much, whole))
tm.diag(f"40 messages: {little:.3f} s of the worker with 300 in the order, {much:.3f} s with 30,000, which take {whole:.3f} s to sort")
tm.done()
