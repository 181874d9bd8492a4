#!/usr/bin/env python3
"""The reference deployment, every host a namespace: the roads of mail and of people through both tiers, with
Postfix as the Internet and everything behind one name at the balancer; each hop seen in the message's trace and in
the logs, by session and queue id."""
import email, http.client, imaplib, json, os, re, smtplib, ssl, subprocess, sys, threading, time

sys.path[:0] = [os.path.dirname(os.path.abspath(__file__))]
import tm
from twotier import Deployment, SCRIPT

tt = Deployment("--users", "6")
D, OUT = tt.env["DOMAIN"], tt.env["OUTSIDE"]
ME, YOU = tt.address(1), tt.address(2)      # on store1, on store2
tm.is_(tt.call("status").returncode, 0, "every host is up, and every daemon answers")


def received(text):
    """[(by, with)] of the trace, the first hop first."""
    fields = email.message_from_bytes(text).get_all("Received", [])
    return [(m[1].partition(".")[0], m[2]) for f in reversed(fields) if (m := re.search(r"\bby (\S+).*?\bwith (\S+)", f, re.S))]


def trail(subject, to, road):
    """The message is where it should be, it came that road, and the logs tell of it hop by hop."""
    text = tt.arrived(to, subject)
    if not tm.ok(text, f"{subject}: it is in the mailbox of user {to}"):
        return
    chain = received(text)
    tm.is_([by for by, _ in chain], road, f"{subject}: its trace is {' -> '.join(road)}")
    tm.diag("\n".join(email.message_from_bytes(text).get_all("Received", [])))
    tm.is_(chain[-1][1], "LMTPS", "to the store by LMTP with TLS")
    fields = email.message_from_bytes(text).get_all("Received")
    for field in fields[:-1 if road[0] == "mx" else None]:
        by, qid = re.search(r"\bby (\S+?)\.", field)[1], re.search(r"\bid ([a-z0-9]+)", field)[1]
        program = "lmtpd" if by.startswith("store") else "smtp-relay"
        lines = tm.wait_for(lambda: tt.log(by, program, f"qid={qid}"), what=f"{by} to log {qid}")
        if tm.ok(lines, f"{by}: {program} tells of queue id {qid}") and program != "lmtpd":
            tm.ok(re.search(r"\bsid=\S+", lines[0]), "with the session that brought it")
            sent = tm.wait_for(lambda: [l for l in tt.log(by, "jobctl", f"qid={qid}", "ev=deliver ") if f"to={tt.address(to)}" in l])
            tm.ok(sent and "state=delivered" in sent[-1], "and channel-master that it has gone on") or tm.diag(sent)
        tm.diag("".join(lines[:2]))


# ---- 1. to a user of the other store, by submission through the balancer: both routings
for relay, road in (("out1", ["out1", "store2"]), ("out2", ["out2", "in", "store2"])):
    tt.only("submission", relay)
    tt.submit(1, [YOU], f"by {relay}")
    text = tt.arrived(2, f"by {relay}")
    if relay == "out2" and text:        # whichever of the two
        road[1] = received(text)[1][0]
        tm.ok(road[1] in ("in1", "in2"), "an inbound relay took it from out2")
    trail(f"by {relay}", 2, road)
    line = tm.wait_for(lambda: tt.log(relay, "smtp-relay", "ev=auth ", "192.0.2.9"))
    tm.ok(line or tt.log(relay, "smtp-relay", "192.0.2.9"), f"{relay} knows the client behind the balancer")
tt.only("submission")

# ---- 2. one name for everybody: IMAP and POP3, use case 1 (login walk), use case 2 (read, delete)
for n, store in ((1, "store1"), (2, "store2")):
    if n == 1:
        tt.submit(2, [ME], "back")
        tm.ok(tt.arrived(1, "back"), "an answer the other way")
    for secure in (True, False):
        c = tt.imap(n, secure)
        tm.is_(c.list()[0], "OK", f"user {n}: LIST, {'IMAPS' if secure else 'STARTTLS'}")
        c.logout()
    walk = tm.wait_for(lambda: [l for m in ("mmp1", "mmp2") for l in tt.log(m, "mmpd", "ev=login ", f"user={tt.address(n)}")])
    sid = re.search(r"\bsid=(\S+)", walk[-1])[1]
    at_store = tm.wait_for(lambda: tt.log(store, "imapd", "ev=login ", f"sid={sid}"))
    tm.ok(at_store and "mech=EXTERNAL" in at_store[0] and "peer=192.0.2.9" in at_store[0],
          f"user {n}: the same session at {store}, by the proxy's certificate, from the client's address") or tm.diag(walk[-1])
    tm.diag(walk[-1] + (at_store or [""])[0])
    p = tt.pop(n)
    count = len(p.list()[1])
    tm.ok(count >= 1 and p.retr(1)[0].startswith(b"+OK"), f"user {n}: POP3 shows and gives the mail")
    p.quit()
    c = tt.imap(n)
    c.select("INBOX")
    tm.is_(c.fetch("1", "(BODY[])")[0], "OK", f"user {n}: read")
    c.store("1", "+FLAGS", "\\Deleted")
    tm.is_(c.expunge()[0], "OK", "and deleted")
    c.logout()
    p = tt.pop(n)
    tm.is_(len(p.list()[1]), count - 1, "POP3 sees it gone")
    p.quit()

