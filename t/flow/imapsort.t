#!/usr/bin/env python3
"""SORT (RFC 5256), SORT=DISPLAY (RFC 5957), ESORT (RFC 5267) and WITHIN (RFC 5032): exact exchanges, and
random mail against a model of its own; headers that no digest holds; more than a loop sorts itself."""
import email.utils, random, re, time
import tm
from imapraw import Raw

sb = tm.Sandbox("--users", "3", "--without", "lmtpd", "--without", "jobctl", "--without", "smtp-relay")
rnd = random.Random(11)
c = Raw(sb, login=1)
tm.ok(all(f" {x} " in c.ok("CAPABILITY")[0].decode() + " " for x in ("SORT", "SORT=DISPLAY", "ESORT", "WITHIN")), "offered")


def stamp(at):
    return time.strftime("%d-%b-%Y %H:%M:%S +0000", time.gmtime(at))


# ---- exact exchanges -------------------------------------------------------------------------------
MAIL = [  # the header, INTERNALDATE
    ("Subject: Re: beta\r\nFrom: Zoe <anna@x.example>\r\nTo: b@x.example\r\nDate: Mon, 5 Jan 2026 10:00:00 +0000\r\n", 1700000500),
    ("Subject: alpha\r\nFrom: bert@x.example\r\nTo: a@x.example\r\nCc: z@x.example\r\nDate: Mon, 5 Jan 2026 10:00:00 +0200\r\n", 1700000400),
    ("Subject: [list] =?utf-8?q?=C3=84rger?=\r\nFrom: =?iso-8859-1?q?=C9mile?= <Carl@x.example>\r\nDate: nonsense\r\n", 1700000300),
    ("Subject: Fwd: BETA (fwd)\r\nFrom: friends: x@y.example, z@y.example;\r\nDate: Mon, 5 Jan 2026 09:59:59 +0000\r\n", 1700000300),
    ("X-Nothing: here\r\n", 1700000100),
]
for header, at in MAIL:
    c.append("INBOX", header + "\r\n" + "x" * (2000 if "alpha" in header else 10) + "\r\n", f'"{stamp(at)}"')
c.ok("SELECT INBOX")


def sort(what, want, more="UTF-8 ALL", uid=""):
    tm.is_(c.ok(f"{uid}SORT ({what}) {more}"), [("* SORT" + want).encode()], f"{uid}SORT ({what}) {more}")


sort("ARRIVAL", " 5 3 4 2 1")
sort("REVERSE ARRIVAL", " 1 2 3 4 5")
sort("DATE", " 5 3 2 4 1")  # RFC 5256 2.2: without a date INTERNALDATE
sort("REVERSE DATE", " 1 4 2 3 5")
sort("SIZE", " 5 1 3 4 2")
sort("SUBJECT", " 5 2 3 1 4")  # A with diaeresis is A and a mark: behind "alpha", before "beta"
sort("SUBJECT REVERSE ARRIVAL", " 5 2 3 1 4")
sort("REVERSE SUBJECT", " 1 4 3 2 5")  # equal ones stay in their order
sort("REVERSE SUBJECT ARRIVAL", " 4 1 3 2 5")
sort("FROM", " 5 1 2 3 4")
sort("TO", " 3 4 5 2 1")
sort("CC", " 1 3 4 5 2")
sort("DISPLAYFROM", " 5 2 3 4 1")
sort("DISPLAYTO", " 3 4 5 2 1")
sort("REVERSE DISPLAYFROM", " 1 4 3 2 5")
sort("DATE DATE REVERSE DATE", " 5 3 2 4 1")
sort("date reverse size", " 5 3 2 4 1")
sort("ARRIVAL", "", "US-ASCII SUBJECT nobody")
sort("ARRIVAL", " 4 2", "UTF-8 2,4")
sort("ARRIVAL", " 4 1", 'US-ASCII SUBJECT "beta"')
sort("ARRIVAL", " 3", "UTF-8 SUBJECT rger")
for bad in ("SORT (DATE) ALL", "SORT () UTF-8 ALL", "SORT DATE UTF-8 ALL", "SORT (NAME) UTF-8 ALL", "SORT (DATE) UTF-8", "SORT (REVERSE) UTF-8 ALL",
            "SORT (DATE) UTF-8 NONSENSE", "SORT RETURN (NONSENSE) (DATE) UTF-8 ALL", "SORT", "SORT (DATE)UTF-8 ALL"):
    t = c.tagged(bad)
    want = b"NO [BADCHARSET" if bad == "SORT (DATE) ALL" else b"BAD"
    tm.ok(t.startswith(want), f"refused: {bad}")
tm.ok(c.tagged("SORT (DATE) KLINGON ALL").startswith(b"NO [BADCHARSET (US-ASCII UTF-8"), "an unknown charset is told apart")

