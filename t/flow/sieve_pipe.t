#!/usr/bin/env python3
"""pipe (vnd.dovecot.pipe): scripts give messages to programs of an administrator's list, by piped, with arguments if the
program takes some; a program that fails costs nobody mail; nothing runs twice; also for what people do (imapsieve)."""
import base64, glob, imaplib, os, pwd, smtplib, socket, time
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
hang = program("hang", f"#!/bin/sh\ncat > /dev/null; touch {OUT}/hangs\nwhile ! [ -e {OUT}/go ]; do sleep 0.1; done\n")
bad = program("bad", "#!/bin/sh\ncat > /dev/null\necho no; exit 1\n")
slow = program("slow", "#!/bin/sh\ncat > /dev/null\nsleep 600\n")
sets = []
for name, command, *keys in (("take", take, "run_as=games", f"folder={D}", "arguments=yes"), ("plain", take, "run_as=games", f"folder={D}"), ("bad", bad, "run_as=games", f"folder={D}"),
                             ("slow", slow, "run_as=games", f"folder={D}", "time=1s"), ("echo", program("echo", "#!/bin/sh\ncat > /dev/null\necho said: $*\n"), "run_as=games", f"folder={D}", "arguments=yes"), ("upper", program("upper", "#!/bin/sh\necho run >> " + OUT + "/upper; tr a-z A-Z\n"), "run_as=games", f"folder={D}"),
                             ("mark", program("mark", "#!/bin/sh\necho X-Marked: yes; cat; echo tail\n"), "run_as=games", f"folder={D}"), ("junk", program("junk", "#!/bin/sh\ncat > /dev/null\necho no message\n"), "run_as=games", f"folder={D}"),
                             ("flood", program("flood", "#!/bin/sh\ncat > /dev/null\nyes | head -c 200000000\n"), "run_as=games", f"folder={D}"),
                             ("hang", hang, "run_as=games", f"folder={D}"),
                             ("hidden", take, "run_as=games", f"folder={D}")):
    sets += ["--set", f"piped.program {name}.command={command}"] + [a for k in keys for a in ("--set", f"piped.program {name}.{k}")]
