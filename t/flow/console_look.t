#!/usr/bin/env python3
"""How the console looks, and whether everybody can use it: t/www/real/console-look.mjs."""
import os, re, subprocess, sys

sys.path[:0] = [os.path.dirname(os.path.abspath(__file__))]
import tm

TOP = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../.."))
tm.need("ldapmodify", "node", "chromium")
if subprocess.run([TOP + "/scripts/deps", "web"], stderr=subprocess.DEVNULL).returncode:
    tm.skip_all("nothing to drive a browser with")
sb = tm.Sandbox("--users", "120", "--admin", "--set", "admind.auth.delay=0", "--set", "admind.limit.per_user=50",
                *[w for d in ("stored", "lmtpd", "jobctl", "smtp-relay", "imapd", "pop3d", "sieved", "mmpd", "memd", "jmapd") for w in ("--without", d)])
env = dict(os.environ, SANDBOX=sb.dir)
p = subprocess.run(["node", "--test", "--test-concurrency=1", "--test-reporter=./t/www/lib/tap.mjs", "t/www/real/console-look.mjs"], cwd=TOP, env=env, text=True,
                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
steps = re.findall(r"^(not ok|ok) \d+ - (.*)$", p.stdout, re.M)
for state, name in steps:
    tm.ok(state == "ok", name)
tm.is_(p.returncode, 0, "the browser's steps")
tm.ok(len(steps) > 3, "there were steps")
if p.returncode:
    tm.diag(p.stdout)
tm.done()
