#!/usr/bin/env python3
"""What a process may do once it serves: each daemon tries, by a verb of its control socket that is
there for this, what it has no business with; and mail goes on meanwhile."""
import os, shutil, socket, sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "flow"))
import tm

EACCES, EPERM, EAFNOSUPPORT = 13, 1, 97


def landlock():
    import ctypes
    return ctypes.CDLL(None, use_errno=True).syscall(444, 0, 0, 1) >= 2


def ask(sb, daemon, line):
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(tm.LONG)
        s.connect(os.path.join(sb.env["RUNDIR"], daemon + ".ctl"))
        s.sendall(line.encode() + b"\n")
        return b"".join(iter(lambda: s.recv(65536), b"")).decode()


def probe(sb, daemon, what):
    """The errnos of every process that served the question; none when it did not survive it."""
    return {int(l.split("errno=")[1]) for l in ask(sb, daemon, "probe " + what).splitlines() if "errno=" in l}


def log(sb, daemon):
    with open(os.path.join(sb.env["RUNDIR"], daemon + ".log")) as f:
        return f.read()


def status(pid):
    with open("/proc/%d/status" % pid) as f:
        return dict(line.split(":", 1) for line in f.read().splitlines() if ":" in line)


if not landlock():
    tm.skip_all("the kernel has no Landlock")
sb = tm.Sandbox("--users", "3")
sb.send(1)
sb.queue_empty()
# imapd was perhaps there before the store: what its rules stand on is the lock file from now on.
sb.restart("imapd")
sb.restart("pop3d")

DENIED = {
    "smtp-relay": "tmp home store readstore rundir", "lmtpd": "tmp home queue store readqueue readstore rundir",
    "imapd": "tmp home queue store readqueue rundir", "pop3d": "tmp home queue store readqueue rundir",
    "sieved": "tmp home queue store readqueue readstore rundir", "stored": "tmp home queue readqueue"}
ALLOWED = {"smtp-relay": "queue readqueue inet", "imapd": "readstore inet", "pop3d": "readstore inet", "sieved": "inet", "stored": "store rundir",
           "lmtpd": "inet memory", "jobctl": "tmp queue exec inet"}
for daemon, words in DENIED.items():
    for what in words.split():
        tm.is_(probe(sb, daemon, what), {EACCES}, f"{daemon}: {what} is denied")
for daemon, words in ALLOWED.items():
    for what in words.split():
        tm.is_(probe(sb, daemon, what), {0}, f"{daemon}: {what} is not")
tm.is_(probe(sb, "stored", "inet"), {EAFNOSUPPORT}, "stored: no sockets of IP")
tm.is_(probe(sb, "imapd", "packet"), {EAFNOSUPPORT}, "imapd: no raw sockets")
tm.is_(probe(sb, "stored", "exec"), {EACCES}, "stored: no program but itself")
tm.is_(probe(sb, "jobctl", "ptrace"), {EPERM}, "jobctl: no tracing")
tm.is_(probe(sb, "imapd", "nonsense"), set(), "a probe that there is not")
if tm.SANITIZED:
    tm.skip("calls that are not on the list", "a sanitizer build only logs them")
else:
    for daemon, what, call in (("imapd", "exec", 57), ("smtp-relay", "ptrace", 101), ("lmtpd", "kill", 62), ("sieved", "memory", 319)):
        tm.is_(probe(sb, daemon, what), set(), f"{daemon}: {what} ends the process")
        tm.ok(tm.wait_for(lambda: "ev=sandbox_violation call=" in log(sb, daemon)), "and is logged")
        tm.ok(tm.wait_for(lambda: "state=ready" in ask(sb, daemon, "status")), "another takes over")
