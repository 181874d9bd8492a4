#!/usr/bin/env python3
"""HTTP/2 before memd (RFC 9113): many streams on a connection, bodies both ways that wait for each other's reader, and
what a client can do to a server by frames: heads without end, streams taken back, floods, bombs of compression."""
import base64, http.client, json, os, shutil, socket, struct, subprocess, sys, threading, time

sys.path[:0] = [os.path.dirname(os.path.abspath(__file__))]
import h2raw, tm, webstore, wire
from h2raw import CONTINUATION, H2, HEADERS, PING, RST, SETTINGS

hpack = h2raw.needed()[1]
www = tm.tempdir()
BIG = os.urandom(3 << 20)
open(f"{www}/index.html", "wb").write(b"<!DOCTYPE html><title>mail</title>")
open(f"{www}/big.bin", "wb").write(BIG)
port = tm.free_port()
sb = tm.Sandbox("--users", "2", *(w for d in ("smtp-relay", "jobctl", "imapd", "pop3d", "lmtpd", "mmpd", "stored", "jmapd", "sieved") for w in ("--without", d)),
                "--set", f"memd.www={www}", "--set", f"memd.host mail.example.test.port={port}", "--set", "memd.limit.per_user=0", "--set", "memd.timeout.idle=1h")
store = webstore.Store(sb, port)
PORT = sb.port("HTTPS")
ORIGIN = "https://localhost"
OWN = [("origin", ORIGIN), ("sec-fetch-site", "same-origin"), ("content-type", "application/json")]
BASIC = [("authorization", "Basic " + base64.b64encode(f"{sb.user(1)}:{sb.password}".encode()).decode())]


def connect(**kw):
    return H2(sb, PORT, **kw)


def others():
    """Ms until somebody else is answered, on a new connection of HTTP/1.1."""
    began = time.monotonic()
    c = http.client.HTTPSConnection(sb.host, PORT, context=wire.context(sb), timeout=tm.LONG)
    c.request("GET", "/")
    assert c.getresponse().read()
    return (time.monotonic() - began) * 1000


# ---- which it is
tm.is_([connect(alpn=a).alpn for a in (("h2", "http/1.1"), ("http/1.1", "h2"), ("http/1.1",), ("spdy/1",))], ["h2", "h2", "http/1.1", None], "TLS chooses the version")
tm.ok(others() > 0, "who offers none speaks HTTP/1.1")
if shutil.which("curl"):
    p = subprocess.run(["curl", "-sS", "--http2", "--cacert", sb.env["CAFILE"], "-w", "%{http_version} %{http_code}", "-o", "/dev/null", f"https://{sb.host}:{PORT}/big.bin"],
                       capture_output=True, text=True)
    tm.is_(p.stdout, "2 200", f"curl agrees {p.stderr}")

# ---- streams
late = connect()
late.frame(HEADERS, 1, 1, b"\x82\x84\x87")     # no more of it comes
shut = connect(window=0)
shut.sock.settimeout(1)
for n in [shut.ask("GET", "/big.bin") for _ in range(3)]:
    shut.wait(n, lambda a: a.status)
deaf = connect()
deaf.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
unread = [deaf.ask("GET", "/big.bin") for _ in range(5)]
refused = connect()
refused.frame(HEADERS, 5, 1, hpack.Encoder().encode([(":method", "GET"), (":path", "/"), (":scheme", "https"), (":authority", "localhost"), ("content-length", "5")]))
refused.raw(1)
since = time.monotonic()
c = connect()
a = c.get("/")
tm.is_((a.status, a.body), (200, b"<!DOCTYPE html><title>mail</title>"), "a page")
tm.ok("default-src 'none'" in a.fields["content-security-policy"] and "connection" not in a.fields and "transfer-encoding" not in a.fields,
      "with its fields, and none about a connection")
tm.is_((c.get("/", [("if-none-match", a.fields["etag"])]).status, c.get("/nothing.js").status), (304, 404), "304 and 404")
a = c.wait(c.ask("HEAD", "/big.bin"))
tm.is_((a.status, a.fields["content-length"], a.body), (200, str(len(BIG)), b""), "HEAD has a length and no content")
many = [c.ask("GET", "/big.bin" if n % 10 == 0 else "/") for n in range(100)]
got = [c.wait(n) for n in many]
tm.ok(all(a.status == 200 for a in got) and all(a.body == (BIG if n % 10 == 0 else b"<!DOCTYPE html><title>mail</title>") for n, a in enumerate(got)),
      "a hundred at once, large ones among them, whole")
