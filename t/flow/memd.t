#!/usr/bin/env python3
"""The web's front: the client's files, logging in and out, whose request is believed, and JMAP to the user's
store and back, with a store that says what this test tells it."""
import base64, gzip, hashlib, http.client, json, os, re, socket, ssl, sys, threading, time

sys.path[:0] = [os.path.dirname(os.path.abspath(__file__))]
import tm, webstore, wire

tm.need("ldapmodify")
www = tm.tempdir()
FILES = {
    "index.html": b"<!DOCTYPE html><title>mail</title>", "sandbox.html": b"<!DOCTYPE html>", "pictures.html": b"<!DOCTYPE html>",
    "a-0123456789ab/app.js": b"export const x = 1;\n" * 200, "style/app.css": b"a{}", ".hidden": b"no", "big.bin": os.urandom(300000),
}
for name, text in FILES.items():
    os.makedirs(os.path.dirname(f"{www}/{name}"), exist_ok=True)
    open(f"{www}/{name}", "wb").write(text)
open(f"{www}/a-0123456789ab/app.js.gz", "wb").write(gzip.compress(FILES["a-0123456789ab/app.js"]))
os.symlink("/etc/passwd", f"{www}/passwd.html")
port = tm.free_port()
sb = tm.Sandbox("--users", "6", "--without", "smtp-relay", "--without", "jobctl", "--without", "imapd", "--without", "pop3d",
                "--without", "lmtpd", "--without", "mmpd", "--without", "stored", "--without", "jmapd", "--without", "sieved",
                "--set", f"memd.www={www}", "--set", f"memd.host mail.example.test.port={port}",
                "--set", "memd.host store9.example.test.address=127.0.0.1", "--set", f"memd.host store9.example.test.port={port}",
                "--set", "memd.host store9.example.test.certificate_name=mail.example.test",
                "--set", "memd.auth.delay=200ms", "--set", "memd.hsts=365d", "--set", "memd.store.answer_timeout=2s",
                "--set", "memd.store.retry=200ms", "--set", "memd.limit.upload=20M", "--set", "memd.limit.per_user=4",
                "--set", "memd.cors.origins=https://other.example",
                "--set", "tiermail.ldap.cache_age=0", "--set", "tiermail.ldap.auth_age=0")
store = webstore.Store(sb, port)
HOST, PORT, PW = sb.host, sb.port("HTTPS"), sb.password
ORIGIN = f"https://{HOST}:{PORT}"
OWN = {"Origin": ORIGIN, "Sec-Fetch-Site": "same-origin", "Content-Type": "application/json"}
ACCOUNT = f"{sb.user(1)}@{sb.domain}"


def connect(timeout=tm.LONG):
    return http.client.HTTPSConnection(HOST, PORT, context=wire.context(sb), timeout=timeout)


class Answer:
    def __init__(self, r, method):
        self.status, self.fields, self.r = r.status, r.headers, r
        self.body = r.read()

    def json(self):
        return json.loads(self.body)


def ask(method, path, body=None, fields=(), c=None):
    c = c or connect()
    c.request(method, path, body=body, headers=dict(fields))
    return Answer(c.getresponse(), method)


def get(path, fields=(), c=None):
    return ask("GET", path, None, fields, c)


def login(n=1, password=None, fields=OWN, user=None):
    return ask("POST", "/login", json.dumps({"user": user or sb.user(n), "password": password or PW}), fields)


def cookie_of(a):
    return (a.fields["Set-Cookie"] or "").split(";")[0]


# ---- files
a = get("/")
tm.is_((a.status, a.body), (200, FILES["index.html"]), "/ is the client's page")
tm.ok("require-trusted-types-for 'script'" in a.fields["Content-Security-Policy"] and "default-src 'none'" in a.fields["Content-Security-Policy"]
      and a.fields["X-Content-Type-Options"] == "nosniff" and a.fields["Strict-Transport-Security"] == "max-age=31536000"
      and a.fields["Cross-Origin-Opener-Policy"] == "same-origin" and a.fields["Referrer-Policy"] == "no-referrer"
      and a.fields["X-Frame-Options"] == "DENY", "with the fields that keep a browser from harm")
