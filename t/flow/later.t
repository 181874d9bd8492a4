#!/usr/bin/env python3
"""Mail that is sent later, as its sender wants it (FUTURERELEASE, RFC 4865): who may, for how long, what is seen of it
meanwhile, that it goes by itself or by an operator's word, and that its sender can cancel it for all or none."""
import json, os, re, signal, smtplib, socket, sys, time
from datetime import datetime, timedelta, timezone

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../cmd")]
import tm
from mta import Mail

hard = Mail(("127.0.0.1", 0), say={"RCPT TO:<": "550 5.1.1 nobody of that name"})
sb = tm.Sandbox("--users", "3", "--route", f"hard.test=smtp:127.0.0.1:{hard.port}", "--set", "smtp-relay.submission.hold_max=2d")
D = sb.domain
me, you = (f"{sb.user(n)}@{D}" for n in (1, 2))


def submission(user=1):
    s = sb.smtp("SUBMISSION")
    s.ehlo()
    s.login(f"{sb.user(user)}@{D}", sb.password)
    return s


def answer(s, line):
    code, text = s.docmd(line)
    return f"{code} {text.decode()}"


def send(param, to=you, subject="later", user=1):
    """The queue id of a message that was accepted."""
    with submission(user) as s:
        got = answer(s, f"MAIL FROM:<{sb.user(user)}@{D}> {param}")
        tm.ok(got.startswith("250"), f"{param or 'now'}: taken") or tm.diag(got)
        for t in to if isinstance(to, list) else [to]:
            answer(s, f"RCPT TO:<{t}>")
        code, text = s.data(f"From: <{sb.user(user)}@{D}>\r\nTo: <{you}>\r\nSubject: {subject}\r\n\r\nhello\r\n")
        return text.decode().split()[-1]


