#!/usr/bin/env python3
"""Mail filters that channels ask for (sourcespamfilterNoptin, destinationspamfilterNoptin): who is asked about what, what
their answers are for recipients of other channels, and what is said of a number that is no filter's."""
import os, re, smtplib, subprocess, sys

sys.path[:0] = [os.path.dirname(os.path.abspath(__file__))]
import nexthop
import tm
from milterd import *

sink = nexthop.Sink()
filters = {name: Milter(f"127.0.0.1:{tm.free_port()}") for name in ("goes", "comes", "never")}
goes, comes, never = filters.values()
sb = tm.Sandbox("--users", "1", "--without", "imapd", "--set", "smtp-relay.relay.networks=127.0.0.0/8")
conf = open(sb.conf("smtp-relay.conf")).read()


def put(numbers, source=""):
    with open(sb.conf("mta.cnf"), "w") as f:
        f.write(f"""judged.test	$U%$D@judged-daemon
plain.test	$U%$D@plain-daemon
.		$U%$H$V$H@this-host
.		$U%$H@plain-daemon

l
this-host

tcp_judged smtp destinationspamfilter1optin spam daemon 127.0.0.1 port {sink.port}
judged-daemon

tcp_plain smtp daemon 127.0.0.1 port {sink.port}
plain-daemon

tcp_local smtp {source}
tcp_local-daemon

tcp_lmtp lmtp
tcp_lmtp-daemon
""")
    with open(sb.conf("smtp-relay.conf"), "w") as f:
        f.write(conf + "".join(f"\n[milter {name}]\naddress = {filters[name].address}\nspamfilter = {n}\n" for name, n in numbers.items()))


def begin():
    for m in filters.values():
        m.reset()


def send(*rcpts, client=None):
    """(codes of RCPT, code of the message)."""
    with smtplib.SMTP("127.0.0.1", sb.port("SMTP"), local_hostname="client.test", timeout=30) as s:
        s.ehlo()
        s.mail("a@else.test")
        codes = [s.rcpt(r)[0] for r in rcpts]
        try:
            end = s.data("From: <a@else.test>\r\nSubject: x\r\n\r\nhello\r\n")[0] if 250 in codes else 0
        except smtplib.SMTPDataError as e:
            end = e.smtp_code
    tm.wait_for(lambda: all(m.commands(i).endswith("Q") for m in filters.values() for i in range(len(m.heard))), what="the filters' end")
    return codes, end


def heard(m):
    return [m.commands(i) for i in range(len(m.heard))]


put({"goes": 1, "comes": 2, "never": 3}, "sourcespamfilter2optin word")
tm.ok(sb.restart("smtp-relay"), "smtp-relay knows three filters with numbers")
begin()
tm.is_(send("x@plain.test"), ([250], 250), "a message for a channel that asks for nothing")
tm.is_((heard(goes), heard(comes), heard(never)), ([], ["OCHMRTLLNBEQ"], []), "is judged for the channel that it came by alone")
begin()
tm.is_(send("x@plain.test", "y@judged.test", "z@judged.test"), ([250] * 3, 250), "one for both")
tm.is_(heard(goes), ["OCHMRRTLLNBEQ"], "the destination's filter hears of all from the beginning, with the first such recipient")
tm.is_((goes.conns[0].rcpts, comes.conns[0].rcpts), (["<y@judged.test>", "<z@judged.test>"], ["<x@plain.test>", "<y@judged.test>", "<z@judged.test>"]), "and of those recipients alone")
tm.is_(heard(never), [], "a number that no channel asks for is nobody's")
for step, letters in (("connect", "C"), ("EHLO", "H"), ("MAIL", "M"), ("RCPT", "R")):
    begin()
    goes.answer = {letters: lambda c: frame("y", text("554 5.7.9 not here"))}
    tm.is_(send("y@judged.test", "x@plain.test", "z@judged.test"), ([554, 250, 554], 250), f"refused at {step}: such recipients are, others are not")
