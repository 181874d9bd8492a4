#!/usr/bin/env python3
"""The sockets between our own daemons and the control sockets under attack: jobctl.sock by lines,
stored.sock by packets, NAME.ctl by both; hang-ups with requests in flight, descriptors where none
belong, peers that never read, thousands of connections.  Mail goes on meanwhile."""
import array, os, re, socket, struct, time
import hostile, tm
from hostile import read_all, read_some, rnd, unix

ROUNDS = float(os.environ.get("ROUNDS", "1"))
sb = tm.Sandbox("--users", "5", "--set", "tiermail.log_level=warn")


def times(n):
    return range(max(1, int(n * ROUNDS / (2 if tm.SANITIZED else 1))))


for u in (1, 3, 3):
    sb.send(u, subject="first")
tm.ok(tm.wait_for(lambda: sb.count(3) == 2 and sb.count(1) == 1), "mail arrives")
c = hostile.Raw(sb, login=1)
c.ok("SELECT INBOX")
c.ok("STORE 1:* +FLAGS (\\Deleted)")
c.ok("EXPUNGE")
c.close()
steady, health = hostile.Steady(sb), hostile.Health(sb)
steady.start()


# ---- jobctl.sock -------------------------------------------------------------------------------
def job_ask(*lines):
    """The answers of an operator's connection up to `ok` or `error`."""
    with unix(sb, "jobctl.sock") as s, s.makefile("rwb") as f:
        for line in lines:
            f.write(line.encode() + b"\n")
            f.flush()
            said = []
            while not said or not said[-1].startswith(("ok", "error")):
                got = f.readline()
                if not got:
                    return said + ["closed"]
                said.append(got.decode().strip())
        return said


def queue_of(sb):
    line = job_ask("status")[0]
    return {k: v for k, v in (w.split("=") for w in line.split()[1:])}


good = ["hello who=x pid=1", "hello who=x pid=2 channel=tcp_lmtp slots=3", "status", "channels", "list", "show qid=1234567890123",
        "list channel=tcp_lmtp state=waiting", "retry dest=nowhere.test", "hold qid=123456789012300", "release id=1234567890123", "delete id=123456789012300",
        "start channel=tcp_lmtp", "rescan", "drop id=0", "drop id=1 after=1", "noted id=2", "retry id=0 next=1", "held id=4294967295",
        "new channel=tcp_local file=ZZ1testmsg0000100.00 dest=nowhere.test size=1 nrcpt=1 prio=1 at=1"]


def damage(line):
    line = bytearray(line.encode())
    for _ in range(rnd.randrange(3)):
        at = rnd.randrange(len(line) + 1)
        line[at:at + rnd.randrange(3)] = rnd.choice([b"\0", b"%", b"%00", b"=", b" ", b"\xff\xfe", b"-1", b"99999999999999999999", b"x" * 5000, b"\r", b"../", b"id=0 "])
    # What these do to everybody's mail is what they are for.
    return b"" if re.match(rb"(hold|delete|stop|done|held|retry)\b(?!.*(?:id=1234|id=42949|dest=nowhere))", line) else bytes(line)


for i in times(250):
    s = unix(sb, "jobctl.sock")
    try:
        if rnd.random() < 0.15:
            s.sendall(rnd.randbytes(rnd.choice([1, 100, 5000, 100000])))
        elif rnd.random() < 0.1:
            s.sendall(b"status" + b" " * 100000)
        else:
            data = b"".join(damage(rnd.choice(good)) + b"\n" for _ in range(rnd.randrange(1, 12)))
            s.sendall(data[:rnd.randrange(len(data) + 1)] if rnd.random() < 0.3 else data)
        if rnd.random() < 0.5:
            read_some(s, 0.005)
    except OSError:
        pass
    s.close()
health.check("jobctl.sock, damaged lines")

# A master of our own takes leases of real mail, says nonsense about them and hangs up.
for i in range(5):
    with unix(sb, "jobctl.sock") as s:
        s.sendall(b"hello who=thief pid=%d channel=tcp_lmtp slots=%d\n" % (rnd.choice([1, os.getpid(), 2**31 - 1]), rnd.choice([1, 50, 10000])))
        for _ in range(3):
            sb.send(3, subject="stolen")
        read_some(s, 0.2)
        s.sendall(b"noted id=9999\nretry id=7000 next=0\ndone id=4294967295\ndone\ndone id=-1\nhello channel=tcp_lmtp slots=4\n"
                  b"drop id=0\nwork id=0\nstatus\nleave\n")
        read_some(s, 0.05)
