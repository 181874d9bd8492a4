#!/usr/bin/env python3
"""pabctl: address books listed, written out, read again and removed; what jmapd shows is the same."""
import json, os, subprocess, time
import tm
from jmapraw import Jmap

sb = tm.Sandbox("--users", "6", *(w for d in ("imapd", "pop3d", "mmpd", "memd", "sieved", "lmtpd", "smtp-relay", "jobctl") for w in ("--without", d)))


def pabctl(*words, text=None):
    return subprocess.run([sb.bin("pabctl"), *words], input=text, text=True, capture_output=True, env={**os.environ, "TIERMAIL_CONF": sb.conf("tiermail.conf")})


def who(n):
    return f"{sb.user(n)}@{sb.domain}"


j, two = Jmap(sb, 1), Jmap(sb, 2)
for one in (j, two):
    one.using = one.using + ["urn:ietf:params:jmap:contacts"]
r = pabctl("list", who(1))
tm.is_((r.returncode, r.stdout, r.stderr), (0, "", ""), "nobody is in it")
book = j.one("AddressBook/set", create={"w": {"name": "Work"}})["created"]["w"]["id"]
made = j.one("ContactCard/set", create={"a": {"addressBookIds": {book: True}, "name": {"full": "Änne\u001b[2J"}, "emails": {"e": {"address": "a@b.c"}}, "uid": "urn:a"},
                                        "b": {"addressBookIds": {"default": True, book: True}, "kind": "group", "name": {"full": "G"}, "members": {"urn:a": True}, "uid": "urn:g"}})["created"]
r = pabctl("list", who(1))
tm.is_(sorted(r.stdout.splitlines()), sorted(["Änne?[2J\ta@b.c", "G\t"]), "a line for each, harmless to a terminal")
r = pabctl("-j", "list", who(1))
tm.is_(sorted((c["id"], c["name"], c["emails"]) for c in map(json.loads, r.stdout.splitlines())), sorted([(made["a"]["id"], "Änne\u001b[2J", ["a@b.c"]), (made["b"]["id"], "G", [])]), "or as JSON")
out = pabctl("export", who(1)).stdout
lines = [json.loads(x) for x in out.splitlines()]
tm.is_([(x["@type"], x.get("name")) for x in lines[:2]], [("AddressBook", "Work"), ("AddressBook", "Contacts")] if book < "default" else [("AddressBook", "Contacts"), ("AddressBook", "Work")], "books first")
r = pabctl("-j", "import", who(2), "-", text=out)
tm.is_((r.returncode, json.loads(r.stdout or "{}"), r.stderr), (0, {"created": 3, "updated": 0}, ""), "into another's")


def book_of(c):
    return sorted(({k: v for k, v in x.items() if k != "id"} for x in c.one("ContactCard/get", ids=None)["list"]), key=lambda x: x["uid"])


tm.is_(book_of(two), book_of(j), "who has the same then")
state = two.one("ContactCard/get", ids=[])["state"]
changed = out.replace("a@b.c", "new@b.c")
r = pabctl("-j", "import", who(2), "-", text=changed + changed)
tm.is_((json.loads(r.stdout), len(book_of(two)), book_of(two)[0]["emails"]["e"]["address"]), ({"created": 0, "updated": 2}, 2, "new@b.c"), "again: what is there is changed, not doubled")
tm.is_(len(two.one("ContactCard/changes", sinceState=state)["updated"]), 2, "and clients are told")
r = pabctl("-j", "import", who(2), "-", text='{"name":{"full":"No uid"},"addressBookIds":{"nowhere":true}}\n')
new = [c for c in two.one("ContactCard/get", ids=None)["list"] if c["name"] == {"full": "No uid"}]
tm.is_((json.loads(r.stdout)["created"], [c["uid"][:9] for c in new], len(new[0]["addressBookIds"])), (1, ["urn:uuid:"], 1), "a contact has a uid and a book")
for bad, why in (('{"emails":[]}', "emails"), ("x", ""), ('{"@type":"AddressBook","id":"c1","name":"x"}', "a book has an id"), ('{"@type":"AddressBook","id":"b,1","name":"x"}', "a book has an id")):
    r = pabctl("import", who(2), "-", text="\n" + bad + "\n")
    tm.ok(r.returncode == 65 and r.stderr.startswith("pabctl: -:2: ") and why in r.stderr, f"its line is told: {bad}") or tm.diag(r.stderr)
