#!/usr/bin/env python3
"""SCIM (RFC 7643, RFC 7644) by admind, against a real slapd: users and groups made, found, changed, deleted; filters, pages,
order, versions, many at once; who may; requests that are none.  With npm's scimmy, scim2-parse-filter and scim-patch
as readers and judges that we have not written (admin-scim.mjs), where they are there."""
import base64
import http.client
import json
import os
import shutil
import ssl
import subprocess
import sys
import threading
import urllib.parse

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tm

tm.need("ldapsearch")
sb = tm.Sandbox("--users", "12", "--admin", "--set", "admind.auth.delay=0", "--set", "admind.limit.per_user=100",
                *[w for d in ("stored", "lmtpd", "jobctl", "smtp-relay", "imapd", "pop3d", "sieved", "mmpd", "memd", "jmapd") for w in ("--without", d)])
D, PORT = sb.domain, int(sb.env["ADMIN_PORT"])
TLS = ssl.create_default_context(cafile=sb.env["CAFILE"])
TLS.check_hostname = False
ADMIN, ORG = "admin", "orgadmin"
USER, GROUP = "urn:ietf:params:scim:schemas:core:2.0:User", "urn:ietf:params:scim:schemas:core:2.0:Group"
MESSAGE = "urn:ietf:params:scim:api:messages:2.0:"
EXTRA = "urn:ietf:params:scim:schemas:extension:tiermail:2.0:"
connections = threading.local()


class Answer:
    def __init__(self, r):
        self.status, self.fields, self.text = r.status, r.headers, r.read().decode()
        try:
            self.json = json.loads(self.text) if self.text else {}
        except ValueError:
            self.json = {}
        self.all = self.json.get("Resources", []) if isinstance(self.json, dict) else []


def login(who, password=None):
    return {"Authorization": "Basic " + base64.b64encode(f"{who}:{password or sb.password}".encode()).decode()} if who else {}


def ask(method, path, body=None, who=ORG, headers=(), kind="application/scim+json"):
    c = getattr(connections, "c", None) or http.client.HTTPSConnection(sb.host, PORT, context=TLS, timeout=tm.LONG)
    connections.c = c
    h = {**login(who), **dict(headers)}
    if body is not None:
        h.setdefault("Content-Type", kind)
        body = body if isinstance(body, (str, bytes)) else json.dumps(body)
    try:
        c.request(method, path if path.startswith("/") else "/scim/v2/" + path, body, h)
        return Answer(c.getresponse())
    except (http.client.HTTPException, OSError):
        c.close()
        c.request(method, path if path.startswith("/") else "/scim/v2/" + path, body, h)
        return Answer(c.getresponse())


def is_(a, status, what, kind=None):
    good = a.status == status and (kind is None or a.json.get("scimType") == kind)
    if status >= 400 and good:
        good = a.json.get("schemas") == [MESSAGE + "Error"] and a.json.get("status") == str(status) and a.json.get("detail") and \
            a.fields["Content-Type"] == "application/scim+json"
    if not tm.ok(good, what):
        tm.diag(f"got {a.status} {a.text[:600]}")
    return a


def user(who, **more):
    return {"schemas": [USER], "userName": who, **more}


def patch(path, *ops, headers=(), who=ORG):
    return ask("PATCH", path, {"schemas": [MESSAGE + "PatchOp"], "Operations": list(ops)}, headers=headers, who=who)


def api(method, path, body=None, who=ADMIN):
    return ask(method, "/api/v1/" + path, body, who=who, kind="application/json")


def find(text, what="Users", **more):
    return ask("GET", f"{what}?" + urllib.parse.urlencode({"filter": text, **more}))


# ---- what is known without asking
a = is_(ask("GET", "ServiceProviderConfig"), 200, "what the service can do")
c = a.json
tm.is_((c["patch"]["supported"], c["bulk"]["supported"], c["filter"]["supported"], c["sort"]["supported"], c["etag"]["supported"], c["changePassword"]["supported"]),
       (True,) * 6, "all of it")
tm.is_(a.fields["Content-Type"], "application/scim+json", "in SCIM's own type")
BULK, PAGE, PAYLOAD = c["bulk"]["maxOperations"], c["filter"]["maxResults"], c["bulk"]["maxPayloadSize"]
types = is_(ask("GET", "ResourceTypes"), 200, "resource types").all
tm.is_([(t["id"], t["endpoint"], t["schema"]) for t in types], [("User", "/Users", USER), ("Group", "/Groups", GROUP)], "users and groups")
tm.is_(is_(ask("GET", "ResourceTypes/Group"), 200, "one of them").json, types[1], "is the same")
schemas = {s["id"]: s for s in is_(ask("GET", "Schemas"), 200, "schemas").all}
tm.is_(sorted(schemas), sorted([USER, GROUP, EXTRA + "User", EXTRA + "Group"]), "of both, with what is ours")
tm.is_(is_(ask("GET", "Schemas/" + USER), 200, "one of them").json, schemas[USER], "is the same")
is_(ask("GET", "Schemas/urn:nothing"), 404, "a schema that there is not")
is_(ask("GET", "Schemas?filter=id%20pr"), 403, "schemas are not filtered (RFC 7644 4)")

