#!/usr/bin/env python3
"""tmctl and the health listeners: who is there, one of them sent away, a drain that takes its time, and what
load balancers hear meanwhile."""
import json, os, pwd, re, select, shutil, signal, socket, subprocess, sys, time

sys.path[:0] = [os.path.dirname(os.path.abspath(__file__))]
import tm, wire

PORT = {n: tm.free_port() for n in ("mmp", "agent", "relay")}
SETS = []
for daemon, name, role, port in (("mmpd", "health", "health", "mmp"), ("mmpd", "agent", "agent", "agent"), ("smtp-relay", "health", "health", "relay")):
    SETS += ["--set", f"{daemon}.listen {name}.address=127.0.0.1:{PORT[port]}", "--set", f"{daemon}.listen {name}.role={role}"]
sb = tm.Sandbox("--users", "8", *SETS, "--set", "mmpd.workers=2", "--set", "mmpd.limit.clients=40", "--set", "mmpd.auth.delay=10ms")
D, PW = sb.domain, sb.password


def tmctl(*args):
    r = sb.tool("tmctl", *args)
    return r.returncode, r.stdout.splitlines(), r.stderr


def fields(*args):
    """The objects of `tmctl -j`."""
    return [json.loads(line) for line in tmctl("-j", *args)[1]]


def login(n):
    w = wire.Line((sb.host, sb.port("MMP_IMAPS")), tls=sb)
    w.line()
    tm.ok(w.tagged(f"LOGIN {sb.user(n)} {PW}")[1].startswith("OK"), f"user {n} is in")
    return w


def ask(port, text=b""):
    with socket.create_connection(("127.0.0.1", PORT[port]), timeout=tm.LONG) as s:
        if text:
            s.sendall(text)
        got = b""
        while piece := s.recv(4096):
            got += piece
    return got.decode()


def http(port="mmp", method="GET"):
    return ask(port, f"{method} /health HTTP/1.1\r\nHost: lb\r\nAccept: */*\r\n\r\n".encode())


# ---- who
w1, w1b, w2 = login(1), login(1), login(2)
w2.tagged("SELECT INBOX")
p = wire.Line((sb.host, sb.port("MMP_POP3S")), tls=sb)
p.line(), p.say(f"USER {sb.user(3)}")
tm.ok(p.say(f"PASS {PW}").startswith("+OK"), "user 3 by POP3")
rc, lines, _ = tmctl("-d", "mmpd", "who")
tm.ok(rc == 0 and len(lines) == 4 and all(line.startswith("session sid=") for line in lines), "who: four sessions, of both workers")
rows = fields("who", f"user={sb.user(1).upper()}@{D}")
tm.is_(sorted((r["from"], r["protocol"]) for r in rows), [("imapd", "imap")] * 2 + [("mmpd", "imap")] * 2, "of one user, at the proxy and at the store")
tm.is_(len({r["sid"] for r in rows}), 2, "under the same session ids")
row = [r for r in rows if r["from"] == "mmpd"][0]
tm.is_((row["state"], row["peer"], row["tls"], row["store"], row["is"]), ("joined", "127.0.0.1", "yes", sb.env["MAILHOST"], "session"), "with what a session is")
tm.is_({r["state"] for r in fields("-d", "imapd", "who", f"user={sb.user(2)}@{D}")}, {"selected"}, "imapd: who has a mailbox selected")
tm.is_([r["from"] for r in fields("who", "protocol=pop3", "peer=127.0.0.0/8")], ["mmpd", "pop3d"], "by protocol and network")
tm.is_(tmctl("who", "peer=192.0.2.1")[0], 1, "nobody: exit 1")
for bad in ("peer=here", "name=x", "user", "user="):
    rc, lines, _ = tmctl("-d", "mmpd", "who", bad)
    tm.ok(rc == 65 and "error: " in lines[0], f"who {bad}: exit 65")

