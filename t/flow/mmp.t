#!/usr/bin/env python3
"""The multiplexor in front of two stores: whoever logs in reaches his own mailbox, by IMAP and POP3, and what
goes wrong on the way is told as what it is; one store's trouble is nobody else's."""
import base64, imaplib, os, poplib, re, signal, socket, sys

sys.path[:0] = [os.path.dirname(os.path.abspath(__file__))]
import tm, wire
from probe import ctl

tm.need("ldapmodify")
sb = tm.Sandbox("--users", "8", "--set", "tiermail.ldap.cache_age=0", "--set", "tiermail.ldap.auth_age=0",
                "--set", "mmpd.store.failures=2", "--set", "mmpd.store.retry=1s", "--set", "mmpd.auth.delay=200ms",
                "--set", "mmpd.limit.per_user=3")
two = tm.Sandbox("--join", sb.dir, "--role", "store")
D, PW = sb.domain, sb.password
MMP = {p: (sb.host, sb.port("MMP_" + p)) for p in ("IMAP", "IMAPS", "POP3", "POP3S")}
STORE2 = two.env["MAILHOST"]
for n in (2, 4, 6):     # even users are on the second store
    tm.ok(wire.modify(sb, n, f"replace: mailHost\nmailHost: {STORE2}"), f"user {n} is on {STORE2}")
home = lambda n: two if n % 2 == 0 else sb


def imap(port="IMAPS", **kw):
    w = wire.Line(MMP[port], tls=sb if port == "IMAPS" else None, **kw)
    w.greeting = w.line()
    return w


def pop(port="POP3S"):
    w = wire.Line(MMP[port], tls=sb if port == "POP3S" else None)
    w.greeting = w.line()
    return w


def login(w, n, password=None):
    return w.tagged(f"LOGIN {sb.user(n) if isinstance(n, int) else n} {password or PW}")[1]


def plogin(w, n, password=None):
    return w.say(f"USER {sb.user(n)}") and w.say(f"PASS {password or PW}")


def status():
    return ctl({"rundir": sb.env["RUNDIR"]}, "mmpd", b"status").decode()


# ---- both users, both protocols, TLS both ways
big = b"From: a@b.test\r\nSubject: big\r\n\r\n" + b"".join(b"%07d %s\r\n" % (i, b"x" * 70) for i in range(60000))
for n in (1, 2):
    where = home(n)
    for port in ("IMAP", "IMAPS"):
        w = imap(port)
        tm.ok(w.greeting.startswith("* OK [CAPABILITY IMAP4rev1 ") and " ID" in w.greeting, f"{port}: the proxy's own greeting")
        if port == "IMAP":
            tm.ok(w.tagged("STARTTLS")[1].startswith("OK"), "IMAP: STARTTLS")
            w.tls(sb)
        logins = lambda: wire.log(sb, "mmpd", "ev=login ", f"user={sb.user(n)}@{D}")
        before = len(logins())
        said = login(w, n)
        tm.ok(said.startswith("OK [CAPABILITY ") and "UIDPLUS" in said, f"{port}: user {n} is in, with the store's capabilities")
        tm.ok(w.tagged("SELECT INBOX")[1].startswith("OK"), "and has a mailbox")
        tm.wait_for(lambda: len(logins()) > before)
        sid = re.search(r"sid=(\S+)", logins()[-1])[1]
        tm.ok(wire.logged(where, "imapd", "ev=login ", f"sid={sid}", "mech=EXTERNAL", "peer=127.0.0.1"),
              "at the store of his own, under the same session id")
        w.tagged("LOGOUT")
        tm.is_(w.line(), "", "LOGOUT ends both")
    c = imaplib.IMAP4_SSL(*MMP["IMAPS"], ssl_context=wire.context(sb), timeout=tm.LONG)
    c.login(sb.user(n), PW)
    tm.is_(c.append("INBOX", None, None, big)[0], "OK", f"user {n}: APPEND of 4.7 MB through it")
    c.select("INBOX")
    tm.ok(c.fetch("1", "BODY.PEEK[]")[1][0][1] == big, "and FETCH gives the same octets")
    c.logout()
    tm.is_(where.count(n), 1, "which are at that store")
    w = pop()
    tm.ok(plogin(w, n).startswith("+OK 1 message"), f"user {n} by POP3 over TLS")
    w.close()
    p = poplib.POP3(*MMP["POP3"], timeout=tm.LONG)
    p.stls(wire.context(sb))
    p.user(sb.user(n)), p.pass_(PW)
    tm.ok(b"\r\n".join(p.retr(1)[1]) + b"\r\n" == big, "and by STLS, the same octets")
    p.quit()
