"""What the flow tests share: TAP, a sandbox for the life of the test, SMTP and IMAP by hand.

    import tm
    sb = tm.Sandbox("--users", "20")
    tm.ok(cond, "what it means")
    tm.done()
"""
import atexit, imaplib, json, os, re, shutil, signal, smtplib, socket, subprocess, sys, tempfile, time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BINDIR = os.path.abspath(os.environ.get("BINDIR", os.path.join(TOP, "build/bin")))
os.environ["BINDIR"] = BINDIR
# Sanitizer builds are several times slower; every limit of time is multiplied by this.
SLOW = float(os.environ.get("TM_SLOW", "4" if "san" in BINDIR or "address" in BINDIR else "1"))

_run = _failed = 0


def ok(cond, what):
    global _run, _failed
    _run += 1
    _failed += not cond
    print(f"{'' if cond else 'not '}ok {_run} - {what}", flush=True)
    return bool(cond)


def is_(got, want, what):
    if not ok(got == want, what):
        diag(f"got:  {got!r}\nwant: {want!r}")
    return got == want


def skip(what, why):
    global _run
    _run += 1
    print(f"ok {_run} - {what} # SKIP {why}", flush=True)


def diag(text):
    for line in str(text).splitlines():
        print("# " + line, flush=True)


def done():
    """Ends the test: every sandbox is stopped, and what its daemons said last counts too."""
    for sb in list(Sandbox.all):
        sb.close()
    is_(Sandbox.bugs[:3], [], "no daemon has reported a bug (assertion, sanitizer, leak)")
    print(f"1..{_run}", flush=True)
    sys.stdout.flush()
    sys.exit(1 if _failed else 0)


def skip_all(why):
    print(f"1..0 # SKIP {why}", flush=True)
    sys.exit(0)


def need(*programs):
    """The test needs these programs from Debian; without them it is skipped as a whole."""
    for p in programs:
        if not shutil.which(p):
            skip_all(f"{p} is not installed")


def wait_for(question, seconds=10, what=None):
    """Asks until the answer is true; returns it, or the last answer when time is over."""
    end = time.monotonic() + seconds * SLOW
    pause = 0.005
    while True:
        answer = question()
        if answer or time.monotonic() > end:
            if not answer and what:
                diag(f"waited {seconds * SLOW:.0f} s for {what}")
            return answer
        time.sleep(pause)
        pause = min(pause * 1.5, 0.1)


NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]


def nobody_can():
    """Are we root, and may an ordinary user read this source and run what was built?"""
    return os.getuid() == 0 and all(
        subprocess.run([*NOBODY, "test", "-x", p]).returncode == 0
        for p in (os.path.join(TOP, "scripts/sandbox"), BINDIR))


