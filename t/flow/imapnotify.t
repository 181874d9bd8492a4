#!/usr/bin/env python3
"""imapd: NOTIFY (RFC 5465): what is told of which mailboxes, what a session does itself, rights that come and go,
what is too much, and what watching many folders costs.  The exchanges are in t/fixtures/transcripts/imap-notify."""
import os, re, signal
import tm
from imapraw import Raw

ok, is_ = tm.ok, tm.is_
sb = tm.Sandbox("--users", "5", "--without", "lmtpd", "--without", "jobctl", "--without", "smtp-relay", "--set", "imapd.workers=1",
                "--set", "imapd.limit.subscriptions=4000")
MESSAGE = b"Subject: hello\r\n\r\nx\r\n"
worker = sb.pids_of("imapd")[-1]
plain = re.compile(rb"(UIDVALIDITY|HIGHESTMODSEQ) \d+")


def told(c, n=1):
    return [plain.sub(rb"\1 n", c.response()) for _ in range(n)]


def silent(c, watch=b"Sign"):
    """Nothing is told before what comes now."""
    other.append(watch.decode(), MESSAGE)
    line = c.response()
    return line.startswith(b"* STATUS " + watch + b" ") or tm.diag(line)


def news(watch="Sign"):
    return f"(mailboxes {watch} (MessageNew MessageExpunge))"


a, other = Raw(sb, login=1), Raw(sb, login=1)
for box in ("Sign", "Lists", "Lists/a", "Lists/a/b", "Work", "Big"):
    other.ok(f"CREATE {box}")

# ---- which mailboxes, which events --------------------------------------------------------------------------------
for filters, hears, deaf in (
        ("(inboxes {})", ["INBOX"], ["Work", "Lists"]),
        ("(personal {})", ["INBOX", "Work", "Lists/a/b"], []),
        ("(subtree Lists {})", ["Lists", "Lists/a", "Lists/a/b"], ["Work", "INBOX"]),
        ("(subtree-one Lists {})", ["Lists", "Lists/a"], ["Lists/a/b", "Work"]),
        ("(subtree \"\" {})", ["INBOX", "Lists/a/b"], []),
        ("(mailboxes (Work lists inbox Lists/a) {})", ["Work", "INBOX", "Lists/a"], ["Lists", "Lists/a/b"]),
        ("(subscribed {})", ["INBOX"], ["Work"]),
        ("(personal {}) (subtree Lists NONE)", ["Work"], ["Lists", "Lists/a/b"])):
    a.ok("NOTIFY SET " + filters.format("(MessageNew MessageExpunge)") + " " + news())
    for box in hears:
        other.append(box, MESSAGE)
        line = told(a)[0]
        ok(re.fullmatch(rb"\* STATUS %s \(MESSAGES \d+ UIDNEXT \d+\)" % box.encode(), line), f"{filters}: {box}") or tm.diag(line)
    for box in deaf:
        other.append(box, MESSAGE)
        ok(silent(a), f"{filters}: not {box}")

a.ok("NOTIFY SET (subscribed (MessageNew MessageExpunge)) " + news())
other.ok("SUBSCRIBE Work")
other.append("Work", MESSAGE)
ok(told(a)[0].startswith(b"* STATUS Work"), "what is subscribed later")
other.ok("UNSUBSCRIBE Work")
other.append("Work", MESSAGE)
ok(silent(a), "and not what no longer is")
a.ok("NOTIFY SET (mailboxes Later (MessageNew MessageExpunge))")
other.ok("CREATE Later")
other.append("Later", MESSAGE)
is_(told(a), [b"* STATUS Later (MESSAGES 1 UIDNEXT 2)"], "a mailbox that is made later")

