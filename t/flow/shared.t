#!/usr/bin/env python3
"""Folders of others (RFC 4314, 2342, 8440): three users, each right in each command, what a stranger
hears, LIST over what is shared, and what is taken back while it is in use."""
import os
import tm
from imapraw import Raw

sb = tm.Sandbox("--users", "4", "--without", "lmtpd", "--without", "jobctl", "--without", "smtp-relay", "--set", "imapd.workers=1",
                "--set", "stored.share_anyone=yes", "--set", "stored.share_seen=yes")
one, two, three = (sb.user(n) for n in (1, 2, 3))
D = sb.domain
ALL = b"lrswipkxteacd"
MSG = "Subject: shared\r\n\r\nhello\r\n"
a, b, c = (Raw(sb, login=n) for n in (1, 2, 3))
W = f"Shared Folders/User/{one}/work"


def give(rights, who=two, box="work"):
    """These rights and no others."""
    return a.ok(f'SETACL "{box}" "{who}" "{rights}"')


def no(client, command, code, words):
    got = client.tagged(command)
    return tm.ok(got.startswith(b"NO [" + code + b"]"), words) or tm.diag(got)


def names(client, command):
    """What LIST tells, without the attributes."""
    return [l.split(b'"/" ')[1].strip(b'"').decode() for l in client.ok(command) if l.startswith((b"* LIST", b"* LSUB"))]


def tell(client, command, words=b""):
    return [l for l in client.ok(command) if l.startswith(words)]


def ended(client):
    """Has imapd closed the connection?  NOOPs go on until then."""
    try:
        return client.tagged("NOOP").startswith(b"BYE")
    except (EOFError, OSError):
        return True


# ---- what is said ---------------------------------------------------------------------------------
caps = a.ok("CAPABILITY")[0].split()
tm.ok({b"ACL", b"RIGHTS=texk", b"LIST-MYRIGHTS"} <= set(caps), "capabilities")
tm.is_(a.ok("NAMESPACE"), [b'* NAMESPACE (("" "/")) (("Shared Folders/User/" "/")) NIL'], "namespaces")
a.ok("CREATE work")
a.append("work", MSG)
tm.is_(a.ok("MYRIGHTS work"), [b"* MYRIGHTS work " + ALL], "the owner has all rights")
tm.is_(a.ok("GETACL work"), [b"* ACL work " + f"{one}@{D} ".encode() + ALL], "and is the only one")
tm.is_(a.ok(f"LISTRIGHTS work {one}"), [b"* LISTRIGHTS work " + f"{one}@{D} ".encode() + ALL], "which cannot be changed")
tm.is_(a.ok(f"LISTRIGHTS work {two}"), [b"* LISTRIGHTS work " + f'{two}@{D} "" l r s w i p k x t e a c d'.encode()], "others have what they are given")
no(a, f"SETACL work {one} lr", b"CANNOT", "the owner keeps his rights")
no(a, f"DELETEACL work {one}", b"CANNOT", "all of them")
a.ok(f"SETACL work {one} {ALL.decode()}")
tm.ok(a.tagged(f"SETACL work {two} lq").startswith(b"BAD"), "an unknown right is BAD")
no(a, "SETACL work a/b lr", b"CANNOT", "what is no identifier")
no(a, f"SETACL nothing {two} lr", b"NONEXISTENT", "what is no mailbox")

# ---- a stranger -----------------------------------------------------------------------------------
NOT = f"Shared Folders/User/{one}/nothing"
NOBODY = "Shared Folders/User/nobody/work"
for command in ("SELECT {}", "EXAMINE {}", "STATUS {} (MESSAGES)", "MYRIGHTS {}", "GETACL {}", "LISTRIGHTS {} anyone", "SETACL {} anyone l",
                "DELETEACL {} anyone", "DELETE {}", "RENAME {} {}x", "CREATE {}/x", "CREATE {}", "GETQUOTAROOT {}", "RENAME Trash {}/x"):
    said = {b.tagged(command.replace("{}x", f'"{n}x"').replace("{}/x", f'"{n}/x"').replace("{}", f'"{n}"')) for n in (W, NOT, NOBODY)}
    tm.ok(len(said) == 1 and said.pop().startswith(b"NO ["), f"a stranger hears the same of what is there: {command}") or tm.diag(said)
