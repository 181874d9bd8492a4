#!/usr/bin/env python3
"""Verbs of administration: each of the table, and no other, is in the help of diradm and in its manual page."""
import os, re, subprocess, sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "flow"))
import tm

with open(tm.TOP + "/lib/admin/verb.c") as f:
    table = {f"{o} {v}".strip() for o, v in re.findall(r'^\t\{ "(\w+)", "(\w*)",', f.read(), re.M)}
OWN = {"import", "export", "settings"}      # which are diradm's
ALONE = {v for v in table if " " not in v} | OWN
OBJECTS = {v.split()[0] for v in table} | OWN


def verbs(words):
    """"user show|list" -> user show, user list"""
    if words[0] not in OBJECTS:
        return set()
    return {words[0]} if words[0] in ALONE else {f"{words[0]} {v}" for v in words[1].split("|")}


r = subprocess.run([os.path.join(tm.BINDIR, "diradm"), "--help"], capture_output=True, text=True, timeout=tm.LONG)
lines = re.search(r"(?ms)^commands:\n(.*?)^\S", r.stdout + r.stderr)[1].splitlines()
helped = set().union(*(verbs(line.split()) for line in lines if re.match(r"  \w", line)))
with open(tm.TOP + "/man/diradm.8") as f:
    text = f.read()
items = re.findall(r"(?m)^\.It (Cm .*)$", text)
paged = ALONE & set(re.findall(r"(?m)^\.Cm (\w+)", text))
for item in items:
    for part in re.split(r" , (?=Cm )", item):
        words = re.sub(r" \| ", "|", re.split(r" (?:Ar|Op|Oo|Ns)\b", part)[0]).split()[1:]
        if len(words) > 1 or words[0] in ALONE:
            paged |= verbs(words)
tm.ok(len(table) > 50, "the table is read")
tm.is_((sorted(table - helped), sorted(helped - table - OWN)), ([], []), "the help has all verbs, and no others")
tm.is_((sorted((table | OWN) - paged), sorted(paged - table - OWN)), ([], []), "so has the page")
tm.done()
