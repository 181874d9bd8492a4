#!/usr/bin/env python3
"""A null client, of the files in conf/examples/null-client as they are but for names and paths: what programs give
to sendmail goes to the smart host, waits on disk while that is away, and nothing needs or asks a directory."""
import os, re, subprocess, sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../cmd")]
import tm
from mta import Mail

SAMPLE = os.path.join(tm.TOP, "conf/examples/null-client/tiermail")
top = tm.tempdir()
etc, port, running = top + "/etc", tm.free_port(), {}
os.mkdir(etc)
for name in os.listdir(SAMPLE):
    with open(os.path.join(SAMPLE, name)) as f:
        text = f.read()
    text = re.sub(r"(?m)^group = .*\n", f"prefix = {top}\nlibexec = {tm.BINDIR}\n", text)
    text = text.replace("daemon smarthost.example.org", f"daemon 127.0.0.1 port {port}")
    with open(os.path.join(etc, name), "w") as f:
        f.write(text)


def start(name):
    tm.watch_log(f"{top}/{name}.log")
    with open(f"{top}/{name}.log", "a") as log:
        running[name] = subprocess.Popen([f"{tm.BINDIR}/{name}", "-c", f"{etc}/{name}.conf"], stderr=log)
    tm.wait_for(lambda: os.path.exists(f"{top}/run/tiermail/{name}.pid"), what=name)


def tool(name, *args, text=None):
    return subprocess.run([os.path.join(tm.BINDIR, name), *args], input=text, capture_output=True, text=True, timeout=tm.LONG,
                          env={**os.environ, "TIERMAIL_CONF": etc + "/tiermail.conf"})


def sendmail(*to, sender="cron"):
    return tool("sendmail", "-f", sender, *to, text="Subject: for %s\n\nx\n" % " ".join(to)).returncode


def queued():
    return tool("mailq", "-q").stdout


try:
    for d in ("smtp-relay", "jobctl"):
        r = subprocess.run([f"{tm.BINDIR}/{d}", "-n", "-c", f"{etc}/{d}.conf"], capture_output=True, text=True)
        tm.is_((r.returncode, r.stderr), (0, ""), f"{d} -n finds nothing wrong in the sample")
        start(d)
    tm.ok(tm.wait_for(lambda: os.path.exists(top + "/run/tiermail/submit.sock")), "sendmail has somebody to talk to")

    # ---- the smart host is away
    tm.is_([sendmail("root"), sendmail("joe@elsewhere.example"), sendmail("a@x.example", "b@web1.example.org", "c@[192.0.2.1]")], [0] * 3,
           "the smart host is away: all is taken")
    tm.ok(tm.wait_for(lambda: re.search(r"0 ready, [34567] waiting, 0 leased", queued())), "and waits on disk") or tm.diag(queued())
    for d in ("jobctl", "smtp-relay"):
        running[d].kill()
        running.pop(d).wait()
        os.unlink(f"{top}/run/tiermail/{d}.pid")
    start("jobctl")
    start("smtp-relay")

    # ---- and there again
    smart = Mail(("127.0.0.1", port))
    tm.wait_for(lambda: tool("jobctl-ctl", "status").returncode == 0, what="jobctl")
    tool("jobctl-ctl", "retry", "all")
    want = {"root@example.org", "joe@elsewhere.example", "a@x.example", "b@web1.example.org", "c@[192.0.2.1]"}

    def arrived():
        return {to for m in smart.mails for to in m[1]}
    tm.ok(tm.wait_for(lambda: arrived() == want), "it is there again: everything arrives, whatever the domain") or tm.diag(arrived())
    tm.is_({m[0] for m in smart.mails}, {"cron@example.org"}, "from a whole address")
    tm.ok(tm.wait_for(lambda: queued().startswith("the queue is empty") or "0 messages" in queued()), "and the queue is empty") or tm.diag(queued())

    # ---- and nothing else
    with open(top + "/smtp-relay.log") as f:
        tm.ok("ldap" not in f.read(), "nobody asked a directory")
    got = []
    for p in running.values():
        with open(f"/proc/{p.pid}/net/tcp") as f:
            inodes = {line.split()[9] for line in f if line.split()[3] == "0A"}
        got += [fd for fd in os.listdir(f"/proc/{p.pid}/fd")
                if os.readlink(f"/proc/{p.pid}/fd/{fd}") in {f"socket:[{i}]" for i in inodes}]
    tm.is_(got, [], "and no port is open")
    tm.ok("channel: tcp_smart\n" in tool("mtatest", "rewrite", "anybody@anywhere.example").stdout, "mtatest says so too")
finally:
    tm.end(running.values())
tm.done()
