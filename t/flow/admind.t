#!/usr/bin/env python3
"""admind: the API over the table of verbs, against a real slapd: each object, each kind of refusal, pages, versions, who
may; hostile requests; and what becomes of a change whose client has gone."""
import base64
import http.client
import json
import os
import ssl
import sys
import threading
import urllib.parse

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tm

tm.need("ldapsearch")
sb = tm.Sandbox("--users", "30", "--admin", "--set", "admind.auth.delay=0", "--set", "admind.limit.agents=6", "--set", "admind.limit.per_user=100",
                *[w for d in ("stored", "lmtpd", "jobctl", "smtp-relay", "imapd", "pop3d", "sieved", "mmpd", "memd", "jmapd") for w in ("--without", d)])
D, PORT = sb.domain, int(sb.env["ADMIN_PORT"])
TLS = ssl.create_default_context(cafile=sb.env["CAFILE"])
TLS.check_hostname = False
ADMIN, ORG = "admin", "orgadmin"


class Answer:
    def __init__(self, r):
        self.status, self.fields, self.text = r.status, r.headers, r.read().decode()
        try:
            self.json = json.loads(self.text) if self.text else {}
        except ValueError:
            self.json = {}
        self.records = self.json.get("records", []) if isinstance(self.json, dict) else []


def connect():
    return http.client.HTTPSConnection(sb.host, PORT, context=TLS, timeout=tm.LONG)


def login(who, password=None):
    return {"Authorization": "Basic " + base64.b64encode(f"{who}:{password or sb.password}".encode()).decode()} if who else {}


def ask(method, path, body=None, who=ADMIN, headers=(), raw=False, c=None):
    c = c or connect()
    h = {**login(who), **dict(headers)}
    if body is not None and not raw:
        h.setdefault("Content-Type", "application/json")
        body = json.dumps(body)
    c.request(method, path if path.startswith("/") else "/api/v1/" + path, body, h)
    return Answer(c.getresponse())


def is_(answer, status, what, code=None):
    good = answer.status == status and (code is None or answer.json.get("code") == code)
    if not tm.ok(good, what):
        tm.diag(f"got {answer.status} {answer.text[:500]}")
    return answer


# ---- who asks
for who, headers, what in ((None, {}, "nobody"), ("admin", login("admin", "wrong"), "a wrong password"), ("nobody", login("nobody"), "an unknown name")):
    a = is_(ask("GET", "me", who=None, headers=headers), 401, f"{what} is not let in")
    tm.ok(a.fields["WWW-Authenticate"].startswith("Basic ") and a.fields["Content-Type"] == "application/problem+json" and
          {"status", "title", "code", "detail"} <= set(a.json), "and told by a problem how to log in")
is_(ask("GET", "me", headers={"Authorization": "Basic !!"}, who=None), 400, "credentials that are none", "malformed")
is_(ask("GET", "me", headers={"Authorization": "Bearer x"}, who=None), 401, "another scheme")
tm.is_(ask("GET", "me").json["user"], f"admin@{D}", "who has come in is known")
a = ask("GET", "me")
tm.is_((a.fields["Cache-Control"], a.fields["X-Content-Type-Options"]), ("no-store", "nosniff"), "answers are kept by nobody, and nothing else than they say")
for field, value in (("Origin", "https://evil.test"), ("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Site", "same-site"), ("Origin", "null")):
    is_(ask("POST", "users", {"name": f"csrf@{D}"}, headers={field: value}), 403, f"a page of another site ({field}: {value})", "foreign")
is_(ask("GET", "me", headers={"Origin": f"https://{sb.host}:{PORT}", "Sec-Fetch-Site": "same-origin"}), 200, "a page of our own")

# ---- the table
verbs = ask("GET", "verbs").json["verbs"]
tm.ok({("user", "create"), ("org", "suspend"), ("role", "grant")} <= {(v["object"], v["verb"]) for v in verbs}, "the verbs are told")
tm.ok("quota" in [v for v in verbs if v["object"] == "user" and v["verb"] == "modify"][0]["settings"], "with their settings")

