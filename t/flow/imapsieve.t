#!/usr/bin/env python3
"""imapsieve (RFC 6785): scripts for what people do to messages by IMAP: APPEND, COPY, MOVE,
flags; each of them once, none for what a script does, none lost when imapd or lmtpd is away or killed."""
import email, glob, os, signal, smtplib, time
import tm
from imapraw import Raw
from sieveraw import Sieve

GLOBAL = os.path.join(tm.tempdir(), "global")
os.makedirs(GLOBAL)
os.chmod(os.path.dirname(GLOBAL), 0o755)
with open(f"{GLOBAL}/train.sieve", "w") as f:
    f.write('require ["imapsieve", "environment", "variables", "fileinto", "mailbox", "copy"];\n'
            'if environment :matches "imap.mailbox" "*" { set "box" "${1}"; }\n'
            'if string "${box}" "Junk" { fileinto :copy :create "trained-spam"; } else { fileinto :copy :create "trained-ham"; }\n')
sb = tm.Sandbox("--users", "3", "--set", f"lmtpd.sieve.global={GLOBAL}", "--set", "lmtpd.workers=1", "--set", "imapd.workers=2", "--set", "stored.events=junk",
                "--set", "imapd.imapsieve.junk=train", "--set", "imapd.imapsieve.server=sieve://sieve.example.test", "--without", "pop3d", "--without", "mmpd",
                "--without", "memd", "--without", "jmapd")
ok, is_, D = tm.ok, tm.is_, sb.domain
ME = f"{sb.user(1)}@{D}"
c = Raw(sb, login=1)
s = Sieve(sb, login=1)
ok(any(" imapsieve " in l for l in s.told if l.startswith('"SIEVE"')), "ManageSieve has the capability")
ok(b"IMAPSIEVE=sieve://sieve.example.test" in c.ok("CAPABILITY")[0].split(), "and IMAP says where")
REQUIRE = 'require ["imapsieve", "environment", "imap4flags", "fileinto", "mailbox", "copy", "variables", "editheader", "relational"];\r\n'


def events(what=""):
    out = []
    for path in glob.glob(os.path.join(sb.env["RUNDIR"], "imapd*.log")):
        with open(path, errors="replace") as f:
            out += [l for l in f if " ev=event " in l and " verdict=" in l and what in l]
    return out


def settle(n):
    """Waits until so many messages have had their scripts."""
    return tm.wait_for(lambda: len(events()) >= n and "busy=0" in sb.tool("tmctl", "-d", "imapd", "status").stdout, what=f"{n} events")


def script(name, text, require=REQUIRE):
    got = s.put(name, require + text)
    if got != 'OK "Stored"':
        raise RuntimeError(got)


def append(box, subject, flags=""):
    data = f"From: a@b.test\r\nSubject: {subject}\r\n\r\nhello {subject}\r\n".encode()
    c.ok(b"APPEND %s (%s) {%d+}\r\n" % (box.encode(), flags.encode(), len(data)) + data)


def flags(box):
    c.ok(f"EXAMINE {box}")
    got = {}
    for l in c.ok("UID FETCH 1:* (FLAGS)"):
        if b"FETCH" in l:
            uid = int(l.split(b"UID ")[1].split(b")")[0].split()[0])
            got[uid] = sorted(w for w in l.split(b"FLAGS (")[1].split(b")")[0].decode().split() if w != r"\Recent")
    c.ok("UNSELECT")
    return got


def message(box, uid="*"):
    c.ok(f"EXAMINE {box}")
    r = c.ok(f"UID FETCH {uid} (BODY.PEEK[])")
    c.ok("UNSELECT")
    return b"\n".join(r)


