#!/usr/bin/env python3
"""What a list makes of a message: fields that come and go, text in front and behind, and its password;
for its members alone, whoever else gets the message.  What is nobody's business stays octet by octet."""
import base64, email, email.policy, os, quopri, subprocess, sys, time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../cmd")]
import tm
from mta import Mail

tm.need("ldapadd")
out = Mail(("127.0.0.1", 0), offers=("PIPELINING", "8BITMIME", "SIZE 0"))
sb = tm.Sandbox("--users", "9", "--without", "imapd", "--route", f"out.test=smtp:127.0.0.1:{out.port}",
                "--set", "channels.channel tcp_local.backoff=1s", "--set", "smtp-relay.auth.delay=1ms")
D, BASE = sb.domain, sb.env["LDAP_BASE"]


def group(name, *lines, own=True):
    """A list whose member elsewhere has its name, where it is to have an `own` one."""
    text = "\n".join([f"dn: cn={name},ou=Groups,o={D},{BASE}", *(f"objectClass: {c}" for c in (
        "groupOfURLs", "inetMailGroup", "inetMailGroupManagement", "inetLocalMailRecipient")),
        f"cn: {name}", f"mail: {name}@{D}", *([f"mgrpRFC822MailMember: {name}@out.test"] if own else []), *lines, ""])
    ldap("ldapadd", text)


def ldap(tool, text):
    r = subprocess.run([tool, "-x", "-H", sb.env["LDAP_URL"], "-D", sb.env["LDAP_ADMIN_DN"],
                        "-w", sb.env["LDAP_ADMIN_PASSWORD"]], input=text, capture_output=True, text=True)
    if r.returncode:
        tm.diag(r.stdout + r.stderr)


def b64(text):
    return base64.b64encode(text.encode()).decode()


def send(to, message, chunk=False):
    """The answers to each RCPT and to the body."""
    c = sb.smtp()
    c.ehlo()
    c.mail("outside@sender.test")
    got = [c.rcpt(t)[0] for t in to]
    if chunk:
        c.send(b"BDAT %d LAST\r\n" % len(message) + message)
        got.append(c.getreply()[0])
    elif 250 in got:
        c.docmd("DATA")
        c.send(message.replace(b"\r\n.", b"\r\n..") + b".\r\n")
        code, text = c.getreply()
        got.append(code if code == 250 else f"{code} {text.decode()}")
    c.quit()
    return got


def arrived(*names, message, **kw):
    """What members and others have got: by the name of the list, and `far` for who was named."""
    out.mails.clear()
    got = send([f"{n}@{D}" for n in names] + ["far@out.test"], message, **kw)
    tm.is_(got, [250] * (len(names) + 2), f"{' '.join(names)}: is taken") or tm.diag(got)
    if not tm.wait_for(lambda: sum(len(m[1]) for m in out.mails) > len(names)):
        tm.diag(out.mails)
    return {r.partition("@")[0]: raw(m[2]) for m in out.mails for r in m[1]}


def raw(m):
    """Without our trace."""
    m = m if isinstance(m, bytes) else m.encode("latin-1")
    lines = m.replace(b"\r\n", b"\n").split(b"\n")
    while lines[0].startswith((b"Received:", b" ", b"\t")):
        lines.pop(0)
    return b"\r\n".join(lines)


def parsed(m):
    return email.message_from_bytes(m, policy=email.policy.default)


def member(name, message, **kw):
    """What the list's member gets; the one who was named gets what was sent."""
    got = arrived(name, message=message, **kw)
    tm.is_(got.get("far"), message if message.endswith(b"\r\n") else message + b"\r\n", f"{name}: others get what was sent")
    return got.get(name, b"")


# ---- fields -----------------------------------------------------------------------------------------
group("fields", "mgrpAddHeader: List-Id: <fields.test>", "mgrpAddHeader: Reply-To: fields@" + D,
      "mgrpAddHeader: X-Seen: once", "mgrpAddHeader:: " + b64("X-Word: Grüße an alle"),
      "mgrpAddHeader:: " + b64("X-Two: a\nBcc: evil@out.test\n\nbody"), "mgrpAddHeader: From: evil@out.test",
      "mgrpAddHeader: Content-Type: text/html", "mgrpAddHeader: no field", "mgrpAddHeader: X-Empty:",
      "mgrpRemoveHeader: X-Secret", "mgrpRemoveHeader: subject", "mgrpRemoveHeader: Received",
      "mgrpRemoveHeader: Date")
