#!/usr/bin/env python3
"""imapd when things around it fail, its limits, and real clients' ways of speaking."""
import imaplib, os, re, shutil, subprocess, time
import tm
from imapraw import Raw

sb = tm.Sandbox("--users", "10", "--without", "lmtpd", "--without", "jobctl", "--without", "smtp-relay",
                "--set", "imapd.auth.delay=20ms", "--set", "imapd.limit.per_user=5", "--set", "imapd.workers=2",
                "--set", f"imapd.timeout.idle={2 * tm.SHORT:.0f}s")
ok, is_ = tm.ok, tm.is_
mail = b"From: a@b.c\r\nSubject: hello\r\n\r\nbody\r\n"


def like(got, pattern, what):
    lines = got if isinstance(got, list) else [got]
    if not ok(any(re.search(pattern, l, re.S) for l in lines), what):
        tm.diag(f"got: {got!r}\nwant: {pattern!r}")


def closed(c):
    """Does the connection end?  What it says before."""
    said = []
    try:
        while True:
            said.append(c.response())
    except (EOFError, ConnectionResetError):
        return said


# ---- Python's imaplib and curl ---------------------------------------------------------------------
m = sb.imap(1)
is_(m.append("INBOX", "(\\Seen)", imaplib.Time2Internaldate(time.time()), mail)[0], "OK", "imaplib: APPEND")
is_(m.select()[1], [b"1"], "imaplib: SELECT")
is_(m.fetch("1", "(RFC822)")[1][0][1], mail, "imaplib: FETCH RFC822")
is_(m.search(None, "SUBJECT", '"hello"')[1], [b"1"], "imaplib: SEARCH")
is_(m.store("1", "+FLAGS", "\\Deleted")[0], "OK", "imaplib: STORE")
is_(m.expunge()[1], [b"1"], "imaplib: EXPUNGE")
is_(m.logout()[0], "BYE", "imaplib: LOGOUT")
if shutil.which("curl"):
    Raw(sb, login=1).append("INBOX", mail)

    def curl(*args):
        return subprocess.run(["curl", "-sS", "--max-time", f"{tm.LONG:.0f}", "--user", f"{sb.user(1)}:{sb.password}", *args],
                              capture_output=True).stdout

    url = f"imap://{sb.host}:{sb.port('IMAP')}"
    like(curl(url + "/", "-X", 'LIST "" *'), rb"INBOX", "curl: LIST")
    is_(curl(url + "/INBOX;MAILINDEX=1"), mail, "curl: a message by index")
    is_(curl("--ssl-reqd", "--insecure", url + "/INBOX;UID=2"), mail, "curl: by UID, with STARTTLS")
    is_(curl("--insecure", f"imaps://{sb.host}:{sb.port('IMAPS')}/INBOX;MAILINDEX=1;SECTION=TEXT"), b"body\r\n",
        "curl: a section, imaps")
    is_(curl(url + "/INBOX?SUBJECT%20hello").strip(), b"* SEARCH 1", "curl: SEARCH")

