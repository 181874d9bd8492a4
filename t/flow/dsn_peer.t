#!/usr/bin/env python3
"""Our reports beside Postfix's: the same messages fail for the same causes at the same servers, and both reports are
read by Python's email and compared field by field.  Where we differ on purpose stands in DIFFERS."""
import email, email.policy, email.utils, os, re, smtplib, sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../cmd")]
import nexthop, tm
from mta import Mail

if not nexthop.here():
    print("1..0 # SKIP no Postfix that can be run here")
    sys.exit(0)

RCPT = {"a": "550 5.1.1 no such user here", "b": "550 5.7.1 not for you", "c": "552 5.2.2 the mailbox is full", "d": "550 no such user", "e": "553 5.1.3 not an address",
        "f": "550-5.1.1 there never was\r\n550 5.1.1 such a user", "g": "551 5.1.6 has moved", "h": "554 5.7.27 no mail from null MX", "i": "556 5.1.10 takes no mail",
        "j": "550 5.4.1 no answer from host"}
offers = ("PIPELINING", "8BITMIME", "SIZE 0")
rcpt = Mail(("127.0.0.1", 0), offers=offers, say={f"RCPT TO:<{k}@": v for k, v in RCPT.items()})
mail = Mail(("127.0.0.1", 0), offers=offers, say={"MAIL": "550 5.1.8 unknown sender"})
data = Mail(("127.0.0.1", 0), offers=offers, say={"DATA": "554 5.5.1 no valid recipients"})
body = Mail(("127.0.0.1", 0), offers=offers, say={"BODY": "554 5.7.1 this is spam"})
size = Mail(("127.0.0.1", 0), offers=("PIPELINING", "8BITMIME", "SIZE 50"))
back = Mail(("127.0.0.1", 0), offers=offers)
HOSTS = {"rcpt.test": rcpt, "mail.test": mail, "data.test": data, "body.test": body, "size.test": size, "back.test": back}

# what, recipient, parameters of MAIL, parameters of RCPT
CAUSES = [(f"{RCPT[k][:9]} to RCPT", f"{k}@rcpt.test", "", "") for k in RCPT] + [
    ("MAIL is refused", "x@mail.test", "", ""), ("DATA is refused", "x@data.test", "", ""), ("the message is refused", "x@body.test", "", ""), ("it is too large", "x@size.test", "", ""),
    ("with ENVID", "a@rcpt.test", " ENVID=QQ314159", ""), ("with an ENVID that is encoded", "a@rcpt.test", " ENVID=a+3Db", ""), ("with ORCPT", "a@rcpt.test", "", " ORCPT=rfc822;First@old.test"),
    ("with an ORCPT that is encoded", "b@rcpt.test", "", " ORCPT=rfc822;a+2Bb@old.test"), ("RET=HDRS", "a@rcpt.test", " RET=HDRS", ""), ("RET=FULL", "c@rcpt.test", " RET=FULL ENVID=z", " NOTIFY=FAILURE,DELAY"),
    ("NOTIFY=SUCCESS at a host that does not report", "ok@rcpt.test", "", " NOTIFY=SUCCESS"), ("the same with ORCPT", "ok2@rcpt.test", " ENVID=s", " NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;o@old.test")]
# (ours, Postfix's).  Where the sender has given no ORCPT there is no original recipient that we could name (RFC 3464
# 2.3.1); Postfix names the address of RCPT.  We make one line of a reply with several; what nobody but the client
# has said is told in its own words.
DIFFERS = {"550-5.1.1 to RCPT": {"what was said": ("550 5.1.1 there never was such a user", "550-5.1.1 there never was 550 5.1.1 such a user")}}

without = [a for d in ("stored", "lmtpd", "imapd", "pop3d", "jmapd", "sieved", "mmpd", "memd") for a in ("--without", d)]
sb = tm.Sandbox("--users", "1", *without, "--set", "smtp-relay.relay.networks=127.0.0.0/8", "--set", "channels.channel tcp_local.backoff=1s",
                *(a for d, s in HOSTS.items() for a in ("--route", f"{d}=smtp:127.0.0.1:{s.port}")))
