#!/usr/bin/env python3
"""NOTIFY and searches that are followed, said to us and to Debian's Dovecot: every difference is one of DIFFERENT, which
quotes the sentence that decides."""
import re
import dovecot, tm
from imapraw import Raw

# A regular expression of what is done: reason.  Dovecot tells of other mailboxes at once, of the selected one when it polls.
DIFFERENT = {
    r"NOTIFY SET|NOTIFY SET \(nothing NONE\)": "RFC 5465 8: event-groups has one at least, and filter-mailboxes is one of seven",
    r"NOTIFY SET \(personal \((MessageNew|FlagChange)\)\)": "RFC 5465 5: MessageNew without MessageExpunge, FlagChange without both: \"MUST respond with the tagged BAD\"",
    r"NOTIFY SET \(selected \(MailboxName\)\)": "RFC 5465 8: \"Only <message-event>s are allowed in <events> when <filter-mailboxes-selected> is used\"",
    r"NOTIFY SET \(personal \(Weather\)\)": "RFC 5465 3.1: \"If the client requests information for events of an unsupported type, the server MUST refuse the command with a tagged NO response (not a BAD)\"",
    r"NOTIFY SET STATUS .*": "RFC 5465 3.1: MESSAGES, UIDNEXT and UIDVALIDITY, with flags HIGHESTMODSEQ; UNSEEN is beside that, and INBOX the only one of inboxes",
    r"append to Watched|append to Other": "RFC 5465 5.2: \"an unsolicited STATUS (UIDNEXT MESSAGES) response\", HIGHESTMODSEQ when CONDSTORE is enabled",
    r"flag in Watched": "RFC 5465 5.1: without CONDSTORE it is UNSEEN that is told",
    r"expunge in Watched": "RFC 5465 5.3: the same as of new messages",
    r"create Tree/a/b": "RFC 5465 5.4: \"the mailbox itself and its direct parent\"; here superiors are mailboxes",
    r"rename Tree/a Tree/c": "RFC 5465 5.4: \"When a mailbox is renamed, its children are renamed too. No additional MailboxName events are sent for children\"",
    r"delete Tree/c/b": "RFC 5465 5.4: the direct parent is affected",
    r"subscribe Tree/c": "the parent is a mailbox here",
    r"own append to Other": "RFC 5465 5: \"The server SHOULD omit notifying the client if the event is caused by this client\"",
    r"NOOP behind a snapshot": "RFC 3501 6.1.2: NOOP is the poll for new messages and status updates",
    r"NOOP after NONE": "the same",
}
MESSAGE = b"Subject: one\r\n\r\nx\r\n"


def plain(line):
    m = re.match(rb"\* STATUS (\S+) \((.*)\)$", line)
    if m:
        words = m[2].split()
        return b"STATUS " + m[1] + b" " + b" ".join(sorted(w + b" " + (b"n" if w in (b"UIDVALIDITY", b"HIGHESTMODSEQ") else v) for w, v in zip(words[::2], words[1::2])))
    return re.sub(rb'TAG "[^"]*"', b"TAG", line)


