#!/usr/bin/env python3
"""Mail filters (milters): what they are told, what they change, refuse, hold and discard, several in a chain,
and what becomes of mail when one fails: never lost, never passed against the configuration."""
import os, random, signal, smtplib, ssl, struct, subprocess, sys, threading

sys.path[:0] = [os.path.dirname(os.path.abspath(__file__))]
import tm
from milterd import *

tm.need("ldapadd")
sb = tm.Sandbox("--users", "5", "--set", "smtp-relay.limit.size=512K")
one = Milter(f"unix:{sb.dir}/one.sock")
two = Milter(f"127.0.0.1:{tm.free_port()}")
me, you = (f"{sb.user(n)}@{sb.domain}" for n in (1, 2))
conf = open(sb.conf("smtp-relay.conf")).read()


def filters(*which, **settings):
    """These filters from now on."""
    with open(sb.conf("smtp-relay.conf"), "w") as f:
        f.write(conf)
        for name, m in zip(("one", "two"), which):
            f.write(f"\n[milter {name}]\naddress = {m.address}\n")
            for k, v in settings.get(name, {}).items():
                f.write(f"{k} = {v}\n")
    sb.restart("smtp-relay")


def begin():
    one.reset()
    two.reset()


def send(body="hello\r\n", head="Subject: s\r\n", to=(me,), port="SMTP", sender="a@else.test"):
    """(code, text) of the first refusal, or of the end."""
    with sb.smtp(port) as s:
        r = s.ehlo()
        for step in [lambda: s.mail(sender)] + [lambda t=t: s.rcpt(t) for t in to]:
            if r[0] < 300:
                r = step()
        if r[0] < 300:
            try:
                r = s.data(head + "\r\n" + body)
            except smtplib.SMTPDataError as e:
                r = e.args
        return r[0], r[1].decode()


seen = {}


def arrived(n=1):
    """The next message of a user: its fields and its body."""
    def new():
        m = sb.messages(n)
        if len(m) > seen.get(n, 0):
            return m[seen.get(n, 0)]
        return None
    m = tm.wait_for(new, what=f"mail for {n}") or b"\r\n\r\n"
    seen[n] = seen.get(n, 0) + 1
    head, _, body = m.partition(b"\r\n\r\n")
    return head.decode("latin1").replace("\r\n", "\n"), body


def log(what):
    text = ""
    for root, _, names in os.walk(sb.dir):
        for n in names:
            if n.startswith("smtp-relay") and n.endswith(".log"):
                text += open(os.path.join(root, n), errors="replace").read()
    return what in text


# ---- what a filter is told
filters(one)
begin()
tm.is_(send(body="hello\r\n.dot\r\n", head="Subject: a\r\n b\r\nX:  y\r\n")[0], 250, "a filter that says nothing lets it pass")
tm.ok(tm.wait_for(lambda: one.commands().endswith("Q")), "and hears the session's end")
tm.is_(one.commands(), "OCHMRTLLNBEQ", "after everything in its order")
heard = dict(one.heard[0])
tm.is_(heard["C"].split(b"\0")[0], b"[127.0.0.1]", "the client's address for its name")
tm.is_(heard["C"].split(b"\0", 1)[1][:1], b"4", "its family")
tm.is_((heard["H"], heard["R"]), (b"client.test\0", f"<{me}>\0".encode()), "HELO and RCPT")
tm.is_([d for c, d in one.heard[0] if c == "L"], [b"Subject\0a\n b\0", b"X\0 y\0"], "fields with their folds, one blank less")
tm.is_(heard["B"], b"hello\r\n.dot\r\n", "the body as it is")
m = one.macros
tm.is_((m["C"]["{client_addr}"], m["R"]["{rcpt_addr}"], m["M"]["{mail_addr}"]), ("127.0.0.1", me, "a@else.test"), "macros")
tm.ok(len(m["M"]["i"]) == 13 and m["E"]["i"] == m["M"]["i"], "the queue id from MAIL on")
head, body = arrived()
tm.ok("\nSubject: a\n b\nX:  y" in head and body == b"hello\r\n.dot\r\n", "and the message is unchanged")

