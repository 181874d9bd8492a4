#!/usr/bin/env python3
"""Who is away answers a sender once, however many relays deliver at the same moment: the store is the one memory."""
import os, smtplib, subprocess, threading
import tm

sb = tm.Sandbox("--users", "3", *(w for d in ("pop3d", "mmpd", "memd", "jmapd", "sieved") for w in ("--without", d)), "--set", "lmtpd.workers=2")
e = sb.env
ONE, TWO, THREE = (f"{sb.user(n)}@{sb.domain}" for n in (1, 2, 3))
RELAYS = 12


def change(n, text):
    r = subprocess.run(["ldapmodify", "-x", "-H", e["LDAP_URL"], "-D", e["LDAP_ADMIN_DN"], "-w", e["LDAP_ADMIN_PASSWORD"]], text=True, capture_output=True,
                       input=f"dn: uid={sb.user(n)},ou=People,o={sb.domain},{e['LDAP_BASE']}\nchangetype: modify\n{text}")
    assert r.returncode == 0, r.stderr
    sb.tool("tmctl", "-d", "lmtpd", "forget", f"{sb.user(n)}@{sb.domain}")


def relay(n, start, said, round_):
    """One relay's delivery: all stand at the end of their messages until the last one does."""
    with smtplib.LMTP(os.path.join(e["RUNDIR"], "lmtpd.sock")) as c:
        c.ehlo(f"relay{n}.test")
        c.mail(TWO)
        c.rcpt(ONE)
        c.docmd("DATA")
        c.send(f"From: {TWO}\r\nTo: {ONE}\r\nMessage-ID: <{round_}.{n}@x.test>\r\nSubject: {round_} {n}\r\n\r\nx\r\n")
        start.wait()
        c.send(".\r\n")
        said.append(c.getreply()[0])


def at_once(round_):
    start, said = threading.Barrier(RELAYS), []
    threads = [threading.Thread(target=relay, args=(n, start, said, round_)) for n in range(RELAYS)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    tm.is_(said, [250] * RELAYS, f"{round_}: each is delivered")


for round_, text in (("by a script", 'replace: mailSieveRuleSource\nmailSieveRuleSource: require "vacation"; vacation :days 3 "Away.";\n'),
                     ("by the entry", "replace: mailSieveRuleSource\n-\nreplace: mailDeliveryOption\nmailDeliveryOption: mailbox\nmailDeliveryOption: autoreply\n-\nreplace: mailAutoReplyText\nmailAutoReplyText: Gone.\n")):
    before = sb.count(2)
    change(1, text)
    at_once(round_)
    tm.ok(tm.wait_for(lambda: sb.count(2) > before) and sb.queue_empty(), f"{round_}: there is an answer")
    tm.is_(sb.count(2) - before, 1, f"{round_}: and one")
tm.is_(sb.count(1), 2 * RELAYS, "no message is lost or doubled")
tm.done()
