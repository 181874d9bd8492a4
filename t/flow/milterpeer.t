#!/usr/bin/env python3
"""The same messages and the same filter, once asked by smtp-relay and once by Postfix: the filter hears the same,
and what comes out at the next host is the same, octet by octet but for Received; and a real filter, opendkim, signs."""
import os, re, shutil, socket, subprocess, sys, threading

sys.path[:0] = [os.path.dirname(os.path.abspath(__file__))]
import tm
from milterd import *

if os.getuid() != 0 or not shutil.which("postfix") or not os.path.exists("/usr/lib/postfix/sbin/smtpd"):
    tm.skip_all("needs root and Postfix")

# ---- the next host
got = []
sink = socket.create_server(("127.0.0.1", 0))
SINK = sink.getsockname()[1]


def take(conn):
    f = conn.makefile("rwb")

    def say(s):
        f.write(s.encode() + b"\r\n")
        f.flush()
    say("220 sink.test")
    env = []
    for line in f:
        verb = line.split()[0].upper() if line.split() else b""
        if verb == b"DATA":
            say("354 go on")
            data = b""
            while not data.endswith(b"\r\n.\r\n") and data != b".\r\n":
                data += f.readline()
            got.append((env, data[:-3].replace(b"\r\n..", b"\r\n.")))
            env = []
        elif verb in (b"MAIL", b"RCPT"):
            env.append(re.sub(rb">.*", b">", line.strip()).lower())
        say("221 bye" if verb == b"QUIT" else "250-sink.test\r\n250 8BITMIME" if verb == b"EHLO" else "250 ok")
        if verb == b"QUIT":
            break
    conn.close()


def listen():
    while True:
        threading.Thread(target=take, args=(sink.accept()[0],), daemon=True).start()


threading.Thread(target=listen, daemon=True).start()
POSTFIX = tm.free_port()
filt = Milter(f"127.0.0.1:{tm.free_port()}")
sb = tm.Sandbox("--users", "1", "--without", "imapd", "--route", f"sink.test=smtp:127.0.0.1:{SINK}",
                "--set", "smtp-relay.relay.domains=sink.test")
conf = open(sb.conf("smtp-relay.conf")).read()
with open(sb.conf("smtp-relay.conf"), "a") as f:
    f.write(f"\n[milter it]\naddress = {filt.address}\n")
sb.restart("smtp-relay")

# ---- Postfix
d = os.path.join(tm.tempdir(), "p")
os.chmod(os.path.dirname(d), 0o755)
for sub in ("etc", "spool", "data"):
    os.makedirs(f"{d}/{sub}")
shutil.chown(f"{d}/data", "postfix")
with open(f"{d}/etc/main.cf", "w") as f:
    f.write(f"""compatibility_level = 3.6
config_directory = {d}/etc
queue_directory = {d}/spool
data_directory = {d}/data
maillog_file = {d}/log
maillog_file_prefixes = {d}
mail_owner = postfix
setgid_group = postdrop
daemon_directory = /usr/lib/postfix/sbin
command_directory = /usr/sbin
myhostname = {sb.env.get("HOSTNAME", "relay.test")}
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
smtpd_relay_restrictions = permit_mynetworks, reject
smtpd_milters = inet:{filt.address}
smtpd_peername_lookup = no
local_header_rewrite_clients =
smtputf8_enable = no
disable_dns_lookups = yes
default_database_type = hash
alias_maps =
alias_database =
local_recipient_maps =
import_environment = MAIL_CONFIG
relayhost = [127.0.0.1]:{SINK}
""")
with open(f"{d}/etc/master.cf", "w") as f:
    f.write(f"127.0.0.1:{POSTFIX} inet n - n - - smtpd\n")
    for name, kind, private, command in (("pickup", "unix", "n", "pickup"), ("cleanup", "unix", "n", "cleanup"), ("qmgr", "unix", "n", "qmgr"),
                                         ("rewrite", "unix", "-", "trivial-rewrite"), ("bounce", "unix", "-", "bounce"), ("defer", "unix", "-", "bounce"),
                                         ("smtp", "unix", "-", "smtp"), ("anvil", "unix", "-", "anvil"), ("scache", "unix", "-", "scache"),
                                         ("tlsmgr", "unix", "-", "tlsmgr"), ("proxymap", "unix", "-", "proxymap"), ("error", "unix", "-", "error")):
        f.write(f"{name} {kind} {private} - n - {'0' if name in ('cleanup', 'bounce', 'defer') else '1' if name in ('qmgr', 'anvil', 'scache', 'tlsmgr') else '-'} {command}\n")
    f.write("postlog unix-dgram n - n - 1 postlogd\n")
r = subprocess.run(["postfix", "-c", f"{d}/etc", "start"], capture_output=True, text=True)


def send(port, head, body):
    import smtplib
    with smtplib.SMTP("127.0.0.1", port, local_hostname="client.test", timeout=tm.LONG) as s:
        s.ehlo()
        s.mail("a@else.test")
        s.rcpt("b@sink.test")
        return s.data(head + "\r\n" + body)[0]


def told():
    """What the filter was told of the message."""
    c = filt.conns[-1]
    return (filt.commands(), c.sender, c.rcpts, c.fields, c.body)


def out():
    """The message that left: its envelope and its octets, a Received field of ours without what must differ."""
    env, data = got[-1]
    head, _, body = data.partition(b"\r\n\r\n")
    return env, re.sub(rb"(?m)^Received:[^\r]*\r\n(?:[ \t][^\r]*\r\n)*", b"Received\r\n", head + b"\r\n"), body


