#!/usr/bin/env python3
"""Every daemon ends soon after SIGTERM, whatever state its peers have left it in: five seconds when
nothing moves, drain_timeout when something does.  imapd's clients are t/flow/imapends.t's."""
import base64, os, shutil, signal, socket, ssl, subprocess, sys, tempfile, threading, time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "../cmd"), os.path.join(HERE, "../flow")]
import storewire, tm
from mta import Jobctl

SOON = 5       # seconds of a quiet machine
LATER = 6      # what drain_timeout is set to where something waits for it
HELLO = bytes.fromhex("16030100c8010000c40303") + bytes(40)  # the beginning of a ClientHello
QPUT = os.path.join(os.path.dirname(tm.BINDIR), "t/tools/qput")
TOP = tm.tempdir()


class Ending:
    """SIGTERM to a process, and how long it took to go."""

    def __init__(self, pid):
        self.clock, self.took, self.fd = tm.Stopwatch(), None, os.pidfd_open(pid)
        signal.pidfd_send_signal(self.fd, signal.SIGTERM)
        self.thread = threading.Thread(target=self.watch)
        self.thread.start()

    def watch(self):
        import select
        if select.select([self.fd], [], [], tm.LONG)[0]:
            self.took = time.monotonic() - self.clock.began
        os.close(self.fd)

    def within(self, least, soon, what):
        """Not before `least` seconds, and then soon: a timer goes as fast on a slow machine."""
        self.thread.join()
        if not tm.ok(self.took is not None and least <= self.took and self.clock.took(self.took - least) <= soon, what):
            tm.diag(f"after {self.took} s")


# ---- channel-master: a server that falls silent ----------------------------------------------------------------------

class Server(threading.Thread):
    """Answers as a server would until it is to be silent `at` something: the connection ("connect"), "greeting", a
    verb, "body" (it does not read) or "dot".  It goes on when it is told to."""

    def __init__(self, where, at=None, refuse=None):
        super().__init__(daemon=True)
        self.at, self.refuse, self.reached, self.go_on = at, refuse, threading.Event(), threading.Event()
        self.sock = socket.socket(socket.AF_UNIX if isinstance(where, str) else socket.AF_INET)
        self.sock.bind(where)
        self.sock.listen(0 if at == "connect" else 64)
        self.full = []
        if at == "connect":  # a queue that is full: a connection that neither comes nor fails
            for _ in range(4):
                s = socket.socket()
                s.setblocking(False)
                s.connect_ex(self.sock.getsockname())
                self.full.append(s)
            self.reached.set()
        else:
            self.start()

    def run(self):
        while True:
            c, _ = self.sock.accept()
            threading.Thread(target=self.serve, args=(c,), daemon=True).start()

    def silent(self, here):
        if here == self.at:
            self.reached.set()
            self.go_on.wait()

    def serve(self, c):
        f = c.makefile("rwb")
        try:
            self.silent("greeting")
            self.say(f, "220 test ESMTP")
            while line := f.readline():
                verb = line.split()[0].decode().upper()
                self.silent(verb)
                if verb in ("EHLO", "LHLO"):
                    self.say(f, "250-test\r\n250-PIPELINING\r\n250 STARTTLS" if self.at in ("STARTTLS", "handshake")
                             else "250-test\r\n250 PIPELINING")
                elif verb == "STARTTLS":
                    self.say(f, "220 go")
                    self.silent("handshake")
                elif verb == "DATA":
                    self.say(f, "354 go")
                    self.silent("body")
                    while f.readline() != b".\r\n":
                        pass
                    self.silent("dot")
                    self.say(f, "250 2.0.0 ok")
                elif verb == "RCPT" and self.refuse:
                    self.say(f, self.refuse)
                else:
                    self.say(f, "250 2.0.0 ok")
        except (OSError, ValueError):
            pass

    @staticmethod
    def say(f, text):
        f.write(text.encode() + b"\r\n")
        f.flush()


