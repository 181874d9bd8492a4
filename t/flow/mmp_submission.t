#!/usr/bin/env python3
"""Submission through the multiplexor: the password is asked here, the mail taken by a relay that believes the
proxy: ours by its certificate, Debian's Postfix by its address.  What both sides have is told; what goes wrong
at a relay is never the password's fault."""
import base64, os, re, shutil, signal, smtplib, socket, struct, subprocess, sys, threading, time

sys.path[:0] = [os.path.dirname(os.path.abspath(__file__))]
import tm, wire

RELAY, DEAD, FAKE = tm.free_port(), tm.free_port(), socket.create_server(("127.0.0.1", 0))
MMP, POSTFIX = tm.free_port(), tm.free_port()


def opt(*pairs):
    return [x for p in pairs for x in ("--set", p)]


DOMAIN = "sub.test"
HOST = "mail." + DOMAIN     # the sandbox's own name, which its certificate has
sb = tm.Sandbox("--users", "4", "--domain", DOMAIN, *opt(
    f"smtp-relay.listen proxied.address=127.0.0.1:{RELAY}", "smtp-relay.listen proxied.role=submission",
    "smtp-relay.listen proxied.tls=starttls", "smtp-relay.listen proxied.peer_certificate=ask", f"smtp-relay.auth.proxies={HOST}",
    f"mmpd.listen submission.address=127.0.0.1:{MMP}", "mmpd.listen submission.role=submission", "mmpd.listen submission.tls=starttls",
    f"mmpd.submission.relays=dead.{DOMAIN} {HOST}", f"mmpd.submission.port={DEAD}", "mmpd.auth.delay=100ms", "mmpd.store.failures=2",
    "mmpd.store.retry=1s", f"mmpd.host dead.{DOMAIN}.address=127.0.0.1", f"mmpd.host {HOST}.address=127.0.0.1",
    f"mmpd.host {HOST}.submission_port={RELAY}", f"mmpd.host fake.{DOMAIN}.address=127.0.0.1",
    f"mmpd.host fake.{DOMAIN}.submission_port={FAKE.getsockname()[1]}", f"mmpd.host fake.{DOMAIN}.tls=off",
    f"mmpd.host fake.{DOMAIN}.xclient=always", f"mmpd.host wary.{DOMAIN}.address=127.0.0.1", f"mmpd.host wary.{DOMAIN}.tls=off",
    f"mmpd.host wary.{DOMAIN}.submission_port={FAKE.getsockname()[1]}", f"mmpd.host postfix.{DOMAIN}.xclient=always",
    f"mmpd.host postfix.{DOMAIN}.address=127.0.0.1", f"mmpd.host postfix.{DOMAIN}.submission_port={POSTFIX}",
    f"mmpd.host postfix.{DOMAIN}.tls=off"))
PW = sb.password
plain = lambda n, pw=None: base64.b64encode(f"\0{sb.user(n)}@{DOMAIN}\0{pw or PW}".encode()).decode()


def smtp(tls=True):
    c = smtplib.SMTP("127.0.0.1", MMP, local_hostname="client.test", timeout=tm.LONG, source_address=("127.0.0.9", 0))
    if tls:
        c.starttls(context=wire.context(sb))
    c.ehlo()
    return c


def auth(c, n, pw=None):
    code, text = c.docmd("AUTH", "PLAIN " + plain(n, pw))
    return code, text.decode()


def relays(words):
    """Other relays from now on."""
    with open(sb.conf("mmpd.conf")) as f:
        text = f.read()
    with open(sb.conf("mmpd.conf"), "w") as f:
        f.write(re.sub(r"(?m)^relays = .*$", "relays = " + words, text))
    tm.is_(sb.tool("tmctl", "-d", "mmpd", "reload").stdout.strip(), "ok", f"the relays are {words}")


