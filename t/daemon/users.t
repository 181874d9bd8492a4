#!/usr/bin/env python3
"""Each daemon as a user of its own, with one group for what they share: mail flows, and none of them
can do the work of another."""
import grp, imaplib, os, pwd, socket, stat, subprocess, sys
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "../flow"), os.path.join(HERE, "../cmd")]
import tm
from mta import Mail
from pop3raw import Pop

# Accounts that every Debian has; what they are called does not matter here.
USERS = {"smtp-relay": "uucp", "jobctl": "proxy", "lmtpd": "news", "stored": "games", "imapd": "backup",
         "pop3d": "list"}
GROUP = "mail"
if os.getuid() != 0:
    tm.skip_all("only root can give each daemon a user")
if not tm.nobody_can():
    tm.skip_all("other users may not run what was built here")
try:
    uid = {d: pwd.getpwnam(u).pw_uid for d, u in USERS.items()}
    gid = grp.getgrnam(GROUP).gr_gid
except KeyError as e:
    tm.skip_all(f"no account {e}")

out = Mail(("127.0.0.1", 0), say={"RCPT": "550 5.1.1 no such user"})
args = ["--users", "3", "--set", "tiermail.group=" + GROUP, "--route", f"out.test=smtp:127.0.0.1:{out.port}"]
for daemon, user in USERS.items():
    args += ["--set", f"{daemon}.user={user}"]
for role in ("lmtpd", "imapd", "pop3d"):
    args += ["--set", f"stored.peer.{role}={USERS[role]}"]
sb = tm.Sandbox(*args, "--set", "stored.peer.storectl=root")


def ids(pid):
    with open("/proc/%d/status" % pid) as f:
        lines = dict(line.split(":", 1) for line in f.read().splitlines() if ":" in line)
    return {int(n) for n in lines["Uid"].split()}, {int(n) for n in lines["Gid"].split()}


for daemon in USERS:
    tm.is_([ids(p) for p in sb.pids_of(daemon)], [({uid[daemon]}, {gid})] * len(sb.pids_of(daemon)),
           f"every process of {daemon} is {USERS[daemon]}'s")
sb.send(1)
tm.ok(sb.queue_empty() and sb.count(1) == 1, "mail from outside arrives")
tm.ok(all(ids(p)[0] == {uid["jobctl"]} for p in sb.pids_of("channel-master")), "masters are jobctl's")
c = sb.imap(1)
tm.is_(c.append("INBOX", None, None, b"Subject: mine\r\n\r\nx\r\n")[0], "OK", "a user stores a message")
c.select()
tm.is_(c.store("1", "+FLAGS", r"(\Seen)")[0], "OK", "and a flag")
tm.is_(c.copy("1", "INBOX")[0], "OK", "and copies")
tm.is_(len(c.fetch("1:*", "(BODY.PEEK[])")[1]), 6, "and reads it all")
c.logout()
p = Pop(sb, login=1)
tm.ok(p.answer.startswith("+OK 3 messages") and p.octets("RETR 2") and p.say("DELE 2") and p.quit().startswith("+OK")
      and sb.count(1) == 2, "and fetches and deletes by POP3")
sb.send("no@out.test", sender=f"{sb.user(3)}@{sb.domain}")
tm.ok(tm.wait_for(lambda: sb.count(3) == 1) and sb.queue_empty(), "a report comes back")
ask = ("import socket; s = socket.socket(socket.AF_UNIX); s.connect('%s/submit.sock'); f = s.makefile('rw'); f.readline(); "
       "f.write('EHLO x\\r\\nQUIT\\r\\n'); f.flush(); print(f.read())" % sb.env["RUNDIR"])
r = subprocess.run(["setpriv", f"--reuid={USERS['jobctl']}", f"--regid={GROUP}", "--clear-groups", sys.executable, "-c", ask],
                   capture_output=True, text=True)
tm.ok("XASIDE" in r.stdout, "which jobctl's user may set aside, being of the group") or tm.diag(r.stdout + r.stderr)
c = sb.imap(2)
c.select()
sb.send([1, 2])
tm.ok(sb.queue_empty() and sb.count(2) == 1, "more mail arrives")
for daemon in USERS:
    tm.ok(sb.restart(daemon), f"{daemon} starts again beside the others' files")