begin()
one.terms = (0, sum(NOT.values()), {})
tm.is_(send()[0], 250, "one that wants to hear nothing")
tm.ok(tm.wait_for(lambda: one.commands().endswith("Q")) and one.commands() == "OEQ", "is asked at the end alone")
arrived()
begin()
one.terms = (ALL | LISTS, sum(MUTE.values()) | SPACE, {2: "i {client_addr} {nothing}", 3: ""})
one.answer = {"E": lambda c: header("h", "X-Added", "\tmy own blank") + frame("c")}
tm.is_(send(body="x" * 70 + "\r\n" + ("y" * 70 + "\r\n") * 4000)[0], 250, "one that answers at the end alone")
tm.is_(set(one.macros["M"]), {"i", "{client_addr}"}, "its own list of macros")
tm.ok("R" not in one.macros, "an empty one")
tm.is_(dict(one.heard[0])["L"], b"Subject\0 s\0", "values with their blank")
head, body = arrived()
tm.ok(len(one.conns[0].body) == 288072 and one.conns[0].body == body, "a long body reaches it as it is")
tm.ok("\nX-Added:\tmy own blank" in head, "and its own blanks are kept")
begin()
one.terms = (ALL, SKIP, {})
one.answer = {"B": "s"}
tm.is_(send(body=("y" * 70 + "\r\n") * 4000)[0], 250, "one that has seen enough")
tm.is_(len(one.conns[0].body), 65535, "gets no more of the body")
tm.is_(len(arrived()[1]), 288000, "of which nothing is lost")

begin()
tm.is_(send(head="A:\r\n" * 20000)[0], 552, "a header of too many fields")
tm.ok("L" not in one.commands(), "is no business of filters")

# ---- what it changes
begin()
one.answer = {"E": lambda c: header("i", "Top", "0", 0) + header("i", "Second", "1", 2) + header("h", "Last", "a\n b\nEvil: c")
              + header("m", "X", "two", 2) + header("m", "Subject", "", 1) + header("i", "Far", "z", 99) + frame("p") + frame("c")}
tm.is_(send(head="X: 1\r\nSubject: gone\r\nx: 2\r\nX: 3\r\n")[0], 250, "fields are changed")
head, _ = arrived()
head = head[head.index("Top:"):]
tm.ok(head.startswith("Top: 0\nReceived: ") and "\tid" not in head.split("\n")[0], "one above our own field")
tail = [l for l in head.split("\n")[1:] if not l.startswith(("\t", " ", "Received:"))]
tm.is_(tail, ["Second: 1", "X: 1", "X: two", "X: 3", "Last: a", "Far: z"], "each at its place")
tm.ok("Last: a\n b\n\tEvil: c\n" in head, "and one value is one field")
begin()
one.answer = {"E": lambda c: frame("b", b"new ") + frame("b", b"body\r\n" * 50000) + frame("c")}
tm.is_(send(head="Subject: s\r\n")[0], 250, "another body")
tm.is_(arrived()[1], b"new " + b"body\r\n" * 50000, "is delivered")
begin()
one.answer = {"E": frame("b", b"one\ntwo\r") + frame("b", b"\n.\n\n") + frame("b", b"three\rend") + frame("c")}
tm.is_(send()[0], 250, "a body whose lines end as they like")
tm.is_(arrived()[1], b"one\r\ntwo\r\n.\r\n\r\nthree end\r\n", "gets the ends that lines have in mail")
for what, body in ("a NUL", b"a\0b\r\n"), ("too long a line", b"x" * 9000), ("too much", b"y\r\n" * 200000):
    begin()
    one.answer = {"E": header("h", "X-Half", "1") + frame("b", body[:400000]) + frame("b", body[400000:]) + frame("c")}
    tm.is_(send()[0], 451, f"a body with {what} is the filter's failure")
begin()
group = "\n".join([f"dn: cn=notes,ou=Groups,o={sb.domain},{sb.env['LDAP_BASE']}", *(f"objectClass: {c}" for c in (
    "groupOfURLs", "inetMailGroup", "inetMailGroupManagement", "inetLocalMailRecipient")), "cn: notes", f"mail: notes@{sb.domain}",
    f"mgrpRFC822MailMember: {you}", "mgrpMsgSuffixText: of the list", ""])
