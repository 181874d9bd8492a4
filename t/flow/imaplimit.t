#!/usr/bin/env python3
"""imapd: MESSAGELIMIT (RFC 9738): commands that work on the messages with the highest UIDs and say so, commands that are
done whole or not at all, UIDAFTER and UIDBEFORE, and a client that goes on where it was told."""
import re
import tm
from imapraw import Raw

ok, is_ = tm.ok, tm.is_
LIMIT = 5
sb = tm.Sandbox("--users", "3", "--without", "lmtpd", "--without", "jobctl", "--without", "smtp-relay", "--set", "imapd.workers=1",
                "--set", f"imapd.limit.messages={LIMIT}")
a = Raw(sb, login=1)
ok(f"MESSAGELIMIT={LIMIT}".encode() in a.ok("CAPABILITY")[0].split(), "it is offered")
ok(b"MESSAGELIMIT" not in Raw(sb).greeting, "after the login")
MESSAGE = b"Subject: x\r\n\r\nx\r\n"
for n in range(15):
    a.append("INBOX", MESSAGE)
a.ok("SELECT INBOX")
a.ok("STORE 2 +FLAGS.SILENT (\\Deleted)")
a.ok("EXPUNGE")                                # 14 messages, UIDs 1, 3 .. 15


def numbers(lines, word):
    return [int(m[1]) for l in lines if (m := re.match(rb"\* (\d+) " + word, l))]


def did(command, word=b"FETCH"):
    """What a command works on, and its code: (limit, uid) or None."""
    lines, tagged = a.cmd(command)
    code = next((m for l in [tagged] + lines if (m := re.search(rb"\[MESSAGELIMIT (\d+)(?: (\d+))?\]", l))), None)
    return tagged[:2].decode(), numbers(lines, word), code and tuple(int(g) for g in code.groups() if g)


is_(did("FETCH 1:* (FLAGS)"), ("OK", [10, 11, 12, 13, 14], (5, 11)), "FETCH: the last ones")
is_(did("FETCH 1:5 (FLAGS)"), ("OK", [1, 2, 3, 4, 5], None), "no more than the limit: all, and no code")
is_(did("UID FETCH 1:9 (FLAGS)"), ("OK", [4, 5, 6, 7, 8], (5, 5)), "UID FETCH")
is_(did("UID FETCH 1:5 (FLAGS)"), ("OK", [1, 2, 3, 4], None), "UIDs that are not there do not count")
is_(did("UID FETCH 1:3,5,7,9:11 (FLAGS)"), ("OK", [4, 6, 8, 9, 10], (5, 5)), "a set with holes")
seen, below = [], 16
while below > 1:                               # a client that goes on
    lines, tagged = a.cmd(f"UID FETCH 1:{below - 1} (FLAGS)")
    seen = numbers(lines, b"FETCH") + seen
    m = re.search(rb"MESSAGELIMIT 5 (\d+)", tagged)
    below = int(m[1]) if m else 0
is_(seen, list(range(1, 15)), "goes on below what it was told, and has seen each once")
is_(did("FETCH 1:* (FLAGS BODY[])")[1], [10, 11, 12, 13, 14], "BODY[]")
is_(len(a.ok("SEARCH RETURN (COUNT) UID 1:10 SEEN")) and did("SEARCH UID 1:10 SEEN", b"x")[0], "OK", "which are the only ones that are seen now")
is_([l for l in a.ok("UID SEARCH UID 1:10 SEEN")], [b"* SEARCH"], "and no others")
is_(did("UID FETCH 1:* (FLAGS) (PARTIAL 1:3)"), ("OK", [1, 2, 3], None), "a page of FETCH")
is_(did("UID FETCH 1:* (FLAGS) (PARTIAL -1:-6)"), ("NO", [], (5,)), "one that is too long")

is_(did("STORE 1:* +FLAGS (\\Flagged)"), ("OK", [10, 11, 12, 13, 14], (5, 11)), "STORE")
lines, tagged = a.cmd("STORE 1:* +FLAGS.SILENT (\\Answered)")
is_((lines, tagged), ([], b"OK [MESSAGELIMIT 5 11] STORE completed"), "STORE, silent")
is_(a.ok("UID SEARCH RETURN (ALL) UIDAFTER 10 UNANSWERED"), [b'* ESEARCH (TAG "%s") UID' % a.tag], "all of those are done")
is_(a.ok("UID SEARCH RETURN (ALL) UIDBEFORE 6 ANSWERED"), [b'* ESEARCH (TAG "%s") UID' % a.tag], "and nothing below")
lines, tagged = a.cmd("STORE 1:* (UNCHANGEDSINCE 1) -FLAGS.SILENT (\\Answered)")
is_(([l for l in lines if b"LIMIT" in l], tagged[:17]), ([b"* NO [MESSAGELIMIT 5 11] The lowest UIDs were left out"], b"OK [MODIFIED 10:1"), "beside another code: before the answer")

