#!/usr/bin/env python3
"""The same messages and the same filter, once asked by smtp-relay and once by Postfix: the filter hears the same,
and what comes out at the next host is the same, octet by octet but for Received; and a real filter, opendkim, signs."""
import os, re, shutil, socket, subprocess, sys, threading

sys.path[:0] = [os.path.dirname(os.path.abspath(__file__))]
import nexthop
import tm
from milterd import *

if not nexthop.here():
    tm.skip_all("needs root and Postfix")

sink = nexthop.Sink()
got = sink.got
filt = Milter(f"127.0.0.1:{tm.free_port()}")
sb = tm.Sandbox("--users", "1", "--without", "imapd", "--route", f"sink.test=smtp:127.0.0.1:{sink.port}",
                "--set", "smtp-relay.relay.domains=sink.test")
conf = open(sb.conf("smtp-relay.conf")).read()
with open(sb.conf("smtp-relay.conf"), "a") as f:
    f.write(f"\n[milter it]\naddress = {filt.address}\n")
sb.restart("smtp-relay")

postfix = nexthop.Postfix(sb.env.get("HOSTNAME", "relay.test"), sink, f"inet:{filt.address}", "smtpd_recipient_restrictions = check_recipient_access inline:{x@stranger.test=REJECT}, permit\n")
POSTFIX = postfix.port

def send(port, head, body):
    import smtplib
    with smtplib.SMTP("127.0.0.1", port, local_hostname="client.test", timeout=tm.LONG) as s:
        s.ehlo()
        s.mail("a@else.test")
        s.rcpt("b@sink.test")
        return s.data(head + "\r\n" + body)[0]


def told():
    """What the filter was told of the message."""
    c = filt.conns[-1]
    return (filt.commands(), c.sender, c.rcpts, c.fields, c.body)


out = sink.last


def both(head, body, terms=None, end=lambda c: frame("c"), **answer):
    """(told, out) of the two."""
    results = []
    for port in (sb.port("SMTP"), POSTFIX):
        filt.reset()
        filt.terms = terms or filt.terms
        filt.answer = dict(answer, E=end)
        n = len(got)
        code = send(port, head, body)
        if code == 250:
            tm.wait_for(lambda: len(got) > n, what="the message at the next host")
        tm.wait_for(lambda: filt.commands().endswith("Q"))
        results.append((told(), code if code != 250 else out()))
    return results


def same(what, *args, **kw):
    ours, theirs = both(*args, **kw)
    strip = lambda t: (t[0].replace("A", ""),) + t[1:]
    tm.is_(strip(ours[0]), strip(theirs[0]), f"{what}: the filter is told the same")
    tm.is_(ours[1], theirs[1], f"{what}: and the same comes out")


HEAD = "From: <a@else.test>\r\nTo: <b@sink.test>\r\nSubject: one\r\n two\r\n\tthree\r\nX-A:  1\r\nX-A:2\r\nx-a: \r\n" \
       "Date: Sat, 1 Jan 2000 00:00:00 +0000\r\nMessage-ID: <1@else.test>\r\n"
