#!/usr/bin/env python3
"""Keywords of channels in mta.cnf at work in the relay: channels that sessions switch to, limits of size, lines, recipients
and sessions, what is offered, what is held or goes another way, messages that name nobody, names of clients, VRFY."""
import os, ssl, subprocess, sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../cmd")]
import tm, wire
from mta import Dns

tm.need("ldapadd")
dns = Dns({"test": {}, "good.test": {"MX": [(10, "mx.good.test")]}, "mx.good.test": {"A": ["127.0.0.1"]}, "empty.test": {},
           "33.22.11.in-addr.arpa": {}, "44.33.22.11.in-addr.arpa": {"PTR": ["named.test"]}, "named.test": {"A": ["11.22.33.44"]}})
MX = tm.free_port()
without = [a for d in ("pop3d", "jmapd", "sieved", "mmpd", "memd") for a in ("--without", d)]
sb = tm.Sandbox("--users", "6", *without, "--set", "smtp-relay.workers=1", "--set", "smtp-relay.dns.timeout=2s",
                "--set", f"smtp-relay.dns.stubs=test=127.0.0.1@{dns.port} 33.22.11.in-addr.arpa=127.0.0.1@{dns.port}",
                "--set", "smtp-relay.proxy.networks=127.0.0.1", "--set", f"smtp-relay.listen behind.address=127.0.0.1:{MX}",
                "--set", "smtp-relay.listen behind.role=mx", "--set", "smtp-relay.listen behind.proxy=yes")
D = sb.domain
one, two, three = (f"{sb.user(n)}@{D}" for n in (1, 2, 3))
ETC = os.path.dirname(sb.conf("channels.conf"))
RULES = """[]			$E$R${INTERNAL_IP,$L}$U%[$L]@tcp_intranet-daemon
small.test		$U%$D@small-daemon
slave.test		$U%$D@slave-daemon
.			$U%$H$V$H@this-host
.			$U%$H@tcp_local-daemon

"""
MAPPINGS = "INTERNAL_IP\n\n  127.0.0.1  $Y\n  *  $N\n"


def rules(local="", intranet="", submit="", auth="", defaults=""):
    with open(os.path.join(ETC, "mta.cnf"), "w") as f:
        f.write(RULES + (f"defaults {defaults}\n\n" if defaults else "") + f"""l
this-host

tcp_local smtp {local}
tcp_local-daemon

tcp_intranet smtp {intranet}
tcp_intranet-daemon

tcp_submit smtp {submit}
tcp_submit-daemon

tcp_auth smtp {auth}
tcp_auth-daemon

tcp_small smtp blocklimit 1 alternatechannel hold alternaterecipientlimit 2 alternateblocklimit 1
small-daemon

tcp_slave smtp slave
slave-daemon

hold
hold-daemon
""")
    with open(os.path.join(ETC, "mappings"), "w") as f:
        f.write(MAPPINGS)
    sb.restart("smtp-relay")


def session(user=None):
    c = sb.smtp("SUBMISSION" if user else "SMTP")
    c.ehlo()
    if user:
        context = ssl.create_default_context(cafile=sb.env["CAFILE"])
        context.check_hostname = False
        c.starttls(context=context)
        c.ehlo()
        c.login(sb.user(user), sb.password)
    return c


def text(answer):
    return f"{answer[0]} {answer[1].decode()}"[:9]


def send(*to, sender="a@else.test", body="Subject: s\r\n\r\nx\r\n", user=None, size=None):
    """The codes of one message: MAIL, each RCPT, the message."""
    c = session(user)
    got = [text(c.mail(sender, [f"SIZE={size}"] if size else []))]
    if got[0][0] == "2":
        got += [text(c.rcpt(t)) for t in to]
        if any(g[0] == "2" for g in got[1:]):
            got.append(text(c.docmd("DATA")))
            if got[-1][0] == "3":
                c.send(body.encode() + b"\r\n.\r\n")
                got[-1] = text(c.getreply())
    c.close()
    return got


def offered(user=None):
    c = session()
    got = set(c.esmtp_features)
    c.close()
    return got


def came(subject):
    """The message of the first user with this subject, when it is there."""
    found = []
    tm.wait_for(lambda: found.extend(m for m in sb.messages(1) if f"Subject: {subject}\r\n".encode() in m) or found)
    return found[0] if found else b""


def held():
    return sorted(f for f in sb.queue_files() if f.endswith(".HELD"))


