#!/usr/bin/python3
"""The skeleton of the daemons, with t/tools/testd: command line, control socket, reload, workers
that die, drain, sd_notify, sockets that are handed over, TLS that is replaced."""
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "flow"))
import tm

TESTD = os.path.join(os.path.dirname(tm.BINDIR), "t/tools/testd")
LIMIT = tm.LONG
count = failed = 0
children = []
dirs = []


def ok(cond, what):
    global count, failed
    count += 1
    failed += not cond
    print("%sok %d - %s" % ("" if cond else "not ", count, what), flush=True)
    return cond


def same(got, want, what):
    if not ok(got == want, what):
        print("#  got: %r\n# want: %r" % (got, want))


def until(fn, what):
    """Waits for something that another process does."""
    end = time.monotonic() + LIMIT
    while time.monotonic() < end:
        try:
            got = fn()
            if got:
                return got
        except OSError:
            pass
        time.sleep(0.01)
    raise AssertionError("timeout: " + what)


class Dir:
    """A directory with configuration, and a daemon that runs in it."""

    def __init__(self, own="", shared=""):
        self.dir = tempfile.mkdtemp(prefix="tiermail-skel-")
        dirs.append(self.dir)
        self.run = self.dir + "/run/tiermail"
        self.conf = self.dir + "/testd.conf"
        self.write("tiermail.conf", "prefix = %s\n%s" % (self.dir, shared))
        self.write("testd.conf", own + "\n[listen echo]\naddress = unix:echo.sock\n")

    def write(self, name, text):
        with open(os.path.join(self.dir, name), "w") as f:
            f.write(text)

    def start(self):
        log = open(self.dir + "/log", "ab")
        self.proc = subprocess.Popen([TESTD, "-d", "-c", self.conf], stderr=log)
        children.append(self.proc)
        until(lambda: self.ask("ping") == "pong\n", "start")
        return self

    def ask(self, line):
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(LIMIT)
            s.connect(self.run + "/testd.ctl")
            s.sendall(line.encode() + b"\n")
            return b"".join(iter(lambda: s.recv(65536), b"")).decode()

    def talk(self):
        s = socket.socket(socket.AF_UNIX)
        s.settimeout(LIMIT)
        s.connect(self.run + "/echo.sock")
        return s, s.makefile("rw", newline="\n")

    def echo(self):
        s, f = self.talk()
        with s, f:
            greeting = f.readline()
            f.write("x\n")
            f.flush()
            return greeting, f.readline()

    def log(self):
        with open(self.dir + "/log") as f:
            return f.read()

    def wait(self):
        return self.proc.wait(LIMIT)

    def workers(self):
        return [int(w.split("pid=")[1].split()[0]) for w in self.ask("status").splitlines()
                if w.startswith("worker=") and "pid=" in w]


def run(*args):
    p = subprocess.run([TESTD, *args], capture_output=True, text=True, timeout=LIMIT)
    return p.returncode, p.stdout, p.stderr


def command_line():
    d = Dir("greeting = moin")
    rc, out, err = run("-n", "-c", d.conf)
    ok(rc == 0 and "greeting = moin" in out and "[listen echo]" in out, "-n prints")
    rc, out, err = run("-n", "-c", d.dir + "/tiermail.conf")
    ok(rc == 0 and "greeting = moin" in out, "-c with the shared file finds the own one")
    rc, out, err = run("-k")
    ok(rc == 0 and "\n[listen].role\techo|other|health|agent\techo\trestart\t" in out, "-k lists the keys")
    rc, out, err = run("-V")
    ok(rc == 0 and out.startswith("testd "), "-V")
    same(run("-x")[0], 64, "an unknown option")
    same(run("-c", "/nonexistent")[0], 78, "a missing file")
    d.write("testd.conf", "greting = x\n")
    rc, out, err = run("-n", "-c", d.conf)
    ok(rc == 78 and "testd.conf:1: unknown key greting (did you mean greeting?)" in err,
       "an unknown key")
    d.write("testd.conf", "greeting = rude\n")
    ok(run("-n", "-c", d.conf)[0] == 78, "the daemon's own check")
    d.write("testd.conf", "[listen x]\naddress = nonsense\n")
    ok("testd.conf:2: address = nonsense: not ADDRESS:PORT" in run("-n", "-c", d.conf)[2], "a bad address")
    d.write("testd.conf", "[listen x]\naddress = 127.0.0.1:1\ntls = implicit\n"
            "certificate = /nonexistent.pem\nkey = /nonexistent.key\n")
    rc, out, err = run("-n", "-c", d.conf)
    ok(rc == 78 and "/nonexistent.pem" in err, "certificates are opened")


