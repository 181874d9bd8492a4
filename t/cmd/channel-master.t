#!/usr/bin/env python3
"""channel-master alone: jobctl, the servers, the DNS and smtp-relay's submission are played by
t/cmd/mta.py; the queue is real (t/tools/qput)."""
import atexit, email, os, shutil, signal, socket, ssl, subprocess, sys, tempfile, threading, time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../flow")]
import tm
from mta import Dns, Jobctl, Mail

QPUT = os.path.join(os.path.dirname(tm.BINDIR), "t/tools/qput")
for p in (os.path.join(tm.BINDIR, "channel-master"), QPUT):
    if not os.path.exists(p):
        tm.skip_all(f"{p} is not built")
DIR = tm.tempdir()
QUEUE = f"{DIR}/q"
MSG = b"From: s@y.test\r\nMessage-ID: <m1@y.test>\r\nSubject: hello\r\n\r\n.dot\r\nbody\r\n"
masters = []


def conf(channels="", own=""):
    with open(f"{DIR}/tiermail.conf", "w") as f:
        f.write(f"hostname = relay.test\nrundir = {DIR}\nqueue = {QUEUE}\nstore = {DIR}/s\nuser =\ngroup =\n")
    with open(f"{DIR}/channels.conf", "w") as f:
        f.write(channels)
    with open(f"{DIR}/channel-master.conf", "w") as f:
        f.write(own)


def start(channel):
    log = open(f"{DIR}/log", "ab")
    tm.watch_log(f"{DIR}/log")
    p = subprocess.Popen([f"{tm.BINDIR}/channel-master", "-d", "-c", f"{DIR}/channel-master.conf", channel],
                         stdout=log, stderr=log)
    masters.append(p)
    jobctl.accept()
    return p


@atexit.register
def stop_all():
    for p in masters:
        if p.poll() is None:
            p.kill()


def put(rcpts, channel="tcp_lmtp", dest="", sender="s@y.test", message=MSG, opts=()):
    out = subprocess.run([QPUT, "-c", channel, "-d", dest, "-f", sender, *opts, QUEUE, *rcpts], input=message,
                         capture_output=True, check=True)
    return out.stdout.decode().split()[1]


def files(channel):
    return [n for _, _, ns in os.walk(f"{QUEUE}/{channel}") for n in ns]


def parts(mail):
    m = email.message_from_bytes(mail[2])
    status = m.get_payload()[1]
    return m, [dict(p.items()) for p in status.get_payload()]


jobctl = Jobctl(f"{DIR}/jobctl.sock")
lmtp = Mail(f"{DIR}/lmtpd.sock", lmtp=True, offers=("PIPELINING", "CHUNKING", "8BITMIME", "SIZE 0", "XTIERMAIL"))
submit = Mail(f"{DIR}/submit.sock", offers=("PIPELINING", "8BITMIME", "DSN"))

# ---- LMTP
conf(own="[session]\nidle = 60s\n")
cm = start("tcp_lmtp")
tm.ok("channel=tcp_lmtp" in jobctl.hello and "slots=" in jobctl.hello, "it says hello with its slots")
jobctl.work(put(["a@x.test", "b@x.test"]), "relay.test")
verb, r = jobctl.result()
tm.is_(verb, "done", "a message for two is delivered")
tm.is_([m[:2] for m in lmtp.mails], [("s@y.test", ["a@x.test"]), ("s@y.test", ["b@x.test"])], "both have it")
tm.is_(lmtp.mails[0][2], MSG, "unchanged, by BDAT")
tm.ok(any("XQID=" in c for c in lmtp.commands), "the queue id goes along")
tm.is_(files("tcp_lmtp"), [], "the file has left the queue")

lmtp.mails.clear()
for _ in range(30):
    jobctl.work(put(["a@x.test"]), "relay.test")
tm.is_([jobctl.result()[0] for _ in range(30)], ["done"] * 30, "thirty messages")
tm.ok(lmtp.connections <= 10, f"over few connections ({lmtp.connections})")
lmtp.hang_up()
for _ in range(3):
    jobctl.work(put(["a@x.test"]), "relay.test")
    tm.is_(jobctl.result()[0], "done", "the server has closed the idle connection: a new one")

