#!/usr/bin/env python3
"""imapd: CATENATE (RFC 4469): large messages, limits, what others notice, and that an error of ours is never told as a
bad URL.  The exchanges themselves are in t/fixtures/transcripts/imap-catenate."""
import glob, os, re
import tm
from imapraw import Raw

SIZE, PARTS, MOST = 1024 * 1024, 256, 128       # limit.append; parts, messages of a command
sb = tm.Sandbox("--users", "5", "--without", "lmtpd", "--without", "jobctl", "--without", "smtp-relay",
                "--set", "imapd.workers=1", "--set", f"imapd.limit.append={SIZE}")
ok, is_ = tm.ok, tm.is_


def url(uid, rest="", box="INBOX"):
    return b'URL "/%s/;UID=%d%s"' % (box.encode(), uid, rest.encode())


def text(t):
    return b"TEXT {%d+}\r\n%s" % (len(t), t)


def catenate(c, *parts, box="INBOX"):
    c.send(b"c APPEND %s CATENATE (%s)\r\n" % (box.encode(), b" ".join(parts)))
    return c.finish(b"c")[1]


def body(c, uid, box="INBOX"):
    r = c.ok(f"UID FETCH {uid} BODY.PEEK[]")[0]
    return r[r.index(b"}\r\n") + 3:-1]


def count(c, box="INBOX"):
    return int(re.search(rb"MESSAGES (\d+)", c.ok(f"STATUS {box} (MESSAGES)")[0]).group(1))


def uid_of(answer):
    return int(re.match(rb"OK \[APPENDUID \d+ (\d+)\]", answer).group(1))


# ---- large ones ---------------------------------------------------------------------------------------------
lines = b"".join(b"line %06d %s\r\n" % (n, b"x" * 50) for n in range(9000))
half = (b"Subject: half\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nshort\r\n--b\r\n"
        b"Content-Type: text/plain; name=long\r\n\r\n" + lines + b"\r\n--b--\r\n")
c = Raw(sb, login=1)
c.append("INBOX", half)
c.ok("SELECT INBOX")
new = uid_of(catenate(c, text(b"Subject: new\r\n\r\n"), url(1, "/;SECTION=2"), text(b"--\r\n"), url(1, "/;SECTION=1")))
ok(body(c, new) == b"Subject: new\r\n\r\n" + lines + b"--\r\nshort", "a large section between texts")
new = uid_of(catenate(c, url(1, "/;PARTIAL=0.1000"), url(1, "/;PARTIAL=1000.333333"), url(1, "/;PARTIAL=334333")))
ok(body(c, new) == half, "a message out of pieces is the message")
is_(re.search(rb"RFC822.SIZE (\d+)", c.ok(f"UID FETCH {new} RFC822.SIZE")[0]).group(1), b"%d" % len(half), "its size is right")
ok(c.ok(f"UID FETCH 1 (ENVELOPE BODYSTRUCTURE)")[0].split(b"ENVELOPE")[1] == c.ok(f"UID FETCH {new} (ENVELOPE BODYSTRUCTURE)")[0].split(b"ENVELOPE")[1],
   "and so is what the index has of it")
before = count(c)
ok(catenate(c, url(1), url(1)).startswith(b"NO [TOOBIG]"), "two halves and more are too large")
ok(catenate(c, url(1), text(b"x" * (SIZE - len(half) + 1))).startswith(b"NO [TOOBIG]"), "so is a text behind one")
ok(catenate(c, text(b"x" * (SIZE - len(half) + 1)), url(1)).startswith(b"NO [TOOBIG]"), "or before one")
ok(catenate(c, url(1), text(b"x" * (SIZE - len(half)))).startswith(b"OK"), "just as large as may be")
whole = b"CATENATE (%s %s)" % (url(1), text(b"y" * (SIZE - len(half) - 100)))
c.send(b"m APPEND Sent %s %s %s\r\n" % (whole, whole, whole))
is_(c.finish(b"m")[1], b"NO [TOOBIG] The messages are too large together", "the messages of a command together")
is_((count(c), count(c, "Sent")), (before + 1, 0), "nothing of what was refused is there")
c.close()