for n in range(40):
    c.ask("GET", "/")
tm.is_({c.wait(n).status for n in list(c.answers)[-40:]}, {200}, "and more on the same connection")

# ---- bodies
store.say["/jmap/upload/x/"] = lambda s, r: s.send(webstore.ok(json.dumps({"size": len(s.body()), "length": r.fields["Content-Length"], "coding": r.fields["Transfer-Encoding"]}).encode()))
up = os.urandom(1 << 20)
n = c.ask("POST", "/jmap/upload/x/", [*BASIC, ("content-type", "text/plain"), ("content-length", str(len(up)))], end=False)
c.body(n, up)
tm.is_((c.wait(n).status, json.loads(c.answers[n].body)), (200, {"size": len(up), "length": str(len(up)), "coding": None}), "a megabyte goes up, with its length")
n = c.ask("POST", "/jmap/upload/x/", [*BASIC, ("content-type", "text/plain")], end=False)
c.body(n, up)
tm.is_((c.wait(n).status, json.loads(c.answers[n].body)["size"]), (200, len(up)), "and one whose length is not said")
a = c.wait(c.ask("POST", "/jmap/upload/x/", [*BASIC, ("content-type", "text/plain")]))
tm.is_((a.status, json.loads(a.body)["size"]), (200, 0), "and none")
for over in (0, 1):
    n = c.ask("POST", "/jmap/upload/x/", [*BASIC, ("content-type", "text/plain"), ("content-length", "0")], end=False)
    if not over:
        time.sleep(.2)
    c.body(n, b"")
    a = c.wait(n)
    tm.is_((a.status, a.body and json.loads(a.body)["size"]), (200, 0), f"and one of no octets, whose end comes {('later', 'at once')[over]}")
tm.is_(wire.log(sb, "memd", "ev=bug"), [], "which is no fault")
n = c.ask("POST", "/login", OWN, end=False)
c.body(n, json.dumps({"user": sb.user(1), "password": sb.password}).encode())
a = c.wait(n)
tm.is_(a.status, 200, "a person logs in")
cookie = a.fields["set-cookie"].split(";")[0]
tm.is_(json.loads(c.get("/session", [*OWN, ("cookie", "a=b"), ("cookie", cookie)]).body)["user"], f"{sb.user(1)}@{sb.domain}", "whose cookie may come in pieces")
tm.ok(wire.logged(sb, "memd", "ev=login ", "tls=yes", "peer=127.0.0.1"), "by TLS, from where he is")
n = c.ask("POST", "/login", OWN, end=False)
tm.ok(c.wait(c.ask("GET", "/")).status == 200, "a body that does not come keeps no other stream waiting")
c.h2.reset_stream(n)
c.flush()
n = c.ask("POST", "/", [("content-length", "5000000")], end=False)
c.body(n, b"x" * 20000, end=False)
a = c.wait(n)
tm.is_((a.status, a.over, a.reset), (405, True, None), "an answer before the end of the body is one, and ends the stream")
c.body(n, b"x" * 20000, end=False)
tm.ok(tm.wait_for(lambda: c.wait(c.ask("GET", "/")).status == 200 and a.reset == 0), "who goes on is told to stop, without blame") or tm.diag(a.reset)
n = c.ask("POST", "/", [("content-length", "200000")], end=False)
a = c.wait(n)
c.body(n, b"x" * 70000, end=False)
tm.ok(tm.wait_for(lambda: c.wait(c.ask("GET", "/")).status == 200 and a.reset == 0), "at once where that is much") or tm.diag(a.reset)
if shutil.which("curl"):
    said = [subprocess.run(["curl", "-sS", "--http2", "--cacert", sb.env["CAFILE"], "-w", "%{http_code}", "-o", "/dev/null", "--data-binary", "x" * 1000, f"https://{sb.host}:{PORT}/"],
                           capture_output=True, text=True) for _ in range(20)]
    tm.is_({(p.stdout, p.stderr) for p in said}, {("405", "")}, "curl reads what it is answered before it has said all")

# ---- what may have been done is not said to be untouched (RFC 9113 8.7): browsers would say it again
hold = threading.Event()
store.say["/jmap/api/"] = lambda s, r: s.body() and hold.wait(tm.LONG)
c = connect()
tm.is_(c.get("/session", BASIC).status, 200, "a connection within that has answered before")
n = c.ask("POST", "/jmap/api/", [*BASIC, ("content-type", "application/json"), ("content-length", "2")], end=False)
c.body(n, b"{}")
tm.ok(tm.wait_for(lambda: any(r.path == "/jmap/api/" for r in store.heard)), "a change is under way")
tm.is_(sb.tool("tmctl", "-d", "memd", "kick", f"user={sb.user(1)}@{sb.domain}").returncode, 0, "and its session is ended")
tm.is_(c.wait(n).reset, 2, "its stream is broken, not refused")
hold.set()

