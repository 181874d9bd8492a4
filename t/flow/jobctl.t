#!/usr/bin/env python3
"""jobctl alone: leases, backoff, restarts, kill -9, operators' verbs.  The spool's files are
written here by hand, after tiermail-queue(5); the masters are this script (attached by hand) or
a little program that jobctl starts."""
import json, os, re, signal, socket, subprocess, sys, time
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tm

DIR = tm.tempdir()
RUN, QUEUE, ETC, LIBEXEC = (os.path.join(DIR, d) for d in ("run", "queue", "etc", "libexec"))

# ---- the spool, after tiermail-queue(5) -----------------------------------------------------

TABLE = []
for n in range(256):
    for _ in range(8):
        n = (n >> 1) ^ (0x82F63B78 if n & 1 else 0)
    TABLE.append(n)


def crc(data, c=0):
    c ^= 0xFFFFFFFF
    for b in data:
        c = TABLE[(c ^ b) & 255] ^ (c >> 8)
    return c ^ 0xFFFFFFFF


def path(channel, name):
    return f"{QUEUE}/{channel}/{crc(name[2:17].encode()) % 32:02x}/{name}"


serial = 0


def message(dest, body=b"Subject: x\r\n\r\nhello\r\n", at=None, channel="tcp_local", journal=(), prefix="ZZ",
            held=False):
    """Writes a queue file; returns its name."""
    global serial
    serial += 1
    fid = f"1testmsg{serial:05d}00"
    at = time.time() if at is None else at
    head = (f"message id={fid} qid={fid[:13]} at={int(at * 1000)} prio=normal body=7bit utf8=0\n"
            f"from sender=s@example.net\norigin source=test\n"
            f"to channel={channel} dest={dest} rcpts=1\nrcpt n=0 addr=u@{dest}\nEND\n").encode()
    first = f"tiermail-queue 1 head={79 + len(head):08x} body={len(body):016x} sum={crc(body):08x}".encode()
    data = first + b" crc=%08x\n" % crc(first, crc(head)) + head + body
    for line in journal:
        data += line.encode() + b" crc=%08x\n" % crc(line.encode(), crc(fid.encode()))
    name = prefix + fid + (".HELD" if held else ".00")
    os.makedirs(os.path.dirname(path(channel, name)), exist_ok=True)
    with open(path(channel, name), "wb") as f:
        f.write(data)
    return name


def count_down(name, prefix):
    """What a master does to the name when an attempt has failed."""
    os.rename(path("tcp_local", name), path("tcp_local", prefix + name[2:]))


def new(name, dest, at=None, channel="tcp_local"):
    return f"new channel={channel} file={name} dest={dest} size=20 nrcpt=1 prio=1 at={int(at or time.time())}"


# ---- the daemon and its peers ------------------------------------------------------------------

daemon = None


def start():
    global daemon
    log = open(f"{DIR}/log", "ab")
    tm.watch_log(f"{DIR}/log")
    daemon = subprocess.Popen([f"{tm.BINDIR}/jobctl", "-c", f"{ETC}/jobctl.conf"], stderr=log, stdin=subprocess.DEVNULL)
    tm.wait_for(lambda: status().get("scan") == "done", what="jobctl to scan")


def kill(sig=signal.SIGKILL):
    daemon.send_signal(sig)
    return daemon.wait(tm.LONG)


class Peer:
    """A connection to jobctl."""

    def __init__(self, hello=None):
        self.s = socket.socket(socket.AF_UNIX)
        self.s.settimeout(tm.LONG)
        self.s.connect(f"{RUN}/jobctl.sock")
        self.f = self.s.makefile("rb")
        if hello:
            self.say(hello)

    def say(self, *lines):
        self.s.sendall("".join(x + "\n" for x in lines).encode())

    def line(self):
        return self.f.readline().decode().rstrip("\n")

    def work(self):
        """The next lease: a dict with its keys."""
        words = self.line().split(" ")
        while words[0] in ("halt", "go"):     # the channel was stopped, started
            words = self.line().split(" ")
        assert words[0] == "work", words
        return dict(w.split("=", 1) for w in words[1:])

    def silent(self, seconds=0.2):
        self.s.settimeout(seconds)
        try:
            got = self.s.recv(1, socket.MSG_PEEK)
        except socket.timeout:
            return True
        finally:
            self.s.settimeout(tm.LONG)
        return got == b"" and "closed"

    def ask(self, verb):
        self.say(verb)
        lines = []
        while not lines or not lines[-1].startswith(("ok", "error")):
            lines.append(self.line())
        return lines

    def close(self):
        self.f.close()
        self.s.close()


def ask(verb):
    p = Peer()
    try:
        return p.ask(verb)
    finally:
        p.close()


