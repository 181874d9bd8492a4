#!/usr/bin/env python3
"""Mailing lists on the whole road: members in both worlds, a list in a list, circles, errors to the owner
on the wire, refused senders and sizes, three thousand members, and smtp-relay killed in the middle: a
message that was accepted reaches every member."""
import email, os, re, shutil, smtplib, subprocess, sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../cmd")]
import tm
from mta import Mail

tm.need("ldapadd")
MANY, HERE_TOO = 3000, 200      # the others' mailboxes are at another store: a server of this test's
far = Mail(("127.0.0.1", 0), lmtp=True, offers=("PIPELINING", "8BITMIME"))
out = Mail(("127.0.0.1", 0), offers=("PIPELINING", "8BITMIME", "DSN", "SIZE 0"))
sb = tm.Sandbox("--users", str(MANY), "--without", "imapd", "--route", f"out.test=smtp:127.0.0.1:{out.port}",
                "--set", "channels.channel tcp_lmtp.backoff=1s", "--set", "channels.channel tcp_local.backoff=1s",
                "--set", f"channels.host far.test.lmtp=127.0.0.1:{far.port}")
D, BASE = sb.domain, sb.env["LDAP_BASE"]


def move_away():
    """Users past HERE_TOO have another mailHost: so many mailboxes take long to make and to remove."""
    conf, db = (os.path.join(sb.dir, "ldap", n) for n in ("slapd.conf", "db"))
    text = subprocess.run([slapd("slapcat"), "-f", conf], capture_output=True, text=True).stdout
    entries = text.split("\n\n")
    for i, e in enumerate(entries):
        user = re.match(r"dn: uid=user(\d+),", e)
        if user and int(user[1]) > HERE_TOO:
            entries[i] = re.sub(r"(?m)^mailHost: .*", "mailHost: far.test", e)
    sb.kill("slapd")
    for n in os.listdir(db):
        os.unlink(os.path.join(db, n))
    r = subprocess.run([slapd("slapadd"), "-q", "-f", conf], input="\n\n".join(entries), capture_output=True, text=True)
    sb.restart("slapd")
    tm.ok(r.returncode == 0, f"{MANY - HERE_TOO} users at another store") or tm.diag(r.stderr)


def slapd(tool):
    return shutil.which(tool, path=os.environ["PATH"] + ":/usr/sbin:/sbin")


def ldap(tool, text):
    r = subprocess.run([tool, "-x", "-H", sb.env["LDAP_URL"], "-D", sb.env["LDAP_ADMIN_DN"],
                        "-w", sb.env["LDAP_ADMIN_PASSWORD"]], input=text, capture_output=True, text=True)
    if r.returncode:
        tm.diag(r.stdout + r.stderr)


def group(name, *lines):
    ldap("ldapadd", "\n".join([f"dn: cn={name},ou=Groups,o={D},{BASE}", *(f"objectClass: {c}" for c in (
        "groupOfURLs", "inetMailGroup", "inetMailGroupManagement", "inetLocalMailRecipient")),
        f"cn: {name}", f"mail: {name}@{D}", *lines, ""]))


def member(uid):
    return f"uniqueMember: uid={uid},ou=People,o={D},{BASE}"


def boxes():
    """The messages of everybody, as they lie in the store: paths by user."""
    found = {}
    for d, _, names in os.walk(sb.env["STORE"]):
        user = re.search(rf"/=([^/]+)@{re.escape(D)}/=INBOX", d + "/")
        if user:
            found.setdefault(user[1], []).extend(os.path.join(d, n) for n in names if n.endswith(".msg"))
    return found


def inbox(user):
    return [open(p, "rb").read() for p in sorted(boxes().get(user, []))]


def subjects(user):
    return sorted(email.message_from_bytes(m)["Subject"] for m in inbox(user))


def log():
    with open(f"{sb.env['RUNDIR']}/smtp-relay.log") as f:
        return f.read()


def send(to, subject, sender="outside@sender.test", body="x\r\n", size=None):
    """The answers to each RCPT and to the body; a size of None says none."""
    c = sb.smtp()
    c.ehlo()
    c.mail(sender, [f"SIZE={size}"] if size else [])
    got = [c.rcpt(t)[0] for t in ([to] if isinstance(to, str) else to)]
    if 250 in got:
        got.append(c.data(f"Subject: {subject}\r\n\r\n{body}")[0])
    c.quit()
    return got


