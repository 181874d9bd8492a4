#!/usr/bin/env python3
"""Quota on the whole road: the warning that a client reads, mail that waits and then is returned, and what
storectl quota tells."""
import json, os, re, smtplib, subprocess
import tm, wire
from imapraw import Raw

LIMIT = 10
text = os.path.join(tm.tempdir(), "warning")
with open(text, "w") as f:
    f.write("Subject: Only a little room is left\n\n$user has $messages of $message_limit messages.\n")
os.chmod(os.path.dirname(text), 0o755)
sb = tm.Sandbox("--users", "3", "--set", f"tiermail.quota.messages={LIMIT}", "--set", "stored.quota_warn=50", "--set", f"stored.quota_text={text}",
                "--set", "stored.quota_grace=3h", "--set", "tiermail.ldap.cache_age=0", "--set", "lmtpd.quota.over=store", "--set", "imapd.workers=1")
one, D = sb.user(1), sb.domain
ok, is_ = tm.ok, tm.is_


def report(*args):
    r = sb.tool("storectl", "quota", *args)
    return [json.loads(l) for l in r.stdout.splitlines()]


a = Raw(sb, login=1)
for n in range(4):
    a.append("INBOX", f"Subject: {n}\r\n\r\nx\r\n")
is_(report("report", "--json", f"{one}@{D}"), [{"account": f"{one}@{D}", "partition": "primary", "messages": 4, "bytes": 68, "state": "ok"}], "what is used")
sb.send(1, "the fifth")
a.ok("SELECT INBOX")
ok(tm.wait_for(lambda: (a.ok("NOOP"), len(a.ok("SEARCH ALL")[0].split()))[1] >= 8), "mail to half of the limit brings a message of ours with it")
said = b"".join(a.ok("FETCH 6 BODY[]"))
ok(b"\r\nSubject: Only a little room is left\r\n" in said and f"\r\n{one}@{D} has 5 of {LIMIT} messages.\r\n".encode() in said, "with the site's words") or tm.diag(said)
is_([l for l in a.ok("SEARCH SUBJECT room")], [b"* SEARCH 6"], "which a search finds")
is_(report("report", "-j", f"{one}@{D}")[0]["state"], "warned", "the report knows it")
for n in range(4):
    a.append("INBOX", f"Subject: {n}\r\n\r\nx\r\n")
ok(a.append("INBOX", "Subject: no\r\n\r\nx\r\n")[1].startswith(b"NO [OVERQUOTA]"), "a client hears at the limit that there is no room")
sb.send(1, "too much")
ok(tm.wait_for(lambda: report("report", "--json", f"{one}@{D}")[0]["state"] == "refused"), "mail is refused for now")
ok(sb.queue_files(), "and waits in the queue")
a.ok("NOOP")
a.ok("STORE 1:5 +FLAGS.SILENT (\\Deleted)")
a.ok("EXPUNGE")
is_(sb.tool("jobctl-ctl", "retry", "channel=tcp_lmtp").returncode, 0, "the queue is tried again")
ok(tm.wait_for(sb.queue_empty), "when there is room again it comes in")

# ---- IGNOREQUOTA ------------------------------------------------------------------------------------
b = Raw(sb, login=2)
for n in range(LIMIT):
    b.append("INBOX", f"Subject: {n}\r\n\r\nx\r\n")
lmtp = smtplib.LMTP(os.path.join(sb.env["RUNDIR"], "lmtpd.sock"))
lmtp.ehlo()
ok(lmtp.has_extn("ignorequota"), "lmtpd offers IGNOREQUOTA")
lmtp.mail("postmaster@" + D)
to = f"{sb.user(2)}@{D}"
is_([lmtp.rcpt(to)[0], lmtp.rcpt(f"{sb.user(3)}@{D}")[0]], [250, 250], "two recipients")
lmtp.docmd("DATA")
lmtp.send("Subject: full\r\n\r\nx\r\n.\r\n")
is_([lmtp.getreply()[0], lmtp.getreply()[0]], [452, 250], "the one who is full gets nothing")
lmtp.mail("postmaster@" + D)
is_(lmtp.rcpt(to, ["IGNOREQUOTA"])[0], 250, "but with IGNOREQUOTA")
lmtp.docmd("DATA")
lmtp.send("Subject: from the administrator\r\n\r\nx\r\n.\r\n")
is_(lmtp.getreply()[0], 250, "he does")
smtp = sb.smtp()
smtp.ehlo()
smtp.mail("outside@sender.test")
is_(smtp.rcpt(to, ["IGNOREQUOTA"])[0], 555, "SMTP knows no such word")
smtp.quit()
both = report("recount", "--json")
is_(sorted(r["account"] for r in both), sorted(f"{sb.user(n)}@{D}" for n in (1, 2, 3)), "a recount of all")
is_([(r["messages"], r["bytes"]) for r in both], [(r["messages"], r["bytes"]) for r in report("report", "--json") if "account" in r], "finds what was counted")

