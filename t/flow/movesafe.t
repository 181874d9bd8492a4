#!/usr/bin/env python3
"""storectl move and what is not as it should be: two at once, a mark without a copy, an account of that name at the other
host, a host that talks without end or says nothing.  No mailbox in use is taken away, and none moves without its mail."""
import json, os, re, socket, ssl, struct, subprocess, threading, time
import tm, wire
import storewire as w
from imapraw import Raw

tm.need("ldapmodify")
ok, is_ = tm.ok, tm.is_
sb = tm.Sandbox("--users", "7", "--set", "stored.quota_warn=90", "--set", "tiermail.ldap.cache_age=0", "--set", "imapd.workers=1", "--without", "sieved")
two = tm.Sandbox("--join", sb.dir, "--role", "store", "--moves", "--set", "imapd.workers=1",
                 "--set", "storectl-serve.limit.clients=2", "--set", "storectl-serve.timeout.idle=2s")
HERE, THERE, D = sb.env["MAILHOST"], two.env["MAILHOST"], sb.domain
PORT = two.port("MOVE")
password = os.path.join(tm.tempdir(), "password")
with open(password, "w") as f:
    f.write(sb.env["LDAP_ADMIN_PASSWORD"] + "\n")


def name(n):
    return f"{sb.user(n)}@{D}"


def command(n, *args, port=PORT, who=("-D", sb.env["LDAP_ADMIN_DN"], "-y", password)):
    return [sb.bin("storectl"), "-c", sb.conf("tiermail.conf"), "move", "-A", "127.0.0.1", "-P", str(port), *who, *args, name(n), THERE]


def move(n, *args, **kw):
    return subprocess.run(command(n, *args, **kw), capture_output=True, text=True, timeout=tm.LONG)


def ldap(n, value):
    """mailHost, by hand."""
    text = f"dn: {dn(n)}\nchangetype: modify\nreplace: mailHost\nmailHost: {value}\n"
    r = subprocess.run(["ldapmodify", "-x", "-H", sb.env["LDAP_URL"], "-D", sb.env["LDAP_ADMIN_DN"], "-w", sb.env["LDAP_ADMIN_PASSWORD"]],
                       input=text, capture_output=True, text=True)
    assert r.returncode == 0, r.stderr


def search(n):
    return subprocess.run(["ldapsearch", "-x", "-LLL", "-o", "ldif-wrap=no", "-H", sb.env["LDAP_URL"], "-D", sb.env["LDAP_ADMIN_DN"], "-w",
                           sb.env["LDAP_ADMIN_PASSWORD"], "-b", sb.env["LDAP_BASE"], f"(uid={sb.user(n)})", "mailHost"], capture_output=True, text=True).stdout


def dn(n):
    return re.search(r"^dn: (.*)$", search(n), re.M)[1]


def mailhost(n):
    return re.search(r"^mailHost: (.*)$", search(n), re.M)[1]


def account(host, n):
    r = host.tool("storectl", "account", "show", "--json", name(n))
    return json.loads(r.stdout) if r.returncode == 0 else None


def mail(host, n, count):
    c = Raw(host, login=n)
    for i in range(count):
        c.append("INBOX", f"Subject: {n} {i}\r\n\r\nx\r\n")
    c.sock.close()


def stored():
    return w.connect(os.path.join(sb.env["RUNDIR"], "stored.sock"))


def freeze(s, n, how):
    id = w.ask(s, w.ACCOUNT, w.body(name=name(n).encode())).get(w.R_ACCOUNT)
    return w.ask(s, w.FREEZE, w.body(account=id, use=how))


def box(s, n):
    return w.ask(s, w.ACCOUNT, w.body(name=name(n).encode())).get(w.R_MAILBOX)


THAWED, FROZEN, MOVED = range(3)

