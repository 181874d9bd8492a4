#!/usr/bin/env python3
"""Logs in a folder: a file for each daemon, that is turned over by it or by logrotate, and whose disk may hang; lines
that fail2ban reads, and that nobody can forge; what the end of a session tells."""
import http.client, json, os, re, smtplib, subprocess, sys, time

sys.path[:0] = [os.path.dirname(os.path.abspath(__file__))]
import tm, wire
from pop3raw import Pop
from sieveraw import Sieve

LOGS = tm.tempdir()
sb = tm.Sandbox("--users", "3", "--set", f"tiermail.log_to=dir:{LOGS}", *(w for d in ("imapd", "pop3d", "sieved", "mmpd", "memd", "smtp-relay") for w in ("--set", f"{d}.auth.delay=0s")),
                "--set", "imapd.workers=2")
FILTER = tm.TOP + "/conf/fail2ban/filter.d/tiermail.conf"
DOORS = ("imapd", "pop3d", "sieved", "mmpd", "memd", "smtp-relay")


def log(name):
    with open(f"{LOGS}/{name}.log", errors="replace") as f:
        return f.read()


def has(name, pattern):
    return tm.wait_for(lambda: re.search(pattern, log(name), re.M), what=f"{pattern} in the log of {name}")


tm.is_(sorted(n for n in os.listdir(LOGS) if not n.endswith(".log")), [], "the folder has logs")
tm.ok(set(DOORS) | {"stored", "lmtpd", "jobctl"} <= {n[:-4] for n in os.listdir(LOGS)}, "one of each daemon")
tm.ok(all(has(d, "ev=ready") for d in DOORS), "with its lines")
tm.is_(oct(os.stat(LOGS + "/imapd.log").st_mode & 0o777), "0o640", "not for everybody to read")

# ---- who is refused
BAD = "x reason=failed"
FORGED = f"a peer=192.0.2.9 mech=password reason=failed\nts=2026-11-30T08:00:00.000Z lvl=info who=imapd[1] ev=login_failed sid=a service=imap peer=192.0.2.9 login=x reason=failed"


def imap(port, login, password):
    """The login as a literal: any octets."""
    w = wire.Line((sb.host, sb.port(port)))
    w.line()
    w.sock.sendall(b'a LOGIN {%d+}\r\n%s "%s"\r\n' % (len(login), login.encode(), password.encode()))
    while not (line := w.line()).startswith("a "):
        if not line:
            break
    w.sock.close()


for port in ("IMAP", "MMP_IMAP"):
    for login in (sb.user(1), BAD, FORGED):
        imap(port, login, "wrong")
    imap(port, sb.user(1), sb.password)
for port in ("POP3", "MMP_POP3"):
    for password in ("wrong", sb.password):
        Pop(sb, login=sb.user(1), password=password, port=sb.port(port)).sock.close()
for port in ("SIEVE", "MMP_SIEVE"):
    for password in ("wrong", sb.password):
        Sieve(sb, login=1, password=password, port=port).close()
for password in ("wrong", sb.password):
    s = sb.smtp("SUBMISSION")
    try:
        s.login(sb.user(1), password)
    except smtplib.SMTPException:
        pass
    s.close()
for login in (sb.user(1), BAD, FORGED):
    c = http.client.HTTPSConnection(sb.host, sb.port("HTTPS"), context=wire.context(sb), timeout=tm.LONG)
    c.request("POST", "/login", json.dumps({"user": login, "password": "wrong"}),
              {"Content-Type": "application/json", "Origin": f"https://{sb.host}:{sb.port('HTTPS')}"})
    tm.is_(c.getresponse().status, 401, "the web: refused")
# smtplib tries one mechanism after the other.
WANT = {"imapd": 3, "memd": 3, "mmpd": 5, "pop3d": 1, "sieved": 1, "smtp-relay": 2}
for name, n in WANT.items():
    tm.ok(tm.wait_for(lambda: len(re.findall(r"reason=failed$", log(name), re.M)) >= n), f"{name}: refused logins are in the log")
    line = re.search(r"^.*ev=(?:login_failed|auth) .*reason=failed$", log(name), re.M)[0]
    tm.ok(all(f" {k}=" in line for k in ("sid", "service", "peer", "login", "user", "reason")), f"with who, where and why: {line[24:]}")


def matched(path):
    """Addresses of the lines that the filter finds."""
    r = subprocess.run(["fail2ban-regex", "-o", "ip", path, FILTER], capture_output=True, text=True)
    return r.stdout.split()


