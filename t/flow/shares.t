#!/usr/bin/env python3
"""What is full or missing for one must not be told to another: descriptors, connections of a
listener's role, transaction ids, MX hosts that are ourselves."""
import os, re, resource, socket, sys, time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../cmd")]
import hostile, tm
from imapraw import Raw
from mta import Dns, Mail

# Points that fail today: who mends one takes its line out.
TODO = {
}


def point(name, good, what):
    if name in TODO:
        tm.todo(good, what, TODO[name])
    else:
        tm.ok(good, what)
    return good


# Ourselves as a host of the world: a server that must not get what an MX of localhost points at.
us = Mail(("127.0.0.1", 0))
dns = Dns({"test": {}, "self.test": {"MX": [(10, "here.test")]}, "here.test": {"A": ["127.0.0.1"]}, "zero.test": {"A": ["0.0.0.0"]},
           "loop.test": {"MX": [(10, "localhost")]}})
sb = tm.Sandbox("--users", "6", "--set", "imapd.workers=1", "--set", "imapd.limit.clients=250", "--set", "imapd.limit.per_client=100", "--set", "lmtpd.workers=1", "--set", "lmtpd.limit.clients=40",
                "--set", "smtp-relay.workers=1", "--set", "smtp-relay.limit.clients=60",
                "--set", f"channel-master.dns.stubs=test=127.0.0.1@{dns.port}", "--set", "channel-master.dns.timeout=2s",
                "--set", f"channels.channel tcp_local.port={us.port}", "--set", "channels.channel tcp_local.backoff=1s", "--set", "smtp-relay.relay.networks=127.0.0.0/8")


# ---- imapd without descriptors --------------------------------------------------------------------
for n in range(3):
    sb.send(1, subject=f"number {n}", body=f"word{n}\r\n")
tm.ok(tm.wait_for(lambda: sb.count(1) == 3), "mail is there")
c = Raw(sb, login=1)
c.ok("SELECT INBOX")
workers = sb.pids_of("imapd")
limits = {p: resource.prlimit(p, resource.RLIMIT_NOFILE) for p in workers}


def no_more(p):
    """The process gets no descriptor any more, and keeps those that it has."""
    resource.prlimit(p, resource.RLIMIT_NOFILE, (0, limits[p][1]))


def give_back():
    for p in workers:
        resource.prlimit(p, resource.RLIMIT_NOFILE, limits[p])


def answer(command):
    for p in workers:
        no_more(p)
    try:
        c.sock.settimeout(tm.LONG)
        lines, tagged = c.cmd(command)
        return b" ".join(lines) + b" / " + tagged
    except (OSError, EOFError) as e:
        return f"closed: {e}".encode()
    finally:
        give_back()


got = answer("FETCH 1 BODY.PEEK[]")
point("fetch", b"EXPUNGEISSUED" not in got and (b"word0" in got or not re.search(rb"/ OK", got)), "FETCH without descriptors: not `expunged`, not OK and nothing") or tm.diag(got)
got = answer("SEARCH BODY word1")
point("search", re.search(rb"\* SEARCH 2 .*OK|NO \[(UNAVAILABLE|SERVERBUG|LIMIT|INUSE)\]|BYE|closed", got) is not None, "SEARCH without descriptors: not an empty answer") or tm.diag(got)
got = answer("COPY 1 Archive")
point("copy", b"EXPUNGEISSUED" not in got, "COPY without descriptors of imapd") or tm.diag(got)
try:
    got = b" ".join(c.ok("FETCH 2 BODY.PEEK[]") + c.ok("SEARCH BODY word2"))
except (OSError, EOFError, AssertionError):
    c = Raw(sb, login=1)
    c.ok("SELECT INBOX")
    got = b" ".join(c.ok("FETCH 2 BODY.PEEK[]") + c.ok("SEARCH BODY word2"))
tm.ok(b"word1" in got and b"* SEARCH 3" in got, "and all is well when there are some again") or tm.diag(got)
c.close()

# ---- listeners' shares -----------------------------------------------------------------------------
many = [f"127.0.2.{i}" for i in range(1, 100)]


