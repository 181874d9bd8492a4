#!/usr/bin/env python3
"""storectl stats: the size of the index, who reads it, how much of it is in memory, and the daemons' major faults."""
import json, os, re
import tm
from imapraw import Raw

sb = tm.Sandbox("--users", "2", "--without", "mmpd", "--set", "imapd.workers=1")
ok, is_ = tm.ok, tm.is_
a = Raw(sb, login=1)
for n in range(20):
    a.append("INBOX", f"Subject: {n}\r\n\r\n{'x' * 1000}\r\n")


def stats(*args):
    r = sb.tool("storectl", "stats", *args)
    return [json.loads(l) for l in r.stdout.splitlines()] if "-j" in args or "--json" in args else r


part, = stats("-j")
is_((part["partition"], part["accounts"], part["mailboxes"]), ("primary", 1, 6), "a partition has its accounts and folders")
index = os.path.join(sb.env["STORE"] if "STORE" in sb.env else os.path.join(os.path.dirname(sb.env["RUNDIR"]), "store"), "partition", "primary", "index", "data.mdb")
ok(0 < part["used"] <= os.stat(index).st_size <= part["most"] and part["free"] < part["used"], "an index of so many bytes") or tm.diag(part)
ok(1 <= part["readers"] <= part["readers_most"] and part["batches"] >= 20, "readers, and batches") or tm.diag(part)
ok("resident" not in part, "nothing is said of memory unasked")
a.append("INBOX", "Subject: more\r\n\r\nx\r\n")
ok(stats("-j")[0]["batches"] > part["batches"], "a batch more is seen")
all_ = stats("--cache", "--json")
c = all_[0]
ok(0 < c["resident"] <= c["used"] and c["resident"] * 100 >= 95 * c["used"], "what was just written is in memory") or tm.diag(c)
is_({d["daemon"] for d in all_[1:]}, {"stored", "imapd", "pop3d", "jmapd"}, "each daemon that reads it has a line")
d = {d["daemon"]: d for d in all_[1:]}
ok(d["imapd"]["requests"] >= 20 and d["stored"]["requests"] >= 20, "with what it has done") or tm.diag(d)
status = sb.tool("tmctl", "-d", "imapd", "status").stdout
pids = re.findall(r"\bpid=(\d+)", status)
faults = sum(int(open(f"/proc/{p}/stat").read().rsplit(")", 1)[1].split()[9]) for p in set(pids))
ok(abs(d["imapd"]["major_faults"] - faults) <= 2, "and the major faults of its processes") or tm.diag((d["imapd"], faults))

r = stats("--cache")
ok(re.search(r"primary: \d+% of the index in memory, \d+ of \d+ KiB", r.stdout) and re.search(r"(?m)^imapd: \d+ major faults, \d+ requests: [\d.]+ for each 1,000$", r.stdout), "in words") or tm.diag(r.stdout)
is_(stats("nowhere").returncode, 64, "no such partition")
is_(stats("--what").returncode, 64, "no such option")
is_(stats("primary").returncode, 0, "one partition")
tm.done()