class Sandbox:
    """A private instance of the suite: up now, down at exit; logs shown when the test fails."""

    all = []    # those that are up
    bugs = []   # lines of logs that mean a bug of ours
    REPORT = re.compile(r"(Address|Leak|UndefinedBehavior|Thread)Sanitizer|runtime error:|ev=bug|stack smashing|free\(\): ")

    def __init__(self, *args, prepare=None, run_as=()):
        self.dir = tempfile.mkdtemp(prefix="tm-")
        os.chmod(self.dir, 0o755)
        self.run_as = list(run_as)
        if prepare:
            prepare(self.dir)
        atexit.register(self.close)
        Sandbox.all.append(self)
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
        self.script = os.path.join(TOP, "scripts/sandbox")
        r = self.call("up", self.dir, *args)
        if r.returncode:
            ok(False, "the sandbox comes up")  # not "Bail out!": other tests may go on
            diag(r.stdout + r.stderr)
            _exit_failed()
        self.env = self.read_env()
        self.domain = self.env["DOMAIN"]
        self.password = self.env["PASSWORD"]
        self.host = self.env.get("HOST", "127.0.0.1")

    def call(self, *args):
        return subprocess.run(self.run_as + [self.script, *args], capture_output=True, text=True, errors="replace")

    def read_env(self):
        env = {}
        with open(os.path.join(self.dir, "env")) as f:
            for line in f:
                key, eq, value = line.strip().partition("=")
                if eq:
                    env[key.replace("export ", "")] = value.strip("'\"")
        return env

    def close(self):
        if self not in Sandbox.all:
            return
        Sandbox.all.remove(self)
        if os.path.isdir(self.dir):
            self.call("down", self.dir)
            self.look_for_bugs()
            if _failed:
                self.show_logs()
            if not os.environ.get("TM_KEEP"):
                shutil.rmtree(self.dir, ignore_errors=True)

    def look_for_bugs(self):
        rundir = self.env.get("RUNDIR", self.dir) if hasattr(self, "env") else self.dir
        for root, _, names in os.walk(rundir):
            for n in names:
                if n.endswith(".log"):
                    with open(os.path.join(root, n), errors="replace") as f:
                        Sandbox.bugs += [f"{n}: {l.strip()}" for l in f if Sandbox.REPORT.search(l)]

    def show_logs(self):
        rundir = self.env.get("RUNDIR", self.dir) if hasattr(self, "env") else self.dir
        for root, _, names in os.walk(rundir):
            for n in sorted(names):
                if n.endswith(".log"):
                    with open(os.path.join(root, n), errors="replace") as f:
                        tail = [l for l in f.readlines()[-400:] if "lvl=info" not in l][-12:]
                    if tail:
                        diag(f"--- {n}\n" + "".join(tail))

    def port(self, name):
        return int(self.env[name + "_PORT"])

    def bin(self, name):
        return os.path.join(BINDIR, name)

    def tool(self, name, *args, **kw):
        """Runs an operator's tool with the sandbox's configuration."""
        return subprocess.run([self.bin(name), "-c", self.conf("tiermail.conf"), *args],
                              capture_output=True, text=True, errors="replace", **kw)

    def conf(self, name):
        return os.path.join(self.env.get("CONFDIR", os.path.join(self.dir, "etc")), name)

    def pid(self, daemon):
        with open(os.path.join(self.env["RUNDIR"], daemon + ".pid")) as f:
            return int(f.read())

    def pids_of(self, program):
        """Every process of `program` that belongs to this sandbox (by its command line)."""
        found = []
        for p in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{p}/cmdline", "rb") as f:
                    argv = f.read().decode(errors="replace").split("\0")
            except OSError:
                continue
            if os.path.basename(argv[0]) == program and any(self.dir in a for a in argv[1:]):
                found.append(int(p))
        return found

    def restart(self, daemon):
        r = self.call("restart", self.dir, daemon)
        if r.returncode:
            diag(f"restart {daemon}: {r.stdout}{r.stderr}")
        return r.returncode == 0

    def user(self, n):
        return self.env.get("USER_PATTERN", "user%04d") % n

    def smtp(self, port="SMTP", **kw):
        return smtplib.SMTP(self.host, self.port(port), local_hostname="client.test",
                            timeout=20 * SLOW, **kw)

    def imap(self, user=1, password=None):
        c = imaplib.IMAP4(self.host, self.port("IMAP"), timeout=20 * SLOW)
        name = self.user(user) if isinstance(user, int) else user
        c.login(name, password or self.password)
        return c

    def messages(self, user=1, folder="INBOX", what="(BODY.PEEK[])"):
        """The octets of every message of a folder, in order."""
        c = self.imap(user)
        c.select(folder, readonly=True)
        typ, data = c.fetch("1:*", what)
        out = [d[1] for d in data or [] if isinstance(d, tuple)]
        c.logout()
        return out

    def count(self, user=1, folder="INBOX"):
        c = self.imap(user)
        typ, data = c.select(folder, readonly=True)
        c.logout()
        return int(data[0])

    def queue_files(self):
        """Messages in the queue: every file of a channel (neither temporary nor pooled)."""
        found = []
        for root, dirs, names in os.walk(self.env["QUEUE"]):
            if root == self.env["QUEUE"]:
                dirs[:] = [d for d in dirs if d not in ("tmp", "pool")]
            found += [os.path.join(root, n) for n in names if n.endswith((".00", ".HELD"))]
        return found

    def queue_empty(self, seconds=30):
        return wait_for(lambda: not self.queue_files(), seconds, "an empty queue")

    def send(self, to=1, subject="test", body="hello\r\n", sender="outside@sender.test", extra=""):
        """One message by SMTP; `to` is a number, an address or a list of them."""
        to = to if isinstance(to, list) else [to]
        rcpts = [f"{self.user(t)}@{self.domain}" if isinstance(t, int) else t for t in to]
        text = (f"From: <{sender}>\r\nTo: {', '.join(rcpts)}\r\nSubject: {subject}\r\n{extra}\r\n{body}")
        s = self.smtp()
        s.sendmail(sender, rcpts, text)
        s.quit()


def _exit_failed():
    global _failed
    _failed += 1
    sys.exit(1)
