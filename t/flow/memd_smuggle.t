#!/usr/bin/env python3
"""Requests that two programs might understand differently: what memd does not refuse reaches the store as the one
request that was meant, by the count of another parser; and what hides in a body stays a body.  Each case comes at
once, and octet by octet."""
import base64, os, re, socket, ssl, sys

sys.path[:0] = [os.path.dirname(os.path.abspath(__file__))]
import tm, webstore, wire

port = tm.free_port()
sb = tm.Sandbox("--users", "2", *(w for d in ("smtp-relay", "jobctl", "imapd", "pop3d", "jmapd", "sieved", "lmtpd", "mmpd", "stored") for w in ("--without", d)),
                "--set", f"memd.host mail.example.test.port={port}", "--set", "memd.limit.per_user=0")
store = webstore.Store(sb, port)
AUTH = b"Authorization: Basic " + base64.b64encode(f"{sb.user(1)}:{sb.password}".encode()) + b"\r\n"
TYPE = b"Content-Type: application/json\r\n"
HIDDEN = b"POST /jmap/hidden HTTP/1.1\r\nHost: h\r\n" + AUTH + TYPE + b"Content-Length: 2\r\n\r\n{}"
HEAD = b"POST /jmap/api HTTP/1.1\r\nHost: h\r\n" + AUTH + TYPE
chunk = lambda b: b"%x\r\n%s\r\n" % (len(b), b)


REFUSED = re.compile(rb"HTTP/1\.1 [45]\d\d .*?\r\n\r\n.+\n", re.S)     # whole; the connection may stay for a while


def there(s, got):
    """Adds what has come; False when that was the end."""
    s.setblocking(False)
    try:
        while piece := s.recv(65536):
            got += piece
        return False
    except ssl.SSLWantReadError:
        return True
    except OSError:
        return False
    finally:
        s.settimeout(tm.LONG)


def play(data, step=0):
    """The statuses that came, until the server has nothing more to say.  Who has heard the end sends no more: it
    would be answered by a reset, and that is nothing to read behind."""
    s = wire.context(sb).wrap_socket(socket.create_connection((sb.host, sb.port("HTTPS")), timeout=tm.LONG))
    got = bytearray()
    data += b"GET /jmap/last HTTP/1.1\r\nHost: h\r\nConnection: close\r\n" + AUTH + b"\r\n"
    for at in range(0, len(data), step or len(data)):
        if not there(s, got):
            break
        s.sendall(data[at:at + (step or len(data))])
    try:
        while not REFUSED.search(got) and (piece := s.recv(65536)):
            got += piece
    except OSError:
        pass
    s.close()
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d\d\d) ", got)]


def case(name, data, want, heard=()):
    """want: statuses before that of /jmap/last, or one of refusal; heard: (path, body) at the store."""
    for step in (0, 7):
        before = len(store.heard)
        got = play(data, step)
        seen = [(r.path, r.body) for r in store.heard[before:]]
        if want[-1] >= 400:     # nothing behind it is read
            tm.ok(got == list(want) and seen == list(heard), f"{name}: {want[-1]}") or tm.diag(f"{got} {seen}")
        else:
            tm.ok(got == [*want, 200] and seen == [*heard, ("/jmap/last", b"")], f"{name}: as it was meant") or tm.diag(f"{got} {seen}")


# ---- good ones, so that the judge is known to see
case("a body that is a request", HEAD + b"Content-Length: %d\r\n\r\n" % len(HIDDEN) + HIDDEN, [200], [("/jmap/api", HIDDEN)])
case("in chunks", HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunk(HIDDEN) + b"0\r\n\r\n", [200], [("/jmap/api", HIDDEN)])
case("two in a row", HEAD + b"Content-Length: 2\r\n\r\n{}" + HIDDEN, [200, 200], [("/jmap/api", b"{}"), ("/jmap/hidden", b"{}")])
case("in a trailer", HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunk(b"{}") + b"0\r\nTiermail-Account: other@example.test\r\nContent-Length: 9\r\n\r\n", [200], [("/jmap/api", b"{}")])
case("in a chunk's extension", HEAD + b"Transfer-Encoding: chunked\r\n\r\n2;a=b\r\n{}\r\n0\r\n\r\n", [200], [("/jmap/api", b"{}")])
case("a GET with a body", b"GET /jmap/api HTTP/1.1\r\nHost: h\r\n" + AUTH + b"Content-Length: %d\r\n\r\n" % len(HIDDEN) + HIDDEN, [200], [("/jmap/api", HIDDEN)])

