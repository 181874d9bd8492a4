#!/usr/bin/env python3
"""Groups of the directory in ACLs (RFC 4314): who is named in a list, found by its URL or has an address in it may what the
list may, by IMAP and JMAP; who leaves it may it no more, in sessions that are open; what is taken from a group is taken; and
somebody who is in very many costs nobody anything."""
import json, os, subprocess
import tm
from imapraw import Raw
from jmapraw import Jmap

tm.need("ldapadd", "ldapmodify")
# Where changes are made nobody answers: reading needs none of that.
sb = tm.Sandbox("--users", "5", "--without", "lmtpd", "--without", "jobctl", "--without", "smtp-relay", "--without", "pop3d", "--without", "mmpd",
                "--set", "imapd.workers=1", "--set", "tiermail.ldap.cache_age=0", "--set", "tiermail.ldap.provider=ldap://127.0.0.1:1", "--set", "stored.share_seen=yes")
one, two, three, four, five = (sb.user(n) for n in (1, 2, 3, 4, 5))
D, BASE = sb.domain, sb.env["LDAP_BASE"]
W = f"Shared Folders/User/{one}/work"
MSG = "Subject: shared\r\n\r\nhello\r\n"


def ldap(tool, text):
    r = subprocess.run([tool, "-x", "-H", sb.env["LDAP_URL"], "-D", sb.env["LDAP_ADMIN_DN"], "-w", sb.env["LDAP_ADMIN_PASSWORD"]],
                       input=text, capture_output=True, text=True)
    if r.returncode:
        tm.diag(r.stdout + r.stderr)


def person(n):
    return f"uid={sb.user(n)},ou=People,o={D},{BASE}"


def entry(name, *lines):
    return "\n".join([f"dn: cn={name},ou=Groups,o={D},{BASE}", *(f"objectClass: {c}" for c in (
        "groupOfURLs", "inetMailGroup", "inetMailGroupManagement", "inetLocalMailRecipient")), f"cn: {name}", f"mail: {name}@{D}", *lines, "", ""])


def group(name, *lines):
    ldap("ldapadd", entry(name, *lines))


def change(name, *lines):
    ldap("ldapmodify", "\n".join([f"dn: cn={name},ou=Groups,o={D},{BASE}", "changetype: modify", *lines, ""]))


def names(client):
    return [l.split(b'"/" ')[1].strip(b'"').decode() for l in client.ok('LIST "" *') if l.startswith(b"* LIST")]


def mine(client, box=W):
    """What MYRIGHTS tells; "" when it is not told."""
    lines, tagged = client.cmd(f'MYRIGHTS "{box}"')
    return lines[0].split()[-1].decode() if tagged.startswith(b"OK") else ""


def soon(question, what):
    return tm.ok(tm.wait_for(question), what)


def ended(client):
    try:
        return client.tagged("NOOP").startswith(b"BYE")
    except (EOFError, OSError):
        return True


def owners(j):
    return sorted(a["name"] for a in json.loads(j.http("GET", "/jmap/session")[2])["accounts"].values() if not a["isPersonal"])


group("staff", f"uniqueMember: {person(2)}")
group("temps", f"uniqueMember: {person(3)}")
a, b, c = (Raw(sb, login=n) for n in (1, 2, 3))
a.ok("CREATE work")
a.append("work", MSG)

