#!/usr/bin/env python3
"""THREAD (RFC 5256) by ORDEREDSUBJECT, REFERENCES and REFS: exact exchanges; header fields as they come
in real and in hostile mail, from digests and from files; more than the loop does itself.  The algorithms
themselves are tried in t/imap/thread.c."""
import email.utils, re, time
import tm
from imapraw import Raw

sb = tm.Sandbox("--users", "3", "--without", "lmtpd", "--without", "jobctl", "--without", "smtp-relay")
c = Raw(sb, login=1)
tm.ok(all(x in c.ok("CAPABILITY")[0].decode().split() for x in ("THREAD=ORDEREDSUBJECT", "THREAD=REFERENCES", "THREAD=REFS")), "offered")


def put(box, *fields, sent=None, at=1700000000):
    fields = tuple(f.replace("@x>", f"@{box}>") for f in fields)  # threads are of the account: each box has its own IDs
    date = () if sent is None else (f"Date: {email.utils.formatdate(1600000000 + sent)}",)
    stamp = time.strftime("%d-%b-%Y %H:%M:%S +0000", time.gmtime(at))
    c.append(box, "".join(f + "\r\n" for f in fields + date) + "\r\ntext\r\n", f'"{stamp}"')


def box(name):
    c.ok(f"CREATE {name}")
    return name


def thread(how, want, keys="UTF-8 ALL", uid=""):
    tm.is_(c.ok(f"{uid}THREAD {how} {keys}"), [("* THREAD " + want).encode().strip()], f"{uid}THREAD {how} {keys}")


# ---- what RFC 5256 shows: (2)(3 6 (4 23)(44 7 96)) ----------------------------------------------------
b = box("Rfc")
for n, (refs, sent) in enumerate([([], 1), ([], 2), ([2], 3), ([2, 3], 4), ([2, 3, 4], 5), ([2, 3], 6), ([2, 3, 6], 7), ([2, 3, 6, 7], 8)], 1):
    fields = [f"Message-ID: <{n}@x>", "Subject: " + ("Other" if n == 1 else "Talk" if n == 2 else "Re: Talk")]
    fields += ["References: " + "\r\n\t".join(f"<{r}@x>" for r in refs)] if refs else []
    put(b, *fields, sent=sent)
c.ok(f"SELECT {b}")
thread("REFERENCES", "(1)(2 3 (4 5)(6 7 8))")
thread("ORDEREDSUBJECT", "(1)(2 (3)(4)(5)(6)(7)(8))")
thread("REFS", "(1)(2 3 (4 5)(6 7 8))")
thread("references", "(2 3 (4)(6))", "US-ASCII 2:4,6")
thread("REFERENCES", "", "UTF-8 SUBJECT nobody")
thread("REFERENCES", "(1)", "UTF-8 SUBJECT other")
c.ok("STORE 2 +FLAGS.SILENT (\\Deleted)")
c.ok("EXPUNGE")
thread("REFERENCES", "(1)(2 (3 4)(5 6 7))")
thread("REFERENCES", "(1)(3 (4 5)(6 7 8))", uid="UID ")
thread("REFERENCES", "((3)(5 6 7))", "UTF-8 UID 4,6:8")
for bad in ("THREAD", "THREAD JWZ UTF-8 ALL", "THREAD REFERENCES UTF-8", "THREAD REFERENCES UTF-8 NONSENSE", "THREAD (REFERENCES) UTF-8 ALL"):
    tm.ok(c.tagged(bad).startswith(b"BAD"), f"refused: {bad}")
tm.ok(c.tagged("THREAD REFS KLINGON ALL").startswith(b"NO [BADCHARSET (US-ASCII UTF-8"), "an unknown charset is told apart")

# ---- fields ------------------------------------------------------------------------------------------
b = box("Fields")
put(b, "Message-ID: <A@x>", "Subject: one", sent=1)
put(b, "Message-ID: <a@x>", "Subject: two", sent=2)  # case counts
put(b, "Message-ID: <b@x>", "Subject: three", 'References: <"A"@x>', sent=3)  # quotes do not
put(b, "Message-ID: <c@x>", "Subject: four", "References: nothing here", "In-Reply-To: Your mail of <Monday>, <a@x> <A@x>", sent=4)
put(b, "Message-ID: <d@x>", "Subject: five", "In-Reply-To: <b@x>", "References: <A@x>\r\n <b@x>\r\n <gone@x>\r\n\t<c@x>", sent=5)
put(b, "Subject: six", "References: <none@x>", sent=6)
put(b, "Message-ID: none", "Subject: seven", "References: <none@x>", sent=0)
put(b, "Message-ID: <A@x>", "Subject: eight", "In-Reply-To: <c@x>", sent=8)  # an ID that is there already
put(b, "Message-ID: <e@x>", "Subject: =?utf-8?q?RE=3A_=C3=84pfel?=", sent=9)
put(b, "Message-ID: <f@x>", "Subject: =?iso-8859-1?q?=E4PFEL?=", sent=10)
c.ok(f"SELECT {b}")
thread("REFERENCES", "((7)(6))(1 3)(2 4 (5)(8))(10 9)")
thread("ORDEREDSUBJECT", "(7)(1)(2)(3)(4)(5)(6)(8)(9 10)")
thread("REFS", "(1)(2)(3)(4)(5)(6)(7)(8)(9)(10)")  # each has a subject of its own

