#!/usr/bin/env python3
"""What is an account's and no message's is in its backup, and comes back from it: whom vacation has answered, names that are
subscribed and no folders, the last login.  And renaming an account gives the new name what others give it, and
takes nothing from it."""
import json, os, re, subprocess
import tm
import storewire as w
from barestore import ASAN, SHIM, Store

ok, is_ = tm.ok, tm.is_
DIR = tm.tempdir()
SEEN, CLAIM = 0, 1
ANN, BEN = "ann@store.test", "ben@store.test"


def storectl(s, *args, **kw):
    env = dict(os.environ, LD_PRELOAD=SHIM, POWERCUT_BOOT=s.boot, ASAN_OPTIONS=ASAN)
    return subprocess.run([f"{tm.BINDIR}/storectl", "-c", f"{s.dir}/tiermail.conf", *args], capture_output=True, timeout=tm.LONG, env=env, **kw)


def login(s, name=ANN):
    return json.loads(storectl(s, "account", "show", "--json", name).stdout)["login_pop3"]


def account(sock, name=ANN):
    r = w.ask(sock, w.ACCOUNT, w.body(name=name.encode()))
    return r.get(w.R_ACCOUNT), r.get(w.R_MAILBOX)


one, two = Store(f"{DIR}/one"), Store(f"{DIR}/two")
ok(one.start() and two.start(), "two stores start")
a, b = (w.connect(f"{s.dir}/stored.sock") for s in (one, two))
id, inbox = account(a)
keys = [bytes([n, 0, 37, 32]) * 4 for n in range(1, 151)]
for at in range(0, len(keys), 50):
    r = w.ask(a, w.KNOW, w.body(name=ANN.encode(), questions=[w.question(CLAIM, k, 86400) for k in keys[at:at + 50]]))
    is_((r.code, r.get(w.R_KNOWN)), (w.DONE, 0), "fifty handles are claimed")
for name, yes in (("nowhere/at all", 1), ("Drafts", 0)):
    w.ask(a, w.SUBSCRIBE, w.body(account=id, name=name.encode(), yes=yes))
w.ask(a, w.LOGIN, w.body(account=id, use=1))
ok(login(one), "there was a login")

stream = storectl(one, "-q", "backup", "-a", ANN, "-").stdout
r = storectl(two, "restore", "-", input=stream)
is_(r.returncode, 0, "a backup of it is restored in another store") or tm.diag(r.stderr.decode())
for at in range(0, len(keys), 50):
    r = w.ask(b, w.KNOW, w.body(name=ANN.encode(), questions=[w.question(SEEN, k) for k in keys[at:at + 50]]))
    is_(r.get(w.R_KNOWN), (1 << 50) - 1, "fifty handles stand there")
is_(w.ask(b, w.KNOW, w.body(name=ANN.encode(), questions=[w.question(SEEN, b"no" * 8)])).get(w.R_KNOWN), 0, "and no others")
is_(login(two), login(one), "the last login is as it was")


def subscribed(stream):
    return sorted(re.findall(rb"subscription name=(\S+)", stream) + re.findall(rb"folder name=(\S+) [^\n]*subscribed=1", stream))


again = storectl(two, "-q", "backup", "-a", ANN, "-").stdout
ok(b"nowhere/at%20all" in subscribed(stream) and b"Trash" in subscribed(stream), "subscriptions are in the stream, also of names that are no folders")
is_([n for n in subscribed(stream) if n not in subscribed(again)], [], "and in the other store")

# ---- rights of two names that become one ----------------------------------------------------------------------------
_, box = account(a, BEN)
for identifier, rights in ((ANN, 1), ("eve@store.test", 7)):
    is_(w.ask(a, w.ACL, w.body(mailbox=box, name=identifier.encode(), count=rights)).code, w.DONE, f"{identifier} has rights of another's")
is_(storectl(one, "account", "rename", ANN, "eve@store.test").returncode, 0, "the account gets the other name")
shown = storectl(one, "acl", BEN, "INBOX").stdout.decode()
ok(re.search(r"eve@store.test\s+lrs\b", shown) and ANN not in shown, "which has kept what it had") or tm.diag(shown)
for sock in (a, b):
    sock.close()
for s in (one, two):
    is_(storectl(s, "check").returncode, 0, "check finds nothing")
    s.stop()
tm.done()
