"""stored by itself, on a directory of its own, behind a library (t/tools/powercut.c) that says under which kernel it
runs and can write down what it does to its files.

    s = barestore.Store(directory)
    s.start() or tm.diag(s.said())
    s.stop(signal.SIGKILL)
    s.reboot()                          # the next start is under another kernel
    folders, modseqs = s.dump()
"""
import os, re, signal, socket, subprocess, time, uuid
import tm

TOOLS = os.path.join(tm.BINDIR, "../t/tools")
SHIM, LOAD = os.path.join(TOOLS, "powercut.so"), os.path.join(TOOLS, "storeload")
for program in (SHIM, LOAD):
    if not os.path.exists(program):
        tm.skip_all(program + " is not built")
ASAN = os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"    # the library comes before its runtime


class Store:
    """stored on a directory of its own."""

    def __init__(self, directory, conf="steady_interval = 100ms\n"):
        self.dir = directory
        self.part = f"{directory}/store/partition/primary"
        os.makedirs(self.part, exist_ok=True)
        for conf, text in (("tiermail.conf", f"rundir = {directory}\nstore = {directory}/store\nhostname = store.test\n"),
                           ("stored.conf", "map_size = 256M\nmin_free = 0\ncleanup_age = 0\nlog_segment = 1M\n" + conf + os.environ.get("TM_STORED", ""))):
            with open(f"{directory}/{conf}", "w") as f:
                f.write(text)
        self.reboot()

    def reboot(self):
        self.boot = str(uuid.uuid4())

    def configure(self, more):
        with open(f"{self.dir}/stored.conf", "w") as f:
            f.write("map_size = 256M\nmin_free = 0\ncleanup_age = 0\nlog_segment = 1M\n" + more)

    def start(self, trace=None, preload="", **more):
        """True when it is ready, False when it has ended instead; with another library in front."""
        ready = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        ready.bind(f"{self.dir}/notify")
        ready.settimeout(0.1)
        env = dict(os.environ, NOTIFY_SOCKET=f"{self.dir}/notify", LD_PRELOAD=f"{preload} {SHIM}".strip(), POWERCUT_BOOT=self.boot, ASAN_OPTIONS=ASAN, **more)
        if trace:
            env.update(POWERCUT_TRACE=trace, POWERCUT_ROOT=self.part)
        tm.watch_log(f"{self.dir}/log")
        with open(f"{self.dir}/log", "ab") as log:
            self.p = subprocess.Popen([f"{tm.BINDIR}/stored", "-c", f"{self.dir}/stored.conf"], stdout=log, stderr=log, env=env)
        until = time.monotonic() + tm.LONG
        try:
            while time.monotonic() < until:
                try:
                    if b"READY=1" in ready.recv(65536):
                        return True
                except TimeoutError:
                    if self.p.poll() is not None:
                        return False
            return False
        finally:
            ready.close()
            os.unlink(f"{self.dir}/notify")

    def stop(self, sig=signal.SIGTERM):
        self.p.send_signal(sig)
        return self.p.wait(tm.LONG)

    def said(self):
        with open(f"{self.dir}/log", errors="replace") as f:
            return f.read()

    def metric(self, name):
        with socket.socket(socket.AF_UNIX) as c:
            c.settimeout(tm.LONG)
            c.connect(f"{self.dir}/stored.ctl")
            c.sendall(b"metrics\n")
            text = b"".join(iter(lambda: c.recv(65536), b"")).decode()
        return int(re.search(rf"^tiermail_{name}\S* (\d+)", text, re.M)[1])

    def run(self, *args):
        env = dict(os.environ, LD_PRELOAD=SHIM, POWERCUT_BOOT=self.boot, ASAN_OPTIONS=ASAN)
        try:
            return subprocess.run(args, capture_output=True, text=True, errors="replace", env=env, timeout=tm.LONG)
        except subprocess.TimeoutExpired:
            return subprocess.CompletedProcess(args, 1, "", "mailbox ?: it goes in circles")

    def dump(self):
        """{(account, folder): (uidnext, {uid: (flags, crc)})}, {mailbox id: highest modseq}"""
        folders, modseqs = {}, {}
        r = self.run(LOAD, "dump", self.part)
        for line in r.stdout.splitlines():
            kind, *v = line.split()
            if kind == "folder":
                now = {}
                folders[v[0], v[1]] = (int(v[4]), now)
                modseqs[int(v[2], 16)] = int(v[5])
            else:
                now[int(v[0])] = (int(v[1]), int(v[3]))
        if r.returncode:
            tm.diag(r.stderr)
        return folders, modseqs
