#!/usr/bin/env python3
"""Codes of a second factor that are guessed all at once: many addresses ask while none has been answered yet, and the
directory looks at no more of them than at one after the other."""
import base64, hashlib, hmac, http.client, json, os, signal, ssl, struct, sys, threading, time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tm

tm.need("ldapsearch")
sb = tm.Sandbox("--users", "1", "--admin", "--set", "memd.auth.delay=500ms",
                *[w for d in ("imapd", "lmtpd", "jobctl", "smtp-relay", "pop3d", "sieved", "mmpd") for w in ("--without", d)])
TLS = ssl.create_default_context(cafile=sb.env["CAFILE"])
TLS.check_hostname = False
USER = f"user0001@{sb.domain}"


def ask(port, path, body, source=None, **fields):
    c = http.client.HTTPSConnection(sb.host, int(sb.env[port]), context=TLS, timeout=tm.LONG, source_address=source and (source, 0))
    c.request("POST", path, json.dumps(body), {"Content-Type": "application/json", **fields})
    r = c.getresponse()
    return r.status, json.loads(r.read())


def admin(path, body):
    return ask("ADMIN_PORT", "/api/v1/" + path, body, Authorization="Basic " + base64.b64encode(f"{USER}:{sb.password}".encode()).decode())


def web(code, source=None):
    return ask("HTTPS_PORT", "/login", {"user": USER, "password": sb.password, **({"code": code} if code else {})}, source, Origin=f"https://{sb.host}:{sb.env['HTTPS_PORT']}")


def totp(secret, step):
    mac = hmac.new(base64.b32decode(secret), struct.pack(">Q", step), hashlib.sha1).digest()
    at = mac[-1] & 15
    return f"{(struct.unpack('>I', mac[at:at + 4])[0] & 0x7fffffff) % 10 ** 6:06d}"


def session(code=None):
    """A login's cookie."""
    c = http.client.HTTPSConnection(sb.host, int(sb.env["HTTPS_PORT"]), context=TLS, timeout=tm.LONG)
    c.request("POST", "/login", json.dumps({"user": USER, "password": sb.password, **({"code": code} if code else {})}),
              {"Content-Type": "application/json", "Origin": f"https://{sb.host}:{sb.env['HTTPS_PORT']}", "Sec-Fetch-Site": "same-origin"})
    return (c.getresponse().getheader("Set-Cookie") or "").partition(";")[0]


def lives(cookie):
    c = http.client.HTTPSConnection(sb.host, int(sb.env["HTTPS_PORT"]), context=TLS, timeout=tm.LONG)
    c.request("GET", "/sessions", headers={"Cookie": cookie, "Sec-Fetch-Site": "same-origin"})
    r = c.getresponse()
    return r.status, json.loads(r.read()).get("code")


before = session()
tm.is_(lives(before)[0], 200, "a session that began when there was no second factor")
status, made = admin("factors", {"name": USER})
tm.is_(status, 201, "a second factor")
secret = made["records"][0]["secret"]
status, on = admin(f"factors/{USER}/confirm", {"names": [totp(secret, int(time.time()) // 30)]})
tm.is_(status, 200, "is turned on")
codes = on["records"][0]["recovery"]
tm.wait_for(lambda: lives(before)[0] != 200, 20)
tm.is_(lives(before), (401, "over"), "which ends that session")
behind = session(codes[1])
tm.is_(lives(behind)[0], 200, "and not one that a code began")
tm.ok(tm.wait_for(lambda: web(None)[1].get("code") == "second-factor"), "and asked for; memd knows the password now")

# ---- while the directory says nothing, they gather
slapd = sb.pids_of("slapd")[0]
os.kill(slapd, signal.SIGSTOP)
got, threads = {}, []
try:
    for i in range(12):
        code = codes[0] if i == 11 else f"{i:06d}"
        threads.append(threading.Thread(target=lambda i=i, code=code: got.update({i: web(code, f"127.0.0.{i + 2}")})))
        threads[-1].start()
        time.sleep(.1)
finally:
    os.kill(slapd, signal.SIGCONT)
for t in threads:
    t.join()
tm.is_([got[i][1].get("code") for i in range(11)], ["code"] * 11, "none of many guesses at once lets in")
tm.is_((got[11][0], got[11][1].get("code")), (401, "code"), "nor the right code, which comes behind too many of them")
tm.ok(tm.wait_for(lambda: web(codes[0])[0] == 200), "and which was not looked at: it is good later")
tm.done()
