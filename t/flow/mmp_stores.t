#!/usr/bin/env python3
"""The multiplexor and stores of every kind: foreign ones with a master user, silent, strange and hostile ones,
one that says where the user has gone; a load balancer in front; mbsync through it all."""
import base64, os, re, socket, ssl, subprocess, sys, tempfile, threading

sys.path[:0] = [os.path.dirname(os.path.abspath(__file__))]
import tm, wire
from probe import ctl

tm.need("ldapmodify", "openssl")


class Fake(threading.Thread):
    """A store that plays a script: called with each connection, after TLS if there is a context."""
    def __init__(self, script, cert=None):
        super().__init__(daemon=True)
        self.script, self.sock, self.heard = script, socket.create_server(("127.0.0.1", 0)), []
        self.port, self.cert, self.n, self.header = self.sock.getsockname()[1], cert, 0, False

    def context(self):
        c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        c.load_cert_chain(self.cert + "/server.pem", self.cert + "/server.key")
        return c

    def one(self, conn):
        try:
            conn.settimeout(tm.LONG)
            if self.header:
                self.heard.append(conn.recv(28, socket.MSG_WAITALL))
            if self.cert:
                conn = self.context().wrap_socket(conn, server_side=True)
            with conn:
                self.script(self, conn)
        except OSError:
            pass

    def run(self):
        while True:
            conn, _ = self.sock.accept()
            self.n += 1
            threading.Thread(target=self.one, args=(conn,), daemon=True).start()

    def lines(self, conn, n):
        """n lines of the client's."""
        with conn.makefile("rb") as f:
            got = [f.readline() for _ in range(n)]
        self.heard.append(got)
        return got


def says(*pieces, wait=2):
    """The greeting at once, the rest when the login has come; then it listens until the end."""
    def script(self, conn):
        conn.sendall(pieces[0])
        if len(pieces) > 1:
            self.lines(conn, wait)
            for p in pieces[1:]:
                conn.sendall(p)
        while conn.recv(4096):
            pass
    return script


def mute(self, conn):
    while conn.recv(4096):
        pass


def hang_up(self, conn):
    pass


def drip(self, conn):
    conn.sendall(b"* OK ready\r\n")
    for _ in range(10000):
        conn.sendall(b"* ")
        threading.Event().wait(0.05)


OK = b"* OK ready\r\n"
NAMES = ("named", "nowhere", "announced", "garbage", "binary", "bye", "unbelieving", "full", "long", "many", "preauth", "closing", "plain", "silent", "drip", "refusing",
         "wrongname", "lying")
FAKES = {"garbage": says(b"220 smtp.test ESMTP\r\n"), "binary": says(bytes(range(256)) * 50),
         "bye": says(b"* BYE [UNAVAILABLE] going down\r\n"), "unbelieving": says(OK, b"i OK\r\na NO [AUTHENTICATIONFAILED] who?\r\n"),
         "full": says(OK, b"i OK\r\na NO [LIMIT] Too many of you\r\n"), "long": says(OK, b"* " + b"x" * 100000),
         "many": says(OK, b"* more\r\n" * 10000), "preauth": says(b"* PREAUTH welcome\r\n"), "closing": hang_up, "plain": says(OK),
         "silent": mute, "drip": drip, "wrongname": says(OK, b"i OK\r\na OK in\r\n"),
         "announced": says(OK, b"i OK\r\na OK announced\r\n"),
         "named": says(OK, b"i OK\r\na OK found by name\r\n"), "nowhere": None,
         "lying": says(OK, b"i OK\r\na NO [REFERRAL imap://../../etc/] gone\r\n")}
master = Fake(says(OK, b"* ID NIL\r\ni OK\r\n* CAPABILITY X\r\na OK [CAPABILITY IMAP4rev1 XFOREIGN] in\r\n",
                   b"* behind the login\r\n"))
