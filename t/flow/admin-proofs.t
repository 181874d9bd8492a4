#!/usr/bin/env python3
"""What proves somebody, and ways around it: the own password without the old one, a session of before the password was
changed, guesses of codes all at once, a directory whose rules hide that there is a second factor; hashes that would
take slapd's time."""
import base64
import concurrent.futures
import hashlib
import hmac
import http.client
import imaplib
import json
import os
import re
import ssl
import struct
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tm

tm.need("ldapsearch")
sb = tm.Sandbox("--users", "5", "--admin", "--set", "admind.auth.delay=500ms", "--set", "imapd.auth.delay=0", "--set", "imapd.auth.failures=100", "--set", "admind.limit.per_client=200",
                "--set", "tiermail.ldap.cache_age=0", "--set", "tiermail.ldap.auth_age=0",
                *[w for d in ("lmtpd", "jobctl", "smtp-relay", "pop3d", "sieved", "mmpd", "memd", "jmapd") for w in ("--without", d)])
D, A = sb.domain, "/api/v1/"
TLS = ssl.create_default_context(cafile=sb.env["CAFILE"])
TLS.check_hostname = False
USER = f"user0001@{D}"


def ask(method, path, body=None, who=USER, password=None, code=None, cookie=None, source=None):
    """(status, JSON, cookie that was set); by Basic, or as a page of the console with a cookie or "" for none."""
    c = http.client.HTTPSConnection(sb.host, int(sb.env["ADMIN_PORT"]), context=TLS, timeout=tm.LONG, source_address=source and (source, 0))
    h = {"Content-Type": "application/json"}
    if cookie is None:
        h["Authorization"] = "Basic " + base64.b64encode(f"{who}:{password or sb.password}".encode()).decode()
    else:
        h.update({"Origin": f"https://{sb.host}:{sb.env['ADMIN_PORT']}", "Sec-Fetch-Site": "same-origin", "Cookie": cookie})
    if code is not None:
        h["Second-Factor"] = code
    c.request(method, path, None if body is None else json.dumps(body), h)
    r = c.getresponse()
    text, cookie = r.read().decode(), r.headers["Set-Cookie"]
    return r.status, json.loads(text) if text.startswith("{") else {"text": text}, cookie and cookie.split(";")[0]


def is_(got, status, what, code=None):
    tm.ok(got[0] == status and (code is None or got[1].get("code") == code), what) or tm.diag(f"got {got}")
    return got[1]


def begin(user, password=None):
    status, said, cookie = ask("POST", "/login", {"user": user, "password": password or sb.password}, cookie="")
    tm.is_(status, 200, f"a session of {user}") or tm.diag(said)
    return cookie


def imap(user, password=None):
    m = imaplib.IMAP4_SSL(sb.host, int(sb.env["IMAPS_PORT"]), ssl_context=TLS)
    try:
        return m.login(user, password or sb.password)[0]
    except imaplib.IMAP4.error as e:
        return str(e)


# ---- the own password
HASH = "{SHA512}" + base64.b64encode(b"x" * 64).decode()
OWN = A + f"users/{USER}"
cookie = begin(USER)
is_(ask("PATCH", OWN, {"hash": HASH}, cookie=cookie), 403, "a page that was left open gives no other password as a hash", "own-password")
is_(ask("PATCH", OWN, {"hash": HASH}), 403, "nor does who has the password, without saying so", "own-password")
app = is_(ask("POST", A + "apps", {"name": USER, "service": ["admin"]}), 201, "an application password of the administration")["records"][0]["password"]
is_(ask("PATCH", OWN, {"hash": HASH}, password=app), 403, "gives none", "own-password")
is_(ask("PATCH", A + f"users/orgadmin@{D}", {"hash": HASH}, who="orgadmin"), 403, "nor does an administrator take another", "own-password")
is_(ask("PATCH", A + f"users/user0005@{D}", {"hash": HASH}, who="orgadmin"), 200, "who gives them to others")
is_(ask("PATCH", A + f"users/user0005@{D}", {"hash": "{CRYPT}$6$rounds=999999999$salt$" + "a" * 86}, who="orgadmin"), 400, "but none that takes slapd minutes to check", "value")

# ---- sessions of before
other = begin(USER)
time.sleep(1.1)  # pwdChangedTime has seconds
status, said, renewed = ask("POST", "/password", {"old": sb.password, "new": "another-1"}, cookie=cookie)
tm.ok(status == 200 and renewed, "the password is changed by who gives the old one") or tm.diag((status, said, renewed))
tm.is_(ask("GET", "/session", cookie=renewed)[0], 200, "whose session goes on")
tm.ok(tm.wait_for(lambda: ask("GET", "/session", cookie=other)[0] == 401), "others that began with the old one do not")
is_(ask("GET", A + "me", cookie=cookie), 401, "nor does the cookie of before", "over")
time.sleep(1.1)
is_(ask("POST", A + f"users/{USER}/password", {"password": "another-2"}, who="orgadmin"), 200, "an administrator gives another password")
tm.ok(tm.wait_for(lambda: ask("GET", "/session", cookie=renewed)[0] == 401), "which ends this session too")
app = is_(ask("POST", A + "apps", {"name": USER, "service": ["admin"]}, password="another-2"), 201, "another application password")["records"][0]["password"]

