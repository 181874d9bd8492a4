#!/usr/bin/env python3
"""Scripts of channels, sourcefilter and destinationfilter, at the relay: each thing that they can do, whom it holds for, what a
wrong file costs, and a reload."""
import imaplib, os, re, smtplib, subprocess, sys

sys.path[:0] = [os.path.dirname(os.path.abspath(__file__))]
import nexthop
import tm
from milterd import *

sink = nexthop.Sink()
filt = Milter(f"127.0.0.1:{tm.free_port()}")
sb = tm.Sandbox("--users", "2", *(w for d in ("pop3d", "mmpd", "memd", "jmapd", "sieved") for w in ("--without", d)), "--set", "smtp-relay.relay.networks=127.0.0.0/8")
D, conf = sb.domain, open(sb.conf("smtp-relay.conf")).read()
etc = os.path.dirname(sb.conf("channels.conf"))


def put(name, text):
    with open(f"{etc}/{name}", "w") as f:
        f.write(text)


def script(name, text):
    put(name, text)
    sb.tool("tmctl", "-d", "smtp-relay", "reload")


put("mta.cnf", f"""judged.test	$U%$D@judged-daemon
plain.test	$U%$D@plain-daemon
.		$U%$H$V$H@this-host
.		$U%$H@plain-daemon

l
this-host

tcp_judged smtp destinationfilter file:{etc}/judged.sieve daemon 127.0.0.1 port {sink.port}
judged-daemon

tcp_plain smtp daemon 127.0.0.1 port {sink.port}
plain-daemon

tcp_local smtp sourcefilter {etc}/local.sieve
tcp_local-daemon

tcp_lmtp lmtp destinationfilter file://{etc}/lmtp.sieve
tcp_lmtp-daemon
""")
put("local.sieve", """require ["reject", "editheader", "copy", "body", "envelope", "variables"];
if header :contains "Subject" "refuse-all" { reject "not by this channel"; }
if header :contains "Subject" "vanish-all" { discard; }
if header :contains "Subject" "mark-all" { addheader "X-Source" "seen"; }
if header :contains "Subject" "copy-all" { redirect :copy "copy@plain.test"; }
if body :contains "in the body" { addheader "X-Body" "found"; }
if allof (header :contains "Subject" "envelope", envelope :is "to" "b@judged.test", envelope :is "from" "a@else.test") { addheader "X-Envelope" "both"; }
if header :contains "Subject" "endless" { set "a" "xxxxxxxxxxxxxxxx"; redirect "${a}@"; }
""")
put("judged.sieve", """require ["ereject", "editheader", "fileinto"];
if header :contains "Subject" "refuse-some" { ereject "not to this channel"; }
if header :contains "Subject" "vanish-some" { discard; }
if header :contains "Subject" "mark-some" { addheader "X-Goes" "seen"; deleteheader "X-Secret"; }
if header :contains "Subject" "move-some" { redirect "moved@plain.test"; }
if header :contains "Subject" "after-source" { if header "X-Source" "seen" { addheader "X-Goes" "after"; } }
if header :contains "Subject" "milter" { if header "X-Milter" "yes" { addheader "X-Goes" "after a filter"; } }
""")
put("lmtp.sieve", 'require ["fileinto", "variables"];\nif header :contains "Subject" "folder" { fileinto "Lists/one"; }\nif header :contains "Subject" "blank" { fileinto "a b"; }\n'
    'if header :matches "Subject" "into *" { set "f" "${1}"; fileinto "${f}"; }\n')
tm.ok(sb.restart("smtp-relay"), "smtp-relay has scripts of three channels")


def send(subject, *rcpts, fields="", body="hello"):
    with smtplib.SMTP("127.0.0.1", sb.port("SMTP"), local_hostname="client.test", timeout=30) as s:
        s.ehlo()
        s.mail("a@else.test")
        for r in rcpts:
            assert s.rcpt(r)[0] == 250
        code, said = s.data(f"From: <a@else.test>\r\nSubject: {subject}\r\n{fields}\r\n{body}\r\n")
        return code, said.decode()


def came(subject):
    """{recipient: fields of interest} of what came to the next host."""
    return {w.split(b"<")[1][:-1].decode(): sorted(re.findall(r"(?m)^X-[A-Za-z]+: .*", d.decode().replace("\r\n", "\n"))) for e, d in sink.got[:] if f"Subject: {subject}\r\n".encode() in d
            for w in e if w.startswith(b"rcpt")}


def comes(subject, want, what):
    tm.wait_for(lambda: len(came(subject)) >= len(want), what=subject)
    tm.is_(came(subject), want, what)


