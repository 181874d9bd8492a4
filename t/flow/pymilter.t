#!/usr/bin/env python3
"""A filter by a library of others (python3-milter, so sendmail's libmilter) that does all that a filter can, asked by
smtp-relay and by Postfix: it hears the same of both, and the same comes out of both."""
import json, os, re, smtplib, socket, subprocess, sys

sys.path[:0] = [os.path.dirname(os.path.abspath(__file__))]
import nexthop
import tm

PYTHON = "/usr/bin/python3"     # (whose packages are Debian's)
if not nexthop.here():
    tm.skip_all("needs root and Postfix")
if subprocess.run([PYTHON, "-c", "import Milter"], capture_output=True).returncode:
    tm.skip_all("there is no python3-milter")
top = tm.tempdir()
FILTER = r'''
import json, sys, time
import Milter

heard = open(sys.argv[2], "a", buffering=1)
MACROS = ("j", "{daemon_name}", "{mail_addr}", "{rcpt_addr}", "{auth_authen}", "{tls_version}")
ANSWERS = {"reject": Milter.REJECT, "tempfail": Milter.TEMPFAIL, "discard": Milter.DISCARD, "accept": Milter.ACCEPT}


class Filter(Milter.Base):
    def __init__(self):
        self.do, self.at = "", ""

    def say(self, what, *words):
        heard.write(json.dumps([what, *map(str, words), {m: self.getsymval(m) for m in MACROS if self.getsymval(m)}]) + "\n")
        if self.at != what:
            return Milter.CONTINUE
        if self.do == "reply":
            self.setreply("554", "5.7.9", "not by me", "and not today")
            return Milter.REJECT
        if self.do == "later":
            self.setreply("451", "4.7.9", "by and by")
            return Milter.TEMPFAIL
        return ANSWERS[self.do]

    def connect(self, name, family, address):
        return self.say("connect", name, family, address[0])

    def hello(self, name):
        return self.say("hello", name)

    def envfrom(self, sender, *words):
        """The sender's name says at which stage what is answered: at-STAGE-WHAT@."""
        local = sender.strip("<>").split("@")[0]
        self.at, self.do = local.split("-")[1:3] if local.startswith("at-") else ("", "")
        return self.say("envfrom", sender, *sorted(words))

    def envrcpt(self, to, *words):
        return self.say("envrcpt", to, *sorted(words))

    def data(self):
        return self.say("data")

    def header(self, name, value):
        if name == "X-Do":
            self.doing = value.split()
        return self.say("header", name, value)

    def eoh(self):
        self.size = 0
        return self.say("eoh")

    def body(self, piece):
        self.size += len(piece)
        if self.at == "body" and self.do == "skip":
            return Milter.SKIP
        return self.say("body") if self.size == len(piece) else Milter.CONTINUE

    def unknown(self, command):
        return self.say("unknown", command)

    def eom(self):
        for word in getattr(self, "doing", ()):
            getattr(self, "do_" + word)()
        return self.say("eom", 0 if self.do == "skip" else self.size)

    def abort(self):
        self.at = self.do = ""
        self.doing = ()
        return Milter.CONTINUE

    def do_add(self):
        self.addheader("X-Added", "one\n two")

    def do_top(self):
        self.addheader("X-Top", "above", 0)

    def do_third(self):
        self.addheader("X-Third", "in the middle", 3)

    def do_change(self):
        self.chgheader("Subject", 0, "another")
        self.chgheader("X-Twice", 2, "the second")

    def do_remove(self):
        self.chgheader("X-Twice", 1, None)

    def do_body(self):
        self.replacebody(b"a new body\r\n" * 8000)

    def do_rcpt(self):
        self.addrcpt("<added@sink.test>")
        self.delrcpt("<gone@sink.test>")

    def do_sender(self):
        self.chgfrom("<new@else.test>")

    def do_hold(self):
        self.quarantine("look at it")

    def do_slow(self):
        for i in range(4):
            time.sleep(1)
            self.progress()


Milter.factory = Filter
Milter.set_flags(Milter.ADDHDRS | Milter.CHGHDRS | Milter.CHGBODY | Milter.ADDRCPT | Milter.DELRCPT | Milter.CHGFROM | Milter.QUARANTINE)
Milter.runmilter("test", sys.argv[1], 60)
'''
at, log = tm.free_port(), f"{top}/heard"
with open(f"{top}/filter.py", "w") as f:
    f.write(FILTER)
open(log, "w").close()
out = open(f"{top}/filter.out", "w")
running = [subprocess.Popen([PYTHON, f"{top}/filter.py", f"inet:{at}@127.0.0.1", log], stdout=out, stderr=out)]


def listens():
    try:
        socket.create_connection(("127.0.0.1", at)).close()
        return True
    except OSError:
        return False


def heard():
    with open(log) as f:
        return [json.loads(l) for l in f if l.endswith("\n")]


