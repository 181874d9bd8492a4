#!/usr/bin/env python3
"""IMAP4rev2, UTF8=ACCEPT and BINARY beside what was there: sessions of both revisions on one mailbox, a
client that knows UTF8=ACCEPT (imaplib), and parts of many sizes decoded as Python decodes them."""
import base64, imaplib, quopri, random, re
import tm
from imapraw import Raw

sb = tm.Sandbox("--users", "3", "--without", "lmtpd", "--without", "jobctl", "--without", "smtp-relay")
MESSAGE = "Subject: x\r\n\r\nhello\r\n"

# ---- two revisions -------------------------------------------------------------------------------------
old, new = Raw(sb, login=1), Raw(sb, login=1)
tm.ok(all(x in old.ok("CAPABILITY")[0].decode().split() for x in ("IMAP4rev1", "IMAP4rev2", "BINARY", "UTF8=ACCEPT")), "offered")
tm.ok(b"IMAP4rev2" in Raw(sb).greeting, "and IMAP4rev2 before the login")
new.ok("ENABLE IMAP4rev2")
for c in (new, old):
    c.ok("SELECT INBOX")
new.append("INBOX", MESSAGE)
new.append("INBOX", MESSAGE)
lines = new.ok("NOOP")
tm.ok(not [l for l in lines if b"RECENT" in l], "new messages: EXISTS alone")
tm.is_([l for l in old.ok("NOOP") if b"RECENT" in l], [b"* 2 RECENT"], "IMAP4rev1 gets \\Recent, which the other has left")
old.ok("STORE 2 +FLAGS (\\Seen)")
tm.is_(new.ok("NOOP"), [b"* 2 FETCH (UID 2 FLAGS (\\Seen))"], "a FETCH that comes by itself has the UID (RFC 9051 7.5.2)")
old.ok("STORE 1 +FLAGS (\\Deleted)")
old.ok("EXPUNGE")
tm.ok(b"* 1 EXPUNGE" in new.ok("NOOP"), "EXPUNGE as ever")
new.start("IDLE")
new.line()
old.append("INBOX", MESSAGE)
tm.is_(new.line(), b"* 2 EXISTS", "IDLE")
new.send("DONE\r\n")
tm.is_(new.finish()[0], [], "and no RECENT behind it")
for c in (new, old):
    c.close()

# ---- imaplib -------------------------------------------------------------------------------------------
m = imaplib.IMAP4(sb.host, sb.port("IMAP"))
m.login(sb.user(2), sb.password)
tm.is_(m.enable("UTF8=ACCEPT")[0], "OK", "imaplib enables UTF8=ACCEPT")
tm.is_(m.create('"Entwürfe & mehr"')[0], "OK", "makes a folder")
text = "Subject: Grüße\r\nFrom: Jörg <jörg@bücher.test>\r\n\r\nöäü\r\n".encode()
c = Raw(sb, login=2)                     # imaplib of Python 3.11 puts UTF8 ( into the message
c.ok("ENABLE UTF8=ACCEPT")
c.send('a APPEND "Entwürfe & mehr" UTF8 (~{%d+}\r\n'.encode() % len(text) + text + b")\r\n")
tm.ok(c.finish(b"a")[1].startswith(b"OK [APPENDUID"), "APPEND with UTF8 (...)")
tm.is_(m.select('"Entwürfe & mehr"'), ("OK", [b"1"]), "selects the folder")
tm.is_(m.fetch("1", "(BODY.PEEK[])")[1][0][1], text, "and reads the message back")
tm.is_(m.search(None, "SUBJECT", '"gRÜ"')[1], [b"1"], "search without a charset is UTF-8")
m.logout()

# ---- BINARY --------------------------------------------------------------------------------------------
rnd = random.Random(5)
c = Raw(sb, login=3)
c.ok("SELECT INBOX")
bodies = []
for size in (0, 1, 57, 48 * 1024 - 1, 48 * 1024, 48 * 1024 + 1, 200_000, 2_000_000):
    raw = rnd.randbytes(size)
    bodies.append(("base64", base64.encodebytes(raw).replace(b"\n", b"\r\n"), raw))
for size in (0, 70, 65_535, 65_536, 300_000):
    raw = bytes(rnd.choice(b"abcdefgh \xfc\xe4=") for _ in range(size))
    raw = b"\r\n".join(raw[i:i + 300].rstrip(b" ") for i in range(0, len(raw), 300))
    bodies.append(("quoted-printable", quopri.encodestring(raw.replace(b"\r\n", b"\n")).replace(b"\n", b"\r\n"), raw))
for encoding, body, _ in bodies:
    c.append("INBOX", b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Transfer-Encoding: " + encoding.encode() +
             b"\r\n\r\n" + body + b"\r\n--b\r\n\r\nplain\r\n--b--\r\n")


def literal(line, name):
    m = re.search(re.escape(name.encode()) + rb" ~?\{(\d+)\}\r\n", line)
    return line[m.end():m.end() + int(m[1])]


wrong = []
for n, (encoding, _, raw) in enumerate(bodies, 1):
    size = int(re.search(rb"BINARY.SIZE\[1\] (\d+)", c.ok(f"FETCH {n} BINARY.SIZE[1]")[0])[1])
    whole = literal(c.ok(f"FETCH {n} BINARY.PEEK[1]")[0], "BINARY[1]")
    if size != len(raw) or whole != raw:
        wrong.append((n, encoding, len(raw), size, len(whole)))
    for _ in range(3):
        at, length = rnd.randrange(len(raw) + 10), rnd.randrange(1, 100_000)
        part = literal(c.ok(f"FETCH {n} BINARY.PEEK[1]<{at}.{length}>")[0], f"BINARY[1]<{at}>")
        if part != raw[at:at + length]:
            wrong.append((n, encoding, at, length, len(part)))
tm.is_(wrong, [], "parts are decoded, whole and in pieces, and their sizes told")
lines = c.ok(f"FETCH 1:{len(bodies)} (UID BINARY.SIZE[1] BINARY.PEEK[1] BINARY.PEEK[2])")
tm.is_([literal(l, "BINARY[1]") for l in lines], [raw for _, _, raw in bodies], "many at once")
tm.is_({literal(l, "BINARY[2]") for l in lines}, {b"plain"}, "beside one that is not encoded")

# ---- new names ------------------------------------------------------------------------------------------
c = Raw(sb, login=2)
c.ok("ENABLE IMAP4rev2")
c.ok("CREATE here")
tm.ok(any(b"OLDNAME" in l for l in c.ok("RENAME here there")), "RENAME tells the old name")
tm.is_([l for l in c.ok("RENAME INBOX away") if b"OLDNAME" in l], [], "but not of INBOX, which is still there (RFC 9051 6.3.6)")
tm.done()