r = subprocess.run(["ldapadd", "-x", "-H", sb.env["LDAP_URL"], "-D", sb.env["LDAP_ADMIN_DN"], "-w", sb.env["LDAP_ADMIN_PASSWORD"]],
                   input=group, capture_output=True, text=True)
tm.is_(r.returncode, 0, "a list that adds a text") or tm.diag(r.stderr)
one.answer = {"E": frame("+", text(f"<notes@{sb.domain}>")) + frame("c")}
tm.is_(send()[0], 250, "is added by a filter")
tm.is_((arrived()[1], arrived(2)[1]), (b"hello\r\n", b"hello\r\nof the list\r\n"), "and its members get it with the text, others without")
begin()
one.answer = {"E": lambda c: frame("+", text(f"<{you}>")) + frame("-", text(f"<{me}>")) + frame("e", text("<new@else.test>"))
              + frame("2", text(f"{sb.user(3)}@{sb.domain}", "NOTIFY=NEVER")) + frame("c")}
tm.is_(send()[0], 250, "other recipients, another sender")
tm.ok("Return-Path: <new@else.test>" in arrived(2)[0], "one that was added gets it from the new sender")
arrived(3)
tm.is_(sb.count(1), seen[1], "one that was removed does not")
begin()
one.answer = {"E": lambda c: frame("-", text(f"<{me}>")) + frame("c")}
tm.is_(send()[0], 250, "who removes all recipients")
tm.ok(sb.queue_empty() and sb.count(1) == seen[1], "leaves nobody")

# ---- what it refuses
for stage, letter in zip("CHMRTLNBE", ("connect", "helo", "mail", "rcpt", "data", "a field", "the header's end", "a body", "the end")):
    begin()
    one.answer = {stage: "r"}
    tm.is_(send(), (550, "5.7.1 a filter refuses it"), f"refused at {letter}")
    one.answer = {stage: frame("y", text("451-4.2.1 come\r\n451 4.2.1 later"))}
    tm.is_(send(), (451, "4.2.1 come later"), f"put off at {letter}, in its words")
begin()
one.answer = {"R": lambda c: "t" if you in c.rcpts[-1] else "c"}
with sb.smtp() as s:
    s.ehlo()
    s.mail("a@else.test")
    tm.is_([s.rcpt(you)[0], s.rcpt(me)[0]], [451, 250], "one recipient is put off, the other is not")
    tm.is_(s.data("Subject: s\r\n\r\nx\r\n")[0], 250, "who gets the message")
    one.answer = {"T": "r"}
    s.mail("a@else.test")
    s.rcpt(me)
    tm.is_(s.docmd("DATA")[0], 550, "DATA is refused")
    tm.is_(s.docmd("DATA")[0], 550, "again")
    one.answer = {}
    s.rset()
    s.mail("a@else.test")
    s.rcpt(me)
    tm.is_(s.data("Subject: s\r\n\r\nx\r\n")[0], 250, "and the next message is another one, on the same connection")
tm.is_(len(one.heard), 1, "(of the filter, too)")
arrived(), arrived()
for stage in "MRTLE":
    begin()
    one.answer = {stage: "d"}
    tm.is_(send()[0], 250, f"discarded at {stage}: the client hears nothing of it")
tm.ok(sb.queue_empty() and sb.count(1) == seen[1], "and nobody gets it")
begin()
one.answer = {"E": frame("q", text("looks odd")) + frame("a")}
tm.is_(send()[0], 250, "quarantine")
held = tm.wait_for(sb.queue_files) or [""]
tm.ok(held[0].endswith(".HELD"), "is the queue's hold")
tm.ok("looks odd" in sb.tool("mailq").stdout, "with its reason")
r = sb.tool("jobctl-ctl", "release", os.path.basename(held[0])[2:15])
tm.ok(r.returncode == 0 and arrived()[1] == b"hello\r\n", "and it goes on when it is released")
conf += f"\n[archive vault]\nto = {you}\nsenders = vault.test\n"
filters(one)
begin()
one.answer = {"E": frame("q", text("looks odd")) + frame("a")}
tm.is_(send(sender="q@vault.test")[0], 250, "one that is copied for an archive")
held = tm.wait_for(lambda: len(sb.queue_files()) == 2 and sb.queue_files()) or [""]
tm.is_([os.path.basename(f).endswith(".HELD") for f in held], [True, True], "its copy is held, too")
tm.is_(sb.tool("jobctl-ctl", "release", os.path.basename(held[0])[2:15]).returncode, 0, "both are released")
tm.ok(arrived()[1] == b"hello\r\n" and arrived(2)[1] == b"hello\r\n", "and go on")

