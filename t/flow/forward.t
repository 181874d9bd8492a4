#!/usr/bin/env python3
"""Users of every status, and users who have their mail sent on, with the directory changed
while the daemons run: what the relay says at RCPT, what lmtpd says, where mail arrives."""
import email, os, re, smtplib, socket, subprocess, sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../cmd")]
import tm
from mta import Mail

tm.need("ldapmodify")
out = Mail(("127.0.0.1", 0), offers=("PIPELINING", "8BITMIME", "DSN", "SIZE 0"))
sb = tm.Sandbox("--users", "9", "--without", "imapd", "--route", f"out.test=smtp:127.0.0.1:{out.port}",
                "--set", "tiermail.ldap.cache_age=0", "--set", "tiermail.ldap.negative_age=0",
                "--set", "channels.channel tcp_lmtp.backoff=1s", "--set", "tiermail.quota.messages=3")
D = sb.domain


def change(dn, *lines):
    """One entry: "attribute: value" lines; those attributes are replaced."""
    text = f"dn: {dn},{sb.env['LDAP_BASE']}\nchangetype: modify\n"
    for attr in dict.fromkeys(l.split(":")[0] for l in lines):
        values = "".join(f"{l}\n" for l in lines if l.split(":")[0] == attr and l.split(": ")[1:])
        text += f"replace: {attr}\n{values}-\n"
    r = subprocess.run(["ldapmodify", "-x", "-H", sb.env["LDAP_URL"], "-D", sb.env["LDAP_ADMIN_DN"],
                        "-w", sb.env["LDAP_ADMIN_PASSWORD"]], input=text, capture_output=True, text=True)
    if r.returncode:
        tm.diag(r.stdout + r.stderr)


def user(n, *lines):
    change(f"uid={n},ou=people,o={D}", *lines)


def rcpt(to, lmtp=False, size=None):
    """The answer to RCPT: "250 2.1.5"."""
    if lmtp:
        c = smtplib.LMTP(sb.host, sb.port("LMTP"), local_hostname="t.test")
        c.ehlo()
    else:
        c = sb.smtp()
        c.ehlo()
    c.mail("out@sender.test", [f"SIZE={size}"] if size else [])
    code, text = c.rcpt(to)
    c.quit()
    return f"{code} {text.decode().split()[0]}"


def inbox(user):
    """The messages of a user, as they lie in the store."""
    found = []
    for d, _, names in os.walk(sb.env["STORE"]):
        if f"={user}@{D}/" in d + "/" and "/=INBOX" in d:
            found += [os.path.join(d, n) for n in names if n.endswith(".msg")]
    return [email.message_from_bytes(open(p, "rb").read()) for p in sorted(found)]


def subjects(user):
    return sorted(m["Subject"] for m in inbox(user))


def log(text, who="smtp-relay"):
    with open(f"{sb.env['RUNDIR']}/{who}.log") as f:
        return text in f.read()


# ---- statuses ---------------------------------------------------------------------------------
me = f"user0001@{D}"
for attr, value, relay, lmtp in (
        ("mailUserStatus", "inactive", "450 4.2.1", "450 4.2.1"),
        ("mailUserStatus", "disabled", "550 5.2.1", "550 5.2.1"),
        ("mailUserStatus", "deleted", "550 5.1.1", "550 5.1.1"),
        ("mailUserStatus", "removed", "550 5.1.1", "550 5.1.1"),
        ("mailUserStatus", "overquota", "452 4.2.2", "452 4.2.2"),
        ("mailUserStatus", "hold", "250 2.1.5", "450 4.2.1"),
        ("mailUserStatus", "active", "250 2.1.5", "250 2.1.5"),
        ("inetUserStatus", "inactive", "450 4.2.1", "450 4.2.1"),
        ("inetUserStatus", "deleted", "550 5.1.1", "550 5.1.1"),
        ("inetUserStatus", "active", "250 2.1.5", "250 2.1.5")):
    user("user0001", f"{attr}: {value}")
    tm.is_(rcpt(me), relay, f"{attr} {value}: RCPT")
    tm.is_(rcpt(me, lmtp=True), lmtp, f"{attr} {value}: LMTP")
