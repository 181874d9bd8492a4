#!/usr/bin/env python3
"""Connections to stores that are lent from one person to the next: whose answer goes to whom, at which store, and
who is kept waiting by whom."""
import base64, http.client, json, os, random, re, socket, subprocess, sys, threading, time

sys.path[:0] = [os.path.dirname(os.path.abspath(__file__))]
import tm, webstore, wire

tm.need("ldapmodify", "ldapadd", "ldapsearch")
port, port2 = tm.free_port(), tm.free_port()
sb = tm.Sandbox("--users", "8", *(w for d in ("smtp-relay", "jobctl", "imapd", "pop3d", "jmapd", "sieved", "lmtpd", "mmpd", "stored") for w in ("--without", d)),
                "--set", f"memd.host mail.example.test.port={port}", "--set", "memd.host store9.example.test.address=127.0.0.1",
                "--set", f"memd.host store9.example.test.port={port2}", "--set", "memd.host store9.example.test.certificate_name=mail.example.test",
                "--set", "memd.store.answer_timeout=1s", "--set", "memd.store.attempts=4", "--set", "memd.store.retry=200ms", "--set", "memd.store.failures=2", "--set", "memd.limit.per_user=40",
                "--set", "memd.store.kept=4")
one, two = webstore.Store(sb, port), webstore.Store(sb, port2)
HOST, PORT = sb.host, sb.port("HTTPS")


def basic(n):
    name = sb.user(n) if isinstance(n, int) else n
    return {"Authorization": "Basic " + base64.b64encode(f"{name}:{sb.password}".encode()).decode(), "Content-Type": "application/json"}


def connect():
    return http.client.HTTPSConnection(HOST, PORT, context=wire.context(sb), timeout=tm.LONG)


def ask(n, path, method="GET", body=None, c=None, fields=()):
    c = c or connect()
    c.request(method, path, body=body, headers={**(n if isinstance(n, dict) else basic(n)), **dict(fields)})
    r = c.getresponse()
    r.body = r.read()
    return r


def echo(store):
    return lambda c, r: c.body() and None or c.send(webstore.ok(json.dumps([store, r.fields["Tiermail-Account"]]).encode()))


one.say["/jmap/echo"], two.say["/jmap/echo"] = echo(1), echo(2)


def whose(n, **more):
    r = ask(n, "/jmap/echo", **more)
    return json.loads(r.body) if r.status == 200 else r.status


account = lambda n: f"{sb.user(n)}@{sb.domain}"

# ---- two stores whose certificates have one name
wire.modify(sb, 2, "replace: mailHost\nmailHost: store9.example.test")
tm.is_([whose(n) for n in (1, 2, 1, 2)], [[1, account(1)], [2, account(2)]] * 2, "each at the store of his own, though both show one name")

# ---- many people, who go in the middle of it
body = os.urandom(30000).hex()


def long(c, r):
    c.body()
    who = r.fields["Tiermail-Account"]
    c.send(webstore.ok(json.dumps([who, body, who]).encode()))


one.say["/jmap/long"] = long
wrong, whole, cut, until = [], [0], [0], time.monotonic() + 3


def restless(n):
    rnd = random.Random(n)
    while time.monotonic() < until:
        c = connect()
        try:
            for _ in range(rnd.randrange(1, 4)):
                c.request(*rnd.choice((("GET", "/jmap/long"), ("POST", "/jmap/long", b"{}"), ("HEAD", "/jmap/long"))), headers=basic(n))
                if rnd.random() < .4:       # gone: before the answer, in its head or in its body
                    time.sleep(rnd.random() * .004)
                    rnd.random() < .7 and c.sock.recv(rnd.choice((1, 300, 40000)))
                    cut[0] += 1
                    break
                r = c.getresponse()
                got = r.read()
                if r.status == 200 and got and json.loads(got) != [account(n), body, account(n)]:
                    wrong.append((n, got[:100]))
                elif r.status not in (200, 503):
                    wrong.append((n, r.status))
                whole[0] += r.status == 200
        except (OSError, http.client.HTTPException):
            pass
        c.close()


threads = [threading.Thread(target=restless, args=(n,)) for n in (1, 3, 4, 5, 6)]
for t in threads:
    t.start()
for t in threads:
    t.join()
tm.is_((wrong, whole[0] > 20, cut[0] > 20), ([], True, True), "who goes in the middle leaves his answer to nobody else") or tm.diag(f"{whole} {cut}")

# ---- a name with a blank in it
ldap = ("-x", "-H", sb.env["LDAP_URL"], "-D", sb.env["LDAP_ADMIN_DN"], "-w", sb.env["LDAP_ADMIN_PASSWORD"])
people = f"ou=people,o={sb.domain},{sb.env['LDAP_BASE']}"
text = subprocess.run(["ldapsearch", *ldap, "-LLL", "-o", "ldif-wrap=no", "-b", f"uid={sb.user(3)},{people}", "-s", "base"], capture_output=True, text=True).stdout
text = re.sub(r"(?m)^mail(AlternateAddress)?: .*\n", "", text.rstrip("\n"))
text = re.sub(rf"\b{sb.user(3)}\b", f"{sb.user(3)} too", text) + f"\nmail: too@{sb.domain}\n"
r = subprocess.run(["ldapadd", *ldap], input=text, capture_output=True, text=True)
tm.ok(r.returncode == 0, "a uid may have a blank in it") or tm.diag(r.stderr)
OWN = {"Origin": f"https://{HOST}:{PORT}", "Sec-Fetch-Site": "same-origin", "Content-Type": "application/json"}
r = ask(OWN, "/login", "POST", json.dumps({"user": f"{sb.user(3)} too", "password": sb.password}))
too = {"Cookie": (r.headers["Set-Cookie"] or "").split(";")[0], **OWN}
tm.is_((r.status, r.headers["Set-Cookie"], whose(f"{sb.user(3)} too")), (503, None, 503), "which makes an entry that nobody uses, and no session of its first word's user")

