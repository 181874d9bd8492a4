#!/usr/bin/env python3
"""log_trace: the lines of real sessions stand in the log, the passwords do not; switched on and
off by a reload."""
import base64, os, re, ssl
import tm
from pop3raw import Pop

sb = tm.Sandbox("--users", "2", "--set", "tiermail.log_trace=smtp lmtp imap pop3")


def log(name):
    with open(os.path.join(sb.env["RUNDIR"], f"{name}.log"), errors="replace") as f:
        return f.read()


def wire(name):
    return [l for l in log(name).splitlines() if " ev=wire " in l]


c = sb.imap(1)
c.select("INBOX")
c.logout()
c = sb.smtp("SUBMISSION")
context = ssl.create_default_context(cafile=sb.env["CAFILE"])
context.check_hostname = False
c.starttls(context=context)
c.ehlo()
c.login(sb.user(1), sb.password)
c.sendmail(f"{sb.user(1)}@{sb.domain}", [f"{sb.user(2)}@{sb.domain}"], "Subject: traced\r\n\r\nhello\r\n")
c.quit()
tm.ok(tm.wait_for(lambda: sb.count(2)), "mail goes its way")
p = Pop(sb, login=2)
p.say(f"USER {sb.user(2)}")
p.octets("RETR 1")
p.say("DELE 1")
p.quit()
p = Pop(sb)
p.say("AUTH PLAIN " + base64.b64encode(f"\0{sb.user(1)}\0{sb.password}".encode()).decode())
p.quit()
p = Pop(sb)
p.say("AUTH PLAIN")
p.say(base64.b64encode(f"\0{sb.user(1)}\0{sb.password}".encode()).decode())
p.quit()
text = {n: "\n".join(wire(n)) for n in ("imapd", "smtp-relay", "lmtpd", "jobctl", "pop3d")}
tm.ok(re.search(r'proto=pop3 dir=<<< line="PASS \(hidden\)"', text["pop3d"]), "PASS, without what follows")
tm.is_(len(re.findall(r'proto=pop3 dir=<<< line="AUTH \(hidden\)"', text["pop3d"])), 2, "AUTH of POP3")
tm.ok('line="DELE 1"' in text["pop3d"] and 'line="Subject: traced"' in text["pop3d"], "commands and messages of POP3")
tm.ok(re.search(r'proto=imap dir=<<< line=".* LOGIN \(hidden\)"', text["imapd"]), "LOGIN, without what follows")
tm.ok(re.search(r'dir=<<< line=".* SELECT INBOX"', text["imapd"]) and "dir=>>>" in text["imapd"], "a command and answers")
tm.ok(re.search(r'proto=smtp dir=<<< line="AUTH \(hidden\)"', text["smtp-relay"]), "AUTH inside TLS, without what follows")
tm.ok('line="Subject: traced"' in text["smtp-relay"], "the lines of the message")
tm.ok(re.search(r"proto=lmtp dir=<<< line=\"?LHLO", text["lmtpd"]), "LMTP at the server")
tm.ok(re.search(r"proto=lmtp dir=>>> line=\"?LHLO", text["jobctl"]), "and at the client")
secrets = [sb.password, base64.b64encode(sb.password.encode()).decode(),
           base64.b64encode(f"\0{sb.user(1)}\0{sb.password}".encode()).decode()]
tm.ok(not any(s in t for s in secrets for t in text.values()), "no password is there")
with open(sb.conf("tiermail.conf"), "r+") as f:
    lines = f.read().replace("log_trace = smtp lmtp imap pop3", "log_trace =").replace("log_trace=smtp lmtp imap pop3", "log_trace =")
    f.seek(0)
    f.truncate()
    f.write(lines)
n = len(wire("imapd"))
os.kill(sb.pid("imapd"), 1)
tm.ok(tm.wait_for(lambda: "ev=reload" in log("imapd")), "a reload")


def quiet():
    before = len(wire("imapd"))
    c = sb.imap(1)
    c.logout()
    return len(wire("imapd")) == before


tm.ok(tm.wait_for(quiet), "switches it off for new sessions")
tm.done()
