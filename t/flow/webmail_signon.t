#!/usr/bin/env python3
"""A login at the site's OpenID provider in a browser, with all of it real but the provider's question: memd, jmapd, the
store, the directory, the provider's redirections over other origins, which cookies Chromium sends where."""
import os, re, subprocess, sys

sys.path[:0] = [os.path.dirname(os.path.abspath(__file__))]
import oidc, tm

TOP = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../.."))
tm.need("ldapmodify", "node", "chromium")
if subprocess.run([TOP + "/scripts/deps", "web"], stderr=subprocess.DEVNULL).returncode:
    tm.skip_all("nothing to drive a browser with")
op = oidc.Provider()
sb = tm.Sandbox("--users", "2", *(w for d in ("smtp-relay", "jobctl", "imapd", "pop3d", "mmpd", "sieved") for w in ("--without", d)),
                *(w for k, v in {"issuer": op.issuer, "ca": op.ca, "client": "web", "secret": "a secret: of %the client", "name": "Sign in with the University",
                                 "redirect": "yes"}.items() for w in ("--set", f"memd.signon.{k}={v}")))
here = sb.env["WEBURL"].rstrip("/")
op.set(redirect=here + "/signon/back", end=here + "/signon/out", user={"email": f"{sb.user(1)}@{sb.domain}", "email_verified": True})
p = subprocess.run(["node", "--test", "--test-reporter=./t/www/lib/tap.mjs", "t/www/real/signon.mjs"], cwd=TOP, env=dict(os.environ, WEBURL=here, ISSUER=op.issuer,
                   USER_NAME=f"{sb.user(1)}@{sb.domain}"), text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
steps = re.findall(r"^(not ok|ok) \d+ - (.*)$", p.stdout, re.M)
for state, name in steps:
    tm.ok(state == "ok", name)
tm.is_(p.returncode, 0, "the browser's steps")
tm.ok(len(steps) > 3, "there were steps")
tm.is_(op.asked(f"end of {sb.user(1)}@{sb.domain}"), 1, "the provider has heard of the end")
if p.returncode:
    tm.diag(p.stdout)
tm.done()
