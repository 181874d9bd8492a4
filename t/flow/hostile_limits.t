#!/usr/bin/env python3
"""Crowds and slowness: connections up to the limits and beyond them get a defined answer, those
that were there go on, and it is over when they have gone; who drips is cut off in time."""
import re, select, socket, ssl, time
import hostile, tm
from hostile import read_all, read_some

T = round(4 * tm.SHORT)
sb = tm.Sandbox("--users", "5", "--set", "tiermail.log_level=warn",
                "--set", "smtp-relay.limit.clients=200", "--set", "smtp-relay.limit.per_client=60",
                "--set", f"smtp-relay.time.command={T}s", "--set", f"smtp-relay.time.data={T}s", "--set", "smtp-relay.limit.data_rate=1000",
                "--set", "lmtpd.workers=1", "--set", "lmtpd.limit.clients=106", "--set", f"lmtpd.timeout.command={T}s", "--set", f"lmtpd.timeout.data={T}s",
                "--set", "imapd.workers=1", "--set", "imapd.limit.clients=150", "--set", f"imapd.timeout.login={T}s")
sb.send(1, subject="before")
tm.ok(tm.wait_for(lambda: sb.count(1) == 1), "mail arrives")
health = hostile.Health(sb)


def greeting(s):
    data = b""
    while b"\n" not in data:
        more = read_some(s, tm.LONG)
        if not more:
            return data
        data += more
    return data


def enter(port):
    """A connection that is served, or None"""
    s = hostile.tcp(sb, port, "127.0.0.9")
    if greeting(s).startswith((b"220", b"* OK")):
        return s
    s.close()


def held(port):
    """Connections of the port that its daemon has not closed (ESTABLISHED, CLOSE_WAIT)"""
    with open("/proc/net/tcp") as f:
        ends = [line.split()[1:4] for line in f.readlines()[1:]]
    return sum(int(at.split(":")[1], 16) == sb.port(port) and state in ("01", "08") for at, _, state in ends)


def crowd(port, n, sources):
    """Opens n connections: (the greeted ones, what the others were told)."""
    good, said = [], []
    for i in range(n):
        s = hostile.tcp(sb, port, sources[i % len(sources)])
        line = greeting(s)
        if line.startswith((b"220", b"* OK")):
            good.append(s)
        else:
            said.append(line)
            s.close()
    return good, said


# ---- crowds ---------------------------------------------------------------------------------------
many = [f"127.0.1.{i}" for i in range(1, 30)]
# smtp-relay keeps 80 of its 200 for submission, the local socket and trusted hosts, imapd a quarter for proxies.
for port, n, most, sources, want in (("SMTP", 240, 120, many, rb"421 4\.\d\.\d "), ("SMTP", 80, 60, ["127.0.0.9"], rb"421 4\.\d\.\d "),
                                     ("LMTP", 110, 80, many, rb"421 4\.\d\.\d "), ("IMAP", 190, 112, many, rb"\* BYE \[LIMIT\] ")):
    tm.wait_for(lambda: held(port) == 0, what="the end of the crowd before")
    first = tm.wait_for(lambda: enter(port))
    tm.ok(first, f"{port}: somebody is there")
    good, said = crowd(port, n, sources)
    tm.ok(most - 10 <= len(good) <= most, f"{port}: up to {most} connections are served ({len(good)} of {n})")
    odd = [line for line in said if not re.match(want, line)]
    tm.is_((len(said) > 0, odd), (True, []), f"{port}: the others are told why")
    first.sendall(b"a NOOP\r\n" if port == "IMAP" else b"NOOP\r\n")
    tm.ok(b"OK" in (greeting(first).upper()), f"{port}: who was there goes on")
    if port == "SMTP" and sources is not many:
        sb.send(2, subject="another address")
        tm.ok(True, "SMTP: another address is served beside a crowd from one")
    for s in good + [first]:
        s.close()
    last = tm.wait_for(lambda: enter(port))
    tm.ok(last, f"{port}: the next one is served again")
    last.close()
health.check("crowds")

# Nobody says anything for a while, by thousands in turn.
for port in ("SMTP", "IMAP", "LMTP"):
    for i in range(1500 if not tm.SANITIZED else 500):
        hostile.abort(hostile.tcp(sb, port, many[i % len(many)])) if i % 2 else hostile.tcp(sb, port, many[i % len(many)]).close()
tm.ok(tm.wait_for(lambda: not hostile.reports(sb) and sb.call("status", sb.dir).returncode == 0), "thousands that come and go")
health.check("thousands")

