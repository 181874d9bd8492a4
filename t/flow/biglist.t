#!/usr/bin/env python3
"""A list that is too large to be expanded before the answer: taken at once, expanded behind it by channel
reprocess.  Each member gets it once, also those that other lists and the sender name too; those that cannot
be reached are told to the owner; killed and without a directory in the middle it goes on where it was."""
import email, os, re, signal, subprocess, sys, time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../cmd")]
import tm
from mta import Mail

tm.need("ldapadd")
# One entry has all of them: more than one answer of the directory was once taken for.  `make soak` asks for a hundred
# thousand, all of them people of the directory.
MANY, PEOPLE = int(os.environ.get("BIGLIST", "52000")), int(os.environ.get("BIGLIST_PEOPLE", "200"))
out = Mail(("127.0.0.1", 0), offers=("PIPELINING", "8BITMIME", "SIZE 0"))
sb = tm.Sandbox("--users", str(PEOPLE), "--without", "imapd", "--route", f"out.test=smtp:127.0.0.1:{out.port}",
                "--set", "tiermail.ldap.timeout=3s", "--set", "channels.channel tcp_local.backoff=1s", "--set", "channels.channel reprocess.backoff=1s")
D, BASE = sb.domain, sb.env["LDAP_BASE"]
OWNER = f"user0009@{D}"


def ldap(tool, text, *more):
    r = subprocess.run([tool, "-x", "-H", sb.env["LDAP_URL"], "-D", sb.env["LDAP_ADMIN_DN"], "-w", sb.env["LDAP_ADMIN_PASSWORD"], *more],
                       input=text, capture_output=True, text=True)
    if r.returncode:
        tm.diag(r.stdout + r.stderr)


def group(name, *lines):
    ldap("ldapadd", "\n".join([f"dn: cn={name},ou=Groups,o={D},{BASE}", *(f"objectClass: {c}" for c in (
        "groupOfURLs", "inetMailGroup", "inetMailGroupManagement", "inetLocalMailRecipient")),
        f"cn: {name}", f"mail: {name}@{D}", *lines, ""]))


def dn(cn):
    return f"uniqueMember: cn={cn},ou=Groups,o={D},{BASE}"


def send(to, subject, head="", sender="outside@sender.test"):
    c = sb.smtp()
    c.ehlo()
    c.mail(sender)
    got = [c.rcpt(t)[0] for t in ([to] if isinstance(to, str) else to)]
    if 250 in got:
        got.append(c.data(f"{head}Subject: {subject}\r\n\r\nx\r\n")[0])
    c.quit()
    return got


def queued(channel="tcp_local"):
    """Recipients in the queue's files, with the sender and whether the file is held."""
    found = []
    for f in sb.queue_files():
        if f"/{channel}/" not in f:
            continue
        with open(f, "rb") as file:
            text = file.read()
        head = text.partition(b"\nEND\n")[0].decode()
        sender = re.search(r"^from sender=(\S*)", head, re.M)[1]
        found += [(a, sender, f.endswith(".HELD"), b"of inner" in text) for a in re.findall(r"^rcpt n=\d+ addr=(\S+)", head, re.M)]
    return found


def inbox(user):
    mails = []
    for d, _, names in os.walk(sb.env["STORE"]):
        if f"/={user}@{D}/=INBOX" in d + "/":
            mails += [email.message_from_bytes(open(os.path.join(d, n), "rb").read()) for n in names if n.endswith(".msg")]
    return mails


def log(program="channel-master"):
    with open(f"{sb.env['RUNDIR']}/{'jobctl' if program == 'channel-master' else program}.log") as f:
        return f.read()


def expanded():
    """Nothing waits for channel reprocess, and nothing is aside."""
    return not any("/reprocess/" in f or f.endswith(".HELD") for f in sb.queue_files())


def pids():
    return [p for p in sb.pids_of("channel-master") if b"reprocess" in open(f"/proc/{p}/cmdline", "rb").read()]


def clean():
    """All is deleted, by the operator's verb: jobctl knows every file, also of masters that were killed."""
    tm.wait_for(lambda: sb.tool("jobctl-ctl", "delete", "channel=tcp_local") and not queued(), what="an empty channel")
    tm.is_(len(queued()), 0, "the job controller knows all of it")


sb.tool("jobctl-ctl", "stop", "tcp_local")
names = [f"m{i}@out.test" for i in range(MANY)]
group("inner", dn("crowd"), "mgrpMsgSuffixText: of inner", "mgrpRFC822MailMember: inner@out.test", "mgrpRFC822MailMember: m7@out.test")
group("crowd", *(f"mgrpRFC822MailMember: {n}" for n in names), f"memberURL: ldap:///ou=People,o={D},{BASE}?mail?sub?(uid=user000*)",
      dn("inner"), dn("gone"), f"mgrpRFC822MailMember: nobody@{D}", f"mgrpErrorsTo: {OWNER}")

