#!/usr/bin/env python3
"""smtp-relay against a real directory: who may send what to whom, the answers, the limits, and
what stands in the queue afterwards.  Nothing is delivered here: no jobctl runs."""
import base64, os, smtplib, socket, ssl, subprocess
import tm

REST = [a for d in ("stored", "lmtpd", "jobctl", "imapd") for a in ("--without", d)]
sb = tm.Sandbox("--users", "20", *REST, "--set", "smtp-relay.limit.size=100K", "--set",
                "smtp-relay.limit.rcpts=100", "--set",
                "smtp-relay.auth.delay=0", "--set", "smtp-relay.time.command=1s", "--set",
                "smtp-relay.time.data=1s", "--set", "smtp-relay.limit.per_client=30", "--set",
                "smtp-relay.relay.domains=friend.test", "--set",
                "smtp-relay.submission.any_sender=user0009@example.test", "--set",
                "smtp-relay.limit.user_messages=15", "--set", "smtp-relay.limit.user_rcpts=30")
D, D2 = sb.domain, sb.env["DOMAIN2"]
me = f"user0001@{D}"
HOST = sb.env["MAILHOST"]


class Client:
    """SMTP by hand: bytes out, whole replies in."""

    def __init__(self, port="SMTP", greet=True, tls=False):
        self.s = socket.create_connection((sb.host, sb.port(port)), tm.LONG)
        if tls:
            self.s = ssl._create_unverified_context().wrap_socket(self.s)
        self.s.settimeout(tm.LONG)
        self.buf = b""
        if greet:
            self.greeting = self.reply()
            self.ehlo = self.say("EHLO client.test")

    def send(self, data):
        self.s.sendall(data.encode() if isinstance(data, str) else data)

    def reply(self):
        lines = []
        while True:
            while b"\n" not in self.buf:
                try:
                    more = self.s.recv(65536)
                except ConnectionResetError:
                    more = b""
                if not more:
                    return "\n".join(lines) + "EOF"
                self.buf += more
            line, self.buf = self.buf.split(b"\r\n", 1)
            lines.append(line.decode(errors="replace"))
            if line[3:4] != b"-":
                return "\n".join(lines)

    def say(self, line):
        self.send(line + "\r\n")
        return self.reply()

    def mail(self, to=me, sender="out@sender.test", params=""):
        self.say("RSET")
        self.say(f"MAIL FROM:<{sender}>{params}")
        return self.say(f"RCPT TO:<{to}>")

    def data(self, body, to=me, sender="out@sender.test"):
        self.mail(to, sender)
        go = self.say("DATA")
        if not go.startswith("354"):
            return go
        self.send(body)
        return self.reply()

    def tls(self):
        self.say("STARTTLS")
        ctx = ssl.create_default_context(cafile=sb.env["CAFILE"])
        ctx.check_hostname = False
        self.s = ctx.wrap_socket(self.s)
        self.ehlo = self.say("EHLO client.test")
        return self

    def plain(self, user="user0001", password=None, authzid=""):
        text = "\0".join((authzid, user, password or sb.password)).encode()
        return self.say("AUTH PLAIN " + base64.b64encode(text).decode())


def starts(got, want, what):
    return tm.ok(got.startswith(want), what) or tm.diag("got: " + got)


def queued(reply):
    """The file of the queue that a 250 answered, header and message."""
    qid = reply.split()[-1]
    files = [f for f in sb.queue_files() if qid in f]
    if not files:
        return "", b""
    head, _, body = open(files[0], "rb").read().partition(b"END\n")
    return head.decode(), body


# ---- the greeting and what is offered ---------------------------------------------------------
c = Client()
starts(c.greeting, f"220 {HOST} ESMTP", "greeting")
offer = {l[4:].split()[0] for l in c.ehlo.splitlines()[1:]}
tm.is_(offer, {"PIPELINING", "8BITMIME", "ENHANCEDSTATUSCODES", "CHUNKING", "SMTPUTF8", "SIZE", "LIMITS", "STARTTLS",
               "DSN", "HELP"}, "EHLO on an mx listener")
