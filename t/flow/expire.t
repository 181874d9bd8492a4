#!/usr/bin/env python3
"""storectl expire: what the rules take goes, and nothing else; a dry run says the same; a mistake in a rule expires
nothing; nobody waits; two partitions at a time.  TM_EXPIRE messages are in the large mailbox (`make soak`: a million)."""
import datetime, imaplib, json, os, re, socket, threading, time
import pace, tm
from imapraw import Raw

LARGE = int(os.environ.get("TM_EXPIRE", "40000"))
sb = tm.Sandbox("--users", "6", "--without", "lmtpd", "--without", "jobctl", "--without", "smtp-relay", "--without", "pop3d",
                "--set", "stored.cleanup_age=1h", "--set", "imapd.workers=1")
RULES = sb.conf("store.expirerule")
NOW = datetime.datetime.now(datetime.timezone.utc)


def name(n):
    return f"{sb.user(n)}@{sb.domain}"


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as f:
        f.write(text)


def add(user, folder, *messages):
    """Messages as (days, size, flags, subject)."""
    c = sb.imap(user)
    c.create(folder)
    for days, size, flags, subject in messages:
        text = f"From: a@b.test\r\nSubject: {subject}\r\nX-Kind: {subject} sort\r\n\r\n".encode()
        text += b"x" * max(0, size - len(text) - 2) + b"\r\n"
        when = imaplib.Time2Internaldate(NOW - datetime.timedelta(days=days, hours=1))
        typ, data = c.append(folder, flags or None, when, text)
        if typ != "OK":
            tm.ok(False, f"APPEND: {data}")
    c.logout()


def uids(user, folder):
    c = sb.imap(user)
    if c.select(f'"{folder}"', readonly=True)[0] != "OK":
        return None
    found = [int(u) for u in c.uid("SEARCH", "ALL")[1][0].split()]
    c.logout()
    return found


def expire(*args):
    """(exit code, lines as objects without the summary, summary, standard error)"""
    r = sb.tool("storectl", "expire", "--json", *args)
    lines = [json.loads(l) for l in r.stdout.splitlines()]
    rows = sorted((l["account"], l["folder"], l["rule"], l["action"], l.get("uid", 0), l["messages"], l["bytes"])
                  for l in lines if "summary" not in l)
    return r.returncode, rows, next((l for l in lines if "summary" in l), None), r.stderr


def both(*args):
    """A dry run and then the real one, which must say the same."""
    dry, real = expire("--dry-run", *args), expire(*args)
    tm.is_(dry[:3], real[:3], "the dry run says what the real run does")
    return real


A = name(1)
# ---- every criterion, each in a folder of its own
CASES = [  # folder, rule, messages, UIDs that stay
    ("days", "messagedays: 30", [(40, 0, "", ""), (30, 0, "", ""), (29, 0, "", "")], [3]),
    ("count", "messagecount: 2", [(1, 0, "", "")] * 4, [3, 4]),
    ("size", "foldersize: 1000", [(1, 500, "", ""), (1, 500, "", ""), (1, 500, "", "")], [2, 3]),
    ("large", "messagesize: 2k", [(1, 2048, "", ""), (1, 2049, "", "")], [1]),
    ("seen", "seen: and", [(1, 0, "\\Seen", ""), (1, 0, "", "")], [2]),
    ("unseen", "seen: no", [(1, 0, "\\Seen", ""), (1, 0, "", "")], [1]),
    ("gone", "deleted: and", [(1, 0, "\\Deleted", ""), (1, 0, "", "")], [2]),
    ("subject", "messageheader.Subject: WIN", [(1, 0, "", "you win"), (1, 0, "", "you lose"), (1, 0, "", "=?utf-8?q?w=69n?=")], [2]),
    ("kind", "messageheader.X-Kind: win sort", [(1, 0, "", "win"), (1, 0, "", "win some")], [2]),
    ("both", "messagedays: 30\nR.seen: and\nR.messagesize: 1k", [(40, 2000, "\\Seen", ""), (40, 2000, "", ""), (20, 2000, "\\Seen", ""),
                                                                 (40, 100, "\\Seen", "")], [2, 3, 4]),
    ("saved", "savedays: 1", [(40, 0, "", "")], [1]),
    ("grace", "messagesize: 1k\nR.messagesizedays: 1", [(40, 2000, "", "")], [1]),
]
for folder, rule, messages, left in CASES:
    add(1, folder, *messages)
