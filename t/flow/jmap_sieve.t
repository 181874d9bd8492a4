#!/usr/bin/env python3
"""SieveScript (RFC 9661): people's scripts over JMAP, the same that ManageSieve shows and deliveries run."""
import json, smtplib, socket, subprocess, time
import tm
from jmapraw import Jmap
from sieveraw import Sieve

SIEVE, BLOB = "urn:ietf:params:jmap:sieve", "urn:ietf:params:jmap:blob"
sb = tm.Sandbox("--users", "4", *(w for d in ("imapd", "pop3d", "mmpd", "memd") for w in ("--without", d)), "--set", "lmtpd.workers=1",
                "--set", "jmapd.sieve.scripts=6", "--set", "jmapd.sieve.size=4K", "--set", "jmapd.sieve.total=6K")
e = sb.env
j, two = Jmap(sb, 1), Jmap(sb, 2)
for one in (j, two):
    one.using = one.using + [SIEVE, BLOB]


def ldap(n, *lines):
    r = subprocess.run(["ldapmodify", "-x", "-H", e["LDAP_URL"], "-D", e["LDAP_ADMIN_DN"], "-w", e["LDAP_ADMIN_PASSWORD"]], text=True, capture_output=True,
                       input=f"dn: uid={sb.user(n)},ou=People,o={sb.domain},{e['LDAP_BASE']}\nchangetype: modify\n" + "\n-\n".join(lines) + "\n")
    assert r.returncode == 0, r.stderr


def blob(text, who=j):
    return who.one("Blob/upload", create={"b": {"data": [{"data:asText": text}]}})["created"]["b"]["id"]


def change(**more):
    return j.one("SieveScript/set", **more)


def scripts(who=j):
    """{name: (text, isActive)}"""
    got = who.call(("SieveScript/get", {"ids": None}), ("Blob/get", {"#ids": {"resultOf": "a", "name": "SieveScript/get", "path": "/list/*/blobId"}, "properties": ["data:asText", "size"]}))
    texts = {b["id"]: b["data:asText"] for b in got[1][1]["list"]}
    return {s["name"]: (texts[s["blobId"]], s["isActive"]) for s in got[0][1]["list"]}


def find(name):
    return next(s for s in j.one("SieveScript/get", ids=None)["list"] if s["name"] == name)


def refused(got, kind="notCreated", key="a"):
    r = got[kind][key]
    return r["type"], *r.get("properties", [])


def deliver(subject):
    with smtplib.LMTP(sb.host, sb.port("LMTP")) as c:
        c.sendmail(f"x@{sb.domain}", [f"{sb.user(1)}@{sb.domain}"], f"From: x@{sb.domain}\r\nTo: {sb.user(1)}@{sb.domain}\r\nSubject: {subject}\r\n\r\nx\r\n")


session = json.loads(j.http("GET", "/jmap/session")[2])
mine = session["accounts"][j.account]["accountCapabilities"][SIEVE]
tm.is_((list(session["capabilities"][SIEVE]), session["primaryAccounts"][SIEVE]), (["implementation"], j.account), "the capability")
tm.is_({k: v for k, v in mine.items() if k != "sieveExtensions"},
       {"maxSizeScriptName": 512, "maxSizeScript": 4096, "maxNumberScripts": 6, "maxNumberRedirects": 4, "notificationMethods": ["mailto"], "externalLists": ["mailto", "urn"]}, "and the account's limits")
tm.ok({"fileinto", "imap4flags", "vacation", "vnd.nothing"} - set(mine["sieveExtensions"]) == {"vnd.nothing"}, "with its extensions")
tm.is_((j.one("SieveScript/get", ids=None)["list"], j.one("SieveScript/get", ids=["x"])["notFound"]), ([], ["x"]), "nobody has a script at first")

