#!/usr/bin/env python3
"""SEARCHRES (RFC 5182): "$" in every command that takes a set; and PARTIAL (RFC 9394): pages of SEARCH,
SORT and FETCH."""
import re
import tm
from imapraw import Raw

sb = tm.Sandbox("--users", "2", "--without", "lmtpd", "--without", "jobctl", "--without", "smtp-relay")
c, d = Raw(sb, login=1), Raw(sb, login=1)
tm.ok(all(x in c.ok("CAPABILITY")[0].decode().split() for x in ("SEARCHRES", "PARTIAL")), "offered")
N = 20
for i in range(1, N + 1):
    c.append("INBOX", f"Subject: {'odd' if i % 2 else 'even'} {100 - i}\r\n\r\ntext\r\n")
for x in (c, d):
    x.ok("SELECT INBOX")


def said(command, *want):
    c.start(command)
    lines, tagged = c.finish()
    tm.is_(lines, [(w.replace("TAG", f'(TAG "{c.tag.decode()}")')).encode() for w in want], command)
    if not tagged.startswith(b"OK"):
        tm.diag(tagged.decode())


def numbers(command, want):
    got = [int(re.match(rb"\* (\d+) FETCH", l).group(1)) for l in c.ok(command) if b" FETCH " in l]
    tm.is_(got, want, command)


# ---- SEARCHRES ---------------------------------------------------------------------------------------
numbers("FETCH $ (UID)", [])  # RFC 5182 2.1: empty when a mailbox is selected
said("SEARCH RETURN (SAVE) SUBJECT even")
evens = list(range(2, N + 1, 2))
numbers("FETCH $ (UID)", evens)
numbers("UID FETCH $ (FLAGS)", evens)
said("SEARCH $", "* SEARCH " + " ".join(map(str, evens)))
said("UID SEARCH UID $", "* SEARCH " + " ".join(map(str, evens)))
said("SEARCH NOT $ 1:5", "* SEARCH 1 3 5")
said("SEARCH OR $ 1:5 1:6", "* SEARCH 1 2 3 4 5 6")
said("SEARCH RETURN (SAVE COUNT) 1:10 $", "* ESEARCH TAG COUNT 5")  # the old one is asked, the new one kept
numbers("FETCH $ (UID)", [2, 4, 6, 8, 10])
said("UID SEARCH RETURN (SAVE MIN MAX) SUBJECT odd", "* ESEARCH TAG UID MIN 1 MAX 19")  # table 1
numbers("FETCH $ (UID)", [1, 19])
said("SEARCH RETURN (SAVE MIN) SUBJECT odd", "* ESEARCH TAG MIN 1")
numbers("FETCH $ (UID)", [1])
said("SEARCH RETURN (SAVE MIN COUNT) SUBJECT odd", "* ESEARCH TAG MIN 1 COUNT 10")
numbers("FETCH $ (UID)", list(range(1, N + 1, 2)))
said("SORT RETURN (SAVE) (REVERSE SUBJECT) UTF-8 2:5")
numbers("FETCH $ (UID)", [2, 3, 4, 5])
said("SORT RETURN (SAVE MAX) (SUBJECT) UTF-8 2:5", "* ESEARCH TAG MAX 3")
numbers("FETCH $ (UID)", [3])
said("SORT (ARRIVAL) UTF-8 $", "* SORT 3")
said("THREAD REFERENCES UTF-8 $", "* THREAD (3)")
for bad in ("SEARCH RETURN (SAVE) NONSENSE", "FETCH $,1 (UID)", "FETCH 1,$ (UID)", "FETCH $:5 (UID)", "FETCH $$ (UID)", "SEARCH RETURN (SAVED) ALL"):
    tm.ok(c.tagged(bad).startswith(b"BAD"), f"refused: {bad}")