other.ok("SELECT Work")
a.ok("NOTIFY SET (personal (MessageNew MessageExpunge)) " + news())
other.ok("STORE 1 +FLAGS (\\Seen)")
ok(silent(a), "flags only if they are asked for")
a.ok("NOTIFY SET (personal (MessageNew MessageExpunge FlagChange)) " + news())
other.ok("STORE 1 +FLAGS (\\Deleted)")
ok(re.fullmatch(rb"\* STATUS Work \(UIDVALIDITY n UNSEEN \d+\)", told(a)[0]), "flags")
other.ok("EXPUNGE")
ok(re.fullmatch(rb"\* STATUS Work \(MESSAGES \d+ UIDNEXT \d+\)", told(a)[0]), "what is expunged")
a.ok("ENABLE CONDSTORE")
other.ok("STORE 1 +FLAGS (\\Flagged)")
ok(re.fullmatch(rb"\* STATUS Work \(UIDVALIDITY n UNSEEN \d+ HIGHESTMODSEQ n\)", told(a)[0]), "with CONDSTORE the counter is told too")
other.append("Work", MESSAGE)
ok(re.fullmatch(rb"\* STATUS Work \(MESSAGES \d+ UIDNEXT \d+ HIGHESTMODSEQ n\)", told(a)[0]), "of new messages as well")
lines = a.ok("NOTIFY SET STATUS (mailboxes (Work Lists Nowhere) (MessageNew MessageExpunge FlagChange)) (selected NONE)")
is_([plain.sub(rb"\1 n", l).split()[2] for l in lines], [b"Lists", b"Work"], "STATUS tells how things are at first")
a.ok("SELECT Work")
lines = a.ok("NOTIFY SET STATUS (mailboxes (Work Lists) (MessageNew MessageExpunge)) (selected (MessageNew MessageExpunge))")
is_([l.split()[2] for l in lines], [b"Lists"], "but for the selected one")
a.ok("UNSELECT")

# ---- names ------------------------------------------------------------------------------------------------------
a.ok("NOTIFY SET (personal (MailboxName SubscriptionChange)) " + news())
other.ok("CREATE Tree/x/y")
is_(told(a, 5), [b'* LIST (\\HasChildren) "/" Tree', b'* LIST (\\HasChildren) "/" Tree/x', b'* LIST (\\HasChildren) "/" Tree',
                 b'* LIST (\\HasNoChildren) "/" Tree/x/y', b'* LIST (\\HasChildren) "/" Tree/x'], "made, with what is above")
other.ok("RENAME Tree Root")
is_(told(a), [b'* LIST (\\HasChildren) "/" Root ("OLDNAME" (Tree))'], "renamed, without what is below")
other.ok("DELETE Root/x/y")
is_(told(a, 2), [b'* LIST (\\NonExistent) "/" Root/x/y', b'* LIST (\\HasNoChildren) "/" Root/x'], "deleted, under its new name")
other.ok("DELETE Root")
is_(told(a), [b'* LIST (\\Noselect \\HasChildren) "/" Root'], "what stays as a name")
other.ok("CREATE Root")
is_(told(a), [b'* LIST (\\HasChildren) "/" Root'], "and is made again")
other.ok("SUBSCRIBE Root")
other.ok("SUBSCRIBE \"Not there\"")
other.ok("UNSUBSCRIBE Root")
is_(told(a, 3), [b'* LIST (\\HasChildren \\Subscribed) "/" Root', b'* LIST (\\NonExistent \\Subscribed) "/" "Not there"', b'* LIST (\\HasChildren) "/" Root'], "subscriptions")
other.ok("CREATE \"Entw&APw-rfe\"")
is_(told(a), [b'* LIST (\\HasNoChildren) "/" Entw&APw-rfe'], "in modified UTF-7")
a.ok("NOTIFY SET (subtree Root (MailboxName)) " + news())
other.ok("CREATE Else")
other.ok("RENAME Else Root/else")
is_(told(a), [b'* LIST (\\HasNoChildren) "/" Root/else ("OLDNAME" (Else))'], "what is renamed into the tree, and not what is made elsewhere")

