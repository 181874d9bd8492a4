#!/usr/bin/env python3
"""Every network listener is attacked while a well-behaved client goes on working: random and
mutated input, one byte at a time, lines without end, hang-ups at each point, clients that never
read, floods, commands out of order, broken TLS.  SEED and ROUNDS (a factor) make it longer."""
import os, select, socket, ssl, time
import hostile, tm
from hostile import LISTENERS, abort, mutate, read_all, read_some, rnd, speak

ROUNDS = float(os.environ.get("ROUNDS", "1"))
sb = tm.Sandbox("--users", "5", "--set", "imapd.auth.delay=10ms", "--set", "smtp-relay.auth.delay=10ms",
                "--set", "smtp-relay.limit.per_client=1000", "--set", "tiermail.log_level=warn")
scripts = hostile.transcripts(sb)


def script_bytes(kind):
    return "".join(say for say, _ in rnd.choice(scripts[kind])).encode()


def introduced(connect, kind, how_often=0.7):
    """A connection that mostly has said EHLO and waited, since nothing may be pipelined behind it."""
    s = connect(sb)
    if kind != "imap" and rnd.random() < how_often:
        buf = bytearray()
        hostile.answer(s, buf, kind)
        s.sendall(b"LHLO x\r\n" if kind == "lmtp" else b"EHLO x\r\n")
        hostile.answer(s, buf, kind)
    return s


def without_hello(kind, data):
    return data if kind == "imap" else data.partition(b"\r\n")[2]


def settle():
    """The attackers' own mail has been dealt with."""
    sb.queue_empty()


def times(n):
    return range(max(1, int(n * ROUNDS / (2 if tm.SANITIZED else 1))))


# A message first, so that every cache and pool has its usual size.
sb.send(1, subject="first")
sb.send(3, subject="first")
for name, (connect, kind) in LISTENERS.items():
    for script in scripts[kind]:
        s = connect(sb)
        tm.is_(speak(s, script, kind), None, f"{name}: a conversation by the rules")
        s.close()
settle()
tm.wait_for(lambda: sb.count(1) == 1)
sb.tool("storectl", "check")
c = hostile.Raw(sb, login=1)
c.ok("SELECT INBOX")
c.ok("STORE 1:* +FLAGS (\\Deleted)")
c.ok("EXPUNGE")
c.close()
steady, health = hostile.Steady(sb), hostile.Health(sb)
steady.start()

# ---- one byte at a time -------------------------------------------------------------------------
for name, (connect, kind) in LISTENERS.items():
    s = connect(sb)
    tm.is_(speak(s, scripts[kind][-1], kind, step=1), None, f"{name}: the same one byte at a time")
    s.close()
health.check("single bytes")

# ---- random bytes -----------------------------------------------------------------------------------
for name, (connect, kind) in LISTENERS.items():
    for i in times(12):
        try:
            s = connect(sb)
            s.sendall(rnd.randbytes(rnd.choice([1, 20, 500, 5000, 70000])))
            read_some(s, 0.01)
        except OSError:
            pass
        s.close() if i % 2 else abort(s)
health.check("random bytes")

# ---- mutated conversations ----------------------------------------------------------------------------
for name, (connect, kind) in LISTENERS.items():
    for i in times(40):
        data = mutate(without_hello(kind, script_bytes(kind))) + b"\r\n"
        try:
            s = introduced(connect, kind, 0.9)
            while data:
                n = rnd.choice([1, 7, 100, 4000, len(data)])
                s.sendall(data[:n])
                data = data[n:]
                if rnd.random() < 0.2:
                    read_some(s, 0.005)
        except OSError:
            pass
        s.close() if i % 3 else abort(s)
settle()
health.check("mutated conversations")

# ---- hang up at each point ---------------------------------------------------------------------------------
for name, (connect, kind) in LISTENERS.items():
    data = without_hello(kind, script_bytes(kind))
    for at in sorted(rnd.sample(range(len(data)), min(len(data), len(times(40))))):
        try:
            s = introduced(connect, kind, 1)
            s.sendall(data[:at])
            if at % 2:
                read_some(s, 0.005)
        except OSError:
            pass
        s.close() if rnd.random() < 0.5 else abort(s)
settle()
health.check("hang-ups at each point")