# ESORT
def esort(ret, what, want, uid=""):
    c.start(f"{uid}SORT RETURN ({ret}) ({what}) UTF-8 ALL")
    lines, tagged = c.finish()
    tm.is_(lines, [b'* ESEARCH (TAG "%s")%s%s' % (c.tag, b" UID" if uid else b"", want.encode())], f"{uid}SORT RETURN ({ret}) ({what})")


esort("", "ARRIVAL", " ALL 5,3:4,2,1")
esort("ALL", "REVERSE ARRIVAL", " ALL 1:5")
esort("MIN", "ARRIVAL", " MIN 5")
esort("MAX", "ARRIVAL", " MAX 1")
esort("COUNT", "ARRIVAL", " COUNT 5")
esort("COUNT MAX ALL MIN", "SUBJECT", " MIN 5 MAX 4 ALL 5,2:3,1,4 COUNT 5")
c.start("SORT RETURN (MIN MAX ALL COUNT) (ARRIVAL) UTF-8 SUBJECT nobody")
tm.is_(c.finish()[0], [b'* ESEARCH (TAG "%s") COUNT 0' % c.tag], "nothing found")

# MODSEQ (RFC 7162 3.1.6)
m = {int(n): int(v) for n, v in (re.match(rb"\* (\d+) FETCH \(MODSEQ \((\d+)\)", l).groups() for l in c.ok("FETCH 1:* (MODSEQ)") if b"MODSEQ (" in l)}
tm.is_(c.ok("SORT (ARRIVAL) UTF-8 MODSEQ 1"), [b"* SORT 5 3 4 2 1 (MODSEQ %d)" % max(m.values())], "SORT with MODSEQ")
c.start("SORT RETURN (MIN) (REVERSE ARRIVAL) UTF-8 MODSEQ 1")
tm.is_(c.finish()[0], [b'* ESEARCH (TAG "%s") MIN 1 MODSEQ %d' % (c.tag, m[1])], "of the one that is named")
c.start("SORT RETURN (MIN MAX) (ARRIVAL) UTF-8 MODSEQ 1")
tm.is_(c.finish()[0], [b'* ESEARCH (TAG "%s") MIN 5 MAX 1 MODSEQ %d' % (c.tag, max(m[1], m[5]))], "of both")

# UIDs and numbers; what another session has expunged keeps its number
c.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
c.ok("EXPUNGE")
sort("ARRIVAL", " 4 2 3 1")
sort("ARRIVAL", " 5 3 4 2", uid="UID ")
esort("ALL", "ARRIVAL", " ALL 5,3:4,2", uid="UID ")

# I18NLEVEL=1 (RFC 5255 4.3): SEARCH compares so too, in what digests keep and in files; both are asked
tm.ok("I18NLEVEL=1" in c.ok("CAPABILITY")[0].decode().split(), "I18NLEVEL=1 is offered")
for n, subject in enumerate(["Caf\u00e9 \u0130stanbul", "cafe\u0301 \u03a3\u03c3\u03c2", "CAFE", "\ufb01x"]):
    word = "".join(f"={b:02X}" for b in subject.encode())
    c.append("INBOX", f"Subject: =?utf-8?q?{word}?=\r\nX-Other: =?utf-8?q?{word}?=\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n".encode() + subject.encode() + b"\r\n")
for text, want in (("CAF\u00c9", [1, 2]), ("cafe\u0301", [1, 2]), ("caf", [1, 2, 3]), ("cafe", [1, 2, 3]), ("\u0130STANBUL", [1]), ("i\u0307stanbul", [1]), ("istanbul", []),
                   ("\u03c3\u03c3\u03a3", [2]), ("FI", []), ("\ufb01", [4]), ("X", [4])):
    got = {}
    for key in ("SUBJECT", "HEADER X-Other", "BODY", "TEXT"):
        c.send(b"i18n SEARCH CHARSET UTF-8 5:* %s {%d+}\r\n%s\r\n" % (key.encode(), len(text.encode()), text.encode()))
        got[key] = [int(x) - 4 for x in c.finish(b"i18n")[0][-1].split()[2:]]
    want = dict.fromkeys(got, want)
    if text == "X":
        want["TEXT"] = [1, 2, 3, 4]  # X-Other
    tm.is_(got, want, f"SEARCH {ascii(text)}")
c.ok("STORE 5:* +FLAGS.SILENT (\\Deleted)")
c.ok("EXPUNGE")

# WITHIN
now = int(time.time())
for age in (30, 3000, 90000):
    c.append("INBOX", f"Subject: within {age}\r\n\r\n", f'"{stamp(now - age)}"')
def within(keys, want):
    tm.is_(c.ok(f"SEARCH SUBJECT within {keys}"), [("* SEARCH" + want).encode()], keys)
