#!/usr/bin/env python3
"""imapd: LITERAL- instead of LITERAL+ (RFC 7888 5): what is longer than 4096 octets has to be waited for."""
import os, re, signal
import tm
from imapraw import Raw

ok, is_ = tm.ok, tm.is_
sb = tm.Sandbox("--users", "1", "--without", "lmtpd", "--without", "jobctl", "--without", "smtp-relay", "--set", "imapd.literal_minus=yes",
                "--set", "imapd.limit.append=20000", "--set", "imapd.workers=1")
a = Raw(sb)
offered = set(re.search(rb"CAPABILITY ([^]]*)", a.greeting)[1].split())
is_({b"LITERAL+", b"LITERAL-"} & offered, {b"LITERAL-"}, "offered before the login")
ok(a.tagged(f"LOGIN {{{len(sb.user(1))}+}}\r\n{sb.user(1)} {sb.password}").startswith(b"OK"), "a short literal need not be waited for")
is_({b"LITERAL+", b"LITERAL-"} & set(a.ok("CAPABILITY")[0].split()), {b"LITERAL-"}, "offered after it")
LONG = "A literal of this length has to be waited for"


def message(n, mark="+"):
    return b"{%d%s}\r\n%s" % (n, mark.encode(), b"x" * (n - 2) + b"\r\n")


for n, answer in ((4096, b"OK"), (4097, b"BAD " + LONG.encode()), (30000, b"BAD " + LONG.encode())):
    got = a.tagged(b"APPEND INBOX " + message(n))
    wanted = answer.replace(b"BAD", b"BAD [TOOBIG]")
    ok(got.startswith(wanted), f"APPEND of {n} octets at once: {wanted.decode()}") or tm.diag(got)
    got = a.tagged(b'SETMETADATA "" (/private/x {%d+}\r\n%s)' % (n, b"v" * n))
    ok(got.startswith(answer), f"a string of {n}") or tm.diag(got)
ok(a.tagged(b"APPEND INBOX " + message(100) + b" " + message(5000) + b" " + message(7)).startswith(b"BAD [TOOBIG] " + LONG.encode()), "one of several messages")
is_([l for l in a.ok("STATUS INBOX (MESSAGES)")], [b"* STATUS INBOX (MESSAGES 1)"], "nothing of which is there")
a.send(b"w APPEND INBOX {10000}\r\n")
is_(a.response(), b"+ Ready for literal data", "who waits is asked for it")
a.send(b"x" * 9998 + b"\r\n\r\n")
ok(a.finish(b"w")[1].startswith(b"OK"), "and it is taken")
a.send(b"w NOOP {5000}\r\n")
is_(a.response(), b"+ Ready for literal data", "a string, too")
a.send(b"x" * 5000 + b"\r\n")
a.finish(b"w")
ok(a.tagged(b"SEARCH SUBJECT {4097+}\r\n" + b"a NOOP\r\n" * 512 + b"x").startswith(b"BAD " + LONG.encode()), "what was sent is never taken for commands")
is_(a.ok("NOOP"), [], "the session goes on")

# A session keeps what it was offered.
old = a
with open(sb.conf("imapd.conf")) as f:
    text = f.read()
with open(sb.conf("imapd.conf"), "w") as f:
    f.write(text.replace("literal_minus = yes", "literal_minus = no"))
os.kill(sb.pid("imapd"), signal.SIGHUP)
b = tm.wait_for(lambda: next((c for c in (Raw(sb),) if b"LITERAL+" in c.greeting), None), what="the new configuration")
ok(b.tagged(f"LOGIN {sb.user(1)} {sb.password}").startswith(b"OK") and b.tagged(b"APPEND INBOX " + message(5000)).startswith(b"OK"), "without it there is LITERAL+")
is_({b"LITERAL+", b"LITERAL-"} & set(old.ok("CAPABILITY")[0].split()), {b"LITERAL-"}, "of which an older session does not hear")
ok(old.tagged(b"APPEND INBOX " + message(5000)).startswith(b"BAD"), "nor may it")
tm.done()
