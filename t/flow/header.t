#!/usr/bin/env python3
"""What the relay makes of a message: where its header ends, Bcc, and what it declares of the
body to the next host and returns to the sender, judged by the bytes and not by the client's word."""
import os, re, smtplib, ssl, sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../cmd")]
import tm
from mta import Mail

full = Mail(("127.0.0.1", 0), offers=("PIPELINING", "8BITMIME", "SIZE 0"))
poor = Mail(("127.0.0.1", 0), offers=("SIZE 0",))
odd = Mail(("127.0.0.1", 0), offers=("SIZE 0",), say={"RCPT": "550 4.2.2 mailbox full"})
sb = tm.Sandbox("--users", "2", "--without", "imapd", "--without", "lmtpd", "--set",
                "channels.channel tcp_local.backoff=1s", *sum((["--route", f"{n}.test=smtp:127.0.0.1:{p.port}"]
                for n, p in (("full", full), ("poor", poor), ("odd", odd))), []))
me = f"{sb.user(1)}@{sb.domain}"


def submission():
    c = sb.smtp("SUBMISSION")
    context = ssl.create_default_context(cafile=sb.env["CAFILE"])
    context.check_hostname = False
    c.starttls(context=context)
    c.ehlo()
    c.login(sb.user(1), sb.password)
    return c


def send(to, data, c=None, options=()):
    """`data` goes as it stands; returns the answer to its end."""
    c = c or submission()
    c.ehlo()
    c.mail(me, options)
    c.rcpt(to)
    c.putcmd("data")
    c.getreply()
    c.send(data.replace(b"\n", b"\r\n") + b".\r\n")
    code, _ = c.getreply()
    c.quit()
    return code


def got(sink, n):
    """The n-th message there and its MAIL line."""
    tm.wait_for(lambda: len(sink.mails) > n, what=f"message {n}")
    body = sink.mails[n][2] if len(sink.mails) > n else b"\r\n\r\n"
    mails = [l for l in sink.commands if l.upper().startswith("MAIL")]
    head, _, text = body.partition(b"\r\n\r\n")
    return head.decode(), text, mails[n] if len(mails) > n else ""


def names(head):
    return re.findall(r"^([A-Za-z-]+):", head, re.M)


CASES = [  # what was sent, the fields expected, the body expected
    (b"Subject: s\n\nbody\n", ["Received", "Subject", "Date", "Message-ID", "From"], b"body\r\n"),
    (b"no header at all\nsecond: line\n", ["Received", "Date", "Message-ID", "From"], b"no header at all\r\nsecond: line\r\n"),
    (b"\nempty header\n", ["Received", "Date", "Message-ID", "From"], b"empty header\r\n"),
    (b"Subject: s\ntext before the line\n\nmore\n", ["Received", "Subject", "Date", "Message-ID", "From"],
     b"text before the line\r\n\r\nmore\r\n"),
    (b"Subject: s\n", ["Received", "Subject", "Date", "Message-ID", "From"], b""),
    (b" folded first\nSubject: s\n\nx\n", ["Received", "Date", "Message-ID", "From"], b" folded first\r\nSubject: s\r\n\r\nx\r\n"),
    (b"Bcc: secret@x.test,\n other@x.test\nSubject: s\nRESENT-BCC: third@x.test\nTo: a@b.test\n\nBcc: stays\n",
     ["Received", "Subject", "To", "Date", "Message-ID", "From"], b"Bcc: stays\r\n"),
    (b"BCC: last@x.test\n", ["Received", "Date", "Message-ID", "From"], b""),
]
for n, (data, fields, text) in enumerate(CASES):
    tm.is_(send("a@full.test", data), 250, f"submitted: {data[:30]!r}")
    head, body, _ = got(full, n)
    tm.is_(names(head), fields, "its fields, and what was missing")
    tm.is_(body, text, "its body is its body")
n = len(CASES)

for data, word in ((b"Subject: x\n\n\xc3\xbc\n", "BODY=8BITMIME"), (b"Subject: \xc3\xbc\n\nx\n", "BODY=8BITMIME"),
                   (b"Subject: x\n\nascii\n", "")):
    for options in ((), ("BODY=8BITMIME",)):
        tm.is_(send("a@full.test", data, options=options), 250, f"{data!r} {options}")
        mail = got(full, n)[2]
        tm.is_("BODY=8BITMIME" in mail, bool(word), f"declared by its bytes: {mail}")
        n += 1

tm.is_(send("a@poor.test", b"Subject: x\n\nascii\n", options=("BODY=8BITMIME",)), 250, "ASCII declared 8-bit")
tm.is_(got(poor, 0)[1], b"ascii\r\n", "reaches a host that takes 7 bits only")

tm.is_(send("a@odd.test", b"Subject: x\n\nx\n"), 250, "for a host that answers 550 4.2.2")


def files():
    """What is queued; a file that leaves meanwhile is looked for again."""
    try:
        return [open(f, "rb").read().decode("latin1") for f in sb.queue_files()]
    except FileNotFoundError:
        return []


report = tm.wait_for(lambda: [t for t in files() if "Diagnostic-Code" in t], what="the report")
tm.ok(report and "\r\nDiagnostic-Code: smtp; 550 4.2.2 mailbox full\r\n" in report[0], "the reply is quoted as it came")
tm.ok(report and "\r\nStatus: 5.2.2\r\n" in report[0], "the status has the class of what happened")
tm.done()
