#!/usr/bin/env python3
"""An account is deleted in slices, and one gets another name, and stored is killed at every moment of it: what is left
is whole each time, and asked again the rest is done."""
import os, random, signal, subprocess, threading, time
import tm
import storewire as w
from barestore import Store

seed = int(os.environ.get("SEED", time.time_ns() % 1000000))
random.seed(seed)
tm.diag(f"SEED={seed}")
DIR = tm.tempdir()
s = Store(f"{DIR}/store", "snapshot_interval = 0\nslice = 0\n")
TOOL = (f"{tm.BINDIR}/storectl", "-c", f"{s.dir}/tiermail.conf")
MANY, FOLDERS = 600, 60


def up():
    ok = s.start()
    return ok and w.connect(f"{s.dir}/stored.sock")


def account(sock, name):
    r = w.ask(sock, w.ACCOUNT, w.body(name=name))
    return r.get(w.R_ACCOUNT), r.get(w.R_MAILBOX)


def fill(sock, name):
    """60 folders, some below others, a message in each, and one with many."""
    id, inbox = account(sock, name)
    b = w.ask(sock, w.BODIES, w.body(count=1))
    os.write(b.fds[0], b"Subject: x\r\n\r\n")
    os.close(b.fds[0])
    w.ask(sock, w.APPEND, w.body(mailbox=inbox, messages=[w.message(b.get(w.R_TOKEN), 14)]))
    for n in range(FOLDERS):
        box = w.ask(sock, w.CREATE, w.body(account=id, name=b"a%d/b/c%d" % (n % 7, n))).get(w.R_MAILBOX)
        r = w.ask(sock, w.COPY, w.body(mailbox=inbox, mailbox2=box, ranges=[(1, 1)]))
    n = 1
    while n < MANY:
        some = min(n, MANY - n)
        r = w.ask(sock, w.COPY, w.body(mailbox=box, mailbox2=box, ranges=[(1, some)]))
        n += some
    return id, r.kind == 2


def killed_while(sock, verb, payload, after):
    """The request, and a kill so many seconds later: its reply or None."""
    kill = threading.Timer(after, s.p.kill)
    kill.start()
    try:
        return w.ask(sock, verb, payload)
    except (EOFError, OSError):
        return None
    finally:
        kill.join()
        s.p.wait()


def check(what):
    r = s.run(*TOOL, "check")
    return r.returncode == 0 or tm.diag(f"{what}: " + r.stdout[-1500:] + r.stderr[-500:])


def has(name):
    return s.run(*TOOL, "account", "show", name.decode()).returncode == 0


# ---- deleted ----------------------------------------------------------------------------------------------------------
sock = up()
tm.ok(sock, "stored starts") or tm.diag(s.said())
stay, good = fill(sock, b"stay@store.test")
tm.ok(good, "an account that stays")
kept = s.dump()[0]
good, kills, names = True, 0, [b"go%d@store.test" % n for n in range(4)]
for name in names:
    id, filled = fill(sock, name)
    good &= filled
    for tries in range(8):      # each time it gets further, and begins where it was
        r = killed_while(sock, w.ERASE, w.body(account=id, name=name), random.uniform(0.0005, 0.1 * (1 + tries)))
        kills += 1
        sock = up()
        good &= bool(sock) and check(f"{name}, kill {tries}")
        if r or not has(name):
            break
    if not good:
        break
tm.ok(good, f"{kills} kills while accounts are deleted: check finds nothing after any")
left = [name for name in names if has(name)]
tm.diag(f"{len(left)} are left")
tm.is_([w.ask(sock, w.ERASE, w.body(account=account(sock, name)[0], name=name)).kind for name in left], [2] * len(left), "and asked once more the rest goes")
tm.ok(not any(has(b"go%d@store.test" % n) for n in range(4)), "those that were to go are gone")
tm.is_({k: v for k, v in s.dump()[0].items() if k[0] == "stay@store.test"}, {k: v for k, v in kept.items() if k[0] == "stay@store.test"}, "the other one is as it was")


def emptied():
    w.ask(sock, w.SUBSCRIBE, w.body(account=stay, name=b"INBOX", yes=1))    # what is left goes on with the next batch
    r = s.run(*TOOL, "check")
    return r.returncode == 0 and " 0 waiting" in r.stdout and not os.listdir(f"{s.part}/=deleted")


tm.ok(tm.wait_for(emptied), "what they had is purged, directories too") or tm.diag(s.run(*TOOL, "check").stdout[-800:])
dirs = subprocess.run(["find", f"{s.part}/=user", "-mindepth", "3", "-maxdepth", "3"], capture_output=True, text=True).stdout.splitlines()
tm.is_([os.path.basename(d) for d in dirs], ["=stay@store.test"], "of their directories nothing is left")
tm.is_(w.ask(sock, w.ERASE, w.body(account=stay, name=b"go0@store.test")).code, w.NOMAILBOX, "an id and another's name delete nobody")
tm.is_(w.ask(sock, w.ERASE, w.body(account=stay, name=b"stay@store.test", options=4)).code, w.CANNOT, "nor one with messages that was to be empty")

# ---- renamed ----------------------------------------------------------------------------------------------------------
good, name, turns = True, b"stay@store.test", 0
for turn in range(12):
    new = b"name%d@store.test" % turn
    killed_while(sock, w.RENAME_ACCOUNT, w.body(account=stay, name=name, name2=new), random.uniform(0.0005, 0.02))
    sock = up()
    good &= bool(sock) and check(f"renamed, kill {turn}") and has(name) != has(new)
    if has(new):
        name, turns = new, turns + 1
    if not good:
        break
tm.ok(good, f"12 kills while an account gets another name, which it got {turns} times: it has one of the two, and check finds nothing")
r = w.ask(sock, w.RENAME_ACCOUNT, w.body(account=stay, name=name, name2=b"last@store.test"))
tm.is_(r.kind, 2, "it gets the last one") or tm.diag(r.text)
now = s.dump()[0]
tm.is_({k[1]: v for k, v in now.items() if k[0] == "last@store.test"}, {k[1]: v for k, v in kept.items() if k[0] == "stay@store.test"},
       "with every folder, UID and flag, and with nothing else")
tm.is_({k[0] for k in now}, {"last@store.test"}, "and nobody has the old ones")
other, _ = account(sock, b"other@store.test")
tm.is_(w.ask(sock, w.RENAME_ACCOUNT, w.body(account=other, name=b"other@store.test", name2=b"last@store.test")).code, w.EXISTS, "a name that is taken is refused")
tm.is_(w.ask(sock, w.RENAME_ACCOUNT, w.body(account=other, name=b"other@store.test", name2=b"Up@store.test")).code, w.REFUSED, "and one that is none")
tm.is_(account(sock, b"last@store.test")[0], stay, "stored knows it by its new name")
s.stop()
tm.ok(check("at the end"), "check finds nothing")
tm.done()