# ---- who asks
is_(ask("GET", "Users", who=None), 401, "nobody")
is_(ask("GET", "Users", headers={"Authorization": "Bearer x"}, who=None), 401, "a token that is none")
is_(ask("GET", "Users", headers={**login(ORG, "wrong")}, who=None), 401, "a wrong password")
app = api("POST", "apps", {"name": f"{ORG}@{D}", "service": ["admin"]}, who=ORG).json["records"][0]
token = {"Authorization": "Bearer " + app["token"]}
is_(ask("GET", "Users?count=1", who=None, headers=token), 200, "the token of an application password")
tm.ok("token" not in api("POST", "apps", {"name": f"{ORG}@{D}", "service": ["imap"]}, who=ORG).json["records"][0], "one for mail alone has none")
tm.is_(is_(ask("GET", "Me"), 200, "who I am").json["userName"], f"{ORG}@{D}", "is I")
is_(ask("GET", "Users", who="user0001"), 404, "a user administers nothing")
is_(ask("GET", "/scim/v1/Users"), 404, "another version")

# ---- a user
a = is_(ask("POST", "Users", user(f"Jane@{D}", externalId="e-1", name={"givenName": "Jane", "familyName": "Doe"}, displayName="Jane Doe", active=True,
                                  emails=[{"value": f"jane@{D}", "type": "work", "primary": True}, {"value": f"j.doe@{D}"}],
                                  phoneNumbers=[{"value": "+49 30 1"}], password="geheim-Jane-1", preferredLanguage="de", title="Dr.",
                                  **{EXTRA + "User": {"quota": "1048576"}})), 201, "a user is made")
jane, ID = a.json, a.json.get("id")
tm.is_((jane["userName"], jane["externalId"], jane["name"], jane["displayName"], jane["active"], jane["preferredLanguage"]),
       (f"jane@{D}", "e-1", {"formatted": "Jane Doe", "familyName": "Doe", "givenName": "Jane"}, "Jane Doe", True, "de"), "as it was wished, the name in lower case")
tm.is_(sorted((e["value"], e.get("primary", False)) for e in jane["emails"]), [(f"j.doe@{D}", False), (f"jane@{D}", True)], "with its addresses")
tm.is_((jane[EXTRA + "User"]["quota"], jane["schemas"]), ("1048576", [USER, EXTRA + "User"]), "and what is ours of it")
tm.ok("password" not in jane and "geheim" not in a.text, "and no password")
tm.ok(a.fields["Location"] == jane["meta"]["location"] and jane["meta"]["location"].endswith("/scim/v2/Users/" + ID), "it says where it is")
tm.is_((a.fields["ETag"], jane["meta"]["version"], jane["meta"]["resourceType"]), (jane["meta"]["version"],) * 2 + ("User",), "and its version")
tm.ok(jane["meta"]["created"].endswith("Z") and "T" in jane["meta"]["created"], "and since when")
is_(ask("GET", "/api/v1/me", who="jane", headers=login("jane", "geheim-Jane-1")), 200, "whose password is good")
tm.is_(api("GET", f"users/{ID}").json["user"], f"jane@{D}", "the id is a name for all verbs")
tm.is_(is_(ask("GET", "Users/" + ID), 200, "it is shown").json, jane, "as it was told")
is_(ask("GET", "Users/" + ID, headers={"If-None-Match": jane["meta"]["version"]}), 304, "not again to who has it")
is_(ask("POST", "Users", user(f"jane@{D}")), 409, "the same name again", "uniqueness")
is_(ask("POST", "Users", user(f"jane2@{D}", emails=[{"value": f"j.doe@{D}"}])), 409, "an address that is somebody's", "uniqueness")
is_(ask("POST", "Users", user("x@elsewhere.test")), 400, "a name of another domain", "invalidValue")
is_(ask("POST", "Users", user(f"y@{D}", emails=[{"value": "y@elsewhere.test"}])), 400, "an address of another domain", "invalidValue")
tm.is_(is_(ask("POST", "Users", user("bare")), 201, "a name without a domain").json["userName"], f"bare@{D}", "is of the organisation")
is_(ask("GET", "Users/00000000-0000-4000-8000-000000000000"), 404, "an id that there is not")
is_(ask("GET", f"Users/jane@{D}"), 404, "a name is no id")

