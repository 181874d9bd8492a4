#!/usr/bin/env python3
"""Access tables at work: FROM_ACCESS at MAIL; ORIG_SEND_ACCESS, SEND_ACCESS, ORIG_MAIL_ACCESS and MAIL_ACCESS at RCPT, each
recipient by himself, pipelined and over BDAT, from other hosts and from users; AUTH_REWRITE; every action with its effect."""
import os, re, signal, ssl, subprocess, sys, time

sys.path[:0] = [os.path.dirname(os.path.abspath(__file__))]
import tm, wire

tm.need("ldapadd")
without = [a for d in ("pop3d", "jmapd", "sieved", "mmpd", "memd") for a in ("--without", d)]
BEHIND = tm.free_port()
sb = tm.Sandbox("--users", "6", *without, "--set", "smtp-relay.workers=1", "--set", "smtp-relay.relay.networks=127.0.0.1",
                "--set", "smtp-relay.proxy.networks=127.0.0.1", "--set", f"smtp-relay.listen behind.address=127.0.0.1:{BEHIND}",
                "--set", "smtp-relay.listen behind.role=mx", "--set", "smtp-relay.listen behind.proxy=yes")
D = sb.domain
me, you, third, fourth = (f"{sb.user(n)}@{D}" for n in (1, 2, 3, 4))
ETC = os.path.dirname(sb.conf("channels.conf"))
MAPPINGS = f"""FROM_ACCESS

  TCP|*|*|127.0.0.1|*|SMTP/client.test|MAIL|tcp_local|bad@*|  $N$X5.7.8|Nobody$ likes$ you
  *|tcp_local|wait@*|*    $N$X4.7.1|Later
  TCP|*|*|2001:db8::7|*|SMTP/client.test|MAIL|tcp_local|six@*|  $NNot$ from$ six
  TCP|*|*|${{2001:db8:1::/48}}|*|SMTP/*|MAIL|tcp_local|six@*|  $NNot$ from$ its$ net
  *|tcp_local|bucket@*|*  $B
  *|tcp_local|held@*|*    $H
  *|tcp_local|other@*|*   $Y$J$Kchanged@else.test|sender@else.test
  *|tcp_local|slow@*|*    $D40
  *|tcp_local|slow1@*|*   $D-40
  *|tcp_local|few@*|*     $S1,2,3
  *|tcp_local|tag@*|*     $Y$T$Asome-tag|X-Table:$ yes
  *|tcp_submit|*|{me}     $Y$Tuser-1

ORIG_SEND_ACCESS

  tcp_local|orig@*|l|{you}    $NNot$ to$ him
  tcp_local|*|tcp_local|*@closed.test  $NNo$ relaying$ there
  tcp_submit|*|l|{you}        $N$X5.7.2|Not$ for$ users

SEND_ACCESS

  tcp_local|mix@*|tcp_lmtp|{you}     $N$D10|Refused
  tcp_local|mix@*|tcp_lmtp|{third}   $H
  tcp_local|mix@*|tcp_lmtp|{fourth}  $B
  tcp_local|list@*|tcp_lmtp|{you}    $N
  tcp_local|none@*|tcp_lmtp|*        $V
  tcp_local|gone@*|*                 $Z
  tcp_local||tcp_lmtp|{third}        $NNo$ reports
  tcp_local|boom@*|*                 $Rtcp_local|boom@$0|$1

ORIG_MAIL_ACCESS

  TCP|*|SMTP/client.test|MAIL|tcp_local|om@*|l|{me}  $NORIG_MAIL
  TCP|*|tcp_local|tls@*|*      $;T$NNot$ without$ TLS
  TCP|*|tcp_local|dsn@*|*      $:S$NNo$ receipts

MAIL_ACCESS

  TCP|*|*|127.0.0.1|*|SMTP/client.test|MAIL|tcp_local|m@*|tcp_lmtp|{me}  $N$>why$ not|MAIL
  TCP|*|tcp_submit|*           $;A$NLog$ in
  TCP|*|*|2001:db8::9|4711|SMTP/client.test|MAIL|tcp_local|six@*|tcp_lmtp|{me}  $NNot$ from$ nine
  *|tcp_local|tagged@*|*       $Y$AX-Table:$ once

AUTH_REWRITE

  *|*|boss@*|*       $NYou$ are$ not$ the$ boss
  *|*|plain@*|*      $Ychecked@{D}
  *|*|env@*|*        $Jenv@{D}
  *|*|from@*|*       $Zreal@{D}
  *|*|bad@*|*        $Zno$ address
"""
MANY = "".join(f"  tcp_local|big@*x{n}*y*|*  $N\n" for n in range(800))
MAPPINGS = MAPPINGS.replace("SEND_ACCESS\n\n  tcp_local|mix", f"SEND_ACCESS\n\n{MANY}  tcp_local|big@*|*|n349@far.test  $N$X4.7.1|Not$ him\n  tcp_local|mix")


