#!/usr/bin/env python3
"""Each reader's own \\Seen in a shared mailbox: what the owner, two readers and their sessions are told by FETCH, SEARCH,
STATUS, LIST, NOTIFY, IDLE, CONDSTORE and QRESYNC, by JMAP, and by storectl readership; what COPY,
MOVE, RENAME and the word of the mailbox do to it."""
import json
import os
import re
import tm
from imapraw import Raw
from jmapraw import Jmap

sb = tm.Sandbox("--users", "4", "--without", "lmtpd", "--without", "jobctl", "--without", "smtp-relay", "--without", "pop3d", "--without", "mmpd", "--set", "imapd.workers=1")
one, two, three = (sb.user(n) for n in (1, 2, 3))
D = sb.domain
ENTRY = "/shared/vendor/cmu/cyrus-imapd/sharedseen"
a, b, c = (Raw(sb, login=n) for n in (1, 2, 3))
W = f'"Shared Folders/User/{one}/work"'
B = f'"Shared Folders/User/{one}/other"'


def modseq(client, command):
    m = re.search(rb"MODSEQ [(\[]?(\d+)|HIGHESTMODSEQ (\d+)", b"\n".join(client.ok(command)))
    return int(m[1] or m[2]) if m else None


def seen(client, uids="1:*"):
    """The UIDs with \\Seen."""
    return sorted({int(re.search(rb"UID (\d+)", l)[1]) for l in client.ok(f"UID FETCH {uids} (UID FLAGS)") if b"\\Seen" in l})


def unseen(client, box):
    return int(re.search(rb"UNSEEN (\d+)", client.ok(f"STATUS {box} (UNSEEN)")[0])[1])


a.ok("CREATE work")
for n in range(6):
    a.append("work", f"Subject: m{n}\r\n\r\ntext {n}\r\n", "(\\Seen)" if n == 5 else "")
for who, rights in ((two, "lrswite"), (three, "lrs")):
    a.ok(f"SETACL work {who} {rights}")
a.ok("ENABLE CONDSTORE")

# ---- each his own -----------------------------------------------------------------------------------
b.ok("ENABLE QRESYNC")
got = b.ok(f"SELECT {W}")
tm.ok(any(l.startswith(b"* OK [UNSEEN 1]") for l in got), "what the owner has seen is unseen for a reader")
b2 = Raw(sb, login=2)
b2.ok(f"SELECT {W}")
c.ok(f"SELECT {W}")
a.ok("SELECT work")
before, joes = modseq(b, f"STATUS {W} (HIGHESTMODSEQ)"), modseq(a, "STATUS work (HIGHESTMODSEQ)")
got = b.ok("FETCH 2 (BODY[TEXT])")
tm.ok(any(b"FLAGS (\\Seen)" in l or b"FLAGS (\\Recent \\Seen)" in l or b"\\Seen" in l for l in got), "FETCH of a text marks it") or tm.diag(got)
got = b.ok("STORE 4 +FLAGS (\\Seen)")
m = re.search(rb"MODSEQ \((\d+)\)", b"".join(got))
tm.ok(m and int(m[1]) > before, "so does STORE, with a MODSEQ")
tm.is_((seen(a), seen(b), seen(c)), ([6], [2, 4], []), "three people, three sets")
tm.is_([unseen(x, n) for x, n in ((a, "work"), (b, W), (c, W))], [5, 4, 6], "STATUS UNSEEN of each")
tm.is_([x.ok("UID SEARCH UNSEEN")[0] for x in (a, b, c)], [b"* SEARCH 1 2 3 4 5", b"* SEARCH 1 3 5 6", b"* SEARCH 1 2 3 4 5 6"], "SEARCH UNSEEN of each")
tm.is_([l for l in b2.ok("NOOP") if b"\\Seen" in l], [b"* 2 FETCH (FLAGS (\\Seen))", b"* 4 FETCH (FLAGS (\\Seen))"], "his other session is told") or tm.diag(b2.ok("NOOP"))
tm.is_(([l for l in a.ok("NOOP") if b"FETCH" in l], [l for l in c.ok("NOOP") if b"FETCH" in l]), ([], []), "nobody else is")
tm.is_(modseq(a, "STATUS work (HIGHESTMODSEQ)"), joes, "the owner's HIGHESTMODSEQ stays")
after = modseq(b, f"STATUS {W} (HIGHESTMODSEQ)")
tm.ok(after > before, "the reader's moves")
tm.is_([l.split(b" ")[1] for l in b.ok(f"FETCH 1:* (FLAGS) (CHANGEDSINCE {before})")], [b"2", b"4"], "CHANGEDSINCE tells the reader")
tm.is_(a.ok(f"FETCH 1:* (FLAGS) (CHANGEDSINCE {joes})"), [], "and the owner of nothing")
tm.is_(b.ok(f"SEARCH MODSEQ {before + 1}")[0].split(b" (")[0], b"* SEARCH 2 4", "SEARCH MODSEQ")
got = b.tagged(f"STORE 2 (UNCHANGEDSINCE {before}) -FLAGS (\\Seen)")
tm.ok(b"MODIFIED 2" in got, "UNCHANGEDSINCE spares what he has marked since") or tm.diag(got)
tm.ok(a.tagged(f"STORE 2 (UNCHANGEDSINCE {joes}) +FLAGS (\\Answered)").startswith(b"OK STORE"), "which holds nobody else up")
tm.ok(any(b"2 FETCH" in l and b"\\Answered" in l and b"\\Seen" in l for l in b.ok("NOOP")), "he is told of another's flag with his \\Seen")
got = c.ok("NOOP")
tm.ok(any(b"2 FETCH" in l and b"\\Answered" in l and b"\\Seen" not in l for l in got), "and a third without") or tm.diag(got)

