#!/usr/bin/env python3
"""Folders by their ids (RFC 9042): a script finds them whatever they are called, and says what is done without them."""
import os, re, smtplib, sys
import tm
from sieveraw import Sieve

sb = tm.Sandbox("--users", "2", "--without", "pop3d", "--without", "mmpd", "--without", "smtp-relay", "--without", "jobctl")
ok, is_, D = tm.ok, tm.is_, sb.domain


def deliver(subject, qid):
    with smtplib.LMTP(os.path.join(sb.env["RUNDIR"], "lmtpd.sock")) as c:
        c.ehlo()
        c.mail("a@sender.test", [f"XQID={qid}"])
        c.rcpt(f"{sb.user(1)}@{D}")
        return c.data(f"Subject: {subject}\r\n\r\nx\r\n")[0]


m = sb.imap(1)
ids = {}
for name in ("One", "Two"):
    m.create(name)
    m.response("MAILBOXID")
    m.select(name)
    ids[name] = re.search(r"\((\S+)\)", m.response("MAILBOXID")[1][-1].decode())[1]
ok(all(re.fullmatch(r"F[0-9a-f]{16}", i) for i in ids.values()), f"ids of folders: {ids}")
s = Sieve(sb, login=1)
is_(s.put("x", f'''require ["mailboxid", "fileinto", "mailbox", "copy"];\r
if not mailboxidexists "{ids['One']}" {{ fileinto :copy :create "Gone"; }}\r
if mailboxidexists ["{ids['One']}", "F0123456789abcdef"] {{ fileinto :copy :create "Wrong"; }}\r
if mailboxidexists "nonsense" {{ fileinto :copy :create "Wrong"; }}\r
fileinto :copy :mailboxid "{ids['One']}" :create "Other";\r
fileinto :copy :mailboxid "{ids['Two']}" "Other";\r
'''), 'OK "Stored"', "a script that names them")
is_(s.last('SETACTIVE "x"'), 'OK "Done"', "active")
is_(deliver("a", "q1"), 250, "a message")
is_((sb.count(1, "One"), sb.count(1, "Two"), sb.count(1)), (1, 1, 1), "is in both, and in INBOX")
is_(deliver("a", "q1"), 250, "when it comes again")
is_((sb.count(1, "One"), sb.count(1, "Two"), sb.count(1)), (1, 1, 1), "it is there already")
m.logout()
m = sb.imap(1)
is_(m.rename("One", "Renamed/deep")[0], "OK", "another name")
deliver("b", "q2")
is_((sb.count(1, "Renamed/deep"), sb.count(1, "Two")), (2, 2), "and the id finds it")
is_(m.select("Other")[0], "NO", "the name beside the id was not needed")
is_(m.delete("Renamed/deep")[0], "OK", "without the folder")
deliver("c", "q3")
is_((sb.count(1, "Other"), sb.count(1, "Gone"), sb.count(1, "Two")), (1, 1, 3), "the name is, which is made, and the script can tell")
is_(m.select("Wrong")[0], "NO", "ids that are none find nothing")
tm.done()
