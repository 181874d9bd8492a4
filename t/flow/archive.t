#!/usr/bin/env python3
"""Copies for archives: of whose mail, to whom, once; wrapped with the envelope, Bcc and all; what of it fails is the
postmaster's; the message itself does not wait, and no archive makes copies of another's."""
import email, email.policy, os, subprocess, sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../cmd")]
import tm
from mta import Mail

out = Mail(("127.0.0.1", 0), offers=("PIPELINING", "8BITMIME", "SIZE 0", "SMTPUTF8"), say={"RCPT TO:<full@vault.test": "552 5.2.2 full"})
JOURNAL, LEGAL, MASTER = 3, 4, 5
D = "example.test"
sets = {"archive all.to": f"user000{JOURNAL}@{D}", "archive all.senders": f"user0001@{D}", "archive all.recipients": f"user0002@{D} vault.test", "archive all.envelope": "yes",
        "archive legal.to": f"user000{LEGAL}@{D}", "archive legal.recipients": "*.law.test *.xn--bcher-kva.test", "archive broken.to": "full@vault.test", "archive broken.senders": "lost.test",
        "archive away.to": "journal@away.test", "archive away.senders": "away-sender.test", "archive broken.channel": "tcp_archive", "relay.networks": "127.0.0.0/8", "deliver_by.offer": "yes"}
sb = tm.Sandbox("--users", "6", "--without", "jmapd", "--without", "memd", "--without", "sieved", "--without", "pop3d", "--route", f"vault.test=smtp:127.0.0.1:{out.port}",
                "--route", f"out.test=smtp:127.0.0.1:{out.port}", "--route", f"x.law.test=smtp:127.0.0.1:{out.port}", "--route", f"x.xn--bcher-kva.test=smtp:127.0.0.1:{out.port}", "--set", f"tiermail.postmaster=user000{MASTER}@{D}",
                "--set", "channels.channel tcp_local.backoff=20m", "--route", f"away.test=smtp:127.0.0.1:{tm.free_port()}",
                "--set", "channels.channel tcp_archive.protocol=smtp", "--set", f"channels.channel tcp_archive.relay=127.0.0.1:{out.port}", *(a for k, v in sets.items() for a in ("--set", f"smtp-relay.{k}={v}")))
tm.is_(sb.domain, D, "the domain")
u = lambda n: f"{sb.user(n)}@{D}"


def send(sender, rcpts, text="Subject: s\r\n\r\nthe text\r\n", options="", user=None):
    with sb.smtp("SUBMISSION" if user else "SMTP") as s:
        s.command_encoding = "utf-8"
        s.ehlo()
        if user:
            s.login(sb.user(user), sb.password)
        s.docmd(f"MAIL FROM:<{sender}>{options}")
        for r in rcpts:
            s.docmd(f"RCPT TO:<{r}>")
        code, said = s.data(text.encode() if isinstance(text, str) else text)
        return code == 250 or tm.diag(said)


def newest(user, n):
    """The n-th message of a user, when it is there."""
    if not tm.ok(tm.wait_for(lambda: sb.count(user) >= n), f"{sb.user(user)} has {n}"):
        return email.message_from_string("")
    return email.message_from_bytes(sb.messages(user)[n - 1], policy=email.policy.default)


def wrapped(n):
    """The n-th copy of the journal: what its report says, name by name, and the message in it."""
    m = newest(JOURNAL, n)
    parts = m.get_payload()
    if not tm.ok(m.get_content_type() == "multipart/mixed" and len(parts) == 2, "a report and the message"):
        return {}, m
    report = {}
    for line in parts[0].get_content().splitlines():
        name, _, value = line.strip().partition(": ")
        report.setdefault(name, []).append(value)
    return report, parts[1]


# ---- whose mail, and to whom ----------------------------------------------------------------------------------
tm.ok(send(u(6), [u(4)]) and sb.queue_empty(), "nobody's business")
tm.is_((sb.count(JOURNAL), sb.count(4)), (0, 1), "no copy")
text = f"From: <{u(1)}>\r\nTo: <{u(2)}>\r\nSubject: gr\u00fc\u00dfe\r\n\r\n.dot\r\nthe t\u00e4xt\r\n"
tm.ok(send(u(1), [u(2), u(6), "out@out.test"], text), "a sender, and a recipient, and one in Bcc")
report, part = wrapped(1)
tm.is_(report.get("Sender"), [u(1)], "who sent it")
tm.is_(report.get("Recipient"), [u(2), u(6), "out@out.test"], "to whom: Bcc, too")
tm.is_(part.get_content_type(), "message/rfc822", "the message")
raw = sb.messages(JOURNAL)[0]
tm.ok(text.replace("\r\n.dot", "\r\ndot").encode() in raw.replace(b"\r\n.dot", b"\r\ndot") and raw.count("the t\u00e4xt".encode()) == 1, "as it was, in its octets") or tm.diag(raw)
tm.ok(sb.queue_empty() and tm.wait_for(lambda: out.mails), "the others have it")
tm.is_((sb.count(JOURNAL), sb.count(2), sb.count(6)), (1, 1, 1), "the archive once, though both fit")
tm.ok(u(JOURNAL).encode() not in out.mails[0][2] and b"MAILER-DAEMON" not in out.mails[0][2], "and they see nothing of it")
tm.is_([m[1] for m in out.mails], [["out@out.test"]], "nor does their host")
tm.ok(send(u(6), ["a@x.law.test", "b@law.test"]) and tm.wait_for(lambda: sb.count(LEGAL) == 2), "subdomains: a copy that is not wrapped")
m = newest(LEGAL, 2)
tm.ok(m["Subject"] == "s" and m.get_content().strip() == "the text" and m["Return-Path"] == f"<{u(MASTER)}>", "the message, of whom its failures are for") or tm.diag(m.as_string())

