#!/usr/bin/env python3
"""How soon a message is to go (MT-PRIORITY, RFC 6710): who may ask, what the next host hears, what the queue and
the trace say, and that without priority.offer there is no such thing."""
import json, os, re, signal, smtplib, ssl, sys
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../cmd")]
import tm
from mta import Mail

knows = Mail(("127.0.0.1", 0), offers=("PIPELINING", "8BITMIME", "MT-PRIORITY STANAG4406", "SIZE 0"))
plain = Mail(("127.0.0.1", 0))
busy = Mail(("127.0.0.1", 0), say={"RCPT": "450 4.2.1 later"})
D = "example.test"
sb = tm.Sandbox("--users", "2", "--without", "imapd", "--set", "smtp-relay.priority.offer=yes", "--set", f"smtp-relay.priority.users=user0001@{D}",
                "--set", "smtp-relay.relay.networks=127.0.0.0/8",
                *(a for n, s in (("knows", knows), ("plain", plain), ("busy", busy)) for a in ("--route", f"{n}.test=smtp:127.0.0.1:{s.port}")))
assert sb.domain == D


def session(user=None):
    s = sb.smtp("SUBMISSION" if user else "SMTP")
    s.ehlo()
    if user:
        s.login(sb.user(user), sb.password)
        s.ehlo()
    return s


def send(to, priority=None, user=None):
    """The answer to MAIL if that is no, else the last one."""
    s = session(user)
    sender = f"{sb.user(user)}@{D}" if user else "x@out.test"
    code, text = s.docmd(f"MAIL FROM:<{sender}>" + (f" MT-PRIORITY={priority}" if priority is not None else ""))
    if code == 250:
        s.rcpt(to)
        code, text = s.data(f"From: <{sender}>\r\nTo: <{to}>\r\nSubject: p{priority}\r\n\r\nx\r\n")
    s.quit()
    return f"{code} {text.decode()}"


def mail_line(server):
    return [c for c in server.commands if c.startswith("MAIL")][-1]


s = session(1)
tm.ok("mt-priority" in s.esmtp_features, "it is offered")
s.quit()
tm.ok(send("a@knows.test", 7, 1).startswith("250 2.0.0 queued as"), "one who may asks for 7")
tm.ok(sb.queue_empty() and mail_line(knows).endswith(" MT-PRIORITY=7"), "the next host hears it") or tm.diag(mail_line(knows))
received = re.search(r"Received: [^;]*PRIORITY (-?\d+);", knows.mails[-1][2].decode() if isinstance(knows.mails[-1][2], bytes) else knows.mails[-1][2])
tm.is_(received and received[1], "7", "it stands in the trace")
tm.ok(send("a@plain.test", 7, 1).startswith("250 2.0.0"), "the same to a host that does not know it")
tm.ok(sb.queue_empty() and "PRIORITY" not in mail_line(plain), "which is not told")
for who, user in (("another user", 2), ("a stranger", None)):
    tm.ok(re.match(r"250 2\.3\.6 0 is the new priority, queued as \w{13}$", send("a@knows.test", 3, user)), f"{who} goes no sooner than others, and is told")
    tm.ok(sb.queue_empty() and "PRIORITY" not in mail_line(knows), "and so is the next host")
tm.ok(send("a@knows.test", -4).startswith("250 2.0.0") and sb.queue_empty() and mail_line(knows).endswith(" MT-PRIORITY=-4"), "anybody may stand back")
for n, want in ((9, "urgent"), (0, "normal"), (-9, "nonurgent")):
    send(f"q{n}@busy.test", n, 1)
queued = lambda: {r["address"]: (m["priority"], m.get("mt_priority")) for m in map(json.loads, sb.tool("mailq", "--json").stdout.splitlines()) for r in m.get("recipients", [])}
seen = {}


def has(n):
    """A file that its master renames is passed over, so it may be missing in a later look."""
    seen.update(queued())
    return len(seen) == n


tm.wait_for(lambda: has(3))
tm.is_(seen, {"q9@busy.test": ("urgent", 9), "q0@busy.test": ("normal", None), "q-9@busy.test": ("nonurgent", -9)}, "the queue has three") or \
    tm.diag(sb.tool("mailq", "--json").stdout)
def send_field(to, field, user=None, priority=None):
    s = session(user)
    sender = f"{sb.user(user)}@{D}" if user else "x@out.test"
    s.docmd(f"MAIL FROM:<{sender}>" + (f" MT-PRIORITY={priority}" if priority is not None else ""))
    s.rcpt(to)
    tm.is_(s.data(f"From: <{sender}>\r\nTo: <{to}>\r\n{field}\r\nSubject: f\r\n\r\nx\r\n")[0], 250, f"{field}: taken")
    s.quit()


for i, (field, user, priority, want) in enumerate((("Priority: Urgent", 1, None, "urgent"), ("Priority: urgent", 2, None, "normal"), ("Priority: urgent", None, None, "normal"),
                                                   ("PRIORITY: non-urgent (later)", None, None, "nonurgent"), ("Priority: normal", 1, None, "normal"),
                                                   ("Priority: urgent now", 1, None, "normal"), ("Priority: urgent", 1, -3, "nonurgent"), ("Priority: non-urgent", 1, 0, "normal"))):
    send_field(f"f{i}@busy.test", field, user, priority)
    tm.ok(tm.wait_for(lambda: has(4 + i)), "in the queue")
    tm.is_(seen[f"f{i}@busy.test"][0], want, f"{field} of {user or 'a stranger'}, MT-PRIORITY={priority}: {want}")
for bad in ("10", "-10", "+1", "-0", "", "x", "1.5"):
    tm.ok(send("a@plain.test", bad, 1).startswith("501 5.5.4"), f"MT-PRIORITY={bad} is none")
s = session()
tm.ok(s.docmd("MAIL FROM:<x@out.test> MT-PRIORITY=1 MT-PRIORITY=1")[0] == 501, "nor are two")
s.quit()

with open(sb.conf("smtp-relay.conf")) as f:
    text = f.read()
with open(sb.conf("smtp-relay.conf"), "w") as f:
    f.write(re.sub(r"(?m)^offer = yes$", "offer = no", text))
tm.is_(sb.tool("tmctl", "-d", "smtp-relay", "reload").returncode, 0, "switched off")
s = session(1)
tm.ok("mt-priority" not in s.esmtp_features and s.docmd(f"MAIL FROM:<user0001@{D}> MT-PRIORITY=1")[0] == 555, "there is no such thing")
s.quit()
tm.done()
