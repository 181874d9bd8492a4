#!/usr/bin/env python3
"""The schema and the access rules of conf/: who may read and change what."""
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "flow"))
import tm

tm.need("ldapsearch", "ldapmodify")
sb = tm.Sandbox("--users", "3", *[w for d in ("stored", "lmtpd", "jobctl", "smtp-relay", "imapd")
                                  for w in ("--without", d)])
e, d = sb.env, sb.domain
base = e["LDAP_BASE"]


def dn(uid):
    return f"uid={uid},ou=People,o={d},{base}"


service = (f"uid=mta,ou=services,{base}", e["LDAP_SERVICE_PASSWORD"])
admin = (e["LDAP_ADMIN_DN"], e["LDAP_ADMIN_PASSWORD"])
user = (dn("user0001"), sb.password)


def run(tool, who, *args, text=None):
    as_ = ["-D", who[0], "-w", who[1]] if who else []
    return subprocess.run([tool, "-x", "-H", e["LDAP_URL"], *as_, *args], input=text, text=True,
                          capture_output=True)


def read(who, name, *attrs):
    """{attribute: values} of an entry, empty when it is not to be seen."""
    r = run("ldapsearch", who, "-LLL", "-o", "ldif-wrap=no", "-b", name, "-s", "base", *attrs)
    found = {}
    for line in r.stdout.splitlines():
        key, _, value = line.partition(": ")
        if value and key != "dn":
            found.setdefault(key.rstrip(":"), []).append(value)
    return found


def change(who, name, attr, value):
    return run("ldapmodify", who, text=f"dn: {name}\nchangetype: modify\nreplace: {attr}\n"
               f"{attr}: {value}\n").returncode == 0


tm.ok(read(admin, dn("user0001")).get("userPassword:") or
      read(admin, dn("user0001")).get("userPassword"), "the administrator sees everything")
seen = read(service, dn("user0001"))
tm.is_(seen.get("mail"), [f"user0001@{d}"], "a service reads addresses")
tm.ok("mailHost" in seen and "mailUserStatus" in seen, "routing and status")
tm.ok(not [k for k in seen if k.startswith("userPassword")], "and no password")
tm.ok("cn" not in seen and "sn" not in seen, "nor what is personal")
tm.is_(read(service, dn("user0001"), "userPassword"), {}, "not even when it asks for it")
tm.is_(read(service, service[0]).get("userPassword"), None, "not its own either")
tm.is_(read(service, f"uid=store,ou=services,{base}"), {}, "nor other services")
tm.ok(not change(service, dn("user0001"), "mailQuota", "1"), "and changes nothing")
tm.is_(read(None, dn("user0001")), {}, "anonymous sees nothing")
tm.ok(run("ldapwhoami", (dn("user0001"), "wrong")).returncode != 0, "a wrong password does not bind")
tm.ok(run("ldapwhoami", user).returncode == 0, "the right one does")
tm.ok(read(user, dn("user0001")).get("mail"), "a user reads the own entry")
tm.is_(read(user, dn("user0002")), {}, "and no other")
tm.ok(change(user, dn("user0001"), "mailForwardingAddress", "me@elsewhere.test"),
      "a user may forward")
tm.ok(change(user, dn("user0001"), "mailAutoReplyText", "away"), "and say why no answer comes")
for attr, value in (("mail", f"root@{d}"), ("mailHost", "evil.test"), ("mailQuota", "-1"),
                    ("mailUserStatus", "active"), ("uid", "root"),
                    ("mailAlternateAddress", f"user0002@{d}"), ("mailDeliveryOption", "program")):
    tm.ok(not change(user, dn("user0001"), attr, value), f"but not change {attr}")
sieve = (f"uid=sieve,ou=services,{base}", e["LDAP_SERVICE_PASSWORD"])
tm.ok(change(user, dn("user0001"), "mailSieveRuleSource", "keep;"), "a user may change the own scripts")
for who, words in ((sieve, "sieved"), (service, "another service")):
    for attr, value, may in (("mailSieveRuleSource", "stop;", True), ("tiermailSieveScript", "x", True), ("mailForwardingAddress", "x@evil.test", False),
                             ("mailAutoReplyText", "x", False), ("userPassword", "x", False), ("mailQuota", "-1", False)):
        r = run("ldapmodify", who, "-e", "!authzid=dn:" + dn("user0001"), text=f"dn: {dn('user0001')}\nchangetype: modify\nreplace: {attr}\n{attr}: {value}\n")
        tm.is_(r.returncode == 0, may and who == sieve, f"{words} in a user's name: {attr}")
r = run("ldapmodify", sieve, text=f"dn: {dn('user0001')}\nchangetype: modify\nreplace: mailSieveRuleSource\nmailSieveRuleSource: keep;\n")
tm.ok(r.returncode != 0, "and in its own name nothing")
r = run("ldapmodify", sieve, "-e", "!authzid=dn:" + dn("user0001"), text=f"dn: {dn('user0002')}\nchangetype: modify\nreplace: mailSieveRuleSource\nmailSieveRuleSource: keep;\n")
tm.ok(r.returncode != 0, "nor is one person another one")
tm.ok(run("ldapwhoami", sieve, "-e", "!authzid=dn:" + e["LDAP_ADMIN_DN"]).returncode != 0, "and it is no administrator")
tm.ok(change(user, dn("user0001"), "userPassword", "new-secret"), "a user may change the password")
tm.ok(run("ldapwhoami", (user[0], "new-secret")).returncode == 0, "and bind with it")

# ---- the schema: every class can be used, old names stay valid
classes = """inetUser ipUser inetSubscriber inetMailUser inetLocalMailRecipient mailRecipient
    inetAdmin tiermailUser tiermailTotp""".split()
text = f"dn: uid=all,ou=People,o={d},{base}\nobjectClass: inetOrgPerson\n" + \
    "".join(f"objectClass: {c}\n" for c in classes) + \
    f"uid: all\ncn: a\nsn: a\nmailLocalAddress: all@{d}\ninetCOS: gold\nmailQuota: -1\n" \
    "mailMsgMaxBlocks: 1024\nvacationStartDate: 20260101000000Z\nmailSieveRuleSource: keep;\n"
r = run("ldapadd", admin, text=text)
tm.is_(r.returncode, 0, "an entry with every class of a user " + r.stderr)
tm.is_(read(service, f"uid=all,ou=People,o={d},{base}").get("mailAlternateAddress"), [f"all@{d}"],
       "mailLocalAddress is mailAlternateAddress")
text = f"dn: cn=list,ou=Groups,o={d},{base}\nobjectClass: groupOfUniqueNames\n" \
    "objectClass: inetMailGroup\nobjectClass: inetLocalMailRecipient\n" \
    f"objectClass: inetMailGroupManagement\nuniqueMember: {dn('user0001')}\ncn: list\n" \
    f"mail: list@{d}\nmgrpRFC822MailMember: a@b.test\nmgrpMsgMaxSize: 1000\n"
r = run("ldapadd", admin, text=text)
tm.is_(r.returncode, 0, "and one of a group " + r.stderr)
tm.done()
