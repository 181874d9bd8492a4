#!/usr/bin/env python3
"""Policy services by Postfix's protocol: what one is told, all that it can answer, several in a row, over Unix sockets and
TCP; one that goes, is late or talks rubbish; and postgrey and postfwd as they are in Debian."""
import os, shutil, signal, socket, subprocess, sys, threading, time

sys.path[:0] = [os.path.dirname(os.path.abspath(__file__))]
import tm, wire

tm.need("ldapadd")


class Service:
    """Answers by `say(request)`; "" is silence, None ends the connection."""

    def __init__(self, address):
        self.heard, self.connections, self.say = [], 0, lambda r: "DUNNO"
        self.address, self.open = address, []
        unix = address.startswith("unix:")
        self.socket = socket.socket(socket.AF_UNIX if unix else socket.AF_INET)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(address[5:] if unix else ("127.0.0.1", int(address.split(":")[1])))
        if unix:
            os.chmod(address[5:], 0o666)
        self.socket.listen(50)
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            c, _ = self.socket.accept()
            self.connections += 1
            self.open.append(c)
            threading.Thread(target=self.serve, args=(c,), daemon=True).start()

    def serve(self, c):
        f, request = c.makefile("rb"), {}
        for line in f:
            line = line.decode().rstrip("\n")
            if line:
                k, _, v = line.partition("=")
                request[k] = v
                continue
            self.heard.append(request)
            answer, request = self.say(request), {}
            if answer is None:
                c.shutdown(socket.SHUT_RDWR)
                return
            try:
                c.sendall(answer if isinstance(answer, bytes) else f"action={answer}\n\n".encode() if answer else b"")
            except OSError:
                return

    def hang_up(self):
        for c in self.open:
            try:
                c.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        self.open = []


without = [a for d in ("imapd", "pop3d", "jmapd", "sieved", "mmpd", "memd", "jobctl") for a in ("--without", d)]
sb = tm.Sandbox("--users", "3", *without, "--set", "smtp-relay.workers=1")
me, you = (f"{sb.user(n)}@{sb.domain}" for n in (1, 2))
one, two = Service(f"unix:{sb.dir}/policy.sock"), Service(f"127.0.0.1:{tm.free_port()}")
path = sb.conf("smtp-relay.conf")
plain = open(path).read()


def services(*which, **keys):
    with open(path, "w") as f:
        f.write(plain)
        for name, s in zip(("one", "two"), which):
            f.write(f"\n[policy {name}]\naddress = {s if isinstance(s, str) else s.address}\n" + "".join(f"{k} = {v}\n" for k, v in keys.get(name, {}).items()))
    sb.restart("smtp-relay")


def rcpt(*to, sender="a@else.test", end=False):
    """The answers to RCPT, and to the message."""
    with sb.smtp() as s:
        s.ehlo()
        s.mail(sender)
        got = [f"{c} {t.decode()}" for c, t in (s.rcpt(t) for t in to)]
        if end:
            s.putcmd("data")
            if s.getreply()[0] == 354:
                s.send(b"Subject: s\r\n\r\nhello\r\n.\r\n")
                got.append(f"{s.getreply()[0]}")
    return got


def queue_text():
    return [open(f, "rb").read() for f in sb.queue_files()]


def fresh():
    one.heard.clear()
    two.heard.clear()
    for f in sb.queue_files():
        os.unlink(f)


# ---- what it is told
services(one, one={"context": "here"})
tm.is_([a[:3] for a in rcpt(me, you, f"nobody@{sb.domain}", end=True)], ["250", "250", "550", "250"], "a service that does not know lets all pass")
tm.is_(len(one.heard), 2, "and is asked about those who are good alone")
r = one.heard[0]
tm.is_({k: r.get(k) for k in ("request", "protocol_state", "protocol_name", "helo_name", "sender", "recipient", "client_address", "client_name", "policy_context", "recipient_count")},
       {"request": "smtpd_access_policy", "protocol_state": "RCPT", "protocol_name": "ESMTP", "helo_name": "client.test", "sender": "a@else.test",
        "recipient": me, "client_address": "127.0.0.1", "client_name": "unknown", "policy_context": "here", "recipient_count": "0"}, "what it hears")
tm.ok(one.heard[1]["recipient"] == you and one.heard[1]["instance"] == r["instance"], "one instance for all of a message")
rcpt(me)
tm.ok(one.heard[-1]["instance"] != r["instance"], "another for the next")
tm.is_(one.connections, 1, "all over one connection")
rcpt(me, sender="")
tm.is_(one.heard[-1]["sender"], "", "the null sender is nothing")

