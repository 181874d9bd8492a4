#!/usr/bin/env python3
"""imapd: APPEND of many messages (RFC 3502): all or none, in one piece or byte by byte, and what it may hold:
files, descriptors and bytes are bounded for a command, a user and a worker, and given back."""
import re
import tm
from imapraw import Raw

MOST, USER, SIZE = 128, 256, 400 * 1024          # messages of a command; of a user; limit.append
sb = tm.Sandbox("--users", "6", "--without", "lmtpd", "--without", "jobctl", "--without", "smtp-relay",
                "--set", "imapd.workers=1", "--set", "imapd.auth.delay=50ms", "--set", f"imapd.limit.append={SIZE}",
                "--set", "tiermail.quota.messages=600")
ok, is_ = tm.ok, tm.is_


def mail(n, body="", extra=""):
    return f"From: a{n}@example.org\r\nSubject: number {n}\r\n{extra}\r\n{body}\r\n".encode()


def command(tag, box, messages):
    return tag + b" APPEND " + box + b"".join(b" {%d+}\r\n%s" % (len(m), m) for m in messages) + b"\r\n"


def append(c, box, messages):
    c.send(command(b"m", box.encode(), messages))
    return c.finish(b"m")[1]


def hold(c, n):
    """The server has n messages of a command that goes on, and says what it thinks of one more."""
    c.send(command(b"m", b"INBOX", [mail(i) for i in range(n)])[:-2] + b" {1}\r\n")
    return c.response()


def count(c, box="INBOX"):
    return int(re.search(rb"MESSAGES (\d+)", c.ok(f"STATUS {box} (MESSAGES)")[0]).group(1))


def subjects(c):
    return [re.search(rb'"number (\d+)"', x).group(1) for x in c.ok("FETCH 1:* ENVELOPE")]


c = Raw(sb, login=1)
is_(re.sub(rb"APPENDUID \d+", b"", append(c, "INBOX", [mail(n) for n in range(MOST)])), b"OK [ 1:%d] APPEND completed" % MOST, f"{MOST} at once")
c.ok("SELECT INBOX")
is_(subjects(c), [b"%d" % n for n in range(MOST)], "all of them, in their order")
ok(append(c, "INBOX", [mail(n) for n in range(MOST + 1)]).startswith(b"NO [LIMIT]"), "one more is refused")
is_(count(c), MOST, "and none is there; the rest of the command was no command")
is_(len(set(c.ok("FETCH 1:* (EMAILID)"))), MOST, "each has an id of its own")
c.ok("STORE 1:* +FLAGS.SILENT (\\Deleted)")
c.ok("EXPUNGE")

# ---- digests that do not fit into one request together; large messages ----------------------------------------
long = [mail(n, extra="".join(f"References: <{n}.{i}.{'r' * 60}@example.org>\r\n" for i in range(40))) for n in range(MOST)]
ok(append(c, "INBOX", long).startswith(b"OK"), f"{MOST} with long headers")
is_(subjects(c), [b"%d" % n for n in range(MOST)], "are read")
big = [mail(1), mail(2, "x" * (SIZE - 100 * 1024)), mail(3), mail(4, "y" * (SIZE - 100 * 1024))]
ok(append(c, "Archive", big).startswith(b"OK"), "large ones between small ones")
c.ok("SELECT Archive")
is_(subjects(c), [b"1", b"2", b"3", b"4"], "in their order")
ok(append(c, "Archive", big + big[1:2]).startswith(b"NO [TOOBIG]"), "all together have a bound")
ok(append(c, "Archive", [mail(1), mail(2, "x" * SIZE)]).startswith(b"NO [TOOBIG]"), "and each has")
is_(count(c, "Archive"), 4, "nothing of them is there")
words = " ".join("k%d" % i + "w" * 90 for i in range(60))
c.send(b"m APPEND Drafts" + b"".join(b" (%s) {1+}\r\nx" % words.encode() for _ in range(20)) + b"\r\n")
ok(c.finish(b"m")[1].startswith(b"NO [LIMIT]"), "keywords that do not fit into a request")
c.close()

# ---- all or none ------------------------------------------------------------------------------------------------
c = Raw(sb, login=2)
for _ in range(4):
    append(c, "INBOX", [mail(n) for n in range(MOST)])
before = count(c)
ok(append(c, "INBOX", [mail(n) for n in range(MOST)]).startswith(b"NO [OVERQUOTA]"), "more than there may be")
is_(count(c), before, "not one of them")
ok(append(c, "INBOX", [mail(n) for n in range(88)]).startswith(b"OK"), "just as many as there may be")
c.close()
c = Raw(sb, login=3, step=1)
ok(append(c, "INBOX", [mail(n) for n in range(3)]).startswith(b"OK"), "byte by byte")
c.close()

# ---- what is held -------------------------------------------------------------------------------------------------
holders = [Raw(sb, login=4) for _ in range(3)]
for h in holders[:2]:
    is_(hold(h, MOST - 1), b"+ Ready for literal data", "a command holds many")
    h.send("x {1}\r\n")
    ok(h.response().startswith(b"m NO [LIMIT]"), "but not any number")
for h in holders[:2]:
    hold(h, MOST - 1)
is_(hold(holders[2], 2), b"+ Ready for literal data", "a third command of the same user")
holders[2].send("x {1}\r\n")
ok(holders[2].response().startswith(b"m NO [LIMIT]"), f"not more than {USER} further ones of a user")
ok(holders[2].append("INBOX", mail(3))[1].startswith(b"OK"), "but one message always")
other = Raw(sb, login=5)
ok(append(other, "INBOX", [mail(1), mail(2)]).startswith(b"OK"), "another user has room")
for h in holders:
    h.close()
again = lambda: append(Raw(sb, login=4), "INBOX", [mail(n) for n in range(MOST)]).startswith(b"OK")
ok(tm.wait_for(again), "what broken connections held is given back")

# stored lends a worker 4096 files and has them open as long as it is not told of a message.
c = Raw(sb, login=5)
before = count(c)
for n in range(70):
    c.send(command(b"m", b"INBOX", [b"x\r\n"] * MOST)[:-2] + b" rubbish\r\n")
    c.finish(b"m")
is_(count(c), before, f"{70 * MOST} messages of commands that end badly are not stored")
ok(append(c, "INBOX", [mail(n) for n in range(MOST)]).startswith(b"OK"), "and their files are used again")
c.close()
tm.done()
