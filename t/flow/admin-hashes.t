#!/usr/bin/env python3
"""Hashes of passwords that came from another system: each scheme lets in by slapd, with the right password alone, and none
is ever shown."""
import base64
import hashlib
import http.client
import json
import os
import ssl
import subprocess
import sys
import warnings

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tm
import directory  # scripts/lib, whose path tm has

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    try:
        import crypt
    except ImportError:
        tm.skip_all("no crypt module")

tm.need("ldapsearch")
sb = tm.Sandbox("--users", "2", "--admin", "--set", "admind.auth.delay=0",
                *[w for d in ("stored", "lmtpd", "jobctl", "smtp-relay", "imapd", "pop3d", "sieved", "mmpd", "memd", "jmapd") for w in ("--without", d)])
D = sb.domain
TLS = ssl.create_default_context(cafile=sb.env["CAFILE"])
TLS.check_hostname = False


def ask(method, path, body=None, who="admin", password=None):
    c = http.client.HTTPSConnection(sb.host, int(sb.env["ADMIN_PORT"]), context=TLS, timeout=tm.LONG)
    c.request(method, "/api/v1/" + path, None if body is None else json.dumps(body),
              {"Authorization": "Basic " + base64.b64encode(f"{who}:{password or sb.password}".encode()).decode(), "Content-Type": "application/json"})
    r = c.getresponse()
    return r.status, r.read().decode()


def b64(name, salt=b""):
    return base64.b64encode(hashlib.new(name, b"geheim" + salt).digest() + salt).decode()


argon = subprocess.run([directory.tool("slappasswd"), "-o", "module-path=" + os.environ.get("SLAPD_MODULES", "/usr/lib/ldap"), "-o", "module-load=argon2",
                        "-h", "{ARGON2}", "-s", "geheim"], capture_output=True, text=True)
HASHES = {
    "SSHA": "{SSHA}" + b64("sha1", b"salt"), "SHA1": "{SHA1}" + b64("sha1"), "SMD5": "{SMD5}" + b64("md5", b"salt"), "SSHA256": "{SSHA256}" + b64("sha256", b"saltsalt"),
    "SSHA512": "{SSHA512}" + b64("sha512", b"saltsalt"), "SHA256": "{SHA256.b64}" + b64("sha256"),
    "sha512-crypt": "{SHA512-CRYPT}" + crypt.crypt("geheim", "$6$abcdefgh"), "blf-crypt": "{BLF-CRYPT}" + crypt.crypt("geheim", "$2b$04$abcdefghijklmnopqrstuu"),
    "bare": crypt.crypt("geheim", "$5$abcdefgh"), "argon2": argon.stdout.strip().replace("{ARGON2}", "{ARGON2I}" if "$argon2i$" in argon.stdout else "{ARGON2ID}"),
}
for i, (scheme, value) in enumerate(HASHES.items()):
    user = f"h{i}@{D}"
    tm.ok(ask("POST", "users", {"name": user, "hash": value}, who="orgadmin")[0] == 201 and ask("GET", "me", who=user, password="geheim")[0] == 200, f"{scheme} lets in") or tm.diag(value)
    tm.is_(ask("GET", "me", who=user, password="geheimer")[0], 401, "not with another password")
tm.is_(ask("PATCH", f"users/h0@{D}", {"hash": HASHES["SSHA512"]})[0], 200, "a hash is changed like any setting")
tm.is_(ask("PATCH", f"users/h0@{D}", {"hash": HASHES["bare"]}, who="user0001")[0], 404, "not by somebody")
status, text = ask("PATCH", f"users/h0@{D}", {"hash": "{PLAIN}geheim"})
tm.ok(status == 400 and "geheim" not in text, "a password is no hash, and is not told again") or tm.diag(text)
shown = ask("GET", f"users/h0@{D}")[1] + ask("GET", f"users?org={D}")[1] + ask("PATCH", f"users/h1@{D}?dry=1", {"hash": HASHES["SSHA"]})[1]
root = sb.tool("diradm", "user", "show", f"h0@{D}")
tm.ok("SSHA" not in shown + root.stdout and "secret" in shown, "no hash is shown, nor by a dry run") or tm.diag(shown[-300:] + root.stdout)
with open(os.path.join(sb.dir, "admin.audit")) as f:
    log = f.read()
tm.ok("userPassword" in log and not [h for h in HASHES.values() if h[-12:] in log], "nor in the audit log")
tm.done()