# ---- what it can answer
fresh()
for say, want in (("REJECT", "550 5.7.1 a policy"), ("REJECT 5.2.1 closed", "550 5.2.1 closed"), ("DEFER_IF_PERMIT Greylisted", "450 4.7.1 Greylisted"),
                  ("451 4.2.2 later", "451 4.2.2 later"), ("OK", "250"), ("WARN look at this", "250"), ("FILTER smtp:x", "250")):
    one.say = lambda r, say=say: say if r["recipient"] == me else "DUNNO"
    got = rcpt(me, you)
    tm.ok(got[0].startswith(want) and got[1].startswith("250"), f"{say}: {want}, of that recipient alone") or tm.diag(got)
tm.ok(wire.logged(sb, "smtp-relay", "ev=policy_note", "look at this") and wire.logged(sb, "smtp-relay", "ev=policy_note", "smtp:x"), "notes and what is not known are logged")
one.say = lambda r: "PREPEND X-Policy: seen"
tm.is_(rcpt(me, end=True)[-1], "250", "PREPEND")
text = queue_text()[0]
tm.ok(text.index(b"X-Policy: seen\r\n") < text.index(b"Received:"), "puts a field on top")
fresh()
one.say = lambda r: "PREPEND no field"
tm.is_((rcpt(me, end=True)[-1], b"no field" in queue_text()[0]), ("250", False), "what is no field is left out")
fresh()
one.say = lambda r: "HOLD suspicious"
tm.is_(rcpt(me, end=True)[-1], "250", "HOLD")
tm.ok([f for f in sb.queue_files() if f.endswith(".HELD")] and b"suspicious" in queue_text()[0], "keeps the message in the queue, with the reason")
fresh()
one.say = lambda r: "DISCARD"
tm.is_((rcpt(me, end=True)[-1], sb.queue_files()), ("250", []), "DISCARD lets it vanish")

# ---- two of them
services(one, two)
fresh()
one.say, two.say = (lambda r: "DUNNO"), (lambda r: "REJECT by two")
tm.ok(rcpt(me)[0].startswith("550 5.7.1 by two") and len(one.heard) == 1, "the second is asked when the first does not know")
one.say = lambda r: "OK"
fresh()
tm.ok(rcpt(me)[0].startswith("250") and not two.heard, "and not when it is sure")

# ---- one that fails
one.say, two.say = (lambda r: "DUNNO"), (lambda r: "DUNNO")
services(one)
rcpt(me)
one.hang_up()
tm.ok(rcpt(me)[0].startswith("250"), "a connection that went while nobody asked is made anew")
n = one.connections
one.say = lambda r: None
tm.ok(rcpt(me)[0].startswith("451 4.3.5"), "one that hangs up instead of answering has failed")
tm.ok(one.connections - n <= 2, "after one more try at most")
one.say = lambda r: b"hello\n\n"
tm.ok(rcpt(me)[0].startswith("451 4.3.5"), "so has one that is not understood")
one.say = lambda r: b"action=" + b"x" * 9000
tm.ok(rcpt(me)[0].startswith("451 4.3.5"), "or says too much")
services(one, one={"timeout": "1s", "on_failure": "accept"})
one.say = lambda r: ""
tm.ok(rcpt(me)[0].startswith("250"), "on_failure = accept: one that is silent is passed over")
one.say = lambda r: "REJECT late"
tm.ok(rcpt(me)[0].startswith("550 5.7.1 late"), "its late answer is nobody's")
services(f"127.0.0.1:{tm.free_port()}", one={"on_failure": "reject"})
tm.ok(rcpt(me)[0].startswith("550 5.3.5"), "on_failure = reject: one that is not there")
tm.ok(wire.logged(sb, "smtp-relay", "ev=policy_error", "policy=one", "on_failure=reject"), "with a line in the log")
services(one, one={"listeners": "submission"})
fresh()
tm.ok(rcpt(me)[0].startswith("250") and not one.heard, "other listeners' recipients are not its business")

# ---- about whom
def entry(n, word):
    dn = f"uid={sb.user(n)},ou=People,o={sb.domain},{sb.env['LDAP_BASE']}" if n else f"o={sb.domain},{sb.env['LDAP_BASE']}"
    r = subprocess.run(["ldapmodify", "-x", "-H", sb.env["LDAP_URL"], "-D", sb.env["LDAP_ADMIN_DN"], "-w", sb.env["LDAP_ADMIN_PASSWORD"]], capture_output=True, text=True,
                       input=f"dn: {dn}\nchangetype: modify\nreplace: mailAntiUBEService\n" + (f"mailAntiUBEService: {word}\n" if word else ""))
    assert r.returncode == 0, r.stderr


def about(users, *also):
    """Of whom the first service hears: users 1 to 3, as numbers."""
    services(one, *also, one={"users": users})
    fresh()
    one.say = lambda r: "REJECT one"
    got = rcpt(*(f"{sb.user(n)}@{sb.domain}" for n in (1, 2, 3)))
    one.say = lambda r: "DUNNO"
    heard = [n for n in (1, 2, 3) if any(r["recipient"] == f"{sb.user(n)}@{sb.domain}" for r in one.heard)]
    tm.is_([a[:3] for a in got], ["550" if n in heard else "250" for n in (1, 2, 3)], "(and its answers are about them)")
    return heard


