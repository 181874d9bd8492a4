#!/usr/bin/env python3
"""imapd, command by command, and the traps that others fell into."""
import base64, os, re, sys
import tm
from imapraw import Raw

sb = tm.Sandbox("--users", "20", "--without", "lmtpd", "--without", "jobctl", "--without", "smtp-relay",
                "--set", "imapd.auth.delay=50ms")
ok, is_ = tm.ok, tm.is_


def find(lines, pattern):
    """The first group (or the whole) of the first line that matches, else None."""
    for l in lines:
        m = re.search(pattern, l, re.S)
        if m:
            return m.group(1) if m.groups() else m.group(0)
    return None


def like(got, pattern, what):
    lines = got if isinstance(got, list) else [got]
    if not ok(find(lines, pattern) is not None, what):
        tm.diag(f"got: {got!r}\nwant: {pattern!r}")


def unlike(got, pattern, what):
    if not ok(find(got, pattern) is None, what):
        tm.diag(f"got: {got!r}\nmust not: {pattern!r}")


def mail(subject, body="body\r\n", extra=""):
    return (f"From: Ann Other <ann@example.org>\r\nTo: you@example.net\r\nSubject: {subject}\r\n"
            f"Date: Tue, 3 Feb 2026 10:00:00 +0100\r\nMessage-ID: <{subject.replace(' ', '.')}@x>\r\n{extra}\r\n{body}")


# ---- before login -------------------------------------------------------------------------------
c = Raw(sb)
like(c.greeting, rb"^\* OK \[CAPABILITY IMAP4rev1 .*STARTTLS.*AUTH=PLAIN", "greeting with capabilities")
c.send("\r\n\r\n")
like(c.ok("CAPABILITY"), rb"^\* CAPABILITY IMAP4rev1", "empty lines between commands are ignored; CAPABILITY")
like(c.tagged("SELECT INBOX"), rb"^BAD", "SELECT before login")
like(c.tagged("NONSENSE"), rb"^BAD", "an unknown command")
like(c.tagged("NOOP now"), rb"^BAD", "NOOP has no arguments")
like(c.ok('ID ("name" "test" "version" NIL)'), rb'^\* ID \("name" "tiermail"', "ID")
like(c.ok("ID NIL"), rb"^\* ID", "ID NIL")
like(c.tagged("LOGIN user0001 wrong"), rb"^NO \[AUTHENTICATIONFAILED\]", "a wrong password")
like(c.tagged("LOGIN nobody wrong"), rb"^NO \[AUTHENTICATIONFAILED\]", "an unknown user, alike")
like(c.tagged("AUTHENTICATE BOGUS"), rb"^NO", "an unknown mechanism")
like(c.tagged("AUTHENTICATE PLAIN !!!"), rb"^BAD", "no base64")
plain = base64.b64encode(f"\0{sb.user(1)}\0{sb.password}".encode()).decode()
c.start("AUTHENTICATE PLAIN")
like(c.response(), rb"^\+ ", "AUTHENTICATE asks")
c.send("*\r\n")
like(c.finish()[1], rb"^BAD", "AUTHENTICATE can be cancelled")
c.start("AUTHENTICATE LOGIN")
c.response()
c.send(base64.b64encode(sb.user(1).encode()) + b"\r\n")
like(c.response(), rb"^\+ ", "LOGIN mechanism asks for the password")
c.send(base64.b64encode(sb.password.encode()) + b"\r\n")
like(c.finish()[1], rb"^OK \[CAPABILITY .*CONDSTORE", "AUTHENTICATE LOGIN; capabilities after login")
like(c.tagged("LOGIN user0001 x"), rb"^BAD", "no second login")
is_(c.ok("LOGOUT"), [b"* BYE Logging out"], "LOGOUT")
c.close()

c = Raw(sb)
like(c.tagged("AUTHENTICATE PLAIN " + plain), rb"^OK", "SASL-IR")
c.close()
c = Raw(sb)
like(c.tagged(f"LOGIN {sb.user(1)}@{sb.domain} {sb.password}"), rb"^OK", "login with the domain")
c.close()
c = Raw(sb)
c.send(b"x LOGIN {%d}\r\n" % len(sb.user(1)))
like(c.response(), rb"^\+ ", "a literal is asked for")
c.send(sb.user(1).encode() + b" {%d+}\r\n" % len(sb.password) + sb.password.encode() + b"\r\n")
like(c.finish(b"x")[1], rb"^OK", "login with both kinds of literals")
c.close()
c = Raw(sb)
like(c.tagged(f"LOGIN disabled {sb.password}"), rb"^NO \[(CONTACTADMIN|EXPIRED)\]", "a disabled user")
c.close()
c = Raw(sb)
for i in range(3):
    lines, tagged = c.cmd("LOGIN user0001 bad")
like(lines, rb"^\* BYE", "three wrong passwords are enough")
c.close()
c = Raw(sb)
c.send("a X " + "(" * 7000 + "\r\n")
like(c.finish(b"a")[1], rb"^BAD", "parentheses before login")
c.send("b NOOP {100000}\r\n")
like(c.finish(b"b")[1], rb"^BAD", "a large literal before login is refused")
c.send("c NOOP {4000000000+}\r\n")
like(c.response(), rb"^\* BYE", "an endless one closes the connection")
c.close()

