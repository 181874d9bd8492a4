#!/usr/bin/env python3
"""Messages in pieces (message/partial, RFC 2046 5.2.2) are put together by the channel defragment: many pieces in any
order, what is missing, too large or hostile goes on as it came, and no kill loses or doubles anything."""
import email, os, random, re, resource, signal, sys, time
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tm
from milterd import Milter

sb = tm.Sandbox("--users", "8", "--set", "channels.channel tcp_lmtp.defragment=yes", "--set", "channel-master.fragments.size=200K")
D = sb.domain
random.seed(4)


def piece(s, to, ident, number, total, body, inner="", sender="out@sender.test", extra="", cte=""):
    head = f"From: <{sender}>\r\nTo: <u@{D}>\r\nSubject: outer {number}\r\nMessage-ID: <outer{number}.{ident[:20]}@sender.test>\r\nX-Outer: {number}\r\n"
    t = "" if total is None else f"; total={total}"
    head += f'MIME-Version: 1.0\r\nContent-Type: message/partial; id="{ident}"; number={number}{t}\r\n{cte}{extra}\r\n'
    s.mail(sender)
    code, text = s.rcpt(f"{sb.user(to)}@{D}")
    assert code == 250, (code, text)
    code, text = s.data((head + inner + body).encode())
    assert code == 250, (code, text)


def inner(what, fields=""):
    return f"From: <evil@inner.test>\r\nReceived: from nowhere by inner\r\nX-Inner: no\r\n{fields}Subject: {what}\r\nMessage-ID: <{what}@inner.test>\r\n" \
        "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Description: kept\r\n\r\n"


def send(to, ident, numbers, n, **kw):
    """The pieces `numbers` of n."""
    with sb.smtp() as s:
        s.ehlo()
        for i in numbers:
            piece(s, to, ident, i, n if i == n else None, f"line {i} of {ident}\r\n" * 3, inner=inner(ident) if i == 1 else "", **kw)


def whole(ident, n):
    return "".join(f"line {i} of {ident}\r\n" * 3 for i in range(1, n + 1))


def mails(user):
    return [email.message_from_bytes(m) for m in sb.messages(user)]


def text(m):
    return m.get_payload().replace("\r\n", "\n").replace("\n", "\r\n")


def waiting():
    return [f for f in sb.queue_files() if "/defragment/" in f]


def masters():
    out = []
    for p in sb.pids_of("channel-master"):
        try:
            with open(f"/proc/{p}/cmdline", "rb") as f:
                if b"defragment" in f.read():
                    out.append(p)
        except OSError:
            pass
    return out


def kill_masters(sig=signal.SIGKILL):
    for p in masters():
        try:
            os.kill(p, sig)
        except ProcessLookupError:
            pass


def conf(time):
    with open(sb.conf("channel-master.conf")) as f:
        text = f.read()
    with open(sb.conf("channel-master.conf"), "w") as f:
        f.write(re.sub(r"(?m)^\[fragments\]\n(time = .*\n)?", f"[fragments]\ntime = {time}\n", text, count=1))


# ---- many, in any order --------------------------------------------------------------------------------
order = list(range(1, 301))
random.shuffle(order)
send(1, "three-hundred", order, 300)
tm.ok(sb.queue_empty(tm.LONG), "300 pieces in any order")
got = mails(1)
tm.is_(len(got), 1, "are one message") or tm.diag([m["Subject"] for m in got][:5])
m = got[0]
tm.ok(text(m) == whole("three-hundred", 300), "which has all of them in their order")
tm.is_((m["Subject"], m["Message-ID"], m["From"], m["X-Outer"], m["Content-Description"], m["X-Inner"], m.get_content_type()),
       ("three-hundred", "<three-hundred@inner.test>", "<out@sender.test>", "1", "kept", None, "text/plain"), "with the fields that RFC 2046 says")
tm.ok(all("nowhere" not in r for r in m.get_all("Received")), "and no trace that no relay has written")