def session(who):
    said = []
    a, b = Raw(who, login=1), Raw(who, login=1)
    for box in ("Watched", "Other", "Tree", "Sign"):
        b.ok("CREATE " + box)

    def run(command, name=None):
        lines, tagged = a.cmd(command)
        m = re.match(rb"(\w+)(?: \[(BADEVENT|NOTIFICATIONOVERFLOW))?", tagged)
        said.append((name or command, [plain(l) for l in lines if not re.match(rb"\* (OK|FLAGS|\d+ RECENT)", l)], m[1], m[2]))

    def hear(name, *commands):
        """What is told of it, up to a message in a mailbox that is watched for that"""
        for c in commands:
            c() if callable(c) else b.ok(c)
        b.append("Sign", MESSAGE)
        lines = []
        tm.wait_for(lambda: lines.extend(a.ok("NOOP")) or any(l.startswith(b"* STATUS Sign") for l in lines), what=name)
        said.append((name, [plain(l) for l in lines if not l.startswith(b"* STATUS Sign")], b"OK", None))

    for command in ("NOTIFY", "NOTIFY NONE", "NOTIFY SET", "NOTIFY SET (personal)", "NOTIFY SET (personal ())", "NOTIFY SET (personal (MessageNew))", "NOTIFY SET (personal (FlagChange))",
                    "NOTIFY SET (selected (MailboxName))", "NOTIFY SET (personal (MessageNew (UID) MessageExpunge))", "NOTIFY SET (personal (MessageNew MessageExpunge AnnotationChange))",
                    "NOTIFY SET (personal (Weather))", "NOTIFY SET (nothing NONE)", "NOTIFY SET (mailboxes (Watched Other) NONE)", "NOTIFY SET STATUS (inboxes (MessageNew MessageExpunge))",
                    "NOTIFY SET STATUS (mailboxes (Watched None) (MessageNew MessageExpunge FlagChange)) (selected NONE)"):
        run(command)
    run("NOTIFY SET (mailboxes Watched (MessageNew MessageExpunge FlagChange)) (subtree Tree (MailboxName SubscriptionChange)) (mailboxes Sign (MessageNew MessageExpunge))")
    hear("append to Other, which nobody watches", lambda: b.append("Other", MESSAGE))
    hear("append to Watched", lambda: b.append("Watched", MESSAGE))
    b.ok("SELECT Watched")
    hear("flag in Watched", "STORE 1 +FLAGS.SILENT (\\Seen)")
    hear("expunge in Watched", "STORE 1 +FLAGS.SILENT (\\Deleted)", "EXPUNGE")
    hear("create Tree/a/b", "CREATE Tree/a/b")
    hear("rename Tree/a Tree/c", "RENAME Tree/a Tree/c")
    hear("delete Tree/c/b", "DELETE Tree/c/b")
    hear("create outside of the tree", "CREATE Elsewhere")
    hear("subscribe Tree/c", "SUBSCRIBE Tree/c")
    hear("subscribe outside of the tree", "SUBSCRIBE Elsewhere")
    run("NOTIFY SET (mailboxes Other (MessageNew MessageExpunge)) (mailboxes Sign (MessageNew MessageExpunge))")
    hear("own append to Other", lambda: a.append("Other", MESSAGE))
    b.append("Watched", MESSAGE)
    a.ok("SELECT Watched")
    run("NOTIFY SET (selected NONE)")
    b.append("Watched", MESSAGE)
    run("NOOP", "NOOP behind a snapshot")
    run("NOTIFY NONE")
    b.append("Watched", MESSAGE)
    run("NOOP", "NOOP after NONE")
    run("NOTIFY SET (selected (MessageNew MessageExpunge FlagChange))")
    run("UID SEARCH RETURN (UPDATE COUNT) UNSEEN")
    followed = a.tag.decode()
    b.append("Watched", MESSAGE)
    run("NOOP", "NOOP behind a new message")
    run('CANCELUPDATE "none"')
    run(f'CANCELUPDATE "{followed}"', "CANCELUPDATE")
    return said


sb = tm.Sandbox("--users", "1", "--without", "lmtpd", "--without", "jobctl", "--without", "smtp-relay")
ours, theirs, used = session(sb), session(dovecot.Peer()), set()
tm.is_([x[0] for x in ours], [x[0] for x in theirs], "both are asked the same")
for us, them in zip(ours, theirs):
    reason = next((k for k in DIFFERENT if re.fullmatch(k, us[0])), None)
    if us != them and reason:
        used.add(reason)
        tm.diag(f"{us[0]}: {DIFFERENT[reason]}")
    elif not tm.ok(us == them, us[0]):
        tm.diag(f"here: {us[1:]}\nthere: {them[1:]}")
tm.is_(sorted(set(DIFFERENT) - used), [], "every difference that is listed is one")
tm.done()