# ---- to our relay, the first of the list being dead
c = smtp()
tm.ok({"auth", "size", "pipelining", "8bitmime", "chunking", "dsn", "smtputf8"} <= set(c.esmtp_features), "EHLO")
tm.is_(c.docmd("MAIL", "FROM:<a@b.test>")[0], 530, "MAIL before AUTH")
tm.is_(auth(c, 1, "wrong")[0], 535, "a wrong password")
tm.is_(auth(c, 1)[0], 235, "the right one, on the same connection")
body = "From: %s@%s\r\nTo: %s@%s\r\nSubject: proxied\r\n\r\nhello\r\n" % (sb.user(1), DOMAIN, sb.user(2), DOMAIN)
tm.is_(c.sendmail(f"{sb.user(1)}@{DOMAIN}", [f"{sb.user(2)}@{DOMAIN}"], body), {}, "a message")
tm.is_(c.docmd("MAIL", "FROM:<other@elsewhere.test>")[0] // 100, 5, "another's address is refused by the relay, which knows who he is")
c.quit()
tm.ok(tm.wait_for(lambda: sb.count(2) == 1), "has arrived")
got = sb.messages(2)[0]
got = got if isinstance(got, str) else got.decode(errors="replace")
tm.ok("from client.test" in got and "127.0.0.9" in got, "its Received says who the client was and where, not the proxy")
line = wire.logged(sb, "mmpd", "ev=login ", f"user={sb.user(1)}@{DOMAIN}", f"store={HOST}")[0]
sid = re.search(r"sid=(\S+)", line)[1]
tm.ok(wire.logged(sb, "smtp-relay", "ev=auth", f"sid={sid}", "mech=XCLIENT", "peer=127.0.0.9", "result=ok"), "the relay's log has the proxy's session id and the client's address")
tm.ok(wire.logged(sb, "mmpd", "ev=store_failed", f"store=dead.{DOMAIN}"), "the dead relay was passed over")
for _ in range(4):
    c = smtp()
    tm.is_(auth(c, 3)[0], 235, "and again")
    c.close()
tm.ok(wire.logged(sb, "mmpd", "ev=store_down", f"store=dead.{DOMAIN}"), "until it is taken for dead")

# ---- a user, one whose name it begins with, and one whose name has a blank: an entry that nobody uses
ldif = "".join(f"dn: uid={uid},ou=People,o={DOMAIN},{sb.env['LDAP_BASE']}\nobjectClass: inetOrgPerson\nobjectClass: inetUser\nobjectClass: inetMailUser\nobjectClass: inetLocalMailRecipient\n"
               f"cn: x\nsn: x\nuid: {uid}\nmail: {uid.replace(' ', '-')}@{DOMAIN}\nmailHost: {sb.env['MAILHOST']}\ninetUserStatus: active\nmailUserStatus: active\nuserPassword: {PW}\n\n"
               for uid in ("ann lee", "ann.lee", "ann"))
r = subprocess.run(["ldapadd", "-x", "-H", sb.env["LDAP_URL"], "-D", sb.env["LDAP_ADMIN_DN"], "-w", sb.env["LDAP_ADMIN_PASSWORD"]], input=ldif, text=True, capture_output=True)
tm.is_(r.returncode, 0, "the entries are there " + r.stderr)
ANN, OTHER, BLANK = f"ann.lee@{DOMAIN}", f"ann@{DOMAIN}", f"ann lee@{DOMAIN}"


def enter(name, code=235):
    c = smtp()
    tm.is_(c.docmd("AUTH", "PLAIN " + base64.b64encode(f"\0{name}\0{PW}".encode()).decode())[0], code, f"{name}: {code}")
    return c


def ctl(*args, daemon="mmpd"):
    return sb.tool("tmctl", "-d", daemon, *args).stdout.splitlines()


enter(BLANK, 454).close()
conns = [enter(ANN), enter(OTHER)]
users = lambda *args: [re.search(r" user=(\S+)", line)[1] for line in ctl("who", *args)]
tm.is_((users("user=" + ANN), users("user=" + BLANK)), ([ANN], []), "who: of a user, of nobody")
tm.is_(ctl("who", f"user={ANN} protocl=submission"), ["error: unknown key in protocl=submission"], "a key that is none is told")
tm.is_(ctl("kick", "user=" + ANN, "protocol=pop3"), ["kicked=0"], "kick: all keys must fit")
tm.is_(ctl("kick", "user=" + ANN), ["kicked=1"], "kick of the user")
tm.is_(users("user=" + OTHER), [OTHER], "and of no other")
conns.append(enter(ANN))
cached = lambda: sum(int(n) for line in ctl("cache", "show") for n in re.findall(r"cached=(\d+)", line))
had = cached()
tm.is_((ctl("cache", "purge", ANN), cached() < had), (["ok"], True), "cache purge of the user")
tm.is_((ctl("forget", ANN), ctl("forget", f"  {OTHER} ")), (["ok sessions=1"], ["ok sessions=1"]), "forget of the user, and of no other")
tm.ok(ctl("forget")[0].startswith("error: "), "forget whom")
tm.is_([tm.wait_for(lambda: not users("user=" + u)) for u in (ANN, OTHER)], [True, True], "nobody is left")

# ---- who is believed at the relay
w = wire.Line(("127.0.0.1", RELAY))
w.line()
w.send("EHLO x.test\r\n")
said = []
while not said or said[-1][3:4] == "-":
    said.append(w.line())
tm.ok(not any("XCLIENT" in s for s in said), "the relay offers XCLIENT to nobody else")
tm.ok(w.say(f"XCLIENT ADDR=192.0.2.1 LOGIN={sb.user(1)}@{DOMAIN}").startswith(("502", "500", "550", "503")), "and knows it from nobody else")
tm.ok(w.say("MAIL FROM:<a@b.test>").startswith("530"), "MAIL wants AUTH as ever")
w.close()


def at_relay(cert):
    """Behind STARTTLS with a certificate."""
    w = wire.Line(("127.0.0.1", RELAY))
    w.line()
    for say in ("EHLO x.test", "STARTTLS", None, "EHLO x.test"):
        if not say:
            w.tls(sb, cert)
            continue
        w.send(say + "\r\n")
        while (line := w.line())[3:4] == "-":
            pass
    return w


w = at_relay(wire.certificate(sb, "stranger." + DOMAIN))
tm.ok(w.say(f"XCLIENT ADDR=192.0.2.1 LOGIN={sb.user(1)}@{DOMAIN}")[:3] in ("502", "500", "550", "503"), "nor from another certificate of the authority")
w.close()
own = os.path.join(sb.dir, "tls")
for bad in ("ADDR=192.0.2.1", "LOGIN=", "LOGIN=a LOGIN=b", "LOGIN=+zz", "LOGIN=nobody@" + DOMAIN, "LOGIN=disabled@" + DOMAIN):
    w = at_relay(own)
    tm.ok(w.say("XCLIENT " + bad)[:1] in "45", f"XCLIENT {bad} is refused")
    tm.ok(w.say("MAIL FROM:<a@b.test>").startswith("530"), "and nobody is logged in")
    w.close()
w = at_relay(own)
tm.ok(w.say(f"XCLIENT ADDR=IPV6:2001:db8::9 PORT=7 LOGIN={sb.user(1)}@{DOMAIN}").startswith("220"), "the proxy's own certificate")
tm.ok(wire.logged(sb, "smtp-relay", "ev=auth", "peer=2001:db8::9", "mech=XCLIENT"), "with an IPv6 client")
tm.ok(w.say(f"XCLIENT ADDR=192.0.2.1 LOGIN={sb.user(2)}@{DOMAIN}")[:1] == "5", "once for a connection")
w.close()

# ---- relays that are none
answers, reached, asked, last = [], [], [], []


def fake():
    while True:
        conn, _ = FAKE.accept()
        reached.append(conn)
        threading.Thread(target=play, args=(conn, answers[0]), daemon=True).start()


def play(conn, script):
    with conn, conn.makefile("rb") as f:
        try:
            conn.sendall(b"220 fake ESMTP\r\n" if "greet" not in script else script["greet"])
            for line in f:
                verb = line.split()[0].upper().decode() if line.split() else ""
                conn.sendall(script.get(verb, b"502 no\r\n"))
                if verb == "XCLIENT":
                    asked.append(conn)
        except OSError:
            pass


threading.Thread(target=fake, daemon=True).start()
OFFER = b"XCLIENT NAME ADDR PORT LOGIN\r\n"
relays(f"fake.{DOMAIN}")
for what, script, code in (
        ("no XCLIENT", {"EHLO": b"250-fake\r\n250 SIZE\r\n"}, 454), ("XCLIENT without LOGIN", {"EHLO": b"250-fake\r\n250 XCLIENT NAME ADDR\r\n"}, 454),
        ("XCLIENT refused", {"EHLO": b"250-fake\r\n250 " + OFFER, "XCLIENT": b"535 5.7.8 wrong password\r\n"}, 454),
        ("no EHLO", {}, 454), ("a busy one", {"greet": b"421 4.7.0 busy\r\n"}, 454), ("rubbish", {"greet": b"hello\r\n"}, 454),
        ("endless lines", {"EHLO": b"250-fake\r\n" * 1000}, 454), ("a long line", {"greet": b"220 " + b"x" * 20000}, 454)):
    answers[:] = [script]
    c, before = smtp(), len(reached)
    # One that is taken for dead is not asked: 454 all the same, until it is tried again.
    said = {auth(c, 1)[0]}
    tm.wait_for(lambda: len(reached) > before or said.add(auth(c, 1)[0]), what=f"a connection to a relay with {what}")
    tm.is_(said, {code}, f"a relay with {what}: not the password's fault")
    c.close()
# One that has less than was told: come again, and then it fits.
both = {"EHLO": b"250-fake\r\n250-SIZE 12345\r\n250-PIPELINING\r\n250 " + OFFER, "XCLIENT": b"220 fake ESMTP\r\n", "MAIL": b"250 ok\r\n", "QUIT": b"221 bye\r\n"}
answers[:] = [both]
tm.ok(tm.wait_for(lambda: (c := smtp()) and (r := auth(c, 1)[0]) in (421, 235)), "a relay with few extensions is up")
c = smtp()
tm.is_(auth(c, 1)[0], 235, "what is lacking is not told any more: it fits")
tm.is_(sorted(k for k in c.esmtp_features if k not in ("auth", "starttls")), ["pipelining", "size"], "EHLO has what both sides have")
tm.is_(c.esmtp_features["size"], "12345", "and the relay's SIZE")
tm.is_(c.docmd("MAIL", "FROM:<a@b.test>")[0], 250, "and the session goes on there")
tm.ok(wire.logged(sb, "mmpd", "ev=relay_lacks", "extension=DSN"), "the log says what the relay lacks")

# One that does not answer: a client that goes meanwhile is noticed, and an answer to one who was sent away finds nobody.
answers[:] = [{**both, "XCLIENT": b""}]
for how in ("reset", "kick"):
    del asked[:]
    d = smtp()
    d.send("AUTH PLAIN " + plain(2) + "\r\n")
    tm.wait_for(lambda: asked, what="XCLIENT at the relay")
    if how == "reset":
        d.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        d.close()
        tm.ok(wire.logged(sb, "mmpd", "ev=disconnect", "why=error", f"user={sb.user(2)}@{DOMAIN}"), "a client that is gone is noticed while the relay says nothing")
        continue
    parent = int(re.search(r"pid=(\d+)", sb.tool("tmctl", "-d", "mmpd", "status").stdout)[1])
    with open(f"/proc/{parent}/task/{parent}/children") as f:
        workers = sorted(map(int, f.read().split()))
    for w in workers:
        tm.freeze(w)
    kick = threading.Thread(target=lambda: sb.tool("tmctl", "-d", "mmpd", "kick", f"user={sb.user(2)}@{DOMAIN}"))
    kick.start()
    # Both lie there when the worker looks; should it be otherwise, nothing fails.
    time.sleep(0.5)
    asked[0].sendall(b"220 fake ESMTP\r\n250-fake\r\n250-SIZE 12345\r\n250 PIPELINING\r\n")
    for w in workers:
        os.kill(w, signal.SIGCONT)
    kick.join()
    tm.ok(wire.logged(sb, "mmpd", "ev=disconnect", "why=kicked", f"user={sb.user(2)}@{DOMAIN}"), "one who waits for the relay is sent away")
    tm.ok(sb.tool("tmctl", "-d", "mmpd", "ping").returncode == 0, "and mmpd answers")
    with open(f"/proc/{parent}/task/{parent}/children") as f:
        tm.is_(sorted(map(int, f.read().split())), workers, "by the same workers")
    d.close()
answers[:] = [both]

# One that would believe its client's XCLIENT as it has believed ours.
relays(f"wary.{DOMAIN}")
d = smtp()
tm.is_(auth(d, 1)[0], 454, "a relay that offers XCLIENT again is not taken")
d.close()
tm.ok(wire.logged(sb, "mmpd", "ev=store_failed", f"store=wary.{DOMAIN}", "XCLIENT"), "and the log says why")

# ---- an end in between
tm.is_(sb.tool("tmctl", "-d", "mmpd", "kick", "protocol=submission").stdout.strip()[:8], "kicked=1", "kick")
tm.ok(c.file.readline().startswith(b"421 "), "says 421")

# ---- hostile bytes before AUTH
for what, data in (("binary", bytes(range(256)) * 8 + b"\r\n"), ("a long line", b"A" * 100000 + b"\r\n"), ("commands behind AUTH", b"EHLO x\r\nAUTH PLAIN AAAA\r\nMAIL FROM:<a@b>\r\n"),
                   ("BDAT", b"EHLO x\r\nBDAT 100000 LAST\r\n" + b"x" * 100000), ("DATA", b"EHLO x\r\nDATA\r\n.\r\n"), ("bare LF", b"EHLO x\nNOOP\n"), ("HTTP", b"GET / HTTP/1.1\r\n\r\n")):
    w = wire.Line(("127.0.0.1", MMP))
    try:
        w.send(data + b"QUIT\r\n")
        w.rest()
    except OSError:
        pass
    w.close()
c = smtp()
tm.ok(c.docmd("NOOP")[0] == 250, "it serves as before")
c.close()

# ---- Postfix
if os.getuid() == 0 and shutil.which("postfix") and os.path.exists("/usr/lib/postfix/sbin/smtpd"):
    d = os.path.join(tm.tempdir(), "p")
    os.chmod(os.path.dirname(d), 0o755)
    for sub in ("etc", "spool", "data"):
        os.makedirs(f"{d}/{sub}")
    shutil.chown(f"{d}/data", "postfix")
    # Without SASL of its own it takes nobody for authenticated, whoever says so: a socket that knows nobody.
    sasl = socket.create_server(("127.0.0.1", 0))

    def nobody():
        while True:
            conn, _ = sasl.accept()
            conn.sendall(b"VERSION\t1\t2\nMECH\tPLAIN\tplaintext\nSPID\t1\nCUID\t1\nCOOKIE\t0123456789abcdef0123456789abcdef\nDONE\n")
            kept.append(conn)

    kept = []
    threading.Thread(target=nobody, daemon=True).start()
    with open(f"{d}/etc/main.cf", "w") as f:
        f.write(f"""compatibility_level = 3.6
config_directory = {d}/etc
queue_directory = {d}/spool
data_directory = {d}/data
maillog_file = {d}/log
maillog_file_prefixes = {d}
mail_owner = postfix
setgid_group = postdrop
daemon_directory = /usr/lib/postfix/sbin
command_directory = /usr/sbin
myhostname = postfix.{DOMAIN}
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 192.0.2.0/24
smtpd_authorized_xclient_hosts = 127.0.0.0/8
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = inet:127.0.0.1:{sasl.getsockname()[1]}
smtpd_relay_restrictions = permit_sasl_authenticated, reject
smtpd_recipient_restrictions = permit_sasl_authenticated, reject
smtpd_peername_lookup = no
smtputf8_enable = no
disable_dns_lookups = yes
default_database_type = hash
alias_maps =
alias_database =
local_recipient_maps =
import_environment = MAIL_CONFIG
default_transport = discard:
""")
    with open(f"{d}/etc/master.cf", "w") as f:
        f.write(f"127.0.0.1:{POSTFIX} inet n - n - - smtpd\n")
        for name, kind, private, command in (("pickup", "unix", "n", "pickup"), ("cleanup", "unix", "n", "cleanup"), ("qmgr", "unix", "n", "qmgr"),
                                             ("rewrite", "unix", "-", "trivial-rewrite"), ("bounce", "unix", "-", "bounce"), ("defer", "unix", "-", "bounce"),
                                             ("discard", "unix", "-", "discard"), ("anvil", "unix", "-", "anvil"), ("scache", "unix", "-", "scache"),
                                             ("tlsmgr", "unix", "-", "tlsmgr"), ("proxymap", "unix", "-", "proxymap"), ("error", "unix", "-", "error")):
            f.write(f"{name} {kind} {private} - n - {'0' if name in ('cleanup', 'bounce', 'defer') else '1' if name in ('anvil', 'scache', 'tlsmgr') else '-'} {command}\n")
        f.write("postlog unix-dgram n - n - 1 postlogd\n")
    log = lambda: open(f"{d}/log", errors="replace").read() if os.path.exists(f"{d}/log") else ""
    r = subprocess.run(["postfix", "-c", f"{d}/etc", "start"], capture_output=True, text=True)
    try:
        if tm.ok(r.returncode == 0, "Postfix starts"):
            relays(f"postfix.{DOMAIN}")
            for _ in range(2):      # the first one may learn what Postfix lacks
                c = smtp()
                code = auth(c, 1)[0]
                if code == 235:
                    break
                tm.is_(code, 421, "Postfix has less than was told")
            tm.is_(code, 235, "Postfix takes the user on the proxy's word")
            tm.is_(c.sendmail(f"{sb.user(1)}@{DOMAIN}", ["somebody@elsewhere.test"], body), {}, "and a message for elsewhere")
            c.quit()
            tm.ok(tm.wait_for(lambda: f"sasl_username={sb.user(1)}@{DOMAIN}" in log()), "in whose name its log says")
            tm.ok("[127.0.0.9]" in log(), "and from where")
        else:
            tm.diag(r.stdout + r.stderr + log())
    finally:
        subprocess.run(["postfix", "-c", f"{d}/etc", "stop"], capture_output=True)
        tm.wait_for(lambda: not os.path.exists(f"{d}/spool/pid/master.pid") or subprocess.run(["postfix", "-c", f"{d}/etc", "status"], capture_output=True).returncode)
else:
    tm.skip("Postfix", "wants root and Debian's postfix")

# ---- a drain
answers[:] = [both]
relays(f"fake.{DOMAIN}")
tm.ok(tm.wait_for(lambda: auth(c := smtp(), 1)[0] == 235 and last.append(c) or last), "a session at a relay")
began = time.monotonic()
tm.is_(last[0].docmd("MAIL", "FROM:<a@b.test>")[0], 250, "that has answered")
tm.is_(sb.tool("tmctl", "-d", "mmpd", "drain").stdout.strip(), "ok", "drain")
tm.ok(last[0].file.readline().startswith(b"421 "), "ends it with 421")
tm.ok(time.monotonic() - began > 8, "but not right behind the answer, which may be that to a command before a message")
tm.done()
