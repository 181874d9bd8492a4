#!/usr/bin/env python3
"""What every recipient's script rejects is refused at the relay, before it is anybody's; all else goes on as ever."""
import base64, imaplib, smtplib, subprocess
import tm
from milterd import Milter, frame, header, text

sb = tm.Sandbox("--users", "10", *(w for d in ("pop3d", "mmpd", "memd", "jmapd", "sieved") for w in ("--without", d)))
e = sb.env
SENDER = f"{sb.user(4)}@{sb.domain}"


def script(n, lines):
    change = f"replace: mailSieveRuleSource\n" + (f"mailSieveRuleSource:: {base64.b64encode(lines.encode()).decode()}\n" if lines else "")
    r = subprocess.run(["ldapmodify", "-x", "-H", e["LDAP_URL"], "-D", e["LDAP_ADMIN_DN"], "-w", e["LDAP_ADMIN_PASSWORD"]], text=True, capture_output=True,
                       input=f"dn: uid={sb.user(n)},ou=People,o={sb.domain},{e['LDAP_BASE']}\nchangetype: modify\n{change}")
    assert r.returncode == 0, r.stderr


def send(subject, *to, sender=SENDER, body="x", chunks=False):
    """(code, text) of the end of the message"""
    with smtplib.SMTP(sb.host, sb.port("SMTP")) as c:
        c.ehlo("client.test")
        c.mail(sender)
        for n in to:
            code, said = c.rcpt(f"{sb.user(n)}@{sb.domain}")
            assert code == 250, said
        mail = f"From: {SENDER}\r\nTo: x@x.test\r\nMessage-ID: <{subject}@x.test>\r\nSubject: {subject}\r\n\r\n{body}\r\n"
        if chunks:
            c.send(f"BDAT {len(mail)} LAST\r\n{mail}".encode())
            code, said = c.getreply()
        else:
            code, said = c.data(mail)
        return code, said.decode().split(" ", 1)[0], said.decode()


