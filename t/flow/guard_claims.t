#!/usr/bin/env python3
"""Authentication-Results that strangers bring under a name of ours go (RFC 8601 5), others stay to the octet; those of our
own hosts and of our filters stay, too; and a filter never sees a forged one."""
import os, ssl, sys

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

# ---- what our filters make of a message is theirs to say
SPAM = ["X-Spam: No\r\n", "x-SPAM-score:\r\n -100\r\n", "X-Spam-Status : No, score=-5\r\n", "X-Spamd-Result: default: False\r\n"]
OWN = ["X-First: 1\r\n", "X-Spammy: Yes\r\n", "Subject: X-Spam: Yes\r\n"]
tm.is_(send("".join(k + f for k, f in zip(OWN + [""], SPAM))), "".join(OWN), "verdicts that a stranger brings have gone, whatever is like them has not")


def submitted(n=1):
    """From a user of ours: the fields behind X-First as they have arrived."""
    global seen
    with sb.smtp("SUBMISSION") as s:
        s.starttls(context=ssl._create_unverified_context())
        s.login(me, sb.password)
        s.sendmail(me, [me], "X-First: 1\r\n" + SPAM[0] + "Bcc: hidden@else.test\r\nDate: Tue, 1 Dec 2026 00:00:00 +0000\r\n\r\nhello\r\n")
    got = tm.wait_for(lambda: sb.messages(1)[seen:])[0].partition(b"\r\n\r\n")[0].decode("latin1") + "\r\n"
    seen += 1
    return got[got.index("X-First: 1"):]


got = submitted()
tm.ok("X-Spam" not in got and "Bcc" not in got and "Date: Tue" in got, "a user of ours brings none, either")
m = Milter(f"unix:{sb.dir}/one.sock")
with open(path, "w") as f:
    f.write(plain + f"\n[milter one]\naddress = {m.address}\n")
sb.restart("smtp-relay")
m.answer = {"E": lambda c: header("h", "Authentication-Results", f"{host}; spf=fail") + frame("c")}
tm.is_(send(mixed), "".join(KEPT) + f"Authentication-Results: {host}; spf=fail\r\n", "a filter's own field stays")
tm.ok(not [d for c, d in m.heard[0] if c == "L" and host.encode() + b";" in d and d.startswith(b"Auth")], "and it has seen none that is forged")
m.answer = {"E": lambda c: header("h", "X-Spam-Score", "7.5 / 10") + header("h", "X-Spam", "Yes") + header("h", "X-Other", "nobody's business") + frame("c")}
got = send("".join(OWN + SPAM))
tm.ok(got.count("\nX-Spam") == 3 and "\nX-Spam: Yes\r\n" in got, "a filter's verdict stays") or tm.diag(got)
tm.ok(not [d for h in m.heard for c, d in h if c == "L" and d.lower().startswith((b"x-spam\0", b"x-spam-", b"x-spamd"))], "and it has seen nobody else's")
said = [l for l in open(os.path.join(sb.env["RUNDIR"], "smtp-relay.log"), errors="replace") if "ev=filter_said" in l]
tm.ok(any("filter=one field=X-Spam-Score text=\"7.5 / 10\"" in l for l in said) and any("field=Authentication-Results" in l for l in said)
      and not any("X-Other" in l for l in said), "it is in the log") or tm.diag("".join(said))
m.reset()
m.answer = {"E": lambda c: header("h", "X-Spam", "Yes") + frame("c")}
got = submitted()
tm.ok("X-Spam: Yes" in got and "Bcc" not in got, "filters see submitted mail without both")
names = [d.split(b"\0")[0] for h in m.heard for c, d in h if c == "L"]
tm.ok(b"X-First" in names and b"Bcc" not in names and b"X-Spam" not in names, "(the filter has seen neither)") or tm.diag(names)

with open(path, "w") as f:
    f.write(plain.replace("[relay]", "[relay]\nnetworks = 127.0.0.0/8") if "[relay]" in plain else plain + "\n[relay]\nnetworks = 127.0.0.0/8\n")
sb.restart("smtp-relay")
tm.ok(FORGED[0] in send(mixed), "hosts that may relay are believed: the field may be of a filter in front of us")
tm.done()
