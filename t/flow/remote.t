#!/usr/bin/env python3
"""Administration from other hosts: tmctl, mailq, jobctl-ctl and storectl -H over TLS, every verb by each role of certificate, who asked in the log,
and strangers who get nothing."""
import json, os, random, re, signal, socket, ssl, subprocess, sys, time

sys.path[:0] = [os.path.dirname(os.path.abspath(__file__))]
import tm, wire

tm.need("openssl")
# An address of our own, so that the ports are nobody else's; it is the name in the certificate, too.
HOST = f"127.{os.getpid() % 200 + 20}.{os.getpid() // 200 % 250}.9"
BASE = 4890
sb = tm.Sandbox("--users", "4", "--moves", "--set", f"tiermail.control.address={HOST}", "--set", "tiermail.roles.operator=carol.admin.test")
DAEMONS = {"smtp-relay": 0, "jobctl": 1, "stored": 2, "lmtpd": 3, "imapd": 4, "pop3d": 5, "mmpd": 6, "sieved": 7, "jmapd": 8, "memd": 9, "storectl-serve": 12}
wire.directory.certificates(sb.dir + "/host", ["store.remote.test"], [HOST, "127.0.0.1"], sb.dir + "/tls")
for name in ("server.pem", "server.key"):
    os.replace(f"{sb.dir}/host/{name}", f"{sb.dir}/tls/{name}")
for d in DAEMONS:
    tm.ok(sb.restart(d), f"{d} with a certificate for {HOST}")


def certificate(name, roles, mode="a"):
    folder = wire.certificate(sb, name, roles)
    with open(folder + "/conf", "w") as f:
        f.write(f"[tls]\nca = {sb.env['CAFILE']}\ncertificate = {folder}/server.pem\nkey = {folder}/server.key\n")
    return folder + "/conf"


def tmctl(conf, *args, host=HOST):
    return subprocess.run([sb.bin("tmctl"), "-c", conf, "-H", host, *args], capture_output=True, text=True)


ALICE, BOB, MOVER = certificate("alice.admin.test", "operator"), certificate("bob.admin.test", "admin"), certificate("mover.admin.test", "move")
CAROL, STORE, NOBODY = certificate("carol.admin.test", ""), certificate("store2.remote.test", "store"), certificate("nobody.remote.test", "")

# ---- every daemon answers
r = tmctl(ALICE, "ping")
tm.is_((r.returncode, sorted(r.stdout.split("\n"))[1:]), (0, sorted(f"{d}: pong" for d in DAEMONS)), "ping: each daemon of the host") or tm.diag(r.stderr)
r = tmctl(ALICE, "-j", "status")
tm.is_({json.loads(l)["daemon"] for l in r.stdout.splitlines() if "daemon" in json.loads(l)}, set(DAEMONS), "status, as JSON")
r = tmctl(ALICE, "-d", "imapd", "metrics")
tm.ok(r.returncode == 0 and r.stdout.rstrip().endswith("# EOF"), "metrics, to their end")
c = sb.imap(1)
r = tmctl(ALICE, "-d", "imapd", "who", f"user={sb.user(1)}@{sb.domain}")
tm.ok(r.returncode == 0 and f"user={sb.user(1)}@{sb.domain}" in r.stdout, "who: a user's session")
r = tmctl(ALICE, "-d", "imapd", "kick", f"user={sb.user(1)}@{sb.domain}")
tm.is_((r.returncode, r.stdout), (0, "kicked=1\n"), "kick ends it")
tm.ok(wire.logged(sb, "imapd", "ev=control ", "by=alice.admin.test", "from=remote", "kick"), "and the log says who asked")
tm.is_(tmctl(ALICE, "-d", "imapd", "who", "user=nobody@x.test").returncode, 1, "nobody there: as on the host itself")
tm.is_(tmctl(ALICE, "-d", "channel-master", "ping").returncode, 69, "what has no control socket has none from afar")

# ---- what serves other hosts is stopped: it is named, and waited for no longer than was asked for
pid = next(json.loads(l)["pid"] for l in tmctl(ALICE, "-j", "-d", "stored", "status").stdout.splitlines())
os.kill(pid, signal.SIGSTOP)
began = time.monotonic()
r = tmctl(ALICE, "-t", "1", "-d", "stored,imapd", "ping")
took = time.monotonic() - began
os.kill(pid, signal.SIGCONT)
tm.is_((r.returncode, r.stdout, r.stderr), (69, "imapd: pong\n", f"tmctl: {HOST}: stored: no answer within 1 s\n"), "a daemon of another host that is stopped")
tm.ok(took < 4 * tm.SLOW, f"is not waited for ({took:.1f})")
# ---- several hosts: one table, and one that is away does not keep it back for each of its daemons
AWAY = HOST[:-1] + "8"      # nobody answers there: its queue of connections is full
deaf = socket.create_server((AWAY, BASE), backlog=0)
crowd = [socket.socket() for _ in range(3)]
for s in crowd:
    s.setblocking(False)
    s.connect_ex((AWAY, BASE))
