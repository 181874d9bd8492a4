#!/usr/bin/env python3
"""pop3d before a real store and a real directory: who gets in, one session a mailbox, what a session sees
whatever others do, octets, and what QUIT does."""
import base64, os, re, select, signal, socket, subprocess, sys, threading, time

sys.path[:0] = [os.path.join(os.path.dirname(os.path.abspath(__file__)), "../flow")]
import tm
from pop3raw import Pop

sb = tm.Sandbox("--users", "12", "--without", "smtp-relay", "--without", "jobctl", "--set", "pop3d.workers=2",
                "--set", "pop3d.auth.delay=50ms", "--set", "tiermail.ldap.cache_age=0s", "--set", "stored.cleanup_age=1h")
D, base = sb.domain, sb.env["LDAP_BASE"]
USERS = f"ou=People,o={D}"


def fill(user, *messages, folder="INBOX"):
    """Messages by APPEND, octet by octet as they are."""
    c = sb.imap(user)
    for m in messages:
        typ, data = c.append(folder, None, None, m)
        assert typ == "OK", data
    c.logout()


def modify(dn, attr, *values):
    text = f"dn: {dn},{base}\nchangetype: modify\nreplace: {attr}\n" + "".join(f"{attr}: {v}\n" for v in values)
    r = subprocess.run(["ldapmodify", "-x", "-H", sb.env["LDAP_URL"], "-D", sb.env["LDAP_ADMIN_DN"],
                        "-w", sb.env["LDAP_ADMIN_PASSWORD"]], input=text, text=True, capture_output=True)
    return r.returncode == 0 or tm.diag(r.stderr)


def control(line):
    """An answer of pop3d's control socket."""
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(f"{sb.env['RUNDIR']}/pop3d.ctl")
        s.sendall(line.encode() + b"\n")
        got = b""
        while more := s.recv(4096):
            got += more
        return got.decode()


def settings(**keys):
    """Other keys of pop3d, and a reload."""
    with open(sb.conf("pop3d.conf")) as f:
        lines = f.read().split("\n")
    own = [l for l in lines if not any(l.startswith(k.replace("__", ".") + " ") for k in keys)]
    own[1:1] = [f"{k.replace('__', '.')} = {v}" for k, v in keys.items() if v is not None]
    with open(sb.conf("pop3d.conf"), "w") as f:
        f.write("\n".join(own))
    got = control("reload")
    return tm.ok(got.endswith("ok\n"), f"reload with {keys}") or tm.diag(got)


M1 = b"Subject: one\r\n\r\nhello\r\n"
M2 = b"Subject: dots\r\n\r\n.\r\n..\r\n.dot\r\nnot.\r\n\r\n.\r\n"
M3 = b"Subject: no end of line\r\n\r\nlast."
M4 = b"Subject: only a header\r\n"
M5 = b"Subject: big\r\n\r\n" + b"".join(b".%06d and some text to fill a line of it\r\n" % i for i in range(20000))

# ---- octets ----------------------------------------------------------------------------------------------------------
fill(1, M1, M2, M3, M4, M5)
ALL = [M1, M2, M3, M4, M5]
p = Pop(sb, login=1)
tm.is_(p.answer, "+OK 5 messages (%d octets)" % sum(map(len, ALL)), "the login tells what there is")
tm.is_(p.say("STAT"), "+OK 5 %d" % sum(map(len, ALL)), "STAT")
tm.is_(p.many("LIST"), [f"{n} {len(m)}" for n, m in enumerate(ALL, 1)], "LIST: the octets of the messages")
for n, m in enumerate(ALL, 1):
    tm.is_(p.say(f"LIST {n}"), f"+OK {n} {len(m)}", f"LIST {n}")
    got = p.octets(f"RETR {n}")
    tm.ok(got == (m if m.endswith(b"\r\n") else m + b"\r\n"), f"RETR {n}: the message, octet by octet")
wire = p.raw("RETR 2")
tm.is_(wire, M2.replace(b"\r\n.", b"\r\n.."), "dots are doubled on the wire, and only those at the beginning of a line")
for n, m in enumerate(ALL, 1):
    head, sep, body = m.partition(b"\r\n\r\n")
    lines = body.splitlines(True)
    for k in (0, 1, 2, 10 ** 9):
        want = head + sep + b"".join(lines[:k])
        got = p.octets(f"TOP {n} {k}")
        tm.ok(got == (want if want.endswith(b"\r\n") else want + b"\r\n"), f"TOP {n} {k}")