# ---- what is shown
a = ask("GET", f"Users/{ID}?attributes=userName,emails.value,name.givenName").json
tm.is_((sorted(a), a["name"], sorted(a["emails"][0])), (["emails", "id", "name", "schemas", "userName"], {"givenName": "Jane"}, ["value"]), "the attributes that are asked for, and the id")
a = ask("GET", f"Users/{ID}?excludedAttributes=emails,meta,name.familyName,id").json
tm.is_(("emails" in a, "meta" in a, "familyName" in a["name"], "id" in a), (False, False, False, True), "without those that are not wanted; the id is always there")
tm.is_(sorted(ask("GET", f"Users/{ID}?attributes={USER}:userName").json), ["id", "schemas", "userName"], "by their whole names")
is_(ask("GET", f"Users/{ID}?attributes=a&excludedAttributes=b"), 400, "not both", "invalidSyntax")
tm.ok("password" not in ask("GET", f"Users/{ID}?attributes=password").json, "no password, whoever asks")

# ---- versions
old = jane["meta"]["version"]
is_(patch("Users/" + ID, {"op": "replace", "path": "displayName", "value": "Jane X"}, headers={"If-Match": old}), 200, "a change of the version that was seen")
is_(patch("Users/" + ID, {"op": "replace", "path": "displayName", "value": "Jane Y"}, headers={"If-Match": old}), 412, "not of one that is over")
is_(ask("DELETE", "Users/" + ID, headers={"If-Match": old}), 412, "nor is it deleted")
is_(ask("PUT", "Users/" + ID, user(f"jane@{D}"), headers={"If-Match": old}), 412, "nor replaced")
tm.is_(ask("GET", "Users/" + ID).json["displayName"], "Jane X", "and nothing was done")

# ---- PATCH: each operation, each kind of path
P = lambda *ops, **kw: patch("Users/" + ID, *ops, **kw)
a = is_(P({"op": "Add", "value": {"name": {"givenName": "J."}, "preferredLanguage": "en"}}), 200, "without a path").json
tm.is_((a["name"]["givenName"], a["name"]["familyName"], a["preferredLanguage"]), ("J.", "Doe", "en"), "what is not named stays")
a = is_(P({"op": "replace", "path": "name.familyName", "value": "Roe"}, {"op": "remove", "path": "preferredLanguage"}), 200, "a part, and one that goes").json
tm.is_((a["name"]["familyName"], "preferredLanguage" in a), ("Roe", False), "both are done")
a = is_(P({"op": "add", "path": "emails", "value": [{"value": f"jd@{D}"}]}), 200, "an element more").json
tm.is_(len(a["emails"]), 3, "is there")
a = is_(P({"op": "replace", "path": f'emails[value eq "jd@{D}"].primary', "value": True}), 200, "the primary one").json
tm.is_([e["value"] for e in a["emails"] if e.get("primary")], [f"jd@{D}"], "is that alone")
tm.is_(api("GET", f"users/{ID}").json["mail"], f"jd@{D}", "also for mail")
a = is_(P({"op": "remove", "path": f'emails[value ew "doe@{D}" and not (primary eq true)]'}), 200, "an element by a filter").json
tm.is_(sorted(e["value"] for e in a["emails"]), sorted([f"jane@{D}", f"jd@{D}"]), "goes")
a = is_(P({"op": "replace", "path": 'emails[type eq "work" and primary eq true].value', "value": f"jane.roe@{D}"}), 200, "the value of an element").json
tm.ok(f"jane.roe@{D}" in [e["value"] for e in a["emails"]] and f"jd@{D}" not in [e["value"] for e in a["emails"]], "is another one")
a = is_(P({"op": "replace", "path": "emails", "value": [{"value": f"jane@{D}", "primary": True}]}), 200, "all of them").json
tm.is_([e["value"] for e in a["emails"]], [f"jane@{D}"], "are others")
a = is_(P({"op": "replace", "path": "phoneNumbers[type eq \"work\"].value", "value": "+49 30 2"}), 200, "a telephone").json
tm.is_([p["value"] for p in a["phoneNumbers"]], ["+49 30 2"], "number")
a = is_(P({"op": "remove", "path": "phoneNumbers"}), 200, "all numbers").json
tm.ok("phoneNumbers" not in a, "gone")
a = is_(P({"op": "replace", "path": "active", "value": False}), 200, "not active").json
tm.is_((a["active"], api("GET", f"users/{ID}").json["login"]), (False, "inactive"), "which is suspended")
tm.is_(ask("GET", "/api/v1/me", who="jane", headers=login("jane", "geheim-Jane-1")).status, 403, "and does not come in")
tm.is_(is_(P({"op": "Replace", "value": {"active": "True"}}), 200, "as some clients write it").json["active"], True, "again active")
a = is_(P({"op": "add", "path": EXTRA + "User:quota", "value": "2097152"}), 200, "what is ours, by its whole name").json
tm.is_(a[EXTRA + "User"]["quota"], "2097152", "is changed")
a = is_(P({"op": "replace", "value": {EXTRA + "User": {"quota": "3145728"}}}), 200, "and as an object").json
tm.is_(a[EXTRA + "User"]["quota"], "3145728", "too")
is_(P({"op": "replace", "path": "password", "value": "geheim-Jane-2"}), 200, "another password")
is_(ask("GET", "/api/v1/me", who="jane", headers=login("jane", "geheim-Jane-2")), 200, "which is good")
for op, kind, what in (({"op": "replace", "path": "id", "value": "x"}, "mutability", "the id"), ({"op": "add", "path": "groups", "value": [{"value": "x"}]}, "mutability", "its groups"),
                       ({"op": "replace", "path": "colour", "value": "x"}, "invalidPath", "no attribute"), ({"op": "remove"}, "noTarget", "remove without a path"),
                       ({"op": "replace", "path": 'emails[value eq "none@x"].value', "value": "x"}, "noTarget", "an element that there is not"),
                       ({"op": "remove", "path": 'emails[value eq "none@x"]'}, "noTarget", "nor is it taken"), ({"op": "explode", "path": "active"}, "invalidSyntax", "no operation"),
                       ({"op": "replace", "path": "emails[", "value": 1}, "invalidPath", "a path that is none"), ({"op": "replace", "path": "active", "value": "perhaps"}, "invalidValue", "no boolean"),
                       ({"op": "replace", "path": "displayName", "value": {"a": 1}}, "invalidValue", "no text"), ({"op": "remove", "path": "userName"}, "invalidValue", "what is required"),
                       ({"op": "replace", "path": "emails[colour eq 1]", "value": {}}, "invalidFilter", "no part of an element"),
                       ({"op": "replace", "path": "displayName[value eq 1]", "value": "x"}, "invalidPath", "brackets where there is no list"),
                       ({"op": "replace", "path": EXTRA + "User:quota", "value": "much"}, "invalidValue", "a value that makes no sense")):
    is_(P(op), 400, what, kind)