tm.ok(sb.queue_empty(), "what a master had when it hung up is delivered by others")
tm.ok(tm.wait_for(lambda: sb.count(3) == 17), "all of it") or tm.diag(sb.count(3))

# Messages that are not there.
names = [f"ZZ9phantom{i:05d}00.00" for i in range(200)]
with unix(sb, "jobctl.sock") as s:
    for i, name in enumerate(names):
        s.sendall(f"new channel={rnd.choice(['tcp_lmtp', 'tcp_local'])} file={name} dest=d{i % 7}.test size=1 nrcpt=1 prio=1 at=1\n".encode())
tm.ok(tm.wait_for(lambda: int(queue_of(sb)["messages"]) - len(sb.queue_files()) <= 5), "files that do not exist are forgotten") or tm.diag(queue_of(sb))

# Channels that nobody has configured.
with unix(sb, "jobctl.sock") as s:
    for i in range(300):
        name = rnd.choice(["c%d" % i, "x" * 200, "../../etc", "%2fetc", ".", "a b", "a%00b", ""])
        s.sendall(f"new channel={name} file=ZZ9phantom{i:05d}01.00 dest=d.test size=1 nrcpt=1 prio=1 at=1\n".encode())
        s.sendall(f"hello channel={name} slots=1\n".encode())
tm.ok(len(job_ask("channels")) < 20, "unknown channels are not invented") or tm.diag(len(job_ask("channels")))
tm.ok(len(sb.pids_of("channel-master")) < 10, "and get no processes")

# Nobody reads the answers.
s = unix(sb, "jobctl.sock")
s.setblocking(False)
sent, moved = 0, time.monotonic()
while time.monotonic() < moved + tm.SLOW and sent < 60e6:      # until nothing more is taken
    try:
        sent += s.send(b"status\nlist\n" * 4000)
        moved = time.monotonic()
    except BlockingIOError:
        time.sleep(0.01)
    except OSError:
        break
mib = hostile.usage(sb, "jobctl")[1] - health.before["jobctl"][1]
tm.ok(mib < (400 if tm.SANITIZED else 100), f"jobctl keeps little for an operator who does not read ({mib:.1f} MiB)")
s.close()
socks = [unix(sb, "jobctl.sock") for _ in range(hostile.CROWD)]
for s in socks[::3]:
    s.sendall(b"hello who=many channel=tcp_lmtp slots=10000\n" if rnd.random() < 0.1 else b"stat")
tm.is_(job_ask("status")[-1], "ok", f"jobctl answers beside {hostile.CROWD} connections")
for s in socks:
    s.close()
health.check("jobctl.sock, thieves and crowds")


# ---- stored.sock --------------------------------------------------------------------------------------
from storewire import *  # noqa: E402


def seq():
    return unix(sb, "stored.sock", socket.SOCK_SEQPACKET)


victim = f"{sb.user(4)}@{sb.domain}".encode()
s = seq()
reply = ask(s, ACCOUNT, body(name=victim))
account, inbox = reply.get(R_ACCOUNT), reply.get(R_MAILBOX)
tm.ok(account and inbox, "stored answers a client written by hand")


def deliver(s, text, size, to=victim):
    reply = ask(s, BODIES, body(count=1), 7)
    for fd in reply.fds:
        os.write(fd, text)
        os.close(fd)
    return ask(s, DELIVER, body(messages=[message(reply.get(R_TOKEN), size)], targets=[target(to)]), 8)


text = b"Subject: by hand\r\n\r\nbody\r\n"
deliver(s, text, len(text))
tm.is_(sb.count(4), 1, "and delivers for it")
for size in (0, 5, len(text) + 1000, 2**32 - 1):
    deliver(s, text, size)
s.close()
bodies = [d for d in sb.messages(4) if d]
tm.ok(bodies and all(b"by hand" in b for b in bodies), "a wrong size does no harm to readers") or tm.diag(bodies)

verbs = [PING, HELLO, BODIES, RELEASE, WATCH, DELIVER, APPEND, ACCOUNT, CREATE, DELETE, RENAME, SUBSCRIBE, FLAGS, EXPUNGE, COPY, MOVE, RESERVE, RECOUNT,
         SETTLE, REPLACE, ACL]
