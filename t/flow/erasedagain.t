#!/usr/bin/env python3
"""Mail that comes while an account is deleted makes one new account, however the two are timed: never one where
the old one was and another in the default partition."""
import json, os, subprocess
import tm
import storewire as w
from barestore import ASAN, SHIM, Store

ok, is_ = tm.ok, tm.is_
DIR, ROUNDS, MAILS = tm.tempdir(), 25, 40
ANN = b"ann@store.test"
text = b"Subject: again\r\n\r\nx\r\n"
s = Store(DIR)
with open(f"{DIR}/stored.conf") as f:
    conf = f.read()
os.makedirs(f"{DIR}/store/partition/second")
with open(f"{DIR}/stored.conf", "w") as f:
    f.write("default_partition = primary\n" + conf + f"[partition primary]\npath = {DIR}/store/partition/primary\n[partition second]\npath = {DIR}/store/partition/second\n")
ok(s.start(), "stored starts with two partitions") or tm.diag(s.said())
a, b = (w.connect(f"{DIR}/stored.sock") for _ in range(2))


def bodies():
    tokens = []
    for _ in range(MAILS):
        r = w.ask(b, w.BODIES, w.body(count=1, partition=b"second"))
        os.write(r.fds[0], text)
        os.close(r.fds[0])
        tokens.append(r.get(w.R_TOKEN))
    return tokens


split = delivered = 0
for n in range(ROUNDS):
    r = w.ask(a, w.ACCOUNT, w.body(name=ANN, partition=b"second"))
    tokens = bodies()
    a.send(w.head(w.ERASE, 7) + w.body(account=r.get(w.R_ACCOUNT), name=ANN))
    for i, token in enumerate(tokens):
        b.send(w.head(w.DELIVER, 100 + i) + w.body(messages=[w.message(token, len(text), b"cache")], targets=[w.target(ANN)]))
    for sock, count in ((a, 1), (b, MAILS)):
        while count:
            data, _ = w.receive(sock)
            if data[1] == w.REPLY:
                delivered += w.Reply(data[16:]).kind == 2
                count -= 1
    split += "in_two_partitions" in s.said()
    if split:
        break
is_(split, 0, "one account of the name, always")
is_(delivered, ROUNDS * (MAILS + 1), "everything is answered")
r = subprocess.run([f"{tm.BINDIR}/storectl", "-c", f"{DIR}/tiermail.conf", "account", "list", "--json"], capture_output=True, text=True,
                   env=dict(os.environ, LD_PRELOAD=SHIM, POWERCUT_BOOT=s.boot, ASAN_OPTIONS=ASAN))
is_([json.loads(l)["account"] for l in r.stdout.splitlines()], [ANN.decode()], "also in the partitions")
a.close()
b.close()
s.stop()
tm.done()