# ---- the selected mailbox ----------------------------------------------------------------------------------------
other.ok("SELECT INBOX")
other.ok("STORE 1:* +FLAGS.SILENT (\\Deleted)")
other.ok("EXPUNGE")
other.append("INBOX", MESSAGE)
c = Raw(sb, login=1)
c.ok("EXAMINE INBOX")
c.ok("NOTIFY SET (selected (MessageNew (uid body.peek[header.fields (subject)]) MessageExpunge FlagChange)) " + news())
other.append("INBOX", b"Subject: {7}\r\n\r\nx\r\n")
lines = told(c, 3)
uid = c.ok("FETCH 2 (UID)")[0].split()[-1][:-1]
is_([lines[0], lines[2]], [b"* 2 EXISTS", b"* 2 FETCH (UID " + uid + b" BODY[HEADER.FIELDS (subject)] {16}\r\nSubject: {7}\r\n\r\n)"], "a new message with its data items")
other.ok("STORE 1 +FLAGS.SILENT (\\Flagged)")
ok(re.fullmatch(rb"\* 1 FETCH \(UID \d+ FLAGS \(.*\\Flagged.*\)\)", told(c)[0]), "flags, with the UID")
other.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
told(c)
other.ok("EXPUNGE")
is_(told(c), [b"* 1 EXPUNGE"], "expunged at once")
lines = c.append("INBOX", MESSAGE)[0]
is_([l for l in lines if b"FETCH" in l], [], "what it appends itself is no news")
ok(silent(c), "not later either")
other.append("Work", MESSAGE)
ok(silent(c), "nor is a mailbox that is not named")
c.ok("NOTIFY SET (selected-delayed (MessageNew MessageExpunge)) " + news())
other.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
other.ok("EXPUNGE")
ok(silent(c), "SELECTED-DELAYED: no EXPUNGE by itself")
is_(c.ok("NOOP"), [b"* 1 EXPUNGE"], "but with a command that allows it")
other.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
c.send(b"i IDLE\r\n")
c.response()
other.ok("EXPUNGE")
lines = told(c)
c.send(b"DONE\r\n")
is_((lines, c.finish(b"i")[1][:2]), ([b"* 1 EXPUNGE"], b"OK"), "and in IDLE")
other.append("INBOX", MESSAGE)
other.append("INBOX", MESSAGE)
is_(told(c, 4)[-2], b"* 2 EXISTS", "new messages come")
other.ok("STORE 1:2 +FLAGS.SILENT (\\Flagged)")
ok(silent(c), "flags do not, when they are not asked for")
ok(any(b"Flagged" in l for l in c.ok("NOOP")), "but with a command")
c.ok("NOTIFY SET (selected NONE) " + news())
other.append("INBOX", MESSAGE)
other.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
other.ok("UID EXPUNGE 1:*")
ok(silent(c), "SELECTED NONE: nothing by itself")
is_([l for l in c.ok("UID SEARCH ALL") + c.ok("UID FETCH 1:* (UID)") if b"EXISTS" in l or b"EXPUNGE" in l], [], "nor with commands that only look: a snapshot")
c.send(b"i IDLE\r\nDONE\r\n")
is_(c.finish(b"i")[0], [b"+ idling"], "nor in IDLE")
is_([l for l in c.ok("NOOP") if b"RECENT" not in l and b"FETCH" not in l], [b"* 1 EXPUNGE", b"* 2 EXISTS"], "NOOP tells all of it")
c.ok("ENABLE QRESYNC")
c.ok("NOTIFY SET (selected (MessageNew (uid flags) MessageExpunge FlagChange))")
other.append("INBOX", MESSAGE)
ok(re.fullmatch(rb"\* 3 FETCH \(UID \d+ MODSEQ \(\d+\) FLAGS \(.*\)\)", told(c, 3)[2]), "with CONDSTORE data items have their MODSEQ")
other.ok("STORE 3 +FLAGS.SILENT (\\Deleted)")
told(c)
other.ok("EXPUNGE")
ok(re.fullmatch(rb"\* VANISHED \d+", told(c)[0]), "with QRESYNC it is VANISHED")
c.ok("SELECT Big")
other.append("Big", MESSAGE)
is_(told(c, 3)[0], b"* 1 EXISTS", "it is whatever is selected then")
c.ok("UNSELECT")
c.close()