try:
    if tm.ok(postfix.started.returncode == 0, "Postfix starts"):
        same("nothing", HEAD, "hello\r\n.dot\r\n\r\n")
        same("blanks stay", HEAD, "hello\r\n", terms=(ALL, SPACE, {}), end=lambda c: header("h", "X-Sp", "  two") + header("i", "X-Sp", "", 3) + frame("c"))
        same("a long body", HEAD, "0123456789abcdef\r\n" * 9000)
        for index in range(6):
            same(f"inserted at {index}", HEAD, "b\r\n", end=lambda c: header("i", "X-In", "v\n folded", index) + frame("c"))
        same("inserted twice, at the top and behind", HEAD, "b\r\n",
             end=lambda c: header("i", "X-1", "v", 0) + header("i", "X-2", "v", 0) + header("i", "X-3", "v", 2) + header("i", "X-4", "v", 99) + frame("c"))
        same("added", HEAD, "b\r\n", end=lambda c: header("h", "X-1", "v") + header("h", "X-2", "") + frame("a"))
        for index in range(5):
            same(f"X-A {index} changed", HEAD, "b\r\n", end=lambda c: header("m", "X-A", "new", index) + frame("c"))
            same(f"X-A {index} deleted", HEAD, "b\r\n", end=lambda c: header("m", "X-A", "", index) + frame("c"))
        same("one deleted, one changed, one added", HEAD, "b\r\n", end=lambda c: header("m", "X-A", "", 1) + header("m", "X-A", "n", 1)
             + header("m", "Subject", "s", 1) + header("h", "X-A", "z") + header("m", "Received", "mine", 1) + frame("c"))
        same("another body", HEAD, "b\r\n" * 100, end=lambda c: frame("b", b"new\r\n") + frame("b", b"body\r\n") + frame("c"))
        same("the envelope", HEAD, "b\r\n", end=lambda c: frame("e", text("<n@else.test>")) + frame("-", text("<b@sink.test>")) + frame("+", text("<c@sink.test>")) + frame("c"))
        same("refused in its words", HEAD, "b\r\n", end=lambda c: frame("y", text("554 5.7.9 no")))

        # ---- commands that nobody knows, and recipients that are refused
        def lines(port, commands, terms, **answer):
            """What the client reads (codes), and what the filter has heard from each step on: command, strings, macros."""
            filt.reset()
            filt.terms = terms
            filt.answer = dict(answer)
            with socket.create_connection(("127.0.0.1", port), timeout=tm.LONG) as c:
                f = c.makefile("rwb")
                codes = [f.readline()[:3]]
                for command in commands:
                    f.write(command.encode() + b"\r\n")
                    f.flush()
                    while (line := f.readline())[3:4] == b"-":
                        pass
                    codes.append(line[:3].replace(b"502", b"500").replace(b"554", b"550"))     # RFC 5321 4.2.4, 4.3.2: as we say it
                f.close()
            tm.wait_for(lambda: filt.conns and filt.commands().endswith("Q") or not filt.conns)
            heard = [(c, d) for conn in filt.heard for c, d in conn if c in "URMHADT"]
            told = []
            for c, d in heard:
                if c == "D":
                    words = dict(zip(*[iter(d[1:].split(b"\0")[:-1])] * 2))
                    if d[:1] == b"R" and words.get(b"{rcpt_mailer}") == b"error":
                        told.append(("error", words[b"{rcpt_host}"], bool(words[b"{rcpt_addr}"])))
                elif c == "T" or c == "A":
                    told.append(c)
                else:
                    told.append((c, d))
            return codes, [t for t in told if t != "A"]

        def alike(what, commands, terms=(ALL, 0, {}), theirs=None, **answer):
            ours, peer = lines(sb.port("SMTP"), commands, terms, **answer), lines(POSTFIX, commands, terms, **answer)
            tm.is_(ours[1], peer[1], f"{what}: the filter is told the same")
            tm.is_(ours[0], theirs or peer[0], f"{what}: and the client is answered the same")
            return ours

        HELLO, MAIL, BAD, GOOD = "EHLO client.test", "MAIL FROM:<a@else.test>", "RCPT TO:<x@stranger.test>", "RCPT TO:<b@sink.test>"
        ours = alike("unknown", (HELLO, "FROB  one two", MAIL, "Frob", "QUIT"))
        tm.is_([t for t in ours[1] if t[0] == "U"], [("U", b"FROB\0"), ("U", b"Frob\0")], "the verb as it came")
        alike("unknown before EHLO", ("FROB", HELLO, MAIL, "QUIT"))
        alike("unknown, refused", (HELLO, "FROB", MAIL, GOOD, "QUIT"), U=lambda c: frame("y", text("554 5.7.9 no such thing")))
        alike("unknown, rejected", (HELLO, "FROB", MAIL, GOOD, "QUIT"), U=lambda c: "r")
        alike("unknown, later", (HELLO, MAIL, "FROB", GOOD, "QUIT"), U=lambda c: "t")
        alike("unknown, not wanted", (HELLO, "FROB", "QUIT"), (ALL, 0x100, {}))
        alike("unknown, without an answer", (HELLO, "FROB", "FROB", MAIL, GOOD, "QUIT"), (ALL, 0x20000, {}), U=lambda c: None)
        alike("unknown, accepted in a transaction", (HELLO, MAIL, "FROB", GOOD, "RSET", MAIL, GOOD, "QUIT"), U=lambda c: "a")
        ours = alike("a refused recipient", (HELLO, MAIL, BAD, GOOD, "QUIT"), (ALL, 0x800, {}))
        tm.ok(any(t[0] == "error" for t in ours[1]), "with the macros of one")
        alike("refused, and nobody wants to hear", (HELLO, MAIL, BAD, GOOD, "QUIT"))
        for said in "rta":
            alike(f"a refused recipient, answered {said}", (HELLO, MAIL, BAD, GOOD, "QUIT"), (ALL, 0x800, {}), R=lambda c: said if b"stranger" in c.heard[-1][1] else "c")
finally:
    postfix.stop()

# ---- opendkim
if not shutil.which("opendkim"):
    tm.skip("opendkim", "it is not here")
else:
    sub = tm.tempdir()
    subprocess.run(["openssl", "genrsa", "-out", f"{sub}/key", "2048"], capture_output=True, check=True)
    os.chmod(f"{sub}/key", 0o600)
    port = tm.free_port()
    with open(f"{sub}/conf", "w") as f:
        f.write(f"Domain else.test\nSelector s\nKeyFile {sub}/key\nSocket inet:{port}@127.0.0.1\nMode s\nSyslog no\nBackground no\n"
                f"InternalHosts 127.0.0.1\nCanonicalization relaxed/simple\nTemporaryDirectory {sub}\nRequireSafeKeys no\n")
    log = open(f"{sub}/log", "w")
    p = subprocess.Popen(["opendkim", "-f", "-x", f"{sub}/conf"], stdout=log, stderr=log)

    def up():
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return True
        except OSError:
            return False
    try:
        tm.ok(tm.wait_for(lambda: up() or p.poll() is not None) and p.poll() is None, "opendkim listens")
        with open(sb.conf("smtp-relay.conf"), "w") as f:
            f.write(conf + f"\n[milter dkim]\naddress = 127.0.0.1:{port}\n")
        sb.restart("smtp-relay")
        n = len(got)
        tm.is_(send(sb.port("SMTP"), HEAD, "hello\r\n"), 250, "a message through it")
        tm.wait_for(lambda: len(got) > n)
        head = got[-1][1].split(b"\r\n\r\n")[0].decode()
        tm.ok(re.search(r"(?m)^DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/simple; d=else.test; s=s;", head), "is signed")
        bh = re.search(r"bh=([^;]+);", re.sub(r"\s", "", head))
        import base64, hashlib
        tm.is_(bh and bh.group(1), base64.b64encode(hashlib.sha256(b"hello\r\n").digest()).decode(), "with the sum of the body as it went out")
    finally:
        tm.end([p])
tm.done()