r = subprocess.run([sb.bin("tmctl"), "-c", ALICE, "-t", "2", "-H", f"{HOST},{AWAY}", "status"], capture_output=True, text=True)
rows = [l.split() for l in r.stdout.splitlines()]
tm.is_(rows[0], ["HOST", "DAEMON", "STATE", "VERSION", "PID", "UPTIME"], "status of two hosts: a table")
tm.is_({tuple(l[:3]) for l in rows[1:]}, {(HOST, d, "running") for d in DAEMONS} | {(AWAY, "-", "no")}, "with a row for each daemon, and one for the host that is away")
tm.ok(r.returncode == 69 and r.stderr.count("\n") == 1 and r.stderr.startswith(f"tmctl: {AWAY}: "), "which is said once: exit 69") or tm.diag(r.stderr)
for s in [deaf, *crowd]:
    s.close()
r = tmctl(ALICE, "-d", "stored,imapd", "version", host=f"{HOST},{HOST}")
tm.is_((r.returncode, [l.split()[:4] for l in r.stdout.splitlines()[1:]]), (0, 2 * [[HOST, d, "up", "0.1"] for d in ("stored", "imapd")]), "so is version")
r = tmctl(ALICE, "-j", "-d", "imapd", "ping", host=f"{HOST},{HOST}")
tm.is_([json.loads(l) for l in r.stdout.splitlines()], 2 * [{"host": HOST, "from": "imapd", "text": "pong"}], "-j: no table, but objects with their host")
# ---- where two hosts differ
tm.is_(tmctl(ALICE, "config", "diff", host=f"{HOST},{HOST}").returncode, 0, "config diff: a host is like itself")
own = sb.dir + "/own"
os.makedirs(own)
with open(ALICE) as f, open(own + "/tiermail.conf", "w") as to:
    to.write(f"rundir = {own}\nlog_level = warn\n[ldap]\nbase = {sb.env['LDAP_BASE']}\nurl = {sb.env['LDAP_URL']}\n" + f.read())
with open(own + "/jmapd.conf", "w") as f:
    f.write(f"[listen mine]\naddress = 127.0.0.1:{tm.free_port()}\n")
second = subprocess.Popen([sb.bin("jmapd"), "-c", own + "/jmapd.conf"], stderr=subprocess.DEVNULL)
tm.ok(tm.wait_for(lambda: subprocess.run([sb.bin("tmctl"), "-c", own + "/tiermail.conf", "ping"], capture_output=True).returncode == 0), "another jmapd")
r = tmctl(own + "/tiermail.conf", "config", "diff")
lines = r.stdout.splitlines()
tm.ok(r.returncode == 1 and f"jmapd: log_level: here(warn) {HOST}(info)" in lines, "a daemon here against the same of another host: exit 1") or tm.diag(r)
tm.ok(any(l.startswith("jmapd: [listen mine].address: here(") and l.endswith(f" {HOST}(none)") for l in lines) and all(l.startswith("jmapd: ") for l in lines), "also what only one has, but no daemons that only one has")
second.terminate()
second.wait()


def ask(conf, line, daemon="imapd"):
    """By hand: tmctl would not send all of these."""
    folder = os.path.dirname(conf) if conf else None
    c = wire.context(sb, folder)
    try:
        with socket.create_connection((HOST, BASE + DAEMONS[daemon]), timeout=tm.LONG) as s, c.wrap_socket(s, server_hostname=HOST) as t:
            t.sendall(line.encode() + b"\n")
            said = b""
            while more := t.recv(65536):
                said += more
            return said.decode()
    except (ssl.SSLError, ConnectionError) as e:
        return f"closed: {e}"


# ---- the queue's tools
sb.kill("lmtpd")
sb.send(2)
QID = tm.wait_for(lambda: next((l.split("qid=")[1].split()[0] for l in wire.log(sb, "smtp-relay", "ev=queued ")), None), what="a message that waits")


def tool(name, conf, *args, host=HOST):
    r = subprocess.run([sb.bin(name), "-c", conf, "-H", host, *args], capture_output=True, text=True)
    return r.returncode, r.stdout, r.stderr