# ---- who does not belong together ------------------------------------------------------------------------
with sb.smtp() as s:
    s.ehlo()
    piece(s, 2, "guessed", 1, None, "first\r\n", inner=inner("guessed"))
    piece(s, 2, "guessed", 2, 2, "not yours\r\n", sender="evil@other.test")
    piece(s, 3, "guessed", 2, 2, "not for him\r\n")
tm.ok(tm.wait_for(lambda: len(waiting()) == 3), "another sender's and another recipient's pieces wait by themselves")
with sb.smtp() as s:
    s.ehlo()
    piece(s, 2, "guessed", 2, 2, "second\r\n")
tm.ok(tm.wait_for(lambda: sb.count(2) == 1), "the right one comes")
tm.is_(text(mails(2)[0]), "first\r\nsecond\r\n", "and is what is taken")
tm.is_(len(waiting()), 2, "the others wait on")
me = f"{sb.user(1)}@{D}"
with sb.smtp("SUBMISSION") as s:
    s.login(sb.user(1), sb.password)
    piece(s, 2, "own", 1, None, "first\r\n", inner=inner("own"), sender=me)
    with sb.smtp() as stranger:
        stranger.ehlo()
        piece(stranger, 2, "own", 2, 2, "a stranger's\r\n", sender=me)
    tm.ok(tm.wait_for(lambda: len(waiting()) == 4), "nor is what a stranger sends in the name of a user here his")
    piece(s, 2, "own", 2, 2, "second\r\n", sender=me)
tm.ok(tm.wait_for(lambda: sb.count(2) == 2) and text(mails(2)[1]) == "first\r\nsecond\r\n", "his own piece is")

# ---- descriptors that are short ------------------------------------------------------------------------------
send(2, "short", list(range(1, 30)), 30)
tm.ok(tm.wait_for(lambda: masters() and len(waiting()) == 32), "pieces of a message")
pid = masters()[0]
limits = resource.prlimit(pid, resource.RLIMIT_NOFILE)
most = max(int(n) for n in os.listdir(f"/proc/{pid}/fd"))
resource.prlimit(pid, resource.RLIMIT_NOFILE, (most + 8, limits[1]))
send(2, "short", [30], 30)
tm.ok(tm.wait_for(lambda: "Too many open files" in open(sb.env["RUNDIR"] + "/jobctl.log").read()), "the last comes, and not all can be opened")
resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)
tm.ok(tm.wait_for(lambda: sb.count(2) == 3) and text(mails(2)[-1]) == whole("short", 30), "when they can, they are one")
tm.is_(len(waiting()), 3, "none was forgotten")

# ---- a restart in the middle -------------------------------------------------------------------------------
send(4, "restart", [6, 2, 5, 1], 6)
tm.wait_for(lambda: masters() and len(waiting()) == 7)
kill_masters()
sb.kill("jobctl")
send(4, "restart", [3], 6)
sb.restart("jobctl")
send(4, "restart", [4], 6)
tm.ok(tm.wait_for(lambda: sb.count(4) == 1) and text(mails(4)[0]) == whole("restart", 6), "pieces outlive a kill of jobctl and channel-master")
tm.is_(len(waiting()), 3, "and are gone then")

# ---- hostile -------------------------------------------------------------------------------------------------
long = "x" * 2000
with sb.smtp() as s:
    s.ehlo()
    for ident, number, total in (("h0", 0, 2), ("h1", -1, 2), ("h2", 3, 2), ("h3", 4294967297, 4294967298), ("h4", 1, 99999999999), ("h5", "1x", 2), ("h6", 1001, None),
                                 (long, 1, 2), ("", 1, 2), ("h7", 2, 0)):
        piece(s, 5, ident, number, total, f"as it is {number}\r\n")
    piece(s, 5, "h8", 1, 2, "YWJj\r\n", cte="Content-Transfer-Encoding: base64\r\n")
    piece(s, 5, "h9", 1, 3, "one\r\n")
    piece(s, 5, "h9", 1, 3, "one again\r\n")
    piece(s, 5, "h9", 2, 4, "another total\r\n")
    piece(s, 5, "h9", 4, None, "beyond it\r\n")
