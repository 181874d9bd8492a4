#!/usr/bin/env python3
"""`make demo`: it ends with a message there and back, and everything that it tells people to try does what it says; once
more it finds itself running; `make demo-stop` leaves nothing."""
import os, re, socket, subprocess, sys, urllib.error, urllib.request, ssl
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tm

tm.need("curl", "slapd")
if tm.BINDIR != os.path.join(tm.TOP, "build/bin"):
    tm.skip_all("for the plain build")
top = tm.tempdir()
DIR = top + "/demo"


def demo(*args):
    return subprocess.run([tm.TOP + "/scripts/demo", *args], capture_output=True, text=True, timeout=4 * tm.LONG, env={**os.environ, "DEMO_DIR": DIR})


def told(what, text):
    return re.search(rf"(?m)^  {what} +(.*?)(?:   \(.*)?$", text)[1]


try:
    r = demo()
    tm.is_(r.returncode, 0, "the demo runs") or tm.diag(r.stdout[-3000:] + r.stderr[-3000:])
    status = dict(re.findall(r"(?m)^([a-z0-9-]+) +\d+ +(\S+) ", r.stdout))
    tm.is_({d: s for d, s in status.items() if s != "up"}, {}, "all of it is up")
    tm.ok({"slapd", "stored", "lmtpd", "jobctl", "smtp-relay", "imapd", "pop3d", "jmapd", "sieved", "mmpd", "memd", "admind"} <= set(status), "it is everything") or tm.diag(status)
    said = subprocess.run(told("e.g.", r.stdout), shell=True, capture_output=True, text=True, timeout=tm.LONG)
    tm.ok(said.returncode == 0 and "Subject: Hello from tiermail" in said.stdout, "its example for curl shows the message") or tm.diag((said.returncode, said.stdout, said.stderr))
    tls = ssl.create_default_context(cafile=told("CA file", r.stdout))
    for face in ("webmail", "console"):
        with urllib.request.urlopen(told(face, r.stdout), context=tls, timeout=tm.LONG) as page:
            tm.ok(page.status == 200 and b"<html" in page.read().lower(), f"the {face} is there")
    for line in (told("IMAP", r.stdout), told("send by", r.stdout)):
        for port in re.findall(r"\b(\d{4,5}) \(", line):
            socket.create_connection((line.split()[0], int(port)), tm.LONG).close()
    tm.ok(True, "and each port")
    r = demo()
    tm.ok(r.returncode == 0 and "already running" in r.stdout and "Hello from tiermail" in r.stdout, "once more: another message") or tm.diag(r.stdout[-2000:] + r.stderr)
    said = subprocess.run(told("e.g.", r.stdout), shell=True, capture_output=True, text=True, timeout=tm.LONG)
    tm.ok("Subject: Hello from tiermail" in said.stdout, "which the example shows then")
finally:
    r = demo("stop")
tm.is_((r.returncode, os.path.exists(DIR)), (0, False), "demo-stop leaves nothing")
tm.done()
