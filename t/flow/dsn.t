#!/usr/bin/env python3
"""What senders ask for with NOTIFY, RET, ORCPT and ENVID, and what they get, end to end; the
same with addresses in UTF-8 (RFC 6531, 6533)."""
import email, email.policy, os, sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../cmd")]
import tm
from mta import Mail

plain = Mail(("127.0.0.1", 0), offers=("PIPELINING", "8BITMIME", "SIZE 0"))
able = Mail(("127.0.0.1", 0), offers=("PIPELINING", "8BITMIME", "DSN", "SIZE 0"))
old = Mail(("127.0.0.1", 0), offers=("PIPELINING", "8BITMIME", "SIZE 0"))
world = Mail(("127.0.0.1", 0), offers=("PIPELINING", "8BITMIME", "SMTPUTF8", "DSN", "SIZE 0"))
WARNED, EXPIRED = round(2 * tm.SHORT), round(5 * tm.SHORT)
sb = tm.Sandbox("--users", "9", "--without", "imapd", "--route", f"plain.test=smtp:127.0.0.1:{plain.port}",
                "--route", f"able.test=smtp:127.0.0.1:{able.port}", "--route", f"old.test=smtp:127.0.0.1:{old.port}", "--route", f"world.test=smtp:127.0.0.1:{world.port}",
                "--set", "channels.channel tcp_local.backoff=1s 1s 1s", "--set", "channels.channel tcp_lmtp.backoff=1s",
                "--set", f"channels.channel tcp_local.notices={WARNED}s {EXPIRED}s", "--set", "lmtpd.quota.over=permanent")
D = sb.domain
me = f"{sb.user(1)}@{D}"
read = 0


def inbox(user=1):
    found = []
    for d, _, names in os.walk(sb.env["STORE"]):
        if f"={sb.user(user)}@" in d and "/=INBOX/" in d:
            found += [os.path.join(d, n) for n in names if n.endswith(".msg")]
    found.sort(key=lambda p: int(os.path.basename(p)[:-4]))
    return [open(p, "rb").read() for p in found]


def report(what):
    """The next message of user 1: (message, fields about the message, fields of each recipient)."""
    global read
    read += 1
    if not tm.ok(tm.wait_for(lambda: len(inbox()) >= read), what):
        return email.message_from_string(""), {}, [{}]
    m = email.message_from_bytes(inbox()[read - 1], policy=email.policy.default)
    # By hand: Python knows message/delivery-status, but not its sister message/global-delivery-status.
    part = inbox()[read - 1].decode().split(f"--{m.get_boundary()}\r\n")[2].partition("\r\n\r\n")[2]
    blocks = [dict(l.split(": ", 1) for l in b.replace("\r\n ", " ").split("\r\n") if l)
              for b in part.split("\r\n\r\n") if b.strip()]
    return m, blocks[0], blocks[1:]


def send(rcpts, mail="", body="Subject: s\r\n\r\nthe text\r\n", sender=me):
    """rcpts: (address, parameters) each."""
    s = sb.smtp()
    s.command_encoding = "utf-8"
    s.ehlo()
    code, text = s.docmd(f"MAIL FROM:<{sender}> {mail}".strip())
    for addr, params in rcpts:
        code, text = s.docmd(f"RCPT TO:<{addr}> {params}".strip())
        if code != 250:
            tm.diag(f"{addr}: {code} {text}")
    code, text = s.data(body.encode())
    s.quit()
    return code == 250 or tm.diag(text)


# ---- success -----------------------------------------------------------------------------------
send([(f"alias0002@{D}", "NOTIFY=SUCCESS ORCPT=rfc822;first+2B1@old.test"), (f"user0003@{D}", "")],
     "RET=HDRS ENVID=env+2D1")
m, head, rcpts = report("NOTIFY=SUCCESS and delivered here: a report")
tm.is_(m.get_content_type(), "multipart/report", "as multipart/report")
tm.is_(m.get_param("report-type"), "delivery-status", "of delivery-status")
tm.is_(m["Return-Path"], "<>", "from the null sender")
tm.is_(m["Auto-Submitted"], "auto-replied", "marked as automatic") or tm.diag(m.as_string()[:2000])
tm.is_((head.get("Original-Envelope-Id"), head.get("Reporting-MTA")), ("env-1", f"dns; {sb.env['MAILHOST']}"),
       "with the ENVID") or tm.diag(head)
tm.is_(len(rcpts), 1, "about the one recipient only")
tm.is_((rcpts[0].get("Action"), rcpts[0].get("Original-Recipient"), rcpts[0].get("Status", "")[:2]),
       ("delivered", "rfc822;first+1@old.test", "2."), "delivered, with its ORCPT") or tm.diag(rcpts)
tm.ok("the text" not in m.as_string() and "Subject: s" in m.as_string(), "and the header only")
send([("a@plain.test", "NOTIFY=SUCCESS,FAILURE")])
m, head, rcpts = report("relayed to a host without DSN")
tm.is_(rcpts[0].get("Action"), "relayed", "relayed is all that can be said")
send([("b@able.test", "NOTIFY=SUCCESS,DELAY ORCPT=rfc822;x@y.test")], "RET=FULL ENVID=e2")
tm.ok(tm.wait_for(lambda: able.mails), "to a host with DSN")
tm.ok(any("RET=FULL" in c and "ENVID=e2" in c for c in able.commands), "RET and ENVID go along") or tm.diag(able.commands)
tm.ok(any("NOTIFY=SUCCESS,DELAY" in c and "ORCPT=rfc822;x@y.test" in c for c in able.commands),
      "NOTIFY and ORCPT too") or tm.diag(able.commands)