tm.ok(tm.wait_for(lambda: "waiting" in tool("jobctl-ctl", ALICE, "list", QID)[1]), "jobctl-ctl list: of another host") or tm.diag(tool("jobctl-ctl", ALICE, "list", QID))
code, out, err = tool("mailq", ALICE, "-j")
tm.ok(code == 0 and [json.loads(l)["state"] for l in out.splitlines()] == ["waiting"], "mailq, as it is for who may not read its files") or tm.diag((code, out, err))
tm.is_(tool("mailq", ALICE, "-q", QID)[:2], (0, "1 message, 1 KiB: 0 ready, 1 waiting, 0 leased, 0 held\n"), "its counts")
for verb, conf, code, what in ((("hold", QID), ALICE, 0, "an operator holds"), (("release", QID), ALICE, 0, "and releases"), (("stop", "tcp_lmtp"), ALICE, 65, "but stops no channel"),
                               (("delete", QID), ALICE, 65, "and deletes nothing"), (("return", QID), CAROL, 65, "returns nothing"), (("delete", QID), MOVER, 65, "who moves deletes nothing"),
                               (("list",), MOVER, 65, "and sees nothing"), (("list",), STORE, 65, "nor does a store"), (("delete", QID), BOB, 0, "an admin deletes")):
    r = tool("jobctl-ctl", conf, *verb)
    tm.ok(r[0] == code and (code == 0 or "forbidden" in r[2]), f"jobctl-ctl {verb[0]}: {what}") or tm.diag(r)
tm.ok(wire.logged(sb, "jobctl", "ev=control ", "by=bob.admin.test", "from=remote", f'line="queue delete qid={QID}'), "the log says who it was")
tm.ok(wire.logged(sb, "jobctl", "ev=control_refused", "by=alice.admin.test", "line=\"queue delete"), "and who was refused")
tm.ok(wire.log(sb, "jobctl", "ev=delete ", QID) and sb.queue_empty(), "it is gone")
tm.is_(tool("mailq", ALICE)[:2], (0, "the queue is empty\n"), "mailq: nothing")
code, out, err = tool("mailq", STORE)
tm.ok(code == 69 and out == "" and "forbidden" in err, "mailq of who has no role: exit 69") or tm.diag((code, out, err))
tm.is_([tool("mailq", ALICE, "-f", "x")[0], tool("jobctl-ctl", ALICE, "show", QID)[0], tool("jobctl-ctl", ALICE, "list", "to=x")[0]], [64] * 3, "what stands in files is asked for where they are")
tm.is_([tool(n, ALICE, *a, host="localhost")[0] for n, a in (("mailq", ()), ("jobctl-ctl", ("list",)))], [69, 69], "nobody there: exit 69")
tm.ok(sb.restart("lmtpd"), "lmtpd is back")
for line in ("queue hello channel=tcp_lmtp who=x pid=1 slots=1", "queue new qid=x", "queue", "queue  ", "queue list\0", "queue lists"):
    said = ask(BOB, line, "jobctl")
    tm.ok("error: forbidden" in said or said.startswith("closed"), f"{line[:12]!r}: not even an admin") or tm.diag(said)
tm.is_([tool("jobctl-ctl", BOB, "queue")[0], tmctl(BOB, "-d", "imapd", "queue").returncode], [64, 64], "that is no command of theirs")

# ---- the store's tool, whose commands storectl serve runs: each one, each role
AT = ("-P", str(sb.port("MOVE")))
USER, OTHER = (f"{sb.user(n)}@{sb.domain}" for n in (1, 2))


def storectl(conf, *args, host="127.0.0.1"):
    return tool("storectl", conf, *AT, *args, host=host)


def here(*args):
    r = sb.tool("storectl", *args)
    return r.returncode, r.stdout, r.stderr


for n in (1, 2):
    sb.imap(n).logout()
for args in (("account", "list"), ("account", "show", USER), ("account", "show", "-j", USER), ("list", USER), ("list", "nobody@x.test"), ("acl", USER, "INBOX"), ("quota",), ("quota", USER),
             ("quota", "report", "-j"), ("stats",), ("check",), ("-q", "check"), ("list", "a b=%\n")):
    far, near = storectl(ALICE, *args), here(*args)
    tm.is_(far, near, f"storectl -H {' '.join(args)!r}: as on the host itself, with its exit code {near[0]}")
    far, near = storectl(MOVER, *args), storectl(STORE, *args)
    tm.is_((far[:2], near[:2], "role operator" in far[2], "role move" in near[2]), ((77, ""), (77, ""), True, True), "nobody but who has the role") or tm.diag((far, near))