def keys(line):
    return dict(w.split("=", 1) for w in line.split(" ")[1:])


def status():
    try:
        return keys(ask("status")[0])
    except OSError:
        return {}


def channel(name="tcp_local"):
    return next(k for k in map(keys, ask("status")[1:-1]) if k["name"] == name)


def master(slots=4, chan="tcp_local"):
    return Peer(f"hello who=test channel={chan} pid={os.getpid()} slots={slots}")


# ---- setting up -----------------------------------------------------------------------------------

for d in (RUN, QUEUE, ETC, LIBEXEC):
    os.makedirs(d)
with open(f"{ETC}/tiermail.conf", "w") as f:
    f.write(f"hostname = test.example\nrundir = {RUN}\nqueue = {QUEUE}\nlibexec = {LIBEXEC}\n")
with open(f"{ETC}/jobctl.conf", "w") as f:
    f.write("[pool SMALL]\njob_limit = 1\n[pool PAIR]\njob_limit = 2\n")
with open(f"{ETC}/channels.conf", "w") as f:
    f.write("[channel tcp_local]\nbackoff = 1h 2h\nnotices = 1d 3d\nmaxjobs = 1\nconcurrency_start = 4\n"
            "[channel auto]\nmaxjobs = 1\n[channel broken]\nmaxjobs = 1\n[channel paced]\nmaxjobs = 4\nconcurrency = 6\nrate = 20/1h\n"
            "[channel one]\npool = SMALL\n[channel two]\npool = SMALL\n"
            "[channel three]\npool = PAIR\n[channel four]\npool = PAIR\n")
# A master of the simplest kind: takes a message, removes it, says so.
with open(f"{LIBEXEC}/channel-master", "w") as f:
    f.write(f"""#!{sys.executable}
import glob, os, socket, sys
channel = sys.argv[3]
if channel not in ("auto", "one", "two"):
    sys.exit(1)
s = socket.socket(socket.AF_UNIX)
s.connect("{RUN}/jobctl.sock")
s.sendall(b"hello who=auto channel=%s pid=%d slots=1\\n" % (channel.encode(), os.getpid()))
f = s.makefile("rb")
for n in range(3 if channel == "auto" else 1000):
    w = dict(x.split(b"=", 1) for x in f.readline().split()[1:])
    if not w:
        break
    os.unlink(glob.glob("{QUEUE}/" + channel + "/*/" + w[b"file"].decode())[0])
    s.sendall(b"done id=%s\\n" % w[b"id"])
""")
os.chmod(f"{LIBEXEC}/channel-master", 0o755)


def cleanup():
    if daemon and daemon.poll() is None:
        kill(signal.SIGTERM)


import atexit
atexit.register(cleanup)

# ---- live: new, work, done ------------------------------------------------------------------------------

start()
feeder = Peer("hello who=feeder pid=1")
m = master(slots=2)
tm.wait_for(lambda: status().get("scan") == "done")
a, b, c = (message("x.example") for _ in range(3))
feeder.say(*(new(n, "x.example") for n in (a, b, c)))
w1, w2 = m.work(), m.work()
tm.is_([w1["file"], w2["file"]], [a, b], "work comes in order of arrival")
tm.is_(w1["dest"], "x.example", "with its destination")
tm.is_((w1["attempt"], w1["backoff"]), ("0", "3600"), "and what a failure would cost")
tm.ok(m.silent(), "no more leases than slots")
m.say(f"done id={w1['id']}")
w3 = m.work()
tm.is_(w3["file"], c, "a result makes room for the next")
os.unlink(path("tcp_local", a))
feeder.say(new(c, "x.example"))
tm.ok(m.silent(), "an announcement of a known file changes nothing")
os.unlink(path("tcp_local", b))
os.unlink(path("tcp_local", c))
m.say(f"done id={w2['id']}", f"done id={w3['id']}", "done id=99", "nonsense x=1")
tm.wait_for(lambda: status().get("messages") == "0")
tm.is_(status().get("messages"), "0", "nothing is left; nonsense is survived")

# ---- leases ------------------------------------------------------------------------------------------------

a = message("x.example")
feeder.say(new(a, "x.example"))
tm.is_(m.work()["file"], a, "a lease")
m2 = master()
m.close()
tm.is_(m2.work()["file"], a, "a lost connection gives it to another at once")
m2.say("drop id=0")
tm.is_(m2.work()["file"], a, "a dropped lease comes again")
m2.say(f"drop id=0 after=3600")
tm.wait_for(lambda: channel()["waiting"] == "1")
tm.is_(channel()["waiting"], "1", "or later")
tm.is_(ask(f"retry qid={a[2:15]}")[-1], "ok n=1", "an operator asks for it now")
w = m2.work()
tm.is_((w["file"], w["attempt"]), (a, "0"), "it comes, and no attempt was counted")

