#!/usr/bin/env python3
"""What JMAP has besides mail: the client's settings (a capability of our own), and quotas (RFC 9425)."""
import json
import tm
from jmapraw import CORE, Jmap

SETTINGS, QUOTA = "urn:tiermail:params:jmap:settings", "urn:ietf:params:jmap:quota"
sb = tm.Sandbox("--users", "4", "--without", "pop3d", "--without", "mmpd", "--without", "memd", "--without", "sieved", "--without", "smtp-relay", "--without", "jobctl",
                "--set", "tiermail.quota.bytes=1M", "--set", "tiermail.quota.messages=50")
j, k = Jmap(sb), Jmap(sb, 2)
j.using += [SETTINGS, QUOTA]
k.using += [SETTINGS]
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
tm.done()