before = ask("GET", "Users/" + ID).json
is_(P({"op": "replace", "path": "displayName", "value": "half"}, {"op": "replace", "path": "colour", "value": "x"}), 400, "an operation that fails", "invalidPath")
tm.is_(ask("GET", "Users/" + ID).json, before, "undoes those before it")
is_(P({"op": "replace", "path": "userName", "value": f"user0001@{D}"}, {"op": "replace", "path": "displayName", "value": "half"}), 409, "a name that is somebody's", "uniqueness")
is_(P({"op": "replace", "path": "userName", "value": f"janet@{D}"}, {"op": "replace", "path": "emails", "value": [{"value": f"user0001@{D}"}]}), 409, "another name with an address that is somebody's", "uniqueness")
after = ask("GET", "Users/" + ID).json
tm.is_([{k: v for k, v in u.items() if k != "meta"} for u in (after,)], [{k: v for k, v in u.items() if k != "meta"} for u in (before,)], "leaves the name and all else as it was")
a = is_(P({"op": "replace", "path": "userName", "value": f"janet@{D}"}), 200, "another name").json
tm.is_((a["id"], a["userName"], sorted((e["value"], e.get("primary", False)) for e in a["emails"])), (ID, f"janet@{D}", [(f"jane@{D}", False), (f"janet@{D}", True)]),
       "the same id, and the old address leads there")

# ---- PUT
a = is_(ask("PUT", "Users/" + ID, user(f"janet@{D}", id="other", displayName="Janet", meta={"version": "x"}, groups=[{"value": "x"}])), 200, "all of it replaced").json
tm.is_((a["id"], a["displayName"], "givenName" in a["name"], "externalId" in a, len(a["emails"]), a["active"], a[EXTRA + "User"]["quota"]), (ID, "Janet", False, False, 2, True, "3145728"),
       "what is not said goes, but for addresses, state and what a client may not know; what is read-only is passed over")
is_(ask("PUT", "Users/" + ID, {"schemas": [USER]}), 400, "without what is required", "invalidValue")
is_(ask("PUT", "Users/" + ID, {"userName": "x"}), 400, "without schemas", "invalidSyntax")
is_(ask("PUT", "Users", user("x")), 405, "all users are not replaced")

