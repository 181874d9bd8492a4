#!/usr/bin/env python3
"""A proxy of the access tier at a store: its certificate lets it act for users and speak for clients, until
the first login; nobody else's does."""
import base64, os, ssl, sys

sys.path[:0] = [os.path.dirname(os.path.abspath(__file__))]
import tm, wire

tm.need("ldapmodify", "openssl")
sb = tm.Sandbox("--users", "4", "--set", "imapd.auth.proxies=mmp1.example.net mmp2.example.net",
                "--set", "pop3d.auth.proxies=mmp1.example.net", "--set", "imapd.limit.per_client=3",
                "--set", "imapd.listen imaps.peer_certificate=ask", "--set", "pop3d.listen pop3s.peer_certificate=demand",
                "--set", "imapd.listen imap.peer_certificate=ask", "--set", "tiermail.ldap.cache_age=0")
MMP, STRANGER = wire.certificate(sb, "mmp1.example.net"), wire.certificate(sb, "mmp3.example.net")
at = lambda port: (sb.host, sb.port(port))
me = f"{sb.user(1)}@{sb.domain}"


def b64(text):
    return base64.b64encode(text.encode()).decode() or "="


def imap(cert=MMP):
    w = wire.Line(at("IMAPS"), tls=sb, cert=cert)
    w.greeting = w.line()
    return w


def external(w, name):
    return w.tagged(f"AUTHENTICATE EXTERNAL {b64(name)}")[1]


# ---- IMAP
w = imap()
tm.ok("AUTH=EXTERNAL" in w.greeting, "a proxy is offered EXTERNAL")
# all at once, as a proxy does it
w.send('a ID ("x-originating-ip" "192.0.2.77" "x-originating-port" "4711" "x-session-id" "mmpsid01" "x-other" NIL)\r\n'
       f"b AUTHENTICATE EXTERNAL {b64(me)}\r\n")
lines = [w.line() for _ in range(3)]
tm.ok(lines[1].startswith("a OK") and lines[2].startswith("b OK [CAPABILITY"), "ID and EXTERNAL in one piece let it in") or tm.diag(lines)
tm.ok("UNAUTHENTICATE" not in lines[2], "without UNAUTHENTICATE")
tm.ok(wire.logged(sb, "imapd", "ev=proxied", "sid=mmpsid01", "192.0.2.77:4711", "via=127.0.0.1"), "the session has the proxy's id")
tm.ok(wire.logged(sb, "imapd", "ev=login ", "sid=mmpsid01", "peer=192.0.2.77", f"user={me}", "mech=EXTERNAL"), "and its client's address")
tm.ok(w.tagged("SELECT INBOX")[1].startswith("OK"), "the mailbox is there")
tm.ok(w.tagged("UNAUTHENTICATE")[1].startswith("NO"), "what comes through it cannot log out and in as somebody else")
tm.ok(external(w, f"{sb.user(2)}@{sb.domain}").startswith("BAD"), "nor say EXTERNAL again")
w.tagged('ID ("x-originating-ip" "192.0.2.99" "x-session-id" "forged01")')
w.tagged("LOGOUT")
tm.ok(tm.wait_for(lambda: wire.log(sb, "imapd", "ev=disconnect", "sid=mmpsid01")), "nor change the address behind the login")
tm.is_(wire.log(sb, "imapd", "ev=proxied", "forged01"), [], "or the id")
for cert, who in ((STRANGER, "a certificate of the same authority for another name"), (None, "nobody's certificate")):
    w = imap(cert)
    tm.ok("AUTH=EXTERNAL" not in w.greeting, f"{who}: EXTERNAL is not offered")
    w.tagged('ID ("x-originating-ip" "192.0.2.78")')
    tm.ok(external(w, me).startswith("NO [CANNOT]"), f"{who}: nor known")
    w.close()
tm.is_(len(wire.logged(sb, "imapd", "ev=role_refused", "peer=127.0.0.1", "certificate=mmp3.example.net")), 1, "the other name is told in the log")
tm.is_(wire.log(sb, "imapd", "ev=proxied", "192.0.2.78"), [], "and neither speaks for anybody")
w = wire.Line(at("IMAP"))
w.line()
tm.ok(external(w, me).startswith("NO [CANNOT]"), "without TLS it is not known")
w.tagged("STARTTLS")
w.tls(sb, MMP)
tm.ok(external(w, me).startswith("OK"), "behind STARTTLS it is")
w.close()

