#!/usr/bin/env python3
"""What JMAP has besides mail: the client's settings (a capability of our own), quotas (RFC 9425), and blobs (RFC 9404)."""
import base64, json
import tm
from jmapraw import CORE, Jmap

SETTINGS, QUOTA, BLOB = "urn:tiermail:params:jmap:settings", "urn:ietf:params:jmap:quota", "urn:ietf:params:jmap:blob"
sb = tm.Sandbox("--users", "4", "--without", "pop3d", "--without", "mmpd", "--without", "memd", "--without", "sieved", "--without", "smtp-relay", "--without", "jobctl",
                "--set", "tiermail.quota.bytes=1M", "--set", "tiermail.quota.messages=50")
j, k = Jmap(sb), Jmap(sb, 2)
j.using += [SETTINGS, QUOTA, BLOB]
k.using += [SETTINGS, BLOB]
session = json.loads(j.http("GET", "/jmap/session")[2])
tm.ok({SETTINGS, QUOTA} <= set(session["capabilities"]) and session["primaryAccounts"][SETTINGS] == j.account, "both are capabilities")

# ---- settings ----------------------------------------------------------------------------------------------------------
got = j.one("Settings/get", ids=None)
tm.is_((got["list"], got["notFound"]), ([{"id": "singleton", "value": {}}], []), "nothing is set")
state = got["state"]
tm.is_(j.one("Settings/get", ids=["x"])["notFound"], ["x"], "there is one object")
got = j.one("Settings/set", ifInState=state, update={"singleton": {"value": {"theme": "dark", "n": [1, {"a": None}]}}})
tm.is_((got["updated"], got["oldState"]), ({"singleton": None}, state), "settings are set")
tm.is_(Jmap.one(j, "Settings/get", ids=["singleton"])["list"][0]["value"], {"theme": "dark", "n": [1, {"a": None}]}, "and kept")
j.one("Settings/set", update={"singleton": {"value/theme": "light", "value/new": {"x": 1}, "value/n": None}})
tm.is_(j.one("Settings/get", ids=None)["list"][0]["value"], {"theme": "light", "new": {"x": 1}}, "a part is changed")
tm.is_(j.one("Settings/set", ifInState=state, update={"singleton": {"value": {}}}), ["error", "stateMismatch"], "of two tabs one is told")
tm.is_(k.one("Settings/get", ids=None)["list"][0]["value"], {}, "others have their own")
bad = [j.one("Settings/set", update={"singleton": p})["notUpdated"]["singleton"]["type"] for p in
       ({"value": 5}, {"value": {"x": "y" * 20000}}, {"other": 1}, {"value/a/b": 1}, {"value": {}, "value/a": 1}, 7)]
tm.is_(bad, ["invalidProperties"] * 6, "what cannot be")
got = j.one("Settings/set", create={"a": {}}, destroy=["singleton"], update={"x": {}})
tm.is_((got["notCreated"]["a"]["type"], got["notDestroyed"]["singleton"]["type"], got["notUpdated"]["x"]["type"]), ("singleton", "singleton", "notFound"), "it is neither made nor destroyed")
tm.is_(j.one("Settings/get", ids=None)["list"][0]["value"], {"theme": "light", "new": {"x": 1}}, "and stays")
tm.ok(b"settings" not in b"".join(str(x).encode() for x in sb.imap(1).xatom("GETMETADATA", '""', '"/private/tiermail/settings"')), "IMAP does not show it")

