#!/usr/bin/env python3
"""Postmaster, abuse and the host's own name, without a word of configuration: RFC 5321 4.5.1 and
RFC 2142 want somebody there."""
import os, sys
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tm


def rcpt(sb, address):
    s = sb.smtp()
    s.ehlo()
    s.mail("outside@sender.test")
    code, text = s.rcpt(address)
    s.quit()
    return code, text.decode().split()[0]


sb = tm.Sandbox("--users", "3", "--set", "tiermail.postmaster=")
host, domain = sb.env["MAILHOST"], sb.domain
for local, where in (("postmaster", domain), ("abuse", domain), ("Abuse", sb.env["DOMAIN2"]),
                     ("postmaster", host), ("abuse", host), ("user0001", host)):
    tm.is_(rcpt(sb, f"{local}@{where}")[0], 250, f"{local}@{where} is taken")
tm.is_(rcpt(sb, "postmaster")[0], 250, "so is postmaster alone")
tm.is_(rcpt(sb, "nobody@" + host), (550, "5.1.1"), "nobody of the host's is no user")
tm.is_(rcpt(sb, "nobody@" + domain), (550, "5.1.1"), "nobody else is")
tm.is_(rcpt(sb, "postmaster@elsewhere.test"), (550, "5.7.1"), "and other hosts have their own")
for n, to in enumerate(("abuse@" + domain, "postmaster@" + host, "user0002@" + host)):
    sb.send(to, subject=f"number {n}")
tm.ok(sb.queue_empty(), "all of it is delivered")
tm.is_((sb.count("postmaster"), sb.count(2)), (2, 1), "to the postmaster and the user of the domain")

# ---- nobody is postmaster
path = sb.conf("tiermail.conf")
with open(path) as f:
    text = f.read()
with open(path, "w") as f:
    f.write(text.replace("default_domain = " + domain, "default_domain = elsewhere.test"))
tm.ok(sb.restart("smtp-relay"), "another default domain, which the directory does not know")
tm.is_(rcpt(sb, "user0001@" + host), (550, "5.1.1"), "the host has no users then")
sb.send("postmaster@" + host, subject="kept")
tm.ok(tm.wait_for(lambda: [f for f in sb.queue_files() if f.endswith(".HELD")]),
      "but mail for its postmaster is taken, and held")
tm.ok("nobody is postmaster" in sb.tool("mailq").stdout, "mailq says why")
tm.ok(tm.wait_for(lambda: "ev=no_postmaster" in open(os.path.join(sb.env["RUNDIR"], "smtp-relay.log")).read()), "the log too")
tm.done()