# ---- QRESYNC, IDLE, NOTIFY, LIST --------------------------------------------------------------------
d = Raw(sb, login=2)
d.ok("ENABLE QRESYNC")
validity = re.search(rb"UIDVALIDITY (\d+)", a.ok("STATUS work (UIDVALIDITY)")[0])[1].decode()
got = d.ok(f"SELECT {W} (QRESYNC ({validity} {before}))")
tm.is_(sorted(re.search(rb"UID (\d+)", l)[1] for l in got if b" FETCH (" in l), [b"2", b"4"], "QRESYNC tells what he has marked elsewhere") or tm.diag(got)
tm.ok(any(b"HIGHESTMODSEQ" in l for l in got), "with his HIGHESTMODSEQ")
d.start("IDLE")
tm.ok(d.response().startswith(b"+"), "IDLE")
b.ok("STORE 5 +FLAGS.SILENT (\\Seen)")
tm.ok(b"5 FETCH" in (line := d.response()) and b"\\Seen" in line, "a reader's IDLE hears what he does elsewhere") or tm.diag(line)
d.send(b"DONE\r\n")
d.finish()
d.close()
e = Raw(sb, login=3)
e.ok(f'NOTIFY SET STATUS (MAILBOXES {W} (MessageNew MessageExpunge FlagChange))')
c.ok("STORE 1 +FLAGS (\\Seen)")
tm.ok(tm.wait_for(lambda: any(b"UNSEEN 5" in l for l in e.ok("NOOP"))), "NOTIFY tells his UNSEEN")
e.close()
got = [l for l in c.ok(f'LIST "" "Shared Folders/*" RETURN (STATUS (UNSEEN))') if b"STATUS" in l]
tm.is_(len(got) == 1 and b"UNSEEN 5" in got[0], True, "LIST-STATUS too") or tm.diag(got)
b.ok("NOOP")
a.append("work", "Subject: new\r\n\r\nnew\r\n")
tm.ok(any(b"7 EXISTS" in l for l in b.ok("NOOP")), "mail that comes")
tm.is_(unseen(b, W), 4, "is unseen for each")

# ---- JMAP -------------------------------------------------------------------------------------------
owner, guest, third = Jmap(sb, 1), Jmap(sb, 2), Jmap(sb, 3)
for j in (guest, third):
    j.account = owner.account
