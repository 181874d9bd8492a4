"""What the hostile tests share: sockets from another loopback address, transcripts and how to
damage them, a well-behaved client that must not notice, and a look at the daemons' health.

Runs from a seed: SEED=7 t/flow/hostile.t
"""
import base64, os, random, re, resource, socket, ssl, struct, threading, time
import pace, tm
from imapraw import Raw

SEED = int(os.environ.get("SEED", "1"))
rnd = random.Random(SEED)
REPORT = re.compile(r"Sanitizer|runtime error:|\bmust=|stack smashing|free\(\): |corrupted")
DAEMONS = ("smtp-relay", "lmtpd", "jobctl", "stored", "imapd")
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 65536), hard))
CROWD = min(2000, hard // 4)  # connections at once


# ---- where to connect -----------------------------------------------------------------------
def tcp(sb, port, source="127.0.0.2"):
    s = socket.socket()
    s.settimeout(tm.LONG)
    s.bind((source, 0))
    s.connect((sb.host, sb.port(port)))
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return s


def unix(sb, name, kind=socket.SOCK_STREAM):
    s = socket.socket(socket.AF_UNIX, kind)
    s.settimeout(tm.LONG)
    s.connect(os.path.join(sb.env["RUNDIR"], name))
    return s


def tls(sb, port):
    return Raw.context(sb).wrap_socket(tcp(sb, port), server_hostname="localhost")


# The name of a listener, how to reach it, and which transcripts are its own.
LISTENERS = {
    "smtp-relay mx": (lambda sb: tcp(sb, "SMTP"), "smtp"),
    "smtp-relay submission": (lambda sb: tcp(sb, "SUBMISSION"), "submission"),
    "smtp-relay submissions": (lambda sb: tls(sb, "SUBMISSIONS"), "submission"),
    "submit.sock": (lambda sb: unix(sb, "submit.sock"), "smtp"),
    "lmtpd": (lambda sb: tcp(sb, "LMTP"), "lmtp"),
    "lmtpd.sock": (lambda sb: unix(sb, "lmtpd.sock"), "lmtp"),
    "imapd": (lambda sb: tcp(sb, "IMAP"), "imap"),
    "imapd TLS": (lambda sb: tls(sb, "IMAPS"), "imap"),
}


# ---- what to say ------------------------------------------------------------------------------
def transcripts(sb, victim=3):
    """For each protocol some conversations as (bytes, the answer's last line begins with)."""
    user, box = sb.user(victim), f"{sb.user(victim)}@{sb.domain}"
    plain = base64.b64encode(f"\0{user}\0{sb.password}".encode()).decode()
    text = "From: <a@b.test>\r\nSubject: hostile\r\nMIME-Version: 1.0\r\n" \
           "Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\none\r\n--x--\r\n"
    mail = [(f"MAIL FROM:<a@b.test> SIZE={len(text)} BODY=8BITMIME\r\n", "250"), (f"RCPT TO:<{box}> NOTIFY=FAILURE\r\n", "250")]
    data = [("DATA\r\n", "354"), (text + ".\r\n", "250")]
    bdat = [(f"BDAT {len(text)} LAST\r\n{text}", "250")]
    quit = [("QUIT\r\n", "221")]

    def smtp(hello):
        return [[(hello, "250"), ("NOOP\r\n", "250"), ("VRFY postmaster\r\n", "252"), *mail, *data, *quit],
                [(hello, "250"), *mail, *bdat, ("RSET\r\n", "250"), *quit]]
    auth = [("EHLO x.test\r\n", "250"), (f"AUTH PLAIN {plain}\r\n", "235"),
            (f"MAIL FROM:<{box}>\r\n", "250"), (f"RCPT TO:<{box}>\r\n", "250"), *data, *quit]
    return {
        "smtp": smtp("EHLO x.test\r\n"),
        "lmtp": smtp("LHLO x.test\r\n"),
        "submission": [auth],
        "imap": [[(f"a LOGIN {user} {sb.password}\r\n", "a OK"), ("b SELECT INBOX\r\n", "b OK"),
                  (f"c APPEND INBOX (\\Seen) {{{len(text)}}}\r\n", "+"), (text + "\r\n", "c OK"),
                  ("d FETCH 1:* (UID FLAGS ENVELOPE BODYSTRUCTURE BODY.PEEK[1]<0.10>)\r\n", "d OK"),
                  ("e SEARCH OR SUBJECT \"x\" NOT (UNSEEN) BODY {3+}\r\none\r\n", "e OK"), ("f STORE 1:* +FLAGS.SILENT (\\Deleted k)\r\n", "f OK"),
                  ("g UID EXPUNGE 1:*\r\n", "g OK"), ("h IDLE\r\n", "+"), ("DONE\r\n", "h OK"), ("i LOGOUT\r\n", "i OK")]],
    }


NASTY = [b"\0", b"\xff", b"\r", b"\n", b"\r\n", b"\r\n.\r\n", b"\n.\n", b"<", b">", b'"', b"(" * 300, b"{", b"{4294967295}\r\n", b"{18446744073709551616+}\r\n",
         b"BDAT 99999999999999999999\r\n", b"BDAT 5\r\nabc", b"A" * 9000, b"%s%n", b"=" * 50, b"RSET\r\n", b"STARTTLS\r\n", b"*", b"-1", b"\x80\x80", b"\t" * 80]


def mutate(b, most=4):
    b = bytearray(b)
    for _ in range(rnd.randrange(1, most + 1)):
        at, how = rnd.randrange(len(b) + 1), rnd.randrange(5)
        if how == 0:
            b[at:at] = rnd.choice(NASTY)
        elif how == 1:
            del b[at:at + rnd.randrange(1, 30)]
        elif how == 2 and at < len(b):
            b[at] = rnd.randrange(256)
        elif how == 3:
            b[at:at] = b[rnd.randrange(len(b) + 1):][:60]
        else:
            b[at:at] = rnd.randbytes(rnd.randrange(1, 40))
    return bytes(b)


def read_some(s, seconds=0.02):
    """What is there by then; b"" at the end of the connection, None when nothing came."""
    s.settimeout(seconds)
    try:
        return s.recv(65536)
    except (TimeoutError, ssl.SSLWantReadError):
        return None
    except OSError:
        return b""
    finally:
        s.settimeout(tm.LONG)


def read_all(s, seconds=None, enough=lambda got: False):
    """Everything until the other side closes, or it is enough; second value: did it close?"""
    got, end = b"", time.monotonic() + (tm.LONG if seconds is None else seconds * tm.SLOW)
    while time.monotonic() < end and not enough(got):
        more = read_some(s, 0.2)
        if more == b"":
            return got, True
        got += more or b""
    return got, False


def answer(s, buf, kind):
    """The last line of one answer; buf is a bytearray with what was read too much."""
    while True:
        while b"\r\n" in buf:
            line, _, rest = bytes(buf).partition(b"\r\n")
            buf[:] = rest
            if kind == "imap":
                literal = re.search(rb"\{(\d+)\}$", line)
                if literal:
                    n = int(literal.group(1))
                    while len(buf) < n:
                        more = s.recv(65536)
                        if not more:
                            return b""
                        buf += more
                    del buf[:n]
                elif not line.startswith(b"* ") and not line.startswith((b")", b" ")):
                    return line
            elif line[3:4] != b"-":
                return line
        more = s.recv(65536)
        if not more:
            return b""
        buf += more


def speak(s, script, kind, step=0):
    """A conversation by the rules, `step` bytes at a time; None, or what went wrong."""
    buf = bytearray()
    if kind == "imap":
        while b"\r\n" not in buf:
            buf += s.recv(65536)
        buf[:] = bytes(buf).partition(b"\r\n")[2]
    else:
        answer(s, buf, kind)
    for say, want in script:
        say = say.encode()
        for i in range(0, len(say), step or len(say)):
            s.sendall(say[i:i + (step or len(say))])
        got = answer(s, buf, kind)
        if not got.startswith(want.encode()):
            return f"{say[:60]!r}: {got[:100]!r}"
    return None


def abort(s):
    """Closes with a reset."""
    try:
        if s.family != socket.AF_UNIX:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    except OSError:
        pass
    s.close()


# ---- who must not notice -------------------------------------------------------------------------
class Steady(threading.Thread):
    """Sends mail to user 1 and reads it back all the time; every answer must be right."""

    def __init__(self, sb):
        super().__init__(daemon=True)
        self.sb, self.sent, self.bad, self.slowest, self.over = sb, 0, [], (0.0, ""), threading.Event()
        self.pace = pace.Pace()

    def step(self, what, do, *args, **kw):
        """Seconds count as those of a quiet machine."""
        mark, start = self.pace.mark(), time.monotonic()
        do(*args, **kw)
        took = time.monotonic() - start
        if took > self.slowest[0]:
            slow = self.pace.since(mark)
            self.slowest = max(self.slowest, (took / slow, f"{what} took {took:.2f} s on a machine {slow:.1f} times slow"))

    def once(self, c):
        self.step("a message", self.sb.send, 1, subject=f"steady-{self.sent}", body="steady\r\n" * 20)
        self.sent += 1
        self.step("NOOP", c.ok, "NOOP")
        self.step("FETCH", c.ok, "FETCH 1:* (UID FLAGS)")

    def run(self):
        c = Raw(self.sb, login=1)
        c.ok("SELECT INBOX")
        while not self.over.is_set():
            try:
                self.once(c)
            except Exception as e:
                self.bad.append(f"{type(e).__name__}: {e}")
                if len(self.bad) > 5:
                    break
                try:
                    c = Raw(self.sb, login=1)
                    c.ok("SELECT INBOX")
                except Exception as again:
                    self.bad.append(str(again))
            self.over.wait(0.1 * tm.SLOW)
        c.close()

    def finish(self, what="the well-behaved client"):
        self.over.set()
        self.join(tm.LONG)
        tm.ok(not self.bad, f"{what} noticed nothing in {self.sent} messages") or tm.diag("\n".join(self.bad))
        took, why = self.slowest
        tm.ok(took < (20 if tm.SANITIZED else 5), f"and had its answers soon ({why})")
        tm.wait_for(lambda: self.sb.count(1) >= self.sent)
        seen = re.findall(rb"Subject: (steady-\d+)\r\n", b"".join(self.sb.messages(1, what="(BODY.PEEK[HEADER])")))
        tm.is_(sorted(seen), sorted(b"steady-%d" % i for i in range(self.sent)), "its messages have arrived, each once")


# ---- are they well? ---------------------------------------------------------------------------------
def reports(sb):
    """What sanitizers and checks have said in any log."""
    found = []
    run = os.path.join(sb.dir, "run")
    for name in sorted(os.listdir(run)):
        if name.endswith(".log"):
            with open(os.path.join(run, name), errors="replace") as f:
                found += [f"{name}: {line.strip()[:200]}" for line in f if REPORT.search(line)]
    return found


def ask_ctl(sb, name, line=b"metrics\n"):
    with unix(sb, name + ".ctl") as s:
        s.sendall(line)
        return read_all(s)[0].decode()


def usage(sb, name):
    """(descriptors, resident MiB, workers that were started again) of a daemon's processes."""
    text = ask_ctl(sb, name)
    def total(key):
        return sum(float(v) for v in re.findall(rf"^tiermail_{key}(?:{{[^}}]*}})? (\S+)$", text, re.M))
    return int(total("process_open_fds")), total("process_resident_bytes") / 2**20, int(total("worker_restarts_total"))


class Health:
    """What the daemons use before, and whether they are back there afterwards."""

    def __init__(self, sb, daemons=DAEMONS, fds=100, mib=64):  # lmtpd keeps files ready, by the dozen
        self.sb, self.daemons, self.fds, self.mib = sb, daemons, fds, mib
        self.pids = {d: sb.pid(d) for d in daemons}
        self.before = {d: usage(sb, d) for d in daemons}

    def grown(self):
        """Address sanitizer keeps freed memory in quarantine: only plain builds are measured."""
        bad = []
        for d in self.daemons:
            (fds0, mib0, _), (fds1, mib1, _) = self.before[d], usage(self.sb, d)
            if fds1 > fds0 + self.fds or (mib1 > mib0 + self.mib and not tm.SANITIZED):
                bad.append(f"{d}: descriptors {fds0} -> {fds1}, {mib0:.1f} -> {mib1:.1f} MiB")
        return bad

    def check(self, after):
        status = self.sb.call("status", self.sb.dir)
        tm.ok(status.returncode == 0, f"{after}: every daemon answers") or tm.diag(status.stdout)
        tm.is_(reports(self.sb), [], f"{after}: no report in a log")
        dead = [d for d in self.daemons if self.sb.pid(d) != self.pids[d] or usage(self.sb, d)[2] != self.before[d][2]]
        tm.is_(dead, [], f"{after}: no process was lost")
        tm.ok(tm.wait_for(lambda: not self.grown(), 40), f"{after}: no descriptor or memory is kept") or tm.diag("\n".join(self.grown()))


def down(sb):
    """At the end: leaks are reported when a process ends."""
    sb.call("down", sb.dir)
    tm.is_(reports(sb), [], "no report when the daemons end")
