#!/usr/bin/env python3
"""No open relay by an address that leads through a domain of ours: user%elsewhere@ours, bang paths and
routes, from a stranger, with the sample mta.cnf and with the rules that channels.conf makes.  What is ours
is taken all the same, also where others route it."""
import os, re, shutil, subprocess, sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE]
import tm

tm.need("ldapadd")
sb = tm.Sandbox("--users", "2", "--without", "imapd", "--without", "jobctl", "--set", "smtp-relay.relay.domains=partner.example")
D, BASE = sb.domain, sb.env["LDAP_BASE"]
SAMPLES = os.path.join(HERE, "../../conf")


def domain(name, *lines):
    text = "\n".join([f"dn: o={name},{BASE}", *(f"objectClass: {c}" for c in (
        "organization", "sunManagedOrganization", "inetDomain", "mailDomain")), f"o: {name}",
        f"sunPreferredDomain: {name}", *lines, ""])
    r = subprocess.run(["ldapadd", "-x", "-H", sb.env["LDAP_URL"], "-D", sb.env["LDAP_ADMIN_DN"],
                        "-w", sb.env["LDAP_ADMIN_PASSWORD"]], input=text, capture_output=True, text=True)
    if r.returncode:
        tm.diag(r.stdout + r.stderr)


domain("away.test", "mailRoutingHosts: other.test")
domain("smart.test", "mailRoutingSmartHost: legacy.test")


def answer(to, sender="out@sender.test"):
    with sb.smtp() as s:
        s.ehlo()
        s.command_encoding = "utf-8"
        s.mail(sender, ["SMTPUTF8"] if not to.isascii() else [])
        s.putcmd("rcpt", f"TO:<{to}>")
        code, text = s.getreply()
        return f"{code} {text.decode().split()[0]}"


HOST = f"mail.{D}"
STRANGE = ["x@evil.invalid", f"x%evil.invalid@{D}", f"evil.invalid!x@{D}", f"x%evil.invalid@{HOST}",
           f"evil.invalid!x@{HOST}", f"x%evil.invalid%{D}@{D}", f"x%evil.invalid%{D}@{HOST}",
           f"{D}!evil.invalid!x@{D}", f"evil.invalid!x%{D}@{D}", f'"x%evil.invalid"@{D}', f'"x@evil.invalid"@{D}',
           f"x%evil.invalid%away.test@{D}", "x%evil.invalid@away.test",
           "x%evil.invalid@smart.test", "evil.invalid!x@smart.test", "x%evil.invalid@partner.example",
           f"x%[192.0.2.1]@{D}",
           f"@{D}:x@evil.invalid", f"x%evil.invalid@localhost", f"postmaster%evil.invalid@{D}",
           f"x%evil.invalid@unknown.{D}",
           # the end, the case and the form of the domain
           "x@evil.invalid.", f"x%evil.invalid@{D}.", f"x%evil.invalid@{D.upper()}", f"X%EVIL.INVALID@{HOST.upper()}",
           "x@[198.51.100.1]", "x@[IPv6:2001:db8::1]", "x@[evil.invalid]", f"x@{D}.evil.invalid", "x@ev\u0131l.invalid",
           "x@xn--evil-cua.invalid", f"x%xn--evil-cua.invalid@{D}", f"x%[IPv6:2001:db8::1]@{D}",
           # two of a kind, and quotes
           f"x@evil.invalid@{D}", f"x@{D}@evil.invalid", f'"x"@evil.invalid@{D}', f'"x%evil.invalid"@{HOST}',
           f'"x\\@evil.invalid"@{D}', f"x\\@evil.invalid@{D}", f'"evil.invalid!x"@{D}', f'x@"evil.invalid"', f'"x@evil.invalid',
           # routes and bangs
           f"@{D},@{HOST}:x@evil.invalid", f"@evil.invalid:x%evil.invalid@{D}", f"{D}!x@evil.invalid", f"{D}!evil.invalid!x",
           f"x%evil.invalid%away.test@{HOST}", f"away.test!evil.invalid!x@{D}", "x%evil.invalid%smart.test@away.test",
           # no domain at all: ours is put behind it
           "x%evil.invalid", "evil.invalid!x"]