for bad in ("RETR", "RETR x", "RETR 1 2", "TOP 1", "TOP 1 x", "TOP 1 1 1", "LIST x", "DELE", "UIDL -1", "TOP 1 -1", "STAT 1", "RSET x", "RETR 4294967297"):
    tm.ok(p.say(bad).startswith("-ERR"), f"{bad}: refused")
for none in ("RETR 0", "RETR 6", "LIST 4294967295", "DELE 99", "UIDL 6", "TOP 7 1"):
    tm.is_(p.say(none), "-ERR no such message", f"{none}: no such message")
p.quit()
for step in (1, 7):
    p = Pop(sb, step=step)
    p.send(f"USER {sb.user(1)}\r\nPASS {sb.password}\r\nSTAT\r\nRETR 2\r\nNOOP\r\n")
    lines = [p.line() for _ in range(4)]
    tm.ok(all(l.startswith("+OK") for l in lines) and p.body() == wire and p.line() == "+OK Nothing done", f"in pieces of {step}")
    p.quit()
p = Pop(sb)
p.send(f"USER {sb.user(1)}\r\nPASS {sb.password}\r\nSTAT\r\nRETR 5\r\nRETR 2\r\nDELE 2\r\nRSET\r\nQUIT\r\n")
tm.is_([p.line()[:3] for _ in range(4)], ["+OK"] * 4, "a whole session in one write")
tm.ok(p.body() == M5.replace(b"\r\n.", b"\r\n.."), "its large answer")
tm.ok(p.line() == f"+OK {len(M2)} octets" and p.body() == wire, "its small one")
tm.is_([p.line()[:3] for _ in range(3)], ["+OK"] * 3, "and the rest of it")

# ---- unique-ids ------------------------------------------------------------------------------------------------------
p = Pop(sb, login=1)
uidl = p.many("UIDL")
tm.ok(all(re.fullmatch(r"\d+ [!-~]{1,70}", l) for l in uidl) and len(set(l.split()[1] for l in uidl)) == 5, "UIDL")
tm.is_([p.say(f"UIDL {n}")[4:] for n in range(1, 6)], uidl, "one at a time")
p.say("DELE 2")
tm.is_(p.many("UIDL"), uidl[:1] + uidl[2:], "without what is marked")
tm.is_(p.many("LIST"), [f"{n} {len(m)}" for n, m in enumerate(ALL, 1) if n != 2], "LIST too")
tm.is_(p.say("STAT"), "+OK 4 %d" % (sum(map(len, ALL)) - len(M2)), "and STAT")
for c in ("RETR 2", "TOP 2 0", "LIST 2", "UIDL 2", "DELE 2"):
    tm.is_(p.say(c), "-ERR this message is marked as deleted", f"{c} of a marked message")
tm.is_(p.say("RSET"), "+OK 5 messages (%d octets)" % sum(map(len, ALL)), "RSET")
tm.is_(p.many("UIDL"), uidl, "all are back")
p.say("DELE 2")
p.say("DELE 4")
tm.is_(p.quit(), "+OK Bye, what was marked is deleted", "QUIT")
p = Pop(sb, login=1)
tm.is_([l.split()[1] for l in p.many("UIDL")], [uidl[i].split()[1] for i in (0, 2, 4)], "the others keep their unique-ids")
tm.is_(p.octets("RETR 2")[:26], M3[:26], "under new numbers")
p.say("DELE 1")
p.close()
def gone_in():
    q = Pop(sb, login=1)
    answer = q.answer
    q.quit()
    return answer
tm.is_(tm.wait_for(lambda: (a := gone_in()).startswith("+OK") and a), "+OK 3 messages (%d octets)" % sum(map(len, (M1, M3, M5))),
       "a connection that breaks deletes nothing")
settings(pop3__uidl="%08Xu%08Xv")
p = Pop(sb, login=1)
tm.ok(all(re.fullmatch(r"\d+ [0-9A-F]{16}", l) for l in p.many("UIDL")), "the unique-ids of Dovecot") or tm.diag(p.many("UIDL"))
p.quit()
settings(pop3__uidl=None)

# ---- one session a mailbox ---------------------------------------------------------------------------------------------
BUSY = "-ERR [IN-USE] another session has this mailbox open"
p = Pop(sb, login=1)
tries = [Pop(sb, login=1) for _ in range(8)]    # of both workers
tm.is_([t.answer for t in tries], [BUSY] * 8, "a second session is refused, whichever worker has it")
for t in tries:
    t.close()