# ---- counts ---------------------------------------------------------------------------------------------------
c = Raw(sb, login=2)
c.append("INBOX", b"Subject: a\r\n\r\nx\r\n")
ok(catenate(c, *[url(1, "/;SECTION=TEXT")] * PARTS).startswith(b"OK"), f"{PARTS} parts")
is_(body(c, 2) if c.ok("SELECT INBOX") else None, b"x\r\n" * PARTS, "each as often as it is named")
ok(catenate(c, *[url(1, "/;SECTION=TEXT")] * (PARTS + 1)).startswith(b"NO [LIMIT]"), "but no more")
c.send(b"m APPEND Sent" + b" CATENATE (%s)" % url(1) * MOST + b"\r\n")
ok(c.finish(b"m")[1].startswith(b"OK"), f"{MOST} messages")
c.send(b"m APPEND Sent" + b" CATENATE (%s)" % url(1) * (MOST + 1) + b"\r\n")
ok(c.finish(b"m")[1].startswith(b"NO [LIMIT]"), "and no more of them")
is_((count(c), count(c, "Sent")), (2, MOST), "all or none")
c.close()

# ---- what is on its way -------------------------------------------------------------------------------------
# Of a user at most four times limit.append, whatever his sessions have sent for it.
crowd = [Raw(sb, login=1) for _ in range(9)]
room = 4 * SIZE // len(half)
for x in crowd[:room]:
    x.send(b"c APPEND Sent CATENATE (" + url(1) + b" TEXT {1}\r\n")
    x.line()
for x in crowd[room:]:
    is_(catenate(x, url(1), box="Sent"), b"NO [LIMIT] Too much is on its way", f"beside {room} messages that are not whole yet one more is refused")
ok(crowd[-1].append("Sent", b"Subject: small\r\n\r\n")[1].startswith(b"OK"), "a small one has room")
crowd[0].send(b"x)\r\n")
ok(crowd[0].finish(b"c")[1].startswith(b"OK"), "one is whole")
ok(catenate(crowd[-1], url(1), box="Sent").startswith(b"OK"), "then another one may come")
for x in crowd:
    x.close()

# ---- others ---------------------------------------------------------------------------------------------------
a, b = Raw(sb, login=3), Raw(sb, login=4)
a.append("INBOX", half)
ok(b"[BADURL" in catenate(b, url(1)), "what another user has is not there")
ok(catenate(b, url(1)) == catenate(b, url(2)).replace(b"UID=2", b"UID=1"), "and no other answer than for what nobody has")
a.ok("SELECT INBOX")
a.send(b"c APPEND INBOX CATENATE (" + b" ".join([url(1, "/;SECTION=1")] * PARTS) + b")\r\n")
n = 0
while b"c OK" not in a.buf and n < 10000:
    b.ok("NOOP")
    n += 1
    a.sock.setblocking(False)
    try:
        a.fill()
    except BlockingIOError:
        pass
    a.sock.settimeout(tm.LONG)
ok(n > 5, "another session goes on while a command reads the same large message again and again") or tm.diag(n)
a.finish(b"c")
for _ in range(4):                              # it goes while the pool reads for it
    d = Raw(sb, login=3)
    d.send(b"c APPEND Sent CATENATE (" + b" ".join([url(1, "/;SECTION=1")] * PARTS) + b")\r\n")
    d.close()
d = Raw(sb, login=3)
ok(catenate(d, url(1), box="Drafts").startswith(b"OK"), "a session that goes in the middle leaves nothing in the way")
a.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
a.ok("EXPUNGE")
ok(b"[BADURL" in catenate(d, url(1)), "what is expunged is not there")
for x in (a, b, d):
    x.close()

# ---- errors of ours --------------------------------------------------------------------------------------------
c = Raw(sb, login=5)
for n in range(2):
    c.append("INBOX", b"Subject: here\r\n\r\n%d\r\n" % n)
files = sorted(glob.glob(os.path.join(sb.dir, "**", f"*{sb.user(5)}*", "**", "1.msg"), recursive=True)) or \
    [f for f in glob.glob(os.path.join(sb.dir, "**", "*.msg"), recursive=True) if open(f, "rb").read() == b"Subject: here\r\n\r\n0\r\n"]
is_(len(files), 1, "the file of a message") or tm.diag(files)
os.rename(files[0], files[0] + ".away")
for rest in ("", "/;SECTION=TEXT"):
    is_(catenate(c, text(b"x"), url(1, rest), text(b"y")), b"NO [UNAVAILABLE] A message of a URL cannot be read", f"a file that is lost is no bad URL{rest and ', of a section'}")
ok(catenate(c, url(2)).startswith(b"OK"), "others are read")
os.rename(files[0] + ".away", files[0])
ok(catenate(c, url(1)).startswith(b"OK"), "and it again, when it is back")
is_(count(c), 4, "that is all")
c.close()
tm.done()