b.ok("SELECT INBOX")
b.append("INBOX", MSG)
tm.is_(len({b.append(f'"{n}"', MSG)[1] for n in (W, NOT, NOBODY)}), 1, "and to APPEND")
tm.is_(len({b.tagged(f'COPY 1 "{n}"') for n in (W, NOT, NOBODY)}), 1, "and to COPY")
tm.is_([n for n in names(b, 'LIST "" *') if n.startswith("Shared")], [], "LIST shows nothing")
tm.is_(names(b, 'LIST "" "Shared Folders/%"'), [], "nor what is above it")

# ---- l and r --------------------------------------------------------------------------------------
give("l")
tm.is_([n for n in names(b, 'LIST "" *') if n.startswith("Shared")], ["Shared Folders", "Shared Folders/User", f"Shared Folders/User/{one}", W], "l: LIST shows it")
tm.is_([n for n in names(b, 'LIST "" %') if n.startswith("Shared")], ["Shared Folders"], "% shows the top")
tm.is_(names(b, 'LIST "" "Shared Folders/User/%"'), [f"Shared Folders/User/{one}"], "then who shares")
tm.is_(names(b, f'LIST "Shared Folders/User/{one}/" %'), [W], "then what")
tm.is_(names(b, f'LIST "" "Shared Folders/User/{three}/*"'), [], "and nothing of others")
tm.is_([n for n in names(c, 'LIST "" *') if n.startswith("Shared")], [], "a third sees nothing")
no(b, f'SELECT "{W}"', b"NOPERM", "who may look may not select")
no(b, f'STATUS "{W}" (MESSAGES)', b"NOPERM", "nor ask")
no(b, f'GETACL "{W}"', b"NOPERM", "nor who else may")
no(b, f'DELETE "{W}"', b"NOPERM", "nor delete")
tm.is_(b.ok(f'MYRIGHTS "{W}"'), [f'* MYRIGHTS "{W}" l'.encode()], "he may ask what he may")
give("lr")
lines, tagged = b.cmd(f'SELECT "{W}"')
tm.ok(tagged.startswith(b"OK [READ-ONLY]"), "r: SELECT, read-only") or tm.diag(tagged)
tm.ok(any(l.startswith(b"* OK [PERMANENTFLAGS ()]") for l in lines), "without flags") or tm.diag(lines)
tm.ok(any(b"hello" in l for l in b.ok("FETCH 1 (FLAGS BODY[TEXT])")), "FETCH")
tm.is_(b.ok("SEARCH TEXT hello"), [b"* SEARCH 1"], "SEARCH")
no(b, "ESEARCH IN (personal) TEXT hello", b"CANNOT", "ESEARCH is over one's own, and says so")
tm.ok(not any(b"Seen" in l for l in b.ok("FETCH 1 FLAGS")), "\\Seen is not set without s")
tm.ok(b.tagged("STORE 1 +FLAGS \\Seen").startswith(b"NO"), "nor by STORE")
tm.ok(b.tagged("COPY 1 Archive").startswith(b"OK [COPYUID"), "COPY into one's own")
tm.ok(b.tagged("MOVE 1 Archive").startswith(b"NO"), "no MOVE")
tm.is_(tell(b, f'LIST "" "{W}" RETURN (MYRIGHTS STATUS (MESSAGES))')[-2:],
       [f'* STATUS "{W}" (MESSAGES 1)'.encode(), f'* MYRIGHTS "{W}" lr'.encode()], "LIST-STATUS and LIST-MYRIGHTS")
tm.is_(tell(b, 'LIST "" INBOX RETURN (MYRIGHTS)')[-1], b"* MYRIGHTS INBOX " + ALL, "also of one's own")
tm.is_(b.ok(f'GETQUOTAROOT "{W}"'), [f'* QUOTAROOT "{W}"'.encode()], "the quota is the owner's business")

