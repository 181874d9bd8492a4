#!/usr/bin/env python3
"""diradm against a real slapd: each verb, as each role; what is refused, and in which words; two administrators
at once; the audit log; what check finds."""
import base64
import json
import os
import stat
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tm

tm.need("ldapsearch", "ldapmodify")
STORES = "s1.test, s2.test, s3.test"
sb = tm.Sandbox("--users", "12", "--admin", "--set", f"admind.place.hosts={STORES}",
                *[w for d in ("stored", "lmtpd", "jobctl", "smtp-relay", "imapd", "pop3d", "sieved", "mmpd", "memd", "jmapd", "admind") for w in ("--without", d)])
D, D2, BASE = sb.domain, sb.env["DOMAIN2"], sb.env["LDAP_BASE"]
AUDIT = os.path.join(sb.dir, "admin.audit")


def secret(text):
    path = os.path.join(sb.dir, "pw-" + str(abs(hash(text))))
    with open(path, "w") as f:
        os.chmod(path, stat.S_IRUSR)
        f.write(text + "\n")
    return path


ROOT = ("-D", sb.env["LDAP_ADMIN_DN"], "-y", secret(sb.env["LDAP_ADMIN_PASSWORD"]))
MINE = secret(sb.password)


def diradm(*words, who=ROOT):
    who = who if isinstance(who, tuple) else ("-D", who, "-y", MINE)
    return sb.tool("diradm", *who, *words)


def done(*words, who=ROOT):
    """Its records; the test says when it fails."""
    r = diradm("-j", *words, who=who)
    if r.returncode:
        tm.ok(False, " ".join(words) + " works")
        tm.diag(r.stdout + r.stderr)
    return [json.loads(line) for line in r.stdout.splitlines()]


def show(what, name, who=ROOT):
    return ([r for r in done(what, "show", name, who=who) if r["kind"] == what] or [{}])[0]


def refused(code, text, *words, who=ROOT):
    r = diradm(*words, who=who)
    tm.ok(r.returncode == code and text in r.stderr, f"{' '.join(words)}: refused: {text}") or tm.diag(f"{r.returncode}\n{r.stdout}{r.stderr}")


def audit():
    with open(AUDIT) as f:
        return [json.loads(line) for line in f]


def ldap(*args, text=None):
    return subprocess.run([args[0], "-x", "-H", sb.env["LDAP_URL"], "-D", sb.env["LDAP_ADMIN_DN"], "-w", sb.env["LDAP_ADMIN_PASSWORD"], *args[1:]],
                          input=text, text=True, capture_output=True)


def binds(address, password):
    """Does the directory take this password?"""
    dn = show("user", address)["dn"]
    return subprocess.run(["ldapwhoami", "-x", "-H", sb.env["LDAP_URL"], "-D", dn, "-w", password], capture_output=True).returncode == 0


# ---- organisations, providers, packages
done("provider", "create", "Acme", "description=Brings mail to customers")
done("org", "create", "one.test", "Acme", "users=4", "alias=uno.test")
done("org", "create", "two.test", "Acme")
tm.is_([r["org"] for r in done("org", "list", "Acme")], ["one.test", "two.test"], "a provider with two organisations")
tm.ok({D, D2, "one.test"} <= {r["org"] for r in done("org", "list")}, "beside others")
refused(73, "the domain is that of the organisation one.test", "org", "create", "uno.test")
refused(73, "the domain is that of the organisation one.test", "org", "modify", "two.test", "alias=one.test")
refused(64, "no domain name", "org", "create", "no_domain.test/")
refused(67, "there is no such provider", "org", "create", "three.test", "Nobody")
ldap("ldapdelete", f"ou=Groups,o=two.test,o=Acme,{BASE}")
done("org", "create", "two.test", "Acme")
tm.is_(show("org", "two.test")["status"], "active", "what has stopped in the middle goes on")
tm.ok(ldap("ldapsearch", "-b", f"ou=Groups,o=two.test,o=Acme,{BASE}", "-s", "base").returncode == 0, "and is whole")
done("package", "create", "gold", "quota=5G", "maxsize=20M", "services=+imaps,smtps:*")
done("package", "create", "tin", "quota=100M")
refused(77, "does not have this package", "user", "create", "x@one.test", "package=gold")
done("org", "modify", "one.test", "package=gold:2", "default-package=gold")
tm.is_(show("org", "one.test")["package"], ["gold 2"], "an organisation has two of a package")