# ---- events, and a reader that does not read
hold = threading.Event()


def events(s, r):
    s.body()
    s.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n5\r\none\n\n\r\n")
    hold.wait(tm.LONG)
    s.send(b"5\r\ntwo\n\n\r\n0\r\n\r\n")


store.say["/jmap/events"] = events
n = c.ask("GET", "/jmap/events", [*OWN, ("cookie", cookie)])
tm.is_(c.wait(n, lambda a: a.body).body, b"one\n\n", "a stream of events says what there is")
tm.is_(c.get("/").status, 200, "others are answered beside it")
hold.set()
tm.is_(c.wait(n).body, b"one\n\ntwo\n\n", "and it goes on")


def memory():
    pid = max(sb.pids_of("memd"), key=lambda p: p)
    return int(next(l.split()[1] for l in open(f"/proc/{pid}/status") if l.startswith("VmRSS")))


before = memory()
slow = connect(window=1000)
stuck = [slow.ask("GET", "/big.bin") for _ in range(50)]
for n in stuck:
    slow.wait(n, lambda a: a.body)
slow.sock.settimeout(.5)
tm.is_((c.get("/").status, len(c.get("/big.bin").body)), (200, len(BIG)), "fifty streams that nobody reads keep no other waiting")
tm.ok(memory() - before < 40000, f"nor is what they do not read kept ({memory() - before} KiB)")
slow.close()

# ---- what is no request
bad = {
    "no path": [(":method", "GET"), (":scheme", "https"), (":authority", "localhost")],
    "a field of a connection": [(":method", "GET"), (":path", "/"), (":scheme", "https"), (":authority", "localhost"), ("connection", "close")],
    "a coding": [(":method", "GET"), (":path", "/"), (":scheme", "https"), (":authority", "localhost"), ("transfer-encoding", "chunked")],
    "a name with a large letter": [(":method", "GET"), (":path", "/"), (":scheme", "https"), (":authority", "localhost"), ("Accept", "x")],
    "a method twice": [(":method", "GET"), (":method", "POST"), (":path", "/"), (":scheme", "https"), (":authority", "localhost")],
    "a line end in a value": [(":method", "GET"), (":path", "/"), (":scheme", "https"), (":authority", "localhost"), ("x", "a\r\nHost: b")],
    "a line end in the path": [(":method", "GET"), (":path", "/ HTTP/1.1\r\nX: y"), (":scheme", "https"), (":authority", "localhost")],
    "a blank in the path": [(":method", "GET"), (":path", "/a b"), (":scheme", "https"), (":authority", "localhost")],
    "a blank in the method": [(":method", "GET /x"), (":path", "/"), (":scheme", "https"), (":authority", "localhost")],
    "a path that is none": [(":method", "GET"), (":path", "x"), (":scheme", "https"), (":authority", "localhost")],
    "no host": [(":method", "GET"), (":path", "/"), (":scheme", "https")],
    "two hosts": [(":method", "GET"), (":path", "/"), (":scheme", "https"), (":authority", "localhost"), ("host", "other")],
    "a body of no length": [(":method", "POST"), (":path", "/login"), (":scheme", "https"), (":authority", "localhost"), ("content-length", "x")],
    "CONNECT": [(":method", "CONNECT"), (":authority", "localhost:25")],
}
heard = len(store.heard)
for what, fields in bad.items():
    c = connect()
    c.frame(HEADERS, 5, 1, hpack.Encoder().encode(fields))
    a = c.raw(1)
    tm.ok(a.status == 400 or a.reset or c.goaway, f"{what} is no request ({a.status}, {a.reset}, {c.goaway})")
    c.close()
tm.is_(connect().get("/").status, 200, "which harms nobody")
c = connect()
n = c.ask("POST", "/jmap/upload/x/", [*BASIC, ("content-type", "text/plain"), ("content-length", "10")], end=False)
c.frame(h2raw.DATA, 1, n, b"x" * 20)
a = c.raw(n)
tm.ok(a.reset or c.goaway, "nor is a body longer than it says")
tm.is_([r.path for r in store.heard[heard:] if not r.path.startswith("/jmap/upload/")], [], "no store has heard of any")

