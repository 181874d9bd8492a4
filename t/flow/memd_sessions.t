#!/usr/bin/env python3
"""Sessions of the web, of which the store keeps the records: two memds before one store.  What ends on one host (a logout,
another's choice, a password, an account) is over on both; what only is away ends nothing."""
import base64, http.client, json, os, re, shutil, subprocess, sys, threading, time

sys.path[:0] = [os.path.dirname(os.path.abspath(__file__))]
import tm, wire

tm.need("ldapmodify", "ldappasswd")
SOON = 6        # s: what the directory says is known for 5
sb = tm.Sandbox("--users", "8", *(w for d in ("smtp-relay", "jobctl", "pop3d", "lmtpd", "mmpd", "sieved") for w in ("--without", d)),
                "--set", "memd.auth.delay=100ms", "--set", "memd.store.retry=200ms",
                "--set", "memd.limit.per_user=0", "--set", "jmapd.limit.per_user=0")
HOST, A, B = sb.host, sb.port("HTTPS"), tm.free_port()

# ---- the second host
etc, run = tm.tempdir(), tm.tempdir()
for name in ("memd.conf", "tiermail.conf"):
    text = open(sb.conf(name)).read().replace(f":{A}\n", f":{B}\n").replace(f"rundir = {sb.env['RUNDIR']}", f"rundir = {run}")
    open(f"{etc}/{name}", "w").write(text)
log = open(f"{run}/memd.log", "w")
second = subprocess.Popen([sb.bin("memd"), "-c", f"{etc}/memd.conf"], stdout=log, stderr=log)


def connect(port):
    return http.client.HTTPSConnection(HOST, port, context=wire.context(sb), timeout=tm.LONG)


class Answer:
    def __init__(self, r):
        self.status, self.fields, self.body = r.status, r.headers, r.read()

    def json(self):
        return json.loads(self.body)

    @property
    def gone(self):
        return "Max-Age=0" in (self.fields["Set-Cookie"] or "")


def ask(port, method, path, body=None, cookie=None, agent="test", **fields):
    c = connect(port)
    h = {"Origin": f"https://{HOST}:{port}", "Sec-Fetch-Site": "same-origin", "Content-Type": "application/json", "User-Agent": agent, **fields}
    if cookie:
        h["Cookie"] = cookie
    c.request(method, path, None if body is None else json.dumps(body), h)
    return Answer(c.getresponse())


def login(n, port=A, password=None, agent="test"):
    a = ask(port, "POST", "/login", {"user": sb.user(n), "password": password or sb.password}, agent=agent)
    return (a.fields["Set-Cookie"] or "").split(";")[0] if a.status == 200 else a.status


def lives(cookie, port, path="/session"):
    return ask(port, "GET", path, cookie=cookie).status


def everywhere(cookie):
    return [lives(cookie, port, path) for port in (A, B) for path in ("/session", "/.well-known/jmap")]


def sessions(cookie, port=A):
    return ask(port, "GET", "/sessions", cookie=cookie).json()["sessions"]


def stream(cookie, port=B):
    c = connect(port)
    c.request("GET", "/jmap/events?types=*&closeafter=no&ping=5", headers={"Cookie": cookie, "Sec-Fetch-Site": "same-origin"})
    r = c.getresponse()
    assert r.status == 200, r.status
    return r


def rest(r):
    """What still comes, until it ends."""
    try:
        return r.read()
    except http.client.IncompleteRead as e:
        return e.partial


def soon(question, seconds=SOON):
    """Within so many seconds?  Slow machines get their time, and say so."""
    began = time.monotonic()
    good = tm.wait_for(question)
    took = time.monotonic() - began
    if took > seconds:
        tm.diag(f"took {took:.1f} s")
    return good


tm.ok(tm.wait_for(lambda: not subprocess.run(["bash", "-c", f"exec 3<>/dev/tcp/{HOST}/{B}"], stderr=subprocess.DEVNULL).returncode), "two hosts")

# ---- one session is one on all hosts
one = login(1, A, agent="Browser One")
two = login(1, B, agent="Browser/2 (X\u00e9; \"Linux\")".encode("latin-1"))
tm.is_((everywhere(one), everywhere(two)), ([200] * 4, [200] * 4), "who has logged in at either is known to both")
both = sessions(one, B)
tm.is_(sorted((s["client"], s["address"], s["current"]) for s in both),
       [("Browser One", "127.0.0.1", True), ('Browser/2 (X?; "Linux")', "127.0.0.1", False)], "each sees all of the own ones, and which of them it is")
tm.ok(all(re.fullmatch(r"2\d{3}-\d\d-\d\dT\d\d:\d\d:\d\dZ", s[k]) for s in both for k in ("began", "seen", "expires")), "with their times")
tm.is_(ask(A, "GET", "/sessions").status, 401, "who is not logged in sees none")
three = login(2)
tm.is_([s["client"] for s in sessions(three)], ["test"], "another person sees none of them")

