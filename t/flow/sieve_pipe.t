#!/usr/bin/env python3
"""pipe (vnd.dovecot.pipe): scripts give messages to programs of an administrator's list, by piped, with arguments if the
program takes some; a program that fails costs nobody mail; nothing runs twice; also for what people do (imapsieve)."""
import base64, glob, os, pwd, smtplib, time
import tm, wire
from imapraw import Raw
from sieveraw import Sieve

if os.getuid() != 0:
    tm.skip_all("only root can become others")
D = tm.tempdir()
os.chmod(D, 0o755)
OUT = D + "/out"
os.mkdir(OUT)
os.chmod(OUT, 0o1777)


def program(name, text):
    path = f"{D}/{name}"
    with open(path, "w") as f:
        f.write(text)
    os.chmod(path, 0o755)
    return path


take = program("take", f'#!/bin/sh\nt=$(mktemp {OUT}/new.XXXXXX); {{ echo "$#:$*"; id -un; cat; }} > $t; mv $t {OUT}/took.${{t##*.}}\n')
bad = program("bad", "#!/bin/sh\ncat > /dev/null\necho no; exit 1\n")
slow = program("slow", "#!/bin/sh\ncat > /dev/null\nsleep 600\n")
sets = []
for name, command, *keys in (("take", take, "run_as=games", f"folder={D}", "arguments=yes"), ("plain", take, "run_as=games", f"folder={D}"), ("bad", bad, "run_as=games", f"folder={D}"),
                             ("slow", slow, "run_as=games", f"folder={D}", "time=1s"), ("hidden", take, "run_as=games", f"folder={D}")):
    sets += ["--set", f"piped.program {name}.command={command}"] + [a for k in keys for a in ("--set", f"piped.program {name}.{k}")]
sb = tm.Sandbox("--users", "3", "--programs", "--set", "tiermail.group=mail", "--set", "piped.user=nobody", "--set", "piped.limit.min_uid=2", "--set", "tiermail.ldap.cache_age=0", "--set", "lmtpd.workers=1",
                "--set", "lmtpd.sieve.programs=take plain bad slow missing", "--set", "sieved.sieve.programs=yes", "--without", "pop3d", "--without", "mmpd",
                "--without", "memd", "--without", "jmapd", *sets)
ok, is_, DOMAIN = tm.ok, tm.is_, sb.domain
RUN = sb.env["RUNDIR"]


def script(n, text, require='require ["vnd.dovecot.pipe", "copy", "fileinto", "mailbox", "variables", "editheader"]; '):
    ok_ = wire.modify(sb, n, "replace: mailSieveRuleSource\nmailSieveRuleSource:: " + base64.b64encode((require + text).encode()).decode())
    sb.tool("tmctl", "-d", "lmtpd", "forget", f"{sb.user(n)}@{DOMAIN}")
    return ok_


def lmtp(subject, n=1, qid=None):
    with smtplib.LMTP(os.path.join(RUN, "lmtpd.sock")) as c:
        c.ehlo()
        c.mail("outside@sender.test", [f"XQID={qid}"] if qid else [])
        c.rcpt(f"{sb.user(n)}@{DOMAIN}")
        c.docmd("DATA")
        c.send(f"From: a@sender.test\r\nTo: b@{DOMAIN}\r\nSubject: {subject}\r\n\r\nhello\r\n.\r\n")
        return c.getreply()[0]


def took():
    return [open(p, "rb").read().decode() for p in sorted(glob.glob(OUT + "/took.*"), key=os.path.getmtime)]


s = Sieve(sb, login=1)
ok(any("vnd.dovecot.pipe" in l for l in s.told if l.startswith('"SIEVE"')), "ManageSieve has the capability where it is configured")
is_(s.put("p", 'require "vnd.dovecot.pipe";\r\npipe "take";\r\n'), 'OK "Stored"', "and takes such a script")
ok(s.put("p", 'require ["vnd.dovecot.pipe", "variables"];\r\nset "p" "take"; pipe "${p}";\r\n').startswith("NO"), "but none whose program is a variable")