# ---- each member once -----------------------------------------------------------------------------
t = tm.Stopwatch()
tm.is_(send([f"user0001@{D}", f"crowd@{D}", f"alias0002@{D}"], "one"), [250] * 4, f"a list of {MANY} beside two of its members")
tm.ok("channel=reprocess" in log("smtp-relay"), "is to be expanded later")
tm.ok(tm.wait_for(expanded), f"and is ({t.took():.1f} s)")
got = queued()
tm.is_((len(got), len({g[0] for g in got})), (MANY + 1,) * 2, "each member elsewhere is in the queue, once")
tm.is_({g[1] for g in got}, {OWNER}, "with the list's sender")
tm.is_(sorted(g[0] for g in got if g[3]), ["inner@out.test"], "what the list in it makes of it is for its members alone")
tm.ok(tm.wait_for(lambda: all(len(inbox(f"user000{i}")) == 1 for i in range(1, 9))), "those here get it")
tm.is_([len(inbox(f"user000{i}")) for i in range(1, 9)], [1] * 8, "once, also who was named, by whatever address")
tm.ok(tm.wait_for(lambda: len(inbox("user0009")) == 2), "the owner gets it, too, and a report")
report = [m for m in inbox("user0009") if m.get_content_type() == "multipart/report"]
text = report[0].as_string() if report else ""
tm.ok(f"nobody@{D}" in text and "cn=gone" in text and text.count("Action: failed") >= 2, "of the members that cannot be reached") or tm.diag(text)
tm.ok("verdict=5.4.6" in log(), "the circle is told to the log")
clean()

# ---- killed ---------------------------------------------------------------------------------------
killed = 0
tm.is_(send(f"crowd@{D}", "two"), [250, 250], "the list once more")
while not expanded() and killed < 3:  # the fourth lease that comes back waits a minute (RETURNS_FREE)
    before = log().count("ev=expand_piece")
    tm.wait_for(lambda: expanded() or log().count("ev=expand_piece") > before)
    time.sleep(0.01 * killed)
    for p in pids():
        os.kill(p, signal.SIGKILL)
        killed += 1
tm.ok(tm.wait_for(expanded) and killed > 1, f"its master is killed {killed} times: it is expanded")
got = queued()
tm.is_((len(got), len({g[0] for g in got})), (MANY + 1,) * 2, "each member is in the queue, once")
clean()

# ---- without a directory ----------------------------------------------------------------------------
sb.tool("jobctl-ctl", "stop", "reprocess")
tm.is_(send(f"crowd@{D}", "three"), [250, 250], "and once more")
sb.kill("slapd")
sb.tool("jobctl-ctl", "start", "reprocess")
tm.ok(tm.wait_for(lambda: "state=deferred" in log() and "channel=reprocess" in log()), "without a directory it is put off")
tm.is_(len(queued()), 0, "nobody is left out meanwhile")
sb.restart("slapd")
tm.ok(tm.wait_for(expanded), "with one it goes on")
got = queued()
tm.is_((len(got), len({g[0] for g in got})), (MANY + 1,) * 2, "and each member is in the queue, once")
clean()

# ---- many bodies --------------------------------------------------------------------------------------
for i in range(25):
    group(f"b{i}", f"mgrpMsgSuffixText: text {i}", f"mgrpRFC822MailMember: b{i}@out.test")
group("bodies", *(dn(f"b{i}") for i in range(25)))
tm.is_(send([f"bodies@{D}", "far@out.test"], "four"), [250] * 3, "a list of 25 lists that change the message, each in its way")
tm.ok(tm.wait_for(expanded), "is expanded later")
sb.tool("jobctl-ctl", "start", "tcp_local")
tm.ok(tm.wait_for(lambda: sum(len(m[1]) for m in out.mails) == 26) and sb.queue_empty(), "all of them get it")
bodies = {r: m[2] if isinstance(m[2], str) else m[2].decode() for m in out.mails for r in m[1]}
tm.is_([r for r, b in bodies.items() if r != "far@out.test" and not b.rstrip().endswith("text " + r[1:r.index("@")])], [], "as it is for them")

# ---- a password ------------------------------------------------------------------------------------------
out.mails.clear()
group("shut", "mgrpAuthPassword: two", "mgrpBroadcasterPolicy: PASSWORD_REQUIRED", "mgrpRFC822MailMember: shut@out.test")
group("door", "mgrpAuthPassword: one", "mgrpBroadcasterPolicy: PASSWORD_REQUIRED", dn("shut"), dn("bodies"))
tm.is_(send(f"door@{D}", "five"), [250, 550], "a large list with a password, without it")
tm.is_(send(f"door@{D}", "six", "Approved: one\r\n"), [250, 250], "with it")
tm.ok(tm.wait_for(lambda: sum(len(m[1]) for m in out.mails) == 25) and sb.queue_empty(), "but not that of a list in it: its members are left out")
tm.is_([m for m in out.mails if "shut@out.test" in m[1] or "Approved" in str(m[2])], [], "and the word goes to nobody")
out.mails.clear()
tm.is_(send(f"door@{D}", "seven", "Approved: one\r\nApproved: two\r\n"), [250, 250], "with both")
tm.ok(tm.wait_for(lambda: sum(len(m[1]) for m in out.mails) == 26) and sb.queue_empty(), "they get it, too")

# ---- people -----------------------------------------------------------------------------------------------
if PEOPLE > 5000:
    group("everybody", f"memberURL: ldap:///ou=People,o={D},{BASE}?mail?sub?(uid=user*)", f"mgrpErrorsTo: {OWNER}")
    sb.tool("jobctl-ctl", "stop", "tcp_lmtp")
    t = tm.Stopwatch()
    tm.is_(send(f"everybody@{D}", "eight"), [250, 250], f"a list of {PEOPLE} people")
    for n in range(5):
        time.sleep(2)
        for p in pids():
            os.kill(p, signal.SIGKILL)
    tm.ok(tm.wait_for(expanded), f"its master is killed five times: it is expanded ({t.took():.1f} s)")
    got = queued("tcp_lmtp")
    tm.is_((len(got), len({g[0] for g in got})), (PEOPLE,) * 2, "each of them is in the queue, once")
tm.done()
