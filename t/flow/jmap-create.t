#!/usr/bin/env python3
"""Emails that JMAP makes: uploads and downloads of blobs, Email/set create, Email/import, Email/parse, each read back
by JMAP and by IMAP, and by Python's own parser."""
import email, email.policy, json
import tm
from jmapraw import Jmap

sb = tm.Sandbox("--users", "4", "--without", "pop3d", "--without", "mmpd", "--without", "memd", "--without", "sieved", "--without", "smtp-relay", "--without", "jobctl",
                "--set", "jmapd.workers=2", "--set", "jmapd.limit.upload=1M", "--set", "jmapd.limit.uploads=3M")
j = Jmap(sb)
c = sb.imap(1)
box = {k: v["id"] for k, v in j.boxes().items()}


def upload(data, conn=None, type_="application/octet-stream"):
    conn = conn or j
    status, fields, got = conn.http("POST", f"/jmap/upload/{conn.account}/", data, {"Content-Type": type_})
    return status, json.loads(got)


def fetch(folder):
    c.select(f'"{folder}"')
    typ, data = c.fetch("1:*", "(FLAGS BODY.PEEK[])")
    return [(d[0].decode(), d[1]) for d in data if isinstance(d, tuple)]


# ---- uploads -----------------------------------------------------------------------------------------------------------
png = b"\x89PNG\r\n\0" + bytes(range(256)) * 40
status, up = upload(png, type_="image/png")
tm.is_((status, up["type"], up["size"], up["accountId"]), (201, "image/png", len(png), j.account), "an upload")
for _ in range(3):   # whichever worker it is
    status, fields, got = Jmap(sb).http("GET", f"/jmap/download/{j.account}/{up['blobId']}/x.png?type=image/png")
    tm.is_((status, fields["content-type"], got), (200, "image/png", png), "is there to be had, in any worker")
other = Jmap(sb, 2)
tm.is_(other.http("GET", f"/jmap/download/{other.account}/{up['blobId']}/x")[0], 404, "not for anybody else")
tm.is_([j.http("POST", p, b"x")[0] for p in (f"/jmap/upload/{other.account}/", f"/jmap/upload/{j.account}/x")], [404, 404], "nor into his account")
def announced(conn, size):
    """The status for an upload of so many octets, none of which are sent before it is asked for them."""
    conn.http("GET", "/jmap/session")
    conn.conn.putrequest("POST", f"/jmap/upload/{conn.account}/")
    for name, value in {**conn.headers, "Content-Length": str(size), "Expect": "100-continue"}.items():
        conn.conn.putheader(name, value)
    conn.conn.endheaders()
    status = conn.conn.getresponse().status
    conn.conn = None
    return status


tm.is_(announced(Jmap(sb), 2 << 20), 413, "one that is too large")
tm.is_(([upload(b"y" * 1000000, other)[0] for _ in range(3)], announced(Jmap(sb, 2), 1000000)), ([201] * 3, 400), "and no more than one may have")
tm.is_(upload(b"")[1]["size"], 0, "an empty one")

# ---- create ------------------------------------------------------------------------------------------------------------
before = j.one("Email/get", ids=[])["state"]
got = j.call(("Email/set", {"create": {
    "d": {"mailboxIds": {box["Drafts"]: True}, "keywords": {"$draft": True, "$seen": True, "mine": True}, "receivedAt": "2020-02-29T12:00:00Z",
          "from": [{"name": "J\u00fcrgen", "email": "j@d.test"}], "to": [{"name": None, "email": "x@y.test"}], "subject": "Gr\u00fc\u00dfe \U0001f600", "inReplyTo": ["a@b"], "references": ["a@b"],
          "textBody": [{"partId": "t", "type": "text/plain"}], "htmlBody": [{"partId": "h", "type": "text/html"}],
          "attachments": [{"blobId": up["blobId"], "type": "image/png", "name": "\u00fc.png", "disposition": "attachment"}],
          "bodyValues": {"t": {"value": "Hallo W\u00e4lt\nzwei\n"}, "h": {"value": "<p>Hallo W\u00e4lt</p>"}}},
    "two": {"mailboxIds": {box["Sent"]: True, box["Archive"]: True}, "from": [{"email": "j@d.test"}], "subject": "two", "textBody": [{"partId": "1", "type": "text/plain"}],
            "bodyValues": {"1": {"value": "x"}}}}}),
    ("Email/get", {"ids": ["#d"], "fetchAllBodyValues": True}))