# ---- users
a = is_(ask("POST", "users", {"name": f"jane@{D}", "given": "Jane", "quota": "1G", "alias": [f"j1@{D}", f"j2@{D}"], "messages": 100, "password": "geheim-1"}), 201, "a user is made")
a = is_(ask("GET", f"users/jane@{D}"), 200, "and shown")
jane = a.json
tm.is_((jane["quota"], jane["messages"], sorted(jane["alias"]), jane["given"]), (1 << 30, 100, [f"j1@{D}", f"j2@{D}"], "Jane"), "as it was wished")
tm.is_(a.fields["ETag"], f'"{jane["version"]}"', "with its version as its tag")
tm.ok("geheim" not in a.text, "and no password")
is_(ask("GET", "me", who="jane", headers=login("jane", "geheim-1")), 200, "whose password is good")
is_(ask("POST", "users", {"name": f"jane@{D}"}), 409, "the same again", "address-in-use")
is_(ask("PATCH", f"users/jane@{D}", {"alias+": [f"j3@{D}"], "alias-": f"j1@{D}", "messages": None, "quota": 2048}), 200, "a change")
jane = ask("GET", f"users/jane@{D}").json
tm.is_((sorted(jane["alias"]), "messages" in jane, jane["quota"]), ([f"j2@{D}", f"j3@{D}"], False, 2048), "adds, takes, removes and sets")
is_(ask("PATCH", f"users/jane@{D}", {"alias": []}), 200, "an empty list")
tm.ok("alias" not in ask("GET", f"users/jane@{D}").json, "is none")
old = ask("GET", f"users/jane@{D}").fields["ETag"]
is_(ask("PATCH", f"users/jane@{D}", {"description": "one"}, headers={"If-Match": old}), 200, "a change of the version that was seen")
is_(ask("PATCH", f"users/jane@{D}", {"description": "two"}, headers={"If-Match": old}), 412, "not of one that is over", "changed")
a = is_(ask("PATCH", f"users/jane@{D}?dry=1", {"description": "dry"}), 200, "a dry run")
tm.ok(a.records[0]["kind"] == "change" and ask("GET", f"users/jane@{D}").json["description"] == "one", "tells, and changes nothing")
is_(ask("POST", f"users/jane@{D}/suspend"), 200, "a verb")
tm.is_(ask("GET", f"users/jane@{D}").json["login"], "inactive", "which has done it")
is_(ask("POST", f"users/jane@{D}/resume"), 200, "and back")
is_(ask("POST", f"users/jane@{D}/rename", {"names": ["janet"]}), 200, "another name")
tm.is_(ask("GET", f"users/jane@{D}").json["user"], f"janet@{D}", "the old one leads there")
made = is_(ask("POST", f"users/janet@{D}/password", {}), 200, "a password that the directory makes").records[0]["password"]
is_(ask("GET", "me", who=None, headers=login("janet", made)), 200, "and that is good")
is_(ask("DELETE", f"users/janet@{D}"), 200, "deleted")
is_(ask("POST", f"users/janet@{D}/undelete"), 200, "and brought back")
is_(ask("DELETE", f"users/janet@{D}"), 200, "deleted again")
is_(ask("POST", f"users/janet@{D}/purge"), 200, "for good")
is_(ask("GET", f"users/janet@{D}"), 404, "it is not there", "not-found")

# ---- what is kept of a person
is_(ask("POST", "groups", {"name": f"circle@{D}", "member": [f"user0004@{D}"], "owner": [f"user0004@{D}"]}), 201, "a list that names somebody")
is_(ask("POST", "apps", {"name": f"user0004@{D}", "description": "reader"}, who="user0004"), 201, "who has an application password")
for who, lists in (("admin", True), (ORG, True), ("user0004", False)):
    a = is_(ask("POST", f"users/user0004@{D}/export", {}, who=who), 200, f"{who}: all that the directory has of somebody")
    entries = [r for r in a.records if r["kind"] == "entry"]
    tm.ok(entries and entries[0]["uid"] == ["user0004"] and entries[0]["mail"] and entries[0]["mailHost"], "the entry, by attributes") or tm.diag(entries)
    tm.ok(len(entries) == 2 and "reader" in json.dumps(entries[1]), "the application password") or tm.diag([e["dn"] for e in entries])
    tm.ok(not [k for r in a.records for k in r if k.lower() in ("userpassword", "tiermailscram", "tiermailappsecret", "tiermailtotpsecret", "tiermailrecoverycode")], "and no secret")
    named = [r for r in a.records if r["kind"] == "named"]
    tm.is_([sorted(r["as"]) for r in named], [["owner", "uniqueMember"]] if lists else [], "which lists name him, for who may see them")
    tm.ok(any(r["kind"] == "note" and "storectl export" in r["text"] for r in a.records), "and how the rest is got")
is_(ask("POST", f"users/user0004@{D}/export", {}, who="user0005"), 404, "nobody else gets it", "not-found")

