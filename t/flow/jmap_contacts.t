#!/usr/bin/env python3
"""Address books and contacts (RFC 9610): in LDAP, a database of their own, read and written as the person whose they are."""
import json, subprocess
import tm
from jmapraw import Jmap

CONTACTS = "urn:ietf:params:jmap:contacts"
sb = tm.Sandbox("--users", "5", *(w for d in ("imapd", "pop3d", "mmpd", "memd", "sieved", "lmtpd", "smtp-relay", "jobctl") for w in ("--without", d)))
e = sb.env
SLAPD = ["-f", sb.dir + "/ldap/slapd.conf"]


def root(n):
    return f"uid={sb.user(n)},ou=People,o={sb.domain},o=pab"


def dn(n):
    return f"uid={sb.user(n)},ou=People,o={sb.domain},{e['LDAP_BASE']}"


def search(who, password, base, *more):
    return subprocess.run(["ldapsearch", "-x", "-LLL", "-o", "ldif-wrap=no", "-H", e["LDAP_URL"], "-D", who, "-w", password, "-b", base, *more], text=True, capture_output=True)


def admin(base, *more):
    return search(e["LDAP_ADMIN_DN"], e["LDAP_ADMIN_PASSWORD"], base, *more)


def values(text, attribute):
    return sorted(x.partition(": ")[2] for x in text.splitlines() if x.lower().startswith(attribute.lower() + ": "))


def cards(j, **args):
    return {c["id"]: c for c in j.one("ContactCard/get", ids=None, **args)["list"]}


def make(j, **cards):
    return j.one("ContactCard/set", create=cards)


def query(j, filter=None, **args):
    got = j.one("ContactCard/query", filter=filter, **args)
    return got if isinstance(got, list) else [names[i] for i in got["ids"]]


def changes(j, since, kind="ContactCard", **args):
    got = j.one(kind + "/changes", sinceState=since, **args)
    return got if isinstance(got, list) else tuple(sorted(got[k]) for k in ("created", "updated", "destroyed"))


j, other = Jmap(sb, 1), Jmap(sb, 2)
for one in (j, other):
    one.using = one.using + [CONTACTS]
session = json.loads(j.http("GET", "/jmap/session")[2])
tm.is_((session["capabilities"][CONTACTS], session["accounts"][j.account]["accountCapabilities"][CONTACTS], session["primaryAccounts"][CONTACTS]),
       ({}, {"maxAddressBooksPerCard": 10, "mayCreateAddressBook": True}, j.account), "the capability")

# ---- books -----------------------------------------------------------------------------------------------------------
got = j.one("AddressBook/get", ids=None)
RIGHTS = {"mayRead": True, "mayWrite": True, "mayShare": False, "mayDelete": True}
tm.is_(got["list"], [{"id": "default", "name": "Contacts", "description": None, "sortOrder": 0, "isSubscribed": True, "isDefault": True, "shareWith": None, "myRights": RIGHTS}],
       "everybody has a book, when it is looked at first")
tm.is_(j.one("AddressBook/get", ids=None), got, "and the same then")
before = got["state"]
got = j.one("AddressBook/set", create={"w": {"name": "Work", "description": "colleagues", "sortOrder": 5}, "x": {"name": ""}, "y": {"name": "n", "isDefault": True}, "z": {"name": "n", "color": 1}})
work = got["created"]["w"]["id"]
tm.is_({k: v["properties"] for k, v in got["notCreated"].items()}, {"x": ["name"], "y": ["isDefault"], "z": ["color"]}, "a second one; what cannot be is told")
tm.is_((got["oldState"], changes(j, before, "AddressBook")[::2]), (before, ([work], [])), "the change is told")
tm.is_(values(admin(root(1), f"(uid={work})").stdout, "cn"), ["Work"], "it is an entry below the person's name")
got = j.one("AddressBook/set", update={work: {"name": "Job", "isSubscribed": False}, "nobody": {"name": "x"}}, onSuccessSetIsDefault=work)
tm.is_((got["updated"], got["notUpdated"]["nobody"]["type"]), ({work: None}, "notFound"), "it is renamed")
tm.is_({b["id"]: b["isDefault"] for b in j.one("AddressBook/get", ids=None)["list"]}, {"default": True, work: False}, "the default stays where not all went well")
j.one("AddressBook/set", update={work: {"name": "Job"}}, onSuccessSetIsDefault=work)
tm.is_({b["id"]: b["isDefault"] for b in j.one("AddressBook/get", ids=None)["list"]}, {"default": False, work: True}, "and changes where it did")
tm.is_(j.one("AddressBook/get", ids=[work, "x"], properties=["name", "description"]), {**j.one("AddressBook/get", ids=[work, "x"]), "list": [{"id": work, "name": "Job", "description": "colleagues"}], "notFound": ["x"]},
       "properties")

