#!/usr/bin/env python3
"""Rules of the relay and of lmtpd that smtp.t and lmtpd.t leave out, new configuration for every
daemon of the road, and that stopping in the middle of work loses nothing."""
import os, signal, smtplib, socket, ssl, sys, threading, time

sys.path[:0] = [os.path.dirname(os.path.abspath(__file__))]
import tm

sb = tm.Sandbox("--users", "9", "--without", "imapd", "--set", "tiermail.login.insecure_loopback=no",
                "--set", "smtp-relay.limit.size=100K", "--set", "smtp-relay.limit.clients=40",
                "--set", "smtp-relay.line_ends=normalise", "--set", "lmtpd.message.size=50K",
                "--set", "channels.channel tcp_lmtp.backoff=1s 1s 1s 1s 1s 1s")
D = sb.domain
me = f"user0001@{D}"


class Client:
    def __init__(self, port="SMTP", hello="EHLO client.test"):
        self.s = socket.create_connection((sb.host, sb.port(port)), tm.LONG)
        self.f = self.s.makefile("rb")
        self.greeting = self.reply()
        self.offer = self.say(hello) if hello else ""

    def reply(self):
        text = ""
        while True:
            line = self.f.readline().decode(errors="replace")
            text += line
            if line[3:4] != "-":
                return text.rstrip() or "EOF"

    def send(self, data):
        self.s.sendall(data if isinstance(data, bytes) else data.encode())

    def say(self, line):
        self.send(line + "\r\n")
        return self.reply()

    def mail(self, to=me, params=""):
        self.say("RSET")
        self.say(f"MAIL FROM:<out@sender.test>{params}")
        return self.say(f"RCPT TO:<{to}>")

    def body(self, text, to=me):
        self.mail(to)
        self.say("DATA")
        self.send(text)
        return self.reply()

    def chunk(self, data, last=False):
        self.send(f"BDAT {len(data)}{' LAST' if last else ''}\r\n".encode() + data)
        return self.reply()


def starts(got, want, what):
    return tm.ok(got.startswith(want), what) or tm.diag("got: " + got)


def stored(user=1):
    found = []
    for d, _, names in os.walk(sb.env["STORE"]):
        if f"={sb.user(user)}@" in d and "/=INBOX" in d:
            found += [os.path.join(d, n) for n in names if n.endswith(".msg")]
    return [open(p, "rb").read() for p in sorted(found, key=lambda p: int(os.path.basename(p)[:-4]))]


# ---- passwords and TLS ----------------------------------------------------------------------------
c = Client("SUBMISSION")
tm.ok("AUTH" not in c.offer and "STARTTLS" in c.offer, "AUTH is not offered before TLS")
starts(c.say("AUTH PLAIN AGEAYg=="), "538 5.7.11", "and not taken")
starts(c.say("MAIL FROM:<>"), "530", "nor is mail")
starts(c.say("STARTTLS"), "220", "STARTTLS")
c.s = ssl._create_unverified_context().wrap_socket(c.s)
c.f = c.s.makefile("rb")
starts(c.say("AUTH PLAIN AGEAYg=="), "503", "TLS forgets the EHLO")
tm.ok("AUTH PLAIN LOGIN" in c.say("EHLO client.test"), "AUTH is offered after it")
starts(c.say("STARTTLS"), "50", "no TLS within TLS")
c = Client("LMTP", "LHLO client.test")
tm.ok("AUTH" not in c.offer and "STARTTLS" in c.offer, "lmtpd offers STARTTLS, and never AUTH")
c.send("STARTTLS\r\nLHLO evil\r\n")
starts(c.reply(), "554 5.5.0", "it too takes no plain text behind STARTTLS")

# ---- the small commands -----------------------------------------------------------------------------
c = Client(hello=None)
starts(c.say("NOOP"), "250", "NOOP before EHLO")
starts(c.say("VRFY <user0001>"), "25", "VRFY")
starts(c.say("MAIL FROM:<a@b.test>"), "503", "MAIL before EHLO")
r = c.say("HELO client.test")
tm.ok(r.startswith("250 ") and "\n" not in r, "HELO: one line")
starts(c.mail(), "250", "mail after HELO")
starts(c.say("HELP"), "214", "HELP in the middle")
starts(c.say("EHLO client.test"), "250", "EHLO in the middle")
starts(c.say(f"RCPT TO:<{me}>"), "503", "ends the transaction (RFC 5321 4.1.4)")
c.mail()
starts(c.say("RSET now"), "501", "RSET takes no argument")
starts(c.say("RSET"), "250", "RSET")
starts(c.say("DATA"), "503", "ends it too")
starts(c.say("QUIT"), "221", "QUIT")
c = Client(hello="HELO client.test")
starts(c.body("Subject: a\r\n\r\nx\r\n.\r\n"), "250", "a message by HELO")
tm.ok(tm.wait_for(lambda: len(stored()) == 1), "arrives")
text = stored()[0]
tm.ok(b"with SMTP id" in text, "Received says SMTP") or tm.diag(text)
tm.is_(text.split(b"\r\n")[0], b"Return-Path: <out@sender.test>", "Return-Path is the first line")
tm.is_((text.count(b"Received:"), text.count(b"Return-Path:")), (2, 1), "one of it, and a Received of each server")

