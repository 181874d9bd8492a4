#!/usr/bin/env python3
"""XCLIENT from a proxy at an mx listener: who may say it, and when; what is believed of it, by limits, guard, tables, filters
and log, and what is left of what was believed of the proxy; as swaks says it."""
import os, re, shutil, subprocess, sys

sys.path[:0] = [os.path.dirname(os.path.abspath(__file__))]
import tm, wire
from milterd import *

without = [a for d in ("stored", "lmtpd", "imapd", "pop3d", "jmapd", "sieved", "mmpd", "memd", "jobctl") for a in ("--without", d)]
filt = Milter(f"127.0.0.1:{tm.free_port()}")
DNS = tm.free_port()
sb = tm.Sandbox("--users", "2", *without, "--set", "smtp-relay.relay.xclient=127.0.0.64/26", "--set", "smtp-relay.relay.networks=127.0.0.64/26 192.0.2.128/25",
                "--set", "smtp-relay.limit.per_client=3", "--set", "smtp-relay.guard.deny=192.0.2.66", "--set", "smtp-relay.workers=1")
TO = f"{sb.user(1)}@{sb.domain}"
conf = open(sb.conf("smtp-relay.conf")).read()


def configure(text):
    with open(sb.conf("smtp-relay.conf"), "w") as f:
        f.write(conf + text)
    sb.restart("smtp-relay")


class Client(wire.Line):
    def __init__(self, source="127.0.0.77", told=None):
        super().__init__((sb.host, sb.port("SMTP")), source=(source, 0))
        self.greeting = self.line()
        if told is not None:
            self.ehlo()
            self.told = self.say(("XCLIENT " + told).rstrip())

    def ehlo(self):
        self.send("EHLO client.test\r\n")
        offers = [self.line()]
        while offers[-1][3:4] == "-":
            offers.append(self.line())
        return [o[4:] for o in offers]

    def rcpt(self, to):
        self.ehlo()
        self.say("MAIL FROM:<a@sender.test>")
        return self.say(f"RCPT TO:<{to}>")

    def mail(self):
        """peer= of the line of the log about a message."""
        tm.is_(self.rcpt(TO)[:3], "250", "(a recipient of ours)")
        self.say("DATA")
        qid = self.say("Subject: x\r\n\r\nx\r\n.").split()[-1]
        return re.search(r" peer=(\S+)", wire.logged(sb, "smtp-relay", "ev=queued", f"qid={qid}")[0]).group(1)


OFFER = "XCLIENT NAME REVERSE_NAME ADDR PORT PROTO HELO DESTADDR DESTPORT"
# ---- who may
c = Client("127.0.0.1")
tm.ok(OFFER not in c.ehlo(), "strangers are not offered it")
tm.is_(c.say("XCLIENT ADDR=192.0.2.1")[:9], "502 5.5.1", "nor may they say it")
c = Client()
tm.ok(OFFER in c.ehlo(), "a proxy of relay.xclient is offered it")
for bad in ("", "ADDR", "ADDR=", "ADDR=192.0.2.300", "PORT=x", "PORT=65536", "COLOUR=red", "LOGIN=anna", "NAME=a+20b", "ADDR=192.0.2.1 X", "HELO="):
    tm.is_(Client(told=bad).told[:3], "501", f"XCLIENT {bad}: is refused")
c.say("MAIL FROM:<a@sender.test>")
tm.is_(c.say("XCLIENT ADDR=192.0.2.1")[:3], "503", "and so is any within a transaction")

# ---- whose session it is
c = Client(told="NAME=spike.example ADDR=192.0.2.9 PORT=4711 PROTO=ESMTP HELO=spike.example DESTADDR=192.0.2.1 DESTPORT=25")
tm.ok(re.match(r"220 \S+ ESMTP", c.told), "the session begins anew, with a greeting") or tm.diag(c.told)
tm.ok(wire.logged(sb, "smtp-relay", "ev=proxied", "peer=192.0.2.9:4711", "via=127.0.0.77"), "the log has the client and the proxy")
tm.is_(c.say("MAIL FROM:<a@sender.test>")[:3], "503", "EHLO is wanted")
tm.ok(OFFER not in c.ehlo(), "the client is not offered XCLIENT")
tm.is_(c.say("XCLIENT ADDR=127.0.0.77")[:9], "502 5.5.1", "nor may it say it")
tm.is_(c.mail(), "192.0.2.9", "its mail is the client's")
tm.ok(any(b"spike.example" in open(f, "rb").read() and b"192.0.2.9" in open(f, "rb").read() for f in sb.queue_files()), "with its name, in Received too")
tm.is_(c.rcpt("x@elsewhere.test")[:9], "550 5.7.1", "who relays through the proxy is nobody")
tm.is_(Client(told="ADDR=192.0.2.200").rcpt("x@elsewhere.test")[:3], "250", "but for whom relay.networks has")
tm.is_(Client(told="ADDR=[UNAVAILABLE]").rcpt("x@elsewhere.test")[:9], "550 5.7.1", "a client of whom nothing is known is trusted in nothing")
tm.is_(Client(told="ADDR=127.0.0.1").rcpt("x@elsewhere.test")[:9], "550 5.7.1", "nor is one that is told to be of this host")
tm.is_(Client(told="addr=IPV6:2001:db8::7 name=[unavailable]").mail(), "2001:db8::7", "IPv6")
tm.is_(Client(told="ADDR=192+2E0.2.10").mail(), "192.0.2.10", "and in xtext")