# ---- heads
c = connect()
a = c.get("/", [("x-long", "x" * 20000)])
tm.is_(a.status, 431, "a head that is too long")
tm.is_(c.get("/", [(f"x-{n}", "y") for n in range(150)]).status, 431, "or has too many fields")
tm.is_(c.get("/").status, 200, "is no end of the connection")
bomb = hpack.Encoder()
first = bomb.encode([(":method", "GET"), (":path", "/"), (":scheme", "https"), (":authority", "localhost"), ("x-bomb", "b" * 3900)])
c = connect()
c.frame(HEADERS, 5, 1, first + b"\xbe" * 12000)       # 12,000 times 3.9 KB
a = c.raw(1)
tm.ok(a.status == 431 or a.reset or c.goaway, f"a bomb of compression is a head that is too long ({a.status}, {a.reset}, {c.goaway})")
tm.ok(memory() - before < 60000, "and takes no room")


# ---- floods
def flood(what, say, many, c=None):
    """Says it over and over, and reads nothing, until the server has had enough."""
    c = c or connect()
    worst, sent = 0, 0
    try:
        for k in range(many):
            c.sock.sendall(say(c, k))
            sent = k
            if k % 50 == 0:
                worst = max(worst, others())
    except OSError:
        c.ended = True
    ended = c.ended or c.over(10)
    tm.ok(ended, f"{what}: the connection ends (after {sent}, goaway {c.goaway})")
    tm.ok(worst < 1000 * tm.SLOW, f"others do not wait for it ({worst:.0f} ms)")
    c.close()


def frame(kind, flags, stream, octets=b""):
    return struct.pack(">I", len(octets))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + octets


# 82 84 87: what stands in the static table, so each head is the same octets
flood("streams that are taken back", lambda c, k: b"".join(frame(HEADERS, 5, 2 * (k * 20 + j) + 1, b"\x82\x84\x87\x01\x09localhost") + frame(RST, 0, 2 * (k * 20 + j) + 1, b"\0\0\0\x08") for j in range(20)), 300)
c = connect()
c.frame(HEADERS, 1, 1, b"\x82\x84\x87")
flood("a head that goes on and on", lambda c, k: frame(CONTINUATION, 0, 1, b"\0\x01x\x01y" * 10) * 5, 300, c)
flood("empty pieces of a head", lambda c, k: (frame(HEADERS, 1, 1, b"\x82") if k == 0 else b"") + frame(CONTINUATION, 0, 1) * 20, 300)
flood("settings", lambda c, k: frame(SETTINGS, 0, 0) * 100, 3000)
flood("pings", lambda c, k: frame(PING, 0, 0, b"12345678") * 100, 3000)
flood("too many settings in one", lambda c, k: frame(SETTINGS, 0, 0, b"\0\x99\0\0\0\0" * 2000), 5)
flood("no HTTP/2", lambda c, k: b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n" * 10, 50)

# ---- the end
tm.ok(late.over(40), "a head that does not go on is waited for 10 seconds")
time.sleep(max(0, since + 12 - time.monotonic()))
tm.ok(not refused.over(1), "one that nghttp2 has refused is none to wait for")
for n in (1, 3, 5):
    tm.is_(shut.wait(n).reset, 8, "who opens no window is waited for 30 seconds")
time.sleep(max(0, since + 40 - time.monotonic()))
deaf.sock.settimeout(2)
for n in unread:
    deaf.wait(n)
tm.ok(deaf.ended and not all(deaf.answers[n].over for n in unread), "and so is who reads nothing at all")
tm.is_(len(wire.logged(sb, "memd", "ev=http2_late")), 4, "which the log tells")
tm.ok(wire.logged(sb, "memd", "ev=http_bad"), "the log tells of them")
c = connect()
release = threading.Event()
store.say["/jmap/slow"] = lambda s, r: release.wait(tm.LONG) and s.send(webstore.ok(b"late"))
m = c.ask("GET", "/jmap/slow", BASIC)
tm.ok(tm.wait_for(lambda: any(r.path == "/jmap/slow" for r in store.heard)), "a request is under way")
os.kill(sb.pid("memd"), 15)
tm.ok(tm.wait_for(lambda: c.goaway is not None or c.read() and False), "memd is to end, and says so at once")
time.sleep(3)       # longer than a silent client is waited for
release.set()
said = {kind: octets for kind, _, stream, octets in c.frames() if stream == m}
tm.ok(said.get(HEADERS) and said.get(h2raw.DATA) == b"late", "what is under way is answered")
tm.ok(c.ended, "and then the connection ends")
tm.done()