# ---- users
done("user", "create", "Ann@one.test", "name=Ann Lee", "phone=1", "phone=2", "alias=boss@uno.test")
ann = show("user", "ann@one.test")
tm.is_({k: ann.get(k) for k in ("user", "name", "surname", "mail", "alias", "quota", "maxsize", "package", "services", "phone", "login")},
       {"user": "ann@one.test", "name": "Ann Lee", "surname": "Lee", "mail": "ann@one.test", "alias": ["boss@uno.test"], "quota": 5 << 30,
        "maxsize": 20 << 20, "package": "gold", "services": ["+imaps,smtps:*"], "phone": ["1", "2"], "login": "active"}, "a user, with what the package gives")
done("user", "create", "bob@one.test")
refused(73, "all 2 of one.test are given", "user", "create", "cat@one.test")
done("user", "create", "cat@one.test", "package=", "quota=none", "messages=10")
tm.is_((show("user", "cat@one.test")["quota"], show("user", "cat@one.test")["messages"]), ("none", 10), "one without a package")
tm.is_(sorted(show("user", f"{u}@one.test")["host"] for u in ("ann", "bob", "cat")), ["s1.test", "s2.test", "s3.test"], "each goes to the store with the fewest")
done("user", "create", "dan@one.test", "package=", "host=special.test")
tm.is_(show("user", "dan@one.test")["host"], "special.test", "or to the one that is named")
refused(73, "it has all of its 4 users", "user", "create", "eve@one.test", "package=")
refused(73, "the address is that of ann@one.test", "user", "modify", "bob@one.test", "alias+=boss@uno.test")
refused(64, "is no domain of this organisation", "user", "modify", "bob@one.test", f"alias=bob@{D}")
refused(64, "this cannot name a mailbox", "user", "create", "a/b@two.test")
refused(64, "there is no such setting; did you mean quota?", "user", "modify", "bob@one.test", "qouta=1G")
refused(64, "there is no such setting", "user", "modify", "bob@one.test", "userPassword=x")
refused(64, "a size is 10, 4K, 25M or 1G", "user", "modify", "bob@one.test", "quota=much")
refused(64, "one of active|", "user", "modify", "bob@one.test", "status=sleepy")
refused(64, "has one value only", "user", "modify", "bob@one.test", "quota=1", "quota=2")
refused(64, "there is no such day", "user", "modify", "bob@one.test", "vacation-end=2026-13-01")
done("user", "modify", "bob@one.test", "forward=x@elsewhere.test", "delivery=mailbox", "delivery=forward", "vacation=Away\nfor long", "vacation-end=2030-01-02")
bob = show("user", "bob@one.test")
tm.is_((bob["forward"], sorted(bob["delivery"]), bob["vacation"], bob["vacation-end"]), (["x@elsewhere.test"], ["forward", "mailbox"], "Away\nfor long", "20300102000000Z"),
       "forwarding and an answer while away")
done("user", "modify", "bob@one.test", "delivery-=forward", "forward=", "vacation=")
bob = show("user", "bob@one.test")
tm.ok(bob["delivery"] == ["mailbox"] and "forward" not in bob and "vacation" not in bob, "and without again")
before = show("user", "bob@one.test")["version"]
r = diradm("-n", "user", "modify", "bob@one.test", "quota=1K")
tm.ok("would modify" in r.stdout and "mailQuota=1024" in r.stdout and show("user", "bob@one.test")["version"] == before, "a dry run tells, and changes nothing")
done("user", "modify", "bob@one.test", "description=first")
refused(75, "somebody has changed it meanwhile", "-i", before, "user", "modify", "bob@one.test", "description=second")
done("-i", show("user", "bob@one.test")["version"], "user", "modify", "bob@one.test", "description=third")
tm.is_(show("user", "bob@one.test")["description"], "third", "a change only of the version that was seen")