# ---- TLS ------------------------------------------------------------------------------------------
c = Raw(sb)
c.ok("STARTTLS")
c.sock = Raw.context(sb).wrap_socket(c.sock, server_hostname="localhost")
like(c.ok("CAPABILITY"), rb"AUTH=PLAIN", "STARTTLS")
unlike(c.ok("CAPABILITY"), rb"STARTTLS", "is not offered twice")
like(c.tagged("STARTTLS"), rb"^BAD", "nor taken twice")
c.ok(f"LOGIN {sb.user(1)} {sb.password}")
c.close()
c = Raw(sb)
c.send("a STARTTLS\r\nb LOGIN x y\r\n")
like(c.response(), rb"^\* BYE", "plaintext behind STARTTLS closes the connection")
c.close()
c = Raw(sb, login=1, tls=True)
text = mail("by TLS") + "tls " * 500000 + "\r\n"
like(c.append("Drafts", text)[1], rb"^OK", "implicit TLS: APPEND of 2 MB")
c.ok("SELECT Drafts")
ok(find(c.ok("FETCH 1 BODY.PEEK[]"), rb"\{\d+\}\r\n(.*)\)$") == text.encode(), "and FETCH")
c.start("IDLE")
c.response()
d = Raw(sb, login=1, tls=True)
d.append("Drafts", mail("second"))
like(c.response(), rb"EXISTS", "and IDLE")
d.close()
c.close()

# ---- mailboxes --------------------------------------------------------------------------------------
c = Raw(sb, login=2)
like(c.ok('LIST "" ""'), rb'^\* LIST \(\\Noselect\) "/" ""$', "LIST of nothing tells the separator")
l = c.ok('LIST "" *')
like(l, rb'\\Sent.*"/" Sent', "LIST with SPECIAL-USE attributes")
like(l, rb'"/" INBOX', "LIST has INBOX")
like(c.ok('LIST "" inbox'), rb"INBOX", "INBOX in any case")
like(c.ok("NAMESPACE"), rb'^\* NAMESPACE \(\("" "/"\)\) \(\("Shared Folders/User/" "/"\)\) NIL', "NAMESPACE")
c.ok("CREATE work/2026/")
l = c.ok('LIST "" %')
like(l, rb"\\HasChildren.*work$", "a superior is made; \\HasChildren")
unlike(l, rb"work/2026", "% stops at the separator")
like(c.ok('LIST work/ %'), rb"work/2026", "reference")
like(c.tagged("CREATE work/2026"), rb"^NO \[ALREADYEXISTS\]", "CREATE twice")
like(c.tagged("CREATE inbox"), rb"^NO", "CREATE inbox")
like(c.tagged("DELETE INBOX"), rb"^NO", "DELETE INBOX")
like(c.tagged("DELETE none"), rb"^NO \[NONEXISTENT\]", "DELETE of nothing")
for wire, what in (("&APg-l", "an o with a stroke"), ("R&-D", "ampersand"), ("&2D3eAA-", "emoji"), ('"two words"', "a blank")):
    c.ok(f"CREATE {wire}")
    like(c.ok(f'LIST "" {wire}'), re.escape(wire.encode()) + rb"$", f"a name with {what}")
    c.ok(f"SELECT {wire}")
    like(c.tagged(f"DELETE {wire}"), rb"^OK", f"DELETE of it, while selected")
    like(c.tagged("CHECK"), rb"^BAD", "leaves no mailbox selected")
like(c.tagged("CREATE &bad"), rb"^NO \[CANNOT\]", "no modified UTF-7")
like(c.tagged('CREATE ""'), rb"^NO", "an empty name")
like(c.tagged("CREATE a//b"), rb"^NO", "an empty component")
c.ok("RENAME work job")
like(c.ok('LIST "" job*'), rb"job/2026", "RENAME takes what is below along")
like(c.tagged("RENAME job inbox"), rb"^NO", "RENAME onto inbox")
c.ok("SUBSCRIBE job/2026")
c.ok("SUBSCRIBE not/there")
l = c.ok('LSUB "" *')
like(l, rb'^\* LSUB \(.*\) "/" job/2026$', "LSUB")
l = c.ok('LSUB "" %')
like(l, rb'^\* LSUB \(\\Noselect\) "/" job$', "LSUB % shows superiors")
l = c.ok('LIST (SUBSCRIBED) "" *')
like(l, rb"\\NonExistent.*\\Subscribed.* not/there", "LIST (SUBSCRIBED) with what is not there")
like(c.ok('LIST (SUBSCRIBED RECURSIVEMATCH) "" %'), rb'job \(CHILDINFO \("SUBSCRIBED"\)\)', "CHILDINFO")
like(c.tagged('LIST (RECURSIVEMATCH) "" *'), rb"^BAD", "RECURSIVEMATCH alone")
l = c.ok('LIST (SPECIAL-USE) "" *')
ok(len(l) == 5 and not find(l, rb"INBOX"), "LIST (SPECIAL-USE)")
l = c.ok('LIST "" (job INBOX) RETURN (SUBSCRIBED CHILDREN STATUS (MESSAGES UIDNEXT HIGHESTMODSEQ SIZE))')
i = [x for x, line in enumerate(l) if b"STATUS INBOX" in line]
ok(i and b"LIST" in l[i[0] - 1] and b"INBOX" in l[i[0] - 1], "LIST-STATUS: STATUS behind its LIST line")
c.ok("UNSUBSCRIBE not/there")
unlike(c.ok('LSUB "" *'), rb"not/there", "UNSUBSCRIBE")
like(c.ok("STATUS inbox (MESSAGES RECENT UIDNEXT UIDVALIDITY UNSEEN HIGHESTMODSEQ SIZE APPENDLIMIT)"),
     rb"^\* STATUS INBOX \(MESSAGES 0 RECENT 0 UIDNEXT 1 UIDVALIDITY \d+ UNSEEN 0 HIGHESTMODSEQ \d+ APPENDLIMIT \d+ SIZE 0\)",
     "STATUS")