def control():
    d = Dir("workers = 2").start()
    with open(d.run + "/testd.pid") as f:
        same(int(f.read()), d.proc.pid, "the pid file")
    same(d.echo()[0], "hello\n", "sessions are served")
    until(lambda: d.ask("status").count("state=ready") == 2, "both workers")
    ok("workers=2" in d.ask("status"), "status: the workers")
    until(lambda: "worker=1 sessions=0 greeting=hello\n" in d.ask("status"), "the session's end")
    ok(True, "status: what they say")
    m = d.ask("metrics")
    ok(m.endswith("# EOF\n") and "tiermail_test_lines_total 1\n" in m, "metrics")
    ok("tiermail_connections_accepted_total 1\n" in m, "metrics of the skeleton")
    ok('tiermail_process_resident_bytes{process="worker1"}' in m, "metrics of processes")
    same(len(d.ask("big").splitlines()), 80000, "long answers of all workers")
    ok(d.ask("nonsense").startswith("error: unknown command"), "an unknown command")
    second = subprocess.run([TESTD, "-c", d.conf], capture_output=True, timeout=LIMIT)
    ok(second.returncode == 71 and b"start_failed" in second.stderr, "a second one is refused")
    same(d.ask("ping"), "pong\n", "and leaves the first alone")
    return d


def reload(d):
    d.write("testd.conf", "workers = 2\ngreeting = new\n[listen echo]\naddress = unix:echo.sock\n")
    same(d.ask("reload"), "ok\n", "reload")
    until(lambda: d.echo()[0] == "new\n" and d.ask("status").count("greeting=new") == 2,
          "all workers reload")
    ok(True, "the workers have the new configuration")
    d.write("testd.conf", "workers = 2\ngreeting = newer\nrubbish\n")
    d.proc.send_signal(signal.SIGHUP)
    until(lambda: "ev=reload_failed" in d.log(), "the failed reload is logged")
    ok(until(lambda: "testd.conf:3" in d.log(), "why"), "a failed reload says why")
    same(d.echo()[0], "new\n", "and the old configuration stays")
    d.write("testd.conf", "greeting = rude\n[listen echo]\naddress = unix:echo.sock\n")
    answer = d.ask("reload")
    ok("must not be rude" in answer and "stays" in answer, "a reload asks the daemon's own check")
    same(d.echo()[0], "new\n", "and the old configuration stays")
    d.write("testd.conf", "workers = 3\ngreeting = newest\n[listen echo]\naddress = unix:e.sock\n")
    answer = d.ask("reload")
    ok("workers has changed: needs a restart" in answer and "ok\n" in answer,
       "a reload says what needs a restart")
    until(lambda: d.echo()[0] == "newest\n", "the rest of the reload")
    d.write("testd.conf", "workers = 2\n[listen echo]\naddress = unix:echo.sock\n")