# ---- kick
sid = row["sid"]
tm.is_(tmctl("-d", "mmpd", "kick")[0], 65, "kick without whom: exit 65")
tm.is_(tmctl("-d", "mmpd", "kick", f"user=nobody@{D}"), (1, ["kicked=0", "kicked=0"], ""), "kick nobody: exit 1")
rc, lines, _ = tmctl("-d", "mmpd", "kick", f"sid={sid}", f"user={sb.user(1)}@{D}")
tm.ok(rc == 0 and sorted(lines) == ["kicked=0", "kicked=1"], "kick one session")
tm.ok(tm.wait_for(lambda: len(fields("-d", "imapd", "who", f"user={sb.user(1)}@{D}")) == 1), "the store has lost it too")
# Which of the two it was is not known before.
heard = [w for w in (w1, w1b) if select.select([w.sock], [], [], 0)[0]]
tm.is_([w.line()[:5] for w in heard], ["* BYE"], "one of the two is told, with a BYE")
other = w1b if heard[0] is w1 else w1
tm.ok(other.tagged("NOOP")[1].startswith("OK"), "the other one goes on")
tm.ok(wire.logged(sb, "mmpd", "ev=kick", f"sid={sid}"), "it is in the log")
tm.is_(tmctl("-d", "imapd", "kick", f"user={sb.user(2)}@{D}")[1], ["kicked=1"], "kick at the store")
tm.ok(w2.line().startswith("* BYE"), "is told through the proxy")
tm.is_(tmctl("-d", "pop3d", "kick", "protocol=pop3")[1], ["kicked=1"], "kick of POP3")
tm.ok("" in (p.line(), p.line()), "ends it")

# ---- version, and programs that were replaced under those that run
rc, lines, _ = tmctl("-d", "mmpd,stored", "version")
tm.ok(rc == 0 and [line.split()[:2] for line in lines] == [["mmpd:", "daemon=mmpd"], ["stored:", "daemon=stored"]], "version of two daemons")
tm.is_({r["replaced"] for r in fields("version")}, {"no"}, "none was replaced")
program = os.path.join(sb.dir, "jmapd")
shutil.copy2(sb.bin("jmapd"), program)
own = os.path.join(sb.dir, "second")
os.makedirs(own)
with open(own + "/tiermail.conf", "w") as f:
    f.write(f"rundir = {own}\nuser = {pwd.getpwuid(os.getuid()).pw_name}\nlog_to = stderr\n[ldap]\nbase = {sb.env['LDAP_BASE']}\nurl = {sb.env['LDAP_URL']}\n")
with open(own + "/jmapd.conf", "w") as f:
    f.write(f"[listen x]\naddress = 127.0.0.1:{tm.free_port()}\n")
with open(own + "/log", "w") as f:
    second = subprocess.Popen([program, "-c", own + "/jmapd.conf"], stderr=f)


def second_tmctl(*args):
    r = subprocess.run([sb.bin("tmctl"), "-c", own + "/tiermail.conf", *args], capture_output=True, text=True)
    return r.returncode, r.stdout


tm.ok(tm.wait_for(lambda: second_tmctl("ping")[0] == 0), "a daemon from a file of its own")
tm.ok(second_tmctl("version")[0] == 0 and " replaced=no\n" in second_tmctl("version")[1], "as long as that is its program")
shutil.copy2(program, program + ".new")
os.replace(program + ".new", program)
rc, out = second_tmctl("version")
tm.ok(rc == 1 and out.endswith(" replaced=program\n"), "an upgrade that was not followed by a restart: exit 1") or tm.diag(out)
rc, out = second_tmctl("-T", "version")
tm.ok(rc == 1 and re.match(r"DAEMON +STATE +VERSION +PID +UPTIME\njmapd +up +\S+ +\d+ +\d+s +its program was replaced: restart it\n$", out), "also in the table") or tm.diag(out)
second.terminate()
tm.is_(second.wait(), 0, "it ends")

# ---- cache, status, reload
cached = lambda: sum(r["cached"] for r in fields("-d", "mmpd", "cache", "show"))
tm.ok(cached() > 0, "cache show")
tm.is_(tmctl("-d", "mmpd", "cache", "purge", f"{sb.user(1)}@{D}")[0], 0, "cache purge of a user")
left = cached()
tm.is_(tmctl("cache", "purge")[0], 0, "cache purge, of all daemons")
tm.ok(cached() < left, "leaves less")
tm.is_(tmctl("cache", "burn")[0], 65, "cache burn: exit 65")
names = {r["from"] for r in fields("status")}
tm.ok({"mmpd", "imapd", "pop3d", "smtp-relay", "stored"} <= names, "status of all")
tm.is_({line for line in tmctl("ping")[1]}, {f"{n}: pong" for n in names}, "ping")
tm.is_(tmctl("-d", "mmpd", "reload"), (0, ["ok"], ""), "reload")
with open(sb.conf("mmpd.conf")) as f:
    good = f.read()