# ---- passwords
done("-w", secret("first-one"), "user", "password", "ann@one.test")
tm.ok(binds("ann@one.test", "first-one") and not binds("ann@one.test", "other"), "a password that is given")
made = done("user", "password", "ann@one.test")[0]["password"]
tm.ok(binds("ann@one.test", made) and not binds("ann@one.test", "first-one"), "one that the directory makes")
done("-w", secret(sb.password), "user", "create", "eve@two.test", "package=", "name=Eve")
tm.ok(binds("eve@two.test", sb.password), "one at the beginning")
for who in ("ann@one.test", "bob@one.test", "cat@one.test"):
    done("-w", secret(sb.password), "user", "password", who)
tm.ok(not [a for a in audit() if "first-one" in json.dumps(a) or made in json.dumps(a)], "none is in the log")

# ---- status, deletion
for verb, login, status in (("suspend", "inactive", "active"), ("resume", "active", "active"), ("hold", "active", "hold"), ("resume", "active", "active"),
                            ("delete", "deleted", "deleted")):
    done("user", verb, "dan@one.test")
    dan = show("user", "dan@one.test")
    tm.is_((dan["login"], dan["status"]), (login, status), verb)
refused(64, "it is deleted: undelete it first", "user", "resume", "dan@one.test")
done("user", "undelete", "dan@one.test")
tm.ok("deleted" not in show("user", "dan@one.test"), "a deleted user comes back")
refused(64, "it is not deleted", "user", "purge", "dan@one.test")
done("user", "delete", "dan@one.test")
done("user", "purge", "one.test")
tm.is_(show("user", "dan@one.test")["login"], "deleted", "whose time is not over stays")

# ---- lists
done("group", "create", "staff@one.test", "member=ann@one.test", "member=dan@one.test", "external=a@else.test", "dynamic=(uid=b*)", "policy=SMTP_AUTH_REQUIRED",
     "moderator=ann@one.test", "owner=dan@one.test")
staff = show("group", "staff@one.test")
tm.is_((sorted(staff["member"]), staff["external"], staff["moderator"], staff["dynamic"]),
       (["ann@one.test", "dan@one.test"], ["a@else.test"], ["ann@one.test"], [f"ldap:///ou=People,o=one.test,o=Acme,{BASE}??one?(uid=b*)"]), "a list")
refused(64, "no user or list that you may see", "group", "modify", "staff@one.test", "member+=nobody@one.test")
done("user", "purge", "dan@one.test")
staff = show("group", "staff@one.test")
tm.is_((staff["member"], "owner" in staff), (["ann@one.test"], False), "who is purged is in no list any more")
refused(67, "there is no such user", "user", "show", "dan@one.test")
done("group", "rename", "staff@one.test", "team")
tm.is_((show("group", "staff@one.test")["group"], show("group", "team@one.test")["alias"]), ("team@one.test", ["staff@one.test"]), "a list with another name, and the old address")

# ---- renaming and moving
done("user", "rename", "ann@one.test", "anna")
ann = show("user", "ann@one.test")
tm.is_((ann["user"], ann["mail"], sorted(ann["alias"])), ("anna@one.test", "anna@one.test", ["ann@one.test", "boss@uno.test"]), "a user with another name")
tm.is_(show("group", "team@one.test")["member"], ["anna@one.test"], "who is in the same lists")
refused(73, "the address is that of anna@one.test", "user", "rename", "bob@one.test", "ann")
# they stopped after the entry had its name, before those that name it had been told
done("group", "create", "outer@one.test", "member=team@one.test", "member=anna@one.test", "owner=anna@one.test")
for was, now, folder in (("uid=anna", "uid=anita", "People"), ("cn=team", "cn=crew", "Groups")):
    ldap("ldapmodify", text=f"dn: {was},ou={folder},o=one.test,o=Acme,{BASE}\nchangetype: modrdn\nnewrdn: {now}\ndeleteoldrdn: 1\n")