tm.is_(get("/", {"If-None-Match": a.fields["ETag"]}).status, 304, "a page that is known is 304")
tm.is_(a.fields["Cache-Control"], "no-cache", "and is asked for each time")
for path in ("/mail/inbox/42", "/compose", "/settings/"):
    tm.is_(get(path, {"Sec-Fetch-Mode": "navigate"}).body, FILES["index.html"], f"{path} is the page too")
for path, fields in (("/gone.js", {}), ("/mail/inbox", {"Sec-Fetch-Mode": "cors"}), ("/.hidden", {}), ("/passwd.html", {}),
                     ("/../../etc/passwd.txt", {}), ("/%2e%2e/etc/passwd.txt", {}), ("/style", {"Accept": "text/css"})):
    tm.is_(get(path, fields).status, 404, f"{path} is nothing")
a = get("/a-0123456789ab/app.js", {"Accept-Encoding": "br;q=0.5, gzip"})
tm.is_((a.fields["Content-Encoding"], gzip.decompress(a.body)), ("gzip", FILES["a-0123456789ab/app.js"]), "compressed as it lies there")
tm.ok("immutable" in a.fields["Cache-Control"] and a.fields["Vary"] == "Accept-Encoding" and a.fields["Content-Type"].startswith("text/javascript"),
      "a name with a hash never changes")
a = get("/a-0123456789ab/app.js", {"Accept-Encoding": "gzip;q=0.0"})
tm.is_((a.fields["Content-Encoding"], a.body), (None, FILES["a-0123456789ab/app.js"]), "who does not want gzip gets none")
tm.is_(hashlib.sha256(get("/big.bin").body).digest(), hashlib.sha256(FILES["big.bin"]).digest(), "a large one, whole")
for page, what in (("/sandbox.html", "img-src data: blob:;"), ("/pictures.html", "img-src data: blob: https: http:;")):
    a = get(page)
    policy = a.fields["Content-Security-Policy"]
    tm.ok(what in policy and "sandbox allow-same-origin" in policy and "script-src" not in policy and "allow-scripts" not in policy
          and "frame-ancestors 'self'" in policy and a.fields["X-Frame-Options"] == "SAMEORIGIN", f"{page} has a policy of its own")
tm.is_(ask("POST", "/", "x", OWN).status, 405, "pages are read alone")
open(f"{www}/index.html", "wb").write(b"<!DOCTYPE html><title>two</title>")
tm.is_(get("/").body, FILES["index.html"], "a file that is replaced is served as it was")
sb.tool("tmctl", "-d", "memd", "reload")
tm.ok(tm.wait_for(lambda: b"two" in get("/").body), "until a reload")

# ---- logging in
a = login(password="wrong")
tm.is_((a.status, a.json()["code"], a.fields["WWW-Authenticate"]), (401, "wrong", None), "a wrong password: 401, and no question of the browser's own")
for fields, status, what in (({**OWN, "Content-Type": "text/plain"}, 415, "a form's type"), ({**OWN, "Origin": "https://evil.example"}, 403, "another Origin"),
                             ({**OWN, "Sec-Fetch-Site": "cross-site"}, 403, "another site"), ({**OWN, "Sec-Fetch-Site": "same-site"}, 403, "a neighbour"),
                             ({"Content-Type": "application/json"}, 403, "nobody's page")):
    tm.is_(login(fields=fields).status, status, f"a login from {what} is refused")
for body in ("", "{", "[]", '{"user":"a"}', '{"user":1,"password":"x"}', '{"user":"a","user":"b","password":"x"}'):
    tm.is_(ask("POST", "/login", body, OWN).status, 400, f"no login: {body!r}")
tm.is_(ask("POST", "/login", json.dumps({"user": "a", "password": "x" * 5000}), OWN).status, 413, "nor is one without end")
a = login()
tm.is_((a.status, a.json()["user"]), (200, ACCOUNT), "the right one lets in")
tm.ok(re.fullmatch(r"__Host-tiermail=[A-Za-z0-9_-]+; Path=/; Max-Age=28(800|7..); Secure; HttpOnly; SameSite=Strict", a.fields["Set-Cookie"]), "with a sealed cookie")
COOKIE = cookie_of(a)
ME = {"Cookie": COOKIE, **OWN}
tm.is_(get("/session", ME).json()["user"], ACCOUNT, "which says who is there")
token = COOKIE.split("=")[1]
for n, bad in enumerate(("", "x", token[:-2], token[:20] + ("A" if token[20] != "A" else "B") + token[21:], "A" * 5000)):
    a = get("/session", {**ME, "Cookie": "__Host-tiermail=" + bad})
    tm.ok(a.status == 401 and not a.fields["WWW-Authenticate"] or (len(bad) > 4096 and a.status == 401), f"a cookie that is none, {n}")
