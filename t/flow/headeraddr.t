#!/usr/bin/env python3
"""Addresses of the header: rewritten in mail of our own that goes to a channel which asks for it, and in
nobody else's: not for other channels, not in mail that comes in, and not without mta.cnf."""
import os, subprocess, sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../cmd")]
import tm
from mta import Mail

tm.need("ldapadd")
asks, plain = Mail(("127.0.0.1", 0)), Mail(("127.0.0.1", 0))
sb = tm.Sandbox("--users", "3", "--without", "imapd")
D, BASE = sb.domain, sb.env["LDAP_BASE"]
etc = os.path.dirname(sb.conf("channels.conf"))
RULES = f"""asks.test	$U%$D@asks-daemon
plain.test	$U%$D@plain-daemon
.inside.test	$U%inside.test
closed.test	$U%$D@none
ours.test	$U%$V$D@this-host
.	$U%$H$V$H@this-host
.	$U%$H@world-daemon

l
this-host

tcp_asks smtp reverse daemon 127.0.0.1 port {asks.port}
asks-daemon

tcp_plain smtp noreverse daemon 127.0.0.1 port {plain.port}
plain-daemon

tcp_submit smtp slave
tcp_submit-daemon

tcp_local smtp
tcp_local-daemon
world-daemon
"""
MAPPINGS = """REVERSE

  joe@inside.test  $YJoe.Smith@public.test
"""
for name, text in (("mta.cnf", RULES), ("mappings", MAPPINGS)):
    with open(os.path.join(etc, name), "w") as f:
        f.write(text)
for d in ("smtp-relay", "jobctl"):
    sb.restart(d)
HEAD = (b"From: Joe  <joe@h.inside.test> (joe@h.inside.test)\r\nTo: \"A, B\" <a@x.inside.test>,\r\n\tb@elsewhere.test\r\n"
        b"X-To: a@x.inside.test\r\nCc: c@closed.test\r\nDate: Thu, 1 Jan 2026 00:00:00 +0000\r\nMessage-ID: <a@h.inside.test>\r\n")
MADE = HEAD.replace(b"<joe@h.inside.test>", b"<Joe.Smith@public.test>").replace(b"<a@x.inside.test>", b"<a@inside.test>")
BODY = b"\r\nFrom: a@x.inside.test\r\n"


def submit(*to, message=HEAD + BODY):
    r = subprocess.run([sb.bin("sendmail"), "-f", sb.user(1), *to], input=message.replace(b"\r\n", b"\n"),
                       capture_output=True, env={**os.environ, "TIERMAIL_CONF": sb.conf("tiermail.conf")})
    if r.returncode:
        tm.diag(r.stderr)
    return r.returncode


def raw(m):
    m = m if isinstance(m, bytes) else m.encode("latin-1")
    lines = m.replace(b"\r\n", b"\n").split(b"\n")
    while lines[0].startswith((b"Received:", b"Return-Path:", b" ", b"\t")):
        lines.pop(0)
    return b"\r\n".join(lines)


def wait(*servers):
    tm.wait_for(lambda: all(s.mails for s in servers)) or tm.diag([s.mails for s in servers])
    return [raw(s.mails[-1][2]) if s.mails else None for s in servers]


tm.is_(submit("x@asks.test", "y@plain.test", sb.user(2)), 0, "a program's message for three channels")
a, p = wait(asks, plain)
tm.is_(a, MADE + BODY, "the channel that asks gets what the rules and REVERSE make, and every other octet")
tm.is_(p, HEAD + BODY, "another gets what was sent")
tm.ok(tm.wait_for(lambda: sb.queue_empty()), "the mailbox, too")
found = subprocess.run(["grep", "-rl", "X-To: a@x.inside.test", sb.env["STORE"], "--include=*.msg"], capture_output=True, text=True).stdout.split()
tm.ok(found and open(found[0], "rb").read().endswith(HEAD + BODY), "as it was sent")

asks.mails.clear()
subprocess.run(["ldapadd", "-x", "-H", sb.env["LDAP_URL"], "-D", sb.env["LDAP_ADMIN_DN"], "-w", sb.env["LDAP_ADMIN_PASSWORD"]],
               input="\n".join([f"dn: cn=list,ou=Groups,o={D},{BASE}", *(f"objectClass: {c}" for c in (
                   "groupOfURLs", "inetMailGroup", "inetMailGroupManagement", "inetLocalMailRecipient")), "cn: list",
                   f"mail: list@{D}", "mgrpRFC822MailMember: m@asks.test", "mgrpAddHeader: Reply-To: list@x.inside.test",
                   "mgrpMsgSuffixText: Bye.", ""]), capture_output=True, text=True)
sb.send(to=f"list@{D}", subject="in", extra="To: a@x.inside.test\r\n")
got = wait(asks)[0]
tm.ok(got and b"To: a@x.inside.test\r\n" in got and got.endswith(b"Bye.\r\n"), "mail that comes in keeps its addresses") or tm.diag(got)
asks.mails.clear()
tm.is_(submit("x@asks.test", f"list@{D}"), 0, "a list and one beside it")
tm.wait_for(lambda: sum(len(m[1]) for m in asks.mails) == 2)
got = {m[1][0]: raw(m[2]) for m in asks.mails}
tm.is_(got.get("x@asks.test"), MADE + BODY, "each channel's addresses")
tm.is_(got.get("m@asks.test"), MADE + b"Reply-To: list@x.inside.test\r\n" + BODY + b"Bye.\r\n", "and the list's changes, as they stand in its entry")
tm.ok(sb.queue_empty(), "nothing is left")
tm.done()
