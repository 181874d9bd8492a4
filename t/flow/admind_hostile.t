#!/usr/bin/env python3
"""admind and the rules of the directory against administrators who want more than their role gives: another role by
renaming a group, domains and addresses of others whom they do not see, lists that reach other organisations, lists
that take what others need, and settings in such numbers that memory or time would be gone."""
import base64
import http.client
import json
import os
import ssl
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tm

tm.need("ldapmodify", "ldapmodrdn", "ldapsearch")
sb = tm.Sandbox("--users", "3", "--admin", "--set", "admind.auth.delay=0", "--set", "tiermail.ldap.auth_age=5m", "--set", "admind.limit.agents=16",
                *[w for d in ("stored", "lmtpd", "jobctl", "smtp-relay", "imapd", "pop3d", "sieved", "mmpd", "memd", "jmapd") for w in ("--without", d)])
D, B, PORT = sb.domain, sb.env["LDAP_BASE"], int(sb.env["ADMIN_PORT"])
TLS = ssl.create_default_context(cafile=sb.env["CAFILE"])
TLS.check_hostname = False
CONNECTION = http.client.HTTPSConnection(sb.host, PORT, context=TLS, timeout=tm.LONG)
TOP, CHIEF, BOSS = f"admin@{D}", "chief@a1.test", "boss@a1.test"


def ask(who, method, path, body=None, **headers):
    CONNECTION.request(method, "/api/v1/" + path, None if body is None else json.dumps(body),
                       {"Authorization": "Basic " + base64.b64encode(f"{who}:{sb.password}".encode()).decode(), "Content-Type": "application/json", **headers})
    r = CONNECTION.getresponse()
    text = r.read().decode()
    return r.status, json.loads(text) if text.startswith("{") else {}


def refused(got, status, code, what):
    if not tm.is_((got[0], got[1].get("code")), (status, code), what):
        tm.diag(str(got))


def made(*call):
    got = ask(TOP, *call)
    if got[0] not in (200, 201):
        tm.diag(f"{call}: {got}")


def ldap(tool, dn, *args, text=None):
    """A tool of slapd's as this person: its exit is the result code of LDAP."""
    return subprocess.run([tool, "-x", "-H", sb.env["LDAP_URL"], "-D", dn, "-w", sb.password, *args], input=text, capture_output=True, text=True).returncode


def members():
    r = subprocess.run(["ldapsearch", "-x", "-LLL", "-o", "ldif-wrap=no", "-H", sb.env["LDAP_URL"], "-D", sb.env["LDAP_ADMIN_DN"], "-w", sb.env["LDAP_ADMIN_PASSWORD"],
                        "-b", B, "(objectClass=groupOfNames)", "member"], capture_output=True, text=True)
    return sorted(line.partition(" ")[2] for line in r.stdout.splitlines() if line.startswith("dn: "))


for p in "AB":
    made("POST", "providers", {"name": p})
made("POST", "orgs", {"names": ["a1.test", "A"]})
made("POST", "orgs", {"names": ["b1.test", "B"], "alias": ["also.b1.test"]})
for user in (CHIEF, BOSS, "ann@a1.test", "vic@b1.test"):
    made("POST", "users", {"name": user, "password": sb.password})
made("POST", "roles/provider/grant", {"names": [CHIEF, "A"]})
made("POST", "roles/organisation/grant", {"names": [BOSS]})

# ---- another role: by renaming the group of one's own, or by putting a list in its place
ORGADMIN, ORG = f"uid=orgadmin,ou=People,o={D},{B}", f"o={D},{B}"
tm.is_(ask(f"orgadmin@{D}", "POST", "roles/helpdesk/grant", {"names": [f"orgadmin@{D}"]})[0], 200, "an organisation's administrator appoints a help desk")
before = members()
for name in ("Provider Admins", "Organization Admins 2", "Top-Level Admins"):
    tm.is_(ldap("ldapmodrdn", ORGADMIN, f"cn=Help Desk,{ORG}", f"cn={name}"), 50, f"its group cannot be renamed to cn={name}")