# ---- the other objects
is_(ask("POST", "providers", {"name": "Acme"}), 201, "a provider")
is_(ask("POST", "orgs", {"names": ["new.test", "Acme"], "users": 2}), 201, "an organisation below it")
is_(ask("POST", "packages", {"name": "gold", "quota": "5G", "services": ["+imaps:*"]}), 201, "a package")
is_(ask("PATCH", "orgs/new.test", {"package": ["gold:1"]}), 200, "that it has once")
is_(ask("POST", "users", {"name": "a@new.test", "package": "gold"}), 201, "the first")
is_(ask("POST", "users", {"name": "b@new.test", "package": "gold"}), 409, "a second there is not", "package-used-up")
is_(ask("POST", "groups", {"name": "team@new.test", "member": ["a@new.test"], "external": "x@else.test"}), 201, "a list")
tm.is_(ask("GET", "groups/team@new.test").json["member"], ["a@new.test"], "with its member")
is_(ask("POST", "roles/organisation/grant", {"names": ["a@new.test"]}), 200, "a role")
tm.ok(("organisation", "a@new.test", "new.test") in {(r["role"], r["user"], r.get("over")) for r in ask("GET", "roles").records}, "that is told")
tm.ok("new.test" in [r["org"] for r in ask("GET", "orgs").records] and ask("GET", "orgs?provider=Acme").records[0]["org"] == "new.test", "organisations, of all and of one provider")
tm.is_([r["kind"] for r in ask("GET", "check?org=new.test").records], ["note"], "nothing to find")

tm.is_({r["name"].partition(",")[0] for r in ask("GET", "init").records if r["kind"] == "lack"}, {"ou=services", "uid=admind"},
       "nor to add, but for what only the directory's administrator sees")

# ---- pages
seen, page, n, c = [], "", 0, connect()
while True:
    a = ask("GET", f"users?org={D}&limit=7" + (f"&page={page}" if page else ""), c=c)
    seen += [r["user"] for r in a.records]
    n += 1
    tm.ok(len(a.records) <= 7 and a.status == 200, f"page {n}") if a.status != 200 else None
    page = a.json.get("next")
    if not page or n > 20:
        break
every = [r["user"] for r in ask("GET", f"users?org={D}&limit=1000").records]
# Found by a word, and in order, they are named by admind's own account: as the person all the same.
is_(ask("PATCH", f"users/user0003@{D}", {"name": "Zoe Quill", "given": "Zoe", "surname": "Quill"}), 200, "one whose name is not her login")
own = [r["user"] for r in ask("GET", f"users?org={D}&limit=1000", who=ORG).records]
tm.ok(f"admin@{D}" in every and f"admin@{D}" not in own and len(own) > 30, "an organisation's administrator does not see who is above") or tm.diag(own)
for more in ("sort=user", "sort=-user", "sort=name", "q=user", "q=user&sort=user", "q=u&sort=-name"):
    got = [r["user"] for r in ask("GET", f"users?org={D}&limit=1000&{more}", who=ORG).records]
    wanted = [u for u in own if u.startswith(more[2:].partition("&")[0])] if more.startswith("q=") else own
    tm.is_(sorted(got), sorted(wanted), f"{more}: the same people")
    if more.endswith("user") and "sort" in more:
        tm.is_(got, sorted(wanted, reverse="-user" in more), "in order")
for who in (ADMIN, ORG):
    tm.is_([[r["user"] for r in ask("GET", f"users?org={D}&limit=9&q={q}{s}", who=who).records] for q in ("Quill", "zoe", "Zoe%20Q") for s in ("", "&sort=user")], [[f"user0003@{D}"]] * 6, f"{who}: found by name")
