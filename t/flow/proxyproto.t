#!/usr/bin/env python3
"""Listeners behind a load balancer: the PROXY protocol in front of TLS and of plain text, on every
protocol; whom it announces is who is logged and counted; who says nothing of the kind is closed."""
import os, socket, sys

sys.path[:0] = [os.path.dirname(os.path.abspath(__file__))]
import tm, wire


PLAIN, LMTP, MX = tm.free_port(), tm.free_port(), tm.free_port()
BEHIND = ["--set", "imapd.listen imaps.proxy=yes", "--set", "pop3d.listen pop3s.proxy=yes",
          "--set", "smtp-relay.listen submissions.proxy=yes",
          "--set", f"imapd.listen plain.address=127.0.0.1:{PLAIN}", "--set", "imapd.listen plain.tls=starttls",
          "--set", "imapd.listen plain.proxy=yes",
          "--set", f"lmtpd.listen behind.address=127.0.0.1:{LMTP}", "--set", "lmtpd.listen behind.proxy=yes",
          "--set", "lmtpd.listen behind.tls=starttls",
          "--set", f"smtp-relay.listen behind.address=127.0.0.1:{MX}", "--set", "smtp-relay.listen behind.role=mx",
          "--set", "smtp-relay.listen behind.proxy=yes", "--set", "smtp-relay.relay.networks=127.0.0.0/8",
          "--set", "smtp-relay.relay.xclient=127.0.0.0/8", "--set", "smtp-relay.relay.xforward=127.0.0.0/8",
          "--set", "imapd.limit.per_client=2"]
for name in ("imapd", "pop3d", "smtp-relay", "lmtpd"):
    BEHIND += ["--set", f"{name}.proxy.networks=127.0.0.1 2001:db8::/32"]
sb = tm.Sandbox("--users", "2", *BEHIND)
at = lambda port: (sb.host, sb.port(port) if isinstance(port, str) else port)

# ---- every listener, both versions, in one piece and octet by octet
for name, port, tls, hello in (("imapd", "IMAPS", sb, "* OK"), ("imapd", PLAIN, None, "* OK"),
                               ("pop3d", "POP3S", sb, "+OK"), ("smtp-relay", "SUBMISSIONS", sb, "220 "),
                               ("lmtpd", LMTP, None, "220 ")):
    for what, header, who in (("version 1", wire.v1("192.0.2.7"), "192.0.2.7"),
                              ("version 1 of IPv6", wire.v1("2001:db8::77", to="2001:db8::1"), "2001:db8::77"),
                              ("version 2", wire.v2("192.0.2.8"), "192.0.2.8"),
                              ("version 2 with TLVs", wire.v2("192.0.2.9", tlvs=b"\4\0\0\1\0\2h2"), "192.0.2.9")):
        for step in (0, 1):
            w = wire.Line(at(port), header, tls, step=step)
            good = w.line().startswith(hello)
            w.close()
            tm.ok(good, f"{name} {port}: {what}{', an octet at a time' if step else ''}: greeted")
        if name != "lmtpd":
            tm.ok(tm.wait_for(lambda: wire.log(sb, name, "ev=connect", who)), f"{name}: and it is {who} who has connected")
w = wire.Line(at("IMAPS"), wire.LOCAL, sb)
tm.ok(w.line().startswith("* OK"), "LOCAL, a health check: greeted")
w.close()
tm.ok(wire.logged(sb, "imapd", "ev=connect", "peer=127.0.0.1"), "as the one who has connected")

# ---- who does not speak it
for what, first in (("nothing but a command", b"a NOOP\r\n"), ("TLS at once", b"\x16\x03\x01\x02\0\x01\0\x01"),
                    ("half a header and the end", None), ("a malformed header", b"PROXY TCP4 1.2.3.4\r\n"),
                    ("a header of 64 KiB", wire.SIGN + b"\x21\x11\xff\xff" + bytes(65535))):
    w = wire.Line(at("IMAPS"))
    try:
        w.send(first if first is not None else b"PROXY TCP4 192")
    except ConnectionError:
        pass
    if first is None:
        w.sock.shutdown(socket.SHUT_WR)
    tm.is_(w.line(), "", f"{what}: closed without a word")
    w.close()