def put(text):
    with open(os.path.join(ETC, "mappings"), "w") as f:
        f.write(text)
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
    return f"{answer[0]} {answer[1].decode()}"


def ask(sender, *to, user=None, body=None, mail=(), rcpt=()):
    """All answers of one message."""
    c = session(user)
    got = [text(c.mail(sender, mail))]
    if got[0][0] == "2":
        got += [text(c.rcpt(t, rcpt)) for t in to]
        if body is not None and any(g[0] == "2" for g in got[1:]):
            got.append(text(c.docmd("DATA")))
            if got[-1][0] == "3":
                c.send(body.encode() + b"\r\n.\r\n")
                got[-1] = text(c.getreply())
    c.close()
    return got


def metric(name):
    r = subprocess.run([sb.bin("tmctl"), "-c", sb.conf("tiermail.conf"), "-d", "smtp-relay", "metrics"], capture_output=True, text=True)
    m = re.search(rf"^tiermail_{name}_total (\d+)", r.stdout, re.M)
    return int(m.group(1)) if m else None


def held():
    return sorted(f for f in sb.queue_files() if f.endswith(".HELD"))


# ---- nothing is asked where there is no table
tm.is_(ask("bad@else.test", me)[0][:3], "250", "without tables nobody is refused")
put(MAPPINGS)

# ---- MAIL
tm.is_(ask("bad@else.test")[0], "550 5.7.8 Nobody likes you", "FROM_ACCESS refuses in its words and with its status")
tm.ok(wire.logged(sb, "smtp-relay", "ev=access", "table=FROM_ACCESS", "|tcp_local|bad@else.test|", "do=reject"), "the log has table and probe")
tm.is_(ask("wait@else.test")[0], "451 4.7.1 Later", "a status of class 4 refuses for now")
tm.is_((metric("access_from_refused"), metric("access_from_deferred")), (1, 1), "both are counted")
tm.is_(ask("bucket@else.test", me, body="Subject: bucket\r\n\r\nx\r\n")[-1][:3], "250", "$B: taken")
tm.is_(ask("held@else.test", me, body="Subject: held\r\n\r\nx\r\n")[-1][:3], "250", "$H: taken")
tm.is_(len(held()), 1, "and held")
tm.ok(b"FROM_ACCESS" in open(held()[0], "rb").read(), "with the table as its reason")
tm.is_(ask("other@else.test", me, body="From: <a@b.test>\r\nSubject: other\r\n\r\nx\r\n")[-1][:3], "250", "$J $K")
tm.ok(wire.logged(sb, "smtp-relay", "ev=queued", "from=changed@else.test"), "the envelope has another sender")
tm.ok(tm.wait_for(lambda: sb.count(1) == 1), "of three messages one has come")
got = sb.messages(1)[0]
tm.ok(b"\r\nSender: sender@else.test\r\n" in got and b"Subject: other" in got, "and the header the Sender that is asked for")


def took(sender):
    c, out = session(), []
    for call in (lambda: c.mail(sender), lambda: c.rcpt(me), lambda: c.docmd("DATA")):
        at = time.monotonic()
        call()
        out.append(time.monotonic() - at >= 0.39)
    c.close()
    return out


tm.is_(took("slow@else.test"), [True] * 3, "$D: each command waits")
tm.ok(took("slow1@else.test")[0], "a negative delay: this one")
got = ask("few@else.test", me, you, third, body="x" * 2000, mail=["SIZE=100"])
tm.is_([g[:9] for g in got[1:]], ["250 2.1.5", "250 2.1.5", "452 4.5.3", "552 5.3.4"], "$S: two recipients, and 1 KiB")
got = ask("few@else.test", me, "nobody@" + D, third, fourth, body="x")
tm.is_(got[-1][:9], "554 5.5.3", "and above three nobody gets it")
tm.is_(ask("tag@else.test", me, body="Subject: tag\r\n\r\nx\r\n")[-1][:3], "250", "$A $T")
tm.ok(wire.logged(sb, "smtp-relay", "ev=access", "tag=some-tag"), "the tag is in the log")
tm.ok(tm.wait_for(lambda: any(b"X-Table: yes\r\n" in m for m in sb.messages(1))), "the field in the header")