HEAD = (b"From: \"A  B\" <a@sender.test>\r\nReply-To: me@sender.test\r\nX-SECRET : one\r\n two\r\nX-Keep:  odd \t\r\n"
        b"Subject: hello\r\nDate: Thu, 1 Jan 2026 00:00:00 +0000\r\nlist-ID: other\r\nx-secret: again\r\n")
BODY = b"\r\nFrom here\r\n.dots\r\nx-secret: body\r\n"
m = member("fields", HEAD + BODY)
head, _, body = m.partition(b"\r\n\r\n")
tm.is_(b"\r\n" + body, BODY, "the body stays")
tm.is_(head.split(b"\r\n")[:3], [b'From: "A  B" <a@sender.test>', b"X-Keep:  odd \t", b"Date: Thu, 1 Jan 2026 00:00:00 +0000"],
       "what is not removed stays octet by octet, and what is not a list's business")
p = parsed(m)
tm.is_((p["List-Id"], p["Reply-To"], p["X-Seen"], str(p["X-Word"])), ("<fields.test>", "fields@" + D, "once", "Grüße an alle"),
       "fields are added, in the place of those that may be there once")
tm.is_((p["X-Two"], p["Bcc"], p["X-Empty"], p["Content-Type"], len(p.keys())), ("a Bcc: evil@out.test  body", None, None, None, 8),
       "nothing is smuggled in") or tm.diag(head)
with open(f"{sb.env['RUNDIR']}/smtp-relay.log") as f:
    tm.is_(f.read().count("ev=list_field"), 6, "what cannot be is told to the log")
tm.ok(b"X-Seen" in member("fields", HEAD), "a message that is all header")

# ---- text -----------------------------------------------------------------------------------------------
group("text", "mgrpMsgPrefixText: Top.", "mgrpMsgSuffixText:: " + b64("-- \nThe list  \n.dot"))
group("word", "mgrpMsgSuffixText:: " + b64("Grüße"))
SUFFIX = b"-- \r\nThe list\r\n.dot\r\n"
tm.is_(member("text", b"Subject: x\r\n\r\nbody\r\n"), b"Subject: x\r\n\r\nTop.\r\nbody\r\n" + SUFFIX, "plain text")
tm.is_(member("text", b"Subject: x\r\n"), b"Subject: x\r\n\r\nTop.\r\n" + SUFFIX, "no body at all")
tm.is_(member("text", b"Subject: x\r\n\r\nno end", chunk=True), b"Subject: x\r\n\r\nTop.\r\nno end\r\n" + SUFFIX, "no last line end")
FLOWED = b"Content-Type: text/plain; format=flowed\r\n\r\nit goes on \r\n"
tm.is_(member("text", FLOWED), FLOWED.replace(b"it", b"Top.\r\nit") + b"\r\n" + SUFFIX, "a paragraph that goes on ends")
QP = b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\na=C3=BC=\r\n"
tm.is_(member("word", QP), QP + b"\r\nGr=C3=BC=C3=9Fe\r\n", "quoted-printable")
U8 = "Content-Type: text/plain; charset=\"UTF-8\"\r\nContent-Transfer-Encoding: 8bit\r\n\r\nä\r\n".encode()
tm.is_(member("word", U8), U8 + "Grüße\r\n".encode(), "UTF-8 in UTF-8")
BIG = b"Subject: big\r\n\r\n" + b"".join(b"%060d\r\n" % i for i in range(6000))
tm.is_(member("text", BIG), BIG.replace(b"\r\n\r\n", b"\r\n\r\nTop.\r\n", 1) + SUFFIX, "a large one")


def wrapped(name, what, message, texts):
    m = member(name, message)
    p = parsed(m)
    tm.is_((p.get_content_type(), p["MIME-Version"], p["Subject"]), ("multipart/mixed", "1.0", "x"), f"{what}: a multipart now")
    edge = b"--" + p.get_boundary().encode()
    pieces = m.split(b"\r\n" + edge)
    inner = [x for x in pieces if x.startswith(b"\r\n") and x[2:] == message.partition(b"Subject: x\r\n")[2]]
    tm.is_(len(inner), 1, f"{what}: in which the message is, octet by octet") or tm.diag(m)
    tm.is_([x.get_payload(decode=True).decode() for x in p.iter_parts()
            if x.get_content_type() == "text/plain" and x.get_content_disposition() == "inline"], texts, f"{what}: and the text")