# ---- each recipient its own fate
lmtp.say = {"RCPT TO:<no@": "550 5.1.1 no such user", "BODY late@x.test": ["451 4.3.0 not now", "250 ok"]}
lmtp.mails.clear()
file = put(["yes@x.test", "no@x.test", "late@x.test"], opts=("-e", "env1", "-o", "rfc822;orig@z.test"))
jobctl.work(file, "relay.test", backoff=60)
before = time.time()
verb, r = jobctl.result()
tm.is_(verb, "retry", "delivered, failed and deferred: retry")
tm.ok(before + 59 <= int(r["next"]) <= time.time() + 61, "next is now and the backoff")
tm.is_(len(submit.mails), 1, "one report")
sender, to, _ = submit.mails[0]
tm.is_((sender, to), ("", ["s@y.test"]), "from the null sender to the sender")
m, status = parts(submit.mails[0])
tm.is_(m.get_content_type(), "multipart/report", "a multipart/report")
tm.is_(status[0].get("Original-Envelope-Id"), "env1", "with the envelope id")
tm.is_(len(status), 2, "about one recipient")
tm.is_((status[1]["Final-Recipient"], status[1]["Action"], status[1]["Status"], status[1]["Original-Recipient"]),
       ("rfc822;no@x.test", "failed", "5.1.1", "rfc822;orig@z.test"), "the one that failed")
tm.ok("5.1.1 no such user" in status[1]["Diagnostic-Code"], "with what the server said")
tm.is_(m["In-Reply-To"], "<m1@y.test>", "as a reply to the message")
lmtp.mails.clear()
name = files("tcp_lmtp")
tm.ok(len(name) == 1 and name[0].startswith("ZY"), "the file counts its attempt")
jobctl.work(name[0], "relay.test", attempt=1, backoff=60)
tm.is_(jobctl.result()[0], "done", "the second attempt ends it")
tm.is_([m[1] for m in lmtp.mails], [["late@x.test"]], "and goes to nobody else")
tm.is_(len(submit.mails), 1, "no second report")

# ---- what lay in the spool is not what was queued
lmtp.say = {}
lmtp.mails.clear()
body = b"Subject: rot\r\n\r\n" + b"0123456789abcdef" * 5000 + b"\r\n"
for offers in (lmtp.offers, ("PIPELINING",)):
    lmtp.offers = offers
    lmtp.hang_up()
    file = put(["a@x.test"], message=body)
    where = next(os.path.join(d, file) for d, _, ns in os.walk(QUEUE) if file in ns)
    with open(where, "r+b") as f:
        f.seek(os.path.getsize(where) - 40000)
        f.write(b"X")
    n = lmtp.connections
    jobctl.work(file, "relay.test")
    tm.is_((jobctl.result()[0], len(lmtp.mails)), ("held", 0), f"a flipped byte is not delivered ({offers})")
    tm.is_(lmtp.connections, n + 1, "though it was begun")
    held = [f for f in files("tcp_lmtp") if f.endswith(".HELD")]
    tm.ok(len(held) == 1 and held[0][2:17] == file[2:17], "the file is set aside")
    os.unlink(where[:-len(file)] + held[0])
lmtp.offers = ("PIPELINING", "CHUNKING", "8BITMIME", "SIZE 0", "XTIERMAIL")

# ---- who is told, who is not
lmtp.say = {"RCPT TO:<no": "550 5.1.1 no such user"}
submit.mails.clear()
jobctl.work(put(["no1@x.test"], sender=""), "relay.test")
tm.is_((jobctl.result()[0], len(submit.mails)), ("done", 0), "null sender: dropped, no report")
jobctl.work(put(["no2@x.test"], opts=("-n", "NEVER")), "relay.test")
tm.is_((jobctl.result()[0], len(submit.mails)), ("done", 0), "NOTIFY=NEVER: no report")
jobctl.work(put(["yes@x.test"], opts=("-n", "SUCCESS")), "relay.test")
tm.is_((jobctl.result()[0], len(submit.mails)), ("done", 1), "NOTIFY=SUCCESS: a report")
tm.is_(parts(submit.mails[0])[1][1]["Action"], "delivered", "of delivery")
big = MSG + b"x" * 70000 + b"\r\n"
for opts, want, what in ((("-R", "FULL"), "message/rfc822", "RET=FULL returns all"),
                         (("-R", "HDRS"), "text/rfc822-headers", "RET=HDRS the header"),
                         ((), "text/rfc822-headers", "a large one its header")):
    submit.mails.clear()
    jobctl.work(put(["no@x.test"], message=big, opts=opts), "relay.test")
    jobctl.result()
    last = email.message_from_bytes(submit.mails[0][2]).get_payload()[2]
    tm.is_(last.get_content_type(), want, what)

