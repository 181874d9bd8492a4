#!/usr/bin/env python3
"""Others' folders in another partition: found, read, filled and watched; copies stay within one."""
import tm
from imapraw import Raw

sb = tm.Sandbox("--users", "3", "--without", "lmtpd", "--without", "jobctl", "--without", "smtp-relay", "--set", "imapd.workers=1")
MSG = "Subject: apart\r\n\r\nhello\r\n"
Raw(sb, login=1).close()
with open(sb.conf("stored.conf")) as f:
    text = f.read()
with open(sb.conf("stored.conf"), "w") as f:
    f.write("default_partition = second\n[partition primary]\n" + text)
for d in ("stored", "imapd"):
    tm.ok(sb.restart(d), f"{d} with a second partition")
b = Raw(sb, login=2)  # an account of the second; the first one is open when somebody asks for it
a = Raw(sb, login=1)
listing = sb.tool("storectl", "list").stdout
tm.ok(" primary " in listing and " second " in listing, "two accounts in two partitions") or tm.diag(listing)
a.append("INBOX", MSG)
a.ok(f"SETACL INBOX {sb.user(2)} lrswite")
a.ok(f"SETACL Archive {sb.user(2)} lri")
W = f"Shared Folders/User/{sb.user(1)}/INBOX"
A = f"Shared Folders/User/{sb.user(1)}/Archive"
tm.is_([l for l in b.ok('LIST "" "Shared Folders/*" RETURN (STATUS (MESSAGES))') if l.startswith(b"* STATUS")],
       [f'* STATUS "{A}" (MESSAGES 0)'.encode(), f'* STATUS "{W}" (MESSAGES 1)'.encode()], "LIST finds them")
b.ok(f'SELECT "{W}"')
tm.ok(any(b"hello" in l for l in b.ok("FETCH 1 BODY[TEXT]")), "FETCH")
tm.is_(b.ok("SORT (SUBJECT) UTF-8 TEXT hello"), [b"* SORT 1"], "SORT and SEARCH")
b.ok("STORE 1 +FLAGS (\\Flagged tag)")
tm.ok(b.append(f'"{W}"', MSG)[1].startswith(b"OK [APPENDUID"), "APPEND")
tm.is_(len(b.ok("FETCH 1:* UID")), 2, "which is seen")
tm.ok(b.tagged(f'COPY 1 "{A}"').startswith(b"OK [COPYUID"), "COPY within it")
tm.ok(b.tagged("COPY 1 INBOX").startswith(b"NO [CANNOT]"), "and not beyond")
tm.ok(any(l.startswith(b"* LIST") and b"INBOX" in l for l in b.ok('LIST "" INBOX')), "one's own are still one's own")
tm.ok(b.tagged("CREATE mine").startswith(b"OK [MAILBOXID"), "CREATE too")
tm.ok(b.append("mine", MSG)[1].startswith(b"OK"), "and APPEND")
tm.is_(b.ok("STATUS mine (MESSAGES)"), [b"* STATUS mine (MESSAGES 1)"], "and STATUS")
b.ok(f'SELECT "{W}"')
b.start("IDLE")
b.response()
a.append("INBOX", MSG)
tm.is_(b.response(), b"* 3 EXISTS", "IDLE hears of it")
b.send("DONE\r\n")
b.finish()
b.ok("STORE 1 +FLAGS.SILENT \\Deleted")
tm.is_([l for l in b.ok("EXPUNGE") if b"EXPUNGE" in l], [b"* 1 EXPUNGE"], "EXPUNGE")
b.ok("SELECT mine")
tm.is_(len(b.ok("FETCH 1:* UID")), 1, "and back to one's own")
tm.done()