# ---- annotations ---------------------------------------------------------------------------------------------------
a.ok("NOTIFY SET (mailboxes (Work Lists) (MailboxMetadataChange)) " + news())
other.ok('SETMETADATA Big (/private/comment "b")')
other.ok('SETMETADATA Work (/private/comment "w" /shared/comment "w")')
is_(told(a), [b"* METADATA Work /shared/comment /private/comment"], "annotations of mailboxes that are meant")
other.ok('SETMETADATA "" (/private/comment "s")')
a.ok('SETMETADATA Work (/private/comment "mine")')
ok(silent(a), "not the server's, nor its own")
a.ok("NOTIFY SET (mailboxes Lists (ServerMetadataChange)) " + news())
other.ok('SETMETADATA Work (/private/comment NIL)')
other.ok('SETMETADATA "" (/private/comment NIL)')
is_(told(a), [b'* METADATA "" /private/comment'], "the server's")
a.ok("ENABLE METADATA")
a.ok("NOTIFY SET (personal (MailboxMetadataChange)) " + news())
other.ok('SETMETADATA Lists (/private/comment "l")')
is_(told(a), [b"* METADATA Lists /private/comment"], "once, when METADATA is enabled")
is_(a.ok("NOOP"), [], "and not again")

# ---- what it does itself ---------------------------------------------------------------------------------------
a.ok("NOTIFY SET (personal (MessageNew MessageExpunge MailboxName SubscriptionChange))")
a.ok("CREATE Mine/x")
a.ok("RENAME Mine/x Mine/y")
a.append("Mine/y", MESSAGE)
a.ok("SELECT Mine/y")
a.ok("COPY 1 Work")
a.ok("UNSELECT")
a.ok("SUBSCRIBE Mine/y")
a.ok("DELETE Mine/y")
ok(silent(a), "a session does not hear of what it does itself")
other.ok("CREATE Mine/x")
is_(told(a)[0], b'* LIST (\\HasNoChildren) "/" Mine/x', "but when another does the same")
told(a)

# ---- while something else goes on ------------------------------------------------------------------------------------
other.append("Big", b"Subject: big\r\n\r\n" + (b"y" * 70 + b"\r\n") * 100000)
told(a)
a.ok("SELECT Big")
a.start("FETCH 1:2 (BODY.PEEK[])")
for n in range(300):
    other.append("Work" if n % 3 else "Lists", MESSAGE)
lines, tagged = a.finish()
is_((tagged, [len(l) > 7000000 for l in lines if b"FETCH" in l]), (b"OK FETCH completed", [False, True]), "an answer in hand stays whole")
other.append("Sign", MESSAGE)
said = []
while not said or b"Sign" not in said[-1]:
    said += told(a)
ok({l.split()[2] for l in said} == {b"Work", b"Lists", b"Sign"} and len(said) < 300, "what has come meanwhile is told behind it, joined") or tm.diag(said)
a.ok("UNSELECT")