# ---- IPv6
def six(client):
    """What a client of this address hears of MAIL and RCPT."""
    c = wire.Line((sb.host, BEHIND), wire.v1(client, to="2001:db8::1"))
    c.line()
    got = [c.say(x)[4:] for x in ("HELO client.test", "MAIL FROM:<six@else.test>", f"RCPT TO:<{me}>")]
    c.close()
    return got[1:]


tm.is_(six("2001:db8::7")[0], "5.7.1 Not from six", "FROM_ACCESS has an IPv6 address as it is written, unmapped and short")
tm.is_(six("2001:0DB8:0001:0:0::5")[0], "5.7.1 Not from its net", "and of a network")
tm.is_(six("2001:db8::9"), ["2.1.0 sender ok", "5.7.1 Not from nine"], "MAIL_ACCESS, too")
tm.is_(six("2001:db8:2::5")[1], "2.1.5 recipient ok", "others are let in")

# ---- RCPT, each by himself
tm.is_(ask("tagged@else.test", me, you, third, body="Subject: once\r\n\r\nx\r\n")[-1][:3], "250", "$A for each of three")
tm.ok(tm.wait_for(lambda: any(m.count(b"X-Table: once") == 1 for m in sb.messages(1))), "is one field")
tm.ok(tm.wait_for(lambda: all(any(b"Subject: once" in m for m in sb.messages(u)) for u in (2, 3))), "and all three have it")
tm.is_(ask("orig@else.test", me, you)[1:], ["250 2.1.5 recipient ok", "550 5.7.1 Not to him"], "ORIG_SEND_ACCESS: the channel before the directory")
tm.is_(ask("a@else.test", "x@closed.test", "x@open.test")[1:], ["550 5.7.1 No relaying there", "250 2.1.5 recipient ok"], "and that of the rules")
before = [sb.count(n) for n in (1, 2, 3, 4)]
got = ask("mix@else.test", me, you, third, fourth, body="Subject: mix\r\n\r\nx\r\n")
tm.is_([g[:9] for g in got[1:]], ["250 2.1.5", "550 5.7.1", "250 2.1.5", "250 2.1.5", "250 2.0.0"], "SEND_ACCESS: each of four by himself")
tm.ok(tm.wait_for(lambda: sb.count(1) == before[0] + 1), "the first has got it")
tm.is_(len(held()), 2, "the third's is held")
tm.ok(tm.wait_for(lambda: wire.log(sb, "jobctl", "state=discarded")), "the fourth's is gone, on record")
tm.is_([sb.count(n) for n in (2, 3, 4)], before[1:], "and nobody else has it")
tm.is_((metric("access_send_refused"), metric("access_send_held"), metric("access_send_dropped")), (1, 1, 1), "all of it is counted")
n = sb.count(1)
tm.is_(ask("none@else.test", me, body="x")[-1][:3], "250", "$V")
tm.is_(ask("gone@else.test", me, you, body="x")[-1][:3], "250", "$Z")
tm.is_(ask("<>", third)[1], "550 5.7.1 No reports", "the null sender is an empty field")
tm.is_(ask("boom@else.test", me)[1][:9], "451 4.3.5", "a table without an end: for now")
tm.is_(ask("om@else.test", me, you)[1:], ["550 5.7.1 ORIG_MAIL", "250 2.1.5 recipient ok"], "ORIG_MAIL_ACCESS")
tm.is_(ask("m@else.test", me, you)[1:], ["550 5.7.1 MAIL", "250 2.1.5 recipient ok"], "MAIL_ACCESS")
tm.ok(wire.logged(sb, "smtp-relay", "table=MAIL_ACCESS", 'note="why not"'), "what a refusal wants in the log")
tm.is_(ask("tls@else.test", me)[1], "550 5.7.1 Not without TLS", "$;T")
tm.is_([ask("dsn@else.test", me, rcpt=r)[1][:3] for r in ([], ["NOTIFY=FAILURE"], ["NOTIFY=SUCCESS"])], ["250", "250", "550"], "$:S")
tm.is_(ask("x|l@else.test", me)[1][:3], "250", "a bar in an address is none of the probe")

# ---- a list, whose members take more steps than one look-up has
for name, members in (("many", 300), ("more", 350)):
    subprocess.run(["ldapadd", "-x", "-H", sb.env["LDAP_URL"], "-D", sb.env["LDAP_ADMIN_DN"], "-w", sb.env["LDAP_ADMIN_PASSWORD"]],
                   input="\n".join([f"dn: cn={name},ou=Groups,o={D},{sb.env['LDAP_BASE']}", *(f"objectClass: {c}" for c in (
                       "groupOfURLs", "inetMailGroup", "inetMailGroupManagement", "inetLocalMailRecipient")), f"cn: {name}", f"mail: {name}@{D}",
                       *(f"mgrpRFC822MailMember: n{n}@far.test" for n in range(members)), ""]), text=True, check=True, stdout=subprocess.DEVNULL)
