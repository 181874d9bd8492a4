#!/usr/bin/env python3
"""A store on two nodes with one disk: the resource agent by ocf-tester; the second stored on a partition refuses and
says who has it; a node dies under load, and the other one goes on with all that was accepted."""
import collections, os, re, shutil, signal, smtplib, subprocess, sys, threading, time

sys.path[:0] = [os.path.dirname(os.path.abspath(__file__))]
import tm

AGENT = os.path.join(tm.TOP, "scripts/ocf/stored")
ROOT = "/usr/lib/ocf"
if os.getuid():
    tm.skip_all("only root can make nodes")
if not os.path.exists(ROOT + "/lib/heartbeat/ocf-shellfuncs"):
    tm.skip_all("no resource-agents: run scripts/deps test")
if (r := subprocess.run(["unshare", "--mount", "--pid", "--uts", "--fork", "--mount-proc", "true"], capture_output=True, text=True)).returncode:
    tm.skip_all("namespaces are not permitted: " + r.stderr.strip())
sb = tm.Sandbox("--users", "2", *(w for d in ("stored", "lmtpd", "jobctl", "smtp-relay", "imapd", "pop3d", "jmapd", "sieved", "mmpd", "memd") for w in ("--without", d)))
CONF = os.path.dirname(sb.conf("stored.conf"))
ONE = f"{sb.user(1)}@{sb.domain}"


class Node:
    """A host's processes and name; its folder of sockets; the disk is everybody's."""

    def __init__(self, name):
        self.name, self.dir = name, f"{sb.dir}/{name}"
        shutil.copytree(CONF, self.dir + "/etc", ignore=lambda d, names: [n for n in names if not n.endswith((".conf", ".cnf", "aliases", "mappings"))])
        os.makedirs(self.dir + "/run", exist_ok=True)
        for file in os.listdir(self.dir + "/etc"):
            with open(f"{self.dir}/etc/{file}") as f:
                text = f.read()
            with open(f"{self.dir}/etc/{file}", "w") as f:
                f.write(text.replace(sb.env["RUNDIR"] + "/", self.dir + "/run/").replace(f'{sb.env["RUNDIR"]}"', f'{self.dir}/run"').replace(f'= {sb.env["RUNDIR"]}\n', f"= {self.dir}/run\n"))
        self.params = {"config": f"{self.dir}/etc/stored.conf", "binary": sb.bin("stored"), "tmctl": sb.bin("tmctl")}
        self.boot()

    def boot(self):
        self.p = subprocess.Popen(["unshare", "--mount", "--pid", "--uts", "--fork", "--mount-proc", "--kill-child", "sh", "-c", f"hostname {self.name}; echo up; exec sleep 1000000"],
                                  stdout=subprocess.PIPE, start_new_session=True)
        self.p.stdout.readline()
        with open(f"/proc/{self.p.pid}/task/{self.p.pid}/children") as f:
            self.init = f.read().split()[0]

    def run(self, *argv, **kw):
        return subprocess.run(["nsenter", "-t", self.init, "-m", "-p", "-u", "--", *argv], capture_output=True, text=True, **kw)

    def agent(self, action):
        env = dict(os.environ, OCF_ROOT=ROOT, OCF_RESOURCE_INSTANCE="store", OCF_RESOURCE_TYPE="stored", HA_RSCTMP=self.dir + "/run", **{"OCF_RESKEY_" + k: v for k, v in self.params.items()})
        r = self.run(AGENT, action, env=env)
        self.said = r.stdout + r.stderr
        return r.returncode

    def serve(self):
        """lmtpd, which the cluster would start behind stored."""
        self.run("sh", "-c", f"setsid {sb.bin('lmtpd')} -c {self.dir}/etc/lmtpd.conf </dev/null >>{self.dir}/run/lmtpd.log 2>&1 &")

    def die(self):
        """The power fails."""
        self.p.kill()
        os.kill(int(self.init), signal.SIGKILL)
        self.p.wait()


a, b = Node("node-a"), Node("node-b")

# ---- the agent, as Pacemaker's own test sees it
tester = shutil.which("ocf-tester")
if tester:
    r = a.run(tester, "-n", "store", *(w for k, v in a.params.items() for w in ("-o", f"{k}={v}")), AGENT)
    tm.ok(r.returncode == 0 and "passed all tests" in r.stdout, "ocf-tester has nothing to say against it") or tm.diag(r.stdout + r.stderr)
tm.is_(a.agent("monitor"), 7, "monitor: it does not run")
tm.is_(a.agent("start"), 0, "start") or tm.diag(a.said)
tm.is_((a.agent("monitor"), a.agent("start")), (0, 0), "monitor: it answers; started again it is as it was")

# ---- two on one partition
tm.ok(b.agent("start") != 0 and "node-a" in b.said and "process" in b.said, "a second one on the partition does not start, and says who has it") or tm.diag(b.said)
tm.is_((b.agent("monitor"), a.agent("monitor")), (7, 0), "and the first one has noticed nothing")
tm.is_((b.agent("stop"), a.agent("monitor")), (0, 0), "stop where it does not run is done, and stops nothing elsewhere")

# ---- one that hangs, and a configuration that is wrong
with open(a.dir + "/run/stored.pid") as f:
    pid = f.read().strip()