# ---- clients as they speak ------------------------------------------------------------------------------
transcripts = {
    "Thunderbird": ['ID ("name" "Thunderbird" "version" "128")', "ENABLE CONDSTORE", "NAMESPACE", 'LIST (SUBSCRIBED) "" "*" RETURN (SPECIAL-USE)',
                    'LIST "" "INBOX"', 'select "INBOX" (CONDSTORE)', "getquotaroot-is-not-offered", "UID fetch 1:* (FLAGS)",
                    'UID fetch 1:1 (UID RFC822.SIZE FLAGS BODY.PEEK[HEADER.FIELDS (From To Cc Bcc Subject Date Message-ID Priority X-Priority '
                    'References Newsgroups In-Reply-To Content-Type Reply-To)])', "UID fetch 1 (UID RFC822.SIZE BODY[])", "noop"],
    "Apple Mail": ['ID ("name" "iPhone Mail" "os" "iOS" "os-version" "18.1")', 'LIST "" ""', 'XLIST "" "*"',
                   'LIST "" "*" RETURN (SPECIAL-USE STATUS (MESSAGES UIDNEXT UIDVALIDITY UNSEEN HIGHESTMODSEQ))', "SELECT INBOX (CONDSTORE)",
                   "UID SEARCH RETURN (ALL) 1:* NOT DELETED", "FETCH 1:* (FLAGS UID)", "UID FETCH 1 (INTERNALDATE UID RFC822.SIZE FLAGS MODSEQ "
                   "BODY.PEEK[HEADER.FIELDS (date subject from to cc message-id in-reply-to references content-type)])",
                   "UID FETCH 1 (BODYSTRUCTURE BODY.PEEK[HEADER])", "UID FETCH 1 BODY.PEEK[1]<0.65536>"],
    "Outlook": ["SELECT \"INBOX\"", "UID FETCH 1:* (UID FLAGS)", "UID FETCH 1 (BODY.PEEK[HEADER] UID RFC822.SIZE)", "UID SEARCH 1:* UNSEEN",
                "UID FETCH 1 (UID BODY.PEEK[])", "CHECK", "CLOSE"],
    "mutt": ['LIST "" ""', 'LSUB "" "%"', 'STATUS "INBOX" (UIDNEXT UIDVALIDITY UNSEEN RECENT MESSAGES)', 'SELECT "INBOX"',
             "FETCH 1:1 (UID FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[HEADER.FIELDS (DATE FROM SENDER SUBJECT TO CC MESSAGE-ID REFERENCES CONTENT-TYPE "
             "CONTENT-DESCRIPTION IN-REPLY-TO REPLY-TO LINES LIST-POST LIST-SUBSCRIBE LIST-UNSUBSCRIBE X-LABEL X-ORIGINAL-TO)])",
             "UID FETCH 1 BODY.PEEK[]", "UID STORE 1 +FLAGS.SILENT (\\Seen Old)", "EXPUNGE"],
    "K-9": ["ID NIL", 'LIST "" "*"', 'EXAMINE "INBOX"', "UID SEARCH 1:* NOT DELETED", "UID SEARCH UID *:*", "UID FETCH 1 (UID FLAGS)",
            "UID FETCH 1 (UID INTERNALDATE RFC822.SIZE BODY.PEEK[HEADER.FIELDS (date subject from content-type to cc reply-to message-id references "
            "in-reply-to list-unsubscribe sender X-K9mail-Identity)])", "UID FETCH 1 (UID BODYSTRUCTURE)", "UID FETCH 1 (UID BODY.PEEK[1]<0.32768>)"],
    "Roundcube": ['ID ("name" "Roundcube" "version" "1.6")', "CAPABILITY", "NAMESPACE", 'LIST (SUBSCRIBED) "" "*" RETURN (SPECIAL-USE)',
                  'STATUS INBOX (MESSAGES UNSEEN)', "SELECT INBOX", "UID SEARCH RETURN (ALL COUNT) ALL UNDELETED", "UID FETCH 1 (UID RFC822.SIZE FLAGS "
                  "INTERNALDATE BODYSTRUCTURE BODY.PEEK[HEADER.FIELDS (DATE FROM TO SUBJECT CONTENT-TYPE CC REPLY-TO LIST-POST DISPOSITION-NOTIFICATION-TO "
                  "X-PRIORITY)])", "FETCH 1:1 (UID)", "UID MOVE 1 Trash", "UNSELECT"],
    "mbsync": ["CAPABILITY", "NAMESPACE", 'LIST "" "*"', 'CREATE "sync"', 'SELECT "sync"', "UID FETCH 1:2147483647 (UID FLAGS)", 'SELECT "INBOX"',
               "UID FETCH 1:4294967295 (UID FLAGS RFC822.SIZE)", "UID FETCH 4294967295:* (UID BODY.PEEK[HEADER.FIELDS (X-TUID)])", "CLOSE"],
    "imapsync": ["CAPABILITY", 'EXAMINE INBOX', "SEARCH ALL", "UID SEARCH UNDELETED", "FETCH 1:* (UID RFC822.SIZE INTERNALDATE FLAGS BODY.PEEK[HEADER.FIELDS "
                 "(Message-Id Received)])", "NOOP"],
}
odd = ("getquotaroot", "XLIST")
for name, lines in transcripts.items():
    u = 2 + list(transcripts).index(name) % 8
    Raw(sb, login=u).append("INBOX", mail)
    c = Raw(sb, login=u)
    bad = [(x, t) for x in lines for t in [c.tagged(x)] if t.startswith(b"OK") == x.startswith(odd)]
    is_(bad, [], f"{name}'s commands")
    c.close()

