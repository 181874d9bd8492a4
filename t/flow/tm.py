"""What the flow tests share: TAP, a sandbox for the life of the test, SMTP and IMAP by hand.

    import tm
    sb = tm.Sandbox("--users", "20")
    tm.ok(cond, "what it means")
    tm.done()
"""
import atexit, glob, imaplib, os, re, shutil, signal, smtplib, subprocess, sys, tempfile, time, traceback
import daemonlog, pace

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BINDIR = os.path.abspath(os.environ.get("BINDIR", os.path.join(TOP, "build/bin")))
os.environ["BINDIR"] = BINDIR
sys.path.append(os.path.join(TOP, "scripts/lib"))
import ports
SANITIZED = os.path.basename(os.path.dirname(BINDIR)).startswith("build-")


def _slowness():
    """How many times slower than a quiet machine is this one at present?"""
    return min(4, max(1, *pace.work(4)))


# What takes a second on a quiet machine may take SLOW seconds here; sanitizer builds are several times
# slower.  What a test may wait for is multiplied by this; a bound in seconds that is its point needs a
# Stopwatch, or better the processor time of a process (`cpu`).
BUILD = float(os.environ.get("TM_SLOW", "4" if SANITIZED else "1"))
SLOW = BUILD * _slowness()
# The same for limits of time that a daemon is given and a test waits out.
SHORT = min(4, SLOW)
# Seconds after which what has not come will not come: only a test that fails waits so long.
LONG = min(300, 120 * SLOW)
# How long a sandbox's daemons wait for the directory: none is to give it up because it is slow.
DIRECTORY = min(300, 60 * SLOW)


class Stopwatch:
    """Seconds from here on as they would be on a quiet machine and with a plain build: `took()`, or
    took(seconds) for what has been measured meanwhile."""

    pace = None

    def __init__(self):
        Stopwatch.pace = Stopwatch.pace or pace.Pace()
        self.mark, self.began = self.pace.mark(), time.monotonic()

    def took(self, seconds=None):
        seconds = time.monotonic() - self.began if seconds is None else seconds
        return seconds / (BUILD * self.pace.since(self.mark))


def cpu(pid):
    """Seconds that the threads of a process have had a processor: what it has done, however busy the
    machine is."""
    return sum(int(open(f"/proc/{pid}/task/{t}/schedstat").read().split()[0]) for t in os.listdir(f"/proc/{pid}/task")) / 1e9


# How long scripts/sandbox waits for a daemon to answer, and to end before it is killed.
os.environ.setdefault("SANDBOX_TIMEOUT", f"{LONG:.0f}")
os.environ.setdefault("SANDBOX_GRACE", f"{15 * SLOW:.0f}")

_run = _failed = 0
_when = []      # (time, what) of failures
_logs = set()   # of daemons that no sandbox has
_dirs = []
_pid = os.getpid()


def ok(cond, what):
    global _run, _failed
    _run += 1
    _failed += not cond
    print(f"{'' if cond else 'not '}ok {_run} - {what}", flush=True)
    if not cond:
        _when.append((daemonlog.now(), what))
    return bool(cond)


def is_(got, want, what):
    if not ok(got == want, what):
        diag(f"got:  {got!r}\nwant: {want!r}")
    return got == want


def skip(what, why):
    global _run
    _run += 1
    print(f"ok {_run} - {what} # SKIP {why}", flush=True)


def todo(cond, what, why):
    """Known to fail; says so, and fails nothing."""
    global _run
    _run += 1
    print(f"{'' if cond else 'not '}ok {_run} - {what} # TODO {why}", flush=True)


def diag(text):
    for line in str(text).splitlines():
        print("# " + line, flush=True)


def watch_log(path):
    """The log of a daemon that is not a sandbox's: it is shown, too, when the test fails."""
    _logs.add(path)


def free_port(host="127.0.0.1"):
    """One that neither a sandbox nor an outgoing connection is given while this test runs."""
    if not _dirs:
        tempdir()
    return ports.reserve(_dirs[0], host, ["port"], {})["port"]


def tempdir():
    """A new directory, which goes when the test ends, behind its logs."""
    _dirs.append(tempfile.mkdtemp(prefix="tm-"))
    return _dirs[-1]


@atexit.register
def _leave():
    if os.getpid() != _pid:
        return
    if _failed and _logs:
        diag("\n".join(daemonlog.tell(list(filter(os.path.exists, _logs)), _when)))
    for d in _dirs if not os.environ.get("TM_KEEP") else []:
        shutil.rmtree(d, ignore_errors=True)


def done():
    """Ends the test: every sandbox is stopped, and what its daemons said last counts too."""
    for sb in list(Sandbox.all):
        sb.close()
    is_(Sandbox.bugs[:3], [], "no daemon has reported a bug (assertion, sanitizer, leak) or had to be killed")
    print(f"1..{_run}", flush=True)
    sys.stdout.flush()
    sys.exit(1 if _failed else 0)


def _died(kind, error, trace):
    """An exception that nobody catches fails the test, and the daemons' logs are shown."""
    ok(False, f"the test runs to its end: {kind.__name__}")
    diag("".join(traceback.format_exception(kind, error, trace)))