# ---- several
filters(one, two)
begin()
one.answer = {"E": header("i", "First", "was here", 1) + frame("b", b"changed\r\n") + frame("a")}
tm.is_(send()[0], 250, "two filters")
tm.is_((two.conns[0].fields, two.conns[0].body), ([("First", "was here"), ("Subject", "s")], b"changed\r\n"), "the second sees what the first has made")
arrived()
begin()
one.answer = {"M": "a"}
two.answer = {"E": "r"}
tm.is_(send()[0], 550, "one accepts, another refuses: it is refused")
tm.is_(one.commands()[:4], "OCHM", "who has accepted hears no more")
begin()
one.answer = {"R": "d"}
tm.is_(send()[0], 250, "one discards")
tm.ok(tm.wait_for(lambda: "A" in two.commands()), "the other hears that it is over")
tm.is_(sb.count(1), seen[1], "and nobody gets it")

# ---- those that fail
dies = lambda c: 1 / 0
bad = [("dies", dies), ("talks nonsense", b"\0\0\0\1z"), ("changes without right", header("m", "Subject", "", 1) + frame("c"))]
for on, code in (("tempfail", 451), ("reject", 550), ("accept", 250)):
    filters(one, two, one={"on_failure": on}, two={"on_failure": "accept"})
    for stage in "CMRTLNBE":
        begin()
        one.answer = {stage: dies}
        tm.is_(send(head=f"Subject: {stage}\r\n")[0], code, f"{on}: it dies at {stage}")
        if code == 250:
            tm.ok(f"Subject: {stage}" in arrived()[0], "and the message goes on")
    for what, does in bad[1:]:
        begin()
        one.terms = (ADD, 0, {})
        one.answer = {"E": header("h", "X-Half", "1") + does}
        tm.is_(send()[0], code, f"{on}: it {what} at the end")
        if code == 250:
            head, _ = arrived()
            tm.ok("X-Half" not in head and "Subject: s" in head, "and nothing of what it wanted is done")
    one.stop()
    tm.is_(send()[0], code, f"{on}: nobody listens")
    if code == 250:
        arrived()
    one.start()
    begin()
    tm.is_(send()[0], 250, "and it is back")
    arrived()
tm.ok(log("ev=filter_error"), "the log tells of it")
tmp = os.path.join(sb.env["QUEUE"], "tmp")
for on in ("reject", "accept"):
    filters(one, one={"on_failure": on})
    begin()
    one.answer = {"E": frame("b", b"body\r\n" * 50000) + frame("c")}
    os.rename(tmp, tmp + ".away")
    tm.is_(send(), (451, "4.3.0 queue cannot be written, try again later"), f"{on}: a body that the disk cannot keep is not the filter's fault")
    os.rename(tmp + ".away", tmp)
filters(one, one={"on_failure": "tempfail", "command_timeout": "1s", "content_timeout": "1s"})
for stage in "RE":
    begin()
    one.answer = {stage: lambda c: None}
    tm.is_(send()[0], 451, f"one that never answers at {stage}")

# ---- sent ahead
def ahead(n, what, body="hello\r\n", head="".join(f"X-{i}: y\r\n" for i in range(40))):
    """A filter that says nothing before it has the end of the message, and then has n answers due."""
    begin()
    one.answer = {"L": lambda c: None, "N": lambda c: None, "B": lambda c: None, "E": lambda c: frame("c") * n + header("h", "X-Late", "yes") + frame("c")}
    tm.is_(send(body, head)[0], 250, what)
    tm.ok("X-Late: yes" in arrived()[0], "and its change is made")