tm.ok(PW.encode() not in open(f"{sb.env['RUNDIR']}/memd.log", "rb").read(), "the log has no password")
wire.modify(sb, 3, "replace: mailAllowedServiceAccess\nmailAllowedServiceAccess: -http:*")
tm.is_(login(3).status, 403, "mailAllowedServiceAccess says who may use http")
wire.modify(sb, 2, "replace: inetUserStatus\ninetUserStatus: inactive")
tm.is_(login(2).status, 403, "an inactive user may not")


# ---- the password
def change(old, new, me, fields=None):
    a = ask("POST", "/password", json.dumps({"old": old, "new": new}), {**me, **(fields or {})})
    return a.status, a.json().get("code")


FOUR = {"Cookie": cookie_of(login(4)), **OWN}
tm.is_(change("wrong", "new one", FOUR), (403, "wrong"), "who does not know the old password changes none")
tm.is_((change(PW, "", FOUR), change(PW, "x" * 300, FOUR)), ((422, "weak"),) * 2, "nor to nothing, or to too much")
tm.is_((change(PW, "n", OWN)[0], change(PW, "n", FOUR, {"Origin": "https://evil.example"})[0], change(PW, "n", FOUR, {"Content-Type": "text/plain"})[0]), (401, 403, 415),
       "nor nobody, nor another site")
tm.is_(login(4).status, 200, "it is the old one")
tm.is_(change(PW, "n\u00e4w one", FOUR), (200, None), "a person changes the password")
tm.is_((login(4, "n\u00e4w one").status, login(4).status), (200, 401), "the new one lets in, the old one does not")
tm.ok(wire.logged(sb, "memd", "ev=password_changed", sb.user(4)) and not wire.log(sb, "memd", "w one"), "the log says so, without it")

# ---- JMAP: whose request is believed
store.say["/jmap/api"] = lambda c, r: c.send(webstore.ok(json.dumps({"got": c.body().decode(), "account": r.fields["Tiermail-Account"]}).encode()))
a = ask("POST", "/jmap/api", '{"using":[]}', ME)
tm.is_((a.status, a.json()), (200, {"got": '{"using":[]}', "account": ACCOUNT}), "a request reaches the store in the user's name")
r = store.heard[-1]
tm.is_((r.fields["Host"], r.fields["Tiermail-Client"], r.fields["Cookie"], r.fields["Authorization"], r.fields["Origin"]),
       (f"{HOST}:{PORT}", "127.0.0.1", None, None, None), "with the name that the client has used, and no secret of his")
tm.ok("sandbox" in a.fields["Content-Security-Policy"] and a.fields["Cache-Control"] == "no-store" and a.fields["X-Content-Type-Options"] == "nosniff",
      "the answer has its fields for browsers")
for fields, status, what in (({"Cookie": COOKIE, "Content-Type": "application/json"}, 403, "nobody's page"), ({**ME, "Origin": "https://evil.example"}, 403, "another site"),
                             ({**ME, "Content-Type": "text/plain"}, 415, "a form"), (OWN, 401, "nobody")):
    before = len(store.heard)
    tm.ok(ask("POST", "/jmap/api", "{}", fields).status == status and len(store.heard) == before, f"{what} does not: {status}")
tm.is_(get("/jmap/download/u/x/y", {"Cookie": COOKIE, "Sec-Fetch-Site": "cross-site"}).status, 403, "nor a picture of ours in another's page")
store.say["/jmap/download/u/p/n"] = webstore.ok(b"alert(1)", "", "text/javascript")
for dest, status in (("script", 403), ("worker", 403), ("serviceworker", 403), ("style", 403), ("object", 403), ("image", 200), ("empty", 200), ("document", 200)):
    tm.is_(get("/jmap/download/u/p/n", {"Cookie": COOKIE, "Sec-Fetch-Site": "same-origin", "Sec-Fetch-Dest": dest}).status, status, f"an attachment as {dest}: {status}")