# ---- flags ----------------------------------------------------------------------------------------
for rights, permanent, good, bad in (("lrs", b"(\\Seen)", "\\Seen", "\\Flagged"), ("lrt", b"(\\Deleted)", "\\Deleted", "\\Seen"),
                                     ("lrw", b"(\\Answered \\Flagged \\Draft \\*)", "$tag", "\\Deleted")):
    give(rights)
    lines, tagged = b.cmd(f'SELECT "{W}"')
    tm.ok(any(l.startswith(b"* OK [PERMANENTFLAGS " + permanent) for l in lines) and tagged.startswith(b"OK [READ-WRITE]"), f"{rights}: PERMANENTFLAGS") or tm.diag(lines)
    tm.ok(b.tagged(f"STORE 1 +FLAGS ({good})").startswith(b"OK"), f"{rights}: {good}")
    no(b, f"STORE 1 +FLAGS ({bad})", b"NOPERM", f"{rights}: not {bad}")
    tm.ok(b.tagged(f"STORE 1 +FLAGS ({good} {bad})").startswith(b"OK"), "of both, the one")
    got = b.ok("FETCH 1 FLAGS")[0]
    tm.ok(good.encode() in got and bad.encode() not in got.replace(b"\\Seen", b"" if bad != "\\Seen" or rights != "lrt" else b""), "is set") or tm.diag(got)
    tm.ok(b.tagged(f"STORE 1 -FLAGS ({good})").startswith(b"OK"), "and cleared")
give("lrs")
b.ok(f'SELECT "{W}"')
b.ok("FETCH 1 BODY[]")
a.ok("EXAMINE work")
tm.ok(b"\\Seen" in a.ok("FETCH 1 FLAGS")[0], "s: FETCH sets \\Seen, which is the owner's too")
no(b, "EXPUNGE", b"NOPERM", "without e no EXPUNGE")

# ---- in and out -----------------------------------------------------------------------------------
b.ok("UNSELECT")
give("li")
got = b.append(f'"{W}"', MSG, "(\\Flagged \\Seen)")[1]
tm.ok(got.startswith(b"OK [APPENDUID"), "i: APPEND") or tm.diag(got)
b.ok("SELECT INBOX")
tm.ok(b.tagged(f'COPY 1 "{W}"').startswith(b"OK [COPYUID"), "COPY into it")
tm.ok(b.tagged(f'MOVE 1 "{W}"').startswith(b"OK"), "MOVE into it")
a.ok("EXAMINE work")
tm.is_([l for l in a.ok("FETCH 2:4 FLAGS") if b"Flagged" in l or b"Seen" in l], [], "without flags that he may not set")
give("lrte")
b.ok(f'SELECT "{W}"')
tm.ok(b.tagged("MOVE 4 Archive").startswith(b"OK"), "rte: MOVE out of it")
b.ok("STORE 3 +FLAGS \\Deleted")
tm.is_([l for l in b.ok("EXPUNGE") if l.endswith(b"EXPUNGE")], [b"* 3 EXPUNGE"], "e: EXPUNGE")
b.ok("STORE 2 +FLAGS \\Deleted")
give("lrt")
b.ok("CLOSE")
a.ok("EXAMINE work")
tm.is_(len(a.ok("FETCH 1:* UID")), 2, "CLOSE without e expunges nothing, and is OK")

# ---- folders --------------------------------------------------------------------------------------
give("lr")
no(b, f'CREATE "{W}/sub"', b"NOPERM", "without k no CREATE")
give("lrk")
tm.ok(b.tagged(f'CREATE "{W}/sub"').startswith(b"OK [MAILBOXID"), "k: CREATE")
tm.is_(b.ok(f'MYRIGHTS "{W}/sub"'), [f'* MYRIGHTS "{W}/sub" lrkc'.encode()], "with the rights of the one above")
tm.ok("work/sub" in names(a, 'LIST "" *'), "it is the owner's")
no(b, f'DELETE "{W}/sub"', b"NOPERM", "without x no DELETE")
give("lx", box="work/sub")
no(b, f'RENAME "{W}/sub" mine', b"CANNOT", "a folder stays with its owner")
tm.ok(b.tagged(f'RENAME "{W}/sub" "{W}/new"').startswith(b"OK"), "x: RENAME")
tm.ok(b.tagged(f'DELETE "{W}/new"').startswith(b"OK"), "x: DELETE")
give("la")
b.ok(f'SETACL "{W}" {three} lr')
tm.ok(any(f"{three}@{D}".encode() in l for l in b.ok(f'GETACL "{W}"')), "a: gives rights to others")
c.ok(f'EXAMINE "{W}"')
a.ok(f"SETACL work -{three} r")
tm.ok(tm.wait_for(lambda: ended(c)), "who loses r while it is selected is sent away")