tm.is_([pabctl(*w).returncode for w in (("list", "nobody@" + sb.domain), ("import", who(1), "/nowhere"), ("list",), ("fly", who(1)), ("import", who(1)))], [67, 66, 64, 64, 64], "what cannot be")
state = two.one("ContactCard/get", ids=[])["state"]
r = pabctl("-j", "remove", who(2))
tm.is_((r.returncode, json.loads(r.stdout)), (0, {"removed": 5}), "everything is removed")
tm.is_((book_of(two), len(two.one("ContactCard/changes", sinceState=state)["destroyed"])), ([], 3), "and that is told")
tm.is_(pabctl("list", f"uid={sb.user(1)},ou=People,o={sb.domain},{sb.env['LDAP_BASE']}").stdout.count("\n"), 2, "a DN is somebody, too")

# ---- vCards, with a foreign reader as the judge ----------------------------------------------------------------------
j.one("ContactCard/set", create={"c": {"addressBookIds": {"default": True}, "uid": "urn:c", "name": {"components": [{"kind": "given", "value": "Jo"}, {"kind": "surname", "value": "Müller, Dr"}]},
      "emails": {"e": {"address": "jo@b.c", "contexts": {"work": True}}}, "phones": {"p": {"number": "+49 1", "features": {"mobile": True}}}, "organizations": {"o": {"name": "Bank"}},
      "addresses": {"a": {"components": [{"kind": "name", "value": "Allee 5"}, {"kind": "locality", "value": "Ulm"}, {"kind": "postcode", "value": "89073"}, {"kind": "country", "value": "DE"}]}},
      "notes": {"n": {"note": "one\ntwo; " + "ä" * 100}}}})
three, four = (pabctl("-f", form, "export", who(1)) for form in ("vcard3", "vcard"))
tm.is_((three.returncode, three.stdout.count("BEGIN:VCARD"), four.stdout.count("VERSION:4.0")), (0, 3, 3), "contacts as vCards")
if os.path.exists("/usr/lib/python3/dist-packages/vobject"):
    judge = subprocess.run(["/usr/bin/python3", "-c", "import sys, json, vobject; print(json.dumps([[c.fn.value, c.n.value.family, c.email.value, c.tel.value, c.adr.value.city, c.adr.value.code, c.org.value, c.note.value]"
                            " for c in vobject.readComponents(sys.stdin.read()) if c.uid.value == 'urn:c']))"], input=three.stdout, text=True, capture_output=True)
    tm.is_(json.loads(judge.stdout or "null"), [["Jo Müller, Dr", "Müller, Dr", "jo@b.c", "+49 1", "Ulm", "89073", ["Bank"], "one\ntwo; " + "ä" * 100]], "python3-vobject reads the same") or tm.diag(judge.stderr)
    written = subprocess.run(["/usr/bin/python3", "-c", "import vobject\nv = vobject.vCard(); v.add('fn').value = 'Änne Ö'; v.add('n').value = vobject.vcard.Name(family='Ö', given='Änne')\n"
                              "e = v.add('email'); e.value = 'x@y.z'; e.type_param = 'HOME'; v.add('note').value = 'a, b; c\\n' * 30; v.add('uid').value = 'urn:v'; print(v.serialize())"], text=True, capture_output=True)
    r = pabctl("-j", "import", who(3), "-", text=written.stdout)
    jo = Jmap(sb, 3)
    jo.using = j.using
    got = jo.one("ContactCard/get", ids=None)["list"]
    tm.is_((json.loads(r.stdout)["created"], [(c["name"]["full"], c["emails"], c["notes"]["n1"]["note"]) for c in got]), (1, [("Änne Ö", {"e1": {"address": "x@y.z", "contexts": {"private": True}}}, ("a, b; c\n" * 30).strip())]),
           "and what it writes is read here") or tm.diag(r.stderr)
else:
    tm.skip("python3-vobject reads the same", "it is not installed")