class Master:
    """A channel-master with one lease, alone in its folder."""

    def __init__(self, name, at=None, least=0, soon=SOON, result=None, left=1, dest=None, pause=None,
                 report=None, big=False, resolver=None):
        self.name, self.least, self.soon, self.result, self.left = name, least, soon, result, left
        self.pause = pause
        self.dir = d = tempfile.mkdtemp(dir=TOP)
        self.server = Server(("127.0.0.1", 0), at, "550 5.1.1 no" if report else None)
        self.relay = Server(f"{d}/submit.sock", report)
        port = self.server.sock.getsockname()[1]
        with open(f"{d}/tiermail.conf", "w") as f:
            f.write(f"hostname = relay.test\nrundir = {d}\nqueue = {d}/q\nstore = {d}/s\nuser =\ngroup =\n")
        with open(f"{d}/channels.conf", "w") as f:
            f.write("[channel tcp_local]\ntls = may\n")
        with open(f"{d}/channel-master.conf", "w") as f:
            f.write(f"drain_timeout = {LATER}s\n" + (f"[dns]\nresolvers = {resolver}\n" if resolver else ""))
        self.jobctl = Jobctl(f"{d}/jobctl.sock")
        dest = dest or f"127.0.0.1:{port}"
        text = b"Subject: x\r\n\r\n" + b"0123456789abcde\r\n" * (2000000 if big else 1)
        self.file = subprocess.run([QPUT, "-c", "tcp_local", "-d", dest, "-f", "s@y.test", f"{d}/q", "r@x.test"],
                                   input=text, capture_output=True, check=True).stdout.decode().split()[1]
        tm.watch_log(f"{d}/log")
        with open(f"{d}/log", "wb") as log:
            self.proc = subprocess.Popen([f"{tm.BINDIR}/channel-master", "-d", "-c", f"{d}/channel-master.conf",
                                          "tcp_local"], stdout=log, stderr=log)
        self.jobctl.accept()
        self.jobctl.work(self.file, dest, attempt=0, backoff=60)
        self.reached = (self.relay if report else self.server).reached if at or report else None

    def begin(self):
        if self.reached:
            tm.ok(self.reached.wait(tm.LONG), f"master, {self.name}: it has come so far")
        elif self.result == "done":
            self.jobctl.result()
        self.ending = Ending(self.proc.pid)
        if self.pause:
            threading.Timer(self.pause, self.server.go_on.set).start()

    def judge(self):
        said = self.jobctl.result()[0] if self.result not in (None, "done") else self.result
        threading.Thread(target=self.proc.wait).start()
        self.ending.within(self.least, self.soon, f"master, {self.name}: gone in time")
        tm.is_(said, self.result, f"master, {self.name}: what becomes of the lease") if self.result else None
        tm.is_(len([n for _, _, ns in os.walk(f"{self.dir}/q/tcp_local") for n in ns]), self.left,
               f"master, {self.name}: {self.left} in the queue")


hole = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)  # a DNS that hears and says nothing
hole.bind(("127.0.0.1", 0))
waits = dict(least=LATER - 1, soon=SOON + 1)
masters = [
    Master("a connection that does not come", "connect", result="drop"),
    Master("no greeting", "greeting", result="drop"),
    Master("no answer to EHLO", "EHLO", result="drop"),
    Master("no answer to STARTTLS", "STARTTLS", result="drop"),
    Master("no handshake", "handshake", result="drop"),
    Master("no answer to MAIL", "MAIL", result="retry"),
    Master("no answer to RCPT", "RCPT", result="retry"),
    Master("no answer to DATA", "DATA", result="retry"),
    Master("a body that is not read", "body", result="retry", big=True),
    Master("no answer to the whole message", "dot", **waits),
    Master("a late answer to the whole message", "dot", pause=3, least=2.5, soon=SOON + 1, result="done", left=0),
    Master("no answer to QUIT", None, result="done", left=0),
    Master("no DNS", None, dest="far.org", resolver="127.0.0.1@%d" % hole.getsockname()[1], result="drop"),
    Master("no greeting for its report", None, report="greeting"),
    Master("no answer to its report's MAIL", None, report="MAIL"),
    Master("no answer to its whole report", None, report="dot", **waits),
]


# ---- the servers: clients that fall silent ---------------------------------------------------------------------------

silent = Server(("127.0.0.1", 0), "MAIL")
sb = tm.Sandbox("--users", "4", "--without", "imapd", "--route", "far.test=smtp:127.0.0.1:%d" % silent.sock.getsockname()[1], "--set", f"jobctl.drain_timeout={LATER}s",
                "--set", f"lmtpd.drain_timeout={LATER}s", "--set", "tiermail.ldap.timeout=60s")
USER = f"{sb.user(1)}@{sb.domain}".encode()
run = sb.env["RUNDIR"]


class Client:
    """Says this, waits for as many lines of answer, says `last` and falls silent."""

    def __init__(self, name, where, *said, last=b"", reads=True, kind=socket.SOCK_STREAM):
        self.name, self.reads, self.ended = name, reads, None
        self.sock = socket.socket(socket.AF_UNIX if isinstance(where, str) else socket.AF_INET, kind)
        self.sock.settimeout(tm.LONG)
        self.sock.connect(where)
        if said:
            f = self.sock.makefile("rb")
            self.answer(f)
            for line in said:
                self.sock.sendall(line + b"\r\n")
                self.answer(f)
        if last:
            self.sock.sendall(last)

    @staticmethod
    def answer(f):
        while (line := f.readline())[3:4] == b"-":
            pass
        return line

    def flood(self, text, times=1000):
        """Says it until nothing more is taken, and reads nothing."""
        self.sock.settimeout(0.5)
        try:
            while True:
                self.sock.sendall(text * times)
        except TimeoutError:
            return self

    def listen(self):
        self.sock.settimeout(tm.LONG)
        try:
            while self.sock.recv(65536):
                pass
        except OSError:
            pass
        self.ended = time.monotonic()