basic = {"Authorization": "Basic " + base64.b64encode(f"{sb.user(1)}:{PW}".encode()).decode(), "Content-Type": "application/json"}
tm.is_(ask("POST", "/jmap/api", "{}", basic).json()["account"], ACCOUNT, "Basic, for other clients")
a = get("/.well-known/jmap")
tm.ok(a.status == 401 and a.fields["WWW-Authenticate"].startswith("Basic "), "which are asked for it")
tm.is_(get("/.well-known/jmap", {"Sec-Fetch-Site": "same-origin"}).fields["WWW-Authenticate"], None, "pages never")
bad = {**basic, "Authorization": "Basic " + base64.b64encode(f"{sb.user(1)}:no".encode()).decode()}
tm.is_([ask("POST", "/jmap/api", "{}", f).status for f in (bad, {**basic, "Authorization": "Basic !"}, {**basic, "Authorization": "Bearer x"})], [401, 400, 401],
       "wrong, malformed and unknown credentials")
a = ask("OPTIONS", "/jmap/api", None, {"Origin": "https://other.example", "Access-Control-Request-Method": "POST"})
tm.is_((a.status, a.fields["Access-Control-Allow-Origin"]), (204, "https://other.example"), "a client at another site of the list may ask")
tm.is_(ask("POST", "/jmap/api", "{}", {**basic, "Origin": "https://other.example"}).fields["Access-Control-Allow-Origin"], "https://other.example", "with credentials of its own")
tm.is_(ask("POST", "/jmap/api", "{}", {**ME, "Origin": "https://other.example"}).status, 403, "and not by our cookie")
wire.modify(sb, 1, "replace: inetUserStatus\ninetUserStatus: inactive")
tm.is_(get("/session", ME).status, 403, "a session ends with the account")
wire.modify(sb, 1, "replace: inetUserStatus\ninetUserStatus: active")

# ---- bodies, both ways
big = os.urandom(1 << 20) * 8
store.say["/jmap/upload/u/"] = lambda c, r: c.send(webstore.ok(hashlib.sha256(c.body()).hexdigest().encode()))
tm.is_(ask("POST", "/jmap/upload/u/", big, {**ME, "Content-Type": "image/png"}).body.decode(), hashlib.sha256(big).hexdigest(), "8 MiB go up")
pieces = (big[i:i + 70001] for i in range(0, len(big), 70001))
c = connect()
c.request("POST", "/jmap/upload/u/", body=pieces, headers={**ME, "Content-Type": "image/png"}, encode_chunked=True)
tm.is_(c.getresponse().read().decode(), hashlib.sha256(big).hexdigest(), "in chunks too")
c = connect()
c.putrequest("POST", "/jmap/upload/u/")
for f in [*ME.items(), ("Content-Length", str(21 << 20))]:
    c.putheader(*f)
c.endheaders()
tm.is_(c.getresponse().status, 413, "more than limit.upload does not, and is not waited for")
tm.is_(ask("POST", "/jmap/upload/u/", b"x" * (21 << 20), ME).status, 413, "a client that sends it all the same hears so")
store.say["/jmap/upload/v/"] = lambda c, r: c.send(b"HTTP/1.1 413 Too Large\r\nContent-Length: 4\r\n\r\nlong") or c.body() and None
a = ask("POST", "/jmap/upload/v/", b"x" * (19 << 20), ME)
tm.is_((a.status, a.body), (413, b"long"), "likewise of a store that wants no more of it")
store.say["/jmap/download/u/b/n"] = webstore.ok(big, 'Content-Disposition: attachment; filename="n"\r\nETag: "b"\r\nX-Inside: 1\r\nSet-Cookie: a=b\r\n', "image/png")
a = get("/jmap/download/u/b/n", ME)
tm.ok(a.body == big and a.fields["Content-Disposition"] == 'attachment; filename="n"' and a.fields["ETag"] == '"b"', "8 MiB come down")
tm.is_((a.fields["X-Inside"], a.fields["Set-Cookie"]), (None, None), "and what is the store's own stays there")
store.say["/jmap/download/u/c/n"] = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in (big[:5], big[5:99999])) + b"0\r\n\r\n"
tm.is_(get("/jmap/download/u/c/n", ME).body, big[:99999], "in chunks")
store.say["/jmap/download/u/d/n"] = lambda c, r: c.send(b"HTTP/1.1 200 OK\r\n\r\n" + big[:99999]) or "close"
tm.is_(get("/jmap/download/u/d/n", ME).body, big[:99999], "to the end of the connection")
store.say["/jmap/download/u/e/n"] = b"HTTP/1.1 304 Not Modified\r\nETag: \"b\"\r\nContent-Length: 99\r\n\r\n"
tm.is_(get("/jmap/download/u/e/n", {**ME, "If-None-Match": '"b"'}).status, 304, "and not at all")
tm.is_(store.heard[-1].fields["If-None-Match"], '"b"', "as the client has asked")
sent = [0]