# ---- contacts --------------------------------------------------------------------------------------------------------
ANNA = {"addressBookIds": {"default": True}, "name": {"components": [{"kind": "given", "value": "Änne"}, {"kind": "surname", "value": "Müller"}], "isOrdered": True},
        "emails": {"e1": {"address": "Anna@example.org", "contexts": {"work": True}}, "e2": {"address": "änne@exämple.org"}, "e3": {"address": "anna@EXAMPLE.org"}},
        "phones": {"p1": {"number": "+49 30 123-456"}, "p2": {"number": "+49 30 123456"}, "p3": {"number": "0170 1", "features": {"mobile": True}}, "p4": {"number": "call Änne"}},
        "organizations": {"o": {"name": "Bank"}}, "addresses": {"a": {"components": [{"kind": "name", "value": "Allee"}, {"kind": "number", "value": "5"}, {"kind": "locality", "value": "Köln"}]}},
        "notes": {"n": {"note": "met in\nParis"}}, "example.com:ours": {"kept": [1, None, "x"]}, "uid": "urn:uuid:anna"}
empty = j.one("ContactCard/get", ids=None)["state"]
got = make(j, a=ANNA)
anna = got["created"]["a"]["id"]
tm.is_((got["created"]["a"], got["oldState"], got["newState"] != empty), ({"id": anna, "version": "1.0"}, empty, True), "a contact is made")
one = got["newState"]
tm.is_(cards(j), {anna: {**ANNA, "id": anna, "@type": "Card", "version": "1.0"}}, "and is as it was given, with all that it had")
text = admin(root(1), f"(uid={anna})").stdout
tm.is_([values(text, a) for a in ("mail", "telephoneNumber", "mobile", "o", "street", "givenName", "tiermailBook")],
       [["Anna@example.org"], ["+49 30 123-456"], ["0170 1"], ["Bank"], ["Allee 5"], [], ["default"]], "an LDAP client sees what LDAP can say")
tm.ok("cn:: " in text and "sn:: " in text and "objectClass: inetOrgPerson" in text, "and the name in UTF-8")
got = make(j, b={"addressBookIds": {"default": True, work: True}, "name": {"full": "Bert Beispiel"}, "emails": {"e": {"address": "bert@example.com"}}, "created": "2001-01-01T00:00:00Z"},
           g={"addressBookIds": {work: True}, "kind": "group", "name": {"full": "Team"}, "members": {"urn:uuid:anna": True}}, n={"addressBookIds": {work: True}})
bert, team, nobody = (got["created"][k]["id"] for k in "bgn")
names = {anna: "a", bert: "b", team: "g", nobody: "n"}
tm.ok(got["created"]["b"]["uid"].startswith("urn:uuid:") and cards(j)[bert]["uid"] == got["created"]["b"]["uid"], "a uid is made where none is given")
tm.is_(changes(j, one)[::2], (sorted([bert, team, nobody]), []), "what is new is told, and no more")
two = got["newState"]
tm.is_(changes(j, two), ([], [], []), "and then nothing")
got = j.one("ContactCard/set", ifInState=two, update={anna: {"emails/e1/address": "anna@new.example", "notes": None, f"addressBookIds/{work}": True}, bert: {"name": 5}, team: {"addressBookIds": {}}, "x": {}})
tm.is_((got["updated"], {k: (v["type"], v.get("properties")) for k, v in got["notUpdated"].items()}),
       ({anna: None}, {bert: ("invalidProperties", ["name"]), team: ("invalidProperties", ["addressBookIds"]), "x": ("notFound", None)}), "a patch; what it may not make is told")
tm.is_((cards(j)[anna]["emails"]["e1"], "notes" in cards(j)[anna], cards(j)[anna]["addressBookIds"]),
       ({"address": "anna@new.example", "contexts": {"work": True}}, False, {"default": True, work: True}), "the rest stays")