sys.excepthook = _died


def skip_all(why):
    print(f"1..0 # SKIP {why}", flush=True)
    sys.exit(0)


def need(*programs):
    """The test needs these programs from Debian; without them it is skipped as a whole."""
    for p in programs:
        if not shutil.which(p):
            skip_all(f"{p} is not installed")


def wait_for(question, seconds=None, what=None):
    """Asks until the answer is true; returns it, or the last answer when time is over.  `seconds` is
    for what must have come by then: without them it may take as long as the machine wants."""
    limit = LONG if seconds is None else seconds * SLOW
    end = time.monotonic() + limit
    pause = 0.005
    while True:
        answer = question()
        if answer or time.monotonic() > end:
            if not answer:
                diag(f"waited {limit:.0f} s for {what or 'it'}")
            return answer
        time.sleep(pause)
        pause = min(pause * 1.5, 0.1)


def lives(pid):
    """A process that is dying has no command line any more, but its sockets, until its last thread
    has ended; then it is a zombie."""
    for task in glob.glob(f"/proc/{pid}/task/*/stat"):
        try:
            with open(task, "rb") as f:
                if f.read().rsplit(b")", 1)[1].split()[0] not in (b"Z", b"X"):
                    return True
        except OSError:
            pass
    return False


def end(processes):
    """Of a `finally`: processes of the test's own leave when asked, or are killed."""
    for p in processes:
        p.terminate()
    for p in processes:
        try:
            p.wait(LONG)
        except subprocess.TimeoutExpired:
            p.kill()


def least(measure, enough, times=8):
    """The least of some measurements, or the first that is below `enough`: what the machine adds
    comes and goes, what the program needs is in each of them."""
    best = measure()
    while best >= enough and times > 1:
        best, times = min(best, measure()), times - 1
    return best


def stopped(pid):
    """Waits until none of its threads runs any more."""
    def still(task):
        with open(f"/proc/{pid}/task/{task}/stat") as f:
            return f.read().rpartition(")")[2].split()[0] in "tT"
    return wait_for(lambda: all(still(t) for t in os.listdir(f"/proc/{pid}/task")), what=f"process {pid} to stop")


def freeze(pid):
    """SIGSTOP; over when none of its threads runs any more."""
    os.kill(pid, signal.SIGSTOP)
    return stopped(pid)


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
        if not any("tiermail.ldap.timeout" in a for a in args):
            args = ("--set", f"tiermail.ldap.timeout={DIRECTORY:.0f}s", *args)
        if not any("mmpd.store.silence_timeout" in a for a in args):
            args = ("--set", "mmpd.store.silence_timeout=60s", *args)     # a store that is slow is not silent
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
        r = subprocess.run(self.run_as + [self.script, *args], capture_output=True, text=True, errors="replace")
        if r.returncode:
            diag(f"sandbox {' '.join(args)}: {r.returncode}\n{r.stderr[-2000:]}")
        return r

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
            Sandbox.bugs += [l for l in self.call("down", self.dir).stderr.splitlines() if "still there" in l]
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
        diag("\n".join(daemonlog.tell([os.path.join(root, n) for root, _, names in os.walk(rundir) for n in names if n.endswith(".log")], _when)))

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
        self.pids_of(daemon)
        with open(os.path.join(self.env["RUNDIR"], daemon + ".pid")) as f:
            return int(f.read())

    def pids_of(self, program):
        """Every process of `program` that belongs to this sandbox, by its command line; also those
        that are dying: they have none any more, but sockets and locks."""
        found = []
        seen = self.__dict__.setdefault("seen", {}).setdefault(program, set())
        for p in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{p}/cmdline", "rb") as f:
                    argv = f.read().decode(errors="replace").split("\0")
            except OSError:
                continue
            p = int(p)
            if os.path.basename(argv[0]) == program and any(self.dir in a for a in argv[1:]):
                seen.add(p)
                found.append(p)
            elif argv == [""] and p in seen and lives(p):
                found.append(p)
        return found

    def kill(self, daemon):
        """SIGKILL to a daemon's first process; over when its others have died of that, and nothing holds
        its sockets, locks and files any more."""
        pids = self.pids_of(daemon)
        os.kill(self.pid(daemon) if daemon != "slapd" else pids[0], signal.SIGKILL)
        return wait_for(lambda: not self.pids_of(daemon), what=f"the end of {daemon}")

    def restart(self, daemon):
        r = self.call("restart", self.dir, daemon)
        if r.returncode:
            diag(f"restart {daemon}: {r.stdout}{r.stderr}")
        return r.returncode == 0

    def user(self, n):
        return self.env.get("USER_PATTERN", "user%04d") % n

    def smtp(self, port="SMTP", **kw):
        return smtplib.SMTP(self.host, self.port(port), local_hostname="client.test",
                            timeout=LONG, **kw)

    def imap(self, user=1, password=None):
        c = imaplib.IMAP4(self.host, self.port("IMAP"), timeout=LONG)
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

    def queue_empty(self, seconds=None):
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