write(RULES, "".join(f"{f}.folderpattern: user/%/{f}\n" + rule.replace("R.", f"{f}.").join([f"{f}.", "\n"]) for f, rule, _, _ in CASES))
rc, rows, total, err = both()
tm.is_(rc, 0, "the rules of all criteria") or tm.diag(err)
for folder, rule, messages, left in CASES:
    tm.is_(uids(1, folder), left, rule.replace("\n", ", "))
    tm.is_([r[5] for r in rows if r[1] == folder], [len(messages) - len(left)] if len(messages) > len(left) else [], "and is told")
tm.is_(total["discarded"], sum(len(m) - len(l) for _, _, m, l in CASES), "all of them in the summary")
tm.is_(expire()[1], [], "another run has nothing to do")
log = [l for l in sb.tool("storectl", "-q", "expire").stderr.splitlines() if "ev=expire_done" in l]
tm.ok(log and "accounts=" in log[0] and "discarded=0" in log[0], "an event sums up") or tm.diag(log)

# ---- actions
add(2, "Old", (40, 0, "\\Flagged", "a"), (40, 0, "", "b"), (1, 0, "", "c"))
write(RULES, "M.folderpattern: user/%/Old\nM.messagedays: 30\nM.action: fileinto:Kept/Deep\n"
             "N.folderpattern: user/%/Kept/*\nN.messagedays: 30\nQ.folderpattern: user/%/Old\nQ.seen: no\nQ.action: report\n")
r = sb.tool("storectl", "expire", "--dry-run", name(2))
tm.ok(f"{name(2)}\tOld\tM\tfileinto\t2\t" in r.stdout and "to be 0 discarded, 2 moved" in r.stdout, "in words") or tm.diag(r.stdout + r.stderr)
rc, rows, total, err = both(name(2))
tm.is_([r[:4] + r[4:6] for r in rows], [(name(2), "Old", "M", "fileinto", 0, 2), (name(2), "Old", "Q", "report", 3, 1)], "one goes elsewhere, one is reported")
tm.is_((uids(2, "Old"), uids(2, "Kept/Deep")), ([3], [1, 2]), "in a folder that was made; and what has come there stays in this run")
c = sb.imap(2)
c.select("Kept/Deep")
tm.ok(b"\\Flagged" in c.fetch("1", "FLAGS")[1][0], "with its flags")
c.logout()
rc, rows, total, err = both(name(2))
tm.is_(uids(2, "Kept/Deep"), [], "the next run judges it there")
r = sb.tool("storectl", "-q", "expire", name(2))
tm.is_(r.stdout, "", "-q prints nothing")

# ---- whose rules: exclusive ones, those of a partition, a user, a folder, a person
own = os.path.join(sb.dir, "own")
os.makedirs(own)
with open(sb.conf("stored.conf")) as f:
    text = f.read()
write(sb.conf("stored.conf"), f"expire_users = {own}\n" + text)
for n in (3, 4):
    for f in ("One", "Two", "Three", "Four", "Five"):
        add(n, f, *[(d, 0, "", "") for d in (50, 40, 30, 20, 10)])
write(RULES, "G.folderpattern: user/*\nG.messagedays: 45\n")
write(RULES + ".d/partition/primary", "P.folderpattern: user/*/Two\nP.messagedays: 35\n")
write(f"{RULES}.d/user/{name(3)}", "U.folderpattern: T%\nU.messagedays: 25\nX.folderpattern: Four\nX.exclusive: 1\nX.messagedays: 48\n"
                                   "[folder Four]\nF.exclusive: yes\nF.messagedays: 15\n")