# ---- names, subscriptions, IDLE --------------------------------------------------------------------
a.ok("CREATE far/below/it")
a.ok("CREATE far/below.it")
give("lr", box="far/below/it")
give("lr", box="far/below.it")
give("lr")
F = f"Shared Folders/User/{one}/"
tm.is_([n[len(F):] for n in names(b, f'LIST "" "{F}*"')], ["far", "far/below.it", "far/below", "far/below/it", "work"], "what is above a shared folder is shown once, and no folder")
got = {l.split(b'"/" ')[1]: l for l in b.ok(f'LIST "" "{F}*"')}
tm.ok(all(b"\\NonExistent \\Noselect \\HasChildren" in got[f'"{F}{n}"'.encode()] for n in ("far", "far/below")), "as such") or tm.diag(got)
no(b, f'STATUS "{F}far" (MESSAGES)', b"NONEXISTENT", "and nothing else is told of it")
b.ok(f'SUBSCRIBE "{W}"')
tm.is_([n for n in names(b, 'LSUB "" *') if n.startswith("Shared")], [W], "SUBSCRIBE and LSUB")
tm.is_([l for l in b.ok('LIST (SUBSCRIBED) "" * RETURN (STATUS (MESSAGES))') if b"Shared" in l],
       [f'* LIST (\\Subscribed) "/" "{W}"'.encode(), f'* STATUS "{W}" (MESSAGES 2)'.encode()], "LIST (SUBSCRIBED)")
tm.is_([l for l in b.ok(f'LIST "" "{W}" RETURN (SUBSCRIBED)')], [f'* LIST (\\HasNoChildren \\Subscribed) "/" "{W}"'.encode()], "LIST RETURN (SUBSCRIBED)")
give("")
tm.is_([l for l in b.ok('LIST (SUBSCRIBED) "" *') if b"Shared" in l], [f'* LIST (\\NonExistent \\Subscribed) "/" "{W}"'.encode()], "what is no longer shared is not there")
give("lri")
tm.is_(b.ok(f'MYRIGHTS "Shared Folders/User/{one.upper()}@{D}/work"'), [f'* MYRIGHTS "{W}" lri'.encode()], "an owner has one name")
b.ok(f'SELECT "{W}"')
b.start("IDLE")
b.response()
a.append("work", MSG)
tm.is_(b.response(), b"* 3 EXISTS", "IDLE hears of mail")
b.send("DONE\r\n")
b.finish()
b.ok(f'UID FETCH 1:* (FLAGS ENVELOPE)')
b.ok("ENABLE QRESYNC")
b.ok(f'SELECT "{W}"')
a.ok("SELECT work")
a.ok("STORE 1 +FLAGS (\\Deleted)")
a.ok("UID EXPUNGE 1")
tm.ok(any(l.startswith(b"* VANISHED 1") for l in b.ok("NOOP")), "and of what goes, by QRESYNC")
a.ok("SETACL work anyone lr")
d = Raw(sb, login=4)
tm.ok(W in names(d, 'LIST "" *'), "anyone is everybody")
tm.is_(names(b, 'LIST "" *').count(W), 1, "who is named besides sees it once")
a.ok(f"SETACL work -{sb.user(4)} l")
tm.ok(W not in names(d, 'LIST "" *'), "but for who is not")
a.ok("DELETE far/below/it")
a.ok("DELETE far/below.it")
a.ok("DELETE far")
a.ok("RENAME work play")
tm.is_([n[len(F):] for n in names(b, f'LIST "" "{F}*"')], ["play"], "a new name is the new name for all")
b.ok("UNSELECT")
a.ok("DELETE play")
tm.is_([n for n in names(b, 'LIST "" *') if n.startswith("Shared")], [], "and what is gone is gone")