a.run("kill", "-STOP", pid)
tm.is_(a.agent("monitor"), 1, "monitor: one that hangs has failed")
a.run("kill", "-CONT", pid)
tm.ok(tm.wait_for(lambda: a.agent("monitor") == 0), "and goes on")
a.run("sh", "-c", f"yes | head -c 1000000 >/proc/{pid}/fd/2")
errors = [f for f in os.listdir(a.dir + "/run") if f.endswith(".err")]
tm.ok(errors and all(os.path.getsize(f"{a.dir}/run/{f}") < 100000 for f in errors), "what it says to standard error fills no disk")
with open(a.dir + "/etc/stored.conf", "a+") as f:
    good = f.tell()
    f.write("\nmin_free = much\n")
    f.flush()
    tm.is_(a.agent("monitor"), 0, "a configuration spoilt while it runs is not its failure")
    tm.is_(a.agent("stop"), 0, "and it is stopped")
    tm.ok(tm.wait_for(lambda: not os.path.exists(f"/proc/{a.init}/root/proc/{pid}")), "really: another node may have the disk then")
    f.truncate(good)
tm.is_(a.agent("start"), 0, "and starts when that is mended") or tm.diag(a.said)
# One that is told to stop before it has so much as written its pid.
a.agent("stop")
starting = a.run("sh", "-c", f"setsid {sb.bin('stored')} -c {a.dir}/etc/stored.conf </dev/null >/dev/null 2>&1 & echo $!").stdout.strip()
tm.wait_for(lambda: a.run("sh", "-c", f"tr '\\0' ' ' </proc/{starting}/cmdline").stdout.startswith(sb.bin("stored") + " -c"))
os.path.exists(a.dir + "/run/stored.pid") and os.remove(a.dir + "/run/stored.pid")
tm.is_((a.agent("stop"), a.run("sh", "-c", f"tr -d '\\0' </proc/{starting}/cmdline").stdout), (0, ""), "one without a pid file is stopped, too")
tm.is_(a.agent("start"), 0, "start")
b.params["config"] = b.dir + "/etc/wrong.conf"
with open(b.params["config"], "w") as f:
    f.write("min_free = much\n")
tm.is_(b.agent("start"), 6, "a wrong configuration is told apart")
b.params["config"] = b.dir + "/etc/stored.conf"

# ---- a node dies under load
a.serve()
active, accepted, unsure, stop = a, [], set(), threading.Event()


def deliver(text):
    """True: it is taken.  Else it was not, or nobody knows: it is given again, as a relay does."""
    try:
        with smtplib.LMTP(f"{active.dir}/run/lmtpd.sock") as c:
            c.sock.settimeout(3)
            c.sendmail(f"x@{sb.domain}", [ONE], f"Subject: {text}\r\nMessage-ID: <{text}@x.test>\r\n\r\nx\r\n")
        return True
    except (OSError, smtplib.SMTPException):
        unsure.add(text)
        return False


def load(k):
    n = 0
    while not stop.is_set():
        if deliver(f"{k}-{n}"):
            accepted.append((time.monotonic(), f"{k}-{n}"))
            n += 1
        else:
            time.sleep(0.05)


threads = [threading.Thread(target=load, args=(k,)) for k in range(3)]
for t in threads:
    t.start()
tm.ok(tm.wait_for(lambda: len(accepted) > 30), "mail comes in by node-a")
died = time.monotonic()
a.die()
# What a cluster does: its node is gone (fenced), the other one takes over.
tm.is_(b.agent("start"), 0, "node-b starts it") or tm.diag(b.said)
b.serve()
active = b
first = tm.wait_for(lambda: next((at for at, _ in accepted if at > died + 0.001 and active is b), None), what="mail by node-b")
seen = len(accepted)
tm.wait_for(lambda: len(accepted) > seen + 30)
stop.set()
for t in threads:
    t.join()
tm.diag(f"{len(accepted)} messages; the first by node-b {first - died:.1f} s after the end of node-a")
tm.ok(first and first - died < 10 * tm.SLOW, "mail is taken again within 10 seconds")
counts = collections.Counter()
for folder, _, files in os.walk(sb.dir):
    if f"/={ONE}/=INBOX" in folder:
        for file in files:
            if file.endswith(".msg"):
                with open(os.path.join(folder, file), errors="replace") as f:
                    counts[re.search(r"(?m)^Subject: (\S+)", f.read())[1]] += 1
tm.is_([t for _, t in accepted if not counts[t]][:5], [], f"nothing that was accepted is lost ({len(accepted)})")
tm.is_([t for _, t in accepted if counts[t] > 1 and t not in unsure][:5], [], "and nothing is there twice but what nobody could know of")
tm.is_(b.run(sb.bin("storectl"), "-c", b.dir + "/etc/tiermail.conf", "check").returncode, 0, "storectl check finds the store good")

# ---- and back, in order
tm.is_((b.agent("stop"), b.agent("monitor")), (0, 7), "stop")
a.boot()
tm.is_((a.agent("start"), a.agent("monitor")), (0, 0), "the first node has it again")
tm.is_(a.agent("stop"), 0, "and lets it go")
for node in (a, b):
    node.die()
tm.done()