# ---- quotas ------------------------------------------------------------------------------------------------------------
c = sb.imap(1)
c.append("INBOX", None, None, b"Subject: x\r\n\r\n" + b"y" * 1000 + b"\r\n")
got = j.one("Quota/get", ids=None)
quota = {q["id"]: q for q in got["list"]}
tm.is_((quota["count"]["used"], quota["count"]["hardLimit"], quota["octets"]["hardLimit"]), (1, 50, 1 << 20), "what is used, of what")
tm.ok(1000 < quota["octets"]["used"] < 1100 and quota["octets"]["types"] == ["Email"] and quota["octets"]["scope"] == "account", "in octets")
tm.is_(j.one("Quota/get", ids=["count", "x"], properties=["used"])["list"], [{"id": "count", "used": 1}], "one of them")
c.append("INBOX", None, None, b"Subject: x\r\n\r\ny\r\n")
ch = j.one("Quota/changes", sinceState=got["state"])
tm.is_((set(ch["updated"]), ch["updatedProperties"]), ({"count", "octets"}, ["used"]), "changes")
tm.is_(j.one("Quota/changes", sinceState=ch["newState"])["updated"], [], "none")
# ---- blobs -------------------------------------------------------------------------------------------------------------
octets = bytes(range(256))
got = j.call(("Blob/upload", {"create": {"a": {"data": [{"data:asText": "h\u00e9llo "}, {"data:asText": "world"}], "type": "text/plain"}, "b": {"data": [{"data:asBase64": base64.b64encode(octets).decode()}]},
                                         "c": {"data": []}, "d": {"data": [{"data:asBase64": "?"}]}, "e": {"data": [{"data:asText": "x", "blobId": "y"}]}, "f": {}}}),
             ("Blob/upload", {"create": {"g": {"data": [{"blobId": "#b", "offset": 65, "length": 3}, {"blobId": "#a"}]}, "h": {"data": [{"blobId": "#b", "offset": 250, "length": 10}]},
                                         "i": {"data": [{"blobId": "Unone"}]}}}),
             ("Blob/get", {"ids": ["#a", "#b", "#c", "#g", "Unone"]}))
up = got[0][1]["created"]
tm.is_(({n: (v["type"], v["size"]) for n, v in up.items()}, {n: v["type"] for n, v in got[0][1]["notCreated"].items()}),
       ({"a": ("text/plain", 12), "b": ("application/octet-stream", 256), "c": ("application/octet-stream", 0)}, {n: "invalidProperties" for n in "def"}), "blobs of texts and octets")
tm.is_((set(got[1][1]["created"]), set(got[1][1]["notCreated"])), ({"g"}, {"h", "i"}), "of parts of others")
blobs = {b["id"]: b for b in got[2][1]["list"]}
tm.is_((blobs[up["a"]["id"]]["data:asText"], blobs[up["b"]["id"]]["data:asBase64"], blobs[up["b"]["id"]]["isEncodingProblem"], blobs[got[1][1]["created"]["g"]["id"]]["data:asText"]),
       ("h\u00e9llo world", base64.b64encode(octets).decode(), True, "ABCh\u00e9llo world"), "read back as text, or as octets")
tm.is_((got[2][1]["notFound"], blobs[up["c"]["id"]]), (["Unone"], {"id": up["c"]["id"], "data:asText": "", "size": 0}), "an empty one, and none")
got = j.one("Blob/get", ids=[up["a"]["id"]], properties=["data:asBase64", "size"], offset=8, length=100)["list"][0]
tm.is_(got, {"id": up["a"]["id"], "data:asBase64": base64.b64encode(b"orld").decode(), "isTruncated": True, "size": 12}, "a range, as far as it goes")
tm.is_(k.one("Blob/get", ids=[up["a"]["id"]])["notFound"], [up["a"]["id"]], "others have none of it")
mail = j.emails()
m = j.one("Email/get", ids=mail[:1], properties=["blobId", "threadId", "mailboxIds"])["list"][0]
got = j.one("Blob/lookup", typeNames=["Email", "Thread", "Mailbox"], ids=[m["blobId"], up["a"]["id"], "B0000000000000001"])
tm.is_((got["list"], got["notFound"]), ([{"id": m["blobId"], "matchedIds": {"Email": [m["id"]], "Thread": [m["threadId"]], "Mailbox": list(m["mailboxIds"])}}], [up["a"]["id"], "B0000000000000001"]),
       "what a blob is of")
tm.is_([j.one(n, **a) for n, a in (("Blob/lookup", {"typeNames": ["X"], "ids": []}), ("Blob/upload", {}), ("Blob/get", {"ids": None}), ("Email/copy", {"fromAccountId": k.account, "create": {}}),
                                   ("Blob/copy", {"fromAccountId": j.account, "blobIds": []}))],
       [["error", t] for t in ("unknownDataType", "invalidArguments", "requestTooLarge", "fromAccountNotFound", "invalidArguments")], "what cannot be")
tm.done()