# ---- 2b. the same in the browser: any of the two hosts, one session
def served(cookie):
    try:
        return tt.web("GET", "/session", None, cookie)[0].status == 200
    except (OSError, http.client.HTTPException):
        return False


for n, store in ((1, "store1"), (2, "store2")):
    tt.only("https", "mem1")
    cookie = tt.browser(n)
    for mem in ("mem1", "mem2"):
        tt.only("https", mem)
        session = json.loads(tt.web("GET", "/.well-known/jmap", None, cookie)[1])
        tm.is_((session["username"], session["apiUrl"]), (tt.address(n), f"https://{tt.env['MAIL_HOST']}/jmap/api"), f"user {n}: JMAP by {mem}, under the one name")
        tm.ok(tm.wait_for(lambda: tt.log(mem, "memd", "ev=http ", f"user={tt.address(n)}", "peer=192.0.2.9")), "which knows the client behind the balancer")
    account = list(session["accounts"])[0]
    r = json.loads(tt.web("POST", "/jmap/api", {"using": ["urn:ietf:params:jmap:core", "urn:ietf:params:jmap:mail"],
                                             "methodCalls": [["Mailbox/get", {"accountId": account}, "m"]]}, cookie)[1])
    there = {m["name"]: m["totalEmails"] for m in r["methodResponses"][0][1]["list"]}
    c = tt.imap(n)
    tm.is_(there.get("Inbox", there.get("INBOX")), int(c.select("INBOX", readonly=True)[1][0]), f"user {n}: as much mail as IMAP shows")
    c.logout()
    tm.ok(tt.log(store, "jmapd", "ev=login ", f"user={tt.address(n)}", "mech=EXTERNAL"), f"at {store}")
tt.only("https")
tm.is_(tt.call("kill", "mem1").returncode, 0, "mem1 is gone")
tm.ok(tm.wait_for(lambda: served(cookie)), "and the session goes on at mem2")
tm.is_(tt.call("start", "mem1").returncode, 0, "mem1 is back")
def led():
    """Where who comes without TLS is led to; the balancer may yet close what is on its way to a host that it marks down."""
    c = http.client.HTTPConnection(tt.env["MAIL_HOST"], 80, timeout=tm.LONG)
    try:
        c.request("GET", "/mail/inbox")
        r = c.getresponse()
        return r.status, r.getheader("Location")
    except (OSError, http.client.HTTPException):
        return None
    finally:
        c.close()


tm.is_(tm.wait_for(led), (308, f"https://{tt.env['MAIL_HOST']}/mail/inbox"), "who comes without TLS is led to it")
try:
    said = http.client.HTTPSConnection(tt.env["STORE1"], 8443, context=ssl._create_unverified_context(), timeout=tm.LONG)
    said.request("GET", "/.well-known/jmap")
    said = said.getresponse().status
except (ssl.SSLError, OSError, http.client.HTTPException):
    said = "refused"
tm.is_(said, "refused", "a store's jmapd has no session for one without a proxy's certificate")

# ---- 3. to the Internet, use case 3: one message to both worlds
tt.only("submission", "out1")   # who hands all mail of ours to an inbound relay knows nobody's store
tt.submit(1, [YOU, f"friend@{OUT}"], "both worlds")
tt.only("submission")
tm.ok(tt.arrived(2, "both worlds"), "one recipient is on the other store")
tm.ok(tm.wait_for(lambda: tt.outside("both worlds")), "the other's mail is at the Internet's Postfix")
tm.ok(received(tt.outside("both worlds")[0])[-1][1] == "ESMTPS", "which had it with TLS")

# ---- 4. from the Internet: both MX hosts
for i in range(8):
    tt.internet([ME if i % 2 else YOU], f"from outside {i}")
for i in range(8):
    tm.ok(tt.arrived(1 if i % 2 else 2, f"from outside {i}"), f"mail {i} from outside")
def mx_of(subject, n):
    return received(tt.arrived(n, subject))[1][0]
used = {mx_of(f"from outside {i}", 1 if i % 2 else 2) for i in range(8)}
for i in range(8, 40):
    if len(used) == 2:
        break
    tt.internet([ME], f"from outside {i}")
    used.add(mx_of(f"from outside {i}", 1))
