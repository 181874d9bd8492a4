#!/usr/bin/env python3
"""storectl undelete: what was expunged comes back once, dated as before; what was moved or purged does not."""
import imaplib, json, time
import tm

sb = tm.Sandbox("--users", "2", "--without", "lmtpd", "--without", "jobctl", "--without", "smtp-relay", "--without", "pop3d",
                "--without", "mmpd", "--set", "stored.cleanup_age=1h", "--set", "imapd.workers=1")
ME = f"{sb.user(1)}@{sb.domain}"


def text(i):
    return f"From: a@b.test\r\nSubject: number {i}\r\nMessage-ID: <{i}@x.test>\r\n\r\nbody {i}\r\n".encode()


def undelete(*args):
    r = sb.tool("storectl", "undelete", "--json", *args, ME)
    return r.returncode, next((json.loads(l) for l in r.stdout.splitlines() if "summary" in l), None), r.stderr


def numbers(*names, rc=0, **want):
    """What the last run says, of those fields."""
    return {**dict.fromkeys(("restored", "there", "elsewhere", "purged", "homeless", "failed"), 0), **want}


def is_(got, what, **want):
    rc, total, err = got
    tm.is_((rc, {k: v for k, v in (total or {}).items() if k not in ("summary", "bytes")}), (0, numbers(**want)), what) or tm.diag(err)


def subjects(folder):
    c = sb.imap(1)
    if c.select(f'"{folder}"', readonly=True)[0] != "OK":
        return None
    got = c.fetch("1:*", "(UID INTERNALDATE FLAGS BODY[HEADER.FIELDS (SUBJECT)])")[1]
    c.logout()
    return [d[1].decode().split("number ")[1].strip() for d in got if isinstance(d, tuple)]


c = sb.imap(1)
when = imaplib.Time2Internaldate(1000000000)
for i in range(1, 9):
    c.append("INBOX", "\\Seen", when, text(i))
c.append("INBOX", None, when, text(8))
c.select("INBOX")
c.copy("3", "Archive")
c.uid("MOVE", "4", "Archive")
c.create("Gone")
c.uid("COPY", "5", "Gone")
c.store("1:4", "+FLAGS", "\\Deleted")   # 1 2 3 5
c.expunge()
c.store("3:4", "+FLAGS", "\\Deleted")   # both of 8
c.expunge()
c.logout()
tm.is_(subjects("INBOX"), ["6", "7"], "what is left")
is_(undelete("--dry-run"), "a dry run", restored=4, elsewhere=3)
tm.is_(subjects("INBOX"), ["6", "7"], "changes nothing")
is_(undelete(), "the same in earnest: two that are in Archive, one that has a copy, stay", restored=4, elsewhere=3)
tm.is_(subjects("INBOX"), ["6", "7", "1", "2", "8", "8"], "two equal ones are two")
c = sb.imap(1)
c.select("INBOX", readonly=True)
tm.is_([imaplib.Internaldate2tuple(d) == time.localtime(1000000000) for d in c.fetch("1:*", "INTERNALDATE")[1]], [True] * 6, "with their dates")
tm.is_([b"Seen" in d for d in c.fetch("1:*", "FLAGS")[1]], [True, True, False, False, False, False], "without flags, which are not kept")
tm.is_(c.fetch("3", "BODY[]")[1][0][1], text(1), "octet by octet")
tm.is_(len(set(c.uid("SEARCH", "ALL")[1][0].split())), 6, "under new UIDs")
c.logout()
is_(undelete(), "again: they are there already", there=4, elsewhere=3)

# ---- a folder that is deleted
c = sb.imap(1)
c.select("INBOX")
c.delete("Gone")
c.logout()
c = sb.imap(1)
c.append("Trash", None, when, text(20))
c.select("Trash")
c.store("1", "+FLAGS", "\\Deleted")
c.expunge()
c.create("Away")
c.append("Away", None, when, text(21))
c.delete("Away")
c.logout()
got = undelete("--folder", "Trash")
is_(got, "one folder alone", restored=1)
got = undelete("--all", "--to", "Back/Here")
tm.ok(got[0] == 0 and got[1]["restored"] >= 5, "all of them into another folder, made for it") or tm.diag(got)
tm.ok({"1", "2", "3", "4", "5", "8", "20"} <= set(subjects("Back/Here") or []), "those too that are elsewhere") or tm.diag(subjects("Back/Here"))
tm.ok("21" in (subjects("Back/Here") or []), "and those of a deleted folder")
is_(undelete("--within", "0s", "--folder", "Sent"), "nothing so young")
r = sb.tool("storectl", "undelete", "nobody@x.test")
tm.is_(r.returncode, 67, "no such account")
tm.is_(sb.tool("storectl", "undelete").returncode, 64, "nor none")
tm.is_(sb.tool("storectl", "check").returncode, 0, "the store agrees with itself")

# ---- purged
with open(sb.conf("stored.conf")) as f:
    conf = f.read()
with open(sb.conf("stored.conf"), "w") as f:
    f.write(conf.replace("cleanup_age = 1h", "cleanup_age = 0"))
sb.restart("stored")
sb.restart("imapd")
c = sb.imap(2)
c.append("INBOX", None, when, text(1))
c.select("INBOX")
c.store("1", "+FLAGS", "\\Deleted")
c.expunge()
c.logout()
ME = f"{sb.user(2)}@{sb.domain}"
tm.ok(tm.wait_for(lambda: undelete("--dry-run")[1]["purged"] == 1, what="the purge"), "what is purged is gone for good")
is_(undelete(), "and is told", purged=1)
sb.kill("stored")
tm.is_(undelete()[0], 0, "without stored and nothing to do")
tm.done()
