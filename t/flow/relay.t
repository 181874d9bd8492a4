#!/usr/bin/env python3
"""Two instances: one relays to the other by SMTP, with STARTTLS, and hears what it refuses."""
import email, os, sys

sys.path[:0] = [os.path.dirname(os.path.abspath(__file__))]
import tm

there = tm.Sandbox("--users", "3", "--domain", "there.test", "--without", "imapd")
here = tm.Sandbox("--users", "3", "--without", "imapd",
                  "--route", f"there.test=smtp:127.0.0.1:{there.env['SMTP_PORT']}",
                  "--set", "channels.channel tcp_local.backoff=1s")


def inbox(sb, user):
    """The messages of a user, as they lie in the store."""
    found = []
    for d, _, names in os.walk(sb.env["STORE"]):
        if f"={sb.user(user)}@" in d and "/=INBOX/" in d:
            found += [os.path.join(d, n) for n in names if n.endswith(".msg")]
    return [email.message_from_bytes(open(p, "rb").read()) for p in sorted(found)]


me = f"{here.user(1)}@{here.domain}"
here.send([f"{there.user(1)}@there.test", "nobody@there.test", f"{there.user(2)}@there.test"], subject="over there",
          sender=me, body="hello\r\n.dot\r\n")
tm.ok(tm.wait_for(lambda: inbox(there, 1) and inbox(there, 2)), "two recipients get it on the other instance")
m = (inbox(there, 1) or [email.message_from_string("")])[0]
tm.is_(m["Return-Path"], f"<{me}>", "with the sender's address")
tm.ok(any("with ESMTPS" in r for r in m.get_all("Received", [])), "it went over TLS")
tm.is_(m.get_payload(), "hello\r\n.dot\r\n", "unchanged")
tm.ok(tm.wait_for(lambda: inbox(here, 1)), "the sender hears of the third")
r = inbox(here, 1)
status = dict(r[0].get_payload()[1].get_payload()[1].items()) if r else {}
tm.is_((status.get("Final-Recipient"), status.get("Status")), ("rfc822;nobody@there.test", "5.1.1"), "5.1.1, of the other instance")
tm.ok(here.queue_empty() and there.queue_empty(), "both queues are empty")

# ---- many, while the next hop restarts
n = 60
for i in range(n):
    here.send(f"{there.user(3)}@there.test", subject=f"n{i}", sender=me)
    if i == n // 2:
        tm.ok(there.restart("smtp-relay"), "the next hop restarts in the middle")
tm.ok(here.queue_empty() and there.queue_empty(), "everything went out")
tm.is_(sorted({m["Subject"] for m in inbox(there, 3)}), sorted(f"n{i}" for i in range(n)), "and arrived")
tm.done()