done("user", "rename", "anna@one.test", "anita")
done("group", "rename", "team@one.test", "crew")
outer = show("group", "outer@one.test")
tm.is_((sorted(outer["member"]), outer["owner"], show("group", "crew@one.test")["member"]), (["anita@one.test", "crew@one.test"], ["anita@one.test"], ["anita@one.test"]),
       "who named them names them still")
done("user", "rename", "anita@one.test", "anna")
done("group", "rename", "crew@one.test", "team")
done("group", "delete", "outer@one.test")
done("user", "move", "cat@one.test", "two.test")
tm.is_((show("user", "cat@two.test")["mail"], "alias" in show("user", "cat@two.test")), ("cat@two.test", False), "a user in another organisation")
# it stopped after the entry had gone there, before its addresses
ldap("ldapmodify", text=f"dn: uid=cat,ou=People,o=two.test,o=Acme,{BASE}\nchangetype: modify\nreplace: mail\nmail: cat@one.test\n")
done("user", "move", "cat@one.test", "two.test")
tm.is_(show("user", "cat@two.test")["mail"], "cat@two.test", "a move that has stopped goes on")
done("package", "modify", "gold", "quota=6G")
done("package", "apply", "gold")
tm.is_(show("user", "bob@one.test")["quota"], 6 << 30, "who has a package gets what it gives now")
refused(64, "users have it", "package", "delete", "gold")

# ---- roles: who may what, by the directory's rules alone
done("role", "grant", "provider", "eve@two.test", "Acme")
done("role", "grant", "organisation", "anna@one.test")
done("role", "grant", "helpdesk", "bob@one.test")
tm.ok({("provider", "eve@two.test", "Acme"), ("organisation", "anna@one.test", "one.test"), ("helpdesk", "bob@one.test", "one.test"),
       ("top", f"admin@{D}", None)} <= {(r["role"], r["user"], r.get("over")) for r in done("role", "list")}, "who has which role")
refused(64, "the user is not of what the role is over", "role", "grant", "organisation", f"user0001@{D}", "one.test")
TOP, PROVIDER, ORG, HELP, USER = f"admin@{D}", "eve@two.test", "anna@one.test", "bob@one.test", f"user0002@{D}"
tm.is_([sorted(r["org"] for r in done("org", "list", who=w)) for w in (PROVIDER, ORG, HELP, USER)], [["one.test", "two.test"], ["one.test"], ["one.test"], []],
       "each sees the own organisations, and no other's name")
refused(77, "your role does not allow this", "org", "create", "three.test", "Acme", who=PROVIDER)  # admind looks at all domains
done("org", "create", "three.test", "Acme")
refused(77, "your role does not allow this", "org", "create", "four.test", who=PROVIDER)
refused(67, "you may not see it", "org", "create", "four.test", "Acme", who=ORG)
done("org", "modify", "one.test", "users=9", who=PROVIDER)
refused(77, "your role does not allow this", "org", "modify", "one.test", "users=99", who=ORG)
refused(77, "your role does not allow this", "org", "modify", "one.test", "package+=gold:50", who=ORG)
done("user", "create", "fay@one.test", "package=", who=ORG)
done("user", "modify", "fay@one.test", "quota=1G", "name=Fay", who=ORG)
refused(77, "your role does not allow this", "user", "modify", "fay@one.test", "host=elsewhere.test", who=ORG)
refused(77, "your role does not allow this", "user", "modify", "fay@one.test", "delivery=program", who=ORG)
refused(67, "you may not see it", "user", "show", "cat@two.test", who=ORG)
refused(77, "your role does not allow this", "role", "grant", "organisation", "fay@one.test", who=ORG)
done("role", "grant", "helpdesk", "fay@one.test", who=ORG)
done("user", "password", "fay@one.test", who=ORG)
refused(77, "your role does not allow this", "user", "create", "gil@one.test", "package=", who=HELP)
done("user", "create", "gil@one.test", "package=", who=PROVIDER)
done("user", "password", "gil@one.test", who=HELP)
refused(77, "your role does not allow this", "user", "password", ORG, who=HELP)
refused(67, "you may not see it", "user", "show", f"user0003@{D}", who=USER)
refused(77, "login", "org", "list", who=("-D", USER, "-y", secret("wrong")))
# what came with a new entry is looked at as well: else who adds a user could add an act-for-anybody
r = subprocess.run(["ldapadd", "-x", "-H", sb.env["LDAP_URL"], "-D", show("user", ORG)["dn"], "-w", sb.password], capture_output=True, text=True,
                   input=f"dn: uid=evil,ou=People,o=one.test,o=Acme,{BASE}\nobjectClass: inetOrgPerson\nobjectClass: inetUser\nuid: evil\ncn: e\nsn: e\nauthzTo: dn.regex:.*\n")