TEXTS = ["Top.\n", "-- \nThe list\n.dot\n"]
TEXTS = [t.replace("\n", "\r\n") for t in TEXTS]
SUB = b"Subject: x\r\n"
wrapped("text", "HTML", SUB + b"Content-Type: text/html\r\n\r\n<p>x\r\n", TEXTS)
wrapped("text", "base64", SUB + b"Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\nYQ==\r\n", TEXTS)
wrapped("text", "a foreign charset", SUB + b"Content-Type: text/plain; charset=utf-16\r\n\r\nx\r\n", TEXTS)
wrapped("text", "an attachment", SUB + b"Content-Type: text/plain\r\nContent-Disposition: attachment\r\n\r\nx\r\n", TEXTS)
wrapped("text", "multipart/mixed", SUB + b"Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n\r\nx\r\n--a--\r\n", TEXTS)
wrapped("text", "multipart/alternative", SUB + b"Content-Type: multipart/alternative;\r\n boundary=a\r\n\r\n--a\r\n\r\nx\r\n--a--\r\n", TEXTS)
wrapped("text", "a signed part", SUB + b"Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\nContent-Type: multipart/signed; "
        b"boundary=b\r\n\r\n--b\r\n\r\nx \r\n--b\r\n\r\ny\r\n--b--\r\n\r\n--a--\r\n", TEXTS)
wrapped("word", "text without a charset", SUB + b"Content-Type: text/plain\r\n\r\nplain\r\n", ["Grüße\r\n"])
PLAIN = SUB + b"Content-Type: text/plain\r\nContent-Transfer-Encoding: %s\r\n\r\na=3D\r\n"
for encoding in (b'"quoted-printable"', b"x-own", b"quoted-printable; x", b"7bit 8bit"):
    m = member("text", PLAIN % encoding)
    tm.ok(b"multipart/mixed" in m and PLAIN.partition(b"plain")[2] % encoding in m, f"{encoding}: is a part") or tm.diag(m)
m = member("text", PLAIN % b"binary")
tm.is_((parsed(m).get_content_type(), parsed(m)["Content-Transfer-Encoding"]), ("multipart/mixed", "binary"), "binary is so in all")
for what, kind in (("signed", "multipart/signed; boundary=a"), ("encrypted", "multipart/encrypted; boundary=a"),
                   ("S/MIME", "application/pkcs7-mime; smime-type=signed-data"), ("a report", "multipart/report; boundary=a"),
                   ("without a type", "nothing"), ("said twice", "text/plain\r\nContent-Type: text/html")):
    one = b"Subject: x\r\nContent-Type: " + kind.encode() + b"\r\n\r\n--a\r\n\r\nx \r\n--a--\r\n"
    tm.is_(member("text", one), one, f"{what}: left as it is")
with open(f"{sb.env['RUNDIR']}/smtp-relay.log") as f:
    tm.is_(f.read().count("ev=list_text"), 6, "which the log tells")

# ---- lists in lists, and many ---------------------------------------------------------------------------
group("outer", "mgrpMsgPrefixText: outer", "mgrpMsgSuffixText: outer", "mgrpAddHeader: X-A: outer", "mgrpAddHeader: Subject: outer",
      f"uniqueMember: cn=nested,ou=Groups,o={D},{BASE}")
group("nested", "mgrpMsgPrefixText: nested", "mgrpMsgSuffixText: nested", "mgrpAddHeader: X-A: nested", "mgrpAddHeader: Subject: nested")
got = arrived("outer", message=b"Subject: x\r\n\r\nbody\r\n")
tm.wait_for(lambda: sum(len(m[1]) for m in out.mails) == 3)
got = {r.partition("@")[0]: raw(m[2]) for m in out.mails for r in m[1]}
tm.is_(got.get("outer"), b"X-A: outer\r\nSubject: outer\r\n\r\nouter\r\nbody\r\nouter\r\n", "the outer list's members")
tm.is_(got.get("nested"), b"X-A: outer\r\nX-A: nested\r\nSubject: nested\r\n\r\nnested\r\nouter\r\nbody\r\nouter\r\nnested\r\n",
       "and the inner one's")
for i in range(5):
    group(f"many{i}", f"mgrpMsgSuffixText: {i}")
