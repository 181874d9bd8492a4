#!/usr/bin/env python3
"""Pages of a long query by JMAP: each page of what is kept of it is that of the whole, and what is kept is forgotten with
the first change, whoever makes it; scripts/lib/jmapload measures them."""
import os
import random
import subprocess
import tm
from jmapraw import Jmap

sb = tm.Sandbox("--users", "3", "--without", "pop3d", "--without", "mmpd", "--set", "jmapd.workers=1")
j, k, other = Jmap(sb, 1), Jmap(sb, 1), Jmap(sb, 2)
c = sb.imap(1)
N = 120


def put(n, flags=""):
    typ, data = c.append("INBOX", flags, f'"01-Jan-2026 {n // 60 % 24:02}:{n % 60:02}:00 +0000"',
                         f"From: a@b.example\r\nSubject: number {n % 7}\r\nMessage-ID: <{n}@x>\r\n{f'In-Reply-To: <{n - 1}@x>' + chr(13) + chr(10) if n % 3 else ''}\r\nx{'y' * (n * 37 % 500)}\r\n".encode())
    assert typ == "OK", data


for n in range(N):
    put(n, r"(\Seen)" if n % 4 == 0 else "")
box = j.boxes()["INBOX"]["id"]
VIEWS = [{"filter": {"inMailbox": box}}, {"filter": {"inMailbox": box}, "collapseThreads": True}, {"sort": [{"property": "size"}, {"property": "receivedAt", "isAscending": False}]},
         {"sort": [{"property": "subject"}, {"property": "receivedAt"}]}, {"filter": {"inMailbox": box, "notKeyword": "$seen"}}, {"filter": {"text": "number 3"}}, {}]


def whole(view, by=None):
    """All ids as a query says them that has not been asked before: a condition that is always true makes it another."""
    global turn
    turn += 1
    f = {"operator": "AND", "conditions": [{"maxSize": 1000000 + turn}] + ([view["filter"]] if "filter" in view else [])}
    return (by or j).one("Email/query", **{**view, "filter": f})["ids"]


turn = 0
for view in VIEWS:
    want = whole(view)
    got = []
    for at in range(0, len(want), 25):
        r = j.one("Email/query", position=at, limit=25, calculateTotal=True, **view)
        got += r["ids"]
        if r["total"] != len(want) or r["position"] != at:
            got.append(r)
    again = j.one("Email/query", position=-7, limit=5, **view)["ids"]
    anchored = j.one("Email/query", anchor=want[10], anchorOffset=-2, limit=6, **view)["ids"] if len(want) > 20 else want[8:14]
    tm.is_((got, again, anchored), (want, want[-7:-2], want[8:14]), f"pages of {view}")
tm.is_(j.one("Email/query", anchor="M0000000000000001", filter={"inMailbox": box}), ["error", "anchorNotFound"], "no such anchor")
tm.is_(other.emails(), [], "another user has his own")
drafts = j.boxes()["Drafts"]["id"]
got = [len(j.call(("Email/query", {"filter": {"inMailbox": "#made"}}), createdIds={"made": id_})[0][1]["ids"]) for id_ in (box, drafts, box)]
tm.is_(got, [N, 0, N], "a creation id is what each request says it is")

# ---- changes, by anybody ---------------------------------------------------------------------------------------------
seed = random.randrange(1 << 32)
random.seed(seed)
wrong = []
c.select("INBOX")
for step in range(40):
    what = random.choice(("put", "seen", "delete", "undelete", "expunge", "jmap", "nothing"))
    uid = str(random.randrange(1, N))
    if what == "put":
        put(N + step)
    elif what in ("seen", "delete", "undelete"):
        c.uid("STORE", uid, "-FLAGS" if what == "undelete" else "+FLAGS", r"(\Seen)" if what == "seen" else r"(\Deleted)")
    elif what == "expunge":
        c.expunge()
    elif what == "jmap":
        ids = k.emails()
        k.one("Email/set", update={random.choice(ids): {"keywords/$seen": random.choice((True, None))}})
    for view in random.sample(VIEWS, 3):
        for by in (j, k):
            if by.one("Email/query", limit=30, position=5, **view)["ids"] != whole(view)[5:35]:
                wrong.append((step, what, view))
tm.is_(wrong, [], f"what is kept is never older than the last change (seed {seed})")

# ---- what measures it --------------------------------------------------------------------------------------------------
load = os.path.join(tm.TOP, "scripts/lib/jmapload")
r = subprocess.run([load, f"port={sb.port('JMAP')}", f"ca={sb.env['CAFILE']}", f"user={sb.user(1)}", f"account={sb.user(1)}@{sb.domain}", f"password={sb.password}", "reps=5"],
                   capture_output=True, text=True)
ops = [l.split()[0] for l in r.stdout.splitlines()]
tm.is_((r.returncode, len(ops), all(float(w.split("=")[1]) > 0 for l in r.stdout.splitlines() for w in l.split()[1:4])), (0, 10, True), "jmapload tells of each of its ops") or tm.diag(r.stdout + r.stderr)
tm.done()