# ---- groups
ids = {u["userName"].partition("@")[0]: u["id"] for u in ask("GET", f"Users?count={PAGE}").all}
a = is_(ask("POST", "Groups", {"schemas": [GROUP], "displayName": "Sales & Marketing", "externalId": "g-1", "members": [{"value": ids["user0001"]}, {"value": ID, "type": "User"}]}), 201, "a group is made")
g, GID = a.json, a.json.get("id")
tm.is_((g["displayName"], g["externalId"], g[EXTRA + "Group"]["mail"]), ("Sales & Marketing", "g-1", f"sales-marketing@{D}"), "with an address from its name")
tm.is_(sorted((m["value"], m["type"], m["$ref"].endswith("/Users/" + m["value"])) for m in g["members"]), sorted([(ids["user0001"], "User", True), (ID, "User", True)]), "and its members")
tm.is_(sorted(api("GET", f"groups/{GID}").json["member"]), [f"janet@{D}", f"user0001@{D}"], "also for mail")
is_(ask("POST", "Groups", {"schemas": [GROUP], "displayName": "sales marketing"}), 409, "its address again", "uniqueness")
is_(ask("POST", "Groups", {"schemas": [GROUP], "displayName": "\u00e9\u00e9"}), 400, "a name that makes no address", "invalidValue")
h = is_(ask("POST", "Groups", {"schemas": [GROUP, EXTRA + "Group"], "displayName": "\u00c9t\u00e9", EXTRA + "Group": {"mail": f"ete@{D}"}}), 201, "with one that is given").json
is_(ask("POST", "Groups", {"schemas": [GROUP], "displayName": "nobody", "members": [{"value": "00000000-0000-4000-8000-000000000000"}]}), 400, "a member that there is not", "invalidValue")
tm.is_(find('displayName eq "nobody"', "Groups").json["totalResults"], 0, "makes no group")
is_(patch("Groups/" + GID, {"op": "add", "path": "members", "value": [{"value": ids["user0002"]}, {"value": ids["user0001"]}, {"value": h["id"]}]}), 204, "members more, one of them there, one a group")
G = lambda: ask("GET", "Groups/" + GID).json
tm.is_(sorted((m["value"], m["type"]) for m in G()["members"]), sorted([(ids["user0001"], "User"), (ids["user0002"], "User"), (ID, "User"), (h["id"], "Group")]), "are there once each")
is_(patch("Groups/" + GID, {"op": "remove", "path": f'members[value eq "{ids["user0001"]}"]'}), 204, "one by a filter")
is_(patch("Groups/" + GID, {"op": "Remove", "path": "members", "value": [{"value": h["id"]}]}), 204, "one by its value, as some clients do")
tm.is_(sorted(m["value"] for m in G()["members"]), sorted([ids["user0002"], ID]), "are gone")
is_(patch("Groups/" + GID, {"op": "replace", "path": f'members[value eq "{ID}"].display', "value": "x"}), 400, "a member's display is not changed", "mutability")
is_(patch("Groups/" + GID, {"op": "replace", "path": EXTRA + "Group:mail", "value": f"x@{D}"}), 400, "nor the group's address", "mutability")
api("PATCH", f"groups/{GID}", {"external+": "x@else.test"})
a = is_(ask("PUT", "Groups/" + GID, {"schemas": [GROUP], "displayName": "Sales", "members": [{"value": ids["user0003"]}]}), 200, "replaced").json
tm.is_((a["displayName"], [m["value"] for m in a["members"]], a[EXTRA + "Group"]["mail"]), ("Sales", [ids["user0003"]], f"sales-marketing@{D}"), "the members are others, the address is not")
tm.is_(api("GET", f"groups/{GID}").json["external"], ["x@else.test"], "and what SCIM does not know is left alone")
tm.ok("members" not in ask("GET", f"Groups/{GID}?excludedAttributes=members").json, "without members where nobody wants them")
tm.is_([x["value"] for x in ask("GET", f"Users/{ids['user0003']}?attributes=groups").json["groups"]], [GID], "a user's groups, when asked for")
tm.is_([x["id"] for x in find(f'members eq "{ids["user0003"]}"', "Groups").all], [GID], "groups of a member")
tm.is_([x["id"] for x in find(f'members.value eq "{ids["user0004"]}"', "Groups").all], [], "of none")
is_(patch("Groups/" + GID, {"op": "remove", "path": "members"}), 204, "all members go")
tm.ok("members" not in G(), "and are gone")