def workers_die(d):
    s, f = d.talk()
    f.readline()
    f.write("who\n")
    f.flush()
    mine = int(f.readline().split()[0])
    other_pid = d.workers()[1 - mine]
    os.kill(other_pid, signal.SIGKILL)
    until(lambda: len(set(d.workers()) - {0, other_pid}) == 2, "a new worker")
    ok(True, "a killed worker is replaced")
    until(lambda: d.ask("status").count("state=ready") == 2, "ready")
    f.write("again\n")
    f.flush()
    same(f.readline(), "%d again\n" % mine, "sessions of the others go on")
    ok(until(lambda: "signal=9" in d.log(), "the log"), "and it is logged")
    f.write("crash\n")
    f.flush()
    same(f.read(), "", "a worker that aborts takes its own sessions")
    until(lambda: "tiermail_worker_restarts_total 2\n" in d.ask("metrics"), "the restart")
    until(lambda: "tiermail_test_sessions 0\n" in d.ask("metrics"), "the session's end")
    ok(True, "gauges of dead workers are gone")
    until(lambda: d.ask("status").count("state=ready") == 2, "ready again")


def drain(d):
    s, f = d.talk()
    f.readline()
    d.proc.send_signal(signal.SIGTERM)
    until(lambda: not os.path.exists("/proc/%d" % d.proc.pid) or "draining" in d.ask("status"),
          "drain")

    def refused():
        try:
            d.talk()[0].close()
            return False
        except ConnectionRefusedError:
            return True
    ok(until(refused, "refusal"), "new connections are refused while draining")
    f.write("last words\n")
    f.flush()
    ok(f.readline().endswith("last words\n"), "old sessions go on")
    f.close()
    s.close()
    same(d.wait(), 0, "the last session ends the daemon")
    same(os.listdir(d.run), [], "nothing is left in rundir")
    ok("ev=stop" in d.log(), "and it is logged")


def hanging_check(own):
    """A configuration that cannot be read to its end, as on a server that is away."""
    d = Dir(own).start()
    os.unlink(d.conf)
    os.mkfifo(d.conf)
    d.proc.send_signal(signal.SIGHUP)
    until(lambda: b"\0-n\0" in b"".join(open("/proc/%s/cmdline" % p, "rb").read() for p in
                                         open("/proc/%d/task/%d/children" % (d.proc.pid, d.proc.pid)).read().split()),
          "the check of a new configuration")
    watch = tm.Stopwatch()
    d.proc.send_signal(signal.SIGTERM)
    same(d.wait(), 0, "SIGTERM during a check that hangs ends the daemon (%s)" % (own or "one process"))
    ok(watch.took() < 8, "and before the check is given up for its time, 10 s")


def drain_limit():
    d = Dir("drain_timeout = 200ms").start()
    s, f = d.talk()
    f.readline()
    same(d.ask("drain"), "ok\n", "drain by the control socket")
    same(d.wait(), 0, "drain_timeout ends the sessions")
    ok("ev=drain_timeout" in d.log(), "and it is logged")
    d = Dir("drain_timeout = 1h").start()
    s, f = d.talk()
    f.readline()
    d.proc.send_signal(signal.SIGTERM)
    until(lambda: "draining" in d.ask("status"), "drain")
    d.proc.send_signal(signal.SIGTERM)
    same(d.wait(), 0, "a second SIGTERM ends it at once")


def slow_drain(own):
    """testd shows no sessions: they are left alone until the seconds are over."""
    d = Dir(own + "\ndrain_timeout = 100ms").start()
    same(d.ask("drain 3600"), "ok\n", "a drain that takes its time (%s)" % (own or "one worker"))
    ok("state=leaving" in d.ask("status"), "status: leaving")
    same(d.echo()[0], "hello\n", "who comes is served")
    ok(d.ask("drain soon").startswith("error: "), "it has a number")
    same(d.ask("drain 0"), "ok\n", "and asked again, begins anew")
    same(d.wait(), 0, "then it ends")


def parent_killed():
    d = Dir().start()
    pids = d.workers()
    d.proc.kill()
    d.wait()
    until(lambda: all(dead(p) for p in pids), "the workers die")
    ok(True, "kill -9 of the parent takes the workers along")
    d.start()
    same(d.ask("ping"), "pong\n", "a new one starts over what is left")
    d.proc.terminate()
    d.wait()