made = got[0][1]["created"]
tm.is_((set(made), set(made["d"])), ({"d", "two"}, {"id", "blobId", "threadId", "size"}), "emails are created")
tm.is_([m["id"] for m in got[1][1]["list"]], [made["d"]["id"]], "and named by their creation ids")
m = got[1][1]["list"][0]
tm.is_((m["subject"], m["from"], m["keywords"], m["receivedAt"], m["mailboxIds"], m["inReplyTo"]),
       ("Gr\u00fc\u00dfe \U0001f600", [{"name": "J\u00fcrgen", "email": "j@d.test"}], {"$draft": True, "$seen": True, "mine": True}, "2020-02-29T12:00:00Z", {box["Drafts"]: True}, ["a@b"]),
       "as they were wanted")
values = {p["type"]: m["bodyValues"][p["partId"]]["value"] for p in m["textBody"] + m["htmlBody"]}
tm.is_((values["text/plain"].rstrip("\n"), values["text/html"].rstrip("\n")), ("Hallo W\u00e4lt\nzwei", "<p>Hallo W\u00e4lt</p>"), "with their bodies")
att, = m["attachments"]
tm.is_((att["name"], att["type"], att["size"], m["hasAttachment"]), ("\u00fc.png", "image/png", len(png), True), "and what is attached")
tm.is_(j.http("GET", f"/jmap/download/{j.account}/{att['blobId']}/x")[2], png, "which is a blob of its own")
tm.is_(j.http("GET", f"/jmap/download/{j.account}/{att['blobId']}/x", headers={"Range": "bytes=5-9"})[::2], (206, png[5:10]), "in ranges too")
(info, raw), = fetch("Drafts")
seen_by_python = email.message_from_bytes(raw, policy=email.policy.default)
tm.is_((seen_by_python["subject"], str(seen_by_python["from"].addresses[0].display_name), [p.get_content_type() for p in seen_by_python.walk()]),
       ("Gr\u00fc\u00dfe \U0001f600", "J\u00fcrgen", ["multipart/mixed", "multipart/alternative", "text/plain", "text/html", "image/png"]), "Python reads it the same way")
tm.is_([p.get_payload(decode=True) for p in seen_by_python.walk() if p.get_content_type() == "image/png"], [png], "octet by octet")
tm.ok("\\Draft" in info and "mine" in info and b"\r\n" in raw and b"\n" not in raw.replace(b"\r\n", b""), "IMAP has the flags, and lines as they should be")
tm.is_(set(j.one("Email/get", ids=[made["two"]["id"]], properties=["mailboxIds"])["list"][0]["mailboxIds"]), {box["Sent"], box["Archive"]}, "one email in two mailboxes")
tm.is_(set(j.one("Email/changes", sinceState=before)["created"]), {made[k]["id"] for k in made}, "told as created")
text = {"textBody": [{"partId": "1", "type": "text/plain"}], "bodyValues": {"1": {"value": "x"}}}
inbox = {"mailboxIds": {box["INBOX"]: True}}
bad = j.one("Email/set", create={"a": {**text}, "b": {**text, "mailboxIds": {"Fnone": True}}, "c": {**text, **inbox, "keywords": {"a b": True}}, "d": {**text, **inbox, "receivedAt": "now"},
                                 "e": {**inbox, "textBody": [{"blobId": "Unone", "type": "text/plain"}]}, "f": {**text, **inbox, "header:subject": " x", "subject": "y"}, "g": 5,
                                 "h": {**inbox, "textBody": [{"blobId": up["blobId"], "partId": "1"}], "bodyValues": {"1": {"value": "x"}}}})
tm.is_({k: (v["type"], v.get("properties")) for k, v in bad["notCreated"].items() if k in "abcdg"},
       {"a": ("invalidProperties", ["mailboxIds"]), "b": ("invalidProperties", ["mailboxIds"]), "c": ("invalidProperties", ["keywords"]), "d": ("invalidProperties", ["receivedAt"]),
        "g": ("invalidProperties", None)}, "objects that are wrong")
