#!/usr/bin/env python3
"""POP3 as real clients speak it (those that are installed), and random sessions against a model while IMAP
changes the mailbox."""
import hashlib, os, poplib, random, re, shutil, ssl, subprocess, sys, tempfile
import tm
from pop3raw import Pop

# In memory: hundreds of messages are made one by one, and a disk is not what is looked at.
if os.access("/dev/shm", os.W_OK) and os.statvfs("/dev/shm").f_bavail * os.statvfs("/dev/shm").f_frsize > 1 << 30:
    os.environ["TMPDIR"] = "/dev/shm"
sb = tm.Sandbox("--users", "12", "--set", "pop3d.workers=2")
HOST, PORT, PORTS = sb.host, sb.port("POP3"), sb.port("POP3S")
DIR = tempfile.mkdtemp(prefix="tm-pop3-")
CONTEXT = ssl.create_default_context(cafile=sb.env["CAFILE"])
CONTEXT.check_hostname = False


def fill(user, messages):
    c = sb.imap(user)
    for m in messages:
        assert c.append("INBOX", None, None, m)[0] == "OK"
    c.logout()


def message(n, lines=3):
    text = b"".join(random.choice((b".", b"..", b".x%d" % i, b"", b"line %d" % i, b"x" * 70)) + b"\r\n" for i in range(lines))
    return b"From: a%d@b.test\r\nTo: c@d.test\r\nSubject: number %d\r\nMessage-ID: <%d@b.test>\r\n\r\n" % (n, n, n) + text + b"end\r\n"


random.seed(7)
MESSAGES = [message(n, 5 + n * 3) for n in range(12)]


def there(user):
    p = Pop(sb, login=user)
    n = len(p.many("LIST"))
    p.quit()
    return n


# ---- poplib ----------------------------------------------------------------------------------------------------------
fill(1, MESSAGES)
for what, c in (("in clear", poplib.POP3(HOST, PORT, timeout=tm.LONG)), ("over TLS", poplib.POP3_SSL(HOST, PORTS, context=CONTEXT, timeout=tm.LONG)),
                ("after STLS", poplib.POP3(HOST, PORT, timeout=tm.LONG))):
    if what == "after STLS":
        c.stls(CONTEXT)
    capa = c.capa()
    tm.ok(capa["SASL"] == ["PLAIN", "LOGIN"] and {"TOP", "UIDL", "PIPELINING"} <= set(capa), f"poplib {what}: capa")
    tm.ok(c.utf8().startswith(b"+OK"), "utf8")
    c.user(sb.user(1))
    c.pass_(sb.password)
    tm.is_(c.stat(), (len(MESSAGES), sum(map(len, MESSAGES))), "stat")
    sizes = [tuple(map(int, l.split())) for l in c.list()[1]]
    got = [c.retr(n) for n in range(1, len(MESSAGES) + 1)]
    tm.is_([b"\r\n".join(lines) + b"\r\n" for _, lines, _ in got], MESSAGES, "retr")
    tm.is_(sizes, [(n, octets) for n, (_, _, octets) in enumerate(got, 1)], "list tells the octets that retr gives")
    tm.is_(len({l.split()[1] for l in c.uidl()[1]}), len(MESSAGES), "uidl")
    tm.is_(c.top(2, 0)[1][-1], b"", "top ends with the empty line")
    c.noop()
    c.dele(1)
    c.rset()
    c.quit()

# ---- curl ------------------------------------------------------------------------------------------------------------
if shutil.which("curl"):
    def curl(url, *args):
        r = subprocess.run(["curl", "-s", "-S", "--cacert", sb.env["CAFILE"], "-k", "--user", f"{sb.user(1)}:{sb.password}", *args, url],
                           capture_output=True)
        return r.stdout if r.returncode == 0 else r.stderr

    for url, args in ((f"pop3://{HOST}:{PORT}/", ["--login-options", "AUTH=LOGIN"]), (f"pop3://{HOST}:{PORT}/", ["--ssl-reqd"]),
                      (f"pop3s://{HOST}:{PORTS}/", ["--sasl-ir"])):
        tm.is_(curl(url, *args).split(b"\r\n")[:-1], [b"%d %d" % (n, len(m)) for n, m in enumerate(MESSAGES, 1)], f"curl {url} {' '.join(args)}")
        tm.is_(curl(url + "12", *args), MESSAGES[11], "a message")
        tm.is_(len(curl(url, "-X", "UIDL", *args).split()), 24, "UIDL")
else:
    tm.skip("curl", "it is not installed")


# ---- clients that fetch ----------------------------------------------------------------------------------------------
def run(name, *args, **env):
    r = subprocess.run(args, capture_output=True, text=True, errors="replace", cwd=DIR, env=dict(os.environ, HOME=DIR, **env), timeout=tm.LONG * 2)
    return r


def write(name, text):
    path = os.path.join(DIR, name)
    with open(path, "w") as f:
        f.write(text)
    os.chmod(path, 0o600)
    return path


