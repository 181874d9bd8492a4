#!/usr/bin/env python3
"""Mistakes in the directory's settings are temporary answers, each one, at every door, and the log,
`status` and a metric say so.  Names that only LDAP takes for a user's are nobody's."""
import base64, imaplib, os, re, smtplib, socket, subprocess, sys, time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tm

sb = tm.Sandbox("--users", "3", "--without", "jobctl", "--set", "tiermail.ldap.negative_age=0s",
                "--set", "smtp-relay.workers=1", "--set", "lmtpd.workers=1")
D, base = sb.domain, sb.env["LDAP_BASE"]
DAEMONS = ("smtp-relay", "lmtpd", "imapd")


def ctl(daemon, line):
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(f"{sb.env['RUNDIR']}/{daemon}.ctl")
        s.sendall(line.encode() + b"\n")
        return b"".join(iter(lambda: s.recv(65536), b"")).decode()


def rcpt(port, name):
    s = smtplib.LMTP(sb.env["RUNDIR"] + "/lmtpd.sock") if port == "LMTP" else sb.smtp(port)
    s.ehlo()
    s.mail("a@b.test")
    code, text = s.rcpt(name)
    s.close()
    return f"{code} {text.decode().split()[0]}"


def login(name, password):
    """The response code and how many seconds it took."""
    c = imaplib.IMAP4(sb.host, sb.port("IMAP"), timeout=tm.LONG)
    start = time.monotonic()
    try:
        quoted = '"%s"' % name
        typ, data = c._simple_command("LOGIN", quoted, password)
        text = data[0].decode()
    except imaplib.IMAP4.error as e:
        text = str(e)
    took = time.monotonic() - start
    c.shutdown()
    return "OK" if typ == "OK" else text.split("[")[1].split("]")[0], took


def auth(name, password):
    s = sb.smtp("SUBMISSION")
    s.ehlo()
    try:
        code = s.login(name, password)[0]
    except smtplib.SMTPAuthenticationError as e:
        code = e.smtp_code
    s.close()
    return code


def conf(**keys):
    """The [ldap] section with other values; every daemon reads it."""
    path = sb.conf("tiermail.conf")
    with open(path) as f:
        text = f.read()
    for key, value in keys.items():
        text = re.sub(r"(?m)^%s = .*$" % key, f"{key} = {value}", text)
    with open(path, "w") as f:
        f.write(text)
    return [ctl(d, "reload") for d in DAEMONS]


def log(daemon):
    with open(os.path.join(sb.dir, "run", daemon + ".log")) as f:
        return f.read()


def doors(name):
    return (rcpt("SMTP", name), rcpt("LMTP", name), login(name, sb.password)[0],
            auth(name, sb.password))


good = f"user0001@{D}"
tm.is_(doors(good), ("250 2.1.5", "250 2.1.5", "OK", 235), "as it should be")
with open(sb.conf("tiermail.conf")) as f:
    original = f.read()
service = sb.env["LDAP_SERVICE_DN"]
MISTAKES = (
    ("a typing error in the base", {"base": base.replace("dc=test", "dc=tset")}),
    ("no bind_dn, and slapd shows nothing to strangers", {"bind_dn": '""'}),
    ("an account that sees nothing", {"bind_dn": f'"uid=user0002,ou=People,o={D},{base}"',
                                     "password": sb.password}),
    ("a base without domains", {"base": f'"ou=services,{base}"'}),
)
for what, keys in MISTAKES:
    told = {d: log(d).count("ev=ldap_base") for d in DAEMONS}
    tm.is_(set(conf(**keys)), {"ok\n"}, what)
    tm.is_(doors(good), ("451 4.3.5", "451 4.3.5", "UNAVAILABLE", 454), f"{what}: temporary")
    tm.is_(rcpt("SMTP", "x@elsewhere.test"), "451 4.3.5", f"{what}: whose domain is it?")
    tm.ok(tm.wait_for(lambda: all(log(d).count("ev=ldap_base") > told[d] for d in DAEMONS)), f"{what}: in each log")
    tm.ok(all("error: ldap.base" in ctl(d, "status") for d in DAEMONS), f"{what}: status fails")
    tm.ok(all(re.search(r"directory_blind [1-9]", ctl(d, "metrics")) for d in DAEMONS),
          f"{what}: a metric")
    with open(sb.conf("tiermail.conf"), "w") as f:
        f.write(original)
    tm.is_({ctl(d, "reload") for d in DAEMONS}, {"ok\n"}, "mended")
    tm.is_(doors(good), ("250 2.1.5", "250 2.1.5", "OK", 235), "and good again")