tm.ok(r.returncode != 0, "nobody adds a user that may act for others")
# admind's account acts for the person, and for nobody else
ACTS = ("-D", f"uid=admind,ou=services,{BASE}", "-y", secret(sb.env["LDAP_SERVICE_PASSWORD"]))
done("user", "modify", "fay@one.test", "description=by anna", who=(*ACTS, "-a", ORG))
refused(77, "your role does not allow this", "org", "modify", "one.test", "users=99", who=(*ACTS, "-a", ORG))
refused(77, "", "user", "modify", "fay@one.test", "description=by itself", who=ACTS)
refused(77, "does not let us act", "org", "list", who=(*ACTS, "-a", sb.env["LDAP_ADMIN_DN"]))
refused(77, "does not let us act", "org", "list", who=("-D", ORG, "-y", MINE, "-a", "fay@one.test"))

# ---- what it wrote down
last = [a for a in audit() if a["dn"].startswith("uid=fay") and a["op"] == "modify" and a["result"] == "done"][-1]
tm.is_((last["who"], last["verb"], last["result"], last["changes"][0]["values"]), (ORG, "user modify", "done", ["by anna"]), "the log has who changed what")
one = [a for a in audit() if a["verb"] == "user modify" and any(c["attribute"] == "description" for c in a["changes"]) and a["dn"].startswith("uid=bob")][-1]
tm.is_(one["before"].get("description"), ["first"], "and what stood there before")
tm.ok([a for a in audit() if a["result"] == "denied" and a["who"] == ORG], "also what was refused")
os.rename(AUDIT, AUDIT + ".1")
os.mkdir(AUDIT)
refused(70, "without the audit log nothing is changed", "user", "modify", "fay@one.test", "description=unseen")
os.rmdir(AUDIT)
tm.is_(show("user", "fay@one.test")["description"], "by anna", "what could not be written down was not done")

# ---- check
tm.is_([r for r in done("check", "one.test") if r["kind"] == "finding"], [], "nothing to find")
ldap("ldapmodify", text=f"""dn: uid=user0003,ou=People,o={D},{BASE}
changetype: modify
add: mailAlternateAddress
mailAlternateAddress: user0004@{D}

dn: uid=user0005,ou=People,o={D},{BASE}
changetype: modify
delete: mailHost

dn: uid=gil,ou=People,o=one.test,o=Acme,{BASE}
changetype: modify
replace: mailHost
mailHost: nowhere.test

dn: uid=bob,ou=People,o=one.test,o=Acme,{BASE}
changetype: modify
replace: mailQuota
mailQuota: -1

dn: cn=a,ou=Groups,o=one.test,o=Acme,{BASE}
changetype: add
objectClass: inetMailGroup
objectClass: inetMailGroupManagement
objectClass: groupOfURLs
cn: a
mail: a@one.test
uniqueMember: cn=b,ou=Groups,o=one.test,o=Acme,{BASE}
uniqueMember: uid=gone,ou=People,o=one.test,o=Acme,{BASE}

dn: cn=b,ou=Groups,o=one.test,o=Acme,{BASE}
changetype: add
objectClass: inetMailGroup
objectClass: inetMailGroupManagement
objectClass: groupOfURLs
cn: b
mail: b@one.test
uniqueMember: cn=a,ou=Groups,o=one.test,o=Acme,{BASE}
""")
found = {(r["finding"], r["name"]) for r in done("check") if r["kind"] == "finding"}
want = {("duplicate-address", f"user0004@{D}"), ("no-mailhost", f"user0005@{D}"), ("unknown-host", "gil@one.test"), ("over-package", "bob@one.test"),
        ("no-member", "a@one.test"), ("list-loop", "b@one.test")}