# ---- sizes --------------------------------------------------------------------------------------------
line = b"x" * 70 + b"\r\n"
c = Client()
starts(c.mail(params=" SIZE=1000"), "250", "SIZE below the limit")
c.say("RSET")
starts(c.say("MAIL FROM:<a@b.test> SIZE=102401"), "552 5.3.4", "above it")
starts(c.say("MAIL FROM:<a@b.test> SIZE=99999999999999999999999"), "5", "far above it")
c.mail()
starts(c.chunk(line * 1500, True), "552 5.3.4", "BDAT: one chunk too large")
starts(c.say("NOOP"), "250", "and the session goes on")
c.mail()
starts(c.chunk(line * 1000), "250", "a chunk below the limit")
starts(c.chunk(line * 1000), "552 5.3.4", "the next one brings it above")
starts(c.chunk(b"", True), "552 5.3.4", "so the last one fails")
starts(c.mail(), "250", "and the session goes on")
starts(c.say("BDAT x"), "501", "a BDAT that nobody can count")
tm.is_(c.reply(), "EOF", "ends the session")
c = Client()
c.mail()
starts(c.say("BDAT 18446744073709551616"), "501", "as does one beyond all numbers")

# ---- line ends, normalised ---------------------------------------------------------------------------
n = len(stored(2))
second = f"MAIL FROM:<evil@a.test>\r\nRCPT TO:<user0002@{D}>\r\nDATA\r\nSubject: evil\r\n\r\n"
marks = (b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r.\r\n", b"\n\n.\r\n")
for mark in marks:                                      # a dot behind a lone LF goes as one behind CRLF does
    starts(Client().body(b"Subject: n\r\n\r\nfirst" + mark + second.encode() + b".\r\n", f"user0002@{D}"), "250",
           f"{mark!r} is made good")
c = Client()
c.mail(f"user0002@{D}")
starts(c.chunk(b"Subject: n\n\na\rb\nc\r", True), "250", "in BDAT too")
n += len(marks) + 1
tm.ok(tm.wait_for(lambda: len(stored(2)) == n) and sb.queue_empty(), "each is one message")
texts = stored(2)
tm.ok(all(t.replace(b"\r\n", b"").count(b"\n") == t.replace(b"\r\n", b"").count(b"\r") == 0 for t in texts),
      "without a CR or LF alone")
tm.ok(any(t.endswith(b"Subject: n\r\n\r\na b\r\nc \r\n") for t in texts), "a CR is a blank, an LF a line end")

# ---- lmtpd ------------------------------------------------------------------------------------------
c = Client("LMTP", "LHLO client.test")
tm.ok("SIZE 51200" in c.offer, "lmtpd tells its limit")
starts(c.say("MAIL FROM:<a@b.test> SIZE=51201"), "552 5.3.4", "and keeps it at MAIL")
c.mail(f"user0003@{D}")
starts(c.chunk(line * 1000, True), "552 5.3.4", "in BDAT")
starts(c.body(line * 1000 + b".\r\n", f"user0003@{D}"), "552 5.3.4", "and in DATA")
starts(c.body(b"Subject: n\n\na\rb\n.\nc\r\n.\r\n", f"user0003@{D}"), "250", "odd line ends are made good")
starts(c.body(b"Subject: n\r\n\r\na\0b\r\n.\r\n", f"user0003@{D}"), "550 5.6.0", "a NUL is refused")
tm.is_(len(stored(3)), 1, "one of all these is stored")
tm.ok(stored(3)[0].endswith(b"Subject: n\r\n\r\na b\r\n\r\nc\r\n"), "with line ends as they should be") \
    or tm.diag(stored(3)[0])
c.mail(f"user0003@{D}")
answers = {c.say(f"RCPT TO:<nobody{i}@{D}>")[:9] for i in range(150)}
tm.is_(answers, {"550 5.1.1"}, "150 unknown recipients are no misbehaviour of a relay")
c.say("DATA")
starts(c.say("Subject: n\r\n\r\n."), "250", "and the good one gets its mail")
c = Client("LMTP", "LHLO client.test")
answers = [c.say("MAIL FROM:junk") for _ in range(100)]
starts(c.reply() if answers[-1].startswith("501") else answers[-1], "421", "but who cannot speak is sent away")

# ---- all clients together -----------------------------------------------------------------------------
many = [Client(hello=None) for _ in range(40)]
starts(Client(hello=None).greeting, "421 4.3.2", "limit.clients, over all workers")
for m in many:
    m.s.shutdown(socket.SHUT_RDWR)
tm.ok(tm.wait_for(lambda: Client(hello=None).greeting.startswith("220")), "and it is open again")


# ---- new configuration ----------------------------------------------------------------------------------
def log(daemon):
    with open(f"{sb.env['RUNDIR']}/{daemon}.log", errors="replace") as f:
        return f.read()


def ask(daemon, line):
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(f"{sb.env['RUNDIR']}/{daemon}.ctl")
        s.sendall(line.encode() + b"\n")
        return b"".join(iter(lambda: s.recv(65536), b"")).decode()


waiting = {"smtp-relay": Client(), "lmtpd": Client("LMTP", "LHLO client.test")}
for daemon, unit in (("smtp-relay", "smtp_"), ("lmtpd", "lmtpd_"), ("jobctl", "queue_"), ("stored", "store")):
    pid = sb.pid(daemon)
    metrics = ask(daemon, "metrics")
    tm.ok(f"tiermail_{unit}" in metrics and metrics.endswith("# EOF\n"), f"{daemon}: metrics") or tm.diag(metrics[-600:])
    with open(sb.conf(daemon + ".conf")) as f:
        good = f.read()
    before = log(daemon).count("ev=reload ")
    os.kill(pid, signal.SIGHUP)
    tm.ok(tm.wait_for(lambda: log(daemon).count("ev=reload ") > before), f"{daemon}: SIGHUP") or tm.diag(log(daemon)[-500:])
    with open(sb.conf(daemon + ".conf"), "w") as f:
        f.write("colour = red\n" + good)
    os.kill(pid, signal.SIGHUP)
    tm.ok(tm.wait_for(lambda: "ev=reload_failed" in log(daemon) and "colour" in log(daemon)), f"{daemon}: a bad one is told")
    tm.ok("daemon=" + daemon in ask(daemon, "status") and sb.pid(daemon) == pid, f"{daemon}: and it goes on")
    with open(sb.conf(daemon + ".conf"), "w") as f:
        f.write(good)
for daemon, c in waiting.items():
    starts(c.say("STARTTLS"), "220", f"{daemon}: a connection from before the reload")
    c.s = ssl._create_unverified_context().wrap_socket(c.s)
    c.f = c.s.makefile("rb")
    starts(c.say("NOOP"), "250", "can still begin TLS")
sb.send(4, subject="after all that")
tm.ok(tm.wait_for(lambda: len(stored(4)) == 1), "mail still flows")

# ---- stopping in the middle of work -------------------------------------------------------------------------
accepted, stop, lock = [], threading.Event(), threading.Lock()


def load(k):
    n = 0
    while not stop.is_set():
        try:
            with smtplib.SMTP(sb.host, sb.port("SMTP"), "load.test", tm.LONG) as s:
                for _ in range(20):
                    n += 1
                    s.sendmail("out@sender.test", [f"user0005@{D}"], f"Subject: load {k}-{n}-\r\n\r\nx\r\n")
                    with lock:
                        accepted.append(f"load {k}-{n}-")
        except (OSError, smtplib.SMTPException):
            time.sleep(0.01)


threads = [threading.Thread(target=load, args=(k,)) for k in range(4)]
for t in threads:
    t.start()
for daemon in ("smtp-relay", "lmtpd", "jobctl", "stored", "smtp-relay", "lmtpd", "jobctl", "stored"):
    n = len(accepted)
    tm.wait_for(lambda: len(accepted) > n + 50)
    tm.ok(sb.restart(daemon), f"{daemon} is stopped and started under load")
stop.set()
for t in threads:
    t.join()
tm.ok(sb.queue_empty(), "the queue empties")
texts = b"".join(stored(5))
lost = [a for a in accepted if f"Subject: {a}\r\n".encode() not in texts]
tm.is_(lost, [], f"all {len(accepted)} messages are there")
copies = len(stored(5)) - len(accepted)
tm.ok(copies <= 8, f"with at most the copies that a cut connection explains ({copies})")
tm.done()