with open(sb.conf("mmpd.conf"), "a") as f:
    f.write("\n[limit]\nclinets = 3\n")
tm.is_(tmctl("-d", "mmpd", "reload")[0], 65, "reload of what is wrong: exit 65")
with open(sb.conf("mmpd.conf"), "w") as f:
    f.write(good)
tm.is_(tmctl("-d", "nobody", "ping")[0], 69, "a daemon that is not there: exit 69")
tm.is_([tmctl(*a)[0] for a in (["frobnicate"], [], ["drain"], ["-d", "a/b", "ping"], ["ping", "x\ny"])], [64] * 5, "mistakes: exit 64")
tm.is_([tmctl("-d", "mmpd", "drain", n)[0] for n in ("x", "-1", "99999999")], [65] * 3, "drain in no number of seconds: exit 65")

# ---- who does not answer is named, and nobody waits for him for ever
def stopped(pid, *args):
    """What tmctl says while that process is stopped, and how long it took."""
    os.kill(pid, signal.SIGSTOP)
    try:
        began = time.monotonic()
        return (*tmctl(*args), time.monotonic() - began)
    finally:
        os.kill(pid, signal.SIGCONT)


workers = {r["worker"]: r["pid"] for r in fields("-d", "mmpd", "status") if "pid" in r and "worker" in r}
tm.is_(sorted(workers), [0, 1], "the two workers of mmpd")
rc, lines, err, took = stopped(workers[1], "-d", "mmpd,imapd", "status")
tm.ok(rc == 65 and "mmpd: worker=1 error: worker 1 does not answer" in lines, "a stopped worker is named: exit 65")
tm.ok(any(line.startswith("mmpd: worker=0 pid=") for line in lines) and any(line.startswith("imapd: daemon=imapd") for line in lines), "the other one and other daemons have their say")
tm.ok(took < 9 * tm.SLOW, f"within seconds ({took:.1f})")
tm.ok(tm.wait_for(lambda: tmctl("-d", "mmpd", "status")[0] == 0), "and goes on with it as if nothing had been")
tm.is_(stopped(workers[0], "-d", "mmpd", "who", "user=nobody")[:2], (65, ["error: worker 0 does not answer"]), "who: an error, and not nobody")
parent = [r for r in fields("-d", "mmpd", "status") if "daemon" in r][0]["pid"]
for daemon, pid in (("mmpd", parent), ("stored", sb.pid("stored"))):
    rc, lines, err, took = stopped(pid, "-t", "1", "-d", f"{daemon},imapd", "ping")
    tm.is_((rc, lines, err), (69, ["imapd: pong"], f"tmctl: {daemon}: no answer within 1 s\n"), f"{daemon} is stopped as a whole: exit 69")
    tm.ok(1 <= took < 4 * tm.SLOW, f"after the time that was given ({took:.1f})")
# Its queue of those who wait is full some time.
os.kill(parent, signal.SIGSTOP)
queue = []
while len(queue) < 5000:
    s = socket.socket(socket.AF_UNIX)
    s.setblocking(False)
    try:
        s.connect(sb.env["RUNDIR"] + "/mmpd.ctl")
    except BlockingIOError:
        break
    queue.append(s)
rc, lines, err = tmctl("-t", "1", "-d", "mmpd", "ping")
tm.is_((len(queue) < 5000, rc, err), (True, 69, "tmctl: mmpd: no answer within 1 s\n"), "nor for a place in it")
for s in queue:
    s.close()
os.kill(parent, signal.SIGCONT)
tm.ok(tm.wait_for(lambda: tmctl("-d", "mmpd", "ping")[0] == 0), "then it answers again")
tm.is_([tmctl("-t", n, "ping")[0] for n in ("0", "x", "3601")], [64] * 3, "a limit that is none: exit 64")