for name, n in WANT.items():
    tm.is_(matched(f"{LOGS}/{name}.log"), ["127.0.0.1"] * n, f"fail2ban finds {n} of them in {name}'s file, and no other")
    syslog = f"{LOGS}/{name}.syslog"
    with open(syslog, "w") as f:
        for line in log(name).splitlines():
            f.write("Nov 30 08:20:01 mail %s[12]: %s\n" % (name, line[line.index("ev="):]))
    tm.is_(matched(syslog), ["127.0.0.1"] * n, "and in syslog's")
    os.unlink(syslog)

# ---- the end of a session
tm.ok(has("imapd", r"ev=disconnect sid=\w+ why=\w+ in=\d+ out=\d+ ms=\d+$"), "imapd: reason, octets and time")
tm.ok(has("pop3d", r"ev=disconnect sid=\w+ why=\w+ .*in=\d+ out=\d+ ms=\d+$"), "pop3d")
tm.ok(has("mmpd", r"ev=disconnect sid=\w+ why=\w+ .*in=\d+ out=\d+ ms=\d+$"), "mmpd")

# ---- turned over by size, by a reload's wish
with open(sb.conf("tiermail.conf")) as f:
    good = f.read()
with open(sb.conf("tiermail.conf"), "w") as f:
    f.write(good.replace("log_level", "log_size = 2000\nlog_keep = 3\nlog_level", 1))
tm.is_(sb.tool("tmctl", "-d", "imapd", "reload").stdout, "ok\n", "log_size by a reload")


def turned():
    sb.imap(1).logout()
    return os.path.exists(LOGS + "/imapd.log.3")


tm.ok(tm.wait_for(turned), "imapd's file is turned over")
tm.ok(not os.path.exists(LOGS + "/imapd.log.4"), "and three are kept")
tm.ok(all(re.match(r"ts=\S+ lvl=\w+ who=imapd\[\d+\] ev=\w+", line) for n in ("imapd.log", "imapd.log.1", "imapd.log.2") for line in open(f"{LOGS}/{n}")), "no line is torn")

# ---- logrotate
conf, state = tm.tempdir() + "/conf", tm.tempdir() + "/state"
with open(tm.TOP + "/conf/logrotate/tiermail") as f, open(conf, "w") as out:
    out.write(f.read().replace("/var/log/tiermail", LOGS))
os.chmod(conf, 0o644)
os.chmod(LOGS, 0o755)
r = subprocess.run(["logrotate", "-f", "-s", state, conf], capture_output=True, text=True)
tm.is_((r.returncode, r.stderr), (0, ""), "logrotate takes the sample")
tm.ok(not os.path.exists(LOGS + "/pop3d.log"), "and the files")
tm.ok(tm.wait_for(lambda: (Pop(sb, login=1).sock.close(), os.path.exists(LOGS + "/pop3d.log"))[1]), "pop3d makes another without being told")

# ---- a disk that hangs: a pipe that nobody reads
if os.path.exists(LOGS + "/smtp-relay.log"):
    os.unlink(LOGS + "/smtp-relay.log")
os.mkfifo(LOGS + "/smtp-relay.log")
time.sleep(1.1)  # the name is looked at once in a second
before = sb.count(2)
for _ in range(30):
    sb.send(to=2)
tm.ok(tm.wait_for(lambda: sb.count(2) == before + 30), "mail goes on while the log hangs")
tm.is_(sb.tool("tmctl", "-d", "smtp-relay", "ping").returncode, 0, "and the daemon answers")
fd = os.open(LOGS + "/smtp-relay.log", os.O_RDONLY | os.O_NONBLOCK)
got = b""


def awake():
    global got
    try:
        got += os.read(fd, 65536)
    except BlockingIOError:
        pass
    return got.count(b"ev=queued") >= 28


tm.ok(tm.wait_for(awake), "what waited is written when it wakes up")
os.close(fd)

# ---- a folder that is none
with open(sb.conf("tiermail.conf"), "w") as f:
    f.write(good.replace(f"dir:{LOGS}", "dir:/nonexistent/x"))
r = subprocess.run([sb.bin("imapd"), "-n", "-c", sb.conf("imapd.conf")], capture_output=True, text=True)
tm.ok(r.returncode == 78 and "log_to" in r.stderr, "-n says so: " + r.stderr.strip())
with open(sb.conf("tiermail.conf"), "w") as f:
    f.write(good.replace(f"dir:{LOGS}", "file"))
r = subprocess.run([sb.bin("imapd"), "-n", "-c", sb.conf("imapd.conf")], capture_output=True, text=True)
tm.ok(r.returncode == 78 and "log_to" in r.stderr, "and of a word that is none: " + r.stderr.strip())
with open(sb.conf("tiermail.conf"), "w") as f:
    f.write(good)
tm.done()