tm.is_((bad["notCreated"]["e"]["type"], bad["notCreated"]["e"]["notFound"]), ("blobNotFound", ["Unone"]), "a blob that is not there")
tm.is_((bad["notCreated"]["f"]["type"], bad["notCreated"]["h"]["type"], bad["created"]), ("invalidProperties", "invalidProperties", None), "what lib/jmap/compose refuses")
tm.is_(len(fetch("INBOX")), 0, "and nothing was made")
got = j.call(("Email/set", {"create": {"k": {**text, **inbox, "subject": "draft one"}}}), ("Email/set", {"create": {"k": {**text, **inbox, "subject": "draft two"}}, "destroy": ["#k"]}))
tm.is_([(set(r[1]["created"]), r[1]["destroyed"] and len(r[1]["destroyed"])) for r in got], [({"k"}, None), ({"k"}, 1)], "one draft for another")
tm.is_(len(fetch("INBOX")), 1, "of which one is left")

# ---- import and parse --------------------------------------------------------------------------------------------------
message = b"From: a@b.test\nSubject: bare lines\nMessage-ID: <imp@b.test>\n\nhello\nworld\n"
blob = upload(message, type_="message/rfc822")[1]["blobId"]
junk = upload(b"\0\1\2 no message")[1]["blobId"]
before = j.one("Email/get", ids=[])["state"]
got = j.one("Email/import", ifInState=before, emails={"i": {"blobId": blob, "mailboxIds": {box["Archive"]: True}, "keywords": {"$flagged": True}, "receivedAt": "2001-02-03T04:05:06Z"},
                                                      "j": {"blobId": junk, "mailboxIds": {box["Archive"]: True}}, "k": {"blobId": "Bnone", "mailboxIds": {box["Archive"]: True}},
                                                      "l": {"blobId": blob, "mailboxIds": {}}})
tm.is_((got["oldState"], set(got["created"]), {k: v["type"] for k, v in got["notCreated"].items()}),
       (before, {"i"}, {"j": "invalidEmail", "k": "invalidProperties", "l": "invalidProperties"}), "imported, or not")
m = j.one("Email/get", ids=[got["created"]["i"]["id"]], properties=["subject", "keywords", "receivedAt", "blobId"])["list"][0]
tm.is_((m["subject"], m["keywords"], m["receivedAt"]), ("bare lines", {"$flagged": True}, "2001-02-03T04:05:06Z"), "as it was wanted")
tm.is_(j.http("GET", f"/jmap/download/{j.account}/{m['blobId']}/x")[2], message.replace(b"\n", b"\r\n"), "with the line ends that mail has")
tm.is_(j.one("Email/import", ifInState=before, emails={}), ["error", "stateMismatch"], "not in another state")
again = j.one("Email/import", emails={"x": {"blobId": m["blobId"], "mailboxIds": {box["Trash"]: True}}})["created"]
tm.ok(again["x"]["id"] != got["created"]["i"]["id"], "a message of the store is a blob to import, too")
got = j.one("Email/parse", blobIds=[blob, junk, "Unone"], properties=["subject", "from", "bodyValues", "preview", "id"], fetchTextBodyValues=True)
tm.is_((got["parsed"][blob]["subject"], got["parsed"][blob]["bodyValues"]["1"]["value"], got["notParsable"], got["notFound"]), ("bare lines", "hello\nworld\n", [junk], ["Unone"]), "parsed")
inner = (b"From: o@b.test\r\nSubject: outer\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: message/rfc822\r\n\r\n" +
         message.replace(b"\n", b"\r\n") + b"\r\n--b--\r\n")
c.append("INBOX", None, None, inner)
outer, = j.emails(subject="outer")
part = j.one("Email/get", ids=[outer], properties=["attachments"])["list"][0]["attachments"][0]
tm.is_(j.one("Email/parse", blobIds=[part["blobId"]], properties=["subject"])["parsed"][part["blobId"]]["subject"], "bare lines", "a message within a message")
tm.is_([j.one(n, **a) for n, a in (("Email/import", {}), ("Email/parse", {}), ("Email/parse", {"blobIds": [1]}))], [["error", "invalidArguments"]] * 3, "arguments that are wrong")

# ---- no room -----------------------------------------------------------------------------------------------------------
full = Jmap(sb, login="full")
full.account = json.loads(full.http("GET", "/jmap/session")[2])["primaryAccounts"]["urn:ietf:params:jmap:mail"]
fbox = full.boxes()["INBOX"]["id"]
got = full.one("Email/set", create={"k": {**text, "mailboxIds": {fbox: True}, "subject": "x" * 1000}})
tm.is_(got["notCreated"] and got["notCreated"]["k"]["type"], "overQuota", "no room for it")
tm.done()