P, J, U = "x@plain.test", "b@judged.test", f"{sb.user(1)}@{D}"
code, said = send("refuse-all", P)
tm.is_((code, "not by this channel" in said), (550, True), "the source's rejects: the client reads it")
code, said = send("refuse-some", P, J)
tm.is_((code, "not to this channel" in said), (550, True), "a destination's rejects: the message is refused, nobody has it")
tm.is_(send("vanish-all", P)[0], 250, "the source's discards: taken")
tm.is_(send("vanish-some", P, J)[0], 250, "a destination's discards")
comes("vanish-some", {P: []}, "for its own recipients alone")
tm.is_(send("mark-all", P, J)[0], 250, "the source's adds a field")
comes("mark-all", {P: ["X-Source: seen"], J: ["X-Source: seen"]}, "for all")
tm.is_(send("mark-some", P, J, fields="X-Secret: word\r\n")[0], 250, "a destination's adds one and removes one")
comes("mark-some", {P: ["X-Secret: word"], J: ["X-Goes: seen"]}, "for its own recipients alone")
send("mark-all after-source", P, J)
comes("mark-all after-source", {P: ["X-Source: seen"], J: ["X-Goes: after", "X-Source: seen"]}, "a destination's sees what the source's has made")
send("copy-all", P)
comes("copy-all", {P: [], "copy@plain.test": []}, "redirect :copy")
send("move-some", P, J)
comes("move-some", {P: [], "moved@plain.test": []}, "redirect takes the place")
send("body", P, body="x\r\n" * 100000 + "in the body")
comes("body", {P: ["X-Body: found"]}, "a long body, at its end")
send("envelope", P, J)
comes("envelope", {P: ["X-Envelope: both"], J: ["X-Envelope: both"]}, "the envelope has all of the channel's")
send("endless", P)
comes("endless", {P: []}, "a script that fails in its run: the message is kept")
tm.is_([l.split("script=")[1].split()[0] for l in open(os.path.join(sb.env["RUNDIR"], "smtp-relay.log"), errors="replace") if "ev=channel_script_error" in l], ["sourcefilter"], "and the log says so")


def box(folder):
    c = imaplib.IMAP4(sb.host, sb.port("IMAP"))
    c.login(sb.user(1), sb.password)
    n = -1
    if c.select(folder)[0] == "OK":
        n = [r[1].decode().strip()[9:] for r in c.fetch("1:*", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")[1] if isinstance(r, tuple)]
    c.logout()
    return n


c = imaplib.IMAP4(sb.host, sb.port("IMAP"))
c.login(sb.user(1), sb.password)
c.create("Lists")
c.create("Lists/one")
c.logout()
send("folder", U, P)
tm.ok(tm.wait_for(lambda: box("Lists/one") == ["folder"]), "fileinto: the folder travels to the store")
comes("folder", {P: []}, "and others do not see it")
send("blank", U)
tm.ok(tm.wait_for(lambda: "blank" in box("INBOX")), "one that no address can say: the message is in INBOX")
for name in ("a>b", "a..b", "a.", "x" * 64, "host%other", "a!b", "(c", "a;b"):
    send("into " + name, U)
    tm.ok(tm.wait_for(lambda: "into " + name in box("INBOX")), f"nor {name[:10]}, which a stranger can choose")

# ---- behind a filter
with open(sb.conf("smtp-relay.conf"), "w") as f:
    f.write(conf + f"\n[milter it]\naddress = {filt.address}\n")
sb.restart("smtp-relay")
filt.answer = {"E": lambda c: header("h", "X-Milter", "yes") + frame("c")}
send("milter", J)
comes("milter", {J: ["X-Goes: after a filter", "X-Milter: yes"]}, "scripts see what filters have made")
with open(sb.conf("smtp-relay.conf"), "w") as f:
    f.write(conf)
sb.restart("smtp-relay")

# ---- files
script("local.sieve", 'require "editheader"; addheader "X-Source" "other";\n')


def other():
    other.n += 1
    send(f"other {other.n}", P)
    tm.wait_for(lambda: came(f"other {other.n}"))
    return came(f"other {other.n}") == {P: ["X-Source: other"]}


other.n = 0
tm.ok(tm.wait_for(other), "a reload takes another script")
script("local.sieve", 'require "vacation"; vacation "away";\n')
tm.ok(tm.wait_for(lambda: not other()), "a wrong one: mail goes on without")
said = subprocess.run([f"{tm.BINDIR}/smtp-relay", "-n", "-c", sb.conf("smtp-relay.conf")], capture_output=True, text=True)
tm.ok(re.search(r"warning: .*mta\.cnf:\d+: channel tcp_local has no sourcefilter: .*local\.sieve:1:9: .*vacation", said.stdout + said.stderr), "-n says which, where and why")
tm.is_(said.returncode, 0, "and that is no error")
os.unlink(f"{etc}/lmtp.sieve")
said = subprocess.run([f"{tm.BINDIR}/smtp-relay", "-n", "-c", sb.conf("smtp-relay.conf")], capture_output=True, text=True)
tm.ok(re.search(r"channel tcp_lmtp has no destinationfilter: .*lmtp\.sieve: No such file", said.stdout + said.stderr), "nor is a file that is not there")
tm.done()