# The fields that each verb has, so that most requests get as far as they can.
OF = {HELLO: "min max name", BODIES: "count partition", RELEASE: "token", WATCH: "yes", DELIVER: "messages targets",
      APPEND: "mailbox messages limit_bytes", ACCOUNT: "name partition", CREATE: "account name use", DELETE: "account name", RENAME: "account name name2",
      SUBSCRIBE: "account name yes", FLAGS: "mailbox ranges how flags keywords options since", EXPUNGE: "mailbox ranges options",
      COPY: "mailbox mailbox2 ranges", MOVE: "mailbox mailbox2 ranges",
      REPLACE: "mailbox mailbox2 ranges messages limit_bytes", RESERVE: "mailbox", RECOUNT: "account", SETTLE: "mailbox ranges",
      ACL: "mailbox name how count"}


def request(s):
    """A packet that is nearly right: the ids are the victim's or nobody's, so that no other user is hit."""
    verb = rnd.choice(verbs)
    some = dict(account=rnd.choice([account, account | 1 << 40, 0]), mailbox=rnd.choice([inbox, inbox | 1 << 40]),
                mailbox2=rnd.choice([inbox, inbox | 1 << 40, 1 << 60]), since=rnd.choice([0, 1, 2**64 - 1]), token=rnd.choice([0, 1, 2**64 - 1]),
                count=rnd.choice([0, 1, 16, 2**32 - 1]), how=rnd.randrange(4), use=rnd.choice([0, 1, 255]), yes=rnd.randrange(3), options=rnd.randrange(4),
                flags=rnd.randrange(65536), min=rnd.choice([0, 2, 3]), max=rnd.choice([1, 2, 65535]), limit_bytes=rnd.choice([0, 1, 2**64 - 1]),
                name=rnd.choice([b"", b"a", b"a/b", b"INBOX", b"..", b"/", victim, b"x" * 2000, b"a\0b", b"\xff", b"&-", b"Trash", b"primary"]),
                name2=rnd.choice([b"", b"b", b"a/b/c", b"../../x", b"y" * 300]), partition=rnd.choice([b"", b"no", b"primary"]),
                keywords=rnd.choice([b"", b"k", b"k l", b"( ", b"k" * 1000, b"k%d " * 200]),
                ranges=rnd.choice([(), [(1, 2**32 - 1)], [(5, 1)], [(0, 0)], [(i * 2 + 1, i * 2 + 1) for i in range(900)]]),
                messages=[message(rnd.choice([0, 1, 2**64 - 1]), rnd.randrange(100), b"c" * rnd.randrange(3000), b"", rnd.randrange(5)) for _ in range(rnd.randrange(3))],
                targets=[target(rnd.choice([victim, b"", b"x", b"../x@y", b"A@B", b"a" * 500 + b"@b", b"a/b@c"]), rnd.choice([b"", b"a", b"no", b"/.."]),
                                rnd.choice([b"", b"no"])) for _ in range(rnd.randrange(3))])
    # The ids come first and stay whole.
    names = sorted(OF.get(verb, "").split(), key=lambda n: n not in ("account", "mailbox", "mailbox2"))
    whole = body(**{n: some[n] for n in names})
    safe = sum(14 for n in names if n in ("account", "mailbox", "mailbox2") and some[n])
    if rnd.random() < 0.5:
        whole = whole[:safe] + hostile.mutate(whole[safe:], 3)
    if rnd.random() < 0.1:
        whole = whole[:rnd.randrange(len(whole) + 1)]
    if rnd.random() < 0.1:
        whole += field(rnd.randrange(64), rnd.randbytes(8), rnd.random() < 0.5)
    actor = rnd.choice([b"", b"", victim, b"a" * 240])
    return head(verb, rnd.randrange(5), actor=actor, trace=rnd.choice([b"", b"sid1", b"x" * 60])) + whole[:90000]


def give_fds(s, data, n):
    pipes = [os.pipe() for _ in range((n + 1) // 2)]
    fds = [fd for p in pipes for fd in p][:n]
    try:
        s.sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds).tobytes())])
    except OSError:
        pass
    for p in pipes:
        for fd in p:
            os.close(fd)


for i in times(150):
    s = seq()
    s.settimeout(1)
    try:
        for _ in range(rnd.randrange(1, 25)):
            s.send(request(s))
        if rnd.random() < 0.7:
            read_some(s, 0.005)
    except OSError:
        pass
    s.close()
