#!/usr/bin/env python3
"""REQUIRETLS and TLS-Required (RFC 8689): mail that its sender wants under TLS alone goes to hosts that are proven, by DANE,
MTA-STS or as a smart host, and promise the same; else it comes back, as its header alone.  And mail whose sender would
rather have it arrive goes past what DANE and MTA-STS demand.  One of the hosts that do not know of it is a real Postfix."""
import email, email.policy, hashlib, os, smtplib, ssl, sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../cmd")]
import nexthop, tm, zones
from mta import Mail

if not zones.here() or not nexthop.here():
    tm.skip_all("nsd, ldnsutils, openssl or a Postfix that can be run are not here")
certs = zones.Certificates()
certs.own("own")
certs.make("good", "good.plain.test", "knows.plain.test", "smart.plain.test")
certs.make("web", "mta-sts.sts.plain.test", "mta-sts.old.plain.test", "mta-sts.both.plain.test", "mta-sts.testing.plain.test", "mta-sts.strict.plain.test")
web = zones.Web(certs.server("web"))
for name in ("sts", "old", "both", "strict"):
    web.say[f"mta-sts.{name}.plain.test", "/.well-known/mta-sts.txt"] = ("200 OK", "text/plain", "version: STSv1\nmode: enforce\nmx: *.plain.test\nmax_age: 86400\n")
web.say["mta-sts.testing.plain.test", "/.well-known/mta-sts.txt"] = ("200 OK", "text/plain", "version: STSv1\nmode: testing\nmx: *.plain.test\nmax_age: 86400\n")
OLD = ("PIPELINING", "8BITMIME", "SIZE 0", "DSN", "STARTTLS")
NEW = (*OLD, "REQUIRETLS")
sink = nexthop.Sink()
postfix = nexthop.Postfix("good.plain.test", sink, "", f"smtpd_tls_cert_file = {certs.dir}/good.pem\nsmtpd_tls_key_file = {certs.dir}/good.key\nsmtpd_tls_security_level = may\nsmtp_tls_security_level = none\n")
tm.is_(postfix.started.returncode, 0, "Postfix runs") or tm.diag(postfix.started.stderr)
port = postfix.port                                                                     # good: 127.0.0.1
own = Mail(("127.0.0.2", port), offers=NEW, tls=certs.server("own"))                    # nobody has signed its certificate
knows = Mail(("127.0.0.3", port), offers=NEW, tls=certs.server("good"))
smart = Mail(("127.0.0.4", 0), offers=NEW, tls=certs.server("good"))
far = Mail(("127.0.0.1", 0), lmtp=True)                                                   # a store without TLS
back = Mail(("127.0.0.5", port), offers=NEW, tls=certs.server("own"))
hosts = (own, knows, smart, back)
KEY = hashlib.sha256(certs.spki("own")).hexdigest()
z = zones.Zones({
    "signed.test": f"own A 127.0.0.2\nback A 127.0.0.5\n_{port}._tcp.own TLSA 3 1 1 {KEY}\n_{port}._tcp.back TLSA 3 1 1 {KEY}\ndane MX 10 own\nwrong MX 10 bad\nbad A 127.0.0.2\n_{port}._tcp.bad TLSA 3 1 1 {'ab' * 32}\n"
                   "bare MX 10 none\nnone A 127.0.0.2\nsender MX 10 back\n",
    "plain.test": "good A 127.0.0.1\nown A 127.0.0.2\nknows A 127.0.0.3\nsmart A 127.0.0.4\n" + "".join(f'mta-sts.{n} A 127.0.0.1\n_mta-sts.{n} TXT "v=STSv1; id=1"\n' for n in ("sts", "old", "both", "testing", "strict", "lost"))
                  + "sts MX 10 knows\nold MX 10 good\nboth MX 10 good\nboth MX 20 knows\ntesting MX 10 knows\nnothing MX 10 knows\nstrict MX 10 own\nlost MX 10 knows\n"},
    signed=["signed.test"])