# ---- a script is made, made active, and acts ---------------------------------------------------------------------------
first = j.one("SieveScript/get", ids=None)["state"]
text = 'require ["fileinto", "mailbox"];\r\nif header :contains "Subject" "\u00fc" { fileinto :create "B\u00fccher"; }\r\n'
got = change(create={"a": {"name": "B\u00fccher \U0001f4da", "blobId": blob(text)}}, ifInState=first)
made = got["created"]["a"]
tm.is_((got["oldState"], got["newState"] != first, sorted(made), made["isActive"]), (first, True, ["blobId", "id", "isActive"], False), "a script is made")
tm.is_(scripts(), {"B\u00fccher \U0001f4da": (text, False)}, "it is there, to the octet")
tm.is_(j.http("GET", f"/jmap/download/{j.account}/{made['blobId']}/x?type=application/sieve")[::2], (200, text.encode()), "and is downloaded")
deliver("\u00fc before".encode("ascii", "replace").decode())
got = change(onSuccessActivateScript=made["id"], ifInState=got["newState"])
tm.is_((got["updated"], find("B\u00fccher \U0001f4da")["isActive"]), ({made["id"]: {"isActive": True}}, True), "it is made active, which the answer says")
with smtplib.LMTP(sb.host, sb.port("LMTP")) as c:
    c.sendmail(f"x@{sb.domain}", [f"{sb.user(1)}@{sb.domain}"], "From: x@x.test\r\nSubject: =?utf-8?q?f=C3=BCr?=\r\n\r\nx\r\n")
tm.ok("B\u00fccher" in j.boxes(), "the next message is filed by it") or tm.diag(list(j.boxes()))

# ---- what cannot be ------------------------------------------------------------------------------------------------------
good = blob("keep;\r\n")
state = got["newState"]
bad = change(create={"a": {"name": "bad", "blobId": blob('keep;\r\nfileinto "x";\r\n')}, "b": {"name": "good", "blobId": good}}, onSuccessActivateScript="#b")
tm.is_((refused(bad), "2:1" in bad["notCreated"]["a"]["description"], sorted(bad["created"]), scripts()["good"]), (("invalidSieve",), True, ["b"], ("keep;\r\n", False)),
       "a script with an error is not stored, the other is, and none is made active") or tm.diag(bad)
tm.is_([refused(change(create={"a": v})) for v in ({"name": "n"}, {"blobId": good, "name": ""}, {"blobId": good, "name": "a\nb"}, {"blobId": good, "name": 5}, {"blobId": good, "isActive": True},
                                                  {"blobId": good, "color": 1}, {"blobId": "Unothing"}, {"blobId": "Sx-1"}, {"blobId": "#z"}, 7)],
       [("invalidProperties", "blobId"), ("invalidProperties", "name"), ("invalidProperties", "name"), ("invalidProperties", "name"), ("invalidProperties",), ("invalidProperties",),
        ("blobNotFound",), ("blobNotFound",), ("blobNotFound",), ("invalidProperties", "blobId")], "what cannot be is told")
twice = change(create={"a": {"name": "good", "blobId": good}})
tm.is_((refused(twice), twice["notCreated"]["a"]["existingId"]), (("alreadyExists",), find("good")["id"]), "a name is given once")
tm.is_(refused(change(create={"a": {"name": "large", "blobId": blob("#" * 4090 + "\r\nkeep;\r\n")}})), ("tooLarge",), "and what is too large")
tm.is_(refused(change(create={"a": {"name": "l1", "blobId": blob("#" * 4000 + "\r\n")}, "b": {"name": "l2", "blobId": blob("#" * 4001 + "\r\n")}}), key="b"), ("overQuota",), "or all together")
tm.is_(refused(change(destroy=[made["id"], find("l1")["id"], "Sx"]), "notDestroyed", made["id"]), ("sieveIsActive",), "the active one is not removed")
tm.is_((sorted(scripts()), change(create={"a": {"name": "x", "blobId": good}}, ifInState=state)), (["B\u00fccher \U0001f4da", "good"], ["error", "stateMismatch"]), "of two clients one is told")
tm.is_([j.one("SieveScript/validate", blobId=blob(t))["error"] for t in ("keep;", "")], [None, None], "right is right")
got = j.one("SieveScript/validate", blobId=blob("\r\nkeep"))["error"]
tm.is_((got["type"], got["description"].startswith("script:2:")), ("invalidSieve", True), "wrong is told with its line") or tm.diag(got)
tm.is_(j.one("SieveScript/validate", blobId="Unothing"), ["error", "blobNotFound"], "and what is nothing")