w = imap()
plain = base64.b64encode(b"\0" + sb.user(3).encode() + b"\0" + PW.encode()).decode()
tm.ok(w.tagged(f"AUTHENTICATE PLAIN {plain}")[1].startswith("OK"), "AUTHENTICATE PLAIN")
w = pop()
capa = [w.say("CAPA")]
while capa[-1] not in (".", ""):
    capa.append(w.line())
tm.ok("SASL PLAIN LOGIN" in capa and "IMPLEMENTATION" not in " ".join(capa), "POP3: CAPA is the proxy's")
w.close()
w = pop()
w.send(f"UTF8\r\nAUTH PLAIN {plain}\r\nSTAT\r\nQUIT\r\n")
tm.is_([w.line()[:3] for _ in range(4)], ["+OK"] * 4, "UTF8 and AUTH PLAIN with commands behind it, which go on to the store")
w = imap()
w.send(f"a LOGIN {sb.user(1)} {PW}\r\nb SELECT INBOX\r\nc LOGOUT\r\n")
tm.ok(w.rest()[-1].startswith("c OK"), "commands behind LOGIN in one piece go on to the store")

w, p = imap(), pop()
login(w, 2), plogin(p, 2)
tm.is_(ctl({"rundir": sb.env["RUNDIR"]}, "mmpd", f"forget {sb.user(2)}@{D}".encode()), b"ok sessions=2\n", "an operator ends a user's sessions")
tm.is_((w.line()[:5], p.line()), ("* BYE", ""), "who is told by IMAP")

# ---- IDLE, and news that pass through it
w, other = imap(), imap()
login(w, 2), login(other, 2)
w.tagged("SELECT INBOX")
tm.ok(w.say("i IDLE").startswith("+"), "IDLE")
other.tagged("SELECT INBOX")
other.tagged("STORE 1 +FLAGS (\\Flagged)")
tm.ok("\\Flagged" in w.line(), "what another session does arrives")
w.send("DONE\r\n")
w.tagged("LOGOUT"), other.tagged("LOGOUT")

# ---- what is told, and what is not
w = imap()
tm.ok(login(w, 1, "wrong").startswith("NO [AUTHENTICATIONFAILED]"), "a wrong password")
tm.ok(login(w, "nobody", "wrong").startswith("NO [AUTHENTICATIONFAILED]"), "nobody's name: the same")
tm.ok(login(w, 1).startswith("OK"), "and the right one on the same connection")
w.close()
w = imap()
tm.ok(login(w, "disabled").startswith("NO [CONTACTADMIN]"), "a disabled user, after the right password")
tm.ok(login(w, "disabled", "x").startswith("NO [AUTHENTICATIONFAILED]"), "after a wrong one nothing is told")
w.close()
w = pop()
tm.ok(plogin(w, 1, "wrong").startswith("-ERR [AUTH]"), "POP3: a wrong password")
first = pop()
tm.ok(plogin(first, 3).startswith("+OK"), "POP3: a session")
tm.ok(plogin(w, 3).startswith("-ERR [IN-USE]"), "POP3: the store's own words: the mailbox is in use")
tm.ok(plogin(w, 1).startswith("+OK"), "and another user on the same connection")
first.close(), w.close()
crowd = [imap() for _ in range(4)]
said = [login(c, 4)[:10] for c in crowd]
tm.is_(said, ["OK [CAPABI"] * 3 + ["NO [LIMIT]"], "limit.per_user is 3")
for c in crowd:
    c.close()
tm.ok(tm.wait_for(lambda: (w := imap()) and login(w, 4).startswith("OK") and (w.close() or True)), "and is free again when they have gone")
wire.modify(sb, 8, "delete: mailHost\n-\nreplace: mailUserStatus\nmailUserStatus: active")
w = imap()
tm.ok(login(w, 8).startswith("NO [CONTACTADMIN]"), "a user without a mailHost, and no store.default")
w.close()