starts(c.say("AUTH PLAIN AA=="), "500", "no AUTH there")
starts(c.say("VRFY postmaster"), "252", "VRFY")
starts(c.say("HELP"), "214", "HELP")
starts(c.say("NOOP"), "250", "NOOP")

# ---- recipients -------------------------------------------------------------------------------
for to, want, what in (
        (me, "250", "a user"), (me.upper(), "250", "in capitals"), (f'"user0001"@{D}', "250", "in quotes"),
        (f"alias0001@{D}", "250", "an alias"), (f"user0001+box@{D}", "250", "with a subaddress"),
        ("postmaster", "250", "postmaster"), (f"PostMaster@{D2}", "250", "postmaster of every domain"),
        (f"nobody@{D}", "550 5.1.1", "unknown user"), (f"disabled@{D}", "550 5.2.1", "disabled user"),
        (f"hold@{D}", "250", "user on hold"), ("x@elsewhere.test", "550 5.7.1", "relaying"),
        ("x@[192.0.2.1]", "550 5.7.1", "relaying to a literal"), ("x@friend.test", "250", "relay.domains"),
        ("user0001", "501 5.1.3", "no domain"), (f"a b@{D}", "501", "a blank"),
        (f"@hub.test:{me}", "250", "a source route"), (f"x%elsewhere.test@{D}", "550 5.1.1", "percent hack")):
    starts(Client().mail(to), want, f"RCPT: {what}")
c = Client()
starts(c.say(f"RCPT TO:<{me}>"), "503", "RCPT before MAIL")
starts(c.say("MAIL FROM:<a@b.test> SIZE=102401"), "552 5.3.4", "SIZE at MAIL")
starts(c.say("MAIL FROM:<a@b.test> BODY=BINARYMIME"), "555", "BINARYMIME is not offered")
starts(c.say("MAIL FROM:<a@b.test> COLOUR=RED"), "555", "unknown parameter")
c.say("MAIL FROM:<a@b.test>")
last = [c.say(f"RCPT TO:<user0001+{i}@{D}>") for i in range(101)][-2:]
tm.ok(last[0].startswith("250") and last[1].startswith("452 4.5.3"), "too many recipients")

# ---- messages -----------------------------------------------------------------------------------
body = "Subject: x\r\n\r\nline\r\n..dot\r\n" + "\u00e9" * 3 + "\r\n"
r = Client().data(body.encode() + b".\r\n")
starts(r, "250 2.0.0 queued as ", "a message is accepted")
head, text = queued(r)
trace, rest = text.split(b"Subject", 1)
tm.is_(b"Subject" + rest, body.replace("\r\n..", "\r\n.").encode(), "and is in the queue, byte for byte")
tm.ok(trace.startswith(b"Received: from client.test ([127.0.0.1])\r\n\tby " + HOST.encode() + b" with ESMTP id "),
      "behind our Received field") or tm.diag(trace)
tm.ok(b"for <" + me.encode() + b">" in trace, "which names the one recipient")
c = Client()
c.mail(params=" RET=HDRS ENVID=x+2By BODY=8BITMIME")
c.say(f"RCPT TO:<user0002@{D}> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;u+2B2@orig.test")
c.say(f"RCPT TO:<USER0001@{D.upper()}>")
c.say("DATA")
r = c.say("\r\n\u00fc\r\n.")
head, text = queued(r)
tm.ok("ret=hdrs" in head and "envid=x%2By" in head or "envid=x+y" in head, "RET and ENVID are kept") or tm.diag(head)
tm.ok("notify=success,delay" in head and "orcpt=rfc822;u+2@orig.test" in head.replace("%3B", ";").replace("%2B", "+"),
      "NOTIFY and ORCPT are kept") or tm.diag(head)