# ---- other names, other texts --------------------------------------------------------------------------------------------
one = find("good")
got = change(update={one["id"]: {"name": "better", "blobId": blob("stop;\r\n")}, "Sx": {"name": "y"}})
tm.is_((got["updated"][one["id"]].keys(), scripts()["better"], refused(got, "notUpdated", "Sx")), ({"blobId"}, ("stop;\r\n", False), ("notFound",)), "another name and text in one")
tm.is_(j.http("GET", f"/jmap/download/{j.account}/{one['blobId']}/x?type=application/sieve")[0], 404, "the octets of before are no others'")
tm.is_(change(update={one["id"]: {"name": "best", "isActive": False, "id": one["id"]}})["updated"], {one["id"]: None}, "the id stays")
tm.is_(refused(change(update={one["id"]: {"name": "B\u00fccher \U0001f4da"}}), "notUpdated", one["id"]), ("alreadyExists",), "a name that is taken")
tm.is_([refused(change(update={one["id"]: p}), "notUpdated", one["id"])[0] for p in ({"name": None}, {"isActive": True}, {"blobId": None}, 5)],
       ["invalidProperties"] * 3 + ["invalidPatch"], "patches that cannot be")
got = change(create={"a": {"blobId": blob("discard;")}}, update={one["id"]: {"name": "good"}}, onSuccessActivateScript="#a")
new = got["created"]["a"]
tm.is_((new["isActive"], new["name"].startswith("script-"), got["updated"]), (True, True, {one["id"]: None, made["id"]: {"isActive": False}}),
       "what is made can be made active at once; without a name it has one; the one before is told")
got = change(onSuccessActivateScript="Snone")
tm.is_((got["updated"], scripts()[new["name"]]), (None, ("discard;", True)), "one that is not there changes nothing")
got = change(onSuccessDeactivateScript=True, destroy=None)
tm.is_((got["updated"], [s for s, (_, on) in scripts().items() if on]), ({new["id"]: {"isActive": False}}, []), "none is active")
tm.is_(change(destroy=[new["id"]])["destroyed"], [new["id"]], "and then it can go")
got = change(create={n: {"blobId": good} for n in "pqrs"})
tm.is_((len({s["name"] for s in got["created"].values()}), got.get("notCreated")), (4, None), "several without names have one each") or tm.diag(got)
change(destroy=[s["id"] for s in got["created"].values()])

# ---- queries ---------------------------------------------------------------------------------------------------------------
change(onSuccessActivateScript=one["id"])
q = lambda **a: j.one("SieveScript/query", **a)
tm.is_((q()["ids"], q(sort=[{"property": "name", "isAscending": False}], calculateTotal=True)["total"]), ([made["id"], one["id"]], 2), "all, by name")
tm.is_([q(filter=f)["ids"] for f in ({"isActive": True}, {"name": "B\u00dcCH"}, {"operator": "NOT", "conditions": [{"name": "g"}]}, {"isActive": True, "name": "z"})],
       [[one["id"]], [made["id"]], [made["id"]], []], "by what they are")
tm.is_((q(sort=[{"property": "isActive", "isAscending": False}], limit=1)["ids"], q(anchor=one["id"], limit=5)["ids"]), ([one["id"]], [one["id"]]), "in order, and a part of them")
tm.is_([q(filter={"x": 1}), q(filter={"name": 1}), q(sort=[{"property": "id"}]), q(anchor="x")], [["error", t] for t in ("invalidArguments", "invalidArguments", "unsupportedSort", "anchorNotFound")],
       "what is no query")