pop_master = Fake(says(b"+OK ready\r\n", b"-ERR no XCLIENT\r\n+OK you are in\r\n"))
HOSTS = tempfile.NamedTemporaryFile("w", prefix="tm-hosts-")
HOSTS.write("127.0.0.1 named.test\n")
HOSTS.flush()
os.chmod(HOSTS.name, 0o644)
sb = tm.Sandbox("--users", "24", "--set", f"tiermail.dns.hosts={HOSTS.name}", "--set", "tiermail.dns.resolvers=127.0.0.1@9",
                "--set", "tiermail.dns.timeout=1s", "--set", "mmpd.store.failures=1000", "--set", f"mmpd.store.login_timeout={1000 * tm.SHORT:.0f}ms",
                "--set", "mmpd.store.attempts=5", "--set", "mmpd.host foreign.test.auth=master",
                "--set", "mmpd.host foreign.test.tls=off", "--set", "mmpd.host foreign.test.master=proxy",
                "--set", "mmpd.host foreign.test.master_password=s3cret word", "--set", "mmpd.host foreign.test.address=127.0.0.1",
                "--set", f"mmpd.host foreign.test.imap_port={master.port}", "--set", f"mmpd.host foreign.test.pop3_port={pop_master.port}",
                "--set", "mmpd.listen imaps.proxy=yes", "--set", "mmpd.proxy.networks=127.0.0.1",
                "--set", "mmpd.store.source=127.0.0.3 127.0.0.4")
two = tm.Sandbox("--join", sb.dir, "--role", "store")
# ---- the strange ones, known when the names are: a certificate for each
fakes = {"foreign": master, "popforeign": pop_master}
conf = sb.conf("mmpd.conf")
with open(conf, "a") as f:
    for i, name in enumerate(NAMES):
        if name in ("refusing", "nowhere"):
            with socket.create_server(("127.0.0.1", 0)) as s:
                port = s.getsockname()[1]
        else:
            cert = None if name == "plain" else wire.certificate(sb, ("other" if name == "wrongname" else name) + ".test")
            fakes[name] = Fake(FAKES[name], cert)
            port = fakes[name].port
        at = '""' if name in ("named", "nowhere") else "127.0.0.1"
        f.write(f"\n[host {name}.test]\naddress = {at}\nimap_port = {port}\npop3_port = {port}\n")
        if name == "announced":
            fakes[name].header = True
            f.write("send_proxy = yes\n")
for fake in fakes.values():
    fake.start()
tm.ok(ctl({"rundir": sb.env["RUNDIR"]}, "mmpd", b"reload").startswith(b"ok"), "a reload brings stores")
for i, name in enumerate(NAMES, 1):
    wire.modify(sb, i, f"replace: mailHost\nmailHost: {name}.test")
FOREIGN, MOVED = len(NAMES) + 1, len(NAMES) + 2
wire.modify(sb, FOREIGN, "replace: mailHost\nmailHost: foreign.test")


def imap(n, port="MMP_IMAP", **kw):
    w = wire.Line((sb.host, sb.port(port)), tls=sb if port == "MMP_IMAPS" else None, **kw)
    w.line()
    w.answer = w.tagged(f"LOGIN {sb.user(n)} {sb.password}")[1]
    return w


def pop(n):
    w = wire.Line((sb.host, sb.port("MMP_POP3")))
    w.line()
    w.say(f"USER {sb.user(n)}")
    w.answer = w.say(f"PASS {sb.password}")
    return w


def log(*words):
    return wire.log(sb, "mmpd", *words)


def logged(*words):
    return wire.logged(sb, "mmpd", *words)


for n, name in enumerate(NAMES, 1):
    w = imap(n)
    want = {"full": "NO [LIMIT] Too many of you", "named": "OK found by name", "announced": "OK announced"}.get(name, "NO [UNAVAILABLE]")
    tm.ok(w.answer.startswith(want), f"a store that is {name}: {want}") or tm.diag(w.answer)
    tm.ok(want[:2] == "OK" or w.tagged("NOOP")[1].startswith("OK"), f"{name}: the connection goes on")
    w.close()
    if name in ("silent", "drip"):
        continue    # once is long enough
    w = pop(n)
    tm.ok(w.answer.startswith("-ERR [SYS/TEMP]"), f"a store that is {name}, by POP3: -ERR [SYS/TEMP]") or tm.diag(w.answer)
    w.close()
