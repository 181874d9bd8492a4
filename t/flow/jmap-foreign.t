#!/usr/bin/env python3
"""A JMAP client that we have not written, jmap-jam from npm, with jmapd and through memd: what it does with mailboxes,
emails, blobs, submissions, as t/flow/jmap-foreign.mjs has it.  Skipped without node and the packages of the tests
(scripts/deps web)."""
import json
import os
import shutil
import subprocess
import sys
import tm

JAM = os.path.join(tm.TOP, "build/npm/node_modules/jmap-jam/dist/index.js")
if not shutil.which("node") or not os.path.exists(JAM):
    print("1..0 # SKIP no node, or no jmap-jam (scripts/deps web)")
    sys.exit(0)
sb = tm.Sandbox("--users", "2", "--without", "pop3d", "--without", "mmpd")
me, you = (f"{sb.user(n)}@{sb.domain}" for n in (1, 2))
for name, what in (("JMAPURL", "jmapd"), ("WEBJMAPURL", "memd")):
    r = subprocess.run(["node", os.path.join(tm.TOP, "t/flow/jmap-foreign.mjs"), JAM, sb.env[name], sb.user(1), sb.password, me, you], text=True, capture_output=True,
                       env={**os.environ, "NODE_EXTRA_CA_CERTS": sb.env["CAFILE"]}, timeout=tm.LONG)
    got = {l["what"]: l["got"] for l in map(json.loads, r.stdout.splitlines())}
    tm.is_(r.returncode, 0, f"{what}: it comes to its end") or tm.diag(r.stderr[-2000:] + r.stdout[-500:])
    tm.is_((got.get("session", ["?"])[0], got.get("session", [0, 0, 0])[2]), (me, True), "the session")
    tm.ok({"drafts", "inbox", "sent", "trash"} <= set(got.get("mailboxes", [])), "mailboxes by role") or tm.diag(got.get("mailboxes"))
    tm.is_((got.get("made"), got.get("created")), (True, True), "a mailbox and an email are made")
    tm.is_(got.get("found"), [True, 1, "Strawberry \U0001f353", "J\u00e4m", True, "red and \u00fc", 1, True], "found and shown by references, with its thread")
    tm.is_(got.get("downloaded"), ["some octets \u00fc", "text/plain"], "its attachment")
    tm.is_(got.get("sent"), [200, True], "sent, and moved with that")
    tm.ok(got.get("changes") and got["changes"][1] in got["changes"][0], "which is a change") or tm.diag(got.get("changes"))
    tm.is_((got.get("taken back"), got.get("snippet"), got.get("refused")), ([True, "canceled"], True, ["accountNotFound", True, True]), "taken back, searched, refused, destroyed")
tm.ok(tm.wait_for(lambda: sum(b"Strawberry" in m or b"=?" in m for m in sb.messages(2)) == 2), "both have arrived")
tm.done()