def until(seconds):
    return (datetime.now(timezone.utc) + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def rows(*args):
    r = sb.tool("jobctl-ctl", "--json", "list", *args)
    return [json.loads(x) for x in r.stdout.splitlines()]


def ctl(*args):
    return sb.tool("jobctl-ctl", *args).stdout.strip()


def cancel(qid, user=1):
    with submission(user) as s:
        return answer(s, f"XCANCEL {qid}")


# ---- who may, and for how long ----------------------------------------------------------------------
with submission() as s:
    words = s.esmtp_features.get("futurerelease", "")
    tm.ok(re.fullmatch(r"172800 20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ", words), "submission offers it, with the longest time") or tm.diag(words)
    for line, want in ((f"MAIL FROM:<{me}> HOLDFOR=172801", "501 5.5.4"), (f"MAIL FROM:<{me}> HOLDUNTIL={until(172900)}", "501 5.5.4"),
                       (f"MAIL FROM:<{me}> HOLDFOR=60 HOLDUNTIL={until(60)}", "501 5.5.4"), (f"MAIL FROM:<{me}> HOLDFOR=60 HOLDFOR=60", "501 5.5.4"),
                       (f"MAIL FROM:<{me}> HOLDFOR=0", "501 5.5.4"), (f"MAIL FROM:<{me}> HOLDFOR=1h", "501 5.5.4"), (f"MAIL FROM:<{me}> HOLDFOR=", "501 5.5.4"),
                       (f"MAIL FROM:<{me}> HOLDUNTIL=tomorrow", "501 5.5.4"), (f"MAIL FROM:<{me}> HOLDUNTIL=2026-02-30T10:00:00Z", "501 5.5.4")):
        got = answer(s, line)
        tm.ok(got.startswith(want), f"{line.split('> ')[1]}: {want}") or tm.diag(got)
with sb.smtp() as s:
    s.ehlo()
    tm.ok("futurerelease" not in s.esmtp_features and "xcancel" not in s.esmtp_features, "nobody else is offered it")
    tm.ok(answer(s, f"MAIL FROM:<out@side.test> HOLDFOR=60").startswith("555 5.5.4"), "nor may say it")
    tm.ok(answer(s, "XCANCEL 0123456789abc").startswith("502 5.5.1"), "nor cancel")

# ---- what is seen of it, and that it stays --------------------------------------------------------------
kept = send(f"HOLDUNTIL={until(3600)}", subject="in an hour")
local = (datetime.now(timezone.utc) + timedelta(seconds=5400)).astimezone(timezone(timedelta(hours=2))).isoformat(timespec="seconds")
other = send(f"HOLDUNTIL={local}", subject="by another zone")
tm.ok(tm.wait_for(lambda: len(rows()) == 2), "two wait")
at = {r["qid"]: r["release"] - time.time() for r in rows("state=waiting")}
tm.ok(3500 < at.get(kept, 0) <= 3600 and 5300 < at.get(other, 0) <= 5400, "each for its time") or tm.diag(at)


def shown():
    text = sb.tool("mailq", kept).stdout
    item = json.loads(sb.tool("mailq", "--json", kept).stdout)
    return re.search("sent in (60|59|58)m as its sender wants", text) and abs(item["arrival"] - time.time()) < 600 and \
        3400 < item["kept_until"] - time.time() <= 3600


tm.ok(shown(), "mailq says so, and when it came") or tm.diag(sb.tool("mailq", kept).stdout)
sb.restart("jobctl")
tm.ok(tm.wait_for(lambda: len(rows()) == 2), "jobctl has begun anew")
tm.ok(shown() and rows(kept)[0]["state"] == "waiting", "and keeps it as before") or tm.diag(rows(kept))
tm.is_((ctl("hold", kept), rows(kept)[0]["state"]), ("1 message", "held"), "an operator holds it")
tm.is_((ctl("release", kept), rows(kept)[0]["state"]), ("1 message", "waiting"), "and lets it go: it waits for its time")
tm.is_(sb.count(2), 0, "nobody has had it")
tm.is_(ctl("release", kept), "1 message", "let go once more it is sent now")
tm.ok(tm.wait_for(lambda: sb.count(2) == 1), "and arrives")
tm.is_(ctl("delete", other), "1 message", "another one is deleted")
tm.ok(sb.queue_empty(), "the queue is empty")

# ---- it goes by itself -------------------------------------------------------------------------------------
began = time.time()
send("HOLDFOR=2", subject="in two seconds")
tm.ok(tm.wait_for(lambda: sb.count(2) == 2), "HOLDFOR=2: it arrives")
tm.ok(time.time() - began >= 1.9, "not before")
send(f"HOLDUNTIL={until(-60)}", subject="late")
tm.ok(tm.wait_for(lambda: sb.count(2) == 3), "a time that is over: it goes now")
send("HOLDFOR=1", to="x@hard.test", subject="to nobody")
tm.ok(tm.wait_for(lambda: sb.count(1) == 1), "one that is refused is reported")
report = sb.messages(1)[0].decode()
tm.ok("\r\nFuture-Release-Request: for;1\r\n" in report and "Status: 5.1.1" in report, "with what was asked for (RFC 4865)") or tm.diag(report)
tm.ok(sb.queue_empty(), "the queue is empty")

tm.ok(tm.wait_for(lambda: cancel("0123456789abc").startswith("550 5.5.0")), "jobctl has been told of all that there is")

# ---- cancelled ----------------------------------------------------------------------------------------------
qid = send("HOLDFOR=3600", to=[me, you, "x@hard.test"], subject="cancelled")
tm.ok(tm.wait_for(lambda: len(rows(qid)) == 2), "a message of two files waits")
tm.ok(cancel(qid, 2).startswith("550 5.5.0"), "it is not another's to cancel")
tm.ok(cancel("0123456789abc").startswith("550 5.5.0"), "which reads like one that there is not")
tm.ok(cancel("0123").startswith("501 5.5.4"), "an id is thirteen characters long")
tm.is_(len(rows(qid)), 2, "all of it is still there")
tm.is_(cancel(qid), "250 2.0.0 cancelled", "its sender cancels it")
tm.is_((rows(qid), sb.queue_files()), ([], []), "all of it has gone")
tm.ok(cancel(qid).startswith("550 5.5.0"), "once")
tm.ok("queue_cancelled_total 1" in sb.tool("tmctl", "-d", "jobctl", "metrics").stdout, "it is counted") or tm.diag(sb.tool("tmctl", "-d", "jobctl", "metrics").stdout[-500:])

qid = send("HOLDFOR=3600", to=[you, "x@hard.test"], subject="half gone")
tm.ok(tm.wait_for(lambda: len(rows(qid)) == 2), "another one of two files")
tm.is_(ctl("delete", qid, "channel=tcp_local"), "1 message", "of which an operator deletes one")
tm.ok(cancel(qid).startswith("550 5.5.0"), "it cannot be cancelled for all, so it is for none")
ctl("delete", qid)

qid = send("HOLDFOR=3600", subject="asked too early")
tm.ok(tm.wait_for(lambda: rows(qid)), "one more")
sb.kill("jobctl")
tm.ok(cancel(qid).startswith("451 4.3.0"), "while jobctl is away nobody knows: 451")
sb.restart("jobctl")
tm.ok(cancel("0123456789abc").startswith("451 4.3.0"), "right behind its start it does not say that there is none: it may not have been told")
tm.ok(tm.wait_for(lambda: cancel(qid).startswith("250")), "what it knows is cancelled")
tm.ok(tm.wait_for(lambda: cancel("0123456789abc").startswith("550 5.5.0")), "and a while later it knows what there is not")
tm.ok(sb.queue_empty(), "the queue is empty")
tm.is_(sb.count(2), 3, "none of them has arrived")


# ---- begun, and killed ------------------------------------------------------------------------------------
# What the disk says when jobctl was killed behind its first step: the first file is held with the reason in it.
def crc32c(data, crc=0):
    crc ^= 0xffffffff
    for b in data:
        crc ^= b
        for _ in range(8):
            crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
    return crc ^ 0xffffffff


qid = send("HOLDFOR=3600", to=[you, "x@hard.test"], subject="begun")
tm.ok(tm.wait_for(lambda: len(rows(qid)) == 2), "a message of two files")
sb.kill("jobctl")
first, second = sorted((f for f in sb.queue_files() if qid in f), key=os.path.basename)
line = f"held at={int(time.time())} why=cancelled%20by%20its%20sender".encode()
with open(first, "ab") as f:
    f.write(line + b" crc=%08x\n" % crc32c(line, crc32c(os.path.basename(first)[2:17].encode())))
os.rename(first, first[:-2] + "HELD")
os.unlink(second)
sb.restart("jobctl")
tm.ok(tm.wait_for(lambda: rows(qid)), "jobctl was killed when half of it had gone")
tm.is_(cancel(qid), "250 2.0.0 cancelled", "asked again it does the rest")
tm.ok(sb.queue_empty(), "the queue is empty")

# ---- for a program of ours ---------------------------------------------------------------------------------
s = socket.socket(socket.AF_UNIX)
s.settimeout(tm.LONG)
s.connect(f"{sb.env['RUNDIR']}/submit.sock")
f = s.makefile("rwb")


def local_says(line):
    """The whole answer to a line; to none, the greeting."""
    if line:
        f.write(line.encode() + b"\r\n")
        f.flush()
    text = last = f.readline().decode()
    while last[3:4] == "-":
        last = f.readline().decode()
        text += last
    return text.strip()


local_says("")
hello = local_says("EHLO jmapd.test")
tm.ok("FUTURERELEASE 172800 " in hello and "XCANCEL" in hello, "a program of ours is offered both") or tm.diag(hello)
for line in (f"MAIL FROM:<{me}> HOLDFOR=3600 AUTH={me}", f"RCPT TO:<{you}>", "DATA"):
    got = local_says(line)
    tm.ok(got[0] in "23", line) or tm.diag(got)
qid = local_says(f"From: <{me}>\r\nSubject: by a program\r\n\r\nhello\r\n.").split()[-1]
tm.ok(tm.wait_for(lambda: rows(qid)), "its message waits")
tm.is_(json.loads(sb.tool("mailq", "--json", qid).stdout)["auth"], me, "and is the named account's")
tm.ok(local_says(f"XCANCEL {qid}").startswith("501 5.5.4"), "it must say for whom it cancels")
tm.ok(local_says(f"XCANCEL {qid} AUTH={you}").startswith("550 5.5.0"), "another's it cannot")
tm.ok(local_says(f"XCANCEL {qid} AUTH={me}").startswith("250 2.0.0"), "that account's it can")
tm.ok(sb.queue_empty(), "the queue is empty")
s.close()

# ---- by configuration -----------------------------------------------------------------------------------------
def configure(text):
    with open(sb.conf("smtp-relay.conf")) as c:
        old = "".join(x for x in c if not x.startswith(("submission.hold", "hold_")))
    with open(sb.conf("smtp-relay.conf"), "w") as c:
        c.write(text + old)
    os.kill(sb.pid("smtp-relay"), signal.SIGHUP)


def mail(user, param="HOLDFOR=60"):
    with submission(user) as c:
        return answer(c, f"MAIL FROM:<{sb.user(user)}@{D}> {param}")


configure(f"submission.hold_users = {me}\n")
tm.ok(tm.wait_for(lambda: mail(2).startswith("550 5.7.1")), "submission.hold_users: others may not")
tm.ok(mail(1).startswith("250") and mail(2, "").startswith("250"), "he may, and they may send at once")
configure("submission.hold_max = 0\n")
tm.ok(tm.wait_for(lambda: mail(1).startswith("555 5.5.4")), "submission.hold_max = 0: nobody may")
with submission() as s:
    tm.ok("futurerelease" not in s.esmtp_features, "and it is not offered")
tm.done()
