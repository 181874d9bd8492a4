#!/usr/bin/env python3
"""Members of a list that is expanded behind the answer are asked about in the access tables as those of a small one are:
who is refused does not get it and the list's owner hears of him, who is dropped does not, who is held waits; and an
address that comes to its channel only there has its refusal told to the sender."""
import email, os, re, subprocess, sys
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../cmd")]
import tm
from mta import Mail

tm.need("ldapadd")
MANY = 1000
out = Mail(("127.0.0.1", 0), offers=("PIPELINING", "8BITMIME", "SIZE 0"))
sb = tm.Sandbox("--users", "3", "--route", f"out.test=smtp:127.0.0.1:{out.port}", "--route", f"no.test=smtp:127.0.0.1:{out.port}",
                "--route", f"sender.test=smtp:127.0.0.1:{out.port}",
                "--set", "channels.channel reprocess.backoff=1s", "--set", "smtp-relay.limit.list=500")
D, BASE = sb.domain, sb.env["LDAP_BASE"]
OWNER = f"{sb.user(3)}@{D}"


def group(name, members, owner=True):
    subprocess.run(["ldapadd", "-x", "-H", sb.env["LDAP_URL"], "-D", sb.env["LDAP_ADMIN_DN"], "-w", sb.env["LDAP_ADMIN_PASSWORD"]],
                   text=True, check=True, capture_output=True, input="\n".join([f"dn: cn={name},ou=Groups,o={D},{BASE}", *(f"objectClass: {c}" for c in (
        "groupOfURLs", "inetMailGroup", "inetMailGroupManagement", "inetLocalMailRecipient")), f"cn: {name}", f"mail: {name}@{D}",
        *([f"mgrpErrorsTo: {OWNER}"] if owner else []), *(f"mgrpRFC822MailMember: {m}" for m in members), ""]))


def table(text):
    with open(sb.conf("mappings"), "w") as f:
        f.write(text)
    return sb.restart("smtp-relay") and sb.tool("tmctl", "-d", "jobctl", "reload").returncode == 0


def send(to, subject, sender="outside@sender.test"):
    with sb.smtp() as s:
        s.ehlo()
        s.mail(sender)
        s.rcpt(to)
        return s.data(f"Subject: {subject}\r\n\r\nx\r\n")[0]


def log(name="jobctl"):
    with open(f"{sb.env['RUNDIR']}/{name}.log") as f:
        return f.read()


def waiting():
    return [f for f in sb.queue_files() if "/reprocess/" in f or f.endswith(".HELD")]


group("small", ["s1@out.test", "bad@no.test"])
group("crowd", [f"m{i}@out.test" for i in range(MANY)] + ["bad@no.test", "drop@out.test", "wait@out.test", f"{sb.user(1)}@{D}", f"{sb.user(2)}@{D}"])
tables = f"""SEND_ACCESS

  tcp_local|outside@sender.test|tcp_local|*@no.test  not$ there$N
  tcp_local|*|tcp_local|drop@out.test  $B
  tcp_local|*|tcp_local|wait@out.test  $H

MAIL_ACCESS

  *|tcp_local|*|tcp_lmtp|{sb.user(2)}@{D}  5.7.1|members$ only$X$N
"""
tm.ok(table(tables), "tables")
tm.is_(send(f"small@{D}", "small"), 250, "a small list")
tm.ok(tm.wait_for(lambda: any(rcpts == ["s1@out.test"] or "s1@out.test" in str(m) for m in out.mails for rcpts in [m[1]])), "goes to the one who may have it") or tm.diag(out.mails)
tm.is_(send(f"crowd@{D}", "large"), 250, "a large one")
tm.ok(tm.wait_for(lambda: "channel=reprocess" in log("smtp-relay")), "is expanded behind the answer")
tm.ok(tm.wait_for(lambda: re.search(rf"ev=expanded .*to=crowd@{D} legs={MANY + 3} failed=2", log())), "two of its members are refused") or tm.diag(re.findall("ev=expanded.*", log()))
tm.ok(tm.wait_for(lambda: len(sb.messages(1)) == 1 and len(sb.messages(3)) >= 1), "a member here gets it, and the owner a report")
said = log()
tm.ok(re.search(r"ev=access .*table=SEND_ACCESS .*bad@no.test.* do=refused text=\"not there\"", said), "the log says who, by which table") or tm.diag(re.findall("ev=access.*", said))
report = email.message_from_bytes(sb.messages(3)[0]).as_string()
tm.ok("bad@no.test" in report and "not there" in report and f"{sb.user(2)}@{D}" in report and "members only" in report, "it names both, and why") or tm.diag(report)
tm.is_(len(sb.messages(2)), 0, "the other member here does not get it")
tm.ok(tm.wait_for(lambda: sum("Subject: large" in str(m) for m in out.mails) and not [f for f in sb.queue_files() if not f.endswith(".HELD")]), "all others are served")
got = [r for m in out.mails for r in m[1] if "large" in str(m)]
tm.is_((len(got), len(set(got))), (MANY, MANY), "each once") or tm.diag(len(out.mails))
tm.ok("drop@out.test" not in str(got) and "bad@no.test" not in str(got) and "wait@out.test" not in str(got), "neither who is dropped nor who is held or refused")
held = [f for f in sb.queue_files() if f.endswith(".HELD")]
tm.ok(len(held) == 1 and b"wait@out.test" in open(held[0], "rb").read() and b"SEND_ACCESS" in open(held[0], "rb").read(), "who is held waits, and it says why") or tm.diag(held)
# ---- a list nobody of which may have it, and that has no owner: a small one is refused, and so is this
group("shut", [f"bad{i}@no.test" for i in range(MANY)] + ["drop@out.test"], owner=False)
group("none", [f"bad{i}@no.test" for i in range(MANY)], owner=False)
for name in ("shut", "none"):
    tm.is_(send(f"{name}@{D}", name), 250, f"{name}: a large list")
tm.ok(tm.wait_for(lambda: re.search(rf"ev=expanded .*to=shut@{D} legs=1 failed={MANY}", log())), "one of them may be thrown away")
tm.ok(tm.wait_for(lambda: any(m[1] == ["outside@sender.test"] for m in out.mails)), "who may have it is nobody: its sender hears of that") or tm.diag(re.findall("ev=expanded.*", log()))
back = [str(m) for m in out.mails if m[1] == ["outside@sender.test"]]
tm.ok(len(back) == 1 and f"none@{D}" in back[0] and "not there" in back[0], "why, and of that list alone") or tm.diag(back)
tm.done()