# ---- one ends another
events = stream(two)
other = next(s["id"] for s in both if not s["current"])
for body in ({}, {"end": 1}, {"end": "x"}, {"end": other + "&which=others"}):
    tm.is_(ask(A, "POST", "/sessions", body, one).status, 400, f"no end: {body}")
tm.is_(ask(A, "POST", "/sessions", {"end": other}, one, **{"Sec-Fetch-Site": "cross-site"}).status, 403, "another site ends none")
tm.is_(ask(A, "POST", "/sessions", {"end": other}, three).status, 200, "nor does another person, whose it is not")
tm.is_(everywhere(two), [200] * 4, "it lives")
tm.is_(ask(A, "POST", "/sessions", {"end": other}, one).status, 200, "a person ends one of the own")
tm.is_(everywhere(two), [401] * 4, "which is over on both hosts at once")
a = ask(B, "POST", "/jmap/api", {"using": ["urn:ietf:params:jmap:core"], "methodCalls": [["Core/echo", {}, "0"]]}, two)
tm.is_((a.status, a.json()["code"], a.gone), (401, "over", True), "also where the store is the one to say so, and the cookie goes")
tm.is_(rest(events), b"", "and its stream of events ends without a word")
tm.is_(everywhere(one), [200] * 4, "the other goes on")

# ---- logging out
two, four = login(1), login(1)
a = ask(B, "POST", "/logout", {}, two)
tm.is_((a.status, a.gone, everywhere(two)), (200, True, [401] * 4), "who logs out at one host is out at both, with what was copied of the cookie")
tm.is_(ask(B, "POST", "/logout", {}, two).status, 200, "once more is no fault")
tm.is_((ask(A, "POST", "/sessions", {"end": "others"}, one).status, everywhere(one), everywhere(four)), (200, [200] * 4, [401] * 4), "all others end")
tm.is_(len(sessions(one)), 1, "one is left")

# ---- none of it is news of the mailbox
def states(cookie):
    body = {"using": ["urn:ietf:params:jmap:core", "urn:ietf:params:jmap:mail"],
            "methodCalls": [[f"{t}/get", {"accountId": account, "ids": []}, t] for t in ("Mailbox", "Email", "Thread")]}
    return [r[1]["state"] for r in ask(A, "POST", "/jmap/api", body, cookie=cookie).json()["methodResponses"]]


here = login(7)
account = next(iter(ask(A, "GET", "/.well-known/jmap", cookie=here).json()["accounts"]))
state, s = states(here), stream(here)
there = login(7, B)
tm.is_(states(there), state, "a login moves no state")
ask(A, "POST", "/sessions", {"end": "others"}, cookie=there)
tm.is_(states(there), state, "nor does an end")
told = rest(s)
tm.ok(b"StateChange" not in told, f"the stream of the one that has ended hears no change: {told[:80]}")
tm.is_((lives(here, A), lives(there, B)), (401, 200), "and what is over is over")

# ---- many at once
got = []
many = [threading.Thread(target=lambda port=p: got.append(login(3, port))) for p in (A, B) * 4]
[t.start() for t in many], [t.join() for t in many]
tm.is_([lives(c, A) for c in got], [200] * 8, "eight who log in at once are all in")
tm.is_(len(sessions(got[0])), 8, "and all recorded")
def ends(cookie, n):
    ask((A, B)[n % 2], "POST", "/logout", {}, cookie)


many = [threading.Thread(target=ends, args=(c, n)) for n, c in enumerate(got[1:])]
[t.start() for t in many], [t.join() for t in many]
tm.is_([len(sessions(got[0])), *(lives(c, A) for c in got[1:])], [1] + [401] * 7, "seven who log out at once are all out")

# ---- use
before = sessions(one)[0]
keys = sb.dir + "/web.keys"
old = open(keys).read()
open(keys, "w").write("b" * 64 + "\n" + old)
sb.tool("tmctl", "-d", "memd", "reload")
second.send_signal(1)
time.sleep(1.1)     # records have seconds
tm.ok(tm.wait_for(lambda: ask(B, "GET", "/session", cookie=one).fields["Set-Cookie"]), "a new key")
a = ask(B, "GET", "/session", cookie=one)
tm.ok("Max-Age=" in (a.fields["Set-Cookie"] or ""), "a session that is used is sealed anew")
after = sessions(one)[0]
tm.ok(after["seen"] > before["seen"] and after["expires"] > before["expires"] and after["began"] == before["began"], "and its record says when")

