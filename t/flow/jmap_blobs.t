#!/usr/bin/env python3
"""What a client multiplies: references, creation ids, small uploads, uploads at once, parts of large messages that are named
often or read slowly.  Others are answered meanwhile, memory and files stay bounded, and what is read in pieces is whole."""
import base64, json, os, socket, ssl, threading, time
import tm
from jmapraw import CORE, MAIL, Jmap

BLOB = "urn:ietf:params:jmap:blob"
sb = tm.Sandbox("--users", "3", "--without", "pop3d", "--without", "mmpd", "--without", "memd", "--without", "sieved", "--without", "smtp-relay", "--without", "jobctl",
                "--set", "jmapd.limit.upload=12M", "--set", "jmapd.limit.uploads=40M")
j, k = Jmap(sb), Jmap(sb, 2)
j.using.append(BLOB)
k.using.append(BLOB)

# ---- references ---------------------------------------------------------------------------------------------------------


def refer(n, size):
    ref = {"resultOf": "a", "name": "Core/echo", "path": "/x/1"}
    return j.call(("Core/echo", {"x": [1, 2] + [3] * size}), ("Core/echo", {f"#y{i}": ref for i in range(n)}))[1]


tm.is_([refer(16, n)[1] for n in (1, 100000)], [{f"y{i}": 2 for i in range(16)}] * 2, "sixteen references, into short and long answers")
tm.is_([refer(17, n)[1]["type"] for n in (1, 100000)], ["invalidArguments"] * 2, "and not one more")
got = j.call(("Core/echo", {"x": [1] * 100000}), ("Core/echo", {"#y": {"resultOf": "a", "name": "Core/echo", "path": "/none"}}), ("Core/echo", {"z": 1}))
tm.is_((got[1][1]["type"], got[2][1]), ("invalidResultReference", {"z": 1}), "one that leads nowhere there, and what comes behind")
status, got = j.post({"using": [CORE], "methodCalls": [["Core/echo", {"x": [1] * 250000}, "a"]]})
tm.is_((status, got["type"], got["limit"]), (400, "urn:ietf:params:jmap:error:limit", "maxSizeRequest"), "too many values are too large a request")
# Who goes while the pool has his request.
body = json.dumps({"using": [CORE], "methodCalls": [["Core/echo", {"x": [1] * 100000}, "a"], ["Core/echo", {"#y": {"resultOf": "a", "name": "Core/echo", "path": "/x"}}, "b"]]}).encode()
for cut in (0, 0.001, 0.01, 0.03):
    c = j.context.wrap_socket(socket.create_connection((sb.host, sb.port("JMAP"))), server_hostname=sb.host)
    c.sendall(f"POST /jmap/api HTTP/1.1\r\nHost: x\r\nAuthorization: {j.headers['Authorization']}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
    time.sleep(cut)
    c.close()
tm.is_(refer(1, 1)[1], {"y0": 2}, "clients that go meanwhile harm nobody")

# ---- creation ids -------------------------------------------------------------------------------------------------------
status, got = j.post({"using": [CORE, BLOB], "createdIds": {"k": "old", "l": "other"}, "methodCalls": [
    ["Blob/upload", {"accountId": j.account, "create": {"k": {"data": [{"data:asText": "x"}]}}}, "a"], ["Blob/get", {"accountId": j.account, "ids": ["#k"]}, "b"]]})
made = got["methodResponses"][0][1]["created"]["k"]["id"]
tm.is_((got["createdIds"], got["methodResponses"][1][1]["list"][0]["id"]), ({"k": made, "l": "other"}, made), "a creation id stands for the last that was made under it")

# ---- a large message ----------------------------------------------------------------------------------------------------
octets = os.urandom(1 << 20) * 6
inner = b"Subject: inner\r\n\r\n" + b"line of text\r\n" * 30000
sb.imap(1).append("INBOX", None, None, b"Subject: large\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nhi\r\n--b\r\nContent-Type: application/x\r\n"
                  b"Content-Transfer-Encoding: base64\r\n\r\n" + base64.encodebytes(octets).replace(b"\n", b"\r\n") + b"--b\r\nContent-Type: message/rfc822\r\n\r\n" + inner + b"\r\n--b--\r\n")
mail = j.one("Email/get", ids=j.emails(subject="large"), properties=["blobId", "attachments", "mailboxIds"])["list"][0]
part, message = (a["blobId"] for a in mail["attachments"])
path = f"/jmap/download/{j.account}/{part}/x"
tm.ok(j.http("GET", path)[2] == octets, "a large part comes whole")
status, fields, got = j.http("GET", path, headers={"Range": "bytes=5000001-5100000"})
tm.is_((status, fields["content-range"], got == octets[5000001:5100001]), (206, f"bytes 5000001-5100000/{len(octets)}", True), "and a range from its middle")
tm.is_([Jmap(sb).http("GET", p)[0] for p in (path.replace("-2/", "-9/"), path.replace(j.account, k.account))], [404, 404], "a part that is not there, another's account")
tm.is_(k.http("GET", path.replace(j.account, k.account))[0], 404, "and nobody else's mail")
got = j.one("Blob/get", ids=[part, message, part + "9"], properties=["data:asBase64", "size"], offset=4 << 20, length=10)
tm.is_((got["list"][0], got["list"][1]["isTruncated"], got["notFound"]), ({"id": part, "data:asBase64": base64.b64encode(octets[4 << 20:(4 << 20) + 10]).decode(), "size": len(octets)}, True, [part + "9"]),
       "octets from the middle")
got = j.one("Email/parse", blobIds=[message], properties=["subject", "size"])["parsed"]
tm.is_(got[message]["subject"], "inner", "a message in it is read")
attachments = [{"blobId": b, "type": "application/x"} for b in (part, message, made)] + [{"blobId": made, "type": "text/plain"}] * 200
new = j.one("Email/set", create={"a": {"mailboxIds": mail["mailboxIds"], "subject": "forwarded", "textBody": [{"partId": "1"}], "bodyValues": {"1": {"value": "see"}}, "attachments": attachments},
                                 "b": {"mailboxIds": mail["mailboxIds"], "textBody": [{"partId": "1"}], "bodyValues": {"1": {"value": "see"}}, "attachments": [{"blobId": part + "9", "type": "a/b"}]}})
tm.is_(new["notCreated"]["b"]["type"], "blobNotFound", "an email of a blob that is not there")
blobs = [a["blobId"] for a in j.one("Email/get", ids=[new["created"]["a"]["id"]], properties=["attachments"])["list"][0]["attachments"]]
tm.ok([j.http("GET", f"/jmap/download/{j.account}/{b}/x")[2] for b in blobs[:3]] == [octets, inner, b"x"] and len(blobs) == 203, "one of 203 blobs, each whole")

# ---- others meanwhile ---------------------------------------------------------------------------------------------------
waits, over = [], threading.Event()


def others():
    while not over.is_set():
        began = time.monotonic()
        k.http("GET", "/nothing")
        waits.append(time.monotonic() - began)


t = threading.Thread(target=others)
t.start()
began = time.monotonic()
got = j.one("Blob/upload", create={"a": {"data": [{"blobId": part, "offset": 0, "length": 1}] * 250}})
took = time.monotonic() - began
over.set()
t.join()
tm.is_(got["created"]["a"]["size"], 250, "a blob of a part that is named 250 times")
tm.ok(len(waits) > 20 and max(waits) < max(took / 4, 0.5), f"others are answered while it is made ({len(waits)} times in {took:.2f} s, the slowest in {max(waits):.3f} s)")

# ---- slow readers -------------------------------------------------------------------------------------------------------


def memory():
    return sum(int(line.split()[1]) for pid in sb.pids_of("jmapd") for line in open(f"/proc/{pid}/status") if line.startswith("RssAnon"))


before, slow = memory(), []
for _ in range(15):
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
    s.connect((sb.host, sb.port("JMAP")))
    c = j.context.wrap_socket(s, server_hostname=sb.host)
    c.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: {j.headers['Authorization']}\r\n\r\n".encode())
    tm.ok(c.recv(12) == b"HTTP/1.1 200", "a reader that reads no more") if _ == 0 else c.recv(12)
    slow.append(c)
grown = memory() - before
tm.ok(grown < 30000, f"fifteen of them hold no parts of 6 MB each ({grown} KB)")
for c in slow:
    c.close()

# ---- uploads ------------------------------------------------------------------------------------------------------------


def upload(conn, body=b""):
    status, _, got = conn.http("POST", f"/jmap/upload/{conn.account}/", body)
    return status, json.loads(got)


got = [upload(k) for _ in range(321)]   # 40 MB, of 128 KiB each at least
tm.is_(([s for s, _ in got].count(201), got[-1][0], got[-1][1]["limit"]), (320, 400, "limit.uploads"), "empty uploads count, too")
u3, begun = Jmap(sb, 3), []
for i in range(4):   # each of 12 MB, of which nothing comes
    c = j.context.wrap_socket(socket.create_connection((sb.host, sb.port("JMAP"))), server_hostname=sb.host)
    c.sendall(f"POST /jmap/upload/{u3.account}/ HTTP/1.1\r\nHost: x\r\nAuthorization: {u3.headers['Authorization']}\r\nContent-Length: {12 << 20}\r\nExpect: 100-continue\r\n\r\n".encode())
    begun.append((c.recv(12), c))
tm.is_([b for b, _ in begun], [b"HTTP/1.1 100"] * 3 + [b"HTTP/1.1 400"], "those that are under way count as they will be")
for _, c in begun:
    c.close()
tm.ok(tm.wait_for(lambda: upload(u3, b"x" * 1000)[0] == 201), "and no more when they have gone")
got = upload(u3, b"z" * 300000)[1]
tm.is_(len(u3.http("GET", f"/jmap/download/{u3.account}/{got['blobId']}/x")[2]), 300000, "one that is over is as long as it is")

# ---- long answers ---------------------------------------------------------------------------------------------------------
u3.using.append(BLOB)
P = 3 * 32768  # octets of a piece
for what, data in (("two octets over the ends of pieces", b"x" + "\u00e9".encode() * P), ("three and four", ("\u20ac" * 40000 + "\U0001f600\"\\\n" * 20000).encode()),
                   ("ASCII, one piece", b"a" * P), ("no UTF-8 in the third piece", b"x" * (2 * P) + b"\xff"), ("a character that is cut at the end", b"x" * (P - 1) + b"\xe2\x82"),
                   ("only continuations", b"\x80" * (P + 5)), ("binary", os.urandom(2 * P + 1)), ("nothing", b"")):
    id_ = upload(u3, data)[1]["blobId"]
    both = u3.one("Blob/get", ids=[id_, "Bnone"], properties=["data:asText", "data:asBase64", "size"])
    either = u3.one("Blob/get", ids=[id_], offset=1, length=len(data))["list"][0]
    try:
        text, rest = data.decode(), None
    except UnicodeDecodeError:
        text = None
    try:
        rest = data[1:].decode()
    except UnicodeDecodeError:
        rest = None
    want = {"id": id_, "data:asText": text, "data:asBase64": base64.b64encode(data).decode(), "size": len(data), **({} if text is not None else {"isEncodingProblem": True})}
    half = {"id": id_, "size": len(data), "isTruncated": True, **({"data:asText": rest} if rest is not None else {"data:asBase64": base64.b64encode(data[1:]).decode(), "isEncodingProblem": True})}
    tm.ok(both["list"] == [want] and both["notFound"] == ["Bnone"] and either == half, f"Blob/get of {what}") or tm.diag(str(both)[:300], str(either)[:300])
long = "\u00fc\"" * 900000
tm.ok(j.call(("Core/echo", {"x": long}), ("Core/echo", {"#y": {"resultOf": "a", "name": "Core/echo", "path": "/x"}}))[1][1] == {"y": long}, "an echo of some MB, twice")
body = json.dumps({"using": [CORE], "methodCalls": [["Core/echo", {"x": long}, "a"]] * 1 + [["Core/echo", {"#y": {"resultOf": "a", "name": "Core/echo", "path": "/x"}}, c] for c in "bcd"]}).encode()
for cut in (0, 0.01, 0.02, 0.03, 0.05, 0.08):
    c = j.context.wrap_socket(socket.create_connection((sb.host, sb.port("JMAP"))), server_hostname=sb.host)
    c.sendall(f"POST /jmap/api HTTP/1.1\r\nHost: x\r\nAuthorization: {j.headers['Authorization']}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
    time.sleep(cut)
    c.close()
tm.is_(j.call(("Core/echo", {"z": 1}))[0][1], {"z": 1}, "clients that go while it is written harm nobody")
id_ = upload(u3, b"x" * 200000)[1]["blobId"]
with open(sb.conf("jmapd.conf")) as f:
    conf = f.read()
with open(sb.conf("jmapd.conf"), "w") as f:
    f.write("limit.response = 128K\n" + conf)
sb.restart("jmapd")
u3.conn = None
tm.is_((u3.one("Blob/get", ids=[id_]), len(u3.one("Blob/get", ids=[id_], length=1000)["list"])), (["error", "requestTooLarge"], 1), "a range that no answer can have is refused, a part of it is not")
tm.done()