tm.ok(logged("ev=store_failed", "store=wrongname.test", "name"), "a certificate for another name is told as such")
tm.ok(logged("ev=store_refused", "AUTHENTICATIONFAILED"), "a store that does not believe us is told in the log")
tm.is_([h for h in fakes["wrongname"].heard if any(h)], [], "and nothing was said to the one with the wrong name")
tm.is_([l for l in log("ev=login ") if "store=named.test" not in l and "store=announced.test" not in l], [], "nobody got in")

header = fakes["announced"].heard[0]
tm.ok(header[:16] == wire.SIGN + b"\x21\x11\0\x0c" and header[16:24] == socket.inet_aton("127.0.0.1") * 2 and
      header[26:] == sb.port("MMP_IMAP").to_bytes(2, "big"), "send_proxy: the client and where he has connected to, in front of TLS") or tm.diag(header)

# ---- one that hangs costs the others nothing
hanging = []
for _ in range(8):
    w = wire.Line((sb.host, sb.port("MMP_IMAP")))
    w.line()
    hanging.append(w)


def rush():
    """All log in at once, five of whom may wait."""
    for w in hanging:
        w.send(f"a LOGIN {sb.user(NAMES.index('silent') + 1)} {sb.password}\r\n")


for _ in range(5):      # on a very slow machine the first are through before the last
    rush()
    said = [w.line()[:18] for w in hanging]
    if log("ev=store_shunned", "store=silent.test"):
        break
tm.is_(said, ["a NO [UNAVAILABLE]"] * 8, "eight log in to a store that is silent, and are told in the end")
tm.ok(logged("ev=store_shunned", "store=silent.test"), "who comes when five wait is not made to wait")
rush()
w = imap(MOVED)
tm.ok(w.answer.startswith("OK"), "and who is elsewhere comes in meanwhile")
w.close()
for w in hanging:
    w.close()
tm.ok(tm.wait_for(lambda: b"store=silent.test protocol=imap state=up attempts=0" in ctl({"rundir": sb.env["RUNDIR"]}, "mmpd", b"status")),
      "clients that leave meanwhile leave nothing behind")

# ---- a foreign store
w = imap(FOREIGN)
tm.is_(w.answer, "OK [CAPABILITY IMAP4rev1 XFOREIGN] in", "a foreign store: its own words")
tm.is_(w.line(), "* behind the login", "and what it says behind them")
heard = master.heard[-1]
tm.ok(b'"x-originating-ip" "127.0.0.1"' in heard[0], "it is told of the client")
tm.is_(base64.b64decode(heard[1].split()[-1]), f"{sb.user(FOREIGN)}@{sb.domain}\0proxy\0s3cret word".encode(),
       "the master user logs in for the user")
w.close()
w = pop(FOREIGN)
tm.is_(w.answer, "+OK you are in", "by POP3 too, whatever it says to XCLIENT")
w.close()
tm.ok(not [l for l in log("") if "s3cret" in l or sb.password in l], "no password is in the log")

# ---- where the connections come from
with open(f"{sb.env['RUNDIR']}/imapd.log") as f:
    via = set(re.findall(r"ev=proxied .*via=(\S+)", f.read()))
tm.ok(via <= {"127.0.0.3", "127.0.0.4"} and via, "store.source: connections come from there")

# ---- behind a load balancer
w = imap(MOVED, "MMP_IMAPS", header=wire.v2("192.0.2.99"))
tm.ok(w.answer.startswith("OK"), "behind a load balancer")
tm.ok(logged("ev=login ", "peer=192.0.2.99") and wire.logged(sb, "imapd", "ev=login ", "peer=192.0.2.99"), "whose client's address reaches the store")
w.close()

