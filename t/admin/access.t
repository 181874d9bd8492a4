#!/usr/bin/env python3
"""The access rules of conf/ldif/slapd.conf by slapacl(8): each role against a table of entries and attributes.

Two providers with two organisations each, and one of its own.  Each line of MATRIX says of an entry which of its
attributes a role may write (w), only read (r) or neither (-); what is not said is denied."""
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "flow"))
import tm
import directory  # scripts/lib, whose path tm has

tm.need("slapadd", "slapacl")
B = "dc=tiermail,dc=test"
ORGS = {"a1.test": f"o=a1.test,o=A,{B}", "a2.test": f"o=a2.test,o=A,{B}", "b1.test": f"o=b1.test,o=B,{B}",
        "b2.test": f"o=b2.test,o=B,{B}", "own.test": f"o=own.test,{B}"}
LDIF = tm.TOP + "/conf/ldif"


def user(uid, domain):
    return f"uid={uid},ou=People,{ORGS[domain]}"


def app(uid, domain):
    return "uid=abcd," + user(uid, domain)


def group(cn, over, *members):
    return f"dn: cn={cn},{over}\nobjectClass: groupOfNames\ncn: {cn}\n" + "".join(f"member: {m}\n" for m in members) + "\n"


WHO = {
    "top": user("top", "own.test"), "providerA": user("pa", "a1.test"), "adminA1": user("oa", "a1.test"),
    "helpA1": user("help", "a1.test"), "userA1": user("jo", "a1.test"), "otherA1": user("ann", "a1.test"),
    "adminB1": user("oa", "b1.test"), "adminOwn": user("oa", "own.test"),
    "jmap": f"uid=jmap,ou=services,{B}", "sieve": f"uid=sieve,ou=services,{B}", "service": f"uid=mta,ou=services,{B}", "memd": f"uid=mmp,ou=services,{B}", "admind": f"uid=admind,ou=services,{B}", "nobody": None,
}


JOB = f"cn=j,ou=Jobs,{B}"      # adminA1 has made it


def entries():
    text = directory.template(LDIF + "/base.ldif", {"BASE": B, "DC": "tiermail", "SERVICEPW": "x"})
    for p in "AB":
        text += f"dn: o={p},{B}\nobjectClass: organization\nobjectClass: tiermailProvider\no: {p}\ntiermailAllocation: gold 10\n\n"
    for domain, dn in ORGS.items():
        one = directory.template(LDIF + "/domain.ldif", {"BASE": dn.partition(",")[2], "DOMAIN": domain, "ALIAS": "also." + domain})
        text += one.replace("objectClass: mailDomain\n", "objectClass: mailDomain\nobjectClass: tiermailOrganization\ntiermailAllocation: gold 3\n")
        for uid in ("top", "pa", "oa", "help", "jo", "ann"):
            text += directory.template(LDIF + "/user.ldif", {"BASE": dn.partition(",")[2], "DOMAIN": domain, "UID": uid, "ALIAS": "x" + uid,
                                                             "MAILHOST": "s.test", "USERPW": "x"})
        text += directory.template(LDIF + "/group.ldif", {"BASE": dn.partition(",")[2], "DOMAIN": domain, "GROUP": "staff", "OWNER": "jo"}).rstrip() + "\n\n"
        for uid in ("top", "pa", "oa", "jo", "ann"):
            text += f"dn: {app(uid, domain)}\nobjectClass: account\nobjectClass: tiermailAppPassword\nuid: abcd\ntiermailAppSecret: x\ntiermailAppService: imap\ndescription: phone\n\n"
        text += group("Organization Admins", dn, user("oa", domain)) + group("Help Desk", dn, user("help", domain))
    text += f"dn: cn=gold,ou=packages,{B}\nobjectClass: tiermailPackage\ncn: gold\nmailQuota: 1\n\n"
    text += (f"dn: {JOB}\nobjectClass: tiermailJob\ncn: j\ntiermailJobVerb: user purge\ntiermailJobCall: x\ntiermailJobState: waiting\n"
             f"tiermailJobOver: {ORGS['a1.test']}\ntiermailJobOver: o=A,{B}\ncreatorsName: {WHO['adminA1']}\n\n")
    return text + group("Top-Level Admins", B, WHO["top"]) + group("Provider Admins", f"o=A,{B}", WHO["providerA"])