# ---- switching
rules(local="switchchannel", intranet="sourceblocklimit 1 saslswitchchannel tcp_auth", submit="tlsswitchchannel tcp_intranet", auth="recipientlimit 1")
tm.is_(send(one, size=2000), ["552 5.3.4"], "switchchannel: the rules name the client's channel, whose sourceblocklimit holds")
tm.is_(send(one, body="Subject: s\r\n\r\n" + "x" * 900 + "\r\n" + "x" * 900)[-1], "552 5.3.4", "also for what did not say its size")
tm.ok(wire.logged(sb, "smtp-relay", "ev=switch", "from=tcp_local", "to=tcp_intranet"), "the log tells of it")
tm.ok("1024" in {session().esmtp_features["size"].strip()}, "and EHLO tells the size")
tm.is_(send(two, three, sender=one, user=1)[1:3], ["250 2.1.5", "452 4.5.3"], "saslswitchchannel: recipientlimit of the channel of who has logged in")
tm.ok(wire.logged(sb, "smtp-relay", "ev=switch", "from=tcp_submit", "to=tcp_intranet"), "behind TLS it was another one")
rules(local="switchchannel musttlsserver")
tm.is_(send(one)[0], "250 2.1.0", "musttlsserver of the channel that is left does not hold")
rules(local="switchchannel", intranet="noswitchchannel sourceblocklimit 1")
tm.is_(send(one, size=2000)[0], "250 2.1.0", "noswitchchannel: not to this one")
rules(local="switchchannel", intranet="master sourceblocklimit 1")
tm.is_(send(one, size=2000)[0], "250 2.1.0", "nor to a master")
rules(local="allowswitchchannel", intranet="allowswitchchannel sourceblocklimit 1")
tm.is_(send(one, size=2000)[0], "250 2.1.0", "nor where the first channel does not want it")
tm.is_(send("x@slave.test", sender=one, user=1)[1], "451 4.3.5", "slave: nothing leaves there")

# ---- limits
rules(local="linelimit 5 recipientlimit 3 recipientcutoff 4")
tm.is_(send(one, body="Subject: s\r\n\r\n1\r\n2")[-1], "250 2.0.0", "linelimit: as many as that")
tm.is_(send(one, body="Subject: s\r\n\r\n1\r\n2\r\n3\r\n4")[-1], "552 5.3.4", "and not one more")
tm.is_(send(one, two, three, sb.user(4) + "@" + D)[1:], ["250 2.1.5"] * 3 + ["452 4.5.3", "250 2.0.0"], "recipientlimit: the others later")
tm.is_(send(*[one, two, three, sb.user(4) + "@" + D, sb.user(5) + "@" + D])[-1], "554 5.5.3", "recipientcutoff: nobody gets it")
tm.ok("RCPTMAX=3" in session().esmtp_features.get("limits", ""), "LIMITS tells the first")
rules(local="nolinelimit noblocklimit", defaults="linelimit 1 blocklimit 1")
tm.is_(send(one, body="Subject: s\r\n\r\n" + "x\r\n" * 2000)[-1], "250 2.0.0", "nolinelimit and noblocklimit: what defaults say does not hold")
rules(local="blocklimit 1")
tm.is_(send(one, size=5000)[0], "552 5.3.4", "blocklimit: what comes in")
rules()
tm.is_(send("x@small.test", size=5000, sender=one, user=1)[1], "552 5.3.4", "and what leaves")
tm.is_(send("x@small.test", one, sender=one, user=1, body="Subject: s\r\n\r\n" + "x" * 900 + "\r\n" + "x" * 900)[-1], "552 5.3.4", "whose size nobody has said")
before = len(held())
tm.is_(send("x@small.test", "y@small.test", "z@small.test", sender=one, user=1)[-1], "250 2.0.0", "alternaterecipientlimit")
new = [f for f in sb.queue_files() if "/hold/" in f]
tm.ok(new, "they go to the alternatechannel")
rules(local="holdlimit 1")
before = len(held())
tm.is_((send(one)[-1], len(held()) - before), ("250 2.0.0", 0), "holdlimit: one recipient")
tm.is_((send(one, two)[-1], len(held()) - before > 0), ("250 2.0.0", True), "two: held")

# ---- a session's
rules(local="disconnectrejectlimit 2")
c = session()
c.mail("a@else.test")
tm.is_([text(c.rcpt(f"nobody{n}@{D}")) for n in range(2)], ["550 5.1.1"] * 2, "disconnectrejectlimit: two are refused")
tm.is_(c.getreply()[0], 421, "then the session ends")
rules(local="disconnectbadcommandlimit 2")
c = session()
tm.is_([c.docmd("BAD")[0], c.docmd("WORSE")[0]], [500, 421], "disconnectbadcommandlimit")
for k in ("transactionlimit", "disconnecttransactionlimit"):
    rules(local=f"{k} 1")
    c = session()
    c.sendmail("a@else.test", [one], "Subject: s\r\n\r\nx\r\n")
    tm.is_(c.docmd("MAIL", "FROM:<a@else.test>")[0], 421, k)