tm.is_(used, {"in1", "in2"}, "hosts of equal preference both have been used")
trail("from outside 0", 2, ["mx", mx_of("from outside 0", 2), "store2"])

# ---- 4b. relay.domains, and nobody else's
s = smtplib.SMTP(tt.env["IN1"], 25, timeout=tm.LONG)
s.ehlo("stranger.test")
s.mail("stranger@stranger.test")
tm.is_(s.rcpt("somebody@nowhere.test")[0], 550, "a domain of nobody: 550")
s.rset()
s.sendmail("stranger@stranger.test", ["somebody@partner.test"], "Subject: passed on\r\n\r\nx\r\n")
s.quit()
tm.ok(tm.wait_for(lambda: tt.outside("passed on")), "a domain of relay.domains is passed on to its own MX")

# ---- 5. what the scripts of users send: the stores have a relay
AWAY, SENDS = 3, 4                          # on store1, on store2
for n, script in ((AWAY, 'require "vacation"; vacation "I am away.";'), (SENDS, f'require "copy"; redirect :copy "elsewhere@{OUT}";')):
    tm.ok(tt.modify(n, f"replace: mailSieveRuleSource\nmailSieveRuleSource: {script}"), f"user {n} has a script")
    for host in ("ldap1", "ldap2"):
        tm.ok(tm.wait_for(lambda: "mailSieveRuleSource" in tt.ldap(host, n, "mailSieveRuleSource")), f"which is at {host}")
tt.internet([tt.address(AWAY)], "are you there")
tt.internet([tt.address(SENDS)], "for elsewhere")
for n, subject, there, sender in ((AWAY, "are you there", "Auto: are you there", ""), (SENDS, "for elsewhere", "for elsewhere", f"friend@{OUT}")):
    tm.ok(tt.arrived(n, subject), f"{subject}: user {n} has it")
    found = tm.wait_for(lambda: tt.outside(there), what=f"{there!r} outside")
    if tm.ok(found, f"{there}: the Internet's Postfix has it"):
        m = email.message_from_bytes(found[0])
        tm.is_((m["Return-Path"], len(found)), (f"<{sender}>", 1), "once, with the right sender")
        by, how = received(found[0])[-2]
        tm.ok(by in ("out1", "out2") and how == "ESMTPS", "by an outbound relay, which had it with TLS") or tm.diag(m.get_all("Received"))
    store = "store1" if n == AWAY else "store2"
    tm.ok(tm.wait_for(lambda: tt.log(store, "lmtpd", "ev=vacation" if n == AWAY else "ev=redirect", "verdict=2.")), f"{store} tells of it")


def relay(address, cert=None, tls=True, port=25):
    """What a relay answers to mail of anybody's for anywhere."""
    try:
        with smtplib.SMTP(address, port, local_hostname="host.test", timeout=tm.LONG) as s:
            context = ssl.create_default_context(cafile=tt.env["CAFILE"])
            if cert:
                context.load_cert_chain(*(f"{tt.dir}/ca/hosts/{cert}.{D}.{kind}" for kind in ("pem", "key")))
            if tls:
                s.starttls(context=context)
            s.ehlo()
            code, words = s.mail("anybody@stranger.test")
            if code == 250:
                code, words = s.rcpt("someone@elsewhere.test")
            return f"{code} {words.decode().split()[0]}"
    except (ssl.SSLError, OSError, smtplib.SMTPServerDisconnected):
        return "no session"


for name in ("OUT1", "OUT2"):
    tm.is_([relay(tt.env[name], "store1"), relay(tt.env[name], "in1"), relay(tt.env[name], "mmp1"), relay(tt.env[name]), relay(tt.env[name], tls=False)],
           ["250 2.1.5", "450 4.7.1", "450 4.7.1", "no session", "530 5.7.0"], f"{name.lower()} takes mail for anywhere of a store: of no other host, of nobody without a certificate")
tm.is_(relay(tt.env["IN1"], "store1"), "550 5.7.1", "an inbound relay asks nobody for certificates")

# ---- what no stranger may do between the tiers
s = smtplib.LMTP(tt.env["STORE1"], 24)
s.sock.settimeout(tm.LONG)
s.starttls(context=tt.tls)
s.ehlo("stranger.test")
tm.ok(s.mail("stranger@stranger.test")[0] >= 500, "lmtpd takes nothing without a relay's certificate")
s.close()
try:
    said = imaplib.IMAP4_SSL(tt.env["STORE1"], 993, ssl_context=tt.tls, timeout=tm.LONG).noop()[0]
except (ssl.SSLError, OSError, imaplib.IMAP4.abort) as e:
    said = "refused"
tm.is_(said, "refused", "a store's imapd has no session for one without a proxy's certificate")

