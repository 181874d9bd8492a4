#!/usr/bin/env python3
"""Senders of strangers: domains that are not there, null MX, DNS that does not answer, our own domains from outside, and
lists of domains asked about EHLO names and senders; the null sender and who may relay are as ever."""
import os, socket, sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../cmd")]
import tm, wire
from mta import Dns

tm.need("ldapadd")
dns = Dns({"test": {}, "good.test": {"MX": [(10, "mx.good.test")]}, "mx.good.test": {"A": ["127.0.0.1"]},
           "plain.test": {"A": ["127.0.0.1"]}, "null.test": {"MX": [(0, "")]}, "empty.test": {}, "xn--bcher-kva.test": {"A": ["127.0.0.1"]},
           "spam.test": {"A": ["127.0.0.1"]}, "spam.test.dbl.test": {"A": ["127.0.0.2"]}, "bot.example.hbl.test": {"A": ["127.0.0.2"]},
           "half.test": {"A": ["127.0.0.1"]}, "half.test.dbl.test": {"A": ["127.0.0.4"]}, "half.test.hbl.test": {"A": ["127.0.0.2"]},
           "invalid.liar.test": {"A": ["127.0.0.2"]}, "good.test.liar.test": {"A": ["127.0.0.2"]}})
silent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
silent.bind(("127.0.0.1", 0))
MX = tm.free_port()
without = [a for d in ("stored", "lmtpd", "imapd", "pop3d", "jmapd", "sieved", "mmpd", "memd", "jobctl") for a in ("--without", d)]
sb = tm.Sandbox("--users", "2", *without, "--set", "smtp-relay.proxy.networks=127.0.0.1", "--set", "smtp-relay.workers=1",
                "--set", f"smtp-relay.listen behind.address=127.0.0.1:{MX}", "--set", "smtp-relay.listen behind.role=mx",
                "--set", "smtp-relay.listen behind.proxy=yes", "--set", "smtp-relay.dns.timeout=2s",
                "--set", f"smtp-relay.dns.stubs=test=127.0.0.1@{dns.port} away.invalid=127.0.0.1@{silent.getsockname()[1]}")
me = f"{sb.user(1)}@{sb.domain}"
path = sb.conf("smtp-relay.conf")
plain = open(path).read()


def conf(text):
    with open(path, "w") as f:
        f.write(plain + text)
    sb.restart("smtp-relay")


def mail(sender, helo="client.test", address="192.0.2.1", more=""):
    c = wire.Line((sb.host, MX), wire.v1(address))
    c.line()
    c.send(f"EHLO {helo}\r\n")
    while c.line()[3:4] == "-":
        pass
    answer = c.say(f"MAIL FROM:<{sender}>{more}")
    if answer.startswith("250"):
        tm.ok(c.say(f"RCPT TO:<{me}>").startswith("250"), f"<{sender}> may send to us")
    c.close()
    return answer[:9]


# ---- nothing is asked
tm.is_(mail("a@nowhere.test"), "250 2.1.0", "any sender, as long as nothing is configured")

# ---- domains
conf("\n[sender]\ndomain = yes\n")
for sender, want, what in (("a@good.test", "250 2.1.0", "a domain with MX"), ("a@plain.test", "250 2.1.0", "one with an address alone"),
                           ("", "250 2.1.0", "the null sender"), ("a@[192.0.2.1]", "250 2.1.0", "an address literal"),
                           ("a@nowhere.test", "550 5.1.8", "a domain that does not exist"), ("a@empty.test", "550 5.1.8", "one without MX and address"),
                           ("a@null.test", "550 5.7.27"[:9], "one that takes no mail (RFC 7505)")):
    tm.is_(mail(sender), want, what)
tm.is_(mail("a@bücher.test", more=" SMTPUTF8"), "250 2.1.0", "a domain beyond ASCII is asked as DNS has it")
tm.is_(mail("a@x.away.invalid"), "451 4.4.3", "no answer is no refusal")
with sb.smtp() as s:
    s.ehlo()
    tm.is_(s.mail("a@nowhere.test")[0], 550, "this host is a stranger, too, unless relay.networks says otherwise")
conf("\n[sender]\ndomain = yes\nown = refuse\n[relay]\nnetworks = 192.0.2.0/24\n")
tm.is_([mail("a@nowhere.test"), mail(me)], ["250 2.1.0"] * 2, "who may relay may have any sender")

# ---- our own
conf("\n[sender]\nown = known\n")
tm.is_([mail(s) for s in (me, f"nobody@{sb.domain}", f"alias0001@{sb.domain}", "x@other.test", "")],
       ["250 2.1.0", "550 5.1.0", "250 2.1.0", "250 2.1.0", "250 2.1.0"], "own = known: an address of ours must be there")
conf("\n[sender]\nown = refuse\nown_networks = 192.0.2.7\n")
tm.is_([mail(s) for s in (me, f"nobody@{sb.domain}", me.upper(), "x@other.test", "")],
       ["550 5.7.1"] * 3 + ["250 2.1.0"] * 2, "own = refuse: none of ours comes from outside")
tm.is_(mail(me, address="192.0.2.7"), "250 2.1.0", "but from sender.own_networks")
sb.kill("slapd")
tm.is_(mail(f"nobody2@{sb.domain}")[:3], "451", "a directory that is away refuses nobody")
sb.restart("slapd")

# ---- lists of domains
conf("\n[guard]\nthreshold = 2\n[dnslist d]\nzone = dbl.test\nasks = sender\ncodes = 127.0.0.2\nweight = 2\n"
     "[dnslist half]\nzone = dbl.test\nasks = sender\ncodes = 127.0.0.4\nweight = 1\n"
     "[dnslist h]\nzone = hbl.test\nasks = helo\nweight = 1\n[dnslist h2]\nzone = hbl.test\nasks = helo\ncodes = 127.0.0.2\nweight = 1\n"
     "[dnslist liar]\nzone = liar.test\nasks = sender\nweight = 9\n")
tm.is_([mail(s) for s in ("a@good.test", "a@spam.test", "a@half.test", "")], ["250 2.1.0", "550 5.7.1", "250 2.1.0", "250 2.1.0"], "senders on lists of domains, and one list that lies")
tm.is_(mail("a@good.test", helo="bot.example"), "550 5.7.1", "an EHLO name on one")
tm.is_(mail("a@half.test", helo="half.test")[:3], "550", "both count together")
tm.is_(mail("a@good.test", helo="[192.0.2.1]"), "250 2.1.0", "a literal is on no list")
tm.ok(wire.logged(sb, "smtp-relay", "ev=reject", "verb=MAIL", "spam.test is listed by dbl.test"), "and the log says which")
dns.close() if hasattr(dns, "close") else None
tm.done()