ADMINS = (("acl", USER, "INBOX", OTHER, "lr"), ("quota", "set", "-m", "77", USER), ("quota", "reset", USER), ("quota", "recount"), ("quota", "-r", USER), ("quota", "warn", "-n"), ("readership", USER),
          ("reconstruct", USER), ("rethread", "-n"), ("snapshot",), ("expire", "-n"), ("undelete", "-n", "-a", USER), ("account", "orphans", "-n"), ("account", "rename", "-j", "none@x.test", "b@x.test"),
          ("account", "delete", "none@x.test"), ("-q", "account", "delete", "none@x.test"))
for args in ADMINS:
    for conf, who in ((ALICE, "an operator"), (MOVER, "who moves")):
        r = storectl(conf, *args)
        tm.ok(r[0] == 77 and r[1] == "" and "role admin" in r[2], f"storectl -H {' '.join(args)!r}: not {who}") or tm.diag(r)
    r = storectl(BOB, *args)
    tm.ok(r[0] not in (64, 69, 77) and "forbidden" not in r[2], "an admin may") or tm.diag(r)
    if args[:2] == ("quota", "set"):
        tm.ok(f'"own_messages":77' in here("quota", "report", "-j", USER)[1] or "77" in here("quota", "report", USER)[1], "it is done") or tm.diag(here("quota", "report", "-j", USER))
    if args[0] == "acl":
        tm.ok(OTHER in storectl(ALICE, "acl", USER, "INBOX")[1], "it is done")
for args in (("export", "--to", "mbox", USER, "/tmp/x"), ("import", "--from", "mbox", USER, "/etc/passwd"), ("backup", "-"), ("restore", "/tmp/x"), ("recover",), ("upgrade",), ("receive",), ("serve",),
             ("move", "-b", USER, HOST), ("-c", "/tmp/x", "list"), ("account",), ("acl", USER), ("acl", USER, "INBOX", OTHER), ("",), ("nonsense",)):
    r = storectl(BOB, "--", *args)
    tm.ok(r[0] == 77 and r[1] == "" and "nobody of another host" in r[2], f"storectl -H {' '.join(args)!r}: not even an admin") or tm.diag(r)
tm.ok(wire.logged(sb, "storectl-serve", "ev=control ", "by=bob.admin.test", "from=remote", 'line="run w=quota w=set'), "the log says who it was")
tm.ok(wire.logged(sb, "storectl-serve", "ev=control_refused", "by=alice.admin.test", 'line="run w=quota w=set'), "and who was refused")
tm.is_([storectl(c, "stats", host=h)[0] for c, h in ((ALICE, "localhost"), (NOBODY, "127.0.0.1"))], [69, 77], "another name than the certificate has; one without a role")


def say(conf, octets):
    c = wire.context(sb, os.path.dirname(conf))
    try:
        with socket.create_connection(("127.0.0.1", sb.port("MOVE")), timeout=tm.LONG) as s, c.wrap_socket(s, server_hostname="127.0.0.1") as t:
            t.sendall(octets)
            said = b""
            while more := t.recv(65536):
                said += more
            return said.decode()
    except (ssl.SSLError, ConnectionError) as e:
        return f"closed: {e}"


for line in (b"run w=%71uota w=set", b"run x=list", b"run list", b"run", b"run w=-q w=-c w=x w=list", b"run\0w=list", b"runs w=list", b"take " + HOST.encode() + b" " + USER.encode() + b" -"):
    said = say(ALICE, line + b"\n")
    tm.ok(said.startswith("forbidden"), f"{line[:24]!r}: refused") or tm.diag(said)
said = say(ALICE, b"x" * 100000)
tm.ok(said == "" or said.startswith("closed"), "a line without end: closed") or tm.diag(said)
tm.is_(say(ALICE, b"run w=account w=show w=" + USER.encode() + b"\nrun w=snapshot\n").count("end "), 1, "one is asked on a connection")
tm.ok(say(ALICE, b"run" + b" w=list" * 40 + b"\n").endswith("end 64\n"), "too many words: refused")
sessions = lambda n: tm.wait_for(lambda: f"sessions={n}\n" in tmctl(ALICE, "-d", "storectl-serve", "status").stdout)
tm.ok(sessions(0), "nothing is left open")
pid = next(json.loads(l)["pid"] for l in tmctl(ALICE, "-j", "-d", "stored", "status").stdout.splitlines())
os.kill(pid, signal.SIGSTOP)
p = subprocess.Popen([sb.bin("storectl"), "-c", BOB, "-H", "127.0.0.1", *AT, "snapshot"])
waits = sessions(1)
p.kill()
p.wait()
ended = sessions(0)
os.kill(pid, signal.SIGCONT)
tm.is_((waits, ended), (True, True), "whose asker has gone is ended, though it waits for a stored that is stopped")