tm.is_([l for m in ("mmp1", "mmp2") for l in tt.log(m, "mmpd", "ev=proxy_refused", "proxy.networks")][:2], [],
       "the balancer's checks, which hang up at once, are not taken for somebody else's")

def sent(subject):
    c = tt.imap(1)
    c.select("Sent", readonly=True)
    uids = c.uid("SEARCH", "SEEN", "SUBJECT", f'"{subject}"')[1][0].split()
    c.logout()
    return len(uids)


tm.ok(tm.wait_for(lambda: sent("both worlds")), "use case 3: a copy in the sender's Sent folder, made by the server")
tm.is_(sent("both worlds"), 1, "once")

# ---- an account moves to the other store, with the settings that its person has
c = tt.imap(3)      # on store1
c.create("Projects")
c.append("Projects", "(\\Flagged)", None, b"Subject: taken along\r\n\r\nhello\r\n")
before = c.status("Projects", "(MESSAGES UIDNEXT UIDVALIDITY)")[1]
with open(f"{tt.dir}/store1/etc/tiermail/mover.pw", "w") as f:
    f.write(tt.env["LDAP_ADMIN_PASSWORD"] + "\n")
move = ("exec", "store1", "storectl", "move", "-D", tt.env["LDAP_ADMIN_DN"], "-y", "/etc/tiermail/mover.pw")
r = tt.call(*move, tt.address(3), f"mmp1.{D}")
tm.ok(r.returncode != 0 and f"store1.{D}" in tt.ldap("ldap-master", 3, "mailHost"), "not to a host that takes none") or tm.diag(r.stdout + r.stderr)


class Connected(threading.Thread):
    """A client of user 3 that is always there: told that it is over it comes again, with the settings it has."""
    over = False

    def __init__(self):
        super().__init__()
        self.answered = []

    def run(self):
        c = None
        while not self.over:
            try:
                c = c or tt.imap(3)
                if c.noop()[0] == "OK" and c.status("Projects", "(UIDNEXT UIDVALIDITY)")[0] == "OK":
                    self.answered.append(time.monotonic())
            except (imaplib.IMAP4.error, OSError):
                c = None
            time.sleep(0.05)

    def waited(self):
        return max(b - a for a, b in zip(self.answered, self.answered[1:]))


client = Connected()
client.start()
tm.wait_for(lambda: len(client.answered) > 3)
r = tt.call(*move, tt.address(3), f"store2.{D}")
tm.is_(r.returncode, 0, "storectl move takes an account from store1 to store2, while its person is connected") or tm.diag(r.stdout + r.stderr)
seen = len(client.answered)
tm.ok(tm.wait_for(lambda: tt.log("store2", "imapd", "ev=login ", f"user={tt.address(3)}") and len(client.answered) > seen + 3), "whose client is at the new store")
client.over = True
client.join()
tm.ok(client.waited() < 5 * tm.SLOW, f"and has waited for {client.waited():.2f} s at most")
tm.ok(tm.wait_for(lambda: all(f"store2.{D}" in tt.ldap(h, 3, "mailHost") for h in ("ldap1", "ldap2"))), "the replicas know it")


def back():
    try:
        with tt.imap(3) as again:
            return again.status("Projects", "(MESSAGES UIDNEXT UIDVALIDITY)")[1]
    except (imaplib.IMAP4.error, OSError):
        return None


tm.ok(tm.wait_for(lambda: back() == before), "its person finds all of it by the same name") or tm.diag((before, back()))
tt.submit(1, [tt.address(3)], "behind the move")
tt.arrived(3, "behind the move")
where = [f.split("/var/")[0][-6:] for f in tt.files(3) if "behind the move" in open(f).read()]
tm.is_(where, ["store2"], "and mail comes to the new store")

# ---- the replicas
tm.ok(tt.modify(1, "replace: mailQuota\nmailQuota: 123456789"), "a change at the master")
for host in ("ldap1", "ldap2"):
    tm.ok(tm.wait_for(lambda: "123456789" in tt.ldap(host, 1, "mailQuota")), f"is at {host}")

# ---- whoever is killed while he makes it leaves nothing that `down' does not find
other = tm.tempdir()
p = subprocess.Popen([SCRIPT, "up", other], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
holds = lambda: [q for q in filter(str.isdigit, os.listdir("/proc")) if tt.holds(q, other)]
tm.ok(tm.wait_for(lambda: len(holds()) > 6), "another one is being made")
p.kill()
p.wait()
tm.is_(subprocess.run([SCRIPT, "-C", other, "down"], stderr=subprocess.DEVNULL).returncode, 0, "down, after kill -9")
tm.is_(holds(), [], "nothing is left of it")
tm.is_(tt.call("status").returncode, 0, "and the first one is as it was")
tt.done()
