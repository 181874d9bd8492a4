#!/usr/bin/env python3
"""storectl move: an account goes to another store while its person is connected through the multiplexor and mail comes in:
nothing is lost, UIDs and flags stay, and the client is back on the new store with the settings that it has.  Interrupted
at each step it goes back or goes on."""
import json, os, re, signal, smtplib, socket, subprocess, threading, time
import storewire, tm, wire
from imapraw import Raw

tm.need("ldapmodify")
ok, is_ = tm.ok, tm.is_
sb = tm.Sandbox("--users", "6", "--set", "tiermail.ldap.cache_age=2s", "--set", "imapd.workers=1")
two = tm.Sandbox("--join", sb.dir, "--role", "store", "--set", f"tiermail.roles.move={sb.env['MAILHOST']}", "--set", "imapd.workers=1")
HERE, THERE, D = sb.env["MAILHOST"], two.env["MAILHOST"], sb.domain
PORT = tm.free_port()
with open(os.path.join(os.path.dirname(two.conf("tiermail.conf")), "storectl-serve.conf"), "w") as f:
    f.write(f"[listen move]\naddress = 127.0.0.1:{PORT}\ntls = implicit\n")
password = os.path.join(tm.tempdir(), "password")
with open(password, "w") as f:
    f.write(sb.env["LDAP_ADMIN_PASSWORD"] + "\n")
serve = None


def start_serve():
    global serve
    log = open(two.env["RUNDIR"] + "/storectl-serve.log", "a")
    serve = subprocess.Popen([two.bin("storectl"), "serve", "-c", two.conf("storectl-serve.conf")], stdout=log, stderr=log)
    def up():
        try:
            socket.create_connection(("127.0.0.1", PORT), timeout=tm.LONG).close()
            return True
        except OSError:
            return serve.poll() is not None and tm.diag("storectl serve ended")
    return tm.wait_for(up, what="storectl serve")


def command(n, *args, to=THERE, dn=sb.env["LDAP_ADMIN_DN"], port=PORT):
    return [sb.bin("storectl"), "-c", sb.conf("tiermail.conf"), "move", "--json", "-A", "127.0.0.1", "-P", str(port), "-D", dn, "-y", password, *args,
            f"{sb.user(n)}@{D}", to]


def move(n, *args, **kw):
    return subprocess.run(command(n, *args, **kw), capture_output=True, text=True, timeout=tm.LONG)


def mailhost(n):
    r = subprocess.run(["ldapsearch", "-x", "-LLL", "-H", sb.env["LDAP_URL"], "-D", sb.env["LDAP_ADMIN_DN"], "-w", sb.env["LDAP_ADMIN_PASSWORD"],
                        "-b", sb.env["LDAP_BASE"], f"(uid={sb.user(n)})", "mailHost"], capture_output=True, text=True)
    return next((l.split()[1] for l in r.stdout.splitlines() if l.startswith("mailHost:")), None)


def account(host, n):
    r = host.tool("storectl", "account", "show", "--json", f"{sb.user(n)}@{D}")
    return json.loads(r.stdout) if r.returncode == 0 else None


def proxy(n):
    c = Raw.__new__(Raw)
    c.sock = socket.create_connection((sb.host, sb.port("MMP_IMAP")), timeout=tm.LONG)
    c.buf, c.n, c.step, c.sb = b"", 0, 0, sb
    c.greeting = c.response()
    c.ok("ID NIL")
    c.ok(f"LOGIN {sb.user(n)} {sb.password}")
    return c


def dump(c, folders):
    """What a client sees: UIDVALIDITY, UIDNEXT, and UIDs with flags, dates and sizes."""
    seen = {}
    for f in folders:
        status = b"".join(c.ok(f'STATUS "{f}" (UIDVALIDITY UIDNEXT MESSAGES UNSEEN)'))
        c.ok(f'EXAMINE "{f}"')
        seen[f] = (status, sorted(l.split(b"FETCH ")[1].replace(b"\\Recent ", b"").replace(b" \\Recent", b"").replace(b"(\\Recent)", b"()") for l in c.ok("UID FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE)") if b"FETCH" in l))
    return seen


ok(start_serve(), "storectl serve listens on the other store")
FOLDERS = ["INBOX", "Sent", "A/b/c", "empty", "gone"]

