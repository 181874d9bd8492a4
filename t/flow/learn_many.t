#!/usr/bin/env python3
"""While the filter that learns is away, very many accounts with something for it, and one with very much, hold up nobody
else's scripts."""
import os, sys

sys.path[:0] = [os.path.dirname(os.path.abspath(__file__))]
import tm
from imapraw import Raw

MANY = 70           # accounts
FLOOD = 10500       # things that have happened in one
GLOBAL = os.path.join(tm.tempdir(), "global")
os.makedirs(GLOBAL)
os.chmod(os.path.dirname(GLOBAL), 0o755)
with open(f"{GLOBAL}/train.sieve", "w") as f:
    f.write('require ["imapsieve", "fileinto", "mailbox", "copy"];\nfileinto :copy :create "trained";\n')
sb = tm.Sandbox("--users", str(MANY + 2), "--set", f"lmtpd.sieve.global={GLOBAL}", "--set", "imapd.imapsieve.junk=train", "--set", "stored.events=junk",
                "--set", f"imapd.learn.address=127.0.0.1:{tm.free_port()}",
                *(w for d in ("pop3d", "mmpd", "memd", "jmapd", "sieved", "smtp-relay") for w in ("--without", d)))


def append(user):
    c = Raw(sb, login=user)
    data = b"From: a@b.test\r\nSubject: x\r\n\r\nhello\r\n"
    c.ok(b"APPEND INBOX {%d+}\r\n" % len(data) + data)
    if not any(l.endswith(b'" Junk') for l in c.ok('LIST "" *')):
        c.ok("CREATE Junk")
    c.ok("SELECT INBOX")
    return c


def trained(n):
    try:
        return sb.count(n, "trained")
    except ValueError:      # there is no such folder yet
        return 0


for user in range(1, MANY + 1):
    append(user).ok("UID MOVE 1 Junk")
c = append(MANY + 1)
c.ok("UID MOVE 1 Junk")
tm.ok(tm.wait_for(lambda: trained(MANY + 1) == 1, seconds=20, what="the script"), f"{MANY} accounts wait for the filter, and one more has its script run")
c = append(1)
for i in range(0, FLOOD, 250):
    c.send(b"".join(b"f%d UID COPY 2 Junk\r\n" % k for k in range(i, i + 250)))
    while not c.line().startswith(b"f%d " % (i + 249)):
        pass
c = append(MANY + 2)
c.ok("UID MOVE 1 Junk")
tm.ok(tm.wait_for(lambda: trained(MANY + 2) == 1, seconds=20, what="the script"), f"so it has behind one account's {FLOOD} things that wait")
tm.is_(trained(1), 1, "which wait in their order")
tm.done()
