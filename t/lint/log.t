#!/usr/bin/env python3
"""Every event that the code logs is documented in tiermail-log(5), and no other; those of a program stand in its page,
below EVENTS."""
import glob
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "flow"))
import tm

os.chdir(tm.TOP)
with open("man/tiermail-log.5") as f:
    documented = set(" ".join(re.findall(r"^\.It Sy (.+)", f.read(), re.M)).split()) - {","}
# A call with the name as a literal; a wrapper marks its own calls by a parameter list that
# begins alike, so what counts is: some function ending in log or _event, level, "name".
call = re.compile(r'\b\w*(?:log|event)\w*\(\s*(?:[^",;()]+,\s*)*?LOG_[A-Z]+,\s*"([a-z][a-z0-9_-]*)"')
used = {}
for path in sorted(glob.glob("lib/**/*.c", recursive=True) + glob.glob("cmd/*/*.c")):
    with open(path) as f:
        text = f.read()
    for m in call.finditer(text):
        used.setdefault(m.group(1), f"{path}:{text.count(chr(10), 0, m.start()) + 1}")
for name, where in sorted(used.items()):
    tm.ok(name in documented, f"{name} ({where})")
# Names that reach log_event by a table or variable are strings in the code at least.
code = "".join(open(p).read() for p in glob.glob("lib/**/*.c", recursive=True) + glob.glob("cmd/*/*.c"))
gone = [n for n in sorted(documented) if f'"{n}"' not in code]
if not tm.ok(not gone, "every documented event is still logged"):
    tm.diag("gone: " + " ".join(gone))
# tmctl and storectl log as daemons: tmctl serve, storectl serve.
PAGES = {"tmctl": "tmctl-serve"}
for program in sorted(os.path.basename(d) for d in glob.glob("cmd/*")):
    own = {n for path in glob.glob(f"cmd/{program}/*.c") for n in call.findall(open(path).read())}
    page = f"man/{PAGES.get(program, program)}.8"
    said = os.path.exists(page) and re.search(r"(?ms)^\.Sh EVENTS\n(.*?)^\.Sh ", open(page).read())
    told = set(" ".join(re.findall(r"(?m)^\.Sy (.*)", said[1])).split()) - {",", "."} if said else set()
    tm.is_((sorted(own - told), sorted(told - own)), ([], []), f"{page} has the events of {program}: (not there, not logged)")
tm.done()
