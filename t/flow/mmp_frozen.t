#!/usr/bin/env python3
"""A store that hangs: the first who waits in vain tells all others, nobody waits after him, its other services and
other stores go on, and it is found again by probes, not by people's logins."""
import base64, os, re, signal, socket, sys, threading, time

sys.path[:0] = [os.path.dirname(os.path.abspath(__file__))]
import tm, wire
from probe import ctl

tm.need("ldapmodify")
SILENCE = int(2 * tm.SHORT)     # s; a login_timeout is never reached here
PATIENCE = 60
relays = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
MMP = tm.free_port()
settings = [f"store.silence_timeout={SILENCE}s", f"store.login_timeout={PATIENCE}s", "store.retry=1s", "store.failures=1000",
            "store.connect_timeout=2s", "submission.relays=hangs.test works.test", "listen submission.role=submission",
            f"listen submission.address=127.0.0.1:{MMP}", "submission.tls=off"]
for name, s in zip(("hangs", "works"), relays):
    settings += [f"host {name}.test.address=127.0.0.1", f"host {name}.test.submission_port={s.getsockname()[1]}"]
sb = tm.Sandbox("--users", "8", *(x for s in settings for x in ("--set", "mmpd." + s)))
two = tm.Sandbox("--join", sb.dir, "--role", "store")
STORE2, PW = two.env["MAILHOST"], sb.password
FROZEN, OTHER = (2, 4, 6), 1
for n in FROZEN:
    tm.ok(wire.modify(sb, n, f"replace: mailHost\nmailHost: {STORE2}"), f"user {n} is on {STORE2}")


def imap(n):
    w = wire.Line((sb.host, sb.port("MMP_IMAP")))
    w.line()
    w.send(f"a LOGIN {sb.user(n)} {PW}\r\n")
    return w


def login(n):
    w = imap(n)
    said = w.line()
    w.close()
    return said


def pop(n):
    w = wire.Line((sb.host, sb.port("MMP_POP3")))
    w.line()
    w.say(f"USER {sb.user(n)}")
    said = w.say(f"PASS {PW}")
    w.close()
    return said


def log(*words):
    return wire.log(sb, "mmpd", *words)


def metric(name):
    return int(re.search(rf"(?m)^tiermail_{name} (\d+)", ctl({"rundir": sb.env["RUNDIR"]}, "mmpd", b"metrics").decode())[1])


def way(protocol, store=STORE2):
    lines = ctl({"rundir": sb.env["RUNDIR"]}, "mmpd", b"status").decode().splitlines()
    return next((l for l in lines if f"store={store} protocol={protocol} " in l), "")


def freeze(daemon):
    pids = two.pids_of(daemon)
    for pid in pids:
        tm.freeze(pid)
    return pids


def thaw(pids):
    for pid in pids:
        os.kill(pid, signal.SIGCONT)


tm.ok(login(2).startswith("a OK") and pop(2).startswith("+OK"), "a store that is well")
tm.ok("state=up" in way("imap") and "state=up" in way("pop3"), "and shown as such")

# ---- its imapd hangs: connections are taken by its system, and nothing is ever said
frozen = freeze("imapd")
began = time.monotonic()
waiting = [imap(n) for n in FROZEN * 3]
tm.ok(login(OTHER).startswith("a OK"), "who is at another store comes in meanwhile")
tm.ok(pop(2).startswith("+OK"), "and so does who asks the same store for POP3")
said = {w.line()[:18] for w in waiting}
tm.is_(said, {"a NO [UNAVAILABLE]"}, "nine who wait are told UNAVAILABLE")
tm.ok(time.monotonic() - began < PATIENCE - 5, "by the silence, and not because the time for a login is over")
down = log("ev=store_down", f"store={STORE2}", "protocol=imap")
tm.ok(len(down) == 1 and "says nothing" in down[0], "it is taken for dead once, for its silence") or tm.diag(down)
tm.is_(len(log("ev=store_failed", f"store={STORE2}")), 1, "which one of them has found out for all")
for w in waiting:
    w.close()
tm.wait_for(lambda: len(log("ev=store_shunned")) == 8)     # the nine but for the one who found out
before = len(log("ev=store_shunned"))
for n in FROZEN:
    tm.ok(login(n).startswith("a NO [UNAVAILABLE]"), f"user {n} is told at once from then on")
tm.ok(tm.wait_for(lambda: len(log("ev=store_shunned")) == before + 3), "without a try") or tm.diag((before, len(log("ev=store_shunned"))))
tm.ok("state=down" in way("imap") and "error=" in way("imap") and "retry_ms=" in way("imap"), "the status says so") or tm.diag(way("imap"))
tm.ok("state=up" in way("pop3"), "of IMAP alone")
tm.is_((metric("mmp_store_downs_total"), metric("mmp_stores_down")), (1, 1), "and the metrics")
probes = metric("mmp_store_probes_total")
tm.ok(tm.wait_for(lambda: metric("mmp_store_probes_total") >= probes + 2), "probes ask again and again")
tm.is_(len(log("ev=store_failed", f"store={STORE2}")), 1, "and no login did")