begin()
goes.answer = {"E": lambda c: frame("y", text("554 5.7.9 not this"))}
tm.is_(send("y@judged.test", "x@plain.test"), ([250, 250], 554), "refused when it is seen: for all its recipients")
begin()
goes.answer = {"E": lambda c: header("h", "X-Judged", "yes") + frame("c")}
tm.is_(send("y@judged.test", "x@plain.test"), ([250, 250], 250), "changed")
judged = lambda: sorted(w.split(b"<")[1] for e, d in sink.got[:] if b"X-Judged: yes" in d for w in e if w.startswith(b"rcpt"))
tm.ok(tm.wait_for(lambda: len(judged()) >= 2, what="both"), "they come out")
tm.is_(judged(), [b"x@plain.test>", b"y@judged.test>"], "for all its recipients")
def lines():
    return [w.split(b"<")[1].rstrip(b">") for e, d in sink.got[:] for w in e if w.startswith(b"rcpt")]


for letters in "MRTE":
    begin()
    goes.answer = {letters: "d"}
    before = len(lines())
    tm.is_(send("y@judged.test", "x@plain.test"), ([250, 250], 250), f"discarded at {letters}")
    send("end@plain.test")
    tm.ok(tm.wait_for(lambda: b"end@plain.test" in lines()[before:], what="the next"), "(the next message)")
    tm.is_(sorted(lines()[before:]), [b"end@plain.test", b"x@plain.test"], "it vanishes for recipients of such channels, and goes to others")
    tm.is_(len(comes.heard), 2, "whose filters hear of it to the end")
    tm.ok(comes.commands(0).startswith("OCHM") and "E" in comes.commands(0), "(all of it)")
begin()
goes.answer = {"E": "d"}
before = len(lines())
tm.is_((send("y@judged.test"), len(lines()) - before, sb.queue_empty()), (([250], 250), 0, True), "without others nothing is left")
begin()
goes.answer = {"E": lambda c: frame("b", b"another body\r\n") + frame("d")}
before = len(lines())
tm.is_(send("y@judged.test", "x@plain.test"), ([250, 250], 250), "discarded behind another body")
tm.ok(tm.wait_for(lambda: len(lines()) > before, what="that of others"), "others get it")
tm.is_((lines()[before:], sink.got[-1][1].split(b"\r\n\r\n")[1][:5]), ([b"x@plain.test"], b"hello"), "with the body that it had")
begin()
goes.answer = {"E": lambda c: frame("q", text("odd")) + frame("c")}
before = len(lines())
tm.is_(send("y@judged.test", "x@plain.test"), ([250, 250], 250), "quarantined")
tm.ok(tm.wait_for(lambda: len(lines()) > before, what="that of others"), "others get it")
held = [f for f in sb.queue_files() if f.endswith(".HELD")]
tm.is_((lines()[before:], len(held), b"y@judged.test" in open(held[0], "rb").read()), ([b"x@plain.test"], 1, True), "and that of such channels is held")
os.unlink(held[0])
begin()
goes.stop()
tm.is_(send("x@plain.test"), ([250], 250), "while it is away mail for others goes on")
tm.is_(send("y@judged.test")[0], [451], "and that of its channel comes again later")
tm.is_(send("y@judged.test", "x@plain.test", "z@judged.test"), ([451, 250, 451], 250), "of both, in any order: only that")
goes.start()
begin()
with smtplib.SMTP("127.0.0.1", sb.port("SMTP"), local_hostname="client.test", timeout=30) as s:
    s.ehlo()
    for i in range(2):
        s.mail("a@else.test")
        s.rcpt("y@judged.test")
        s.data("Subject: x\r\n\r\nhello\r\n")
        goes.drop()
tm.is_(heard(goes), ["OCHMRTLNBE"] * 2, "a connection that has gone between two messages is made anew")

put({"comes": 2})
said = subprocess.run([f"{tm.BINDIR}/smtp-relay", "-n", "-c", sb.conf("smtp-relay.conf")], capture_output=True, text=True)
tm.ok(re.search(r"warning: .*mta\.cnf:\d+: channel tcp_judged asks for spam filter 1: no \[milter\] has spamfilter = 1", said.stderr + said.stdout), "-n tells of a number that is no filter's")
tm.done()