tm.is_(values(admin(root(1), f"(uid={anna})").stdout, "mail"), ["anna@EXAMPLE.org", "anna@new.example"], "also for LDAP clients")
tm.ok(anna in changes(j, two)[1] and changes(j, two)[::2] == ([], []), "the change is told")
tm.is_(j.one("ContactCard/set", ifInState=two, update={anna: {}}), ["error", "stateMismatch"], "of two clients one is told")
BAD = [({"id": "x"}, "id"), ({"addressBookIds": {"nowhere": True}}, "addressBookIds"), ({"emails": {"e": {}}}, "emails"), ({"phones": []}, "phones"), ({"members": {"x": False}}, "members"),
       ({"@type": "Group"}, "@type"), ({"name": {"components": [{"kind": "given"}]}}, "name"), ({"media": {"m": {"kind": "photo", "uri": "data:,", "blobId": "B1"}}}, "media"), ({"version": 2}, "version")]
got = make(j, **{f"k{i}": {"addressBookIds": {work: True}, **c} for i, (c, _) in enumerate(BAD)}, none={})["notCreated"]
tm.is_([got[f"k{i}"]["properties"] for i in range(len(BAD))] + [got["none"]["properties"]], [[p] for _, p in BAD] + [["addressBookIds"]], "what is no contact is refused by its property")
got = make(j, big={"addressBookIds": {work: True}, "notes": {"n": {"note": "x" * 300000}}})
tm.is_(got["notCreated"]["big"]["type"], "tooLarge", "a contact has bounds")

# ---- queries ---------------------------------------------------------------------------------------------------------
tm.is_(query(j, sort=[{"property": "name/given"}, {"property": "name/surname"}])[-1], "a", "in order")
tm.is_([query(j, f) for f in ({"text": "MÜLLER"}, {"email": "new.EXAMPLE"}, {"name": "beispiel"}, {"kind": "group"}, {"hasMember": "urn:uuid:anna"}, {"uid": "urn:uuid:anna"}, {"organization": "bank"},
                              {"phone": "0170"}, {"address": "köln"}, {"name/given": "änne"}, {"createdBefore": "2002-01-01T00:00:00Z"}, {"text": "nowhere"}, {"note": "x"})],
       [["a"], ["a"], ["b"], ["g"], ["g"], ["a"], ["a"], ["a"], ["a"], ["a"], ["b"], [], []], "conditions")
tm.is_(sorted(query(j, {"operator": "AND", "conditions": [{"inAddressBook": work}, {"operator": "NOT", "conditions": [{"kind": "group"}, {"text": "bert"}]}]})), ["a", "n"], "operators")
tm.is_([query(j, f) for f in ({"x": "y"}, {"text": 5}, {"createdAfter": "now"}, {"operator": "XOR", "conditions": []}, {"operator": "AND", "conditions": [{"text": "x"}] * 100})],
       [["error", "unsupportedFilter"]] * 5, "what is no filter")
got = j.one("ContactCard/query", limit=2, position=1, calculateTotal=True)
tm.is_((len(got["ids"]), got["total"], got["position"], got["canCalculateChanges"]), (2, 4, 1, False), "a part of the result")
tm.is_((j.one("ContactCard/queryChanges", sinceQueryState="x"), query(j, sort=[{"property": "color"}]), j.one("ContactCard/copy", fromAccountId="x", create={})),
       (["error", "cannotCalculateChanges"], ["error", "unsupportedSort"], ["error", "fromAccountNotFound"]), "what there is not")