def subjects(path):
    """Of all messages below a directory, or in a file; what the client adds is none of them."""
    found = []
    for d, _, names in os.walk(path) if os.path.isdir(path) else [(os.path.dirname(path), [], [os.path.basename(path)])]:
        for n in names:
            with open(os.path.join(d, n), "rb") as f:
                found += [int(m) for m in re.findall(rb"^Subject: number (\d+)", f.read(), re.M)]
    return sorted(found)


def fetches(name, user, fetch, where):
    """A client that fetches everything, then what is new, then deletes it all."""
    if not shutil.which(name):
        tm.skip(name, "it is not installed")
        return
    fill(user, MESSAGES)
    r = fetch(True)
    tm.is_(subjects(where), list(range(12)), f"{name} fetches all") or tm.diag(r.stdout + r.stderr)
    tm.is_(there(user), 12, "and leaves them there")
    fill(user, [message(n) for n in (12, 13)])
    r = fetch(True)
    tm.is_(subjects(where), list(range(14)), "then what is new, by its unique-id") or tm.diag(r.stdout + r.stderr)
    fill(user, [message(14)])
    r = fetch(False)
    tm.ok(14 in subjects(where) and there(user) == 0, "and at last deletes what it has") or tm.diag(r.stdout + r.stderr)


def fetchmail(keep):
    rc = write("fetchmailrc", f"""poll {HOST} proto pop3 service {PORT} uidl
 user "{sb.user(2)}" password "{sb.password}" {"keep" if keep else "nokeep fetchall"} sslproto "tls1.2+" sslcertfile "{sb.env['CAFILE']}" no sslcertck mda "cat >> {DIR}/fetched.mbox"
""")
    return run("fetchmail", "fetchmail", "-f", rc, "--pidfile", f"{DIR}/fetchmail.pid", "-i", f"{DIR}/fetchids", FETCHMAILHOME=DIR)


def mpop(keep):
    rc = write("mpoprc", f"""account x
host {HOST}
port {PORT}
user {sb.user(3)}
password {sb.password}
auth plain
tls on
tls_starttls on
tls_certcheck off
keep {"on" if keep else "off"}
uidls_file {DIR}/mpop.uidls
delivery maildir {DIR}/mpop
received_header off
""")
    for sub in ("cur", "new", "tmp"):
        os.makedirs(f"{DIR}/mpop/{sub}", exist_ok=True)
    return run("mpop", "mpop", "-C", rc, "x")


def getmail(keep):
    rc = write("getmailrc", f"""[retriever]
type = SimplePOP3SSLRetriever
server = {HOST}
port = {PORTS}
username = {sb.user(4)}
password = {sb.password}
[destination]
type = MDA_external
path = /bin/sh
arguments = ("-c", "cat >> {DIR}/getmail.mbox")
allow_root_commands = true
unixfrom = true
[options]
read_all = {"false" if keep else "true"}
delete = {"false" if keep else "true"}
delivered_to = false
received = false
""")
    open(f"{DIR}/getmail.mbox", "a").close()
    return run("getmail", "getmail", "--rcfile", rc, "--getmaildir", DIR)


fetches("fetchmail", 2, fetchmail, f"{DIR}/fetched.mbox")
fetches("mpop", 3, mpop, f"{DIR}/mpop")
fetches("getmail", 4, getmail, f"{DIR}/getmail.mbox")

# ---- the whole road --------------------------------------------------------------------------------------------------
sb.send([5, 6], subject="number 77", body="by SMTP\r\n.\r\n")
tm.ok(sb.queue_empty() and tm.wait_for(lambda: there(5) == 1), "mail that came by SMTP")
p = Pop(sb, login=5, tls=True)
tm.ok(p.octets("RETR 1").endswith(b"by SMTP\r\n.\r\n") and p.say("DELE 1") and p.quit().startswith("+OK"), "is fetched, and deleted")
tm.is_((there(5), there(6)), (0, 1), "for one of the two who got it")

# ---- a large mailbox with gaps, which is numbered beside the loop ----------------------------------------------------
imap = sb.imap(8)
imap.append("INBOX", None, None, MESSAGES[0])
imap.select()
there_now = 1
while there_now < 24000:
    imap.copy(f"1:{min(there_now, 24000 - there_now)}", "INBOX")
    there_now += min(there_now, 24000 - there_now)
    imap.noop()
removed = sorted(random.sample(range(1, 24001), 300))
imap.uid("STORE", ",".join(map(str, removed)), "+FLAGS.SILENT", r"(\Deleted)")
imap.expunge()
left = sorted(set(range(1, 24001)) - set(removed))
for n in range(8):                              # those that go while they are numbered leave nothing behind
    p = Pop(sb)
    p.send(f"USER {sb.user(8)}\r\nPASS {sb.password}\r\n")
    p.close()