tm.is_([q(sort=[{"property": "isActive"}] * n + [{"property": "name"}])[:2] if n == 8 else len(q(sort=[{"property": "isActive"}] * n)["ids"]) for n in (8, 4)], [["error", "unsupportedSort"], 2], "nor one that is sorted by more than there is")

# ---- others at the same scripts ------------------------------------------------------------------------------------------------
m = Sieve(sb, 1)
tm.is_(m.scripts(), ['"B\u00fccher \U0001f4da"', '"good" ACTIVE'], "ManageSieve shows the same")
m.put("good", "redirect \"x@elsewhere.test\";\r\n")
tm.is_(scripts()["good"], ('redirect "x@elsewhere.test";\r\n', True), "and what it stores is here")
ldap(1, "add: mailSieveRuleSource\nmailSieveRuleSource: discard;")
foreign = next(s for s in j.one("SieveScript/get", ids=None)["list"] if s["name"].startswith("filter-"))
tm.is_((foreign["isActive"], scripts()[foreign["name"]][0]), (False, "discard;"), "a script that another program has put there is shown")
tm.is_((change(update={foreign["id"]: {"name": "theirs"}})["updated"], scripts()["theirs"]), ({foreign["id"]: None}, ("discard;", False)), "and is given a name")
change(onSuccessActivateScript=made["id"])
tm.is_({n: on for n, (_, on) in scripts().items()}, {"B\u00fccher \U0001f4da": True, "good": False, "theirs": False}, "none is lost when another is made active")
tm.is_((scripts(two), two.one("SieveScript/get", ids=[made["id"]])["notFound"], two.http("GET", f"/jmap/download/{two.account}/{made['blobId']}/x?type=a/b")[0]), ({}, [made["id"]], 404), "nobody sees another's")
tm.is_(j.one("SieveScript/set", accountId=two.account), ["error", "accountNotFound"], "nor changes it")

# ---- who goes in the middle of it ------------------------------------------------------------------------------------------------
def request(method, path, body=b""):
    return f"{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: {j.headers['Authorization']}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def calls(*list_):
    return json.dumps({"using": j.using, "methodCalls": [[n, {"accountId": j.account, **a}, str(i)] for i, (n, a) in enumerate(list_)]}).encode()


now = find("good")
asks = [request("GET", f"/jmap/download/{j.account}/{now['blobId']}/x?type=a/b"),
        request("POST", "/jmap/api", calls(("SieveScript/get", {"ids": None}), ("Blob/get", {"#ids": {"resultOf": "0", "name": "SieveScript/get", "path": "/list/*/blobId"}}))),
        request("POST", "/jmap/api", calls(("SieveScript/validate", {"blobId": now["blobId"]}))),
        request("POST", "/jmap/api", calls(("SieveScript/set", {"update": {now["id"]: {"blobId": now["blobId"]}}, "create": {"x": {"blobId": "Unothing"}}, "onSuccessDeactivateScript": True})))]
pids = sb.pids_of("jmapd")
for n in range(120):
    with j.context.wrap_socket(socket.create_connection((sb.host, sb.port("JMAP"))), server_hostname=sb.host) as s:
        s.sendall(asks[n % 4])
        time.sleep((0, 0.0005, 0.001, 0.002, 0.004, 0.006, 0.01)[n % 7])
tm.is_((sb.pids_of("jmapd"), scripts()["good"][0]), (pids, 'redirect "x@elsewhere.test";\r\n'), "who goes before the answer takes nothing along")

# ---- where the directory says no --------------------------------------------------------------------------------------------------
r = subprocess.run(["ldapmodify", "-x", "-H", e["LDAP_URL"], "-D", e["LDAP_ADMIN_DN"], "-w", e["LDAP_ADMIN_PASSWORD"]], text=True, capture_output=True,
                   input=f"dn: uid=jmap,ou=services,{e['LDAP_BASE']}\nchangetype: modify\ndelete: authzTo\n")
tm.is_((r.returncode, j.one("SieveScript/get", ids=None), change(destroy=[one["id"]])), (0, ["error", "serverFail"], ["error", "serverFail"]), "a service that may not act for people changes nothing")
tm.done()
