#!/usr/bin/env python3
"""Names, limits and words of IMAP: what is refused with which code, what a folder's name keeps, what the
log says about sessions and deeds, and the memory of a crowd that has left."""
import os, re, time
import tm
from imapraw import Raw

sb = tm.Sandbox("--users", "6", "--without", "lmtpd", "--without", "jobctl", "--without", "smtp-relay",
                "--set", "imapd.limit.per_user=1000")
MESSAGE = "Subject: x\r\n\r\nhello\r\n"


def log(event):
    with open(os.path.join(sb.env["RUNDIR"], "imapd.log"), errors="replace") as f:
        return [l.strip() for l in f if f"ev={event} " in l]


# ---- a command that is too long before the login --------------------------------------------
for step in (0, 1000):
    c = Raw(sb, step=step)
    tm.is_(c.tagged("LOGIN " + "x" * 9000 + " y"), b"BAD Command too long", f"9 KB before login, in pieces of {step or 'any size'}: the tag is right")
    tm.is_(c.tagged("NOOP"), b"OK Completed", "and the next command is its own")

# ---- limits ---------------------------------------------------------------------------------
c = Raw(sb, login=1)
c.append("INBOX", MESSAGE)
c.ok("SELECT INBOX")
for command in ("STORE 1 +FLAGS (" + "k" * 300 + ")", "CREATE " + "n" * 255, "CREATE " + "/".join("abcdefgh"[n % 8] for n in range(61)),
                "RENAME Trash " + "n" * 255):
    tm.is_(c.tagged(command)[:10], b"NO [LIMIT]", f"{command[:24]}... of {len(command)} bytes")
tm.is_(c.append("INBOX", MESSAGE, "(" + "k" * 300 + ")")[1][:10], b"NO [LIMIT]", "APPEND with a keyword of 300 letters")
for name in (".", "..", "../x", "a/../b", "a/."):
    tm.is_(c.tagged(f"CREATE {name}")[:11], b"NO [CANNOT]", f"CREATE {name}")
tm.is_(c.tagged("RENAME Trash ../t")[:11], b"NO [CANNOT]", "RENAME to one")
tm.ok(c.tagged("CREATE a.b/.c/...").startswith(b"OK"), "other names with dots are names")

# ---- a special folder made again --------------------------------------------------------------
c.ok("DELETE Drafts")
c.ok("CREATE Drafts")
tm.ok(b"\\Drafts" in c.ok('LIST "" Drafts')[0], "Drafts made again is \\Drafts")
c.ok("RENAME Sent Old")
c.ok("CREATE Sent")
tm.is_([b"\\Sent" in c.ok(f'LIST "" {n}')[0] for n in ("Old", "Sent")], [True, False], "but not while another folder has the use")

# ---- names that only stood for those below them --------------------------------------------------
c.ok("CREATE p/q/r")
c.ok("DELETE p/q")
c.ok("DELETE p")
tm.ok(b"\\Noselect" in c.ok('LIST "" p')[0], "a deleted name stays while there is something below")
c.ok("DELETE p/q/r")
tm.is_(c.ok('LIST "" p*'), [], "and goes with the last of it")
c.ok("CREATE p/q")
c.ok("DELETE p")
c.ok("RENAME p/q elsewhere")
tm.is_(c.ok('LIST "" p*'), [], "also when that moves away")
tm.ok(c.tagged("RENAME elsewhere p").startswith(b"OK"), "so the name is free")

# ---- the log ----------------------------------------------------------------------------------------
c = Raw(sb, login=2)
for _ in range(4):
    c.append("INBOX", MESSAGE)
c.ok("SELECT INBOX")
c.ok("MOVE 1:2 Archive")
c.ok("STORE 1 +FLAGS (\\Deleted)")
c.ok("EXPUNGE")
c.ok("STORE 1 +FLAGS (\\Deleted)")
c.ok("CLOSE")
c.ok("RENAME Junk Spam")
c.ok("DELETE Spam")
c.ok("LOGOUT")
c.close()
who = f"user={sb.user(2)}@{sb.domain}"
about = lambda event: [l for l in log(event) if who in l]
tm.wait_for(lambda: len(about("expunge")) >= 3 and len(about("folder")) >= 2)
tm.is_([re.findall(r"(?:mailbox|how|to|messages)=(\S+)", l) for l in about("expunge")],
       [["INBOX", "move", "Archive", "2"], ["INBOX", "expunge", '""', "1"], ["INBOX", "close", '""', "1"]], "who expunged, where, how many")
tm.is_([re.findall(r"(?:how|name|to)=(\S+)", l) for l in about("folder")],
       [["rename", "Junk", "Spam"], ["delete", "Spam", '""']], "who renamed and deleted folders")
ended = lambda: [m for l in log("disconnect") for m in [re.search(r"why=logout in=(\d+) out=(\d+) ms=(\d+)", l)] if m]
tm.ok(tm.wait_for(lambda: any(int(m[1]) > 300 and int(m[2]) > 600 for m in ended())), "why a session ended, its bytes and its time")
c = Raw(sb, login=2)
c.close()
tm.ok(tm.wait_for(lambda: "why=eof" in log("disconnect")[-1]), "one that just went")

# ---- memory after a crowd ---------------------------------------------------------------------------
def anon():
    parent = str(sb.pid("imapd"))
    with open(f"/proc/{parent}/task/{parent}/children") as f:
        child = f.read().split()[0]
    with open(f"/proc/{child}/status") as f:
        return int(re.search(r"RssAnon:\s+(\d+)", f.read())[1])


before = anon()
crowd = [Raw(sb, login=3, tls=True) for _ in range(300)]
most = anon()
for c in crowd:
    c.close()
left = tm.wait_for(lambda: anon() < before + (most - before) / 3 and anon())
tm.diag(f"RssAnon: {before} KB before, {most} KB with 300 sessions with TLS, {anon()} KB after")
if "san" in sb.env["BINDIR"] or "address" in sb.env["BINDIR"]:
    tm.skip("memory goes back when a crowd has left", "the sanitizer keeps it")
else:
    tm.ok(left, "memory goes back when a crowd has left")
tm.done()
