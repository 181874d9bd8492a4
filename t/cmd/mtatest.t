#!/usr/bin/env python3
"""mtatest: its verbs, what it prints, its exit codes; and the samples of conf/ with it."""
import json
import os
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "flow"))
import tm

os.chdir(tm.TOP)
PROGRAM = os.path.join(tm.BINDIR, "mtatest")
RULES = """siroe.com $B$U%other@x-daemon
siroe.com $U%$D@tcp_local-daemon
ours.com $V$D$U%$D@localhost
x.com $U@none$?No such place
$* $F${ANY,$H}$U%$H@x-daemon

l
localhost

tcp_local smtp identtcp
tcp_local-daemon

x smtp
x-daemon
"""
MAPPINGS = """ANY

  mapped.com $Y
  * $N

SEND_ACCESS

  *|*|*|bad@* $N$D30|not$ him
  * $:A$Y
"""


def run(d, *args):
    return subprocess.run([PROGRAM, "-c", d + "/tiermail.conf", *args], capture_output=True,
                          text=True, timeout=tm.LONG)


def rewriting(d):
    r = run(d, "rewrite", "u@siroe.com")
    tm.is_(r.stdout, "address: u@siroe.com\nchannel: tcp_local\nhost: tcp_local-daemon\n", "for people")
    tm.is_(r.returncode, 0, "an address that has a channel")
    tm.ok("mta.cnf:10: identtcp has no effect" in r.stderr, "warnings are told")
    r = run(d, "rewrite", "--json", "u@siroe.com", "u@siroe.com", "--as", "hdr-to")
    tm.is_([json.loads(x) for x in r.stdout.splitlines()],
           [{"address": "u@other", "channel": "x", "host": "x-daemon"}] * 2, "for programs, two addresses")
    r = run(d, "-j", "rewrite", "u@x.com")
    tm.is_(json.loads(r.stdout), {"error": "No such place", "class": "nochannel", "code": "5.1.2"}, "an error")
    tm.is_(r.returncode, 1, "an address that has none")
    r = run(d, "rewrite", "u@nowhere.org")
    tm.is_(r.stdout, "error: no channel takes mail for this host or domain (nochannel, 5.1.2)\n", "the same for people")
    r = run(d, "-l", "ours.com", "-j", "rewrite", "u@ours.com")
    tm.is_(json.loads(r.stdout)["channel"], "l", "a domain that is ours")
    r = run(d, "--directory-away", "-j", "rewrite", "u@ours.com")
    tm.is_((json.loads(r.stdout)["class"], r.returncode), ("temporary", 1), "the directory is away")
    r = run(d, "-j", "rewrite", "u@mapped.com")
    tm.is_(json.loads(r.stdout)["channel"], "x", "a mapping is asked")
    r = run(d, "--explain", "rewrite", "u@siroe.com")
    tm.ok(re.search(r"mta\.cnf:5: rule \$\*: the mapping did not set \$Y\n"
                    r".*mta\.cnf:1: rule siroe\.com: not an address of the header\n"
                    r".*mta\.cnf:2: rule siroe\.com: matched -> u%siroe\.com@tcp_local-daemon\n", r.stdout),
          "each rule that was tried, and why not")
    steps = json.loads(run(d, "-ej", "rewrite", "u@siroe.com").stdout)["steps"]
    tm.is_([(s["line"], s["why"]) for s in steps if s["step"] == "rule"],
           [(5, "the mapping did not set $Y"), (1, "not an address of the header"), (2, "matched")],
           "the same for programs")


def mappings(d):
    r = run(d, "-j", "mapping", "send_access", "a|b|c|bad@d")
    tm.is_(json.loads(r.stdout), {"matched": True, "result": "30|not him", "flags": "DN",
                                  "action": {"do": "reject", "delay": "30", "text": "not him"}}, "a refusal")
    tm.is_(r.returncode, 0, "a probe that matches")
    r = run(d, "mapping", "SEND_ACCESS", "x", "--flags", "A")
    tm.is_(r.stdout, "matched\nresult: \nflags: Y\naction: allow\n", "an input flag, for people")
    r = run(d, "-j", "mapping", "SEND_ACCESS", "x")
    tm.is_((json.loads(r.stdout)["matched"], r.returncode), (False, 1), "no match")
    r = run(d, "-j", "mapping", "NONE", "x")
    tm.is_((json.loads(r.stdout), r.returncode), ({"error": "no such table"}, 1), "no such table")
    r = run(d, "-e", "mapping", "ANY", "x")
    tm.ok("mappings:4: entry *: matched" in r.stdout, "each entry that was tried")


