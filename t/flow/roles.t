#!/usr/bin/env python3
"""A certificate has a role: each kind of it at each door, by what it names and by tables of names; any other use of
one that is valid is refused and told in the log.  The directory is shown one where it demands that."""
import base64, os, re, ssl, sys

sys.path[:0] = [os.path.dirname(os.path.abspath(__file__))]
import tm, wire
from sieveraw import Sieve

tm.need("openssl", "slapd")
SUBMISSION, DEMAND, STORES, ASKED = (tm.free_port() for _ in range(4))
LISTED = "mmp1.roles.test"      # in every table
sb = tm.Sandbox("--users", "2", *(x for s in (
    f"tiermail.roles.relay=relay1.roles.test {LISTED}", "tiermail.roles.proxy=proxy1.roles.test", f"tiermail.roles.store=store1.roles.test {LISTED}", f"imapd.auth.proxies={LISTED}", f"pop3d.auth.proxies={LISTED}",
    f"smtp-relay.auth.proxies={LISTED}", "smtp-relay.relay.xclient=127.0.0.1", f"lmtpd.trusted_names={LISTED}", "lmtpd.trusted=192.0.2.0/24",
    f"imapd.listen proxies.address=127.0.0.1:{DEMAND}", "imapd.listen proxies.tls=implicit", "imapd.listen proxies.peer_certificate=demand",
    f"smtp-relay.listen proxied.address=127.0.0.1:{SUBMISSION}", "smtp-relay.listen proxied.role=submission",
    "smtp-relay.listen proxied.tls=implicit", "smtp-relay.listen proxied.peer_certificate=ask",
    *(f"smtp-relay.listen {name}.{what}" for name, port, how in (("stores", STORES, "demand"), ("asked", ASKED, "ask"))
      for what in (f"address=127.0.0.1:{port}", "role=mx", "tls=starttls", f"peer_certificate={how}"))) for x in ("--set", s)))
ME = base64.b64encode(f"{sb.user(1)}@{sb.domain}".encode()).decode()


def imap(cert, port=None):
    """By EXTERNAL, for a user."""
    w = wire.Line((sb.host, port or sb.port("IMAPS")), tls=sb, cert=cert)
    said = w.line() and w.tagged(f"AUTHENTICATE EXTERNAL {ME}")[1]
    w.close()
    return said.startswith("OK")


def demanded(cert):
    """... where nobody else has a session at all."""
    try:
        w = wire.Line((sb.host, DEMAND), tls=sb, cert=cert)
        said = w.line()
        w.close()
    except (ssl.SSLError, OSError):
        return False
    return bool(said) and imap(cert, DEMAND)


def pop3(cert):
    w = wire.Line((sb.host, sb.port("POP3S")), tls=sb, cert=cert)
    said = w.line() and w.say(f"AUTH EXTERNAL {ME}")
    w.close()
    return said.startswith("+OK")


def sieve(cert):
    s = Sieve(sb).starttls(cert)
    said = s.last(f'AUTHENTICATE "EXTERNAL" "{ME}"')
    s.close()
    return said.startswith("OK")


def xclient(cert):
    w = wire.Line((sb.host, SUBMISSION), tls=sb, cert=cert)
    w.line()
    w.send("EHLO host.test\r\n")
    words = [w.line()]
    while words[-1][3:4] == "-":
        words.append(w.line())
    said = w.say(f"XCLIENT ADDR=192.0.2.1 LOGIN={sb.user(1)}@{sb.domain}")
    w.close()
    offered = any("XCLIENT" in x for x in words)
    return offered and said.startswith("220") if offered else not tm.ok(not said.startswith("2"), "XCLIENT that is not offered is not taken")


def started(port, hello, cert):
    """A session behind STARTTLS."""
    w = wire.Line((sb.host, port))
    w.line()
    for say in (hello, "STARTTLS", None, hello):
        if not say:
            w.tls(sb, cert)
            continue
        w.send(say + "\r\n")
        while w.line()[3:4] == "-":
            pass
    return w


def proxied(cert):
    """A proxy of relay.xclient that tells of its client first, and shows its certificate behind that."""
    w = wire.Line((sb.host, ASKED))
    w.line()
    w.say("HELO host.test")
    tm.ok(w.say("XCLIENT ADDR=192.0.2.1").startswith("220"), "XCLIENT")
    w.say("HELO host.test")
    w.say("STARTTLS")
    w.tls(sb, cert)
    w.say("HELO host.test")
    said = [w.say("MAIL FROM:<a@b.test>"), w.say("RCPT TO:<c@elsewhere.test>")]
    w.close()
    return said[1].startswith("250")


def lmtp(cert):
    w = started(sb.port("LMTP"), "LHLO host.test", cert)
    said = w.say("MAIL FROM:<a@b.test>")
    w.close()
    return said.startswith("250")


def elsewhere(cert, port=STORES):
    """Mail of anybody's to anywhere, where nobody but stores comes in."""
    try:
        w = started(port, "EHLO host.test", cert)
        said = [w.say("MAIL FROM:<a@b.test>"), w.say("RCPT TO:<c@elsewhere.test>")]
        w.close()
    except (ssl.SSLError, OSError):
        return False
    if port == STORES and not said[0].startswith("250"):
        tm.ok(said[0].startswith("450 4.7.1 ") or (not cert and not said[0]), f"MAIL is refused: {said[0] or 'no session'}")
    return said[1].startswith("250")