# ---- in use ---------------------------------------------------------------------------------------------------------
c = proxy(1)
for f in FOLDERS[2:]:
    c.ok(f'CREATE "{f}"')
for n in range(150):
    c.append("INBOX" if n % 3 else "A/b/c", f"Subject: {n}\r\n\r\nhello {n}\r\n")
c.ok("SELECT INBOX")
c.ok("STORE 5:40 +FLAGS (\\Seen \\Flagged keyword)")
c.ok("STORE 1:4 +FLAGS.SILENT (\\Deleted)")
c.ok("EXPUNGE")
c.ok('COPY 10:20 "Sent"')
c.append("gone", "Subject: gone\r\n\r\nx\r\n")
c.ok("SELECT gone")
c.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
c.ok("EXPUNGE")     # its next UID is 2
c.ok("UNSUBSCRIBE Drafts")
c.ok("DELETE Junk")
c.ok(f'SETACL "A/b/c" {sb.user(2)} lrs')
c.ok('SETMETADATA "A/b/c" (/private/comment "mine" /shared/comment "ours")')
c.ok('SETMETADATA "" (/private/vendor/x "everywhere")')
c.ok("SELECT Sent")
before = dump(c, FOLDERS)
lists = sorted(l for l in c.ok('LIST "" "*"') + c.ok('LSUB "" "*"'))
sent, stop = [], threading.Event()


def mail():
    """Until it is over: through the relay, which asks the directory where the mailbox is."""
    while not stop.is_set():
        with sb.smtp() as s:
            s.sendmail("outside@sender.test", [f"{sb.user(1)}@{D}"], f"Subject: while it moves {len(sent)}\r\n\r\nx\r\n")
            sent.append(len(sent))
        time.sleep(0.02)


sender = threading.Thread(target=mail, daemon=True)
sender.start()
ok(tm.wait_for(lambda: len(sent) > 5), "mail comes in all the time")
r = move(1)
is_(r.returncode, 0, "the account is moved meanwhile") or tm.diag(r.stderr)
said = json.loads(r.stdout or "{}")
tm.diag(f"{said}")
is_((said["account"], said["to"], mailhost(1)), (f"{sb.user(1)}@{D}", THERE, THERE), "the directory has it there")
try:
    while True:
        c.ok("NOOP")
except (EOFError, OSError, AssertionError):
    ok(True, "the client's session ends")
c = proxy(1)
c.ok("SELECT INBOX")
ok(any(f"user={sb.user(1)}@" in l for l in wire.log(two, "imapd", "ev=login ")), "it is back at once, on the new store, with the settings that it has")
mails = len(sent)
ok(tm.wait_for(lambda: len(sent) > mails + 5), "and mail goes on")
stop.set()
sender.join()
ok(tm.wait_for(lambda: sb.tool("jobctl-ctl", "retry", "all").returncode == 0 and not sb.queue_files()), "what has waited follows")
c.ok("NOOP")
subjects = b"".join(c.ok("FETCH 1:* BODY.PEEK[HEADER.FIELDS (SUBJECT)]"))
is_([n for n in sent if subjects.count(b"while it moves %d\r\n" % n) != 1], [], f"all {len(sent)} mails of that time are there, each once")
after = dump(c, FOLDERS)
for f in FOLDERS[1:]:
    is_(after[f], before[f], f"{f}: UIDs, UIDVALIDITY, next UID, flags, dates")
is_([m for m in before["INBOX"][1] if m not in after["INBOX"][1]], [], "INBOX: what was there is as it was")
is_(re.search(rb"UIDVALIDITY \d+", after["INBOX"][0])[0], re.search(rb"UIDVALIDITY \d+", before["INBOX"][0])[0], "with its UIDVALIDITY")
is_(sorted(l for l in c.ok('LIST "" "*"') + c.ok('LSUB "" "*"')), lists, "the same folders and subscriptions, and no others")
ok(any(sb.user(2).encode() in l for l in c.ok('GETACL "A/b/c"')), "and rights")
is_([any(w in l for l in c.ok('GETMETADATA "A/b/c" (/private/comment /shared/comment)') + c.ok('GETMETADATA "" (/private/vendor/x)')) for w in (b'"mine"', b'"ours"', b'"everywhere"')],
    [True] * 3, "and annotations")
is_(two.tool("storectl", "check").returncode, 0, "check finds nothing there")
is_(sb.tool("storectl", "check").returncode, 0, "nor here")
is_(account(sb, 1)["messages"] <= account(two, 1)["messages"], True, "the old copy is still there")