def files(d):
    r = run(d, "conf")
    tm.ok(r.returncode == 0 and "\nx smtp\nx-daemon\n" in r.stdout and
          "! mapping table SEND_ACCESS: 2 entries\n" in r.stdout, "conf prints what was understood")
    bad = os.path.join(d, "bad")
    with open(bad, "w") as f:
        f.write("a.com $Y@x\n\nl smpt\nlocalhost\n")
    r = run(d, "conf", "--conf", bad)
    tm.is_(r.returncode, 78, "a file that is refused")
    tm.ok(f"{bad}:1: " in r.stderr and f"{bad}:3: there is no keyword smpt; is it smtp?" in r.stderr,
          "all of its mistakes are told")
    tm.is_(run(d, "rewrite", "-f", bad, "u@a.com").returncode, 78, "nothing is rewritten by it")
    tm.is_(run(d, "rewrite", "-f", "/nonexistent", "u@a.com").returncode, 78, "a file that is not there")
    tm.is_(run(d, "mapping", "-m", bad, "T", "x").returncode, 78, "mappings that are refused")
    tm.is_(run(d, "-g", "/nonexistent", "mapping", "ANY", "x").returncode, 78, "no general database")
    for args in ([], ["rewrite"], ["mapping", "ANY"], ["conf", "x"], ["nonsense"], ["-y"],
                 ["rewrite", "--as", "x", "u@siroe.com"]):
        tm.is_(run(d, *args).returncode, 64, "usage: " + " ".join(args))
    words = [json.loads(x) for x in run(d, "conf", "--keywords", "--json").stdout.splitlines()]
    tm.ok(sum(w["type"] != "none" for w in words) >= 120 and all(w["doc"] for w in words),
          "the table of keywords")


def made(d):
    """Without mta.cnf: the rules that are made of channels.conf."""
    with open(os.path.join(d, "channels.conf"), "w") as f:
        f.write("[route far.com]\nrelay = 192.0.2.1:25\n[route *]\nrelay = 192.0.2.2:25\n")
    os.unlink(os.path.join(d, "mta.cnf"))
    out = run(d, "-j", "-l", "ours.com", "rewrite", "u@far.com", "u@ours.com", "u@else.com").stdout
    tm.is_([json.loads(x)["channel"] for x in out.splitlines()], ["tcp_local", "directory", "tcp_local"],
           "rules made of channels.conf")
    r = run(d, "conf")
    tm.ok(r.returncode == 0 and "far.com $U%$D@_route-0\n" in r.stdout and
          "_route-0 _route-0 192.0.2.1:25\n" in r.stdout, "conf prints them")
    os.unlink(os.path.join(d, "channels.conf"))
    with open(os.path.join(d, "mta.cnf"), "w") as f:
        f.write(r.stdout)
    again = run(d, "conf")
    tm.is_((again.returncode, again.stdout), (0, r.stdout), "and they are a file to begin with")


def samples():
    r = run("conf", "conf")
    tm.is_((r.returncode, r.stderr), (0, ""), "conf/mta.cnf and conf/mappings are good")
    out = run("conf", "-j", "-l", "example.org", "-s", "tcp_local", "rewrite", "u@example.org", "u@a.net",
              "u@h.internal.example.org", "u+x@store1.example.org.lmtp", "u%a.net@mail.example.org").stdout
    tm.is_([json.loads(x)["channel"] for x in out.splitlines()],
           ["l", "tcp_local", "tcp_intranet", "tcp_lmtpcs", "tcp_local"], "and do what they say")


def page():
    """tiermail-channels(5) has the list that the table makes."""
    made = subprocess.run(["scripts/keywords"], capture_output=True, text=True).stdout
    with open("man/tiermail-channels.5") as f:
        tm.ok(made and made in f.read(), "the manual lists the keywords (scripts/keywords)")


with tempfile.TemporaryDirectory(prefix="tm-mtatest-") as top:
    for name, text in (("tiermail.conf", ""), ("mta.cnf", RULES), ("mappings", MAPPINGS)):
        with open(os.path.join(top, name), "w") as f:
            f.write(text)
    rewriting(top)
    mappings(top)
    files(top)
    made(top)
samples()
page()
tm.done()
