#!/usr/bin/env python3
"""What a session is told about changes: to whom \\Recent goes, where HIGHESTMODSEQ comes, that names of
flags come before flags, and that watchers of one mailbox all hear the same."""
import re, threading
import tm
from imapraw import Raw

sb = tm.Sandbox("--users", "6", "--without", "lmtpd", "--without", "jobctl", "--without", "smtp-relay",
                "--set", "imapd.limit.per_user=200")
MESSAGE = "Subject: x\r\n\r\nhello\r\n"

# ---- HIGHESTMODSEQ (RFC 7162 3.1) ---------------------------------------------------------
a = Raw(sb, login=1)
for _ in range(3):
    a.append("INBOX", MESSAGE)
for what in ("ENABLE CONDSTORE", "FETCH 1 (MODSEQ)", "FETCH 1 (FLAGS) (CHANGEDSINCE 1)",
             "STORE 1 (UNCHANGEDSINCE 1) +FLAGS (\\Seen)", "SEARCH MODSEQ 1", "STATUS Trash (HIGHESTMODSEQ)",
             'LIST "" INBOX RETURN (STATUS (HIGHESTMODSEQ))'):
    c = Raw(sb, login=1)
    c.ok("SELECT INBOX")
    lines = c.cmd(what)[0]
    tm.is_(len([l for l in lines if b"[HIGHESTMODSEQ " in l]), 1, f"{what}: tells HIGHESTMODSEQ")
    lines = c.cmd("FETCH 1 (MODSEQ)")[0]
    tm.is_(len([l for l in lines if b"[HIGHESTMODSEQ " in l]), 0, "and the next command does not again")
    c.close()

# ---- \Recent ------------------------------------------------------------------------------
both = worst = 0
w = [Raw(sb, login=2), Raw(sb, login=2)]
for c in w:
    c.ok("SELECT INBOX")
a = Raw(sb, login=2)
for n in range(10):
    for c in w:
        c.start("IDLE")
        c.line()
    a.append("INBOX", MESSAGE)
    recent = []
    for c in w:
        while True:
            l = c.line()
            if b"RECENT" in l:
                recent.append(int(l.split()[1]))
                break
    status = int(re.search(rb"RECENT (\d+)", a.ok("STATUS INBOX (RECENT)")[0])[1])
    for c in w:
        c.send("DONE\r\n")
        c.finish()
    flags = [b"\\Recent" in c.ok("FETCH * (FLAGS)")[0] for c in w]
    both += sum(flags) != 1
    worst = max(worst, status)
tm.is_(both, 0, "of two that idle, one gets \\Recent, ten times")
tm.is_(worst, 0, "and STATUS RECENT knows that it has it")

# ---- own STORE with a new keyword ------------------------------------------------------------
c = Raw(sb, login=1)
c.ok("SELECT INBOX")
kinds = [re.sub(rb"^\* (\d+ )?(OK \[)?(\w+).*", rb"\3", l).decode() for l in c.ok("STORE 1:3 +FLAGS (newone)")]
tm.is_(kinds, ["FLAGS", "PERMANENTFLAGS", "FETCH", "FETCH", "FETCH"], "STORE of a new keyword: its name comes first")

# ---- watchers ----------------------------------------------------------------------------------
c = Raw(sb, login=3)
c.append("INBOX", MESSAGE)
c.ok("SELECT INBOX")
n = 1
while n < 3000:
    k = min(n, 3000 - n)
    c.ok(f"UID COPY 1:{k} INBOX")
    c.ok("NOOP")
    n += k
watch = [Raw(sb, login=3) for _ in range(30)]
for x in watch:
    x.ok("SELECT INBOX")
    x.start("IDLE")
    x.line()
for uid in (1, 1500, 3000):
    c.ok(f"UID STORE {uid} +FLAGS (\\Flagged)")
told = [[x.line() for _ in range(3)] for x in watch]
tm.is_([t for t in told if [int(l.split()[1]) for l in t] != [1, 1500, 3000]], [], "30 watchers hear of three changes")
c.ok("UID STORE 1:2500 +FLAGS.SILENT (\\Deleted)")
told = [[x.line() for _ in range(2500)] for x in watch]
tm.is_([len(t) for t in told if not all(b"\\Deleted" in l for l in t)], [], "and of 2,500 at once")
c.ok("EXPUNGE")
gone = [[x.line() for _ in range(2500)] for x in watch]
tm.is_([t[:2] for t in gone if [int(l.split()[1]) for l in t] != list(range(2500, 0, -1))], [], "and that they are expunged")
c.ok("UID STORE 2600 +FLAGS (later)")
told = [[x.line() for _ in range(3)] for x in watch]
tm.is_([t for t in told if not (b" FLAGS " in t[0] and b"* 100 FETCH" in t[2])], [], "with the new numbers afterwards")

# ---- one that does not read ---------------------------------------------------------------------
c = Raw(sb, login=4)
c.append("INBOX", MESSAGE)
c.ok("SELECT INBOX")
n = 1
while n < 40000:
    k = min(n, 40000 - n)
    c.ok(f"UID COPY 1:{k} INBOX")
    c.ok("NOOP")
    n += k
x = Raw(sb, login=4)
x.ok("SELECT INBOX")
c.ok("UID STORE 1:* +FLAGS.SILENT (\\Deleted)")
c.ok("NOOP")
tm.is_(len(c.ok("EXPUNGE")), 40000, "40,000 EXPUNGEs of one's own")
x.start("NOOP")
tm.ok(Raw(sb, login=5).tagged("NOOP").startswith(b"OK"), "while one does not read them others are served")
lines = x.finish()[0]
tm.is_(len([l for l in lines if b"EXPUNGE" in l]), 40000, "who reads them later gets all of them")
tm.done()
