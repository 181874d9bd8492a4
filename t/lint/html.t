#!/usr/bin/env python3
"""`make html`: every page is rendered, every link of one page to another leads to it, and every page is in the
index."""
import glob, os, re, subprocess, sys, tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "flow"))
import tm

tm.need("mandoc")
pages = {os.path.basename(p) for p in glob.glob(tm.TOP + "/man/*.[1-8]")}
with tempfile.TemporaryDirectory(prefix="tm-") as d:
    r = subprocess.run([tm.TOP + "/scripts/html", d], capture_output=True, text=True, timeout=tm.LONG)
    tm.is_((r.returncode, r.stderr), (0, ""), "scripts/html")
    texts = {n: open(os.path.join(d, n)).read() for n in os.listdir(d) if n.endswith(".html")}
    tm.is_(sorted(texts), sorted([p + ".html" for p in pages] + ["index.html"]), "a file for each page, and an index")
    tm.is_([n for n, t in texts.items() if "</html>" not in t], [], "each is whole")
    links = {n: set(re.findall(r'href="([^"#:]+)"', t)) for n, t in texts.items()}
    tm.is_(sorted(f"{n}: {to}" for n, all_of in links.items() for to in all_of if to not in texts and to != "mandoc.css"), [],
           "each link leads somewhere")
    tm.is_(sorted({p + ".html" for p in pages} - links["index.html"]), [], "the index has all")
    lost = []
    for p in pages:
        with open(f"{tm.TOP}/man/{p}") as f:
            for name, section in re.findall(r"(?m)^\.Xr (\S+) (\d)", f.read()):
                if f"{name}.{section}" in pages and f"{name}.{section}" != p and f"{name}.{section}.html" not in links[p + ".html"]:
                    lost.append(f"{p}: {name}({section})")
    tm.is_(lost, [], "what a page refers to is a link")
tm.done()