tm.is_(sorted(want - found), [], "check finds it all")
tm.is_(sorted(f for f in found - want if not f[1].endswith(D2) and f[0] != "unknown-host"), [], "and nothing else")

# ---- what a directory lacks
tm.is_([r for r in done("init") if r["kind"] == "lack"], [], "this one lacks nothing")
ldap("ldapdelete", f"uid=admind,ou=services,{BASE}")
ldap("ldapdelete", f"ou=Groups,o=two.test,o=Acme,{BASE}")
r = diradm("init")
tm.ok("# folder two.test" in r.stdout and f"dn: uid=admind,ou=services,{BASE}" in r.stdout, "what is missing is printed") or tm.diag(r.stdout + r.stderr)
tm.ok(ldap("ldapadd", text=r.stdout).returncode == 0 and [x["lacks"] for x in done("init") if x["kind"] == "lack"] == ["folder"], "and can be loaded")
tm.ok(diradm("org", "list", who=ACTS).returncode != 0, "with an account that nobody gets in by yet")
done("org", "create", "two.test", "Acme")
tm.is_([x for x in done("init") if x["kind"] == "lack"], [], "then it is whole")

# ---- many at once
TABLE = os.path.join(sb.dir, "people.csv")
with open(TABLE, "w") as f:
    f.write("user,name,alias,quota,password\r\n"
            'ida@two.test,"Ida ""I"" Lee","i1@two.test\ni2@two.test",1G,secret-ida\r\n'
            "jon@two.test,Jon,,,\r\n"
            "bad@two.test,Bad,b@elsewhere.test,,\r\n"
            "a/b@two.test,No,,,\r\n"
            "\r\n"
            "cat@two.test,Cat Changed,,,\r\n")


def bulk(*words, who=ROOT):
    r = sb.tool("diradm", *who, "-j", *words)
    return r, [(x["line"], x["name"], x["result"]) for x in map(json.loads, r.stdout.splitlines())]


before = os.path.exists(AUDIT)
r, rows = bulk("-n", "import", TABLE)
tm.is_((r.returncode, [x[2] for x in rows], os.path.exists(AUDIT) == before), (65, ["made", "made", "failed", "failed", "there"], True), "a dry run of an import tells, and makes nothing")
r, rows = bulk("import", TABLE)
tm.is_(rows, [(2, "ida@two.test", "made"), (4, "jon@two.test", "made"), (5, "bad@two.test", "failed"), (6, "a/b@two.test", "failed"), (8, "cat@two.test", "there")],
       "an import tells of each row, by the line where it begins")
tm.ok(r.returncode == 65 and "2 made, 0 changed, 1 there already, 2 failed" in r.stderr and "is no domain of this organisation" in r.stdout, "and what has failed")
ida = show("user", "ida@two.test")
tm.is_((ida["name"], sorted(ida["alias"]), ida["quota"]), ('Ida "I" Lee', ["i1@two.test", "i2@two.test"], 1 << 30), "cells with quotes, and several values")
tm.ok(binds("ida@two.test", "secret-ida"), "a password")
r, rows = bulk("import", TABLE)
tm.is_([x[2] for x in rows], ["there", "there", "failed", "failed", "there"], "begun again it goes on where it stopped")
r, rows = bulk("import", TABLE, "update")
tm.is_(([x[2] for x in rows][4], show("user", "cat@two.test")["name"]), ("changed", "Cat Changed"), "what is there is changed when that is wanted")
refused(64, "there is no such setting of a user", "import", secret("user,colour\nx@two.test,red"))
refused(64, "the first column is user, group or org", "import", secret("mail,name"))
refused(64, "a quote is opened and not closed", "import", secret('user,name\nx@two.test,"x'))
refused(64, "No such file", "import", "/nonexistent")
table = diradm("export", "user", "one.test").stdout
with open(TABLE, "w") as f:
    f.write(table.replace("one.test", "two.test").replace("uno.test", "two.test"))