tm.ok(Pop(sb, login=2).answer.startswith("+OK"), "another user is not")
c = sb.imap(1)
tm.is_(c.select()[0], "OK", "nor is IMAP")
c.logout()
p.quit()
p = Pop(sb, login=1)
tm.ok(p.answer.startswith("+OK"), "after QUIT the next one comes in at once")
holders = [w for w in sb.pids_of("pop3d") if any("=" + sb.user(1) in os.readlink(f.path) for f in os.scandir(f"/proc/{w}/fd"))]
tm.is_(len(holders), 1, "one worker holds the lock")
os.kill(holders[0], signal.SIGKILL)
q = tm.wait_for(lambda: (q := Pop(sb, login=1)).answer.startswith("+OK") and q)
tm.ok(q, "kill -9 of the holder, and the mailbox is free")
q.quit()

# ---- what others do meanwhile --------------------------------------------------------------------------------------------
fill(3, M1, M2, M5)
p = Pop(sb, login=3)
before = p.many("LIST"), p.many("UIDL"), p.say("STAT")
fill(3, M1)
c = sb.imap(3)
c.select()
c.store("2", "+FLAGS", r"(\Deleted)")
c.expunge()
tm.is_((p.many("LIST"), p.many("UIDL"), p.say("STAT")), before, "new mail and an expunge by IMAP change nothing")
tm.is_(p.octets("RETR 2"), M2, "and what was expunged can still be fetched")
p.say("DELE 2")
p.say("DELE 3")
tm.ok(p.quit().startswith("+OK"), "QUIT deletes what is left of what was marked")
tm.is_(c.select()[1], [b"2"], "and nothing else")
c.logout()

# ---- flags -----------------------------------------------------------------------------------------------------------------
def seen(user):
    c = sb.imap(user)
    c.select(readonly=True)
    got = c.search(None, "SEEN")[1][0].decode()
    c.logout()
    return got


p = Pop(sb, login=3)
p.octets("RETR 1")
p.quit()
tm.is_(seen(3), "", "RETR sets no flag")
settings(pop3__mark_seen="yes")
p = Pop(sb, login=3)
p.octets("TOP 1 0")
p.octets("RETR 2")
p.quit()
tm.is_(seen(3), "2", "but \\Seen with mark_seen, and TOP does not")
settings(pop3__mark_seen=None)

# ---- headers in UTF-8 ------------------------------------------------------------------------------------------------------
UTF8 = "Subject: größe\r\n\r\nx\r\n".encode()
fill(4, UTF8, M1, "Subject: x\r\n\r\nöüä\r\n".encode())
p = Pop(sb, login=4)
tm.is_(p.octets("RETR 1"), UTF8, "a header in UTF-8 goes out as it is")
p.quit()
settings(pop3__utf8_refuse="yes")
p = Pop(sb, login=4)
tm.is_((p.say("RETR 1"), p.say("TOP 1 0")), ("-ERR [UTF8] this message needs the UTF8 command",) * 2, "with utf8_refuse it does not")
tm.ok(p.octets("RETR 3") and p.octets("RETR 2") == M1, "bodies are no headers")
p.quit()
p = Pop(sb)
p.say("UTF8")
p.login(4)
tm.is_(p.octets("RETR 1"), UTF8, "but after UTF8")
p.quit()
settings(pop3__utf8_refuse=None)

# ---- the door ------------------------------------------------------------------------------------------------------------
FAILED = "-ERR [AUTH] authentication failed"
p = Pop(sb)
tm.is_(p.login(5, "wrong"), FAILED, "a wrong password")
tm.is_(p.login("nobody"), FAILED, "a name that is none")
tm.is_(p.login(5, "wrong"), FAILED, "the third failure")
tm.is_(p.over(), b"", "ends the session")
for user, want in (("disabled", "-ERR [AUTH] this account is not active"), ("inactive", "-ERR [AUTH] this account is not active")):
    tm.is_(Pop(sb, login=user).answer, want, f"{user}")
for name in (f"{sb.user(5)}@{D}", f"alias0005@{D}", sb.user(5).upper()):
    p = Pop(sb, login=name)
    tm.ok(p.answer.startswith("+OK"), f"as {name}")
    p.quit()
