#!/usr/bin/env python3
"""pabctl: address books listed, written out, read again and removed; what jmapd shows is the same."""
import json, os, subprocess
import tm
from jmapraw import Jmap

sb = tm.Sandbox("--users", "5", *(w for d in ("imapd", "pop3d", "mmpd", "memd", "sieved", "lmtpd", "smtp-relay", "jobctl") for w in ("--without", d)))


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
sb.kill("slapd")
tm.is_(pabctl("list", who(1)).returncode, 75, "without a directory: later")
tm.done()