write(f"{own}/{name(3)}", "O.folderpattern: Five\nO.messagedays: 5\n")
write(f"{own}/{name(4)}", "O.folderpattern: user/*\nO.messagedays: x\n")
write(f"{RULES}.d/user/.hidden", "nonsense\n")
write(f"{RULES}.d/user/joe~", "nonsense\n")
rc, rows, total, err = both()
tm.is_(rc, 1, "a person's mistake is told")
tm.ok(f"{own}/{name(4)}:2: expected a number of days" in err, "with its place") or tm.diag(err)
tm.is_([len(uids(4, f)) for f in ("One", "Five")], [5, 5], "and nothing of that account goes")
tm.is_([len(uids(3, f)) for f in ("One", "Two", "Three", "Four", "Five")], [4, 2, 2, 1, 0],
       "for all, for a partition, a user, a folder (the last exclusive one), a person's own")
os.unlink(f"{own}/{name(4)}")
os.symlink(f"{own}/{name(3)}", f"{own}/{name(4)}")
tm.is_(expire(name(4))[0], 1, "a symbolic link is not followed")
os.unlink(f"{own}/{name(4)}")
os.mkfifo(f"{own}/{name(4)}")
tm.is_(expire(name(4))[0], 1, "a pipe is not waited for")
os.unlink(f"{own}/{name(4)}")
write(f"{own}/{name(4)}", f"O.folderpattern: user/{name(3)}/*\nO.messagecount: 1\nE.seen: no\nE.exclusive: 1\n")
rc, rows, total, err = expire(name(4))
tm.ok(rc == 1 and "cannot be exclusive" in err, "nobody keeps the site's rules away")
write(f"{own}/{name(4)}", f"O.folderpattern: user/{name(3)}/*\nO.messagecount: 1\n")
before = uids(3, "Two")
rc, rows, total, err = both()
tm.is_(rc, 0, "a rule for somebody else's folders") or tm.diag(err)
tm.is_(uids(3, "Two"), before, "has no effect there")

# ---- mistakes of the site
before = uids(4, "Five")
for path, text, why in ((RULES, "G.folderpattern: user/*\nG.messagecount: 1\nG.mesagedays: 3\n", f"{RULES}:3: there is no attribute"),
                        (f"{RULES}.d/user/{name(1)}", "\nA.seen: or\n", f"{RULES}.d/user/{name(1)}:2: all criteria"),
                        (f"{RULES}.d/partition/none", "A.folderpattern: user/*\nA.seen: and\n", "no such partition")):
    kept = open(RULES).read()
    write(RULES, "G.folderpattern: user/*\nG.messagecount: 1\n")
    write(path, text)
    rc, rows, total, err = expire()
    tm.is_((rc, rows), (78, []), "a mistake of the site")
    tm.ok(why in err and "nothing is expired" in err, "is told with its place") or tm.diag(err)
    tm.is_(uids(4, "Five"), before, "and nothing is expired")
    if path != RULES:
        os.unlink(path)
    write(RULES, kept)
tm.is_(expire("-p", "none")[0], 64, "no such partition")
tm.is_(sb.tool("storectl", "expire", "--rate", "x").returncode, 64, "a rate that is none")

# ---- a mailbox of many messages, while somebody else is at work
for path in (f"{own}/{name(3)}", f"{own}/{name(4)}", f"{RULES}.d/user/{name(3)}", f"{RULES}.d/partition/primary"):
    os.unlink(path)
add(5, "Many", (50, 0, "", ""), (40, 0, "\\Seen", ""))
c = sb.imap(5)
c.select("Many")
n = 2
while n < LARGE:
    more = min(n, LARGE - n)
    tm.is_(c.copy(f"1:{more}", "Many")[0], "OK", f"{n + more} messages") if n + more == LARGE else c.copy(f"1:{more}", "Many")
    n += more