begin()
tm.is_(send()[0], 250, "(a message)")
arrived()
fields = one.commands().count("L") - 1
ahead(fields + 40 + 2, "header and body are sent before the filter has answered to any of it")
begin()
one.answer = {"L": lambda c: None, "N": lambda c: None, "B": lambda c: None, "E": lambda c: header("h", "X-Soon", "yes") + frame("c") * (fields + 4)}
tm.is_(send()[0], 451, "a change before these answers is none of what has been seen to the end")
begin()
one.answer = {"B": lambda c: None, "E": lambda c: frame("c") * 9}
tm.is_(send()[0], 250, "answers beyond those that are due are not waited for")
arrived()
for letter in "LN":
    begin()
    one.answer = {letter: lambda c: "r" if c is one.conns[0] else "c"}
    with sb.smtp() as s:
        s.ehlo()
        codes = []
        for i in range(3):
            s.mail("a@else.test")
            s.rcpt(me)
            s.putcmd("data")
            s.getreply()
            s.send(b"Subject: s\r\n\r\nx\r\n.\r\n")
            codes.append(s.getreply()[0])
    tm.is_((codes, len(one.conns)), ([550, 250, 250], 2), f"refused at {letter}, with more on the way: the connection goes, and the next message has one that knows nothing of it")
    arrived(), arrived()
begin()
one.terms = (ALL, SKIP, {})
one.answer = {"B": "s"}
tm.is_(send("x" * 70 + "\r\n" + ("y" * 70 + "\r\n") * 4000)[0], 250, "a filter that has had enough of the body")
tm.is_((one.commands().count("B"), len(arrived()[1])), (1, 72 * 4001), "gets one piece of it")
begin()
one.answer = {"B": lambda c: None if len(c.body) > 65535 else "c"}
tm.is_(send(("y" * 70 + "\r\n") * 4000)[0], 451, "one that does not answer to a piece")
tm.is_(one.commands().count("B"), 2, "gets no further ones")
begin()
one.terms, one.stuck = (ALL, sum(MUTE.values()), {2: "j " * 400}), threading.Event()
with sb.smtp() as s:
    s.ehlo()
    for n in range(400):
        s.mail("a@else.test")
        s.rset()
        if len(one.conns) > 1:
            break
tm.ok(len(one.conns) > 1, "one that gives no answers and reads nothing is late: it is not told without end")
one.stuck.set()
begin()
one.answer = {"E": frame("+", text("<nobody@else.invalid>")) + frame("+", text(f"<none@{sb.domain}>")) + frame("c")}
tm.is_(send()[0], 451, "a recipient that cannot be added is no success")
begin()
with sb.smtp() as s:
    for n in range(3):
        s.ehlo_or_helo_if_needed()
        s.mail("a@else.test")
        s.rcpt(me)
        tm.is_(s.data("Subject: s\r\n\r\nx\r\n")[0], 250, f"message {n} of a session")
        one.drop()
        tm.wait_for(lambda: all(c.sock.fileno() < 0 for c in one.conns))
tm.is_(len(one.heard), 3, "a filter that closes between two is connected again")
arrived(), arrived(), arrived()

# ---- until it has agreed nothing is in the queue
filters(one)
begin()
asked, go = threading.Event(), threading.Event()


def thinks(c):
    asked.set()
    go.wait(tm.LONG)
    return frame("c")


for size, dies in ((1, False), (30000, False), (30000, True)):
    asked.clear(), go.clear()
    one.answer = {"E": thinks}
    codes = []

    def client():
        try:
            codes.append(send(body="0123456789\r\n" * size)[0])
        except (smtplib.SMTPException, OSError) as e:
            codes.append(e)
    t = threading.Thread(target=client)
    t.start()
    tm.ok(asked.wait(tm.LONG), f"{size} lines: a filter thinks")
    tm.is_((sb.queue_files(), os.listdir(os.path.join(sb.env["QUEUE"], "tmp"))), ([], []), "and no file has a name")
    if dies:
        sb.kill("smtp-relay")
    go.set()
    t.join(tm.LONG)
    if dies:
        tm.ok(codes and codes[0] != 250, "a relay that dies then has not answered for the message")
        sb.restart("smtp-relay")
        tm.ok(sb.queue_empty() and sb.count(1) == seen[1], "and nothing of it is left")
    else:
        tm.is_(codes, [250], "when it has agreed the message is taken")
        arrived()

# ---- for whom
filters(one, one={"listeners": "submission"})
begin()
tm.is_((send()[0], one.heard), (250, []), "a listener that is not named has no filters")
arrived()
filters(one, one={"listeners": "submission, local"})