numbers("FETCH $ (UID)", [3])  # BAD changes nothing
tm.ok(c.tagged("SEARCH RETURN (SAVE) CHARSET KLINGON ALL").startswith(b"NO [BADCHARSET"), "NO")
numbers("FETCH $ (UID)", [])  # "the server MUST set the search result variable to the empty sequence"
said("SEARCH RETURN (SAVE) SUBJECT nobody")
numbers("FETCH $ (UID)", [])
tm.ok(c.tagged("STORE $ +FLAGS (\\Seen)").startswith(b"OK") and c.tagged("COPY $ INBOX").startswith(b"OK"), "nothing to change is OK")
tm.ok(c.tagged("UID EXPUNGE $").startswith(b"OK") and c.ok("SEARCH ALL")[0].endswith(b" 20"), "nothing to expunge expunges nothing")

# Changes: what is expunged leaves it, and numbers move.
said("SEARCH RETURN (SAVE) 5,10:12,20")
c.ok("STORE $ +FLAGS.SILENT (\\Flagged)")
said("SEARCH FLAGGED", "* SEARCH 5 10 11 12 20")
c.ok("STORE 1,11 +FLAGS.SILENT (\\Deleted)")
d.ok("EXPUNGE")
c.ok("NOOP")
said("SEARCH $", "* SEARCH 4 9 10 18")
numbers("FETCH $ (UID)", [4, 9, 10, 18])
c.ok("CREATE Other")
tm.ok(b"COPYUID" in c.tagged("UID COPY $ Other"), "UID COPY $")
c.ok("STORE 4 +FLAGS.SILENT (\\Deleted)")
c.ok("UID EXPUNGE $")
numbers("UID FETCH $ (FLAGS)", [8, 9, 17])
tm.ok(c.tagged("MOVE $ Other").startswith(b"OK"), "MOVE $")
numbers("FETCH $ (UID)", [])
c.ok("SELECT Other")
numbers("FETCH $ (UID)", [])
said("SEARCH RETURN (SAVE) ALL")
numbers("FETCH $ (UID)", list(range(1, 8)))
c.ok("EXAMINE Other")
numbers("FETCH $ (UID)", [])

# ---- PARTIAL -----------------------------------------------------------------------------------------
c.ok("CREATE Pages")
for i in range(1, N + 1):
    c.append("Pages", f"Subject: {'odd' if i % 2 else 'even'} {100 - i}\r\n\r\ntext\r\n")
c.ok("SELECT Pages")
said("SEARCH RETURN (PARTIAL 1:5) ALL", "* ESEARCH TAG PARTIAL (1:5 1:5)")
said("SEARCH RETURN (PARTIAL 3:5) SUBJECT even", "* ESEARCH TAG PARTIAL (3:5 6,8,10)")
said("SEARCH RETURN (PARTIAL 5:3) SUBJECT even", "* ESEARCH TAG PARTIAL (5:3 6,8,10)")
said("UID SEARCH RETURN (PARTIAL -1:-3) SUBJECT even", "* ESEARCH TAG UID PARTIAL (-1:-3 16,18,20)")
said("UID SEARCH RETURN (PARTIAL -3:-2) 5:10,12", "* ESEARCH TAG UID PARTIAL (-3:-2 9:10)")
said("SEARCH RETURN (PARTIAL 9:50) SUBJECT even", "* ESEARCH TAG PARTIAL (9:50 18,20)")
said("SEARCH RETURN (PARTIAL 11:50) SUBJECT even", "* ESEARCH TAG PARTIAL (11:50 NIL)")
said("SEARCH RETURN (PARTIAL -11:-50) SUBJECT even", "* ESEARCH TAG PARTIAL (-11:-50 NIL)")
said("SEARCH RETURN (PARTIAL -9:-4294967295) SUBJECT even", "* ESEARCH TAG PARTIAL (-9:-4294967295 2,4)")
said("SEARCH RETURN (PARTIAL 1:1 COUNT MIN MAX) SUBJECT even", "* ESEARCH TAG MIN 2 MAX 20 PARTIAL (1:1 2) COUNT 10")
said("SEARCH RETURN (PARTIAL 1:1) SUBJECT nobody", "* ESEARCH TAG PARTIAL (1:1 NIL)")
said("SORT RETURN (PARTIAL 1:4) (SUBJECT) UTF-8 ALL", "* ESEARCH TAG PARTIAL (1:4 20,18,16,14)")
said("UID SORT RETURN (PARTIAL -1:-4 COUNT) (SUBJECT) UTF-8 ALL", "* ESEARCH TAG UID PARTIAL (-1:-4 7,5,3,1) COUNT 20")
said("SORT RETURN (PARTIAL 21:22) (SUBJECT) UTF-8 ALL", "* ESEARCH TAG PARTIAL (21:22 NIL)")
said("SORT RETURN (PARTIAL 2:7) (ARRIVAL) UTF-8 ALL", "* ESEARCH TAG PARTIAL (2:7 2:7)")
# with SAVE, RFC 9394 3.2, table 1
for ret, want in (("PARTIAL 1:2", [2, 4]), ("PARTIAL 1:2 MAX", [2, 4, 20]), ("PARTIAL 3:4 MIN", [2, 6, 8]), ("PARTIAL 1:2 COUNT", evens), ("PARTIAL 50:60", [])):
    c.ok(f"SEARCH RETURN (SAVE {ret}) SUBJECT even")
    numbers("FETCH $ (UID)", want)