# ---- warnings and expiry
submit.mails.clear()
lmtp.say = {"MAIL": "451 4.3.2 busy"}
file = put(["a@x.test"])
jobctl.work(file, "relay.test", backoff=1)
tm.is_(jobctl.result()[0], "retry", "deferred")
file = files("tcp_lmtp")[0]
jobctl.work(file, "relay.test", action="notice", notice=1, attempt=1)
tm.is_(jobctl.result()[0], "noted", "a warning is sent")
m, status = parts(submit.mails[0])
tm.is_((status[1]["Action"], status[1]["Status"]), ("delayed", "4.3.2"), "with the last reason")
tm.ok("Will-Retry-Until" in status[1], "and how long it will be tried")
jobctl.work(file, "relay.test", action="expire", attempt=1)
tm.is_(jobctl.result()[0], "done", "expired")
m, status = parts(submit.mails[1])
tm.is_((status[1]["Action"], status[1]["Status"]), ("failed", "5.4.7"), "returned to the sender")
tm.ok("busy" in status[1]["Diagnostic-Code"], "with the last reason")

lmtp.say = {"MAIL": "530 5.7.0 STARTTLS first"}
file = put(["a@x.test"])
jobctl.work(file, "relay.test", backoff=1)
tm.is_(jobctl.result()[0], "retry", "530 between the tiers is a mistake of ours: nothing is returned")
lmtp.say = {}
jobctl.work(files("tcp_lmtp")[0], "relay.test", attempt=1)
jobctl.result()

# ---- the report cannot be queued: the recipient is kept
submit.say = {"MAIL": "451 4.3.0 disk"}
lmtp.say = {"RCPT TO:<no": "550 5.1.1 no such user"}
file = put(["no@x.test"])
jobctl.work(file, "relay.test", backoff=1)
tm.is_(jobctl.result()[0], "retry", "no report, no end")
submit.say = {}
submit.mails.clear()
jobctl.work(files("tcp_lmtp")[0], "relay.test", attempt=1)
tm.is_((jobctl.result()[0], len(submit.mails)), ("done", 1), "the next time it works")

# ---- other ends of leases
jobctl.work("ZZ0000000000000" + "00.00", "relay.test")
tm.is_(jobctl.result()[0], "done", "a file that is gone is done")
file = put(["a@x.test"])
path = next(os.path.join(d, n) for d, _, ns in os.walk(f"{QUEUE}/tcp_lmtp") for n in ns)
with open(path, "r+b") as f:
    f.seek(20)
    f.write(b"XXXX")
jobctl.work(file, "relay.test")
tm.is_(jobctl.result()[0], "held", "a damaged file is set aside")
os.unlink(f"{path[:-3]}.HELD")

# ---- kill -9 between the body and its reply
go = threading.Event()
lmtp.say = {"BODY": lambda: (go.wait(tm.LONG), "250 ok")[1]}
lmtp.mails.clear()
file = put(["a@x.test"])
jobctl.work(file, "relay.test")
tm.wait_for(lambda: any(c.startswith("BDAT") for c in lmtp.commands[-2:]), what="BDAT")
cm.kill()
cm.wait()
go.set()
tm.is_(files("tcp_lmtp"), [file], "killed in the middle: the file is as it was")
lmtp.say = {}
cm = start("tcp_lmtp")
jobctl.work(file, "relay.test")
tm.is_(jobctl.result()[0], "done", "and the next one delivers it")
cm.send_signal(signal.SIGTERM)
tm.is_(cm.wait(tm.LONG), 0, "SIGTERM: it leaves")
lmtp.close()
cm = start("tcp_lmtp")
jobctl.work(put(["a@x.test"]), "relay.test", backoff=1)
verb, r = jobctl.result()
tm.is_((verb, r.get("site")), ("retry", "fail"), "nobody listens: deferred, and the site is to blame")
tm.ok("Connection refused" in open(f"{DIR}/log").read(), "with the reason")
jobctl.conn.close()
jobctl.f.close()
tm.is_(cm.wait(tm.LONG), 0, "it leaves when jobctl has gone")