def both(head, body, terms=None, end=lambda c: frame("c"), **answer):
    """(told, out) of the two."""
    results = []
    for port in (sb.port("SMTP"), POSTFIX):
        filt.reset()
        filt.terms = terms or filt.terms
        filt.answer = dict(answer, E=end)
        n = len(got)
        code = send(port, head, body)
        if code == 250:
            tm.wait_for(lambda: len(got) > n, what="the message at the next host")
        tm.wait_for(lambda: filt.commands().endswith("Q"))
        results.append((told(), code if code != 250 else out()))
    return results


def same(what, *args, **kw):
    ours, theirs = both(*args, **kw)
    strip = lambda t: (t[0].replace("A", ""),) + t[1:]
    tm.is_(strip(ours[0]), strip(theirs[0]), f"{what}: the filter is told the same")
    tm.is_(ours[1], theirs[1], f"{what}: and the same comes out")


HEAD = "From: <a@else.test>\r\nTo: <b@sink.test>\r\nSubject: one\r\n two\r\n\tthree\r\nX-A:  1\r\nX-A:2\r\nx-a: \r\n" \
       "Date: Sat, 1 Jan 2000 00:00:00 +0000\r\nMessage-ID: <1@else.test>\r\n"
try:
    if tm.ok(r.returncode == 0, "Postfix starts"):
        same("nothing", HEAD, "hello\r\n.dot\r\n\r\n")
        same("blanks stay", HEAD, "hello\r\n", terms=(ALL, SPACE, {}), end=lambda c: header("h", "X-Sp", "  two") + header("i", "X-Sp", "", 3) + frame("c"))
        same("a long body", HEAD, "0123456789abcdef\r\n" * 9000)
        for index in range(6):
            same(f"inserted at {index}", HEAD, "b\r\n", end=lambda c: header("i", "X-In", "v\n folded", index) + frame("c"))
        same("inserted twice, at the top and behind", HEAD, "b\r\n",
             end=lambda c: header("i", "X-1", "v", 0) + header("i", "X-2", "v", 0) + header("i", "X-3", "v", 2) + header("i", "X-4", "v", 99) + frame("c"))
        same("added", HEAD, "b\r\n", end=lambda c: header("h", "X-1", "v") + header("h", "X-2", "") + frame("a"))
        for index in range(1, 5):
            same(f"X-A {index} changed", HEAD, "b\r\n", end=lambda c: header("m", "X-A", "new", index) + frame("c"))
            same(f"X-A {index} deleted", HEAD, "b\r\n", end=lambda c: header("m", "X-A", "", index) + frame("c"))
        same("one deleted, one changed, one added", HEAD, "b\r\n", end=lambda c: header("m", "X-A", "", 1) + header("m", "X-A", "n", 1)
             + header("m", "Subject", "s", 1) + header("h", "X-A", "z") + header("m", "Received", "mine", 1) + frame("c"))
        same("another body", HEAD, "b\r\n" * 100, end=lambda c: frame("b", b"new\r\n") + frame("b", b"body\r\n") + frame("c"))
        same("the envelope", HEAD, "b\r\n", end=lambda c: frame("e", text("<n@else.test>")) + frame("-", text("<b@sink.test>")) + frame("+", text("<c@sink.test>")) + frame("c"))
        same("refused in its words", HEAD, "b\r\n", end=lambda c: frame("y", text("554 5.7.9 no")))
finally:
    subprocess.run(["postfix", "-c", f"{d}/etc", "stop"], capture_output=True)

# ---- opendkim
if not shutil.which("opendkim"):
    tm.skip("opendkim", "it is not here")
else:
    sub = tm.tempdir()
    subprocess.run(["openssl", "genrsa", "-out", f"{sub}/key", "2048"], capture_output=True, check=True)
    os.chmod(f"{sub}/key", 0o600)
    port = tm.free_port()
    with open(f"{sub}/conf", "w") as f:
        f.write(f"Domain else.test\nSelector s\nKeyFile {sub}/key\nSocket inet:{port}@127.0.0.1\nMode s\nSyslog no\nBackground no\n"
                f"InternalHosts 127.0.0.1\nCanonicalization relaxed/simple\nTemporaryDirectory {sub}\nRequireSafeKeys no\n")
    log = open(f"{sub}/log", "w")
    p = subprocess.Popen(["opendkim", "-f", "-x", f"{sub}/conf"], stdout=log, stderr=log)

    def up():
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return True
        except OSError:
            return False
    try:
        tm.ok(tm.wait_for(lambda: up() or p.poll() is not None) and p.poll() is None, "opendkim listens")
        with open(sb.conf("smtp-relay.conf"), "w") as f:
            f.write(conf + f"\n[milter dkim]\naddress = 127.0.0.1:{port}\n")
        sb.restart("smtp-relay")
        n = len(got)
        tm.is_(send(sb.port("SMTP"), HEAD, "hello\r\n"), 250, "a message through it")
        tm.wait_for(lambda: len(got) > n)
        head = got[-1][1].split(b"\r\n\r\n")[0].decode()
        tm.ok(re.search(r"(?m)^DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/simple; d=else.test; s=s;", head), "is signed")
        bh = re.search(r"bh=([^;]+);", re.sub(r"\s", "", head))
        import base64, hashlib
        tm.is_(bh and bh.group(1), base64.b64encode(hashlib.sha256(b"hello\r\n").digest()).decode(), "with the sum of the body as it went out")
    finally:
        tm.end([p])
tm.done()
