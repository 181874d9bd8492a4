#!/usr/bin/env python3
"""Sieve: every case of t/sieve/cases by sievetest (cases.py says what a case is)."""
import os, re, subprocess, sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "flow")]
import cases, tm

PROGRAM = os.path.join(tm.BINDIR, "sievetest")
top = tm.tempdir()
SCRIPT, MESSAGE = os.path.join(top, "script"), os.path.join(top, "message")
CODES = {"error": 78, "fails": 1}


def put(path, text):
    with open(path, "w", encoding="utf-8", newline="") as f:
        f.write(text)


def right(case):
    """None, or what has come instead."""
    put(SCRIPT, case.script)
    put(MESSAGE, case.message)
    options = [o.replace("CASES", os.path.join(HERE, "scripts")) for o in case.options]
    r = subprocess.run([PROGRAM, *options, SCRIPT, MESSAGE], capture_output=True, text=True, timeout=60)
    kind, _, words = (case.want[0] if case.want else "").partition(" ")
    if kind in CODES:
        good = r.returncode == CODES[kind] and words in r.stderr
        if kind == "fails":
            good = good and r.stdout == "keep :implicit\n"
    else:
        # what duplicate wants to be remembered is no answer to a test
        got = [line for line in r.stdout.splitlines() if not (case.test and line.startswith("duplicate"))]
        good = (r.returncode, got, r.stderr) == (0, case.want, "")
    return None if good else f"{r.returncode}\n{r.stdout}{r.stderr}"


names = set()
for case in cases.everything():
    got = right(case)
    if not tm.ok(got is None, f"{case.name} {case.title}"):
        tm.diag(f"{case.script}want: {case.want}\ngot: {got}")
    names.add(case.name)
tm.ok(len(names) >= 600, f"there are {len(names)} cases")
tm.done()
