#!/usr/bin/env python3
"""Scripts within scripts at delivery: a person's own from the directory, the administrator's from a folder; each change
acts on the next delivery, wherever it was made."""
import os, smtplib, sys
import tm
from sieveraw import Sieve

GLOBAL = os.path.join(tm.tempdir(), "global")
os.makedirs(GLOBAL)
os.chmod(os.path.dirname(GLOBAL), 0o755)


def put(name, text):
    with open(f"{GLOBAL}/{name}", "w") as f:
        f.write(text)


put("spam.sieve", 'require ["fileinto", "mailbox"];\nif header :contains "subject" "spam" { fileinto :create "Spam"; stop; }\n')
put("vars.sieve", 'require ["include", "variables"];\nglobal "box";\nset "box" "FromGlobal";\n')
put("README", "no script\n")
sb = tm.Sandbox("--users", "3", "--set", f"lmtpd.sieve.global={GLOBAL}", "--set", "tiermail.ldap.cache_age=1h", "--set", "lmtpd.workers=2",
                "--without", "pop3d", "--without", "mmpd")
ok, is_, D = tm.ok, tm.is_, sb.domain


def deliver(n, subject, times=1):
    for _ in range(times):
        with smtplib.LMTP(os.path.join(sb.env["RUNDIR"], "lmtpd.sock")) as c:
            c.sendmail("a@sender.test", f"{sb.user(n)}@{D}", f"Subject: {subject}\r\n\r\nx\r\n")


def reload():
    return sb.tool("tmctl", "-d", "lmtpd", "reload").stdout.strip()


s = Sieve(sb, login=1)
ok(any(" include " in l for l in s.told if l.startswith('"SIEVE"')), "include is announced")
MAIN = 'require ["include", "variables", "fileinto", "mailbox"];\r\ninclude :global "spam";\r\ninclude :personal :optional "lists and more";\r\n' \
       'include :global "vars";\r\nglobal "box";\r\nfileinto :create "${box}";\r\n'
is_(s.put("main", MAIN), 'OK "Stored"', "a script that includes others")
is_(s.last('SETACTIVE "main"'), 'OK "Done"', "active")
deliver(1, "spam!", 4)
is_(sb.count(1, "Spam"), 4, "the administrator's script acts, in every worker")
deliver(1, "hello", 2)
is_(sb.count(1, "FromGlobal"), 2, "and sets a global variable")
is_(s.put("lists and more", 'require ["fileinto", "mailbox"];\r\nif header :contains "subject" "list" { fileinto :create "Lists"; }\r\n'), 'OK "Stored"', "a personal one is stored")
deliver(1, "the list", 3)
is_(sb.count(1, "Lists"), 3, "and acts from the next delivery on")
is_(s.put("lists and more", 'require ["fileinto", "mailbox"];\r\nif header :contains "subject" "list" { fileinto :create "Other"; }\r\n'), 'OK "Stored"', "another text of it")
deliver(1, "the list", 3)
is_((sb.count(1, "Lists"), sb.count(1, "Other")), (3, 3), "too")
is_(s.last('RENAMESCRIPT "lists and more" "away"'), 'OK "Done"', "another name")
deliver(1, "the list")
is_((sb.count(1, "Other"), sb.count(1, "FromGlobal")), (3, 9), "and it is missed, as it may be")

# ---- one that is not there, and one that includes itself
s = Sieve(sb, login=2)
s.put("main", 'require "include";\r\ninclude "none";\r\ndiscard;\r\n')
s.last('SETACTIVE "main"')
deliver(2, "kept")
is_(sb.count(2), 1, "what must be there and is not is an error: the message is kept")
ok(tm.wait_for(lambda: 'there is no script \\"none\\" to include' in open(f"{sb.env['RUNDIR']}/lmtpd.log").read()), "which is told in the log")
s.put("none", 'require "include";\r\ninclude "none";\r\n')
deliver(2, "circle")
is_(sb.count(2), 2, "one that includes itself as well")
# What is one person's is not another's
s = Sieve(sb, login=3)
s.put("main", 'require "include";\r\ninclude :optional "none";\r\nkeep;\r\n')
s.last('SETACTIVE "main"')
deliver(3, "mine")
is_(sb.count(3), 1, "nobody includes somebody else's")

# ---- the folder changes
put("spam.sieve", 'require ["fileinto", "mailbox"];\nif header :contains "subject" "spam" { fileinto :create "Spam2"; stop; }\n')
deliver(1, "spam")
is_(sb.count(1, "Spam"), 5, "what was read stays")
is_(reload(), "ok", "until a reload")
deliver(1, "spam", 3)
is_((sb.count(1, "Spam"), sb.count(1, "Spam2")), (5, 3), "then it is another")
put("spam.sieve", "nonsense;\n")
r = sb.tool("tmctl", "-d", "lmtpd", "reload")
ok("spam.sieve: " in r.stdout + r.stderr and "nonsense" in r.stdout + r.stderr, "one with errors is refused, in words") or tm.diag(r.stdout + r.stderr)
deliver(1, "spam")
is_(sb.count(1, "Spam2"), 4, "and what was there stays")
tm.done()