# ---- filters; the whole of it is judged by scim2-parse-filter below
every = [u["userName"] for u in ask("GET", f"Users?count={PAGE}").all]
J = f"janet@{D}"
for text, want in ((f'userName eq "{J}"', [J]), (f'userName eq "{J.upper()}"', [J]), (f'USERNAME Eq "{J}"', [J]), (f'{USER}:userName eq "{J}"', [J]), ('userName sw "jane"', [J]),
                   (f'userName sw "janet@{D[:3]}"', [J]), (f'userName ew "et@{D}"', [J]), ('userName co "ane"', [J]), (f'userName co "et@{D[:2]}"', [J]), (f'userName eq "janet@x.test"', []),
                   (f'userName co "{D[1:4]}"', every), ('id eq "%s"' % ID, [J]), ('emails eq "jane@%s"' % D, [J]), ('emails.value sw "jane@"', [J]), ('emails.type eq "home"', []),
                   (f'emails[primary eq false and value eq "jane@{D}"]', [J]), (f'emails[primary eq true and value eq "jane@{D}"]', []), ('active eq true and userName sw "jan"', [J]),
                   ('displayName eq "janet" and not (userName sw "u")', [J]), ('name.familyName pr and userName sw "jan"', [J]), ('(userName sw "jan" or userName sw "bar") and displayName co "ane"', [J]),
                   ('meta.created gt "2020-01-01T00:00:00Z" and userName sw "jan"', [J]), ('meta.lastModified lt "2020-01-01T00:00:00+02:00"', []), ('externalId pr', []),
                   ('userName sw "jan" and name.givenName eq null', [J]), ('displayName eq "*"', []), ('displayName eq ")(uid=*"', []), ('displayName sw "\\u0000"', [])):
    a = find(text, count=PAGE)
    tm.is_((a.status, sorted(u.get("userName") for u in a.all)), (200, sorted(want)), text) or tm.diag(a.text[:300])
for text in ("userName", 'userName eq', 'userName eq "x', "userName is x", '(userName pr', 'userName pr and', "userName gt \"x\"", "colour eq 1", "name eq 1", "active eq 1", 'emails[value eq "a" and value eq "b"]',
             "emails[not (value pr)]", "password pr", 'urn:x:y:userName pr', "(" * 40 + "userName pr" + ")" * 40, " or ".join(["userName pr"] * 70), 'meta.created gt "yesterday"', 'emails[emails[value pr]]',
             'displayName eq "a" displayName eq "b"', "quota eq 1", 'members.value eq "x"', '"a" eq "b"'):
    is_(find(text), 400, "no filter: " + text[:40], "invalidFilter")

# ---- order and pages
a = is_(ask("GET", "Users?sortBy=userName&sortOrder=descending&count=5"), 200, "sorted")
tm.is_(([u["userName"] for u in a.all], a.json["totalResults"], a.json["itemsPerPage"]), (sorted(every, reverse=True)[:5], len(every), 5), "downwards, and counted")
seen, start = [], 1
while start <= len(every):
    a = ask("GET", f"Users?startIndex={start}&count=4&sortBy=userName&attributes=userName")
    seen += [u["userName"] for u in a.all]
    start += len(a.all) or 1000
tm.is_(seen, sorted(every), "page by page everybody once, in order")
tm.is_([(a.json["totalResults"], len(a.all)) for a in (ask("GET", "Users?count=0"), ask("GET", "Users?count=-5"), ask("GET", "Users?startIndex=-3&count=1"), ask("GET", "Users?startIndex=1000"))],
       [(len(every), 0), (len(every), 0), (len(every), 1), (len(every), 0)], "counts and places beyond the ends (RFC 7644 3.4.2.4)")
is_(ask("GET", "Users?sortBy=colour"), 400, "not sorted by what there is not", "invalidPath")
is_(ask("GET", "Users?count=many"), 400, "a count that is none", "invalidSyntax")
a = is_(ask("POST", "Users/.search", {"schemas": [MESSAGE + "SearchRequest"], "filter": f'userName eq "{J}"', "attributes": ["displayName"], "count": 3}), 200, "a search by POST")
tm.is_([sorted(u) for u in a.all], [["displayName", "id", "schemas"]], "is the same")

# ---- many at once
bulk = lambda ops, **kw: ask("POST", "Bulk", {"schemas": [MESSAGE + "BulkRequest"], "Operations": ops, **kw})
a = is_(bulk([{"method": "POST", "path": "/Groups", "bulkId": "g", "data": {"schemas": [GROUP], "displayName": "Bulk", "members": [{"value": "bulkId:u1"}, {"value": "bulkId:u2"}]}},
              {"method": "POST", "path": "/Users", "bulkId": "u1", "data": user(f"bulk1@{D}")}, {"method": "POST", "path": "/Users", "bulkId": "u2", "data": user(f"bulk2@{D}")},
              {"method": "PATCH", "path": "/Users/bulkId:u1", "data": {"schemas": [MESSAGE + "PatchOp"], "Operations": [{"op": "replace", "path": "displayName", "value": "One"}]}},
              {"method": "DELETE", "path": "/Users/" + ids["bare"]}]), 200, "many operations, the first of which needs others")