tm.is_(ask("big@else.test", f"many@{D}")[1], "250 2.1.5 recipient ok", "a long list and a long table: taken")
tm.is_(ask("big@else.test", f"more@{D}")[1], "451 4.7.1 Not him", "the last member has been asked about")

# ---- pipelined, and by BDAT
w = wire.Line((sb.host, sb.port("SMTP")))
w.line()
w.say("EHLO client.test")
while w.line()[3:4] == "-":
    pass
w.send(f"MAIL FROM:<mix@else.test>\r\nRCPT TO:<{you}>\r\nRCPT TO:<{me}>\r\nRCPT TO:<{you}>\r\nDATA\r\n".encode())
tm.is_([w.line()[:9] for _ in range(4)] + [w.line()[:3]], ["250 2.1.0", "550 5.7.1", "250 2.1.5", "550 5.7.1", "354"], "pipelined: in order, though some wait")
w.send(b"Subject: pipelined\r\n\r\nx\r\n.\r\n")
tm.is_(w.line()[:3], "250", "and the message is taken")
body = b"Subject: chunks\r\n\r\nx\r\n"
w.send(f"MAIL FROM:<mix@else.test>\r\nRCPT TO:<{you}>\r\nRCPT TO:<{me}>\r\nBDAT {len(body)} LAST\r\n".encode() + body)
tm.is_([w.line()[:3] for _ in range(4)], ["250", "550", "250", "250"], "BDAT behind it")
w.close()
tm.ok(tm.wait_for(lambda: sb.count(1) == n + 2), "both have come, and what was thrown away has not")

# ---- users
tm.is_(ask(me, you, third, user=1)[1:], ["550 5.7.2 Not for users", "250 2.1.5 recipient ok"], "tcp_submit: MAIL_ACCESS knows who has logged in")
tm.ok(wire.logged(sb, "smtp-relay", "ev=access", "|tcp_submit|", "tag=user-1"), "FROM_ACCESS is told the account")


def header(*fields):
    return ask(me, third, user=1, body="".join(f + "\r\n" for f in fields) + "\r\nx\r\n")[-1]


def last(subject):
    for m in sb.messages(3):
        if subject.encode() in m:
            return m
    return b""


tm.is_(header("From: <boss@else.test>", "Subject: boss"), "550 5.7.1 You are not the boss", "AUTH_REWRITE refuses by From")
tm.is_(metric("access_auth_refused"), 1, "which is counted")
for f in ("plain", "env", "from", "bad"):
    tm.is_(header(f"From: {f} <{f}@{D}>", f"Subject: auth-{f}", "Sender: old@else.test")[:3], "250", f"{f}@")
tm.ok(tm.wait_for(lambda: all(last(f"auth-{f}") for f in ("plain", "env", "from", "bad"))), "have come")
tm.ok(f"\r\nSender: checked@{D}\r\n".encode() in last("auth-plain") and b"old@else.test" not in last("auth-plain"), "$Y: another Sender, in its place")
tm.ok(wire.logged(sb, "smtp-relay", "ev=queued", f"from=env@{D}"), "$J: another sender of the envelope")
tm.ok(f"\r\nFrom: real@{D}\r\n".encode() in last("auth-from") and b"from@" not in last("auth-from"), "$Z: another From")
tm.ok(f"From: bad <bad@{D}>\r\n".encode() in last("auth-bad"), "what is no address changes nothing")
tm.ok(wire.logged(sb, "smtp-relay", "ev=access_field", "no address"), "and is told")

# ---- a reload
with open(os.path.join(ETC, "mappings"), "w") as f:
    f.write("SEND_ACCESS\n\n  *  $NClosed\n")
os.kill(sb.pid("smtp-relay"), signal.SIGHUP)
tm.ok(tm.wait_for(lambda: ask("bad@else.test", me)[1:] == ["550 5.7.1 Closed"]), "another file is taken by a reload")
with open(os.path.join(ETC, "mappings"), "w") as f:
    f.write("SEND_ACCESS\n\n  *  $[a,b,c]\n")
os.kill(sb.pid("smtp-relay"), signal.SIGHUP)
tm.ok(wire.logged(sb, "smtp-relay", "mappings:3"), "a bad one is told")
tm.is_(ask("a@else.test", me)[1:], ["550 5.7.1 Closed"], "and the old one stays")
tm.done()
