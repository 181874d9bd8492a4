#!/usr/bin/env python3
"""The console's queue, held messages, hosts and deliveries in a browser: t/www/real/console-hosts.mjs."""
import os, re, subprocess, sys

sys.path[:0] = [os.path.dirname(os.path.abspath(__file__))]
import tm, wire

tm.need("ldapmodify", "openssl", "node", "chromium")
if subprocess.run([tm.TOP + "/scripts/deps", "web"], stderr=subprocess.DEVNULL).returncode:
    tm.skip_all("nothing to drive a browser with")
HOST = f"127.{os.getpid() % 200 + 20}.{os.getpid() // 200 % 250}.13"
LOGS = tm.tempdir()
sb = tm.Sandbox("--users", "8", "--admin", "--set", "admind.auth.delay=0", "--set", "admind.limit.per_user=50", "--set", f"tiermail.control.address={HOST}",
                "--set", "tiermail.roles.operator=ops.hosts.test", "--set", f"admind.hosts={HOST}, nowhere.hosts.test", "--set", "tiermail.dns.resolvers=127.0.0.1@9", "--set", f"tiermail.log_to=dir:{LOGS}")
wire.directory.certificates(sb.dir + "/host", ["ops.hosts.test"], [HOST], sb.dir + "/tls")
for name in ("server.pem", "server.key"):
    os.replace(f"{sb.dir}/host/{name}", f"{sb.dir}/tls/{name}")
for d in ("jobctl", "stored", "imapd", "pop3d", "sieved", "jmapd", "smtp-relay", "mmpd", "memd", "admind"):
    sb.restart(d)
sb.kill("lmtpd")
for i in range(1, 6):
    sb.send(i)


def tried():
    """Whose message was tried; the others wait for the store to come back, which has no session for anybody."""
    for name in os.listdir(LOGS):
        with open(os.path.join(LOGS, name), errors="replace") as f:
            found = re.search(rf"ev=deliver .*to=(user000\d)@{re.escape(sb.domain)} state=deferred", f.read())
        if found:
            return found[1]


tm.ok(tm.wait_for(tried), "a message was tried, and waits")
p = subprocess.run(["node", "--test", "--test-concurrency=1", "--test-reporter=./t/www/lib/tap.mjs", "t/www/real/console-hosts.mjs"], cwd=tm.TOP,
                   env=dict(os.environ, SANDBOX=sb.dir, CONTROL=HOST, TRIED=tried() or "", CTL=sb.bin("jobctl-ctl"), CONF=sb.conf("tiermail.conf")), text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
steps = re.findall(r"^(not ok|ok) \d+ - (.*)$", p.stdout, re.M)
for state, name in steps:
    tm.ok(state == "ok", name)
tm.is_(p.returncode, 0, "the browser's steps")
tm.ok(len(steps) > 5, "there were steps")
if p.returncode:
    tm.diag(p.stdout)
    tm.diag("".join(l for name in os.listdir(LOGS) for l in open(os.path.join(LOGS, name), errors="replace") if f"{sb.user(1)}@" in l or "ev=dest_state" in l))
tm.done()