c.ok("SORT RETURN (SAVE PARTIAL 2:3 MIN) (SUBJECT) UTF-8 ALL")
numbers("FETCH $ (UID)", [16, 18, 20])
for bad in ("PARTIAL", "PARTIAL 0:1", "PARTIAL 1:0", "PARTIAL 1:*", "PARTIAL -1:5", "PARTIAL 1:-5", "PARTIAL 5", "PARTIAL 1:4294967296", "PARTIAL 1:2 ALL",
            "ALL PARTIAL 1:2", "PARTIAL 1:2 PARTIAL 3:4", 'PARTIAL "1:2"'):
    tm.ok(c.tagged(f"SEARCH RETURN ({bad}) ALL").startswith(b"BAD"), f"refused: {bad}")

# FETCH (RFC 9394 3.3): of the messages of the set that are there
c.ok("STORE 3:5 +FLAGS.SILENT (\\Deleted)")
c.ok("EXPUNGE")


def uids(command, want):
    tm.is_([int(re.search(rb"UID (\d+)", l).group(1)) for l in c.ok(command) if b" FETCH " in l], want, command)


uids("UID FETCH 1:* (FLAGS) (PARTIAL 1:4)", [1, 2, 6, 7])
uids("UID FETCH 1:* (FLAGS) (PARTIAL -1:-3)", [18, 19, 20])
uids("UID FETCH 3:9,15:* (FLAGS) (PARTIAL 4:6)", [9, 15, 16])
uids("UID FETCH 3:9,15:* (FLAGS) (PARTIAL 11:12)", [])
uids("UID FETCH 3:4 (FLAGS) (PARTIAL 1:5)", [])
uids("FETCH 2:* (UID) (PARTIAL 2:3)", [6, 7])
high = int(re.search(rb"HIGHESTMODSEQ (\d+)", c.ok("STATUS Pages (HIGHESTMODSEQ)")[0]).group(1))
c.ok("UID STORE 2,18 +FLAGS.SILENT (\\Seen)")
uids(f"UID FETCH 1:* (FLAGS) (PARTIAL -1:-3 CHANGEDSINCE {high})", [18])
uids(f"UID FETCH 1:* (FLAGS) (CHANGEDSINCE {high} PARTIAL 1:3)", [2])
for bad in ("PARTIAL", "PARTIAL 0:1", "PARTIAL 1:2 PARTIAL 3:4", "PARTIAL 1:*"):
    tm.ok(c.tagged(f"UID FETCH 1:* (FLAGS) ({bad})").startswith(b"BAD"), f"refused: ({bad})")
tm.done()
