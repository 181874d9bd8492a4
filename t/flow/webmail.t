#!/usr/bin/env python3
"""The web client in a browser with the whole suite behind it: t/www/real/webmail.mjs, whose steps are told here."""
import os, re, subprocess, sys

sys.path[:0] = [os.path.dirname(os.path.abspath(__file__))]
import tm

TOP = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../.."))
tm.need("ldapmodify", "node", "chromium")
if subprocess.run([TOP + "/scripts/deps", "web"], stderr=subprocess.DEVNULL).returncode:
    tm.skip_all("nothing to drive a browser with")
sb = tm.Sandbox("--users", "3", "--without", "pop3d", "--without", "mmpd", "--without", "sieved")
env = dict(os.environ, SANDBOX=sb.dir)
subprocess.run([TOP + "/t/www/real/elsewhere.py", "seed"], env=env, check=True)
tm.wait_for(lambda: sb.count() == 4, what="the mail that is read")
p = subprocess.run(["node", "--test", "--test-reporter=./t/www/lib/tap.mjs", "t/www/real/webmail.mjs"], cwd=TOP, env=env, text=True,
                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
steps = re.findall(r"^(not ok|ok) \d+ - (.*)$", p.stdout, re.M)
for state, name in steps:
    tm.ok(state == "ok", name)
tm.is_(p.returncode, 0, "the browser's steps")
tm.ok(len(steps) > 5, "there were steps")
if p.returncode:
    tm.diag(p.stdout)
tm.done()