def dead(pid):
    try:
        with open("/proc/%d/stat" % pid) as f:
            return f.read().rsplit(")")[1].split()[0] == "Z"
    except FileNotFoundError:
        return True


def single():
    d = Dir("workers = 0\ndrain_timeout = 100ms").start()
    same(d.echo(), ("hello\n", "0 x\n"), "a single process serves")
    until(lambda: "sessions=0" in d.ask("status"), "the session's end")
    ok("workers=0" in d.ask("status"), "status")
    ok("tiermail_test_lines_total 1\n" in d.ask("metrics"), "metrics")
    same(len(d.ask("big").splitlines()), 40000, "commands")
    d.write("testd.conf", "workers = 0\ngreeting = x\ndrain_timeout = 100ms\n"
            "[listen echo]\naddress = unix:echo.sock\n")
    same(d.ask("reload"), "ok\n", "reload")
    same(d.echo()[0], "x\n", "with effect")
    s, f = d.talk()
    f.readline()
    d.proc.terminate()
    same(d.wait(), 0, "drain with its limit")
    same(os.listdir(d.run), [], "nothing is left in rundir")


def systemd():
    d = Dir("workers = 1")
    note = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    note.bind(d.dir + "/notify")
    note.settimeout(LIMIT)
    lsock = socket.socket()
    lsock.bind(("127.0.0.1", 0))
    lsock.listen()
    d.write("testd.conf", "workers = 1\n[listen echo]\naddress = 192.0.2.1:1\n")
    # LISTEN_PID must be the daemon's own: a shell sets it and becomes the daemon.
    log = open(d.dir + "/log", "ab")
    d.proc = subprocess.Popen(
        ["sh", "-c", "LISTEN_PID=$$ exec \"$0\" -d -c \"$1\"", TESTD, d.conf], stderr=log,
        env={**os.environ, "LISTEN_FDS": "1", "LISTEN_FDNAMES": "echo", "WATCHDOG_USEC": "200000",
             "NOTIFY_SOCKET": d.dir + "/notify"},
        preexec_fn=lambda: os.dup2(lsock.fileno(), 3), pass_fds=[3])
    children.append(d.proc)
    said = note.recv(1000).decode()
    ok(said.startswith("READY=1\n"), "READY=1")
    c = socket.create_connection(lsock.getsockname(), LIMIT)
    same(c.makefile().readline(), "hello\n", "a socket from LISTEN_FDS")
    c.close()
    same(note.recv(1000).decode(), "WATCHDOG=1\n", "the watchdog hears of a worker")
    d.ask("reload")
    seen = []
    while not any(s.startswith("RELOADING=1") for s in seen):    # between what the watchdog hears
        seen.append(note.recv(1000).decode())
    ok(seen[-1].startswith("RELOADING=1\nMONOTONIC_USEC="), "RELOADING=1")
    d.proc.terminate()
    same(d.wait(), 0, "stop")
    note.setblocking(False)
    try:
        while True:
            seen.append(note.recv(1000).decode())
    except BlockingIOError:
        pass
    ok("STOPPING=1\n" in seen, "STOPPING=1")


def privileges():
    if os.geteuid() != 0:
        print("# not root: privileges are not tested")
        return
    d = Dir("workers = 1", "user = nobody\n")
    os.chmod(d.dir, 0o755)
    d.start()
    with open("/proc/%d/status" % d.workers()[0]) as f:
        ids = [line.split()[1:] for line in f if line.startswith(("Uid", "Gid"))]
    ok(all("0" not in i for i in ids), "root becomes the user")
    owner = os.stat(d.run + "/echo.sock")
    ok(str(owner.st_uid) == ids[0][0] and owner.st_mode & 0o777 == 0o660, "so do its sockets")
    same(d.ask("reload"), "ok\n", "and it can reload")
    d.proc.terminate()
    same(d.wait(), 0, "stop")
    same(os.listdir(d.run), [], "and remove its files")