# ---- lines and arguments without end ---------------------------------------------------------------------------
for name, (connect, kind) in LISTENERS.items():
    for head in (b"", b"a LOGIN ", b"MAIL FROM:<", b"AUTH PLAIN ", b"a APPEND INBOX {2000000000+}\r\n", b"a LOGIN {130000+}\r\n"):
        s, said, gone = introduced(connect, kind), b"", False
        try:
            for _ in range(40):
                s.sendall(head + b"A" * 20000)
                head = b""
                said += read_some(s, 0.001) or b""
            s.sendall(b"\r\n")
        except OSError:
            gone = True
        refused = lambda more: b"BAD" in said + more or b"\r\n5" in b"\r\n" + said + more
        more, closed = (b"", True) if gone else read_all(s, enough=refused)
        s.close()
        if not (gone or closed or refused(more)):
            tm.ok(False, f"{name}: {head!r} and 800000 octets are refused") or tm.diag((said + more)[-200:])
health.check("lines without end")

# ---- clients that never read -----------------------------------------------------------------------------------
floods = {"smtp": b"HELP\r\n" * 500000, "lmtp": b"HELP\r\n" * 500000, "submission": b"NOOP\r\n" * 500000,
          "imap": b"a LOGIN %s %s\r\n" % (sb.user(4).encode(), sb.password.encode()) + b'b LIST "" *\r\n' * 300000}
socks = []
for name, (connect, kind) in LISTENERS.items():
    s = introduced(connect, kind, 1)
    s.setblocking(False)
    socks.append([s, floods[kind]])
moved = time.monotonic()
while time.monotonic() < moved + tm.SLOW and any(data for _, data in socks):  # until nothing more is taken
    for item in socks:
        try:
            while item[1]:
                item[1] = item[1][item[0].send(item[1][:65536]):]
                moved = time.monotonic()
        except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
            pass
        except OSError:
            item[1] = b""
    time.sleep(0.02)
for d in hostile.DAEMONS:
    mib = hostile.usage(sb, d)[1] - health.before[d][1]
    tm.ok(mib < (400 if tm.SANITIZED else 40), f"{d} keeps little for clients that never read ({mib:.1f} MiB)")
for s, _ in socks:
    abort(s)
health.check("clients that never read")

# ---- floods, and commands out of order -----------------------------------------------------------------------
for name, (connect, kind) in LISTENERS.items():
    for i in times(10):
        lines = [x for script in scripts[kind] for say, _ in script for x in say.encode().splitlines(True)] * 5
        rnd.shuffle(lines)
        try:
            s = introduced(connect, kind, 0.8)
            s.sendall(b"".join(lines))
            s.shutdown(socket.SHUT_WR)
            read_all(s, 3)
        except OSError:
            pass
        s.close()
settle()
health.check("shuffled floods")

# ---- TLS that is none ------------------------------------------------------------------------------------------------
hello = None


def client_hello():
    """The first flight of a real client."""
    context = ssl.create_default_context()
    into, out = ssl.MemoryBIO(), ssl.MemoryBIO()
    try:
        context.wrap_bio(into, out, server_hostname="localhost").do_handshake()
    except ssl.SSLWantReadError:
        return out.read()


STARTTLS = {"SMTP": (b"EHLO x\r\nSTARTTLS\r\n", b"220 2"), "SUBMISSION": (b"EHLO x\r\nSTARTTLS\r\n", b"220 2"),
            "LMTP": (b"LHLO x\r\nSTARTTLS\r\n", b"220 2"), "IMAP": (b"a STARTTLS\r\n", b"a OK"), "SUBMISSIONS": None, "IMAPS": None}
for port, first in STARTTLS.items():
    hello = client_hello()
    for i in times(30):
        try:
            s = hostile.tcp(sb, port)
            if first:
                s.sendall(first[0])
                said = b""
                while first[1] not in said:
                    more = s.recv(4096)
                    if not more:
                        raise OSError
                    said += more
            kind = i % 5
            s.sendall([hello[:rnd.randrange(len(hello))], mutate(hello), hello + rnd.randbytes(300), rnd.randbytes(400),
                       b"EHLO x\r\nMAIL FROM:<a@b.test>\r\n"][kind])
            read_some(s, 0.01)
        except OSError:
            pass
        s.close() if i % 2 else abort(s)
    if first and port != "LMTP":
        # What was pipelined behind STARTTLS must not be taken as said within TLS.
        s = hostile.tcp(sb, port)
        s.sendall(first[0] + (b"b NOOP\r\n" if port == "IMAP" else b"NOOP\r\n"))
        got, _ = read_all(s, 1)
        s.close()
        tm.ok(b"b OK" not in got and b"NOOP" not in got, f"{port}: nothing behind STARTTLS is carried out") or tm.diag(got)
health.check("TLS that is none")

steady.finish()
settle()
r = sb.tool("storectl", "check")
tm.is_(r.returncode, 0, "storectl check finds nothing") or tm.diag(r.stdout + r.stderr)
hostile.down(sb)
tm.done()