health.check("stored.sock, nearly right requests")

for i in times(200):
    s = seq()
    s.settimeout(1)
    try:
        kind = i % 8
        if kind == 0:
            s.send(rnd.randbytes(rnd.choice([1, 7, 8, 9, 100, 120000])))
        elif kind == 1:
            s.send(head(rnd.randrange(256), rnd.getrandbits(32), rnd.getrandbits(16)) + rnd.randbytes(rnd.randrange(300)))
        elif kind == 2:
            s.send(head(PING, protocol=rnd.choice([0, 1, 3, 255])))
        elif kind == 3:
            s.send(head(CREATE, 5, 1) + body(account=account, name=b"z"))  # more follows: something else, or nothing
            s.send(head(rnd.choice([PING, CREATE]), rnd.choice([5, 6]), rnd.randrange(2)) + b"x")
        elif kind == 4:
            give_fds(s, head(PING) + body(), rnd.choice([1, 16, 32, 64, 250]))
        elif kind == 5:
            give_fds(s, b"", rnd.choice([1, 16, 31]))      # an empty packet
        elif kind == 6:
            s.send(head(WATCH) + body(yes=1))
            s.send(head(BODIES) + body(count=16))          # descriptors that nobody takes
            s.send(head(BODIES) + body(count=16, partition=b"nowhere"))
        else:
            for _ in range(200):                           # 16 MiB and more of one body
                s.send(head(CREATE, 5, 1) + bytes(96 * 1024))
        read_some(s, 0.002)
    except OSError:
        pass
    s.close()
health.check("stored.sock, damaged packets and descriptors")

# Nobody reads the replies.
socks = [seq() for _ in range(4)]
for s in socks:
    s.setblocking(False)
ping, flood = head(PING) + body(), head(CREATE) + body(account=account, name=b"n" * 60000)
sent, moved, end = 0, time.monotonic(), time.monotonic() + 4 * tm.SLOW
while time.monotonic() < min(end, moved + tm.SLOW):
    for s in socks:
        try:
            for _ in range(200):
                s.send(ping if s is not socks[0] else flood)
                sent, moved = sent + 1, time.monotonic()
        except OSError:
            pass
    time.sleep(0.002)
mib = hostile.usage(sb, "stored")[1] - health.before["stored"][1]
tm.ok(mib < (500 if tm.SANITIZED else 40), f"stored keeps little for clients that never read ({sent} requests, {mib:.1f} MiB)")
with seq() as s:
    tm.ok(ask(s, PING).kind == 2, "and answers others")
for s in socks:
    s.close()

# In flight when the client goes.
for i in times(60):
    s = seq()
    try:
        for k in range(50):
            s.send(head(rnd.choice([CREATE, SUBSCRIBE, DELETE]), k + 1) + body(account=account, name=b"fly%d" % (k % 5)))
        s.send(head(BODIES, 99) + body(count=16))
    except OSError:
        pass
    s.close()
socks = [seq() for _ in range(hostile.CROWD // 2)]
with seq() as s:
    tm.ok(ask(s, PING).kind == 2, f"stored answers beside {hostile.CROWD // 2} connections")
for s in socks:
    s.close()
health.check("stored.sock, floods and hang-ups")

# ---- control sockets -----------------------------------------------------------------------------------------
for d in hostile.DAEMONS:
    for i in times(30):
        s = unix(sb, d + ".ctl")
        try:
            s.sendall([b"\0\n", b"x" * 5000, b"status", b"metrics\nmetrics\nmetrics\n" * 1000, rnd.randbytes(3000), b"\n", b"status\xff\n", b"statu s\n"][i % 8])
            if i % 3:
                read_some(s, 0.01)
        except OSError:
            pass
        s.close()
    socks = [unix(sb, d + ".ctl") for _ in range(300)]
    for s in socks:
        s.sendall(b"metrics\n")
    answered = sum(read_some(s, 5) not in (None, b"") for s in socks)
    tm.is_(answered, 300, f"{d}.ctl answers 300 at once")
    for s in socks:
        s.close()
health.check("control sockets")

steady.finish()
r = sb.tool("storectl", "check")
tm.is_(r.returncode, 0, "storectl check finds nothing") or tm.diag(r.stdout + r.stderr)
hostile.down(sb)
tm.done()