# ---- kill -9 and a schedule on disk -----------------------------------------------------------------------

kill()
tm.ok(m2.line() == "", "masters notice that jobctl died")
m2.close()
late = message("y.example", journal=[f"attempt n=3 next={int(time.time()) + 5000}"], prefix="ZW")
old = message("z.example", at=time.time() - 2 * 86400, journal=["attempt n=9 next=1"], prefix="ZQ")
dead = message("z.example", at=time.time() - 4 * 86400, journal=["attempt n=20 next=1"], prefix="ZF")
held = message("h.example", held=True)
torn = message("t.example")
with open(path("tcp_local", torn), "r+b") as f:
    f.truncate(50)
bad = message("t.example")
with open(path("tcp_local", bad), "r+b") as f:
    f.seek(120)
    f.write(b"\xff")
unheard = message("x.example")
start()
feeder.close()
tm.ok(not os.path.exists(path("tcp_local", torn)), "a torn file is removed")
tm.ok(os.path.exists(path("tcp_local", bad[:-3] + ".HELD")), "a damaged one is set aside")
k = channel()
tm.is_((k["waiting"], k["held"], k["ready"]), ("1", "1", "4"), "schedules survive kill -9")
msg = next(keys(x) for x in ask(f"list qid={late[2:15]}") if x.startswith("msg"))
tm.ok(msg["attempts"] == "3" and int(msg["next"]) > time.time() + 4000, "to the second")
m = master(slots=8)
got = {w["file"]: w for w in (m.work() for _ in range(4))}
tm.is_(got[a]["check"], "1", "what a scan found is to be checked")
tm.ok(unheard in got, "what nobody announced is found")
tm.is_((got[old].get("action"), got[old].get("notice")), ("notice", "1"), "a delay warning is due")
tm.is_(got[dead].get("action"), "expire", "one is too old")
for n in (dead, a):
    os.unlink(path("tcp_local", n))
count_down(unheard, "ZY")
m.say(f"noted id={got[old]['id']}", f"done id={got[dead]['id']}", f"done id={got[a]['id']}",
      f"retry id={got[unheard]['id']} next={int(time.time()) + 4000}")
w = m.work()
tm.is_((w["file"], w.get("action"), w["attempt"]), (old, None, "9"), "after the warning it is tried")
count_down(old, "ZP")
m.say(f"retry id={w['id']} next={int(time.time()) + 10**6}")
tm.wait_for(lambda: channel()["waiting"] == "3")
msg = next(keys(x) for x in ask(f"list qid={old[2:15]}") if x.startswith("msg"))
tm.ok(msg["attempts"] == "10" and int(msg["next"]) < time.time() + 86400 + 10,
      "no wait goes beyond the last day")
tm.is_(msg["file"][:2], "ZP", "the name counts down")

# ---- operators ------------------------------------------------------------------------------------------------

def state(name):
    return [re.search(r"state=(\S+)", x)[1] for x in ask(f"list qid={name[2:17]}") if x.startswith("msg")]


tm.is_(ask("release channel=tcp_local")[-1], "ok n=1", "released")
w = m.work()
tm.is_(w["file"], held.replace(".HELD", ".00"), "and handed out")
tm.ok(os.path.exists(path("tcp_local", w["file"])), "under its old name")
tm.is_(ask("delete qid=" + held[2:15])[-1], "ok n=1", "deleted while in flight")
tm.ok(os.path.exists(path("tcp_local", w["file"])), "but not under the master's hands")
count_down(w["file"], "ZY")
m.say(f"retry id={w['id']} next={int(time.time()) + 60}")
tm.wait_for(lambda: not os.path.exists(path("tcp_local", "ZY" + w["file"][2:])))
tm.ok(not os.path.exists(path("tcp_local", "ZY" + w["file"][2:])), "only when the lease ends")
tm.is_(ask("hold dest=y.example")[-1], "ok n=1", "held by destination")
tm.ok(os.path.exists(path("tcp_local", late[:-3] + ".HELD")), "the name says so")
tm.is_(ask("stop channel=tcp_local"), ["ok"], "a channel stops")
tm.is_(m.line(), "halt", "its master hears of that")
feeder = Peer("hello who=feeder pid=1")
tm.wait_for(lambda: status().get("scan") == "done", what="the scan that a new feeder brings: it would see what comes and goes")
a = message("x.example")
feeder.say(new(a, "x.example"))
tm.wait_for(lambda: state(a) == ["ready"])
tm.ok(m.silent(), "and gives no work")
tm.is_(ask("start channel=tcp_local"), ["ok"], "it starts")
w = m.work()
tm.is_(w["file"], a, "and gives it")
os.unlink(path("tcp_local", a))
m.say(f"done id={w['id']}")
tm.is_(ask("start channel=nowhere")[-1], "error why=no%20such%20channel", "an unknown channel")
tm.ok(ask("delete")[-1].startswith("error"), "delete without a filter is refused")
tm.ok(ask("list qid=short")[-1].startswith("error"), "a bad id too")
tm.wait_for(lambda: state(a) == [], what="the end of the lease")
tm.is_(len(ask("list channel=tcp_local")), 4, "three messages are left")

