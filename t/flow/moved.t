#!/usr/bin/env python3
"""Mail that waits while its way changes: a mailbox moves to another store, a static route is put
right.  It follows at a retry."""
import os, re, subprocess, sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../cmd")]
import tm
from mta import Mail

tm.need("ldapmodify")
first = Mail(("127.0.0.1", 0), say={"RCPT": "450 4.2.0 not now"})
second = Mail(("127.0.0.1", 0))
store2 = Mail(("127.0.0.1", 0), lmtp=True)
sb = tm.Sandbox("--users", "2", "--without", "imapd", "--set", "tiermail.ldap.cache_age=0",
                "--set", "channels.channel tcp_local.backoff=1h", "--set", "channels.channel tcp_lmtp.backoff=1h",
                "--set", f"channels.host store2.example.test.lmtp=127.0.0.1:{store2.port}",
                "--route", f"far.test=smtp:127.0.0.1:{first.port}")
me, D = f"{sb.user(1)}@{sb.domain}", sb.domain


def waiting(words):
    return tm.wait_for(lambda: words in sb.tool("mailq").stdout, what=words)


def retry():
    tm.is_(sb.tool("jobctl-ctl", "retry", "all").returncode, 0, "an operator's retry")


# ---- a static route
sb.send(["a@far.test", "b@far.test"], sender=me, subject="route")
tm.ok(waiting("450 4.2.0 not now"), "mail waits for the host of its route")
conf = sb.conf("channels.conf")
with open(conf) as f:
    text = f.read()
with open(conf, "w") as f:
    f.write(text.replace(f":{first.port}", f":{second.port}"))
for d in ("smtp-relay", "jobctl"):
    sb.restart(d)
tm.ok(waiting("450 4.2.0"), "the route leads elsewhere now")
retry()
tm.ok(tm.wait_for(lambda: second.mails), "it takes the new route")
tm.is_(second.mails and second.mails[0][:2], (me, ["a@far.test", "b@far.test"]), "with its envelope")
tm.is_(len(re.findall(rb"^Received: ", second.mails[0][2], re.M)), 2, "the relay has seen it twice")
tm.ok(sb.queue_empty(), "nothing is left, and nobody has it twice")
tm.is_(len(second.mails), 1, "one copy")

# ---- a mailbox
sb.tool("jobctl-ctl", "stop", "tcp_lmtp")
sb.send(2, sender=me, subject="mailbox")
r = subprocess.run(["ldapmodify", "-x", "-H", sb.env["LDAP_URL"], "-D", sb.env["LDAP_ADMIN_DN"], "-w",
                    sb.env["LDAP_ADMIN_PASSWORD"]], capture_output=True, text=True,
                   input=f"dn: uid={sb.user(2)},ou=people,o={D},{sb.env['LDAP_BASE']}\nchangetype: modify\n"
                         "replace: mailHost\nmailHost: store2.example.test\n")
tm.is_(r.returncode, 0, "the mailbox moves while mail for it waits") or tm.diag(r.stderr)
sb.tool("jobctl-ctl", "start", "tcp_lmtp")
tm.ok(waiting("450 4.1.6"), "the old store does not have it")
tm.is_(len(store2.mails), 0, "and the first attempt does not look elsewhere")
retry()
tm.ok(tm.wait_for(lambda: store2.mails), "the second one follows it")
tm.ok(store2.mails and b"Subject: mailbox" in store2.mails[0][2], "to the new store")
tm.ok(sb.queue_empty(), "nothing is left")
tm.done()