like(c.tagged("STATUS none (MESSAGES)"), rb"^NO \[NONEXISTENT\]", "STATUS of nothing")
like(c.tagged("STATUS INBOX (BOGUS)"), rb"^BAD", "STATUS of a bad item")
like(c.tagged("SELECT none"), rb"^NO \[NONEXISTENT\]", "SELECT of nothing")
c.close()

# ---- SELECT, APPEND ------------------------------------------------------------------------------------
c = Raw(sb, login=3)
l = c.ok("SELECT INBOX")
for p in (rb"FLAGS \(", rb"\[PERMANENTFLAGS \(.*\\\*\)\]", rb"0 EXISTS", rb"0 RECENT", rb"\[UIDVALIDITY \d", rb"\[UIDNEXT 1\]",
          rb"\[HIGHESTMODSEQ \d"):
    like(l, p, f"SELECT says {p.decode()}")
unlike(l, rb"\[UNSEEN", "no UNSEEN in an empty mailbox")
like(c.tagged("FETCH 1:* FLAGS"), rb"^OK", "FETCH 1:* of an empty mailbox")
like(c.tagged("FETCH 1 FLAGS"), rb"^BAD", "a message that is not there")
is_(c.ok("SEARCH ALL"), [b"* SEARCH"], "SEARCH of an empty mailbox answers")
l, t = c.append("INBOX", mail("one"), '(\\Seen $Label) "17-Jul-1996 02:44:25 -0700"')
like(t, rb"^OK \[APPENDUID \d+ 1\]", "APPENDUID")
like(l, rb"^\* 1 EXISTS", "APPEND to the selected mailbox says EXISTS")
like(l, rb"^\* FLAGS \(.*\$Label", "a new keyword is announced")
l, t = c.append("none", mail("x"))
like(t, rb"^NO \[TRYCREATE\]", "APPEND to no mailbox, LITERAL+")
c.send(b"x APPEND none {10}\r\n")
like(c.finish(b"x")[1], rb"^NO \[TRYCREATE\]", "and before the literal, without")
c.send(b"x APPEND INBOX {100000000}\r\n")
like(c.finish(b"x")[1], rb"^NO \[TOOBIG\]", "a message too large is refused before it comes")
c.send(b"x APPEND INBOX {5}\r\n")
c.response()
c.send(b"a\0b\r\n junk\r\n")
like(c.finish(b"x")[1], rb"^BAD", "text behind the message")
l, t = c.append("INBOX", b"a\0b\r\n")
like(t, rb"^NO", "NUL in a message")
l, t = c.append("INBOX", b"Subject: bare\n\nline\n")
like(t, rb"^OK", "bare line feeds")
like(c.ok("FETCH 2 BODY.PEEK[]"), rb"\{23\}\r\nSubject: bare\r\n\r\nline\r\n\)$", "become CRLF")
c.send(b"x APPEND {5+}\r\nINBOX (\\Draft) {%d+}\r\n%s\r\n" % (len(mail("three")), mail("three").encode()))
like(c.finish(b"x")[1], rb"^OK", "APPEND with a literal name")
like(c.tagged("APPEND INBOX foo"), rb"^BAD", "APPEND without a literal")
like(c.tagged("APPEND INBOX (\\Recent) {3+}\r\nabc"), rb"^BAD", "APPEND with \\Recent")
like(c.ok("FETCH 1:3 (FLAGS INTERNALDATE)"), rb'1 FETCH \(INTERNALDATE "17-Jul-1996 02:44:25 -0700" FLAGS \(\\Seen \\Recent \$Label\)\)',
     "flags, keyword and date of APPEND")
for date, what in ((" 1-Jan-1970 00:00:00 +0000", "the first second is a date"), ("31-Dec-1969 23:59:59 +0000", "and the one before"), ("31-Dec-9999 23:59:59 +0000", "and the last")):
    c.send(b'x APPEND Trash "%s" {4+}\r\n\r\n\r\n\r\n' % date.encode())
    c.finish(b"x")
    c.ok("EXAMINE Trash")
    like(c.ok("FETCH * INTERNALDATE"), b'"%s"' % re.escape(date.encode()), what)
c.close()

c = Raw(sb, login=3)
l = c.ok("SELECT INBOX")
like(l, rb"^\* 3 EXISTS", "EXISTS")
like(l, rb"^\* 0 RECENT", "recent only to the first")
like(l, rb"\[UNSEEN 2\]", "UNSEEN")
d = Raw(sb, login=3)
d.append("INBOX", mail("four"))
like(d.ok("EXAMINE INBOX"), rb"^\* 1 RECENT", "EXAMINE sees what is recent")
like(d.ok("EXAMINE INBOX"), rb"^\* 1 RECENT", "and takes nothing")
like(d.tagged("EXAMINE INBOX"), rb"^OK \[READ-ONLY\]", "READ-ONLY")
for cmd in ("STORE 1 +FLAGS (\\Seen)", "EXPUNGE", "UID EXPUNGE 1", "MOVE 1 Trash", "UID STORE 1 FLAGS ()"):
    like(d.tagged(cmd), rb"^NO \[READ-ONLY\]", f"{cmd} in EXAMINE")
like(d.ok("FETCH 4 BODY[]"), rb"four", "BODY[] in EXAMINE")
like(d.ok("FETCH 4 FLAGS"), rb"FLAGS \(\\Recent\)", "does not set \\Seen")
like(d.ok("SELECT INBOX"), rb"\[CLOSED\]", "CLOSED between two mailboxes")
like(c.ok("NOOP"), rb"^\* 4 EXISTS", "another session's message is told")
c.close()
d.close()