# ---- the tools -----------------------------------------------------------------------------------------------------


def tool(name, *args):
    r = subprocess.run([f"{tm.BINDIR}/{name}", "-c", f"{ETC}/tiermail.conf", *args], capture_output=True, text=True,
                       timeout=tm.LONG)
    return r.returncode, r.stdout, r.stderr


code, text, err = tool("mailq")
tm.ok(code == 0 and text.count("<s@example.net>") == 3 and "1 held" in text, "mailq lists them")
tm.ok("u@y.example" in text and "to x.example, 1 attempt, next in" in text, "with what matters") or tm.diag(text + err)
code, text, err = tool("mailq", "--json")
rows = [json.loads(x) for x in text.splitlines()]
tm.is_(sorted((r["dest"], r["state"], r["attempts"]) for r in rows),
       [("x.example", "waiting", 1), ("y.example", "held", 3), ("z.example", "waiting", 10)], "as JSON too")
tm.is_(rows[0]["recipients"][0]["state"], "pending", "with recipients")
code, text, err = tool("mailq", "--json", "-r", "u@z.")
tm.is_([json.loads(x)["dest"] for x in text.splitlines()], ["z.example"], "by recipient")
code, text, err = tool("jobctl-ctl", "--json", "status")
rows = [json.loads(x) for x in text.splitlines()]
tm.ok(rows[0]["is"] == "queue" and rows[0]["messages"] == 3, "jobctl-ctl status")
tm.is_(tool("jobctl-ctl", "hold", "to=u@z.example")[1], "1 message\n", "hold by recipient")
tm.is_(tool("jobctl-ctl", "release", "sender=S@EXAMPLE", "dest=z.example")[1], "1 message\n", "release by sender")
w = m.work()
count_down(w["file"], "ZO")
m.say(f"retry id={w['id']} next={int(time.time()) + 1000}")
code, text, err = tool("jobctl-ctl", "show", late[2:15])
tm.ok(code == 0 and "rcpt n=0 addr=u@y.example" in text and text.count("Subject: x") == 1, "show")
code, text, err = tool("jobctl-ctl", "-j", "show", late[2:15])
row = json.loads(text)
of_file = next(r for r in map(json.loads, tool("mailq", "--json")[1].splitlines()) if r["qid"] == late[2:15])
tm.is_((code, row["is"], row["state"], row["file"]), (0, "msg", "held", os.path.basename(of_file["file"])), "show as JSON")
same = ("qid", "channel", "dest", "sender", "size", "attempts", "recipients", "priority")
tm.is_([row[k] for k in same], [of_file[k] for k in same], "says what mailq --json says")
tm.ok(row["text"].count("Subject: x") == 1 and len(row["text"]) == row["size"], "and the message")
tm.ok(tool("jobctl-ctl", "show", "1nothing00000")[0] != 0, "show of nothing")
tm.is_(tool("jobctl-ctl", "delete", "qid=" + late[2:15])[1], "1 message\n", "delete")
tm.ok(tool("jobctl-ctl", "delete")[0] == 64 and tool("jobctl-ctl", "delete", "foo=1")[0] != 0, "delete wants a filter")
tm.is_(tool("jobctl-ctl", "stop", "nowhere")[0], 65, "an unknown channel")
tm.is_(len(ask("list channel=tcp_local")), 3, "two messages are left")

# ---- masters on demand -------------------------------------------------------------------------------------------

many = [message("auto.example", channel="auto") for _ in range(7)]
feeder.say(*(new(n, "auto.example", channel="auto") for n in many))
tm.wait_for(lambda: channel("auto")["done"] == "7", what="seven messages")
tm.is_(channel("auto")["done"], "7", "a master is started, and another when it ends")
feeder.say(new(message("b.example", channel="broken"), "b.example", channel="broken"))
tm.wait_for(lambda: int(channel("broken")["failures"]) >= 2)
tm.ok(2 <= int(channel("broken")["failures"]) <= 20, "one that fails is started again, not too often")
tm.is_(channel("broken")["ready"], "1", "its message waits")

# ---- a reload --------------------------------------------------------------------------------------------------

daemon.send_signal(signal.SIGHUP)
tm.is_(m.line(), "leave", "masters leave when the channels have been read again")
m.close()
m = master()

# ---- reports that are set aside --------------------------------------------------------------------------------------


