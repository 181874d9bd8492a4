#!/usr/bin/env python3
"""What is remembered of somebody who logs in lets nobody in for longer than 5 seconds: a password that was changed, an
account that was closed, an application password that was taken away; with ages that would last for the whole test."""
import base64
import http.client
import json
import os
import ssl
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tm

tm.need("ldapsearch")
sb = tm.Sandbox("--users", "4", "--admin", "--set", "admind.auth.delay=0", "--set", "imapd.auth.delay=0", "--set", "imapd.auth.failures=0",
                "--set", "tiermail.ldap.cache_age=1h", "--set", "tiermail.ldap.auth_age=1h",
                *[w for d in ("lmtpd", "jobctl", "smtp-relay", "pop3d", "sieved", "mmpd", "jmapd", "memd") for w in ("--without", d)])
D = sb.domain
TLS = ssl.create_default_context(cafile=sb.env["CAFILE"])
TLS.check_hostname = False


def ask(method, path, body=None, who="admin", password=None):
    c = http.client.HTTPSConnection(sb.host, int(sb.env["ADMIN_PORT"]), context=TLS, timeout=tm.LONG)
    c.request(method, "/api/v1/" + path, None if body is None else json.dumps(body),
              {"Authorization": "Basic " + base64.b64encode(f"{who}:{password or sb.password}".encode()).decode(), "Content-Type": "application/json"})
    r = c.getresponse()
    return r.status, json.loads(r.read())


def comes_in(user, password=None):
    try:
        sb.imap(user, password).logout()
        return True
    except Exception as e:
        if "AUTHENTICATIONFAILED" not in str(e) and "CONTACTADMIN" not in str(e):
            raise
        return False


def ends(user, password=None):
    """How long it takes until nobody comes in any more, in seconds."""
    began = time.monotonic()
    tm.wait_for(lambda: not comes_in(user, password))
    return time.monotonic() - began


def console(user, password):
    c = http.client.HTTPSConnection(sb.host, int(sb.env["ADMIN_PORT"]), context=TLS, timeout=tm.LONG)
    c.request("POST", "/login", json.dumps({"user": user, "password": password}),
              {"Content-Type": "application/json", "Origin": f"https://{sb.host}:{sb.env['ADMIN_PORT']}", "Sec-Fetch-Site": "same-origin"})
    return c.getresponse().status


time.sleep(1.1)  # pwdChangedTime has seconds
tm.is_(console("user0004", sb.password), 200, "somebody opens the console")
subprocess.run(["ldappasswd", "-x", "-H", sb.env["LDAP_URL"], "-D", sb.env["LDAP_ADMIN_DN"], "-w", sb.env["LDAP_ADMIN_PASSWORD"], "-s", "another-4",
                f"uid=user0004,ou=People,o={D},{sb.env['LDAP_BASE']}"], check=True)
tm.is_([console("user0004", p) for p in (sb.password, "another-4")], [401, 200], "a password that is changed elsewhere begins no further session, which would last")
app = ask("POST", "apps", {"name": f"user0003@{D}"}, who="user0003")[1]["records"][0]["password"]
for user, password in (("user0001", None), ("user0002", None), ("user0003", app)):
    tm.ok(comes_in(user, password) and comes_in(user, password), f"{user} comes in, and is remembered")
tm.is_(ask("POST", f"users/user0001@{D}/password", {"password": "another-1"})[0], 200, "a password is changed")
took = ends("user0001")
tm.ok(took < 6, f"the old one is good no more {took:.1f} s later")
tm.ok(comes_in("user0001", "another-1"), "and the new one is")
tm.is_(ask("POST", f"users/user0002@{D}/suspend")[0], 200, "an account is closed")
took = ends("user0002")
tm.ok(took < 6, f"which counts {took:.1f} s later")
tm.is_(ask("POST", f"apps/user0003@{D}/revoke", who="user0003")[0], 200, "an application password is taken away")
tm.ok(not comes_in("user0003", app) and comes_in("user0003"), "which counts at once")
sb.kill("slapd")
tm.ok(comes_in("user0003"), "while no directory answers, who is remembered still comes in")
time.sleep(5.5)
tm.ok(comes_in("user0003"), "also later than that")
tm.done()