me = f"uid={sb.user(5)},{USERS}"
modify(me, "mailHost", "elsewhere.test")
tm.is_(Pop(sb, login=5).answer, "-ERR [SYS/PERM] this mailbox is on another host", "a mailbox of another host")
modify(me, "mailHost", sb.env["MAILHOST"])
for value, plain, tls in (("+imap:*", False, False), ("+pops:*", False, True), ("+pop3s:*", False, True), ("+pop:*", True, True),
                          ("+pop3:ALL", True, True), ("-pop:127.0.0.1", False, False), ("-imap,smtp:*", True, True)):
    modify(me, "mailAllowedServiceAccess", value)
    got, refused = [], True
    for t in (False, True):
        p = Pop(sb, login=5, tls=t)
        got.append(p.answer.startswith("+OK"))
        refused = refused and p.answer in ("-ERR [AUTH] this service is not for you from here", "+OK 0 messages (0 octets)")
        p.quit() if got[-1] else p.close()
    tm.is_(got + [refused], [plain, tls, True], f"mailAllowedServiceAccess {value}")
modify(me, "mailAllowedServiceAccess")


def plain64(user, password=sb.password, authzid=""):
    return base64.b64encode(f"{authzid}\0{sb.user(user)}\0{password}".encode()).decode()


for script in (["AUTH PLAIN " + plain64(6)], ["auth plain", plain64(6)],
               ["AUTH LOGIN", base64.b64encode(sb.user(6).encode()).decode(), base64.b64encode(sb.password.encode()).decode()]):
    p = Pop(sb)
    got = [p.say(line) for line in script]
    tm.ok(got[-1].startswith("+OK 0 messages") and all(g.startswith("+ ") for g in got[:-1]), f"{script[0].split()[1]}, {len(script)} lines")
    p.quit()
p = Pop(sb)
tm.is_([p.say("AUTH PLAIN"), p.say("*")], ["+ ", "-ERR authentication given up"], "an exchange that is given up")
tm.is_([p.say("AUTH PLAIN"), p.say("AAAA")[:4], p.say("AUTH PLAIN =")[:4]], ["+ ", "-ERR", "-ERR"], "malformed ones")
tm.is_(p.say("AUTH PLAIN " + plain64(6, authzid=sb.user(7))), FAILED, "in somebody else's name")
tm.is_(p.say("AUTH GSSAPI"), "-ERR no such mechanism", "no such mechanism")
tm.ok(p.say("AUTH PLAIN " + plain64(6)).startswith("+OK"), "and in at last")
p.quit()

# ---- TLS ---------------------------------------------------------------------------------------------------------------------
p = Pop(sb, tls=True, login=6)
tm.ok(p.answer.startswith("+OK") and "STLS" not in p.many("CAPA"), "implicit TLS")
p.quit()
p = Pop(sb)
p.say("UTF8")
p.say(f"USER {sb.user(6)}")
tm.ok("STLS" in p.many("CAPA") and p.say("STLS").startswith("+OK"), "STLS")
p.tls()
tm.ok("STLS" not in p.many("CAPA") and "SASL PLAIN LOGIN" in p.many("CAPA"), "and then it is offered no more")
tm.is_(p.say(f"PASS {sb.password}"), "-ERR USER first", "a name that was given in clear is forgotten")
tm.is_(p.say("STLS"), "-ERR TLS is on already", "no second STLS")
tm.ok(p.login(6).startswith("+OK"), "the login over TLS")
p.quit()
p = Pop(sb)
p.send("STLS\r\nUSER x\r\n")
tm.is_(p.over(), b"-ERR input behind STLS before its answer\r\n", "what comes behind STLS in one packet is refused")

# ---- LOGIN-DELAY, EXPIRE -------------------------------------------------------------------------------------------------------
settings(pop3__login_delay="1h", pop3__expire="30")
p = Pop(sb)
tm.ok({"LOGIN-DELAY 3600", "EXPIRE 30"} <= set(p.many("CAPA")), "both are announced")
tm.ok(p.login(7).startswith("+OK"), "the first login")
p.quit()
answers = [Pop(sb, login=7).answer for _ in range(4)]
tm.ok(all(re.match(r"-ERR \[LOGIN-DELAY\] come again in 3[56]\d\d seconds", a) for a in answers), "the next ones are too early, on any worker")
settings(pop3__login_delay="100ms")
tm.ok(tm.wait_for(lambda: Pop(sb, login=7).answer.startswith("+OK")), "and come in when it is over")
settings(pop3__login_delay=None, pop3__expire=None)

