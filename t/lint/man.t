#!/usr/bin/env python3
"""Man pages: mandoc finds nothing to say; every program and every configuration file has one; each has
examples."""
import glob
import os
import re
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "flow"))
import tm

os.chdir(tm.TOP)
pages = sorted(glob.glob("man/*.[1-8]"))
tm.ok(pages, "there are pages")
mandoc = shutil.which("mandoc")
for page in pages:
    if not mandoc:
        tm.skip(page, "mandoc is not installed")
        continue
    r = subprocess.run([mandoc, "-T", "lint", "-W", "warning", page], capture_output=True,
                       text=True)
    if not tm.ok(r.returncode == 0, page):
        tm.diag(r.stdout + r.stderr)

names = {os.path.basename(p) for p in pages}
for program in sorted({os.path.dirname(p).split("/")[1] for p in glob.glob("cmd/*/*.c")}):
    tm.ok(names & {program + ".8", program + ".1"}, f"a page for the program {program}")
for conf in sorted(glob.glob("conf/*.conf")):
    base = os.path.basename(conf)
    daemon = base[:-len(".conf")] + ".8"
    tm.ok(base + ".5" in names or daemon in names, f"a page for {base}")

def text_of(page):
    with open(page) as f:
        return f.read()


tm.is_([p for p in pages if "\n.Sh EXAMPLES\n" not in text_of(p)], [], "every page has examples")

# What pages refer to exists: .Xr of ours, in the right section
ours = {n.rsplit(".", 1)[0] for n in names}
wrong = []
for page in pages:
    with open(page) as f:
        for n, line in enumerate(f, 1):
            m = re.match(r"\.Xr (\S+) (\d)", line)
            if m and (m.group(1) in ours or m.group(1).startswith("tiermail")) and \
                    m.group(1) + "." + m.group(2) not in names:
                wrong.append(f"{page}:{n}: no {m.group(1)}({m.group(2)})")
if not tm.ok(not wrong, "references to tiermail pages lead somewhere"):
    tm.diag("\n".join(wrong))


# The pages that show the whole leave nothing out: tiermail(7) leads to every page, and names every program in
# its table and every folder of lib/ in its layers; so do README and lib/README.
def between(text, start, end):
    return text.split(start, 1)[1].split(end, 1)[0]


overview = text_of("man/tiermail.7")
table = re.findall(r"(\S+) [18]\b", " ".join(re.findall(r"(?m)^\.It Xr (.*)", between(overview, ".Ss Programs\n", ".El\n"))))
tm.is_(sorted({n[:-2] for n in names if n[-1] in "18"} - set(table)), [], "tiermail(7) has each program in its table")
led = {f"{page}.{section}" for page, section in re.findall(r"(?:Xr|,) (\S+) (\d)\b", overview)}
tm.is_(sorted(names - led - {"tiermail.7"}), [], "and leads to each page")
folders = {os.path.basename(os.path.dirname(p)) for p in glob.glob("lib/*/*.h")}
layers = between(between(overview, ".Ss The source\n", ".Sh "), ".Bd -literal\n", ".Ed\n")
tm.is_(sorted(folders - set(re.findall(r"\w+", layers))), [], "and has each folder of lib/ in its layers")
tm.is_(sorted(folders - set(re.findall(r"(?m)^    (\w+)/ ", text_of("lib/README")))), [], "lib/README has each folder")
programs = {n[:-2] for n in names if n[-1] in "18" and not n.startswith(("storectl-", "tmctl-"))}
tm.is_(sorted(programs - set(re.findall(r"[\w-]+", text_of("README")))), [], "README has each program")
tm.done()