# ---- a URL that names a mailbox ----------------------------------------------------------------------
a.ok("CREATE urls")
give("lr", box="urls")
a.append("urls", MSG)
b.ok("CREATE mine")
b.append("mine", "Subject: mine\r\n\r\nmine\r\n")
b.ok(f'SELECT "{F}urls"')
tm.ok(b.tagged('APPEND mine CATENATE (URL "/mine/;UID=1")').startswith(b"OK"), "CATENATE finds one's own, whatever is selected")
tm.ok(b.tagged('APPEND mine CATENATE (URL ";UID=1")').startswith(b"OK"), "and what is selected, by its UID alone")
b.ok("SELECT mine")
tm.is_([b"mine" in b"".join(b.ok(f"FETCH {n} BODY[TEXT]")) for n in (2, 3)], [True, False], "each is what was meant")
b.ok("UNSELECT")
b.ok("DELETE mine")
a.ok("DELETE urls")

# ---- more than a list tells -------------------------------------------------------------------------
a.ok("CREATE many")
give("l", box="many")
for k in range(0, 1000, 100):
    for i in range(k, k + 100):
        a.start(f"CREATE many/f{i:04}")
    a.finish()
told = [n[len(F):] for n in names(b, 'LIST "" *') if n.startswith(F)]
tm.ok(len(told) == 1000 and "many/f0998" in told and "many/f0999" not in told, "LIST tells 1,000 folders of one owner") or tm.diag(len(told))
tm.is_(names(b, f'LIST "" "{F}many/f0999"'), [f"{F}many/f0999"], "one that is named is told")
for k in range(0, 1000, 100):
    for i in range(k, k + 100):
        a.start(f"DELETE many/f{i:04}")
    a.finish()
a.ok("DELETE many")

# ---- the owner's quota, a public account, a kill -----------------------------------------------------
owner = Raw(sb, login="full")
owner.ok(f'SETACL INBOX "{two}" "lri"')
got = b.append('"Shared Folders/User/full/INBOX"', "Subject: big\r\n\r\n" + "x" * 100000)[1]
tm.ok(got.startswith(b"NO [OVERQUOTA]"), "it is the owner's quota that counts") or tm.diag(got)
b.ok("SELECT Archive")
got = b.tagged('COPY 1 "Shared Folders/User/full/INBOX"')
tm.ok(got.startswith(b"NO [OVERQUOTA]"), "for COPY") or tm.diag(got)
got = b.tagged('MOVE 1 "Shared Folders/User/full/INBOX"')
tm.ok(got.startswith(b"NO [OVERQUOTA]"), "and MOVE") or tm.diag(got)
a.ok("CREATE news")
a.ok("SETACL news anyone lr")
sb.kill("stored")
sb.restart("stored")
tm.ok(tm.wait_for(lambda: b.tagged(f'MYRIGHTS "{F}news"').startswith(b"OK")), "rights outlive a kill of stored")
with open(sb.conf("imapd.conf")) as f:
    text = f.read()
with open(sb.conf("imapd.conf"), "w") as f:
    f.write(f"public_account = {one}@{D}\n" + text)
sb.restart("imapd")
b = Raw(sb, login=2)
tm.is_(b.ok("NAMESPACE"), [b'* NAMESPACE (("" "/")) (("Shared Folders/User/" "/")) (("Shared Folders/" "/"))'], "with public_account there are public folders")
tm.is_([n for n in names(b, 'LIST "" "Shared Folders/%"') if one not in n], ["Shared Folders/news", "Shared Folders/User"], "which are listed") or tm.diag(names(b, 'LIST "" *'))
tm.ok(b.tagged('SELECT "Shared Folders/news"').startswith(b"OK [READ-ONLY]"), "and selected")
tm.done()