sb = tm.Sandbox("--users", "3", "--programs", "--set", "tiermail.group=mail", "--set", "piped.user=nobody", "--set", "piped.limit.min_uid=2", "--set", "piped.timeout.command=3s", "--set", "tiermail.ldap.cache_age=0", "--set", "lmtpd.workers=1",
                "--set", "lmtpd.sieve.programs=take plain bad slow missing echo upper mark junk flood hang", "--set", "sieved.sieve.programs=yes", "--without", "pop3d", "--without", "mmpd",
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

# ---- execute: its exit code, and what it has written
EXTRA = 'require ["vnd.dovecot.execute", "vnd.dovecot.filter", "fileinto", "mailbox", "variables", "editheader", "body", "relational", "comparator-i;ascii-numeric"]; '


def came(text, folder="INBOX", body=b"hello"):
    """The message that comes into the folder, its fields of ours and what is behind its header."""
    had = sb.count(1, folder)
    assert script(1, text, EXTRA) is not False
    code = lmtp("run")
    if (code, sb.count(1, folder)) != (250, had + 1):
        return code, sb.count(1, folder) - had
    c = imaplib.IMAP4(sb.host, sb.port("IMAP"))
    c.login(sb.user(1), sb.password)
    c.select(folder)
    data = c.fetch("*", "(BODY.PEEK[])")[1][0][1].decode()
    c.logout()
    head, _, rest = data.partition("\r\n\r\n")
    return [l for l in head.split("\r\n") if l.startswith("X-")], rest


script(1, 'fileinto :create "E";', EXTRA)
lmtp("makes E")
is_(came('if execute "plain" { addheader "X-Ran" "good"; }'), (["X-Ran: good"], "hello\r\n"), "execute as a test: an exit code of 0")
for name in ("bad", "slow", "missing"):
    is_(came(f'if not execute "{name}" {{ addheader "X-Ran" "not"; }}'), (["X-Ran: not"], "hello\r\n"), f"{name}: false")
is_(came('execute "bad"; addheader "X-Ran" "on";'), (["X-Ran: on"], "hello\r\n"), "as a command: the script goes on")
is_(came('set "a" "x"; execute :output "a" "echo" ["one", "${a} y"]; addheader "X-Out" "${a}";'), (["X-Out: said: one x y"], "hello\r\n"), ":output, with arguments")
is_(came('set "a" "x"; execute :output "a" "bad"; addheader "X-Out" "${a}";'), (["X-Out: x"], "hello\r\n"), "of one that fails the variable stays")
is_(came('set "a" "some"; execute :input "${a} words" :output "a" "upper"; addheader "X-Out" "${a}";'), (["X-Out: SOME WORDS"], "hello\r\n"), ":input")
is_(came('addheader "X-Own" "yes"; execute :pipe :output "a" "upper"; if string :contains "${a}" "X-OWN: YES" { addheader "X-Out" "seen"; }'), (["X-Out: seen", "X-Own: yes"], "hello\r\n"), ":pipe: the message as it is now")
n = open(OUT + "/upper").read().count("run")
is_(came('execute :pipe "upper"; if mailboxexists "Nowhere" { stop; } fileinto :create "E";', "E"), ([], "hello\r\n"), "a script that asks the store runs again")
is_(open(OUT + "/upper").read().count("run") - n, 1, "but not its programs")
is_(came('addheader "X-Ran" "yes"; execute "hidden";'), ([], "hello\r\n"), "a program that is not in the list: the script has failed")
is_(came('execute "plain" "x"; addheader "X-Ran" "yes";'), (["X-Ran: yes"], "hello\r\n"), "arguments for one that takes none: it has not run")

# ---- filter: another message
is_(came('filter "mark"; fileinto :create "E";', "E"), (["X-Marked: yes"], "hello\r\ntail\r\n"), "filter: what it writes is the message")
is_(came('if filter "mark" { if allof (header "X-Marked" "yes", body :contains "tail", size :over 10) { addheader "X-Then" "seen"; } }'), (["X-Then: seen", "X-Marked: yes"], "hello\r\ntail\r\n"), "as a test; and what follows sees it")
is_(came('filter "mark"; filter "mark";'), (["X-Marked: yes", "X-Marked: yes"], "hello\r\ntail\r\ntail\r\n"), "one behind the other")
is_(came('fileinto :create "E"; filter "mark"; keep;'), (["X-Marked: yes"], "hello\r\ntail\r\n"), "what was filed before")
is_(sb.count(1, "E"), 4, "is filed as it was then")
for name in ("bad", "slow", "junk", "flood"):
    is_(came(f'if not filter "{name}" {{ addheader "X-Ran" "not"; }}'), (["X-Ran: not"], "hello\r\n"), f"{name}: false, and the message is as it was")
is_(came('filter "mark"; addheader "X-A" "b"; redirect "no address";'), ([], "hello\r\n"), "a script that fails behind it: the message as it came")
is_(came("".join('execute "plain"; ' for _ in range(9))), ([], "hello\r\n"), "more programs than one may")

# ---- once
n = len(took())
script(1, 'pipe "take" "once";')
is_([lmtp("again", qid="Q1"), lmtp("again", qid="Q1")], [250, 250], "a message that comes twice")
is_(len(took()) - n, 1, "runs it once")
sb.kill("piped")
is_(lmtp("away", qid="Q2"), 451, "while piped is away the message comes again")
sb.restart("piped")
is_((lmtp("away", qid="Q2"), len(took()) - n), (250, 2), "and then it runs")

# ---- all programs of a message together
with open(sb.conf("lmtpd.conf")) as f:
    conf = f.read()
with open(sb.conf("lmtpd.conf"), "w") as f:
    f.write(conf.replace("[sieve]", "[sieve]\ntime = 2s", 1))
ok(sb.tool("tmctl", "-d", "lmtpd", "reload").returncode == 0, "two seconds for all programs of a message")
is_(came('execute "slow"; execute "slow"; execute "slow"; if not execute "plain" { addheader "X-Ran" "not"; }'), (["X-Ran: not"], "hello\r\n"), "they are over: no other program runs, and the mail comes")
with open(sb.conf("lmtpd.conf"), "w") as f:
    f.write(conf)
ok(sb.tool("tmctl", "-d", "lmtpd", "reload").returncode == 0, "back")

# ---- the socket: one question of each client, who has not for ever
with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as c:
    c.settimeout(tm.LONG)
    c.connect(f"{RUN}/piped-run.sock")
    is_(c.recv(100), b"", "a client that asks nothing is not kept")
with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as c, open(f"{D}/take") as file:
    c.settimeout(tm.LONG)
    c.connect(f"{RUN}/piped-run.sock")
    socket.send_fds(c, [b"run program=no/name"], [file.fileno(), file.fileno()])
    ok(b"code=" in c.recv(1000), "one that asks what is none is answered")
    socket.send_fds(c, [b"run program=take"], [file.fileno(), file.fileno()])
    is_(c.recv(100), b"", "and asks once")

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

# ---- a program that hangs is waited for by its account alone
s2, c2 = Sieve(sb, login=2), Raw(sb, login=2)
s2.put("hangs", 'require ["imapsieve", "vnd.dovecot.execute", "imap4flags"];\r\nif execute "hang" { addflag "$Ended"; }\r\n')
c2.ok("CREATE Hang")
c2.ok('SETMETADATA Hang (/shared/imapsieve/script "hangs")')
c2.ok(b"APPEND Hang {%d+}\r\n" % len(data) + data)
ok(tm.wait_for(lambda: os.path.exists(OUT + "/hangs"), what="the program"), "a program that says nothing")
n = len(took())
for _ in range(3):
    c.ok("SELECT INBOX")
    c.ok(b"APPEND INBOX {%d+}\r\n" % len(data) + data)
    c.ok("UID MOVE * Junk")
ok(tm.wait_for(lambda: len(took()) == n + 3, what="the others"), "others' scripts go on")
c2.ok("SELECT Hang")
is_(len(c2.ok("UID SEARCH KEYWORD $Ended")[0].split()), 2, "while it hangs")
open(OUT + "/go", "w").close()
ok(tm.wait_for(lambda: len(c2.ok("UID SEARCH KEYWORD $Ended")[0].split()) == 3, what="its end"), "and it ends as ever")
sb.close()

# ---- off by default
sb = tm.Sandbox("--users", "1", "--without", "pop3d", "--without", "mmpd", "--without", "memd", "--without", "jmapd", "--without", "imapd")
ok(not any("vnd.dovecot.pipe" in l for l in Sieve(sb, login=1).told), "without a list there is no such capability")
ok(Sieve(sb, login=1).put("p", 'require "vnd.dovecot.pipe";\r\npipe "take";\r\n').startswith("NO"), "and no such script")
tm.done()
