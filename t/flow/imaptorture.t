#!/usr/bin/env python3
"""Mutated commands from clients that come and go: imapd must not fall, and serve the next one.
Runs from a seed: SEED=7 STEPS=20000 t/flow/imaptorture.t"""
import os, random, re, socket
import tm
from imapraw import Raw

sb = tm.Sandbox("--users", "5", "--without", "lmtpd", "--without", "jobctl", "--without", "smtp-relay",
                "--set", "imapd.auth.delay=1ms", "--set", "tiermail.log_level=warn")
rnd = random.Random(int(os.environ.get("SEED", "1")))
STEPS = int(os.environ.get("STEPS", "1500"))
commands = r"""CAPABILITY|NOOP|LOGOUT|ID ("a" "b")|ENABLE CONDSTORE|STARTTLS|AUTHENTICATE PLAIN|AUTHENTICATE LOGIN dXNlcg==|LOGIN a "b"
SELECT INBOX|SELECT INBOX (CONDSTORE)|EXAMINE Trash|CREATE a/b|DELETE a/b|RENAME a c|SUBSCRIBE a|UNSUBSCRIBE a|LIST "" *
LIST (SUBSCRIBED RECURSIVEMATCH) "" (% a/*) RETURN (STATUS (MESSAGES UNSEEN))|LSUB "" %|STATUS INBOX (MESSAGES HIGHESTMODSEQ)|NAMESPACE|CHECK
CLOSE|UNSELECT|EXPUNGE|UID EXPUNGE 1:*|IDLE|DONE|COPY 1 Trash|MOVE 1:2 Archive|UID COPY 1:* INBOX|UID MOVE * Trash
STORE 1:* +FLAGS (\Seen kw)|UID STORE 1 (UNCHANGEDSINCE 5) -FLAGS.SILENT \Deleted|STORE 1:* +FLAGS (\Deleted)
FETCH 1:* (UID FLAGS ENVELOPE BODY BODYSTRUCTURE INTERNALDATE RFC822.SIZE MODSEQ)|FETCH 1 BODY[1.HEADER.FIELDS (a "b")]<0.5>|FETCH * FULL
UID FETCH 1:* (BODY[] RFC822.TEXT) (CHANGEDSINCE 3)|SEARCH RETURN (MIN ALL) OR SEEN NOT (FROM "a" BODY {1+}~a) 1:* SINCE 1-Feb-2020
UID SEARCH CHARSET UTF-8 TEXT "x" HEADER y "" MODSEQ 5 UID 1:3 KEYWORD kw|APPEND INBOX (\Seen) {25+}~Subject: x~~01234567890|APPEND {5}~INBOX {3}~abc""" \
    .replace("\n", "|").split("|")
commands = [c.replace("~", "\r\n").encode() for c in commands]
bits = [b"(", b")", b'"', b"{5}\r\n", b"{5+}\r\nabcde", b"*", b" ", b"\r\n", b"\\", b"0", b"4294967295", b"[", b"]", b"<0.1>", b"&", b"%", b"\0",
        b"\xff", b"NIL", b"1:*", b"NOT ", b"OR ", b"DONE\r\n", b"{99999999}\r\n", b"{70000+}\r\n"]


def mutate(b):
    b = bytearray(b)
    for _ in range(rnd.choice([0, 0, 0, 1, 1, 2, 5])):
        i, how = rnd.randrange(len(b) + 1), rnd.randrange(4)
        if how == 0:
            b[i:i] = rnd.choice(bits)
        elif how == 1:
            del b[i:i + rnd.randrange(1, 5)]
        elif how == 2 and i < len(b):
            b[i] = rnd.randrange(256)
        else:
            other = rnd.choice(commands)
            j = rnd.randrange(len(other))
            b[i:i] = other[j:j + rnd.randrange(1, 20)]
    return bytes(b)


def workers():
    parent = str(sb.pid("imapd"))
    with open(f"/proc/{parent}/task/{parent}/children") as f:
        return sorted(f.read().split())


before, steps = workers(), 0
while steps < STEPS:
    c = None
    try:
        c = Raw(sb)
        if rnd.random() < 0.9:
            c.ok(f"LOGIN {sb.user(rnd.randrange(1, 4))} {sb.password}")
        if rnd.random() < 0.8:
            c.ok("SELECT INBOX")
        for _ in range(rnd.randrange(1, 40)):
            out = b"".join(b"x%d " % i + mutate(rnd.choice(commands)) + b"\r\n" for i in range(rnd.randrange(1, 4)))
            c.step = 3 if rnd.random() < 0.2 else 0
            c.send(out)
            steps += 1
            if rnd.random() < 0.3:
                c.sock.settimeout(0.01)
                try:
                    c.sock.recv(100000)
                except socket.timeout:
                    pass
                c.sock.settimeout(tm.LONG)
    except (OSError, EOFError, AssertionError):
        pass
    if c:
        c.close()
tm.is_(workers(), before, f"{steps} mutated commands: the same worker is there")
c = Raw(sb, login=5)
tm.ok(c.tagged("SELECT INBOX").startswith(b"OK"), "and serves the next client")


def sockets():
    links = (f"/proc/{before[0]}/fd/{n}" for n in os.listdir(f"/proc/{before[0]}/fd"))
    return sum(os.readlink(x).startswith("socket:") for x in links if os.path.islink(x))


tm.ok(tm.wait_for(lambda: sockets() < 40), "no connection is left over") or tm.diag(sockets())
tm.done()