# ---- what goes -------------------------------------------------------------------------------------------------------
state = j.one("ContactCard/get", ids=[])["state"]
got = j.one("ContactCard/set", destroy=[nobody, "x"])
tm.is_((got["destroyed"], got["notDestroyed"]["x"]["type"], sorted(cards(j)), changes(j, state)[2]), ([nobody], "notFound", sorted([anna, bert, team]), [nobody]), "a contact is removed, and that is told")
got = j.one("AddressBook/set", destroy=[work])
tm.is_(got["notDestroyed"][work]["type"], "addressBookHasContents", "a book with contacts stays")
state, books = j.one("ContactCard/get", ids=[])["state"], j.one("AddressBook/get", ids=[])["state"]
got = j.one("AddressBook/set", destroy=[work], onDestroyRemoveContents=True)
tm.is_((got["destroyed"], {k: v["addressBookIds"] for k, v in cards(j).items()}), ([work], {anna: {"default": True}, bert: {"default": True}}), "but with them: those in another book stay there")
tm.is_((changes(j, state)[2], changes(j, books, "AddressBook")[2]), ([team], [work]), "all of it is told")
tm.is_(j.one("AddressBook/set", destroy=["default"], onDestroyRemoveContents=True)["notDestroyed"]["default"]["type"], "forbidden", "the last book stays")
tm.is_([changes(j, s) for s in ("x", "1-2-3-4", "ffffffffffffffffff-1-1-1")], [["error", "cannotCalculateChanges"]] * 3, "a state that never was")
state = j.one("ContactCard/get", ids=[])["state"]
subprocess.run(["ldapdelete", "-x", "-H", e["LDAP_URL"], "-D", e["LDAP_ADMIN_DN"], "-w", e["LDAP_ADMIN_PASSWORD"], f"uid={bert},{root(1)}"], check=True)
tm.is_(changes(j, state), ["error", "cannotCalculateChanges"], "what was removed behind our back makes everything be read anew")

# ---- many, and in the middle of each other ---------------------------------------------------------------------------
got = make(j, **{f"k{i}": {"addressBookIds": {"default": True}, "name": {"full": f"Name {i}"}} for i in range(60)})
state, ids = got["newState"], [c["id"] for c in got["created"].values()]
tm.is_(len(ids), 60, "many at once")
got = j.one("ContactCard/set", destroy=ids[:30], update={i: {"nicknames": {"n": {"name": "x"}}} for i in ids[30:]})
tm.is_((len(got["destroyed"]), len(got["updated"])), (30, 30), "and removed and changed")
told = changes(j, state)
tm.ok(told[0] == "error" or (set(told[2]) >= set(ids[:30]) and set(told[0]) | set(told[1]) >= set(ids[30:])), "told, or said to be unknown: never less")
tm.is_(changes(j, got["newState"]), ([], [], []), "and then nothing")

# ---- whose it is -----------------------------------------------------------------------------------------------------
tm.is_((list(cards(other)), other.one("ContactCard/get", ids=[anna])["notFound"]), ([], [anna]), "another person has another book")
own = search(dn(1), sb.password, root(1), "(mail=anna@new.example)", "cn")
tm.ok(f"uid={anna}," in own.stdout, "with an LDAP client one reads one's own")
tm.is_(search(dn(2), sb.password, root(1)).stdout, "", "and nobody else's")
who = {"self": dn(1), "another": dn(2), "pab": f"uid=pab,ou=services,{e['LDAP_BASE']}", "jmap": f"uid=jmap,ou=services,{e['LDAP_BASE']}", "service": f"uid=tiermail,ou=services,{e['LDAP_BASE']}"}


def may(entry, attr, access, authc, authz=None):
    """slapacl, as who is bound and whom he acts for"""
    r = subprocess.run(["slapacl", *SLAPD, "-D", who[authc], *(["-o", "authzDN=" + who[authz]] if authz else []), "-b", entry, f"{attr}/{access}"],
                       text=True, capture_output=True)
    return "ALLOWED" in r.stdout + r.stderr


card = f"uid={anna},{root(1)}"
tm.is_([may(card, "tiermailContactData", "write", "pab", "self"), may(card, "tiermailContactData", "read", "self"), may(card, "tiermailContactData", "write", "self"),
        may(card, "tiermailContactData", "read", "pab"), may(card, "tiermailContactData", "read", "jmap", "self"), may(card, "tiermailContactData", "read", "service"),
        may(card, "tiermailContactData", "read", "another"), may(card, "tiermailContactData", "read", "pab", "another"), may(card, "entry", "read", "another")],
       [True, True, False, False, False, False, False, False, False], "slapd: written for the person by the one service, read by the person, and by nobody else")
above = f"ou=People,o={sb.domain},o=pab"
tm.is_([may(above, "children", "write", "pab", "another"), may(above, "children", "write", "another"), may(root(1), "children", "write", "pab", "another"), may(root(1), "children", "write", "pab", "self")],
       [True, False, False, True], "one makes one's own and no other's")
sb.kill("slapd")
tm.is_((j.one("ContactCard/get", ids=None), j.one("ContactCard/set", create={"a": ANNA})), (["error", "serverUnavailable"],) * 2, "without the directory it is away")
tm.done()