entry(2, "none")
entry(3, "postgrey")
tm.is_(about("all"), [1, 2, 3], "all: mailAntiUBEService says nothing")
tm.is_(about("optout"), [1, 3], "optout: one who has opted out is left alone")
tm.is_(about("optin"), [3], "optin: who has opted in, and nobody else")
entry(0, "none")
tm.is_(about("optout"), [3], "who says nothing is what his domain says")
entry(0, "postgrey")
tm.is_(about("optin", two), [1, 3], "either way")
tm.is_([r["recipient"] for r in two.heard], [f"{sb.user(2)}@{sb.domain}"], "the next service is asked about one whom this is not asked about")
entry(0, "")
services(one, one={"users": "optin"})
fresh()
one.say = lambda r: "REJECT one"
tm.is_(([a[:3] for a in rcpt(f"{sb.user(3)}+x@{sb.domain}", f"postmaster@{sb.domain}")], len(one.heard)), (["550", "250"], 1), "with a subaddress, too; who is no user has not opted in")
one.say = lambda r: "DUNNO"

# ---- the real thing
postgrey = shutil.which("postgrey") or "/usr/sbin/postgrey"
if not os.path.exists(postgrey) or os.getuid() != 0:
    tm.skip("postgrey", "needs postgrey, and root")
else:
    db, at = tm.tempdir(), f"127.0.0.1:{tm.free_port()}"
    shutil.chown(db, "nobody", "nogroup")
    p = subprocess.Popen([postgrey, f"--inet={at}", f"--dbdir={db}", "--delay=1", "--user=nobody", "--group=nogroup",
                          f"--pidfile={db}/pid", "--hostname=grey.test"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        def up():
            try:
                return socket.create_connection(("127.0.0.1", int(at.split(":")[1])), 1).close() is None
            except OSError:
                return False
        tm.ok(tm.wait_for(up), "postgrey is up")
        services(at)
        tm.ok("reylist" in (first := rcpt(me)[0]) and first.startswith("450 4."), "postgrey puts a stranger off") or tm.diag(first)
        time.sleep(2)
        tm.is_([a[:3] for a in rcpt(me, end=True)], ["250", "250"], "and lets him in when he comes again")
        tm.ok(any(b"X-Greylist: delayed" in t for t in queue_text()), "with its field on the message")
    finally:
        tm.end([p])
postfwd = "/usr/sbin/postfwd1"
if not os.path.exists(postfwd) or os.getuid() != 0:
    tm.skip("postfwd", "needs postfwd, and root")
else:
    d, port = tm.tempdir(), tm.free_port()
    os.chmod(d, 0o755)
    with open(f"{d}/rules", "w") as f:
        f.write(f"""id=BAD; sender==bad@else.test; action=REJECT nothing from $$sender at $$client_address
id=RATE; sender==fast@else.test; action=rate($$sender/2/3600/450 4.7.1 too many recipients)
id=STATE; protocol_state==RCPT; helo_name=client.test; recipient=={you}; action=PREPEND X-Postfwd: $$protocol_name of $$helo_name
id=LAST; action=DUNNO
""")
    shutil.chown(d, "nobody", "nogroup")
    started = subprocess.run([postfwd, "--daemon", "--file", f"{d}/rules", "--interface", "127.0.0.1", "--port", str(port), "--user", "nobody", "--group", "nogroup", "--nodns",
                              "--cache", "0", "--pidfile", f"{d}/pid"], capture_output=True, text=True)
    tm.is_(started.returncode, 0, "postfwd starts") or tm.diag(started.stderr)
    try:
        def listens():
            try:
                return socket.create_connection(("127.0.0.1", port), 1).close() is None
            except OSError:
                return False
        tm.ok(tm.wait_for(listens), "postfwd is up")
        services(f"127.0.0.1:{port}")
        fresh()
        tm.is_(rcpt(me, sender="bad@else.test"), ["550 5.7.1 nothing from bad@else.test at 127.0.0.1"], "postfwd refuses by what it is told")
        tm.is_([a[:9] for a in rcpt(me, you, f"{sb.user(3)}@{sb.domain}", sender="fast@else.test")], ["250 2.1.5"] * 2 + ["450 4.7.1"], "counts")
        tm.is_([a[:3] for a in rcpt(you, end=True)], ["250", "250"], "and lets others in,")
        tm.ok(any(b"X-Postfwd: ESMTP of client.test\r\n" in t for t in queue_text()), "with a field of its own")
    finally:
        with open(f"{d}/pid") as f:
            os.kill(int(f.read()), signal.SIGTERM)
tm.done()