# ---- lengths that contradict each other
n = len(HIDDEN)
for name, fields in {
    "CL and TE": b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", "TE and CL": b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n",
    "two CL": b"Content-Length: 0\r\nContent-Length: %d\r\n" % n, "two equal CL": b"Content-Length: 0\r\nContent-Length: 0\r\n",
    "a list of CL": b"Content-Length: 0, %d\r\n" % n, "a negative CL": b"Content-Length: -1\r\n", "a CL with a sign": b"Content-Length: +4\r\n",
    "a CL in hex": b"Content-Length: 0x10\r\n", "a CL without end": b"Content-Length: 99999999999999999999\r\n", "an empty CL": b"Content-Length:\r\n",
    "a CL with a blank": b"Content-Length: 1 0\r\n", "a blank before the colon": b"Content-Length : 4\r\n",
    "TE twice": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", "TE with more": b"Transfer-Encoding: gzip, chunked\r\n",
    "TE behind chunked": b"Transfer-Encoding: chunked, identity\r\n", "TE that is none": b"Transfer-Encoding: xchunked\r\n", "TE with a vertical tab": b"Transfer-Encoding: \x0bchunked\r\n",
    "TE folded": b"Transfer-Encoding:\r\n chunked\r\n", "TE with a blank": b"Transfer-Encoding : chunked\r\n", "TE behind a CR": b"X: a\rTransfer-Encoding: chunked\r\n",
    "TE behind an LF": b"X: a\nTransfer-Encoding: chunked\r\n", "a NUL": b"X: a\0b\r\n", "a field without a colon": b"Nonsense\r\n", "a field that begins with a blank": b" X: a\r\n",
    "Host twice": b"Host: other\r\n",
}.items():
    status = play(HEAD + fields + b"\r\n" + HIDDEN)[:1] or [0]
    if not tm.ok(status[0] in (400, 501), f"{name}: refused ({status[0]})"):
        continue
    case(name, HEAD + fields + b"\r\n" + HIDDEN, status)

# ---- chunks
for name, body in {
    "a size that is none": b"g\r\n", "a negative size": b"-1\r\n", "a size with a prefix": b"0x2\r\n{}\r\n0\r\n\r\n", "a size that wraps": b"10000000000000002\r\n{}\r\n0\r\n\r\n",
    "an LF alone behind a size": b"2\n{}\r\n0\r\n\r\n", "no line end behind a chunk": b"2\r\n{}0\r\n\r\n", "more than the size": b"1\r\n{}\r\n0\r\n\r\n",
    "an LF in an extension": b"2;a\nb\r\n{}\r\n0\r\n\r\n",
}.items():
    before = len(store.heard)
    for step in (0, 7):
        got = play(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + body + HIDDEN, step)
        tm.ok(len(got) <= 1 and all(s >= 400 for s in got), f"{name}: refused, and nothing is read behind it ({got})")
    tm.ok(not any(r.path in ("/jmap/hidden", "/jmap/last") for r in store.heard[before:]), "nor heard by the store")

# ---- first lines
for name, data, status in (
        ("an absolute target", b"GET http://other/jmap/api HTTP/1.1\r\nHost: h\r\n" + AUTH + b"\r\n", 400), ("no Host", b"GET /jmap/api HTTP/1.1\r\n" + AUTH + b"\r\n", 400),
        ("HTTP/0.9", b"GET /jmap/api\r\n", 400), ("HTTP/2.0", b"GET /jmap/api HTTP/2.0\r\nHost: h\r\n\r\n", 505), ("CONNECT", b"CONNECT h:443 HTTP/1.1\r\nHost: h\r\n\r\n", 501),
        ("a blank in the target", b"GET /jmap/a pi HTTP/1.1\r\nHost: h\r\n\r\n", 400), ("a CR in the target", b"GET /jmap/a\rpi HTTP/1.1\r\nHost: h\r\n\r\n", 400),
        ("a tab for a blank", b"GET\t/jmap/api HTTP/1.1\r\nHost: h\r\n\r\n", 0)):
    got = play(data)
    tm.ok(got[:1] == [status] or (status == 0 and got and got[0] >= 400), f"{name}: {got[:1]}")

# ---- what is between memd and stores, nobody else says
before = len(store.heard)
play(b"GET /jmap/api HTTP/1.1\r\nHost: h\r\n" + AUTH + b"Tiermail-Account: user0002@example.test\r\nTiermail-Client: 192.0.2.1\r\nConnection: X-Mine, Tiermail-Account\r\nX-Mine: 1\r\n"
     b"Upgrade: h2c\r\nTE: trailers\r\nExpect: 100-continue\r\n\r\n")
r = store.heard[before]
tm.is_((r.fields.get_all("Tiermail-Account"), r.fields.get_all("Tiermail-Client"), r.fields["X-Mine"], r.fields["Upgrade"], r.fields["TE"], r.fields["Expect"], r.fields["Connection"]),
       ([f"{sb.user(1)}@{sb.domain}"], ["127.0.0.1"], None, None, None, None, None), "fields of the connection, and ours, end at memd")

# ---- an answer that comes before the body has
store.say["/jmap/upload/u/"] = lambda c, r: c.send(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n") or "close"
got = play(b"POST /jmap/upload/u/ HTTP/1.1\r\nHost: h\r\n" + AUTH + b"Content-Length: %d\r\n\r\n" % (3 << 20) + HIDDEN * ((3 << 20) // n) + HIDDEN)
tm.ok(got[:1] in ([403], [503], []) and not any(r.path == "/jmap/hidden" and r.body == b"{}" for r in store.heard[-2:]), f"an early answer ends the connection, not the body ({got})")
tm.is_(sum((r.path, r.body) == ("/jmap/hidden", b"{}") for r in store.heard), 2, "what hides in other requests was heard where it was no secret, and nowhere else")
tm.done()
