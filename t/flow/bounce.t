#!/usr/bin/env python3
"""The whole road when it does not go well: retries, reports to senders, warnings, expiry, null
senders, a second chance after the next hop was down."""
import email, os, sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../cmd")]
import tm
from mta import Mail

other = Mail(("127.0.0.1", 0))
out = Mail(("127.0.0.1", 0), offers=("PIPELINING", "8BITMIME", "SIZE 0"))
WARNED, EXPIRED = round(2 * tm.SHORT), round(7 * tm.SHORT)
sb = tm.Sandbox("--users", "5", "--without", "imapd", "--route", f"out.test=smtp:127.0.0.1:{out.port}",
                "--route", f"other.test=smtp:127.0.0.1:{other.port}",
                "--set", "channels.channel tcp_local.backoff=1s 1s 1s", "--set", "channels.channel tcp_lmtp.backoff=1s",
                "--set", f"channels.channel tcp_local.notices={WARNED}s {EXPIRED}s", "--set", "lmtpd.quota.over=permanent")
me = f"{sb.user(1)}@{sb.domain}"


def inbox(user=1):
    """The messages of a user, as they lie in the store."""
    found = []
    for d, _, names in os.walk(sb.env["STORE"]):
        if f"={sb.user(user)}@" in d and "/=INBOX/" in d:
            found += [os.path.join(d, n) for n in names if n.endswith(".msg")]
    found.sort(key=lambda p: int(os.path.basename(p)[:-4]))
    return [email.message_from_bytes(open(p, "rb").read()) for p in found]


def content(path):
    """Of a file, which may go meanwhile."""
    try:
        with open(path, "rb") as f:
            return f.read()
    except FileNotFoundError:
        return b""


def in_queue(subject):
    return any(b"Subject: " + subject.encode() in content(f) for f in sb.queue_files())


def everywhere():
    """The messages of all mailboxes."""
    return [os.path.join(d, n) for d, _, names in os.walk(sb.env["STORE"]) for n in names if n.endswith(".msg")]


def subject_of(m):
    """Of the message that a report is about: it has the whole of it or its header."""
    part = m.get_payload()[2]
    return (part.get_payload()[0] if part.is_multipart() else email.message_from_string(part.get_payload()))["Subject"]


def report(subject, action="failed"):
    """What user 1 is told about a message, and its per-recipient fields.  On a slow machine there may be
    warnings that nobody waits for."""
    def found():
        for m in inbox():
            fields = dict(m.get_payload()[1].get_payload()[1].items())
            if (subject_of(m), fields["Action"]) == (subject, action):
                return m, fields
    return tm.wait_for(found, what=f"a report: {subject}, {action}") or (email.message_from_string(""), {})


# ---- a local mailbox that cannot take it
sb.send([f"full@{sb.domain}", 2], subject="one", sender=me)
m, status = report("one")
tm.is_((status.get("Action"), status.get("Status")), ("failed", "5.2.2"), "a full mailbox is reported to the sender")
tm.is_(m["Return-Path"], "<>", "from the null sender")
tm.ok(tm.wait_for(lambda: len(inbox(2)) == 1), "the other recipient has it")
tm.ok(sb.queue_empty(), "the queue is empty")

# ---- retries
out.say = {"RCPT": ["451 4.7.1 come back", "250 ok"]}
sb.send("a@out.test", subject="two", sender=me)
tm.ok(tm.wait_for(lambda: len(out.mails) == 1), "deferred once, delivered the second time")
tm.ok(sb.queue_empty(), "the queue is empty")
out.say = {"RCPT TO:<no@": "550 5.1.1 no such user", "RCPT TO:<late@": ["450 4.2.1 busy", "250 ok"]}
out.mails.clear()
sb.send(["yes@out.test", "no@out.test", "late@out.test"], subject="three", sender=me)
m, status = report("three")
tm.is_((status.get("Final-Recipient"), status.get("Status")), ("rfc822;no@out.test", "5.1.1"), "one of three failed")
tm.ok("no such user" in status.get("Diagnostic-Code", ""), "with the words of the server")
tm.ok(tm.wait_for(lambda: len(out.mails) == 2), "the two others have it")
tm.is_(sorted(r for m in out.mails for r in m[1]), ["late@out.test", "yes@out.test"], "once each")
tm.ok(sb.queue_empty(), "the queue is empty")

# ---- a host that does not answer: warning, expiry
out.say = {"GREET": None}
out.hang_up()
sb.send("a@out.test", subject="four", sender=me)
sb.send("a@out.test", subject="five", sender="")
m, status = report("four", "delayed")
tm.is_(status.get("Action"), "delayed", "a warning after a while")
tm.ok(sb.queue_files(), "which is no end")

# ---- one destination that is down does not hold up another
sb.send("a@out.test", subject="six", sender=me)
sb.send("a@other.test", subject="seven", sender=me)
tm.ok(tm.wait_for(lambda: other.mails) and in_queue("six"), "mail for another host goes out meanwhile")
m, status = report("four")
tm.is_((status.get("Action"), status.get("Status")), ("failed", "5.4.7"), "returned when it is too old")
tm.ok(m.is_multipart() and m.get_payload()[2].get_content_type() == "message/rfc822", "with the message")
tm.ok(tm.wait_for(lambda: not in_queue("five")), "mail from the null sender is dropped when it expires")
out.say = {}
tm.ok(sb.queue_empty(), "the queue is empty")
tm.is_([f for f in everywhere() if b"Subject: five" in content(f)], [], "and nobody is told of that from the null sender")
tm.done()