# attributes of a kind, for which rules are alike
KINDS = {
    "secret": ["userPassword"], "totp": ["tiermailTotpSecret", "tiermailRecoveryCode", "tiermailTotpStep"], "has": ["tiermailSecondFactor"], "scram": ["tiermailScram"],
    "apps": ["children"], "digest": ["tiermailAppSecret"], "app": ["entry", "uid", "description", "tiermailAppService"], "authz": ["authzTo", "authzFrom"],
    "away": ["mailAutoReplySubject", "mailAutoReplyText", "vacationStartDate", "vacationEndDate"], "ways": ["mailForwardingAddress", "mailAutoReplyMode", "preferredLanguage"],
    "own": ["mailForwardingAddress", "mailAutoReplyText", "vacationStartDate", "preferredLanguage"], "script": ["mailSieveRuleSource", "tiermailSieveScript"],
    "account": ["entry", "objectClass", "mail", "mailAlternateAddress", "inetUserStatus", "mailUserStatus", "mailQuota", "mailMsgMaxBlocks",
                "mailAllowedServiceAccess"],
    "person": ["cn", "sn", "telephoneNumber", "tiermailServicePackage", "tiermailDeletedAt", "tiermailExternalId", "entryCSN"],
    "routing": ["mailRoutingAddress", "mailProgramDeliveryInfo"], "store": ["mailHost", "mailMessageStore"],
    "names": ["sunPreferredDomain", "associatedDomain"], "domain": ["inetDomainBaseDN", "mailRoutingSmartHost", "mailDomainSieveRuleSource"],
    "shares": ["tiermailAllocation", "tiermailUserMax", "tiermailMailHost"], "about": ["description"],
    "children": ["children"], "reach": ["memberURL", "mgrpDeliverTo"], "known": ["displayName", "tiermailExternalId"], "list": ["cn", "uniqueMember", "mgrpModerator", "mgrpAuthPassword", "inetMailGroupStatus"],
    "job": ["entry", "tiermailJobCall", "tiermailJobState", "tiermailJobHolder", "tiermailJobOver"], "wish": ["tiermailJobWish"], "items": ["tiermailJobItem"],
    "member": ["member"], "gives": ["mailQuota"], "catchall": ["mailDomainCatchallAddress"],
}
FULL = "own=w script=w account=w person=w routing=w store=w authz=- totp=-"
# who, entry, {kind: w (write), r (read, and no write), p (write, and no read: a password), - (neither)}
ANN, OA, PA, TOP_A = user("ann", "a1.test"), user("oa", "a1.test"), user("pa", "a1.test"), user("top", "own.test")
NONE_OF_A_USER = "secret=- own=- script=- account=- person=- routing=- store=- authz=- totp=-"
MATRIX = [
    # people, by who is above them
    ("top", ANN, "secret=p " + FULL), ("top", PA, "secret=p " + FULL), ("top", user("jo", "b2.test"), "secret=p " + FULL),
    ("providerA", ANN, "secret=p " + FULL), ("providerA", OA, "secret=p " + FULL), ("providerA", user("jo", "a2.test"), "secret=p " + FULL),
    ("providerA", user("jo", "b1.test"), NONE_OF_A_USER), ("providerA", TOP_A, NONE_OF_A_USER),
    ("adminA1", ANN, "secret=p own=w account=w person=w routing=r store=r authz=- totp=-"),
    ("adminA1", PA, NONE_OF_A_USER), ("adminA1", user("ann", "a2.test"), NONE_OF_A_USER), ("adminA1", user("ann", "b1.test"), NONE_OF_A_USER),
    ("adminA1", user("ann", "own.test"), NONE_OF_A_USER),
    ("adminOwn", user("ann", "own.test"), "secret=p own=w account=w person=w routing=r store=r authz=- totp=-"),
    ("adminA1", OA, "secret=p own=w script=w account=w person=w routing=r store=r authz=- totp=-"), ("adminOwn", TOP_A, NONE_OF_A_USER), ("adminOwn", ANN, NONE_OF_A_USER),
    ("helpA1", ANN, "secret=p own=- account=r person=r routing=- store=r authz=- totp=-"),
    ("helpA1", OA, "secret=- own=- account=r person=r routing=- store=r"), ("helpA1", PA, NONE_OF_A_USER),
    ("helpA1", user("ann", "a2.test"), NONE_OF_A_USER),
    ("userA1", WHO["userA1"], "secret=p own=w account=r person=r routing=r store=r authz=- totp=-"),
    # who acts for somebody has no role of that person, but for admind
    ("sieve as userA1", WHO["userA1"], "secret=- own=r script=w account=r person=r routing=r store=r"), ("sieve as adminA1", ANN, NONE_OF_A_USER),
    ("sieve as adminA1", OA, "secret=- own=r script=w account=r person=r store=r"), ("sieve as top", ANN, NONE_OF_A_USER), ("sieve as helpA1", ANN, NONE_OF_A_USER), ("sieve as providerA", ORGS["a1.test"], "domain=- children=-"),
    ("jmap as userA1", WHO["userA1"], "secret=- away=w ways=r script=w account=r person=r routing=r store=r authz=- totp=-"), ("jmap as userA1", ANN, NONE_OF_A_USER),
    ("jmap as adminA1", ANN, NONE_OF_A_USER), ("jmap as adminA1", OA, "secret=- away=w ways=r script=w account=r person=r store=r"), ("jmap as top", TOP_A, "secret=- away=w account=r"),
    ("jmap as top", ANN, NONE_OF_A_USER), ("jmap", ANN, "secret=- own=r account=r routing=r store=r person=- authz=- totp=-"),
    ("admind as adminA1", ANN, "secret=p own=w script=w account=w person=w routing=r store=r authz=- totp=-"), ("admind as adminA1", PA, NONE_OF_A_USER),
    ("admind as userA1", ANN, NONE_OF_A_USER), ("admind as userA1", WHO["userA1"], "secret=p own=w script=r account=r person=r"),
    ("userA1", ANN, NONE_OF_A_USER), ("nobody", ANN, NONE_OF_A_USER), ("adminB1", ANN, NONE_OF_A_USER),
    ("service", ANN, "secret=- own=r account=r routing=r store=r person=- authz=- totp=-"),
    ("admind", ANN, "secret=- own=r account=r routing=r store=r person=- authz=-"),
    # the second factor: its person makes it, through admind; who may give another password takes it away (VALUES)
    ("admind as userA1", WHO["userA1"], "totp=p has=w apps=w"), ("admind as userA1", ANN, "totp=- has=- apps=-"), ("admind as top", TOP_A, "totp=p has=w apps=w"),
    ("userA1", WHO["userA1"], "totp=- has=r apps=-"), ("top", TOP_A, "totp=- has=r"), ("adminA1", OA, "totp=- has=r"),
    ("memd", ANN, "has=r apps=-"), ("admind", ANN, "has=r apps=-"), ("service", ANN, "totp=- has=r apps=-"), ("jmap", ANN, "totp=- has=r"), ("nobody", ANN, "totp=- has=-"),
    ("adminA1", ANN, "totp=- has=r"), ("helpA1", ANN, "totp=- has=r"), ("adminA1", PA, "totp=- has=-"), ("adminB1", ANN, "totp=- has=-"),
    ("sieve as userA1", WHO["userA1"], "totp=- has=r apps=-"), ("jmap as userA1", WHO["userA1"], "totp=- has=r apps=-"),
    # application passwords
    ("admind as userA1", app("jo", "a1.test"), "digest=p app=w"), ("userA1", app("jo", "a1.test"), "digest=- app=r"), ("admind as userA1", app("ann", "a1.test"), "digest=- app=-"),
    ("service", app("jo", "a1.test"), "digest=r app=r"), ("adminA1", app("jo", "a1.test"), "digest=- app=r"), ("helpA1", app("jo", "a1.test"), "digest=- app=r"),
    ("helpA1", app("oa", "a1.test"), "digest=- app=-"), ("adminA1", app("pa", "a1.test"), "digest=- app=-"), ("adminB1", app("jo", "a1.test"), "digest=- app=-"),
    ("providerA", app("oa", "a1.test"), "digest=- app=r"), ("providerA", app("jo", "b1.test"), "digest=- app=-"), ("top", app("jo", "a1.test"), "digest=- app=w"),
    ("adminOwn", app("top", "own.test"), "digest=- app=-"), ("jmap as userA1", app("jo", "a1.test"), "digest=- app=r"),
    # organisations
    ("top", ORGS["b1.test"], "names=w domain=w shares=w about=w children=w catchall=w"),
    ("providerA", ORGS["a2.test"], "names=r domain=w shares=w about=w children=w catchall=w"),
    ("admind as providerA", ORGS["a2.test"], "names=w domain=w"), ("admind as providerA", ORGS["b1.test"], "names=- domain=-"),
    ("sieve as providerA", ORGS["a2.test"], "names=- domain=-"), ("providerA", ORGS["b1.test"], "names=- domain=- shares=- about=- children=-"),
    ("adminA1", ORGS["a1.test"], "names=r domain=r shares=r about=w children=r catchall=w"),
    ("adminA1", ORGS["a2.test"], "domain=- shares=- about=- children=- catchall=-"), ("helpA1", ORGS["a1.test"], "domain=r about=r children=r"),
    ("userA1", ORGS["a1.test"], "domain=- shares=- about=- children=-"), ("admind", ORGS["a1.test"], "names=r domain=r shares=- about=- children=-"),
    ("top", f"o=A,{B}", "shares=w children=w"), ("providerA", f"o=A,{B}", "shares=r about=r children=w"),
    ("providerA", f"o=B,{B}", "shares=- children=-"), ("adminA1", f"o=A,{B}", "shares=- children=-"),
    ("top", B, "children=w"), ("providerA", B, "children=-"), ("adminA1", B, "children=-"),
    ("adminA1", f"ou=People,{ORGS['a1.test']}", "children=w"), ("adminA1", f"ou=People,{ORGS['a2.test']}", "children=-"),
    ("helpA1", f"ou=People,{ORGS['a1.test']}", "children=r"),
    # lists
    ("adminA1", f"cn=staff,ou=Groups,{ORGS['a1.test']}", "list=w reach=r about=w known=w account=w"), ("adminA1", f"cn=staff,ou=Groups,{ORGS['a2.test']}", "list=-"),
    ("admind as adminA1", f"cn=staff,ou=Groups,{ORGS['a1.test']}", "list=w reach=w known=w"), ("sieve as adminA1", f"cn=staff,ou=Groups,{ORGS['a1.test']}", "list=- reach=-"),
    ("helpA1", f"cn=staff,ou=Groups,{ORGS['a1.test']}", "list=- reach=- known=-"), ("userA1", f"cn=staff,ou=Groups,{ORGS['a1.test']}", "list=-"),
    ("service", f"cn=staff,ou=Groups,{ORGS['a1.test']}", "list=r reach=r known=-"), ("providerA", f"cn=staff,ou=Groups,{ORGS['a2.test']}", "list=w reach=w"),
    # roles: who gives which
    ("top", f"cn=Top-Level Admins,{B}", "member=w"), ("providerA", f"cn=Top-Level Admins,{B}", "member=-"),
    ("providerA", f"cn=Provider Admins,o=A,{B}", "member=w"), ("adminA1", f"cn=Provider Admins,o=A,{B}", "member=-"),
    ("providerA", f"cn=Organization Admins,{ORGS['a2.test']}", "member=w"), ("providerA", f"cn=Organization Admins,{ORGS['b1.test']}", "member=-"),
    ("adminA1", f"cn=Organization Admins,{ORGS['a1.test']}", "member=r"), ("adminA1", f"cn=Help Desk,{ORGS['a1.test']}", "member=w"),
    ("adminA1", f"cn=Help Desk,{ORGS['a2.test']}", "member=-"), ("helpA1", f"cn=Help Desk,{ORGS['a1.test']}", "member=r"),
    ("helpA1", f"cn=Organization Admins,{ORGS['a1.test']}", "member=-"),
    # jobs: their maker's, by admind
    ("admind as adminA1", JOB, "job=w wish=w items=w"), ("adminA1", JOB, "job=- wish=- items=-"), ("jmap as adminA1", JOB, "job=- wish=- items=-"),
    ("admind as providerA", JOB, "job=r wish=w items=-"), ("admind as top", JOB, "job=r wish=w items=-"), ("providerA", JOB, "job=- wish=- items=-"), ("top", JOB, "job=- wish=- items=-"),
    *((w, JOB, "wish=- items=-") for w in ("admind as adminB1", "admind as helpA1", "admind as userA1", "service", "memd", "nobody")), ("admind", JOB, "job=r wish=r items=-"),
    ("admind as userA1", f"ou=Jobs,{B}", "children=w"), ("adminA1", f"ou=Jobs,{B}", "children=-"), ("top", f"ou=Jobs,{B}", "children=-"), ("admind", f"ou=Jobs,{B}", "children=-"), ("jmap as adminA1", f"ou=Jobs,{B}", "children=-"),
    # packages, services
    ("top", f"cn=gold,ou=packages,{B}", "gives=w"), ("adminA1", f"cn=gold,ou=packages,{B}", "gives=r"), ("nobody", f"cn=gold,ou=packages,{B}", "gives=-"),
    ("top", WHO["admind"], "secret=- authz=-"), ("providerA", WHO["service"], "secret=- authz=-"), ("admind", WHO["service"], "secret=-"),
]
# who, entry, attribute/value, allowed: where it depends on the value
VALUES = [
    ("adminA1", ANN, "mailDeliveryOption/write:forward", True), ("adminA1", ANN, "mailDeliveryOption/write:program", False),
    ("adminA1", ANN, "mailDeliveryOption/write:native", False), ("providerA", ANN, "mailDeliveryOption/write:program", True),
    *((w, e, "mailDeliveryOption/" + v, may) for w, e in (("jmap as userA1", WHO["userA1"]), ("jmap as top", TOP_A)) for v, may in (
        ("add:autoreply", True), ("delete:autoreply", True), ("add:mailbox", True), ("delete:mailbox", False), ("add:forward", False), ("add:program", False))),
    *(("admind as userA1", WHO["userA1"], "mailDeliveryOption/" + v, may) for v, may in (
        ("add:autoreply", True), ("delete:autoreply", True), ("add:forward", True), ("delete:forward", True), ("add:mailbox", True), ("delete:mailbox", False), ("add:program", False), ("add:hold", False))),
    ("admind as userA1", ANN, "mailDeliveryOption/add:forward", False),
    ("userA1", WHO["userA1"], "mailDeliveryOption/add:autoreply", False), ("jmap", ANN, "mailDeliveryOption/add:autoreply", False),
    ("sieve as userA1", WHO["userA1"], "mailDeliveryOption/add:autoreply", False),
    ("adminA1", ANN, "mailDeliveryOption/delete:autoreply", True),
    ("adminA1", ANN, "mailHost/add", True), ("adminA1", ANN, "mailHost/delete", False), ("helpA1", ANN, "mailHost/add", False),
    ("providerA", ORGS["a2.test"], "associatedDomain/add", False), ("providerA", ORGS["a2.test"], "associatedDomain/delete", True),
    # a group of a role is made, and cannot be made that of another
    ("adminA1", ORGS["a1.test"], "children/add", True), ("adminA1", ORGS["a1.test"], "children/delete", False),
    ("adminOwn", ORGS["own.test"], "children/delete", False), ("providerA", ORGS["a1.test"], "children/delete", True),
    *((w, e, "tiermailTotpSecret/delete", may) for w, e, may in (("helpA1", ANN, True), ("adminA1", ANN, True), ("providerA", OA, True), ("top", PA, True),
        ("helpA1", OA, False), ("adminA1", PA, False), ("providerA", TOP_A, False), ("adminB1", ANN, False), ("top", TOP_A, False), ("adminA1", OA, False), ("userA1", WHO["userA1"], False))),
    *((w, e, "tiermailSecondFactor/delete", may) for w, e, may in (("helpA1", ANN, True), ("helpA1", OA, False), ("providerA", OA, True), ("userA1", WHO["userA1"], False))),
    *((w, e, "objectClass/delete:tiermailTotp", may) for w, e, may in (("helpA1", ANN, True), ("adminA1", ANN, True), ("helpA1", OA, False), ("adminA1", PA, False), ("providerA", OA, True), ("providerA", TOP_A, False),
        ("top", PA, True), ("adminB1", ANN, False), ("userA1", WHO["userA1"], False), ("jmap as userA1", WHO["userA1"], False), ("admind as userA1", WHO["userA1"], True), ("service", ANN, False))),
    ("admind as userA1", WHO["userA1"], "objectClass/add:tiermailTotp", True), ("admind as userA1", WHO["userA1"], "objectClass/add:tiermailUser", False),
    ("helpA1", ANN, "objectClass/add:tiermailTotp", False), ("helpA1", ANN, "objectClass/delete:tiermailUser", False), ("service", ANN, "objectClass/read:tiermailTotp", True),
    *((w, ANN, "modifyTimestamp/search", True) for w in ("service", "memd", "jmap", "admind", "sieve")), ("nobody", ANN, "modifyTimestamp/search", False),
    *(("admind", ANN, f"{at}/{how}", how == "search") for at in ("cn", "sn", "givenName") for how in ("search", "read")),
    ("memd", ANN, "tiermailScram/write", True), ("memd", ANN, "tiermailScram/read", True), ("admind", ANN, "tiermailScram/write", True),
    *((w, ANN, "tiermailScram/" + how, False) for w in ("service", "jmap", "sieve", "top", "providerA", "adminA1", "helpA1", "admind as top", "admind as userA1", "nobody") for how in ("read", "write", "auth", "search")),
    *(("userA1", WHO["userA1"], "tiermailScram/" + how, False) for how in ("read", "write")), ("admind as userA1", WHO["userA1"], "tiermailScram/write", False),
    ("memd", ANN, "tiermailTotpSecret/read", True), ("memd", ANN, "tiermailTotpSecret/write", False), ("memd", ANN, "tiermailTotpStep/write", True),
    ("memd", ANN, "tiermailRecoveryCode/delete", True), ("memd", ANN, "tiermailRecoveryCode/add", False), ("service", ANN, "tiermailRecoveryCode/read", False),
    ("helpA1", app("jo", "a1.test"), "entry/delete", True), ("helpA1", app("jo", "a1.test"), "entry/add", False), ("helpA1", ANN, "children/delete", True),
    ("helpA1", app("oa", "a1.test"), "entry/delete", False), ("userA1", app("jo", "a1.test"), "entry/delete", False), ("admind as userA1", app("jo", "a1.test"), "entry/add", True),
    ("userA1", WHO["userA1"], "userPassword/auth", True), ("nobody", ANN, "userPassword/auth", True),
]
where, bad, checked = tm.tempdir(), [], 0
os.makedirs(where + "/db")
with open(where + "/slapd.conf", "w") as f:
    text = directory.template(LDIF + "/slapd.conf", {
        "SCHEMA": os.environ.get("SLAPD_SCHEMA", "/etc/ldap/schema"), "CONF": tm.TOP + "/conf",
        "MODULES": os.environ.get("SLAPD_MODULES", "/usr/lib/ldap"), "STATE": where, "RUN": where, "BASE": B, "ROOTPW": "x"})
    f.write(re.sub(r"(?m)^TLS.*\n", "", text))