tm.is_(ldap("ldapmodrdn", ORGADMIN, "-s", f"ou=Groups,{ORG}", f"cn=Help Desk,{ORG}", "cn=Help Desk"), 50, "nor moved to where it could be")
tm.is_(members(), before, "and nothing has become of it")
MORE = "dn: uid=user0001,ou=People,%s\nchangetype: modify\nadd: mailDeliveryOption\nmailDeliveryOption: program\n" % ORG
tm.is_(ldap("ldapmodify", ORGADMIN, text=MORE), 50, "programs are still not theirs to give")
tm.is_(ask(f"orgadmin@{D}", "POST", "roles/helpdesk/revoke", {"names": [f"orgadmin@{D}"]})[0], 200, "the last of the help desk can be dismissed")
tm.is_([r["user"] for r in ask(f"orgadmin@{D}", "GET", f"roles?org={D}")[1]["records"] if r["role"] == "helpdesk"], [], "... and nobody has the role")
tm.is_(ask(f"user0001@{D}", "GET", f"users?org={D}")[0], 404, "... nor sees what it shows")
tm.is_(ask(f"orgadmin@{D}", "POST", "roles/helpdesk/grant", {"names": [f"user0001@{D}"]})[0], 200, "another is appointed")
tm.is_([r["user"] for r in ask(f"orgadmin@{D}", "GET", f"roles?org={D}")[1]["records"] if r["role"] == "helpdesk"], [f"user0001@{D}"], "... and has it alone")
ask(f"orgadmin@{D}", "DELETE", f"users/user0001@{D}")
tm.is_(ask(f"orgadmin@{D}", "POST", f"users/user0001@{D}/purge")[0], 200, "the last of the help desk can be purged")
tm.is_(members(), before, "the group stays")

# ---- domains and addresses of others, whom one does not see
refused(ask(CHIEF, "POST", "orgs", {"names": ["b1.test", "A"]}), 409, "domain-in-use", "a provider makes no organisation of another's domain")
refused(ask(CHIEF, "PATCH", "orgs/a1.test", {"alias": ["b1.test"]}), 409, "domain-in-use", "nor takes its name as a further one")
refused(ask(CHIEF, "PATCH", "orgs/a1.test", {"alias+": ["also.b1.test"]}), 409, "domain-in-use", "nor a further one of it")
CLAIM = "dn: o=a1.test,o=A,%s\nchangetype: modify\nreplace: sunPreferredDomain\nsunPreferredDomain: b1.test\n" % B
tm.is_(ldap("ldapmodify", f"uid=chief,ou=People,o=a1.test,o=A,{B}", text=CLAIM), 50, "nor past admind")
CLAIM = "dn: o=a1.test,o=A,%s\nchangetype: modify\nadd: associatedDomain\nassociatedDomain: also.b1.test\n" % B
tm.is_(ldap("ldapmodify", f"uid=chief,ou=People,o=a1.test,o=A,{B}", text=CLAIM), 50, "... either name")
NEW = f"dn: o=x,o=a1.test,o=A,{B}\nobjectClass: organization\nobjectClass: sunManagedOrganization\nobjectClass: inetDomain\no: x\nsunPreferredDomain: b1.test\n"
tm.is_(ldap("ldapadd", f"uid=chief,ou=People,o=a1.test,o=A,{B}", text=NEW), 50, "... nor deeper below")
tm.is_(ask(CHIEF, "PATCH", "orgs/a1.test", {"alias": ["new.a1.test"]})[0], 200, "one that is free is theirs")
for path, body in (("users", {"name": "x@a1.test", "alias": [CHIEF]}), ("users", {"name": "x@a1.test", "mail": CHIEF}), ("groups", {"name": CHIEF})):
    refused(ask(BOSS, "POST", path, body), 409, "address-in-use", f"the address of somebody above cannot be had twice: {path} {body}")
refused(ask(BOSS, "POST", "users/ann@a1.test/rename", {"names": ["ann", "chief"]}), 400, "operands", "nor by a name too many")
refused(ask(BOSS, "POST", "users/ann@a1.test/rename", {"names": ["chief"]}), 409, "address-in-use", "nor by another name")

# ---- lists that reach further than their owner sees
for base in (B, f"o=b1.test,o=B,{B}", f"ou=services,{B}", "", "ou=nowhere"):
    for setting in ("dynamic", "allow"):
        refused(ask(BOSS, "POST", "groups", {"name": "all@a1.test", setting: [f"ldap:///{base}??sub?(mail=*)"]}), 400, "value", f"{setting} does not reach {base or 'everything'}")
tm.is_(ask(BOSS, "POST", "groups", {"name": "all@a1.test", "dynamic": [f"ldap:///ou=People,o=a1.test,o=A,{B}??one?(mail=*)", "(uid=b*)"]})[0], 201, "one's own organisation is reached")
REACH = "dn: cn=all,ou=Groups,o=a1.test,o=A,%s\nchangetype: modify\nreplace: memberURL\nmemberURL: ldap:///%s??sub?(mail=*)\n" % (B, B)
tm.is_(ldap("ldapmodify", f"uid=boss,ou=People,o=a1.test,o=A,{B}", text=REACH), 50, "nor past admind")
tm.is_(ask(TOP, "PATCH", "groups/all@a1.test", {"dynamic": [f"ldap:///{B}??sub?(mail=*)"]})[0], 200, "who sees everything reaches everything")