# ---- peers that do nothing, or little ---------------------------------------------------------------------------------------------
settings(timeout__idle=f"{int(2000 * tm.SHORT)}ms", timeout__login=f"{int(2000 * tm.SHORT)}ms")
HUGE = b"Subject: huge\r\n\r\n" + (b"x" * 76 + b"\r\n") * 160000
fill(8, HUGE)
idle, early, slow = Pop(sb, login=7), Pop(sb), Pop(sb, login=8, rcvbuf=4096)
slow.send("RETR 1\r\n")
over = threading.Event()


def sip():
    try:
        while not over.is_set() and slow.sock.recv(1):
            time.sleep(0.02)
    except OSError:
        pass


sipping = threading.Thread(target=sip)
sipping.start()
tm.is_(idle.over(), b"", "silence after the login ends without a word")
tm.is_(early.over(), b"", "and before it")
tm.ok(tm.wait_for(lambda: (q := Pop(sb, login=8)).answer.startswith("+OK") and not q.close()), "one that sips at a message holds it for the idle time only")
over.set()
slow.close()
sipping.join()
settings(timeout__idle=None, timeout__login=None)
p = Pop(sb, login=8)
p.send("RETR 1\r\n" * 20)
tm.ok(p.line() == f"+OK {len(HUGE)} octets", "a client that asks for much and reads nothing")
tm.wait_for(lambda: len(p.sock.recv(1 << 20, socket.MSG_PEEK)) > 30000, what="its socket to be full")
rss = sum(int(re.search(r"RssAnon:\s+(\d+)", open(f"/proc/{w}/status").read())[1]) for w in sb.pids_of("pop3d"))
tm.ok(tm.SANITIZED or rss < 30000, f"costs no memory ({rss} kB)")
tm.ok(p.body() == HUGE and p.line().startswith("+OK") and p.body() == HUGE, "and gets it when it does")
p.close()

# ---- the store goes and comes back ------------------------------------------------------------------------------------------------
fill(9, M1, M2)
p, q = Pop(sb, login=9), Pop(sb)
sb.kill("stored")
tm.is_(p.octets("RETR 2"), M2, "stored is away: mail can be read")
p.say("DELE 1")
answer = p.say("QUIT")
tm.ok(answer.startswith("-ERR [SYS/TEMP] messages may not be deleted"), "a QUIT that deletes says that it could not") or tm.diag(answer)
# It waits for two seconds of its own; while it stands still stored may take as long as it likes to come.
workers = set(sb.pids_of("pop3d")) - {sb.pid("pop3d")}
tm.is_(q.say(f"USER {sb.user(10)}")[:3], "+OK", "a new user comes")
q.send(f"PASS {sb.password}\r\n")
silent = not select.select([q.sock], [], [], 0.5)[0]
for w in workers:
    tm.freeze(w)
tm.ok(sb.restart("stored"), "stored comes back")
for w in workers:
    os.kill(w, signal.SIGCONT)
tm.ok(silent and q.line().startswith("+OK"), "and a new user's login has waited for it")
q.quit()
p = Pop(sb, login=9)
tm.ok(p.answer.startswith("+OK 2 messages"), "and nothing was deleted")
p.say("DELE 1")
tm.ok(p.quit().startswith("+OK"), "now it is")

# ---- forget, limits ---------------------------------------------------------------------------------------------------------------
p = Pop(sb, login=9)
tm.ok("sessions=1" in control(f"forget {sb.user(9)}@{D}") and b"log in again" in p.over(), "forget ends the user's sessions")
settings(limit__per_client="3")
held = tm.wait_for(lambda: (h := [Pop(sb) for _ in range(3)])[2].greeting.startswith("+OK") and h)
p = Pop(sb)
tm.ok(p.greeting.startswith("-ERR [SYS/TEMP]") and "too many connections from you" in p.greeting, "limit.per_client") or tm.diag(p.greeting)
settings(limit__per_client=None)
metrics = dict(re.findall(r"^tiermail_(pop3_\w+) (\d+)$", control("metrics"), re.M))
for name in "connections_total sessions tls_handshakes_total logins_total logins_failed_total in_use_total commands_total commands_bad_total " \
        "messages_retrieved_total bytes_retrieved_total messages_deleted_total".split():
    tm.ok(int(metrics.get("pop3_" + name, 0)) > 0, f"the metric pop3_{name} counts")
tm.done()