# ---- rights ------------------------------------------------------------------------------------------------------
one, two = sb.user(1), sb.user(2)
g = Raw(sb, login=2)
W = f"Shared Folders/User/{one}/"
events = "(MessageNew MessageExpunge MailboxName)"
is_(g.ok(f'NOTIFY SET (subtree "Shared Folders" {events})'), [], "nobody shares anything")
other.ok(f"SETACL Work {two} l")
is_(told(g), [b'* LIST (\\HasNoChildren) "/" "%sWork"' % W.encode()], "a mailbox comes into sight")
other.append("Work", MESSAGE)
other.ok(f"SETACL Lists {two} lr")
is_(told(g), [b'* LIST (\\HasNoChildren) "/" "%sLists"' % W.encode()], "children that may not be looked at are none; who may not read hears nothing of messages; another comes into sight")
other.append("Lists", MESSAGE)
ok(told(g)[0].startswith(b'* STATUS "%sLists" (MESSAGES ' % W.encode()), "who may hears of them")
is_(g.ok(f'NOTIFY SET (mailboxes ("{W}Work" "{W}Lists" "{W}Big") {events})'), [b'* LIST (\\NoAccess) "/" "%sWork"' % W.encode()], "\\NoAccess: it can be listed and not read")
other.ok(f"SETACL Work {two} lr")
other.append("Work", MESSAGE)
ok(told(g)[0].startswith(b'* STATUS "%sWork" ' % W.encode()), "a right that is given later")
other.ok(f"SETACL Work {two} l")
other.append("Work", MESSAGE)
other.append("Big", MESSAGE)
other.append("Lists", MESSAGE)
ok(told(g)[0].startswith(b'* STATUS "%sLists"' % W.encode()), "and taken away: silence")
other.ok(f"DELETEACL Work {two}")
is_(told(g), [b'* LIST (\\NonExistent) "/" "%sWork"' % W.encode()], "out of sight")
other.ok("RENAME Lists Lists2")
other.ok(f"SETACL Big {two} lr")
g.close()
g = Raw(sb, login=2)
g.ok(f'NOTIFY SET (subtree "Shared Folders" {events})')
other.ok("RENAME Lists2 Lists")
is_(told(g), [b'* LIST (\\HasNoChildren) "/" "%sLists" ("OLDNAME" ("%sLists2"))' % (W.encode(), W.encode())], "a shared mailbox is renamed")
other.ok("DELETE Big")
is_(told(g), [b'* LIST (\\NonExistent) "/" "%sBig"' % W.encode()], "and deleted")
other.ok(f"CREATE Lists/new")
is_(told(g, 2), [b'* LIST (\\HasNoChildren) "/" "%sLists/new"' % W.encode(), b'* LIST (\\HasChildren) "/" "%sLists"' % W.encode()], "and made below one that is shared")
other.ok("CREATE Big")
third = Raw(sb, login=3)
third.ok("CREATE Club")
third.ok(f"SETACL Club {two} lr")
third.append("Club", MESSAGE)
is_([l.split(b'"/" ')[-1].split(b" (")[0].split(b"STATUS ")[-1] for l in told(g, 2)], [b'"Shared Folders/User/%s/Club"' % sb.user(3).encode()] * 2, "somebody begins to share")
fourth = Raw(sb, login=4)
fourth.ok("CREATE Full")
fourth.append("Full", MESSAGE)
fourth.ok(f"SETACL Full {two} lr")
full = b'"Shared Folders/User/%s/Full"' % sb.user(4).encode()
is_(told(g, 2), [b'* LIST (\\HasNoChildren) "/" ' + full, b'* STATUS ' + full + b' (MESSAGES 1 UIDNEXT 2)'], "or shares what has messages already")
fourth.close()
g.ok(f'SUBSCRIBE "Shared Folders/User/{sb.user(3)}/Club"')
g.ok("NOTIFY SET (subscribed (MessageNew MessageExpunge))")
other.append("Lists", MESSAGE)
third.append("Club", MESSAGE)
ok(told(g)[0].startswith(b'* STATUS "Shared Folders/User/%s/Club"' % sb.user(3).encode()), "others' mailboxes that are subscribed, and no others")
third.close()
g.close()

# ---- stored goes and comes -----------------------------------------------------------------------------------------
a.ok("NOTIFY SET (personal (MessageNew MessageExpunge MailboxName))")
sb.restart("stored")
while not other.tagged("CREATE After").startswith(b"OK"):
    pass
is_(told(a), [b'* LIST (\\HasNoChildren) "/" After'], "after stored has been away")

# ---- what is too much ------------------------------------------------------------------------------------------------
names = " ".join(f"x{n}" for n in range(1000))
a.ok("NOTIFY SET (personal (MessageNew MessageExpunge MailboxName SubscriptionChange))")
ok(a.tagged(f"NOTIFY SET (mailboxes ({names}) {events}) (subtree ({names}) {events})").startswith(b"NO [NOTIFICATIONOVERFLOW]"), "too many names")
other.ok("CREATE Still")
is_(told(a), [b'* LIST (\\HasNoChildren) "/" Still'], "what was asked for before holds")
for bad in ("NOTIFY", "NOTIFY SET", "NOTIFY SET STATUS", "NOTIFY NONE x", "NOTIFY SET (personal)", "NOTIFY SET (personal ())", "NOTIFY SET (personal MessageNew)",
            "NOTIFY SET (personal (MessageNew))", "NOTIFY SET (personal (MessageExpunge))", "NOTIFY SET (personal (FlagChange))", "NOTIFY SET (personal (AnnotationChange))",
            "NOTIFY SET (selected (MailboxName))", "NOTIFY SET (personal (MessageNew (uid) MessageExpunge))", "NOTIFY SET (selected (MessageNew () MessageExpunge))",
            "NOTIFY SET (selected (MessageNew (uid) (changedsince 1) MessageExpunge))",
            "NOTIFY SET (selected NONE) (selected-delayed NONE)", "NOTIFY SET (nothing NONE)", "NOTIFY SET (mailboxes () NONE)"):
    ok(a.tagged(bad).startswith(b"BAD"), f"BAD: {bad}")