counts = lambda j: (lambda x: (x["totalEmails"], x["unreadEmails"], x["unreadThreads"]))(j.boxes()["work"])
tm.is_((counts(owner), counts(guest), counts(third)), ((7, 6, 6), (7, 4, 4), (7, 6, 6)), "counts of each by JMAP")
ids = {e["subject"]: e["id"] for e in guest.one("Email/get", ids=guest.emails(inMailbox=guest.boxes()["work"]["id"]), properties=["id", "subject"])["list"]}
state = {j: j.one("Email/get", ids=[])["state"] for j in (owner, guest, third)}
tm.is_(guest.one("Email/set", update={ids["new"]: {"keywords/$seen": True}})["updated"], {ids["new"]: None}, "Email/set of $seen")
tm.is_([j.one("Email/get", ids=[ids["new"]], properties=["keywords"])["list"][0]["keywords"] for j in (owner, guest, third)], [{}, {"$seen": True}, {}], "for him alone")
tm.is_(owner.one("Email/changes", sinceState=state[owner])["updated"], [], "the owner is told of no change")
tm.is_(guest.one("Email/changes", sinceState=state[guest]), ["error", "cannotCalculateChanges"], "the guest has another state, and looks anew")
tm.is_((counts(owner), counts(guest), counts(third)), ((7, 6, 6), (7, 3, 3), (7, 6, 6)), "and the counts")
tm.is_({len(j.emails(inMailbox=guest.boxes()["work"]["id"], notKeyword="$seen")) for j in (guest,)}, {3}, "Email/query")
tm.is_(seen(b), [2, 4, 5, 7], "IMAP says the same")

# ---- COPY, MOVE, RENAME -----------------------------------------------------------------------------
tm.ok(b.ok("UID COPY 1:7 INBOX") is not None, "a reader copies to his own")
b.ok("EXAMINE INBOX")
tm.is_(len(seen(b)), 4, "with what he has seen")
b.ok(f"SELECT {W}")
a.ok("CREATE other")
a.ok(f"SETACL other {two} lrswite")
b.ok(f"UID MOVE 2,3 {B}")
tm.is_(unseen(b, B), 1, "MOVE takes his \\Seen along")
a.ok("RENAME work plan")
W = f'"Shared Folders/User/{one}/plan"'
tm.is_((unseen(b, W), unseen(c, W)), (2, 4), "RENAME of the mailbox keeps them")

# ---- who reads --------------------------------------------------------------------------------------
r = sb.tool("storectl", "readership", f"{one}@{D}", "plan")
rows = [l.split() for l in r.stdout.splitlines()]
tm.is_([(x[0], x[1], x[2], x[5]) for x in rows[1:]], [(f"{two}@{D}", "3", "5", "plan"), (f"{three}@{D}", "1", "5", "plan")], "storectl readership") or tm.diag(r.stdout + r.stderr)
js = [json.loads(l) for l in sb.tool("storectl", "readership", "--json", "--days", "1", f"{one}@{D}").stdout.splitlines()]
tm.is_(sorted((j["folder"], j["reader"], j["seen"]) for j in js), [("other", f"{two}@{D}", 1), ("plan", f"{two}@{D}", 3), ("plan", f"{three}@{D}", 1)], "of all folders, as JSON")
tm.ok(all(j["first"] <= j["last"] and j["last"].startswith("20") for j in js), "with times")
tm.is_((sb.tool("storectl", "readership", f"{one}@{D}", "gone").returncode, sb.tool("storectl", "readership", "nobody@" + D).returncode, sb.tool("storectl", "readership", "-d", "x", one).returncode),
       (65, 67, 64), "what is not there, and what is no number")

# ---- one \Seen for all ------------------------------------------------------------------------------
b.ok(f"SELECT {W}")
since = modseq(b, f"STATUS {W} (HIGHESTMODSEQ)")
tm.ok(b.tagged(f'SETMETADATA {W} ({ENTRY} "true")').startswith(b"NO"), "who may not give rights does not say whose \\Seen there is")
tm.ok(a.tagged(f'SETMETADATA plan ({ENTRY} "both")').startswith(b"NO"), "it is true or false")
a.ok(f'SETMETADATA plan ({ENTRY} "true")')
tm.is_(len({l.split()[1] for l in b.ok(f"FETCH 1:* (FLAGS) (CHANGEDSINCE {since})")}), 5, "each message has changed for the readers")
tm.is_((seen(b), seen(c)), ([6], [6]), "who see what the owner does")
c.ok("UID STORE 1 +FLAGS (\\Seen)")
a.ok("SELECT plan")
tm.is_((seen(a), seen(b)), ([1, 6], [1, 6]), "and mark for all")
since = modseq(b, f"STATUS {W} (HIGHESTMODSEQ)")
a.ok(f"SETMETADATA plan ({ENTRY} NIL)")
tm.ok(modseq(b, f"STATUS {W} (HIGHESTMODSEQ)") > since, "HIGHESTMODSEQ does not go back when the word is taken back")
tm.is_(len({l.split()[1] for l in b.ok(f"FETCH 1:* (FLAGS) (CHANGEDSINCE {since})")}), 5, "each message has changed again")
tm.is_((seen(b), seen(c)), ([4, 5, 7], [1]), "and have their own again, as it was")
sb.kill("stored")
sb.restart("stored")
b = Raw(sb, login=2)
tm.ok(tm.wait_for(lambda: b.tagged(f"EXAMINE {W}").startswith(b"OK")), "after a kill of stored")
tm.is_(seen(b), [4, 5, 7], "it is there")