# ---- health
tm.ok(http().startswith("HTTP/1.1 200 ") and http().endswith("\r\n\r\nok\n"), "health of mmpd: 200")
tm.ok(http("relay").startswith("HTTP/1.1 200 "), "and of smtp-relay")
tm.ok(http(method="HEAD").startswith("HTTP/1.1 200 ") and http(method="HEAD").endswith("\r\n\r\n"), "HEAD has no body")
tm.ok(http(method="POST").startswith("HTTP/1.1 405 "), "POST: 405")
tm.is_(ask("agent"), "ready up 98%\n", "agent: one of 40 sessions is taken")
for what, sent in (("a long line", b"GET /" + b"a" * 70000), ("a long head", b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 5000), ("nothing", b"\r\n\r\n")):
    try:
        got = ask("mmp", sent)
    except ConnectionError:
        got = ""
    tm.ok(got == "" or got.startswith("HTTP/1.1 405"), f"{what} gets no 200")
crowd = [socket.create_connection(("127.0.0.1", PORT["mmp"]), timeout=tm.LONG) for _ in range(200)]
tm.ok(http().startswith("HTTP/1.1 200 "), "200 silent ones keep nobody out")
tm.ok(tm.wait_for(lambda: select.select(crowd, [], [], 0)[0]), "of 200 silent ones some are closed at once")
tm.ok(all(tm.wait_for(lambda s=s: select.select([s], [], [], 0)[0]) for s in crowd), "and the others after 5 seconds")
for s in crowd:
    s.close()
tm.ok(tm.wait_for(lambda: http().startswith("HTTP/1.1 200 ")), "then there is room again")
with open(sb.conf("mmpd.conf"), "w") as f:
    f.write(good.replace("role = health\n", "role = health\ntls = implicit\n"))
rc, _, err = tmctl("-d", "mmpd", "reload")
tm.ok(rc == 65, "tls of a health listener: refused: " + err)
with open(sb.conf("mmpd.conf"), "w") as f:
    f.write(good)

# ---- a drain in an hour, then in 4 seconds
SECONDS = 4 * tm.SHORT
crowd = {w.sock: w for w in [login(n % 8 + 1) for n in range(12)] + [other]}
busy = wire.Line((sb.host, sb.port("MMP_IMAPS")), tls=sb)
busy.line()
tm.is_(tmctl("-d", "mmpd", "drain", "3600")[0], 0, "drain, spread over an hour")
time.sleep(1)
tm.is_(select.select(list(crowd), [], [], 0)[0], [], "a second later all are there yet")
tm.is_(tmctl("-d", "mmpd", "drain", str(int(SECONDS))), (0, ["ok"], ""), "drain, spread over seconds")
began = time.monotonic()
tm.ok(http().startswith("HTTP/1.1 503 "), "health: 503 at once")
tm.is_(ask("agent"), "drain\n", "agent: drain")
tm.ok(http("relay").startswith("HTTP/1.1 200 "), "the relay's is its own")
tm.is_({r["state"] for r in fields("-d", "mmpd", "status") if "state" in r and "daemon" in r}, {"leaving"}, "status: leaving")
late = wire.Line((sb.host, sb.port("MMP_IMAPS")), tls=sb)
tm.ok(late.line().startswith("* OK"), "who comes nevertheless is served")
ends = []
while crowd and time.monotonic() - began < tm.LONG:
    for s in select.select(list(crowd), [], [], 1)[0]:
        tm.ok(crowd.pop(s).line().startswith("* BYE"), "a session ends with BYE")
        ends.append(time.monotonic() - began)
tm.is_(len(ends), 13, "all have ended")
tm.ok(ends and ends[-1] - ends[0] >= 1 and ends[0] < SECONDS, "not all at once: %s" % [round(e, 1) for e in ends])
tm.ok(tm.wait_for(lambda: not sb.pids_of("mmpd")), "and then mmpd is gone")
tm.is_(tmctl("-d", "mmpd", "ping")[0], 69, "ping: exit 69")
tm.ok("mmpd" not in {r["from"] for r in fields("status")}, "the others are asked without it")
tm.done()