def asked(cert):
    """... where everybody comes in."""
    went = elsewhere(cert, ASKED)
    w = started(ASKED, "EHLO host.test", cert)
    said = [w.say("MAIL FROM:<a@b.test>"), w.say(f"RCPT TO:<{sb.user(1)}@{sb.domain}>")]
    w.close()
    tm.is_([s[:3] for s in said], ["250", "250"], "mail for us is taken from everybody there")
    return went


DOORS = {"imapd": (imap, "proxy"), "imapd, where it is demanded": (demanded, "proxy"), "pop3d": (pop3, "proxy"), "sieved": (sieve, "proxy"), "submission": (xclient, "proxy"),
         "lmtpd": (lmtp, "relay"), "smtp-relay": (elsewhere, "store"), "smtp-relay, where it is asked": (asked, "store")}
# what it is made with, its name, what it is then
KINDS = [("proxy", "a.roles.test", {"proxy"}), ("relay", "b.roles.test", {"relay"}), ("store", "c.roles.test", {"store"}),
         ("directory", "d.roles.test", set()), ("operator", "e.roles.test", set()), ("admin,move", "f.roles.test", set()),
         ("proxy,relay,store", "g.roles.test", {"proxy", "relay", "store"}), ("", "h.roles.test", set()), ("", "proxy1.roles.test", {"proxy"}),
         ("", "relay1.roles.test", {"relay"}), ("", "store1.roles.test", {"store"}), ("relay", LISTED, {"relay"}), (None, None, set())]
for roles, name, may in KINDS:
    cert = name and wire.certificate(sb, name, roles)
    what = "no certificate" if not name else f"{name} of the role{'s' if ',' in roles else ''} {roles}" if roles else f"{name}, which names no role"
    for door, (come, needed) in DOORS.items():
        tm.is_(come(cert), needed in may, f"{what}: {'is' if needed in may else 'is not'} a {needed} for {door}")
for daemon, role, name, has in (("imapd", "proxy", "b.roles.test", "relay"), ("pop3d", "proxy", "e.roles.test", "operator"), ("lmtpd", "relay", "a.roles.test", "proxy"),
                                ("smtp-relay", "proxy", "f.roles.test", "admin,move"), ("imapd", "proxy", LISTED, "relay"), ("lmtpd", "relay", "h.roles.test", ""),
                                ("smtp-relay", "store", "b.roles.test", "relay"), ("smtp-relay", "store", LISTED, "relay")):
    lines = wire.logged(sb, daemon, "ev=role_refused", f"certificate={name}", f"role={role}")
    said = lines and re.search(r'has="?([^" \n]*)', lines[0])
    tm.is_(said and said[1], has, f"{daemon} tells of {name}: no {role}, but {has or 'nothing'}")
tm.is_([l for d in ("imapd", "pop3d", "lmtpd", "smtp-relay") for l in wire.log(sb, d, "ev=role_refused", "certificate=g.roles.test")], [],
       "and of nobody who is what he must be")

tm.ok(not proxied(wire.certificate(sb, "i.roles.test", "store")), "whom a proxy has told of is no store by the proxy's certificate")

# ---- without TLS
w = wire.Line((sb.host, STORES))
w.line()
w.send("EHLO host.test\r\n")
while w.line()[3:4] == "-":
    pass
tm.is_(w.say("MAIL FROM:<a@b.test>"), "530 5.7.0 STARTTLS first", "where a store is demanded there is no mail without TLS")
w.close()

# ---- slapd demands one
conf, ours = sb.dir + "/ldap/slapd.conf", f"{sb.dir}/tls/server.pem"
with open(conf) as f:
    text = f.read()
with open(conf, "w") as f:
    f.write(re.sub(r"(?m)^(TLSCACertificateFile .*)$", rf"\1\nTLSVerifyClient demand\nauthz-regexp ^.*$ {sb.env['LDAP_SERVICE_DN']}", text, count=1))
tm.ok(sb.restart("slapd"), "a slapd that demands certificates")


def directory(**keys):
    """imapd, asking by TLS; can somebody log in?"""
    path = sb.conf("tiermail.conf")
    with open(path) as f:
        before, section, after = re.split(r"(?ms)^(\[ldap\]\n.*?)(?=^\[)", f.read(), maxsplit=1)
    for key, value in dict(keys, url=f"ldaps://127.0.0.1:{sb.port('LDAPS')}").items():
        section = re.sub(rf"(?m)^{key} = .*\n", "", section).rstrip() + (f"\n{key} = {value}\n" if value is not None else "\n")
    with open(path, "w") as f:
        f.write(before + section + "\n" + after)
    if not sb.restart("imapd"):
        return "no start"
    w = wire.Line((sb.host, sb.port("IMAP")))
    w.line()
    said = w.tagged(f"LOGIN {sb.user(1)} {sb.password}")[1]
    w.close()
    return said.split("]")[0]


tm.is_(directory(timeout="3s"), "NO [UNAVAILABLE", "without ours it does not speak to us")
tm.ok(directory(certificate="yes").startswith("OK"), "ldap.certificate = yes: it does")
tm.ok(directory(bind="external", bind_dn=None, password=None).startswith("OK"), "ldap.bind = external: as the one that it makes of it, without a password")
tm.is_(directory(certificate="no"), "no start", "which needs a certificate")
tm.done()