r, rows = bulk("import", TABLE)
tm.is_(sorted(x[1] for x in rows if x[2] == "failed"), ["anna@two.test", "bob@two.test"], "what was exported can be imported, but for packages that are not there")
fay, copy = show("user", "fay@one.test"), show("user", "fay@two.test")
tm.is_({k: v for k, v in copy.items() if k in ("quota", "description", "name", "delivery")}, {k: v for k, v in fay.items() if k in ("quota", "description", "name", "delivery")},
       "and is the same")
tm.is_([line.split(",")[0] for line in diradm("export", "org", "Acme").stdout.splitlines()][:1], ["org"], "organisations too")

# ---- the same as LDIF
LDIF = os.path.join(sb.dir, "people.ldif")
P = f"ou=People,o=two.test,o=Acme,{BASE}"
with open(LDIF, "w") as f:
    f.write(f"""version: 1
# a comment
 that goes on
dn: cn=crew,ou=Groups,o=two.test,o=Acme,{BASE}
objectClass: groupOfURLs
objectClass: inetMailGroup
cn: crew
uniqueMember: uid=lena,{P}
uniqueMember: uid=mo,{P}

dn: uid=lena,{P}
objectClass: inetOrgPerson
objectClass: inetMailUser
uid: lena
cn:: TMOpbmE=
sn: A name that is
  folded
mailQuota: 1048576
mailMsgMaxBlocks: 20
mailAlternateAddress: l1@two.test
mailAlternateAddress: l2@two.test
userPassword: secret-lena
departmentNumber: 7

dn: uid=mo,{P}
objectClass: inetMailUser
cn: Mo
mailAlternateAddress: mo@elsewhere.test

dn: uid=nell,ou=people,dc=old,dc=test
objectClass: inetMailUser
cn: Nell
mail: nell@two.test
userPassword: {{SSHA}}W6ph5Mm5Pz8GgiULbPgzG37mj9gd7cwE

dn: uid=changed,{P}
changetype: modify
replace: cn
cn: Changed

nothing at all

dn: uid=bad,{P}
objectClass: inetMailUser
cn:: ?

dn: uid=else,{P}
objectClass: inetMailUser
cn:< file:///etc/passwd

dn: ou=elsewhere,dc=old,dc=test
objectClass: organizationalUnit
""")
r, rows = bulk("-n", "import", LDIF)
tm.is_([x[2] for x in rows if x[1] in ("lena@two.test", "nell@two.test")], ["made", "made"], "a dry run of LDIF")
tm.ok(diradm("user", "show", "lena@two.test").returncode != 0, "makes nobody")
r, rows = bulk("import", LDIF)
tm.is_([(x[0], x[2]) for x in rows if "@" in x[1]], [(11, "made"), (25, "failed"), (30, "made"), (4, "failed")], "people first, then lists, each told by the line where it begins") or tm.diag(r.stdout)
tm.is_(sorted(x[0] for x in rows if x[2] == "failed" and "@" not in x[1]), [36, 41, 43, 47], "entries that are none, each by its line") or tm.diag(r.stdout)
tm.ok("passed over: departmentNumber" in r.stdout and "entries are read, and not changes" in r.stdout and "a value that is elsewhere is not read" in r.stdout and r.returncode == 65, "and why")
lena = show("user", "lena@two.test")
tm.is_((lena["name"], lena["surname"], lena["quota"], lena["maxsize"], sorted(lena["alias"])), ("L\u00e9na", "A name that is folded", 1 << 20, 20480, ["l1@two.test", "l2@two.test"]), "values in all their forms")
tm.ok(binds("lena@two.test", "secret-lena"), "a password that nobody has hashed is hashed by the directory")
with open(LDIF) as f:
    text = f.read()
