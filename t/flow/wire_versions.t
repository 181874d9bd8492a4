#!/usr/bin/env python3
"""Programs of two versions at stored's socket: whoever cannot be understood is told so in words and
nothing hangs, neither a client of the first version nor one of a later, nor ours at an older
stored.  With OLD_BINDIR (a build of an earlier version) real daemons meet as well."""
import imaplib, os, socket, struct, subprocess, threading, time
import storewire as w
import tm

sb = tm.Sandbox("--users", "3")
path = os.path.join(sb.env["RUNDIR"], "stored.sock")
sb.send(1)
tm.ok(tm.wait_for(lambda: sb.count(1) == 1), "mail arrives")

# ---- a client of the first version ---------------------------------------------------------------
s = w.connect(path)
old_body = struct.pack("<QQQQQQIIHBBHHHHHH", 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0) + b"imapd"
s.send(struct.pack("<BBHI", 1, w.HELLO, 0, 0) + old_body)      # it wants no answer to that
for i in (1, 2):
    s.send(struct.pack("<BBHI", 1, w.PING, 0, i) + old_body)
    data, _ = w.receive(s)
    protocol, verb, _, id = struct.unpack_from("<BBHI", data)
    tm.is_((protocol, verb, id), (1, w.REPLY, i), "the first version gets an answer in its own words")
    kind, subject, detail, reply, code, n = struct.unpack_from("<BBHHBB", data, 8 + 72)
    tm.is_((kind, code, len(data)), (4, w.AWAY, 8 + 72 + 8 + n), "which is temporary")
    tm.ok(b"another version" in data[88:], "and says why") or tm.diag(data[88:])
s.close()

# ---- a client of a later version --------------------------------------------------------------------
s = w.connect(path)
r = w.ask(s, w.HELLO, w.body(min=2, max=9, name=b"later", pid=1) + w.field(60, b"something new", critical=False))
tm.is_((r.kind, r.get(w.R_LEVEL)), (2, 2), "a later version that speaks ours too agrees to it")
r = w.ask(s, 63)
tm.is_((r.kind, r.code), (4, w.UNSUPPORTED), "a later verb is refused by an answer") or tm.diag(r.text)
r = w.ask(s, w.PING, w.field(60, b"x"))
tm.is_((r.kind, r.code), (4, w.UNSUPPORTED), "a later field that must be understood, too") or tm.diag(r.text)
tm.ok("field 60 of ping" in r.text, "and it is named") or tm.diag(r.text)
tm.is_(w.ask(s, w.PING, w.field(60, b"x", critical=False)).kind, 2, "one that need not is skipped")
r = w.ask(s, w.HELLO, w.body(min=7, max=9, name=b"later"))
tm.is_((r.kind, r.code), (4, w.UNSUPPORTED), "one that has left ours behind hears that") or tm.diag(r.text)
tm.is_(w.ask(s, w.PING).kind, 2, "and is still connected")
r = w.ask(s, w.PING, protocol=2, actor=b"joe@example.test", trace=b"abc")
tm.is_(r.kind, 2, "actor and trace are part of every packet")
s.close()


# ---- ours at a stored of the first version, which hangs up on what it does not know ----------------------
class Old(threading.Thread):
    def __init__(self, path):
        super().__init__(daemon=True)
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.sock.bind(path)
        self.sock.listen(50)

    def run(self):
        while True:
            try:
                c, _ = self.sock.accept()
            except OSError:
                return
            c.recv(200000)
            c.close()


held = [w.connect(path) for _ in range(20)]
w.ask(held[0], w.BODIES, w.body(count=16))
watch = tm.Stopwatch()
os.kill(sb.pid("stored"), 15)
tm.ok(tm.wait_for(lambda: not sb.pids_of("stored")), "stored ends")
tm.ok(watch.took() < 5, "within 5 s of SIGTERM, clients or not")
for s in held:
    s.close()
if os.path.exists(path):
    os.unlink(path)
old = Old(path)
old.start()
watch = tm.Stopwatch()
r = sb.tool("storectl", "quota", "-r", f"{sb.user(1)}@{sb.domain}", timeout=tm.LONG)
tm.ok(r.returncode == 69 and "another version" in r.stderr, "storectl says what is wrong") or tm.diag((r.returncode, r.stderr))
tm.ok(watch.took() < 5, "at once")
c = imaplib.IMAP4(sb.host, sb.port("IMAP"), timeout=tm.LONG)
try:
    c.login(sb.user(2), sb.password)
    tm.ok(False, "a login fails")
except imaplib.IMAP4.error as e:
    tm.ok("UNAVAILABLE" in str(e) or "available" in str(e), "a login is refused for now") or tm.diag(e)
old.sock.close()
os.unlink(path)
tm.ok(sb.restart("stored"), "stored comes back")


def works(user):
    try:
        return sb.count(user) >= 0
    except Exception:
        return False


tm.ok(tm.wait_for(lambda: works(2)), "and everything goes on by itself")

# ---- real daemons of an earlier build ---------------------------------------------------------------------
OLD = os.environ.get("OLD_BINDIR")
if not OLD:
    tm.skip("an earlier build beside this one", "OLD_BINDIR is not set")
else:
    for program in ("imapd", "stored"):
        other = tm.tempfile.mkdtemp(prefix="tm-bin-")
        for name in os.listdir(tm.BINDIR):
            os.symlink(os.path.join(OLD if name == program else tm.BINDIR, name), os.path.join(other, name))
        new, tm.BINDIR = tm.BINDIR, other
        os.environ["BINDIR"] = other
        mixed = tm.Sandbox("--users", "2")
        c = imaplib.IMAP4(mixed.host, mixed.port("IMAP"), timeout=tm.LONG)
        try:
            c.login(mixed.user(1), mixed.password)
            said = "OK"
        except imaplib.IMAP4.error as e:
            said = str(e)
        tm.ok("OK" == said or "UNAVAILABLE" in said, f"an older {program} works or is refused in words: {said}")
        mixed.close()
        tm.BINDIR = new
        os.environ["BINDIR"] = new
        tm.shutil.rmtree(other)
tm.done()