# ---- SMTP
one, two = Mail(("127.0.0.1", 0)), Mail(("127.0.0.2", 0))
dns = Dns({
    "good.test": {"MX": [(10, "mx1.good.test"), (20, "mx2.good.test")]},
    "same.test": {"MX": [(20, "MX1.good.test"), (10, "mx2.good.test")]},
    "mx1.good.test": {"A": ["127.0.0.3"]}, "mx2.good.test": {"A": ["127.0.0.1"]},
    "implicit.test": {"A": ["127.0.0.1"]}, "null.test": {"MX": [(0, "")]},
    "loop.test": {"MX": [(10, "relay.test"), (20, "mx2.good.test")]},
    "backup.test": {"MX": [(10, "mx2.good.test"), (20, "relay.test"), (30, "mx1.good.test")]},
    "six.test": {"AAAA": ["::1"]}, "both.test": {"AAAA": ["::1"], "A": ["127.0.0.1"]},
    "mx6.test": {"MX": [(10, "away.test"), (20, "six.test")]}, "away.test": {"AAAA": ["::1"], "A": ["127.0.0.3"]},
    "nothing.test": {}, "lost.test": {"MX": [(10, "no.such.test")]}, "no.test": {}, "test": {},
})
conf(f"[channel tcp_local]\nport = {one.port}\nbackoff = 1s\n[reply busy]\ncode = 421\ntext = *TSS04*\nsuspend = 2h\n"
     "[reply later]\nchannel = tcp_*\ncode = 4\ntext = come back *\nsuspend = 5m\n[reply other]\nchannel = x*\nsuspend = 1h\n",
     f"[dns]\nstubs = test=127.0.0.1@{dns.port}\ntimeout = 3s\nloopback = yes\n[session]\nidle = 60s\n")
cm = start("tcp_local")


def smtp(dest, rcpts=("a@x.test",), **kw):
    jobctl.work(put(list(rcpts), channel="tcp_local", dest=dest, **kw), dest, backoff=1)
    return jobctl.result()


def bounced():
    m, status = parts(submit.mails.pop())
    return status[1]["Status"]


submit.mails.clear()
verb, r = smtp("good.test")
tm.is_(verb, "done", "MX: the second host is tried when the first is away")
tm.ok(r.get("mx", "").startswith("mx1.good.test/2/"), "the set of its hosts has a name") or tm.diag(str(r))
tm.is_(smtp("same.test")[1].get("mx"), r.get("mx"), "whatever their order and letters")
tm.is_(smtp("mx2.good.test")[1].get("mx"), None, "a host without MX is its own")
one.hang_up()
one.connections = 0
tm.is_(smtp("good.test")[1].get("mx"), r.get("mx"), "it is the same the next time")
tm.is_(one.mails[-1][2], MSG, "DATA with dots, as it was")
tm.is_(smtp("good.test", opts=("-n", "SUCCESS"))[0], "done", "again")
tm.is_(one.connections, 1, "over the same connection")
tm.is_(parts(submit.mails.pop())[1][1]["Action"], "relayed", "relayed to a server without DSN")
tm.is_(smtp("implicit.test")[0], "done", "a domain without MX is its own host")
before = len(one.mails)
tm.is_((smtp("both.test")[0], len(one.mails) - before), ("done", 1), "nobody listens on its AAAA: the A")
try:
    six = Mail(("::1", one.port))
except OSError as e:
    tm.skip("AAAA", e)
else:
    tm.is_((smtp("six.test")[0], len(six.mails)), ("done", 1), "a host with an AAAA only")
    tm.is_((smtp("mx6.test")[0], len(six.mails)), ("done", 2), "MX hosts with AAAA")
    six.close()