with open(LDIF, "w") as f:
    f.write(text.replace("mo@elsewhere.test", "mo2@two.test"))
r, rows = bulk("import", LDIF)
tm.is_([(x[1], x[2]) for x in rows if "@" in x[1]], [("lena@two.test", "there"), ("mo@two.test", "made"), ("nell@two.test", "there"), ("crew@two.test", "made")], "begun again it goes on where it stopped")
tm.is_(sorted(show("group", "crew@two.test")["member"]), ["lena@two.test", "mo@two.test"], "members by their DNs")
done("user", "modify", "lena@two.test", "vacation=one\ntwo ", "description= blank")
got = {o: diradm("export", o, "two.test", "ldif").stdout for o in ("user", "group")}
tm.ok(got["user"].startswith("version: 1\n") and f"dn: uid=lena,{P}\n" in got["user"] and "mailMsgMaxBlocks: 20\n" in got["user"] and "entryCSN" not in got["user"] and "userPassword" not in got["user"], "an export as LDIF")
for o in got:
    with open(LDIF, "w") as f:
        f.write(got[o])
    r, rows = bulk("import", LDIF)
    tm.is_(({x[2] for x in rows}, r.returncode), ({"there"}, 0), f"which is read again: {o}") or tm.diag(r.stdout)
before = show("user", "lena@two.test")
ldap("ldapdelete", "-r", f"uid=lena,{P}")
with open(LDIF, "w") as f:
    f.write(got["user"])
r, rows = bulk("import", LDIF)
tm.is_([x[1] for x in rows if x[2] == "made"], ["lena@two.test"], "who has gone is made again") or tm.diag(r.stdout)
after = show("user", "lena@two.test")
tm.is_({k: v for k, v in after.items() if k not in ("created", "modified", "version", "id")}, {k: v for k, v in before.items() if k not in ("created", "modified", "version", "id")}, "with everything that there was")
tm.ok(diradm("export", "org", "Acme", "ldif").stdout.count("\ndn: o=") >= 1, "organisations too")
tm.is_(diradm("export", "user", "ldif").returncode, 64, "of whom?")

# ---- what others have written commands no terminal
with open(LDIF, "w") as f:
    f.write(f"dn: uid=zed,{P}\nobjectClass: inetMailUser\nuid: zed\ncn: Zed\nsn: Z\nx\x1b]0;y\x07: z\n")
r = sb.tool("diradm", *ROOT, "import", LDIF)
tm.ok("made: passed over: x?]0\n" in r.stdout and "\x1b" not in r.stdout, "names in a file") or tm.diag(repr(r.stdout))
ldap("ldapmodify", text=f"dn: uid=zed,{P}\nchangetype: modify\nreplace: mailAutoReplyText\nmailAutoReplyText:: " + base64.b64encode("a\x1b[2Jb\u009bc\n\u00e9".encode()).decode() + "\n")
r = sb.tool("diradm", *ROOT, "user", "show", "zed@two.test")
tm.ok("vacation: a?[2Jb??c\n \u00e9\n" in r.stdout, "and what the directory has") or tm.diag(repr(r.stdout))

# ---- the end of an organisation
done("org", "suspend", "three.test")
tm.is_(show("org", "three.test")["login"], "inactive", "an organisation that nobody gets into")
done("org", "resume", "three.test")
refused(64, "it is not deleted", "org", "purge", "three.test")
done("org", "delete", "three.test")
done("org", "purge", "three.test")
refused(67, "there is no such organisation", "org", "show", "three.test")
refused(64, "organisations", "provider", "delete", "Acme")
sb.kill("slapd")
refused(69, "the directory does not answer, nothing was done", "org", "list")
tm.done()