# ---- a group is named ---------------------------------------------------------------------------------
a.ok("SETACL work Group:Staff lrs")
tm.is_(a.ok("GETACL work")[0].split()[-2:], [f"group:staff@{D}".encode(), b"lrs"], "SETACL names a group of one's own domain")
a.ok(f"SETACL work group=staff@{D} lrsi")
tm.is_(a.ok("GETACL work")[0].split()[-2:], [f"group:staff@{D}".encode(), b"lrsi"], "which others write with =")
tm.is_(a.ok("LISTRIGHTS work group:staff")[0].split()[3], f"group:staff@{D}".encode(), "LISTRIGHTS")
tm.ok(a.tagged("SETACL work group: lr").startswith(b"NO [CANNOT]"), "one without a name is none")
soon(lambda: W in names(b), "who was there before sees it")
tm.ok(W not in names(c), "nobody else does")
tm.is_((mine(b), mine(c)), ("lrsi", ""), "MYRIGHTS")
tm.ok(b.tagged(f'SELECT "{W}"').startswith(b"OK"), "a member selects it")
tm.ok(any(b"hello" in l for l in b.ok("FETCH 1 BODY[TEXT]")), "reads it")
tm.ok(b.tagged("STORE 1 +FLAGS (\\Seen)").startswith(b"OK"), "stored lets him mark it")
tm.ok(b.tagged("STORE 1 +FLAGS (\\Flagged)").startswith(b"NO [NOPERM]"), "and no more")
tm.ok(b.append(f'"{W}"', MSG)[1].startswith(b"OK [APPENDUID"), "APPEND")
tm.ok(c.append(f'"{W}"', MSG)[1].startswith(b"NO ["), "not of others")
n = Raw(sb, login=2)
tm.ok(W in names(n), "who comes later sees it at once")

# ---- by JMAP --------------------------------------------------------------------------------------------
guest, stranger, owner = Jmap(sb, 2), Jmap(sb, 3), Jmap(sb, 1)
tm.is_((owners(guest), owners(stranger)), ([f"{one}@{D}"], []), "JMAP: whose accounts are told")
guest.own, guest.account = guest.account, owner.account
box = guest.one("Mailbox/get", ids=None)["list"]
tm.is_([(m["name"], m["myRights"]["mayReadItems"], m["myRights"]["mayRemoveItems"]) for m in box], [("work", True, False)], "which mailboxes, and what may be done")
tm.is_(len(guest.one("Email/query", filter={"inMailbox": box[0]["id"]})["ids"]), 2, "their emails")

# ---- what is taken -----------------------------------------------------------------------------------------
a.ok("SETACL work -group:temps r")
tm.is_(mine(b), "lrsi", "what is taken from others is not his")
change("temps", "add: uniqueMember", f"uniqueMember: {person(2)}")
soon(lambda: mine(n) == "lsi", "who comes into a group that it is taken from has it no more")
soon(lambda: ended(b), "and is sent away from what he has selected")
change("temps", "delete: uniqueMember", f"uniqueMember: {person(2)}")
b = Raw(sb, login=2)
soon(lambda: mine(b) == "lrsi", "and has it again when he leaves it")

# ---- sessions that are open ----------------------------------------------------------------------------
c.ok('NOTIFY SET (subtree "Shared Folders" (MailboxName MessageNew MessageExpunge))')
change("staff", "add: uniqueMember", f"uniqueMember: {person(3)}")
change("temps", "replace: uniqueMember", f"uniqueMember: {person(4)}")
got = c.response()
tm.ok(W.encode() in got, "NOTIFY tells him who comes into it") or tm.diag(got)
change("staff", "delete: uniqueMember", f"uniqueMember: {person(3)}")
got = next(l for l in iter(c.response, None) if not l.startswith(b"* STATUS"))
tm.is_(got, f'* LIST (\\NonExistent) "/" "{W}"'.encode(), "and who leaves it")
change("staff", "add: uniqueMember", f"uniqueMember: {person(3)}")
tm.ok(W.encode() in c.response(), "and who comes back")
c.ok("NOTIFY NONE")
c.ok(f'SELECT "{W}"')
c.start("IDLE")
c.response()
change("staff", "delete: uniqueMember", f"uniqueMember: {person(3)}")
tm.ok(c.response().startswith(b"* BYE"), "who is removed is sent away from IDLE")
c = Raw(sb, login=3)
tm.is_((mine(c), W in names(c)), ("", False), "and sees nothing")