move_away()
# ---- both worlds, nested, with a circle -------------------------------------------------------
group("inner", member("user0002"), f"uniqueMember: cn=outer,ou=Groups,o={D},{BASE}", "mgrpRFC822MailMember: b@out.test")
group("outer", member("user0001"), f"uniqueMember: cn=inner,ou=Groups,o={D},{BASE}",
      "mgrpRFC822MailMember: a@out.test", "mgrpErrorsTo: user0009@" + D)
tm.is_(send(f"outer@{D}", "one"), [250, 250], "a list is taken")
tm.ok(tm.wait_for(lambda: subjects("user0001") == subjects("user0002") == ["one"] and len(out.mails) >= 1) and sb.queue_empty(),
      "and reaches its members and those of the list in it")
tm.is_(sorted(r for m in out.mails for r in m[1]), ["a@out.test", "b@out.test"], "elsewhere too, once")
tm.is_({m[0] for m in out.mails}, {f"user0009@{D}"}, "mgrpErrorsTo is the sender on the wire")
tm.ok(b"Return-Path: <user0009@" + D.encode() in inbox("user0001")[0], "and in the mailbox") or tm.diag(inbox("user0001")[0][:300])
tm.ok("forward=outer@" in log() and "verdict=5.4.6" in log(), "the circle is told to the log")
tm.ok(not any("NOTIFY" in c or "ORCPT" in c or "ENVID" in c for c in out.commands),
      "what the sender asked of reports ends at the list") or tm.diag(out.commands)

out.say = {"RCPT TO:<b@": "550 5.1.1 gone away"}
send(f"outer@{D}", "two")
tm.ok(tm.wait_for(lambda: inbox("user0009")), "a member that cannot be reached: the owner hears of it")
report = email.message_from_bytes(inbox("user0009")[0])
tm.ok("b@out.test" in report.as_string() and not inbox("outside"), "by name")
out.say = {}

# ---- who, and how much ---------------------------------------------------------------------------
group("closed", member("user0003"), "mgrpAllowedBroadcaster: user0001@" + D, "mgrpMsgRejectText: Ask the owner.")
tm.is_(send(f"closed@{D}", "no"), [550], "a stranger may not send there")
tm.is_(send(f"closed@{D}", "yes", sender=f"alias0001@{D}"), [250, 250], "who may does, by any address of the entry")
tm.ok(tm.wait_for(lambda: subjects("user0003") == ["yes"]), "and only that arrives")
group("small", member("user0004"), "mgrpMsgMaxSize: 1000")
BIG = "x" * 70 + "\r\n"
tm.is_(send(f"small@{D}", "big", size=5000), [552], "too large by its own word")
tm.is_(send(f"small@{D}", "big", body=BIG * 50), [250, 552], "too large without a word")
tm.is_(send([f"user0005@{D}", f"small@{D}"], "big", body=BIG * 50), [250, 452, 250],
       "without a word and beside others: later, alone")
tm.is_(send([f"small@{D}", f"user0005@{D}"], "big", body=BIG * 50), [250, 452, 552], "and the other way round")
tm.is_(send([f"small@{D}", f"user0005@{D}"], "lie", body=BIG * 50, size=900), [250, 250, 552], "a client that lies")
tm.is_(send([f"small@{D}", f"user0005@{D}"], "fits", size=900), [250, 250, 250], "what fits")
tm.ok(tm.wait_for(lambda: subjects("user0004") == ["fits"] and subjects("user0005") == ["big", "fits"]), "arrives")

# ---- named by the list and by the sender -----------------------------------------------------------
group("owned", member("user0010"), member("user0011"), "mgrpErrorsTo: user0009@" + D)
group("onhold", member("user0012"), "inetMailGroupStatus: hold")
out.mails.clear()
tm.is_(send([f"owned@{D}", f"user0010@{D}"], "both"), [250, 250, 250], "a list, and then one of its members")
tm.is_(send([f"user0013@{D}", f"onhold@{D}", f"user0012@{D}"], "free"), [250, 250, 250, 250], "the same with a list on hold")
tm.ok(tm.wait_for(lambda: subjects("user0010") == subjects("user0011") == ["both"] and
                  subjects("user0012") == subjects("user0013") == ["free"]), "each gets it once, and nobody's copy is held")
