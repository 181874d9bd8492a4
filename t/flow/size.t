#!/usr/bin/env python3
"""tiermail-load size: the calculation of its page, done again; rates from runs; what is no rate and no key."""
import json, math, os, subprocess, sys

sys.path[:0] = [os.path.dirname(os.path.abspath(__file__))]
import tm

TOOL = os.path.join(tm.BINDIR, "tiermail-load")
top = tm.tempdir()
RATES = {"relay": 200, "out": 100, "lmtp": 500, "imap": 300, "pop3": 400, "proxy": 400}
KEYS = {"users": 10000, "mail": 40, "sent": 8, "sessions": 30, "pops": 0, "open": 0.8, "busy": 0.15, "size": 75e3, "mailbox": 1e9, "use": 0.5, "lose": 1,
        "memory": 16e9, "disk": 4e12, "full": 0.7, "session": 31e3, "pair": 40e3, "index": 1024, "hot": 0.1, "overhead": 5e3}


def run(*args):
    r = subprocess.run([TOOL, "size", *args], capture_output=True, text=True, timeout=tm.LONG)
    return r.returncode, r.stdout, r.stderr


def tiers(**keys):
    code, out, err = run("-j", *[f"{k}={v}" for k, v in keys.items()])
    tm.is_((code, err), (0, ""), f"size {keys}") if code or err else None
    return {t.pop("tier"): t for t in map(json.loads, out.splitlines())}


def want(**keys):
    k = {**KEYS, **keys}
    peak = {n: k["users"] * k[n] * k["busy"] / 3600 for n in ("mail", "sent", "sessions", "pops")}
    work = lambda n, rate: peak[n] / (k[rate] * k["use"]) if peak[n] else 0
    people, messages = k["users"] * k["open"], k["users"] * k["mailbox"] / k["size"]
    need = {"relay": (work("mail", "relay"), 0, 0), "out": (work("sent", "out"), 0, 0),
            "proxy": ((peak["sessions"] + peak["pops"]) / (k["proxy"] * k["use"]), people * k["pair"] / (0.8 * k["memory"]), 0),
            "store": (work("mail", "lmtp") + work("sessions", "imap") + work("pops", "pop3"),
                      (people * k["session"] + messages * k["index"] * k["hot"]) / (0.8 * k["memory"]), messages * (k["size"] + k["overhead"]) / (k["disk"] * k["full"]))}
    return {t: max(1, math.ceil(max(n) - 1e-9)) + (k["lose"] if t != "store" else 0) for t, n in need.items()}


for case in ({}, {"users": 1000000}, {"users": 50000000, "mailbox": 2e8, "sessions": 2, "pops": 24, "open": 0.1}, {"users": 1000000, "disk": 1e14, "memory": 1e9},
             {"users": 1}, {"users": 200000, "lose": 0, "use": 1, "busy": 1}, {"users": 300000, "open": 3, "disk": 1e17, "full": 1}):
    got = tiers(**RATES, **case)
    tm.is_({t: g["hosts"] for t, g in got.items()}, want(**RATES, **case), f"hosts for {case or 'what is not said'}")
    tm.ok(all(g[g["first"]] == max(g["work"], g["memory"], g["disk"]) for g in got.values()), "what needs most is named")
tm.is_(tiers(users="1M", mailbox="0.5G", disk="4T", **RATES), tiers(users=1000000, mailbox=5e8, disk=4e12, **RATES), "K, M, G and T are of 1000")
tm.is_(set(tiers(relay=5)), {"relay"}, "of tiers that nobody has measured nothing is said")
code, out, err = run("relay=5")
tm.ok(code == 0 and "proxy= is not given: measure it" in out and "lmtp= is not given" in out, "but in words that it is missing")

# ---- rates from runs
def saved(name="run", **fields):
    with open(f"{top}/{name}", "w") as f:
        json.dump({"profile": "smtp", "us": 10_000_000, "begun": 2000, "good": 2000, "refused": 0, "broken": 0, "found": 2000, "lost": 0, **fields}, f)
    return f"{top}/{name}"


tm.is_(tiers(users=500000, relay=saved()), tiers(users=500000, relay=200), "2000 messages in ten seconds are 200 a second")
for what, args, code, why in (("a run that lost mail", ["relay=" + saved("run1", lost=1)], 65, "some were lost"), ("with refusals", ["relay=" + saved("run2", refused=3)], 65, "some were refused"),
                              ("of another profile", ["imap=" + saved("run3")], 65, "no run of the profile imap"), ("of nothing", ["relay=" + saved("run4", good=0)], 65, "nothing was good"),
                              ("no run", ["relay=/dev/null"], 65, "/dev/null"), ("no file", ["relay=/no/such"], 66, "No such file"), ("no key", ["user=3"], 64, "no such key"),
                              ("no value", ["users"], 64, "no such key"), ("no number", ["users=many"], 64, "not a number"), ("too few", ["users=0"], 64, "must be"),
                              ("more than all", ["busy=2"], 64, "must be"), ("a unit of none", ["size=3X"], 64, "not a number"), ("NaN", ["users=nan"], 64, "not a number"),
                              ("no rate", ["relay=0"], 64, "must be")):
    got = run(*args)
    tm.ok(got[0] == code and why in got[2] and not got[1], f"{what}: exit {code}") or tm.diag(got)
tm.done()
