#!/usr/bin/env python3
"""A second factor and application passwords: made by the person through admind, asked for by admind and memd, good once,
slowed down when guessed; mail programs take application passwords alone, each for its services; the help desk takes
both away, and can make neither."""
import base64
import hashlib
import hmac
import http.client
import imaplib
import json
import os
import ssl
import struct
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tm

tm.need("ldapsearch")
sb = tm.Sandbox("--users", "6", "--admin", "--set", "admind.auth.delay=0", "--set", "memd.auth.delay=500ms", "--set", "imapd.auth.delay=0", "--set", "imapd.auth.failures=100",
                "--set", "tiermail.ldap.cache_age=0", "--set", "tiermail.ldap.auth_age=0",
                *[w for d in ("lmtpd", "jobctl", "smtp-relay", "pop3d", "sieved", "mmpd") for w in ("--without", d)])
D, A = sb.domain, "/api/v1/"
TLS = ssl.create_default_context(cafile=sb.env["CAFILE"])
TLS.check_hostname = False
USER = f"user0001@{D}"


def ask(method, path, body=None, who=USER, password=None, code=None, port=None, source=None, **fields):
    c = http.client.HTTPSConnection(sb.host, int(sb.env[port or "ADMIN_PORT"]), context=TLS, timeout=tm.LONG, source_address=source and (source, 0))
    h = {"Content-Type": "application/json", **fields}
    if who:
        h["Authorization"] = "Basic " + base64.b64encode(f"{who}:{password or sb.password}".encode()).decode()
    if code is not None:
        h["Second-Factor"] = code
    c.request(method, path, None if body is None else json.dumps(body), h)
    r = c.getresponse()
    text = r.read().decode()
    return r.status, json.loads(text) if text.startswith("{") else {"text": text}


def is_(got, status, what, code=None):
    tm.ok(got[0] == status and (code is None or got[1].get("code") == code), what) or tm.diag(f"got {got}")
    return got[1]


def totp(secret, step):
    """RFC 6238 by another hand than lib/login's."""
    mac = hmac.new(base64.b32decode(secret), struct.pack(">Q", step), hashlib.sha1).digest()
    at = mac[-1] & 15
    return f"{(struct.unpack('>I', mac[at:at + 4])[0] & 0x7fffffff) % 10 ** 6:06d}"


def now():
    return int(time.time()) // 30


def imap(password, user=USER):
    m = imaplib.IMAP4_SSL(sb.host, int(sb.env["IMAPS_PORT"]), ssl_context=TLS)
    try:
        return m.login(user, password)[0]
    except imaplib.IMAP4.error as e:
        return str(e)


def web(password, code=None, user=USER, source=None):
    return ask("POST", "/login", {"user": user, "password": password, **({} if code is None else {"code": code})}, who=None, port="HTTPS_PORT",
               source=source, Origin=f"https://{sb.host}:{sb.env['HTTPS_PORT']}")


# ---- how it is turned on
is_(ask("POST", A + "factors", {"name": USER}, who="admin"), 403, "nobody makes another's second factor, whoever it is", "denied")
is_(ask("POST", A + "factors", {"name": "user0002@" + D}), 404, "nor does a user", "not-found")
made = is_(ask("POST", A + "factors", {"name": USER}), 201, "a person's own secret")["records"][0]
secret = made["secret"]
tm.ok(len(base64.b32decode(secret)) == 20 and made["uri"].startswith(f"otpauth://totp/{D}:user0001%40{D}?secret={secret}&"), "of 160 bits, and as authenticators read it")
is_(web(sb.password), 200, "it is not on yet")
is_(ask("POST", A + f"factors/{USER}/confirm", {"names": [totp(secret, now() + 5)]}), 400, "nor by a wrong code", "code")
step = now()
on = is_(ask("POST", A + f"factors/{USER}/confirm", {"names": [totp(secret, step)]}), 200, "a right one turns it on")["records"][0]
codes = on["recovery"]
tm.ok(len(set(codes)) == 10, "and ten recovery codes are told")

# ---- the web and the administration ask for a code
is_(web(sb.password), 401, "the password alone is not enough for the web", "second-factor")
is_(web("wrong", totp(secret, step + 1)), 401, "nor a code without it", "wrong")
is_(web(sb.password, totp(secret, step)), 401, "the code that has turned it on was used", "code")
is_(web(sb.password, totp(secret, step + 5)), 401, "nor one of a later time", "code")
is_(web(sb.password, totp(secret, step + 1)), 200, "the next one lets in")
is_(ask("GET", A + "me", code=totp(secret, step + 1)), 401, "once, everywhere", "code")
is_(ask("GET", A + "me"), 401, "admind asks for one too", "second-factor")
tm.is_(is_(ask("GET", A + "me", code=codes[0]), 200, "a recovery code is as good").get("by"), "code", "as who has come by a code")
is_(ask("GET", A + "me", code=codes[0]), 401, "once", "code")
is_(web(sb.password, codes[1].upper().replace("-", " ")), 200, "also written another way")
shown = is_(ask("GET", A + f"factors/{USER}", code=codes[2]), 200, "it is shown")
tm.is_((shown["kind"], shown["codes"]), ("totp", 7), "and how many recovery codes are left")