# ---- a second factor
made = is_(ask("POST", A + "factors", {"name": USER}, password="another-2"), 201, "a second factor")["records"][0]


def totp(secret, step):
    mac = hmac.new(base64.b32decode(secret), struct.pack(">Q", step), hashlib.sha1).digest()
    at = mac[-1] & 15
    return f"{(struct.unpack('>I', mac[at:at + 4])[0] & 0x7fffffff) % 10 ** 6:06d}"


mine, other = begin(USER, "another-2"), begin(USER, "another-2")
is_(ask("POST", A + f"factors/{USER}/confirm", {"names": ["000000"]}, cookie=other), 400, "which no wrong code turns on", "code")
status, said, coded = ask("POST", A + f"factors/{USER}/confirm", {"names": [totp(made["secret"], int(time.time()) // 30)]}, cookie=mine)
tm.ok(status == 200 and coded, "is on, by a page of the console") or tm.diag((status, said))
codes = said["records"][0]["recovery"]
tm.is_(is_(ask("GET", A + "me", cookie=coded), 200, "whose session goes on").get("by"), "code", "as who has given a code")
tm.ok(tm.wait_for(lambda: ask("GET", "/session", cookie=other)[0] == 401), "another one, which began without, does not")
is_(ask("POST", A + f"factors/{USER}/reset", {}, cookie=mine), 401, "and takes the factor away no more", "over")
page = {"Origin": f"https://{sb.host}:{sb.env['ADMIN_PORT']}", "Sec-Fetch-Site": "same-origin"}


def change(password):
    c = http.client.HTTPSConnection(sb.host, int(sb.env["ADMIN_PORT"]), context=TLS, timeout=tm.LONG)
    c.request("POST", "/password", json.dumps({"old": "another-2", "new": "another-3"}),
              {"Content-Type": "application/json", "Authorization": "Basic " + base64.b64encode(f"{USER}:{password}".encode()).decode(), **page})
    r = c.getresponse()
    return r.status, json.loads(r.read()), None


is_(change(app), 403, "who has the password and an application password, and no code, changes nothing", "app")

# Each of its own address and connection, all at once: looked at one after the other, and behind a few no more; of as many as
# there were, the last would close the account to everybody for half a minute.
with concurrent.futures.ThreadPoolExecutor(40) as pool:
    said = list(pool.map(lambda i: ask("GET", A + "me", password="another-2", code=f"{i:06d}", source=f"127.0.1.{i + 1}"), range(40)))
tm.ok(all(s[0] == 401 and s[1].get("code") == "code" for s in said), "40 guesses at once, each from another address") or tm.diag(said)
sources = iter(range(1, 255))
tm.ok(tm.wait_for(lambda: ask("GET", A + "me", password="another-2", code=codes[0], source=f"127.0.2.{next(sources)}")[0] == 200, 12), "were few that were looked at")

# ---- a directory with rules of before
with open(sb.dir + "/ldap/slapd.conf") as f:
    text = f.read()
hidden, n = re.subn(r"(access to attrs=tiermailSecondFactor\n(?:\t.*\n)*?\tby dn\.children=\S+) read\n", r"\1 search\n", text, count=1)
tm.is_(n, 1, "rules that do not show services who has a second factor")
with open(sb.dir + "/ldap/slapd.conf", "w") as f:
    f.write(hidden)
sb.restart("slapd")
tm.ok(tm.wait_for(lambda: imap("user0002") == "OK"), "others come in")
tm.ok("UNAVAILABLE" in imap(USER, "another-2"), "who has one does not by the password alone") or tm.diag(imap(USER, "another-2"))
tm.is_(ask("GET", A + "me", password="another-2")[0], 503, "nor at the administration")
with open(os.path.join(sb.env["RUNDIR"], "imapd.log")) as f:
    tm.ok("may not read tiermailSecondFactor" in f.read(), "and the log says why")
with open(sb.dir + "/ldap/slapd.conf", "w") as f:
    f.write(text)
sb.restart("slapd")
tm.ok(tm.wait_for(lambda: ask("POST", A + f"factors/{USER}/reset", who="orgadmin")[0] == 200), "the factor is taken away")
tm.is_(imap(USER, "another-2"), "OK", "and the password is enough again")

# ---- the end of somebody who has application passwords
is_(ask("POST", A + f"users/{USER}/delete", who="orgadmin"), 200, "deleted")
is_(ask("POST", A + f"users/{USER}/purge", who="orgadmin"), 200, "and purged, with the application passwords")
tm.done()