def shown(name):
    """It loses .HELD, as a master does it."""
    os.rename(path("tcp_local", name), path("tcp_local", name[:-5] + ".00"))
    return name[:-5] + ".00"


def held():
    n = message("r.example", held=True)
    feeder.say(new(n, "r.example"))
    tm.wait_for(lambda: state(n) == ["held"])
    return n


a = held()
feeder.say(new(a[:-5] + ".00", "r.example"))
tm.is_(state(a), ["held"], "a feeder does not release what is held")
m.say(new(shown(a), "r.example"))
w = m.work()
tm.is_(w["file"][2:17], a[2:17], "a master that has shown a report does")
os.unlink(path("tcp_local", w["file"]))
m.say(f"done id={w['id']}")
a = held()
os.unlink(path("tcp_local", a))
m.say(f"gone id={a[2:17]}")
tm.ok(tm.wait_for(lambda: state(a) == []), "and it tells of one that it has removed")
a = held()
shown(a)
ask("rescan")
w = m.work()
tm.is_(w["file"][2:17], a[2:17], "what a master could not tell is found by a scan")
tm.ok("check" not in w, "a lease like others")
b = held()
shown(b)
m.close()
m = master()
got = {w["file"][2:17]: w for w in (m.work(), m.work())}
tm.is_((set(got), got[a[2:17]].get("check")), ({a[2:17], b[2:17]}, "1"),
       "the master has died: the next one is to look what it has left, and gets what it had shown and not told")
for n in (a, b):
    os.unlink(path("tcp_local", n[:-5] + ".00"))
    m.say(f"done id={got[n[2:17]]['id']}")

tm.wait_for(lambda: status().get("scan") == "done", what="the scan: it would tell, too")
a, b, c = held(), held(), held()
ask("stop channel=tcp_local")
for n in (a, b, c):
    shown(n)
said = [ask(f"{verb} qid={n[2:17]}")[-1] for verb, n in (("delete", a), ("release", b), ("return", c))]
# What a scan has found meanwhile is ready, and has not to be released.
tm.ok(said[0] == said[2] == "ok n=1" and said[1] in ("ok n=0", "ok n=1"), "of what was shown untold, a verb is for the file as it is") or tm.diag(said)
tm.ok(not os.path.exists(path("tcp_local", a[:-5] + ".00")) and state(a) == [], "it is deleted")
tm.is_((state(b), state(c)), (["ready"], ["ready"]), "released, or to be returned")
ask("start channel=tcp_local")
got = {w["file"][2:17]: w for w in (m.work(), m.work())}
tm.is_((got[b[2:17]].get("action"), got[c[2:17]].get("action")), (None, "return"), "as it was asked")
for n in (b, c):
    os.unlink(path("tcp_local", n[:-5] + ".00"))
    m.say(f"done id={got[n[2:17]]['id']}")

# ---- what is aside ------------------------------------------------------------------------------------------------
# A piece of a list, with a file behind each other: nobody but its master touches it, whatever it is held for besides.

ASIDE, KEPT = (f"held at=1 why={w.replace(' ', '%20')}" for w in ("a report about a message that is not settled yet", "user is being moved"))
pieces = [message("aside.example", held=True, journal=[ASIDE] if i else [KEPT, ASIDE]) for i in range(3)]
feeder.say(*(new(n, "aside.example") for n in pieces))
for n in pieces:
    tm.wait_for(lambda: state(n) == ["held"])
for verb in ("release", "delete", "return", "reroute", "hold", "retry"):
    answer = ask(f"{verb} dest=aside.example")[-1]
    tm.is_(answer, "ok n=0" + (" aside=3" if verb in ("release", "delete", "return", "reroute") else ""), f"{verb} leaves them alone")
tm.ok(all(os.path.exists(path("tcp_local", n)) for n in pieces), "the files are where they were")
code, text, err = tool("jobctl-ctl", "delete", pieces[0][2:17])
tm.ok((code, text) == (0, "0 messages\n") and "1 left alone" in err, "an operator is told") or tm.diag(text + err)
tm.is_(json.loads(tool("jobctl-ctl", "-j", "release", "dest=aside.example")[1]), {"messages": 0, "aside": 3}, "as JSON, too")
with open(path("tcp_local", pieces[0]), "ab") as f:  # what a master writes that shows it
    f.write(KEPT.encode() + b" crc=%08x\n" % crc(KEPT.encode(), crc(pieces[0][2:17].encode())))
tm.is_(ask("delete qid=" + pieces[0][2:15])[-1], "ok n=1", "one that is shown and held all the same is the operator's")
m.say(*(f"gone id={n[2:17]}" for n in pieces[1:]))
for n in pieces[1:]:
    os.unlink(path("tcp_local", n))
    tm.ok(tm.wait_for(lambda: state(n) == []), "its master removes the others")