sb.send(3)
tm.ok(sb.queue_empty() and sb.count(3) == 2, "and mail still flows")
tm.is_(sb.tool("mailq").stdout, "the queue is empty\n", "root's mailq")
r = sb.tool("storectl", "-q", "check")
tm.is_((r.returncode, r.stderr), (0, ""), "root's storectl")


def as_user(daemon, code):
    return subprocess.run(["setpriv", f"--reuid={uid[daemon]}", f"--regid={gid}", "--clear-groups", sys.executable,
                           "-c", code], capture_output=True, text=True).stdout.strip()


run, store = sb.env["RUNDIR"], sb.env["STORE"]
files = [os.path.join(d, n) for d, _, names in os.walk(store) for n in names]
tm.is_({os.stat(f).st_uid for f in files}, {uid["stored"]}, "the store is stored's")
tm.is_([f for f in files if os.stat(f).st_mode & stat.S_IWGRP and not f.endswith("lock.mdb")], [],
       "nobody else writes there but into the lock file")
for daemon in ("imapd", "pop3d", "lmtpd", "smtp-relay"):
    code = f"""
import os, signal, socket
def can(fn):
    try: fn(); return 1
    except OSError: return 0
def talk():
    s = socket.socket(socket.AF_UNIX); s.connect({run!r} + "/stored.ctl")
print(can(lambda: open({files[0]!r}, "r+")), can(talk), can(lambda: os.kill({sb.pid("stored")}, 0)),
      can(lambda: os.unlink({run!r} + "/stored.sock")))
"""
    tm.is_(as_user(daemon, code), "0 0 0 0",
           f"{USERS[daemon]} can neither write the store, command stored, signal it nor take its socket")

# ---- a mailbox has moved: its host's daemons, of other users, are to forget what they know
def news(daemon, line):
    return as_user("lmtpd", f"""
import socket
s = socket.socket(socket.AF_UNIX); s.connect({run!r} + "/{daemon}.news")
s.sendall({line.encode()!r} + b"\\n")
print(s.makefile().read().strip())
""")


c = sb.imap(1)
tm.ok(news("imapd", f"forget {sb.user(1)}@{sb.domain}").startswith("ok"), "another daemon's user has imapd forget somebody")
try:
    gone = tm.wait_for(lambda: c.noop()[0] != "OK")
except imaplib.IMAP4.abort:
    gone = True
tm.ok(gone, "whose session ends")
for line in ("drain", "reload", "status", "kick user=x", "forget", "forgets x", "@root forget x"):
    tm.is_(news("imapd", line), "error: nothing but forget USER is heard here", f"{line!r} is not heard there")
ask = "import socket; s = socket.socket(socket.AF_UNIX); s.connect('%s/imapd.news'); print('connected')" % run
r = subprocess.run([*tm.NOBODY, sys.executable, "-c", ask], capture_output=True, text=True)
tm.ok("PermissionError" in r.stderr and not r.stdout, "and those outside of the group not at all")
conf = os.path.join(tm.tempdir(), "tiermail.conf")
os.chmod(os.path.dirname(conf), 0o755)
with open(conf, "w") as f:
    f.write(f"rundir = {run}\n[ldap]\nbase = dc=example\n")
tmctl = ["setpriv", f"--reuid={uid['lmtpd']}", f"--regid={gid}", "--clear-groups", sb.bin("tmctl"), "-c", conf, "-d", "imapd,pop3d"]
r = subprocess.run([*tmctl, "forget", f"{sb.user(1)}@{sb.domain}"], capture_output=True, text=True)
tm.is_(r.stdout, "imapd: ok sessions=0\npop3d: ok sessions=0\n", "tools go that way when they may not command") or tm.diag(r.stdout + r.stderr)
tm.ok(subprocess.run([*tmctl, "reload"], capture_output=True, text=True).returncode != 0, "and no further")
sb.kill("sieved")
tm.ok(sb.restart("sieved") and sb.restart("imapd"), "a socket that was left behind is taken")
tm.done()