for attr, value, relay, lmtp in (
        ("mailDomainStatus", "inactive", "450 4.2.1", "450 4.2.1"),
        ("mailDomainStatus", "disabled", "550 5.2.1", "550 5.2.1"),
        ("mailDomainStatus", "deleted", "550 5.1.1", "550 5.1.1"),
        ("mailDomainStatus", "hold", "250 2.1.5", "450 4.2.1"),
        ("mailDomainStatus", "overquota", "452 4.2.2", "452 4.2.2"),
        ("mailDomainStatus", "active", "250 2.1.5", "250 2.1.5"),
        ("inetDomainStatus", "inactive", "450 4.2.1", "450 4.2.1"),
        ("inetDomainStatus", "deleted", "550 5.1.1", "550 5.1.1"),
        ("inetDomainStatus", "active", "250 2.1.5", "250 2.1.5")):
    change(f"o={D}", f"{attr}: {value}")
    tm.is_(rcpt(me), relay, f"{attr} {value}: RCPT")
    tm.is_(rcpt(me, lmtp=True), lmtp, f"{attr} {value}: LMTP")

# ---- hold, and the release ----------------------------------------------------------------------
user("user0001", "mailUserStatus: hold")
sb.send(1, subject="held")
tm.ok(any(f.endswith(".HELD") for f in sb.queue_files()), "mail for a user on hold waits in the queue")
user("user0001", "mailUserStatus: active")
held = os.path.basename(next(f for f in sb.queue_files() if f.endswith(".HELD")))
qid = re.sub(r"^..|\..*$", "", held)
r = sb.tool("jobctl-ctl", "release", qid)
tm.ok(r.returncode == 0, "it is released") or tm.diag(r.stdout + r.stderr)
tm.ok(tm.wait_for(lambda: subjects("user0001") == ["held"]), "and arrives")

# ---- forwarding -----------------------------------------------------------------------------------
sb.send([f"forward@{D}"], subject="one")
tm.ok(tm.wait_for(lambda: subjects("user0001") == ["held", "one"]), "forwarded to another user")
tm.ok(not inbox("forward"), "and not kept")
user("user0002", "mailDeliveryOption: forward", "mailDeliveryOption: mailbox",
     "mailForwardingAddress: user0003@" + D, "mailForwardingAddress: friend@out.test")
sb.send(2, subject="two")
tm.ok(tm.wait_for(lambda: subjects("user0002") == subjects("user0003") == ["two"] and out.mails),
      "forwarded to a user and another host, and kept")
sender, rcpts, _ = out.mails[0]
tm.is_((sender, rcpts), ("outside@sender.test", ["friend@out.test"]), "from the sender it came from")
tm.ok(any(f"ORCPT=rfc822;user0002@{D}" in c for c in out.commands), "the next host is told the original recipient") \
    or tm.diag(out.commands)
sb.send([2, 3, f"alias0002@{D}"], subject="three")
tm.ok(tm.wait_for(lambda: len(out.mails) == 2) and sb.queue_empty(), "several ways to one user")
tm.is_(subjects("user0003"), ["three", "two"], "one copy")
tm.is_(subjects("user0002"), ["three", "two"], "of an alias too")

with socket.socket(socket.AF_UNIX) as s:
    s.connect(f"{sb.env['RUNDIR']}/smtp-relay.ctl")
    s.sendall(b"metrics\n")
    text = b"".join(iter(lambda: s.recv(65536), b"")).decode()
n = int(re.search(r"smtp_recipients_forwarded_total (\d+)", text)[1])
tm.is_(n, 5, "the metrics count them")

# ---- circles and dead ends ----------------------------------------------------------------------------
user("user0004", "mailDeliveryOption: forward", f"mailForwardingAddress: alias0005@{D}")
user("user0005", "mailDeliveryOption: forward", f"mailForwardingAddress: user0004@{D}")
tm.is_(rcpt(f"user0004@{D}"), "550 5.4.6", "a circle")
user("user0005", "mailDeliveryOption: forward", f"mailForwardingAddress: user0004@{D}",
     f"mailForwardingAddress: user0006@{D}")