# ---- hostile bytes before the login
for what, bytes_, want in (("a long line", b"a" * 70000 + b"\r\n", "B"), ("a large literal", b"a LOGIN {99999999}\r\n", "B"),
                           ("binary", bytes(range(256)) * 4 + b"\r\n", "B"), ("HTTP", b"GET / HTTP/1.1\r\n\r\n", "BAD"),
                           ("a command for the store", b"a SELECT INBOX\r\n", "BAD"), ("APPEND", b"a APPEND INBOX {10+}\r\n0123456789\r\n", "B"),
                           ("200 commands", b"a NOOP\r\n" * 200, "OK"), ("NULs", b"\0" * 5000 + b"\r\n", "B")):
    w = imap("IMAP")
    try:
        w.send(bytes_)
        w.sock.shutdown(socket.SHUT_WR)
    except OSError:
        pass
    tm.ok(want in " ".join(w.rest()), f"before the login: {what}")
w = imap("IMAP")
w.send("a STARTTLS\r\nb LOGIN x y\r\n")
tm.ok("b " not in " ".join(w.rest()), "plain text behind STARTTLS is nobody's command")
w = wire.Line(MMP["POP3"])
w.send(b"RETR 1\r\nUSER " + b"x" * 300 + b"\r\nXCLIENT ADDR=1.2.3.4\r\nAUTH EXTERNAL YQ==\r\nSTAT\r\nQUIT\r\n")
tm.ok(all(l[:4] in ("-ERR", "+OK ") for l in w.rest()), "POP3: likewise")

# ---- a store that dies while somebody is there
w1, w2, p2 = imap(), imap(), pop()
login(w1, 1), login(w2, 6), plogin(p2, 2)
w1.tagged("SELECT INBOX"), w2.tagged("SELECT INBOX")
for daemon in ("imapd", "pop3d"):
    for pid in two.pids_of(daemon):
        os.kill(pid, signal.SIGKILL)
tm.is_(w2.line()[:19], "* BYE [UNAVAILABLE]", "a store that is killed: BYE to its client")
tm.is_(w2.line(), "", "and the end")
tm.is_(p2.line(), "", "POP3: the end")
tm.ok(w1.tagged("NOOP")[1].startswith("OK"), "who is at the other store notices nothing")

# ---- a store that is dead: never a wrong password, and at once
w = imap()
for i in range(4):
    tm.ok(login(w, 2).startswith("NO [UNAVAILABLE]"), "a dead store: UNAVAILABLE")
w.close()
tm.ok(wire.logged(sb, "mmpd", "ev=store_down", f"store={STORE2}"), "it is taken for dead")
tm.ok(wire.logged(sb, "mmpd", "ev=store_shunned"), "and left alone for a moment")
w = pop()
tm.ok(plogin(w, 2).startswith("-ERR [SYS/TEMP]"), "POP3: SYS/TEMP")
w.close()
w = imap()
tm.ok(login(w, 1).startswith("OK"), "users of the other store come in")
w.close()
tm.ok(f"store={STORE2} protocol=imap state=down" in status(), "the status says so")
for daemon in ("imapd", "pop3d"):
    two.restart(daemon)
tm.ok(tm.wait_for(lambda: (w := imap()) and login(w, 2).startswith("OK") and (w.close() or True)), "when it is back its users come in again")
tm.ok(wire.logged(sb, "mmpd", "ev=store_up", f"store={STORE2}"), "and the log says so")

# ---- a directory that is away
slapd = sb.pids_of("slapd")
w = imap()
tm.freeze(slapd[0])     # its time limit is long in tests: a client that leaves must not be waited for
w.send(f"a LOGIN {sb.user(1)} {PW}\r\n")
w.close()
os.kill(slapd[0], signal.SIGCONT)
w = imap()
tm.ok(login(w, 1).startswith("OK"), "a client that left during a login has left nothing behind")
w.close()

# ---- the end of the daemon
w, p = imap(), pop()
login(w, 1), plogin(p, 3)
w.tagged("SELECT INBOX")
idle = imap("IMAP")
os.kill(sb.pid("mmpd"), signal.SIGTERM)
tm.ok(w.line().startswith("* BYE") and w.line() == "", "a shutdown says BYE to who is at rest")
tm.ok(idle.line().startswith("* BYE"), "and to who has not logged in")
tm.is_(p.line(), "", "POP3: the end")
tm.ok(tm.wait_for(lambda: not sb.pids_of("mmpd")), "and it is over")
tm.ok(wire.logged(sb, "mmpd", "ev=stop"), "in order")
sb.restart("mmpd")
w = imap()
tm.ok(login(w, 2).startswith("OK"), "and comes again")
w.close()
tm.done()
