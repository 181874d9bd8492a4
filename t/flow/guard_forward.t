#!/usr/bin/env python3
"""forward.refuse: spam whose recipient has it forwarded to another host is refused, instead of a report to a sender who is
forged; whose mail goes on gets a message of his own, and nobody else is asked for that."""
import os, smtplib, subprocess, sys

sys.path[:0] = [os.path.dirname(os.path.abspath(__file__))]
import nexthop
import tm
from milterd import *

sink = nexthop.Sink()
filt = Milter(f"127.0.0.1:{tm.free_port()}")
sb = tm.Sandbox("--users", "4", *(w for d in ("pop3d", "jmapd", "sieved", "mmpd", "memd") for w in ("--without", d)), "--route", f"sink.test=smtp:127.0.0.1:{sink.port}",
                "--set", "smtp-relay.relay.networks=127.0.0.9")
e = sb.env
conf = open(sb.conf("smtp-relay.conf")).read()


def entry(n, text):
    r = subprocess.run(["ldapmodify", "-x", "-H", e["LDAP_URL"], "-D", e["LDAP_ADMIN_DN"], "-w", e["LDAP_ADMIN_PASSWORD"]], text=True, capture_output=True,
                       input=f"dn: uid={sb.user(n)},ou=People,o={sb.domain},{e['LDAP_BASE']}\nchangetype: modify\n{text}")
    assert r.returncode == 0, r.stderr


def refuse(text):
    with open(sb.conf("smtp-relay.conf"), "w") as f:
        f.write(conf + f"\n[milter it]\naddress = {filt.address}\n" + (f"[forward]\nrefuse = {text}\n" if text else ""))
    sb.restart("smtp-relay")


def send(*to, spam="Yes", sender="a@else.test", source="127.0.0.1", head=""):
    """Answers to RCPT, and to the message, with their texts."""
    filt.reset()
    filt.answer = {"E": lambda c: (header("h", "X-Spam", spam) if spam else b"") + frame("c")}
    with smtplib.SMTP(sb.host, sb.port("SMTP"), local_hostname="client.test", timeout=tm.LONG, source_address=(source, 0)) as s:
        s.ehlo()
        s.mail(sender)
        said = [s.rcpt(t if isinstance(t, str) else f"{sb.user(t)}@{sb.domain}") for t in to]
        if any(c == 250 for c, _ in said):
            try:
                said.append(s.data(f"{head}Subject: x\r\n\r\nx\r\n"))
            except smtplib.SMTPDataError as x:
                said.append((x.smtp_code, x.smtp_error))
    return [c for c, _ in said], said[-1][1]


entry(1, "replace: mailDeliveryOption\nmailDeliveryOption: forward\n-\nreplace: mailForwardingAddress\nmailForwardingAddress: one@sink.test\n")
entry(2, "replace: mailDeliveryOption\nmailDeliveryOption: forward\nmailDeliveryOption: mailbox\n-\nreplace: mailForwardingAddress\nmailForwardingAddress: two@sink.test\n")
entry(3, f"replace: mailDeliveryOption\nmailDeliveryOption: forward\n-\nreplace: mailForwardingAddress\nmailForwardingAddress: {sb.user(4)}@{sb.domain}\n")
refuse("")
tm.is_(send(1, 4)[0], [250] * 3, "without it spam is forwarded, as all else")
tm.ok(tm.wait_for(lambda: len(sink.got) == 1, what="the next host"), "and arrives")

refuse("X-Spam: Yes")
codes, text = send(1)
tm.ok(codes == [250, 550] and text.startswith(b"5.7.1"), "with it spam for who forwards it is refused") or tm.diag((codes, text))
tm.is_(send(2)[0], [250, 550], "who keeps a copy is one, too")
tm.is_(send(1, spam="")[0], [250, 250], "no spam is not")
tm.is_(send(1, spam="No")[0], [250, 250], "nor what has another word")
tm.is_(send(1, spam="", head="X-Spam: Yes\r\n")[0], [250, 250], "nor what says so itself")
tm.is_((send(4)[0], send(3)[0]), ([250, 250], [250, 250]), "spam for mailboxes, forwarded within the site or not, is the store's business")
tm.is_(send(1, sender="")[0], [250, 250], "a report has no sender who could get one")
tm.is_(send(1, source="127.0.0.9")[0], [250, 250], "who may relay is no stranger")
tm.is_(send(4, 1)[0], [250, 452, 250], "whose mail goes on is put off beside others")
tm.is_(send(1, 4, 3)[0], [250, 452, 452, 550], "and others beside him, who are not hit by his refusal")
tm.is_(send(1, 1)[0], [250, 250, 550], "who is said twice is one")
tm.is_(send(4, 3)[0], [250, 250, 250], "nobody else is")
tm.ok(tm.wait_for(lambda: len(sink.got) == 6, what="the next host"), "what was taken has gone on") or tm.diag(len(sink.got))
tm.ok(sb.queue_empty(), "and nothing is left")
for bad in ("X-Spam", "X Spam: Yes", ": Yes", "Subject: x"):
    with open(sb.conf("smtp-relay.conf"), "w") as f:
        f.write(conf + f"\n[forward]\nrefuse = \"{bad}\"\n")
    r = subprocess.run([f"{tm.BINDIR}/smtp-relay", "-n", "-c", sb.conf("smtp-relay.conf")], capture_output=True, text=True)
    tm.ok(r.returncode == 78 and "forward.refuse" in r.stderr, f"forward.refuse = {bad}: is refused") or tm.diag(r.stderr)
tm.done()
