#!/usr/bin/env python3
"""A time to be delivered by (DELIVERBY, RFC 2852): what is late comes back, or its sender is told and it goes on; what
the next host hears; and that nobody promises for hosts that do not know it."""
import email, json, os, re, sys, time
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../cmd")]
import tm
from mta import Mail

knows = Mail(("127.0.0.1", 0), offers=("PIPELINING", "DELIVERBY 60", "DSN", "SIZE 0"))
plain = Mail(("127.0.0.1", 0), offers=("PIPELINING", "DSN", "SIZE 0"))
busy = Mail(("127.0.0.1", 0), offers=("PIPELINING", "DELIVERBY", "SIZE 0"), say={"RCPT": "450 4.2.1 later"})
sb = tm.Sandbox("--users", "2", "--set", "smtp-relay.deliver_by.offer=yes", "--set", "smtp-relay.deliver_by.least=2s", "--set", "smtp-relay.submission.hold_max=1h", "--set", "smtp-relay.submission.hold_users=*",
                "--set", "smtp-relay.relay.networks=127.0.0.0/8", "--set", "channels.channel tcp_local.backoff=20m",
                *(a for n, s in (("knows", knows), ("plain", plain), ("busy", busy)) for a in ("--route", f"{n}.test=smtp:127.0.0.1:{s.port}")))
me = f"{sb.user(1)}@{sb.domain}"


def send(to, by=None, rcpt=""):
    s = sb.smtp()
    s.ehlo()
    code, text = s.docmd(f"MAIL FROM:<{me}>" + (f" BY={by}" if by is not None else ""))
    if code == 250:
        s.docmd(f"RCPT TO:<{to}>{rcpt}")
        code, text = s.data(f"From: <{me}>\r\nTo: <{to}>\r\nSubject: {by}\r\n\r\nx\r\n")
    s.quit()
    return f"{code} {text.decode()}"


def mail_line(server):
    return [c for c in server.commands if c.startswith("MAIL")][-1]


reports = 0


def report(action, status, what):
    """The next report to the sender says that of the recipient."""
    global reports
    reports += 1
    if not tm.ok(tm.wait_for(lambda: sb.count(1) >= reports), f"{what}: a report"):
        return
    part = [p for p in email.message_from_bytes(sb.messages(1)[-1]).walk() if p.get_content_type() == "message/delivery-status"][0]
    fields = part.get_payload()[-1]
    tm.is_((fields["Action"].split()[0], fields["Status"].split()[0]), (action, status), f"{what}: {action}, {status}")


s = sb.smtp()
s.ehlo()
tm.is_(s.esmtp_features.get("deliverby"), "2", "it is offered, with the least that is promised")
s.quit()
for bad, want in (("0;R", 501), ("-1;R", 501), ("1;R", 501), ("5", 501), ("5;X", 501), ("5;RX", 501), ("1234567890;R", 501), (";R", 501), ("", 501), ("5;R BY=5;R", 501)):
    tm.is_(int(send("a@knows.test", bad)[:3]), want, f"BY={bad} is refused")

tm.ok(send("a@knows.test", "600;R").startswith("250") and sb.queue_empty(), "to a host that knows it")
m = re.search(r" BY=(\d+);R$", mail_line(knows))
tm.ok(m and 550 <= int(m[1]) <= 600, "which hears how long is left") or tm.diag(mail_line(knows))
tm.ok(send("a@knows.test", "600;nt").startswith("250") and sb.queue_empty() and mail_line(knows).endswith(";NT"), "with a trace")
report("relayed", "2.0.0", "with a trace")
tm.ok(send("a@knows.test", "-30;N").startswith("250") and sb.queue_empty() and re.search(r" BY=-\d+;N$", mail_line(knows)), "late already, whose sender wants to hear of it")
report("delayed", "4.4.7", "late already")
n = len(plain.mails)
tm.ok(send("a@plain.test", "600;R").startswith("250") and sb.queue_empty() and len(plain.mails) == n, "to a host that does not know it nothing goes that must be in time")
report("failed", "5.3.3", "not promised")
tm.ok(send("a@plain.test", "600;N").startswith("250") and sb.queue_empty() and len(plain.mails) == n + 1 and "BY" not in mail_line(plain), "the other goes")
report("relayed", "2.0.0", "not promised, and told")
tm.ok(send("a@plain.test", "600;N", " NOTIFY=NEVER").startswith("250") and sb.queue_empty() and sb.count(1) == reports, "who never wants to hear does not")
tm.ok(send(f"{sb.user(2)}@{sb.domain}", "600;R").startswith("250") and sb.queue_empty() and sb.count(2) == 1 and sb.count(1) == reports, "a mailbox here is delivered to")