tm.is_(send([f"many{i}@{D}" for i in range(5)], b"Subject: x\r\n\r\nbody\r\n"), [250] * 6, "four of them in one message, and one that is expanded later")
group("whole", *(f"uniqueMember: cn=many{i},ou=Groups,o={D},{BASE}" for i in range(5)))
tm.is_(send([f"whole@{D}"], b"Subject: x\r\n\r\nbody\r\n"), [250, 250], "a list of five of them alone")
tm.is_(send([f"many0@{D}", f"whole@{D}"], b"Subject: x\r\n\r\nbody\r\n"), [250, 250, 250], "beside another it is expanded later")
tm.ok(sb.queue_empty(), "the queue is empty")
out.mails.clear()
tm.is_(send([f"many{i}@{D}" for i in range(5)] + [f"whole@{D}"], b"Subject: x\r\n\r\nbody\r\n"), [250] * 7, "five and all of them")
tm.ok(tm.wait_for(lambda: sum(len(m[1]) for m in out.mails) == 6) and sb.queue_empty(), "is delivered")
tm.is_(sorted((r, raw(m[2]).split(b"\r\n")[-2]) for m in out.mails for r in m[1])[:5],
       [(f"many{i}@out.test", b"%d" % i) for i in range(5)], "each member gets it once, with its list's text")

# ---- in one store ---------------------------------------------------------------------------------------
group("near", f"uniqueMember: uid=user0001,ou=People,o={D},{BASE}", f"uniqueMember: uid=user0003,ou=People,o={D},{BASE}",
      "mgrpMsgSuffixText: near")
tm.is_(send([f"near@{D}", f"{sb.user(2)}@{D}"], b"Subject: x\r\n\r\nbody\r\n"), [250, 250, 250], "members and another, in one store")
tm.ok(sb.queue_empty(), "all get it")
ends = {}
for d, _, names in os.walk(sb.env["STORE"]):
    for n in names:
        if n.endswith(".msg"):
            with open(os.path.join(d, n), "rb") as f:
                ends[next(u for u in ("user0001", "user0002", "user0003") if u in d)] = f.read().partition(b"\r\n\r\n")[2]
tm.is_(ends, {"user0001": b"body\r\nnear\r\n", "user0003": b"body\r\nnear\r\n", "user0002": b"body\r\n"}, "each what is for him")

# ---- passwords ------------------------------------------------------------------------------------------
group("closed", "mgrpBroadcasterPolicy: PASSWORD_REQUIRED", "mgrpAuthPassword: open sesame")
group("shut", "mgrpAuthPassword: two", f"uniqueMember: cn=closed,ou=Groups,o={D},{BASE}")
NO = "550 5.7.2 the list closed@%s wants its password in a field Approved" % D
for head, what in ((b"", "none"), (b"Approved: sesame\r\n", "a wrong one"), (b"Approved:\r\n", "an empty one"),
                   (b"X-Approved: open sesame\r\n", "one elsewhere"), (b"Approved: Open Sesame\r\n", "one in another case")):
    out.mails.clear()
    tm.is_(send([f"closed@{D}", "far@out.test"], head + b"Subject: x\r\n\r\nApproved: open sesame\r\n"), [250, 250, NO],
           f"{what}: nobody gets it")
tm.ok(sb.queue_empty() and not out.mails, "nothing is queued")
got = arrived("closed", message=b"Approved: keep\r\nAPPROVED: open\r\n sesame\r\nSubject: x\r\n\r\nbody\r\n")
tm.is_((got.get("closed"), got.get("far")), (b"Subject: x\r\n\r\nbody\r\n",) * 2, "with it everybody does, without it")
tm.ok(sb.queue_empty(), "and nothing is left")
out.mails.clear()
tm.is_(send([f"shut@{D}"], b"Approved: two\r\nSubject: x\r\n\r\nbody\r\n"), [250, 250], "a list in the list whose password is missing")
tm.ok(tm.wait_for(lambda: out.mails) and sb.queue_empty(), "is left out")
tm.is_([r for m in out.mails for r in m[1]], ["shut@out.test"], "and the others get it")
with open(f"{sb.env['RUNDIR']}/smtp-relay.log") as f:
    tm.is_(f.read().count("ev=list_left_out"), 1, "which the log tells")
out.mails.clear()
tm.is_(send([f"shut@{D}"], b"Approved: two\r\nApproved: open sesame\r\nSubject: x\r\n\r\nbody\r\n"), [250, 250], "with both passwords")
tm.ok(tm.wait_for(lambda: sum(len(m[1]) for m in out.mails) == 2), "both lists get it")
tm.ok(not any(b"sesame" in raw(m[2]) or b"two" in raw(m[2]) for m in out.mails), "without a password in it")
group("solo", "mgrpBroadcasterPolicy: PASSWORD_REQUIRED", "mgrpAuthPassword: nine",
      f"uniqueMember: uid=user0004,ou=People,o={D},{BASE}", own=False)