# ---- quota warn: limits that have become less -------------------------------------------------------
def limit(n):
    return wire.modify(sb, 3, f"replace: mailMsgQuota\nmailMsgQuota: {n}")


c, three = Raw(sb, login=3), f"{sb.user(3)}@{D}"
mine = lambda *args: [r["state"] for r in report("warn", "--json", *args) if r["account"] == three]
count = lambda: int(re.search(rb"MESSAGES (\d+)", b"".join(c.ok("STATUS INBOX (MESSAGES)")))[1])
had = count()
for n in range(4 - had):
    c.append("INBOX", f"Subject: {n}\r\n\r\nx\r\n")
is_((mine(), count()), ([], 4), "nobody is told of half of nothing")
ok(limit(6), "the limit becomes less")
is_((mine("-n"), count()), (["to be warned"], 4), "a dry run says who is near")
is_((mine(), count()), (["warned now"], 5), "who is told then, by a message")
is_((mine(), count()), (["warned"], 5), "once")
ok(limit(100) and mine() == [] and limit(6), "room, and none again")
is_((mine(three), count()), (["warned now"], 6), "is another crossing")
is_(sb.tool("storectl", "quota", "warn", "nobody@nowhere").returncode, 67, "no such account to be warned")
is_(sb.tool("storectl", "quota", "report", "nobody@nowhere").returncode, 67, "no such account")
is_(sb.tool("storectl", "quota", "report", "--what").returncode, 64, "no such option")

# ---- the domain's ------------------------------------------------------------------------------------
def domain(text):
    r = subprocess.run(["ldapmodify", "-x", "-H", sb.env["LDAP_URL"], "-D", sb.env["LDAP_ADMIN_DN"], "-w", sb.env["LDAP_ADMIN_PASSWORD"]], capture_output=True, text=True,
                       input=f"dn: o={D},{sb.env['LDAP_BASE']}\nchangetype: modify\n{text}\n")
    return r.returncode == 0 or tm.diag(r.stderr)


ok(limit(-1), "no limit of one's own")
of_domain = report("report", "--json")[-1]
each = report("report", "--json")[:-1]
is_(of_domain, {"domain": D, "accounts": 3, "messages": sum(r["messages"] for r in each), "bytes": sum(r["bytes"] for r in each)}, "a report ends with the domain")
used, kib = of_domain["messages"], -(-of_domain["bytes"] // 1024)
ok(domain(f"replace: mailDomainMsgQuota\nmailDomainMsgQuota: {used + 1}\n-\nreplace: mailDomainDiskQuota\nmailDomainDiskQuota: 1048576"), "the domain gets a quota")
d = Raw(sb, login=3)
is_(d.ok("GETQUOTAROOT INBOX"), [f'* QUOTAROOT INBOX domain/{D}'.encode(), f"* QUOTA domain/{D} (STORAGE {kib} 1024 MESSAGE {used} {used + 1})".encode()], "a client sees it")
is_(d.ok(f"GETQUOTA domain/{D}"), [f"* QUOTA domain/{D} (STORAGE {kib} 1024 MESSAGE {used} {used + 1})".encode()], "and asks for it")
ok(d.cmd("GETQUOTA domain/elsewhere.test")[-1].startswith(b"NO [NONEXISTENT]"), "but not for another's")
ok(d.append("INBOX", "Subject: last\r\n\r\nx\r\n")[1].startswith(b"OK"), "the last one fits")
ok(d.append("INBOX", "Subject: none\r\n\r\nx\r\n")[1].startswith(b"NO [OVERQUOTA]"), "another does not")
lmtp.mail("postmaster@" + D)
lmtp.rcpt(three)
lmtp.docmd("DATA")
lmtp.send("Subject: full\r\n\r\nx\r\n.\r\n")
is_(lmtp.getreply(), (452, b"4.3.1 the mailboxes of this domain are full"), "and mail waits, for the domain")
lmtp.mail("postmaster@" + D)
lmtp.rcpt(three, ["IGNOREQUOTA"])
lmtp.docmd("DATA")
lmtp.send("Subject: from the administrator\r\n\r\nx\r\n.\r\n")
is_(lmtp.getreply()[0], 250, "IGNOREQUOTA asks for neither")
with open(os.path.join(sb.env["RUNDIR"], "stored.log")) as f:
    said = [l for l in f if "ev=domain_quota" in l]
ok(any("state=full" in l and f"domain={D}" in l for l in said) and len(said) <= 2, "it is logged, once") or tm.diag(said)
r = sb.tool("tmctl", "-d", "stored", "metrics")
ok(re.search(r"tiermail_stored_over_domain_quota_total [1-9]", r.stdout), "and counted") or tm.diag(r.stdout[-300:] + r.stderr)
is_(sb.tool("storectl", "check").returncode, 0, "check finds nothing")
tm.done()
