#!/usr/bin/env python3
"""The reference deployment, upgraded host by host while mail flows: each host leaves in order and comes back with another
build's programs; nothing is lost, people come back at once, and who is at another host notices nothing.  OLD_BINDIR is
the build that all begin with, where there is another one than what is tested."""
import collections, imaplib, os, shutil, smtplib, sys, threading, time

sys.path[:0] = [os.path.dirname(os.path.abspath(__file__))]
import tm
from twotier import Deployment

new = tm.tempdir() + "/bin"
shutil.copytree(tm.BINDIR, new)
if "OLD_BINDIR" in os.environ:
    os.environ["BINDIR"] = os.environ["OLD_BINDIR"]
tt = Deployment("--users", "6")
accepted, refused, stop = collections.defaultdict(list), [], threading.Event()


def flows(n, how):
    """Mail for user n, one after the other; what is refused for the time being is sent again, as a client does."""
    i = 0
    while not stop.is_set():
        subject = f"{how.__name__} {n} {i}"
        try:
            how(n, subject)
            accepted[n].append(subject)
            i += 1
        except (OSError, smtplib.SMTPException) as e:
            refused.append((subject, repr(e)))
        time.sleep(0.3)


def internet(n, subject):
    tt.internet([tt.address(n)], subject)


def submission(n, subject):
    tt.submit(3, [tt.address(n)], subject)


def comes_in(n):
    try:
        with tt.imap(n) as c:
            return c.select("INBOX")[0] == "OK"
    except (imaplib.IMAP4.error, OSError):
        return False


threads = [threading.Thread(target=flows, args=(n, how)) for n in (1, 2) for how in (internet, submission)]
for t in threads:
    t.start()
tm.wait_for(lambda: len(accepted[1]) > 2 and len(accepted[2]) > 2)

# ---- a proxy hands over to a new program, and its people stay
people = [(n, tt.imap(n)) for n in (1, 2, 1, 2)]
for host in ("mmp1", "mmp2"):
    r = tt.call("exec", host, "sh", "-c", "kill -USR2 $(cat /run/tiermail/mmpd.pid)")
    tm.ok(tm.wait_for(lambda: tt.log(host, "mmpd", "ev=upgraded ")), f"{host}: another process has taken over") or tm.diag(r.stderr)
tm.is_([c.noop()[0] for _, c in people], ["OK"] * 4, "nobody's session has ended")
for n, c in people:
    c.logout()

# ---- each host, one by one
for host in ("in1", "in2", "out1", "out2", "mmp1", "mmp2", "mem1", "mem2", "admin", "store1", "store2"):
    other = {"store1": 2, "store2": 1}.get(host)
    reader = tt.imap(other) if other else None
    r = tt.call("upgrade", host, new)
    tm.is_((r.returncode, r.stderr), (0, ""), f"{host} is upgraded")
    if reader:
        tm.is_(reader.noop()[0], "OK", "users of the other store notice nothing")
        reader.logout()
    tm.is_([tm.wait_for(lambda: comes_in(n)) for n in (1, 2)], [True, True], "people log in")
    before = {n: len(accepted[n]) for n in (1, 2)}
    tm.ok(tm.wait_for(lambda: all(len(accepted[n]) > before[n] for n in (1, 2))), "and mail flows")
stop.set()
for t in threads:
    t.join()
tm.diag(f"{sum(map(len, accepted.values()))} messages were taken, {len(refused)} refused for the time being: {collections.Counter(r.split('(')[0] for _, r in refused)}")
for n, subjects in accepted.items():
    tm.ok(tm.wait_for(lambda: set(subjects) <= set(tt.subjects(n))), f"user {n}: all of {len(subjects)} messages arrive")
    counts = collections.Counter(tt.subjects(n))
    # Of what was sent again nobody knows whether it had been taken the first time.
    tm.is_([s for s in subjects if counts[s] > 1 + sum(r == s for r, _ in refused)], [], "once")
tm.is_(tt.call("status").returncode, 0, "every host is up")
tt.done()