# ---- what others remember -------------------------------------------------------------------------------------------
s = smtplib.LMTP(os.path.join(sb.env["RUNDIR"], "lmtpd.sock"))
s.ehlo()
s.mail("a@b.test")
is_(s.rcpt(f"{sb.user(1)}@{D}")[0], 450, "the old store takes no mail for it")
s.quit()
r = move(1)
is_(r.returncode, 0, "asked again it has only to tell") or tm.diag(r.stderr)
rows = [json.loads(l) for l in sb.tool("storectl", "account", "orphans", "--json", "--purge-after", "0").stdout.splitlines()]
ok(any(r.get("state") == "elsewhere" and r["account"] == f"{sb.user(1)}@{D}" for r in rows), "the old copy is an orphan")
is_(account(sb, 1), None, "which goes when it is due")
ok(account(two, 1), "the new one stays")

# ---- refused --------------------------------------------------------------------------------------------------------
b = Raw(sb, login=2)
b.append("INBOX", "Subject: two\r\n\r\nx\r\n")
is_(move(2, to="nowhere.test").returncode, 69, "a host whose certificate is another's is not trusted")
r = move(2, to="store9." + D)
is_((r.returncode, "this is " + THERE in r.stderr), (76, True), "nor is one that has another name") or tm.diag(r.stderr)
r = move(2, dn="cn=nobody," + sb.env["LDAP_BASE"])
ok(r.returncode in (69, 77), "who may not change the directory moves nothing") or tm.diag(r.stderr)
is_((mailhost(2), account(two, 2)), (HERE, None), "the mailbox stays here, and no copy there")
is_(b.append("INBOX", "Subject: three\r\n\r\nx\r\n")[1].split()[0], b"OK", "and is in use")
for words, code in (("take", 77), ("drop", 77)):
    ctx = wire.context(sb, sb.dir + "/tls")
    with socket.create_connection(("127.0.0.1", PORT), timeout=tm.LONG) as raw, ctx.wrap_socket(raw, server_hostname=THERE) as t:
        t.sendall(f"{words} {THERE} {sb.user(1)}@{D} -\n".encode())
        got = b"".join(iter(lambda: t.recv(65536), b"")).decode()
    ok(f"end {code}" in got, f"{words}: nothing is done to an account that lives there") or tm.diag(got)
stranger = wire.certificate(sb, "stranger.remote.test", "store")
with socket.create_connection(("127.0.0.1", PORT), timeout=tm.LONG) as raw, wire.context(sb, stranger).wrap_socket(raw, server_hostname=THERE) as t:
    got = b"".join(iter(lambda: t.recv(65536), b"")).decode()
ok(got.startswith("forbidden"), "a certificate of another role gets nothing")

# ---- interrupted ----------------------------------------------------------------------------------------------------
for n in range(200):
    b.append("INBOX", f"Subject: more {n}\r\n\r\n" + "y" * 3000 + "\r\n")