for event in ("AnnotationChange", "Weather"):
    ok(a.tagged(f"NOTIFY SET (personal (MessageNew MessageExpunge {event}))").startswith(b"NO [BADEVENT (MessageNew MessageExpunge FlagChange MailboxName SubscriptionChange MailboxMetadataChange ServerMetadataChange)]"), f"not offered: {event}")
a.ok("SELECT Big")
other.append("Big", b"Subject: big\r\n\r\n" + (b"y" * 70 + b"\r\n") * 100000)
a.ok("NOOP")
a.start("FETCH 1:* (BODY.PEEK[] BODY.PEEK[]<1.9000000>)")
NAMES = 1100
other.send(b"".join(b"s%d SUBSCRIBE Many/%d\r\n" % (n, n) for n in range(NAMES)))
other.finish(b"s%d" % (NAMES - 1))             # nothing of it can be told while the answer is not read
a.finish(a.tag)
line = b""
while b"NOTIFICATIONOVERFLOW" not in line:
    line = a.response()
is_(line[:27], b"* OK [NOTIFICATIONOVERFLOW]", "what is too much is told, and ends it")
other.append("Work", MESSAGE)
is_([l for l in a.ok("NOOP") if b"STATUS" in l or b"LIST" in l], [], "as NOTIFY NONE would")
a.ok("NOTIFY SET (personal (MessageNew MessageExpunge MailboxName)) (selected NONE)")
other.append("Work", MESSAGE)
ok(told(a)[0].startswith(b"* STATUS Work"), "and it can begin again")

# ---- the end of a session, and what is counted ---------------------------------------------------------------------
for n in range(20):
    d = Raw(sb, login=1)
    d.send(b"n NOTIFY SET STATUS (personal (MessageNew MessageExpunge FlagChange MailboxName SubscriptionChange)) (selected (MessageNew (body.peek[]) MessageExpunge))\r\ns SELECT Big\r\n")
    if n % 2:
        d.finish(b"n")
    d.close()
a.ok("NOTIFY NONE")
other.append("Work", MESSAGE)
is_(a.ok("NOOP"), [], "NOTIFY NONE")

# ---- many folders -----------------------------------------------------------------------------------------------------
few, many = Raw(sb, login=4), Raw(sb, login=5)
m = Raw(sb, login=5)
f = Raw(sb, login=4)
BOXES = 500
for n in range(BOXES):
    m.ok(f"CREATE Box/{n:04}")
want = "NOTIFY SET (personal (MessageNew MessageExpunge FlagChange MailboxName))"
few.ok(want)
many.ok(want)
m.ok("SELECT INBOX")
f.ok("SELECT INBOX")


def cost(by, who):
    """The worker's time for a hundred messages that are told"""
    at = tm.cpu(worker)
    for _ in range(100):
        by.append("INBOX", MESSAGE)
        told(who)
    return tm.cpu(worker) - at


# In turns, and the least of each: what others do to the processor's caches comes and goes.
little = much = 1e9
for _ in range(12):
    little = min(little, cost(f, few))
    much = min(much, cost(m, many))
    if much < little * 1.5:
        break
ok(much < little * 1.5, f"watching {BOXES} folders costs no more for a change than watching 6") or tm.diag((little, much))
tm.diag(f"100 changes: {little:.3f} s of the worker, {much:.3f} s with {BOXES} folders")
tm.done()