group("around", f"uniqueMember: cn=solo,ou=Groups,o={D},{BASE}", own=False)
ldap("ldapmodify", f"dn: uid=user0004,ou=People,o={D},{BASE}\nchangetype: modify\nadd: mailMsgMaxBlocks\nmailMsgMaxBlocks: 1\n")
out.mails.clear()
tm.is_(send(["far@out.test", f"around@{D}"], b"Subject: x\r\n\r\n" + b"x" * 60 + b"\r\n" + b"body\r\n" * 500), [250] * 3,
       "who is left out has no limit of size for those who are left")
tm.ok(tm.wait_for(lambda: out.mails), "who get it")
ONE = b"Approved: open sesame\r\nSubject: x\r\n\r\nbody\r\n"
for first in (["closed@out.test", f"closed@{D}"], [f"closed@{D}", "closed@out.test"]):
    out.mails.clear()
    tm.is_(send(first, b"Subject: x\r\n\r\nbody\r\n"), [250, 250, NO], "members are named: the list wants its password all the same")
    tm.is_(send(first, ONE), [250, 250, 250], "and takes it")
    tm.ok(tm.wait_for(lambda: out.mails) and b"sesame" not in raw(out.mails[0][2]), "which does not go on")
for n, words in enumerate(("first", "second")):
    group(f"road{n}", f"mgrpAuthPassword: {words}", "mgrpRFC822MailMember: common@out.test", f"mgrpMsgSuffixText: {words}",
          f"mgrpRFC822MailMember: deep@{D}")
group("deep", "mgrpRFC822MailMember: common@out.test")
group("roads", f"uniqueMember: cn=road0,ou=Groups,o={D},{BASE}", f"uniqueMember: cn=road1,ou=Groups,o={D},{BASE}")
for given in (["first"], ["second"], ["first", "second"]):
    out.mails.clear()
    head = "".join(f"Approved: {x}\r\n" for x in given).encode()
    tm.is_(send([f"roads@{D}"], head + b"Subject: x\r\n\r\nbody\r\n"), [250, 250], f"two roads, {given}")
    tm.wait_for(lambda: {"common", "deep"} <= {r.partition("@")[0] for m in out.mails for r in m[1]})
    got = {r.partition("@")[0]: raw(m[2]) for m in out.mails for r in m[1]}
    tm.is_((got.get("common"), got.get("deep")), (b"Subject: x\r\n\r\nbody\r\n" + given[0].encode() + b"\r\n",) * 2,
           "who comes by both gets it by the first that is open")
    tm.ok(sb.queue_empty(), "once")
out.mails.clear()
group("by0", f"uniqueMember: cn=road0,ou=Groups,o={D},{BASE}")
group("by1", f"uniqueMember: cn=road1,ou=Groups,o={D},{BASE}")
tm.is_(send([f"by0@{D}", f"by1@{D}"], b"Approved: second\r\nSubject: x\r\n\r\nbody\r\n"), [250] * 3, "two roads of two recipients")
tm.ok(tm.wait_for(lambda: any(r == "common@out.test" for m in out.mails for r in m[1])) and sb.queue_empty(), "it is the same")
group("denies", "mgrpAuthPassword: open sesame", "mgrpAllowedDomain: nobody.test")
out.mails.clear()
tm.is_(send(["far@out.test", f"denies@{D}"], ONE), [250, 550, 250], "a list that has a password and denies")
tm.ok(tm.wait_for(lambda: out.mails) and b"sesame" not in raw(out.mails[0][2]), "and nobody gets it by others")
out.mails.clear()
tm.is_(send(["far@out.test"], ONE), [250, 250], "where no list is")
tm.ok(tm.wait_for(lambda: out.mails) and b"Approved: open sesame" in raw(out.mails[0][2]), "the field is none of ours")

# ---- guessing -------------------------------------------------------------------------------------------
tm.is_(send([f"closed@{D}"], b"".join(b"Approved: %d\r\n" % i for i in range(4)) + ONE), [250, NO], "words behind the fourth are not looked at")
c = sb.smtp()
c.ehlo()
began = time.monotonic()
for i in range(3):
    c.mail("outside@sender.test")
    c.rcpt(f"closed@{D}")
    tm.is_(c.data(b"Approved: guess\r\nSubject: x\r\n\r\nbody\r\n")[0], 550, "a guess")
tm.ok(time.monotonic() - began > 1, "is answered late")
tm.is_(c.getreply()[0], 421, "too many end the session")
tm.ok(send([f"closed@{D}"], ONE) == [250, 250], "who knows it is let in, later")
tm.is_(send([f"many{i}@{D}" for i in range(4)] + [f"{sb.user(9)}@{D}"], b"Subject: x\r\n\r\nbody\r\n"), [250] * 5 + [250], "and who needs none of his own")
tm.done()