for daemon in ("smtp-relay", "lmtpd", "imapd", "pop3d", "sieved", "stored"):
    pids = [p for p in sb.pids_of(daemon) if p != sb.pid(daemon)] or [sb.pid(daemon)]
    st = [status(p) for p in pids]
    tm.is_({(s["NoNewPrivs"].strip(), s["Seccomp"].strip()) for s in st}, {("1", "2")},
           f"{daemon}: no new privileges, a filter")
m = ask(sb, "imapd", "metrics")
fds = int(m.split('tiermail_process_open_fds{process="worker0"} ')[1].split()[0])
tm.ok(fds > 3, "workers still tell how many descriptors they have")

# ---- a reload reads what is in its folders
sb.send(2)
tm.ok(sb.queue_empty() and sb.count(2) == 1, "mail goes through")
tls = os.path.join(sb.dir, "tls")
for name in ("server.pem", "server.key"):
    shutil.copy(f"{tls}/{name}", f"{tls}/new-{name}")
conf = sb.conf("tiermail.conf")
with open(conf) as f:
    text = f.read()


def rewrite(dir_, prefix):
    with open(conf, "w") as f:
        f.write(text.replace(f"{tls}/server.", f"{dir_}/{prefix}server."))


rewrite(tls, "new-")
tm.is_(ask(sb, "imapd", "reload"), "ok\n", "a certificate beside the old one")
other = os.path.join(sb.dir, "elsewhere")
shutil.copytree(tls, other)
rewrite(other, "")
answer = ask(sb, "imapd", "reload")
tm.ok("elsewhere/server.pem is outside" in answer and "needs a restart" in answer and "error: " in answer,
      "one in another folder needs a restart, and that is said")
answer = ask(sb, "stored", "reload")
tm.ok("ok\n" in answer or "error" in answer, "a process by itself reloads too")
with open(conf, "w") as f:
    f.write(text)
tm.ok(ask(sb, "imapd", "reload").endswith("ok\n"), "back")
tm.is_(ask(sb, "stored", "reload"), "ok\n", "stored checks and reloads, confined as it is")
sb.send(3)
tm.ok(sb.queue_empty() and sb.count(3) == 1, "mail still goes through")
sb.close()

# ---- readers that are there while stored makes its folders reach what it is yet to make
place = os.path.join(sb.dir + "-part")  # of the one that is outside of the store
for first, path in (("primary", None), ("first", None), ("first", place)):
    sb = tm.Sandbox("--users", "1", "--set", "stored.default_partition=" + first,
                    *(["--set", "stored.partition first.path=" + path] if path else []))
    sb.kill("stored")
    shutil.rmtree(path or os.path.join(sb.env["STORE"], "partition"))
    os.makedirs(os.path.join(sb.env["STORE"], "partition", "other"), exist_ok=True)
    for name in ("imapd", "pop3d", "stored"):
        sb.restart(name)
    sb.send(1)
    where = f"default_partition {first}{' elsewhere' if path else ''}"
    tm.ok(sb.queue_empty() and sb.count(1) == 1, where + ": imapd reads what was made after its start")
    with socket.create_connection((sb.host, sb.port("POP3")), tm.LONG) as s, s.makefile("rwb") as f:
        f.readline()
        for line in ("USER " + sb.user(1), "PASS " + sb.password):
            f.write(line.encode() + b"\r\n")
            f.flush()
            answer = f.readline()
        tm.ok(answer.startswith(b"+OK"), where + ": and pop3d")
    sb.close()
shutil.rmtree(place, ignore_errors=True)

# ---- without it all of this is possible: the probes do try
sb = tm.Sandbox("--users", "1", "--set", "imapd.sandbox=off", "--set", "lmtpd.sandbox=log")
for what in ("tmp", "home", "exec", "rundir"):
    tm.is_(probe(sb, "imapd", what), {0}, "off: " + what)
tm.is_(probe(sb, "lmtpd", "tmp"), {0}, "log: files are open")
tm.is_(probe(sb, "lmtpd", "exec"), {0}, "log: and programs")
tm.done()