mx, submission, submissions = ((sb.host, sb.port(p)) for p in ("SMTP", "SUBMISSION", "SUBMISSIONS"))
lmtp = (sb.host, sb.port("LMTP"))
pop3 = (sb.host, sb.port("POP3"))
sieve = (sb.host, sb.port("SIEVE"))
SIEVE = b'AUTHENTICATE "PLAIN" "%s"' % base64.b64encode(f"\0{sb.user(1)}\0{sb.password}".encode())
POP = {n: (f"USER {sb.user(n)}".encode(), f"PASS {sb.password}".encode()) for n in range(1, 5)}
E, M, R = b"EHLO c.test", b"MAIL FROM:<a@b.test>", b"RCPT TO:<%s>" % USER
L = b"LHLO c.test"
PING, HALF = storewire.head(storewire.PING), storewire.head(storewire.CREATE, flags=1)
clients = [
    Client("smtp-relay, nothing said", mx),
    Client("smtp-relay, half a command", mx, last=b"EHLO c."),
    Client("smtp-relay, EHLO", mx, E),
    Client("smtp-relay, MAIL", mx, E, M),
    Client("smtp-relay, RCPT", mx, E, M, R),
    Client("smtp-relay, DATA", mx, E, M, R, b"DATA"),
    Client("smtp-relay, half a message", mx, E, M, R, b"DATA", last=b"Subject: x\r\n\r\nhalf a li"),
    Client("smtp-relay, half a chunk", mx, E, M, R, last=b"BDAT 1000\r\nSubject: x\r\n"),
    Client("smtp-relay, one chunk of several", mx, E, M, R, b"BDAT 12\r\nSubject: x\r"),
    Client("smtp-relay, STARTTLS and no handshake", submission, E, b"STARTTLS"),
    Client("smtp-relay, STARTTLS and half a handshake", submission, E, b"STARTTLS", last=HELLO),
    Client("smtp-relay, no handshake", submissions),
    Client("smtp-relay, half a handshake", submissions, last=HELLO),
    Client("smtp-relay, no answer to a challenge", submission, E, b"AUTH PLAIN"),
    Client("smtp-relay, half a message at the local socket", f"{run}/submit.sock", E, M, R, b"DATA", last=b"x"),
    Client("smtp-relay, answers that nobody reads", mx, E, reads=False).flood(b"NOOP\r\n"),
    Client("lmtpd, nothing said", f"{run}/lmtpd.sock"),
    Client("lmtpd, half a command", lmtp, last=b"LHLO"),
    Client("lmtpd, RCPT", lmtp, L, M, R),
    Client("lmtpd, a transaction whose recipient was refused", f"{run}/lmtpd.sock", L, M, b"RCPT TO:<none@x.test>",
           b"BDAT 2 LAST\r\nxx"),
    Client("lmtpd, half a message", lmtp, L, M, R, b"DATA", last=b"Subject: x\r\n\r\nhalf a li"),
    Client("lmtpd, half a handshake", lmtp, L, b"STARTTLS", last=HELLO),
    Client("lmtpd, answers that nobody reads", f"{run}/lmtpd.sock", L, reads=False).flood(b"NOOP\r\n"),
    Client("pop3d, nothing said", pop3),
    Client("pop3d, half a command", pop3, last=b"USE"),
    Client("pop3d, a name and no password", pop3, b"USER x"),
    Client("pop3d, no answer to a challenge", pop3, b"AUTH PLAIN"),
    Client("pop3d, half an answer to it", pop3, b"AUTH PLAIN", last=b"AHVz"),
    Client("pop3d, STLS and no handshake", pop3, b"STLS"),
    Client("pop3d, STLS and half a handshake", pop3, b"STLS", last=HELLO),
    Client("pop3d, no handshake", (sb.host, sb.port("POP3S"))),
    Client("pop3d, nothing after the login", pop3, *POP[1]),
    Client("pop3d, half a command after it", pop3, *POP[2], last=b"RETR"),
    Client("pop3d, half a line that is too long", pop3, *POP[3], last=b"x" * 300),
    Client("pop3d, answers that nobody reads", pop3, b"UTF8", *POP[4], reads=False).flood(b"CAPA\r\n"),
    Client("sieved, nothing said", sieve),
    Client("sieved, half a command", sieve, last=b"AUTH"),
    Client("sieved, half a literal", sieve, last=b"NOOP {100+}\r\nx"),
    Client("sieved, no answer to a challenge", sieve, b'AUTHENTICATE "PLAIN"'),
    Client("sieved, STARTTLS and half a handshake", sieve, b"STARTTLS", last=HELLO),
    Client("sieved, nothing after the login", sieve, SIEVE),
    Client("sieved, half a script", sieve, SIEVE, last=b'PUTSCRIPT "x" {1000+}\r\nkeep;'),
    Client("sieved, answers that nobody reads", sieve, SIEVE, reads=False).flood(b"CAPABILITY\r\n"),
    Client("stored, nothing said", f"{run}/stored.sock", kind=socket.SOCK_SEQPACKET),
    Client("stored, half a body", f"{run}/stored.sock", kind=socket.SOCK_SEQPACKET, last=HALF),
    Client("stored, answers that nobody reads", f"{run}/stored.sock", kind=socket.SOCK_SEQPACKET, reads=False).flood(PING, 1),
    Client("jobctl, nothing said", f"{run}/jobctl.sock"),
    Client("jobctl, half a line", f"{run}/jobctl.sock", last=b"hello who=x pi"),
    Client("jobctl, answers that nobody reads", f"{run}/jobctl.sock", last=b"status\n" * 2000, reads=False),
    Client("jobctl, a reader that does not read", f"{run}/mailq.sock", last=b"status\n" * 2000, reads=False),
]
names = ["smtp-relay", "lmtpd", "pop3d", "sieved", "stored", "jobctl"]
clients += [Client(f"{n}, half a line to its control socket", f"{run}/{n}.ctl", last=b"stat") for n in names]
slapd = sb.pid("slapd")
tm.freeze(slapd)
clients += [
    Client("smtp-relay, a recipient that the directory is asked about", mx, E, M, last=R.replace(b"1@", b"2@") + b"\r\n"),
    Client("smtp-relay, a password that it is asked about", submission, E,
           last=b"AUTH PLAIN AHVzZXIwMDAyAHdyb25n\r\n"),
    Client("pop3d, a password that it is asked about", pop3, b"USER user0002", last=b"PASS wrong\r\n"),
    Client("lmtpd, a recipient that the directory is asked about", lmtp, L, M, last=R.replace(b"1@", b"3@") + b"\r\n"),
]
for m in masters:
    m.begin()