tm.ok("body=8bit" in head, "8-bit content is queued as such")
tm.ok(b"Message-ID" not in text and b"Date:" not in text, "nothing is added to mail from outside")
tm.ok(b" for <" not in text, "and two recipients are not told of one another")
r = Client().data("Received: from a by b; x\r\n" * 101 + "\r\n.\r\n")
starts(r, "554 5.4.6", "a message that goes in circles")
r = Client().data(b"x: y\r\n\r\n" + b"x" * 70 * 1500 + b"\r\n.\r\n")
starts(r, "550 5.6.0", "a line that is too long")
r = Client().data((b"x" * 70 + b"\r\n") * 1500 + b".\r\n")
starts(r, "552 5.3.4", "a message that is too large")
r = Client().data(b"a\0b\r\n.\r\n")
starts(r, "550 5.6.0", "a NUL")
r = Client().data("Subject: held\r\n\r\n.\r\n", to=f"hold@{D}")
starts(r, "250", "mail for a user on hold is accepted")
tm.ok(any(r.split()[-1] in f and f.endswith(".HELD") for f in sb.queue_files()), "and held in the queue")
c = Client()
c.mail()
c.say("RCPT TO:<x@friend.test>")
c.say("DATA")
r = c.say("x: y\r\n\r\n.")
tm.is_(len([f for f in sb.queue_files() if r.split()[-1] in f]), 2, "two destinations, two files")
c = Client()
starts(c.say("MAIL FROM:<\u00fc@b.test>"), "553 5.6.7", "a UTF-8 address without SMTPUTF8")
starts(c.say("MAIL FROM:<\u00fc@b.test> SMTPUTF8"), "250", "and with it")
c.say(f"RCPT TO:<{me}>")
c.say("DATA")
head, text = queued(c.say(".\r\n"[:-2]))
tm.ok("utf8=1" in head and b"with UTF8SMTP " in text, "it stays so in the queue") or tm.diag(text)

c = Client()
c.send(f"MAIL FROM:<a@b.test>\r\nRCPT TO:<{me}>\r\nRCPT TO:<nobody@{D}>\r\nRCPT TO:<user0002@{D}>\r\nDATA\r\n")
codes = [c.reply()[:3] for _ in range(5)]
tm.is_(codes, ["250", "250", "550", "250", "354"], "a pipelined envelope")
c.send(f"x: y\r\n\r\n.\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<{me}>\r\nDATA\r\n")
tm.is_([c.reply()[:3] for _ in range(4)], ["250", "250", "250", "354"], "and the next one behind the message")
c.s.close()

# ---- BDAT ---------------------------------------------------------------------------------------
c = Client()
c.mail()
c.send(b"BDAT 12\r\nSubject: b\r\nBDAT 8 LAST\r\n\r\n.\r\nx\r\nQUIT\r\n")
tm.ok(c.reply().startswith("250") and (r := c.reply()).startswith("250 2.0.0 queued"), "BDAT in two chunks, pipelined")
tm.ok(queued(r)[1].endswith(b"Subject: b\r\n\r\n.\r\nx\r\n"), "arrives as it is, dots and all")
starts(c.reply(), "221", "and what stands behind the chunk is a command")

# ---- smuggling ----------------------------------------------------------------------------------
SECOND = f"MAIL FROM:<evil@a.test>\r\nRCPT TO:<{me}>\r\nDATA\r\nSubject: evil\r\n\r\n"
before = len(sb.queue_files())
for mark in (b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r\n.\r", b"\r.\r\n", b"\n\n.\r\n", b"\r\n\0.\r\n",
             b"\r\n.\0\r\n"):
    c = Client()
    r = c.data(b"a: b\r\n\r\nfirst" + mark + SECOND.encode() + b".\r\nNOOP\r\n")
    after = c.reply()
    tm.ok(r.startswith("550 5.6.0") and after.startswith("250 2.0.0"), f"smuggling by {mark!r} is one refused message")
    c.s.close()
tm.is_(len(sb.queue_files()), before, "and nothing of it is in the queue")
c = Client(greet=False)
c.send("EHLO x\r\nMAIL FROM:<a@b.test>\r\n")
c.reply()
starts(c.reply(), "554 5.5.0", "input behind EHLO before its answer")
tm.is_(c.reply(), "EOF", "ends the session")
c = Client()
c.send("STARTTLS\r\nEHLO evil\r\n")
starts(c.reply(), "554 5.5.0", "plain text behind STARTTLS")
tm.is_(c.reply(), "EOF", "ends the session")