for what, command, found, uid in (
        ("SEARCH", "UID SEARCH ALL", "11 12 13 14 15", 11),
        ("of numbers", "SEARCH ALL", "10 11 12 13 14", 11),
        ("what is looked at counts, not what is found", "UID SEARCH UNFLAGGED", "", 11),
        ("UIDBEFORE", "UID SEARCH UIDBEFORE 11 UNFLAGGED", "6 7 8 9 10", 6),
        ("as a client goes on", "UID SEARCH UIDBEFORE 6 ALL", "1 3 4 5", None),
        ("UIDAFTER", "UID SEARCH UIDAFTER 10 ALL", "11 12 13 14 15", None),
        ("both", "UID SEARCH UIDAFTER 3 UIDBEFORE 8", "4 5 6 7", None),
        ("with a set", "UID SEARCH UID 1:9 UIDAFTER 4 UIDBEFORE 8", "5 6 7", None),
        ("above all", "UID SEARCH UIDAFTER 15", "", None),
        ("above the largest UID", "UID SEARCH UIDAFTER 4294967295", "", None),
        ("below the first", "UID SEARCH UIDBEFORE 1", "", None),
        ("inside others they are keys like any", "UID SEARCH UID 1:4 NOT UIDAFTER 3", "1 3", None)):
    lines, tagged = a.cmd(command)
    is_((lines, tagged), ([f"* SEARCH {found}".strip().encode()], (f"OK [MESSAGELIMIT 5 {uid}] " if uid else "OK ").encode() + (b"UID " if command[0] == "U" else b"") + b"SEARCH completed"), f"{what}: {command}")
for bad in ("UID SEARCH UIDAFTER", "UID SEARCH UIDAFTER 0", "UID SEARCH UIDBEFORE 1:2"):
    ok(a.tagged(bad).startswith(b"BAD"), f"BAD: {bad}")
a.ok("UID SEARCH RETURN (SAVE) ALL")
is_(numbers(a.ok("FETCH $ (UID)"), b"FETCH"), [10, 11, 12, 13, 14], "$ has what was looked at")
ok(any(b"NOUPDATE" in l for l in a.ok("UID SEARCH RETURN (UPDATE COUNT) ALL")), "and is not followed")
ok(re.search(rb"MAILBOX INBOX UIDVALIDITY \d+\) UID COUNT 14$", b"".join(a.ok("ESEARCH IN (personal) RETURN (COUNT) ALL"))), "ESEARCH has no limit")

for command in ("SORT (SIZE) UTF-8 ALL", "UID SORT RETURN (COUNT) (SIZE) UTF-8 ALL", "THREAD REFERENCES UTF-8 ALL", "COPY 1:* Trash", "UID COPY 1:9 Trash"):
    lines, tagged = a.cmd(command)
    ok(tagged.startswith(b"NO [MESSAGELIMIT 5 ") and lines == [], f"refused: {command}") or tm.diag((lines, tagged))
ok(a.tagged("UID SORT (SIZE) UTF-8 UIDAFTER 10").startswith(b"OK"), "SORT of few")
is_(a.ok("STATUS Trash (MESSAGES)"), [b"* STATUS Trash (MESSAGES 0)"], "nothing was copied")
got = a.tagged(b"APPEND Trash " + b" ".join(b"{%d+}\r\n%s" % (len(MESSAGE), MESSAGE) for _ in range(6)))
ok(got.startswith(b"NO [MESSAGELIMIT 5]"), "nor are six appended at once") or tm.diag(got)
ok(a.tagged(b"APPEND Trash " + b" ".join(b"{%d+}\r\n%s" % (len(MESSAGE), MESSAGE) for _ in range(5))).startswith(b"OK"), "but five are")

b = Raw(sb, login=1)                           # without CONDSTORE there is no other code
b.ok("SELECT INBOX")
lines, tagged = b.cmd("MOVE 1:* Trash")
is_((numbers(lines, b"EXPUNGE"), tagged), ([14, 13, 12, 11, 10], b"OK [MESSAGELIMIT 5 11] MOVE completed"), "MOVE moves the last ones")
a.ok("NOOP")
b.ok("STORE 1:5 +FLAGS.SILENT (\\Deleted)")
b.ok("STORE 6:9 +FLAGS.SILENT (\\Deleted)")
lines, tagged = a.cmd("UID EXPUNGE 1:*")
is_((sorted(numbers(lines, b"EXPUNGE")), [l for l in lines if b"LIMIT" in l], tagged[:18]), ([5, 6, 7, 8, 9], [b"* NO [MESSAGELIMIT 5 6] The lowest UIDs were left out"], b"OK [HIGHESTMODSEQ "), "UID EXPUNGE")
ok(a.tagged("UID EXPUNGE 1:*").startswith(b"OK [HIGHESTMODSEQ"), "and the rest")
for n in range(7):
    b.append("INBOX", MESSAGE)
b.ok("NOOP")
b.ok("STORE 1:4 +FLAGS.SILENT (\\Deleted)")
b.ok("STORE 4:7 +FLAGS.SILENT (\\Deleted)")
is_(numbers(b.ok("EXPUNGE"), b"EXPUNGE"), [7, 6, 5, 4, 3, 2, 1], "EXPUNGE has no limit")
for n in range(7):
    b.append("INBOX", MESSAGE)
b.ok("NOOP")
a.ok("SELECT INBOX")
b.ok("STORE 6 +FLAGS.SILENT (\\Deleted)")
b.ok("EXPUNGE")
lines, tagged = a.cmd("FETCH 1:* (FLAGS BODY.PEEK[])")
is_((tagged[:18], [re.sub(rb"\d+\]", b"n]", l) for l in lines if b"LIMIT" in l]), (b"NO [EXPUNGEISSUED]", [b"* NO [MESSAGELIMIT 5 n] The lowest UIDs were left out"]),
    "FETCH that misses one says what it has not looked for") or tm.diag((lines, tagged))
tm.done()