tm.is_(rcpt("SMTP", "x@elsewhere.test"), "550 5.7.1", "now we know whose domain it is not")
tm.ok(all("error:" not in ctl(d, "status") for d in DAEMONS), "status is good again")

# What cannot be right is refused before it is used.
for d in DAEMONS:
    with open(sb.conf("tiermail.conf"), "w") as f:
        f.write(re.sub(r"(?m)^base = .*\n", "", original))
    r = subprocess.run([sb.bin(d), "-n", "-c", sb.conf(d + ".conf")], capture_output=True, text=True)
    tm.ok(r.returncode == 78 and "ldap.base" in r.stderr, f"{d} -n: no base")
    tm.ok("ok" not in ctl(d, "reload").split("\n"), f"{d}: reload refuses it")
    with open(sb.conf("tiermail.conf"), "w") as f:
        f.write(re.sub(r"(?m)^password = .*\n", "", original))
    r = subprocess.run([sb.bin(d), "-n", "-c", sb.conf(d + ".conf")], capture_output=True, text=True)
    tm.ok(r.returncode == 0 and "ldap.password" in r.stderr, f"{d} -n: warns of no password")
with open(sb.conf("tiermail.conf"), "w") as f:
    f.write(original)

# ---- a domain whose users are not to be seen
ldif = (f"dn: o=empty.test,{base}\nobjectClass: organization\nobjectClass: sunManagedOrganization\n"
        "objectClass: inetDomain\nobjectClass: mailDomain\no: empty.test\n"
        "sunPreferredDomain: empty.test\n\n"
        f"dn: o=lost.test,{base}\nobjectClass: organization\nobjectClass: sunManagedOrganization\n"
        "objectClass: inetDomain\nobjectClass: mailDomain\no: lost.test\n"
        f"sunPreferredDomain: lost.test\ninetDomainBaseDN: ou=nowhere,{base}\n\n"
        f"dn: uid=twice,ou=People,o={D},{base}\nobjectClass: inetOrgPerson\nobjectClass: inetUser\n"
        "objectClass: inetMailUser\nobjectClass: inetLocalMailRecipient\ncn: x\nsn: x\nuid: twice\n"
        f"uid: thrice\nuid:: asO8cmdlbg==\nmail: twice@{D}\nuserPassword: {sb.password}\n\n")
r = subprocess.run(["ldapadd", "-x", "-H", sb.env["LDAP_URL"], "-D", sb.env["LDAP_ADMIN_DN"],
                    "-w", sb.env["LDAP_ADMIN_PASSWORD"]], input=ldif, text=True, capture_output=True)
tm.is_(r.returncode, 0, "more entries " + r.stderr)
for name in ("x@empty.test", "x@lost.test"):
    tm.is_((rcpt("SMTP", name), rcpt("LMTP", name), auth(name, "x")),
           ("451 4.3.5", "451 4.3.5", 454), f"{name}: temporary")

# ---- names that only LDAP takes for the same
tm.is_(login("twice", sb.password)[0], "OK", "a user with several uids")
wrong = login("nosuchuser", "x")
tm.is_(wrong[0], "AUTHENTICATIONFAILED", "an unknown user")
for name in ("user0001 ", "thrice"):
    got = login(name, "x")
    tm.is_(got[0], wrong[0], f"LOGIN {name!r}: as an unknown user")
    tm.ok(abs(got[1] - wrong[1]) < 1.5 * tm.SLOW, f"after the same time ({got[1]:.2f} s)")
for local in ('" user0001"', '"user0001 "', '"user0001  "'):
    tm.is_((rcpt("SMTP", f"{local}@{D}"), rcpt("LMTP", f"{local}@{D}")), ("550 5.1.1", "550 5.1.1"),
           f"RCPT {local}: as an unknown user")
for name in (" user0001", "\uff55ser0001", "J\u00dcRGEN"):
    blob = base64.b64encode(b"\0" + name.encode() + b"\0x").decode()
    s = sb.smtp("SUBMISSION")
    s.ehlo()
    tm.is_(s.docmd("AUTH", "PLAIN " + blob)[0], 535, f"AUTH {name!r}: as an unknown user")
    s.close()
tm.done()
