#!/usr/bin/env python3
"""The door: access filters of user and domain, whose name one may act in, guesses, limits by address,
class and user over all workers, and what a dead worker held."""
import base64, imaplib, os, re, select, smtplib, socket, subprocess, sys, time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tm

sb = tm.Sandbox("--users", "4", "--set", "smtp-relay.auth.delay=50ms", "--set", "imapd.auth.delay=50ms",
                "--set", "imapd.workers=2", "--set", "smtp-relay.workers=1", "--set", "smtp-relay.limit.clients=40",
                "--set", "smtp-relay.limit.per_client=0", "--set", "imapd.limit.per_client=30",
                "--set", "lmtpd.limit.clients=16", "--set", "lmtpd.limit.per_client=0",
                "--set", "lmtpd.trusted=192.0.2.1", "--set", "tiermail.ldap.cache_age=0s",
                "--set", "smtp-relay.auth.failures=0", "--set", "imapd.auth.failures=0")
D, base = sb.domain, sb.env["LDAP_BASE"]


def modify(dn, attr, *values):
    text = f"dn: {dn},{base}\nchangetype: modify\nreplace: {attr}\n" + "".join(
        f"{attr}: {v}\n" for v in values)
    r = subprocess.run(["ldapmodify", "-x", "-H", sb.env["LDAP_URL"], "-D", sb.env["LDAP_ADMIN_DN"],
                        "-w", sb.env["LDAP_ADMIN_PASSWORD"]], input=text, text=True,
                       capture_output=True)
    return r.returncode == 0 or tm.diag(r.stderr)


def imap():
    return imaplib.IMAP4(sb.host, sb.port("IMAP"), timeout=tm.LONG)


def code(answer):
    typ, data = answer
    return "OK" if typ == "OK" else data[0].decode().split("[")[1].split("]")[0]


def login(name, password=sb.password):
    c = imap()
    got = code(c._simple_command("LOGIN", name, password))
    c.shutdown()
    return got


def plain(authcid, authzid="", password=sb.password):
    """The same SASL message at both doors."""
    blob = base64.b64encode(f"{authzid}\0{authcid}\0{password}".encode()).decode()
    c = imap()
    one = code(sasl(c, blob))
    c.shutdown()
    s = sb.smtp("SUBMISSION")
    s.ehlo()
    two = s.docmd("AUTH", "PLAIN " + blob)[0]
    s.close()
    return one, two


def sasl(c, blob):
    c.send(b"a1 AUTHENTICATE PLAIN " + blob.encode() + b"\r\n")
    while True:
        line = c.readline()
        if line.startswith(b"a1 "):
            return line.split()[1].decode(), [line]


def log(daemon):
    with open(os.path.join(sb.dir, "run", daemon + ".log")) as f:
        return f.read()


def ctl(daemon, line):
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(f"{sb.env['RUNDIR']}/{daemon}.ctl")
        s.sendall(line.encode() + b"\n")
        return b"".join(iter(lambda: s.recv(65536), b"")).decode()


me = "uid=user0001,ou=People,o=" + D
# ---- mailAllowedServiceAccess, of the user and of the domain
for value, want in (("-imap,smtp:*", ("NOPERM", 535)), ("+imap:*", ("OK", 535)),
                    ("+smtp:127.0.0.1", ("NOPERM", 235)), ("-ALL:ALL EXCEPT 127.", ("OK", 235)),
                    ("+imaps,smtps:*", ("NOPERM", 535)), ("imap:*", ("UNAVAILABLE", 454))):
    tm.ok(modify(me, "mailAllowedServiceAccess", value), f"mailAllowedServiceAccess: {value}")
    tm.is_(plain("user0001"), want, f"{value}: IMAP, SMTP")
tm.ok(tm.wait_for(lambda: "ev=access_malformed" in log("imapd")), "what is malformed is in the log")
tm.ok(modify(me, "mailAllowedServiceAccess"), "no filter")
tm.ok(modify("o=" + D, "mailDomainAllowedServiceAccess", "-imap:*"), "a filter of the domain")
tm.is_(plain("user0001"), ("NOPERM", 235), "holds for its users")
tm.is_(login("user0001", "wrong"), "AUTHENTICATIONFAILED", "and says so only to the right password")
tm.ok(modify("o=" + D, "mailDomainAllowedServiceAccess"), "no filter")

# ---- one rule of authorisation identities
for authzid, want in (("", ("OK", 235)), ("user0001", ("OK", 235)), (f"user0001@{D}", ("OK", 235)),
                      (f"USER0001@{D.upper()}", ("OK", 235)),
                      ("user0002", ("AUTHORIZATIONFAILED", 535))):
    tm.is_(plain("user0001", authzid), want, f"authzid {authzid!r}: IMAP, SMTP")

# ---- the log says who tried, for those who block addresses
login("nobody", "x")
tm.ok(tm.wait_for(lambda: re.search(r"ev=login_failed sid=\S+ service=imap peer=127\.0\.0\.1 login=nobody", log("imapd"))), "imapd")
plain("nobody", "", "x")
tm.ok(tm.wait_for(lambda: re.search(r"ev=auth sid=\S+ service=smtp peer=127\.0\.0\.1 login=nobody user=\S* mech=SASL reason=failed",
                                    log("smtp-relay"))), "smtp-relay")