seen = dump(b, ["INBOX"])
kills = 0
for tries in range(12):
    p = subprocess.Popen(command(2), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        p.wait(0.03 * (tries + 1))
        break
    except subprocess.TimeoutExpired:
        p.send_signal(signal.SIGKILL)
        p.wait()
        kills += 1
    if mailhost(2) == THERE or account(sb, 2)["moved_at"]:
        break       # from here on it only goes on
    ok(tm.wait_for(lambda: b.append("Drafts", "Subject: d\r\n\r\nx\r\n")[1].startswith(b"OK")), f"killed {kills} times: the account is in use here")
tm.diag(f"killed {kills} times")
r = move(2)
is_((r.returncode, mailhost(2)), (0, THERE), f"killed {kills} times it goes on or begins anew, and arrives") or tm.diag(r.stderr)
b2 = proxy(2)
is_(dump(b2, ["INBOX"]), seen, "with everything")
# The other store goes away in the middle.
d = Raw(sb, login=3)
for n in range(30):
    d.append("INBOX", f"Subject: {n}\r\n\r\n" + "z" * 200 + "\r\n")
two.kill("stored")
r = move(3)
ok(r.returncode not in (0,) and mailhost(3) == HERE, "a store that is down takes nothing, and nothing changes") or tm.diag(r.stderr)
is_(d.append("INBOX", "Subject: still\r\n\r\nx\r\n")[1].split()[0], b"OK", "the account is in use here")
two.restart("stored")
seen = dump(d, ["INBOX"])
is_(move(3).returncode, 0, "when it is back the account moves")
is_(dump(proxy(3), ["INBOX"]), seen, "with everything")

# ---- between the mark and the directory ------------------------------------------------------------------------------
for n in (4, 5):
    e = Raw(sb, login=n)
    e.append("INBOX", f"Subject: {n}\r\n\r\nx\r\n")
    stream = subprocess.run([sb.bin("storectl"), "-q", "-c", sb.conf("tiermail.conf"), "backup", "-a", f"{sb.user(n)}@{D}", "-"], capture_output=True).stdout
    with socket.create_connection(("127.0.0.1", PORT), timeout=tm.LONG) as raw, ctx.wrap_socket(raw, server_hostname=THERE) as t:
        t.sendall(f"take {THERE} {sb.user(n)}@{D} -\n".encode() + stream)
        got = b"".join(iter(lambda: t.recv(65536), b"")).decode()
    ok("has messages=1" in got and got.endswith("end 0\n"), f"account {n} is copied") or tm.diag(got)
    with storewire.connect(sb.env["RUNDIR"] + "/stored.sock") as s:
        id = storewire.ask(s, storewire.ACCOUNT, storewire.body(name=f"{sb.user(n)}@{D}".encode())).get(storewire.R_ACCOUNT)
        is_([storewire.ask(s, storewire.FREEZE, storewire.body(account=id, use=how)).code for how in (1, 2)], [0, 0], "and marked")
ok(account(sb, 4)["moved_at"] and account(sb, 5)["moved_at"], "both are marked")
e = Raw(sb, login=4)
is_(len(e.ok("EXAMINE INBOX")) > 0, True, "the mailbox can be read here")
ok(e.append("INBOX", "Subject: no\r\n\r\nx\r\n")[1].startswith(b"NO"), "and not be changed")
r = move(4, "--back")
is_((r.returncode, account(two, 4), account(sb, 4)["moved_at"]), (0, None, None), "it goes back: the copy is gone") or tm.diag(r.stderr)
ok(e.append("INBOX", "Subject: yes\r\n\r\nx\r\n")[1].startswith(b"OK"), "and the mailbox in use")
r = move(5)
is_((r.returncode, mailhost(5), account(two, 5)["messages"]), (0, THERE, 1), "the other goes on") or tm.diag(r.stderr)

# ---- folders that are renamed meanwhile ------------------------------------------------------------------------------
f, stop = Raw(sb, login=6), threading.Event()
for name in ("one", "keep"):
    f.ok(f"CREATE {name}")
    for n in range(40):
        f.append(name, f"Subject: {n}\r\n\r\n{name}\r\n")
g = Raw(sb, login=6)
seen, turns = dump(f, ["one", "keep"]), [0]


def rename():
    names = ["one", "two"]
    try:
        while not stop.is_set() or names[0] != "one":
            if g.cmd(f"RENAME {names[0]} {names[1]}")[1].startswith(b"OK"):
                names.reverse()
                turns[0] += 1
    except (EOFError, OSError, AssertionError):
        pass        # moved


renamer = threading.Thread(target=rename, daemon=True)
renamer.start()
ok(tm.wait_for(lambda: turns[0] > 3), "a folder is renamed all the time")
r = move(6)
ok(r.returncode in (0, 75), "the account moves, or not now") or tm.diag(r.stderr)
stop.set()
renamer.join()
if r.returncode:
    is_((mailhost(6), account(two, 6)), (HERE, None), "then it stays here, and no copy there")
    is_(move(6).returncode, 0, "and moves when it is over")
h = proxy(6)
name = "one" if any(b'one' in l for l in h.ok('LIST "" one')) else "two"
now = dump(h, [name, "keep"])
is_((now["keep"], now[name][1], re.search(rb"UIDVALIDITY \d+", now[name][0])[0]), (seen["keep"], seen["one"][1], re.search(rb"UIDVALIDITY \d+", seen["one"][0])[0]),
    "with UIDs and UIDVALIDITY, whatever it is called")

# ---- the end -----------------------------------------------------------------------------------------------------
serve.terminate()
is_(serve.wait(tm.LONG), 0, "storectl serve ends in order")
tm.done()
