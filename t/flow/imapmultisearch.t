#!/usr/bin/env python3
"""imapd: MULTISEARCH (RFC 7377): many mailboxes, what others notice, and what happens when mailboxes go, are damaged, or
the session ends in the middle.  The exchanges themselves are in t/fixtures/transcripts/imap-multisearch."""
import glob, os, re
import tm
from imapraw import Raw

BOXES = 400
sb = tm.Sandbox("--users", "4", "--without", "lmtpd", "--without", "jobctl", "--without", "smtp-relay", "--set", "imapd.workers=1")
ok, is_ = tm.ok, tm.is_


def found(lines):
    """{mailbox: uids} of what is told"""
    out = {}
    for l in lines:
        m = re.match(rb'\* ESEARCH \(TAG "[^"]*" MAILBOX ("[^"]*"|\S+) UIDVALIDITY \d+\) UID(?: ALL (\S+))?', l)
        if m:
            out[m[1].strip(b'"').decode()] = (m[2] or b"").decode()
    return out


# ---- many -----------------------------------------------------------------------------------------------------
a = Raw(sb, login=1)
for n in range(BOXES):
    a.ok(f"CREATE Box/{n:03}")
    if n % 4 == 0:
        a.append(f"Box/{n:03}", b"Subject: box %d\r\n\r\nneedle\r\n" % n)
some = {f"Box/{n:03}": "1" for n in range(0, BOXES, 4)}
is_(found(a.ok("ESEARCH IN (personal) SUBJECT box")), some, f"{BOXES} mailboxes, answered from the index")
is_(found(a.ok("ESEARCH IN (subtree Box) BODY needle")), some, "and from the files")
is_(found(a.ok("ESEARCH IN (subtree Box mailboxes (Box/000 Box/004) personal) SUBJECT \"box 4\"")), {f"Box/{n:03}": "1" for n in range(0, BOXES, 4)
    if b"box 4" in b"box %d" % n}, "each is told once, however often it is named")
names = " ".join(f"Box/{n:03}" for n in range(0, BOXES, 40))
is_(found(a.ok(f"ESEARCH IN (mailboxes ({names})) ALL")), {f"Box/{n:03}": "1" for n in range(0, BOXES, 40)}, "by their names")
ok(a.tagged(f"ESEARCH IN (mailboxes ({' '.join(['x'] * 1025)})) ALL").startswith(b"BAD"), "not any number of names")
a.ok("ENABLE CONDSTORE")
told = [l for l in a.ok("ESEARCH IN (subtree Box) MODSEQ 1") if b"ESEARCH" in l]
ok(len(told) == len(some) and all(re.search(rb" MODSEQ \d+$", l) for l in told), "MODSEQ is told for each")
c = Raw(sb, login=1, step=1)
is_(found(c.ok("ESEARCH IN (inboxes subtree Box) SUBJECT box")), some, "byte by byte")
c.close()

# ---- the selected one -------------------------------------------------------------------------------------------
a.ok("SELECT Box/000")
b = Raw(sb, login=1)
b.append("Box/000", b"Subject: new\r\n\r\nx\r\n")
lines = a.ok("ESEARCH IN (selected) SUBJECT new")
is_((found(lines), b"* 2 EXISTS" in lines), ({"Box/000": "2"}, True), "what has just come is found, and told before")
b.ok("SELECT Box/000")
b.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
b.ok("EXPUNGE")
lines = a.ok("ESEARCH IN (subtree Box) SUBJECT \"box 0\"")
is_((found(lines), [l for l in lines if b"EXPUNGE" in l]), ({}, [b"* 1 EXPUNGE"]), "what is gone is not found, and is told")
a.ok("UNSELECT")
b.ok("DELETE Box/004")
is_("Box/004" in found(a.ok("ESEARCH IN (subtree Box) SUBJECT box")), False, "nor what was in a mailbox that is gone")
is_(found(a.ok("ESEARCH IN (mailboxes Box/004) ALL")), {}, "which is no error")

# ---- others -------------------------------------------------------------------------------------------------------
other = Raw(sb, login=2)
is_(found(other.ok("ESEARCH IN (personal subtree \"\" mailboxes Box/008) SUBJECT box")), {}, "nobody finds what others have")
a.ok("CREATE Big")
a.append("Big", b"Subject: big\r\n\r\n" + (b"y" * 70 + b"\r\n") * 40000)
a.ok("SELECT Big")
for n in range(40):                            # a search of them takes thousands of times as long as NOOP
    a.ok(f"CREATE Big/{n}")
    a.ok(f"COPY 1 Big/{n}")
a.ok("UNSELECT")
a.send(b"e ESEARCH IN (subtree Big) BODY none\r\n")
n = 0
while b"e OK" not in a.buf and n < 10000:
    other.ok("NOOP")
    n += 1
    a.sock.setblocking(False)
    try:
        a.fill()
    except BlockingIOError:
        pass
    a.sock.settimeout(tm.LONG)
ok(n > 3, "others go on while the same large message is read 41 times") or tm.diag(n)
a.finish(b"e")
for _ in range(5):
    d = Raw(sb, login=1)
    d.send(b"e ESEARCH IN (personal) BODY needle\r\n")
    d.close()
is_(len(found(a.ok("ESEARCH IN (subtree Box) BODY needle"))), BOXES // 4 - 2, "sessions that go in the middle leave nothing in the way")
a.send(b"".join(b"p%d ESEARCH IN (subtree Box) ALL\r\n" % n for n in range(200)))
is_([len(found(a.finish(b"p%d" % n)[0])) for n in range(200)], [BOXES // 4 - 1] * 200, "200 at once, whose answers are not read before")
for x in (a, b, other):
    x.close()

# ---- an error of ours ----------------------------------------------------------------------------------------------
c = Raw(sb, login=3)
for box in ("Drafts", "INBOX", "Sent"):
    c.append(box, b"Subject: of the third\r\n\r\nneedle in %s\r\n" % box.encode())
files = [f for f in glob.glob(os.path.join(sb.dir, "**", "*.msg"), recursive=True) if b"needle in INBOX" in open(f, "rb").read()]
is_(len(files), 1, "the file of a message") or tm.diag(files)
os.rename(files[0], files[0] + ".away")
lines, tagged = c.cmd("ESEARCH IN (personal) BODY needle")
is_((found(lines), tagged), ({"Drafts": "1", "Sent": "1"}, b"NO [SERVERBUG] Some messages cannot be read"), "a file that is lost hides nothing, and is no message without a match")
is_(found(c.ok("ESEARCH IN (personal) SUBJECT third")), {"Drafts": "1", "INBOX": "1", "Sent": "1"}, "nor is it missed where it is not needed")
os.rename(files[0] + ".away", files[0])
is_(len(found(c.ok("ESEARCH IN (personal) BODY needle"))), 3, "and it is found when it is back")
c.close()
tm.done()