s = sb.smtp("SUBMISSION")
s.login("user0001", sb.password)
s.sendmail(f"user0001@{D}", [f"user0002@{D}"], "Subject: x\r\n\r\nx\r\n")
s.quit()
tm.ok(tm.wait_for(lambda: re.search(rf"ev=queued .*peer=127\.0\.0\.1 user=user0001@{D}", log("smtp-relay"))), "queued")

def all_gone(daemon):
    return tm.wait_for(lambda: re.search(r"\b(sessions_all|all)=0\b", ctl(daemon, "status")))


# ---- sessions of one address, over all workers
all_gone("imapd")
socks = []
for _ in range(40):
    c = socket.create_connection((sb.host, sb.port("IMAP")), tm.LONG)
    socks.append((c, c.recv(200)))
tm.is_(sum(b"* OK" in g for _, g in socks), 30, "imapd: 30 of an address, over both workers")
tm.ok(all(b"LIMIT" in g for _, g in socks if b"* OK" not in g), "the others are told")
for c, _ in socks:
    c.close()
tm.ok(all_gone("imapd"), "given back")

# ---- a flood on mx leaves submission its share, one by network the socket
all_gone("smtp-relay")
socks = [socket.create_connection((sb.host, sb.port("SMTP")), 20) for _ in range(60)]
greet = [c.recv(100)[:3] for c in socks]
tm.ok(20 <= greet.count(b"220") < 40, f"mx: {greet.count(b'220')} of 60 came in")
s = sb.smtp("SUBMISSION")
tm.is_(s.login("user0001", sb.password)[0], 235, "submission has its share")
s.quit()
for c in socks:
    c.close()
socks = [socket.create_connection((sb.host, sb.port("LMTP")), 20) for _ in range(30)]
greet = [c.recv(100)[:3] for c in socks]
tm.ok(greet.count(b"421") >= 22, f"lmtpd: {greet.count(b'220')} of 30 came in by network")
s = smtplib.LMTP(sb.env["RUNDIR"] + "/lmtpd.sock")
tm.is_(s.ehlo()[0], 250, "the socket has its share")
s.close()
for c in socks:
    c.close()

# ---- a password is changed: the old one is good for 5 seconds more at the most (admin-fresh.t), and no more on demand
c = imap()
c.login("user0002", sb.password)
s = sb.smtp("SUBMISSION")
s.login("user0002", sb.password)
tm.ok(modify("uid=user0002,ou=People,o=" + D, "userPassword", "another"), "a new password")
for d in ("imapd", "smtp-relay", "lmtpd"):
    tm.ok("ok" in ctl(d, f"forget user0002@{D}"), f"{d}: forget")
tm.is_((plain("user0002"), login("user0002", "another")), (("AUTHENTICATIONFAILED", 535), "OK"),
       "now it is not")
tm.ok(b"BYE" in c.readline(), "the session at imapd has ended")
try:
    gone = s.noop()[0] == 421
except smtplib.SMTPServerDisconnected:
    gone = True
tm.ok(gone, "so has the one at smtp-relay")

# ---- guesses: of one name from one address one after the other, over both workers
socks = [imap() for _ in range(24)]
start = time.monotonic()
for i, c in enumerate(socks):
    c.send(b"g LOGIN user0003 wrong%d\r\n" % i)
done, waiting = 0, [c.sock for c in socks]
while done < 8 and waiting:
    for s in select.select(waiting, [], [], tm.LONG)[0] or waiting[:]:
        done += b"g NO" in s.recv(4096)
        waiting.remove(s)
took = time.monotonic() - start
# Three answers come 50 ms late, each of the next five twice as late as the one before.
tm.ok(done >= 8 and took > 0.05 * (3 + 2 + 4 + 8 + 16 + 32), f"{done} guesses in {took:.1f} s at a delay of 50 ms, one after the other")
tm.is_(login("user0004"), "OK", "another name from that address is not held up")
for c in socks:
    c.shutdown()

# ---- a worker that dies gives back what it held
c = imap()
workers = [p for p in sb.pids_of("imapd") if p != sb.pid("imapd")]
for p in workers:
    os.kill(p, 9)
tm.ok(tm.wait_for(lambda: len([p for p in sb.pids_of("imapd") if p not in workers]) == 3) and
      tm.wait_for(lambda: "sessions_all=0" in ctl("imapd", "status")), "nothing is left of it")

# ---- the old names are told
with open(sb.conf("imapd.conf"), "a") as f:
    f.write("\n[login]\nfailure_delay = 1s\n")
r = subprocess.run([sb.bin("imapd"), "-n", "-c", sb.conf("imapd.conf")], capture_output=True, text=True)
tm.ok(r.returncode == 78 and "did you mean auth.delay" in r.stderr, "an old name leads to the new one")
tm.done()
