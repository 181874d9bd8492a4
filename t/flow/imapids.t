#!/usr/bin/env python3
"""imapd: what is offered, and what golden transcripts cannot say: that ids, dates and numbers agree with
each other (OBJECTID, SAVEDATE, QUOTA, UNAUTHENTICATE), and what a hostile client makes of them."""
import os, re, time
import tm
from imapraw import Raw

PER_USER = 3
sb = tm.Sandbox("--users", "6", "--without", "lmtpd", "--without", "jobctl", "--without", "smtp-relay",
                "--set", "imapd.workers=1", "--set", "imapd.auth.delay=50ms", "--set", f"imapd.limit.per_user={PER_USER}",
                "--set", "tiermail.quota.bytes=20K", "--set", "tiermail.quota.messages=7")
ok, is_ = tm.ok, tm.is_
OFFERED = "OBJECTID SAVEDATE CREATE-SPECIAL-USE QUOTA QUOTA=RES-STORAGE QUOTA=RES-MESSAGE MULTIAPPEND UNAUTHENTICATE"




def found(lines, pattern):
    """The groups of the first line that matches, as text."""
    for line in lines if isinstance(lines, list) else [lines]:
        m = re.search(pattern, line, re.S)
        if m:
            return tuple(g.decode() for g in m.groups())
    tm.diag(f"{pattern!r} is not in {lines!r}")
    return (None,) * re.compile(pattern).groups


def mail(text):
    return f"Subject: {text}\r\n\r\n{text}\r\n".encode()


c = Raw(sb, login=1)
words = found(c.ok("CAPABILITY"), rb"^\* CAPABILITY (.*)$")[0].split()
is_([w for w in OFFERED.split() if words.count(w) != 1], [], "all of it is offered, each once")

# ---- OBJECTID --------------------------------------------------------------------------------------------
made = found(c.tagged("CREATE One"), rb"^OK \[MAILBOXID \((F[0-9a-f]{16})\)\]")
status = lambda name: found(c.ok(f"STATUS {name} (MAILBOXID)"), rb"MAILBOXID \((\S+)\)\)")
selected = lambda name: found(c.ok(f"SELECT {name}"), rb"^\* OK \[MAILBOXID \((\S+)\)\]")
is_(status("One"), made, "STATUS tells the MAILBOXID that CREATE told")
is_(selected("One"), made, "so does SELECT")
c.ok("RENAME One Other")
is_(status("Other"), made, "RENAME keeps it")
c.ok("DELETE Other")
again = found(c.tagged("CREATE Other"), rb"MAILBOXID \((\S+)\)")
ok(again[0] and again != made, "a mailbox that is made anew has a new one")
ok(len({status(n) for n in ("INBOX", "Other", "Sent", "Trash")}) == 4, "and each its own")
for text in ("a", "b"):
    c.append("INBOX", mail(text))
c.ok("SELECT INBOX")
ids = lambda n: found(c.ok(f"FETCH {n} (EMAILID THREADID)"), rb"EMAILID \((M[0-9a-f]{16})\) THREADID \((T[0-9a-f]{16})\)")
first, second = ids(1), ids(2)
ok(first[0] and second[0] and first[0] != second[0], "messages have an EMAILID each")
c.ok("COPY 1 Other")
is_(found(c.ok(f"SEARCH EMAILID {first[0]}"), rb"^\* SEARCH(.*)$"), (" 1",), "SEARCH EMAILID")
is_(found(c.ok(f"SEARCH THREADID {second[1]}"), rb"^\* SEARCH(.*)$"), (" 2",), "SEARCH THREADID")
is_(found(c.ok(f"SEARCH OR EMAILID {first[0]} THREADID {second[1]}"), rb"^\* SEARCH(.*)$"), (" 1 2",), "both")
is_(found(c.ok(f"SEARCH EMAILID T{first[0][1:]}"), rb"^\* SEARCH(.*)$"), ("",), "the letter counts")
c.ok("MOVE 2 Other")
c.ok("SELECT Other")
is_((ids(1), ids(2)), (first, second), "COPY and MOVE keep EMAILID and THREADID")
keys = " ".join([f"EMAILID {first[0]}"] * 1900)
is_(found(c.ok(f"SEARCH {keys}"), rb"^\* SEARCH(.*)$"), (" 1",), "1,900 of them in one SEARCH")
ok(c.tagged(f"SEARCH {keys} {keys}").startswith(b"BAD"), "but not any number")