def greeting(s):
    s.settimeout(tm.LONG)
    try:
        return s.recv(200)
    except OSError as e:
        return f"nothing ({e})".encode()


def crowd(port, n, sources=many):
    out = []
    for i in range(n):
        try:
            s = hostile.tcp(sb, port, sources[i % len(sources)])
            greeting(s)
            out.append(s)
        except OSError:
            pass
    return out


full = crowd("IMAP", 300, ["127.0.4.1"])
s = hostile.tcp(sb, "IMAP", "127.0.4.2")
got = greeting(s)
point("imap", got.startswith(b"* OK"), "imapd: another address is served beside a crowd from one") or tm.diag(got)
for x in full + [s]:
    x.close()

full = crowd("LMTP", 60)
s = hostile.unix(sb, "lmtpd.sock")
got = greeting(s)
point("lmtp", got.startswith(b"220"), "lmtpd: the Unix socket is served beside a crowd on TCP") or tm.diag(got)
s.close()
before = sb.count(2)
sb.send(2, subject="beside a crowd")
point("lmtp-mail", tm.wait_for(lambda: sb.count(2) == before + 1), "and mail is delivered")
for s in full:
    s.close()
tm.ok(sb.queue_empty(), "the queue is empty afterwards")

full = crowd("SMTP", 90)
for name, get in (("submission", lambda: hostile.tcp(sb, "SUBMISSION", "127.0.3.1")), ("submissions", lambda: hostile.tls(sb, "SUBMISSIONS")),
                  ("local", lambda: hostile.unix(sb, "submit.sock"))):
    try:
        s = get()
        got = greeting(s)
        s.close()
    except OSError as e:
        got = str(e).encode()
    point(name, got.startswith(b"220"), f"smtp-relay: {name} is served beside a crowd on mx") or tm.diag(got)
for s in full:
    s.close()


# ---- transaction ids --------------------------------------------------------------------------------
def lmtp(subject, qid, users=(3,)):
    with hostile.unix(sb, "lmtpd.sock") as s, s.makefile("rwb") as f:
        f.readline()
        for line in ["LHLO relay.test"]:
            f.write(line.encode() + b"\r\n")
            f.flush()
            while f.readline()[3:4] == b"-":
                pass
        out = []
        for line in [f"MAIL FROM:<out@sender.test> XQID={qid}", *[f"RCPT TO:<{sb.user(u)}@{sb.domain}>" for u in users], "DATA", f"Subject: {subject}\r\n\r\n{subject}\r\n."]:
            f.write(line.encode() + b"\r\n")
            f.flush()
            for _ in users if line.endswith("\n.") else [0]:
                out.append(f.readline().decode().strip())
        return out


has = lambda user, subject: sum(f"Subject: {subject}\r\n".encode() in m for m in sb.messages(user))
said = lmtp("first", "sameid1234567") + lmtp("first", "sameid1234567")
tm.ok(tm.wait_for(lambda: has(3, "first")) and has(3, "first") == 1, "a message that comes again with its id is delivered once") or tm.diag(said)
said = lmtp("second", "sameid1234567")
good = said[-1].startswith("2") and tm.wait_for(lambda: has(3, "second") == 1)
point("xqid", good or said[-1].startswith(("4", "5")), "another message with that id is not swallowed") or tm.diag(said)

# ---- an MX that is ourselves -------------------------------------------------------------------------
me = f"{sb.user(1)}@{sb.domain}"
before = sb.count(1)
for to in ("x@self.test", "x@zero.test", "x@loop.test"):
    sb.send([to], sender=me, subject="to ourselves")
tm.ok(tm.wait_for(lambda: not sb.queue_files() or us.mails or "deferred" in open(f"{sb.env['RUNDIR']}/jobctl.log").read()), "mail for a domain whose MX is this host")
point("mx-returned", tm.wait_for(lambda: sb.count(1) >= before + 3 or us.mails), "is returned")
point("mx", not us.mails, "and not delivered to whoever listens here") or tm.diag(us.mails)
tm.done()