# ---- FETCH --------------------------------------------------------------------------------------------
c = Raw(sb, login=4)
nested = ("Subject: outer\r\nContent-Type: multipart/mixed; boundary=a\r\n\r\npre\r\n--a\r\n\r\nfirst\r\n"
          "--a\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner\r\nX: y\r\n\r\ninner body\r\n--a--\r\n")
c.append("INBOX", mail("plain", "line 1\r\nline 2\r\n"))
c.append("INBOX", nested)
c.append("INBOX", "To: x@y.z\r\n\r\nno from\r\n")
c.append("INBOX", "Subject: gr\u00fc\u00df\r\nContent-Type: text/plain; name=\"\u00e4\"\r\n\r\n8 bit \u00fc\r\n".encode())
c.append("INBOX", b"\r\nno header\r\n")
c.append("INBOX", b"Subject: no body\r\n")
c.ok("SELECT INBOX")
like(c.ok("FETCH 1 FLAGS"), rb"^\* 1 FETCH \(FLAGS \(\\Recent\)\)$", "one item without parentheses")
like(c.ok("FETCH 1 ALL"), rb"FLAGS.*ENVELOPE \(\"Tue, 3 Feb 2026", "macro ALL")
like(c.ok("FETCH 1 FULL"), rb"BODY \(\"text\" \"plain\"", "macro FULL")
like(c.ok("FETCH 1 FAST"), rb"INTERNALDATE.*RFC822.SIZE", "macro FAST")
like(c.ok("UID FETCH 1 FLAGS"), rb"^\* 1 FETCH \(UID 1 FLAGS", "UID FETCH tells the UID")
is_(c.ok("UID FETCH 100 FLAGS"), [], "UID FETCH of what is not there")
like(c.ok("UID FETCH 100:* FLAGS"), rb"^\* 6 FETCH \(UID 6 ", "UID n:* always has the last")
like(c.tagged("FETCH 1:7 FLAGS"), rb"^BAD", "a sequence number too high")
is_(len(c.ok("FETCH 3:1 UID")), 3, "a reversed range")
like(c.ok("FETCH 2 BODYSTRUCTURE"), rb'\(\("text" "plain" .*\("message" "rfc822" .*"mixed" \("boundary" "a"\) NIL NIL NIL\)\)$',
     "BODYSTRUCTURE of parts")
for section, want in (("1", "first"), ("2.HEADER", "Subject: inner\r\nX: y\r\n\r\n"), ("2.TEXT", "inner body"),
                      ("2.1", "inner body"), ("2.MIME", "Content-Type: message/rfc822\r\n\r\n"), ("1.MIME", "\r\n"),
                      ("2", "Subject: inner\r\nX: y\r\n\r\ninner body"), ("HEADER", nested.split("\r\n\r\n")[0] + "\r\n\r\n"),
                      ("2.HEADER.FIELDS (x)", "X: y\r\n\r\n"), ("2.HEADER.FIELDS.NOT (x)", "Subject: inner\r\n\r\n"),
                      ("HEADER.FIELDS (subject \"none\")", "Subject: outer\r\n\r\n"), ("TEXT", nested.split("\r\n\r\n", 1)[1])):
    l = c.ok(f"FETCH 2 BODY.PEEK[{section}]")
    is_(find(l, rb"\{\d+\}\r\n(.*)\)$"), want.encode(), f"BODY[{section}]")
for section in ("3", "1.1", "2.2", "1.HEADER", "2.1.TEXT"):
    like(c.ok(f"FETCH 2 BODY.PEEK[{section}]"), rb"BODY\[%s\] NIL\)" % section.encode(), f"BODY[{section}] is NIL")
like(c.ok("FETCH 2 BODY.PEEK[]<5.3>"), rb"BODY\[\]<5> \{3\}\r\nct:", "partial")
like(c.ok("FETCH 2 BODY.PEEK[2.TEXT]<6.100>"), rb"BODY\[2.TEXT\]<6> \{4\}\r\nbody\)", "partial at the end")
like(c.ok("FETCH 2 BODY.PEEK[]<9999.3>"), rb"<9999> \{0\}\r\n\)", "partial behind the end")
like(c.ok("FETCH 1 (RFC822.HEADER RFC822.TEXT)"), rb"RFC822.HEADER \{\d+\}\r\nFrom: Ann.*RFC822.TEXT \{16\}\r\nline 1\r\nline 2\r\n ?FLAGS|RFC822.TEXT",
     "RFC822 items")
like(c.ok("FETCH 1 FLAGS"), rb"\\Seen", "RFC822.TEXT sets \\Seen")
l = c.ok("FETCH 2 BODY[1]")
like(l, rb"FLAGS \(\\Seen \\Recent\)", "BODY[] sets \\Seen and says so")
is_(len(l), 1, "once")
is_(len(c.ok("NOOP")), 0, "and not again")
unlike(c.ok("FETCH 3 BODY.PEEK[]"), rb"FLAGS", "BODY.PEEK does not")
like(c.ok("FETCH 3 ENVELOPE"), rb'ENVELOPE \(NIL NIL NIL NIL NIL \(\(NIL NIL "x" "y.z"\)\)', "ENVELOPE without From is there")
l = c.ok("FETCH 4 (ENVELOPE BODYSTRUCTURE)")
ok(all(b < 128 for b in l[0]), "no 8-bit bytes in ENVELOPE and BODYSTRUCTURE")
like(c.ok("FETCH 5 (BODY.PEEK[HEADER] BODY.PEEK[TEXT])"), rb"BODY\[HEADER\] \{2\}\r\n\r\n BODY\[TEXT\] \{11\}\r\nno header\r\n\)",
     "an empty header")