p = tm.wait_for(lambda: (q := Pop(sb, login=8)).answer.startswith("+OK") and q)
size = len(MESSAGES[0])
tm.is_(p.say("STAT"), f"+OK {len(left)} {len(left) * size}", "a large mailbox with many gaps")
tm.is_(p.many("LIST"), [f"{n} {size}" for n in range(1, len(left) + 1)], "its LIST")
tm.is_([int(l.split(".")[-1]) for l in p.many("UIDL")], left, "its UIDL")
gone = random.sample(range(1, len(left) + 1), 500)
p.send(b"".join(b"DELE %d\r\n" % n for n in gone))
tm.is_({p.line()[:3] for _ in gone}, {"+OK"}, "500 marks in one write")
tm.ok(p.quit().startswith("+OK"), "QUIT")
imap.select(readonly=True)
tm.is_([int(u) for u in imap.uid("SEARCH", None, "ALL")[1][0].split()], sorted(set(left) - {left[n - 1] for n in gone}), "exactly those are gone")
imap.logout()

# ---- random sessions against a model ---------------------------------------------------------------------------------
model, made = [], 0          # [(uid, message)] of the mailbox
imap = sb.imap(7)
bad = []


def deliver(n):
    global made
    for _ in range(n):
        m = message(1000 + made, random.randrange(8))
        made += 1
        typ, data = imap.append("INBOX", None, None, m)
        model.append((int(re.search(rb"APPENDUID \d+ (\d+)", data[0])[1]), m))


def expunge(uids):
    if uids:
        imap.select()
        imap.uid("STORE", ",".join(map(str, uids)), "+FLAGS.SILENT", r"(\Deleted)")
        imap.expunge()
        imap.unselect() if hasattr(imap, "unselect") else imap.close()
        model[:] = [x for x in model if x[0] not in uids]


def check(cond, what):
    if not cond:
        bad.append(what)


ids = {}
for session in range(30):
    deliver(random.choice((0, 1, 5, 40 if len(model) < 200 else 0)))
    p = Pop(sb, login=7, step=random.choice((0, 0, 3)))
    seen, marked = list(model), set()
    check(p.answer == f"+OK {len(seen)} messages ({sum(len(m) for _, m in seen)} octets)", p.answer)
    for _ in range(random.randrange(1, 25)):
        n = random.randrange(1, len(seen) + 1) if seen else 1
        live = [k for k in range(1, len(seen) + 1) if k not in marked]
        op = random.choice(("STAT", "LIST", "UIDL", "RETR", "DELE", "DELE", "DELE*", "RSET", "imap", "TOP"))
        if op == "imap":
            expunge({u for u, _ in model if random.random() < 0.1})
            deliver(random.randrange(3))
        elif op == "STAT":
            check(p.say("STAT") == f"+OK {len(live)} {sum(len(seen[k - 1][1]) for k in live)}", "STAT")
        elif op == "LIST":
            check(p.many("LIST") == [f"{k} {len(seen[k - 1][1])}" for k in live], "LIST")
        elif op == "UIDL":
            lines = p.many("UIDL")
            check([int(l.split()[0]) for l in lines] == live, "UIDL")
            for l in lines:
                uid = seen[int(l.split()[0]) - 1][0]
                check(ids.setdefault(uid, l.split()[1]) == l.split()[1], "a unique-id changed")
        elif op == "RSET":
            check(p.say("RSET").startswith("+OK"), "RSET")
            marked.clear()
        elif op == "DELE*":
            for k in random.sample(live, len(live) // 3):
                check(p.say(f"DELE {k}").startswith("+OK"), "DELE")
                marked.add(k)
        elif not seen or n in marked:
            check(p.say(f"{op} {n}" + (" 1" if op == "TOP" else "")).startswith("-ERR"), f"{op} of one that is not there")
        elif op == "RETR":
            check(p.octets(f"RETR {n}") == seen[n - 1][1], "RETR")
        elif op == "TOP":
            head, _, body = seen[n - 1][1].partition(b"\r\n\r\n")
            check(p.octets(f"TOP {n} 2") == head + b"\r\n\r\n" + b"".join(body.splitlines(True)[:2]), "TOP")
        else:
            check(p.say(f"DELE {n}").startswith("+OK"), "DELE")
            marked.add(n)
    if random.random() < 0.7:
        check(p.quit().startswith("+OK"), "QUIT")
        model[:] = [x for x in model if x[0] not in {seen[k - 1][0] for k in marked}]
    else:
        p.sock.close()
        tm.wait_for(lambda: (q := Pop(sb, login=7)).answer.startswith("+OK") and q.quit())
    imap.select(readonly=True)
    got = imap.uid("SEARCH", None, "ALL")[1][0].split()
    check([int(u) for u in got] == [u for u, _ in model], f"after session {session}: the mailbox is what the model says")
    if bad:
        break
tm.is_(bad[:3], [], "30 random sessions do what a model does")
tm.is_(len(set(ids.values())), len(ids), "and no unique-id is used twice")
imap.logout()
shutil.rmtree(DIR, ignore_errors=True)
tm.done()