# ---- failure ---------------------------------------------------------------------------------------
plain.say = {"RCPT": "550 5.1.1 unknown"}
send([("c@plain.test", "NOTIFY=NEVER"), ("d@plain.test", "NOTIFY=SUCCESS,DELAY"), ("e@plain.test", "NOTIFY=FAILURE"),
      ("f@plain.test", "")], "RET=FULL")
m, head, rcpts = report("four failures")
tm.is_(sorted(r.get("Final-Recipient") for r in rcpts), ["rfc822;e@plain.test", "rfc822;f@plain.test"],
       "two of them to be told")
tm.ok("the text" in m.as_string(), "RET=FULL: all of the message comes back")
send([("g@plain.test", "NOTIFY=FAILURE")], "RET=HDRS")
m, head, rcpts = report("RET=HDRS")
tm.ok("the text" not in m.as_string(), "the header alone comes back")
send([("h@plain.test", "NOTIFY=NEVER")])
send([("i@plain.test", "NOTIFY=FAILURE")], sender="")
send([(f"full@{D}", "NOTIFY=FAILURE")], sender="")
tm.ok(sb.queue_empty(), "NEVER, and null senders: nothing is left")
tm.is_(len(inbox()), read, "and nobody is told")

# ---- delay ------------------------------------------------------------------------------------------
plain.say = {"GREET": None}
plain.hang_up()
send([("j@plain.test", "NOTIFY=DELAY"), ("k@plain.test", "NOTIFY=FAILURE"), ("l@plain.test", "NOTIFY=NEVER")])
m, head, rcpts = report("a host that is down: a warning")
tm.is_([(r.get("Action"), r.get("Final-Recipient"), r.get("Status", "")[:2]) for r in rcpts],
       [("delayed", "rfc822;j@plain.test", "4.")], "to who wants one")
tm.ok("Will-Retry-Until" in rcpts[0], "saying how long")
m, head, rcpts = report("after a while a failure")
tm.is_([(r.get("Action"), r.get("Final-Recipient")) for r in rcpts], [("failed", "rfc822;k@plain.test")], "to who wants that")
tm.ok(sb.queue_empty(), "the queue is empty")
plain.say = {}

# ---- UTF-8 --------------------------------------------------------------------------------------------
name = "j\u00f6rg@world.test"
send([(name, "")], "SMTPUTF8 BODY=8BITMIME", "Subject: gr\u00fc\u00dfe\r\n\r\nthe text\r\n")
tm.ok(tm.wait_for(lambda: world.mails), "to a host with SMTPUTF8")
tm.is_(world.mails and world.mails[0][1], [name], "the address as it is")
tm.ok(any(c.startswith("MAIL") and "SMTPUTF8" in c for c in world.commands), "MAIL says SMTPUTF8")
tm.ok("gr\u00fc\u00dfe".encode() in world.mails[0][2], "and the header too")
send([("j\u00f6rg@old.test", "ORCPT=utf-8;j\\x{F6}rg@old.test")], "SMTPUTF8", "Subject: gr\u00fc\u00dfe\r\n\r\nx\r\n")
m, head, rcpts = report("to a host without: a report")
tm.is_((rcpts[0].get("Action"), rcpts[0].get("Status")), ("failed", "5.6.7"), "5.6.7")
text = inbox()[read - 1].decode()
part = m.get_payload()[1]
tm.is_(part.get_content_type(), "message/global-delivery-status", "message/global-delivery-status")
tm.ok("Final-Recipient: utf-8;j\u00f6rg@old.test" in text, "the address in UTF-8") or tm.diag(text)
tm.ok("Original-Recipient: utf-8;" in text, "and the original one")
tm.ok(m.get_payload()[2].get_content_type() in ("message/global", "message/global-headers"), "the message as message/global")
world.say = {"RCPT": "550 5.1.1 unknown"}
world.mails.clear()
send([("m\u00fcller@world.test", "")], "SMTPUTF8 RET=HDRS")
m, head, rcpts = report("refused by a host with SMTPUTF8")
tm.is_(m.get_payload()[2].get_content_type(), "message/global-headers", "the header as message/global-headers")
world.say = {}
send([(f"full@{D}", "")], "SMTPUTF8", sender="s\u00e4nder@world.test")
tm.ok(tm.wait_for(lambda: world.mails), "a report to a sender in UTF-8")
tm.is_(world.mails and (world.mails[0][0], world.mails[0][1]), ("", ["s\u00e4nder@world.test"]), "goes there")
tm.ok(b"message/global-delivery-status" in world.mails[0][2], "in the form of RFC 6533")
send([(f"user0004@{D}", "")], "SMTPUTF8 BODY=8BITMIME", "Subject: gr\u00fc\u00dfe\r\n\r\nx\r\n", sender="s\u00e4nder@world.test")
tm.ok(tm.wait_for(lambda: inbox(4)), "from a sender in UTF-8 to a mailbox")
tm.ok(inbox(4)[0].startswith("Return-Path: <s\u00e4nder@world.test>\r\n".encode()), "with its Return-Path")
tm.ok(b"with UTF8LMTP" in inbox(4)[0] and b"with UTF8SMTP" in inbox(4)[0], "and Received says so twice")
tm.ok(sb.queue_empty(), "the queue is empty")
tm.done()
