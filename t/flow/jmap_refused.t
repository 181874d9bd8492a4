#!/usr/bin/env python3
"""Every method with an account that there is not, and with arguments that are wrong: what is refused before it has begun
closes nothing of the process, for a descriptor that is closed twice is somebody else's connection the second time."""
import os
import re
import tm
from jmapraw import Jmap

sb = tm.Sandbox("--users", "2", "--without", "pop3d", "--without", "mmpd", "--set", "jmapd.workers=1")
NAMES = sorted({m for f in os.listdir(os.path.join(tm.TOP, "cmd/jmapd")) if f.endswith(".c")
                for m in re.findall(r'\{\s*"([A-Z]\w+/\w+)"', open(os.path.join(tm.TOP, "cmd/jmapd", f)).read())})
tm.ok(len(NAMES) > 40, f"{len(NAMES)} methods")
j, other = Jmap(sb, 1), Jmap(sb, 2)
session = other.http("GET", "/.well-known/jmap")[2].decode()
j.using = sorted(set(re.findall(r'"(urn:[\w:]+)":', session)))
worker = max(sb.pids_of("jmapd"), key=lambda p: len(os.listdir(f"/proc/{p}/fd")))


def held():
    """What the worker's descriptors are, but for those that come and go with its own work."""
    got = {}
    for fd in os.listdir(f"/proc/{worker}/fd"):
        try:
            got[int(fd)] = os.readlink(f"/proc/{worker}/fd/{fd}")
        except OSError:
            pass
    return got


BAD = {"account": {"accountId": "unobody"}, "no account": {"accountId": None}, "values": {k: 5 for k in ("ids", "properties", "filter", "sort", "create", "update", "destroy", "emails", "blobIds", "sinceState",
       "sinceQueryState", "emailIds", "fromAccountId", "position", "maxChanges", "typeNames", "ifInState", "script", "blobId")},
       "others": {"ids": ["x", 1], "properties": ["nosuch"], "filter": {"nosuch": 1}, "sort": [{"property": "nosuch"}], "create": [], "emails": [1], "emailIds": [1], "blobIds": [1], "update": {"x": 5},
                  "sinceState": "x", "sinceQueryState": "x", "typeNames": ["nosuch"], "ifInState": "x"},
       "too many": {k: [f"M{n:016x}" for n in range(1001)] for k in ("ids", "emailIds", "blobIds", "destroy")}}
first = held().get(0)
for name in NAMES:   # whatever opens something for good has done so
    j.post({"using": j.using, "methodCalls": [[name, {"accountId": j.account, **args}, "a"] for args in BAD.values()]})
before, lost = held(), []
for name in NAMES:
    for what, args in BAD.items():
        status, got = j.post({"using": j.using, "methodCalls": [[name, {"accountId": j.account, **args}, "a"]]})
        now = held()
        if status != 200 or any(now.get(fd) != link for fd, link in before.items() if fd < 3 or link.startswith("socket")):
            lost.append((name, what, status))
            before = now
tm.is_(lost, [], "none of them closes what is not its own")
tm.is_(other.conn is not None and other.http("GET", "/.well-known/jmap")[0], 200, "another's connection is there")
tm.is_(held().get(0), first, "and so is what the process was given")
tm.done()