# ---- limits and guard
many = [Client() for _ in range(5)]
tm.ok(all(m.greeting.startswith("220") for m in many), "the limit of a client is not the proxy's")
said = [Client(told="ADDR=192.0.2.20") for _ in range(4)]
tm.is_([s.told[:3] for s in said], ["220"] * 3 + ["421"], "it is his of whom it tells")
c = Client(told="ADDR=192.0.2.66")
tm.ok(c.told.startswith("554 5.7.1") and not c.line(), "guard.deny is about him, too, and ends it") or tm.diag(c.told)
tm.ok(wire.logged(sb, "smtp-relay", "ev=guard", "peer=192.0.2.66", "result=denied"), "as the log says")
for m in many + said:
    m.close()
with open(sb.conf("mappings"), "w") as f:
    f.write("PORT_ACCESS\n\n  TCP|*|*|192.0.2.67|*    $N554$ not$ from$ there\n  *  $Y\n\n")
configure(f"\n[guard]\nrate = 2\n[milter it]\naddress = {filt.address}\n")
tm.ok("not from there" in Client(told="ADDR=192.0.2.67").told, "PORT_ACCESS is asked about him")
said = [Client(told="ADDR=192.0.2.30").told[:3] for _ in range(3)]
tm.is_(said, ["220", "220", "421"], "and the rate of a client")
tm.is_([Client().greeting[:3] for _ in range(4)], ["220"] * 4, "which is not the proxy's")
filt.reset()
c = Client(told="ADDR=192.0.2.31 NAME=filtered.example PORT=77")
c.mail()
c.close()
seen = [d for h in filt.heard for k, d in h if k == "C"]
tm.ok(seen and seen[-1].startswith(b"filtered.example\0004\0M192.0.2.31\0"), "filters hear of him, and of nobody else") or tm.diag(seen)

# ---- lists in DNS
if not shutil.which("rbldnsd") and not os.path.exists("/usr/sbin/rbldnsd"):
    tm.skip("lists", "needs rbldnsd")
else:
    top = tm.tempdir()
    os.chmod(top, 0o755)
    with open(f"{top}/zone", "w") as f:
        f.write("192.0.2.90\n")
    p = subprocess.Popen([shutil.which("rbldnsd") or "/usr/sbin/rbldnsd", "-n", "-b", f"127.0.0.1/{DNS}", "-r", top, "-w", "/", *(("-u", "nobody") if os.getuid() == 0 else ()),
                          "list.test:ip4set:zone"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        configure(f"\n[dns]\nstubs = list.test=127.0.0.1@{DNS}\n[dnslist one]\nzone = list.test\n")
        c = tm.wait_for(lambda: (lambda c: c if c.told.startswith("554") else None)(Client(told="ADDR=192.0.2.90")), what="the list") or Client(told="ADDR=192.0.2.90")
        tm.ok("listed by list.test" in c.told and not c.line(), "a list refuses him") or tm.diag(c.told)
        tm.is_(Client(told="ADDR=192.0.2.91").told[:3], "220", "and nobody else")
    finally:
        tm.end([p])

# ---- swaks
if shutil.which("swaks"):
    configure("")
    r = subprocess.run(["swaks", "--server", f"127.0.0.1:{sb.port('SMTP')}", "--local-interface", "127.0.0.77", "--from", "a@sender.test", "--to", TO, "--xclient-addr", "192.0.2.40",
                        "--xclient-name", "swaks.example", "--xclient-proto", "ESMTP", "--xclient-helo", "swaks.example"], capture_output=True, text=True)
    tm.is_(r.returncode, 0, "swaks says it") or tm.diag(r.stdout[-1500:])
    tm.ok(wire.logged(sb, "smtp-relay", "ev=queued", "peer=192.0.2.40"), "and sends for another")
tm.done()