like(c.ok("FETCH 6 (BODY.PEEK[TEXT] BODY.PEEK[1])"), rb"BODY\[TEXT\] \{0\}\r\n", "an empty body")
for bad in ("FETCH 1", "FETCH 1 ()", "FETCH 1 BOGUS", "FETCH 1 BODY[", "FETCH 0 FLAGS", "FETCH a FLAGS", "FETCH 1 (FLAGS", "FETCH 1 BODY[1.]",
            "FETCH 1 FLAGS UID", "FETCH 1 BODY[]<1.0>", "FETCH 1 (" + "BODY[" * 500):
    like(c.tagged(bad), rb"^BAD", f"{bad[:30]}: BAD")
big = mail("big", "x" * 76 + "\r\n") + ("y" * 76 + "\r\n") * 30000
c.append("INBOX", big)
l = c.ok("FETCH 7 BODY.PEEK[]")
ok(find(l, rb"\{\d+\}\r\n(.*)\)$") == big.encode(), "a message of 2 MB comes back as it was")
c.close()

# ---- SEARCH --------------------------------------------------------------------------------------------
c = Raw(sb, login=5)
c.append("INBOX", mail("alpha one", "needle in here\r\n"), '(\\Seen \\Flagged) "01-Jan-2026 10:00:00 +0000"')
c.append("INBOX", mail("beta", "nothing\r\n", "X-Odd: weird value\r\nCc: =?utf-8?Q?J=C3=BCrgen?= <j@example.com>\r\n"),
         '(\\Answered kw1) "15-Jan-2026 23:30:00 -0500"')
c.append("INBOX", mail("=?utf-8?Q?=C3=84rger?=", base64.b64encode("verschl\u00fcsselter K\u00e4se".encode()).decode() + "\r\n",
                       "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n"), '(\\Deleted)')
c.append("INBOX", mail("delta", "x" * 5000 + "\r\n"), '(\\Draft)')
c.ok("SELECT INBOX")


def search(query, want, what=None):
    l, t = c.cmd("SEARCH " + query if isinstance(query, str) else b"SEARCH " + query)
    got = find(l, rb"^\* SEARCH ?(.*)$")
    is_((b"?" if got is None else got).decode(), want, what or f"SEARCH {query if isinstance(query, str) else query.decode(errors='replace')}")


for q, want in (("ALL", "1 2 3 4"), ("SEEN", "1"), ("UNSEEN", "2 3 4"), ("FLAGGED", "1"), ("UNFLAGGED", "2 3 4"), ("ANSWERED", "2"),
                ("UNANSWERED", "1 3 4"), ("DELETED", "3"), ("UNDELETED", "1 2 4"), ("DRAFT", "4"), ("UNDRAFT", "1 2 3"),
                ("KEYWORD kw1", "2"), ("UNKEYWORD kw1", "1 3 4"), ("KEYWORD none", ""), ("RECENT", "1 2 3 4"), ("NEW", "2 3 4"), ("OLD", ""),
                ("LARGER 4000", "4"), ("SMALLER 4000", "1 2 3"), ("BEFORE 2-Jan-2026", "1"), ("ON 15-Jan-2026", "2"), ("SINCE 16-Jan-2026", "3 4"),
                ("SENTON 3-Feb-2026", "1 2 3 4"), ("SENTBEFORE 3-Feb-2026", ""), ("SENTSINCE 3-Feb-2026", "1 2 3 4"),
                ("SUBJECT ALPHA", "1"), ("FROM ann", "1 2 3 4"), ("TO example.net", "1 2 3 4"), ("CC example.com", "2"), ("BCC x", ""),
                ("HEADER X-Odd weird", "2"), ("HEADER X-Odd \"\"", "2"), ("HEADER Subject beta", "2"), ("HEADER Message-ID delta", "4"),
                ("BODY needle", "1"), ("BODY NEEDLE", "1"), ("TEXT alpha", "1"), ("TEXT weird", "2"), ("BODY alpha", ""), ("2:3", "2 3"), ("UID 4", "4"),
                ("*", "4"), ("NOT SEEN", "2 3 4"), ("OR SEEN DELETED", "1 3"), ("(SEEN FLAGGED)", "1"), ("NOT (OR SEEN BODY nothing)", "3 4"),
                ("1:3 NOT DELETED UNSEEN", "2"), ("CHARSET UTF-8 SUBJECT beta", "2"), ("CHARSET us-ascii ALL", "1 2 3 4"),
                ("OR (SUBJECT alpha) (BODY nothing)", "1 2")):
    search(q, want)
search("CHARSET UTF-8 SUBJECT \"\u00e4RGER\"".encode(), "3", "encoded words, another case, UTF-8")
search("CHARSET UTF-8 BODY {5+}\r\nk\u00e4se".encode(), "3", "base64 body in UTF-8, from a literal")
search(b"CHARSET ISO-8859-1 CC {6+}\r\nj\xfcrgen", "2", "Latin-1")
like(c.tagged("SEARCH CHARSET KOI8-R ALL"), rb"^NO \[BADCHARSET \(", "BADCHARSET")
is_(c.ok("UID SEARCH 2:3"), [b"* SEARCH 2 3"], "UID SEARCH of sequence numbers")
for bad in ("SEARCH", "SEARCH BOGUS", "SEARCH OR SEEN", "SEARCH (SEEN", "SEARCH SINCE 1-1-1", "SEARCH LARGER x"):
    like(c.tagged(bad), rb"^BAD", f"{bad}: BAD")
