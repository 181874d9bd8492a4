#!/usr/bin/env python3
"""Sieve at delivery: scripts of the directory and of the administrator, from SMTP to IMAP."""
import base64, glob, os, re, smtplib, subprocess, threading
import tm

tm.need("ldapmodify", "swaks")
SYSTEM = os.path.join(tm.tempdir(), "system.sieve")
DESTINATION = os.path.join(os.path.dirname(SYSTEM), "destination.sieve")
with open(DESTINATION, "w") as f:
    f.write('require "imap4flags";\nif header :is "X-System" ["junk", "first"] { addflag "$Destination"; }\nif header :is "X-System" "first" { keep; }\n')
with open(SYSTEM, "w") as f:
    f.write('require ["fileinto", "environment"];\nif allof (header :is "X-System" ["junk", "first"], environment :is "location" "MDA") { fileinto "Junk"; stop; }\n')
os.chmod(os.path.dirname(SYSTEM), 0o755)
HOSTS = os.path.join(os.path.dirname(SYSTEM), "hosts")
with open(HOSTS, "w") as f:
    f.write("".join(f"{a} relay.example.test relay.elsewhere.test\n" for a in (*(f"127.0.0.{n}" for n in range(3, 9)), "127.0.0.1")))
sb = tm.Sandbox("--users", "4", "--domain", "example.test", "--set", f"lmtpd.sieve.system={SYSTEM}", "--set", f"lmtpd.sieve.destination={DESTINATION}", "--set", "lmtpd.workers=1", "--set", "tiermail.ldap.cache_age=1s",
                "--set", "lmtpd.message.keep=64K", "--set", "lmtpd.sieve.time=2m", "--set", f"tiermail.dns.hosts={HOSTS}")
D, ok, is_ = sb.domain, tm.ok, tm.is_
base = sb.env["LDAP_BASE"]
ONE, TWO, THREE = (f"{sb.user(n)}@{D}" for n in (1, 2, 3))


def modify(dn, attr, *values):
    text = f"dn: {dn},{base}\nchangetype: modify\nreplace: {attr}\n" + "".join(
        f"{attr}:: {base64.b64encode(v.encode()).decode()}\n" for v in values)
    r = subprocess.run(["ldapmodify", "-x", "-H", sb.env["LDAP_URL"], "-D", sb.env["LDAP_ADMIN_DN"], "-w", sb.env["LDAP_ADMIN_PASSWORD"]],
                       input=text, text=True, capture_output=True)
    if r.returncode:
        raise RuntimeError(r.stderr)


def script(n, *texts):
    """The scripts of user n; the next delivery has them."""
    modify(f"uid={sb.user(n)},ou=People,o={D}", "mailSieveRuleSource", *texts)
    forget(n)


def forget(n):
    sb.tool("tmctl", "-d", "lmtpd", "forget", f"{sb.user(n)}@{D}")


def seconds(time):
    """How long the scripts of all recipients may take."""
    with open(sb.conf("lmtpd.conf")) as f:
        conf = f.read()
    with open(sb.conf("lmtpd.conf"), "w") as f:
        f.write(re.sub(r"(?m)^time *= .*$", f"time = {time}", conf))
    sb.tool("tmctl", "-d", "lmtpd", "reload")


def lmtp(text, *to, sender="outside@sender.test", options=()):
    """Delivers, and returns (code, words) for each recipient."""
    c = smtplib.LMTP(os.path.join(sb.env["RUNDIR"], "lmtpd.sock"))
    c.ehlo()
    c.mail(sender, list(options))
    codes = [c.rcpt(a) for a in to]
    if not all(code == 250 for code, _ in codes):
        return codes
    code, words = c.docmd("DATA")
    if code != 354:
        return [(code, words.decode())]
    c.send(text.replace("\n", "\r\n") + "\r\n.\r\n")
    replies = [c.getreply() for _ in to]
    c.close()
    return [(code, words.decode()) for code, words in replies]


def message(subject, extra="", body="hello"):
    return f"From: Out Side <outside@sender.test>\nTo: someone@{D}\nSubject: {subject}\n{extra}\n{body}"