# ---- mail programs take application passwords alone
tm.ok("application password" in imap(sb.password), "IMAP does not take the password any more")
tm.ok("AUTHENTICATIONFAILED" in imap("wrong"), "and tells nothing of it to who does not know the password")
is_(ask("GET", "/jmap/session", port="HTTPS_PORT"), 401, "nor does JMAP", "app")
app = is_(ask("POST", A + "apps", {"name": USER, "description": "phone", "service": ["imap", "smtp"]}, code=codes[3]), 201, "an application password")["records"][0]
tm.is_(imap(app["password"]), "OK", "with which IMAP lets in")
tm.is_(imap(app["password"].replace("-", "").upper()), "OK", "as people write it")
tm.ok("AUTHENTICATIONFAILED" in imap(app["password"], f"user0002@{D}"), "nobody else")
last = app["password"][-1]
tm.ok("AUTHENTICATIONFAILED" in imap(app["password"][:-1] + ("a" if last != "a" else "b")), "one letter of it wrong is wrong")
tm.ok("NOPERM" in str(imap(is_(ask("POST", A + "apps", {"name": USER, "service": "pop"}, code=codes[4]), 201, "one for POP")["records"][0]["password"])), "is none for IMAP")
is_(ask("GET", A + "me", password=app["password"]), 403, "and the administration wants one of its own", "forbidden")
own = is_(ask("POST", A + "apps", {"name": USER, "service": ["admin"]}, code=codes[5]), 201, "one for it")["records"][0]
tm.is_(is_(ask("GET", A + "me", password=own["password"]), 200, "is good there").get("by"), "app", "as what it is")
is_(ask("POST", A + "apps", {"name": USER}, password=own["password"]), 403, "but makes no other one", "app")
is_(ask("POST", A + f"factors/{USER}/reset", password=own["password"]), 403, "nor takes the factor away", "app")
listed = is_(ask("GET", A + f"apps?user={USER}", password=own["password"]), 200, "a list of them")["records"]
tm.ok(len(listed) == 3 and app["app"] in [r["app"] for r in listed] and "password" not in json.dumps(listed) and "ecret" not in json.dumps(listed), "which has no secret")
is_(ask("POST", A + "apps", {"name": USER}, who="admin"), 403, "an administrator makes none for somebody", "denied")

other = is_(ask("POST", A + "apps", {"name": USER}, code=codes[7]), 201, "one for all mail")["records"][0]["password"]
tm.is_((ask("GET", "/jmap/session", password=other, port="HTTPS_PORT")[0], imap(other)), (200, "OK"), "is good for JMAP and IMAP")
is_(web(other), 403, "and begins no session, which could change what it cannot", "forbidden")

# ---- guesses: by account, from wherever they come
for i in range(4):
    is_(web(sb.password, f"{i:06d}", source=f"127.0.0.{i + 2}"), 401, f"guess {i + 1}, each from another address", "code")
is_(web(sb.password, codes[6], source="127.0.0.9"), 401, "after which also a right one waits", "code")
tm.ok(tm.wait_for(lambda: web(sb.password, codes[6])[0] == 200), "but is not lost")

# ---- the help desk
is_(ask("POST", A + "roles/helpdesk/grant", {"names": [f"user0003@{D}"]}, who="admin"), 200, "a help desk")
is_(ask("POST", A + f"apps/{USER}/revoke", {"names": [app["app"]]}, who="user0003"), 200, "takes one away")
tm.ok("AUTHENTICATIONFAILED" in imap(app["password"]), "with which nobody comes in any more")
is_(ask("POST", A + f"apps/{USER}/revoke", {"names": ["zzzz"]}, who="user0003"), 404, "one that there is not", "not-found")
is_(ask("POST", A + f"apps/{USER}/revoke", who="user0003"), 200, "and all")
is_(ask("POST", A + f"factors/{USER}/reset", who="user0003"), 200, "and the second factor of who has lost it")
is_(web(sb.password), 200, "the password alone is enough again")
tm.is_(imap(sb.password), "OK", "for IMAP too")
is_(ask("POST", A + "factors/admin@" + D + "/reset", who="user0003"), 404, "but not of who stands above", "not-found")

# ---- who administers must have one
with open(sb.dir + "/etc/admind.conf") as f:
    text = f.read()
with open(sb.dir + "/etc/admind.conf", "w") as f:
    f.write("auth.second_factor = yes\n" + text)
tm.is_(sb.tool("tmctl", "-d", "admind", "reload").returncode, 0, "auth.second_factor=yes")
is_(ask("GET", A + "orgs", who="admin"), 403, "without one nothing is administered", "second-factor-needed")
is_(ask("POST", A + f"factors/{USER}/reset", who="admin"), 403, "nor anybody else's taken away", "second-factor-needed")
secret = is_(ask("POST", A + "factors", {"name": f"admin@{D}"}, who="admin"), 201, "but one's own made")["records"][0]["secret"]
codes = is_(ask("POST", A + f"factors/admin@{D}/confirm", {"names": [totp(secret, now())]}, who="admin"), 200, "and turned on")["records"][0]["recovery"]
is_(ask("GET", A + "orgs", who="admin", code=codes[0]), 200, "and all is as before")

# ---- no secret where none should be
with open(os.path.join(sb.dir, "admin.audit")) as f:
    log = f.read()
tm.ok("tiermailTotpSecret" in log and "tiermailAppSecret" in log and secret not in log and not [c for c in codes if c in log] and '["(secret)"' in log, "the audit log names what was changed, and no secret")
tm.done()
