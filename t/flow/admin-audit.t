#!/usr/bin/env python3
"""The audit log of administration: without room for it nothing is changed; what was refused does not fill it; and a
rename that the person may not bring to its end is not begun."""
import base64
import http.client
import json
import os
import ssl
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tm

tm.need("ldapsearch")
where = tm.tempdir()
small = os.path.join(where, "small")
os.mkdir(small)
mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m,mode=777", "tmpfs", small], capture_output=True).returncode == 0
try:
    sb = tm.Sandbox("--users", "5", "--admin", "--set", "admind.auth.delay=0", "--set", f"admind.audit.file={small}/admin.audit",
                    *[w for d in ("stored", "lmtpd", "jobctl", "smtp-relay", "imapd", "pop3d", "sieved", "mmpd", "memd", "jmapd") for w in ("--without", d)])
    D, AUDIT = sb.domain, small + "/admin.audit"
    TLS = ssl.create_default_context(cafile=sb.env["CAFILE"])
    TLS.check_hostname = False

    def ask(method, path, body=None, who="admin"):
        c = http.client.HTTPSConnection(sb.host, int(sb.env["ADMIN_PORT"]), context=TLS, timeout=tm.LONG)
        c.request(method, "/api/v1/" + path, None if body is None else json.dumps(body),
                  {"Authorization": "Basic " + base64.b64encode(f"{who}:{sb.password}".encode()).decode(), "Content-Type": "application/json"})
        r = c.getresponse()
        return r.status, json.loads(r.read())

    def is_(got, status, what, code=None):
        tm.ok(got[0] == status and (code is None or got[1].get("code") == code), what) or tm.diag(f"got {str(got)[:400]}")
        return got[1]

    # ---- what was refused
    is_(ask("POST", "roles/helpdesk/grant", {"names": [f"user0003@{D}"]}), 200, "a help desk")
    before = os.path.getsize(AUDIT)
    is_(ask("PATCH", f"users/user0001@{D}", {"description": "x" * 500000}, who="user0003"), 403, "which changes no description", "denied")
    with open(AUDIT) as f:
        last = json.loads(f.read().splitlines()[-1])
    tm.is_((last["result"], last["changes"], os.path.getsize(AUDIT) - before < 2000), ("denied", [{"attribute": "description", "how": "replace", "count": 1}], True),
           "is a short line, with the name of what was to be changed")

    # ---- a rename that would stop
    is_(ask("POST", "roles/organisation/grant", {"names": [f"user0002@{D}"]}), 200, "an organisation's administrator")
    was = is_(ask("GET", f"users/user0002@{D}"), 200, "as he is")
    is_(ask("POST", f"users/user0002@{D}/rename", {"names": ["other"]}, who="orgadmin"), 403, "another one cannot give him another name: the role would stay behind", "denied")
    tm.is_(is_(ask("GET", f"users/user0002@{D}"), 200, "nothing of it")["version"], was["version"], "was begun")
    is_(ask("POST", f"users/user0001@{D}/rename", {"names": ["first"]}, who="orgadmin"), 200, "who has no role gets one")
    is_(ask("POST", f"users/user0002@{D}/rename", {"names": ["other"]}), 200, "who may give the role may give the name")
    tm.ok(("organisation", f"other@{D}") in {(r["role"], r["user"]) for r in ask("GET", "roles")[1]["records"]}, "and it has followed")

    # ---- a full disk
    if mounted:
        fd = os.open(small + "/filler", os.O_CREAT | os.O_WRONLY)
        try:
            while os.write(fd, b"x" * 4096):
                pass
        except OSError:
            os.close(fd)
        was = ask("GET", f"users/first@{D}")[1]["version"]
        is_(ask("PATCH", f"users/first@{D}", {"description": "unseen"}), 500, "without room for the log nothing is changed", "audit")
        is_(ask("POST", "users", {"name": f"unseen@{D}"}), 500, "nor made", "audit")
        tm.is_((ask("GET", f"users/first@{D}")[1]["version"], ask("GET", f"users/unseen@{D}")[0]), (was, 404), "nothing, indeed")
        os.unlink(small + "/filler")
        is_(ask("PATCH", f"users/first@{D}", {"description": "seen"}), 200, "with room it is")
        with open(small + "/filler", "wb") as f:
            f.truncate(0)
            os.posix_fallocate(f.fileno(), 0, (lambda v: v.f_bavail * v.f_frsize - 300000)(os.statvfs(small)))
        is_(ask("PATCH", f"users/first@{D}", {"description": "y" * 200000}), 500, "nor one whose line is larger than the room", "audit")
        is_(ask("PATCH", f"users/first@{D}", {"description": "small"}), 200, "a small one is")
        with open(AUDIT) as f:
            lines = [json.loads(line) for line in f]
        tm.ok(lines[-1]["result"] == "done" and not [a for a in lines if "unseen" in json.dumps(a)], "and the log has whole lines alone")
    else:
        tm.ok(True, "a full disk # SKIP nothing can be mounted here")
finally:
    if mounted:
        subprocess.run(["umount", "-l", small], check=False)
tm.done()