def submit():
    with sb.smtp("SUBMISSION") as s:
        insecure = ssl.create_default_context()
        insecure.check_hostname, insecure.verify_mode = False, ssl.CERT_NONE
        s.starttls(context=insecure)
        s.login(sb.user(1), sb.password)
        return s.sendmail(me, [me], f"From: <{me}>\r\nBcc: {you}\r\nSubject: s\r\n\r\nx\r\n")


tm.is_(submit(), {}, "a user submits a message")
tm.ok(one.macros["M"]["{auth_authen}"] == me and one.macros["M"]["{auth_type}"] in ("PLAIN", "LOGIN") and one.macros["H"]["{tls_version}"].startswith("TLS"),
      "the filter hears who he is")
tm.ok(one.macros["H"]["{cipher_bits}"] in ("128", "256"), "and how strong his cipher is")
names = [n for n, _ in one.conns[-1].fields]
tm.is_(sorted(names), ["Date", "From", "Message-ID", "Subject"], "and sees the message as it will be")
head, _ = arrived()
tm.is_([head.count("\n" + n + ":") for n in ("Date", "Message-ID", "From", "Bcc")], [1, 1, 1, 0], "which it is")
begin()
env = dict(os.environ, TIERMAIL_CONF=sb.conf("tiermail.conf"))
r = subprocess.run([sb.bin("sendmail"), "-f", me, me], input="Subject: s\n\nx\n", env=env, text=True, capture_output=True)
tm.is_(r.returncode, 0, "a program of this host sends a message")
tm.is_(one.heard and dict(one.heard[-1])["C"], b"localhost\0" + b"4\0\0" + b"127.0.0.1\0", "which comes from localhost")
arrived()

# ---- a filter that says anything at any time
filters(one, one={"command_timeout": "1s", "content_timeout": "1s", "connect_timeout": "1s"})
dice = random.Random(7)
words = [frame("c"), frame("a"), frame("r"), frame("t"), frame("d"), frame("s"), frame("p"), frame("f"), frame("y", text("550 x")), frame("y", b"550"),
         header("h", "A", "b"), header("m", "A", "b", 0), header("i", "A:", "b", 1), frame("b", b"x"), frame("+", text("<")), frame("-", text(f"<{me}>")),
         frame("e", text("<a b>")), frame("q", b"no end"), frame("O", b"\0" * 12), b"\0\0\0\0", b"\xff\xff\xff\xff", b"\0\0"]
for n in range(60):
    begin()
    one.terms = (dice.choice((0, ALL)), dice.choice((0, SKIP, sum(MUTE.values()))), {})
    one.answer = {c: frame("c") for c in "CHMRTLNB"}
    last, stage, said = b"".join(dice.choice(words) for _ in range(dice.randint(1, 3))), dice.choice("CHMRTLNBEEEE"), []
    one.answer[stage] = lambda c: said.append(last) or last
    code = send()[0]
    if code not in (250, 451, 550) or (code == 250 and said and not set(last) & set(b"cads")):
        tm.ok(False, f"{code} to {last} at {stage}")
begin()
one.answer = {}
tm.is_(send(head="Subject: behind them\r\n")[0], 250, "and then one that is in its senses")
tm.ok(tm.wait_for(lambda: b"Subject: behind them" in sb.messages(1)[-1]), "whose message arrives")
for path in sb.queue_files():
    os.unlink(path) # held by one of them

tm.ok(sb.queue_empty() and not os.listdir(os.path.join(sb.env["QUEUE"], "tmp")), "nothing is left in the queue")

# ---- a reload: workers take it in their own time
def asked():
    begin()
    with sb.smtp("SMTP") as s:
        s.ehlo()
    return bool(one.heard)


for what, text, want in (("without filters", "", False), ("with one again", f"\n[milter one]\naddress = {one.address}\n", True)):
    with open(sb.conf("smtp-relay.conf"), "w") as f:
        f.write(conf + text)
    os.kill(sb.pid("smtp-relay"), signal.SIGHUP)
    tm.ok(tm.wait_for(lambda: all(asked() == want for _ in range(8))), f"a reload {what}")
tm.done()