listening = [threading.Thread(target=c.listen) for c in clients if c.reads]
for t in listening:
    t.start()
watch = tm.Stopwatch()
endings = [(n, Ending(sb.pid(n))) for n in names]
for name, ending in endings:
    ending.within(0, SOON, f"{name}: gone within 5 s of SIGTERM")
for t in listening:
    t.join()
os.kill(slapd, signal.SIGCONT)
for c in clients:
    if c.reads and not watch.took(c.ended - watch.began) < SOON:
        tm.ok(False, f"{c.name}: over within 5 s")
        tm.diag(f"after {c.ended - watch.began:.1f} s")
for m in masters:
    m.judge()

# ---- what moves, and children that hang --------------------------------------------------------------------------------

for n in reversed(names[:]):
    tm.ok(sb.restart(n), f"{n} comes again")
far = Client("a message for a server that falls silent", f"{run}/submit.sock", E, b"MAIL FROM:<%s>" % USER,
             b"RCPT TO:<u@far.test>", b"DATA", last=b"Subject: x\r\n\r\nx\r\n.\r\n")
tm.ok(silent.reached.wait(tm.LONG), "a master is in the middle of a delivery")
master, = sb.pids_of("channel-master")
tm.freeze(master)
jobctl = Ending(sb.pid("jobctl"))
slow = Client("a message that comes slowly", mx, E, M, R, b"DATA")
waiting = Client("a message that stored has", f"{run}/lmtpd.sock", L, M, R, b"DATA")
stored = sb.pid("stored")
tm.freeze(stored)
waiting.sock.sendall(b"Subject: x\r\n\r\nx\r\n.\r\n")
lmtpd, relay = Ending(sb.pid("lmtpd")), Ending(sb.pid("smtp-relay"))
for _ in range(12):  # longer than silence is borne
    time.sleep(0.3)
    slow.sock.sendall(b"slow\r\n")
slow.sock.sendall(b".\r\n")
tm.ok(slow.answer(slow.sock.makefile("rb")).startswith(b"250 2.0.0 queued"), "a message that comes slowly is taken")
relay.within(3, SOON + 1, "then smtp-relay goes")
lmtpd.within(LATER - 1, SOON + 1, "lmtpd waits drain_timeout for what stored may have taken")
os.kill(stored, signal.SIGCONT)
jobctl.within(LATER - 1, SOON + 1, "jobctl waits drain_timeout for a master that hangs")
gone = Ending(master)
os.kill(master, signal.SIGCONT)
gone.within(0, SOON, "which goes when it can")
tm.is_(len([f for f in sb.queue_files() if "/tcp_local/" in f]), 1, "its message is in the queue")
tm.done()