tm.is_([ask("GET", f"users?org={D}&limit=9&q=admin{s}", who=ORG).records for s in ("", "&sort=user")], [[], []], "who is not to be seen is not found, either")
r = ask("GET", f"users?org={D}&limit=9&q=user&sort=user", who=ORG, c=c)
two = ask("GET", f"users?org={D}&limit=9&q=user&sort=user&page={r.json['next']}", who=ORG, c=c)
tm.is_([x["user"] for x in r.records + two.records], sorted(u for u in own if u.startswith("user"))[:18], "page by page")
tm.ok(n == -(-len(every) // 7) and sorted(seen) == sorted(every) and len(set(seen)) == len(seen), f"{n} pages have everybody once")
a = ask("GET", f"users?org={D}&limit=5")
is_(ask("GET", f"users?org={D}&limit=5&page={a.json['next']}", who=ORG), 410, "a page is nobody else's", "page")
is_(ask("GET", f"users?org={D}&q=u&limit=5&page={a.json['next']}"), 410, "and of no other question", "page")
is_(ask("GET", f"users?org={D}&limit=5&page={a.json['next']}"), 200, "but one's own")
is_(ask("GET", f"users?org={D}&limit=5&page=nonsense"), 410, "one that there is not", "page")
names = [r["name"] for r in ask("GET", f"users?org={D}&sort=-name&limit=1000").records]
tm.is_(names, sorted(names, key=str.lower, reverse=True), "sorted by the directory, downwards")
tm.is_([r["user"] for r in ask("GET", f"users?org={D}&q=user0001").records], [f"user0001@{D}"], "those that begin so")
for q in ("*", "(uid=*)", "a)(uid=*", "\\2a", "%00"):
    a = ask("GET", f"users?org={D}&q={urllib.parse.quote(q)}" if q != "%00" else f"users?org={D}&q=%00")
    tm.ok(a.records == [] and a.status in (200, 400), f"a word is no filter: {q!r}")
for i in range(10):
    ask("GET", f"users?org={D}&limit=2")
is_(ask("GET", f"users?org={D}&limit=2"), 200, "lists that nobody goes on with take no room from others")
is_(ask("GET", f"users?org={D}&sort=alias"), 400, "not sorted by many values", "sort")

# ---- who may
is_(ask("GET", "orgs/new.test", who=ORG), 404, "another organisation is not there for its administrator", "not-found")
tm.is_([r["org"] for r in ask("GET", "orgs", who=ORG).records], [D], "nor in a list")
is_(ask("PATCH", f"orgs/{D}", {"users": 5}, who=ORG), 403, "what is the provider's", "denied")
is_(ask("PATCH", f"users/user0001@{D}", {"quota": "1G"}, who=ORG), 200, "what is his")
is_(ask("POST", f"users/admin@{D}/password", {"password": "x"}, who=ORG), 404, "not the password of who is above", "not-found")
is_(ask("PATCH", f"users/user0001@{D}", {"quota": "9G"}, who="user0001"), 403, "a user changes no limit of his own", "denied")
is_(ask("PATCH", f"users/user0001@{D}", {"userPassword": "x"}), 400, "no attribute by its name", "setting")
is_(ask("PATCH", f"users/user0001@{D}", {"mailAdminRole": "x", "quota": 1}), 400, "nor one beside a good setting", "setting")
tm.is_(ask("GET", f"users/user0001@{D}").json["quota"], 1 << 30, "of which nothing was done")

# ---- requests that are none
for path, status in (("nothing", 404), ("users/a/b/c", 404), (f"users/user0001@{D}/explode", 404), ("/nothing.js", 404), ("/api/v2/users", 404), ("users/%zz", 404), ("users/%00", 404)):
    is_(ask("POST" if path.endswith("explode") else "GET", path), status, f"{path}: {status}")
is_(ask("PUT", f"users/user0001@{D}", {}), 405, "a method that there is not")
is_(ask("POST", "users", b"{}", raw=True, headers={"Content-Type": "text/plain"}), 415, "not JSON", "type")
for body in ('{"name":', "[]", '"x"', '{"name":{"a":1}}', '{"name":"a@b","name":"c@d"}', '{"quota":[[1]]}', '{"names":["a","b","c","d","e"]}', '{"quota":1.5}', "[" * 50,
             '{"description":"a\\u0000b"}'):
    a = ask("POST", "users", body, raw=True, headers={"Content-Type": "application/json"})
    tm.ok(a.status == 400 and a.json.get("code") in ("malformed", "operands"), f"malformed: {body[:40]}") or tm.diag(a.text)
is_(ask("GET", f"users?org={D}&limit=0"), 400, "a parameter that makes no sense", "malformed")
is_(ask("GET", f"users?org={D}&colour=red"), 400, "one that there is not", "malformed")
is_(ask("GET", "users"), 400, "a list of what?", "operands")
is_(ask("POST", "users", {"name": "x" * 70000 + "@" + D}), 400, "a name that is too long")

# ---- a client that goes away; many at once
c = connect()
c.request("POST", "/api/v1/users", json.dumps({"name": f"gone@{D}"}), {**login(ADMIN), "Content-Type": "application/json"})
c.close()
tm.ok(tm.wait_for(lambda: ask("GET", f"users/gone@{D}").status == 200), "what it has begun is done")
got = []
threads = [threading.Thread(target=lambda i=i: got.append(ask("POST", "users", {"name": f"many{i}@{D}"}).status)) for i in range(12)]
[t.start() for t in threads]
[t.join() for t in threads]
tm.ok(set(got) <= {201, 503} and got.count(201) >= 6, f"many at once: {sorted(got)}")
with open(os.path.join(sb.dir, "admin.audit")) as f:
    log = [json.loads(line) for line in f]
tm.ok([a for a in log if a["who"] == f"orgadmin@{D}" and a["result"] == "denied" and a["from"] == sb.host], "the log has who was refused, and from where")
tm.ok(not [a for a in log if made in json.dumps(a) or "geheim" in json.dumps(a)], "and no password")
sb.kill("slapd")
is_(ask("GET", f"users/user0002@{D}"), 503, "a directory that is away is said to be")
sb.restart("slapd")
tm.ok(tm.wait_for(lambda: ask("GET", f"users/user0002@{D}").status == 200), "and nothing is to be started anew")
tm.is_(sb.tool("tmctl", "-d", "admind", "reload").returncode, 0, "a reload")
is_(ask("GET", f"users/user0002@{D}"), 200, "after which it goes on")
tm.done()
