#!/usr/bin/env python3
"""What lintian(1) finds wrong with the packages of `make deb`: nothing.  What it would have otherwise stands in an
overrides file with the reason above it, and is still found there.

    t/deb/lintian.t [DIR]       the packages' folder, default build/deb"""
import glob, os, re, shutil, subprocess, sys
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../flow")]
import tm

DEBS = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else os.path.join(tm.TOP, "build/deb"))
changes = glob.glob(DEBS + "/*.changes")
if not shutil.which("lintian"):
    tm.skip_all("no lintian here")
if not changes:
    tm.skip_all(f"no packages in {DEBS}: make deb")
r = subprocess.run(["lintian", "--allow-root", "--tag-display-limit", "0", "--display-info", *changes], capture_output=True, text=True, timeout=600)
said = r.stdout.splitlines()
tm.is_([line for line in said if line[:2] in ("E:", "W:")], [], "no errors and no warnings")
tm.is_([line for line in said if "override" in line and "spare" not in line and line[:2] != "N:"], [], "its overrides are right") or tm.diag(r.stdout)
tm.is_(r.stderr, "", "and it has looked at all of them")
packages = set(re.findall(r"(?m)^Package: (.*)", open(tm.TOP + "/scripts/debian/control").read()))
tm.is_({os.path.basename(d).split("_")[0] for d in glob.glob(DEBS + "/*.deb")} - {p + "-dbgsym" for p in packages}, packages, "each package is there")
for path in sorted(glob.glob(tm.TOP + "/scripts/debian/*.lintian-overrides")):
    with open(path) as f:
        lines = f.read().splitlines()
    bare = [line for above, line in zip(["", *lines], lines) if line[:1] not in ("#", "") and not above]
    tm.is_(bare, [], f"{os.path.basename(path)} says why")
tm.done()