sb.send(4, subject="four")
tm.ok(tm.wait_for(lambda: subjects("user0006") == ["four"]), "a circle with a way out")
user("user0006", "mailDeliveryOption: forward", f"mailForwardingAddress: nobody@{D}")
tm.is_(rcpt(f"user0006@{D}"), "550 5.1.1", "forwarded to nobody: refused at once")
user("user0006", "mailDeliveryOption: forward", "mailForwardingAddress: not an address")
tm.is_(rcpt(f"user0006@{D}"), "550 5.3.5", "a malformed address")
user("user0006", "mailDeliveryOption: forward", f"mailForwardingAddress: nobody@{D}",
     f"mailForwardingAddress: user0007@{D}")
sb.send(6, subject="six")
tm.ok(tm.wait_for(lambda: subjects("user0007") == ["six"]), "one good address is enough")
tm.ok(tm.wait_for(lambda: log("ev=forward_failed")), "and the log tells of the other")
user("user0006", "mailDeliveryOption: forward", f"mailForwardingAddress: inactive@{D}",
     f"mailForwardingAddress: user0007@{D}")
tm.is_(rcpt(f"user0006@{D}"), "450 4.2.1", "one that cannot be reached now: later, with all")
user("user0007", "mailMsgMaxBlocks: 1")
tm.is_([rcpt(f"user0007@{D}", lmtp, size) for lmtp in (False, True) for size in (100, 100000)],
       ["250 2.1.5", "552 5.2.3"] * 2, "relay and store say alike what is too large for a user")
user("user0006", "mailDeliveryOption: forward", f"mailForwardingAddress: user0007@{D}", f"mailForwardingAddress: inactive@{D}")
c = sb.smtp()
c.ehlo()
c.mail("out@sender.test")
got = [c.rcpt(f"{u}@{D}")[0] for u in ("user0008", "user0006")]
code, text = c.data("Subject: five\r\n\r\n" + "x\r\n" * 1000)
tm.is_((got, code), ([250, 450], 250), "what a deferred recipient would have limited says nothing to another")
c.quit()
user("user0007", "mailMsgMaxBlocks")
tm.ok(tm.wait_for(lambda: subjects("user0008") == ["five"]), "who gets it")
user("user0006", "mailDeliveryOption: autoreply")
tm.is_(rcpt(f"user0006@{D}"), "550 5.2.1", "no mailbox and nothing else: refused, not bounced")
user("user0006", "mailDeliveryOption: forward", f"mailForwardingAddress: user0007@{D}", "mailUserStatus: hold")
sb.send(6, subject="seven")
tm.ok(any(f.endswith(".HELD") for f in sb.queue_files()), "a user on hold is not forwarded either")

# ---- the quota of users who have none -------------------------------------------------------------------
user("user0009", "mailMsgQuota")
for i in range(3):
    sb.send(9, subject=f"quota {i}")
tm.ok(tm.wait_for(lambda: len(inbox("user0009")) == 3), "three messages fit into a mailbox without a quota of its own")
c = smtplib.LMTP(sb.host, sb.port("LMTP"), local_hostname="t.test")
try:
    c.sendmail("out@sender.test", [f"user0009@{D}"], "Subject: x\r\n\r\nx\r\n")
    answer = "taken"
except (smtplib.SMTPDataError, smtplib.SMTPRecipientsRefused) as e:
    answer = str(e)
tm.ok("4.2.2" in answer, "not a fourth: quota.messages of tiermail.conf") or tm.diag(answer)
user("user0009", "mailMsgQuota: -1")
c.sendmail("out@sender.test", [f"user0009@{D}"], "Subject: x\r\n\r\nx\r\n")
tm.is_(len(inbox("user0009")), 4, "and -1 in the directory is no limit")

# ---- reports name the address that was written to -----------------------------------------------------
out.say = {"RCPT": "550 5.1.1 gone away"}
sb.send(2, subject="eight", sender=f"user0008@{D}")
tm.ok(tm.wait_for(lambda: len(inbox("user0008")) == 2), "a report comes back")
fields = dict(next(m for m in inbox("user0008") if m.is_multipart()).get_payload()[1].get_payload()[1].items())
tm.is_((fields.get("Original-Recipient"), fields.get("Status")), (f"rfc822;user0002@{D}", "5.1.1"),
       "about the recipient that the sender knows")
tm.ok("friend@out.test" not in str(fields), "and does not tell where the mail went on to") or tm.diag(fields)
tm.done()