# ---- two at once ----------------------------------------------------------------------------------------------------
mail(sb, 1, 3)
silent = socket.create_server(("127.0.0.1", 0))     # takes the connection and says nothing
first = subprocess.Popen(command(1, port=silent.getsockname()[1]), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
kept = silent.accept()
r = move(1)
is_((r.returncode, "is being moved" in r.stderr, mailhost(1)), (75, True, HERE), "of two who move an account the second is told so") or tm.diag(r.stderr)
r = sb.tool("storectl", "account", "rename", name(1), "other@" + D)
ok(r.returncode and account(sb, 1), "nor is it renamed meanwhile") or tm.diag(r.stderr)
r = sb.tool("storectl", "account", "delete", name(1))
ok(r.returncode and account(sb, 1), "nor deleted") or tm.diag(r.stderr)
with stored() as s:
    is_([freeze(s, 1, how).code for how in (FROZEN, MOVED, THAWED)], [w.CANNOT] * 3, "nor frozen, marked or thawed by anybody else")
mail(sb, 1, 1)
ok(True, "it is in use")
first.kill()
first.wait()
kept[0].close()
silent.close()
ok(tm.wait_for(lambda: move(1).returncode == 0), "when that one has ended it is moved")
is_((mailhost(1), account(two, 1)["messages"]), (THERE, 4), "with everything")

# ---- a mark without a copy ------------------------------------------------------------------------------------------
# As a kill of stored leaves it, when the mark was on disk and nobody was told.
mail(sb, 2, 5)
with stored() as s:
    is_([freeze(s, 2, how).code for how in (FROZEN, MOVED)], [w.DONE] * 2, "an account is marked as moved")
r = sb.tool("storectl", "account", "rename", name(2), "other@" + D)
ok(r.returncode and account(sb, 2), "it is not renamed")
r = move(2, "--back", who=())
is_((r.returncode, bool(account(sb, 2)["moved_at"])), (64, True), "nor taken back without a look at where it is") or tm.diag(r.stderr)
r = move(2)
is_((r.returncode, mailhost(2), (account(two, 2) or {}).get("messages")), (0, THERE, 5), "moved on it is copied first") or tm.diag(r.stderr)
mail(sb, 3, 2)
with stored() as s:
    freeze(s, 3, FROZEN)
    freeze(s, 3, MOVED)
r = move(3, "--back")
is_((r.returncode, account(sb, 3)["moved_at"], mailhost(3)), (0, None, HERE), "or it is taken back") or tm.diag(r.stderr)
mail(sb, 3, 1)

# ---- one of that name -----------------------------------------------------------------------------------------------
ldap(4, THERE)
mail(two, 4, 6)
ldap(4, HERE)
mail(sb, 4, 1)
r = move(4)
is_((r.returncode, account(two, 4)["messages"], mailhost(4)), (73, 6, HERE), "mail that the other host has of that name stays") or tm.diag(r.stderr)
is_(two.tool("storectl", "account", "rename", name(4), "old@" + D).returncode, 0, "until it has another name")
is_((move(4).returncode, account(two, 4)["messages"], mailhost(4)), (0, 1, THERE), "then the account moves")
ldap(4, HERE)       # by hand, and back again: there it is no copy any more
sb.tool("storectl", "account", "delete", name(4))
mail(sb, 4, 2)
r = move(4)
is_((r.returncode, account(two, 4)["messages"]), (73, 1), "what has come is at home there, and stays as well") or tm.diag(r.stderr)

# ---- a host that says too much, or nothing --------------------------------------------------------------------------
mail(sb, 5, 1)
tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
tls.load_cert_chain(two.dir + "/tls/server.pem", two.dir + "/tls/server.key")
endless = socket.create_server(("127.0.0.1", 0))


said = 0


def talk():
    global said
    try:
        peer = endless.accept()[0]
        endless.close()
        with tls.wrap_socket(peer, server_side=True) as t:
            t.recv(4096)
            while said < 64 << 20:
                said += t.send(b"x" * 65536)
    except OSError:
        pass


talker = threading.Thread(target=talk, daemon=True)
talker.start()
r = move(5, port=endless.getsockname()[1])
talker.join(tm.LONG)
ok(r.returncode == 69 and said < 16 << 20 and mailhost(5) == HERE, "who talks without end is not heard to the end") or tm.diag(f"{said} {r.stderr[-200:]}")


# ---- a host that does not read --------------------------------------------------------------------------------------
with stored() as s:
    id = w.ask(s, w.ACCOUNT, w.body(name=name(5).encode())).get(w.R_ACCOUNT)
    for n in range(150):    # more than the sockets hold, as the stream writes it
        r = w.ask(s, w.ANNOTATE, w.body(account=id, annotations=[w.annotation(b"/vendor/%d" % (n // 2), b"%" * 100000)], mailbox=0 if n % 2 else box(s, 5)))
        assert r.code == w.DONE, (r.code, r.text)
slow = socket.create_server(("127.0.0.1", 0))


def stall():
    with tls.wrap_socket(slow.accept()[0], server_side=True) as t:
        t.recv(4096)
        t.sendall(b"end 0\n")
    return tls.wrap_socket(slow.accept()[0], server_side=True)


def snapshots(pid):
    """Open ones of the process, by the table of readers in LMDB's lock file."""
    found = subprocess.run(["find", sb.dir, "-name", "lock.mdb"], capture_output=True, text=True).stdout.split()
    rows = []
    for path in found:
        with open(path, "rb") as f:
            data = f.read()[128:]
        rows += [struct.unpack_from("<Qi", data, at) for at in range(0, len(data) - 63, 64)]
    return [txn for txn, owner in rows if owner == pid and txn != (1 << 64) - 1], [1 for txn, owner in rows if owner == pid]


def blocked(pid):
    with open(f"/proc/{pid}/syscall") as f:
        return f.read().split()[0] in ("7", "271")     # poll, ppoll


p = subprocess.Popen(command(5, port=slow.getsockname()[1]), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
kept = stall()
ok(tm.wait_for(lambda: all(blocked(p.pid) or time.sleep(0.05) for _ in range(20))), "a host does not read what it is sent")
is_(snapshots(p.pid), ([], [1]), "no snapshot is open meanwhile")
p.kill()
p.wait()
kept.close()
slow.close()


def connection(words=b""):
    t = wire.context(sb, sb.dir + "/tls").wrap_socket(socket.create_connection(("127.0.0.1", PORT), timeout=tm.LONG), server_hostname=THERE)
    t.sendall(words)
    return t


def take(n, state):
    """As the other host does it: a pass of a copy.  The stream has all accounts, of which this one is taken."""
    stream = subprocess.run([sb.bin("storectl"), "-q", "-c", sb.conf("tiermail.conf"), "backup", "-s", state, "-"], capture_output=True).stdout
    with connection(f"take {THERE} {name(n)} -\n".encode() + stream) as t:
        return b"".join(iter(lambda: t.recv(65536), b"")).decode()


held = [connection(), connection(f"take {THERE} {name(5)} -\n".encode())]
got = [b"".join(iter(lambda: t.recv(65536), b"")) for t in held]
ok(got[1].endswith(b"nothing comes any more\nend 74\n"), "who says nothing any more is told so, and goes") or tm.diag(f"{got}")
ok(tm.wait_for(lambda: move(5).returncode == 0), "and others get their places")

# ---- the same octets again ------------------------------------------------------------------------------------------
state = tm.tempdir()
mail(sb, 7, 1)
got = take(7, state)
ok("has messages=1 " in got and account(two, 7)["coming_at"], "a first pass of a copy") or tm.diag(got)
with stored() as s:
    is_(w.ask(s, w.COPY, w.body(mailbox=box(s, 7), mailbox2=box(s, 7), ranges=[(1, 1)])).code, w.DONE, "a message has a copy beside it")
got = take(7, state)
ok("has messages=2 " in got, "which the next pass has") or tm.diag(got)


def requests():
    """Of each client that has gone."""
    return [int(n) for n in re.findall(r"ev=store_client who=storectl state=closed requests=(\d+)", "".join(wire.log(two, "stored", "ev=store_client")))]


mail(sb, 7, 1)
before = len(requests())
got = take(7, state)
ok(tm.wait_for(lambda: len(requests()) >= before + 2) and max(requests()[before:]) <= 8, "one asks for what has changed, and not for each folder") or tm.diag(f"{got} {requests()[before:]}")

# ---- one who cannot be warned ---------------------------------------------------------------------------------------
wire.modify(sb, 7, "replace: mailMsgQuota\nmailMsgQuota: 2")
with stored() as s:
    freeze(s, 7, FROZEN)
    r = sb.tool("storectl", "quota", "warn")
    is_((r.returncode, "is being moved" in r.stderr), (70, True), "a warning that cannot be given is no success") or tm.diag(r.stdout + r.stderr)
r = sb.tool("storectl", "quota", "warn")
is_((r.returncode, f"{name(7)}: " in r.stdout), (0, True), "later it is given") or tm.diag(r.stdout + r.stderr)

# ---- an orphan that somebody moves ----------------------------------------------------------------------------------
mail(sb, 6, 1)
subprocess.run(["ldapdelete", "-x", "-H", sb.env["LDAP_URL"], "-D", sb.env["LDAP_ADMIN_DN"], "-w", sb.env["LDAP_ADMIN_PASSWORD"], dn(6), dn(7)], check=True)
with stored() as s:
    freeze(s, 6, FROZEN)
    r = sb.tool("storectl", "account", "orphans", "--purge-after", "0")
    is_((r.returncode, account(sb, 7)), (70, None), "one orphan that somebody moves keeps no other from going")
    ok(f"account_purged account={name(6)}" not in r.stderr and account(sb, 6), "what cannot be purged is not told as purged") or tm.diag(r.stderr)
r = sb.tool("storectl", "account", "orphans", "--purge-after", "0")
ok(r.returncode == 0 and f"account_purged account={name(6)}" in r.stderr and not account(sb, 6), "then it is") or tm.diag(r.stderr)

# ---- a daemon that cannot be told -----------------------------------------------------------------------------------
with socket.socket(socket.AF_UNIX) as deaf:
    deaf.bind(sb.env["RUNDIR"] + "/sieved.ctl")
    deaf.listen()
    hang_up = threading.Thread(target=lambda: deaf.accept()[0].close(), daemon=True)
    hang_up.start()
    r = sb.tool("storectl", "account", "delete", name(3))
    hang_up.join(tm.LONG)
is_((r.returncode, "sieved may still know it" in r.stderr, account(sb, 3)), (0, True, None), "a daemon that could not be told is named") or tm.diag(r.stderr)
os.unlink(sb.env["RUNDIR"] + "/sieved.ctl")

for host in (sb, two):
    is_(host.tool("storectl", "check").returncode, 0, "check finds nothing")
tm.done()