n = sb.count(JOURNAL)
tm.ok(send(u(6), [f"{sb.user(2)}+folder@{D}"]) and tm.wait_for(lambda: sb.count(JOURNAL) == n + 1), "who is meant with a subaddress, too")
tm.ok(send(u(6), ["a@x.b\u00fccher.test"], options=" SMTPUTF8") and tm.wait_for(lambda: sb.count(LEGAL) == 3), "and a domain in other labels")

# ---- by every way ---------------------------------------------------------------------------------------------
tm.ok(send(u(1), [u(6)], user=1), "by submission")
report, _ = wrapped(3)
tm.is_(report.get("Account"), [u(1)], "with its account")
r = subprocess.run([sb.bin("sendmail"), "-C", sb.conf("tiermail.conf"), "-f", u(1), u(6)], input=b"Subject: by hand\n\nx\n", capture_output=True, env={**os.environ, "TIERMAIL_CONF": sb.conf("tiermail.conf")})
tm.is_(r.returncode, 0, "by sendmail") or tm.diag(r.stderr)
_, part = wrapped(4)
tm.is_(part.get_payload()[0]["Subject"], "by hand", "it, too")
tm.ok(send(u(1), ["j\u00f6rg@out.test"], options=" SMTPUTF8"), "with an address in UTF-8")
report, part = wrapped(5)
tm.is_((report.get("Recipient"), part.get_content_type()), (["j\u00f6rg@out.test"], "message/global"), "it stands there")

# ---- no end in sight ------------------------------------------------------------------------------------------
before = sb.count(JOURNAL)
tm.ok(send(u(1), [u(JOURNAL)]) and sb.queue_empty(), "mail to the archive itself")
tm.is_(sb.count(JOURNAL), before + 1, "is no mail to copy")

# ---- what fails, and who waits --------------------------------------------------------------------------------
before = sb.count(JOURNAL)
tm.ok(send("someone@lost.test", [u(6)]), "to an archive that is full")
m = newest(MASTER, 1)
tm.ok(m.get_content_type() == "multipart/report" and "552 5.2.2 full" in m.as_string(), "its failure is told the postmaster")
tm.ok(sb.queue_empty(), "and nothing else")
tm.is_((sb.count(MASTER), len([m for m in out.mails if m[1] == ["someone@lost.test"]])), (1, 0), "the sender hears nothing of it")
stuck = sb.count(6)
tm.ok(send("a@away-sender.test", [u(6)], options=" BY=600;R") and tm.wait_for(lambda: sb.count(6) == stuck + 1), "an archive whose host is away keeps nobody waiting")
q = tm.wait_for(lambda: [t for t in [sb.tool("mailq", "--json").stdout] if t.count('"qid"') == 1 and '"channel":"tcp_local"' in t], what="one in the queue")
q = q[0] if q else sb.tool("mailq", "--json").stdout
tm.ok("journal@away.test" in q and q.count('"qid"') == 1 and "deliver_by" not in q, "its copy waits, and has all the time") or tm.diag(q)
tm.is_(sb.tool("jobctl-ctl", "delete", "channel=tcp_local").returncode, 0, "away with it")
tm.ok("tiermail_smtp_messages_archived_total 9" in subprocess.run([sb.bin("tmctl"), "-c", sb.conf("tiermail.conf"), "-d", "smtp-relay", "metrics"], capture_output=True, text=True).stdout, "they are counted")

# ---- mistakes -------------------------------------------------------------------------------------------------
with open(sb.conf("smtp-relay.conf"), "a") as f:
    f.write(f"\n[archive none]\nto = a@b.test\n[archive nowhere]\nto = a@b.test\nsenders = *\nchannel = tcp_nowhere\n")
r = sb.tool("smtp-relay", "-n", "-c", sb.conf("smtp-relay.conf"))
said = r.stdout + r.stderr
tm.ok(r.returncode == 78 and "[archive none] neither senders nor recipients" in said and "[archive nowhere] channel = tcp_nowhere: there is no such channel" in said
      and "6 [archive] sections; at most 4" in said, "told with their places") or tm.diag(said)
tm.done()