for q, want in (("9", ""), ("2,9:12", "2"), ("3:99", "3 4"), ("NOT 9", "1 2 3 4"), ("99:*", "4")):
    search(q, want, f"SEARCH {q}: numbers that no message has match none")
like(c.ok("SEARCH RETURN () UNSEEN"), rb'^\* ESEARCH \(TAG "t\d+"\) ALL 2:4$', "ESEARCH")
like(c.ok("UID SEARCH RETURN (MIN MAX COUNT) 2:3"), rb'UID MIN 2 MAX 3 COUNT 2$', "ESEARCH MIN MAX COUNT")
like(c.ok("SEARCH RETURN (MIN COUNT) BCC zzz"), rb'"\) COUNT 0$', "ESEARCH without a match")

# ---- STORE, EXPUNGE, COPY, MOVE ------------------------------------------------------------------------
like(c.ok("STORE 1 FLAGS (\\Answered)"), rb"^\* 1 FETCH \(FLAGS \(\\Answered \\Recent\)\)$", "STORE FLAGS")
like(c.ok("STORE 1 +FLAGS \\Seen newkw"), rb"FLAGS \(\\Seen \\Answered \\Recent newkw\)", "+FLAGS without parentheses, new keyword")
like(c.ok("UID STORE 1 -FLAGS (\\Seen)"), rb"^\* 1 FETCH \(UID 1 FLAGS \(\\Answered", "UID STORE tells the UID")
is_(c.ok("STORE 1:2 +FLAGS.SILENT (\\Flagged)"), [], "SILENT")
like(c.ok("FETCH 1 FLAGS"), rb"\\Flagged", "was done")
is_(len(c.ok("STORE 1:4 FLAGS (\\Seen)")), 4, "every message is told, changed or not")
is_(len(c.ok("STORE 1:4 FLAGS (\\Seen)")), 4, "also when nothing changes")
for bad in ("STORE 1", "STORE 1 FLAGS (\\Recent)", "STORE 1 FLAGS (\\Bogus)", "STORE 9 FLAGS ()", "STORE 1 BLAGS ()"):
    like(c.tagged(bad), rb"^BAD", f"{bad}: BAD")
is_(c.ok("UID STORE 99 FLAGS ()"), [], "UID STORE of nothing is OK")
lines, t = c.cmd("COPY 1:2 Archive")
like(t, rb"^OK \[COPYUID \d+ 1:2 1:2\]", "COPYUID")
like(c.tagged("COPY 1 none"), rb"^NO \[TRYCREATE\]", "COPY to nothing")
like(c.tagged("COPY 9 Archive"), rb"^BAD", "COPY of nothing")
like(c.tagged("UID COPY 99 Archive"), rb"^OK", "UID COPY of an unknown UID is OK")
lines, t = c.cmd("UID MOVE 2 Trash")
like(lines, rb"^\* OK \[COPYUID \d+ 2 1\]", "COPYUID of MOVE")
like(lines, rb"^\* 2 EXPUNGE", "MOVE expunges")
ok([i for i, l in enumerate(lines) if b"COPYUID" in l] < [i for i, l in enumerate(lines) if b"EXPUNGE" in l], "behind COPYUID")
like(c.tagged("UID MOVE 99 Trash"), rb"^OK", "MOVE of an unknown UID is OK")
c.send("a STORE 1:2 +FLAGS.SILENT (\\Deleted)\r\nb EXPUNGE\r\n")
c.finish(b"a")
is_(c.finish(b"b")[0], [b"* 2 EXPUNGE", b"* 1 EXPUNGE"], "pipelined STORE and EXPUNGE are in order")
like(c.ok("FETCH 1 UID"), rb"UID 4", "what is left")
c.append("INBOX", mail("five"))
c.ok("STORE 1:2 +FLAGS.SILENT (\\Deleted)")
is_(c.ok("UID EXPUNGE 4"), [b"* 1 EXPUNGE"], "UID EXPUNGE takes only what it names")
like(c.ok("CLOSE") + [c.tagged("SELECT INBOX")], rb"OK", "CLOSE")
like(c.ok("SELECT INBOX"), rb"^\* 0 EXISTS", "has expunged")
like(c.ok("SELECT Archive"), rb"^\* 2 EXISTS", "COPY arrived")
c.ok("STORE 1 +FLAGS (\\Deleted)")
c.ok("UNSELECT")
like(c.ok("SELECT Archive"), rb"^\* 2 EXISTS", "UNSELECT has not")
c.close()

# ---- two sessions ------------------------------------------------------------------------------------------
a, b = Raw(sb, login=6), Raw(sb, login=6)
for i in range(5):
    a.append("INBOX", mail(f"m{i}"))