maps = " ".join(f"{{ {d} = smtp:[127.0.0.1]:{s.port} }}" for d, s in HOSTS.items())
peer = nexthop.Postfix("postfix.test", back, "", f"transport_maps = inline:{{ {maps} }}\nsmtp_tls_security_level = none\nbounce_size_limit = 50000\n")
tm.is_(peer.started.returncode, 0, "Postfix runs") or tm.diag(peer.started.stderr)


def send(port, sender, to, mail, rcpt):
    with smtplib.SMTP("127.0.0.1", port, local_hostname="client.test", timeout=tm.LONG) as s:
        s.ehlo()
        s.docmd(f"MAIL FROM:<{sender}>{mail}")
        code, said = s.docmd(f"RCPT TO:<{to}>{rcpt}")
        if code != 250:
            return tm.diag(f"RCPT: {said}")
        code, said = s.data(f"From: <{sender}>\r\nTo: <{to}>\r\nSubject: s\r\nMessage-ID: <{sender}>\r\n\r\nthe text\r\nof the message\r\n".encode())
        return code == 250 or tm.diag(said)


def returned(sender):
    """The report to that sender: its envelope sender and octets."""
    found = tm.wait_for(lambda: [m for m in back.mails if m[1] == [sender]], what=f"a report to {sender}")
    return (found[0][0], found[0][2]) if found else (None, b"")


def fields(raw):
    """What is to be the same in both."""
    m = email.message_from_bytes(raw, policy=email.policy.default)
    parts = m.get_payload()
    if m.get_content_type() != "multipart/report" or len(parts) != 3:
        return {"structure": m.get_content_type()}
    about, *per = parts[1].get_payload()
    r = per[0]
    said = str(r["Diagnostic-Code"] or "")
    kind, _, text = said.partition(";")
    ours = kind.strip().lower().startswith("x-")
    text = " ".join(text.split())
    return {"report-type": m.get_param("report-type"), "auto-submitted": m["Auto-Submitted"], "mime-version": m["MIME-Version"], "to": email.utils.parseaddr(m["To"])[1], "daemon": email.utils.parseaddr(m["From"])[1].split("@")[0],
            "date": bool(email.utils.parsedate_to_datetime(m["Date"])), "message-id": bool(re.fullmatch(r"<\S+@\S+>", m["Message-ID"] or "")), "words": parts[0].get_content_type(),
            "machine": parts[1].get_content_type(), "returned": parts[2].get_content_type(), "text of it": "the text" in parts[2].as_string(), "header of it": "Subject: s" in parts[2].as_string(),
            "Reporting-MTA": str(about["Reporting-MTA"]).split(";")[0], "Original-Envelope-Id": about["Original-Envelope-Id"], "Arrival-Date": bool(about["Arrival-Date"] and email.utils.parsedate_to_datetime(about["Arrival-Date"])),
            "recipients": len(per), "Original-Recipient": r["Original-Recipient"] and re.sub(r";\s*", ";", r["Original-Recipient"]), "Final-Recipient": re.sub(r";\s*", ";", r["Final-Recipient"] or ""),
            "Action": (r["Action"] or "").split()[0], "Status": (r["Status"] or "").split()[0], "Remote-MTA": (r["Remote-MTA"] or "").split(";")[0], "diagnostic": "own" if ours else kind.strip(),
            "what was said": None if ours else text, "in the words": ours or text.split(" ", 2)[-1].split()[-1] in parts[0].get_content()}


for i, (what, to, mail_params, rcpt_params) in enumerate(CAUSES):
    senders = f"ours{i}@back.test", f"theirs{i}@back.test"
    if not tm.ok(send(sb.port("SMTP"), senders[0], to, mail_params, rcpt_params) and send(peer.port, senders[1], to, mail_params, rcpt_params), f"{what}: both take it"):
        continue
    (from_us, us), (from_them, them) = returned(senders[0]), returned(senders[1])
    tm.is_((from_us, from_them), ("", ""), f"{what}: reports of nobody")
    a, b = fields(us), fields(them)
    a["to"] = a.get("to", "").replace("ours", "theirs")
    apart = {k: (a.get(k), b.get(k)) for k in {*a, *b} if a.get(k) != b.get(k)}
    named = {} if "ORCPT" in rcpt_params else {"Original-Recipient": (None, f"rfc822;{to}")}
    tm.is_(apart, {**named, **DIFFERS.get(what, {})}, f"{what}: the same fields")
peer.stop()
tm.ok(sb.queue_empty(), "the queue is empty")
tm.done()