# ---- submission ---------------------------------------------------------------------------------
c = Client("SUBMISSION")
starts(c.say("MAIL FROM:<a@b.test>"), "530 5.7.0", "submission needs authentication")
tm.ok("AUTH PLAIN LOGIN" in c.ehlo, "offered without TLS here, from loopback, by configuration")
c.tls()
tm.ok("AUTH PLAIN LOGIN" in c.ehlo and "STARTTLS" not in c.ehlo, "offered with TLS")
starts(c.say("AUTH CRAM-MD5"), "504", "unknown mechanism")
starts(c.say("AUTH PLAIN !!"), "501 5.5.2", "no base64")
starts(c.say("AUTH PLAIN"), "334", "AUTH without initial response")
starts(c.say("*"), "501", "given up")
starts(c.plain(password="wrong"), "535 5.7.8", "wrong password")
starts(c.plain("disabled"), "525", "disabled user") if not c.say("NOOP").startswith("EOF") else None
starts(c.plain(), "235 2.7.0", "right password")
starts(c.plain(), "503", "once is enough")
starts(c.mail(sender="somebody@else.test"), "503", "somebody else's sender address (no transaction)")
starts(c.say("MAIL FROM:<somebody@else.test>"), "553 5.7.1", "is refused at MAIL")
starts(c.say(f"MAIL FROM:<user0002@{D}>"), "553 5.7.1", "another user's too")
starts(c.say(f"MAIL FROM:<alias0001@{D}>"), "250", "an alias of one's own is fine")
starts(c.say("RSET"), "250", "RSET")
r = c.data("Subject: s\r\n\r\nx\r\n.\r\n", to="x@elsewhere.test", sender=me)
starts(r, "250 2.0.0 queued", "users may send anywhere")
head, text = queued(r)
tm.ok(b"\r\nDate: " in text and f"\r\nMessage-ID: <{r.split()[-1]}@{HOST}>".encode() in text, "Date and Message-ID are added")
tm.ok(b"with ESMTPSA" in text and b"(TLSv1.3 " in text, "Received says TLS and AUTH") or tm.diag(text)
tm.ok(f"auth={me}" in head and "channel=tcp_local dest=elsewhere.test" in head, "the queue knows who and where to") or tm.diag(head)
r = c.data("Date: Sun, 22 Nov 2026 08:20:01 +0000\r\nMessage-ID: <a@b>\r\n\r\nx\r\n.\r\n", sender=me)
tm.ok(queued(r)[1].count(b"Date:") == 1 and queued(r)[1].count(b"Message-ID:") == 1, "only when missing")
c = Client("SUBMISSION").tls()
starts(c.say("AUTH LOGIN"), "334 VXNlcm5hbWU6", "AUTH LOGIN asks")
starts(c.say(base64.b64encode(f"user0009@{D}".encode()).decode()), "334 UGFzc3dvcmQ6", "twice")
starts(c.say(base64.b64encode(sb.password.encode()).decode()), "235", "and is content")
starts(c.say("MAIL FROM:<any@body.test>"), "250", "submission.any_sender")
c = Client("SUBMISSION").tls()
starts(c.plain(authzid="user0002"), "535", "for another user")
c.plain(password="w")
starts(c.plain(password="w"), "421 4.7.0", "the third failure ends the session")
s = smtplib.SMTP_SSL(sb.host, sb.port("SUBMISSIONS"), context=ssl._create_unverified_context(), timeout=tm.LONG)
s.login("user0003", sb.password)
tm.is_(s.sendmail(f"user0003@{D}", [me], "Subject: x\r\n\r\nx\r\n"), {}, "implicit TLS with Python's smtplib")
s.quit()

c = Client("SUBMISSIONS", greet=False, tls=True)
c.reply()
c.say("EHLO client.test")
c.plain("user0005")
mine = f"user0005@{D}"
got = [c.say(f"MAIL FROM:<{mine}>") + c.say("RSET") for _ in range(16)]
tm.ok(got[14].startswith("250") and got[15].startswith("450 4.7.1"), "messages of one user in an hour")
c = Client("SUBMISSION").tls()
c.plain("user0006")
c.say(f"MAIL FROM:<user0006@{D}>")
got = [c.say(f"RCPT TO:<x{i}@elsewhere.test>") for i in range(31)]
tm.ok(got[29].startswith("250") and got[30].startswith("450 4.7.1"), "recipients of one user in an hour")