paths = [re.search(rb"^Return-Path: <(.*)>", inbox(u)[0], re.M)[1].decode() for u in ("user0010", "user0011")]
tm.is_(paths, ["outside@sender.test", f"user0009@{D}"], "whom the sender has named has the sender's own envelope")
tm.ok(sb.queue_empty(), "the queue is empty")

# ---- three thousand ---------------------------------------------------------------------------------
group("all", f"memberURL: ldap:///ou=People,o={D},{BASE}?mail?sub?(uid=user*)", "mgrpErrorsTo: user0009@" + D)
sb.tool("jobctl-ctl", "stop", "tcp_lmtp")
tm.is_(send([f"all@{D}", f"user0001@{D}"], "everybody"), [250, 250, 250], f"a list of {MANY}")
files = sb.queue_files()
tm.is_(len(files), 1 + 3 + 1, "is as many files as there are thousands at a store, and one for whom the sender has named")
rcpts = sum(open(f, "rb").read().count(b"\nrcpt n=") for f in files)
tm.is_(rcpts, MANY, "with each member once")
sb.tool("jobctl-ctl", "start", "tcp_lmtp")
tm.ok(sb.queue_empty(), "all of it is delivered")


full = boxes()
tm.is_(sum(open(p, "rb").read().count(b"Subject: everybody") for paths in full.values() for p in paths), HERE_TOO,
       "to every member here, once")
there = [r for m in far.mails for r in m[1]]
tm.is_((len(there), len(set(there))), (MANY - HERE_TOO,) * 2, "and at the other store")

# ---- killed in the middle ---------------------------------------------------------------------------------
group("crowd", f"memberURL: ldap:///ou=People,o={D},{BASE}?mail?sub?(uid=user01*)",
      *(f"mgrpRFC822MailMember: m{i}@out.test" for i in range(20)))
crowd = [f"user{n:04d}" for n in range(100, 200)]
out.mails.clear()
accepted = []


def attempt(subject, step):
    """Sends one and kills smtp-relay at a step of it; True when it was accepted."""
    try:
        c = sb.smtp()
        c.ehlo()
        c.mail("outside@sender.test")
        if step == 0:           # while the list is looked at
            c.putcmd("rcpt", f"TO:<crowd@{D}>")
            kill()
        code = c.getreply()[0] if step == 0 else c.rcpt(f"crowd@{D}")[0]
        if step == 1:
            kill()
        if code != 250 or c.docmd("DATA")[0] != 354:
            return False
        c.send(f"Subject: {subject}\r\n\r\nx\r\n.\r\n".encode())
        if step == 2:           # while it is written
            kill()
        return c.getreply()[0] == 250 and (step != 3 or kill() or True)
    except (OSError, smtplib.SMTPException):
        return False


def kill():
    import signal
    for pid in sb.pids_of("smtp-relay"):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


for n in range(12):
    if attempt(f"n{n}", n % 4):
        accepted.append(f"n{n}")
    tm.wait_for(lambda: not sb.pids_of("smtp-relay"))
    sb.restart("smtp-relay")
tm.ok(len(accepted) >= 3, f"accepted: {' '.join(accepted)}")
tm.ok(sb.queue_empty(), "the queue drains")
full = boxes()
got = {u: {re.search(rb"^Subject: (\S+)", open(p, "rb").read(), re.M)[1].decode() for p in full.get(u, [])} for u in crowd}
tm.is_([u for u in crowd if not set(accepted) <= got[u]], [], "what was accepted has reached every member")
there = {i: {email.message_from_bytes(m[2] if isinstance(m[2], bytes) else m[2].encode())["Subject"]
             for m in out.mails if f"m{i}@out.test" in m[1]} for i in range(20)}
tm.is_([i for i in there if not set(accepted) <= there[i]], [], "elsewhere, too")
tm.done()