# ---- rates ------------------------------------------------------------------------------------------------------


def dest(name):
    return next((k for k in map(keys, ask("top channel=paced")[:-1]) if k["name"] == name), {})


p = Peer("hello who=test channel=paced pid=7 slots=10")
names = [message(f"{d}.example", channel="paced") for d in "ab" for _ in range(5)]
feeder.say(*(new(n, f"{'ab'[i // 5]}.example", channel="paced") for i, n in enumerate(names)))
got = [p.work() for _ in range(4)]
tm.is_(sorted(w["dest"] for w in got), ["a.example"] * 2 + ["b.example"] * 2, "two of twenty an hour go at once, to each")
tm.ok(p.silent(), "and no more for now")
d = dest("a.example")
tm.ok((d["ready"], d["waiting"]) == ("3", "0") and time.time() + 100 < int(d["limited_until"]) < time.time() + 200,
      "the others are ready, and wait for their turn") or tm.diag(str(d))
tm.ok("tiermail_queue_limited_destinations 2" in subprocess.run(
    [f"{tm.BINDIR}/tmctl", "-c", f"{ETC}/tiermail.conf", "-d", "jobctl", "metrics"], capture_output=True, text=True).stdout, "counted")
tm.is_(channel("paced")["retried"], "0", "no attempt is counted")
with open(f"{ETC}/channels.conf") as f:
    text = f.read()
with open(f"{ETC}/channels.conf", "w") as f:
    f.write(text.replace("rate = 20/1h", "rate = 20/1s"))
daemon.send_signal(signal.SIGHUP)
tm.is_(p.line(), "leave", "a reload sends masters away")
for w in got:
    os.unlink(path("paced", w["file"]))
    p.say(f"done id={w['id']}")
p = Peer("hello who=test channel=paced pid=8 slots=10")
m = master()
more = [p.work() for _ in range(6)]
tm.is_(len({w["file"] for w in got + more}), 10, "with a better rate the others go")

# ---- MX groups: another domain with the same hosts


def finish(works, more=""):
    for w in works:
        os.unlink(path("paced", w["file"]))
        p.say(f"done id={w['id']}{more}")


finish(more)
for d in ("a.mx.example", "b.mx.example"):
    feeder.say(new(message(d, channel="paced"), d, channel="paced"))
    finish([p.work()], " mx=mx.example/2/0a1b2c3d")
feeder.say(*(new(message(d, channel="paced"), d, channel="paced") for d in ("a.mx.example", "b.mx.example") for _ in range(5)))
got = [p.work() for _ in range(6)]
tm.ok(p.silent(), "six at a time to both domains")
tm.is_({(d["mx"], d["mx_leased"]) for d in map(dest, ("a.mx.example", "b.mx.example"))}, {("mx.example/2/0a1b2c3d", "6")}, "which are one place")
finish(got)
finish([p.work() for _ in range(4)])
tm.wait_for(lambda: channel("paced")["done"] == "22")

# ---- rules for replies

late = message("c.example", channel="paced")
feeder.say(new(late, "c.example", channel="paced"))
w = p.work()
os.rename(path("paced", late), path("paced", "ZY" + late[2:]))
p.say(f"retry id={w['id']} next={int(time.time()) + 1} suspend=7200 rule=busy")
n = message("c.example", channel="paced")
feeder.say(new(n, "c.example", channel="paced"))
tm.wait_for(lambda: dest("c.example").get("waiting") == "2")
d = dest("c.example")
tm.ok(time.time() + 7000 < int(d["suspended_until"]) <= time.time() + 7200, "a destination is suspended") or tm.diag(str(d))
tm.ok(p.silent(), "and gets nothing")
tm.is_(sorted(k["attempts"] for k in map(keys, ask("list dest=c.example")[:-1])), ["0", "1"], "no attempt is counted")
with open(f"{DIR}/log") as f:
    tm.ok(re.search(r"ev=dest_state channel=paced dest=c.example was=alive is=suspended until=\d+ rule=busy", f.read()), "the log has why")
tm.is_(ask("retry dest=c.example")[-1], "ok n=2", "an operator's word counts more")
for _ in range(2):
    w = p.work()
    os.unlink(path("paced", w["file"]))
    p.say(f"done id={w['id']}")
tm.wait_for(lambda: channel("paced")["done"] == "24")

# ---- pools: two channels and one place ------------------------------------------------------------------------------