# ---- the password
mine, theirs = login(4, A), login(4, B)
a = ask(A, "POST", "/password", {"old": sb.password, "new": "another one"}, mine)
new = (a.fields["Set-Cookie"] or "").split(";")[0]
tm.is_((a.status, a.json()), (200, {"ended": True}), "who changes the password hears that the other sessions are ended")
tm.is_((everywhere(new), everywhere(mine), everywhere(theirs)), ([200] * 4, [401] * 4, [401] * 4), "they are, and the own goes on under another cookie")
tm.is_(len(sessions(new)), 1, "as the only one")
basic = {"Authorization": "Basic " + base64.b64encode(f"{sb.user(4)}:another one".encode()).decode()}
a = ask(A, "POST", "/password", {"old": "another one", "new": sb.password}, **basic)
tm.is_((a.status, a.json(), everywhere(new)), (200, {"ended": True}, [401] * 4), "a client without a session ends them all")

mine, theirs = login(5, A), login(5, B)
events = stream(theirs)
time.sleep(1.1)     # the directory's times are seconds
r = subprocess.run(["ldappasswd", "-x", "-H", sb.env["LDAP_URL"], "-D", sb.env["LDAP_ADMIN_DN"], "-w", sb.env["LDAP_ADMIN_PASSWORD"], "-s", "by somebody",
                    f"uid={sb.user(5)},ou=People,o={sb.domain},{sb.env['LDAP_BASE']}"], capture_output=True, text=True)
tm.is_(r.returncode, 0, "an administrator changes a password")
tm.ok(soon(lambda: everywhere(mine) == [401] * 4 and everywhere(theirs) == [401] * 4), "the sessions of before are over on both hosts soon")
rest(events)
tm.ok(True, "and so is a stream of events")
mine = login(5, A, "by somebody")
tm.is_((everywhere(mine), len(sessions(mine))), ([200] * 4, 1), "the new one lets in, and of the others nothing is left")

login(8, A)
time.sleep(1.1)
r = subprocess.run(["ldappasswd", "-x", "-H", sb.env["LDAP_URL"], "-D", sb.env["LDAP_ADMIN_DN"], "-w", sb.env["LDAP_ADMIN_PASSWORD"], "-s", "by somebody",
                    f"uid={sb.user(8)},ou=People,o={sb.domain},{sb.env['LDAP_BASE']}"], capture_output=True, text=True)
time.sleep(1.1)     # ... and less than what is remembered of entries lasts
tm.is_((login(8, A), everywhere(login(8, A, "by somebody"))), (401, [200] * 4), "the old one begins no session that would last, also where it was right a moment ago")

# ---- the account
mine = login(6, A)
events = stream(mine)
wire.modify(sb, 6, "replace: inetUserStatus\ninetUserStatus: inactive")
tm.ok(soon(lambda: everywhere(mine) == [403] * 4), "an account that is closed is closed on both hosts soon")
rest(events)
tm.ok(True, "and so are its streams")
wire.modify(sb, 6, "replace: inetUserStatus\ninetUserStatus: active")
tm.ok(soon(lambda: everywhere(mine) == [200] * 4), "its sessions are there when it is opened again")

# ---- nobody else
direct = connect(sb.port("JMAP"))
for method, path in (("POST", "/sessions/begin?until=9999999999"), ("POST", "/sessions/end?which=others"), ("GET", "/sessions")):
    direct.request(method, path, headers={"Authorization": "Basic " + base64.b64encode(f"{sb.user(1)}:{sb.password}".encode()).decode(),
                                          "Tiermail-Web-Session": "0123456789abc"})
    tm.is_(Answer(direct.getresponse()).status, 404, f"a client of the store has no {method} {path}")
tm.is_(ask(A, "GET", "/.well-known/jmap", cookie=one, **{"Tiermail-Web-Session": "0123456789abc"}).status, 200, "and a browser cannot say which session it is")

# ---- what is away ends nothing
tm.is_(everywhere(one), [200] * 4, "he is there")
sb.kill("slapd")
tm.is_(everywhere(one), [200] * 4, "without the directory sessions go on, by what is remembered")
tm.ok(sb.restart("slapd"), "it is back")
tm.ok(tm.wait_for(lambda: login(7) != 503), "and people log in")
gone = login(1)
sb.kill("jmapd")
for port in (A, B):
    a = ask(port, "GET", "/session", cookie=one)
    tm.is_((a.status, a.gone), (503, False), "without the store nobody is asked to log in again")
a = ask(A, "POST", "/login", {"user": sb.user(1), "password": sb.password})
tm.is_((a.status, a.json()["code"], a.fields["Set-Cookie"]), (503, "store", None), "nobody logs in either, and hears why")
a = ask(A, "POST", "/logout", {}, gone)
tm.is_((a.status, a.json()["code"], a.gone), (503, "partly", True), "who logs out is out of that browser, and hears that it is all")
tm.ok(sb.restart("jmapd"), "it is back")
tm.ok(tm.wait_for(lambda: everywhere(one) == [200] * 4), "and everybody is where he was")
tm.ok(wire.logged(sb, "memd", "ev=session_over", "why=ended") and wire.logged(sb, "memd", "ev=session_over", "why=password"), "the log says what has ended, and why")
second.terminate()
tm.is_(second.wait(tm.LONG), 0, "the second host stops")
tm.done()