# The questions of nmap's smtp-open-relay, each with its sender; and the same for the host by its address.
NMAP = [(f, t) for f, t in (
    ("", "relaytest@evil.invalid"), ("antispam@evil.invalid", "relaytest@evil.invalid"), (f"antispam@{D}", "relaytest@evil.invalid"),
    ("antispam@[127.0.0.1]", "relaytest@evil.invalid"), (f"antispam@{HOST}", "relaytest@evil.invalid"),
    ("antispam@[127.0.0.1]", "relaytest%evil.invalid@[127.0.0.1]"), ("antispam@[127.0.0.1]", f"relaytest%evil.invalid@{HOST}"),
    ("antispam@[127.0.0.1]", '"relaytest@evil.invalid"'), ("antispam@[127.0.0.1]", '"relaytest%evil.invalid"'),
    ("antispam@[127.0.0.1]", "relaytest@evil.invalid@[127.0.0.1]"), ("antispam@[127.0.0.1]", '"relaytest@evil.invalid"@[127.0.0.1]'),
    ("antispam@[127.0.0.1]", f"relaytest@evil.invalid@{HOST}"), ("antispam@[127.0.0.1]", "@[127.0.0.1]:relaytest@evil.invalid"),
    ("antispam@[127.0.0.1]", f"@{HOST}:relaytest@evil.invalid"), ("antispam@[127.0.0.1]", "evil.invalid!relaytest"),
    ("antispam@[127.0.0.1]", "evil.invalid!relaytest@[127.0.0.1]"), ("antispam@[127.0.0.1]", f"evil.invalid!relaytest@{HOST}"))]


def swaks(sender, to):
    """(exit, answer to RCPT) of swaks, with its own quoting and its own EHLO."""
    r = subprocess.run(["swaks", "--server", sb.host, "--port", str(sb.port("SMTP")), "--from", sender or "<>", "--to", to, "--quit-after", "RCPT",
                        "--helo", "swaks.test", "--timeout", str(int(tm.LONG))], capture_output=True, text=True)
    said = [l for l in r.stdout.splitlines() if l.startswith(("<** 5", "<** 4", "<-  250 2.1.5"))]
    return r.returncode, said[-1][4:].strip()[:9] if said else r.stdout


def check(rules, refused):
    for sender, to in NMAP:
        got = answer(to, sender)
        tm.ok(got in refused, f"{rules}: as nmap asks, from <{sender}> {to}") or tm.diag(got)
    for to in STRANGE:
        got = answer(to)
        tm.ok(got in refused, f"{rules}: {to}") or tm.diag(got)
    for to in (f"{sb.user(1)}@{D}", f"postmaster@{D}", "x@away.test", "x@smart.test", "x@partner.example"):
        tm.is_(answer(to)[:3], "250", f"{rules}: {to} is taken")
    tm.is_(answer(f"nobody@{D}"), "550 5.1.1", f"{rules}: nobody, as ever")


def sample(name):
    with open(os.path.join(SAMPLES, name)) as f:
        return re.sub(r"\bexample\.org\b", D, f.read())


NO = ("550 5.7.1", "550 5.1.1", "550 5.1.2", "553 5.1.3", "501 5.1.3")
check("made of channels.conf", NO)
etc = os.path.dirname(sb.conf("channels.conf"))
for name in ("mta.cnf", "mappings"):
    with open(os.path.join(etc, name), "w") as f:
        f.write(sample(name))
tm.ok(sb.restart("smtp-relay"), "smtp-relay takes the sample mta.cnf")
check("mta.cnf", NO)
if shutil.which("swaks"):
    for sender in ("out@sender.test", "", f"{sb.user(1)}@{D}"):
        for to in ("x@evil.invalid", f"x%evil.invalid@{D}", f"evil.invalid!x@{HOST}", "x%evil.invalid@[127.0.0.1]"):
            code, said = swaks(sender, to)
            tm.ok(code != 0 and said in NO, f"swaks, from <{sender}> to {to}") or tm.diag((code, said))
        tm.is_(swaks(sender, f"{sb.user(2)}@{D}"), (0, "250 2.1.5"), f"swaks, from <{sender}> to a user")
else:
    tm.skip("swaks asks", "it is not installed")
tm.is_(answer(f"x%evil.invalid@{D}"), "550 5.7.1", "refused as what it is")
tm.is_(answer(f"{sb.user(1)}%{D}@{HOST}")[:3], "250", "by a road that stays within")
tm.is_(answer(f"x%away.test@{D}")[:3], "250", "to a domain of ours that others route")
tm.done()
