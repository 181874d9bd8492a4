#!/usr/bin/env python3
"""Authentication-Results that strangers bring under a name of ours go (RFC 8601 5), others stay to the octet; those of our
own hosts and of our filters stay, too; and a filter never sees a forged one."""
import os, sys

sys.path[:0] = [os.path.dirname(os.path.abspath(__file__))]
import tm
from milterd import *

tm.need("ldapadd")
without = [a for d in ("pop3d", "jmapd", "sieved", "mmpd", "memd") for a in ("--without", d)]
sb = tm.Sandbox("--users", "2", *without, "--set", "smtp-relay.relay.auth_names=filter.example")
host = f"mail.{sb.domain}"
me = f"{sb.user(1)}@{sb.domain}"
path = sb.conf("smtp-relay.conf")
plain = open(path).read()
seen = 0


def send(head, port="SMTP"):
    """The header as it has arrived, without what every message gets."""
    global seen
    with sb.smtp(port) as s:
        s.ehlo()
        s.mail("a@else.test")
        s.rcpt(me)
        tm.is_(s.data(head + "\r\nhello\r\n")[0], 250, "a message")
    got = tm.wait_for(lambda: sb.messages(1)[seen:])[0].partition(b"\r\n\r\n")[0].decode("latin1") + "\r\n"
    seen += 1
    return got[got.index("X-First: 1"):]


FORGED = [f"Authentication-Results: {host}; spf=pass smtp.mailfrom=bank.test\r\n", f"authentication-RESULTS:\r\n (a comment (nested)) {host.upper()} 1;\r\n\tdkim=pass\r\n",
          f'Authentication-Results: "{host}"; none\r\n', "Authentication-Results: filter.example;dmarc=pass\r\n", f"Authentication-Results : {host}; a=b\r\n"]
KEPT = ["X-First: 1\r\n", f"Authentication-Results: {host}.evil.test; spf=fail\r\n", "Authentication-Results: other.test;\r\n\tspf=pass\r\n",
        f"ARC-Authentication-Results: i=1; {host}; spf=pass\r\n", "Authentication-Results:\r\n", f"X-Authentication-Results: {host}; x=y\r\n", "Subject:  as it is\r\n"]
mixed = "".join(k + f for k, f in zip(KEPT, FORGED + ["", ""]))
tm.is_(send(mixed), "".join(KEPT), "what claims to be ours has gone, all else is as it was")
tm.is_(send("".join(KEPT)), "".join(KEPT), "a message without such fields is not touched")

m = Milter(f"unix:{sb.dir}/one.sock")
with open(path, "w") as f:
    f.write(plain + f"\n[milter one]\naddress = {m.address}\n")
sb.restart("smtp-relay")
m.answer = {"E": lambda c: header("h", "Authentication-Results", f"{host}; spf=fail") + frame("c")}
tm.is_(send(mixed), "".join(KEPT) + f"Authentication-Results: {host}; spf=fail\r\n", "a filter's own field stays")
tm.ok(not [d for c, d in m.heard[0] if c == "L" and host.encode() + b";" in d and d.startswith(b"Auth")], "and it has seen none that is forged")

with open(path, "w") as f:
    f.write(plain.replace("[relay]", "[relay]\nnetworks = 127.0.0.0/8") if "[relay]" in plain else plain + "\n[relay]\nnetworks = 127.0.0.0/8\n")
sb.restart("smtp-relay")
tm.ok(FORGED[0] in send(mixed), "hosts that may relay are believed: the field may be of a filter in front of us")
tm.done()
