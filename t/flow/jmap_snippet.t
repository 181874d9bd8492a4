#!/usr/bin/env python3
"""SearchSnippet/get (RFC 8621 5.1) and quotas (RFC 9425) over a real store."""
import json
import tm
from jmapraw import CORE, MAIL, Jmap

QUOTA = "urn:ietf:params:jmap:quota"
sb = tm.Sandbox("--users", "2", "--without", "pop3d", "--without", "mmpd", "--set", "tiermail.quota.bytes=20M", "--set", "tiermail.quota.messages=500",
                "--set", "jmapd.limit.get=20")
j = Jmap(sb)
c = sb.imap(1)


def append(subject, body, fields=""):
    typ, data = c.append("INBOX", "", None, f"From: a@b.example\r\nSubject: {subject}\r\n{fields}\r\n{body}".encode())
    assert typ == "OK", data
    return j.emails(subject=subject if "=?" not in subject else None)[0]


def snippets(filter_, *ids):
    return [(s["subject"], s["preview"]) for s in j.one("SearchSnippet/get", filter=filter_, emailIds=list(ids))["list"]]


# ---- snippets ------------------------------------------------------------------------------------------------------
plain = append("A needle in hay", "Look: here\r\nis a <needle> & more\r\n")
html = append("Newsletter", "<html><head><title>needle</title></head><p>no<b>nee</b>dles</p></html>\r\n", "MIME-Version: 1.0\r\nContent-Type: text/html\r\n")
long = append("Long", "word \u00fcber " * 200 + "NEEDLE" + " and more" * 9000 + "\r\n",
              "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n")
big = append("Big", ("x" * 70 + "\r\n") * 6000 + "needle\r\n")
tm.is_(snippets({"text": "needle"}, plain), [("A <mark>needle</mark> in hay", "Look: here is a &lt;<mark>needle</mark>&gt; &amp; more")], "a subject and a text")
tm.is_(snippets({"subject": "hay NEEDLE"}, plain), [("A <mark>needle</mark> in <mark>hay</mark>", None)], "words of the subject")
tm.is_(snippets({"body": "'is a'"}, plain), [(None, "Look: here <mark>is a</mark> &lt;needle&gt; &amp; more")], "a phrase of the text")
tm.is_(snippets({"operator": "AND", "conditions": [{"body": "look"}, {"operator": "NOT", "conditions": [{"body": "needle"}]}]}, plain)[0][1],
       "<mark>Look</mark>: here is a &lt;needle&gt; &amp; more", "not what must not be there")
tm.is_(snippets({"text": "needle"}, html), [(None, "no<mark>needle</mark>s")], "HTML without its markup")
(subject, preview), = snippets({"text": "needle"}, long)
tm.ok(subject is None and "<mark>NEEDLE</mark>" in preview and 200 < len(preview.encode()) <= 255, "a part of a long text")
tm.is_(snippets({"text": "needle"}, big), [(None, None)], "not what stands too far behind")
tm.is_(snippets({"inMailbox": j.boxes()["INBOX"]["id"]}, plain), [(None, None)], "no words")
tm.is_(snippets(None, plain), [(None, None)], "no filter")
got = j.one("SearchSnippet/get", filter={"text": "needle"}, emailIds=[long, "M0000000000000001", plain, "x"])
tm.is_(([s["emailId"] for s in got["list"]], got["notFound"]), ([long, plain], ["M0000000000000001", "x"]), "those that there are, and those that are not")
tm.is_(j.one("SearchSnippet/get", filter={"text": "x"}, emailIds=[plain])["notFound"], None, "or null")
tm.is_([j.one("SearchSnippet/get", **a) for a in ({"filter": {"x": 1}, "emailIds": []}, {"filter": None}, {"filter": None, "emailIds": [1]}, {"filter": None, "emailIds": ["x"] * 21})],
       [["error", t] for t in ("unsupportedFilter", "invalidArguments", "invalidArguments", "requestTooLarge")], "what is wrong")
r = j.call(("Email/query", {"filter": {"text": "needle"}}), ("SearchSnippet/get", {"filter": {"text": "needle"}, "#emailIds": {"resultOf": "a", "name": "Email/query", "path": "/ids"}}))
tm.is_({s["emailId"] for s in r[1][1]["list"]}, set(r[0][1]["ids"]), "for what a query has found")

# ---- quotas --------------------------------------------------------------------------------------------------------
session = json.loads(j.http("GET", "/jmap/session")[2])
tm.is_((session["capabilities"][QUOTA], session["accounts"][j.account]["accountCapabilities"][QUOTA], session["primaryAccounts"][QUOTA]), ({}, {}, j.account), "the capability")
tm.is_(j.one("Quota/get", ids=None), ["error", "unknownMethod"], "not without it")
j.using.append(QUOTA)
got = j.one("Quota/get", ids=None)
tm.is_([(q["id"], q["resourceType"], q["hardLimit"], q["scope"], q["types"]) for q in got["list"]],
       [("octets", "octets", 20 << 20, "account", ["Email"]), ("count", "count", 500, "account", ["Email"])], "both limits")
octets, count = (q["used"] for q in got["list"])
tm.ok(count == 4 and octets > 6000 * 72, "and what is used")
append("One more", "x\r\n")
now = j.one("Quota/get", ids=["count", "none"], properties=["used"])
tm.is_((now["list"], now["notFound"]), ([{"id": "count", "used": 5}], ["none"]), "one message more")
got = j.one("Quota/changes", sinceState=got["state"])
tm.is_((sorted(got["updated"]), got["updatedProperties"], got["newState"]), (["count", "octets"], ["used"], now["state"]), "is told")
got = j.one("Quota/changes", sinceState=now["state"])
tm.is_((got["updated"], got["updatedProperties"]), ([], None), "and then nothing")
tm.is_(j.one("Quota/changes", sinceState="99999999"), ["error", "cannotCalculateChanges"], "since a state that was not")
tm.is_([j.one("Quota/query", filter=f)["ids"] for f in (None, {"resourceType": "count"}, {"name": "mess", "scope": "account"}, {"type": "Contact"})],
       [["octets", "count"], ["count"], ["count"], []], "queries")
tm.is_((j.one("Quota/query", filter={"x": "y"}), j.one("Quota/queryChanges", sinceQueryState="0")), (["error", "unsupportedFilter"], ["error", "cannotCalculateChanges"]), "and what is none")
tm.done()