# ---- limits ---------------------------------------------------------------------------------------
c = Client()
answers = [c.say("MAIL FROM:junk") for _ in range(20)]
starts(c.reply() if answers[-1].startswith("501") else answers[-1], "421 4.7.0", "too many errors")
c = Client()
c.send("NOO")
starts(c.reply(), "421 4.4.2", "a command that does not come")
c = Client()
c.mail()
c.say("DATA")
c.send("x")
starts(c.reply(), "421 4.4.2", "a body that does not come")
c = Client()
c.mail()
c.say("DATA")
c.s.settimeout(0.2)
for _ in range(int(40 * tm.SLOW)):                         # something comes, but far too little
    try:
        c.send("x")
        c.buf += c.s.recv(4096)
        break
    except TimeoutError:
        pass
starts(c.buf.decode(), "421 4.4.2", "a body that drips")
c = Client()
starts(c.say("NOOP " + "x" * 3000), "500 5.5.2", "a long command line")
starts(c.say("NOOP " + "x" * 30000), "500 5.5.2", "a very long one")
starts(c.say("NOOP"), "250", "and the session goes on")
many = [Client() for _ in range(30)]
r = Client(greet=False).reply()
starts(r, "421 4.7.0", "too many connections of one client")
for pid in set(sb.pids_of("smtp-relay")) - {sb.pid("smtp-relay")}:
    os.kill(pid, 9)
tm.ok(tm.wait_for(lambda: Client(greet=False).reply().startswith("220")), "a worker's death gives its sessions back")
for m in many:
    m.s.close()

# ---- sendmail ---------------------------------------------------------------------------------------
def sendmail(*args, text="x\n"):
    env = dict(os.environ, TIERMAIL_CONF=sb.conf("tiermail.conf"))
    r = subprocess.run([sb.bin("sendmail"), *args], input=text.encode(), env=env, capture_output=True)
    return r.returncode, r.stdout.decode(), r.stderr.decode()


def newest():
    files = sorted(sb.queue_files(), key=os.path.getmtime)
    head, _, body = open(files[-1], "rb").read().partition(b"END\n")
    return head.decode(), body


rc, out, err = sendmail("-t", "-i", "-f", me, "-F", "Me", f"user0003@{D}",
                        text=f"To: Two <user0002@{D}>\nBcc: alias0004@{D}\nSubject: x\n\na\n.\nb")
tm.is_(rc, 0, "sendmail -t -i") or tm.diag(err)
head, text = newest()
tm.ok(all(f"addr={u}@{D}" in head for u in ("user0002", "user0003", "alias0004")), "takes its recipients") or tm.diag(head)
tm.ok(b"Bcc" not in text and text.endswith(b"\r\n\r\na\r\n.\r\nb\r\n"), "takes Bcc out and goes on behind a lone dot")
tm.ok(f'From: Me <{me}>'.encode() in text and b"Message-ID: <" in text, "-F makes From") or tm.diag(text)
tm.is_(sendmail(f"user0001@{D}", text="x\n.\nQUIT\n")[0], 0, "a lone dot ends the message")
tm.ok(newest()[1].endswith(b"\r\n\r\nx\r\n"), "and nothing behind it is sent")
tm.is_(sendmail("-t", text=f"To: nobody@{D}\nResent-To: user0005@{D}\nSubject: x\n\nx\n")[0], 0, "-t takes Resent-To")
tm.ok("rcpts=1" in newest()[0] and b"To: nobody" in newest()[1], "and then only that")
tm.is_(sendmail(f"nobody@{D}")[0], 67, "EX_NOUSER")
tm.is_(sendmail()[0], 64, "EX_USAGE without recipients")
tm.is_(sendmail("-N", "often", me)[0], 64, "EX_USAGE for a bad -N")
tm.is_(sendmail("-oi", "-oem", "-B8BITMIME", "-N", "failure,delay", "-R", "hdrs", "-V", "id", me)[0], 0, "options")
head = newest()[0]
tm.ok("notify=failure,delay" in head and "ret=hdrs" in head and "envid=id" in head, "reach the queue") or tm.diag(head)
sendmail("-F", 'J\u00f6rg "Q". X', me)
tm.ok(b"From: =?utf-8?q?J=C3=B6rg_=22Q=22=2E_X?= <" in newest()[1], "-F beyond ASCII is encoded") or tm.diag(newest()[1])
rc, out, err = sendmail("-bs", text=f"EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<{me}>\r\nDATA\r\n.\r\nQUIT\r\n")
tm.ok(rc == 0 and "354" in out and "\n221" in out, "-bs, all at once") or tm.diag(out)