a.ok("SELECT INBOX")
b.ok("SELECT INBOX")
b.ok("STORE 2 +FLAGS.SILENT (\\Deleted)")
b.ok("STORE 4 +FLAGS.SILENT (\\Flagged)")
b.ok("EXPUNGE")
l, t = a.cmd("FETCH 1 FLAGS")
unlike(l, rb"EXPUNGE", "no EXPUNGE during FETCH")
l, t = a.cmd("SEARCH ALL")
unlike(l, rb"EXPUNGE", "nor SEARCH")
l, t = a.cmd("STORE 1 +FLAGS (\\Seen)")
unlike(l, rb"EXPUNGE", "nor STORE")
like(a.tagged("FETCH 2 FLAGS"), rb"^NO \[EXPUNGEISSUED\]", "a message that another session expunged")
l = a.ok("UID SEARCH ALL")
like(l, rb"^\* 2 EXPUNGE", "but UID SEARCH may")
like(b.ok("NOOP"), rb"1 FETCH \(FLAGS \(\\Seen", "flags of another session are told")
b.ok("CREATE moved")
a.ok("UID MOVE 5 moved")
b.append("INBOX", mail("new"))
l = b.ok("UID FETCH 6:* FLAGS")
like(l, rb"UID 6 ", "UID FETCH n:* finds what came in since")
l = a.ok("UID FETCH 6:* FLAGS")
like(l, rb"EXISTS", "the other session is told")
like(l, rb"UID 6 ", "and finds it in the same command")
b.append("INBOX", mail("newer"))
like(a.ok("UID SEARCH UID 7"), rb"SEARCH 7$", "UID SEARCH, too")
is_(a.ok("NOOP"), [], "told once")
a.start("IDLE")
like(a.response(), rb"^\+ ", "IDLE")
b.append("INBOX", mail("wake up"))
l = [a.response() for _ in range(2)]
like(l, rb"EXISTS", "IDLE tells of a new message")
b.ok("STORE 1 +FLAGS.SILENT (\\Answered)")
like(a.response(), rb"1 FETCH \(FLAGS \(.*\\Answered", "of flags")
b.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
a.response()
b.ok("EXPUNGE")
like(a.response(), rb"^\* 1 EXPUNGE", "of an expunge")
a.send("DONE\r\n")
like(a.finish()[1], rb"^OK", "DONE")
a.send("i1 IDLE\r\nDONE\r\ni2 NOOP\r\ni3 IDLE\r\nDONE\r\ni4 NOOP\r\n")
for t in (b"i1", b"i2", b"i3", b"i4"):
    like(a.finish(t)[1], rb"^OK", f"pipelined around IDLE: {t.decode()}")
a.send("i5 IDLE\r\ni6 NOOP\r\n")
like(a.finish(b"i5")[1], rb"^BAD", "something else than DONE")
d = Raw(sb, login=6)
d.start("IDLE")
d.response()
d.send("z APPEND INBOX {5+}\r\nabcde\r\n")
like(d.response(), rb"^\* BYE", "a message where DONE was expected")
d.close()
a.ok("SELECT moved")
b.ok("DELETE moved")
l, t = a.cmd("NOOP")
like(l, rb"^\* BYE", "the mailbox was deleted by another session")
a.close()
b.close()

# ---- CONDSTORE ------------------------------------------------------------------------------------------------
c = Raw(sb, login=7)
is_(c.ok("ENABLE CONDSTORE BOGUS"), [b"* ENABLED CONDSTORE"], "ENABLE answers ENABLED")
is_(c.ok("ENABLE BOGUS"), [b"* ENABLED"], "also when nothing is")
for i in range(3):
    c.append("INBOX", mail(f"c{i}"))
high = int(find(c.ok("SELECT INBOX (CONDSTORE)"), rb"\[HIGHESTMODSEQ (\d+)\]"))
like(c.ok("STORE 1 +FLAGS (\\Seen)"), rb"^\* 1 FETCH \(UID 1 MODSEQ \((\d+)\) FLAGS", "STORE tells MODSEQ")
l = c.ok(f"FETCH 1:* (FLAGS) (CHANGEDSINCE {high})")
is_(len(l), 1, "CHANGEDSINCE")
like(l, rb"MODSEQ \(\d+\)", "implies MODSEQ")
like(c.ok("STORE 2 +FLAGS.SILENT (\\Seen)"), rb"^\* 2 FETCH \(UID 2 MODSEQ \(\d+\)\)$", "SILENT with CONDSTORE: MODSEQ alone")
l, t = c.cmd(f"STORE 1:3 (UNCHANGEDSINCE {high}) +FLAGS (\\Flagged)")
like(t, rb"^OK \[MODIFIED 1:2\]", "UNCHANGEDSINCE: MODIFIED")
l2 = c.ok("FETCH 1:3 FLAGS")
ok(b"Flagged" not in l2[0] and b"Flagged" not in l2[1] and b"Flagged" in l2[2], "and only the unchanged one is changed")
like(c.ok(f"SEARCH MODSEQ {high + 1}"), rb"^\* SEARCH 1 2 3 \(MODSEQ \d+\)$", "SEARCH MODSEQ")
like(c.ok(f"SEARCH RETURN (COUNT) MODSEQ {high + 1}"), rb"COUNT 3 MODSEQ \d+$", "ESEARCH MODSEQ")
c.ok("STORE 3 +FLAGS.SILENT (\\Deleted)")
like(c.tagged("EXPUNGE"), rb"^OK \[HIGHESTMODSEQ \d+\]", "EXPUNGE tells HIGHESTMODSEQ")
like(c.ok("STATUS INBOX (HIGHESTMODSEQ)"), rb"HIGHESTMODSEQ \d+\)", "STATUS HIGHESTMODSEQ")
c.close()

# ---- limits, bytes one at a time -----------------------------------------------------------------------------------
like(Raw(sb, login="full").append("INBOX", mail("x" * 2000))[1], rb"^NO \[OVERQUOTA\]", "a mailbox that is full")
for step in (1, 7):
    c = Raw(sb, step=step)
    c.ok(f"LOGIN {{9+}}\r\n{sb.user(8):9} {{{len(sb.password)}+}}\r\n{sb.password}" if len(sb.user(8)) == 9 else
         f"LOGIN {sb.user(8)} {sb.password}")
    c.append("INBOX", mail(f"split {step}"))
    c.ok("SELECT INBOX")
    like(c.ok("FETCH * (BODY.PEEK[HEADER.FIELDS (Subject)])"), rb"split %d" % step, f"everything in pieces of {step}")
    is_(len(c.ok("SEARCH SUBJECT {5+}\r\nsplit ALL")), 1, "literal in pieces")
    c.start("IDLE")
    c.response()
    c.send("DONE\r\n")
    like(c.finish()[1], rb"^OK", "IDLE in pieces")
    c.ok("LOGOUT")
    c.close()