within("YOUNGER 1500", " 5")
within("OLDER 1500", " 6 7")
within("YOUNGER 80000", " 5 6")
within("OLDER 80000", " 7")
within("OLDER 1500 YOUNGER 80000", " 6")
within("NOT YOUNGER 80000", " 7")
within("OLDER 4000000000", "")
within("YOUNGER 4000000000", " 5 6 7")
for bad in ("YOUNGER 0", "OLDER -1", "OLDER", "YOUNGER 4294967296"):
    tm.ok(c.tagged(f"SEARCH {bad}").startswith(b"BAD"), f"refused: {bad}")

# ---- random mail against a model ---------------------------------------------------------------------
WORDS = ["alpha", "Beta", "gamma", "ALPHA", "beta gamma", "", "x" * 40, "x" * 40 + "y"]
PRE = ["", "Re: ", "RE: re: ", "[list] ", "[a] Fwd: ", "Re[2]: "]
NAMES = ["Zoe", "anna", "", "Bert B", "zoe"]
BOXES = ["anna", "Bert", "carl", "carl2", "ANNA"]


def fold(s):
    return s.upper()


mail = []
c.ok("CREATE Model")
for i in range(130):
    base, name, box, cc = rnd.choice(WORDS), rnd.choice(NAMES), rnd.choice(BOXES), rnd.choice(BOXES + [None] * 5)
    at, sent = 1600000000 + rnd.randrange(300), rnd.choice([None, 1500000000 + rnd.randrange(200)])
    h = f"Subject: {rnd.choice(PRE)}{base}\r\n" if base or rnd.random() < 0.5 else ""
    frm = f'"{name}" <{box}@x.example>' if name else f"{box}@x.example"
    h += f"From: {frm}\r\n"
    h += f"Cc: {cc}@x.example, other@x.example\r\n" if cc else ""
    h += f"Date: {email.utils.formatdate(sent)}\r\n" if sent is not None else ""
    if i % 13 == 5:  # more than a digest keeps: read from the file
        h = "".join(f"References: <{k}.{'r' * 60}@x.example>\r\n" for k in range(400)) + h
    body = "b" * rnd.randrange(100)
    text = h + "\r\n" + body + "\r\n"
    c.append("Model", text, f'"{stamp(at)}"')
    mail.append(dict(ARRIVAL=at, DATE=at if sent is None else sent, SIZE=len(text), SUBJECT=fold(base), FROM=fold(box),
                     DISPLAYFROM=fold(name or f"{box}@x.example"), CC=fold(cc or ""), TO="", DISPLAYTO=""))
KEYS = list(mail[0])


def model(keys):
    order = list(range(len(mail)))
    for reverse, key in reversed(keys):
        order.sort(key=lambda i: mail[i][key], reverse=reverse)  # equal ones stay in their order
    return [i + 1 for i in order]


def tries(n, what):
    wrong = []
    for _ in range(n):
        keys = [(rnd.random() < 0.4, k) for k in rnd.sample(KEYS, rnd.randint(1, 4))]
        program = " ".join(("REVERSE " if r else "") + k for r, k in keys)
        got = [int(x) for x in c.ok(f"SORT ({program}) UTF-8 ALL")[0].split()[2:]]
        if got != model(keys):
            wrong.append(f"({program}): {got[:20]} want {model(keys)[:20]}")
    if not tm.ok(not wrong, f"{n} random programs: {what}"):
        tm.diag(wrong[0])


c.ok("SELECT Model")
tries(120, "130 messages")
while len(mail) < 4300:  # more than are sorted on the loop
    c.ok("COPY 1:* Model")
    c.ok("NOOP")
    mail += mail
tries(12, f"{len(mail)} messages")
got = c.ok("SORT RETURN (COUNT MIN MAX) (DATE) UTF-8 ALL")[0]
tm.ok(got.endswith(b" MIN %d MAX %d COUNT %d" % (model([(False, "DATE")])[0], model([(False, "DATE")])[-1], len(mail))), "ESORT of many")

# Sessions that go in the middle; the others go on.
for i in range(10):
    d = Raw(sb, login=1)
    d.ok("SELECT Model")
    d.start("SORT (SUBJECT FROM CC REVERSE DATE) UTF-8 ALL")
    if i % 2:
        d.sock.recv(1)
    d.close()
tries(3, "after sessions that went in the middle")
e = Raw(sb, login=1, step=1)
e.ok("SELECT Model")
tm.is_([int(x) for x in e.ok("UID SORT (SIZE REVERSE FROM) UTF-8 1:100")[0].split()[2:]],
       [i for i in model([(False, "SIZE"), (True, "FROM")]) if i <= 100], "byte by byte")
tm.done()