tm.ok(tm.wait_for(lambda: len(wire.log(sb, "imapd", "ev=proxy_refused", "listen=imaps")) >= 5), "each with a line in the log")
w = wire.Line(at("IMAPS"), source=("127.0.0.2", 0))
tm.is_(w.line(), "", "from outside of proxy.networks: closed at once")
tm.ok(wire.logged(sb, "imapd", "ev=proxy_refused", "peer=127.0.0.2", "proxy.networks"), "and the log says why")
w = wire.Line(at("IMAP"), wire.v1("192.0.2.7"))
w.line()
tm.ok("BAD" in w.line(), "a listener without `proxy` takes a header for what it is not")
w.close()

# ---- what an announced address is good for
w = wire.Line(at(PLAIN), wire.v1("127.0.0.1"))
tm.ok("LOGINDISABLED" in w.line(), "an announced loopback is no loopback: no password in clear")
tm.ok("PRIVACYREQUIRED" in w.tagged(f"LOGIN {sb.user(1)} {sb.password}")[1], "not even when it is tried")
w.tagged("STARTTLS")
w.tls(sb)
tm.ok(w.tagged(f"LOGIN {sb.user(1)} {sb.password}")[1].startswith("OK"), "STARTTLS behind a header, and the login")
w.close()
for what, header in (("LOCAL", wire.LOCAL), ("UNKNOWN", b"PROXY UNKNOWN\r\n")):
    w = wire.Line(at(PLAIN), header)
    tm.ok("LOGINDISABLED" in w.line(), f"{what}: nor is who is not announced on this host")
    w.close()
    w = wire.Line(at(MX), header)
    w.line()
    said = []
    for command in ("HELO x", "MAIL FROM:<a@sender.test>", "RCPT TO:<b@elsewhere.test>", f"RCPT TO:<{sb.user(1)}@{sb.domain}>"):
        said.append(w.say(command)[:9])
    tm.is_([said[2], said[3][:3]], ["550 5.7.1", "250"], f"{what}: nor trusted for the proxy's address: no relaying")
    w.close()
    w = wire.Line(at(MX), header)
    w.line()
    w.say("HELO x")
    tm.is_([w.say(f"{verb} ADDR=127.0.0.1")[:9] for verb in ("XFORWARD", "XCLIENT")], ["502 5.5.1"] * 2, f"{what}: nor listened to for it: no XFORWARD, no XCLIENT")
    w.close()
    w = wire.Line(at(LMTP), header)
    w.line()
    said = w.say("LHLO x")
    while said[3:4] == "-":
        said = w.line()
    tm.is_((said[:3], w.say("MAIL FROM:<a@sender.test>")[:1]), ("250", "5"), f"{what}: lmtpd wants TLS and a certificate")
    w.close()
w = wire.Line(at(MX), wire.v1("127.0.0.1"))
tm.ok(w.line().startswith("220"), "who is announced from a network that may relay")
for command, want in (("HELO x", "250"), ("MAIL FROM:<a@sender.test>", "250"), ("RCPT TO:<b@elsewhere.test>", "250")):
    tm.is_(w.say(command)[:3], want, command)
w.close()
first, second = (wire.Line(at("IMAPS"), wire.v2("203.0.113.5"), sb) for _ in range(2))
tm.ok(first.line() and second.line(), "two of one announced address, limit.per_client is 2")
third = wire.Line(at(PLAIN), wire.v2("203.0.113.5"))
tm.ok("[LIMIT]" in third.line(), "the third is refused")
other = wire.Line(at("IMAPS"), wire.v2("203.0.113.6"), sb)
tm.ok(other.line().startswith("* OK"), "and another address has its own count")
sb.restart("imapd")
tm.ok(True, "a restart with sessions behind a proxy")

# ---- silence has an end, and does not keep a daemon
silent = wire.Line(at("IMAPS"))
tm.is_(silent.line(), "", "who says nothing is closed")
tm.ok(wire.logged(sb, "imapd", "ev=proxy_refused", "no header in time"), "after some seconds")
silent = [wire.Line(at("POP3S")) for _ in range(20)]
tm.ok(sb.restart("pop3d"), "a daemon with silent ones in front of it ends at once")
tm.done()