tm.is_(smtp("backup.test")[0], "done", "hosts better than ourselves are used")
tm.is_((smtp("null.test")[0], bounced()), ("done", "5.1.10"), "null MX")
tm.is_((smtp("loop.test")[0], bounced()), ("done", "5.4.6"), "the best MX is ourselves")
tm.is_((smtp("unknown.test")[0], bounced()), ("done", "5.1.2"), "no such domain")
tm.is_((smtp("nothing.test")[0], bounced()), ("done", "5.1.2"), "a domain without any address")
tm.is_((smtp("lost.test")[0], bounced()), ("done", "5.4.4"), "an MX host that does not exist")
tm.is_(smtp(f"127.0.0.2:{two.port}")[0], "done", "a destination with a port is no mail domain")
tm.is_(len(two.mails), 1, "and goes there")
tm.is_(smtp("[127.0.0.1]")[0], "done", "an address literal")
one.say = {"GREET": "554 5.3.2 no"}
one.hang_up()
verb, r = smtp("implicit.test")
tm.is_((verb, r.get("site")), ("retry", "fail"), "a greeting of 554 is not for ever")
one.say = {"GREET": "521 5.3.2 never"}
tm.is_((smtp("implicit.test")[0], bounced()), ("done", "5.3.2"), "one of 521 is")
verb, r = smtp("good.test")
tm.is_((verb, r.get("site")), ("retry", "fail"), "one of 521 at a backup is not, while the host before it does not answer")
one.say = {"GREET": "421 4.7.0 [tss04] messages from you are deferred"}
verb, r = smtp("implicit.test")
tm.is_((verb, r.get("site"), r.get("suspend"), r.get("rule")), ("retry", "fail", "7200", "busy"), "a rule for what a greeting says")
one.say = {"RCPT TO:<a": "450 4.2.1 Come back later", "RCPT TO:<b": "550 5.7.1 TSS04 at another code"}
verb, r = smtp("implicit.test", ["a@x.test", "b@x.test", "c@x.test"])
tm.is_((verb, r.get("suspend"), r.get("rule")), ("retry", "300", "later"), "and a recipient's reply")
submit.mails.clear()
one.say = {"RCPT TO:<a": "450 4.2.1 do come back later"}
tm.is_("suspend" in smtp("implicit.test")[1], False, "the whole text must fit, and the channel")
submit.say = {"MAIL": "451 4.3.0 come back later"}
jobctl.work(put(["a@x.test"], channel="tcp_local", dest="implicit.test"), "implicit.test", backoff=1, action="reroute", attempt=1)
verb, r = jobctl.result()
tm.is_((verb, r.get("suspend")), ("retry", None), "what our own relay says is nothing of the destination's")
submit.say = {}
one.say = {"RCPT TO:<c": ["452 4.5.3 too many", "250 ok"]}
one.mails.clear()
tm.is_(smtp("implicit.test", ["a@x.test", "b@x.test", "c@x.test"])[0], "done", "452 4.5.3 at RCPT")
tm.is_([m[1] for m in one.mails], [["a@x.test", "b@x.test"], ["c@x.test"]], "the rest goes in a second transaction")
one.say = {}
one.offers = ("PIPELINING", "LIMITS RCPTMAX=2 MAILMAX=1 X=y")
one.hang_up()
one.mails.clear()
before = one.connections
tm.is_(smtp("implicit.test", ["a@x.test", "b@x.test", "c@x.test"])[0], "done", "LIMITS")
tm.is_(([m[1] for m in one.mails], one.connections - before), ([["a@x.test", "b@x.test"], ["c@x.test"]], 2),
       "no more recipients than the server takes, nor messages on one connection")
tm.is_((smtp("implicit.test")[0], one.connections - before), ("done", 3), "nor for the next message")
one.offers = ("PIPELINING", "LIMITS RCPTDOMAINMAX=2 RCPTMAX=0 MAILMAX=1000000")
one.hang_up()
one.mails.clear()
before = one.connections
tm.is_(smtp("implicit.test", ["a@x.test", "b@y.test", "c@z.test", "d@X.test"])[0], "done", "a limit of domains")
tm.is_(([m[1] for m in one.mails], one.connections - before), ([["a@x.test", "b@y.test", "d@X.test"], ["c@z.test"]], 1), "two of them in each transaction")
one.offers = ("PIPELINING",)
one.hang_up()
tm.is_((smtp("implicit.test", opts=("-8",), message=MSG + b"\xe4\r\n")[0], bounced()), ("done", "5.6.3"),
       "8-bit mail for a 7-bit server")
cm.send_signal(signal.SIGHUP)
tm.is_(cm.wait(tm.LONG), 0, "SIGHUP: it leaves, so that the next one is configured anew")

# ---- TLS


def certificate(name, host):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-keyout", f"{DIR}/{name}.key", "-out", f"{DIR}/{name}.pem", "-days", "2", "-subj", f"/CN={host}",
                    "-addext", f"subjectAltName=DNS:{host}"], check=True, capture_output=True)
    ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ctx.load_cert_chain(f"{DIR}/{name}.pem", f"{DIR}/{name}.key")
    return ctx


