#!/usr/bin/env python3
"""scripts/sandbox keeps its promises: what is up answers, what is down is gone."""
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tm

SCRIPT = os.path.join(tm.TOP, "scripts/sandbox")
top = tempfile.mkdtemp(prefix="tm-")
os.chmod(top, 0o755)
names = ["slapd", "stored", "lmtpd", "jobctl", "smtp-relay", "imapd"]


def call(*args, run_as=(), **env):
    return subprocess.run([*run_as, SCRIPT, *args], capture_output=True, text=True,
                          env={**os.environ, **env})


def env_of(d):
    with open(d + "/env") as f:
        return dict(line.strip().replace("'", "").split("=", 1) for line in f)


def marked(d):
    found = []
    for p in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{p}/environ", "rb") as f:
                if ("TIERMAIL_SANDBOX_PROCESS=" + d).encode() in f.read().split(b"\0"):
                    found.append(p)
        except OSError:
            pass
    return found


def listening(port):
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", int(port))) == 0


try:
    # ---- up, status, restart, down
    d = top + "/a"
    start = time.monotonic()
    r = call("up", d, "--users", "7", "--domain", "Sand.Box.Test",
             "--set", "tiermail.log_level=debug", "--set", "smtp-relay.limit.size=1M",
             "--set", "smtp-relay.listen mx.tls=off", "--route", "far.test=smtp:127.0.0.1:9")
    tm.is_((r.returncode, r.stderr), (0, ""), "up")
    tm.diag("up took %d ms" % (1000 * (time.monotonic() - start)))
    env = env_of(d)
    need = """HOST SMTP_PORT SUBMISSION_PORT SUBMISSIONS_PORT LMTP_PORT IMAP_PORT IMAPS_PORT LDAP_URL
        LDAP_BASE LDAP_ADMIN_DN LDAP_ADMIN_PASSWORD CAFILE DOMAIN USER_PATTERN PASSWORD RUNDIR STORE
        QUEUE BINDIR""".split()
    tm.is_([k for k in need if k not in env], [], "DIR/env has what it promises")
    tm.is_((env["DOMAIN"], env["USERS"]), ("sand.box.test", "7"), "domain and users")
    tm.ok(all(listening(v) for k, v in env.items() if k.endswith("_PORT")), "every port listens")
    r = call("status", d)
    tm.is_(r.returncode, 0, "status: all answer")
    tm.is_(re.findall(r"^(\S+) +\d+ +up ", r.stdout, re.M), names, "a line for each")
    with open(d + "/etc/smtp-relay.conf") as f:
        text = f.read()
    tm.ok("size = 1M" in text and "[listen mx]\naddress = 127.0.0.1:%s\nrole = mx\ntls = off" %
          env["SMTP_PORT"] in text, "--set reaches plain keys and keys of sections")
    tm.ok("[route far.test]" in open(d + "/etc/channels.conf").read(), "--route is a route")

    def pid_of(name):
        return int(re.search(r"^%s +(\d+)" % name, call("status", d).stdout, re.M).group(1))

    before = pid_of("imapd")
    tm.is_(call("restart", d, "imapd").returncode, 0, "restart of one that runs")
    tm.ok(pid_of("imapd") != before and listening(env["IMAP_PORT"]), "another process, same port")
    os.kill(pid_of("jobctl"), signal.SIGKILL)
    tm.ok(tm.wait_for(lambda: call("status", d).returncode == 1, 5), "status sees a dead daemon")
    tm.is_(call("restart", d, "jobctl").returncode, 0, "restart of a dead one")
    tm.is_(call("status", d).returncode, 0, "all answer again")
    tm.ok(call("up", d).returncode != 0, "up is refused while it is up")
    tm.ok(marked(d), "processes are known by their environment")
    tm.is_(call("down", d).returncode, 0, "down")
    tm.is_(marked(d), [], "leaves no process")
    tm.is_([k for k, v in env.items() if k.endswith("_PORT") and listening(v)], [], "and no port")
    tm.ok(os.path.exists(d + "/run/imapd.log"), "but the files")
    tm.is_(call("status", d).returncode, 1, "status of one that is down")
    tm.is_(call("up", d).returncode, 0, "up again, with its data")
    again = env_of(d)
    tm.is_({k: again[k] for k in ("IMAP_PORT", "PASSWORD")}, {k: env[k] for k in ("IMAP_PORT", "PASSWORD")},
           "with its ports and passwords")
    tm.is_(call("down", d).returncode, 0, "down again")
    tm.is_(call("down", d).returncode, 0, "down twice does no harm")

    # ---- what goes wrong
    d = top + "/b"
    r = call("up", d, "--set", "imapd.no_such_key=1", "--without", "jobctl")
    tm.ok(r.returncode != 0 and "imapd" in r.stderr and "no_such_key" in r.stderr,
          "a daemon that does not start is named, with the end of its log")
    tm.is_(marked(d), [], "the others are taken down")
    r = call("up", top + "/c", BINDIR=top)
    tm.ok(r.returncode != 0 and "--without" in r.stderr, "a program that is not built is an error")
    r = call("up", top + "/c", BINDIR=top, SANDBOX_SKIP_MISSING="1")
    tm.is_(r.returncode, 0, "unless that is allowed")
    tm.ok("IMAP_PORT" not in env_of(top + "/c"), "its ports are absent")
    call("down", top + "/c")
    for bad in (["--without", "nobody"], ["--set", "imapd"], ["--route", "x=pop:1:2"], ["--what"]):
        tm.ok(call("up", top + "/d", *bad).returncode != 0, "refused: " + " ".join(bad))

    # ---- deep, and as an ordinary user
    deep = top + "/" + "/".join(["deep" * 10] * 4)
    run_as = []
    os.makedirs(deep)
    if os.getuid() == 0:
        run_as = tm.NOBODY
        os.chown(deep, 65534, 65534)
    d = deep + "/s"
    if run_as and not tm.nobody_can():
        tm.skip("as an ordinary user", "the source is not readable for others")
    else:
        r = call("up", d, "--users", "1", run_as=run_as)
        if tm.ok(r.returncode == 0, "up as an ordinary user, in a deep place"):
            env = env_of(d)
            tm.ok(len(env["RUNDIR"]) < 80 and os.path.samefile(env["RUNDIR"], d + "/run"),
                  "RUNDIR is short")
            tm.is_(call("status", d, run_as=run_as).returncode, 0, "all answer")
            tm.is_(call("down", d, run_as=run_as).returncode, 0, "down")
            tm.is_(marked(d), [], "leaves no process")
            tm.ok(not os.path.exists(env["RUNDIR"]), "nor the short link")
        else:
            tm.diag(r.stderr)
finally:
    for root, dirs, files in os.walk(top):
        if "state.json" in files:
            call("down", root)
    shutil.rmtree(top, ignore_errors=True)
tm.done()