# ---- what is offered
rules()
tm.ok({"chunking", "dsn", "starttls"} <= offered() | {"starttls"}, "all is offered")
rules(local="nochunkingserver nonotary")
tm.is_({"chunking", "dsn"} & offered(), set(), "nochunkingserver, nonotary: not these")
w = wire.Line((sb.host, sb.port("SMTP")))
w.line()
w.say("HELO client.test")
w.say("MAIL FROM:<a@else.test>")
w.say(f"RCPT TO:<{one}>")
w.send(b"BDAT 3 LAST\r\nabcNOOP\r\n")
tm.is_((w.line()[:1], w.line()[:3]), ("5", "250"), "and BDAT is refused, its octets read over")
w.close()
c = sb.smtp("SUBMISSION")
c.ehlo()
tm.ok("starttls" in c.esmtp_features, "STARTTLS at submission")
rules(submit="notlsserver")
c = sb.smtp("SUBMISSION")
c.ehlo()
tm.ok("starttls" not in c.esmtp_features and c.docmd("STARTTLS")[0] == 502, "notlsserver: not there")
rules(local="musttlsserver")
tm.is_(text(session().mail("a@else.test"))[:3], "530", "musttlsserver: nothing without it")
rules(local="vrfyallow")
c = session()
tm.is_([text(c.docmd("VRFY", x)) for x in (sb.user(1), f"<{one}>", f"nobody@{D}", "x@else.test")], ["250 2.1.5", "250 2.1.5", "550 5.1.1", "252 2.0.0"], "vrfyallow: who is there")
c.putcmd("VRFY", "")
tm.is_(c.getreply()[0] // 100, 5, "nobody is no answer")
w = wire.Line((sb.host, sb.port("SMTP")))
w.line()
w.say("HELO client.test")
w.send(f"VRFY m\u00fcller@{D}\r\n".encode())
tm.is_(w.line()[:9], "252 2.0.0", "who did not say SMTPUTF8 is not told of such addresses")
w.close()
rules(local="vrfyhide")
tm.is_(text(session().docmd("VRFY", f"nobody@{D}")), "252 2.0.0", "vrfyhide: nobody is told")

# ---- senders and names
rules(local="mailfromdnsverify")
tm.is_([send(one, sender=f"a@{d}.test")[0][:9] for d in ("good", "nowhere")], ["250 2.1.0", "550 5.1.8"], "mailfromdnsverify: the domain must be there")
rules(local="nomailfromdnsverify identnone")
tm.is_(send(one, sender="a@nowhere.test")[-1], "250 2.0.0", "nomailfromdnsverify")


def named(subject):
    """Our Received field of a message from 11.22.33.44."""
    c = wire.Line((sb.host, MX), wire.v1("11.22.33.44"))
    c.line()
    for x in ("HELO client.test", "MAIL FROM:<a@else.test>", f"RCPT TO:<{one}>", "DATA"):
        c.say(x)
    c.say(f"Subject: {subject}\r\n\r\nx\r\n.")
    c.close()
    return [f for f in came(subject).replace(b"\r\n\t", b" ").split(b"\r\n") if b"11.22.33.44" in f][0]


first = named("named")
tm.ok(b"named.test" in first, "identnone: the client's name is looked up")
rules(local="identnonenumeric noreceivedfor")
got = named("unnamed")
tm.ok(b"named.test" not in got, "identnonenumeric: it is not")
tm.ok(f"for <{one}>".encode() not in got, "noreceivedfor: Received names nobody")
tm.ok(f"for <{one}>".encode() in first, "else it does")

# ---- messages that name nobody
for policy, want in ((1, b""), (2, f"\r\nTo: {one}\r\n".encode()), (3, f"\r\nBcc: {one}\r\n".encode()),
                     (4, b"\r\nTo: Recipients not specified: ;\r\n"), (5, b"\r\nBcc: \r\n")):
    rules(local=f"missingrecipientpolicy {policy}")
    tm.is_(send(one, body=f"Subject: missing{policy}\r\n\r\nx\r\n")[-1], "250 2.0.0", f"missingrecipientpolicy {policy}")
    got = came(f"missing{policy}").split(b"\r\n\r\n")[0] + b"\r\n"
    tm.ok(want in got and (policy > 1 or b"\r\nTo:" not in got and b"\r\nBcc:" not in got), "as it says")
send(one, body=f"To: somebody@else.test\r\nSubject: named5\r\n\r\nx\r\n")
tm.ok(b"Bcc" not in came("named5"), "who names somebody is left alone")
rules(local="missingrecipientpolicy 6")
tm.is_(send(one)[-1], "550 5.6.0", "missingrecipientpolicy 6: refused")

# ---- files
sb.kill("jobctl")
for keywords, want in (("", 1), ("single", 3), ("addrsperfile 2", 2), ("multiple", 1), ("single_sys", 1)):
    rules(local=keywords)
    before = set(sb.queue_files())
    tm.is_(send("x@far.test", "y@far.test", "z@far.test", sender=one, user=1)[-1], "250 2.0.0", keywords or "no keyword")
    tm.is_(len(set(sb.queue_files()) - before), want, f"{want} queue files for three recipients")

# ---- a keyword that does nothing says so
rules(local="copysendpost")
r = subprocess.run([sb.bin("mtatest"), "-c", os.path.join(ETC, "tiermail.conf"), "conf"], capture_output=True, text=True)
tm.ok("copysendpost" in r.stdout + r.stderr and "bounce.double" in r.stderr, "a warning with the reason")
tm.ok(wire.logged(sb, "smtp-relay", "ev=config_warning", "copysendpost"), "which the daemons give, too")
tm.done()