def send(port, sender="a@else.test", to=("b@sink.test",), head="", body="hello\r\n.dot\r\n", unknown=False):
    """(answers, what the filter has heard, what comes out)."""
    open(log, "w").close()
    n = len(sink.got)
    said = []
    with smtplib.SMTP("127.0.0.1", port, local_hostname="client.test", timeout=tm.LONG) as s:
        s.ehlo()
        if unknown:
            said.append(s.docmd("XNOBODY", "knows"))
        said.append(s.mail(sender, ["BODY=8BITMIME"]))
        said += [s.rcpt(r) for r in to] if said[-1][0] == 250 else []
        if any(c == 250 for c, _ in said[-len(to):]) and said[0][0] != 554:
            try:
                said.append(s.data(HEAD + head + "\r\n" + body))
            except smtplib.SMTPDataError as e:
                said.append((e.smtp_code, e.smtp_error))
    ended = said[-1][0] == 250
    comes = ended and "discard" not in sender and "hold" not in head and len(said) > 1 + len(to)
    if comes:
        tm.wait_for(lambda: len(sink.got) > n, what="the message at the next host")
    came = sink.last() if comes else None
    return said, heard(), came and (sorted(came[0]), *came[1:])


HEAD = "From: <a@else.test>\r\nTo: <b@sink.test>\r\nSubject: one\r\n two\r\nX-Twice: 1\r\nX-Twice: 2\r\nDate: Sat, 1 Jan 2000 00:00:00 +0000\r\nMessage-ID: <1@else.test>\r\n"


def flat(said):
    """Ours says several lines as one, and its own words where a filter has none."""
    return [(c, b" ".join(re.sub(rb"^5\.7\.9 ", b"", l) for l in t.split(b"\n")) if b".7.9" in t else b"") for c, t in said]


def same(what, **kw):
    ours, theirs = send(sb.port("SMTP"), **kw), send(postfix.port, **kw)
    tm.is_(flat(ours[0]), flat(theirs[0]), f"{what}: the client hears the same")
    tm.is_(ours[1], theirs[1], "the filter hears the same, with the same macros")
    tm.is_(ours[2], theirs[2], "and the same comes out")
    return ours


try:
    sink = nexthop.Sink()
    sb = tm.Sandbox("--users", "1", "--without", "imapd", "--route", f"sink.test=smtp:127.0.0.1:{sink.port}", "--set", "smtp-relay.relay.domains=sink.test")
    tm.ok(tm.wait_for(listens, what="the filter"), "a filter by libmilter listens")
    with open(sb.conf("smtp-relay.conf"), "a") as f:
        f.write(f"\n[milter python]\naddress = 127.0.0.1:{at}\ncontent_timeout = 2s\n")
    sb.restart("smtp-relay")
    host = re.search(r"(?m)^hostname *= *(\S+)", open(sb.conf("tiermail.conf")).read())[1]
    postfix = nexthop.Postfix(host, sink, f"inet:127.0.0.1:{at}")
    tm.is_(postfix.started.returncode, 0, "Postfix starts")

    got = same("nothing to do")
    tm.is_([e[0] for e in got[1]], ["connect", "hello", "envfrom", "envrcpt", "data"] + ["header"] * 7 + ["eoh", "body", "eom"], "it hears of all stages") or tm.diag(got[1])
    for word in ("add", "top", "third", "change", "remove", "body", "sender"):
        same(word, head=f"X-Do: {word}\r\n")
    same("all at once", head="X-Do: add top third change remove body sender\r\n", body="long\r\n" * 30000)
    got = same("recipients", to=("b@sink.test", "gone@sink.test"), head="X-Do: rcpt\r\n")
    tm.is_([w for w in got[2][0] if w.startswith(b"rcpt")], [b"rcpt to:<added@sink.test>", b"rcpt to:<b@sink.test>"], "one is removed, one is there")
    same("slower than its time, with signs of life", head="X-Do: slow\r\n")
    for stage in ("envfrom", "envrcpt", "data", "header", "eoh", "body", "eom"):
        for word in ("reject", "tempfail", "reply", "later") + (("discard", "accept") if stage in ("envrcpt", "eom") else ()):
            same(f"{word} at {stage}", sender=f"at-{stage}-{word}@else.test")
    same("no more of the body", sender="at-body-skip@else.test", body="much of it\r\n" * 40000)
    got = same("a command that nobody knows", unknown=True)
    tm.ok(any(e[0] == "unknown" for e in got[1]), "is told")
    got = send(sb.port("SMTP"), head="X-Do: hold\r\n")
    held = [f for f in sb.queue_files() if f.endswith(".HELD")]
    tm.ok(got[0][-1][0] == 250 and len(held) == 1 and "look at it" in sb.tool("mailq").stdout, "quarantine is the queue's hold, with its reason")
finally:
    if "postfix" in globals():
        postfix.stop()
    tm.end(running)
tm.done()
