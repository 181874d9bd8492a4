#!/usr/bin/env python3
"""storectl account: who has mail here and who came last, an account that gets another login, one that is deleted, and
those whose entry the directory has not any more."""
import json, os, poplib, subprocess
import tm
from imapraw import Raw

tm.need("ldapmodify", "ldapdelete")
sb = tm.Sandbox("--users", "5", "--without", "smtp-relay", "--without", "jobctl", "--set", "imapd.workers=1", "--set", "tiermail.ldap.cache_age=0", "--set", "tiermail.ldap.timeout=2s",
                "--set", "stored.cleanup_age=0")
D, ok, is_ = sb.domain, tm.ok, tm.is_
NAME = {n: f"{sb.user(n)}@{D}" for n in range(1, 6)}
MSG = "Subject: kept\r\n\r\nhello\r\n"


def storectl(*args):
    return sb.tool("storectl", *args)


def rows(*args):
    r = storectl("account", *args)
    if r.returncode:
        tm.diag(r.stderr)
    return [json.loads(l) for l in r.stdout.splitlines()]


def row(n):
    return next((r for r in rows("list", "--json") if r["account"] == (NAME[n] if isinstance(n, int) else n)), None)


def ldap(*lines):
    r = subprocess.run(["ldapmodify", "-x", "-H", sb.env["LDAP_URL"], "-D", sb.env["LDAP_ADMIN_DN"], "-w", sb.env["LDAP_ADMIN_PASSWORD"]],
                       input="\n".join(lines) + "\n", capture_output=True, text=True)
    return r.returncode == 0 or tm.diag(r.stderr)


def dn(user):
    return f"uid={user},ou=people,o={D},{sb.env['LDAP_BASE']}"


# ---- who is here, and who came last -----------------------------------------------------------------------------------
imap = {n: Raw(sb, login=n) for n in range(1, 6)}
ok(tm.wait_for(lambda: all(row(n)["login_imap"] for n in NAME)), "the last login by IMAP is kept")
is_([row(1)[k] for k in ("partition", "folders", "messages", "login_pop3", "login_web", "orphan_since")], ["primary", 6, 0, None, None, None], "and no other")
pop = poplib.POP3(sb.host, sb.port("POP3"), timeout=tm.LONG)
pop.user(sb.user(1))
pop.pass_(sb.password)
pop.quit()
ok(tm.wait_for(lambda: row(1)["login_pop3"]), "by POP3 too")
is_(row(2)["login_pop3"], None, "of whom it was")


def written():
    """Commits; the login of one who has come within the hour makes none."""
    return int(next(l.split()[1] for l in sb.tool("tmctl", "-d", "stored", "metrics").stdout.splitlines() if l.startswith("tiermail_stored_batches_total")))


before = written()
for _ in range(5):
    Raw(sb, login=1).close()
is_(written(), before, "and within an hour it is not written again")

# ---- another login ----------------------------------------------------------------------------------------------------
a, b = imap[1], imap[2]
a.append("INBOX", MSG)
a.append("INBOX", MSG)
a.ok('CREATE "Deep/er"')
a.append("Deep/er", MSG)
a.ok('SETMETADATA "Deep/er" (/private/comment "mine" /shared/comment "ours")')
a.ok("SELECT INBOX")
a.ok("STORE 2 +FLAGS (\\Flagged tag)")
b.append("Archive", MSG)
b.ok(f"SETACL Archive {sb.user(1)} lrs")
b.ok(f"SETACL Sent {sb.user(1)} lrs")
S2 = f"Shared Folders/User/{sb.user(2)}"


def reads(client):
    """A guest of Archive marks its message and writes a word of his own."""
    client.ok(f'SELECT "{S2}/Archive"')
    client.ok("STORE 1 +FLAGS (\\Seen)")
    client.ok("UNSELECT")
    client.ok(f'SETMETADATA "{S2}/Archive" (/private/comment "guest")')