def make_cert(d, name):
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
         "-nodes", "-keyout", d.dir + "/key.pem", "-out", d.dir + "/cert.pem", "-days", "2",
         "-subj", "/CN=" + name], check=True, capture_output=True)


def tls():
    d = Dir()
    port = tm.free_port()
    d.write("testd.conf", "[listen tls]\naddress = 127.0.0.1:%d\ntls = implicit\n" % port)
    d.write("tiermail.conf", "prefix = %s\n[tls]\ncertificate = cert.pem\nkey = key.pem\n" % d.dir)
    make_cert(d, "first")
    d.start()
    context = ssl._create_unverified_context()

    def talk():
        c = context.wrap_socket(socket.create_connection(("127.0.0.1", port), LIMIT))
        return c, c.makefile("rw", newline="\n")

    c, f = talk()
    same(f.readline(), "hello\n", "TLS from the shared keys")
    ok(b"first" in c.getpeercert(True), "the first certificate")
    os.unlink(d.dir + "/cert.pem")
    ok("cert.pem" in d.ask("reload"), "a missing certificate fails the reload")
    ok(b"first" in talk()[0].getpeercert(True), "and the old one stays")
    make_cert(d, "second")
    # A warning may come first: it is of this second, and clocks are set back now and then.
    same(d.ask("reload").splitlines()[-1:], ["ok"], "a new certificate")
    until(lambda: b"second" in talk()[0].getpeercert(True), "the new certificate")
    f.write("still\n")
    f.flush()
    ok(f.readline().endswith("still\n"), "old sessions go on")
    c.close()

    # By the name that is asked for: a.test and b.test from files with their keys.
    for name in ("a.test", "b.test"):
        make_cert(d, name)
        with open("%s/%s.pem" % (d.dir, name), "w") as out:
            out.write(open(d.dir + "/cert.pem").read() + open(d.dir + "/key.pem").read())
    make_cert(d, "second")
    more = " ".join("%s/%s.pem" % (d.dir, n) for n in ("a.test", "b.test"))
    section = "[listen tls]\naddress = 127.0.0.1:%d\ntls = implicit\ncertificates = %s\n"
    d.write("testd.conf", section % (port, "a.test.pem"))
    ok("not an absolute path" in d.ask("reload"), "a file without its folder fails the reload")
    d.write("testd.conf", section % (port, more + d.dir + "/none.pem"))
    ok("none.pem" in d.ask("reload"), "a missing one too")
    d.write("testd.conf", section % (port, more))
    same(d.ask("reload").splitlines()[-1:], ["ok"], "certificates by name")

    def named(name):
        c = context.wrap_socket(socket.create_connection(("127.0.0.1", port), LIMIT), server_hostname=name)
        return c.getpeercert(True)

    until(lambda: b"a.test" in named("a.test"), "a.test has its own")
    ok(b"b.test" in named("b.test"), "and b.test")
    ok(b"second" in named("c.test") and b"second" in named(None), "others and nobody's name the first")


def main():
    if not os.access(TESTD, os.X_OK):
        print("1..0 # SKIP %s is not built" % TESTD)
        return 0
    try:
        command_line()
        d = control()
        reload(d)
        workers_die(d)
        drain(d)
        hanging_check("")
        hanging_check("workers = 2")
        drain_limit()
        slow_drain("")
        slow_drain("workers = 0")
        parent_killed()
        single()
        systemd()
        tls()
        privileges()
    except Exception as e:  # noqa: BLE001 - whatever it is, the children must go
        ok(False, "%s: %s" % (type(e).__name__, e))
        import traceback
        print("# " + traceback.format_exc().replace("\n", "\n# "))
    finally:
        for p in children:
            if p.poll() is None:
                p.kill()
            p.wait()
        for path in dirs:
            shutil.rmtree(path, ignore_errors=True)
    print("1..%d" % count)
    return failed != 0


sys.exit(main())