# ---- events  ----------------------------------------------------------------------------------------
def ask(line):
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(os.path.join(sb.env["RUNDIR"], "smtp-relay.ctl"))
        s.sendall(line.encode() + b"\n")
        return b"".join(iter(lambda: s.recv(65536), b"")).decode()


tm.ok("tiermail_smtp_messages_accepted_total" in ask("metrics"), "metrics") or tm.diag(ask("metrics"))
r = subprocess.run([sb.bin("smtp-relay"), "-n", "-c", sb.conf("smtp-relay.conf")], capture_output=True, text=True)
tm.ok(r.returncode == 0 and "limit.size = 100K" in r.stdout, "-n prints the configuration") or tm.diag(r.stdout + r.stderr)
conf = open(sb.conf("smtp-relay.conf")).read()
with open(sb.conf("smtp-relay.conf"), "w") as f:
    f.write(conf.replace("100K", "200K"))
os.kill(sb.pid("smtp-relay"), 1)
tm.ok(tm.wait_for(lambda: "SIZE 204800" in Client().ehlo), "SIGHUP brings the new limit")
with open(sb.conf("smtp-relay.conf"), "w") as f:
    f.write(conf.replace("100K", "100X"))
os.kill(sb.pid("smtp-relay"), 1)
tm.ok(tm.wait_for(lambda: "100X" in open(os.path.join(sb.env["RUNDIR"], "smtp-relay.log")).read()), "a bad one is told")
tm.ok("SIZE 204800" in Client().ehlo, "and changes nothing")
log = lambda: open(os.path.join(sb.env["RUNDIR"], "smtp-relay.log")).read()
# ---- no blank line between header and body
for said, is_ in (("Subject: x\r\nhello you\r\nmore\r\n", b"\r\nSubject: x\r\n\r\nhello you\r\nmore\r\n"), ("hello you\r\n", b"\r\n\r\nhello you\r\n"),
                  ("Subject: x\r\n folded\r\nBcc: y@z\r\n.. no field\r\n", b"\r\n\r\n. no field\r\n")):
    c = Client()
    c.mail()
    c.say("DATA")
    starts(c.say(said + "."), "250 2.0.0 queued", f"{said[:20]!r} without a blank line is taken")
    tm.ok(newest()[1].endswith(is_), "and gets one") or tm.diag(newest()[1])
for event in ("connect", "tls", "auth", "rcpt", "queued", "reject", "disconnect"):
    tm.ok(tm.wait_for(lambda: f" ev={event} sid=" in log()), f"the log has {event}")
tm.ok(sb.password not in log(), "and no password")
c, busy = Client(), Client()
busy.s.settimeout(tm.LONG)
busy.mail()
busy.say("DATA")
busy.send("x: y\r\n")
os.kill(sb.pid("smtp-relay"), 15)
starts(c.reply(), "421 4.3.2", "SIGTERM tells idle clients")
starts(busy.say("\r\nx\r\n."), "250 2.0.0 queued", "who is in the middle of a message may finish it")
starts(busy.reply(), "421 4.3.2", "and is told then")
tm.ok(tm.wait_for(lambda: not sb.pids_of("smtp-relay")), "and the daemon ends")
tm.is_(sendmail(me)[0], 75, "EX_TEMPFAIL when smtp-relay is away")
tm.done()
