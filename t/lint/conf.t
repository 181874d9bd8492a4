#!/usr/bin/env python3
"""Configuration, manual and sample of every daemon agree.

Each program in BINDIR that answers -k (lib/daemon does) lists its keys; its manual, man/NAME.conf.5
or else man/NAME.8, must have each of them as `.It Va key[ , key...]` (keys of a repeated section
by their own name) and no other in CONFIGURATION, with the same for the keys that all daemons share
and tiermail.conf(5).  conf/NAME.conf must be good as it is, and with all its commented-out keys.
A new daemon is covered by being there."""
import glob
import os
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "flow"))
import tm

os.chdir(tm.TOP)
KEY_LINE = re.compile(r"^#[ \t]?(\[[a-z]|[a-z_.0-9]+[ \t]*=)", re.M)


def run(*args):
    args = [*PROGRAMS.get(args[0], [args[0]]), *args[1:]]
    return subprocess.run(args, capture_output=True, text=True, timeout=60)


# Daemons in another program's file: NAME is what stands for both.
PROGRAMS = {os.path.join(tm.BINDIR, t + "-serve"): [os.path.join(tm.BINDIR, t), "serve"] for t in ("tmctl", "storectl")}


def described(program):
    """{key: section or ""} as -k says, or None when the program has no such switch."""
    r = run(program, "-k")
    if r.returncode != 0 or "\t" not in r.stdout:
        return None
    keys = {}
    for line in r.stdout.splitlines():
        m = re.match(r"(?:\[([^]]+)\]\.)?(\S+)\t", line)
        keys[m.group(2), m.group(1) or ""] = True
    return set(keys)


def documented(page):
    """Keys that stand as items in the page; those below CONFIGURATION or in a page of section 5."""
    keys, within = set(), page.endswith(".5")
    with open(page) as f:
        for line in f:
            m = re.match(r'\.Sh "?(.+?)"?$', line.strip())
            if m and not page.endswith(".5"):
                within = "CONFIGURATION" in m.group(1)
            m = re.match(r"\.It (?:Va|Cm|Ic) (.+)", line)
            if m and within and (line.startswith(".It Va") or not page.endswith(".5")):
                keys |= {w for w in m.group(1).split() if re.match(r"[a-z]", w)}
    return keys


def agree(name, keys, page, more=()):
    have = documented(page)
    names = {k for k, _ in keys}
    lacking, extra = sorted(names - have), sorted(have - names - set(more))
    if not tm.ok(not lacking, "%s has every key of %s" % (page, name)):
        tm.diag("not in the page: " + " ".join(lacking))
    if not tm.ok(not extra, "%s has no other" % page):
        tm.diag("not in the program: " + " ".join(extra))


def sample(name, program, tls):
    """conf/NAME.conf as it is, and with its commented-out lines as lines."""
    with open("conf/%s.conf" % name) as f:
        text = f.read()
    for what, body in (("as it is", text), ("with all its keys", KEY_LINE.sub(r"\1", text))):
        with tempfile.TemporaryDirectory() as d:
            with open(d + "/tiermail.conf", "w") as f:
                f.write("prefix = %s\n[ldap]\nbase = dc=example\n[tls]\ncertificate = %s\nkey = %s\n" % (d, *tls))
            with open(d + "/%s.conf" % name, "w") as f:
                f.write(body)
            r = run(program, "-n", "-c", d + "/%s.conf" % name)
            if not tm.ok(r.returncode == 0, "conf/%s.conf is good %s" % (name, what)):
                tm.diag((r.stderr or r.stdout).replace(d + "/", ""))


def main():
    programs = {os.path.basename(p): p for p in sorted(glob.glob(tm.BINDIR + "/*") + list(PROGRAMS))}
    shared = documented("man/tiermail.conf.5")
    with tempfile.TemporaryDirectory() as d:
        tls = d + "/cert.pem", d + "/key.pem"
        run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
            "-nodes", "-days", "2", "-subj", "/CN=lint", "-out", tls[0], "-keyout", tls[1])
        common = None
        for name, program in programs.items():
            keys = described(program)
            if keys is None:
                continue
            own = {k for k in keys if k[0] not in shared and k[1] != "listen"}
            used = {k for k in keys if k[0] in shared or k[1] == "listen"}
            common = used if common is None else common | used
            pages = [p for p in ("man/%s.conf.5" % name, "man/%s.8" % name) if os.path.exists(p)]
            if tm.ok(pages, "%s has a manual" % name):
                agree(name, own, pages[0], {k for k, _ in used})
            if tm.ok(os.path.exists("conf/%s.conf" % name), "%s has a sample" % name):
                sample(name, program, tls)
        if common is None:
            tm.skip_all("no daemon in %s" % tm.BINDIR)
        agree("every daemon", common, "man/tiermail.conf.5")
        with open("conf/tiermail.conf") as f:
            keys = set()
            section = ""
            for line in f:
                m = re.match(r"\[(.+)\]", line)
                section = m.group(1) + "." if m else section
                m = re.match(r"#([a-z_]+) =", line)
                keys |= {section + m.group(1)} if m else set()
        skeleton = {"drain_timeout", "upgrade_timeout", "core", "sandbox", "proxy.networks"} | {k for k, s in common if s}
        tm.is_(sorted(keys), sorted({k for k, s in common if not s} - skeleton),
               "conf/tiermail.conf shows every shared key")
    tm.done()


main()