# ---- and comes back
thaw(frozen)
tm.ok(tm.wait_for(lambda: log("ev=store_trial", f"store={STORE2}", "protocol=imap")), "a probe finds it back")
tm.ok("state=trial" in way("imap"), "it is on trial")
tm.ok(login(2).startswith("a OK"), "the first login is let through")
tm.ok(wire.logged(sb, "mmpd", "ev=store_up", f"store={STORE2}", "protocol=imap") and "state=up" in way("imap"), "and ends the matter")
tm.is_(metric("mmp_stores_down"), 0, "the metrics too")

# ---- frozen while the login is on its way, and the client leaves
frozen = freeze("pop3d")
w = wire.Line((sb.host, sb.port("MMP_POP3")))
w.line()
w.say(f"USER {sb.user(4)}")
w.send(f"PASS {PW}\r\n")
w.close()
tm.ok(pop(4).startswith("-ERR [SYS/TEMP]"), "POP3 likewise")
tm.ok("state=down" in way("pop3") and "state=up" in way("imap") and "attempts=0" in way("pop3"), "its own breaker, and nobody left in it") or tm.diag(way("pop3"))
thaw(frozen)
tm.ok(tm.wait_for(lambda: pop(4).startswith("+OK")), "and it comes back")

# ---- one that greets and lets nobody in: the trial fails
class Shy(threading.Thread):
    def __init__(self):
        super().__init__(daemon=True)
        self.sock = socket.create_server(("127.0.0.1", 0))
        self.logins, self.mute = 0, True

    def one(self, conn):
        with conn:
            if self.mute:
                while conn.recv(4096):
                    pass
                return
            conn.sendall(b"* OK ready\r\n")
            self.logins += bool(conn.recv(4096))    # a probe says nothing

    def run(self):
        while True:
            threading.Thread(target=self.one, args=(self.sock.accept()[0],), daemon=True).start()


shy = Shy()
shy.start()
with open(sb.conf("mmpd.conf"), "a") as f:
    f.write(f"\n[host shy.test]\naddress = 127.0.0.1\nimap_port = {shy.sock.getsockname()[1]}\ntls = off\nauth = master\nmaster = m\nmaster_password = p\n")
tm.ok(ctl({"rundir": sb.env["RUNDIR"]}, "mmpd", b"reload").startswith(b"ok"), "another store")
wire.modify(sb, 3, "replace: mailHost\nmailHost: shy.test")
tm.ok(login(3).startswith("a NO [UNAVAILABLE]") and "state=down" in way("imap", "shy.test"), "which hangs")
shy.mute = False
tm.ok(tm.wait_for(lambda: "state=trial" in way("imap", "shy.test")), "then greets: it is on trial")
tm.is_(shy.logins, 0, "nobody's login was spent on finding out")
tm.ok(login(3).startswith("a NO [UNAVAILABLE]") and "state=down" in way("imap", "shy.test"), "and hangs up on the first login: down again")
tm.is_(shy.logins, 1, "one login has paid for it")

# ---- relays of submission: one that hangs is passed over
def works():
    while True:
        conn, _ = relays[1].accept()
        with conn, conn.makefile("rb") as f:
            conn.sendall(b"220 works.test\r\n")
            ehlos = 0
            for line in f:
                ehlos += line.startswith(b"EHLO")
                words = ["PIPELINING", "8BITMIME", "ENHANCEDSTATUSCODES", "CHUNKING", "SMTPUTF8", "DSN", "SIZE 1000000"]
                words += ["XCLIENT ADDR LOGIN"] if ehlos == 1 else []
                conn.sendall("".join(f"250-{w}\r\n" for w in words).encode() + b"250 HELP\r\n" if line.startswith(b"EHLO") else b"220 works.test\r\n")


threading.Thread(target=works, daemon=True).start()
for i in range(4):
    w = wire.Line(("127.0.0.1", MMP))
    w.line()
    w.send("EHLO client.test\r\n")
    while w.line()[3:4] == "-":
        pass
    said = w.say("AUTH PLAIN " + base64.b64encode(f"\0{sb.user(1)}\0{PW}".encode()).decode())
    tm.ok(said.startswith("235"), f"submission {i}: a relay that hangs is passed over") or tm.diag(said)
    w.close()
tm.is_(len(log("ev=store_failed", "store=hangs.test")), 1, "one of them has waited for it")
tm.done()