# ---- it runs
script(1, 'addheader "X-Own" "yes"; pipe "take" ["learn spam", "-x", "${1}a"];')
is_(lmtp("first"), 250, "a message for a program")
is_(sb.count(1), 0, "is not kept")
is_([len(took()), took()[0].split("\n")[:2]], [1, ["3:learn spam -x a", "games"]], "it has run once, with its arguments, as its user")
ok("X-Own: yes" in took()[0] and "Subject: first" in took()[0], "on the message as the script has left it")
script(1, 'pipe :copy "plain";')
is_((lmtp("copied"), len(took()), sb.count(1)), (250, 2, 1), ":copy leaves the implicit keep")

# ---- it does not
n = len(took())
for text, why in (('pipe "hidden";', "a program that is not in lmtpd's list"), ('pipe "missing";', "one that piped has not"), ('pipe "plain" "x";', "arguments for one that takes none"),
                  ('pipe "bad";', "one that fails"), ('pipe "slow";', "one that takes too long"), ('pipe "take" "a%b";', "an argument with a %"),
                  ('pipe "take"; pipe "take";', "the same one twice"), ('pipe "../take";', "a path"), ('pipe "take" "' + "x" * 1200 + '";', "too long arguments")):
    before = sb.count(1)
    script(1, text)
    is_((lmtp("kept"), sb.count(1) - before, len(took()) - n), (250, 1, 0), why + ": the message is kept")
script(1, 'fileinto :create "F"; pipe :try "bad";')
before = sb.count(1)
is_((lmtp("tried"), sb.count(1) - before, sb.count(1, "F")), (250, 0, 1), ":try: as if it had not been there")
script(1, 'fileinto :create "F"; pipe "bad";')
is_((lmtp("failed"), sb.count(1) - before, sb.count(1, "F")), (250, 1, 2), "without, the script has failed, and the message is kept, too")
script(1, 'require "reject"; pipe "take"; reject "no";', 'require "vnd.dovecot.pipe";')
before = sb.count(1)
is_((lmtp("both"), sb.count(1) - before, len(took()) - n), (250, 1, 0), "beside reject it is an error")

# ---- once
script(1, 'pipe "take" "once";')
is_([lmtp("again", qid="Q1"), lmtp("again", qid="Q1")], [250, 250], "a message that comes twice")
is_(len(took()) - n, 1, "runs it once")
sb.kill("piped")
is_(lmtp("away", qid="Q2"), 451, "while piped is away the message comes again")
sb.restart("piped")
is_((lmtp("away", qid="Q2"), len(took()) - n), (250, 2), "and then it runs")

# ---- moving to Junk trains
s.put("train", 'require ["imapsieve", "vnd.dovecot.pipe", "copy", "environment"];\r\nif environment :is "imap.mailbox" "Junk" { pipe :copy "take" ["spam"]; }\r\n')
c = Raw(sb, login=1)
c.ok('SETMETADATA Junk (/shared/imapsieve/script "train")')
data = b"Subject: trained\r\n\r\nbuy\r\n"
c.ok(b"APPEND INBOX {%d+}\r\n" % len(data) + data)
c.ok("SELECT INBOX")
n = len(took())
c.ok("UID MOVE * Junk")
ok(tm.wait_for(lambda: len(took()) == n + 1, what="the training"), "moving to Junk gives the message to a program")
ok(took()[-1].startswith("1:spam\n") and "Subject: trained" in took()[-1], "with its argument")
is_(sb.count(1, "Junk"), 1, "and it stays there")
sb.close()

# ---- off by default
sb = tm.Sandbox("--users", "1", "--without", "pop3d", "--without", "mmpd", "--without", "memd", "--without", "jmapd", "--without", "imapd")
ok(not any("vnd.dovecot.pipe" in l for l in Sieve(sb, login=1).told), "without a list there is no such capability")
ok(Sieve(sb, login=1).put("p", 'require "vnd.dovecot.pipe";\r\npipe "take";\r\n').startswith("NO"), "and no such script")
tm.done()