# ---- each verb, each role
VERBS = {"ping": "oam", "status": "oam", "version": "oam", "metrics": "oa", "config": "oa", "who": "oa", "kick sid=none": "oa", "cache show": "oa", "forget nobody@x.test": "oa",
         "reload": "a", "drain nonsense": "a", "unheard-of": "a", "move nobody": "am", "@alice.admin.test reload": "a", "": "a"}


for verb, may in VERBS.items():
    for conf, who, role in ((ALICE, "an operator", "o"), (CAROL, "an operator by name", "o"), (BOB, "an admin", "a"), (MOVER, "one who moves", "m")):
        said = ask(conf, verb)
        good = "error: forbidden" not in said and not said.startswith("closed")
        tm.is_(good, role in may, f"{verb or 'an empty line'!r}: {who} {'may' if role in may else 'may not'}") or tm.diag(said)
tm.ok(wire.logged(sb, "imapd", "ev=control_refused", "by=alice.admin.test", "line=reload"), "what is refused is told in the log")
tm.is_(wire.log(sb, "imapd", "ev=control ", "by=alice.admin.test", "line=reload"), [], "and not done")
tm.is_(wire.log(sb, "imapd", "ev=reload", "by=alice"), [], "nobody speaks in another's name")
tm.ok(wire.logged(sb, "imapd", "ev=control ", "by=bob.admin.test", 'line=reload'), "the admin has")

# ---- strangers
for conf, who in ((STORE, "a store's certificate"), (NOBODY, "one without a role")):
    tm.ok(ask(conf, "ping").startswith("error: forbidden: this certificate is of no operator"), f"{who}: nothing")
tm.ok(wire.logged(sb, "imapd", "ev=role_refused", "certificate=store2.remote.test", "role=operator", "has=store"), "told in the log")
tm.ok(ask(None, "ping").startswith("closed"), "no certificate: no session")
r = tmctl(STORE, "-d", "imapd", "ping")
tm.is_((r.returncode, r.stdout[:16]), (65, "error: forbidden"), "tmctl: refused")
r = tmctl(ALICE, "-d", "imapd", "ping", host="localhost")
tm.ok(r.returncode == 69 and r.stdout == "", "another host name than the certificate has, or nobody there: nothing is asked") or tm.diag(r.stderr)
r = subprocess.run([sb.bin("tmctl"), "-c", sb.conf("tiermail.conf"), "-d", "imapd", "ping"], capture_output=True, text=True)
tm.is_(r.stdout, "pong\n", "the control socket is as ever")
tm.ok(tm.wait_for(lambda: sb.tool("tmctl", "-d", "imapd", "kick", "sid=none").returncode == 1) and wire.logged(sb, "imapd", "ev=control ", f"by=uid:{os.getuid()}", "from=local", "kick"),
      "which tells who asked, too")

# ---- who only holds connections shuts nobody out; hostile octets
held = [socket.create_connection((HOST, BASE + DAEMONS["imapd"])) for _ in range(100)]
tm.is_(tmctl(ALICE, "-d", "imapd", "ping").stdout, "pong\n", "a hundred who say nothing shut nobody out")
for s in held:
    s.close()
for line in ("x" * 100000, "ping\0reload", "ping\rreload", "\0" * 3000, "ping\nreload\nreload", "who " + "a=b " * 800):
    said = ask(ALICE, line)
    tm.ok("ok" not in said.split(), f"{line[:20]!r}: nothing is reloaded")
tm.is_(wire.log(sb, "imapd", "ev=control ", "by=alice.admin.test", "line=reload"), [], "one line is asked on a connection, and no other")
tm.is_(tmctl(ALICE, "-d", "imapd", "ping").stdout, "pong\n", "it answers as before")

# ---- the end: other daemons go on, this one is away
tm.is_(tmctl(BOB, "-d", "pop3d", "drain").stdout, "ok\n", "an admin ends a daemon")
tm.ok(tm.wait_for(lambda: tmctl(ALICE, "-d", "pop3d", "ping").returncode == 69), "which is away then")
tm.ok("pop3d" not in tmctl(ALICE, "ping").stdout, "and is passed over")
tm.done()