# ---- backup and restore -----------------------------------------------------------------------------
full, later = os.path.join(sb.dir, "full.tmb"), os.path.join(sb.dir, "later.tmb")
who = lambda: sorted((j["folder"], j["reader"], j["seen"]) for j in map(json.loads, sb.tool("storectl", "readership", "-j", f"{one}@{D}").stdout.splitlines()))
before = who()
r = sb.tool("storectl", "-q", "backup", "-a", f"{one}@{D}", full)
tm.is_(r.returncode, 0, "a backup") or tm.diag(r.stderr)
for x in (a, b, c):
    x.close()
r = sb.tool("storectl", "account", "delete", f"{one}@{D}")
tm.is_((r.returncode, who()), (0, []), "the account is deleted") or tm.diag(r.stderr)
r = sb.tool("storectl", "-q", "restore", full)
tm.is_((r.returncode, who()), (0, before), "and restored, with what each has seen") or tm.diag(r.stdout + r.stderr)

# ---- the same, while one \Seen is for all: what readers had is put back beside it -----------------------
a = Raw(sb, login=1)
a.ok(f'SETMETADATA plan ({ENTRY} "true")')
a.ok("SELECT plan")
a.ok("UID STORE 4 -FLAGS (\\Seen)")
a.ok("UID STORE 6,7 +FLAGS (\\Seen)")
owners = seen(a)
r = sb.tool("storectl", "-q", "backup", "-a", f"{one}@{D}", later)
tm.is_(r.returncode, 0, "a backup while one \\Seen is for all") or tm.diag(r.stderr)
a.close()
tm.is_(sb.tool("storectl", "account", "delete", f"{one}@{D}").returncode, 0, "the account is deleted")
r = sb.tool("storectl", "-q", "restore", later)
tm.is_((r.returncode, who()), (0, before), "and restored") or tm.diag(r.stdout + r.stderr)
a, b = Raw(sb, login=1), Raw(sb, login=2)
a.ok("SELECT plan")
b.ok(f"SELECT {W}")
tm.is_((seen(a), seen(b)), (owners, owners), "the one \\Seen is as it was")
a.ok(f"SETMETADATA plan ({ENTRY} NIL)")
tm.is_((seen(a), seen(b)), (owners, [4, 5, 7]), "and what the reader had before")
b.ok("UID STORE 1 +FLAGS (\\Seen)")
r = sb.tool("storectl", "-q", "restore", later)
a.ok(f"SETMETADATA plan ({ENTRY} NIL)")     # the stream's was another
tm.is_((r.returncode, seen(b)), (0, [1, 4, 5, 7]), "what he has seen since stays when the stream is restored once more") or tm.diag(r.stdout + r.stderr)

# ---- a series: the later stream tells of what is no longer seen ------------------------------------------
state, series = os.path.join(sb.dir, "state"), [os.path.join(sb.dir, f"{n}.tmb") for n in range(2)]
os.mkdir(state)
r = sb.tool("storectl", "-q", "backup", "-s", state, series[0])
tm.is_(r.returncode, 0, "the first stream") or tm.diag(r.stderr)
b.ok("UID STORE 4 -FLAGS (\\Seen)")
b.ok("UID STORE 6 +FLAGS (\\Seen)")
tm.is_(sb.tool("storectl", "-q", "backup", "-s", state, series[1]).returncode, 0, "a later one")
a.close()
b.close()
tm.is_(sb.tool("storectl", "account", "delete", f"{one}@{D}").returncode, 0, "the account is deleted")
tm.is_([sb.tool("storectl", "-q", "restore", "-a", f"{one}@{D}", s).returncode for s in series], [0, 0], "and both are restored")
b = Raw(sb, login=2)
b.ok(f"SELECT {W}")
tm.is_(seen(b), [1, 5, 6, 7], "what he had seen in the end")
tm.done()