# Threads by the latest arrival, members by the date they were sent on.
b = box("Arrival")
put(b, "Message-ID: <1@x>", sent=5, at=1700000100)
put(b, "Message-ID: <2@x>", sent=1, at=1700000200)
put(b, "Message-ID: <3@x>", "References: <1@x>", sent=9, at=1700000300)
put(b, "Message-ID: <4@x>", "References: <1@x>", sent=7, at=1700000050)
c.ok(f"SELECT {b}")
thread("REFS", "(2)(1 (4)(3))")
thread("REFERENCES", "(2)(1 (4)(3))")
c.ok("STORE 3 +FLAGS.SILENT (\\Deleted)")
thread("REFS", "(1 4)(2)", "UTF-8 UNDELETED")

# Without a date, or with one that cannot be read, INTERNALDATE counts (2.2).
b = box("Dates")
put(b, "Subject: a", sent=100000001)  # the 1,700,000,001st second
put(b, "Subject: b", "Date: nonsense", at=1700000002)
put(b, "Subject: c", at=1700000000)
c.ok(f"SELECT {b}")
thread("REFERENCES", "(3)(1)(2)")
thread("ORDEREDSUBJECT", "(3)(1)(2)")

# ---- hostile: more than a digest keeps; cycles; one ID for all -----------------------------------------
b = box("Hostile")
far = "\r\n ".join(f"<{i}.{'x' * 20}@far.example>" for i in range(10000))
put(b, "Message-ID: <1@x>", "Subject: a", f"References: {far}", sent=1)
put(b, "Message-ID: <2@x>", "Subject: b", "References: <1@x>\r\n " + far, sent=2)
put(b, "Message-ID: <3@x>", "Subject: c", "References: <9999." + "x" * 20 + "@far.example>", sent=3)
put(b, "Message-ID: <4@x>", "Subject: d", "References: <5@x>", sent=4)
put(b, "Message-ID: <5@x>", "Subject: e", "References: <6@x>", sent=5)
put(b, "Message-ID: <6@x>", "Subject: f", "References: <4@x>", sent=6)
put(b, "Message-ID: <1@x>", "Subject: g", "References: <1@x>", sent=7)
c.ok(f"SELECT {b}")
thread("REFS", "(1)(2)(3)(4)(5)(6)(7)")
thread("REFERENCES", "((1 7)(2)(3))(6 5 4)")

# ---- REFS: what the account has in one thread ---------------------------------------------------------
b = box("Talk")
put(b, "Message-ID: <1@x>", "Subject: talk", sent=1)
put(b, "Message-ID: <2@x>", "Subject: Re: talk", 'References: <"1"@x>', sent=2)
put(b, "Message-ID: <4@x>", "Subject: Re: talk", "References: nothing here", "In-Reply-To: Your mail of <Monday>, <2@x> <1@x>", sent=4)
put(b, "Message-ID: <5@x>", "Subject: Re: other", "References: <1@x> <2@x> <4@x>", sent=5)
put(b, "Message-ID: <6@x>", "Subject: RE: other", "References: <1@x> <2@x> <4@x> <5@x>", sent=6)
put(b, "Subject: Re: gone", "References: <none@x>", sent=7)
put(b, "Subject: Re: gone", "In-Reply-To: <none@x>", sent=3)
put(b, "Message-ID: <1@x>", "Subject: talk", sent=8)  # an ID that is there already
c.ok("CREATE Elsewhere")
put("Elsewhere", "Message-ID: <9@x>", "Subject: talk", "References: <2@Talk>", sent=9)
put(b, "Message-ID: <10@x>", "Subject: talk", "References: <9@Elsewhere>", sent=10)
put(b, "Message-ID: <11@x>", "Subject: talk", sent=11)
c.ok(f"SELECT {b}")
thread("REFS", "(1 (2 3)(8)(9))(4 5)((7)(6))(10)")

# ---- many ----------------------------------------------------------------------------------------------
b = box("Many")
for i in range(100):
    put(b, f"Message-ID: <{i}@x>", f"Subject: s{i % 10}", *([f"References: <{i - 10}@x>"] if i >= 10 else []), sent=i)
c.ok(f"SELECT {b}")
few = c.ok("THREAD REFERENCES UTF-8 ALL")[0]
tm.is_(few, b"* THREAD " + b"".join(b"(%s)" % b" ".join(b"%d" % n for n in range(k, 101, 10)) for k in range(1, 11)), "chains of ten")
for _ in range(6):
    c.ok("COPY 1:* Many")
    c.ok("NOOP")
for how in ("ORDEREDSUBJECT", "REFERENCES", "REFS"):
    many = c.ok(f"THREAD {how} UTF-8 ALL")[0]
    numbers = [int(x) for x in re.findall(rb"\d+", many)]
    tm.is_(sorted(numbers), list(range(1, 6401)), f"{how} of 6,400: each once")
    tm.ok(many.count(b"(") == many.count(b")"), "balanced")
    tm.ok(re.fullmatch(rb"\* THREAD \(.*\)", many) and not re.search(rb"\(\d+ \(\d+\)\)|\(\)|  |\) ", many), "written as it must be")
tm.is_(c.ok("THREAD REFERENCES UTF-8 1:100")[0], few, "of the first hundred: as before")
for i in range(6):
    d = Raw(sb, login=1)
    d.ok("SELECT Many")
    d.start("THREAD REFERENCES UTF-8 ALL")
    if i % 2:
        d.sock.recv(1)
    d.close()
e = Raw(sb, login=1, step=1)
e.ok("SELECT Many")
tm.is_(e.ok("UID THREAD REFERENCES UTF-8 1:100")[0], few, "byte by byte, after sessions that went in the middle")
tm.done()
