#!/usr/bin/env python3
"""XFORWARD from a content filter: who may say it, what it may say, what becomes of it and what does not; and Postfix that
says it."""
import os, re, shutil, smtplib, subprocess, sys

sys.path[:0] = [os.path.dirname(os.path.abspath(__file__))]
import tm, wire

without = [a for d in ("stored", "lmtpd", "imapd", "pop3d", "jmapd", "sieved", "mmpd", "memd") for a in ("--without", d)]
POSTFIX = tm.free_port()
sb = tm.Sandbox("--users", "2", *without, "--route", f"next.test=smtp:127.0.0.1:{POSTFIX}", "--set", "smtp-relay.relay.domains=next.test",
                "--set", "channels.channel tcp_local.xforward=yes", "--set", "smtp-relay.relay.xforward=127.0.0.64/26", "--set", "tiermail.log_level=debug")
TO = f"{sb.user(1)}@{sb.domain}"


class Client(wire.Line):
    def __init__(self, source="127.0.0.77"):
        super().__init__((sb.host, sb.port("SMTP")), source=(source, 0))
        self.line()
        self.offers = []
        self.send("EHLO filter.test\r\n")
        while not self.offers or self.offers[-1][3] == "-":
            self.offers.append(self.line())

    def mail(self, body="Subject: x\r\n\r\nx\r\n"):
        """The line of the log about it."""
        for say in ("MAIL FROM:<a@sender.test>", f"RCPT TO:<{TO}>", "DATA"):
            self.say(say)
        qid = re.search(r"queued as (\w+)|(\w+)$", self.say(body + ".")).group(0).split()[-1]
        line = wire.logged(sb, "smtp-relay", "ev=queued", f"qid={qid}")[0]
        return re.search(r" peer=(\S+)", line).group(1), qid


# ---- who may
c = Client("127.0.0.1")
tm.ok(not [o for o in c.offers if "XFORWARD" in o], "strangers are not offered it")
tm.is_(c.say("XFORWARD ADDR=192.0.2.1")[:9], "502 5.5.1", "nor may they say it")
tm.is_(c.mail()[0], "127.0.0.1", "and it does nothing")
c = Client()
tm.ok([o for o in c.offers if o[4:] == "XFORWARD NAME ADDR PORT PROTO HELO IDENT SOURCE"], "a filter of relay.xforward is offered it")

# ---- what it does, and for how long
tm.is_(c.say("XFORWARD NAME=spike.example ADDR=192.0.2.9 PORT=4711 PROTO=ESMTP"), "250 2.0.0 ok", "it is taken")
tm.is_(c.say("xforward helo=spike+2Eexample ident=4Xyz source=remote")[:3], "250", "in pieces, in any case and in xtext")
peer, qid = c.mail()
tm.is_(peer, "192.0.2.9", "the log has the client of the beginning")
with open(next(os.path.join(r, f) for r, _, fs in os.walk(sb.env["QUEUE"]) for f in fs if qid in f), errors="replace") as f:
    head = f.read()
tm.ok("client=192.0.2.9" in head and "helo=spike.example" in head, "and so has the queue")
tm.ok("[127.0.0.77]" in head or "127.0.0.77" in head, "Received says who has given it to us")
tm.is_(c.mail()[0], "127.0.0.77", "it is for one transaction")
c.say("XFORWARD ADDR=192.0.2.9")
c.say("RSET")
tm.is_(c.mail()[0], "127.0.0.77", "which RSET ends")
for addr, is_ in (("IPV6:2001:db8::7", "2001:db8::7"), ("2001:db8::7", "2001:db8::7"), ("[UNAVAILABLE]", "127.0.0.77"), ("a+20telephone", "127.0.0.77"),
                  ("192.0.2.300", "127.0.0.77")):
    tm.is_(c.say(f"XFORWARD ADDR={addr}")[:3], "250", f"ADDR={addr}")
    tm.is_(c.mail()[0], is_, f"is {is_}")
tm.is_(c.say("XFORWARD NAME=[TEMPUNAVAIL] HELO=[unavailable] PORT=[UNAVAILABLE] SOURCE=LOCAL")[:3], "250", "what is not there may be said")
c.say("XFORWARD ADDR=192.0.2.9")
c.say("XFORWARD ADDR=[UNAVAILABLE]")
tm.is_(c.mail()[0], "127.0.0.77", "the last word counts")