# ---- SAVEDATE ----------------------------------------------------------------------------------------------
day = lambda at: time.strftime("%d-%b-%Y", time.gmtime(at))
began = time.time()
c.append("Other", mail("old"), '"01-Jan-2001 00:00:00 +0000"')
saved = lambda n: found(c.ok(f"FETCH {n} (SAVEDATE)"), rb'SAVEDATE "([ 0-9]\d-\w{3}-\d{4} \d\d:\d\d:\d\d \+0000)"')[0]
at = saved(1) and time.mktime(time.strptime(saved(1), "%d-%b-%Y %H:%M:%S +0000")) - time.timezone
ok(at and abs(at - began) < 600, "SAVEDATE is when it came")
today = f"OR SAVEDON {day(at)} SAVEDON {day(at + 86400)}"
is_(found(c.ok(f"SEARCH 1:2 {today}"), rb"^\* SEARCH(.*)$"), (" 1 2",), "SAVEDON")
is_(found(c.ok("SEARCH BEFORE 1-Jan-2002"), rb"^\* SEARCH(.*)$"), (" 3",), "which is not INTERNALDATE")
is_(found(c.ok(f"SEARCH 1:2 SAVEDBEFORE {day(at)}"), rb"^\* SEARCH(.*)$"), ("",), "SAVEDBEFORE has not the day itself")
is_(found(c.ok(f"SEARCH 1:2 SAVEDSINCE {day(at)}"), rb"^\* SEARCH(.*)$"), (" 1 2",), "SAVEDSINCE has")
c.close()

# ---- QUOTA --------------------------------------------------------------------------------------------------
c = Raw(sb, login=2)
root = f"user/{sb.user(2)}@{sb.domain}"
quota = lambda: found(c.ok("GETQUOTAROOT INBOX"), rb"^\* QUOTA \S+ \(STORAGE (\d+) (\d+) MESSAGE (\d+) (\d+)\)$")
is_(quota(), ("0", "20", "0", "7"), "nothing is used")
for n in (1, 2, 3):
    c.append("INBOX", mail("x" * 1000))
size = int(found(c.ok("STATUS INBOX (SIZE)"), rb"SIZE (\d+)")[0])
is_(quota(), (str((size + 1023) // 1024), "20", "3", "7"), "STORAGE is the sum of the sizes in begun KiB")
is_(found(c.ok(f"GETQUOTA {root}"), rb"^\* QUOTA (\S+) "), (root,), "GETQUOTA names the root")
c.ok("SELECT INBOX")
c.ok("STORE 1:2 +FLAGS.SILENT (\\Deleted)")
is_(found(c.ok("STATUS INBOX (DELETED DELETED-STORAGE)"), rb"DELETED (\d+) DELETED-STORAGE (\d+)\)"), ("2", str(size // 3 * 2)), "what EXPUNGE would give back")
ok(c.tagged("COPY 1:3 Trash").startswith(b"OK"), "a copy counts too")
ok(c.tagged("COPY 1:3 Trash").startswith(b"NO [OVERQUOTA]"), "and one more message than there may be is refused")
is_(quota()[2], "6", "whole")
c.ok("EXPUNGE")
is_(quota()[2], "4", "EXPUNGE gives back")
ok(c.append("INBOX", mail("y" * 20000))[1].startswith(b"NO [OVERQUOTA]"), "bytes are refused too")
ok(c.tagged(f"GETQUOTA user/{sb.user(1)}@{sb.domain}").startswith(b"NO [NONEXISTENT]"), "another's root is not there")
many = " ".join(["STORAGE 1"] * 1024)
ok(c.tagged(f"SETQUOTA {root} ({many})").startswith(b"NO [NOPERM]"), "SETQUOTA of many is refused as one is")
ok(c.tagged(f"CREATE Odd (USE ({' '.join([chr(92) + 'Junk'] * 1024)}))").startswith(b"NO [USEATTR]"), "so are 1,024 uses")
is_(quota()[1::2], ("20", "7"), "and nothing has changed")
c.close()

# ---- UNAUTHENTICATE ------------------------------------------------------------------------------------------
cs = [Raw(sb, login=3) for _ in range(PER_USER)]
late = Raw(sb)
login = f"LOGIN {sb.user(3)} {sb.password}"
ok(late.tagged(login).startswith(b"NO [LIMIT]"), "a user has all his sessions")
cs[0].ok("ENABLE CONDSTORE")
cs[0].ok("SELECT INBOX")
ok(cs[0].tagged("UNAUTHENTICATE").startswith(b"OK"), "UNAUTHENTICATE")
ok(late.tagged(login).startswith(b"OK"), "gives the place of the user back")
ok(cs[0].tagged(login).startswith(b"NO [LIMIT]"), "which another has now")
for n in range(30):
    if not (cs[0].tagged(f"LOGIN {sb.user(4 + n % 2)} {sb.password}").startswith(b"OK") and cs[0].tagged("SELECT INBOX").startswith(b"OK") and
            cs[0].tagged("UNAUTHENTICATE").startswith(b"OK")):
        break
is_(n, 29, "30 users one after the other over one connection")
cs[0].ok(f"LOGIN {sb.user(4)} {sb.password}")
cs[0].append("INBOX", mail("z"))
cs[0].ok("SELECT INBOX")
ok(not any(b"MODSEQ" in x for x in cs[0].ok("FETCH 1 FLAGS")), "what ENABLE switched on is off")
def told():
    with open(os.path.join(sb.env["RUNDIR"], "imapd.log"), errors="replace") as f:
        return re.search(rf"ev=unauthenticate sid=\S+ user={sb.user(3)}@{sb.domain}", f.read())
ok(tm.wait_for(told), "and it is in the log")
tm.done()