def has_read(client):
    """What he has there: unseen messages, and his word."""
    return (int(client.ok(f'STATUS "{S2}/Archive" (UNSEEN)')[0].split()[-1].strip(b")")),
            any(b"guest" in l for l in client.ok(f'GETMETADATA "{S2}/Archive" (/private/comment)')))


reads(a)
is_(has_read(a), (0, True), "a guest has read what another shares")
validity = a.ok("STATUS Deep/er (UIDVALIDITY UIDNEXT)")
messages = row(1)["messages"]
ok(ldap(f"dn: {dn(sb.user(1))}", "changetype: modrdn", "newrdn: uid=married", "deleteoldrdn: 1"), "the person has another login")
new = Raw(sb, login="married")
ok(tm.wait_for(lambda: row(f"married@{D}")), "and comes in under it before the mailbox does")
is_([(r["account"], r["state"], r["to"]) for r in rows("orphans", "--json", "--purge-after", "0")], [(NAME[1], "renamed", f"married@{D}")],
    "the account is no orphan: its name is still an address of the person")
r = storectl("account", "rename", NAME[1], NAME[2])
is_((r.returncode, "the account has messages" in r.stderr), (73, True), "a name that another has with mail is not taken")
is_(rows("rename", "--json", NAME[1], f"married@{D}"), [{"account": NAME[1], "done": "renamed", "to": f"married@{D}", "messages": messages, "bytes": row(f"married@{D}")["bytes"]}],
    "the account gets the new name")
for c, what in ((a, "the session under the old name"), (new, "that under the new name")):
    try:
        for _ in range(100):
            c.ok("NOOP")
        ok(False, what + " ends")
    except (EOFError, OSError, AssertionError):
        ok(True, what + " ends")
a = Raw(sb, login="married")
is_(a.ok("STATUS Deep/er (UIDVALIDITY UIDNEXT)"), validity, "UIDs and UIDVALIDITY stay")
a.ok("SELECT INBOX")
ok(any(b"\\Flagged" in l and b"tag" in l for l in a.ok("UID FETCH 2 (FLAGS)")), "flags too")
ok(any(b"hello" in l for l in a.ok("FETCH 1 BODY[TEXT]")), "messages are read where they are now")
ok(any(b'"mine"' in l for l in a.ok('GETMETADATA "Deep/er" (/private/comment)')), "private annotations have gone along")
is_(a.append("INBOX", MSG)[1].split()[0], b"OK", "and mail comes in")
ok(any(b"MESSAGES 1" in l for l in a.ok(f'STATUS "Shared Folders/User/{sb.user(2)}/Archive" (MESSAGES)')), "what another gave is still given")
is_([l for l in b.ok("GETACL Sent") if sb.user(1).encode() in l], [], "under the new name alone")
is_(has_read(a), (0, True), "and so is what he has read there, and his word")
is_(storectl("account", "rename", NAME[1], f"married@{D}").returncode, 0, "asked again it finds nothing to do")
is_(row(1), None, "the old name is no account's")
is_(storectl("check").returncode, 0, "check finds nothing")

# ---- deleted ----------------------------------------------------------------------------------------------------------
c = imap[3]
b.ok(f"SETACL Archive {sb.user(3)} lrs")
b.ok(f"SETACL Archive -{sb.user(3)} w")
b.ok(f"SETACL Sent {sb.user(4)} lrs")
reads(c)
is_(has_read(c), (0, True), "another guest too")
for n in range(60):
    c.ok(f'CREATE "many/{n}"')
    c.append(f"many/{n}", MSG)