r = [pabctl("-j", "import", who(4), "-", text=x.stdout) for x in (four, three)]
tm.is_([json.loads(x.stdout) for x in r], [{"created": 3, "updated": 0}, {"created": 0, "updated": 3}], "read again: the second time the same")
sun = """dn: un=Jo1,ou=jane,o=x,o=pab
objectClass: pabPerson
un: Jo1
cn: Jo
mail: jo@sun.example
memberOfPABGroup: Team1

dn: un=Team1,ou=jane,o=x,o=pab
objectClass: pabGroup
un: Team1
cn: Team
"""
r = [pabctl("-j", "import", who(5), "-", text=sun) for _ in range(2)]
five = Jmap(sb, 5)
five.using = j.using
got = {c["name"]["full"]: c for c in five.one("ContactCard/get", ids=None)["list"]}
tm.is_(([json.loads(x.stdout) for x in r], got["Jo"]["emails"]["e1"]["address"], list(got["Team"]["members"]) == [got["Jo"]["uid"]], len(got)),
       ([{"created": 2, "updated": 0}, {"created": 0, "updated": 2}], "jo@sun.example", True, 2), "Sun's tree as LDIF, and once more")

# ---- another life of the same name -----------------------------------------------------------------------------------------
e = sb.env
ADMIN = ["-x", "-H", e["LDAP_URL"], "-D", e["LDAP_ADMIN_DN"], "-w", e["LDAP_ADMIN_PASSWORD"]]
dn = f"uid={sb.user(6)},ou=People,o={sb.domain},{e['LDAP_BASE']}"


def ldap(program, *words, text=None):
    return subprocess.run([program, *ADMIN, *words], input=text, text=True, capture_output=True, check=True).stdout


def again():
    """The entry goes, and one of the same name comes."""
    entry = ldap("ldapsearch", "-LLL", "-o", "ldif-wrap=no", "-b", dn, "-s", "base")
    ldap("ldapdelete", "-r", dn)
    ldap("ldapadd", text=entry)
    time.sleep(1.1)  # jmapd asks again behind a second


six = Jmap(sb, 6)
six.using = six.using + ["urn:ietf:params:jmap:contacts"]
six.one("ContactCard/set", create={"a": {"addressBookIds": {"default": True}, "name": {"full": "Secret"}, "emails": {"e": {"address": "secret@b.c"}}}})
root = dn.replace("," + e["LDAP_BASE"], ",o=pab")
uuid = ldap("ldapsearch", "-LLL", "-b", dn, "-s", "base", "entryUUID").partition("entryUUID: ")[2].strip()
tm.is_(ldap("ldapsearch", "-LLL", "-b", root, "-s", "base", "tiermailPabOf").partition("tiermailPabOf: ")[2].strip(), uuid, "the tree says whose it is")
again()
for call, args in (("AddressBook/get", {"ids": None}), ("ContactCard/get", {"ids": None}), ("ContactCard/query", {}), ("ContactCard/set", {"create": {"n": {"addressBookIds": {"default": True}}}})):
    tm.is_(six.one(call, **args), ["error", "serverFail"], f"who has the name now gets nothing of the one before: {call}")
tm.ok("secret@b.c" in pabctl("list", who(6)).stdout, "an operator still does")
tm.is_(pabctl("remove", who(6)).returncode, 0, "who removes it")
tm.is_(six.one("ContactCard/get", ids=None)["list"], [], "then there is an empty one")
six.one("ContactCard/set", create={"a": {"addressBookIds": {"default": True}, "name": {"full": "Mine"}}})
tm.is_([x["name"]["full"] for x in six.one("ContactCard/get", ids=None)["list"]], ["Mine"], "of the new one")
again()
tm.is_(six.one("ContactCard/get", ids=None), ["error", "serverFail"], "and of nobody else")

# ---- another name --------------------------------------------------------------------------------------------------------------
four_dn = dn.replace(sb.user(6), sb.user(4))
before = len(pabctl("list", who(4)).stdout.splitlines())
ldap("ldapmodrdn", "-r", four_dn, "uid=moved")
tm.is_(pabctl("list", f"moved@{sb.domain}").stdout, "", "who is renamed has an empty one")
tm.is_(pabctl("import", f"moved@{sb.domain}", "-", text=pabctl("export", four_dn).stdout).returncode, 0, "what is under the old name is brought there")
tm.is_((before > 0, len(pabctl("list", f"moved@{sb.domain}").stdout.splitlines())), (True, before), "all of it")

# ---- away --------------------------------------------------------------------------------------------------------------------
sb.kill("slapd")
tm.is_(pabctl("list", who(1)).returncode, 75, "without a directory: later")
tm.done()