c = Raw(sb, login=9)
c.send(b"a NOOP " + b"x" * 200000 + b"\r\nb NOOP\r\n")
like(c.finish(b"a")[1], rb"^BAD", "a line too long")
like(c.finish(b"b")[1], rb"^OK", "and life goes on")
like(c.tagged("SEARCH " + "NOT " * 20000 + "ALL"), rb"^BAD", "nesting without end")
like(c.tagged("LIST \"\" " + "%*" * 3000), rb"^OK", "a nasty pattern")
c.send("".join(f"p{i} NOOP\r\n" for i in range(500)))
ok(all(c.finish(b"p%d" % i)[1].startswith(b"OK") for i in range(500)), "500 pipelined commands")
c.close()

# ---- files: not in the page cache, and more than a cache record can hold ---------------------------------------------
c = Raw(sb, login=10)
big = mail("cold", "z" * 76 + "\r\n") + ("w" * 76 + "\r\n") * 20000
c.append("INBOX", big)
many = "To: " + ",\r\n ".join(f'"Recipient Number {i}" <r{i}@example.org>' for i in range(3000)) + \
       "\r\nSubject: many\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\npart one\r\n--b--\r\n"
c.append("INBOX", many)
c.ok("SELECT INBOX")
files = [os.path.join(r, f) for r, _, fs in os.walk(sb.env["STORE"]) for f in fs if f.endswith(".msg")]
for f in files:
    if os.path.getsize(f) == len(big):
        fd = os.open(f, os.O_RDONLY)
        os.fsync(fd)
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(fd)
ok(find(c.ok("FETCH 1 BODY.PEEK[]"), rb"\{\d+\}\r\n(.*)\)$") == big.encode(), "a message that is not in the page cache")
l = c.ok("FETCH 2 (ENVELOPE BODYSTRUCTURE BODY.PEEK[1] UID)")
like(l, rb'"r2999" "example.org".*"mixed".*BODY\[1\] \{8\}\r\npart one', "a message with a header too large for its cache record")
like(c.ok("SEARCH TO r2999@"), rb"SEARCH 2$", "is searched in the file")
large = many.replace("part one", "part one" + "\r\nv" * 300000)
c.append("INBOX", large)
like(c.ok("FETCH 3 (UID ENVELOPE BODY BODY.PEEK[1]<0.8>)"), rb'"r2999" "example.org".*"mixed".*BODY\[1\]<0> \{8\}\r\npart one',
     "the same in a large message")
for i in range(3):
    c.start("FETCH 3 ENVELOPE")
    c.close()
    c = Raw(sb, login=10)
    c.ok("SELECT INBOX")
c.ok("STORE 3 +FLAGS.SILENT (\\Deleted)")
c.ok("EXPUNGE")
like(c.ok("SEARCH BODY wwwwwww"), rb"SEARCH 1$", "a large message is searched beside the loop")
like(c.ok("SEARCH OR BODY zzznot HEADER X-None y"), rb"SEARCH$", "and not found")
for i in range(3):
    c.start("SEARCH NOT BODY wwwwwww")  # and leave while it is at it
    c.close()
    c = Raw(sb, login=10)
    c.send(b"x APPEND INBOX {%d+}\r\n" % len(big) + big.encode() + b"\r\n")
    c.close()
    c = Raw(sb, login=10)
    c.ok("SELECT INBOX")
    c.ok("UID STORE 4:4000000 +FLAGS.SILENT (\\Deleted)")
    c.ok("EXPUNGE")
    c.start("FETCH 1 BODY.PEEK[]")  # or in the middle of the answer
    c.sock.recv(1000)
    c.close()
    c = Raw(sb, login=10)
    c.ok("SELECT INBOX")

# ---- a large answer in IDLE, to a client that does not read ------------------------------------------------------------
b = Raw(sb, login=10)
b.ok("SELECT INBOX")
for i in range(14):
    b.ok("COPY 1:* INBOX" if i else "COPY 2 INBOX")
    if int(find(b.ok("STATUS INBOX (MESSAGES)"), rb"MESSAGES (\d+)")) > 20000:
        break
n = int(find(b.ok("STATUS INBOX (MESSAGES)"), rb"MESSAGES (\d+)"))
c.ok("NOOP")
c.start("IDLE")
c.response()
b.ok("STORE 1:* +FLAGS.SILENT (\\Flagged a-long-keyword-that-fills-the-output)")
b.ok("NOOP")
seen = {}
while len(seen) < n:
    r = c.response()
    m = re.match(rb"\* (\d+) FETCH", r)
    if m:
        seen[m.group(1)] = seen.get(m.group(1), 0) + 1
c.send("DONE\r\n")
l, t = c.finish()
ok(t.startswith(b"OK") and not find(l, b"FETCH") and max(seen.values()) == 1, f"IDLE tells of {n} changes, each once")
b.ok("STORE 1:* +FLAGS.SILENT (\\Deleted)")
is_(len(b.ok("EXPUNGE")), n, "all are expunged")
is_(len([x for x in c.ok("NOOP") if b"EXPUNGE" in x]), n, "and the other session hears of each")
c.close()
b.close()
tm.done()