c.ok("SELECT INBOX")
is_(rows("delete", "--json", NAME[3])[0]["messages"], 60, "an account is deleted, with 60 messages")
is_(row(3), None, "it is no account any more")
is_(storectl("account", "show", NAME[3]).returncode, 67, "and not shown")
c = Raw(sb, login=3)
is_(c.ok("STATUS INBOX (MESSAGES)"), [b"* STATUS INBOX (MESSAGES 0)"], "who comes again finds an empty one")
ok(c.tagged(f'STATUS "{S2}/Archive" (MESSAGES)').startswith(b"NO [NONEXISTENT]"), "has no rights of the one before")
is_([l for l in b.ok("GETACL Archive") if sb.user(3).encode() in l], [], "none that were taken either")
b.ok(f"SETACL Archive {sb.user(3)} lrs")
is_(has_read(c), (1, False), "nor has read what that one had, and sees no word of his")
is_(has_read(a), (0, True), "others have what they had")
is_(storectl("account", "delete", "nobody@" + D).returncode, 67, "there is nobody of that name")


def clean():
    r = storectl("check")
    return r.returncode == 0 and " 0 waiting" in r.stdout


ok(tm.wait_for(clean), "its files go, and check finds nothing") or tm.diag(storectl("check").stdout)
files = subprocess.run(["find", sb.dir, "-path", "*partition*", "-name", "*.msg"], capture_output=True, text=True).stdout.splitlines()
is_(len(files), row(f"married@{D}")["messages"] + row(2)["messages"], "no file is left")
ok(sum(f"={sb.user(3)}" in l for l in subprocess.run(["find", sb.dir, "-name", "=*"], capture_output=True, text=True).stdout.splitlines()), "the new one's directory is there")

# ---- orphans ----------------------------------------------------------------------------------------------------------
subprocess.run(["ldapdelete", "-x", "-H", sb.env["LDAP_URL"], "-D", sb.env["LDAP_ADMIN_DN"], "-w", sb.env["LDAP_ADMIN_PASSWORD"], dn(sb.user(4))], check=True)
ok(ldap(f"dn: {dn(sb.user(5))}", "changetype: modify", "replace: inetUserStatus", "inetUserStatus: deleted"), "one entry is gone, another is marked as deleted")
found = lambda *args: sorted((r["account"], r["state"]) for r in rows("orphans", "--json", *args) if "state" in r)
is_(found("-n"), [(NAME[4], "gone"), (NAME[5], "deleted")], "both are found")
is_(row(4)["orphan_since"], None, "a dry run marks nothing")
is_(found("--purge-after", "1"), [(NAME[4], "gone"), (NAME[5], "deleted")], "they are not that old")
ok(row(4)["orphan_since"] and row(5)["orphan_since"], "since when is known now")
ok(ldap(f"dn: {dn(sb.user(5))}", "changetype: modify", "replace: inetUserStatus", "inetUserStatus: active"), "one comes back")
is_(found(), [(NAME[4], "gone")], "and is no orphan")
is_((row(5)["orphan_since"], bool(row(4))), (None, True), "nothing is deleted without being asked for")
is_(found("--purge-after", "0"), [(NAME[4], "gone")], "what is due")
is_((row(4), bool(row(5))), (None, True), "is deleted, and nobody else")
is_([l for l in b.ok("GETACL Sent") if sb.user(4).encode() in l], [], "and has no rights any more")
with open(os.path.join(sb.env["RUNDIR"], "stored.log"), errors="replace") as f:
    log = [l for l in f if f"login={NAME[4]}" in l or f"account={NAME[4]} " in l]
is_([("ev=store_leave" in l, "state=erased" in l) for l in log][-2:], [(True, False), (False, True)], "which go first: a run that is cut off finds the account again") or tm.diag("".join(log))
ok(ldap(f"dn: {dn(sb.user(5))}", "changetype: modify", "replace: inetUserStatus", "inetUserStatus: deleted"), "another is deleted")
sb.kill("slapd")
r = storectl("account", "orphans", "--purge-after", "0")
is_((r.returncode, bool(row(5))), (75, True), "a directory that is away makes no orphans") or tm.diag(r.stdout + r.stderr)
tm.done()