tm.ok(send("r@busy.test", "6;R").startswith("250") and send("n@busy.test", "6;N").startswith("250"), "two to a host that puts off")
queue = lambda: {r["address"]: (m.get("deliver_by", 0) - time.time(), m.get("late")) for m in map(json.loads, sb.tool("mailq", "--json").stdout.splitlines()) for r in m["recipients"]}
tm.wait_for(lambda: len(queue()) == 2)
q = queue()
tm.ok(q.get("n@busy.test", (9, 0))[1] == "notify" and q.get("r@busy.test", (0, "return"))[1] == "return", "the queue says until when") or tm.diag(q)
tm.ok(tm.wait_for(lambda: sb.count(1) >= reports + 2), "when the time is over both are told of, long before the next attempt")
seen = sorted((p.get_payload()[-1]["Action"].split()[0], p.get_payload()[-1]["Status"].split()[0]) for m in sb.messages(1)[reports:]
              for p in email.message_from_bytes(m).walk() if p.get_content_type() == "message/delivery-status")
tm.is_(seen, [("delayed", "4.4.7"), ("failed", "5.4.7")], "one is late, one comes back")
reports += 2
tm.ok(tm.wait_for(lambda: list(queue()) == ["n@busy.test"]), "the late one is still there")
busy.say.clear()
tm.is_(sb.tool("jobctl-ctl", "retry", "channel=tcp_local").returncode, 0, "tried now")
tm.ok(sb.queue_empty() and [r for m in busy.mails for r in m[1]] and sb.count(1) == reports, "and goes when it can, and nobody is told twice")

# What is kept until behind its time could only come back.
with sb.smtp("SUBMISSION") as s:
    s.ehlo()
    s.login(sb.user(1), sb.password)
    for line, want in (("BY=100;R HOLDFOR=200", 501), ("HOLDFOR=100 BY=100;R", 501), ("BY=100;N HOLDFOR=200", 250), ("BY=200;R HOLDFOR=100", 250)):
        tm.is_(s.docmd(f"MAIL FROM:<{me}> {line}")[0], want, f"{line}: {want}")
        s.docmd("RSET")

# A destination that is suspended gets no attempt in time, nor ever if nobody resumes it.
n = len(knows.mails)
tm.is_(sb.tool("jobctl-ctl", "suspend", f"127.0.0.1:{knows.port}").returncode, 0, "a destination is suspended")
tm.ok(send("r@knows.test", "3;R").startswith("250") and send("n@knows.test", "3;N").startswith("250"), "two for it")
tm.ok(tm.wait_for(lambda: set(queue()) >= {"r@knows.test", "n@knows.test"} and sb.count(1) == reports), "wait")
sb.kill("jobctl")
sb.restart("jobctl")
tm.ok(tm.wait_for(lambda: sb.count(1) >= reports + 2), "at their time both are told of, also by a jobctl that has been killed meanwhile")
seen = sorted((p.get_payload()[-1]["Action"].split()[0], p.get_payload()[-1]["Status"].split()[0]) for m in sb.messages(1)[reports:]
              for p in email.message_from_bytes(m).walk() if p.get_content_type() == "message/delivery-status")
tm.is_(seen, [("delayed", "4.4.7"), ("failed", "5.4.7")], "one is late, one comes back")
tm.ok(tm.wait_for(lambda: list(queue()) == ["n@knows.test"]) and len(knows.mails) == n, "nobody was asked for that")
tm.is_(sb.tool("jobctl-ctl", "resume", f"127.0.0.1:{knows.port}").returncode, 0, "resumed")
tm.ok(sb.queue_empty() and len(knows.mails) == n + 1 and re.search(r" BY=-?\d+;N$", mail_line(knows)) and sb.count(1) == reports + 2, "it goes, late, and nobody is told twice")
tm.done()