ops = a.json.get("Operations", [])
tm.is_([(o["method"], o["status"], o.get("bulkId")) for o in ops], [("POST", "201", "g"), ("POST", "201", "u1"), ("POST", "201", "u2"), ("PATCH", "200", None), ("DELETE", "204", None)], "are all done, and told in their order")
made = [o["location"].rpartition("/")[2] for o in ops]
tm.is_(sorted(m["value"] for m in ask("GET", "Groups/" + made[0]).json["members"]), sorted(made[1:3]), "the members are those that were made")
tm.is_(ask("GET", "Users/" + made[1]).json["displayName"], "One", "and one of them was changed")
a = is_(bulk([{"method": "POST", "path": "/Users", "bulkId": "1", "data": user(f"bulk1@{D}")}, {"method": "POST", "path": "/Users", "bulkId": "2", "data": {"schemas": [USER]}},
              {"method": "POST", "path": "/Users", "bulkId": "3", "data": user(f"bulk3@{D}")}], failOnErrors=2), 200, "with operations that fail")
tm.is_([(o["status"], o.get("response", {}).get("scimType")) for o in a.json["Operations"]], [("409", "uniqueness"), ("400", "invalidValue")], "it stops at the second")
a = is_(bulk([{"method": "POST", "path": "/Groups", "bulkId": "a", "data": {"schemas": [GROUP], "displayName": "circle a", "members": [{"value": "bulkId:b"}]}},
              {"method": "POST", "path": "/Groups", "bulkId": "b", "data": {"schemas": [GROUP], "displayName": "circle b", "members": [{"value": "bulkId:a"}]}}]), 200, "a circle")
tm.is_([o["status"] for o in a.json["Operations"]], ["409", "409"], "is told to be one")
for what, body, status in (("too many operations", [{"method": "DELETE", "path": "/Users/x"}] * (BULK + 1), 413), ("none", [], 400), ("no method", [{"method": "GET", "path": "/Users"}], 400),
                           ("a POST without bulkId", [{"method": "POST", "path": "/Users", "data": {}}], 400),
                           ("a bulkId twice", [{"method": "POST", "path": "/Users", "bulkId": "1", "data": {}}] * 2, 400)):
    is_(bulk(body), status, f"bulk: {what}")
is_(ask("POST", "Bulk", " " * (PAYLOAD + 1)), 413, "more than it takes")
a = bulk([{"method": "PATCH", "path": "/Elsewhere/1", "data": {}}, {"method": "DELETE", "path": "/Users/" + ids["bare"]}])
tm.is_([o["status"] for o in a.json["Operations"]], ["400", "404"], "nowhere, and not there any more")

# ---- deleting
is_(ask("DELETE", "Users/" + made[2]), 204, "deleted")
is_(ask("GET", "Users/" + made[2]), 404, "and not there")
is_(ask("DELETE", "Users/" + made[2]), 404, "nor deleted twice")
tm.is_(find(f'userName eq "bulk2@{D}"').json["totalResults"], 0, "nor found")
tm.is_(api("GET", f"users/bulk2@{D}").json["login"], "deleted", "an administrator can bring it back")
is_(ask("POST", "Users", user(f"bulk2@{D}")), 409, "so nobody else gets its name meanwhile", "uniqueness")
is_(ask("DELETE", "Groups/" + made[0]), 204, "a group")
is_(ask("GET", "Groups/" + made[0]), 404, "for good")