for i, c in enumerate(("one", "two", "one", "two")):
    feeder.say(new(message("pool.example", channel=c), "pool.example", channel=c))
    tm.wait_for(lambda: channel(c)["done"] == str(i // 2 + 1), what=f"channel {c}")
    tm.is_([j["channel"] for j in map(keys, ask("jobs")[:-1]) if j["channel"] in ("one", "two") and j["state"] != "leaving"], [c],
           f"the place is for {c}, whose turn it is")
with open(f"{DIR}/log") as f:
    log = f.read()
tm.is_(re.findall(r"ev=pool_full pool=SMALL channel=(\w+) leaves=(\w+)", log), [("two", "one"), ("one", "two"), ("two", "one")],
       "who has nothing to do leaves when another needs the place")
alive = most = 0
for how in re.findall(r"ev=master_(start|end) channel=(?:one|two)", log):
    alive += 1 if how == "start" else -1
    most = max(most, alive)
tm.is_(most, 1, "there is never more than one")
pair = [Peer(f"hello who=test channel=three pid={pid} slots=1") for pid in (11, 12)]
feeder.say(*(new(message(f"{i}.pair.example", channel="three"), f"{i}.pair.example", channel="three") for i in range(2)))
works = [x.work() for x in pair]
waits = message("four.pair.example", channel="four")
feeder.say(new(waits, "four.pair.example", channel="four"))
tm.is_([x.line() for x in pair], ["leave"] * 2, "one that is asked to leave and does not come to an end is not waited for alone")
tm.is_(ask("delete dest=four.pair.example")[-1], "ok n=1", "the other channel's message")
for x, w in zip(pair, works):
    os.unlink(path("three", w["file"]))
    x.say(f"done id={w['id']}")
    x.close()
tm.wait_for(lambda: channel("three")["done"] == "2")
os.makedirs(f"{DIR}/bad")
for name, text in (("tiermail.conf", ""), ("jobctl.conf", "[pool SMALL]\n"), ("channels.conf", "[channel one]\npool = LARGE\n")):
    with open(f"{DIR}/bad/{name}", "w") as f:
        f.write(text)
r = subprocess.run([f"{tm.BINDIR}/jobctl", "-n", "-c", f"{DIR}/bad/jobctl.conf"], capture_output=True, text=True)
tm.ok(r.returncode == 78 and "channel one: jobctl.conf has no [pool LARGE]" in r.stdout + r.stderr, "a pool that there is not") or tm.diag(r.stdout + r.stderr)
for keeps, good in (("1", False), ("0", True)):
    for name, text in (("jobctl.conf", "[pool SMALL]\njob_limit = 1\n"),
                       ("channels.conf", f"[channel one]\npool = SMALL\nminjobs = {keeps}\n[channel two]\npool = SMALL\n")):
        with open(f"{DIR}/bad/{name}", "w") as f:
            f.write(text)
    r = subprocess.run([f"{tm.BINDIR}/jobctl", "-n", "-c", f"{DIR}/bad/jobctl.conf"], capture_output=True, text=True)
    tm.is_((r.returncode, "channel two: [pool SMALL] has no place for it" in r.stdout + r.stderr), (0, False) if good else (78, True),
           f"minjobs = {keeps} of another {'leaves' if good else 'takes'} the only place") or tm.diag(r.stdout + r.stderr)

# ---- the end ------------------------------------------------------------------------------------------------------

a = message("x.example")
feeder.say(new(a, "x.example"))
w = m.work()
daemon.send_signal(signal.SIGTERM)
tm.is_(m.line(), "leave", "masters are told to leave")
m.say(f"done id={w['id']}")
tm.is_(daemon.wait(tm.LONG), 0, "jobctl waits for their results and ends")

# ---- what was learned of destinations outlives a kill ------------------------------------------------------------

PLACES = f"{QUEUE}/jobctl.places"


def suspend(name, mx):
    """A message that is refused so that its destination rests."""
    n = message(name, channel="paced")
    feeder.say(new(n, name, channel="paced"))
    w = p.work()
    os.rename(path("paced", n), path("paced", "ZY" + n[2:]))
    p.say(f"retry id={w['id']} next={int(time.time()) + 1} suspend=7200 rule=busy mx={mx}")


def begin_anew(damage=lambda: None):
    """kill -9, and something happens to the file; the master of channel paced comes back."""
    global p, feeder
    kill()
    damage()
    start()
    p, feeder = Peer("hello who=test channel=paced pid=9 slots=10"), Peer("hello who=feeder pid=1")
    tm.wait_for(lambda: status().get("scan") == "done")


def torn():
    with open(PLACES, "ab") as f:
        f.write(b"place channel=paced dest=d.example until=1 crc=00000000\nplace channel=pac")


start()
p, feeder = Peer("hello who=test channel=paced pid=9 slots=10"), Peer("hello who=feeder pid=1")
tm.wait_for(lambda: status().get("scan") == "done")
n = message("e.example", channel="paced")
feeder.say(new(n, "e.example", channel="paced"))
finish([p.work()], " mx=rest/1/ab")
suspend("d.example", "rest/1/ab")
suspend("f.example", "other/1/cd")
tm.ok(tm.wait_for(lambda: "f.example" in open(PLACES).read()), "it is written down")
message("e.example", channel="paced")
begin_anew(torn)
d = dest("d.example")
tm.ok(time.time() + 7000 < int(d.get("suspended_until", 0)) <= time.time() + 7200, "a suspended destination is so after a kill") or tm.diag(d)
tm.is_((d.get("mx"), dest("f.example").get("mx")), ("rest/1/ab", "other/1/cd"), "and its hosts are known")
tm.ok(p.silent() and dest("e.example").get("mx") == "rest/1/ab", "a domain with the same hosts gets nothing either") or tm.diag(dest("e.example"))
with open(f"{DIR}/log") as f:
    tm.ok(re.search(r"ev=places_read lines=\d+ bad=2", f.read()), "what was torn is told, and the rest is read")
tm.ok(tm.wait_for(lambda: b"crc=00000000" not in open(PLACES, "rb").read()), "and it is gone from the file")
for name in ("d.example", "e.example"):
    ask(f"retry dest={name}")
    tm.is_(p.work()["dest"], name, f"an operator's word ends it for {name}")
tm.ok(tm.wait_for(lambda: len(open(PLACES).read().split("dest=d.example")) > 2), "which is written down, too")
begin_anew()
tm.is_(sorted(p.work()["dest"] for _ in range(2)), ["d.example", "e.example"], "and holds after a kill")
tm.ok(dest("f.example").get("suspended_until"), "the other one still rests")
begin_anew(lambda: (os.unlink(PLACES), os.mkdir(PLACES)))
tm.ok(not dest("f.example").get("suspended_until"), "without the file all begin afresh, and jobctl goes on")
os.rmdir(PLACES)
for name in ("d.example", "e.example", "f.example"):
    ask(f"delete dest={name}")

# ---- an operator lets a destination rest --------------------------------------------------------------------------------

begin_anew()
for verb in ("suspend dest=g.example", "suspend dest=g.example channel=none", "suspend channel=paced", "suspend dest=g.example channel=paced seconds=0",
             "suspend dest=g.example channel=paced seconds=604801", "resume dest=g.example"):
    tm.ok(ask(verb)[-1].startswith("error "), f"{verb}: an error")
tm.ok(ask("suspend dest=g.example channel=paced seconds=600")[-1].startswith("ok"), "suspended before there is mail for it")
n = message("g.example", channel="paced")
feeder.say(new(n, "g.example", channel="paced"))
time.sleep(0.3)
tm.is_(dest("g.example")["leased"], "0", "what comes then waits")
d = dest("g.example")
tm.ok(time.time() + 500 < int(d.get("suspended_until", 0)) <= time.time() + 600, "until then") or tm.diag(d)
begin_anew()
time.sleep(0.3)
d = dest("g.example")
tm.ok(d["leased"] == "0" and int(d.get("suspended_until", 0)) > time.time() + 400, "also after a kill") or tm.diag(d)
tm.is_(tool("jobctl-ctl", "suspend", "g.example", "for=60s")[0], 0, "jobctl-ctl suspend, for less")
tm.ok(int(dest("g.example").get("suspended_until", 0)) <= time.time() + 60, "the last word counts") or tm.diag(dest("g.example"))
tm.ok(tool("jobctl-ctl", "suspend", "g.example", "for=ever")[0] == 64 and tool("jobctl-ctl", "resume", "nobody.example")[0] not in (0, 64), "no time, no destination")
tm.is_(tool("jobctl-ctl", "resume", "g.example")[0], 0, "jobctl-ctl resume")
tm.ok(tm.wait_for(lambda: dest("g.example").get("leased") == "1"), "it goes")
begin_anew()
tm.ok(tm.wait_for(lambda: dest("g.example").get("leased") == "1"), "and does so after a kill")
ask("delete dest=g.example")
kill(signal.SIGTERM)

# ---- without it ---------------------------------------------------------------------------------------------------

os.replace(f"{QUEUE}/jobctl.state", f"{QUEUE}/jobctl.state.old")
os.mkdir(f"{QUEUE}/jobctl.state")
r = subprocess.run([f"{tm.BINDIR}/jobctl", "-c", f"{ETC}/jobctl.conf"], capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=tm.LONG)
tm.ok(r.returncode != 0 and "ev=channel_state" in r.stderr, "which channels were stopped cannot be read: it does not start") or tm.diag(r)
code, text, err = tool("mailq", "--json")
tm.ok(code == 0 and "does not answer" in err, "mailq says that jobctl is away")
tm.ok({json.loads(x).get("dest") for x in text.splitlines()} >= {"x.example", "z.example"}, "and reads the spool")
tm.done()
