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
sb = tm.Sandbox("--users", "5", "--without", "imapd", "--route", f"out.test=smtp:127.0.0.1:{out.port}",
                "--route", f"other.test=smtp:127.0.0.1:{other.port}",
                "--set", "channels.channel tcp_local.backoff=1s 1s 1s", "--set", "channels.channel tcp_lmtp.backoff=1s",
                "--set", "channels.channel tcp_local.notices=2s 6s", "--set", "lmtpd.quota.over=permanent")
me = f"{sb.user(1)}@{sb.domain}"


def inbox(user=1):
    """The messages of a user, as they lie in the store."""
    found = []
    for d, _, names in os.walk(sb.env["STORE"]):
        if f"={sb.user(user)}@" in d and "/=INBOX/" in d:
            found += [os.path.join(d, n) for n in names if n.endswith(".msg")]
    found.sort(key=lambda p: int(os.path.basename(p)[:-4]))
    return [email.message_from_bytes(open(p, "rb").read()) for p in found]


def report(n):
    """The n-th message of user 1: its per-recipient fields."""
    if not tm.wait_for(lambda: len(inbox()) >= n, 30, f"report {n}"):
        return None, {}
    m = inbox()[n - 1]
    return m, dict(m.get_payload()[1].get_payload()[1].items())


# ---- a local mailbox that cannot take it
sb.send([f"full@{sb.domain}", 2], subject="one", sender=me)
m, status = report(1)
tm.is_((status.get("Action"), status.get("Status")), ("failed", "5.2.2"), "a full mailbox is reported to the sender")
tm.is_(m["Return-Path"], "<>", "from the null sender")
tm.ok(tm.wait_for(lambda: len(inbox(2)) == 1), "the other recipient has it")
tm.ok(sb.queue_empty(), "the queue is empty")

# ---- retries
out.say = {"RCPT": ["451 4.7.1 come back", "250 ok"]}
sb.send("a@out.test", subject="two", sender=me)
tm.ok(tm.wait_for(lambda: len(out.mails) == 1, 30), "deferred once, delivered the second time")
tm.ok(sb.queue_empty(), "the queue is empty")
out.say = {"RCPT TO:<no@": "550 5.1.1 no such user", "RCPT TO:<late@": ["450 4.2.1 busy", "250 ok"]}
out.mails.clear()
sb.send(["yes@out.test", "no@out.test", "late@out.test"], subject="three", sender=me)
m, status = report(2)
tm.is_((status.get("Final-Recipient"), status.get("Status")), ("rfc822;no@out.test", "5.1.1"), "one of three failed")
tm.ok("no such user" in status.get("Diagnostic-Code", ""), "with the words of the server")
tm.ok(tm.wait_for(lambda: len(out.mails) == 2, 30), "the two others have it")
tm.is_(sorted(r for m in out.mails for r in m[1]), ["late@out.test", "yes@out.test"], "once each")
tm.ok(sb.queue_empty(), "the queue is empty")

# ---- a host that does not answer: warning, expiry
out.say = {"GREET": None}
out.hang_up()
sb.send("a@out.test", subject="four", sender=me)
m, status = report(3)
tm.is_(status.get("Action"), "delayed", "a warning after two seconds")
m, status = report(4)
tm.is_((status.get("Action"), status.get("Status")), ("failed", "5.4.7"), "returned after six")
tm.is_(m.get_payload()[2].get_payload()[0]["Subject"], "four", "with the message")
tm.ok(sb.queue_empty(), "the queue is empty")
before = len(inbox())
sb.send("a@out.test", subject="five", sender="")
tm.ok(sb.queue_empty(40), "mail from the null sender is dropped when it expires")
tm.is_(len(inbox()), before, "and nobody is told")

# ---- one destination that is down does not hold up another
sb.send("a@out.test", subject="six", sender=me)
sb.send("a@other.test", subject="seven", sender=me)
tm.ok(tm.wait_for(lambda: other.mails, 5), "mail for another host goes out meanwhile")
out.say = {}
tm.ok(sb.queue_empty(), "the queue is empty")
tm.done()