tm.ok(tm.wait_for(lambda: sb.count(5) == 14), "pieces that cannot be put together go on as they came") or tm.diag([m["Content-Type"] for m in mails(5)])
tm.is_(len(waiting()), 4, "what may still be whole waits")
with sb.smtp() as s:
    s.ehlo()
    for i in range(1, 5):
        piece(s, 6, "big", i, 4 if i == 4 else None, ("y" * 70 + "\r\n") * 900, inner=inner("big") if i == 1 else "")
tm.ok(tm.wait_for(lambda: sb.count(6) >= 1), "above fragments.size they stay in pieces")
tm.ok(all(m.get_content_type() == "message/partial" for m in mails(6)), "each as it came")

# ---- time ------------------------------------------------------------------------------------------------------
send(7, "missing", [1, 2, 4], 4)
tm.wait_for(lambda: len(waiting()) >= 7)
held = len(waiting())
time.sleep(1)
tm.is_((sb.count(7), len(waiting())), (0, held), "one is missing: the others wait")
conf("1s")
kill_masters()
sb.tool("jobctl-ctl", "retry", "channel=defragment")
tm.ok(sb.queue_empty(), "until fragments.time is over")
tm.is_(sorted((m["X-Outer"], m.get_content_type()) for m in mails(7)), [(str(n), "message/partial") for n in (1, 2, 4)], "then they go on as they came")
tm.is_(sb.count(6), 4, "so do those that were too large together")
tm.is_(sb.count(3), 1, "and that of another recipient")

# ---- removed by an operator -----------------------------------------------------------------------------------
conf("1d")
kill_masters()
sb.tool("jobctl-ctl", "retry", "channel=defragment")
send(3, "again", [1, 3], 3)
tm.ok(tm.wait_for(lambda: masters() and len(waiting()) == 2), "two of three")
tm.is_(sb.tool("jobctl-ctl", "delete", "channel=defragment").returncode, 0, "are removed")
tm.ok(tm.wait_for(lambda: not waiting()), "and gone")
send(3, "again", [3, 1, 2], 3)
tm.ok(tm.wait_for(lambda: sb.count(3) > 1 and not waiting()) and sb.count(3) == 2 and text(mails(3)[1]) == whole("again", 3), "they come again: as one")

# ---- killed anywhere --------------------------------------------------------------------------------------------
conf("1d")
kill_masters()
N = 12
for k in range(N):
    numbers = list(range(1, 9))
    random.shuffle(numbers)
    send(8, f"kill{k}", numbers, 8)
    time.sleep(random.random() * 0.05)
    kill_masters()


def settled():
    if not waiting():
        return True
    sb.tool("jobctl-ctl", "retry", "channel=defragment")
    return False


tm.ok(tm.wait_for(settled, tm.LONG), f"{N} messages in pieces, and a kill for each") or tm.diag(waiting())
tm.ok(sb.queue_empty(), "the queue is empty")
got = sorted(text(m) for m in mails(8))
tm.is_(len(got), N, "each has come once, none in pieces") or tm.diag([(m["Subject"], m.get_content_type()) for m in mails(8)])
tm.ok(got == sorted(whole(f"kill{k}", 8) for k in range(N)), "and whole")

# ---- what mail filters have seen, and what they would not see ------------------------------------------------------
seen = Milter(f"127.0.0.1:{tm.free_port()}")
with open(sb.conf("smtp-relay.conf"), "a") as f:
    f.write(f"\n[milter it]\naddress = {seen.address}\n")
sb.restart("smtp-relay")
before = sb.count(7)
send(7, "filtered", [2, 1], 2)
tm.ok(tm.wait_for(lambda: sb.count(7) == before + 2), "with filters pieces go on as they came")
tm.is_(sorted(m.get_content_type() for m in mails(7)[before:]), ["message/partial"] * 2, "which is what filters have seen")
tm.is_(sum(k == "E" for h in seen.heard for k, _ in h), 2, "(both of them)")
tm.done()