# ---- other ways to be in it ------------------------------------------------------------------------------
d = Raw(sb, login=4)
tm.is_(mine(d), "", "a fourth is in none")
change("staff", "add: mgrpRFC822MailMember", f"mgrpRFC822MailMember: {four.upper()}@{D}")
change("temps", "delete: uniqueMember", "-", "add: mgrpRFC822MailMember", "mgrpRFC822MailMember: x@out.test")
soon(lambda: mine(d) == "lrsi", "by an address")
group("found", f"memberURL: ldap:///ou=People,o={D},{BASE}??sub?(uid={three})", f"memberURL: ldap:///ou=People,o={D},{BASE}??sub?(broken")
a.ok("SETACL work group:found lr")
soon(lambda: mine(c) == "lr", "by a URL")
tm.is_((mine(d), mine(b)), ("lrsi", "lrsi"), "which finds nobody else")
change("found", "replace: memberURL", f"memberURL: ldap:///ou=Groups,o={D},{BASE}??sub?(uid={three})")
soon(lambda: mine(c) == "", "of another part of the directory it does not")
change("staff", "add: inetMailGroupStatus", "inetMailGroupStatus: disabled")
soon(lambda: mine(d) == "" and mine(b) == "", "one that is disabled has nobody")
change("staff", "replace: inetMailGroupStatus", "inetMailGroupStatus: active")
soon(lambda: mine(d) == "lrsi", "one that is active has")

ldap("ldapadd", f"dn: o=other.test,{BASE}\nobjectClass: organization\nobjectClass: sunManagedOrganization\nobjectClass: inetDomain\nobjectClass: mailDomain\n"
     f"o: other.test\nsunPreferredDomain: other.test\ninetDomainStatus: active\nmailDomainStatus: active\n\n"
     f"dn: ou=Groups,o=other.test,{BASE}\nobjectClass: organizationalUnit\nou: Groups\n\n" +
     entry("temps", f"uniqueMember: {person(4)}").replace(f"o={D},", "o=other.test,", 1) +
     entry("theirs", f"uniqueMember: {person(3)}").replace(f"o={D},", "o=other.test,", 1).replace(f"@{D}", "@other.test"))
a.ok("SETACL work group:theirs@other.test lr")
soon(lambda: mine(c) == "lr", "a list of another domain is one too")
tm.ok(not tm.wait_for(lambda: mine(d) != "lrsi", 3), "but it is none of ours, whatever it calls itself")

# ---- no directory ---------------------------------------------------------------------------------------------
sb.kill("slapd")
tm.wait_for(lambda: False, 4)
tm.is_((mine(d), mine(c)), ("lrsi", "lr"), "without a directory what was known holds")
sb.restart("slapd")

# ---- in very many -------------------------------------------------------------------------------------------
e = Raw(sb, login=5)
a.ok(f"SETACL work {five} lr")
tm.is_(mine(e), "lr", "a fifth is named himself")
ldap("ldapadd", "".join(entry(f"many{i:04}", f"uniqueMember: {person(5)}") for i in range(300)))
soon(lambda: mine(e) == "l", "who is in more groups than are looked at loses what is taken from any")
tm.is_(mine(d), "lrsi", "others do not")
watch = tm.Stopwatch()
many = Raw(sb, login=5)
tm.ok(W in names(many), "he comes in")
tm.ok(watch.took(2), "at once")
ldap("ldapmodify", f"dn: cn=staff,ou=Groups,o={D},{BASE}\nchangetype: delete\n")
soon(lambda: mine(d) == "", "a group that is removed has nobody")
soon(lambda: owners(Jmap(sb, 2)) == [], "nor by JMAP")
r = subprocess.run([sb.bin("storectl"), "acl", f"{one}@{D}", "work", f"group:temps@{D}", "lr"], env=dict(os.environ, TIERMAIL_CONF=sb.conf("tiermail.conf")), capture_output=True, text=True)
tm.is_(r.returncode, 0, "storectl gives to groups too") or tm.diag(r.stdout + r.stderr)
tm.done()