def endless(c, r):
    c.send(b"HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\n\r\n")
    while True:
        c.send(big[:65536])
        sent[0] += 65536


store.say["/jmap/download/u/f/n"] = endless
s = wire.context(sb).wrap_socket(socket.create_connection((HOST, PORT), timeout=tm.LONG))
s.sendall(f"GET /jmap/download/u/f/n HTTP/1.1\r\nHost: {HOST}:{PORT}\r\nCookie: {COOKIE}\r\n\r\n".encode())
s.recv(1000)
held = tm.wait_for(lambda: (a := sent[0]) and (time.sleep(0.3) or a == sent[0]) and a)
tm.ok(held < 40 << 20, f"a client that does not read holds the store back ({held >> 20} MiB in sockets)")
s.close()

a = ask("POST", "/jmap/api", json.dumps({"x": "y" * 5000}), {**ME, "Accept-Encoding": "gzip"})
tm.ok(a.fields["Content-Encoding"] == "gzip" and a.fields["Vary"] == "Accept-Encoding" and len(a.body) < 500 and "y" * 5000 in gzip.decompress(a.body).decode(),
      "a text is compressed for who takes it so")
tm.is_([ask("POST", "/jmap/api", b, {**ME, "Accept-Encoding": f}).fields["Content-Encoding"] for b, f in (("{}", "gzip"), ("y" * 5000, "br"))], [None, None], "not a short one, nor for others")
tm.is_(get("/jmap/download/u/b/n", {**ME, "Accept-Encoding": "gzip"}).body == big, True, "nor what is no text")

# ---- events
go = threading.Event()


def events(c, r):
    c.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
    for n in range(2):
        c.send(b"8\r\ndata: %d\n\r\n" % n)
        go.wait(tm.LONG)
    time.sleep(2.5)     # longer than store.answer_timeout
    c.send(b"8\r\ndata: 9\n\r\n0\r\n\r\n")


store.say["/jmap/events"] = events
c = connect()
c.request("GET", "/jmap/events?types=*", headers=ME)
r = c.getresponse()
tm.is_(r.read(8), b"data: 0\n", "an event comes when it is said, not when there are more")
tm.ok("state=events" in (who := sb.tool("tmctl", "-d", "memd", "who").stdout) and ACCOUNT in who, "and `who` shows the stream")
go.set()
tm.is_(r.read(), b"data: 1\ndata: 9\n", "a stream may be silent for long, and ends with the store's")

# ---- connections to the store
n = store.connections
for _ in range(5):
    tm.is_(ask("POST", "/jmap/api", "{}", ME).status, 200, "one after the other")
tm.is_(store.connections - n <= 1, True, "by one connection that is kept")
kept = connect()
tm.is_([ask("POST", "/jmap/api", "{}", ME, kept).status for _ in range(3)], [200] * 3, "on a client's one connection")
for sock in store.open:     # all that rest, as a store does that is restarted
    try:
        sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
tm.is_(get("/jmap/api", ME).status, 200, "a kept one that has died is not noticed")
store.say["/jmap/download/u/h/n"] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwrong"
tm.is_([get("/jmap/download/u/h/n", ME).body, ask("POST", "/jmap/api", "{}", ME).json()["account"]], [b"ok", ACCOUNT],
       "what a store says too much is nobody's answer")

# ---- moved
moved = lambda c, r: c.send(b"HTTP/1.1 421 Misdirected Request\r\nTiermail-Mailhost: store9.example.test\r\nContent-Length: 0\r\n\r\n") if len(hosts) == 0 and not hosts.append(c.body()) \
    else c.send(webstore.ok(json.dumps({"again": c.body().decode()}).encode()))
hosts = []
store.say["/jmap/api"] = moved
tm.is_(ask("POST", "/jmap/api", '{"x":1}', ME).json(), {"again": '{"x":1}'}, "a user who has moved is followed, with the request")
tm.ok(wire.logged(sb, "memd", "ev=referral", "to=store9.example.test"), "which the log says")