# ---- what the store says of users
modify = wire.modify(sb, 3, "replace: mailHost\nmailHost: elsewhere.example.net")
tm.ok(modify, "a mailbox moves")
for name, want in (("nobody", "NO [AUTHENTICATIONFAILED]"), ("disabled", "NO [CONTACTADMIN]"), ("", "BAD"),
                   ("a\0b", "BAD"), (" ", "NO [AUTHENTICATIONFAILED]"),
                   (sb.user(3), "NO [REFERRAL imap://elsewhere.example.net/]"), (sb.user(2), "OK")):
    w = imap()
    got = external(w, name)
    tm.ok(got.startswith(want), f"EXTERNAL {name!r}: {want}") or tm.diag(got)
    w.close()
w = imap()
tm.is_(w.say("x AUTHENTICATE EXTERNAL"), "+ ", "without an initial response it is asked for")
tm.ok(w.say(b64(sb.user(2))).startswith("x OK"), "and given then")
w.close()
w = imap()
tm.ok("[REFERRAL" in w.tagged(f"LOGIN {sb.user(3)} {sb.password}")[1], "a proxy with a password is told too")
w.close()
w = imap(None)
tm.ok("[CONTACTADMIN]" in w.tagged(f"LOGIN {sb.user(3)} {sb.password}")[1], "others are not")
w.close()

# ---- counted for whom it speaks
crowd = []
for i in range(4):
    w = imap()
    w.tagged('ID ("x-originating-ip" "198.51.100.9")')
    crowd.append(external(w, sb.user(2)))
    crowd.append(w)
tm.is_([c[:2] for c in crowd[:6:2]], ["OK"] * 3, "three of one client's, limit.per_client is 3")
tm.ok(crowd[6].startswith("NO [LIMIT]"), "the fourth is refused")
w = imap()
w.tagged('ID ("x-originating-ip" "198.51.100.10")')
tm.ok(external(w, sb.user(2)).startswith("OK"), "and another client has its own count, whatever the proxy's address")
for c in [*crowd[1::2], w]:
    c.close()

# ---- hostile values
for ip, sid in (("127.0.0.1:25", "x" * 14), ("unix:/etc/passwd", "a b"), ("[::1]", 'ev=login'), ("300.1.1.1", ""), ("*", "-")):
    w = imap()
    w.tagged(f'ID ("x-originating-ip" "{ip}" "x-session-id" "{sid}")')
    tm.ok(external(w, sb.user(2)).startswith("OK"), f"{ip}, {sid!r}: passed over")
    w.close()
tm.is_([l for l in wire.log(sb, "imapd", "ev=proxied") if "192.0.2." not in l and "198.51.100." not in l], [],
       "none of it has got into the log")

# ---- POP3
w = wire.Line(at("POP3S"), tls=sb, cert=MMP)
w.line()
w.send(f"XCLIENT ADDR=192.0.2.66 PORT=99 SESSION=mmpsid02 TTL=3\r\nAUTH EXTERNAL {b64(me)}\r\n")
tm.is_([w.line()[:3] for _ in range(2)], ["+OK"] * 2, "POP3: XCLIENT and EXTERNAL in one piece")
tm.ok(wire.logged(sb, "pop3d", "ev=login ", "sid=mmpsid02", "peer=192.0.2.66", "mech=EXTERNAL"), "with its client's address")
tm.ok(w.say("STAT").startswith("+OK"), "the mailbox is there")
tm.ok(w.say("XCLIENT ADDR=192.0.2.67").startswith("-ERR"), "after the login there is no XCLIENT")
w.close()
w = wire.Line(at("POP3S"), tls=sb, cert=STRANGER)
tm.is_(w.line(), "", "POP3: where certificates are demanded another name has no session")
w.close()
try:
    w = wire.Line(at("POP3S"), tls=sb)
    said = w.line()
except (ssl.SSLError, ConnectionError):
    said = ""
tm.is_(said, "", "peer_certificate = demand: without one there is no session")
w = wire.Line(at("POP3"))
w.line()
tm.ok(w.say("XCLIENT ADDR=192.0.2.67").startswith("-ERR"), "POP3: without TLS there is no XCLIENT")
w.close()
tm.done()