# ---- sorted lists that nobody reads to their end: slapd keeps 32 for all
codes = {ask(BOSS, "GET", "users?org=a1.test&limit=1&sort=user")[0] for _ in range(60)}
tm.is_(codes, {200}, "60 sorted lists are begun")
status, first = ask(TOP, "GET", f"users?org={D}&limit=1&sort=user")
tm.is_(status, 200, "somebody else's sorted list")
for _ in range(20):
    ask(BOSS, "GET", "users?org=a1.test&limit=1&sort=user")
tm.is_(ask(TOP, "GET", f"users?org={D}&limit=1&sort=user&page={first['next']}")[0], 200, "whose next page is there, however many others begin")
status, first = ask(TOP, "GET", f"users?org={D}&limit=1&sort=user")
tm.is_(ask(TOP, "GET", f"users?org={D}&limit=1&sort=-name&page={first['next']}")[0], 410, "a page is of one order")

# ---- versions
for method, path in (("DELETE", "users/ann@a1.test"), ("POST", "users/ann@a1.test/password"), ("DELETE", "groups/all@a1.test"), ("PATCH", "users/ann@a1.test")):
    for tag in ('W/"x"', '"x", "y"', '"20200101000000.000000Z#000000#000#000000"', "x"):
        refused(ask(BOSS, method, path, {"description": "x"} if method == "PATCH" else None, **{"If-Match": tag}), 412, "changed", f"{method} {path} if {tag}: refused")
tm.is_(ask(BOSS, "GET", "users/ann@a1.test")[1].get("login"), "active", "and nothing has happened")
tm.is_(ask(BOSS, "GET", "groups/all@a1.test")[0], 200, "... to the list")

# ---- wishes that can only be half done
refused(ask(BOSS, "PATCH", "users/ann@a1.test", {"description": "half", "password": "another-one"}), 400, "setting", "a change of settings takes no password")
refused(ask(TOP, "POST", "orgs", {"name": "half.test", "password": "another-one"}), 400, "setting", "nor does an organisation")
refused(ask(BOSS, "PATCH", "users/ann@a1.test", {"description": "half", "vacation-start": "2026-02-29"}), 400, "value", "nor is there a 29th of February each year")
tm.is_((ask(BOSS, "GET", "users/ann@a1.test")[1].get("description"), ask(TOP, "GET", "orgs/half.test")[0]), (None, 404), "and no half of it is done")
tm.is_(ask(BOSS, "PATCH", "users/ann@a1.test", {"vacation-start": "2028-02-29"})[0], 200, "but in some")

# ---- very many settings, also of somebody who may not set them


def most():
    """The most memory that a process of admind has had, in kB."""
    top = 0
    for p in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.readlink(f"/proc/{p}/exe").endswith("/admind") and sb.dir in open(f"/proc/{p}/cmdline").read():
                top = max(top, *(int(line.split()[1]) for line in open(f"/proc/{p}/status") if line.startswith("VmHWM")))
        except OSError:
            pass
    return top


refused(ask(f"user0002@{D}", "PATCH", f"orgs/{D}", {"alias": ["x.test"] * 19000}), 404, "not-found", "19,000 settings of somebody who sees nothing")
tm.is_(ask(TOP, "POST", "roles/helpdesk/grant", {"names": ["ann@a1.test"]})[0], 200, "a help desk")
refused(ask("ann@a1.test", "PATCH", "users/boss@a1.test", {"phone": [f"+49 {i:09}" for i in range(9000)]}), 403, "denied", "9,000 numbers of telephones of somebody who may not give them")
tm.ok(0 < most() < 300 * 1024, f"admind has had {most() // 1024} MB at most")
tm.is_(ask(BOSS, "PATCH", "users/ann@a1.test", {"phone": [f"+49 {i:09}" for i in range(19000)]})[0], 200, "19,000 of somebody who may: more than a socket to slapd takes at once")
tm.is_(ask(BOSS, "PATCH", "users/ann@a1.test", {"phone": [f"+49 {i:09}" for i in range(3000)]})[0], 200, "3,000")
tm.is_(ask(BOSS, "PATCH", "users/ann@a1.test", {"phone-": [f"+49 {i:09}" for i in range(3000)]})[0], 200, "and all of them go")
tm.done()