# ---- a mailbox that has moved, and caches that do not know
two_name, me = two.env["MAILHOST"], f"{sb.user(MOVED)}@{sb.domain}"
tm.ok(wire.modify(sb, MOVED, f"replace: mailHost\nmailHost: {two_name}"), "a mailbox moves")
tm.ok(ctl({"rundir": sb.env["RUNDIR"]}, "imapd", f"forget {me}".encode()).startswith(b"ok"), "its old store is told")
w = imap(MOVED)
tm.ok(w.answer.startswith("OK"), "the proxy is sent on and follows")
tm.ok(logged("ev=referral", f"user={me}", f"to={two_name}") and wire.logged(two, "imapd", "ev=login ", f"user={me}"), "to the new one")
w.close()
w = imap(MOVED)
tm.ok(w.answer.startswith("OK") and len(log("ev=referral", f"user={me}")) == 1, "and knows it from then on")
w.close()
tm.ok(wire.modify(sb, MOVED, f"replace: mailHost\nmailHost: {sb.env['MAILHOST']}"), "it moves back")
ctl({"rundir": two.env["RUNDIR"]}, "pop3d", f"forget {me}".encode())
w = pop(MOVED)
tm.ok(w.answer.startswith("+OK") and tm.wait_for(lambda: len(log("ev=referral", f"user={me}")) == 2), "POP3 is sent on too")
w.close()
circle = f"{sb.user(MOVED + 1)}@{sb.domain}"
w = imap(MOVED + 1)
w.close()
tm.ok(wire.modify(sb, MOVED + 1, "replace: mailHost\nmailHost: lying.test"), "to a store that sends it on again")
ctl({"rundir": sb.env["RUNDIR"]}, "imapd", f"forget {circle}".encode())
w = imap(MOVED + 1)
tm.ok(w.answer.startswith("NO [UNAVAILABLE]"), "nobody is followed twice")
w.close()

# ---- what is short here is not the store's failure
LAST = 24
imap(LAST).close()
waiting = [wire.Line((sb.host, sb.port("MMP_IMAP"))) for _ in range(3)]
for w in waiting:
    w.line()
with wire.no_descriptors(sb, "mmpd"):
    tm.is_([w.tagged(f"LOGIN {sb.user(LAST)} {sb.password}")[1][:16] for w in waiting], ["NO [UNAVAILABLE]"] * 3, "without a descriptor nobody is let in")
for w in waiting:
    w.close()
tm.ok(logged("ev=store_untried", "open files") and not log("ev=store_failed", "open files"), "which is not told of the store")
w = imap(LAST)
tm.ok(w.answer.startswith("OK"), "and is over when it is")
w.close()

# ---- a client that means it
def resolves(name):
    try:
        return bool(socket.getaddrinfo(name, None))
    except OSError:
        return False


if subprocess.run(["which", "mbsync"], capture_output=True).returncode:
    tm.skip("mbsync through it", "mbsync is not installed")
elif not resolves("localhost"):  # the name of the certificate; mbsync does not look at the addresses in it
    tm.skip("mbsync through it", "localhost has no address here")
else:
    work = os.path.join(sb.dir, "mbsync")
    for box in ("one", "two"):
        for sub in ("cur", "new", "tmp"):
            os.makedirs(f"{work}/{box}/INBOX/{sub}")
    for i in range(200):
        with open(f"{work}/one/INBOX/cur/{i}.x:2,S", "w") as f:
            f.write(f"From: a@b.test\nSubject: {i}\nMessage-ID: <{i}@b.test>\n\n" + "x" * (i * 50 % 3000) + "\n")
    with open(work + "/rc", "w") as f:
        f.write(f"IMAPAccount a\nHost localhost\nPort {sb.port('MMP_IMAP')}\nUser {sb.user(MOVED)}\nPass {sb.password}\n"
                f"SSLType STARTTLS\nCertificateFile {sb.env['CAFILE']}\n\nIMAPStore r\nAccount a\n")
        for box in ("one", "two"):
            f.write(f"\nMaildirStore {box}\nInbox {work}/{box}/INBOX\n\nChannel {box}\nFar :r:\nNear :{box}:\nCreate Both\nSyncState *\n")
    for box in ("one", "two"):
        r = subprocess.run(["mbsync", "-c", work + "/rc", box], capture_output=True, text=True, timeout=tm.LONG)
        tm.is_(r.returncode, 0, f"mbsync {box}") or tm.diag(r.stdout + r.stderr)
    count = sum(len(os.listdir(f"{work}/two/INBOX/{sub}")) for sub in ("cur", "new"))
    tm.is_(count, 200, "200 messages have gone through it both ways")
tm.done()