def subjects(n, folder="INBOX"):
    m = sb.imap(n)
    if m.select(f'"{folder}"', readonly=True)[0] != "OK":
        return None
    found = [l[1].split(b":", 1)[1].strip().decode() for l in m.fetch("1:*", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")[1] if isinstance(l, tuple)] \
        if m.search(None, "ALL")[1][0] else []
    m.logout()
    return found


def flags(n, folder="INBOX"):
    m = sb.imap(n)
    m.select(f'"{folder}"', readonly=True)
    r = m.fetch("*", "(FLAGS)")[1][0].decode()
    m.logout()
    return sorted(w for w in r[r.rindex("FLAGS (") + 7:].rstrip(")").split() if w != r"\Recent")


def events(name):
    out = []
    for path in glob.glob(os.path.join(sb.env["RUNDIR"], "lmtpd*.log")):
        with open(path, errors="replace") as f:
            out += [l for l in f if f" ev={name} " in l]
    return out


def status():
    return sb.tool("tmctl", "-d", "lmtpd", "status").stdout


def metric(name):
    r = sb.tool("tmctl", "-d", "lmtpd", "metrics")
    return sum(int(float(l.split()[1])) for l in r.stdout.splitlines() if l.startswith(f"tiermail_lmtpd_{name}"))


# ---- no script -----------------------------------------------------------------------------------------
is_(lmtp(message("plain"), ONE)[0][0], 250, "who has no script gets his mail")
is_(subjects(1), ["plain"], "in INBOX")

# ---- fileinto, flags, discard, keep ----------------------------------------------------------------------
m = sb.imap(1)
for name in ("Lists", "Lists/deep"):
    m.create(name)
m.logout()
script(1, r'''require ["fileinto", "imap4flags", "copy", "variables"];
if header :contains "subject" "list" { fileinto :flags ["\\Seen", "$work", "bad(flag"] "Lists"; }
elsif header :is "subject" "both" { fileinto "Lists/deep"; keep :flags "\\Flagged"; }
elsif header :is "subject" "copied" { fileinto :copy "Lists"; }
elsif header :is "subject" "lost" { discard; }
elsif header :is "subject" "nowhere" { fileinto "No/such/folder"; }
elsif header :is "subject" "twice" { fileinto "Nowhere"; fileinto "Elsewhere"; keep; }
elsif header :is "subject" "broken" { set "i" "x"; fileinto "bad//${i}"; }
''')
is_([r[0] for r in lmtp(message("a list"), ONE)], [250], "fileinto")
is_(subjects(1, "Lists"), ["a list"], "goes into the folder")
is_(flags(1, "Lists"), ["$work", r"\Seen"], "with its flags, but for what is none")
lmtp(message("both"), ONE)
is_([subjects(1, "Lists/deep"), subjects(1)], [["both"], ["plain", "both"]], "fileinto and keep")
is_(flags(1), [r"\Flagged"], "the flags are those of the one copy")
lmtp(message("copied"), ONE)
is_([subjects(1, "Lists")[-1], subjects(1)[-1]], ["copied", "copied"], ":copy leaves the implicit keep")
n = len(subjects(1))
is_(lmtp(message("lost"), ONE)[0][0], 250, "discard is an answer like any other")
is_(len(subjects(1)), n, "and nothing comes")
lmtp(message("nowhere"), ONE)
is_(subjects(1)[-1], "nowhere", "a folder that is not there is INBOX")
lmtp(message("broken"), ONE)
is_(subjects(1)[-1], "broken", "so is what is no name")
lmtp(message("twice"), ONE)
is_(subjects(1)[-2:], ["broken", "twice"], "and one copy is enough there")

# ---- reject, per recipient ----------------------------------------------------------------------------------
script(2, 'require "reject"; if header :contains "subject" "spam" { reject text:\nWe do not\nwant this.\n.\n; }')
script(3, 'require "ereject"; ereject "Kein Gru\u00df";')
r = lmtp(message("spam"), ONE, TWO, THREE)
is_([c for c, _ in r], [250, 550, 550], "each recipient has an answer of his own")
is_(r[1][1], "5.7.1 We do not\n5.7.1 want this.", "the script's words, line by line")
ok("Gru" not in r[2][1] and r[2][1].startswith("5.7.1 "), "but ASCII")
script(3, 'require "ereject"; ereject "' + "\u20ac" * 100 + '";')
r = lmtp(message("spam"), THREE, options=["SMTPUTF8"])
is_(r, [(550, "5.7.1 " + "\u20ac" * 100)], "a long one")
script(3, 'require "ereject"; ereject "' + "\u20ac" * 170 + '";')
r = lmtp(message("spam"), THREE, options=["SMTPUTF8"])
is_(r, [(550, "5.7.1 " + "\u20ac" * 160)], "a longer one ends behind a whole character")
script(3, 'require "reject"; reject text:\n' + "".join(f"line {i}\n" for i in range(40)) + '.\n;')
is_(lmtp(message("spam"), THREE)[0][1].split("\n"), [f"5.7.1 line {i}" for i in range(20)], "of many lines twenty are told")
script(3, 'require "reject"; reject "a\r\n\r\n250 2.0.0 ok\x01\r\n";')
r = lmtp(message("spam"), THREE, ONE)
is_(r[0][1].split("\n"), ["5.7.1 a", "5.7.1", "5.7.1 250 2.0.0 ok"], "and no line is an answer of its own")
is_(r[1][0], 250, "nor the next one's")
is_(subjects(2), [], "who rejects gets nothing")
is_(metric("rejected"), 6, "which is counted")
is_(lmtp(message("fine"), TWO)[0][0], 250, "another message is taken")

# ---- several scripts, levels ------------------------------------------------------------------------------------
script(1, '{2}require "fileinto"; fileinto "Lists";', '{1}require "imap4flags"; addflag "$first"; if header :is "subject" "stays" { keep; }')
modify(f"o={D}", "mailDomainSieveRuleSource", 'require "fileinto"; if header :is "x-domain" "yes" { fileinto "Archive"; }')
sb.tool("tmctl", "-d", "lmtpd", "reload")
for u in (1, 2):
    forget(u)
tm.wait_for(lambda: lmtp(message("domain", "X-Domain: yes\n"), TWO)[0][0] == 250 and subjects(2, "Archive"))
ok(subjects(2, "Archive"), "the domain's script is behind the user's")
lmtp(message("stays"), ONE)
is_(subjects(1)[-1], "stays", "scripts run by their numbers, and the first keep ends it")
lmtp(message("second"), ONE)
is_(subjects(1, "Lists")[-1], "second", "an implicit keep leaves the message to the next script")
lmtp(message("system", "X-System: junk\n"), TWO)
is_(subjects(2, "Junk"), ["system"], "the system's script is the last")
is_(flags(2, "Junk"), ["$Destination"], "behind that of the channel's destination, which leaves it its flags")
lmtp(message("ends there", "X-System: first\n"), TWO)
is_((subjects(2, "Junk"), subjects(2)[-1]), (["system"], "ends there"), "and an action of which is the last one")

# ---- editheader, large messages -----------------------------------------------------------------------------
script(1, 'require ["editheader", "fileinto"]; addheader "X-Edited" "yes"; deleteheader "X-Gone"; if size :over 100K { fileinto "Archive"; }')
lmtp(message("edited", "X-Gone: away\n", body="the body"), ONE, f"{sb.user(4)}@{D}")
got, other = (sb.messages(n)[-1] for n in (1, 4))
ok(b"X-Edited: yes\r\n" in got and b"X-Gone" not in got and got.endswith(b"\r\n\r\nthe body\r\n"), "the header is edited") or tm.diag(got)
ok(b"X-Edited" not in other and b"X-Gone: away" in other, "for its recipient alone")
is_(len(got) - len("X-Edited: yes\r\n") + len("X-Gone: away\r\n"), len(other), "and nothing else")
big = "line of a large message\n" * 10000
lmtp(message("large", "X-Gone: away\n", body=big), ONE)
got = sb.messages(1, "Archive")[-1]
ok(b"X-Edited: yes\r\n" in got and got.endswith(b"line of a large message\r\n\r\n") and len(got) > len(big), "a large one too") or tm.diag([got[:900], got[-80:]])
is_(sb.tool("storectl", "check").returncode, 0, "the store is as it should be")

# ---- the same folder, and time -------------------------------------------------------------------------------------
script(1, 'require ["fileinto", "imap4flags", "editheader"]; fileinto "INBOX"; addheader "X-Flavor" "vanilla"; keep :flags "\\\\Seen"; fileinto "Archive"; fileinto "Archive";')
before = len(subjects(1)), len(subjects(1, "Archive"))
lmtp(message("twice"), ONE)
is_((len(subjects(1)), len(subjects(1, "Archive"))), (before[0] + 1, before[1] + 1), "a folder gets one copy, however often it is named")
for n in (1, 2, 3):
    script(n, 'require ["body", "regex"]; if body :raw :regex "([^b]*)\\\\1[bc]" { discard; }')
seconds("10ms")
codes = [c for c, _ in lmtp(message("slow", body=("a" * 900 + "\n") * 4), ONE, TWO, THREE)]
is_(codes, [250, 451, 451], "one is delivered to whose script takes the time of all, and the others are asked for again")
seconds("2m")
for n in (1, 2, 3):
    script(n)

# ---- redirect ---------------------------------------------------------------------------------------------------
script(1, f'require "copy"; redirect :copy "{THREE}";')
script(3)
sb.send(1, "goes on")
ok(tm.wait_for(lambda: subjects(3) and subjects(1)[-1] == "goes on"), "a redirect arrives")
got = sb.messages(3)[-1]
ok(f"X-Sieve-Redirected-From: {ONE}\r\n".encode() in got and got.count(b"Return-Path: <outside@sender.test>") == 1, "from the sender of the envelope") or tm.diag(got)
script(3, f'redirect "{ONE}";')
sb.send(1, "in circles")
ok(tm.wait_for(lambda: subjects(1).count("in circles") == 2), "a loop ends where it began")
is_(subjects(3).count("in circles"), 0, "not half way")
# From one address of the account to another, and what tells of it taken away each time
plus = [f"{sb.user(1)}+{x}@{D}" for x in "xy"]
script(1, 'require ["editheader", "envelope", "subaddress", "imap4flags"]; deleteheader "X-Sieve-Redirected-From";'
          f'if envelope :detail "to" "x" {{ redirect "{plus[1]}"; }} else {{ redirect "{plus[0]}"; }}')
sb.send(1, "in disguise")
ok(tm.wait_for(lambda: subjects(1).count("in disguise") == 1), "a loop in one account ends at its second address")
got = sb.messages(1)[-1]
ok(b"in disguise" in got and got.count(b"\nReceived:") < 10, "before relays count its hops") or tm.diag(got)
marks = "".join(f"X-Sieve-Redirected-From: other{i}@sender.test\n" for i in range(5))
script(1, f'redirect "{TWO}"; redirect "{THREE}";')
before = len(subjects(1))
r = lmtp(message("far round", marks), ONE)
is_((r[0][0], subjects(1)[before:]), (250, ["far round"]), "so does one that goes round by others, with one copy")
script(1, f'redirect "{TWO}";')
r = lmtp(message("large goes on", body=big), ONE)
is_(r[0], (250, "2.0.0 ok, as the recipient wants it"), "a large message, without a copy")
ok(tm.wait_for(lambda: "large goes on" in subjects(2)), "goes on too")
for pid in sb.pids_of("smtp-relay"):
    tm.freeze(pid)
said = []
client = threading.Thread(target=lambda: said.extend(lmtp(message("in hand"), ONE)))
client.start()
ok(tm.wait_for(lambda: "submit" in status() and "messages=1" in status()), "a redirect waits for a relay that says nothing")
sb.restart("lmtpd")
client.join()
is_([c for c, _ in said], [451], "a daemon that ends does not wait, and takes nothing that it does not deliver")
sb.kill("smtp-relay")
r = lmtp(message("waits"), ONE, f"{sb.user(4)}@{D}")
is_([c for c, _ in r], [451, 250], "a relay that is away is a matter of later, for that recipient") or tm.diag(r)
sb.restart("smtp-relay")

with open(sb.conf("lmtpd.conf")) as f:
    before = f.read()


def relay(name, tls):
    with open(sb.conf("lmtpd.conf"), "w") as f:
        f.write(f"{before}\n[submit]\nrelay = {name}:{sb.port('SMTP')}\ntls = {tls}\n")
    is_(sb.tool("tmctl", "-d", "lmtpd", "reload").stdout, "ok\n", f"another relay: {name}, TLS {tls}")


relay(f"relay.{D}", "must")
is_(lmtp(message("by TLS"), ONE)[0][0], 250, "of its addresses one answers, with a certificate of the name")
ok(tm.wait_for(lambda: "by TLS" in subjects(2)), "goes on by it")
ok(b"ESMTPS" in sb.messages(2)[-1].partition(b"\r\n\r\n")[0], "by TLS")
relay("relay.elsewhere.test", "must")
r = lmtp(message("to a stranger"), ONE)
ok(r[0][0] == 451 and r[0][1].startswith("4.7.5 TLS"), "a certificate of another name: nothing goes there, and it comes again") or tm.diag(r)
relay("127.0.0.1", "may")
for subject in ("by TCP", "on the same connection"):
    is_(lmtp(message(subject), ONE)[0][0], 250, subject)
ok(tm.wait_for(lambda: "on the same connection" in subjects(2)) and "by TCP" in subjects(2), "messages go on by it")
ok(f"relay=127.0.0.1:{sb.port('SMTP')} messages=0 connections=1" in status(), "over one connection") or tm.diag(status())
with open(sb.conf("lmtpd.conf"), "w") as f:
    f.write(before)
is_(sb.tool("tmctl", "-d", "lmtpd", "reload").stdout, "ok\n", "and the first one")
modify(f"uid={sb.user(1)},ou=People,o={D}", "mailMsgQuota", "1")
script(1, f'require "copy"; redirect :copy "{THREE}";')
script(3)
text = message("only once", "Message-ID: <once@sender.test>\n")
is_([lmtp(text, ONE)[0][0] for _ in range(3)], [452, 452, 452], "the mailbox is full, and mail comes again")
ok(tm.wait_for(lambda: "only once" in subjects(3)) and sb.queue_empty(), "a redirect has gone")
is_(subjects(3).count("only once"), 1, "and only once")
modify(f"uid={sb.user(1)},ou=People,o={D}", "mailMsgQuota")

# ---- what the store knows -----------------------------------------------------------------------------------------
script(1, r'''require ["fileinto", "mailbox", "special-use", "duplicate", "imap4flags"];
if header :is "subject" "is it there" {
	if allof(mailboxexists ["INBOX", "Lists"], not mailboxexists "Made/here", specialuse_exists "\\Junk", not specialuse_exists "Lists" "\\Junk") {
		fileinto :create :flags "$made" "Made/here";
	}
} elsif header :is "subject" "by use" { fileinto :specialuse "\\Archive" "Elsewhere";
} elsif header :is "subject" "new use" { fileinto :specialuse "\\Flagged" :create "Stars";
} elsif duplicate :handle "h" { fileinto "Junk";
}''')
for _ in range(2):
    lmtp(message("is it there"), ONE)
is_(subjects(1, "Made/here"), ["is it there"], "a folder is made when it was not there")
is_(flags(1, "Made/here"), ["$made"], "with a message in it that has its flag")
is_(subjects(1)[-1], "is it there", "the second time it was")
lmtp(message("by use"), ONE)
is_(subjects(1, "Archive")[-1], "by use", "the folder of a use")
lmtp(message("new use"), ONE)
is_(subjects(1, "Stars"), ["new use"], "one is made for it")
for subject in ("first", "again"):
    lmtp(message(subject, "Message-ID: <same@sender.test>\n"), ONE)
is_([subjects(1)[-1], subjects(1, "Junk")], ["first", ["again"]], "a duplicate is one")
sb.kill("stored")
r = lmtp(message("away"), ONE)
is_(r[0][0], 451, "a store that is away is a matter of later")
sb.restart("stored")
tm.wait_for(lambda: lmtp(message("back"), ONE)[0][0] == 250)
lmtp(message("after a kill", "Message-ID: <same@sender.test>\n"), ONE)
is_(subjects(1, "Junk")[-1], "after a kill", "a mark outlives a kill of the store")

# ---- vacation ----------------------------------------------------------------------------------------------------
def entry(n, **attrs):
    for attr, value in attrs.items():
        modify(f"uid={sb.user(n)},ou=People,o={D}", attr, *([value] if isinstance(value, str) else value))
    forget(n)


def to_one(subject, extra=""):
    return message(subject, extra).replace(f"To: someone@{D}", f"To: One <{ONE}>")


script(2)
script(1, 'require "vacation"; vacation :days 3 :addresses "one@elsewhere.test" "Ich bin weg.\nGr\u00fc\u00dfe";')
lmtp(to_one("are you there?", "Message-ID: <q1@sender.test>\n"), ONE, sender=TWO)
is_(subjects(1)[-1], "are you there?", "mail comes while one is away")
ok(tm.wait_for(lambda: "Auto: are you there?" in subjects(2)), "and is answered")
got = sb.messages(2)[-1]
for line in ("Return-Path: <>", f"From: {ONE}", f"To: {TWO}", "In-Reply-To: <q1@sender.test>", "Auto-Submitted: auto-replied (vacation)"):
    ok(f"\r\n{line}\r\n".encode() in b"\r\n" + got, line) or tm.diag(got.decode())
ok(b"Ich bin weg.\r\nGr=C3=BC=C3=9Fe\r\n" in got, "with the script's text")
lmtp(to_one("and now?"), ONE, sender=TWO)
lmtp(to_one("by list", "List-Id: <l.sender.test>\n"), ONE, sender=THREE)
lmtp(message("not to me"), ONE, sender=THREE)
lmtp(to_one("from nobody"), ONE, sender="")
lmtp(to_one("automatic", "Auto-Submitted: auto-generated\n"), ONE, sender=THREE)
n = len(subjects(3))
lmtp(message("elsewhere").replace(f"someone@{D}", "one@elsewhere.test"), ONE, sender=THREE)
ok(tm.wait_for(lambda: len(subjects(3)) > n), "another address of the user's")
is_([subjects(2).count("Auto: and now?"), subjects(3)[n:]], [0, ["Auto: elsewhere"]], "nobody has two, lists and programs none")
entry(1, mailMsgQuota="1")
script(1, 'require "vacation"; vacation :handle "new" "Full.";')
is_(lmtp(to_one("full"), ONE, sender=TWO)[0][0], 452, "what cannot be delivered")
modify(f"uid={sb.user(1)},ou=People,o={D}", "mailMsgQuota")
forget(1)
lmtp(to_one("not full"), ONE, sender=TWO)
ok(tm.wait_for(lambda: "Auto: not full" in subjects(2)), "is not answered before it is")
is_(subjects(2).count("Auto: full"), 0, "and there was no answer before")

# ---- absence by attributes ---------------------------------------------------------------------------------------------
script(1)
entry(1, mailDeliveryOption=["mailbox", "autoreply"], mailAutoReplyMode="reply", mailAutoReplySubject='Away: $SUBJECT (${1} "x")',
      mailAutoReplyText='Out."; discard; #', mailAutoReplyTextInternal="In the ${dollar} house.", mailAutoReplyTimeOut="24")
lmtp(to_one("inside"), ONE, sender=TWO)
ok(tm.wait_for(lambda: 'Away: inside (${1} "x")' in subjects(2)), "the subject has the message's") or tm.diag(subjects(2))
ok(b"\r\nIn the ${dollar} house." in sb.messages(2)[-1], "the text for one's own domain, as it stands there")
lmtp(to_one("inside again"), ONE, sender=TWO)
ok(subjects(1)[-2:] == ["inside", "inside again"] and not [s for s in subjects(2) if "inside again" in s], "once in its time, and nothing of it is Sieve")
ok(tm.wait_for(lambda: len([l for l in events("vacation") if "outside@sender.test" in l and "verdict" in l]) == 0 and lmtp(to_one("outside"), ONE)[0][0] == 250), "mail from outside")
ok(tm.wait_for(lambda: [l for l in events("vacation") if "outside@sender.test" in l and "verdict=" in l]), "is answered too")
entry(1, vacationEndDate="20200101000000Z", mailAutoReplyTimeOut="0")
lmtp(to_one("later"), ONE, sender=TWO)
entry(1, vacationEndDate="20990101000000Z", vacationStartDate="20980101000000Z")
lmtp(to_one("earlier"), ONE, sender=TWO)
entry(1, vacationStartDate="20200101000000Z", mailAutoReplyMode="echo", mailAutoReplyTextInternal="Another text is another answer.")
lmtp(to_one("echo"), ONE, sender=TWO)
ok(tm.wait_for(lambda: [s for s in subjects(2) if "echo" in s]), "within its time")
is_([s for s in subjects(2) if "later" in s or "earlier" in s], [], "and only then")
ok(b"\r\nContent-Type: message/rfc822\r\n" in sb.messages(2)[-1] and sb.messages(2)[-1].count(b"Subject: ") == 2, "with the message")
entry(1, mailDeliveryOption="mailbox")
lmtp(to_one("back"), ONE, sender=TWO)
tm.ok(metric("answered") >= 6, "answers are counted")

# ---- notifications, copies of what is sent --------------------------------------------------------------------------------
UE = "\u00dc"
script(1, rf'''require ["enotify", "fcc", "mailbox", "vacation", "imap4flags"];
if header :is "subject" "tell" {{ notify :importance "1" :message "Neu: {UE}berraschung" :fcc "Sent/notices" :create "mailto:{TWO}?body=Look%20here&to={THREE}"; }}
elsif header :is "subject" "own words" {{ notify "mailto:{TWO}"; }}
else {{ vacation :fcc "Sent" :flags "\\Seen" :handle "copy" "Away."; }}
''')
sent = len(subjects(1, "Sent"))
lmtp(to_one("tell"), ONE)
ok(tm.wait_for(lambda: subjects(3)[-1].startswith("Neu: =?utf-8?")), "a notification, to everybody in the URI") or tm.diag(subjects(3))
got = sb.messages(3)[-1]
for line in ("Return-Path: <>", f"From: {ONE}", "Auto-Submitted: auto-notified", "Importance: high"):
    ok(f"\r\n{line}\r\n".encode() in b"\r\n" + got, line) or tm.diag(got.decode())
ok(got.endswith(b"\r\nLook here\r\n"), "with the URI's text") or tm.diag(got)
is_(len(subjects(1, "Sent/notices")), 1, "one copy stays here")
lmtp(to_one("tell", "Auto-Submitted: auto-notified\n"), ONE)
lmtp(to_one("own words"), ONE)
ok(tm.wait_for(lambda: subjects(2)[-1] == "own words"), "the subject of the message, when there is no other")
is_(len([s for s in subjects(2) if s.startswith("Neu:")]), 1, "none for what a program has sent")
lmtp(to_one("away"), ONE, sender=TWO)
is_([subjects(1, "Sent")[sent:], flags(1, "Sent")], [["Auto: away"], [r"\Seen"]], "a copy of an answer")
ok(metric("notified") == 3, "they are counted")

# ---- errors ---------------------------------------------------------------------------------------------------------
script(1, 'require "fileinto"; fileinto ;')
lmtp(message("wrong"), ONE)
is_(subjects(1)[-1], "wrong", "a script with an error keeps the mail")
ok(tm.wait_for(lambda: any("user:1:21:" in l for l in events("sieve"))), "and the log says where") or tm.diag("".join(events("sieve")[-3:]))
script(1, 'if header "x-nobody" [' + ",".join(['"x"'] * 5000) + "] { discard; }")
lmtp(message("long list"), ONE)
told = sb.tool("tmctl", "-d", "lmtpd", "status").stdout
ok(int(re.search(r"sieve scripts=\d+ octets=(\d+)", told)[1]) > 5000 * 40, "what scripts have become is counted") or tm.diag(told)
script(1, 'require "vnd.nobody.knows"; discard;')
lmtp(message("unknown"), ONE)
is_(subjects(1)[-1], "unknown", "so does one that wants what is not here")
script(1, 'require ["ihave", "fileinto"]; fileinto "Archive"; error "on purpose";')
lmtp(message("stops half way"), ONE)
is_(subjects(1)[-1], "stops half way", "and one that fails in its middle")
ok("stops half way" not in subjects(1, "Archive"), "of which nothing is done")
ok(metric("sieve_runs") > 20 and metric("sieve_errors") >= 3, "all of it is counted") or tm.diag([(w, metric(w)) for w in ("sieve_runs", "sieve_errors", "rejected")])
with open(SYSTEM, "w") as f:
    f.write("not a script")
said = subprocess.run([sb.bin("lmtpd"), "-n", "-c", sb.conf("lmtpd.conf")], capture_output=True).stderr
ok(b"system:1:" in said, "an error in the system's script is told by -n")
tm.done()