# ---- who is sent on without end
misled = b"HTTP/1.1 421 Misdirected Request\r\n%sContent-Length: 0\r\n\r\n"
one.say["/jmap/misled"] = misled % b""
tm.is_(ask(1, "/jmap/misled").status, 503, "421 is said to us, not to the client")
one.say["/jmap/misled"] = two.say["/jmap/misled"] = misled % b"Tiermail-Mailhost: store9.example.test\r\n"
before = len(one.heard) + len(two.heard)
tm.is_((ask(1, "/jmap/misled").status, len(one.heard) + len(two.heard) - before), (503, 2), "also where each store names another, which is followed once")


# ---- an answer that is cut off where only its end would have told its length
def reset(c, r):
    c.send(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 5000)
    go.wait(tm.LONG)
    c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    c.file.close()      # closes with it
    return "close"


go, one.say["/jmap/reset"] = threading.Event(), reset
c = connect()
c.request("GET", "/jmap/reset", headers=basic(1))
r = c.getresponse()
try:
    r.read(5000)
    go.set()
    r.read()
    tm.ok(False, "a reset is no end of an answer")
except (http.client.IncompleteRead, OSError):
    tm.ok(True, "a reset is no end of an answer")
tm.is_(whose(1), [1, account(1)], "the next is whole")


# ---- who does not say what he wants to say
def slow(n):
    s = wire.context(sb).wrap_socket(socket.create_connection((HOST, PORT), timeout=tm.LONG))
    s.sendall(f"POST /jmap/upload/u/ HTTP/1.1\r\nHost: h\r\nAuthorization: {basic(n)['Authorization']}\r\nContent-Length: 4000\r\n\r\nx".encode())
    return s


one.say["/jmap/upload/u/"] = lambda c, r: c.send(webstore.ok(b"%d" % len(c.body())))
before = len(one.heard)
slows = [slow(1) for _ in range(5)]
tm.ok(tm.wait_for(lambda: len(one.heard) - before == 5), "more uploads than store.attempts, which stand still")
tm.is_(whose(4), [1, account(4)], "keep nobody from the store")
for s in slows:
    s.sendall(b"x" * 3999)
tm.is_([b"200 OK" in s.recv(5000) for s in slows], [True] * 5, "and end when they go on")

# ---- events
release = threading.Event()
one.say["/jmap/events"] = lambda c, r: release.wait(tm.LONG) and "close"
c = connect()
c.request("GET", "/jmap/events", headers=basic(1))
tm.is_(tm.wait_for(lambda: whose(4) == [1, account(4)]) and c.getresponse().status, 503, "a stream that does not begin is an answer that does not come")
release.set()
tm.is_(tm.wait_for(lambda: (w := whose(5)) == [1, account(5)] and w), [1, account(5)], "and the store is asked whether it is there")
ended = threading.Event()


def events(c, r):
    c.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n8\r\ndata: 0\n\r\n")
    c.file.read(1)
    ended.set()
    return "close"


one.say["/jmap/events"] = events
c = connect()
c.request("GET", "/jmap/events", headers=basic(5))
r = c.getresponse()
tm.is_(r.read(8), b"data: 0\n", "a stream of events")
r.close()
c.close()
tm.ok(ended.wait(tm.LONG), "ends with its client, also when nothing is said any more")

# ---- a reload while a connection is lent
go = threading.Event()
one.say["/jmap/late"] = lambda c, r: go.wait(tm.LONG) and c.send(webstore.ok(b"[]"))
c = connect()
c.request("GET", "/jmap/late", headers=basic(1))
tm.ok(tm.wait_for(lambda: one.heard[-1].path == "/jmap/late"), "a request is at its store")
conf = sb.dir + "/etc/memd.conf"
text = open(conf).read()
open(conf, "w").write(re.sub(rf"(?m)^(port *= *){port}$", rf"\g<1>{port2}", text))
tm.ok(sb.tool("tmctl", "-d", "memd", "reload").returncode == 0, "that is elsewhere now")
tm.ok(tm.wait_for(lambda: "ev=reload" in "".join(wire.log(sb, "memd", "ev=reload"))), "says the configuration")
go.set()
tm.is_(c.getresponse().read(), b"[]", "the request is answered")
tm.is_(whose(1), [2, account(1)], "the next one goes where the store is")
open(conf, "w").write(text)
sb.tool("tmctl", "-d", "memd", "reload")
tm.is_(tm.wait_for(lambda: (w := whose(1)) and w[0] == 1 and w), [1, account(1)], "and back")

# ---- no descriptor
sb.tool("tmctl", "-d", "memd", "reload")        # nothing rests at the store
cs = [connect() for _ in range(3)]
tm.is_([ask(6, "/session", c=c).status for c in cs], [200] * 3, "clients are connected")
tm.ok(tm.wait_for(lambda: "stores_kept=0" in sb.tool("tmctl", "-d", "memd", "status").stdout), "and none of them to the store")
with wire.no_descriptors(sb, "memd"):
    tm.is_([whose(6, c=c) for c in cs], [503] * 3, "without a descriptor no store is reached")
tm.ok(wire.logged(sb, "memd", "ev=store_untried", "open files"), "which the log says")
tm.is_((whose(6), wire.log(sb, "memd", "ev=store_failed", "open files")), ([1, account(6)], []), "and which is not taken for the store's fault")
tm.done()
