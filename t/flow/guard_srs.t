#!/usr/bin/env python3
"""Mail of others that is forwarded to others has a sender of ours (SRS), which leads back to theirs and nowhere else; mail of
our own, reports and what stays here keep theirs.  postsrsd with the same secret reads what we write, and the other way."""
import os, shutil, smtplib, socket, ssl, subprocess, sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../cmd")]
import tm, wire
from mta import Mail

tm.need("ldapmodify")
SECRET = "a word that only we know"
out = Mail(("127.0.0.1", 0), offers=("PIPELINING", "8BITMIME", "DSN", "SIZE 0"))
without = [a for d in ("pop3d", "jmapd", "sieved", "mmpd", "memd") for a in ("--without", d)]
sb = tm.Sandbox("--users", "4", *without, "--route", f"out.test=smtp:127.0.0.1:{out.port}", "--route", f"sender.test=smtp:127.0.0.1:{out.port}",
                "--route", f"first.test=smtp:127.0.0.1:{out.port}", "--set", "smtp-relay.srs.domain=srs.example", "--set", f"smtp-relay.srs.secret={SECRET}",
                "--set", "smtp-relay.srs.except=example.test kept.test")
D = sb.domain
wire.modify(sb, 2, "replace: mailDeliveryOption\nmailDeliveryOption: mailbox\nmailDeliveryOption: forward\n-\n"
            "replace: mailForwardingAddress\nmailForwardingAddress: b@out.test\n-")
two, one = f"{sb.user(2)}@{D}", f"{sb.user(1)}@{D}"


def send(sender, to, options=()):
    with sb.smtp() as s:
        s.ehlo()
        s.mail(sender)
        code, text = s.rcpt(to, options)
        if code != 250:
            return f"{code} {text.decode()}"
        return str(s.data(f"Subject: s\r\n\r\nhello\r\n")[0])


def next_out(n=[0]):
    n[0] += 1
    return tm.wait_for(lambda: len(out.mails) >= n[0] and out.mails[n[0] - 1]) or ("", [])


tm.is_(send("alice@sender.test", two, ["NOTIFY=FAILURE"]), "250", "to a user who forwards")
sender, to = next_out()[:2]
tm.ok(sender.startswith("SRS0=") and sender.endswith("=sender.test=alice@srs.example") and to == ["b@out.test"], f"goes on with a sender of ours: {sender}")
tm.ok(tm.wait_for(lambda: sb.count(2) == 1), "and stays here, too")
tm.is_([l.decode() for l in sb.messages(2)[0].split(b"\r\n") if l.startswith(b"Return-Path:")], ["Return-Path: <alice@sender.test>"], "where it has the sender's own")
tm.is_(send("", sender), "250", "a report to that address")
tm.is_(next_out()[:2], ("", ["alice@sender.test"]), "goes to the sender, and is no relaying")
tm.is_(send("x@else.test", sender)[:3], "250", "anybody may answer")
next_out()
for forged, what in ((sender.replace("=alice@", "=mallory@"), "another local part"), (sender.replace("=sender.test=", "=evil.test="), "another domain"),
                     ("SRS0=AAAA=AA=evil.test=x@srs.example", "one that is made up"), ("SRS1=AAAA=evil.test==AAAA=AA=a=b@srs.example", "an SRS1 that is")):
    tm.is_(send("x@else.test", forged)[:9], "550 5.1.1", what)
tm.is_(send("x@else.test", "someone@srs.example")[:3], "550", "the domain is good for nothing else")
tm.is_(send(sender.replace("srs.example", "first.test"), two), "250", "from a forwarder who has SRS, too")
again = next_out()[0]
tm.ok(again.startswith("SRS1=") and "=first.test==" in again, f"the first one's is kept: {again}")
tm.is_((send("", again), next_out()[1]), ("250", [sender.replace("srs.example", "first.test")]), "and gets the report")
for keeps, what in (("bob@kept.test", "srs.except"), ("", "the null sender"), ("x" * 30 + "@" + "y" * 30 + ".sender.test", "one that would become too long"),
                    (one, "one of ours")):
    tm.is_((send(keeps, two), next_out()[0]), ("250", keeps), f"{what}: stays as it is")
c = sb.smtp("SUBMISSION")
context = ssl.create_default_context(cafile=sb.env["CAFILE"])
context.check_hostname = False
c.starttls(context=context)
c.login(sb.user(1), sb.password)
c.sendmail(one, [two], "Subject: s\r\n\r\nhello\r\n")
c.quit()
tm.is_(next_out()[0], one, "and so does what our users send")

# ---- the real thing
postsrsd = shutil.which("postsrsd") or "/usr/sbin/postsrsd"
if not os.path.exists(postsrsd):
    tm.skip("postsrsd", "not installed")
else:
    folder, forward, reverse = tm.tempdir(), tm.free_port(), tm.free_port()
    with open(f"{folder}/secret", "w") as f:
        f.write(SECRET + "\n")
    p = subprocess.Popen([postsrsd, f"-s{folder}/secret", "-dsrs.example", f"-f{forward}", f"-r{reverse}", "-4"], stdout=subprocess.DEVNULL)

    def ask(port, what):
        try:
            with socket.create_connection(("127.0.0.1", port), tm.LONG) as s:
                s.sendall(f"get {what}\n".encode())
                return s.recv(1000).decode().strip()
        except OSError:
            return None
    try:
        tm.is_(tm.wait_for(lambda: ask(reverse, sender)), "200 alice@sender.test", "postsrsd reads ours")
        tm.is_(ask(reverse, again), "200 " + sender.replace("srs.example", "first.test"), "also SRS1")
        theirs = ask(forward, "carol@sender.test").split()[1]
        tm.is_((send("", theirs), next_out()[1]), ("250", ["carol@sender.test"]), "and we read its")
    finally:
        tm.end([p])
with open(sb.conf("smtp-relay.conf"), "a") as f:
    f.write("\n[srs]\nsecret = short\n")
r = subprocess.run([sb.bin("smtp-relay"), "-n", "-c", sb.conf("smtp-relay.conf")], capture_output=True, text=True)
tm.ok(r.returncode != 0, "a secret that can be guessed is no good")
tm.done()