# ---- what it may not say, and what it does not do
for bad in ("", "ADDR", "ADDR=", "=x", "COLOUR=red", "ADDR=a+2", "ADDR=a+ZZ", "HELO=a+0Ab", "HELO=a+00", "PORT=65536", "PORT=x", "PORT=000080", "SOURCE=MOON",
            "PROTO=" + "x" * 65, "NAME=" + "x" * 256, "ADDR=192.0.2.1 X"):
    tm.is_(c.say(f"XFORWARD {bad}".rstrip())[:3], "501", f"XFORWARD {bad[:20]}: is refused")
c.close()
c = Client()
c.say("MAIL FROM:<a@sender.test>")
tm.is_(c.say("XFORWARD ADDR=192.0.2.9")[:3], "503", "nor may anything within a transaction")
c.say("RSET")
c.say("XFORWARD ADDR=127.0.0.1 SOURCE=LOCAL NAME=localhost")
c.say("MAIL FROM:<a@sender.test>")
tm.is_(c.say("RCPT TO:<x@elsewhere.test>")[:3], "550", "nobody relays for it")
c.close()

# ---- Postfix says it
if os.getuid() != 0 or not shutil.which("postfix") or not os.path.exists("/usr/lib/postfix/sbin/smtpd"):
    tm.skip("Postfix forwards", "needs root and Postfix")
    tm.done()
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
myhostname = first.test
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
smtpd_peername_lookup = no
disable_dns_lookups = yes
default_database_type = hash
alias_maps =
alias_database =
local_recipient_maps =
import_environment = MAIL_CONFIG
relayhost = [127.0.0.1]:{sb.port("SMTP")}
smtp_bind_address = 127.0.0.78
smtp_send_xforward_command = yes
smtpd_authorized_xforward_hosts = 127.0.0.0/8
relay_domains = next.test
transport_maps = inline:{{next.test=discard:}}
""")
with open(f"{d}/etc/master.cf", "w") as f:
    f.write(f"127.0.0.1:{POSTFIX} inet n - n - - smtpd\n")
    for name, private, limit, command in (("cleanup", "n", "0", "cleanup"), ("qmgr", "n", "1", "qmgr"), ("rewrite", "-", "-", "trivial-rewrite"),
                                          ("bounce", "-", "0", "bounce"), ("defer", "-", "0", "bounce"), ("smtp", "-", "-", "smtp"),
                                          ("anvil", "-", "1", "anvil"), ("scache", "-", "1", "scache"), ("tlsmgr", "-", "1", "tlsmgr"),
                                          ("proxymap", "-", "-", "proxymap"), ("discard", "-", "-", "discard"), ("error", "-", "-", "error")):
        f.write(f"{name} unix {private} - n - {limit} {command}\n")
    f.write("postlog unix-dgram n - n - 1 postlogd\n")
r = subprocess.run(["postfix", "-c", f"{d}/etc", "start"], capture_output=True, text=True)
try:
    with smtplib.SMTP("127.0.0.1", POSTFIX, local_hostname="spike.example", timeout=tm.LONG, source_address=("127.0.0.99", 0)) as s:
        s.sendmail("a@sender.test", [TO], "Subject: through Postfix\r\n\r\nx\r\n")
    told = wire.logged(sb, "smtp-relay", "ev=xforward", "ADDR=127.0.0.99", "HELO=spike.example")
    tm.ok(told and "ADDR=127.0.0.99" in told[-1] and "SOURCE=REMOTE" in told[-1] and "PROTO=ESMTP" in told[-1], "Postfix tells whose mail it is")
    tm.ok(wire.logged(sb, "smtp-relay", "ev=queued", "peer=127.0.0.99"), "and we have it so")

    # ---- and hears it from us
    c = Client("127.0.0.55")
    c.say("MAIL FROM:<a@sender.test>")
    c.say("RCPT TO:<x@next.test>")
    c.say("DATA")
    qid = c.say("Subject: to Postfix\r\n\r\nx\r\n.").split()[-1]

    def log():
        with open(f"{d}/log", errors="replace") as f:
            return [l for l in f if f"orig_queue_id={qid}" in l]
    tm.ok(tm.wait_for(log), "Postfix knows our queue id,")
    tm.ok("orig_client=unknown[127.0.0.55]" in log()[0], "and the client of the beginning") or tm.diag(log()[0])
finally:
    subprocess.run(["postfix", "-c", f"{d}/etc", "stop"], capture_output=True)
tm.done()
