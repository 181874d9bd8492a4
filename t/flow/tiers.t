#!/usr/bin/env python3
"""From tier to tier over TCP: channel-master and lmtpd verify each other's certificates."""
import os, re, sys

sys.path[:0] = [os.path.dirname(os.path.abspath(__file__))]
import tm

sb = tm.Sandbox("--users", "3", "--without", "imapd", "--set", "lmtpd.trusted=192.0.2.0/24",
                "--set", "channels.channel tcp_lmtp.backoff=1s")
conf = f"{sb.env['CONFDIR']}/channels.conf"
port = sb.env["LMTP_PORT"]


def channels(change):
    """The channels' file with the host's section changed; jobctl starts new masters."""
    with open(conf) as f:
        text = f.read()
    with open(conf, "w") as f:
        f.write(re.sub(r"(?m)^lmtp = .*\n(tls = .*\n)?", change, text, count=1))
    tm.ok(sb.restart("jobctl"), f"jobctl again, with {change.split(chr(10))[0]}")


def stored():
    return sum(n.endswith(".msg") for _, _, ns in os.walk(sb.env["STORE"]) for n in ns)


def lmtpd_log(text):
    with open(f"{sb.env['RUNDIR']}/lmtpd.log") as f:
        return text in f.read()


sb.send(1, subject="by the socket")
tm.ok(tm.wait_for(lambda: stored() == 1), "over the Unix socket")
channels(f"lmtp = 127.0.0.1:{port}\ntls = off\n")
sb.send(1, subject="without TLS")
tm.ok(tm.wait_for(lambda: lmtpd_log("verb=MAIL reply=530")), "without TLS lmtpd refuses a host that is not trusted")
tm.ok(stored() == 1 and sb.queue_files(), "and the mail is kept")
channels(f"lmtp = 127.0.0.1:{port}\ntls = must\n")
tm.ok(tm.wait_for(lambda: stored() == 2), "with TLS and both certificates it arrives")
tm.ok(sb.queue_empty(), "the queue is empty")
with open(f"{sb.env['RUNDIR']}/lmtpd.log") as f:
    tm.ok("ev=bug" not in f.read(), "no bug was met")
path = max((os.path.join(d, n) for d, _, ns in os.walk(sb.env["STORE"]) for n in ns if n.endswith(".msg")),
           key=os.path.getmtime)
with open(path) as f:
    tm.ok("with LMTPS id" in f.read(), "and its trace says LMTPS")
tm.done()