# ---- every event has its words ---------------------------------------------------------------------
c.ok("CREATE Work"); c.ok("CREATE Other")
script("tell", '''if environment :matches "imap.cause" "*" { set "cause" "${1}"; }
if environment :matches "imap.user" "*" { set "user" "${1}"; }
if environment :matches "imap.email" "*" { set "email" "${1}"; }
if environment :matches "imap.mailbox" "*" { set "box" "${1}"; }
if environment :matches "imap.changedflags" "*" { set "changed" "${1}"; }
if environment :matches "location" "*" { set "location" "${1}"; }
if environment :matches "phase" "*" { set "phase" "${1}"; }
addheader "X-Event" "${cause} ${user} ${email} ${box} ${location} ${phase} [${changed}]";
fileinto :copy :create "log";
''')
append("Work", "before")
c.ok('SETMETADATA Work (/shared/imapsieve/script "tell")')
append("Work", "one")
settle(1)
ok(f"X-Event: APPEND {ME} {ME} Work MS post []".encode() in message("log"), "APPEND, with all items of the environment") or tm.diag(message("log"))
ok(b"Return-Path" not in message("log") and b"Received" not in message("log"), "what is filed is the message, and no delivery")
is_(flags("Work"), {1: [], 2: []}, "the message stays as it is; what is edited is not kept")
c.ok("SELECT Other")
append("Other", "two")
c.ok("UID COPY 1 Work")
settle(2)
ok(b"X-Event: COPY" in message("log"), "COPY")
c.ok("SELECT Other"); c.ok("UID MOVE 1 Work")
settle(3)
ok(b"X-Event: COPY" in message("log") and sb.count(1, "log") == 3, "MOVE is a copy")
c.ok("SELECT Work")
c.ok(r"UID STORE 2 +FLAGS (\Flagged $Todo)")
settle(4)
ok(rb"[\Flagged $Todo]" in message("log"), "flags, with those that changed") or tm.diag(message("log"))
c.ok("SELECT Work")
c.ok(r"UID STORE 2 +FLAGS (\Flagged)")
c.ok("UID FETCH 2 (BODY[])")
settle(5)
ok(rb"[\Seen]" in message("log") and sb.count(1, "log") == 5, "FETCH sets one, too, and what changes nothing is none")

# ---- what a script does: no event of its own -----------------------------------------------------------
script("act", r'''if header :is "subject" "flag" { setflag ["\\Flagged", "$New"]; }
elsif header :is "subject" "less" { removeflag "\\Seen"; keep; }
elsif header :is "subject" "drop" { discard; }
elsif header :is "subject" "file" { fileinto "Work"; }
elsif allof (hasflag "\\Answered", environment :contains "imap.changedflags" "\\Answered") { addflag "$Done"; }
elsif header :is "subject" "wrong" { fileinto "bad"; error "no"; }
'''.replace('error "no";', ''))
c.ok("CREATE Act")
c.ok('SETMETADATA Act (/shared/imapsieve/script "act")')
n = len(events())
for subject, given in (("flag", ""), ("less", r"\Seen $Old"), ("drop", ""), ("file", ""), ("plain", "")):
    append("Act", subject, given)
settle(n + 5)
is_(flags("Act"), {1: ["$New", r"\Flagged"], 2: ["$Old"], 3: [r"\Deleted"], 4: [r"\Deleted"], 5: []}, "setflag, removeflag; discard and fileinto without keep mark it as deleted")
is_([l.split(b": ")[1] for l in message("Work").split(b"\r\n") if l.startswith(b"Subject")], [b"file"], "fileinto makes a message of its own, without an event of Work's script")
c.ok("SELECT Act"); c.ok(r"UID STORE 5 +FLAGS (\Answered)")
settle(n + 6)
is_(flags("Act")[5], ["$Done", r"\Answered"], "hasflag sees the flags after the change")
time.sleep(0.3)
is_(len(events()), n + 6, "what scripts did was no event") or tm.diag("".join(events()))

# ---- what does not run ----------------------------------------------------------------------------------
n = len(events())
c.ok('SETMETADATA Act (/shared/imapsieve/script "none")')
append("Act", "drop")
settle(n + 1)
is_(flags("Act")[6], [], "a script that is not there runs nothing")
script("rejects", 'reject "no"; ', 'require ["reject", "imapsieve"];\r\n')
script("asks", 'if envelope "to" "x" { stop; } discard; ', 'require ["envelope", "imapsieve"];\r\n')
for name in ("rejects", "asks"):
    c.ok(f'SETMETADATA Act (/shared/imapsieve/script "{name}")')
    append("Act", "drop")
settle(n + 3)
is_([flags("Act")[u] for u in (7, 8)], [[], []], "reject cannot be required, and to ask for the envelope is an error (RFC 6785 3.11, 4.6)")
c.ok('SETMETADATA Act (/shared/imapsieve/script "")')
append("Act", "drop")
c.ok('SETMETADATA Act (/shared/imapsieve/script NIL)')
append("Act", "drop")
with smtplib.LMTP(os.path.join(sb.env["RUNDIR"], "lmtpd.sock")) as l:
    l.sendmail("a@sender.test", f"{sb.user(1)}+Work@{D}", "Subject: mail\r\n\r\nx\r\n")
time.sleep(0.3)
is_(len(events()), n + 3, "an empty name, none, and mail that comes: no event")
script("act", 'if header :is "subject" "mine" { addflag "$Mine"; }\r\n')
is_(s.last('SETACTIVE "act"'), 'OK "Done"', "one that is active for mail, too")
c.ok('SETMETADATA Act (/shared/imapsieve/script "act")')
append("Act", "mine")
settle(n + 4)
is_(flags("Act")[11], ["$Mine"], "is found by its name")