one.tls, two.tls = certificate("good", "implicit.test"), certificate("bad", "somebody.else.test")
one.offers = two.offers = ("PIPELINING", "8BITMIME", "STARTTLS", "CHUNKING")
dns.table["other.test"] = {"A": ["127.0.0.2"]}
dns.table["pair.test"] = {"MX": [(10, "other.test"), (20, "implicit.test")]}
port2 = Mail(("127.0.0.2", one.port), offers=two.offers, tls=two.tls)
for mode in ("may", "must"):
    conf(f"[channel tcp_local]\nport = {one.port}\nbackoff = 1s\ntls = {mode}\n",
         f"[dns]\nstubs = test=127.0.0.1@{dns.port}\ntimeout = 3s\nloopback = yes\n")
    with open(f"{DIR}/tiermail.conf", "a") as f:
        f.write(f"[tls]\nca = {DIR}/good.pem\n")
    one.mails.clear()
    one.secured = port2.secured = 0
    cm = start("tcp_local")
    tm.is_((smtp("implicit.test")[0], one.secured), ("done", 1), f"tls = {mode}: a good certificate")
    tm.ok(one.mails and one.mails[0][2] == MSG, "by BDAT over TLS")
    verb, r = smtp("other.test")
    if mode == "may":
        tm.is_((verb, port2.secured), ("done", 1), "tls = may: any certificate")
        port2.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)  # without a key: every handshake fails
        port2.hang_up()
        tm.is_(smtp("other.test")[0], "done", "tls = may: plain text when the handshake fails")
        port2.hang_up()
        # Only at that host: the next one in line is spoken to over TLS again.
        port2.say["GREET"] = ["220 test", "421 4.3.2 not now"]
        one.secured, n = 0, len(one.mails)
        one.hang_up()
        tm.is_((smtp("pair.test")[0], one.secured, len(one.mails) - n), ("done", 1, 1),
               "tls = may: a broken handshake at one host leaves TLS on at the next")
        del port2.say["GREET"]
        port2.tls = two.tls
    else:
        tm.is_((verb, r.get("site")), ("retry", "fail"), "tls = must: another name is not good enough")
        one.offers = ("PIPELINING",)
        one.hang_up()
        tm.is_(smtp("implicit.test")[0], "retry", "tls = must: a server without STARTTLS gets nothing")
    cm.send_signal(signal.SIGTERM)
    cm.wait(tm.LONG)

# ---- a drain does not wait for who never answers
hole = socket.socket()
hole.bind(("127.0.0.1", 0))
hole.listen(0)                                             # connections are made, nothing is ever said
conf(f"[channel tcp_local]\nbackoff = 1s\n", f"[dns]\nstubs = test=127.0.0.1@{dns.port}\n")
cm = start("tcp_local")
jobctl.work(put(["a@x.test"], channel="tcp_local", dest=f"127.0.0.1:{hole.getsockname()[1]}"),
            f"127.0.0.1:{hole.getsockname()[1]}", backoff=1)
c, _ = hole.accept()
watch = tm.Stopwatch()
cm.send_signal(signal.SIGTERM)
tm.is_((jobctl.result()[0], cm.wait(tm.LONG)), ("drop", 0), "a lease without an answer goes back")
tm.ok(watch.took() < 5, "at once")
c.close()
hole.close()

# ---- what the DNS says must not lead back into this host
conf(f"[channel tcp_local]\nport = {one.port}\nbackoff = 1s\n",
     f"[dns]\nstubs = test=127.0.0.1@{dns.port}\ntimeout = 3s\n")
dns.table["zero.test"] = {"A": ["0.0.0.0"]}
dns.table["zeromx.test"] = {"MX": [(10, "zero.test"), (20, "six.test"), (30, "mx2.good.test")]}
one.hang_up()
n, seen = len(one.mails), one.connections
cm = start("tcp_local")
for dest in ("implicit.test", "zero.test", "zeromx.test", "six.test"):
    bounces = len(submit.mails)
    tm.is_(smtp(dest, sender="s@x.test")[0], "done", f"{dest}: this host is no host of it")
    tm.ok(len(submit.mails) == bounces + 1 and b"Status: 5.4.6" in submit.mails[-1][2], "so it is returned")
tm.is_((len(one.mails), one.connections), (n, seen), "and nobody was connected to")
cm.send_signal(signal.SIGTERM)
cm.wait(tm.LONG)
tm.ok(os.path.getsize(f"{DIR}/log") > 0 and b"ev=bug" not in open(f"{DIR}/log", "rb").read(), "no bug was met")
tm.done()
