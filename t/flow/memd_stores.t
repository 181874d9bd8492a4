#!/usr/bin/env python3
"""Two memds in front of two stores: everybody reaches his own mailbox through either, a session of one is good at
the other, a user who moves is followed, and when one memd or one store goes the others notice nothing."""
import base64, http.client, json, os, sys, threading

sys.path[:0] = [os.path.dirname(os.path.abspath(__file__))]
import tm, wire

tm.need("ldapmodify")
# A directory that is remembered for long: who has moved is found by what the store says.
sb = tm.Sandbox("--users", "6", "--without", "pop3d", "--without", "sieved", "--without", "mmpd", "--set", "tiermail.ldap.cache_age=1h",
                "--set", "memd.store.failures=1", "--set", "memd.store.retry=200ms")
wire.modify(sb, 2, f"replace: mailHost\nmailHost: store2.{sb.domain}")
two = tm.Sandbox("--join", sb.dir, "--role", "store", "--without", "pop3d", "--without", "sieved")
front = tm.Sandbox("--join", sb.dir, "--role", "proxy", "--without", "mmpd")
tm.is_(two.env["MAILHOST"], f"store2.{sb.domain}", "the second store")
CORE, MAIL = "urn:ietf:params:jmap:core", "urn:ietf:params:jmap:mail"


class Web:
    """A browser's session: a cookie, and whichever memd is asked."""

    def __init__(self, n, at=sb):
        self.n, self.cookie, self.secret, self.kept = n, None, None, {}
        r, a = self.ask(at, "POST", "/login", {"user": sb.user(n), "password": sb.password})
        self.cookie = (r.getheader("Set-Cookie") or "").split(";")[0]
        self.status = r.status

    def basic(self):
        """A client with the password instead."""
        self.secret = "Basic " + base64.b64encode(f"{sb.user(self.n)}:{sb.password}".encode()).decode()
        return self

    def ask(self, at, method, path, body=None):
        where = (at.host, at.port("HTTPS"))
        c = self.kept.setdefault(where, http.client.HTTPSConnection(*where, context=wire.context(sb), timeout=tm.LONG))
        fields = {"Content-Type": "application/json", "Origin": "https://%s:%d" % where, "Sec-Fetch-Site": "same-origin", 
                  **({"Authorization": self.secret} if self.secret else {"Cookie": self.cookie} if self.cookie else {})}
        try:
            c.request(method, path, body=None if body is None else json.dumps(body), headers=fields)
            r = c.getresponse()
            return r, json.loads(r.read() or b"null")
        except (OSError, http.client.HTTPException):
            self.kept.pop(where).close()
            raise

    def subjects(self, at):
        """Of all mail, by one request; or the status."""
        account = "u" + base64.urlsafe_b64encode(f"{sb.user(self.n)}@{sb.domain}".encode()).decode().rstrip("=")
        r, a = self.ask(at, "POST", "/jmap/api", {"using": [CORE, MAIL], "methodCalls": [
            ["Email/query", {"accountId": account}, "q"],
            ["Email/get", {"accountId": account, "#ids": {"resultOf": "q", "name": "Email/query", "path": "/ids"}, "properties": ["subject"]}, "g"]]})
        return [e["subject"] for e in a["methodResponses"][1][1]["list"]] if r.status == 200 else (r.status, a.get("code"))


for n in (1, 2):
    sb.send(to=n, subject=f"for {n}")
tm.ok(tm.wait_for(lambda: sb.queue_empty()), "mail is delivered")

# ---- everybody, everywhere
people = {n: Web(n, (sb, front)[n % 2]) for n in (1, 2)}
for n, w in people.items():
    tm.is_(w.status, 200, f"user {n} logs in")
    for at, name in ((sb, "one memd"), (front, "the other")):
        tm.is_(w.subjects(at), [f"for {n}"], f"and reads his own mail through {name}")
        r, a = w.ask(at, "GET", "/.well-known/jmap")
        tm.ok(a["username"] == f"{sb.user(n)}@{sb.domain}" and a["apiUrl"] == f"https://{at.host}:{at.port('HTTPS')}/jmap/api", "where addresses are that memd's")
tm.ok(wire.logged(two, "jmapd", "ev=login ", f"user={sb.user(2)}", "mech=EXTERNAL", "peer=127.0.0.1"), "at the store of his own, in whose log the client is")

# ---- a store that is away is nobody else's trouble, and logs nobody out
two.kill("jmapd")
tm.is_(tm.wait_for(lambda: people[2].subjects(sb) == (503, "store") and people[2].subjects(sb)), (503, "store"), "the store is away: so it is said")
tm.is_(people[1].subjects(sb), ["for 1"], "the other one's users notice nothing")
r, a = people[2].ask(sb, "GET", "/session")
tm.is_((r.status, a["code"], r.getheader("Set-Cookie")), (503, "store", None), "and nobody is asked to log in again")
two.restart("jmapd")
tm.is_(tm.wait_for(lambda: people[2].subjects(sb) == ["for 2"] and people[2].subjects(sb)), ["for 2"], "and go on when it is back")

# ---- a memd goes in the middle of work
failed, done, stop = [], [0], threading.Event()


def work():
    """What a client behind a balancer does: the other one, when one does not answer."""
    w, at = Web(1), [sb, front]
    while not stop.is_set():
        try:
            got = w.subjects(at[0])
            done[0] += 1
            if got != ["for 1"]:
                failed.append(got)
        except (OSError, http.client.HTTPException):
            at.reverse()


worker = threading.Thread(target=work)
worker.start()
for victim in (sb, front):
    before = done[0]
    tm.wait_for(lambda: done[0] > before + 5)
    victim.kill("memd")
    before = done[0]
    tm.ok(tm.wait_for(lambda: done[0] > before + 5), "one memd is killed, and work goes on")
    victim.restart("memd")
stop.set()
worker.join()
tm.is_(failed, [], "nothing was answered wrongly, and nobody logged out")

# ---- a user moves
sb.send(to=3, subject="for 3")
tm.ok(tm.wait_for(lambda: sb.queue_empty()), "mail at the first store")
w, other = Web(3), Web(3).basic()
tm.is_(w.subjects(sb), ["for 3"], "a user of the first store")
wire.modify(sb, 3, f"replace: mailHost\nmailHost: store2.{sb.domain}")
for daemon in ("jmapd",):       # the stores know; memd remembers what was
    sb.tool("tmctl", "-d", daemon, "forget", f"{sb.user(3)}@{sb.domain}")
tm.is_(other.subjects(sb), [], "who has moved is followed to the other one")
tm.is_(w.subjects(sb), (401, "over"), "where there is no record of a session, for nothing of the account was brought there")
tm.ok(wire.logged(sb, "memd", "ev=referral", f"to=store2.{sb.domain}"), "because the store said so")
tm.done()