# ---- Junk: the administrator's for all ----------------------------------------------------------------------
two = Raw(sb, login=2)
n = len(events())
data = b"Subject: spam\r\n\r\nbuy\r\n"
for _ in range(3):
    two.ok(b"APPEND INBOX {%d+}\r\n" % len(data) + data)
two.ok("SELECT INBOX"); two.ok("UID MOVE 1:2 Junk")
settle(n + 2)
two.ok("SELECT Junk"); two.ok("UID MOVE 1 INBOX")
settle(n + 3)
is_((sb.count(2, "trained-spam"), sb.count(2, "trained-ham")), (2, 1), "what goes to Junk and comes from there trains, each message once")

# ---- redirect: once, from the owner --------------------------------------------------------------------------
script("send", f'redirect :copy "{sb.user(3)}@{D}";\r\n')
c.ok('SETMETADATA Act (/shared/imapsieve/script "send")')
n = len(events())
append("Act", "goes on")
settle(n + 1)
ok(tm.wait_for(lambda: sb.count(3) == 1, what="the redirected one"), "redirect sends it")
ok(f"Return-Path: <{ME}>".encode() in sb.messages(3)[0].replace(b"\r\n", b"\n") if isinstance(sb.messages(3)[0], bytes) else f"Return-Path: <{ME}>" in str(sb.messages(3)[0]),
   "from the mailbox's owner") or tm.diag(str(sb.messages(3)[0]))

# ---- lmtpd away, imapd killed ----------------------------------------------------------------------------------
c.ok('SETMETADATA Work (/shared/imapsieve/script "tell")')
before = sb.count(1, "log")
n = len(events())
sb.kill("lmtpd")
for i in range(4):
    append("Work", f"late {i}")
sb.kill("imapd")
sb.restart("imapd")
sb.restart("lmtpd")
c = Raw(sb, login=1)
ok(tm.wait_for(lambda: sb.count(1, "log") >= before + 4, what="late events"), "what was done while lmtpd was away, and imapd was killed, comes to its script")
tm.wait_for(lambda: "busy=0" in sb.tool("tmctl", "-d", "imapd", "status").stdout, what="rest")
is_(sb.count(1, "log"), before + 4, "once each")
for i in range(3):
    append("Work", f"killed {i}")
    sb.kill("imapd")
    sb.restart("imapd")
    c = Raw(sb, login=1)
ok(tm.wait_for(lambda: sb.count(1, "log") >= before + 7, what="events of killed imapds"), "imapd killed right behind each")
tm.wait_for(lambda: "busy=0" in sb.tool("tmctl", "-d", "imapd", "status").stdout, what="rest")
is_(sb.count(1, "log"), before + 7, "and still once each")

# ---- a flood is nobody else's wait ----------------------------------------------------------------------------
t = Sieve(sb, login=2)
t.put("note", REQUIRE + 'if not hasflag "$Noted" { addflag "$Noted"; }\r\n')
two = Raw(sb, login=2)
two.ok("CREATE Flood")
for _ in range(3):
    two.ok(b"APPEND Flood " + b" ".join([b"{%d+}\r\n" % len(data) + data] * 100))
two.ok('SETMETADATA Flood (/shared/imapsieve/script "note")')
two.ok("SELECT Flood")
two.ok(r"UID STORE 1:300 +FLAGS (\Flagged)")
before = sb.count(1, "log")
append("Work", "meanwhile")
ok(tm.wait_for(lambda: sb.count(1, "log") == before + 1, what="the other one's event"), "somebody else's event")
noted = [len(x.ok("UID SEARCH KEYWORD $Noted")[0].split()) - 2 for x in (two,)][0]
ok(noted < 290, f"comes in between ({noted} of 300)")
ok(tm.wait_for(lambda: len(two.ok("UID SEARCH KEYWORD $Noted")[0].split()) - 2 == 300, what="all of the flood"), "which is worked off")

# ---- strangers -------------------------------------------------------------------------------------------------
l = smtplib.LMTP(os.path.join(sb.env["RUNDIR"], "lmtpd.sock"))
l.ehlo()
ok(l.has_extn("xevent"), "lmtpd offers it on its socket")
l.docmd("MAIL", f"FROM:<{ME}>")
is_(l.docmd("RCPT", f"TO:<{ME}> XEVENT=nonsense")[0], 501, "words that are no event")
is_(l.docmd("RCPT", f"TO:<{ME}> XEVENT=+zz")[0], 501, "no xtext")
is_(l.docmd("RCPT", f"TO:<{ME}> XEVENT=cause+20APPEND+0Auser+20{ME}+0Amailbox+20x+0A")[0], 250, "an event")
is_(l.docmd("RCPT", f"TO:<{ME}>")[0], 452, "stays alone")
l.close()
sb.close()
tm.done()
