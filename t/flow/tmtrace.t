#!/usr/bin/env python3
"""tmctl trace: what sessions say, from when somebody asks until he goes, of all daemons that speak in lines; without
passwords, bounded, and for administrators alone."""
import base64, json, os, re, shutil, signal, socket, subprocess, sys, time

sys.path[:0] = [os.path.dirname(os.path.abspath(__file__))]
import tm, wire

HOST = f"127.{os.getpid() % 200 + 20}.{os.getpid() // 200 % 250}.7"
sb = tm.Sandbox("--users", "4", "--set", f"tiermail.control.address={HOST}", "--set", "imapd.workers=2", "--set", "mmpd.auth.delay=10ms")
D, PW = sb.domain, sb.password
SECRETS = [PW, base64.b64encode(PW.encode()).decode()] + [base64.b64encode(f"\0{sb.user(n)}\0{PW}".encode()).decode() for n in (1, 2)]


class Trace:
    def __init__(self, *args, conf=None):
        self.p = subprocess.Popen([sb.bin("tmctl"), "-c", conf or sb.conf("tiermail.conf"), *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def end(self, how=signal.SIGINT):
        """Its lines and exit code; what was said a moment ago is in them."""
        if how:
            self.p.send_signal(how)
        out, self.err = self.p.communicate(timeout=tm.LONG)
        self.rc, self.lines = self.p.returncode, out.splitlines()
        return "\n".join(self.lines)


def trace(*args, **kw):
    """One that has begun in every daemon."""
    before = {d: len(wire.log(sb, d, "ev=trace_start")) for d in DAEMONS}
    t = Trace(*args, **kw)
    only = args[args.index("-d") + 1].split(",") if "-d" in args else [d for d in DAEMONS if d not in ("smtp-relay", "lmtpd") or not any(a.startswith("user=") for a in args)]
    tm.ok(tm.wait_for(lambda: all(len(wire.log(sb, d, "ev=trace_start")) > before[d] for d in only)), "a trace of " + " ".join(args)) or tm.diag(t.end())
    return t


def imap(n, port="IMAPS"):
    w = wire.Line((sb.host, sb.port(port)), tls=sb)
    w.line()
    tm.ok(w.tagged(f"LOGIN {sb.user(n)} {PW}")[1].startswith("OK"), f"user {n} is in")
    return w


def sid_of(daemon, user):
    r = sb.tool("tmctl", "-j", "-d", daemon, "who", f"user={user}@{D}")
    return json.loads(r.stdout.splitlines()[0])["sid"]


DAEMONS = ("smtp-relay", "lmtpd", "imapd", "pop3d", "sieved", "mmpd")

# ---- of one session that is open already, and of no other
one, two = imap(1), imap(2)
sid = sid_of("imapd", sb.user(1))
t = trace("-d", "imapd", "trace", f"sid={sid}")
one.tagged("NOOP"), two.tagged("NOOP")      # the first command of a session in the middle is hidden
one.tagged("SELECT INBOX"), two.tagged("EXAMINE INBOX")
time.sleep(1.2)                             # over more than one round
one.tagged("CHECK")
text = t.end()
tm.ok(t.rc == 0 and " SELECT INBOX" in text and " CHECK" in text and "FLAGS" in text, "its commands and answers") or tm.diag(text, t.err)
tm.ok("EXAMINE" not in text and all(f" {sid} imap " in l for l in t.lines), "no other session's")
tm.ok("NOOP" not in text and "(hidden)" in text, "of what it was in the middle of, nothing")
tm.is_([l for l in wire.log(sb, "imapd", "ev=wire")], [], "the log has none of it")
tm.ok(wire.logged(sb, "imapd", "ev=trace_start", f"sid={sid}") and wire.logged(sb, "imapd", "ev=trace_end", "why=asked"), "but that there was a trace")
n = len(t.lines)
one.tagged("NOOP")

# ---- of a user, at proxy and store, also for sessions that begin later
t = trace("trace", f"user={sb.user(2)}@{D}")
three = imap(2, "MMP_IMAPS")
tm.ok(tm.wait_for(lambda: not sb.tool("tmctl", "-d", "mmpd", "who", f"user={sb.user(2)}@{D}").returncode), "a session by the proxy")
time.sleep(1.2)                             # a round has seen it
three.tagged("NOOP"), three.tagged("EXAMINE INBOX"), one.tagged("CAPABILITY")
text = t.end()
tm.is_([any(f" {d} " in l and "EXAMINE INBOX" in l for l in t.lines) for d in ("mmpd", "imapd")], [True, True], "what he says, at both") or tm.diag(text, t.err)
tm.ok("CAPABILITY" not in "".join(l for l in t.lines if "<<<" in l), "and nobody else")
tm.is_([l.split()[0] for l in t.lines], sorted(l.split()[0] for l in t.lines), "in the order of time")

# ---- of an address: everything, with passwords in every form
t = trace("-j", "trace", "peer=127.0.0.0/8", "seconds=60")
four = imap(3)
w = wire.Line((sb.host, sb.port("IMAPS")), tls=sb)
w.line()
w.say("a AUTHENTICATE PLAIN")
tm.ok(w.say(base64.b64encode(f"\0{sb.user(1)}\0{PW}".encode()).decode()) is not None, "AUTHENTICATE")
s = sb.smtp("SUBMISSION")
s.starttls(context=wire.context(sb))
s.ehlo()
s.login(sb.user(1), PW)
s.sendmail(f"{sb.user(1)}@{D}", [f"{sb.user(2)}@{D}"], "Subject: traced\r\n\r\nhello\r\n")
s.quit()
p = wire.Line((sb.host, sb.port("POP3S")), tls=sb)
p.line(), p.say(f"USER {sb.user(2)}")
tm.ok(p.say(f"PASS {PW}").startswith("+OK"), "POP3")
text = t.end()
rows = [json.loads(l) for l in t.lines]
tm.ok({"imapd", "smtp-relay", "pop3d"} <= {r["from"] for r in rows}, "all daemons") or tm.diag({r["from"] for r in rows}, t.err)
tm.ok(any(r["line"] == "PASS (hidden)" for r in rows) and any(r["line"].endswith("LOGIN (hidden)") for r in rows) and any(r["line"].startswith("AUTH") and "(hidden)" in r["line"] for r in rows), "that passwords were said")
tm.ok(any(r["line"] == "Subject: traced" for r in rows), "the message")
tm.is_([x for x in SECRETS if x in text], [], "no password is there")

# ---- bounds: time, octets, number; and a tool that dies
began = time.monotonic()
t = trace("-d", "imapd", "trace", "seconds=2", "peer=192.0.2.1")
t.end(how=None)
tm.ok(t.rc == 1 and t.lines == [] and 2 <= time.monotonic() - began < 6 * tm.SLOW, "seconds=2, and nobody came: exit 1")
t = trace("-d", "imapd", "trace", "size=2000", f"sid={sid}")
for _ in range(200):
    one.tagged("NOOP")
text = t.end(how=None)
tm.ok(t.rc == 0 and 1500 < len(text) <= 2000 and "size=2000" in t.err, "size=2000") or tm.diag(len(text), t.err)
many = [trace("-d", "imapd", "trace", f"sid={sid}") for _ in range(4)]
t = Trace("-d", "imapd", "trace", f"sid={sid}")
tm.ok("there are 4 traces already" in t.end(how=None) and t.rc == 65, "a fifth: exit 65") or tm.diag(t.lines, t.err)
for t in many:
    t.end(how=signal.SIGKILL)
tm.ok(tm.wait_for(lambda: len(wire.log(sb, "imapd", "ev=trace_end", "why=forgotten")) >= 4), "of tools that died nothing is left after seconds")
one.tagged("NOOP")
t = trace("-d", "imapd", "trace", f"sid={sid}")
flood = socket.create_connection((sb.host, sb.port("IMAP")))
for _ in range(40):
    one.sock.sendall(b"".join(b"x%d NOOP\r\n" % i for i in range(1000)))
    while b"x999 OK" not in one.sock.recv(65536):
        pass
text = t.end()
tm.ok(len(text) <= 1024 * 1024 + 1000, f"40000 commands in a moment: {len(text)} octets") or tm.diag(t.err)
tm.ok(sb.tool("tmctl", "-d", "imapd", "ping").stdout == "pong\n", "imapd lives")

# ---- a worker that is stuck: what it may have kept is missing, and that is said
worker = int(re.search(r"worker=1 pid=(\d+)", sb.tool("tmctl", "-d", "imapd", "status").stdout)[1])
t = trace("-d", "imapd", "trace", "seconds=2", "peer=127.0.0.1")
os.kill(worker, signal.SIGSTOP)
t.end(how=None)
os.kill(worker, signal.SIGCONT)
tm.ok(t.rc == 65 and "imapd: error: worker 1 does not answer" in t.err, "a worker that does not answer is named, and the trace no whole one: exit 65") or tm.diag(f"{t.rc}", t.err)

# ---- mistakes
tm.is_([sb.tool("tmctl", *a).returncode for a in (["trace"], ["trace", "seconds=3"], ["trace", "seconds=x", "sid=a"], ["trace", "size=x", "sid=a"])], [64] * 4, "mistakes: exit 64")
tm.is_([sb.tool("tmctl", "-d", "imapd", *a).returncode for a in (["trace", "peer=here"], ["trace", "name=x"], ["trace", "sid=" + 40 * "x"])], [65] * 3, "what a daemon refuses: exit 65")
tm.is_(sb.tool("tmctl", "-d", "smtp-relay", "trace", "user=x").returncode, 65, "smtp-relay knows no users to trace")

# ---- from afar: admins alone
if shutil.which("openssl"):
    wire.directory.certificates(sb.dir + "/host", ["store.remote.test"], [HOST], sb.dir + "/tls")
    for name in ("server.pem", "server.key"):
        os.replace(f"{sb.dir}/host/{name}", f"{sb.dir}/tls/{name}")
    tm.ok(sb.restart("imapd"), "imapd with a certificate for its address")

    def certificate(name, roles):
        folder = wire.certificate(sb, name, roles)
        with open(folder + "/conf", "w") as f:
            f.write(f"[tls]\nca = {sb.env['CAFILE']}\ncertificate = {folder}/server.pem\nkey = {folder}/server.key\n")
        return folder + "/conf"

    t = Trace("-H", HOST, "-d", "imapd", "trace", "peer=127.0.0.1", conf=certificate("alice.admin.test", "operator"))
    tm.ok("forbidden: trace is for the role admin" in t.end(how=None) and t.rc == 65, "an operator may not") or tm.diag(t.lines, t.err)
    t = trace("-H", HOST, "-d", "imapd", "trace", "peer=127.0.0.1", conf=certificate("bob.admin.test", "admin"))
    five = imap(1)
    five.tagged("EXAMINE INBOX")
    time.sleep(1.2)
    text = t.end()
    tm.ok(t.rc == 0 and f" {HOST}: imapd " in text and "EXAMINE INBOX" in text and PW not in text, "an admin may") or tm.diag(text, t.err)
    tm.ok(wire.logged(sb, "imapd", "ev=control ", "by=bob.admin.test", "trace start"), "and the log says who has")
    tm.is_([l for l in wire.log(sb, "imapd", "ev=control ", "trace take")], [], "once")
tm.done()