# ---- what goes wrong at the store
store.say["/jmap/download/u/i/n"] = lambda c, r: c.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf") or "close"
try:
    get("/jmap/download/u/i/n", ME)
    tm.ok(False, "a body that is cut off is no whole one")
except http.client.IncompleteRead as e:
    tm.is_(e.partial, b"half", "a body that is cut off is no whole one")
for n, bad in enumerate((b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx", b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                         b"HTTP/1.1 200 OK\nContent-Length: 0\n\n", b"HTTP/1.1 101 Switching Protocols\r\n\r\n", b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 0\r\n\r\n", b"")):
    store.say["/jmap/download/u/j/n"] = lambda c, r, bad=bad: c.send(bad) or "close"
    tm.is_(get("/jmap/download/u/j/n", ME).status, 503, f"an answer that is none, {n}, is 503")
    tm.is_(get("/.well-known/jmap", ME).status, 200, "and the store is asked again")
store.say["/jmap/download/u/k/n"] = b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n"
a = get("/jmap/download/u/k/n", ME)
tm.is_((a.status, a.fields["WWW-Authenticate"]), (503, None), "a store that does not know us logs nobody out")
store.say["/jmap/download/u/l/n"] = lambda c, r: time.sleep(4)
tm.is_(get("/jmap/download/u/l/n", ME).status, 503, "nor does one that says nothing")
store.stop()
a = ask("POST", "/jmap/api", "{}", ME)
tm.is_((a.status, a.fields["Retry-After"], a.json()["code"]), (503, "5", "store"), "nor one that is away")
for _ in range(3):
    get("/.well-known/jmap", ME)
tm.ok(wire.logged(sb, "memd", "ev=store_down", "protocol=jmap"), "which is noticed")
a = get("/session", ME)
tm.is_((a.status, a.json()["code"], a.fields["Set-Cookie"]), (503, "store", None), "and nobody is asked to log in again")
store.listen(port)
tm.ok(tm.wait_for(lambda: get("/.well-known/jmap", ME).status == 200), "and goes on when the store is back")

# ---- limits, keys, the end
hold = threading.Event()
store.say["/jmap/download/u/m/n"] = lambda c, r: hold.wait(tm.LONG) and c.send(webstore.ok())
waiting = [connect() for _ in range(4)]
for w in waiting:
    w.request("GET", "/jmap/download/u/m/n", headers=ME)
tm.ok(tm.wait_for(lambda: sum(r.path == "/jmap/download/u/m/n" for r in store.heard) == 4), "four requests of a user at once")
tm.is_(get("/session", ME).status, 429, "and no fifth")
hold.set()
tm.is_([w.getresponse().read() for w in waiting], [b"{}"] * 4, "they end")
keys = sb.dir + "/web.keys"
old = open(keys).read()
open(keys, "w").write("b" * 64 + "\n" + old)
sb.tool("tmctl", "-d", "memd", "reload")
tm.ok(tm.wait_for(lambda: "keys=2" in sb.tool("tmctl", "-d", "memd", "status").stdout), "a new key in front")
a = get("/session", ME)
tm.ok(a.status == 200 and cookie_of(a) not in ("", COOKIE), "an old session is good, and is sealed anew")
open(keys, "w").write("b" * 64 + "\n")
sb.tool("tmctl", "-d", "memd", "reload")
tm.ok(tm.wait_for(lambda: "keys=1" in sb.tool("tmctl", "-d", "memd", "status").stdout), "the old key goes")
tm.is_([get("/session", ME).status, get("/session", {**ME, "Cookie": cookie_of(a)}).status], [401, 200], "and with it what it has sealed")
open(keys, "w").write("not a key\n")
tm.ok("64 hexadecimal digits" in sb.tool("tmctl", "-d", "memd", "reload").stderr + sb.tool("memd", "-n", "-c", sb.dir + "/etc/memd.conf").stderr, "a file that is none is named")
tm.is_(get("/session", {**ME, "Cookie": cookie_of(a)}).status, 200, "and the keys stay")
a = ask("POST", "/logout", "{}", ME)
tm.ok(a.status == 200 and "Max-Age=0" in a.fields["Set-Cookie"], "logging out takes the cookie away")
tm.done()