c.logout()
bomb = "user/*" + "a*a%" * 240
write(RULES, f"B.folderpattern: {bomb}\nB.messagedays: 1\nL.folderpattern: user/%/Many\nL.messagedays: 30\nL.seen: and\nL.messagecount: 100\n"
             "H.folderpattern: user/%/Many\nH.messagedays: 1\nH.messagecount: 300\n")
dry = expire("--dry-run", name(5))
waits, over = [], threading.Event()


def other():
    c = sb.imap(6)
    c.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)    # else imaplib's line end behind a literal waits 40 ms for an ACK
    while not over.is_set():
        w = tm.Stopwatch()
        c.append("INBOX", None, None, b"Subject: x\r\n\r\nx\r\n")
        waits.append(w.took())
    c.logout()


t = threading.Thread(target=other)
t.start()
beside = pace.Pace()
began = beside.mark()
watch = tm.Stopwatch()
real = expire(name(5))
took = watch.took()
slow = beside.since(began)
over.set()
t.join()
tm.is_(dry[:3], real[:3], f"the dry run says what the real run does on {LARGE} messages") or tm.diag(real[3])
left = uids(5, "Many")
tm.is_(len(left), 300, "the newest stay")
tm.is_(real[2]["discarded"], LARGE - 300, "all others go")
waits.sort()
tm.diag(f"{LARGE - 300} messages in {took:.1f} s; {len(waits)} APPENDs of another user meanwhile: "
        f"median {waits[len(waits) // 2] * 1000:.1f} ms, the 99th of 100 {waits[len(waits) * 99 // 100] * 1000:.1f} ms, worst {waits[-1] * 1000:.1f} ms")
# One turn for all would be a wait as long as the whole; a busy disk makes each slice longer, and the whole with it.
often = waits[len(waits) // 2 if len(waits) < 100 else len(waits) * 95 // 100]
tm.ok(often < max(0.05 * slow, took / 8),
      f"others wait 50 ms at most on a quiet machine, {often * 1000:.0f} ms of {took * 1000:.0f} on this one, {slow:.1f} times slower")
check = sb.tool("storectl", "check")
tm.ok(check.returncode == 0, "the store agrees with itself") or tm.diag(check.stdout)

# ---- slowly
write(RULES, "L.folderpattern: user/%/Many\nL.messagecount: 100\n")
began = time.monotonic()
tm.is_(expire("--rate", "200", name(5))[2]["discarded"], 200, "with a rate")
tm.ok(time.monotonic() - began >= 0.9, "it takes its time")

# ---- stored goes, and comes back
write(RULES, "L.folderpattern: user/%/Many\nL.messagecount: 1\n")
sb.kill("stored")
rc, rows, total, err = expire()
tm.ok(rc == 69 and total["failed"] == 1 and not rows, "without stored it says so") or tm.diag((rc, rows, total, err))
tm.is_(expire("--dry-run")[0], 0, "a dry run needs it not")
sb.restart("stored")
sb.restart("imapd")
tm.is_(both()[0], 0, "and the next run has it")
tm.is_(len(uids(5, "Many")), 1, "all")

# ---- two partitions at a time
with open(sb.conf("stored.conf")) as f:
    text = f.read()
write(sb.conf("stored.conf"), "default_partition = second\n" + text + "\n[partition primary]\n")
for d in ("stored", "imapd"):
    tm.ok(sb.restart(d), f"{d} with a second partition")
r = sb.tool("storectl", "list")
tm.ok(" second " not in r.stdout, "nobody is in it yet")
add("postmaster", "Many", *[(1, 0, "", "")] * 5)
add(5, "Many", *[(1, 0, "", "")] * 5)
write(RULES, "L.folderpattern: user/*/Many\nL.messagecount: 2\n")
r = sb.tool("storectl", "expire", "--json", "--dry-run")
tm.is_(sorted(json.loads(l)["partition"] for l in r.stdout.splitlines() if "partition" in l), ["primary", "second"], "both have something")
tm.is_(both("-p", "second")[2]["discarded"], 3, "one of them")
tm.is_(both()[2]["discarded"], 4, "and the rest")
tm.done()