with open(where + "/entries.ldif", "w") as f:
    f.write(entries())
r = subprocess.run([directory.tool("slapadd"), "-q", "-f", where + "/slapd.conf", "-l", where + "/entries.ldif"], capture_output=True, text=True)
tm.is_((r.returncode, r.stderr), (0, ""), "a directory with two providers and five organisations") or tm.done()


def slapacl(who, entry, *wanted):
    """{"attr/access": allowed}"""
    who, _, acts = who.partition(" as ")
    me = ["-D", WHO[who]] if WHO[who] else []
    me += ["-o", "authzDN=" + WHO[acts]] if acts else []
    said = subprocess.run([directory.tool("slapacl"), "-f", where + "/slapd.conf", *me, "-b", entry, *wanted], capture_output=True, text=True)
    found = re.findall(r"(?m)^(\w+) access to ([\w.-]+)(?:=(\S+))?: (ALLOWED|DENIED)", said.stdout + said.stderr)
    return {f"{attr}/{access}" + (f":{value}" if value else ""): how == "ALLOWED" for access, attr, value, how in found}


for who, entry, kinds in MATRIX:
    want = {}
    for kind, how in (w.split("=") for w in kinds.split()):
        for attr in KINDS[kind]:
            want[attr + "/read"] = how in "wr"
            if attr != "entryCSN":  # which nobody writes, so that slapd asks no rule
                want[attr + "/write"] = how in "wp"
    got = slapacl(who, entry, *want)
    checked += len(want)
    bad += [f"{who} on {entry}: {k} is {got.get(k)}" for k in want if got.get(k) != want[k]]
    if not tm.is_(sorted(k for k in want if got.get(k) != want[k]), [], f"{who} on {entry}"):
        tm.diag("\n".join(f"{k}: got {got.get(k)}, want {want[k]}" for k in want if got.get(k) != want[k]))
for who, entry, what, allowed in VALUES:
    tm.is_(list(slapacl(who, entry, what).values()), [allowed], f"{who} on {entry}: {what}: {'allowed' if allowed else 'denied'}")
tm.ok(checked > 700, f"{checked} questions")
tm.done()