# ---- who may, and where
api("POST", "orgs", {"name": "other.test"})
api("POST", "users", {"name": "eve@other.test"})
eve = api("GET", "users/eve@other.test").json["id"]
is_(ask("GET", "Users/" + eve), 404, "an id of another organisation is none")
is_(ask("GET", "Users/" + eve, who=ADMIN), 404, "not even for who administers both, at this one's address")
tm.is_(is_(ask("GET", "other.test/Users/" + eve, who=ADMIN), 200, "but at the other's").json["meta"]["location"].split("/scim/")[1], "v2/other.test/Users/" + eve, "which it says itself")
is_(ask("GET", "other.test/Users"), 404, "where this administrator sees nothing")
is_(patch("Groups/" + GID, {"op": "add", "path": "members", "value": [{"value": eve}]}, who=ADMIN), 400, "nor a member of it", "invalidValue")
tm.is_(find(f'members eq "{eve}"', "Groups").json["totalResults"], 0, "nor found by it")
is_(patch("Groups/" + GID, {"op": "add", "path": "members", "value": [{"value": ids["user0003"]}, {"value": eve}]}, who=ADMIN), 400, "nor behind one of ours", "invalidValue")
is_(ask("POST", "Groups", {"schemas": [GROUP], "displayName": "there", EXTRA + "Group": {"mail": "there@other.test"}}, who=ADMIN), 400, "nor is a group made there by our path", "invalidValue")
tm.is_(api("GET", "groups/there@other.test").status, 404, "and it is not")
top = {u["userName"]: u["id"] for u in ask("GET", f"Users?count={PAGE}", who=ADMIN).all}[f"admin@{D}"]
is_(ask("GET", "Users/" + top), 404, "who stands above is not there")
is_(patch("Users/" + ids["user0005"], {"op": "replace", "path": "active", "value": False}, who="user0004"), 404, "a user changes nobody")
api("POST", "roles/helpdesk/grant", {"names": [f"user0006@{D}"]}, who=ORG)
is_(patch("Users/" + ids["user0005"], {"op": "replace", "path": "displayName", "value": "x"}, who="user0006"), 403, "the help desk changes no name")
is_(patch("Users/" + ids["user0005"], {"op": "replace", "path": "password", "value": "geheim-5-neu"}, who="user0006"), 200, "but a password")
for field, value in (("Origin", "https://evil.test"), ("Sec-Fetch-Site", "cross-site")):
    is_(ask("POST", "Users", user(f"csrf@{D}"), headers={field: value}), 403, f"a page of another site ({field})")
with open(os.path.join(sb.dir, "admin.audit")) as f:
    log = [json.loads(line) for line in f]
tm.ok([x for x in log if x["who"] == f"{ORG}@{D}" and "Jane X" in json.dumps(x)] and not [x for x in log if "geheim" in json.dumps(x)], "the log has who changed what, and no password")

# ---- requests that are none
for body in ('{"schemas":', "[]", '"x"', '{"schemas":["%s"],"userName":1}' % USER, '{"schemas":["%s"],"userName":"a","userName":"b"}' % USER, "[" * 50, '{"schemas":["%s"],"userName":"a\\u0000b"}' % USER,
             '{"schemas":["%s"],"userName":"ok","emails":"x","phoneNumbers":[[1]]}' % USER, b"\xff\xfe", ""):
    a = ask("POST", "Users", body)
    tm.ok(a.status == 400 and a.json.get("scimType") in ("invalidSyntax", "invalidValue"), f"malformed: {body[:40]!r}") or tm.diag(f"{a.status} {a.text[:300]}")
is_(ask("POST", "Users", "x=1", kind="application/x-www-form-urlencoded"), 415, "another type")
is_(ask("GET", "Users/a/b"), 404, "a path that is too long")
is_(ask("GET", "Nothing"), 404, "no resource")
is_(ask("GET", "Users?filter=%zz"), 400, "a query that is malformed", "invalidSyntax")
is_(ask("POST", "Users", user("x" * 300 + "@" + D)), 400, "a name that is too long", "invalidValue")
big = [{"value": f"{i:08x}-0000-4000-8000-000000000000"} for i in range(12000)]
a = patch("Groups/" + GID, *[{"op": "add", "path": "members", "value": big}, *[{"op": "replace", "path": "members[value pr].type", "value": "User"}] * 900])
is_(a, 400, "operations by elements that would take long", "tooMany")

# ---- the directory away, and back
sb.kill("slapd")
is_(ask("GET", "Users/" + ID), 503, "a directory that is away is said to be")
sb.restart("slapd")
tm.ok(tm.wait_for(lambda: ask("GET", "Users/" + ID).status == 200), "and nothing is to be started anew")
m = sb.tool("tmctl", "-d", "admind", "metrics").stdout
tm.ok("admin_scim" in m and "admin_scim_refused" in m, "counted")

# ---- foreign judges
NPM = os.path.join(tm.TOP, "build/npm/node_modules")
if not shutil.which("node") or not os.path.exists(os.path.join(NPM, "scimmy")):
    tm.skip("scimmy, scim2-parse-filter, scim-patch", "not installed: scripts/deps web")
else:
    r = subprocess.run(["node", os.path.join(tm.TOP, "t/flow/admin-scim.mjs"), NPM, f"https://{sb.host}:{PORT}/scim/v2", app["token"], D], text=True, capture_output=True,
                       env={**os.environ, "NODE_EXTRA_CA_CERTS": sb.env["CAFILE"], "NODE_TLS_REJECT_UNAUTHORIZED": "0"}, timeout=tm.LONG)
    tm.is_(r.returncode, 0, "the judges come to their end") or tm.diag(r.stderr[-3000:])
    for line in map(json.loads, r.stdout.splitlines()):
        tm.ok(line["good"], line["what"]) or tm.diag(json.dumps(line.get("got"))[:1500])
tm.done()
