#!/usr/bin/env python3
"""imapd: REPLACE (RFC 8508): what other sessions see, who wins, quota, and that stored's death in the middle
shows either the old message or the new one, never both and never none."""
import os, random, re, threading
import tm
from imapraw import Raw

seed = int(os.environ.get("SEED", random.randrange(10**6)))
rnd = random.Random(seed)
KILLS, LIMIT = 8, 20
sb = tm.Sandbox("--users", "4", "--without", "lmtpd", "--without", "jobctl", "--without", "smtp-relay", "--set", "imapd.workers=2",
                "--set", "tiermail.quota.bytes=64K", "--set", f"tiermail.quota.messages={LIMIT}")
ok, is_ = tm.ok, tm.is_


def mail(n, size=100):
    return b"Subject: %d\r\n\r\n" % n + b"x" * size + b"\r\n"


def replace(c, which, message, box="INBOX", uid=""):
    c.send(b"r %sREPLACE %s %s {%d+}\r\n%s\r\n" % (uid.encode(), str(which).encode(), box.encode(), len(message), message))
    return c.finish(b"r")


def subjects(c, box="INBOX"):
    return [int(n) for n in re.findall(rb'ENVELOPE \(NIL "(\d+)"', b"".join(c.ok("FETCH 1:* ENVELOPE")))]


# ---- what others see --------------------------------------------------------------------------------------
a, b, watcher = (Raw(sb, login=1) for _ in range(3))
for n in range(3):
    a.append("INBOX", mail(n))
for c in (a, b, watcher):
    c.ok("SELECT INBOX")
watcher.ok("ENABLE QRESYNC")
watcher.start("IDLE")
watcher.response()
told, tagged = replace(a, 2, mail(10))
ok(tagged.startswith(b"OK"), "one message for another")
is_([re.sub(rb"APPENDUID \d+", b"APPENDUID V", t) for t in told[:3]], [b"* OK [APPENDUID V 4] Replacement is stored", b"* 2 EXPUNGE", b"* 3 EXISTS"],
   "its UID is told before the other goes")
is_([watcher.response() for _ in range(2)], [b"* VANISHED 2", b"* 3 EXISTS"], "a session in IDLE is told of both together")
watcher.send("DONE\r\n")
watcher.finish()
ok(b.tagged("FETCH 2 (FLAGS)").startswith(b"NO [EXPUNGEISSUED]"), "another that does not know yet")
is_(replace(b, 2, mail(11))[1], b"NO [EXPUNGEISSUED] The message to be replaced is not there", "cannot replace the same again")
is_(re.findall(rb"MESSAGES (\d+) UIDNEXT (\d+)", b.ok("STATUS INBOX (MESSAGES UIDNEXT)")[0]), [(b"3", b"5")], "and nothing of it is stored")
is_(subjects(b), [0, 2, 10], "all see the new one")
old = a.ok("FETCH 3 (EMAILID)")
replace(a, 3, mail(10))
ok(a.ok("FETCH 3 (EMAILID)") != old, "the same bytes again are another message (RFC 8474)")
b.ok("NOOP")
threads = [threading.Thread(target=replace, args=(c, 1, mail(20 + i))) for i, c in enumerate((a, b))]
for t in threads:
    t.start()
for t in threads:
    t.join()
a.ok("NOOP")
left = subjects(a)
is_((len(left), sorted(left)[:2]), (3, [2, 10]), "of two at once one wins") or tm.diag(left)
watcher.ok("CREATE Away")
watcher.ok("NOOP")
uid = int(re.search(rb"UID (\d+)", watcher.ok("FETCH 1 (UID)")[0]).group(1))
ok(replace(watcher, uid, mail(30), "Away", "UID ")[1].startswith(b"OK [HIGHESTMODSEQ"), "into another mailbox")
a.ok("DELETE Away")
watcher.ok("NOOP")
ok(replace(watcher, 1, mail(31), "Away")[1].startswith(b"NO [TRYCREATE]"), "into one that is gone")
watcher.ok("DELETE Archive")
c = Raw(sb, login=1)
c.ok("CREATE Gone")
c.append("Gone", mail(1))
c.ok("SELECT Gone")
a.ok("DELETE Gone")
try:
    lines, tagged = replace(c, 1, mail(2))
except EOFError:
    lines, tagged = [b"* BYE"], b"NO"
ok(tagged.startswith(b"NO") and any(l.startswith(b"* BYE") for l in lines), "out of one that is gone") or tm.diag((lines, tagged))
is_(len(subjects(a)), 2, "nothing has come for that")
for c in (a, b, watcher):
    c.close()

# ---- quota ------------------------------------------------------------------------------------------------
c = Raw(sb, login=2)
for n in range(LIMIT):
    c.append("Drafts", mail(n, 3000))