def subjects(n, folder="INBOX"):
    c = imaplib.IMAP4(sb.host, sb.port("IMAP"))
    c.login(sb.user(n), sb.password)
    c.select(folder)
    got = [r[1].decode().strip()[9:] for r in c.fetch("1:*", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")[1] if isinstance(r, tuple)]
    c.logout()
    return got


def forget(*daemons):
    for d in daemons:
        sb.tool("tmctl", "-d", d, "forget", f"{sb.user(1)}@{sb.domain}")


def reports():
    return [s for s in subjects(4) if s not in ("plain",)]


def arrives(n, subject):
    return tm.ok(tm.wait_for(lambda: subject in subjects(n)), f"{subject}: it is there")


REJECT = 'require "reject";\nif header :contains "Subject" "no" { reject "I do not\nwant this."; }\n'
script(1, REJECT)
script(2, 'require ["ereject", "body"];\nif body :contains "unwanted" { ereject "Away with it"; }\n')
script(3, 'require ["reject", "mailbox"];\nif mailboxexists "INBOX" { reject "by what the store knows"; }\n')

code, esc, said = send("no thanks", 1)
tm.is_((code, esc, "I do not want this." in said), (550, "5.7.1", True), "the answer to the message itself, in the person's words") or tm.diag(said)
tm.is_(send("no chunks", 1, chunks=True)[:2], (550, "5.7.1"), "by BDAT as well")
tm.is_(send("no null", 1, sender="")[:2], (550, "5.7.1"), "and from nobody")
tm.is_(send("plain", 1)[0], 250, "what it does not reject is taken")
arrives(1, "plain")
tm.is_(send("by body", 2, body="line\r\n" * 50000 + "unwanted")[:2], (550, "5.7.1"), "by the last line of a large body, too")
tm.is_(send("no both", 1, 2, body="unwanted")[:2], (550, "5.7.1"), "two that reject it both")
tm.is_(reports(), [], "nobody is told by mail what he has been told already")
tm.is_(send("no for one", 1, 2)[0], 250, "of two one takes it")
arrives(2, "no for one")
tm.ok(tm.wait_for(lambda: len(reports()) == 1), "and the other's no is told by mail") or tm.diag(subjects(4))
tm.is_(send("stored", 3)[0], 250, "what only the store knows is the store's to decide")
tm.ok(tm.wait_for(lambda: len(reports()) == 2), "where it is rejected") or tm.diag(subjects(4))

script(1, 'require "reject"; if not address :is "Return-Path" "%s" { reject "By another path."; }' % SENDER)
forget("smtp-relay", "lmtpd")
tm.is_((send("by this path", 1)[0], send("no path", 1, sender=f"other@{sb.domain}")[:2]), (250, (550, "5.7.1")), "scripts see the Return-Path that the store gives")
arrives(1, "by this path")
script(1, REJECT)
forget("smtp-relay", "lmtpd")

# The relay's cache has the script that rejects.
script(1, "keep;\n")
forget("lmtpd")
tm.is_(send("no more", 1)[0], 250, "a script that is gone refuses nothing")
arrives(1, "no more")
script(1, REJECT.replace("I do not", "I still do not"))
forget("smtp-relay", "lmtpd")
tm.ok("I still" in send("no again", 1)[2], "and a new one does")
script(1, 'require ["reject", "vacation"];\nvacation "away";\nreject "x";\n')
forget("smtp-relay", "lmtpd")
tm.is_(send("broken", 1)[0], 250, "one that fails refuses nothing")
arrives(1, "broken")
n = sb.tool("tmctl", "-d", "smtp-relay", "metrics").stdout
tm.ok("tiermail_smtp_sieve_refused_total 7" in n, "they are counted") or tm.diag([line for line in n.splitlines() if "sieve" in line])

# With a filter: its verdict is in the header, and the scripts see it.
filter_ = Milter(f"unix:{sb.dir}/filter.sock")
script(1, 'require "reject"; if header :is "X-Spam" "yes" { reject "No spam, please."; }')
with open(sb.conf("smtp-relay.conf"), "a") as f:
    f.write(f"\n[milter filter]\naddress = {filter_.address}\n")
sb.restart("smtp-relay")
forget("lmtpd")
filter_.answer["E"] = lambda c: header("h", "X-Spam", "yes") + frame("c")
tm.ok("No spam, please" in send("with a filter", 1, body="line\r\n" * 100)[2], "what a filter has said in the header counts")
filter_.answer["E"] = lambda c: header("h", "X-Spam", "no") + frame("c")
tm.is_(send("with it again", 1)[0], 250, "for the message that it was said of")
arrives(1, "with it again")
filter_.answer["E"] = lambda c: header("h", "X-Spam", "yes") + frame("+", text(f"<{sb.user(4)}@{sb.domain}>")) + frame("c")
tm.is_(send("plain", 1)[0], 250, "where a filter has added a recipient, nobody is refused here")
filter_.answer["E"] = lambda c: header("h", "X-Spam", "yes") + frame("-", text(f"<{sb.user(1)}@{sb.domain}>")) + frame("+", text(f"<{sb.user(2)}@{sb.domain}>")) + frame("c")
tm.is_(send("another gets it", 1)[0], 250, "nor where one has taken the place of another")
arrives(2, "another gets it")
script(1, 'require ["reject", "envelope"];\nif envelope "from" "old@else.test" { reject "Not from there."; }\n')
forget("smtp-relay", "lmtpd")
filter_.answer["E"] = lambda c: frame("e", text("<new@else.test>")) + frame("c")
tm.is_(send("new sender", 1, sender="old@else.test")[0], 250, "the sender is the one whom a filter has made of him")
arrives(1, "new sender")
filter_.answer["E"] = lambda c: frame("c")
tm.is_(send("old sender", 1, sender="old@else.test")[0], 550, "who is refused without it")

# What else a script does, that the relay has run and was not refused by, is done once, at the store.
with open(sb.conf("smtp-relay.conf")) as f:
    conf = f.read()
with open(sb.conf("smtp-relay.conf"), "w") as f:
    f.write(conf.partition("[milter filter]")[0])
sb.restart("smtp-relay")
script(1, '''require ["reject", "copy", "fileinto", "mailbox", "imap4flags", "vacation", "enotify", "editheader"];
if header :contains "Subject" "no" { reject "no"; stop; }
addheader "X-Run" "once";
redirect :copy "%s";
notify "mailto:%s";
vacation :addresses "x@x.test" :subject "away" "I am away";
fileinto :create :flags "$Once" "Acts";
''' % (f"{sb.user(2)}+acts@{sb.domain}", f"{sb.user(3)}@{sb.domain}"))
for n in (2, 3):
    script(n, "")
    sb.tool("tmctl", "-d", "lmtpd", "forget", f"{sb.user(n)}@{sb.domain}")
forget("smtp-relay", "lmtpd")
before = [len(subjects(n)) for n in (2, 3, 4)]
tm.is_(send("acts", 1)[0], 250, "a script that could reject, and does something else")
tm.ok(tm.wait_for(lambda: [len(subjects(n)) for n in (2, 3, 4)] == [n + 1 for n in before]), "one copy goes on, one notification, one answer")
tm.ok(tm.wait_for(sb.queue_empty) and [len(subjects(n)) for n in (2, 3, 4)] == [n + 1 for n in before], "and no more") or tm.diag([subjects(n) for n in (2, 3, 4)])
kept = sb.messages(1, "Acts")
tm.is_((len(kept), kept[0].lower().count(b"x-run:")), (1, 1), "one is filed, edited once")
sent = len(subjects(2))
tm.is_((send("no acts", 1)[:2], tm.wait_for(sb.queue_empty), len(subjects(2))), ((550, "5.7.1"), True, sent), "what it rejects does none of that")

# The same is asked for eight recipients; more are the store's.
MANY = [n for n in range(1, 11) if n != 4]
for n in MANY:
    script(n, REJECT)
    for d in ("smtp-relay", "lmtpd"):
        sb.tool("tmctl", "-d", d, "forget", f"{sb.user(n)}@{sb.domain}")
before = len(reports())
tm.is_((send("no eight", *MANY[:8])[:2], len(reports())), ((550, "5.7.1"), before), "eight who reject it")
tm.is_(send("no nine", *MANY)[0], 250, "of nine nobody is asked here")
tm.ok(tm.wait_for(lambda: len(reports()) > before and sb.queue_empty()), "and a report tells of it") or tm.diag(subjects(4))
tm.ok(not any("no nine" in subjects(n) for n in MANY), "none has it")

# It can be left to the stores.
script(1, REJECT)
with open(sb.conf("smtp-relay.conf")) as f:
    conf = f.read()
with open(sb.conf("smtp-relay.conf"), "w") as f:
    f.write("sieve = no\n" + conf.partition("[milter filter]")[0])
sb.restart("smtp-relay")
forget("lmtpd")
before = len(reports())
tm.is_(send("no by mail", 1)[0], 250, "where it is switched off")
tm.ok(tm.wait_for(lambda: len(reports()) == before + 1), "it is told by mail") or tm.diag(subjects(4))
tm.done()