# ---- limits --------------------------------------------------------------------------------------------------
cs = []
for i in range(11):  # two workers of five each
    cs.append(Raw(sb))
    said = cs[-1].tagged(f"LOGIN {sb.user(9)} {sb.password}")
    if said.startswith(b"NO"):
        break
like(said, rb"^NO \[LIMIT\]", "too many connections of one user")
for c in cs:
    c.close()
ok(tm.wait_for(lambda: Raw(sb).tagged(f"LOGIN {sb.user(9)} {sb.password}").startswith(b"OK")), "until some have gone")
c = Raw(sb)
c.send("".join(f"n{i} NOOP\r\n" for i in range(120)))
like(closed(c), rb"^\* BYE", "a client that chatters and does not log in")
c = Raw(sb)
c.send("".join(f"n{i} BOGUS\r\n" for i in range(25)))
like(closed(c), rb"^\* BYE", "bad commands without end")
c = Raw(sb, login=3)
like(closed(c), rb"^\* BYE Autologout", "silence ends a session")

# ---- stored away and back ----------------------------------------------------------------------------------------
c = Raw(sb, login=4)
c.append("INBOX", mail)
c.ok("SELECT INBOX")
# A change that stored has in hand when it dies ends the session: none before it has died.
sb.kill("stored")
like(c.ok("FETCH 1 (FLAGS BODY.PEEK[])"), rb"body", "stored is away: mail can be read")
t = tm.wait_for(lambda: (lambda t: t if t.startswith(b"NO") else None)(c.tagged("STORE 1 +FLAGS (\\Flagged)")))
like(t or b"", rb"^NO \[UNAVAILABLE\]", "changes are refused until it is back")
like(c.append("INBOX", mail)[1], rb"^NO \[UNAVAILABLE\]", "APPEND too")
for cmd in ("CREATE x", "COPY 1 Trash", "EXPUNGE", "SUBSCRIBE x"):
    like(c.tagged(cmd), rb"^NO \[UNAVAILABLE\]", f"{cmd} too")
d = Raw(sb)
like(d.tagged(f"LOGIN {sb.user(4)} {sb.password}"), rb"^OK|^NO \[UNAVAILABLE\]", "a login gets an answer")
d.close()
ok(sb.restart("stored"), "stored is started again")
ok(tm.wait_for(lambda: c.tagged("STORE 1 +FLAGS (\\Flagged)").startswith(b"OK")), "and changes work by themselves")
like(c.append("INBOX", mail)[1], rb"^OK", "APPEND too")
c.start("IDLE")
c.response()
Raw(sb, login=4).append("INBOX", mail)
like([c.response()], rb"EXISTS", "and events arrive")
c.close()

# ---- passwords only over TLS ----------------------------------------------------------------------------------------
c = Raw(sb, login=5)
sb.call("down", sb.dir)
like(closed(c), rb"^\* BYE", "a daemon that stops says so")
r = sb.call("up", sb.dir, "--set", "tiermail.login.insecure_loopback=no", "--set", f"tiermail.ldap.timeout={2 * tm.SHORT:.0f}s")
if ok(r.returncode == 0, "started with passwords over TLS only"):
    c = Raw(sb)
    like(c.greeting, rb"STARTTLS LOGINDISABLED\]", "LOGINDISABLED")
    like(c.tagged(f"LOGIN {sb.user(5)} {sb.password}"), rb"^NO \[PRIVACYREQUIRED\]", "LOGIN without TLS")
    like(c.tagged("AUTHENTICATE PLAIN AHgAeQ=="), rb"^NO \[PRIVACYREQUIRED\]", "AUTHENTICATE without TLS")
    c.ok("STARTTLS")
    c.sock = Raw.context(sb).wrap_socket(c.sock, server_hostname="localhost")
    like(c.tagged(f"LOGIN {sb.user(5)} {sb.password}"), rb"^OK", "LOGIN with TLS")
    c.close()
    sb.kill("slapd")
    c = Raw(sb, tls=True)
    t = c.tagged(f"LOGIN {sb.user(6)} {sb.password}")
    like(t, rb"^NO \[UNAVAILABLE\]", "the directory is away: that is no wrong password")
    c.close()
tm.done()