ok(c.append("Drafts", mail(99))[1].startswith(b"NO [OVERQUOTA]"), "no message more")
c.ok("SELECT Drafts")
ok(replace(c, 1, mail(100, 3000), "Drafts")[1].startswith(b"OK"), "but another one instead")
ok(replace(c, 1, mail(101, 10), "Drafts")[1].startswith(b"OK"), "and a smaller one")
before = c.ok("STATUS Drafts (MESSAGES UIDNEXT)")
ok(replace(c, 1, mail(102, 20000), "Drafts")[1].startswith(b"NO [OVERQUOTA]"), "not one that is too large")
url = b'URL "/Drafts/;UID=3"'              # of 3 KB; 57 KB of 64 are used
for verb, copies in ((b"APPEND", 3), (b"REPLACE 2", 4)):
    c.send(b"c %s Drafts CATENATE (%s TEXT {1}\r\n" % (verb, b" ".join([url] * copies)))
    is_(c.finish(b"c")[1], b"NO [OVERQUOTA] The mailbox is full", f"{verb.decode()} is told so before anything is copied that URLs name")
c.send(b"c REPLACE 2 Drafts CATENATE (%s TEXT {1+}\r\nx)\r\n" % b" ".join([url] * 3))
got = c.finish(b"c")[1]
ok(got.startswith(b"OK"), "what it replaces counts") or tm.diag(got)
c.send(b"c REPLACE 5 Drafts CATENATE (%s TEXT {1+}\r\nx)\r\n" % url)
ok(c.finish(b"c")[1].startswith(b"OK"), "and one as large as it")
before = [re.sub(rb"UIDNEXT (\d+)", lambda m: b"UIDNEXT %d" % (int(m[1]) + 2), before[0])]
is_(c.ok("STATUS Drafts (MESSAGES UIDNEXT)"), before, "then all is as it was")
c.ok("STORE 1:* +FLAGS.SILENT (\\Deleted)")
c.ok("EXPUNGE")
is_(re.findall(rb"STORAGE (\d+) .*?MESSAGE (\d+) ", c.ok("GETQUOTAROOT Drafts")[1]), [(b"0", b"0")], "what is counted agrees")
c.close()

# ---- byte by byte -------------------------------------------------------------------------------------------
c = Raw(sb, login=3, step=1)
c.append("INBOX", mail(1))
c.ok("SELECT INBOX")
ok(replace(c, 1, mail(2))[1].startswith(b"OK"), "byte by byte")
is_(subjects(c), [2], "the same")
c.send("r REPLACE 1 INBOX {100}\r\n")
c.response()
c.send(b"half of it")
c.close()
c = Raw(sb, login=3)
c.ok("SELECT INBOX")
is_(subjects(c), [2], "a connection that breaks in the message changes nothing")
c.close()

# ---- a kill in the middle -------------------------------------------------------------------------------------
tm.diag(f"SEED={seed}")
c = Raw(sb, login=4)
c.append("INBOX", mail(0))
OTHER = 10**9                               # above what n comes to on the fastest host
c.append("INBOX", mail(OTHER))
told, bad, n = 0, [], 0
for kill in range(KILLS):
    timer = threading.Timer(rnd.random() * 0.02, sb.kill, ("stored",))
    sent, killed = told, False
    try:
        c.ok("SELECT INBOX")
        timer.start()
        while True:
            n += 1
            sent = n
            number = 1 + subjects(c).index(told)
            if not replace(c, number, mail(n))[1].startswith(b"OK"):
                break
            told = n
    except (EOFError, OSError, ValueError):
        pass
    timer.join()
    c.close()
    sb.restart("stored")

    def back():
        global c
        c = Raw(sb, login=4)
        return c.tagged("SELECT INBOX").startswith(b"OK") and c.append("Sent", mail(0))[1].startswith(b"OK")
    if not tm.wait_for(back):
        bad.append("stored does not come back")
        break
    c.ok("SELECT Sent")
    c.ok("STORE 1:* +FLAGS.SILENT (\\Deleted)")
    c.ok("CLOSE")
    c.ok("SELECT INBOX")
    here = sorted(subjects(c))
    if len(here) != 2 or here[1] != OTHER or here[0] not in (told, sent):
        bad.append((kill, here, told, sent))
    told = here[0]
is_(bad, [], f"after each of {KILLS} kills there is the old message or the new one") or tm.diag(bad)
ok(told > KILLS, "and many were replaced") or tm.diag(told)
c.close()
check = sb.tool("storectl", "check")
is_(check.returncode, 0, "the store is whole") or tm.diag(check.stdout + check.stderr)
tm.done()