try:
    sb = tm.Sandbox("--users", "2", "--set", f"channel-master.dns.stubs={z.stubs}", "--set", f"channel-master.dns.trust_anchor={z.anchor}", "--set", "channel-master.dns.timeout=5s",
                    "--set", "channel-master.dns.loopback=yes", "--set", f"channels.channel tcp_local.port={port}", "--set", "channels.channel tcp_local.backoff=1h",
                    "--set", f"channel-master.tls.public_ca={certs.ca}", "--set", f"channel-master.tls.sts_port={web.port}", "--set", f"tiermail.tls.ca={certs.ca}",
                    "--set", "smtp-relay.relay.networks=127.0.0.0/8", "--set", "tiermail.tlsrpt.organisation=Org", "--set", "tiermail.tlsrpt.contact=tls@example.test",
                    "--set", "channels.channel tcp_smart.protocol=smtp", "--set", f"channels.channel tcp_smart.relay=smart.plain.test:{smart.port}", "--set", "channels.channel tcp_smart.tls=must",
                    "--set", "channels.route smart.test.channel=tcp_smart", "--route", f"far.test=lmtp:127.0.0.1:{far.port}")
    loose = ssl._create_unverified_context()
    SENDER = "s@sender.signed.test"

    def client(tls=True):
        s = sb.smtp()
        s.ehlo()
        if tls:
            s.starttls(context=loose)
            s.ehlo()
        return s

    def send(to, params=" REQUIRETLS", extra="", tls=True, sender=SENDER):
        s = client(tls)
        code = [s.docmd(f"MAIL FROM:<{sender}>{params}")[0], s.docmd(f"RCPT TO:<{to}>")[0]]
        code.append(s.data(f"From: {sender}\r\nTo: {to}\r\nSubject: s\r\n{extra}\r\nthe secret text\r\n".encode())[0])
        s.quit()
        return code == [250, 250, 250] or tm.diag(f"{to}: {code}")

    def log():
        with open(f"{sb.env['RUNDIR']}/jobctl.log", errors="replace") as f:
            return f.read().splitlines()

    def said(to, state):
        return [line for line in log() if " ev=deliver " in line and to in line and f" state={state} " in line]

    def comes_back(to, words):
        before = len(back.mails)
        send(to)
        if not tm.ok(tm.wait_for(lambda: len(back.mails) > before), f"{to} comes back"):
            return
        sender, rcpts, raw = back.mails[-1][:3]
        report = email.message_from_bytes(raw, policy=email.policy.default)
        about = report.get_payload()[1].get_payload()[1]
        tm.is_((sender, rcpts, str(about["Status"])), ("", [SENDER], "5.7.30"), f"{to}: with 5.7.30")
        tm.ok(words in raw.decode(), f"{to}: {words}") or tm.diag(raw.decode())
        tm.ok(b"the secret text" not in raw and report.get_payload()[2].get_content_type() == "text/rfc822-headers", f"{to}: its header alone (RFC 8689 5)")
        tm.ok([c for c in back.commands if c.startswith("MAIL")][-1].endswith(" REQUIRETLS"), f"{to}: the report demands TLS, too")
        tm.ok(not any(to in m[1] for h in hosts for m in h.mails) and not any(to.encode() in e for got, _ in sink.got for e in got), f"{to}: and nobody has it")

    def arrives(to, host, params=" REQUIRETLS", extra="", last=" REQUIRETLS"):
        send(to, params, extra)
        tm.ok(tm.wait_for(lambda: any(to in m[1] for m in host.mails)), f"{to} arrives")
        mail = [c for c in host.commands if c.startswith("MAIL")][-1]
        tm.ok(mail.endswith(last) if last else "REQUIRETLS" not in mail, f"{to}: {mail}")

    # ---- what is offered
    c = client(False)
    tm.ok(not c.has_extn("requiretls"), "REQUIRETLS is not offered in plain text")
    tm.is_(c.docmd(f"MAIL FROM:<{SENDER}> REQUIRETLS")[0], 555, "nor taken")
    c = client()
    tm.ok(c.has_extn("requiretls"), "it is offered under TLS")
    tm.is_((c.docmd(f"MAIL FROM:<{SENDER}> REQUIRETLS=yes")[0], c.docmd(f"MAIL FROM:<{SENDER}> REQUIRETLS REQUIRETLS")[0]), (501, 501), "without a value, and once")
    c.close()

    # ---- hosts that are proven
    arrives("a@dane.signed.test", own)
    arrives("a@sts.plain.test", knows)
    arrives("a@both.plain.test", knows)             # its first host does not promise it
    arrives("a@smart.test", smart)                  # by a smart host whose certificate is verified
    # ---- and others
    comes_back("a@old.plain.test", "good.plain.test does not offer it")
    comes_back("a@testing.plain.test", "nothing proves who knows.plain.test is")
    comes_back("a@nothing.plain.test", "nothing proves who knows.plain.test is")
    comes_back("a@bare.signed.test", "nothing proves who none.signed.test is")
    send("a@wrong.signed.test")
    tm.ok(tm.wait_for(lambda: said("a@wrong.signed.test", "deferred")), "a host that is not what its record says: it waits")
    send("a@lost.plain.test")
    tm.ok(tm.wait_for(lambda: any("4.7.30" in line for line in said("a@lost.plain.test", "deferred"))), "a policy that cannot be fetched: it waits")
    # ---- without the wish
    arrives("b@nothing.plain.test", knows, "", last="")
    send("b@old.plain.test", " RET=FULL")
    tm.ok(tm.wait_for(lambda: any(b"<b@old.plain.test>" in e for got, _ in sink.got for e in got)), "the same hosts have other mail, Postfix among them")
    # ---- TLS-Required: No
    send("a@strict.plain.test", "")
    tm.ok(tm.wait_for(lambda: said("a@strict.plain.test", "deferred")), "a host that breaks its policy: mail waits")
    before = sb.tool("jobctl-ctl", "tlsrpt", "show").stdout
    arrives("b@strict.plain.test", own, "", "TLS-Required: No\r\n", last="")
    arrives("b@wrong.signed.test", own, "", "tls-required:  no \r\n", last="")
    tm.is_(sb.tool("jobctl-ctl", "tlsrpt", "show").stdout, before, "which is not counted for reports of TLS")
    for n, extra in enumerate(("TLS-Required: yes\r\n", "TLS-Required: No\r\nTLS-Required: No\r\n")):
        send(f"c{n}@wrong.signed.test", "", extra)
        tm.ok(tm.wait_for(lambda: said(f"c{n}@wrong.signed.test", "deferred")), f"{extra!r} says nothing")
    send("d@wrong.signed.test", " REQUIRETLS", "TLS-Required: No\r\n")
    tm.ok(tm.wait_for(lambda: said("d@wrong.signed.test", "deferred")), "REQUIRETLS is stronger (RFC 8689 4.1)")
    # ---- it stands in the queue
    shown = sb.tool("mailq", "--json").stdout
    tm.is_((shown.count('"tls":"required"'), shown.count('"tls":"optional"')), (3, 0), "the queue knows of it") or tm.diag(shown)
    # ---- our own users
    for n in ("", " REQUIRETLS"):
        send(f"{sb.user(1)}@{sb.domain}", n)
    send("a@far.test")
    tm.ok(tm.wait_for(lambda: any("4.7.4" in line for line in said("a@far.test", "deferred"))), "a store that is reached without TLS: it waits")
    tm.ok(not any("a@far.test" in m[1] for m in far.mails), "and does not have it")
    send("b@far.test", "")
    tm.ok(tm.wait_for(lambda: any("b@far.test" in m[1] for m in far.mails)), "but other mail")
    tm.ok(tm.wait_for(lambda: sb.count(1) == 2), "our own users have theirs, by the socket of lmtpd")
finally:
    z.stop()
    postfix.stop()
tm.done()