# ---- slowness -----------------------------------------------------------------------------------------
context = ssl.create_default_context()
into, out = ssl.MemoryBIO(), ssl.MemoryBIO()
try:
    context.wrap_bio(into, out, server_hostname="localhost").do_handshake()
except ssl.SSLWantReadError:
    hello = out.read()
to = f"{sb.user(3)}@{sb.domain}".encode()
envelope = b"EHLO x\r\n|MAIL FROM:<a@b.test>\r\nRCPT TO:<%s>\r\n" % to
drips = [  # where, what is said at once, what drips, what is said at the end
    ("SMTP, a command", "SMTP", b"", b"EHLO " + b"x" * 500, b"421"), ("SMTP, silence", "SMTP", b"", b"", b"421"),
    ("SMTP, DATA", "SMTP", envelope + b"DATA\r\n", b"Subject: drip\r\n" * 50, b"421"), ("SMTP, BDAT", "SMTP", envelope + b"BDAT 5000\r\n", b"x" * 500, b"421"),
    ("SMTP, STARTTLS and silence", "SMTP", b"EHLO x\r\n|STARTTLS\r\n", b"", None), ("SUBMISSION, AUTH", "SUBMISSION", b"EHLO x\r\n", b"AUTH PLAIN " + b"A" * 500, b"421"),
    ("SUBMISSIONS, a handshake", "SUBMISSIONS", b"", hello * 3, None), ("SUBMISSIONS, silence", "SUBMISSIONS", b"", b"", None),
    ("LMTP, a command", "LMTP", b"LHLO x\r\n", b"MAIL FROM:<" + b"x" * 500, b"421"), ("LMTP, DATA and silence", "LMTP", envelope.replace(b"EHLO", b"LHLO") + b"DATA\r\n|x", b"", b"421"),
    ("IMAP, a command", "IMAP", b"", b"a LOGIN " + b"x" * 500, b"* BYE"), ("IMAP, a literal", "IMAP", b"a LOGIN {500}\r\n", b"x" * 500, b"* BYE"),
    ("IMAP, silence", "IMAP", b"", b"", b"* BYE"), ("IMAP, commands", "IMAP", b"", b"\r\n" * 500, b"* BYE"), ("IMAP, STARTTLS and silence", "IMAP", b"a STARTTLS\r\n", b"", None),
    ("IMAPS, a handshake", "IMAPS", b"", hello * 3, None), ("IMAPS, silence", "IMAPS", b"", b"", None)]
# Behind these nothing may be said before they are answered: the beginning of the answer's last line.
ENDS_GROUP = {b"EHLO x": b"250 ", b"LHLO x": b"250 ", b"DATA": b"354", b"a STARTTLS": b"a OK", b"STARTTLS": b"220", b"{500}": rb"\+"}
steady = hostile.Steady(sb)
steady.start()
start, open_, took = time.monotonic(), {}, {}
for what, port, said, drip, want in drips:
    s = hostile.tcp(sb, port, "127.0.0.7")
    if said:
        greeting(s)
        for part in said.split(b"|"):
            s.sendall(part)
            last = next((last for end, last in ENDS_GROUP.items() if part.endswith(end + b"\r\n")), None)
            heard = b""
            while last and not re.search(rb"^" + last, heard, re.M):
                more = read_some(s, tm.LONG)
                heard += more or b"\n" + last      # whoever hangs up is found out below
    s.setblocking(False)
    open_[s] = [what, drip, want, b""]
turn = 0
while open_ and time.monotonic() < start + 5 * T:
    for s in select.select(list(open_), [], [], 0.1)[0]:
        try:
            more = s.recv(65536)
        except OSError:
            more = b""
        if more:
            open_[s][3] += more
            continue
        what, _, want, got = open_.pop(s)
        took[what] = time.monotonic() - start
        last = got.strip().splitlines()[-1] if got.strip() else b""
        tm.ok(want is None or last.startswith(want), f"{what}: is cut off, and told so") or tm.diag(got[-300:])
        s.close()
    turn += 1
    for s, item in list(open_.items()):
        try:
            if turn % 2 and item[1]:
                s.send(item[1][:1])
                item[1] = item[1][1:]
        except OSError:
            pass
tm.is_([item[0] for item in open_.values()], [], f"all have been cut off by {5 * T} s")
late = {k: round(v) for k, v in took.items() if v > 3 * T}
tm.is_(late, {}, f"in time ({max(took.values()):.0f} s)")
early = {k: round(v, 1) for k, v in took.items() if v < T * 0.8}
tm.is_(early, {}, "and none before its time")
for s in open_:
    s.close()
steady.finish()
health.check("slowness")
tm.ok(sb.queue_empty(), "nothing of it is in the queue")
hostile.down(sb)
tm.done()
